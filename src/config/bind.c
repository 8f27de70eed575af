#include <string.h>

#include "nefia/config/config.h"
#include "nefia/base/err.h"
#include "nefia/base/kconfig.h"

enum { WHERE_BYTES = 256, SHOWN_BYTES = 60, NAME_MOST = 32, LIST_BYTES = 240 };

/** One value on its way from a node to its member. */
struct binding {
    struct config *c;
    const struct node *node; /* null: not given */
    const char *where;       /* of the map */
    const struct field *field;
};

/* ---- reports ---- */

static bool is_secret(const char *name)
{
    return str_eq(name, "hmac_key") || str_eq(name, "secret");
}

/** "FILE:LINE: WHERE.KEY: "VALUE" problem more" */
static int refuse_value(const struct binding *b, const char *value, const char *problem,
                        const char *more)
{
    char buf[WHERE_BYTES], shown[SHOWN_BYTES + 8];
    struct text where, quoted;

    text_init(&where, buf, sizeof buf);
    config_where_key(&where, b->where, b->field->name);
    text_init(&quoted, shown, sizeof shown);
    if (value != NULL && is_secret(b->field->name)) {
        text_str(&quoted, "the value ");
    } else if (value != NULL) {
        size_t len = strlen(value), cut = utf8_cut(value, len, SHOWN_BYTES);
        text_char(&quoted, '"');
        text_bytes(&quoted, value, cut);
        text_str(&quoted, cut < len ? "...\" " : "\" ");
    }
    config_error(b->c, b->node, buf, shown, problem, more, (char *)0);
    return NEFIA_EINVAL;
}

static void put_bound(struct text *t, enum field_type type, int64_t v)
{
    if (type == FIELD_DURATION)
        text_duration(t, (uint64_t)v);
    else if (type == FIELD_TENTHS)
        text_tenths(t, v);
    else
        text_i64(t, v);
}

static bool within(const struct field *f, int64_t v)
{
    if (f->min == 0 && f->max == 0)
        return true;
    return v >= f->min && (f->max < f->min || v <= f->max);
}

/** "…is not within 1..65535", "…is not 16..256 bytes long", "…is not a list of 1..8 texts" */
static int refuse_range(const struct binding *b, const char *value)
{
    const struct field *f = b->field;
    char buf[96];
    struct text t;

    if (!IS_ENABLED(CONFIG_CONFIG_HINTS))
        return refuse_value(b, value, "is out of its bounds", "");
    text_init(&t, buf, sizeof buf);
    if (f->type == FIELD_STRINGS)
        text_str(&t, "a list of ");
    else if (f->type != FIELD_STRING)
        text_str(&t, "within ");
    put_bound(&t, f->type, f->min);
    if (f->max >= f->min) {
        text_str(&t, "..");
        put_bound(&t, f->type, f->max);
    } else {
        text_str(&t, " or more");
    }
    if (f->type == FIELD_STRINGS)
        text_str(&t, " texts");
    else if (f->type == FIELD_STRING)
        text_str(&t, " bytes long");
    return refuse_value(b, value, "is not ", buf);
}

/* ---- one value of each type: 0, or an error already reported ---- */

static int bind_string(const struct binding *b, const char *value, void *member)
{
    size_t len = strlen(value);

    if (!within(b->field, (int64_t)len))
        return refuse_range(b, value);
    memcpy(member, &value, sizeof value);
    return 0;
}

static int bind_bool(const struct binding *b, const char *value, void *member)
{
    struct slice word = {value, strlen(value)};
    int i = word_index("false\0true\0no\0yes\0off\0on\0", word);
    bool v = i & 1;

    if (i < 0)
        return refuse_value(b, value, "is not true or false", "");
    memcpy(member, &v, sizeof v);
    return 0;
}

/** Numbers of one sort: parsed, within their bounds, stored as 64 bits (the signed and the unsigned
 * members alike). */
