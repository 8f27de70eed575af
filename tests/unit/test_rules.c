#include "hub_fixture.h"

static struct rules rules;

#define EXEC "\"action\":{\"type\":\"exec\",\"command\":\"true\",\"target\":\"hub\"}"

/** Names of the matching rules, separated by spaces. */
static const char *matching(const char *type, const char *host, const char *severity)
{
    static char buf[256];
    struct event e = fixture_event(type, host, severity);
    const struct rule_set *set = rules_active(&rules);
    uint32_t bits[RULE_WORDS];
    struct text t;

    text_init(&t, buf, sizeof buf);
    bool any = rules_match(&rules, &e, bits);
    for (unsigned i = 0; i < set->count; i++) {
        struct rule_verdict v = rules_judge(&rules, &set->rules[i], &e);
        /* The cached and the uncached decision agree. */
        CHECK_INT(any && bits[i / 32] >> (i % 32) & 1, v.reason == RULE_MATCHES);
    }
    if (any)
        for (int i = 0; (i = rules_next(bits, set->count, (unsigned)i)) >= 0; i++) {
            text_str(&t, t.len > 0 ? " " : "");
            text_str(&t, set->rules[i].name);
        }
    return buf;
}

static bool reported(const char *what)
{
    return strstr(fixture_reports, what) != NULL;
}

TEST(type_host_and_severity_all_count)
{
    fixture_init(&rules);
    REQUIRE(fixture_load(
                &rules,
                "{\"rules\":["
                "{\"name\":\"disk\",\"event_pattern\":\"disk\\\\..*\"," EXEC "},"
                "{\"name\":\"prod\",\"host_pattern\":\"^prod-\",\"severity\":\"warning\"," EXEC "},"
                "{\"name\":\"both\",\"event_pattern\":\"^disk\\\\.\",\"host_pattern\":\"^prod-\","
                "\"severity\":\"critical\"," EXEC "},"
                "{\"name\":\"all\"," EXEC "}]}",
                NULL) == 4);
    for (int again = 0; again < 2; again++) {
        CHECK_STR(matching("disk.usage", "web-01", "info"), "disk all");
        CHECK_STR(matching("disk.usage", "prod-1", "warning"), "disk prod all");
        CHECK_STR(matching("disk.usage", "prod-1", "critical"), "disk prod both all");
        CHECK_STR(matching("net.down", "prod-1", "info"), "all");
        CHECK_STR(matching("net.down", "prod-1", "critical"), "prod all");
        CHECK_STR(matching("diskXusage", "web-prod-1", "critical"), "all");
    }
    CHECK_INT(rules.matched, 6); /* three types, three hosts */
}

TEST(no_rules_match_nothing)
{
    fixture_init(&rules);
    REQUIRE(fixture_load(&rules, "{\"rules\":[]}", NULL) == 0);
    CHECK_STR(matching("a", "b", "critical"), "");
}

TEST(more_types_and_hosts_than_the_cache_holds)
{
    char type[8] = "t000", host[8] = "h000";

    fixture_init(&rules);
    REQUIRE(fixture_load(&rules,
                         "{\"rules\":[{\"name\":\"seven\",\"event_pattern\":\"7$\",\"host_"
                         "pattern\":\"[37]$\"," EXEC "}]}",
                         NULL) == 1);
    for (int round = 0; round < 3; round++)
        for (int i = 0; i < 100; i++) {
            type[2] = host[2] = (char)('0' + i / 10);
            type[3] = host[3] = (char)('0' + i % 10);
            CHECK_STR(matching(type, host, "info"), i % 10 == 7 ? "seven" : "");
        }
}

TEST(longest_names_are_cached_and_distinguished)
{
    char host[EVENT_HOST_MAX + 1], type[EVENT_TYPE_MAX + 1];

    memset(host, 'h', EVENT_HOST_MAX);
    host[EVENT_HOST_MAX] = '\0';
    memset(type, 't', EVENT_TYPE_MAX);
    type[EVENT_TYPE_MAX] = '\0';
    fixture_init(&rules);
    REQUIRE(fixture_load(
                &rules,
                "{\"rules\":[{\"name\":\"x\",\"event_pattern\":\"t$\",\"host_pattern\":\"h$\"," EXEC
                "}]}",
                NULL) == 1);
    CHECK_STR(matching(type, host, "info"), "x");
    host[EVENT_HOST_MAX - 1] = 'i';
    CHECK_STR(matching(type, host, "info"), "");
    host[EVENT_HOST_MAX - 1] = 'h';
    type[EVENT_TYPE_MAX - 1] = 'i';
    CHECK_STR(matching(type, host, "info"), "");
}

