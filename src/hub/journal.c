#include "nefia/hub/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "nefia/base/bytes.h"
#include "nefia/base/err.h"
#include "nefia/sys/file.h"
#include "nefia/sys/frames.h"

/* On-disk format: never renumber. */
enum kind {
    KIND_HOST = 1,
    KIND_EVENT = 2,
    KIND_SEEN = 3,
    KIND_JOB = 4,
    KIND_STATE = 5,
    KIND_END = 6,
    KIND_COMMIT = 7,
    KIND_HELLO = 8,
    KIND_UNPIN = 9,
    KIND_FORGET = 10,
    KIND_REPORT = 11,
    KIND_KEPT = 12,
    KIND_WHEN = 13,
    KIND_DECIDED = 14,
    KIND_RESULT = 15,
    KIND_RELOAD = 16,
};
enum {
    EVENT_HEAD = 8,
    SEEN_BYTES = SESSION_HOST + 1 + LINK_NAME + 16,
    HELLO_BYTES = SESSION_HOST + 1 + LINK_NAME + 8,
    JOB_HEAD = 16,
    STATE_BYTES = 13,
    START_BYTES = 8, /* of a STATE as it was once written: the job had started */
    END_BYTES = 9,
    COMMIT_BYTES = 20,
    REPORT_HEAD = 22,
    KEPT_HEAD = 3,
    WHEN_BYTES = 25,
    DECIDED_HEAD = 13,
    RESULT_HEAD = 17,
    RELOAD_BYTES = 16,
    RULE_MAX = 255,
    /* Part of the buffer used while files are read: a frame, or a rule name and an event. */
    READ_BYTES = (CONFIG_EVENT_BYTES > JOURNAL_KEPT_MAX ? CONFIG_EVENT_BYTES : JOURNAL_KEPT_MAX) + 512,
    LIVE_BYTES = STATE_BYTES, /* in the rest: per unfinished job what a STATE says */
};
static const char *const file_names[2] = {"journal.0", "journal.1"};
#define LOCK_NAME "journal.lock"

/* ---- Appending ---- */

/** Write the buffer to the file. */
static void flush(struct journal *s)
{
    const uint8_t *p = s->buf;

    while (s->len > 0 && !s->error) {
        ssize_t n = pwrite(s->fd, p, s->len, (off_t)s->size);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            s->error = n < 0 ? errno : ENOSPC;
            break;
        }
        p += n;
        s->len -= (size_t)n;
        s->size += (size_t)n;
        s->stats.bytes += (size_t)n;
    }
    s->len = 0;
}

static void put(struct journal *s, enum kind kind, const void *a, size_t a_len, const void *b,
                size_t b_len)
{
    size_t total = FRAME_HEADER + a_len + b_len;

    if (s->fd < 0 || s->error)
        return;
    if (total > s->cap - s->len)
        flush(s);
    if (total > s->cap)
        s->error = EMSGSIZE;
    if (s->error)
        return;
    uint8_t *p = s->buf + s->len;
    frame_header(p, (uint8_t)kind, a, a_len, b, b_len);
    memcpy(p + FRAME_HEADER, a, a_len);
    if (b_len > 0)
        memcpy(p + FRAME_HEADER + a_len, b, b_len);
    s->len += total;
    s->stats.frames++;
}

static void note_id(struct journal *s, uint64_t id)
{
    if (id > s->last_id)
        s->last_id = id;
}

void journal_event(struct journal *s, uint64_t id, const char *line, size_t len)
{
    uint8_t head[EVENT_HEAD];

    note_id(s, id);
    put_be64(head, id);
    put(s, KIND_EVENT, head, sizeof head, line, len);
}

/** id, one byte, name, boot: the beginning of SEEN, and a HELLO. */
static void put_start(uint8_t bytes[HELLO_BYTES], const uint8_t id[SESSION_HOST], uint8_t byte,
                      const uint8_t name[LINK_NAME], uint64_t boot)
{
    memcpy(bytes, id, SESSION_HOST);
    bytes[SESSION_HOST] = byte;
    memcpy(bytes + SESSION_HOST + 1, name, LINK_NAME);
    put_be64(bytes + SESSION_HOST + 1 + LINK_NAME, boot);
}