static int bind_number(const struct binding *b, const char *value, void *member, int parsed,
                       int64_t v, const char *sort)
{
    if (parsed == NEFIA_ETOOBIG)
        return refuse_value(b, value, "is too large", "");
    if (parsed < 0)
        return refuse_value(b, value, "is not ", sort);
    if (!within(b->field, v))
        return refuse_range(b, value);
    memcpy(member, &v, sizeof v);
    return 0;
}

static int bind_int(const struct binding *b, const char *value, void *member)
{
    int64_t v = 0;
    int parsed = parse_i64(value, strlen(value), &v);

    return bind_number(b, value, member, parsed, v, "a whole number");
}

static int bind_duration(const struct binding *b, const char *value, void *member)
{
    uint64_t ms = 0;
    int parsed = parse_duration_ms(value, strlen(value), &ms);

    return bind_number(b, value, member, parsed, (int64_t)ms,
                       HINTED("a duration", " such as 30s, 5m or 1h30m"));
}

static int bind_tenths(const struct binding *b, const char *value, void *member)
{
    size_t len = strlen(value);
    int64_t v = 0;
    int tenth = 0;
    int parsed;

    if (len > 2 && value[len - 2] == '.' && value[len - 1] >= '0' && value[len - 1] <= '9') {
        tenth = value[len - 1] - '0';
        len -= 2;
    }
    parsed = parse_i64(value, len, &v);
    if (parsed == 0 && (v > INT64_MAX / 10 - 1 || v < -(INT64_MAX / 10 - 1)))
        parsed = NEFIA_ETOOBIG;
    else
        v = v * 10 + (value[0] == '-' ? -tenth : tenth);
    return bind_number(b, value, member, parsed, v,
                       HINTED("a number with at most one decimal", ", such as 92.5"));
}

static int bind_word(const struct binding *b, const char *value, void *member)
{
    const struct field *f = b->field;
    char buf[LIST_BYTES];
    struct text list;

    text_init(&list, buf, sizeof buf);
    for (int i = 0; f->words[i] != NULL; i++) {
        text_str(&list, i > 0 ? ", " : "");
        text_str(&list, f->words[i]);
        if (!str_eq(value, f->words[i]))
            continue;
        memcpy(member, &i, sizeof i);
        return 0;
    }
    if (value[0] == '\0' && f->def == NULL && !f->required)
        return 0; /* "" says the same as leaving it out */
    return refuse_value(b, value, "is not one of ", buf);
}

static int bind_strings(const struct binding *b, void *member)
{
    const struct node *n = b->node;
    struct string_list list = {n, 1};

    if (n->type == NODE_MAP)
        return refuse_value(b, NULL, HINTED("is a map of keys", "; a list of texts is wanted"), "");
    if (n->type == NODE_LIST) {
        list = (struct string_list){node_first(b->c, n), n->children};
        for (const struct node *item = list.first; item != NULL; item = node_next(b->c, item)) {
            struct binding at = {b->c, item, b->where, b->field};
            if (item->type == NODE_REFUSED)
                return NEFIA_EINVAL;
            if (item->type != NODE_SCALAR)
                return refuse_value(&at, NULL, "has an item that is no text", "");
        }
    }
    if (!within(b->field, list.count))
        return refuse_range(b, NULL);
    memcpy(member, &list, sizeof list);
    return 0;
}

/* ---- defaults, and the choice between them and the file ---- */

static size_t member_size(enum field_type type)
{
    switch (type) {
    case FIELD_BOOL:
        return sizeof(bool);
    case FIELD_WORD:
        return sizeof(int);
    case FIELD_STRINGS:
        return sizeof(struct string_list);
    case FIELD_STRING:
    case FIELD_NODE:
        return sizeof(void *);
    default:
        return sizeof(int64_t);
    }
}

