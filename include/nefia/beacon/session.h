#ifndef NEFIA_BEACON_SESSION_H
#define NEFIA_BEACON_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "nefia/beacon/remote.h"
#include "nefia/beacon/spool.h"
#include "nefia/crypto/mac.h"
#include "nefia/link/link.h"

/** Delivery to a hub that acknowledges (BEACON_ACK): between the link's engine and the spool, without
 * I/O of its own. One connection is one session:
 *
 *     session_begin ── greeting ──▶ session_hello ── welcome ──▶ session_next … ── acks, refusals
 *
 * Only a signed acknowledgement or refusal settles an event; the end of a connection, however it
 * comes, never does. What outlives a session: which events were written under which name (in the
 * spool), and the highest seq that was acknowledged under a name, of the running start and of one
 * earlier one (what is left of an earlier one is unsure once another takes its place). A hub that names a window
 * but knows a lower seq has lost its memory in part (a restored backup): everything of that start
 * that was ever written is unsure from then on. */
#define SESSION_RECEIVE (IS_ENABLED(CONFIG_BEACON_ACK) ? LINK_LINE_MAX + MAC_HEX + 2 : 1)

enum session_result {
    SESSION_NOTHING,  /* no complete line is left */
    SESSION_IGNORED,  /* an unknown message */
    SESSION_NOISE,    /* before the hello: a line that is not a greeting */
    SESSION_GREETED,  /* before the hello: session_hello is due */
    SESSION_WELCOMED, /* events may be sent */
    SESSION_SETTLED,  /* events have left the spool: `acknowledged`, or one that was refused */
    SESSION_OVER,     /* to be closed; `why` says why */
};

/** The highest seq of a start that was acknowledged under a name. */
struct session_highest {
    uint64_t boot, seq;
    uint8_t name[LINK_NAME];
};

struct session {
    struct spool *spool;
    struct remote *remote; /* REMOTE_EXEC: the owner's, who sets it after session_init; null: no commands */
    uint64_t hello_ms;     /* when the hello was sent, or before */
    struct link link;
    uint8_t nonce[LINK_NONCE]; /* of this session's hello: set by the owner before it begins */
    struct link_welcome hub;
    struct session_highest highest[2]; /* of the running start, and of an earlier one */
    unsigned window, unsettled; /* events that may be, and are in flight; those that have left the
                                 * spool since count until everything sent is acknowledged */
    unsigned acknowledged;      /* by the last acknowledgement */
    const char *why;
    size_t received_len;
    char received[SESSION_RECEIVE]; /* from the hub, unparsed */
};

/** Memory: the spool, whose `own` is this beacon's start, must persist. */
void session_init(struct session *s, struct spool *spool);
/** A connection is made: the greeting is awaited. is_signed: there is a key. */
void session_begin(struct session *s, bool is_signed);
/** Take the first complete line of `received`, to whose end the owner appends what it receives (there
 * is always room after SESSION_NOTHING). */
enum session_result session_take(struct session *s, uint64_t now_ms);
/** The hub closed the connection: log the error that it may have said without a signature. */
void session_closed(struct session *s, uint64_t now_ms);
/** Write the hello to line (DELIVERY_LINE_BYTES). plain: this beacon may also deliver plainly. Return:
 * the length. */
size_t session_hello(struct session *s, const struct mac_key *key, const char *host_id, bool plain,
                     uint64_t now_ms, char *line);
/** After the welcome: write the next event, or the result of a command, to line. Return: the length; 0: there is none, or none may
 * be sent yet. */
size_t session_next(struct session *s, uint64_t now_ms, char *line);
/** Something of the session is due: 0: nothing. */
static inline uint64_t session_deadline(const struct session *s)
{
    return s->link.deadline_ms;
}
/** The connection is over: forget its keys. */
void session_end(struct session *s);

#endif
