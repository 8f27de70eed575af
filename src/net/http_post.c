#include "nefia/net/http_post.h"

#include <bearssl.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "nefia/net/addr.h"
#include "nefia/base/err.h"
#include "nefia/base/wipe.h"
#include "nefia/crypto/mac.h"
#include "nefia/net/resolve.h"
#include "nefia/sys/clock.h"

#define HTTP_PORT 80
#define ADDRESSES 8       /* per host name that are tried */
#define LARGEST_HEAD 1536 /* of a request: URL, host twice, and fixed text */
#define HEAD_PART 4       /* of the time that is left when the status has come: for the other headers */

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

/** Does s begin with `start` (lower case), whatever the case of its letters? */
static bool begins_like(const char *s, size_t len, const char *start)
{
    size_t n = strlen(start);

    if (len < n)
        return false;
    for (size_t i = 0; i < n; i++) {
        char c = s[i] >= 'A' && s[i] <= 'Z' ? (char)(s[i] - 'A' + 'a') : s[i];
        if (c != start[i])
            return false;
    }
    return true;
}

/** Two colons and no bracket: where the address ends and the port begins is anybody's guess. */
static bool is_bare_ipv6(const char *s, size_t len)
{
    const char *colon = s[0] == '[' ? NULL : memchr(s, ':', len);

    return colon && memchr(colon + 1, ':', len - (size_t)(colon + 1 - s));
}

