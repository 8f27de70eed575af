#include "nefia/hub/why.h"

#include <string.h>

#include "nefia/base/err.h"

enum { STEP_EVENT, STEP_MATCHING, STEP_OTHERS, STEP_END };

static const char gone[] = "it is no longer among the recent events" REMEDY(" (CONFIG_RECENT_EVENTS, CONFIG_RECENT_KB); `nefia replay` reads the journal");

/* ---- Finding the event ---- */

static bool decode(struct pipeline *p, const struct recent_view *row, struct event *e)
{
    return pipeline_decode(p, row->line.ptr, row->line.len, e, NULL) >= 0;
}

/** The newest row of that event, 0: none. */
static uint64_t find_event(struct pipeline *p, struct slice host, uint64_t boot, uint64_t seq)
{
    const uint64_t oldest = recent_oldest(p->recent);
    struct recent_view row;
    struct event e;

    for (uint64_t i = p->recent->last_seq; i >= oldest && i > 0; i--)
        if (recent_get(p->recent, i, &row) && row.host.len == host.len && memcmp(row.host.ptr, host.ptr, host.len) == 0 &&
            decode(p, &row, &e) && e.has_seq && e.boot == boot && e.seq == seq)
            return i;
    return 0;
}

/** The number behind the last colon. *len: of what is before it. */
static bool last_number(const char *s, size_t *len, uint64_t *out)
{
    size_t at = *len;

    while (at > 0 && s[at - 1] != ':')
        at--;
    if (at == 0 || parse_u64(s + at, *len - at, out) < 0)
        return false;
    *len = at - 1;
    return true;
}

/** Of the event's rows, the first one that is still there: they follow each other. */
static uint64_t first_row(const struct recent *j, uint64_t seq)
{
    struct recent_view row, before;

    if (!recent_get(j, seq, &row))
        return 0;
    const uint64_t pos = row.row->event.pos;
    while (seq > 1 && recent_get(j, seq - 1, &before) && before.row->event.pos == pos)
        seq--;
    return seq;
}

int why_begin(void *arg, struct control_cursor *c, const char *args, struct text *why)
{
    struct pipeline *p = ((const struct status_view *)arg)->pipeline;
    size_t len = strlen(args);
    uint64_t id, boot, seq;

    if (parse_u64(args, len, &id) < 0) {
        if (!last_number(args, &len, &seq) || !last_number(args, &len, &boot) || len == 0) {
            text_str(why, "an event is wanted: ID as `nefia reactor events` shows it, or HOST:BOOT:SEQ");
            return NEFIA_EINVAL;
        }
        id = find_event(p, (struct slice){args, len}, boot, seq);
    }
    c->seq = first_row(p->recent, id);
    if (c->seq > 0)
        return 0;
    text_str(why, args);
    text_str(why, ": ");
    text_str(why, id > p->recent->last_seq ? "there is no such event yet" : gone);
    return NEFIA_ENOTFOUND;
}

/* ---- The event ---- */

static void put_event(const struct pipeline *p, const struct recent_view *row, const struct event *e, struct text *out, bool whole)
{
    struct json_writer w;

    json_begin(&w, out);
    json_object(&w, NULL);
    json_object(&w, "event");
    json_put_u64(&w, "id", row->row->seq);
    json_put_time(&w, "time", recent_time(row->row));
    json_put_bytes(&w, "type", row->type.ptr, row->type.len);
    json_put_bytes(&w, "host", row->host.ptr, row->host.len);
    json_put_string(&w, "severity", severity_text((enum severity)row->row->event.severity));
    if (e->has_seq) {
        json_put_u64(&w, "boot", e->boot);
        json_put_u64(&w, "seq", e->seq);
    }
    if (e->cause.len > 0)
        json_put_raw(&w, "cause", e->cause.ptr, e->cause.len);
    json_put_u64(&w, "rules", rules_active(p->rules)->count);
    if (row->row->event.rules != p->generation)
        json_put_bool(&w, "reloaded", true);
    if (whole)
        json_put_raw(&w, "event", row->line.ptr, row->line.len);
    else
        json_put_null(&w, "event");
    json_end_object(&w);
    json_end_object(&w);
}

/* ---- A rule ---- */

/** The row that says what this rule did about the event. */
static bool row_of(const struct recent *j, uint64_t first, const char *rule, struct recent_view *out)
{
    struct recent_view row;

    if (!recent_get(j, first, &row))
        return false;
    const uint64_t pos = row.row->event.pos;
    for (uint64_t seq = first; recent_get(j, seq, out) && out->row->event.pos == pos; seq++)
        if (str_eq(out->row->rule, rule))
            return true;
    return false;
}

static void put_comparison(struct json_writer *w, const struct rule_verdict *v)
{
    char buf[2 * CONFIG_PATTERN_BYTES + 128];
    struct text t;

    text_init(&t, buf, sizeof buf);
    rule_verdict_text(&t, v);
    json_put_string(w, "name", v->rule->name);
    json_put_bool(w, "matches", v->reason == RULE_MATCHES);
    json_put_bytes(w, "match", t.buf, t.len);
    json_put_string(w, "event_pattern", v->event_pattern);
    json_put_string(w, "host_pattern", v->host_pattern);
    json_put_string(w, "severity", severity_text(v->have));
    json_put_string(w, "least", severity_text(v->least));
    json_put_string(w, "action", action_word(&v->rule->action));
}

