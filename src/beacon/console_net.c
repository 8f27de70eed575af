/* The console's `net`: what a packet to the hub needs, step by step, and which step fails. */
#include <errno.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netinet/in.h>
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

enum { CONNECT_MS = 5000, GREETING_MS = 3000, FOUND = 4, SHOWN = 32, REACTOR_PORT = 9500 };

/* ---- links, addresses, routes ---- */

struct listing {
    uint8_t message; /* RTM_NEW… */
    int fd;
    unsigned count;  /* shown, and more */
};

/** if_indextoname(3), which comes with much of the C library. */
static const char *name_of(const struct listing *l, int index, struct ifreq *r)
{
    r->ifr_ifindex = index;
    return syscall(SYS_ioctl, l->fd, SIOCGIFNAME, r) == 0 ? r->ifr_name : "?";
}

static void take_ip(struct addr *to, uint8_t family, struct netlink_part value)
{
    const size_t len = family == AF_INET6 ? 16 : 4;

    if (value.len < len)
        return;
    *to = (struct addr){.family = family};
    memcpy(to->ip, value.ptr, len);
}

static int show_link(const struct listing *l, struct netlink_part body)
{
    struct ifinfomsg m;
    struct ifreq name;

    if (body.len < sizeof m)
        return 0;
    memcpy(&m, body.ptr, sizeof m);
    CLI_OUT("  ", name_of(l, m.ifi_index, &name), ": ",
            !(m.ifi_flags & IFF_UP)        ? "down\n"
            : !(m.ifi_flags & IFF_RUNNING) ? "no carrier\n"
                                           : "up\n");
    return 1;
}

static int show_address(const struct listing *l, struct netlink_part body)
{
    struct ifaddrmsg m;
    struct netlink_attribute a;
    struct addr ip = {0};
    struct ifreq name;
    bool local = false;

    if (body.len < sizeof m)
        return 0;
    memcpy(&m, body.ptr, sizeof m);
    for (struct netlink_part rest = netlink_after(body, netlink_aligned(sizeof m)); netlink_next(&rest, &a);)
        if (a.type == IFA_LOCAL || (a.type == IFA_ADDRESS && !local)) {
            local |= a.type == IFA_LOCAL; /* of a point-to-point link IFA_ADDRESS is the other end */
            take_ip(&ip, m.ifa_family, a.value);
        }
    CLI_OUT("  ", name_of(l, (int)m.ifa_index, &name), ": ", ADDR(&ip), "/", DEC(m.ifa_prefixlen), "\n");
    return 1;
}

static int show_route(const struct listing *l, struct netlink_part body)
{
    struct rtmsg m;
    struct netlink_attribute a;
    struct addr to = {0}, gateway = {0};
    struct ifreq name;
    int index = 0;

    if (body.len < sizeof m)
        return 0;
    memcpy(&m, body.ptr, sizeof m);
    if (m.rtm_table != RT_TABLE_MAIN || m.rtm_type != RTN_UNICAST)
        return 0;
    for (struct netlink_part rest = netlink_after(body, netlink_aligned(sizeof m)); netlink_next(&rest, &a);) {
        if (a.type == RTA_DST)
            take_ip(&to, m.rtm_family, a.value);
        else if (a.type == RTA_GATEWAY)
            take_ip(&gateway, m.rtm_family, a.value);
        else if (a.type == RTA_OIF && a.value.len >= sizeof index)
            memcpy(&index, a.value.ptr, sizeof index);
    }
    CLI_OUT("  ", to.family ? ADDR(&to) : "default", to.family ? "/" : "", to.family ? DEC(m.rtm_dst_len) : "", gateway.family ? " via " : "",
            gateway.family ? ADDR(&gateway) : "", " dev ", name_of(l, index, &name), "\n");
    return 1;
}

static int take(void *arg, uint16_t type, struct netlink_part body)
{
    struct listing *l = arg;

    if (type != l->message)
        return 0;
    if (l->count >= SHOWN)
        l->count++; /* a router may have all routes there are */
    else
        l->count += (unsigned)(type == RTM_NEWLINK   ? show_link(l, body)
                               : type == RTM_NEWADDR ? show_address(l, body)
                                                     : show_route(l, body));
    return 0;
}

