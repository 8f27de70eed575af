#ifndef NEFIA_NET_WIREGUARD_H
#define NEFIA_NET_WIREGUARD_H

#include <linux/wireguard.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "nefia/net/addr.h"
#include "nefia/net/netlink.h"
#include "nefia/base/text.h"

/** Read the peers of a WireGuard interface from the kernel: generic netlink, family "wireguard"
 * (<linux/wireguard.h>), WG_CMD_GET_DEVICE, which requires CAP_NET_ADMIN. The kernel answers immediately from its
 * own memory; this does not wait for the network. */

/** Longest interface name with its NUL (IFNAMSIZ). */
#define WIREGUARD_NAME 16
#define WIREGUARD_WORK NETLINK_WORK
#define WIREGUARD_KEY 32      /* bytes of a key */
#define WIREGUARD_KEY_TEXT 45 /* in base64, with its NUL */

/** A peer as one message has it: its attributes by their numbers (WGPEER_A_…), null where there is none. One
 * with many allowed IPs continues in the next message, where it has only its key and the further ones. Valid while
 * it is taken: the bytes are in the buffer, which is wiped. */
struct wireguard_peer {
    struct netlink_part attributes[WGPEER_A_ALLOWEDIPS + 1];
};
/** Its public key, WIREGUARD_KEY bytes; it is there. */
static inline const uint8_t *wireguard_key(const struct wireguard_peer *p)
{
    return p->attributes[WGPEER_A_PUBLIC_KEY].ptr;
}
/** The networks that it may send from, perhaps none. */
static inline struct netlink_part wireguard_nets(const struct wireguard_peer *p)
{
    const struct netlink_part nets = p->attributes[WGPEER_A_ALLOWEDIPS];

    return nets.ptr ? nets : (struct netlink_part){wireguard_key(p), 0};
}
/** The next of them. Return: whether there is one; afterwards netlink_ended. */
bool wireguard_next_net(struct netlink_part *rest, struct addr_net *net);
/** The key as wg(8) shows it. */
void wireguard_key_text(char text[WIREGUARD_KEY_TEXT], const uint8_t key[WIREGUARD_KEY]);
/** Is this the text of a key: 44 characters of base64, of which the last is padding and the one before it has no
 * surplus bits (RFC 4648, 3.5)? */
bool wireguard_is_key(const char *text);

struct wireguard_dump {
    /** Each peer, and parts of peers. p null: a dump begins, perhaps again, and what came before does not
     * count. Return: 0; negative: give up. */
    int (*on_peer)(void *arg, const struct wireguard_peer *p);
    void *arg;
    uint16_t family; /* the kernel's number for "wireguard"; 0: not known yet */
    struct netlink_answer answer;
};
/** Parse one datagram from the kernel: a response to CTRL_CMD_GETFAMILY (sets family) or part of
 * the response to WG_CMD_GET_DEVICE. Safe on arbitrary bytes. Return: 1 response complete; 0 more datagrams
 * follow; NEFIA_ESYNTAX not such a message; NEFIA_EIO rejected by the kernel (d->answer.error); what
 * on_peer returned. */
int wireguard_feed(struct wireguard_dump *d, const void *datagram, size_t len);
/** Query the kernel. on_peer and arg are set by the caller, and family, which is 0 or from the query before; the rest is filled
 * in. work: WIREGUARD_WORK bytes,
 * wiped after each answer (they contain the private key and preshared keys).
 * Return: 0; NEFIA_ENOTFOUND (no such interface, or not one of WireGuard), NEFIA_EAGAIN (the peers keep changing),
 * NEFIA_EIO (d->answer.error; ENOENT: no WireGuard in this kernel; EPERM: no CAP_NET_ADMIN), NEFIA_ESYNTAX; what
 * on_peer returned. */
int wireguard_ask(struct wireguard_dump *d, const char *interface, void *work);

/** The networks that all peers may send from.
 * Networks wider than /8 (IPv6: /16) are skipped and counted: a peer that is a default route says
 * nothing about who is sending. */
struct wireguard_reader {
    struct addr_net *nets; /* the caller's; cap of them */
    unsigned cap, count;
    unsigned left_out;     /* did not fit into nets */
    unsigned too_wide;
};
/** For wireguard_dump; reader: a struct wireguard_reader. */
int wireguard_take_nets(void *reader, const struct wireguard_peer *p);
/** Query the kernel. r: nets and cap are set by the caller, the rest is filled in. work: as above.
 * Return: 0; NEFIA_ENOTFOUND (no such interface, or no WireGuard in this kernel), NEFIA_EAUTH (no
 * CAP_NET_ADMIN), NEFIA_EAGAIN (the peers keep changing), NEFIA_EIO, NEFIA_ESYNTAX, each with a
 * sentence in why and count 0. */
int wireguard_read(struct wireguard_reader *r, const char *interface, void *work,
                   struct text *why);

/** Parse "wireguard:wg0" from the configuration. Return: the interface name, inside s; or null. */
const char *wireguard_interface(const char *s);

#endif