static int bind_scalar(const struct binding *b, const char *value, void *member)
{
    switch (b->field->type) {
    case FIELD_STRING:
        return bind_string(b, value, member);
    case FIELD_BOOL:
        return bind_bool(b, value, member);
    case FIELD_INT:
        return bind_int(b, value, member);
    case FIELD_DURATION:
        return bind_duration(b, value, member);
    case FIELD_TENTHS:
        return bind_tenths(b, value, member);
    case FIELD_WORD:
        return bind_word(b, value, member);
    default:
        return 0;
    }
}

/** A default list of one item needs a node to stand in. */
static void default_list(const struct binding *b, void *member)
{
    struct config *c = b->c;

    if (c->nodes_len >= c->nodes_cap) {
        config_error(c, NULL, b->where, "more values than this build has room for",
                     HINT("; raise CONFIG_"), c->program, "_CONFIG_NODES", (char *)0);
        return;
    }
    struct node *n = &c->nodes[c->nodes_len++];
    *n = (struct node){.type = NODE_SCALAR, .quoted = 1, .value = b->field->def};
    struct string_list list = {n, 1};
    memcpy(member, &list, sizeof list);
}

static void set_default(const struct binding *b, void *member)
{
    const struct field *f = b->field;
    const int none = -1;

    memset(member, 0, member_size(f->type));
    if (f->type == FIELD_WORD)
        memcpy(member, &none, sizeof none);
    if (f->def == NULL)
        return;
    if (f->type == FIELD_STRINGS)
        default_list(b, member);
    else
        bind_scalar(b, f->def, member);
}

static bool is_empty(const struct node *n)
{
    return n->type == NODE_SCALAR && !n->quoted && n->value[0] == '\0';
}

static bool is_structure(enum field_type type)
{
    return type == FIELD_NODE || type == FIELD_STRINGS;
}

static int refuse_missing(const struct binding *b, const struct node *map)
{
    struct binding at = {b->c, map, b->where, b->field};

    return refuse_value(&at, NULL, b->field->help != NULL ? "missing: " : "missing",
                        b->field->help != NULL ? b->field->help : "");
}

/** A key that is not there, or there without a value. */
static void bind_absent(const struct binding *b, const struct node *map, void *member)
{
    set_default(b, member);
    if (b->field->required && (map == NULL || map->type != NODE_REFUSED))
        refuse_missing(b, map);
}

static void bind_field(const struct binding *b, const struct node *map, void *member)
{
    const struct node *n = b->node;
    const struct field *f = b->field;

    if (is_empty(n) && is_structure(f->type)) {
        bind_absent(b, map, member);
        return;
    }
    set_default(b, member);
    if (n->type == NODE_REFUSED)
        return;
    if (f->type == FIELD_NODE)
        memcpy(member, &n, sizeof n);
    else if (f->type == FIELD_STRINGS)
        bind_strings(b, member);
    else if (n->type != NODE_SCALAR)
        refuse_value(b, NULL, n->type == NODE_MAP ? "is a map of keys" : "is a list",
                     HINT("; one value is wanted"));
    else if (is_empty(n))
        refuse_value(b, NULL, HINTED("empty", "; give a value or remove the line"),
                     f->type == FIELD_STRING ? HINT(", or write \"\" for an empty text") : "");
    else
        bind_scalar(b, n->value, member);
}

/* ---- unknown keys ---- */

