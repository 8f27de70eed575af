#include "nefia/hub/ingress.h"

#include <string.h>

#include "nefia/base/err.h"
#include "nefia/hub/dispatch.h"
#include "nefia/sys/log.h"

enum { OVER_RATE_MS = 60 * 1000 };

static const char FORGOTTEN[] = "what was known of this host is forgotten" REMEDY("; connect again");

void ingress_init(struct ingress *in, const struct clock *clock, struct pipeline *pipeline)
{
    *in = (struct ingress){.clock = clock, .pipeline = pipeline};
}

/* ---- Rejections ---- */

static const char *reject_sentence(enum reject why)
{
    /* as enum reject */
    static const char sentences[] =
        "not in reactor.peers\0"
        "too many connections" REMEDY(" (CONFIG_CONNECTIONS, reactor.reserved_connections)") "\0"
        "too many connections from this address" REMEDY(" (reactor.max_connections_per_peer)") "\0"
        "too many new connections from this address\0"
        "no hello and no valid event yet\0"
        "line longer than CONFIG_EVENT_BYTES\0"
        "closed in the middle of a line\0"
        "incomplete line, timed out after 30 s\0"
        "signature missing\0"
        "signature is not 64 lower-case hex digits\0"
        "wrong signature\0"
        "not UTF-8\0"
        "not JSON\0"
        "not an event\0"
        "malformed hello\0"
        "host_id does not belong to this session, key or address" REMEDY(" (reactor.hosts)") "\0"
        "more unacknowledged events than the window allows\0"
        "plain events of this host are not taken\0"
        "over the rate limit for a minute" REMEDY(" (reactor.max_events_per_sec)") "\0"
        "another session of this host\0";

    return word_at(sentences, why);
}

/** Log up to INGRESS_CLOSED_LINES a minute: rejected senders may reconnect at once, and a router's
 * log is small. */
static bool may_log(struct ingress *in)
{
    uint64_t now = clock_ms(in->clock);

    if (now - in->closed_since_ms >= 60 * 1000) {
        if (in->closed > INGRESS_CLOSED_LINES)
            LOG_WARN("closed connections that were not logged: ",
                     DEC(in->closed - INGRESS_CLOSED_LINES));
        in->closed_since_ms = now;
        in->closed = 0;
    }
    if (++in->closed == INGRESS_CLOSED_LINES + 1)
        LOG_WARN("more than ", DEC(INGRESS_CLOSED_LINES),
                 " connections closed within a minute" REMEDY(": further ones are only counted"));
    return in->closed <= INGRESS_CLOSED_LINES;
}

static void rejected(void *arg, const struct addr *peer, enum reject why, const char *what,
                     bool quiet)
{
    struct ingress *in = arg;

    in->rejected[why]++;
    audit_rejected(in->pipeline->audit, why, peer);
    if (!quiet && may_log(in))
        LOG_WARN("connection from ", ADDR(peer), " closed: ", reject_sentence(why),
                 what ? ": " : "", what ? what : "");
}

/** The connection ends; a sender that speaks the link is told why. */
static int reject(struct ingress *in, struct session *s, enum reject why, const char *what)
{
    rejected(in, &s->peer, why, what, !in->may_name(in->arg, &s->peer));
    if (s->link.state == LINK_NEW)
        return NEFIA_EAUTH;
    s->due = SESSION_ERROR;
    s->reason = reject_sentence(why);
    return NEFIA_EAUTH;
}

/** The same in answer to a hello: unsigned, while nobody has proved anything. */
static int reject_hello(struct ingress *in, struct session *s, enum reject why, const char *what)
{
    int err = reject(in, s, why, what);

    s->due = SESSION_ERROR;
    s->reason = what ? what : reject_sentence(why);
    return err;
}

static enum reject reason_of(int err)
{
    switch (err) {
    case NEFIA_EUTF8:
        return REJECT_UTF8;
    case NEFIA_ESYNTAX:
    case NEFIA_EDEPTH:
        return REJECT_JSON;
    case NEFIA_ETOOBIG:
        return REJECT_TOO_LONG;
    default:
        return REJECT_EVENT;
    }
}

