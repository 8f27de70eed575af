/* What undoes a run of a playbook. The first byte selects:
 *   0  the rest is the device's file;
 *   1  the same, as a list of frame contents: kind, length, bytes; checksums are computed here;
 *   2  the rest is the array of ops that a run begins with.
 * In any case nothing is read beyond what there is, an undoing ends, and a second start finds that it has. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "nefia/base/bytes.h"
#include "nefia/beacon/undo.h"

#define MUST(condition) \
    do { \
        if (!(condition)) \
            __builtin_trap(); \
    } while (0)

enum { INPUT = 8 * 1024, MOST_OPS = UNDO_STEPS * (CONFIG_UNDO_BYTES / 3 + 1), SPOOL = 16 * 1024 };

/* Nothing here needs durability. */
int fsync(int fd)
{
    return fd < 0 ? -1 : 0;
}

static struct clock_fake fake;
static struct loop loop;
static struct epoll_event found[1];
static struct beacon_pipeline pipeline;
static char data_buf[CONFIG_EVENT_BYTES + 1], line_buf[PIPELINE_LINE_BYTES];
static unsigned events;
static struct undo undo;
static max_align_t work[UNDO_WORK_BYTES / sizeof(max_align_t) + 1];
static struct json_token tokens[OP_TOKENS];
static char dir[32];
static int dir_fd;

static int take_event(void *arg, const char *line, size_t len)
{
    (void)arg;
    MUST(len > 0 && memchr(line, '\n', len) == NULL);
    events++;
    return PIPELINE_ACCEPTED;
}

static void on_wake(void *arg)
{
    (void)arg;
}

static void start(void)
{
    clock_fake_init(&fake, 1000, 0);
    if (loop.clock)
        loop_end(&loop);
    loop_init(&loop, &fake.clock, found, 1);
    beacon_pipeline_init(&pipeline, &loop, data_buf, line_buf);
    pipeline.host_id = "r1";
    pipeline.print = take_event;
    undo_init(&undo, &pipeline, on_wake, NULL);
    undo_load(&undo, dir_fd, work);
}

static int judge(void *arg, struct slice op, struct text *why)
{
    (void)arg;
    (void)why;
    MUST(op.ptr >= undo.bytes && op.ptr + op.len <= undo.bytes + sizeof undo.bytes && op.ptr[0] == '{' && op.ptr[op.len - 1] == '}');
    return 0;
}

/** As the device does. */
static void undo_all(void)
{
    unsigned ops = 0;

    for (unsigned turns = 0; turns < 3; turns++, fake.now_ms += UINT32_MAX)
        loop_turn(&loop, 0);
    for (struct slice op; (op = undo_next(&undo)).len > 0; ops++) {
        MUST(op.ptr >= undo.bytes && op.ptr + op.len <= undo.bytes + undo.len);
        undo_op_ended(&undo, ops & 1 ? "exit status 1" : "");
        MUST(ops < MOST_OPS);
    }
    MUST(undo.state != UNDO_UNDOING && undo.state != UNDO_OPEN);
    undo_close(&undo);
}

static void begin(const unsigned char *p, size_t size)
{
    static char ops[INPUT];
    char why_buf[200];
    struct text why;
    const char run[] = "00000000000000aa";
    const struct op op = {.undo_run = run, .within_ms = 1000, .undo_ops = {ops, size}};

    memcpy(ops, p, size);
    start();
    text_init(&why, why_buf, sizeof why_buf);
    if (undo_begin(&undo, &op, (struct slice){"[\"r\"]", 5}, judge, NULL, tokens, OP_TOKENS, &why) < 0)
        MUST(undo.state == UNDO_NONE && why.len > 0);
    for (unsigned step = 0; undo.state == UNDO_OPEN && step < UNDO_STEPS; step += 3)
        MUST(undo_step_begins(&undo, run, step, &why) == 0);
    undo_step_ended(&undo);
    undo_close(&undo);
}

static size_t make_frames(uint8_t *out, size_t cap, const unsigned char *p, size_t size)
{
    size_t len = 0;

    while (size >= 2 && cap - len > 300) {
        const size_t n = p[1] < size - 2 ? p[1] : size - 2;
        frame_header(out + len, p[0], p + 2, n, NULL, 0);
        memcpy(out + len + FRAME_HEADER, p + 2, n);
        len += FRAME_HEADER + n;
        p += 2 + n;
        size -= 2 + n;
    }
    return len;
}

static void write_file(const unsigned char *data, size_t size, bool listed)
{
    static uint8_t made[INPUT];
    const int fd = openat(dir_fd, UNDO_FILE, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    if (listed) {
        size = make_frames(made, sizeof made, data, size);
        data = made;
    }
    MUST(fd >= 0 && write(fd, data, size) == (ssize_t)size);
    close(fd);
}

static void clean_up(void)
{
    unlinkat(dir_fd, UNDO_FILE, 0);
    rmdir(dir);
}

static void make_dir(void)
{
    memcpy(dir, "/tmp/nefia-undo-XXXXXX", 23);
    MUST(mkdtemp(dir) != NULL);
    dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    MUST(dir_fd >= 0);
    atexit(clean_up);
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);
int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    if (size < 1 || size > INPUT)
        return 0;
    if (!dir[0])
        make_dir();
    write_file(data + 1, data[0] % 3 == 2 ? 0 : size - 1, data[0] % 3 == 1);
    if (data[0] % 3 == 2)
        begin(data + 1, size - 1);
    start();
    undo_all();
    const enum undo_state state = undo.state;
    const unsigned failed = undo_failed(&undo);
    events = 0;
    start();
    undo_all();
    MUST(undo.state == state && undo_failed(&undo) == failed);
    MUST(events == (state == UNDO_UNDONE && !undo.settled));
    return 0;
}
