#include "nefia/sys/cli.h"
#include "nefia/base/err.h"
#include "nefia/sys/log.h"
#include "nefia/hub/hub.h"
#include "nefia/cmd/show.h"

#define POOL_PROGRAM_HUB
#include "nefia/base/pool.h"

#define ANSWER_TIMEOUT_MS 10000u

static const char program_name[] = "nefia";
static struct hub hub;

static void print_notice(void *arg, const char *rule, const char *action)
{
    (void)arg;
    CLI_ERR("notice: rule \"", rule, "\": ", action,
            str_eq(action, "exec") ? " with `target: host` (the default)" : "",
            " is not in this build: the rule will match, and do nothing\n");
}

static int run(const struct cli_args *a)
{
    int status = cli_log(a, program_name);

    if (status != CLI_FINE)
        return status;
    hub_wire(&hub, a->config, cli_report_log);
    if (hub_load(&hub, hub_log_notice) < 0)
        return CLI_WRONG;
    return hub_run(&hub);
}

static int check(const struct cli_args *a)
{
    log_init(program_name, LOG_LEVEL_WARN);
    hub_wire(&hub, a->config, cli_report_stderr);
    if (hub_load(&hub, print_notice) < 0)
        return CLI_WRONG;
    const struct hub_settings *s = hub_loaded(&hub);
    CLI_OUT(a->config, ": fine; listens on ", ADDR(&s->listen), ", ",
            DEC(hub.rules.sets[!hub.rules.active].count), " rules, ", DEC(s->hook_count),
            " webhooks, ", hub.staged_key.set ? "signed\n" : "not signed\n");
    return CLI_FINE;
}

static bool write_out(void *arg, const char *s, size_t len)
{
    (void)arg;
    return cli_write(STDOUT_FILENO, s, len) >= 0;
}

/** Ask the running daemon. */
static int ask(const struct cli_args *a, const char *request,
               int (*on_record)(void *, const char *, size_t), struct show *show,
               uint64_t timeout_ms)
{
    char why_buf[256];
    struct text why;

    log_init(program_name, LOG_LEVEL_WARN);
    text_init(&why, why_buf, sizeof why_buf);
    hub_wire(&hub, a->config, cli_report_stderr);
    const char *path = hub_socket(&hub);
    if (!path)
        return CLI_WRONG;
    int result = control_request(path, request, (char *)pool_receive, sizeof pool_receive,
                                 on_record, show, timeout_ms, &why);
    if (result == NEFIA_ECLOSED && why.len == 0)
        return CLI_FINE; /* whoever read our output has enough */
    if (why.len > 0)
        CLI_ERR(program_name, ": ", why.buf, "\n");
    return result < 0 ? CLI_NO : result;
}

static int status(const struct cli_args *a)
{
    struct show show = {.tokens = pool_tokens,
                        .token_cap = HUB_TOKENS,
                        .json = cli_option(a, "--json") != NULL,
                        .write = write_out};
    int result = ask(a, "status", show_status_record, &show, ANSWER_TIMEOUT_MS);

    if (result == CLI_FINE)
        show_status_end(&show);
    return result;
}

static int events(const struct cli_args *a)
{
    bool follow = cli_option(a, "--follow") != NULL;
    struct show show = {.tokens = pool_tokens,
                        .token_cap = HUB_TOKENS,
                        .json = cli_option(a, "--json") != NULL,
                        .write = write_out};

    return ask(a, follow ? "events follow" : "events", show_events_record, &show,
               follow ? 0 : ANSWER_TIMEOUT_MS);
}

static const struct cli_option run_options[] = {CLI_LOG_OPTIONS, {.name = NULL}};
static const struct cli_option status_options[] = {
    {"--json", NULL, "one JSON object, for programs"}, {.name = NULL}};
static const struct cli_option events_options[] = {
    {"--json", NULL, "one JSON object a line, with the whole event"},
    {"--follow", NULL, "go on: tell each event when what it set off has ended"},
    {.name = NULL},
};

static const struct cli_verb verbs[] = {
    {.name = "reactor run",
     .options = run_options,
     .help = "take events and act on them until SIGTERM; SIGHUP reloads",
     .run = run},
    {.name = "reactor check", .help = "is the configuration fine?", .run = check},
    {.name = "reactor status",
     .options = status_options,
     .help = "rules, their hits, and recent events",
     .run = status},
    {.name = "reactor events",
     .options = events_options,
     .help = "recent events, oldest first",
     .run = events},
    {.name = NULL},
};

int main(int argc, char **argv)
{
    static const struct cli_program program = {
        .name = program_name,
        .summary = "takes the events of beacons, and acts on them by rules",
        .features = NEFIA_HUB_FEATURES,
        .config = "/etc/nefia/nefia.yaml",
        .verbs = verbs,
    };

    return cli_main(&program, argc, argv, NULL);
}
