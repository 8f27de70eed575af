#ifndef NEFIA_EVENT_RATE_H
#define NEFIA_EVENT_RATE_H

#include <stdbool.h>
#include <stdint.h>

#include "nefia/event/event.h"

/** At most `limit` events in any 60 s, of which a fifth (at least 1 when limit > 1) is for critical
 * ones only. A ring of the events that passed in the last 60 s: time in ms << 1, the lowest bit set
 * for critical ones. */
struct rate {
    uint64_t *times; /* ring */
    unsigned capacity, head, used;
    unsigned limit; /* 1..capacity */
};

/** The limit is `capacity` (>= 1) until it is set. */
void rate_init(struct rate *r, uint64_t *times, unsigned capacity);
/** What passed already counts against the new limit. NEFIA_EINVAL outside 1..capacity. */
int rate_set_limit(struct rate *r, unsigned limit);
/** Judge and, when it passes, remember. O(limit). now_ms never goes back. */
bool rate_pass(struct rate *r, enum severity s, uint64_t now_ms);

/** What was held back, by type and severity, until it is reported. More types than slots are
 * counted under "other". Starts all zero. */
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
/** Write the data object of the `beacon.suppressed` event, and start counting anew:
 *     {"suppressed":N,"info":a,"warning":b,"critical":c,
 *      "by_type":{"disk.usage":{"warning":3},…},"other_types":{"info":1}}
 * It keeps to half of CONFIG_EVENT_BYTES: types that would go beyond are added to other_types (left
 * out when empty). */
void suppressed_report(struct suppressed *s, struct json_writer *data);

#endif