/** Why a unit did not verify. */
static enum reject reason_of_signature(int err, const struct link_unit *u)
{
    /* The next event, or nothing, in place of the signature. */
    const bool missing = u->sig.len == 0 || u->sig.ptr[0] == '{';

    return err == NEFIA_EAUTH ? REJECT_WRONG : missing ? REJECT_UNSIGNED : REJECT_MALFORMED;
}

/* ---- Rate ---- */

/** Refill the token bucket, which holds two seconds' worth. */
static bool rate_allows(const struct ingress *in, struct session *s)
{
    uint64_t rate = (uint64_t)in->settings->max_events_per_sec, most = 2 * rate;

    if (rate == 0)
        return true;
    if (s->tokens > most)
        s->tokens = (uint32_t)most; /* left from a higher rate before a reload */
    uint64_t now = clock_ms(in->clock), gained = (now - s->tokens_ms) * rate / 1000;
    if (gained > 0) {
        s->tokens = (uint32_t)(gained > most - s->tokens ? most : s->tokens + gained);
        s->tokens_ms = now;
    }
    if (s->tokens == most)
        s->over_ms = 0;
    return s->tokens > 0;
}

static void rate_take(const struct ingress *in, struct session *s)
{
    if (in->settings->max_events_per_sec > 0)
        s->tokens--;
}

/** Slow the sender down; one that stays over the rate is disconnected. */
static int over_rate(struct ingress *in, struct session *s)
{
    uint64_t now = clock_ms(in->clock);

    if (s->over_ms == 0)
        s->over_ms = now;
    if (now - s->over_ms >= OVER_RATE_MS)
        return reject(in, s, REJECT_RATE, NULL);
    in->over_rate++;
    return NEFIA_EAGAIN;
}

/* ---- Keys ---- */

bool ingress_signed(const struct ingress *in)
{
    return in->key.set || hub_settings_keyed(in->settings);
}

unsigned ingress_keys(const struct ingress *in, const struct host_item *item, const struct mac_key *keys[2])
{
    unsigned n = 0;

    if (item && item->keys[0].set)
        for (unsigned i = 0; i < 2; i++) {
            if (item->keys[i].set)
                keys[n++] = &item->keys[i];
        }
    else if (in->key.set)
        keys[n++] = &in->key;
    return n;
}

static bool address_fits(const struct host_item *item, const struct addr *peer)
{
    return !item || item->net_count == 0 || addr_nets_match(item->nets, item->net_count, peer);
}

/* ---- The hello ---- */

/** A number that tells a key from others; says nothing of it. */
static uint32_t key_mark(const struct mac_key *key)
{
    uint8_t mac[MAC_BYTES];

    mac_sign(key, "nefia key mark", 14, mac);
    return get_be32(mac);
}

static int prove(const struct ingress *in, struct session *s, const struct host_item *item,
                 const struct link_unit *u)
{
    const struct mac_key *keys[2];
    const unsigned n = ingress_keys(in, item, keys);
    int err = NEFIA_EAUTH;

    if (!ingress_signed(in))
        return link_hub_prove(&s->link, NULL, u);
    for (unsigned i = 0; i < n && err == NEFIA_EAUTH; i++) {
        err = link_hub_prove(&s->link, keys[i], u);
        s->key = err == 0 ? key_mark(keys[i]) : 0;
    }
    return err;
}

/** Sessions of one host that are to end. */
struct ending {
    struct ingress *in;
    const uint8_t *host;
    const struct session *except; /* or null */
    enum reject why;
    const char *what; /* a constant phrase, or null */
};

/** Nothing more of it is taken; it is told why. */
static void end_session(struct ingress *in, struct session *s, enum reject why, const char *what)
{
    rejected(in, &s->peer, why, what, !in->may_name(in->arg, &s->peer));
    dispatch_lost(in->pipeline->dispatch, s);
    s->due = SESSION_ERROR;
    s->reason = what ? what : reject_sentence(why);
}

