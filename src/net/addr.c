#include "nefia/net/addr.h"

#include <net/if.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "nefia/base/err.h"
#include "nefia/base/text.h"
#include "nefia/base/kconfig.h"

enum {
    GROUPS = 8,
    SCOPE_TEXT = 24,
    /* Without IPv6 hints, names and malformed addresses need not be told apart. */
    NAMES_KNOWN = IS_ENABLED(CONFIG_BEACON_RESOLVE) || IS_ENABLED(CONFIG_CONFIG_HINTS),
};

/* ---- Errors as sentences ---- */

static void quote(struct text *why, struct slice s)
{
    text_str(why, "\"");
    text_printable(why, s.ptr, s.len);
    text_str(why, "\"");
}

static int complain(struct text *why, struct slice s, const char *what, int err)
{
    if (why) {
        quote(why, s);
        text_str(why, what);
    }
    return err;
}

/* ---- Parsing ---- */

static int find(struct slice s, char c)
{
    const char *p = s.len ? memchr(s.ptr, c, s.len) : NULL;

    return p ? (int)(p - s.ptr) : -1;
}

/** Split s at the first c. Return: false if there is no c; the part is then all of s. */
static bool cut_at(struct slice *s, char c, struct slice *part)
{
    int at = find(*s, c);

    *part = *s;
    if (at < 0) {
        s->ptr += s->len;
        s->len = 0;
        return false;
    }
    part->len = (size_t)at;
    s->ptr += at + 1;
    s->len -= (size_t)at + 1;
    return true;
}

/** Dotted quad without leading zeros, which some parsers take as octal. */
static bool parse_ipv4(struct slice s, uint8_t ip[4])
{
    for (int i = 0; i < 4; i++) {
        struct slice part;
        bool more = cut_at(&s, '.', &part);
        uint64_t v;

        if (more != (i < 3) || part.len > 3 || parse_u64(part.ptr, part.len, &v) < 0 || v > 255)
            return false;
        if (part.len > 1 && part.ptr[0] == '0')
            return false;
        ip[i] = (uint8_t)v;
    }
    return true;
}

static bool parse_group(struct slice s, uint8_t out[2])
{
    unsigned v = 0;

    if (s.len < 1 || s.len > 4)
        return false;
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];

        if (c >= '0' && c <= '9')
            v = v << 4 | (unsigned)(c - '0');
        else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
            v = v << 4 | (unsigned)((c | 0x20) - 'a' + 10);
        else
            return false;
    }
    put_be16(out, (uint16_t)v);
    return true;
}

/** Groups separated by single colons, optionally ending in a dotted quad. Return: number of groups
 * (0..8), or -1. */
static int parse_groups(struct slice s, uint8_t out[16])
{
    int n = 0;

    if (s.len == 0)
        return 0;
    for (bool more = true; more;) {
        struct slice part;

        more = cut_at(&s, ':', &part);
        if (!more && find(part, '.') >= 0) {
            if (n > GROUPS - 2 || !parse_ipv4(part, out + 2 * n))
                return -1;
            return n + 2;
        }
        if (n == GROUPS || !parse_group(part, out + 2 * n))
            return -1;
        n++;
    }
    return n;
}

static bool parse_ipv6(struct slice s, uint8_t ip[16])
{
    uint8_t head[16], tail[16];
    size_t gap = 0;
    int before, after;

    while (gap + 1 < s.len && !(s.ptr[gap] == ':' && s.ptr[gap + 1] == ':'))
        gap++;
    if (gap + 1 >= s.len)
        return parse_groups(s, ip) == GROUPS;
    before = parse_groups((struct slice){s.ptr, gap}, head);
    after = parse_groups((struct slice){s.ptr + gap + 2, s.len - gap - 2}, tail);
    if (before < 0 || after < 0 || before + after >= GROUPS || memchr(s.ptr, '.', gap))
        return false;
    memset(ip, 0, 16);
    memcpy(ip, head, 2 * (size_t)before);
    memcpy(ip + 16 - 2 * after, tail, 2 * (size_t)after);
    return true;
}

/** ::ffff:a.b.c.d (RFC 4291, 2.5.5.2) is an IPv4 peer of a dual-stack socket. */
static void unmap(struct addr *a)
{
    static const uint8_t mapped[12] = {[10] = 0xFF, [11] = 0xFF};

    if (a->family != AF_INET6 || memcmp(a->ip, mapped, sizeof mapped) != 0)
        return;
    memmove(a->ip, a->ip + 12, 4);
    memset(a->ip + 4, 0, 12);
    a->family = AF_INET;
    a->scope = 0;
}

