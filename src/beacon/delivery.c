#include "nefia/beacon/delivery.h"

#include <errno.h>
#include <poll.h>

#include "nefia/base/err.h"
#include "nefia/base/text.h"
#include "nefia/net/tcp.h"
#include "nefia/sys/log.h"

enum {
    CLOSING_MS = 10 * 1000,
    ADMIT_MS = 1000, /* after a rejection: a hub that rejects us altogether resets before data is sent */
};

#define ACK IS_ENABLED(CONFIG_BEACON_ACK)

void delivery_init(struct delivery *d, struct spool *spool, struct session *session, char *line)
{
    *d = (struct delivery){.spool = spool, .session = session, .line = line};
    plain_init(&d->plain, spool);
    if (ACK)
        session_init(session, spool);
}

const char *delivery_state_text(enum delivery_state s)
{
    static const char words[] = "-\0greeting\0greeting\0greeting\0up\0up\0closing\0closing\0closing\0";

    return word_at(words, s);
}

const char *delivery_way_text(enum delivery_state s)
{
    return s == DELIVERY_UP                                ? "acknowledged"
           : s == DELIVERY_PLAIN || s == DELIVERY_CLOSING ? "plain"
                                                           : "-";
}

/** What carries the connection: TCP is all there is, and a constant makes direct calls of these, which
 * the smallest beacon has room for. */
static const struct stream_class *const carrier = &tcp_stream;

static void set_state(struct delivery *d, enum delivery_state s)
{
    d->state = s;
    d->since_ms = d->now_ms;
}

static bool sends(const struct delivery *d)
{
    return d->state >= DELIVERY_GREETING && d->state <= DELIVERY_PLAIN;
}

uint64_t delivery_deadline(const struct delivery *d)
{
    if (d->state == DELIVERY_GREETING)
        return d->since_ms + (ACK ? LINK_GREETING_MS : ADMIT_MS);
    if (d->state == DELIVERY_PLAIN || d->state == DELIVERY_CLOSING)
        return d->plain.deadline_ms;
    if (ACK && (d->state == DELIVERY_WELCOME || d->state == DELIVERY_UP))
        return session_deadline(d->session);
    return 0;
}

/* ---- The end ---- */

/** Events of which the stream may have had a byte. */
static unsigned in_flight(const struct delivery *d)
{
    const bool untouched = d->line_len > 0 && d->line_sent == 0;

    return d->spool->events - d->spool->unsent - untouched;
}

bool delivery_idle(const struct delivery *d)
{
    return (d->state == DELIVERY_UP || d->state == DELIVERY_PLAIN) &&
           d->spool->unsent == d->spool->events &&
           (!IS_ENABLED(CONFIG_REMOTE_EXEC) || !d->session->remote || remote_idle(d->session->remote));
}

/** why null: because of error. */
static void lose(struct delivery *d, const char *why, int error)
{
    if (ACK)
        d->was_idle = d->state == DELIVERY_UP && in_flight(d) == 0;
    /* A hub that greets sends refusals instead. */
    d->rejected = d->state == DELIVERY_PLAIN && error == ECONNRESET ? in_flight(d) : 0;
    d->why = why;
    d->error = error;
    d->state = DELIVERY_LOST;
}

/** The stream failed: errno says how. */
static void broken(struct delivery *d)
{
    lose(d, NULL, errno);
}

void delivery_end(struct delivery *d)
{
    if (d->state == DELIVERY_LOST && d->rejected > 0)
        plain_refused(&d->plain, d->rejected);
    d->state = DELIVERY_NONE;
    d->line_len = d->line_sent = 0;
    plain_begin(&d->plain);
    if (ACK)
        session_end(d->session);
    spool_rewind(d->spool);
}

/* ---- Sending ---- */

