#include "nefia/hub/dispatch.h"

#include <string.h>

#include "nefia/base/err.h"
#include "nefia/hub/status.h"
#include "nefia/ops/op.h"
#include "nefia/sys/log.h"

_Static_assert(ACTION_ENV_BYTES >= DISPATCH_WORK && ACTION_ENV_BYTES > OP_TEXT_BYTES + 1024,
               "an op that is judged, and a message, have room in the scratch");

enum { ID_HEX = 16, JUDGED_TOKENS = OP_TOKENS < CONFIG_JSON_TOKENS ? OP_TOKENS : CONFIG_JSON_TOKENS };

static const char WITHDRAWN[] = "withdrawn: who ordered it has gone";

/* ---- Hooks of the table ---- */

static void keep(void *arg, uint16_t slot, const void *bytes, size_t len)
{
    struct dispatch *d = arg;

    journal_keep(d->pipeline->journal, KEPT_COMMANDS, slot, bytes, len);
    d->pipeline->unwritten = true;
}

static void audit(struct dispatch *d, enum audit_kind kind, const struct command *c, uint64_t under, const struct command_end *e)
{
    char hex[ID_HEX + 1];
    struct text id;

    text_init(&id, hex, sizeof hex);
    text_hex64(&id, under);
    audit_command(d->pipeline->audit, &(struct audit_command){
                                          .kind = kind,
                                          .who = command_who(&d->table, c),
                                          .host = command_host(&d->table, c),
                                          .id = hex,
                                          .job = c->owner == COMMAND_OF_JOB ? c->job : 0,
                                          .outcome = e ? word_at(link_outcome_words, e->outcome) : NULL,
                                          .error = e ? e->error : NULL,
                                          .result = e ? e->result : NULL,
                                      });
}

/** That it failed is in the log already; what it said is not. */
static void log_end(struct dispatch *d, const struct command *c, const struct command_end *e)
{
    char host_buf[EVENT_HOST_MAX + 1], said_buf[160];
    const struct slice name = command_host(&d->table, c);
    struct text host, said;

    text_init(&host, host_buf, sizeof host_buf);
    text_printable(&host, name.ptr, name.len);
    text_init(&said, said_buf, sizeof said_buf);
    text_printable(&said, e->output.ptr, e->output.len - (e->output.len > 0 && e->output.ptr[e->output.len - 1] == '\n'));
    if (*e->error && c->owner == COMMAND_OF_JOB && said.len > 0)
        LOG_WARN("command on ", host.buf, " failed: ", e->error, ": ", said.buf);
}

static void ended(void *arg, const struct command *c, const struct command_end *e)
{
    struct dispatch *d = arg;

    audit(d, AUDIT_COMMAND_ENDED, c, c->id, e);
    log_end(d, c, e);
    if (c->owner == COMMAND_OF_JOB)
        (void)jobs_answer(d->pipeline->jobs, c->job, e->error); /* it may be gone: its rule was removed */
    else if (c->owner == COMMAND_OF_CLIENT && d->wake)
        d->wake(d->arg);
}

static void restore(void *arg, uint16_t slot, const uint8_t *bytes, size_t len)
{
    struct dispatch *d = arg;

    commands_restore(&d->table, slot, bytes, len);
}

static void copy(void *arg)
{
    struct dispatch *d = arg;

    commands_copy(&d->table);
}

struct journal_keeper dispatch_keeper(struct dispatch *d)
{
    return (struct journal_keeper){.restore = restore, .copy = copy, .arg = d};
}

void dispatch_init(struct dispatch *d, struct pipeline *p, struct ingress *in, struct loop *loop, struct action_scratch *scratch,
                   struct command *slots, unsigned count, char *text, size_t text_size, uint8_t *kept,
                   int (*random)(void *buf, size_t len))
{
    const struct command_hooks hooks = {.keep = keep, .ended = ended, .random = random, .arg = d};

    *d = (struct dispatch){.pipeline = p, .ingress = in, .loop = loop, .scratch = scratch};
    commands_init(&d->table, p->clock, slots, count, text, text_size, kept, &hooks);
    p->dispatch = d;
}

/* ---- The policy ---- */

/** Who wants what done where. */
struct wish {
    struct slice host, op;
    const char *rule; /* or null */
    const char *who;
    uint32_t timeout_ms; /* gets the op's */
    bool again;          /* it was allowed before: only a denial is recorded */
};

