#include <string.h>

#include "nefia/config/config.h"
#include "nefia/base/err.h"
#include "nefia/base/kconfig.h"
#include "nefia/base/wipe.h"

enum { WHERE_BYTES = 256, WHY_BYTES = 320, SHOWN_BYTES = 60, NAME_MOST = 32, LIST_BYTES = 240 };

/** One value on its way from a node to its member. */
struct binding {
    struct config *c;
    const struct node *node; /* null: not given */
    const char *where;       /* of the map */
    const struct field *field;
    int item; /* its place in a list; -1: in none */
};

/* ---- reports ---- */

static void put_where(struct text *t, const struct binding *b)
{
    config_where_key(t, b->where, b->node != NULL && b->field->type == FIELD_ABSENT ? b->node->key : b->field->name);
    if (b->item >= 0)
        config_where_item(t, "", (unsigned)b->item);
}

/** "FILE:LINE: WHERE.KEY: a b c"; a part may be null: it is the end. */
static int complain(const struct binding *b, const char *a, const char *more, const char *most)
{
    char buf[WHERE_BYTES];
    struct text where;

    text_init(&where, buf, sizeof buf);
    put_where(&where, b);
    config_error(b->c, b->node, buf, a, more, most, (char *)0);
    return NEFIA_EINVAL;
}

