#include "beacon_fixture.h"
#include "check.h"

/* A sensor whose level the test sets. */
static enum level level;
static unsigned polls;

static int fake_poll(void *state, struct emitter *out, uint64_t now_ms)
{
    (void)state;
    (void)now_ms;
    polls++;
    if (emit_condition(out, "fake.level", "it", level) != NULL)
        return emit_end(out) < 0 ? -1 : 0;
    return 0;
}

static const struct sensor_class fake_class = {
    .name = "fake",
    .source = "fake-beacon",
    .interval = "10s",
    .state_size = sizeof(struct sensor_common),
    .poll = fake_poll,
};
static struct sensor_common common;
static struct emitter fake;

static void init(int64_t for_checks)
{
    fix_init();
    polls = 0;
    common = (struct sensor_common){
        .name = "fake", .enabled = true, .interval_ms = 10000, .for_checks = for_checks};
    fake = (struct emitter){
        .owner = &fix.sensor_runner, .class = &fake_class, .common = &common, .output = -1};
}

static void look(enum level l)
{
    level = l;
    sensor_runner_run(&fake);
}

TEST(condition_fires_repeats_and_ends)
{
    init(1);
    look(LEVEL_OK);
    CHECK(!fix_take());
    look(LEVEL_WARNING);
    REQUIRE(fix_take());
    CHECK(fix_has(0, "\"severity\":\"warning\",\"data\":{}"));
    look(LEVEL_WARNING);
    CHECK(!fix_take());
    look(LEVEL_CRITICAL);
    REQUIRE(fix_take());
    CHECK(fix_has(0, "\"severity\":\"critical\""));
    look(LEVEL_OK);
    REQUIRE(fix_take());
    CHECK(fix_has(0, "\"severity\":\"info\",\"data\":{\"state\":\"recovered\"}"));
    look(LEVEL_OK);
    CHECK(!fix_take());
}

TEST(for_applies_except_in_once)
{
    init(3);
    look(LEVEL_WARNING);
    look(LEVEL_WARNING);
    CHECK(!fix_take());
    look(LEVEL_WARNING);
    CHECK(fix_take());
    init(3);
    fix.sensor_runner.once = true;
    look(LEVEL_WARNING);
    CHECK(fix_take());
}

TEST(every_recovery_is_reported)
{
    init(1);
    for (int i = 0; i < 2; i++) { /* the second time within the dedup window of the first */
        look(LEVEL_WARNING);
        while (fix_take())
            ;
        fix.conditions.slots[0].reported = 1; /* as if this event had been accepted too */
        look(LEVEL_OK);
        REQUIRE(fix_take());
        CHECK(fix_has(0, "recovered"));
    }
}

TEST(suppressed_recovery_is_reported_later)
{
    init(1);
    rate_set_limit(&fix.pipeline.rate, 1);
    look(LEVEL_CRITICAL);
    REQUIRE(fix_take());
    look(LEVEL_OK);
    CHECK(!fix_take());
    fix.clock.now_ms += 61000;
    look(LEVEL_OK);
    REQUIRE(fix_take());
    CHECK(fix_has(0, "recovered"));
    look(LEVEL_OK);
    CHECK(!fix_take());
}

TEST(exhausted_conditions_are_not_judged)
{
    char subject[2] = "a";

    init(1);
    for (int i = 0; i < 8; i++, subject[0]++)
        CHECK(emitter_condition(&fake, "t", subject) != NULL);
    CHECK(emitter_condition(&fake, "t", "z") == NULL);
    CHECK(emitter_condition(&fake, "t", "a") != NULL);
}

#define DISK(interval)                                                                             \
    "{\"disk_usage\": {\"interval\": \"" interval                                                  \
    "\", \"warning_percent\": 99.9, \"critical_percent\": 100}}"

static uint64_t most_asked;
static uint64_t half(uint64_t n)
{
    most_asked = n;
    return n / 2;
}

static void run_for(unsigned seconds)
{
    for (unsigned i = 0; i < seconds; i++) {
        fix.clock.now_ms += 1000;
        loop_turn(&fix.loop, 0);
    }
}

TEST(first_check_at_a_random_phase_then_each_interval)
{
    fix_init();
    fix.sensor_runner.random_below = half;
    REQUIRE(fix_load(DISK("10s")) == 0);
    sensor_runner_switch(&fix.sensor_runner);
    CHECK_INT(most_asked, 10000);
    const struct emitter *e = &sensor_runner_current(&fix.sensor_runner)->items[0];
    run_for(4);
    CHECK_INT(e->runs, 0);
    run_for(1);
    CHECK_INT(e->runs, 1);
    run_for(9);
    CHECK_INT(e->runs, 1);
    run_for(1);
    CHECK_INT(e->runs, 2);
    REQUIRE(fix_load(DISK("1h")) == 0);
    sensor_runner_switch(&fix.sensor_runner);
    e = &sensor_runner_current(&fix.sensor_runner)->items[0];
    CHECK_INT(e->runs, 2);
    run_for(3600);
    CHECK_INT(e->runs, 3);
}

TEST(reload_keeps_the_schedule)
{
    fix_init();
    REQUIRE(fix_load(DISK("10s")) == 0);
    sensor_runner_switch(&fix.sensor_runner);
    run_for(1);
    for (int i = 0; i < 9; i++) { /* a reload every second does not starve it */
        run_for(1);
        REQUIRE(fix_load(DISK("10s")) == 0);
        sensor_runner_switch(&fix.sensor_runner);
    }
    CHECK_INT(sensor_runner_current(&fix.sensor_runner)->items[0].runs, 1);
    run_for(2);
    CHECK_INT(sensor_runner_current(&fix.sensor_runner)->items[0].runs, 2);
}

TEST(refused_load_changes_nothing)
{
    fix_init();
    REQUIRE(fix_load(DISK("10s")) == 0);
    sensor_runner_switch(&fix.sensor_runner);
    run_for(1);
    CHECK(fix_load("{\"disk_usage\": {\"interval\": \"never\"}}") < 0);
    run_for(10);
    CHECK_INT(sensor_runner_current(&fix.sensor_runner)->items[0].runs, 2);
}

TEST(too_many_sensors_are_refused)
{
    static char config[CONFIG_BEACON_SENSORS * 48 + 128];
    struct text t;

    fix_init();
    text_init(&t, config, sizeof config);
    text_str(&t, "{\"scripts\": [");
    for (int i = 0; i <= CONFIG_BEACON_SENSORS; i++) {
        text_str(&t, i ? ",{\"name\":\"s" : "{\"name\":\"s");
        text_i64(&t, i);
        text_str(&t, "\",\"command\":\"true\"}");
    }
    text_str(&t, "]}");
    REQUIRE(!t.truncated);
    CHECK(fix_load(config) < 0);
    CHECK(strstr(fix.reports, "(CONFIG_BEACON_SENSORS)") != NULL);
}

TEST_MAIN(condition_fires_repeats_and_ends, for_applies_except_in_once, every_recovery_is_reported,
          suppressed_recovery_is_reported_later, exhausted_conditions_are_not_judged,
          first_check_at_a_random_phase_then_each_interval, reload_keeps_the_schedule,
          refused_load_changes_nothing, too_many_sensors_are_refused)
