#include "nefia/hub/restraint.h"

#include <string.h>

#include "check.h"
#include "nefia/base/err.h"
#include "nefia/hub/recent.h"

/* The edges of what restraint decides; random histories are test_restraint_model.c's. */

enum { MARKS = 8, RULE = 3, MINUTE = 60000 };

static struct restraint_mark marks[MARKS];
static struct restraint restraint;
static struct restraint_settings settings;
static struct restraint_case now_case;
static unsigned changes;
static char why[RECENT_ERROR_MAX + 1];
static uint64_t job;

static void changed(void *arg, unsigned slot)
{
    (void)arg;
    CHECK(slot < MARKS);
    changes++;
}

static const struct restraint_settings *settings_of(void *arg, uint16_t rule)
{
    (void)arg;
    return rule == RULE ? &settings : NULL;
}

static void begin(struct restraint_settings s)
{
    memset(marks, 0, sizeof marks);
    restraint_init(&restraint, marks, MARKS);
    restraint.changed = changed;
    restraint.settings = settings_of;
    settings = s;
    now_case = (struct restraint_case){.settings = &settings, .rule = RULE, .host = 1, .once = 1};
    changes = 0;
    job = 100;
}

/** An event comes. Return: why its action does not begin; "": it did. */
static const char *event_at(uint64_t ran_ms)
{
    const struct restraint_verdict v = restraint_judge(&restraint, &now_case, ran_ms);
    struct text t;

    restraint_count(&restraint, &now_case, ran_ms);
    if (v.reason == RESTRAINT_NONE)
        restraint_acted(&restraint, &now_case, ++job, ran_ms);
    text_init(&t, why, sizeof why);
    restraint_text(&t, &v);
    CHECK(!t.truncated);
    CHECK((v.reason == RESTRAINT_NONE) == (t.len == 0));
    return why;
}

static enum restraint_turn end(enum restraint_result result, uint64_t ran_ms)
{
    uint32_t failures;

    return restraint_ended(&restraint, RULE, &settings, job, result, ran_ms, &failures);
}

TEST(cooldown_ends_to_the_millisecond)
{
    begin((struct restraint_settings){.cooldown_ms = 5 * MINUTE});
    CHECK_STR(event_at(1000), "");
    CHECK_STR(event_at(1000), "cooldown 5m, 5m left");
    CHECK_STR(event_at(109000), "cooldown 5m, 3m12s left");
    CHECK_STR(event_at(1000 + 5 * MINUTE - 1), "cooldown 5m, 1ms left");
    CHECK_STR(event_at(1000 + 5 * MINUTE), "");
    CHECK_STR(event_at(1001 + 5 * MINUTE), "cooldown 5m, 4m59s left");
    CHECK_INT(restraint_used(&restraint), 1);
}

TEST(an_hour_slides)
{
    begin((struct restraint_settings){.per_hour = 2});
    CHECK_STR(event_at(0), "");
    CHECK_STR(event_at(20 * MINUTE), "");
    CHECK_STR(event_at(40 * MINUTE), "max_per_hour: 2 of 2, 20m left");
    CHECK_STR(event_at(60 * MINUTE - 1), "max_per_hour: 2 of 2, 1ms left");
    CHECK_STR(event_at(60 * MINUTE), "");
    CHECK_STR(event_at(60 * MINUTE), "max_per_hour: 2 of 2, 20m left");
    CHECK_STR(event_at(80 * MINUTE), "");
    CHECK_INT(restraint_used(&restraint), 2); /* places are used again */
}

TEST(once_for_each_key)
{
    begin((struct restraint_settings){.once_ms = MINUTE});
    CHECK_STR(event_at(0), "");
    CHECK_STR(event_at(59999), "once_within 1m, 1ms left");
    now_case.once = 2;
    CHECK_STR(event_at(59999), "");
    now_case.once = 1;
    CHECK_STR(event_at(60000), "");
    now_case.once = 2;
    CHECK_STR(event_at(60000), "once_within 1m, 59s left");
}

TEST(after_counts_each_host_and_begins_anew)
{
    begin((struct restraint_settings){.count = 3, .within_ms = 10 * MINUTE});
    CHECK_STR(event_at(0), "after: 1 of 3 within 10m");
    CHECK_STR(event_at(1), "after: 2 of 3 within 10m");
    now_case.host = 2;
    CHECK_STR(event_at(2), "after: 1 of 3 within 10m");
    now_case.host = 1;
    CHECK_STR(event_at(10 * MINUTE), "after: 2 of 3 within 10m"); /* the first is over */
    CHECK_STR(event_at(10 * MINUTE), "");
    CHECK_STR(event_at(10 * MINUTE), "after: 1 of 3 within 10m");
    now_case.host = 2;
    CHECK_STR(event_at(10 * MINUTE + 1), "after: 2 of 3 within 10m"); /* not touched by the other's */
    CHECK_STR(event_at(10 * MINUTE + 1), "");
}

