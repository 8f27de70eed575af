#include "nefia/beacon/undo.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "nefia/base/err.h"
#include "nefia/sys/file.h"
#include "nefia/sys/log.h"

/* Frames of the file. All but BEGIN: be64 run, and a byte. */
enum kind {
    BEGIN = 1, /* be64 run, be32 within_ms, u8 continues, be16 length of the cause; cause and ops as in memory */
    STEP,      /* its number: it begins */
    UNDOING,   /* enum undo_reason */
    OP_ENDED,  /* 0 or 1: it failed */
    COMMITTED, /* 0; nothing before it matters any more */
    SETTLED,   /* enum undo_reason; the same */
};
enum { RUN_BYTES = 8, MARK_BYTES = RUN_BYTES + 1, OP_HEAD = 3 };

const char undo_reason_words[] = "not heard in time\0restart\0asked\0";
static const char state_words[] = "none\0open\0committed\0undoing\0undone\0";

/* ---- The file ---- */

/** A frame of two parts, on disk when this returns. Return: 0; NEFIA_EIO (errno): the file is as before. */
static int append(const struct undo *u, enum kind kind, const void *a, size_t a_len, const void *b, size_t b_len)
{
    uint8_t header[FRAME_HEADER];

    if (u->fd < 0)
        return 0;
    const off_t end = lseek(u->fd, 0, SEEK_END);
    frame_header(header, (uint8_t)kind, a, a_len, b, b_len);
    if (file_append(u->fd, header, sizeof header) == 0 && file_append(u->fd, a, a_len) == 0 &&
        file_append(u->fd, b, b_len) == 0 && fsync(u->fd) == 0)
        return 0;
    const int saved = errno;
    (void)!ftruncate(u->fd, end);
    errno = saved;
    return NEFIA_EIO;
}

static int mark(const struct undo *u, enum kind kind, unsigned value)
{
    uint8_t bytes[MARK_BYTES];

    put_be64(bytes, u->run);
    bytes[RUN_BYTES] = (uint8_t)value;
    return append(u, kind, bytes, sizeof bytes, NULL, 0);
}

/** What must happen although it cannot be noted. */
static void mark_if_possible(const struct undo *u, enum kind kind, unsigned value)
{
    if (mark(u, kind, value) < 0)
        LOG_ERROR("state_dir/" UNDO_FILE ": ", ERRNO(errno), "; after a restart the run is undone once more");
}

/** The run is over. The end is on disk; it now becomes all that there is, so that no later damage of the file opens the run again. */
static void keep_end_only(const struct undo *u, enum kind kind, unsigned value)
{
    if (u->fd >= 0 && ftruncate(u->fd, 0) == 0)
        (void)mark(u, kind, value);
}

static int cannot_keep(struct text *why)
{
    text_str(why, "cannot write state_dir/" UNDO_FILE ": ");
    text_str(why, ERRNO(errno));
    return NEFIA_EIO;
}

/* ---- The ops ---- */

static size_t op_len(const struct undo *u, size_t at)
{
    return get_be16((const uint8_t *)u->bytes + at + 1);
}

static struct slice op_at(const struct undo *u, size_t at)
{
    return (struct slice){u->bytes + at + OP_HEAD, op_len(u, at)};
}

/** Move on to the next op that is to be carried out, if that is not where it stands. Return: is there one? */
static bool seek(struct undo *u)
{
    for (; u->at_step > 0; u->at_step--, u->at_op = u->cause_len)
        for (; u->at_op < u->len; u->at_op += (uint16_t)(OP_HEAD + op_len(u, u->at_op)))
            if ((uint8_t)u->bytes[u->at_op] == u->order[u->at_step - 1])
                return true;
    return false;
}

static bool put_op(struct undo *u, size_t *at, uint64_t step, struct slice op)
{
    if (op.len > sizeof u->bytes - *at || sizeof u->bytes - *at - op.len < OP_HEAD)
        return false;
    u->bytes[*at] = (char)step;
    put_be16((uint8_t *)u->bytes + *at + 1, (uint16_t)op.len);
    memcpy(u->bytes + *at + OP_HEAD, op.ptr, op.len);
    *at += OP_HEAD + op.len;
    return true;
}