/** Interface index of a scope: a name, or the index itself. 0: no such interface. */
static uint32_t scope_index(struct slice s)
{
    struct ifreq request = {0};
    uint64_t v;
    int fd;

    if (parse_u64(s.ptr, s.len, &v) == 0)
        return v <= UINT32_MAX ? (uint32_t)v : 0;
    if (s.len < 1 || s.len >= sizeof request.ifr_name)
        return 0;
    memcpy(request.ifr_name, s.ptr, s.len);
    fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return 0;
    /* Not ioctl(3), as in tcp_queued. */
    if (syscall(SYS_ioctl, fd, SIOCGIFINDEX, &request) < 0)
        request.ifr_ifindex = 0;
    close(fd);
    return request.ifr_ifindex > 0 ? (uint32_t)request.ifr_ifindex : 0;
}

/* ---- Host and port ---- */

struct place {
    struct slice host; /* without brackets */
    bool colons;       /* can only be IPv6 */
    uint16_t port;
};

static int parse_port(struct slice s, uint16_t *port)
{
    uint64_t v;

    if (parse_u64(s.ptr, s.len, &v) < 0 || v < 1 || v > 65535)
        return NEFIA_EINVAL;
    *port = (uint16_t)v;
    return 0;
}

/** "[host]:port" or "[host]"; *port is set to the part after the colon. */
static int split_brackets(struct slice all, struct slice *host, struct slice *port)
{
    int end = find(all, ']');
    struct slice rest;

    if (end < 0)
        return NEFIA_ESYNTAX;
    *host = (struct slice){all.ptr + 1, (size_t)end - 1};
    rest = (struct slice){all.ptr + end + 1, all.len - (size_t)end - 1};
    if (rest.len == 0)
        return 0;
    if (rest.ptr[0] != ':')
        return NEFIA_ESYNTAX;
    *port = (struct slice){rest.ptr + 1, rest.len - 1};
    return 0;
}

static int split(struct slice all, uint16_t default_port, struct place *p, struct text *why)
{
    struct slice port = {0};
    int colon = find(all, ':');

    *p = (struct place){.host = all, .port = default_port};
    if (IS_ENABLED(CONFIG_IPV6) && all.len > 0 && all.ptr[0] == '[') {
        p->colons = true;
        if (split_brackets(all, &p->host, &port) < 0)
            return complain(why, all, " is not of the form [IPv6 address]:port", NEFIA_ESYNTAX);
    } else if (colon >= 0 && memchr(all.ptr + colon + 1, ':', all.len - (size_t)colon - 1)) {
        p->colons = true; /* an IPv6 address without brackets has no port */
    } else if (colon >= 0) {
        port = (struct slice){all.ptr + colon + 1, all.len - (size_t)colon - 1};
        p->host.len = (size_t)colon;
    }
    if (p->host.len == 0)
        return complain(why, all, " has no address", NEFIA_ESYNTAX);
    if (port.ptr && parse_port(port, &p->port) < 0)
        return complain(why, all, ": the port must be a number from 1 to 65535", NEFIA_EINVAL);
    if (p->port == 0)
        return complain(why, all, " lacks a port, such as :9500", NEFIA_ESYNTAX);
    return 0;
}

static bool is_label_char(char c)
{
    return char_is_word((unsigned char)c) || c == '-';
}

static bool is_number(struct slice s)
{
    uint64_t v;

    return parse_u64(s.ptr, s.len, &v) == 0;
}

/** A host name: labels of 1 to 63 characters, of which the last is not a number (that would be a
 * malformed IPv4 address). */
static bool is_name(struct slice s)
{
    struct slice part = {0};

    if (s.len > 253)
        return false;
    for (bool more = true; more;) {
        more = cut_at(&s, '.', &part);
        if (part.len < 1 || part.len > 63 || part.ptr[0] == '-')
            return false;
        for (size_t i = 0; i < part.len; i++)
            if (!is_label_char(part.ptr[i]))
                return false;
    }
    return !is_number(part);
}

/** Parse the host as an address. Return: 0, NEFIA_ESYNTAX, NEFIA_ENOTFOUND (interface). */
static int parse_host(const struct place *p, struct addr *a)
{
    struct slice scope = p->host, number;

    *a = (struct addr){.port = p->port};
    if (!p->colons) {
        a->family = AF_INET;
        return parse_ipv4(p->host, a->ip) ? 0 : NEFIA_ESYNTAX;
    }
    if (!IS_ENABLED(CONFIG_IPV6))
        return NEFIA_ENOTSUP;
    a->family = AF_INET6;
    if (cut_at(&scope, '%', &number)) {
        a->scope = scope_index(scope);
        if (a->scope == 0)
            return NEFIA_ENOTFOUND;
    }
    if (!parse_ipv6(number, a->ip))
        return NEFIA_ESYNTAX;
    unmap(a);
    return 0;
}

