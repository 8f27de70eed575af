/* The section `policy` of the configuration. */
#include "nefia/guard/policy.h"

#include <string.h>

#include "nefia/base/err.h"

struct policy_input {
    uint8_t mode;
    const struct node *lists[POLICY_HOSTS]; /* as enum policy_list */
    const struct node *roles;
};

struct role_input {
    const char *name;
    const struct node *lists[POLICY_LISTS];
};

#define LIST(owner, key, list) {.name = key, .type = FIELD_NODE, FIELD_AT(owner, lists[list])}
#define LISTS_OF(owner)                                                                            \
    LIST(owner, "deny_commands", POLICY_DENY_COMMANDS), LIST(owner, "allow_commands", POLICY_ALLOW_COMMANDS), \
        LIST(owner, "deny_paths", POLICY_DENY_PATHS), LIST(owner, "allowed_roots", POLICY_ALLOWED_ROOTS)

const struct field policy_fields[] = {
    {FIELD_DEFAULT("mode", "enforce"),
     .type = FIELD_WORD,
     FIELD_AT(struct policy_input, mode),
     .words = policy_mode_words,
     FIELD_NOTE("off, warn (violations are reported, and not blocked) or enforce")},
    LISTS_OF(struct policy_input),
    {.name = "roles", .type = FIELD_NODE, FIELD_AT(struct policy_input, roles), FIELD_NOTE("a list of roles")},
    {.name = NULL},
};

const struct field policy_role_fields[] = {
    {FIELD_REQUIRED("name", "what `role` in reactor.hosts says"),
     .type = FIELD_STRING,
     FIELD_AT(struct role_input, name),
     .min = 1,
     .max = 63},
    LIST(struct role_input, "hosts", POLICY_HOSTS),
    LISTS_OF(struct role_input),
    {.name = NULL},
};

/** State while a policy is read. */
struct staging {
    struct policy *p;
    struct config *c;
    struct pattern_tree *scratch;
    bool full; /* reported: once for each load */
};

static bool is_pattern(enum policy_list list)
{
    return list != POLICY_ALLOWED_ROOTS;
}

/** A directory as the kernel would say it. Return: null, or what is wrong. */
static const char *root_fault(const char *root)
{
    if (*root != '/')
        return "is not an absolute path";
    if (strlen(root) > PATTERN_SUBJECT_MAX)
        return "is too long";
    if (!policy_is_plain((struct slice){root, strlen(root)}) || (root[1] && root[strlen(root) - 1] == '/'))
        return HINTED("is not a plain path", ": no \"//\", \".\" or \"..\", and no slash at its end");
    return NULL;
}

/** Every command of one line that is not empty: who writes this means everything. */
static bool means_everything(const char *pattern)
{
    return word_index("^.*$\0.*$\0.+\0^.+\0^.+$\0.+$\0.\0", (struct slice){pattern, strlen(pattern)}) >= 0;
}

/** Return: 0, or negative with a sentence in why. */
static int compile(struct staging *s, struct policy_rule *r, struct text *why)
{
    int err;

    if (!is_pattern((enum policy_list)r->list)) {
        const char *fault = root_fault(r->text);
        text_str(why, fault ? fault : "");
        return fault ? NEFIA_EINVAL : 0;
    }
    s->p->store.dot_newline = r->list == POLICY_DENY_COMMANDS || r->list == POLICY_DENY_PATHS;
    err = matcher_compile(&r->matcher, &s->p->store, r->text, strlen(r->text), s->scratch, why);
    if (err == 0)
        r->catch_all = r->matcher.always || means_everything(r->text);
    return err;
}

/** What is wrong with an item. Of a long one the beginning is shown, so that the message has room for the reason. */
static void report_item(const struct staging *s, const struct node *n, const char *where, const char *why)
{
    enum { SHOWN = 160 };
    char buf[SHOWN + 1];
    struct text item;

    text_init(&item, buf, sizeof buf);
    text_str(&item, n->value);
    config_error(s->c, n, where, "\"", buf, strlen(n->value) > SHOWN ? "\"...: " : "\": ", why, (char *)0);
}