/** What another key holds back was counted, and no more than `count` are remembered. */
TEST(after_stays_reached)
{
    begin((struct restraint_settings){.count = 2, .within_ms = MINUTE, .cooldown_ms = 10 * MINUTE});
    event_at(0);
    CHECK_STR(event_at(0), "");
    for (uint64_t t = 1; t < 50; t++)
        CHECK(strncmp(event_at(t * 100), t == 1 ? "after: 1 of 2 within 1m" : "cooldown 10m, ", 14) == 0);
    CHECK_INT(restraint_used(&restraint), 3);
    CHECK_STR(event_at(10 * MINUTE), "after: 1 of 2 within 1m");
    CHECK_STR(event_at(10 * MINUTE), "");
}

TEST(a_breaker_opens_tries_and_closes)
{
    begin((struct restraint_settings){.failures = 2, .pause_ms = MINUTE});
    CHECK_STR(event_at(0), "");
    CHECK_INT(end(RESTRAINT_FAILED, 10), RESTRAINT_SAME);
    CHECK_STR(event_at(10), "");
    CHECK_INT(end(RESTRAINT_DONE, 20), RESTRAINT_SAME); /* in a row */
    CHECK_STR(event_at(20), "");
    CHECK_INT(end(RESTRAINT_FAILED, 30), RESTRAINT_SAME);
    CHECK_STR(event_at(30), "");
    CHECK_INT(end(RESTRAINT_UNKNOWN, 35), RESTRAINT_SAME);
    CHECK_INT(restraint_breaker(&restraint, RULE), BREAKER_CLOSED);
    CHECK_STR(event_at(36), "");
    CHECK_INT(end(RESTRAINT_FAILED, 40), RESTRAINT_OPENED);
    CHECK_INT(restraint_breaker(&restraint, RULE), BREAKER_OPEN);
    CHECK_STR(event_at(40), "breaker open, 2 failures, 1m left");
    CHECK_STR(event_at(40 + MINUTE - 1), "breaker open, 2 failures, 1ms left");
    CHECK_STR(event_at(40 + MINUTE), "");
    CHECK_STR(event_at(40 + 5 * MINUTE), "breaker open, 2 failures, one action is tried");
    CHECK_INT(restraint_breaker(&restraint, RULE), BREAKER_TRYING);
    CHECK_INT(end(RESTRAINT_FAILED, 6 * MINUTE), RESTRAINT_SAME);
    CHECK_STR(event_at(6 * MINUTE + 1000), "breaker open, 3 failures, 59s left");
    CHECK_STR(event_at(7 * MINUTE), "");
    job--; /* another action, which began before it opened */
    CHECK_INT(end(RESTRAINT_DONE, 7 * MINUTE), RESTRAINT_SAME);
    CHECK_INT(end(RESTRAINT_FAILED, 7 * MINUTE), RESTRAINT_SAME);
    job++;
    CHECK_INT(end(RESTRAINT_UNKNOWN, 7 * MINUTE), RESTRAINT_SAME);
    CHECK_STR(event_at(7 * MINUTE), ""); /* the next one is tried, without another pause */
    CHECK_INT(end(RESTRAINT_DONE, 8 * MINUTE), RESTRAINT_CLOSED);
    CHECK_STR(event_at(8 * MINUTE), "");
    CHECK_STR(event_at(8 * MINUTE), "");
    CHECK_INT(end(RESTRAINT_FAILED, 8 * MINUTE), RESTRAINT_SAME);
}

TEST(what_no_room_is_left_for_does_not_begin)
{
    begin((struct restraint_settings){.cooldown_ms = 10, .once_ms = MINUTE});
    for (uint64_t t = 0; t < MARKS - 1; t++) {
        now_case.once = t;
        CHECK_STR(event_at(10 * t), "");
    }
    now_case.once = 100;
    CHECK_STR(event_at(1000), "no memory (CONFIG_RESTRAINT_MARKS=" LITERAL(CONFIG_RESTRAINT_MARKS) ")");
    now_case.once = 0;
    CHECK_STR(event_at(1000), "once_within 1m, 59s left");
    now_case.once = 100;
    CHECK_STR(event_at(MINUTE), ""); /* the first is over */
    CHECK_STR(event_at(MINUTE + 10), "once_within 1m, 59s left");
    now_case.once = 101;
    CHECK_STR(event_at(MINUTE + 10), "");
    now_case.once = 102;
    CHECK_STR(event_at(MINUTE + 19), "cooldown 10ms, 1ms left");
}

