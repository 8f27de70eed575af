#include "nefia/guard/policy.h"

#include <string.h>

#include "nefia/base/err.h"

const char policy_mode_words[] = "off\0warn\0enforce\0";

const char *policy_list_name(enum policy_list list)
{
    return word_at("deny_commands\0allow_commands\0deny_paths\0allowed_roots\0hosts\0", list);
}

/** The phrases of a verdict, by the list that decided. */
static const char *const reasons[] = {
    "matches deny_commands pattern",
    "matches allow_commands pattern",
    "matches deny_paths pattern",
    "lies in allowed_roots",
};

/** One question while it is answered. */
struct judging {
    const struct policy *p;
    struct policy_work *work;
    unsigned scopes[2], scope_count; /* for all, then the role's */
    struct slice line;               /* the whole command */
    bool restricted;                 /* an allow list is in force */
    struct verdict denied;           /* reason null: nothing has denied it yet */
    struct verdict missing;          /* the first command that no allow pattern matches */
};

static const struct policy_rule *rules_of(const struct policy *p, unsigned scope, enum policy_list list,
                                          const struct policy_rule **end)
{
    *end = p->rules + p->first[scope][list + 1];
    return p->rules + p->first[scope][list];
}

static bool is_empty(const struct policy *p, unsigned scope, enum policy_list list)
{
    return p->first[scope][list] == p->first[scope][list + 1];
}

static bool matches(const struct policy_use *use, const struct policy_rule *r, struct slice s, struct span *span)
{
    return matcher_find(&r->matcher, &use->policy->store, &use->work->matcher, s.ptr, s.len, span);
}

static const char *role_name(const struct policy *p, unsigned scope)
{
    return scope > 0 ? p->roles[scope - 1] : NULL;
}

static struct verdict decided(const struct policy *p, const struct policy_rule *r, enum verdict_kind kind)
{
    return (struct verdict){
        .kind = kind, .reason = reasons[r->list], .rule = r->text, .role = role_name(p, r->scope)};
}

/** The first rule of the list that matches; null: none. "Deny everything" beside what is allowed in the same place only says that
 * the rest is denied. */
static const struct policy_rule *first_match(const struct judging *j, unsigned scope, enum policy_list list, struct slice s,
                                             struct span *span)
{
    const struct policy_use use = {j->p, j->work};
    const struct policy_rule *end, *r = rules_of(j->p, scope, list, &end);
    const bool rest = list == POLICY_DENY_COMMANDS && !is_empty(j->p, scope, POLICY_ALLOW_COMMANDS);

    for (; r < end; r++)
        if (!(rest && r->catch_all) && matches(&use, r, s, span))
            return r;
    return NULL;
}

/** whole: the text is the subject itself, and offsets are its own; otherwise it began at `at`. Return: true: denied. */
static bool deny(struct judging *j, enum policy_list list, struct slice s, bool whole, uint32_t at)
{
    struct span span = {0};

    for (unsigned i = 0; i < j->scope_count; i++) {
        const struct policy_rule *r = first_match(j, j->scopes[i], list, s, &span);
        if (!r)
            continue;
        j->denied = decided(j->p, r, VERDICT_DENIED);
        j->denied.at = whole ? span.at : at;
        j->denied.has_at = true;
        return true;
    }
    return false;
}

/** Every allow list that is in force must permit it. allowed (may be null): by which, the last one. */
static bool is_allowed(struct judging *j, struct slice s, uint32_t at, struct verdict *allowed)
{
    struct span span = {0};

    for (unsigned i = 0; i < j->scope_count; i++) {
        const unsigned scope = j->scopes[i];
        if (is_empty(j->p, scope, POLICY_ALLOW_COMMANDS))
            continue;
        const struct policy_rule *r = first_match(j, scope, POLICY_ALLOW_COMMANDS, s, &span);
        if (!r) {
            if (!j->missing.reason)
                j->missing = (struct verdict){.kind = VERDICT_DENIED,
                                              .reason = "matches no allow_commands pattern",
                                              .role = role_name(j->p, scope),
                                              .at = at,
                                              .has_at = true};
            return false;
        }
        if (allowed) {
            *allowed = decided(j->p, r, VERDICT_ALLOWED);
            allowed->at = span.at;
            allowed->has_at = true;
        }
    }
    return true;
}

