/* What the console asks of the daemon beyond `status` and `emit`: verbs of the control socket. */
#include <string.h>

#include "nefia/base/err.h"
#include "nefia/beacon/beacon.h"

enum { DATA_SHOWN = 160, SECOND_BYTES = 20 /* "2026-03-10T15:30:00Z" */ };

/* ---- events: those in the spool ---- */

/** What follows `key` in a line: the first one, or the last. Keys are quoted, and quotes within strings are escaped: before `data`, and
 * behind it, none but the event's own can be found. Return: ptr null if there is none. */
static struct slice behind(const struct spool_event *e, const char *key, bool last)
{
    const size_t len = strlen(key);
    struct slice found = {NULL, 0};

    for (size_t at = 0; at + len <= e->len && (last || !found.ptr); at++)
        if (memcmp(e->line + at, key, len) == 0)
            found = (struct slice){e->line + at + len, e->len - at - len};
    return found;
}

static void put_string_until(struct json_writer *w, const char *key, struct slice s, char end)
{
    const char *stop = s.ptr ? memchr(s.ptr, end, s.len) : NULL;

    if (stop)
        json_put_bytes(w, key, s.ptr, (size_t)(stop - s.ptr));
}

/** By the clock that never jumps, of this start; of an earlier one by wall time, where both ends had that.
 * Return: milliseconds; UINT64_MAX: not known. */
static uint64_t age_ms(const struct beacon *b, const struct spool_event *e)
{
    const struct slice uptime = behind(e, "\"uptime_ms\":", true), stamp = behind(e, "\"timestamp\":\"", false);
    const int64_t now_s = clock_unix(b->loop.clock);
    uint64_t ms = 0;
    int64_t at_s;
    size_t digits = 0;

    while (digits < uptime.len && uptime.ptr[digits] >= '0' && uptime.ptr[digits] <= '9')
        digits++;
    if (e->id.boot == b->pipeline.boot && digits > 0 && parse_u64(uptime.ptr, digits, &ms) == 0 && ms <= clock_ms(b->loop.clock))
        return clock_ms(b->loop.clock) - ms;
    if (behind(e, "\"clock\":\"synced\"", true).ptr && clock_synced(b->loop.clock) && stamp.len > SECOND_BYTES &&
        parse_rfc3339(stamp.ptr, SECOND_BYTES, &at_s) == 0 && at_s <= now_s)
        return (uint64_t)(now_s - at_s) * 1000;
    return UINT64_MAX;
}

static void put_event(const struct beacon *b, const struct spool_item *item, struct json_writer *w)
{
    const struct spool_event *e = &item->event;
    struct slice data = behind(e, "\"data\":", false);
    const struct slice rest = behind(e, ",\"seq\":", true);
    const uint64_t age = age_ms(b, e);

    json_object(w, NULL);
    json_put_string(w, "severity", severity_text(e->severity));
    put_string_until(w, "type", behind(e, "\"type\":\"", false), '"');
    put_string_until(w, "time", behind(e, "\"timestamp\":\"", false), '"');
    if (age != UINT64_MAX)
        json_put_u64(w, "age_ms", age);
    json_put_u64(w, "boot", e->id.boot);
    json_put_u64(w, "seq", e->id.seq);
    json_put_string(w, "state", item->at < b->pipeline.spool.sent ? "sent" : "waiting");
    json_put_bool(w, "flash", e->kept);
    if (data.ptr && rest.ptr > data.ptr)
        data.len = (size_t)(rest.ptr - data.ptr) - (sizeof ",\"seq\":" - 1);
    if (data.ptr)
        json_put_bytes(w, "data", data.ptr, utf8_cut(data.ptr, data.len, DATA_SHOWN));
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
