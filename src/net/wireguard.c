#include "nefia/net/wireguard.h"

#include <errno.h>
#include <linux/genetlink.h>
#include <linux/netlink.h>
#include <linux/wireguard.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "nefia/base/err.h"
#include "nefia/base/wipe.h"

enum {
    TRIES = 3,
    WAIT_S = 1,
    DATAGRAMS_MOST = 4096, /* per dump: 32 MiB, more than any peer list */
    WIDEST_IPV4 = 8,
    WIDEST_IPV6 = 16,
};

/* ---- parsing: host byte order, parts aligned to 4 ---- */

#define ATTRIBUTE_HEADER sizeof(struct nlattr)

struct part {
    const uint8_t *ptr;
    size_t len;
};

struct attribute {
    uint16_t type;
    struct part value;
};

static uint16_t u16(const uint8_t *p)
{
    uint16_t v;

    memcpy(&v, p, sizeof v);
    return v;
}

static size_t aligned(size_t n)
{
    return (n + 3) & ~(size_t)3;
}

static struct part after(struct part p, size_t n)
{
    n = n < p.len ? n : p.len;
    return (struct part){p.ptr + n, p.len - n};
}

/** Next attribute of `rest`. Return: whether there is one. Malformed bytes end the list with
 * rest->ptr null. */
static bool next(struct part *rest, struct attribute *a)
{
    if (rest->len == 0)
        return false;
    size_t len = rest->len < ATTRIBUTE_HEADER ? 0 : u16(rest->ptr);
    if (len < ATTRIBUTE_HEADER || len > rest->len) {
        rest->ptr = NULL;
        return false;
    }
    a->type = (uint16_t)(u16(rest->ptr + sizeof(uint16_t)) & (unsigned)NLA_TYPE_MASK);
    a->value = (struct part){rest->ptr + ATTRIBUTE_HEADER, len - ATTRIBUTE_HEADER};
    *rest = after(*rest, aligned(len));
    return true;
}

static int ended(const struct part *rest)
{
    return rest->ptr ? 0 : NEFIA_ESYNTAX;
}

static void keep(struct wireguard_reader *r, const struct addr_net *net)
{
    if (net->bits < (net->base.family == AF_INET ? WIDEST_IPV4 : WIDEST_IPV6))
        r->too_wide++;
    else if (r->count == r->cap)
        r->left_out++;
    else
        r->nets[r->count++] = *net;
}

static int take_allowed_ip(struct wireguard_reader *r, struct part rest)
{
    struct addr_net net = {.bits = UINT8_MAX};
    struct part ip = {NULL, 0};
    struct attribute a;

    while (next(&rest, &a)) {
        if (a.type == WGALLOWEDIP_A_FAMILY && a.value.len == sizeof(uint16_t))
            net.base.family = (uint8_t)(u16(a.value.ptr) <= UINT8_MAX ? u16(a.value.ptr) : 0);
        else if (a.type == WGALLOWEDIP_A_CIDR_MASK && a.value.len == 1)
            net.bits = a.value.ptr[0];
        else if (a.type == WGALLOWEDIP_A_IPADDR)
            ip = a.value;
    }
    size_t want = net.base.family == AF_INET ? 4 : net.base.family == AF_INET6 ? 16 : 0;
    if (!rest.ptr || want == 0 || ip.len != want || net.bits > 8 * want)
        return NEFIA_ESYNTAX;
    memcpy(net.base.ip, ip.ptr, want);
    keep(r, &net);
    return 0;
}

static int take_peer(struct wireguard_reader *r, struct part rest)
{
    struct attribute a, item;

    while (next(&rest, &a)) {
        if (a.type != WGPEER_A_ALLOWEDIPS)
            continue;
        while (next(&a.value, &item))
            if (take_allowed_ip(r, item.value) < 0)
                return NEFIA_ESYNTAX;
        if (ended(&a.value) < 0)
            return NEFIA_ESYNTAX;
    }
    return ended(&rest);
}

static int take_device(struct wireguard_reader *r, struct part rest)
{
    struct attribute a, item;

    while (next(&rest, &a)) {
        if (a.type != WGDEVICE_A_PEERS)
            continue;
        while (next(&a.value, &item))
            if (take_peer(r, item.value) < 0)
                return NEFIA_ESYNTAX;
        if (ended(&a.value) < 0)
            return NEFIA_ESYNTAX;
    }
    return ended(&rest);
}

