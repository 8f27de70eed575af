#ifndef NEFIA_SYS_DIR_H
#define NEFIA_SYS_DIR_H

#include <stddef.h>
#include <stdint.h>

/** The names in a directory, without memory of its own (opendir(3) allocates). About 1 KiB, for the
 * caller's stack. */
struct dir {
    int fd;
    size_t at, len;
    _Alignas(8) char records[1024];
};

/** Return: 0, or NEFIA_EIO (errno). */
int dir_open(struct dir *d, const char *path);
/** The next name but for "." and "..", valid until the next call, in no order; null: there is none, and the
 * directory is closed. */
const char *dir_next(struct dir *d);
/** Of the name that dir_next has given, before the next: DT_… of dirent.h, DT_UNKNOWN where the file system does not
 * say; and where the directory goes on behind it: lseek(d->fd) after dir_open continues there. */
int dir_type(const char *name);
int64_t dir_offset(const char *name);
/** Before its end. */
void dir_close(struct dir *d);

#endif
