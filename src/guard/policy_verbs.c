#include "nefia/guard/policy_verbs.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "nefia/base/err.h"
#include "nefia/json/json.h"
#include "nefia/sys/file.h"
#include "nefia/sys/path.h"

enum { BATCH_MOST = 50, JSON_CUT = 512 };

void policy_desk_init(struct policy_desk *d, const struct cli_args *a, const struct config *c,
                      const struct policy_use *use, char *buf, size_t cap)
{
    *d = (struct policy_desk){.args = a, .config = c, .use = use, .json = cli_option(a, "--json") != NULL};
    text_init(&d->out, buf, cap);
}

static void flush(struct policy_desk *d)
{
    (void)cli_write(STDOUT_FILENO, d->out.buf, d->out.len);
    text_reset(&d->out);
}

static const char *word_of(const struct config *c, const struct node *item, const char *key)
{
    const struct node *n = node_child(c, item, key);

    if (n && n->type == NODE_LIST)
        n = node_first(c, n);
    return n && n->type == NODE_SCALAR && *n->value ? n->value : NULL;
}

struct policy_host policy_host_known(const struct config *c, const char *host)
{
    const struct node *hosts = node_child(c, node_child(c, c->nodes, "reactor"), "hosts");

    for (const struct node *n = hosts && host ? node_first(c, hosts) : NULL; n; n = node_next(c, n)) {
        const char *id = word_of(c, n, "host_id");
        if (id && str_eq(id, host))
            return (struct policy_host){word_of(c, n, "role"), word_of(c, n, "addresses")};
    }
    return (struct policy_host){0};
}

/* ---- verdicts ---- */

static const char *capital_word(enum verdict_kind kind)
{
    return word_at("ALLOWED\0WARNED\0PENDING\0DENIED\0", kind);
}

/** Policy: DENIED — matches deny_commands pattern: "rm -rf" */
void policy_put_verdict(struct text *t, const struct verdict *verdict)
{
    struct verdict v = *verdict;

    v.has_at = false; /* has a line of its own where it is shown */
    text_str(t, "Policy: ");
    text_str(t, capital_word(v.kind));
    text_str(t, " \xE2\x80\x94 ");
    if (v.reason)
        verdict_reason(t, &v);
    else
        text_str(t, "no rule restricts it");
    if (v.kind == VERDICT_NOTIFY)
        text_str(t, "; not blocked (mode: warn)");
    text_char(t, '\n');
}

static void put_line(struct text *t, const char *before, const char *s)
{
    text_str(t, before);
    text_printable(t, s, strlen(s));
    text_char(t, '\n');
}

/** most: bytes of the command or path that are shown. */
static void build_json(struct policy_desk *d, const struct policy_case *c, const struct verdict *v, const char *address,
                       size_t most)
{
    struct json_writer w;
    const char *role = policy_role(d->use, c->host, c->role), *asked = c->path ? c->path : c->command;
    const size_t len = strlen(asked);

    json_begin(&w, &d->out);
    json_object(&w, NULL);
    json_put_bytes(&w, c->path ? "path" : "command", asked, len < most ? len : most);
    if (len > most)
        json_put_bool(&w, "truncated", true);
    if (c->host)
        json_put_string(&w, "host", c->host);
    if (address)
        json_put_string(&w, "address", address);
    if (role)
        json_put_string(&w, "role", role);
    json_put_string(&w, "mode", word_at(policy_mode_words, d->use->policy->mode));
    json_put_string(&w, "verdict", verdict_word(v->kind));
    if (v->reason)
        json_put_string(&w, "reason", v->reason);
    if (v->rule)
        json_put_string(&w, "rule", v->rule);
    if (v->role)
        json_put_string(&w, "rule_of_role", v->role);
    if (v->has_at)
        json_put_u64(&w, "at", v->at);
    json_put_bool(&w, "begins", verdict_begins(v));
    json_end_object(&w);
    text_char(&d->out, '\n');
}

/** What does not fit is cut, and says so. */
static void put_json(struct policy_desk *d, const struct policy_case *c, const struct verdict *v, const char *address)
{
    const size_t start = d->out.len;

    build_json(d, c, v, address, SIZE_MAX);
    if (!d->out.truncated)
        return;
    text_rewind(&d->out, start);
    build_json(d, c, v, address, JSON_CUT);
}

static int status_of(const struct verdict *v)
{
    return verdict_begins(v) ? CLI_FINE : CLI_NO;
}