static bool judge_case(struct dispatch *d, const struct wish *w, const char *command, const char *path, struct text *why)
{
    struct pipeline *p = d->pipeline;
    const struct host_item *item = pipeline_item(p, w->host);
    struct text host;

    text_init(&host, p->target, sizeof p->target);
    text_bytes(&host, w->host.ptr, w->host.len);
    const struct policy_case c = {.command = command,
                                  .path = path,
                                  .host = p->target,
                                  .role = item ? item->role : NULL,
                                  .rule = w->rule,
                                  .action = "exec",
                                  .now_s = clock_unix(p->clock)};
    const struct verdict v = p->guard.judge(p->guard.arg, &c);
    if (w->again && verdict_begins(&v))
        return true;
    p->verdicts[v.kind]++;
    audit_decision(p->audit, &(struct audit_decision){.rule = w->rule,
                                                      .who = w->who,
                                                      .target = p->target,
                                                      .action = c.action,
                                                      .command = command,
                                                      .path = path,
                                                      .verdict = &v});
    if (verdict_begins(&v))
        return true;
    verdict_text(why, &v);
    return false;
}

static bool judge_one(struct dispatch *d, struct wish *w, struct slice json, struct op *op, struct text *why)
{
    const char *command, *paths[2], *sentence;
    struct text text;

    text_init(&text, d->scratch->text, sizeof d->scratch->text);
    /* No more than a device reads: a message that it cannot read ends its session, each time it is sent. */
    if (op_read(op, json, &text, d->pipeline->tokens, JUDGED_TOKENS, &sentence) < 0) {
        text_str(why, sentence);
        return false;
    }
    if (!IS_ENABLED(CONFIG_HUB_GUARD) || !d->pipeline->guard.judge)
        return true;
    const unsigned n = op_subject(op, &text, &command, paths);
    if (text.truncated) {
        text_str(why, "denied: too long to be judged");
        return false;
    }
    bool allowed = !command || judge_case(d, w, command, NULL, why);
    for (unsigned i = 0; allowed && i < n; i++)
        allowed = judge_case(d, w, NULL, paths[i], why);
    return allowed;
}

/** What would be done to undo a run: [[STEP, {…}], …]. op is of the same memory. */
static bool judge_undo(struct dispatch *d, struct wish *w, struct slice list, struct op *op, struct text *why)
{
    struct json_token *tokens = d->pipeline->tokens;
    struct json_doc doc;
    struct slice next;

    for (uint32_t k = 0;; k++) { /* parsed again each time: an op needs the tokens, too */
        if (json_parse(&doc, list.ptr, list.len, tokens, CONFIG_JSON_TOKENS, EVENT_DEPTH, NULL) < 0) {
            text_str(why, "the list of what undoes it is malformed");
            return false;
        }
        if (k >= tokens[0].size)
            return true;
        unsigned at = 1;
        for (uint32_t i = 0; i < k; i++)
            at = tokens[at].next;
        if (tokens[at].type != JSON_ARRAY || tokens[at].size != 2) {
            text_str(why, "the list of what undoes it is malformed");
            return false;
        }
        next = json_raw(&doc, tokens[at + 1].next);
        if (!judge_one(d, w, next, op, why))
            return false;
    }
}

/** Is it an op, and may it be done there? */
static bool judge(struct dispatch *d, struct wish *w, struct text *why)
{
    struct op op;
    struct slice undo;

    if (!judge_one(d, w, w->op, &op, why))
        return false;
    w->timeout_ms = op.timeout_ms;
    undo = op.undo_ops;
    return op.kind != OP_UNDO || op.undo != OP_UNDO_BEGIN || judge_undo(d, w, undo, &op, why);
}

/* ---- Orders ---- */

static int refuse(struct text *why, int err)
{
    text_str(why, err == NEFIA_EFULL     ? DISPATCH_FULL
                  : err == NEFIA_ETOOBIG ? "too long for a device"
                                         : "no random numbers yet");
    return err;
}

static int order(struct dispatch *d, const struct command_order *o, uint64_t *number, struct text *why)
{
    const int err = commands_order(&d->table, o, number);

    if (err < 0)
        return refuse(why, err);
    const struct command *c = commands_get(&d->table, *number);
    audit(d, AUDIT_COMMAND_ORDERED, c, c->id, NULL);
    return 0;
}

int dispatch_order(struct dispatch *d, const struct job *job, const struct action_request *r, const struct action_order *o,
                   struct text *why)
{
    struct pipeline *p = d->pipeline;
    char cause_buf[EVENT_CAUSE_MAX + 1];
    struct text cause;
    uint64_t number;

