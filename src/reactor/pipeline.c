#include "nefia/reactor/pipeline.h"

#include <string.h>

#include "nefia/err.h"
#include "nefia/log.h"

void pipeline_init(struct pipeline *p, const struct clock *clock, struct rules *rules,
                   struct journal *journal, struct jobs *jobs, struct json_token *tokens)
{
    *p = (struct pipeline){
        .clock = clock,
        .rules = rules,
        .journal = journal,
        .jobs = jobs,
        .tokens = tokens,
        .started_ms = clock_ms(clock),
    };
}

/* ---- Refusing ---- */

static const char *reject_sentence(enum reject why)
{
    static const char *const sentences[REJECT_COUNT] = {
        [REJECT_PEER] = "not in reactor.peers",
        [REJECT_FULL] = "too many connections (CONFIG_CONNECTIONS)",
        [REJECT_TOO_LONG] = "a line longer than CONFIG_EVENT_BYTES",
        [REJECT_UNFINISHED] = "the connection ended inside a line",
        [REJECT_TIMEOUT] = "half a line, and nothing more for 30 s",
        [REJECT_UNSIGNED] = "the signature is missing",
        [REJECT_MALFORMED] = "the signature is not a line of 64 lower-case hex digits",
        [REJECT_WRONG] = "the signature is wrong",
        [REJECT_UTF8] = "not UTF-8",
        [REJECT_JSON] = "not JSON",
        [REJECT_EVENT] = "not an event",
    };

    return sentences[why];
}

static void rejected(void *arg, const struct addr *peer, enum reject why, const char *what)
{
    struct pipeline *p = arg;

    p->rejected[why]++;
    LOG_WARN("connection from ", ADDR(peer), " closed: ", reject_sentence(why), what ? ": " : "",
             what ? what : "");
}

static int reject(struct pipeline *p, const struct addr *peer, enum reject why, const char *what,
                  int err)
{
    rejected(p, peer, why, what);
    return err;
}

/** Nothing of the line is looked at but its bytes. */
static int verify(struct pipeline *p, const struct addr *peer, const char *line, size_t len,
                  const char *sig, size_t sig_len)
{
    if (!p->key.set)
        return 0;
    int err = mac_verify_hex(&p->key, line, len, sig, sig_len);
    if (err >= 0)
        return 0;
    if (err == NEFIA_EAUTH)
        return reject(p, peer, REJECT_WRONG, NULL, err);
    /* The next event, or nothing, where the signature should be. */
    bool missing = sig_len == 0 || sig[0] == '{';
    return reject(p, peer, missing ? REJECT_UNSIGNED : REJECT_MALFORMED, NULL, err);
}

static enum reject reason_of(int err)
{
    switch (err) {
    case NEFIA_EUTF8:
        return REJECT_UTF8;
    case NEFIA_ESYNTAX:
    case NEFIA_EDEPTH:
        return REJECT_JSON;
    case NEFIA_ETOOBIG:
        return REJECT_TOO_LONG;
    default:
        return REJECT_EVENT;
    }
}

static int decode(struct pipeline *p, const char *line, size_t len, struct event *e,
                  const char **why)
{
    return event_decode(e, line, len, p->tokens, CONFIG_JSON_TOKENS, p->scratch, why);
}

/* ---- Deciding and doing ---- */

