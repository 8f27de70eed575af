#ifndef NEFIA_BEACON_DELIVERY_H
#define NEFIA_BEACON_DELIVERY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "nefia/base/kconfig.h"
#include "nefia/beacon/plain.h"
#include "nefia/beacon/session.h"
#include "nefia/beacon/spool.h"
#include "nefia/crypto/mac.h"
#include "nefia/link/link.h"
#include "nefia/net/addr.h"
#include "nefia/net/stream.h"

/** Delivery over one established connection: carries bytes between its stream and one of two engines,
 * which take events from the spool and settle them there: session.h for a hub that acknowledges
 * (BEACON_ACK), plain.h for one that does not. Knows of no loop, no timer and no other connection: it
 * is told that the socket is ready, that its deadline has come, that there are new events; after each
 * such call its owner reads from it what to wait for (`events`, delivery_deadline), how many events were
 * delivered, and whether the connection is at its end (FINISHED, LOST).
 *
 *     NONE ── begin ──▶ GREETING ── hub greets ──▶ HELLO ── sent ──▶ WELCOME ── welcome ──▶ UP
 *      ▲                    │ silent                 ▲
 *      │ end                ▼         hub greets     │
 *      │                  PLAIN ─────────────────────┘
 *      │                    │ hub closes
 *      │                    ▼
 *      ├── FINISHED ◀── CLOSING           all arrived
 *      └── LOST ◀── any of them           the connection breaks, or the hub breaks the protocol
 *
 * A hub that has not greeted within 2 s, or says something else, is a plain one: with require_ack
 * the connection is given up, else events are delivered plainly until it greets. When a plain hub
 * closes in an orderly way (a FIN, as on a restart), the current line is finished, our side is
 * closed, and sent events count as delivered once everything, including our FIN, has been
 * acknowledged. After a rejection a plain hub gets nothing for a second after connecting: one that
 * rejects us altogether resets before. */
enum delivery_state {
    DELIVERY_NONE,     /* no connection */
    DELIVERY_GREETING, /* the hub's greeting is awaited, and nothing is sent */
    DELIVERY_HELLO,    /* the hello is next, after the line being sent */
    DELIVERY_WELCOME,  /* the hello was sent */
    DELIVERY_UP,       /* events are sent, and acknowledged */
    DELIVERY_PLAIN,    /* events are sent to a plain hub */
    DELIVERY_CLOSING,  /* the plain hub has closed: our side is finished */
    DELIVERY_FINISHED, /* and everything sent has been delivered: to be ended */
    DELIVERY_LOST,     /* `why` or `error` says why: to be ended */
};

/** An event with its signature; or a hello with its own; BEACON_ACK: the event with an `unsure`. */
#define DELIVERY_EVENT (CONFIG_EVENT_BYTES + MAC_HEX + 2)
#define DELIVERY_HELLO_BYTES (LINK_HELLO_MAX + MAC_HEX + 3)
#define DELIVERY_ACK_LINE                                                                          \
    (DELIVERY_EVENT + LINK_UNSURE_BYTES > DELIVERY_HELLO_BYTES                                     \
         ? DELIVERY_EVENT + LINK_UNSURE_BYTES                                                      \
         : DELIVERY_HELLO_BYTES)
#define DELIVERY_LINE_BYTES (IS_ENABLED(CONFIG_BEACON_ACK) ? DELIVERY_ACK_LINE : DELIVERY_EVENT)

struct delivery {
    /* To be read by the owner after each call. */
    enum delivery_state state;
    int events;         /* POLLIN, POLLOUT: what to watch the socket for; 0: do not watch it */
    unsigned delivered; /* events; this and `settled` go on until the owner clears them */
    bool settled;       /* BEACON_ACK: the hub has settled some: they are among these, or refused */
    bool was_idle;      /* LOST: by a hub that acknowledges, while nothing was in flight */
    const char *why;    /* LOST; null: because of `error` */
    int error;          /* LOST: errno; 0: none */
    uint64_t since_ms;  /* when `state` began; LOST, FINISHED: the one before */

    /* Its own. */
    uint64_t now_ms; /* of the current call */
    struct spool *spool;
    const struct mac_key *key;
    const struct stream *stream;
    const struct addr *peer;
    char *line; /* the caller's DELIVERY_LINE_BYTES: what is being sent */
    size_t line_len, line_sent;
    unsigned rejected; /* LOST: number of events, one of which a plain hub has rejected */
    struct plain plain;
    struct session *session; /* the caller's; BEACON_ACK */

    /* BEACON_ACK: set by the owner before delivery_prepare. */
    const char *host_id;
    bool require_ack; /* send nothing to plain hubs */
    /** Random bytes. Return: 0, or negative while the kernel has none. */
    int (*random)(void *buf, size_t len);
};

/** Memory: spool, session and line (DELIVERY_LINE_BYTES) are the caller's and must persist. session:
 * not used without BEACON_ACK. */
void delivery_init(struct delivery *d, struct spool *spool, struct session *session, char *line);
/** A new configuration: its key, which must persist (not set: lines go unsigned). What a plain hub has
 * rejected is counted anew. */
void delivery_configure(struct delivery *d, const struct mac_key *key);
/** BEACON_ACK, before each connection: a nonce for its hello, never used before. Return: 0, or
 * negative while the kernel's generator is not seeded: do not connect. */
int delivery_prepare(struct delivery *d);
/** A connection is made. stream stays the caller's; it and peer are kept until delivery_end. */
void delivery_begin(struct delivery *d, const struct stream *stream, const struct addr *peer,
                    uint64_t now_ms);
/** The socket is ready: revents of poll(2). */
void delivery_ready(struct delivery *d, short revents, uint64_t now_ms);
/** delivery_deadline has come. */
void delivery_due(struct delivery *d, uint64_t now_ms);
/** The spool has new events. Delivers none by itself, as delivery_begin. */
void delivery_kick(struct delivery *d, uint64_t now_ms);
/** The connection is over, for whatever reason: undelivered events become unsent. The owner closes the
 * stream after it. */
void delivery_end(struct delivery *d);
/** When delivery_due is to be called; 0: nothing is due. */
uint64_t delivery_deadline(const struct delivery *d);
/** Is nothing in flight that ending the connection would send again? */
bool delivery_idle(const struct delivery *d);
/** For `status`: "greeting", "up", "closing"; "-" where there is no connection. */
const char *delivery_state_text(enum delivery_state s);
/** How events are delivered at present: "acknowledged", "plain" or "-". */
const char *delivery_way_text(enum delivery_state s);

#endif
