#ifndef NEFIA_BEACON_UPLINK_H
#define NEFIA_BEACON_UPLINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "nefia/net/addr.h"
#include "nefia/base/kconfig.h"
#include "nefia/link/link.h"
#include "nefia/sys/loop.h"
#include "nefia/crypto/mac.h"
#include "nefia/beacon/spool.h"

/** The connection to the hub: takes events out of the spool, signs them, sends them, and tells the
 * spool what arrived.
 *
 *     IDLE ── start ──▶ CONNECTING ── connected ──▶ UP ── hub ends ──▶ CLOSING
 *                        ▲   │ none answers          │ broken             │ all arrived, or not
 *                        └── BACKOFF ◀───────────────┴────────────────────┘
 *
 * Addresses are tried in order, each at once after the other; when none answers, or a connection
 * ends, comes a wait: a random time between 1 s and a bound that doubles from 2 s to 5 min, and
 * that only a delivered event makes small again.
 *
 * A hub that greets (nefia/link/link.h) acknowledges what it has in its journal, and only that is
 * delivered; at most as many events as it grants are on their way. One that has not greeted within 2 s
 * is a plain one.
 *
 * Delivered, with a hub that acknowledges nothing, means: its kernel has acknowledged every byte
 * that was sent, and 0.1 s later the connection is still whole (a hub that refuses what it got
 * resets it). When the connection breaks before, all that is not delivered is sent again, whole.
 * When the hub ends it in good order (a FIN, as it does on a restart), a line already begun is
 * finished, our side is closed, and what was sent counts as delivered when all of it, our end
 * included, was acknowledged.
 *
 * A hub that resets the connection after an event was sent refused it, or one of those sent before
 * it was known to be delivered: these go one at a time then, to see which, each new connection a
 * second after it was made (a hub that does not take us at all resets it before). The one that was
 * refused UPLINK_REFUSALS times in a row goes, and counts as lost. A hub that is away, says nothing
 * or ends in good order refuses nothing. */
#define UPLINK_REFUSALS 8
enum uplink_state { UPLINK_IDLE, UPLINK_CONNECTING, UPLINK_UP, UPLINK_CLOSING, UPLINK_BACKOFF };

/** What is known of the hub that is connected. */
enum uplink_mode {
    UPLINK_PLAIN, /* it acknowledges nothing */
    UPLINK_ASKED, /* it may greet yet: nothing is sent */
    UPLINK_ACKED
};

/** Where a hub is. */
struct uplink_hub {
    struct addr addr;
    const char *name; /* "hub.example:9500", to be looked up; null: addr is it */
};

#define UPLINK_LINE_BYTES (CONFIG_EVENT_BYTES + MAC_HEX + 2)
/** A line of the hub with its signature. */
#define UPLINK_HEARD (IS_ENABLED(CONFIG_BEACON_ACK) ? LINK_LINE_MAX + MAC_HEX + 2 : 1)
/** Longest event that can be sent: room for the stamp. */
#define UPLINK_EVENT_BYTES \
    (CONFIG_EVENT_BYTES - (IS_ENABLED(CONFIG_BEACON_ACK) ? LINK_STAMP_MAX : 0))

struct uplink {
    struct loop *loop;
    struct spool *spool;
    const struct mac_key *key; /* not set: lines go unsigned */
    const struct uplink_hub *hubs;
    unsigned hub_count, hub; /* hub: the one in use, or tried last */
    struct addr peer;        /* its address */
    bool resolving;          /* CONNECTING: its name is being looked up */
    enum uplink_state state;
    int fd; /* -1: none */
    struct watch watch;
    struct timer timer;          /* connect deadline, end of the wait, deadline of CLOSING */
    struct timer check;          /* runs while something is in flight */
    unsigned settling;           /* events that arrived by the last check */
    uint64_t losses;             /* of the spool, then */
    uint64_t check_ms, since_ms; /* since_ms: when `state` began */
    unsigned attempts;           /* waits since the last delivered event */
    unsigned suspects;           /* the oldest events, one of which was refused */
    unsigned refusals;           /* in a row, of the event `refused`, sent alone */
    struct spool_id refused;
    unsigned next_hub;           /* where to begin after the wait */
    struct timer home;           /* with another than the first hub: to try that again */
    uint64_t return_ms;          /* after how long */
    uint64_t delivered_before;   /* this connection */
    enum uplink_mode mode;
    struct link_message greeting; /* ACKED */
    uint32_t count;              /* events sent on this connection, stamped with their number; */
    uint32_t acked;              /* the highest that was acknowledged */
    size_t heard_len;
    char heard[UPLINK_HEARD];    /* of what the hub says */
    bool require_ack;            /* the owner's: nothing for plain hubs */
    int error;                   /* errno of a connect that failed at once */
    char *line;                  /* the caller's UPLINK_LINE_BYTES: the line being sent */
    size_t line_len, line_sent;
    uint64_t delivered, connects, failures, ignored; /* ignored: bytes the hub said */
    uint64_t (*random_below)(uint64_t n);
    /** Begin to look up a name: uplink_resolved follows. Return: 0, or negative. Null: there are no
     * names. */
    int (*resolve)(void *arg, const char *name);
    void (*on_delivered)(void *arg, unsigned events);
    void (*on_wait)(void *arg); /* no address answers, or a connection ended: a wait begins */
    void *arg;
};

/** Memory: line is the caller's, UPLINK_LINE_BYTES. Everything pointed to stays. */
void uplink_init(struct uplink *u, struct loop *loop, struct spool *spool, char *line);
/** Begin with these hubs and this key; on a running uplink: a reload, during which the hubs before
 * are still to be read. A connection stays when its hub and the key are still in force (same_key).
 */
void uplink_start(struct uplink *u, const struct uplink_hub *hubs, unsigned count,
                  const struct mac_key *key, bool same_key);
/** What looking up found: n addresses, or n <= 0 and why not. Harmless when nobody waits for it. */
void uplink_resolved(struct uplink *u, const struct addr *found, int n, const char *why);
/** Try now what would be tried after the wait; harmless in another state. */
void uplink_retry(struct uplink *u);
/** The spool has something new. */
void uplink_kick(struct uplink *u);
/** Close at once; what was not delivered is unsent again. */
void uplink_stop(struct uplink *u);
/** Nothing is in the spool, and none in flight. */
bool uplink_drained(const struct uplink *u);
const char *uplink_state_text(enum uplink_state s);
/** Milliseconds until the next try; 0 when none is planned. */
uint64_t uplink_next_try_ms(const struct uplink *u);

#endif
