#include "nefia/beacon/session.h"

#include <string.h>

#include "nefia/base/err.h"
#include "nefia/sys/log.h"

/** Does this beacon take commands at all? */
#define EXEC(session) (IS_ENABLED(CONFIG_REMOTE_EXEC) && (session)->remote)

void session_init(struct session *s, struct spool *spool)
{
    *s = (struct session){.spool = spool};
}

void session_begin(struct session *s, bool is_signed)
{
    link_init(&s->link, is_signed, 0);
    s->received_len = 0;
}

void session_end(struct session *s)
{
    link_wipe(&s->link);
    if (EXEC(s))
        remote_lost(s->remote);
    s->window = s->unsettled = 0;
}

static enum session_result over(struct session *s, const char *why)
{
    s->why = why;
    return SESSION_OVER;
}

/* ---- Names of windows ---- */

/** What the welcome said of a start. Return: null: nothing. */
static const struct link_start *named(const struct session *s, uint64_t boot)
{
    for (unsigned i = 0; i < s->hub.start_count; i++)
        if (s->hub.starts[i].boot == boot)
            return &s->hub.starts[i];
    return NULL;
}

/** The name of the hub's window: this session made it, if it was not there before. */
static const uint8_t *name_of(const struct session *s, uint64_t boot)
{
    const struct link_start *start = named(s, boot);

    return start ? start->name : s->nonce;
}

static bool is_of(const struct session_highest *h, uint64_t boot, const uint8_t *name)
{
    return h->boot == boot && memcmp(h->name, name, LINK_NAME) == 0;
}

static void note_acknowledged(struct session *s, struct spool_id id)
{
    struct session_highest *h = &s->highest[id.boot != s->spool->own];
    const uint8_t *name = name_of(s, id.boot);

    if (!is_of(h, id.boot, name)) {
        if (h->boot != id.boot)
            spool_doubt(s->spool, h->boot);
        *h = (struct session_highest){.boot = id.boot};
        memcpy(h->name, name, LINK_NAME);
    }
    if (h->seq < id.seq)
        h->seq = id.seq;
}

/** Does the hub remember what it has acknowledged? */
static void check_memory(struct session *s, const struct link_start *start)
{
    struct session_highest *h = &s->highest[start->boot != s->spool->own];

    if (!is_of(h, start->boot, start->name) || start->highest >= h->seq)
        return;
    LOG_WARN("the hub has forgotten events that it acknowledged; what it may have had is sent as "
             "unsure");
    spool_doubt(s->spool, h->boot);
    h->seq = start->highest;
}

/* ---- Messages ---- */

static enum session_result welcomed(struct session *s, const struct link_message *m)
{
    s->hub = m->welcome;
    s->window = m->welcome.window;
    s->link.deadline_ms = 0;
    for (unsigned i = 0; i < s->hub.start_count; i++) {
        const struct link_start *start = &s->hub.starts[i];
        check_memory(s, start);
        if (start->boot != s->spool->own)
            s->spool->earlier = start->boot;
    }
    return SESSION_WELCOMED;
}

static void restart_deadline(struct session *s, uint64_t now_ms)
{
    s->link.deadline_ms = s->unsettled > 0 ? now_ms + LINK_ACK_MS : 0;
}

static enum session_result acknowledged(struct session *s, const struct link_message *m)
{
    const unsigned n = spool_up_to(s->spool, (uint32_t)m->line);
    struct spool_item item;
    size_t at = 0;

    if (EXEC(s))
        remote_acknowledged(s->remote, (uint32_t)m->line);
    for (unsigned i = 0; i < n && spool_walk(s->spool, &at, &item); i++)
        note_acknowledged(s, item.event.id);
    s->acknowledged = spool_delivered_first(s->spool, n);
    s->unsettled = m->line == s->link.lines_out ? 0 : s->unsettled - n;
    return SESSION_SETTLED;
}

static enum session_result refused(struct session *s, const struct link_message *m)
{
    struct spool_item item;

    s->acknowledged = 0;
    if (!spool_at_line(s->spool, (uint32_t)m->line, &item))
        return SESSION_IGNORED; /* it has left the spool since, or was refused before */
    s->unsettled--;
    LOG_WARN("event ", DEC(item.event.id.seq), " refused by the hub: ", m->reason);
    if (str_eq(m->reason, LINK_BELOW))
        spool_unknown(s->spool, item.event.id);
    else
        spool_give_up(s->spool, item.event.id);
    return SESSION_SETTLED;
}

/** What hubs say here beside acknowledgements. */
#define MORE (IS_ENABLED(CONFIG_REMOTE_EXEC) ? link_read_command : NULL)

