#ifndef NEFIA_NET_RESOLVE_H
#define NEFIA_NET_RESOLVE_H

#include <stddef.h>
#include <stdint.h>

#include "nefia/net/addr.h"

/** Resolve host names: /etc/hosts, then DNS (RFC 1035, over UDP) through the servers of
 * /etc/resolv.conf. Blocks for up to RESOLVE_TRIES times RESOLVE_WAIT_MS per server: for child
 * processes. Not getaddrinfo, which allocates and links much of the C library. Names are looked up
 * as written: `search` lists are not used. */
#define RESOLVE_TRIES 2
#define RESOLVE_WAIT_MS 2500
#define RESOLVE_SERVERS 3

/** Return: the number of addresses (1..cap), all with this port; NEFIA_ENOTFOUND: no such name;
 * NEFIA_ETIMEOUT: no server responded; NEFIA_EINVAL: not a name by RFC 1035. A numeric address is
 * returned as it is. */
int resolve(const char *host, uint16_t port, struct addr *out, unsigned cap);

/** Pure functions, exposed for tests. */
#define DNS_MESSAGE 512
enum { DNS_A = 1, DNS_AAAA = 28 };
/** Addresses of `host` in the text of a hosts file. Return: their number. */
int resolve_hosts(const char *text, size_t len, const char *host, struct addr *out, unsigned cap);
/** Servers in the text of a resolv.conf. Return: their number. */
int resolve_servers(const char *text, size_t len, struct addr *out, unsigned cap);
/** Return: length of the query, or NEFIA_EINVAL. */
int dns_query(uint8_t out[DNS_MESSAGE], uint16_t id, const char *host, uint16_t type);
/** Parse the response to that query. Only addresses of the requested type are taken, whatever name
 * they belong to (CNAMEs lead there). Return: their number (>= 0); NEFIA_ENOTFOUND: no such name;
 * NEFIA_EAGAIN: not a response to our query; NEFIA_ESYNTAX; NEFIA_EIO: server failure. */
int dns_answer(const uint8_t *msg, size_t len, uint16_t id, const char *host, uint16_t type,
               struct addr *out, unsigned cap);

#endif
