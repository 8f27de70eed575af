#ifndef NEFIA_SRC_JSON_SCAN_H
#define NEFIA_SRC_JSON_SCAN_H

#include "nefia/base/kconfig.h"
#include "nefia/json/json.h"

/** One pass over a document that checks it against RFC 8259, all but the names that are given
 * twice. With JSON_FAST it can write the tokens as it goes, those that jsmn would make. What that
 * takes is called through the scan, so that fast.c is linked only where somebody reads with it. */
struct json_scan {
    const char *text, *end;
    uint64_t objects; /* a bit for each open container: is it an object? */
    unsigned depth, max_depth;
    int err;
    const char *at, *what;     /* of the refusal */
    struct json_token *tokens; /* null: only check */
    unsigned cap, count;
    uint32_t open[JSON_MAX_DEPTH]; /* their containers whose end was not reached */
    /* A token begins at p; false, refused, when there is no room. */
    bool (*token_begin)(struct json_scan *s, enum json_type type, const char *p);
    /* The innermost container ends with the bracket at p. Return: behind it, or null, refused. */
    const char *(*token_close)(struct json_scan *s, const char *p);
};

/** Without tokens; not all of *s is cleared. */
void json_scan_init(struct json_scan *s, const char *text, size_t len, unsigned max_depth);
/** Return: 0, or s->err with the place. */
int json_scan(struct json_scan *s);
/** Note the first refusal. Return: null, what a scanning function returns then. */
const char *json_refuse(struct json_scan *s, const char *at, int err, const char *what);
/** Tell the caller of json_parse. Return: code. */
int json_failed(struct json_error *err, const char *text, const char *at, int code,
                const char *what);

/** A string's text, character by character. */
struct json_unescape {
    const char *p, *end;
};
struct json_unescape json_unescape_start(const char *text, const struct json_token *t);
/** The next character of a string that was checked. Return: its bytes in out, 0 at the end. */
unsigned json_unescape_next(struct json_unescape *u, char out[4]);
/** Are two strings the same text? */
bool json_same_text(const char *text, const struct json_token *a, const struct json_token *b);
/** Four hex digits: the code unit, or -1. */
int32_t json_hex4(const char *p);

#endif
