#include "beacon_fixture.h"
#include "check.h"
#include "fake_root.h"

#define ZONE "/sys/class/thermal/thermal_zone"
#define CHIP "/sys/class/hwmon/hwmon"

static unsigned trips; /* of the zone so far */

static void begin(void)
{
    trips = 0;
    fix_init();
    fix_print_lines();
    fake_root_begin();
}

static void put_zone(const char *type, const char *temp)
{
    fake_root_put(ZONE "0/type", type);
    fake_root_put(ZONE "0/temp", temp);
}

static void put_trip(const char *type, const char *temp)
{
    char path[80];

    snprintf(path, sizeof path, ZONE "0/trip_point_%u_type", trips);
    fake_root_put(path, type);
    snprintf(path, sizeof path, ZONE "0/trip_point_%u_temp", trips++);
    fake_root_put(path, temp);
}

static const struct emitter *look(void)
{
    CHECK_INT(fix_once("{\"temperature\": {}}"), 1);
    fake_root_end();
    return &sensor_runner_current(&fix.sensor_runner)->items[0];
}

TEST(zones_without_limits_have_those_of_the_configuration)
{
    begin();
    put_zone("cpu-thermal\n", "80049\n");
    CHECK_INT(look()->result, INSTANCE_OK);
    REQUIRE(fix.count == 1);
    CHECK(fix_has(0, "\"type\":\"temperature.high\",\"source\":\"temperature-beacon\""));
    CHECK(fix_has(0, "\"severity\":\"warning\",\"data\":{\"sensor\":\"thermal_zone0/temp\",\"name\":\"cpu-thermal\","
                     "\"celsius\":\"80.0\",\"warning_celsius\":\"80.0\",\"critical_celsius\":\"95.0\"}"));
    begin();
    put_zone("cpu\n", "79999\n");
    CHECK_INT(look()->result, INSTANCE_OK);
    CHECK_INT(fix.count, 0);
    begin();
    put_zone("outside\n", "-40000\n");
    CHECK_INT(look()->result, INSTANCE_OK);
    CHECK_INT(fix.count, 0);
}

TEST(trip_points_are_limits)
{
    begin();
    put_zone("cpu\n", "61000\n");
    put_trip("active\n", "40000\n");
    put_trip("passive\n", "45000\n");
    put_trip("hot\n", "60000\n");
    put_trip("critical\n", "70000\n");
    look();
    REQUIRE(fix.count == 1);
    CHECK(fix_has(0, "\"severity\":\"warning\""));
    CHECK(fix_has(0, "\"warning_celsius\":\"60.0\",\"critical_celsius\":\"65.0\""));
    begin();
    put_zone("cpu\n", "65000\n");
    put_trip("critical\n", "70000\n"); /* the warning of the configuration is above */
    look();
    REQUIRE(fix.count == 1);
    CHECK(fix_has(0, "\"severity\":\"critical\""));
    CHECK(fix_has(0, "\"warning_celsius\":\"55.0\",\"critical_celsius\":\"65.0\""));
    begin();
    put_zone("cpu\n", "94000\n");
    put_trip("critical\n", "-274000\n"); /* none, of some drivers */
    put_trip("hot\n", "0\n");
    look();
    REQUIRE(fix.count == 1);
    CHECK(fix_has(0, "\"warning_celsius\":\"80.0\",\"critical_celsius\":\"95.0\""));
    begin();
    put_zone("cpu\n", "94000\n");
    put_trip("hot\n", "110000\n");
    look();
    CHECK_INT(fix.count, 1); /* 110 is above the critical limit */
    CHECK(fix_has(0, "\"warning_celsius\":\"85.0\",\"critical_celsius\":\"95.0\""));
}

TEST(chips)
{
    begin();
    fake_root_put(CHIP "0/name", "nvme\n");
    fake_root_put(CHIP "0/temp1_input", "84900\n");
    fake_root_put(CHIP "0/temp1_max", "84800\n");
    fake_root_put(CHIP "0/temp1_crit", "84800\n");
    fake_root_put(CHIP "0/in1_input", "99000\n");
    fake_root_put(CHIP "0/temp12_input", "-1000\n");
    CHECK_INT(look()->result, INSTANCE_OK);
    REQUIRE(fix.count == 1);
    CHECK(fix_has(0, "\"severity\":\"critical\",\"data\":{\"sensor\":\"hwmon0/temp1_input\",\"name\":\"nvme\","
                     "\"celsius\":\"84.9\",\"warning_celsius\":\"74.8\",\"critical_celsius\":\"84.8\"}"));
    begin();
    fake_root_put(CHIP "0/temp3_input", "91000\n");
    look();
    REQUIRE(fix.count == 1);
    CHECK(fix_has(0, "\"sensor\":\"hwmon0/temp3_input\",\"celsius\":\"91.0\",\"warning_celsius\":\"80.0\",\"critical_celsius\":\"95.0\"}"));
}

TEST(the_chip_of_a_zone_is_not_reported_again)
{
    begin();
    put_zone("cpu-thermal\n", "90000\n");
    fake_root_put("/sys/devices/virtual/thermal/thermal_zone0/hwmon0/temp1_input", "90000\n");
    fake_root_link(CHIP "0", "../../devices/virtual/thermal/thermal_zone0/hwmon0");
    fake_root_put("/sys/devices/platform/chip/hwmon/hwmon1/temp1_input", "90000\n");
    fake_root_link(CHIP "1", "../../devices/platform/chip/hwmon/hwmon1");
    fake_root_put("/sys/class/thermal/cooling_device0/temp", "99000\n");
    look();
    REQUIRE(fix.count == 2);
    CHECK(fix_has(0, "\"sensor\":\"thermal_zone0/temp\""));
    CHECK(fix_has(1, "\"sensor\":\"hwmon1/temp1_input\""));
}

TEST(names_are_bytes_of_others)
{
    begin();
    put_zone("a\"\xff\x01\n", "90000\n");
    look();
    REQUIRE(fix.count == 1);
    CHECK(fix_has(0, "\"name\":\"a\\\"\xef\xbf\xbd\\u0001\","));
}

TEST(each_has_its_condition)
{
    char path[64];

    begin();
    for (int i = 0; i < 4; i++) {
        snprintf(path, sizeof path, ZONE "%d/temp", i);
        fake_root_put(path, i == 2 ? "20000\n" : "99000\n");
    }
    look();
    CHECK_INT(fix.count, 3);
}

TEST(what_cannot_be_read_is_not_measured)
{
    begin();
    CHECK_STR(look()->why, "no thermometer");
    begin();
    put_zone("cpu\n", "hot\n");
    CHECK_INT(look()->result, INSTANCE_NOT_MEASURED);
    begin();
    put_zone("cpu\n", "9223372036854775807\n");
    CHECK_INT(look()->result, INSTANCE_NOT_MEASURED);
    begin();
    fake_root_put(ZONE "0/type", "cpu\n");
    fake_root_put(ZONE "1/temp", "99000\n");
    CHECK_STR(look()->why, "thermal_zone0/temp: No such file or directory");
    CHECK_INT(fix.count, 1);
}

TEST(thresholds_are_in_order)
{
    fix_refused("{\"temperature\": {\"warning_celsius\": 95}}",
                "beacons.temperature: warning_celsius must be below critical_celsius");
}

TEST_MAIN(zones_without_limits_have_those_of_the_configuration, trip_points_are_limits, chips,
          the_chip_of_a_zone_is_not_reported_again, names_are_bytes_of_others, each_has_its_condition,
          what_cannot_be_read_is_not_measured, thresholds_are_in_order)
