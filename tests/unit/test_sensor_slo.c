#include <stdio.h>
#include <stdlib.h>

#include "beacon_fixture.h"
#include "check.h"
#include "samples.h"

/* The results come from the test, in the name of a target of reach and of a script that never run. */
#define SOURCES "\"reach\": [{\"name\": \"gw\", \"tcp\": \"127.0.0.1:9\"}], \"scripts\": [{\"name\": \"job\", \"command\": \"true\"}]"
#define OBJECTIVES(list) "{\"beacons\": {\"slo_violation\": [" list "], " SOURCES "}}"

enum { MINUTE = 60 * 1000, HOUR = 60 * MINUTE };

static void probe(bool ok, uint32_t ms)
{
    sensor_sample(named("reach", "gw"), ok, ms);
}

static void probes(int count, bool ok, uint32_t ms)
{
    while (count-- > 0)
        probe(ok, ms);
}

static enum instance_result judge(const char *objective)
{
    struct emitter *e = named("slo_violation", objective);

    if (!e)
        return INSTANCE_FAILED;
    fix.count = 0;
    sensor_runner_run(e);
    return e->result;
}

static void after(uint64_t ms)
{
    fix.clock.now_ms += ms;
}

/** Of the first event. -1: it has no such member. */
static int64_t number(const char *key)
{
    char quoted[40];
    const char *at;
    int64_t v = -1;

    snprintf(quoted, sizeof quoted, "\"%s\":", key);
    at = fix.count ? strstr(fix.printed[0], quoted) : NULL;
    if (!at)
        return -1;
    at += strlen(quoted);
    at += *at == '"';
    CHECK_INT(parse_i64(at, strspn(at, "-0123456789"), &v), 0);
    return v;
}

TEST(availability)
{
    begin(OBJECTIVES("{\"name\": \"up\", \"reach\": \"gw\", \"target\": 90}"));
    CHECK_INT(judge("up"), INSTANCE_NOT_MEASURED);
    CHECK_STR(named("slo_violation", "up")->why, "gw: too few results");
    probes(8, true, 5);
    probe(false, 0);
    CHECK_INT(judge("up"), INSTANCE_NOT_MEASURED);
    probe(true, 5); /* 1 of 10 may fail */
    CHECK_INT(judge("up"), INSTANCE_OK);
    CHECK_INT(fix.count, 0);
    CHECK_INT(named("slo_violation", "up")->sampled, 1 + GRADE_NONE);
    sensor_sample(named("scripts", "job"), false, 7); /* another's */
    judge("up");
    CHECK_INT(fix.count, 0);
    probe(false, 0); /* 2 of 11: 1.1 are allowed */
    judge("up");
    REQUIRE(fix.count == 1);
    CHECK(fix_has(0, "\"type\":\"slo.violated\",\"source\":\"slo-beacon\""));
    CHECK(fix_has(0, "\"severity\":\"critical\",\"data\":{\"level\":\"high\",\"name\":\"up\",\"reach\":\"gw\","
                     "\"objective\":\"availability\",\"observed_percent\":\"81.8\",\"target_percent\":\"90.0\","
                     "\"breach_percent\":\"81.8\",\"results\":11}"));
    CHECK_INT(named("slo_violation", "up")->sampled, 1 + GRADE_HIGH);
    probes(10, true, 5); /* 2 of 21: 2.1 are allowed, but 1.89 end it */
    judge("up");
    CHECK(fix_has(0, "\"severity\":\"info\",\"data\":{\"level\":\"low\""));
    CHECK(fix_has(0, "\"breach_percent\":\"0.0\""));
    probes(2, true, 5); /* 2 of 23 */
    judge("up");
    REQUIRE(fix.count == 1);
    CHECK(fix_has(0, "\"type\":\"slo.recovered\""));
    CHECK(fix_has(0, "\"severity\":\"info\",\"data\":{\"state\":\"recovered\",\"name\":\"up\",\"reach\":\"gw\","
                     "\"objective\":\"availability\",\"observed_percent\":\"91.3\""));
    judge("up");
    CHECK_INT(fix.count, 0);
    end();
}

