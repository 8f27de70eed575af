#include "nefia/spool.h"

#include <stdbool.h>
#include <string.h>

#include "nefia/err.h"

_Static_assert(CONFIG_SPOOL_KB * 1024 / 5 * 4 >= CONFIG_EVENT_BYTES + SPOOL_HEADER,
               "SPOOL_KB cannot hold one longest event: raise it, or lower EVENT_BYTES");

/** No record. */
#define NOWHERE SIZE_MAX
#define LENGTH_MAX 65536

static size_t record_size(const struct spool *s, size_t at)
{
    return SPOOL_HEADER + (get_be32(s->mem + at) & 0xFFFFFF);
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

static void count_lost(struct spool *s, enum severity sev)
{
    if (s->lost[sev] < UINT32_MAX)
        s->lost[sev]++;
    s->lost_total[sev]++;
}

/** The place of the least severe record up to `most`: the oldest unsent, else the oldest sent. */
static size_t find_victim(const struct spool *s, enum severity most)
{
    size_t victim = NOWHERE;
    int least = (int)most + 1;

    for (size_t at = 0; at < s->used; at += record_size(s, at)) {
        int sev = (int)record_severity(s, at);
        bool first_unsent = sev == least && victim < s->sent && at >= s->sent;

        if (sev < least || first_unsent) {
            least = sev;
            victim = at;
        }
    }
    return victim;
}

static void evict(struct spool *s, size_t at)
{
    size_t size = record_size(s, at);
    enum severity sev = record_severity(s, at);

    count_lost(s, sev);
    s->bytes[sev] -= size;
    s->events--;
    if (at < s->sent)
        s->sent -= size;
    else
        s->unsent--;
    s->used -= size;
    memmove(s->mem + at, s->mem + at + size, s->used - at);
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

/** Would it fit if everything went that may go for it? */
static bool could_fit(const struct spool *s, enum severity sev, size_t need)
{
    struct spool rest = *s;

    for (int i = 0; i <= (int)sev; i++) {
        rest.used -= rest.bytes[i];
        rest.bytes[i] = 0;
    }
    return fits(&rest, sev, need);
}

int spool_push(struct spool *s, enum severity sev, uint64_t seq, const char *line, size_t len)
{
    size_t need = SPOOL_HEADER + len;
    uint8_t *p;

    if (len < 1 || len > LENGTH_MAX || !could_fit(s, sev, need)) {
        count_lost(s, sev);
        return NEFIA_EFULL;
    }
    while (!fits(s, sev, need))
        evict(s, find_victim(s, sev));
    p = s->mem + s->used;
    put_be32(p, (uint32_t)sev << 24 | (uint32_t)len);
    put_be64(p + 4, seq);
    memcpy(p + SPOOL_HEADER, line, len);
    s->used += need;
    s->bytes[sev] += need;
    s->events++;
    s->unsent++;
    return 0;
}

int spool_next(const struct spool *s, struct spool_item *out)
{
    const uint8_t *p = s->mem + s->sent;

    if (s->unsent == 0)
        return 0;
    *out = (struct spool_item){
        .line = (const char *)p + SPOOL_HEADER,
        .len = record_size(s, s->sent) - SPOOL_HEADER,
        .seq = get_be64(p + 4),
        .severity = record_severity(s, s->sent),
    };
    return 1;
}

void spool_mark_sent(struct spool *s)
{
    if (s->unsent == 0)
        return;
    s->sent += record_size(s, s->sent);
    s->unsent--;
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

void spool_give_up(struct spool *s)
{
    if (s->events > 0)
        evict(s, 0);
}

void spool_rewind(struct spool *s)
{
    s->sent = 0;
    s->unsent = s->events;
}

uint32_t spool_take_lost(struct spool *s, uint32_t lost[SEVERITY_COUNT])
{
    uint32_t sum = 0;

    for (int i = 0; i < SEVERITY_COUNT; i++) {
        lost[i] = s->lost[i];
        sum = lost[i] < UINT32_MAX - sum ? sum + lost[i] : UINT32_MAX;
        s->lost[i] = 0;
    }
    return sum;
}
