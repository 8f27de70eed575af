#include "nefia/hub/pipeline.h"

#include <errno.h>
#include <string.h>

#include "nefia/base/err.h"
#include "nefia/hub/dispatch.h"
#include "nefia/sys/log.h"

void pipeline_init(struct pipeline *p, const struct clock *clock, struct rules *rules,
                   struct recent *recent, struct jobs *jobs, struct seen *seen,
                   struct journal *journal, struct json_token *tokens)
{
    *p = (struct pipeline){
        .clock = clock,
        .rules = rules,
        .recent = recent,
        .jobs = jobs,
        .seen = seen,
        .journal = journal,
        .tokens = tokens,
        .started_ms = clock_ms(clock),
    };
}

int pipeline_decode(struct pipeline *p, const char *line, size_t len, struct event *e,
                    const char **why)
{
    return event_decode(e, line, len, p->tokens, CONFIG_JSON_TOKENS, p->scratch, why);
}

/* ---- Matching and queueing ---- */

static void tell_overflow(struct pipeline *p, const struct rule *rule)
{
    if (p->overflow_reported)
        return;
    p->overflow_reported = true;
    LOG_WARN("rule ", rule->name, ": ", action_word(&rule->action),
             ": queue full" REMEDY("; further actions are dropped and counted until there is room"));
}

static void tell_match(const struct pipeline *p, const struct rule *rule, const struct event *e)
{
    char buf[CONFIG_LOG_LINE_BYTES];
    struct rule_verdict v = {
        .rule = rule,
        .reason = RULE_MATCHES,
        .event_pattern = rules_pattern_text(p->rules, rule->event_pattern),
        .host_pattern = rules_pattern_text(p->rules, rule->host_pattern),
        .have = e->severity,
        .least = (enum severity)rule->least,
    };
    struct text t;

    text_init(&t, buf, sizeof buf);
    text_bytes(&t, e->type.ptr, e->type.len);
    text_str(&t, " from ");
    text_bytes(&t, e->host_id.ptr, e->host_id.len);
    text_char(&t, ' ');
    rule_verdict_text(&t, &v);
    LOG_INFO("rule ", rule->name, ": ", action_word(&rule->action), ": ", t.buf);
}

/** For jobs_push. */
static struct job_event event_for_jobs(const struct event *e, uint64_t id)
{
    return (struct job_event){
        .id = id,
        .host = hash_bytes(HASH_START, e->host_id.ptr, e->host_id.len),
        .line = e->line.ptr,
        .len = e->line.len,
    };
}

/** Queue a rule's action under order->id, and show it. Return: 0 or negative: it is dropped. */
static int push(struct pipeline *p, unsigned index, struct job_event *e,
                const struct recent_mark *mark, struct job_order *order)
{
    const struct rule *rule = &rules_active(p->rules)->rules[index];

    order->action = &rule->action;
    order->rule = (uint16_t)index;
    order->name = rule->name;
    order->judged = p->generation;
    order->row = recent_add(p->recent, mark, rule->name, action_word(&rule->action),
                            RECENT_PENDING, NULL);
    int err = jobs_push(p->jobs, e, order);
    if (err < 0) {
        recent_settle(p->recent, order->row, RECENT_FAILED,
                      err == NEFIA_EFULL ? "queue full" : err_text(err));
        return err;
    }
    journal_job(p->journal, order->id, e->id, rule->name);
    return 0;
}

/** What is asked of the policy for a rule's action. */
static struct policy_case case_of(struct pipeline *p, const struct rule *rule, const struct event *e)
{
    const struct action_class *class = rule->action.class;
    const struct slice hub = {p->host_id, p->host_id ? strlen(p->host_id) : 0};
    struct action_subject subject = {0};

    if (class && class->subject)
        class->subject(&rule->action, &subject);
    const struct host_item *item = pipeline_item(p, subject.on_device ? e->host_id : hub);
    struct policy_case c = {
        .command = subject.command,
        .host = p->host_id,
        .role = item ? item->role : NULL,
        .event = e,
        .rule = rule->name,
        .action = action_word(&rule->action),
        .now_s = p->now_s,
    };

    if (subject.on_device) {
        struct text t;
        text_init(&t, p->target, sizeof p->target);
        text_bytes(&t, e->host_id.ptr, e->host_id.len);
        c.host = p->target;
    }
    return c;
}

/** The cause of what the rule does for the event, or decides of it. */
static void put_cause(char to[PIPELINE_CAUSE], struct slice cause, const char *rule)
{
    struct text t;

    text_init(&t, to, PIPELINE_CAUSE);
    if (!IS_ENABLED(CONFIG_HUB_RESTRAINT))
        return;
    if (event_cause_add(&t, cause, rule) < 0)
        text_bytes(&t, cause.ptr, cause.len);
}

static void copy(char *to, size_t cap, const char *from, size_t len)
{
    struct text t;

    text_init(&t, to, cap);
    text_bytes(&t, from, len);
}

/** The place of a rule and host; the longest unused one is given up for a new one. */
static struct violation *violation_of(struct pipeline *p, const struct policy_case *c)
{
    struct violation *oldest = p->violations;

    for (struct violation *v = p->violations; v < p->violations + PIPELINE_VIOLATIONS; v++) {
        if (v->used && str_eq(v->rule, c->rule) && slice_eq(c->event->host_id, v->host))
            return v;
        if (!v->waits && (oldest->waits || !v->used || (oldest->used && v->told_ms < oldest->told_ms)))
            oldest = v;
    }
    if (oldest->waits)
        return NULL;
    *oldest = (struct violation){.used = true};
    return oldest;
}

/** The policy did not simply allow it: an event is to say so. */
static void note_violation(struct pipeline *p, const struct policy_case *c, const struct verdict *verdict)
{
    const uint64_t now = clock_ms(p->clock);
    struct violation *v = p->telling ? NULL : violation_of(p, c);
    struct text t;

    if (!v)
        return;
    v->count++;
    v->kind = verdict->kind;
    v->boot = c->event->boot;
    v->seq = c->event->seq;
    copy(v->rule, sizeof v->rule, c->rule, strlen(c->rule));
    copy(v->action, sizeof v->action, c->action, strlen(c->action));
    copy(v->host, sizeof v->host, c->event->host_id.ptr, c->event->host_id.len);
    copy(v->target, sizeof v->target, c->host ? c->host : "", c->host ? strlen(c->host) : 0);
    copy(v->type, sizeof v->type, c->event->type.ptr, c->event->type.len);
    copy(v->command, sizeof v->command, c->command ? c->command : "", c->command ? strlen(c->command) : 0);
    put_cause(v->cause, c->event->cause, c->rule);
    text_init(&t, v->reason, sizeof v->reason);
    verdict_reason(&t, verdict);
    v->waits |= v->told_ms == 0 || now - v->told_ms >= PIPELINE_VIOLATION_MS;
}

