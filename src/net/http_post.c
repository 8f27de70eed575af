#include "nefia/net/http_post.h"

#include <bearssl.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "nefia/net/addr.h"
#include "nefia/base/err.h"
#include "nefia/base/wipe.h"
#include "nefia/crypto/mac.h"
#include "nefia/net/resolve.h"

#define HTTP_PORT 80
#define ADDRESSES 8       /* per host name that are tried */
#define LARGEST_HEAD 1536 /* of a request: URL, host twice, and fixed text */

/* ---- URL ---- */

static int refuse(struct text *why, const char *sentence, int err)
{
    if (why)
        text_str(why, sentence);
    return err;
}

/** What RFC 3986 allows in a request target: printable ASCII, no quotes, no `#`. */
static bool target_is_clean(const char *s, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (s[i] <= ' ' || s[i] >= 0x7f || strchr("\"<>\\^`{|}#", s[i]))
            return false;
    return true;
}

int http_url_parse(struct http_url *u, const char *url, struct text *why)
{
    static const char scheme[] = "http://";
    size_t len = strlen(url);
    char host[ADDR_HOST];
    uint16_t port;

    if (strncmp(url, "https://", 8) == 0)
        return refuse(why,
                      "https:// is not in this build; use http:// to a proxy on this device "
                      "or its network",
                      NEFIA_ENOTSUP);
    if (strncmp(url, scheme, sizeof scheme - 1) != 0)
        return refuse(why, "URL does not start with http://", NEFIA_ESYNTAX);
    if (len > HTTP_URL_MAX)
        return refuse(why, "URL is longer than 512 bytes", NEFIA_ETOOBIG);
    u->authority = url + sizeof scheme - 1;
    u->authority_len = (uint16_t)strcspn(u->authority, "/?#");
    u->target = u->authority + u->authority_len;
    u->target_len = (uint16_t)strlen(u->target);
    if (memchr(u->authority, '@', u->authority_len))
        return refuse(why, "credentials in a URL are not supported; use `secret` to sign requests",
                      NEFIA_ESYNTAX);
    if (!target_is_clean(u->target, u->target_len))
        return refuse(why, "URL contains a #fragment or a character that must be written as %XX",
                      NEFIA_ESYNTAX);
    return addr_parse_hostport(u->authority, u->authority_len, HTTP_PORT, host, &port, why);
}

/* ---- Request ---- */

static void put_signature(struct text *t, const struct http_request *r)
{
    struct mac_key key;
    uint8_t out[MAC_BYTES];

    mac_key_set_any(&key, r->secret, strlen(r->secret));
    mac_sign(&key, r->body, r->body_len, out);
    mac_key_wipe(&key);
    text_str(t, "X-Nefia-Signature: sha256=");
    text_hex(t, out, sizeof out);
    text_str(t, "\r\n");
}

/** The first half of SHA-256(rule ‖ 00 ‖ body). */
static void put_id(struct text *t, const struct http_request *r)
{
    br_sha256_context sha;
    uint8_t sum[br_sha256_SIZE];

    br_sha256_init(&sha);
    br_sha256_update(&sha, r->rule, strlen(r->rule) + 1);
    br_sha256_update(&sha, r->body, r->body_len);
    br_sha256_out(&sha, sum);
    text_str(t, "X-Nefia-Id: ");
    text_hex(t, sum, sizeof sum / 2);
    text_str(t, "\r\n");
}

int http_put_head(struct text *t, const struct http_request *r)
{
    const struct http_url *u = r->url;

    text_str(t, "POST ");
    if (u->target_len == 0 || u->target[0] != '/')
        text_char(t, '/');
    text_bytes(t, u->target, u->target_len);
    text_str(t, " HTTP/1.1\r\nHost: ");
    text_bytes(t, u->authority, u->authority_len);
    text_str(t, "\r\nUser-Agent: nefia/");
    text_str(t, r->version);
    text_str(t, "\r\nContent-Type: application/json\r\nContent-Length: ");
    text_u64(t, r->body_len);
    text_str(t, "\r\nConnection: close\r\n");
    put_id(t, r);
    if (*r->secret)
        put_signature(t, r);
    text_str(t, "\r\n");
    return t->truncated ? NEFIA_ETOOBIG : 0;
}

/* ---- Response: RFC 9112 section 4, "HTTP/1.x NNN [reason]", then header lines up to an empty one
 * ---- */

enum answer_state {
    VERSION,
    SPACE,
    DIGITS,
    AFTER_STATUS,
    REASON,
    LINE_LF,
    LINE_START,
    HEADER,
    END_LF
};

/** Followed by any digit. */
static const char version[] = "HTTP/1.";