/** [[STEP,{…}],…] into bytes behind `at`. */
static int put_ops(struct undo *u, size_t *at, struct slice ops, struct json_token *tokens, unsigned cap, struct text *why)
{
    struct json_doc doc;
    struct json_error error;
    int64_t step;

    if (json_parse(&doc, ops.ptr, ops.len, tokens, cap, EVENT_DEPTH, &error) < 0 || json_at(&doc, 0)->type != JSON_ARRAY) {
        text_str(why, "the ops that undo the run are no array");
        return NEFIA_ESYNTAX;
    }
    for (unsigned i = 1; i < json_at(&doc, 0)->next; i = json_at(&doc, i)->next) {
        const unsigned op = i + 2;
        if (json_at(&doc, i)->type != JSON_ARRAY || json_at(&doc, i)->next <= op || json_i64(&doc, i + 1, &step) < 0 ||
            step < 0 || step >= UNDO_STEPS || json_at(&doc, op)->type != JSON_OBJECT ||
            json_at(&doc, op)->next != json_at(&doc, i)->next) {
            text_str(why, "one of the ops that undo the run is not [step, {op}] with a step below " LITERAL(UNDO_STEPS));
            return NEFIA_ESYNTAX;
        }
        if (!put_op(u, at, (uint64_t)step, json_raw(&doc, op))) {
            text_str(why, "the ops that undo the run take more than " LITERAL(CONFIG_UNDO_BYTES) " bytes (CONFIG_UNDO_BYTES)");
            return NEFIA_ETOOBIG;
        }
    }
    return 0;
}

/* ---- Undoing ---- */

static void put_steps(const struct undo *u, struct json_writer *w, const char *key, uint64_t of)
{
    json_array(w, key);
    for (unsigned i = u->order_len; i-- > 0;)
        if (of >> u->order[i] & 1)
            json_put_u64(w, NULL, u->order[i]);
    json_end_array(w);
}

static void put_run(const struct undo *u, struct json_writer *w)
{
    json_put_hex64(w, "run", u->run);
}

static uint64_t steps_with_ops(const struct undo *u)
{
    uint64_t steps = 0;

    for (size_t at = u->cause_len; at < u->len; at += OP_HEAD + op_len(u, at))
        steps |= UINT64_C(1) << (uint8_t)u->bytes[at];
    return steps;
}

static void report(struct undo *u)
{
    const struct pipeline_event e = {.type = "playbook.rolled_back",
                                     .source = "beacon",
                                     .severity = u->failed || u->error[0] ? SEVERITY_CRITICAL : SEVERITY_WARNING,
                                     .own = true,
                                     .cause = undo_cause(u)};
    struct json_writer *w = beacon_pipeline_begin(u->pipeline);

    put_run(u, w);
    json_put_string(w, "reason", word_at(undo_reason_words, u->reason));
    put_steps(u, w, "steps", steps_with_ops(u) & ~u->failed);
    if (u->failed)
        put_steps(u, w, "failed", u->failed);
    if (u->error[0])
        json_put_string(w, "error", u->error);
    beacon_pipeline_end(u->pipeline, &e);
}

static void wake(void *arg)
{
    struct undo *u = arg;

    u->wake(u->arg);
}

/** To the next op, or the end. Return: is there one? */
static bool go_on(struct undo *u)
{
    if (seek(u))
        return true;
    u->state = UNDO_UNDONE;
    u->settled = false;
    report(u);
    return false;
}

static void enter_undoing(struct undo *u)
{
    u->state = UNDO_UNDOING;
    u->at_step = u->order_len;
    u->at_op = u->cause_len;
}

static void start_undoing(struct undo *u)
{
    enter_undoing(u);
    mark_if_possible(u, UNDOING, u->reason);
    LOG_WARN("a playbook's run is undone: ", word_at(undo_reason_words, u->reason));
    if (go_on(u))
        timer_start(u->pipeline->loop, &u->timer, 0, wake, u);
}

