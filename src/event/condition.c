#include "nefia/event/condition.h"

#include <string.h>

void condition_init(struct condition_table *t, struct condition *slots, unsigned count)
{
    *t = (struct condition_table){.slots = slots, .count = count};
    memset(slots, 0, count * sizeof *slots);
}

/** Append s with its NUL to the fixed-size name, cut if necessary. Return: the new length. */
static size_t append(char *name, size_t at, size_t cap, const char *s)
{
    for (; *s && at < cap; s++)
        name[at++] = *s;
    return at < cap ? at + 1 : at; /* the rest is already zero */
}

static uint32_t name_hash(const char *sensor, const char *subject)
{
    uint32_t h = hash_bytes(HASH_START, sensor, strlen(sensor) + 1);

    h = hash_bytes(h, subject, strlen(subject) + 1);
    return h ? h : 1;
}

struct condition *condition_get(struct condition_table *t, const char *sensor, const char *subject)
{
    struct condition fresh = {.held = LEVEL_OK, .mark = 1};
    struct condition *unused = NULL;
    size_t len;

    if (!subject)
        subject = "";
    fresh.key = name_hash(sensor, subject);
    len = append(fresh.name, 0, sizeof fresh.name, sensor);
    append(fresh.name, len, sizeof fresh.name, subject);
    while (t->used > 0 && !t->slots[t->used - 1].key)
        t->used--;
    for (unsigned i = 0; i < t->used; i++) {
        struct condition *c = &t->slots[i];

        if (!c->key && !unused)
            unused = c;
        if (c->key == fresh.key && memcmp(c->name, fresh.name, sizeof fresh.name) == 0) {
            c->mark = 1;
            return c;
        }
    }
    if (!unused && t->used < t->count)
        unused = &t->slots[t->used++];
    if (unused)
        *unused = fresh;
    return unused;
}

static void count_levels(struct condition *c, enum level measured)
{
    for (int l = LEVEL_INFO; l <= LEVEL_CRITICAL; l++) {
        if ((int)measured < l)
            c->seen[l] = 0;
        else if (c->seen[l] < UINT8_MAX)
            c->seen[l]++;
    }
}

struct condition_verdict condition_check(struct condition *c, enum level measured,
                                         unsigned for_checks)
{
    struct condition_verdict v = {.previous = (enum level)c->held};
    int level = (int)v.previous;

    count_levels(c, measured);
    if ((int)measured < level)
        level = measured;
    for (int l = level + 1; l <= (int)measured; l++)
        if (c->seen[l] >= (for_checks < UINT8_MAX ? for_checks : UINT8_MAX))
            level = l;
    c->held = (int8_t)level;
    v.level = (enum level)level;
    if (v.level != v.previous)
        v.action = v.level == LEVEL_OK ? CONDITION_RECOVERED : CONDITION_FIRE;
    else
        v.action = v.level == LEVEL_OK ? CONDITION_QUIET : CONDITION_REPEAT;
    return v;
}

/** Is value at or above the threshold or, if the level is held, within the hysteresis below it? */
static bool reaches(int64_t value, int64_t threshold, int64_t hysteresis, bool held)
{
    int64_t least = threshold;

    if (threshold == INT64_MAX)
        return false;
    if (held && __builtin_sub_overflow(threshold, hysteresis, &least))
        return true; /* the hysteresis reaches below every value */
    return value >= least;
}

enum level condition_level(const struct condition *c, int64_t value, int64_t warning,
                           int64_t critical, int64_t hysteresis)
{
    int held = c ? c->held : LEVEL_OK;

    if (reaches(value, critical, hysteresis, held >= LEVEL_CRITICAL))
        return LEVEL_CRITICAL;
    if (reaches(value, warning, hysteresis, held >= LEVEL_WARNING))
        return LEVEL_WARNING;
    return LEVEL_OK;
}

/** ~x is -x - 1: it turns the order around, and no value is without one. */
enum level condition_level_below(const struct condition *c, int64_t value, int64_t warning,
                                 int64_t critical, int64_t hysteresis)
{
    return condition_level(c, ~value, ~warning, ~critical, hysteresis);
}

void condition_mark(struct condition_table *t)
{
    for (unsigned i = 0; i < t->count; i++)
        t->slots[i].mark = 0;
}

void condition_sweep(struct condition_table *t)
{
    for (unsigned i = 0; i < t->count; i++)
        if (!t->slots[i].mark)
            memset(&t->slots[i], 0, sizeof t->slots[i]);
}
