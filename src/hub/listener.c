#include "nefia/hub/listener.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "nefia/base/bytes.h"
#include "nefia/base/err.h"
#include "nefia/net/tcp.h"

#define ACCEPTS_A_TURN 16

const char *reject_name(enum reject r)
{
    static const char *const names[REJECT_COUNT] = {
        [REJECT_PEER] = "peer_not_allowed",
        [REJECT_FULL] = "too_many_connections",
        [REJECT_PEER_FULL] = "too_many_of_peer",
        [REJECT_TOO_LONG] = "line_too_long",
        [REJECT_UNFINISHED] = "line_unfinished",
        [REJECT_TIMEOUT] = "line_timeout",
        [REJECT_UNSIGNED] = "signature_missing",
        [REJECT_MALFORMED] = "signature_malformed",
        [REJECT_WRONG] = "signature_wrong",
        [REJECT_UTF8] = "not_utf8",
        [REJECT_JSON] = "not_json",
        [REJECT_EVENT] = "not_an_event",
        [REJECT_HOST] = "wrong_host",
        [REJECT_REPLAY] = "replayed",
        [REJECT_WINDOW] = "over_window",
        [REJECT_PLAIN] = "not_stamped",
        [REJECT_RATE] = "over_rate",
    };

    return names[r];
}

void listener_init(struct listener *l, struct loop *loop, struct connection *connections,
                   unsigned count, char *buffer, size_t buffer_size,
                   const struct listener_hooks *hooks)
{
    *l = (struct listener){
        .loop = loop,
        .fd = -1,
        .connections = connections,
        .count = count,
        .buffer = buffer,
        .buffer_size = buffer_size,
        .hooks = *hooks,
    };
    for (unsigned i = 0; i < count; i++)
        connections[i].listener = l;
}

/* ---- One connection ---- */

static void close_connection(struct connection *c)
{
    struct listener *l = c->listener;

    loop_unwatch(l->loop, &c->watch);
    timer_stop(&c->timer);
    close(c->watch.fd);
    c->open = false;
    c->used = 0;
    if (c->held_ms)
        l->held--;
    c->held_ms = 0;
    l->open--;
}

static void refuse(struct connection *c)
{
    tcp_refuse(c->watch.fd);
    close_connection(c);
}

static void reject(struct connection *c, enum reject why, const char *what)
{
    c->listener->hooks.rejected(c->listener->hooks.arg, &c->session.peer, why, what);
    refuse(c);
}

static void arm(struct connection *c);

/** Shut our side down, so that the peer closes; data in flight is not lost. */
static void begin_closing(struct connection *c)
{
    shutdown(c->watch.fd, SHUT_WR);
    c->closing = true;
    c->last_input_ms = clock_ms(c->listener->loop->clock);
    arm(c);
}

/** Deadline for activity on this connection. */
static uint64_t deadline(const struct connection *c)
{
    uint64_t at = c->last_input_ms + (c->closing ? CLOSING_TIMEOUT_MS : IDLE_TIMEOUT_MS);

    return c->used > 0 && c->line_ms + LINE_TIMEOUT_MS < at ? c->line_ms + LINE_TIMEOUT_MS : at;
}

static void read_lines(struct connection *c);

static void timed_out(void *arg)
{
    struct connection *c = arg;

    if (c->held_ms)
        read_lines(c);
    else if (clock_ms(c->listener->loop->clock) < deadline(c))
        arm(c);
    else if (c->used > 0)
        reject(c, c->closing ? REJECT_UNFINISHED : REJECT_TIMEOUT, NULL);
    else if (c->closing)
        close_connection(c);
    else
        begin_closing(c);
}

/** Re-arm only if the timer would fire too late: firing too early is harmless. */
static void arm(struct connection *c)
{
    uint64_t now = clock_ms(c->listener->loop->clock);
    uint64_t at = c->held_ms ? now + HOLD_STEP_MS : deadline(c);

    if (!timer_active(&c->timer) || c->timer.at_ms > at)
        timer_start(c->listener->loop, &c->timer, at > now ? at - now : 0, timed_out, c);
}

