#include "nefia/beacon/uplink.h"

#include <errno.h>

#include "nefia/base/err.h"
#include "nefia/base/kconfig.h"
#include "nefia/sys/log.h"
#include "nefia/net/tcp.h"
#include "nefia/base/text.h"

enum {
    CONNECT_MS = 10 * 1000,
    UNACKNOWLEDGED_MS = 60 * 1000, /* sent bytes unacknowledged for this long: the link is dead */
    CLOSING_MS = 10 * 1000,
    WAIT_LEAST_MS = 1000,
    WAIT_FIRST_MS = 2 * 1000,
    WAIT_MOST_MS = 5 * 60 * 1000,
    SEED_MS = 1000, /* interval of asking for random numbers */
    BUSY_MS = 1000, /* the first hub is not retried while something is in flight: ask again */
    RETURN_MS = 5 * 60 * 1000, /* retry of the first hub while connected to another one */
    RETURN_MOST_MS = 60 * 60 * 1000,
    ADMIT_MS =
        1000, /* after a rejection: a hub that rejects us altogether resets before data is sent */
};

#define ACK IS_ENABLED(CONFIG_BEACON_ACK)

static void try_hub(struct uplink *u);
static void tick(void *arg);

void uplink_init(struct uplink *u, struct loop *loop, struct spool *spool, struct session *session,
                 char *line)
{
    *u = (struct uplink){
        .loop = loop, .spool = spool, .line = line, .fd = -1, .return_ms = RETURN_MS};
    plain_init(&u->plain, spool);
    u->session = session;
    if (ACK)
        session_init(session, spool);
}

const char *uplink_state_text(enum uplink_state s)
{
    static const char words[] =
        "idle\0resolving\0connecting\0greeting\0greeting\0greeting\0up\0up\0closing\0waiting\0";

    return word_at(words, s);
}

const char *uplink_delivery_text(enum uplink_state s)
{
    return s == UPLINK_UP                             ? "acknowledged"
           : s == UPLINK_PLAIN || s == UPLINK_CLOSING ? "plain"
                                                      : "-";
}

/** What carries the connection: TCP is all there is, and a constant makes direct calls of these, which
 * the smallest beacon has room for. */
static const struct stream_class *const carrier = &tcp_stream;

/** For its functions, which need no class. */
static struct stream connection(const struct uplink *u)
{
    return (struct stream){.fd = u->fd};
}

/* ---- Time ---- */

static uint64_t now_ms(const struct uplink *u)
{
    return clock_ms(u->loop->clock);
}

/** within_ms: the state's deadline; 0: none. */
static void set_state(struct uplink *u, enum uplink_state s, uint32_t within_ms)
{
    u->state = s;
    u->since_ms = now_ms(u);
    u->deadline_ms = within_ms ? u->since_ms + within_ms : 0;
}

/** The deadline of whoever is in charge; 0: none. */
static uint64_t deadline(const struct uplink *u)
{
    if (u->state == UPLINK_PLAIN || u->state == UPLINK_CLOSING)
        return u->plain.deadline_ms;
    if (ACK && (u->state == UPLINK_WELCOME || u->state == UPLINK_UP))
        return session_deadline(u->session);
    return u->deadline_ms;
}

static void arm(struct uplink *u)
{
    const uint64_t now = now_ms(u);
    uint64_t at = deadline(u);

    if (ACK && u->home_ms && (!at || u->home_ms < at))
        at = u->home_ms;
    if (at)
        timer_start(u->loop, &u->timer, at > now ? at - now : 0, tick, u);
    else
        timer_stop(&u->timer);
}

/* ---- Backoff ---- */

static void drop_connection(struct uplink *u)
{
    struct stream s = connection(u);

    loop_unwatch(u->loop, &u->watch);
    if (s.fd >= 0)
        carrier->close(&s);
    u->fd = -1;
    u->line_len = u->line_sent = 0;
    plain_begin(&u->plain);
    if (ACK) {
        u->home_ms = 0;
        session_end(u->session);
    }
    spool_rewind(u->spool);
}

static void wait_for(struct uplink *u, uint32_t ms)
{
    set_state(u, UPLINK_BACKOFF, ms);
    arm(u);
    if (u->on_wait)
        u->on_wait(u->arg);
}

