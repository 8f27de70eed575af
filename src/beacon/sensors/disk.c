#include <errno.h>
#include <string.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "nefia/base/err.h"
#include "nefia/beacon/sensor.h"
#include "nefia/sys/cli.h"

/* disk_usage: file system usage.
 * Used percent is what df(1) shows: used / (used + available to ordinary users), here in tenths,
 * rounded half up. statfs(2) blocks where the server of a network file system is gone: paths on
 * those are measured in processes of their own (DISK_NETWORK). */
enum {
    MORE = IS_ENABLED(CONFIG_DISK_MORE),
    NETWORK = IS_ENABLED(CONFIG_DISK_NETWORK),
    REMEMBERS = MORE || NETWORK,
    ANSWER_MS = 10 * 1000, /* of a network file system */
    LISTED_AT = 3, /* the mounts, at each so many looks: that one is in an emergency is no change of theirs */
};

/** What is known of a path from one look to the next. */
struct place {
    bool was_writable; /* ever since the sensor is there */
    bool emergency;    /* ext4 does not write to it any more, but shows it as writable (Linux 6.15) */
    bool remote;       /* on a network file system, or nobody knows */
    bool asked;        /* its process has not answered yet */
    uint16_t mounted;  /* length of the path of its mount */
    struct apart process; /* that did not answer in time; 0: it did */
};

struct disk {
    struct sensor_common common;
    struct thresholds limits, inodes; /* tenths of a percent */
    const char *paths[CONFIG_DISK_PATHS];
    unsigned count;
    uint32_t mounts; /* emitter_mounts when they were listed; 0: to be listed */
    unsigned looks;  /* since then */
    bool may_hang;   /* one of them, wherever it was mounted */
    struct place places[REMEMBERS ? CONFIG_DISK_PATHS : 1];
};

/** One measurement of one path. */
struct usage {
    uint64_t total_bytes, free_bytes; /* free to ordinary users */
    uint64_t inodes, free_inodes;     /* 0: it does not count them */
    int64_t used;                     /* tenths of a percent */
    bool read_only;
};

static int set_path(void *item, const char *value, struct text *why)
{
    if (value[0] == '/') {
        memcpy(item, &value, sizeof value);
        return 0;
    }
    text_str(why, "path \"");
    text_str(why, value);
    text_str(why, "\" is not absolute");
    return NEFIA_EINVAL;
}

static const struct field_list path_list = {
    .count = offsetof(struct disk, count),
    .cap = CONFIG_DISK_PATHS,
    .remedy = FIELD_HELP("; raise CONFIG_DISK_PATHS"),
    .set = set_path,
};

#define MEMBER(name) FIELD_AT(struct disk, name)
enum { LIMITS = 1, INODES = 4 }; /* index of the thresholds */
static const struct field disk_fields[] = {
    {FIELD_DEFAULT("paths", "/"),
     .type = FIELD_LIST,
     MEMBER(paths),
     .min = 1,
     .list = &path_list,
     FIELD_NOTE("any path on each file system to watch")},
    THRESHOLD_FIELDS(struct disk, limits, "_percent", FIELD_TENTHS, 1, 1000, "80", "90", "2"),
#ifdef CONFIG_DISK_MORE
    THRESHOLD_FIELDS(struct disk, inodes, "_inodes_percent", FIELD_TENTHS, 1, 1000, "80", "90", "2"),
#else
    FIELD_NOT("warning_inodes_percent\0critical_inodes_percent\0hysteresis_inodes_percent\0", " (CONFIG_DISK_MORE)")
#endif
    {.name = NULL},
};

static int disk_open(void *state, struct config *c, const struct node *n, const char *where)
{
    struct disk *d = state;
    unsigned errors = c->errors;

    thresholds_check(d, &disk_fields[LIMITS], ABOVE, c, n, where);
    if (MORE)
        thresholds_check(d, &disk_fields[INODES], ABOVE, c, n, where);
    config_distinct(c, node_child(c, n, "paths"), where, "path", d->paths, d->count);
    return c->errors == errors ? 0 : NEFIA_EINVAL;
}

/** Return: 0, or errno. */
static int look(const char *path, struct usage *u)
{
    struct statfs v;

    if (statfs(path, &v) < 0)
        return errno;
    uint64_t block = (uint64_t)(v.f_frsize ? v.f_frsize : v.f_bsize); /* signed in glibc */
    uint64_t used = v.f_blocks > v.f_bfree ? (uint64_t)v.f_blocks - v.f_bfree : 0;
    *u = (struct usage){.total_bytes = (uint64_t)v.f_blocks * block,
                        .free_bytes = (uint64_t)v.f_bavail * block,
                        .used = percent_tenths(used, used + v.f_bavail)};
    if (MORE) {
        u->inodes = v.f_files;
        u->free_inodes = v.f_ffree;
        u->read_only = v.f_flags & 1; /* ST_RDONLY */
    }
    return 0;
}

