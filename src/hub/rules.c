#include "nefia/hub/rules.h"

#include <string.h>

#include "nefia/base/err.h"

#define PATTERN_WORDS ((CONFIG_RULE_PATTERNS + 31) / 32)
#define BIT(i) (1u << ((i)&31))

void rules_init(struct rules *r, struct rule *rules0, struct rule *rules1,
                struct rule_pattern *patterns, unsigned pattern_cap, struct rule_type_memo *types,
                unsigned type_cap, struct rule_host_memo *hosts, unsigned host_cap,
                struct pattern_scratch *scratch)
{
    *r = (struct rules){
        .sets = {{.rules = rules0}, {.rules = rules1}},
        .patterns = patterns,
        .pattern_cap = pattern_cap,
        .types = types,
        .type_cap = type_cap,
        .hosts = hosts,
        .host_cap = host_cap,
        .scratch = scratch,
    };
}

void rules_restraints(struct rules *r, struct restraint_settings *s0, struct restraint_settings *s1)
{
    r->sets[0].restraints = s0;
    r->sets[1].restraints = s1;
}

const struct restraint_settings *rules_restraint(const struct rules *r, unsigned index)
{
    const struct rule_set *set = rules_active(r);

    return index < set->count && set->rules[index].restraint > 0 ? &set->restraints[set->rules[index].restraint - 1] : NULL;
}

const char *rules_pattern_text(const struct rules *r, uint16_t pattern)
{
    const char *text = pattern == RULE_ANY ? NULL : r->patterns[pattern].text[r->active];

    return text ? text : "";
}

/* ---- Reading the configuration ---- */

/** What a rule's fields are bound into: the rule itself, and what becomes part of it. */
struct rule_input {
    struct rule rule;
    const char *event_pattern, *host_pattern;
    const struct node *action, *after, *breaker;
    struct restraint_settings restraint;
};

static int set_once_key(void *item, const char *value, struct text *why)
{
    if (!str_eq(value, "host") && (strncmp(value, "data.", 5) != 0 || value[5] == '\0')) {
        text_str(why, "is neither host nor data.KEY");
        return NEFIA_EINVAL;
    }
    *(const char **)item = value;
    return 0;
}

__attribute__((unused)) /* in a build without restraint */
static const struct field_list once_keys = {
    .count = offsetof(struct rule_input, restraint.key_count),
    .size = sizeof(const char *),
    .cap = RESTRAINT_KEYS,
    .set = set_once_key,
};

const struct field rule_fields[] = {
    {FIELD_REQUIRED("name", "unique name, used in logs and status"),
     .type = FIELD_STRING,
     FIELD_AT(struct rule_input, rule.name),
     .min = 1,
     .max = RULE_NAME_MAX},
    {FIELD_DEFAULT("event_pattern", ""),
     .type = FIELD_STRING,
     FIELD_AT(struct rule_input, event_pattern),
     .min = 0,
     .max = CONFIG_PATTERN_BYTES,
     FIELD_NOTE("regular expression (RE2) on the event's type; empty: all")},
    {FIELD_DEFAULT("host_pattern", ""),
     .type = FIELD_STRING,
     FIELD_AT(struct rule_input, host_pattern),
     .min = 0,
     .max = CONFIG_PATTERN_BYTES,
     FIELD_NOTE("regular expression (RE2) on the event's host_id; empty: all")},
    {FIELD_DEFAULT("severity", "info"),
     .type = FIELD_WORD,
     FIELD_AT(struct rule_input, rule.least),
     .words = severity_words,
     FIELD_NOTE("least severity that matches; empty: all")},
    {.name = "idempotent",
     .type = FIELD_BOOL,
     FIELD_AT(struct rule_input, rule.idempotent),
     FIELD_NOTE(
         "may it act twice for one event? Default: true for alerts, false for commands")},
    FIELD_IF(CONFIG_HUB_RESTRAINT, "cooldown", .type = FIELD_DURATION, FIELD_AT(struct rule_input, restraint.cooldown_ms),
             .min = 1, .max = RESTRAINT_MOST_MS, FIELD_NOTE("how long after an action the rule does not act again"))
    FIELD_IF(CONFIG_HUB_RESTRAINT, "max_per_hour", .type = FIELD_INT, FIELD_AT(struct rule_input, restraint.per_hour),
             .min = 1, .max = RESTRAINT_MOST_HOURLY, FIELD_NOTE("actions in any 60 minutes"))
    FIELD_IF(CONFIG_HUB_RESTRAINT, "once_within", .type = FIELD_DURATION, FIELD_AT(struct rule_input, restraint.once_ms),
             .min = 1, .max = RESTRAINT_MOST_MS, FIELD_NOTE("the rule acts once in this time for the same host, or as once_per says"))
    FIELD_IF(CONFIG_HUB_RESTRAINT, "once_per", .type = FIELD_LIST, FIELD_AT(struct rule_input, restraint.keys),
             .list = &once_keys, FIELD_NOTE("of once_within: host, data.KEY; default: host"))
    FIELD_IF(CONFIG_HUB_RESTRAINT, "after", .type = FIELD_NODE, FIELD_AT(struct rule_input, after),
             FIELD_NOTE("the rule acts on the count-th event of a host within this time"))
    FIELD_IF(CONFIG_HUB_RESTRAINT, "breaker", .type = FIELD_NODE, FIELD_AT(struct rule_input, breaker),
             FIELD_NOTE("the rule pauses after so many failures in a row"))
    {FIELD_REQUIRED("action", "the action"),
     .type = FIELD_NODE,
     FIELD_AT(struct rule_input, action)},
    {0},
};