TEST(full_words_of_bits)
{
    char json[FIXTURE_TEXT];
    struct text t;

    text_init(&t, json, sizeof json);
    text_str(&t, "{\"rules\":[");
    for (int i = 0; i < 65 && i < CONFIG_RULES; i++) {
        text_str(&t, i ? ",{\"name\":\"r" : "{\"name\":\"r");
        text_u64(&t, (uint64_t)i);
        text_str(&t, "\"," EXEC "}");
    }
    text_str(&t, "]}");
    fixture_init(&rules);
    /* Running out of the fixture's nodes is fine: fewer rules are checked then. */
    int n = fixture_load(&rules, json, NULL);
    if (n < 0)
        return;
    struct event e = fixture_event("a", "b", "info");
    uint32_t bits[RULE_WORDS];
    REQUIRE(rules_match(&rules, &e, bits));
    int seen = 0;
    for (int i = 0; (i = rules_next(bits, (unsigned)n, (unsigned)i)) >= 0; i++)
        CHECK_INT(i, seen++);
    CHECK_INT(seen, n);
}

TEST(equal_patterns_are_shared_and_freed)
{
    size_t used;

    fixture_init(&rules);
    used = heap_stats().used;
    REQUIRE(fixture_load(&rules,
                         "{\"rules\":["
                         "{\"name\":\"a\",\"event_pattern\":\"(a|b)+c\"," EXEC "},"
                         "{\"name\":\"b\",\"host_pattern\":\"(a|b)+c\"," EXEC "}]}",
                         NULL) == 2);
    CHECK_INT(rules_active(&rules)->rules[0].event_pattern,
              rules_active(&rules)->rules[1].host_pattern);
    /* A reload keeps patterns still in use. */
    REQUIRE(fixture_load(&rules,
                         "{\"rules\":[{\"name\":\"a\",\"event_pattern\":\"(a|b)+c\"," EXEC "}]}",
                         NULL) == 1);
    CHECK_STR(matching("xbac", "h", "info"), "a");
    REQUIRE(fixture_load(&rules, "{}", NULL) == 0);
    CHECK_INT(heap_stats().used, used);
}

TEST(a_bad_file_replaces_nothing)
{
    fixture_init(&rules);
    REQUIRE(fixture_load(&rules,
                         "{\"rules\":[{\"name\":\"a\",\"event_pattern\":\"(a|b)+c\"," EXEC "}]}",
                         NULL) == 1);
    size_t used = heap_stats().used;
    CHECK_INT(
        fixture_load(&rules,
                     "{\"rules\":[{\"name\":\"x\",\"event_pattern\":\"(x|y)+z\"," EXEC "},\n"
                     "{\"name\":\"x\",\"event_pattern\":\"a(\"," EXEC "},\n"
                     "{\"name\":\"y\",\"action\":{\"type\":\"dance\"}},\n"
                     "{\"name\":\"z\",\"action\":{\"type\":\"alert\",\"webhook_name\":\"none\"}},\n"
                     "{\"severity\":\"loud\"}]}",
                     NULL),
        NEFIA_EINVAL);
    CHECK(reported("t.json:2: reactor.rules[1].event_pattern: \"a(\""));
    CHECK(reported("t.json:2: reactor.rules[1]: name: \"x\" is already used by an earlier rule"));
    CHECK(reported(
        "t.json:3: reactor.rules[2].action.type: \"dance\" is not one of exec, alert, playbook"));
    CHECK(reported("t.json:4: reactor.rules[3].action.webhook_name: no webhook \"none\""));
    CHECK(reported("t.json:5: reactor.rules[4].severity: \"loud\""));
    CHECK(reported("t.json:5: reactor.rules[4].name: missing"));
    CHECK_INT(heap_stats().used, used);
    CHECK_STR(matching("abc", "h", "info"), "a");
}

TEST(hits_are_kept_by_name)
{
    fixture_init(&rules);
    REQUIRE(fixture_load(&rules,
                         "{\"rules\":[{\"name\":\"a\"," EXEC "},{\"name\":\"b\"," EXEC "}]}",
                         NULL) == 2);
    rules.sets[rules.active].rules[0].hits = 7;
    rules.sets[rules.active].rules[1].hits = 9;
    REQUIRE(fixture_load(&rules,
                         "{\"rules\":[{\"name\":\"b\"," EXEC "},{\"name\":\"c\"," EXEC "}]}",
                         NULL) == 2);
    CHECK_INT(rules_active(&rules)->rules[0].hits, 9);
    CHECK_INT(rules_active(&rules)->rules[1].hits, 0);
    CHECK_INT(rules_find(&rules, "c"), 1);
    CHECK_INT(rules_find(&rules, "a"), NEFIA_ENOTFOUND);
}

