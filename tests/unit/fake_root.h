/* A directory that stands for /proc, /sys, /dev and /run, and for where services and logs are: what is opened below these
 * is looked for there.
 * Our definitions take the place of libc's in the test's program; nothing else knows of it. */
#ifndef NEFIA_TESTS_FAKE_ROOT_H
#define NEFIA_TESTS_FAKE_ROOT_H

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

static char fake_root_dir[64]; /* "": there is none, and every path means itself */
static char fake_root_path[1024];

/** A path as the test sees it; valid until the next. */
static inline const char *fake_root_of(const char *path)
{
    static const char *const below[] = {
        "/proc", "/sys", "/dev", "/run", "/var/run", "/var/service", "/var/log", "/var/lib/nfs", "/sbin/procd", "/sbin/logread",
        "/etc/init.d", "/etc/service", "/etc/systemd", "/lib/systemd", "/usr/lib/systemd",
        "/usr/local/lib/systemd",
    };

    for (size_t i = 0; fake_root_dir[0] && i < sizeof below / sizeof *below; i++) {
        size_t len = strlen(below[i]);
        if (strncmp(path, below[i], len) != 0 || (path[len] && path[len] != '/'))
            continue;
        snprintf(fake_root_path, sizeof fake_root_path, "%s%s", fake_root_dir, path);
        return fake_root_path;
    }
    return path;
}

int open(const char *path, int flags, ...)
{
    va_list more;

    va_start(more, flags);
    int mode = flags & O_CREAT ? va_arg(more, int) : 0;
    va_end(more);
    return (int)syscall(SYS_openat, AT_FDCWD, fake_root_of(path), flags | O_LARGEFILE, mode);
}

static void (*fake_root_on_open)(const char *path); /* just before; null: nothing happens */

int openat(int dir, const char *path, int flags, ...)
{
    va_list more;

    if (fake_root_on_open)
        fake_root_on_open(path);
    va_start(more, flags);
    int mode = flags & O_CREAT ? va_arg(more, int) : 0;
    va_end(more);
    return (int)syscall(SYS_openat, dir, fake_root_of(path), flags | O_LARGEFILE, mode);
}

int access(const char *path, int mode)
{
    return (int)syscall(SYS_faccessat, AT_FDCWD, fake_root_of(path), mode);
}

/** Paths of devices as the test sees them, which take root to make. */
static struct {
    const char *path;
    dev_t number;
} fake_devices[4];

int stat(const char *restrict path, struct stat *restrict s)
{
    for (size_t i = 0; i < sizeof fake_devices / sizeof *fake_devices; i++)
        if (fake_devices[i].path && strcmp(fake_devices[i].path, path) == 0) {
            *s = (struct stat){.st_mode = S_IFBLK | 0600, .st_rdev = fake_devices[i].number};
            return 0;
        }
    return fstatat(AT_FDCWD, fake_root_of(path), s, 0);
}

ssize_t readlink(const char *restrict path, char *restrict target, size_t cap)
{
    return syscall(SYS_readlinkat, AT_FDCWD, fake_root_of(path), target, cap);
}

static inline void fake_root_begin(void)
{
    strcpy(fake_root_dir, "/tmp/nefia-root-XXXXXX");
    REQUIRE(mkdtemp(fake_root_dir) != NULL);
}

static inline void fake_root_make(char real[1024], const char *path)
{
    snprintf(real, 1024, "%s%s", fake_root_dir, path);
    for (char *at = real + strlen(fake_root_dir) + 1; (at = strchr(at, '/')); *at++ = '/') {
        *at = '\0';
        mkdir(real, 0700);
    }
}

/** A symbolic link, relative as those of sysfs are; its directories are made. */
static inline void fake_root_link(const char *path, const char *target)
{
    char real[1024];

    fake_root_make(real, path);
    CHECK(symlink(target, real) == 0);
}

/** The file /proc/…, /sys/… with these bytes; its directories are made. */
static inline void fake_root_put_bytes(const char *path, const void *content, size_t len)
{
    char real[1024];

    fake_root_make(real, path);
    int fd = open(real, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    REQUIRE(fd >= 0);
    CHECK(write(fd, content, len) == (ssize_t)len && close(fd) == 0);
}

static inline void fake_root_put(const char *path, const char *content)
{
    fake_root_put_bytes(path, content, strlen(content));
}

static inline void fake_root_remove(const char *path)
{
    char real[1024];

    snprintf(real, sizeof real, "%s%s", fake_root_dir, path);
    remove(real);
}

/** A directory with all that is in it. */
static inline void fake_root_remove_all(const char *path)
{
    char real[1024];
    int status = -1;

    snprintf(real, sizeof real, "%s%s", fake_root_dir, path);
    const pid_t child = fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        execl("/bin/rm", "rm", "-rf", real, (char *)NULL);
        _exit(127);
    }
    CHECK(waitpid(child, &status, 0) == child && status == 0);
}

/** Removes all of it. */
static inline void fake_root_end(void)
{
    fake_root_remove_all("");
    fake_root_dir[0] = '\0';
}

#endif
