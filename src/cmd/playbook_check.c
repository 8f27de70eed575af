/* The verbs on playbooks that carry out nothing. */
#include "nefia/cmd/playbook.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "nefia/base/err.h"
#include "nefia/guard/policy_verbs.h"
#include "nefia/hub/hub.h"
#include "nefia/sys/file.h"
#include "nefia/sys/log.h"

#define POOL_PROGRAM_HUB
#include "nefia/base/pool.h"

enum { WHY_BYTES = 320 };

/* ---- nefia playbook check ---- */

static void say_fine(const char *path, const struct playbook *p)
{
    char buf[256];
    struct text t;

    text_init(&t, buf, sizeof buf);
    text_str(&t, p->commit_within_ms > 0 ? ", commit_within " : "");
    if (p->commit_within_ms > 0)
        text_duration(&t, p->commit_within_ms);
    CLI_OUT(path, ": OK; ", p->name, ": ", COUNT(p->step_count, "step"), ", ", COUNT(p->undo_count, "rollback"), buf, "\n");
}

int playbook_check(const struct cli_args *a)
{
    struct playbook_memory *m = pool_hub_work->playbook;
    int status = CLI_FINE;

    log_init("nefia", LOG_LEVEL_WARN);
    for (unsigned i = 0; i < a->operand_count; i++)
        if (playbook_load(m, a->operands[i], cli_report_stderr, NULL, true, pool_receive, sizeof pool_receive,
                          &pool_receive->scratch.tree) == 0)
            say_fine(a->operands[i], &m->book);
        else
            status = CLI_WRONG;
    return status;
}

/* ---- nefia plan playbook ---- */

const struct cli_option plan_playbook_options[] = {
    {"--target", "HOST", CLI_HELP("the device; otherwise that of the event")},
    {"--hub", NULL, CLI_HELP("all steps on the hub")},
    {"--event", "FILE", CLI_HELP("an event that sets it off: one JSON object; - is standard input")},
    {"--json", NULL, CLI_HELP("one JSON object a line, for programs")},
    {.name = NULL},
};

/** What a plan is made with. */
struct planning {
    struct playbook_memory *m;
    const struct policy_use *policy; /* null: everything is allowed */
    struct playbook_values values;
    const char *role, *address; /* of the target, or null */
    const char *hub;  /* host_id of the hub itself, or null */
    long event_len;   /* of the line in pool_recent_bytes, which nothing else needs here; -1: none */
    char host[EVENT_HOST_MAX + 1]; /* of that event, or "" */
    bool json;
    unsigned denied, faults;
    struct text out;
};

/** One operation of the plan. */
struct planned {
    unsigned step;
    int undo;       /* -1: the step itself */
    bool on_hub, open;
    const char *fault; /* it could not begin: why; else null */
    struct op op;
    struct verdict verdict;
};

static void flush(struct planning *g)
{
    (void)cli_write(STDOUT_FILENO, g->out.buf, g->out.len);
    text_reset(&g->out);
}

static void put_line(struct text *t, const char *before, const char *s)
{
    text_str(t, before);
    text_printable(t, s, strlen(s));
    text_char(t, '\n');
}

/** text: scratch. Return: the first verdict that is against it, else the last. */
static struct verdict judge(const struct planning *g, const struct planned *p, struct text *text)
{
    struct policy_case c = {.host = p->on_hub ? g->hub : g->values.host, .role = p->on_hub ? NULL : g->role};
    struct verdict v = {.kind = VERDICT_ALLOWED};
    const char *command, *paths[2];
    const unsigned n = op_subject(&p->op, text, &command, paths);

    if (text->truncated)
        return (struct verdict){.kind = VERDICT_DENIED, .reason = "too long to be judged"};
    c.command = command;
    if (command)
        v = policy_judge((void *)(uintptr_t)g->policy, &c);
    c.command = NULL;
    for (unsigned i = 0; i < n && verdict_begins(&v); i++) {
        c.path = paths[i];
        v = policy_judge((void *)(uintptr_t)g->policy, &c);
    }
    return v;
}