/** A path that cannot be measured is a condition of its own: it is reported, and so is its
 * recovery. */
static void judge_readable(struct emitter *out, const char *path, int reason)
{
    struct json_writer *w =
        emit_condition(out, "disk.unreadable", path, reason ? LEVEL_WARNING : LEVEL_OK);

    if (reason)
        emitter_not_measured(out, path, ERRNO(reason));
    if (!w)
        return;
    json_put_string(w, "path", path);
    if (reason) {
        json_put_string(w, "state", "unreadable");
        json_put_string(w, "reason", ERRNO(reason));
    }
    emit_end(out);
}

static void judge_usage(const struct disk *d, struct emitter *out, const char *path,
                        const struct usage *u)
{
    struct json_writer *w = emit_level(out, "disk.usage", path, u->used, &d->limits, ABOVE);

    if (!w)
        return;
    json_put_string(w, "path", path);
    put_tenths(w, "used_percent", u->used);
    json_put_u64(w, "total_bytes", u->total_bytes);
    json_put_u64(w, "free_bytes", u->free_bytes);
    emit_end(out);
}

static void judge_inodes(const struct disk *d, struct emitter *out, const char *path,
                         const struct usage *u)
{
    if (u->inodes == 0 || u->free_inodes > u->inodes)
        return;
    const int64_t used = percent_tenths(u->inodes - u->free_inodes, u->inodes);
    struct json_writer *w = emit_level(out, "disk.inodes", path, used, &d->inodes, ABOVE);
    if (!w)
        return;
    json_put_string(w, "path", path);
    put_tenths(w, "used_percent", used);
    json_put_u64(w, "total_inodes", u->inodes);
    json_put_u64(w, "free_inodes", u->free_inodes);
    emit_end(out);
}

/** What has always been read-only is meant to be. */
static void judge_read_only(struct place *p, struct emitter *out, const char *path, bool read_only)
{
    p->was_writable |= !read_only;
    if (!p->was_writable)
        return;
    struct json_writer *w =
        emit_condition(out, "disk.read_only", path, read_only ? LEVEL_CRITICAL : LEVEL_OK);
    if (!w)
        return;
    json_put_string(w, "path", path);
    emit_end(out);
}

/** reason: an errno, or 0 and what was measured. */
static void judge(struct disk *d, struct emitter *out, unsigned i, int reason, const struct usage *u)
{
    const char *path = d->paths[i];

    judge_readable(out, path, reason);
    if (reason)
        return;
    judge_usage(d, out, path, u);
    if (!MORE)
        return;
    judge_inodes(d, out, path, u);
    judge_read_only(&d->places[i], out, path, u->read_only || d->places[i].emergency);
}

/* ---- which file system a path is on, without touching it ---- */

static int take_mount(void *arg, const char *line, size_t len)
{
    struct disk *d = arg;
    struct mount m;

    (void)len;
    if (!mount_read(&m, line))
        return 0;
    const bool hangs = mount_may_hang(&m);
    d->may_hang |= hangs;
    for (unsigned i = 0; i < d->count; i++) {
        struct place *p = &d->places[i];
        const size_t n = mount_holds(&m, d->paths[i]);
        if (n == 0)
            continue;
        p->remote |= hangs;
        if (n < p->mounted)
            continue;
        p->mounted = (uint16_t)n;
        p->emergency = MORE && str_find(m.word[MOUNT_SUPER], ",emergency_ro");
    }
    return 0;
}

/** May its way lead elsewhere? As it is written, it leads to no network file system. */
static bool has_link(struct emitter *out, const char *path)
{
    size_t cap, at = 0;
    char *buf = emitter_buffer(out, &cap), target;

    if (str_find(path, "/.") || str_find(path, "//"))
        return true;
    do {
        at += 1 + strcspn(path + at + 1, "/");
        if (at >= cap)
            return true;
        memcpy(buf, path, at);
        buf[at] = '\0';
        if (readlink(buf, &target, 1) >= 0)
            return true;
    } while (path[at]);
    return false;
}

/** Where that fails, one that was in an emergency still is. Return: 0, or negative: not measured. */
static int list_mounts(struct disk *d, struct emitter *out)
{
    d->may_hang = false;
    for (struct place *p = d->places; p < d->places + d->count; p++) {
        p->remote = false;
        p->mounted = 0;
    }
    return emitter_lines(out, MOUNTS, take_mount, d);
}

static void find_mounts(struct disk *d, struct emitter *out)
{
    const uint32_t mounts = NETWORK ? emitter_mounts(out) : 0;
    int err = 0;

    if (!mounts || mounts != d->mounts || ++d->looks == LISTED_AT) {
        err = list_mounts(d, out);
        /* The kernel does not tell when a directory on the way to a mount is renamed. */
        d->mounts = err < 0 || d->may_hang ? 0 : mounts;
        d->looks = 0;
    }
    for (unsigned i = 0; NETWORK && i < d->count; i++)
        if (err < 0 || (!d->places[i].remote && has_link(out, d->paths[i])))
            d->places[i].remote = true;
}