static void wait(struct uplink *u)
{
    uint32_t most = WAIT_MOST_MS;

    if (u->attempts < 8 && (uint32_t)WAIT_FIRST_MS << u->attempts < most)
        most = (uint32_t)WAIT_FIRST_MS << u->attempts;
    u->attempts++;
    wait_for(u, WAIT_LEAST_MS + (uint32_t)u->random_below(most - WAIT_LEAST_MS + 1));
}

static void wait_over(struct uplink *u)
{
    u->hub = u->next_hub < u->hub_count ? u->next_hub : 0;
    try_hub(u);
}

/** An established connection ended. error: its errno, or 0. */
static void lost(struct uplink *u, const char *why, int error)
{
    unsigned in_flight = u->spool->events - u->spool->unsent;

    if (u->line_len > 0 && u->line_sent == 0)
        in_flight--;
    /* It was idle, which a hub ends some time: it accepts what there is. */
    const bool idle = ACK && u->state == UPLINK_UP && in_flight == 0 &&
                      now_ms(u) - u->since_ms >= WAIT_MOST_MS;
    LOG_WARN("connection to ", ADDR(&u->peer), " ended: ", why, "; events queued: ",
             DEC(u->spool->events));
    /* A hub that greets sends refusals instead. */
    if (error == ECONNRESET && u->state == UPLINK_PLAIN && in_flight > 0)
        plain_refused(&u->plain, in_flight);
    drop_connection(u);
    u->failures++;
    /* Not twice in a row to a hub that accepted nothing. */
    if (ACK)
        u->next_hub = u->delivered == u->delivered_before && !idle ? u->hub + 1 : 0;
    if (idle)
        u->attempts = 0;
    wait(u);
}

/** The stream failed: errno says how. */
static void broken(struct uplink *u)
{
    const int error = errno;

    lost(u, ERRNO(error), error);
}

/* ---- Sending ---- */

static size_t next_line(struct uplink *u)
{
    if (u->state == UPLINK_PLAIN)
        return plain_next(&u->plain, u->key, now_ms(u), u->line);
    if (!ACK)
        return 0;
    if (u->state == UPLINK_UP)
        return session_next(u->session, now_ms(u), u->line);
    if (u->state != UPLINK_HELLO)
        return 0;
    set_state(u, UPLINK_WELCOME, 0);
    return session_hello(u->session, u->key, u->host_id, !u->require_ack, now_ms(u), u->line);
}

/** Return: 0 if the kernel has the whole line, NEFIA_EAGAIN if its buffer is full, or
 * another error. */
static int send_line(struct uplink *u)
{
    const struct stream s = connection(u);

    while (u->line_sent < u->line_len) {
        int n = carrier->send(&s, u->line + u->line_sent, u->line_len - u->line_sent);
        if (n < 0)
            return n;
        u->line_sent += (size_t)n;
    }
    u->line_len = u->line_sent = 0;
    return 0;
}

/** The current line has been passed to the kernel: close our side and wait for delivery. */
static void finish(struct uplink *u)
{
    const struct stream s = connection(u);

    loop_unwatch(u->loop, &u->watch);
    if (carrier->shut(&s) < 0)
        broken(u);
}

/** Send as much as possible. */
static void send_lines(struct uplink *u)
{
    int err = 0;

    while (err == 0 && (u->line_len > 0 || (u->line_len = next_line(u)) > 0))
        err = send_line(u);
    if (err < 0 && err != NEFIA_EAGAIN)
        broken(u);
    else if (u->state != UPLINK_CLOSING)
        loop_watch_events(&u->watch, err < 0 ? POLLIN | POLLOUT : POLLIN);
    else if (err == 0)
        finish(u);
}

static bool connected(const struct uplink *u)
{
    return u->state >= UPLINK_GREETING && u->state <= UPLINK_PLAIN;
}

void uplink_kick(struct uplink *u)
{
    if (!connected(u) || u->line_len > 0)
        return;
    send_lines(u);
    arm(u);
}

/* ---- Delivery ---- */

static void count(struct uplink *u, unsigned n)
{
    u->delivered += n;
    if (n == 0)
        return;
    u->attempts = 0;
    if (ACK && u->hub == 0)
        u->return_ms = RETURN_MS;
}