static void put_op_json(struct text *t, const struct planned *p)
{
    struct json_writer w;

    json_begin(&w, t);
    op_write(&p->op, &w, NULL);
}

static void put_words(struct planning *g, const struct planned *p)
{
    struct text *t = &g->out;

    text_str(t, p->undo < 0 ? "   " : "   Rollback: ");
    text_str(t, p->undo < 0 ? p->on_hub ? "On the hub: " : "Sends: " : "");
    if (p->fault)
        put_line(t, "cannot begin: ", p->fault);
    if (p->fault)
        return;
    put_op_json(t, p);
    text_str(t, p->open ? "  ({{\xE2\x80\xA6}} is known when it runs)\n   " : "\n   ");
    policy_put_verdict(t, &p->verdict);
}

static void put_verdict_json(struct json_writer *w, const struct verdict *v)
{
    json_put_string(w, "verdict", verdict_word(v->kind));
    if (v->reason)
        json_put_string(w, "reason", v->reason);
    if (v->rule)
        json_put_string(w, "rule", v->rule);
    if (v->role)
        json_put_string(w, "rule_of_role", v->role);
    json_put_bool(w, "begins", verdict_begins(v));
}

static void put_json(struct planning *g, const struct planned *p)
{
    struct json_writer w;

    json_begin(&w, &g->out);
    json_object(&w, NULL);
    json_put_u64(&w, "step", p->step);
    json_put_string(&w, "name", g->m->book.steps[p->step].name);
    json_put_string(&w, "part", p->undo < 0 ? "step" : "rollback");
    json_put_string(&w, "where", p->on_hub ? "hub" : "host");
    if (p->fault) {
        json_put_string(&w, "error", p->fault);
    } else {
        op_write(&p->op, &w, "op");
        json_put_bool(&w, "open", p->open);
        put_verdict_json(&w, &p->verdict);
    }
    json_end_object(&w);
    text_char(&g->out, '\n');
}

/** undo: as playbook_plan's. */
static void plan_op(struct planning *g, unsigned step, int undo)
{
    struct planned p = {.step = step, .undo = undo, .on_hub = g->m->book.steps[step].on_hub || g->values.on_hub};
    char why_buf[WHY_BYTES];
    struct text text, why;

    text_init(&why, why_buf, sizeof why_buf);
    text_init(&text, g->m->text, OP_TEXT_BYTES);
    if (playbook_plan(&g->m->book, &g->values, step, undo, &p.op, &text, &p.open, &why) < 0) {
        p.fault = why.buf;
        g->faults++;
    } else if (g->policy) {
        /* An answer is built after it: there is room for the quoted words. */
        text_init(&text, g->out.buf + g->out.len, g->out.cap - g->out.len);
        p.verdict = judge(g, &p, &text);
        g->denied += !verdict_begins(&p.verdict);
        text_rewind(&g->out, g->out.len);
    }
    if (g->json)
        put_json(g, &p);
    else
        put_words(g, &p);
    flush(g);
}

/** A step's `when`. holds: as playbook_plan_when's; why: its sentence. */
static void put_when(struct planning *g, const char *when, int holds, const char *why)
{
    static const char words[] = "not true: it is skipped\0true\0known when it runs\0";

    text_str(&g->out, "   When: ");
    text_str(&g->out, when);
    text_str(&g->out, " (");
    text_str(&g->out, holds >= 0 ? word_at(words, (unsigned)holds) : holds == NEFIA_EAGAIN ? word_at(words, 2) : why);
    text_str(&g->out, ")\n");
}