bool pipeline_verdict(struct pipeline *p, const struct rule *rule, const struct event *e, struct verdict *out)
{
    if (!IS_ENABLED(CONFIG_HUB_GUARD) || !p->guard.judge || !rule->action.class)
        return false;
    const struct policy_case c = case_of(p, rule, e);
    *out = p->guard.judge(p->guard.arg, &c);
    return true;
}

/** May the rule's action begin? why gets the verdict in words. */
static bool judge(struct pipeline *p, const struct rule *rule, const struct event *e, struct text *why)
{
    const struct policy_case c = case_of(p, rule, e);
    const struct verdict v = p->guard.judge(p->guard.arg, &c);

    p->verdicts[v.kind]++;
    audit_decision(p->audit, &(struct audit_decision){.rule = rule->name,
                                                      .event = e,
                                                      .target = c.host,
                                                      .action = c.action,
                                                      .command = c.command,
                                                      .verdict = &v});
    if (v.kind == VERDICT_ALLOWED)
        return true;
    if (v.kind != VERDICT_PENDING)
        note_violation(p, &c, &v);
    verdict_text(why, &v);
    LOG_WARN("rule ", rule->name, ": ", action_word(&rule->action), ": ", why->buf);
    return verdict_begins(&v);
}

/** Otherwise it has a row that says why not. */
static bool guard_allows(struct pipeline *p, const struct rule *rule, const struct event *e, uint64_t event,
                         const struct recent_mark *mark)
{
    char buf[CONFIG_LOG_LINE_BYTES];
    struct text why;

    if (!IS_ENABLED(CONFIG_HUB_GUARD) || !p->guard.judge)
        return true;
    text_init(&why, buf, sizeof buf);
    if (judge(p, rule, e, &why))
        return true;
    recent_add(p->recent, mark, rule->name, action_word(&rule->action), RECENT_FAILED, why.buf);
    journal_decided(p->journal, event, JOURNAL_DENIED, 0, rule->name);
    return false;
}

/* ---- What holds an action back ---- */

/** The rule's action would have the event's cause and the rule's name. Return: null: that may be; or why not. */
static const char *own_effect(const struct rule *rule, const struct event *e)
{
    char buf[EVENT_CAUSE_MAX + 1];
    struct text t;
    bool among;

    if (!IS_ENABLED(CONFIG_HUB_RESTRAINT) || e->cause.len == 0)
        return NULL;
    text_init(&t, buf, sizeof buf);
    if (event_causes(e->cause, rule->name, &among) >= 0 && among)
        return "own effect: this rule led to the event";
    return event_cause_add(&t, e->cause, rule->name) < 0 ? "own effect: " LITERAL(EVENT_CAUSES) " rules led to it, none acts" : NULL;
}

/** The silence that applies; counted: also that it did. Null: none. */
static const struct silence *silence_of(struct pipeline *p, const struct rule *rule, const struct event *e, bool counted)
{
    if (!IS_ENABLED(CONFIG_HUB_SILENCES) || !p->silences || p->silences->count == 0)
        return NULL;
    const struct silence_subject subject = {.rule = rule->name, .event = e, .device = pipeline_device(p, e->host_id)};
    return counted ? silences_hit(p->silences, &subject) : silences_find(p->silences, &subject);
}

/** Return: false: the rule does not restrain itself. */
static bool restraint_of(struct pipeline *p, unsigned index, const struct event *e, struct restraint_case *c)
{
    if (!IS_ENABLED(CONFIG_HUB_RESTRAINT) || !p->restraint)
        return false;
    const struct restraint_settings *s = rules_restraint(p->rules, index);
    *c = (struct restraint_case){.settings = s, .rule = (uint16_t)index};
    if (s && s->count > 0)
        c->host = restraint_host(pipeline_host(p, e->host_id));
    if (s && s->once_ms > 0)
        c->once = restraint_once(s, e);
    return s != NULL;
}

/** Would its action be held back? Nothing is counted. */
static bool would_be_held(struct pipeline *p, unsigned index, const struct event *e)
{
    const struct rule *rule = &rules_active(p->rules)->rules[index];
    struct restraint_case c;

    return own_effect(rule, e) || silence_of(p, rule, e, false) ||
           (restraint_of(p, index, e, &c) &&
            restraint_judge(&p->restraint->restraint, &c, restraint_ran(p->restraint)).reason != RESTRAINT_NONE);
}

/** One rule that matches an event. */
struct matched {
    struct rule *rule;
    unsigned index;
    const struct event *event;
    struct job_event *kept;
    const struct recent_mark *mark;
    bool unsure; /* the event may have acted before */
};

/** Its action does not begin: a row says why, and the journal. */
static void hold(struct pipeline *p, const struct matched *m, enum recent_state state, const char *why, enum journal_decision decision,
                 uint32_t detail)
{
    recent_add(p->recent, m->mark, m->rule->name, action_word(&m->rule->action), state, why);
    journal_decided(p->journal, m->kept->id, decision, detail, m->rule->name);
    if (state != RECENT_RESTRAINED)
        return;
    m->rule->restrained++;
    p->restrained++;
}

static bool is_own_effect(struct pipeline *p, const struct matched *m)
{
    const char *why = own_effect(m->rule, m->event);

    if (!why)
        return false;
    p->own_effects++;
    hold(p, m, RECENT_RESTRAINED, why, JOURNAL_OWN_EFFECT, 0);
    return true;
}

static bool is_silenced(struct pipeline *p, const struct matched *m)
{
    const struct silence *silence = silence_of(p, m->rule, m->event, true);
    char buf[RECENT_ERROR_MAX + 1];
    struct text why;

    if (!silence)
        return false;
    text_init(&why, buf, sizeof buf);
    silence_reason(&why, p->silences, silence);
    hold(p, m, RECENT_SILENCED, why.buf, JOURNAL_SILENCED, silence->id);
    return true;
}

static bool may_have_acted(struct pipeline *p, const struct matched *m)
{
    if (!m->unsure || m->rule->idempotent)
        return false;
    hold(p, m, RECENT_FAILED, "may have acted before: not run again", JOURNAL_ACTED_BEFORE, 0);
    return true;
}

