/* A device that gets commands of any kind, order and age, whose sessions end and which is restarted, with what its file then has. A plain
 * record of what has begun says whether it was right: no id begins twice, none after its life, none that may have begun at a start
 * which the file has lost; and what is said of an id is what became of it. Then the rest of the input, as a message and as an operation. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "nefia/base/err.h"
#include "nefia/beacon/remote.h"
#include "nefia/ops/op.h"
#include "nefia/sys/file.h"
#include "nefia/sys/log.h"
#include "../unit/tempdir.h"

#define MUST(condition) \
    do { \
        if (!(condition)) \
            __builtin_trap(); \
    } while (0)

enum { IDS = 256, STARTS = 64, STEPS = 300 };

/** What the record has of an id. */
static struct record {
    bool begun, ended, here; /* here: in the running start */
    uint64_t first;          /* boot of the session that it was sent in first, which may have lost it; 0: it never was sent */
    uint8_t exit_code;
    enum link_outcome outcome;
} records[IDS];

static struct remote remote;
static struct clock_fake fake;
static struct link device;
static struct json_token tokens[LINK_TOKENS];
static char in_memory[] = "/dev/shm/nefia-remote-XXXXXX", on_disk[] = "/tmp/nefia-remote-XXXXXX", path[FILE_PATH_MAX];
static const char *dir;
static uint64_t own, next_start, over_ms; /* over_ms: when the life of the command being taken is over */
static bool lost[STARTS];                 /* what began there may be forgotten */
static uint64_t taken, first;             /* the command being taken */
static uint8_t chance;

static enum link_outcome prepare(void *arg, const struct link_command *c, struct text *what, struct text *why)
{
    (void)arg;
    (void)c;
    text_str(what, "what");
    text_str(why, chance & 1 ? "" : "because");
    fake.now_ms += chance & 2 ? 40 : 0;
    return chance % 7 == 1 ? LINK_DENIED : chance % 7 == 2 ? LINK_UNSUPPORTED : LINK_DONE;
}

static enum link_outcome start(void *arg, struct text *why)
{
    struct record *r = &records[taken % IDS];

    (void)arg;
    (void)why;
    MUST(!r->begun && !r->ended);
    MUST(fake.now_ms < over_ms);
    MUST(first < STARTS && !lost[first]);
    if (chance % 11 == 3) {
        r->ended = r->here = true;
        r->outcome = LINK_UNSUPPORTED;
        return LINK_UNSUPPORTED;
    }
    r->begun = r->here = true;
    r->outcome = LINK_END_UNKNOWN;
    return LINK_DONE;
}

static void begin_start(void)
{
    const struct remote_hooks hooks = {prepare, start, NULL};

    own = ++next_start;
    for (unsigned i = 0; i < IDS; i++)
        records[i].here = false;
    remote_init(&remote, &hooks, &fake.clock);
    remote.takes = true;
    remote_open(&remote, own, dir);
    link_init(&device, false, 0);
    device.state = LINK_OPEN;
}

static void take(uint8_t id, uint8_t start_of, uint8_t life)
{
    const uint64_t hello_ms = fake.now_ms - start_of;

    if (records[id].first == 0)
        records[id].first = start_of & 1 ? own : 1 + start_of % own;
    const struct link_command c = {.id = id, .first = records[id].first, .age_ms = life & 15, .life_ms = life >> 2,
                                   .op = {"{}", 2}};

    over_ms = hello_ms + c.age_ms + c.life_ms;
    taken = id;
    first = c.first;
    remote_take(&remote, &c, hello_ms);
}

static void end(uint8_t exit_code)
{
    if (!remote.running)
        return;
    struct record *r = &records[remote.ids[remote.count - 1].id % IDS];
    MUST(r->begun && r->here && !r->ended);
    r->ended = true;
    r->outcome = LINK_DONE;
    r->exit_code = exit_code;
    memset(remote.output, exit_code, sizeof remote.output);
    remote_ended(&remote, &(struct remote_end){.exit_code = exit_code, .output_len = sizeof remote.output, .bytes = 9000});
    MUST(!remote.running);
}

