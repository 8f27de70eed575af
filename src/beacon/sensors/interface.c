#include <errno.h>
#include <linux/if.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "nefia/base/err.h"
#include "nefia/base/glob.h"
#include "nefia/beacon/sensor.h"
#include "nefia/net/netlink.h"

/* interface: what the kernel reports of links and routes (rtnetlink(7)), and at each interval what it counts: their
 * errors. At some of the looks all that it knows of them, for what was not reported. */
enum nic_state { ABSENT, DOWN, NO_CARRIER, UP };
#define STATES "absent\0down\0no carrier\0up\0"

enum {
    DATAGRAMS_A_TURN = 32, /* then the other descriptors have their turn */
    MINUTE_MS = 60 * 1000,
    FAMILIES = 2,
    ALL_ROUTES = (1 << FAMILIES) - 1,
    WHOLE_AT = 10, /* what the kernel says of links and routes is held against all of them at each so many looks */
};

/** Errors and drops in both directions; what matters is how much more there are. */
struct nic_counts {
    uint32_t errors, drops;
};

struct nic {
    char name[IFNAMSIZ];
    uint32_t index;              /* 0: not there; with an empty name: a free place */
    uint8_t state, told;         /* enum nic_state: now, and as the last event said */
    uint8_t changes;             /* how often it has changed since the last look; 255 and more */
    bool seen, counted, flapped; /* in this dump; `before` is set; as last told */
    bool changed;                /* since it was last told */
    struct nic_counts now, before;
};

struct interface {
    struct sensor_common common;
    struct thresholds limits; /* errors and drops a minute */
    const char *globs[CONFIG_INTERFACES];
    unsigned glob_count;
    int64_t flapping_changes;
    bool default_route;
    bool has[FAMILIES]; /* a default route, IPv4 and IPv6 … */
    bool had[FAMILIES]; /* … or has had one, or it is time that there was one */
    bool again;         /* to do: look at links again */
    bool crowded;       /* there were more than CONFIG_INTERFACES */
    uint8_t routes;     /* to do: look at default routes of these families, bits */
    bool asking;        /* what comes is, or may be, an answer */
    uint8_t looks;      /* since all was looked at, with that; 0: it never was */
    int fd;             /* 0: not open */
    uint32_t sequence;  /* of the last question */
    uint64_t looked_ms; /* when `before` was set */
    struct nic nics[CONFIG_INTERFACES];
};

static const struct field_list glob_list = {
    .count = offsetof(struct interface, glob_count),
    .cap = CONFIG_INTERFACES,
    .remedy = FIELD_HELP("; raise CONFIG_INTERFACES"),
};

#define MEMBER(name) FIELD_AT(struct interface, name)
static const struct field interface_fields[] = {
    THRESHOLD_FIELDS(struct interface, limits, "_errors", FIELD_INT, 1, 1000000, "60", "600", "10"),
    {.name = "interfaces",
     .type = FIELD_LIST,
     MEMBER(globs),
     .list = &glob_list,
     FIELD_NOTE("which; default: all but loopback and those of containers")},
    {FIELD_DEFAULT("flapping_changes", "6"), .type = FIELD_INT, MEMBER(flapping_changes), .min = 2,
     .max = UINT8_MAX, FIELD_NOTE("flapping: it goes up or down so often between two looks")},
    {FIELD_DEFAULT("default_route", "true"), .type = FIELD_BOOL, MEMBER(default_route),
     FIELD_NOTE("report when there is none")},
    {.name = NULL},
};

/* ---- What the kernel says ---- */

/** Where messages go. */
struct look {
    struct interface *s;
    struct emitter *out;
};

/** Docker's bridges are br- and twelve digits; br-lan is not one. */
static bool is_wanted(const struct interface *s, const char *name)
{
    const size_t len = strlen(name);

    for (const char *at = "lo\0veth*\0docker*\0br-????????????\0virbr*\0vnet*\0";
         s->glob_count == 0 && *at; at = word_at(at, 1))
        if (glob_whole(at, name, len))
            return false;
    for (unsigned i = 0; i < s->glob_count; i++)
        if (glob_whole(s->globs[i], name, len))
            return true;
    return s->glob_count == 0;
}

