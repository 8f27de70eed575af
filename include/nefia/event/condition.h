#ifndef NEFIA_EVENT_CONDITION_H
#define NEFIA_EVENT_CONDITION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "nefia/event/event.h"

/** A level that holds. Pure: what to do follows from the remembered state, the measured level and
 * the settings. Levels are LEVEL_OK and the severities: a condition may rise from warning to
 * critical and fall back. */
enum level {
    LEVEL_OK = -1,
    LEVEL_INFO = SEVERITY_INFO,
    LEVEL_WARNING = SEVERITY_WARNING,
    LEVEL_CRITICAL = SEVERITY_CRITICAL
};

struct condition {
    uint32_t key;                 /* hash of sensor and subject with which it was made; 0: free */
    int8_t held;                  /* enum level now in force */
    uint8_t seen[SEVERITY_COUNT]; /* consecutive checks at this level or above; stays at 255 */
    uint8_t mark;                 /* reload: still in use */
    uint8_t told;  /* the beacon's: the last event of it that was heard said that it holds */
    char name[54]; /* sensor '\0' subject, cut; told apart by hash and this */
};

struct condition_table {
    struct condition *slots;
    unsigned count;
};

enum condition_action {
    CONDITION_QUIET,  /* nothing to say */
    CONDITION_FIRE,   /* entered, or changed level: emit at `level` */
    CONDITION_REPEAT, /* still holds: emit at `level`; the dedup window decides whether it is heard
                       */
    CONDITION_RECOVERED, /* left: emit one info event whose data has "state":"recovered" */
};

struct condition_verdict {
    enum condition_action action;
    enum level level; /* now in force */
    enum level previous;
};

void condition_init(struct condition_table *t, struct condition *slots, unsigned count);
/** The condition of this sensor and subject, made when new (nothing held). subject may be null.
 * Return: null when the table is full. The pointer stays good until condition_sweep forgets it.
 * O(slots). */
struct condition *condition_get(struct condition_table *t, const char *sensor, const char *subject);
/** One check. A level is entered after `for_checks` (1..255) consecutive checks at it or above;
 * leaving is immediate, since the measured level already has the hysteresis in it
 * (condition_level). Falling to a lower level that is not OK is a FIRE there. */
struct condition_verdict condition_check(struct condition *c, enum level measured,
                                         unsigned for_checks);
/** Threshold with hysteresis: entered at value >= threshold, left below threshold - hysteresis (>=
 * 0). All three in the same unit. A threshold of INT64_MAX: that level is off. c null: nothing is
 * held. */
enum level condition_level(const struct condition *c, int64_t value, int64_t warning,
                           int64_t critical, int64_t hysteresis);
/** Reload: condition_mark, then every sensor asks for its conditions (condition_get), then
 * condition_sweep forgets what was not asked for. */
void condition_mark(struct condition_table *t);
void condition_sweep(struct condition_table *t);

#endif
