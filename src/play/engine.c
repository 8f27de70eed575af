/* The engine: which operation comes next, given what became of the one before. */
#include <string.h>

#include "nefia/base/err.h"
#include "play_int.h"

const char playbook_restart_words[] = "continue\0rollback\0stop\0";
const char playbook_state_words[] = "running\0done\0failed\0rollback failed\0stopped\0";
const char playbook_part_words[] = "arm\0step\0commit\0rollback\0rollback\0";
const char playbook_judgement_words[] = "ok\0again\0failed\0ignored\0";

enum {
    AGAIN_MOST = 3,      /* times that what may be done twice is begun again after an unknown end */
    DEVICE_TRIES = 3,    /* of a commit, or of the order to undo, while the device may be away */
    DEVICE_PAUSE_MS = 1000,
};

#define BIT(step) (UINT64_C(1) << (step))
#define COMMIT_NAME "commit_within"

/* ---- what the run stands at ---- */

static const struct playbook_step *current(const struct playbook_run *r)
{
    return &r->book->steps[r->step];
}

static bool on_hub(const struct playbook_run *r, const struct playbook_step *s)
{
    return s->on_hub || r->values->on_hub;
}

static void enter(struct playbook_run *r, enum playbook_part part)
{
    r->phase = (uint8_t)part;
    r->attempt = r->again = r->undo = 0;
    r->in_flight = false;
}

static void next_step(struct playbook_run *r)
{
    r->step++;
    r->attempt = r->again = 0;
}

static void end(struct playbook_run *r, enum playbook_state state)
{
    r->state = (uint8_t)state;
    r->in_flight = false;
}

/** Something did not go as written: from here on the run is undone. what: of which there is the sentence. */
static void fail(struct playbook_run *r, unsigned step, const char *what, const char *more)
{
    struct text why;

    text_init(&why, r->why, sizeof r->why);
    if (step < r->book->step_count) {
        text_str(&why, "step \"");
        text_str(&why, r->book->steps[step].name);
        text_str(&why, "\": ");
    }
    text_printable(&why, what, strlen(what));
    text_printable(&why, more, strlen(more));
    r->failed_step = (uint8_t)(step < r->book->step_count ? step : PLAYBOOK_STEPS);
    if (r->step >= r->book->step_count)
        r->step = (uint8_t)(r->book->step_count - 1);
    enter(r, r->armed ? PLAYBOOK_UNDO_ARMED : PLAYBOOK_UNDO);
}

void playbook_begin(struct playbook_run *r, const struct playbook *p, const struct playbook_values *v, const char *id)
{
    struct text t;

    memset(r, 0, sizeof *r);
    r->book = p;
    r->values = v;
    r->failed_step = PLAYBOOK_STEPS;
    text_init(&t, r->id, sizeof r->id);
    text_str(&t, id);
    enter(r, p->commit_within_ms > 0 ? PLAYBOOK_ARM : PLAYBOOK_STEP);
}

int playbook_values_check(const struct playbook *p, const struct playbook_values *v, struct text *why)
{
    for (unsigned i = 0; i < v->set_count; i++) {
        const size_t len = strcspn(v->sets[i], "=");
        unsigned known = 0;
        while (known < p->var_count && !slice_eq((struct slice){v->sets[i], len}, p->vars[known].name))
            known++;
        if (v->sets[i][len] == '=' && known < p->var_count)
            continue;
        text_str(why, "\"");
        text_printable(why, v->sets[i], len);
        text_str(why, v->sets[i][len] ? "\" is no variable of the playbook" : "\" is not NAME=VALUE");
        return NEFIA_EINVAL;
    }
    if (p->commit_within_ms == 0 || !v->on_hub)
        return 0;
    text_str(why, "it has commit_within, which only a device can keep" REMEDY("; run it with target: host"));
    return NEFIA_EINVAL;
}

/* ---- what comes next ---- */

/** Say in the text, which has no op then, why there is none. */
static enum playbook_turn explain(struct playbook_todo *todo, struct text *text, const char *why, enum playbook_turn turn)
{
    text_reset(text);
    text_str(text, why);
    todo->why = text->buf;
    return turn;
}

