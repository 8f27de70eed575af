#ifndef NEFIA_CONTROL_CONTROL_H
#define NEFIA_CONTROL_CONTROL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "nefia/sys/loop.h"
#include "nefia/base/text.h"

/** The control socket: how the command line asks a running daemon. A Unix stream socket, mode 0600;
 * a peer must be root or our own user (SO_PEERCRED). One request a connection:
 *     verb rest-of-line\n
 * and the answer is JSON Lines: records, then one last line, `{"end":true,"exit":N}` or
 * `{"error":"why","exit":N}`, then the close. A record of a producer does not begin with the member
 * `end` or `error`.
 * Records are made one at a time, when the one before has left: an answer of any length needs one
 * buffer.
 * A client that does not send its request, or does not take a record, within 10 s is dropped. */

/** What a verb remembers between two records of one answer. Zero at first; begin and produce use it
 * as they like. */
struct control_cursor {
    unsigned step;
    uint32_t index;
    uint64_t seq;
    bool flag;
    uint8_t exit; /* for the last line: 0 unless set; after an error 1 unless set */
};

struct control_verb {
    const char *name; /* null ends a table */
    /** Reads the rest of the line (NUL-terminated, without the newline and the space before it;
     * gone when begin returns: keep what matters in the cursor). Null: the verb takes no arguments,
     * and any is an error.
     * Return: >= 0, or negative with a sentence in why (else err_text serves). */
    int (*begin)(void *arg, struct control_cursor *cursor, const char *args, struct text *why);
    /** Makes the next record in out: one JSON value on one line, without newline. Null: there are
     * none.
     * Return: 1 a record; 0 the end (out is ignored); NEFIA_EAGAIN nothing now, call again after
     * control_wake; negative otherwise: an error, with a sentence in out (plain text, not JSON;
     * else err_text serves). A record that does not fit in out is an error: the answer ends there,
     * and says so. */
    int (*produce)(void *arg, struct control_cursor *cursor, struct text *out);
};

struct control_server;

struct control_client {
    struct control_server *server; /* null: free */
    struct watch watch;
    struct timer timer; /* for the request and for each record; none while a follower waits */
    bool waiting;       /* its producer said NEFIA_EAGAIN */
    bool ending;        /* the last line is in buf */
    const struct control_verb *verb; /* null until the request is whole */
    struct control_cursor cursor;
    size_t len, sent;
    char buf[CONFIG_CONTROL_LINE_BYTES + 1]; /* the request, later one record at a time */
};

struct control_server {
    struct loop *loop;
    struct watch watch;
    struct timer retry; /* when there was no descriptor for a client */
    const struct control_verb *verbs;
    void *arg;
    struct control_client *clients;
    unsigned count;
    char path[108]; /* sun_path of unix(7) */
    int lock;       /* descriptor of the locked file beside it */
    dev_t device;   /* of our socket, so that only it is unlinked */
    ino_t inode;
};

#define CONTROL_LOCK ".lock"
/** Open the socket and serve on it from the loop. A locked file, path + CONTROL_LOCK, stands beside
 * it until control_close: of two daemons that start at once one is refused. Its directory is created (0755) when only that
 * level is missing. A socket nobody answers on is replaced; anything else at that path is left
 * alone and refused. More than `count` clients are told so and closed.
 * Memory: s and clients are the caller's and stay; path is copied; verbs and arg are kept. Takes up
 * to 1 + count watches.
 * Return: 0; NEFIA_EEXIST (a daemon has it or answers there, or it is not a socket), NEFIA_ETOOBIG (path over
 * 107 bytes), NEFIA_EFULL (no watch left), NEFIA_EIO; why then holds the sentence for the log, and
 * s is as if never opened. */
int control_open(struct control_server *s, struct loop *loop, const char *path,
                 struct control_client *clients, unsigned count, const struct control_verb *verbs,
                 void *arg, struct text *why);
/** There is something new: ask the producers that said NEFIA_EAGAIN again. Cheap without any; never
 * calls a producer directly, so it may be called from anywhere. */
void control_wake(struct control_server *s);
/** Drop the clients, close, unlink. Harmless on a server never opened (all zero) or closed
 * before. */
void control_close(struct control_server *s);

/** For command line tools: ask, and wait for the whole answer; blocks.
 * line: the request without newline. on_record (may be null) is called with each record
 * (NUL-terminated, without newline, valid during the call); it returns >= 0 to go on, or negative
 * to stop, and that is returned.
 * timeout_ms: the longest silence of the daemon; 0: for ever (to follow).
 * buf: holds one record; CONFIG_CONTROL_LINE_BYTES + 1 bytes or more. why: 256 bytes or more.
 * Return: the exit status in the answer (0..255; when the daemon answered with an error, why holds
 * its text, else why is empty), or negative with why set: "cannot reach the daemon at PATH: …; is
 * it running?", "no answer from the daemon at PATH within 10s" … */
int control_request(const char *path, const char *line, char *buf, size_t cap,
                    int (*on_record)(void *arg, const char *json, size_t len), void *arg,
                    uint64_t timeout_ms, struct text *why);

#endif
