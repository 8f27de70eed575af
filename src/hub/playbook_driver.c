#include "nefia/hub/playbook_driver.h"

#include <bearssl_hash.h>
#include <errno.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "nefia/base/err.h"
#include "nefia/control/control.h"
#include "nefia/hub/dispatch.h"
#include "nefia/sys/cli.h"
#include "nefia/sys/log.h"
#include "nefia/sys/random.h"

enum {
    REPORT_MS = 10000,       /* for the hub's answer to a report */
    AGAIN_MS = 1000,         /* until a hub that was not there is asked again */
    ASK_MS = 15000,          /* what became of an op */
    TOO_LATE = 125,          /* of the process that asks the hub: it was not there, or had no room */
    NOT_BEGUN = 126,         /* and: it has refused it */
    CANNOT_CARRY_OUT = 127,  /* as in shells */
    INTERRUPTED = NEFIA_ECLOSED,
};

static const char *outcome_word(enum play_outcome o)
{
    return word_at(play_outcome_words, o);
}

static void set_error(struct playbook_driver *d, const char *what, const char *why)
{
    struct text t;

    text_init(&t, d->error, sizeof d->error);
    text_str(&t, what);
    text_str(&t, why);
}

/* ---- Waiting ---- */

static void on_signal(void *arg, int signo)
{
    struct playbook_driver *d = arg;

    if (signo == SIGCHLD)
        children_reap(&d->children);
    else if (signo == SIGTERM || signo == SIGINT)
        d->interrupted = true;
    else if (signo == SIGUSR1)
        d->stopping = true;
}

static void limit_passed(void *arg)
{
    struct playbook_driver *d = arg;

    d->overdue = true;
}

static void pause_over(void *arg)
{
    struct playbook_driver *d = arg;

    d->paused = false;
}

/** May the run not go on as it would? Its rollbacks have a time of their own. */
static bool is_stopped(const struct playbook_driver *d)
{
    return d->interrupted || d->overdue;
}

/** Return: 0, or INTERRUPTED. */
static int wait_ms(struct playbook_driver *d, uint64_t ms)
{
    d->paused = ms > 0;
    if (d->paused)
        timer_start(&d->loop, &d->pause, ms, pause_over, d);
    while (d->paused && !is_stopped(d) && !d->stopping)
        loop_turn(&d->loop, -1);
    timer_stop(&d->pause);
    return is_stopped(d) || d->stopping ? INTERRUPTED : 0;
}

static void child_ended(void *arg, const struct child_result *r)
{
    struct playbook_driver *d = arg;

    d->result = *r;
    d->ended = true;
}

/** In the op's process: it must not outlive the driver. */
static int become_op(void *arg)
{
    const struct playbook_driver *d = arg;
    const struct child_spec *s = &d->spec;

    prctl(PR_SET_PDEATHSIG, (unsigned long)SIGKILL, 0ul, 0ul, 0ul);
    if (getppid() != d->pid)
        return CANNOT_CARRY_OUT;
    if (s->run)
        return s->run(s->run_arg);
    execve(s->argv[0], (char *const *)(uintptr_t)s->argv, (char *const *)(uintptr_t)s->envp);
    LOG_ERROR("cannot run ", s->argv[0], ": ", ERRNO(errno));
    return CANNOT_CARRY_OUT;
}

/** Run d->spec to its end. Return: 0: d->result, d->answer; INTERRUPTED: it was killed; NEFIA_EIO (errno). */
static int run_child(struct playbook_driver *d)
{
    struct child_spec spec = d->spec;

    spec.argv = NULL;
    spec.run = become_op;
    spec.run_arg = d;
    spec.output = d->answer;
    spec.output_cap = sizeof d->answer - 1;
    d->ended = false;
    d->pid = getpid();
    int err = child_start(&d->children, &spec, child_ended, d);
    if (err < 0)
        return NEFIA_EIO;
    while (!d->ended && !is_stopped(d))
        loop_turn(&d->loop, -1);
    if (!d->ended) {
        children_kill_all(&d->children);
        return INTERRUPTED;
    }
    d->answer_len = d->result.output_len;
    d->answer[d->answer_len] = '\0';
    return 0;
}

/* ---- Reports ---- */