/** The timer of a run, which a restart may have set. */
static void is_due(void *arg)
{
    struct undo *u = arg;

    if (u->state == UNDO_OPEN)
        start_undoing(u);
    else if (go_on(u))
        wake(u);
}

static void start_timer(struct undo *u, uint64_t ms, enum undo_reason reason)
{
    u->reason = reason;
    timer_start(u->pipeline->loop, &u->timer, ms, is_due, u);
}

struct slice undo_next(const struct undo *u)
{
    return u->state == UNDO_UNDOING && u->at_step > 0 ? op_at(u, u->at_op) : (struct slice){NULL, 0};
}

static void pass(struct undo *u, bool failed)
{
    if (failed)
        u->failed |= UINT64_C(1) << u->order[u->at_step - 1];
    u->at_op += (uint16_t)(OP_HEAD + op_len(u, u->at_op));
}

static void note_error(struct undo *u, const char *error)
{
    struct text t;

    if (u->error[0])
        return;
    text_init(&t, u->error, sizeof u->error);
    text_printable(&t, error, strlen(error));
}

void undo_op_ended(struct undo *u, const char *error)
{
    if (undo_next(u).len == 0)
        return;
    if (error[0]) {
        LOG_ERROR("step ", DEC(u->order[u->at_step - 1]), " could not be undone: ", error);
        note_error(u, error);
    }
    pass(u, error[0]);
    mark_if_possible(u, OP_ENDED, error[0] != '\0');
    go_on(u);
}

struct slice undo_cause(const struct undo *u)
{
    return (struct slice){u->bytes, u->cause_len};
}

unsigned undo_failed(const struct undo *u)
{
    unsigned n = 0;

    for (uint64_t left = u->failed; left; left &= left - 1)
        n++;
    return n;
}

void undo_settled(struct undo *u)
{
    if (u->state != UNDO_UNDONE || u->settled)
        return;
    u->settled = true;
    keep_end_only(u, SETTLED, u->reason);
}

/* ---- What the hub asks for ---- */

/** Return: the run's number; 0: it is none. */
static uint64_t run_of(const char *run)
{
    uint8_t bytes[RUN_BYTES];

    return run && strlen(run) == OP_RUN_ID && parse_hex(run, OP_RUN_ID, bytes, sizeof bytes) == 0 ? get_be64(bytes) : 0;
}

/** What there is to say of a run that is not open. */
static int not_open(const struct undo *u, uint64_t run, struct text *why)
{
    if (run == 0 || run != u->run) {
        text_str(why, "that run is not open on this device, or was forgotten in a restart");
        return NEFIA_ENOTFOUND;
    }
    text_str(why, "the run is ");
    text_str(why, word_at(state_words, u->state));
    if (u->state >= UNDO_UNDOING) {
        text_str(why, ": ");
        text_str(why, word_at(undo_reason_words, u->reason));
    }
    return NEFIA_EEXIST;
}

static bool is_open(const struct undo *u, uint64_t run)
{
    return u->state == UNDO_OPEN && run == u->run;
}

/** Nothing of an earlier run, but for its file. */
static void forget(struct undo *u, enum undo_state state, uint64_t run)
{
    u->state = state;
    u->run = run;
    u->begun = u->failed = 0;
    u->order_len = u->at_step = 0;
    u->cause_len = u->len = u->at_op = 0;
    u->error[0] = '\0';
    u->step_runs = u->settled = u->continues = false;
}

static int keep_begin(const struct undo *u)
{
    uint8_t head[UNDO_HEAD];

    put_be64(head, u->run);
    put_be32(head + 8, u->within_ms);
    head[12] = u->continues;
    put_be16(head + 13, u->cause_len);
    if (u->broken || (u->fd >= 0 && ftruncate(u->fd, 0) < 0))
        return NEFIA_EIO;
    return append(u, BEGIN, head, sizeof head, u->bytes, u->len);
}

