#include <errno.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "nefia/base/err.h"
#include "nefia/beacon/sensor.h"
#include "nefia/sys/file.h"
#include "nefia/sys/log.h"

/* file: files that change. inotify says that something has happened, stat(2) what: a second later, so that all that
 * happens at once is one event. */
struct file {
    const char *path;
    int64_t max_size; /* bytes; > 0: only growth beyond counts */
    int severity;
    uint32_t told; /* what was last told of it, or seen at first; 0: not there */
    bool known, grown;
};

struct files {
    struct sensor_common common;
    struct file files[CONFIG_FILES];
    struct watched_path paths[CONFIG_FILES]; /* of the same index */
    unsigned count;
    int fd; /* of inotify; 0: not open */
};

enum {
    SETTLE_MS = 1000,
    CHANGES = IN_MODIFY | IN_CLOSE_WRITE | IN_ATTRIB | IN_CREATE | IN_DELETE | IN_MOVE,
};

#define MEMBER(name) FIELD_AT(struct file, name)
static const struct field item_fields[] = {
    {.name = "path",
     .type = FIELD_STRING,
     MEMBER(path),
     .min = 2,
     .max = WATCHED_PATH_BYTES - 1,
     .required = true},
    {FIELD_DEFAULT("max_size", "0"), .type = FIELD_INT, MEMBER(max_size), .min = 0, .max = -1},
    {FIELD_DEFAULT("severity", "warning"), .type = FIELD_WORD, MEMBER(severity),
     .words = severity_words},
    {.name = NULL},
};

static bool keep(struct config *c, const struct node *n, const char *where, void *item, void *out)
{
    const struct file *f = item;
    struct files *s = out;

    if (f->path && f->path[0] != '/')
        config_error(c, n, where, "path is not absolute", NULL);
    s->paths[s->count].path = f->path;
    return true;
}

static const struct field_list file_list = {
    .count = offsetof(struct files, count),
    .size = sizeof(struct file),
    .cap = CONFIG_FILES,
    .remedy = FIELD_HELP("; raise CONFIG_FILES"),
    .fields = item_fields,
    .keep = keep,
};

static const struct field file_fields[] = {
    {FIELD_REQUIRED("files", "files to watch"), .type = FIELD_LIST, FIELD_AT(struct files, files),
     .min = 1, .list = &file_list},
    {.name = NULL},
};

static int files_open(void *state, struct config *c, const struct node *n, const char *where)
{
    return config_bind_maps(c, n, where, file_fields, state);
}

/** What it is now: 0 if it is not there, which is what a link is that leads nowhere. Return: 0, or errno. */
static int look(const char *path, uint32_t *print, int64_t *size)
{
    struct stat s;

    *print = 0;
    *size = 0;
    if (stat(path, &s) < 0)
        return errno == ENOENT || errno == ENOTDIR || errno == ELOOP || errno == ENAMETOOLONG ? 0 : errno;
    *print = file_print(&s);
    *size = (int64_t)s.st_size;
    return 0;
}

/** Of one that changes all the time the repetitions are not told; what it has become then is. */
static bool tell(struct emitter *out, const struct file *f, const char *change, bool there,
                 int64_t size)
{
    char buf[WATCHED_PATH_BYTES + 8];
    struct text subject;

    text_init(&subject, buf, sizeof buf);
    text_str(&subject, change);
    text_str(&subject, f->path);
    struct json_writer *w = emit_begin(out, "file.changed", buf, (enum severity)f->severity);
    json_put_string(w, "path", f->path);
    json_put_string(w, "change", change);
    if (there)
        json_put_i64(w, "size", size);
    return emit_end(out) == 1;
}

static void judge(struct emitter *out, struct file *f, uint32_t print, int64_t size)
{
    if (f->max_size > 0) {
        f->grown = size > f->max_size && (f->grown || tell(out, f, "grown", true, size));
        return;
    }
    const char *change = !f->told ? "created" : print ? "changed" : "removed";
    if (print != f->told && tell(out, f, change, print > 0, size))
        f->told = print;
}

/** Watch and look at all. The first look at one is only remembered; at the start that is all. */
static void look_at_all(struct files *s, struct emitter *out, bool start)
{
    for (unsigned i = 0; i < s->count; i++) {
        struct file *f = &s->files[i];
        uint32_t print;
        int64_t size;
        int error = path_watch(s->fd, &s->paths[i], CHANGES) < 0 ? errno : 0;
        s->paths[i].seen = 0;
        if (!error)
            error = look(f->path, &print, &size);
        if (!error && !f->known) {
            f->told = print;
            f->known = true;
        }
        if (start)
            continue;
        if (error)
            emitter_not_measured(out, f->path, ERRNO(error));
        else
            judge(out, f, print, size);
    }
}

static void file_ready(void *state, struct emitter *out, int fd, short events)
{
    struct files *s = state;

    (void)events;
    const uint32_t seen = paths_read(out, fd, s->paths, s->count);
    if (seen & IN_Q_OVERFLOW)
        LOG_WARN("file: events were lost, looking at all files");
    if (!seen)
        return;
    emitter_unwatch(out, fd); /* until they have been looked at */
    emitter_soon(out, SETTLE_MS);
}

static int file_poll(void *state, struct emitter *out, uint64_t now_ms)
{
    struct files *s = state;

    (void)now_ms;
    paths_read(out, s->fd, s->paths, s->count);
    look_at_all(s, out, false);
    return emitter_watch(out, s->fd, POLLIN);
}

static void file_stop(void *state)
{
    struct files *s = state;

    close(s->fd);
}

static void take_over(struct files *s, const struct files *old)
{
    for (unsigned i = 0; i < s->count; i++)
        for (unsigned j = 0; j < old->count; j++)
            if (str_eq(s->files[i].path, old->files[j].path)) {
                s->files[i].told = old->files[j].told;
                s->files[i].grown = old->files[j].grown;
                s->files[i].known = old->files[j].known;
            }
}

static int file_start(void *state, struct emitter *self, void *before)
{
    struct files *s = state;

    s->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (s->fd < 0)
        return emitter_not_measured(self, "inotify", ERRNO(errno));
    if (before) {
        take_over(s, before);
        emitter_soon(self, SETTLE_MS);
    }
    int err = emitter_watch(self, s->fd, POLLIN);
    if (err < 0)
        file_stop(s);
    else
        look_at_all(s, self, true);
    return err;
}

const struct sensor_class sensor_file = {
    SENSOR_NAME("file", "5m"),
    .fields = file_fields,
    .state_size = sizeof(struct files),
    .watches = 1,
    .open = files_open,
    .start = file_start,
    .poll = file_poll,
    .ready = file_ready,
    .stop = file_stop,
};
