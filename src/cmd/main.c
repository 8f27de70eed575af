#include "nefia/cmd/audit.h"
#include "nefia/cmd/exec.h"
#include "nefia/cmd/import.h"
#include "nefia/cmd/playbook.h"
#include "nefia/cmd/playbook_run.h"
#include "nefia/cmd/policy.h"
#include "nefia/cmd/reactor.h"
#include "nefia/cmd/replay.h"
#include "nefia/cmd/silence.h"
#include "nefia/cmd/why.h"
#include "nefia/hub/hub.h"
#include "nefia/sys/cli.h"

static struct hub hub;

static const struct cli_option run_options[] = {CLI_LOG_OPTIONS, {.name = NULL}};
static const struct cli_option status_options[] = {
    {"--json", NULL, CLI_HELP("one JSON object, for programs")}, {.name = NULL}};
#define OPTION_JSON {"--json", NULL, CLI_HELP("one JSON object a line, for programs")}
#define OPTION_HOST {"--host", "HOST", CLI_HELP("where it would run: the role of this host counts")}
__attribute__((unused)) static const struct cli_option test_options[] = {
    OPTION_HOST, {"--path", "PATH", CLI_HELP("judge this path, resolved here, instead of a command")}, OPTION_JSON, {.name = NULL}};
__attribute__((unused)) static const struct cli_option batch_options[] = {
    OPTION_HOST, {"--null", NULL, CLI_HELP("commands end with a NUL instead of a newline")}, OPTION_JSON, {.name = NULL}};
__attribute__((unused)) static const struct cli_option capabilities_options[] = {OPTION_HOST, OPTION_JSON, {.name = NULL}};
__attribute__((unused)) static const struct cli_option plan_options[] = {
    {"--target", "HOST", CLI_HELP("where it would run")}, OPTION_JSON, {.name = NULL}};
static const struct cli_option events_options[] = {
    {"--json", NULL, CLI_HELP("one JSON object a line, with the whole event")},
    {"--follow", NULL, CLI_HELP("follow: each event, once its actions have ended")},
    {.name = NULL},
};

#define VERB_HOSTS()                                                                                 \
    {.name = "reactor hosts",                                                                      \
     .options = status_options,                                                                    \
     .help = CLI_HELP("the devices in reactor.hosts, and when they were last seen"),               \
     .run = reactor_hosts},
#define VERB_EXEC()                                                                                 \
    {.name = "exec",                                                                               \
     .operands = "--target HOST -- COMMAND...",                                                    \
     .least = 1,                                                                                   \
     .most = 255,                                                                                  \
     .options = exec_options,                                                                      \
     .help = CLI_HELP("run a command on a device, through the running hub"),                       \
     .run = exec_run},
#define VERBS_POLICY()                                                                               \
    {.name = "policy test",                                                                          \
     .operands = "[COMMAND]",                                                                        \
     .most = 1,                                                                                      \
     .options = test_options,                                                                        \
     .help = CLI_HELP("show how the policy decides on a command or a path"),                         \
     .run = policy_test},                                                                            \
    {.name = "policy test-batch",                                                                    \
     .operands = "[FILE]",                                                                           \
     .most = 1,                                                                                      \
     .options = batch_options,                                                                       \
     .help = CLI_HELP("the same for up to 50 commands, one a line; without FILE, from standard input"), \
     .run = policy_test_batch},                                                                      \
    {.name = "policy capabilities",                                                                  \
     .options = capabilities_options,                                                                \
     .help = CLI_HELP("show what may be done on a host"),                                            \
     .run = policy_capabilities},                                                                    \
    {.name = "policy lint",                                                                          \
     .options = status_options,                                                                      \
     .help = CLI_HELP("report what in the policy probably does not do what was intended"),           \
     .run = policy_lint_verb},                                                                      \
    {.name = "plan exec",                                                                            \
     .operands = "--target HOST -- COMMAND...",                                                      \
     .least = 1,                                                                                     \
     .most = 255,                                                                                    \
     .options = plan_options,                                                                        \
     .help = CLI_HELP("show whether a command would be allowed on a host; nothing is executed"),     \
     .run = plan_exec},
#define VERBS_AUDIT()                                                                                \
    {.name = "audit verify",                                                                       \
     .operands = "[DIRECTORY|FILE]",                                                               \
     .most = 1,                                                                                    \
     .options = audit_verify_options,                                                              \
     .help = CLI_HELP("find what was changed, removed, inserted or reordered in the audit log"),   \
     .run = audit_verify},                                                                         \
        {.name = "audit show",                                                                     \
         .operands = "[DIRECTORY|FILE]",                                                           \
         .most = 1,                                                                                \
         .options = audit_show_options,                                                            \
         .help = CLI_HELP("the records of the audit log, newest last"),                            \
         .run = audit_show},
#define VERBS_SILENCES()                                                                             \
    {.name = "silence add",                                                                        \
     .options = silence_add_options,                                                               \
     .help = CLI_HELP("for a time, have events that match set off no action"),                     \
     .run = silence_add},                                                                          \
        {.name = "silence list",                                                                   \
         .options = status_options,                                                                \
         .help = CLI_HELP("the silences in force, and how many matches each has silenced"),        \
         .run = silence_list},                                                                     \
        {.name = "silence remove",                                                                 \
         .operands = "ID",                                                                         \
         .least = 1,                                                                               \
         .most = 1,                                                                                \
         .options = status_options,                                                                \
         .help = CLI_HELP("end a silence now"),                                                    \
         .run = silence_remove},