void journal_seen(struct journal *s, const uint8_t id[SESSION_HOST], enum window_kind kind,
                  const uint8_t name[LINK_NAME], uint64_t boot, uint64_t seq)
{
    uint8_t bytes[SEEN_BYTES];

    put_start(bytes, id, (uint8_t)kind, name, boot);
    put_be64(bytes + HELLO_BYTES, seq);
    put(s, KIND_SEEN, bytes, sizeof bytes, NULL, 0);
}

void journal_hello(struct journal *s, const uint8_t id[SESSION_HOST], bool plain,
                   const uint8_t name[LINK_NAME], uint64_t boot)
{
    uint8_t bytes[HELLO_BYTES];

    put_start(bytes, id, plain, name, boot);
    put(s, KIND_HELLO, bytes, sizeof bytes, NULL, 0);
}

void journal_unpin(struct journal *s, const uint8_t id[SESSION_HOST])
{
    put(s, KIND_UNPIN, id, SESSION_HOST, NULL, 0);
}

void journal_forget(struct journal *s, const uint8_t id[SESSION_HOST])
{
    put(s, KIND_FORGET, id, SESSION_HOST, NULL, 0);
}

void journal_job(struct journal *s, uint64_t id, uint64_t event, const char *rule)
{
    uint8_t head[JOB_HEAD];

    note_id(s, id);
    put_be64(head, id);
    put_be64(head + 8, event);
    put(s, KIND_JOB, head, sizeof head, rule, strlen(rule));
}

void journal_state(struct journal *s, uint64_t id, enum journal_job_state state, uint32_t timeout_ms)
{
    uint8_t bytes[STATE_BYTES];

    put_be64(bytes, id);
    bytes[8] = (uint8_t)state;
    put_be32(bytes + 9, timeout_ms);
    put(s, KIND_STATE, bytes, sizeof bytes, NULL, 0);
}

void journal_end(struct journal *s, uint64_t id, uint8_t state)
{
    uint8_t bytes[END_BYTES];

    put_be64(bytes, id);
    bytes[8] = state;
    put(s, KIND_END, bytes, sizeof bytes, NULL, 0);
}

void journal_report(struct journal *s, const struct journal_report *r)
{
    uint8_t head[REPORT_HEAD];

    head[0] = r->slot;
    head[1] = r->kind;
    put_be32(head + 2, r->count);
    put_be64(head + 6, r->boot);
    put_be64(head + 14, r->seq);
    put(s, KIND_REPORT, head, sizeof head, r->host.ptr, r->host.len);
}

void journal_when(struct journal *s, uint64_t event, const struct journal_time *t)
{
    uint8_t bytes[WHEN_BYTES];

    put_be64(bytes, event);
    put_be64(bytes + 8, t->ran_ms);
    put_be64(bytes + 16, (uint64_t)t->unix_s);
    bytes[24] = t->flags;
    put(s, KIND_WHEN, bytes, sizeof bytes, NULL, 0);
}

void journal_decided(struct journal *s, uint64_t event, enum journal_decision d, uint32_t detail, const char *rule)
{
    uint8_t head[DECIDED_HEAD];

    put_be64(head, event);
    head[8] = (uint8_t)d;
    put_be32(head + 9, detail);
    put(s, KIND_DECIDED, head, sizeof head, rule, strlen(rule));
}

void journal_result(struct journal *s, uint64_t job, uint64_t ran_ms, uint8_t result, const char *rule)
{
    uint8_t head[RESULT_HEAD];

    put_be64(head, job);
    put_be64(head + 8, ran_ms);
    head[16] = result;
    put(s, KIND_RESULT, head, sizeof head, rule, strlen(rule));
}

void journal_reloaded(struct journal *s, uint64_t ran_ms, int64_t unix_s)
{
    uint8_t bytes[RELOAD_BYTES];

    put_be64(bytes, ran_ms);
    put_be64(bytes + 8, (uint64_t)unix_s);
    put(s, KIND_RELOAD, bytes, sizeof bytes, NULL, 0);
}

