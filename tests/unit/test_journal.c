#include "nefia/hub/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "check.h"
#include "nefia/base/bytes.h"
#include "nefia/base/err.h"
#include "nefia/sys/file.h"
#include "nefia/sys/frames.h"
#include "tempdir.h"

enum { HOSTS = 6, REPORTS = 2, JOBS = 2000, IMAGE = 64 * 1024, FRAMES = 512 };
enum { HOST_FRAME = 1, EVENT_FRAME, SEEN_FRAME, JOB_FRAME, STATE_FRAME, END_FRAME, COMMIT_FRAME,
       HELLO_FRAME, UNPIN_FRAME, FORGET_FRAME, REPORT_FRAME };

/* ---- The disk: syncs are counted, and fail on demand ---- */

static unsigned syncs, failing_sync; /* failing_sync: which one fails, from 1; 0: none */
static void (*before_failing)(void);

static int sync_or_fail(void)
{
    if (++syncs != failing_sync)
        return 0;
    if (before_failing)
        before_failing();
    errno = EIO;
    return -1;
}

int fdatasync(int fd)
{
    return fd < 0 ? -1 : sync_or_fail();
}

int fsync(int fd)
{
    return fd < 0 ? -1 : sync_or_fail();
}

/* ---- What a hub has in memory ---- */

struct job {
    uint64_t row, event;
    uint32_t line, len; /* line: hash of the line */
    char rule;
    uint8_t state; /* enum journal_job_state */
    uint32_t timeout_ms;
};
struct report {
    uint32_t count, host; /* host: hash of it; like the others 0 when count is */
    uint64_t boot, seq;
};
struct state {
    struct report reports[REPORTS];
    struct job jobs[JOBS];
    unsigned count;
    uint8_t hosts[HOSTS][HOST_BYTES]; /* in order */
    unsigned host_count;
};

static struct state now, after; /* now: the running hub; after: according to the reference */
static struct host slots[HOSTS];
static uint32_t chains[HOSTS];
static struct seen seen;
static uint8_t buf[JOURNAL_BYTES_MIN];
static struct journal journal;
static char line[CONFIG_EVENT_BYTES], why_text[256];
static char memory_dir[] = "/dev/shm/nefia-journal-XXXXXX", disk_dir[] = "/tmp/nefia-journal-XXXXXX";
static char *dir;
static char paths[2][FILE_PATH_MAX], kept[FILE_PATH_MAX], lock[FILE_PATH_MAX];
static uint64_t rows;
static unsigned line_lost;

static void keep_hosts(struct state *st, const struct seen *h)
{
    st->host_count = 0;
    for (uint32_t i = h->oldest; i; i = h->slots[i - 1].newer)
        host_store(&h->slots[i - 1], st->hosts[st->host_count++]);
}

static size_t make_line(uint64_t row, size_t len)
{
    for (size_t i = 0; i < len; i++)
        line[i] = (char)('a' + (int)((row * 7 + i) % 23));
    return len;
}

/** Which event was that line made for? A job's row follows it closely. */
static uint64_t event_of(uint64_t row, const char *text, size_t len)
{
    while (row > 0 && memcmp(line, text, make_line(row, len)) != 0)
        row--;
    return row;
}

static void on_job(void *arg, const struct journal_job *from, const char *text, size_t len)
{
    const uint64_t row = from->id, event = from->event;
    const struct slice rule = from->rule;

    (void)arg;
    CHECK(len == 0 || event == event_of(row, text, len));
    CHECK_INT(rule.len, row % 50 + 1);
    line_lost += len == 0;
    for (unsigned i = 0; i < now.count; i++)
        CHECK(now.jobs[i].row != row);
    if (now.count < JOBS)
        now.jobs[now.count++] = (struct job){
            .row = row,
            .event = event,
            .line = hash_bytes(HASH_START, text, len),
            .len = (uint32_t)len,
            .rule = rule.ptr[rule.len - 1],
            .state = (uint8_t)from->state,
            .timeout_ms = from->timeout_ms,
        };
}

static void on_report(void *arg, const struct journal_report *r)
{
    (void)arg;
    REQUIRE(r->slot < REPORTS);
    now.reports[r->slot] = (struct report){0};
    if (r->count > 0)
        now.reports[r->slot] =
            (struct report){r->count, hash_bytes(HASH_START, r->host.ptr, r->host.len), r->boot, r->seq};
}

static const char *const report_hosts[REPORTS] = {"web", ""};

static void put_report(unsigned slot)
{
    const struct report *r = &now.reports[slot];
    const char *host = report_hosts[slot];

    journal_report(&journal, &(struct journal_report){.slot = (uint8_t)slot,
                                                      .kind = (uint8_t)(slot + 1),
                                                      .count = r->count,
                                                      .boot = r->boot,
                                                      .seq = r->seq,
                                                      .host = {host, strlen(host)}});
}

static void put_job(const struct job *job)
{
    char rule[64];

    memset(rule, job->rule, sizeof rule);
    rule[job->row % 50 + 1] = '\0';
    journal_job(&journal, job->row, job->event, rule);
}

static void on_copy(void *arg)
{
    (void)arg;
    for (unsigned i = 0; i < now.count; i++) {
        struct job *job = &now.jobs[i];
        /* The line was made from the row of its event, which the hub preserves. */
        journal_event(&journal, job->event, line, make_line(job->event, job->len));
        put_job(job);
        if (job->state)
            journal_state(&journal, job->row, (enum journal_job_state)job->state, job->timeout_ms);
    }
    for (unsigned slot = 0; slot < REPORTS; slot++)
        if (now.reports[slot].count > 0)
            put_report(slot);
}

static void remove_files(void)
{
    unlink(paths[0]);
    unlink(paths[1]);
    unlink(kept);
    unlink(lock);
}

static void leave(void)
{
    remove_files();
    rmdir(dir);
}

static void make_paths(void)
{
    if (paths[0][0])
        return;
    dir = make_tempdir(memory_dir, disk_dir);
    REQUIRE(dir);
    file_join(paths[0], dir, "journal.0");
    file_join(paths[1], dir, "journal.1");
    file_join(kept, dir, "kept");
    file_join(lock, dir, "journal.lock");
    atexit(leave);
}

static int open_journal(uint64_t bound, bool sync)
{
    const struct journal_hooks hooks = {on_job, on_copy, on_report, NULL};
    struct text why;

    make_paths();
    text_init(&why, why_text, sizeof why_text);
    seen_init(&seen, slots, chains, HOSTS);
    journal_init(&journal, buf, sizeof buf, &seen, &hooks);
    now.count = 0;
    memset(now.reports, 0, sizeof now.reports);
    line_lost = 0;
    int err = journal_open(&journal, dir, bound, sync, &why);
    keep_hosts(&now, &seen);
    return err;
}

/* ---- What happens to a hub ---- */

static uint8_t ids[HOSTS + 2][SESSION_HOST];

