/* The console's line: opening a bare one, its modes, and the challenge. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <termios.h>
#include <unistd.h>

#include "nefia/base/err.h"
#include "nefia/beacon/console.h"
#include "nefia/sys/file.h"
#include "nefia/sys/log.h"

enum { DELAY_FIRST_MS = 250, DELAY_DOUBLED = 5, NONCE_PLACE = sizeof "nefia console" };

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

/** 115200 8N1, whatever the modem lines say. Output gets its carriage returns from the kernel. */
static void set_line(void)
{
    struct termios t = {.c_iflag = IGNBRK, .c_oflag = OPOST | ONLCR, .c_cflag = CS8 | CREAD | CLOCAL | B115200};

    t.c_cc[VMIN] = 1;
    t.c_cc[VINTR] = 3;
    (void)terminal(TCSETS, &t);
}

int console_tty_open(const char *path)
{
    /* Without waiting for a carrier. */
    const int fd = open(path, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);

    if (fd < 0 || !isatty(fd)) {
        LOG_ERROR(path, ": ", fd < 0 ? ERRNO(errno) : "not a terminal");
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
    struct stat ours, its;
    uint32_t real; /* as the kernel packs it; of /dev/console and /dev/tty the device behind the name */

    if (fstat(STDIN_FILENO, &ours) < 0 || stat(path, &its) < 0 || !S_ISCHR(ours.st_mode))
        return false;
    if (syscall(SYS_ioctl, STDIN_FILENO, TIOCGDEV, &real) < 0)
        return ours.st_rdev == its.st_rdev;
    return (real >> 8 & 0xFFF) == major(its.st_rdev) && ((real & 0xFF) | (real >> 12 & 0xFFF00)) == minor(its.st_rdev);
}

void console_answer(const struct mac_key *k, const char nonce[CONSOLE_NONCE_HEX], char hex[MAC_HEX])
{
    char text[NONCE_PLACE + CONSOLE_NONCE_HEX] = "nefia console";

    memcpy(text + NONCE_PLACE, nonce, CONSOLE_NONCE_HEX);
    mac_sign_hex(k, text, sizeof text, hex);
}

uint32_t console_delay_ms(unsigned wrong)
{
    return (uint32_t)DELAY_FIRST_MS << (wrong < DELAY_DOUBLED ? wrong : DELAY_DOUBLED);
}
