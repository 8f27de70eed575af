#ifndef NEFIA_NET_HTTP_POST_H
#define NEFIA_NET_HTTP_POST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "nefia/base/text.h"
#include "nefia/net/addr.h"

/** One HTTP/1.1 POST (RFC 9112), blocking: for a child process with a deadline. */

#define HTTP_URL_MAX 512
#define HTTP_HEAD_MAX 16384 /* what is read of a response, interim ones included */

/** Parts of http://host[:port][/path] (the scheme in any case), pointing into the URL's text. */
struct http_url {
    const char *authority; /* host[:port], the Host header */
    const char *target;    /* from the first / or ?; "" means "/" */
    uint16_t authority_len, target_len;
};

/** Validates everything except whether the host exists. url is kept by reference.
 * Return: 0; NEFIA_ENOTSUP (https); NEFIA_ESYNTAX, NEFIA_ETOOBIG; with a sentence in why. */
int http_url_parse(struct http_url *u, const char *url, struct text *why);

struct http_request {
    const struct http_url *url;
    const char *secret; /* "": no X-Nefia-Signature */
    const char *rule;   /* in X-Nefia-Id, which is the same for each delivery of one event by one rule */
    const char *body;
    size_t body_len;
    uint64_t timeout_ms;
    const char *version; /* for User-Agent */
};

/** Append the request's head, including the empty line. Return: 0 or NEFIA_ETOOBIG. */
int http_put_head(struct text *t, const struct http_request *r);

/** Incremental parser for a response's head. Tolerant behind the status line: whatever follows, the
 * receiver has decided. */
struct http_answer {
    uint32_t taken;         /* bytes consumed so far */
    uint32_t retry_after_s; /* RFC 9110 section 10.2.3; 0: not given, or as a date */
    uint16_t status;        /* the final one (200..599), from its line's end on; else 0 */
    bool in_head;           /* behind a status line */
    uint8_t len;
    char line[40]; /* the beginning of the line being read */
};
/** Feed the next bytes; start with a zeroed struct.
 * Return: the final status once the head is complete or too long; NEFIA_EAGAIN: more input needed
 * (if a->status is set, it will not change); NEFIA_ESYNTAX (not HTTP/1.x); NEFIA_ETOOBIG (no final
 * status within HTTP_HEAD_MAX). Interim responses (1xx) are skipped. */
int http_answer_feed(struct http_answer *a, const char *bytes, size_t len);

/** Connect to the first of these addresses (count >= 1) that accepts. Blocks: one that is silent has
 * its share of the time left until until_ms (of clock_system), the last one what the caller's deadline
 * leaves it. Return: a socket, or NEFIA_EIO (errno of the last address). */
int http_connect(const struct addr *addrs, unsigned count, uint64_t until_ms);

/** Resolve, connect, send, read the response's head. Blocks: the caller's process ends after
 * r->timeout_ms, which is shared out here. Return: the status, with the rest in answer; or NEFIA_ENOTFOUND (no such host),
 * NEFIA_EIO (connect or send; see why), NEFIA_ECLOSED (no response), NEFIA_ESYNTAX, NEFIA_ETOOBIG
 * (bad response). why: a few words. */
int http_post(const struct http_request *r, struct http_answer *answer, struct text *why);

#endif