static const uint8_t *id_of(unsigned host)
{
    ids[host][0] = (uint8_t)(host + 1);
    return ids[host];
}

/** Of the hosts with even numbers, which speak the link, or plain. */
static bool note_event(unsigned host, uint64_t boot, uint64_t seq)
{
    const uint8_t *id = id_of(host), name[LINK_NAME] = {(uint8_t)(seq >> 3), 1};
    const enum window_kind kind = host % 2 ? WINDOW_PLAIN : WINDOW_LINK;
    const struct host *known = seen_find(&seen, id);

    if (known && seen_judge(known, kind, boot, seq) != SEEN_NEW)
        return false;
    seen_take(&seen, seen_get(&seen, id), kind, name, boot, seq);
    journal_seen(&journal, id, kind, name, boot, seq);
    keep_hosts(&now, &seen);
    return true;
}

static void take_hello(unsigned host, uint64_t boot, bool plain)
{
    const uint8_t *id = id_of(host), name[LINK_NAME] = {(uint8_t)boot, 2, (uint8_t)host};

    seen_hello(&seen, seen_get(&seen, id), boot, name, plain);
    journal_hello(&journal, id, plain, name, boot);
    keep_hosts(&now, &seen);
}

static void unpin(unsigned host)
{
    struct host *known = seen_find(&seen, id_of(host));

    if (!known)
        return;
    seen_unpin(known);
    journal_unpin(&journal, id_of(host));
    keep_hosts(&now, &seen);
}

static void forget(unsigned host)
{
    if (seen_forget(&seen, id_of(host)))
        journal_forget(&journal, id_of(host));
    keep_hosts(&now, &seen);
}

static void take_event(unsigned host, uint64_t boot, uint64_t seq, unsigned jobs, size_t len)
{
    uint64_t event = rows + 1;

    if (!note_event(host, boot, seq))
        return;
    if (jobs == 0) {
        rows++;
        return;
    }
    journal_event(&journal, event, line, make_line(event, len));
    for (unsigned i = 0; i < jobs && now.count < JOBS; i++) {
        struct job *job = &now.jobs[now.count++];
        *job = (struct job){
            .row = ++rows,
            .event = event,
            .line = hash_bytes(HASH_START, line, len),
            .len = (uint32_t)len,
            .rule = (char)('A' + (int)i),
        };
        put_job(job);
    }
}

static void start(unsigned i)
{
    struct job *job = &now.jobs[i];

    job->state = (uint8_t)(JOURNAL_STARTED + job->row % JOURNAL_SENT);
    job->timeout_ms = (uint32_t)job->row * 0x01020305;
    journal_state(&journal, job->row, (enum journal_job_state)job->state, job->timeout_ms);
}

static void end(unsigned i)
{
    journal_end(&journal, now.jobs[i].row, 2);
    memmove(&now.jobs[i], &now.jobs[i + 1], (now.count - i - 1) * sizeof now.jobs[0]);
    now.count--;
}

/** count 0: it was told. */
static void report(unsigned slot, uint32_t count)
{
    const char *host = report_hosts[slot];

    now.reports[slot] = (struct report){0};
    if (count > 0)
        now.reports[slot] = (struct report){count, hash_bytes(HASH_START, host, strlen(host)), 7, UINT64_MAX};
    put_report(slot);
}

static bool same_state(const struct state *a, const struct state *b)
{
    bool same = a->count == b->count && a->host_count == b->host_count &&
                memcmp(a->reports, b->reports, sizeof a->reports) == 0 &&
                memcmp(a->hosts, b->hosts, a->host_count * sizeof a->hosts[0]) == 0;

    for (unsigned i = 0; same && i < a->count; i++) {
        const struct job *p = &a->jobs[i], *q = &b->jobs[i];
        same = p->row == q->row && p->line == q->line && p->len == q->len && p->rule == q->rule &&
               p->state == q->state && p->timeout_ms == q->timeout_ms;
    }
    return same;
}

static void copy_state(struct state *to, const struct state *from)
{
    memcpy(to->jobs, from->jobs, from->count * sizeof from->jobs[0]);
    memcpy(to->hosts, from->hosts, sizeof from->hosts);
    memcpy(to->reports, from->reports, sizeof from->reports);
    to->count = from->count;
    to->host_count = from->host_count;
}

/* ---- Files as they are on the disk ---- */

struct image {
    uint8_t bytes[IMAGE];
    size_t len;
};
static struct image images[2];

static void load_image(unsigned i)
{
    int fd = open(paths[i], O_RDONLY);

    images[i].len = 0;
    if (fd < 0)
        return;
    ssize_t n = read(fd, images[i].bytes, IMAGE);
    REQUIRE(n >= 0 && n < IMAGE);
    images[i].len = (size_t)n;
    close(fd);
}

static void save_image(unsigned i, size_t len)
{
    int fd = open(paths[i], O_WRONLY | O_CREAT | O_TRUNC, 0600);

    CHECK_INT(write(fd, images[i].bytes, len), len);
    close(fd);
}

/* ---- A reference: the frames in the files, and the state without one of them ---- */

static struct {
    size_t at, len;
    uint8_t kind;
} frames[FRAMES];
static unsigned frame_count;

static void find_frames(const struct image *m)
{
    frame_count = 0;
    for (size_t at = 0; at < m->len && frame_count < FRAMES;) {
        size_t len = FRAME_HEADER + get_be32(m->bytes + at + 4);
        frames[frame_count].at = at;
        frames[frame_count].kind = m->bytes[at + 2];
        frames[frame_count++].len = len;
        at += len;
    }
    CHECK(frame_count < FRAMES);
}

static struct job *after_job(uint64_t row)
{
    for (unsigned i = 0; i < after.count; i++)
        if (after.jobs[i].row == row)
            return &after.jobs[i];
    return NULL;
}

static void apply_job(const uint8_t *p, size_t len, uint64_t event, const uint8_t *text,
                      size_t text_len)
{
    size_t n = get_be64(p + 8) == event ? text_len : 0;

    after.jobs[after.count++] = (struct job){
        .row = get_be64(p),
        .line = hash_bytes(HASH_START, text, n),
        .len = (uint32_t)n,
        .rule = (char)p[len - 1],
    };
}

static void apply_host(struct seen *ref, uint8_t kind, const uint8_t *p, size_t len)
{
    const uint8_t *name = p + SESSION_HOST + 1;

    if (kind == HOST_FRAME)
        seen_restore(ref, p, len);
    if (kind == SEEN_FRAME)
        seen_take(ref, seen_get(ref, p), (enum window_kind)p[SESSION_HOST], name,
                  get_be64(name + LINK_NAME), get_be64(name + LINK_NAME + 8));
    if (kind == HELLO_FRAME)
        seen_hello(ref, seen_get(ref, p), get_be64(name + LINK_NAME), name, p[SESSION_HOST]);
    if (kind == UNPIN_FRAME && seen_find(ref, p))
        seen_unpin(seen_find(ref, p));
    if (kind == FORGET_FRAME)
        seen_forget(ref, p);
}