static int begin(struct undo *u, const struct op *op, struct slice cause,
                 int (*judge)(void *arg, struct slice op, struct text *why), void *arg, struct json_token *tokens,
                 unsigned cap, struct text *why)
{
    size_t len = cause.len;

    if (cause.len > sizeof u->bytes)
        return NEFIA_ETOOBIG;
    memcpy(u->bytes, cause.ptr ? cause.ptr : "", cause.len);
    int err = put_ops(u, &len, op->undo_ops, tokens, cap, why);
    for (size_t at = cause.len; err >= 0 && at < len; at += OP_HEAD + op_len(u, at))
        err = judge(arg, op_at(u, at), why);
    if (err < 0)
        return err;
    u->cause_len = (uint16_t)cause.len;
    u->len = (uint16_t)len;
    u->within_ms = op->within_ms;
    u->continues = op->continues;
    return keep_begin(u) < 0 ? cannot_keep(why) : 0;
}

int undo_begin(struct undo *u, const struct op *op, struct slice cause,
               int (*judge)(void *arg, struct slice op, struct text *why), void *arg, struct json_token *tokens, unsigned cap,
               struct text *why)
{
    const uint64_t run = run_of(op->undo_run);

    if (is_open(u, run)) {
        if (!u->step_runs)
            start_timer(u, u->within_ms, UNDO_NOT_HEARD);
        return 0;
    }
    if (run == 0 || run == u->run)
        return not_open(u, run, why);
    if (u->state == UNDO_OPEN || u->state == UNDO_UNDOING) {
        text_str(why, "another run is ");
        text_str(why, word_at(state_words, u->state));
        text_str(why, " on this device");
        return NEFIA_EEXIST;
    }
    forget(u, UNDO_OPEN, run);
    const int err = begin(u, op, cause, judge, arg, tokens, cap, why);
    if (err < 0)
        forget(u, UNDO_NONE, 0);
    else
        start_timer(u, u->within_ms, UNDO_NOT_HEARD);
    return err;
}

static void note_begun(struct undo *u, unsigned step)
{
    if (step >= UNDO_STEPS || u->begun >> step & 1)
        return;
    u->begun |= UINT64_C(1) << step;
    u->order[u->order_len++] = (uint8_t)step;
}

int undo_step_begins(struct undo *u, const char *run, unsigned step, struct text *why)
{
    const uint64_t number = run_of(run);

    if (!is_open(u, number))
        return not_open(u, number, why);
    if (!(u->begun >> step & 1) && mark(u, STEP, step) < 0)
        return cannot_keep(why);
    note_begun(u, step);
    u->step_runs = true;
    timer_stop(&u->timer);
    return 0;
}

void undo_step_ended(struct undo *u)
{
    if (!u->step_runs)
        return;
    u->step_runs = false;
    start_timer(u, u->within_ms, UNDO_NOT_HEARD);
}

/** For commit and rollback. */
static int must_be_open(const struct undo *u, uint64_t run, struct text *why)
{
    if (!is_open(u, run))
        return not_open(u, run, why);
    if (!u->step_runs)
        return 0;
    text_str(why, "a step of the run has not ended");
    return NEFIA_EAGAIN;
}

int undo_commit(struct undo *u, const char *run, struct text *why)
{
    const uint64_t number = run_of(run);

    if (u->state == UNDO_COMMITTED && number == u->run)
        return 0;
    const int err = must_be_open(u, number, why);
    if (err < 0)
        return err;
    if (mark(u, COMMITTED, 0) < 0)
        return cannot_keep(why);
    keep_end_only(u, COMMITTED, 0);
    u->state = UNDO_COMMITTED;
    timer_stop(&u->timer);
    return 0;
}

int undo_rollback(struct undo *u, const char *run, struct text *why)
{
    const uint64_t number = run_of(run);

    if (u->state >= UNDO_UNDOING && number == u->run)
        return 0;
    const int err = must_be_open(u, number, why);
    if (err < 0)
        return err;
    u->reason = UNDO_ASKED;
    timer_stop(&u->timer);
    start_undoing(u);
    return 0;
}

/* ---- The previous start ---- */

static bool has_whole_ops(const struct undo *u)
{
    size_t at = u->cause_len;

    while (at < u->len && u->len - at >= OP_HEAD && (uint8_t)u->bytes[at] < UNDO_STEPS)
        at += OP_HEAD + op_len(u, at);
    return at == u->len;
}