/** The event counts, whatever is decided. */
static bool is_restrained(struct pipeline *p, const struct matched *m, const struct restraint_case *c)
{
    const struct restraint_verdict v = restraint_judge(&p->restraint->restraint, c, p->ran_ms);
    char buf[RECENT_ERROR_MAX + 1];
    struct text why;

    restraint_count(&p->restraint->restraint, c, p->ran_ms);
    if (v.reason == RESTRAINT_NONE)
        return false;
    text_init(&why, buf, sizeof buf);
    restraint_text(&why, &v);
    hold(p, m, RECENT_RESTRAINED, why.buf, JOURNAL_RESTRAINED, v.reason);
    return true;
}

static uint64_t ran(const struct pipeline *p)
{
    return p->restraint ? restraint_ran(p->restraint) : clock_ms(p->clock) - p->started_ms;
}

/** The event is in the journal before what is decided of it. */
static void note_event(struct pipeline *p, const struct matched *m)
{
    const struct journal_time t = {
        .ran_ms = p->ran_ms,
        .unix_s = p->now_s,
        .flags = (uint8_t)((clock_synced(p->clock) ? JOURNAL_SYNCED : 0) | (m->unsure ? JOURNAL_UNSURE : 0)),
    };

    if (p->noted == m->kept->id)
        return;
    p->noted = m->kept->id;
    journal_event(p->journal, m->kept->id, m->kept->line, m->kept->len);
    journal_when(p->journal, m->kept->id, &t);
}

/** Handle one matching rule. What is denied or finds no room does not count for its restraint: nothing was done. */
static void act(struct pipeline *p, const struct matched *m)
{
    struct rule *rule = m->rule;
    struct restraint_case c;

    rule->hits++;
    p->matched++;
    if (!rule->action.class) {
        p->unsupported++;
        recent_add(p->recent, m->mark, rule->name, action_word(&rule->action), RECENT_FAILED, err_text(NEFIA_ENOTSUP));
        return;
    }
    note_event(p, m);
    if (is_own_effect(p, m) || is_silenced(p, m) || may_have_acted(p, m))
        return;
    const bool restrains = restraint_of(p, m->index, m->event, &c);
    if ((restrains && is_restrained(p, m, &c)) || !guard_allows(p, rule, m->event, m->kept->id, m->mark))
        return;
    const uint64_t job = ++p->journal->last_id;
    if (push(p, m->index, m->kept, m->mark, &(struct job_order){.id = job}) < 0) {
        journal_decided(p->journal, m->kept->id, JOURNAL_DROPPED, 0, rule->name);
        tell_overflow(p, rule);
        return;
    }
    if (restrains)
        restraint_acted(&p->restraint->restraint, &c, job, p->ran_ms);
    tell_match(p, rule, m->event);
}

void pipeline_would(struct pipeline *p, unsigned index, const struct event *e, bool unsure, struct would *out)
{
    const struct rule *rule = &rules_active(p->rules)->rules[index];

    *out = (struct would){.own = own_effect(rule, e)};
    out->silence = out->own ? NULL : silence_of(p, rule, e, false);
    if (out->own)
        out->decision = JOURNAL_OWN_EFFECT;
    else if (out->silence)
        out->decision = JOURNAL_SILENCED;
    else if (unsure && !rule->idempotent)
        out->decision = JOURNAL_ACTED_BEFORE;
    if (out->decision != 0)
        return;
    out->restrains = restraint_of(p, index, e, &out->held_case);
    if (out->restrains) {
        out->held = restraint_judge(&p->restraint->restraint, &out->held_case, p->ran_ms);
        restraint_count(&p->restraint->restraint, &out->held_case, p->ran_ms);
    }
    if (out->restrains && out->held.reason != RESTRAINT_NONE) {
        out->decision = JOURNAL_RESTRAINED;
        return;
    }
    out->judged = pipeline_verdict(p, rule, e, &out->verdict);
    if (out->judged && !verdict_begins(&out->verdict))
        out->decision = JOURNAL_DENIED;
}

/** Of the rules that match, those before this one whose actions compete with its own. */
static struct jobs_before actions_before(const struct pipeline *p, unsigned index)
{
    const struct rule *rules = rules_active(p->rules)->rules;
    const struct action *a = &rules[index].action;
    struct jobs_before before = {0};

    for (int i = 0; (i = rules_next(p->bits, index, (unsigned)i)) >= 0; i++) {
        const struct action *other = &rules[i].action;

        before.queue += other->class == a->class;
        before.lane += other->class == a->class && a->lane != ACTION_LANE_RULE && other->lane == a->lane;
    }
    return before;
}

/** Is there room for all its actions? */
static bool has_room(struct pipeline *p, const struct event *e)
{
    const struct rule_set *set = rules_active(p->rules);
    const struct job_event kept = event_for_jobs(e, 0);

    for (int i = 0; (i = rules_next(p->bits, set->count, (unsigned)i)) >= 0; i++) {
        const struct action *a = &set->rules[i].action;

        if (a->class && !jobs_have_room(p->jobs, &kept, a, (uint16_t)i, actions_before(p, (unsigned)i)) &&
            !would_be_held(p, (unsigned)i, e))
            return false;
    }
    return true;
}

static bool match(struct pipeline *p, const struct event *e)
{
    uint64_t failed = p->rules->failed;
    bool any = rules_match(p->rules, e, p->bits);

    if (p->rules->failed != failed)
        LOG_ERROR(HINTED("heap exhausted while matching patterns", "; raise CONFIG_HUB_HEAP_KB"));
    return any;
}

/** Does a rule match that must not act twice? */
static bool acts_once(const struct pipeline *p)
{
    const struct rule_set *set = rules_active(p->rules);

    for (int i = 0; (i = rules_next(p->bits, set->count, (unsigned)i)) >= 0; i++)
        if (!set->rules[i].idempotent)
            return true;
    return false;
}

static void decide(struct pipeline *p, const struct event *e, bool any, bool unsure)
{
    const struct rule_set *set = rules_active(p->rules);
    struct recent_mark mark = recent_put(p->recent, e, p->now_s);

    mark.rules = p->generation;
    if (!any) {
        recent_add(p->recent, &mark, NULL, NULL, RECENT_NONE, NULL);
        return;
    }
    if (IS_ENABLED(CONFIG_HUB_SILENCES) && p->silences)
        silences_refresh(p->silences);
    struct job_event kept = event_for_jobs(e, ++p->journal->last_id);
    p->ran_ms = ran(p);
    for (int i = 0; (i = rules_next(p->bits, set->count, (unsigned)i)) >= 0; i++)
        act(p, &(struct matched){&set->rules[i], (unsigned)i, e, &kept, &mark, unsure});
}

