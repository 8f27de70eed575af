/* Arbitrary bytes as a configuration, once as JSON and once as YAML: the section `policy` is bound or its faults are reported; what
 * is bound lies in its bounds, is linted, and judges its own texts, the file itself and some others; enforce, warn and off agree. */
#include <string.h>

#include "nefia/base/err.h"
#include "nefia/guard/policy.h"

#define MUST(condition)       \
    do {                      \
        if (!(condition))     \
            __builtin_trap(); \
    } while (0)

enum { NODES = 300, TEXT = 4096, WORK = 12 * 1024, RULES = 24, OPS = 700, RANGES = 100 };

static struct node nodes[NODES];
static char strings[TEXT], parsing[WORK];
static struct policy policy;
static struct policy_rule rules[RULES];
static struct matcher_op ops[OPS];
static struct pattern_range ranges[RANGES];
static struct policy_work work;
static struct pattern_tree scratch;
static const struct policy_use use = {&policy, &work};
static unsigned reports, remarks;

static void take_report(void *arg, const char *message)
{
    const char *name = arg;

    reports++;
    MUST(strncmp(message, name, strlen(name)) == 0);
    MUST(strlen(message) < CONFIG_MESSAGE_BYTES && utf8_valid(message, strlen(message)));
}

static bool is_role(const char *role)
{
    for (unsigned i = 0; i < policy.role_count; i++)
        if (role == policy.roles[i])
            return true;
    return false;
}

static bool is_text(const char *text)
{
    for (unsigned i = 0; i < policy.rule_count; i++)
        if (text == policy.rules[i].text)
            return true;
    return false;
}

/* ---- what is bound ---- */

static void check_rule(const struct policy_rule *r, unsigned scope, unsigned list)
{
    MUST(r->text && r->scope == scope && r->list == list && r->line >= 1);
    if (list == POLICY_ALLOWED_ROOTS) {
        MUST(r->text[0] == '/' && !r->catch_all);
        return;
    }
    MUST(r->matcher.count >= 1 && r->matcher.first + r->matcher.count <= policy.store.ops_used);
    MUST(r->catch_all || !r->matcher.always);
}

static void check_bound(void)
{
    unsigned at = 0, steps = 0;

    MUST(policy.mode <= POLICY_ENFORCE && policy.rule_count <= RULES && policy.role_count <= CONFIG_POLICY_ROLES);
    MUST(policy.store.ops_used <= OPS && policy.store.ranges_used <= RANGES);
    for (unsigned scope = 0; scope <= policy.role_count; scope++)
        for (unsigned list = 0; list < POLICY_LISTS; list++) {
            MUST(policy.first[scope][list] == at && policy.first[scope][list + 1] >= at);
            for (; at < policy.first[scope][list + 1]; at++)
                check_rule(&policy.rules[at], scope, list);
        }
    MUST(at == policy.rule_count);
    for (unsigned i = 0; i < policy.rule_count; i++)
        steps += rules[i].matcher.count; /* a root has none */
    MUST(policy.store.ops_used == steps);
}

static void take_remark(void *arg, const struct policy_remark *r)
{
    (void)arg;
    remarks++;
    MUST(r->where && is_text(r->text) && r->what && r->line >= 1);
    MUST(!r->role || is_role(r->role));
}

/* ---- what is judged ---- */

static bool same(const struct verdict *a, const struct verdict *b)
{
    return a->reason == b->reason && a->rule == b->rule && a->role == b->role && a->has_at == b->has_at && a->at == b->at &&
           a->have == b->have && a->most == b->most;
}

/** As enforced. len: of what was asked. */
static void check_verdict(const struct verdict *v, size_t len)
{
    char buf[512];
    struct text t;

    MUST(v->kind == VERDICT_ALLOWED || v->kind == VERDICT_DENIED);
    MUST(v->kind == VERDICT_ALLOWED || v->reason);
    MUST(!v->rule || is_text(v->rule));
    MUST(!v->role || is_role(v->role));
    MUST(!v->has_at || v->at <= len);
    MUST(len <= PATTERN_SUBJECT_MAX || (v->kind == VERDICT_DENIED && v->have == len && v->most == PATTERN_SUBJECT_MAX));
    MUST(policy.rule_count > 0 || len > PATTERN_SUBJECT_MAX || v->kind == VERDICT_ALLOWED);
    text_init(&t, buf, sizeof buf);
    verdict_text(&t, v);
    MUST(utf8_valid(t.buf, t.len));
}