static void put_answer(struct policy_desk *d, const struct policy_case *c, const struct verdict *v)
{
    const char *role = policy_role(d->use, c->host, c->role);

    if (d->json) {
        put_json(d, c, v, NULL);
        return;
    }
    put_line(&d->out, c->path ? "Path: " : "Command: ", c->path ? c->path : c->command);
    if (c->host)
        put_line(&d->out, "Host: ", c->host);
    if (role)
        put_line(&d->out, "Role: ", role);
    policy_put_verdict(&d->out, v);
    if (v->has_at) {
        text_str(&d->out, "At: byte ");
        text_u64(&d->out, v->at);
        text_char(&d->out, '\n');
    }
}

/* ---- nefia policy test ---- */

/** A path as this device resolves it. What cannot be resolved cannot be opened either. */
static struct verdict judge_path(struct policy_desk *d, struct policy_case *c, struct path *p, const char *given)
{
    struct verdict v;

    c->path = given;
    if (strlen(given) <= PATTERN_SUBJECT_MAX && d->use->policy->mode != POLICY_OFF) {
        if (path_resolve(p, given) < 0)
            return (struct verdict){.kind = VERDICT_DENIED, .reason = p->why};
        c->path = p->text;
    }
    v = policy_judge((void *)d->use, c);
    path_close(p);
    return v;
}

/** The host that --host names, or the device's own. */
static struct policy_case case_for(const struct policy_desk *d, const char *option)
{
    const char *host = cli_option(d->args, option) ? cli_option(d->args, option) : d->host;

    return (struct policy_case){.host = host, .role = policy_host_known(d->config, host).role};
}

int policy_verb_test(struct policy_desk *d)
{
    const char *named = cli_option(d->args, "--path");
    struct policy_case c = case_for(d, "--host");
    struct path path = {.dir = -1};
    struct verdict v;

    if ((named != NULL) == (d->args->operand_count > 0)) {
        CLI_ERR("policy test: give one COMMAND, in quotes, or --path PATH\n");
        return CLI_WRONG;
    }
    c.command = named ? NULL : d->args->operands[0];
    v = named ? judge_path(d, &c, &path, named) : policy_judge((void *)d->use, &c);
    put_answer(d, &c, &v);
    flush(d);
    return status_of(&v);
}

/* ---- nefia policy test-batch ---- */

/** Commands, each ended by `end`. */
struct batch {
    int fd;
    char end;
    char *line; /* POLICY_DESK_LINE */
    bool nul;   /* the line has a byte NUL, and cannot be a command */
    char chunk[512];
    size_t at, have;
    int error; /* errno of a read that failed, or 0 */
};

/** The next byte, or -1 at the end. */
static int next_byte(struct batch *b)
{
    if (b->at == b->have) {
        ssize_t n;
        do
            n = read(b->fd, b->chunk, sizeof b->chunk);
        while (n < 0 && errno == EINTR);
        if (n <= 0) {
            b->error = n < 0 ? errno : 0;
            return -1;
        }
        b->have = (size_t)n;
        b->at = 0;
    }
    return (unsigned char)b->chunk[b->at++];
}

/** Return: false: there is none. */
static bool next_line(struct batch *b)
{
    size_t len = 0;
    int c = next_byte(b);

    if (c < 0)
        return false;
    for (; c >= 0 && c != b->end; c = next_byte(b)) {
        b->nul |= c == '\0';
        if (len <= PATTERN_SUBJECT_MAX)
            b->line[len++] = (char)c;
    }
    b->line[len] = '\0';
    return true;
}

static void put_row(struct policy_desk *d, const struct policy_case *c, const struct verdict *v)
{
    const size_t start = d->out.len;

    if (d->json) {
        put_json(d, c, v, NULL);
        return;
    }
    text_str(&d->out, capital_word(v->kind));
    text_pad_to(&d->out, start, 9);
    put_line(&d->out, "", c->command);
    if (!v->reason || v->kind == VERDICT_ALLOWED)
        return;
    text_str(&d->out, "         ");
    verdict_reason(&d->out, v);
    text_char(&d->out, '\n');
}

static const char *batch_name(const struct policy_desk *d)
{
    return d->args->operand_count > 0 ? d->args->operands[0] : "-";
}

static void tell_unreadable(const struct policy_desk *d, int error)
{
    CLI_ERR("policy test-batch: ", batch_name(d), ": ", ERRNO(error), "\n");
}

