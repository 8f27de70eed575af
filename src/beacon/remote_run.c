/* Commands from the hub, carried out: REMOTE_EXEC. */
#include "nefia/beacon/remote_run.h"

#include <string.h>

#include "nefia/base/err.h"
#include "nefia/beacon/beacon.h"
#include "nefia/sys/log.h"

#define POOL_PROGRAM_BEACON
#include "nefia/base/pool.h"

_Static_assert(sizeof(struct remote_scratch) <= sizeof pool_config_nodes,
               "a command is read where the configuration's tree is read: raise CONFIG_BEACON_CONFIG_NODES");

/** The configuration's tree is needed only while it is read. */
static struct remote_scratch *scratch(void)
{
    return (struct remote_scratch *)(void *)pool_config_nodes;
}

/* ---- What led to it ---- */

/** The first name at or behind `at` in a raw array, with its quotes; empty: there is none. */
static struct slice name_at(struct slice array, size_t at)
{
    while (at < array.len && array.ptr[at] != '"')
        at++;
    size_t end = at + 1;
    while (end < array.len && array.ptr[end] != '"')
        end += array.ptr[end] == '\\' ? 2 : 1;
    return end < array.len ? (struct slice){array.ptr + at, end + 1 - at} : (struct slice){NULL, 0};
}

static bool has_name(struct slice array, struct slice name)
{
    for (size_t at = 1; at + name.len < array.len; at++)
        if (memcmp(array.ptr + at, name.ptr, name.len) == 0)
            return true;
    return false;
}

/** Return: false: there is no room. */
static bool add_name(struct remote_run *run, struct slice name)
{
    const bool first = run->cause_len == 2;

    if (has_name((struct slice){run->cause, run->cause_len}, name))
        return true;
    if (run->causes == EVENT_CAUSES - 1 || run->cause_len + name.len + !first > sizeof run->cause)
        return false; /* on an event with EVENT_CAUSES no rule acts */
    run->causes++;
    char *at = run->cause + run->cause_len - 1;
    if (!first)
        *at++ = ',';
    memcpy(at, name.ptr, name.len);
    at[name.len] = ']';
    run->cause_len += name.len + !first;
    return true;
}

static void note_word(struct remote_run *run, const char *s, size_t len)
{
    run->about[run->about_next++ % REMOTE_ABOUT] = hash_bytes(HASH_START, s, len);
}

/** Each word of a command line, as far as quoting does not matter. */
static void note_words(struct remote_run *run, const char *s)
{
    static const char between[] = " \t\n;&|<>(){}\"'`$=,";

    for (size_t len; *s; s += len + (s[len] != '\0')) {
        len = strcspn(s, between);
        if (len > 0)
            note_word(run, s, len);
    }
}

/** What it has to do with: what it names, and what the event was about that set it off. */
static void note_op(struct remote_run *run, const struct op *op)
{
    const char *const named[] = {op->service, op->path};

    if (op->run)
        note_words(run, op->run);
    for (unsigned i = 0; op->argv[i]; i++)
        note_word(run, op->argv[i], strlen(op->argv[i]));
    for (unsigned i = 0; i < ARRAY_SIZE(named); i++)
        if (named[i])
            note_word(run, named[i], strlen(named[i]));
    for (unsigned i = 0; i < op->env_count; i++) {
        const char *value = strchr(op->env[i], '=') + 1;
        note_word(run, value, strlen(value));
    }
}

/** What is emitted from now on has this cause, if it is about what the op has to do with. What an earlier command led to may still come:
 * its names stay, if there is room. */
