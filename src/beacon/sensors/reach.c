#include <errno.h>
#include <linux/capability.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "nefia/base/bytes.h"
#include "nefia/base/err.h"
#include "nefia/beacon/sensor.h"
#include "nefia/net/resolve.h"
#include "nefia/net/tcp.h"
#include "nefia/sys/clock.h"
#include "nefia/sys/random.h"
#include "nefia/sys/stamp.h"

/* reach: is a target there, and how far away? A probe at each interval: a TCP connection, an ICMP echo
 * (RFC 792, RFC 4443) or a DNS question. One that is not answered before the next is lost. Each has a random
 * number that the answer repeats, and a socket of its own, so that neither a late answer nor a stranger's is
 * taken for this one's; only ping sockets, whose answers the kernel sorts, serve until one is lost.
 * Once a ping socket has been answered the processor need not wake up for its answers: the kernel notes when each comes in, and
 * it is read at the next look. The first one of a socket is waited for, since the kernel begins to note them a little later than it
 * is asked to; so it is known at once that a target is there again. */
enum kind { TCP, ICMP, DNS };
enum { WINDOW_MAX = 30, LOST = UINT16_MAX, UNWATCHED_MS = 60000 /* longest interval at which an answer may lie unread */ };

struct target {
    struct addr addr;
    uint8_t kind, given; /* given: how many of the three keys */
};

struct reach {
    struct sensor_common common;
    struct thresholds loss, latency; /* tenths of a percent; ms */
    struct target target;
    const char *query;
    int64_t window;
    int fd;        /* of the probe that is under way, or kept for the next; 0: none */
    bool waits;    /* a probe is under way */
    bool ping;     /* fd is a ping socket */
    bool stamped;  /* and the kernel notes when its answers come in */
    bool unread;   /* the answer to the probe under way is read at the next look */
    uint64_t token, sent_ms;
    uint32_t sent_stamp; /* sent_ms by the wall clock */
    unsigned count;
    uint16_t ms[WINDOW_MAX]; /* results, the newest first; LOST: no answer */
};

/* ---- configuration ---- */

static int set_target(void *member, enum kind kind, const char *value, uint16_t port, struct text *why)
{
    struct target *t = member;

    t->kind = (uint8_t)kind;
    t->given++;
    return addr_parse(&t->addr, value, strlen(value), port, why);
}

static int set_tcp(void *member, const char *value, struct text *why)
{
    return set_target(member, TCP, value, 0, why);
}

static int set_icmp(void *member, const char *value, struct text *why)
{
    int err = set_target(member, ICMP, value, 1, why);

    ((struct target *)member)->addr.port = 0;
    return err;
}

static int set_dns(void *member, const char *value, struct text *why)
{
    return set_target(member, DNS, value, 53, why);
}

#define MEMBER(name) FIELD_AT(struct reach, name)
enum { LOSS = 0, LATENCY = 3 }; /* indices of the thresholds */
static const struct field reach_fields[] = {
    THRESHOLD_FIELDS(struct reach, loss, "_loss", FIELD_TENTHS, 1, 1000, "20", "50", "5"),
    THRESHOLD_FIELDS(struct reach, latency, "_latency", FIELD_DURATION, 1, 60000, "500ms", "2s", "100ms"),
    {.name = "tcp",
     .type = FIELD_SET,
     MEMBER(target),
     .set = set_tcp,
     FIELD_NOTE("address and port that accept a connection")},
    {.name = "icmp",
     .type = FIELD_SET,
     MEMBER(target),
     .set = set_icmp,
     FIELD_NOTE("address that answers an echo request")},
    {.name = "dns",
     .type = FIELD_SET,
     MEMBER(target),
     .set = set_dns,
     FIELD_NOTE("name server")},
    {.name = "query",
     .type = FIELD_STRING,
     MEMBER(query),
     FIELD_NOTE("name that it is asked for")},
    {FIELD_DEFAULT("window", "10"),
     .type = FIELD_INT,
     MEMBER(window),
     .min = 1,
     .max = WINDOW_MAX,
     FIELD_NOTE("probes that loss and latency are of")},
    {.name = NULL},
};

