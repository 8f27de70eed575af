#ifndef NEFIA_SYS_CLOCK_H
#define NEFIA_SYS_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

/** The source of time for all modules, which tests replace by a fake.
 * monotonic_ms never goes back and counts suspend time (CLOCK_BOOTTIME, falling back to
 * CLOCK_MONOTONIC). unix_s is wall time and may jump by years: for time stamps and display only. */
struct clock {
    uint64_t (*monotonic_ms)(const struct clock *c);
    int64_t (*unix_s)(const struct clock *c);
};

extern const struct clock clock_system;

struct clock_fake {
    struct clock clock; /* pass &fake.clock */
    uint64_t now_ms;
    int64_t now_s;
};
/** A clock that changes only when its owner sets these values. */
void clock_fake_init(struct clock_fake *f, uint64_t now_ms, int64_t now_s);

static inline uint64_t clock_ms(const struct clock *c)
{
    return c->monotonic_ms(c);
}
static inline int64_t clock_unix(const struct clock *c)
{
    return c->unix_s(c);
}
/** Wall time is trusted if it is not before this program's build (CONFIG_BUILD_EPOCH, the commit's
 * date). */
bool clock_synced(const struct clock *c);
/** Does the kernel's own clock follow a reference (NTP, PPS), as the program says that disciplines it?
 * adjtimex(2) without STA_UNSYNC; nothing is set. *max_error_us: how far off it may be, by the kernel's
 * estimate. Return: 1: yes; 0: no; NEFIA_EIO (errno). */
int clock_disciplined(int64_t *max_error_us);

#endif