static void put_when_json(struct planning *g, unsigned step, int holds, const char *why)
{
    const struct playbook_step *s = &g->m->book.steps[step];
    struct json_writer w;

    json_begin(&w, &g->out);
    json_object(&w, NULL);
    json_put_u64(&w, "step", step);
    json_put_string(&w, "name", s->name);
    json_put_string(&w, "part", "when");
    json_put_string(&w, "when", s->when);
    if (holds >= 0)
        json_put_bool(&w, "true", holds > 0);
    else if (holds == NEFIA_EAGAIN)
        json_put_bool(&w, "open", true);
    else
        json_put_string(&w, "error", why);
    json_end_object(&w);
    text_char(&g->out, '\n');
}

/** Return: is the step carried out, as far as that is known? */
static bool plan_when(struct planning *g, unsigned step)
{
    const struct playbook_step *s = &g->m->book.steps[step];
    char why_buf[WHY_BYTES];
    struct text why;

    if (!s->when)
        return true;
    text_init(&why, why_buf, sizeof why_buf);
    const int holds = playbook_plan_when(&g->m->book, &g->values, step, &why);
    g->faults += holds < 0 && holds != NEFIA_EAGAIN;
    if (g->json)
        put_when_json(g, step, holds, why.buf);
    else
        put_when(g, s->when, holds, why.buf);
    flush(g);
    return holds > 0 || holds == NEFIA_EAGAIN;
}

static void plan_step(struct planning *g, unsigned step)
{
    const struct playbook_step *s = &g->m->book.steps[step];

    if (!g->json) {
        text_u64(&g->out, step + 1);
        put_line(&g->out, ". ", s->name);
    }
    if (!plan_when(g, step)) {
        flush(g);
        return;
    }
    plan_op(g, step, -1);
    for (unsigned i = 0; i < s->undo_count; i++)
        plan_op(g, step, (int)i);
}

static void put_head(struct planning *g)
{
    const struct playbook *p = &g->m->book;
    struct text *t = &g->out;

    put_line(t, "Playbook: ", p->name);
    put_line(t, "Target: ", g->values.host);
    text_rewind(t, t->len - 1);
    text_str(t, " (");
    text_str(t, g->address ? g->address : "address not configured");
    text_str(t, ")\n");
    if (g->role)
        put_line(t, "Role: ", g->role);
    text_str(t, "After an interruption: ");
    put_line(t, word_at(playbook_restart_words, p->on_restart), "");
    if (p->commit_within_ms > 0) {
        text_str(t, "Undone by the device itself unless it hears of the hub within ");
        text_duration(t, p->commit_within_ms);
        text_char(t, '\n');
    }
}

static void put_head_json(struct planning *g)
{
    const struct playbook *p = &g->m->book;
    struct json_writer w;

    json_begin(&w, &g->out);
    json_object(&w, NULL);
    json_put_string(&w, "playbook", p->name);
    json_put_string(&w, "host", g->values.host);
    if (g->address)
        json_put_string(&w, "address", g->address);
    if (g->role)
        json_put_string(&w, "role", g->role);
    json_put_string(&w, "on_restart", word_at(playbook_restart_words, p->on_restart));
    json_put_u64(&w, "commit_within_ms", p->commit_within_ms);
    json_end_object(&w);
    text_char(&g->out, '\n');
}

static int refuse(const char *what, const char *why)
{
    CLI_ERR("plan playbook: ", what, ": ", why, "\n");
    return CLI_WRONG;
}

/** Before the configuration, which takes the place of what it is decoded with. */
static int read_event(struct planning *g, const char *path)
{
    const bool is_stdin = str_eq(path, "-");
    const int fd = is_stdin ? STDIN_FILENO : file_open(path, O_NOCTTY);
    const char *why;
    struct text t;

    if (fd < 0)
        return refuse(path, ERRNO(errno));
    g->event_len = file_fill(fd, pool_recent_bytes, sizeof pool_recent_bytes);
    const int error = errno;
    if (!is_stdin)
        close(fd);
    if (g->event_len < 0)
        return refuse(path, ERRNO(error));
    if (playbook_take_event(g->m, pool_recent_bytes, (size_t)g->event_len, &why) < 0)
        return refuse(path, why);
    text_init(&t, g->host, sizeof g->host);
    text_bytes(&t, g->m->event.host_id.ptr, g->m->event.host_id.len);
    return CLI_FINE;
}