static int reach_open(void *state, struct config *c, const struct node *n, const char *where)
{
    struct reach *r = state;
    uint8_t message[DNS_MESSAGE];
    unsigned errors = c->errors;

    thresholds_check(r, &reach_fields[LOSS], ABOVE, c, n, where);
    thresholds_check(r, &reach_fields[LATENCY], ABOVE, c, n, where);
    if (r->target.given != 1)
        config_error(c, n, where, "give exactly one of tcp, icmp and dns", NULL);
    else if ((r->target.kind == DNS) != (r->query != NULL))
        config_error(c, n, where, "dns and query belong together", NULL);
    else if (r->query && dns_query(message, 0, r->query, DNS_A) < 0)
        config_error(c, node_child(c, n, "query"), where, "query is not a name", NULL);
    return c->errors == errors ? 0 : NEFIA_EINVAL;
}

/* ---- messages ---- */

enum { ECHO_BYTES = 16, ECHO_V4 = 8, ECHO_V6 = 128, REPLY_V4 = 0, REPLY_V6 = 129 };

/** An echo request whose data is the token. Of ICMPv6, and of the kernel's own ping sockets, the kernel
 * computes the checksum (RFC 1071) and fills in the identifier. */
static void echo_request(uint8_t out[ECHO_BYTES], uint8_t family, uint64_t token)
{
    uint32_t sum = 0;

    memset(out, 0, ECHO_BYTES);
    out[0] = family == AF_INET ? ECHO_V4 : ECHO_V6;
    put_be16(out + 4, (uint16_t)token);
    put_be16(out + 6, (uint16_t)token); /* a firewall may take the same number again for a repetition */
    put_be64(out + 8, token);
    for (unsigned i = 0; i < ECHO_BYTES; i += 2)
        sum += get_be16(out + i);
    sum = (sum & 0xFFFF) + (sum >> 16);
    sum += sum >> 16;
    put_be16(out + 2, (uint16_t)~sum);
}

/** Is it the reply? A raw socket of IPv4 receives the IP header, too. */
static bool is_reply(const uint8_t *msg, size_t len, uint8_t family, uint64_t token)
{
    size_t header = len > 0 && msg[0] >> 4 == 4 ? (msg[0] & 15u) * 4 : 0;

    if (len < header + ECHO_BYTES)
        return false;
    msg += header;
    return msg[0] == (family == AF_INET ? REPLY_V4 : REPLY_V6) && get_be64(msg + 8) == token;
}

/** Return: 0 it was answered; NEFIA_EAGAIN that was not it; or another error, which is an answer of no
 * use. A server that says that there is no such name has answered. */
static int take_answer(const struct reach *r, const uint8_t *msg, size_t len)
{
    struct addr found;

    if (r->target.kind == ICMP)
        return is_reply(msg, len, r->target.addr.family, r->token) ? 0 : NEFIA_EAGAIN;
    int err = dns_answer(msg, len, (uint16_t)r->token, r->query, DNS_A, &found, 1);
    return err > 0 || err == NEFIA_ENOTFOUND ? 0 : err;
}

static int receive(const struct reach *r)
{
    enum { MESSAGES = 32 };
    uint8_t msg[DNS_MESSAGE];
    int err = NEFIA_EAGAIN;

    for (int i = 0; err == NEFIA_EAGAIN && i < MESSAGES; i++) {
        ssize_t n = recv(r->fd, msg, sizeof msg, 0);
        if (n < 0)
            return errno == EAGAIN || errno == EINTR ? NEFIA_EAGAIN : NEFIA_EIO;
        err = take_answer(r, msg, (size_t)n);
    }
    return err;
}