static void apply_report(const uint8_t *p, size_t len)
{
    const uint32_t count = get_be32(p + 2);

    after.reports[p[0]] = (struct report){0};
    if (count > 0)
        after.reports[p[0]] = (struct report){count, hash_bytes(HASH_START, p + 22, len - 22),
                                              get_be64(p + 6), get_be64(p + 14)};
}

/** without: the frame that is left out; -1: none. */
static void apply(const struct image *m, int without, size_t until)
{
    static struct host ref_slots[HOSTS];
    static uint32_t ref_chains[HOSTS];
    struct seen ref;
    const uint8_t *text = NULL;
    uint64_t event = 0;
    size_t text_len = 0;

    after.count = 0;
    memset(after.reports, 0, sizeof after.reports);
    seen_init(&ref, ref_slots, ref_chains, HOSTS);
    for (unsigned i = 0; i < frame_count && frames[i].at < until; i++) {
        const uint8_t *p = m->bytes + frames[i].at + FRAME_HEADER;
        size_t len = frames[i].len - FRAME_HEADER;
        if ((int)i == without)
            continue;
        apply_host(&ref, frames[i].kind, p, len);
        if (frames[i].kind == REPORT_FRAME)
            apply_report(p, len);
        if (frames[i].kind == EVENT_FRAME)
            event = get_be64(p), text = p + 8, text_len = len - 8;
        if (frames[i].kind == JOB_FRAME)
            apply_job(p, len, event, text, text_len);
        struct job *job = frames[i].kind == STATE_FRAME || frames[i].kind == END_FRAME
                              ? after_job(get_be64(p))
                              : NULL;
        if (job && frames[i].kind == STATE_FRAME)
            job->state = p[8], job->timeout_ms = get_be32(p + 9);
        else if (job)
            memmove(job, job + 1, (size_t)(after.jobs + --after.count - job) * sizeof *job);
    }
    keep_hosts(&after, &ref);
}

/* ---- A small pair of files ---- */

enum { TURNS = 5 };
static struct state snapshots[TURNS]; /* after each turn of the file in use, the copy the first */
static size_t ends[TURNS];            /* of each turn in the file */
static unsigned used;                 /* which file */

static void first_file(void)
{
    remove_files();
    rows = 0;
    CHECK_INT(open_journal(1 << 20, true), 0);
    take_event(0, 1, 1, 2, 60);
    take_event(1, 9, 70, 1, 30);
    take_hello(4, 7, false);
    report(0, 3);
    CHECK_INT(journal_commit(&journal), 0);
    start(0);
    report(1, 1);
    take_hello(4, 8, false);
    take_event(0, 2, 5, 0, 0);
    CHECK_INT(journal_commit(&journal), 0);
    end(1);
    take_event(2, 1, 3, 1, 10);
    journal.limit = 1; /* now the other file is due */
    CHECK_INT(journal_commit(&journal), 0);
    used = journal.file;
    ends[0] = (size_t)journal.committed;
    copy_state(&snapshots[0], &now);
}

static void note_turn(unsigned turn)
{
    CHECK_INT(journal_commit(&journal), 0);
    CHECK_INT(journal.file, used);
    ends[turn] = (size_t)journal.committed;
    copy_state(&snapshots[turn], &now);
}

static void make_pair(void)
{
    first_file();
    take_event(0, 2, 4, 2, 33);
    take_hello(4, 9, false);
    report(0, 4);
    note_turn(1);
    unpin(4);
    take_event(4, 7, 3, 0, 0);
    start(1);
    start(2);
    take_event(1, 9, 71, 1, 21);
    note_turn(2);
    end(0);
    end(0);
    take_event(3, 1, 1, 0, 0);
    report(1, 0);
    forget(1);
    take_hello(4, 8, false);
    note_turn(3);
    start(0);
    unpin(4);
    take_hello(5, 1, true);
    report(0, 0);
    report(1, 2);
    take_event(2, 1, 4, 1, 12);
    take_event(2, 1, 5, 1, 13);
    note_turn(4);
    /* And one that is never committed. */
    end(0);
    take_event(0, 2, 9, 1, 40);
    copy_state(&now, &snapshots[4]);
    journal_close(&journal);
    load_image(0);
    load_image(1);
    CHECK_INT(images[used].len, ends[TURNS - 1]);
    CHECK(images[!used].len > 0);
    find_frames(&images[used]);
}

static void restore_pair(size_t used_len)
{
    save_image(used, used_len);
    save_image(!used, images[!used].len);
}

/** Open it as it is on disk now, and once more after it was copied. */
static void check_opens(const struct state *want)
{
    CHECK_INT(open_journal(1 << 20, true), 0);
    CHECK(same_state(&now, want));
    journal_close(&journal);
    CHECK_INT(open_journal(1 << 20, true), 0);
    CHECK(same_state(&now, want) || line_lost > 0);
    CHECK_INT(journal.stats.damaged + journal.stats.torn, 0);
    journal_close(&journal);
}

TEST(stores_nothing_without_a_directory)
{
    struct stat st;
    const struct journal_hooks hooks = {on_job, on_copy, on_report, NULL};
    struct text why;

    text_init(&why, why_text, sizeof why_text);
    seen_init(&seen, slots, chains, HOSTS);
    for (unsigned i = 0; i < 2; i++) {
        journal_init(&journal, buf, sizeof buf, &seen, &hooks);
        CHECK_INT(journal_open(&journal, i ? "" : NULL, 65536, true, &why), 0);
        take_event(0, 1, 1, 1, 10);
        CHECK(!journal_dirty(&journal));
        CHECK_INT(journal_commit(&journal), 0);
        journal_close(&journal);
    }
    CHECK(stat("journal.0", &st) < 0 && stat("journal.1", &st) < 0);
}

TEST(committed_frames_are_replayed)
{
    struct stat st;

    make_paths();
    remove_files();
    rmdir(dir);
    rows = 0;
    CHECK_INT(open_journal(1 << 20, true), 0);
    CHECK_INT(now.count + now.host_count, 0);
    CHECK(stat(dir, &st) == 0 && (st.st_mode & 07777) == 0700);
    CHECK(stat(paths[0], &st) == 0 && (st.st_mode & 07777) == 0600);
    CHECK(!journal_dirty(&journal));
    unsigned before = syncs;
    CHECK_INT(journal_commit(&journal), 0);
    CHECK_INT(syncs, before);
    take_event(0, 1, 1, 2, CONFIG_EVENT_BYTES);
    take_event(1, 1, 1, 3, 1);
    CHECK(journal_dirty(&journal));
    CHECK_INT(journal_commit(&journal), 0);
    CHECK_INT(syncs, before + 1);
    CHECK(!journal_dirty(&journal));
    start(1);
    end(2);
    CHECK_INT(journal_commit(&journal), 0);
    journal_close(&journal);
    static struct state want;
    copy_state(&want, &now);
    CHECK_INT(want.count, 4);
    for (unsigned i = 0; i < 5; i++) {
        CHECK_INT(open_journal(1 << 20, false), 0);
        CHECK(same_state(&now, &want));
        CHECK_INT(journal.last_id, rows);
        CHECK_INT(journal.stats.damaged + journal.stats.torn, 0);
        journal_close(&journal);
    }
}

