#include "nefia/beacon/sensor_runner.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "nefia/base/err.h"

/* Files that sensors follow. The buffer, and what is in it of a line without its end, are those of a command that is
 * followed (sensor_follow.c). */

enum {
    SETTLE_MS = 100, /* so many lines a second as there may be, so many looks */
    CHANGES = IN_MODIFY | IN_ATTRIB,
};

int followed_file_start(struct followed_file *f, struct emitter *e, const char *path,
                        struct followed_file *before)
{
    int err = 0;

    if (before && before->path.path && str_eq(before->path.path, path)) {
        *f = *before;
        before->fd = before->inotify = 0;
    }
    f->path.path = path;
    if (f->inotify <= 0)
        f->inotify = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (f->inotify < 0)
        return emitter_not_measured(e, "inotify", ERRNO(errno));
    if (!f->fd) {
        err = followed_file_look(f, e);
        e->why[0] = '\0'; /* that is the result of a look, and no failure to start */
    }
    if (err < 0)
        followed_file_close(f);
    else
        emitter_soon(e, 0);
    return err;
}

/** Follow the file that is there now. */
static void begin(struct followed_file *f, struct follow *lines, int fd)
{
    if (f->fd)
        close(f->fd);
    f->fd = fd;
    lines->len = 0;
    /* From its end: behind the end of its last line, which may be yet to come. */
    lines->skipping = !f->known && lseek(fd, -1, SEEK_END) >= 0;
}

/** Read on; again from the beginning if it was emptied. Return: as read(2). */
static ssize_t read_on(const struct followed_file *f, struct follow *lines, off_t size)
{
    if (size < lseek(f->fd, 0, SEEK_CUR)) {
        lseek(f->fd, 0, SEEK_SET);
        lines->len = 0;
        lines->skipping = false;
    }
    return follow_read(lines, f->fd, FOLLOW_READS);
}

/** A device would have no end, and to open some of them does something. */
static int open_file(const char *path)
{
    struct stat s;

    if (stat(path, &s) < 0 || S_ISREG(s.st_mode) || S_ISDIR(s.st_mode))
        return open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    errno = EINVAL;
    return -1;
}

int followed_file_look(struct followed_file *f, struct emitter *e)
{
    struct follow *lines = sensor_follow_lines(e);
    struct stat old = {0}, s = {0};
    int err = path_watch(f->inotify, &f->path, CHANGES) < 0 ? errno : 0;
    ssize_t more = 0;
    const int fd = open_file(f->path.path);

    if (fd < 0 || fstat(fd, &s) < 0)
        err = errno;
    f->known |= f->fd || err == ENOENT;
    if (f->fd && fstat(f->fd, &old) == 0)
        more = read_on(f, lines, old.st_size);
    if (more < 0)
        err = errno;
    /* An empty one is none yet: whoever writes to the old one may not know of it. */
    if (more <= 0 && fd >= 0 &&
        (!f->fd || (s.st_size > 0 && (s.st_ino != old.st_ino || s.st_dev != old.st_dev)))) {
        begin(f, lines, fd);
        more = 1;
    } else if (fd >= 0) {
        close(fd);
    }
    if (err)
        emitter_not_measured(e, f->path.path, ERRNO(err));
    if (more > 0)
        emitter_soon(e, 0);
    return more > 0 ? 0 : emitter_watch(e, f->inotify, POLLIN);
}

void followed_file_ready(struct followed_file *f, struct emitter *e)
{
    if (!paths_read(e, f->inotify, &f->path, 1))
        return;
    emitter_unwatch(e, f->inotify);
    emitter_soon(e, SETTLE_MS);
}

void followed_file_close(struct followed_file *f)
{
    if (f->fd)
        close(f->fd);
    if (f->inotify)
        close(f->inotify);
    f->fd = f->inotify = 0;
}
