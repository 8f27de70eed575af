#include "nefia/net/wireguard.h"

#include <errno.h>
#include <linux/genetlink.h>
#include <linux/netlink.h>
#include <linux/wireguard.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "nefia/base/err.h"
#include "nefia/base/wipe.h"

enum {
    TRIES = 3,
    WIDEST_IPV4 = 8,
    WIDEST_IPV6 = 16,
};

static void keep(struct wireguard_reader *r, const struct addr_net *net)
{
    if (net->bits < (net->base.family == AF_INET ? WIDEST_IPV4 : WIDEST_IPV6))
        r->too_wide++;
    else if (r->count == r->cap)
        r->left_out++;
    else
        r->nets[r->count++] = *net;
}

static int take_allowed_ip(struct wireguard_reader *r, struct netlink_part rest)
{
    struct addr_net net = {.bits = UINT8_MAX};
    struct netlink_part ip = {NULL, 0};
    struct netlink_attribute a;

    while (netlink_next(&rest, &a)) {
        if (a.type == WGALLOWEDIP_A_FAMILY && a.value.len == sizeof(uint16_t))
            net.base.family = (uint8_t)(netlink_u16(a.value.ptr) <= UINT8_MAX ? netlink_u16(a.value.ptr) : 0);
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

static int take_peer(struct wireguard_reader *r, struct netlink_part rest)
{
    struct netlink_attribute a, item;

    while (netlink_next(&rest, &a)) {
        if (a.type != WGPEER_A_ALLOWEDIPS)
            continue;
        while (netlink_next(&a.value, &item))
            if (take_allowed_ip(r, item.value) < 0)
                return NEFIA_ESYNTAX;
        if (netlink_ended(&a.value) < 0)
            return NEFIA_ESYNTAX;
    }
    return netlink_ended(&rest);
}

static int take_device(struct wireguard_reader *r, struct netlink_part rest)
{
    struct netlink_attribute a, item;

    while (netlink_next(&rest, &a)) {
        if (a.type != WGDEVICE_A_PEERS)
            continue;
        while (netlink_next(&a.value, &item))
            if (take_peer(r, item.value) < 0)
                return NEFIA_ESYNTAX;
        if (netlink_ended(&a.value) < 0)
            return NEFIA_ESYNTAX;
    }
    return netlink_ended(&rest);
}

/** Return: 1 if it contains the number. */
static int take_family(struct wireguard_reader *r, struct netlink_part rest)
{
    struct netlink_attribute a;

    while (netlink_next(&rest, &a))
        if (a.type == CTRL_ATTR_FAMILY_ID && a.value.len == sizeof(uint16_t))
            r->family = netlink_u16(a.value.ptr);
    return netlink_ended(&rest) < 0 || r->family == 0 ? NEFIA_ESYNTAX : 1;
}

static int take_message(void *arg, uint16_t type, struct netlink_part body)
{
    struct wireguard_reader *r = arg;

    if (body.len < sizeof(struct genlmsghdr))
        return NEFIA_ESYNTAX;
    struct netlink_part attributes = netlink_after(body, sizeof(struct genlmsghdr));
    if (type == GENL_ID_CTRL && body.ptr[0] == CTRL_CMD_NEWFAMILY)
        return take_family(r, attributes);
    if (type == r->family && body.ptr[0] == WG_CMD_GET_DEVICE)
        return take_device(r, attributes);
    return 0;
}

static void expect(struct wireguard_reader *r)
{
    r->answer.take = take_message;
    r->answer.arg = r;
}

int wireguard_feed(struct wireguard_reader *r, const void *datagram, size_t len)
{
    expect(r);
    return netlink_feed(&r->answer, datagram, len);
}

/* ---- requests ---- */

/** A request with one attribute, a NUL-terminated string. */
struct question {
    struct nlmsghdr netlink;
    struct genlmsghdr generic;
    struct nlattr attribute;
    char text[WIREGUARD_NAME];
};

static int ask_one(struct wireguard_reader *r, int fd, const struct question *like, const char *text,
                   void *work)
{
    struct question q = *like;
    size_t len = strlen(text) + 1;

    if (len > sizeof q.text)
        return NEFIA_ETOOBIG;
    memcpy(q.text, text, len);
    q.generic.version = 1;
    q.attribute.nla_len = (uint16_t)(sizeof(struct nlattr) + len);
    /* The message must end, unpadded, where its last attribute does. */
    q.netlink.nlmsg_len = (uint32_t)(offsetof(struct question, text) + netlink_aligned(len));
    q.netlink.nlmsg_flags |= NLM_F_REQUEST;
    q.netlink.nlmsg_seq = r->answer.sequence + 1;
    return netlink_ask(&r->answer, fd, &q, q.netlink.nlmsg_len, work, WIREGUARD_WORK);
}

static int ask(struct wireguard_reader *r, int fd, const char *interface, void *work)
{
    const struct question family = {.netlink.nlmsg_type = GENL_ID_CTRL,
                                    .generic.cmd = CTRL_CMD_GETFAMILY,
                                    .attribute.nla_type = CTRL_ATTR_FAMILY_NAME};
    int err = ask_one(r, fd, &family, WG_GENL_NAME, work);

    if (err == 0 && r->family == 0)
        err = NEFIA_ESYNTAX;
    const struct question device = {
        .netlink = {.nlmsg_type = r->family, .nlmsg_flags = NLM_F_DUMP},
        .generic.cmd = WG_CMD_GET_DEVICE,
        .attribute.nla_type = WGDEVICE_A_IFNAME};
    for (int i = 0; i < TRIES && err == 0; i++) {
        r->count = r->left_out = r->too_wide = 0;
        err = ask_one(r, fd, &device, interface, work);
        if (!r->answer.interrupted)
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
        if (meanings[i].error == r->answer.error) {
            text_str(why, meanings[i].what);
            return meanings[i].err;
        }
    text_str(why, "kernel query failed: ");
    text_str(why, ERRNO(r->answer.error));
    return err;
}

int wireguard_read(struct wireguard_reader *r, const char *interface, void *work,
                   struct text *why)
{
    int err = NEFIA_EIO;

    *r = (struct wireguard_reader){.nets = r->nets, .cap = r->cap};
    expect(r);
    int fd = netlink_open(NETLINK_GENERIC);
    if (fd < 0) {
        r->answer.error = errno;
    } else {
        err = ask(r, fd, interface, work);
        close(fd);
    }
    wipe(work, WIREGUARD_WORK); /* whatever it held */
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
