#include "nefia/net/resolve.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "nefia/base/bytes.h"
#include "nefia/base/err.h"
#include "nefia/sys/file.h"

#define FILE_BYTES 4096 /* read of each of the two files */
#define DNS_PORT 53
#define HEADER 12
#define NAME_MAX_BYTES 253

/* ---- Files ---- */

/** The next word of a line in *at..end; empty at the line's end or a comment. */
static struct slice next_word(const char **at, const char *end)
{
    while (*at < end && (**at == ' ' || **at == '\t'))
        (*at)++;
    const char *start = *at;
    while (*at < end && **at != ' ' && **at != '\t' && **at != '\n' && **at != '\r' && **at != '#')
        (*at)++;
    return (struct slice){start, (size_t)(*at - start)};
}

static void skip_line(const char **at, const char *end)
{
    while (*at < end && **at != '\n')
        (*at)++;
    if (*at < end)
        (*at)++;
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static bool same_name(struct slice a, const char *b)
{
    for (size_t i = 0; i < a.len; i++)
        if (b[i] == '\0' || lower(a.ptr[i]) != lower(b[i]))
            return false;
    return b[a.len] == '\0';
}

int resolve_hosts(const char *text, size_t len, const char *host, struct addr *out, unsigned cap)
{
    const char *at = text, *end = text + len;
    unsigned n = 0;

    for (; at < end && n < cap; skip_line(&at, end)) {
        struct slice number = next_word(&at, end), name;
        struct addr a;

        if (number.len == 0 || addr_parse(&a, number.ptr, number.len, 1, NULL) < 0)
            continue;
        while ((name = next_word(&at, end)).len > 0)
            if (same_name(name, host)) {
                out[n++] = a;
                break;
            }
    }
    return (int)n;
}

int resolve_servers(const char *text, size_t len, struct addr *out, unsigned cap)
{
    const char *at = text, *end = text + len;
    unsigned n = 0;

    for (; at < end && n < cap; skip_line(&at, end)) {
        if (!slice_eq(next_word(&at, end), "nameserver"))
            continue;
        struct slice number = next_word(&at, end);
        if (number.len > 0 && addr_parse(&out[n], number.ptr, number.len, DNS_PORT, NULL) >= 0)
            n++;
    }
    return (int)n;
}

/* ---- DNS messages ---- */

/** Encode the name as labels. Return: bytes, or NEFIA_EINVAL. */
static int put_name(uint8_t *out, const char *host)
{
    size_t len = strlen(host), at = 0;

    if (len > 0 && host[len - 1] == '.')
        len--;
    if (len == 0 || len > NAME_MAX_BYTES)
        return NEFIA_EINVAL;
    for (size_t start = 0; start <= len;) {
        const char *dot = memchr(host + start, '.', len - start);
        size_t label = dot ? (size_t)(dot - host) - start : len - start;
        if (label < 1 || label > 63)
            return NEFIA_EINVAL;
        out[at++] = (uint8_t)label;
        memcpy(out + at, host + start, label);
        at += label;
        start += label + 1;
    }
    out[at++] = 0;
    return (int)at;
}

int dns_query(uint8_t out[DNS_MESSAGE], uint16_t id, const char *host, uint16_t type)
{
    memset(out, 0, HEADER);
    put_be16(out, id);
    put_be16(out + 2, 0x0100); /* recursion desired */
    put_be16(out + 4, 1);      /* one question */
    int n = put_name(out + HEADER, host);
    if (n < 0)
        return n;
    put_be16(out + HEADER + n, type);
    put_be16(out + HEADER + n + 2, 1); /* IN */
    return HEADER + n + 4;
}

/** Skip the name at `at`, which may end in a compression pointer. Return: 0 if it runs past the
 * message. */
static size_t skip_name(const uint8_t *msg, size_t len, size_t at)
{
    while (at < len) {
        if (msg[at] >= 0xC0)
            return at + 2;
        if (msg[at] > 63)
            return 0;
        if (msg[at] == 0)
            return at + 1;
        at += msg[at] + 1u;
    }
    return 0;
}

/** The response repeats our question, possibly with letters in the other case. */
static bool same_question(const uint8_t *msg, const uint8_t *query, size_t len)
{
    for (size_t i = HEADER; i < len; i++)
        if (lower((char)msg[i]) != lower((char)query[i]))
            return false;
    return true;
}

static bool take_record(const uint8_t *data, size_t len, uint16_t type, struct addr *out)
{
    *out = (struct addr){.family = type == DNS_A ? AF_INET : AF_INET6};
    if (len != (type == DNS_A ? 4u : 16u))
        return false;
    memcpy(out->ip, data, len);
    return true;
}

static int take_records(const uint8_t *msg, size_t len, size_t at, uint16_t type, struct addr *out,
                        unsigned cap)
{
    unsigned n = 0;

    for (unsigned left = get_be16(msg + 6); left > 0 && n < cap; left--) {
        at = skip_name(msg, len, at);
        if (at == 0 || len < at || len - at < 10)
            return NEFIA_ESYNTAX;
        uint16_t kind = get_be16(msg + at), class = get_be16(msg + at + 2),
                 size = get_be16(msg + at + 8);
        at += 10;
        if (len - at < size)
            return NEFIA_ESYNTAX;
        if (kind == type && class == 1 && take_record(msg + at, size, type, &out[n]))
            n++;
        at += size;
    }
    return (int)n;
}

int dns_answer(const uint8_t *msg, size_t len, uint16_t id, const char *host, uint16_t type,
               struct addr *out, unsigned cap)
{
    uint8_t query[DNS_MESSAGE];
    int asked = dns_query(query, id, host, type);

    if (asked < 0)
        return asked;
    if (len < (size_t)asked || get_be16(msg) != id || !(msg[2] & 0x80) || get_be16(msg + 4) != 1 ||
        !same_question(msg, query, (size_t)asked))
        return NEFIA_EAGAIN;
    unsigned code = msg[3] & 15u;
    if (code != 0)
        return code == 3 ? NEFIA_ENOTFOUND : NEFIA_EIO;
    return take_records(msg, len, (size_t)asked, type, out, cap);
}

/* ---- Queries ---- */

/** Wait for the response on a connected socket; other datagrams are ignored. */
static int await_answer(int fd, uint16_t id, const char *host, uint16_t type, struct addr *out,
                        unsigned cap)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    uint8_t msg[DNS_MESSAGE];

    for (int datagrams = 0; datagrams < 8; datagrams++) {
        if (poll(&p, 1, RESOLVE_WAIT_MS) != 1)
            return NEFIA_ETIMEOUT;
        ssize_t n = recv(fd, msg, sizeof msg, 0);
        if (n < 0)
            return NEFIA_EIO;
        int found = dns_answer(msg, (size_t)n, id, host, type, out, cap);
        if (found != NEFIA_EAGAIN)
            return found;
    }
    return NEFIA_ETIMEOUT;
}