static bool is_full(const struct text *why)
{
    return strncmp(why->buf, CONTROL_FULL, sizeof CONTROL_FULL - 1) == 0;
}

/** Have the hub record it. Return: 0, or negative with a sentence in d->error. */
static int record(struct playbook_driver *d, const struct audit_step *s, bool insist)
{
    char why_buf[256];
    struct text line, why;
    int err;

    text_init(&why, why_buf, sizeof why_buf);
    text_init(&line, d->request, sizeof d->request);
    playbook_report_put(&line, s);
    /* A hub that starts anew is back soon, and one that has as many clients as it takes is free again. */
    for (unsigned tries = 0;; tries++) {
        err = control_request(d->o->control_socket, line.buf, d->answer, sizeof d->answer, NULL, NULL, REPORT_MS, &why);
        if (!(is_full(&why) || (err < 0 && !insist)) || tries == REPORT_MS / AGAIN_MS || is_stopped(d))
            break;
        (void)wait_ms(d, AGAIN_MS);
    }
    if (err == 0)
        return 0;
    set_error(d, "not recorded by the hub: ", why_buf);
    return NEFIA_EIO;
}

static void tell(const struct playbook_driver *d, struct playbook_progress *p)
{
    p->run = d->run->id;
    if (d->o->progress)
        d->o->progress(d->o->arg, p);
}

/** Of the run as a whole. first: it must be recorded. Return: 0, or negative with a sentence in d->error. */
static int report_run(struct playbook_driver *d, enum play_outcome outcome, const char *error, bool first)
{
    const struct playbook_order *o = d->o;
    struct playbook_progress p = {.host = o->values.host, .outcome = outcome, .error = error};
    char kept[sizeof d->error];
    const struct audit_step s = {
        .run = d->run->id,
        .playbook = o->memory->book.name,
        .host = o->values.host,
        .rule = o->rule,
        .outcome = outcome_word(outcome),
        .error = *error ? error : NULL,
    };

    tell(d, &p);
    memcpy(kept, d->error, sizeof kept);
    int err = record(d, &s, first);
    if (err < 0 && !first)
        LOG_WARN(d->error);
    if (err == 0 || !first)
        memcpy(d->error, kept, sizeof kept);
    return err;
}

static enum play_outcome outcome_of(enum link_outcome outcome, bool good)
{
    if (outcome == LINK_DENIED)
        return OUTCOME_DENIED;
    if (outcome == LINK_END_UNKNOWN)
        return OUTCOME_UNKNOWN;
    return good ? OUTCOME_DONE : OUTCOME_FAILED;
}

/** "exit 3", "timed out", "denied: …", with the attempt where there are several. */
static void put_result(struct text *t, const struct playbook_driver *d)
{
    const struct playbook_todo *todo = &d->todo;

    if (d->outcome != LINK_DONE) {
        text_str(t, word_at(link_outcome_words, d->outcome));
        text_str(t, *d->reason ? ": " : "");
        text_str(t, d->reason);
    } else if (d->result.timed_out) {
        text_str(t, "timed out after ");
        text_duration(t, todo->op.timeout_ms);
    } else if (d->result.signal) {
        text_str(t, "signal ");
        text_u64(t, (uint64_t)d->result.signal);
    } else if (d->result.exit_code) {
        text_str(t, "exit ");
        text_u64(t, (uint64_t)d->result.exit_code);
    }
    if (t->len > 0 && todo->attempts > 1) {
        text_str(t, ", attempt ");
        text_u64(t, todo->attempt);
        text_str(t, " of ");
        text_u64(t, todo->attempts);
    }
}

static const char *host_of(const struct playbook_driver *d)
{
    return d->todo.on_hub ? d->o->hub : d->o->values.host;
}

static void begin_progress(const struct playbook_driver *d, struct playbook_progress *p, enum play_outcome outcome, const char *error)
{
    const struct playbook_todo *todo = &d->todo;
    const bool counts = todo->part == PLAYBOOK_STEP;

    *p = (struct playbook_progress){
        .host = todo->on_hub ? NULL : d->o->values.host,
        .part = word_at(playbook_part_words, todo->part),
        .step = todo->name,
        .number = counts ? todo->step + 1u : 0,
        .of = counts ? d->o->memory->book.step_count : 0,
        .attempt = todo->attempt,
        .attempts = todo->attempts,
        .outcome = outcome,
        .error = error,
    };
}