int addr_parse(struct addr *a, const char *s, size_t len, uint16_t default_port, struct text *why)
{
    struct slice all = {s, len};
    struct place p;
    int err;

    *a = (struct addr){0};
    err = split(all, default_port, &p, why);
    if (err < 0)
        return err;
    err = parse_host(&p, a);
    if (err == 0)
        return 0;
    *a = (struct addr){0};
    if (err == NEFIA_ENOTFOUND)
        return complain(why, all, ": this device has no such interface", err);
    if (err == NEFIA_ENOTSUP)
        return complain(why, all, ": IPv6 is not in this build (CONFIG_IPV6)", err);
    if (NAMES_KNOWN && !p.colons && is_name(p.host))
        return complain(why, all, " is a host name" REMEDY("; an address such as 10.0.0.1 is required"), NEFIA_ENOTSUP);
    return complain(why, all, HINTED(" is not an address", " such as 10.0.0.1:9500 or [fd00::1]:9500"), err);
}

int addr_parse_hostport(const char *s, size_t len, uint16_t default_port, char host[ADDR_HOST],
                        uint16_t *port, struct text *why)
{
    struct slice all = {s, len};
    struct addr a;
    struct place p;
    int err;

    host[0] = '\0';
    err = split(all, default_port, &p, why);
    if (err < 0)
        return err;
    err = parse_host(&p, &a);
    if (err == NEFIA_ENOTSUP)
        return complain(why, all, ": IPv6 is not in this build (CONFIG_IPV6)", err);
    if (err == NEFIA_ENOTFOUND)
        return complain(why, all, ": this device has no such interface", err);
    if (p.host.len >= ADDR_HOST || (err < 0 && (p.colons || !is_name(p.host))))
        return complain(why, all, " is neither an address nor a host name", NEFIA_ESYNTAX);
    memcpy(host, p.host.ptr, p.host.len);
    host[p.host.len] = '\0';
    *port = p.port;
    return 0;
}

/* ---- Formatting ---- */

static void put_ipv4(struct text *t, const uint8_t ip[4])
{
    for (int i = 0; i < 4; i++) {
        if (i > 0)
            text_char(t, '.');
        text_u64(t, ip[i]);
    }
}

static void put_group(struct text *t, uint16_t v)
{
    static const char digits[] = "0123456789abcdef";
    bool started = false;

    for (int shift = 12; shift >= 0; shift -= 4) {
        unsigned d = (unsigned)v >> shift & 15;

        started = started || d > 0 || shift == 0;
        if (started)
            text_char(t, digits[d]);
    }
}

/** The first longest run of at least two zero groups, which RFC 5952 writes as "::". Return: its
 * length. */
static int zero_run(const uint8_t ip[16], int *start)
{
    int best = 1;

    *start = GROUPS;
    for (int i = 0; i < GROUPS; i++) {
        int n = 0;

        while (i + n < GROUPS && get_be16(ip + 2 * (i + n)) == 0)
            n++;
        if (n > best) {
            best = n;
            *start = i;
        }
    }
    return best > 1 ? best : 0;
}

static void put_ipv6(struct text *t, const uint8_t ip[16])
{
    int start, run = zero_run(ip, &start);

    for (int i = 0; i < GROUPS; i++) {
        if (i == start) {
            text_str(t, "::");
            i += run - 1;
            continue;
        }
        if (i > 0 && i != start + run)
            text_char(t, ':');
        put_group(t, get_be16(ip + 2 * i));
    }
}

void addr_text(struct text *t, const struct addr *a)
{
    bool v6 = IS_ENABLED(CONFIG_IPV6) && a->family == AF_INET6;
    bool brackets = v6 && a->port;

    if (a->family != AF_INET && !v6) {
        text_str(t, "(none)");
        return;
    }
    if (brackets)
        text_char(t, '[');
    if (v6)
        put_ipv6(t, a->ip);
    else
        put_ipv4(t, a->ip);
    if (v6 && a->scope) {
        text_char(t, '%');
        text_u64(t, a->scope);
    }
    if (brackets)
        text_char(t, ']');
    if (a->port) {
        text_char(t, ':');
        text_u64(t, a->port);
    }
}

char *addr_str(char buf[ADDR_TEXT], const struct addr *a)
{
    struct text t;

    text_init(&t, buf, ADDR_TEXT);
    addr_text(&t, a);
    return buf;
}

struct addr_words addr_words(const struct addr *a)
{
    struct addr_words w;

    addr_str(w.text, a);
    return w;
}

bool addr_same_host(const struct addr *a, const struct addr *b)
{
    return a->family == b->family && a->scope == b->scope &&
           memcmp(a->ip, b->ip, sizeof a->ip) == 0;
}

