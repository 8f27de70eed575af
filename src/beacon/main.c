#include "nefia/beacon/beacon.h"
#include "nefia/beacon/console.h"
#include "nefia/beacon/spool_export.h"
#include "nefia/sys/cli.h"
#include "nefia/base/err.h"
#include "nefia/base/kconfig.h"
#include "nefia/sys/log.h"
#include "nefia/beacon/sensor_table.h"

#define POOL_PROGRAM_BEACON
#include "nefia/base/pool.h"

static const char program_name[] = "nefia-beacon";
static struct beacon beacon;

static int load(const struct cli_args *a, void (*report)(void *, const char *), unsigned needs)
{
    beacon_wire(&beacon, a->config, report);
    return beacon_load(&beacon, needs);
}

static int run(const struct cli_args *a)
{
    int status = cli_log(a, program_name);

    if (status != CLI_FINE)
        return status;
    beacon_wire(&beacon, a->config, cli_report_log);
    beacon.config.warn = cli_warn_log;
    if (beacon_load(&beacon, BEACON_NEEDS_HUB | BEACON_NEEDS_KEY) < 0)
        return CLI_WRONG;
    return beacon_run(&beacon);
}

static int once(const struct cli_args *a)
{
    log_init(program_name, LOG_LEVEL_INFO);
    if (load(a, cli_report_stderr, 0) < 0)
        return CLI_WRONG;
    return beacon_once(&beacon);
}

static int check(const struct cli_args *a)
{
    log_init(program_name, LOG_LEVEL_WARN);
    if (load(a, cli_report_stderr, BEACON_NEEDS_HUB | BEACON_NEEDS_KEY) < 0)
        return CLI_WRONG;
    const struct beacon_settings *s = beacon_loaded(&beacon);
    unsigned sensors = beacon.sensor_runner.sets[!beacon.sensor_runner.current].count;
    CLI_OUT(a->config, ": OK; host ", s->host_id, ", ", COUNT(sensors, "sensor"), ", ",
            COUNT(s->reactor_count, "hub"), ", ",
            beacon.next_key.set ? "signed\n" : "not signed\n");
    return CLI_FINE;
}

#ifdef CONFIG_BEACON_MANIFEST
static int manifest(const struct cli_args *a)
{
    log_init(program_name, LOG_LEVEL_WARN);
    if (load(a, cli_report_stderr, 0) < 0)
        return CLI_WRONG;
    return beacon_manifest(&beacon, a, pool_delivery_line, sizeof pool_delivery_line);
}

static const struct cli_option manifest_options[] = {
    {"--check", NULL, CLI_HELP("print what differs from the manifest")},
    {"--json", NULL, CLI_HELP("with --check: output JSON Lines")},
    {"-o", "FILE", CLI_HELP("write to this file instead, replacing it at once")},
    {.name = NULL}};
#endif

static void count_report(void *arg, const char *message)
{
    (void)arg;
    (void)message;
}

/** Control socket of the daemon that runs with this configuration; null after a report. Even a file
 * with errors tells where the daemon, which runs with its last good version, is. */
static const char *control_socket(const struct cli_args *a)
{
    const char *path;

    log_init(program_name, LOG_LEVEL_WARN);
    if (load(a, count_report, 0) < 0)
        CLI_ERR(program_name, ": ", a->config, " is missing or has errors, see `", program_name,
                " check -c ", a->config, "`\n");
    path = beacon_socket(&beacon);
    if (path[0])
        return path;
    CLI_ERR(program_name, ": beacons.control_socket is empty in ", a->config,
            ": the daemon cannot be reached\n");
    return NULL;
}

static int status(const struct cli_args *a)
{
    const char *path = control_socket(a);

    return path ? beacon_ask_status(path, cli_option(a, "--json"), pool_work) : CLI_WRONG;
}

static int emit(const struct cli_args *a)
{
    const char *path = control_socket(a);

    return path ? beacon_ask_emit(path, a, pool_delivery_line, sizeof pool_delivery_line, pool_work)
                : CLI_WRONG;
}

#ifdef CONFIG_BEACON_CONSOLE
static const struct cli_program program;

static int console(const struct cli_args *a)
{
    return console_run(&beacon, a, &program);
}
#endif

#ifdef CONFIG_SPOOL_EXPORT
static bool write_out(void *arg, const char *s, size_t len)
{
    (void)arg;
    return cli_write(STDOUT_FILENO, s, len) == 0;
}

static void say(void *arg, const char *sentence)
{
    (void)arg;
    CLI_ERR(program_name, ": ", sentence, "\n");
}

