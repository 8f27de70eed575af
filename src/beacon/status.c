#include <string.h>

#include "nefia/beacon/beacon.h"
#include "nefia/beacon/spool_export.h"
#include "nefia/sys/cli.h"
#include "nefia/base/err.h"
#include "nefia/base/text.h"

#define POOL_PROGRAM_BEACON
#include "nefia/base/pool.h"

enum {
    TEXT_BYTES = 256,
    EMIT_TOKENS = 144, /* 64 members, the object, and a cause, with room */
    STATUS_COMMANDS = 8,
};

/* As enum instance_result. */
static const char result_words[] = "not run yet\0running\0ok\0failed\0not measured\0";

static uint64_t now_ms(const struct beacon *b)
{
    return clock_ms(b->loop.clock);
}

/* ---- status ---- */

static void put_hub(const struct uplink *u, struct text *t)
{
    if (u->hub_count == 0)
        text_char(t, '-');
    else if (u->hubs[u->hub].name)
        text_str(t, u->hubs[u->hub].name);
    else
        addr_text(t, &u->hubs[u->hub].addr);
}

static void put_uplink(const struct beacon *b, struct json_writer *w)
{
    const struct uplink *u = &b->uplink;
    const struct delivery *d = &u->delivery;
    char hub[TEXT_BYTES];
    struct text t;

    text_init(&t, hub, sizeof hub);
    put_hub(u, &t);
    json_object(w, "uplink");
    json_put_string(w, "state", uplink_state_text(u));
    json_put_string(w, "hub", t.buf);
    if (u->peer.family)
        json_put_string(w, "address", ADDR(&u->peer));
    json_put_u64(w, "since_ms", now_ms(b) - uplink_since_ms(u));
    json_put_u64(w, "next_try_ms", uplink_next_try_ms(u));
    json_put_u64(w, "delivered", u->delivered);
    json_put_u64(w, "connects", u->connects);
    json_put_u64(w, "failures", u->failures);
#ifdef CONFIG_BEACON_CONSOLE
    if (u->failure[0])
        json_put_string(w, "failure", u->failure);
#endif
    json_put_string(w, "delivery", delivery_way_text(d->state));
    json_put_bool(w, "signed", d->key && d->key->set);
    if (IS_ENABLED(CONFIG_BEACON_ACK)) {
        json_put_u64(w, "window", d->session->window);
        json_put_u64(w, "unsettled", d->session->unsettled);
        json_put_u64(w, "unknown", d->spool->unknown);
    }
    json_end_object(w);
}

static void put_by_severity(struct json_writer *w, const char *key,
                            const uint64_t count[SEVERITY_COUNT])
{
    json_object(w, key);
    for (int i = 0; i < SEVERITY_COUNT; i++)
        json_put_u64(w, severity_text((enum severity)i), count[i]);
    json_end_object(w);
}

static void put_file(struct spool_file *f, struct json_writer *w)
{
    json_object(w, "spool_file");
    json_put_u64(w, "events", f->events);
    json_put_u64(w, "bytes", f->size);
    json_put_u64(w, "size", f->cap);
    json_put_u64(w, "today", spool_file_today(f));
    json_put_u64(w, "daily", f->daily);
    json_put_u64(w, "skipped", f->skipped);
    json_put_u64(w, "failed", f->failed);
    json_put_u64(w, "damaged", f->damaged);
    json_end_object(w);
}

static void put_memory(const struct beacon *b, struct json_writer *w)
{
    const struct spool *s = &b->pipeline.spool;

    json_object(w, "spool");
    json_put_u64(w, "events", s->events);
    json_put_u64(w, "bytes", s->used);
    json_put_u64(w, "size", s->size);
    json_put_u64(w, "collapsed", s->collapsed);
    json_end_object(w);
    if (IS_ENABLED(CONFIG_SPOOL_FILE) && b->pipeline.flash)
        put_file(b->pipeline.flash, w);
}

