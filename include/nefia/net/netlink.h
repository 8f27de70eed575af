#ifndef NEFIA_NET_NETLINK_H
#define NEFIA_NET_NETLINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Ask the kernel by netlink (<linux/netlink.h>): a question, and all of its answer, which comes from
 * the kernel's own memory at once. Answers may hold secrets (those of WireGuard its private keys), so
 * the buffer they pass through is the caller's, one for all who ask, and is wiped after each. */

/** Room for whole messages of the kernel: NLMSG_GOODSIZE is a page, at most 8 KiB. */
#define NETLINK_WORK 8192

/** Bytes of a message, in host byte order and of any alignment. */
struct netlink_part {
    const uint8_t *ptr;
    size_t len;
};

struct netlink_attribute {
    uint16_t type; /* without its flags */
    struct netlink_part value;
};

struct netlink_answer {
    /** One message of it: its type, and what follows its header. Return: 0; 1: that was the last (one
     * that is not a dump has no end of its own); negative: give up. */
    int (*take)(void *arg, uint16_t type, struct netlink_part body);
    void *arg;
    uint32_t sequence; /* of the question; messages with others are passed over */
    int error;         /* the kernel's errno, after NEFIA_EIO */
    bool interrupted;  /* what was dumped changed meanwhile: ask again */
    bool news;         /* no answer: every message of the protocol is taken, whatever its sequence */
};

/** Messages and attributes are padded to this. */
static inline size_t netlink_aligned(size_t n)
{
    return (n + 3) & ~(size_t)3;
}
uint16_t netlink_u16(const uint8_t *p);
/** What is left after n bytes. */
struct netlink_part netlink_after(struct netlink_part p, size_t n);
/** Next attribute of `rest`. Return: whether there is one. Malformed bytes end the list, with rest->ptr
 * null. */
bool netlink_next(struct netlink_part *rest, struct netlink_attribute *a);
/** After the last. Return: 0, or NEFIA_ESYNTAX. */
int netlink_ended(const struct netlink_part *rest);

/** Parse one datagram of the kernel's. Safe on arbitrary bytes. Return: 1 answer complete; 0 more
 * datagrams follow; NEFIA_ESYNTAX not such a message; NEFIA_EIO rejected by the kernel (a->error);
 * what take returned. */
int netlink_feed(struct netlink_answer *a, const void *datagram, size_t len);
/** protocol: NETLINK_ROUTE, NETLINK_GENERIC … Return: a socket, to be closed; NEFIA_EIO (errno). */
int netlink_open(int protocol);
/** Send a whole message, which begins with a struct nlmsghdr, and take its answer; a->sequence is that of
 * the message. work: `cap` bytes; what was received in it is wiped before this returns. Return: 0; NEFIA_EIO (a->error);
 * NEFIA_ESYNTAX: malformed, or a message is longer than cap; what take returned. */
int netlink_ask(struct netlink_answer *a, int fd, const void *message, size_t len, void *work,
                size_t cap);

/** What the kernel reports by itself to groups (1 << (RTNLGRP_… - 1)). Return: as netlink_open. */
int netlink_subscribe(int protocol, uint32_t groups);
/** Take one datagram of it, without waiting; a->news is set. Messages from before a dump may come after it.
 * Return: 1; 0: there is none; NEFIA_EIO (a->error; ENOBUFS: some were lost, dump again); NEFIA_ESYNTAX:
 * malformed or longer than cap, which was lost, too; what take returned. */
int netlink_take(struct netlink_answer *a, int fd, void *work, size_t cap);

#endif
