#include "fake_loop.h"
#include "hub_fixture.h"

#include "nefia/hub/status.h"

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
static struct ingress ingress;
static struct hub_settings settings;
static struct host host_slots[2];
static uint32_t host_chains[2];
static struct session session;
static const struct status_view view = {
    .pipeline = &pipeline, .ingress = &ingress, .listener = &listener};
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

static void each_session(void *arg, void (*fn)(void *fn_arg, struct session *s), void *fn_arg)
{
    (void)arg;
    fn(fn_arg, &session);
}

static bool may_name(void *arg, const struct addr *peer)
{
    (void)arg;
    (void)peer;
    return true;
}

static void setup(const char *rules_json)
{
    fixture_init(&rules);
    CHECK(fixture_load(&rules, rules_json, NULL) >= 0);
    fake_loop_init(1000, 5000, 2);
    recent_init(&recent, rows, settled, ARRAY_SIZE(rows), bytes, sizeof bytes);
    pipeline_init(&pipeline, &fake.clock, &rules, &recent, &jobs, &seen, &journal, fixture_tokens);
    pipeline.devices = &settings;
    seen_init(&seen, host_slots, host_chains, ARRAY_SIZE(host_slots));
    const struct journal_hooks journal_hooks = pipeline_journal_hooks(&pipeline);
    static uint8_t journal_buf[JOURNAL_BYTES_MIN];
    journal_init(&journal, journal_buf, sizeof journal_buf, &seen, &journal_hooks);
    memset(&jobs, 0, sizeof jobs);
    jobs.loop = &loop;
    memset(&session, 0, sizeof session);
    ingress_init(&ingress, &fake.clock, &pipeline);
    ingress.settings = &settings;
    ingress.each = each_session;
    ingress.may_name = may_name;
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
          "{\"name\":\"longer name\"," EXEC "}]}");
    rules.sets[rules.active].rules[1].action.class = NULL; /* as of one that this build does not have */
    for (int i = 0; i < STATUS_RECENT + 3; i++)
        happen("t", RECENT_NONE);
    REQUIRE(next("status", &c) == 1);
    CHECK(has("{\"rule\":{\"name\":\"a\",\"event_pattern\":\"disk\",\"host_pattern\":\"\","
              "\"severity\":\"info\",\"action\":\"exec\",\"in_this_build\":true,\"hits\":0}}"));
    REQUIRE(next("status", &c) == 1);
    CHECK(has("\"action\":\"exec\",\"in_this_build\":false"));
    for (int i = 0; i < STATUS_RECENT; i++) {
        REQUIRE(next("status", &c) == 1);
        CHECK(has("{\"recent\":{\"seq\":"));
        CHECK(!has("\"event\""));
    }
    REQUIRE(next("status", &c) == 1);
    CHECK(has("{\"counters\":{\"uptime_ms\":0,\"events\":0"));
    CHECK_INT(next("status", &c), 0);
}

static int counters(void)
{
    struct control_cursor c = {0};
    int n;

    while ((n = next("status", &c)) == 1 && !has("{\"counters\":"))
        ;
    return n;
}

TEST(counters_of_the_link)
{
    setup("{}");
    pipeline.unknown = 3;
    pipeline.conflicts = 4;
    pipeline.duplicates = 5;
    seen_get(&seen, (const uint8_t[SESSION_HOST]){1});
    for (int i = 0; i < REJECT_COUNT; i++)
        ingress.rejected[i] = 100 + (uint64_t)i;
    REQUIRE(counters() == 1);
    CHECK(has("\"unknown\":3,"));
    CHECK(has("\"host_conflicts\":4,"));
    CHECK(has("\"duplicates\":5,"));
    CHECK(has("\"hosts\":{\"known\":1,\"forgotten\":0}"));
    for (int i = 0; i < REJECT_COUNT; i++) { /* each reason, by name */
        char want[64];
        struct text t;
        text_init(&t, want, sizeof want);
        text_char(&t, '"');
        text_str(&t, reject_name((enum reject)i));
        text_str(&t, "\":");
        text_u64(&t, 100 + (uint64_t)i);
        CHECK(has(want));
    }
}

/** The record has room for all of them at their largest. */
TEST(the_largest_counters_fit)
{
    setup("{}");
    pipeline.events = pipeline.bytes = pipeline.matched = pipeline.unsupported = UINT64_MAX;
    pipeline.duplicates = pipeline.unknown = pipeline.conflicts = UINT64_MAX;
    pipeline.unfinished = pipeline.held = UINT64_MAX;
    memset(ingress.rejected, 0xFF, sizeof ingress.rejected);
    memset(&journal.stats, 0xFF, sizeof journal.stats);
    listener.accepted = UINT64_MAX;
    static const struct action_class *const *class;
    class = action_classes();
    for (unsigned i = 0; class[i]; i++) {
        struct job_queue *q = &jobs.queues[jobs.queue_count++];
        memset(q, 0xFF, sizeof *q);
        q->class = class[i];
    }
    CHECK_INT(counters(), 1);
    listener.accepted = 0;
    jobs.queue_count = 0;
}

static int forget(const char *host, struct control_cursor *c, char *why_buf)
{
    struct text why;

    text_init(&why, why_buf, 128);
    *c = (struct control_cursor){0};
    return verb("forget")->begin((void *)(uintptr_t)&view, c, host, &why);
}

