#include "nefia/beacon/pipeline.h"

#include <string.h>

#include "nefia/base/err.h"
#include "nefia/sys/log.h"
#include "nefia/sys/log_ring.h"

enum { MINUTE_MS = 60 * 1000, DAY_MS = 24 * 60 * MINUTE_MS };

void beacon_pipeline_init(struct beacon_pipeline *p, struct loop *loop, char *data, char *line)
{
    *p = (struct beacon_pipeline){.loop = loop, .data_buf = data, .line_buf = line};
}

static void begin(struct beacon_pipeline *p)
{
    text_init(&p->data, p->data_buf, CONFIG_EVENT_BYTES + 1);
    json_begin(&p->writer, &p->data);
}

struct json_writer *beacon_pipeline_begin(struct beacon_pipeline *p)
{
    begin(p);
    json_object(&p->writer, NULL);
    return &p->writer;
}

void beacon_pipeline_begin_raw(struct beacon_pipeline *p, const char *object, size_t len)
{
    begin(p);
    json_put_raw(&p->writer, NULL, object, len);
}

static void minute_over(void *arg)
{
    beacon_pipeline_report_suppressed(arg);
}

/** Suppressed for good, together with the repetitions it would have reported. */
static void suppress(struct beacon_pipeline *p, const struct event_head *h)
{
    suppressed_add(&p->suppressed, h->type, h->severity, 1);
    suppressed_add(&p->suppressed, h->type, h->severity,
                   h->suppressed < UINT32_MAX ? (uint32_t)h->suppressed : UINT32_MAX);
    if (!timer_active(&p->minute))
        timer_start(p->loop, &p->minute, MINUTE_MS, minute_over, p);
}

static enum pipeline_verdict judge(struct beacon_pipeline *p, const struct pipeline_event *e,
                                   struct event_head *h)
{
    uint64_t now = clock_ms(p->loop->clock);
    struct dedup_verdict v = dedup_check(&p->dedup, h, now);

    h->suppressed = v.suppressed;
    if (v.evicted) {
        suppressed_add(&p->suppressed, "repetitions", v.evicted_severity, v.evicted);
        if (!timer_active(&p->minute))
            timer_start(p->loop, &p->minute, MINUTE_MS, minute_over, p);
    }
    if (!v.pass && !e->change) {
        p->repeated[h->severity]++;
        return PIPELINE_REPEATED;
    }
    if (!rate_pass(&p->rate, h->severity, now)) {
        dedup_forget(&p->dedup, h);
        suppress(p, h);
        p->over_rate[h->severity]++;
        return PIPELINE_OVER_RATE;
    }
    return PIPELINE_ACCEPTED;
}

/** Report events that could not be kept on flash: at once, then at most once a day. */
static void report_flash(void *arg)
{
    static const struct pipeline_event e = {.type = "beacon.flash_budget",
                                            .source = "beacon",
                                            .severity = SEVERITY_WARNING,
                                            .own = true};
    struct beacon_pipeline *p = arg;
    struct spool_file *f = p->flash;

    if (f->unreported == 0)
        return;
    struct json_writer *w = beacon_pipeline_begin(p);
    json_put_u64(w, "skipped", f->unreported);
    json_put_u64(w, "failed", f->failed);
    json_put_u64(w, "written", spool_file_today(f));
    json_put_u64(w, "budget", f->daily);
    beacon_pipeline_end(p, &e);
    f->unreported = 0; /* including this event */
    timer_start(p->loop, &p->flash_day, DAY_MS, report_flash, p);
}

static void keep(struct beacon_pipeline *p, const struct spool_event *e)
{
    spool_file_keep(p->flash, e);
    if (p->flash->unreported > 0 && !timer_active(&p->flash_day))
        timer_start(p->loop, &p->flash_day, 0, report_flash, p);
}

/** Encode and pass on an event that has been accepted. */
static int deliver(struct beacon_pipeline *p, const struct pipeline_event *e, struct event_head *h)
{
    static const struct dedup every_part = {.parts = DEDUP_ALL};
    const char *data = p->data.truncated ? EVENT_CUT_DATA : p->data.buf;

    h->seq = p->seq + 1;
    text_init(&p->line, p->line_buf, CONFIG_EVENT_BYTES + 1);
    int len = event_encode(&p->line, h, data, strlen(data));
    if (len < 0) {
        LOG_ERROR("event ", h->type, " cannot be encoded: ", err_text(len));
        return len;
    }
    p->seq++;
    if (p->print)
        return p->print(p->arg, p->line.buf, p->line.len);
    const struct spool_event spooled = {
        .id = {h->boot, h->seq},
        .key = e->level ? dedup_key(&every_part, h) : 0,
        .severity = h->severity,
        .line = p->line.buf,
        .len = p->line.len,
    };
    int err = spool_push(&p->spool, &spooled);
    if (err < 0) {
        LOG_WARN("spool full: ", severity_text(h->severity), " event ", h->type, " lost");
        return err;
    }
    if (IS_ENABLED(CONFIG_SPOOL_FILE) && p->flash)
        keep(p, &spooled);
    p->accepted[h->severity]++;
    if (IS_ENABLED(CONFIG_BEACON_CONSOLE))
        LOG_DEBUG("event ", DEC(h->seq), ": ", severity_text(h->severity), " ", h->type, h->subject ? " " : "", h->subject ? h->subject : "");
    if (p->queued)
        p->queued(p->arg);
    return PIPELINE_ACCEPTED;
}

