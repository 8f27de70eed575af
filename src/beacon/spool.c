#include "nefia/beacon/spool.h"

#include <stdbool.h>
#include <string.h>

#include "nefia/base/err.h"
#include "nefia/link/export.h"

_Static_assert(CONFIG_SPOOL_KB * 1024 / 5 * 4 >= CONFIG_EVENT_BYTES + SPOOL_HEADER,
               "CONFIG_SPOOL_KB cannot hold one event of maximum size: raise it, or lower CONFIG_EVENT_BYTES");

/** Are events sent in another order than they were added? */
#define ORDERED IS_ENABLED(CONFIG_BEACON_ACK)
/** No record. */
#define NOWHERE SIZE_MAX
#define LENGTH_MAX 65536
/** Fields of a record's first word: severity, kept, index of a name, length. */
#define KEPT UINT32_C(0x800000)
#define NAME_SHIFT 17
#define LENGTH (ORDERED ? (UINT32_C(1) << NAME_SHIFT) - 1 : UINT32_C(0xFFFFFF))
/** Under which name a record was written: never; one of the table, from 1; or several, or one that
 * is not known. */
enum { NEVER = 0, SEVERAL = 63 };

_Static_assert(LENGTH_MAX < 1 << NAME_SHIFT && SPOOL_NAMES < 31, "the fields of a record overlap");

static size_t record_size(const struct spool *s, size_t at)
{
    return SPOOL_HEADER + (get_be32(s->mem + at) & LENGTH);
}

static enum severity record_severity(const struct spool *s, size_t at)
{
    return (enum severity)s->mem[at];
}

void spool_init(struct spool *s, uint8_t *mem, size_t size)
{
    *s = (struct spool){.size = size};
    s->mem = mem;
}

static struct spool_id record_id(const struct spool *s, size_t at)
{
    const uint8_t *p = s->mem + at;

    return (struct spool_id){IS_ENABLED(CONFIG_BEACON_ACK) ? get_be64(p + 12) : 0,
                             get_be64(p + 4)};
}

static bool older(struct spool_id a, struct spool_id b)
{
    return ORDERED && a.boot != b.boot ? a.boot < b.boot : a.seq < b.seq;
}

static bool same(struct spool_id a, struct spool_id b)
{
    return (!ORDERED || a.boot == b.boot) && a.seq == b.seq;
}

static void count_lost(struct spool *s, enum severity sev, struct spool_id id)
{
    struct spool_lost *l = &s->lost;

    if (l->last.seq == 0 || older(id, l->first))
        l->first = id;
    if (older(l->last, id))
        l->last = id;
    if (l->count[sev] < UINT32_MAX)
        l->count[sev]++;
    s->lost_total[sev]++;
}

/** Offset of the least severe record up to `most`: the oldest unsent, else the oldest sent. */
static size_t find_victim(const struct spool *s, enum severity most)
{
    size_t victim = NOWHERE;
    int least = (int)most + 1;

    for (size_t at = 0; at < s->used; at += record_size(s, at)) {
        int sev = (int)record_severity(s, at);
        bool gives_way = sev < least;

        if (sev == least && victim != NOWHERE)
            gives_way = (victim < s->sent) != (at < s->sent)
                            ? at >= s->sent
                            : ORDERED && older(record_id(s, at), record_id(s, victim));
        if (gives_way) {
            least = sev;
            victim = at;
        }
    }
    return victim;
}

static void get_item(const struct spool *s, size_t at, struct spool_item *out)
{
    *out = (struct spool_item){
        .at = at,
        .event = {.id = record_id(s, at),
                  .severity = record_severity(s, at),
                  .line = (const char *)s->mem + at + SPOOL_HEADER,
                  .len = record_size(s, at) - SPOOL_HEADER},
    };
    if (IS_ENABLED(CONFIG_SPOOL_FILE)) {
        out->event.key = get_be64(s->mem + at + 20);
        out->event.kept = get_be32(s->mem + at) & KEPT;
    }
}

/** Remove a record. */
static void tell(const struct spool *s, size_t at)
{
    struct spool_item item;

    if (!IS_ENABLED(CONFIG_SPOOL_FILE))
        return;
    get_item(s, at, &item);
    if (item.event.kept)
        s->left(s->left_arg, &item.event);
}

