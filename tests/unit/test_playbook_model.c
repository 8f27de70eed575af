/* Random playbooks with random ends of their steps, and interruptions anywhere, against a plain reference: two loops, forwards and
 * backwards, that do not know how a position is kept. */
#include "playbook_fixture.h"

enum { STEPS = 5, TURNS = 400 };
#ifdef __x86_64__
enum { ROUNDS = 30000 };
#else
enum { ROUNDS = 6000 }; /* these are emulated */
#endif

/* ---- chance ---- */

static uint64_t seed;

static unsigned below(unsigned n)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (unsigned)(seed >> 16) % n;
}

/* ---- what is run ---- */

struct plan_step {
    unsigned retries, undos;
    bool idempotent, ignore, has_when, has_default;
    int reads;        /* the step whose register its command has, in argv; -1: none */
    int when_reads;   /* the same of its condition */
    unsigned undo_reads; /* 1: its rollbacks have its own exit status */
};

static struct plan {
    unsigned steps;
    bool commit;
    enum playbook_restart on_restart;
    struct plan_step step[STEPS];
} plan;

/** How each turn ends, in this order, and before which one whoever drives it is interrupted. */
enum ending { GOOD, BAD, LATE, DENIED, EXPIRED, UNKNOWN, UNSUPPORTED, BUSY, CUT };
static struct {
    uint8_t ending, exit;
    bool cut;
} turns[TURNS];

static void choose_step(struct plan_step *s, unsigned i)
{
    *s = (struct plan_step){.retries = below(3) == 0 ? below(3) : 0,
                            .undos = below(3),
                            .idempotent = below(2),
                            .ignore = below(4) == 0,
                            .has_when = i > 0 && below(3) == 0,
                            .has_default = below(2),
                            .reads = i > 0 && below(3) == 0 ? (int)below(i) : -1};
    s->when_reads = s->has_when ? (int)below(i) : -1;
    s->undo_reads = !plan.commit && below(3) == 0;
}

static void choose(void)
{
    static const uint8_t endings[] = {GOOD, GOOD, GOOD, GOOD, GOOD, GOOD, BAD, BAD, LATE, DENIED, EXPIRED, UNKNOWN, UNKNOWN, UNSUPPORTED, BUSY, CUT};

    plan.steps = 1 + below(STEPS);
    plan.commit = below(3) == 0;
    plan.on_restart = (enum playbook_restart)below(3);
    for (unsigned i = 0; i < plan.steps; i++)
        choose_step(&plan.step[i], i);
    const unsigned calm = below(3); /* some go well to their end */
    for (unsigned t = 0; t < TURNS; t++) {
        turns[t].ending = calm > 0 && below(4) ? GOOD : endings[below(sizeof endings)];
        turns[t].exit = turns[t].ending == BAD ? (uint8_t)(1 + below(2)) : 0;
        turns[t].cut = below(10 + 40 * calm) == 0;
    }
}

static void put_reading(struct text *t, int step, bool has_default)
{
    text_str(t, "{{g");
    text_u64(t, (uint64_t)step);
    text_str(t, has_default ? ".exit | default '7'}}" : ".exit}}");
}

static void put_command(struct text *t, char kind, unsigned step, unsigned item, int reads, bool has_default)
{
    text_str(t, "\"argv\":[\"/x\",\"");
    text_char(t, kind);
    text_u64(t, step);
    text_char(t, '.');
    text_u64(t, item);
    text_str(t, "\",\"");
    if (reads >= 0)
        put_reading(t, reads, has_default);
    text_str(t, "\"]");
}

static void put_step(struct text *t, unsigned i)
{
    const struct plan_step *s = &plan.step[i];

    text_str(t, i > 0 ? ",{\"name\":\"s" : "{\"name\":\"s");
    text_u64(t, i);
    text_str(t, "\",");
    put_command(t, 'd', i, 0, s->reads, s->has_default);
    text_str(t, ",\"register\":\"g");
    text_u64(t, i);
    text_str(t, "\",\"retries\":");
    text_u64(t, s->retries);
    text_str(t, s->idempotent ? ",\"idempotent\":true" : "");
    text_str(t, s->ignore ? ",\"ignore_errors\":true" : "");
    if (s->has_when) {
        text_str(t, ",\"when\":\"");
        put_reading(t, s->when_reads, s->has_default);
        text_str(t, " == 0\"");
    }
    text_str(t, ",\"rollback\":[");
    for (unsigned u = 0; u < s->undos; u++) {
        text_str(t, u > 0 ? ",{" : "{");
        put_command(t, 'u', i, u, s->undo_reads ? (int)i : -1, false);
        text_str(t, "}");
    }
    text_str(t, "]}");
}

