#include "nefia/base/err.h"
#include "nefia/beacon/sensor_runner.h"
#include "nefia/sys/clock.h"

/* What ends at a time that is known: certificates, credentials. */
enum { RETRY_MS = 60 * 1000 };

bool expiry_now(struct emitter *e, int64_t *now_s)
{
    const struct clock *clock = emitter_clock(e);
    const bool set = clock_synced(clock);

    *now_s = clock_unix(clock);
    if (!set) {
        emitter_not_measured(e, "clock", "not set");
        emitter_soon(e, RETRY_MS);
    }
    return set;
}

enum { EXPIRING, EXPIRED, ROTATED };

/** Begin that event, if there is something to report. */
static struct json_writer *begin(struct emitter *e, const struct expiry *x, unsigned which, const char *type)
{
    const int64_t left_s = x->end_s - x->now_s;

    if (which == ROTATED)
        return x->rotated ? emit_change(e, type, x->subject, SEVERITY_INFO) : NULL;
    if (which == EXPIRED)
        return emit_condition(e, type, x->subject, left_s < 0 ? LEVEL_CRITICAL : LEVEL_OK);
    if (left_s >= 0)
        return emit_level(e, type, x->subject, left_s * 1000, x->limits, BELOW);
    struct condition *c = emitter_condition(e, type, x->subject);
    if (c)
        c->key = 0; /* EXPIRED takes its place */
    return NULL;
}

bool judge_expiry(struct emitter *e, const struct expiry *x, int64_t (*put)(void *arg, struct json_writer *w), void *arg)
{
    int accepted = 1;

    for (unsigned which = EXPIRING; which <= ROTATED; which++) {
        struct json_writer *w = begin(e, x, which, word_at(x->types, which));
        char buf[24];
        struct text t;

        if (!w)
            continue;
        const int64_t end_s = put(arg, w);
        text_init(&t, buf, sizeof buf);
        text_rfc3339(&t, end_s);
        json_put_string(w, "not_after", buf);
        json_put_i64(w, "seconds_left", end_s - x->now_s);
        accepted = emit_end(e);
    }
    return accepted == 1 || !x->rotated;
}

void expiry_turn_over(struct emitter *e, const char *types, enum expiry_mark from, enum expiry_mark to)
{
    struct condition_table *t = e->owner->conditions;

    for (unsigned i = 0; i < t->count; i++) {
        struct condition *c = &t->slots[i];
        if (c->mark == from && (str_eq(c->name, word_at(types, EXPIRING)) || str_eq(c->name, word_at(types, EXPIRED))))
            c->mark = to;
    }
}
