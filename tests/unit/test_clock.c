#include "check.h"
#include "nefia/sys/clock.h"

TEST(fake_clock_stands_still)
{
    struct clock_fake f;

    clock_fake_init(&f, 5, 1000);
    CHECK_INT(clock_ms(&f.clock), 5);
    CHECK_INT(clock_ms(&f.clock), 5);
    f.now_ms += 10;
    f.now_s = -3;
    CHECK_INT(clock_ms(&f.clock), 15);
    CHECK_INT(clock_unix(&f.clock), -3);
}

TEST(system_never_goes_back)
{
    uint64_t last = clock_ms(&clock_system);

    CHECK(last > 0);
    for (int i = 0; i < 1000; i++) {
        uint64_t now = clock_ms(&clock_system);
        CHECK(now >= last);
        last = now;
    }
}

TEST(implausible_wall_clock_is_not_trusted)
{
    struct clock_fake f;

    clock_fake_init(&f, 0, 0);
    CHECK(!clock_synced(&f.clock));
    f.now_s = 1672531200; /* 2023: before any build */
    CHECK(!clock_synced(&f.clock));
    f.now_s = INT64_C(4102444800); /* 2100, past 2038 too */
    CHECK(clock_synced(&f.clock));
}

TEST_MAIN(fake_clock_stands_still, system_never_goes_back, implausible_wall_clock_is_not_trusted)