static void put_program(const struct beacon *b, struct json_writer *w)
{
    const struct beacon_pipeline *p = &b->pipeline;

    json_object(w, NULL);
    json_put_string(w, "version", cli_version());
    json_put_string(w, "board", cli_board());
    json_put_string(w, "host_id", p->host_id);
    json_put_u64(w, "uptime_ms", now_ms(b) - b->started_ms);
    json_put_u64(w, "boot", p->boot);
    json_put_u64(w, "seq", p->seq);
    json_put_string(w, "config", b->path);
    json_put_string(w, "seccomp", b->seccomp ? b->seccomp : "off");
    json_put_u64(w, "reloads", b->reloads);
    json_put_u64(w, "failed_reloads", b->failed_reloads);
    put_uplink(b, w);
    put_by_severity(w, "accepted", p->accepted);
    put_by_severity(w, "repeated", p->repeated);
    put_by_severity(w, "over_rate", p->over_rate);
    put_by_severity(w, "lost", p->spool.lost_total);
    put_memory(b, w);
    if (IS_ENABLED(CONFIG_REMOTE_EXEC)) {
        remote_put(&pool_remote->remote, w);
        undo_put(pool_undo, w);
    }
    json_put_u64(w, "wakeups", b->loop.wakeups);
    json_end_object(w);
}

static void put_sensor(const struct beacon *b, struct json_writer *w, const struct emitter *e)
{
    json_object(w, NULL);
    json_put_string(w, "sensor", e->class->name);
    json_put_string(w, "name", e->common->name);
    json_put_string(w, "result", word_at(result_words, e->result));
    if (e->why[0])
        json_put_string(w, "reason", e->why);
    if (e->runs)
        json_put_u64(w, "last_run_ms_ago", now_ms(b) - e->last_run_ms);
    json_put_u64(w, "runs", e->runs);
    json_put_u64(w, "failures", e->failures);
    json_put_u64(w, "not_measured", e->not_measured);
    json_put_u64(w, "events", e->events);
    json_put_u64(w, "interval_ms", e->common->interval_ms);
    json_end_object(w);
}

/** The commands that began last, the last one first. Return: is it one of them? */
static bool put_command(unsigned index, struct json_writer *w)
{
    const struct remote *r = &pool_remote->remote;

    if (index >= r->count || index >= STATUS_COMMANDS)
        return false;
    remote_put_id(r, index, w);
    return true;
}

/** The program, then each sensor, then each command. */
static int produce_status(void *arg, struct control_cursor *cursor, struct text *out)
{
    const struct beacon *b = arg;
    const struct instance_set *set = sensor_runner_current(&b->sensor_runner);
    struct json_writer w;

    json_begin(&w, out);
    if (cursor->index == 0)
        put_program(b, &w);
    else if (cursor->index - 1 < set->count)
        put_sensor(b, &w, &set->items[cursor->index - 1]);
    else if (!IS_ENABLED(CONFIG_REMOTE_EXEC) || !put_command(cursor->index - 1 - set->count, &w))
        return 0;
    cursor->index++;
    return 1;
}

/* ---- emit ---- */

bool beacon_is_type(const char *s, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (!char_is_word((unsigned char)s[i]) && s[i] != '.' && s[i] != '-')
            return false;
    }
    return len > 0 && len <= EVENT_TYPE_MAX;
}

/** One JSON object in one line, or an array of that and its cause, without the white space around them. Return: 0, or negative with a
 * sentence. */
