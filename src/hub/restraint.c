#include "nefia/hub/restraint.h"

#include <bearssl_hash.h>
#include <string.h>

#include "nefia/base/bytes.h"
#include "nefia/base/err.h"

void restraint_init(struct restraint *r, struct restraint_mark *marks, unsigned cap)
{
    *r = (struct restraint){.marks = marks, .cap = cap};
}

/* ---- Keys ---- */

uint64_t restraint_host(const uint8_t *id)
{
    return get_be64(id);
}

/** One part of a key, with its type and length, so that two parts are never taken for one. */
static void hash_part(br_sha256_context *sha, uint8_t type, struct slice s)
{
    uint8_t head[5] = {type};

    put_be32(head + 1, (uint32_t)s.len);
    br_sha256_update(sha, head, sizeof head);
    br_sha256_update(sha, s.ptr, s.len);
}

uint64_t restraint_once(const struct restraint_settings *s, const struct event *e)
{
    enum { PART_HOST = 0xFE, PART_NONE = 0xFF }; /* others: enum json_type */
    uint8_t sum[br_sha256_SIZE];
    br_sha256_context sha;

    br_sha256_init(&sha);
    for (unsigned i = 0; i < s->key_count; i++) {
        if (str_eq(s->keys[i], "host")) {
            hash_part(&sha, PART_HOST, e->host_id);
            continue;
        }
        const int value = json_member(&e->doc, e->data_token, s->keys[i] + strlen("data."));
        if (value < 0)
            hash_part(&sha, PART_NONE, (struct slice){"", 0});
        else
            hash_part(&sha, (uint8_t)json_at(&e->doc, (unsigned)value)->type, json_raw(&e->doc, (unsigned)value));
    }
    br_sha256_out(&sha, sum);
    return get_be64(sum);
}

/* ---- Marks ---- */

/** A breaker's is never over by itself. */
static bool is_over(const struct restraint_mark *m, uint64_t ran_ms)
{
    return m->kind != MARK_FREE && m->kind != MARK_BREAKER && ran_ms - m->at_ms >= m->window_ms;
}

static bool is_key_of(const struct restraint_mark *m, const struct restraint_case *c)
{
    switch (m->kind) {
    case MARK_ONCE: return m->key == c->once;
    case MARK_AFTER: return m->key == c->host;
    default: return true;
    }
}

/** What is remembered for a case: of each kind the marks that are not over. */
struct look {
    unsigned count[MARK_BREAKER + 1];
    const struct restraint_mark *oldest[MARK_BREAKER + 1]; /* null: none */
    unsigned room;
};

static struct look look(const struct restraint *r, const struct restraint_case *c, uint64_t ran_ms)
{
    struct look l = {.room = r->cap - r->top};

    for (const struct restraint_mark *m = r->marks; m < r->marks + r->top; m++) {
        if (m->kind == MARK_FREE || is_over(m, ran_ms)) {
            l.room++;
            continue;
        }
        if (m->rule != c->rule || !is_key_of(m, c))
            continue;
        l.count[m->kind]++;
        if (!l.oldest[m->kind] || m->at_ms < l.oldest[m->kind]->at_ms)
            l.oldest[m->kind] = m;
    }
    return l;
}

static void changed(struct restraint *r, const struct restraint_mark *m)
{
    if (r->changed)
        r->changed(r->arg, (unsigned)(m - r->marks));
}

static void forget(struct restraint *r, struct restraint_mark *m)
{
    *m = (struct restraint_mark){0};
    changed(r, m);
    while (r->top > 0 && r->marks[r->top - 1].kind == MARK_FREE)
        r->top--;
}

/** Remember one more, at this time: where it takes the place of a mark that was over, that one cannot come back when a kill of the hub
 * takes back a little of the time. Return: null: no room. */
