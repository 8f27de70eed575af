#include "beacon_fixture.h"
#include "check.h"
#include "fake_root.h"

static const char plain[] = "{\"flash\": {}}";

static void begin(void)
{
    fix_init();
    fix_print_lines();
    fake_root_begin();
}

static int look(const char *configuration)
{
    fix.count = 0;
    return fix_once(configuration);
}

static const struct emitter *sensor(void)
{
    return &sensor_runner_current(&fix.sensor_runner)->items[0];
}

static void put_ubi(const char *erasures, const char *bad, const char *reserved)
{
    fake_root_put("/sys/class/ubi/version", "1\n");
    fake_root_put("/sys/class/ubi/ubi0/max_ec", erasures);
    fake_root_put("/sys/class/ubi/ubi0/bad_peb_count", bad);
    fake_root_put("/sys/class/ubi/ubi0/reserved_for_bad", reserved);
    fake_root_put("/sys/class/ubi/ubi0_0/name", "rootfs\n"); /* a volume */
}

static void put_emmc(const char *life, const char *end)
{
    fake_root_put("/sys/bus/mmc/devices/mmc0:0001/life_time", life);
    if (end)
        fake_root_put("/sys/bus/mmc/devices/mmc0:0001/pre_eol_info", end);
}

TEST(ubi_counts_erasures_and_bad_blocks)
{
    begin();
    put_ubi("85000\n", "19\n", "1\n");
    REQUIRE(look(plain) == 1);
    REQUIRE(fix.count == 2);
    CHECK(fix_has(0, "\"type\":\"flash.wear\",\"source\":\"flash-beacon\""));
    CHECK(fix_has(0, "\"severity\":\"warning\",\"data\":{\"device\":\"ubi0\",\"used_percent\":\"85.0\","
                     "\"used\":85000,\"of\":100000}"));
    CHECK(fix_has(1, "\"type\":\"flash.bad_blocks\""));
    CHECK(fix_has(1, "\"severity\":\"critical\",\"data\":{\"device\":\"ubi0\",\"used_percent\":\"95.0\","
                     "\"used\":19,\"of\":20}"));
    CHECK_INT(sensor()->result, INSTANCE_OK);
    fake_root_end();
}

TEST(erase_cycles_say_what_a_block_is_made_for)
{
    begin();
    put_ubi("4000\n", "0\n", "0\n");
    REQUIRE(look(plain) == 1);
    CHECK_INT(fix.count, 0);
    REQUIRE(look("{\"flash\": {\"erase_cycles\": 3000}}") == 1);
    REQUIRE(fix.count == 1);
    CHECK(fix_has(0, "\"severity\":\"critical\",\"data\":{\"device\":\"ubi0\",\"used_percent\":\"133.3\""));
    fake_root_end();
}

TEST(what_was_worn_stays_a_condition_until_it_is_better)
{
    begin();
    put_ubi("10\n", "80\n", "20\n");
    REQUIRE(fix_load(plain) == 0);
    sensor_runner_switch(&fix.sensor_runner);
    struct emitter *e = &sensor_runner_current(&fix.sensor_runner)->items[0];
    sensor_runner_run(e);
    CHECK_INT(fix.count, 1);
    put_ubi("10\n", "79\n", "21\n"); /* within the hysteresis */
    sensor_runner_run(e);
    CHECK(!fix_has(fix.count - 1, "recovered"));
    put_ubi("10\n", "20\n", "80\n"); /* another chip */
    sensor_runner_run(e);
    CHECK(fix_has(fix.count - 1, "\"severity\":\"info\",\"data\":{\"state\":\"recovered\",\"device\":\"ubi0\""));
    sensor_runner_stop(&fix.sensor_runner);
    fake_root_end();
}

TEST(emmc_estimates)
{
    static const struct {
        const char *life, *end, *percent, *severity;
    } cases[] = {
        {"0x01 0x01\n", "0x01\n", NULL, NULL},
        {"0x08 0x02\n", "0x01\n", NULL, NULL},
        {"0x09 0x02\n", "0x01\n", "80.0", "warning"},
        {"0x02 0x09\n", NULL, "80.0", "warning"},
        {"0x0a 0x02\n", "0x00\n", "90.0", "critical"},
        {"0x00 0x0b\n", "0x01\n", "100.0", "critical"},
        {"0x01 0x01\n", "0x02\n", "80.0", "warning"},
        {"0x01 0x01\n", "0x03\n", "90.0", "critical"},
        {"0x01 0x01\n", "0x7f\n", NULL, NULL},
        {"0x00 0x00\n", "0x03\n", "90.0", "critical"},
    };

    for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++) {
        char want[128];
        begin();
        put_emmc(cases[i].life, cases[i].end);
        REQUIRE(look(plain) == 1);
        CHECK_INT(sensor()->result, INSTANCE_OK);
        CHECK_INT(fix.count, cases[i].percent ? 1 : 0);
        if (cases[i].percent) {
            snprintf(want, sizeof want,
                     "\"severity\":\"%s\",\"data\":{\"device\":\"mmc0:0001\",\"used_percent\":\"%s\",",
                     cases[i].severity, cases[i].percent);
            CHECK(fix_has(0, want));
        }
        fake_root_end();
    }
}

TEST(what_does_not_tell_is_not_measured)
{
    static const char *const lives[] = {"0x00 0x00\n", "", "0x", "garbage-so-long", "0xzz 0x-1\n", "0x0c 0x01\n"};

    begin();
    REQUIRE(look(plain) == 1);
    CHECK_INT(sensor()->result, INSTANCE_NOT_MEASURED);
    CHECK_STR(sensor()->why, "no UBI and no eMMC that reports wear");
    for (unsigned i = 0; i < sizeof lives / sizeof *lives; i++) {
        put_emmc(lives[i], "0x00\n");
        REQUIRE(look(plain) == 1);
        CHECK_INT(fix.count, 0);
        CHECK_INT(sensor()->result, INSTANCE_NOT_MEASURED);
    }
    put_ubi("-5\n", "-1\n", "0\n");
    REQUIRE(look(plain) == 1);
    CHECK_INT(sensor()->result, INSTANCE_NOT_MEASURED);
    put_ubi("99999999999999999999\n", "0\n", "-1\n");
    REQUIRE(look(plain) == 1);
    CHECK_INT(sensor()->result, INSTANCE_NOT_MEASURED);
    put_ubi("x5\n", "4294967297\n", "0\n");
    REQUIRE(look(plain) == 1);
    CHECK_INT(sensor()->result, INSTANCE_NOT_MEASURED);
    fake_root_end();
}

TEST(thresholds_are_in_order)
{
    fix_refused("{\"flash\": {\"warning_percent\": 95}}", "beacons.flash: warning_percent must be below");
}

TEST_MAIN(ubi_counts_erasures_and_bad_blocks, erase_cycles_say_what_a_block_is_made_for,
          what_was_worn_stays_a_condition_until_it_is_better, emmc_estimates,
          what_does_not_tell_is_not_measured, thresholds_are_in_order)
