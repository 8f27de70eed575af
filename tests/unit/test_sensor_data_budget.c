#include "beacon_fixture.h"
#include "check.h"
#include "fake_root.h"
#include "fake_rtnetlink.h"
#include "nefia/sys/file.h"

#define MB INT64_C(1000000)
#define CONFIG(more) "{\"data_budget\": {\"interface\": \"wwan0.1\", \"allowance_mb\": 100" more "}}"

enum { MINUTES_5 = 300 * 1000, HOUR = 3600 * 1000, DAY_S = 86400 };

/** index 0: it is gone. */
static void put_counters(long long rx, long long tx, int index)
{
    kernel.links[1] = (struct kernel_link){.name = "wwan0.1", .index = index, .rx = (uint64_t)rx, .tx = (uint64_t)tx};
}

static struct emitter *sensor(void)
{
    return &sensor_runner_current(&fix.sensor_runner)->items[0];
}

/** The sensor starts, with what is in the state directory. */
static void begin(const char *configuration)
{
    uint64_t now_ms = fix.clock.now_ms;
    int64_t now_s = fix.clock.now_s;

    fix_init();
    fix_print_lines();
    kernel_begin();
    kernel.links[0] = (struct kernel_link){.name = "wwan0", .index = 2, .rx = 9999 * MB};
    if (now_ms) {
        fix.clock.now_ms = now_ms;
        fix.clock.now_s = now_s;
    }
    if (!fake_root_dir[0])
        fake_root_begin();
    fix.sensor_runner.state_dir = fake_root_dir;
    CHECK_INT(fix_load(configuration), 0);
    sensor_runner_switch(&fix.sensor_runner);
}

static void end(void)
{
    sensor_runner_stop(&fix.sensor_runner);
    fix.clock.now_ms = 0;
    fake_root_end();
}

static void look(long long rx, long long tx, int index)
{
    fix.count = 0;
    fix.clock.now_ms += MINUTES_5;
    put_counters(rx, tx, index);
    sensor_runner_run(sensor());
}

static void reload(const char *configuration)
{
    CHECK_INT(fix_load(configuration), 0);
    sensor_runner_switch(&fix.sensor_runner);
}

static int used(long long bytes)
{
    char part[48];

    snprintf(part, sizeof part, "\"used_bytes\":%lld,", bytes);
    return fix.count == 1 && fix_has(0, part);
}

/** 2026-03-10, as fix_init says; another day of that month or of a later one. */
static void set_date(int days)
{
    fix.clock.now_s = 1773156600 + (int64_t)(days - 10) * DAY_S;
}

TEST(what_passes_is_counted)
{
    begin(CONFIG(""));
    look(5000 * MB, 700 * MB, 3); /* before the first look: nobody knows in which month */
    CHECK_INT(fix.count, 0);
    look(5050 * MB, 729 * MB, 3);
    CHECK_INT(fix.count, 0);
    look(5050 * MB, 730 * MB, 3);
    REQUIRE(used(80 * MB));
    CHECK(fix_has(0, "\"type\":\"data.budget\",\"source\":\"data-beacon\""));
    CHECK(fix_has(0, "\"severity\":\"warning\",\"data\":{\"interface\":\"wwan0.1\",\"used_bytes\":80000000,"
                     "\"allowance_bytes\":100000000,\"used_percent\":\"80.0\",\"period\":\"2026-03\"}"));
    look(5069 * MB + 999999, 730 * MB, 3);
    CHECK(fix_has(0, "\"used_percent\":\"99.9\""));
    look(5070 * MB, 730 * MB, 3);
    CHECK(fix_has(0, "\"severity\":\"critical\""));
    CHECK(fix_has(0, "\"used_percent\":\"100.0\""));
    end();
}

TEST(an_interface_that_is_made_anew)
{
    begin(CONFIG(""));
    look(500 * MB, 0, 3);
    look(580 * MB, 0, 3);
    CHECK(used(80 * MB));
    look(4 * MB, 1 * MB, 4); /* since it was made */
    CHECK(used(85 * MB));
    look(600 * MB, 0, 5); /* more than the one before had: all of it */
    CHECK(used(685 * MB));
    put_counters(0, 0, 0);
    sensor_runner_run(sensor());
    CHECK_INT(sensor()->result, INSTANCE_NOT_MEASURED);
    CHECK_STR(sensor()->why, "netlink: No such device");
    look(601 * MB, 0, 5);
    CHECK(used(686 * MB));
    CHECK_INT(sensor()->result, INSTANCE_OK);
    end();
}