/** The owner may kick: nothing of the caller's may rest on the state before. */
static void tell_owner(struct uplink *u, unsigned n)
{
    if (u->on_delivered)
        u->on_delivered(u->arg, n);
}

/** n events were delivered. */
static void confirm(struct uplink *u, unsigned n)
{
    if (n == 0)
        return;
    count(u, n);
    tell_owner(u, n);
}

/** Deliver without the hub's acknowledgement. */
static void begin_plain(struct uplink *u)
{
    set_state(u, UPLINK_PLAIN, 0);
    if (ACK)
        LOG_INFO("hub ", ADDR(&u->peer), " does not acknowledge events: plain delivery");
    send_lines(u);
}

/** No greeting came. */
static void take_for_plain(struct uplink *u)
{
    if (ACK && u->require_ack)
        lost(u, "hub sent no greeting; beacons.require_ack requires one", 0);
    else
        begin_plain(u);
}

/** Bytes of the stream that have not arrived, or negative: then the connection has been dropped. */
static int missing(struct uplink *u)
{
    const struct stream s = connection(u);
    const int queued = carrier->unacknowledged(&s);

    if (queued >= 0)
        return queued + (int)(u->line_len - u->line_sent);
    broken(u);
    return queued;
}

static void check_queue(struct uplink *u)
{
    if (missing(u) < 0)
        return;
    confirm(u, plain_settle(&u->plain));
    if (u->state == UPLINK_PLAIN && u->line_len == 0)
        send_lines(u); /* what waited for it */
    if (u->state != UPLINK_PLAIN)
        return;
    const int n = missing(u);
    if (n >= 0)
        plain_check(&u->plain, u->key, (size_t)n, now_ms(u));
}

/** The hub has closed, and so have we, or will once the current line has been sent. */
static void check_end(struct uplink *u)
{
    const int n = missing(u);

    if (n == 0) {
        LOG_INFO("hub ", ADDR(&u->peer), " closed the connection; everything sent was delivered");
        const unsigned delivered = plain_arrived(&u->plain);
        drop_connection(u);
        confirm(u, delivered);
        wait(u);
    } else if (n > 0 && now_ms(u) - u->since_ms >= CLOSING_MS) {
        lost(u, "closed by the hub before everything was acknowledged", 0);
    } else if (n > 0) {
        plain_wait(&u->plain, now_ms(u));
    }
}

static void hub_ended(struct uplink *u)
{
    if (ACK && u->state != UPLINK_PLAIN) {
        lost(u, "closed by the hub", 0); /* unacknowledged events are sent again */
        return;
    }
    set_state(u, UPLINK_CLOSING, 0);
    plain_begin(&u->plain);
    plain_wait(&u->plain, u->since_ms);
    if (u->line_len == 0)
        finish(u);
    else
        loop_watch_events(&u->watch, POLLOUT);
}

/* ---- Receiving ---- */

/** The hub greets: whatever was sent plainly on this connection is sent again. */
static void greeted(struct uplink *u)
{
    u->plain.suspects = 0;
    plain_begin(&u->plain);
    spool_rewind(u->spool);
    set_state(u, UPLINK_HELLO, 0);
}

static void welcomed(struct uplink *u)
{
    set_state(u, UPLINK_UP, 0);
    LOG_INFO("hub ", ADDR(&u->peer), " acknowledges events",
             u->key->set ? ", signed" : ", unsigned", "; window ", DEC(u->session->window));
}

/** Handle what the session has received. */
static void take_input(struct uplink *u)
{
    enum session_result result;
    unsigned delivered = 0;
    bool settled = false;

    while ((result = session_take(u->session, now_ms(u))) != SESSION_NOTHING) {
        if (result == SESSION_OVER) {
            lost(u, u->session->why, 0);
            break;
        }
        if (result == SESSION_GREETED) {
            greeted(u);
        } else if (result == SESSION_WELCOMED) {
            welcomed(u);
        } else if (result == SESSION_SETTLED) {
            settled = true;
            delivered += u->session->acknowledged;
            count(u, u->session->acknowledged);
        } else if (result == SESSION_NOISE && u->state == UPLINK_GREETING) {
            take_for_plain(u);
        }
        if (!connected(u))
            break;
    }
    if (connected(u))
        send_lines(u);
    if (settled)
        tell_owner(u, delivered);
}