/** Return: an exit status. */
static int judge_batch(struct policy_desk *d, struct batch *b)
{
    struct policy_case c = case_for(d, "--host");
    unsigned count = 0, denied = 0, line = 1;

    c.command = b->line;
    while (next_line(b)) {
        if (b->nul) {
            CLI_ERR("policy test-batch: line ", DEC(line), ": a NUL byte; the rest was not judged\n");
            return CLI_WRONG;
        }
        line++;
        if (!b->line[0])
            continue;
        if (++count > BATCH_MOST) {
            CLI_ERR("policy test-batch: more than 50 commands; the rest was not judged\n");
            return CLI_WRONG;
        }
        const struct verdict v = policy_judge((void *)d->use, &c);
        denied += !verdict_begins(&v);
        put_row(d, &c, &v);
        flush(d);
    }
    if (b->error) {
        tell_unreadable(d, b->error);
        return CLI_WRONG;
    }
    if (!d->json)
        CLI_OUT(COUNT(count, "command"), ", ", DEC(denied), " denied\n");
    return denied > 0 ? CLI_NO : CLI_FINE;
}

int policy_verb_test_batch(struct policy_desk *d)
{
    const char *name = batch_name(d);
    struct batch b = {
        .fd = STDIN_FILENO, .end = cli_option(d->args, "--null") ? '\0' : '\n', .line = d->line};

    if (!str_eq(name, "-"))
        b.fd = file_open(name, O_RDONLY);
    if (b.fd < 0) {
        tell_unreadable(d, errno);
        return CLI_WRONG;
    }
    return judge_batch(d, &b);
}

/* ---- nefia policy capabilities ---- */

static const struct policy_rule *list_of(const struct policy_desk *d, unsigned scope, unsigned list, unsigned i)
{
    const struct policy *p = d->use->policy;

    return p->first[scope][list] + i < p->first[scope][list + 1] ? &p->rules[p->first[scope][list] + i] : NULL;
}

static void put_scope(struct policy_desk *d, unsigned scope)
{
    for (unsigned list = 0; list < POLICY_HOSTS; list++) {
        const struct policy_rule *r = list_of(d, scope, list, 0);
        if (!r)
            continue;
        text_str(&d->out, policy_list_name((enum policy_list)list));
        if (scope > 0) {
            text_str(&d->out, " of role ");
            text_str(&d->out, d->use->policy->roles[scope - 1]);
        }
        text_str(&d->out, ":\n");
        for (unsigned i = 1; r; r = list_of(d, scope, list, i++))
            put_line(&d->out, "  ", r->text);
    }
}

static void put_lists_json(struct policy_desk *d, struct json_writer *w, unsigned scope)
{
    for (unsigned list = 0; list < POLICY_HOSTS; list++) {
        json_array(w, policy_list_name((enum policy_list)list));
        const struct policy_rule *r;
        for (unsigned i = 0; (r = list_of(d, scope, list, i)) != NULL; i++)
            json_put_string(w, NULL, r->text);
        json_end_array(w);
    }
}

static void put_capabilities_json(struct policy_desk *d, const char *host, const char *role)
{
    struct json_writer w;

    json_begin(&w, &d->out);
    json_object(&w, NULL);
    json_put_string(&w, "host", host);
    json_put_string(&w, "mode", word_at(policy_mode_words, d->use->policy->mode));
    put_lists_json(d, &w, 0);
    if (role) {
        json_object(&w, "role");
        json_put_string(&w, "name", role);
        put_lists_json(d, &w, policy_scope(d->use->policy, role));
        json_end_object(&w);
    }
    json_end_object(&w);
    text_char(&d->out, '\n');
}

static bool has_list(const struct policy_desk *d, unsigned scope, enum policy_list list)
{
    return list_of(d, scope, list, 0) || list_of(d, 0, list, 0);
}