TEST(error_rate_of_a_script)
{
    begin(OBJECTIVES("{\"name\": \"jobs\", \"script\": \"job\", \"objective\": \"error_rate\", \"target\": 2.5, "
                     "\"min_results\": 40}"));
    for (int i = 0; i < 40; i++)
        sensor_sample(named("scripts", "job"), i != 7, 100);
    judge("jobs");
    CHECK_INT(fix.count, 0);
    sensor_sample(named("scripts", "job"), false, 100);
    judge("jobs");
    REQUIRE(fix.count == 1);
    CHECK(fix_has(0, "\"level\":\"high\",\"name\":\"jobs\",\"script\":\"job\",\"objective\":\"error_rate\","
                     "\"observed_percent\":\"4.9\",\"target_percent\":\"2.5\",\"breach_percent\":\"95.1\",\"results\":41}"));
    end();
}

TEST(levels)
{
    static const struct {
        int bad; /* of 1000, of which 100 may be */
        const char *what;
    } cases[] = {
        {101, "\"severity\":\"info\",\"data\":{\"level\":\"low\""},
        {109, "\"severity\":\"info\",\"data\":{\"level\":\"low\""},
        {110, "\"severity\":\"warning\",\"data\":{\"level\":\"medium\""},
        {149, "\"severity\":\"warning\",\"data\":{\"level\":\"medium\""},
        {150, "\"severity\":\"critical\",\"data\":{\"level\":\"high\""},
        {199, "\"severity\":\"critical\",\"data\":{\"level\":\"high\""},
        {200, "\"severity\":\"critical\",\"data\":{\"level\":\"critical\""},
        {1000, "\"severity\":\"critical\",\"data\":{\"level\":\"critical\""},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        begin(OBJECTIVES("{\"name\": \"up\", \"reach\": \"gw\", \"target\": 90}"));
        probes(cases[i].bad, false, 0);
        probes(1000 - cases[i].bad, true, 1);
        judge("up");
        CHECK_INT(fix.count, 1);
        CHECK(fix_has(0, cases[i].what));
        end();
    }
}

TEST(latency)
{
    begin(OBJECTIVES("{\"name\": \"fast\", \"reach\": \"gw\", \"objective\": \"latency\", \"target\": \"160ms\", "
                     "\"percentile\": 90, \"min_results\": 1}"));
    probes(5, false, 65535); /* what has no answer has no latency */
    CHECK_INT(judge("fast"), INSTANCE_NOT_MEASURED);
    probes(9, true, 160);
    probe(true, 161);
    judge("fast");
    CHECK_INT(fix.count, 0);
    probe(true, 161); /* 2 of 11 exceed it */
    judge("fast");
    REQUIRE(fix.count == 1);
    CHECK(fix_has(0, "\"objective\":\"latency\",\"observed_ms\":178,\"target_ms\":160,\"breach_percent\":\"11.3\",\"results\":11}"));
    probes(100, true, 60000);
    judge("fast");
    CHECK_INT(number("observed_ms"), 1457); /* no more than nine times the target is known */
    end();
}

TEST(the_window_rolls)
{
    begin(OBJECTIVES("{\"name\": \"up\", \"reach\": \"gw\", \"target\": 90, \"min_results\": 1}"));
    after(2 * HOUR);
    probes(3, false, 0);
    judge("up");
    CHECK_INT(number("results"), 3);
    after(HOUR - 1);
    judge("up");
    CHECK_INT(number("results"), 3);
    after(1);
    CHECK_INT(judge("up"), INSTANCE_NOT_MEASURED);
    CHECK_INT(fix.count, 0); /* nothing is known: it is violated still */
    probe(true, 1);
    judge("up");
    REQUIRE(fix.count == 1);
    CHECK(fix_has(0, "slo.recovered"));
    /* One each five minutes: twelve are in the window. */
    for (int i = 0; i < 40; i++) {
        probe(false, 1);
        judge("up");
        CHECK_INT(number("results"), i < 12 ? i + 2 : 12);
        after(5 * MINUTE);
    }
    after(UINT64_C(400) * 24 * HOUR); /* asleep */
    CHECK_INT(judge("up"), INSTANCE_NOT_MEASURED);
    end();
}

TEST(a_bucket_is_full)
{
    begin(OBJECTIVES("{\"name\": \"up\", \"reach\": \"gw\", \"target\": 90}"));
    probes(70000, false, 0);
    judge("up");
    CHECK_INT(number("results"), 29000);
    CHECK_INT(number("observed_percent"), 0);
    end();
}

