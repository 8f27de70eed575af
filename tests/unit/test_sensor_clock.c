#include <errno.h>
#include <stdarg.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "beacon_fixture.h"
#include "check.h"

static struct {
    int64_t wall_ms, monotonic_ms;
    int64_t took_ms; /* between two readings */
    int status, error;
    bool old; /* a kernel without clock_adjtime64(2), or without CLOCK_BOOTTIME */
    unsigned asked;
} kernel;

enum { UNSYNC = 0x40, PLL = 1 };

/* In place of the C library's: what the clocks of this kernel say. */
int clock_gettime(clockid_t id, struct timespec *ts)
{
    const int64_t ms = id == CLOCK_REALTIME ? kernel.wall_ms : kernel.monotonic_ms;

    if (id == CLOCK_BOOTTIME && kernel.old)
        return errno = EINVAL, -1;
    *ts = (struct timespec){.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};
    kernel.wall_ms += kernel.took_ms;
    kernel.monotonic_ms += kernel.took_ms;
    return 0;
}

/* The layouts of <linux/timex.h>, of words of 8 bytes or of a long: maxerror and status are the fourth and sixth member. */
static long fill(void *timex, size_t word)
{
    const size_t size = word == 8 ? 208 : 128;
    const int64_t max_error = 16000000;
    const int32_t narrow = 16000000;
    uint8_t zero[208] = {0};

    kernel.asked++;
    CHECK(memcmp(timex, zero, size) == 0); /* modes 0: it only asks */
    if (kernel.error)
        return errno = kernel.error, -1;
    memset(timex, 0xA5, size);
    memcpy((char *)timex + 3 * word, word == 8 ? (const void *)&max_error : &narrow, word);
    memcpy((char *)timex + 5 * word, &kernel.status, 4);
    return 0;
}

long syscall(long number, ...)
{
    va_list list;
    long arguments[2];

    va_start(list, number);
    arguments[0] = va_arg(list, long);
    arguments[1] = va_arg(list, long);
    va_end(list);
#ifdef SYS_clock_adjtime64
    if (number == SYS_clock_adjtime64 && !kernel.old) {
        CHECK_INT(arguments[0], CLOCK_REALTIME);
        return fill((void *)arguments[1], 8);
    }
#endif
    if (number == SYS_adjtimex)
        return fill((void *)arguments[0], sizeof(long));
    return errno = ENOSYS, -1;
}

static struct emitter *clock_sensor(void)
{
    return &fix.sensor_runner.sets[fix.sensor_runner.current].items[0];
}

static void begin_at(int64_t wall_ms, int64_t monotonic_ms, int status)
{
    memset(&kernel, 0, sizeof kernel);
    kernel.wall_ms = wall_ms;
    kernel.monotonic_ms = monotonic_ms;
    kernel.status = status;
    fix_init();
    fix.clock.now_ms = (uint64_t)monotonic_ms;
    fix_print_lines();
    CHECK_INT(fix_once("{\"clock\": {}}"), 1);
}

/** An hour after boot in 2026, synchronised. */
static void begin(void)
{
    begin_at(INT64_C(1773156600500), 3600000, PLL);
}

/** Another minute has passed, and the wall clock was set by so much. */
static void look(int64_t step_ms)
{
    kernel.wall_ms += 60000 + step_ms;
    kernel.monotonic_ms += 60000;
    fix.count = 0;
    sensor_runner_run(clock_sensor());
}

TEST(a_clock_that_follows_is_no_event)
{
    begin();
    CHECK_INT(fix.count, 0);
    CHECK_INT(clock_sensor()->result, INSTANCE_OK);
    look(0);
    look(-1000); /* a leap second */
    look(1000);
    CHECK_INT(fix.count, 0);
}

TEST(slewing_is_no_step)
{
    begin();
    for (int i = 0; i < 10; i++) {
        kernel.monotonic_ms += 5000; /* both run faster, by 8 % */
        look(5000);
        CHECK_INT(fix.count, 0);
    }
}

