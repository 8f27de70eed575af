#include "nefia/hub/status.h"

#include <string.h>

#include "nefia/base/err.h"
#include "nefia/hub/devices.h"
#include "nefia/hub/dispatch.h"
#include "nefia/hub/import.h"
#include "nefia/hub/silence_verbs.h"
#include "nefia/hub/why.h"
#include "nefia/hub/playbook_driver.h"
#include "nefia/sys/heap.h"
#include "nefia/sys/log.h"

enum { STEP_RULES, STEP_HOSTS, STEP_RECENT, STEP_COUNTERS, STEP_END };

/* ---- Records ---- */

static void put_or_null(struct json_writer *w, const char *key, const char *s)
{
    if (*s)
        json_put_string(w, key, s);
    else
        json_put_null(w, key);
}

/** breaker: null: the rule has none. */
static void put_restraint(const struct pipeline *p, struct json_writer *w, unsigned i)
{
    static const char words[] = "closed\0open\0trying\0";
    const struct rule *r = &rules_active(p->rules)->rules[i];
    const struct restraint_settings *s = rules_restraint(p->rules, i);

    json_put_bool(w, "restraint", s || r->restrained > 0);
    json_put_u64(w, "restrained", r->restrained);
    if (s && s->failures > 0)
        json_put_string(w, "breaker", word_at(words, restraint_breaker(&p->restraint->restraint, (uint16_t)i)));
    else
        json_put_null(w, "breaker");
}

static void put_rule(const struct status_view *v, struct text *out, unsigned i)
{
    const struct rules *rules = v->pipeline->rules;
    const struct rule *r = &rules_active(rules)->rules[i];
    struct json_writer w;

    json_begin(&w, out);
    json_object(&w, NULL);
    json_object(&w, "rule");
    json_put_string(&w, "name", r->name);
    json_put_string(&w, "event_pattern", rules_pattern_text(rules, r->event_pattern));
    json_put_string(&w, "host_pattern", rules_pattern_text(rules, r->host_pattern));
    json_put_string(&w, "severity", severity_text((enum severity)r->least));
    json_put_string(&w, "action", action_word(&r->action));
    json_put_bool(&w, "in_this_build", r->action.class != NULL);
    json_put_u64(&w, "hits", r->hits);
    if (IS_ENABLED(CONFIG_HUB_RESTRAINT) && v->pipeline->restraint)
        put_restraint(v->pipeline, &w, i);
    json_end_object(&w);
    json_end_object(&w);
}

/** What a row says of its event's line. */
enum row_event { WITHOUT_EVENT, WITH_EVENT, EVENT_TOO_LONG };

static void put_row(const struct recent_view *v, struct text *out, const char *key,
                    enum row_event event)
{
    const struct recent_row *r = v->row;
    struct json_writer w;

    json_begin(&w, out);
    json_object(&w, NULL);
    json_object(&w, key);
    json_put_u64(&w, "seq", r->seq);
    json_put_time(&w, "time", recent_time(r));
    json_put_time(&w, "received", r->event.received_s);
    json_put_bytes(&w, "type", v->type.ptr, v->type.len);
    json_put_bytes(&w, "host", v->host.ptr, v->host.len);
    json_put_string(&w, "severity", severity_text((enum severity)r->event.severity));
    put_or_null(&w, "rule", r->rule);
    put_or_null(&w, "action", r->action);
    json_put_string(&w, "state", recent_state_text((enum recent_state)r->state));
    put_or_null(&w, "error", r->error);
    if (event == WITH_EVENT)
        json_put_raw(&w, "event", v->line.ptr, v->line.len);
    if (event == EVENT_TOO_LONG)
        json_put_null(&w, "event");
    json_end_object(&w);
    json_end_object(&w);
}

static void put_connections(const struct status_view *v, struct json_writer *w)
{
    json_object(w, "connections");
    json_put_u64(w, "open", v->listener->open);
    json_put_u64(w, "accepted", v->listener->accepted);
    json_put_u64(w, "holding", v->listener->held);
    json_end_object(w);
    json_object(w, "rejected");
    for (int i = 0; i < REJECT_COUNT; i++)
        json_put_u64(w, reject_name((enum reject)i), v->ingress->rejected[i]);
    json_end_object(w);
}