TEST(actions_not_in_this_build)
{
    static struct hub_settings settings = {.hooks = {{.name = "slack", .timeout_ms = 1234, .retries = 2}}, .hook_count = 1};

    fixture_init(&rules);
    REQUIRE(fixture_load(
                &rules,
                "{\"rules\":[{\"name\":\"h\",\"action\":{\"type\":\"exec\",\"command\":\"true\"}},"
                "{\"name\":\"p\",\"action\":{\"type\":\"playbook\",\"playbook_path\":\"x\"}},"
                "{\"name\":\"a\",\"action\":{\"type\":\"alert\",\"webhook_name\":\"slack\"}},"
                "{\"name\":\"t\",\"action\":{\"type\":\"exec\",\"command\":\"true\",\"target\":"
                "\"hub\",\"timeout\":\"2m\"}}]}",
                &settings) == 4);
    const struct rule *r = rules_active(&rules)->rules;
    CHECK((r[0].action.class != NULL) == IS_ENABLED(CONFIG_HUB_COMMANDS));
    CHECK_STR(r[1].action.class->name, "playbook");
    CHECK_STR(action_word(&r[1].action), "playbook");
    CHECK_INT(r[1].action.lane, ACTION_LANE_RULE);
    CHECK_STR(r[2].action.class->name, "alert");
    CHECK_INT(r[2].action.lane, 0);
    CHECK_INT(r[2].action.retries, 2);
    CHECK_STR(r[3].action.class->name, "exec");
    CHECK_INT(r[3].action.lane, ACTION_LANE_RULE);
}