/** All three modes say the same, but for what comes of it. */
static void ask(const struct policy_case *c, size_t len)
{
    const enum policy_mode mode = policy.mode;

    policy.mode = POLICY_ENFORCE;
    const struct verdict enforced = policy_judge((void *)&use, c), again = policy_judge((void *)&use, c);
    check_verdict(&enforced, len);
    MUST(enforced.kind == again.kind && same(&enforced, &again));
    policy.mode = POLICY_WARN;
    const struct verdict warned = policy_judge((void *)&use, c);
    MUST(same(&enforced, &warned));
    MUST(warned.kind == (enforced.kind == VERDICT_ALLOWED       ? VERDICT_ALLOWED
                         : len > PATTERN_SUBJECT_MAX ? VERDICT_DENIED
                                                                : VERDICT_NOTIFY));
    policy.mode = POLICY_OFF;
    MUST(policy_judge((void *)&use, c).kind == VERDICT_ALLOWED);
    policy.mode = mode;
}

static void ask_text(const char *s, size_t len)
{
    const char *role = policy.role_count > 0 ? policy.roles[len % policy.role_count] : NULL;
    struct policy_case c = {.command = s};
    struct span span;

    ask(&c, len);
    c.host = s;
    c.role = role;
    ask(&c, len);
    c.path = s;
    ask(&c, len);
    c.command = NULL;
    ask(&c, len);
    MUST(policy_role(&use, s, role) == role);
    for (unsigned i = 0; i < policy.rule_count && len <= PATTERN_SUBJECT_MAX; i++) {
        const struct policy_rule *r = &policy.rules[i];
        if (r->list == POLICY_ALLOWED_ROOTS)
            continue;
        if (matcher_find(&r->matcher, &policy.store, &work.matcher, s, len, &span))
            MUST(span.at <= span.end && span.end <= len);
        else
            MUST(!r->matcher.always);
        MUST(work.matcher.steps <= r->matcher.count * (len + 1));
    }
}

/** The file is a command, too: as far as it has no zero byte, and as much of it as is judged. */
static void ask_all(const char *file, size_t size)
{
    static const char *const texts[] = {"", "rm -rf /", "/bin/rm -rf /", "ls; sh -c 'reboot' | x", "/etc/passwd", "/", "a\nb\xff"};
    static char longest[PATTERN_SUBJECT_MAX + 2];

    memcpy(longest, file, size <= PATTERN_SUBJECT_MAX ? size : PATTERN_SUBJECT_MAX);
    longest[size <= PATTERN_SUBJECT_MAX ? size : PATTERN_SUBJECT_MAX] = '\0';
    ask_text(longest, strlen(longest));
    for (unsigned i = 0; i < ARRAY_SIZE(texts); i++)
        ask_text(texts[i], strlen(texts[i]));
    for (unsigned i = 0; i < policy.rule_count; i++)
        ask_text(policy.rules[i].text, strlen(policy.rules[i].text));
    memset(longest, 'a', PATTERN_SUBJECT_MAX + 1);
    ask_text(longest, PATTERN_SUBJECT_MAX + 1);
    longest[PATTERN_SUBJECT_MAX] = '\0';
    ask(&(struct policy_case){.command = longest}, PATTERN_SUBJECT_MAX);
}

static void load(const char *name, const char *text, size_t size)
{
    const struct matcher_store store = {ops, ranges, OPS, RANGES, 0, 0, false};
    struct config_arena arena = {strings, sizeof strings, 0};
    struct config c;
    char path[16];

    memcpy(path, name, strlen(name) + 1);
    reports = remarks = 0;
    config_init(&c, "HUB", nodes, NODES, take_report, path);
    if (!policy.rules) /* later ones are bound over what it held, as in a reload */
        policy_init(&policy, rules, RULES, &store);
    if (config_load_text(&c, name, text, size, &arena, parsing, sizeof parsing) == 0) {
        const unsigned before = c.errors;
        const int err = policy_bind(&policy, &c, node_child(&c, c.nodes, "policy"), &scratch);
        MUST((err == 0) == (c.errors == before) && (err == 0 || err == NEFIA_EINVAL));
        check_bound();
        if (err == 0) {
            MUST(policy_lint(&use, take_remark, NULL) == remarks);
            ask_all(text, size);
        }
    }
    MUST(reports == (c.errors < CONFIG_MOST_REPORTS ? c.errors : CONFIG_MOST_REPORTS));
    MUST((config_done(&c) < 0) == (c.errors > 0));
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);
int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    load("f.json", (const char *)data, size);
    load("f.yaml", (const char *)data, size);
    return 0;
}