static void put_queues(const struct jobs *jobs, struct json_writer *w)
{
    json_object(w, "actions");
    for (unsigned i = 0; i < jobs->queue_count; i++) {
        const struct job_queue *q = &jobs->queues[i];
        json_object(w, q->class->name);
        for (int s = JOB_FREE + 1; s < JOB_STATES; s++)
            if (s != JOB_STARTING && /* only inside a turn */
                (IS_ENABLED(CONFIG_HUB_JOBS_WAIT) || (s != JOB_PENDING && s != JOB_SENT)))
                json_put_u64(w, job_state_text((enum job_state)s), q->states[s]);
        json_put_u64(w, "done", q->done);
        json_put_u64(w, "failed", q->failed);
        json_put_u64(w, "retried", q->retried);
        json_put_u64(w, "queue_full", q->overflowed);
        json_end_object(w);
    }
    json_end_object(w);
}

static void put_restrained(const struct pipeline *p, struct json_writer *w)
{
    json_object(w, "restraint");
    json_put_u64(w, "restrained", p->restrained);
    json_put_u64(w, "own_effects", p->own_effects);
    json_put_u64(w, "unreported_breakers", p->untold);
    json_put_u64(w, "marks", restraint_used(&p->restraint->restraint));
    json_put_u64(w, "marks_most", p->restraint->restraint.cap);
    json_end_object(w);
}

static void put_verdicts(const struct pipeline *p, struct json_writer *w)
{
    json_object(w, "policy");
    json_put_u64(w, "notify", p->verdicts[VERDICT_NOTIFY]);
    json_put_u64(w, "pending_approval", p->verdicts[VERDICT_PENDING]);
    json_put_u64(w, "denied", p->verdicts[VERDICT_DENIED]);
    json_end_object(w);
}

static void put_heap(struct json_writer *w)
{
    struct heap_stats s = heap_stats();

    json_object(w, "heap");
    json_put_u64(w, "size", s.size);
    json_put_u64(w, "used", s.used);
    json_put_u64(w, "high_water", s.high_water);
    json_put_u64(w, "refused", s.failed);
    json_end_object(w);
}

static void put_hosts(const struct pipeline *p, struct json_writer *w)
{
    json_object(w, "hosts");
    json_put_u64(w, "known", p->seen->used);
    json_put_u64(w, "forgotten", p->seen->forgotten);
    json_end_object(w);
}

static void put_journal(const struct pipeline *p, struct json_writer *w)
{
    const struct journal_stats *s = &p->journal->stats;

    json_object(w, "journal");
    json_put_bool(w, "kept", p->journal->dir_fd >= 0);
    json_put_bool(w, "written", !p->unsafe);
    json_put_u64(w, "bytes", s->bytes);
    json_put_u64(w, "commits", s->commits);
    json_put_u64(w, "syncs", s->syncs);
    json_put_u64(w, "failed", s->failed);
    json_put_u64(w, "damaged_bytes", s->damaged);
    json_end_object(w);
}

static void put_audit(const struct audit_log *a, struct json_writer *w)
{
    const struct audit_stats *s = &a->stats;

    json_object(w, "audit");
    json_put_bool(w, "kept", a->dir_fd >= 0);
    json_put_bool(w, "written", a->error == 0);
    json_put_u64(w, "records", s->records);
    json_put_u64(w, "bytes", s->bytes);
    json_put_u64(w, "syncs", s->syncs);
    json_put_u64(w, "lost", s->lost);
    json_put_u64(w, "rotations", s->rotations);
    json_end_object(w);
}

static void put_counters(const struct status_view *v, struct text *out)
{
    const struct pipeline *p = v->pipeline;
    struct json_writer w;

    json_begin(&w, out);
    json_object(&w, NULL);
    json_object(&w, "counters");
    json_put_u64(&w, "uptime_ms", clock_ms(p->clock) - p->started_ms);
    json_put_u64(&w, "events", p->events);
    json_put_u64(&w, "bytes", p->bytes);
    json_put_u64(&w, "matches", p->matched);
    json_put_u64(&w, "not_in_this_build", p->unsupported);
    json_put_u64(&w, "duplicates", p->duplicates);
    json_put_u64(&w, "unknown", p->unknown);
    json_put_u64(&w, "host_conflicts", p->conflicts);
    json_put_u64(&w, "unfinished", p->unfinished);
    if (IS_ENABLED(CONFIG_HUB_RESTRAINT) && p->restraint)
        put_restrained(p, &w);
    json_put_u64(&w, "held", p->held + v->ingress->over_rate);
    if (IS_ENABLED(CONFIG_HUB_SILENCES) && p->silences)
        json_put_u64(&w, "silenced", p->silences->silenced);
    if (IS_ENABLED(CONFIG_HUB_GUARD))
        put_verdicts(p, &w);
    put_connections(v, &w);
    put_hosts(p, &w);
    if (IS_ENABLED(CONFIG_HUB_STATE))
        put_journal(p, &w);
    if (IS_ENABLED(CONFIG_HUB_AUDIT) && p->audit)
        put_audit(p->audit, &w);
    put_queues(p->jobs, &w);
    if (IS_ENABLED(CONFIG_HUB_COMMANDS) && p->dispatch)
        dispatch_put(p->dispatch, &w);
    put_heap(&w);
    json_put_u64(&w, "remembered", p->rules->looked_up);
    json_put_u64(&w, "matched_anew", p->rules->matched);
    json_put_u64(&w, "wakeups", v->listener->loop->wakeups);
    json_put_string(&w, "seccomp", v->seccomp ? v->seccomp : "off");
    json_end_object(&w);
    json_end_object(&w);
}