static void forget(struct spool *s, size_t at)
{
    size_t size = record_size(s, at);

    tell(s, at);
    s->bytes[record_severity(s, at)] -= size;
    s->events--;
    if (at < s->sent)
        s->sent -= size;
    else
        s->unsent--;
    s->used -= size;
    memmove(s->mem + at, s->mem + at + size, s->used - at);
}

static void evict(struct spool *s, size_t at)
{
    const enum severity sev = record_severity(s, at);
    const struct spool_id id = record_id(s, at);

    forget(s, at);
    count_lost(s, sev, id);
}

/** A new event of this condition was added: remove the one it supersedes. */
static void collapse(struct spool *s, const struct spool_event *e)
{
    for (size_t at = s->sent; at < s->used; at += record_size(s, at))
        if (record_severity(s, at) == e->severity && get_be64(s->mem + at + 20) == e->key) {
            s->collapsed++;
            s->lost.collapsed++;
            s->collapsing = true;
            forget(s, at);
            s->collapsing = false;
            return; /* there is at most one */
        }
}

static size_t below_critical(const struct spool *s)
{
    return s->used - s->bytes[SEVERITY_CRITICAL];
}

static bool fits(const struct spool *s, enum severity sev, size_t need)
{
    if (need > s->size - s->used)
        return false;
    return sev == SEVERITY_CRITICAL || below_critical(s) + need <= s->size / 5 * 4;
}

/** Would it fit if everything that it may evict were evicted? */
static bool could_fit(const struct spool *s, enum severity sev, size_t need)
{
    struct spool rest = *s;

    for (int i = 0; i <= (int)sev; i++) {
        rest.used -= rest.bytes[i];
        rest.bytes[i] = 0;
    }
    return fits(&rest, sev, need);
}

static void put_record(uint8_t *p, const struct spool_event *e)
{
    put_be32(p, (uint32_t)e->severity << 24 | (uint32_t)e->len |
                    (IS_ENABLED(CONFIG_SPOOL_FILE) && e->kept ? KEPT : 0));
    put_be64(p + 4, e->id.seq);
    if (IS_ENABLED(CONFIG_BEACON_ACK)) {
        put_be64(p + 12, e->id.boot);
        put_be64(p + 20, e->key);
    }
    memcpy(p + SPOOL_HEADER, e->line, e->len);
}

int spool_push(struct spool *s, const struct spool_event *e)
{
    size_t need = SPOOL_HEADER + e->len;

    if (e->len < 1 || e->len > LENGTH_MAX || !could_fit(s, e->severity, need)) {
        count_lost(s, e->severity, e->id);
        return NEFIA_EFULL;
    }
    if (IS_ENABLED(CONFIG_BEACON_ACK) && e->key)
        collapse(s, e);
    while (!fits(s, e->severity, need))
        evict(s, find_victim(s, e->severity));
    put_record(s->mem + s->used, e);
    s->used += need;
    s->bytes[e->severity] += need;
    s->events++;
    s->unsent++;
    return 0;
}

/* ---- Names ---- */

static unsigned record_name(const struct spool *s, size_t at)
{
    return get_be32(s->mem + at) >> NAME_SHIFT & SEVERAL;
}

static void set_name(struct spool *s, size_t at, unsigned name)
{
    const uint32_t word = get_be32(s->mem + at) & ~((uint32_t)SEVERAL << NAME_SHIFT);

    put_be32(s->mem + at, word | (uint32_t)name << NAME_SHIFT);
}

/** Index of a name, which is put into the table in place of one that no record has. */
static unsigned index_of(struct spool *s, const uint8_t *name)
{
    uint32_t used = 0;

    for (unsigned i = 0; i < SPOOL_NAMES; i++)
        if (memcmp(s->names[i], name, LINK_NAME) == 0)
            return i + 1;
    for (size_t at = 0; at < s->used; at += record_size(s, at))
        used |= UINT32_C(1) << (record_name(s, at) & 31);
    for (unsigned i = 0; i < SPOOL_NAMES; i++)
        if (!(used >> (i + 1) & 1)) {
            memcpy(s->names[i], name, LINK_NAME);
            return i + 1;
        }
    return SEVERAL;
}

