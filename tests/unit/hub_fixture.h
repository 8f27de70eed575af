/* Rules out of a JSON text, events out of lines: for the tests of the hub. */
#ifndef NEFIA_TESTS_HUB_FIXTURE_H
#define NEFIA_TESTS_HUB_FIXTURE_H

#include <string.h>

#include "check.h"
#include "nefia/base/err.h"
#include "nefia/sys/heap.h"
#include "nefia/hub/rules.h"
#include "nefia/hub/settings.h"

enum { FIXTURE_NODES = 256, FIXTURE_TEXT = 8192 };

static _Alignas(16) char fixture_heap[256 * 1024];
static struct node fixture_nodes[FIXTURE_NODES];
static char fixture_strings[2][FIXTURE_TEXT];
static struct config_arena fixture_arenas[2];
static _Alignas(16) char fixture_work[16384];
static char fixture_reports[2048];
static struct text fixture_report;
static struct config fixture_config;

static struct rule fixture_rules[2][CONFIG_RULES];
static struct restraint_settings fixture_restraints[2][CONFIG_RESTRAINTS];
static struct rule_pattern fixture_patterns[8];
static struct rule_type_memo fixture_types[8];
static struct rule_host_memo fixture_seen[8];
static struct pattern_scratch fixture_scratch;
static struct json_token fixture_tokens[CONFIG_JSON_TOKENS];
static char fixture_event_scratch[EVENT_SCRATCH];

static inline void fixture_take_report(void *arg, const char *message)
{
    (void)arg;
    text_str(&fixture_report, message);
    text_char(&fixture_report, '\n');
}

static inline void fixture_init(struct rules *r)
{
    static bool ready;

    if (!ready)
        heap_init(fixture_heap, sizeof fixture_heap);
    ready = true;
    text_init(&fixture_report, fixture_reports, sizeof fixture_reports);
    config_init(&fixture_config, "HUB", fixture_nodes, FIXTURE_NODES, fixture_take_report, NULL);
    memset(fixture_rules, 0, sizeof fixture_rules);
    memset(fixture_patterns, 0, sizeof fixture_patterns);
    memset(fixture_types, 0, sizeof fixture_types);
    memset(fixture_seen, 0, sizeof fixture_seen);
    rules_init(r, fixture_rules[0], fixture_rules[1], fixture_patterns,
               ARRAY_SIZE(fixture_patterns), fixture_types, ARRAY_SIZE(fixture_types),
               fixture_seen, ARRAY_SIZE(fixture_seen), &fixture_scratch);
    rules_restraints(r, fixture_restraints[0], fixture_restraints[1]);
}

/** The list of rules in `json` ({"rules":[…]}) into the other generation. Return: as rules_stage;
 * NEFIA_ESYNTAX: the test is wrong. */
static inline int fixture_stage(struct rules *r, const char *json, const struct hub_settings *settings)
{
    static const struct hub_settings none;
    unsigned next = !r->active;

    fixture_arenas[next] = (struct config_arena){fixture_strings[next], FIXTURE_TEXT, 0};
    text_reset(&fixture_report);
    if (config_load_text(&fixture_config, "t.json", json, strlen(json), &fixture_arenas[next],
                         fixture_work, sizeof fixture_work) < 0)
        return NEFIA_ESYNTAX;
    return rules_stage(r, &fixture_config,
                       node_child(&fixture_config, fixture_config.nodes, "rules"),
                       settings ? settings : &none, NULL, NULL);
}

static inline int fixture_load(struct rules *r, const char *json, const struct hub_settings *settings)
{
    int n = fixture_stage(r, json, settings);

    if (n < 0)
        rules_abort(r);
    else
        rules_commit(r);
    return n;
}

/** The line of an event. */
static inline const char *fixture_line(const char *type, const char *host, const char *severity)
{
    static char buf[1024];
    struct text t;

    text_init(&t, buf, sizeof buf);
    text_str(&t, "{\"type\":\"");
    text_str(&t, type);
    text_str(&t, "\",\"source\":\"test\",\"host_id\":\"");
    text_str(&t, host);
    text_str(&t, "\",\"timestamp\":\"2026-03-10T15:30:00Z\",\"severity\":\"");
    text_str(&t, severity);
    text_str(&t, "\",\"data\":{}}");
    return buf;
}

static inline struct event fixture_event(const char *type, const char *host, const char *severity)
{
    const char *line = fixture_line(type, host, severity);
    struct event e;

    CHECK_INT(event_decode(&e, line, strlen(line), fixture_tokens, CONFIG_JSON_TOKENS,
                           fixture_event_scratch, NULL),
              0);
    return e;
}

#endif
