/* The console's line: opening a bare one, and its modes. */
#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <termios.h>
#include <unistd.h>

#include "nefia/base/err.h"
#include "nefia/beacon/console.h"
#include "nefia/sys/file.h"
#include "nefia/sys/log.h"

/** tcgetattr, tcsetattr: the C library's ioctl has tables for devices that no console is. */
static bool terminal(unsigned long request, struct termios *t)
{
    return syscall(SYS_ioctl, STDIN_FILENO, request, t) == 0;
}

bool console_tty_save(struct termios *t)
{
    return terminal(TCGETS, t);
}

void console_tty_restore(struct termios *t)
{
    (void)terminal(TCSETS, t);
}

void console_tty_drop_input(void)
{
    (void)syscall(SYS_ioctl, STDIN_FILENO, TCFLSH, TCIFLUSH);
}

/** 115200 8N1, whatever the modem lines say. The rest is console_tty_raw's. */
static void set_line(void)
{
    struct termios t = {.c_iflag = IGNBRK, .c_cflag = CS8 | CREAD | CLOCAL | B115200};

    t.c_cc[VINTR] = 3;
    (void)terminal(TCSETS, &t);
}

int console_tty_open(const char *path)
{
    /* Without waiting for a carrier. */
    const int fd = open(path, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    struct termios t;

    if (fd < 0 || syscall(SYS_ioctl, fd, TCGETS, &t) < 0) {
        LOG_ERROR(path, ": ", ERRNO(errno));
        return CLI_NO;
    }
    if (file_lock(fd) == NEFIA_EEXIST) {
        LOG_ERROR(path, ": in use by another console");
        return CLI_NO;
    }
    (void)fcntl(fd, F_SETFL, O_RDWR);
    (void)setsid(); /* fails where init has done that */
    (void)syscall(SYS_ioctl, fd, TIOCSCTTY, 0);
    (void)dup2(fd, STDIN_FILENO);
    (void)dup2(fd, STDOUT_FILENO);
    set_line();
    return 0;
}

void console_tty_raw(bool signals)
{
    struct termios t;

    if (!console_tty_save(&t))
        return;
    t.c_iflag &= ~(tcflag_t)(ICRNL | INLCR | IGNCR | IXON | ISTRIP);
    t.c_lflag &= ~(tcflag_t)(ICANON | ECHO | IEXTEN | ISIG);
    t.c_lflag |= signals ? ISIG : 0;
    t.c_oflag |= OPOST | ONLCR;
    t.c_cc[VMIN] = 1;
    t.c_cc[VTIME] = 0;
    console_tty_restore(&t);
}

bool console_tty_is(const char *path)
{
    struct stat its;
    uint32_t ours; /* of /dev/console and /dev/tty the device behind the name, packed as in the lower half of a dev_t */

    if (stat(path, &its) < 0)
        return false;
    /* A kernel that cannot tell: it may be. */
    return syscall(SYS_ioctl, STDIN_FILENO, TIOCGDEV, &ours) < 0 || ours == (uint32_t)its.st_rdev;
}