TEST(a_host_is_forgotten)
{
    static const uint8_t name[LINK_NAME] = {1};
    struct control_cursor c;
    char why[128];
    uint8_t id[SESSION_HOST];

    setup("{}");
    host_id_of(id, (struct slice){"web-01", 6});
    seen_hello(&seen, seen_get(&seen, id), 7, name, false);
    memcpy(session.host, id, sizeof id);
    session.link.state = LINK_OPEN;
    CHECK_INT(forget("", &c, why), NEFIA_EINVAL);
    CHECK_STR(why, "forget takes a host_id");
    CHECK_INT(forget("web-02", &c, why), NEFIA_ENOTFOUND);
    CHECK_STR(why, "no host of that name is remembered");
    CHECK_INT(session.due, SESSION_IDLE);
    CHECK(seen_find(&seen, id) != NULL);
    CHECK_INT(forget("web-01", &c, why), 0);
    CHECK(!seen_find(&seen, id));
    CHECK_INT(session.due, SESSION_ERROR);
    REQUIRE(next("forget", &c) == 1);
    CHECK(has("\"forgotten: "));
    CHECK_INT(next("forget", &c), 0);
    CHECK_INT(forget("web-01", &c, why), NEFIA_ENOTFOUND);
}

/** Into the settings: web-01 with a role and labels, web-02 with nothing. */
static void know_devices(void)
{
    settings.hosts[0] = (struct host_item){.host_id = "web-01", .role = "edge", .label_count = 2};
    settings.hosts[1] = (struct host_item){.host_id = "web-02", .first_label = 2};
    settings.host_count = 2;
    settings.labels[0] = (struct host_label){"site", "north"};
    settings.labels[1] = (struct host_label){"tier", "1"};
}

static void forget_devices(void)
{
    memset(&settings, 0, sizeof settings);
}

#define COMMANDS(value) KCONFIG_CHOOSE(CONFIG_HUB_COMMANDS, COMMANDS_SHOWN, COMMANDS_NONE)(value)
#define COMMANDS_SHOWN(value) ",\"commands\":" value
#define COMMANDS_NONE(value) ""

TEST(hosts_with_what_is_known_of_them)
{
    static const uint8_t name[LINK_NAME] = {1};
    struct control_cursor c = {0};
    uint8_t id[SESSION_HOST];

    if (!IS_ENABLED(CONFIG_HUB_DEVICES))
        return;
    setup("{}");
    know_devices();
    REQUIRE(next("hosts", &c) == 1);
    CHECK_STR(record, "{\"host\":{\"host\":\"web-01\",\"role\":\"edge\",\"labels\":{\"site\":\"north\",\"tier\":\"1\"},"
                      "\"delivery\":null,\"connected\":false,\"address\":null,\"last_seen\":null,\"silent_ms\":null" COMMANDS("null") "}}");
    REQUIRE(next("hosts", &c) == 1);
    CHECK(has("\"host\":\"web-02\",\"role\":null,\"labels\":{},"));
    REQUIRE(next("hosts", &c) == 1);
    CHECK_STR(record, "{\"others\":{\"known\":0,\"connected\":0}}");
    CHECK_INT(next("hosts", &c), 0);

    /* web-02 is connected, and web-01 was remembered before the start; a third host is, too. */
    host_id_of(id, (struct slice){"web-01", 6});
    seen_hello(&seen, seen_get(&seen, id), 7, name, false);
    host_id_of(session.host, (struct slice){"web-02", 6});
    seen_get(&seen, (const uint8_t[SESSION_HOST]){1});
    session.link.state = LINK_OPEN;
    session.peer = (struct addr){.family = AF_INET, .ip = {192, 0, 2, 7}, .port = 4711};
    settings.hosts[1].seen_ms = 1000;
    settings.hosts[1].seen_kind = WINDOW_PLAIN;
    fake.now_ms += 2500;
    c = (struct control_cursor){0};
    REQUIRE(next("hosts", &c) == 1);
    CHECK(has("\"delivery\":\"link\",\"connected\":false,"));
    REQUIRE(next("hosts", &c) == 1);
    CHECK(has("\"delivery\":\"plain\",\"connected\":true,\"address\":\"192.0.2.7:4711\","
              "\"last_seen\":\"1970-01-01T01:23:17Z\",\"silent_ms\":2500" COMMANDS("false") "}"));
    REQUIRE(next("hosts", &c) == 1);
    CHECK_STR(record, "{\"others\":{\"known\":1,\"connected\":0}}");
    session.host[0]++;
    c = (struct control_cursor){0};
    while (next("hosts", &c) == 1 && !has("others"))
        ;
    CHECK_STR(record, "{\"others\":{\"known\":1,\"connected\":1}}");
    forget_devices();
}

TEST(status_has_the_hosts_too)
{
    struct control_cursor c = {0};

    if (!IS_ENABLED(CONFIG_HUB_DEVICES))
        return;
    setup("{\"rules\":[{\"name\":\"a\"," EXEC "},{\"name\":\"b\"," EXEC "},{\"name\":\"c\"," EXEC "}]}");
    know_devices();
    happen("t", RECENT_NONE);
    for (int i = 0; i < 3; i++) {
        REQUIRE(next("status", &c) == 1);
        CHECK(has("{\"rule\":"));
    }
    REQUIRE(next("status", &c) == 1);
    CHECK(has("{\"host\":{\"host\":\"web-01\""));
    REQUIRE(next("status", &c) == 1);
    CHECK(has("{\"host\":{\"host\":\"web-02\""));
    REQUIRE(next("status", &c) == 1);
    CHECK(has("{\"recent\":"));
    REQUIRE(next("status", &c) == 1);
    CHECK(has("{\"counters\":"));
    CHECK_INT(next("status", &c), 0);
    forget_devices();
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

TEST_MAIN(status_in_order, counters_of_the_link, the_largest_counters_fit, a_host_is_forgotten,
          hosts_with_what_is_known_of_them, status_has_the_hosts_too,
          events_oldest_first, events_overwritten_while_being_sent,
          following_reports_outcomes_and_misses,
          an_oversized_event_is_sent_without_its_line)
