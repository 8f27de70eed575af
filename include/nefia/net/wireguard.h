#ifndef NEFIA_NET_WIREGUARD_H
#define NEFIA_NET_WIREGUARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "nefia/net/addr.h"
#include "nefia/net/netlink.h"
#include "nefia/base/text.h"

/** Read the allowed IPs of a WireGuard interface's peers, the networks they may send from, from the
 * kernel: generic netlink, family "wireguard" (<linux/wireguard.h>), WG_CMD_GET_DEVICE, which
 * requires CAP_NET_ADMIN. The kernel answers immediately from its own memory; this does not wait
 * for the network.
 *
 * Networks wider than /8 (IPv6: /16) are skipped and counted: a peer that is a default route says
 * nothing about who is sending. */

/** Longest interface name with its NUL (IFNAMSIZ). */
#define WIREGUARD_NAME 16
#define WIREGUARD_WORK NETLINK_WORK

struct wireguard_reader {
    struct addr_net *nets; /* the caller's; cap of them */
    unsigned cap, count;
    unsigned left_out;     /* did not fit into nets */
    unsigned too_wide;
    uint16_t family;       /* the kernel's number for "wireguard"; 0: not known yet */
    struct netlink_answer answer;
};

/** Parse one datagram from the kernel: a response to CTRL_CMD_GETFAMILY (sets family) or part of
 * the response to WG_CMD_GET_DEVICE (appends to nets; a peer's list may continue in the next part).
 * Safe on arbitrary bytes. Return: 1 response complete; 0 more datagrams follow; NEFIA_ESYNTAX not
 * such a message; NEFIA_EIO rejected by the kernel (r->answer.error). */
int wireguard_feed(struct wireguard_reader *r, const void *datagram, size_t len);

/** Query the kernel. r: nets and cap are set by the caller, the rest is filled in. work:
 * WIREGUARD_WORK bytes, wiped after each answer (they contain private keys).
 * Return: 0; NEFIA_ENOTFOUND (no such interface, or no WireGuard in this kernel), NEFIA_EAUTH (no
 * CAP_NET_ADMIN), NEFIA_EAGAIN (the peers keep changing), NEFIA_EIO, NEFIA_ESYNTAX, each with a
 * sentence in why and count 0. */
int wireguard_read(struct wireguard_reader *r, const char *interface, void *work,
                   struct text *why);

/** Parse "wireguard:wg0" from the configuration. Return: the interface name, inside s; or null. */
const char *wireguard_interface(const char *s);

#endif
