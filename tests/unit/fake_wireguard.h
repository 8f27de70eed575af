/* A kernel with one WireGuard interface and addresses: our definitions take the place of libc's, and a netlink socket is
 * one end of a pair of local ones. Its messages are in the byte order of the machine, as the kernel's are. */
#ifndef NEFIA_TESTS_FAKE_WIREGUARD_H
#define NEFIA_TESTS_FAKE_WIREGUARD_H

#include <errno.h>
#include <linux/genetlink.h>
#include <linux/if_addr.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/wireguard.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "check.h"
#include "nefia/net/addr.h"

enum { WG_PEERS = 8, WG_FAMILY = 31, WG_NETS = 6 };

struct wg_peer {
    uint8_t key; /* 32 bytes of it; 0: there is none */
    int64_t handshake;
    uint64_t sent;
    uint16_t keepalive;
    const char *nets[WG_NETS];
    unsigned split; /* so many networks are in the first message; 0: all */
};

static struct {
    struct wg_peer peers[WG_PEERS];
    const char *ours[2];    /* addresses */
    uint8_t flags;          /* of all of them: IFA_F_… */
    int family_error, error; /* errno: of the question for the family, of that for the interface */
    unsigned interrupted;   /* so many dumps say so */
    unsigned asked;         /* dumps of the interface */
    unsigned addresses;     /* dumps of the addresses */
    int news[2], lost;      /* of the socket that is bound to groups; errno of the next recvfrom(2) of it */
    int pairs[2][2];        /* of sockets: of WireGuard, and of the rest */
    int peer;               /* of the one that asks */
} wg;

/** The text of the key whose bytes all are this. */
#define WG_KEY_1 "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE="
#define WG_KEY_2 "AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI="
#define WG_KEY_3 "AwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwM="

struct wg_message {
    size_t len;
    _Alignas(4) uint8_t bytes[4096];
};

static inline void wg_put(struct wg_message *m, const void *part, size_t len)
{
    memset(m->bytes + m->len, 0, (len + 3) & ~(size_t)3);
    memcpy(m->bytes + m->len, part, len);
    m->len += (len + 3) & ~(size_t)3;
}

static inline void wg_begin(struct wg_message *m, uint16_t type, uint32_t seq)
{
    const struct nlmsghdr h = {
        .nlmsg_type = type, .nlmsg_flags = wg.interrupted ? NLM_F_MULTI | NLM_F_DUMP_INTR : NLM_F_MULTI, .nlmsg_seq = seq};

    m->len = 0;
    wg_put(m, &h, sizeof h);
}

static inline size_t wg_open(struct wg_message *m, uint16_t type)
{
    const struct nlattr a = {.nla_type = type};

    wg_put(m, &a, sizeof a);
    return m->len - sizeof a;
}

static inline void wg_close(struct wg_message *m, size_t at)
{
    const uint16_t len = (uint16_t)(m->len - at);

    memcpy(m->bytes + at, &len, sizeof len);
}

static inline void wg_attribute(struct wg_message *m, uint16_t type, const void *value, size_t len)
{
    const struct nlattr a = {.nla_len = (uint16_t)(sizeof a + len), .nla_type = type};

    wg_put(m, &a, sizeof a);
    wg_put(m, value, len);
}

static inline void wg_send(struct wg_message *m)
{
    const uint32_t len = (uint32_t)m->len;

    memcpy(m->bytes, &len, sizeof len);
    CHECK(send(wg.peer, m->bytes, m->len, 0) == (ssize_t)m->len);
}

static inline void wg_end(uint16_t type, int error, uint32_t seq)
{
    struct wg_message m;

    wg_begin(&m, type, seq);
    wg_put(&m, &(int32_t){-error}, sizeof(int32_t));
    wg_send(&m);
}