/* ---- Slots of keepers ---- */

enum { SLOTS = 3 };
static uint8_t slot_bytes[SLOTS][JOURNAL_KEPT_MAX];
static size_t slot_lens[SLOTS];

static void restore_slot(void *arg, uint16_t slot, const uint8_t *bytes, size_t len)
{
    (void)arg;
    REQUIRE(slot < SLOTS && len <= JOURNAL_KEPT_MAX);
    memcpy(slot_bytes[slot], bytes, len);
    slot_lens[slot] = len;
}

static void copy_slots(void *arg)
{
    (void)arg;
    for (unsigned i = 0; i < SLOTS; i++)
        if (slot_lens[i] > 0)
            journal_keep(&journal, KEPT_SILENCES, (uint16_t)i, slot_bytes[i], slot_lens[i]);
}

static void fill_slot(uint16_t slot, uint8_t byte, size_t len)
{
    memset(slot_bytes[slot], byte, len);
    slot_lens[slot] = len;
    journal_keep(&journal, KEPT_SILENCES, slot, slot_bytes[slot], len);
}

static void open_with_keeper(void)
{
    const struct journal_hooks hooks = {on_job, on_copy, on_report, NULL};
    struct text why;

    make_paths();
    text_init(&why, why_text, sizeof why_text);
    memset(slot_lens, 0, sizeof slot_lens);
    now.count = 0;
    seen_init(&seen, slots, chains, HOSTS);
    journal_init(&journal, buf, sizeof buf, &seen, &hooks);
    journal_keeper(&journal, KEPT_SILENCES, &(struct journal_keeper){restore_slot, copy_slots, NULL});
    CHECK_INT(journal_open(&journal, dir, 65536, false, &why), 0);
}

TEST(slots_of_keepers)
{
    make_paths();
    remove_files();
    open_with_keeper();
    fill_slot(0, 1, 1);
    fill_slot(1, 2, JOURNAL_KEPT_MAX);
    fill_slot(2, 3, 100);
    fill_slot(0, 4, 20); /* in its place */
    fill_slot(2, 0, 0);  /* nothing any more */
    CHECK_INT(journal_commit(&journal), 0);
    fill_slot(1, 9, 9); /* not committed */
    journal_close(&journal);
    for (unsigned i = 0; i < 3; i++) {
        open_with_keeper(); /* which starts a file with a copy */
        CHECK_INT(slot_lens[0], 20);
        CHECK_INT(slot_bytes[0][19], 4);
        CHECK_INT(slot_lens[1], JOURNAL_KEPT_MAX);
        CHECK_INT(slot_bytes[1][JOURNAL_KEPT_MAX - 1], 2);
        CHECK_INT(slot_lens[2], 0);
        journal_close(&journal);
    }
    remove_files();
}

/** The frames of one kind, which the hub itself does not read. Return: how many; the last one's bytes in out. */
static unsigned read_frames(uint8_t kind, uint8_t out[64], size_t *len)
{
    static uint8_t room[JOURNAL_BYTES_MIN];
    struct frame_reader r;
    struct frame frame;
    unsigned count = 0;
    const int fd = open(paths[journal.file], O_RDONLY | O_CLOEXEC);

    CHECK(fd >= 0);
    frame_reader_init(&r, fd, room, sizeof room);
    while (frame_next(&r, &frame) > 0)
        if (frame.kind == kind && frame.len <= 64) {
            count++;
            *len = frame.len;
            memcpy(out, frame.bytes, frame.len);
        }
    close(fd);
    return count;
}

TEST(what_was_decided_and_when)
{
    static const uint8_t when[] = {0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 1, 0,
                                   255, 255, 255, 255, 255, 255, 255, 255, 3};
    static const uint8_t decided[] = {0, 0, 0, 0, 0, 0, 0, 7, 3, 0, 0, 0, 4, 'r', 'u', 'l', 'e'};
    static const uint8_t result[] = {0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 2, 0, 1, 'r'};
    static const uint8_t reload[] = {0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0, 5};
    uint8_t got[64];
    size_t len = 0;

    remove_files();
    open_with_keeper();
    journal_event(&journal, 7, line, make_line(7, 20));
    journal_when(&journal, 7, &(struct journal_time){256, -1, JOURNAL_SYNCED | JOURNAL_UNSURE});
    journal_decided(&journal, 7, JOURNAL_RESTRAINED, 4, "rule");
    journal_job(&journal, 9, 7, "ten bytes!");
    journal_result(&journal, 9, 512, 1, "r");
    journal_reloaded(&journal, 768, 5);
    CHECK_INT(journal_commit(&journal), 0);
    CHECK_INT(read_frames(13, got, &len), 1);
    CHECK(len == sizeof when && memcmp(got, when, len) == 0);
    CHECK_INT(read_frames(14, got, &len), 1);
    CHECK(len == sizeof decided && memcmp(got, decided, len) == 0);
    CHECK_INT(read_frames(15, got, &len), 1);
    CHECK(len == sizeof result && memcmp(got, result, len) == 0);
    CHECK_INT(read_frames(16, got, &len), 1);
    CHECK(len == sizeof reload && memcmp(got, reload, len) == 0);
    journal_close(&journal);
    open_with_keeper();
    CHECK_INT(now.count, 1); /* the job, with its event */
    CHECK_INT(read_frames(13, got, &len) + read_frames(14, got, &len), 0);
    journal_close(&journal);
    remove_files();
}

static struct looked {
    unsigned kinds[JOURNAL_KEPT + 1];
    bool fine;
    unsigned stop_at; /* 0: at the end */
} looked;

