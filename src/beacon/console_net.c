/* The console's `net`: what a packet to the hub needs, step by step, and which step fails. */
#include <errno.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "nefia/base/err.h"
#include "nefia/base/kconfig.h"
#include "nefia/beacon/console.h"
#include "nefia/net/netlink.h"
#include "nefia/net/resolve.h"
#include "nefia/net/tcp.h"

#define POOL_PROGRAM_BEACON
#include "nefia/base/pool.h"

enum { CONNECT_MS = 5000, GREETING_MS = 3000, FOUND = 4, REACTOR_PORT = 9500 };

/* ---- links, addresses, routes ---- */

/** What a message begins with, of <linux/rtnetlink.h>. */
union head {
    struct ifinfomsg link;
    struct ifaddrmsg address;
    struct rtmsg route;
};

struct listing {
    int fd;
    uint8_t message; /* RTM_NEW… */
    bool some;
};

/** if_indextoname(3), which comes with much of the C library; `?` where there is none. The kernel forbids but blanks, `/` and `:`
 * (dev_valid_name): controls are not to reach the terminal. */
static const char *name_of(int fd, int index, char name[IFNAMSIZ])
{
    struct ifreq r = {.ifr_name = "?", .ifr_ifindex = index};
    struct text t;

    (void)syscall(SYS_ioctl, fd, SIOCGIFNAME, &r);
    text_init(&t, name, IFNAMSIZ);
    text_printable(&t, r.ifr_name, strlen(r.ifr_name));
    return name;
}

static void take_value(void *to, size_t size, struct netlink_part value)
{
    if (value.len > 0)
        memcpy(to, value.ptr, value.len < size ? value.len : size);
}

static const char *state_of(unsigned flags)
{
    return !(flags & IFF_UP) ? "down" : flags & IFF_RUNNING ? "up" : "no carrier";
}

/** A line for each message: `eth0: up`, `eth0: 10.0.0.2/24`, `eth0: 0.0.0.0/0 via 10.0.0.1`. */
static int take(void *arg, uint16_t type, struct netlink_part body)
{
    enum { ADDRESS = IFA_ADDRESS, LOCAL = IFA_LOCAL, DEVICE = RTA_OIF, GATEWAY = RTA_GATEWAY, VALUES };
    struct listing *l = arg;
    struct netlink_part value[VALUES] = {{NULL, 0}};
    struct netlink_attribute a;
    char name[IFNAMSIZ];
    union head h;
    const size_t head = type == RTM_NEWLINK ? sizeof h.link : type == RTM_NEWADDR ? sizeof h.address : sizeof h.route;

    if (type != l->message || body.len < head)
        return 0;
    memcpy(&h, body.ptr, head);
    if (type == RTM_NEWROUTE && (h.route.rtm_table != RT_TABLE_MAIN || h.route.rtm_type != RTN_UNICAST))
        return 0;
    for (struct netlink_part rest = netlink_after(body, head); netlink_next(&rest, &a);)
        if (a.type < VALUES)
            value[a.type] = a.value;
    l->some = true;
    if (type == RTM_NEWLINK) {
        CLI_OUT("  ", name_of(l->fd, h.link.ifi_index, name), ": ", state_of(h.link.ifi_flags), "\n");
        return 0;
    }
    /* The family and the length of the prefix stand at the same place in both; of a point-to-point link ADDRESS is the other end. */
    struct addr to = {.family = h.address.ifa_family}, via = to;
    int device = (int)h.address.ifa_index;
    if (type == RTM_NEWROUTE)
        take_value(&device, sizeof device, value[DEVICE]);
    take_value(to.ip, sizeof to.ip, value[ADDRESS]);
    if (type == RTM_NEWADDR)
        take_value(to.ip, sizeof to.ip, value[LOCAL]);
    take_value(via.ip, sizeof via.ip, value[GATEWAY]);
    CLI_OUT("  ", name_of(l->fd, device, name), ": ", ADDR(&to), "/", DEC(h.address.ifa_prefixlen), value[GATEWAY].len ? " via " : "",
            value[GATEWAY].len ? ADDR(&via) : "", "\n");
    return 0;
}

