/* The position of a run, as it is kept over a restart of whoever drives it. */
#include <string.h>

#include "nefia/base/err.h"
#include "play_int.h"

_Static_assert(PLAYBOOK_OP_BYTES <= OP_TEXT_BYTES, "the engine's scratch is one part of the text or the other");

void playbook_save(const struct playbook_run *r, struct json_writer *w, const char *key)
{
    json_object(w, key);
    json_put_hex64(w, "print", r->book->print);
    json_put_string(w, "host", r->values->host);
    json_put_bool(w, "on_hub", r->values->on_hub);
    json_put_string(w, "id", r->id);
    json_put_u64(w, "state", r->state);
    json_put_u64(w, "phase", r->phase);
    json_put_bool(w, "in_flight", r->in_flight);
    json_put_bool(w, "armed", r->armed);
    json_put_u64(w, "step", r->step);
    json_put_u64(w, "attempt", r->attempt);
    json_put_u64(w, "again", r->again);
    json_put_u64(w, "undo", r->undo);
    json_put_u64(w, "failed_step", r->failed_step);
    json_put_u64(w, "undone", r->undone);
    json_put_u64(w, "not_undone", r->not_undone);
    json_put_hex64(w, "begun", r->begun);
    json_put_hex64(w, "skipped", r->skipped);
    json_put_string(w, "why", r->why);
    json_array(w, "registers");
    for (unsigned i = 0; i < r->book->register_count; i++) {
        const struct playbook_register *reg = &r->registers[i];
        json_put_i64(w, NULL, reg->set ? reg->exit : -1);
        json_put_bytes(w, NULL, reg->output, reg->len);
    }
    json_end_array(w);
    json_end_object(w);
}

/* ---- reading ---- */

/** Members are taken one after the other; the first that is not right is remembered. */
struct reading {
    struct json_doc doc;
    bool wrong;
};

static int member(struct reading *r, const char *name, enum json_type type)
{
    const int i = json_member(&r->doc, 0, name);

    if (i >= 0 && json_at(&r->doc, (unsigned)i)->type == type)
        return i;
    r->wrong = true;
    return NEFIA_ENOTFOUND;
}

static unsigned take_number(struct reading *r, const char *name, unsigned most)
{
    const int i = member(r, name, JSON_NUMBER);
    int64_t v = 0;

    if (i >= 0 && (json_i64(&r->doc, (unsigned)i, &v) < 0 || v < 0 || v > most))
        r->wrong = true;
    return r->wrong ? 0 : (unsigned)v;
}

static bool take_bool(struct reading *r, const char *name)
{
    const int i = json_member(&r->doc, 0, name);
    const int type = i < 0 ? JSON_NULL : json_at(&r->doc, (unsigned)i)->type;

    r->wrong |= type != JSON_TRUE && type != JSON_FALSE;
    return type == JSON_TRUE;
}

static uint64_t take_bits(struct reading *r, const char *name)
{
    const int i = member(r, name, JSON_STRING);
    uint8_t bytes[8] = {0};
    struct slice s = {"", 0};

    if (i >= 0)
        s = json_raw(&r->doc, (unsigned)i);
    if (parse_hex(s.ptr, s.len, bytes, sizeof bytes) < 0)
        r->wrong = true;
    return get_be64(bytes);
}

/** Return: its length. */
static size_t take_string(struct reading *r, int i, char *buf, size_t cap)
{
    struct text t;

    text_init(&t, buf, cap);
    if (i < 0 || json_string(&r->doc, (unsigned)i, &t) < 0 || memchr(t.buf, '\0', t.len))
        r->wrong = true;
    return t.len;
}

static void take_register(struct reading *r, struct playbook_register *reg, unsigned i)
{
    int64_t exit = 0;

    if (json_i64(&r->doc, i, &exit) < 0 || exit < -1 || exit > 255)
        r->wrong = true;
    reg->set = exit >= 0;
    reg->exit = reg->set ? (uint8_t)exit : 0;
    reg->len = (uint16_t)take_string(r, (int)i + 1, reg->output, sizeof reg->output);
}

