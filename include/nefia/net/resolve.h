#ifndef NEFIA_NET_RESOLVE_H
#define NEFIA_NET_RESOLVE_H

#include <stddef.h>
#include <stdint.h>

#include "nefia/net/addr.h"

/** Host names to addresses: /etc/hosts, then DNS (RFC 1035, over UDP) at the servers of
 * /etc/resolv.conf. Blocks, up to RESOLVE_TRIES times RESOLVE_WAIT_MS for each server: for child
 * processes. Not getaddrinfo, which allocates and brings half of a C library with it. Names are
 * asked for as they are written: `search` lists are not used. */
#define RESOLVE_TRIES 2
#define RESOLVE_WAIT_MS 2500
#define RESOLVE_SERVERS 3

/** Return: how many addresses (1..cap), all with this port; NEFIA_ENOTFOUND: there is no such name;
 * NEFIA_ETIMEOUT: no server answered; NEFIA_EINVAL: no name by RFC 1035. An address in numbers is
 * taken as it is. */
int resolve(const char *host, uint16_t port, struct addr *out, unsigned cap);

/** The pure parts, for tests. */
#define DNS_MESSAGE 512
enum { DNS_A = 1, DNS_AAAA = 28 };
/** Addresses of `host` in the text of a hosts file. Return: how many. */
int resolve_hosts(const char *text, size_t len, const char *host, struct addr *out, unsigned cap);
/** Servers in the text of a resolv.conf. Return: how many. */
int resolve_servers(const char *text, size_t len, struct addr *out, unsigned cap);
/** Return: bytes of a query, or NEFIA_EINVAL. */
int dns_query(uint8_t out[DNS_MESSAGE], uint16_t id, const char *host, uint16_t type);
/** Read an answer to that query. Only addresses of the asked type are taken, whatever the name they
 * hang on (CNAMEs lead there). Return: how many (>= 0); NEFIA_ENOTFOUND: the name does not exist;
 * NEFIA_EAGAIN: no answer to our query; NEFIA_ESYNTAX; NEFIA_EIO: the server failed. */
int dns_answer(const uint8_t *msg, size_t len, uint16_t id, const char *host, uint16_t type,
               struct addr *out, unsigned cap);

#endif