static void change(struct nic *l, enum nic_state state)
{
    if (l->state == state)
        return;
    l->state = (uint8_t)state;
    l->changed = true;
    if (l->changes < UINT8_MAX)
        l->changes++;
}

static void lose(struct nic *l)
{
    l->index = 0;
    l->counted = false;
    change(l, ABSENT);
}

/** The place of the interface of this name, which may be new (its told is ABSENT, as state is). One that had its
 * index had another name. Null: there is none left. */
static struct nic *find(const struct look *look, uint32_t index, const char *name)
{
    struct nic *place = NULL;

    for (unsigned i = 0; i < CONFIG_INTERFACES; i++) {
        struct nic *l = &look->s->nics[i];
        if (str_eq(l->name, name)) {
            place = l;
            continue;
        }
        if (l->index == index)
            lose(l);
        if (l->index == 0 && l->told == ABSENT &&
            (!place || (place->name[0] && !str_eq(place->name, name))))
            place = l;
    }
    return place;
}

static uint32_t count_of(const uint8_t *stats, size_t at)
{
    uint64_t v;

    memcpy(&v, stats + at, sizeof v);
    return (uint32_t)v;
}
#define STAT(value, member) count_of((value).ptr, offsetof(struct rtnl_link_stats64, member))

static void take_counts(struct netlink_part stats, struct nic_counts *counts)
{
    if (stats.len >= offsetof(struct rtnl_link_stats64, multicast))
        *counts = (struct nic_counts){STAT(stats, rx_errors) + STAT(stats, tx_errors),
                                      STAT(stats, rx_dropped) + STAT(stats, tx_dropped)};
}

static void take_attributes(struct netlink_part rest, char name[IFNAMSIZ],
                            struct nic_counts *counts)
{
    struct netlink_attribute a;

    while (netlink_next(&rest, &a)) {
        if (a.type == IFLA_IFNAME && a.value.len > 1 && a.value.len <= IFNAMSIZ)
            memcpy(name, a.value.ptr, a.value.len - 1);
        else if (a.type == IFLA_STATS64)
            take_counts(a.value, counts);
    }
}

/** Of an interface that is known; those that are not wanted are counted, too. */
static void take_stats(struct interface *s, uint32_t index, struct netlink_part rest)
{
    struct netlink_attribute a;
    unsigned i = 0;

    while (i < CONFIG_INTERFACES && s->nics[i].index != index)
        i++;
    while (i < CONFIG_INTERFACES && netlink_next(&rest, &a))
        if (a.type == IFLA_STATS_LINK_64)
            take_counts(a.value, &s->nics[i].now);
}

static void take_link(const struct look *look, bool gone, const struct ifinfomsg *link,
                      struct netlink_part rest)
{
    char name[IFNAMSIZ] = "";
    struct nic_counts counts = {0};

    take_attributes(rest, name, &counts);
    if (!(link->ifi_flags & IFF_UP) && !look->s->asking)
        look->s->routes = ALL_ROUTES; /* those over it go without a word */
    struct nic *l = name[0] ? find(look, (uint32_t)link->ifi_index, name) : NULL;
    if (!name[0] || !is_wanted(look->s, name) || (gone && l && !str_eq(l->name, name)))
        return;
    if (!l) {
        look->s->crowded = true;
        if (look->s->looks) /* the start has room for those that it knows, and the first look says so */
            emitter_not_measured(look->out, name,
                                 HINTED("too many interfaces", " (CONFIG_INTERFACES)"));
        return;
    }
    if (gone) {
        lose(l);
        return;
    }
    const enum nic_state state = !(link->ifi_flags & IFF_UP)        ? DOWN
                                 : !(link->ifi_flags & IFF_RUNNING) ? NO_CARRIER
                                                                    : UP;
    if (!str_eq(l->name, name)) {
        *l = (struct nic){.state = (uint8_t)state,
                          .told = (uint8_t)(emitter_once(look->out) ? ABSENT : state)};
        memcpy(l->name, name, sizeof name);
    }
    l->index = (uint32_t)link->ifi_index;
    l->seen = true;
    l->now = counts;
    if (state == DOWN && l->state != DOWN)
        look->s->routes = ALL_ROUTES;
    change(l, state);
}

