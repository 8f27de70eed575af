#include "beacon_fixture.h"
#include "check.h"
#include "fake_root.h"

static int look(const char *meminfo, const char *configuration)
{
    fix_init();
    fix_print_lines();
    fake_root_begin();
    if (meminfo)
        fake_root_put("/proc/meminfo", meminfo);
    int sensors = fix_once(configuration);
    fake_root_end();
    return sensors;
}

static const struct emitter *sensor(void)
{
    return &sensor_runner_current(&fix.sensor_runner)->items[0];
}

TEST(little_is_a_condition)
{
    REQUIRE(look("MemTotal:         123456 kB\nMemFree:  2 kB\nMemAvailable:     6000 kB\n",
                 "{\"memory\": {}}") == 1);
    REQUIRE(fix.count == 1);
    CHECK(fix_has(0, "\"type\":\"memory.low\",\"source\":\"memory-beacon\""));
    CHECK(fix_has(0, "\"severity\":\"critical\",\"data\":{\"available_percent\":\"4.9\","
                     "\"available_bytes\":6144000,\"total_bytes\":126418944}"));
    REQUIRE(look("MemTotal: 100000 kB\nMemAvailable: 10000 kB\n", "{\"memory\": {}}") == 1);
    REQUIRE(fix.count == 1);
    CHECK(fix_has(0, "\"severity\":\"warning\""));
}

TEST(enough_is_none)
{
    REQUIRE(look("MemTotal: 100000 kB\nMemAvailable: 10100 kB\n", "{\"memory\": {}}") == 1);
    CHECK_INT(fix.count, 0);
    CHECK_INT(sensor()->result, INSTANCE_OK);
}

TEST(kernels_that_do_not_say)
{
    REQUIRE(look("MemTotal: 100000 kB\nMemFree: 10100 kB\n", "{\"memory\": {}}") == 1);
    CHECK_INT(fix.count, 0);
    CHECK_INT(sensor()->result, INSTANCE_NOT_MEASURED);
    CHECK_STR(sensor()->why, "/proc/meminfo: no MemAvailable");
    REQUIRE(look(NULL, "{\"memory\": {}}") == 1);
    CHECK_STR(sensor()->why, "/proc/meminfo: No such file or directory");
    REQUIRE(look("MemTotal: 5 kB\nMemAvailable: 6 kB\n", "{\"memory\": {}}") == 1);
    CHECK_INT(sensor()->result, INSTANCE_NOT_MEASURED);
}

TEST(thresholds_point_downwards)
{
    fix_refused("{\"memory\": {\"warning_percent\": 5, \"critical_percent\": 10}}",
                "beacons.memory: warning_percent must be above critical_percent");
}

TEST_MAIN(little_is_a_condition, enough_is_none, kernels_that_do_not_say, thresholds_point_downwards)