/** Of the op that was handed out; ran: d->result counts. */
static void report_step(struct playbook_driver *d, enum play_outcome outcome, const char *error, bool ran)
{
    const struct playbook_todo *todo = &d->todo;
    struct playbook_progress p;
    const struct audit_step s = {
        .run = d->run->id,
        .playbook = d->o->memory->book.name,
        .step = todo->name,
        .part = todo->part == PLAYBOOK_STEP ? NULL : word_at(playbook_part_words, todo->part),
        .host = host_of(d),
        .rule = d->o->rule,
        .outcome = outcome_word(outcome),
        .error = *error ? error : NULL,
        .has_result = ran,
        .exit = (uint8_t)d->result.exit_code,
        .duration_ms = d->result.duration_ms,
    };

    begin_progress(d, &p, outcome, error);
    p.result = ran ? &d->result : NULL;
    tell(d, &p);
    if (record(d, &s, false) < 0)
        LOG_WARN(d->error);
    d->error[0] = '\0';
}

/* ---- The position ---- */

/** What the run is for: a position is only good for the same. */
static uint64_t print_of(const struct playbook_values *v)
{
    uint8_t hash[br_sha256_SIZE];
    br_sha256_context sha;
    uint64_t print = 0;

    br_sha256_init(&sha);
    br_sha256_update(&sha, v->host, strlen(v->host) + 1);
    br_sha256_update(&sha, v->on_hub ? "hub" : "host", 4);
    for (unsigned i = 0; i < v->set_count; i++)
        br_sha256_update(&sha, v->sets[i], strlen(v->sets[i]) + 1);
    if (v->event)
        br_sha256_update(&sha, v->event->line.ptr, v->event->line.len);
    br_sha256_out(&sha, hash);
    for (unsigned i = 0; i < 6; i++) /* an integer that every reader of JSON has */
        print = print << 8 | hash[i];
    return print;
}

/** Return: 0, or NEFIA_EIO with a sentence in d->error: the op must not begin. */
static int keep_position(struct playbook_driver *d)
{
    struct json_writer w;
    struct text t;

    text_init(&t, d->position + PLAYBOOK_FILE_HEAD, sizeof d->position - PLAYBOOK_FILE_HEAD - 1);
    json_begin(&w, &t);
    json_object(&w, NULL);
    json_put_string(&w, "id", d->run->id);
    json_put_string(&w, "path", d->o->path);
    json_put_u64(&w, "for", d->print);
    json_put_u64(&w, "ops", d->ops);
    playbook_save(d->run, &w, "position");
    json_end_object(&w);
    if (!t.truncated && playbook_file_store(&d->file, d->position, t.len) == 0)
        return 0;
    set_error(d, "cannot keep the position of the run: ", t.truncated ? "it is too long" : ERRNO(errno));
    return NEFIA_EIO;
}

static bool member_u64(const struct json_doc *doc, unsigned object, const char *name, uint64_t *out)
{
    const int at = json_member(doc, object, name);
    int64_t n;

    if (at < 0 || json_i64(doc, (unsigned)at, &n) < 0 || n < 0)
        return false;
    *out = (uint64_t)n;
    return true;
}

/** Take up the position of len bytes that was loaded. Return: 0, or NEFIA_EINVAL with a sentence in d->error. */
static int restore(struct playbook_driver *d, size_t len)
{
    const struct playbook_order *o = d->o;
    const char *why = "it is damaged";
    struct json_doc doc;
    uint64_t print = 0;

    int err = json_parse(&doc, d->position + PLAYBOOK_FILE_HEAD, len, d->tokens, ARRAY_SIZE(d->tokens), JSON_MAX_DEPTH, NULL);
    const int position = err < 0 ? err : json_member(&doc, 0, "position");
    if (position < 0 || !member_u64(&doc, 0, "for", &print) || !member_u64(&doc, 0, "ops", &d->ops)) {
        set_error(d, "its position cannot be read: ", why);
        return NEFIA_EINVAL;
    }
    if (print != d->print) {
        set_error(d, "its position is of another target, event or variables", "");
        return NEFIA_EINVAL;
    }
    /* The tokens are those of the whole: the engine reads its part anew. */
    const struct slice json = json_raw(&doc, (unsigned)position);
    if (playbook_restore(d->run, &o->memory->book, &o->values, json, d->tokens, ARRAY_SIZE(d->tokens), &why) == 0)
        return 0;
    set_error(d, "its position cannot be taken up: ", why);
    return NEFIA_EINVAL;
}

