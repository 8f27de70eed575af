#ifndef NEFIA_HUB_SEEN_H
#define NEFIA_HUB_SEEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "nefia/base/bytes.h"
#include "nefia/link/link.h"

/** Duplicate detection: which events of each host have been received, so that none acts twice. For
 * each host the last two starts (`boot`) seen, and for each of these a window: all seq below `base`
 * count as received, and a bit for each of the LINK_SPAN seq from there on.
 *
 * A host is identified by the first 16 bytes of the SHA-256 of its host_id. If the table is full
 * the least recently seen one is evicted, which is counted. */
#define HOST_ID 16
#define HOST_WORDS (LINK_SPAN / 32)

struct host_mark {
    uint64_t boot, base;
    uint32_t bits[HOST_WORDS]; /* seq base + i: bit i % 32 of bits[i / 32] */
};

struct host {
    uint8_t id[HOST_ID];
    struct host_mark marks[2]; /* [0]: most recently used. All zero: boot 0, never seen */
    uint32_t next;             /* these three are index + 1; 0: none. The hash chain's next */
    uint32_t older, newer;     /* LRU list */
};

struct seen {
    struct host *slots;
    uint32_t *chains; /* one per slot: index + 1 of a chain's first; 0: empty */
    uint32_t oldest, newest; /* index + 1; 0: none */
    unsigned count, used;
    uint64_t forgotten; /* evicted hosts */
};

/** slots and chains have count (1..) entries, the caller's. */
void seen_init(struct seen *h, struct host *slots, uint32_t *chains, unsigned count);
void host_id_of(uint8_t id[HOST_ID], struct slice host_id);
/** The host, created if new; it becomes the most recently seen. O(1). Never null; valid until the
 * next call. */
struct host *seen_get(struct seen *h, const uint8_t id[HOST_ID]);
/** Record one event of a host. low: below this the sender holds no more events (0: not given;
 * larger than seq: ignored). A seq at or beyond base + LINK_SPAN moves the base up just far enough
 * to cover it.
 * Return: true if it is new, and the host becomes the most recently seen; false if it is a
 * duplicate, and then nothing has changed: replaying the new ones rebuilds the same table. NB an
 * unknown boot is new, and replaces the least recently used one. */
bool host_take(struct seen *h, struct host *host, uint64_t boot, uint64_t seq, uint64_t low);

/** For the journal: a host with one of its marks as bytes, and back (which creates or updates it).
 * A host's older mark comes first, and hosts in the order they were seen (oldest, newer).
 * Return: NEFIA_EINVAL if the bytes are malformed, or the mark is empty. */
#define HOST_BYTES (HOST_ID + 8 + 8 + LINK_SPAN / 8)
void host_store(const struct host *host, unsigned mark, uint8_t out[HOST_BYTES]);
int seen_restore(struct seen *h, const uint8_t *bytes, size_t len);
/** Is that mark in use? */
bool host_is_marked(const struct host *host, unsigned mark);

#endif
