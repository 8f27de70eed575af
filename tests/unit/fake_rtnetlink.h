/* A kernel with links and routes: our definitions take the place of libc's, and a netlink socket is one end of a pair
 * of local ones. Its messages are in the byte order of the machine, as the kernel's are. */
#ifndef NEFIA_TESTS_FAKE_RTNETLINK_H
#define NEFIA_TESTS_FAKE_RTNETLINK_H

#include <errno.h>
#include <linux/if.h>
#include <linux/if_link.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "check.h"

enum { KERNEL_LINKS = 24, KERNEL_UP = IFF_UP | IFF_RUNNING };

struct kernel_link {
    int index; /* 0: none */
    unsigned flags;
    const char *name;
    uint64_t errors, drops, rx, tx; /* rx, tx: bytes */
};

static struct {
    struct kernel_link links[KERNEL_LINKS];
    bool route4, route6;       /* there are default routes */
    int refuses;               /* errno of socket(2) */
    int fails;                 /* errno of the next recvfrom(2) */
    bool old;                  /* before Linux 4.7: what links count is no question */
    int opened[2], news[2];    /* the latest pair; that which was bound */
    uint32_t groups;
    bool interrupted;          /* dumps say so */
    unsigned asked[3], taken;  /* dumps of links, of routes and of what links count; datagrams */
    uint32_t sequence;         /* of the last question */
} kernel;

/** A message that is put together. */
struct message {
    size_t len;
    _Alignas(4) uint8_t bytes[2048];
};

static inline void message_put(struct message *m, const void *part, size_t len)
{
    memset(m->bytes + m->len, 0, (len + 3) & ~(size_t)3);
    memcpy(m->bytes + m->len, part, len);
    m->len += (len + 3) & ~(size_t)3;
}

static inline void message_begin(struct message *m, uint16_t type, uint16_t flags, uint32_t seq)
{
    const struct nlmsghdr h = {.nlmsg_type = type, .nlmsg_flags = flags, .nlmsg_seq = seq};

    m->len = 0;
    message_put(m, &h, sizeof h);
}

static inline void message_attribute(struct message *m, uint16_t type, const void *value, size_t len)
{
    const struct nlattr a = {.nla_len = (uint16_t)(sizeof a + len), .nla_type = type};

    message_put(m, &a, sizeof a);
    message_put(m, value, len);
}

static inline void message_end(struct message *m)
{
    const uint32_t len = (uint32_t)m->len;

    memcpy(m->bytes, &len, sizeof len);
}

static inline void message_link(struct message *m, uint16_t type, uint8_t family, const struct kernel_link *l, uint32_t seq)
{
    const struct ifinfomsg link = {.ifi_family = family, .ifi_index = l->index, .ifi_flags = l->flags};
    const struct rtnl_link_stats64 stats = {
        .rx_errors = l->errors, .tx_dropped = l->drops, .rx_bytes = l->rx, .tx_bytes = l->tx};

    message_begin(m, type, kernel.interrupted ? NLM_F_MULTI | NLM_F_DUMP_INTR : NLM_F_MULTI, seq);
    message_put(m, &link, sizeof link);
    message_attribute(m, IFLA_MTU, &l->index, sizeof l->index);
    message_attribute(m, IFLA_IFNAME, l->name, strlen(l->name) + 1);
    message_attribute(m, IFLA_STATS64, &stats, sizeof stats);
    message_end(m);
}

static inline void message_stats(struct message *m, const struct kernel_link *l, uint32_t seq)
{
    const struct if_stats_msg link = {.ifindex = (uint32_t)l->index};
    const struct rtnl_link_stats64 stats = {.rx_errors = l->errors, .tx_dropped = l->drops};

    message_begin(m, RTM_NEWSTATS, kernel.interrupted ? NLM_F_MULTI | NLM_F_DUMP_INTR : NLM_F_MULTI, seq);
    message_put(m, &link, sizeof link);
    message_attribute(m, IFLA_STATS_UNSPEC, &l->index, sizeof l->index);
    message_attribute(m, IFLA_STATS_LINK_64, &stats, sizeof stats);
    message_end(m);
}