static void take_default_route(struct interface *s, bool is_there, const struct rtmsg *route)
{
    const unsigned family = route->rtm_family == AF_INET6;

    if (is_there && !(route->rtm_flags & RTNH_F_DEAD))
        s->has[family] = true;
    if (!is_there || !s->asking)
        s->routes |= (uint8_t)(1 << family);
}

static int take(void *arg, uint16_t type, struct netlink_part body)
{
    const struct look *look = arg;
    struct ifinfomsg link;
    struct rtmsg route;
    struct if_stats_msg stats;

    if ((type == RTM_NEWLINK || type == RTM_DELLINK) && body.len >= sizeof link) {
        memcpy(&link, body.ptr, sizeof link);
        if (link.ifi_family == AF_UNSPEC &&
            link.ifi_index > 0) /* bridges report their ports, too */
            take_link(look, type == RTM_DELLINK, &link,
                      netlink_after(body, netlink_aligned(sizeof link)));
    } else if ((type == RTM_NEWROUTE || type == RTM_DELROUTE) && body.len >= sizeof route) {
        memcpy(&route, body.ptr, sizeof route);
        if (route.rtm_dst_len == 0 && route.rtm_table == RT_TABLE_MAIN &&
            route.rtm_type == RTN_UNICAST)
            take_default_route(look->s, type == RTM_NEWROUTE, &route);
    } else if (type == RTM_NEWSTATS && body.len >= sizeof stats) {
        memcpy(&stats, body.ptr, sizeof stats);
        if (stats.ifindex > 0)
            take_stats(look->s, stats.ifindex, netlink_after(body, sizeof stats));
    }
    return 0;
}

/* ---- What it is asked ---- */

/** All links, what all of them count, or all routes of a family, through the socket that has the news, which come with
 * them and are taken, too. Return: 0; negative: not measured, or more was reported than the kernel keeps and all of
 * this is lost, or counts are no question before Linux 4.7. */
static int ask(struct interface *s, struct emitter *out, uint16_t type, uint8_t family)
{
    const bool of_links = type == RTM_GETLINK, of_counts = type == RTM_GETSTATS;
    const struct {
        struct nlmsghdr netlink;
        struct if_stats_msg body; /* as long as an rtmsg, and all begin with the family */
        uint32_t more;            /* of an ifinfomsg */
    } question = {.netlink = {.nlmsg_len = sizeof question - (of_links ? 0 : sizeof question.more),
                              .nlmsg_type = type,
                              .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP,
                              .nlmsg_seq = ++s->sequence},
                  .body = {.family = family,
                           .filter_mask = of_counts ? IFLA_STATS_FILTER_BIT(IFLA_STATS_LINK_64) : 0}};
    struct look look = {s, out};
    struct netlink_answer answer = {.take = take, .arg = &look, .news = true};
    size_t cap;
    char *work = emitter_buffer(out, &cap);

    s->asking = true;
    int err = netlink_ask(&answer, s->fd, &question, question.netlink.nlmsg_len, work, cap);
    s->asking = false;
    if (err < 0 && of_counts && answer.error != ENOBUFS)
        return err;
    s->again |= err < 0 || answer.interrupted;
    s->routes |= err < 0 ? ALL_ROUTES : 0; /* news may be lost, too */
    if (err < 0 && answer.error != ENOBUFS)
        emitter_not_measured(out, "netlink",
                             err == NEFIA_EIO ? ERRNO(answer.error) : err_text(err));
    return err;
}

