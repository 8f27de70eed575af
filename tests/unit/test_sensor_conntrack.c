#include "beacon_fixture.h"
#include "check.h"
#include "fake_root.h"

static const struct emitter *look(const char *count, const char *max)
{
    fix_init();
    fix_print_lines();
    fake_root_begin();
    if (count)
        fake_root_put("/proc/sys/net/netfilter/nf_conntrack_count", count);
    if (max)
        fake_root_put("/proc/sys/net/netfilter/nf_conntrack_max", max);
    CHECK_INT(fix_once("{\"conntrack\": {}}"), 1);
    fake_root_end();
    return &sensor_runner_current(&fix.sensor_runner)->items[0];
}

TEST(nearly_full_is_a_condition)
{
    look("13107\n", "16384\n");
    REQUIRE(fix.count == 1);
    CHECK(fix_has(0, "\"type\":\"conntrack.usage\",\"source\":\"conntrack-beacon\""));
    CHECK(fix_has(0, "\"severity\":\"warning\",\"data\":{\"used_percent\":\"80.0\",\"connections\":13107,"
                     "\"max_connections\":16384}"));
    look("16384", "16384");
    CHECK(fix_has(0, "\"severity\":\"critical\",\"data\":{\"used_percent\":\"100.0\""));
    CHECK_INT(look("13000\n", "16384\n")->result, INSTANCE_OK);
    CHECK_INT(fix.count, 0);
}

TEST(a_limit_may_be_lowered_or_none)
{
    look("20000\n", "16384\n");
    CHECK(fix_has(0, "\"used_percent\":\"100.0\",\"connections\":20000,"));
    CHECK_INT(look("20000\n", "0\n")->result, INSTANCE_OK);
    CHECK_INT(fix.count, 0);
}

TEST(what_is_not_there_is_not_measured)
{
    CHECK_STR(look(NULL, NULL)->why,
              "/proc/sys/net/netfilter/nf_conntrack_count: No such file or directory");
    CHECK_STR(look("1", NULL)->why,
              "/proc/sys/net/netfilter/nf_conntrack_max: No such file or directory");
    CHECK_STR(look("x", "1")->why, "/proc/sys/net/netfilter/nf_conntrack_count: not a number");
    look("-9223372036854775808", "1"); /* no kernel says so */
    look("1", "-9223372036854775808");
    CHECK_INT(fix.count, 0);
}

TEST_MAIN(nearly_full_is_a_condition, a_limit_may_be_lowered_or_none, what_is_not_there_is_not_measured)