#define RESTRAINT(member) FIELD_AT(struct restraint_settings, member)
const struct field rule_after_fields[] = {
    {FIELD_REQUIRED("count", "how many events"),
     .type = FIELD_INT,
     RESTRAINT(count),
     .min = 2,
     .max = RESTRAINT_MOST_COUNT},
    {FIELD_REQUIRED("within", "in which time"),
     .type = FIELD_DURATION,
     RESTRAINT(within_ms),
     .min = 1,
     .max = RESTRAINT_MOST_MS},
    {0},
};
const struct field rule_breaker_fields[] = {
    {FIELD_REQUIRED("failures", "how many failures in a row"),
     .type = FIELD_INT,
     RESTRAINT(failures),
     .min = 1,
     .max = 1000},
    {FIELD_DEFAULT("pause", "5m"),
     .type = FIELD_DURATION,
     RESTRAINT(pause_ms),
     .min = 1,
     .max = RESTRAINT_MOST_MS,
     FIELD_NOTE("then one action is tried")},
    {0},
};

/** State while one list of rules is read. */
struct staging {
    struct rules *r;
    struct config *c;
    const struct hub_settings *settings;
    struct rule_set *set;
    unsigned generation;
    bool slots_used_up, heap_used_up, restraints_used_up; /* reported: once for each load, not for each pattern */
};

/** Find a pattern already in the table. Return: its index, or NEFIA_ENOTFOUND
 * with *free_slot the first free one. */
static int find_pattern(const struct rules *r, const char *text, unsigned *free_slot)
{
    *free_slot = r->pattern_cap;
    for (unsigned i = 0; i < r->pattern_cap; i++) {
        const struct rule_pattern *p = &r->patterns[i];
        const char *have = p->text[0] ? p->text[0] : p->text[1];

        if (have && str_eq(have, text))
            return (int)i;
        if (!have && *free_slot == r->pattern_cap)
            *free_slot = i;
    }
    return NEFIA_ENOTFOUND;
}

/** Return: the index, RULE_ANY for an empty pattern, or negative after a report. */
static int stage_pattern(struct staging *s, const struct node *n, const char *where,
                         const char *key, const char *text)
{
    char reason_buf[192], where_buf[96];
    struct text reason, path;
    unsigned slot;
    int i;

    text_init(&reason, reason_buf, sizeof reason_buf);
    text_init(&path, where_buf, sizeof where_buf);
    config_where_key(&path, where, key);
    if (!*text)
        return RULE_ANY;
    i = find_pattern(s->r, text, &slot);
    if (i < 0 && slot == s->r->pattern_cap) {
        if (!s->slots_used_up)
            config_error(s->c, n, path.buf,
                         "too many different patterns (CONFIG_RULE_PATTERNS=" LITERAL(
                             CONFIG_RULE_PATTERNS) ")",
                         (char *)0);
        s->slots_used_up = true;
        return NEFIA_EFULL;
    }
    if (i < 0) {
        int err = pattern_compile(&s->r->patterns[slot].pattern, text, strlen(text), s->r->scratch,
                                  &reason);
        if (err < 0) {
            if (err != NEFIA_EFULL || !s->heap_used_up)
                config_error(s->c, n, path.buf, "\"", text, "\": ", reason.buf, (char *)0);
            s->heap_used_up |= err == NEFIA_EFULL;
            return err;
        }
        i = (int)slot;
    }
    s->r->patterns[i].text[s->generation] = text;
    return i;
}