static const char *written(void)
{
    static char buf[8192];
    struct text t;

    text_init(&t, buf, sizeof buf);
    text_str(&t, "{\"name\":\"x\",");
    text_str(&t, plan.commit ? "\"commit_within\":\"1m\"," : "");
    text_str(&t, "\"on_restart\":\"");
    text_str(&t, word_at(playbook_restart_words, plan.on_restart));
    text_str(&t, "\",\"steps\":[");
    for (unsigned i = 0; i < plan.steps; i++)
        put_step(&t, i);
    text_str(&t, "]}");
    return t.truncated ? "" : buf;
}

/* ---- traces: a line for each turn, and how it ended ---- */

static void trace(struct text *t, const char *what, unsigned attempt)
{
    text_str(t, what);
    text_char(t, ' ');
    text_u64(t, attempt);
    text_char(t, '\n');
}

static void trace_end(struct text *t, enum playbook_state state, unsigned undone, unsigned not_undone, uint64_t begun)
{
    text_str(t, word_at(playbook_state_words, state));
    text_char(t, ' ');
    text_u64(t, undone);
    text_char(t, '/');
    text_u64(t, not_undone);
    text_char(t, ' ');
    text_u64(t, begun);
}

/* ---- the reference ---- */

enum going { GO, FAIL, STOPPED };

static struct reference {
    struct text *out;
    unsigned t; /* the turn */
    bool armed;
    bool begun[STEPS];
    int exit[STEPS]; /* of its register; -1: none */
    unsigned undone, not_undone;
} ref;

static bool has_happened(void)
{
    for (unsigned i = 0; i < plan.steps; i++)
        if (ref.begun[i])
            return true;
    return ref.armed;
}

/** Is it interrupted before the turn? */
static enum going before_turn(void)
{
    if (!turns[ref.t].cut || plan.on_restart == PLAYBOOK_CONTINUE)
        return GO;
    return plan.on_restart == PLAYBOOK_STOP ? STOPPED : has_happened() ? FAIL : GO;
}

/** In the middle of something on the way forwards. */
static enum going cut_in_the_middle(void)
{
    return plan.on_restart == PLAYBOOK_STOP ? STOPPED : plan.on_restart == PLAYBOOK_UNDO_ALL ? FAIL : GO;
}

static enum ending take(const char *what, unsigned attempt)
{
    trace(ref.out, what, attempt);
    return (enum ending)turns[ref.t++].ending;
}

static enum going arm(void)
{
    for (unsigned unknown = 0; unknown <= 3;) {
        enum going going = before_turn();
        if (going != GO)
            return going;
        const enum ending e = take("arm", 1);
        ref.armed |= e == GOOD || e == UNKNOWN || e == CUT;
        if (e == GOOD)
            return GO;
        if (e == CUT && (going = cut_in_the_middle()) != GO)
            return going;
        if (e != UNKNOWN && e != CUT)
            return FAIL;
        unknown++;
    }
    return FAIL;
}

/** Return: 1: the value is there, -1: it is not. */
static int read_exit(int step, bool has_default, int *value)
{
    *value = step < 0 ? 0 : ref.exit[step] >= 0 ? ref.exit[step] : 7;
    return step < 0 || ref.exit[step] >= 0 || has_default ? 1 : -1;
}

/** Of the step's own turn, once: FAIL: it cannot begin. *wanted: it is not skipped. */
static enum going look_at_step(unsigned i, bool *wanted)
{
    const struct plan_step *s = &plan.step[i];
    int value;

    *wanted = true;
    if (s->has_when && read_exit(s->when_reads, s->has_default, &value) > 0)
        *wanted = value == 0;
    else if (s->has_when)
        *wanted = false;
    const bool broken = (s->has_when && read_exit(s->when_reads, s->has_default, &value) < 0) ||
                        (*wanted && read_exit(s->reads, s->has_default, &value) < 0);
    if (*wanted && !broken)
        return GO;
    trace(ref.out, broken ? "refused" : "skipped", i);
    ref.t++;
    return broken ? FAIL : GO;
}

