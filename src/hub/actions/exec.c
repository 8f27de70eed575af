#include <string.h>

#include "nefia/hub/action.h"
#include "nefia/base/err.h"
#include "nefia/ops/op.h"

/* exec: run a shell command on the hub, or on the device of the event. The event is passed in the environment only; no part of
 * it is ever inserted into the command. */

#define KEY_MAX 64 /* of NEFIA_DATA_<KEY> */

enum { TARGET_HOST, TARGET_HUB };
static const char targets[] = "host\0hub\0";

struct exec {
    const char *command;
    uint32_t timeout_ms;
    uint16_t life_s;
    uint8_t target;
};

enum { LIFE_MOST_S = 12 * 3600 };

__attribute__((unused)) /* in a build without commands to devices */
static int set_life(void *member, const char *value, struct text *why)
{
    uint64_t ms;
    uint16_t *life_s = member;

    if (parse_duration_ms(value, strlen(value), &ms) < 0 || ms < 1000 || ms > 1000 * (uint64_t)LIFE_MOST_S) {
        text_str(why, "not a duration from 1s to 12h");
        return NEFIA_EINVAL;
    }
    *life_s = (uint16_t)(ms / 1000);
    return 0;
}

static const struct field fields[] = {
    {FIELD_REQUIRED("command", "command line for /bin/sh"),
     .type = FIELD_TEXT,
     FIELD_AT(struct exec, command),
     .min = 1,
     .max = ACTION_COMMAND_MAX},
    {FIELD_DEFAULT("target", "host"),
     .type = FIELD_WORD,
     FIELD_AT(struct exec, target),
     .words = targets,
     FIELD_NOTE("where it runs: host (the device of the event) or hub")},
    {FIELD_DEFAULT("timeout", "30s"),
     .type = FIELD_DURATION,
     FIELD_AT(struct exec, timeout_ms),
     .min = 1000,
     .max = 3600000, FIELD_NOTE("time limit")},
    FIELD_IF_DEFAULT(CONFIG_HUB_COMMANDS, "life", "5m",
     .type = FIELD_SET,
     FIELD_AT(struct exec, life_s),
     .set = set_life,
     FIELD_NOTE("`target: host`: how long the device may take to be there and free"))
    {.name = NULL},
};

static int check_target(struct action *a, struct config *c, const struct node *n, const char *where,
                const struct hub_settings *s)
{
    (void)c, (void)n, (void)where, (void)s;
    return IS_ENABLED(CONFIG_HUB_COMMANDS) || ((const struct exec *)a->own)->target == TARGET_HUB ? 0 : NEFIA_ENOTSUP;
}

/** The environment being built: NUL-terminated strings in text, one after the other. */
struct env {
    struct action_scratch *scratch;
    unsigned count;
    struct text text;
};

/** Add one variable, whole or not at all. False: no room. */
static bool put_var(struct env *e, const char *prefix, const char *name, const char *value,
                    size_t len)
{
    size_t start = e->text.len;
    size_t need = strlen(prefix) + strlen(name) + 1 + len + 1;

    /* The last slot is for NEFIA_TRUNCATED. */
    if (e->count + 1 >= ACTION_ENV_VARS || need >= e->text.cap - e->text.len - 32)
        return false;
    text_str(&e->text, prefix);
    text_str(&e->text, name);
    text_char(&e->text, '=');
    text_bytes(&e->text, value, len);
    text_char(&e->text, '\0');
    e->scratch->envp[e->count++] = e->scratch->text + start;
    return true;
}

/** `used-percent` becomes `USED_PERCENT`. */
static void to_variable(char *name, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        char c = name[i];
        bool lower = c >= 'a' && c <= 'z', upper = c >= 'A' && c <= 'Z',
             digit = c >= '0' && c <= '9';
        name[i] = lower ? (char)(c - 'a' + 'A') : upper || digit ? c : '_';
    }
}

/** The name for a key of data, however that was escaped. */
static void variable_name(char name[KEY_MAX + 1], const struct json_doc *doc, unsigned key)
{
    struct text t;

    text_init(&t, name, KEY_MAX + 1);
    (void)json_string(doc, key, &t); /* a longer key is cut */
    to_variable(name, t.len);
}

static bool has_var(const struct env *e, const char *prefix, const char *name)
{
    size_t p = strlen(prefix), n = strlen(name);

    for (unsigned i = 0; i < e->count; i++) {
        const char *var = e->scratch->envp[i];
        if (strncmp(var, prefix, p) == 0 && strncmp(var + p, name, n) == 0 && var[p + n] == '=')
            return true;
    }
    return false;
}

