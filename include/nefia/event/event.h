#ifndef NEFIA_EVENT_EVENT_H
#define NEFIA_EVENT_EVENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "nefia/json/json.h"
#include "nefia/base/text.h"

/** The event: one JSON object per line (README, "Wire format"). One codec for both programs. */
enum severity { SEVERITY_INFO, SEVERITY_WARNING, SEVERITY_CRITICAL, SEVERITY_COUNT };

extern const char severity_words[]; /* in the order of enum severity, for word_at and FIELD_WORD */
const char *severity_text(enum severity s);
/** Return: the severity (>= 0), or NEFIA_EINVAL. */
int severity_parse(const char *s, size_t len);

/** Limits of the members that are compared and shown, in bytes after unescaping; a longer one is
 * rejected on reading and cut on writing. None may be empty or contain control characters (the
 * writer substitutes U+FFFD). */
#define EVENT_TYPE_MAX 128
#define EVENT_SOURCE_MAX 128
#define EVENT_HOST_MAX 255
#define EVENT_STAMP_MAX 40 /* longest timestamp that is parsed */
#define EVENT_DEPTH 32     /* nesting limit, including the event's own braces */

/** Everything the encoder writes besides `data`. Strings are borrowed for the call. */
struct event_head {
    const char *type, *source, *host_id;
    const char *subject; /* for the dedup key; null: none. Not on the wire. */
    enum severity severity;
    int64_t unix_s;
    bool synced;
    uint64_t seq, boot, uptime_ms;
    uint64_t suppressed; /* on the wire only if > 0 */
    struct slice cause;  /* on the wire only if len > 0: as struct event's, without newlines */
};

/** The rules that led to an event: of an action's effects, those whose action had them, the last one at the end. A rule acts on no
 * event that it has led to. The commands of an action have the array as text in EVENT_CAUSE_VARIABLE of their environment. */
#define EVENT_CAUSES 8 /* of one event; where there were more, none acts */
#define EVENT_CAUSE_MAX 600 /* bytes of the raw array */
#define EVENT_CAUSE_VARIABLE "NEFIA_CAUSE"
/** Is value i of the document an array of strings, of at most EVENT_CAUSE_MAX bytes? Then *cause is its raw text. */
bool event_cause(const struct json_doc *d, unsigned i, struct slice *cause);
/** Of a raw array (empty: none): how many names it has, and whether the rule's is among them.
 * Return: 0..EVENT_CAUSES; NEFIA_EFULL: more; NEFIA_EINVAL: that is no array of strings. */
int event_causes(struct slice cause, const char *rule, bool *among);
/** That of the action that has begun this program, from EVENT_CAUSE_VARIABLE of its environment; empty where there is none. Return: false:
 * what is there is no cause. */
bool event_cause_here(struct slice *cause);
/** Append cause with one name more, as the cause of what the rule does for such an event.
 * Return: 0; NEFIA_EFULL, NEFIA_ETOOBIG: it would be longer than an event's may be, so that the rule must not act; NEFIA_EINVAL. On
 * error out is unchanged. */
int event_cause_add(struct text *out, struct slice cause, const char *rule);

/** In the place of data that are too large for an event. */
#define EVENT_CUT_DATA "{\"truncated\":true}"

/** Append head and data to out as one line without newline, of at most CONFIG_EVENT_BYTES (out
 * needs that much room and one byte more). data: one complete JSON object without newlines or
 * duplicate members (a json_writer's output). If the line would be too long, data is replaced as a
 * whole by EVENT_CUT_DATA; producers of long text therefore bound it themselves
 * (event_put_text).
 * Return: bytes of the line; NEFIA_EINVAL (a name is empty or null, or data is not such an object);
 * NEFIA_ETOOBIG if even the replacement does not fit. On error out is unchanged. */
int event_encode(struct text *out, const struct event_head *head, const char *data, size_t len);
/** Write string member `key` into the open object of data with at most `room` bytes of escaped
 * text. If it was cut (between characters), the object also gets "truncated":true, once however
 * many texts are cut: that name is reserved for this function. */
void event_put_text(struct json_writer *data, const char *key, const char *s, size_t len,
                    size_t room);

/** A decoded event. Slices point into the line, or into the caller's scratch buffer if the member
 * contained escapes; they are valid as long as both. Only `data` is raw JSON. */
struct event {
    struct slice line;
    struct slice type, source, host_id; /* unescaped, not NUL-terminated */
    enum severity severity;
    int64_t unix_s;      /* from timestamp */
    struct slice data;   /* the raw JSON object */
    unsigned data_token; /* its index in doc */
    bool has_seq;        /* seq and boot are both present and unsigned integers */
    uint64_t seq, boot;
    bool unsynced; /* "clock":"unsynced" */
    struct slice cause; /* the raw array of strings, of at most EVENT_CAUSE_MAX bytes; empty: none */
    bool has_type; /* there is a member "type"; also if the event is refused for another one */
    struct json_doc doc;
};

/** Room for every string member at its maximum (timestamp and severity: EVENT_STAMP_MAX), each with
 * its NUL, plus one byte so that the remaining room is never zero. */
#define EVENT_SCRATCH (EVENT_TYPE_MAX + EVENT_SOURCE_MAX + EVENT_HOST_MAX + 2 * EVENT_STAMP_MAX + 6)
/** Decode one line: the six members of the wire format once each, in any order; unknown ones are
 * ignored. A `cause` that is no array is an unknown member; one that event_cause refuses is an error, since rules must not act then.
 * Memory: tokens/cap are the caller's, kept by reference in out->doc; scratch has EVENT_SCRATCH
 * bytes.
 * Bounds: one parse and one pass over the root's members.
 * Return: 0; a JSON error of json_parse (a duplicate member is NEFIA_EEXIST); NEFIA_EINVAL (a
 * member missing, of the wrong type or value); NEFIA_ETOOBIG (the line, or a name). *why (may be
 * null) is then a constant sentence, else null. */
int event_decode(struct event *out, const char *line, size_t len, struct json_token *tokens,
                 unsigned cap, char *scratch, const char **why);

#endif