static int on_record(void *arg, const struct journal_record *r)
{
    static const char rule[] = "rule";
    (void)arg;

    looked.kinds[r->kind]++;
    if (r->kind == JOURNAL_WHEN)
        looked.fine &= r->id == 7 && r->time.ran_ms == 256 && r->time.unix_s == -1 && r->time.flags == JOURNAL_SYNCED;
    if (r->kind == JOURNAL_DECIDED)
        looked.fine &= r->id == 7 && r->code == JOURNAL_RESTRAINED && r->detail == 4 && slice_eq(r->bytes, rule);
    if (r->kind == JOURNAL_JOB)
        looked.fine &= r->id == 9 && r->event == 7 && slice_eq(r->bytes, rule);
    if (r->kind == JOURNAL_RESULT)
        looked.fine &= r->id == 9 && r->time.ran_ms == 512 && r->code == 1 && slice_eq(r->bytes, rule);
    if (r->kind == JOURNAL_END)
        looked.fine &= r->id == 9 && r->code == 2;
    if (r->kind == JOURNAL_RELOAD)
        looked.fine &= r->time.ran_ms == 768;
    if (r->kind == JOURNAL_KEPT)
        looked.fine &= r->code == KEPT_SILENCES && r->detail == 2 && r->bytes.len == 100;
    if (r->kind == JOURNAL_EVENT)
        looked.fine &= r->id == 7 && r->bytes.len == 20;
    return looked.stop_at > 0 && --looked.stop_at == 0 ? NEFIA_ECLOSED : 0;
}

/** With a journal of its own, as another process has it. */
static int look(const char *path, unsigned stop_at)
{
    static uint8_t room[JOURNAL_BYTES_MIN];
    static struct journal other;
    const struct journal_hooks none = {0};
    struct text why;

    looked = (struct looked){.fine = true, .stop_at = stop_at};
    text_init(&why, why_text, sizeof why_text);
    journal_init(&other, room, sizeof room, &seen, &none);
    int err = journal_look(&other, path, on_record, NULL, &why);
    CHECK(other.fd < 0 && other.dir_fd < 0 && other.lock_fd < 0);
    return err;
}

/** While the hub goes on. */
TEST(looking_back)
{
    make_paths();
    remove_files();
    CHECK_INT(look(dir, 0), NEFIA_EIO);
    CHECK(strstr(why_text, "no journal") != NULL);
    CHECK_INT(look("/nonexistent", 0), NEFIA_EIO);
    open_with_keeper();
    journal_event(&journal, 7, line, make_line(7, 20));
    journal_when(&journal, 7, &(struct journal_time){256, -1, JOURNAL_SYNCED});
    journal_decided(&journal, 7, JOURNAL_RESTRAINED, 4, "rule");
    journal_job(&journal, 9, 7, "rule");
    journal_result(&journal, 9, 512, 1, "rule");
    journal_end(&journal, 9, 2);
    journal_reloaded(&journal, 768, 5);
    fill_slot(2, 3, 100);
    CHECK_INT(journal_commit(&journal), 0);
    journal_event(&journal, 99, line, 20); /* not committed */
    CHECK_INT(look(dir, 0), 0);
    CHECK(looked.fine);
    for (unsigned i = 0; i <= JOURNAL_KEPT; i++)
        CHECK_INT(looked.kinds[i], 1);
    CHECK_INT(look(paths[journal.file], 0), 0);
    CHECK(looked.fine && looked.kinds[JOURNAL_WHEN] == 1);
    CHECK_INT(look(dir, 3), NEFIA_ECLOSED);
    CHECK_INT(looked.kinds[JOURNAL_DECIDED], 0);
    journal_close(&journal);
    open_with_keeper(); /* the older file first, then the copy in the newer one */
    CHECK_INT(look(dir, 0), 0);
    CHECK(looked.fine && looked.kinds[JOURNAL_BEGINS] == 2 && looked.kinds[JOURNAL_WHEN] == 1 && looked.kinds[JOURNAL_KEPT] == 2);
    journal_close(&journal);
    remove_files();
}

TEST(a_turn_larger_than_the_buffer)
{
    remove_files();
    rows = 0;
    CHECK_INT(open_journal(1 << 20, true), 0);
    for (uint64_t seq = 1; seq <= 40; seq++)
        take_event(0, 1, seq, 1, seq % 2 ? CONFIG_EVENT_BYTES : 100);
    uint64_t written = journal.size;
    CHECK(written > sizeof buf); /* not committed */
    static struct state want;
    copy_state(&want, &now);
    journal_close(&journal);
    CHECK_INT(open_journal(1 << 20, true), 0);
    CHECK_INT(now.count + now.host_count, 0);
    CHECK(journal.stats.torn >= written - 100);
    rows = 0;
    for (uint64_t seq = 1; seq <= 40; seq++)
        take_event(0, 1, seq, 1, seq % 2 ? CONFIG_EVENT_BYTES : 100);
    CHECK_INT(journal_commit(&journal), 0);
    journal_close(&journal);
    CHECK_INT(open_journal(1 << 20, true), 0);
    CHECK(same_state(&now, &want));
    journal_close(&journal);
}

TEST(more_jobs_than_the_buffer_remembers)
{
    static struct state want;

    remove_files();
    rows = 0;
    CHECK_INT(open_journal(1 << 20, true), 0);
    for (uint64_t seq = 1; seq <= JOBS / 5; seq++) {
        take_event(0, 1, seq, 5, 20);
        CHECK_INT(journal_commit(&journal), 0);
    }
    for (unsigned i = 0; i < now.count; i += 3)
        start(i);
    for (unsigned i = 0; i < now.count; i += 7)
        end(i);
    CHECK_INT(journal_commit(&journal), 0);
    CHECK(now.count * 9 > 3 * (sizeof buf - CONFIG_EVENT_BYTES));
    copy_state(&want, &now);
    journal_close(&journal);
    check_opens(&want);
}

TEST(files_alternate)
{
    static struct state want;
    uint64_t seq = 0, most = 0;

    remove_files();
    rows = 0;
    CHECK_INT(open_journal(2000, true), 0);
    for (unsigned turn = 0; turn < 400; turn++) {
        seq++;
        take_event(turn % HOSTS, 1, seq, 1, 40);
        if (now.count > 3) {
            start(0);
            end(0);
        }
        CHECK_INT(journal_commit(&journal), 0);
        most = journal.size > most ? journal.size : most;
    }
    CHECK(journal.stats.rotations > 20 && journal.stats.rotations < 100);
    CHECK(most < 4000);
    copy_state(&want, &now);
    journal_close(&journal);
    check_opens(&want);
}

TEST(live_data_beyond_the_bound)
{
    remove_files();
    rows = 0;
    CHECK_INT(open_journal(100, true), 0);
    for (uint64_t seq = 1; seq <= 300; seq++) {
        take_event(0, 1, seq, 1, 100);
        CHECK_INT(journal_commit(&journal), 0);
    }
    /* A new file only when it has doubled. */
    CHECK(journal.stats.rotations < 12);
    journal_close(&journal);
}

TEST(cut_at_every_byte)
{
    make_pair();
    for (size_t len = 0; len <= images[used].len; len++) {
        unsigned turn = 0;
        while (turn + 1 < TURNS && ends[turn + 1] <= len)
            turn++;
        restore_pair(len);
        CHECK_INT(open_journal(1 << 20, true), 0);
        CHECK(same_state(&now, &snapshots[turn]));
        CHECK_INT(journal.stats.damaged, 0);
        size_t whole = len < ends[0] ? 0 : ends[turn];
        CHECK_INT(journal.stats.torn, len - whole);
        journal_close(&journal);
        check_opens(&snapshots[turn]);
    }
}