/** Ask for them one kind after the other. */
static void list(void)
{
    static const uint8_t questions[] = {RTM_GETLINK, RTM_GETADDR, RTM_GETROUTE};
    struct listing l = {.fd = netlink_open(NETLINK_ROUTE)};
    struct netlink_answer answer = {.take = take, .arg = &l};
    struct {
        struct nlmsghdr netlink;
        struct rtmsg route; /* the longest; all begin with their family */
        uint32_t more;
    } message = {.netlink = {.nlmsg_len = sizeof message, .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP}};

    for (unsigned i = 0; i < sizeof questions; i++) {
        CLI_OUT(word_at("Links:\n\0Addresses:\n\0Routes:\n\0", i));
        message.netlink.nlmsg_type = questions[i];
        l.message = (uint8_t)(questions[i] - 2); /* RTM_NEWX, RTM_DELX, RTM_GETX */
        l.some = false;
        if (l.fd < 0 || netlink_ask(&answer, l.fd, &message, sizeof message, pool_work, NETLINK_WORK) < 0)
            CLI_OUT("  not measured\n");
        else if (!l.some)
            CLI_OUT("  none\n");
    }
}

/* ---- a hub ---- */

/** why null: the step succeeded. Return: did it? */
static bool step(const char *name, const char *why, const char *fine)
{
    CLI_OUT("  ", name, why ? "FAILS: " : "", why ? why : fine, "\n");
    return !why;
}

static int wait_for(int fd, short events, int ms)
{
    struct pollfd p = {.fd = fd, .events = events};

    return poll(&p, 1, ms);
}

/** Return: addresses. */
static int look_up(const struct uplink_hub *hub, struct addr found[FOUND])
{
    char host[ADDR_HOST];
    uint16_t port;

    found[0] = hub->addr;
    if (!IS_ENABLED(CONFIG_BEACON_RESOLVE) || !hub->name)
        return 1;
    int n = addr_parse_hostport(hub->name, strlen(hub->name), REACTOR_PORT, host, &port, NULL);
    if (n >= 0)
        n = resolve(host, port, found, FOUND);
    step("name      ", n == NEFIA_ENOTFOUND ? "no such host" : n == NEFIA_ETIMEOUT ? "no DNS server answers (/etc/resolv.conf)" : n < 0 ? err_text(n) : NULL,
         n > 0 ? ADDR(&found[0]) : "");
    return n;
}

static void greets(int fd)
{
    static const char greeting[] = "{\"nefia\":2,";
    char line[sizeof greeting - 1] = {0};
    const char *why = NULL;

    if (wait_for(fd, POLLIN, GREETING_MS) <= 0)
        why = "none within 3s: not a hub that acknowledges";
    else if (read(fd, line, sizeof line) <= 0)
        why = "closed by the hub: is this address allowed (reactor.peers)?";
    else if (memcmp(line, greeting, sizeof line) != 0)
        why = "not a hub";
    (void)step("greeting  ", why, "link 2");
}

static void reach(const struct addr *to)
{
    const int fd = tcp_connect_start(to, CONNECT_MS);
    const int ready = fd < 0 ? -1 : wait_for(fd, POLLOUT, CONNECT_MS);
    const bool connected = ready > 0 && tcp_connect_result(fd) == 0;

    if (step("connect   ", connected ? NULL : ready == 0 ? "no answer within 5s" : ERRNO(errno), "connected"))
        greets(fd);
    if (fd >= 0)
        close(fd);
}

static void try_hub(const struct uplink_hub *hub)
{
    struct addr found[FOUND];

    CLI_OUT("Hub ", hub->name ? hub->name : ADDR(&hub->addr), ":\n");
    if (look_up(hub, found) > 0)
        reach(&found[0]);
}

/* ---- what the daemon has of it ---- */

const struct show_section console_link_sections[] = {
    {.record = "version",
     .text = "<uplink>Hub\t{hub}[, {address}]\n"
             "State\t{state} for {~since_ms}[{state=waiting}, next try in {~next_try_ms}][{state=up}{signed=true}, key proven by both sides]\n"
             "Delivery\t{delivery}, signed: {signed}\n"
             "Failures\t{failures}[, the last: {failure}]\n"},
    {.text = NULL}};

void console_net(struct beacon *b)
{
    const struct beacon_settings *s = beacon_loaded(b);

    list();
    for (unsigned i = 0; i < s->reactor_count; i++)
        try_hub(&s->reactors[i]);
    if (s->reactor_count == 0)
        CLI_OUT("No hub is configured (beacons.reactor).\n");
    CLI_OUT("The daemon's session:\n"); /* another hello would end it */
    console_ask(b, console_link_sections, "status");
}
