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

enum { TRIES = 3 };

/* ---- keys ---- */

static const char base64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void wireguard_key_text(char text[WIREGUARD_KEY_TEXT], const uint8_t key[WIREGUARD_KEY])
{
    uint32_t bits = 0;
    unsigned n = 0;

    for (unsigned i = 0; i < WIREGUARD_KEY_TEXT - 2; i++) {
        if (n < 6) {
            bits = bits << 8 | (i < WIREGUARD_KEY_TEXT - 3 ? *key++ : 0);
            n += 8;
        }
        n -= 6;
        text[i] = base64[bits >> n & 63];
    }
    memcpy(text + WIREGUARD_KEY_TEXT - 2, "=", 2);
}

bool wireguard_is_key(const char *text)
{
    enum { DIGITS = WIREGUARD_KEY_TEXT - 2 };

    return strspn(text, base64) == DIGITS && str_eq(text + DIGITS, "=") &&
           (strchr(base64, text[DIGITS - 1]) - base64) % 4 == 0;
}

/* ---- responses ---- */

static int take_allowed_ip(struct netlink_part rest, struct addr_net *net)
{
    struct netlink_part ip = {NULL, 0};
    struct netlink_attribute a;

    *net = (struct addr_net){.bits = UINT8_MAX};
    while (netlink_next(&rest, &a)) {
        if (a.type == WGALLOWEDIP_A_FAMILY && a.value.len == sizeof(uint16_t))
            net->base.family = (uint8_t)(netlink_u16(a.value.ptr) <= UINT8_MAX ? netlink_u16(a.value.ptr) : 0);
        else if (a.type == WGALLOWEDIP_A_CIDR_MASK && a.value.len == 1)
            net->bits = a.value.ptr[0];
        else if (a.type == WGALLOWEDIP_A_IPADDR)
            ip = a.value;
    }
    size_t want = net->base.family == AF_INET ? 4 : net->base.family == AF_INET6 ? 16 : 0;
    if (!rest.ptr || want == 0 || ip.len != want || net->bits > 8 * want)
        return NEFIA_ESYNTAX;
    memcpy(net->base.ip, ip.ptr, want);
    return 0;
}

bool wireguard_next_net(struct netlink_part *rest, struct addr_net *net)
{
    struct netlink_attribute item;

    if (!netlink_next(rest, &item))
        return false;
    if (take_allowed_ip(item.value, net) == 0)
        return true;
    rest->ptr = NULL;
    return false;
}

static int take_peer(struct wireguard_dump *d, struct netlink_part rest)
{
    struct wireguard_peer p = {0};
    struct netlink_attribute a;

    while (netlink_next(&rest, &a))
        if (a.type < ARRAY_SIZE(p.attributes))
            p.attributes[a.type] = a.value;
    if (netlink_ended(&rest) < 0 || p.attributes[WGPEER_A_PUBLIC_KEY].len != WIREGUARD_KEY)
        return NEFIA_ESYNTAX;
    return d->on_peer(d->arg, &p);
}

static int take_device(struct wireguard_dump *d, struct netlink_part rest)
{
    struct netlink_attribute a, item;

    while (netlink_next(&rest, &a)) {
        if (a.type != WGDEVICE_A_PEERS)
            continue;
        while (netlink_next(&a.value, &item)) {
            int err = take_peer(d, item.value);
            if (err < 0)
                return err;
        }
        if (netlink_ended(&a.value) < 0)
            return NEFIA_ESYNTAX;
    }
    return netlink_ended(&rest);
}

/** Return: 1 if it contains the number. */
static int take_family(struct wireguard_dump *d, struct netlink_part rest)
{
    struct netlink_attribute a;

    while (netlink_next(&rest, &a))
        if (a.type == CTRL_ATTR_FAMILY_ID && a.value.len == sizeof(uint16_t))
            d->family = netlink_u16(a.value.ptr);
    return netlink_ended(&rest) < 0 || d->family == 0 ? NEFIA_ESYNTAX : 1;
}

static int take_message(void *arg, uint16_t type, struct netlink_part body)
{
    struct wireguard_dump *d = arg;

    if (body.len < sizeof(struct genlmsghdr))
        return NEFIA_ESYNTAX;
    struct netlink_part attributes = netlink_after(body, sizeof(struct genlmsghdr));
    if (type == GENL_ID_CTRL && body.ptr[0] == CTRL_CMD_NEWFAMILY)
        return take_family(d, attributes);
    if (type == d->family && body.ptr[0] == WG_CMD_GET_DEVICE)
        return take_device(d, attributes);
    return 0;
}

