#ifndef NEFIA_EVENT_RATE_H
#define NEFIA_EVENT_RATE_H

#include <stdbool.h>
#include <stdint.h>

#include "nefia/event/event.h"

/** At most `limit` events in any 60 s, of which a fifth (at least 1 if limit > 1) is reserved for
 * critical ones. A ring of the events that passed in the last 60 s: time in ms << 1, lowest bit set
 * for critical ones. */
struct rate {
    uint64_t *times; /* ring */
    unsigned capacity, head, used;
    unsigned limit; /* 1..capacity */
};

/** The limit is `capacity` (>= 1) until it is set. */
void rate_init(struct rate *r, uint64_t *times, unsigned capacity);
/** Events that already passed count against the new limit. NEFIA_EINVAL outside 1..capacity. */
int rate_set_limit(struct rate *r, unsigned limit);
/** Judge, and record it if it passes. O(limit). now_ms never goes back. */
bool rate_pass(struct rate *r, enum severity s, uint64_t now_ms);

/** Suppressed events by type and severity, until reported. Types beyond the slots are counted under
 * "other". Starts zeroed. */
#define SUPPRESSED_TYPES 12
struct suppressed {
    struct {
        char type[48];
        uint32_t count[SEVERITY_COUNT];
    } types[SUPPRESSED_TYPES];
    uint32_t other[SEVERITY_COUNT];
    uint64_t total[SEVERITY_COUNT]; /* since start; not reset */
};
/** type is cut to fit; null or empty counts as other. */
void suppressed_add(struct suppressed *s, const char *type, enum severity sev, uint32_t n);
bool suppressed_any(const struct suppressed *s);
/** Write the data object of the `beacon.suppressed` event, and reset the counters:
 *     {"suppressed":N,"info":a,"warning":b,"critical":c,
 *      "by_type":{"disk.usage":{"warning":3},…},"other_types":{"info":1}}
 * Limited to half of CONFIG_EVENT_BYTES: types that do not fit are added to other_types (omitted if
 * empty). */
void suppressed_report(struct suppressed *s, struct json_writer *data);

#endif
