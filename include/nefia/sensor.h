#ifndef NEFIA_SENSOR_H
#define NEFIA_SENSOR_H

#include <stddef.h>
#include <stdint.h>

#include "nefia/child.h"
#include "nefia/condition.h"
#include "nefia/config.h"
#include "nefia/event.h"

/** What a sensor may do with the rest of the beacon; the only header of ours a sensor needs.
 * One sensor is one file, src/beacon/sensors/<name>.c, one Kconfig entry, and `const struct sensor_class sensor_<name>`. */
struct emitter;

/** Members every sensor's configuration has without naming them: `enabled` (default true where the section is there),
 * `interval`, `for` (checks in a row before a condition is entered, default 1). */
struct sensor_common {
    bool enabled;
    uint64_t interval_ms;
    int64_t for_checks;
};

/** One kind of thing a beacon watches. All members const; state lives in the instance. */
struct sensor_class {
    const char *name;            /* configuration key under `beacons:` and the log's word for it */
    const char *source;          /* the events' source, "disk-beacon" */
    const char *interval;        /* default, "5m"; between 1s and 366d */
    bool is_list;                /* the key holds a list of instances (scripts), each with `name` */
    const struct field *fields;  /* what else the configuration may say */
    size_t state_size;           /* bytes of one instance; zeroed before open, aligned for any type */
    /** Read the configuration (config_bind into the state or a local), without side effects: it also runs for `check`.
     * Strings of the tree outlive the instance. Report errors through config_error. 0 or negative. */
    int (*open)(void *state, struct config *c, const struct node *n, const char *where);
    /** Look once. May emit 0..n events, may start a child (emitter_child). Must not block. 0, or negative with a logged reason. */
    int (*poll)(void *state, struct emitter *out, uint64_t now_ms);
    /** May be null. Release descriptors; children are cancelled by the caller. */
    void (*close)(void *state);
};

/** Start an event of the sensor's source: returns the writer of its data object (already opened).
 * subject tells things of one type apart for the dedup (path, script name). Strings are borrowed until emit_end. */
struct json_writer *emit_begin(struct emitter *e, const char *type, const char *subject, enum severity severity);
/** Close data and send the event on: dedup, rate, spool. 1 heard, 0 held back, negative when it did not fit. */
int emit_end(struct emitter *e);

/** The condition of this subject, remembered over reloads, with the instance's `for`. Null when CONFIG_CONDITIONS are used up (logged, counted). */
struct condition *emitter_condition(struct emitter *e, const char *subject);
/** One check of a condition: judges, and when there is something to say begins the event with the right severity
 * (recovered: info, with "state":"recovered" already in data). Return: the writer, or null when there is nothing to say. */
struct json_writer *emit_condition(struct emitter *e, const char *type, const char *subject, enum level measured);
/** Run a shell command line for this instance; one at a time. Later calls `done` with the same emitter. Output of at most
 * CONFIG_SCRIPT_OUTPUT_BYTES (4096) is kept. 0, NEFIA_EAGAIN when the last one still runs, NEFIA_EFULL (counted, tried again at the next interval). */
int emitter_child(struct emitter *e, const char *command, uint64_t deadline_ms,
                  void (*done)(void *state, struct emitter *e, const struct child_result *r, const char *output));

#endif
