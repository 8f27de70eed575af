#include "nefia/base/err.h"
#include "nefia/beacon/sensor.h"
#include "nefia/sys/clock.h"

/* What ends at a time that is known: certificates, credentials. */

bool expiry_now(struct emitter *e, int64_t *now_s)
{
    const struct clock *clock = emitter_clock(e);

    *now_s = clock_unix(clock);
    if (!clock_synced(clock))
        emitter_not_measured(e, "clock", "not set");
    return clock_synced(clock);
}

struct json_writer *emit_expiry(struct emitter *e, const char *types, enum expiry which,
                                const char *subject, int64_t left_s, const struct thresholds *limits)
{
    const char *type = word_at(types, which);
    const bool past = left_s < 0;

    if (which == EXPIRED)
        return emit_condition(e, type, subject, past ? LEVEL_CRITICAL : LEVEL_OK);
    if (!past)
        return emit_level(e, type, subject, left_s * 1000, limits, BELOW);
    struct condition *c = emitter_condition(e, type, subject);
    if (c)
        c->key = 0; /* ended without an event of its own: EXPIRED takes its place */
    return NULL;
}

void put_expiry(struct json_writer *w, int64_t end_s, int64_t now_s)
{
    char buf[24];
    struct text t;

    text_init(&t, buf, sizeof buf);
    text_rfc3339(&t, end_s);
    json_put_string(w, "not_after", buf);
    json_put_i64(w, "seconds_left", end_s - now_s);
}
