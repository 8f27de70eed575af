#include <sys/statvfs.h>

#include "beacon_fixture.h"
#include "check.h"

/** A string member of a printed event's data; "" if missing. */
static const char *member(unsigned i, const char *key)
{
    static char out[64];
    char pattern[64];
    struct text t;
    const char *at;

    text_init(&t, pattern, sizeof pattern);
    text_char(&t, '"');
    text_str(&t, key);
    text_str(&t, "\":");
    at = strstr(fix.printed[i], pattern);
    out[0] = '\0';
    if (at == NULL)
        return out;
    at += t.len + (at[t.len] == '"');
    text_init(&t, out, sizeof out);
    text_bytes(&t, at, strcspn(at, "\",}"));
    return out;
}

TEST(full_disk_is_an_event_with_df_figures)
{
    struct statvfs v;
    uint64_t total, bytes;

    fix_init();
    fix_print_lines();
    CHECK_INT(fix_once("{\"disk_usage\": {\"warning_percent\": 0.1, \"critical_percent\": 100}}"),
              1);
    CHECK_STR(fix.reports, "");
    REQUIRE(fix.count == 1);
    CHECK(fix_has(0, "\"type\":\"disk.usage\",\"source\":\"disk-beacon\""));
    CHECK_STR(member(0, "path"), "/");
    REQUIRE(statvfs("/", &v) == 0);
    total = (uint64_t)v.f_blocks * v.f_frsize;
    REQUIRE(parse_u64(member(0, "total_bytes"), strlen(member(0, "total_bytes")), &bytes) == 0);
    CHECK(bytes == total);
    const char *percent = member(0, "used_percent");
    CHECK(strchr(percent, '.') != NULL && strchr(percent, '.')[1] != '\0' &&
          strchr(percent, '.')[2] == '\0');
}

TEST(low_usage_is_silent)
{
    fix_init();
    fix_print_lines();
    CHECK_INT(fix_once("{\"disk_usage\": {\"warning_percent\": 99.9, \"critical_percent\": 100}}"),
              1);
    CHECK_INT(fix.count, 0);
    CHECK_INT(sensor_runner_current(&fix.sensor_runner)->items[0].result, INSTANCE_OK);
}

TEST(missing_path_is_reported_and_not_measured)
{
    fix_init();
    fix_print_lines();
    CHECK_INT(fix_once("{\"disk_usage\": {\"paths\": [\"/no/such/place\"]}}"), 1);
    REQUIRE(fix.count == 1);
    CHECK(fix_has(0, "\"type\":\"disk.unreadable\""));
    CHECK(fix_has(
        0,
        "\"severity\":\"warning\",\"data\":{\"path\":\"/no/such/place\",\"state\":\"unreadable\","
        "\"reason\":\""));
    const struct emitter *e = &sensor_runner_current(&fix.sensor_runner)->items[0];
    CHECK_INT(e->result, INSTANCE_NOT_MEASURED);
    CHECK(strstr(e->why, "/no/such/place: ") == e->why);
    CHECK_INT(e->failures, 0);
    CHECK_INT(e->not_measured, 1);
}

TEST(disabled_does_not_run)
{
    fix_init();
    CHECK_INT(fix_once("{\"disk_usage\": {\"enabled\": false, \"paths\": [\"/\"]}}"), 0);
    CHECK_INT(fix_once("{}"), 0);
}

TEST(mistakes_are_named)
{
    fix_refused("{\"disk_usage\":\n {\"warning_percent\": 90,\n \"critical_percent\": 80}}",
            "t.json:2: beacons.disk_usage: warning_percent must be below critical_percent");
    fix_refused("{\"disk_usage\": {\"warning_percent\": 95}}",
            "t.json:1: beacons.disk_usage: warning_percent must be below critical_percent");
    fix_refused("{\"disk_usage\": {\"hysteresis_percent\": 85}}",
            "beacons.disk_usage.hysteresis_percent");
    fix_refused("{\"disk_usage\": {\"hysteresis_percent\": 45, \"warning_percent\": 45}}",
            "hysteresis_percent must be below warning_percent");
    fix_refused("{\"disk_usage\": {\"paths\": [\"/\",\n \"tmp\"]}}",
            "t.json:2: beacons.disk_usage.paths[1]: path \"tmp\"");
    fix_refused("{\"disk_usage\": {\"paths\": [\"/\", \"/\"]}}", "duplicate path");
    fix_refused("{\"disk_usage\": {\"critical_percent\": 101}}", "critical_percent");
    fix_refused("{\"disk_usage\": {\"interval\": \"10\"}}", "beacons.disk_usage.interval");
    fix_refused("{\"disk_usage\": {\"path\": \"/\"}}", "did you mean paths?");
    fix_refused("{\"disk_usage\": [1]}", "beacons.disk_usage");
}

TEST_MAIN(full_disk_is_an_event_with_df_figures, low_usage_is_silent,
          missing_path_is_reported_and_not_measured, disabled_does_not_run, mistakes_are_named)