/* ---- Ops on a device ---- */

/** The id of the op's command: the same each time it is asked for, over restarts too, so that it is carried out once. */
static uint64_t command_id(const struct playbook_driver *d)
{
    uint8_t hash[MAC_BYTES];
    char buf[OP_RUN_ID + 24];
    uint64_t id = 0;
    struct text t;

    text_init(&t, buf, sizeof buf);
    text_str(&t, d->run->id);
    text_char(&t, ' ');
    text_u64(&t, d->ops);
    mac_hash(buf, t.len, hash);
    for (unsigned i = 0; i < sizeof id; i++)
        id = id << 8 | hash[i];
    return id;
}

/** The request for it; life_ms 0: only asks what became of it. Return: 0, or NEFIA_ETOOBIG. */
static int put_exec(struct playbook_driver *d, uint64_t life_ms)
{
    const struct playbook_order *o = d->o;
    struct json_writer w;
    struct text t;

    text_init(&t, d->request, sizeof d->request);
    text_str(&t, "exec ");
    json_begin(&w, &t);
    json_object(&w, NULL);
    json_put_string(&w, "host", o->values.host);
    json_put_hex64(&w, "id", command_id(d));
    json_put_u64(&w, "life_ms", life_ms);
    if (o->cause.len > 0)
        json_put_raw(&w, "cause", o->cause.ptr, o->cause.len);
    if (o->rule)
        json_put_string(&w, "rule", o->rule);
    op_write(&d->todo.op, &w, "op");
    json_end_object(&w);
    return t.truncated ? NEFIA_ETOOBIG : 0;
}

/** In the op's process: hand a record on, of the output the first one, which has as much as a run remembers. */
static int print_record(void *arg, const char *json, size_t len)
{
    struct playbook_driver *d = arg;
    const bool output = len > 10 && memcmp(json, "{\"output\":", 10) == 0;

    if (output && d->answer_len++ > 0)
        return 0;
    return cli_write(STDOUT_FILENO, json, len) < 0 || cli_write(STDOUT_FILENO, "\n", 1) < 0 ? NEFIA_EIO : 0;
}

/** In the op's process: have the hub do it, and print what became of it. A hub that starts anew is asked again, and one that has no room
 * while the op may still begin. Return: an exit status: TOO_LATE, NOT_BEGUN: it has surely not begun. */
static int ask_hub(void *arg)
{
    struct playbook_driver *d = arg;
    bool taken = d->life_ms == 0; /* the hub may have taken it before */
    char why_buf[256];
    struct text why;
    bool later;
    int err;

    text_init(&why, why_buf, sizeof why_buf);
    for (uint64_t waited = 0;; waited += AGAIN_MS) {
        d->answer_len = 0;
        err = control_request(d->o->control_socket, d->request, d->answer, sizeof d->answer, print_record, d, 0, &why);
        later = d->answer_len == 0 && (err < 0 || is_full(&why) || str_eq(why_buf, DISPATCH_FULL));
        taken |= err == NEFIA_ECLOSED;
        if (!later || (!taken && waited >= d->life_ms))
            break;
        poll(NULL, 0, AGAIN_MS);
    }
    if (why.len > 0)
        (void)cli_print(STDOUT_FILENO, why_buf, (char *)0);
    if (taken || why.len == 0)
        return err < 0 ? CANNOT_CARRY_OUT : 0;
    return later ? TOO_LATE : NOT_BEGUN;
}

static void set_reason(struct playbook_driver *d, const char *s, size_t len)
{
    struct text t;

    text_init(&t, d->reason, sizeof d->reason);
    text_printable(&t, s, len);
}

/** What the op comes to without having been carried out. */
static int end_as(struct playbook_driver *d, enum link_outcome outcome, const char *why)
{
    d->outcome = outcome;
    d->answer_len = 0;
    d->result = (struct child_result){0};
    set_reason(d, why, strlen(why));
    return 0;
}