static int ask_server(const struct addr *server, const char *host, uint16_t type, struct addr *out,
                      unsigned cap)
{
    struct sockaddr_storage ss;
    socklen_t ss_len = addr_to_sockaddr(server, &ss);
    uint8_t query[DNS_MESSAGE];
    uint16_t id;

    if (getrandom(&id, sizeof id, 0) != sizeof id)
        return NEFIA_EIO;
    int len = dns_query(query, id, host, type);
    if (len < 0)
        return len;
    /* Connected: the kernel drops datagrams from other senders, and picks a random port. */
    int fd = socket(server->family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    int result = NEFIA_EIO;
    if (fd >= 0 && connect(fd, (struct sockaddr *)&ss, ss_len) == 0 &&
        send(fd, query, (size_t)len, 0) == len)
        result = await_answer(fd, id, host, type, out, cap);
    if (fd >= 0)
        close(fd);
    return result;
}

/** Read the beginning of a file, up to the last complete line: a partial one would contain another
 * name or address. Return: bytes; 0 if there are none. */
static size_t read_beginning(const char *path, char text[FILE_BYTES])
{
    long len = file_read(path, text, FILE_BYTES);

    if (len == NEFIA_ETOOBIG)
        for (len = FILE_BYTES; len > 0 && text[len - 1] != '\n';)
            len--;
    return len < 0 ? 0 : (size_t)len;
}

static int ask(const char *host, struct addr *out, unsigned cap)
{
    struct addr servers[RESOLVE_SERVERS];
    char text[FILE_BYTES];
    size_t len = read_beginning("/etc/resolv.conf", text);
    const unsigned count = (unsigned)resolve_servers(text, len, servers, RESOLVE_SERVERS);
    int err = NEFIA_ETIMEOUT;

    for (unsigned i = 0, next = 0; i < RESOLVE_TRIES * count; i++) {
        const struct addr *server = &servers[next];
        next = next + 1 < count ? next + 1 : 0;
        int v4 = ask_server(server, host, DNS_A, out, cap);
        if (v4 == NEFIA_ENOTFOUND || v4 == NEFIA_EINVAL)
            return v4;
        unsigned have = v4 > 0 ? (unsigned)v4 : 0;
        int v6 =
            v4 >= 0 && have < cap ? ask_server(server, host, DNS_AAAA, out + have, cap - have) : 0;
        if (have > 0 || v6 > 0)
            return (int)have + (v6 > 0 ? v6 : 0);
        if (v4 == 0 && v6 == 0)
            return NEFIA_ENOTFOUND;
        err = v4 < 0 ? v4 : v6;
    }
    return err;
}

int resolve(const char *host, uint16_t port, struct addr *out, unsigned cap)
{
    /* RFC 6761 section 6.3: resolved locally, never through DNS. */
    static const char localhost[] = "127.0.0.1 localhost\n";
    char text[FILE_BYTES];

    if (addr_parse(out, host, strlen(host), port, NULL) >= 0)
        return 1;
    size_t len = read_beginning("/etc/hosts", text);
    int n = resolve_hosts(text, len, host, out, cap);
    if (n == 0)
        n = resolve_hosts(localhost, sizeof localhost - 1, host, out, cap);
    if (n == 0)
        n = ask(host, out, cap);
    for (int i = 0; i < n; i++)
        out[i].port = port;
    return n;
}