static unsigned least(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

/** How many letters must be changed, added, removed or swapped with their neighbour to get from a
 * to b. */
static unsigned distance(const char *a, size_t a_len, const char *b, size_t b_len)
{
    unsigned rows[3][NAME_MOST + 1];
    unsigned *before = rows[0], *above = rows[1], *row = rows[2];

    for (unsigned j = 0; j <= b_len; j++)
        above[j] = j;
    for (unsigned i = 1; i <= a_len; i++) {
        row[0] = i;
        for (unsigned j = 1; j <= b_len; j++) {
            row[j] = least(least(above[j], row[j - 1]) + 1, above[j - 1] + (a[i - 1] != b[j - 1]));
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                row[j] = least(row[j], before[j - 2] + 1);
        }
        unsigned *spare = before;
        before = above;
        above = row;
        row = spare;
    }
    return above[b_len];
}

static const char *nearest(const char *key, const struct field *fields)
{
    const char *best = NULL;
    size_t len = strlen(key);
    unsigned bound = (unsigned)len / 3 + 1;

    if (len > NAME_MOST)
        return NULL;
    for (const struct field *f = fields; f->name != NULL; f++) {
        size_t name_len = strlen(f->name);
        unsigned d = name_len > NAME_MOST ? bound : distance(key, len, f->name, name_len);
        if (d < bound || (d == bound && best == NULL && d < len)) {
            best = f->name;
            bound = d;
        }
    }
    return best;
}

static void refuse_unknown(struct config *c, const struct node *n, const char *where,
                           const struct field *fields)
{
    char buf[WHERE_BYTES], list[LIST_BYTES];
    const char *near = IS_ENABLED(CONFIG_CONFIG_HINTS) ? nearest(n->key, fields) : NULL;
    struct text path, known;

    text_init(&path, buf, sizeof buf);
    config_where_key(&path, where, n->key);
    if (near != NULL) {
        config_error(c, n, buf, "unknown key; did you mean ", near, "?", (char *)0);
        return;
    }
    if (!IS_ENABLED(CONFIG_CONFIG_HINTS)) {
        config_error(c, n, buf, "unknown key", (char *)0);
        return;
    }
    text_init(&known, list, sizeof list);
    for (const struct field *f = fields; f->name != NULL; f++) {
        text_str(&known, f > fields ? ", " : "");
        text_str(&known, f->name);
    }
    config_error(c, n, buf, "unknown key; known here: ", list, known.truncated ? "..." : "",
                 (char *)0);
}

static const struct field *find_field(const struct field *fields, const char *key)
{
    for (const struct field *f = fields; f->name != NULL; f++)
        if (str_eq(f->name, key))
            return f;
    return NULL;
}

/* ---- a whole map ---- */

bool config_is(struct config *c, const struct node *n, const char *where, enum node_type type)
{
    static const char words[] = "a map of keys\0a list\0one value\0"; /* as enum node_type */

    if (n == NULL || n->type == NODE_REFUSED || is_empty(n))
        return false;
    if (n->type == type)
        return true;
    struct node at = {.line = n->line};
    if (n->type == NODE_SCALAR)
        at.line = (uint16_t)(at.line + n->children); /* where a colon may be missing */
    config_error(c, &at, where, "is ", word_at(words, n->type), "; ", word_at(words, type), " is wanted", (char *)0);
    return false;
}

int config_bind(struct config *c, const struct node *n, const char *where,
                const struct field *fields, void *out)
{
    static const struct node refused = {.type = NODE_REFUSED};
    unsigned errors = c->errors;
    const struct node *map = config_is(c, n, where, NODE_MAP) ? n : NULL;
    bool wrong = c->errors > errors;

    for (const struct field *f = fields; f->name != NULL; f++) {
        struct binding b = {c, NULL, where, f};
        if (node_child(c, map, f->name) == NULL)
            bind_absent(&b, wrong ? &refused : n, (char *)out + f->offset);
    }
    for (const struct node *m = map ? node_first(c, map) : NULL; m != NULL; m = node_next(c, m)) {
        struct binding b = {c, m, where, find_field(fields, m->key)};
        if (b.field == NULL && m->type != NODE_REFUSED)
            refuse_unknown(c, m, where, fields);
        else if (b.field != NULL && node_child(c, map, m->key) == m) /* a second one was reported */
            bind_field(&b, map, (char *)out + b.field->offset);
    }
    return c->errors > errors ? NEFIA_EINVAL : 0;
}