/* ---- Sockets ---- */

socklen_t addr_to_sockaddr(const struct addr *a, struct sockaddr_storage *ss)
{
    memset(ss, 0, sizeof *ss);
    if (!IS_ENABLED(CONFIG_IPV6) || a->family == AF_INET) {
        struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(a->port)};

        memcpy(&v4.sin_addr, a->ip, 4);
        memcpy(ss, &v4, sizeof v4);
        return sizeof v4;
    }
    struct sockaddr_in6 v6 = {
        .sin6_family = AF_INET6, .sin6_port = htons(a->port), .sin6_scope_id = a->scope};

    memcpy(&v6.sin6_addr, a->ip, 16);
    memcpy(ss, &v6, sizeof v6);
    return sizeof v6;
}

int addr_from_sockaddr(struct addr *a, const struct sockaddr_storage *ss)
{
    *a = (struct addr){0};
    if (ss->ss_family == AF_INET) {
        struct sockaddr_in v4;

        memcpy(&v4, ss, sizeof v4);
        a->family = AF_INET;
        a->port = ntohs(v4.sin_port);
        memcpy(a->ip, &v4.sin_addr, 4);
        return 0;
    }
    if (IS_ENABLED(CONFIG_IPV6) && ss->ss_family == AF_INET6) {
        struct sockaddr_in6 v6;

        memcpy(&v6, ss, sizeof v6);
        a->family = AF_INET6;
        a->port = ntohs(v6.sin6_port);
        a->scope = v6.sin6_scope_id;
        memcpy(a->ip, &v6.sin6_addr, 16);
        unmap(a);
        return 0;
    }
    return NEFIA_EINVAL;
}

/* ---- Networks ---- */

static unsigned width(const struct addr *a)
{
    return a->family == AF_INET ? 32 : 128;
}

/** Mask for byte i of a prefix. */
static uint8_t mask_byte(unsigned bits, unsigned i)
{
    if (bits >= 8 * (i + 1))
        return 0xFF;
    if (bits <= 8 * i)
        return 0;
    return (uint8_t)(0xFF00 >> (bits - 8 * i));
}

void addr_net_mask(struct addr_net *n)
{
    for (unsigned i = 0; i < 16; i++)
        n->base.ip[i] &= mask_byte(n->bits, i);
}

static int check_host_bits(const struct addr_net *n, struct slice all, struct text *why)
{
    struct addr_net meant = *n;

    addr_net_mask(&meant);
    if (addr_same_host(&meant.base, &n->base))
        return 0;
    complain(why, all, " has bits set beyond its prefix; the network is ", NEFIA_EINVAL);
    if (why) {
        addr_text(why, &meant.base);
        text_str(why, "/");
        text_u64(why, n->bits);
        text_str(why, ", the single host ");
        addr_text(why, &n->base);
    }
    return NEFIA_EINVAL;
}

int addr_net_parse(struct addr_net *n, const char *s, size_t len, struct text *why)
{
    struct slice all = {s, len}, bits = all, host;
    bool prefix = cut_at(&bits, '/', &host);
    struct place p = {.host = host, .colons = find(host, ':') >= 0};
    unsigned mapped = 0;
    uint64_t v;

    *n = (struct addr_net){0};
    if (find(host, '%') >= 0 || parse_host(&p, &n->base) < 0)
        return complain(why, all, " is not a network" REMEDY(" such as 10.99.0.0/24 or fd00::/8"),
                        NEFIA_ESYNTAX);
    if (p.colons && n->base.family == AF_INET)
        mapped = 96;
    n->bits = (uint8_t)width(&n->base);
    if (!prefix)
        return 0;
    if (parse_u64(bits.ptr, bits.len, &v) < 0 || v < mapped || v > mapped + width(&n->base)) {
        complain(why, all, ": the prefix length must be a number up to ", NEFIA_EINVAL);
        if (why)
            text_u64(why, mapped + width(&n->base));
        return NEFIA_EINVAL;
    }
    n->bits = (uint8_t)(v - mapped);
    return check_host_bits(n, all, why);
}

bool addr_net_match(const struct addr_net *n, const struct addr *a)
{
    if (n->base.family == 0 || n->base.family != a->family)
        return false;
    for (unsigned i = 0; i < 16; i++)
        if ((a->ip[i] ^ n->base.ip[i]) & mask_byte(n->bits, i))
            return false;
    return true;
}

bool addr_nets_match(const struct addr_net *nets, unsigned count, const struct addr *a)
{
    for (unsigned i = 0; i < count; i++)
        if (addr_net_match(&nets[i], a))
            return true;
    return false;
}