TEST(the_older_file_cut_at_every_byte)
{
    make_pair();
    for (size_t len = 0; len <= images[!used].len; len++) {
        save_image(used, images[used].len);
        save_image(!used, len);
        CHECK_INT(open_journal(1 << 20, true), 0);
        CHECK(same_state(&now, &snapshots[TURNS - 1]));
        journal_close(&journal);
    }
}

/** Change a byte of the current file. */
static void check_damage(size_t at, uint8_t mask, unsigned frame)
{
    struct image *m = &images[used];
    bool last = at >= ends[TURNS - 2];

    m->bytes[at] ^= mask;
    restore_pair(m->len);
    m->bytes[at] ^= mask;
    apply(m, last ? -1 : (int)frame, last ? ends[TURNS - 2] : m->len);
    CHECK_INT(open_journal(1 << 20, true), 0);
    CHECK(same_state(&now, &after));
    CHECK(journal.stats.damaged + journal.stats.torn > 0);
    CHECK(last || journal.stats.damaged == frames[frame].len);
    journal_close(&journal);
}

TEST(damaged_at_every_byte)
{
    make_pair();
    apply(&images[used], -1, images[used].len);
    CHECK(same_state(&after, &snapshots[TURNS - 1]));
    for (unsigned f = 0; f < frame_count; f++)
        for (size_t at = frames[f].at; at < frames[f].at + frames[f].len; at++) {
            check_damage(at, 0xFF, f);
            for (unsigned bit = 0; bit < 8; bit++)
                check_damage(at, (uint8_t)(1u << bit), f);
        }
}

/** One byte before the last turn, and one in it. */
TEST(damaged_in_two_places)
{
    make_pair();
    struct image *m = &images[used];
    unsigned first_of_last = frame_count - 1;
    while (frames[first_of_last].at > ends[TURNS - 2])
        first_of_last--;
    for (unsigned f = 0; f < first_of_last; f++)
        for (unsigned g = first_of_last; g < frame_count; g++) {
            /* Without its end the last turn is invalid, and the one before becomes the last. */
            bool no_last = g == frame_count - 1, in_last_but_one = frames[f].at >= ends[TURNS - 3];
            size_t until = ends[no_last && in_last_but_one ? TURNS - 3 : TURNS - 2];
            m->bytes[frames[f].at + frames[f].len - 1] ^= 1;
            m->bytes[frames[g].at + frames[g].len - 1] ^= 1;
            restore_pair(m->len);
            m->bytes[frames[f].at + frames[f].len - 1] ^= 1;
            m->bytes[frames[g].at + frames[g].len - 1] ^= 1;
            apply(m, (int)f, until);
            CHECK_INT(open_journal(1 << 20, true), 0);
            CHECK(same_state(&now, &after));
            CHECK_INT(journal.stats.torn, m->len - until);
            journal_close(&journal);
        }
}

TEST(the_older_file_damaged_at_every_byte)
{
    make_pair();
    for (size_t at = 0; at < images[!used].len; at++) {
        images[!used].bytes[at] ^= 0xFF;
        restore_pair(images[used].len);
        images[!used].bytes[at] ^= 0xFF;
        CHECK_INT(open_journal(1 << 20, true), 0);
        CHECK(same_state(&now, &snapshots[TURNS - 1]));
        journal_close(&journal);
    }
}

/** The new file has just been started: if it is incomplete, the previous one is valid. */
TEST(damaged_during_rotation)
{
    first_file();
    journal_close(&journal);
    load_image(0);
    load_image(1);
    for (size_t at = 0; at < images[used].len; at++) {
        images[used].bytes[at] ^= 0xFF;
        restore_pair(images[used].len);
        images[used].bytes[at] ^= 0xFF;
        CHECK_INT(open_journal(1 << 20, true), 0);
        CHECK(same_state(&now, &snapshots[0]));
        CHECK_INT(journal.stats.torn, images[used].len);
        journal_close(&journal);
    }
}

TEST(garbage_after_the_last_turn)
{
    uint32_t seed = 7;

    make_pair();
    size_t len = images[used].len;
    for (unsigned i = 0; i < 300; i++) {
        size_t more = i * 3;
        for (size_t k = 0; k < more; k++) {
            seed = seed * 1664525 + 1013904223;
            images[used].bytes[len + k] = i % 3 ? (uint8_t)(seed >> 24) : 0;
        }
        /* Intact frames, too, as long as none of them commits. */
        if (i % 3 == 2 && more > 200)
            memcpy(images[used].bytes + len + 3, images[used].bytes, frames[3].at);
        restore_pair(len + more);
        CHECK_INT(open_journal(1 << 20, true), 0);
        CHECK(same_state(&now, &snapshots[TURNS - 1]));
        CHECK_INT(journal.stats.torn, more);
        journal_close(&journal);
    }
}

/* ---- Disk errors ---- */

