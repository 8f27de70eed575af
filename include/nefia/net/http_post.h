#ifndef NEFIA_NET_HTTP_POST_H
#define NEFIA_NET_HTTP_POST_H

#include <stddef.h>
#include <stdint.h>

#include "nefia/base/text.h"

/** One HTTP/1.1 POST (RFC 9112), blocking: for a child process with a deadline. */

#define HTTP_URL_MAX 512
#define HTTP_HEAD_MAX 4096 /* limit for a response's status line and headers */

/** Parts of http://host[:port][/path], pointing into the URL's text. */
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
    const char *version; /* for User-Agent */
};

/** Append the request's head, including the empty line. Return: 0 or NEFIA_ETOOBIG. */
int http_put_head(struct text *t, const struct http_request *r);

/** Incremental parser for a response's head. */
struct http_answer {
    uint16_t state, digits;
    uint32_t taken; /* bytes consumed so far */
    int status;     /* of the line being read */
};
/** Feed the next bytes; start with a zeroed struct.
 * Return: the final status (200..599) once the head is complete; NEFIA_EAGAIN: more input needed;
 * NEFIA_ESYNTAX (not HTTP/1.x); NEFIA_ETOOBIG (head over HTTP_HEAD_MAX). Interim responses (1xx)
 * are skipped. */
int http_answer_feed(struct http_answer *a, const char *bytes, size_t len);

/** Resolve, connect (each address in turn), send, read the response's head. Blocks without a
 * time-out of its own. Return: the status; or NEFIA_ENOTFOUND (no such host), NEFIA_EIO (connect or
 * send; see why), NEFIA_ECLOSED (no response), NEFIA_ESYNTAX, NEFIA_ETOOBIG (bad response). why: a
 * few words. */
int http_post(const struct http_request *r, struct text *why);

#endif