static void tell_overflow(struct pipeline *p, const struct rule *rule)
{
    if (p->overflow_told)
        return;
    p->overflow_told = true;
    LOG_WARN("rule ", rule->name, ": ", action_word(&rule->action),
             ": queue full; until it has room again what does not fit is only counted");
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

/** One rule that matched. */
static void act(struct pipeline *p, unsigned index, const struct event *e,
                const struct journal_mark *mark)
{
    struct rule *rule = &p->rules->sets[p->rules->active].rules[index];
    const char *word = action_word(&rule->action);

    rule->hits++;
    p->matched++;
    if (!rule->action.class) {
        p->unsupported++;
        journal_add(p->journal, mark, rule->name, word, JOURNAL_FAILED, err_text(NEFIA_ENOTSUP));
        return;
    }
    uint64_t row = journal_add(p->journal, mark, rule->name, word, JOURNAL_PENDING, NULL);
    int err = jobs_push(p->jobs, &rule->action, (uint16_t)index, row, e->line.ptr, e->line.len);
    if (err >= 0) {
        p->pushed = true;
        tell_match(p, rule, e);
        return;
    }
    journal_settle(p->journal, row, JOURNAL_FAILED,
                   err == NEFIA_EFULL ? "queue full" : err_text(err));
    if (err == NEFIA_EFULL)
        tell_overflow(p, rule);
}

static void decide(struct pipeline *p, const struct event *e)
{
    const struct rule_set *set = rules_active(p->rules);
    uint32_t bits[RULE_WORDS];
    uint64_t failed = p->rules->failed;
    struct journal_mark mark = journal_put(p->journal, e, p->now_s);

    if (rules_match(p->rules, e, bits)) {
        for (int i = 0; (i = rules_next(bits, set->count, (unsigned)i)) >= 0; i++)
            act(p, (unsigned)i, e, &mark);
    } else {
        journal_add(p->journal, &mark, NULL, NULL, JOURNAL_NONE, NULL);
    }
    if (p->rules->failed != failed)
        LOG_ERROR("no heap to match all patterns; raise CONFIG_HUB_HEAP_KB");
}

int pipeline_line(struct pipeline *p, const struct addr *peer, const char *line, size_t len,
                  const char *sig, size_t sig_len)
{
    struct event e;
    const char *why = NULL;

    int err = verify(p, peer, line, len, sig, sig_len);
    if (err < 0)
        return err;
    err = decode(p, line, len, &e, &why);
    if (err < 0)
        return reject(p, peer, reason_of(err), why, err);
    if (p->events_in_turn++ == 0)
        p->now_s = clock_unix(p->clock);
    p->events++;
    p->bytes += len;
    decide(p, &e);
    return 0;
}

void pipeline_turn_end(struct pipeline *p)
{
    if (p->pushed)
        jobs_start(p->jobs);
    p->pushed = false;
    if (p->events_in_turn > 0 && p->changed)
        p->changed(p->changed_arg);
    p->events_in_turn = 0;
}

/* ---- What the listener and the jobs ask ---- */

static int hook_line(void *arg, const struct addr *peer, const char *line, size_t len,
                     const char *sig, size_t sig_len)
{
    return pipeline_line(arg, peer, line, len, sig, sig_len);
}

static void hook_turn_end(void *arg)
{
    pipeline_turn_end(arg);
}

static bool hook_allowed(void *arg, const struct addr *peer)
{
    const struct pipeline *p = arg;

    return reactor_settings_allow(p->settings, peer) || (p->peers && peers_have(p->peers, peer));
}

struct listener_hooks pipeline_listener_hooks(struct pipeline *p)
{
    return (struct listener_hooks){
        .line = hook_line,
        .turn_end = hook_turn_end,
        .rejected = rejected,
        .allowed = hook_allowed,
        .arg = p,
    };
}

static bool hook_rule(void *arg, uint16_t index, struct action_request *out)
{
    const struct pipeline *p = arg;
    const struct rule_set *set = rules_active(p->rules);

    if (index >= set->count)
        return false;
    const struct rule *rule = &set->rules[index];
    out->action = &rule->action;
    out->rule = rule->name;
    out->hook = rule->action.command ? NULL : &p->settings->hooks[rule->action.webhook];
    return rule->action.class != NULL;
}

static int hook_decode(void *arg, const char *line, size_t len, struct event *out)
{
    return decode(arg, line, len, out, NULL);
}

/** The rule of a job; when a reload took it away, what the journal remembers. */
static const char *job_rule(const struct pipeline *p, const struct job *job)
{
    const struct rule_set *set = rules_active(p->rules);
    struct journal_view v;

    if (job->rule < set->count)
        return set->rules[job->rule].name;
    return journal_get(p->journal, job->row, &v) ? v.row->rule : "(removed)";
}

static void hook_settled(void *arg, const struct job *job, bool done, const char *error,
                         const struct child_result *r, const char *output)
{
    struct pipeline *p = arg;
    const struct action_class *class = job->queue->class;
    char said_buf[160];
    struct text said;

    journal_settle(p->journal, job->row, done ? JOURNAL_DONE : JOURNAL_FAILED, error);
    p->overflow_told = false;
    text_init(&said, said_buf, sizeof said_buf);
    if (r && class->logs_output)
        text_printable(&said, output, r->output_len);
    if (done)
        LOG_INFO("rule ", job_rule(p, job), ": ", class->name, " done in ",
                 DEC(r ? r->duration_ms : 0), " ms");
    else
        LOG_WARN("rule ", job_rule(p, job), ": ", class->name, " failed: ", error,
                 said.len > 0 ? ": " : "", said.buf);
    if (p->changed)
        p->changed(p->changed_arg);
}

struct job_hooks pipeline_job_hooks(struct pipeline *p)
{
    return (struct job_hooks){
        .rule = hook_rule, .settled = hook_settled, .decode = hook_decode, .arg = p};
}
