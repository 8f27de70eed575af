#include <linux/capability.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <string.h>

#include "nefia/base/err.h"
#include "nefia/beacon/tunnel.h"

/* sdwan_vip_reachability: does the holder of a virtual address answer? It is this device, or the peer that WireGuard
 * sends to: that whose allowed IPs contain the address in the longest prefix. */
static const char types[] = "sdwan.vip_holder_silent" "\0" "sdwan.vip_holder_recovered";

struct vip {
    struct tunnel_watch watch;
    struct addr addr;
    bool ours, tentative; /* the address: is this device's, will be once no other is found to have it */
    uint8_t looks;      /* at the address … */
    uint32_t addresses; /* … and emitter_addresses when it was asked for; 0: it is not known */
    int bits;        /* of that prefix; -1: there is none */
    unsigned holder; /* which of `watched` it is, or their count */
};

enum { NO_PORT = 1 };

static int set_vip(void *member, const char *value, struct text *why)
{
    struct addr *a = member;
    int err = addr_parse(a, value, strlen(value), NO_PORT, NULL);

    if (err == 0 && a->port != NO_PORT)
        err = NEFIA_EINVAL;
    if (err < 0)
        text_str(why, "is not an address, without a port, such as 10.99.0.100");
    a->port = 0;
    return err;
}

static const struct field vip_fields[] = {
    TUNNEL_WATCH_FIELDS("holders", ""),
    {FIELD_REQUIRED("vip", ""), .type = FIELD_SET, FIELD_AT(struct vip, addr), .set = set_vip},
    {.name = NULL},
};

static int vip_open(void *state, struct config *c, const struct node *n, const char *where)
{
    return tunnel_open(state, c, n, where, vip_fields);
}

/** One address of this device's; of a point-to-point link IFA_ADDRESS is the other end. */
static int take_address(void *arg, uint16_t type, struct netlink_part body)
{
    struct vip *v = arg;
    const size_t len = v->addr.family == AF_INET ? 4 : 16;
    struct netlink_part rest = netlink_after(body, netlink_aligned(sizeof(struct ifaddrmsg)));
    struct netlink_part ip = {body.ptr, 0};
    struct netlink_attribute a;

    if (type != RTM_NEWADDR || body.len < sizeof(struct ifaddrmsg) || body.ptr[0] != v->addr.family)
        return 0;
    while (netlink_next(&rest, &a))
        if (a.type == IFA_LOCAL || (a.type == IFA_ADDRESS && !ip.len))
            ip = a.value;
    if (ip.len != len || memcmp(ip.ptr, v->addr.ip, len) != 0)
        return 0;
    /* One that another host has is tentative for good. */
    const uint8_t flags = body.ptr[offsetof(struct ifaddrmsg, ifa_flags)] & (IFA_F_TENTATIVE | IFA_F_DADFAILED);
    v->ours |= !flags;
    v->tentative |= flags == IFA_F_TENTATIVE;
    return 0;
}

/** The kernel says when addresses change, and what was found out of one that is tentative; at each so many looks it is
 * asked all the same. */
static int look_at_ours(struct vip *v, struct emitter *out)
{
    enum { ASKED_AT = 8 };
    const uint32_t addresses = emitter_addresses(out);
    const struct {
        struct nlmsghdr netlink;
        struct ifaddrmsg address;
    } question = {.netlink = {.nlmsg_len = sizeof question,
                              .nlmsg_type = RTM_GETADDR,
                              .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP,
                              .nlmsg_seq = 1},
                  .address.ifa_family = v->addr.family};
    struct netlink_answer answer = {.take = take_address, .arg = v};

    if (v->looks++ % ASKED_AT && addresses == v->addresses)
        return 0;
    v->ours = v->tentative = false;
    const int err = emitter_netlink(out, &answer, &question, sizeof question);
    v->addresses = err < 0 ? 0 : addresses;
    return err;
}

static int take(void *arg, const struct wireguard_peer *p)
{
    struct vip *v = arg;
    struct addr_net net;

    tunnel_take(arg, p);
    if (!p) {
        v->bits = -1;
        v->holder = v->watch.count;
        return 0;
    }
    struct netlink_part nets = wireguard_nets(p);
    while (wireguard_next_net(&nets, &net)) {
        struct addr_net with = {v->addr, net.bits};
        addr_net_mask(&with);
        if (net.bits > v->bits && addr_same_host(&with.base, &net.base)) {
            v->bits = net.bits;
            v->holder = v->watch.current;
        }
    }
    return netlink_ended(&nets);
}

/** The holder, null: this device, or there is a problem. Return: as tunnel_ask. */
static int find_holder(struct vip *v, struct emitter *out, struct tunnel_watched **holder, const char **problem)
{
    const int err = v->ours ? 0 : tunnel_look(&v->watch, out, take);

    if (err == NEFIA_ENOTFOUND)
        *problem = TUNNEL_MISSING;
    else if (err == 0 && !v->ours && v->holder == v->watch.count)
        *problem = "no_holder";
    else if (err == 0 && !v->ours)
        *holder = &v->watch.watched[v->holder];
    return err;
}

static int vip_poll(void *state, struct emitter *out, uint64_t now_ms)
{
    struct vip *v = state;
    struct tunnel_watched *holder = NULL;
    const char *problem = NULL;
    char subject[TUNNEL_SUBJECT], vip[ADDR_TEXT];
    struct json_writer *w;

    (void)now_ms;
    if (look_at_ours(v, out) < 0)
        return 0;
    addr_str(vip, &v->addr);
    if (v->tentative && !v->ours)
        return emitter_not_measured(out, vip, "tentative");
    const int err = find_holder(v, out, &holder, &problem);
    if (err < 0 && !problem)
        return 0;
    if (holder)
        w = tunnel_judge_watched(&v->watch, out, subject, types, vip, holder, LEVEL_CRITICAL);
    else
        w = tunnel_condition(out, subject, types, v->watch.interface, vip, problem ? LEVEL_CRITICAL : LEVEL_OK,
                             problem);
    if (!w)
        return 0;
    json_put_string(w, "vip", vip);
    emit_end(out);
    return 0;
}

const struct sensor_class sensor_sdwan_vip = {
    SENSOR_NAME("sdwan_vip_reachability", "1m"),
    .list = SENSOR_LIST,
    .fields = vip_fields,
    .state_size = sizeof(struct vip),
    .capability = CAP_NET_ADMIN,
    .open = vip_open,
    .start = tunnel_start,
    .poll = vip_poll,
};