    if (slice_eq(r->event->host_id, p->host_id)) {
        text_str(why, "the event is of the hub itself");
        return NEFIA_EINVAL;
    }
    text_init(&cause, cause_buf, sizeof cause_buf);
    if (event_cause_add(&cause, r->event->cause, r->rule) < 0)
        text_reset(&cause);
    return order(d,
                 &(struct command_order){
                     .owner = COMMAND_OF_JOB,
                     .job = job->id,
                     .host = r->event->host_id,
                     .op = o->op,
                     .cause = {cause.buf, cause.len},
                     .life_ms = o->life_ms,
                     .timeout_ms = job->timeout_ms,
                     .idempotent = rules_active(p->rules)->rules[job->rule].idempotent,
                     .who = r->rule,
                     .of_rule = true,
                     .judged = p->generation,
                 },
                 &number, why);
}

/** The job that waits for it, or null. */
static const struct job *job_of(const struct dispatch *d, const struct command *c)
{
    const struct job *job = c->owner == COMMAND_OF_JOB && c->job > 0 ? jobs_next(d->pipeline->jobs, c->job - 1) : NULL;

    return job && job->id == c->job && job->state == JOB_SENT ? job : NULL;
}

/* ---- Sessions ---- */

/** It waited while rules or the policy changed: may it still be sent? why gets its error. */
static bool is_allowed(struct dispatch *d, const struct command *c, struct text *why)
{
    const struct slice name = command_who(&d->table, c);
    const struct job *job = job_of(d, c);
    char who_buf[COMMAND_WHO_MAX + 1];
    struct text who;

    if (c->owner == COMMAND_OF_JOB && (!job || job->rule == JOB_NO_RULE)) {
        text_str(why, "rule removed");
        return false;
    }
    text_init(&who, who_buf, sizeof who_buf);
    text_bytes(&who, name.ptr, name.len);
    return judge(d,
                 &(struct wish){.host = command_host(&d->table, c),
                                .op = command_op(&d->table, c),
                                .rule = c->of_rule ? who.buf : NULL,
                                .who = c->of_rule ? NULL : who.buf,
                                .again = true},
                 why);
}

/** May it begin? One that was sent in an earlier session may not have come there, and would begin now. Return: false: it has ended. */
static bool still_allowed(struct dispatch *d, const struct command *c)
{
    char why_buf[COMMAND_ERROR_MAX + 1];
    struct text why;

    if (c->asked || c->judged == d->pipeline->generation)
        return true;
    const bool waits = c->state == COMMAND_WAITING;
    const uint64_t number = c->number;
    text_init(&why, why_buf, sizeof why_buf);
    const bool allowed = is_allowed(d, c, &why);
    commands_judged(&d->table, number, d->pipeline->generation);
    if (!allowed)
        commands_end(&d->table, number, LINK_DENIED, why.buf);
    return allowed || !waits;
}

/** What the session is to be sent, if anything. */
static void choose(void *arg, struct session *s)
{
    struct dispatch *d = arg;
    const struct command *c;

    if (s->command && commands_get(&d->table, s->command))
        return;
    s->command = 0; /* it was given up */
    if ((s->link.state != LINK_OPEN && s->due != SESSION_WELCOME) || s->due == SESSION_ERROR)
        return;
    if (!s->takes_commands) {
        commands_refused(&d->table, s->host, s->link.is_signed ? "it takes no commands" : "its session is not signed");
        return;
    }
    while ((c = commands_head(&d->table, s->host)) != NULL && !still_allowed(d, c))
        ;
    const bool first = c && c->state == COMMAND_WAITING;
    c = commands_choose(&d->table, s->host, s->boot);
    if (!c)
        return;
    s->command = c->number;
    s->command_due = d->chosen = true;
    if (first || c->retry_ms == 0) /* a device that stays busy fills no audit */
        audit(d, AUDIT_COMMAND_SENT, c, c->id, NULL);
}

static void due(void *arg)
{
    struct dispatch *d = arg;

    pipeline_turn_end(d->pipeline);
}

bool dispatch_turn(struct dispatch *d)
{
    if (!d)
        return false;
    const uint64_t next = commands_tick(&d->table), now = clock_ms(d->pipeline->clock);
    if (next == UINT64_MAX)
        timer_stop(&d->timer);
    else
        timer_start(d->loop, &d->timer, next > now ? next - now : 0, due, d);
    d->chosen = false;
    if (commands_next(&d->table, 0))
        d->ingress->each(d->ingress->arg, choose, d);
    return d->chosen;
}