static void take_begin(struct undo *u, const struct frame *f)
{
    forget(u, UNDO_OPEN, get_be64(f->bytes));
    u->within_ms = get_be32(f->bytes + 8);
    u->continues = f->bytes[12];
    u->cause_len = get_be16(f->bytes + 13);
    u->len = (uint16_t)(f->len - UNDO_HEAD);
    memcpy(u->bytes, f->bytes + UNDO_HEAD, u->len);
    if (!has_whole_ops(u)) /* of another build */
        forget(u, UNDO_NONE, 0);
}

static void take_mark(struct undo *u, enum kind kind, uint64_t run, unsigned value)
{
    if (run != u->run) { /* its BEGIN is damaged, or is of another build; or is not needed any more */
        forget(u, UNDO_OPEN, run);
        note_error(u, "state_dir/" UNDO_FILE " cannot be read: the run was not undone");
    }
    if (kind == STEP)
        note_begun(u, value);
    if (kind == UNDOING && value <= UNDO_ASKED) {
        u->reason = (enum undo_reason)value;
        enter_undoing(u);
    }
    if (kind == OP_ENDED && u->state == UNDO_OPEN) /* the UNDOING is damaged */
        enter_undoing(u);
    if (kind == OP_ENDED && seek(u))
        pass(u, value);
    if (kind == COMMITTED)
        u->state = UNDO_COMMITTED;
    if (kind == SETTLED && value <= UNDO_ASKED) {
        u->state = UNDO_UNDONE;
        u->reason = (enum undo_reason)value;
        u->settled = true;
    }
}

/** Return: 0, NEFIA_EIO (errno). */
static int read_file(struct undo *u, void *work)
{
    struct frame_reader r;
    struct frame f;
    int err;

    frame_reader_init(&r, u->fd, work, UNDO_WORK_BYTES);
    while ((err = frame_next(&r, &f)) > 0)
        if (f.kind == BEGIN && f.len >= UNDO_HEAD)
            take_begin(u, &f);
        else if (f.len == MARK_BYTES)
            take_mark(u, (enum kind)f.kind, get_be64(f.bytes), f.bytes[RUN_BYTES]);
    if (err == 0 && r.torn > 0 && ftruncate(u->fd, (off_t)r.end) < 0)
        err = NEFIA_EIO;
    if (r.damaged > 0)
        note_error(u, "state_dir/" UNDO_FILE " is damaged: some steps may not have been undone");
    return err;
}

void undo_load(struct undo *u, int dir, void *work)
{
    u->fd = openat(dir, UNDO_FILE, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (u->fd < 0 || fsync(dir) < 0 || read_file(u, work) < 0) {
        u->broken = true;
        LOG_ERROR("state_dir/" UNDO_FILE ": ", ERRNO(errno), "; playbooks with commit_within are refused");
    }
    if (u->state == UNDO_OPEN && u->continues)
        start_timer(u, u->within_ms, UNDO_NOT_HEARD);
    else if (u->state == UNDO_OPEN)
        start_timer(u, 0, UNDO_RESTART);
    else if (u->state == UNDO_UNDOING)
        start_timer(u, 0, u->reason);
}

void undo_init(struct undo *u, struct beacon_pipeline *pipeline, void (*wake_owner)(void *arg), void *arg)
{
    *u = (struct undo){.pipeline = pipeline, .wake = wake_owner, .arg = arg, .fd = -1};
}

void undo_close(struct undo *u)
{
    timer_stop(&u->timer);
    if (u->fd >= 0)
        close(u->fd);
    u->fd = -1;
}

void undo_put(const struct undo *u, struct json_writer *w)
{
    if (u->run == 0)
        return;
    json_object(w, "undo");
    put_run(u, w);
    json_put_string(w, "state", word_at(state_words, u->state));
    if (u->state >= UNDO_UNDOING)
        json_put_string(w, "reason", word_at(undo_reason_words, u->reason));
    json_put_u64(w, "begun", u->order_len);
    json_put_u64(w, "failed", undo_failed(u));
    json_put_bool(w, "kept", u->fd >= 0);
    json_end_object(w);
}
