#ifndef NEFIA_NET_HTTP_POST_H
#define NEFIA_NET_HTTP_POST_H

#include <stddef.h>
#include <stdint.h>

#include "nefia/base/text.h"

/** One HTTP/1.1 POST (RFC 9112), blocking: it runs in a child process, whose deadline ends it. */

#define HTTP_URL_MAX 512
#define HTTP_HEAD_MAX 4096 /* most bytes of an answer's status line and headers that are read */

/** Parts of http://host[:port][/path]; slices of the URL's text. */
struct http_url {
    const char *authority; /* host[:port], the Host header */
    const char *target;    /* from the first / or ?; "" means "/" */
    uint16_t authority_len, target_len;
};

/** Checks everything but whether the host exists. The text is kept by reference.
 * Return: 0; NEFIA_ENOTSUP (https); NEFIA_ESYNTAX, NEFIA_ETOOBIG; with a sentence in why. */
int http_url_parse(struct http_url *u, const char *url, struct text *why);

struct http_request {
    const struct http_url *url;
    const char *secret; /* "": no X-Nefia-Signature */
    const char *body;
    size_t body_len;
    const char *version; /* for User-Agent */
};

/** The head of the request, with the empty line at its end. Return: 0 or NEFIA_ETOOBIG. */
int http_put_head(struct text *t, const struct http_request *r);

/** Reading an answer's head, a piece at a time. */
struct http_answer {
    uint16_t state, digits;
    uint32_t taken; /* bytes so far */
    int status;     /* of the line being read */
};
/** Feed the next bytes; all zero at first.
 * Return: the final status (200..599) once its head is whole; NEFIA_EAGAIN for more; NEFIA_ESYNTAX
 * (not HTTP/1.x); NEFIA_ETOOBIG (head over HTTP_HEAD_MAX). Interim answers (1xx) are read over. */
int http_answer_feed(struct http_answer *a, const char *bytes, size_t len);

/** Resolve, connect (each address in turn), send, read the answer's head. Blocks without a bound of
 * its own. Return: the status; or NEFIA_ENOTFOUND (no such host), NEFIA_EIO (connect or send; why
 * says more), NEFIA_ECLOSED (no answer), NEFIA_ESYNTAX, NEFIA_ETOOBIG (bad answer). why: a few
 * words. */
int http_post(const struct http_request *r, struct text *why);

#endif
