#include <stdlib.h>
#include <string.h>

#include "nefia/base/err.h"
#include "nefia/beacon/beacon.h"
#include "nefia/sys/cli.h"

enum { ANSWER_MS = 5 * 1000 };

/** With commands from the hub: the last run of a playbook that has commit_within. */
#define STATUS_UNDO_SHOWN()                                                                          \
    "[<undo>\nPlaybook:\n  Run\t{run}: {state}][ ({reason})][{kept=no}, not kept over a restart]" \
    "[, {begun} steps begun, {failed} not undone\n]"
#define STATUS_UNDO_NONE() ""
/** And the commands. */
#define STATUS_REMOTE_SHOWN()                                                                        \
    "<>\nCommands:<remote>\n"                                                                        \
    "  State\t{state}[ for {~running_ms}: {command}][{kept=no}, not remembered over a restart]\n"    \
    "  Done\t{done}\n"                                                                               \
    "  Refused\t{denied} denied, {expired} expired, {busy} busy, {unsupported} unsupported, "        \
    "{unknown} unknown\n<>"
#define STATUS_REMOTE KCONFIG_CHOOSE(CONFIG_REMOTE_EXEC, STATUS_REMOTE_SHOWN, STATUS_UNDO_NONE)
#define SECTION_REMOTE_SHOWN()                                                                       \
    {.record = "command",                                                                            \
     .text = "\nLast commands:\n",                                                                   \
     .columns = "ID  |{command}\n"                                                                    \
                "STATE  |{state}[{timed_out=yes}, timed out]\n"                                       \
                "EXIT  |[{exit}]\n"                                                                   \
                "DURATION  |[{ms} ms]\n"                                                              \
                "OUTPUT  |[{bytes} bytes]\n"                                                          \
                "ACKNOWLEDGED|{acknowledged}\n",                                                      \
     .open = "],\"commands\":["},
#define SECTION_NONE()
#define STATUS_UNDO KCONFIG_CHOOSE(CONFIG_REMOTE_EXEC, STATUS_UNDO_SHOWN, STATUS_UNDO_NONE)

const struct show_section beacon_status_sections[] = {
    {.record = "version",
     .text = "Beacon:\n"
             "  Version\t{version} ({board}), up {~uptime_ms}, {wakeups} wake-ups\n"
             "  Host\t{host_id}, boot {boot}, last event {seq}\n"
             "  Configuration\t{config}, {reloads} reloads, {failed_reloads} refused\n"
             "  Seccomp\t{seccomp}\n"
             "\nHub:<uplink>\n"
             "  Address\t{hub}\n"
             "  Connection\t{state} for {~since_ms}"
             "[{state=waiting}, next attempt in {~next_try_ms}]\n"
             "  Delivery\t{delivery}, signed: {signed}"
             "[{delivery=acknowledged}, {unsettled} in flight, window {window}]\n"
             "  Delivered\t{delivered} events[, {unknown} unknown]\n"
             "\nEvents:<>\n"
             "  Accepted\t{accepted}\n"
             "  Suppressed\t{repeated} (repetitions)\n"
             "  Suppressed\t{over_rate} (over the rate)\n"
             "  Lost\t{lost}\n"
             "<spool>"
             "  In memory\t{events} events, {bytes} of {size} bytes, {collapsed} collapsed\n"
             "[<spool_file>"
             "  On flash\t{events} events, {today} of {daily} bytes today, {skipped} skipped\n]" STATUS_REMOTE() STATUS_UNDO(),
     .json = SHOW_SPREAD,
     .open = ""},
    {.record = "sensor",
     .text = "\nSensors:\n",
     .columns = "SENSOR  |{sensor}\n"
                "NAME  |{name}\n"
                "INTERVAL  |{~interval_ms}\n"
                "LAST RUN  |[{~last_run_ms_ago} ago]\n"
                "RUNS  |{runs}\n"
                "FAILED  |{failures}\n"
                "EVENTS  |{events}\n"
                "RESULT|{result}[: {reason}]\n",
     .open = ",\"sensors\":["},
    KCONFIG_CHOOSE(CONFIG_REMOTE_EXEC, SECTION_REMOTE_SHOWN, SECTION_NONE)()
    {.open = "]}\n"},
};