static inline void wg_net(struct wg_message *m, const char *text)
{
    struct addr_net n;

    REQUIRE(addr_net_parse(&n, text, strlen(text), NULL) == 0);
    const size_t at = wg_open(m, NLA_F_NESTED);
    wg_attribute(m, WGALLOWEDIP_A_CIDR_MASK, &n.bits, 1);
    wg_attribute(m, WGALLOWEDIP_A_FAMILY, &(uint16_t){n.base.family}, sizeof(uint16_t));
    wg_attribute(m, WGALLOWEDIP_A_IPADDR, n.base.ip, n.base.family == AF_INET ? 4 : 16);
    wg_close(m, at);
}

/** One message: the peer with its networks from `from` on, as the kernel writes it (drivers/net/wireguard/netlink.c).
 * Return: how many networks it has in all messages up to this. */
static inline unsigned wg_message(const struct wg_peer *p, unsigned from, uint32_t seq)
{
    struct wg_message m;
    uint8_t key[32];
    const struct {
        int64_t s, ns;
    } stamp = {p->handshake, p->handshake ? 5 : 0};
    unsigned i = from;

    wg_begin(&m, WG_FAMILY, seq);
    wg_put(&m, &(struct genlmsghdr){.cmd = WG_CMD_GET_DEVICE, .version = 1}, sizeof(struct genlmsghdr));
    if (from == 0) {
        memset(key, 0x77, sizeof key);
        wg_attribute(&m, WGDEVICE_A_PRIVATE_KEY, key, sizeof key);
        wg_attribute(&m, WGDEVICE_A_IFNAME, "wg0", 4);
    }
    const size_t peers = wg_open(&m, WGDEVICE_A_PEERS | NLA_F_NESTED);
    if (p->key) {
        const size_t peer = wg_open(&m, NLA_F_NESTED);
        memset(key, p->key, sizeof key);
        wg_attribute(&m, WGPEER_A_PUBLIC_KEY, key, sizeof key);
        if (from == 0) {
            memset(key, 0x55, sizeof key);
            wg_attribute(&m, WGPEER_A_PRESHARED_KEY, key, sizeof key);
            wg_attribute(&m, WGPEER_A_LAST_HANDSHAKE_TIME, &stamp, sizeof stamp);
            wg_attribute(&m, WGPEER_A_PERSISTENT_KEEPALIVE_INTERVAL, &p->keepalive, sizeof p->keepalive);
            wg_attribute(&m, WGPEER_A_TX_BYTES, &p->sent, sizeof p->sent);
            wg_attribute(&m, WGPEER_A_RX_BYTES, &p->sent, sizeof p->sent);
        }
        const size_t ips = wg_open(&m, WGPEER_A_ALLOWEDIPS | NLA_F_NESTED);
        for (; i < WG_NETS && p->nets[i] && !(p->split && from == 0 && i == p->split); i++)
            wg_net(&m, p->nets[i]);
        wg_close(&m, ips);
        wg_close(&m, peer);
    }
    wg_close(&m, peers);
    wg_send(&m);
    return i;
}

static inline void wg_dump(uint32_t seq)
{
    static const struct wg_peer none;

    wg.asked++;
    wg_message(&none, 0, seq);
    for (unsigned i = 0; i < WG_PEERS; i++) {
        const struct wg_peer *p = &wg.peers[i];
        if (p->key && wg_message(p, 0, seq) < WG_NETS && p->split)
            wg_message(p, p->split, seq);
    }
    if (wg.interrupted)
        wg.interrupted--;
    wg_end(NLMSG_DONE, 0, seq);
}

static inline void wg_addresses(uint8_t family, uint32_t seq)
{
    struct wg_message m;
    struct addr a;

    for (unsigned i = 0; i < 2; i++) {
        if (!wg.ours[i])
            continue;
        REQUIRE(addr_parse(&a, wg.ours[i], strlen(wg.ours[i]), 1, NULL) == 0);
        if (a.family != family)
            continue;
        wg_begin(&m, RTM_NEWADDR, seq);
        wg_put(&m, &(struct ifaddrmsg){.ifa_family = family, .ifa_prefixlen = 24, .ifa_flags = wg.flags}, sizeof(struct ifaddrmsg));
        if (family == AF_INET) { /* a point-to-point link: the address is the other end's */
            wg_attribute(&m, IFA_ADDRESS, (uint8_t[]){10, 77, 0, 200}, 4);
            wg_attribute(&m, IFA_LOCAL, a.ip, 4);
        } else {
            wg_attribute(&m, IFA_ADDRESS, a.ip, 16);
        }
        wg_send(&m);
    }
    wg_end(NLMSG_DONE, 0, seq);
}