static enum going do_step(unsigned i)
{
    const struct plan_step *s = &plan.step[i];
    unsigned unknown = 0;
    bool wanted = false, looked = false;
    int value;
    char label[24];
    struct text t;

    for (unsigned attempt = 1; attempt <= s->retries + 1;) {
        enum going going = before_turn();
        if (going == GO && !looked)
            going = look_at_step(i, &wanted);
        if (going != GO || (!looked && !wanted))
            return going;
        looked = true;
        text_init(&t, label, sizeof label);
        text_str(&t, "d");
        text_u64(&t, i);
        text_str(&t, ".0 ");
        if (s->reads >= 0 && read_exit(s->reads, s->has_default, &value) > 0)
            text_u64(&t, (uint64_t)value);
        const unsigned turn = ref.t;
        const enum ending e = take(label, attempt);
        ref.begun[i] |= e == GOOD || e == BAD || e == LATE || e == UNKNOWN || e == CUT;
        if (e == GOOD || e == BAD || e == LATE)
            ref.exit[i] = turns[turn].exit;
        if (e == GOOD)
            return GO;
        if (e == CUT && (going = cut_in_the_middle()) != GO)
            return going;
        if (e == UNKNOWN || e == CUT) {
            if (!s->idempotent || ++unknown > 3)
                return FAIL;
            continue;
        }
        unknown = 0;
        if (e == DENIED || e == UNSUPPORTED)
            return FAIL;
        if (attempt++ > s->retries)
            return (e == BAD || e == LATE) && s->ignore ? GO : FAIL;
    }
    return FAIL;
}

/** What the device is told: three attempts, and each may end unknown three times. */
static bool tell_device(const char *what)
{
    unsigned unknown = 0;

    for (unsigned attempt = 1; attempt <= 3;) {
        const enum ending e = take(what, attempt);
        if (e == GOOD)
            return true;
        if (e == CUT)
            continue;
        if (e == UNKNOWN && ++unknown <= 3)
            continue;
        if (e == UNKNOWN || e == DENIED || e == UNSUPPORTED)
            return false;
        unknown = 0;
        attempt++;
    }
    return false;
}

static enum going forwards(void)
{
    enum going going = plan.commit ? arm() : GO;

    for (unsigned i = 0; going == GO && i < plan.steps; i++)
        going = do_step(i);
    if (going == GO)
        going = before_turn();
    return going == GO && ref.armed && !tell_device("commit") ? FAIL : going;
}

static bool undo_one(unsigned i, unsigned u)
{
    char label[24];
    struct text t;

    if (plan.step[i].undo_reads && ref.exit[i] < 0) {
        trace(ref.out, "refused", i);
        ref.t++;
        return false;
    }
    text_init(&t, label, sizeof label);
    text_str(&t, "u");
    text_u64(&t, i);
    text_char(&t, '.');
    text_u64(&t, u);
    text_char(&t, ' ');
    if (plan.step[i].undo_reads)
        text_u64(&t, (uint64_t)ref.exit[i]);
    for (unsigned unknown = 0;;) {
        const enum ending e = take(label, 1);
        if (e != CUT && (e != UNKNOWN || ++unknown > 3))
            return e == GOOD;
    }
}

static void backwards(void)
{
    for (unsigned i = plan.steps; i-- > 0;)
        for (unsigned u = 0; ref.begun[i] && u < plan.step[i].undos; u++)
            if (undo_one(i, u))
                ref.undone++;
            else
                ref.not_undone++;
}

static void run_reference(struct text *out)
{
    unsigned undos = 0;
    uint64_t begun = 0;
    bool told = true;

    ref = (struct reference){.out = out};
    for (unsigned i = 0; i < STEPS; i++)
        ref.exit[i] = -1;
    const enum going going = forwards();
    if (going == FAIL && !ref.armed) {
        backwards();
    } else if (going == FAIL) {
        for (unsigned i = 0; i < plan.steps; i++)
            undos += ref.begun[i] ? plan.step[i].undos : 0;
        told = tell_device("undo");
        ref.undone = told ? undos : 0;
        ref.not_undone = told ? 0 : undos;
    }
    for (unsigned i = 0; i < plan.steps; i++)
        begun |= (uint64_t)ref.begun[i] << i;
    trace_end(out, going == STOPPED             ? PLAYBOOK_STOPPED
                   : going == GO                ? PLAYBOOK_DONE
                   : ref.not_undone > 0 || !told ? PLAYBOOK_UNDO_FAILED
                                                 : PLAYBOOK_FAILED,
              ref.undone, ref.not_undone, begun);
}

