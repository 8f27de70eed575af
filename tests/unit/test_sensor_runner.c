#include <string.h>
#include <unistd.h>

#include "beacon_fixture.h"
#include "check.h"
#include "nefia/base/err.h"

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
    SENSOR_NAME("fake", "10s"),
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
    CHECK_STR(fake.why, "");
    CHECK(emitter_condition(&fake, "t", "z") == NULL);
    CHECK_STR(fake.why, "t: too many conditions (CONFIG_CONDITIONS)"); /* its result, not only a line in the log */
    CHECK(emitter_condition(&fake, "t", "a") != NULL);
}

/* A sensor that keeps something while it runs: a handle, which its successor takes over. */
struct keeper {
    struct sensor_common common;
    int handle;
    bool unable;
};
static int opened, closed, start_result;
static const char *reason;

static int keeper_start(void *state, struct emitter *self, void *before)
{
    struct keeper *k = state, *old = before;

    if (reason)
        return emitter_not_measured(self, "no", reason);
    if (start_result < 0)
        return start_result;
    if (old) {
        k->handle = old->handle;
        old->handle = 0;
    } else {
        k->handle = ++opened;
    }
    return 0;
}

static int keeper_poll(void *state, struct emitter *out, uint64_t now_ms)
{
    struct keeper *k = state;

    (void)now_ms;
    polls++;
    if (k->unable) {
        emitter_not_measured(out, NULL, "first");
        return emitter_not_measured(out, NULL, "second");
    }
    return k->handle > 0 ? 0 : NEFIA_EINVAL;
}

static void keeper_stop(void *state)
{
    struct keeper *k = state;

    closed += k->handle > 0;
    k->handle = 0;
}

static const struct sensor_class keeper_class = {
    SENSOR_NAME("keeper", "10s"),
    .state_size = sizeof(struct keeper),
    .start = keeper_start,
    .poll = keeper_poll,
    .stop = keeper_stop,
};

/** As loading a configuration with `n` of them does. */
static struct emitter *load_keepers(unsigned n)
{
    struct instance_set *set = &fix.sensor_runner.sets[!fix.sensor_runner.current];
    static const char *const names[] = {"a", "b"};
    const size_t step = (sizeof(struct keeper) + sizeof(max_align_t) - 1) & ~(sizeof(max_align_t) - 1);

    set->count = n;
    for (unsigned i = 0; i < n; i++) {
        struct keeper *k = (void *)(set->states + i * step);
        *k = (struct keeper){.common = {names[i], true, 10000, 1}};
        set->items[i] = (struct emitter){
            .owner = &fix.sensor_runner, .class = &keeper_class, .common = &k->common, .output = -1, .joined = true};
    }
    return set->items;
}

static void init_keepers(void)
{
    fix_init();
    polls = 0;
    opened = closed = start_result = 0;
    reason = NULL;
}

static int handle_of(const struct emitter *e)
{
    return ((const struct keeper *)(const void *)e->common)->handle;
}

TEST(a_reload_carries_state_over)
{
    init_keepers();
    const struct emitter *e = load_keepers(2);
    sensor_runner_switch(&fix.sensor_runner);
    CHECK_INT(opened, 2);
    CHECK_INT(handle_of(&e[1]), 2);
    e = load_keepers(1); /* "a" stays and "b" goes */
    sensor_runner_switch(&fix.sensor_runner);
    CHECK_INT(opened, 2);
    CHECK_INT(closed, 1);
    CHECK_INT(handle_of(&e[0]), 1);
    sensor_runner_stop(&fix.sensor_runner);
    CHECK_INT(closed, 2);
    sensor_runner_stop(&fix.sensor_runner);
    CHECK_INT(closed, 2);
}

TEST(a_start_that_fails_is_reported_and_tried_again)
{
    init_keepers();
    reason = "door";
    struct emitter *e = load_keepers(1);
    sensor_runner_switch(&fix.sensor_runner);
    CHECK_INT(e->result, INSTANCE_NOT_MEASURED);
    CHECK_STR(e->why, "no: door");
    sensor_runner_run(e);
    CHECK_INT(polls, 0);
    CHECK_INT(e->result, INSTANCE_NOT_MEASURED);
    reason = NULL;
    start_result = NEFIA_EIO;
    sensor_runner_run(e);
    CHECK_INT(e->result, INSTANCE_FAILED);
    CHECK_STR(e->why, err_text(NEFIA_EIO));
    start_result = 0;
    sensor_runner_run(e);
    CHECK_INT(e->result, INSTANCE_OK);
    CHECK_STR(e->why, "");
    CHECK_INT(polls, 1);
    CHECK_INT(opened, 1);
    /* What never started has nothing to take over and nothing to close. */
    reason = "door";
    load_keepers(1);
    sensor_runner_stop(&fix.sensor_runner);
    CHECK_INT(closed, 1);
}

