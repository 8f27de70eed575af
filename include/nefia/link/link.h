#ifndef NEFIA_LINK_LINK_H
#define NEFIA_LINK_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "nefia/base/bytes.h"
#include "nefia/base/kconfig.h"
#include "nefia/base/text.h"
#include "nefia/crypto/mac.h"
#include "nefia/event/event.h"
#include "nefia/json/json.h"

/** Link 2: what beacon and hub say to each other (docs/wire.md, "Acknowledged delivery"). One
 * connection is one session, and one struct link is one end of it: an engine without I/O, which gets
 * lines and the time, and returns messages, the bytes to send and the next deadline.
 *
 *     hub     {"nefia":2,"nonce":"…"}                                greeting, at once, unsigned
 *     beacon  {"hello":{"host_id":"r1","nonce":"…","boot":7,…}}      signed from here on
 *     hub     {"welcome":{"starts":[[7,41,"…"]],"window":32,"bytes":8192,…}}
 *     beacon  events, {"unsure":{}}
 *     hub     {"ack":{"line":4},"window":32}, {"refused":{"line":5,"reason":"…"},"window":32}
 *     hub     {"command":{"id":"…","first":7,"age_ms":120,"life_ms":30000,"op":{…},"cause":[…]}}    if both have "exec"
 *     beacon  {"result":{"id":"…","state":"done","exit":0,"ms":12,"output":"…","bytes":3}}
 *     either  {"error":{"reason":"…"}}
 *
 * The session keys are HMAC(K, label ‖ 00 ‖ SHA-256(greeting) ‖ SHA-256(hello)), one for each
 * direction; a line's signature covers its number in its direction, so that no line is accepted in
 * another session, direction or place than the one it was sent in. */
#define LINK_VERSION 2
#define LINK_NONCE 16
#define LINK_NONCE_HEX 32
#define LINK_NAME 8        /* bytes of a window's name: the first of the nonce in the hello that made it */
#define LINK_NAME_HEX 16
#define LINK_SPAN 256      /* width of a start's window of seq */
#define LINK_STARTS 2      /* windows that a hub keeps for each host */
#define LINK_HELLO_MAX 2048
#define LINK_COMMAND_MAX 4096 /* longest line of a command, without its newline */
/** Longest line accepted from a hub, without its newline. */
#define LINK_LINE_MAX (IS_ENABLED(CONFIG_REMOTE_EXEC) ? LINK_COMMAND_MAX : 1024)
#define LINK_SENT_MAX 320  /* longest line that our hub sends, without its newline */
#define LINK_REASON_MAX 120
#define LINK_WINDOW_MAX 65535
#define LINK_BELOW "below the window" /* reason of a refusal: whether it has acted is unknown */
#define LINK_BYTES_MIN 1024 /* a hub's line limit is within these */
#define LINK_BYTES_MAX (1 << 24)
#define LINK_TOKENS (IS_ENABLED(CONFIG_REMOTE_EXEC) ? 256 : 64) /* of a message from the hub */
/** A start's number is below this: JSON numbers are exact to 53 bits in every reader. */
#define LINK_BOOT_END (UINT64_C(1) << 53)

/** Milliseconds that a state may last. */
#define LINK_GREETING_MS 2000u /* beacon: for the greeting */
#define LINK_WELCOME_MS 20000u /* beacon: for the welcome; the hub's disk may be slow */
#define LINK_ACK_MS 60000u     /* beacon: for the next acknowledgement, while something is unsettled */
#define LINK_PROVE_MS 5000u    /* hub: for a hello, or a valid event */

enum link_state {
    LINK_NEW,   /* hub: no hello yet; beacon: no greeting yet */
    LINK_HELLO, /* the hello was sent, or accepted: the welcome is due */
    LINK_OPEN,  /* welcomed */
    LINK_OVER,  /* an error was sent, or received: the connection is to be closed */
};

struct link {
    enum link_state state;
    bool is_signed;              /* lines come in pairs, with their signatures: there is a key */
    uint8_t features;            /* enum link_feature: OPEN: what both ends named; beacon, HELLO: what its hello did */
    struct mac_key in, out;      /* the session's keys of both directions, from the hello on */
    uint64_t lines_in, lines_out; /* number of the last line received, and sent */
    uint64_t settled;            /* beacon: all its lines up to this one are acknowledged */
    uint64_t deadline_ms;        /* 0: none */
    uint8_t greeting[32];        /* SHA-256 of that line */
};

/** One line and its signature line, both without their newlines. */
struct link_unit {
    struct slice line, sig; /* sig: ptr null where lines are unsigned */
};

