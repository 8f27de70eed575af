#include "nefia/hub/listener.h"

#include <string.h>
#include <unistd.h>

#include "nefia/base/bytes.h"
#include "nefia/base/err.h"
#include "nefia/base/text.h"
#include "nefia/net/tcp.h"

#define ACCEPTS_A_TURN 16

const char *reject_name(enum reject r)
{
    /* as enum reject */
    static const char names[] = "peer_not_allowed\0"
                                "too_many_connections\0"
                                "too_many_of_peer\0"
                                "too_often_from_peer\0"
                                "unproven\0"
                                "line_too_long\0"
                                "line_unfinished\0"
                                "line_timeout\0"
                                "signature_missing\0"
                                "signature_malformed\0"
                                "signature_wrong\0"
                                "not_utf8\0"
                                "not_json\0"
                                "not_an_event\0"
                                "not_a_hello\0"
                                "wrong_host\0"
                                "over_window\0"
                                "plain_not_allowed\0"
                                "over_rate\0"
                                "replaced\0";

    return word_at(names, r);
}

void listener_init(struct listener *l, struct loop *loop, struct connection *connections,
                   unsigned count, struct admission_entry *entries, unsigned entry_count,
                   const struct listener_hooks *hooks)
{
    *l = (struct listener){
        .loop = loop,
        .fd = -1,
        .connections = connections,
        .count = count,
        .hooks = *hooks,
    };
    admission_init(&l->admission, entries, entry_count);
    for (unsigned i = 0; i < count; i++)
        connections[i].listener = l;
}

static uint64_t now_of(const struct listener *l)
{
    return clock_ms(l->loop->clock);
}

/* ---- States ---- */

/** Are its units still taken? */
static bool takes_units(const struct connection *c)
{
    return c->state == CONNECTION_OPEN || c->state == CONNECTION_CLOSING ||
           c->state == CONNECTION_ENDED;
}

static bool is_over(const struct connection *c)
{
    return c->state == CONNECTION_FLUSHING || c->state == CONNECTION_DISCARDING;
}

/** Must something be said before its next unit? */
static bool owes_answer(const struct connection *c)
{
    return c->session.due != SESSION_IDLE && c->session.due != SESSION_ACK;
}

/** Can a unit be offered now? */
static bool can_serve(const struct connection *c, uint64_t now_ms)
{
    return c->has_unit && takes_units(c) && !owes_answer(c) && now_ms >= c->retry_ms;
}