void dispatch_result(struct dispatch *d, struct session *s, const struct link_result *r)
{
    if (!d || !s->takes_commands)
        return;
    const struct command *c = commands_find(&d->table, s->host, r->id);
    const uint64_t number = c ? c->number : 0;
    if (number > 0 && number == s->command) {
        s->command = 0;
        s->command_due = false;
    }
    (void)commands_result(&d->table, s->host, r);
    c = commands_get(&d->table, number);
    if (!c || c->id == r->id)
        return;
    audit(d, AUDIT_COMMAND_ENDED, c, r->id, &(struct command_end){.outcome = r->outcome, .result = r, .error = "begun again"});
    audit(d, AUDIT_COMMAND_ORDERED, c, c->id, NULL);
}

void dispatch_lost(struct dispatch *d, struct session *s)
{
    if (!d || !s->command)
        return;
    s->command = 0;
    s->command_due = false;
    commands_lost(&d->table, s->host);
}

void dispatch_write(struct dispatch *d, struct session *s, struct text *out)
{
    struct link_command m;

    if (!d || !pipeline_is_written(d->pipeline))
        return;
    s->command_due = false;
    const struct command *c = commands_get(&d->table, s->command);
    if (!c || c->state != COMMAND_SENT)
        return;
    commands_message(&d->table, c, s->hello_ms, &m);
    (void)link_hub_command(&s->link, &m, out); /* its length was checked when it was ordered */
}

/* ---- Restart, reload ---- */

void dispatch_resume(struct dispatch *d)
{
    struct jobs *jobs = d->pipeline->jobs;

    (void)commands_tick(&d->table);
    for (uint64_t at = 0; commands_next(&d->table, at);) {
        const struct command *c = commands_next(&d->table, at);

        at = c->number;
        if (c->owner == COMMAND_OF_CLIENT || (c->owner == COMMAND_OF_JOB && !job_of(d, c)))
            commands_leave(&d->table, at, WITHDRAWN);
    }
    for (const struct job *job = NULL; (job = jobs_next(jobs, job ? job->id : 0)) != NULL;) {
        const struct command *c = NULL;
        const uint64_t id = job->id;

        while (job->state == JOB_SENT && (c = commands_next(&d->table, c ? c->number : 0)) != NULL)
            if (c->owner == COMMAND_OF_JOB && c->job == id)
                break;
        if (job->state == JOB_SENT && !c)
            (void)jobs_answer(jobs, id, "end unknown"); /* what the journal had of the command is damaged */
    }
}

void dispatch_rebind(struct dispatch *d)
{
    if (!d)
        return;
    for (uint64_t at = 0; commands_next(&d->table, at);) {
        const struct command *c = commands_next(&d->table, at);
        const struct job *job = job_of(d, c);

        at = c->number;
        if (job && job->rule == JOB_NO_RULE && c->state == COMMAND_WAITING)
            commands_leave(&d->table, at, "rule removed");
    }
}

/* ---- Counters ---- */

void dispatch_put(const struct dispatch *d, struct json_writer *w)
{
    static const char *const names[] = {"done", "denied", "expired", "end_unknown", "not_supported", "busy"};
    const struct command_stats *s = &d->table.stats;

    json_object(w, "commands");
    json_put_u64(w, "waiting", commands_in(&d->table, COMMAND_WAITING));
    json_put_u64(w, "sent", commands_in(&d->table, COMMAND_SENT));
    json_put_u64(w, "ordered", s->ordered);
    json_put_u64(w, "sent_first", s->sent);
    json_put_u64(w, "sent_again", s->again);
    json_put_u64(w, "no_room", s->full);
    for (unsigned i = 0; i < ARRAY_SIZE(names); i++)
        json_put_u64(w, names[i], s->ended[i]);
    json_end_object(w);
}

/* ---- The control verb ---- */

static struct dispatch *of_view(void *arg)
{
    const struct status_view *v = arg;

    return v->pipeline->dispatch;
}

/** A request, whose strings lie in `names`. */
struct asked {
    struct command_order order;
    struct wish wish;
    char names[EVENT_HOST_MAX + COMMAND_WHO_MAX + 4];
    char who[32];
};

static int wrong(struct text *why, const char *what)
{
    text_str(why, what);
    return NEFIA_EINVAL;
}