/** The strings lie in the first part of the text; the second is scratch. */
static int fill(const struct playbook_run *r, const struct playbook_op *from, struct playbook_todo *todo, struct text *text,
                struct text *why)
{
    struct play_filler f = {.book = r->book, .values = r->values, .run = r};
    struct text strings;

    text_init(&strings, text->buf, OP_TEXT_BYTES);
    const int err = play_op(&f, from, &todo->op, &strings, why);
    if (err < 0)
        return err;
    if (r->armed && !todo->on_hub) {
        todo->op.step_of = r->id;
        todo->op.step = r->step;
    }
    if (play_op_bytes(&todo->op, text->buf + OP_TEXT_BYTES) >= 0)
        return 0;
    text_str(why, "the operation is too large for a device");
    return NEFIA_ETOOBIG;
}

/** What is said to the device itself. */
static void address(const struct playbook_run *r, struct playbook_todo *todo, enum op_undo undo, unsigned attempts)
{
    const unsigned before = r->attempt - (r->in_flight ? 1u : 0u);

    todo->op = (struct op){.kind = OP_UNDO, .undo = undo, .undo_run = r->id, .timeout_ms = OP_TIMEOUT_MS};
    todo->idempotent = true;
    todo->name = COMMIT_NAME;
    todo->attempts = attempts;
    todo->delay_ms = before > 0 ? DEVICE_PAUSE_MS : 0;
}

static enum playbook_turn next_arm(struct playbook_run *r, struct playbook_todo *todo, struct text *text)
{
    struct play_filler f = {.book = r->book, .values = r->values};
    struct text list, why;
    unsigned step = PLAYBOOK_STEPS;
    char why_buf[PLAYBOOK_WHY_MAX + 1];

    address(r, todo, OP_UNDO_BEGIN, 1);
    text_init(&why, why_buf, sizeof why_buf);
    text_init(&list, text->buf, PLAYBOOK_OP_BYTES);
    int err = play_undo_list(&f, &list, text->buf + PLAYBOOK_OP_BYTES, &step, &why);
    todo->op.within_ms = r->book->commit_within_ms;
    todo->op.continues = r->book->on_restart == PLAYBOOK_CONTINUE;
    todo->op.undo_ops = (struct slice){list.buf, list.len};
    if (err == 0 && (list.truncated || play_op_bytes(&todo->op, text->buf + PLAYBOOK_OP_BYTES) < 0)) {
        step = PLAYBOOK_STEPS;
        err = NEFIA_ETOOBIG;
        text_str(&why, "the rollbacks of all steps are too much for one command to a device");
    }
    if (err == 0)
        return PLAYBOOK_CARRY_OUT;
    fail(r, step, step == PLAYBOOK_STEPS ? "" : "its rollback: ", why.buf);
    return explain(todo, text, r->why, PLAYBOOK_REFUSED);
}

static void put_attempt(const struct playbook_run *r, struct playbook_todo *todo)
{
    const struct playbook_step *s = current(r);

    todo->step = r->step;
    todo->name = s->name;
    todo->on_hub = on_hub(r, s);
    todo->idempotent = s->idempotent;
    todo->attempts = s->retries + 1u;
    todo->delay_ms = s->delay_ms;
}

static enum playbook_turn refuse_step(struct playbook_run *r, struct playbook_todo *todo, struct text *text, const char *why)
{
    fail(r, r->step, why, "");
    return explain(todo, text, why, PLAYBOOK_REFUSED);
}

/** Is the step to be skipped? Return: 1: no; 0; negative with a sentence. */
static int is_wanted(const struct playbook_run *r, struct text *text, struct text *why)
{
    struct play_filler f = {.book = r->book, .values = r->values, .run = r};
    const struct playbook_step *s = current(r);

    if (!s->when || r->attempt > 0 || r->in_flight)
        return 1;
    return play_when(&f, s->when, text->buf, text->cap, why);
}

