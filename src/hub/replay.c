#include "nefia/hub/replay.h"

#include <string.h>

#include "nefia/base/err.h"

const char *replay_word(uint8_t decision)
{
    static const char words[] = "acted\0own_effect\0silenced\0restrained\0denied\0dropped\0acted_before\0";

    return decision > JOURNAL_ACTED_BEFORE ? "unknown" : word_at(words, decision);
}

const char *restraint_word(enum restraint_reason reason)
{
    static const char words[] = "none\0after\0breaker\0breaker_trying\0cooldown\0max_per_hour\0once_within\0memory\0";

    return reason > RESTRAINT_MEMORY ? "unknown" : word_at(words, reason);
}

static const struct rule_set *rules_of(const struct replay *r)
{
    return rules_active(r->pipeline->rules);
}

static void set_time(struct replay *r, uint64_t ran_ms, int64_t unix_s)
{
    r->clock->now_ms = ran_ms;
    r->clock->now_s = unix_s;
    r->pipeline->ran_ms = ran_ms;
    r->pipeline->now_s = unix_s;
}

/* ---- Actions that rules with a breaker have begun ---- */

static const struct restraint_settings *breaker_of(const struct replay *r, unsigned rule)
{
    const struct restraint_settings *s = r->pipeline->restraint ? rules_restraint(r->pipeline->rules, rule) : NULL;

    return s && s->failures > 0 ? s : NULL;
}

static void note_result(struct replay *r, unsigned rule, uint64_t job, enum restraint_result result, uint64_t ran_ms)
{
    const struct restraint_settings *s = breaker_of(r, rule);
    uint32_t failures;

    if (s)
        restraint_ended(&r->pipeline->restraint->restraint, (uint16_t)rule, s, job, result, ran_ms, &failures);
}

static struct replay_job *find_job(struct replay *r, uint64_t job)
{
    for (struct replay_job *j = r->jobs; j < r->jobs + REPLAY_JOBS; j++)
        if (j->job == job)
            return j;
    return NULL;
}

/** The oldest one is given up for it: its result will not be known. */
static void await(struct replay *r, unsigned rule, uint64_t job, bool would)
{
    if (breaker_of(r, rule))
        r->jobs[r->next_job++ % REPLAY_JOBS] = (struct replay_job){.job = job, .rule = (uint16_t)rule, .would = would};
}

/** Those that a new file does not have were not taken up again: how they ended is not known. */
static void end_copy(struct replay *r)
{
    if (!r->copying)
        return;
    r->copying = false;
    for (struct replay_job *j = r->jobs; j < r->jobs + REPLAY_JOBS; j++) {
        if (j->job > 0 && !j->copied && j->would)
            note_result(r, j->rule, j->job, RESTRAINT_UNKNOWN, r->pipeline->ran_ms);
        if (!j->copied)
            j->job = 0;
        j->copied = false;
    }
}

/* ---- Deciding ---- */

static void say(struct replay *r, struct replay_said *s)
{
    s->event = &r->event;
    s->unix_s = r->pipeline->now_s;
    r->differences += s->differs;
    if (r->said)
        r->said(r->arg, s);
}

static uint32_t detail_of(const struct would *w)
{
    return w->decision == JOURNAL_SILENCED ? w->silence->id : w->decision == JOURNAL_RESTRAINED ? (uint32_t)w->held.reason : 0;
}

static void count(struct replay_rule *k, const struct would *w)
{
    k->matched++;
    k->acted += w->decision == 0;
    k->own_effects += w->decision == JOURNAL_OWN_EFFECT;
    k->silenced += w->decision == JOURNAL_SILENCED;
    k->denied += w->decision == JOURNAL_DENIED;
    k->others += w->decision == JOURNAL_DROPPED || w->decision == JOURNAL_ACTED_BEFORE;
    if (w->decision == JOURNAL_RESTRAINED)
        k->restrained[w->held.reason]++;
}