/** A string member into t, with a NUL. Return: its length, 0 if it is not given. */
static int take_name(const struct json_doc *doc, unsigned value, struct text *t, struct slice *out)
{
    const size_t at = t->len;

    if (json_string(doc, value, t) < 0 || memchr(t->buf + at, '\0', t->len - at) || t->len == at)
        return NEFIA_EINVAL;
    *out = (struct slice){t->buf + at, t->len - at};
    text_char(t, '\0');
    return t->truncated ? NEFIA_ETOOBIG : 0;
}

static int take_id(const struct json_doc *doc, unsigned value, uint64_t *id)
{
    uint8_t bytes[8];
    const struct slice hex = json_raw(doc, value);

    if (json_at(doc, value)->type != JSON_STRING || hex.len != ID_HEX || parse_hex(hex.ptr, hex.len, bytes, sizeof bytes) < 0)
        return NEFIA_EINVAL;
    *id = get_be64(bytes);
    return *id == 0 ? NEFIA_EINVAL : 0;
}

static int take_member(struct asked *a, const struct json_doc *doc, unsigned key, struct text *names)
{
    static const char words[] = "host\0op\0life_ms\0id\0idempotent\0cause\0rule\0";
    const enum json_type type = (enum json_type)json_at(doc, key + 1)->type;
    struct slice rule = {0};
    bool among;
    int64_t n = 0;
    int err = 0;

    switch (word_index(words, json_raw(doc, key))) {
    case 0:
        return take_name(doc, key + 1, names, &a->order.host);
    case 1:
        a->order.op = json_raw(doc, key + 1);
        return type == JSON_OBJECT ? 0 : NEFIA_EINVAL;
    case 2:
        err = json_i64(doc, key + 1, &n);
        a->order.life_ms = (uint32_t)n;
        return err < 0 || n < 0 || n > COMMAND_LIFE_MAX_MS ? NEFIA_EINVAL : 0;
    case 3:
        return take_id(doc, key + 1, &a->order.id);
    case 4:
        a->order.idempotent = type == JSON_TRUE;
        return type == JSON_TRUE || type == JSON_FALSE ? 0 : NEFIA_EINVAL;
    case 5:
        /* A device ends the session over what is no cause, and would be sent it again in the next. */
        return type == JSON_ARRAY && event_cause(doc, key + 1, &a->order.cause) && event_causes(a->order.cause, "", &among) >= 0 ? 0 : NEFIA_EINVAL;
    case 6:
        err = take_name(doc, key + 1, names, &rule);
        a->wish.rule = rule.ptr;
        return err < 0 || rule.len > COMMAND_WHO_MAX ? NEFIA_EINVAL : 0;
    default:
        return NEFIA_EINVAL;
    }
}

static int read_request(struct dispatch *d, struct asked *a, const char *args, struct text *why)
{
    struct json_doc doc;
    struct text names;

    if (json_parse(&doc, args, strlen(args), d->pipeline->tokens, CONFIG_JSON_TOKENS, EVENT_DEPTH, NULL) < 0 ||
        json_at(&doc, 0)->type != JSON_OBJECT)
        return wrong(why, "exec takes a JSON object");
    text_init(&names, a->names, sizeof a->names);
    for (unsigned key = 1; key < json_at(&doc, 0)->next; key = json_at(&doc, key + 1)->next)
        if (take_member(a, &doc, key, &names) < 0) {
            text_str(why, "exec: unknown or wrong member ");
            text_printable(why, json_raw(&doc, key).ptr, json_raw(&doc, key).len);
            return NEFIA_EINVAL;
        }
    if (!a->order.host.ptr || !a->order.op.ptr)
        return wrong(why, "exec: host or op is missing");
    if (a->order.life_ms == 0 && a->order.id == 0)
        return wrong(why, "exec: life_ms of a command without id is 0");
    return 0;
}

/** Could a session of that host ever come? */
static bool is_known(struct dispatch *d, struct slice host)
{
    struct pipeline *p = d->pipeline;

    return pipeline_item(p, host) || seen_find(p->seen, pipeline_host(p, host));
}

/** Order it, or wait for one that is under way already. */
static int take_order(struct dispatch *d, struct asked *a, uint64_t *number, struct text *why)
{
    const struct command *c = a->order.id ? commands_find(&d->table, pipeline_host(d->pipeline, a->order.host), a->order.id) : NULL;

    if (c && c->owner == COMMAND_OF_NOBODY) {
        *number = c->number;
        commands_join(&d->table, c->number);
        return 0;
    }
    if (c)
        return wrong(why, "somebody waits for the command of that id already");
    if (!is_known(d, a->order.host))
        return wrong(why, "no device of that name is known");
    if (a->order.life_ms > 0 && !judge(d, &a->wish, why))
        return strncmp(why->buf, "denied", 6) == 0 ? NEFIA_EAUTH : NEFIA_EINVAL;
    a->order.timeout_ms = a->wish.timeout_ms;
    a->order.judged = d->pipeline->generation;
    return order(d, &a->order, number, why);
}