/* ---- the engine ---- */

static const struct playbook_values values = {.host = "r1"};
static struct playbook_run run;

static void interrupt(void)
{
    static char saved[PLAYBOOK_SAVED_BYTES];
    struct json_token tokens[PLAYBOOK_SAVED_TOKENS];
    struct json_writer w;
    struct text t;
    const char *why;

    text_init(&t, saved, sizeof saved);
    json_begin(&w, &t);
    playbook_save(&run, &w, NULL);
    memset(&run, 0xA5, sizeof run);
    CHECK_INT(playbook_restore(&run, book, &values, (struct slice){saved, t.len}, tokens, PLAYBOOK_SAVED_TOKENS, &why), 0);
    playbook_resume(&run);
}

static void trace_todo(struct text *out, const struct playbook_todo *todo)
{
    char label[64];
    struct text t;

    text_init(&t, label, sizeof label);
    if (todo->op.kind == OP_UNDO) {
        text_str(&t, word_at("arm\0commit\0undo\0", todo->op.undo));
    } else {
        text_str(&t, todo->op.argv[1]);
        text_char(&t, ' ');
        text_str(&t, todo->op.argv[2]);
    }
    trace(out, label, todo->attempt);
}

static void give(unsigned turn)
{
    static const uint8_t outcomes[] = {[GOOD] = LINK_DONE,       [BAD] = LINK_DONE,      [LATE] = LINK_DONE,
                                       [DENIED] = LINK_DENIED,   [EXPIRED] = LINK_EXPIRED, [UNKNOWN] = LINK_END_UNKNOWN,
                                       [UNSUPPORTED] = LINK_UNSUPPORTED, [BUSY] = LINK_BUSY};
    const enum ending e = (enum ending)turns[turn].ending;

    if (e == CUT)
        interrupt();
    else
        (void)playbook_result(&run, &(struct playbook_result){.outcome = (enum link_outcome)outcomes[e], .exit = turns[turn].exit, .timed_out = e == LATE});
}

static void run_engine(struct text *out)
{
    struct playbook_todo todo;
    struct text text;
    enum playbook_turn turn;
    unsigned t = 0;

    playbook_begin(&run, book, &values, "00112233aabbccdd");
    for (;; t++) {
        if (turns[t].cut)
            interrupt();
        text_init(&text, memory.text, sizeof memory.text);
        turn = playbook_next(&run, &todo, &text);
        if (turn == PLAYBOOK_OVER || t + 1 == TURNS)
            break;
        if (turn == PLAYBOOK_CARRY_OUT) {
            trace_todo(out, &todo);
            give(t);
        } else {
            trace(out, turn == PLAYBOOK_SKIPPED ? "skipped" : "refused", todo.step);
        }
    }
    trace_end(out, (enum playbook_state)run.state, run.undone, run.not_undone, run.begun);
}

TEST(the_engine_does_what_the_reference_does)
{
    static char wanted_buf[8192], got_buf[8192];
    unsigned states[PLAYBOOK_STOPPED + 1] = {0};
    struct text wanted, got;

    seed = 88172645463325252u;
    for (unsigned round = 0; round < ROUNDS; round++) {
        choose();
        const char *json = written();
        REQUIRE(load("p.json", json) == 0);
        text_init(&wanted, wanted_buf, sizeof wanted_buf);
        text_init(&got, got_buf, sizeof got_buf);
        run_reference(&wanted);
        run_engine(&got);
        if (!str_eq(got_buf, wanted_buf)) {
            check_puts(json);
            CHECK_INT(round, -1);
            CHECK_STR(got_buf, wanted_buf);
            return;
        }
        states[run.state]++;
    }
    for (unsigned i = PLAYBOOK_DONE; i <= PLAYBOOK_STOPPED; i++)
        CHECK(states[i] > ROUNDS / 100); /* each kind of end was among them */
}

TEST_MAIN(the_engine_does_what_the_reference_does)
