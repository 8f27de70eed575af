#include "nefia/cmd/reactor.h"

#include <string.h>

#include "nefia/base/err.h"
#include "nefia/hub/hub.h"
#include "nefia/sys/cli.h"
#include "nefia/sys/heap.h"
#include "nefia/sys/log.h"

#define POOL_PROGRAM_HUB
#include "nefia/base/pool.h"

enum { ANSWER_MS = 10 * 1000 };

static const char program_name[] = "nefia";

static void print_notice(void *arg, const char *rule, const char *action)
{
    (void)arg;
    CLI_ERR("notice: rule \"", rule, "\": ", action,
            str_eq(action, "exec") ? " with `target: host` (the default)" : "",
            " is not in this build" REMEDY(": the rule will match, and do nothing") "\n");
}

int reactor_run(const struct cli_args *a)
{
    struct hub *hub = a->arg;
    int status = cli_log(a, program_name);

    if (status != CLI_FINE)
        return status;
    hub_wire(hub, a->config, cli_report_log);
    hub->config.warn = cli_warn_log;
    if (hub_load(hub, hub_log_notice) < 0)
        return CLI_WRONG;
    return hub_run(hub);
}

/** A reload keeps the patterns that are the same and compiles the others beside those in force. */
static void say_whether_a_reload_fits(const struct hub *hub)
{
    const struct heap_stats heap = heap_stats();
    const unsigned patterns = rules_staged_patterns(&hub->rules);

    if (!IS_ENABLED(CONFIG_CONFIG_HINTS) ||
        (2 * heap.used <= heap.size && 2 * patterns <= CONFIG_RULE_PATTERNS))
        return;
    CLI_ERR("notice: its patterns use ", DEC((heap.used + 1023) / 1024), " of ", DEC((heap.size + 1023) / 1024),
            " KiB (CONFIG_HUB_HEAP_KB) and ", DEC(patterns),
            " of " LITERAL(CONFIG_RULE_PATTERNS) " places (CONFIG_RULE_PATTERNS): a reload that changes "
            "most of them does not fit beside those in force and is refused; a restart fits\n");
}

static void say_policy(const struct hub *hub)
{
    const struct policy *p = IS_ENABLED(CONFIG_HUB_GUARD) ? hub_loaded_policy(hub) : NULL;

    if (p && (p->rule_count > 0 || p->mode != POLICY_ENFORCE))
        CLI_OUT(", policy: ", word_at(policy_mode_words, p->mode), ", ", COUNT(p->rule_count, "item"));
}

int reactor_check(const struct cli_args *a)
{
    struct hub *hub = a->arg;

    log_init(program_name, LOG_LEVEL_WARN);
    hub_wire(hub, a->config, cli_report_stderr);
    if (hub_load(hub, print_notice) < 0)
        return CLI_WRONG;
    const struct hub_settings *s = hub_loaded(hub);
    say_whether_a_reload_fits(hub);
    CLI_OUT(a->config, ": OK; listens on ", ADDR(&s->listen), ", ",
            COUNT(hub->rules.sets[!hub->rules.active].count, "rule"), ", ",
            COUNT(s->hook_count, "webhook"), ", ",
            hub->staged_key.set || hub_settings_keyed(s) ? "signed" : "not signed");
    say_policy(hub);
    CLI_OUT("\n");
    return CLI_FINE;
}

/* ---- asking the running hub ---- */

#define EVENT_COLUMNS                                                                              \
    "TIME                |{@time}\n"                                                               \
    "TYPE             |{type}\n"                                                                   \
    "HOST     |{host}\n"                                                                           \
    "SEVERITY  |{severity}\n"                                                                      \
    "RULE                 |{rule}\n"                                                               \
    "ACTION    |{action}\n"                                                                        \
    "ERROR|[{error}][{state=pending}(pending)]\n"

/* Only in JSON: `reactor hosts` has the table. */
#define HOSTS_IN_STATUS() {.record = "host", .open = "],\"hosts\":["},
#define HOSTS_UNKNOWN()

