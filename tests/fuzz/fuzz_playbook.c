/* Arbitrary bytes as a playbook, once as YAML and once as JSON: it is bound or its faults are reported; what is bound is planned and run to
 * its end, with an event of a device that means no good, and with ends of steps and interruptions by chance. */
#include <string.h>

#include "nefia/base/err.h"
#include "nefia/guard/policy.h"
#include "nefia/play/playbook.h"

#define MUST(condition)       \
    do {                      \
        if (!(condition))     \
            __builtin_trap(); \
    } while (0)

enum { WORK = 24 * 1024, TURNS_MOST = 40000 };

static struct playbook_memory memory;
static struct pattern_tree tree;
static struct matcher_work matching;
static char work[WORK];
static unsigned reports;
static uint32_t chance;

static const char evil[] =
    "{\"type\":\"a.b\",\"source\":\"s\",\"host_id\":\"r1\",\"timestamp\":\"2026-03-10T15:30:00Z\",\"severity\":\"critical\","
    "\"data\":{\"service\":\"-x; reboot\",\"path\":\"/../etc/x\",\"text\":\"{{vars.a}} $(reboot) == \\\" and \\u001b[2J\\n\",\"n\":\"12.5\","
    "\"deep\":{\"a\":true},\"list\":[1],\"none\":null,\"nul\":\"\\u0000\"}}";

static void take_report(void *arg, const char *message)
{
    const char *name = arg;

    reports++;
    MUST(strncmp(message, name, strlen(name)) == 0);
    MUST(strlen(message) < CONFIG_MESSAGE_BYTES && utf8_valid(message, strlen(message)));
}

static uint32_t next_chance(uint32_t below)
{
    chance ^= chance << 13;
    chance ^= chance >> 17;
    chance ^= chance << 5;
    return chance % below;
}

/* ---- what is bound ---- */

static void check_bound(const struct playbook *p)
{
    unsigned undos = 0;

    MUST(p->name[0] && p->step_count >= 1 && p->step_count <= PLAYBOOK_STEPS && p->undo_count <= PLAYBOOK_UNDOS);
    MUST(p->var_count <= PLAYBOOK_VARS && p->register_count <= PLAYBOOK_REGISTERS && p->host_count <= PLAYBOOK_HOSTS);
    for (unsigned i = 0; i < p->step_count; i++) {
        const struct playbook_step *s = &p->steps[i];
        MUST(s->name[0] && s->undo_first == undos && s->undo_count <= PLAYBOOK_UNDOS_OF_STEP);
        MUST(s->reg >= -1 && s->reg < (int)p->register_count && s->op.timeout_ms >= 1000);
        undos += s->undo_count;
    }
    MUST(undos == p->undo_count);
}

static bool is_written(const struct playbook *p, const char *command)
{
    for (unsigned i = 0; i < p->step_count; i++)
        if (p->steps[i].op.text == command)
            return true;
    for (unsigned i = 0; i < p->undo_count; i++)
        if (p->undos[i].text == command)
            return true;
    return false;
}

static bool is_plain(const char *path)
{
    return path[0] == '/' && policy_is_plain((struct slice){path, strlen(path)});
}

/** Whoever gets the op can read it, and what it says is what was written. Its JSON into buf. */
static void check_op(const struct playbook *p, const struct op *op, char *buf, size_t cap)
{
    static struct json_token tokens[OP_TOKENS];
    static char strings[OP_TEXT_BYTES + 1], again[PLAYBOOK_OP_BYTES + 1];
    struct json_writer w;
    struct text t, text;
    struct op read;
    const char *why;

    MUST(op->kind != OP_RUN || is_written(p, op->run));
    MUST(op->kind != OP_ARGV || op->argv[0][0] == '/');
    MUST(!op->path || is_plain(op->path));
    MUST(!op->from || is_plain(op->from));
    MUST(!op->service || op_is_service(op->service));
    text_init(&t, buf, cap);
    json_begin(&w, &t);
    op_write(op, &w, NULL);
    MUST(!t.truncated);
    text_init(&text, strings, sizeof strings);
    const int err = op_read(&read, (struct slice){t.buf, t.len}, &text, tokens, OP_TOKENS, &why);
    MUST(err == 0 && read.kind == op->kind && read.env_count == op->env_count);
    text_init(&t, again, sizeof again);
    json_begin(&w, &t);
    op_write(&read, &w, NULL);
    MUST(op->kind == OP_ARGV || op->kind == OP_FILE || op->env_count > 0 || str_eq(buf, again)); /* those may have what is not UTF-8 */
}

/* ---- what is done ---- */

static void plan(const struct playbook *p, const struct playbook_values *v)
{
    char why_buf[PLAYBOOK_WHY_MAX];
    struct text text, why;
    struct op op;
    bool open;

    for (unsigned i = 0; i < p->step_count; i++)
        for (int undo = -1; undo < p->steps[i].undo_count; undo++) {
            text_init(&text, memory.text, OP_TEXT_BYTES);
            text_init(&why, why_buf, sizeof why_buf);
            const int err = playbook_plan(p, v, i, undo, &op, &text, &open, &why);
            MUST(err == 0 || why.len > 0);
            text_reset(&why);
            const int holds = playbook_plan_when(p, v, i, &why);
            MUST(holds == 0 || holds == 1 || holds == NEFIA_EAGAIN || why.len > 0);
        }
}

