/* Arbitrary bytes as files of frames. The first byte selects:
 *   0  the bytes are a file for the frame reader;
 *   1  they are the hub's two journal files (be16: length of the first);
 *   2  the same, as a list of frame contents: kind, length, bytes; checksums are computed here. A
 *      kind with its highest bit set is damaged.
 * In any case the journal opens, no action is reported twice, and a copy is equivalent. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "nefia/base/bytes.h"
#include "nefia/sys/file.h"
#include "nefia/sys/frames.h"
#include "nefia/hub/journal.h"

#define MUST(condition) \
    do { \
        if (!(condition)) \
            __builtin_trap(); \
    } while (0)

enum { INPUT = 16 * 1024, HOSTS = 8, JOBS = 350, COMMIT = 7 };

/* Nothing here needs durability. */
int fsync(int fd)
{
    return fd < 0 ? -1 : 0;
}

int fdatasync(int fd)
{
    return fd < 0 ? -1 : 0;
}

static void read_frames(const unsigned char *data, size_t size)
{
    static uint8_t buf[600], again[FRAME_HEADER];
    struct frame_reader r;
    struct frame f;
    uint64_t good = 0, end = 0;
    int more, fd = memfd_create("frames", MFD_CLOEXEC);

    MUST(fd >= 0 && write(fd, data, size) == (ssize_t)size && lseek(fd, 0, SEEK_SET) == 0);
    frame_reader_init(&r, fd, buf, sizeof buf);
    while ((more = frame_next(&r, &f)) > 0) {
        MUST(f.kind > 0 && f.at >= end && f.len <= sizeof buf - FRAME_HEADER);
        frame_header(again, f.kind, f.bytes, f.len, NULL, 0);
        MUST(memcmp(again, data + f.at, FRAME_HEADER) == 0);
        MUST(memcmp(f.bytes, data + f.at + FRAME_HEADER, f.len) == 0);
        end = f.at + FRAME_HEADER + f.len;
        good += FRAME_HEADER + f.len;
    }
    MUST(more == 0 && r.end == end && good + r.damaged + r.torn == size);
    close(fd);
}

static struct job {
    uint64_t id;
    size_t len;
    enum journal_job_state state;
    uint32_t timeout_ms;
    char line[64];
} jobs[JOBS];
static unsigned job_count;
static struct host slots[HOSTS];
static uint32_t chains[HOSTS];
static struct seen seen;
static uint8_t buf[JOURNAL_BYTES_MIN];
static struct journal journal;
static char dir[32], paths[2][FILE_PATH_MAX], lock[FILE_PATH_MAX];

static void on_job(void *arg, const struct journal_job *from, const char *line, size_t len)
{
    (void)arg;
    MUST(len <= CONFIG_EVENT_BYTES && from->rule.len <= 255 && job_count < JOBS);
    MUST(from->state <= JOURNAL_SENT);
    for (unsigned i = 0; i < job_count; i++)
        MUST(jobs[i].id != from->id);
    struct job *job = &jobs[job_count++];
    *job = (struct job){.id = from->id, .state = from->state, .timeout_ms = from->timeout_ms};
    job->len = len < sizeof job->line ? len : sizeof job->line;
    memcpy(job->line, line, job->len);
}

static void on_report(void *arg, const struct journal_report *r)
{
    (void)arg;
    MUST(r->host.len <= 255);
}

static void on_copy(void *arg)
{
    (void)arg;
    for (unsigned i = 0; i < job_count; i++) {
        journal_event(&journal, i, jobs[i].line, jobs[i].len);
        journal_job(&journal, jobs[i].id, i, "rule");
        if (jobs[i].state)
            journal_state(&journal, jobs[i].id, jobs[i].state, jobs[i].timeout_ms);
    }
}