bool beacon_pipeline_repeats(struct beacon_pipeline *p, const struct pipeline_event *e)
{
    const struct event_head h = {.type = e->type,
                                 .source = e->source,
                                 .host_id = p->host_id,
                                 .subject = e->subject,
                                 .severity = e->severity};

    if (p->print || !dedup_repeats(&p->dedup, &h, clock_ms(p->loop->clock)))
        return false;
    p->repeated[h.severity]++;
    return true;
}

/** Is it an effect of commands, as far as can be told: soon after them, and about something that they had to do with? */
static bool is_effect(const struct beacon_pipeline *p, const struct event_head *h)
{
    const char *word = h->subject ? h->subject : h->type;
    const uint32_t hash = hash_bytes(HASH_START, word, strlen(word));
    unsigned i = 0;

    while (i < p->about_count && p->about[i] != hash)
        i++;
    return i < p->about_count && h->uptime_ms < p->cause_until_ms;
}

int beacon_pipeline_end(struct beacon_pipeline *p, const struct pipeline_event *e)
{
    struct event_head h = {
        .type = e->type,
        .source = e->source,
        .host_id = p->host_id,
        .subject = e->subject,
        .severity = e->severity,
        .unix_s = clock_unix(p->loop->clock),
        .synced = clock_synced(p->loop->clock),
        .boot = p->boot,
        .uptime_ms = clock_ms(p->loop->clock),
        .cause = e->cause,
    };

    if (IS_ENABLED(CONFIG_REMOTE_EXEC) && h.cause.len == 0 && is_effect(p, &h))
        h.cause = p->cause;
    if (p->writer.depth > 0)
        json_end_object(&p->writer);
    if (!e->own && !p->print) {
        enum pipeline_verdict v = judge(p, e, &h);
        if (v != PIPELINE_ACCEPTED)
            return (int)v;
    }
    return deliver(p, e, &h);
}

void beacon_pipeline_report_suppressed(struct beacon_pipeline *p)
{
    static const struct pipeline_event e = {
        .type = "beacon.suppressed", .source = "beacon", .severity = SEVERITY_WARNING, .own = true};

    timer_stop(&p->minute);
    if (!suppressed_any(&p->suppressed))
        return;
    begin(p);
    suppressed_report(&p->suppressed, &p->writer);
    beacon_pipeline_end(p, &e);
}

void beacon_pipeline_report_lost(struct beacon_pipeline *p)
{
    struct pipeline_event e = {.type = "beacon.events_lost",
                               .source = "beacon",
                               .severity = SEVERITY_WARNING,
                               .own = true};
    struct spool_lost lost;
    uint32_t sum = spool_take_lost(&p->spool, &lost);

    if (sum == 0)
        return;
    if (lost.count[SEVERITY_CRITICAL])
        e.severity = SEVERITY_CRITICAL;
    struct json_writer *w = beacon_pipeline_begin(p);
    json_put_u64(w, "lost", sum);
    for (int i = 0; i < SEVERITY_COUNT; i++)
        json_put_u64(w, severity_text((enum severity)i), lost.count[i]);
    json_put_u64(w, "first_seq", lost.first.seq);
    json_put_u64(w, "last_seq", lost.last.seq);
    if (IS_ENABLED(CONFIG_SPOOL_FILE) && lost.first.boot != p->boot) {
        json_put_u64(w, "first_boot", lost.first.boot);
        json_put_u64(w, "last_boot", lost.last.boot);
    }
    if (IS_ENABLED(CONFIG_BEACON_ACK)) {
        json_put_u64(w, "unknown", lost.unknown);
        json_put_u64(w, "collapsed", lost.collapsed);
    }
    /* If the report is lost itself (and counted), what it reported is left for the next one. */
    p->spool.reporting = &lost;
    int err = beacon_pipeline_end(p, &e);
    p->spool.reporting = NULL;
    if (err < 0)
        spool_put_lost(&p->spool, &lost);
}
