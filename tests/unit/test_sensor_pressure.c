#include <poll.h>
#include <unistd.h>

#include "beacon_fixture.h"
#include "check.h"
#include "fake_root.h"

static uid_t user;  /* who the beacon is */
static bool told;   /* by the kernel, until it is asked */
static int asked;   /* how often it was */

uid_t geteuid(void)
{
    return user;
}

/** A file of a test tells nothing: this stands for the three triggers. Others are asked as ever. */
int poll(struct pollfd *fds, nfds_t count, int ms)
{
    const struct timespec wait = {ms / 1000, ms % 1000 * 1000000L};
    const int n = told;

    if (count != 3)
        return ppoll(fds, count, ms < 0 ? NULL : &wait, NULL);
    CHECK_INT(ms, 0);
    asked++;
    told = false;
    return n;
}

#define LINE(kind, avg10) kind " avg10=" avg10 " avg60=2.50 avg300=0.07 total=157622151\n"
static const char calm[] = LINE("some", "0.00") LINE("full", "0.00");

static const struct emitter *look(const char *cpu, const char *memory, const char *io)
{
    fix_init();
    fix_print_lines();
    fake_root_begin();
    if (cpu)
        fake_root_put("/proc/pressure/cpu", cpu);
    if (memory)
        fake_root_put("/proc/pressure/memory", memory);
    if (io)
        fake_root_put("/proc/pressure/io", io);
    CHECK_INT(fix_once("{\"pressure\": {}}"), 1);
    fake_root_end();
    return &sensor_runner_current(&fix.sensor_runner)->items[0];
}

TEST(each_resource_is_a_condition)
{
    CHECK_INT(look(calm, calm, calm)->result, INSTANCE_OK);
    CHECK_INT(fix.count, 0);
    look(LINE("some", "70.04"), LINE("some", "99.10") LINE("full", "19.99"),
         LINE("some", "69.99") LINE("full", "50.00"));
    REQUIRE(fix.count == 3);
    CHECK(fix_has(0, "\"type\":\"pressure.some\",\"source\":\"pressure-beacon\""));
    CHECK(fix_has(0, "\"severity\":\"warning\",\"data\":{\"resource\":\"cpu\",\"waited_percent\":\"70.0\"}"));
    CHECK(fix_has(1, "\"type\":\"pressure.some\""));
    CHECK(fix_has(1, "\"severity\":\"critical\",\"data\":{\"resource\":\"memory\",\"waited_percent\":\"99.1\"}"));
    CHECK(fix_has(2, "\"type\":\"pressure.full\""));
    CHECK(fix_has(2, "\"severity\":\"critical\",\"data\":{\"resource\":\"io\",\"waited_percent\":\"50.0\"}"));
}

TEST(kernels_without)
{
    CHECK_STR(look(NULL, NULL, NULL)->why, "/proc/pressure/cpu: No such file or directory");
    CHECK_INT(fix.count, 0);
    const struct emitter *e = look(calm, NULL, LINE("some", "95.00") LINE("full", "1.00"));
    CHECK_STR(e->why, "/proc/pressure/memory: No such file or directory");
    CHECK_INT(fix.count, 1); /* what can be measured is */
}

TEST(what_is_no_pressure_is_not_measured)
{
    static const char *const texts[] = {"", "some", "some avg60=1.00", "full avg1=1 avg60=2 avg300=3",
                                        "some avg10=- avg60=1 avg300=1", "some avg10=99999999999999999999 avg60=1 avg300=1"};

    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        CHECK_STR(look(calm, texts[i], calm)->why, "/proc/pressure/memory: no averages");
        CHECK_INT(fix.count, 0);
    }
}

static void put_all(const char *text)
{
    fake_root_put("/proc/pressure/cpu", text);
    fake_root_put("/proc/pressure/memory", text);
    fake_root_put("/proc/pressure/io", text);
}