TEST(not_measured_is_a_result)
{
    init_keepers();
    struct emitter *e = load_keepers(1);
    sensor_runner_switch(&fix.sensor_runner);
    struct keeper *k = (void *)e->common;
    k->unable = true;
    sensor_runner_run(e);
    CHECK_INT(e->result, INSTANCE_NOT_MEASURED);
    CHECK_STR(e->why, "first");
    CHECK_INT(e->not_measured, 1);
    CHECK_INT(e->failures, 0);
    k->unable = false;
    sensor_runner_run(e);
    CHECK_INT(e->result, INSTANCE_OK);
    k->handle = 0;
    sensor_runner_run(e);
    CHECK_INT(e->result, INSTANCE_FAILED);
    CHECK_INT(e->failures, 1);
    CHECK_INT(e->not_measured, 1);
}

TEST(a_long_reason_is_cut)
{
    char path[2 * SENSOR_WHY_BYTES];

    init_keepers();
    memset(path, 'x', sizeof path);
    path[sizeof path - 1] = '\0';
    struct emitter *e = load_keepers(1);
    reason = path;
    sensor_runner_run(e);
    CHECK_INT(strlen(e->why), SENSOR_WHY_BYTES - 1);
}

static uint64_t in_200_ms(uint64_t n)
{
    (void)n;
    return 200;
}