/** It begins: as it did, or as a job of its own that ends at once. */
static void begin(struct replay *r, unsigned index, const struct would *w, bool began)
{
    const struct replay_rule *k = &r->rules[index];
    const uint64_t job = began ? k->job : UINT64_MAX - r->made_up++;

    if (w->restrains)
        restraint_acted(&r->pipeline->restraint->restraint, &w->held_case, job, r->pipeline->ran_ms);
    if (!began)
        note_result(r, index, job, k->failed ? RESTRAINT_FAILED : RESTRAINT_DONE, r->pipeline->ran_ms);
}

static void decide(struct replay *r, unsigned index)
{
    const struct rule *rule = &rules_of(r)->rules[index];
    struct replay_rule *k = &r->rules[index];
    const bool known = r->recorded && k->event == r->number;
    struct replay_said s = {.rule = rule->name, .matches = true, .known = known, .did = known ? k->did : 0};

    if (!rule->action.class) {
        k->matched++;
        k->others++;
        return;
    }
    pipeline_would(r->pipeline, index, &r->event, r->unsure, &s.would);
    /* Whether there was room is not known from the events alone. */
    if (s.would.decision == 0 && known && k->did == JOURNAL_DROPPED)
        s.would.decision = JOURNAL_DROPPED;
    s.did_detail = known ? k->did_detail : 0;
    s.differs = r->recorded && (!known || s.would.decision != k->did || detail_of(&s.would) != k->did_detail);
    count(k, &s.would);
    k->differs += s.differs;
    r->decisions++;
    const bool began = known && k->did == 0;
    if (began)
        await(r, index, k->job, s.would.decision == 0);
    if (s.would.decision == 0)
        begin(r, index, &s.would, began);
    say(r, &s);
}

/** All that was done of the event has been read. */
static void close_event(struct replay *r)
{
    struct pipeline *p = r->pipeline;
    const unsigned rules = rules_of(r)->count;

    if (!r->open)
        return;
    r->open = false;
    for (int i = 0; (i = rules_next(p->bits, rules, (unsigned)i)) >= 0; i++)
        decide(r, (unsigned)i);
}

static int open_event(struct replay *r, uint64_t ran_ms, int64_t unix_s, bool recorded, bool unsure)
{
    struct pipeline *p = r->pipeline;

    int err = pipeline_decode(p, r->line, r->line_len, &r->event, NULL);
    r->line_len = 0;
    if (err < 0) {
        r->unread++;
        return err;
    }
    set_time(r, ran_ms, unix_s);
    r->first_s = r->number == 0 ? unix_s : r->first_s;
    r->last_s = unix_s;
    r->number++;
    r->recorded = recorded;
    r->unsure = unsure;
    if (!rules_match(p->rules, &r->event, p->bits))
        memset(p->bits, 0, sizeof p->bits);
    r->open = true;
    return 0;
}

int replay_event(struct replay *r, const char *line, size_t len, uint64_t ran_ms, int64_t unix_s)
{
    if (len > CONFIG_EVENT_BYTES)
        return NEFIA_ETOOBIG;
    memmove(r->line, line, len);
    r->line_len = len;
    const int err = open_event(r, ran_ms, unix_s, false, false);
    close_event(r);
    return err;
}

void replay_end(struct replay *r)
{
    close_event(r);
}

/* ---- Records of the journal ---- */

static int rule_of(const struct replay *r, struct slice name)
{
    char buf[RULE_NAME_MAX + 1];
    struct text t;

    text_init(&t, buf, sizeof buf);
    text_bytes(&t, name.ptr, name.len);
    return rules_find(r->pipeline->rules, buf);
}

/** What was done of the event by a rule. */
static void note_done(struct replay *r, const struct journal_record *record, uint8_t did, uint64_t job)
{
    const int index = rule_of(r, record->bytes);
    char name[RULE_NAME_MAX + 1];
    struct text t;

    if (index >= 0 && r->pipeline->bits[index / 32] >> (index & 31) & 1) {
        struct replay_rule *k = &r->rules[index];
        k->event = r->number;
        k->did = did;
        k->did_detail = record->detail;
        k->job = job;
        return;
    }
    /* Of a job of a rule that does not match any more no result is awaited. */
    text_init(&t, name, sizeof name);
    text_bytes(&t, record->bytes.ptr, record->bytes.len);
    r->gone += index < 0;
    r->decisions++;
    if (index >= 0)
        r->rules[index].differs++;
    if (index >= 0 && did == 0)
        await(r, (unsigned)index, job, false);
    say(r, &(struct replay_said){.rule = name, .known = true, .did = did, .did_detail = record->detail, .differs = true});
}