static bool is_open(const struct session *s)
{
    return s->link.state != LINK_NEW && s->link.state != LINK_OVER && s->due != SESSION_ERROR;
}

static void end_if(void *arg, struct session *s)
{
    const struct ending *e = arg;

    if (s != e->except && is_open(s) && memcmp(s->host, e->host, sizeof s->host) == 0)
        end_session(e->in, s, e->why, e->what);
}

static int take_hello(struct ingress *in, struct session *s, const struct link_unit *u)
{
    struct link_hello h;
    const char *why = NULL;

    if (link_hub_hello(&h, u->line, in->pipeline->tokens, CONFIG_JSON_TOKENS, &why) < 0)
        return reject_hello(in, s, REJECT_HELLO, why);
    const struct slice host_id = {h.host_id, strlen(h.host_id)};
    const struct host_item *item = hub_settings_host(in->settings, host_id);
    int err = prove(in, s, item, u);
    if (err < 0)
        return reject_hello(in, s, reason_of_signature(err, u), NULL);
    if (!address_fits(item, &s->peer))
        return reject(in, s, REJECT_HOST, NULL);
    memcpy(s->host, pipeline_host(in->pipeline, host_id), sizeof s->host);
    s->plain = h.plain && s->link.is_signed;
    h.plain |= !s->link.is_signed; /* unsigned, it neither pins the host nor ends that */
    s->proven = true;
    memcpy(s->name, h.nonce, sizeof s->name);
    s->takes_commands = IS_ENABLED(CONFIG_HUB_COMMANDS) && s->link.is_signed && (h.features & LINK_EXEC);
    s->boot = h.boot;
    s->hello_ms = clock_ms(in->clock);
    s->known = pipeline_hello(in->pipeline, &h).known;
    s->due = SESSION_WELCOME;
    in->each(in->arg, end_if,
             &(struct ending){.in = in, .host = s->host, .except = s, .why = REJECT_REPLACED});
    return 0;
}

static void welcome(const struct ingress *in, struct session *s, struct text *out)
{
    struct link_welcome w = {
        .window = INGRESS_WINDOW, .bytes = CONFIG_EVENT_BYTES, .features = s->takes_commands ? LINK_EXEC : 0};
    const struct host *host = seen_find(in->pipeline->seen, s->host);

    for (unsigned i = s->known ? 0 : 1; host && i < 2; i++) {
        const struct window *from = &host->windows[i];
        struct link_start *to = &w.starts[w.start_count];

        if (from->kind != WINDOW_LINK)
            continue;
        *to = (struct link_start){.boot = from->boot, .highest = from->highest};
        memcpy(to->name, from->name, sizeof to->name);
        w.start_count++;
    }
    link_hub_welcome(&s->link, &w, out);
}

/* ---- Events of a session ---- */

static int refuse(struct session *s, const char *reason)
{
    s->unsure = false; /* it was for this one */
    s->due = SESSION_REFUSE;
    s->reason = reason;
    return 0;
}

/** Has the host been evicted, or forgotten by an operator, since the hello? A window that this session
 * made anew would have the name of the one before, and pass for it. */
static bool is_forgotten(const struct ingress *in, const struct session *s)
{
    const struct host *host = seen_find(in->pipeline->seen, s->host);

    return !host || host->windows[0].kind != WINDOW_LINK;
}

/** Undo link_verify: the line is offered again. */
static int not_now(struct session *s)
{
    s->link.lines_in--;
    return NEFIA_EAGAIN;
}

static int take_event(struct ingress *in, struct session *s, const struct event *e)
{
    const struct event_source from = {
        .kind = WINDOW_LINK, .name = s->name, .unsure = s->unsure, .overdue = s->overdue};

    if (memcmp(pipeline_host(in->pipeline, e->host_id), s->host, sizeof s->host) != 0)
        return refuse(s, "another host_id than the hello's");
    if (!e->has_seq)
        return refuse(s, "no boot and seq");
    if (is_forgotten(in, s))
        return reject(in, s, REJECT_HOST, FORGOTTEN);
    int verdict = pipeline_take(in->pipeline, e, &from);
    if (verdict == NEFIA_EAGAIN)
        return not_now(s);
    if (verdict == SEEN_BELOW)
        return refuse(s, LINK_BELOW);
    s->unsure = false;
    s->unsettled++;
    s->due = SESSION_ACK;
    return 0;
}