const struct show_section reactor_status_sections[] = {
    {.record = "rule",
     .text = "Rules:\n",
     .columns = "NAME                  |{name}\n"
                "EVENT PATTERN    |{event_pattern}[{event_pattern=}(all)]\n"
                "HOST PATTERN   |{host_pattern}[{host_pattern=}(all)]\n"
                "ACTION    |{action}\n"
                "HITS|{hits}[{restraint=true}, {restrained} restrained][{breaker=open}, breaker open][{breaker=trying}, breaker trying]\n",
     .open = "{\"rules\":["},
    KCONFIG_CHOOSE(CONFIG_HUB_DEVICES, HOSTS_IN_STATUS, HOSTS_UNKNOWN)()
    {.record = "recent",
     .text = "\nRecent Events:\n",
     .columns = EVENT_COLUMNS,
     .open = "],\"recent\":["},
    {.record = "counters", .json = SHOW_MEMBER, .open = "],\"counters\":"},
    {.open = "}\n"},
};

const struct show_section reactor_events_sections[] = {
    {.record = "row", .columns = "ID  |{seq}\n" EVENT_COLUMNS, .json = SHOW_LINES},
    {.record = "missed",
     .text = "  ({missed} events came too fast to be shown)\n",
     .json = SHOW_LINES},
    {.record = NULL},
};

#define COMMANDS_COLUMN KCONFIG_CHOOSE(CONFIG_HUB_COMMANDS, COMMANDS_SHOWN, COMMANDS_NONE)()
#define COMMANDS_SHOWN() "COMMANDS  |{commands}\n"
#define COMMANDS_NONE() ""

const struct show_section reactor_hosts_sections[] = {
    {.record = "host",
     .columns = "HOST             |{host}\n"
                "ROLE      |{role}\n"
                "LABELS    |{labels}\n"
                "DELIVERY  |{delivery}\n"
                "CONNECTED  |{connected}[ from {address}]\n"
                COMMANDS_COLUMN
                "LAST SEEN|{@last_seen}[, {~silent_ms} ago]\n",
     .open = "{\"hosts\":["},
    {.record = "others",
     .text = "\nwithout an item in reactor.hosts: {known} known, {connected} connected\n",
     .json = SHOW_MEMBER,
     .open = "],\"others\":"},
    {.open = "}\n"},
};

int reactor_ask(const struct cli_args *a, struct show_question q)
{
    struct hub *hub = a->arg;

    log_init(program_name, LOG_LEVEL_WARN);
    hub_wire(hub, a->config, cli_report_stderr);
    q.program = program_name;
    q.socket = hub_socket(hub);
    q.json = a->verb->options && cli_option(a, "--json") != NULL;
    q.tokens = pool_hub_work->answer;
    q.token_cap = HUB_TOKENS;
    q.buf = (char *)pool_receive;
    q.cap = sizeof pool_receive;
    q.timeout_ms = q.timeout_ms == UINT64_MAX ? 0 : ANSWER_MS;
    return q.socket ? show_answer(&q) : CLI_WRONG;
}

int reactor_status(const struct cli_args *a)
{
    return reactor_ask(a, (struct show_question){.sections = reactor_status_sections,
                                         .request = "status",
                                         .measure = "status"});
}

int reactor_events(const struct cli_args *a)
{
    bool follow = cli_option(a, "--follow") != NULL;

    return reactor_ask(a, (struct show_question){.sections = reactor_events_sections,
                                         .request = follow ? "events follow" : "events",
                                         .measure = "events",
                                         .timeout_ms = follow ? UINT64_MAX : 0});
}

int reactor_hosts(const struct cli_args *a)
{
    return reactor_ask(a, (struct show_question){.sections = reactor_hosts_sections,
                                         .request = "hosts",
                                         .measure = "hosts"});
}

int reactor_forget(const struct cli_args *a)
{
    static const struct show_section sections[] = {{.record = "", .text = "{}\n"}, {.text = NULL}};
    char request[EVENT_HOST_MAX + 16];
    struct text t;

    text_init(&t, request, sizeof request);
    text_str(&t, "forget ");
    text_str(&t, a->operands[0]);
    if (t.truncated || strchr(request, '\n')) {
        CLI_ERR("nefia: reactor forget: not a host_id\n");
        return CLI_WRONG;
    }
    return reactor_ask(a, (struct show_question){
                      .sections = sections, .request = request});
}