/** Does the unit that `bytes` begins with lack its end? */
static bool is_incomplete(const struct connection *c)
{
    return takes_units(c) && c->used > c->at && !c->has_unit;
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/** When c must have proved itself. A deferred unit may be what does. */
static uint64_t prove_deadline(const struct connection *c)
{
    return c->came_ms + LINK_PROVE_MS + (c->held_ms ? HOLD_MOST_MS : 0);
}

/** When c is to be looked at again, if nothing happens before. */
static uint64_t deadline(const struct connection *c)
{
    const bool is_open = c->state == CONNECTION_OPEN;
    const uint64_t active_ms = c->input_ms > c->came_ms ? c->input_ms : c->came_ms;
    uint64_t at = active_ms + (is_open ? IDLE_TIMEOUT_MS : CLOSING_TIMEOUT_MS);

    if (is_over(c))
        return at;
    if (c->held_ms)
        return c->retry_ms;
    if (!c->session.proven)
        at = earlier(at, prove_deadline(c));
    return is_incomplete(c) ? earlier(at, c->unit_ms + LINE_TIMEOUT_MS) : at;
}

/* ---- The next turn ---- */

static void turn(void *arg);

static void turn_at(struct listener *l, uint64_t at_ms)
{
    const uint64_t now = now_of(l), delay = at_ms > now ? at_ms - now : 0;

    if (!timer_active(&l->turn) || l->turn.at_ms > now + delay)
        timer_start(l->loop, &l->turn, delay, turn, l);
}

static void turn_soon(struct listener *l)
{
    turn_at(l, 0);
}

/* ---- The end of a connection ---- */

static void release(struct connection *c)
{
    if (c->held_ms)
        c->listener->held--;
    c->held_ms = c->retry_ms = 0;
    c->session.overdue = false;
}

/** Take it out of the listener; its stream is the caller's. */
static void forget(struct connection *c)
{
    struct listener *l = c->listener;

    release(c);
    l->hooks.closed(l->hooks.arg, &c->session);
    link_wipe(&c->session.link);
    c->state = CONNECTION_FREE;
    c->has_unit = false;
    l->open--;
}

static void close_connection(struct connection *c)
{
    if (c->session.proven)
        admission_proved(&c->listener->admission, &c->session.peer, now_of(c->listener));
    loop_unwatch(c->listener->loop, &c->watch); /* while it is open, since a child may have it, too */
    c->stream.class->close(&c->stream);
    forget(c);
}

/** A reset, so that a plain sender does not take what it sent for delivered. */
static void refuse(struct connection *c)
{
    loop_unwatch(c->listener->loop, &c->watch); /* as above */
    c->stream.class->refuse(&c->stream);
    forget(c);
}

/** It ends through its own fault, which costs an address that has proved nothing. */
static void charge(const struct connection *c)
{
    if (!c->session.proven)
        admission_failed(&c->listener->admission, &c->session.peer, now_of(c->listener));
}

static void report(struct listener *l, const struct addr *peer, enum reject why, const char *what)
{
    const bool quiet = !admission_may_log(&l->admission, peer, now_of(l));

    l->hooks.rejected(l->hooks.arg, peer, why, what, quiet);
}

static void reject(struct connection *c, enum reject why, const char *what)
{
    report(c->listener, &c->session.peer, why, what);
    refuse(c);
}

static void reject_and_charge(struct connection *c, enum reject why)
{
    charge(c);
    reject(c, why, NULL);
}

/* ---- Sending ---- */

static void ready(void *arg, short revents);

/** Watch for what c can use. */
static void watch(struct connection *c)
{
    struct loop *loop = c->listener->loop;
    const bool reads =
        is_over(c) || (c->state != CONNECTION_ENDED && c->used - c->at < sizeof c->bytes);
    const short events = (short)((reads ? POLLIN : 0) | (c->out_sent < c->out_len ? POLLOUT : 0));

    if (!events || c->state == CONNECTION_ENDED)
        loop_unwatch(loop, &c->watch);
    else if (!c->watch.link)
        (void)loop_watch(loop, &c->watch, c->stream.fd, events, ready, c); /* its slot is free */
    else
        loop_watch_events(&c->watch, events);
}

/** Send what is in `out`. A closed peer is noticed when reading from it. Return: is it empty? */
static bool send_out(struct connection *c)
{
    while (c->out_sent < c->out_len) {
        int n = c->stream.class->send(&c->stream, c->out + c->out_sent,
                                      (size_t)(c->out_len - c->out_sent));
        if (n == NEFIA_EAGAIN)
            return false;
        c->out_sent = n < 0 ? c->out_len : (uint16_t)(c->out_sent + n);
    }
    c->out_len = c->out_sent = 0;
    return true;
}

/** Have what is due appended to the empty `out`. Return: was anything? */
static bool ask_answer(struct connection *c)
{
    const struct listener_hooks *hooks = &c->listener->hooks;
    struct text t;

    if (c->session.due == SESSION_IDLE)
        return false;
    text_init(&t, c->out, sizeof c->out);
    hooks->answer(hooks->arg, &c->session, &t);
    c->out_len = (uint16_t)t.len;
    return c->out_len > 0;
}

/** Nothing more is said: the peer reads our end, and we wait for its own. */
static void shut(struct connection *c, enum connection_state next)
{
    (void)c->stream.class->shut(&c->stream);
    c->state = next;
    c->input_ms = now_of(c->listener);
}

static void shut_when_flushed(struct connection *c)
{
    if (c->state == CONNECTION_FLUSHING && c->out_len == 0 && c->session.due == SESSION_IDLE)
        shut(c, CONNECTION_DISCARDING);
}

static void answer(struct connection *c)
{
    while (send_out(c) && ask_answer(c))
        ;
    shut_when_flushed(c);
    watch(c);
}

/** Take no more of its units; send what is due, and shut our side. Closing at once could be a reset,
 * which would destroy what was said on its way. */
static void flush(struct connection *c)
{
    const bool is_shut = c->state == CONNECTION_CLOSING;

    release(c);
    c->state = is_shut ? CONNECTION_DISCARDING : CONNECTION_FLUSHING;
    c->at = c->used = 0;
    c->has_unit = false;
    c->input_ms = now_of(c->listener);
    if (c->session.due == SESSION_ERROR)
        answer(c);
    else if (send_out(c))
        shut_when_flushed(c);
    watch(c);
    turn_at(c->listener, deadline(c));
}

/** What has no room in `out`: whole, or the connection ends. */
static void send_longer(struct connection *c)
{
    struct listener *l = c->listener;
    struct text t;

    text_init(&t, l->longer, l->longer_cap);
    l->hooks.command(l->hooks.arg, &c->session, &t);
    if (t.len > 0 && c->stream.class->send(&c->stream, t.buf, t.len) != (int)t.len)
        close_connection(c);
}

/** Is nothing else to be said before it? */
static bool owes_longer(const struct connection *c)
{
    return c->session.command_due && c->state == CONNECTION_OPEN && c->session.link.state == LINK_OPEN &&
           c->session.due == SESSION_IDLE && c->out_len == 0;
}

void listener_answer(struct listener *l)
{
    for (unsigned i = 0; i < l->count; i++) {
        struct connection *c = &l->connections[i];

        if ((c->session.due == SESSION_IDLE && !c->session.command_due) || c->state == CONNECTION_FREE)
            continue;
        if (c->session.due == SESSION_ERROR && takes_units(c))
            flush(c);
        else if (c->state != CONNECTION_CLOSING && c->state != CONNECTION_DISCARDING)
            answer(c);
        if (owes_longer(c))
            send_longer(c);
        if (can_serve(c, now_of(l)))
            turn_soon(l);
    }
}

/** Our side has had enough. A plain sender may have sent more; one of the link sends again what was
 * not acknowledged. */
static void begin_closing(struct connection *c)
{
    if (c->session.link.state == LINK_NEW)
        shut(c, CONNECTION_CLOSING);
    else
        flush(c);
}

/* ---- Reading ---- */

/** Read once, as much as there is room for. */
static void fill(struct connection *c)
{
    struct listener *l = c->listener;

    if (c->at > 0) {
        memmove(c->bytes, c->bytes + c->at, c->used - c->at);
        c->used -= c->at;
        c->at = 0;
    }
    if (c->used == sizeof c->bytes)
        return;
    int n = c->stream.class->receive(&c->stream, c->bytes + c->used, sizeof c->bytes - c->used);
    if (n == NEFIA_EAGAIN)
        return;
    if (n < 0) {
        c->state = CONNECTION_ENDED;
        return;
    }
    c->input_ms = now_of(l);
    if (c->used == 0)
        c->unit_ms = c->input_ms;
    c->used += (uint32_t)n;
    c->has_unit = true;
    l->bytes += (uint64_t)n;
}

static void discard(struct connection *c)
{
    int n = c->stream.class->receive(&c->stream, c->bytes, sizeof c->bytes);

    if (n < 0 && n != NEFIA_EAGAIN)
        close_connection(c);
}

static void ready(void *arg, short revents)
{
    struct connection *c = arg;

    if (revents & (POLLOUT | POLLERR | POLLHUP) && send_out(c)) {
        if (c->session.due == SESSION_ERROR && is_over(c))
            answer(c);
        shut_when_flushed(c);
    }
    if (revents & (POLLIN | POLLERR | POLLHUP)) {
        if (is_over(c))
            discard(c);
        else
            fill(c);
    }
    if (c->state != CONNECTION_FREE)
        watch(c);
    turn_soon(c->listener);
}

/* ---- Serving ---- */

static void hold(struct connection *c, uint64_t now)
{
    if (!c->held_ms) {
        c->listener->held++;
        c->held_ms = now;
    }
    c->retry_ms = now + HOLD_STEP_MS;
}

/** Move on behind a unit of n bytes that was taken. */
static void advance(struct connection *c, uint32_t n)
{
    release(c);
    c->at += n;
    c->deficit -= n;
    c->unit_ms = c->input_ms; /* what follows came with the last input, or not long before */
    c->has_unit = c->used > c->at;
}

/** The hook has refused a unit. */
static void end_by_unit(struct connection *c)
{
    charge(c);
    if (c->session.due == SESSION_ERROR)
        flush(c);
    else
        refuse(c);
}

/** Offer a unit of n bytes. */
static void offer(struct connection *c, const struct link_unit *u, uint32_t n, uint64_t now)
{
    struct listener *l = c->listener;
    const bool was_proven = c->session.proven;

    c->session.overdue = c->held_ms && now - c->held_ms >= HOLD_MOST_MS;
    int err = l->hooks.unit(l->hooks.arg, &c->session, u);
    if (c->session.proven && !was_proven)
        admission_proved(&l->admission, &c->session.peer, now);
    if (err == NEFIA_EAGAIN) {
        c->deficit = n; /* waiting earns no more than the unit itself */
        hold(c, now);
    } else if (err < 0) {
        end_by_unit(c);
    } else {
        advance(c, n);
        if (c->state == CONNECTION_CLOSING && c->session.link.state != LINK_NEW)
            flush(c); /* a late hello: there is nobody left to welcome it */
    }
}

/** What is left is no whole unit. */
static void refill(struct connection *c)
{
    c->has_unit = false;
    if (c->state == CONNECTION_OPEN && c->used == sizeof c->bytes && c->at > 0)
        fill(c); /* it came as full as it could: there may be more */
}

/** Offer the units that c's deficit pays for. Return: bytes taken. */
static size_t serve(struct connection *c, uint64_t now)
{
    size_t served = 0;

    while (can_serve(c, now)) {
        struct link_unit u;
        const uint32_t at = c->at;
        long n = link_cut(c->bytes + at, c->used - at, CONFIG_EVENT_BYTES,
                          c->session.link.is_signed, &u);

        if (n == 0)
            refill(c);
        else if (n < 0)
            reject_and_charge(c, REJECT_TOO_LONG);
        else if ((uint32_t)n > c->deficit)
            return served;
        else {
            offer(c, &u, (uint32_t)n, now);
            served += (size_t)n;
        }
    }
    return served;
}

/** The connections that can be served, linked in their order of this turn. */
static struct connection *gather(struct listener *l, uint64_t now)
{
    struct connection *first = NULL, **end = &first;
    const unsigned from = l->next;

    for (unsigned n = 0; n < l->count; n++) {
        const unsigned i = (from + n) % l->count;
        struct connection *c = &l->connections[i];

        if (!can_serve(c, now))
            continue;
        if (!first)
            l->next = (i + 1) % l->count;
        *end = c;
        end = &c->after;
    }
    *end = NULL;
    return first;
}

/** Give each its quantum, round after round, until nothing is left or the turn has had its bytes. */
static void serve_all(struct listener *l, uint64_t now)
{
    struct connection *first = gather(l, now);
    size_t served = 0;

    while (first && served < SERVE_BYTES) {
        for (struct connection **at = &first; *at;) {
            struct connection *c = *at;

            c->deficit += can_serve(c, now) ? SERVE_QUANTUM : 0;
            served += serve(c, now);
            if (!c->has_unit)
                c->deficit = 0; /* a share is not saved up */
            if (can_serve(c, now))
                at = &c->after;
            else
                *at = c->after;
        }
    }
}

/** The deadline of c has come. */
static void expire(struct connection *c)
{
    if (is_over(c))
        close_connection(c);
    else if (is_incomplete(c))
        reject_and_charge(c, c->state == CONNECTION_OPEN ? REJECT_TIMEOUT : REJECT_UNFINISHED);
    else if (c->state == CONNECTION_OPEN)
        begin_closing(c);
    else
        close_connection(c);
}

/** The peer has closed, and nothing that could be served is left. */
static void end(struct connection *c)
{
    if (is_incomplete(c)) {
        reject_and_charge(c, REJECT_UNFINISHED);
        return;
    }
    if (c->input_ms != 0) /* else a port scan or a health check */
        charge(c);
    close_connection(c);
}

/** c has proved nothing in its time. A whole line without its second one: its sender has no key. */
static void end_unproven(struct connection *c)
{
    const bool lacks_sig = is_incomplete(c) && memchr(c->bytes + c->at, '\n', c->used - c->at);

    charge(c);
    reject(c, REJECT_UNPROVEN, lacks_sig ? "signature missing" : NULL);
}

/** After the units of a turn: what has ended, what is late, when the next turn is. */
static void settle(struct connection *c, uint64_t now)
{
    const bool waits = can_serve(c, now);

    if (owes_answer(c))
        release(c); /* ended while its unit was deferred, which is not offered any more */
    if (!is_over(c) && !c->session.proven && now >= prove_deadline(c))
        end_unproven(c); /* also if it waits: it has had its share */
    else if (c->state == CONNECTION_ENDED && !waits && !c->held_ms)
        end(c);
    else if (!waits && !c->held_ms && now >= deadline(c))
        expire(c);
    if (c->state == CONNECTION_FREE)
        return;
    watch(c);
    turn_at(c->listener, waits ? 0 : deadline(c));
}

static void turn(void *arg)
{
    struct listener *l = arg;
    const uint64_t now = now_of(l);

    serve_all(l, now);
    l->hooks.turn_end(l->hooks.arg);
    for (unsigned i = 0; i < l->count; i++)
        if (l->connections[i].state != CONNECTION_FREE)
            settle(&l->connections[i], now);
}

void listener_resume(struct listener *l)
{
    for (unsigned i = 0; i < l->count && l->held > 0; i++)
        l->connections[i].retry_ms = 0;
    turn_soon(l);
}

void listener_each(struct listener *l, void (*fn)(void *arg, struct session *s), void *arg)
{
    for (unsigned i = 0; i < l->count; i++)
        if (takes_units(&l->connections[i]))
            fn(arg, &l->connections[i].session);
}

/* ---- Places ---- */

/** May c give up its place for another? */
static bool is_expendable(const struct connection *c)
{
    return c->state != CONNECTION_FREE && (!c->session.proven || c->state == CONNECTION_DISCARDING);
}

/** Its end says nothing about its address, which is not charged. */
static void displace(struct connection *c)
{
    if (is_over(c))
        close_connection(c); /* why it is over has been reported */
    else
        reject(c, REJECT_UNPROVEN, "evicted for a new connection");
}

/** Close an expendable connection, chosen at random: of this address (null: of any), and of a known
 * one only if known_too. Return: was there one? */
static bool evict(struct listener *l, const struct addr *peer, bool known_too)
{
    unsigned candidates = 0, chosen = 0;

    for (int pass = 0; pass < 2; pass++) {
        for (unsigned i = 0; i < l->count; i++) {
            struct connection *c = &l->connections[i];

            if (!is_expendable(c) || (c->known && !known_too) ||
                (peer && !admission_same(&c->session.peer, peer)))
                continue;
            if (pass == 0) {
                candidates++;
            } else if (chosen-- == 0) {
                displace(c);
                return true;
            }
        }
        if (candidates == 0)
            return false;
        chosen = (unsigned)l->random_below(candidates);
    }
    return false;
}

/** Is there room for one more of this address? The devices of a network share a /64: those that have
 * proved themselves count for their own address only. */
static bool peer_has_room(struct listener *l, const struct addr *peer, uint64_t now)
{
    unsigned n = 0;
    bool proven = false;

    for (unsigned i = 0; i < l->count; i++) {
        const struct connection *c = &l->connections[i];

        if (c->state == CONNECTION_FREE || !admission_same(&c->session.peer, peer))
            continue;
        proven |= c->session.proven;
        n += !c->session.proven || addr_same_host(&c->session.peer, peer);
    }
    if (proven) /* a connection may last longer than an address stays known */
        admission_proved(&l->admission, peer, now);
    return l->per_peer == 0 || n < l->per_peer || evict(l, peer, true);
}

/** A bucket has room for all of an address to come back, twice. */
static bool peer_may_enter(struct listener *l, const struct addr *peer, uint64_t now)
{
    const uint64_t tokens = earlier(2 * (uint64_t)l->per_peer, ADMISSION_FULL_MS);

    if (l->per_peer == 0)
        return true;
    l->admission.bucket = (int16_t)(tokens > ADMISSION_TOKENS ? tokens : ADMISSION_TOKENS);
    return admission_enter(&l->admission, peer, now);
}

static bool is_room(struct listener *l, bool known)
{
    const unsigned kept = known ? 0 : (unsigned)earlier(l->reserved, l->count - 1);

    return l->open < l->count - kept || evict(l, NULL, false) || (known && evict(l, NULL, true));
}

static struct connection *free_connection(const struct listener *l)
{
    for (unsigned i = 0; i < l->count; i++)
        if (l->connections[i].state == CONNECTION_FREE)
            return &l->connections[i];
    return NULL;
}

/** Find a place for a connection from there. Return: null with *why. */
static struct connection *find_place(struct listener *l, const struct addr *peer, enum reject *why)
{
    const uint64_t now = now_of(l);

    if (!l->hooks.allowed(l->hooks.arg, peer))
        *why = REJECT_PEER;
    else if (!peer_may_enter(l, peer, now))
        *why = REJECT_PEER_FAST;
    else if (!peer_has_room(l, peer, now))
        *why = REJECT_PEER_FULL;
    else if (!is_room(l, admission_known(&l->admission, peer, now)))
        *why = REJECT_FULL;
    else
        return free_connection(l);
    return NULL;
}

static void begin(struct connection *c, struct stream stream, const struct addr *peer)
{
    struct listener *l = c->listener;
    const uint64_t now = now_of(l);
    struct text t;

    memset(&c->session, 0, sizeof c->session);
    c->session.peer = *peer;
    link_init(&c->session.link, l->with_signatures, now + LINK_PROVE_MS);
    c->stream = stream;
    c->state = CONNECTION_OPEN;
    c->known = admission_known(&l->admission, peer, now);
    c->has_unit = false;
    c->came_ms = now;
    c->input_ms = c->held_ms = c->retry_ms = 0;
    c->at = c->used = c->deficit = 0;
    c->out_sent = 0;
    l->open++;
    l->accepted++;
    text_init(&t, c->out, sizeof c->out);
    l->hooks.opened(l->hooks.arg, &c->session, &t);
    c->out_len = (uint16_t)t.len;
    (void)send_out(c);
    watch(c);
    turn_at(l, deadline(c));
}

static void arrive(struct listener *l, int fd, const struct addr *peer)
{
    struct stream stream = {&tcp_stream, fd};
    enum reject why = REJECT_FULL;
    struct connection *c = find_place(l, peer, &why);

    if (!c || loop_watch(l->loop, &c->watch, fd, POLLIN, ready, c) < 0) {
        report(l, peer, why, NULL);
        stream.class->refuse(&stream);
        return;
    }
    begin(c, stream, peer);
}

/* ---- Accepting ---- */

static void resume_accepting(void *arg)
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
            timer_start(l->loop, &l->pause, ACCEPT_PAUSE_MS, resume_accepting, l);
            return;
        }
        if (fd < 0)
            return;
        arrive(l, fd, &peer);
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

        c->has_unit = c->used > c->at; /* its owner may have changed what a unit is */
        if (c->state != CONNECTION_FREE && !l->hooks.allowed(l->hooks.arg, &c->session.peer))
            reject(c, REJECT_PEER, NULL);
    }
    turn_soon(l);
}

unsigned listener_drain(struct listener *l)
{
    /* Pending connections may already have sent events. */
    if (l->fd >= 0)
        incoming(l, POLLIN);
    stop_listening(l);
    for (unsigned i = 0; i < l->count; i++)
        if (l->connections[i].state == CONNECTION_OPEN)
            begin_closing(&l->connections[i]);
    turn_soon(l);
    return l->open;
}

void listener_close(struct listener *l)
{
    stop_listening(l);
    for (unsigned i = 0; i < l->count; i++)
        if (l->connections[i].state != CONNECTION_FREE)
            close_connection(&l->connections[i]);
    timer_stop(&l->turn);
}
