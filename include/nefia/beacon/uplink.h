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

/** The connection to the hub: takes events from the spool, signs and sends them, and tells the
 * spool what was delivered.
 *
 *     IDLE ── start ──▶ CONNECTING ── connected ──▶ UP ── hub ends ──▶ CLOSING
 *                        ▲   │ none answers          │ broken             │ all arrived, or not
 *                        └── BACKOFF ◀───────────────┴────────────────────┘
 *
 * Addresses are tried in order, without delay; when all have failed, or a connection ends, the
 * uplink backs off: a random time between 1 s and a bound that doubles from 2 s to 5 min, and that
 * only a delivered event resets.
 *
 * A hub that sends a greeting (nefia/link/link.h) acknowledges what it has in its journal, and only
 * that is delivered; at most as many events as its window allows are in flight. A hub that has not
 * sent a greeting within 2 s is a plain one.
 *
 * With a plain hub, delivered means: its kernel has acknowledged every byte sent, and 0.1 s later
 * the connection is still up (a hub that rejects data resets it). If the connection breaks before,
 * all undelivered events are sent again, whole. When the hub closes in an orderly way (a FIN, as on
 * a restart), the current line is finished, our side is closed, and sent events count as delivered
 * once everything, including our FIN, has been acknowledged.
 *
 * A hub that resets the connection after an event was sent has rejected it, or one of those sent
 * but not yet delivered: these are then sent one at a time to find out which, each a second after
 * connecting (a hub that rejects us altogether resets before that). An event rejected
 * UPLINK_REFUSALS times in a row is dropped and counted as lost. A hub that is unreachable, silent
 * or closes in an orderly way rejects nothing. */
#define UPLINK_REFUSALS 8
enum uplink_state { UPLINK_IDLE, UPLINK_CONNECTING, UPLINK_UP, UPLINK_CLOSING, UPLINK_BACKOFF };

/** What is known about the connected hub. */
enum uplink_mode {
    UPLINK_PLAIN, /* it does not acknowledge */
    UPLINK_ASKED, /* waiting for its greeting: nothing is sent */
    UPLINK_ACKED
};

/** A hub's address. */
struct uplink_hub {
    struct addr addr;
    const char *name; /* "hub.example:9500", to be resolved; null: use addr */
};

#define UPLINK_LINE_BYTES (CONFIG_EVENT_BYTES + MAC_HEX + 2)
/** Buffer for a line of the hub with its signature. */
#define UPLINK_RECEIVE (IS_ENABLED(CONFIG_BEACON_ACK) ? LINK_LINE_MAX + MAC_HEX + 2 : 1)
/** Longest event that can be sent: leaves room for the stamp. */
#define UPLINK_EVENT_BYTES \
    (CONFIG_EVENT_BYTES - (IS_ENABLED(CONFIG_BEACON_ACK) ? LINK_STAMP_MAX : 0))

struct uplink {
    struct loop *loop;
    struct spool *spool;
    const struct mac_key *key; /* not set: lines go unsigned */
    const struct uplink_hub *hubs;
    unsigned hub_count, hub; /* hub: index of the one in use, or last tried */
    struct addr peer;        /* its address */
    bool resolving;          /* CONNECTING: its name is being resolved */
    enum uplink_state state;
    int fd; /* -1: none */
    struct watch watch;
    struct timer timer;          /* connect deadline, end of backoff, deadline of CLOSING */
    struct timer check;          /* armed while something is in flight */
    unsigned settling;           /* events delivered by the last check */
    uint64_t losses;             /* the spool's losses at that time */
    uint64_t check_ms, since_ms; /* since_ms: when `state` began */
    unsigned attempts;           /* backoffs since the last delivered event */
    unsigned suspects;           /* number of oldest events, one of which was rejected */
    unsigned refusals;           /* consecutive rejections of `refused`, sent alone */
    struct spool_id refused;
    unsigned next_hub;           /* where to start after the backoff */
    struct timer home;           /* connected to another hub than the first: retries the first */
    uint64_t return_ms;          /* period of `home` */
    uint64_t delivered_before;   /* before this connection */
    enum uplink_mode mode;
    struct link_message greeting; /* ACKED */
    uint32_t count;              /* events stamped and sent on this connection */
    uint32_t acked;              /* highest number acknowledged */
    size_t received_len;
    char received[UPLINK_RECEIVE]; /* unparsed input from the hub */
    bool require_ack;            /* set by the owner: send nothing to plain hubs */
    int error;                   /* errno of a connect that failed immediately */
    char *line;                  /* the caller's UPLINK_LINE_BYTES: the line being sent */
    size_t line_len, line_sent;
    uint64_t delivered, connects, failures, ignored; /* ignored: bytes received from plain hubs */
    uint64_t (*random_below)(uint64_t n);
    /** Start resolving a name: uplink_resolved follows. Return: 0, or negative. Null: names are
     * not supported. */
    int (*resolve)(void *arg, const char *name);
    void (*on_delivered)(void *arg, unsigned events);
    void (*on_wait)(void *arg); /* all addresses failed, or a connection ended: backoff starts */
    void *arg;
};

/** Memory: line is the caller's, UPLINK_LINE_BYTES. Everything pointed to must persist. */
void uplink_init(struct uplink *u, struct loop *loop, struct spool *spool, char *line);
/** Start with these hubs and this key; on a running uplink: reload, during which the previous hubs
 * must still be readable. A connection stays up if its hub and the key are still configured
 * (same_key). */
void uplink_start(struct uplink *u, const struct uplink_hub *hubs, unsigned count,
                  const struct mac_key *key, bool same_key);
/** Result of resolving: n addresses, or n <= 0 with the reason. No-op if not being waited for. */
void uplink_resolved(struct uplink *u, const struct addr *found, int n, const char *why);
/** End the backoff now; no-op in another state. */
void uplink_retry(struct uplink *u);
/** The spool has new events. */
void uplink_kick(struct uplink *u);
/** Close immediately; undelivered events become unsent. */
void uplink_stop(struct uplink *u);
/** Is the spool empty, with nothing in flight? */
bool uplink_drained(const struct uplink *u);
const char *uplink_state_text(enum uplink_state s);
/** Milliseconds until the next attempt; 0 if none is scheduled. */
uint64_t uplink_next_try_ms(const struct uplink *u);

#endif