TEST(reloads)
{
#define SAME "\"reach\": \"gw\", \"window\": \"1h\""
    begin(OBJECTIVES("{\"name\": \"a\", \"target\": 90, " SAME "}, {\"name\": \"b\", \"target\": 80, " SAME "}"));
    probes(20, false, 0);
    after(7 * MINUTE);
    probes(20, false, 0);
    reload(OBJECTIVES("{\"name\": \"b\", \"target\": 80, " SAME ", \"interval\": \"5m\", \"min_results\": 3}, "
                      "{\"name\": \"c\", \"target\": 90, " SAME "}, {\"name\": \"a\", \"target\": 90.1, " SAME "}"));
    judge("b");
    CHECK_INT(number("results"), 40);
    CHECK_INT(judge("a"), INSTANCE_NOT_MEASURED); /* another target */
    CHECK_INT(judge("c"), INSTANCE_NOT_MEASURED);
    after(53 * MINUTE);
    judge("b");
    CHECK_INT(number("results"), 20);
    reload(OBJECTIVES("{\"name\": \"b\", \"target\": 80, \"reach\": \"gw\", \"window\": \"2h\"}"));
    CHECK_INT(judge("b"), INSTANCE_NOT_MEASURED);
    probes(20, false, 0);
    reload(OBJECTIVES("{\"name\": \"b\", \"target\": 80, \"script\": \"job\", \"window\": \"2h\"}"));
    CHECK_INT(judge("b"), INSTANCE_NOT_MEASURED);
    end();
}

/* ---- any history, against a list of all results ---- */

static uint64_t seed;

static uint32_t chance(uint32_t below)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (uint32_t)(seed >> 32) % below;
}

enum { MOST = 3000 };
static struct history {
    uint64_t began, window;
    struct {
        uint64_t bucket;
        uint32_t ms;
    } result[MOST];
    unsigned count;
} history;

/** After thirteen buckets or more without a look the window begins anew. */
static uint64_t bucket_now(void)
{
    const uint64_t length = history.window / 12, passed = fix.clock.now_ms - history.began;
    static uint64_t last;

    if (history.count == 0 && history.began == 0) {
        history.began = fix.clock.now_ms;
        return last = 0;
    }
    if (passed - last * length >= 13 * length) {
        history.began = fix.clock.now_ms;
        history.count = 0;
        return last = 0;
    }
    return last = passed / length;
}

static unsigned in_window(uint32_t values[MOST])
{
    const uint64_t now = bucket_now();
    unsigned n = 0;

    for (unsigned i = 0; i < history.count; i++)
        if (history.result[i].bucket + 12 > now)
            values[n++] = history.result[i].ms;
    return n;
}

static int ascending(const void *a, const void *b)
{
    const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return x < y ? -1 : x > y;
}

static void add_results(unsigned target)
{
    static const unsigned per_mille[] = {100, 500, 900, 1000, 1100, 1500, 2500, 5000, 20000};

    for (uint32_t n = chance(40); n > 0 && history.count < MOST; n--) {
        const uint32_t ms = (uint32_t)((uint64_t)target * chance(per_mille[chance(9)]) / 1000);
        const uint64_t bucket = bucket_now(); /* it may forget all before */
        history.result[history.count].bucket = bucket;
        history.result[history.count++].ms = ms;
        probe(true, ms);
    }
}

static void check_estimate(uint32_t exact, uint32_t target)
{
    const uint64_t got = (uint64_t)number("observed_ms"), least = (uint64_t)target * 13 / 16, most = (uint64_t)target * 149 / 16;

    if (exact <= least)
        CHECK(got <= least + 1);
    else if (exact > most)
        CHECK(got > (uint64_t)target * 119 / 16 && got <= most + 1);
    else
        CHECK(got <= exact + (uint64_t)exact * 26 / 100 + 1 && exact <= got + got * 26 / 100 + 1);
}

static void check_history(uint32_t target, unsigned percentile)
{
    uint32_t values[MOST];
    const unsigned n = in_window(values);
    const bool was = fix.condition_slots[0].key && fix.condition_slots[0].held >= 0;
    unsigned over = 0;

    for (unsigned i = 0; i < n; i++)
        over += values[i] > target;
    const enum instance_result result = judge("fast");
    CHECK_INT(result, n == 0 ? INSTANCE_NOT_MEASURED : INSTANCE_OK);
    const uint64_t allowed = (uint64_t)n * (1000 - percentile);
    const bool violated = n == 0 ? was : (uint64_t)over * 1000 > allowed - (was ? allowed / 10 : 0);
    if (n == 0)
        return;
    CHECK_INT(named("slo_violation", "fast")->sampled > 1, violated);
    CHECK_INT(fix.count, violated || was);
    if (!fix.count)
        return;
    CHECK_INT(number("results"), n);
    qsort(values, n, sizeof *values, ascending);
    check_estimate(values[(percentile * n + 999) / 1000 - 1], target);
}

