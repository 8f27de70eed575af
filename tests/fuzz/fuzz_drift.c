/* Arbitrary bytes as a manifest (first byte even): what is written of its lines is read as the same. Or as the database of
 * packages (odd): of which a manifest is written, and compared with it. */
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "beacon_fixture.h"
#include "nefia/base/err.h"

#define MUST(condition) \
    do { \
        if (!(condition)) \
            __builtin_trap(); \
    } while (0)

enum { VALUE_MOST = 4096 }; /* a line of it fits into the buffer */

static int input = -1, output; /* files in memory */
static struct manifest_run run;
static char line[CONFIG_EVENT_BYTES + 1024];

static const char *path_of(int fd)
{
    static char paths[2][32];
    char *path = paths[fd == output];

    snprintf(path, sizeof *paths, "/proc/self/fd/%d", fd);
    return path;
}

static void empty(int fd)
{
    MUST(ftruncate(fd, 0) == 0 && lseek(fd, 0, SEEK_SET) == 0);
}

/** What was read, and whether it is written again. */
struct seen {
    struct emitter *e;
    bool writes;
    uint32_t hash;
    unsigned count;
};

static int see(void *arg, const struct manifest_line *l)
{
    struct seen *s = arg;
    char value[VALUE_MOST + 1];

    MUST(l->value.len > 0 && !memchr(l->value.ptr, ' ', l->value.len) && !memchr(l->value.ptr, '\0', l->value.len));
    MUST(l->name[0] && !memchr(l->value.ptr, '\n', l->value.len));
    /* No value that a sensor gives. */
    if (l->value.len > VALUE_MOST || *l->value.ptr == '\\' || *l->value.ptr == '#')
        return 0;
    s->hash = hash_bytes(s->hash, l->value.ptr, l->value.len);
    s->hash = hash_bytes(s->hash, l->name, strlen(l->name) + 1) + l->link;
    s->count++;
    if (!s->writes)
        return 0;
    memcpy(value, l->value.ptr, l->value.len);
    value[l->value.len] = '\0';
    manifest_put(s->e, l->link ? "#link " : "", value, l->name);
    MUST(run.err == 0);
    return 0;
}

static void manifest(void)
{
    struct emitter e = {.owner = &fix.sensor_runner};
    struct seen first = {.e = &e, .writes = true}, second = {.e = &e};
    const int err = manifest_lines(&e, path_of(input), see, &first);

    MUST(err == 0 || (err < 0 && e.why[0]));
    e.why[0] = '\0';
    MUST(manifest_lines(&e, path_of(output), see, &second) == 0 || first.count == 0); /* an empty one */
    MUST(first.count == second.count && first.hash == second.hash);
}

static void packages(void)
{
    static const char form[] = "{\"package_drift\": {\"database\": \"%s\", \"manifest\": \"%s\"}}";
    char beacons[256];

    snprintf(beacons, sizeof beacons, form, path_of(input), path_of(output));
    run.task = MANIFEST_WRITE;
    MUST(fix_once(beacons) == 1);
    MUST(run.err == 0);
    struct emitter *e = &fix.sensor_runner.sets[fix.sensor_runner.current].items[0];
    MUST(e->result == INSTANCE_OK || e->why[0]);
    run.task = MANIFEST_CHECK;
    run.fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
    sensor_runner_run(e);
    close(run.fd);
    MUST(run.err == 0 && (e->result == INSTANCE_OK || e->why[0]));
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);
int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    if (size == 0 || size > 16384)
        return 0;
    if (input < 0) {
        input = memfd_create("input", MFD_CLOEXEC);
        output = memfd_create("output", MFD_CLOEXEC);
        MUST(input >= 0 && output >= 0);
    }
    empty(input);
    empty(output);
    MUST(write(input, data + 1, size - 1) == (ssize_t)size - 1);
    fix_init();
    fix_print_lines();
    run = (struct manifest_run){.fd = output, .buf = line, .cap = sizeof line};
    fix.sensor_runner.manifest = &run;
    (data[0] & 1 ? packages : manifest)();
    return 0;
}