/* ---- status ---- */

/** The rows of the recent events that `status` shows begin there. */
static uint64_t first_recent(const struct recent *j)
{
    uint64_t oldest = recent_oldest(j);

    return j->last_seq >= oldest + STATUS_RECENT ? j->last_seq - STATUS_RECENT + 1 : oldest;
}

static int produce_recent(const struct status_view *v, struct control_cursor *c, struct text *out)
{
    const struct recent *j = v->pipeline->recent;
    struct recent_view row;

    if (c->seq == 0)
        c->seq = first_recent(j);
    while (c->seq <= j->last_seq)
        if (recent_get(j, c->seq++, &row)) {
            put_row(&row, out, "recent", WITHOUT_EVENT);
            return 1;
        }
    return 0;
}

static int produce_status(void *arg, struct control_cursor *c, struct text *out)
{
    const struct status_view *v = arg;

    if (c->step == STEP_RULES && c->index < rules_active(v->pipeline->rules)->count) {
        put_rule(v, out, c->index++);
        return 1;
    }
    if (IS_ENABLED(CONFIG_HUB_DEVICES) && c->step <= STEP_HOSTS) {
        c->index = c->step == STEP_HOSTS ? c->index : 0;
        c->step = STEP_HOSTS;
        if (devices_put(v, c->index++, out))
            return 1;
    }
    if (c->step < STEP_COUNTERS && produce_recent(v, c, out) > 0) {
        c->step = STEP_RECENT;
        return 1;
    }
    if (c->step < STEP_END) {
        c->step = STEP_END;
        put_counters(v, out);
        return 1;
    }
    return 0;
}

/* ---- events ---- */

static int begin_events(void *arg, struct control_cursor *c, const char *args, struct text *why)
{
    (void)arg;
    c->flag = str_eq(args, "follow");
    if (*args && !c->flag) {
        text_str(why, "events takes nothing, or follow");
        return NEFIA_EINVAL;
    }
    return 0;
}

static void put_event_row(const struct recent_view *row, struct text *out)
{
    size_t start = out->len;

    put_row(row, out, "row", WITH_EVENT);
    if (!out->truncated)
        return;
    text_rewind(out, start);
    put_row(row, out, "row", EVENT_TOO_LONG);
}

static int put_missed(struct text *out, uint64_t missed)
{
    struct json_writer w;

    json_begin(&w, out);
    json_object(&w, NULL);
    json_put_u64(&w, "missed", missed);
    json_end_object(&w);
    return 1;
}

/** By seq, whatever has become of them. */
static int produce_rows(const struct recent *j, struct control_cursor *c, struct text *out)
{
    struct recent_view row;
    uint64_t oldest = recent_oldest(j);

    if (c->seq < oldest) {
        uint64_t missed = c->seq ? oldest - c->seq : 0;
        c->seq = oldest;
        if (missed)
            return put_missed(out, missed);
    }
    while (c->seq <= j->last_seq)
        if (recent_get(j, c->seq++, &row)) {
            put_event_row(&row, out);
            return 1;
        }
    return 0;
}