/** Return: 1 if it contains the number. */
static int take_family(struct wireguard_reader *r, struct part rest)
{
    struct attribute a;

    while (next(&rest, &a))
        if (a.type == CTRL_ATTR_FAMILY_ID && a.value.len == sizeof(uint16_t))
            r->family = u16(a.value.ptr);
    return ended(&rest) < 0 || r->family == 0 ? NEFIA_ESYNTAX : 1;
}

/** NLMSG_ERROR, and the NLMSG_DONE of a dump: both start with a negative errno. */
static int take_end(struct wireguard_reader *r, struct part body, int without)
{
    int32_t status;

    if (body.len < sizeof status)
        return without;
    memcpy(&status, body.ptr, sizeof status);
    if (status == 0)
        return 1;
    r->error = status > -4096 && status < 0 ? -status : EPROTO;
    return NEFIA_EIO;
}

static int take_message(struct wireguard_reader *r, uint16_t type, struct part body)
{
    if (type == NLMSG_ERROR)
        return take_end(r, body, NEFIA_ESYNTAX);
    if (type == NLMSG_DONE)
        return take_end(r, body, 1);
    if (type < NLMSG_MIN_TYPE)
        return 0;
    if (body.len < sizeof(struct genlmsghdr))
        return NEFIA_ESYNTAX;
    struct part attributes = after(body, sizeof(struct genlmsghdr));
    if (type == GENL_ID_CTRL && body.ptr[0] == CTRL_CMD_NEWFAMILY)
        return take_family(r, attributes);
    if (type == r->family && body.ptr[0] == WG_CMD_GET_DEVICE)
        return take_device(r, attributes);
    return 0;
}

int wireguard_feed(struct wireguard_reader *r, const void *datagram, size_t len)
{
    struct part rest = {datagram, len};
    int result = 0;

    while (rest.len > 0 && result == 0) {
        struct nlmsghdr h;
        if (rest.len < sizeof h)
            return NEFIA_ESYNTAX;
        memcpy(&h, rest.ptr, sizeof h);
        if (h.nlmsg_len < sizeof h || h.nlmsg_len > rest.len)
            return NEFIA_ESYNTAX;
        if (h.nlmsg_seq == r->sequence) {
            if (h.nlmsg_flags & NLM_F_DUMP_INTR)
                r->interrupted = true;
            result = take_message(
                r, h.nlmsg_type, (struct part){rest.ptr + sizeof h, h.nlmsg_len - sizeof h});
        }
        rest = after(rest, aligned(h.nlmsg_len));
    }
    return result;
}

/* ---- requests ---- */

/** A request with one attribute, a NUL-terminated string. */
struct question {
    struct nlmsghdr netlink;
    struct genlmsghdr generic;
    struct nlattr attribute;
    char text[WIREGUARD_NAME];
};

static int send_question(int fd, uint16_t type, uint16_t flags, uint8_t command,
                         uint16_t attribute, const char *text, uint32_t sequence)
{
    const struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
    struct question q;
    size_t len = strlen(text) + 1;

    if (len > sizeof q.text)
        return NEFIA_ETOOBIG;
    memset(&q, 0, sizeof q);
    q.netlink = (struct nlmsghdr){
        .nlmsg_len = sizeof q,
        .nlmsg_type = type,
        .nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags),
        .nlmsg_seq = sequence,
    };
    q.generic = (struct genlmsghdr){.cmd = command, .version = 1};
    q.attribute = (struct nlattr){(uint16_t)(ATTRIBUTE_HEADER + len), attribute};
    memcpy(q.text, text, len);
    /* The message must end, unpadded, where its last attribute does. */
    q.netlink.nlmsg_len = (uint32_t)(offsetof(struct question, text) + aligned(len));
    return sendto(fd, &q, q.netlink.nlmsg_len, 0, (const struct sockaddr *)&kernel,
                  sizeof kernel) < 0
               ? NEFIA_EIO
               : 0;
}

