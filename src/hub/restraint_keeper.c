#include "nefia/hub/restraint_keeper.h"

#include <string.h>

#include "nefia/base/bytes.h"
#include "nefia/base/err.h"

enum { CLOCK_BYTES = 8 };

static void keep_mark(void *arg, unsigned slot)
{
    struct restraint_keeper *k = arg;
    const struct restraint_mark *m = &k->restraint.marks[slot];
    const struct rule_set *set = rules_active(k->rules);
    uint8_t bytes[RESTRAINT_MARK_MAX];
    size_t len = 0;

    if (m->kind != MARK_FREE && m->rule < set->count)
        len = restraint_store(m, set->rules[m->rule].name, bytes);
    journal_keep(k->journal, KEPT_RESTRAINT, (uint16_t)slot, bytes, len);
}

static void keep_clock(struct restraint_keeper *k)
{
    uint8_t bytes[CLOCK_BYTES];

    k->kept_ms = restraint_ran(k);
    put_be64(bytes, k->kept_ms);
    journal_keep(k->journal, KEPT_RESTRAINT, RESTRAINT_CLOCK_SLOT, bytes, sizeof bytes);
}

static void copy(void *arg)
{
    struct restraint_keeper *k = arg;

    keep_clock(k);
    for (unsigned i = 0; i < k->restraint.top; i++)
        if (k->restraint.marks[i].kind != MARK_FREE)
            keep_mark(k, i);
}

static void note_ran(struct restraint_keeper *k, uint64_t ran_ms)
{
    if (ran_ms > k->before_ms)
        k->before_ms = ran_ms;
}

static void restore(void *arg, uint16_t slot, const uint8_t *bytes, size_t len)
{
    struct restraint_keeper *k = arg;
    struct restraint_mark m = {0};
    char name[RULE_NAME_MAX + 1];
    struct slice rule;
    struct text t;

    if (slot == RESTRAINT_CLOCK_SLOT) {
        if (len == CLOCK_BYTES)
            note_ran(k, get_be64(bytes));
        return;
    }
    if (restraint_load(&m, bytes, len, &rule) == 0) {
        note_ran(k, m.at_ms);
        text_init(&t, name, sizeof name);
        text_bytes(&t, rule.ptr, rule.len);
        const int index = rules_find(k->rules, name);
        m.rule = (uint16_t)index;
        if (index < 0 || !restraint_fit(&m, rules_restraint(k->rules, (unsigned)index)))
            m = (struct restraint_mark){0};
    }
    restraint_restore(&k->restraint, slot, &m);
}

static const struct restraint_settings *settings_of(void *arg, uint16_t rule)
{
    const struct restraint_keeper *k = arg;

    return rules_restraint(k->rules, rule);
}

void restraint_keeper_init(struct restraint_keeper *k, const struct clock *clock, const struct rules *rules, struct journal *journal,
                           struct restraint_mark *marks, unsigned cap)
{
    *k = (struct restraint_keeper){.clock = clock, .rules = rules, .journal = journal, .begun_ms = clock_ms(clock)};
    restraint_init(&k->restraint, marks, cap);
    k->restraint.changed = keep_mark;
    k->restraint.settings = settings_of;
    k->restraint.arg = k;
    journal_keeper(journal, KEPT_RESTRAINT, &(struct journal_keeper){restore, copy, k});
}

uint64_t restraint_ran(const struct restraint_keeper *k)
{
    return k->before_ms + (clock_ms(k->clock) - k->begun_ms);
}

void restraint_keeper_turn(struct restraint_keeper *k, bool stopping)
{
    if (stopping || (journal_dirty(k->journal) && restraint_ran(k) - k->kept_ms >= RESTRAINT_CLOCK_MS))
        keep_clock(k);
}

void restraint_keeper_rebind(struct restraint_keeper *k, uint16_t (*rule_now)(void *arg, uint16_t rule), void *arg)
{
    restraint_rebind(&k->restraint, rule_now, arg, restraint_ran(k));
}