TEST(the_longest_name)
{
    begin("{\"data_budget\": {\"interface\": \"wwan0.123456789\", \"allowance_mb\": 100}}");
    for (int i = 0; i < 2; i++) {
        kernel.links[2] = (struct kernel_link){.name = "wwan0.123456789", .index = 7, .rx = (uint64_t)(i * 80 * MB)};
        look(0, 0, 3);
    }
    CHECK(used(80 * MB));
    end();
}

TEST(counters_of_32_bits_wrap)
{
    const long long most = INT64_C(1) << 32;

    begin(CONFIG(""));
    look(most - 50 * MB, 0, 3);
    look(40 * MB, 0, 3);
    CHECK(used(90 * MB));
    look(1 * MB, 0, 3); /* that far it has not come in one look: it began anew */
    CHECK(used(91 * MB));
    look(most + 10 * MB, 0, 3);
    look(most, 0, 3); /* one of 64 bits does not wrap there */
    CHECK(used(91 * MB + most - 1 * MB + 10 * MB + most));
    look(-5, 0, 3);
    CHECK_INT(sensor()->result, INSTANCE_OK);
    end();
}

TEST(kept_over_a_restart_of_the_beacon)
{
    begin(CONFIG(""));
    look(500 * MB, 20 * MB, 3);
    look(560 * MB, 20 * MB, 3);
    sensor_runner_stop(&fix.sensor_runner);
    begin(CONFIG(""));
    look(590 * MB, 20 * MB, 3); /* 30 MB while it was not running */
    REQUIRE(fix.count == 1);
    CHECK(fix_has(0, "\"used_percent\":\"90.0\"") || fix_has(0, "\"used_percent\":\"89.9\""));
    end();
}

TEST(kept_over_a_restart_of_the_system)
{
    begin(CONFIG(""));
    look(500 * MB, 20 * MB, 3);
    look(560 * MB, 20 * MB, 3); /* a power cut: what is not stopped has stored at a percent */
    begin(CONFIG(""));
    fix.clock.now_s = 1000; /* 1970 */
    look(25 * MB, 0, 3);
    REQUIRE(fix.count == 1);
    CHECK(fix_has(0, "\"used_percent\":\"84.9\"") || fix_has(0, "\"used_percent\":\"85.0\""));
    CHECK(fix_has(0, "\"period\":\"2026-03\""));
    set_date(11);
    look(26 * MB, 0, 3);
    CHECK(fix_has(0, "\"used_percent\":\"85.9\"") || fix_has(0, "\"used_percent\":\"86.0\""));
    end();
}

static uint64_t stored(void)
{
    uint64_t v = 0;

    state_load_u64(fake_root_dir, "data_budget-wwan0_1", &v);
    return v;
}

TEST(written_at_each_percent_and_each_hour)
{
    begin(CONFIG(""));
    look(500 * MB, 0, 3);
    CHECK_INT(stored(), 0);
    look(500 * MB + 999999, 0, 3); /* 0.9 % */
    CHECK_INT(stored(), 0);
    look(501 * MB, 0, 3);
    uint64_t at_first = stored();
    CHECK(at_first != 0);
    look(501 * MB + 900000, 0, 3);
    CHECK(stored() == at_first);
    fix.clock.now_ms += HOUR;
    look(501 * MB + 900000, 0, 3);
    CHECK(stored() != at_first);
    at_first = stored();
    look(501 * MB + 990000, 0, 3);
    CHECK(stored() == at_first);
    reload(CONFIG(", \"critical_percent\": 90"));
    CHECK(stored() == at_first); /* a reload writes nothing, and forgets nothing */
    look(591 * MB, 0, 3);
    CHECK(used(91 * MB));
    CHECK(fix_has(0, "critical"));
    end();
}

/** There is no end to what somebody may send to it. */
TEST(written_each_hour_only_once_it_is_used_up)
{
    begin(CONFIG(""));
    look(0, 0, 3);
    look(100 * MB, 0, 3);
    const uint64_t used_up = stored();
    CHECK(used_up != 0);
    for (int i = 1; i < 11; i++)
        look((100 + 10 * i) * MB, 0, 3);
    CHECK(stored() == used_up);
    for (int i = 11; i < 13; i++)
        look((100 + 10 * i) * MB, 0, 3);
    CHECK(stored() != used_up);
    end();
}