/** The hub's record of what became of a command. Return: false: it is none. */
static bool read_result(struct playbook_driver *d, const struct json_doc *doc)
{
    const int result = json_member(doc, 0, "result");
    const int outcome = result < 0 ? result : json_member(doc, (unsigned)result, "outcome");
    const int word = outcome < 0 ? outcome : word_index(link_outcome_words, json_raw(doc, (unsigned)outcome));
    uint64_t n = 0;
    struct text t;

    if (word < 0)
        return false;
    const unsigned r = (unsigned)result;
    const int reason = json_member(doc, r, "reason"), timed_out = json_member(doc, r, "timed_out");
    d->outcome = (enum link_outcome)word;
    d->result = (struct child_result){.timed_out = timed_out > 0 && json_at(doc, (unsigned)timed_out)->type == JSON_TRUE};
    text_init(&t, d->reason, sizeof d->reason);
    if (reason > 0)
        (void)json_string(doc, (unsigned)reason, &t);
    if (member_u64(doc, r, "exit", &n))
        d->result.exit_code = (int)(n & 0xFF);
    if (member_u64(doc, r, "signal", &n))
        d->result.signal = (int)(n & 0x7F);
    (void)member_u64(doc, r, "ms", &d->result.duration_ms);
    return true;
}

/** Read what ask_hub has printed: the outcome, and the output into d->answer. */
static int read_answer(struct playbook_driver *d)
{
    char *at = d->answer, *const end = d->answer + d->answer_len;
    bool read = false;
    const int status = d->result.exit_code; /* read_result replaces it */
    size_t kept = 0;

    while (at < end) {
        char *newline = memchr(at, '\n', (size_t)(end - at));
        const size_t len = (size_t)((newline ? newline : end) - at);
        struct json_doc doc;

        if (json_parse(&doc, at, len, d->tokens, ARRAY_SIZE(d->tokens), JSON_MAX_DEPTH, NULL) < 0)
            break;
        const int output = json_member(&doc, 0, "output");
        if (output > 0)
            kept = json_unescape(&doc, (unsigned)output, d->answer); /* what is unescaped is no longer */
        else
            read |= read_result(d, &doc);
        at += len + (newline != NULL);
    }
    d->answer_len = kept;
    if (read)
        return 0;
    char line[LINK_REASON_MAX + 1];
    struct text t;
    text_init(&t, line, sizeof line);
    text_printable(&t, at, (size_t)(end - at));
    return end_as(d, status == TOO_LATE ? LINK_EXPIRED : status == NOT_BEGUN ? LINK_DENIED : LINK_END_UNKNOWN,
                  t.len > 0 ? line : "no answer from the hub");
}

/** Have it done on the device. life_ms 0: only find out what became of it. */
static int on_device(struct playbook_driver *d, uint64_t life_ms)
{
    if (put_exec(d, life_ms) < 0)
        return end_as(d, LINK_UNSUPPORTED, "too long for a command");
    d->life_ms = life_ms;
    d->spec = (struct child_spec){
        .run = ask_hub, .run_arg = d, .deadline_ms = life_ms > 0 ? life_ms + d->todo.op.timeout_ms + ASK_MS : ASK_MS};
    int err = run_child(d);
    if (err == INTERRUPTED)
        return err;
    if (err < 0)
        return end_as(d, LINK_DENIED, "cannot start a process");
    return d->result.timed_out ? end_as(d, LINK_END_UNKNOWN, "no answer from the hub in time") : read_answer(d);
}

/* ---- Ops on the hub ---- */

static void put_cause(struct playbook_driver *d)
{
    struct op *op = &d->todo.op;
    struct text t;

    if (d->o->cause.len == 0 || op->env_count == OP_ENV)
        return;
    text_init(&t, d->cause_env, sizeof d->cause_env);
    text_str(&t, "NEFIA_CAUSE=");
    text_bytes(&t, d->o->cause.ptr, d->o->cause.len);
    op->env[op->env_count++] = d->cause_env;
    op->env[op->env_count] = NULL;
}

