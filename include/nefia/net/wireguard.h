#ifndef NEFIA_NET_WIREGUARD_H
#define NEFIA_NET_WIREGUARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "nefia/net/addr.h"
#include "nefia/base/text.h"

/** The networks that the peers of a WireGuard interface may speak from (their allowed IPs), from
 * the kernel: generic netlink, family "wireguard" (<linux/wireguard.h>), WG_CMD_GET_DEVICE, which
 * needs CAP_NET_ADMIN. The kernel answers at once and out of its own memory; nothing waits for a
 * network.
 *
 * Networks wider than /8 (IPv6: /16) are left out and counted: a peer that is somebody's way to the
 * whole Internet says nothing about who speaks. */

/** Longest interface name with its NUL (IFNAMSIZ). */
#define WIREGUARD_NAME 16
/** The kernel's messages in one piece: NLMSG_GOODSIZE is a page, and 8 KiB at most. */
#define WIREGUARD_WORK 8192

struct wireguard_reader {
    struct addr_net *nets; /* the caller's; cap of them */
    unsigned cap, count;
    unsigned left_out;     /* had no room in nets */
    unsigned too_wide;
    uint32_t sequence;     /* of the question asked; answers to others are passed over */
    uint16_t family;       /* the kernel's number for "wireguard"; 0: not known yet */
    int error;             /* errno as the kernel gave it, after NEFIA_EIO */
    bool interrupted;      /* the peers changed while they were told: ask again */
};

/** One datagram from the kernel: an answer to CTRL_CMD_GETFAMILY (sets family) or a part of the
 * answer to WG_CMD_GET_DEVICE (adds to nets; a peer's list may go on in the next part).
 * Any bytes are safe here. Return: 1 the answer is complete; 0 more datagrams follow; NEFIA_ESYNTAX
 * it is no such message; NEFIA_EIO the kernel refused (r->error). */
int wireguard_feed(struct wireguard_reader *r, const void *datagram, size_t len);

/** Ask the kernel. r: nets and cap are set by the caller, the rest is filled in. work:
 * WIREGUARD_WORK bytes, wiped afterwards (the answers hold private keys).
 * Return: 0; NEFIA_ENOTFOUND (no such interface, or no WireGuard in this kernel), NEFIA_EAUTH (no
 * CAP_NET_ADMIN), NEFIA_EAGAIN (the peers keep changing), NEFIA_EIO, NEFIA_ESYNTAX, each with a
 * sentence in why and count 0. */
int wireguard_read(struct wireguard_reader *r, const char *interface, void *work,
                   struct text *why);

/** "wireguard:wg0" as the configuration has it. Return: the name, a part of s; or null. */
const char *wireguard_interface(const char *s);

#endif