static struct known_host *known_host(struct pipeline *p, struct slice host_id)
{
    struct known_host *k = &p->known[hash_place(host_id) % PIPELINE_KNOWN];

    if (host_id.len == k->len && memcmp(host_id.ptr, k->host_id, k->len) == 0)
        return k;
    host_id_of(k->key, host_id);
    if (IS_ENABLED(CONFIG_HUB_DEVICES))
        k->item = ITEM_NOT_SOUGHT;
    k->len = 0;
    if (host_id.len <= sizeof k->host_id) {
        k->len = (uint8_t)host_id.len;
        memcpy(k->host_id, host_id.ptr, host_id.len);
    }
    return k;
}

const uint8_t *pipeline_host(struct pipeline *p, struct slice host_id)
{
    return known_host(p, host_id)->key;
}

struct host_item *pipeline_item(struct pipeline *p, struct slice host_id)
{
    if (!IS_ENABLED(CONFIG_HUB_DEVICES) || p->devices->host_count == 0)
        return NULL;
    struct known_host *k = known_host(p, host_id);
    if (k->item == ITEM_NOT_SOUGHT) {
        const struct host_item *item = hub_settings_host(p->devices, host_id);
        k->item = item ? (uint16_t)(ITEM_FIRST + (item - p->devices->hosts)) : ITEM_NONE;
    }
    return k->item == ITEM_NONE ? NULL : &p->devices->hosts[k->item - ITEM_FIRST];
}

struct device pipeline_device(struct pipeline *p, struct slice host_id)
{
    const struct host_item *item = pipeline_item(p, host_id);

    if (!item)
        return (struct device){0};
    return (struct device){item->role, &p->devices->labels[item->first_label], item->label_count};
}

void pipeline_know(struct pipeline *p, struct hub_settings *devices)
{
    p->devices = devices;
    for (unsigned i = 0; i < PIPELINE_KNOWN; i++)
        p->known[i].item = ITEM_NOT_SOUGHT;
}

/** Something of the host has been authenticated. */
static void note_seen(struct pipeline *p, struct slice host_id, enum window_kind kind)
{
    struct host_item *item = pipeline_item(p, host_id);

    if (!p->changes)
        p->now_ms = clock_ms(p->clock);
    if (!item)
        return;
    item->seen_kind = (uint8_t)kind;
    item->seen_ms = p->now_ms;
}

static void count_taken(struct pipeline *p, const struct event *e, enum window_kind kind)
{
    if (!p->changes)
        p->now_s = clock_unix(p->clock);
    if (IS_ENABLED(CONFIG_HUB_DEVICES) && kind != WINDOW_IMPORT) /* the device itself said nothing */
        note_seen(p, e->host_id, kind);
    p->changes = p->unwritten = true;
    p->events++;
    p->bytes += e->line.len;
}

/** Where one of that kind and host is counted. A flood of one kind leaves room for the others. */
static struct pending_report *report_slot(struct pipeline *p, enum hub_report kind,
                                          struct slice host)
{
    struct pending_report *of_kind = &p->reports[kind], *r = of_kind;
    unsigned next = REPORT_KINDS;

    while (r && r->count > 0 && (r->kind != kind || !slice_eq(host, r->host)))
        r = next < PIPELINE_REPORTS ? &p->reports[next++] : NULL;
    return r ? r : of_kind;
}

static void report(struct pipeline *p, enum hub_report kind, struct slice host, uint64_t boot, uint64_t seq, struct slice cause)
{
    struct pending_report *r = report_slot(p, kind, host);
    struct text name;

    if (r->count == 0 || cause.len > strlen(r->cause))
        copy(r->cause, sizeof r->cause, cause.ptr, cause.len);
    if (r->count++ > 0)
        return;
    r->kind = kind;
    r->boot = boot;
    r->seq = seq;
    text_init(&name, r->host, sizeof r->host);
    text_bytes(&name, host.ptr, host.len);
}

void pipeline_report(struct pipeline *p, enum hub_report kind, struct slice host, uint64_t boot,
                     uint64_t seq)
{
    report(p, kind, host, boot, seq, (struct slice){"", 0});
}

/** It is not known whether it has acted, and it does not act now. */
static void take_unknown(struct pipeline *p, const struct event *e, enum window_kind kind)
{
    count_taken(p, e, kind);
    p->unknown++;
    struct recent_mark mark = recent_put(p->recent, e, p->now_s);
    recent_add(p->recent, &mark, NULL, NULL, RECENT_FAILED,
               "below the window: unknown whether it acted");
    report(p, REPORT_UNKNOWN, e->host_id, e->boot, e->seq, e->cause);
}

/** host: null if it is new. */
static void record(struct pipeline *p, const struct event *e, const struct event_source *from,
                   struct host *host, const uint8_t id[SESSION_HOST])
{
    const uint64_t forgotten = p->seen->forgotten;

    seen_take(p->seen, host ? host : seen_get(p->seen, id), from->kind, from->name, e->boot,
              e->seq);
    journal_seen(p->journal, id, from->kind, from->name, e->boot, e->seq);
    if (p->seen->forgotten != forgotten)
        pipeline_report(p, REPORT_EVICTED, e->host_id, e->boot, e->seq);
}

/** While the journal cannot be written no action begins, and what waits for one is not overdue; nor
 * until they have had the time to make room. */
static bool actions_begin(const struct pipeline *p)
{
    return !p->unsafe &&
           (p->unsafe_ms == 0 || clock_ms(p->clock) - p->unsafe_ms >= PIPELINE_RECOVER_MS);
}