static void run_history(void)
{
    static const unsigned percentiles[] = {500, 900, 950, 990, 999};
    static const uint64_t windows[] = {MINUTE, HOUR, 24 * HOUR, 14 * 24 * HOUR, 61001};
    const unsigned percentile = percentiles[chance(5)];
    const uint32_t target = 1 + chance(chance(2) ? 300 : 3600000);
    char text[512];

    history.count = 0;
    history.began = 0;
    history.window = windows[chance(5)];
    snprintf(text, sizeof text,
             OBJECTIVES("{\"name\": \"fast\", \"reach\": \"gw\", \"objective\": \"latency\", \"target\": \"%ums\", "
                        "\"percentile\": %u.%u, \"window\": \"%llums\", \"min_results\": 1}"),
             (unsigned)target, percentile / 10, percentile % 10, (unsigned long long)history.window);
    fix_init();
    fix.clock.now_ms = 2 * history.window + chance(1000000);
    fix_print_lines();
    reload(text);
    for (int i = 0; i < 60; i++) {
        add_results(target);
        if (chance(4) == 0)
            reload(text);
        check_history(target, percentile);
        after(chance(3) ? chance((uint32_t)(history.window / 20)) : chance((uint32_t)(history.window / 2)) + chance((uint32_t)(history.window / 2)));
        if (chance(20) == 0)
            after(history.window);
    }
    end();
}

TEST(any_history)
{
    for (unsigned i = 1; i <= 60 && check_failures == 0; i++) {
        seed = i * UINT64_C(0x9E3779B97F4A7C15);
        run_history();
    }
}

TEST(once_judges_what_there_is)
{
    fix_init();
    fix_print_lines();
    loop_on_signal(&fix.loop, fix_signal, &fix);
    CHECK_INT(fix_once("{\"beacons\": {\"scripts\": [{\"name\": \"job\", \"command\": \"exit 1\"}], \"slo_violation\": "
                       "[{\"name\": \"jobs\", \"script\": \"job\", \"target\": 99}]}}"),
              2);
    CHECK_INT(fix.count, 2);
    CHECK(fix_has(1, "\"type\":\"slo.violated\""));
    CHECK(fix_has(1, "\"observed_percent\":\"0.0\",\"target_percent\":\"99.0\",\"breach_percent\":\"9900.0\",\"results\":1}"));
}

TEST(refused)
{
    fix_refused(OBJECTIVES("{\"name\": \"a\", \"reach\": \"wg\", \"target\": 90}"),
                "beacons.slo_violation[0]: needs beacons.reach with an item named wg");
    fix_refused(OBJECTIVES("{\"name\": \"a\", \"script\": \"gw\", \"target\": 90}"), "needs beacons.scripts with an item named gw");
    fix_refused("{\"beacons\": {\"slo_violation\": [{\"name\": \"a\", \"reach\": \"gw\", \"target\": 90}]}}",
                "needs beacons.reach with an item named gw");
    fix_refused(OBJECTIVES("{\"name\": \"a\", \"target\": 90}"), "give exactly one of reach and script");
    fix_refused(OBJECTIVES("{\"name\": \"a\", \"reach\": \"gw\", \"script\": \"job\", \"target\": 90}"),
                "give exactly one of reach and script");
    fix_refused(OBJECTIVES("{\"name\": \"a\", \"reach\": \"gw\"}"), "[0].target: missing");
    fix_refused(OBJECTIVES("{\"name\": \"a\", \"reach\": \"gw\", \"target\": 100}"), "[0].target: \"100\" is not within 0.1..99.9");
    fix_refused(OBJECTIVES("{\"name\": \"a\", \"reach\": \"gw\", \"target\": 90, \"objective\": \"latency\"}"), "is not a duration");
    fix_refused(OBJECTIVES("{\"name\": \"a\", \"reach\": \"gw\", \"target\": \"1s\"}"), "[0].target: ");
}

TEST_MAIN(availability, error_rate_of_a_script, levels, latency, the_window_rolls, a_bucket_is_full, reloads, any_history,
          once_judges_what_there_is, refused)
