#include "nefia/event/dedup.h"

#include <string.h>

#include "nefia/base/err.h"

enum { DEFAULT_WINDOW_MS = 5 * 60 * 1000 };

void dedup_init(struct dedup *d, struct dedup_slot *slots, unsigned count)
{
    *d = (struct dedup){
        .slots = slots, .count = count, .parts = DEDUP_ALL, .window_ms = DEFAULT_WINDOW_MS};
    memset(slots, 0, count * sizeof *slots);
}

static unsigned part_of(struct slice word)
{
    int i = word_index("type\0source\0host_id\0severity\0subject\0", word);

    return i < 0 ? 0 : 1u << i;
}

int dedup_parse_key(const char *s)
{
    unsigned parts = 0;

    for (;;) {
        size_t len = strcspn(s, "|");
        unsigned part = part_of((struct slice){s, len});

        if (!part || parts & part)
            return NEFIA_EINVAL;
        parts |= part;
        if (!s[len])
            return (int)parts;
        s += len + 1;
    }
}

/** FNV-1a, 64 bits: offset basis and prime from the FNV specification. */
static uint64_t hash64(uint64_t h, const char *s)
{
    do
        h = (h ^ (unsigned char)*s) * UINT64_C(0x100000001b3);
    while (*s++); /* including the NUL, so that "ab","c" differs from "a","bc" */
    return h;
}

uint64_t dedup_key(const struct dedup *d, const struct event_head *h)
{
    const char *const parts[] = {h->type, h->source, h->host_id, severity_text(h->severity),
                                 h->subject ? h->subject : ""}; /* in the order of enum dedup_part */
    uint64_t key = UINT64_C(0xcbf29ce484222325);

    for (unsigned i = 0; i < ARRAY_SIZE(parts); i++)
        if (d->parts & 1u << i)
            key = hash64(key, parts[i]);
    return key ? key : 1;
}

/** The slot of this key, else a free one, else the least recently accepted one. */
static struct dedup_slot *find_slot(struct dedup *d, uint64_t key)
{
    struct dedup_slot *best = &d->slots[0];

    for (unsigned i = 0; i < d->count; i++) {
        struct dedup_slot *s = &d->slots[i];

        if (s->key == key)
            return s;
        if (best->key && (!s->key || s->accepted_ms < best->accepted_ms))
            best = s;
    }
    return best;
}

static void count(struct dedup_slot *s, const struct event_head *h)
{
    s->suppressed += s->suppressed < UINT32_MAX;
    if (h->severity > s->severity)
        s->severity = (uint8_t)h->severity;
}

bool dedup_repeats(struct dedup *d, const struct event_head *h, uint64_t now_ms)
{
    const uint64_t key = dedup_key(d, h);
    struct dedup_slot *s = find_slot(d, key);
    const bool repeats = s->key == key && now_ms - s->accepted_ms < d->window_ms;

    if (repeats)
        count(s, h);
    return repeats;
}

struct dedup_verdict dedup_check(struct dedup *d, const struct event_head *h, uint64_t now_ms)
{
    uint64_t key = dedup_key(d, h);
    struct dedup_slot *s = find_slot(d, key);
    struct dedup_verdict v = {.pass = true};

    if (s->key == key) {
        v.age_ms = now_ms - s->accepted_ms;
        if (v.age_ms < d->window_ms) {
            v.pass = false;
            count(s, h);
            return v;
        }
        v.suppressed = s->suppressed;
    } else if (s->key) {
        v.evicted = s->suppressed;
        v.evicted_severity = (enum severity)s->severity;
    }
    *s = (struct dedup_slot){.key = key, .accepted_ms = now_ms, .severity = (uint8_t)h->severity};
    return v;
}

void dedup_forget(struct dedup *d, const struct event_head *h)
{
    uint64_t key = dedup_key(d, h);
    struct dedup_slot *s = find_slot(d, key);

    if (s->key == key)
        memset(s, 0, sizeof *s);
}