/** With its name cut to the last component of its path: `/bin/rm -r x` is `rm -r x`. */
static struct slice without_directory(const struct shell_command *c)
{
    const char *slash = memrchr(c->text.ptr, '/', c->name_len);

    if (!slash || slash + 1 == c->text.ptr + c->name_len)
        return (struct slice){0};
    return (struct slice){slash + 1, c->text.len - (size_t)(slash + 1 - c->text.ptr)};
}

static bool has_paths(const struct judging *j)
{
    bool any = false;

    for (unsigned i = 0; i < j->scope_count; i++)
        any |= !is_empty(j->p, j->scopes[i], POLICY_DENY_PATHS);
    return any;
}

bool policy_is_plain(struct slice path)
{
    for (size_t at = 0, len; at < path.len; at += len + 1) {
        const char *slash = memchr(path.ptr + at, '/', path.len - at), *s = path.ptr + at;

        len = slash ? (size_t)(slash - s) : path.len - at;
        if ((len == 0 && at > 0) || (len == 1 && s[0] == '.') || (len == 2 && s[0] == '.' && s[1] == '.'))
            return false;
    }
    return true;
}

/** The file that a redirection names is denied as any path is, as it is written. */
static bool deny_redirection(struct judging *j, const struct shell_command *c)
{
    const struct slice path = {c->text.ptr + c->name_len + 1, c->text.len - c->name_len - 1};

    if (c->text.len <= c->name_len + 1u || !has_paths(j))
        return false;
    if (deny(j, POLICY_DENY_PATHS, path, false, c->at))
        return true;
    if (policy_is_plain(path))
        return false;
    j->denied = (struct verdict){
        .kind = VERDICT_DENIED, .reason = "redirects to a path that is not plain", .at = c->at, .has_at = true};
    return true;
}

static bool judge_simple(void *arg, const struct shell_command *c)
{
    struct judging *j = arg;
    const struct slice bare = without_directory(c);

    if (c->origin == SHELL_REDIRECTED && deny_redirection(j, c))
        return false;
    if (c->text.len == j->line.len && memcmp(c->text.ptr, j->line.ptr, c->text.len) == 0 && !bare.ptr)
        return true; /* it has been judged as the whole */
    if (deny(j, POLICY_DENY_COMMANDS, c->text, false, c->at) ||
        (bare.ptr && deny(j, POLICY_DENY_COMMANDS, bare, false, c->at)))
        return false;
    if (c->origin != SHELL_GUESSED)
        is_allowed(j, c->text, c->at, NULL);
    return true;
}

static struct verdict judge_command(struct judging *j, const char *command)
{
    const struct slice line = {command, strlen(command)};
    struct verdict allowed = {.kind = VERDICT_ALLOWED};
    struct shell_doubt doubt = {0};

    j->line = line;
    if (deny(j, POLICY_DENY_COMMANDS, line, true, 0))
        return j->denied;
    is_allowed(j, line, 0, &allowed);
    const bool sure = shell_split(command, line.len, &j->work->shell, judge_simple, j, &doubt);
    if (j->denied.reason)
        return j->denied;
    if (j->restricted && !sure)
        return (struct verdict){.kind = VERDICT_DENIED,
                                .reason = doubt.reason,
                                .at = doubt.at,
                                .has_at = true};
    return j->missing.reason ? j->missing : allowed;
}

/** Is it the directory, or below it? Both absolute, the root without a slash at its end but for "/". */
static bool lies_in(const char *path, const char *root)
{
    const size_t len = strlen(root);

    return len == 1 || (strncmp(path, root, len) == 0 && (path[len] == '\0' || path[len] == '/'));
}