TEST(steps_are_changes)
{
    begin();
    look(1001);
    REQUIRE(fix.count == 1);
    CHECK(fix_has(0, "\"type\":\"clock.stepped\",\"source\":\"clock-beacon\""));
    CHECK(fix_has(0, "\"severity\":\"warning\",\"data\":{\"step_ms\":1001,\"was_synced\":true}"));
    look(0);
    CHECK_INT(fix.count, 0);
    look(-7200000);
    REQUIRE(fix.count == 1);
    CHECK(fix_has(0, "\"step_ms\":-7200000,"));
}

TEST(the_first_step_of_a_clock_from_1970)
{
    begin_at(25000, 25000, UNSYNC);
    CHECK_INT(fix.count, 1); /* `once` says what there is */
    fix.sensor_runner.once = false;
    condition_init(&fix.conditions, fix.condition_slots, 8);
    look(0);
    CHECK_INT(fix.count, 0); /* it may take its time after boot */
    kernel.status = PLL;
    look(INT64_C(1773156600000));
    REQUIRE(fix.count == 1);
    CHECK(fix_has(0, "\"severity\":\"info\",\"data\":{\"step_ms\":1773156600000,\"was_synced\":false}"));
}

TEST(unsynced_is_a_condition)
{
    begin();
    kernel.status = UNSYNC | PLL;
    look(0);
    REQUIRE(fix.count == 1);
    CHECK(fix_has(0, "\"type\":\"clock.unsynced\""));
    CHECK(fix_has(0, "\"severity\":\"warning\",\"data\":{\"max_error_ms\":16000}"));
    kernel.status = PLL;
    look(0);
    REQUIRE(fix.count == 1);
    CHECK(fix_has(0, "\"severity\":\"info\",\"data\":{\"state\":\"recovered\",\"max_error_ms\":16000}"));
}

TEST(old_kernels_are_asked_the_old_way)
{
    begin();
    kernel.old = true;
    kernel.status = UNSYNC;
    const unsigned asked = kernel.asked;
    look(0);
    CHECK_INT(kernel.asked, asked + 1);
    CHECK(fix_has(0, "\"max_error_ms\":16000}"));
}

TEST(a_kernel_that_does_not_say)
{
    begin();
    kernel.error = EPERM;
    look(5000);
    CHECK_INT(fix.count, 1); /* the step is seen without */
    CHECK_INT(clock_sensor()->result, INSTANCE_NOT_MEASURED);
    CHECK_STR(clock_sensor()->why, "adjtimex: Operation not permitted");
}

TEST(a_look_that_was_held_up_tells_nothing)
{
    begin();
    kernel.took_ms = 3000; /* between the two clocks */
    look(0);
    CHECK_INT(fix.count, 0);
    kernel.took_ms = 0;
    look(0);
    CHECK_INT(fix.count, 0);
}

TEST(what_the_rate_suppressed_is_reported_later)
{
    begin();
    fix.pipeline.print = NULL;
    rate_set_limit(&fix.pipeline.rate, 1);
    look(5000);
    CHECK_INT(fix_take(), 1);
    CHECK(fix_has(0, "\"step_ms\":5000,"));
    look(7000);
    CHECK_INT(fix_take(), 0);
    fix.clock.now_ms += 120000;
    look(0);
    CHECK_INT(fix_take(), 1);
    CHECK(fix_has(0, "\"step_ms\":7000,"));
}

TEST(a_reload_keeps_what_was_seen)
{
    begin();
    fix.pipeline.print = NULL;
    REQUIRE(fix_load("{\"clock\": {}}") == 0);
    sensor_runner_switch(&fix.sensor_runner);
    look(-5000);
    CHECK_INT(fix_take(), 1);
    CHECK(fix_has(0, "\"step_ms\":-5000,\"was_synced\":true}"));
}

TEST_MAIN(a_clock_that_follows_is_no_event, slewing_is_no_step, steps_are_changes,
          the_first_step_of_a_clock_from_1970, unsynced_is_a_condition, old_kernels_are_asked_the_old_way,
          a_kernel_that_does_not_say, a_look_that_was_held_up_tells_nothing,
          what_the_rate_suppressed_is_reported_later, a_reload_keeps_what_was_seen)
