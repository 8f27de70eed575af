#include "nefia/sys/file.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "nefia/base/bytes.h"
#include "nefia/base/err.h"
#include "nefia/base/text.h"

#define TEMPORARY ".nefia-new"
enum { LOCK_STEP_MS = 50, STATE_NAME_MAX = 32, STATE_LINE_MAX = STATE_NAME_MAX + 40 };

int file_join(char out[FILE_PATH_MAX], const char *dir, const char *name)
{
    size_t len = strlen(dir);
    struct text t;

    text_init(&t, out, FILE_PATH_MAX);
    text_bytes(&t, dir, len);
    if (len > 0 && dir[len - 1] != '/')
        text_char(&t, '/');
    text_str(&t, name);
    if (!t.truncated)
        return 0;
    text_reset(&t);
    return NEFIA_ETOOBIG;
}

static int close_keeping_errno(int fd, int result)
{
    int saved = errno;

    close(fd);
    errno = saved;
    return result;
}

int file_lock(int fd)
{
    for (int waited = 0; flock(fd, LOCK_EX | LOCK_NB) < 0; waited += LOCK_STEP_MS) {
        if (errno != EWOULDBLOCK)
            return NEFIA_EIO;
        if (waited >= FILE_LOCK_MS)
            return NEFIA_EEXIST;
        poll(NULL, 0, LOCK_STEP_MS);
    }
    return 0;
}

/** Is the descriptor still the file of that name? */
static bool is_there(int fd, const char *path)
{
    struct stat ours = {0}, there = {0};

    return fstat(fd, &ours) == 0 && lstat(path, &there) == 0 && ours.st_ino == there.st_ino &&
           ours.st_dev == there.st_dev;
}