void journal_keeper(struct journal *s, enum journal_kept kind, const struct journal_keeper *keeper)
{
    s->keepers[kind] = *keeper;
}

void journal_keep(struct journal *s, enum journal_kept kind, uint16_t slot, const void *bytes, size_t len)
{
    uint8_t head[KEPT_HEAD];

    head[0] = (uint8_t)kind;
    head[1] = (uint8_t)(slot >> 8);
    head[2] = (uint8_t)slot;
    put(s, KIND_KEPT, head, sizeof head, bytes, len);
}

/* ---- Committing ---- */

static uint64_t turn_bytes(const struct journal *s)
{
    return s->size + s->len - s->committed;
}

static int sync_file(int fd)
{
    int err;

    do
        err = fdatasync(fd);
    while (err < 0 && errno == EINTR);
    return err;
}

static int end_turn(struct journal *s, bool sync)
{
    uint8_t bytes[COMMIT_BYTES];

    put_be64(bytes, s->generation);
    put_be64(bytes + 8, s->last_id);
    put_be32(bytes + 16, (uint32_t)turn_bytes(s));
    put(s, KIND_COMMIT, bytes, sizeof bytes, NULL, 0);
    flush(s);
    if (!s->error && sync) {
        s->stats.syncs++;
        if (sync_file(s->fd) < 0)
            s->error = errno;
    }
    if (s->error)
        return NEFIA_EIO;
    s->committed = s->size;
    return 0;
}

static void put_seen(struct journal *s)
{
    uint8_t bytes[HOST_BYTES];

    for (uint32_t i = s->seen->oldest; i; i = s->seen->slots[i - 1].newer) {
        host_store(&s->seen->slots[i - 1], bytes);
        put(s, KIND_HOST, bytes, sizeof bytes, NULL, 0);
    }
}

