#ifndef NEFIA_EVENT_DEDUP_H
#define NEFIA_EVENT_DEDUP_H

#include <stdbool.h>
#include <stdint.h>

#include "nefia/event/event.h"

/** Fixed-size memory of the keys that were heard lately. A key is the 64-bit FNV-1a hash of the
 * chosen members, by default type, source, host, severity and subject. A new key takes a free slot,
 * or the one heard longest ago; a count that one still held is handed to `evicted`. */
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
    uint64_t heard_ms;
    uint32_t suppressed;
    uint8_t severity; /* the most severe it held back, or was heard with */
    uint8_t pad[3];
};

struct dedup {
    struct dedup_slot *slots;
    unsigned count;
    unsigned parts;     /* enum dedup_part bits */
    uint64_t window_ms; /* 0: everything is heard */
};

/** All parts, five minutes; the owner sets `parts` and `window_ms` from the configuration at any
 * time. */
void dedup_init(struct dedup *d, struct dedup_slot *slots, unsigned count);
/** "type|source|host_id|severity[|subject]" in any order to bits. Return: the bits (> 0), or
 * NEFIA_EINVAL (an unknown or empty part, or one given twice). */
int dedup_parse_key(const char *s);
/** Never 0. */
uint64_t dedup_key(const struct dedup *d, const struct event_head *h);
struct dedup_verdict {
    bool pass;
    uint32_t suppressed; /* pass: how many like it were held back since the last that was heard */
    uint64_t age_ms;     /* since the last heard one, where there was one */
    uint32_t evicted;    /* a count lost with the slot that had to go (report it) */
    enum severity evicted_severity;
};
/** Judge and remember. An event that passes is remembered as heard now; one that does not is
 * counted. */
struct dedup_verdict dedup_check(struct dedup *d, const struct event_head *h, uint64_t now_ms);
/** The event that just passed was not heard after all (the rate held it back): the next like it may
 * pass. */
void dedup_forget(struct dedup *d, const struct event_head *h);

#endif