static inline void message_route(struct message *m, uint16_t type, uint8_t family, uint8_t bits, uint8_t table, uint32_t seq)
{
    const struct rtmsg route = {
        .rtm_family = family, .rtm_dst_len = bits, .rtm_table = table, .rtm_type = RTN_UNICAST};

    message_begin(m, type, NLM_F_MULTI, seq);
    message_put(m, &route, sizeof route);
    message_end(m);
}

static inline void kernel_send(int to, const struct message *m)
{
    CHECK(send(to, m->bytes, m->len, 0) == (ssize_t)m->len);
}

int socket(int domain, int type, int protocol)
{
    (void)type;
    CHECK(domain == AF_NETLINK && protocol == NETLINK_ROUTE);
    errno = kernel.refuses;
    if (kernel.refuses)
        return -1;
    if (kernel.opened[1] && kernel.opened[1] != kernel.news[1])
        close(kernel.opened[1]);
    CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, kernel.opened) == 0);
    return kernel.opened[0];
}

int bind(int fd, const struct sockaddr *to, socklen_t len)
{
    struct sockaddr_nl a;

    CHECK(fd == kernel.opened[0] && len == sizeof a);
    memcpy(&a, to, sizeof a);
    if (kernel.news[1])
        close(kernel.news[1]);
    memcpy(kernel.news, kernel.opened, sizeof kernel.news);
    kernel.groups = a.nl_groups;
    return 0;
}

ssize_t recvfrom(int fd, void *restrict to, size_t cap, int flags, struct sockaddr *restrict from,
                 socklen_t *restrict from_len)
{
    errno = kernel.fails;
    kernel.fails = 0;
    if (errno)
        return -1;
    kernel.taken++;
    return (ssize_t)syscall(SYS_recvfrom, fd, to, cap, flags, from, from_len);
}

/** The answer to RTM_GETSTATS. */
static inline ssize_t kernel_count(const void *question, const struct nlmsghdr *h)
{
    struct if_stats_msg asked;
    struct message m;

    memcpy(&asked, (const uint8_t *)question + sizeof *h, sizeof asked);
    CHECK_INT(asked.filter_mask, IFLA_STATS_FILTER_BIT(IFLA_STATS_LINK_64));
    for (unsigned i = 0; !kernel.old && i < KERNEL_LINKS; i++) {
        if (kernel.links[i].index == 0)
            continue;
        message_stats(&m, &kernel.links[i], h->nlmsg_seq);
        kernel_send(kernel.opened[1], &m);
    }
    message_begin(&m, kernel.old ? NLMSG_ERROR : NLMSG_DONE, NLM_F_MULTI, h->nlmsg_seq);
    message_put(&m, &(int32_t){kernel.old ? -EOPNOTSUPP : 0}, sizeof(int32_t));
    message_end(&m);
    kernel_send(kernel.opened[1], &m);
    return (ssize_t)h->nlmsg_len;
}

/** The answer to RTM_GETLINK for one of them, by its name. */
static inline ssize_t kernel_find(const void *question, const struct nlmsghdr *h)
{
    const struct nlattr expected = {.nla_len = sizeof expected + IFNAMSIZ, .nla_type = IFLA_IFNAME};
    const char *attribute = (const char *)question + sizeof *h + sizeof(struct ifinfomsg);
    const char *name = attribute + sizeof expected;
    struct message m;
    unsigned i = 0;

    CHECK(h->nlmsg_len == sizeof *h + sizeof(struct ifinfomsg) + expected.nla_len);
    CHECK(memcmp(attribute, &expected, sizeof expected) == 0 && memchr(name, 0, IFNAMSIZ));
    while (i < KERNEL_LINKS && (kernel.links[i].index == 0 || strcmp(kernel.links[i].name, name) != 0))
        i++;
    if (i < KERNEL_LINKS) {
        message_link(&m, RTM_NEWLINK, AF_UNSPEC, &kernel.links[i], h->nlmsg_seq);
    } else {
        message_begin(&m, NLMSG_ERROR, 0, h->nlmsg_seq);
        message_put(&m, &(int32_t){-ENODEV}, sizeof(int32_t));
        message_end(&m);
    }
    kernel_send(kernel.opened[1], &m);
    return (ssize_t)h->nlmsg_len;
}