/** Each counts with what it needs, no more. */
TEST(room_for_counting_and_for_acting)
{
    begin((struct restraint_settings){.count = MARKS, .within_ms = MINUTE, .cooldown_ms = 1, .per_hour = 5});
    for (int i = 1; i < MARKS; i++)
        CHECK(*event_at(0) != '\0');
    CHECK_STR(event_at(0), ""); /* what was counted makes room for what it did */
    CHECK_INT(restraint_used(&restraint), 2);
    for (int i = 1; i < MARKS; i++)
        CHECK(strncmp(event_at(5), "after: ", 7) == 0);
    CHECK(strncmp(event_at(5), "no memory", 9) == 0);
}

static uint16_t same(void *arg, uint16_t rule)
{
    (void)arg;
    return rule;
}

static uint16_t gone(void *arg, uint16_t rule)
{
    (void)arg, (void)rule;
    return RESTRAINT_NO_RULE;
}

TEST(a_reload)
{
    begin((struct restraint_settings){.cooldown_ms = 10, .per_hour = 4});
    for (uint64_t i = 0; i < 4; i++)
        CHECK_STR(event_at(10 * i), "");
    settings = (struct restraint_settings){.cooldown_ms = MINUTE, .per_hour = 2, .once_ms = MINUTE};
    restraint_rebind(&restraint, same, NULL, 39);
    CHECK_STR(event_at(40), "cooldown 1m, 59s left"); /* the last one, under its new name */
    CHECK_STR(event_at(30 + MINUTE), "max_per_hour: 2 of 2, 58m59s left");
    CHECK_STR(event_at(20 + 60 * MINUTE), "");
    settings.cooldown_ms = 10;
    restraint_rebind(&restraint, same, NULL, 20 + 61 * MINUTE);
    CHECK_STR(event_at(20 + 61 * MINUTE), "");
    settings.cooldown_ms = 60 * MINUTE;
    restraint_rebind(&restraint, same, NULL, 30 + 61 * MINUTE); /* it was over */
    settings.per_hour = 100;
    CHECK_STR(event_at(30 + 61 * MINUTE), "once_within 1m, 59s left");
    settings.once_ms = 0;
    restraint_rebind(&restraint, same, NULL, 30 + 61 * MINUTE);
    CHECK_STR(event_at(30 + 61 * MINUTE), "");
    restraint_rebind(&restraint, gone, NULL, 30 + 61 * MINUTE);
    CHECK_INT(restraint_used(&restraint), 0);
    CHECK_STR(event_at(30 + 61 * MINUTE), "");
}

/** A journal that somebody has written in. */
TEST(stored_marks)
{
    const struct restraint_mark m = {.key = 1, .at_ms = UINT64_MAX, .window_ms = 7, .rule = RULE, .kind = MARK_BREAKER, .state = BREAKER_TRYING};
    uint8_t bytes[RESTRAINT_MARK_MAX];
    struct restraint_mark got;
    struct slice rule;
    const size_t len = restraint_store(&m, "name", bytes);

    CHECK_INT(len, RESTRAINT_MARK_HEAD + 4);
    CHECK_INT(restraint_load(&got, bytes, len, &rule), 0);
    CHECK(slice_eq(rule, "name"));
    got.rule = RULE;
    CHECK(memcmp(&got, &m, sizeof m) == 0);
    for (size_t i = 0; i <= RESTRAINT_MARK_HEAD; i++)
        CHECK_INT(restraint_load(&got, bytes, i, &rule), NEFIA_EINVAL);
    bytes[0] = MARK_BREAKER + 1;
    CHECK_INT(restraint_load(&got, bytes, len, &rule), NEFIA_EINVAL);
    bytes[0] = MARK_FREE;
    CHECK_INT(restraint_load(&got, bytes, len, &rule), NEFIA_EINVAL);
    bytes[0] = MARK_ONCE;
    bytes[1] = BREAKER_TRYING + 1;
    CHECK_INT(restraint_load(&got, bytes, len, &rule), NEFIA_EINVAL);
    begin(settings);
    restraint_restore(&restraint, MARKS, &m);
    restraint_restore(&restraint, MARKS + 60000, &m);
    CHECK_INT(restraint_used(&restraint), 0);
    restraint_restore(&restraint, MARKS - 1, &m);
    CHECK_INT(restraint_used(&restraint), 1);
}