static bool name_taken(const struct rule_set *set, const char *name)
{
    for (unsigned i = 0; i < set->count; i++)
        if (str_eq(set->rules[i].name, name))
            return true;
    return false;
}

/** Bind the action of the rule being read. Return: as action_bind; 0 if the binder has reported an
 * error already. */
static int stage_action(struct staging *s, struct rule *rule, const struct node *action,
                        const char *where)
{
    char path_buf[96];
    struct text path;

    text_init(&path, path_buf, sizeof path_buf);
    config_where_key(&path, where, "action");
    if (!action || !config_is(s->c, action, path.buf, NODE_MAP))
        return 0;
    return action_bind(&rule->action, s->c, action, path.buf, s->settings);
}

/** A map below the rule, into the same settings. */
static void bind_part(struct staging *s, const struct node *n, const char *where, const char *key, const struct field *fields,
                      struct restraint_settings *out)
{
    char path_buf[96];
    struct text path;

    text_init(&path, path_buf, sizeof path_buf);
    config_where_key(&path, where, key);
    if (config_is(s->c, n, path.buf, NODE_MAP))
        config_bind(s->c, n, path.buf, fields, out);
}

/** Where the set has those settings, as index + 1; 0: no room, which was reported. */
static uint16_t share_restraint(struct staging *s, const struct node *n, const char *where, const struct restraint_settings *f)
{
    struct rule_set *set = s->set;

    for (unsigned i = 0; i < set->restraint_count; i++)
        if (memcmp(&set->restraints[i], f, sizeof *f) == 0)
            return (uint16_t)(i + 1);
    if (!set->restraints || set->restraint_count == CONFIG_RESTRAINTS) {
        if (!s->restraints_used_up)
            config_error(s->c, n, where, "too many different restraints (CONFIG_RESTRAINTS=" LITERAL(CONFIG_RESTRAINTS) ")",
                         (char *)0);
        s->restraints_used_up = true;
        return 0;
    }
    set->restraints[set->restraint_count] = *f;
    return (uint16_t)++set->restraint_count;
}

static void stage_restraint(struct staging *s, struct rule_input *f, const struct node *n, const char *where)
{
    static const struct restraint_settings none;
    struct restraint_settings *r = &f->restraint;

    bind_part(s, f->after, where, "after", rule_after_fields, r);
    bind_part(s, f->breaker, where, "breaker", rule_breaker_fields, r);
    if (r->key_count > 0 && r->once_ms == 0)
        config_error(s->c, node_child(s->c, n, "once_per"), where, "once_per: there is no once_within", (char *)0);
    if (r->once_ms > 0 && r->key_count == 0)
        r->keys[r->key_count++] = "host";
    if (memcmp(r, &none, sizeof none) != 0)
        f->rule.restraint = share_restraint(s, n, where, r);
}

/** Read one rule; continues after an error, so that all of them are reported.
 * Return: 0, or NEFIA_ENOTSUP (its action is not in this build). */
