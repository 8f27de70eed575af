/* A loop whose time the test moves. */
#ifndef NEFIA_TESTS_FAKE_LOOP_H
#define NEFIA_TESTS_FAKE_LOOP_H

#include "check.h"
#include "nefia/sys/loop.h"

enum { FAKE_WATCHES = 8 };

static struct clock_fake fake;
static struct loop loop;
static struct epoll_event fake_found[FAKE_WATCHES];

/** watches: at most FAKE_WATCHES. */
static inline void fake_loop_init(uint64_t now_ms, int64_t wall_s, unsigned watches)
{
    REQUIRE(watches <= FAKE_WATCHES);
    clock_fake_init(&fake, now_ms, wall_s);
    if (loop.clock)
        loop_end(&loop);
    loop_init(&loop, &fake.clock, fake_found, watches);
}

#endif