/** "…: "VALUE" problem more" */
static int refuse_value(const struct binding *b, const char *value, const char *problem,
                        const char *more)
{
    char shown[SHOWN_BYTES + 8];
    struct text quoted;

    text_init(&quoted, shown, sizeof shown);
    if (value != NULL && (b->field->type == FIELD_SECRET || config_is_secret(b->field->name))) {
        text_str(&quoted, "the value ");
    } else if (value != NULL) {
        size_t len = strlen(value), cut = utf8_cut(value, len, SHOWN_BYTES);
        text_char(&quoted, '"');
        text_bytes(&quoted, value, cut);
        text_str(&quoted, cut < len ? "...\" " : "\" ");
    }
    return complain(b, shown, problem, more);
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

static bool is_text(enum field_type type)
{
    return type == FIELD_STRING || type == FIELD_TEXT || type == FIELD_SECRET;
}

/** Bytes of an integer member. */
static unsigned int_size(const struct field *f)
{
    return f->size ? f->size : f->type == FIELD_BOOL ? sizeof(bool) : f->type == FIELD_WORD ? sizeof(int) : sizeof(int64_t);
}

static bool within(const struct field *f, int64_t v)
{
    if (f->min == 0 && f->max == 0)
        return true;
    return v >= f->min && (f->max < f->min || v <= f->max);
}

/** "…is not within 1..65535", "…is not 1s or more", "…is not 16..256 bytes long", "…is not a list of 1..8 texts" */
static int refuse_range(const struct binding *b, const char *value)
{
    const struct field *f = b->field;
    bool list = f->type == FIELD_LIST;
    char buf[128];
    struct text t;

    if (!IS_ENABLED(CONFIG_CONFIG_HINTS))
        return refuse_value(b, value, "is out of its bounds", "");
    text_init(&t, buf, sizeof buf);
    if (list)
        text_str(&t, "a list of ");
    else if (!is_text(f->type) && f->max >= f->min)
        text_str(&t, "within ");
    put_bound(&t, (enum field_type)f->type, f->min);
    if (list || f->max >= f->min) {
        text_str(&t, "..");
        put_bound(&t, (enum field_type)f->type, list ? f->list->cap : f->max);
    } else {
        text_str(&t, " or more");
    }
    if (list) {
        text_str(&t, f->list->fields != NULL ? " maps" : " texts");
        text_str(&t, f->list->remedy != NULL ? f->list->remedy : "");
    } else if (is_text(f->type)) {
        text_str(&t, " bytes long");
    }
    return refuse_value(b, value, "is not ", buf);
}

/* ---- one value of each type: 0, or an error already reported ---- */

/** Spaces that are not U+0020, and what takes no room at all; but for the two joiners, which some
 * scripts need inside a word. */
static bool is_invisible(uint32_t cp)
{
    return cp == 0xA0 || cp == 0xAD || (cp >= 0x2000 && cp <= 0x200B) || cp == 0x202F ||
           (cp >= 0x205F && cp <= 0x2064) || cp == 0xFEFF;
}

/** "…: "VALUE" has a control character, U+0008; remedy" */
static int refuse_character(const struct binding *b, const char *value, uint32_t cp)
{
    bool control = cp < 0xA0;
    char buf[160];
    struct text t;

    text_init(&t, buf, sizeof buf);
    if (IS_ENABLED(CONFIG_CONFIG_HINTS)) {
        text_str(&t, ", U+");
        for (unsigned shift = 16; shift > 0;)
            text_char(&t, "0123456789ABCDEF"[cp >> (shift -= 4) & 15]);
        text_str(&t,
                 control
                     ? "; in double quotes \\b is a backspace: use single quotes for patterns, in "
                       "JSON \\\\b"
                     : "; remove it (in double quotes \\_ is one: use single quotes for patterns, "
                       "and \\x{HHHH} to match one)");
    }
    return refuse_value(b, value,
                        control ? "has a control character" : "has an invisible character", buf);
}

/** What can be typed only by mistake: in double quotes \b is a backspace, and a block ends in a line
 * break. An item of a list may be a path, which has what it has. */
static int check_characters(const struct binding *b, const char *value)
{
    bool visible = b->field->type == FIELD_STRING;
    const char *end = value + strlen(value);
    uint32_t cp;

    for (const char *at = value; at < end;) {
        int n = utf8_decode(at, (size_t)(end - at), &cp);
        if (IS_ENABLED(CONFIG_CONFIG_HINTS) && (*at == '\n' || *at == '\r'))
            return refuse_value(b, value, "has a line break",
                                HINT("; write the value on the line of its key"));
        if (n > 0 && (utf8_is_control(cp) || (visible && is_invisible(cp))))
            return refuse_character(b, value, cp);
        at += n > 0 ? n : 1; /* the readers refuse what is not UTF-8 */
    }
    return 0;
}

static int bind_text(const struct binding *b, const char *value, void *member)
{
    if (!within(b->field, (int64_t)strlen(value)))
        return refuse_range(b, value);
    memcpy(member, &value, sizeof value);
    return 0;
}

static int bind_string(const struct binding *b, const char *value, void *member)
{
    int err = check_characters(b, value);

    return err < 0 ? err : bind_text(b, value, member);
}

/** The owner has the only pointer to the text from here on. */
static int bind_secret(const struct binding *b, const char *value, void *member)
{
    if (value[0] != '\0' && (b->c->mode & 07) != 0)
        return complain(b, "is in a file that is open to all users", HINT("; run: chmod 600 "),
                        b->c->path);
    int err = bind_text(b, value, member);
    if (err == 0 && b->node != NULL) {
        struct node *n = &b->c->nodes[b->node - b->c->nodes];
        n->value = "";
        n->quoted = 1; /* still given */
    }
    return err;
}

static int bind_set(const struct binding *b, int (*set)(void *, const char *, struct text *),
                    const char *value, void *member)
{
    char buf[WHY_BYTES];
    struct text why;
    int err = check_characters(b, value);

    if (err < 0)
        return err;
    text_init(&why, buf, sizeof buf);
    err = set(member, value, &why);
    return err < 0 ? complain(b, buf, NULL, NULL) : 0;
}

/** Into an integer of that many bytes, whichever end comes first. */
static void store(void *member, unsigned size, int64_t v)
{
    const uint8_t v8 = (uint8_t)v;
    const uint16_t v16 = (uint16_t)v;
    const uint32_t v32 = (uint32_t)v;

    if (size == 1)
        memcpy(member, &v8, sizeof v8);
    else if (size == 2)
        memcpy(member, &v16, sizeof v16);
    else if (size == 4)
        memcpy(member, &v32, sizeof v32);
    else
        memcpy(member, &v, sizeof v);
}

/** Numbers of one sort: parsed, within their bounds. What a smaller member than 4 bytes holds is the
 * bounds' to say. */
static int bind_number(const struct binding *b, const char *value, void *member, int parsed,
                       int64_t v, const char *sort)
{
    unsigned size = int_size(b->field);

    if (parsed == NEFIA_ETOOBIG || (size < sizeof v && v > UINT32_MAX))
        return refuse_value(b, value, "is too large", "");
    if (parsed < 0)
        return refuse_value(b, value, "is not ", sort);
    if (!within(b->field, v))
        return refuse_range(b, value);
    store(member, size, v);
    return 0;
}

static int bind_bool(const struct binding *b, const char *value, void *member)
{
    const int i = word_index("false\0true\0no\0yes\0off\0on\0", (struct slice){value, strlen(value)});

    return bind_number(b, value, member, i, i & 1, "true or false");
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
    const char *words = b->field->words;
    const int i = word_index(words, (struct slice){value, strlen(value)});
    char buf[LIST_BYTES];
    struct text list;

    if (value[0] == '\0' && !b->field->required)
        return 0; /* "" says the same as leaving it out */
    text_init(&list, buf, sizeof buf);
    for (const char *before = "one of "; *words; before = ", ", words = word_at(words, 1)) {
        text_str(&list, before);
        text_str(&list, words);
    }
    return bind_number(b, value, member, i, i, buf);
}

static int bind_scalar(const struct binding *b, const char *value, void *member)
{
    switch (b->field->type) {
    case FIELD_STRING:
        return bind_string(b, value, member);
    case FIELD_TEXT:
        return bind_text(b, value, member);
    case FIELD_SECRET:
        return bind_secret(b, value, member);
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
    case FIELD_SET:
        return bind_set(b, b->field->set, value, member);
    default:
        return 0;
    }
}

/* ---- lists ---- */

static void *list_item(const struct field *f, void *out, unsigned i)
{
    return (char *)out + f->offset + i * (f->list->size ? f->list->size : sizeof(char *));
}

static unsigned *list_count(const struct field *f, void *out)
{
    return (unsigned *)(void *)((char *)out + f->list->count);
}

/** One more text of a list. */
static void bind_item(const struct binding *b, const char *value, void *out)
{
    unsigned *count = list_count(b->field, out);
    void *item = list_item(b->field, out, *count);
    int err;

    if (b->field->list->set != NULL) {
        err = bind_set(b, b->field->list->set, value, item);
    } else {
        err = check_characters(b, value);
        memcpy(item, &value, sizeof value);
    }
    *count += err == 0;
}

static bool list_fits(const struct binding *b, unsigned items)
{
    if (items >= (unsigned)b->field->min && items <= b->field->list->cap)
        return true;
    refuse_range(b, NULL);
    return false;
}

/** A plain scalar below its key, as only YAML has it, where a map or a list was to begin. */
static bool is_lone(const struct node *n)
{
    return IS_ENABLED(CONFIG_YAML) && n->type == NODE_SCALAR && n->children > 0 && !n->quoted;
}

/** A list of texts, or one text. */
static void bind_texts(const struct binding *b, void *out)
{
    const struct node *n = b->node;
    struct binding at = *b;

    if (n->type == NODE_MAP) {
        refuse_value(b, NULL, HINTED("is a map of keys", "; a list of texts is wanted"), "");
    } else if (is_lone(n) && n->value[0] == '-') {
        char buf[WHERE_BYTES];
        struct text where;

        text_init(&where, buf, sizeof buf);
        put_where(&where, b);
        config_is(b->c, n, buf, NODE_LIST);
    } else if (n->type == NODE_SCALAR) {
        bind_item(b, n->value, out);
    } else if (list_fits(b, n->children)) {
        for (at.node = node_first(b->c, n); at.node != NULL; at.node = node_next(b->c, at.node)) {
            at.item++;
            if (at.node->type == NODE_SCALAR)
                bind_item(&at, at.node->value, out);
            else if (at.node->type != NODE_REFUSED)
                refuse_value(&at, NULL, "is not a text", "");
        }
    }
}

/* ---- defaults, and the choice between them and the file ---- */

static size_t member_size(const struct field *f)
{
    switch (f->type) {
    case FIELD_STRING:
    case FIELD_TEXT:
    case FIELD_SECRET:
    case FIELD_NODE:
        return sizeof(void *);
    case FIELD_BOOL:
    case FIELD_INT:
    case FIELD_DURATION:
    case FIELD_TENTHS:
    case FIELD_WORD:
        return int_size(f);
    default:
        return 0;
    }
}

/** What stands behind the name. */
static const char *behind_name(const struct field *f)
{
    return f->name + strlen(f->name) + 1;
}

const char *field_default(const struct field *f)
{
    return f->has_text && !f->required ? behind_name(f) : NULL;
}

/** Of FIELD_ABSENT: what stands behind the list. */
static const char *absent_symbol(const struct field *f)
{
    const char *word = f->name;

    while (*word)
        word += strlen(word) + 1;
    return word + 1;
}

static void set_default(const struct binding *b, void *out)
{
    const struct field *f = b->field;
    struct binding none = {b->c, NULL, b->where, f, -1};
    void *member = (char *)out + f->offset;

    memset(member, f->type == FIELD_WORD ? 0xFF : 0, member_size(f));
    if (f->type == FIELD_LIST)
        *list_count(f, out) = 0;
    const char *value = field_default(f);
    if (value == NULL)
        return;
    if (f->type == FIELD_LIST)
        bind_item(&none, value, out);
    else
        bind_scalar(&none, value, member);
}

static bool is_empty(const struct node *n)
{
    return n->type == NODE_SCALAR && !n->quoted && n->value[0] == '\0';
}

static bool is_structure(enum field_type type)
{
    return type == FIELD_NODE || type == FIELD_LIST || type == FIELD_OWNED;
}

static int refuse_missing(const struct binding *b, const struct node *map)
{
    struct binding at = {b->c, map, b->where, b->field, -1};

    const char *what = b->field->has_text ? behind_name(b->field) : "";

    return refuse_value(&at, NULL, *what ? "missing: " : "missing", what);
}

/** A key that is not there, or there without a value. */
static void bind_absent(const struct binding *b, const struct node *map, void *out)
{
    set_default(b, out);
    if (b->field->required && (map == NULL || map->type != NODE_REFUSED))
        refuse_missing(b, map);
}

static void bind_field(const struct binding *b, const struct node *map, void *out)
{
    const struct node *n = b->node;
    const struct field *f = b->field;
    void *member = (char *)out + f->offset;

    if (is_empty(n) && is_structure(f->type)) {
        bind_absent(b, map, out);
        return;
    }
    set_default(b, out);
    if (n->type == NODE_REFUSED)
        return;
    if (IS_ENABLED(CONFIG_CONFIG_HINTS) && f->type == FIELD_ABSENT) {
        complain(b, "not in this build", absent_symbol(f), NULL);
    } else if (f->type == FIELD_LIST && f->list->fields == NULL) {
        *list_count(f, out) = 0;
        bind_texts(b, out);
    } else if (f->type == FIELD_NODE) {
        memcpy(member, &n, sizeof n);
    } else if (is_structure(f->type)) {
        return; /* its owner's, or config_bind_maps' */
    } else if (n->type != NODE_SCALAR) {
        refuse_value(b, NULL, n->type == NODE_MAP ? "is a map of keys" : "is a list",
                     HINT("; one value is wanted"));
    } else if (is_empty(n)) {
        refuse_value(b, NULL, HINTED("empty", "; give a value or remove the line"),
                     is_text(f->type) ? HINT(", or write \"\" for an empty text") : "");
    } else {
        bind_scalar(b, n->value, member);
    }
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

/** The i-th key that the tables know, or null. Those of FIELD_ABSENT are not offered. */
static const char *known_key(const struct field *const *tables, unsigned i)
{
    for (; *tables != NULL; tables++) {
        for (const struct field *f = *tables; f->name != NULL; f++) {
            if (f->type == FIELD_ABSENT)
                continue;
            if (f->type != FIELD_OWNED || f->names == NULL) {
                if (i-- == 0)
                    return f->name;
                continue;
            }
            for (unsigned k = 0; f->names(k) != NULL; k++)
                if (i-- == 0)
                    return f->names(k);
        }
    }
    return NULL;
}

static const char *nearest(const char *key, const struct field *const *tables)
{
    const char *best = NULL, *name;
    size_t len = strlen(key);
    unsigned bound = (unsigned)len / 3 + 1;

    if (len > NAME_MOST)
        return NULL;
    for (unsigned i = 0; (name = known_key(tables, i)) != NULL; i++) {
        size_t name_len = strlen(name);
        unsigned d = name_len > NAME_MOST ? bound : distance(key, len, name, name_len);
        if (d < bound || (d == bound && best == NULL && d < len)) {
            best = name;
            bound = d;
        }
    }
    return best;
}

static void refuse_unknown(struct config *c, const struct node *n, const char *where,
                           const struct field *const *tables)
{
    char buf[WHERE_BYTES], list[LIST_BYTES];
    const char *near = IS_ENABLED(CONFIG_CONFIG_HINTS) ? nearest(n->key, tables) : NULL;
    const char *name;
    struct text path, known;

    text_init(&path, buf, sizeof buf);
    config_where_key(&path, where, n->key);
    if (near != NULL) {
        config_error(c, n, buf, "unknown key; did you mean ", near, "?", (char *)0);
        return;
    }
    if (!IS_ENABLED(CONFIG_CONFIG_HINTS)) {
        config_error(c, n, buf, "unknown key, or not in this build", (char *)0);
        return;
    }
    text_init(&known, list, sizeof list);
    for (unsigned i = 0; (name = known_key(tables, i)) != NULL; i++) {
        text_str(&known, i > 0 ? ", " : "");
        text_str(&known, name);
    }
    config_error(c, n, buf, "unknown key; known here: ", list, known.truncated ? "..." : "",
                 (char *)0);
}

static bool takes_key(const struct field *f, const char *key)
{
    if (IS_ENABLED(CONFIG_CONFIG_HINTS) && f->type == FIELD_ABSENT)
        return word_index(f->name, (struct slice){key, strlen(key)}) >= 0;
    for (unsigned i = 0; f->type == FIELD_OWNED && f->names != NULL && f->names(i) != NULL; i++)
        if (str_eq(f->names(i), key))
            return true;
    return str_eq(f->name, key);
}

static const struct field *find_field(const struct field *const *tables, const char *key)
{
    for (; *tables != NULL; tables++)
        for (const struct field *f = *tables; f->name != NULL; f++)
            if (takes_key(f, key))
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
    config_error(c, &at, where, "is ", word_at(words, n->type), "; ", word_at(words, type),
                 " is wanted",
                 !is_lone(n)        ? NULL
                 : type == NODE_MAP ? HINT("; write `key: value`")
                                    : HINT("; write `- item`"),
                 (char *)0);
    return false;
}

bool config_given(const struct config *c, const struct node *map, const char *key)
{
    const struct node *n = node_child(c, map, key);

    return n != NULL && !is_empty(n) && (n->type != NODE_LIST || n->children > 0);
}

/** All but the lists of maps. */
static void bind_map(struct config *c, const struct node *n, const char *where,
                     const struct field *const *tables, void *out)
{
    static const struct node refused = {.type = NODE_REFUSED};
    unsigned errors = c->errors;
    const struct node *map = config_is(c, n, where, NODE_MAP) ? n : NULL;
    bool wrong = c->errors > errors;

    for (const struct field *const *table = tables; *table != NULL; table++) {
        for (const struct field *f = *table; f->name != NULL; f++) {
            struct binding b = {c, NULL, where, f, -1};
            if (node_child(c, map, f->name) == NULL)
                bind_absent(&b, wrong ? &refused : n, out);
        }
    }
    for (const struct node *m = map ? node_first(c, map) : NULL; m != NULL; m = node_next(c, m)) {
        struct binding b = {c, m, where, find_field(tables, m->key), -1};
        if (b.field == NULL && m->type != NODE_REFUSED)
            refuse_unknown(c, m, where, tables);
        else if (b.field != NULL && node_child(c, map, m->key) == m) /* a second one was reported */
            bind_field(&b, map, out);
    }
}

int config_bind_tables(struct config *c, const struct node *n, const char *where,
                       const struct field *const *tables, void *out)
{
    unsigned errors = c->errors;

    bind_map(c, n, where, tables, out);
    return c->errors > errors ? NEFIA_EINVAL : 0;
}

int config_bind(struct config *c, const struct node *n, const char *where,
                const struct field *fields, void *out)
{
    const struct field *const tables[] = {fields, NULL};

    return config_bind_tables(c, n, where, tables, out);
}

void config_bind_key(struct config *c, const struct node *map, const char *where,
                     const struct field *field, void *out)
{
    const struct binding b = {c, node_child(c, map, field->name), where, field, -1};

    if (b.node != NULL)
        bind_field(&b, map, out);
    else
        bind_absent(&b, map, out);
}

static void bind_maps(struct config *c, const struct node *list, const char *where,
                      const struct field *f, void *out)
{
    const struct field_list *l = f->list;
    const struct field *const tables[] = {l->fields, NULL};
    struct binding b = {c, list, where, f, -1};
    char buf[WHERE_BYTES];
    unsigned *count = list_count(f, out), index = 0;
    struct text path;

    text_init(&path, buf, sizeof buf);
    put_where(&path, &b);
    size_t len = path.len;
    if (!config_is(c, list, buf, NODE_LIST) || !list_fits(&b, list->children))
        return;
    for (const struct node *n = node_first(c, list); n != NULL; n = node_next(c, n)) {
        void *item = list_item(f, out, *count);
        text_rewind(&path, len);
        config_where_item(&path, "", index++);
        memset(item, 0, l->size);
        bind_map(c, n, buf, tables, item);
        if (l->keep == NULL || l->keep(c, n, buf, item, out))
            ++*count;
        else
            wipe(item, l->size); /* it may hold a key */
    }
}

int config_bind_maps(struct config *c, const struct node *n, const char *where,
                     const struct field *fields, void *out)
{
    unsigned errors = c->errors;

    for (const struct field *f = fields; f->name != NULL; f++)
        if (f->type == FIELD_LIST && f->list->fields != NULL)
            bind_maps(c, node_child(c, n, f->name), where, f, out);
    return c->errors > errors ? NEFIA_EINVAL : 0;
}