int pipeline_take(struct pipeline *p, const struct event *e, const struct event_source *from)
{
    enum seen_verdict v = SEEN_UNREMEMBERED;
    const uint8_t *id = pipeline_host(p, e->host_id);

    struct host *host = seen_find(p->seen, id);
    if (from->unpinned && host && host->pinned)
        return SEEN_PINNED;
    if (e->has_seq)
        v = host ? seen_judge(host, from->kind, e->boot, e->seq) : SEEN_NEW;
    if (v == SEEN_DUPLICATE) {
        count_taken(p, e, from->kind);
        p->duplicates++;
        return v;
    }
    if (v == SEEN_BELOW) {
        take_unknown(p, e, from->kind);
        return v;
    }
    const bool any = match(p, e);
    if (any && !(from->overdue && actions_begin(p)) && !has_room(p, e)) {
        p->held++;
        return NEFIA_EAGAIN;
    }
    /* Of what is imported, that cannot be remembered, either. */
    const bool unsure = from->unsure || (from->kind == WINDOW_IMPORT && v == SEEN_UNREMEMBERED);
    count_taken(p, e, from->kind);
    if (v == SEEN_NEW)
        record(p, e, from, host, id);
    if (any && unsure && acts_once(p)) {
        p->unknown++;
        report(p, REPORT_UNKNOWN, e->host_id, e->boot, e->seq, e->cause);
    }
    decide(p, e, any, unsure);
    return v;
}

/* ---- Hosts ---- */

struct hello_found pipeline_hello(struct pipeline *p, const struct link_hello *h)
{
    const struct slice host_id = {h->host_id, strlen(h->host_id)};
    const uint8_t *id = pipeline_host(p, host_id);
    const uint64_t forgotten = p->seen->forgotten;
    struct hello_found found =
        seen_hello(p->seen, seen_get(p->seen, id), h->boot, h->nonce, h->plain);

    journal_hello(p->journal, id, h->plain, h->nonce, h->boot);
    if (IS_ENABLED(CONFIG_HUB_DEVICES))
        note_seen(p, host_id, WINDOW_LINK);
    p->unwritten = true;
    if (p->seen->forgotten != forgotten)
        pipeline_report(p, REPORT_EVICTED, host_id, h->boot, 0);
    if (found.returning) {
        p->conflicts++;
        pipeline_report(p, REPORT_CONFLICT, host_id, h->boot, 0);
    }
    return found;
}

void pipeline_unpin(struct pipeline *p, const uint8_t id[SESSION_HOST])
{
    struct host *host = seen_find(p->seen, id);

    if (!host || !host->pinned)
        return;
    seen_unpin(host);
    journal_unpin(p->journal, id);
    p->unwritten = true;
}

bool pipeline_forget(struct pipeline *p, struct slice host_id)
{
    const uint8_t *id = pipeline_host(p, host_id);

    if (!seen_forget(p->seen, id))
        return false;
    journal_forget(p->journal, id);
    p->unwritten = true;
    return true;
}

/* ---- What the hub says of itself ---- */

/** What an authenticated sender can cause must not fill the log. */
static void log_report(struct pipeline *p, const struct pending_report *r, const char *type)
{
    const uint64_t now = clock_ms(p->clock);
    uint64_t *logged_ms = &p->report_logged_ms[r->kind];

    if (*logged_ms != 0 && now - *logged_ms < PIPELINE_REPORT_LOG_MS)
        return;
    *logged_ms = now;
    LOG_WARN(type, ": ", r->host, ", boot ", DEC(r->boot), ", seq ", DEC(r->seq), ", ",
             DEC(r->count), " in this turn");
}

/** An event of the hub's own, with the rules that match it in bits. Return: 1: a rule does; 0: none; negative: it cannot
 * be, NEFIA_EAGAIN: not now, for want of room for its actions. */
static int make_own(struct pipeline *p, const char *type, enum severity severity, struct slice data, const char *cause,
                    struct event *e)
{
    const struct event_head head = {
        .type = type,
        .source = "hub",
        .host_id = p->host_id,
        .severity = severity,
        .unix_s = clock_unix(p->clock),
        .synced = clock_synced(p->clock),
        .seq = p->own_seq + 1,
        .uptime_ms = clock_ms(p->clock) - p->started_ms,
        .cause = {cause, strlen(cause)},
    };
    struct text line;

    text_init(&line, p->own_line, CONFIG_EVENT_BYTES + 1);
    int err = event_encode(&line, &head, data.ptr, data.len);
    if (err >= 0)
        err = pipeline_decode(p, line.buf, line.len, e, NULL);
    if (err < 0)
        return err == NEFIA_EAGAIN ? NEFIA_EINVAL : err;
    const bool any = match(p, e);
    return any && !has_room(p, e) ? NEFIA_EAGAIN : any;
}

static void decide_own(struct pipeline *p, const struct event *e, bool any)
{
    p->own_seq++;
    p->changes = p->unwritten = true;
    p->now_s = clock_unix(p->clock);
    decide(p, e, any, false);
}

/** Does a rule match that says which events it wants? */
static bool is_wanted(const struct pipeline *p)
{
    const struct rule_set *set = rules_active(p->rules);

    for (int i = 0; (i = rules_next(p->bits, set->count, (unsigned)i)) >= 0; i++)
        if (*rules_pattern_text(p->rules, set->rules[i].event_pattern))
            return true;
    return false;
}

bool pipeline_emit(struct pipeline *p, const char *type, enum severity severity, struct slice data)
{
    struct event e;
    const int any = make_own(p, type, severity, data, "", &e);

    if (any > 0 && is_wanted(p))
        decide_own(p, &e, true);
    return any != NEFIA_EAGAIN;
}

/** Begin the data of an event of the hub's own, in buf. */
static void begin_data(struct json_writer *w, struct text *data, char *buf, size_t cap)
{
    text_init(data, buf, cap);
    json_begin(w, data);
    json_object(w, NULL);
}

/** Emit such an event, also where no rule matches. Return: false if there is no room for its actions: it stays pending until one
 * has ended. */
static bool emit(struct pipeline *p, const char *type, enum severity severity, struct json_writer *w, const struct text *data,
                 const char *cause)
{
    struct event e;

    json_end_object(w);
    const int any = make_own(p, type, severity, (struct slice){data->buf, data->len}, cause, &e);
    if (any >= 0)
        decide_own(p, &e, any);
    return any != NEFIA_EAGAIN;
}

static bool emit_report(struct pipeline *p, const struct pending_report *r)
{
    static const char *const types[] = {"hub.unknown", "hub.host_conflict", "hub.hosts_evicted"};
    char data_buf[EVENT_HOST_MAX * 6 + 128];
    struct json_writer w;
    struct text data;

    begin_data(&w, &data, data_buf, sizeof data_buf);
    json_put_string(&w, "host", r->host);
    json_put_u64(&w, "boot", r->boot);
    json_put_u64(&w, "seq", r->seq);
    json_put_u64(&w, "count", r->count);
    if (!emit(p, types[r->kind], SEVERITY_WARNING, &w, &data, r->cause))
        return false;
    log_report(p, r, types[r->kind]);
    return true;
}

