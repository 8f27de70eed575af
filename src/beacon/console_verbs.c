/* What the console asks of the daemon beyond `status` and `emit`: verbs of the control socket. */
#include <signal.h>
#include <string.h>

#include "nefia/base/err.h"
#include "nefia/beacon/beacon.h"

enum { DATA_SHOWN = 160 };

/* ---- events: those in the spool ---- */

/** What stands behind the first `key`; empty: there is none. Keys are quoted, and quotes within strings are escaped: before `data`, and
 * behind it, none but the event's own can be found. */
static struct slice behind(struct slice s, const char *key)
{
    const size_t len = strlen(key);

    while (s.len > len && memcmp(s.ptr, key, len) != 0)
        s.ptr++, s.len--;
    return s.len > len ? (struct slice){s.ptr + len, s.len - len} : (struct slice){s.ptr, 0};
}

/** What stands behind the last one: the event's data may have another. Empty: there is none. */
static struct slice behind_last(struct slice s, const char *key)
{
    struct slice found = {s.ptr, 0};

    while ((s = behind(s, key)).len)
        found = s;
    return found;
}

/** s up to the first of these characters. */
static struct slice up_to(struct slice s, char end)
{
    const char *at = s.len ? memchr(s.ptr, end, s.len) : NULL;

    return (struct slice){s.ptr, at ? (size_t)(at - s.ptr) : 0};
}

/** Seconds from a time in RFC 3339 to now. Texts of our own are in the order of their times: no calendar is needed to find one. */
static uint32_t seconds_since(struct slice stamp, uint32_t now_s)
{
    uint32_t from = 0, to = now_s;
    char buf[sizeof "2026-03-10T15:30:00Z"];
    struct text t;

    while (from < to) {
        const uint32_t middle = from + (to - from) / 2;
        text_init(&t, buf, sizeof buf);
        text_rfc3339(&t, middle);
        if (stamp.len == t.len && memcmp(buf, stamp.ptr, t.len) < 0)
            from = middle + 1;
        else
            to = middle;
    }
    return now_s - from;
}

/** By the clock that never jumps, of this start; of an earlier one by wall time. Return: milliseconds; 0: not known. */
static uint64_t age_ms(const struct beacon *b, const struct spool_event *e, struct slice stamp)
{
    const uint64_t now_ms = clock_ms(b->loop.clock);
    uint64_t ms;

    if (e->id.boot != b->pipeline.boot)
        return (uint64_t)seconds_since(stamp, (uint32_t)clock_unix(b->loop.clock)) * 1000;
    const struct slice uptime = up_to(behind_last((struct slice){e->line, e->len}, "\"uptime_ms\":"), ',');
    return parse_u64(uptime.ptr, uptime.len, &ms) == 0 && ms <= now_ms ? now_ms - ms + 1 : 0; /* one of this very moment is known */
}

static void put_event(const struct beacon *b, const struct spool_item *item, struct json_writer *w)
{
    const struct spool_event *e = &item->event;
    static const char end[] = ",\"seq\":";
    const struct slice line = {e->line, e->len}, data = behind(line, "\"data\":"), rest = behind_last(data, end);
    const struct slice stamp = up_to(behind(line, "\"timestamp\":\""), '"'), type = up_to(behind(line, "\"type\":\""), '"');
    const size_t data_len = rest.len ? data.len - rest.len - strlen(end) : data.len;
    const uint64_t age = age_ms(b, e, stamp);

    json_object(w, NULL);
    json_put_string(w, "severity", severity_text(e->severity));
    json_put_bytes(w, "type", type.ptr, type.len);
    json_put_bytes(w, "time", stamp.ptr, stamp.len);
    if (age)
        json_put_u64(w, "age_ms", age);
    json_put_u64(w, "seq", e->id.seq);
    json_put_string(w, "state", item->at < b->pipeline.spool.sent ? "sent" : "waiting");
    json_put_bool(w, "flash", e->kept);
    json_put_bytes(w, "data", data.ptr, utf8_cut(data.ptr, data_len, DATA_SHOWN));
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

int beacon_try_produce(void *arg, struct control_cursor *cursor, struct text *out)
{
    struct beacon *b = arg;
    const bool waits = b->uplink.state == UPLINK_BACKOFF;

    if (!cursor->flag)
        uplink_retry(&b->uplink);
    return beacon_say(cursor, out, waits, waits ? "trying now" : "not waiting for a next try");
}

int beacon_reload_begin(void *arg, struct control_cursor *cursor, const char *args, struct text *why)
{
    const struct beacon *b = arg;

    (void)args;
    (void)why;
    cursor->index = (uint32_t)b->reloads;
    cursor->seq = b->reloads + b->failed_reloads;
    return raise(SIGHUP); /* not at once: the control socket may be another one afterwards */
}

int beacon_reload_produce(void *arg, struct control_cursor *cursor, struct text *out)
{
    const struct beacon *b = arg;
    const bool done = cursor->index != (uint32_t)b->reloads;

    if (cursor->seq == b->reloads + b->failed_reloads)
        return NEFIA_EAGAIN;
    return beacon_say(cursor, out, done, done ? "reloaded" : "refused, the running configuration stays: see `config check`");
}
