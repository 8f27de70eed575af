#include "hub_fixture.h"

#include "nefia/hub/status.h"

static struct clock_fake fake;
static struct loop loop;
static struct pollfd pollfds[2];
static struct watch *polled[2];
static struct rules rules;
static struct recent recent;
static struct recent_row rows[32];
static uint64_t settled[32];
static char bytes[2 * (CONFIG_EVENT_BYTES + EVENT_TYPE_MAX + EVENT_HOST_MAX)];
static struct jobs jobs;
static struct seen seen;
static struct journal journal;
static struct pipeline pipeline;
static struct listener listener;
static const struct status_view view = {.pipeline = &pipeline, .listener = &listener};
static struct json_token answer_tokens[CONFIG_JSON_TOKENS + 256];
static char record[CONFIG_CONTROL_LINE_BYTES + 1];
static struct json_doc doc;

static const struct control_verb *verb(const char *name)
{
    const struct control_verb *v = status_verbs;

    while (!str_eq(v->name, name))
        v++;
    return v;
}

static void setup(const char *rules_json)
{
    fixture_init(&rules);
    CHECK(fixture_load(&rules, rules_json, NULL) >= 0);
    clock_fake_init(&fake, 1000, 5000);
    loop_init(&loop, &fake.clock, pollfds, polled, 2);
    recent_init(&recent, rows, settled, ARRAY_SIZE(rows), bytes, sizeof bytes);
    pipeline_init(&pipeline, &fake.clock, &rules, &recent, &jobs, &seen, &journal, fixture_tokens);
    jobs.queue_count = 0;
    listener.loop = &loop;
}

static uint64_t happen(const char *type, enum recent_state state)
{
    struct event e = fixture_event(type, "h", "info");
    struct recent_mark m = recent_put(&recent, &e, 5000);

    return recent_add(&recent, &m, state == RECENT_NONE ? "" : "r",
                       state == RECENT_NONE ? "" : "exec", state, NULL);
}

/** The next record; it must be JSON. Return: as produce. */
static int next(const char *name, struct control_cursor *c)
{
    struct text out;

    text_init(&out, record, sizeof record);
    int n = verb(name)->produce((void *)(uintptr_t)&view, c, &out);
    if (n == 1) {
        CHECK(!out.truncated);
        CHECK_INT(json_parse(&doc, record, out.len, answer_tokens, ARRAY_SIZE(answer_tokens),
                             JSON_MAX_DEPTH, NULL),
                  0);
    }
    return n;
}

static bool has(const char *what)
{
    return strstr(record, what) != NULL;
}

#define EXEC "\"action\":{\"type\":\"exec\",\"command\":\"true\",\"target\":\"hub\"}"

TEST(status_in_order)
{
    struct control_cursor c = {0};

    setup("{\"rules\":[{\"name\":\"a\",\"event_pattern\":\"disk\"," EXEC "},"
          "{\"name\":\"longer name\",\"action\":{\"type\":\"playbook\"}}]}");
    for (int i = 0; i < STATUS_RECENT + 3; i++)
        happen("t", RECENT_NONE);
    REQUIRE(next("status", &c) == 1);
    CHECK(has("{\"rule\":{\"name\":\"a\",\"event_pattern\":\"disk\",\"host_pattern\":\"\","
              "\"severity\":\"info\",\"action\":\"exec\",\"in_this_build\":true,\"hits\":0}}"));
    REQUIRE(next("status", &c) == 1);
    CHECK(has("\"action\":\"playbook\",\"in_this_build\":false"));
    for (int i = 0; i < STATUS_RECENT; i++) {
        REQUIRE(next("status", &c) == 1);
        CHECK(has("{\"recent\":{\"seq\":"));
        CHECK(!has("\"event\""));
    }
    REQUIRE(next("status", &c) == 1);
    CHECK(has("{\"counters\":{\"uptime_ms\":0,\"events\":0"));
    CHECK_INT(next("status", &c), 0);
}