void spool_written(struct spool *s, size_t at, const uint8_t *name)
{
    const unsigned before = record_name(s, at);
    unsigned now = name ? index_of(s, name) : SEVERAL;

    if (before != NEVER && before != now)
        now = SEVERAL;
    set_name(s, at, now);
    if (IS_ENABLED(CONFIG_SPOOL_FILE) && s->written && get_be32(s->mem + at) & KEPT)
        s->written(s->left_arg, record_id(s, at).boot, now == SEVERAL ? NULL : name);
}

uint64_t spool_exported(struct spool *s, const struct spool_item *item, const uint8_t *name)
{
    static const uint8_t nobodys[LINK_NAME] = {0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF};
    const unsigned before = record_name(s, item->at);

    if (before == NEVER)
        spool_written(s, item->at, name ? name : nobodys);
    if (before == NEVER || (before != SEVERAL && memcmp(s->names[before - 1], nobodys, LINK_NAME) == 0))
        return EXPORT_NEW;
    return before == SEVERAL ? EXPORT_UNSURE : get_be64(s->names[before - 1]);
}

bool spool_sure(const struct spool *s, const struct spool_item *item, const uint8_t *name)
{
    const unsigned before = record_name(s, item->at);

    return before == NEVER || (before != SEVERAL && name &&
                               memcmp(s->names[before - 1], name, LINK_NAME) == 0);
}

void spool_doubt(struct spool *s, uint64_t boot)
{
    for (size_t at = 0; at < s->used; at += record_size(s, at))
        if (record_id(s, at).boot == boot && record_name(s, at) != NEVER)
            spool_written(s, at, NULL);
}

/* ---- Sending ---- */

/** The lowest seq of a start. */
static uint64_t lowest(const struct spool *s, uint64_t boot)
{
    uint64_t low = UINT64_MAX;

    for (size_t at = 0; at < s->used; at += record_size(s, at)) {
        const struct spool_id id = record_id(s, at);
        if (id.boot == boot && id.seq < low)
            low = id.seq;
    }
    return low;
}

bool spool_has(const struct spool *s, uint64_t boot)
{
    return lowest(s, boot) != UINT64_MAX;
}

/** Keep to the earlier start that is being sent; once it is settled, take the lowest. */
static void choose_earlier(struct spool *s)
{
    uint64_t low = UINT64_MAX;

    for (size_t at = 0; at < s->used; at += record_size(s, at)) {
        const uint64_t boot = record_id(s, at).boot;
        if (boot == s->earlier)
            return;
        if (boot != s->own && boot < low)
            low = boot;
    }
    s->earlier = low;
}

/** Should the record at `at` be sent before the one at `before`? */
static bool first(const struct spool *s, size_t at, size_t before)
{
    enum severity a = record_severity(s, at), b = record_severity(s, before);

    return a != b ? a > b : older(record_id(s, before), record_id(s, at));
}

int spool_next(struct spool *s, struct spool_item *out)
{
    size_t best = NOWHERE;

    if (s->unsent == 0)
        return 0;
    if (!ORDERED) {
        get_item(s, s->sent, out);
        return 1;
    }
    choose_earlier(s);
    const uint64_t own = lowest(s, s->own), earlier = lowest(s, s->earlier);
    for (size_t at = s->sent; at < s->used; at += record_size(s, at)) {
        const struct spool_id id = record_id(s, at);

        if ((id.boot != s->own && id.boot != s->earlier) ||
            id.seq - (id.boot == s->own ? own : earlier) >= LINK_SPAN)
            continue;
        if (best == NOWHERE || first(s, at, best))
            best = at;
    }
    if (best == NOWHERE)
        return 0;
    get_item(s, best, out);
    return 1;
}

static void reverse(uint8_t *p, size_t n)
{
    for (size_t i = 0, k = n; i + 1 < k; i++) {
        uint8_t byte = p[--k];

        p[k] = p[i];
        p[i] = byte;
    }
}

void spool_mark_sent(struct spool *s, const struct spool_item *item, uint32_t line,
                     const uint8_t *name)
{
    size_t size = SPOOL_HEADER + item->event.len, skipped = item->at - s->sent;
    uint8_t *p = s->mem + s->sent;

    if (ORDERED)
        spool_written(s, item->at, name);
    /* Move it after those already sent, in place, past the records it overtook. */
    if (ORDERED && skipped > 0) {
        reverse(p, skipped);
        reverse(p + skipped, size);
        reverse(p, skipped + size);
    }
    if (ORDERED)
        put_be32(p + 28, line);
    s->sent += size;
    s->unsent--;
}

