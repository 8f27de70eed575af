#include "nefia/event/condition.h"

#include "check.h"

#define OFF INT64_MAX

static struct condition slots[3];
static struct condition_table table;

static struct condition *fresh(void)
{
    condition_init(&table, slots, 3);
    return condition_get(&table, "disk_usage", "/");
}

static void step(struct condition *c, enum level measured, unsigned for_checks,
                 enum condition_action action, enum level previous, enum level level)
{
    struct condition_verdict v = condition_check(c, measured, for_checks);

    CHECK_INT(v.action, action);
    CHECK_INT(v.previous, previous);
    CHECK_INT(v.level, level);
    CHECK_INT(c->held, level);
}

TEST(fires_repeats_and_recovers)
{
    struct condition *c = fresh();

    step(c, LEVEL_OK, 1, CONDITION_QUIET, LEVEL_OK, LEVEL_OK);
    step(c, LEVEL_WARNING, 1, CONDITION_FIRE, LEVEL_OK, LEVEL_WARNING);
    step(c, LEVEL_WARNING, 1, CONDITION_REPEAT, LEVEL_WARNING, LEVEL_WARNING);
    step(c, LEVEL_CRITICAL, 1, CONDITION_FIRE, LEVEL_WARNING, LEVEL_CRITICAL);
    step(c, LEVEL_WARNING, 1, CONDITION_FIRE, LEVEL_CRITICAL, LEVEL_WARNING);
    step(c, LEVEL_OK, 1, CONDITION_RECOVERED, LEVEL_WARNING, LEVEL_OK);
    step(c, LEVEL_OK, 1, CONDITION_QUIET, LEVEL_OK, LEVEL_OK);
    step(c, LEVEL_CRITICAL, 1, CONDITION_FIRE, LEVEL_OK, LEVEL_CRITICAL);
    step(c, LEVEL_OK, 1, CONDITION_RECOVERED, LEVEL_CRITICAL, LEVEL_OK);
}

TEST(waits_for_consecutive_checks)
{
    struct condition *c = fresh();

    step(c, LEVEL_WARNING, 3, CONDITION_QUIET, LEVEL_OK, LEVEL_OK);
    step(c, LEVEL_WARNING, 3, CONDITION_QUIET, LEVEL_OK, LEVEL_OK);
    step(c, LEVEL_OK, 3, CONDITION_QUIET, LEVEL_OK, LEVEL_OK);
    step(c, LEVEL_WARNING, 3, CONDITION_QUIET, LEVEL_OK, LEVEL_OK);
    /* A critical check is a check at warning or above, too. */
    step(c, LEVEL_CRITICAL, 3, CONDITION_QUIET, LEVEL_OK, LEVEL_OK);
    step(c, LEVEL_CRITICAL, 3, CONDITION_FIRE, LEVEL_OK, LEVEL_WARNING);
    step(c, LEVEL_CRITICAL, 3, CONDITION_FIRE, LEVEL_WARNING, LEVEL_CRITICAL);
    step(c, LEVEL_WARNING, 3, CONDITION_FIRE, LEVEL_CRITICAL, LEVEL_WARNING);
    step(c, LEVEL_CRITICAL, 3, CONDITION_REPEAT, LEVEL_WARNING, LEVEL_WARNING);
    step(c, LEVEL_OK, 3, CONDITION_RECOVERED, LEVEL_WARNING, LEVEL_OK);
}

TEST(counts_saturate)
{
    struct condition *c = fresh();

    for (int i = 1; i < 255; i++)
        step(c, LEVEL_INFO, 255, CONDITION_QUIET, LEVEL_OK, LEVEL_OK);
    step(c, LEVEL_INFO, 255, CONDITION_FIRE, LEVEL_OK, LEVEL_INFO);
    for (int i = 0; i < 300; i++)
        step(c, LEVEL_INFO, 1000, CONDITION_REPEAT, LEVEL_INFO, LEVEL_INFO);
}

TEST(level_has_hysteresis)
{
    struct condition *c = fresh();

    CHECK_INT(condition_level(c, 799, 800, 900, 20), LEVEL_OK);
    CHECK_INT(condition_level(c, 800, 800, 900, 20), LEVEL_WARNING);
    CHECK_INT(condition_level(c, 900, 800, 900, 20), LEVEL_CRITICAL);
    CHECK_INT(condition_level(NULL, 790, 800, 900, 20), LEVEL_OK);
    c->held = LEVEL_WARNING;
    CHECK_INT(condition_level(c, 780, 800, 900, 20), LEVEL_WARNING);
    CHECK_INT(condition_level(c, 779, 800, 900, 20), LEVEL_OK);
    CHECK_INT(condition_level(c, 899, 800, 900, 20), LEVEL_WARNING);
    c->held = LEVEL_CRITICAL;
    CHECK_INT(condition_level(c, 880, 800, 900, 20), LEVEL_CRITICAL);
    CHECK_INT(condition_level(c, 879, 800, 900, 20), LEVEL_WARNING);
    CHECK_INT(condition_level(c, 779, 800, 900, 20), LEVEL_OK);
}

