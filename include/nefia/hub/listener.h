#ifndef NEFIA_HUB_LISTENER_H
#define NEFIA_HUB_LISTENER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "nefia/hub/admission.h"
#include "nefia/hub/session.h"
#include "nefia/net/addr.h"
#include "nefia/net/stream.h"
#include "nefia/sys/loop.h"

/** Connections of senders, split into units: a line, which ends with a single \n, and its signature
 * line where there are keys.
 *
 * A turn: what poll found readable is read into each connection's own buffer; at the end of the turn
 * of the loop the connections with input are served by deficit round robin, a unit at a time, so that
 * none takes more than its share; then `turn_end` is called once, and the owner answers through
 * listener_answer. A unit that cannot be taken yet stays in its connection's buffer; when that is
 * full nothing more is read, and the kernel closes the sender's window: the others go on. */

#define CONNECTION_BYTES \
    (CONFIG_EVENT_BYTES + MAC_HEX + 2) /* a line, its newline, a signature, its newline */
/** Output of one turn: a welcome or an error, or a refusal and an acknowledgement. */
#define CONNECTION_OUT (LINK_SENT_MAX + MAC_HEX + 3)
#define LINE_TIMEOUT_MS 30000u   /* from the first byte of a unit to its last */
#define IDLE_TIMEOUT_MS 3600000u /* then our side is shut down */
#define CLOSING_TIMEOUT_MS 3000u /* for the peer to close after that */
#define ACCEPT_PAUSE_MS 1000u    /* when the system is out of descriptors */
#define HOLD_STEP_MS 250u        /* longest delay before a deferred unit is retried */
#define HOLD_MOST_MS 10000u      /* then it is taken regardless */
#define SERVE_QUANTUM 2048u      /* bytes that a connection may use more in each turn */

/** Reasons for rejection. */
enum reject {
    REJECT_PEER,       /* not in `peers` */
    REJECT_FULL,       /* no place left, or only reserved ones */
    REJECT_PEER_FULL,  /* max_connections_per_peer are open from this address */
    REJECT_PEER_FAST,  /* too many new connections from this address */
    REJECT_UNPROVEN,   /* no hello and no valid event within LINK_PROVE_MS, or evicted before */
    REJECT_TOO_LONG,   /* line over CONFIG_EVENT_BYTES */
    REJECT_UNFINISHED, /* closed in the middle of a line */
    REJECT_TIMEOUT,    /* incomplete line */
    REJECT_UNSIGNED,   /* signature missing */
    REJECT_MALFORMED,  /* signature is not 64 lower-case hex digits */
    REJECT_WRONG,      /* wrong signature */
    REJECT_UTF8,       /* not UTF-8 */
    REJECT_JSON,       /* not JSON */
    REJECT_EVENT,      /* JSON, but not an event */
    REJECT_HELLO,      /* not a hello */
    REJECT_HOST,       /* host_id does not belong to the key, the address or the session */
    REJECT_WINDOW,     /* more sent than the window allows */
    REJECT_PLAIN,      /* plain events are not taken from this host */
    REJECT_RATE,       /* stays over the rate despite being slowed down */
    REJECT_REPLACED,   /* another session of the host */
    REJECT_COUNT,
};

/** Name in counters, such as "line_too_long". */
const char *reject_name(enum reject r);

enum connection_state {
    CONNECTION_FREE,
    CONNECTION_OPEN,
    CONNECTION_HELD,     /* a unit is deferred: it is offered again */
    CONNECTION_FLUSHING, /* no more input is taken; output is sent, then our side is shut */
    CONNECTION_CLOSING,  /* our side is shut; a plain sender's remaining units are still taken */
    CONNECTION_DISCARDING, /* the same; what still comes is discarded */
};

struct listener;

struct connection {
    struct listener *listener;
    struct stream stream;
    struct watch watch;
    struct timer timer;
    struct session session;
    enum connection_state state;
    uint64_t came_ms, last_input_ms;
    uint64_t unit_ms; /* when the first byte in `bytes` came */
    uint64_t held_ms; /* since when a unit is deferred */
    uint32_t used, deficit;
    uint16_t out_len, out_sent;
    char bytes[CONNECTION_BYTES];
    char out[CONNECTION_OUT];
};

struct listener_hooks {
    /** A new connection: append what is said first (the greeting). */
    void (*opened)(void *arg, struct session *s, struct text *out);
    /** A unit, valid during the call. Return: 0; NEFIA_EAGAIN: not now, nothing was done, offer it
     * again; otherwise negative: reported and counted by the callee. The connection then ends: with
     * the error that is due, if s->due is SESSION_ERROR, else as a reset. */
    int (*unit)(void *arg, struct session *s, const struct link_unit *u);
    /** Once after the units of a turn: decide, write, begin. Calls listener_answer. */
    void (*turn_end)(void *arg);
    /** Append what is due to out (one message), and move s->due on. */
    void (*answer)(void *arg, struct session *s, struct text *out);
    /** The connection is gone. */
    void (*closed)(void *arg, struct session *s);
    /** Something was rejected; `what` is a sentence or null. quiet: count, do not log. */
    void (*rejected)(void *arg, const struct addr *peer, enum reject why, const char *what,
                     bool quiet);
    bool (*allowed)(void *arg, const struct addr *peer);
    void *arg;
};

struct listener {
    struct loop *loop;
    struct watch watch;
    struct timer pause;
    struct timer turn; /* due at once while there is input to serve */
    int fd; /* -1: not listening */
    struct connection *connections;
    unsigned count, open, held;
    unsigned next;     /* connection served first; rotates */
    unsigned per_peer; /* most connections per address; 0: no limit */
    unsigned reserved; /* places that only known addresses may take */
    bool with_signatures;
    struct admission admission;
    uint64_t (*random_below)(uint64_t n); /* for the choice of whom to evict; n up to UINT32_MAX */
    struct listener_hooks hooks;
    uint64_t accepted, bytes;
};

/** connections and entries (of the admission table) are the caller's and must persist. */
void listener_init(struct listener *l, struct loop *loop, struct connection *connections,
                   unsigned count, struct admission_entry *entries, unsigned entry_count,
                   const struct listener_hooks *hooks);
/** Accept connections on fd (from tcp_listen); a previous listening socket is closed. Return: 0 or
 * NEFIA_EFULL. */
int listener_open(struct listener *l, int fd, bool with_signatures);
/** The journal is written: send what is due on all connections (the `answer` hook, as often as there
 * is room; the rest when the peer has read). */
void listener_answer(struct listener *l);
/** There may be room again for deferred units. */
void listener_resume(struct listener *l);
/** Visit the sessions of all open connections. fn may set their `due`. */
void listener_each(struct listener *l, void (*fn)(void *arg, struct session *s), void *arg);
/** After a reload, close connections that are no longer permitted; with_signatures as the new keys
 * require, for those that come. */
void listener_recheck(struct listener *l, bool with_signatures);
/** Stop accepting; end open connections: of senders of the link at once, plain ones are read to their
 * end, or for CLOSING_TIMEOUT_MS. Return: number of open connections. */
unsigned listener_drain(struct listener *l);
/** Close everything immediately. */
void listener_close(struct listener *l);

#endif
