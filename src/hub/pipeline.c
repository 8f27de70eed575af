#include "nefia/hub/pipeline.h"

#include <errno.h>
#include <string.h>

#include "nefia/base/err.h"
#include "nefia/sys/log.h"

enum { OVER_RATE_MS = 60 * 1000 };

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

/* ---- Rejections ---- */

static const char *reject_sentence(enum reject why)
{
    static const char *const sentences[REJECT_COUNT] = {
        [REJECT_PEER] = "not in reactor.peers",
        [REJECT_FULL] = "too many connections (CONFIG_CONNECTIONS)",
        [REJECT_PEER_FULL] = "too many connections from this address (reactor.max_connections_per_peer)",
        [REJECT_TOO_LONG] = "line longer than CONFIG_EVENT_BYTES",
        [REJECT_UNFINISHED] = "closed in the middle of a line",
        [REJECT_TIMEOUT] = "incomplete line, timed out after 30 s",
        [REJECT_UNSIGNED] = "signature missing",
        [REJECT_MALFORMED] = "signature is not 64 lower-case hex digits",
        [REJECT_WRONG] = "wrong signature",
        [REJECT_UTF8] = "not UTF-8",
        [REJECT_JSON] = "not JSON",
        [REJECT_EVENT] = "not an event",
        [REJECT_HOST] = "host_id does not belong to this key or address (reactor.keys)",
        [REJECT_REPLAY] = "stamp of another connection, or out of order",
        [REJECT_WINDOW] = "more unacknowledged events than the window allows",
        [REJECT_PLAIN] = "event without the connection's nonce (reactor.require_nonce)",
        [REJECT_RATE] = "over the rate limit for a minute (reactor.max_events_per_sec)",
    };

    return sentences[why];
}

/** Log up to PIPELINE_CLOSED_LINES a minute: rejected senders may reconnect at once, and a router's
 * log is small. */
static bool may_tell(struct pipeline *p)
{
    uint64_t now = clock_ms(p->clock);

    if (now - p->closed_since_ms >= 60 * 1000) {
        if (p->closed > PIPELINE_CLOSED_LINES)
            LOG_WARN("closed connections that were not logged: ",
                     DEC(p->closed - PIPELINE_CLOSED_LINES));
        p->closed_since_ms = now;
        p->closed = 0;
    }
    if (++p->closed == PIPELINE_CLOSED_LINES + 1)
        LOG_WARN("more than ", DEC(PIPELINE_CLOSED_LINES),
                 " connections closed within a minute: further ones are only counted");
    return p->closed <= PIPELINE_CLOSED_LINES;
}

static void rejected(void *arg, const struct addr *peer, enum reject why, const char *what)
{
    struct pipeline *p = arg;

    p->rejected[why]++;
    if (may_tell(p))
        LOG_WARN("connection from ", ADDR(peer), " closed: ", reject_sentence(why),
                 what ? ": " : "", what ? what : "");
}

static int reject(struct pipeline *p, const struct addr *peer, enum reject why, const char *what,
                  int err)
{
    rejected(p, peer, why, what);
    return err;
}

/** Keys are numbered: 0 none yet, 1 the shared one, then two for each host's. */
static const struct mac_key *key_number(const struct pipeline *p, unsigned n)
{
    return n == 0 ? NULL : n == 1 ? &p->key : &p->settings->keys[(n - 2) / 2].keys[n % 2];
}

/* ---- Authentication and rate ---- */

bool pipeline_signed(const struct pipeline *p)
{
    return p->key.set || p->settings->key_count > 0;
}

/** Refill the token bucket, which holds two seconds' worth. */
static bool rate_allows(const struct pipeline *p, struct session *s)
{
    uint64_t rate = (uint64_t)p->settings->max_events_per_sec, most = 2 * rate;

    if (rate == 0)
        return true;
    if (s->tokens > most)
        s->tokens = (uint32_t)most; /* left from a higher rate before a reload */
    uint64_t now = clock_ms(p->clock), gained = (now - s->tokens_ms) * rate / 1000;
    if (gained > 0) {
        s->tokens = (uint32_t)(gained > most - s->tokens ? most : s->tokens + gained);
        s->tokens_ms = now;
    }
    if (s->tokens == most)
        s->over_ms = 0;
    return s->tokens > 0;
}

