#ifndef NEFIA_BEACON_SENSOR_H
#define NEFIA_BEACON_SENSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "nefia/sys/child.h"
#include "nefia/event/condition.h"
#include "nefia/config/config.h"
#include "nefia/event/event.h"

/** What a sensor may do with the rest of the beacon; the only header of ours a sensor needs.
 * One sensor is one file, src/beacon/sensors/<name>.c, one entry CONFIG_SENSOR_<NAME> in the
 * Kconfig beside it, and `const struct sensor_class sensor_<name>`. */
struct emitter;

/** The first member of every sensor's state: what all of them have in the configuration without
 * naming it. */
struct sensor_common {
    const char *name; /* of this one in a list (`name`, required there), else the class's */
    bool enabled;     /* default true where the section is there; without a section nothing runs */
    uint64_t interval_ms; /* `interval`, 1s to 366d */
    int64_t for_checks;   /* `for`: checks in a row before a condition is entered, default 1 */
};

/** One kind of thing a beacon watches. All members const; what changes lives in the state. */
struct sensor_class {
    const char *name;     /* configuration key under `beacons:` and the log's word for it */
    const char *source;   /* the events' source, "disk-beacon" */
    const char *interval; /* default, "5m" */
    bool list;            /* SENSOR_LIST: the key holds several, each with a `name` of its own */
    const struct field *
        fields; /* what else the configuration may say, into the state; at most 12; null: nothing */
    size_t state_size; /* bytes of one state, which begins with a struct sensor_common */
    uint64_t capabilities; /* 1 << CAP_… that it needs where the beacon is no longer root */
    /** The state is zeroed and the fields are bound; check what no table can say, and read lists.
     * No side effects: this also runs for `check`. Nodes are gone afterwards, their texts stay as
     * long as the state. Report errors with config_error at n. May be null. Return: 0, or negative
     * after a report. */
    int (*open)(void *state, struct config *c, const struct node *n, const char *where);
    /** Look once. May emit 0..n events and start a command. Must not block.
     * Return: 0; negative: the run failed (the beacon logs and counts it). */
    int (*poll)(void *state, struct emitter *out, uint64_t now_ms);
};

/** Needs `select BEACON_SENSOR_LISTS` in the sensor's Kconfig entry. */
#ifdef CONFIG_BEACON_SENSOR_LISTS
#define SENSOR_LIST true
#endif
static inline bool sensor_is_list(const struct sensor_class *class)
{
    return IS_ENABLED(CONFIG_BEACON_SENSOR_LISTS) && class->list;
}

/** Start an event of the sensor's source. subject tells things of one type apart for the dedup
 * (path, script name). Strings are borrowed until emit_end, and exactly one emit_end follows, with
 * no other emit between. Return: the writer of its data object, already opened; never null. */
struct json_writer *emit_begin(struct emitter *e, const char *type, const char *subject,
                               enum severity severity);
/** Close data and send the event on: dedup, rate, spool. Return: 1 heard, 0 held back, negative
 * when it was lost (counted). */
int emit_end(struct emitter *e);

/** The condition of this type and subject, remembered over reloads. Null when CONFIG_CONDITIONS are
 * used up (logged). */
struct condition *emitter_condition(struct emitter *e, const char *type, const char *subject);
/** One check of a condition, with the sensor's `for`. When there is something to say, the event is
 * begun with the right severity (recovered: info, with "state":"recovered" already in data).
 * Return: the writer, to be followed by emit_end; or null: nothing to say. */
struct json_writer *emit_condition(struct emitter *e, const char *type, const char *subject,
                                   enum level measured);

/** Run a line of shell for this sensor, one at a time; `done` follows from the loop. output is not
 * NUL-terminated, at most CONFIG_SCRIPT_OUTPUT_BYTES (r->output_len) are kept. Needs `select
 * BEACON_RUNS_CHILDREN` in the Kconfig entry. Return: 0; NEFIA_EAGAIN while the last one runs;
 * NEFIA_EFULL when CONFIG_BEACON_CHILDREN run; NEFIA_EIO. */
int emitter_child(struct emitter *e, const char *command, uint64_t deadline_ms,
                  void (*done)(void *state, struct emitter *e, const struct child_result *r,
                               const char *output));

#endif