TEST(what_was_kept_may_be_damaged_or_nowhere)
{
    begin(CONFIG(""));
    look(500 * MB, 0, 3);
    look(590 * MB, 0, 3);
    fake_root_put("/data_budget-wwan0_1", "18446744073709551615 0\n");
    begin(CONFIG(""));
    look(590 * MB, 0, 3);
    CHECK_INT(fix.count, 0);
    fix.sensor_runner.state_dir = NULL;
    reload("{}");
    reload(CONFIG(""));
    look(590 * MB, 0, 3);
    look(680 * MB, 0, 3);
    CHECK(used(90 * MB));
    end();
}

TEST(a_month_begins_anew)
{
    begin(CONFIG(", \"reset_day\": 15"));
    look(500 * MB, 0, 3);
    set_date(14);
    look(590 * MB, 0, 3);
    CHECK(used(90 * MB));
    CHECK(fix_has(0, "\"period\":\"2026-02\""));
    set_date(15);
    look(591 * MB, 0, 3);
    CHECK(used(1 * MB));
    CHECK(fix_has(0, "\"severity\":\"info\",\"data\":{\"state\":\"recovered\""));
    CHECK(fix_has(0, "\"period\":\"2026-03\""));
    set_date(31 + 14);
    look(671 * MB, 0, 3);
    CHECK(used(81 * MB));
    end();
}

TEST(months_shorter_than_the_day)
{
    begin(CONFIG(", \"reset_day\": 31"));
    set_date(31 + 29); /* 29 April */
    look(500 * MB, 0, 3);
    look(590 * MB, 0, 3);
    CHECK(fix_has(0, "\"period\":\"2026-03\""));
    set_date(31 + 30);
    look(591 * MB, 0, 3);
    CHECK(fix_has(0, "\"period\":\"2026-04\""));
    end();
    begin(CONFIG(""));
    set_date(31 + 30 + 31 + 30 + 31 + 31 + 30 + 31 + 30 + 31); /* 31 December 2026 */
    look(500 * MB, 0, 3);
    look(590 * MB, 0, 3);
    CHECK(fix_has(0, "\"period\":\"2026-12\""));
    end();
}

TEST(clocks_that_jump)
{
    begin(CONFIG(""));
    look(500 * MB, 0, 3);
    look(590 * MB, 0, 3);
    CHECK(used(90 * MB));
    set_date(1000); /* in years */
    look(590 * MB, 0, 3);
    CHECK(used(0));
    set_date(10);
    look(591 * MB, 0, 3); /* and back: nothing is forgotten */
    CHECK(used(91 * MB));
    fix.clock.now_s = 5; /* not set */
    look(592 * MB, 0, 3);
    CHECK(used(92 * MB));
    sensor_runner_stop(&fix.sensor_runner);
    end();
}

TEST(clocks_that_are_behind)
{
    begin(CONFIG(""));
    set_date(100);
    look(500 * MB, 0, 3);
    look(590 * MB, 0, 3);
    set_date(10);
    look(591 * MB, 0, 3);
    CHECK(used(91 * MB));
    fix.clock.now_ms += 23 * HOUR;
    look(592 * MB, 0, 3);
    CHECK(used(92 * MB));
    fix.clock.now_ms += HOUR;
    look(593 * MB, 0, 3);
    CHECK(used(1 * MB));
    end();
}

TEST(a_clock_that_is_set_later)
{
    begin(CONFIG(""));
    fix.clock.now_s = 5;
    look(500 * MB, 0, 3);
    look(590 * MB, 0, 3);
    CHECK(used(90 * MB));
    CHECK(!fix_has(0, "period"));
    set_date(10);
    look(591 * MB, 0, 3);
    CHECK(used(91 * MB));
    CHECK(fix_has(0, "\"period\":\"2026-03\""));
    end();
}

TEST(configuration)
{
    fix_refused("{\"data_budget\": {\"interface\": \"wwan0\"}}", "allowance_mb");
    fix_refused("{\"data_budget\": {\"allowance_mb\": 5}}", "interface");
    fix_refused(CONFIG(", \"reset_day\": 32"), "reset_day");
    fix_refused(CONFIG(", \"warning_percent\": 100"), "warning_percent must be below critical_percent");
}

TEST_MAIN(what_passes_is_counted, an_interface_that_is_made_anew, the_longest_name, counters_of_32_bits_wrap,
          kept_over_a_restart_of_the_beacon, kept_over_a_restart_of_the_system,
          written_at_each_percent_and_each_hour, written_each_hour_only_once_it_is_used_up, what_was_kept_may_be_damaged_or_nowhere,
          a_month_begins_anew, months_shorter_than_the_day, clocks_that_jump, clocks_that_are_behind,
          a_clock_that_is_set_later, configuration)
