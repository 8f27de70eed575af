#include <sys/sysinfo.h>

#include "beacon_fixture.h"
#include "check.h"
#include "fake_root.h"

static unsigned averages[3]; /* hundredths */
static int fails;

/* In place of libc's. */
int sysinfo(struct sysinfo *info)
{
    if (fails)
        return -1;
    memset(info, 0xFF, sizeof *info);
    for (int i = 0; i < 3; i++)
        info->loads[i] = (unsigned long)(((uint64_t)averages[i] << SI_LOAD_SHIFT) / 100);
    return 0;
}

static const struct emitter *look(const char *online, unsigned load, const char *configuration)
{
    averages[0] = 26;
    averages[1] = load;
    averages[2] = 1250;
    fix_init();
    fix_print_lines();
    fake_root_begin();
    if (online)
        fake_root_put("/sys/devices/system/cpu/online", online);
    CHECK_INT(fix_once(configuration), 1);
    fake_root_end();
    return &sensor_runner_current(&fix.sensor_runner)->items[0];
}

TEST(it_counts_for_each_core)
{
    look("0-3\n", 800, "{\"load\": {}}");
    REQUIRE(fix.count == 1);
    CHECK(fix_has(0, "\"type\":\"load.high\",\"source\":\"load-beacon\""));
    CHECK(fix_has(0, "\"severity\":\"warning\",\"data\":{\"per_core\":\"2.0\",\"cores\":4,\"load_1m\":\"0.3\","
                     "\"load_5m\":\"8.0\",\"load_15m\":\"12.5\"}"));
    look("0\n", 800, "{\"load\": {}}");
    REQUIRE(fix.count == 1);
    CHECK(fix_has(0, "\"severity\":\"critical\",\"data\":{\"per_core\":\"8.0\",\"cores\":1,"));
    CHECK_INT(look("0,2-3\n", 580, "{\"load\": {}}")->result, INSTANCE_OK);
    CHECK_INT(fix.count, 0);
    look("0,2-3,17\n", 100, "{\"load\": {\"warning_per_core\": 0.2}}");
    REQUIRE(fix.count == 1);
    CHECK(fix_has(0, "\"per_core\":\"0.3\",\"cores\":4,"));
}

TEST(large_figures_are_no_trouble)
{
    look("0-8191\n", 6553500, "{\"load\": {}}");
    REQUIRE(fix.count == 1);
    CHECK(fix_has(0, "\"per_core\":\"8.0\",\"cores\":8192,"));
}

TEST(what_is_no_list_is_not_measured)
{
    static const char *const lists[] = {"",    "\n",  "x",     "3-1", "0-",     "0,",
                                        "0 1", "-1", "0-8192", "99999999999999999999",
                                        "0-4294967295", "0-3,0-8191,0-8191"};

    for (size_t i = 0; i < ARRAY_SIZE(lists); i++) {
        const struct emitter *e = look(lists[i], 10000, "{\"load\": {}}");
        CHECK_INT(fix.count, 0);
        CHECK_INT(e->result, INSTANCE_NOT_MEASURED);
        CHECK_STR(e->why, "/sys/devices/system/cpu/online: no list");
    }
    CHECK_STR(look(NULL, 10000, "{\"load\": {}}")->why,
              "/sys/devices/system/cpu/online: No such file or directory");
    CHECK_INT(fix.count, 0);
}

TEST(a_kernel_that_refuses)
{
    fails = 1;
    CHECK_INT(look("0", 10000, "{\"load\": {}}")->result, INSTANCE_NOT_MEASURED);
    fails = 0;
}

TEST(thresholds_are_in_order)
{
    fix_refused("{\"load\": {\"warning_per_core\": 5}}",
                "beacons.load: warning_per_core must be below critical_per_core");
}

TEST_MAIN(it_counts_for_each_core, large_figures_are_no_trouble, what_is_no_list_is_not_measured,
          a_kernel_that_refuses, thresholds_are_in_order)
