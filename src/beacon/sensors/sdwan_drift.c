#include <linux/capability.h>
#include <string.h>

#include "nefia/base/err.h"
#include "nefia/beacon/tunnel.h"

/* sdwan_drift: the peers of a WireGuard interface and the networks that they may send from, against what is declared. */
static const char types[] = "sdwan.peer_drift_detected\0sdwan.peer_drift_resolved\0";

enum {
    UNKNOWN_MOST = 4, /* peers that nobody has declared, of which each is reported */
    PLACES = CONFIG_SDWAN_PEERS + UNKNOWN_MOST,
};

struct drift_peer {
    struct tunnel_peer peer;
    uint16_t first, count; /* in `nets` */
};

struct drift {
    struct sensor_common common;
    const char *interface;
    struct drift_peer peers[CONFIG_SDWAN_PEERS];
    unsigned count, net_count;
    const char *nets[CONFIG_SDWAN_NETS];             /* of all peers, in their order */
    char unknown[UNKNOWN_MOST][WIREGUARD_KEY_TEXT]; /* "": none */
};

/* ---- Configuration ---- */

static const struct field peer_fields[] = {
    TUNNEL_PEER_FIELDS(struct drift_peer, peer),
    {.name = "allowed_ips", .type = FIELD_OWNED},
    {.name = NULL},
};

static void add_net(struct drift *d, struct config *c, const struct node *n, const char *where)
{
    struct addr_net net;
    char buf[CONFIG_MESSAGE_BYTES];
    struct text why;

    text_init(&why, buf, sizeof buf);
    if (d->net_count == CONFIG_SDWAN_NETS)
        text_str(&why, HINTED("too many allowed_ips", "; raise CONFIG_SDWAN_NETS"));
    else if (!n->value)
        text_str(&why, "allowed_ips is not a list of networks");
    else if (addr_net_parse(&net, n->value, strlen(n->value), &why) == 0)
        d->nets[d->net_count++] = n->value;
    if (why.len)
        config_error(c, n, where, buf, NULL);
}

static bool keep(struct config *c, const struct node *n, const char *where, void *item, void *out)
{
    struct drift_peer *p = item;
    struct drift *d = out;
    const struct node *nets = node_child(c, n, "allowed_ips");

    p->first = (uint16_t)d->net_count;
    if (config_is(c, nets, where, NODE_LIST))
        for (nets = node_first(c, nets); nets; nets = node_next(c, nets))
            add_net(d, c, nets, where);
    p->count = (uint16_t)(d->net_count - p->first);
    return true;
}

static const struct field_list peer_list = {
    .count = offsetof(struct drift, count),
    .size = sizeof(struct drift_peer),
    .cap = CONFIG_SDWAN_PEERS,
    .remedy = FIELD_HELP("; raise CONFIG_SDWAN_PEERS"),
    .fields = peer_fields,
    .keep = keep,
};

static const struct field drift_fields[] = {
    TUNNEL_INTERFACE_FIELD(struct drift, interface),
    {FIELD_REQUIRED("peers", "those that it should have"), .type = FIELD_LIST, FIELD_AT(struct drift, peers),
     .list = &peer_list},
    {.name = NULL},
};

static int drift_open(void *state, struct config *c, const struct node *n, const char *where)
{
    return tunnel_open(state, c, n, where, drift_fields, "peers");
}

/* ---- What the kernel has ---- */

/** A look. Places are those of the peers, and behind CONFIG_SDWAN_PEERS of the unknown ones. */
struct look {
    struct drift *d;
    struct addr_net nets[CONFIG_SDWAN_NETS]; /* those declared */
    bool found[CONFIG_SDWAN_NETS];
    struct {
        bool seen;
        unsigned others;       /* networks that are not declared, and one of them */
        struct addr_net other;
    } places[PLACES];
    bool full; /* there are more unknown ones */
};

/** Which one is it of those that are declared? Or their count. */
static unsigned declared(const struct drift *d, const char *key)
{
    unsigned i = 0;

    while (i < d->count && !str_eq(d->peers[i].peer.key, key))
        i++;
    return i;
}

/** The place of a peer, which may be a new one; PLACES: there is none. */
static unsigned find(struct drift *d, const char *key)
{
    unsigned i = declared(d, key), place = PLACES;

    if (i < d->count)
        return i;
    for (i = UNKNOWN_MOST; i-- > 0;)
        if (str_eq(d->unknown[i], key))
            return CONFIG_SDWAN_PEERS + i;
        else if (!d->unknown[i][0])
            place = CONFIG_SDWAN_PEERS + i;
    if (place < PLACES)
        memcpy(d->unknown[place - CONFIG_SDWAN_PEERS], key, WIREGUARD_KEY_TEXT);
    return place;
}

