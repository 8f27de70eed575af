#include "nefia/hub/admission.h"

#include <string.h>

/** Bytes of an address that count: all of IPv4, the /64 of IPv6. */
static size_t width(const struct addr *a)
{
    return a->family == AF_INET ? 4 : 8;
}

bool admission_same(const struct addr *a, const struct addr *b)
{
    return a->family == b->family && memcmp(a->ip, b->ip, width(a)) == 0;
}

void admission_init(struct admission *a, struct admission_entry *entries, unsigned count)
{
    *a = (struct admission){.entries = entries, .count = count, .bucket = ADMISSION_TOKENS};
    memset(entries, 0, count * sizeof *entries);
}

static bool is_known(const struct admission_entry *e, uint64_t now_ms)
{
    return e->proven_ms != 0 && now_ms - e->proven_ms < ADMISSION_DAY_MS;
}

static struct admission_entry *find(const struct admission *a, const struct addr *peer)
{
    for (unsigned i = 0; i < a->count; i++) {
        struct admission_entry *e = &a->entries[i];

        if (e->family == peer->family && memcmp(e->prefix, peer->ip, width(peer)) == 0)
            return e;
    }
    return NULL;
}

/** Is x to be replaced before y? */
static bool goes_first(const struct admission_entry *x, const struct admission_entry *y,
                       uint64_t now_ms)
{
    if (is_known(x, now_ms) != is_known(y, now_ms))
        return is_known(y, now_ms);
    return x->used_ms < y->used_ms; /* free ones are never used */
}

static struct admission_entry *replace(struct admission *a, const struct addr *peer,
                                       uint64_t now_ms)
{
    struct admission_entry *e = a->entries;

    for (unsigned i = 1; i < a->count; i++)
        if (goes_first(&a->entries[i], e, now_ms))
            e = &a->entries[i];
    *e = (struct admission_entry){.family = peer->family,
                                  .tokens = a->bucket,
                                  .tokens_ms = now_ms,
                                  .logged_ms = e->logged_ms};
    memcpy(e->prefix, peer->ip, width(peer));
    return e;
}

static struct admission_entry *use(struct admission *a, const struct addr *peer, uint64_t now_ms)
{
    struct admission_entry *e = find(a, peer);

    if (!e)
        e = replace(a, peer, now_ms);
    e->used_ms = now_ms;
    return e;
}

static void refill(const struct admission *a, struct admission_entry *e, uint64_t now_ms)
{
    const unsigned step = is_known(e, now_ms) ? ADMISSION_KNOWN_MS
                                              : ADMISSION_FULL_MS / (unsigned)a->bucket;
    const uint64_t gained = (now_ms - e->tokens_ms) / step;

    if ((int64_t)gained >= a->bucket - e->tokens) {
        e->tokens = a->bucket;
        e->tokens_ms = now_ms;
    } else {
        e->tokens = (int16_t)(e->tokens + (int)gained);
        e->tokens_ms += gained * step;
    }
}

bool admission_enter(struct admission *a, const struct addr *peer, uint64_t now_ms)
{
    struct admission_entry *e = use(a, peer, now_ms);

    refill(a, e, now_ms);
    if (e->tokens < 1)
        return false;
    e->tokens--;
    return true;
}

void admission_failed(struct admission *a, const struct addr *peer, uint64_t now_ms)
{
    struct admission_entry *e = use(a, peer, now_ms);

    if (is_known(e, now_ms))
        return;
    refill(a, e, now_ms);
    const int left = e->tokens - ADMISSION_FAILURE;
    e->tokens = (int16_t)(left < -a->bucket ? -a->bucket : left);
}

void admission_proved(struct admission *a, const struct addr *peer, uint64_t now_ms)
{
    use(a, peer, now_ms)->proven_ms = now_ms;
}

bool admission_known(const struct admission *a, const struct addr *peer, uint64_t now_ms)
{
    const struct admission_entry *e = find(a, peer);

    return e && is_known(e, now_ms);
}

bool admission_may_log(struct admission *a, const struct addr *peer, uint64_t now_ms)
{
    struct admission_entry *e = use(a, peer, now_ms);

    if (e->logged_ms != 0 && now_ms - e->logged_ms < ADMISSION_LOG_MS)
        return false;
    e->logged_ms = now_ms;
    return true;
}
