#ifndef NEFIA_HUB_LISTENER_H
#define NEFIA_HUB_LISTENER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "nefia/net/addr.h"
#include "nefia/link/link.h"
#include "nefia/sys/loop.h"

/** Connections of senders, cut into lines. A line ends with one \n and nothing else: \r and empty
 * lines are no part of the format and are refused further on. Where a key is set each line is
 * followed by one with its signature.
 *
 * Memory: all connections read into one shared buffer, a bounded number of bytes each in a turn of
 * the loop; only what is left of an incomplete line stays in the connection's own. A line that cannot
 * be taken now stays in the kernel, and the sender's window with it: so one that waits costs the
 * others nothing. */

#define CONNECTION_BYTES \
    (CONFIG_EVENT_BYTES + 66)    /* a line, its newline, a signature, its newline */
#define LINE_TIMEOUT_MS 30000u   /* from the first byte of a line to its last */
#define IDLE_TIMEOUT_MS 3600000u /* then the peer is asked to end the connection */
#define CLOSING_TIMEOUT_MS 3000u /* for peers that were asked to */
#define PROVE_MS 5000u           /* then who has sent nothing good gives way to others, when all are taken */
#define ACCEPT_PAUSE_MS 1000u    /* when the system has no descriptors left */
#define HOLD_STEP_MS 250u        /* a line that could not be taken is tried again, at the latest */
#define HOLD_MOST_MS 10000u      /* then it is taken whatever becomes of it */

/** Why something was not taken. */
enum reject {
    REJECT_PEER,       /* not in `peers` */
    REJECT_FULL,       /* CONFIG_CONNECTIONS are open */
    REJECT_PEER_FULL,  /* max_connections_per_peer are open from there */
    REJECT_TOO_LONG,   /* a line over CONFIG_EVENT_BYTES */
    REJECT_UNFINISHED, /* the connection ended inside a line */
    REJECT_TIMEOUT,    /* half a line, and nothing more */
    REJECT_UNSIGNED,   /* the signature is missing */
    REJECT_MALFORMED,  /* the signature is not 64 lower-case hex digits */
    REJECT_WRONG,      /* the signature is wrong */
    REJECT_UTF8,       /* not UTF-8 */
    REJECT_JSON,       /* not JSON */
    REJECT_EVENT,      /* JSON, but no event */
    REJECT_HOST,       /* not the host whose key it is signed with, or not from its address */
    REJECT_REPLAY,     /* stamped for another connection, or out of order on this one */
    REJECT_WINDOW,     /* more sent than was granted */
    REJECT_PLAIN,      /* not stamped, where require_nonce is set */
    REJECT_RATE,       /* over its rate, and not slowed by being slowed */
    REJECT_COUNT,
};

/** Name in counters: "too_long". */
const char *reject_name(enum reject r);

/** What the hub knows of one connection, beyond its bytes. Zeroed when it comes in, but for peer. */
struct session {
    struct addr peer;
    char nonce[LINK_NONCE_HEX + 1]; /* "": not greeted */
    uint64_t count;                 /* stamped events that were taken */
    uint64_t acked;                 /* of these, acknowledged */
    uint64_t boot, seq;             /* of the last of them */
    bool due;                       /* an acknowledgement, or a window, is to be sent */
    bool refused;                   /* the next stamped event will never be taken: that is to be said */
    bool hurry;                     /* the line was held for HOLD_MOST_MS: take it */
    bool proven;                    /* the owner's: a line of it was good */
    uint16_t key;                   /* the owner's: which key its lines are signed with */
    uint32_t tokens;                /* the owner's: of its rate */
    uint64_t tokens_ms, over_ms;
};

struct listener;

struct connection {
    struct listener *listener;
    struct watch watch;
    struct timer timer;
    struct session session;
    uint64_t came_ms;
    uint64_t heard_ms;  /* when bytes came last */
    uint64_t line_ms;   /* when the line in `bytes` began; where used > 0 */
    uint64_t held_ms;   /* since when a line is held; 0: none is */
    bool open, closing; /* closing: our side is shut, what still comes is read */
    bool deaf;          /* and thrown away */
    uint32_t used;
    uint16_t out_len, out_sent;
    char bytes[CONNECTION_BYTES];
    char out[LINK_LINE_MAX + MAC_HEX + 3]; /* what we say: a greeting or an acknowledgement */
};

struct listener_hooks {
    /** A line, without its newline, and its signature line (sig null where no key is set); valid
     * during the call. Return: 0; NEFIA_EAGAIN: not now, nothing was done, offer it again; else
     * negative: it was refused (and reported by the callee): the connection is closed. */
    int (*line)(void *arg, struct session *s, const char *line, size_t len, const char *sig,
                size_t sig_len);
    /** After the lines of one turn of one connection: time to do what they started. */
    void (*turn_end)(void *arg);
    /** Something to say: the greeting of a new session (nonce is still ""), else its
     * acknowledgement. Nothing appended: nothing is said. */
    void (*speak)(void *arg, struct session *s, struct text *out);
    /** Something is refused here; `what` is a sentence or null. Logs and counts. */
    void (*rejected)(void *arg, const struct addr *peer, enum reject why, const char *what);
    bool (*allowed)(void *arg, const struct addr *peer);
    void *arg;
};

struct listener {
    struct loop *loop;
    struct watch watch;
    struct timer pause;
    int fd; /* -1: does not listen */
    struct connection *connections;
    unsigned count, open, held;
    unsigned turn; /* who is asked first when there is room for one again: another one each time */
    unsigned per_peer; /* connections of one address at most; 0: no bound */
    char *buffer; /* shared, buffer_size > 2 * CONNECTION_BYTES or so */
    size_t buffer_size;
    bool with_signatures;
    struct listener_hooks hooks;
    uint64_t accepted, bytes;
};

/** connections and buffer are the caller's and stay; buffer_size at least 2 * CONNECTION_BYTES. */
void listener_init(struct listener *l, struct loop *loop, struct connection *connections,
                   unsigned count, char *buffer, size_t buffer_size,
                   const struct listener_hooks *hooks);
/** Take connections from fd (of tcp_listen) from now on; one it had before is closed. Return: 0 or
 * NEFIA_EFULL. */
int listener_open(struct listener *l, int fd, bool with_signatures);
/** What the lines of all connections asked for is safe: send the acknowledgements that are due. */
void listener_acknowledge(struct listener *l);
/** There may be room again for lines that were held. */
void listener_resume(struct listener *l);
/** Close whom the rules of the day do not allow any more, after a reload; with_signatures as the
 * new key asks. */
void listener_recheck(struct listener *l, bool with_signatures);
/** No new connections; those that are open are told that we send nothing any more, and are read to
 * their end, or for CLOSING_TIMEOUT_MS. Return: how many are open. */
unsigned listener_drain(struct listener *l);
/** Close everything at once. */
void listener_close(struct listener *l);

#endif
