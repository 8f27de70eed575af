#ifndef NEFIA_HUB_SEEN_H
#define NEFIA_HUB_SEEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "nefia/base/bytes.h"
#include "nefia/link/link.h"

/** Which events of which host the hub already has, so that none acts twice: for each host the last
 * two starts (`boot`) it was heard with, and for each of these a high-water mark: everything below
 * `base` counts as had, and a bit for each of the LINK_SPAN seq from there on.
 *
 * A host is known by the first 16 bytes of the SHA-256 of its host_id. When the table is full the
 * one heard longest ago gives way, which is counted. */
#define HOST_ID 16
#define HOST_WORDS (LINK_SPAN / 32)

struct host_mark {
    uint64_t boot, base;
    uint32_t bits[HOST_WORDS]; /* seq base + i: bit i % 32 of bits[i / 32] */
};

struct host {
    uint8_t id[HOST_ID];
    struct host_mark marks[2]; /* [0]: the one used last. All zero is boot 0 that was never heard */
    uint32_t next;             /* these three are index + 1; 0: none. The hash chain's next */
    uint32_t older, newer;     /* in the order they were heard */
};

struct seen {
    struct host *slots;
    uint32_t *chains; /* as many as slots: index + 1 of a chain's first; 0: empty */
    uint32_t oldest, newest; /* index + 1; 0: there is none */
    unsigned count, used;
    uint64_t forgotten; /* hosts that gave way to others */
};

/** slots and chains have count (1..) entries, the caller's. */
void seen_init(struct seen *h, struct host *slots, uint32_t *chains, unsigned count);
void host_id_of(uint8_t id[HOST_ID], struct slice host_id);
/** The host, made when new; then it is the one heard last. O(1). Never null; valid until the next
 * call. */
struct host *seen_get(struct seen *h, const uint8_t id[HOST_ID]);
/** It is heard, with one event. low: what the sender says it holds nothing below (0: it did not
 * say; beyond seq: nonsense, as if it had not said). Remembers. A seq at or beyond base + LINK_SPAN
 * moves the base up to the lowest that has it in reach.
 * Return: true when it is new, and the host is the one heard last; false when the hub had it, and
 * then nothing has changed: a journal of what was new makes the same table again. NB a boot unknown
 * so far is new, and takes the place of the one used longest ago. */
bool host_take(struct seen *h, struct host *host, uint64_t boot, uint64_t seq, uint64_t low);

/** For the journal: a host with one of its marks as bytes, and back (which makes or updates it). A
 * host's older mark comes first, and hosts in the order they were heard (oldest, newer).
 * Return: NEFIA_EINVAL when the bytes are none, or a mark that says nothing. */
#define HOST_BYTES (HOST_ID + 8 + 8 + LINK_SPAN / 8)
void host_store(const struct host *host, unsigned mark, uint8_t out[HOST_BYTES]);
int seen_restore(struct seen *h, const uint8_t *bytes, size_t len);
/** Does that mark say anything? */
bool host_is_marked(const struct host *host, unsigned mark);

#endif