/** Those that are not among all links are gone. Return: as ask. */
static int look_at_links(struct interface *s, struct emitter *out)
{
    for (unsigned i = 0; i < CONFIG_INTERFACES; i++)
        s->nics[i].seen = false;
    s->again = s->crowded = false;
    int err = ask(s, out, RTM_GETLINK, AF_UNSPEC);
    for (unsigned i = 0; i < CONFIG_INTERFACES && !s->again; i++)
        if (s->nics[i].index && !s->nics[i].seen) {
            lose(&s->nics[i]);
            s->routes = ALL_ROUTES;
        }
    return err;
}

static void look_at_routes(struct interface *s, struct emitter *out)
{
    const uint8_t wanted = s->routes;

    s->routes = 0;
    for (unsigned i = 0; i < FAMILIES; i++) {
        if (!(wanted >> i & 1))
            continue;
        s->has[i] = false;
        if (ask(s, out, RTM_GETROUTE, i ? AF_INET6 : AF_INET) < 0 || s->again) {
            s->routes |= wanted; /* once links have been looked at again */
            return;
        }
        s->had[i] |= s->has[i] || (i == 0 && emitter_once(out));
        const char *name = i ? "ipv6" : "ipv4";
        struct json_writer *w = emit_condition(out, "interface.default_route", name,
                                               s->had[i] && !s->has[i] ? LEVEL_CRITICAL : LEVEL_OK);
        if (!w)
            continue;
        json_put_string(w, "family", name);
        emit_end(out);
    }
}

/* ---- What is reported ---- */

static void tell_flapping(const struct interface *s, struct emitter *out, struct nic *l)
{
    const bool flaps = l->changes >= s->flapping_changes;
    struct json_writer *w = flaps || l->flapped ? emit_condition(out, "interface.flapping", l->name,
                                                                 flaps ? LEVEL_WARNING : LEVEL_OK)
                                                : NULL;
    l->flapped = flaps;
    if (!w)
        return;
    json_put_string(w, "interface", l->name);
    json_put_u64(w, "changes", l->changes);
    emit_end(out);
}

/** While it flaps its changes are not reported; afterwards what has come of them is. all: at a look, which counts
 * changes anew, and where flapping may end; else only those that have changed. */
static void tell(struct interface *s, struct emitter *out, bool all)
{
    for (unsigned i = 0; i < CONFIG_INTERFACES; i++) {
        struct nic *l = &s->nics[i];
        if (!all && (!l->changed || l->flapped))
            continue;
        l->changed = false;
        tell_flapping(s, out, l);
        if (all)
            l->changes = 0;
        if (l->state == l->told || l->flapped)
            continue;
        struct json_writer *w = emit_change(out, "interface.state", l->name,
                                            l->told == UP ? SEVERITY_WARNING : SEVERITY_INFO);
        json_put_string(w, "interface", l->name);
        json_put_string(w, "state", word_at(STATES, l->state));
        json_put_string(w, "previous_state", word_at(STATES, l->told));
        if (emit_end(out) == 1)
            l->told = l->state;
    }
}

/** A counter that has become less began anew. */
static int64_t per_minute(uint32_t before, uint32_t now, uint64_t ms)
{
    return now < before ? 0 : (int64_t)((uint64_t)(now - before) * MINUTE_MS / ms);
}

/** ms: since the look before; 0 only at the first. */
static void tell_errors(struct interface *s, struct emitter *out, uint64_t ms)
{
    for (unsigned i = 0; i < CONFIG_INTERFACES; i++) {
        struct nic *l = &s->nics[i];
        const struct nic_counts before = l->before;
        const bool counted = l->counted;
        l->before = l->now;
        l->counted = l->index > 0;
        if (!counted)
            continue;
        const int64_t errors = per_minute(before.errors, l->now.errors, ms);
        const int64_t drops = per_minute(before.drops, l->now.drops, ms);
        struct json_writer *w =
            emit_level(out, "interface.errors", l->name, errors + drops, &s->limits, ABOVE);
        if (!w)
            continue;
        json_put_string(w, "interface", l->name);
        json_put_i64(w, "errors_per_minute", errors);
        json_put_i64(w, "drops_per_minute", drops);
        emit_end(out);
    }
}