static struct restraint_mark *remember(struct restraint *r, const struct restraint_mark *m, uint64_t ran_ms)
{
    for (struct restraint_mark *at = r->marks; at < r->marks + r->cap; at++) {
        if (at->kind != MARK_FREE && !is_over(at, ran_ms))
            continue;
        *at = *m;
        if (at >= r->marks + r->top)
            r->top = (unsigned)(at - r->marks) + 1;
        changed(r, at);
        return at;
    }
    return NULL;
}

/** In the place of an older one. */
static void renew(struct restraint *r, const struct restraint_mark *old, const struct restraint_mark *m)
{
    struct restraint_mark *at = &r->marks[old - r->marks];

    *at = *m;
    changed(r, at);
}

/* ---- Deciding ---- */

static uint64_t left_of(const struct restraint_mark *m, uint64_t window_ms, uint64_t ran_ms)
{
    const uint64_t passed = ran_ms - m->at_ms;

    return passed < window_ms ? window_ms - passed : 0;
}

/** Marks that counting the event takes, and then, when those of `after` are given up, its action. */
static unsigned for_event(const struct restraint_settings *s, const struct look *l)
{
    return s->count > l->count[MARK_AFTER];
}

static unsigned for_action(const struct restraint_settings *s, const struct look *l)
{
    return 0u + (s->cooldown_ms > 0) + (s->per_hour > 0) + (s->once_ms > 0) + (s->failures > 0 && !l->oldest[MARK_BREAKER]);
}

static struct restraint_verdict judge_breaker(const struct restraint_settings *s, const struct restraint_mark *m, uint64_t ran_ms)
{
    struct restraint_verdict v = {.have = m->window_ms, .most = s->failures, .window_ms = s->pause_ms};

    if (m->state == BREAKER_TRYING)
        v.reason = RESTRAINT_TRYING;
    else if (m->state == BREAKER_OPEN && (v.left_ms = left_of(m, s->pause_ms, ran_ms)) > 0)
        v.reason = RESTRAINT_OPEN;
    return v;
}

struct restraint_verdict restraint_judge(const struct restraint *r, const struct restraint_case *c, uint64_t ran_ms)
{
    const struct restraint_settings *s = c->settings;
    const struct look l = look(r, c, ran_ms);
    const struct restraint_mark *const *oldest = l.oldest;
    struct restraint_verdict v = {.reason = RESTRAINT_NONE};

    if (for_event(s, &l) > l.room)
        return (struct restraint_verdict){.reason = RESTRAINT_MEMORY};
    if (s->count > 0 && l.count[MARK_AFTER] + 1 < s->count)
        return (struct restraint_verdict){RESTRAINT_AFTER, l.count[MARK_AFTER] + 1, s->count, s->within_ms, 0};
    if (s->failures > 0 && oldest[MARK_BREAKER])
        v = judge_breaker(s, oldest[MARK_BREAKER], ran_ms);
    if (v.reason != RESTRAINT_NONE)
        return v;
    v = (struct restraint_verdict){.reason = RESTRAINT_NONE};
    if (oldest[MARK_COOLDOWN])
        return (struct restraint_verdict){RESTRAINT_COOLDOWN, 0, 0, s->cooldown_ms,
                                          left_of(oldest[MARK_COOLDOWN], s->cooldown_ms, ran_ms)};
    if (s->per_hour > 0 && l.count[MARK_HOURLY] >= s->per_hour)
        return (struct restraint_verdict){RESTRAINT_HOURLY, l.count[MARK_HOURLY], s->per_hour, RESTRAINT_HOUR_MS,
                                          left_of(oldest[MARK_HOURLY], RESTRAINT_HOUR_MS, ran_ms)};
    if (oldest[MARK_ONCE])
        return (struct restraint_verdict){RESTRAINT_ONCE, 0, 0, s->once_ms, left_of(oldest[MARK_ONCE], s->once_ms, ran_ms)};
    if (for_action(s, &l) > l.room + l.count[MARK_AFTER])
        v.reason = RESTRAINT_MEMORY;
    return v;
}