TEST(sensors_due_within_250_ms_run_in_one_wake_up)
{
    init_keepers();
    fix.sensor_runner.random_below = in_200_ms;
    struct emitter *e = load_keepers(2);
    sensor_runner_switch(&fix.sensor_runner);
    e[1].timer.at_ms += 200;
    fix.clock.now_ms += 199;
    loop_turn(&fix.loop, 0);
    CHECK_INT(polls, 0);
    fix.clock.now_ms += 1;
    loop_turn(&fix.loop, 0);
    CHECK_INT(polls, 2);
    fix.clock.now_ms += 9999;
    loop_turn(&fix.loop, 0);
    CHECK_INT(polls, 2);
    fix.clock.now_ms += 1;
    loop_turn(&fix.loop, 0);
    CHECK_INT(polls, 4);
    CHECK_INT(e[0].runs, 2);
    CHECK_INT(e[1].runs, 2);
    /* 251 ms apart they stay apart. */
    init_keepers();
    fix.sensor_runner.random_below = in_200_ms;
    load_keepers(2);
    sensor_runner_switch(&fix.sensor_runner);
    sensor_runner_current(&fix.sensor_runner)->items[1].timer.at_ms += 251;
    fix.clock.now_ms += 200;
    loop_turn(&fix.loop, 0);
    CHECK_INT(polls, 1);
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
    CHECK_INT(most_asked, 30000); /* 15 s, half of it: the middle of its interval */
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

static unsigned asked;

static uint64_t a_third_then_a_tenth(uint64_t n)
{
    return n / (asked++ ? 10 : 3);
}

/** Sensors of one interval wake the processor together; commands do not all begin at once. */
TEST(all_begin_at_one_phase_but_for_commands)
{
    static const char all[] = "{\"disk_usage\": {\"interval\": \"30s\"}, \"memory\": {\"interval\": \"30s\"},"
                              "\"load\": {\"interval\": \"1m\"}, \"scripts\": [{\"name\": \"a\", \"command\": \"true\"}]}";

    fix_init();
    asked = 0;
    fix.sensor_runner.random_below = a_third_then_a_tenth;
    REQUIRE(fix_load(all) == 0);
    sensor_runner_switch(&fix.sensor_runner);
    const struct instance_set *set = sensor_runner_current(&fix.sensor_runner);
    REQUIRE(set->count == 4);
    for (unsigned i = 0; i < set->count; i++)
        CHECK_INT(set->items[i].timer.at_ms - 100000, set->items[i].class->spread ? 3000 : 10000);
    sensor_runner_stop(&fix.sensor_runner);
}

static uint64_t one_after_the_other(uint64_t n)
{
    return n * ++asked / 10;
}

/** Commands end within the second that they begin in. */
static void run_commands_for(unsigned seconds)
{
    for (unsigned i = 0; i < seconds; i++) {
        run_for(1);
        while (fix.sensor_runner.running > 0)
            loop_turn(&fix.loop, -1);
    }
}

/** One that would wake the processor alone is early once, to join the others; then it keeps its interval, as it is a multiple of theirs. */
TEST(a_command_joins_a_wake_up)
{
    static const char all[] = "{\"memory\": {\"interval\": \"30s\"}, \"scripts\": [{\"name\": \"a\", \"command\": \"true\"},"
                              "{\"name\": \"b\", \"command\": \"true\"}]}";

    fix_init();
    loop_on_signal(&fix.loop, fix_signal, &fix);
    asked = 0;
    fix.sensor_runner.random_below = one_after_the_other; /* memory is due after 3 s, a after 6, b after 9 */
    REQUIRE(fix_load(all) == 0);
    sensor_runner_switch(&fix.sensor_runner);
    const struct emitter *a = &sensor_runner_current(&fix.sensor_runner)->items[1], *b = a + 1;
    REQUIRE(str_eq(a->common->name, "a") && str_eq(b->common->name, "b"));
    run_commands_for(3);
    CHECK_INT(a->runs, 1);
    CHECK_INT(b->runs, 0); /* not both at once */
    run_commands_for(6);
    CHECK_INT(b->runs, 1);
    run_commands_for(293); /* until 302 s */
    CHECK_INT(a->runs, 1);
    run_commands_for(1);
    CHECK_INT(a->runs, 2);
    CHECK_INT(b->runs, 1);
    run_commands_for(6);
    CHECK_INT(b->runs, 2);
    sensor_runner_stop(&fix.sensor_runner);
}

/** Where other sensors' commands leave no room it keeps its own time. */
TEST(a_command_joins_only_where_there_is_room)
{
    fix_init();
    loop_on_signal(&fix.loop, fix_signal, &fix);
    asked = 0;
    fix.sensor_runner.random_below = one_after_the_other;
    REQUIRE(fix_load("{\"memory\": {\"interval\": \"30s\"}, \"scripts\": [{\"name\": \"a\", \"command\": \"true\"}]}") == 0);
    sensor_runner_switch(&fix.sensor_runner);
    const struct emitter *a = &sensor_runner_current(&fix.sensor_runner)->items[1];
    fix.sensor_runner.running = CONFIG_BEACON_CHILDREN;
    run_for(3);
    CHECK_INT(a->runs, 0);
    fix.sensor_runner.running = 0;
    run_commands_for(3);
    CHECK_INT(a->runs, 1);
    CHECK_INT(a->result, INSTANCE_OK);
    sensor_runner_stop(&fix.sensor_runner);
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

/** `disk_usage:` and nothing behind it. */
TEST(a_section_without_keys_has_the_defaults)
{
    fix_init();
    CHECK_INT(fix_load("{\"disk_usage\": null, \"scripts\": null}"), 0);
    sensor_runner_switch_once(&fix.sensor_runner);
    const struct instance_set *set = sensor_runner_current(&fix.sensor_runner);
    CHECK_INT(set->count, 1);
    CHECK_STR(set->items[0].common->name, "disk_usage");
    CHECK(set->items[0].common->interval_ms == 5 * 60 * 1000);
    fix_refused("{\"file\": null}", "file.files: missing");
    fix_refused("{\"disk_usage\": \"\"}", "a map of keys is wanted");
    fix_refused("{\"disk_usage\": []}", "a map of keys is wanted");
}

static int say_change(enum severity severity)
{
    emit_change(&fake, "fake.state", "it", severity);
    return emit_end(&fake);
}

TEST(a_change_is_no_repetition_but_counts_for_the_rate)
{
    init(1);
    rate_set_limit(&fix.pipeline.rate, 2);
    CHECK_INT(say_change(SEVERITY_CRITICAL), 1);
    CHECK_INT(say_change(SEVERITY_CRITICAL), 1);
    CHECK_INT(say_change(SEVERITY_CRITICAL), 0);
    emit_exempt(&fake, "fake.own", NULL, SEVERITY_INFO);
    CHECK_INT(emit_end(&fake), 1);
}

static int say_word(void *arg)
{
    const char *word = arg;

    return write(STDOUT_FILENO, word, strlen(word)) > 0 ? 3 : 1;
}

static struct child_result said;
static char said_output[16];

static void take_word(void *state, struct emitter *e, const struct child_result *r, const char *output)
{
    (void)state;
    (void)e;
    said = *r;
    memcpy(said_output, output, r->output_len < 15 ? r->output_len : 15);
}

TEST(a_function_runs_in_a_child)
{
    static char word[] = "word";

    init(1);
    loop_on_signal(&fix.loop, fix_signal, &fix);
    CHECK_INT(emitter_child_run(&fake, say_word, word, 60000, take_word), 0);
    CHECK_INT(emitter_child_run(&fake, say_word, word, 60000, take_word), NEFIA_EAGAIN);
    while (fix.sensor_runner.running > 0)
        loop_turn(&fix.loop, 100);
    CHECK_INT(said.exit_code, 3);
    CHECK_STR(said_output, "word");
    CHECK_INT(fake.result, INSTANCE_OK);
}

TEST_MAIN(a_reload_carries_state_over, a_start_that_fails_is_reported_and_tried_again,
          not_measured_is_a_result, a_long_reason_is_cut,
          sensors_due_within_250_ms_run_in_one_wake_up, condition_fires_repeats_and_ends, for_applies_except_in_once, every_recovery_is_reported,
          suppressed_recovery_is_reported_later, exhausted_conditions_are_not_judged,
          first_check_at_a_random_phase_then_each_interval, all_begin_at_one_phase_but_for_commands, a_command_joins_a_wake_up, a_command_joins_only_where_there_is_room, reload_keeps_the_schedule,
          refused_load_changes_nothing, too_many_sensors_are_refused,
          a_section_without_keys_has_the_defaults,
          a_change_is_no_repetition_but_counts_for_the_rate, a_function_runs_in_a_child)
