#include "nefia/sys/path.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "nefia/base/err.h"
#include "nefia/base/text.h"

/* linux/magic.h, linux/proc_fs.h, linux/statfs.h */
enum { PROC_SUPER_MAGIC = 0x9fa0, PROC_ROOT_INO = 1, ST_NOSYMFOLLOW = 0x2000 };
enum { HOLD = O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC };

struct walk {
    struct path *path;
    size_t len;   /* of its text; 0: the root */
    size_t at;    /* in rest: what is still to be walked, up to its end */
    unsigned links;
    char rest[2 * FILE_PATH_MAX];
};

static int refuse(struct path *p, int err, const char *why)
{
    p->why = why;
    return err;
}

static int too_long(struct path *p)
{
    return refuse(p, NEFIA_ETOOBIG, "the path or one that its symbolic links make is too long");
}

static int failed(struct path *p)
{
    return refuse(p, NEFIA_EIO, "the path cannot be followed");
}

static int changed(struct path *p)
{
    return refuse(p, NEFIA_EAGAIN, "the path changed while it was resolved");
}

/** Take the last component off. */
static void cut(struct walk *w)
{
    while (w->len > 0 && w->path->text[--w->len] != '/')
        ;
    w->path->text[w->len] = '\0';
}

/** A symbolic link in the directory that the text names. */
static int may_follow(struct path *p, const struct stat *link)
{
    const char *parent = p->text[0] ? p->text : "/";
    struct statfs fs;
    struct stat dir;

    if (lstat(parent, &dir) < 0 || statfs(parent, &fs) < 0)
        return failed(p);
    /* In the root of a /proc there are only links of text. */
    if ((unsigned long)fs.f_type == PROC_SUPER_MAGIC && dir.st_ino != PROC_ROOT_INO)
        return refuse(p, NEFIA_EINVAL, "the path uses a link of /proc to what a process has open");
    if (fs.f_flags & ST_NOSYMFOLLOW)
        return refuse(p, NEFIA_EINVAL, "the path uses a symbolic link where the mount forbids them");
    if ((dir.st_mode & S_ISVTX) && (dir.st_mode & S_IWOTH) && link->st_uid != geteuid() &&
        link->st_uid != dir.st_uid)
        return refuse(p, NEFIA_EINVAL, "the path uses another user's symbolic link in a directory that all can write to");
    return 0;
}

/** Put the text of the link, which is the last component, in its place. */
static int follow(struct walk *w, const struct stat *link)
{
    struct path *p = w->path;

    if (++w->links > PATH_LINKS)
        return refuse(p, NEFIA_EDEPTH, "the path has more than " LITERAL(PATH_LINKS) " symbolic links");
    const ssize_t n = readlink(p->text, w->rest, w->at);
    if (n <= 0)
        return n < 0 ? failed(p) : changed(p);
    if ((size_t)n == w->at)
        return too_long(p);
    cut(w);
    const int err = may_follow(p, link);
    if (err < 0)
        return err;
    w->at -= (size_t)n;
    memmove(w->rest + w->at, w->rest, (size_t)n);
    if (w->rest[w->at] == '/')
        p->text[w->len = 0] = '\0';
    return 1;
}

/** The last component of the text, which was just put there. */
static int look(struct walk *w)
{
    struct path *p = w->path;
    struct stat st;

    if (lstat(p->text, &st) < 0) {
        p->missing = errno == ENOENT;
        return p->missing ? 1 : failed(p);
    }
    if (S_ISLNK(st.st_mode))
        return follow(w, &st);
    if (!p->directory || S_ISDIR(st.st_mode))
        return 1;
    errno = ENOTDIR;
    return failed(p);
}

/** Take one component from what is left. Return: 1, or 0: there is none, or an error. */
static int step(struct walk *w)
{
    struct path *p = w->path;
    const char *name = w->rest + w->at + strspn(w->rest + w->at, "/");
    const size_t len = strcspn(name, "/");
    const bool up = len == 2 && name[0] == '.' && name[1] == '.';

    if (len == 0)
        return 0;
    w->at = (size_t)(name - w->rest) + len;
    p->directory = true;
    if (up && p->missing)
        return refuse(p, NEFIA_EINVAL, "the path has a \"..\" behind what does not exist");
    if (up)
        cut(w);
    if (up || (len == 1 && name[0] == '.'))
        return 1;
    p->directory = *(name + len) == '/';
    if (w->len + 1 + len >= sizeof p->text)
        return too_long(p);
    p->text[w->len] = '/';
    memcpy(p->text + w->len + 1, name, len);
    w->len += 1 + len;
    p->text[w->len] = '\0';
    return p->missing ? 1 : look(w);
}

/** Walk down the text, which has no links, to the directory of its last component. */
static int hold(struct path *p)
{
    int dir = open("/", HOLD), next;
    char *name = p->text + 1, *end;

    for (; dir >= 0 && (end = strchr(name, '/')) != NULL; name = end + 1) {
        *end = '\0';
        next = openat(dir, name, HOLD);
        *end = '/';
        if (next < 0 && errno == ENOENT && p->missing)
            break;
        const int error = errno;
        close(dir);
        errno = error;
        dir = next;
    }
    p->dir = dir;
    p->name_at = (uint16_t)(name - p->text);
    if (dir >= 0)
        return 0;
    return errno == ENOENT || errno == ENOTDIR || errno == ELOOP ? changed(p) : failed(p);
}

int path_resolve(struct path *p, const char *given)
{
    const size_t len = strnlen(given, FILE_PATH_MAX);
    struct walk w;
    int more;

    p->dir = -1;
    p->why = NULL;
    p->missing = false;
    p->directory = true;
    p->text[0] = '\0';
    if (given[0] != '/')
        return refuse(p, NEFIA_EINVAL, "the path is not absolute");
    if (len == FILE_PATH_MAX)
        return too_long(p);
    w.path = p;
    w.links = 0;
    w.len = 0;
    w.at = sizeof w.rest - 1 - len;
    memcpy(w.rest + w.at, given, len + 1);
    while ((more = step(&w)) > 0)
        ;
    if (more < 0)
        return more;
    if (w.len == 0)
        memcpy(p->text, "/", 2);
    return hold(p);
}

int path_open(struct path *p, int flags, mode_t mode)
{
    const char *name = p->text + p->name_at;

    if (flags & O_PATH)
        return refuse(p, NEFIA_EINVAL, "O_PATH would open a symbolic link");
    if (strchr(name, '/'))
        return refuse(p, NEFIA_ENOTFOUND, "a directory of the path does not exist");
    if (p->directory && (flags & O_CREAT)) {
        errno = EISDIR;
        return refuse(p, NEFIA_EIO, "the path names a directory");
    }
    const int fd = openat(p->dir, *name ? name : ".",
                          flags | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY | (p->directory ? O_DIRECTORY : 0), mode);
    if (fd >= 0)
        return fd;
    if (errno == ELOOP)
        return changed(p);
    return errno == ENOENT ? refuse(p, NEFIA_ENOTFOUND, "nothing has the path as its name") : failed(p);
}

void path_close(struct path *p)
{
    if (p->dir >= 0)
        close(p->dir);
    p->dir = -1;
}