static enum playbook_turn next_step_turn(struct playbook_run *r, struct playbook_todo *todo, struct text *text)
{
    char why_buf[PLAYBOOK_WHY_MAX + 1];
    struct text why;

    text_init(&why, why_buf, sizeof why_buf);
    put_attempt(r, todo);
    const int wanted = is_wanted(r, text, &why);
    if (wanted < 0)
        return refuse_step(r, todo, text, why.buf);
    if (wanted == 0) {
        text_str(&why, "not true: ");
        text_str(&why, current(r)->when);
        r->skipped |= BIT(r->step);
        next_step(r);
        return explain(todo, text, why.buf, PLAYBOOK_SKIPPED);
    }
    if (fill(r, &current(r)->op, todo, text, &why) < 0)
        return refuse_step(r, todo, text, why.buf);
    return PLAYBOOK_CARRY_OUT;
}

/** Go to the next op of a rollback from where the run is, backwards. Return: false: there is none. */
static bool find_undo(struct playbook_run *r)
{
    for (;; r->step--, r->undo = 0) {
        if (r->begun & BIT(r->step) && r->undo < current(r)->undo_count)
            return true;
        if (r->step == 0)
            return false;
    }
}

static void next_undo(struct playbook_run *r)
{
    r->undo++;
    r->attempt = r->again = 0;
}

static enum playbook_turn undo_turn(struct playbook_run *r, struct playbook_todo *todo, struct text *text)
{
    char why_buf[PLAYBOOK_WHY_MAX + 1];
    struct text why;

    if (!find_undo(r)) {
        end(r, r->not_undone > 0 ? PLAYBOOK_UNDO_FAILED : PLAYBOOK_FAILED);
        return PLAYBOOK_OVER;
    }
    text_init(&why, why_buf, sizeof why_buf);
    put_attempt(r, todo);
    todo->idempotent = true;
    todo->attempts = 1;
    todo->delay_ms = 0;
    if (fill(r, &r->book->undos[current(r)->undo_first + r->undo], todo, text, &why) == 0)
        return PLAYBOOK_CARRY_OUT;
    r->not_undone++;
    next_undo(r);
    return explain(todo, text, why.buf, PLAYBOOK_REFUSED);
}

/** As the phase says, which a step that is the last one, or fails, changes. */
static enum playbook_turn turn(struct playbook_run *r, struct playbook_todo *todo, struct text *text)
{
    if (r->phase == PLAYBOOK_STEP && r->step == r->book->step_count) {
        if (!r->armed) {
            end(r, PLAYBOOK_DONE);
            return PLAYBOOK_OVER;
        }
        enter(r, PLAYBOOK_COMMIT);
    }
    todo->part = (enum playbook_part)r->phase;
    switch (todo->part) {
    case PLAYBOOK_ARM:
        return next_arm(r, todo, text);
    case PLAYBOOK_STEP:
        return next_step_turn(r, todo, text);
    case PLAYBOOK_UNDO:
        return undo_turn(r, todo, text);
    case PLAYBOOK_COMMIT:
        address(r, todo, OP_UNDO_COMMIT, DEVICE_TRIES);
        break;
    case PLAYBOOK_UNDO_ARMED:
        address(r, todo, OP_UNDO_ROLLBACK, DEVICE_TRIES);
        break;
    }
    return PLAYBOOK_CARRY_OUT;
}

enum playbook_turn playbook_next(struct playbook_run *r, struct playbook_todo *todo, struct text *text)
{
    *todo = (struct playbook_todo){.why = "", .name = ""};
    if (r->state != PLAYBOOK_RUNS)
        return PLAYBOOK_OVER;
    const enum playbook_turn t = turn(r, todo, text);
    if (t != PLAYBOOK_CARRY_OUT)
        return t;
    if (!r->in_flight && r->again == 0)
        r->attempt++;
    r->in_flight = true;
    todo->attempt = r->attempt;
    return t;
}

/* ---- what became of it ---- */

static bool is_good(const struct playbook_result *result)
{
    return result->outcome == LINK_DONE && result->exit == 0 && !result->timed_out;
}