/** What an end can do beyond the events: only what both name is spoken. Bits in the order of the words. */
enum link_feature {
    LINK_EXEC = 1, /* "exec": commands. Without a key neither end names it, whatever it is asked to. */
};
#define LINK_FEATURES 1 /* how many there are */
extern const char link_feature_words[];

struct link_hello {
    char host_id[EVENT_HOST_MAX + 1];
    uint8_t nonce[LINK_NONCE];
    uint64_t boot;
    bool plain;        /* it may also deliver without the link */
    unsigned features; /* enum link_feature; unknown ones are ignored */
};

/** A window that the hub keeps: of a start, up to the highest seq received. Its name tells it from
 * one of the same start that was made anew after the first was forgotten: only within one window
 * does the hub recognise a repetition. */
struct link_start {
    uint64_t boot, highest;
    uint8_t name[LINK_NAME];
};

struct link_welcome {
    struct link_start starts[LINK_STARTS];
    unsigned start_count;
    unsigned window, bytes;
    unsigned features; /* enum link_feature */
};

/** Something that a device is to do. It must begin before age_ms + life_ms have passed since the device sent this session's
 * hello: the hub counts age_ms from when it received that, so that whatever delays the command on its way takes from its life,
 * and nobody's wall clock matters. */
struct link_command {
    uint64_t id;      /* 16 hex digits on the wire; random, the same each time it is sent */
    uint64_t first;   /* boot of the session in which it was sent first */
    uint64_t age_ms;  /* since the hello was received */
    uint64_t life_ms; /* 0: only asks what became of it */
    struct slice op;  /* the raw object (nefia/ops/op.h); empty: none, if it only asks */
    struct slice cause; /* the raw array of the rules that led to it (event.h), at most EVENT_CAUSE_MAX bytes; empty: none */
};
#define LINK_TIME_MAX UINT64_C(0xFFFFFFFF) /* of age_ms and of life_ms: 49 days */

/** What became of a command. */
enum link_outcome {
    LINK_DONE,        /* it ran: exit, signal, timed_out, output */
    LINK_DENIED,      /* by the device's policy: reason */
    LINK_EXPIRED,     /* its life was over; it has not begun and never will */
    LINK_END_UNKNOWN, /* it began, and the device stopped in the middle; or whether it began cannot be known */
    LINK_UNSUPPORTED, /* the device cannot do that, or not like this: reason */
    LINK_BUSY,        /* with another command: ask again later */
};
extern const char link_outcome_words[]; /* for word_at: "done", "denied", "expired", "unknown", "unsupported", "busy" */

struct link_result {
    uint64_t id;
    enum link_outcome outcome;
    uint8_t exit_code, signal; /* as struct child_result */
    bool timed_out;
    uint64_t duration_ms, output_total;
    struct slice output; /* put: any bytes; read: the raw JSON string's inside, escaped (link_result_output decodes it) */
    char reason[LINK_REASON_MAX + 1]; /* printable, cut */
};

enum link_kind {
    LINK_UNKNOWN, /* ignored; its line counts */
    LINK_UNSURE,  /* to the hub: the next event may have acted */
    LINK_WELCOME,
    LINK_ACK,
    LINK_REFUSED,
    LINK_ERROR,
    LINK_COMMAND, /* to a beacon that has said "exec" */
    LINK_RESULT,  /* to a hub that has */
};

/** A message that is neither greeting, hello nor event. */
struct link_message {
    enum link_kind kind;
    uint64_t line;   /* acknowledgement, refusal */
    unsigned window; /* the same */
    union {
        struct link_welcome welcome;
        struct link_command command;
        struct link_result result;
    };
    char reason[LINK_REASON_MAX + 1]; /* refusal, error: printable, cut */
};

/* ---- both ends ---- */

/** A new connection. is_signed: there is a key. deadline_ms: 0, or when state NEW has lasted too
 * long. */
void link_init(struct link *l, bool is_signed, uint64_t deadline_ms);
/** Wipe the session's keys; the link is over. */
void link_wipe(struct link *l);
/** Cut the first unit off s. most: longest line, without its newline. with_signature: two lines are
 * wanted; a second one that cannot be a signature is cut as it is, and fails to verify.
 * Return: bytes of the unit with its newlines; 0: incomplete; NEFIA_ETOOBIG. */
long link_cut(const char *s, size_t len, size_t most, bool with_signature, struct link_unit *u);
/** Check a line from the other end, and count it. After the hello only.
 * Return: 0; NEFIA_EAUTH (wrong signature), NEFIA_EINVAL (not 64 lower-case hex digits): the state
 * is OVER then. */
