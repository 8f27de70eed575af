#include <string.h>

#include "nefia/base/err.h"
#include "nefia/sys/log.h"
#include "nefia/beacon/sensor.h"

/* scripts: a command at intervals: a line for the shell, or a program and its arguments. A failing run is
 * a condition: it fires, is repeated subject to the dedup window, and ends with an info event. Exit status
 * 1 is a warning; 2 and above, signals and time-outs are critical, unless `severity` sets one for every
 * failure. */
struct script {
    struct sensor_common common;
    const char *command; /* a line for the shell; null: argv */
    const char *argv[CONFIG_SCRIPT_ARGS + 1];
    unsigned argc;
    uint64_t timeout_ms;
    int severity; /* enum severity for all failures; -1: by exit status */
    bool always;
};

static const struct field_list argv_list = {
    .count = offsetof(struct script, argc),
    .cap = CONFIG_SCRIPT_ARGS,
    .remedy = FIELD_HELP("; raise CONFIG_SCRIPT_ARGS"),
};

#define MEMBER(name) FIELD_AT(struct script, name)
static const struct field script_fields[] = {
    {.name = "command",
     .type = FIELD_TEXT,
     MEMBER(command),
     .min = 1,
     FIELD_NOTE("command for /bin/sh -c")},
    {.name = "argv",
     .type = FIELD_LIST,
     MEMBER(argv),
     .min = 1,
     .list = &argv_list,
     FIELD_NOTE("instead: a program and its arguments, without a shell")},
    {.name = "timeout",
     .type = FIELD_DURATION,
     MEMBER(timeout_ms),
     .min = 100,
     .max = 86400000,
     FIELD_NOTE("time limit; default: 30s, or half the interval if shorter")},
    {.name = "severity",
     .type = FIELD_WORD,
     MEMBER(severity),
     .words = severity_words,
     FIELD_NOTE("severity of a failing run; default: exit status 1 warning, others critical")},
    {FIELD_DEFAULT("always", "false"),
     .type = FIELD_BOOL,
     MEMBER(always),
     FIELD_NOTE("also report each successful run")},
    {.name = NULL},
};

enum { TIMEOUT_MS = 30 * 1000 };

static int check_command(const struct script *s, struct config *c, const struct node *n,
                         const char *where)
{
    const struct node *argv = node_child(c, n, "argv");

    if (!s->command && s->argc > 0 && s->argv[0][0] == '/')
        return 0;
    if (s->command && s->argc == 0)
        return 0;
    config_error(c, argv ? argv : n, where,
                 s->command  ? "both command and argv are given"
                 : s->argc > 0 ? "argv does not begin with an absolute path"
                               : "one of command and argv is missing",
                 NULL);
    return NEFIA_EINVAL;
}

static int script_open(void *state, struct config *c, const struct node *n, const char *where)
{
    struct script *s = state;
    int err = check_command(s, c, n, where);

    if (s->timeout_ms == 0) {
        uint64_t half = s->common.interval_ms / 2;
        s->timeout_ms = half < TIMEOUT_MS ? half : TIMEOUT_MS;
    }
    if (s->timeout_ms < s->common.interval_ms)
        return err;
    config_error(c, node_child(c, n, "timeout"), where, "timeout must be shorter than interval",
                 NULL);
    return NEFIA_EINVAL;
}

static enum level level_of(const struct script *s, const struct child_result *r)
{
    if (r->exit_code == 0 && !r->timed_out && r->signal == 0)
        return LEVEL_OK;
    if (s->severity >= 0)
        return (enum level)s->severity;
    return r->exit_code == 1 && !r->timed_out ? LEVEL_WARNING : LEVEL_CRITICAL;
}

/** Room for the output in the event: the line minus its other members (under 576 bytes with every
 * number at its maximum) and the host name. */
enum {
    HOST_ROOM = CONFIG_EVENT_BYTES / 8 < EVENT_HOST_MAX ? CONFIG_EVENT_BYTES / 8 : EVENT_HOST_MAX,
    OUTPUT_ROOM = CONFIG_EVENT_BYTES - HOST_ROOM - 576,
};

static void put_result(struct json_writer *w, const struct script *s, const struct child_result *r,
                       const char *output)
{
    json_put_string(w, "name", s->common.name);
    json_put_i64(w, "exit_code", r->exit_code);
    json_put_u64(w, "duration_ms", r->duration_ms);
    if (r->timed_out)
        json_put_bool(w, "timed_out", true);
    if (r->signal)
        json_put_i64(w, "signal", r->signal);
    if (r->output_total > r->output_len) {
        json_put_u64(w, "output_bytes", r->output_total);
        json_put_bool(w, "truncated", true);
    }
    event_put_text(w, "output", output, r->output_len, OUTPUT_ROOM);
}

static void script_done(void *state, struct emitter *e, const struct child_result *r,
                        const char *output)
{
    struct script *s = state;
    enum level level = level_of(s, r);
    struct json_writer *w = emit_condition(e, "script.result", s->common.name, level);

    if (!w && level == LEVEL_OK && s->always)
        w = emit_begin(e, "script.result", s->common.name, SEVERITY_INFO);
    if (w) {
        put_result(w, s, r, output);
        emit_end(e);
    }
    emitter_sample(e, level == LEVEL_OK, (uint32_t)r->duration_ms);
}

static int script_poll(void *state, struct emitter *out, uint64_t now_ms)
{
    struct script *s = state;

    (void)now_ms;
    if (s->command)
        return emitter_child(out, s->command, s->timeout_ms, script_done);
    return emitter_child_argv(out, s->argv, s->timeout_ms, script_done);
}

const struct sensor_class sensor_script = {
    SENSOR_NAME_OF("scripts", "5m", "script-beacon"),
    .list = SENSOR_LIST,
    .spread = true,
    .fields = script_fields,
    .state_size = sizeof(struct script),
    .open = script_open,
    .poll = script_poll,
};