/** In the order in which their outcome is known. */
static int produce_settled(const struct recent *j, struct control_cursor *c, struct text *out)
{
    uint64_t missed = 0;
    struct recent_view row;
    int found = NEFIA_ENOTFOUND;
    bool first = c->seq == 0;

    if (c->seq == 0)
        c->seq = 1;
    if (j->last_number >= c->seq + j->row_cap) {
        missed = j->last_number - j->row_cap + 1 - c->seq;
        c->seq += missed;
    }
    while ((found = recent_get_settled(j, c->seq, &row)) == NEFIA_ENOTFOUND) {
        c->seq++;
        missed++;
    }
    if (missed && !first)
        return put_missed(out, missed);
    if (found == 0)
        return NEFIA_EAGAIN;
    c->seq++;
    put_event_row(&row, out);
    return 1;
}

static int produce_events(void *arg, struct control_cursor *c, struct text *out)
{
    const struct status_view *v = arg;

    return c->flag ? produce_settled(v->pipeline->recent, c, out)
                   : produce_rows(v->pipeline->recent, c, out);
}

/* ---- forget ---- */

static int begin_forget(void *arg, struct control_cursor *c, const char *args, struct text *why)
{
    const struct status_view *v = arg;
    const struct slice host_id = {args, strlen(args)};

    if (host_id.len == 0) {
        text_str(why, "forget takes a host_id");
        return NEFIA_EINVAL;
    }
    if (!ingress_forget(v->ingress, host_id)) {
        text_str(why, "no host of that name is remembered");
        return NEFIA_ENOTFOUND;
    }
    LOG_INFO("forgotten by an operator: ", args);
    audit_forgotten(v->pipeline->audit, host_id, c->uid);
    pipeline_turn_end(v->pipeline);
    return 0;
}

static int produce_forgotten(void *arg, struct control_cursor *c, struct text *out)
{
    static const char said[] = "forgotten" REMEDY(": its plain events are taken again, and may act again if they are sent again; its sessions end");
    struct json_writer w;

    (void)arg;
    if (c->flag)
        return 0;
    c->flag = true;
    json_begin(&w, out);
    json_put_bytes(&w, NULL, said, sizeof said - 1);
    return 1;
}

/* ---- step ---- */

__attribute__((unused)) /* in a build without playbooks */
static int begin_step(void *arg, struct control_cursor *c, const char *args, struct text *why)
{
    const struct status_view *v = arg;
    char buf[PLAYBOOK_REPORT_TEXT];
    struct audit_step step;
    struct text strings;

    text_init(&strings, buf, sizeof buf);
    int err = playbook_report_read(&step, (struct slice){args, strlen(args)}, &strings, v->pipeline->tokens, CONFIG_JSON_TOKENS, why);
    if (err < 0)
        return err;
    audit_step(v->pipeline->audit, &step, c->uid);
    audit_log_commit(v->pipeline->audit); /* before the next one begins */
    return 0;
}

#define VERB_STEP() {.name = "step", .begin = begin_step},
#define VERB_HOSTS() {.name = "hosts", .produce = devices_produce},
#define VERBS_SILENCES()                                                                             \
    {.name = "silence", .begin = silence_verb_add, .produce = silence_verb_added},                 \
    {.name = "silences", .produce = silence_verb_list},                                            \
    {.name = "unsilence", .begin = silence_verb_remove, .produce = silence_verb_removed},
#define VERB_IMPORT() {.name = "import", .begin = import_begin, .produce = import_produce},
#define VERB_WHY() {.name = "why", .begin = why_begin, .produce = why_produce},
#define VERB_EXEC() {.name = "exec", .begin = dispatch_begin, .produce = dispatch_produce, .end = dispatch_end},
#define VERB_NONE()
const struct control_verb status_verbs[] = {
    {.name = "status", .produce = produce_status},
    {.name = "events", .begin = begin_events, .produce = produce_events},
    {.name = "forget", .begin = begin_forget, .produce = produce_forgotten},
    KCONFIG_CHOOSE(CONFIG_HUB_DEVICES, VERB_HOSTS, VERB_NONE)()
    KCONFIG_CHOOSE(CONFIG_HUB_COMMANDS, VERB_EXEC, VERB_NONE)()
    KCONFIG_CHOOSE(CONFIG_HUB_SILENCES, VERBS_SILENCES, VERB_NONE)()
    KCONFIG_CHOOSE(CONFIG_HUB_IMPORT, VERB_IMPORT, VERB_NONE)()
    KCONFIG_CHOOSE(CONFIG_HUB_WHY, VERB_WHY, VERB_NONE)()
    KCONFIG_CHOOSE(CONFIG_HUB_PLAYBOOKS, VERB_STEP, VERB_NONE)()
    {0},
};