static void receive(struct uplink *u)
{
    struct session *s = u->session;
    char bytes[ACK ? 1 : 256];
    char *to = ACK ? s->received + s->received_len : bytes;
    const struct stream c = connection(u);
    int n = carrier->receive(&c, to, ACK ? SESSION_RECEIVE - s->received_len : sizeof bytes);

    if (n > 0) {
        if (u->state == UPLINK_PLAIN)
            u->ignored += (uint64_t)n;
        if (ACK) {
            s->received_len += (size_t)n;
            take_input(u);
        }
    } else if (n != NEFIA_EAGAIN) {
        const int error = errno;
        if (ACK && u->state == UPLINK_WELCOME)
            session_closed(s, now_ms(u));
        errno = error;
        if (error)
            broken(u);
        else
            hub_ended(u);
    }
}

/* ---- Connecting ---- */

static void try_next(struct uplink *u)
{
    u->failures++;
    drop_connection(u);
    if (++u->hub < u->hub_count) {
        try_hub(u);
        return;
    }
    u->hub = u->next_hub = 0;
    wait(u);
}

static void not_connected(struct uplink *u, const char *why)
{
    LOG_INFO("cannot connect to ", ADDR(&u->peer), ": ", why);
    try_next(u);
}

static void not_resolved(struct uplink *u, const char *why)
{
    LOG_INFO("cannot resolve ", u->hubs[u->hub].name, ": ", why);
    try_next(u);
}

/** Connected to another hub than the first: retry the first while nothing is in flight. */
static void try_first(struct uplink *u)
{
    const bool idle = u->state == UPLINK_UP || u->state == UPLINK_PLAIN;

    if (!idle || u->spool->unsent < u->spool->events) {
        u->home_ms = now_ms(u) + BUSY_MS;
        return;
    }
    LOG_INFO("retrying the first hub");
    if (u->return_ms < RETURN_MOST_MS)
        u->return_ms *= 2;
    drop_connection(u);
    u->hub = 0;
    try_hub(u);
}

static void begin_connection(struct uplink *u)
{
    set_state(u, UPLINK_GREETING, ACK ? LINK_GREETING_MS : ADMIT_MS);
    u->connects++;
    LOG_INFO("connected to ", ADDR(&u->peer), "; events queued: ", DEC(u->spool->events));
    if (ACK)
        u->delivered_before = u->delivered;
    if (ACK && u->hub > 0)
        u->home_ms = u->since_ms + u->return_ms + u->random_below(u->return_ms / 4);
    if (ACK)
        session_begin(u->session, u->key->set);
    loop_watch_events(&u->watch, POLLIN);
    if (!ACK && u->plain.suspects == 0)
        begin_plain(u);
}

static void connect_ready(struct uplink *u)
{
    const int err = tcp_connect_result(u->fd);

    if (err == 0)
        begin_connection(u);
    else if (err != NEFIA_EAGAIN)
        not_connected(u, ERRNO(errno));
}

static void ready(void *arg, short revents)
{
    struct uplink *u = arg;

    if (u->state == UPLINK_CONNECTING) {
        connect_ready(u);
    } else {
        if (connected(u) && revents & (POLLIN | POLLERR | POLLHUP))
            receive(u);
        else if (u->state == UPLINK_CLOSING && revents & (POLLERR | POLLHUP))
            lost(u, "hung up", 0);
        if (u->fd >= 0 && revents & POLLOUT)
            send_lines(u);
    }
    arm(u);
}

static void try_peer(struct uplink *u)
{
    set_state(u, UPLINK_CONNECTING, CONNECT_MS);
    u->fd = tcp_connect_start(&u->peer, UNACKNOWLEDGED_MS);
    if (u->fd >= 0 && loop_watch(u->loop, &u->watch, u->fd, POLLOUT, ready, u) == 0)
        return;
    /* From the loop, so that a list of dead addresses does not recurse. */
    u->error = errno;
    u->deadline_ms = u->since_ms;
}