static void begin_cause(struct beacon *b, struct slice cause, const struct op *op)
{
    struct beacon_pipeline *p = &b->pipeline;
    struct remote_run *run = pool_remote;
    bool room = clock_ms(b->loop.clock) < p->cause_until_ms && run->cause_len > 0;
    struct slice name;

    if (!room)
        memset(run->about, 0, sizeof run->about);
    note_op(run, op);
    if (cause.len > sizeof run->cause)
        cause.len = 0;
    for (size_t at = 0; room && (name = name_at(cause, at)).len > 0; at = (size_t)(name.ptr + name.len - cause.ptr))
        room = add_name(run, name);
    if (!room) {
        memcpy(run->cause, cause.ptr ? cause.ptr : "", cause.len);
        run->cause_len = cause.len;
        run->causes = 0;
        for (size_t at = 0; (name = name_at(cause, at)).len > 0; at = (size_t)(name.ptr + name.len - cause.ptr))
            run->causes++;
    }
    p->cause = (struct slice){run->cause, run->cause_len};
    p->cause_until_ms = UINT64_MAX;
    p->about = run->about;
    p->about_count = REMOTE_ABOUT;
}

static void end_cause(struct beacon *b)
{
    b->pipeline.cause_until_ms = clock_ms(b->loop.clock) + REMOTE_CAUSE_MS;
}

/** The command has it in its environment, unless it brings its own. */
static bool put_cause(struct remote_scratch *s, struct slice cause)
{
    const size_t at = s->text.len;

    for (unsigned i = 0; i < s->op.env_count; i++)
        if (strncmp(s->op.env[i], EVENT_CAUSE_VARIABLE "=", sizeof EVENT_CAUSE_VARIABLE) == 0)
            return true;
    if (cause.len == 0)
        return true;
    if (s->op.env_count == OP_ENV)
        return false;
    text_str(&s->text, EVENT_CAUSE_VARIABLE "=");
    text_bytes(&s->text, cause.ptr, cause.len);
    s->op.env[s->op.env_count++] = s->text.buf + at;
    return !s->text.truncated;
}

/* ---- May it be done ---- */

static void set_place(struct beacon *b, struct remote_scratch *s)
{
    s->use = (struct policy_use){&pool_device_policies[b->current].policy, (struct policy_work *)(void *)pool_work};
    s->place = (struct op_place){.guard = {policy_judge, &s->use},
                                 .host = b->pipeline.host_id,
                                 .helper = b->helper.fd,
                                 .state_dir = beacon_settings(b)->state_dir,
                                 .work = s->work,
                                 .work_cap = sizeof s->work};
}

/** Into the scratch, where its texts come behind those that are there. */
static int read_op(struct remote_scratch *s, struct op *op, struct slice json, struct text *why)
{
    const char *sentence;
    const int err = op_read(op, json, &s->text, s->tokens, OP_TOKENS, &sentence);

    if (err < 0)
        text_str(why, sentence);
    return err;
}

/** What undoes a step is no way round the longest time either. */
static bool is_short(const struct beacon *b, const struct op *op, struct text *why)
{
    if (op->timeout_ms <= beacon_settings(b)->remote.timeout_max_ms)
        return true;
    text_str(why, "its timeout is longer than beacons.remote.timeout_max");
    return false;
}

static bool is_allowed(struct beacon *b, struct remote_scratch *s, const struct op *op, struct text *why)
{
    struct verdict v;

    set_place(b, s);
    const bool allowed = op_allowed(op, &s->place, &v, why);
    if (allowed && v.kind == VERDICT_NOTIFY) {
        char reason[LINK_REASON_MAX + 1];
        struct text t;
        text_init(&t, reason, sizeof reason);
        verdict_text(&t, &v);
        LOG_WARN("the policy would not allow the next command: ", reason);
    }
    return allowed;
}

/** For the log and `status`. */
static void put_what(struct remote_scratch *s, struct text *what)
{
    static const char words[] = "run\0argv\0service\0file\0restore\0wait_for\0undo\0";
    const struct op *op = &s->op;
    const char *command, *paths[2];
    struct text t;

    text_init(&t, s->work, sizeof s->work);
    (void)op_subject(op, &t, &command, paths);
    if (!command) {
        text_str(what, word_at(words, op->kind));
        command = op->path ? op->path : op->port ? op->port : op->service ? op->service : op->undo_run;
        text_char(what, ' ');
    }
    if (command)
        text_printable(what, command, strlen(command));
}