/** Append what of an output is kept: text, up to a NUL, without line breaks at its end and without controls that a terminal obeys. */
static void keep_output(struct playbook_register *reg, struct slice output)
{
    const char *nul = output.len > 0 ? memchr(output.ptr, '\0', output.len) : NULL;
    struct text t;

    if (nul)
        output.len = (size_t)(nul - output.ptr);
    text_init(&t, reg->output, sizeof reg->output);
    for (size_t i = 0; i < output.len && !t.truncated;) {
        const char c = output.ptr[i];
        const int n = utf8_decode(output.ptr + i, output.len - i, NULL);
        if (n <= 0)
            text_str(&t, "\xEF\xBF\xBD");
        else if (n > 1 || (c >= ' ' && c != 0x7F) || c == '\n' || c == '\t')
            text_bytes(&t, output.ptr + i, (size_t)n);
        else
            text_char(&t, '?');
        i += n > 0 ? (size_t)n : 1;
    }
    while (t.len > 0 && t.buf[t.len - 1] == '\n')
        text_rewind(&t, t.len - 1);
    reg->len = (uint16_t)t.len;
}

static void keep_result(struct playbook_run *r, const struct playbook_result *result)
{
    const int i = current(r)->reg;

    if (i < 0 || result->outcome != LINK_DONE)
        return;
    r->registers[i].set = true;
    r->registers[i].exit = (uint8_t)result->exit;
    keep_output(&r->registers[i], result->output);
}

/** In words, for who reads why a run failed. */
static void say_result(struct text *t, const struct playbook_result *result, uint32_t timeout_ms)
{
    static const char words[] = "done\0denied\0its time was over before it could begin\0whether and how it ended is not known\0not supported there\0busy\0";

    if (result->timed_out) {
        text_str(t, "timed out after ");
        text_duration(t, timeout_ms);
    } else if (result->outcome == LINK_DONE) {
        text_str(t, "exit ");
        text_u64(t, (uint64_t)result->exit);
    } else {
        text_str(t, word_at(words, result->outcome));
    }
    if (result->outcome != LINK_DONE && result->reason && *result->reason) {
        text_str(t, ": ");
        text_str(t, result->reason);
    }
}

static void fail_by(struct playbook_run *r, unsigned step, const char *before, const struct playbook_result *result, uint32_t timeout_ms)
{
    char buf[PLAYBOOK_WHY_MAX + 1];
    struct text t;

    text_init(&t, buf, sizeof buf);
    say_result(&t, result, timeout_ms);
    fail(r, step, before, buf);
}

/** Is it done again? */
static bool tries_again(struct playbook_run *r, const struct playbook_result *result, bool idempotent, unsigned attempts)
{
    switch (result->outcome) {
    case LINK_END_UNKNOWN:
        r->again++;
        return idempotent && r->again <= AGAIN_MOST;
    case LINK_DONE:
    case LINK_EXPIRED:
    case LINK_BUSY:
        r->again = 0;
        return r->attempt < attempts;
    case LINK_DENIED:
    case LINK_UNSUPPORTED:
        break;
    }
    return false;
}

static enum playbook_judgement step_result(struct playbook_run *r, const struct playbook_result *result)
{
    const struct playbook_step *s = current(r);

    if (result->outcome == LINK_DONE || result->outcome == LINK_END_UNKNOWN)
        r->begun |= BIT(r->step);
    keep_result(r, result);
    if (is_good(result)) {
        next_step(r);
        return PLAYBOOK_GOOD;
    }
    if (tries_again(r, result, s->idempotent, s->retries + 1u))
        return PLAYBOOK_AGAIN;
    if (s->ignore_errors && result->outcome == LINK_DONE) {
        next_step(r);
        return PLAYBOOK_IGNORED;
    }
    fail_by(r, r->step, "", result, s->op.timeout_ms);
    return PLAYBOOK_BAD;
}