int link_verify(struct link *l, const struct link_unit *u);
/** Parse a verified line that is no event. tokens: cap of them. more: what this end can be told beyond events and their
 * acknowledgements: link_read_command at a beacon, link_read_result at a hub; null: nothing, and these are LINK_UNKNOWN (and take
 * no flash).
 * Return: 0; NEFIA_ESYNTAX (not JSON, or not an object); NEFIA_EINVAL (a member missing or out of
 * range). */
typedef bool link_more(struct link_message *m, const struct json_doc *d, unsigned object);
link_more link_read_command, link_read_result;
int link_read(struct link_message *m, struct slice line, struct json_token *tokens, unsigned cap, link_more *more);
/** Decode a result's output that was read: at most to->cap - 1 bytes of it, cut between characters. */
void link_result_output(const struct link_result *r, struct text *to);
/** Append {"error":…}, signed once the session has keys; the state is OVER afterwards. reason: at
 * most LINK_REASON_MAX bytes. Needs LINK_SENT_MAX + MAC_HEX + 3 bytes, as every append of the hub. */
void link_put_error(struct link *l, const char *reason, struct text *out);

/* ---- the hub's end ---- */

/** Append the greeting. */
void link_hub_greet(struct link *l, const uint8_t nonce[LINK_NONCE], struct text *out);
/** Is the line a hello, by its beginning? Nothing is parsed. */
bool link_is_hello(struct slice line);
/** Parse a hello, which is not verified yet: only its host_id may be used, to pick the key.
 * tokens: cap of them. Return: 0; NEFIA_ETOOBIG, NEFIA_ESYNTAX, NEFIA_EINVAL, with a sentence. */
int link_hub_hello(struct link_hello *h, struct slice line, struct json_token *tokens,
                   unsigned cap, const char **why);
/** Is the hello signed with this key? Then the session has keys, and its state is HELLO. key null:
 * there is none, and nothing is verified. Two HMACs and two hashes of the hello at most.
 * Return: 0; NEFIA_EAUTH, NEFIA_EINVAL as link_verify: another key may be tried. */
int link_hub_prove(struct link *l, const struct mac_key *key, const struct link_unit *u);
/** Append the welcome: what it names is in the journal. w->features: what the hello named too. State OPEN. */
void link_hub_welcome(struct link *l, const struct link_welcome *w, struct text *out);
/** Append: all lines up to this one are in the journal, or were refused before. */
void link_hub_ack(struct link *l, uint64_t line, unsigned window, struct text *out);
void link_hub_refuse(struct link *l, uint64_t line, const char *reason, unsigned window,
                     struct text *out);

/** Append a command; out needs LINK_COMMAND_MAX + MAC_HEX + 3 bytes.
 * Return: 0; NEFIA_ENOTSUP: the session is not OPEN with LINK_EXEC; NEFIA_ETOOBIG: the line would be too long. Then nothing was
 * appended and no number used. */
int link_hub_command(struct link *l, const struct link_command *c, struct text *out);

/* ---- the beacon's end ---- */

/** Take the greeting. Return: 0; NEFIA_ENOTSUP (another version), NEFIA_ESYNTAX or NEFIA_EINVAL
 * (not a greeting): nothing has changed. */
int link_beacon_greeting(struct link *l, struct slice line);
/** Append the hello with its signature, after the greeting; key not set: unsigned. Needs
 * LINK_HELLO_MAX + MAC_HEX + 3 bytes. h->nonce: random, new for each session. State HELLO until
 * deadline_ms. */
void link_beacon_hello(struct link *l, const struct mac_key *key, const struct link_hello *h,
                       uint64_t deadline_ms, struct text *out);
/** Take one line of the hub. more: as link_read's. Before the welcome, an unsigned error is read too (m->kind LINK_ERROR,
 * NEFIA_EAUTH returned: nobody proved to have said it).
 * Return: 0: m is verified, in the place it was sent, and in range (an ack or refusal names a line
 * that was sent and is unsettled); else negative with a sentence: the state is OVER. */
int link_beacon_line(struct link *l, const struct link_unit *u, struct link_message *m,
                     link_more *more, const char **why);
/** End the line of len bytes in buf: newline, and signature line. buf: MAC_HEX + 2 bytes more.
 * Return: the whole length; l->lines_out is its number. */
size_t link_beacon_end(struct link *l, char *buf, size_t len);
/** Write {"unsure":{}} with its ending to buf. Return: the length. */
#define LINK_UNSURE_BYTES (13 + MAC_HEX + 2)
size_t link_beacon_unsure(struct link *l, char *buf);
/** Write a result with its ending to buf, whose line has at most `most` bytes (LINK_BYTES_MIN or more): of the output, what fits.
 * buf: MAC_HEX + 3 bytes more. Return: the length. */
size_t link_beacon_result(struct link *l, const struct link_result *r, char *buf, size_t most);

#endif