/** policy.violation */
static bool emit_violation(struct pipeline *p, const struct violation *v)
{
    char data_buf[3072]; /* what can be longest, with every character escaped */
    struct json_writer w;
    struct text data;

    begin_data(&w, &data, data_buf, sizeof data_buf);
    json_put_string(&w, "verdict", verdict_word(v->kind));
    json_put_string(&w, "rule", v->rule);
    json_put_string(&w, "action", v->action);
    json_put_string(&w, "target", v->target);
    if (v->command[0])
        json_put_string(&w, "command", v->command);
    json_put_string(&w, "reason", v->reason);
    json_put_string(&w, "event_type", v->type);
    json_put_string(&w, "event_host", v->host);
    json_put_u64(&w, "event_boot", v->boot);
    json_put_u64(&w, "event_seq", v->seq);
    json_put_u64(&w, "count", v->count);
    p->telling = true;
    const bool emitted = emit(p, "policy.violation", SEVERITY_WARNING, &w, &data, v->cause);
    p->telling = false;
    return emitted;
}

static void emit_violations(struct pipeline *p)
{
    for (struct violation *v = p->violations; v < p->violations + PIPELINE_VIOLATIONS; v++) {
        if (!v->waits || !emit_violation(p, v))
            continue;
        v->waits = false;
        v->count = 0;
        v->told_ms = clock_ms(p->clock);
    }
}

/** rule.breaker_open, rule.breaker_closed */
static bool emit_breaker(struct pipeline *p, const struct breaker_notice *b)
{
    char data_buf[3072]; /* what can be longest, with every character escaped */
    struct json_writer w;
    struct text data;

    begin_data(&w, &data, data_buf, sizeof data_buf);
    json_put_string(&w, "rule", b->rule);
    json_put_string(&w, "action", b->action);
    json_put_u64(&w, "failures", b->failures);
    if (b->open) {
        json_put_u64(&w, "pause_ms", b->pause_ms);
        json_put_string(&w, "error", b->error);
    }
    json_put_string(&w, "event_type", b->type);
    json_put_string(&w, "event_host", b->host);
    json_put_u64(&w, "event_boot", b->boot);
    json_put_u64(&w, "event_seq", b->seq);
    return emit(p, b->open ? "rule.breaker_open" : "rule.breaker_closed", b->open ? SEVERITY_WARNING : SEVERITY_INFO, &w, &data,
                b->cause);
}

/** In their order: where there is no room for the actions of one, those behind it wait, too. */
static void emit_breakers(struct pipeline *p)
{
    while (p->breakers[0].waits && emit_breaker(p, &p->breakers[0])) {
        memmove(p->breakers, p->breakers + 1, sizeof p->breakers - sizeof p->breakers[0]);
        p->breakers[PIPELINE_BREAKERS - 1].waits = false;
    }
}

static void keep_report(struct pipeline *p, const struct pending_report *r)
{
    journal_report(p->journal, &(struct journal_report){
                                   .slot = (uint8_t)(r - p->reports),
                                   .kind = (uint8_t)r->kind,
                                   .count = r->count,
                                   .boot = r->boot,
                                   .seq = r->seq,
                                   .host = {r->host, r->count ? strlen(r->host) : 0},
                               });
}

/** Those that wait, and those that no longer do. */
static void keep_reports(struct pipeline *p)
{
    for (unsigned i = 0; i < PIPELINE_REPORTS; i++) {
        struct pending_report *r = &p->reports[i];

        if (r->kept == r->count)
            continue;
        keep_report(p, r);
        r->kept = r->count;
        p->unwritten = true;
    }
}

/** Begins behind the last one that was emitted: where actions have little room, no report waits for
 * others that come anew in each turn. */
static void emit_reports(struct pipeline *p)
{
    const unsigned first = p->next_report;

    for (unsigned i = 0; i < PIPELINE_REPORTS; i++) {
        struct pending_report *r = &p->reports[(first + i) % PIPELINE_REPORTS];

        if (r->count == 0 || !emit_report(p, r))
            continue;
        r->count = 0;
        p->next_report = (first + i + 1) % PIPELINE_REPORTS;
    }
}

/* ---- The end of a turn ---- */

static int not_written(struct pipeline *p, int err)
{
    if (!p->unsafe)
        LOG_ERROR("cannot write the journal in ", p->journal->dir, ": ", ERRNO(errno),
                  "; events are not acknowledged and actions not started until this is fixed");
    p->unsafe = true;
    p->unsafe_ms = clock_ms(p->clock);
    if (p->refused)
        p->refused(p->arg);
    return err;
}

static int write_journal(struct pipeline *p)
{
    /* A retry after a failure rewrites everything. */
    if (p->unsafe && clock_ms(p->clock) - p->unsafe_ms < PIPELINE_RETRY_MS)
        return NEFIA_EIO;
    int err = journal_commit(p->journal);
    if (err < 0)
        return not_written(p, err);
    if (p->unsafe)
        LOG_INFO("the journal is writable again");
    p->unsafe = p->unwritten = false;
    return 0;
}

void pipeline_turn_end(struct pipeline *p)
{
    emit_reports(p);
    if (IS_ENABLED(CONFIG_HUB_GUARD))
        emit_violations(p);
    if (IS_ENABLED(CONFIG_HUB_RESTRAINT))
        emit_breakers(p);
    keep_reports(p);
    jobs_choose(p->jobs);
    (void)dispatch_turn(p->dispatch);
    if (IS_ENABLED(CONFIG_HUB_RESTRAINT) && p->restraint)
        restraint_keeper_turn(p->restraint, false);
    audit_log_write(p->audit);
    bool written = write_journal(p) >= 0;
    if (written)
        audit_begins(p->audit, p->jobs, p->recent);
    audit_log_commit(p->audit);
    if (written && p->acknowledge)
        p->acknowledge(p->arg);
    jobs_begin(p->jobs, written);
    const bool ordered = dispatch_turn(p->dispatch);
    audit_log_write(p->audit);
    if (written && journal_dirty(p->journal))
        written = write_journal(p) >= 0; /* what they have ordered, and those that could not begin have ended */
    if (written && ordered && p->acknowledge)
        p->acknowledge(p->arg);
    audit_log_commit(p->audit);
    if (p->changes && p->changed)
        p->changed(p->arg);
    p->changes = false;
}

