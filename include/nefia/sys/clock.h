#ifndef NEFIA_SYS_CLOCK_H
#define NEFIA_SYS_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

/** Time as the modules see it, so that a test can hold it in its hand.
 * monotonic_ms never goes back and counts while the device sleeps (CLOCK_BOOTTIME, falling back to
 * CLOCK_MONOTONIC). unix_s is wall time and may jump by years: for stamps and people only. */
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
/** A clock that stands still until its owner moves the two figures. */
void clock_fake_init(struct clock_fake *f, uint64_t now_ms, int64_t now_s);

static inline uint64_t clock_ms(const struct clock *c)
{
    return c->monotonic_ms(c);
}
static inline int64_t clock_unix(const struct clock *c)
{
    return c->unix_s(c);
}
/** Wall time is believed when it is not before this program was built (CONFIG_BUILD_EPOCH, from the
 * commit's date). */
bool clock_synced(const struct clock *c);

#endif