int policy_verb_capabilities(struct policy_desk *d)
{
    const struct policy_case c = case_for(d, "--host");

    if (!c.host) {
        CLI_ERR("policy capabilities: --host HOST is required\n");
        return CLI_WRONG;
    }
    const char *host = c.host, *role = policy_role(d->use, host, c.role);
    const unsigned scope = policy_scope(d->use->policy, role);
    if (d->json) {
        put_capabilities_json(d, host, role);
    } else {
        put_line(&d->out, "Host: ", host);
        put_line(&d->out, "Role: ", role ? role : "-");
        put_line(&d->out, "Mode: ", word_at(policy_mode_words, d->use->policy->mode));
        text_str(&d->out, has_list(d, scope, POLICY_ALLOW_COMMANDS) ? "Commands: only what is allowed, and not denied\n"
                         : has_list(d, scope, POLICY_DENY_COMMANDS) ? "Commands: all that are not denied\n"
                                                                     : "Commands: all\n");
        text_str(&d->out, has_list(d, scope, POLICY_ALLOWED_ROOTS) ? "Paths: only in allowed_roots, and not denied\n"
                         : has_list(d, scope, POLICY_DENY_PATHS)  ? "Paths: all that are not denied\n"
                                                                   : "Paths: all\n");
        put_scope(d, 0);
        if (scope > 0)
            put_scope(d, scope);
    }
    flush(d);
    return CLI_FINE;
}

/* ---- nefia policy lint ---- */

static void put_remark(void *arg, const struct policy_remark *r)
{
    struct policy_desk *d = arg;
    struct json_writer w;

    if (d->json) {
        json_begin(&w, &d->out);
        json_object(&w, NULL);
        json_put_u64(&w, "line", r->line);
        json_put_string(&w, "list", r->where);
        if (r->role)
            json_put_string(&w, "role", r->role);
        json_put_string(&w, "item", r->text);
        json_put_string(&w, "remark", r->what);
        json_end_object(&w);
    } else {
        text_str(&d->out, d->args->config);
        text_char(&d->out, ':');
        text_u64(&d->out, r->line);
        text_str(&d->out, ": ");
        text_str(&d->out, r->where);
        if (r->role) {
            text_str(&d->out, " of role ");
            text_str(&d->out, r->role);
        }
        text_str(&d->out, ": \"");
        text_printable(&d->out, r->text, strlen(r->text));
        text_str(&d->out, "\": ");
        text_str(&d->out, r->what);
    }
    text_char(&d->out, '\n');
    flush(d);
}

/** Roles that reactor.hosts gives and the policy does not have. Return: how many remarks. */
static unsigned lint_hosts(struct policy_desk *d)
{
    const struct config *c = d->config;
    const struct node *hosts = node_child(c, node_child(c, c->nodes, "reactor"), "hosts");
    unsigned remarks = 0;

    for (const struct node *n = hosts ? node_first(c, hosts) : NULL; n; n = node_next(c, n)) {
        const char *role = word_of(c, n, "role");
        if (d->use->policy->role_count == 0 || !role || policy_scope(d->use->policy, role) > 0)
            continue;
        remarks++;
        put_remark(d, &(struct policy_remark){.line = n->line,
                                              .where = "reactor.hosts",
                                              .text = role,
                                              .what = "is no role of the policy: the first role whose hosts match counts"});
    }
    return remarks;
}

int policy_verb_lint(struct policy_desk *d)
{
    const unsigned remarks = policy_lint(d->use, put_remark, d) + lint_hosts(d);
    if (!d->json)
        CLI_OUT(COUNT(d->use->policy->rule_count, "item"), ", ", COUNT(remarks, "remark"), "\n");
    return remarks > 0 ? CLI_NO : CLI_FINE;
}

/* ---- nefia plan exec ---- */

/** The words behind `--`, as one line; what is cut is too long. */
static void join_words(struct text *t, const struct cli_args *a)
{
    for (unsigned i = 0; i < a->operand_count; i++) {
        if (i > 0)
            text_char(t, ' ');
        text_str(t, a->operands[i]);
    }
}

int policy_verb_plan(struct policy_desk *d)
{
    char *command = d->line;
    struct policy_case c = case_for(d, "--target");
    const char *address = policy_host_known(d->config, c.host).address;
    struct text line;

    text_init(&line, command, POLICY_DESK_LINE);
    c.command = command;
    if (!c.host) {
        CLI_ERR("plan exec: --target HOST is required\n");
        return CLI_WRONG;
    }
    join_words(&line, d->args);
    const struct verdict v = policy_judge((void *)d->use, &c);
    if (d->json) {
        put_json(d, &c, &v, address);
    } else {
        put_line(&d->out, "Command: ", command);
        put_line(&d->out, "Target: ", c.host);
        text_rewind(&d->out, d->out.len - 1);
        text_str(&d->out, " (");
        text_str(&d->out, address ? address : "address not configured");
        text_str(&d->out, ")\n");
        policy_put_verdict(&d->out, &v);
        text_str(&d->out, "No commands were executed.\n");
    }
    flush(d);
    return status_of(&v);
}
