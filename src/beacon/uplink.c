#include "nefia/beacon/uplink.h"

#include <errno.h>
#include <string.h>

#include "nefia/base/err.h"
#include "nefia/base/kconfig.h"
#include "nefia/sys/log.h"
#include "nefia/net/tcp.h"
#include "nefia/base/text.h"

enum {
    CONNECT_MS = 10 * 1000,
    UNACKNOWLEDGED_MS = 60 * 1000, /* sent bytes unacknowledged for this long: the link is dead */
    WAIT_LEAST_MS = 1000,
    WAIT_FIRST_MS = 2 * 1000,
    WAIT_MOST_MS = 5 * 60 * 1000,
    SEED_MS = 1000, /* interval of asking for random numbers */
    BUSY_MS = 1000, /* the first hub is not retried while something is in flight: ask again */
    RETURN_MS = 5 * 60 * 1000, /* retry of the first hub while connected to another one */
    RETURN_MOST_MS = 60 * 60 * 1000,
};

#define ACK IS_ENABLED(CONFIG_BEACON_ACK)

static void try_hub(struct uplink *u);
static void tick(void *arg);

void uplink_init(struct uplink *u, struct loop *loop, struct spool *spool, struct session *session,
                 char *line)
{
    *u = (struct uplink){.loop = loop, .stream = {.fd = -1}, .return_ms = RETURN_MS};
    delivery_init(&u->delivery, spool, session, line);
}

const char *uplink_state_text(const struct uplink *u)
{
    static const char words[] = "not configured: no hub\0resolving\0connecting\0connected\0waiting\0";

    return u->state == UPLINK_CONNECTED ? delivery_state_text(u->delivery.state)
                                        : word_at(words, u->state);
}

/* ---- Time ---- */

static uint64_t now_ms(const struct uplink *u)
{
    return clock_ms(u->loop->clock);
}

uint64_t uplink_since_ms(const struct uplink *u)
{
    return u->state == UPLINK_CONNECTED ? u->delivery.since_ms : u->since_ms;
}

/** within_ms: the state's deadline; 0: none of ours. */
static void set_state(struct uplink *u, enum uplink_state s, uint32_t within_ms)
{
    u->state = s;
    u->since_ms = now_ms(u);
    u->deadline_ms = within_ms ? u->since_ms + within_ms : 0;
}

