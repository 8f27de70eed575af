#include <linux/capability.h>
#include <string.h>

#include "nefia/base/err.h"
#include "nefia/beacon/tunnel.h"

/* sdwan_drift: the peers of a WireGuard interface and the networks that they may send from, against what is declared. */
static const char types[] = "sdwan.peer_drift_detected" "\0" "sdwan.peer_drift_resolved";

enum {
    UNKNOWN_MOST = 4, /* peers that nobody has declared, of which each is reported */
    PLACES = CONFIG_SDWAN_PEERS + UNKNOWN_MOST,
};

struct drift_peer {
    struct tunnel_peer peer;
    uint16_t first, count; /* in `nets` */
};

struct sdwan_drift {
    struct sensor_common common;
    const char *interface;
    struct drift_peer peers[PLACES]; /* those from CONFIG_SDWAN_PEERS on are unknown ones; key null: none */
    unsigned count, net_count;
    const char *nets[CONFIG_SDWAN_NETS]; /* of all peers, in their order */
    char unknown[UNKNOWN_MOST][WIREGUARD_KEY_TEXT]; /* their keys */
};

/* ---- Configuration ---- */

static const struct field peer_fields[] = {
    TUNNEL_PEER_FIELDS(struct drift_peer, peer),
    {.name = "allowed_ips", .type = FIELD_OWNED},
    {.name = NULL},
};

/** A network with any address of it, as WireGuard takes it. Without a prefix it is a single host. */
static int parse(struct addr_net *net, const char *value)
{
    const size_t len = strcspn(value, "/"), rest = strlen(value + len);
    int err = addr_parse(&net->base, value, len, 1, NULL);
    const unsigned most = net->base.family == AF_INET ? 32 : 128;
    uint64_t bits = most;

    if (err == 0 && rest)
        err = parse_u64(value + len + 1, rest - 1, &bits);
    if (err < 0 || bits > most || net->base.port != 1 || net->base.scope)
        return NEFIA_EINVAL;
    net->base.port = 0;
    net->bits = (uint8_t)bits;
    addr_net_mask(net);
    return 0;
}

static bool is_same(const struct addr_net *a, const struct addr_net *b)
{
    return a->bits == b->bits && addr_same_host(&a->base, &b->base);
}

/** WireGuard gives a network to one peer only: the last that it was given to. */
static bool is_declared(const struct sdwan_drift *d, const struct addr_net *net)
{
    struct addr_net other;

    for (unsigned i = 0; i < d->net_count; i++)
        if (parse(&other, d->nets[i]) == 0 && is_same(&other, net))
            return true;
    return false;
}

static bool keep(struct config *c, const struct node *n, const char *where, void *item, void *out)
{
    struct drift_peer *p = item;
    struct sdwan_drift *d = out;
    struct addr_net net;

    p->first = (uint16_t)d->net_count;
    n = node_child(c, n, "allowed_ips");
    n = config_is(c, n, where, NODE_LIST) ? node_first(c, n) : NULL;
    for (; n; n = node_next(c, n)) {
        const char *problem = NULL;
        if (d->net_count == CONFIG_SDWAN_NETS)
            problem = HINTED("too many allowed_ips", "; raise CONFIG_SDWAN_NETS: ");
        else if (!n->value || parse(&net, n->value) < 0)
            problem = "not a network: ";
        else if (is_declared(d, &net))
            problem = "duplicate network ";
        if (problem)
            config_error(c, n, where, problem, n->value, NULL);
        else
            d->nets[d->net_count++] = n->value;
    }
    p->count = (uint16_t)(d->net_count - p->first);
    return true;
}

static const struct field_list peer_list = {
    .count = offsetof(struct sdwan_drift, count),
    .size = sizeof(struct drift_peer),
    .cap = CONFIG_SDWAN_PEERS,
    .remedy = FIELD_HELP("; raise CONFIG_SDWAN_PEERS"),
    .fields = peer_fields,
    .keep = keep,
};

static const struct field drift_fields[] = {
    TUNNEL_INTERFACE_FIELD(struct sdwan_drift, interface),
    {FIELD_REQUIRED("peers", ""), .type = FIELD_LIST, FIELD_AT(struct sdwan_drift, peers),
     .list = &peer_list},
    {.name = NULL},
};

static int drift_open(void *state, struct config *c, const struct node *n, const char *where)
{
    return tunnel_open(state, c, n, where, drift_fields);
}

/* ---- What the kernel has ---- */

struct look {
    struct sdwan_drift *d;
    struct addr_net nets[CONFIG_SDWAN_NETS]; /* those declared */
    bool found[CONFIG_SDWAN_NETS], seen[PLACES];
    struct addr_net others[PLACES]; /* one of each that is not declared; without a family: there is none */
    bool full;                      /* there are more unknown peers */
};