/** Room for the last variable's value: the rest of the text, so that strings are unescaped in
 * place. */
static bool put_string_var(struct env *e, const char *prefix, const char *name,
                           const struct json_doc *doc, unsigned value)
{
    size_t start = e->text.len;

    if (!put_var(e, prefix, name, "", 0))
        return false;
    text_rewind(&e->text, e->text.len - 1);
    size_t from = e->text.len;
    int err = json_string(doc, value, &e->text);
    bool fits = err >= 0 && e->text.cap - e->text.len > 32;
    /* A value with a NUL in it cannot be an environment variable. */
    if (!fits || memchr(e->text.buf + from, '\0', e->text.len - from)) {
        text_rewind(&e->text, start);
        e->count--;
        return fits;
    }
    text_char(&e->text, '\0');
    return true;
}

/** Add one member of data. Objects, arrays and null are skipped. False: no room. */
static bool put_member(struct env *e, const struct json_doc *doc, unsigned key)
{
    static const char prefix[] = "NEFIA_DATA_";
    const struct json_token *value = json_at(doc, key + 1);
    char name[KEY_MAX + 1];

    if (value->type == JSON_OBJECT || value->type == JSON_ARRAY || value->type == JSON_NULL)
        return true;
    variable_name(name, doc, key);
    /* Of two keys that map to the same name, the first wins. */
    if (has_var(e, prefix, name))
        return true;
    if (value->type == JSON_STRING)
        return put_string_var(e, prefix, name, doc, key + 1);
    struct slice raw = json_raw(doc, key + 1);
    return put_var(e, prefix, name, raw.ptr, raw.len);
}

/** The variables of the device that the event is of. False: no room for all. */
static bool put_device(struct env *e, const struct device *d)
{
    char name[KEY_MAX + 1];
    struct text t;
    bool whole = !d->role || put_var(e, "NEFIA_", "ROLE", d->role, strlen(d->role));

    for (unsigned i = 0; i < d->label_count; i++) {
        const struct host_label *label = &d->labels[i];

        text_init(&t, name, sizeof name);
        text_str(&t, label->key);
        to_variable(name, t.len);
        whole &= put_var(e, "NEFIA_LABEL_", name, label->value, strlen(label->value));
    }
    return whole;
}

/** What led to this command, with its rule, as the events that it leads to are to say. False: no room. */
static bool put_cause(struct env *e, const struct action_request *r)
{
    char cause[EVENT_CAUSE_MAX + 1];
    struct text t;

    if (!IS_ENABLED(CONFIG_HUB_RESTRAINT))
        return true;
    text_init(&t, cause, sizeof cause);
    return event_cause_add(&t, r->event->cause, r->rule) == 0 && put_var(e, "NEFIA_", "CAUSE", t.buf, t.len);
}

static void put_environment(struct env *e, const struct action_request *r)
{
    static const char path[] = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    const struct event *ev = r->event;
    const char *severity = severity_text(ev->severity);
    bool whole = put_var(e, "", "PATH", path, sizeof path - 1);

    /* Early: what outlives the command is reported with it (survivors.c). */
    whole &= put_var(e, "NEFIA_", "RULE", r->rule, strlen(r->rule));
    whole &= put_cause(e, r);
    whole &= put_var(e, "NEFIA_", "EVENT", ev->line.ptr, ev->line.len);
    whole &= put_var(e, "NEFIA_", "TYPE", ev->type.ptr, ev->type.len);
    whole &= put_var(e, "NEFIA_", "HOST", ev->host_id.ptr, ev->host_id.len);
    whole &= put_var(e, "NEFIA_", "SEVERITY", severity, strlen(severity));
    if (IS_ENABLED(CONFIG_HUB_DEVICES))
        whole &= put_device(e, &r->device);
    unsigned end = json_at(&ev->doc, ev->data_token)->next;
    for (unsigned key = ev->data_token + 1; key < end; key = json_at(&ev->doc, key + 1)->next)
        whole &= put_member(e, &ev->doc, key);
    if (!whole)
        e->scratch->envp[e->count++] = "NEFIA_TRUNCATED=1"; /* the last one */
    e->scratch->envp[e->count] = NULL;
}

static void subject(const struct action *a, struct action_subject *out)
{
    const struct exec *exec = (const struct exec *)a->own;

    out->command = exec->command;
    out->on_device = exec->target == TARGET_HOST;
}