void restraint_count(struct restraint *r, const struct restraint_case *c, uint64_t ran_ms)
{
    const struct restraint_settings *s = c->settings;

    if (s->count == 0)
        return;
    const struct look l = look(r, c, ran_ms);
    const struct restraint_mark m = {.key = c->host, .at_ms = ran_ms, .window_ms = s->within_ms, .rule = c->rule, .kind = MARK_AFTER};
    if (l.count[MARK_AFTER] >= s->count)
        renew(r, l.oldest[MARK_AFTER], &m);
    else
        remember(r, &m, ran_ms);
}

/** Forget what was counted of the host. */
static void begin_anew(struct restraint *r, const struct restraint_case *c)
{
    for (struct restraint_mark *m = r->marks + r->top; m-- > r->marks;)
        if (m->kind == MARK_AFTER && m->rule == c->rule && m->key == c->host)
            forget(r, m);
}

/** Return: false: no room. */
static bool put(struct restraint *r, const struct restraint_mark *old, const struct restraint_mark *m, uint64_t ran_ms)
{
    if (!old)
        return remember(r, m, ran_ms) != NULL;
    renew(r, old, m);
    return true;
}

void restraint_acted(struct restraint *r, const struct restraint_case *c, uint64_t job, uint64_t ran_ms)
{
    const struct restraint_settings *s = c->settings;
    struct restraint_mark m = {.at_ms = ran_ms, .rule = c->rule};

    if (s->count > 0)
        begin_anew(r, c);
    const struct look l = look(r, c, ran_ms);
    if (s->cooldown_ms > 0) {
        m.kind = MARK_COOLDOWN;
        m.window_ms = s->cooldown_ms;
        put(r, l.oldest[MARK_COOLDOWN], &m, ran_ms);
    }
    if (s->per_hour > 0) {
        m.kind = MARK_HOURLY;
        m.window_ms = RESTRAINT_HOUR_MS;
        remember(r, &m, ran_ms);
    }
    if (s->once_ms > 0) {
        m.kind = MARK_ONCE;
        m.window_ms = s->once_ms;
        m.key = c->once;
        put(r, l.oldest[MARK_ONCE], &m, ran_ms);
    }
    if (s->failures == 0)
        return;
    m = l.oldest[MARK_BREAKER] ? *l.oldest[MARK_BREAKER] : (struct restraint_mark){.at_ms = ran_ms, .rule = c->rule, .kind = MARK_BREAKER};
    if (m.state == BREAKER_OPEN) {
        m.state = BREAKER_TRYING;
        m.key = job;
    } else if (l.oldest[MARK_BREAKER]) {
        return;
    }
    put(r, l.oldest[MARK_BREAKER], &m, ran_ms);
}

/* ---- The breaker ---- */

/** Of the action that was tried. */
static enum restraint_turn tried(struct restraint_mark *m, enum restraint_result result, uint64_t ran_ms)
{
    m->key = 0;
    if (result == RESTRAINT_DONE) {
        m->state = BREAKER_CLOSED;
        m->window_ms = 0;
        return RESTRAINT_CLOSED;
    }
    m->state = BREAKER_OPEN; /* unknown: the next match is tried, the pause is over */
    if (result == RESTRAINT_FAILED) {
        m->window_ms++;
        m->at_ms = ran_ms;
    }
    return RESTRAINT_SAME;
}

static enum restraint_turn in_a_row(struct restraint_mark *m, const struct restraint_settings *s, enum restraint_result result,
                                    uint64_t ran_ms)
{
    m->window_ms = result == RESTRAINT_DONE ? 0 : m->window_ms + (result == RESTRAINT_FAILED);
    if (result != RESTRAINT_FAILED || m->window_ms < s->failures)
        return RESTRAINT_SAME;
    m->state = BREAKER_OPEN;
    m->at_ms = ran_ms;
    return RESTRAINT_OPENED;
}