/** The place of a peer, which may be a new one; PLACES: there is none. */
static unsigned find(struct sdwan_drift *d, const char *key)
{
    unsigned place = PLACES;

    for (unsigned i = 0; i < PLACES; i++)
        if (!d->peers[i].peer.key)
            place = i;
        else if (str_eq(d->peers[i].peer.key, key))
            return i;
    if (place < CONFIG_SDWAN_PEERS) /* the last ones are free first */
        place = PLACES;
    if (place < PLACES)
        d->peers[place].peer.key = memcpy(d->unknown[place - CONFIG_SDWAN_PEERS], key, WIREGUARD_KEY_TEXT);
    return place;
}

static int take(void *arg, const struct wireguard_peer *p)
{
    struct look *look = arg;
    struct sdwan_drift *d = look->d;
    char key[WIREGUARD_KEY_TEXT];
    struct addr_net net;

    if (!p) {
        memset(look->found, 0, sizeof *look - offsetof(struct look, found));
        return 0;
    }
    wireguard_key_text(key, wireguard_key(p));
    const unsigned place = find(d, key);
    if (place == PLACES) {
        look->full = true;
        return 0;
    }
    look->seen[place] = true;
    const unsigned first = d->peers[place].first, end = first + d->peers[place].count;
    struct netlink_part nets = wireguard_nets(p);
    while (wireguard_next_net(&nets, &net)) {
        bool declared = false;
        for (unsigned i = first; i < end; i++)
            if (is_same(&look->nets[i], &net))
                look->found[i] = declared = true;
        if (!declared)
            look->others[place] = net;
    }
    return netlink_ended(&nets);
}

/* ---- What differs ---- */

static void put_other(struct json_writer *w, const struct addr_net *net)
{
    char buf[ADDR_TEXT + 4];
    struct text t;

    text_init(&t, buf, sizeof buf);
    addr_text(&t, &net->base);
    text_char(&t, '/');
    text_u64(&t, net->bits);
    json_put_string(w, "unexpected", buf);
}

static void judge(struct sdwan_drift *d, struct emitter *out, const struct look *look, unsigned place)
{
    struct drift_peer *p = &d->peers[place];
    const struct addr_net *other = &look->others[place];
    const bool unknown = place >= CONFIG_SDWAN_PEERS, seen = look->seen[place];
    const char *problem = NULL, *missing = NULL;
    char subject[TUNNEL_SUBJECT];

    for (unsigned i = p->first; i < (unsigned)p->first + p->count; i++)
        if (!look->found[i])
            missing = d->nets[i];
    if (unknown == seen)
        problem = unknown ? "unknown_peer" : TUNNEL_NO_PEER_TEXT;
    else if (!unknown && (missing || other->base.family))
        problem = "allowed_ips";
    struct json_writer *w = tunnel_condition(out, subject, types, d->interface, p->peer.key,
                                             problem ? LEVEL_WARNING : LEVEL_OK, problem);
    if (w) {
        tunnel_put_peer(w, &p->peer);
        if (missing)
            json_put_string(w, "missing", missing);
        if (other->base.family)
            put_other(w, other);
    }
    if ((!w || emit_end(out) == 1) && unknown && !seen)
        p->peer.key = NULL;
}

static int drift_poll(void *state, struct emitter *out, uint64_t now_ms)
{
    struct sdwan_drift *d = state;
    struct look look = {.d = d};

    (void)now_ms;
    for (unsigned i = 0; i < d->net_count; i++)
        (void)parse(&look.nets[i], d->nets[i]);
    const int err = tunnel_ask(out, d->interface, take, &look);
    if (err < 0 && err != NEFIA_ENOTFOUND)
        return 0;
    tunnel_judge(out, types, d->interface, err < 0 ? TUNNEL_MISSING : NULL);
    for (unsigned i = 0; err == 0 && i < PLACES; i++)
        if (d->peers[i].peer.key)
            judge(d, out, &look, i);
    if (look.full)
        emitter_not_measured(out, d->interface, "too many unknown peers");
    return 0;
}

static int drift_start(void *state, struct emitter *self, void *before)
{
    struct sdwan_drift *d = state;
    const struct sdwan_drift *old = before;

    (void)self;
    for (unsigned i = CONFIG_SDWAN_PEERS; old && i < PLACES; i++)
        if (old->peers[i].peer.key && str_eq(d->interface, old->interface))
            find(d, old->peers[i].peer.key);
    return 0;
}

const struct sensor_class sensor_sdwan_drift = {
    SENSOR_NAME("sdwan_drift", "1m"),
    .list = SENSOR_LIST,
    .fields = drift_fields,
    .state_size = sizeof(struct sdwan_drift),
    .capability = CAP_NET_ADMIN,
    .open = drift_open,
    .start = drift_start,
    .poll = drift_poll,
};