/** What devices say here beside events. */
#define MORE (IS_ENABLED(CONFIG_HUB_COMMANDS) ? link_read_result : NULL)

static int take_message(struct ingress *in, struct session *s, const struct link_unit *u)
{
    struct link_message m;

    if (link_read(&m, u->line, in->pipeline->tokens, CONFIG_JSON_TOKENS, MORE) < 0)
        return refuse(s, "neither an event nor a message");
    if (m.kind == LINK_UNSURE)
        s->unsure = true;
    if (m.kind == LINK_RESULT) {
        dispatch_result(in->pipeline->dispatch, s, &m.result);
        s->due = SESSION_ACK;
    }
    if (m.kind != LINK_ERROR)
        return 0;
    if (may_log(in))
        LOG_WARN("connection from ", ADDR(&s->peer), ": the beacon reports an error: ", m.reason);
    s->link.state = LINK_OVER;
    return NEFIA_ECLOSED;
}

static int take_line(struct ingress *in, struct session *s, const struct link_unit *u)
{
    struct event e;
    const char *why = NULL;
    int err = link_verify(&s->link, u);

    if (err < 0)
        return reject(in, s, reason_of_signature(err, u), NULL);
    if (s->plain) {
        s->plain = false; /* the hello is no recorded one */
        pipeline_unpin(in->pipeline, s->host);
    }
    if (s->link.state != LINK_OPEN)
        return reject(in, s, REJECT_WINDOW, "before the welcome");
    err = pipeline_decode(in->pipeline, u->line.ptr, u->line.len, &e, &why);
    if (err == NEFIA_EINVAL && !e.has_type)
        return take_message(in, s, u);
    if (s->unsettled >= INGRESS_WINDOW)
        return reject(in, s, REJECT_WINDOW, NULL);
    if (err == 0)
        return take_event(in, s, &e);
    rejected(in, &s->peer, reason_of(err), why, true);
    if (may_log(in))
        LOG_WARN("event from ", ADDR(&s->peer), " refused: ", why ? why : err_text(err));
    return refuse(s, reject_sentence(reason_of(err)));
}

/* ---- Plain events ---- */

struct slice ingress_find_host(struct slice line)
{
    static const char name[] = "\"host_id\"";
    const struct slice none = {"", 0};
    const char *end = line.ptr + line.len;
    const char *p = line.ptr;

    while (p && ((size_t)(end - p) < sizeof name - 1 || memcmp(p, name, sizeof name - 1) != 0))
        p = p < end ? memchr(p + 1, '"', (size_t)(end - p - 1)) : NULL;
    if (!p)
        return none;
    p += sizeof name - 1;
    while (p < end && (*p == ' ' || *p == '\t' || *p == ':'))
        p++;
    if (p == end || *p++ != '"')
        return none;
    const char *quote = memchr(p, '"', (size_t)(end - p));
    return quote ? (struct slice){p, (size_t)(quote - p)} : none;
}

/** The item of the host that a plain line seems to be of, or null. */
static const struct host_item *hinted_item(const struct ingress *in, struct slice line)
{
    return in->settings->host_count > 0 ? hub_settings_host(in->settings, ingress_find_host(line)) : NULL;
}

/** A plain line over its raw bytes. Return: 0 or an error of mac_verify_hex. */
static int verify_plain(const struct ingress *in, const struct host_item *item,
                        const struct link_unit *u)
{
    const struct mac_key *keys[2];
    const unsigned n = ingress_keys(in, item, keys);
    int err = NEFIA_EAUTH;

    for (unsigned i = 0; i < n && err == NEFIA_EAUTH; i++)
        err = mac_verify_hex(keys[i], u->line.ptr, u->line.len, u->sig.ptr, u->sig.len);
    return err;
}

