#ifndef NEFIA_LINK_LINK_H
#define NEFIA_LINK_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "nefia/event/event.h"
#include "nefia/json/json.h"
#include "nefia/crypto/mac.h"
#include "nefia/base/text.h"

/** Acknowledged delivery (README, "Wire format"): the messages between hub and beacon around the
 * events. Plain senders do not use it.
 *
 *     hub     {"nefia":1,"nonce":"…","window":32,"span":256,"bytes":8192,"auth":"shared"}
 *                                                                               greeting, at once
 *     beacon  {…the event…,"link":{"nonce":"…","count":1,"low":41}}             stamped events
 *     hub     {"ack":{"boot":7,"seq":41,"count":1},"nonce":"…","window":32}     acknowledgement
 *     hub     {"refused":{"count":2},"nonce":"…","window":32}                   and closes
 *
 * Each line is followed by its signature line if there is a key. A refusal says that the event with
 * that number will never be accepted, however often it is sent; all before it are acknowledged. An
 * acknowledgement covers every event sent on this connection up to the one it names, in sending
 * order. `count` is the number of the stamped event on this connection, from 1, without gaps: a
 * recorded event is worthless on any other connection, and a second time on this one. `low`: the
 * sender no longer holds any event with the same boot and a lower seq. */
#define LINK_VERSION 1
#define LINK_NONCE 16
#define LINK_NONCE_HEX 32
/** A sender keeps the seq of its unacknowledged events below low + LINK_SPAN, the range in which
 * the hub remembers what it has received. */
#define LINK_SPAN 256
/** Longest greeting or acknowledgement, without its newline. */
#define LINK_LINE_MAX 224
/** Most bytes that a stamp adds to a line: an event that is to be stamped must be that much shorter
 * than CONFIG_EVENT_BYTES. */
#define LINK_STAMP_MAX 112

/** Which of the hub's messages are signed, and with which key. */
enum link_auth {
    LINK_AUTH_NONE,   /* no key: no line is signed */
    LINK_AUTH_SHARED, /* greeting and acknowledgements, with the shared key */
    LINK_AUTH_HOST,   /* the greeting's signature line is "-", because the hub does not yet know who
                         is calling; everything after is signed with the key of the host addressed */
};

struct link_message {
    enum { LINK_GREETING, LINK_ACK, LINK_REFUSAL } kind;
    char nonce[LINK_NONCE_HEX + 1];
    unsigned window;     /* events that may be unacknowledged at a time; 0: wait */
    unsigned version;    /* greeting */
    unsigned span;       /* greeting */
    unsigned bytes;      /* greeting: longest line the hub accepts */
    enum link_auth auth; /* greeting */
    uint64_t boot, seq;  /* acknowledgement: of the last event that is durable, */
    uint64_t count;      /* and its number on this connection; or that of the refused event */
};

/** Append one line with its newline and, with a key, its signature and newline. nonce is in hex.
 * Needs LINK_LINE_MAX + MAC_HEX + 3 bytes in all. */
void link_put(struct text *out, const struct link_message *m, const struct mac_key *key);
#define LINK_TOKENS 48
/** Parse one line, without its newline; the caller has verified the signature. tokens: LINK_TOKENS.
 * Unknown members are ignored.
 * Return: 0; NEFIA_ESYNTAX (not JSON), NEFIA_EINVAL (neither greeting nor acknowledgement, or a value
 * out of range: nonce 32 lower-case hex digits, window 0..65535, span 1..65535), NEFIA_ENOTSUP (a
 * greeting of another version). */
int link_read(struct link_message *m, const char *line, size_t len, struct json_token *tokens);

/** Stamp an encoded event (an object of at least one member, as event_encode writes it)
 * in place. buf has room for len + LINK_STAMP_MAX. Return: the new length. */
size_t link_stamp(char *buf, size_t len, const char *nonce, uint64_t count, uint64_t low);

/** What link_stamp wrote. */
struct link_stamp {
    struct slice nonce; /* in the event's line */
    uint64_t count, low;
};
/** The stamp of a decoded event. Return: false when there is no whole one, or when the event has no
 * seq and boot that could be acknowledged; a member "link" of another form is its sender's own. */
bool link_stamp_read(struct link_stamp *s, const struct event *e);

#endif