static enum session_result take_message(struct session *s, const struct link_unit *unit,
                                        uint64_t now_ms)
{
    enum session_result result = SESSION_IGNORED;
    struct link_message m = {.kind = LINK_UNKNOWN};
    const char *why;
    int err = link_beacon_line(&s->link, unit, &m, MORE, &why);

    if (m.kind == LINK_ERROR) {
        LOG_WARN(err < 0 ? "unsigned error from the hub: " : "error from the hub: ", m.reason);
        return over(s, "the hub ended the session");
    }
    if (err < 0)
        return over(s, why);
    if (m.kind == LINK_WELCOME)
        return welcomed(s, &m);
    if (EXEC(s) && m.kind == LINK_COMMAND)
        remote_take(s->remote, &m.command, s->hello_ms);
    if (m.kind == LINK_ACK || m.kind == LINK_REFUSED) {
        s->window = m.window;
        result = m.kind == LINK_ACK ? acknowledged(s, &m) : refused(s, &m);
        restart_deadline(s, now_ms);
    }
    return result;
}

static enum session_result take_greeting(struct session *s, struct slice line)
{
    const int err = link_beacon_greeting(&s->link, line);

    if (err == NEFIA_ENOTSUP)
        LOG_WARN("the hub speaks another version of the link than ", DEC(LINK_VERSION));
    return err < 0 ? SESSION_NOISE : SESSION_GREETED;
}

enum session_result session_take(struct session *s, uint64_t now_ms)
{
    const bool greeted = s->link.state != LINK_NEW;
    enum session_result result;
    struct link_unit unit;
    long n =
        link_cut(s->received, s->received_len, LINK_LINE_MAX, greeted && s->link.is_signed, &unit);

    if (n == 0)
        return SESSION_NOTHING;
    if (n < 0) {
        n = (long)s->received_len;
        result = greeted ? over(s, "line of the hub is too long") : SESSION_NOISE;
    } else {
        result = greeted ? take_message(s, &unit, now_ms) : take_greeting(s, unit.line);
    }
    s->received_len -= (size_t)n;
    memmove(s->received, s->received + n, s->received_len);
    return result;
}

void session_closed(struct session *s, uint64_t now_ms)
{
    struct link_unit unit;

    if (s->link.state == LINK_HELLO &&
        link_cut(s->received, s->received_len, LINK_LINE_MAX, false, &unit) > 0)
        (void)take_message(s, &unit, now_ms);
}

/* ---- Sending ---- */

size_t session_hello(struct session *s, const struct mac_key *key, const char *host_id, bool plain,
                     uint64_t now_ms, char *line)
{
    struct link_hello h = {.boot = s->spool->own, .plain = plain};
    struct text t;

    s->hello_ms = now_ms;
    if (EXEC(s) && s->remote->takes)
        h.features = LINK_EXEC;
    text_init(&t, h.host_id, sizeof h.host_id);
    text_str(&t, host_id);
    memcpy(h.nonce, s->nonce, LINK_NONCE);
    text_init(&t, line, LINK_HELLO_MAX + MAC_HEX + 3);
    link_beacon_hello(&s->link, key, &h, now_ms + LINK_WELCOME_MS, &t);
    return t.len;
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/** The next event that may be sent; those longer than the hub accepts are dropped. */
static bool next_event(struct session *s, struct spool_item *item)
{
    while (spool_next(s->spool, item)) {
        if (item->event.len <= s->hub.bytes)
            return true;
        LOG_WARN("event ", DEC(item->event.id.seq), " exceeds the hub's line limit: dropped");
        spool_give_up(s->spool, item->event.id);
    }
    return false;
}

size_t session_next(struct session *s, uint64_t now_ms, char *line)
{
    struct spool_item item;
    size_t len = EXEC(s) ? remote_next(s->remote, &s->link, line, least(s->hub.bytes, CONFIG_EVENT_BYTES)) : 0;

    if (len > 0)
        return len;
    if (s->unsettled >= s->window || !next_event(s, &item))
        return 0;
    const struct link_start *start = named(s, item.event.id.boot);
    if (!spool_sure(s->spool, &item, start ? start->name : NULL))
        len = link_beacon_unsure(&s->link, line);
    memcpy(line + len, item.event.line, item.event.len);
    len += link_beacon_end(&s->link, line + len, item.event.len);
    /* Of 2^32 lines a session has not seen the last in 800 years. */
    const uint32_t number = (uint32_t)s->link.lines_out;
    s->unsettled++;
    spool_mark_sent(s->spool, &item, number, name_of(s, item.event.id.boot));
    if (s->link.deadline_ms == 0)
        restart_deadline(s, now_ms);
    return len;
}