TEST(level_at_its_edges)
{
    struct condition *c = fresh();

    CHECK_INT(condition_level(c, INT64_MAX, OFF, OFF, 0), LEVEL_OK);
    CHECK_INT(condition_level(c, 950, OFF, 900, 0), LEVEL_CRITICAL);
    CHECK_INT(condition_level(c, 950, 800, OFF, 0), LEVEL_WARNING);
    CHECK_INT(condition_level(c, INT64_MIN, INT64_MIN, OFF, 5), LEVEL_WARNING);
    c->held = LEVEL_WARNING;
    CHECK_INT(condition_level(c, INT64_MIN, INT64_MIN + 3, OFF, 5), LEVEL_WARNING);
}

TEST(level_below_mirrors_it)
{
    struct condition *c = fresh();

    CHECK_INT(condition_level_below(c, 21, 20, 10, 5), LEVEL_OK);
    CHECK_INT(condition_level_below(c, 20, 20, 10, 5), LEVEL_WARNING);
    CHECK_INT(condition_level_below(c, 11, 20, 10, 5), LEVEL_WARNING);
    CHECK_INT(condition_level_below(c, 10, 20, 10, 5), LEVEL_CRITICAL);
    CHECK_INT(condition_level_below(NULL, 25, 20, 10, 5), LEVEL_OK);
    c->held = LEVEL_WARNING;
    CHECK_INT(condition_level_below(c, 25, 20, 10, 5), LEVEL_WARNING);
    CHECK_INT(condition_level_below(c, 26, 20, 10, 5), LEVEL_OK);
    CHECK_INT(condition_level_below(c, 11, 20, 10, 5), LEVEL_WARNING);
    c->held = LEVEL_CRITICAL;
    CHECK_INT(condition_level_below(c, 15, 20, 10, 5), LEVEL_CRITICAL);
    CHECK_INT(condition_level_below(c, 16, 20, 10, 5), LEVEL_WARNING);
    CHECK_INT(condition_level_below(c, 26, 20, 10, 5), LEVEL_OK);
}

TEST(level_below_at_its_edges)
{
    struct condition *c = fresh();

    CHECK_INT(condition_level_below(c, INT64_MIN, INT64_MIN, INT64_MIN, 0), LEVEL_OK);
    CHECK_INT(condition_level_below(c, 5, INT64_MIN, 10, 0), LEVEL_CRITICAL);
    CHECK_INT(condition_level_below(c, 5, 20, INT64_MIN, 0), LEVEL_WARNING);
    CHECK_INT(condition_level_below(c, INT64_MAX, INT64_MAX, INT64_MIN, 5), LEVEL_WARNING);
    CHECK_INT(condition_level_below(c, -30, -20, -40, 5), LEVEL_WARNING);
    c->held = LEVEL_WARNING;
    CHECK_INT(condition_level_below(c, INT64_MAX, INT64_MAX - 3, INT64_MIN, 5), LEVEL_WARNING);
}

TEST(conditions_are_distinguished)
{
    struct condition *c = fresh(), *d, *e;

    c->held = LEVEL_WARNING;
    d = condition_get(&table, "disk_usage", "/home");
    e = condition_get(&table, "disk_usage/", NULL);
    REQUIRE(c && d && e && c != d && d != e && c != e);
    CHECK_INT(d->held, LEVEL_OK);
    CHECK(condition_get(&table, "disk_usage", "/") == c);
    CHECK(condition_get(&table, "disk_usage/", "") == e);
    CHECK(condition_get(&table, "service", "x") == NULL);
}

TEST(reload_removes_unused_conditions)
{
    struct condition *c = fresh();

    c->held = LEVEL_CRITICAL;
    condition_get(&table, "disk_usage", "/home");
    condition_mark(&table);
    CHECK(condition_get(&table, "disk_usage", "/") == c);
    condition_sweep(&table);
    CHECK_INT(c->held, LEVEL_CRITICAL);
    CHECK_INT(slots[1].key, 0);
    CHECK(condition_get(&table, "script", "a") == &slots[1]);
    CHECK_INT(slots[1].held, LEVEL_OK);
}

TEST(long_names_differ_by_their_hash)
{
    char a[200], b[200];

    condition_init(&table, slots, 3);
    memset(a, 'a', sizeof a);
    a[199] = '\0';
    memcpy(b, a, sizeof b);
    b[150] = 'b';
    CHECK(condition_get(&table, "s", a) != condition_get(&table, "s", b));
    CHECK(condition_get(&table, a, "s") != condition_get(&table, b, "s"));
}

TEST_MAIN(fires_repeats_and_recovers, waits_for_consecutive_checks, counts_saturate,
          level_has_hysteresis, level_at_its_edges, level_below_mirrors_it,
          level_below_at_its_edges, conditions_are_distinguished,
          reload_removes_unused_conditions, long_names_differ_by_their_hash)