/** Write a complete new file and sync it. Return: 0 or NEFIA_EIO (s->error). */
static int fill_file(struct journal *s)
{
    const char *name = file_names[s->file];

    s->size = s->committed = s->len = 0;
    s->error = 0;
    s->fd = -1;
    /* A new file, not the old one truncated: old contents cannot reappear in it. */
    if (unlinkat(s->dir_fd, name, 0) == 0 || errno == ENOENT)
        s->fd = openat(s->dir_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (s->fd < 0) {
        s->error = errno;
        return NEFIA_EIO;
    }
    put_seen(s);
    s->hooks.copy(s->hooks.arg);
    for (unsigned i = 0; i < KEPT_KINDS; i++)
        if (s->keepers[i].copy)
            s->keepers[i].copy(s->keepers[i].arg);
    if (end_turn(s, true) < 0)
        return NEFIA_EIO;
    s->stats.syncs++;
    /* Some file systems cannot sync a directory and fail with EINVAL; nothing more can be done. */
    if (fsync(s->dir_fd) < 0 && errno != EINVAL) {
        s->error = errno;
        return NEFIA_EIO;
    }
    return 0;
}

/** Switch to the other file. Return: 0 or NEFIA_EIO (s->error): the current one stays in use. */
static int begin_file(struct journal *s)
{
    const int fd = s->fd;
    const uint64_t size = s->size, committed = s->committed;

    s->file = !s->file;
    s->generation++;
    if (fill_file(s) == 0) {
        if (fd >= 0)
            close(fd);
        s->limit = 2 * s->size > s->bound ? 2 * s->size : s->bound;
        s->stats.rotations++;
        return 0;
    }
    if (s->fd >= 0) {
        close(s->fd);
        unlinkat(s->dir_fd, file_names[s->file], 0);
    }
    s->fd = fd;
    s->file = !s->file;
    s->size = size;
    s->committed = committed;
    s->len = 0;
    /* Even if it reached the disk, the current file is the newer one from now on. */
    s->generation++;
    return NEFIA_EIO;
}

static int refused(struct journal *s)
{
    s->stats.failed++;
    errno = s->error;
    return NEFIA_EIO;
}

int journal_commit(struct journal *s)
{
    if (!journal_dirty(s))
        return 0;
    if (s->error) {
        /* The copy hook rewrites everything from memory, so nothing of the turn is needed. */
        if (s->fd >= 0 && s->size > s->committed && ftruncate(s->fd, (off_t)s->committed) == 0)
            s->size = s->committed;
        if (begin_file(s) < 0)
            return refused(s);
        s->stats.commits++;
        return 0;
    }
    if (end_turn(s, s->sync) < 0) {
        if (ftruncate(s->fd, (off_t)s->committed) == 0)
            s->size = s->committed;
        return refused(s);
    }
    s->stats.commits++;
    if (s->size > s->limit && begin_file(s) < 0) {
        /* The turn is already durable. */
        s->error = 0;
        s->limit = s->size + s->bound;
    }
    return 0;
}

bool journal_dirty(const struct journal *s)
{
    return s->dir_fd >= 0 && (s->error || turn_bytes(s) > 0);
}

/* ---- Replay ---- */

/** A journal file during replay. */
struct source {
    int fd; /* -1: missing */
    uint64_t generation, last_id;
    uint64_t end; /* of the valid turns; 0: none */
    uint64_t size, damaged;
};

static void read_from(struct journal *s, struct frame_reader *r, const struct source *f)
{
    frame_reader_init(r, f->fd, s->buf, READ_BYTES);
}

/** The next valid frame. */
static int next_frame(struct frame_reader *r, const struct source *f, struct frame *frame)
{
    int more = frame_next(r, frame);

    return more > 0 && frame->at >= f->end ? 0 : more;
}

/** Find the file's last turn. */
static int survey(struct journal *s, struct source *f)
{
    struct frame_reader r;
    struct frame frame;
    uint64_t whole = 0, damaged = 0; /* whole: everything from there on is intact */
    int more;

    read_from(s, &r, f);
    while ((more = frame_next(&r, &frame)) > 0) {
        if (r.damaged != damaged)
            whole = frame.at;
        damaged = r.damaged;
        if (frame.kind != KIND_COMMIT || frame.len != COMMIT_BYTES)
            continue;
        uint64_t turn = get_be32(frame.bytes + 16);
        if (turn > frame.at)
            continue;
        f->generation = get_be64(frame.bytes);
        f->last_id = get_be64(frame.bytes + 8);
        f->end = whole <= frame.at - turn ? r.end : frame.at - turn;
    }
    f->size = r.end + r.torn;
    f->damaged = r.damaged;
    return more;
}

/** Do again what was done to the hosts. */
static void replay_host(struct seen *h, const struct frame *frame)
{
    const uint8_t *p = frame->bytes, *byte = p + SESSION_HOST, *name = byte + 1,
                  *numbers = name + LINK_NAME;

    if (frame->kind == KIND_HOST)
        seen_restore(h, p, frame->len);
    else if (frame->kind == KIND_SEEN && frame->len == SEEN_BYTES)
        seen_take(h, seen_get(h, p), *byte == WINDOW_LINK || *byte == WINDOW_IMPORT ? (enum window_kind)*byte : WINDOW_PLAIN, name,
                  get_be64(numbers), get_be64(numbers + 8));
    else if (frame->kind == KIND_HELLO && frame->len == HELLO_BYTES)
        seen_hello(h, seen_get(h, p), get_be64(numbers), name, *byte);
    else if (frame->kind == KIND_UNPIN && frame->len == SESSION_HOST && seen_find(h, p))
        seen_unpin(seen_find(h, p));
    else if (frame->kind == KIND_FORGET && frame->len == SESSION_HOST)
        seen_forget(h, p);
}

static void replay_report(struct journal *s, const struct frame *frame)
{
    const uint8_t *p = frame->bytes;

    if (frame->kind != KIND_REPORT || frame->len < REPORT_HEAD || frame->len > REPORT_HEAD + 255)
        return;
    s->hooks.report(s->hooks.arg,
                    &(struct journal_report){
                        .slot = p[0],
                        .kind = p[1],
                        .count = get_be32(p + 2),
                        .boot = get_be64(p + 6),
                        .seq = get_be64(p + 14),
                        .host = {(const char *)p + REPORT_HEAD, frame->len - REPORT_HEAD},
                    });
}

static void replay_kept(struct journal *s, const struct frame *frame)
{
    const uint8_t *p = frame->bytes;

    if (frame->kind != KIND_KEPT || frame->len < KEPT_HEAD || frame->len > KEPT_HEAD + JOURNAL_KEPT_MAX ||
        p[0] >= KEPT_KINDS || !s->keepers[p[0]].restore)
        return;
    s->keepers[p[0]].restore(s->keepers[p[0]].arg, (uint16_t)(p[1] << 8 | p[2]), p + KEPT_HEAD, frame->len - KEPT_HEAD);
}

/** All but the jobs. */
static int replay_state(struct journal *s, const struct source *f)
{
    struct frame_reader r;
    struct frame frame;
    int more;

    read_from(s, &r, f);
    while ((more = next_frame(&r, f, &frame)) > 0) {
        replay_host(s->seen, &frame);
        replay_report(s, &frame);
        replay_kept(s, &frame);
    }
    return more;
}

/** Jobs found between two offsets of a file that have no END in it. */
struct round {
    uint64_t from, to;
    uint8_t *live;
    size_t count, room;
};

/** Index of a job, or r->count. */
static size_t find_live(const struct round *r, uint64_t id)
{
    /* The newest are looked up most often. */
    for (size_t i = r->count; i-- > 0;)
        if (get_be64(r->live + i * LIVE_BYTES) == id)
            return i;
    return r->count;
}

static void remove_live(struct round *r, size_t i)
{
    uint8_t *entry = r->live + i * LIVE_BYTES;

    r->count--;
    memmove(entry, entry + LIVE_BYTES, (r->count - i) * LIVE_BYTES);
}

static void collect_job(struct round *r, const struct frame *frame)
{
    uint64_t id = get_be64(frame->bytes);

    if (frame->at < r->from || frame->at >= r->to || find_live(r, id) < r->count)
        return;
    if (r->count == r->room) {
        r->to = frame->at;
        return;
    }
    uint8_t *entry = r->live + r->count++ * LIVE_BYTES;
    put_be64(entry, id);
    memset(entry + 8, 0, LIVE_BYTES - 8); /* JOURNAL_QUEUED */
}

static void note_state(uint8_t live[LIVE_BYTES], const struct frame *frame)
{
    if (frame->len == STATE_BYTES)
        memcpy(live, frame->bytes, STATE_BYTES);
    else
        live[8] = JOURNAL_STARTED;
}

static int collect(struct journal *s, const struct source *f, struct round *round)
{
    struct frame_reader r;
    struct frame frame;
    int more;

    read_from(s, &r, f);
    while ((more = next_frame(&r, f, &frame)) > 0) {
        if (frame.kind == KIND_JOB && frame.len >= JOB_HEAD)
            collect_job(round, &frame);
        if ((frame.kind != KIND_STATE || (frame.len != STATE_BYTES && frame.len != START_BYTES)) &&
            (frame.kind != KIND_END || frame.len != END_BYTES))
            continue;
        size_t i = find_live(round, get_be64(frame.bytes));
        if (i < round->count && frame.kind == KIND_STATE)
            note_state(round->live + i * LIVE_BYTES, &frame);
        else if (i < round->count)
            remove_live(round, i);
    }
    return more;
}

/** Location of an event's line in a file. */
struct line_at {
    uint64_t id, at;
    size_t len; /* 0: none */
};

/** live: as a STATE. Overwrites the buffer, which the reader must refill. */
static int report_job(struct journal *s, const struct source *f, const struct frame *frame,
                      const struct line_at *event, const uint8_t live[LIVE_BYTES])
{
    struct journal_job job = {
        .id = get_be64(frame->bytes),
        .event = get_be64(frame->bytes + 8),
        .state = live[8] <= JOURNAL_SENT ? (enum journal_job_state)live[8] : JOURNAL_STARTED,
        .timeout_ms = get_be32(live + 9),
    };
    size_t rule_len = frame->len - JOB_HEAD;
    struct line_at line = {0};

    if (rule_len > RULE_MAX)
        rule_len = RULE_MAX;
    if (event->id == job.event)
        line = *event;
    memmove(s->buf, frame->bytes + JOB_HEAD, rule_len);
    /* Again: there may be more between it and the job than the buffer holds. */
    long n = file_fill_at(f->fd, line.at, s->buf + rule_len, line.len);
    if (n < 0)
        return (int)n;
    job.rule = (struct slice){(const char *)s->buf, rule_len};
    s->hooks.job(s->hooks.arg, &job, (const char *)s->buf + rule_len, line.len);
    return 0;
}

static int report(struct journal *s, const struct source *f, struct round *round)
{
    struct frame_reader r;
    struct frame frame;
    struct line_at event = {0};
    int more;

    read_from(s, &r, f);
    while ((more = next_frame(&r, f, &frame)) > 0 && frame.at < round->to) {
        if (frame.kind == KIND_EVENT && frame.len >= EVENT_HEAD &&
            frame.len <= EVENT_HEAD + CONFIG_EVENT_BYTES)
            event = (struct line_at){get_be64(frame.bytes), frame.at + FRAME_HEADER + EVENT_HEAD,
                                     frame.len - EVENT_HEAD};
        if (frame.kind != KIND_JOB || frame.len < JOB_HEAD || frame.at < round->from)
            continue;
        size_t i = find_live(round, get_be64(frame.bytes));
        if (i == round->count)
            continue;
        uint8_t live[LIVE_BYTES];
        memcpy(live, round->live + i * LIVE_BYTES, LIVE_BYTES);
        remove_live(round, i);
        int err = report_job(s, f, &frame, &event, live);
        if (err < 0)
            return err;
        frame_reader_seek(&r, r.end);
    }
    return more < 0 ? more : 0;
}

static int replay_jobs(struct journal *s, const struct source *f)
{
    struct round r = {
        .live = s->buf + READ_BYTES, .room = (s->cap - READ_BYTES) / LIVE_BYTES, .to = 0};

    do {
        r.from = r.to;
        r.to = f->end;
        r.count = 0;
        int err = collect(s, f, &r);
        err = err < 0 ? err : report(s, f, &r);
        if (err < 0)
            return err;
    } while (r.to < f->end);
    return 0;
}

/* ---- Opening ---- */

void journal_init(struct journal *s, uint8_t *buf, size_t cap, struct seen *seen,
                  const struct journal_hooks *hooks)
{
    *s = (struct journal){
        .dir_fd = -1,
        .lock_fd = -1,
        .fd = -1,
        .buf = buf,
        .cap = cap,
        .seen = seen,
        .hooks = *hooks,
    };
}

/** Write a sentence from errno to why. */
static int cannot(const struct journal *s, const char *what, const char *name, struct text *why)
{
    char path[FILE_PATH_MAX];
    int error = errno;

    text_str(why, "cannot ");
    text_str(why, what);
    text_char(why, ' ');
    text_str(why, file_join(path, s->dir, name) < 0 ? s->dir : path);
    text_str(why, ": ");
    text_str(why, ERRNO(error));
    return NEFIA_EIO;
}

static int open_dir(struct journal *s, struct text *why)
{
    if (mkdir(s->dir, 0700) < 0 && errno != EEXIST) {
        cannot(s, "make", "", why);
        text_str(
            why,
            HINTED("", "; create it, or set reactor.state_dir to a directory writable by the hub"));
        return NEFIA_EIO;
    }
    s->dir_fd = open(s->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (s->dir_fd >= 0)
        s->lock_fd = openat(s->dir_fd, LOCK_NAME, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (s->lock_fd < 0) {
        cannot(s, "open", s->dir_fd < 0 ? "" : LOCK_NAME, why);
        text_str(why, HINTED("", "; the hub's user must own reactor.state_dir"));
        return NEFIA_EIO;
    }
    int err = file_lock(s->lock_fd);
    if (err == 0)
        return 0;
    if (err != NEFIA_EEXIST)
        return cannot(s, "lock", LOCK_NAME, why);
    text_str(why, s->dir);
    text_str(why, HINTED(": in use by another hub",
                         "; stop that one, or set another reactor.state_dir"));
    return NEFIA_EIO;
}

static int open_source(struct journal *s, struct source *f, const char *name, struct text *why)
{
    struct stat st;

    f->fd = openat(s->dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (f->fd < 0 && errno == ENOENT)
        return 0;
    if (f->fd >= 0 && fstat(f->fd, &st) == 0 && !S_ISREG(st.st_mode))
        errno = EINVAL;
    else if (f->fd >= 0 && survey(s, f) == 0)
        return 0;
    cannot(s, "read", name, why);
    text_str(why, HINTED("", "; move it away to start without its contents"));
    return NEFIA_EIO;
}

static int replay(struct journal *s, struct source files[2], struct text *why)
{
    const struct source *f = NULL;

    for (unsigned i = 0; i < 2; i++) {
        if (files[i].end > 0 && (!f || files[i].generation > f->generation))
            f = &files[i];
        if (files[i].generation > s->generation)
            s->generation = files[i].generation;
    }
    for (unsigned i = 0; i < 2; i++)
        if (&files[i] == f || files[i].end == 0) {
            s->stats.damaged += files[i].damaged;
            s->stats.torn += files[i].size - files[i].end;
        }
    s->file = f != &files[0];
    if (!f) {
        /* The first file is written next; the other one's contents would be replayed again. */
        unlinkat(s->dir_fd, file_names[1], 0);
        return 0;
    }
    note_id(s, f->last_id);
    if (replay_state(s, f) == 0 && replay_jobs(s, f) == 0)
        return 0;
    return cannot(s, "read", file_names[s->file], why);
}

static int open_files(struct journal *s, struct text *why)
{
    struct source files[2] = {{.fd = -1}, {.fd = -1}};
    int err = 0;

    for (unsigned i = 0; i < 2 && err == 0; i++)
        err = open_source(s, &files[i], file_names[i], why);
    if (err == 0)
        err = replay(s, files, why);
    for (unsigned i = 0; i < 2; i++)
        if (files[i].fd >= 0)
            close(files[i].fd);
    return err;
}

/** Start the file that receives new frames. */
static int open_fresh(struct journal *s, struct text *why)
{
    if (begin_file(s) == 0)
        return 0;
    errno = s->error;
    cannot(s, "write", file_names[!s->file], why);
    if (s->error == ENOSPC || s->error == EDQUOT || s->error == EFBIG) {
        text_str(why, "; events are not acknowledged until there is room");
        return 0;
    }
    text_str(why, HINTED("", "; set reactor.state_dir to a directory writable by the hub"));
    return NEFIA_EIO;
}

int journal_open(struct journal *s, const char *dir, uint64_t bound, bool sync, struct text *why)
{
    if (!dir || !*dir)
        return 0;
    if (file_join(s->path, "", dir) < 0) {
        text_str(why, "reactor.state_dir is too long");
        return NEFIA_EIO;
    }
    s->dir = s->path;
    s->bound = bound;
    s->sync = sync;
    int err = open_dir(s, why);
    err = err < 0 ? err : open_files(s, why);
    err = err < 0 ? err : open_fresh(s, why);
    if (err < 0)
        journal_close(s);
    return err;
}

static void close_one(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

void journal_close(struct journal *s)
{
    close_one(&s->fd);
    close_one(&s->dir_fd);
    close_one(&s->lock_fd);
    s->dir = NULL;
    s->len = 0;
}

/* ---- Looking back ---- */

/** A frame as a record. Return: false: it is of no interest, or none. */
static bool record_of(const struct frame *f, struct journal_record *r)
{
    const uint8_t *p = f->bytes;
    static const struct {
        uint8_t kind, record, head; /* head: bytes before its text */
        bool text;
    } kinds[] = {
        {KIND_EVENT, JOURNAL_EVENT, EVENT_HEAD, true},       {KIND_WHEN, JOURNAL_WHEN, WHEN_BYTES, false},
        {KIND_JOB, JOURNAL_JOB, JOB_HEAD, true},             {KIND_DECIDED, JOURNAL_DECIDED, DECIDED_HEAD, true},
        {KIND_RESULT, JOURNAL_RESULT, RESULT_HEAD, true},    {KIND_END, JOURNAL_END, END_BYTES, false},
        {KIND_RELOAD, JOURNAL_RELOAD, RELOAD_BYTES, false},  {KIND_KEPT, JOURNAL_KEPT, KEPT_HEAD, true},
    };
    unsigned i = 0;

    while (i < ARRAY_SIZE(kinds) && kinds[i].kind != f->kind)
        i++;
    if (i == ARRAY_SIZE(kinds) || f->len < kinds[i].head || (!kinds[i].text && f->len != kinds[i].head))
        return false;
    *r = (struct journal_record){.kind = (enum journal_record_kind)kinds[i].record,
                                 .bytes = {(const char *)p + kinds[i].head, f->len - kinds[i].head}};
    if (r->kind == JOURNAL_KEPT) {
        r->code = p[0];
        r->detail = (uint32_t)(p[1] << 8 | p[2]);
        return true;
    }
    if (r->kind == JOURNAL_RELOAD)
        r->time.ran_ms = get_be64(p);
    else
        r->id = get_be64(p);
    if (r->kind == JOURNAL_WHEN)
        r->time = (struct journal_time){get_be64(p + 8), (int64_t)get_be64(p + 16), p[24]};
    if (r->kind == JOURNAL_JOB)
        r->event = get_be64(p + 8);
    if (r->kind == JOURNAL_DECIDED || r->kind == JOURNAL_END)
        r->code = p[8];
    if (r->kind == JOURNAL_DECIDED)
        r->detail = get_be32(p + 9);
    if (r->kind == JOURNAL_RESULT) {
        r->time.ran_ms = get_be64(p + 8);
        r->code = p[16];
    }
    return true;
}

static int look_into(struct journal *s, const struct source *f, int (*record)(void *arg, const struct journal_record *r), void *arg)
{
    struct journal_record r = {.kind = JOURNAL_BEGINS};
    struct frame_reader reader;
    struct frame frame;
    int more, err = record(arg, &r);

    read_from(s, &reader, f);
    while (err >= 0 && (more = next_frame(&reader, f, &frame)) != 0) {
        if (more < 0)
            return more;
        if (record_of(&frame, &r))
            err = record(arg, &r);
    }
    return err < 0 ? err : 0;
}

/** Open both files of a directory, or the one that path is. */
static int open_to_look(struct journal *s, const char *path, struct source files[2], struct text *why)
{
    int err = 0;

    s->dir = path;
    s->dir_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (s->dir_fd < 0 && errno != ENOTDIR)
        return cannot(s, "open", "", why);
    if (s->dir_fd >= 0) {
        for (unsigned i = 0; i < 2 && err == 0; i++)
            err = open_source(s, &files[i], file_names[i], why);
        return err;
    }
    files[0].fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (files[0].fd >= 0 && survey(s, &files[0]) == 0)
        return 0;
    return cannot(s, "read", "", why);
}

int journal_look(struct journal *s, const char *path, int (*record)(void *arg, const struct journal_record *r), void *arg,
                 struct text *why)
{
    struct source files[2] = {{.fd = -1}, {.fd = -1}};
    int err = open_to_look(s, path, files, why);

    if (err == 0 && files[0].end == 0 && files[1].end == 0) {
        text_str(why, path);
        text_str(why, ": no journal of a hub");
        err = NEFIA_EIO;
    }
    const unsigned first = files[1].end > 0 && (files[0].end == 0 || files[1].generation < files[0].generation);
    for (unsigned i = 0; i < 2 && err == 0; i++)
        if (files[i ^ first].end > 0)
            err = look_into(s, &files[i ^ first], record, arg);
    for (unsigned i = 0; i < 2; i++)
        close_one(&files[i].fd);
    journal_close(s);
    return err;
}