static size_t next_line(struct delivery *d)
{
    if (d->state == DELIVERY_PLAIN)
        return plain_next(&d->plain, d->key, d->now_ms, d->line);
    if (!ACK)
        return 0;
    if (d->state == DELIVERY_UP)
        return session_next(d->session, d->now_ms, d->line);
    if (d->state != DELIVERY_HELLO)
        return 0;
    set_state(d, DELIVERY_WELCOME);
    return session_hello(d->session, d->key, d->host_id, !d->require_ack, d->now_ms, d->line);
}

/** Return: 0 if the kernel has the whole line, NEFIA_EAGAIN if its buffer is full, or
 * another error. */
static int send_line(struct delivery *d)
{
    while (d->line_sent < d->line_len) {
        int n = carrier->send(d->stream, d->line + d->line_sent, d->line_len - d->line_sent);
        if (n < 0)
            return n;
        d->line_sent += (size_t)n;
    }
    d->line_len = d->line_sent = 0;
    return 0;
}

/** The current line has been passed to the kernel: close our side and wait for delivery. */
static void finish(struct delivery *d)
{
    d->events = 0;
    if (carrier->shut(d->stream) < 0)
        broken(d);
}

/** Send as much as possible. */
static void send_lines(struct delivery *d)
{
    int err = 0;

    while (err == 0 && (d->line_len > 0 || (d->line_len = next_line(d)) > 0))
        err = send_line(d);
    if (err < 0 && err != NEFIA_EAGAIN)
        broken(d);
    else if (d->state != DELIVERY_CLOSING)
        d->events = err < 0 ? POLLIN | POLLOUT : POLLIN;
    else if (err == 0)
        finish(d);
}

void delivery_kick(struct delivery *d, uint64_t now_ms)
{
    d->now_ms = now_ms;
    if (sends(d) && d->line_len == 0)
        send_lines(d);
}

/* ---- A plain hub ---- */

/** Deliver without the hub's acknowledgement. */
static void begin_plain(struct delivery *d)
{
    set_state(d, DELIVERY_PLAIN);
    if (ACK)
        LOG_INFO("hub ", ADDR(d->peer), " does not acknowledge events: plain delivery");
    send_lines(d);
}

/** No greeting came. */
static void take_for_plain(struct delivery *d)
{
    if (ACK && d->require_ack)
        lose(d, "hub sent no greeting; beacons.require_ack requires one", 0);
    else
        begin_plain(d);
}

/** Bytes of the stream that have not arrived, or negative: then the connection has been lost. */
static int missing(struct delivery *d)
{
    const int queued = carrier->unacknowledged(d->stream);

    if (queued >= 0)
        return queued + (int)(d->line_len - d->line_sent);
    broken(d);
    return queued;
}

static void check_queue(struct delivery *d)
{
    if (missing(d) < 0)
        return;
    d->delivered += plain_settle(&d->plain);
    if (d->line_len == 0)
        send_lines(d); /* what waited for it */
    if (d->state != DELIVERY_PLAIN)
        return;
    const int n = missing(d);
    if (n >= 0)
        plain_check(&d->plain, d->key, (size_t)n, d->now_ms);
}

/** The hub has closed, and so have we, or will once the current line has been sent. */
static void check_end(struct delivery *d)
{
    const int n = missing(d);

    if (n == 0) {
        d->delivered += plain_arrived(&d->plain);
        d->state = DELIVERY_FINISHED;
    } else if (n > 0 && d->now_ms - d->since_ms >= CLOSING_MS) {
        lose(d, "closed by the hub before everything was acknowledged", 0);
    } else if (n > 0) {
        plain_wait(&d->plain, d->now_ms);
    }
}

static void hub_ended(struct delivery *d)
{
    if (ACK && d->state != DELIVERY_PLAIN) {
        lose(d, "closed by the hub", 0); /* unacknowledged events are sent again */
        return;
    }
    set_state(d, DELIVERY_CLOSING);
    plain_begin(&d->plain);
    plain_wait(&d->plain, d->now_ms);
    if (d->line_len == 0)
        finish(d);
    else
        d->events = POLLOUT;
}

