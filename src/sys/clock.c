#include "nefia/sys/clock.h"

#include <errno.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "nefia/base/err.h"

/* The Makefile passes the commit's date; 2024-01-01 serves builds without it. */
#ifndef CONFIG_BUILD_EPOCH
#define CONFIG_BUILD_EPOCH 1704067200
#endif

static uint64_t system_monotonic_ms(const struct clock *c)
{
    struct timespec ts = {0};

    (void)c;
    if (clock_gettime(CLOCK_BOOTTIME, &ts) < 0)
        clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static int64_t system_unix_s(const struct clock *c)
{
    struct timespec ts = {0};

    (void)c;
    clock_gettime(CLOCK_REALTIME, &ts);
    return ts.tv_sec;
}

const struct clock clock_system = {.monotonic_ms = system_monotonic_ms, .unix_s = system_unix_s};

static const struct clock_fake *fake_of(const struct clock *c)
{
    const void *first_member = c;

    return first_member;
}

static uint64_t fake_monotonic_ms(const struct clock *c)
{
    return fake_of(c)->now_ms;
}

static int64_t fake_unix_s(const struct clock *c)
{
    return fake_of(c)->now_s;
}

void clock_fake_init(struct clock_fake *f, uint64_t now_ms, int64_t now_s)
{
    *f = (struct clock_fake){{fake_monotonic_ms, fake_unix_s}, now_ms, now_s};
}

bool clock_synced(const struct clock *c)
{
    return clock_unix(c) >= (int64_t)CONFIG_BUILD_EPOCH;
}

/* The kernel's structs of <linux/timex.h>, which cannot be included beside <time.h>: adjtimex(2) has words of
 * the processor, clock_adjtime64(2) of 64 bits, which the kernel pads to 8 bytes on i386, too. Not adjtimex(3), which converts one into
 * the other. */
#define TIMEX(word)                                                                                \
    {                                                                                              \
        uint32_t modes;                                                                            \
        _Alignas(sizeof(word)) word offset;                                                        \
        word frequency, max_error, estimated_error;                                                \
        int32_t status;                                                                            \
        word others[26]; /* no fewer than there are */                                             \
    }
enum { UNSYNC = 0x40 /* STA_UNSYNC */ };

int clock_disciplined(int64_t *max_error_us)
{
#ifdef SYS_clock_adjtime64
    struct TIMEX(int64_t) wide = {0};

    if (syscall(SYS_clock_adjtime64, CLOCK_REALTIME, &wide) >= 0) {
        *max_error_us = wide.max_error;
        return !(wide.status & UNSYNC);
    }
    if (errno != ENOSYS) /* before Linux 5.1 */
        return NEFIA_EIO;
#endif
    struct TIMEX(long) t = {0};
    if (syscall(SYS_adjtimex, &t) < 0)
        return NEFIA_EIO;
    *max_error_us = t.max_error;
    return !(t.status & UNSYNC);
}
