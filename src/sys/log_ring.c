#include "nefia/sys/log_ring.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "nefia/base/bytes.h"
#include "nefia/base/err.h"
#include "nefia/sys/clock.h"
#include "nefia/sys/file.h"
#include "nefia/sys/log.h"

enum { TEXT_MOST = LOG_RING_SLOT - LOG_RING_HEAD - 1 };
/* statfs(2); <linux/magic.h> */
#define TMPFS 0x01021994u
#define RAMFS 0x858458f6u

/** With the log, which is at file scope, too (log.h). */
static struct {
    int fd; /* 0: none */
    uint32_t last;
} ring;

static bool in_ram(const char *path)
{
    struct statfs fs;

    return statfs(path, &fs) == 0 && ((uint32_t)fs.f_type == TMPFS || (uint32_t)fs.f_type == RAMFS);
}

int log_ring_open(const char *socket, uint32_t uid, uint32_t gid)
{
    char path[FILE_PATH_MAX];
    struct stat st;

    log_keep(NULL);
    if (ring.fd > 0)
        close(ring.fd);
    ring.fd = 0;
    if (!socket || !socket[0])
        return 0;
    if (file_beside(path, socket, LOG_RING_SUFFIX) < 0)
        return NEFIA_ETOOBIG;
    if (!in_ram(socket))
        return NEFIA_ENOTSUP;
    const int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
    if (fd < 0)
        return NEFIA_EIO;
    /* In a directory of that user's something else may have the name. */
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_nlink != 1) {
        close(fd);
        errno = EINVAL;
        return NEFIA_EIO;
    }
    if (uid != (uint32_t)-1)
        (void)!fchown(fd, uid, gid);
    ring.fd = fd;
    ring.last = log_ring_last(fd);
    log_keep(log_ring_put);
    return 0;
}

void log_ring_put(const char *line, size_t len)
{
    uint8_t slot[LOG_RING_SLOT];

    if (ring.fd <= 0)
        return;
    len = utf8_cut(line, len, TEXT_MOST);
    put_be32(slot, ++ring.last);
    put_be64(slot + 4, (uint64_t)clock_unix(&clock_system));
    memcpy(slot + LOG_RING_HEAD, line, len);
    slot[LOG_RING_HEAD + len] = '\0';
    (void)!pwrite(ring.fd, slot, LOG_RING_HEAD + len + 1,
                  (off_t)(ring.last % LOG_RING_LINES * LOG_RING_SLOT));
}

int log_ring_look(const char *socket)
{
    char path[FILE_PATH_MAX];

    return file_beside(path, socket, LOG_RING_SUFFIX) < 0 ? NEFIA_ETOOBIG : file_open_regular(path, O_NOFOLLOW);
}

/** Return: the number of the line in this slot; 0: none. */
static uint32_t number_in(int fd, uint32_t slot, uint8_t *to, size_t len)
{
    const long n = file_fill_at(fd, slot * LOG_RING_SLOT, to, len);

    if (n < LOG_RING_HEAD)
        return 0;
    const uint32_t number = get_be32(to);
    /* Behind the last one there has to be another. */
    return number % LOG_RING_LINES == slot && number < UINT32_MAX ? number : 0;
}

uint32_t log_ring_last(int fd)
{
    uint8_t head[LOG_RING_HEAD];
    uint32_t last = 0;

    for (uint32_t slot = 0; slot < LOG_RING_LINES; slot++) {
        const uint32_t n = number_in(fd, slot, head, sizeof head);
        if (n > last)
            last = n;
    }
    return last;
}

int log_ring_read(int fd, uint32_t n, struct text *out)
{
    uint8_t slot[LOG_RING_SLOT] = {0};

    if (n == 0 || number_in(fd, n % LOG_RING_LINES, slot, sizeof slot) != n)
        return 0;
    const char *line = (const char *)slot + LOG_RING_HEAD;
    text_rfc3339(out, (int64_t)get_be64(slot + 4));
    text_char(out, ' ');
    text_printable(out, line, strnlen(line, TEXT_MOST));
    text_char(out, '\n');
    return 1;
}