static enum link_outcome prepare(void *arg, const struct link_command *c, struct text *what, struct text *why)
{
    struct remote_scratch *s = scratch();
    struct beacon *b = arg;

    text_init(&s->text, s->strings, sizeof s->strings);
    if (read_op(s, &s->op, c->op, why) < 0 || !is_short(b, &s->op, why))
        return LINK_UNSUPPORTED;
    if (!put_cause(s, c->cause)) {
        text_str(why, "its environment has no room for " EVENT_CAUSE_VARIABLE);
        return LINK_UNSUPPORTED;
    }
    put_what(s, what);
    if (!is_allowed(b, s, &s->op, why))
        return LINK_DENIED;
    pool_remote->cause_of_next = c->cause;
    return LINK_DONE;
}

/* ---- Its process ---- */

/** What is in the scratch was allowed. Return: it runs; false: with a sentence in why. */
static bool start_child(struct beacon *b, struct remote_scratch *s, char *output, size_t cap,
                        void (*done)(void *arg, const struct child_result *r), struct text *why)
{
    struct child_spec spec;

    /* The process may write to its copy of whatever we have. */
    s->place.work = pool_delivery_line;
    s->place.work_cap = sizeof pool_delivery_line;
    if (op_child(&s->op, &s->place, &spec, why) < 0)
        return false;
    spec.output = output;
    spec.output_cap = cap;
    if (child_start(&b->children, &spec, done, b) >= 0)
        return true;
    text_str(why, "no child process available");
    return false;
}

static void finish(struct beacon *b, const struct remote_end *end)
{
    undo_step_ended(pool_undo);
    remote_ended(&pool_remote->remote, end);
    end_cause(b);
}

/* ---- A run that is undone ---- */

static void undo_ended(void *arg, const struct child_result *r);

/** Carry out one op that undoes a step. Return: it runs; false: with a sentence in why. */
static bool run_undo_op(struct beacon *b, struct slice json, struct text *why)
{
    struct remote_scratch *s = scratch();

    text_init(&s->text, s->strings, sizeof s->strings);
    if (read_op(s, &s->op, json, why) < 0 || !is_allowed(b, s, &s->op, why))
        return false;
    begin_cause(b, undo_cause(pool_undo), &s->op);
    (void)put_cause(s, undo_cause(pool_undo));
    return start_child(b, s, pool_remote->undo_output, REMOTE_UNDO_OUTPUT, undo_ended, why);
}

/** Undo until a process runs, or everything is undone. */
static void undo_on(struct beacon *b)
{
    char buf[UNDO_ERROR + 1];
    struct slice op;
    struct text why;

    while ((op = undo_next(pool_undo)).len > 0) {
        text_init(&why, buf, sizeof buf);
        if (run_undo_op(b, op, &why))
            return;
        undo_op_ended(pool_undo, why.buf);
    }
    if (!pool_remote->remote.running)
        end_cause(b);
    if (!pool_remote->waits_for_undo)
        return;
    pool_remote->waits_for_undo = false;
    finish(b, &(struct remote_end){.exit_code = undo_failed(pool_undo) > 0});
    uplink_kick(&b->uplink);
}

static void undo_ended(void *arg, const struct child_result *r)
{
    struct beacon *b = arg;
    char buf[UNDO_ERROR + 1];
    struct text why;

    text_init(&why, buf, sizeof buf);
    if (r->exit_code != 0) {
        text_str(&why, r->timed_out ? "timed out: " : "exit status ");
        text_u64(&why, (uint64_t)r->exit_code);
        text_str(&why, ": ");
        pool_remote->undo_output[r->output_len] = '\0';
        text_printable(&why, pool_remote->undo_output, strcspn(pool_remote->undo_output, "\n"));
    }
    undo_op_ended(pool_undo, why.buf);
    undo_on(b);
}

static void wake(void *arg)
{
    undo_on(arg);
}

