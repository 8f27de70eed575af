#include "nefia/beacon/tunnel.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "nefia/base/err.h"
#include "nefia/beacon/sensor_runner.h"
#include "nefia/sys/clock.h"

/* What the sensors of WireGuard share. */

/* ---- Configuration ---- */

int tunnel_set_key(void *member, const char *value, struct text *why)
{
    if (!wireguard_is_key(value)) {
        text_str(why, "not a key in base64");
        return NEFIA_EINVAL;
    }
    memcpy(member, &value, sizeof value);
    return 0;
}

static const struct tunnel_peer *peer_at(const void *state, const struct field *f, unsigned i)
{
    return (const void *)((const char *)state + f->offset + (size_t)i * f->list->size);
}

int tunnel_open(void *state, struct config *c, const struct node *n, const char *where, const struct field *fields)
{
    const struct field *f = fields;

    while (f->type != FIELD_LIST)
        f++;
    if (config_bind_maps(c, n, where, fields, state) < 0)
        return NEFIA_EINVAL;
    const unsigned count = *(unsigned *)(void *)((char *)state + f->list->count);
    for (unsigned i = 0; i < count; i++)
        for (unsigned j = 0; j < i; j++) {
            const struct tunnel_peer *a = peer_at(state, f, i), *b = peer_at(state, f, j);
            if (str_eq(a->key, b->key))
                config_error(c, n, where, "duplicate public_key ", a->key, NULL);
        }
    return 0;
}

/* ---- The kernel ---- */

int tunnel_ask(struct emitter *e, const char *interface, int (*on_peer)(void *arg, const struct wireguard_peer *p),
               void *arg)
{
    enum { TOGETHER_MS = 500, NONE = 1 };
    struct sensor_runner *in = e->owner;
    const uint32_t now = (uint32_t)emitter_now(e);
    struct wireguard_dump d = {.on_peer = on_peer, .arg = arg, .answer.error = ENOENT};
    size_t cap;
    int err = NEFIA_EIO;

    /* The number lasts until the module is loaded anew: those that ask in one wake-up share it, or that there is none. */
    const bool fresh = in->wireguard && now - in->wireguard_ms < TOGETHER_MS;
    if (!fresh)
        in->wireguard_ms = now;
    if (fresh || (in->wireguard == NONE && access("/sys/module/wireguard", F_OK) < 0))
        d.family = in->wireguard;
    if (d.family != NONE)
        err = wireguard_ask(&d, interface, emitter_buffer(e, &cap));
    in->wireguard = err == NEFIA_EIO && d.answer.error == ENOENT ? NONE : d.family;
    if (err < 0 && err != NEFIA_ENOTFOUND)
        emitter_not_measured(e, interface,
                             err != NEFIA_EIO            ? err_text(err)
                             : d.answer.error == ENOENT ? "no WireGuard in this kernel"
                                                        : ERRNO(d.answer.error));
    return err;
}

struct json_writer *tunnel_condition(struct emitter *e, char subject[TUNNEL_SUBJECT], const char *types,
                                     const char *interface, const char *of, enum level level, const char *problem)
{
    struct text t;

    text_init(&t, subject, TUNNEL_SUBJECT);
    text_str(&t, interface);
    if (of) {
        text_char(&t, ' ');
        text_str(&t, of);
    }
    struct json_writer *w = emit_condition_pair(e, types, word_at(types, 1), subject, level);
    if (!w)
        return NULL;
    json_put_string(w, "interface", interface);
    if (level != LEVEL_OK)
        json_put_string(w, "problem", problem);
    return w;
}

void tunnel_judge(struct emitter *e, const char *types, const char *interface, const char *problem)
{
    char subject[TUNNEL_SUBJECT];

    if (tunnel_condition(e, subject, types, interface, NULL, problem ? LEVEL_CRITICAL : LEVEL_OK, problem))
        emit_end(e);
}

void tunnel_put_peer(struct json_writer *w, const struct tunnel_peer *p)
{
    json_put_string(w, "public_key", p->key);
    if (p->name)
        json_put_string(w, "name", p->name);
}

/* ---- Handshakes ---- */

static const struct field watched_fields[] = {
    TUNNEL_PEER_FIELDS(struct tunnel_watched, peer),
    {.name = NULL},
};

const struct field_list tunnel_watched_list = {
    .count = offsetof(struct tunnel_watch, count),
    .size = sizeof(struct tunnel_watched),
    .cap = CONFIG_SDWAN_HUBS,
    .remedy = FIELD_HELP("; raise CONFIG_SDWAN_HUBS"),
    .fields = watched_fields,
};

enum {
    SESSION_MS = 180 * 1000, /* REJECT_AFTER_TIME of WireGuard: then nothing is sent but handshakes */
    S_MS = 1000,
};

/** The lower half of a number of 8 bytes or more, which begins there; 0 if it is not there. */
static uint32_t number(struct netlink_part p)
{
    uint64_t v = 0;

    if (p.len >= sizeof v)
        memcpy(&v, p.ptr, sizeof v);
    return (uint32_t)v;
}

