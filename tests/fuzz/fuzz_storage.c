/* Arbitrary bytes as lines of /proc/self/mountinfo (first byte even) or of exportfs's list (odd). */
#include "beacon/sensors/storage.c"
#include "beacon_fixture.h"

#define MUST(condition) \
    do { \
        if (!(condition)) \
            __builtin_trap(); \
    } while (0)

static char written[4096];
static struct manifest_run run = {.task = MANIFEST_WRITE, .fd = -1, .buf = written, .cap = sizeof written};

/** What it would write of this line is an item of the configuration, or it writes nothing. */
static void write_item(struct emitter *e, bool mounts, const char *line, size_t len)
{
    static struct json_token tokens[64];
    struct json_doc d;

    written[0] = '\0';
    MUST((mounts ? write_mount(e, line, len) : write_export(e, line, len)) == 0);
    size_t n = strlen(written);
    if (n == 0)
        return;
    MUST(strncmp(written, "    - {", 7) == 0 && written[n - 1] == '\n');
    MUST(json_parse(&d, written + 6, n - 7, tokens, ARRAY_SIZE(tokens), JSON_MAX_DEPTH, NULL) == 0);
    MUST(json_member(&d, 0, "name") > 0 && json_member(&d, 0, mounts ? "mount" : "export") > 0 && json_member(&d, 0, "writable") > 0);
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);
int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    const bool mounts = size > 0 && *data++ % 2 == 0;
    struct storage s = {.common = {.name = "a"}, .mount = "/mnt/a b", .export = "/mnt/a b", .source = "/dev/null", .root = "/",
                        .type = "ext4", .clients = "*", .writable = 1};
    struct emitter e = {.owner = &fix.sensor_runner, .class = &sensor_storage, .common = &s.common, .output = -1};
    struct look l = {.s = &s, .out = &e};
    char line[512];

    size -= size > 0;
    fix.sensor_runner.manifest = &run;
    text_init(&l.found, l.buf, sizeof l.buf);
    while (size > 0) {
        const unsigned char *newline = memchr(data, '\n', size);
        const size_t whole = newline ? (size_t)(newline - data) : size;
        const size_t len = whole < sizeof line - 1 ? whole : sizeof line - 1;
        memcpy(line, data, len);
        line[len] = '\0';
        const int end = mounts ? take_mount(&l, line, len) : take_export(&l, line, len);
        MUST(end == 0 || (!mounts && l.problem == NONE));
        MUST(l.steps <= ARRAY_SIZE(l.way) && l.found.len < sizeof l.buf && l.problem <= WRONG_CLIENTS);
        for (unsigned i = 0; i < l.steps; i++)
            MUST(l.way[i].length <= strlen(s.mount));
        write_item(&e, mounts, line, len);
        data += whole + (newline != NULL);
        size -= whole + (newline != NULL);
    }
    return 0;
}