static int stage_rule(struct staging *s, const struct node *n, const char *where)
{
    unsigned errors = s->c->errors;
    struct rule_input f = {0};

    config_bind(s->c, n, where, rule_fields, &f);
    int event_pattern = stage_pattern(s, node_child(s->c, n, "event_pattern"), where,
                                      "event_pattern", f.event_pattern);
    int host_pattern = stage_pattern(s, node_child(s->c, n, "host_pattern"), where, "host_pattern",
                                     f.host_pattern);
    int action = stage_action(s, &f.rule, f.action, where);
    if (IS_ENABLED(CONFIG_HUB_RESTRAINT))
        stage_restraint(s, &f, n, where);
    if (f.rule.name && name_taken(s->set, f.rule.name))
        config_error(s->c, node_child(s->c, n, "name"), where, "name: \"", f.rule.name,
                     "\" is already used by an earlier rule", (char *)0);
    if (!f.rule.name)
        return 0;
    if (!config_given(s->c, n, "idempotent"))
        f.rule.idempotent = f.rule.action.class && f.rule.action.class->idempotent;
    /* Kept even with errors, to check later names against it; the set is dropped in the end. */
    f.rule.event_pattern = (uint16_t)(event_pattern < 0 ? RULE_ANY : event_pattern);
    f.rule.host_pattern = (uint16_t)(host_pattern < 0 ? RULE_ANY : host_pattern);
    s->set->rules[s->set->count++] = f.rule;
    return s->c->errors != errors ? 0 : action;
}

static void index_severities(struct rule_set *set)
{
    memset(set->severity_bits, 0, sizeof set->severity_bits);
    for (unsigned i = 0; i < set->count; i++)
        for (unsigned sev = set->rules[i].least; sev < SEVERITY_COUNT; sev++)
            set->severity_bits[sev][i / 32] |= BIT(i);
}

int rules_stage(struct rules *r, struct config *c, const struct node *list,
                const struct hub_settings *settings,
                void (*notice)(void *arg, const char *rule, const char *action), void *arg)
{
    unsigned generation = !r->active;
    struct staging s = {
        .r = r, .c = c, .settings = settings, .set = &r->sets[generation], .generation = generation};
    unsigned errors = c->errors, index = 0;

    s.set->count = s.set->restraint_count = 0;
    list = config_is(c, list, "reactor.rules", NODE_LIST) ? list : NULL;
    for (const struct node *n = list ? node_first(c, list) : NULL; n;
         n = node_next(c, n), index++) {
        char where_buf[48];
        struct text where;

        text_init(&where, where_buf, sizeof where_buf);
        config_where_item(&where, "reactor.rules", index);
        if (s.set->count == CONFIG_RULES) {
            config_error(c, n, where.buf, "too many rules (CONFIG_RULES=" LITERAL(CONFIG_RULES) ")",
                         (char *)0);
            return NEFIA_EINVAL;
        }
        if (stage_rule(&s, n, where.buf) == NEFIA_ENOTSUP && notice)
            notice(arg, s.set->rules[s.set->count - 1].name,
                   action_word(&s.set->rules[s.set->count - 1].action));
    }
    index_severities(s.set);
    return c->errors != errors ? NEFIA_EINVAL : (int)s.set->count;
}

/** Release this generation's use of patterns, and free those that the other one does not use
 * either. */
static void drop_generation(struct rules *r, unsigned generation)
{
    for (unsigned i = 0; i < r->pattern_cap; i++) {
        struct rule_pattern *p = &r->patterns[i];

        if (!p->text[generation])
            continue;
        p->text[generation] = NULL;
        if (!p->text[!generation])
            pattern_free(&p->pattern);
    }
    r->sets[generation].count = 0;
}

static void forget_memos(struct rules *r)
{
    for (unsigned i = 0; i < r->type_cap; i++)
        r->types[i].len = 0;
    for (unsigned i = 0; i < r->host_cap; i++)
        r->hosts[i].len = 0;
}

unsigned rules_staged_able(const struct rules *r)
{
    const struct rule_set *set = &r->sets[!r->active];
    unsigned able = 0;

    for (unsigned i = 0; i < set->count; i++)
        able += set->rules[i].action.class != NULL;
    return able;
}

int rules_staged_check(const struct rules *r, const struct playbook_room *room, void (*report)(void *arg, const char *message), void *arg)
{
    const struct rule_set *set = &r->sets[!r->active];
    int err = 0;

    for (unsigned i = 0; i < set->count; i++) {
        const struct action *a = &set->rules[i].action;

        if (a->class && a->class->check && a->class->check(a, room, report, arg) < 0)
            err = NEFIA_EINVAL;
    }
    return err;
}

unsigned rules_staged_patterns(const struct rules *r)
{
    unsigned count = 0;

    for (unsigned i = 0; i < r->pattern_cap; i++)
        count += r->patterns[i].text[!r->active] != NULL;
    return count;
}