static enum playbook_judgement undo_result(struct playbook_run *r, const struct playbook_result *result)
{
    if (!is_good(result) && tries_again(r, result, true, 1))
        return PLAYBOOK_AGAIN;
    if (is_good(result))
        r->undone++;
    else
        r->not_undone++;
    next_undo(r);
    return is_good(result) ? PLAYBOOK_GOOD : PLAYBOOK_BAD;
}

static enum playbook_judgement arm_result(struct playbook_run *r, const struct playbook_result *result)
{
    r->armed |= is_good(result) || result->outcome == LINK_END_UNKNOWN;
    if (is_good(result)) {
        enter(r, PLAYBOOK_STEP);
        return PLAYBOOK_GOOD;
    }
    if (tries_again(r, result, true, 1))
        return PLAYBOOK_AGAIN;
    fail_by(r, PLAYBOOK_STEPS, "the device did not take the rollbacks: ", result, OP_TIMEOUT_MS);
    return PLAYBOOK_BAD;
}

static unsigned count_undos(const struct playbook_run *r)
{
    unsigned n = 0;

    for (unsigned s = 0; s < r->book->step_count; s++)
        n += r->begun & BIT(s) ? r->book->steps[s].undo_count : 0;
    return n;
}

/** The device has answered to a commit, or to the order to undo. */
static enum playbook_judgement device_result(struct playbook_run *r, const struct playbook_result *result)
{
    const bool commit = r->phase == PLAYBOOK_COMMIT;

    if (!is_good(result) && tries_again(r, result, true, DEVICE_TRIES))
        return PLAYBOOK_AGAIN;
    if (commit && !is_good(result)) {
        fail_by(r, PLAYBOOK_STEPS, "the device was not told in time to keep the changes: ", result, OP_TIMEOUT_MS);
        return PLAYBOOK_BAD;
    }
    if (!commit && is_good(result))
        r->undone = (uint16_t)count_undos(r);
    else if (!commit)
        r->not_undone = (uint16_t)count_undos(r);
    end(r, commit ? PLAYBOOK_DONE : is_good(result) ? PLAYBOOK_FAILED : PLAYBOOK_UNDO_FAILED);
    return is_good(result) ? PLAYBOOK_GOOD : PLAYBOOK_BAD;
}

enum playbook_judgement playbook_result(struct playbook_run *r, const struct playbook_result *result)
{
    if (!r->in_flight)
        return PLAYBOOK_BAD;
    r->in_flight = false;
    switch ((enum playbook_part)r->phase) {
    case PLAYBOOK_ARM:
        return arm_result(r, result);
    case PLAYBOOK_STEP:
        return step_result(r, result);
    case PLAYBOOK_UNDO:
        return undo_result(r, result);
    case PLAYBOOK_COMMIT:
    case PLAYBOOK_UNDO_ARMED:
        break;
    }
    return device_result(r, result);
}

/* ---- after an interruption ---- */

static void resume_step(struct playbook_run *r)
{
    const struct playbook_result unknown = {.outcome = LINK_END_UNKNOWN};
    const bool fresh = r->begun == 0 && !r->in_flight && !r->armed;
    const unsigned step = r->in_flight && r->phase == PLAYBOOK_STEP ? r->step : PLAYBOOK_STEPS;

    if (r->in_flight && r->phase == PLAYBOOK_ARM)
        r->armed = true; /* it may be */
    else if (r->in_flight)
        r->begun |= BIT(r->step);
    if (r->book->on_restart == PLAYBOOK_STOP) {
        fail(r, step, "interrupted", "");
        end(r, PLAYBOOK_STOPPED);
    } else if (r->book->on_restart == PLAYBOOK_UNDO_ALL && !fresh) {
        fail(r, step, "interrupted", "");
    } else if (r->in_flight) {
        (void)playbook_result(r, &unknown);
    }
}

void playbook_resume(struct playbook_run *r)
{
    if (r->state != PLAYBOOK_RUNS)
        return;
    if (r->phase == PLAYBOOK_ARM || r->phase == PLAYBOOK_STEP) {
        resume_step(r);
    } else if (r->in_flight) { /* may be done twice */
        r->in_flight = false;
        if (r->again == 0)
            r->attempt--;
    }
}
