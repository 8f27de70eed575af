#ifndef NEFIA_EVENT_CONDITION_H
#define NEFIA_EVENT_CONDITION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "nefia/event/event.h"

/** A level that holds. Pure: the action follows from the remembered state, the measured level and
 * the settings. Levels are LEVEL_OK and the severities: a condition may rise from warning to
 * critical and fall back. */
enum level {
    LEVEL_OK = -1,
    LEVEL_INFO = SEVERITY_INFO,
    LEVEL_WARNING = SEVERITY_WARNING,
    LEVEL_CRITICAL = SEVERITY_CRITICAL
};

struct condition {
    uint32_t key;                 /* hash of sensor and subject; 0: free, as whoever has it may set it */
    int8_t held;                  /* enum level now in force */
    uint8_t seen[SEVERITY_COUNT]; /* consecutive checks at this level or above; saturates at 255 */
    uint8_t mark;                 /* used during reload: still needed */
    uint8_t reported; /* set by the beacon: its last accepted event reported that it holds */
    char name[54]; /* sensor '\0' subject, cut; identifies it together with the hash */
};

struct condition_table {
    struct condition *slots;
    unsigned count;
    unsigned used; /* from here on all are free */
};

enum condition_action {
    CONDITION_QUIET,  /* nothing to report */
    CONDITION_FIRE,   /* entered, or changed level: emit at `level` */
    CONDITION_REPEAT, /* still holds: emit at `level`; the dedup window decides whether it passes */
    CONDITION_RECOVERED, /* left: emit one info event whose data has "state":"recovered" */
};

struct condition_verdict {
    enum condition_action action;
    enum level level; /* now in force */
    enum level previous;
};

void condition_init(struct condition_table *t, struct condition *slots, unsigned count);
/** The condition of this sensor and subject, created if new (nothing held). subject may be null.
 * Return: null if the table is full. The pointer stays valid until condition_sweep removes it.
 * O(those that are held): in good times it touches one, since what is far apart is slow to reach. */
struct condition *condition_get(struct condition_table *t, const char *sensor, const char *subject);
/** Evaluate one check. A level is entered after `for_checks` (1..255) consecutive checks at or
 * above it; leaving is immediate, because hysteresis is already part of the measured level
 * (condition_level). Falling to a lower level other than OK is a FIRE at that level. */
struct condition_verdict condition_check(struct condition *c, enum level measured,
                                         unsigned for_checks);
/** Threshold with hysteresis: entered at value >= threshold, left below threshold - hysteresis (>=
 * 0), all in the same unit. A threshold of INT64_MAX disables the level. c null: nothing is
 * held. */
enum level condition_level(const struct condition *c, int64_t value, int64_t warning,
                           int64_t critical, int64_t hysteresis);
/** The same downwards, for what must not become low: entered at value <= threshold, left above
 * threshold + hysteresis. A threshold of INT64_MIN disables the level. */
enum level condition_level_below(const struct condition *c, int64_t value, int64_t warning,
                                 int64_t critical, int64_t hysteresis);
/** Reload: condition_mark, then every sensor looks up its conditions (condition_get), then
 * condition_sweep removes those that were not looked up. */
void condition_mark(struct condition_table *t);
void condition_sweep(struct condition_table *t);

#endif
