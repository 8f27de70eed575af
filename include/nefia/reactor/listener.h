#ifndef NEFIA_REACTOR_LISTENER_H
#define NEFIA_REACTOR_LISTENER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "nefia/addr.h"
#include "nefia/loop.h"

/** Connections of senders, cut into lines. A line ends with one \n and nothing else: \r and empty
 * lines are no part of the format and are refused further on. Where a key is set each line is
 * followed by one with its signature.
 *
 * Memory: all connections read into one shared buffer, a bounded number of bytes each in a turn of
 * the loop; only what is left of an incomplete line stays in the connection's own. */

#define CONNECTION_BYTES \
    (CONFIG_EVENT_BYTES + 66)    /* a line, its newline, a signature, its newline */
#define LINE_TIMEOUT_MS 30000u   /* from the first byte of a line to its last */
#define IDLE_TIMEOUT_MS 3600000u /* then the peer is asked to end the connection */
#define CLOSING_TIMEOUT_MS 3000u /* for peers that were asked to */
#define ACCEPT_PAUSE_MS 1000u    /* when the system has no descriptors left */

/** Why something was not taken. */
enum reject {
    REJECT_PEER,       /* not in `peers` */
    REJECT_FULL,       /* CONFIG_CONNECTIONS are open */
    REJECT_TOO_LONG,   /* a line over CONFIG_EVENT_BYTES */
    REJECT_UNFINISHED, /* the connection ended inside a line */
    REJECT_TIMEOUT,    /* half a line, and nothing more */
    REJECT_UNSIGNED,   /* the signature is missing */
    REJECT_MALFORMED,  /* the signature is not 64 lower-case hex digits */
    REJECT_WRONG,      /* the signature is wrong */
    REJECT_UTF8,       /* not UTF-8 */
    REJECT_JSON,       /* not JSON */
    REJECT_EVENT,      /* JSON, but no event */
    REJECT_COUNT,
};

/** Name in counters: "too_long". */
const char *reject_name(enum reject r);

struct listener;

struct connection {
    struct listener *listener;
    struct watch watch;
    struct timer timer;
    struct addr peer;
    uint64_t heard_ms;  /* when bytes came last */
    uint64_t line_ms;   /* when the line in `bytes` began; where used > 0 */
    bool open, closing; /* closing: our side is shut, what still comes is read */
    uint32_t used;
    char bytes[CONNECTION_BYTES];
};

struct listener_hooks {
    /** A line, without its newline, and its signature line (sig null where no key is set); valid
     * during the call. Return: 0, or negative: it was refused (and reported by the callee): the
     * connection is closed. */
    int (*line)(void *arg, const struct addr *peer, const char *line, size_t len, const char *sig,
                size_t sig_len);
    /** After the lines of one turn of one connection: time to do what they started. */
    void (*turn_end)(void *arg);
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
    unsigned count, open;
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
/** Close whom the rules of the day do not allow any more, after a reload; with_signatures as the
 * new key asks. */
void listener_recheck(struct listener *l, bool with_signatures);
/** No new connections; those that are open are told that we send nothing any more, and are read to
 * their end, or for CLOSING_TIMEOUT_MS. Return: how many are open. */
unsigned listener_drain(struct listener *l);
/** Close everything at once. */
void listener_close(struct listener *l);

#endif