void pipeline_reloaded(struct pipeline *p, uint16_t (*rule_now)(void *arg, uint16_t rule), void *arg)
{
    if (!IS_ENABLED(CONFIG_HUB_RESTRAINT) || !p->restraint)
        return;
    restraint_keeper_rebind(p->restraint, rule_now, arg);
    journal_reloaded(p->journal, ran(p), clock_unix(p->clock));
}

void pipeline_stop(struct pipeline *p)
{
    if (IS_ENABLED(CONFIG_HUB_RESTRAINT) && p->restraint)
        restraint_keeper_turn(p->restraint, true);
    journal_commit(p->journal);
}

bool pipeline_is_written(const struct pipeline *p)
{
    return !p->unwritten && !p->unsafe;
}

/* ---- Hooks of the jobs ---- */

static bool hook_rule(void *arg, uint16_t index, struct action_request *out)
{
    struct pipeline *p = arg;
    const struct rule_set *set = rules_active(p->rules);

    if (index >= set->count)
        return false;
    const struct rule *rule = &set->rules[index];
    out->action = &rule->action;
    out->rule = rule->name;
    out->playbooks = p->playbooks;
    if (IS_ENABLED(CONFIG_HUB_DEVICES) && out->event)
        out->device = pipeline_device(p, out->event->host_id);
    return rule->action.class != NULL;
}

/** What was allowed under other rules or another policy is judged again. */
static bool hook_allowed(void *arg, struct job *job, const struct action_request *r, struct text *why)
{
    struct pipeline *p = arg;

    if (!p->guard.judge || job->judged == p->generation)
        return true;
    job->judged = p->generation;
    const bool allowed = judge(p, &rules_active(p->rules)->rules[job->rule], r->event, why);
    audit_log_commit(p->audit); /* before it begins */
    return allowed;
}

static int hook_decode(void *arg, const char *line, size_t len, struct event *out)
{
    return pipeline_decode(arg, line, len, out, NULL);
}

/** Who sets it off, and by what, is in the event of the job. */
static void note_breaker(struct pipeline *p, const struct job *job, bool open, uint32_t failures, uint32_t pause_ms, const char *error)
{
    struct breaker_notice *b = p->breakers;
    struct event e;

    while (b < p->breakers + PIPELINE_BREAKERS && b->waits)
        b++;
    if (b == p->breakers + PIPELINE_BREAKERS) {
        p->untold++;
        return;
    }
    *b = (struct breaker_notice){.waits = true, .open = open, .failures = failures, .pause_ms = pause_ms};
    copy(b->rule, sizeof b->rule, job->name, strlen(job->name));
    copy(b->action, sizeof b->action, job->queue->class->name, strlen(job->queue->class->name));
    copy(b->error, sizeof b->error, error, strlen(error));
    if (pipeline_decode(p, jobs_line(p->jobs, job), job->len, &e, NULL) < 0)
        return;
    b->boot = e.boot;
    b->seq = e.seq;
    copy(b->host, sizeof b->host, e.host_id.ptr, e.host_id.len);
    copy(b->type, sizeof b->type, e.type.ptr, e.type.len);
    put_cause(b->cause, e.cause, job->name);
}

/** For the breaker of its rule. */
static void note_end(struct pipeline *p, const struct job *job, bool done, const char *error)
{
    const bool begun = job->attempt > 0 || job->state == JOB_SENT;
    const enum restraint_result result = done ? RESTRAINT_DONE : begun ? RESTRAINT_FAILED : RESTRAINT_UNKNOWN;
    uint32_t failures;

    if (!IS_ENABLED(CONFIG_HUB_RESTRAINT) || !p->restraint || job->rule == JOB_NO_RULE)
        return;
    const struct restraint_settings *s = rules_restraint(p->rules, job->rule);
    if (!s || s->failures == 0)
        return;
    const uint64_t now = ran(p);
    journal_result(p->journal, job->id, now, (uint8_t)result, job->name);
    const enum restraint_turn turn = restraint_ended(&p->restraint->restraint, job->rule, s, job->id, result, now, &failures);
    if (turn == RESTRAINT_SAME)
        return;
    note_breaker(p, job, turn == RESTRAINT_OPENED, failures, s->pause_ms, error);
    if (turn == RESTRAINT_OPENED)
        LOG_WARN("rule ", job->name, ": breaker open after ", COUNT(failures, "failure"), " in a row, the last one: ", error);
    else
        LOG_INFO("rule ", job->name, ": breaker closed");
}

static size_t without_newline(const char *s, size_t len)
{
    return len > 0 && s[len - 1] == '\n' ? len - 1 : len;
}

static void hook_settled(void *arg, const struct job *job, bool done, const char *error,
                         const struct child_result *r, const char *output)
{
    struct pipeline *p = arg;
    const struct action_class *class = job->queue->class;
    char said_buf[160];
    struct text said;

    enum recent_state state = done ? RECENT_DONE : RECENT_FAILED;

    audit_ended(p->audit, job, p->recent, done, error, r);
    recent_settle(p->recent, job->row, state, error);
    note_end(p, job, done, error);
    journal_end(p->journal, job->id, (uint8_t)state);
    p->overflow_reported = false;
    text_init(&said, said_buf, sizeof said_buf);
    if (r && class->logs_output)
        text_printable(&said, output, without_newline(output, r->output_len));
    if (done)
        LOG_INFO("rule ", job->name, ": ", class->name, " done in ",
                 DEC(r ? r->duration_ms : 0), " ms");
    else
        LOG_WARN("rule ", job->name, ": ", class->name, " failed: ", error,
                 said.len > 0 ? ": " : "", said.buf);
    if (p->changed)
        p->changed(p->arg);
    if (p->room)
        p->room(p->arg);
}

/** Jobs about to start or waiting for a retry count as started. */
static enum journal_job_state recorded_state(const struct job *job)
{
    if (job->state == JOB_PENDING)
        return JOURNAL_PENDING;
    if (job->queue->class->resumes && job->attempt > 0)
        return JOURNAL_STARTED;
    if (job->state == JOB_SENT)
        return JOURNAL_SENT;
    if (job->state >= JOB_STARTING || job->attempt > 0)
        return JOURNAL_STARTED;
    return job->approved ? JOURNAL_APPROVED : JOURNAL_QUEUED;
}

static void hook_entered(void *arg, const struct job *job)
{
    const struct pipeline *p = arg;

    journal_state(p->journal, job->id, recorded_state(job), job->timeout_ms);
}

static int hook_send(void *arg, const struct job *job, const struct action_request *r, const struct action_order *o,
                     struct text *why)
{
    const struct pipeline *p = arg;

