#ifndef NEFIA_BEACON_PIPELINE_H
#define NEFIA_BEACON_PIPELINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "nefia/event/dedup.h"
#include "nefia/event/event.h"
#include "nefia/sys/loop.h"
#include "nefia/event/rate.h"
#include "nefia/beacon/spool.h"
#include "nefia/beacon/spool_file.h"

/** The way of an event through the beacon, and the only place that knows its order:
 * event → dedup → rate → spool. An event is encoded once, when it has passed. */
enum pipeline_verdict {
    PIPELINE_REPEATED = 0,  /* held back: the same was heard within the dedup window */
    PIPELINE_HEARD = 1,     /* in the spool, or printed */
    PIPELINE_OVER_RATE = 2, /* held back: more than max_events_per_min */
};

/** What the caller knows of an event; strings are borrowed for the call. */
struct pipeline_event {
    const char *type, *source, *subject; /* subject null: none */
    enum severity severity;
    bool change; /* the end of a condition that was heard: not held back as a repetition */
    bool level;  /* of a condition: a newer one of the same severity says all it says */
    bool own;    /* the beacon's report about itself: neither dedup nor rate */
};

struct beacon_pipeline {
    struct loop *loop;
    const char *host_id; /* the settings'; set anew at reload */
    struct dedup dedup;
    struct rate rate;
    struct suppressed suppressed;
    struct spool spool;
    struct spool_file *flash; /* the caller's; null: nothing is kept */
    struct timer flash_day;   /* runs after a report of what it could not keep */
    struct timer minute; /* runs while something was suppressed and not yet reported */
    struct json_writer writer;
    struct text data, line; /* the caller's memory; in use only between begin and end */
    char *data_buf, *line_buf;
    uint64_t seq, boot; /* seq of the last event */
    uint64_t heard[SEVERITY_COUNT], repeated[SEVERITY_COUNT],
        over_rate[SEVERITY_COUNT]; /* since start */
    /** Something came into the spool. */
    void (*queued)(void *arg);
    /** Instead of dedup, rate and spool, the line (for `once`): null, or what takes it. */
    int (*print)(void *arg, const char *line, size_t len);
    void *arg;
};

/** Memory: data and line are two buffers of CONFIG_EVENT_BYTES + 1, used only between begin and
 * end. The caller sets up dedup, rate and spool (they outlive this), and boot, host_id, queued. */
void beacon_pipeline_init(struct beacon_pipeline *p, struct loop *loop, char *data, char *line);
/** Begin an event: the writer of its data object, already opened. */
struct json_writer *beacon_pipeline_begin(struct beacon_pipeline *p);
/** The same with a data object that is complete already: one line of JSON, checked by the caller.
 */
void beacon_pipeline_begin_raw(struct beacon_pipeline *p, const char *object, size_t len);
/** Close the data object, judge, encode, and pass on.
 * Return: enum pipeline_verdict; negative when it was lost: NEFIA_ETOOBIG, NEFIA_EINVAL (a name is
 * empty), NEFIA_EFULL (counted by the spool). */
int beacon_pipeline_end(struct beacon_pipeline *p, const struct pipeline_event *e);
/** Report what the rate held back, if anything, now: as at the end of its minute, and before the
 * program ends. */
void beacon_pipeline_report_suppressed(struct beacon_pipeline *p);
/** Report what the spool lost, if anything: when the hub takes events again. */
void beacon_pipeline_report_lost(struct beacon_pipeline *p);

#endif