static const struct policy_rule *root_of(const struct policy *p, unsigned scope, const char *path)
{
    const struct policy_rule *end, *r = rules_of(p, scope, POLICY_ALLOWED_ROOTS, &end);

    for (; r < end; r++)
        if (lies_in(path, r->text))
            return r;
    return NULL;
}

static struct verdict judge_path(struct judging *j, const char *path)
{
    struct verdict v = {.kind = VERDICT_ALLOWED};

    if (*path != '/')
        return (struct verdict){.kind = VERDICT_DENIED, .reason = "is not an absolute path"};
    if (deny(j, POLICY_DENY_PATHS, (struct slice){path, strlen(path)}, true, 0))
        return j->denied;
    for (unsigned i = 0; i < j->scope_count; i++) {
        const unsigned scope = j->scopes[i];
        if (is_empty(j->p, scope, POLICY_ALLOWED_ROOTS))
            continue;
        const struct policy_rule *r = root_of(j->p, scope, path);
        if (!r)
            return (struct verdict){.kind = VERDICT_DENIED,
                                    .reason = "lies in none of allowed_roots",
                                    .role = role_name(j->p, scope)};
        v = decided(j->p, r, VERDICT_ALLOWED);
    }
    return v;
}

unsigned policy_scope(const struct policy *p, const char *name)
{
    for (unsigned i = 0; name && i < p->role_count; i++)
        if (str_eq(p->roles[i], name))
            return i + 1;
    return 0;
}

/** Of the host's role; 0: it has none. */
static unsigned role_scope(const struct policy_use *use, const char *host, const char *named)
{
    const struct policy *p = use->policy;
    unsigned found = policy_scope(p, named);

    for (unsigned scope = 1; found == 0 && host && scope <= p->role_count; scope++) {
        const struct policy_rule *end, *r = rules_of(p, scope, POLICY_HOSTS, &end);
        for (; r < end && found == 0; r++)
            if (matches(use, r, (struct slice){host, strlen(host)}, NULL))
                found = scope;
    }
    return found;
}

const char *policy_role(const struct policy_use *use, const char *host, const char *named)
{
    return role_name(use->policy, role_scope(use, host, named));
}

static struct judging begin(const struct policy_use *use, const struct policy_case *c)
{
    const unsigned role = role_scope(use, c->host, c->role);
    struct judging j = {.p = use->policy, .work = use->work, .scopes = {0, role}, .scope_count = role > 0 ? 2 : 1};

    for (unsigned i = 0; i < j.scope_count; i++)
        j.restricted |= !is_empty(j.p, j.scopes[i], POLICY_ALLOW_COMMANDS);
    return j;
}

static size_t longest(const struct policy_case *c)
{
    const size_t command = c->command ? strlen(c->command) : 0, path = c->path ? strlen(c->path) : 0;

    return command > path ? command : path;
}

static struct verdict judge(const struct policy_use *use, const struct policy_case *c)
{
    struct verdict v = {.kind = VERDICT_ALLOWED};
    const size_t len = longest(c);

    if (use->policy->mode == POLICY_OFF)
        return (struct verdict){.kind = VERDICT_ALLOWED, .reason = "the policy is off"};
    if (len > PATTERN_SUBJECT_MAX)
        return (struct verdict){
            .kind = VERDICT_DENIED, .reason = "too long", .have = len, .most = PATTERN_SUBJECT_MAX};
    if (use->policy->rule_count == 0)
        return v;
    struct judging j = begin(use, c);
    if (c->command)
        v = judge_command(&j, c->command);
    if (c->path && v.kind == VERDICT_ALLOWED)
        v = judge_path(&j, c->path);
    if (v.kind == VERDICT_DENIED && use->policy->mode == POLICY_WARN)
        v.kind = VERDICT_NOTIFY;
    return v;
}

struct verdict policy_judge(void *arg, const struct policy_case *c)
{
    const struct policy_use *use = arg;
    struct verdict v = judge(use, c);

    v.mode = word_at(policy_mode_words, use->policy->mode);
    return v;
}
