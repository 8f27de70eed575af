#ifndef NEFIA_EVENT_DEDUP_H
#define NEFIA_EVENT_DEDUP_H

#include <stdbool.h>
#include <stdint.h>

#include "nefia/event/event.h"

/** Fixed-size table of recently accepted keys. A key is the 64-bit FNV-1a hash of the chosen
 * members, by default type, source, host, severity and subject. A new key takes a free slot or
 * evicts the least recently accepted one, whose pending count is returned in `evicted`. */
enum dedup_part {
    DEDUP_TYPE = 1,
    DEDUP_SOURCE = 2,
    DEDUP_HOST = 4,
    DEDUP_SEVERITY = 8,
    DEDUP_SUBJECT = 16,
    DEDUP_ALL = 31
};

struct dedup_slot {
    uint64_t key; /* 0: free */
    uint64_t accepted_ms;
    uint32_t suppressed;
    uint8_t severity; /* most severe of those suppressed, or that of the accepted one */
    uint8_t pad[3];
};

struct dedup {
    struct dedup_slot *slots;
    unsigned count;
    unsigned parts;     /* enum dedup_part bits */
    uint64_t window_ms; /* 0: everything passes */
};

/** All parts, five minutes; the owner sets `parts` and `window_ms` from the configuration at any
 * time. */
void dedup_init(struct dedup *d, struct dedup_slot *slots, unsigned count);
/** "type|source|host_id|severity[|subject]" in any order to bits. Return: the bits (> 0), or
 * NEFIA_EINVAL (an unknown, empty or duplicate part). */
int dedup_parse_key(const char *s);
/** Never 0. */
uint64_t dedup_key(const struct dedup *d, const struct event_head *h);
struct dedup_verdict {
    bool pass;
    uint32_t suppressed; /* pass: how many were suppressed since the last accepted one */
    uint64_t age_ms;     /* since the last accepted one, if any */
    uint32_t evicted;    /* pending count of the evicted slot (report it) */
    enum severity evicted_severity;
};
/** Judge and record. An event that passes is recorded as accepted now; one that does not is
 * counted. */
struct dedup_verdict dedup_check(struct dedup *d, const struct event_head *h, uint64_t now_ms);
/** The same of what may be a repetition, before it is made: one that does not pass is counted. Return: whether it is; otherwise
 * nothing is recorded. */
bool dedup_repeats(struct dedup *d, const struct event_head *h, uint64_t now_ms);
/** The event that just passed was suppressed later (by the rate limit): let the next one like it
 * pass. */
void dedup_forget(struct dedup *d, const struct event_head *h);

#endif