int socket(int domain, int type, int protocol)
{
    int *pair = wg.pairs[protocol == NETLINK_ROUTE];

    (void)type;
    CHECK(domain == AF_NETLINK && (protocol == NETLINK_GENERIC || protocol == NETLINK_ROUTE));
    if (pair[1])
        close(pair[1]);
    CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0);
    return pair[0];
}

int bind(int fd, const struct sockaddr *to, socklen_t len)
{
    struct sockaddr_nl a;

    CHECK(fd == wg.pairs[1][0] && len == sizeof a);
    memcpy(&a, to, sizeof a);
    CHECK_INT(a.nl_groups, RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR);
    memcpy(wg.news, wg.pairs[1], sizeof wg.news);
    memset(wg.pairs[1], 0, sizeof wg.pairs[1]);
    return 0;
}

ssize_t recvfrom(int fd, void *restrict to, size_t cap, int flags, struct sockaddr *restrict from, socklen_t *restrict from_len)
{
    if (fd != wg.news[0] || !wg.lost)
        return (ssize_t)syscall(SYS_recvfrom, fd, to, cap, flags, from, from_len);
    errno = wg.lost;
    wg.lost = 0;
    return -1;
}

/** An address is another one from now on; null: it is gone. The kernel says so. */
static inline void wg_ours(unsigned i, const char *address)
{
    wg.ours[i] = address;
    CHECK(!wg.news[1] || send(wg.news[1], "some message", 12, 0) == 12);
}

ssize_t sendto(int fd, const void *question, size_t len, int flags, const struct sockaddr *to, socklen_t to_len)
{
    struct nlmsghdr h;
    struct wg_message m;

    const bool route = fd == wg.pairs[1][0];
    if (!to || fd != wg.pairs[route][0])
        return (ssize_t)syscall(SYS_sendto, fd, question, len, flags, to, to_len);
    wg.peer = wg.pairs[route][1];
    memcpy(&h, question, sizeof h);
    const char *text = (const char *)question + sizeof h + sizeof(struct genlmsghdr) + sizeof(struct nlattr);
    CHECK_INT(h.nlmsg_len, len);
    if (h.nlmsg_type == RTM_GETADDR) {
        wg.addresses++;
        wg_addresses(((const uint8_t *)question)[sizeof h], h.nlmsg_seq);
    } else if (h.nlmsg_type == GENL_ID_CTRL && wg.family_error) {
        wg_end(NLMSG_ERROR, wg.family_error, h.nlmsg_seq);
    } else if (h.nlmsg_type == GENL_ID_CTRL) {
        CHECK_STR(text, "wireguard");
        wg_begin(&m, GENL_ID_CTRL, h.nlmsg_seq);
        wg_put(&m, &(struct genlmsghdr){.cmd = CTRL_CMD_NEWFAMILY}, sizeof(struct genlmsghdr));
        wg_attribute(&m, CTRL_ATTR_FAMILY_ID, &(uint16_t){WG_FAMILY}, sizeof(uint16_t));
        wg_send(&m);
    } else if (wg.error) {
        wg_end(NLMSG_ERROR, wg.error, h.nlmsg_seq);
    } else {
        CHECK_INT(h.nlmsg_type, WG_FAMILY);
        CHECK_STR(text, "wg0");
        wg_dump(h.nlmsg_seq);
    }
    return (ssize_t)len;
}

static inline void wg_init(void)
{
    memset(&wg, 0, sizeof wg);
}

#endif