void rules_commit(struct rules *r)
{
    unsigned old = r->active;
    struct rule_set *set = &r->sets[!old];

    for (unsigned i = 0; i < set->count; i++) {
        int before = rules_find(r, set->rules[i].name);
        set->rules[i].hits = before < 0 ? 0 : r->sets[old].rules[before].hits;
        set->rules[i].restrained = before < 0 ? 0 : r->sets[old].rules[before].restrained;
    }
    r->active = !old;
    drop_generation(r, old);
    forget_memos(r);
}

void rules_abort(struct rules *r)
{
    drop_generation(r, !r->active);
    forget_memos(r);
}

int rules_find(const struct rules *r, const char *name)
{
    const struct rule_set *set = rules_active(r);

    for (unsigned i = 0; i < set->count; i++)
        if (str_eq(set->rules[i].name, name))
            return (int)i;
    return NEFIA_ENOTFOUND;
}

/* ---- Matching ---- */

/** Set the bits of the rules whose pattern (for the type, or for the host) matches s. Return: false
 * if one could not be matched because the heap was exhausted. */
static bool match_all(struct rules *r, bool host, struct slice s, uint32_t bits[RULE_WORDS])
{
    const struct rule_set *set = rules_active(r);
    uint32_t known[PATTERN_WORDS] = {0}, passes[PATTERN_WORDS] = {0};
    bool complete = true;

    memset(bits, 0, RULE_WORDS * sizeof bits[0]);
    for (unsigned i = 0; i < set->count; i++) {
        unsigned p = host ? set->rules[i].host_pattern : set->rules[i].event_pattern;

        if (p == RULE_ANY) {
            bits[i / 32] |= BIT(i);
            continue;
        }
        if (!(known[p / 32] & BIT(p))) {
            int hit = pattern_match(&r->patterns[p].pattern, s.ptr, s.len);
            known[p / 32] |= BIT(p);
            if (hit > 0)
                passes[p / 32] |= BIT(p);
            complete &= hit >= 0;
        }
        if (passes[p / 32] & BIT(p))
            bits[i / 32] |= BIT(i);
    }
    return complete;
}

#define MEMO_PROBES 8u

/** Both memo types differ only in the length of their key: access through their common head and a
 * stride. */
struct memo_table {
    char *slots;
    size_t stride, key_offset, bits_offset, key_max;
    unsigned cap;
};

struct memo_head {
    uint32_t hash;
    uint16_t len;
};

static struct memo_head *memo_slot(const struct memo_table *t, unsigned i)
{
    return (struct memo_head *)(void *)(t->slots + t->stride * (i % t->cap));
}

static uint32_t *memo_bits(const struct memo_table *t, struct memo_head *m)
{
    return (uint32_t *)(void *)((char *)m + t->bits_offset);
}

/** The slot of s, or the one to store it in (whose len is then another's or 0). */
static struct memo_head *memo_find(const struct memo_table *t, uint32_t hash, struct slice s,
                                   bool *found)
{
    struct memo_head *free_slot = NULL;

    for (unsigned i = 0; i < MEMO_PROBES; i++) {
        struct memo_head *m = memo_slot(t, hash + i);

        *found = m->len == s.len && m->hash == hash &&
                 memcmp((char *)m + t->key_offset, s.ptr, s.len) == 0;
        if (*found)
            return m;
        if (m->len == 0 && !free_slot)
            free_slot = m;
    }
    return free_slot ? free_slot : memo_slot(t, hash + (hash >> 16) % MEMO_PROBES);
}

/** Bits for s, cached or computed. room: used if the result must not be cached. */
static const uint32_t *memo_look_up(struct rules *r, const struct memo_table *t, bool host,
                                    struct slice s, uint32_t room[RULE_WORDS])
{
    uint32_t hash = hash_place(s);
    struct memo_head *m;
    bool found;

    if (s.len == 0 || s.len > t->key_max) {
        match_all(r, host, s, room);
        return room;
    }
    m = memo_find(t, hash, s, &found);
    if (found) {
        r->looked_up++;
        return memo_bits(t, m);
    }
    r->matched++;
    m->len = 0;
    if (!match_all(r, host, s, memo_bits(t, m))) {
        r->failed++;
        return memo_bits(t, m);
    }
    m->hash = hash;
    m->len = (uint16_t)s.len;
    memcpy((char *)m + t->key_offset, s.ptr, s.len);
    return memo_bits(t, m);
}