static void add_item(struct staging *s, const struct node *n, const char *where, unsigned scope, enum policy_list list)
{
    struct policy *p = s->p;
    char why_buf[192];
    struct text why;

    if (n->type == NODE_REFUSED)
        return;
    if (n->type != NODE_SCALAR) {
        config_error(s->c, n, where, "must be a text", (char *)0);
        return;
    }
    if (p->rule_count == p->rule_cap) {
        if (!s->full)
            config_error(s->c, n, where, HINTED("the policy has too many patterns", "; raise CONFIG_POLICY_PATTERNS"), (char *)0);
        s->full = true;
        return;
    }
    text_init(&why, why_buf, sizeof why_buf);
    struct policy_rule *r = &p->rules[p->rule_count];
    *r = (struct policy_rule){.text = n->value, .line = n->line, .list = (uint8_t)list, .scope = (uint8_t)scope};
    int err = compile(s, r, &why);
    if (err == 0)
        p->rule_count++;
    else if (err != NEFIA_EFULL || !s->full)
        report_item(s, n, where, why.buf);
    s->full |= err == NEFIA_EFULL;
}

/** A list of texts, or one text. */
static void add_list(struct staging *s, const struct node *n, const char *owner, unsigned scope, enum policy_list list)
{
    char where_buf[96], item_buf[112];
    struct text where, item;
    unsigned index = 0;

    s->p->first[scope][list] = s->p->rule_count;
    text_init(&where, where_buf, sizeof where_buf);
    config_where_key(&where, owner, policy_list_name(list));
    if (n && n->type == NODE_SCALAR)
        add_item(s, n, where.buf, scope, list);
    else if (n && config_is(s->c, n, where.buf, NODE_LIST))
        for (const struct node *i = node_first(s->c, n); i; i = node_next(s->c, i), index++) {
            text_init(&item, item_buf, sizeof item_buf);
            config_where_item(&item, where.buf, index);
            add_item(s, i, item.buf, scope, list);
        }
}

static void add_lists(struct staging *s, const struct node *const *lists, unsigned count, const char *owner, unsigned scope)
{
    for (unsigned list = 0; list < POLICY_LISTS; list++)
        add_list(s, list < count ? lists[list] : NULL, owner, scope, (enum policy_list)list);
    s->p->first[scope][POLICY_LISTS] = s->p->rule_count;
}

static void add_role(struct staging *s, const struct node *n, const char *where)
{
    struct policy *p = s->p;
    struct role_input in = {0};

    if (!config_is(s->c, n, where, NODE_MAP))
        return;
    config_bind(s->c, n, where, policy_role_fields, &in);
    if (!in.name)
        return;
    for (unsigned i = 0; i < p->role_count; i++)
        if (str_eq(p->roles[i], in.name))
            config_error(s->c, node_child(s->c, n, "name"), where, "name: \"", in.name, "\" is the name of an earlier role",
                         (char *)0);
    p->roles[p->role_count++] = in.name;
    add_lists(s, in.lists, POLICY_LISTS, where, p->role_count);
}

static void add_roles(struct staging *s, const struct node *list)
{
    unsigned index = 0;

    if (!config_is(s->c, list, "policy.roles", NODE_LIST))
        return;
    for (const struct node *n = node_first(s->c, list); n; n = node_next(s->c, n), index++) {
        char where_buf[48];
        struct text where;

        text_init(&where, where_buf, sizeof where_buf);
        config_where_item(&where, "policy.roles", index);
        if (index == CONFIG_POLICY_ROLES) {
            config_error(s->c, n, where.buf, HINTED("too many roles", "; raise CONFIG_POLICY_ROLES"), (char *)0);
            return;
        }
        add_role(s, n, where.buf);
    }
}

void policy_init(struct policy *p, struct policy_rule *rules, unsigned rule_cap, const struct matcher_store *store)
{
    *p = (struct policy){.rules = rules, .rule_cap = (uint16_t)rule_cap, .store = *store};
}

void policy_memory_init(struct policy_memory *m)
{
    const struct matcher_store store = {
        .ops = m->ops, .ranges = m->ranges, .op_cap = CONFIG_POLICY_OPS, .range_cap = CONFIG_POLICY_RANGES};

    policy_init(&m->policy, m->rules, CONFIG_POLICY_PATTERNS, &store);
}

int policy_bind(struct policy *p, struct config *c, const struct node *n, struct pattern_tree *scratch)
{
    struct staging s = {.p = p, .c = c, .scratch = scratch};
    const unsigned errors = c->errors;
    struct policy_input in = {0};

    p->rule_count = p->role_count = 0;
    p->store.ops_used = p->store.ranges_used = 0;
    memset(p->first, 0, sizeof p->first);
    if (n && !config_is(c, n, "policy", NODE_MAP))
        n = NULL;
    config_bind(c, n, "policy", policy_fields, &in);
    p->mode = (enum policy_mode)in.mode;
    add_lists(&s, in.lists, POLICY_HOSTS, "policy", 0);
    add_roles(&s, in.roles);
    return c->errors == errors ? 0 : NEFIA_EINVAL;
}