int http_url_parse(struct http_url *u, const char *url, struct text *why)
{
    static const char scheme[] = "http://";
    size_t len = strlen(url);
    char host[ADDR_HOST];
    uint16_t port;

    if (begins_like(url, len, "https://"))
        return refuse(why,
                      "https:// is not in this build; use http:// to a proxy on this device "
                      "or its network",
                      NEFIA_ENOTSUP);
    if (!begins_like(url, len, scheme))
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
    if (is_bare_ipv6(u->authority, u->authority_len))
        return refuse(why, "an IPv6 address in a URL is written in brackets, as in http://[::1]:8080/",
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

/* ---- Response: RFC 9112 section 4, "HTTP/1.x NNN [reason]", then header lines up to an empty one.
 * Lines may end in a bare LF (section 2.2). ---- */

/** Followed by any digit. */
static const char version[] = "HTTP/1.";

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/** Return: the status (100..599), or NEFIA_ESYNTAX. The prefix has been compared. */
static int parse_status(const char *line, size_t len)
{
    enum { MINOR = sizeof version - 1, DIGITS = MINOR + 2, END = DIGITS + 3 };
    int status = 0;

    if (len < END || !is_digit(line[MINOR]) || line[MINOR + 1] != ' ' ||
        (len > END && line[END] != ' '))
        return NEFIA_ESYNTAX;
    for (int i = DIGITS; i < END; i++) {
        if (!is_digit(line[i]))
            return NEFIA_ESYNTAX;
        status = status * 10 + (line[i] - '0');
    }
    return status >= 100 && status <= 599 ? status : NEFIA_ESYNTAX;
}

/** RFC 9110 section 10.2.3: seconds. A date is not read: this device's clock may be wrong. */
static void take_header(struct http_answer *a)
{
    static const char name[] = "retry-after:";
    const char *s = a->line + sizeof name - 1, *end = a->line + a->len;
    uint64_t v;

    if (!begins_like(a->line, a->len, name))
        return;
    while (s < end && (*s == ' ' || *s == '\t'))
        s++;
    while (s < end && (end[-1] == ' ' || end[-1] == '\t'))
        end--;
    if (parse_u64(s, (size_t)(end - s), &v) == 0)
        a->retry_after_s = v < UINT32_MAX ? (uint32_t)v : UINT32_MAX;
}

static int take_line(struct http_answer *a)
{
    if (a->len > 0 && a->line[a->len - 1] == '\r')
        a->len--;
    if (!a->in_head) {
        int status = parse_status(a->line, a->len);
        if (status < 0)
            return status;
        a->in_head = true;
        a->status = status >= 200 ? (uint16_t)status : 0;
    } else if (a->len > 0) {
        if (a->status)
            take_header(a);
    } else if (a->status) {
        return a->status;
    } else {
        a->in_head = false; /* the end of an interim response */
    }
    a->len = 0;
    return NEFIA_EAGAIN;
}

int http_answer_feed(struct http_answer *a, const char *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        int err = NEFIA_EAGAIN;

        if (++a->taken > HTTP_HEAD_MAX)
            return a->status ? a->status : NEFIA_ETOOBIG;
        if (bytes[i] == '\n')
            err = take_line(a);
        else if (a->len < sizeof a->line)
            a->line[a->len++] = bytes[i];
        if (err != NEFIA_EAGAIN)
            return err;
        if (!a->in_head && a->len > 0 && a->len < sizeof version &&
            a->line[a->len - 1] != version[a->len - 1])
            return NEFIA_ESYNTAX;
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

/** Limit what a blocking call may take: SO_SNDTIMEO (connect and send) or SO_RCVTIMEO. 0: no limit. */
static void limit(int fd, int option, uint64_t ms)
{
    struct timeval t = {.tv_sec = (time_t)(ms / 1000), .tv_usec = (suseconds_t)(ms % 1000 * 1000)};

    (void)setsockopt(fd, SOL_SOCKET, option, &t, sizeof t);
}

static uint64_t time_left(uint64_t until_ms)
{
    uint64_t now = clock_ms(&clock_system);

    return until_ms > now ? until_ms - now : 1; /* 0 would be no limit */
}

int http_connect(const struct addr *addrs, unsigned count, uint64_t until_ms)
{
    for (unsigned i = 0; i < count; i++) {
        struct sockaddr_storage ss;
        socklen_t len = addr_to_sockaddr(&addrs[i], &ss);
        int fd = socket(addrs[i].family, SOCK_STREAM | SOCK_CLOEXEC, 0);

        if (fd < 0)
            continue;
        if (i + 1 < count)
            limit(fd, SO_SNDTIMEO, time_left(until_ms) / (count - i) + 1);
        if (connect(fd, (struct sockaddr *)&ss, len) == 0) {
            limit(fd, SO_SNDTIMEO, 0);
            return fd;
        }
        int why = errno == EINPROGRESS ? ETIMEDOUT : errno;
        close(fd);
        errno = why;
    }
    return NEFIA_EIO;
}

/** Return: a connected socket, or NEFIA_EIO, NEFIA_ENOTFOUND, NEFIA_ETIMEOUT. */
static int connect_to(const struct http_url *u, uint64_t until_ms, struct text *why)
{
    char host[ADDR_HOST];
    struct addr addrs[ADDRESSES];
    uint16_t port;

    if (addr_parse_hostport(u->authority, u->authority_len, HTTP_PORT, host, &port, why) < 0)
        return NEFIA_ENOTFOUND;
    int count = resolve(host, port, addrs, ADDRESSES);
    if (count < 0) {
        text_str(why, count == NEFIA_ETIMEOUT ? "no response from any name server" : "host not found");
        return count;
    }
    int fd = http_connect(addrs, (unsigned)count, until_ms);
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

/** Once the status is known, the rest of the head is read for what it says, for a part of the time
 * that is left. */
static int read_answer(int fd, struct http_answer *answer, uint64_t until_ms, struct text *why)
{
    int result = NEFIA_EAGAIN;

    while (result == NEFIA_EAGAIN) {
        char buf[512];
        bool known = answer->status != 0;
        ssize_t n = recv(fd, buf, sizeof buf, 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (known && (n <= 0 || clock_ms(&clock_system) >= until_ms))
            return answer->status;
        if (n < 0)
            return complain(why, "read: ");
        if (n == 0) {
            text_str(why, "connection closed without a response");
            return NEFIA_ECLOSED;
        }
        result = http_answer_feed(answer, buf, (size_t)n);
        if (!known && answer->status) {
            until_ms = clock_ms(&clock_system) + time_left(until_ms) / HEAD_PART;
            limit(fd, SO_RCVTIMEO, time_left(until_ms));
        }
    }
    if (result < 0)
        text_str(why, IS_ENABLED(CONFIG_CONFIG_HINTS) && result == NEFIA_ETOOBIG
                          ? "no final status in the first 16 KiB of the response"
                          : "response is not HTTP");
    return result;
}

int http_post(const struct http_request *r, struct http_answer *answer, struct text *why)
{
    char head_buf[LARGEST_HEAD];
    uint64_t until_ms = clock_ms(&clock_system) + r->timeout_ms;
    struct text head;

    *answer = (struct http_answer){0};
    text_init(&head, head_buf, sizeof head_buf);
    if (http_put_head(&head, r) < 0)
        return NEFIA_ETOOBIG;
    int fd = connect_to(r->url, until_ms, why);
    if (fd < 0)
        return fd;
    /* A server may respond and close before reading the whole request: the response counts. */
    int sent = send_all(fd, head.buf, head.len);
    if (sent >= 0)
        sent = send_all(fd, r->body, r->body_len);
    int send_errno = errno;
    int status = read_answer(fd, answer, until_ms, why);
    if (status < 0 && sent < 0) {
        text_reset(why);
        errno = send_errno;
        complain(why, "send: ");
        status = NEFIA_EIO;
    }
    close(fd);
    return status;
}