/** A beacon that runs, of this user, while nothing waits. */
static const struct emitter *begin(uid_t uid, const char *config)
{
    fix_init();
    fix_print_lines();
    fake_root_begin();
    put_all(calm);
    user = uid;
    asked = 0;
    CHECK_INT(fix_start(config), 1);
    put_all(calm); /* over the triggers */
    fix_turn(30000);
    fix_turn(30000);
    CHECK_INT(fix.count, 0);
    return &sensor_runner_current(&fix.sensor_runner)->items[0];
}

static void end(void)
{
    sensor_runner_stop(&fix.sensor_runner);
    user = 0;
    fake_root_end();
}

static const char high[] = LINE("some", "95.00") LINE("full", "0.00");

TEST(while_the_kernel_tells_nothing_nothing_is_read)
{
    const struct emitter *e = begin(1000, "{\"pressure\": {}}");

    CHECK_INT(asked, 2);
    put_all(high);
    fix_turn(30000);
    CHECK_INT(asked, 3);
    CHECK_INT(fix.count, 0);
    told = true;
    fix_turn(30000);
    CHECK_INT(fix.count, 3);
    CHECK(fix_has(2, "\"type\":\"pressure.some\""));
    put_all(calm); /* of what is reported the end is seen, whatever the kernel tells */
    fix_turn(30000);
    CHECK_INT(fix.count, 6);
    CHECK(fix_has(5, "\"state\":\"recovered\""));
    fix_turn(30000);
    put_all(high);
    fix_turn(30000);
    CHECK_INT(fix.count, 6);
    CHECK_INT((long long)e->runs, 7);
    end();
}

/** The kernel may keep the next time to itself for ten seconds and a sample. */
TEST(what_was_told_is_looked_at_for_a_while)
{
    begin(1000, "{\"pressure\": {\"interval\": \"4s\"}}");
    told = true;
    fix_turn(4000);
    CHECK_INT(fix.count, 0);
    for (int i = 0; i < 3; i++)
        fix_turn(4000); /* 12 s after it: calm from here on */
    put_all(high);
    fix_turn(4000);
    CHECK_INT(fix.count, 0);
    told = true;
    put_all(calm);
    fix_turn(4000);
    fix_turn(4000);
    put_all(high);
    fix_turn(4000);
    CHECK_INT(fix.count, 3);
    end();
}

TEST(who_cannot_be_told_reads_each_time)
{
    static const struct {
        uid_t user;
        const char *config;
    } cases[] = {{0, "{\"pressure\": {}}"},
                 {1000, "{\"pressure\": {\"warning_full_percent\": 10, \"hysteresis_full_percent\": 3}}"}};

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        begin(cases[i].user, cases[i].config);
        put_all(high);
        fix_turn(30000);
        CHECK_INT(fix.count, 3);
        CHECK_INT(asked, 0);
        end();
    }
}

TEST(a_reload_keeps_the_triggers)
{
    begin(1000, "{\"pressure\": {}}");
    CHECK_INT(fix_start("{\"pressure\": {\"interval\": \"60s\"}}"), 1);
    put_all(calm);
    asked = 0;
    fix_turn(60000);
    fix_turn(60000);
    CHECK_INT(asked, 2);
    put_all(high);
    fix_turn(60000);
    CHECK_INT(fix.count, 0);
    told = true;
    fix_turn(60000);
    CHECK_INT(fix.count, 3);
    end();
}

TEST(thresholds_are_in_order)
{
    fix_refused("{\"pressure\": {\"warning_some_percent\": 90}}",
                "beacons.pressure: warning_some_percent must be below critical_some_percent");
    fix_refused("{\"pressure\": {\"critical_full_percent\": 20}}",
                "warning_full_percent must be below critical_full_percent");
}

TEST_MAIN(each_resource_is_a_condition, kernels_without, what_is_no_pressure_is_not_measured,
          while_the_kernel_tells_nothing_nothing_is_read, what_was_told_is_looked_at_for_a_while,
          who_cannot_be_told_reads_each_time, a_reload_keeps_the_triggers, thresholds_are_in_order)