static void rate_take(const struct pipeline *p, struct session *s)
{
    if (p->settings->max_events_per_sec > 0)
        s->tokens--;
}

/** Slow the sender down; one that stays over the rate is disconnected. */
static int over_rate(struct pipeline *p, struct session *s)
{
    uint64_t now = clock_ms(p->clock);

    if (s->over_ms == 0)
        s->over_ms = now;
    if (now - s->over_ms >= OVER_RATE_MS)
        return reject(p, &s->peer, REJECT_RATE, NULL, NEFIA_EFULL);
    p->held++;
    return NEFIA_EAGAIN;
}

/** Only the bytes of the line are examined, so all keys are tried, starting with the one that
 * signed the previous line. */
static int verify_any(const struct pipeline *p, struct session *s, const char *line, size_t len,
                      const char *sig, size_t sig_len)
{
    unsigned count = 2 + 2 * p->settings->key_count, first = s->key < count ? s->key : 0;
    int err = NEFIA_EAUTH;

    for (unsigned i = 0; i < count && err == NEFIA_EAUTH; i++) {
        unsigned n = i == 0 ? first : i == first ? 0 : i;
        const struct mac_key *key = key_number(p, n);

        if (!key || !key->set)
            continue;
        err = mac_verify_hex(key, line, len, sig, sig_len);
        if (err >= 0)
            s->key = (uint16_t)n;
    }
    return err;
}

static int verify(struct pipeline *p, struct session *s, const char *line, size_t len,
                  const char *sig, size_t sig_len)
{
    if (!pipeline_signed(p))
        return 0;
    int err = verify_any(p, s, line, len, sig, sig_len);
    if (err >= 0)
        return 0;
    if (err == NEFIA_EAUTH)
        return reject(p, &s->peer, REJECT_WRONG, NULL, err);
    /* The next event, or nothing, in place of the signature. */
    bool missing = sig_len == 0 || sig[0] == '{';
    return reject(p, &s->peer, missing ? REJECT_UNSIGNED : REJECT_MALFORMED, NULL, err);
}

/** A host with a key of its own must use that key, and its configured addresses. */
static int check_host(struct pipeline *p, const struct session *s, const struct event *e)
{
    const struct host_key *own = hub_settings_host(p->settings, e->host_id);
    unsigned spoke = s->key >= 2 ? (s->key - 2u) / 2 : UINT16_MAX;
    bool right = own ? spoke == (unsigned)(own - p->settings->keys) : spoke == UINT16_MAX;

    if (right && own && own->net_count > 0)
        right = addr_nets_match(own->nets, own->net_count, &s->peer);
    if (right)
        return 0;
    return reject(p, &s->peer, REJECT_HOST, NULL, NEFIA_EAUTH);
}

