#include <errno.h>
#include <string.h>
#include <sys/vfs.h>

#include "nefia/base/err.h"
#include "nefia/beacon/sensor.h"

/* disk_usage: file system usage.
 * Used percent is what df(1) shows: used / (used + available to ordinary users), here in tenths,
 * rounded half up. statfs(2) blocks: a network file system whose server is down would block the
 * beacon, so monitor those with a script, which has a deadline. */
struct disk {
    struct sensor_common common;
    struct thresholds limits; /* tenths of a percent */
    const char *paths[CONFIG_DISK_PATHS];
    unsigned count;
};

/** One measurement of one path. */
struct usage {
    uint64_t total_bytes, free_bytes; /* free to ordinary users */
    int64_t used;                     /* tenths of a percent */
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
enum { LIMITS = 1 }; /* index of the thresholds */
static const struct field disk_fields[] = {
    {.name = "paths",
     .type = FIELD_LIST,
     MEMBER(paths),
     .min = 1,
     .def = "/",
     .list = &path_list,
     .help = FIELD_NOTE("any path on each file system to watch")},
    THRESHOLD_FIELDS(struct disk, limits, "_percent", FIELD_TENTHS, 1, 1000, "80", "90", "2"),
    {.name = NULL},
};

static int disk_open(void *state, struct config *c, const struct node *n, const char *where)
{
    struct disk *d = state;
    unsigned errors = c->errors;

    thresholds_check(d, &disk_fields[LIMITS], ABOVE, c, n, where);
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

static int disk_poll(void *state, struct emitter *out, uint64_t now_ms)
{
    struct disk *d = state;

    (void)now_ms;
    for (unsigned i = 0; i < d->count; i++) {
        const char *path = d->paths[i];
        struct usage u = {0};
        int reason = look(path, &u);
        judge_readable(out, path, reason);
        if (!reason)
            judge_usage(d, out, path, &u);
    }
    return 0;
}

const struct sensor_class sensor_disk = {
    .name = "disk_usage",
    .source = "disk-beacon",
    .interval = "5m",
    .fields = disk_fields,
    .state_size = sizeof(struct disk),
    .open = disk_open,
    .poll = disk_poll,
};
