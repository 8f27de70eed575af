#ifndef NEFIA_EVENT_H
#define NEFIA_EVENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "nefia/json.h"
#include "nefia/text.h"

/** The event: one JSON object a line (README, "Wire format"). One codec for both programs. */
enum severity { SEVERITY_INFO, SEVERITY_WARNING, SEVERITY_CRITICAL, SEVERITY_COUNT };

extern const char *const severity_words[SEVERITY_COUNT + 1]; /* ended by null: fits FIELD_WORD */
const char *severity_text(enum severity s);
/** Return: the severity (>= 0), or NEFIA_EINVAL. */
int severity_parse(const char *s, size_t len);

/** Bounds of the members that are compared and shown; a longer one is refused on reading and cut on writing. In bytes. */
#define EVENT_TYPE_MAX 128
#define EVENT_SOURCE_MAX 128
#define EVENT_HOST_MAX 255

/** What the encoder puts around `data`. All strings are borrowed for the call. */
struct event_head {
    const char *type, *source, *host_id;
    const char *subject; /* for the dedup key; null: none. Not on the wire. */
    enum severity severity;
    int64_t unix_s;
    bool synced;
    uint64_t seq, boot, uptime_ms;
    uint64_t suppressed; /* on the wire only where > 0 */
};

/** Encode: head and data (one JSON object, complete, len bytes) as one line without newline into out (cap CONFIG_EVENT_BYTES + 1).
 * Where it is too long, the longest string members of data are not searched for: data that does not fit is replaced by {"truncated":true} - so a
 * producer of long text bounds it itself (event_put_text). Return: bytes, or NEFIA_ETOOBIG when even that does not fit. */
int event_encode(struct text *out, const struct event_head *head, const char *data, size_t len);
/** Put string member `key` into data with at most `room` bytes of escaped text; when it was cut (between characters), also "truncated":true. */
void event_put_text(struct json_writer *data, const char *key, const char *s, size_t len, size_t room);

/** What a reader takes out of a verified line. Slices point into the line (raw, still escaped only in `data`);
 * type, source, host and timestamp are unescaped into the caller's small buffer when they held escapes. */
struct event {
    struct slice line;
    struct slice type, source, host_id;
    enum severity severity;
    int64_t unix_s; /* from timestamp */
    struct slice data; /* the raw JSON object */
    unsigned data_token; /* its index in doc */
    bool has_seq;        /* seq and boot were both there, as unsigned integers */
    uint64_t seq, boot;
    bool unsynced;       /* "clock":"unsynced" */
    struct json_doc doc;
};

/** Decode one line. tokens/cap: the caller's, kept by reference in out->doc. scratch (cap EVENT_SCRATCH): for unescaped members.
 * Return: 0; a JSON error of json_parse; NEFIA_EINVAL (a member missing, of the wrong type or value), NEFIA_EEXIST (one of the six twice),
 * NEFIA_ETOOBIG. *why (may be null) is set to a constant sentence. */
#define EVENT_SCRATCH (EVENT_TYPE_MAX + EVENT_SOURCE_MAX + EVENT_HOST_MAX + 64)
int event_decode(struct event *out, const char *line, size_t len, struct json_token *tokens, unsigned cap,
                 char *scratch, const char **why);

#endif