/** What it says of an id is no invention. */
static void listen(bool acknowledges)
{
    char line[LINK_BYTES_MIN + MAC_HEX + 3];
    struct link_message m;
    const size_t len = remote_next(&remote, &device, line, LINK_BYTES_MIN);

    if (len == 0)
        return;
    MUST(len <= LINK_BYTES_MIN + 1 && line[len - 1] == '\n');
    MUST(link_read(&m, (struct slice){line, len - 1}, tokens, LINK_TOKENS, link_read_result) == 0 && m.kind == LINK_RESULT);
    const struct record *r = &records[m.result.id % IDS];
    if (m.result.outcome == LINK_DONE)
        MUST(r->ended && r->outcome == LINK_DONE && m.result.exit_code == r->exit_code);
    if (m.result.outcome == LINK_END_UNKNOWN) /* of this start everything is known, but for what was forgotten */
        MUST(!(r->begun && r->ended && r->here) || !remote.start_count);
    if (acknowledges)
        remote_acknowledged(&remote, (uint32_t)device.lines_out);
}

/** What the file has lost nobody may begin again. */
static void damage(uint8_t how, uint8_t at)
{
    uint8_t file[REMOTE_FILE_MAX];
    long n = file_read(path, file, sizeof file);

    if (n <= 0)
        return;
    if (how & 1)
        file[at % n] ^= (uint8_t)(how | 1);
    else
        n = at % n;
    const int fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);
    MUST(fd >= 0 && write(fd, file, (size_t)n) == n);
    close(fd);
    for (uint64_t i = 0; i <= next_start && i < STARTS; i++)
        lost[i] = true;
}

static void step(const unsigned char *in)
{
    chance = in[3];
    switch (in[0] % 8) {
    case 0:
    case 1:
    case 2:
        take(in[1], in[2], in[3]);
        break;
    case 3:
        end(in[1]);
        break;
    case 4:
        listen(in[1] & 1);
        break;
    case 5:
        remote_lost(&remote);
        break;
    case 6:
        fake.now_ms += in[1] & 31;
        break;
    default:
        if (next_start + 2 >= STARTS)
            break;
        if (in[1] & 1)
            damage(in[2], in[3]);
        begin_start();
    }
}

static void read_raw(const char *bytes, size_t len)
{
    static struct json_token op_tokens[OP_TOKENS];
    static char strings[OP_TEXT_BYTES];
    struct link_message m;
    struct text text;
    struct op op;
    const char *why;

    if (link_read(&m, (struct slice){bytes, len}, tokens, LINK_TOKENS, link_read_command) < 0 || m.kind != LINK_COMMAND)
        return;
    text_init(&text, strings, sizeof strings);
    if (m.command.op.len > 0 && op_read(&op, m.command.op, &text, op_tokens, OP_TOKENS, &why) < 0)
        MUST(why && why[0]);
}

static void clean_up(void)
{
    unlink(path);
    rmdir(dir);
}

static void make_dir(void)
{
    dir = make_tempdir(in_memory, on_disk);
    MUST(dir && file_join(path, dir, REMOTE_FILE) == 0);
    atexit(clean_up);
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);
int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    if (!path[0]) {
        log_to_fd(open("/dev/null", O_WRONLY | O_CLOEXEC));
        make_dir();
    }
    memset(records, 0, sizeof records);
    memset(lost, 0, sizeof lost);
    lost[0] = true; /* no start has this number */
    (void)unlink(path);
    next_start = 0;
    clock_fake_init(&fake, 100000, 1773156600);
    begin_start();
    for (size_t i = 0; i + 4 <= size && i < 4 * STEPS; i += 4)
        step(data + i);
    read_raw((const char *)data, size);
    return 0;
}
