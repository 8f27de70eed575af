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
 * A turn: what poll found readable is read into each connection's own buffer. At the end of the turn
 * of the loop the connections with input are served by deficit round robin, a unit at a time, so that
 * none takes more than its share; then `turn_end` is called once, and the owner answers through
 * listener_answer. A unit that cannot be taken yet stays in its connection's buffer; when that is
 * full nothing more is read, and the kernel closes the sender's window: the others go on. The same
 * after a unit whose answer is a welcome, a refusal or an error: the next one waits until that was
 * said, so that an answer is never lost to a later one.
 *
 * Admission: an address that connects too often is refused (admission.h). A connection is unproven
 * until its session is; it ends LINK_PROVE_MS after it came, or earlier, at random, when its place is
 * needed. Unproven connections of unknown addresses never displace others, nor take reserved places. */

#define CONNECTION_BYTES \
    (CONFIG_EVENT_BYTES + MAC_HEX + 2) /* a line, its newline, a signature, its newline */
/** One message: a greeting, welcome, error, refusal or acknowledgement. */
#define CONNECTION_OUT (LINK_SENT_MAX + MAC_HEX + 3)
#define LINE_TIMEOUT_MS 30000u   /* from the first byte of a unit to its last */
#define IDLE_TIMEOUT_MS 3600000u /* then our side is shut down */
#define CLOSING_TIMEOUT_MS 3000u /* for the peer to close after that */
#define ACCEPT_PAUSE_MS 1000u    /* when the system is out of descriptors */
#define HOLD_STEP_MS 250u        /* longest delay before a deferred unit is retried */
#define HOLD_MOST_MS 10000u      /* then it is taken regardless */
/** Bytes that a connection may use more in each round: a hello needs no second one. */
#define SERVE_QUANTUM CONNECTION_BYTES
#define SERVE_BYTES 524288u /* of a turn, in whole rounds; there is at least one */

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
    CONNECTION_CLOSING,    /* our side is shut; a plain sender's units are still taken */
    CONNECTION_ENDED,      /* the peer has closed; its units in `bytes` are still taken */
    CONNECTION_FLUSHING,   /* what is due is sent, then our side is shut; input is discarded */
    CONNECTION_DISCARDING, /* our side is shut; input is discarded until the peer closes */
};

struct listener;

struct connection {
    struct listener *listener;
    struct connection *after; /* of the connections being served in this turn */
    struct stream stream;
    struct watch watch; /* inactive while nothing is awaited: a closed peer would always be ready */
    struct session session;
    enum connection_state state;
    bool known;    /* its address was, when it came (admission.h) */
    bool has_unit; /* `bytes` may begin with a complete unit; exact after it was served */
    uint64_t came_ms;
    uint64_t input_ms;  /* of the last input; 0: none yet. FLUSHING, DISCARDING: when that began */
    uint64_t unit_ms;   /* when the first byte of the unit came that `bytes` begins with */
    uint64_t held_ms;   /* since when that unit is deferred; 0: it is not */
    uint64_t retry_ms;  /* when it is offered again */
    uint32_t at, used;  /* of bytes: where the unserved input begins and ends */
    uint32_t deficit;   /* bytes it may be served */
    uint16_t out_len, out_sent;
    char bytes[CONNECTION_BYTES];
    char out[CONNECTION_OUT];
};

struct listener_hooks {
    /** A new connection; s->link is in state NEW. Append what is said first (the greeting). */
    void (*opened)(void *arg, struct session *s, struct text *out);
    /** A unit, valid during the call; s->due is SESSION_IDLE or SESSION_ACK. Return: 0;
     * NEFIA_EAGAIN: not now, nothing was done, offer it again; otherwise negative: reported and
     * counted by the callee. The connection then ends: with the error that is due, if s->due is
     * SESSION_ERROR, else as a reset. May end other sessions through listener_each. */
    int (*unit)(void *arg, struct session *s, const struct link_unit *u);
    /** At the end of every turn, after its units, if any: decide, write, begin. Calls listener_answer
     * if everything is in the journal, also when there were no units: an answer may be due that had
     * no room before. */
    void (*turn_end)(void *arg);
    /** Append what is due to out (one message), and move s->due on. Called only within
     * listener_answer, but for SESSION_ERROR, which waits for nothing. */
    void (*answer)(void *arg, struct session *s, struct text *out);
    /** s->command_due, and nothing else is to be said: append that message to the empty out, which is the listener's `longer`. Called
     * only within listener_answer. What the socket does not take at once ends the connection. */
    void (*command)(void *arg, struct session *s, struct text *out);
    /** The connection is gone; its keys are wiped afterwards. Once for each `opened`. */
    void (*closed)(void *arg, struct session *s);
    /** Something was rejected; `what` is a sentence or null. quiet: count, do not log (this address
     * was named less than ADMISSION_LOG_MS ago). */
    void (*rejected)(void *arg, const struct addr *peer, enum reject why, const char *what,
                     bool quiet);
    bool (*allowed)(void *arg, const struct addr *peer);
    void *arg;
};

struct listener {
    struct loop *loop;
    struct watch watch;
    struct timer pause;
    struct timer turn; /* at once while there is input to serve, else at the next deadline */
    int fd; /* -1: not listening */
    struct connection *connections;
    unsigned count, open, held;
    unsigned next;     /* connection served first; rotates */
    unsigned per_peer; /* most connections of an address; 0: no limit, and none on new ones */
    unsigned reserved; /* places that only known addresses may take */
    bool with_signatures;
    struct admission admission;
    char *longer; /* memory for one long message, the caller's, used within a call; of longer_cap bytes; null: there are none */
    size_t longer_cap;
    uint64_t (*random_below)(uint64_t n); /* for the choice of whom to evict; n: 1..count */
    struct listener_hooks hooks;
    uint64_t accepted, bytes;
};

/** connections and entries (of the admission table) are the caller's and must persist. The caller
 * also sets random_below, and per_peer and reserved whenever its settings change. */
void listener_init(struct listener *l, struct loop *loop, struct connection *connections,
                   unsigned count, struct admission_entry *entries, unsigned entry_count,
                   const struct listener_hooks *hooks);
/** Accept connections on fd (from tcp_listen); a previous listening socket is closed.
 * with_signatures: units of connections that come from now on have a signature line. Return: 0 or
 * NEFIA_EFULL. */
int listener_open(struct listener *l, int fd, bool with_signatures);
/** The journal is written: send what is due on all connections (the `answer` hook, as often as there
 * is room; the rest when the peer has read, in a later turn). */
void listener_answer(struct listener *l);
/** There may be room again: offer deferred units in the next turn, which comes at once. */
void listener_resume(struct listener *l);
/** Visit the sessions of connections that have not been ended. fn may set their `due`:
 * SESSION_ERROR ends one with the next listener_answer, and none of its units is offered before. */
void listener_each(struct listener *l, void (*fn)(void *arg, struct session *s), void *arg);
/** After a reload, close connections that are no longer permitted; with_signatures as the new keys
 * require, for those that come. */
void listener_recheck(struct listener *l, bool with_signatures);
/** Stop accepting; end open connections: those of senders of the link once what is due was sent,
 * plain ones when the peer closes, or was silent for CLOSING_TIMEOUT_MS. Return: number of open
 * connections. */
unsigned listener_drain(struct listener *l);
/** Close everything immediately. */
void listener_close(struct listener *l);

#endif