static int export_spool(const struct cli_args *a)
{
    log_init(program_name, LOG_LEVEL_WARN);
    /* A file with errors still tells the key, and where the daemon is that runs with its last good version. */
    if (load(a, cli_report_stderr, BEACON_NEEDS_KEY) < 0 && !beacon.next_key.set)
        return CLI_WRONG;
    return spool_export(&beacon, &(struct spool_export_sink){.write = write_out, .say = say});
}
#endif

/** For the verbs of the control socket only; takes no flash without it. */
#define CONTROL(x) (IS_ENABLED(CONFIG_BEACON_CONTROL) ? (x) : NULL)

static const struct cli_option run_options[] = {CLI_LOG_OPTIONS, {.name = NULL}};
static const struct cli_option status_options[] = {
    {"--json", NULL, "output JSON"}, {.name = NULL}};

#define VERBS_POLICY()                                                                               \
    {.name = "policy test",                                                                      \
     .operands = "[COMMAND]",                                                                    \
     .most = 1,                                                                                  \
     .options = beacon_policy_test_options,                                                      \
     .help = CLI_HELP("show how this device's policy decides on a command or a path"),           \
     .run = beacon_policy_test},                                                                 \
    {.name = "policy capabilities",                                                              \
     .options = beacon_policy_capabilities_options,                                              \
     .help = CLI_HELP("show what may be done on this device"),                                   \
     .run = beacon_policy_capabilities},
#define VERBS_CONSOLE()                                                                              \
    {.name = "console",                                                                          \
     .operands = "[TTY]",                                                                        \
     .most = 1,                                                                                  \
     .options = run_options,                                                                     \
     .help = CLI_HELP("diagnose this device, here or over a serial line"),                       \
     .run = console},
#define VERBS_NONE()

static const struct cli_verb verbs[] = {
    {.name = "run",
     .options = run_options,
     .daemon = true,
     .help = CLI_HELP("run in the foreground; SIGHUP reloads, SIGTERM stops"),
     .run = run},
    {.name = "once",
     .help = CLI_HELP("run each sensor once and print its events, without network"),
     .run = once},
    {.name = "check", .help = CLI_HELP("check the configuration"), .run = check},
#ifdef CONFIG_BEACON_MANIFEST
    {.name = "manifest",
     .operands = "KIND",
     .least = 1,
     .most = 1,
     .options = manifest_options,
     .help = CLI_HELP("write what a drift sensor compares with, or compare now"),
     .more = CLI_HELP("KIND is config, modules, packages or storage; its sensor has to be configured.\n"
             "Exit status with --check: 0 no difference, 1 differences, or not measured.\n"),
     .run = manifest},
#endif
    KCONFIG_CHOOSE(CONFIG_BEACON_GUARD, VERBS_POLICY, VERBS_NONE)()
    KCONFIG_CHOOSE(CONFIG_BEACON_CONSOLE, VERBS_CONSOLE, VERBS_NONE)()
#ifdef CONFIG_SPOOL_EXPORT
    {.name = "spool export",
     .help = CLI_HELP("print the events that wait for the hub as signed text, for `nefia import`"),
     .run = export_spool},
#endif
    /* The verbs of the control socket come last: without it the table ends here. */
    {.name = CONTROL("status"),
     .options = CONTROL(status_options),
     .help = CLI_HELP("show the state of the running beacon"),
     .run = CONTROL(status)},
    {.name = CONTROL("emit"),
     .operands = CONTROL("TYPE SEVERITY [KEY=VALUE...]"),
     .least = 2,
     .most = 64,
     .help = CLI_HELP("send a custom event through the running beacon"),
     .more = CLI_HELP("SEVERITY is info, warning or critical. Values are strings.\n"
             "Exit status 1: suppressed (duplicate, or over the rate limit), or the daemon cannot "
             "be reached.\n"),
     .run = CONTROL(emit)},
    {.name = NULL},
};

static void print_sensors(void)
{
    CLI_OUT("sensors:");
    for (const struct sensor_class *const *at = sensor_table; *at; at++)
        CLI_OUT(" ", (*at)->name);
    CLI_OUT("\n");
}

static const struct cli_program program = {
    .name = program_name,
    .summary = CLI_HELP("monitors this device and sends signed events to a hub"),
    .features = NEFIA_BEACON_FEATURES,
    .more_features = print_sensors,
    .config = CONFIG_DEFAULT_FILE,
    .verbs = verbs,
};

int main(int argc, char **argv)
{
    return cli_main(&program, argc, argv, &beacon);
}
