#include "nefia/base/err.h"
#include "nefia/beacon/sensor.h"

/* Values and their thresholds, the same for all sensors that measure. */

static int64_t *member(void *state, const struct field *f)
{
    return (int64_t *)(void *)((char *)state + f->offset);
}

static bool in_order(int64_t first, int64_t second, enum direction bad)
{
    return bad == ABOVE ? first < second : first > second;
}

int thresholds_check(void *state, const struct field *three, enum direction bad, struct config *c,
                     const struct node *n, const char *where)
{
    const int64_t warning = *member(state, &three[0]), critical = *member(state, &three[1]);
    int64_t *hysteresis = member(state, &three[2]);
    const struct node *given = node_child(c, n, three[0].name);
    const unsigned errors = c->errors;

    if (!in_order(warning, critical, bad))
        config_error(c, given ? given : n, where, three[0].name, " must be ",
                     bad == ABOVE ? "below " : "above ", three[1].name,
                     given ? "" : HINT(" (default "), given ? "" : HINT(field_default(&three[0])),
                     given ? "" : HINT(")"), NULL);
    if (bad == BELOW || *hysteresis < warning)
        return c->errors == errors ? 0 : NEFIA_EINVAL;
    given = node_child(c, n, three[2].name);
    if (given)
        config_error(c, given, where, three[2].name, " must be below ", three[0].name, NULL);
    *hysteresis = warning > 0 ? warning - 1 : 0; /* the default is too large for so low a threshold */
    return c->errors == errors ? 0 : NEFIA_EINVAL;
}

struct json_writer *emit_level(struct emitter *e, const char *type, const char *subject,
                               int64_t value, const struct thresholds *t, enum direction bad)
{
    const struct condition *c = emitter_condition(e, type, subject);
    const int64_t w = t->warning, k = t->critical, h = t->hysteresis;

    return emit_condition(e, type, subject,
                          bad == ABOVE ? condition_level(c, value, w, k, h)
                                       : condition_level_below(c, value, w, k, h));
}

struct json_writer *emit_grade(struct emitter *e, const char *type, const char *ended,
                               const char *subject, enum grade measured)
{
    const int level = measured == GRADE_CRITICAL ? LEVEL_CRITICAL : (int)measured - 1;
    struct json_writer *w = emit_condition_pair(e, type, ended, subject, (enum level)level);

    if (w && measured != GRADE_NONE)
        json_put_string(w, "level", word_at("low\0medium\0high\0critical\0", measured - 1u));
    return w;
}

void put_tenths(struct json_writer *w, const char *key, int64_t tenths)
{
    char buf[24];
    struct text t;

    text_init(&t, buf, sizeof buf);
    text_tenths(&t, tenths);
    json_put_string(w, key, buf);
}

int64_t percent_tenths(uint64_t part, uint64_t whole)
{
    if (whole == 0)
        return 0;
    for (; whole > UINT64_MAX / 2000; whole >>= 1)
        part >>= 1;
    return (int64_t)((part * 2000 + whole) / (2 * whole));
}
