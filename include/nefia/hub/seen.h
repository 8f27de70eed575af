#ifndef NEFIA_HUB_SEEN_H
#define NEFIA_HUB_SEEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "nefia/base/bytes.h"
#include "nefia/hub/session.h"
#include "nefia/link/link.h"

/** Which events of each host have been received, so that none acts twice. For each host two starts
 * (`boot`), and for each of these a window: a bit for each seq from `highest` - 255 to `highest`.
 * What lies below is unknown: whether it was received is not remembered.
 *
 * Of a host that speaks the link, windows[0] is the start of its last hello, and windows[1] one other:
 * an earlier start whose events it still has. Windows of plain senders never displace those; a start that is imported takes the
 * place of windows[1], and keeps it until the device itself delivers events of that start, or of another earlier one.
 *
 * A host is identified by the first 16 bytes of the SHA-256 of its host_id. If the table is full the
 * least recently seen one is evicted, which is counted; ones that are pinned to the link are spared
 * while there are others among the oldest. */
#define HOST_WORDS (LINK_SPAN / 32)

enum window_kind {
    WINDOW_FREE,
    WINDOW_PLAIN,
    WINDOW_LINK,
    WINDOW_IMPORT, /* of a start that only an import has brought. Neither a hello nor a second such start displaces it. */
};

struct window {
    uint64_t boot, highest;
    uint8_t name[LINK_NAME];   /* of the hello in whose session it was made */
    uint32_t bits[HOST_WORDS]; /* seq s: bit s % 32 of bits[s / 32 % HOST_WORDS] */
    uint8_t kind;              /* enum window_kind */
    bool by_hello;             /* made, or taken over, by a hello of this start */
    bool imported;             /* an import brought events of this start */
};

struct host {
    uint8_t id[SESSION_HOST];
    struct window windows[2];
    bool pinned;               /* its last hello said that it delivers by the link only */
    bool import_lost;          /* a window with `imported` was replaced: what an import brings of a start without one may have been here */
    uint32_t next;             /* these three are index + 1; 0: none. The hash chain's next */
    uint32_t older, newer;     /* LRU list */
};

struct seen {
    struct host *slots;
    uint32_t *chains; /* one per slot: index + 1 of a chain's first; 0: empty */
    uint32_t oldest, newest, free; /* index + 1; 0: none. free: a list by `next` */
    unsigned count, used;
    uint64_t forgotten; /* evicted hosts */
};

/** slots and chains have count (1..) entries, the caller's. */
void seen_init(struct seen *h, struct host *slots, uint32_t *chains, unsigned count);
void host_id_of(uint8_t id[SESSION_HOST], struct slice host_id);
/** The host, or null. O(1). */
struct host *seen_find(const struct seen *h, const uint8_t id[SESSION_HOST]);
/** The host, created if new. Never null; valid until the next call. */
struct host *seen_get(struct seen *h, const uint8_t id[SESSION_HOST]);
/** Remove the host and its windows. Return: false if it is unknown. */
bool seen_forget(struct seen *h, const uint8_t id[SESSION_HOST]);

/** What a hello found. */
struct hello_found {
    bool known;     /* the start's window was there before */
    bool returning; /* an earlier hello's start, after one of another: two devices share the name */
};
/** A verified hello: the start gets windows[0]. name: the first bytes of its nonce. plain false pins the host; true
 * changes nothing, see seen_unpin. It becomes the most recently seen. */
struct hello_found seen_hello(struct seen *h, struct host *host, uint64_t boot,
                              const uint8_t name[LINK_NAME], bool plain);
void seen_unpin(struct host *host);

enum seen_verdict {
    SEEN_NEW,
    SEEN_DUPLICATE,
    SEEN_BELOW,        /* below the window: unknown */
    SEEN_UNREMEMBERED, /* plain, import: new as far as known, and there is no window for its start */
    SEEN_PINNED,       /* pipeline_take: plain, and its host is pinned to the link */
};
/** Has it been received? Changes nothing. */
enum seen_verdict seen_judge(const struct host *host, enum window_kind kind, uint64_t boot,
                             uint64_t seq);
/** Record an event that seen_judge found NEW; the host becomes the most recently seen. A start
 * without a window gets one: of the link windows[1], with that name; of a plain sender one that the
 * link does not use; of an import windows[1]. Replaying the same calls rebuilds the same table. */
void seen_take(struct seen *h, struct host *host, enum window_kind kind,
               const uint8_t name[LINK_NAME], uint64_t boot, uint64_t seq);

/** For the journal: a host as bytes, and back (which creates or replaces it).
 * Return: NEFIA_EINVAL if the bytes are malformed. */
#define WINDOW_BYTES (2 + 8 + 8 + LINK_NAME + LINK_SPAN / 8)
#define HOST_BYTES (SESSION_HOST + 1 + 2 * WINDOW_BYTES)
void host_store(const struct host *host, uint8_t out[HOST_BYTES]);
int seen_restore(struct seen *h, const uint8_t *bytes, size_t len);

#endif
