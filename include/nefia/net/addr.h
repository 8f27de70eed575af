#ifndef NEFIA_NET_ADDR_H
#define NEFIA_NET_ADDR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "nefia/base/text.h"

/** Internet addresses with a port, in binary. Names are not resolved here: that blocks and belongs
 * in a child process. IPv4-mapped IPv6 addresses (::ffff:a.b.c.d, as dual-stack sockets report
 * them) are converted to IPv4 on input. */
struct addr {
    uint8_t family; /* AF_INET, AF_INET6; 0: none */
    uint8_t ip[16]; /* network order; IPv4 uses the first 4, the rest is 0 */
    uint16_t port;  /* host order */
    uint32_t scope; /* interface index of a link-local address, or 0 */
};

/** Longest text of an address with scope and port: "[…39…%4294967295]:65535". */
#define ADDR_TEXT 64
/** Longest host name (RFC 1035) plus NUL. */
#define ADDR_HOST 256

/** Formats: "10.0.0.1:9500", "10.0.0.1", "[::1]:9500", "[fe80::1%eth0]:9500", "::1", "[::1]".
 * Without a port default_port applies (0: a port is required). why (may be null) gets a sentence,
 * also if a name was given. Return: 0; NEFIA_ESYNTAX; NEFIA_EINVAL (port 0 or over 65535);
 * NEFIA_ENOTSUP (it is a name: see addr_parse_hostport); NEFIA_ENOTFOUND (no such interface). */
int addr_parse(struct addr *a, const char *s, size_t len, uint16_t default_port, struct text *why);
/** Split "host:port", "host", "[::1]:port" into host (without brackets) and port, for a resolver in
 * a child process. Checks the syntax of a name (RFC 952, RFC 1123, and `_`), not whether it
 * exists. Returns as addr_parse, but 0 for names too. */
int addr_parse_hostport(const char *s, size_t len, uint16_t default_port, char host[ADDR_HOST],
                        uint16_t *port, struct text *why);
/** The format addr_parse reads: RFC 5952 for IPv6; with the port if it is not 0. A scope is written
 * as its number. */
void addr_text(struct text *t, const struct addr *a);
/** In an argument list: LOG_INFO("from ", ADDR(&peer)). */
char *addr_str(char buf[ADDR_TEXT], const struct addr *a);
struct addr_words {
    char text[ADDR_TEXT];
};
struct addr_words addr_words(const struct addr *a);
#define ADDR(a) (addr_words(a).text)
/** Same address and scope; the port is not compared. */
bool addr_same_host(const struct addr *a, const struct addr *b);

/** Return: bytes of ss in use. */
socklen_t addr_to_sockaddr(const struct addr *a, struct sockaddr_storage *ss);
/** NEFIA_EINVAL for another family (a is none then). */
int addr_from_sockaddr(struct addr *a, const struct sockaddr_storage *ss);

/** A network such as 10.99.0.0/24. */
struct addr_net {
    struct addr base;
    uint8_t bits;
};
/** "10.99.0.0/24", "fd00::/8", "192.0.2.1" (a single host). Bits set beyond the prefix are
 * NEFIA_EINVAL, with the probably intended network in why. Otherwise as addr_parse. */
int addr_net_parse(struct addr_net *n, const char *s, size_t len, struct text *why);
/** Clear the bits beyond the prefix. */
void addr_net_mask(struct addr_net *n);
bool addr_net_match(const struct addr_net *n, const struct addr *a);
/** Does any of these networks contain it? */
bool addr_nets_match(const struct addr_net *nets, unsigned count, const struct addr *a);

#endif
