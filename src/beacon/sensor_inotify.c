#include <errno.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "nefia/base/err.h"
#include "nefia/beacon/sensor.h"

/* Paths that sensors watch by inotify(7). */

enum {
    DIRECTORY = IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_DELETE_SELF | IN_MOVE_SELF,
    TRIES = 8, /* one for each directory that comes while we look, within reason */
};

/** A watch that has moved on to another file or directory leaves the old one. If another path shares that, it
 * is told so (IN_IGNORED), and watched again at its next look. */
static void replace(int fd, int *watch, int by)
{
    if (*watch > 0 && *watch != by)
        inotify_rm_watch(fd, *watch);
    *watch = by > 0 ? by : 0;
}

/** Watch the nearest directory that there is, for the name below it that leads to the path. Return: its watch, or
 * NEFIA_EIO. */
static int watch_nearest(int fd, struct watched_path *p, uint32_t mask)
{
    char dir[WATCHED_PATH_BYTES];
    size_t at = strlen(p->path);

    memcpy(dir, p->path, at + 1);
    while (at > 0) {
        while (at > 0 && dir[--at] != '/')
            ;
        dir[at] = '\0';
        p->name = (uint16_t)(at + 1);
        int watch = inotify_add_watch(fd, at ? dir : "/", mask | IN_ONLYDIR | IN_MASK_ADD);
        if (watch > 0)
            return watch;
    }
    return NEFIA_EIO;
}

int path_watch(int fd, struct watched_path *p, uint32_t mask)
{
    int watch = inotify_add_watch(fd, p->path, mask | IN_DELETE_SELF | IN_MOVE_SELF | IN_MASK_ADD);
    /* A file that may not be read may still be watched from its directory. */
    const uint32_t more = watch < 0 && errno == EACCES ? mask : 0;
    int nearest = 0, before = -1;

    replace(fd, &p->file, watch);
    for (unsigned i = 0; i < TRIES && nearest != before; i++) {
        before = nearest;
        nearest = watch_nearest(fd, p, DIRECTORY | more);
    }
    replace(fd, &p->directory, nearest);
    return nearest < 0 ? nearest : 0;
}

static bool concerns(const struct watched_path *p, const struct inotify_event *e, const char *name)
{
    const char *wanted = p->path + p->name;
    const size_t len = strcspn(wanted, "/");

    if ((e->mask & IN_Q_OVERFLOW) || e->wd == p->file)
        return true;
    /* Without a name it is the directory itself: that it is gone counts, not that it is read (IN_ISDIR). */
    return e->wd == p->directory &&
           (e->len == 0 ? !(e->mask & IN_ISDIR) : (e->len > len && memcmp(name, wanted, len) == 0 && name[len] == '\0'));
}

uint32_t paths_read(struct emitter *e, int fd, struct watched_path *paths, unsigned count)
{
    struct inotify_event event;
    size_t cap;
    const char *at = emitter_buffer(e, &cap);
    ssize_t n = read(fd, emitter_buffer(e, &cap), cap);
    uint32_t all = 0;

    for (size_t left = n > 0 ? (size_t)n : 0; left >= sizeof event;) {
        memcpy(&event, at, sizeof event);
        at += sizeof event;
        left -= sizeof event;
        if (event.len > left)
            break;
        for (unsigned i = 0; i < count; i++)
            if (concerns(&paths[i], &event, at)) {
                paths[i].seen |= event.mask;
                all |= event.mask;
            }
        at += event.len;
        left -= event.len;
    }
    return all;
}