static void take_when(struct replay *r, const struct journal_record *record)
{
    end_copy(r);
    if (r->line_len == 0 || r->line_id != record->id)
        return;
    r->started = true;
    r->id = record->id;
    open_event(r, record->time.ran_ms, record->time.unix_s, true, record->time.flags & JOURNAL_UNSURE);
}

static void take_job(struct replay *r, const struct journal_record *record)
{
    struct replay_job *job;

    if (r->open && record->event == r->id)
        note_done(r, record, 0, record->id);
    else if (r->copying && (job = find_job(r, record->id)) != NULL)
        job->copied = true;
}

static void take_result(struct replay *r, uint64_t id, enum restraint_result result, uint64_t ran_ms)
{
    struct replay_job *job = find_job(r, id);

    if (!job)
        return;
    if (job->would)
        note_result(r, job->rule, id, result, ran_ms);
    if (result != RESTRAINT_UNKNOWN)
        r->rules[job->rule].failed = result == RESTRAINT_FAILED;
    job->job = 0;
}

/** Of an action that began before the first event. */
static void take_old_result(struct replay *r, const struct journal_record *record)
{
    const int index = rule_of(r, record->bytes);

    if (r->started && index >= 0)
        note_result(r, (unsigned)index, record->id, (enum restraint_result)record->code, record->time.ran_ms);
}

static void take_kept(struct replay *r, const struct journal_record *record)
{
    struct journal *journal = r->pipeline->journal;
    const bool wanted = record->code == KEPT_SILENCES || (record->code == KEPT_RESTRAINT && !r->started);

    if (!wanted || record->code >= KEPT_KINDS || !journal->keepers[record->code].restore)
        return;
    journal->keepers[record->code].restore(journal->keepers[record->code].arg, (uint16_t)record->detail,
                                           (const uint8_t *)record->bytes.ptr, record->bytes.len);
}

static void begin_file(struct replay *r)
{
    close_event(r);
    r->copying = r->files++ > 0;
    if (IS_ENABLED(CONFIG_HUB_SILENCES) && r->pipeline->silences)
        silences_forget(r->pipeline->silences);
}

int replay_record(struct replay *r, const struct journal_record *record)
{
    const bool continues = record->kind == JOURNAL_JOB || record->kind == JOURNAL_DECIDED ||
                           (record->kind == JOURNAL_KEPT && record->code != KEPT_SILENCES);

    if (!continues)
        close_event(r);
    if (record->kind == JOURNAL_RESULT || record->kind == JOURNAL_END || record->kind == JOURNAL_RELOAD)
        end_copy(r);
    switch (record->kind) {
    case JOURNAL_BEGINS:
        begin_file(r);
        break;
    case JOURNAL_EVENT:
        if (record->bytes.len > CONFIG_EVENT_BYTES)
            break;
        memcpy(r->line, record->bytes.ptr, record->bytes.len);
        r->line_len = record->bytes.len;
        r->line_id = record->id;
        break;
    case JOURNAL_WHEN:
        take_when(r, record);
        break;
    case JOURNAL_JOB:
        take_job(r, record);
        break;
    case JOURNAL_DECIDED:
        if (r->open && record->id == r->id)
            note_done(r, record, record->code, 0);
        break;
    case JOURNAL_RESULT:
        if (find_job(r, record->id))
            take_result(r, record->id, (enum restraint_result)record->code, record->time.ran_ms);
        else
            take_old_result(r, record);
        break;
    case JOURNAL_END: /* of a rule that had no breaker then */
        take_result(r, record->id, record->code == RECENT_DONE ? RESTRAINT_DONE : RESTRAINT_FAILED, r->pipeline->ran_ms);
        break;
    case JOURNAL_RELOAD:
        r->reloads++;
        break;
    case JOURNAL_KEPT:
        take_kept(r, record);
        break;
    }
    return 0;
}
