#include <sys/sysinfo.h>

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

static unsigned free_percent;

/* In place of the C library's. */
int sysinfo(struct sysinfo *info)
{
    memset(info, 0, sizeof *info);
    info->totalram = 100000;
    info->freeram = free_percent * 1000;
    return 0;
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

/** Half a minute later the file has this. Return: how many events came of it. */
static unsigned later(const char *meminfo)
{
    fake_root_put("/proc/meminfo", meminfo);
    fix.count = 0;
    fix_turn(30000);
    return fix.count;
}

TEST(while_much_is_free_the_rest_is_not_looked_at)
{
    static const char little[] = "MemTotal: 100000 kB\nMemAvailable: 4000 kB\n", much[] = "MemTotal: 100000 kB\nMemAvailable: 40000 kB\n";

    fix_init();
    fix_print_lines();
    fake_root_begin();
    CHECK_INT(fix_start("{\"memory\": {}}"), 1);
    free_percent = 27;
    CHECK_INT(later(little), 1); /* nothing is known yet */
    CHECK_INT(later(much), 1);
    CHECK(fix_has(0, "\"state\":\"recovered\""));
    CHECK_INT(later(much), 0);
    CHECK_INT(later(little), 0);
    free_percent = 26;
    CHECK_INT(later(little), 1);
    CHECK(fix_has(0, "\"severity\":\"critical\""));
    fake_root_end();
}

TEST_MAIN(while_much_is_free_the_rest_is_not_looked_at, little_is_a_condition, enough_is_none, kernels_that_do_not_say, thresholds_point_downwards)
