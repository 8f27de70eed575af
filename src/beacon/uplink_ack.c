#include "nefia/beacon/uplink_int.h"

#include <string.h>

#include "nefia/base/err.h"
#include "nefia/sys/log.h"

enum {
    GREETING_MS = 2 * 1000,
    ACK_MS = 60 * 1000, /* without acknowledgement of sent events: the hub is dead */
};

/* ---- Greeting ---- */

/** Treat it as a plain hub, whatever it sends. */
static void no_greeting(void *arg)
{
    struct uplink *u = arg;

    timer_stop(&u->timer);
    if (u->require_ack) {
        uplink_lost(u, "hub sent no greeting; beacons.require_ack requires one", 0);
        return;
    }
    u->mode = UPLINK_PLAIN;
    LOG_INFO("hub ", ADDR(&u->peer), " does not acknowledge events");
    uplink_send(u);
}

void uplink_greet(struct uplink *u)
{
    u->mode = UPLINK_ASKED;
    u->count = u->acked = 0;
    u->received_len = 0;
    timer_start(u->loop, &u->timer, GREETING_MS, no_greeting, u);
}

/** Check the greeting. Return: null, or why it cannot be trusted. */
static const char *take_greeting(struct uplink *u, const struct link_message *m, bool is_signed)
{
    if (m->kind != LINK_GREETING)
        return "acknowledgement before the greeting";
    if (u->key->set && !is_signed && m->auth != LINK_AUTH_HOST)
        return "hub's greeting is signed with another key";
    if (!u->key->set && m->auth != LINK_AUTH_NONE)
        return "hub has a key and this beacon has none (beacons.hmac_key_file)";
    timer_stop(&u->timer);
    u->greeting = *m;
    /* Events over the hub's limit are dropped, so the limit must be authenticated. */
    if (u->key->set && !is_signed)
        u->greeting.bytes = CONFIG_EVENT_BYTES;
    u->mode = UPLINK_ACKED;
    return NULL;
}

/* ---- Acknowledgements ---- */

static void no_ack(void *arg)
{
    uplink_lost(arg, "no acknowledgement within 60 s", 0);
}

static void expect_ack(struct uplink *u)
{
    if (u->spool->unsent == u->spool->events)
        timer_stop(&u->check);
    else
        timer_start(u->loop, &u->check, ACK_MS, no_ack, u);
}

/** It is the oldest in flight: all before it were acknowledged. */
static const char *take_refusal(struct uplink *u, const struct link_message *m)
{
    struct spool_item item;

    if (m->count > 0)
        uplink_confirm(u, spool_numbered(u->spool, (uint32_t)m->count - 1));
    if (spool_sent(u->spool, &item) && spool_numbered(u->spool, (uint32_t)m->count) == 1) {
        LOG_WARN("event ", DEC(item.event.id.seq), " refused by the hub: dropped");
        spool_give_up(u->spool, item.event.id);
    }
    return "event refused by the hub";
}

static const char *take_ack(struct uplink *u, const struct link_message *m)
{
    if (m->kind == LINK_GREETING)
        return "second greeting";
    if (strcmp(m->nonce, u->greeting.nonce) != 0 || m->count > u->count)
        return "acknowledgement of an event that was not sent";
    if (m->kind == LINK_REFUSAL)
        return take_refusal(u, m);
    u->greeting.window = m->window;
    if (m->count > u->acked)
        u->acked = (uint32_t)m->count;
    uplink_confirm(u, spool_numbered(u->spool, (uint32_t)m->count));
    if (u->mode == UPLINK_ACKED)
        expect_ack(u);
    return NULL;
}

/* ---- Receiving ---- */

/** The line is not a greeting of a known version. */
static const char not_a_greeting[] = "";

/** Handle a line and (with a key) its signature line. Return: null, or why to close the
 * connection. */
static const char *take_line(struct uplink *u, const char *line, size_t len, const char *sig,
                             size_t sig_len)
{
    struct json_token tokens[LINK_TOKENS];
    struct link_message m;
    bool is_signed = u->key->set && mac_verify_hex(u->key, line, len, sig, sig_len) == 0;

    /* Nothing unsigned is parsed, except the greeting, which may come before the hub knows whose
     * key it needs. */
    if (u->key->set && !is_signed && u->mode == UPLINK_ACKED)
        return "acknowledgement is signed with another key";
    int err = link_read(&m, line, len, tokens);
    if (err < 0 && u->mode == UPLINK_ASKED)
        return not_a_greeting;
    if (err < 0)
        return "unexpected message from the hub";
    return u->mode == UPLINK_ASKED ? take_greeting(u, &m, is_signed) : take_ack(u, &m);
}

/** Handle the first complete line of u->received. Return: its length; 0: none; *why: as
 * take_line. */
static size_t take_first(struct uplink *u, const char **why)
{
    const char *end = memchr(u->received, '\n', u->received_len), *sig = NULL, *sig_end = end;

    if (end && u->key->set) {
        sig = end + 1;
        sig_end = memchr(sig, '\n', u->received_len - (size_t)(sig - u->received));
    }
    if (!end || !sig_end) {
        if (u->received_len == sizeof u->received)
            *why = u->mode == UPLINK_ASKED ? not_a_greeting : "line too long";
        return 0;
    }
    *why = take_line(u, u->received, (size_t)(end - u->received), sig,
                     sig ? (size_t)(sig_end - sig) : 0);
    return (size_t)(sig_end + 1 - u->received);
}

bool uplink_received(struct uplink *u, const char *bytes, size_t len)
{
    const char *why = NULL;

    while (len > 0 && u->mode != UPLINK_PLAIN) {
        size_t room = sizeof u->received - u->received_len, n = len < room ? len : room;

        memcpy(u->received + u->received_len, bytes, n);
        u->received_len += n;
        bytes += n;
        len -= n;
        for (size_t taken; !why && (taken = take_first(u, &why)) > 0;) {
            u->received_len -= taken;
            memmove(u->received, u->received + taken, u->received_len);
        }
        if (why == not_a_greeting) {
            u->ignored += u->received_len;
            no_greeting(u);
        } else if (why) {
            uplink_lost(u, why, 0);
            return false;
        }
    }
    u->ignored += len;
    if (u->state == UPLINK_UP)
        uplink_send(u);
    return u->state == UPLINK_UP;
}

/* ---- Sending ---- */

bool uplink_may_send(const struct uplink *u)
{
    return u->mode == UPLINK_PLAIN ||
           (u->mode == UPLINK_ACKED &&
            u->count - u->acked < u->greeting.window); /* includes those that have left the spool since */
}

size_t uplink_stamp(struct uplink *u, size_t len)
{
    struct spool_id low = spool_low(u->spool);

    u->count++;
    if (!timer_active(&u->check))
        timer_start(u->loop, &u->check, ACK_MS, no_ack, u);
    return link_stamp(u->line, len, u->greeting.nonce, u->count, low.seq);
}