#define VERB_IMPORT()                                                                                \
    {.name = "import",                                                                             \
     .operands = "[FILE...]",                                                                      \
     .most = 255,                                                                                  \
     .options = status_options,                                                                    \
     .help = CLI_HELP("hand over the events that a device printed with `nefia-beacon spool export`; without FILE, from standard input"), \
     .run = import_run},
#define VERBS_WHY()                                                                                  \
    {.name = "why",                                                                                \
     .operands = "EVENT",                                                                          \
     .least = 1,                                                                                   \
     .most = 1,                                                                                    \
     .options = status_options,                                                                    \
     .help = CLI_HELP("which rules were considered for an event, and what decided; EVENT: its ID, or HOST:BOOT:SEQ"), \
     .run = why_event},                                                                            \
        {.name = "replay",                                                                         \
         .operands = "JOURNAL|FILE",                                                               \
         .least = 1,                                                                               \
         .most = 1,                                                                                \
         .options = replay_options,                                                                \
         .help = CLI_HELP("what rules would have done with the events of a journal, or of a file; nothing is done"), \
         .run = replay_events},
#define VERB_PLAYBOOK_LOG()                                                                          \
    {.name = "playbook log",                                                                       \
     .operands = "[DIRECTORY|FILE]",                                                               \
     .most = 1,                                                                                    \
     .options = playbook_log_options,                                                              \
     .help = CLI_HELP("what playbooks did, step by step, newest last; from the audit log"),        \
     .run = audit_playbooks},
#define VERBS_PLAYBOOK()                                                                             \
    {.name = "playbook check",                                                                     \
     .operands = "FILE...",                                                                        \
     .least = 1,                                                                                   \
     .most = 255,                                                                                  \
     .help = CLI_HELP("check playbooks: all that is wrong with them, before anything runs"),       \
     .run = playbook_check},                                                                       \
        {.name = "plan playbook",                                                                  \
         .operands = "FILE [NAME=VALUE...]",                                                       \
         .least = 1,                                                                               \
         .most = 255,                                                                              \
         .options = plan_playbook_options,                                                         \
         .help = CLI_HELP("show what a playbook would do on a device, and whether the policy allows it; nothing is executed"), \
         .run = plan_playbook},
#define VERB_PLAYBOOK_RUN()                                                                          \
    {.name = "playbook run",                                                                       \
     .operands = "FILE [NAME=VALUE...]",                                                           \
     .least = 1,                                                                                   \
     .most = 33,                                                                                   \
     .options = playbook_run_options,                                                              \
     .help = CLI_HELP("carry out a playbook, step by step"),                                       \
     .run = playbook_run},
#define VERB_NONE()

static const struct cli_verb verbs[] = {
    {.name = "reactor run",
     .options = run_options,
     .daemon = true,
     .help = CLI_HELP("accept events and act on them until SIGTERM; SIGHUP reloads"),
     .run = reactor_run},
    {.name = "reactor check",
     .help = CLI_HELP("check the configuration file"),
     .run = reactor_check},
    {.name = "reactor status",
     .options = status_options,
     .help = CLI_HELP("rules, their hits, and recent events"),
     .run = reactor_status},
    {.name = "reactor events",
     .options = events_options,
     .help = CLI_HELP("recent events, oldest first"),
     .run = reactor_events},
    {.name = "reactor forget",
     .operands = "HOST",
     .least = 1,
     .most = 1,
     .help = CLI_HELP("forget what was received from a host, and that it speaks the link"),
     .run = reactor_forget},
    KCONFIG_CHOOSE(CONFIG_HUB_DEVICES, VERB_HOSTS, VERB_NONE)()
    KCONFIG_CHOOSE(CONFIG_HUB_IMPORT, VERB_IMPORT, VERB_NONE)()
    KCONFIG_CHOOSE(CONFIG_HUB_WHY, VERBS_WHY, VERB_NONE)()
    KCONFIG_CHOOSE(CONFIG_HUB_SILENCES, VERBS_SILENCES, VERB_NONE)()
    KCONFIG_CHOOSE(CONFIG_HUB_COMMANDS, VERB_EXEC, VERB_NONE)()
    KCONFIG_CHOOSE(CONFIG_HUB_GUARD, VERBS_POLICY, VERB_NONE)()
    KCONFIG_CHOOSE(CONFIG_HUB_AUDIT, VERBS_AUDIT, VERB_NONE)()
    KCONFIG_CHOOSE(CONFIG_HUB_PLAYBOOKS, VERBS_PLAYBOOK, VERB_NONE)()
    KCONFIG_CHOOSE(CONFIG_HUB_PLAYBOOKS, VERB_PLAYBOOK_RUN, VERB_NONE)()
    KCONFIG_CHOOSE(CONFIG_HUB_PLAYBOOKS, KCONFIG_CHOOSE(CONFIG_HUB_AUDIT, VERB_PLAYBOOK_LOG, VERB_NONE), VERB_NONE)()
    {.name = NULL},
};

int main(int argc, char **argv)
{
    static const struct cli_program program = {
        .name = "nefia",
        .summary = CLI_HELP("accepts events from beacons and runs the actions of matching rules"),
        .features = NEFIA_HUB_FEATURES,
        .config = CONFIG_DEFAULT_FILE,
        .verbs = verbs,
    };

    return cli_main(&program, argc, argv, &hub);
}
