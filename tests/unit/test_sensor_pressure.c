#include "beacon_fixture.h"
#include "check.h"
#include "fake_root.h"

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

TEST(thresholds_are_in_order)
{
    fix_refused("{\"pressure\": {\"warning_some_percent\": 90}}",
                "beacons.pressure: warning_some_percent must be below critical_some_percent");
    fix_refused("{\"pressure\": {\"critical_full_percent\": 20}}",
                "warning_full_percent must be below critical_full_percent");
}

TEST_MAIN(each_resource_is_a_condition, kernels_without, what_is_no_pressure_is_not_measured, thresholds_are_in_order)