/* ---- Sending ---- */

static void ready(void *arg, short revents);

/** While a line is deferred nothing is watched: a closed peer would be reported in every turn. */
static void wait_for(struct connection *c)
{
    struct loop *loop = c->listener->loop;
    short events = (short)(POLLIN | (c->out_sent < c->out_len ? POLLOUT : 0));

    if (c->held_ms)
        loop_unwatch(loop, &c->watch);
    else if (!c->watch.link)
        (void)loop_watch(loop, &c->watch, c->watch.fd, events, ready, c); /* cannot fail: its slot is free */
    else
        loop_watch_events(&c->watch, events);
}

/** Send pending output, as much as the kernel accepts. A closed peer is noticed when reading
 * from it. */
static void respond(struct connection *c)
{
    const struct listener_hooks *hooks = &c->listener->hooks;
    struct text t;

    if (c->out_sent == c->out_len && !c->closing) {
        text_init(&t, c->out, sizeof c->out);
        hooks->respond(hooks->arg, &c->session, &t);
        c->out_len = (uint16_t)t.len;
        c->out_sent = 0;
    }
    if (c->out_sent == c->out_len)
        return;
    int n = tcp_send(c->watch.fd, c->out + c->out_sent, (size_t)(c->out_len - c->out_sent));
    if (n > 0)
        c->out_sent = (uint16_t)(c->out_sent + n);
    else if (n != NEFIA_EAGAIN)
        c->out_len = c->out_sent = 0;
    wait_for(c);
}

void listener_acknowledge(struct listener *l)
{
    for (unsigned i = 0; i < l->count; i++) {
        struct connection *c = &l->connections[i];

        if (!c->open || !c->session.due)
            continue;
        respond(c);
        if (c->session.refused && !c->session.due && !c->closing)
            begin_closing(c);
    }
}

/* ---- Lines ---- */

/** Length of the first unit in s (a line, and its signature line if there is one), with both slices
 * set. Return: 0 if it is incomplete, NEFIA_ETOOBIG if its first line is too long.
 */
static long cut_unit(const struct listener *l, const char *s, size_t len, struct slice *line,
                     struct slice *sig)
{
    size_t most = len < CONFIG_EVENT_BYTES + 1 ? len : CONFIG_EVENT_BYTES + 1;
    const char *end = memchr(s, '\n', most);

    if (!end)
        return most > CONFIG_EVENT_BYTES ? NEFIA_ETOOBIG : 0;
    *line = (struct slice){s, (size_t)(end - s)};
    *sig = (struct slice){NULL, 0};
    if (!l->with_signatures)
        return (long)line->len + 1;
    size_t rest = len - line->len - 1;
    const char *second = end + 1;
    /* A longer line cannot be a signature: no need to wait for its end. */
    most = rest < 65 ? rest : 65;
    end = memchr(second, '\n', most);
    if (!end && most < 65)
        return 0;
    *sig = (struct slice){second, end ? (size_t)(end - second) : most};
    return (long)(line->len + 1 + sig->len + (end ? 1 : 0));
}

/** Refuse a stamped event. Its sender takes everything before it as acknowledged, so the refusal is
 * sent once that is durable. */
static void refuse_in_words(struct connection *c)
{
    c->session.due = true;
    c->discarding = true;
    c->used = 0;
    c->last_input_ms = clock_ms(c->listener->loop->clock);
    arm(c);
}

/** Process all complete units in s; *held: one of them is deferred. Return: bytes consumed; or
 * negative: the connection is closed. */
static long take_units(struct connection *c, const char *s, size_t len, bool *held)
{
    const struct listener *l = c->listener;
    size_t at = 0;

    *held = false;
    while (at < len && !*held) {
        struct slice line, sig;
        long n = cut_unit(l, s + at, len - at, &line, &sig);

        if (n == 0)
            break;
        if (n < 0) {
            reject(c, REJECT_TOO_LONG, NULL);
            return n;
        }
        int err = l->hooks.line(l->hooks.arg, &c->session, line.ptr, line.len, sig.ptr, sig.len);
        *held = err == NEFIA_EAGAIN;
        if (err < 0 && !*held) {
            if (c->session.refused)
                refuse_in_words(c);
            else
                refuse(c);
            return err;
        }
        c->session.overdue = false;
        at += *held ? 0 : (size_t)n;
    }
    return (long)at;
}