/** Parse one byte of the status line. Return: false if it is invalid there. */
static bool feed_status(struct http_answer *a, char c)
{
    switch (a->state) {
    case VERSION:
        if (a->digits < sizeof version - 1)
            return c == version[a->digits++];
        a->state = SPACE;
        a->digits = 0;
        return c >= '0' && c <= '9';
    case SPACE:
        a->state = DIGITS;
        return c == ' ';
    case DIGITS:
        a->status = a->status * 10 + (c - '0');
        if (++a->digits == 3)
            a->state = AFTER_STATUS;
        return c >= '0' && c <= '9';
    case AFTER_STATUS:
        a->state = c == '\r' ? LINE_LF : REASON;
        return (c == ' ' || c == '\r') && a->status >= 100 && a->status <= 599;
    default: /* REASON */
        if (c == '\r')
            a->state = LINE_LF;
        return c == '\r' || c == '\t' || (unsigned char)c >= ' ';
    }
}

/** Skip one byte of the headers. */
static bool feed_header(struct http_answer *a, char c)
{
    switch (a->state) {
    case LINE_LF:
        a->state = LINE_START;
        return c == '\n';
    case LINE_START:
        a->state = c == '\r' ? END_LF : HEADER;
        return c == '\r' || (c > ' ' && c != ':');
    default: /* HEADER */
        if (c == '\r')
            a->state = LINE_LF;
        return c == '\r' || c == '\t' || (unsigned char)c >= ' ';
    }
}

int http_answer_feed(struct http_answer *a, const char *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (++a->taken > HTTP_HEAD_MAX)
            return NEFIA_ETOOBIG;
        if (a->state == END_LF) {
            if (bytes[i] != '\n')
                return NEFIA_ESYNTAX;
            if (a->status >= 200)
                return a->status;
            *a = (struct http_answer){.taken = a->taken};
        } else if (!(a->state < LINE_LF ? feed_status(a, bytes[i]) : feed_header(a, bytes[i]))) {
            return NEFIA_ESYNTAX;
        }
    }
    return NEFIA_EAGAIN;
}

/* ---- The exchange ---- */

static int complain(struct text *why, const char *what)
{
    text_str(why, what);
    text_str(why, ERRNO(errno));
    return NEFIA_EIO;
}

/** Return: a connected socket, or NEFIA_EIO, NEFIA_ENOTFOUND, NEFIA_ETIMEOUT. */
static int connect_to(const struct http_url *u, struct text *why)
{
    char host[ADDR_HOST];
    struct addr addrs[ADDRESSES];
    uint16_t port;
    int fd = -1;

    if (addr_parse_hostport(u->authority, u->authority_len, HTTP_PORT, host, &port, why) < 0)
        return NEFIA_ENOTFOUND;
    int count = resolve(host, port, addrs, ADDRESSES);
    if (count < 0) {
        text_str(why, count == NEFIA_ETIMEOUT ? "no response from any name server" : "host not found");
        return count;
    }
    for (int i = 0; i < count && fd < 0; i++) {
        struct sockaddr_storage ss;
        socklen_t len = addr_to_sockaddr(&addrs[i], &ss);
        fd = socket(addrs[i].family, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd >= 0 && connect(fd, (struct sockaddr *)&ss, len) < 0) {
            int saved = errno;
            close(fd);
            errno = saved;
            fd = -1;
        }
    }
    return fd < 0 ? complain(why, "connect: ") : fd;
}

static int send_all(int fd, const char *s, size_t len)
{
    while (len > 0) {
        ssize_t n = send(fd, s, len, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return NEFIA_EIO;
        s += n;
        len -= (size_t)n;
    }
    return 0;
}

static int read_answer(int fd, struct text *why)
{
    struct http_answer answer = {0};
    int result = NEFIA_EAGAIN;

    while (result == NEFIA_EAGAIN) {
        char buf[512];
        ssize_t n = recv(fd, buf, sizeof buf, 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return complain(why, "read: ");
        if (n == 0) {
            text_str(why, "connection closed without a response");
            return NEFIA_ECLOSED;
        }
        result = http_answer_feed(&answer, buf, (size_t)n);
    }
    if (result < 0)
        text_str(why, "response is not HTTP");
    return result;
}

int http_post(const struct http_request *r, struct text *why)
{
    char head_buf[LARGEST_HEAD];
    struct text head;

    text_init(&head, head_buf, sizeof head_buf);
    if (http_put_head(&head, r) < 0)
        return NEFIA_ETOOBIG;
    int fd = connect_to(r->url, why);
    if (fd < 0)
        return fd;
    /* A server may respond and close before reading the whole request: the response counts. */
    int sent = send_all(fd, head.buf, head.len);
    if (sent >= 0)
        sent = send_all(fd, r->body, r->body_len);
    int send_errno = errno;
    int status = read_answer(fd, why);
    if (status < 0 && sent < 0) {
        text_reset(why);
        errno = send_errno;
        complain(why, "send: ");
        status = NEFIA_EIO;
    }
    close(fd);
    return status;
}
