#include "nefia/beacon/spool_file.h"

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
#include "nefia/base/text.h"
#include "tempdir.h"

enum {
    SIZE = 8192,
    MOST = 4096,
    LINE_MOST = 1000,
    IMAGE = 64 * 1024,
    FRAMES = 512,
    GONE = 4,
    ALL = 256
};
enum { DAY_MS = 24 * 60 * 60 * 1000 };

/* ---- The disk: syncs are counted, and fail on demand ---- */

static unsigned syncs, failing_sync; /* failing_sync: which one fails, from 1; 0: none */
static off_t on_disk;                /* size of the file at the last sync */

static int sync_or_fail(int fd)
{
    struct stat st;

    if (++syncs == failing_sync) {
        errno = EIO;
        return -1;
    }
    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
        on_disk = st.st_size;
    return fd < 0 ? -1 : 0;
}

int fdatasync(int fd)
{
    return sync_or_fail(fd);
}

int fsync(int fd)
{
    return sync_or_fail(fd);
}

static void limit_files(rlim_t most)
{
    struct rlimit limit = {most, RLIM_INFINITY};

    signal(SIGXFSZ, SIG_IGN);
    CHECK_INT(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

/* ---- A beacon ---- */

static uint8_t mem[SIZE], buf[FRAME_HEADER + SPOOL_FILE_HEAD + LINE_MOST];
static struct spool spool;
static struct spool_file file;
static struct clock_fake fake;
static uint64_t boot, seq;
static char memory_dir[] = "/dev/shm/nefia-spool-XXXXXX", disk_dir[] = "/tmp/nefia-spool-XXXXXX";
static char *dir;
static char path[FILE_PATH_MAX], temporary[FILE_PATH_MAX];
static bool noting; /* tests of anything else do without notes */

static void leave(void)
{
    unlink(path);
    unlink(temporary);
    rmdir(dir);
}

static int begin(size_t size)
{
    if (!path[0]) {
        dir = make_tempdir(memory_dir, disk_dir);
        CHECK(dir != NULL);
        file_join(path, dir, "spool");
        file_join(temporary, dir, "spool.nefia-new");
        atexit(leave);
    }
    spool_init(&spool, mem, size);
    file = (struct spool_file){.least = SEVERITY_CRITICAL, .cap = 64 * 1024, .daily = 1 << 20};
    int err = spool_file_open(&file, &spool, &fake.clock, path, buf, sizeof buf);
    boot++;
    seq = 0;
    spool.own = boot;
    if (!noting)
        spool.written = NULL;
    return err;
}

/** A power cut, or a kill: nothing more is written. Then the next start. */
static void restart(void)
{
    close(file.fd);
    CHECK_INT(begin(SIZE), 0);
}

/** A beacon with an empty file. */
static void fresh(void)
{
    clock_fake_init(&fake, 5000, 0);
    if (file.fd > 2)
        close(file.fd);
    unlink(path);
    boot = 6;
    syncs = failing_sync = 0;
    CHECK_INT(begin(SIZE), 0);
}

/** The line of an event, a function of its id. */
static const char *line_of(struct spool_id id, size_t len)
{
    static char line[LINE_MOST];

    for (size_t i = 0; i < len; i++)
        line[i] = (char)('a' + (int)((id.boot * 5 + id.seq * 7 + i) % 23));
    return line;
}

static struct spool_id emit_key(enum severity severity, size_t len, uint64_t key)
{
    struct spool_event e = {.id = {boot, ++seq}, .key = key, .severity = severity, .len = len};

    e.line = line_of(e.id, len);
    if (spool_push(&spool, &e) == 0)
        spool_file_keep(&file, &e);
    return e.id;
}

static struct spool_id emit(enum severity severity, size_t len)
{
    return emit_key(severity, len, 0);
}

/** The next n are sent and acknowledged. */
static void deliver(unsigned n)
{
    struct spool_item item;

    while (n > 0 && spool.events > 0)
        if (spool_next(&spool, &item)) {
            spool_mark_sent(&spool, &item, 0, NULL);
            n--;
        } else {
            spool_delivered(&spool); /* one earlier start at a time */
        }
    spool_delivered(&spool);
    spool_file_settle(&file);
}

/** Contents of the spool, as letters by seq, "7a6b": boot, and a letter; capitals: kept on flash. All of
 * it must be as emitted. */
static const char *all(void)
{
    static char out[ALL];
    struct spool_item item;
    size_t n = 0, at = 0;

    while (spool_walk(&spool, &at, &item) && n < sizeof out - 2) {
        const struct spool_event *e = &item.event;
        CHECK_MEM(e->line, line_of(e->id, e->len), e->len);
        out[n++] = (char)('0' + (int)e->id.boot);
        out[n++] = (char)((e->kept ? 'A' : 'a') + (int)e->id.seq - 1);
    }
    out[n] = '\0';
    return out;
}

/** The next all() overwrites it. */
static void keep_words(char out[ALL], const char *words, const char *more)
{
    struct text t;

    text_init(&t, out, ALL);
    text_str(&t, words);
    text_str(&t, more);
}

static const off_t lost_frame = FRAME_HEADER + 16 + 32; /* sum of losses */

static off_t file_size(void)
{
    struct stat st;

    return stat(path, &st) == 0 ? st.st_size : -1;
}

/* ---- Events kept, and settled ---- */

TEST(severe_events_are_restored_with_their_ids)
{
    struct spool_item item;
    size_t at = 0;

    fresh();
    emit(SEVERITY_CRITICAL, 100);
    emit(SEVERITY_INFO, 20);
    emit(SEVERITY_WARNING, 20);
    emit_key(SEVERITY_CRITICAL, 1, 77);
    CHECK_INT(syncs, 2);
    CHECK_STR(all(), "7A7b7c7D");
    CHECK_INT(file.events, 2);
    CHECK_INT(file_size(), 101 + 2 * (FRAME_HEADER + SPOOL_FILE_HEAD));
    CHECK_INT(file.size, file_size() + 2 * SPOOL_FILE_GONE);
    restart();
    CHECK_STR(all(), "7A7D");
    CHECK_INT(file.events, 2);
    CHECK_INT(file.alive, file.size);
    CHECK_INT(file.damaged, 0);
    CHECK(spool_walk(&spool, &at, &item) && item.event.key == 0);
    CHECK(spool_walk(&spool, &at, &item) && item.event.key == 77);
    CHECK(item.event.severity == SEVERITY_CRITICAL && item.event.len == 1);
    emit(SEVERITY_CRITICAL, 100);
    restart();
    CHECK_STR(all(), "7A7D8A");
    file.least = SEVERITY_INFO;
    emit(SEVERITY_INFO, 10);
    restart();
    CHECK_STR(all(), "7A7D8A9A");
}

TEST(removed_events_do_not_come_back)
{
    fresh();
    emit(SEVERITY_CRITICAL, 100);
    emit(SEVERITY_CRITICAL, 100);
    deliver(1); /* the newest */
    CHECK_STR(all(), "7A");
    CHECK_INT(file_size(), file.size - SPOOL_FILE_GONE);
    restart();
    CHECK_STR(all(), "7A");
    emit_key(SEVERITY_CRITICAL, 10, 5);
    emit_key(SEVERITY_CRITICAL, 10, 5); /* the previous one is superseded */
    CHECK_STR(all(), "7A8B");
    restart();
    CHECK_STR(all(), "7A8B");
    spool_give_up(&spool, (struct spool_id){7, 1});
    spool_file_settle(&file);
    restart();
    CHECK_STR(all(), "8B");
    /* The spool is full: the oldest is evicted. */
    fresh();
    for (unsigned i = 0; i < 12; i++)
        emit(SEVERITY_CRITICAL, 900);
    CHECK_STR(all(), "7E7F7G7H7I7J7K7L");
    spool_file_settle(&file);
    restart();
    CHECK_STR(all(), "7E7F7G7H7I7J7K7L");
    CHECK_INT(spool.lost_total[SEVERITY_CRITICAL], 0);
    spool.lost = (struct spool_lost){0}; /* it was reported */
    deliver(99);
    CHECK_INT(file_size(), 0);
    CHECK_INT(file.events + file.alive + file.size, 0);
    restart();
    CHECK_STR(all(), "");
}

/** GONE frames are written in batches; events whose frame was not written are repeated. */
TEST(lost_gone_frames_cost_a_repetition)
{
    fresh();
    for (unsigned i = 0; i < 20; i++)
        emit(SEVERITY_CRITICAL, 10);
    off_t before = file_size();
    for (uint64_t i = 1; i <= 16; i++)
        spool_give_up(&spool, (struct spool_id){7, i});
    CHECK_INT(file_size(), before);
    spool_give_up(&spool, (struct spool_id){7, 17});
    CHECK_INT(file_size(), before + 16 * SPOOL_FILE_GONE + lost_frame);
    unsigned at = syncs;
    spool_file_settle(&file);
    CHECK_INT(syncs, at);
    spool_give_up(&spool, (struct spool_id){7, 18});
    restart();
    CHECK_STR(all(), "7R7S7T");
    CHECK_INT(syncs, at + 1); /* before the hub sees this start */
    deliver(3);
    CHECK_INT(file_size(),
              before + 20 * SPOOL_FILE_GONE + 2 * lost_frame); /* small enough to stay */
    restart();
    CHECK_STR(all(), "");
    CHECK_INT(file.size, file_size());
}

/* ---- Files as they are on the disk ---- */

static uint8_t image[IMAGE];
static size_t image_len;

static void load_image(void)
{
    int fd = open(path, O_RDONLY);
    ssize_t n = fd < 0 ? 0 : read(fd, image, IMAGE);

    REQUIRE(n >= 0 && n < IMAGE);
    image_len = (size_t)n;
    close(fd);
}

static void save_image(size_t len)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

    CHECK_INT(write(fd, image, len), len);
    close(fd);
}

static struct {
    size_t at, len;
    uint8_t kind;
    uint64_t key;
    struct spool_id id;
} frames[FRAMES];
static unsigned frame_count;

static void find_frames(void)
{
    frame_count = 0;
    for (size_t at = 0; at < image_len && frame_count < FRAMES; frame_count++) {
        const uint8_t *p = image + at;
        frames[frame_count].at = at;
        frames[frame_count].len = FRAME_HEADER + get_be32(p + 4);
        frames[frame_count].kind = p[2];
        frames[frame_count].id = (struct spool_id){get_be64(p + 12), get_be64(p + 20)};
        frames[frame_count].key = p[2] >= GONE ? 0 : get_be64(p + 28);
        at += frames[frame_count].len;
    }
    CHECK(frame_count < FRAMES);
}

static bool same(struct spool_id a, struct spool_id b)
{
    return a.boot == b.boot && a.seq == b.seq;
}

/** Does a later frame settle the event of an earlier one: by its GONE, or by a newer event of its
 * condition? */
static bool is_over(unsigned earlier, unsigned later)
{
    if (frames[later].kind == GONE)
        return same(frames[later].id, frames[earlier].id);
    return frames[later].key && frames[later].key == frames[earlier].key &&
           frames[later].kind == frames[earlier].kind;
}

/** State after the frames that end by `until`, except one (-1: none), in the format of all(). */
static const char *expected(size_t until, int without)
{
    static char out[ALL];
    unsigned alive[64], n = 0;

    for (unsigned i = 0; i < frame_count && frames[i].at + frames[i].len <= until; i++) {
        if ((int)i == without)
            continue;
        for (unsigned k = 0; k < n; k++)
            if (is_over(alive[k], i))
                memmove(&alive[k], &alive[k + 1], (--n - k) * sizeof alive[0]);
        if (frames[i].kind < GONE)
            alive[n++] = i;
    }
    for (unsigned i = 0; i < n; i++) {
        out[2 * i] = (char)('0' + (int)frames[alive[i]].id.boot);
        out[2 * i + 1] = (char)('A' + (int)frames[alive[i]].id.seq - 1);
    }
    out[2 * n] = '\0';
    return out;
}

/** Starts, repetitions, ends in the middle; a torn tail of an earlier power cut. */
static void make_image(void)
{
    fresh();
    file.least = SEVERITY_INFO;
    emit(SEVERITY_CRITICAL, 90);
    emit(SEVERITY_WARNING, 33);
    emit_key(SEVERITY_INFO, 40, 4);
    deliver(1);
    emit_key(SEVERITY_INFO, 41, 4);
    spool_file_settle(&file);
    emit_key(SEVERITY_INFO, 42, 4); /* the GONE of the previous one is never written */
    restart();
    file.least = SEVERITY_INFO;
    emit(SEVERITY_CRITICAL, 257);
    emit(SEVERITY_CRITICAL, 3);
    spool_give_up(&spool, (struct spool_id){8, 1});
    emit(SEVERITY_INFO, 64);
    deliver(1);
    close(file.fd);
    load_image();
    find_frames();
    CHECK_INT(frame_count, 13);
    CHECK_STR(expected(image_len, -1), "7B7E8C");
}

TEST(cut_at_every_byte)
{
    make_image();
    for (size_t len = 0; len <= image_len; len++) {
        save_image(len);
        CHECK_INT(begin(SIZE), 0);
        CHECK_STR(all(), expected(len, -1));
        CHECK_INT(file_size(), len);
        CHECK_INT(file.damaged + (file.size - file.events * SPOOL_FILE_GONE) >= len, 1);
        /* It continues after the torn frame. */
        boot = 9;
        emit(SEVERITY_CRITICAL, 30);
        char want[ALL];
        keep_words(want, expected(len, -1), "9A");
        spool_file_settle(&file);
        CHECK_INT(file_size() + file.events * SPOOL_FILE_GONE, file.size);
        restart();
        CHECK_STR(all(), want);
        close(file.fd);
    }
}

TEST(damaged_at_every_byte)
{
    static const uint8_t flips[] = {0x01, 0x80, 0xFF};

    make_image();
    for (unsigned i = 0; i < frame_count; i++)
        for (size_t at = frames[i].at; at < frames[i].at + frames[i].len; at++)
            for (unsigned k = 0; k < sizeof flips; k++) {
                image[at] ^= flips[k];
                save_image(image_len);
                image[at] ^= flips[k];
                CHECK_INT(begin(SIZE), 0);
                CHECK_STR(all(), expected(image_len, (int)i));
                CHECK_INT(file.damaged, frames[i].len);
                close(file.fd);
            }
}

/** The superseded event is gone once its successor is written, wherever the power is cut. */
TEST(successor_is_written_before_the_superseded_is_removed)
{
    fresh();
    emit_key(SEVERITY_CRITICAL, 100, 5);
    const size_t first = (size_t)file_size();
    emit_key(SEVERITY_CRITICAL, 50, 5);
    CHECK_STR(all(), "7B");
    const size_t second = first + FRAME_HEADER + SPOOL_FILE_HEAD + 50;
    spool_file_settle(&file);
    close(file.fd);
    load_image();
    CHECK_INT(image_len, second + SPOOL_FILE_GONE);
    for (size_t len = first; len <= image_len; len++) {
        save_image(len);
        CHECK_INT(begin(SIZE), 0);
        CHECK_STR(all(), len < second ? "7A" : "7B");
        CHECK_INT(file.events, 1);
        close(file.fd);
    }
}

/** A successor for which the disk, the daily limit or the file has no room. */
TEST(unkept_successor_leaves_the_superseded)
{
    enum { DAY, ROOM, SYNC, HALF, LONG, WAYS };

    for (int way = 0; way < WAYS; way++) {
        fresh();
        for (unsigned i = 0; i < 5; i++)
            emit(SEVERITY_CRITICAL, way == LONG ? 900 : 1);
        emit_key(SEVERITY_CRITICAL, 100, 5);
        for (unsigned i = 1; i <= 5; i++)
            spool_remove(&spool, (struct spool_id){7, i});
        file.daily = way == DAY || way == LONG ? file.today : file.daily;
        file.cap = way == HALF ? 200 : file.cap;
        failing_sync = way == SYNC ? syncs + 1 : 0;
        limit_files(way == ROOM ? (rlim_t)file_size() + 200 : RLIM_INFINITY);
        emit_key(SEVERITY_CRITICAL, 150, 5);
        limit_files(RLIM_INFINITY);
        CHECK_STR(all(), "7g");
        CHECK_INT(file.skipped, 1);
        CHECK_INT(file.events, 0);
        spool_file_settle(&file);
        CHECK((file_size() > SPOOL_FILE_CUT) == (way == LONG));
        restart();
        CHECK_STR(all(), "7F");
        /* Once it has been delivered, the first is settled. */
        file.daily = 0;
        emit_key(SEVERITY_CRITICAL, 150, 5);
        CHECK_STR(all(), "8a");
        deliver(1);
        CHECK_INT(file_size(), 0);
        CHECK_INT(file.size, 0);
        CHECK(!file.stale);
    }
}

TEST(successor_below_the_threshold)
{
    fresh();
    file.least = SEVERITY_INFO;
    emit_key(SEVERITY_INFO, 100, 5);
    emit(SEVERITY_CRITICAL, 10);
    file.least = SEVERITY_CRITICAL;
    emit_key(SEVERITY_INFO, 50, 5);
    CHECK_STR(all(), "7B7c");
    CHECK_INT(file.skipped, 0);
    spool_file_settle(&file);
    CHECK_INT(file_size(), file.size - SPOOL_FILE_GONE);
    restart();
    CHECK_STR(all(), "7B");
}

TEST(unknown_frames_are_skipped)
{
    static const uint8_t bytes[40] = {0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 1};

    fresh();
    emit(SEVERITY_CRITICAL, 50);
    for (unsigned kind = 1; kind<256; kind += kind> 6 ? 50 : 1)
        for (size_t len = 0; len <= sizeof bytes; len++) {
            uint8_t header[FRAME_HEADER];
            if (kind == GONE || (kind < GONE && len > SPOOL_FILE_HEAD))
                continue;
            frame_header(header, (uint8_t)kind, bytes, len, NULL, 0);
            CHECK_INT(file_append(file.fd, header, sizeof header), 0);
            CHECK_INT(file_append(file.fd, bytes, len), 0);
        }
    restart();
    CHECK_STR(all(), "7A");
}

/* ---- A spool that is smaller than what is on flash ---- */

TEST(evicted_events_are_lost_once)
{
    fresh();
    for (unsigned i = 0; i < 12; i++)
        emit(SEVERITY_CRITICAL, 400);
    close(file.fd);
    CHECK_INT(begin(2048), 0);
    CHECK_STR(all(), "7I7J7K7L");
    CHECK_INT(spool.lost.count[SEVERITY_CRITICAL], 8);
    CHECK(spool.lost.first.boot == 7 && spool.lost.first.seq == 1 && spool.lost.last.seq == 8);
    CHECK_INT(file.events, 4);
    CHECK_INT(file.size, file.alive + (uint32_t)lost_frame); /* rewritten */
    close(file.fd);
    CHECK_INT(begin(2048), 0);
    CHECK_INT(spool.lost.count[SEVERITY_CRITICAL], 8); /* the same, as none was reported */
    CHECK_STR(all(), "7I7J7K7L");
    /* None fits. */
    close(file.fd);
    CHECK_INT(begin(256), 0);
    CHECK_INT(spool.lost.count[SEVERITY_CRITICAL], 12);
    CHECK_INT(file.events + file.alive, 0);
    close(file.fd);
    CHECK_INT(begin(256), 0);
    CHECK_INT(spool.lost.count[SEVERITY_CRITICAL], 12);
}

/** Unreported losses are reported by the next start, once. */
TEST(losses_outlive_the_beacon)
{
    struct spool_lost lost;

    fresh();
    spool.lost.unknown = 1;
    for (unsigned i = 0; i < 12; i++)
        emit(SEVERITY_CRITICAL, 900);
    CHECK_INT(spool.lost.count[SEVERITY_CRITICAL], 4);
    restart();
    CHECK_INT(file.unreported_lost, 4);
    CHECK_INT(spool.lost.count[SEVERITY_CRITICAL], 4);
    CHECK(spool.lost.first.seq == 1 && spool.lost.last.seq == 4 && spool.lost.last.boot == 7);
    restart();
    CHECK_INT(spool.lost.count[SEVERITY_CRITICAL], 4);
    deliver(2);
    CHECK_INT(spool_take_lost(&spool, &lost), 4);
    CHECK_INT(lost.count[SEVERITY_CRITICAL], 4);
    CHECK_INT(lost.unknown, 1);
    restart(); /* before the report */
    CHECK_INT(spool_take_lost(&spool, &lost), 4);
    emit(SEVERITY_CRITICAL, 100); /* this event */
    restart();
    CHECK_INT(spool_take_lost(&spool, &lost), 0);
    /* A new file contains it, too, and a truncated one has no unreported losses. */
    file.cap = 8000;
    for (unsigned i = 0; i < 4; i++)
        emit(SEVERITY_CRITICAL, 900);
    CHECK_INT(spool.lost.count[SEVERITY_CRITICAL], 2);
    CHECK(file.skipped > 0);
    restart();
    CHECK_INT(spool.lost.count[SEVERITY_CRITICAL], 2);
    deliver(99);
    CHECK(file_size() > 0);
    CHECK_INT(spool_take_lost(&spool, &lost), 2);
    spool_file_settle(&file);
    restart();
    CHECK_INT(spool_take_lost(&spool, &lost), 0);
}

/* ---- The budget of a day ---- */

static const uint32_t event_cost = FRAME_HEADER + SPOOL_FILE_HEAD + SPOOL_FILE_GONE;

TEST(a_day_has_its_budget)
{
    const uint32_t cost = event_cost + 400;

    fresh();
    file.daily = 10 * cost + SPOOL_FILE_BLOCK;
    for (unsigned i = 0; i < 13; i++) {
        emit(SEVERITY_CRITICAL, 400);
        fake.now_ms += 1000;
    }
    CHECK_INT(file.skipped, 3);
    CHECK_INT(file.unreported, 3);
    CHECK_INT(file.failed, 0);
    CHECK_INT(spool_file_today(&file), 10 * cost);
    CHECK_STR(all(), "7A7B7C7D7E7F7G7H7I7J7k7l7m");
    fake.now_ms = 5000 + DAY_MS - 1;
    emit(SEVERITY_CRITICAL, 400);
    CHECK_INT(file.skipped, 4);
    fake.now_ms++;
    CHECK_INT(spool_file_today(&file), 0);
    emit(SEVERITY_CRITICAL, 400);
    CHECK_INT(file.skipped, 4);
    CHECK_INT(spool_file_today(&file), cost);
    /* A day without writes ends, too; the next begins with the next write. */
    fake.now_ms += 3 * (uint64_t)DAY_MS;
    emit(SEVERITY_CRITICAL, 400);
    CHECK_INT(spool_file_today(&file), cost);
    fake.now_ms += DAY_MS - 1;
    CHECK_INT(spool_file_today(&file), cost);
    fake.now_ms++;
    CHECK_INT(spool_file_today(&file), 0);
    /* The wall clock is not used. */
    emit(SEVERITY_CRITICAL, 400);
    fake.now_s += 400 * 86400;
    CHECK_INT(spool_file_today(&file), cost);
    /* The file's contents at start-up are charged to the first day. */
    restart();
    CHECK_INT(spool_file_today(&file), 13 * cost);
    file.daily = 13 * cost;
    emit(SEVERITY_CRITICAL, 1);
    CHECK_INT(file.skipped, 1);
    /* It can still be truncated: that was reserved. */
    deliver(99);
    CHECK_INT(file_size(), 0);
    CHECK_INT(spool_file_today(&file), 13 * cost + SPOOL_FILE_BLOCK);
    fake.now_ms += DAY_MS;
    emit(SEVERITY_CRITICAL, 1);
    CHECK_INT(file.skipped, 1);
}

/* ---- A file that is full ---- */

static unsigned kept_events(void)
{
    struct spool_item item;
    unsigned n = 0;

    for (size_t at = 0; spool_walk(&spool, &at, &item);)
        n += item.event.kept;
    return n;
}

TEST(a_full_file_is_replaced)
{
    const uint32_t cost = event_cost + 100;

    fresh();
    file.cap = 10 * cost;
    for (unsigned i = 0; i < 10; i++) {
        emit(SEVERITY_CRITICAL, 100);
        if (i < 6)
            deliver(1);
    }
    CHECK_INT(file.size, 10 * cost);
    CHECK_INT(spool_file_today(&file), 10 * cost);
    syncs = 0;
    emit(SEVERITY_CRITICAL, 100);
    CHECK_INT(syncs, 2); /* the file, its directory */
    CHECK_INT(access(temporary, F_OK), -1);
    CHECK_STR(all(), "7G7H7I7J7K");
    CHECK_INT(file_size(), 5 * cost - 5 * SPOOL_FILE_GONE);
    CHECK_INT(file.size, 5 * cost);
    CHECK_INT(file.alive, 5 * cost);
    CHECK_INT(file.skipped, 0);
    CHECK_INT(spool_file_today(&file), 15 * cost + SPOOL_FILE_BLOCK);
    restart();
    CHECK_STR(all(), "7G7H7I7J7K");
    /* A successor that triggers the replacement: neither the superseded event nor its GONE is in the new file. */
    fresh();
    file.cap = 3 * cost;
    emit(SEVERITY_CRITICAL, 100);
    deliver(1);
    emit(SEVERITY_CRITICAL, 100);
    emit_key(SEVERITY_CRITICAL, 100, 5);
    spool_remove(&spool, (struct spool_id){7, 2});
    emit_key(SEVERITY_CRITICAL, 100, 5);
    spool_file_settle(&file);
    CHECK_STR(all(), "7D");
    CHECK_INT(file_size(), cost - SPOOL_FILE_GONE);
    CHECK_INT(file.size, cost);
}

TEST(severe_and_new_events_are_kept)
{
    const uint32_t cost = event_cost + 100;

    fresh();
    file.least = SEVERITY_INFO;
    file.cap = 10 * cost;
    for (unsigned i = 0; i < 10; i++)
        emit(i % 3 ? SEVERITY_INFO : SEVERITY_CRITICAL, 100);
    emit(SEVERITY_WARNING, 100);
    CHECK_STR(all(), "7A7b7c7D7e7f7G7h7i7J7K");
    CHECK_INT(file.events, 5);
    CHECK_INT(file.skipped, 6);
    CHECK_INT(file.alive, 5 * cost);
    for (unsigned i = 0; i < 5; i++)
        emit(SEVERITY_CRITICAL, 100);
    emit(SEVERITY_INFO, 100); /* least severe itself */
    CHECK_STR(all(), "7a7b7c7d7e7f7g7h7i7j7k7L7M7N7O7P7q");
    CHECK_INT(file.events, kept_events());
    /* Events no longer on flash leave no trace there. */
    off_t before = file_size();
    spool_give_up(&spool, (struct spool_id){7, 1});
    spool_file_settle(&file);
    CHECK_INT(file_size(), before);
    restart();
    CHECK_STR(all(), "7L7M7N7O7P");
    file.cap = 10 * cost;
    emit(SEVERITY_CRITICAL, (size_t)(5 * cost + 1 - event_cost)); /* more than half of it */
    CHECK_INT(file.skipped, 1);
}

TEST(replacing_a_full_file_stays_within_the_budget)
{
    const uint32_t cost = event_cost + 100;

    fresh();
    file.cap = 10 * cost;
    file.daily = 15 * cost;
    for (unsigned i = 0; i < 10; i++)
        emit(SEVERITY_CRITICAL, 100);
    emit(SEVERITY_CRITICAL, 100);
    CHECK_INT(file.skipped, 1);
    CHECK_INT(file.events, 10);
    CHECK_STR(all(), "7A7B7C7D7E7F7G7H7I7J7k");
    fake.now_ms += DAY_MS;
    emit(SEVERITY_CRITICAL, 100);
    CHECK_INT(file.skipped, 1 + 6);
    CHECK_STR(all(), "7a7b7c7d7e7f7G7H7I7J7k7L");
}

/* ---- Disk errors ---- */

TEST(a_full_disk)
{
    unsigned failures = 0, whole = 0;

    for (rlim_t most = 0; most < 2600; most += 1 + most % 5) {
        fresh();
        file.cap = 2000;
        limit_files(most);
        for (unsigned i = 0; i < 24; i++) {
            emit(SEVERITY_CRITICAL, 20 + i * 6);
            if (i % 3)
                deliver(1);
        }
        CHECK_INT(file.events, kept_events());
        CHECK_INT(file.failed <= file.skipped, 1);
        failures += file.failed > 0;
        whole += file.failed == 0;
        char want[ALL];
        keep_words(want, all(), "");
        limit_files(RLIM_INFINITY);
        restart();
        /* Everything kept is there; events that are gone may be, too, if writing that failed. */
        const char *found = all();
        for (size_t i = 0; want[i]; i += 2) {
            const char pair[3] = {want[i], want[i + 1], '\0'};
            CHECK((want[i + 1] >= 'a') || strstr(found, pair) != NULL);
        }
        CHECK_INT(access(temporary, F_OK), -1);
        /* And it recovers. */
        emit(SEVERITY_CRITICAL, 5);
        CHECK_INT(file.failed, 0);
        deliver(99);
        restart();
        CHECK_STR(all(), "");
    }
    CHECK(failures > 100 && whole > 10);
}

TEST(sync_failure)
{
    for (unsigned which = 1; which < 12; which++) {
        fresh();
        file.cap = 1200;
        failing_sync = which;
        for (unsigned i = 0; i < 10; i++)
            emit(SEVERITY_CRITICAL, 100);
        failing_sync = 0;
        CHECK_INT(file.events, kept_events());
        char want[ALL];
        keep_words(want, all(), "");
        restart();
        const char *found = all();
        for (size_t i = 0; want[i]; i += 2) {
            const char pair[3] = {want[i], want[i + 1], '\0'};
            CHECK((want[i + 1] < 'a') == (strstr(found, pair) != NULL));
        }
    }
    /* At start-up: nothing is kept, but what was read is there. */
    syncs = 0;
    failing_sync = 1;
    close(file.fd);
    CHECK_INT(begin(SIZE), NEFIA_EIO);
    CHECK(spool.events > 0 && file.fd < 0);
    emit(SEVERITY_CRITICAL, 10);
    CHECK_INT(file.failed, 1);
    deliver(99);
    CHECK_INT(spool.events, 0);
    failing_sync = 0;
    restart();
    CHECK(spool.events > 0);
}

TEST(invalid_path)
{
    static const char *const paths[] = {"/nonexistent/spool", "/tmp", "", "/dev/null/x"};
    char longest[FILE_PATH_MAX + 1];

    memset(longest, 'x', sizeof longest);
    longest[FILE_PATH_MAX] = '\0';
    clock_fake_init(&fake, 5000, 0);
    for (unsigned i = 0; i < 5; i++) {
        spool_init(&spool, mem, SIZE);
        file = (struct spool_file){.least = SEVERITY_CRITICAL, .cap = 1 << 20, .daily = 1 << 20};
        int err = spool_file_open(&file, &spool, &fake.clock, i < 4 ? paths[i] : longest, buf,
                                  sizeof buf);
        CHECK_INT(err, i < 4 ? NEFIA_EIO : NEFIA_ETOOBIG);
        emit(SEVERITY_CRITICAL, 10);
        emit(SEVERITY_INFO, 10);
        CHECK_INT(file.skipped, 1);
        CHECK_INT(file.failed, 1);
        CHECK_INT(file.events, 0);
        deliver(2);
        CHECK_INT(spool.events, 0);
    }
}

/** The other beacon is refused however often the file was replaced. */
TEST(one_file_has_one_beacon)
{
    static struct spool_file other;
    static struct spool other_spool;
    static uint8_t other_mem[SIZE];

    for (unsigned i = 0; i < 2; i++) {
        if (i == 0)
            fresh();
        file.cap = 1000;
        for (unsigned k = 0; k < 8 * i; k++)
            emit(SEVERITY_CRITICAL, 200);
        CHECK(file_size() <= 1000 && file.fd >= 0);
        spool_init(&other_spool, other_mem, SIZE);
        other = (struct spool_file){.least = SEVERITY_CRITICAL, .cap = 1 << 20, .daily = 1 << 20};
        CHECK_INT(spool_file_open(&other, &other_spool, &fake.clock, path, buf, sizeof buf), NEFIA_EEXIST);
        CHECK_INT(other_spool.events, 0);
    }
    restart();
    CHECK(spool.events > 0);
}

TEST(removed_directory)
{
    char moved[FILE_PATH_MAX];

    fresh();
    file.cap = 1000;
    keep_words(moved, dir, "-moved");
    for (unsigned i = 0; i < 4; i++)
        emit(SEVERITY_CRITICAL, 100);
    CHECK_INT(rename(dir, moved), 0);
    emit(SEVERITY_CRITICAL, 400); /* would start a new one */
    CHECK_INT(file.failed, 1);
    CHECK_STR(all(), "7A7B7C7D7e");
    CHECK_INT(rename(moved, dir), 0);
    emit(SEVERITY_CRITICAL, 300);
    CHECK_INT(file.failed, 1);
    CHECK_STR(all(), "7a7b7c7d7e7F");
    restart();
    CHECK_STR(all(), "7F");
}

/* ---- Notes of what was written under which name ---- */

static const uint8_t name_a[LINK_NAME] = {0xA}, name_b[LINK_NAME] = {0xB},
                     name_c[LINK_NAME] = {0xC};

static bool find_event(struct spool_id id, struct spool_item *item)
{
    for (size_t at = 0; spool_walk(&spool, &at, item);)
        if (same(item->event.id, id))
            return true;
    return false;
}

/** Write it, without an acknowledgement. */
static void write_under(struct spool_id id, const uint8_t *name)
{
    struct spool_item item;

    REQUIRE(find_event(id, &item));
    spool_written(&spool, item.at, name);
}

/** "-": never written; "a", "b": under that name; "s": several. */
static const char *state_of(struct spool_id id)
{
    struct spool_item item;

    if (!find_event(id, &item))
        return "gone";
    if (spool_sure(&spool, &item, NULL))
        return "-";
    return spool_sure(&spool, &item, name_a) ? "a" : spool_sure(&spool, &item, name_b) ? "b" : "s";
}

static unsigned notes_in_file(void)
{
    unsigned n = 0;

    load_image();
    find_frames();
    for (unsigned i = 0; i < frame_count; i++)
        n += frames[i].kind == 6;
    return n;
}

TEST(what_was_written_is_known_after_a_restart)
{
    noting = true;
    fresh();
    const struct spool_id first = emit(SEVERITY_CRITICAL, 10), second = emit(SEVERITY_CRITICAL, 10);
    restart();
    CHECK_STR(state_of(first), "-");
    unsigned at = syncs;
    write_under(first, name_a);
    CHECK_INT(syncs, at + 1);
    CHECK_INT(on_disk, file_size());
    write_under(second, name_a); /* noted already */
    write_under(first, name_a);
    CHECK_INT(syncs, at + 1);
    restart();
    CHECK_STR(state_of(first), "a");
    CHECK_STR(state_of(second), "a"); /* a note is of the whole start */
    const struct spool_id own = emit(SEVERITY_CRITICAL, 10);
    restart();
    CHECK_STR(state_of(own), "-");
    at = syncs;
    write_under(second, name_b);
    CHECK_STR(state_of(second), "s");
    CHECK_INT(syncs, at + 1);
    write_under(first, name_c);
    CHECK_INT(syncs, at + 1); /* two notes at most */
    CHECK_INT(notes_in_file(), 2);
    write_under(own, NULL); /* plainly */
    CHECK_INT(notes_in_file(), 3);
    restart();
    CHECK_STR(state_of(first), "s");
    CHECK_STR(state_of(own), "s");
    CHECK_INT(file.size, file_size() + 3 * SPOOL_FILE_GONE);
    CHECK_INT(file.damaged, 0);
    /* What is not in the file needs no note. */
    at = syncs;
    write_under(emit(SEVERITY_INFO, 10), name_a);
    CHECK_INT(syncs, at);
    noting = false;
}

/** An event that was never written, of a start with a note, is not sure either. */
TEST(a_note_comes_before_the_next_event)
{
    noting = true;
    fresh();
    const struct spool_id first = emit(SEVERITY_CRITICAL, 10);
    write_under(first, name_a);
    spool_remove(&spool, first);
    spool_file_settle(&file);
    const struct spool_id second = emit(SEVERITY_CRITICAL, 10);
    write_under(second, name_a); /* no new note */
    CHECK_INT(notes_in_file(), 1);
    restart();
    CHECK_STR(state_of(second), "a");
    noting = false;
}

TEST(notes_outlive_a_replaced_file_and_end_with_a_truncated_one)
{
    noting = true;
    fresh();
    file.cap = 2000;
    const struct spool_id first = emit(SEVERITY_CRITICAL, 10), second = emit(SEVERITY_CRITICAL, 10);
    write_under(first, name_a);
    restart();
    file.cap = 2000;
    write_under(emit(SEVERITY_CRITICAL, 10), name_b);
    write_under((struct spool_id){boot, 1}, name_a);
    uint64_t own = boot;
    for (unsigned i = 0; i < 12; i++) {
        spool_remove(&spool, (struct spool_id){own, 1 + i + (i == 0)});
        emit(SEVERITY_CRITICAL, 200);
    }
    CHECK(file_size() < 2000); /* so it was replaced */
    CHECK_INT(file.skipped, 0);
    CHECK_STR(state_of(first), "a");
    CHECK_INT(file.size, file_size() + (long long)(file.events * SPOOL_FILE_GONE + file.gone_len));
    restart();
    CHECK_STR(state_of(first), "a");
    CHECK_STR(state_of(second), "a");
    CHECK_STR(state_of((struct spool_id){own, 1}), "s");
    for (unsigned i = 0; i < 8; i++)
        emit(SEVERITY_CRITICAL, 900);
    deliver(99);
    CHECK_INT(spool.events, 0);
    CHECK_INT(file_size(), 0);
    CHECK_INT(file.note_count, 0);
    const struct spool_id fourth = emit(SEVERITY_CRITICAL, 10);
    write_under(fourth, name_b); /* noted anew */
    CHECK_INT(notes_in_file(), 1);
    restart();
    CHECK_STR(state_of(fourth), "b");
    noting = false;
}

TEST(notes_cut_at_every_byte)
{
    noting = true;
    fresh();
    const struct spool_id first = emit(SEVERITY_CRITICAL, 20);
    size_t ends[5];
    unsigned n = 0;
    ends[n++] = (size_t)file_size();
    write_under(first, name_a);
    ends[n++] = (size_t)file_size();
    restart();
    const struct spool_id second = emit(SEVERITY_CRITICAL, 20);
    ends[n++] = (size_t)file_size();
    write_under(second, name_b);
    ends[n++] = (size_t)file_size();
    write_under(first, name_b);
    ends[n++] = (size_t)file_size();
    close(file.fd);
    load_image();
    for (size_t len = 0; len <= image_len; len++) {
        save_image(len);
        CHECK_INT(begin(SIZE), 0);
        CHECK_STR(state_of(first), len < ends[0]   ? "gone"
                                   : len < ends[1] ? "-"
                                   : len < ends[4] ? "a"
                                                   : "s");
        CHECK_STR(state_of(second), len < ends[2] ? "gone" : len < ends[3] ? "-" : "b");
        close(file.fd);
    }
    /* A note may be what is damaged. */
    for (size_t at = 0; at < ends[3]; at++) { /* the last frame would be taken for torn */
        image[at] ^= 0x40;
        save_image(image_len);
        image[at] ^= 0x40;
        CHECK_INT(begin(SIZE), 0);
        CHECK(file.damaged > 0);
        CHECK(strchr("gs", state_of(first)[0]) && strchr("gs", state_of(second)[0]));
        close(file.fd);
    }
    noting = false;
}

TEST(more_starts_than_notes)
{
    struct spool_id ids[SPOOL_FILE_NOTES + 2];

    noting = true;
    fresh();
    for (unsigned i = 0; i < ARRAY_SIZE(ids); i++) {
        ids[i] = emit(SEVERITY_CRITICAL, 10);
        write_under(ids[i], name_a);
        restart();
    }
    for (unsigned i = 0; i < ARRAY_SIZE(ids); i++)
        CHECK_STR(state_of(ids[i]), i < SPOOL_FILE_NOTES ? "a" : "s");
    CHECK(file.all_several);
    /* Settled starts make room. */
    fresh();
    for (unsigned i = 0; i < 3 * SPOOL_FILE_NOTES; i++) {
        const struct spool_id id = emit(SEVERITY_CRITICAL, 10);
        write_under(id, name_a);
        restart();
        CHECK_STR(state_of(id), i < SPOOL_FILE_NOTES ? "a" : "s");
        if (i % 2) {
            spool_remove(&spool, id);
            spool_file_settle(&file);
        }
        if (i == SPOOL_FILE_NOTES)
            break;
    }
    noting = false;
}

TEST(a_note_that_cannot_be_written)
{
    struct spool_id first, second;

    noting = true;
    for (int way = 0; way < 4; way++) {
        fresh();
        first = emit(SEVERITY_CRITICAL, 10);
        second = emit(SEVERITY_CRITICAL, 10);
        const unsigned events = file.events;
        if (way == 0)
            failing_sync = syncs + 1; /* a new file serves */
        if (way == 1)
            limit_files((rlim_t)file_size() + 10); /* no room: the new one is as large */
        if (way == 2)
            file.daily = 0; /* but a note is always written */
        if (way == 3) {
            failing_sync = syncs + 1;
            file.daily = 0;
        }
        write_under(first, name_a);
        limit_files(RLIM_INFINITY);
        failing_sync = 0;
        CHECK_INT(spool.events, 2);
        if (way == 0 || way == 2) {
            CHECK_INT(file.events, events);
            restart();
            CHECK_STR(state_of(first), "a");
            CHECK_STR(state_of(second), "a");
        } else {
            CHECK_INT(file.events + file.alive, 0);
            CHECK_INT(file.skipped, 2);
            CHECK_INT(file.failed, 2);
            CHECK_INT(file_size(), 0);
            CHECK_STR(state_of(first), "a");
            /* And it goes on. */
            file.daily = 1 << 20;
            const struct spool_id third = emit(SEVERITY_CRITICAL, 10);
            write_under(third, name_b);
            restart();
            CHECK_STR(state_of(first), "gone");
            CHECK_STR(state_of(third), "b");
        }
    }
    noting = false;
}

/* ---- Power cuts, at random ---- */

static uint32_t seed;

static unsigned random_below(unsigned n)
{
    seed = seed * 1664525 + 1013904223;
    return (unsigned)((uint64_t)seed * n >> 32);
}

static struct {
    struct spool_id id;
    bool over;
    unsigned names; /* it was written under: bits */
} truth[MOST];
static unsigned truth_count;

/** Events that left the spool are settled. */
static void note_over(void)
{
    for (unsigned i = 0; i < truth_count; i++) {
        struct spool_item item;
        bool there = false;

        for (size_t at = 0; !there && spool_walk(&spool, &at, &item);)
            there = same(item.event.id, truth[i].id);
        if (!there)
            truth[i].over = true;
    }
}

static const uint8_t *const names[] = {name_a, name_b, name_c, NULL};

/** Write the next few under a name, mostly the same. */
static void random_write(void)
{
    const unsigned which = random_below(3) ? 0 : random_below(ARRAY_SIZE(names));
    struct spool_item item;

    for (unsigned n = random_below(4); n > 0 && spool_next(&spool, &item); n--) {
        for (unsigned i = 0; i < truth_count; i++)
            if (same(truth[i].id, item.event.id))
                truth[i].names |= 1u << which;
        spool_mark_sent(&spool, &item, 1, names[which]);
    }
    spool_rewind(&spool);
}

/** Nothing may be sure that was written under another name. */
static void check_sure(unsigned i, const struct spool_item *item)
{
    for (unsigned k = 0; k < 3; k++)
        CHECK(!spool_sure(&spool, item, names[k]) || (truth[i].names & ~(1u << k)) == 0);
    CHECK(!spool_sure(&spool, item, NULL) || truth[i].names == 0);
}

static void random_work(void)
{
    for (unsigned n = random_below(30) + 1; n > 0; n--) {
        unsigned what = random_below(6);

        if (what == 0)
            deliver(random_below(3) + 1);
        else if (what == 1)
            spool_give_up(&spool, (struct spool_id){boot, random_below(20)});
        else if (what == 5)
            random_write();
        else if (truth_count < MOST) {
            enum severity severity = (enum severity)random_below(SEVERITY_COUNT);
            unsigned len = random_below(300) + 1, key = random_below(20);
            truth[truth_count].names = 0;
            truth[truth_count++].id = emit_key(severity, len, key > 2 ? 0 : key);
        }
        fake.now_ms += random_below(1000000);
    }
    note_over();
}

/** Data written since the last sync survives in part: truncated, or with holes. */
static void cut_power(void)
{
    close(file.fd);
    load_image();
    size_t len = image_len, synced = (size_t)on_disk < len ? (size_t)on_disk : len;

    if (len > synced && random_below(2))
        len = synced + random_below((unsigned)(len - synced));
    for (unsigned holes = random_below(3); holes > 0 && len > synced; holes--) {
        size_t from = synced + random_below((unsigned)(len - synced));
        memset(image + from, random_below(2) ? 0 : 0x4E, random_below((unsigned)(len - from)) + 1);
    }
    save_image(len);
}

static bool is_kept(struct spool_id id, const struct spool_id *kept, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        if (same(kept[i], id))
            return true;
    return false;
}

TEST(power_cuts_at_random)
{
    struct spool_id kept[256];
    struct spool_item item;

    noting = true;
    seed = 3;
    fresh();
    truth_count = 0;
    for (unsigned run = 0; run < 250; run++) {
        file.least = SEVERITY_WARNING;
        file.cap = 6000;
        file.daily = 60000;
        random_work();
        unsigned n = 0, found = 0;
        for (size_t at = 0; spool_walk(&spool, &at, &item);)
            if (item.event.kept)
                kept[n++] = item.event.id;
        CHECK_INT(n, file.events);
        CHECK(spool_file_today(&file) <= file.daily + 6000);
        cut_power();
        CHECK_INT(begin(SIZE), 0);
        for (size_t at = 0; spool_walk(&spool, &at, &item);) {
            bool known = false;
            for (unsigned i = 0; i < truth_count; i++)
                if (same(truth[i].id, item.event.id)) {
                    known = true;
                    check_sure(i, &item);
                }
            CHECK(known); /* was emitted */
            CHECK_MEM(item.event.line, line_of(item.event.id, item.event.len), item.event.len);
            CHECK(item.event.severity >= SEVERITY_WARNING && item.event.kept);
            found += is_kept(item.event.id, kept, n);
        }
        CHECK_INT(found, n);
        note_over();
    }
    CHECK(truth_count > 1000);
    noting = false;
}

TEST_MAIN(severe_events_are_restored_with_their_ids, removed_events_do_not_come_back,
          lost_gone_frames_cost_a_repetition, cut_at_every_byte, damaged_at_every_byte,
          successor_is_written_before_the_superseded_is_removed,
          unkept_successor_leaves_the_superseded, successor_below_the_threshold,
          unknown_frames_are_skipped, evicted_events_are_lost_once, losses_outlive_the_beacon,
          a_day_has_its_budget, a_full_file_is_replaced, severe_and_new_events_are_kept,
          replacing_a_full_file_stays_within_the_budget, a_full_disk, sync_failure,
          what_was_written_is_known_after_a_restart, a_note_comes_before_the_next_event,
          notes_outlive_a_replaced_file_and_end_with_a_truncated_one, notes_cut_at_every_byte,
          more_starts_than_notes, a_note_that_cannot_be_written, invalid_path, one_file_has_one_beacon, removed_directory,
          power_cuts_at_random)
