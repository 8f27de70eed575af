#ifndef NEFIA_BEACON_PIPELINE_H
#define NEFIA_BEACON_PIPELINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "nefia/net/netlink.h"
#include "nefia/event/dedup.h"
#include "nefia/event/event.h"
#include "nefia/sys/loop.h"
#include "nefia/event/rate.h"
#include "nefia/beacon/spool.h"
#include "nefia/beacon/spool_file.h"

/** The path of an event through the beacon, and the only place that knows the order:
 * event → dedup → rate → spool. An event is encoded once, after it has passed. */
enum pipeline_verdict {
    PIPELINE_REPEATED = 0,  /* suppressed: duplicate within the dedup window */
    PIPELINE_ACCEPTED = 1,     /* accepted: in the spool, or printed */
    PIPELINE_OVER_RATE = 2, /* suppressed: over max_events_per_min */
};

/** An event as the caller sees it; strings are borrowed for the call. */
struct pipeline_event {
    const char *type, *source, *subject; /* subject null: none */
    enum severity severity;
    bool change; /* end of a reported condition: exempt from deduplication */
    bool level;  /* of a condition: superseded by a newer one of the same severity */
    bool own;    /* the beacon's report about itself: exempt from dedup and rate */
    struct slice cause; /* raw array, in one line; empty: that of the pipeline, if the event is about what it is about */
};

#define PIPELINE_LINE_BYTES                                                                        \
    (IS_ENABLED(CONFIG_BEACON_NETLINK) && CONFIG_EVENT_BYTES < NETLINK_WORK ? NETLINK_WORK         \
                                                                            : CONFIG_EVENT_BYTES + 1)

struct beacon_pipeline {
    struct loop *loop;
    const char *host_id; /* the settings'; updated on reload */
    struct dedup dedup;
    struct rate rate;
    struct suppressed suppressed;
    struct spool spool;
    struct spool_file *flash; /* the caller's; null: events are not kept on flash */
    struct timer flash_day;   /* runs after a report about events not kept */
    struct timer minute; /* runs while suppressed events are unreported */
    struct json_writer writer;
    struct text data, line; /* the caller's memory; in use only between begin and end */
    char *data_buf, *line_buf;
    uint64_t seq, boot; /* seq of the last event */
    /* REMOTE_EXEC: the cause of what is emitted before cause_until_ms about one of these words, of which the hashes (hash_bytes) are
     * given: the event's subject, or, if it has none, its type. The caller's memory. */
    struct slice cause;
    uint64_t cause_until_ms;
    const uint32_t *about;
    unsigned about_count;
    uint64_t accepted[SEVERITY_COUNT], repeated[SEVERITY_COUNT],
        over_rate[SEVERITY_COUNT]; /* since start */
    /** An event was added to the spool. */
    void (*queued)(void *arg);
    /** For `once`: receives the line instead of dedup, rate and spool; or null. */
    int (*print)(void *arg, const char *line, size_t len);
    void *arg;
};

/** Memory: data has CONFIG_EVENT_BYTES + 1, line PIPELINE_LINE_BYTES; used only between begin and end.
 * Between two events line is also what sensors read from the kernel into. The caller sets up dedup, rate and spool (they outlive this), and boot, host_id, queued. */
void beacon_pipeline_init(struct beacon_pipeline *p, struct loop *loop, char *data, char *line);
/** Begin an event. Return: the writer of its data object, already opened. */
struct json_writer *beacon_pipeline_begin(struct beacon_pipeline *p);
/** The same with a complete data object: one line of JSON, validated by the caller.
 */
void beacon_pipeline_begin_raw(struct beacon_pipeline *p, const char *object, size_t len);
/** What only repeats an event needs not be made. Return: is it suppressed, as beacon_pipeline_end would? */
bool beacon_pipeline_repeats(struct beacon_pipeline *p, const struct pipeline_event *e);
/** Close the data object, judge, encode, and pass on.
 * Return: enum pipeline_verdict; negative if it was lost: NEFIA_ETOOBIG, NEFIA_EINVAL (a name is
 * empty), NEFIA_EFULL (counted by the spool). */
int beacon_pipeline_end(struct beacon_pipeline *p, const struct pipeline_event *e);
/** Report rate-limited events now, if any: at the end of their minute, and before the program
 * exits. */
void beacon_pipeline_report_suppressed(struct beacon_pipeline *p);
/** Report events lost by the spool, if any: once the hub accepts events again. */
void beacon_pipeline_report_lost(struct beacon_pipeline *p);

#endif
