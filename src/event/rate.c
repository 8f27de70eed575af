#include "nefia/event/rate.h"

#include <string.h>

#include "nefia/base/err.h"

enum { WINDOW_MS = 60 * 1000 };

void rate_init(struct rate *r, uint64_t *times, unsigned capacity)
{
    *r = (struct rate){.times = times, .capacity = capacity, .limit = capacity};
    memset(times, 0, capacity * sizeof *times);
}

int rate_set_limit(struct rate *r, unsigned limit)
{
    if (limit < 1 || limit > r->capacity)
        return NEFIA_EINVAL;
    r->limit = limit;
    return 0;
}

static unsigned place(const struct rate *r, unsigned i)
{
    const unsigned at = r->head + i;

    return at < r->capacity ? at : at - r->capacity;
}

static uint64_t entry(const struct rate *r, unsigned i)
{
    return r->times[place(r, i)];
}

static void forget_old(struct rate *r, uint64_t now_ms)
{
    while (r->used > 0 && now_ms - (entry(r, 0) >> 1) >= WINDOW_MS) {
        r->head = place(r, 1);
        r->used--;
    }
}

static unsigned reserve(unsigned limit)
{
    if (limit < 2)
        return 0;
    return limit < 5 ? 1 : limit / 5;
}

static unsigned count_critical(const struct rate *r)
{
    unsigned n = 0;

    for (unsigned i = 0; i < r->used; i++)
        n += (unsigned)(entry(r, i) & 1);
    return n;
}

bool rate_pass(struct rate *r, enum severity s, uint64_t now_ms)
{
    bool critical = s == SEVERITY_CRITICAL;

    forget_old(r, now_ms);
    if (r->used >= r->limit)
        return false;
    if (!critical && r->used - count_critical(r) >= r->limit - reserve(r->limit))
        return false;
    r->times[place(r, r->used)] = now_ms << 1 | critical;
    r->used++;
    return true;
}
