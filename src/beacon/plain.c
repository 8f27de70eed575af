#include "nefia/beacon/plain.h"

#include <string.h>

#include "nefia/sys/log.h"

enum {
    CHECK_FIRST_MS = 20, /* interval of checks while data is in flight; doubles */
    CHECK_MOST_MS = 1000,
    SETTLE_MS = 100, /* after everything arrived: a hub that rejects data resets the connection */
};

void plain_init(struct plain *p, struct spool *spool)
{
    *p = (struct plain){.spool = spool};
}

void plain_begin(struct plain *p)
{
    p->deadline_ms = 0;
    p->check_ms = CHECK_FIRST_MS / 2;
    p->settling = 0;
}

void plain_wait(struct plain *p, uint64_t now_ms)
{
    if (p->check_ms < CHECK_MOST_MS)
        p->check_ms *= 2;
    p->deadline_ms = now_ms + p->check_ms;
}

/** Bytes on the stream beyond the event's own. */
static size_t ending(const struct mac_key *key)
{
    return key->set ? MAC_HEX + 2 : 1;
}

size_t plain_next(struct plain *p, const struct mac_key *key, uint64_t now_ms, char *line)
{
    struct spool *s = p->spool;
    struct spool_item item;

    if (p->suspects > 0 && s->unsent < s->events)
        return 0; /* one at a time */
    if (!spool_next(s, &item))
        return 0;
    const size_t len = item.event.len, all = len + ending(key);
    memcpy(line, item.event.line, len);
    if (key->set)
        mac_sign_hex(key, line, len, line + len + 1);
    line[len] = line[all - 1] = '\n';
    spool_mark_sent(s, &item, 0, NULL);
    if (p->deadline_ms == 0) {
        plain_begin(p);
        plain_wait(p, now_ms);
    }
    return all;
}

static uint32_t losses(const struct spool *s)
{
    uint32_t sum = 0;

    for (int i = 0; i < SEVERITY_COUNT; i++)
        sum += (uint32_t)s->lost_total[i];
    return sum;
}

static unsigned deliver(struct plain *p, unsigned n)
{
    n = spool_delivered_first(p->spool, n);
    p->suspects -= n < p->suspects ? n : p->suspects;
    return n;
}

unsigned plain_settle(struct plain *p)
{
    const unsigned n = p->settling;

    p->settling = 0;
    /* Losses in the spool meanwhile invalidate the count: start over. */
    return n > 0 && p->losses == losses(p->spool) ? deliver(p, n) : 0;
}

void plain_check(struct plain *p, const struct mac_key *key, size_t missing, uint64_t now_ms)
{
    const struct spool *s = p->spool;

    p->deadline_ms = 0;
    if (s->events == s->unsent)
        return;
    plain_wait(p, now_ms);
    /* Including what was just sent. A reset empties the queue; the next check sees it as an error. */
    p->settling = spool_arrived(s, missing, ending(key));
    if (p->settling == 0)
        return;
    p->losses = losses(s);
    p->check_ms = SETTLE_MS;
    p->deadline_ms = now_ms + SETTLE_MS;
}

unsigned plain_arrived(struct plain *p)
{
    return deliver(p, p->spool->events - p->spool->unsent);
}

void plain_refused(struct plain *p, unsigned events)
{
    struct spool_item item;

    p->suspects = events;
    if (events != 1 || !spool_sent(p->spool, &item))
        return;
    const struct spool_id id = item.event.id;
    if (id.seq != p->refused.seq || id.boot != p->refused.boot)
        p->refusals = 0;
    p->refused = id;
    if (++p->refusals < PLAIN_REFUSALS)
        return;
    LOG_WARN("event ", DEC(id.seq), " rejected ", DEC(p->refusals), " times: dropped");
    p->refusals = 0;
    spool_give_up(p->spool, id);
}
