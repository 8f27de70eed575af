#include "nefia/beacon/uplink_int.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "nefia/base/err.h"
#include "nefia/base/kconfig.h"
#include "nefia/sys/log.h"
#include "nefia/net/tcp.h"
#include "nefia/base/text.h"

enum {
    CONNECT_MS = 10 * 1000,
    UNACKNOWLEDGED_MS =
        60 * 1000, /* sent bytes unacknowledged for this long: the link is dead */
    CLOSING_MS = 10 * 1000,
    WAIT_LEAST_MS = 1000,
    WAIT_FIRST_MS = 2 * 1000,
    WAIT_MOST_MS = 5 * 60 * 1000,
    CHECK_FIRST_MS =
        20, /* interval of send queue checks while data is in flight; doubles */
    CHECK_MOST_MS = 1000,
    SETTLE_MS = 100, /* after everything arrived: a hub that rejects data resets the connection */
    RETURN_MS = 5 * 60 * 1000, /* retry of the first hub while connected to another one */
    RETURN_MOST_MS = 60 * 60 * 1000,
    ADMIT_MS = 1000, /* after a rejection: a hub that rejects us altogether resets before data is sent */
};

static void try_hub(struct uplink *u);

void uplink_init(struct uplink *u, struct loop *loop, struct spool *spool, char *line)
{
    *u = (struct uplink){
        .loop = loop, .spool = spool, .line = line, .fd = -1, .return_ms = RETURN_MS};
}

const char *uplink_state_text(enum uplink_state s)
{
    static const char *const words[] = {"idle", "connecting", "up", "closing", "waiting"};

    return words[s];
}

static void set_state(struct uplink *u, enum uplink_state s)
{
    u->state = s;
    u->since_ms = clock_ms(u->loop->clock);
}

static void drop_connection(struct uplink *u)
{
    timer_stop(&u->timer);
    timer_stop(&u->check);
    if (IS_ENABLED(CONFIG_BEACON_ACK))
        timer_stop(&u->home);
    loop_unwatch(u->loop, &u->watch);
    if (u->fd >= 0)
        close(u->fd);
    u->fd = -1;
    u->mode = UPLINK_PLAIN;
    u->line_len = u->line_sent = 0;
    u->settling = 0;
    u->resolving = false;
    spool_rewind(u->spool);
}

/* ---- Backoff ---- */

static void wait_over(void *arg)
{
    struct uplink *u = arg;

    u->hub = u->next_hub < u->hub_count ? u->next_hub : 0;
    try_hub(u);
}

static void wait(struct uplink *u)
{
    uint64_t most = WAIT_MOST_MS;

    if (u->attempts < 8 && (uint64_t)WAIT_FIRST_MS << u->attempts < most)
        most = (uint64_t)WAIT_FIRST_MS << u->attempts;
    u->attempts++;
    uint64_t ms = WAIT_LEAST_MS + u->random_below(most - WAIT_LEAST_MS + 1);
    set_state(u, UPLINK_BACKOFF);
    timer_start(u->loop, &u->timer, ms, wait_over, u);
    if (u->on_wait)
        u->on_wait(u->arg);
}

void uplink_retry(struct uplink *u)
{
    if (u->state == UPLINK_BACKOFF)
        wait_over(u);
}

/** The hub reset the connection after data of that many events was sent, `first` being the oldest.
 * Which of several it rejected is found out by sending them one at a time. */
static void refused(struct uplink *u, unsigned events, struct spool_id first)
{
    u->suspects = events;
    if (events > 1)
        return;
    if (first.seq != u->refused.seq || first.boot != u->refused.boot)
        u->refusals = 0;
    u->refused = first;
    if (++u->refusals < UPLINK_REFUSALS)
        return;
    LOG_WARN("event ", DEC(first.seq), " rejected ", DEC(u->refusals), " times: dropped");
    u->refusals = 0;
    spool_give_up(u->spool, first);
}

/** An established connection ended. error: its errno, or 0. */
void uplink_lost(struct uplink *u, const char *why, int error)
{
    unsigned in_flight = u->spool->events - u->spool->unsent;
    struct spool_item first = {0};

    if (u->line_len > 0 && u->line_sent == 0)
        in_flight--;
    /* A hub that greets sends refusals instead. */
    if (error != ECONNRESET || u->state != UPLINK_UP || u->mode != UPLINK_PLAIN)
        in_flight = 0;
    LOG_WARN("connection to ", ADDR(&u->peer), " ended: ", why, "; events queued: ",
             DEC(u->spool->events));
    spool_sent(u->spool, &first);
    drop_connection(u);
    if (in_flight > 0)
        refused(u, in_flight, first.event.id);
    u->failures++;
    /* Not twice in a row to a hub that accepted nothing. */
    if (IS_ENABLED(CONFIG_BEACON_ACK))
        u->next_hub = u->delivered == u->delivered_before ? u->hub + 1 : 0;
    wait(u);
}