static bool is_plain_host(const struct hub_settings *s, struct slice host_id)
{
    for (unsigned i = 0; i < s->plain_host_count; i++)
        if (slice_eq(host_id, s->plain_hosts[i]))
            return true;
    return false;
}

/** May the host send plainly, as far as it is configured? Return: null, or why not. */
static const char *refuse_plain(const struct ingress *in, const struct host_item *item)
{
    if (in->settings->require_nonce)
        return "reactor.require_nonce is true";
    if (item && item->keys[0].set && !item->plain)
        return HINTED("the host has a key of its own", " (set plain: true in reactor.hosts)");
    return NULL;
}

/** Is the line, of which nothing else tells a repetition, a new one as far as remembered? */
static bool is_new_line(struct ingress *in, struct slice line)
{
    const uint32_t hash = hash_bytes(HASH_START, line.ptr, line.len);
    uint32_t *known = &in->lines[hash % INGRESS_LINES];
    const bool is_new = *known != hash;

    *known = hash;
    return is_new;
}

/** Whether the key that the hint picked is the one of the event's host. */
static bool host_fits(const struct host_item *hinted, const struct host_item *item)
{
    const bool own = item && item->keys[0].set, hinted_own = hinted && hinted->keys[0].set;

    return own == hinted_own && (!own || item == hinted);
}

static int take_plain(struct ingress *in, struct session *s, const struct link_unit *u)
{
    struct event_source from = {
        .kind = WINDOW_PLAIN, .name = (const uint8_t[LINK_NAME]){0}, .overdue = s->overdue};
    const char *why = NULL;
    struct event e;

    const struct host_item *hinted = hinted_item(in, u->line);
    int err = s->link.is_signed ? verify_plain(in, hinted, u) : 0;
    if (err < 0)
        return reject(in, s, reason_of_signature(err, u), NULL);
    err = pipeline_decode(in->pipeline, u->line.ptr, u->line.len, &e, &why);
    if (err < 0)
        return reject(in, s, reason_of(err), why);
    const struct host_item *item = hub_settings_host(in->settings, e.host_id);
    if (!address_fits(item, &s->peer) || (s->link.is_signed && !host_fits(hinted, item)))
        return reject(in, s, REJECT_HOST, NULL);
    why = refuse_plain(in, item);
    if (why)
        return reject(in, s, REJECT_PLAIN, why);
    from.unpinned =
        s->link.is_signed && !(item && item->plain) && !is_plain_host(in->settings, e.host_id);
    int verdict = pipeline_take(in->pipeline, &e, &from);
    if (verdict == NEFIA_EAGAIN)
        return verdict;
    if (verdict == SEEN_PINNED)
        return reject(in, s, REJECT_PLAIN,
                      HINTED("the host has spoken the link", " (reactor.plain_hosts, nefia reactor forget)"));
    /* Remembered also where nothing is to be proved, so that it proves nothing on another connection. */
    s->proven |= verdict == SEEN_UNREMEMBERED ? is_new_line(in, u->line) : verdict == SEEN_NEW;
    return 0;
}

/* ---- After a reload ---- */

/** The item of the session's host, or null. */
static const struct host_item *item_of(const struct ingress *in, const struct session *s)
{
    for (unsigned i = 0; i < in->settings->host_count; i++) {
        const struct host_item *item = &in->settings->hosts[i];
        const struct slice host_id = {item->host_id, strlen(item->host_id)};

        if (memcmp(pipeline_host(in->pipeline, host_id), s->host, sizeof s->host) == 0)
            return item;
    }
    return NULL;
}

static bool still_keyed(const struct ingress *in, const struct session *s,
                        const struct host_item *item)
{
    const struct mac_key *keys[2];
    const unsigned n = ingress_keys(in, item, keys);

    for (unsigned i = 0; i < n; i++)
        if (key_mark(keys[i]) == s->key)
            return true;
    return false;
}