/** Receive one complete datagram, from the kernel only. Return: bytes; 0: from another sender. */
static long receive(int fd, void *work)
{
    struct sockaddr_nl from = {0};
    struct iovec space = {work, WIREGUARD_WORK};
    struct msghdr m = {
        .msg_name = &from, .msg_namelen = sizeof from, .msg_iov = &space, .msg_iovlen = 1};
    ssize_t n;

    do
        n = recvmsg(fd, &m, 0);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return NEFIA_EIO;
    if (m.msg_flags & MSG_TRUNC)
        return NEFIA_ESYNTAX;
    return from.nl_pid == 0 ? n : 0;
}

static int await_answer(struct wireguard_reader *r, int fd, void *work)
{
    for (unsigned i = 0; i < DATAGRAMS_MOST; i++) {
        long n = receive(fd, work);
        if (n < 0) {
            r->error = errno;
            return (int)n;
        }
        int result = wireguard_feed(r, work, (size_t)n);
        if (result != 0)
            return result < 0 ? result : 0;
    }
    return NEFIA_ESYNTAX;
}

static int ask(struct wireguard_reader *r, int fd, const char *interface, void *work)
{
    int err = send_question(fd, GENL_ID_CTRL, 0, CTRL_CMD_GETFAMILY, CTRL_ATTR_FAMILY_NAME,
                            WG_GENL_NAME, r->sequence);
    if (err == 0)
        err = await_answer(r, fd, work);
    if (err == 0 && r->family == 0)
        err = NEFIA_ESYNTAX;
    for (int i = 0; i < TRIES && err == 0; i++) {
        r->sequence++;
        r->count = r->left_out = r->too_wide = 0;
        r->interrupted = false;
        err = send_question(fd, r->family, NLM_F_DUMP, WG_CMD_GET_DEVICE, WGDEVICE_A_IFNAME,
                            interface, r->sequence);
        if (err == 0)
            err = await_answer(r, fd, work);
        if (!r->interrupted)
            return err;
    }
    return err == 0 ? NEFIA_EAGAIN : err;
}

/** Kernel errors with their meaning here and the remedy. */
static const struct {
    int error, err;
    const char *what;
} meanings[] = {
    {ENODEV, NEFIA_ENOTFOUND, "no such interface; bring it up (wg-quick up, ip link)"},
    {EOPNOTSUPP, NEFIA_ENOTFOUND, "not a WireGuard interface"},
    {ENOENT, NEFIA_ENOTFOUND, "kernel does not support WireGuard; load the module"},
    {EPERM, NEFIA_EAUTH,
     "reading peers requires CAP_NET_ADMIN; start the hub as root with this peers_from"},
};

static int explain(const struct wireguard_reader *r, int err, struct text *why)
{
    if (err != NEFIA_EIO) {
        text_str(why, err == NEFIA_EAGAIN ? "peers keep changing" : "malformed response");
        return err;
    }
    for (size_t i = 0; i < ARRAY_SIZE(meanings); i++)
        if (meanings[i].error == r->error) {
            text_str(why, meanings[i].what);
            return meanings[i].err;
        }
    text_str(why, "kernel query failed: ");
    text_str(why, ERRNO(r->error));
    return err;
}

int wireguard_read(struct wireguard_reader *r, const char *interface, void *work,
                   struct text *why)
{
    const struct timeval wait = {.tv_sec = WAIT_S};
    int err = NEFIA_EIO;

    *r = (struct wireguard_reader){.nets = r->nets, .cap = r->cap, .sequence = 1};
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_GENERIC);
    if (fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait) == 0)
        err = ask(r, fd, interface, work);
    if (err < 0 && r->error == 0)
        r->error = errno;
    if (fd >= 0)
        close(fd);
    wipe(work, WIREGUARD_WORK);
    if (err == 0)
        return 0;
    r->count = 0;
    return explain(r, err, why);
}

const char *wireguard_interface(const char *s)
{
    static const char kind[] = "wireguard:";
    const char *name = s + sizeof kind - 1;

    if (strncmp(s, kind, sizeof kind - 1) != 0)
        return NULL;
    size_t len = strlen(name);
    return len > 0 && len < WIREGUARD_NAME && strcspn(name, "/ \t") == len ? name : NULL;
}