/* ---- Receiving ---- */

/** The hub greets: whatever was sent plainly on this connection is sent again. */
static void greeted(struct delivery *d)
{
    d->plain.suspects = 0;
    plain_begin(&d->plain);
    spool_rewind(d->spool);
    set_state(d, DELIVERY_HELLO);
}

static void welcomed(struct delivery *d)
{
    set_state(d, DELIVERY_UP);
    LOG_INFO("hub ", ADDR(d->peer), " acknowledges events", d->key->set ? ", signed" : ", unsigned",
             "; window ", DEC(d->session->window));
}

static void take_result(struct delivery *d, enum session_result result)
{
    if (result == SESSION_OVER) {
        lose(d, d->session->why, 0);
    } else if (result == SESSION_GREETED) {
        greeted(d);
    } else if (result == SESSION_WELCOMED) {
        welcomed(d);
    } else if (result == SESSION_SETTLED) {
        d->settled = true;
        d->delivered += d->session->acknowledged;
    } else if (result == SESSION_NOISE && d->state == DELIVERY_GREETING) {
        take_for_plain(d);
    }
}

/** Handle what the session has received. */
static void take_input(struct delivery *d)
{
    enum session_result result;

    while (sends(d) && (result = session_take(d->session, d->now_ms)) != SESSION_NOTHING)
        take_result(d, result);
    if (sends(d))
        send_lines(d);
}

static void receive(struct delivery *d)
{
    struct session *s = d->session;
    char bytes[ACK ? 1 : 256];
    char *to = ACK ? s->received + s->received_len : bytes;
    int n = carrier->receive(d->stream, to, ACK ? SESSION_RECEIVE - s->received_len : sizeof bytes);

    if (n > 0) {
        if (ACK) { /* what a plain hub says is ignored */
            s->received_len += (size_t)n;
            take_input(d);
        }
    } else if (n != NEFIA_EAGAIN) {
        const int error = errno;
        if (ACK && d->state == DELIVERY_WELCOME)
            session_closed(s, d->now_ms);
        errno = error;
        if (error)
            broken(d);
        else
            hub_ended(d);
    }
}

/* ---- Interface ---- */

void delivery_configure(struct delivery *d, const struct mac_key *key)
{
    d->key = key;
    d->plain.refusals = 0;
}

int delivery_prepare(struct delivery *d)
{
    return d->random(d->session->nonce, LINK_NONCE);
}

void delivery_begin(struct delivery *d, const struct stream *stream, const struct addr *peer,
                    uint64_t now_ms)
{
    d->now_ms = now_ms;
    d->stream = stream;
    d->peer = peer;
    d->events = POLLIN;
    set_state(d, DELIVERY_GREETING);
    if (ACK)
        session_begin(d->session, d->key->set);
    else if (d->plain.suspects == 0)
        begin_plain(d);
}

void delivery_ready(struct delivery *d, short revents, uint64_t now_ms)
{
    d->now_ms = now_ms;
    if (sends(d) && revents & (POLLIN | POLLERR | POLLHUP))
        receive(d);
    else if (d->state == DELIVERY_CLOSING && revents & (POLLERR | POLLHUP))
        lose(d, "hung up", 0);
    if (d->state <= DELIVERY_CLOSING && revents & POLLOUT)
        send_lines(d);
}

void delivery_due(struct delivery *d, uint64_t now_ms)
{
    d->now_ms = now_ms;
    switch (d->state) {
    case DELIVERY_GREETING:
        take_for_plain(d);
        break;
    case DELIVERY_WELCOME:
        if (ACK)
            lose(d, "no welcome within 20 s", 0);
        break;
    case DELIVERY_UP:
        if (ACK)
            lose(d, "no acknowledgement within 60 s", 0);
        break;
    case DELIVERY_PLAIN:
        check_queue(d);
        break;
    case DELIVERY_CLOSING:
        check_end(d);
        break;
    default:
        break;
    }
}