/** As long as it makes a difference. */
static uint32_t age(int64_t s)
{
    return s <= 0 ? 0 : s < TUNNEL_LONG_MS / S_MS ? (uint32_t)s * S_MS : TUNNEL_LONG_MS;
}

/** The stamp is a struct __kernel_timespec. The same dump may come twice. */
static void look_at(struct tunnel_watch *s, struct tunnel_watched *w, const struct wireguard_peer *p)
{
    const struct netlink_part keepalive = p->attributes[WGPEER_A_PERSISTENT_KEEPALIVE_INTERVAL];
    const uint32_t handshake = number(p->attributes[WGPEER_A_LAST_HANDSHAKE_TIME]);
    const uint32_t sent = number(p->attributes[WGPEER_A_TX_BYTES]);
    const uint32_t now = s->now_ms;

    /* `once` has not seen anything before, and has to believe the wall clock. */
    if (!w->known)
        w->changed_ms = now - age(s->unix_s - handshake);
    if (handshake != w->handshake && handshake && s->looked_ms) {
        w->changed_ms = now;
        w->asked_ms = 0;
        w->alive = true;
    } else if (w->known && sent != w->sent && !w->asked_ms && s->looked_ms - w->changed_ms >= SESSION_MS) {
        w->asked_ms = now;
    }
    w->known = w->seen = true;
    w->keepalive = keepalive.len >= sizeof(uint16_t) && netlink_u16(keepalive.ptr);
    w->handshake = handshake;
    w->sent = sent;
}

int tunnel_take(void *watch, const struct wireguard_peer *p)
{
    struct tunnel_watch *s = watch;
    char key[WIREGUARD_KEY_TEXT];

    if (!p) {
        s->peers = 0;
        for (unsigned i = 0; i < s->count; i++)
            s->watched[i].seen = false;
        return 0;
    }
    wireguard_key_text(key, wireguard_key(p));
    for (s->current = 0; s->current < s->count; s->current++)
        if (str_eq(s->watched[s->current].peer.key, key))
            break;
    if (!p->attributes[WGPEER_A_LAST_HANDSHAKE_TIME].ptr)
        return 0; /* more of its networks */
    s->peers++;
    if (s->current < s->count)
        look_at(s, &s->watched[s->current], p);
    return 0;
}

int tunnel_look(struct tunnel_watch *s, struct emitter *e, int (*on_peer)(void *arg, const struct wireguard_peer *p))
{
    s->now_ms = (uint32_t)emitter_now(e);
    s->unix_s = emitter_once(e) ? clock_unix(emitter_clock(e)) : 0;
    const int err = tunnel_ask(e, s->interface, on_peer, s);
    s->looked_ms = s->now_ms;
    return err;
}

enum tunnel_state tunnel_state(const struct tunnel_watch *s, struct tunnel_watched *w)
{
    const bool silent = s->now_ms - w->changed_ms >= s->silent_ms;
    const bool used = w->keepalive || (w->asked_ms && w->asked_ms != s->now_ms);

    if (w->seen && silent && !used)
        return TUNNEL_UNUSED;
    if (w->seen && !silent)
        return w->alive ? TUNNEL_ALIVE : TUNNEL_UNKNOWN;
    w->alive = false;
    return w->seen ? TUNNEL_SILENT : TUNNEL_NO_PEER;
}

static void put_watched(struct json_writer *w, const struct tunnel_watch *s, const struct tunnel_watched *p)
{
    tunnel_put_peer(w, &p->peer);
    if (!p->seen)
        return;
    json_put_u64(w, "silent_s", (s->now_ms - p->changed_ms) / S_MS);
    if (p->handshake)
        json_put_time(w, "last_handshake", p->handshake);
}

struct json_writer *tunnel_judge_watched(const struct tunnel_watch *s, struct emitter *e, char subject[TUNNEL_SUBJECT],
                                         const char *types, const char *of, struct tunnel_watched *p, enum level bad)
{
    const enum tunnel_state state = tunnel_state(s, p);

    if (state == TUNNEL_UNUSED)
        emitter_not_measured(e, p->peer.name ? p->peer.name : p->peer.key,
                             HINTED("no traffic", " (set its persistent-keepalive)"));
    if (state < TUNNEL_ALIVE)
        return NULL;
    struct json_writer *w =
        tunnel_condition(e, subject, types, s->interface, of, state == TUNNEL_ALIVE ? LEVEL_OK : bad,
                         state == TUNNEL_SILENT ? "silent" : TUNNEL_NO_PEER_TEXT);
    if (w)
        put_watched(w, s, p);
    return w;
}

int tunnel_start(void *state, struct emitter *self, void *before)
{
    struct tunnel_watch *s = state;
    const struct tunnel_watch *old = before;

    (void)self;
    if (!old || !str_eq(s->interface, old->interface))
        return 0;
    s->looked_ms = old->looked_ms;
    for (unsigned i = 0; i < s->count && i < old->count; i++) {
        const struct tunnel_peer peer = s->watched[i].peer;
        if (!str_eq(peer.key, old->watched[i].peer.key))
            continue;
        s->watched[i] = old->watched[i];
        s->watched[i].peer = peer;
    }
    return 0;
}
