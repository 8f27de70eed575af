#ifndef NEFIA_CONTROL_CONTROL_H
#define NEFIA_CONTROL_CONTROL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "nefia/sys/loop.h"
#include "nefia/base/text.h"

/** The control socket, through which the command line queries a running daemon. A Unix stream
 * socket, mode 0600; a peer must be root or our own user (SO_PEERCRED). One request per connection:
 *     verb rest-of-line\n
 * The response is JSON Lines: records, then one last line, `{"end":true,"exit":N}` or
 * `{"error":"why","exit":N}`, then close. A producer's record must not begin with the member `end`
 * or `error`. Records are produced one at a time, each after the previous one has been sent: a
 * response of any length needs one buffer. A client that does not send its request, or does not
 * read a record, within 10 s is dropped. */

/** State of a verb between two records of one response. Initially zero, but for uid; for begin and produce to
 * use freely. */
struct control_cursor {
    unsigned step;
    uint32_t index;
    uint64_t boot, seq;
    bool flag;
    uint8_t exit; /* for the last line; default 0, after an error 1 */
    uint32_t uid; /* of who asks, from the beginning */
};

/** Exit status of a request that the server did not give to a verb; what a verb refuses has its cursor's, if that is not 0. */
#define CONTROL_REFUSED 1
#define CONTROL_FULL "too many clients " /* its sentence begins so where that will pass */

struct control_verb {
    const char *name; /* null ends a table */
    /** Parses the rest of the line (NUL-terminated, without the newline and the preceding space;
     * valid only during the call: keep what matters in the cursor). Null: the verb takes no
     * arguments, and any is an error.
     * Return: >= 0, or negative with a sentence in why (if empty, err_text is used). */
    int (*begin)(void *arg, struct control_cursor *cursor, const char *args, struct text *why);
    /** Produces the next record in out: one JSON value on one line, without newline. Null: no
     * records.
     * Return: 1 a record; 0 the end (out is ignored); NEFIA_EAGAIN nothing now, call again after
     * control_wake; negative otherwise: an error, with a sentence in out (plain text, not JSON;
     * if empty, err_text is used). A record that does not fit in out ends the response with an
     * error. */
    int (*produce)(void *arg, struct control_cursor *cursor, struct text *out);
    /** The response is over, or its client has gone: whatever the cursor stands for is no longer needed. Once after each begin
     * that succeeded. Null: nothing. A verb that has one may wait for long: where clients that wait have all places but one, it does
     * not begin (CONTROL_REFUSED). */
    void (*end)(void *arg, struct control_cursor *cursor);
};

struct control_server;

enum control_state {
    CONTROL_READING,   /* the request is not whole */
    CONTROL_ANSWERING, /* buf has a record, or the verb is to make one */
    CONTROL_WAITING,   /* its producer said NEFIA_EAGAIN */
    CONTROL_ENDING,    /* buf has the last line */
};

struct control_client {
    struct control_server *server; /* null: free */
    struct watch watch;
    struct timer timer; /* for the request and for each record; not armed while a follower waits */
    enum control_state state;
    const struct control_verb *verb; /* from CONTROL_ANSWERING on; null after an unknown request */
    struct control_cursor cursor;
    size_t len, sent;
    char buf[CONFIG_CONTROL_LINE_BYTES + 1]; /* the request, later one record at a time */
};

struct control_server {
    struct loop *loop;
    struct watch watch;
    struct timer retry; /* after running out of descriptors */
    const struct control_verb *verbs;
    void *arg;
    struct control_client *clients;
    unsigned count;
    char path[108]; /* sun_path of unix(7) */
    int lock;       /* descriptor of the locked file beside it */
    dev_t device;   /* of our socket, so that no other is unlinked */
    ino_t inode;
};

#define CONTROL_LOCK ".lock"
/** Open the socket and serve it from the loop. A lock file, path + CONTROL_LOCK, exists beside it
 * until control_close: of two daemons starting at once one fails. The directory is created (0755)
 * if only that level is missing. A stale socket is replaced; anything else at that path is left
 * alone and is an error. Clients beyond `count` get an error and are closed.
 * Memory: s and clients are the caller's and stay; path is copied; verbs and arg are kept. Takes up
 * to 1 + count watches.
 * Return: 0; NEFIA_EEXIST (a daemon is running, or path is not a socket), NEFIA_ETOOBIG (path over
 * 107 bytes), NEFIA_EFULL (no watch left), NEFIA_EIO; why then holds the sentence for the log, and
 * s is as if never opened. */
int control_open(struct control_server *s, struct loop *loop, const char *path,
                 struct control_client *clients, unsigned count, const struct control_verb *verbs,
                 void *arg, struct text *why);
/** New data: call the producers that returned NEFIA_EAGAIN again. Cheap without any; never calls a
 * producer directly, so it may be called from anywhere. */
void control_wake(struct control_server *s);
/** Drop the clients, close, unlink. No-op on a server that was never opened (zeroed) or already
 * closed. */
void control_close(struct control_server *s);


/** For command line tools: send a request and wait for the whole response; blocks.
 * line: the request, one line of less than CONFIG_CONTROL_LINE_BYTES, without newline.
 * on_record (may be null) is called with each record (NUL-terminated, without newline, valid during
 * the call); it returns >= 0 to go on, or negative to stop, which is then returned.
 * timeout_ms: longest silence of the daemon; 0: no limit (to follow).
 * buf: holds one record; CONFIG_CONTROL_LINE_BYTES + 1 bytes or more. why: 256 bytes or more.
 * Return: the exit status in the response (0..255; after an error from the daemon why holds its
 * text, else why is empty), or negative with why set: "cannot reach the daemon at PATH: …",
 * "no answer from the daemon at PATH within 10s" … */
int control_request(const char *path, const char *line, char *buf, size_t cap,
                    int (*on_record)(void *arg, const char *json, size_t len), void *arg,
                    uint64_t timeout_ms, struct text *why);

#endif
