#ifndef NEFIA_HUB_LISTENER_H
#define NEFIA_HUB_LISTENER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "nefia/net/addr.h"
#include "nefia/link/link.h"
#include "nefia/sys/loop.h"

/** Connections of senders, split into lines. A line ends with a single \n: \r and empty lines are
 * not part of the format and are rejected later. If a key is set, each line is followed by one with
 * its signature.
 *
 * Memory: all connections read into one shared buffer, a bounded number of bytes each per turn of
 * the loop; only the rest of an incomplete line is stored in the connection. A line that cannot be
 * accepted yet stays in the kernel, which closes the sender's window: a connection that waits does
 * not block the others. */

#define CONNECTION_BYTES \
    (CONFIG_EVENT_BYTES + 66)    /* a line, its newline, a signature, its newline */
#define LINE_TIMEOUT_MS 30000u   /* from the first byte of a line to its last */
#define IDLE_TIMEOUT_MS 3600000u /* then our side is shut down */
#define CLOSING_TIMEOUT_MS 3000u /* for the peer to close after that */
#define PROVE_MS 5000u           /* then a connection without a valid event may be evicted for a new one */
#define ACCEPT_PAUSE_MS 1000u    /* when the system is out of descriptors */
#define HOLD_STEP_MS 250u        /* longest delay before a deferred line is retried */
#define HOLD_MOST_MS 10000u      /* then it is accepted regardless */

/** Reasons for rejection. */
enum reject {
    REJECT_PEER,       /* not in `peers` */
    REJECT_FULL,       /* all CONFIG_CONNECTIONS are open */
    REJECT_PEER_FULL,  /* max_connections_per_peer are open from this address */
    REJECT_TOO_LONG,   /* line over CONFIG_EVENT_BYTES */
    REJECT_UNFINISHED, /* closed in the middle of a line */
    REJECT_TIMEOUT,    /* incomplete line */
    REJECT_UNSIGNED,   /* signature missing */
    REJECT_MALFORMED,  /* signature is not 64 lower-case hex digits */
    REJECT_WRONG,      /* wrong signature */
    REJECT_UTF8,       /* not UTF-8 */
    REJECT_JSON,       /* not JSON */
    REJECT_EVENT,      /* JSON, but not an event */
    REJECT_HOST,       /* host_id does not belong to the signing key, or to the address */
    REJECT_REPLAY,     /* stamp of another connection, or out of order */
    REJECT_WINDOW,     /* more sent than the window allows */
    REJECT_PLAIN,      /* no stamp, although require_nonce is set */
    REJECT_RATE,       /* stays over the rate despite being slowed down */
    REJECT_COUNT,
};

/** Name in counters, such as "line_too_long". */
const char *reject_name(enum reject r);

/** Session state of a connection. Zeroed on accept, except peer. */
struct session {
    struct addr peer;
    char nonce[LINK_NONCE_HEX + 1]; /* "": no greeting sent */
    uint64_t count;                 /* stamped events accepted */
    uint64_t acked;                 /* of these, acknowledged */
    uint64_t boot, seq;             /* of the last of them */
    bool due;                       /* an acknowledgement, or a window, has to be sent */
    bool refused;                   /* the next stamped event will never be accepted: a refusal has to be sent */
    bool overdue;                     /* the line was deferred for HOLD_MOST_MS: accept it now */
    bool proven;                    /* the owner's: has sent a valid line */
    uint16_t key;                   /* the owner's: key its lines are signed with */
    uint32_t tokens;                /* the owner's: of the rate limit */
    uint64_t tokens_ms, over_ms;
};

struct listener;

struct connection {
    struct listener *listener;
    struct watch watch;
    struct timer timer;
    struct session session;
    uint64_t came_ms;
    uint64_t last_input_ms;  /* time of the last input */
    uint64_t line_ms;   /* start of the line in `bytes`, if used > 0 */
    uint64_t held_ms;   /* since when a line is deferred; 0: none */
    bool open, closing; /* closing: our side is shut down, remaining input is read */
    bool discarding;          /* … and discarded */
    uint32_t used;
    uint16_t out_len, out_sent;
    char bytes[CONNECTION_BYTES];
    char out[LINK_LINE_MAX + MAC_HEX + 3]; /* output: a greeting or an acknowledgement */
};

struct listener_hooks {
    /** A line, without its newline, and its signature line (sig null if no key is set); valid
     * during the call. Return: 0; NEFIA_EAGAIN: not now, nothing was done, offer it again;
     * otherwise negative: rejected (and reported by the callee): the connection is closed. */
    int (*line)(void *arg, struct session *s, const char *line, size_t len, const char *sig,
                size_t sig_len);
    /** Called after the lines of one turn of one connection: carry out what they started. */
    void (*turn_end)(void *arg);
    /** Append output: the greeting of a new session (nonce is still ""), or its acknowledgement. If
     * nothing is appended, nothing is sent. */
    void (*respond)(void *arg, struct session *s, struct text *out);
    /** Something was rejected; `what` is a sentence or null. Logs and counts. */
    void (*rejected)(void *arg, const struct addr *peer, enum reject why, const char *what);
    bool (*allowed)(void *arg, const struct addr *peer);
    void *arg;
};

struct listener {
    struct loop *loop;
    struct watch watch;
    struct timer pause;
    int fd; /* -1: not listening */
    struct connection *connections;
    unsigned count, open, held;
    unsigned turn; /* connection retried first when there is room again; rotates */
    unsigned per_peer; /* most connections per address; 0: no limit */
    char *buffer; /* shared, buffer_size > 2 * CONNECTION_BYTES or so */
    size_t buffer_size;
    bool with_signatures;
    struct listener_hooks hooks;
    uint64_t accepted, bytes;
};

/** connections and buffer are the caller's and must persist; buffer_size at least 2 *
 * CONNECTION_BYTES. */
void listener_init(struct listener *l, struct loop *loop, struct connection *connections,
                   unsigned count, char *buffer, size_t buffer_size,
                   const struct listener_hooks *hooks);
/** Accept connections on fd (from tcp_listen); a previous listening socket is closed. Return: 0 or
 * NEFIA_EFULL. */
int listener_open(struct listener *l, int fd, bool with_signatures);
/** The accepted lines of all connections are durable: send pending acknowledgements. */
void listener_acknowledge(struct listener *l);
/** There may be room again for deferred lines. */
void listener_resume(struct listener *l);
/** After a reload, close connections that are no longer permitted; with_signatures as the new key
 * requires. */
void listener_recheck(struct listener *l, bool with_signatures);
/** Stop accepting; shut down our side of open connections, which are then read to their end, or for
 * CLOSING_TIMEOUT_MS. Return: number of open connections. */
unsigned listener_drain(struct listener *l);
/** Close everything immediately. */
void listener_close(struct listener *l);

#endif