/* ---- Keys of data ---- */

static struct json_token tokens[CONFIG_JSON_TOKENS];
static char scratch[EVENT_SCRATCH];

static uint64_t key_of(const struct restraint_settings *s, const char *host, const char *data)
{
    char line[512];
    struct event e;
    struct text t;

    text_init(&t, line, sizeof line);
    text_str(&t, "{\"type\":\"t\",\"source\":\"s\",\"host_id\":\"");
    text_str(&t, host);
    text_str(&t, "\",\"timestamp\":\"2026-03-10T15:30:00Z\",\"severity\":\"info\",\"data\":");
    text_str(&t, data);
    text_str(&t, "}");
    CHECK_INT(event_decode(&e, line, t.len, tokens, CONFIG_JSON_TOKENS, scratch, NULL), 0);
    return restraint_once(s, &e);
}

TEST(what_once_per_names_is_compared)
{
    const struct restraint_settings host = {.key_count = 1, .keys = {"host"}};
    const struct restraint_settings path = {.key_count = 1, .keys = {"data.path"}};
    const struct restraint_settings two = {.key_count = 2, .keys = {"data.a", "data.b"}};
    const struct restraint_settings both = {.key_count = 2, .keys = {"host", "data.path"}};

    CHECK(key_of(&host, "a", "{}") == key_of(&host, "a", "{\"path\":\"/\"}"));
    CHECK(key_of(&host, "a", "{}") != key_of(&host, "b", "{}"));
    CHECK(key_of(&path, "a", "{\"path\":\"/\"}") == key_of(&path, "b", "{\"x\":1,\"path\":\"/\"}"));
    CHECK(key_of(&path, "a", "{\"path\":\"/\"}") != key_of(&path, "a", "{\"path\":\"/h\"}"));
    CHECK(key_of(&path, "a", "{\"path\":\"1\"}") != key_of(&path, "a", "{\"path\":1}"));
    CHECK(key_of(&path, "a", "{\"path\":\"\"}") != key_of(&path, "a", "{}"));
    CHECK(key_of(&path, "a", "{\"path\":null}") != key_of(&path, "a", "{}"));
    CHECK(key_of(&two, "a", "{\"a\":\"xy\",\"b\":\"\"}") != key_of(&two, "a", "{\"a\":\"x\",\"b\":\"y\"}"));
    CHECK(key_of(&two, "a", "{\"a\":\"x\"}") != key_of(&two, "a", "{\"b\":\"x\"}"));
    CHECK(key_of(&two, "a", "{\"a\":\"x\",\"b\":\"y\"}") == key_of(&two, "a", "{\"b\":\"y\",\"a\":\"x\"}"));
    CHECK(key_of(&both, "a", "{\"path\":\"/\"}") != key_of(&both, "b", "{\"path\":\"/\"}"));
}

TEST(the_longest_reason_fits)
{
    const struct restraint_verdict longest[] = {
        {RESTRAINT_AFTER, RESTRAINT_MOST_COUNT, RESTRAINT_MOST_COUNT, RESTRAINT_MOST_MS - 1, 0},
        {RESTRAINT_OPEN, UINT32_MAX, 0, RESTRAINT_MOST_MS - 1, RESTRAINT_MOST_MS - 1},
        {RESTRAINT_TRYING, UINT32_MAX, 0, RESTRAINT_MOST_MS - 1, 0},
        {RESTRAINT_COOLDOWN, 0, 0, RESTRAINT_MOST_MS - 1, RESTRAINT_MOST_MS - 1},
        {RESTRAINT_HOURLY, RESTRAINT_MOST_HOURLY, RESTRAINT_MOST_HOURLY, RESTRAINT_HOUR_MS, RESTRAINT_HOUR_MS - 1},
        {RESTRAINT_ONCE, 0, 0, RESTRAINT_MOST_MS - 1, RESTRAINT_MOST_MS - 1},
        {RESTRAINT_MEMORY, 0, 0, 0, 0},
    };
    struct text t;

    for (unsigned i = 0; i < ARRAY_SIZE(longest); i++) {
        text_init(&t, why, sizeof why);
        restraint_text(&t, &longest[i]);
        CHECK(t.len > 0 && !t.truncated);
    }
}

TEST_MAIN(cooldown_ends_to_the_millisecond, an_hour_slides, once_for_each_key, after_counts_each_host_and_begins_anew,
          after_stays_reached, a_breaker_opens_tries_and_closes, what_no_room_is_left_for_does_not_begin,
          room_for_counting_and_for_acting, a_reload, stored_marks, what_once_per_names_is_compared, the_longest_reason_fits)