    return dispatch_order(p->dispatch, job, r, o, why);
}

static void hook_ready(void *arg)
{
    pipeline_turn_end(arg);
}

struct job_hooks pipeline_job_hooks(struct pipeline *p)
{
    return (struct job_hooks){.rule = hook_rule,
                              .allowed = hook_allowed,
                              .settled = hook_settled,
                              .send = IS_ENABLED(CONFIG_HUB_COMMANDS) && p->dispatch ? hook_send : NULL,
                              .entered = hook_entered,
                              .ready = hook_ready,
                              .decode = hook_decode,
                              .arg = p};
}

/* ---- Hooks of the journal ---- */

static void hook_copy(void *arg)
{
    struct pipeline *p = arg;
    uint64_t event = 0;

    for (const struct job *job = NULL; (job = jobs_next(p->jobs, job ? job->id : 0)) != NULL;) {
        if (job->event != event)
            journal_event(p->journal, job->event, jobs_line(p->jobs, job), job->len);
        event = job->event;
        journal_job(p->journal, job->id, job->event, job->name);
        if (recorded_state(job) != JOURNAL_QUEUED)
            hook_entered(p, job);
    }
    for (unsigned i = 0; i < PIPELINE_REPORTS; i++)
        if (p->reports[i].count > 0)
            keep_report(p, &p->reports[i]);
}

static void hook_report(void *arg, const struct journal_report *from)
{
    struct pipeline *p = arg;
    struct pending_report *r = &p->reports[from->slot % PIPELINE_REPORTS];
    struct text name;

    if (from->slot >= PIPELINE_REPORTS || from->kind >= REPORT_KINDS)
        return;
    *r = (struct pending_report){.kind = (enum hub_report)from->kind,
                                 .count = from->count,
                                 .kept = from->count,
                                 .boot = from->boot,
                                 .seq = from->seq};
    text_init(&name, r->host, sizeof r->host);
    text_bytes(&name, from->host.ptr, from->host.len);
}

/** Describe an event: "disk.usage from web-01 (boot 7, seq 41)". */
static const char *event_name(struct text *t, const struct event *e)
{
    text_printable(t, e->type.ptr, e->type.len);
    text_str(t, " from ");
    text_printable(t, e->host_id.ptr, e->host_id.len);
    if (e->has_seq) {
        text_str(t, " (boot ");
        text_u64(t, e->boot);
        text_str(t, ", seq ");
        text_u64(t, e->seq);
        text_char(t, ')');
    }
    return t->buf;
}

/** An action of an earlier run goes no further: what the breaker has tried is not known. */
static void note_lost(struct pipeline *p, unsigned index, uint64_t job)
{
    const struct restraint_settings *s = IS_ENABLED(CONFIG_HUB_RESTRAINT) && p->restraint ? rules_restraint(p->rules, index) : NULL;
    uint32_t failures;

    if (s)
        restraint_ended(&p->restraint->restraint, (uint16_t)index, s, job, RESTRAINT_UNKNOWN, ran(p), &failures);
}

/** Handle an action that was unfinished when the hub stopped. */
static void resume(struct pipeline *p, struct event *e, unsigned index, const struct journal_job *job)
{
    const bool begun = job->state == JOURNAL_STARTED;
    struct resumed *last = &p->resumed;
    const struct rule *rule = &rules_active(p->rules)->rules[index];
    const char *word = action_word(&rule->action);
    char name_buf[EVENT_TYPE_MAX + EVENT_HOST_MAX + 64];
    struct text name;

    text_init(&name, name_buf, sizeof name_buf);
    if (begun && !rule->idempotent && !(rule->action.class && rule->action.class->resumes)) {
        static const char unknown[] = "started before the restart, result unknown";
        p->unfinished++;
        recent_add(p->recent, &last->mark, rule->name, word, RECENT_FAILED, unknown);
        audit_abandoned(p->audit, rule->name, e, word, job->id, true, unknown);
        note_lost(p, index, job->id);
        LOG_WARN("rule ", rule->name, ": ", word, " for ", event_name(&name, e),
                 HINTED(" was running when the hub stopped, result unknown",
                        "; not run again (idempotent: true would)"));
        return;
    }
    struct job_order order = {
        .id = job->id,
        .state = job->state == JOURNAL_PENDING ? JOB_PENDING
                 : job->state == JOURNAL_SENT  ? JOB_SENT
                                               : JOB_QUEUED,
        .approved = job->state == JOURNAL_APPROVED,
        .timeout_ms = job->timeout_ms,
    };
    if (!guard_allows(p, rule, e, last->event.id, &last->mark)) {
        note_lost(p, index, job->id);
        return;
    }
    if (push(p, index, &last->event, &last->mark, &order) < 0)
        note_lost(p, index, job->id);
    LOG_INFO("rule ", rule->name, ": ", word, " for ", event_name(&name, e),
             begun ? " run again" : " resumed", " after the restart");
}

static void hook_job(void *arg, const struct journal_job *job, const char *line, size_t len)
{
    struct pipeline *p = arg;
    char name[RECENT_RULE_MAX + 1];
    struct text t;
    struct event e;

    text_init(&t, name, sizeof name);
    text_bytes(&t, job->rule.ptr, job->rule.len);
    int index = rules_find(p->rules, name);
    const bool readable = pipeline_decode(p, line, len, &e, NULL) >= 0;
    if (index < 0 || !readable) {
        p->unfinished++;
        if (index >= 0)
            note_lost(p, (unsigned)index, job->id);
        audit_abandoned(p->audit, name, readable ? &e : NULL, NULL, job->id, job->state == JOURNAL_STARTED,
                        index < 0 ? "rule removed" : "event cannot be decoded");
        LOG_WARN("rule ", name, ": its action ",
                 job->state == JOURNAL_QUEUED ? "was queued" : "was running", " when the hub stopped, and ",
                 index < 0 ? "the rule no longer exists" : "its event in the journal is damaged");
        return;
    }
    p->now_s = clock_unix(p->clock);
    if (p->resumed.event.id != job->event) {
        p->resumed = (struct resumed){event_for_jobs(&e, job->event), recent_put(p->recent, &e, p->now_s)};
        p->resumed.mark.rules = p->generation;
    }
    p->resumed.event.line = e.line.ptr;
    resume(p, &e, (unsigned)index, job);
}

struct journal_hooks pipeline_journal_hooks(struct pipeline *p)
{
    return (struct journal_hooks){.job = hook_job, .copy = hook_copy, .report = hook_report, .arg = p};
}