static void limit_files(rlim_t most)
{
    struct rlimit limit = {most, RLIM_INFINITY};

    signal(SIGXFSZ, SIG_IGN);
    CHECK_INT(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

/** Five turns, the limit or the failing sync somewhere among them. safe gets the state of the last
 * commit that succeeded. Return: did one fail? */
static bool run_turns(struct state *safe)
{
    bool failed = false;

    for (unsigned turn = 0; turn < 5; turn++) {
        take_event(turn % 3, 1, 10 + turn, 2, 50 + turn * 10);
        if (turn >= 2) {
            start(0);
            start(1);
            end(0);
        }
        if (journal_commit(&journal) == 0) {
            CHECK(!journal_dirty(&journal));
            copy_state(safe, &now);
            continue;
        }
        failed = true;
        CHECK(errno == EFBIG || errno == EIO);
        CHECK(journal_dirty(&journal));
        CHECK(journal.stats.failed > 0);
    }
    return failed;
}

static void check_recovers(struct state *safe, bool failed, bool mend)
{
    if (mend) {
        /* An empty turn suffices. */
        CHECK_INT(journal_commit(&journal), 0);
        copy_state(safe, &now);
    }
    journal_close(&journal);
    CHECK_INT(open_journal(1 << 20, true), 0);
    CHECK(same_state(&now, safe));
    CHECK(!failed || mend || safe->count < 8);
    journal_close(&journal);
}

TEST(a_full_disk)
{
    static struct state safe;
    unsigned failures = 0;

    for (unsigned most = 0; most <= 2000; most += 1 + most % 7)
        for (unsigned mend = 0; mend < 2; mend++) {
            remove_files();
            rows = 0;
            safe.count = safe.host_count = 0;
            CHECK_INT(open_journal(most % 2 ? 600 : 1 << 20, true), 0);
            limit_files(most);
            bool failed = run_turns(&safe);
            limit_files(RLIM_INFINITY);
            check_recovers(&safe, failed, mend);
            failures += failed;
        }
    CHECK(failures > 100);
}

TEST(full_disk_at_startup)
{
    static struct state want;
    unsigned refused = 0;

    make_pair();
    copy_state(&want, &snapshots[TURNS - 1]);
    for (unsigned most = 0; most < 600; most += 13) {
        restore_pair(images[used].len);
        limit_files(most);
        CHECK_INT(open_journal(1 << 20, true), 0);
        CHECK(same_state(&now, &want));
        bool full = journal_dirty(&journal);
        CHECK(full == (why_text[0] != '\0'));
        if (full) {
            CHECK(strstr(why_text, dir) != NULL);
            CHECK_INT(journal_commit(&journal), NEFIA_EIO);
            CHECK_INT(errno, EFBIG);
            refused++;
        }
        limit_files(RLIM_INFINITY);
        CHECK_INT(journal_commit(&journal), 0);
        journal_close(&journal);
        check_opens(&want);
    }
    CHECK(refused > 10);
}

TEST(sync_failure)
{
    static struct state safe;
    bool failed = true;
    unsigned failures = 0;

    for (unsigned which = 1; which < 40; which++)
        for (unsigned mend = 0; mend < 2; mend++) {
            remove_files();
            rows = 0;
            safe.count = safe.host_count = 0;
            CHECK_INT(open_journal(600, true), 0);
            syncs = 0;
            failing_sync = which;
            failed = run_turns(&safe);
            failing_sync = 0;
            if (failed || mend)
                check_recovers(&safe, failed, mend);
            else
                journal_close(&journal);
            failures += failed;
        }
    CHECK(failures > 4);
    CHECK(!failed);
    /* At start-up: an error, and the hub does not start. */
    syncs = 0;
    failing_sync = 1;
    CHECK_INT(open_journal(600, true), NEFIA_EIO);
    CHECK(strstr(why_text, "cannot write") != NULL);
    failing_sync = 0;
}

static unsigned keep_file;

static void keep_it(void)
{
    CHECK_INT(link(paths[keep_file], kept), 0);
}

/** An abandoned file reaches the disk all the same, and so does its directory entry. */
TEST(a_file_that_failed_to_sync_reappears)
{
    static struct state want;

    for (unsigned turns = 1; turns < 5; turns++) {
        remove_files();
        rows = 0;
        CHECK_INT(open_journal(300, true), 0);
        if (turns % 2) { /* once each of the two */
            journal_close(&journal);
            CHECK_INT(open_journal(300, true), 0);
        }
        keep_file = !journal.file;
        before_failing = keep_it;
        take_event(0, 1, 1, 1, 400);
        syncs = 0;
        failing_sync = 2; /* the first is the turn's own */
        CHECK_INT(journal_commit(&journal), 0);
        CHECK_INT(syncs, 2);
        failing_sync = 0;
        before_failing = NULL;
        CHECK(!journal_dirty(&journal));
        CHECK(journal.limit > journal.size); /* no immediate retry */
        journal.limit = 1 << 20;
        for (unsigned i = 0; i < turns; i++) {
            take_event(0, 1, 2 + i, 1, 20);
            if (i == 1)
                end(0);
            CHECK_INT(journal_commit(&journal), 0);
        }
        CHECK(journal.file != keep_file);
        journal_close(&journal);
        copy_state(&want, &now);
        CHECK_INT(rename(kept, paths[keep_file]), 0);
        check_opens(&want);
    }
}

/* ---- Power cuts, at random ---- */

static uint32_t seed;

static unsigned random_below(unsigned n)
{
    seed = seed * 1664525 + 1013904223;
    return (unsigned)((uint64_t)seed * n >> 32);
}

/** One after the other: the order of arguments is each compiler's own. */
static void random_event(uint64_t seq)
{
    unsigned host = random_below(HOSTS + 2), boot = random_below(3);
    unsigned many = random_below(4), len = random_below(300) + 1;

    take_event(host, boot, seq, many, len);
}

static void random_host(void)
{
    const unsigned host = random_below(HOSTS + 2), what = random_below(8), boot = random_below(4);

    if (what == 0)
        forget(host);
    else if (what < 3)
        unpin(host);
    else
        take_hello(host, boot, what % 2);
}

static void random_turn(uint64_t *seq)
{
    for (unsigned n = random_below(5) + 1; n > 0; n--) {
        unsigned what = random_below(5);

        if (what == 0 && now.count > 0)
            start(random_below(now.count));
        else if ((what == 1 || now.count > 40) && now.count > 0)
            end(random_below(now.count));
        else if (what == 4)
            random_host();
        else
            random_event(*seq);
        *seq += random_below(3);
    }
}

/** Data written since the last sync survives in part: truncated, or with holes. */
static void cut_power(unsigned file, uint64_t on_disk)
{
    load_image(file);
    struct image *m = &images[file];
    size_t len = m->len, synced = (size_t)on_disk;

    if (len > synced && random_below(2))
        len = synced + random_below((unsigned)(len - synced));
    for (unsigned holes = random_below(3); holes > 0 && len > synced; holes--) {
        size_t from = synced + random_below((unsigned)(len - synced));
        size_t n = random_below((unsigned)(len - from)) + 1;
        memset(m->bytes + from, random_below(2) ? 0 : 0x4E, n);
    }
    save_image(file, len);
}

TEST(power_cuts_at_random)
{
    static struct state safe, sent;
    uint64_t seq = 1;

    remove_files();
    rows = 0;
    seed = 3;
    safe.count = safe.host_count = 0;
    for (unsigned run = 0; run < 400; run++) {
        CHECK_INT(open_journal(3000, true), 0);
        CHECK(same_state(&now, &safe) || same_state(&now, &sent));
        rows = journal.last_id;
        copy_state(&safe, &now);
        uint64_t synced = journal.committed;
        unsigned file = journal.file;
        for (unsigned turns = random_below(8) + 1; turns > 0; turns--) {
            random_turn(&seq);
            copy_state(&sent, &now);
            synced = journal.committed;
            file = journal.file;
            CHECK_INT(journal_commit(&journal), 0);
            if (turns > 1 || random_below(2))
                copy_state(&safe, &now), synced = journal.committed, file = journal.file;
        }
        bool took_over = file != journal.file;
        journal_close(&journal);
        if (!took_over)
            cut_power(file, synced);
    }
}

/* ---- Another hub ---- */

TEST(a_second_hub_is_refused)
{
    static struct journal second;
    static uint8_t other_buf[JOURNAL_BYTES_MIN];
    const struct journal_hooks hooks = {on_job, on_copy, on_report, NULL};
    struct text why;

    remove_files();
    CHECK_INT(open_journal(1 << 20, true), 0);
    text_init(&why, why_text, sizeof why_text);
    journal_init(&second, other_buf, sizeof other_buf, &seen, &hooks);
    CHECK_INT(journal_open(&second, dir, 1 << 20, true, &why), NEFIA_EIO);
    CHECK(strstr(why_text, dir) && strstr(why_text, "in use by another hub"));
    CHECK(second.fd < 0 && second.dir_fd < 0 && second.lock_fd < 0);
    take_event(0, 1, 1, 1, 10);
    CHECK_INT(journal_commit(&journal), 0);
    journal_close(&journal);
    now.count = 0;
    CHECK_INT(journal_open(&second, dir, 1 << 20, true, &why), 0);
    journal_close(&second);
}

TEST(open_errors_name_the_cause)
{
    const struct journal_hooks hooks = {on_job, on_copy, on_report, NULL};
    struct text why;

    remove_files();
    CHECK_INT(symlink("/dev/null", paths[1]), 0);
    CHECK_INT(open_journal(1 << 20, true), NEFIA_EIO);
    CHECK(strstr(why_text, paths[1]) && strstr(why_text, "move it away"));
    unlink(paths[1]);
    CHECK_INT(mkdir(paths[0], 0700), 0);
    CHECK_INT(open_journal(1 << 20, true), NEFIA_EIO);
    CHECK(strstr(why_text, paths[0]) && strstr(why_text, "move it away"));
    CHECK_INT(rmdir(paths[0]), 0);
    text_init(&why, why_text, sizeof why_text);
    journal_init(&journal, buf, sizeof buf, &seen, &hooks);
    CHECK_INT(journal_open(&journal, "/nonexistent/a/b", 1 << 20, true, &why), NEFIA_EIO);
    CHECK(strstr(why_text, "/nonexistent/a/b") && strstr(why_text, "reactor.state_dir"));
    text_init(&why, why_text, sizeof why_text);
    char longest[FILE_PATH_MAX + 1];
    memset(longest, '/', sizeof longest);
    longest[FILE_PATH_MAX] = '\0';
    CHECK_INT(journal_open(&journal, longest, 1 << 20, true, &why), NEFIA_EIO);
    text_init(&why, why_text, sizeof why_text);
    CHECK_INT(journal_open(&journal, "/dev/null", 1 << 20, true, &why), NEFIA_EIO);
    CHECK(strstr(why_text, "/dev/null") != NULL);
}

/** Each kind of frame, committed and replayed. */
TEST(what_is_known_of_hosts_outlives_the_hub)
{
    static struct state want;
    struct host *h;

    remove_files();
    rows = 0;
    CHECK_INT(open_journal(1 << 20, true), 0);
    take_hello(0, 7, false);
    take_event(0, 7, 41, 0, 0);
    take_event(0, 6, 3, 0, 0);
    take_hello(2, 1, false);
    unpin(2);
    take_event(3, 1, 1, 0, 0);
    forget(3);
    take_event(5, 9, 300, 0, 0);
    CHECK_INT(journal_commit(&journal), 0);
    copy_state(&want, &now);
    journal_close(&journal);
    for (unsigned i = 0; i < 2; i++) { /* from its frames, and from the copy */
        CHECK_INT(open_journal(1 << 20, true), 0);
        CHECK(same_state(&now, &want));
        h = seen_find(&seen, id_of(0));
        REQUIRE(h != NULL);
        CHECK(h->pinned && h->windows[0].by_hello && h->windows[0].highest == 41);
        CHECK_MEM(h->windows[0].name, "\7\2\0\0\0\0\0\0", LINK_NAME);
        CHECK(h->windows[1].boot == 6 && h->windows[1].highest == 3 && !h->windows[1].by_hello);
        h = seen_find(&seen, id_of(2));
        CHECK(h != NULL && !h->pinned);
        CHECK(!seen_find(&seen, id_of(3)));
        h = seen_find(&seen, id_of(5));
        CHECK(h != NULL && h->windows[1].kind == WINDOW_PLAIN);
        journal_close(&journal);
    }
}

/** Of a host that damage has taken away, an UNPIN makes none: that could evict another. */
TEST(an_unpin_alone_makes_no_host)
{
    remove_files();
    CHECK_INT(open_journal(1 << 20, true), 0);
    journal_unpin(&journal, id_of(1));
    CHECK_INT(journal_commit(&journal), 0);
    journal_close(&journal);
    CHECK_INT(open_journal(1 << 20, true), 0);
    CHECK_INT(now.host_count, 0);
    journal_close(&journal);
}

/** Versions before this one said of a job only that it had started. It must not run again after an update. */
TEST(a_start_as_older_versions_wrote_it)
{
    uint8_t bytes[2 * FRAME_HEADER + 28];
    uint8_t *commit = bytes + FRAME_HEADER + 8;

    remove_files();
    rows = 0;
    CHECK_INT(open_journal(1 << 20, true), 0);
    take_event(0, 1, 1, 2, 100);
    CHECK_INT(journal_commit(&journal), 0);
    const uint64_t started = now.jobs[0].row;
    put_be64(bytes + FRAME_HEADER, started);
    frame_header(bytes, 5, bytes + FRAME_HEADER, 8, NULL, 0);
    put_be64(commit + FRAME_HEADER, journal.generation);
    put_be64(commit + FRAME_HEADER + 8, journal.last_id);
    put_be32(commit + FRAME_HEADER + 16, FRAME_HEADER + 8);
    frame_header(commit, 7, commit + FRAME_HEADER, 20, NULL, 0);
    int fd = open(paths[journal.file], O_WRONLY | O_APPEND);
    CHECK(write(fd, bytes, sizeof bytes) == (ssize_t)sizeof bytes);
    close(fd);
    journal_close(&journal);
    CHECK_INT(open_journal(1 << 20, true), 0);
    REQUIRE(now.count == 2);
    CHECK_INT(now.jobs[0].row, started);
    CHECK_INT(now.jobs[0].state, JOURNAL_STARTED);
    CHECK_INT(now.jobs[1].state, JOURNAL_QUEUED);
    CHECK_INT(journal.stats.damaged + journal.stats.torn, 0);
    journal_close(&journal);
}

TEST_MAIN(a_start_as_older_versions_wrote_it, stores_nothing_without_a_directory, committed_frames_are_replayed,
          slots_of_keepers, what_was_decided_and_when, looking_back,
          a_turn_larger_than_the_buffer, more_jobs_than_the_buffer_remembers,
          files_alternate, live_data_beyond_the_bound, cut_at_every_byte,
          the_older_file_cut_at_every_byte, damaged_at_every_byte, damaged_in_two_places,
          the_older_file_damaged_at_every_byte, damaged_during_rotation,
          garbage_after_the_last_turn, a_full_disk, full_disk_at_startup, sync_failure,
          a_file_that_failed_to_sync_reappears, power_cuts_at_random, a_second_hub_is_refused,
          what_is_known_of_hosts_outlives_the_hub, an_unpin_alone_makes_no_host,
          open_errors_name_the_cause)