static int check_data(const char *data, struct slice *object, struct slice *cause, struct text *why)
{
    struct json_token tokens[EMIT_TOKENS];
    struct json_doc doc;
    struct json_error error;
    int err = json_parse(&doc, data, strlen(data), tokens, EMIT_TOKENS, 3, &error);

    if (err == 0) {
        const bool pair = json_at(&doc, 0)->type == JSON_ARRAY && json_at(&doc, 0)->size == 2;
        *object = json_raw(&doc, pair);
        if (json_at(&doc, pair)->type == JSON_OBJECT && !strchr(data, '\n') &&
            (!pair || event_cause(&doc, json_at(&doc, 1)->next, cause)))
            return 0;
    }
    text_str(why, "the data is not a JSON object in one line");
    if (err < 0) {
        text_str(why, ": ");
        text_str(why, error.what);
    }
    return NEFIA_EINVAL;
}

/** `emit SEVERITY TYPE {data}`, or `[{data},[cause]]`. The data is also the subject: only the very same event is a
 * repetition. */
static int begin_emit(void *arg, struct control_cursor *cursor, const char *args, struct text *why)
{
    struct beacon *b = arg;
    char type[EVENT_TYPE_MAX + 1];
    size_t severity_len = strcspn(args, " ");
    const char *name = args + severity_len + (args[severity_len] != '\0');
    size_t type_len = strcspn(name, " ");
    const char *data = name + type_len + (name[type_len] != '\0');
    int severity = severity_parse(args, severity_len);

    if (severity < 0) {
        text_str(why, "the severity is not one of info, warning, critical");
        return NEFIA_EINVAL;
    }
    if (!beacon_is_type(name, type_len)) {
        text_str(why, "the type is not made of 1 to 128 letters, digits, dots, - and _");
        return NEFIA_EINVAL;
    }
    struct slice object, cause = {NULL, 0};
    int err = check_data(data, &object, &cause, why);
    if (err < 0)
        return err;
    memcpy(type, name, type_len);
    type[type_len] = '\0';
    beacon_pipeline_begin_raw(&b->pipeline, object.ptr, object.len);
    int verdict = beacon_pipeline_end(
        &b->pipeline,
        &(struct pipeline_event){
            .type = type, .source = "emit", .subject = data, .severity = (enum severity)severity,
            .cause = cause});
    if (verdict < 0)
        return verdict;
    cursor->step = (unsigned)verdict;
    cursor->seq = b->pipeline.seq;
    return 0;
}

int beacon_say(struct control_cursor *cursor, struct text *out, bool fine, const char *sentence)
{
    struct json_writer w;

    if (cursor->flag)
        return 0;
    cursor->flag = true;
    cursor->exit = fine ? CLI_FINE : CLI_NO;
    json_begin(&w, out);
    json_put_string(&w, NULL, sentence);
    return 1;
}

static int produce_emit(void *arg, struct control_cursor *cursor, struct text *out)
{
    const struct beacon *b = arg;
    char row[TEXT_BYTES];
    struct text t;

    text_init(&t, row, sizeof row);
    if (cursor->step == PIPELINE_ACCEPTED) {
        text_str(&t, "accepted: boot ");
        text_u64(&t, b->pipeline.boot);
        text_str(&t, ", seq ");
        text_u64(&t, cursor->seq);
    } else if (cursor->step == PIPELINE_REPEATED) {
        text_str(&t, "suppressed: duplicate within dedup_window");
    } else {
        text_str(&t, "suppressed: over max_events_per_min");
    }
    return beacon_say(cursor, out, cursor->step == PIPELINE_ACCEPTED, t.buf);
}

#define VERB_SPOOL() {.name = "spool", .produce = spool_export_produce},
#define VERB_NONE()

const struct control_verb beacon_verbs[] = {
    {.name = "status", .produce = produce_status},
    {.name = "emit", .begin = begin_emit, .produce = produce_emit},
#ifdef CONFIG_BEACON_CONSOLE
    {.name = "events", .produce = beacon_events_produce},
    {.name = "try", .produce = beacon_try_produce},
    {.name = "reload", .begin = beacon_reload_begin, .produce = beacon_reload_produce},
#endif
    KCONFIG_CHOOSE(CONFIG_SPOOL_EXPORT, VERB_SPOOL, VERB_NONE)()
    {.name = NULL},
};
