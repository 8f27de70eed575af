#ifndef NEFIA_RATE_H
#define NEFIA_RATE_H

#include <stdbool.h>
#include <stdint.h>

#include "nefia/event.h"

/** At most `limit` events in any 60 s, of which critical ones have `limit / 5` (at least 1 when limit > 1) for themselves.
 * A ring of the times of the last `limit` passed events. */
struct rate {
    uint64_t *times; /* ring */
    unsigned capacity, head, used;
    unsigned limit;  /* 1..capacity */
};

void rate_init(struct rate *r, uint64_t *times, unsigned capacity);
/** Keeps the ring's contents. NEFIA_EINVAL outside 1..capacity. */
int rate_set_limit(struct rate *r, unsigned limit);
bool rate_pass(struct rate *r, enum severity s, uint64_t now_ms);

/** What was held back, by type and severity, until it is reported. More types than slots are counted under "other". */
#define SUPPRESSED_TYPES 12
struct suppressed {
    struct {
        char type[48];
        uint32_t count[SEVERITY_COUNT];
    } types[SUPPRESSED_TYPES];
    uint32_t other[SEVERITY_COUNT];
    uint64_t total[SEVERITY_COUNT]; /* since start; not reset */
};
void suppressed_add(struct suppressed *s, const char *type, enum severity sev, uint32_t n);
bool suppressed_any(const struct suppressed *s);
/** The data object of the `beacon.suppressed` event, and start counting anew:
 * {"suppressed":N,"info":a,"warning":b,"critical":c,"by_type":{"disk.usage":{"warning":3},…}} */
void suppressed_report(struct suppressed *s, struct json_writer *data);

#endif
