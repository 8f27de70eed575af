#ifndef NEFIA_CONDITION_H
#define NEFIA_CONDITION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "nefia/event.h"

/** A level that holds. Pure: what to do follows from the remembered state, the measured level and the settings.
 * Levels are LEVEL_OK and the severities: a condition may rise from warning to critical and fall back. */
enum level { LEVEL_OK = -1, LEVEL_INFO = SEVERITY_INFO, LEVEL_WARNING = SEVERITY_WARNING, LEVEL_CRITICAL = SEVERITY_CRITICAL };

struct condition {
    uint32_t key;      /* hash of sensor and subject with which it was made; 0: free */
    int8_t held;       /* enum level now in force */
    int8_t candidate;  /* level being counted up to */
    uint8_t seen;      /* consecutive checks at candidate */
    uint8_t mark;      /* reload: still in use */
    char name[56];     /* sensor '\0' subject, cut; told apart by hash and this */
};

struct condition_table {
    struct condition *slots;
    unsigned count;
};

enum condition_action {
    CONDITION_QUIET,     /* nothing to say */
    CONDITION_FIRE,      /* entered, or changed level: emit at `level` */
    CONDITION_REPEAT,    /* still holds: emit at `level`; the dedup window decides whether it is heard */
    CONDITION_RECOVERED, /* left: emit one info event whose data has "state":"recovered" */
};

struct condition_verdict {
    enum condition_action action;
    enum level level;    /* now in force */
    enum level previous;
};

void condition_init(struct condition_table *t, struct condition *slots, unsigned count);
/** The condition of this sensor and subject, made when new. Return: null when the table is full. */
struct condition *condition_get(struct condition_table *t, const char *sensor, const char *subject);
/** One check. `for_checks` >= 1: how many consecutive checks at a higher level before it is entered; leaving is immediate, since
 * the measured level already has the hysteresis in it (condition_level). */
struct condition_verdict condition_check(struct condition *c, enum level measured, unsigned for_checks);
/** Threshold with hysteresis: entered at value >= threshold, left below threshold - hysteresis. All three in the same unit.
 * warning or critical threshold INT64_MAX: that level is off. */
enum level condition_level(const struct condition *c, int64_t value, int64_t warning, int64_t critical, int64_t hysteresis);
/** Reload: forget what no sensor asked for since condition_mark. */
void condition_mark(struct condition_table *t);
void condition_sweep(struct condition_table *t);

#endif