/** The policy and what is known of the host, before the configuration's nodes give way to the playbook's. */
static int read_policy(struct planning *g, const struct cli_args *a)
{
    struct hub *hub = a->arg;
    struct config *c = &hub->config;
    const char *target = cli_option(a, "--target");

    hub_wire(hub, a->config, cli_report_stderr);
    g->policy = IS_ENABLED(CONFIG_HUB_GUARD) ? hub_policy(hub) : NULL;
    if (IS_ENABLED(CONFIG_HUB_GUARD) ? !g->policy : !hub_socket(hub))
        return CLI_WRONG;
    const struct node *id = node_child(c, c->nodes, "host_id");
    g->hub = id && id->type == NODE_SCALAR && *id->value ? id->value : NULL;
    g->values.on_hub = cli_option(a, "--hub") != NULL;
    g->values.host = target       ? target
                     : *g->host   ? g->host
                     : !g->values.on_hub ? NULL
                     : g->hub     ? g->hub
                                  : "hub";
    const struct policy_host known = policy_host_known(c, g->values.host);
    g->role = known.role;
    g->address = known.address;
    return CLI_FINE;
}

static int read_playbook(struct planning *g, const struct cli_args *a)
{
    char why_buf[WHY_BYTES];
    const char *path = a->operands[0], *why_event;
    struct text why;

    if (!g->values.host || !*g->values.host || strlen(g->values.host) > EVENT_HOST_MAX) {
        CLI_ERR("plan playbook: --target HOST, --event FILE or --hub is required\n");
        return CLI_WRONG;
    }
    if (playbook_load(g->m, path, cli_report_stderr, NULL, false, pool_receive, sizeof pool_receive, &pool_receive->scratch.tree) < 0)
        return CLI_WRONG;
    if (g->event_len >= 0 && playbook_take_event(g->m, pool_recent_bytes, (size_t)g->event_len, &why_event) == 0)
        g->values.event = &g->m->event;
    g->values.sets = a->operands + 1;
    g->values.set_count = a->operand_count - 1;
    text_init(&why, why_buf, sizeof why_buf);
    if (playbook_values_check(&g->m->book, &g->values, &why) < 0)
        return refuse(path, why.buf);
    if (playbook_takes(&g->m->book, g->values.host, (struct matcher_work *)pool_receive))
        return CLI_FINE;
    CLI_ERR("plan playbook: ", path, ": no pattern in its `hosts` matches ", g->values.host, "\n");
    return CLI_NO;
}

int plan_playbook(const struct cli_args *a)
{
    struct planning g = {.m = pool_hub_work->playbook, .json = cli_option(a, "--json") != NULL, .event_len = -1};
    const char *event = cli_option(a, "--event");

    log_init("nefia", LOG_LEVEL_WARN);
    int status = event ? read_event(&g, event) : CLI_FINE;
    if (status == CLI_FINE)
        status = read_policy(&g, a);
    if (status == CLI_FINE)
        status = read_playbook(&g, a);
    if (status != CLI_FINE)
        return status;
    text_init(&g.out, pool_receive->bytes, sizeof pool_receive);
    if (g.json)
        put_head_json(&g);
    else
        put_head(&g);
    flush(&g);
    for (unsigned i = 0; i < g.m->book.step_count; i++)
        plan_step(&g, i);
    if (!g.json)
        CLI_OUT(COUNT(g.m->book.step_count, "step"), ", ", DEC(g.denied), " denied, ", DEC(g.faults), " that cannot begin\n",
                "No commands were executed.\n");
    return g.denied + g.faults > 0 ? CLI_NO : CLI_FINE;
}