TEST(events_oldest_first)
{
    struct control_cursor c = {0};

    setup("{}");
    happen("one", RECENT_PENDING);
    happen("two", RECENT_NONE);
    REQUIRE(next("events", &c) == 1);
    CHECK(has("\"type\":\"one\"") && has("\"state\":\"pending\"") &&
          has("\"event\":{\"type\":\"one\","));
    REQUIRE(next("events", &c) == 1);
    CHECK(has("\"type\":\"two\"") && has("\"rule\":null"));
    CHECK_INT(next("events", &c), 0);
}

TEST(events_overwritten_while_being_sent)
{
    struct control_cursor c = {0};

    setup("{}");
    for (int i = 0; i < 5; i++)
        happen("t", RECENT_NONE);
    REQUIRE(next("events", &c) == 1); /* row 1 */
    for (int i = 0; i < 40; i++)
        happen("t", RECENT_NONE);
    REQUIRE(next("events", &c) == 1);
    CHECK_STR(record, "{\"missed\":12}"); /* rows 2 to 13 of 45; 32 fit */
    REQUIRE(next("events", &c) == 1);
    CHECK(has("\"seq\":14,"));
}

TEST(following_reports_outcomes_and_misses)
{
    struct control_cursor c = {0};
    char buf[64];
    struct text why;

    setup("{}");
    text_init(&why, buf, sizeof buf);
    CHECK_INT(verb("events")->begin(NULL, &c, "folow", &why), NEFIA_EINVAL);
    CHECK(why.len > 0);
    CHECK_INT(verb("events")->begin(NULL, &c, "follow", &why), 0);
    uint64_t slow = happen("slow", RECENT_PENDING);
    happen("quick", RECENT_NONE);
    REQUIRE(next("events", &c) == 1);
    CHECK(has("\"type\":\"quick\""));
    CHECK_INT(next("events", &c), NEFIA_EAGAIN);
    recent_settle(&recent, slow, RECENT_FAILED, "exit 3");
    REQUIRE(next("events", &c) == 1);
    CHECK(has("\"type\":\"slow\"") && has("\"error\":\"exit 3\""));
    for (int i = 0; i < 50; i++)
        happen("t", RECENT_NONE);
    REQUIRE(next("events", &c) == 1);
    CHECK_STR(record, "{\"missed\":18}");
    for (int i = 0; i < 32; i++)
        REQUIRE(next("events", &c) == 1);
    CHECK_INT(next("events", &c), NEFIA_EAGAIN);
}

TEST(an_oversized_event_is_sent_without_its_line)
{
    static char line[CONFIG_EVENT_BYTES + 1];
    struct control_cursor c = {0};
    struct event e;
    struct text t;

    setup("{}");
    text_init(&t, line, sizeof line);
    text_str(&t, "{\"type\":\"big\",\"source\":\"s\",\"host_id\":\"h\",\"severity\":\"info\","
                 "\"timestamp\":\"2026-03-10T15:30:00Z\",\"data\":{\"x\":\"");
    while (t.len < CONFIG_EVENT_BYTES - 3)
        text_char(&t, 'x');
    text_str(&t, "\"}}");
    CHECK_INT(t.len, CONFIG_EVENT_BYTES);
    REQUIRE(event_decode(&e, line, t.len, fixture_tokens, CONFIG_JSON_TOKENS, fixture_event_scratch,
                         NULL) == 0);
    struct recent_mark m = recent_put(&recent, &e, 5000);
    recent_add(&recent, &m, NULL, NULL, RECENT_NONE, NULL);
    REQUIRE(next("events", &c) == 1);
    CHECK(has("\"type\":\"big\"") && (has("\"event\":null") || has("\"event\":{")));
}

TEST_MAIN(status_in_order, events_oldest_first, events_overwritten_while_being_sent,
          following_reports_outcomes_and_misses,
          an_oversized_event_is_sent_without_its_line)