static void give_result(struct playbook_run *run)
{
    static const char output[] = "1\n{{vars.a}}\xFF\x1B[0m\n\n";
    static const uint8_t outcomes[] = {LINK_DONE, LINK_DONE, LINK_DONE, LINK_DONE, LINK_DENIED, LINK_EXPIRED, LINK_END_UNKNOWN, LINK_UNSUPPORTED, LINK_BUSY};
    struct playbook_result r = {.outcome = (enum link_outcome)outcomes[next_chance(sizeof outcomes)]};

    r.exit = next_chance(3) == 0 ? (int)next_chance(256) : 0;
    r.timed_out = next_chance(16) == 0;
    r.output = (struct slice){output, next_chance(sizeof output)};
    r.reason = next_chance(2) ? "because" : NULL;
    MUST(playbook_result(run, &r) <= PLAYBOOK_IGNORED);
}

static void interrupt(struct playbook_run *run, const struct playbook *p, const struct playbook_values *v)
{
    static char saved[PLAYBOOK_SAVED_BYTES], again[PLAYBOOK_SAVED_BYTES];
    struct json_token tokens[PLAYBOOK_SAVED_TOKENS];
    struct json_writer w;
    struct text t;
    const char *why;

    text_init(&t, saved, sizeof saved);
    json_begin(&w, &t);
    playbook_save(run, &w, NULL);
    MUST(!t.truncated);
    memset(run, 0x5A, sizeof *run);
    MUST(playbook_restore(run, p, v, (struct slice){saved, t.len}, tokens, PLAYBOOK_SAVED_TOKENS, &why) == 0);
    text_init(&t, again, sizeof again);
    json_begin(&w, &t);
    playbook_save(run, &w, NULL);
    MUST(str_eq(saved, again));
    playbook_resume(run);
}

static void carry_out(const struct playbook *p, const struct playbook_values *v)
{
    static char first[PLAYBOOK_OP_BYTES + 1], second[PLAYBOOK_OP_BYTES + 1];
    struct playbook_run *run = &memory.run;
    struct playbook_todo todo;
    struct text text;
    unsigned turns = 0, interruptions = next_chance(4);

    playbook_begin(run, p, v, "0123456789abcdef");
    for (;; turns++) {
        MUST(turns < TURNS_MOST);
        text_init(&text, memory.text, sizeof memory.text);
        const enum playbook_turn turn = playbook_next(run, &todo, &text);
        if (turn == PLAYBOOK_OVER)
            break;
        if (turn != PLAYBOOK_CARRY_OUT) {
            MUST(todo.why[0]);
            continue;
        }
        check_op(p, &todo.op, first, sizeof first);
        text_init(&text, memory.text, sizeof memory.text);
        MUST(playbook_next(run, &todo, &text) == PLAYBOOK_CARRY_OUT);
        check_op(p, &todo.op, second, sizeof second);
        MUST(str_eq(first, second) && todo.attempt >= 1);
        if (interruptions > 0 && next_chance(8) == 0 && interruptions--)
            interrupt(run, p, v);
        else
            give_result(run);
    }
    MUST(run->state != PLAYBOOK_RUNS && (run->state == PLAYBOOK_DONE) == (run->why[0] == '\0'));
    MUST(run->state != PLAYBOOK_DONE || (run->undone == 0 && run->not_undone == 0));
    MUST(utf8_valid(run->why, strlen(run->why)));
}

static void load(const char *name, const char *text, size_t size)
{
    struct playbook_memory *m = &memory;
    struct config *c = &m->config;
    char path[16];
    int err;

    memcpy(path, name, strlen(name) + 1);
    reports = 0;
    m->arena = (struct config_arena){m->strings, sizeof m->strings, 0};
    config_init(c, NULL, m->nodes, PLAYBOOK_NODES, take_report, path);
    err = config_load_text(c, name, text, size, &m->arena, work, sizeof work);
    if (err == 0) {
        const unsigned before = c->errors;
        err = playbook_bind(&m->book, c, &tree);
        MUST((err == 0) == (c->errors == before));
    }
    const int done = config_done(c);
    MUST((done < 0) == (c->errors > 0));
    if (err < 0 || done < 0) {
        MUST(reports > 0);
        return;
    }
    check_bound(&m->book);
    (void)playbook_takes(&m->book, "r1", &matching);
    const struct playbook_values with = {.host = "r1", .event = &m->event, .on_hub = m->book.commit_within_ms == 0 && next_chance(4) == 0},
                                 without = {.host = "-rf"};
    plan(&m->book, &with);
    for (unsigned i = 0; i < 4; i++)
        carry_out(&m->book, i & 1 ? &without : &with);
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);
int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    const char *why;

    chance = hash_bytes(HASH_START, data, size) | 1;
    MUST(playbook_take_event(&memory, evil, sizeof evil - 1, &why) == 0);
    load("f.json", (const char *)data, size);
    load("f.yaml", (const char *)data, size);
    return 0;
}