enum restraint_turn restraint_ended(struct restraint *r, uint16_t rule, const struct restraint_settings *s, uint64_t job,
                                    enum restraint_result result, uint64_t ran_ms, uint32_t *failures)
{
    const struct restraint_case c = {.settings = s, .rule = rule};
    enum restraint_turn turn = RESTRAINT_SAME;

    *failures = 0;
    if (s->failures == 0)
        return turn;
    const struct restraint_mark *old = look(r, &c, ran_ms).oldest[MARK_BREAKER];
    struct restraint_mark m = old ? *old : (struct restraint_mark){.at_ms = ran_ms, .rule = rule, .kind = MARK_BREAKER};
    const uint32_t window = m.window_ms;
    if (m.state == BREAKER_TRYING && m.key == job)
        turn = tried(&m, result, ran_ms);
    else if (m.state == BREAKER_CLOSED)
        turn = in_a_row(&m, s, result, ran_ms);
    *failures = turn == RESTRAINT_CLOSED ? window : m.window_ms;
    if (old ? memcmp(old, &m, sizeof m) == 0 : m.window_ms == 0)
        return RESTRAINT_SAME;
    return put(r, old, &m, ran_ms) ? turn : RESTRAINT_SAME;
}

enum breaker_state restraint_breaker(const struct restraint *r, uint16_t rule)
{
    for (const struct restraint_mark *m = r->marks; m < r->marks + r->top; m++)
        if (m->kind == MARK_BREAKER && m->rule == rule)
            return (enum breaker_state)m->state;
    return BREAKER_CLOSED;
}

unsigned restraint_used(const struct restraint *r)
{
    unsigned used = 0;

    for (const struct restraint_mark *m = r->marks; m < r->marks + r->top; m++)
        used += m->kind != MARK_FREE;
    return used;
}

/* ---- Reload ---- */

bool restraint_fit(struct restraint_mark *m, const struct restraint_settings *s)
{
    static const struct restraint_settings none;

    s = s ? s : &none;
    switch (m->kind) {
    case MARK_COOLDOWN: m->window_ms = s->cooldown_ms; break;
    case MARK_HOURLY: m->window_ms = s->per_hour > 0 ? RESTRAINT_HOUR_MS : 0; break;
    case MARK_ONCE: m->window_ms = s->once_ms; break;
    case MARK_AFTER: m->window_ms = s->within_ms; break;
    case MARK_BREAKER: return s->failures > 0; /* its failures stay */
    default: return false;
    }
    return m->window_ms > 0;
}

/** Is it one of more than `most` of its kind and key, and not of the newest? */
static bool is_surplus(const struct restraint *r, const struct restraint_mark *m, unsigned most)
{
    unsigned newer = 0;

    for (const struct restraint_mark *o = r->marks; o < r->marks + r->top; o++)
        newer += o->kind == m->kind && o->rule == m->rule && o->key == m->key &&
                 (o->at_ms > m->at_ms || (o->at_ms == m->at_ms && o > m));
    return newer >= most;
}

/** More than the settings let it remember. */
static bool is_too_many(const struct restraint *r, const struct restraint_mark *m)
{
    const struct restraint_settings *s = r->settings(r->arg, m->rule);

    return (m->kind == MARK_HOURLY && is_surplus(r, m, s->per_hour)) || (m->kind == MARK_AFTER && is_surplus(r, m, s->count));
}

void restraint_rebind(struct restraint *r, uint16_t (*rule_now)(void *arg, uint16_t rule), void *arg, uint64_t ran_ms)
{
    for (struct restraint_mark *m = r->marks + r->top; m-- > r->marks;) {
        if (m->kind == MARK_FREE)
            continue;
        const uint16_t rule = is_over(m, ran_ms) ? RESTRAINT_NO_RULE : rule_now(arg, m->rule);
        m->rule = rule;
        if (rule == RESTRAINT_NO_RULE || !restraint_fit(m, r->settings(r->arg, rule)))
            forget(r, m);
        else
            changed(r, m);
    }
    for (struct restraint_mark *m = r->marks + r->top; m-- > r->marks;)
        if (is_too_many(r, m))
            forget(r, m);
}