int dispatch_begin(void *arg, struct control_cursor *cursor, const char *args, struct text *why)
{
    struct dispatch *d = of_view(arg);
    struct asked a = {.order.owner = COMMAND_OF_CLIENT, .order.cause = {"", 0}};
    struct text who;
    uint64_t number = 0;

    text_init(&who, a.who, sizeof a.who);
    text_str(&who, "uid ");
    text_u64(&who, cursor->uid);
    int err = read_request(d, &a, args, why);
    if (err == 0) {
        a.wish.host = a.order.host;
        a.wish.op = a.order.op;
        a.wish.who = a.who;
        a.order.who = a.wish.rule ? a.wish.rule : a.who;
        a.order.of_rule = a.wish.rule != NULL;
        err = take_order(d, &a, &number, why);
    }
    cursor->seq = number;
    cursor->exit = err == 0 ? 0 : err == NEFIA_EAUTH ? DISPATCH_DENIED : DISPATCH_FAILED;
    pipeline_turn_end(d->pipeline);
    return err;
}

static uint8_t exit_of(const struct command *c)
{
    if (c->outcome != LINK_DONE)
        return c->outcome == LINK_DENIED ? DISPATCH_DENIED : DISPATCH_FAILED;
    if (c->timed_out)
        return DISPATCH_TIMED_OUT;
    return c->signal ? (uint8_t)(128 + c->signal) : c->exit_code;
}

static void put_result(const struct dispatch *d, const struct command *c, struct text *out)
{
    const struct slice host = command_host(&d->table, c), reason = command_reason(&d->table, c);
    char error_buf[COMMAND_ERROR_MAX + 1];
    struct json_writer w;
    struct text error;

    text_init(&error, error_buf, sizeof error_buf);
    commands_error(&d->table, c, &error);
    json_begin(&w, out);
    json_object(&w, NULL);
    json_object(&w, "result");
    json_put_bytes(&w, "host", host.ptr, host.len);
    json_put_hex64(&w, "id", c->id);
    json_put_string(&w, "outcome", word_at(link_outcome_words, c->outcome));
    json_put_u64(&w, "exit", c->exit_code);
    json_put_u64(&w, "signal", c->signal);
    json_put_bool(&w, "timed_out", c->timed_out);
    json_put_u64(&w, "ms", c->duration_ms);
    json_put_u64(&w, "bytes", c->output_total);
    json_put_bytes(&w, "reason", reason.ptr, reason.len);
    json_put_string(&w, "error", error.buf);
    json_end_object(&w);
    json_end_object(&w);
}

static void put_piece(struct slice output, struct control_cursor *cursor, struct text *out)
{
    const char *from = output.ptr + cursor->index;
    const size_t left = output.len - cursor->index, n = left > DISPATCH_PIECE ? utf8_cut(from, left, DISPATCH_PIECE) : left;
    struct json_writer w;

    json_begin(&w, out);
    json_object(&w, NULL);
    json_put_bytes(&w, "output", from, n);
    json_end_object(&w);
    cursor->index += (uint32_t)n;
}

int dispatch_produce(void *arg, struct control_cursor *cursor, struct text *out)
{
    struct dispatch *d = of_view(arg);
    const struct command *c = commands_get(&d->table, cursor->seq);

    if (cursor->flag)
        return 0;
    if (!c) {
        cursor->exit = DISPATCH_FAILED;
        text_str(out, "the hub no longer knows that command");
        return NEFIA_ENOTFOUND;
    }
    if (c->state != COMMAND_ENDED)
        return NEFIA_EAGAIN;
    if (cursor->index < c->output_len) {
        put_piece(command_output(&d->table, c), cursor, out);
        return 1;
    }
    put_result(d, c, out);
    cursor->exit = exit_of(c);
    cursor->flag = true;
    commands_free(&d->table, c->number);
    return 1;
}

void dispatch_end(void *arg, struct control_cursor *cursor)
{
    struct dispatch *d = of_view(arg);

    if (!commands_get(&d->table, cursor->seq))
        return;
    commands_leave(&d->table, cursor->seq, WITHDRAWN);
    timer_start(d->loop, &d->timer, 0, due, d);
}