static int on_hub(struct playbook_driver *d)
{
    const struct playbook_order *o = d->o;
    struct op_place place = {.guard = o->guard,
                             .host = o->hub,
                             .role = o->hub_role,
                             .helper = o->helper,
                             .state_dir = o->state_dir && *o->state_dir ? o->state_dir : NULL,
                             .work = d->work.argv,
                             .work_cap = sizeof d->work.argv};
    char why_buf[LINK_REASON_MAX + 1];
    struct verdict verdict = {.kind = VERDICT_ALLOWED};
    struct text why;

    text_init(&why, why_buf, sizeof why_buf);
    put_cause(d);
    if (!op_allowed(&d->todo.op, &place, &verdict, &why))
        return end_as(d, LINK_DENIED, why.buf);
    if (op_child(&d->todo.op, &place, &d->spec, &why) < 0)
        return end_as(d, LINK_UNSUPPORTED, why.buf);
    int err = run_child(d);
    if (err == NEFIA_EIO)
        return end_as(d, LINK_DENIED, "cannot start a process");
    d->outcome = LINK_DONE;
    d->reason[0] = '\0';
    return err;
}

/* ---- The run ---- */

/** What became of the op: for the engine, the audit and who watches. */
static void take_result(struct playbook_driver *d)
{
    const struct playbook_result result = {
        .outcome = d->outcome,
        .exit = d->result.exit_code,
        .timed_out = d->result.timed_out,
        .output = {d->answer, d->answer_len},
        .reason = *d->reason ? d->reason : NULL,
    };
    char error_buf[PLAYBOOK_WHY_MAX + 1];
    struct text error;

    const enum playbook_judgement judged = playbook_result(d->run, &result);
    text_init(&error, error_buf, sizeof error_buf);
    put_result(&error, d);
    if (judged == PLAYBOOK_IGNORED)
        text_str(&error, ", ignored");
    report_step(d, outcome_of(d->outcome, judged == PLAYBOOK_GOOD), error.buf, d->outcome == LINK_DONE);
}

static uint64_t life_of(const struct playbook_todo *todo)
{
    if (todo->part == PLAYBOOK_UNDO || todo->part == PLAYBOOK_UNDO_ARMED)
        return PLAYBOOK_UNDO_MS;
    return todo->op.timeout_ms > PLAYBOOK_REACH_MS ? todo->op.timeout_ms : PLAYBOOK_REACH_MS;
}

/** Carry the op out. Return: 0; INTERRUPTED; NEFIA_EIO with a sentence in d->error. */
static int carry_out(struct playbook_driver *d)
{
    struct playbook_progress p;

    int err = wait_ms(d, d->todo.delay_ms);
    if (err < 0)
        return err;
    d->ops++;
    err = keep_position(d);
    if (err < 0)
        return err;
    begin_progress(d, &p, OUTCOME_BEGUN, "");
    tell(d, &p);
    err = d->todo.on_hub ? on_hub(d) : on_device(d, life_of(&d->todo));
    if (err < 0)
        return err;
    take_result(d);
    return keep_position(d);
}

/** From here on the run is only undone. */
static void undo_all(struct playbook_driver *d, const char *why)
{
    char kept[sizeof d->error];
    struct text t;

    text_init(&t, kept, sizeof kept);
    text_str(&t, why);
    d->o->memory->book.on_restart = PLAYBOOK_UNDO_ALL;
    playbook_resume(d->run);
    d->overdue = false;
    d->interrupted = false;
    timer_start(&d->loop, &d->limit, PLAYBOOK_UNDO_MS, limit_passed, d);
    memcpy(d->run->why, kept, sizeof kept < sizeof d->run->why ? sizeof kept : sizeof d->run->why);
}

/** The run was interrupted. Return: true: it goes on, with its rollbacks; false: that is all for now. */
static bool go_on(struct playbook_driver *d, bool *undoing)
{
    const struct playbook_order *o = d->o;

    if (d->overdue && !*undoing) {
        *undoing = true;
        undo_all(d, "its time limit is over");
        return true;
    }
    if (o->rule || d->stopping || *undoing || o->memory->book.on_restart == PLAYBOOK_CONTINUE)
        return false;
    *undoing = o->memory->book.on_restart == PLAYBOOK_UNDO_ALL;
    if (*undoing) {
        undo_all(d, "interrupted");
        return true;
    }
    d->interrupted = false;
    playbook_resume(d->run);
    return true;
}

