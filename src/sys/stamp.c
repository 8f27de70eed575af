#include "nefia/sys/stamp.h"

#include <errno.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "nefia/base/err.h"

static uint32_t stamp(uint32_t s, uint32_t ns)
{
    return s * 1000 + ns / 1000000;
}

uint32_t stamp_now(void)
{
    struct timespec t = {0};

    clock_gettime(CLOCK_REALTIME, &t);
    return stamp((uint32_t)t.tv_sec, (uint32_t)t.tv_nsec);
}

int stamp_received(int fd, uint32_t *received)
{
    int64_t t[2]; /* seconds and nanoseconds, on every processor */

    /* Not ioctl(3), as in tcp_queued. */
    if (syscall(SYS_ioctl, fd, (unsigned long)SIOCGSTAMPNS_NEW, t) < 0)
        return errno == ENOENT ? NEFIA_ENOTFOUND : NEFIA_ENOTSUP;
    *received = stamp((uint32_t)t[0], (uint32_t)t[1]);
    return 0;
}
