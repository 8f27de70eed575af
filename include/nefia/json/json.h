#ifndef NEFIA_JSON_JSON_H
#define NEFIA_JSON_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "nefia/base/bytes.h"
#include "nefia/base/text.h"

/** JSON by RFC 8259, to the letter: one pass checks the grammar, jsmn in strict mode makes the
 * tokens. Numbers stay text until asked for. Nothing recurses. */
enum json_type {
    JSON_OBJECT, JSON_ARRAY, JSON_STRING, JSON_NUMBER, JSON_TRUE, JSON_FALSE, JSON_NULL
};

/** 20 bytes: one of jsmn's tokens with its type told apart further, and the next one instead of its
 * parent.
 * Offsets into the document; objects and arrays with their brackets, strings without their quotes
 * and still escaped. */
struct json_token {
    uint16_t type;    /* enum json_type */
    uint16_t escaped; /* a string or key holding at least one backslash */
    uint32_t start, end;
    uint32_t size;    /* members of an object, elements of an array; 0 for the rest */
    uint32_t next;    /* index after this token and all its descendants (of a key: its value) */
};

struct json_doc {
    const char *text;                /* the caller's; must outlive the doc */
    const struct json_token *tokens; /* in the caller's array */
    unsigned count;
};

/** Where and why a document was refused. */
struct json_error {
    size_t offset;    /* of the first wrong byte; the text's length when it ends too early */
    unsigned line;    /* from 1 */
    const char *what; /* a constant phrase: "duplicate member", "nested too deep" … */
};

#define JSON_MAX_DEPTH 64

/** Parse one whole document: exactly one value with white space around it, valid UTF-8, no BOM,
 * escapes complete (lone surrogates refused: they have no UTF-8 form), depth <= max_depth (at most
 * JSON_MAX_DEPTH; a lone scalar has depth 0), duplicate members (compared after unescaping) refused
 * in every object.
 * Memory: tokens is the caller's; text is kept by reference, need not end in NUL.
 * Bounds: O(len), but for names: an object of n members costs up to n*n/2 comparisons of two.
 * Return: 0; NEFIA_ESYNTAX, NEFIA_EUTF8, NEFIA_EDEPTH, NEFIA_EEXIST (duplicate member), NEFIA_EFULL
 * (more than `cap` tokens), NEFIA_ETOOBIG (len beyond INT32_MAX). err may be null; it is set only
 * on failure. */
int json_parse(struct json_doc *d, const char *text, size_t len, struct json_token *tokens,
               unsigned cap, unsigned max_depth, struct json_error *err);

/** The same, but nobody looks for duplicate members: that is left to a caller who has to look at all of
 * them anyway. */
int json_parse_lax(struct json_doc *d, const char *text, size_t len, struct json_token *tokens,
                   unsigned cap, unsigned max_depth, struct json_error *err);

/** The same result as json_parse, and the same tokens, in one pass over the text; all names of an object are
 * compared only where they were made to collide. Of several mistakes it may name another one first.
 * With JSON_FAST only: for the hub's events. */
int json_parse_fast(struct json_doc *d, const char *text, size_t len, struct json_token *tokens,
                    unsigned cap, unsigned max_depth, struct json_error *err);

/** Walking: token 0 is the root. Children of array i: the first is i + 1, the one after child c is
 * json_at(d, c)->next, up to json_at(d, i)->next. Children of object i: key tokens, each followed
 * by its value. */
static inline const struct json_token *json_at(const struct json_doc *d, unsigned i)
{
    return &d->tokens[i];
}
static inline struct slice json_raw(const struct json_doc *d, unsigned i)
{
    return (struct slice){d->text + d->tokens[i].start, d->tokens[i].end - d->tokens[i].start};
}
/** Index of the value of member `name` in object i (compared after unescaping), or NEFIA_ENOTFOUND
 * (also when i is no object). */
int json_member(const struct json_doc *d, unsigned object, const char *name);
/** Append string i, unescaped, to t (a key counts as a string). An escaped U+0000 becomes a NUL
 * byte: t->len tells.
 * Return: 0, NEFIA_EINVAL (not a string), NEFIA_ETOOBIG (t has no room; what fits is there). */
int json_string(const struct json_doc *d, unsigned i, struct text *t);
/** The same into out, which has room for json_raw's length (it may be the string's own place in a
 * text that can be written). Return: bytes written, not ended by NUL; 0 when i is not a string. */
size_t json_unescape(const struct json_doc *d, unsigned i, char *out);
/** Integer value of number i: "-12", "3".
 * Return: 0, NEFIA_EINVAL (no number, a fraction or exponent), NEFIA_ETOOBIG (out of range). */
int json_i64(const struct json_doc *d, unsigned i, int64_t *out);

/** Writer: appends to a text builder, puts the commas itself, escapes as RFC 8259 asks, turns bytes
 * that are not UTF-8 into U+FFFD. Nesting is at most 31 deep; deeper, or an end without its
 * beginning, sets the builder's `truncated`. What was written is a whole document exactly when that
 * is not set and every object and array was ended. */
struct json_writer {
    struct text *out;
    uint32_t need_comma; /* a bit for each depth */
    unsigned depth;
};
void json_begin(struct json_writer *w, struct text *out);
/* key is null inside an array and at the root. */
void json_object(struct json_writer *w, const char *key);
void json_array(struct json_writer *w, const char *key);
void json_end_object(struct json_writer *w);
void json_end_array(struct json_writer *w);
void json_put_string(struct json_writer *w, const char *key, const char *s);
void json_put_bytes(struct json_writer *w, const char *key, const char *s, size_t len);
void json_put_i64(struct json_writer *w, const char *key, int64_t v);
void json_put_u64(struct json_writer *w, const char *key, uint64_t v);
void json_put_bool(struct json_writer *w, const char *key, bool v);
/** As text: RFC 3339, UTC. */
void json_put_time(struct json_writer *w, const char *key, int64_t unix_s);
/** As text of lower-case hex digits. bytes: at most 32. */
void json_put_hex(struct json_writer *w, const char *key, const uint8_t *bytes, size_t len);
/** A number as 16 of them: an id, or bits, which is beyond what every reader takes exactly. */
void json_put_hex64(struct json_writer *w, const char *key, uint64_t v);
void json_put_null(struct json_writer *w, const char *key);
/** A value that is JSON already. */
void json_put_raw(struct json_writer *w, const char *key, const char *json, size_t len);
/** Append the escaped form of a string without its quotes: at most `room` bytes of output, cut
 * between characters and never inside an escape. Control characters become \b \f \n \r \t or
 * \u00XX, those from U+007F to U+009F too: terminals obey these; `/` and all other characters stay.
 * Return: bytes of s that were taken; fewer than len when room ran out. */
size_t json_escape(struct text *t, const char *s, size_t len, size_t room);

#endif