/** Is there a nonce for the next hello? */
static bool seeded(struct uplink *u)
{
    if (u->random(u->session->nonce, LINK_NONCE) == 0) {
        u->unseeded = false;
        return true;
    }
    if (!u->unseeded)
        LOG_WARN("waiting for the kernel's random number generator");
    u->unseeded = true;
    u->next_hub = u->hub;
    wait_for(u, SEED_MS);
    return false;
}

static void try_hub(struct uplink *u)
{
    const struct uplink_hub *hub = &u->hubs[u->hub];

    if (ACK && !seeded(u))
        return;
    u->error = 0;
    u->peer = hub->addr;
    if (!IS_ENABLED(CONFIG_BEACON_RESOLVE) || !hub->name) {
        try_peer(u);
        return;
    }
    set_state(u, UPLINK_RESOLVING, 0);
    if (!u->resolve || u->resolve(u->arg, hub->name) < 0)
        u->deadline_ms = u->since_ms; /* from the loop, too */
}

/* ---- Deadlines ---- */

/** The state has lasted too long, or its engine is due. */
static void deadline_over(struct uplink *u)
{
    switch (u->state) {
    case UPLINK_RESOLVING:
        if (IS_ENABLED(CONFIG_BEACON_RESOLVE))
            not_resolved(u, "no child process available");
        break;
    case UPLINK_CONNECTING:
        not_connected(u, u->error ? ERRNO(u->error) : "timed out after 10 s");
        break;
    case UPLINK_GREETING:
        take_for_plain(u);
        break;
    case UPLINK_WELCOME:
    case UPLINK_UP:
        if (ACK)
            lost(u,
                 u->state == UPLINK_UP ? "no acknowledgement within 60 s"
                                       : "no welcome within 20 s",
                 0);
        break;
    case UPLINK_PLAIN:
        check_queue(u);
        break;
    case UPLINK_CLOSING:
        check_end(u);
        break;
    default:
        wait_over(u);
    }
}

static void tick(void *arg)
{
    struct uplink *u = arg;

    if (ACK && u->home_ms && u->home_ms <= now_ms(u))
        try_first(u);
    else
        deadline_over(u);
    arm(u);
}

/* ---- Interface ---- */

void uplink_retry(struct uplink *u)
{
    if (u->state == UPLINK_BACKOFF)
        u->deadline_ms = u->since_ms;
    arm(u);
}

void uplink_resolved(struct uplink *u, const struct addr *found, int n, const char *why)
{
    if (u->state != UPLINK_RESOLVING)
        return;
    if (n <= 0) {
        not_resolved(u, why);
    } else {
        /* A different one each time, so that a single dead address does not prevent connecting. */
        u->peer = found[u->attempts % (unsigned)n];
        try_peer(u);
    }
    arm(u);
}

void uplink_stop(struct uplink *u)
{
    drop_connection(u);
    set_state(u, UPLINK_IDLE, 0);
    arm(u);
}

static bool same_hub(const struct uplink_hub *a, const struct uplink_hub *b)
{
    if (IS_ENABLED(CONFIG_BEACON_RESOLVE) && (a->name || b->name))
        return a->name && b->name && str_eq(a->name, b->name);
    return addr_same_host(&a->addr, &b->addr) && a->addr.port == b->addr.port;
}

void uplink_start(struct uplink *u, const struct uplink_hub *hubs, unsigned count,
                  const struct mac_key *key, bool same)
{
    unsigned at = count;

    for (unsigned i = 0; connected(u) && same && i < count; i++)
        if (same_hub(&hubs[i], &u->hubs[u->hub]))
            at = i;
    u->hubs = hubs;
    u->hub_count = count;
    u->key = key;
    u->hub = u->next_hub = 0;
    if (at < count) {
        u->hub = at;
        return;
    }
    uplink_stop(u);
    u->attempts = u->plain.refusals = 0;
    if (count > 0)
        try_hub(u);
    arm(u);
}

bool uplink_drained(const struct uplink *u)
{
    return u->spool->events == 0;
}

uint64_t uplink_next_try_ms(const struct uplink *u)
{
    const uint64_t now = now_ms(u);

    return u->state == UPLINK_BACKOFF && u->deadline_ms > now ? u->deadline_ms - now : 0;
}
