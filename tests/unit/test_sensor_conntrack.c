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

static unsigned opened(void)
{
    unsigned n = 0;

    for (int fd = 0; fd < 64; fd++)
        n += fcntl(fd, F_GETFD) >= 0;
    return n;
}

static const struct emitter *look_again(const char *count, const char *max)
{
    if (count)
        fake_root_put("/proc/sys/net/netfilter/nf_conntrack_count", count);
    if (max)
        fake_root_put("/proc/sys/net/netfilter/nf_conntrack_max", max);
    fix.count = 0;
    fix_turn(60000);
    return &sensor_runner_current(&fix.sensor_runner)->items[0];
}

TEST(files_stay_open)
{
    fix_init();
    fix_print_lines();
    fake_root_begin();
    CHECK_INT(fix_start("{\"conntrack\": {}}"), 1);
    const unsigned before = opened();
    CHECK_STR(look_again("1\n", NULL)->why, "/proc/sys/net/netfilter/nf_conntrack_max: No such file or directory");
    CHECK_INT(look_again("1\n", "100\n")->result, INSTANCE_OK);
    CHECK_INT(opened(), before + 2);
    CHECK_INT(look_again("80\n", "100\n")->result, INSTANCE_OK);
    CHECK(fix.count == 1 && fix_has(0, "\"used_percent\":\"80.0\""));
    /* The module is loaded anew: what was open gives nothing any more. */
    look_again("", "");
    fake_root_remove("/proc/sys/net/netfilter/nf_conntrack_count");
    CHECK_INT(look_again(NULL, "1000\n")->result, INSTANCE_NOT_MEASURED);
    CHECK_INT(look_again("96\n", "100\n")->result, INSTANCE_OK);
    CHECK(fix.count == 1 && fix_has(0, "\"used_percent\":\"96.0\""));
    CHECK_INT(opened(), before + 2);
    fake_root_end();
}

/** The limit changes; how many looks until that is a finding. */
static unsigned looks_until(const char *count, const char *max)
{
    unsigned looks = 0;

    do {
        look_again(count, max);
        looks++;
    } while (fix.count == 0 && looks < 20);
    return looks;
}

TEST(the_limit_is_read_when_it_matters)
{
    fix_init();
    fix_print_lines();
    fake_root_begin();
    CHECK_INT(fix_start("{\"conntrack\": {}}"), 1);
    for (int i = 0; i < 5; i++)
        look_again("10\n", "1000\n");
    CHECK_INT(looks_until("19\n", "20\n"), 5); /* each eighth look reads it */
    CHECK(fix_has(0, "\"severity\":\"critical\",\"data\":{\"used_percent\":\"95.0\",\"connections\":19,\"max_connections\":20}"));
    CHECK_INT(looks_until("19\n", "1000\n"), 1); /* nearly full: each look does */
    CHECK(fix_has(0, "\"state\":\"recovered\"") && fix_has(0, "\"max_connections\":1000}"));
    look_again("100\n", "1000\n");
    CHECK(looks_until("199\n", "200\n") <= 8);
    CHECK_INT(looks_until("100\n", "1000\n"), 1);
    CHECK_INT(looks_until("200\n", "210\n"), 1); /* more than twice as many as were few */
    fake_root_end();
}

TEST_MAIN(nearly_full_is_a_condition, a_limit_may_be_lowered_or_none, what_is_not_there_is_not_measured,
          files_stay_open, the_limit_is_read_when_it_matters)