static void end_of_stream(struct connection *c)
{
    if (c->used > 0)
        reject(c, REJECT_UNFINISHED, NULL);
    else
        close_connection(c);
}

/** Consume `taken` bytes of the buffer, `had` of which were there before; a deferred line follows
 * them and stays in place. */
static void hold(struct connection *c, size_t had, size_t taken)
{
    uint64_t now = clock_ms(c->listener->loop->clock);

    if (taken >= had) {
        tcp_consume(c->watch.fd, c->listener->buffer + had, taken - had);
        c->used = 0;
    }
    if (!c->held_ms || taken > 0) {
        c->listener->held += !c->held_ms;
        c->held_ms = now;
    }
    c->last_input_ms = now;
    c->line_ms = now;
    timer_stop(&c->timer);
    arm(c);
    wait_for(c);
}

static void keep_rest(struct connection *c, size_t had, size_t taken, size_t len)
{
    struct listener *l = c->listener;

    tcp_consume(c->watch.fd, l->buffer + had, len - had);
    l->bytes += len - had;
    c->last_input_ms = clock_ms(l->loop->clock);
    if (taken > 0 || had == 0)
        c->line_ms = c->last_input_ms;
    c->used = (uint32_t)(len - taken);
    memcpy(c->bytes, l->buffer + taken, c->used);
    if (c->held_ms) {
        c->held_ms = 0;
        l->held--;
        wait_for(c);
    }
    arm(c);
}

static void read_lines(struct connection *c)
{
    struct listener *l = c->listener;
    size_t had = c->used;
    bool held = false;

    memcpy(l->buffer, c->bytes, had);
    int n = tcp_peek(c->watch.fd, l->buffer + had, l->buffer_size - had);
    if (n < 0 && n != NEFIA_EAGAIN) {
        end_of_stream(c);
        return;
    }
    size_t len = had + (n > 0 ? (size_t)n : 0);
    /* A sender that waits for acknowledgements gets no more of them and will send the rest
     * again. */
    bool discarding = c->discarding || (c->closing && c->session.count > 0);
    c->session.overdue = c->held_ms && clock_ms(l->loop->clock) - c->held_ms >= HOLD_MOST_MS;
    long taken = discarding ? (long)len : take_units(c, l->buffer, len, &held);
    if (taken >= 0 && held)
        hold(c, had, (size_t)taken);
    else if (taken >= 0)
        keep_rest(c, had, (size_t)taken, len);
    l->hooks.turn_end(l->hooks.arg);
}

static void ready(void *arg, short revents)
{
    struct connection *c = arg;

    if (revents & POLLOUT)
        respond(c);
    if (revents & (POLLIN | POLLERR | POLLHUP))
        read_lines(c);
}

void listener_resume(struct listener *l)
{
    const unsigned from = l->turn;
    bool first = true;

    for (unsigned n = 0; n < l->count && l->held > 0; n++) {
        const unsigned i = (from + n) % l->count;

        if (!l->connections[i].open || !l->connections[i].held_ms)
            continue;
        if (first)
            l->turn = i + 1;
        first = false;
        read_lines(&l->connections[i]);
    }
}

/* ---- Accepting ---- */

static struct connection *free_connection(const struct listener *l)
{
    for (unsigned i = 0; i < l->count; i++)
        if (!l->connections[i].open)
            return &l->connections[i];
    return NULL;
}

static bool peer_has_room(const struct listener *l, const struct addr *peer)
{
    unsigned n = 0;

    for (unsigned i = 0; l->per_peer > 0 && i < l->count; i++)
        n += l->connections[i].open && addr_same_host(&l->connections[i].session.peer, peer);
    return l->per_peer == 0 || n < l->per_peer;
}