ssize_t sendto(int fd, const void *question, size_t len, int flags, const struct sockaddr *to, socklen_t to_len)
{
    struct nlmsghdr h;
    struct message m;
    uint8_t family;

    if (!to || fd != kernel.opened[0])
        return (ssize_t)syscall(SYS_sendto, fd, question, len, flags, to, to_len);
    memcpy(&h, question, sizeof h);
    if (h.nlmsg_type == RTM_GETLINK && !(h.nlmsg_flags & NLM_F_DUMP))
        return kernel_find(question, &h);
    family = ((const uint8_t *)question)[sizeof h];
    CHECK(h.nlmsg_len == len && (h.nlmsg_flags & NLM_F_DUMP) == NLM_F_DUMP &&
          len == sizeof h + (h.nlmsg_type == RTM_GETLINK ? sizeof(struct ifinfomsg) : sizeof(struct rtmsg)));
    kernel.asked[h.nlmsg_type == RTM_GETROUTE ? 1 : h.nlmsg_type == RTM_GETSTATS ? 2 : 0]++;
    kernel.sequence = h.nlmsg_seq;
    if (h.nlmsg_type == RTM_GETSTATS)
        return kernel_count(question, &h);
    for (unsigned i = 0; h.nlmsg_type == RTM_GETLINK && i < KERNEL_LINKS; i++) {
        if (kernel.links[i].index == 0)
            continue;
        message_link(&m, RTM_NEWLINK, AF_UNSPEC, &kernel.links[i], h.nlmsg_seq);
        kernel_send(kernel.opened[1], &m);
    }
    if (h.nlmsg_type == RTM_GETROUTE) {
        message_route(&m, RTM_NEWROUTE, family, 24, RT_TABLE_MAIN, h.nlmsg_seq);
        kernel_send(kernel.opened[1], &m);
        message_route(&m, RTM_NEWROUTE, family, 0, 100, h.nlmsg_seq); /* of another table */
        kernel_send(kernel.opened[1], &m);
    }
    if (h.nlmsg_type == RTM_GETROUTE && (family == AF_INET ? kernel.route6 : kernel.route4)) {
        message_route(&m, RTM_NEWROUTE, family == AF_INET ? AF_INET6 : AF_INET, 0, RT_TABLE_MAIN, h.nlmsg_seq);
        kernel_send(kernel.opened[1], &m);
    }
    if (h.nlmsg_type == RTM_GETROUTE && (family == AF_INET ? kernel.route4 : kernel.route6)) {
        message_route(&m, RTM_NEWROUTE, family, 0, RT_TABLE_MAIN, h.nlmsg_seq);
        kernel_send(kernel.opened[1], &m);
    }
    message_begin(&m, NLMSG_DONE, NLM_F_MULTI, h.nlmsg_seq);
    message_put(&m, &(int32_t){0}, sizeof(int32_t));
    message_end(&m);
    kernel_send(kernel.opened[1], &m);
    return (ssize_t)len;
}

/** The end of the answer to the last question, once more: what is left of one that was given up. */
static inline void kernel_done(void)
{
    struct message m;

    message_begin(&m, NLMSG_DONE, NLM_F_MULTI, kernel.sequence);
    message_put(&m, &(int32_t){0}, sizeof(int32_t));
    message_end(&m);
    kernel_send(kernel.news[1], &m);
}

/** A link as it is from now on, and the news of it. */
static inline void kernel_link(unsigned i, int index, const char *name, unsigned flags)
{
    struct message m;

    kernel.links[i] = (struct kernel_link){.index = index, .name = name, .flags = flags};
    message_link(&m, RTM_NEWLINK, AF_UNSPEC, &kernel.links[i], 4711);
    if (kernel.news[1])
        kernel_send(kernel.news[1], &m);
}

static inline void kernel_unlink(unsigned i)
{
    struct message m;

    message_link(&m, RTM_DELLINK, AF_UNSPEC, &kernel.links[i], 0);
    kernel.links[i].index = 0;
    kernel_send(kernel.news[1], &m);
}

static inline void kernel_route(uint16_t type, uint8_t family, uint8_t bits)
{
    struct message m;

    message_route(&m, type, family, bits, RT_TABLE_MAIN, 0);
    kernel_send(kernel.news[1], &m);
}

static inline void kernel_begin(void)
{
    memset(&kernel, 0, sizeof kernel);
    kernel.route4 = true;
}

static inline void kernel_end(void)
{
    close(kernel.news[1]);
    if (kernel.opened[1] != kernel.news[1])
        close(kernel.opened[1]);
}

#endif