static void take_net(struct look *look, unsigned place, const struct addr_net *net)
{
    const struct drift_peer *p = &look->d->peers[place];
    bool known = false;

    for (unsigned i = p->first; place < CONFIG_SDWAN_PEERS && i < (unsigned)p->first + p->count; i++)
        if (look->nets[i].bits == net->bits && addr_same_host(&look->nets[i].base, &net->base))
            look->found[i] = known = true;
    if (known)
        return;
    look->places[place].others++;
    look->places[place].other = *net;
}

static int take(void *arg, const struct wireguard_peer *p)
{
    struct look *look = arg;
    char key[WIREGUARD_KEY_TEXT];
    struct addr_net net;

    if (!p) {
        memset(look->found, 0, sizeof look->found);
        memset(look->places, 0, sizeof look->places);
        look->full = false;
        return 0;
    }
    wireguard_key_text(key, wireguard_key(p));
    const unsigned place = find(look->d, key);
    if (place == PLACES) {
        look->full = true;
        return 0;
    }
    look->places[place].seen = true;
    struct netlink_part nets = wireguard_nets(p);
    while (wireguard_next_net(&nets, &net))
        take_net(look, place, &net);
    return netlink_ended(&nets);
}

/* ---- What differs ---- */

/** So many networks, of which this is one. */
static void put_nets(struct json_writer *w, const char *key, const char *count_key, unsigned count, const char *net)
{
    if (count == 0)
        return;
    json_put_string(w, key, net);
    json_put_u64(w, count_key, count);
}

static void put_other(struct json_writer *w, const struct addr_net *net, unsigned count)
{
    char buf[ADDR_TEXT + 4];
    struct text t;

    text_init(&t, buf, sizeof buf);
    addr_text(&t, &net->base);
    text_char(&t, '/');
    text_u64(&t, net->bits);
    put_nets(w, "unexpected", "unexpected_count", count, buf);
}

static void judge(struct drift *d, struct emitter *out, const struct look *look, unsigned place)
{
    const bool unknown = place >= CONFIG_SDWAN_PEERS, seen = look->places[place].seen;
    const struct drift_peer stranger = {.peer.key = d->unknown[unknown ? place - CONFIG_SDWAN_PEERS : 0]};
    const struct drift_peer *p = unknown ? &stranger : &d->peers[place];
    const char *problem = unknown == seen ? (unknown ? "unknown_peer" : "peer_missing") : NULL, *missing = NULL;
    unsigned lacks = 0;
    char subject[TUNNEL_SUBJECT];

    for (unsigned i = p->first; i < (unsigned)p->first + p->count; i++)
        if (!look->found[i]) {
            missing = d->nets[i];
            lacks++;
        }
    if (!problem && (lacks || look->places[place].others))
        problem = "allowed_ips";
    struct json_writer *w = tunnel_condition(out, subject, types, d->interface, p->peer.key,
                                             problem ? LEVEL_WARNING : LEVEL_OK, problem);
    if (w) {
        tunnel_put_peer(w, &p->peer);
        put_nets(w, "missing", "missing_count", lacks, missing);
        put_other(w, &look->places[place].other, look->places[place].others);
    }
    if ((!w || emit_end(out) == 1) && unknown && !seen)
        d->unknown[place - CONFIG_SDWAN_PEERS][0] = '\0';
}

static int drift_poll(void *state, struct emitter *out, uint64_t now_ms)
{
    struct drift *d = state;
    struct look look = {.d = d};

    (void)now_ms;
    for (unsigned i = 0; i < d->net_count; i++)
        (void)addr_net_parse(&look.nets[i], d->nets[i], strlen(d->nets[i]), NULL);
    const int err = tunnel_ask(out, d->interface, take, &look);
    if (err < 0 && err != NEFIA_ENOTFOUND)
        return 0;
    tunnel_judge(out, types, d->interface, err < 0 ? TUNNEL_MISSING : NULL);
    for (unsigned i = 0; err == 0 && i < PLACES; i++)
        if (i < CONFIG_SDWAN_PEERS ? i < d->count : d->unknown[i - CONFIG_SDWAN_PEERS][0])
            judge(d, out, &look, i);
    if (look.full)
        emitter_not_measured(out, d->interface, "too many unknown peers");
    return 0;
}

static int drift_start(void *state, struct emitter *self, void *before)
{
    struct drift *d = state;
    const struct drift *old = before;

    (void)self;
    for (unsigned i = 0; old && str_eq(d->interface, old->interface) && i < UNKNOWN_MOST; i++)
        if (declared(d, old->unknown[i]) == d->count)
            memcpy(d->unknown[i], old->unknown[i], WIREGUARD_KEY_TEXT);
    return 0;
}

const struct sensor_class sensor_sdwan_drift = {
    SENSOR_NAME("sdwan_drift", "1m"),
    .list = SENSOR_LIST,
    .fields = drift_fields,
    .state_size = sizeof(struct drift),
    .capability = CAP_NET_ADMIN,
    .open = drift_open,
    .start = drift_start,
    .poll = drift_poll,
};
