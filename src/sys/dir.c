#include "nefia/sys/dir.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "nefia/base/err.h"
#include "nefia/base/text.h"
#include "nefia/sys/file.h"

/* What getdents64(2) fills: inode and offset of 8 bytes, length of the record, type, name. */
enum { OFFSET_AT = 8, LENGTH_AT = 16, TYPE_AT = 18, NAME_AT = 19 };

int dir_open(struct dir *d, const char *path)
{
    d->at = d->len = 0;
    d->fd = file_open(path, O_DIRECTORY);
    return d->fd < 0 ? NEFIA_EIO : 0;
}

void dir_close(struct dir *d)
{
    if (d->fd >= 0)
        close(d->fd);
    d->fd = -1;
}

static bool fill(struct dir *d)
{
    long n = d->fd < 0 ? -1 : syscall(SYS_getdents64, d->fd, d->records, sizeof d->records);

    d->at = 0;
    d->len = n > 0 ? (size_t)n : 0;
    return n > 0;
}

const char *dir_next(struct dir *d)
{
    uint16_t len;

    for (;;) {
        if (d->at + NAME_AT >= d->len && !fill(d)) {
            dir_close(d);
            return NULL;
        }
        const char *name = d->records + d->at + NAME_AT;
        memcpy(&len, d->records + d->at + LENGTH_AT, sizeof len);
        d->at += len;
        if (!str_eq(name, ".") && !str_eq(name, ".."))
            return name;
    }
}

int dir_type(const char *name)
{
    return (unsigned char)name[TYPE_AT - NAME_AT];
}

int64_t dir_offset(const char *name)
{
    int64_t offset;

    memcpy(&offset, name + OFFSET_AT - NAME_AT, sizeof offset);
    return offset;
}