static void expect(struct wireguard_dump *d)
{
    d->answer.take = take_message;
    d->answer.arg = d;
}

int wireguard_feed(struct wireguard_dump *d, const void *datagram, size_t len)
{
    expect(d);
    return netlink_feed(&d->answer, datagram, len);
}

/* ---- requests ---- */

/** A request with one attribute, a NUL-terminated string. */
struct question {
    struct nlmsghdr netlink;
    struct genlmsghdr generic;
    struct nlattr attribute;
    char text[WIREGUARD_NAME];
};

_Static_assert((int)WGDEVICE_A_IFNAME == (int)CTRL_ATTR_FAMILY_NAME, "both questions have their text in the same attribute");

/** First for the number of the family, unless it is known, then for the interface. */
static int ask(struct wireguard_dump *d, int fd, const char *interface, void *work)
{
    for (unsigned i = d->family > 0; i <= TRIES; i++) {
        const char *text = i ? interface : WG_GENL_NAME;
        const size_t len = strlen(text) + 1;
        struct question q = {
            .netlink = {.nlmsg_type = i ? d->family : GENL_ID_CTRL,
                        .nlmsg_flags = i ? NLM_F_REQUEST | NLM_F_DUMP : NLM_F_REQUEST,
                        .nlmsg_seq = i + 1,
                        /* The message must end, unpadded, where its last attribute does. */
                        .nlmsg_len = (uint32_t)(offsetof(struct question, text) + netlink_aligned(len))},
            .generic = {.cmd = i ? WG_CMD_GET_DEVICE : CTRL_CMD_GETFAMILY, .version = 1},
            .attribute = {.nla_len = (uint16_t)(sizeof(struct nlattr) + len),
                          .nla_type = WGDEVICE_A_IFNAME}};
        if (len > sizeof q.text)
            return NEFIA_ETOOBIG;
        memcpy(q.text, text, len);
        if (i)
            d->on_peer(d->arg, NULL);
        int err = netlink_ask(&d->answer, fd, &q, q.netlink.nlmsg_len, work, WIREGUARD_WORK);
        if (err < 0 || (i && !d->answer.interrupted))
            return err;
        if (d->family == 0)
            return NEFIA_ESYNTAX;
    }
    return NEFIA_EAGAIN;
}

int wireguard_ask(struct wireguard_dump *d, const char *interface, void *work)
{
    int err = NEFIA_EIO, fd = netlink_open(NETLINK_GENERIC);

    d->answer = (struct netlink_answer){.error = errno};
    expect(d);
    if (fd >= 0) {
        err = ask(d, fd, interface, work);
        close(fd);
    }
    wipe(work, WIREGUARD_WORK); /* whatever it held */
    return err == NEFIA_EIO && (d->answer.error == ENODEV || d->answer.error == EOPNOTSUPP) ? NEFIA_ENOTFOUND : err;
}

/* ---- networks ---- */

enum {
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

int wireguard_take_nets(void *reader, const struct wireguard_peer *p)
{
    struct wireguard_reader *r = reader;
    struct addr_net net;

    if (!p) {
        r->count = r->left_out = r->too_wide = 0;
        return 0;
    }
    struct netlink_part nets = wireguard_nets(p);
    while (wireguard_next_net(&nets, &net))
        keep(r, &net);
    return netlink_ended(&nets);
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

static int explain(int err, int error, struct text *why)
{
    if (err != NEFIA_EIO && err != NEFIA_ENOTFOUND) {
        text_str(why, err == NEFIA_EAGAIN ? "peers keep changing" : "malformed response");
        return err;
    }
    for (size_t i = 0; i < ARRAY_SIZE(meanings); i++)
        if (meanings[i].error == error) {
            text_str(why, meanings[i].what);
            return meanings[i].err;
        }
    text_str(why, "kernel query failed: ");
    text_str(why, ERRNO(error));
    return err;
}

int wireguard_read(struct wireguard_reader *r, const char *interface, void *work,
                   struct text *why)
{
    struct wireguard_dump d = {.on_peer = wireguard_take_nets, .arg = r};
    int err = wireguard_ask(&d, interface, work);

    if (err == 0)
        return 0;
    r->count = 0;
    return explain(err, d.answer.error, why);
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