/** Read an answer that was not waited for. Return: how long it took, or LOST. */
static uint32_t read_late(const struct reach *r, const struct emitter *out)
{
    enum { SLEWED = 100 /* ms; a clock that is not set may run faster or slower */ };
    const uint32_t since = (uint32_t)(clock_ms(emitter_clock(out)) - r->sent_ms);
    uint32_t set = stamp_now() - r->sent_stamp - since, came;

    if (receive(r) < 0 || stamp_received(r->fd, &came) < 0)
        return LOST;
    if (set + SLEWED <= 2 * SLEWED)
        set = 0;
    /* The kernel notes the time of the wall clock, which may have been set meanwhile: by what it has advanced more than the
     * other clock has. That was before the answer came or after it: both are computed, and of two times that are possible the
     * shorter one is taken. */
    int32_t ms = (int32_t)(came - r->sent_stamp), other = (int32_t)(came - r->sent_stamp - set);
    if (ms < 0 || (other >= 0 && other < ms))
        ms = other;
    return ms < 0 ? 0 : (uint32_t)ms < since ? (uint32_t)ms : since;
}

/* ---- results ---- */

/** Of those that were answered, of which there is one. */
static uint16_t median(const struct reach *r, unsigned answered)
{
    for (unsigned i = 0; i < r->count; i++) {
        unsigned less = 0, same = 0;
        for (unsigned j = 0; j < r->count; j++) {
            less += r->ms[j] < r->ms[i];
            same += r->ms[j] == r->ms[i];
        }
        if (less <= (answered - 1) / 2 && (answered - 1) / 2 < less + same)
            return r->ms[i];
    }
    return LOST;
}

static void judge(const struct reach *r, struct emitter *out)
{
    const char *name = r->common.name;
    unsigned lost = 0;

    for (unsigned i = 0; i < r->count; i++)
        lost += r->ms[i] == LOST;
    /* Probes that the window has not seen yet count as answered, or the first one would decide alone. */
    const unsigned window = (unsigned)r->window, answered = r->count - lost;
    const int64_t loss = percent_tenths(lost, window);
    const int64_t latency = answered > 0 ? median(r, answered) : 0;
    for (int of_loss = answered * 2 < window; of_loss < 2; of_loss++) {
        struct json_writer *w =
            of_loss ? emit_level(out, "reach.loss", name, loss, &r->loss, ABOVE)
                    : emit_level(out, "reach.latency", name, latency, &r->latency, ABOVE);
        if (!w)
            continue;
        json_put_string(w, "name", name);
        json_put_string(w, "target", ADDR(&r->target.addr));
        put_tenths(w, "loss_percent", loss);
        json_put_u64(w, "lost", lost);
        json_put_u64(w, "probes", r->count);
        if (answered > 0)
            json_put_i64(w, "latency_ms", latency);
        emit_end(out);
    }
}

static void end(struct reach *r, struct emitter *out, uint64_t ms)
{
    if (r->fd)
        emitter_unwatch(out, r->fd);
    if (r->fd && (!r->ping || ms == LOST)) {
        close(r->fd);
        r->fd = 0;
    }
    r->waits = false;
    memmove(r->ms + 1, r->ms, sizeof r->ms - sizeof r->ms[0]);
    r->ms[0] = (uint16_t)(ms < LOST ? ms : LOST);
    r->count += r->count < r->window;
    judge(r, out);
    emitter_sample(out, r->ms[0] != LOST, r->ms[0]);
}

static void reach_ready(void *state, struct emitter *out, int fd, short events)
{
    struct reach *r = state;
    int err = r->target.kind == TCP ? tcp_connect_result(fd) : receive(r);

    (void)events;
    if (err != NEFIA_EAGAIN)
        end(r, out, err < 0 ? LOST : clock_ms(emitter_clock(out)) - r->sent_ms);
}

/* ---- probes ---- */

/** Return: whether there is one, else with errno. */
static bool open_socket(struct reach *r)
{
    const int flags = SOCK_CLOEXEC | SOCK_NONBLOCK, family = r->target.addr.family;
    const int protocol = r->target.kind != ICMP ? 0 : family == AF_INET ? IPPROTO_ICMP : IPPROTO_ICMPV6;
    uint32_t none;

    r->fd = socket(family, (r->target.kind == TCP ? SOCK_STREAM : SOCK_DGRAM) | flags, protocol);
    r->ping = protocol && r->fd >= 0;
    r->stamped = r->ping && r->common.interval_ms <= UNWATCHED_MS && stamp_received(r->fd, &none) == NEFIA_ENOTFOUND;
    if (protocol && !r->ping) /* where net.ipv4.ping_group_range does not include us */
        r->fd = socket(family, SOCK_RAW | flags, protocol);
    if (r->fd >= 0)
        return true;
    r->fd = 0;
    return false;
}