/** The oldest connection without a valid event, or null: an idle sender cannot keep others
 * out. */
static struct connection *unproven(struct listener *l)
{
    uint64_t now = clock_ms(l->loop->clock);
    struct connection *oldest = NULL;

    for (unsigned i = 0; i < l->count; i++) {
        struct connection *c = &l->connections[i];

        if (!c->session.proven && now - c->came_ms >= PROVE_MS &&
            (!oldest || c->came_ms < oldest->came_ms))
            oldest = c;
    }
    return oldest;
}

static struct connection *make_room(struct listener *l)
{
    struct connection *c = l->open == l->count ? unproven(l) : NULL;

    if (c)
        reject(c, REJECT_FULL, "evicted without a valid event, for a new connection");
    return free_connection(l);
}

static void welcome(struct listener *l, int fd, const struct addr *peer)
{
    bool allowed = l->hooks.allowed(l->hooks.arg, peer), room = peer_has_room(l, peer);
    struct connection *c = allowed && room ? make_room(l) : NULL;
    enum reject why = !allowed ? REJECT_PEER : !room ? REJECT_PEER_FULL : REJECT_FULL;

    if (!c || loop_watch(l->loop, &c->watch, fd, POLLIN, ready, c) < 0) {
        l->hooks.rejected(l->hooks.arg, peer, why, NULL);
        tcp_refuse(fd);
        close(fd);
        return;
    }
    c->session = (struct session){.peer = *peer};
    c->open = true;
    c->closing = c->discarding = false;
    c->used = 0;
    c->out_len = c->out_sent = 0;
    c->came_ms = c->last_input_ms = clock_ms(l->loop->clock);
    l->open++;
    l->accepted++;
    arm(c);
    respond(c);
}

static void resume(void *arg)
{
    struct listener *l = arg;

    if (l->fd >= 0)
        loop_watch_events(&l->watch, POLLIN);
}

static void incoming(void *arg, short revents)
{
    struct listener *l = arg;

    (void)revents;
    for (int i = 0; i < ACCEPTS_A_TURN; i++) {
        struct addr peer;
        int fd = tcp_accept(l->fd, &peer);

        if (fd == NEFIA_EFULL) {
            /* The listener stays readable: retry later instead of spinning. */
            loop_watch_events(&l->watch, 0);
            timer_start(l->loop, &l->pause, ACCEPT_PAUSE_MS, resume, l);
            return;
        }
        if (fd < 0)
            return;
        welcome(l, fd, &peer);
    }
}

static void stop_listening(struct listener *l)
{
    loop_unwatch(l->loop, &l->watch);
    timer_stop(&l->pause);
    if (l->fd >= 0)
        close(l->fd);
    l->fd = -1;
}

int listener_open(struct listener *l, int fd, bool with_signatures)
{
    stop_listening(l);
    int err = loop_watch(l->loop, &l->watch, fd, POLLIN, incoming, l);
    if (err < 0)
        return err;
    l->fd = fd;
    l->with_signatures = with_signatures;
    return 0;
}

void listener_recheck(struct listener *l, bool with_signatures)
{
    l->with_signatures = with_signatures;
    for (unsigned i = 0; i < l->count; i++) {
        struct connection *c = &l->connections[i];
        if (c->open && !l->hooks.allowed(l->hooks.arg, &c->session.peer))
            reject(c, REJECT_PEER, NULL);
    }
}

unsigned listener_drain(struct listener *l)
{
    /* Pending connections may already have sent events. */
    if (l->fd >= 0)
        incoming(l, POLLIN);
    stop_listening(l);
    for (unsigned i = 0; i < l->count; i++)
        if (l->connections[i].open && !l->connections[i].closing)
            begin_closing(&l->connections[i]);
    return l->open;
}

void listener_close(struct listener *l)
{
    stop_listening(l);
    for (unsigned i = 0; i < l->count; i++)
        if (l->connections[i].open)
            close_connection(&l->connections[i]);
}