static void recheck(void *arg, struct session *s)
{
    struct ingress *in = arg;
    const bool is_signed = ingress_signed(in);

    if (s->link.state == LINK_NEW)
        s->link.is_signed = is_signed;
    if (!is_open(s))
        return;
    const struct host_item *item = item_of(in, s);
    if (s->link.is_signed != is_signed || (is_signed && !still_keyed(in, s, item)))
        end_session(in, s, REJECT_HOST, "the key of this session was removed");
    else if (!address_fits(item, &s->peer))
        end_session(in, s, REJECT_HOST, NULL);
}

void ingress_recheck(struct ingress *in)
{
    in->each(in->arg, recheck, in);
}

bool ingress_forget(struct ingress *in, struct slice host_id)
{
    uint8_t host[SESSION_HOST];

    memcpy(host, pipeline_host(in->pipeline, host_id), sizeof host);
    if (!pipeline_forget(in->pipeline, host_id))
        return false;
    in->each(in->arg, end_if,
             &(struct ending){.in = in, .host = host, .why = REJECT_HOST, .what = FORGOTTEN});
    return true;
}

/* ---- Hooks of the listener ---- */

static int take_unit(void *arg, struct session *s, const struct link_unit *u)
{
    struct ingress *in = arg;

    if (s->due == SESSION_REFUSE || s->due == SESSION_ERROR)
        return NEFIA_EAGAIN; /* that has to be said first */
    if (s->link.state == LINK_NEW && link_is_hello(u->line))
        return take_hello(in, s, u);
    if (!rate_allows(in, s))
        return over_rate(in, s);
    int err = s->link.state == LINK_NEW ? take_plain(in, s, u) : take_line(in, s, u);
    if (err == 0)
        rate_take(in, s);
    return err;
}

static void opened(void *arg, struct session *s, struct text *out)
{
    struct ingress *in = arg;
    uint8_t nonce[LINK_NONCE];

    link_init(&s->link, ingress_signed(in), 0);
    if (in->random(nonce, sizeof nonce) == 0)
        link_hub_greet(&s->link, nonce, out);
}

/** A refusal names its line before an acknowledgement passes it. */
static void answer(void *arg, struct session *s, struct text *out)
{
    const struct ingress *in = arg;
    struct link *l = &s->link;

    if (s->due == SESSION_ERROR) {
        link_put_error(l, s->reason, out);
        s->due = SESSION_IDLE;
        return;
    }
    if (s->due == SESSION_IDLE || !pipeline_is_written(in->pipeline))
        return;
    if (s->due == SESSION_WELCOME)
        welcome(in, s, out);
    else if (s->due == SESSION_REFUSE)
        link_hub_refuse(l, l->lines_in, s->reason, INGRESS_WINDOW, out);
    else
        link_hub_ack(l, l->lines_in, INGRESS_WINDOW, out);
    if (s->due == SESSION_ACK)
        s->unsettled = 0;
    s->due = s->due == SESSION_REFUSE ? SESSION_ACK : SESSION_IDLE;
}

static void turn_end(void *arg)
{
    struct ingress *in = arg;

    pipeline_turn_end(in->pipeline);
}

static void command(void *arg, struct session *s, struct text *out)
{
    const struct ingress *in = arg;

    dispatch_write(in->pipeline->dispatch, s, out);
}

static void closed(void *arg, struct session *s)
{
    const struct ingress *in = arg;

    dispatch_lost(in->pipeline->dispatch, s);
    link_wipe(&s->link);
}

static bool allowed(void *arg, const struct addr *peer)
{
    const struct ingress *in = arg;

    return hub_settings_allow(in->settings, peer) || (in->peers && peers_have(in->peers, peer));
}

struct listener_hooks ingress_listener_hooks(struct ingress *in)
{
    return (struct listener_hooks){
        .opened = opened,
        .unit = take_unit,
        .turn_end = turn_end,
        .answer = answer,
        .command = command,
        .closed = closed,
        .rejected = rejected,
        .allowed = allowed,
        .arg = in,
    };
}