const struct show_section beacon_sentence_sections[] = {{.record = "", .text = "{}\n"}, {.text = NULL}};

const char *beacon_socket(const struct beacon *b)
{
    const char *socket = beacon_loaded(b)->control_socket;

    return socket ? socket : BEACON_CONTROL_SOCKET;
}

int beacon_ask(const char *socket, const struct show_section *sections, const char *request, const char *measure, bool json,
               void *work)
{
    const size_t tokens = BEACON_ASK_TOKENS * sizeof(struct json_token);
    const struct show_question q = {.sections = sections,
                                    .program = "nefia-beacon",
                                    .socket = socket,
                                    .request = request,
                                    .measure = measure,
                                    .json = json,
                                    .timeout_ms = ANSWER_MS,
                                    .tokens = work,
                                    .token_cap = BEACON_ASK_TOKENS,
                                    .buf = (char *)work + tokens,
                                    .cap = BEACON_ASK_BYTES - tokens};

    return show_answer(&q);
}

int beacon_ask_status(const char *socket, bool json, void *work)
{
    static const char status[] = "status";

    return beacon_ask(socket, beacon_status_sections, status, status, json, work);
}

static int put_member(struct json_writer *w, const char *pair)
{
    char key[64];
    struct text t;
    const char *equals = strchr(pair, '=');

    if (!equals || equals == pair)
        return NEFIA_ESYNTAX;
    text_init(&t, key, sizeof key);
    text_bytes(&t, pair, (size_t)(equals - pair));
    if (t.truncated)
        return NEFIA_ETOOBIG;
    json_put_string(w, t.buf, equals + 1);
    return 0;
}

static int wrong_operand(const char *what, const char *word)
{
    CLI_ERR("nefia-beacon: emit: \"", word, "\" ", what, "\n");
    return CLI_WRONG;
}

/** Of the action or command from the hub that calls us; null: of none. */
static const char *cause_of_command(void)
{
    const char *cause = getenv(EVENT_CAUSE_VARIABLE);

    return cause && cause[0] ? cause : NULL;
}

int beacon_ask_emit(const char *socket, const struct cli_args *args, char *request,
                    size_t request_cap, void *work)
{
    const char *type = args->operands[0], *severity = args->operands[1];
    const char *cause = cause_of_command();
    struct json_writer w;
    struct text t;

    if (!beacon_is_type(type, strlen(type)))
        return wrong_operand("is not made of 1 to 128 letters, digits, dots, - and _", type);
    if (severity_parse(severity, strlen(severity)) < 0)
        return wrong_operand("is not one of info, warning, critical", severity);
    text_init(&t, request,
              request_cap < CONFIG_CONTROL_LINE_BYTES ? request_cap : CONFIG_CONTROL_LINE_BYTES);
    text_str(&t, "emit ");
    text_str(&t, severity);
    text_char(&t, ' ');
    text_str(&t, type);
    text_char(&t, ' ');
    json_begin(&w, &t);
    if (cause)
        json_array(&w, NULL);
    json_object(&w, NULL);
    for (unsigned i = 2; i < args->operand_count; i++) {
        int err = put_member(&w, args->operands[i]);
        if (err == NEFIA_ETOOBIG)
            return wrong_operand("has a key of more than 63 bytes", args->operands[i]);
        if (err < 0)
            return wrong_operand("is not KEY=VALUE", args->operands[i]);
    }
    json_end_object(&w);
    if (cause) {
        json_put_raw(&w, NULL, cause, strlen(cause));
        json_end_array(&w);
    }
    if (t.truncated)
        return wrong_operand("and what follows is too long for one event", args->operands[2]);
    return beacon_ask(socket, beacon_sentence_sections, request, NULL, false, work);
}
