/* What the console asks of the daemon beyond `status` and `emit`: verbs of the control socket. */
#include <string.h>

#include "nefia/base/err.h"
#include "nefia/beacon/beacon.h"

enum { DATA_SHOWN = 160 };

/* ---- events: those in the spool ---- */

/** What stands behind `key` and before `end`: behind the first one, or the last. Keys are quoted, and quotes within strings are escaped:
 * before `data`, and behind it, none but the event's own can be found. Return: empty if there is none. */
static struct slice between(const struct spool_event *e, const char *key, bool last, const char *end)
{
    const size_t len = strlen(key), end_len = strlen(end);
    size_t from = 0, to = 0;

    for (size_t at = 0; at + len <= e->len && (last || !from); at++)
        if (memcmp(e->line + at, key, len) == 0)
            from = at + len;
    for (size_t at = from; from && at + end_len <= e->len && !to; at++)
        if (memcmp(e->line + at, end, end_len) == 0)
            to = at;
    return (struct slice){e->line + from, to ? to - from : 0};
}

/** By the clock that never jumps, of this start; of an earlier one by wall time.
 * Return: milliseconds; UINT64_MAX: not known. */
static uint64_t age_ms(const struct beacon *b, const struct spool_event *e, struct slice stamp)
{
    const struct slice uptime = between(e, "\"uptime_ms\":", true, ",");
    const uint64_t now_ms = clock_ms(b->loop.clock);
    const int64_t now_s = clock_unix(b->loop.clock);
    uint64_t ms;
    int64_t s;

    if (e->id.boot == b->pipeline.boot && parse_u64(uptime.ptr, uptime.len, &ms) == 0 && ms <= now_ms)
        return now_ms - ms;
    return parse_rfc3339(stamp.ptr, stamp.len, &s) == 0 && s <= now_s ? (uint64_t)(now_s - s) * 1000 : UINT64_MAX;
}

static void put_slice(struct json_writer *w, const char *key, struct slice s)
{
    json_put_bytes(w, key, s.ptr, utf8_cut(s.ptr, s.len, DATA_SHOWN));
}

static void put_event(const struct beacon *b, const struct spool_item *item, struct json_writer *w)
{
    const struct spool_event *e = &item->event;
    const struct slice stamp = between(e, "\"timestamp\":\"", false, "\"");
    const uint64_t age = age_ms(b, e, stamp);

    json_object(w, NULL);
    json_put_string(w, "severity", severity_text(e->severity));
    put_slice(w, "type", between(e, "\"type\":\"", false, "\""));
    put_slice(w, "time", stamp);
    if (age != UINT64_MAX)
        json_put_u64(w, "age_ms", age);
    json_put_u64(w, "seq", e->id.seq);
    json_put_string(w, "state", item->at < b->pipeline.spool.sent ? "sent" : "waiting");
    json_put_bool(w, "flash", e->kept);
    put_slice(w, "data", between(e, "\"data\":", false, ",\"seq\":"));
    json_end_object(w);
}

int beacon_events_produce(void *arg, struct control_cursor *cursor, struct text *out)
{
    const struct beacon *b = arg;
    struct spool_item item;
    struct json_writer w;
    size_t at = 0;
    uint32_t i = 0;

    while (spool_walk(&b->pipeline.spool, &at, &item))
        if (i++ == cursor->index) {
            cursor->index++;
            json_begin(&w, out);
            put_event(b, &item, &w);
            return 1;
        }
    return 0;
}

/* ---- try, reload: their answer is a sentence ---- */

/** Once. */
static int say(struct control_cursor *cursor, struct text *out, const char *sentence)
{
    struct json_writer w;

    if (cursor->flag)
        return 0;
    cursor->flag = true;
    json_begin(&w, out);
    json_put_bytes(&w, NULL, sentence, strlen(sentence));
    return 1;
}

int beacon_try_produce(void *arg, struct control_cursor *cursor, struct text *out)
{
    struct beacon *b = arg;
    const bool waits = b->uplink.state == UPLINK_BACKOFF;

    if (cursor->flag)
        return 0;
    uplink_retry(&b->uplink);
    cursor->exit = waits ? CLI_FINE : CLI_NO;
    return say(cursor, out, waits ? "trying now" : "not waiting for a next try: `link` shows what it does");
}

static void reload_now(void *arg)
{
    struct beacon *b = arg;

    if (!b->stopping)
        beacon_reload(b);
    control_wake(&b->control);
}

int beacon_reload_begin(void *arg, struct control_cursor *cursor, const char *args, struct text *why)
{
    struct beacon *b = arg;

    (void)args;
    (void)why;
    /* Not from here: the control socket may be another one afterwards. */
    timer_start(&b->loop, &b->reload_timer, 0, reload_now, b);
    cursor->index = (uint32_t)b->reloads;
    cursor->seq = b->reloads + b->failed_reloads;
    return 0;
}

int beacon_reload_produce(void *arg, struct control_cursor *cursor, struct text *out)
{
    const struct beacon *b = arg;

    if (cursor->seq == b->reloads + b->failed_reloads)
        return NEFIA_EAGAIN;
    const bool done = cursor->index != (uint32_t)b->reloads;
    cursor->exit = done ? CLI_FINE : CLI_NO;
    return say(cursor, out, done ? "reloaded" : "refused, the running configuration stays in force: `config check` says why");
}