static void take_registers(struct reading *r, struct playbook_run *run)
{
    const int list = member(r, "registers", JSON_ARRAY);

    if (list < 0 || json_at(&r->doc, (unsigned)list)->size != 2 * run->book->register_count) {
        r->wrong = true;
        return;
    }
    for (unsigned i = 0; i < run->book->register_count; i++)
        take_register(r, &run->registers[i], (unsigned)list + 1 + 2 * i);
}

static void take_position(struct reading *r, struct playbook_run *run)
{
    const unsigned steps = run->book->step_count;

    run->state = (uint8_t)take_number(r, "state", PLAYBOOK_STOPPED);
    run->phase = (uint8_t)take_number(r, "phase", PLAYBOOK_UNDO_ARMED);
    run->in_flight = take_bool(r, "in_flight");
    run->armed = take_bool(r, "armed");
    run->step = (uint8_t)take_number(r, "step", steps);
    run->attempt = (uint8_t)take_number(r, "attempt", UINT8_MAX);
    run->again = (uint8_t)take_number(r, "again", UINT8_MAX);
    run->undo = (uint8_t)take_number(r, "undo", PLAYBOOK_UNDOS_OF_STEP);
    run->failed_step = (uint8_t)take_number(r, "failed_step", PLAYBOOK_STEPS);
    run->undone = (uint16_t)take_number(r, "undone", PLAYBOOK_UNDOS);
    run->not_undone = (uint16_t)take_number(r, "not_undone", PLAYBOOK_UNDOS);
    run->begun = take_bits(r, "begun");
    run->skipped = take_bits(r, "skipped");
    take_string(r, member(r, "id", JSON_STRING), run->id, sizeof run->id);
    take_string(r, member(r, "why", JSON_STRING), run->why, sizeof run->why);
    r->wrong |= strlen(run->id) != OP_RUN_ID || (steps < PLAYBOOK_STEPS && (run->begun | run->skipped) >> steps != 0);
}

/** Only the engine makes positions; one that it cannot be in is damage. */
static bool is_possible(const struct playbook_run *run)
{
    const struct playbook *p = run->book;
    const bool armed = run->phase == PLAYBOOK_ARM || run->phase == PLAYBOOK_COMMIT || run->phase == PLAYBOOK_UNDO_ARMED;

    if ((armed || run->armed) && p->commit_within_ms == 0)
        return false;
    if (run->step == p->step_count && (run->phase == PLAYBOOK_UNDO || run->in_flight) && run->phase != PLAYBOOK_COMMIT)
        return false;
    return !run->in_flight || (run->state == PLAYBOOK_RUNS && run->attempt > 0);
}

int playbook_restore(struct playbook_run *run, const struct playbook *p, const struct playbook_values *v, struct slice json,
                     struct json_token *tokens, unsigned cap, const char **why)
{
    struct reading r = {.wrong = false};
    struct json_error error;
    char host[EVENT_HOST_MAX + 1];

    *why = "the position is no JSON object";
    playbook_begin(run, p, v, "");
    if (json_parse(&r.doc, json.ptr, json.len, tokens, cap, 3, &error) < 0 || json_at(&r.doc, 0)->type != JSON_OBJECT)
        return NEFIA_ESYNTAX;
    *why = "the playbook has changed since the run began";
    if (take_bits(&r, "print") != p->print)
        return NEFIA_EINVAL;
    *why = "the position is not one of this run";
    take_string(&r, member(&r, "host", JSON_STRING), host, sizeof host);
    if (take_bool(&r, "on_hub") != v->on_hub || !str_eq(host, v->host))
        return NEFIA_EINVAL;
    take_position(&r, run);
    take_registers(&r, run);
    return r.wrong || !is_possible(run) ? NEFIA_EINVAL : 0;
}