/** A stamp is good for one place in one connection. */
static int check_stamp(struct pipeline *p, const struct session *s, const struct link_stamp *stamp)
{
    if (!stamp)
        return p->settings->require_nonce ? reject(p, &s->peer, REJECT_PLAIN, NULL, NEFIA_EAUTH)
                                          : 0;
    if (!slice_eq(stamp->nonce, s->nonce) || stamp->count != s->count + 1)
        return reject(p, &s->peer, REJECT_REPLAY, NULL, NEFIA_EAUTH);
    if (s->count - s->acked >= PIPELINE_WINDOW)
        return reject(p, &s->peer, REJECT_WINDOW, NULL, NEFIA_EAUTH);
    return 0;
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

/* ---- Matching and queueing ---- */

static void tell_overflow(struct pipeline *p, const struct rule *rule)
{
    if (p->overflow_reported)
        return;
    p->overflow_reported = true;
    LOG_WARN("rule ", rule->name, ": ", action_word(&rule->action),
             ": queue full; further actions are dropped and counted until there is room");
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

/** Handle one matching rule. */
static void act(struct pipeline *p, unsigned index, const struct event *e,
                const struct recent_mark *mark, uint64_t event_row)
{
    struct rule *rule = &p->rules->sets[p->rules->active].rules[index];
    const char *word = action_word(&rule->action);

    rule->hits++;
    p->matched++;
    if (!rule->action.class) {
        p->unsupported++;
        recent_add(p->recent, mark, rule->name, word, RECENT_FAILED, err_text(NEFIA_ENOTSUP));
        return;
    }
    uint64_t row = recent_add(p->recent, mark, rule->name, word, RECENT_PENDING, NULL);
    int err = jobs_push(p->jobs, &rule->action, (uint16_t)index, row, e->line.ptr, e->line.len);
    if (err >= 0) {
        journal_job(p->journal, row, event_row, rule->name);
        tell_match(p, rule, e);
        return;
    }
    recent_settle(p->recent, row, RECENT_FAILED,
                   err == NEFIA_EFULL ? "queue full" : err_text(err));
    if (err == NEFIA_EFULL)
        tell_overflow(p, rule);
}

/** Is there room for all its actions? */
static bool has_room(struct pipeline *p, const struct event *e)
{
    const struct rule_set *set = rules_active(p->rules);
    unsigned before = 0;

    for (int i = 0; (i = rules_next(p->bits, set->count, (unsigned)i)) >= 0; i++) {
        const struct action *a = &set->rules[i].action;

        if (a->class && !jobs_have_room(p->jobs, a, (uint16_t)i, e->line.len, before++))
            return false;
    }
    return true;
}

static bool match(struct pipeline *p, const struct event *e)
{
    uint64_t failed = p->rules->failed;
    bool any = rules_match(p->rules, e, p->bits);

    if (p->rules->failed != failed)
        LOG_ERROR("heap exhausted while matching patterns; raise CONFIG_HUB_HEAP_KB");
    return any;
}

static void decide(struct pipeline *p, const struct event *e, bool any)
{
    const struct rule_set *set = rules_active(p->rules);
    struct recent_mark mark = recent_put(p->recent, e, p->now_s);
    uint64_t row = p->recent->last_seq + 1;

    if (any)
        journal_event(p->journal, row, e->line.ptr, e->line.len);
    for (int i = 0; any && (i = rules_next(p->bits, set->count, (unsigned)i)) >= 0; i++)
        act(p, (unsigned)i, e, &mark, row);
    if (!any)
        recent_add(p->recent, &mark, NULL, NULL, RECENT_NONE, NULL);
}

/** Id of the host in `seen`; valid until the next call. */
static const uint8_t *host_key(struct pipeline *p, struct slice host_id)
{
    uint32_t hash = hash_bytes(HASH_START, host_id.ptr, host_id.len);
    struct known_host *k = &p->known[hash % PIPELINE_KNOWN];

    if (host_id.len == k->len && memcmp(host_id.ptr, k->host_id, k->len) == 0)
        return k->key;
    host_id_of(k->key, host_id);
    k->len = 0;
    if (host_id.len <= sizeof k->host_id) {
        k->len = (uint8_t)host_id.len;
        memcpy(k->host_id, host_id.ptr, host_id.len);
    }
    return k->key;
}

/** Had the hub it already? Then its sender missed the acknowledgement, or somebody replays it. */
static bool is_new(struct pipeline *p, const struct event *e, uint64_t low)
{
    if (!e->has_seq)
        return true;
    const uint8_t *id = host_key(p, e->host_id);
    if (!host_take(p->seen, seen_get(p->seen, id), e->boot, e->seq, low)) {
        p->duplicates++;
        return false;
    }
    journal_seen(p->journal, id, e->boot, e->seq, low);
    return true;
}

static void take(struct pipeline *p, struct session *s, const struct event *e,
                 const struct link_stamp *stamp, bool any)
{
    if (p->events_in_turn++ == 0)
        p->now_s = clock_unix(p->clock);
    p->events++;
    p->bytes += e->line.len;
    s->proven = true;
    if (is_new(p, e, stamp ? stamp->low : 0))
        decide(p, e, any);
    if (!stamp)
        return;
    s->count++;
    s->boot = e->boot;
    s->seq = e->seq;
    s->due = true;
}

/** Is the nonce of LINK_NONCE_HEX characters somewhere in the line? */
static bool repeats(const char *line, size_t len, const char *nonce)
{
    for (; len >= LINK_NONCE_HEX; line++, len--)
        if (memcmp(line, nonce, LINK_NONCE_HEX) == 0)
            return true;
    return false;
}

int pipeline_line(struct pipeline *p, struct session *s, const char *line, size_t len,
                  const char *sig, size_t sig_len)
{
    struct event e;
    struct link_stamp read;
    const char *why = NULL;

    if (!rate_allows(p, s))
        return over_rate(p, s);
    int err = verify(p, s, line, len, sig, sig_len);
    if (err < 0)
        return err;
    err = decode(p, line, len, &e, &why);
    if (err < 0) {
        /* Only a sender that understands the greeting repeats its nonce. */
        s->refused = s->nonce[0] && repeats(line, len, s->nonce);
        return reject(p, &s->peer, reason_of(err), why, err);
    }
    err = pipeline_signed(p) ? check_host(p, s, &e) : 0;
    const struct link_stamp *stamp = link_stamp_read(&read, &e) ? &read : NULL;
    err = err < 0 ? err : check_stamp(p, s, stamp);
    if (err < 0)
        return err;
    bool any = match(p, &e);
    if (any && !s->overdue && !has_room(p, &e)) {
        p->held++;
        return NEFIA_EAGAIN;
    }
    rate_take(p, s);
    take(p, s, &e, stamp, any);
    return 0;
}

void pipeline_turn_end(struct pipeline *p)
{
    jobs_start(p->jobs);
    if (p->events_in_turn > 0 && p->changed)
        p->changed(p->arg);
    p->events_in_turn = 0;
}

/* ---- Hooks of the listener and the jobs ---- */

static int hook_line(void *arg, struct session *s, const char *line, size_t len, const char *sig,
                     size_t sig_len)
{
    return pipeline_line(arg, s, line, len, sig, sig_len);
}

static void greet(struct pipeline *p, struct session *s, struct text *out)
{
    struct link_message m = {.kind = LINK_GREETING, .window = PIPELINE_WINDOW};
    uint8_t nonce[LINK_NONCE];
    struct text hex;

    if (!p->settings->greeting || !p->random || p->random(nonce, sizeof nonce) < 0)
        return;
    text_init(&hex, m.nonce, sizeof m.nonce);
    text_hex(&hex, nonce, sizeof nonce);
    memcpy(s->nonce, m.nonce, sizeof s->nonce);
    /* A host with a key of its own need not know the shared one. */
    m.auth = p->settings->key_count > 0 ? LINK_AUTH_HOST
             : p->key.set               ? LINK_AUTH_SHARED
                                        : LINK_AUTH_NONE;
    link_put(out, &m, m.auth == LINK_AUTH_SHARED ? &p->key : NULL);
}

static void hook_respond(void *arg, struct session *s, struct text *out)
{
    struct pipeline *p = arg;
    struct link_message m = {.kind = LINK_ACK,
                             .window = PIPELINE_WINDOW,
                             .boot = s->boot,
                             .seq = s->seq,
                             .count = s->count};

    if (!s->nonce[0] && s->count == 0)
        greet(p, s, out);
    if (!s->due && !s->refused)
        return;
    if (s->refused) {
        m.kind = LINK_REFUSAL;
        m.count = s->count + 1;
    }
    s->due = false;
    s->acked = s->count;
    memcpy(m.nonce, s->nonce, sizeof m.nonce);
    link_put(out, &m, key_number(p, s->key));
}

static void hook_turn_end(void *arg)
{
    pipeline_turn_end(arg);
}

static bool hook_allowed(void *arg, const struct addr *peer)
{
    const struct pipeline *p = arg;

    return hub_settings_allow(p->settings, peer) || (p->peers && peers_have(p->peers, peer));
}

struct listener_hooks pipeline_listener_hooks(struct pipeline *p)
{
    return (struct listener_hooks){
        .line = hook_line,
        .turn_end = hook_turn_end,
        .respond = hook_respond,
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

/** Rule name of a job; if a reload removed the rule, the recorded one. */
static const char *job_rule(const struct pipeline *p, const struct job *job)
{
    const struct rule_set *set = rules_active(p->rules);
    struct recent_view v;

    if (job->rule < set->count)
        return set->rules[job->rule].name;
    return recent_get(p->recent, job->row, &v) ? v.row->rule : "(removed)";
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

    recent_settle(p->recent, job->row, state, error);
    journal_end(p->journal, job->row, (uint8_t)state);
    p->overflow_reported = false;
    text_init(&said, said_buf, sizeof said_buf);
    if (r && class->logs_output)
        text_printable(&said, output, without_newline(output, r->output_len));
    if (done)
        LOG_INFO("rule ", job_rule(p, job), ": ", class->name, " done in ",
                 DEC(r ? r->duration_ms : 0), " ms");
    else
        LOG_WARN("rule ", job_rule(p, job), ": ", class->name, " failed: ", error,
                 said.len > 0 ? ": " : "", said.buf);
    if (p->changed)
        p->changed(p->arg);
    if (p->room)
        p->room(p->arg);
}

static void hook_starting(void *arg, const struct job *job)
{
    const struct pipeline *p = arg;

    journal_start(p->journal, job->row);
}

static int not_safe(struct pipeline *p, int err)
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

static int hook_safe(void *arg)
{
    struct pipeline *p = arg;

    /* A retry after a failure rewrites everything. */
    if (p->unsafe && clock_ms(p->clock) - p->unsafe_ms < PIPELINE_RETRY_MS)
        return NEFIA_EIO;
    int err = journal_commit(p->journal);
    if (err < 0)
        return not_safe(p, err);
    if (p->unsafe)
        LOG_INFO("the journal is writable again");
    p->unsafe = false;
    if (p->acknowledge)
        p->acknowledge(p->arg);
    return 0;
}

struct job_hooks pipeline_job_hooks(struct pipeline *p)
{
    return (struct job_hooks){.rule = hook_rule,
                              .settled = hook_settled,
                              .starting = hook_starting,
                              .safe = hook_safe,
                              .decode = hook_decode,
                              .arg = p};
}

/* ---- Hooks of the journal ---- */

static void copy_job(void *arg, const struct job *job, const char *line)
{
    struct pipeline *p = arg;

    journal_event(p->journal, job->row, line, job->len);
    journal_job(p->journal, job->row, job->row, job_rule(p, job));
    /* Jobs about to start or waiting for a retry count as started. */
    if (job->state >= JOB_STARTING || job->attempt > 0)
        journal_start(p->journal, job->row);
}

static void hook_copy(void *arg)
{
    struct pipeline *p = arg;

    jobs_each(p->jobs, copy_job, p);
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

/** Handle an action that was unfinished when the hub stopped. */
static void resume(struct pipeline *p, struct event *e, int index, bool begun)
{
    struct recent_mark mark = recent_put(p->recent, e, p->now_s);
    const struct rule *rule = &rules_active(p->rules)->rules[index];
    const char *word = action_word(&rule->action);
    char name_buf[EVENT_TYPE_MAX + EVENT_HOST_MAX + 64];
    struct text name;

    text_init(&name, name_buf, sizeof name_buf);
    if (begun && !rule->idempotent) {
        p->unfinished++;
        recent_add(p->recent, &mark, rule->name, word, RECENT_FAILED,
                    "started before the restart, result unknown");
        LOG_WARN("rule ", rule->name, ": ", word, " for ", event_name(&name, e),
                 " was running when the hub stopped, result unknown; not run again "
                 "(idempotent: true would)");
        return;
    }
    uint64_t row = recent_add(p->recent, &mark, rule->name, word, RECENT_PENDING, NULL);
    int err = jobs_push(p->jobs, &rule->action, (uint16_t)index, row, e->line.ptr, e->line.len);
    if (err < 0)
        recent_settle(p->recent, row, RECENT_FAILED,
                       err == NEFIA_EFULL ? "queue full" : err_text(err));
    LOG_INFO("rule ", rule->name, ": ", word, " for ", event_name(&name, e),
             begun ? " run again" : " resumed", " after the restart");
}

static void hook_job(void *arg, uint64_t row, struct slice rule, const char *line, size_t len,
                     bool begun)
{
    struct pipeline *p = arg;
    char name[RECENT_RULE_MAX + 1];
    struct text t;
    struct event e;

    (void)row;
    text_init(&t, name, sizeof name);
    text_bytes(&t, rule.ptr, rule.len);
    int index = rules_find(p->rules, name);
    if (index < 0 || decode(p, line, len, &e, NULL) < 0) {
        p->unfinished++;
        LOG_WARN("rule ", name, ": its action ", begun ? "was running" : "was queued",
                 " when the hub stopped, and ",
                 index < 0 ? "the rule no longer exists" : "its event in the journal is damaged");
        return;
    }
    p->now_s = clock_unix(p->clock);
    resume(p, &e, index, begun);
}

struct journal_hooks pipeline_journal_hooks(struct pipeline *p)
{
    return (struct journal_hooks){.job = hook_job, .copy = hook_copy, .arg = p};
}