TEST(a_verdict_names_the_compared_values)
{
    char buf[256];
    struct text t;

    fixture_init(&rules);
    REQUIRE(fixture_load(&rules,
                         "{\"rules\":[{\"name\":\"a\",\"event_pattern\":\"disk\\\\..*\",\"host_"
                         "pattern\":\"prod-.*\","
                         "\"severity\":\"warning\"," EXEC "}]}",
                         NULL) == 1);
    const struct rule *r = rules_active(&rules)->rules;
    struct {
        const char *type, *host, *severity, *want;
    } cases[] = {
        {"disk.usage", "prod-1", "critical",
         "matches: type ~ disk\\..*, host ~ prod-.*, critical >= warning"},
        {"disk.usage", "prod-1", "info",
         "no match: type ~ disk\\..*, host ~ prod-.*, info < warning"},
        {"disk.usage", "web", "info", "no match: type ~ disk\\..*, host !~ prod-.*"},
        {"net.up", "web", "info", "no match: type !~ disk\\..*"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct event e = fixture_event(cases[i].type, cases[i].host, cases[i].severity);
        struct rule_verdict v = rules_judge(&rules, r, &e);
        text_init(&t, buf, sizeof buf);
        rule_verdict_text(&t, &v);
        CHECK_STR(buf, cases[i].want);
    }
}

static unsigned report_lines(void)
{
    unsigned n = 0;

    for (const char *s = fixture_reports; *s; s++)
        n += *s == '\n';
    return n;
}

TEST(too_many_patterns_are_reported_once)
{
    fixture_init(&rules);
    CHECK_INT(fixture_load(
                  &rules,
                  "{\"rules\":[{\"name\":\"1\",\"event_pattern\":\"1\",\"host_pattern\":\"2\"," EXEC
                  "},"
                  "{\"name\":\"2\",\"event_pattern\":\"3\",\"host_pattern\":\"4\"," EXEC "},"
                  "{\"name\":\"3\",\"event_pattern\":\"5\",\"host_pattern\":\"6\"," EXEC "},"
                  "{\"name\":\"4\",\"event_pattern\":\"7\",\"host_pattern\":\"8\"," EXEC "},"
                  "{\"name\":\"5\",\"event_pattern\":\"9\",\"host_pattern\":\"1\"," EXEC "},"
                  "{\"name\":\"6\",\"event_pattern\":\"10\",\"host_pattern\":\"11\"," EXEC "}]}",
                  NULL),
              NEFIA_EINVAL);
    CHECK(reported("reactor.rules[4].event_pattern: too many different patterns "
                   "(CONFIG_RULE_PATTERNS=" LITERAL(CONFIG_RULE_PATTERNS) ")"));
    CHECK_INT(report_lines(), 1);
}

TEST(an_exhausted_heap_is_reported_once)
{
    static _Alignas(16) char small[4096];

    fixture_init(&rules);
    heap_init(small, sizeof small);
    CHECK_INT(fixture_load(
                  &rules,
                  "{\"rules\":[{\"name\":\"1\",\"event_pattern\":\"x[ab]{0,20}c\"," EXEC "},"
                  "{\"name\":\"2\",\"event_pattern\":\"y[ab]{0,20}c\",\"host_pattern\":"
                  "\"z[ab]{0,20}c\"," EXEC "},"
                  "{\"name\":\"3\",\"event_pattern\":\"(ab\"," EXEC "}]}",
                  NULL),
              NEFIA_EINVAL);
    CHECK_INT(heap_stats().used, 0);
    heap_init(fixture_heap, sizeof fixture_heap);
    CHECK(reported("reactor.rules[0].event_pattern: \"x[ab]{0,20}c\": heap exhausted "
                   "(CONFIG_HUB_HEAP_KB=" LITERAL(CONFIG_HUB_HEAP_KB) "); raise it"));
    /* The third rule has an error of its own. */
    CHECK(reported("reactor.rules[2].event_pattern: \"(ab\": offset 0"));
    CHECK_INT(report_lines(), 2);
}

/** Load `count` rules, each with a pattern of its own. */
static int load_many(unsigned count)
{
    char file[4096];
    struct text t;

    text_init(&t, file, sizeof file);
    text_str(&t, "{\"rules\":[");
    for (unsigned i = 0; i < count; i++) {
        text_str(&t, i ? ",{\"name\":\"" : "{\"name\":\"");
        text_u64(&t, i);
        text_str(&t, "\",\"event_pattern\":\"[ab]{9}");
        text_u64(&t, i);
        text_str(&t, "$\"," EXEC "}");
    }
    text_str(&t, "]}");
    CHECK(!t.truncated);
    return fixture_load(&rules, file, NULL);
}

/** What is the same takes nothing: a file fits beside itself although the heap is nearly full. */
TEST(a_reload_shares_what_is_the_same)
{
    static _Alignas(16) char small[sizeof(void *) == 4 ? 14 * 1024 : 24 * 1024]; /* patterns are made of pointers */
    int n = 0;

    fixture_init(&rules);
    heap_init(small, sizeof small);
    while (load_many((unsigned)n + 1) == n + 1) { /* as many as fit, by trying */
        n++;
        REQUIRE(fixture_load(&rules, "{}", NULL) == 0 && heap_stats().used == 0);
    }
    CHECK(reported("heap exhausted"));
    REQUIRE(n > 2);
    REQUIRE(load_many((unsigned)n) == n);
    const size_t used = heap_stats().used;
    CHECK(2 * used > heap_stats().size);
    CHECK_INT(load_many((unsigned)n), n);
    CHECK_INT(heap_stats().used, used);
    CHECK_STR(matching("ababababa0", "h", "info"), "0");
    REQUIRE(fixture_load(&rules, "{}", NULL) == 0);
    heap_init(fixture_heap, sizeof fixture_heap);
}

TEST(backoff_grows_and_is_bounded)
{
    CHECK_INT(action_backoff_ms(1), 1000);
    CHECK_INT(action_backoff_ms(2), 2000);
    CHECK_INT(action_backoff_ms(6), 32000);
    CHECK_INT(action_backoff_ms(7), 60000);
    CHECK_INT(action_backoff_ms(200), 60000);
}

/** To be told twice is better than never; a command may do harm. */
TEST(alerts_are_idempotent_unless_they_say_otherwise)
{
    static struct hub_settings settings = {.hooks = {{.name = "slack", .timeout_ms = 1000}}, .hook_count = 1};
    static const bool want[] = {true, false, true, false, true, false, false};

#define ALERT "\"action\":{\"type\":\"alert\",\"webhook_name\":\"slack\"}"
#define PLAYBOOK "\"action\":{\"type\":\"playbook\",\"playbook_path\":\"/x\"}"
    fixture_init(&rules);
    REQUIRE(fixture_load(&rules,
                         "{\"rules\":[{\"name\":\"a\"," ALERT "},"
                         "{\"name\":\"b\",\"idempotent\":false," ALERT "},"
                         "{\"name\":\"c\",\"idempotent\":true," ALERT "},"
                         "{\"name\":\"d\"," EXEC "},"
                         "{\"name\":\"e\",\"idempotent\":true," EXEC "},"
                         "{\"name\":\"f\",\"idempotent\":false," EXEC "},"
                         "{\"name\":\"g\"," PLAYBOOK "}]}",
                         &settings) == 7);
    for (unsigned i = 0; i < ARRAY_SIZE(want); i++)
        CHECK_INT(rules_active(&rules)->rules[i].idempotent, want[i]);
}

TEST_MAIN(type_host_and_severity_all_count, no_rules_match_nothing,
          more_types_and_hosts_than_the_cache_holds, longest_names_are_cached_and_distinguished,
          full_words_of_bits, equal_patterns_are_shared_and_freed, a_bad_file_replaces_nothing,
          hits_are_kept_by_name, actions_not_in_this_build, a_verdict_names_the_compared_values,
          too_many_patterns_are_reported_once,
          an_exhausted_heap_is_reported_once, a_reload_shares_what_is_the_same, alerts_are_idempotent_unless_they_say_otherwise, backoff_grows_and_is_bounded)
