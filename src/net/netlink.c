#include "nefia/net/netlink.h"

#include <errno.h>
#include <linux/netlink.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "nefia/base/err.h"
#include "nefia/base/wipe.h"

enum {
    WAIT_S = 1,
    DATAGRAMS_MOST = 4096, /* per answer: 32 MiB, more than any list */
};

#define ATTRIBUTE_HEADER sizeof(struct nlattr)

/* ---- parsing: host byte order, parts aligned to 4 ---- */

uint16_t netlink_u16(const uint8_t *p)
{
    uint16_t v;

    memcpy(&v, p, sizeof v);
    return v;
}

struct netlink_part netlink_after(struct netlink_part p, size_t n)
{
    n = n < p.len ? n : p.len;
    return (struct netlink_part){p.ptr + n, p.len - n};
}

bool netlink_next(struct netlink_part *rest, struct netlink_attribute *a)
{
    if (rest->len == 0)
        return false;
    size_t len = rest->len < ATTRIBUTE_HEADER ? 0 : netlink_u16(rest->ptr);
    if (len < ATTRIBUTE_HEADER || len > rest->len) {
        rest->ptr = NULL;
        return false;
    }
    a->type = (uint16_t)(netlink_u16(rest->ptr + sizeof(uint16_t)) & (unsigned)NLA_TYPE_MASK);
    a->value = (struct netlink_part){rest->ptr + ATTRIBUTE_HEADER, len - ATTRIBUTE_HEADER};
    *rest = netlink_after(*rest, netlink_aligned(len));
    return true;
}

int netlink_ended(const struct netlink_part *rest)
{
    return rest->ptr ? 0 : NEFIA_ESYNTAX;
}

/** NLMSG_ERROR, and the NLMSG_DONE of a dump: both start with a negative errno. */
static int take_end(struct netlink_answer *a, struct netlink_part body, int without)
{
    int32_t status;

    if (body.len < sizeof status)
        return without;
    memcpy(&status, body.ptr, sizeof status);
    if (status == 0)
        return 1;
    a->error = status > -4096 && status < 0 ? -status : EPROTO;
    return NEFIA_EIO;
}

static int take_message(struct netlink_answer *a, uint16_t type, struct netlink_part body)
{
    if (type == NLMSG_ERROR)
        return take_end(a, body, NEFIA_ESYNTAX);
    if (type == NLMSG_DONE)
        return take_end(a, body, 1);
    return type < NLMSG_MIN_TYPE ? 0 : a->take(a->arg, type, body);
}

int netlink_feed(struct netlink_answer *a, const void *datagram, size_t len)
{
    struct netlink_part rest = {datagram, len};
    int result = 0;

    while (rest.len > 0 && result == 0) {
        struct nlmsghdr h;
        if (rest.len < sizeof h)
            return NEFIA_ESYNTAX;
        memcpy(&h, rest.ptr, sizeof h);
        if (h.nlmsg_len < sizeof h || h.nlmsg_len > rest.len)
            return NEFIA_ESYNTAX;
        /* What is news ends no answer: it may be left of an earlier one that was given up. */
        if (h.nlmsg_seq == a->sequence || (a->news && h.nlmsg_type >= NLMSG_MIN_TYPE)) {
            if (h.nlmsg_flags & NLM_F_DUMP_INTR)
                a->interrupted = true;
            result = take_message(
                a, h.nlmsg_type,
                (struct netlink_part){rest.ptr + sizeof h, h.nlmsg_len - sizeof h});
        }
        rest = netlink_after(rest, netlink_aligned(h.nlmsg_len));
    }
    return result;
}

/* ---- questions ---- */

int netlink_open(int protocol)
{
    return netlink_subscribe(protocol, 0);
}

int netlink_subscribe(int protocol, uint32_t groups)
{
    const struct timeval wait = {.tv_sec = WAIT_S};
    const struct sockaddr_nl us = {.nl_family = AF_NETLINK, .nl_groups = groups};
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol);

    if (fd < 0)
        return NEFIA_EIO;
    if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait) == 0 &&
        (!groups || bind(fd, (const struct sockaddr *)&us, sizeof us) == 0))
        return fd;
    int saved = errno;
    close(fd);
    errno = saved;
    return NEFIA_EIO;
}

/** Receive one complete datagram, from the kernel only. Return: bytes; 0: from another sender; NEFIA_EIO: a->error. */
static long receive(struct netlink_answer *a, int fd, void *work, size_t cap, int flags)
{
    struct sockaddr_nl from = {0};
    socklen_t from_len = sizeof from;
    ssize_t n;

    do /* with this flag its length, however much of it there is room for */
        n = recvfrom(fd, work, cap, flags | MSG_TRUNC, (struct sockaddr *)&from, &from_len);
    while (n < 0 && errno == EINTR);
    a->error = n < 0 ? errno : 0;
    if (n < 0)
        return NEFIA_EIO;
    if ((size_t)n <= cap && from.nl_pid == 0)
        return n;
    wipe(work, cap);
    return (size_t)n > cap ? NEFIA_ESYNTAX : 0;
}

static int await_answer(struct netlink_answer *a, int fd, void *work, size_t cap)
{
    for (unsigned i = 0; i < DATAGRAMS_MOST; i++) {
        long n = receive(a, fd, work, cap, 0);
        if (n < 0)
            return (int)n;
        int result = netlink_feed(a, work, (size_t)n);
        wipe(work, (size_t)n);
        if (result != 0)
            return result < 0 ? result : 0;
    }
    return NEFIA_ESYNTAX;
}

int netlink_ask(struct netlink_answer *a, int fd, const void *message, size_t len, void *work,
                size_t cap)
{
    const struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};

    memcpy(&a->sequence, (const char *)message + offsetof(struct nlmsghdr, nlmsg_seq), sizeof a->sequence);
    a->interrupted = false;
    if (sendto(fd, message, len, 0, (const struct sockaddr *)&kernel, sizeof kernel) >= 0)
        return await_answer(a, fd, work, cap);
    a->error = errno;
    return NEFIA_EIO;
}

/* ---- news ---- */

int netlink_take(struct netlink_answer *a, int fd, void *work, size_t cap)
{
    long n = receive(a, fd, work, cap, MSG_DONTWAIT);

    a->news = true;
    if (a->error == EAGAIN)
        return 0;
    int err = n < 0 ? (int)n : netlink_feed(a, work, (size_t)n);
    return err < 0 ? err : 1;
}