/** A ping socket is not connected: the route of each probe is its own, and so is the address it comes from. Nor does it get errors of
 * the network: a redirect is one, too, and comes before the answer. Return: false, with errno, if there is no way to the target. */
static bool send_probe(struct reach *r)
{
    struct sockaddr_storage ss;
    socklen_t ss_len = addr_to_sockaddr(&r->target.addr, &ss);
    const struct sockaddr *to = r->ping ? (struct sockaddr *)&ss : NULL;
    uint8_t msg[DNS_MESSAGE];
    int len = ECHO_BYTES;

    if (!to && connect(r->fd, (struct sockaddr *)&ss, ss_len) < 0)
        return r->target.kind == TCP && errno == EINPROGRESS;
    if (r->target.kind == TCP)
        return true;
    if (r->target.kind == ICMP)
        echo_request(msg, r->target.addr.family, r->token);
    else
        len = dns_query(msg, (uint16_t)r->token, r->query, DNS_A);
    return sendto(r->fd, msg, (size_t)len, MSG_NOSIGNAL, to, to ? ss_len : 0) == len;
}

/** For `once`. */
static void await(struct reach *r, struct emitter *out)
{
    enum { WAIT_MS = 3000, TURNS = 16 };
    struct pollfd p = {.fd = r->fd, .events = r->target.kind == TCP ? POLLOUT : POLLIN};

    for (int i = 0; r->waits && i < TURNS && poll(&p, 1, WAIT_MS) > 0; i++)
        reach_ready(r, out, r->fd, p.revents);
    if (r->waits)
        end(r, out, LOST);
}

static int reach_poll(void *state, struct emitter *out, uint64_t now_ms)
{
    struct reach *r = state;

    (void)now_ms;
    if (r->waits)
        end(r, out, r->unread ? read_late(r, out) : LOST);
    r->unread = r->fd && r->stamped; /* kept, since it was answered */
    if (!r->fd && !open_socket(r))
        return emitter_not_measured(out, "socket", ERRNO(errno));
    r->waits = true;
    if (r->target.kind != TCP)
        r->token = random_number();
    r->sent_ms = clock_ms(emitter_clock(out));
    r->sent_stamp = stamp_now();
    if (!send_probe(r))
        end(r, out, LOST);
    else if (emitter_once(out))
        await(r, out);
    else if (!r->unread) /* this device itself has answered by now, which saves a wake-up */
        reach_ready(r, out, r->fd, 0);
    return r->waits && !r->unread ? emitter_watch(out, r->fd, r->target.kind == TCP ? POLLOUT : POLLIN) : 0;
}

static int reach_start(void *state, struct emitter *self, void *before)
{
    struct reach *r = state;
    const struct reach *old = before;

    if (emitter_once(self))
        r->window = 1;
    if (!old || old->target.kind != r->target.kind || old->target.addr.port != r->target.addr.port ||
        !addr_same_host(&old->target.addr, &r->target.addr))
        return 0;
    memcpy(r->ms, old->ms, sizeof r->ms);
    r->count = old->count < r->window ? old->count : (unsigned)r->window;
    return 0;
}

static void reach_stop(void *state)
{
    const struct reach *r = state;

    if (r->fd)
        close(r->fd);
}

const struct sensor_class sensor_reach = {
    SENSOR_NAME("reach", "30s"),
    .list = SENSOR_LIST,
    .watches = 1,
    .fields = reach_fields,
    .state_size = sizeof(struct reach),
    .capability = CAP_NET_RAW,
    .open = reach_open,
    .start = reach_start,
    .poll = reach_poll,
    .ready = reach_ready,
    .stop = reach_stop,
};