int spool_sent(const struct spool *s, struct spool_item *out)
{
    if (s->sent == 0)
        return 0;
    get_item(s, 0, out);
    return 1;
}

unsigned spool_up_to(const struct spool *s, uint32_t line)
{
    unsigned n = 0;

    for (size_t at = 0; at < s->sent; at += record_size(s, at), n++)
        if (get_be32(s->mem + at + 28) > line)
            break;
    return n;
}

int spool_at_line(const struct spool *s, uint32_t line, struct spool_item *out)
{
    for (size_t at = 0; at < s->sent; at += record_size(s, at))
        if (get_be32(s->mem + at + 28) == line) {
            get_item(s, at, out);
            return 1;
        }
    return 0;
}

unsigned spool_arrived(const struct spool *s, size_t missing, size_t extra)
{
    size_t total = 0, whole = 0;
    unsigned n = 0;

    for (size_t at = 0; at < s->sent; at += record_size(s, at))
        total += record_size(s, at) - SPOOL_HEADER + extra;
    for (size_t at = 0; at < s->sent; at += record_size(s, at), n++) {
        whole += record_size(s, at) - SPOOL_HEADER + extra;
        if (whole + missing > total)
            break;
    }
    return n;
}

unsigned spool_delivered_first(struct spool *s, unsigned n)
{
    unsigned gone = 0;
    size_t at = 0;

    for (size_t size; gone < n && at < s->sent; gone++, at += size) {
        tell(s, at);
        size = record_size(s, at);
        s->bytes[record_severity(s, at)] -= size;
    }
    s->used -= at;
    memmove(s->mem, s->mem + at, s->used);
    s->sent -= at;
    s->events -= gone;
    return gone;
}

unsigned spool_delivered(struct spool *s)
{
    return spool_delivered_first(s, s->events - s->unsent);
}

/** Return: its offset, or NOWHERE. */
static size_t find(const struct spool *s, struct spool_id id)
{
    size_t at = 0;

    while (at < s->used && !same(record_id(s, at), id))
        at += record_size(s, at);
    return at < s->used ? at : NOWHERE;
}

void spool_give_up(struct spool *s, struct spool_id id)
{
    size_t at = find(s, id);

    if (at != NOWHERE)
        evict(s, at);
}

void spool_unknown(struct spool *s, struct spool_id id)
{
    s->unknown++;
    s->lost.unknown++;
    spool_give_up(s, id);
}

void spool_rewind(struct spool *s)
{
    s->earlier = 0;
    s->sent = 0;
    s->unsent = s->events;
}

uint32_t spool_take_lost(struct spool *s, struct spool_lost *out)
{
    uint32_t sum = 0;

    for (int i = 0; i < SEVERITY_COUNT; i++) {
        uint32_t n = s->lost.count[i];
        sum = n < UINT32_MAX - sum ? sum + n : UINT32_MAX;
    }
    if (sum > 0) {
        *out = s->lost;
        s->lost = (struct spool_lost){0};
    }
    return sum;
}

void spool_put_lost(struct spool *s, const struct spool_lost *lost)
{
    struct spool_lost *l = &s->lost;

    for (int i = 0; i < SEVERITY_COUNT; i++)
        l->count[i] += lost->count[i];
    l->collapsed += lost->collapsed;
    l->unknown += lost->unknown;
    l->first = lost->first;
    if (l->last.seq == 0)
        l->last = lost->last;
}

/* ---- for SPOOL_FILE ---- */

int spool_walk(const struct spool *s, size_t *at, struct spool_item *out)
{
    if (*at >= s->used)
        return 0;
    get_item(s, *at, out);
    *at += record_size(s, *at);
    return 1;
}

void spool_set_kept(struct spool *s, size_t at, bool kept)
{
    uint32_t word = get_be32(s->mem + at);

    put_be32(s->mem + at, kept ? word | KEPT : word & ~KEPT);
}

void spool_remove(struct spool *s, struct spool_id id)
{
    size_t at = find(s, id);

    if (at != NOWHERE)
        forget(s, at);
}
