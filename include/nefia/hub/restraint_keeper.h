#ifndef NEFIA_HUB_RESTRAINT_KEEPER_H
#define NEFIA_HUB_RESTRAINT_KEEPER_H

#include "nefia/hub/journal.h"
#include "nefia/hub/restraint.h"
#include "nefia/hub/rules.h"
#include "nefia/sys/clock.h"

/** What restraint remembers, in the journal and back: each mark in the slot of its number, with its rule's name; and how long the hub
 * has run, in a slot of its own. That is recorded with what else a turn records, at most once a second: the time between
 * that and a crash has not passed. */

#define RESTRAINT_CLOCK_SLOT 0xFFFF
#define RESTRAINT_CLOCK_MS 1000

struct restraint_keeper {
    struct restraint restraint;
    const struct clock *clock;
    const struct rules *rules;
    struct journal *journal;
    uint64_t begun_ms; /* of the clock, when this start began */
    uint64_t before_ms; /* ran, then */
    uint64_t kept_ms;   /* ran, as it is in the journal */
};

/** marks: zeroed, the caller's. Everything must persist; the journal is initialised. */
void restraint_keeper_init(struct restraint_keeper *k, const struct clock *clock, const struct rules *rules, struct journal *journal,
                           struct restraint_mark *marks, unsigned cap);
/** How long the hub has run, over all its starts. */
uint64_t restraint_ran(const struct restraint_keeper *k);
/** The end of a turn, before the journal's commit; `stopping`: the last one, to be recorded in any case. */
void restraint_keeper_turn(struct restraint_keeper *k, bool stopping);
/** After rules_commit. rule_now: as restraint_rebind's. */
void restraint_keeper_rebind(struct restraint_keeper *k, uint16_t (*rule_now)(void *arg, uint16_t rule), void *arg);

#endif