/* ---- Delivery ---- */

/** Events received by the hub's kernel while `queued` bytes are still in flight. */
static unsigned arrived(const struct uplink *u, int queued)
{
    size_t missing = (size_t)queued + (u->line_len - u->line_sent);

    return queued < 0 ? 0 : spool_arrived(u->spool, missing, u->key->set ? MAC_HEX + 2 : 1);
}

/** The n oldest sent events were delivered. */
void uplink_confirm(struct uplink *u, unsigned n)
{
    n = spool_delivered_first(u->spool, n);
    u->delivered += n;
    u->suspects -= n < u->suspects ? n : u->suspects;
    if (n == 0)
        return;
    u->attempts = 0;
    if (IS_ENABLED(CONFIG_BEACON_ACK) && u->hub == 0)
        u->return_ms = RETURN_MS;
    if (u->on_delivered)
        u->on_delivered(u->arg, n);
}

static uint64_t spool_losses(const struct spool *s)
{
    uint64_t sum = 0;

    for (int i = 0; i < SEVERITY_COUNT; i++)
        sum += s->lost_total[i];
    return sum;
}

/** Pending socket error (a reset) not yet returned by a read; 0: none. */
static int pending_error(const struct uplink *u)
{
    int error = 0;
    socklen_t len = sizeof error;

    return getsockopt(u->fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0 ? errno : error;
}

static void check_queue(void *arg)
{
    struct uplink *u = arg;
    int error = pending_error(u);

    if (error) {
        uplink_lost(u, ERRNO(error), error);
        return;
    }
    /* Losses in the spool meanwhile invalidate the count: start over. */
    if (u->settling > 0 && u->losses == spool_losses(u->spool))
        uplink_confirm(u, u->settling);
    u->settling = 0;
    uplink_kick(u); /* send what waited for it */
    if (u->state != UPLINK_UP || u->spool->events == u->spool->unsent)
        return;
    if (u->check_ms < CHECK_MOST_MS)
        u->check_ms *= 2;
    /* Including what was just sent. A reset empties the queue; the next check sees it as an
     * error. */
    u->settling = arrived(u, tcp_queued(u->fd));
    if (u->settling > 0) {
        u->losses = spool_losses(u->spool);
        u->check_ms = SETTLE_MS;
    }
    timer_start(u->loop, &u->check, u->check_ms, check_queue, u);
}

static void check_soon(struct uplink *u)
{
    if (timer_active(&u->check) || u->mode == UPLINK_ACKED)
        return;
    u->check_ms = CHECK_FIRST_MS;
    timer_start(u->loop, &u->check, u->check_ms, check_queue, u);
}

/* ---- Close by the hub ---- */

static void closing_over(void *arg)
{
    uplink_lost(arg, "closed by the hub before everything was acknowledged", 0);
}

static void check_end(void *arg)
{
    struct uplink *u = arg;
    /* In this order: a reset empties the queue and then shows as an error. */
    int queued = tcp_queued(u->fd);
    int error = pending_error(u);

    if (error) {
        uplink_lost(u, ERRNO(error), error);
        return;
    }
    if (queued == 0) {
        uplink_confirm(u, arrived(u, 0));
        LOG_INFO("hub ", ADDR(&u->peer), " closed the connection; everything sent was delivered");
        drop_connection(u);
        wait(u);
        return;
    }
    if (u->check_ms < CHECK_MOST_MS)
        u->check_ms *= 2;
    timer_start(u->loop, &u->check, u->check_ms, check_end, u);
}

/** The current line has been passed to the kernel: close our side and wait for delivery. */
static void finish(struct uplink *u)
{
    loop_unwatch(u->loop, &u->watch);
    if (shutdown(u->fd, SHUT_WR) < 0) {
        uplink_lost(u, ERRNO(errno), errno);
        return;
    }
    u->check_ms = CHECK_FIRST_MS;
    timer_start(u->loop, &u->check, u->check_ms, check_end, u);
}

static void hub_ended(struct uplink *u)
{
    if (u->mode != UPLINK_PLAIN) {
        uplink_lost(u, "closed by the hub", 0); /* unacknowledged events are sent again */
        return;
    }
    set_state(u, UPLINK_CLOSING);
    timer_stop(&u->check);
    timer_start(u->loop, &u->timer, CLOSING_MS, closing_over, u);
    if (u->line_len == 0)
        finish(u);
    else
        loop_watch_events(&u->watch, POLLOUT);
}

/* ---- Sending ---- */

/** Next event that may be sent to the hub; those longer than the hub accepts are dropped. Return:
 * whether there is one. */
static bool next_event(struct uplink *u, struct spool_item *item)
{
    if (!IS_ENABLED(CONFIG_BEACON_ACK) || u->mode != UPLINK_ACKED)
        return spool_next(u->spool, item, 0);
    while (spool_next(u->spool, item, u->greeting.span)) {
        if (item->event.len + LINK_STAMP_MAX <= u->greeting.bytes)
            return true;
        LOG_WARN("event ", DEC(item->event.id.seq), " exceeds the hub's line limit: dropped");
        spool_give_up(u->spool, item->event.id);
    }
    return false;
}

/** Write the next event of the spool to u->line: JSON, newline, signature, newline. Return: whether
 * there was one. */
static bool next_line(struct uplink *u)
{
    struct spool_item item;
    bool stamped = IS_ENABLED(CONFIG_BEACON_ACK) && u->mode == UPLINK_ACKED;

    if (u->suspects > 0 && u->spool->unsent < u->spool->events)
        return false; /* one at a time */
    if (IS_ENABLED(CONFIG_BEACON_ACK) && !uplink_may_send(u))
        return false;
    if (!next_event(u, &item))
        return false;
    size_t len = item.event.len;
    memcpy(u->line, item.event.line, len);
    if (stamped)
        len = uplink_stamp(u, len);
    u->line[len] = '\n';
    u->line_len = len + 1;
    if (u->key->set) {
        mac_sign_hex(u->key, u->line, len, u->line + u->line_len);
        u->line_len += MAC_HEX;
        u->line[u->line_len++] = '\n';
    }
    u->line_sent = 0;
    spool_mark_sent(u->spool, &item, u->count);
    return true;
}

/** Return: 0 if the kernel has the whole line, NEFIA_EAGAIN if its buffer is full, or
 * another error. */
static int send_line(struct uplink *u)
{
    while (u->line_sent < u->line_len) {
        int n = tcp_send(u->fd, u->line + u->line_sent, u->line_len - u->line_sent);
        if (n < 0)
            return n;
        u->line_sent += (size_t)n;
    }
    u->line_len = u->line_sent = 0;
    return 0;
}

void uplink_send(struct uplink *u)
{
    int err = 0;

    while (err == 0 && (u->line_len > 0 || (u->state == UPLINK_UP && next_line(u)))) {
        if (u->state == UPLINK_UP)
            check_soon(u);
        err = send_line(u);
    }
    if (err < 0 && err != NEFIA_EAGAIN) {
        uplink_lost(u, ERRNO(errno), errno);
        return;
    }
    if (u->state == UPLINK_CLOSING && err == 0)
        finish(u);
    else if (u->state == UPLINK_UP)
        loop_watch_events(&u->watch, err == NEFIA_EAGAIN ? POLLIN | POLLOUT : POLLIN);
}

void uplink_kick(struct uplink *u)
{
    if (u->state == UPLINK_UP && u->line_len == 0 && !timer_active(&u->timer))
        uplink_send(u);
}

/* ---- I/O ---- */

/** Discard what the hub sends in plain mode. Return: false if the connection
 * is no longer up. */
static bool receive(struct uplink *u)
{
    char bytes[256];

    errno = 0;
    int n = tcp_recv(u->fd, bytes, sizeof bytes);
    if (IS_ENABLED(CONFIG_BEACON_ACK) && n > 0)
        return uplink_received(u, bytes, (size_t)n);
    if (n > 0)
        u->ignored += (uint64_t)n;
    if (n >= 0 || n == NEFIA_EAGAIN)
        return true;
    if (errno == 0)
        hub_ended(u);
    else
        uplink_lost(u, ERRNO(errno), errno);
    return false;
}

static void ready(void *arg, short revents)
{
    struct uplink *u = arg;

    if (u->state == UPLINK_UP && revents & (POLLIN | POLLERR | POLLHUP) && !receive(u))
        return;
    if (u->state == UPLINK_CLOSING && revents & (POLLERR | POLLHUP)) {
        uplink_lost(u, "hung up", 0);
        return;
    }
    if (revents & POLLOUT)
        uplink_send(u);
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

static void connect_timeout(void *arg)
{
    not_connected(arg, "timed out after 10 s");
}

/** Connected to another hub than the first: retry the first while nothing is in flight. */
static void try_first(void *arg)
{
    struct uplink *u = arg;

    if (u->state != UPLINK_UP || u->spool->unsent < u->spool->events) {
        timer_start(u->loop, &u->home, CHECK_MOST_MS, try_first, u);
        return;
    }
    LOG_INFO("retrying the first hub");
    if (u->return_ms < RETURN_MOST_MS)
        u->return_ms *= 2;
    drop_connection(u);
    u->hub = 0;
    try_hub(u);
}

static void admitted(void *arg)
{
    uplink_send(arg);
}

static void connect_ready(void *arg, short revents)
{
    struct uplink *u = arg;
    int err = tcp_connect_result(u->fd);

    (void)revents;
    if (err == NEFIA_EAGAIN)
        return;
    if (err < 0) {
        not_connected(u, ERRNO(errno));
        return;
    }
    timer_stop(&u->timer);
    loop_unwatch(u->loop, &u->watch);
    set_state(u, UPLINK_UP);
    u->connects++;
    LOG_INFO("connected to ", ADDR(&u->peer), "; events queued: ", DEC(u->spool->events));
    u->delivered_before = u->delivered;
    if (IS_ENABLED(CONFIG_BEACON_ACK) && u->hub > 0)
        timer_start(u->loop, &u->home, u->return_ms + u->random_below(u->return_ms / 4), try_first,
                    u);
    if (loop_watch(u->loop, &u->watch, u->fd, POLLIN, ready, u) < 0)
        uplink_lost(u, "out of loop watches", 0);
    else if (IS_ENABLED(CONFIG_BEACON_ACK))
        uplink_greet(u);
    else if (u->suspects > 0)
        timer_start(u->loop, &u->timer, ADMIT_MS, admitted, u);
    else
        uplink_send(u);
}

static void connect_failed_at_once(void *arg)
{
    struct uplink *u = arg;

    not_connected(u, ERRNO(u->error));
}

static void try_peer(struct uplink *u)
{
    u->fd = tcp_connect_start(&u->peer, UNACKNOWLEDGED_MS);
    if (u->fd < 0 || loop_watch(u->loop, &u->watch, u->fd, POLLOUT, connect_ready, u) < 0) {
        u->error = errno;
        /* From the loop, so that a list of dead addresses does not recurse. */
        timer_start(u->loop, &u->timer, 0, connect_failed_at_once, u);
        return;
    }
    timer_start(u->loop, &u->timer, CONNECT_MS, connect_timeout, u);
}

static void lookup_failed_at_once(void *arg)
{
    struct uplink *u = arg;

    uplink_resolved(u, NULL, 0, "no child process available");
}

static void try_hub(struct uplink *u)
{
    const struct uplink_hub *hub = &u->hubs[u->hub];

    set_state(u, UPLINK_CONNECTING);
    u->peer = hub->addr;
    if (!IS_ENABLED(CONFIG_BEACON_RESOLVE) || !hub->name) {
        try_peer(u);
        return;
    }
    u->resolving = true;
    if (!u->resolve || u->resolve(u->arg, hub->name) < 0)
        timer_start(u->loop, &u->timer, 0, lookup_failed_at_once, u);
}

void uplink_resolved(struct uplink *u, const struct addr *found, int n, const char *why)
{
    if (!u->resolving)
        return;
    u->resolving = false;
    if (n <= 0) {
        LOG_INFO("cannot resolve ", u->hubs[u->hub].name, ": ", why);
        try_next(u);
        return;
    }
    /* A different one each time, so that a single dead address does not prevent connecting. */
    u->peer = found[u->attempts % (unsigned)n];
    try_peer(u);
}

/* ---- Interface ---- */

void uplink_stop(struct uplink *u)
{
    drop_connection(u);
    set_state(u, UPLINK_IDLE);
}

static bool same_hub(const struct uplink_hub *a, const struct uplink_hub *b)
{
    if (IS_ENABLED(CONFIG_BEACON_RESOLVE) && (a->name || b->name))
        return a->name && b->name && str_eq(a->name, b->name);
    return addr_same_host(&a->addr, &b->addr) && a->addr.port == b->addr.port;
}

void uplink_start(struct uplink *u, const struct uplink_hub *hubs, unsigned count,
                  const struct mac_key *key, bool same_key)
{
    unsigned at = count;

    for (unsigned i = 0; u->state == UPLINK_UP && same_key && i < count; i++)
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
    u->attempts = u->refusals = 0;
    if (count > 0)
        try_hub(u);
}

bool uplink_drained(const struct uplink *u)
{
    return u->spool->events == 0;
}

uint64_t uplink_next_try_ms(const struct uplink *u)
{
    uint64_t now = clock_ms(u->loop->clock);

    return u->state == UPLINK_BACKOFF && u->timer.at_ms > now ? u->timer.at_ms - now : 0;
}