static void arm(struct uplink *u)
{
    const uint64_t now = now_ms(u);
    uint64_t at = u->state == UPLINK_CONNECTED ? delivery_deadline(&u->delivery) : u->deadline_ms;

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
    loop_unwatch(u->loop, &u->watch);
    delivery_end(&u->delivery);
    if (u->stream.fd >= 0)
        tcp_stream.close(&u->stream);
    if (ACK)
        u->home_ms = 0;
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

/* ---- Failures ---- */

/** One that has a place to stand in: for `status`. */
static void note_failure(struct uplink *u, const char *what, const char *why)
{
#ifdef CONFIG_BEACON_CONSOLE
    struct text t;

    text_init(&t, u->failure, sizeof u->failure);
    text_str(&t, what);
    text_printable(&t, why, strlen(why));
#endif
    (void)what;
    (void)why;
    u->failures++;
}

/* ---- An established connection ---- */

static void lost(struct uplink *u)
{
    const struct delivery *d = &u->delivery;
    /* A hub ends what is idle some time: it accepts what there is. */
    const bool idle = ACK && d->was_idle && now_ms(u) - d->since_ms >= WAIT_MOST_MS;

    LOG_WARN("connection to ", ADDR(&u->peer), " ended: ", d->why ? d->why : ERRNO(d->error),
             "; events queued: ", DEC(d->spool->events));
    note_failure(u, "connection ended: ", d->why ? d->why : ERRNO(d->error));
    drop_connection(u);
    /* Not twice in a row to a hub that accepted nothing. */
    if (ACK)
        u->next_hub = u->delivered == u->delivered_before && !idle ? u->hub + 1 : 0;
    if (idle)
        u->attempts = 0;
    wait(u);
}

static void finished(struct uplink *u)
{
    LOG_INFO("hub ", ADDR(&u->peer), " closed the connection; everything sent was delivered");
    drop_connection(u);
    wait(u);
}

static void count(struct uplink *u, unsigned delivered)
{
    u->delivered += delivered;
    if (delivered == 0)
        return;
    u->attempts = 0;
    if (ACK && u->hub == 0)
        u->return_ms = RETURN_MS;
}

/** After each call of the delivery's: see to what has become of the connection. */
static void follow(struct uplink *u)
{
    const struct delivery *d = &u->delivery;

    if (d->state == DELIVERY_LOST)
        lost(u);
    else if (d->state == DELIVERY_FINISHED)
        finished(u);
    else if (d->events)
        loop_watch_events(&u->watch, (short)d->events);
    else
        loop_unwatch(u->loop, &u->watch);
}

/** The same where events may have been delivered. */
static void follow_delivered(struct uplink *u)
{
    struct delivery *d = &u->delivery;
    const unsigned delivered = d->delivered;
    const bool settled = delivered > 0 || (ACK && d->settled);

    d->delivered = 0;
    if (ACK)
        d->settled = false;
    count(u, delivered);
    follow(u);
    /* Last: the owner may kick. */
    if (settled && u->on_delivered)
        u->on_delivered(u->arg, delivered);
}

void uplink_kick(struct uplink *u)
{
    if (u->state != UPLINK_CONNECTED)
        return;
    delivery_kick(&u->delivery, now_ms(u));
    follow(u);
    arm(u);
}

/* ---- Connecting ---- */

static void try_next(struct uplink *u)
{
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
    note_failure(u, "cannot connect: ", why);
    try_next(u);
}

static void not_resolved(struct uplink *u, const char *why)
{
    LOG_INFO("cannot resolve ", u->hubs[u->hub].name, ": ", why);
    note_failure(u, "cannot resolve its name: ", why);
    try_next(u);
}

/** Connected to another hub than the first: retry the first while nothing is in flight. */
static void try_first(struct uplink *u)
{
    if (!delivery_idle(&u->delivery)) {
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

/** Connected to another hub than the first, retry that; what a reload finds planned stays so. */
static void plan_return(struct uplink *u)
{
    if (u->hub == 0)
        u->home_ms = 0;
    else if (u->home_ms == 0)
        u->home_ms = now_ms(u) + u->return_ms + u->random_below(u->return_ms / 4);
}

static void begin_connection(struct uplink *u)
{
    set_state(u, UPLINK_CONNECTED, 0);
    u->connects++;
    LOG_INFO("connected to ", ADDR(&u->peer), "; events queued: ", DEC(u->delivery.spool->events));
    if (ACK)
        u->delivered_before = u->delivered;
    if (ACK)
        plan_return(u);
    delivery_begin(&u->delivery, &u->stream, &u->peer, u->since_ms);
    follow(u);
}

static void connect_ready(struct uplink *u)
{
    const int err = tcp_connect_result(u->stream.fd);

    if (err == 0)
        begin_connection(u);
    else if (err != NEFIA_EAGAIN)
        not_connected(u, ERRNO(errno));
}

static void ready(void *arg, short revents)
{
    struct uplink *u = arg;

    if (u->state == UPLINK_CONNECTED) {
        delivery_ready(&u->delivery, revents, now_ms(u));
        follow_delivered(u);
    } else {
        connect_ready(u);
    }
    arm(u);
}

static void try_peer(struct uplink *u)
{
    set_state(u, UPLINK_CONNECTING, CONNECT_MS);
    u->stream.fd = tcp_connect_start(&u->peer, UNACKNOWLEDGED_MS);
    if (u->stream.fd >= 0 &&
        loop_watch(u->loop, &u->watch, u->stream.fd, POLLOUT, ready, u) == 0)
        return;
    /* From the loop, so that a list of dead addresses does not recurse. */
    u->error = errno;
    u->deadline_ms = u->since_ms;
}

/** Is there a nonce for the next hello? */
static bool seeded(struct uplink *u)
{
    if (delivery_prepare(&u->delivery) == 0) {
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

/** The state has lasted too long, or the delivery is due. */
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
    case UPLINK_CONNECTED:
        delivery_due(&u->delivery, now_ms(u));
        follow_delivered(u);
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
        unsigned at = u->attempts % 32;
        while (at >= (unsigned)n)
            at -= (unsigned)n;
        u->peer = found[at];
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

    for (unsigned i = 0; u->state == UPLINK_CONNECTED && same && i < count; i++)
        if (same_hub(&hubs[i], &u->hubs[u->hub]))
            at = i;
    u->hubs = hubs;
    u->hub_count = count;
    delivery_configure(&u->delivery, key);
    u->hub = u->next_hub = 0;
    if (at < count) {
        u->hub = at;
        if (ACK) {
            plan_return(u);
            arm(u);
        }
        return;
    }
    uplink_stop(u);
    u->attempts = 0;
    if (count > 0)
        try_hub(u);
    arm(u);
}

bool uplink_drained(const struct uplink *u)
{
    return u->delivery.spool->events == 0;
}

uint64_t uplink_next_try_ms(const struct uplink *u)
{
    const uint64_t now = now_ms(u);

    return u->state == UPLINK_BACKOFF && u->deadline_ms > now ? u->deadline_ms - now : 0;
}