/** what: its heading. */
static void list(const char *what, uint8_t question)
{
    const struct {
        struct nlmsghdr netlink;
        struct rtmsg route; /* the longest; all begin with their family */
        uint32_t more;
    } message = {.netlink = {.nlmsg_len = sizeof message,
                             .nlmsg_type = question,
                             .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP,
                             .nlmsg_seq = question}};
    const int fd = netlink_open(NETLINK_ROUTE);
    struct listing l = {.message = (uint8_t)(question - 2), .fd = fd}; /* RTM_NEWX, RTM_DELX, RTM_GETX: <linux/rtnetlink.h> */
    struct netlink_answer answer = {.take = take, .arg = &l};

    CLI_OUT(what, ":\n");
    if (fd < 0 || netlink_ask(&answer, fd, &message, sizeof message, pool_work, NETLINK_WORK) < 0)
        CLI_OUT("  not measured: ", ERRNO(fd < 0 ? errno : answer.error), "\n");
    else if (l.count == 0)
        CLI_OUT("  none\n");
    if (l.count > SHOWN)
        CLI_OUT("  and ", DEC(l.count - SHOWN), " more\n");
    if (fd >= 0)
        close(fd);
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

/** Of a datagram socket connect(2) only looks the route up. */
static bool has_route(const struct addr *to)
{
    struct sockaddr_storage ss;
    struct addr from = {0};
    const socklen_t len = addr_to_sockaddr(to, &ss);
    const int fd = socket(to->family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    const bool found = fd >= 0 && connect(fd, (const struct sockaddr *)&ss, len) == 0 && tcp_local(fd, &from) == 0;
    const int why = errno;

    if (fd >= 0)
        close(fd);
    from.port = 0;
    return step("route     ", found ? NULL : ERRNO(why), found ? ADDR(&from) : "");
}

static bool greets(int fd)
{
    char line[128];
    const int n = wait_for(fd, POLLIN, GREETING_MS) > 0 ? tcp_recv(fd, line, sizeof line) : NEFIA_ETIMEOUT;
    static const char greeting[] = "{\"nefia\":2,";

    if (n == NEFIA_ETIMEOUT)
        return step("greeting  ", "none within 3s: not a hub, or one that does not acknowledge", NULL);
    if (n < 0)
        return step("greeting  ", "the hub closed the connection: is this address allowed (reactor.peers)?", NULL);
    return step("greeting  ", (size_t)n < sizeof greeting - 1 || memcmp(line, greeting, sizeof greeting - 1) != 0 ? "something else than a hub answers" : NULL,
                "link 2");
}

static bool reaches(const struct addr *to)
{
    const int fd = tcp_connect_start(to, CONNECT_MS);
    const int ready = fd < 0 ? -1 : wait_for(fd, POLLOUT, CONNECT_MS);
    const bool connected = ready > 0 && tcp_connect_result(fd) == 0;
    const bool fine = step("connect   ", connected ? NULL : ready == 0 ? "no answer within 5s" : ERRNO(errno), "connected") && greets(fd);

    if (fd >= 0)
        close(fd);
    return fine;
}

static bool try_hub(const struct uplink_hub *hub)
{
    struct addr found[FOUND];

    CLI_OUT("Hub ", hub->name ? hub->name : ADDR(&hub->addr), ":\n");
    return look_up(hub, found) > 0 && has_route(&found[0]) && reaches(&found[0]);
}

/** The last step is the daemon's: another hello would end its session. */
static const struct show_section session_sections[] = {
    {.record = "version",
     .text = "Session of the daemon:<uplink>\n"
             "  hub       {hub}\n"
             "  state     {state}\n"
             "  key       [{state=up}{signed=true}proven by both sides][{signed=false}none: events are unsigned]\n"
             "[  failure   {failure}, {~failure_ms_ago} ago\n]"},
    {.text = NULL}};

int console_net(const struct console_command_args *a)
{
    const struct beacon_settings *s = beacon_loaded(a->beacon);
    bool fine = false;

    list("Links", RTM_GETLINK);
    list("Addresses", RTM_GETADDR);
    list("Routes", RTM_GETROUTE);
    for (unsigned i = 0; i < s->reactor_count; i++)
        fine |= try_hub(&s->reactors[i]);
    if (s->reactor_count == 0)
        CLI_OUT("No hub is configured (beacons.reactor).\n");
    const int asked = beacon_ask(a->socket, session_sections, "status", NULL, false, pool_work);
    return fine ? asked : CLI_NO;
}