static void put_silence(struct json_writer *w, const struct pipeline *p, const char *reason)
{
    uint64_t id;
    const char *number = strchr(reason, '#');

    if (!IS_ENABLED(CONFIG_HUB_SILENCES) || !p->silences || !number ||
        parse_u64(number + 1, strcspn(number + 1, " "), &id) < 0 || id == 0)
        return;
    const struct silence *s = silences_next(p->silences, (uint32_t)id - 1);
    json_put_u64(w, "silence", id);
    if (!s || s->id != id)
        return;
    json_put_string(w, "silence_why", silence_word(s, SILENCE_WHY));
    json_put_u64(w, "silence_uid", s->uid);
}

/** What the policy says now; nothing is asked where there is none. said: in words. */
static void put_policy(struct json_writer *w, const struct verdict *v, const struct text *said)
{
    json_put_bytes(w, "policy", said->buf, said->len);
    json_put_string(w, "policy_verdict", verdict_word(v->kind));
    if (v->rule)
        json_put_string(w, "policy_by", v->rule);
    if (v->has_at)
        json_put_u64(w, "policy_at", v->at);
}

static void put_job(struct json_writer *w, const struct pipeline *p, uint64_t row)
{
    for (const struct job *job = NULL; (job = jobs_next(p->jobs, job ? job->id : 0)) != NULL;) {
        if (job->row != row)
            continue;
        json_put_u64(w, "job", job->id);
        json_put_string(w, "job_state", job_state_text((enum job_state)job->state));
        json_put_u64(w, "attempts", job->attempt);
        return;
    }
}

/** "own effect: …" where the event's cause names the rule. */
static void put_cause(struct json_writer *w, const struct rule *rule, const struct event *e)
{
    bool among = false;
    const int causes = event_causes(e->cause, rule->name, &among);

    if (among || causes == NEFIA_EFULL || causes == EVENT_CAUSES)
        json_put_string(w, "own_effect", among ? "it led to this event" : "the event has as many causes as may be");
}

/** Does the row say in its few bytes what the policy said? */
static bool is_verdict(const struct recent_row *r, const struct text *said)
{
    const size_t len = strlen(r->error);

    return r->state == RECENT_FAILED && len > 0 && len <= said->len && memcmp(r->error, said->buf, len) == 0;
}

static void put_row(struct json_writer *w, struct pipeline *p, const struct rule *rule, const struct event *e,
                    const struct recent_row *r)
{
    char buf[CONFIG_LOG_LINE_BYTES];
    struct verdict v;
    struct text said;

    text_init(&said, buf, sizeof buf);
    const bool asked = pipeline_verdict(p, rule, e, &v);
    if (asked)
        verdict_text(&said, &v);
    const bool decided = asked && is_verdict(r, &said);
    json_put_string(w, "decision", decided ? verdict_word(v.kind) : recent_state_text((enum recent_state)r->state));
    json_put_u64(w, "id", r->seq);
    if (*r->error && !decided)
        json_put_string(w, "detail", r->error);
    if (r->state == RECENT_SILENCED)
        put_silence(w, p, r->error);
    if (r->state == RECENT_PENDING)
        put_job(w, p, r->seq);
    put_cause(w, rule, e);
    if (asked)
        put_policy(w, &v, &said);
}

static void put_rule(struct pipeline *p, const struct rule_verdict *v, const struct event *e, uint64_t first, bool reloaded,
                     struct text *out)
{
    struct recent_view row;
    struct json_writer w;

    json_begin(&w, out);
    json_object(&w, NULL);
    json_object(&w, "rule");
    put_comparison(&w, v);
    if (row_of(p->recent, first, v->rule->name, &row))
        put_row(&w, p, v->rule, e, row.row);
    else
        json_put_string(&w, "decision", v->reason != RULE_MATCHES ? "no match" : reloaded ? "not asked" : "overwritten");
    json_end_object(&w);
    json_end_object(&w);
}

/** The next rule that matches, or that does not. Return: false if there is none. */
static bool next_rule(struct pipeline *p, struct control_cursor *c, const struct event *e, struct rule_verdict *v)
{
    const struct rule_set *set = rules_active(p->rules);

    while (c->index < set->count) {
        *v = rules_judge(p->rules, &set->rules[c->index++], e);
        if ((v->reason == RULE_MATCHES) == (c->step == STEP_MATCHING))
            return true;
    }
    return false;
}

int why_produce(void *arg, struct control_cursor *c, struct text *out)
{
    struct pipeline *p = ((const struct status_view *)arg)->pipeline;
    struct rule_verdict v;
    struct recent_view row;
    struct event e;

    if (!recent_get(p->recent, c->seq, &row) || !decode(p, &row, &e)) {
        text_str(out, gone);
        return NEFIA_ENOTFOUND;
    }
    if (c->step == STEP_EVENT) {
        c->step = STEP_MATCHING;
        put_event(p, &row, &e, out, true);
        if (!out->truncated)
            return 1;
        text_rewind(out, 0);
        put_event(p, &row, &e, out, false);
        return 1;
    }
    while (c->step < STEP_END) {
        if (next_rule(p, c, &e, &v)) {
            put_rule(p, &v, &e, c->seq, row.row->event.rules != p->generation, out);
            return 1;
        }
        c->step++;
        c->index = 0;
    }
    return 0;
}
