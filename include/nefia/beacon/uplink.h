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
#include "nefia/beacon/plain.h"
#include "nefia/beacon/session.h"
#include "nefia/beacon/spool.h"

/** The connection to the hub: connecting, backing off, and carrying bytes between the stream and one
 * of two engines, which take events from the spool and settle them there: session.h for a hub that
 * acknowledges (BEACON_ACK), plain.h for one that does not.
 *
 *     IDLE ── start ──▶ RESOLVING ──▶ CONNECTING ── connected ──▶ GREETING ── hub greets ──▶ HELLO
 *                        ▲                 │ none answers            │ silent    ▲ late        │ sent
 *                        │                 ▼                         ▼           │             ▼
 *                        └───────────── BACKOFF ◀── all arrived ── CLOSING ◀── PLAIN       WELCOME
 *                                          ▲                      hub closes                   │
 *                                          └──────── any connection that breaks ───────── UP ◀─┘
 *
 * Addresses are tried in order, without delay; when all have failed, or a connection ends, the
 * uplink backs off: a random time between 1 s and a bound that doubles from 2 s to 5 min, and that
 * only a delivered event resets, or the end of a session that lasted 5 min and was idle (a hub closes
 * such ones). No connection is attempted before the kernel's random number generator is seeded,
 * because a hello needs a nonce that was never used.
 *
 * A hub that has not greeted within 2 s, or says something else, is a plain one: with require_ack
 * the connection is given up, else events are delivered plainly until it greets. When a plain hub
 * closes in an orderly way (a FIN, as on a restart), the current line is finished, our side is
 * closed, and sent events count as delivered once everything, including our FIN, has been
 * acknowledged. After a rejection a plain hub gets nothing for a second after connecting: one that
 * rejects us altogether resets before. */
enum uplink_state {
    UPLINK_IDLE,
    UPLINK_RESOLVING,
    UPLINK_CONNECTING,
    UPLINK_GREETING, /* connected; the hub's greeting is awaited, and nothing is sent */
    UPLINK_HELLO,    /* the hello is next, after the line being sent */
    UPLINK_WELCOME,  /* the hello was sent */
    UPLINK_UP,       /* events are sent, and acknowledged */
    UPLINK_PLAIN,    /* events are sent to a plain hub */
    UPLINK_CLOSING,  /* the plain hub has closed: our side is finished */
    UPLINK_BACKOFF,
};

/** A hub's address. */
struct uplink_hub {
    struct addr addr;
    const char *name; /* "hub.example:9500", to be resolved; null: use addr */
};

/** An event with its signature; or a hello with its own; BEACON_ACK: the event with an `unsure`. */
#define UPLINK_EVENT (CONFIG_EVENT_BYTES + MAC_HEX + 2)
#define UPLINK_HELLO_BYTES (LINK_HELLO_MAX + MAC_HEX + 3)
#define UPLINK_ACK_LINE                                                                            \
    (UPLINK_EVENT + LINK_UNSURE_BYTES > UPLINK_HELLO_BYTES ? UPLINK_EVENT + LINK_UNSURE_BYTES      \
                                                           : UPLINK_HELLO_BYTES)
#define UPLINK_LINE_BYTES (IS_ENABLED(CONFIG_BEACON_ACK) ? UPLINK_ACK_LINE : UPLINK_EVENT)

struct uplink {
    struct loop *loop;
    struct spool *spool;
    const struct mac_key *key; /* not set: lines go unsigned */
    enum uplink_state state;
    int fd;     /* of the connection; -1: none */
    char *line; /* the caller's UPLINK_LINE_BYTES: what is being sent */
    size_t line_len, line_sent;
    unsigned attempts; /* backoffs since the last delivered event */
    const struct uplink_hub *hubs;
    unsigned hub_count, hub; /* hub: index of the one in use, or last tried */
    unsigned next_hub;       /* where to start after the backoff */
    int error;               /* errno of a connect that failed immediately; 0: none */
    uint64_t deadline_ms;    /* end of a state in which no engine is in charge; 0: none */
    uint64_t since_ms;       /* when `state` began */
    struct plain plain;
    struct watch watch;
    struct timer timer;      /* for the deadline, ours or the engine's, or home_ms */
    struct addr peer;        /* address of the hub */
    struct session *session; /* the caller's; BEACON_ACK, as the next ones */
    const char *host_id;     /* set by the owner before uplink_start */
    bool require_ack;        /* the same: send nothing to plain hubs */
    bool unseeded;           /* that we wait for random numbers was logged */
    uint64_t home_ms;   /* connected to another hub than the first: when to retry that; 0: never */
    uint64_t return_ms; /* from one such retry to the next */
    uint64_t delivered_before;                       /* before this connection */
    uint64_t delivered, connects, failures, ignored; /* ignored: bytes received from plain hubs */
    uint64_t (*random_below)(uint64_t n);
    /** BEACON_ACK: random bytes. Return: 0, or negative while the kernel has none. */
    int (*random)(void *buf, size_t len);
    /** Start resolving a name: uplink_resolved follows. Return: 0, or negative. Null: names are
     * not supported. */
    int (*resolve)(void *arg, const char *name);
    /** Events have left the spool: so many were delivered; 0: some were refused. */
    void (*on_delivered)(void *arg, unsigned events);
    void (*on_wait)(void *arg); /* all addresses failed, or a connection ended: backoff starts */
    void *arg;
};

/** Memory: session and line (UPLINK_LINE_BYTES) are the caller's. Everything pointed to must persist.
 * session: not used without BEACON_ACK. */
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
const char *uplink_state_text(enum uplink_state s);
/** How events are delivered at present: "acknowledged", "plain" or "-". */
const char *uplink_delivery_text(enum uplink_state s);
/** Milliseconds until the next attempt; 0 if none is scheduled. */
uint64_t uplink_next_try_ms(const struct uplink *u);

#endif