/* ---- Text ---- */

/** Seconds, once there are some. */
static void put_left(struct text *t, uint64_t ms)
{
    text_duration(t, ms < 1000 ? ms : ms - ms % 1000);
}

void restraint_text(struct text *t, const struct restraint_verdict *v)
{
    static const char words[] = "\0after: \0breaker open, \0breaker open, \0cooldown \0max_per_hour: \0once_within \0"
                                "no memory (CONFIG_RESTRAINT_MARKS=" LITERAL(CONFIG_RESTRAINT_MARKS) ")\0";

    text_str(t, word_at(words, v->reason));
    switch (v->reason) {
    case RESTRAINT_AFTER:
    case RESTRAINT_HOURLY:
        text_u64(t, v->have);
        text_str(t, " of ");
        text_u64(t, v->most);
        break;
    case RESTRAINT_OPEN:
    case RESTRAINT_TRYING:
        text_u64(t, v->have);
        text_str(t, v->have == 1 ? " failure" : " failures");
        break;
    default: break;
    }
    if (v->reason == RESTRAINT_TRYING)
        text_str(t, ", one action is tried");
    if (v->reason == RESTRAINT_AFTER)
        text_str(t, " within ");
    if (v->reason == RESTRAINT_AFTER || v->reason == RESTRAINT_COOLDOWN || v->reason == RESTRAINT_ONCE)
        text_duration(t, v->window_ms);
    if (v->left_ms == 0)
        return;
    text_str(t, ", ");
    put_left(t, v->left_ms);
    text_str(t, " left");
}

/* ---- On disk ---- */

enum { STORED_KIND, STORED_STATE, STORED_WINDOW, STORED_KEY = STORED_WINDOW + 4, STORED_AT = STORED_KEY + 8 };
_Static_assert(STORED_AT + 8 == RESTRAINT_MARK_HEAD, "what is stored of a mark");

size_t restraint_store(const struct restraint_mark *m, const char *rule, uint8_t out[RESTRAINT_MARK_MAX])
{
    const size_t len = strlen(rule) < RESTRAINT_MARK_MAX - RESTRAINT_MARK_HEAD ? strlen(rule) : RESTRAINT_MARK_MAX - RESTRAINT_MARK_HEAD;

    out[STORED_KIND] = m->kind;
    out[STORED_STATE] = m->state;
    put_be32(out + STORED_WINDOW, m->window_ms);
    put_be64(out + STORED_KEY, m->key);
    put_be64(out + STORED_AT, m->at_ms);
    memcpy(out + RESTRAINT_MARK_HEAD, rule, len);
    return RESTRAINT_MARK_HEAD + len;
}

int restraint_load(struct restraint_mark *m, const uint8_t *bytes, size_t len, struct slice *rule)
{
    if (len <= RESTRAINT_MARK_HEAD || len > RESTRAINT_MARK_MAX || bytes[STORED_KIND] == MARK_FREE ||
        bytes[STORED_KIND] > MARK_BREAKER || bytes[STORED_STATE] > BREAKER_TRYING)
        return NEFIA_EINVAL;
    *m = (struct restraint_mark){
        .key = get_be64(bytes + STORED_KEY),
        .at_ms = get_be64(bytes + STORED_AT),
        .window_ms = get_be32(bytes + STORED_WINDOW),
        .kind = bytes[STORED_KIND],
        .state = bytes[STORED_STATE],
    };
    *rule = (struct slice){(const char *)bytes + RESTRAINT_MARK_HEAD, len - RESTRAINT_MARK_HEAD};
    return 0;
}

void restraint_restore(struct restraint *r, unsigned slot, const struct restraint_mark *m)
{
    if (slot >= r->cap)
        return;
    r->marks[slot] = *m;
    if (slot >= r->top)
        r->top = slot + 1;
}