/** Return: PLAYBOOK_END_… */
static int finish(struct playbook_driver *d)
{
    const struct playbook_run *r = d->run;
    const bool done = r->state == PLAYBOOK_DONE;

    set_error(d, done ? "" : r->why, "");
    if (!d->o->rule)
        playbook_file_remove(&d->file);
    else if (keep_position(d) < 0) /* the hub removes it once it knows that the run is over */
        LOG_WARN(d->error);
    set_error(d, done ? "" : r->why, "");
    (void)report_run(d, done ? OUTCOME_DONE : r->undone > 0 && r->state == PLAYBOOK_FAILED ? OUTCOME_ROLLED_BACK : OUTCOME_FAILED,
                     d->error, false);
    return done ? PLAYBOOK_END_DONE : PLAYBOOK_END_FAILED;
}

/** Interrupted, and not to be undone now. */
static int leave(struct playbook_driver *d)
{
    const bool orphan = d->o->parent != 0 && getppid() != d->o->parent;

    set_error(d, "interrupted", "");
    if (orphan)
        return PLAYBOOK_END_KEPT; /* the hub is gone: nobody is there to record it */
    d->interrupted = d->overdue = false;
    if ((d->o->rule && !d->stopping) || d->file.lock < 0) { /* nobody would take it up again */
        playbook_file_remove(&d->file);
        (void)report_run(d, OUTCOME_FAILED, d->error, false);
        return PLAYBOOK_END_FAILED;
    }
    (void)report_run(d, OUTCOME_INTERRUPTED, d->error, false);
    return PLAYBOOK_END_KEPT;
}

static int drive(struct playbook_driver *d)
{
    struct text text;
    bool undoing = false;

    for (;;) {
        text_init(&text, d->o->memory->text, sizeof d->o->memory->text);
        const enum playbook_turn turn = playbook_next(d->run, &d->todo, &text);
        if (turn == PLAYBOOK_OVER)
            return finish(d);
        d->result = (struct child_result){0};
        if (turn != PLAYBOOK_CARRY_OUT) {
            report_step(d, turn == PLAYBOOK_SKIPPED ? OUTCOME_SKIPPED : OUTCOME_FAILED, d->todo.why, false);
            continue;
        }
        const int err = carry_out(d);
        if (err == INTERRUPTED && !go_on(d, &undoing))
            return leave(d);
        if (err < 0 && err != INTERRUPTED) {
            (void)report_run(d, OUTCOME_FAILED, d->error, false);
            return PLAYBOOK_END_FAILED;
        }
    }
}

/** What was in flight when the run was interrupted may be known by now. */
static void ask_again(struct playbook_driver *d)
{
    struct text text;

    text_init(&text, d->o->memory->text, sizeof d->o->memory->text);
    if (!d->run->in_flight || playbook_next(d->run, &d->todo, &text) != PLAYBOOK_CARRY_OUT)
        return;
    if (d->todo.on_hub || on_device(d, 0) < 0 || d->outcome == LINK_BUSY || d->outcome == LINK_END_UNKNOWN) {
        end_as(d, LINK_END_UNKNOWN, "the run was interrupted meanwhile");
        report_step(d, OUTCOME_UNKNOWN, d->reason, false);
        return;
    }
    take_result(d);
}

static int begin_new(struct playbook_driver *d, const char *id)
{
    playbook_begin(d->run, &d->o->memory->book, &d->o->values, id);
    return report_run(d, OUTCOME_BEGUN, "", true) < 0 ? PLAYBOOK_END_REFUSED : drive(d);
}

static int begin_again(struct playbook_driver *d, size_t len)
{
    if (restore(d, len) < 0) {
        char why[sizeof d->error];
        memcpy(why, d->error, sizeof why);
        if (!d->o->rule)
            return PLAYBOOK_END_REFUSED;
        /* It will not be readable the next time either. */
        playbook_begin(d->run, &d->o->memory->book, &d->o->values, "0000000000000000");
        playbook_file_remove(&d->file);
        (void)report_run(d, OUTCOME_UNKNOWN, why, false);
        return PLAYBOOK_END_FAILED;
    }
    if (d->run->state != PLAYBOOK_RUNS) { /* the hub has not heard of its end */
        set_error(d, d->run->state == PLAYBOOK_DONE ? "" : d->run->why, "");
        return d->run->state == PLAYBOOK_DONE ? PLAYBOOK_END_DONE : PLAYBOOK_END_FAILED;
    }
    /* Nobody takes a rule's up a second time: what has begun must not be left because the hub was too busy to record it. */
    if (report_run(d, OUTCOME_RESUMED, "", !d->o->rule) < 0 && !d->o->rule)
        return PLAYBOOK_END_REFUSED;
    ask_again(d);
    playbook_resume(d->run);
    return drive(d);
}