/** An op of a run that is to be begun could be done here. */
static int judge_undo_op(void *arg, struct slice json, struct text *why)
{
    struct remote_scratch *s = scratch();
    const size_t before = s->text.len;
    struct op op;
    int err = read_op(s, &op, json, why);

    if (err == 0 && op.kind == OP_UNDO) {
        text_str(why, "an undo undoes nothing");
        err = NEFIA_EINVAL;
    }
    if (err == 0 && !is_short(arg, &op, why))
        err = NEFIA_EINVAL;
    if (err == 0 && !is_allowed(arg, s, &op, why))
        err = NEFIA_EAUTH;
    text_rewind(&s->text, before);
    return err;
}

static enum link_outcome do_undo(struct beacon *b, struct text *why)
{
    struct remote_scratch *s = scratch();
    const struct op *op = &s->op;
    int err;

    if (op->undo == OP_UNDO_BEGIN)
        err = undo_begin(pool_undo, op, pool_remote->cause_of_next, judge_undo_op, b, s->tokens, OP_TOKENS, why);
    else if (op->undo == OP_UNDO_COMMIT)
        err = undo_commit(pool_undo, op->undo_run, why);
    else
        err = undo_rollback(pool_undo, op->undo_run, why);
    if (err < 0)
        return err == NEFIA_EAUTH ? LINK_DENIED : LINK_UNSUPPORTED;
    begin_cause(b, pool_remote->cause_of_next, op);
    if (op->undo == OP_UNDO_ROLLBACK && undo_next(pool_undo).len > 0)
        pool_remote->waits_for_undo = true;
    else
        finish(b, &(struct remote_end){.exit_code = op->undo == OP_UNDO_ROLLBACK && undo_failed(pool_undo) > 0});
    return LINK_DONE;
}

/* ---- A command ---- */

static void ended(void *arg, const struct child_result *r)
{
    const struct remote_end end = {.exit_code = (uint8_t)r->exit_code,
                                   .signal = (uint8_t)r->signal,
                                   .timed_out = r->timed_out,
                                   .ms = r->duration_ms,
                                   .bytes = r->output_total,
                                   .output_len = r->output_len};
    struct beacon *b = arg;

    finish(b, &end);
    uplink_kick(&b->uplink);
}

static enum link_outcome start(void *arg, struct text *why)
{
    struct remote_scratch *s = scratch();
    struct beacon *b = arg;
    const struct op *op = &s->op;

    if (op->kind == OP_UNDO)
        return do_undo(b, why);
    if (op->step_of && undo_step_begins(pool_undo, op->step_of, op->step, why) < 0)
        return LINK_UNSUPPORTED;
    begin_cause(b, pool_remote->cause_of_next, op);
    if (start_child(b, s, pool_remote->remote.output, REMOTE_OUTPUT, ended, why))
        return LINK_DONE;
    if (op->step_of)
        undo_step_ended(pool_undo);
    end_cause(b);
    return LINK_UNSUPPORTED;
}

/* ---- The program ---- */

void beacon_remote_wire(struct beacon *b)
{
    const struct remote_hooks hooks = {.prepare = prepare, .start = start, .arg = b};

    remote_init(&pool_remote->remote, &hooks, b->loop.clock);
    undo_init(pool_undo, &b->pipeline, wake, b);
    pool_session->remote = &pool_remote->remote;
}

void beacon_remote_open(struct beacon *b, const char *dir)
{
    remote_open(&pool_remote->remote, b->pipeline.boot, dir);
    if (dir && dir[0])
        undo_load(pool_undo, b->state_fd, pool_work);
}

void beacon_remote_check(struct beacon *b)
{
    struct config *c = &b->config;

    if (beacon_loaded(b)->remote.enabled && !b->next_key.set)
        config_error(c, node_child(c, node_child(c, c->nodes, "beacons"), "remote"), "beacons.remote",
                     HINTED("needs a key", ": without one anybody could send commands; set beacons.hmac_key_file"), (char *)0);
}

void beacon_remote_apply(struct beacon *b)
{
    pool_remote->remote.takes = beacon_settings(b)->remote.enabled;
    pool_remote->remote.dir = beacon_settings(b)->state_dir;
}

void beacon_remote_close(struct beacon *b)
{
    (void)b;
    undo_close(pool_undo);
}