static uint32_t open_journal(void)
{
    const struct journal_hooks hooks = {on_job, on_copy, on_report, NULL};
    char why_text[200];
    struct text why;
    uint32_t hash = HASH_START;

    text_init(&why, why_text, sizeof why_text);
    seen_init(&seen, slots, chains, HOSTS);
    journal_init(&journal, buf, sizeof buf, &seen, &hooks);
    job_count = 0;
    MUST(journal_open(&journal, dir, 65536, true, &why) == 0 && !journal_dirty(&journal));
    for (unsigned i = 0; i < job_count; i++) {
        hash = hash_bytes(hash, &jobs[i].id, sizeof jobs[i].id);
        hash = hash_bytes(hash, &jobs[i].state, sizeof jobs[i].state);
        hash = hash_bytes(hash, &jobs[i].timeout_ms, sizeof jobs[i].timeout_ms);
        hash = hash_bytes(hash, jobs[i].line, jobs[i].len);
    }
    for (uint32_t i = seen.oldest; i; i = slots[i - 1].newer) {
        uint8_t bytes[HOST_BYTES];
        host_store(&slots[i - 1], bytes);
        hash = hash_bytes(hash, bytes, sizeof bytes);
    }
    return hash;
}

/** One frame of a list: each number is one byte. */
static size_t make_frame(uint8_t *out, uint8_t kind, const unsigned char *p, size_t len,
                         size_t turn)
{
    uint8_t bytes[300] = {0};
    size_t n = 0;

    for (size_t numbers = kind == COMMIT ? 2 : kind == 4 ? 2 : kind == 2 || kind == 5 || kind == 6;
         numbers > 0 && len > 0; numbers--, p++, len--, n += 8)
        bytes[n + 7] = *p;
    if (kind == COMMIT && n == 16) {
        put_be32(bytes + n, (uint32_t)turn);
        n += 4;
    } else {
        memcpy(bytes + n, p, len);
        n += len;
    }
    frame_header(out, kind, bytes, n, NULL, 0);
    memcpy(out + FRAME_HEADER, bytes, n);
    return FRAME_HEADER + n;
}

static size_t make_file(uint8_t *out, size_t cap, const unsigned char *p, size_t size)
{
    size_t len = 0, turn = 0;

    while (size >= 2 && cap - len > 400) {
        uint8_t kind = p[0] & 0x7F;
        bool damaged = p[0] & 0x80;
        size_t n = p[1] < size - 2 ? p[1] : size - 2;
        size_t made = make_frame(out + len, kind, p + 2, n, len - turn);

        out[len + made - 1] ^= damaged;
        len += made;
        if (kind == COMMIT)
            turn = len;
        p += 2 + n;
        size -= 2 + n;
    }
    return len;
}

static void write_file(unsigned i, const unsigned char *data, size_t size, bool listed)
{
    static uint8_t made[INPUT];
    int fd = open(paths[i], O_WRONLY | O_CREAT | O_TRUNC, 0600);

    if (listed) {
        size = make_file(made, sizeof made, data, size);
        data = made;
    }
    MUST(fd >= 0 && write(fd, data, size) == (ssize_t)size);
    close(fd);
}

static void clean_up(void)
{
    unlink(paths[0]);
    unlink(paths[1]);
    unlink(lock);
    rmdir(dir);
}

static void make_dir(void)
{
    memcpy(dir, "/tmp/nefia-frames-XXXXXX", 25);
    MUST(mkdtemp(dir) != NULL);
    MUST(file_join(paths[0], dir, "journal.0") == 0);
    MUST(file_join(paths[1], dir, "journal.1") == 0);
    MUST(file_join(lock, dir, "journal.lock") == 0);
    atexit(clean_up);
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);
int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    if (size < 3 || size > INPUT)
        return 0;
    if (data[0] % 3 == 0) {
        read_frames(data + 1, size - 1);
        return 0;
    }
    if (!dir[0])
        make_dir();
    size_t first = get_be16(data + 1), rest = size - 3;
    if (first > rest)
        first = rest;
    write_file(0, data + 3, first, data[0] % 3 == 2);
    write_file(1, data + 3 + first, rest - first, data[0] % 3 == 2);
    uint32_t hash = open_journal();
    journal_close(&journal);
    MUST(open_journal() == hash && journal.stats.damaged == 0 && journal.stats.torn == 0);
    journal_close(&journal);
    return 0;
}