int file_open_locked(const char *path, int flags)
{
    for (;;) {
        int fd = open(path, flags | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (fd < 0)
            return NEFIA_EIO;
        int err = file_lock(fd);
        if (err < 0)
            return close_keeping_errno(fd, err);
        if (is_there(fd, path))
            return fd;
        close(fd);
    }
}

/* ---- Reading ---- */

int file_open(const char *path, int flags)
{
    /* musl's open sets FD_CLOEXEC once more, for kernels before 2.6.23: a system call for each file. */
    return openat(AT_FDCWD, path, O_RDONLY | O_CLOEXEC | flags);
}

uint32_t file_print(const struct stat *s)
{
    enum { FACTOR = 16777619 }; /* of FNV-1a, but for whole words */
    uint32_t print = (uint32_t)s->st_dev;

    print = print * FACTOR + (uint32_t)s->st_ino;
    print = print * FACTOR + (uint32_t)s->st_size;
    print = print * FACTOR + (uint32_t)s->st_ctim.tv_sec;
    return (print * FACTOR + (uint32_t)s->st_ctim.tv_nsec) | 1;
}

int file_open_regular(const char *path, int flags)
{
    int fd = file_open(path, O_NONBLOCK | O_NOCTTY | flags);
    struct stat st;

    if (fd < 0)
        return NEFIA_EIO;
    if (fstat(fd, &st) < 0)
        return close_keeping_errno(fd, NEFIA_EIO);
    if (S_ISREG(st.st_mode))
        return fd;
    close(fd);
    errno = EINVAL;
    return NEFIA_EINVAL;
}

/** at: where to read; null: at the descriptor's own position. */
static long fill(int fd, const uint64_t *at, void *buf, size_t cap)
{
    size_t len = 0;

    while (len < cap) {
        char *to = (char *)buf + len;
        ssize_t n = at ? pread(fd, to, cap - len, (off_t)(*at + len)) : read(fd, to, cap - len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return NEFIA_EIO;
        if (n == 0)
            break;
        len += (size_t)n;
    }
    return (long)len;
}

long file_fill(int fd, void *buf, size_t cap)
{
    return fill(fd, NULL, buf, cap);
}

long file_fill_at(int fd, uint64_t at, void *buf, size_t cap)
{
    return fill(fd, &at, buf, cap);
}

static long read_all(int fd, void *buf, size_t cap)
{
    char beyond;
    long n = file_fill(fd, buf, cap);
    long more = n < 0 || (size_t)n < cap ? 0 : file_fill(fd, &beyond, 1);

    return more == 0 ? n : more > 0 ? NEFIA_ETOOBIG : more;
}

long file_read_as(const char *path, void *buf, size_t cap, int flags)
{
    int fd = file_open_regular(path, flags);

    if (fd < 0)
        return errno == ENOENT || errno == ENOTDIR ? NEFIA_ENOTFOUND : fd;
    const long n = read_all(fd, buf, cap);
    close_keeping_errno(fd, 0);
    return n;
}

long file_read(const char *path, void *buf, size_t cap)
{
    return file_read_as(path, buf, cap, 0);
}

/* ---- Writing ---- */

int file_append(int fd, const void *data, size_t len)
{
    const char *p = data;

    while (len > 0) {
        ssize_t n = write(fd, p, len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return NEFIA_EIO;
        p += n;
        len -= (size_t)n;
    }
    return 0;
}

int file_beside(char out[FILE_PATH_MAX], const char *path, const char *suffix)
{
    struct text t;

    text_init(&t, out, FILE_PATH_MAX);
    text_str(&t, path);
    text_str(&t, suffix);
    return t.truncated ? NEFIA_ETOOBIG : 0;
}

int file_replace_begin(const char *path)
{
    char temporary[FILE_PATH_MAX];

    if (file_beside(temporary, path, TEMPORARY) < 0)
        return NEFIA_ETOOBIG;
    /* A leftover of a power cut; a symbolic link is removed, not followed. */
    if (unlink(temporary) < 0 && errno != ENOENT)
        return NEFIA_EIO;
    int fd = open(temporary, O_RDWR | O_APPEND | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    return fd < 0 ? NEFIA_EIO : fd;
}

/** The rename is durable only once the directory has been synced. */
static int sync_directory(const char *path)
{
    char dir[FILE_PATH_MAX];
    const char *slash = strrchr(path, '/');
    size_t len = slash == path ? 1 : slash ? (size_t)(slash - path) : 0;
    struct text t;
    int fd;

    text_init(&t, dir, sizeof dir);
    text_bytes(&t, slash ? path : ".", slash ? len : 1);
    fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return NEFIA_EIO;
    /* Some file systems cannot sync a directory and fail with EINVAL; nothing more can be done. */
    return close_keeping_errno(fd, fsync(fd) < 0 && errno != EINVAL ? NEFIA_EIO : 0);
}

int file_replace_end(const char *path, int fd, int err)
{
    char temporary[FILE_PATH_MAX];

    (void)file_beside(temporary, path, TEMPORARY); /* cannot fail: it fitted at the beginning */
    if (!err && (fsync(fd) < 0 || rename(temporary, path) < 0))
        err = NEFIA_EIO;
    if (err) {
        int saved = errno;

        unlink(temporary);
        errno = saved;
        return err;
    }
    return sync_directory(path) < 0 ? NEFIA_EAGAIN : 0;
}

int file_write_atomic(const char *path, const void *data, size_t len)
{
    int fd = file_replace_begin(path);

    if (fd < 0)
        return fd;
    int err = file_replace_end(path, fd, file_append(fd, data, len));
    return close_keeping_errno(fd, err == NEFIA_EAGAIN ? NEFIA_EIO : err);
}

/* ---- Persistent numbers ---- */

/** "boot 42 1a2b3c4d\n": name, number, FNV-1a of the text before the last space. */
static void put_state(struct text *t, const char *name, uint64_t v)
{
    uint8_t sum[4];

    text_str(t, name);
    text_char(t, ' ');
    text_u64(t, v);
    put_be32(sum, hash_bytes(HASH_START, t->buf, t->len));
    text_char(t, ' ');
    text_hex(t, sum, sizeof sum);
    text_char(t, '\n');
}

/** Parse the number between the first two spaces; the rest is verified by formatting it again. */
static int parse_state(const char *line, size_t len, uint64_t *v)
{
    const char *from = memchr(line, ' ', len), *to;

    if (!from)
        return NEFIA_ESYNTAX;
    from++;
    to = memchr(from, ' ', len - (size_t)(from - line));
    if (!to || parse_u64(from, (size_t)(to - from), v) < 0)
        return NEFIA_ESYNTAX;
    return 0;
}

static bool is_state_name(const char *name)
{
    size_t len = strlen(name);

    if (len < 1 || len > STATE_NAME_MAX)
        return false;
    return text_word_span(name, "-") == len;
}

int state_load_u64(const char *dir, const char *name, uint64_t *v)
{
    char path[FILE_PATH_MAX], line[STATE_LINE_MAX], again[STATE_LINE_MAX];
    uint64_t found;
    struct text t;
    long n;

    *v = 0;
    if (!is_state_name(name))
        return NEFIA_EINVAL;
    if (file_join(path, dir, name) < 0)
        return NEFIA_ETOOBIG;
    n = file_read(path, line, sizeof line);
    if (n == NEFIA_ENOTFOUND || n == NEFIA_EIO)
        return (int)n;
    if (n < 0 || parse_state(line, (size_t)n, &found) < 0)
        return NEFIA_ESYNTAX;
    text_init(&t, again, sizeof again);
    put_state(&t, name, found);
    if (t.len != (size_t)n || memcmp(line, again, t.len) != 0)
        return NEFIA_ESYNTAX;
    *v = found;
    return 0;
}

int state_store_u64(const char *dir, const char *name, uint64_t v)
{
    char path[FILE_PATH_MAX], line[STATE_LINE_MAX];
    struct text t;

    if (!is_state_name(name))
        return NEFIA_EINVAL;
    if (file_join(path, dir, name) < 0)
        return NEFIA_ETOOBIG;
    text_init(&t, line, sizeof line);
    put_state(&t, name, v);
    return file_write_atomic(path, line, t.len);
}
