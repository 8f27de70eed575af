/* What a policy probably does not mean. Only asked by people: time does not matter, memory is that of a decision. */
#include <string.h>

#include "nefia/guard/matcher_lint.h"
#include "nefia/guard/policy.h"

struct linting {
    const struct policy_use *use;
    void (*remark)(void *arg, const struct policy_remark *r);
    void *arg;
    unsigned count;
};

static void say(struct linting *l, const struct policy_rule *r, const char *what)
{
    l->count++;
    l->remark(l->arg, &(struct policy_remark){
                          .line = r->line,
                          .where = policy_list_name((enum policy_list)r->list),
                          .role = r->scope > 0 ? l->use->policy->roles[r->scope - 1] : NULL,
                          .text = r->text,
                          .what = what,
                      });
}

static bool finds(const struct linting *l, const struct policy_rule *r, const char *text)
{
    return matcher_find(&r->matcher, &l->use->policy->store, &l->use->work->matcher, text, strlen(text), NULL);
}

static bool same_list(const struct policy_rule *a, const struct policy_rule *b)
{
    return a->scope == b->scope && a->list == b->list;
}

/** An earlier one of the same list that makes it superfluous; null: none. */
static const struct policy_rule *before(const struct policy *p, const struct policy_rule *r)
{
    for (const struct policy_rule *other = p->rules; other < r; other++)
        if (same_list(other, r) && (other->catch_all || str_eq(other->text, r->text)))
            return other;
    return NULL;
}

static bool has_allow(const struct policy *p, unsigned scope)
{
    return p->first[scope][POLICY_ALLOW_COMMANDS] < p->first[scope][POLICY_ALLOW_COMMANDS + 1];
}

static void lint_catch_all(struct linting *l, const struct policy_rule *r)
{
    switch ((enum policy_list)r->list) {
    case POLICY_DENY_COMMANDS:
        say(l, r, has_allow(l->use->policy, r->scope)
                      ? "matches every command; beside allow_commands it changes nothing: what is not allowed is denied anyway"
                      : "matches every command: nothing may run");
        break;
    case POLICY_ALLOW_COMMANDS:
        say(l, r, "matches every command: the list restricts nothing but lines that cannot be taken apart");
        break;
    case POLICY_DENY_PATHS:
        say(l, r, "matches every path: no file may be used");
        break;
    case POLICY_HOSTS:
        say(l, r, "matches every host: roles further down are only given by name, in reactor.hosts");
        break;
    default:
        break;
    }
}

/** The one text that a pattern of the form ^text$ or ^text matches, without backslashes: into buf. */
static bool literal(const char *pattern, char *buf, size_t cap)
{
    size_t n = 0;

    pattern += *pattern == '^';
    for (; *pattern; pattern++) {
        if (*pattern == '$' && !pattern[1])
            break;
        if (*pattern == '\\' && pattern[1] && strchr("\\.+*?()|[]{}^$-/ ", pattern[1]))
            pattern++;
        else if (strchr("\\.+*?()|[]{}^$", *pattern))
            return false;
        if (n + 1 == cap)
            return false;
        buf[n++] = *pattern;
    }
    buf[n] = '\0';
    return n > 0;
}

/** Is what it allows denied anyway? Only for patterns that are plain text. */
static bool denied_anyway(const struct linting *l, const struct policy_rule *r)
{
    const struct policy *p = l->use->policy;
    char text[256];

    if (!literal(r->text, text, sizeof text))
        return false;
    for (const struct policy_rule *d = p->rules; d < p->rules + p->rule_count; d++)
        if (d->list == POLICY_DENY_COMMANDS && (d->scope == 0 || d->scope == r->scope) &&
            !(d->catch_all && has_allow(p, d->scope)) && finds(l, d, text))
            return true;
    return false;
}

/** What runs whatever its arguments say, and is no wrapper that the policy looks through. */
static const char *interpreter(const struct linting *l, const struct policy_rule *r)
{
    static const char probes[] = "awk 'BEGIN{system(\"x\")}'\0perl -e x\0python3 -c x\0lua -e x\0vi -c x\0sed e x\0"
                                 "tar -cf x --to-command=x x\0ssh host x\0";

    for (const char *probe = probes; *probe; probe = word_at(probe, 1))
        if (!r->catch_all && finds(l, r, probe))
            return probe;
    return NULL;
}

static void lint_allow(struct linting *l, const struct policy_rule *r)
{
    if (!r->matcher.anchored && !r->catch_all)
        say(l, r, "has no ^ at its beginning: it also allows commands in which this stands further on");
    if (denied_anyway(l, r))
        say(l, r, "can never decide: what it allows is denied by deny_commands, which is asked first");
    else if (interpreter(l, r))
        say(l, r, "allows a program that runs whatever its arguments say, such as awk's system() or tar's --to-command");
}

static void lint_rule(struct linting *l, const struct policy_rule *r)
{
    const struct policy_rule *earlier = before(l->use->policy, r);

    if (r->list == POLICY_ALLOWED_ROOTS) {
        if (str_eq(r->text, "/"))
            say(l, r, "every path lies in it: the list restricts nothing");
        if (earlier)
            say(l, r, "is there twice");
        return;
    }
    if (r->catch_all)
        lint_catch_all(l, r);
    if (earlier)
        say(l, r, earlier->catch_all ? "can never decide: an earlier one matches everything" : "is there twice");
    if (!matcher_can_match(&r->matcher, &l->use->policy->store))
        say(l, r, "can never match");
    else if (r->list == POLICY_ALLOW_COMMANDS && !earlier)
        lint_allow(l, r);
}

unsigned policy_lint(const struct policy_use *use, void (*remark)(void *arg, const struct policy_remark *r), void *arg)
{
    struct linting l = {use, remark, arg, 0};

    for (unsigned i = 0; i < use->policy->rule_count; i++)
        lint_rule(&l, &use->policy->rules[i]);
    return l.count;
}