/* ---- network file systems ---- */

/** What the processes write, whole ones: that one is there, and what it has measured. */
struct begun {
    int32_t index; /* -1 - index of the path */
    struct apart process;
};
struct answer {
    int32_t index; /* of the path */
    int32_t reason;
    struct usage usage;
};
enum {
    ASKED_MOST = CONFIG_SCRIPT_OUTPUT_BYTES / (sizeof(struct begun) + sizeof(struct answer))
};

static void write_answer(unsigned i, int reason, const struct usage *u)
{
    struct answer a = {.index = (int32_t)i, .reason = reason, .usage = *u};

    cli_write(STDOUT_FILENO, (const char *)&a, sizeof a);
}

/** In a process of the beacon's: one more for each path, since one that hangs cannot even be killed. Those
 * that do not answer are left when this one is ended. */
static int ask(void *arg)
{
    const struct disk *d = arg;
    struct usage u = {0};

    for (unsigned i = 0; i < d->count; i++) {
        if (!d->places[i].asked)
            continue;
        struct begun b = {-1 - (int32_t)i, {.child = _Fork(), .group = getpid()}};
        if (b.process.child == 0) {
            const int reason = look(d->paths[i], &u);
            write_answer(i, reason, &u);
            _exit(0);
        }
        if (b.process.child < 0)
            write_answer(i, errno, &u);
        else
            cli_write(STDOUT_FILENO, (const char *)&b, sizeof b);
    }
    while (wait(NULL) > 0 || errno == EINTR)
        ;
    return 0;
}

static bool next_record(const char **at, size_t *left, void *record, size_t size)
{
    if (*left < size)
        return false;
    memcpy(record, *at, size);
    *at += size;
    *left -= size;
    return true;
}

static void take_answers(struct disk *d, struct emitter *out, const char *at, size_t left)
{
    struct begun b;
    struct answer a;

    while (left >= sizeof b) {
        memcpy(&b.index, at, sizeof b.index);
        if (b.index < 0 && next_record(&at, &left, &b, sizeof b)) {
            d->places[-1 - b.index].process = b.process;
        } else if (next_record(&at, &left, &a, sizeof a)) {
            d->places[a.index].asked = false;
            d->places[a.index].process.child = 0;
            judge(d, out, (unsigned)a.index, a.reason, &a.usage);
        } else {
            return;
        }
    }
}

static void answered(void *state, struct emitter *out, const struct child_result *r, const char *output)
{
    struct disk *d = state;

    take_answers(d, out, output, r->output_len);
    for (unsigned i = 0; i < d->count; i++) {
        if (d->places[i].asked)
            judge(d, out, i, r->timed_out ? ETIMEDOUT : EIO, NULL);
        d->places[i].asked = false;
    }
}

static int ask_all(struct disk *d, struct emitter *out)
{
    const uint64_t half = d->common.interval_ms / 2;
    unsigned asked = 0;

    for (unsigned i = 0; i < d->count; i++) {
        struct place *p = &d->places[i];
        p->asked = p->remote && !apart_hangs(&p->process);
        if (p->remote && !p->asked)
            judge(d, out, i, ETIMEDOUT, NULL);
        if (p->asked && ++asked > ASKED_MOST) {
            emitter_not_measured(out, d->paths[i], HINTED("too many network paths", " (CONFIG_SCRIPT_OUTPUT_BYTES)"));
            p->asked = false;
        }
    }
    return asked ? emitter_child_run(out, ask, d, half < ANSWER_MS ? half : ANSWER_MS, answered) : 0;
}

static int disk_start(void *state, struct emitter *self, void *before)
{
    struct disk *d = state;
    const struct disk *old = before;

    (void)self;
    for (unsigned i = 0; i < d->count; i++)
        for (unsigned j = 0; old && j < old->count; j++)
            if (str_eq(d->paths[i], old->paths[j]))
                d->places[i] = old->places[j];
    return 0;
}

static int disk_poll(void *state, struct emitter *out, uint64_t now_ms)
{
    struct disk *d = state;

    (void)now_ms;
    if (REMEMBERS)
        find_mounts(d, out);
    for (unsigned i = 0; i < d->count; i++) {
        struct usage u = {0};
        if (NETWORK && d->places[i].remote)
            continue;
        const int reason = look(d->paths[i], &u);
        judge(d, out, i, reason, &u);
    }
    return NETWORK ? ask_all(d, out) : 0;
}

const struct sensor_class sensor_disk = {
    SENSOR_NAME_OF("disk_usage", "5m", "disk-beacon"),
    .fields = disk_fields,
    .state_size = sizeof(struct disk),
    .open = disk_open,
    .start = REMEMBERS ? disk_start : NULL,
    .poll = disk_poll,
};
