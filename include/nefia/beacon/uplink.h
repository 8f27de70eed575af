#ifndef NEFIA_BEACON_UPLINK_H
#define NEFIA_BEACON_UPLINK_H

#include <stdbool.h>
#include <stdint.h>

#include "nefia/beacon/delivery.h"
#include "nefia/crypto/mac.h"
#include "nefia/net/addr.h"
#include "nefia/sys/loop.h"

/** The connection to the hub: which one, when, and its end. What is said on it is the delivery's
 * (delivery.h), which the uplink calls when the socket is ready or time has come, and from which it
 * learns that the connection ended, or that events were delivered.
 *
 *     IDLE ── start ──▶ RESOLVING ──▶ CONNECTING ── connected ──▶ CONNECTED
 *                        ▲                 │ none answers             │ lost, or closed by the hub
 *                        │                 ▼                          │
 *                        └───────────── BACKOFF ◀─────────────────────┘
 *
 * Addresses are tried in order, without delay; when all have failed, or a connection ends, the
 * uplink backs off: a random time between 1 s and a bound that doubles from 2 s to 5 min, and that
 * only a delivered event resets, or the end of a session that lasted 5 min and was idle (a hub closes
 * such ones). The next hub after one that accepted nothing is the one below it in the list, else the
 * first; while connected to another one, the first is retried from time to time. No connection is
 * attempted before the kernel's random number generator is seeded, because a hello needs a nonce that
 * was never used. */
enum uplink_state {
    UPLINK_IDLE,
    UPLINK_RESOLVING,
    UPLINK_CONNECTING,
    UPLINK_CONNECTED, /* the delivery's states say how far */
    UPLINK_BACKOFF,
};

#define UPLINK_FAILURE 96

/** A hub's address. */
struct uplink_hub {
    struct addr addr;
    const char *name; /* "hub.example:9500", to be resolved; null: use addr */
};

struct uplink {
    struct loop *loop;
    enum uplink_state state;
    struct stream stream; /* the connection; fd -1: none */
    unsigned attempts;    /* backoffs since the last delivered event */
    const struct uplink_hub *hubs;
    unsigned hub_count, hub; /* hub: index of the one in use, or last tried */
    unsigned next_hub;       /* where to start after the backoff */
    int error;               /* errno of a connect that failed immediately; 0: none */
    uint64_t deadline_ms;    /* end of `state`; 0: none, or the delivery's */
    uint64_t since_ms;       /* when `state` began */
    uint64_t (*random_below)(uint64_t n);
    /** Start resolving a name: uplink_resolved follows. Return: 0, or negative. Null: names are
     * not supported. */
    int (*resolve)(void *arg, const char *name);
    /** Events have left the spool: so many were delivered; 0: some were refused. */
    void (*on_delivered)(void *arg, unsigned events);
    void (*on_wait)(void *arg); /* all addresses failed, or a connection ended: backoff starts */
    void *arg;
    struct delivery delivery; /* its host_id, require_ack, random: the owner's, before uplink_start */
    struct watch watch;
    struct timer timer; /* for the deadline, ours or the delivery's, or home_ms */
    struct addr peer;   /* address of the hub */
    bool unseeded;      /* that we wait for random numbers was logged */
    uint64_t home_ms;   /* connected to another hub than the first: when to retry that; 0: never */
    uint64_t return_ms; /* from one such retry to the next */
    uint64_t delivered, delivered_before; /* before: this connection */
    uint32_t connects, failures;
#ifdef CONFIG_BEACON_CONSOLE
    char failure[UPLINK_FAILURE]; /* the last one in words, cut; "": there was none */
#endif
};

/** Memory: loop must persist; of the others: as delivery_init. */
void uplink_init(struct uplink *u, struct loop *loop, struct spool *spool, struct session *session,
                 char *line);
/** Start with these hubs and this key; on a running uplink: reload, during which the previous hubs
 * must still be readable. A connection stays up if its hub is still configured and `same` says that
 * nothing else which the hub was told or shown has changed: key, host_id, require_ack. */
void uplink_start(struct uplink *u, const struct uplink_hub *hubs, unsigned count,
                  const struct mac_key *key, bool same);
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
/** For `status`; while connected: the delivery's state. */
const char *uplink_state_text(const struct uplink *u);
/** When that began. */
uint64_t uplink_since_ms(const struct uplink *u);
/** Milliseconds until the next attempt; 0 if none is scheduled. */
uint64_t uplink_next_try_ms(const struct uplink *u);

#endif