/** One variable as a member, if it still fits and leaves room for NEFIA_TRUNCATED and the end. */
static bool put_member_of_op(struct json_writer *w, const char *var)
{
    enum { REST = 32 };
    const struct json_writer before = *w;
    const size_t len = w->out->len, name_len = strcspn(var, "=");
    char name[OP_ENV_NAME + 1];
    struct text t;

    if (name_len > OP_ENV_NAME)
        return false;
    text_init(&t, name, sizeof name);
    text_bytes(&t, var, name_len);
    json_put_string(w, name, var + name_len + 1);
    if (!w->out->truncated && w->out->cap - w->out->len > REST)
        return true;
    *w = before;
    text_rewind(w->out, len);
    return false;
}

static bool is_variable(const char *var, const char *name)
{
    const size_t len = strlen(name);

    return strncmp(var, name, len) == 0 && var[len] == '=';
}

/** The variables that a device is to have: all but PATH and NEFIA_CAUSE, which it makes itself; the event last. What has no room
 * is left out. */
static void put_variables(struct json_writer *w, const struct env *e)
{
    const char *line = NULL;
    unsigned room = OP_ENV - 1; /* for NEFIA_TRUNCATED */
    bool whole = true;

    for (unsigned i = 0; i < e->count; i++) {
        const char *var = e->scratch->envp[i];
        const bool own = is_variable(var, "PATH") || is_variable(var, "NEFIA_CAUSE");

        if (is_variable(var, "NEFIA_EVENT"))
            line = var;
        else if (is_variable(var, "NEFIA_TRUNCATED"))
            whole = false;
        else if (!own && room > 0 && put_member_of_op(w, var))
            room--;
        else
            whole &= own;
    }
    whole &= line && room > 0 && put_member_of_op(w, line);
    if (!whole)
        json_put_string(w, "NEFIA_TRUNCATED", "1");
}

/** For the device of the event, which judges it again. */
static int order(const struct exec *exec, struct env *e, struct text *why)
{
    struct action_scratch *scratch = e->scratch;
    struct json_writer w;
    struct text op;

    text_init(&op, scratch->op, sizeof scratch->op);
    json_begin(&w, &op);
    json_object(&w, NULL);
    json_put_string(&w, "run", exec->command);
    json_put_u64(&w, "timeout_ms", exec->timeout_ms);
    if (op.len > sizeof scratch->op - 64) {
        text_str(why, "the command is too long for a device");
        return NEFIA_ETOOBIG;
    }
    json_object(&w, "env");
    put_variables(&w, e);
    json_end_object(&w);
    json_end_object(&w);
    scratch->order = (struct action_order){.op = {op.buf, op.len}, .life_ms = 1000u * exec->life_s};
    return ACTION_SENT;
}

static int start(const struct action_request *r, struct action_scratch *scratch,
                 struct child_spec *spec, struct text *why)
{
    const struct exec *exec = (const struct exec *)r->action->own;
    struct env e = {.scratch = scratch};

    text_init(&e.text, scratch->text, sizeof scratch->text);
    put_environment(&e, r);
    spec->deadline_ms = exec->timeout_ms;
    if (IS_ENABLED(CONFIG_HUB_COMMANDS) && exec->target == TARGET_HOST)
        return order(exec, &e, why);
    scratch->argv[0] = "/bin/sh";
    scratch->argv[1] = "-c";
    scratch->argv[2] = exec->command;
    scratch->argv[3] = NULL;
    spec->argv = scratch->argv;
    spec->envp = scratch->envp;
    return ACTION_CHILD;
}

static enum action_outcome judge(const struct child_result *r, const char *output,
                                 uint64_t timeout_ms, struct text *error)
{
    (void)output;
    if (r->timed_out) {
        text_str(error, "timed out after ");
        text_duration(error, timeout_ms);
    } else if (r->signal) {
        text_str(error, "signal ");
        text_u64(error, (uint64_t)r->signal);
    } else if (r->exit_code) {
        text_str(error, "exit ");
        text_u64(error, (uint64_t)r->exit_code);
    } else {
        return ACTION_DONE;
    }
    return ACTION_FAILED;
}

const struct action_class action_exec = {
    .name = "exec",
    .fields = fields,
    .size = ACTION_SIZE(struct exec),
    .jobs = CONFIG_EXEC_JOBS,
    .running = CONFIG_EXEC_RUNNING,
    .logs_output = true,
    .bind = check_target,
    .subject = subject,
    .start = start,
    .judge = judge,
};