static void interface_ready(void *state, struct emitter *out, int fd, short events)
{
    struct interface *s = state;
    struct look look = {s, out};
    int got = 1;

    (void)fd;
    (void)events;
    for (unsigned i = 0; i < DATAGRAMS_A_TURN && got; i++) {
        struct netlink_answer answer = {.take = take, .arg = &look};
        size_t cap;
        char *work = emitter_buffer(out, &cap);
        got = netlink_take(&answer, s->fd, work, cap);
        s->again |= got < 0; /* ENOBUFS, mostly */
        s->routes |= got < 0 ? ALL_ROUTES : 0;
        tell(s, out, false);
    }
    if (got == 0 && s->again && look_at_links(s, out) == 0)
        tell(s, out, false);
    if (got == 0 && s->routes && !s->again && s->default_route)
        look_at_routes(s, out);
}

static int interface_poll(void *state, struct emitter *out, uint64_t now_ms)
{
    struct interface *s = state;

    for (unsigned i = 0; i < FAMILIES; i++)
        s->routes |= (uint8_t)((s->had[i] && !s->has[i]) << i);
    const bool whole = s->looks == 0 || s->looks >= WHOLE_AT;
    if (whole)
        s->routes = ALL_ROUTES;
    s->looks = whole ? 1 : (uint8_t)(s->looks + 1);
    if ((whole || s->again || s->crowded || ask(s, out, RTM_GETSTATS, AF_UNSPEC) < 0) && look_at_links(s, out) < 0)
        return 0; /* `ready` does both when it has read what there is */
    /* After a reload the look comes early: what came in so short a time is no minute's worth of errors, and no
     * end of flapping. */
    const bool due = s->looked_ms == 0 || now_ms - s->looked_ms > s->common.interval_ms / 2;
    tell(s, out, due);
    if (due) {
        tell_errors(s, out, now_ms - s->looked_ms);
        s->looked_ms = now_ms;
    }
    if (s->routes && s->default_route)
        look_at_routes(s, out);
    s->had[0] = true; /* a device that starts has this long to get one */
    return 0;
}

static void interface_stop(void *state)
{
    struct interface *s = state;

    if (s->fd)
        close(s->fd);
}

/** What an earlier configuration has seen, as far as this one wants it. */
static void take_over(struct interface *s, const struct interface *old)
{
    memcpy(s->nics, old->nics, sizeof s->nics);
    memcpy(s->had, old->had, sizeof s->had);
    s->looked_ms = old->looked_ms;
    for (unsigned i = 0; i < CONFIG_INTERFACES; i++)
        if (!is_wanted(s, s->nics[i].name))
            s->nics[i] = (struct nic){.index = 0};
}

static int interface_start(void *state, struct emitter *self, void *before)
{
    struct interface *s = state;
    uint32_t groups = RTMGRP_LINK;

    if (s->default_route)
        groups |= RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE;
    s->fd = netlink_subscribe(NETLINK_ROUTE, groups);
    if (s->fd < 0)
        return emitter_not_measured(self, "netlink", ERRNO(errno));
    if (before) {
        take_over(s, before);
        emitter_soon(self, 0);
    }
    int err = look_at_links(s, self);
    if (err == 0)
        err = emitter_watch(self, s->fd, POLLIN);
    if (err < 0)
        interface_stop(s);
    return err;
}

const struct sensor_class sensor_interface = {
    SENSOR_NAME("interface", "2m"),
    .fields = interface_fields,
    .state_size = sizeof(struct interface),
    .watches = 1,
    .limits = 1,
    .start = interface_start,
    .poll = interface_poll,
    .ready = interface_ready,
    .stop = interface_stop,
};
