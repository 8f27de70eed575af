#include "nefia/beacon/uplink_int.h"

#include <string.h>

#include "nefia/base/err.h"
#include "nefia/sys/log.h"

enum {
    GREETING_MS = 2 * 1000,
    ACK_MS = 60 * 1000, /* without an acknowledgement of what was sent: the hub is dead */
};

/* ---- the greeting ---- */

/** It is a plain hub, whatever it says. */
static void no_greeting(void *arg)
{
    struct uplink *u = arg;

    timer_stop(&u->timer);
    if (u->require_ack) {
        uplink_lost(u, "the hub does not greet, and require_ack is set", 0);
        return;
    }
    u->mode = UPLINK_PLAIN;
    LOG_INFO("the hub ", ADDR(&u->peer), " acknowledges nothing");
    uplink_send(u);
}

void uplink_greet(struct uplink *u)
{
    u->mode = UPLINK_ASKED;
    u->count = u->acked = 0;
    u->heard_len = 0;
    timer_start(u->loop, &u->timer, GREETING_MS, no_greeting, u);
}

/** Return: null, or why it is none we can trust. */
static const char *take_greeting(struct uplink *u, const struct link_message *m, bool is_signed)
{
    if (m->kind != LINK_GREETING)
        return "the hub acknowledges before it greets";
    if (u->key->set && !is_signed && m->auth != LINK_AUTH_HOST)
        return "the hub's greeting is signed with another key";
    if (!u->key->set && m->auth != LINK_AUTH_NONE)
        return "the hub has a key and this beacon has none (beacons.hmac_key_file)";
    timer_stop(&u->timer);
    u->greeting = *m;
    /* What is longer than the hub takes is lost: that has to be the hub's own word. */
    if (u->key->set && !is_signed)
        u->greeting.bytes = CONFIG_EVENT_BYTES;
    u->mode = UPLINK_ACKED;
    return NULL;
}

/* ---- acknowledgements ---- */

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

/** The oldest that is on its way is the one: all before it were acknowledged. */
static const char *take_refusal(struct uplink *u, const struct link_message *m)
{
    struct spool_item item;

    if (m->count > 0)
        uplink_confirm(u, spool_numbered(u->spool, (uint32_t)m->count - 1));
    if (spool_sent(u->spool, &item) && spool_numbered(u->spool, (uint32_t)m->count) == 1) {
        LOG_WARN("event ", DEC(item.event.id.seq), " was refused by the hub: it is lost");
        spool_give_up(u->spool, item.event.id);
    }
    return "the hub refuses an event";
}

static const char *take_ack(struct uplink *u, const struct link_message *m)
{
    if (m->kind == LINK_GREETING)
        return "the hub greets twice";
    if (strcmp(m->nonce, u->greeting.nonce) != 0 || m->count > u->count)
        return "the hub acknowledges what was not sent to it";
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

/* ---- what the hub says ---- */

/** What is said is no greeting of a version we know. */
static const char not_ours[] = "";

/** A line, and its signature line (with a key). Return: null, or why the connection is to end. */
static const char *take_line(struct uplink *u, const char *line, size_t len, const char *sig,
                             size_t sig_len)
{
    struct json_token tokens[LINK_TOKENS];
    struct link_message m;
    bool is_signed = u->key->set && mac_verify_hex(u->key, line, len, sig, sig_len) == 0;

    /* But for the greeting, which may come before the hub knows whose key it needs, nothing is read
     * that is not signed. */
    if (u->key->set && !is_signed && u->mode == UPLINK_ACKED)
        return "the hub's acknowledgement is signed with another key";
    int err = link_read(&m, line, len, tokens);
    if (err < 0 && u->mode == UPLINK_ASKED)
        return not_ours;
    if (err < 0)
        return "the hub says what is neither greeting nor acknowledgement";
    return u->mode == UPLINK_ASKED ? take_greeting(u, &m, is_signed) : take_ack(u, &m);
}

/** Take the first complete line out of u->heard. Return: its bytes, 0: there is none; *why: as
 * take_line. */
static size_t take_first(struct uplink *u, const char **why)
{
    const char *end = memchr(u->heard, '\n', u->heard_len), *sig = NULL, *sig_end = end;

    if (end && u->key->set) {
        sig = end + 1;
        sig_end = memchr(sig, '\n', u->heard_len - (size_t)(sig - u->heard));
    }
    if (!end || !sig_end) {
        if (u->heard_len == sizeof u->heard)
            *why = u->mode == UPLINK_ASKED ? not_ours : "the hub says a line that is too long";
        return 0;
    }
    *why = take_line(u, u->heard, (size_t)(end - u->heard), sig,
                     sig ? (size_t)(sig_end - sig) : 0);
    return (size_t)(sig_end + 1 - u->heard);
}

bool uplink_heard(struct uplink *u, const char *bytes, size_t len)
{
    const char *why = NULL;

    while (len > 0 && u->mode != UPLINK_PLAIN) {
        size_t room = sizeof u->heard - u->heard_len, n = len < room ? len : room;

        memcpy(u->heard + u->heard_len, bytes, n);
        u->heard_len += n;
        bytes += n;
        len -= n;
        for (size_t taken; !why && (taken = take_first(u, &why)) > 0;) {
            u->heard_len -= taken;
            memmove(u->heard, u->heard + taken, u->heard_len);
        }
        if (why == not_ours) {
            u->ignored += u->heard_len;
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

/* ---- what is sent ---- */

bool uplink_may_send(const struct uplink *u)
{
    return u->mode == UPLINK_PLAIN ||
           (u->mode == UPLINK_ACKED &&
            u->count - u->acked < u->greeting.window); /* also those that left the spool since */
}

size_t uplink_stamp(struct uplink *u, size_t len)
{
    struct spool_id low = spool_low(u->spool);

    u->count++;
    if (!timer_active(&u->check))
        timer_start(u->loop, &u->check, ACK_MS, no_ack, u);
    return link_stamp(u->line, len, u->greeting.nonce, u->count, low.seq);
}