bool rules_match(struct rules *r, const struct event *e, uint32_t bits[RULE_WORDS])
{
    const struct memo_table types = {
        (char *)r->types,
        sizeof *r->types,
        offsetof(struct rule_type_memo, key),
        offsetof(struct rule_type_memo, bits),
        EVENT_TYPE_MAX,
        r->type_cap,
    };
    const struct memo_table hosts = {
        (char *)r->hosts,
        sizeof *r->hosts,
        offsetof(struct rule_host_memo, key),
        offsetof(struct rule_host_memo, bits),
        EVENT_HOST_MAX,
        r->host_cap,
    };
    const struct rule_set *set = rules_active(r);
    uint32_t room[RULE_WORDS], any = 0;
    const uint32_t *by_host;

    if (set->count == 0)
        return false;
    const uint32_t *by_type = memo_look_up(r, &types, false, e->type, bits);
    const uint32_t *by_severity = set->severity_bits[e->severity];
    for (unsigned i = 0; i < (set->count + 31) / 32; i++)
        any |= bits[i] = by_type[i] & by_severity[i];
    if (!any)
        return false;
    by_host = memo_look_up(r, &hosts, true, e->host_id, room);
    any = 0;
    for (unsigned i = 0; i < (set->count + 31) / 32; i++)
        any |= bits[i] &= by_host[i];
    return any != 0;
}

int rules_next(const uint32_t bits[RULE_WORDS], unsigned count, unsigned i)
{
    for (; i < count; i++) {
        uint32_t word = bits[i / 32] >> (i & 31);

        if (word)
            return (int)i + __builtin_ctz(word) < (int)count ? (int)i + __builtin_ctz(word)
                                                             : NEFIA_ENOTFOUND;
        i |= 31;
    }
    return NEFIA_ENOTFOUND;
}

/* ---- Explanations ---- */

static int judge_pattern(const struct rules *r, uint16_t pattern, struct slice s)
{
    return pattern == RULE_ANY ? 1 : pattern_match(&r->patterns[pattern].pattern, s.ptr, s.len);
}

struct rule_verdict rules_judge(const struct rules *r, const struct rule *rule,
                                const struct event *e)
{
    int type = judge_pattern(r, rule->event_pattern, e->type),
        host = judge_pattern(r, rule->host_pattern, e->host_id);
    struct rule_verdict v = {
        .rule = rule,
        .event_pattern = rules_pattern_text(r, rule->event_pattern),
        .host_pattern = rules_pattern_text(r, rule->host_pattern),
        .have = e->severity,
        .least = (enum severity)rule->least,
    };

    if (type < 0 || host < 0)
        v.reason = RULE_NO_MEMORY;
    else if (!type)
        v.reason = RULE_OTHER_TYPE;
    else if (!host)
        v.reason = RULE_OTHER_HOST;
    else
        v.reason = v.have < v.least ? RULE_LESS_SEVERE : RULE_MATCHES;
    return v;
}

static void put_comparison(struct text *t, const char *what, const char *pattern, bool differs)
{
    text_str(t, what);
    if (!*pattern) {
        text_str(t, " any");
        return;
    }
    text_str(t, differs ? " !~ " : " ~ ");
    text_printable(t, pattern, strlen(pattern));
}

void rule_verdict_text(struct text *t, const struct rule_verdict *v)
{
    if (v->reason == RULE_NO_MEMORY) {
        text_str(t, "heap exhausted while matching its patterns");
        return;
    }
    text_str(t, v->reason == RULE_MATCHES ? "matches: " : "no match: ");
    put_comparison(t, "type", v->event_pattern, v->reason == RULE_OTHER_TYPE);
    if (v->reason == RULE_OTHER_TYPE)
        return;
    put_comparison(t, ", host", v->host_pattern, v->reason == RULE_OTHER_HOST);
    if (v->reason == RULE_OTHER_HOST)
        return;
    text_str(t, ", ");
    text_str(t, severity_text(v->have));
    text_str(t, v->reason == RULE_MATCHES ? " >= " : " < ");
    text_str(t, severity_text(v->least));
}
