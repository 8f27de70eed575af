#ifndef NEFIA_JSON_H
#define NEFIA_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "nefia/bytes.h"
#include "nefia/text.h"

/** JSON by RFC 8259, to the letter. Reading is two passes over the same bytes: our grammar pass (which jsmn, even in
 * strict mode, does not replace: it lets through what RFC 8259 forbids) and jsmn's tokens. Numbers stay text until asked for. */
enum json_type { JSON_OBJECT, JSON_ARRAY, JSON_STRING, JSON_NUMBER, JSON_TRUE, JSON_FALSE, JSON_NULL };

/** 16 bytes. Offsets into the document, strings without their quotes and still escaped. */
struct json_token {
    uint32_t start, end;
    uint16_t size;  /* members of an object, elements of an array */
    uint16_t next;  /* index of the token after this value with all its descendants */
    uint8_t type;   /* enum json_type */
    uint8_t escaped; /* a string or key holding at least one backslash */
    uint16_t pad;
};

struct json_doc {
    const char *text; /* the caller's; must outlive the doc */
    const struct json_token *tokens; /* in the caller's array */
    unsigned count;
};

/** Where and why a document was refused. */
struct json_error {
    size_t offset;
    unsigned line; /* from 1 */
    const char *what; /* a constant sentence: "duplicate member", "a control character in a string" … */
};

/** Parse one whole document: exactly one value with white space around it, valid UTF-8, no BOM, escapes complete
 * (lone surrogates refused: they have no UTF-8 form), depth <= max_depth (<= 64), duplicate members refused in every object.
 * Memory: tokens is the caller's; text is kept by reference. Return: 0; NEFIA_ESYNTAX, NEFIA_EUTF8, NEFIA_EDEPTH, NEFIA_EEXIST (duplicate member),
 * NEFIA_EFULL (more than `cap` tokens, or a value wider than 65,535 tokens). err may be null. */
int json_parse(struct json_doc *d, const char *text, size_t len, struct json_token *tokens, unsigned cap,
               unsigned max_depth, struct json_error *err);

/** Walking: token 0 is the root. Children of object i: key tokens, each followed by its value. */
static inline const struct json_token *json_at(const struct json_doc *d, unsigned i)
{
    return &d->tokens[i];
}
static inline struct slice json_raw(const struct json_doc *d, unsigned i)
{
    return (struct slice){d->text + d->tokens[i].start, d->tokens[i].end - d->tokens[i].start};
}
/** Index of the value of member `name` in object i (compared after unescaping), or NEFIA_ENOTFOUND. */
int json_member(const struct json_doc *d, unsigned object, const char *name);
/** Unescape string i into t (a key counts as a string). 0, NEFIA_EINVAL (not a string), NEFIA_ETOOBIG. */
int json_string(const struct json_doc *d, unsigned i, struct text *t);
/** Integer value of number i: "-12", "3"; a fraction or exponent is NEFIA_EINVAL; out of range NEFIA_ETOOBIG. */
int json_i64(const struct json_doc *d, unsigned i, int64_t *out);

/** Writer: appends to a text builder, puts the commas itself, escapes as RFC 8259 asks, turns bytes that are not UTF-8 into U+FFFD.
 * Nesting is at most 32 deep. Truncation is the builder's `truncated`. */
struct json_writer {
    struct text *out;
    uint32_t need_comma; /* a bit for each depth */
    unsigned depth;
};
void json_begin(struct json_writer *w, struct text *out);
void json_object(struct json_writer *w, const char *key); /* key null inside an array or at the root */
void json_array(struct json_writer *w, const char *key);
void json_end_object(struct json_writer *w);
void json_end_array(struct json_writer *w);
void json_put_string(struct json_writer *w, const char *key, const char *s);
void json_put_bytes(struct json_writer *w, const char *key, const char *s, size_t len);
void json_put_i64(struct json_writer *w, const char *key, int64_t v);
void json_put_u64(struct json_writer *w, const char *key, uint64_t v);
void json_put_bool(struct json_writer *w, const char *key, bool v);
void json_put_null(struct json_writer *w, const char *key);
/** A value that is JSON already. */
void json_put_raw(struct json_writer *w, const char *key, const char *json, size_t len);
/** The escaped form of a string without its quotes; at most `room` bytes of output, cut between characters.
 * Return: bytes of s that were taken. */
size_t json_escape(struct text *t, const char *s, size_t len, size_t room);

#endif