static bool make_id(char id[OP_RUN_ID + 1])
{
    uint8_t bytes[OP_RUN_ID / 2];
    struct text t;

    if (random_bytes(bytes, sizeof bytes) < 0)
        return false;
    text_init(&t, id, OP_RUN_ID + 1);
    text_hex(&t, bytes, sizeof bytes);
    return true;
}

/** May it be run for this? Return: 0, or NEFIA_EINVAL with a sentence in d->error. */
static int check(struct playbook_driver *d)
{
    const struct playbook_order *o = d->o;
    struct text why;

    text_init(&why, d->error, sizeof d->error);
    if (!playbook_takes(&o->memory->book, o->values.host, &d->work.matcher)) {
        set_error(d, "the playbook's `hosts` do not match ", o->values.host);
        return NEFIA_EINVAL;
    }
    return playbook_values_check(&o->memory->book, &o->values, &why);
}

/** Of a rule's run the driver of before the hub's restart may not have ended yet. */
static int open_file(struct playbook_driver *d, const char *name, struct text *why)
{
    for (unsigned tries = 0;; tries++) {
        text_reset(why);
        const int err = playbook_file_open(&d->file, d->o->state_dir, name, why);
        if (err != NEFIA_EEXIST || !d->o->rule || tries == REPORT_MS / AGAIN_MS || wait_ms(d, AGAIN_MS) < 0)
            return err;
    }
}

static int open_and_drive(struct playbook_driver *d)
{
    const struct playbook_order *o = d->o;
    char id[OP_RUN_ID + 1];
    struct text why;

    text_init(&why, d->error, sizeof d->error);
    if (!make_id(id)) {
        text_str(&why, "the kernel has no random numbers yet");
        return PLAYBOOK_END_REFUSED;
    }
    if (open_file(d, o->name ? o->name : id, &why) < 0)
        return PLAYBOOK_END_REFUSED;
    const long len = playbook_file_load(&d->file, d->position, sizeof d->position);
    int end = PLAYBOOK_END_REFUSED;
    if (len > 0) {
        end = begin_again(d, (size_t)len);
    } else if (len != NEFIA_ENOTFOUND) {
        set_error(d, "its position cannot be read: ", len == NEFIA_EIO ? ERRNO(errno) : "it is damaged");
        if (o->rule)
            playbook_file_remove(&d->file);
    } else if (o->must_resume) {
        set_error(d, "there is no interrupted run of that id", "");
    } else {
        end = begin_new(d, id);
    }
    playbook_file_close(&d->file);
    return end;
}

int playbook_drive(struct playbook_driver *d, const struct playbook_order *o)
{
    memset(d, 0, sizeof *d);
    d->o = o;
    d->run = &o->memory->run;
    d->file.lock = -1;
    loop_init(&d->loop, &clock_system, d->found, ARRAY_SIZE(d->found));
    loop_on_signal(&d->loop, on_signal, d);
    children_init(&d->children, &d->loop, &d->child, 1);
    if (o->parent != 0) {
        prctl(PR_SET_PDEATHSIG, (unsigned long)SIGTERM, 0ul, 0ul, 0ul);
        d->interrupted = getppid() != o->parent;
    }
    int end = PLAYBOOK_END_REFUSED;
    if (d->loop.epoll < 0) /* or it would wait for ever */
        set_error(d, "epoll: ", ERRNO(-d->loop.epoll));
    else if (check(d) >= 0) {
        d->print = print_of(&o->values);
        if (o->timeout_ms > 0)
            timer_start(&d->loop, &d->limit, o->timeout_ms, limit_passed, d);
        end = open_and_drive(d);
    }
    loop_end(&d->loop);
    return end;
}
