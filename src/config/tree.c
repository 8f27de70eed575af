#include "tree.h"

#include <string.h>

#include "nefia/base/err.h"
#include "nefia/base/kconfig.h"

enum { WHERE_BYTES = 256 };

bool config_is_secret(const char *key)
{
#define SECRET_WORD(key) #key "\0"
    static const char words[] = CONFIG_SECRETS(SECRET_WORD);

    return word_index(words, (struct slice){key, strlen(key)}) >= 0;
}

void tree_init(struct config_tree *t, struct config *c)
{
    *t = (struct config_tree){.c = c};
    memset(t->recent, 0xFF, sizeof t->recent);
    c->nodes_len = 0;
}

static struct node *top(const struct config_tree *t)
{
    return &t->c->nodes[t->open[t->depth - 1]];
}

bool tree_wants_key(const struct config_tree *t)
{
    return t->depth > 0 && !t->has_key && top(t)->type == NODE_MAP;
}

enum node_type tree_top(const struct config_tree *t)
{
    return top(t)->type;
}

/** The open container that stands in a secret's place, such as a list or a map: what is below it may
 * be the secret's text. 0: there is none. */
static unsigned secret_depth(const struct config_tree *t)
{
    for (unsigned i = 1; i < t->depth; i++) {
        const char *key = t->c->nodes[t->open[i]].key;
        if (key != NULL && config_is_secret(key))
            return i;
    }
    return 0;
}

static void add_step(struct text *where, const char *key, unsigned index)
{
    if (key == NULL) {
        config_where_item(where, "", index);
        return;
    }
    if (where->len > 0)
        text_char(where, '.');
    text_str(where, key);
}

/** The step from the innermost open container to t->place. JSON does not look back. */
static void add_place(struct text *where, const struct config_tree *t)
{
    enum tree_place place = IS_ENABLED(CONFIG_YAML) ? (enum tree_place)t->place : PLACE_NEXT;

    if (place == PLACE_OPEN)
        return;
    if (place == PLACE_LAST && top(t)->children > 0)
        add_step(where, t->c->nodes[t->last[t->depth - 1]].key, top(t)->children - 1u);
    else if (top(t)->type == NODE_LIST)
        add_step(where, NULL, top(t)->children);
    else if (t->has_key)
        add_step(where, t->key, 0);
}

void tree_error(struct config_tree *t, unsigned line, const char *what, const char *remedy)
{
    char buf[WHERE_BYTES];
    struct text where;
    struct node at = {.line = line < UINT16_MAX ? (uint16_t)line : UINT16_MAX};

    text_init(&where, buf, sizeof buf);
    unsigned secret = secret_depth(t); /* the path ends there */
    unsigned shown = secret > 0 ? secret + 1 : t->depth;
    for (unsigned i = 1; i < shown; i++) {
        const struct node *parent = &t->c->nodes[t->open[i - 1]];
        add_step(&where, t->c->nodes[t->open[i]].key, parent->children - 1u);
    }
    if (secret == 0 && t->depth > 0)
        add_place(&where, t);
    config_error(t->c, &at, buf, what, remedy, (char *)0);
}

/** "…more than the N <what> this build has room for; raise CONFIG_HUB_<symbol>" */
static int refuse_full(struct config_tree *t, unsigned line, size_t cap, const char *what,
                       const char *symbol)
{
    char buf[160];
    struct text message;

    if (!IS_ENABLED(CONFIG_CONFIG_HINTS)) {
        tree_error(t, line, "this build has no room for more", what);
        return NEFIA_EFULL;
    }
    text_init(&message, buf, sizeof buf);
    text_str(&message, "the file needs more than the ");
    text_u64(&message, cap);
    text_str(&message, what);
    text_str(&message, t->c->program ? " of this build; raise CONFIG_" : " that it may have");
    text_str(&message, t->c->program ? t->c->program : "");
    text_str(&message, t->c->program ? symbol : "");
    tree_error(t, line, buf, "");
    return NEFIA_EFULL;
}

int tree_no_work(struct config_tree *t, size_t work_cap)
{
    return refuse_full(t, 0, work_cap, " bytes for reading", "_CONFIG_FILE_KB");
}

/** Copy into the arena, ended by NUL; most texts that repeat are kept once, but never the value of a
 * secret: it is wiped one day. Return: the copy, or null when the arena is full or the text refused
 * (reported, with *err set). */
static const char *keep_text(struct config_tree *t, const char *s, size_t len, unsigned line,
                             int *err)
{
    struct config_arena *a = t->c->arena;
    uint32_t *seen = &t->recent[hash_bytes(HASH_START, s, len) % ARRAY_SIZE(t->recent)];

    if (memchr(s, '\0', len) != NULL) {
        tree_error(t, line, "a NUL character", HINT("; remove it"));
        *err = NEFIA_EINVAL;
        return NULL;
    }
    bool secret = (t->has_key && config_is_secret(t->key)) || secret_depth(t) > 0;
    if (secret)
        t->c->secrets = true;
    else if (*seen < a->strings_len && slice_eq((struct slice){s, len}, a->strings + *seen))
        return a->strings + *seen;
    if (a->strings_cap - a->strings_len <= len) {
        *err = refuse_full(t, line, a->strings_cap, " bytes of text", "_CONFIG_TEXT_KB");
        return NULL;
    }
    char *copy = a->strings + a->strings_len;
    memcpy(copy, s, len);
    copy[len] = '\0';
    if (!secret)
        *seen = (uint32_t)a->strings_len;
    a->strings_len += len + 1;
    return copy;
}

int tree_key(struct config_tree *t, const char *s, size_t len, unsigned line)
{
    const struct node *nodes = t->c->nodes;
    int err = 0;

    if (len == 0) {
        tree_error(t, line, "an empty key", HINT("; give it a name"));
        return NEFIA_ESYNTAX;
    }
    t->key = keep_text(t, s, len, line, &err);
    if (t->key == NULL)
        return err;
    t->key_line = line;
    t->has_key = true;
    for (uint16_t i = top(t)->first; i != 0; i = nodes[i].next) {
        if (!str_eq(nodes[i].key, t->key))
            continue;
        tree_error(t, line, "duplicate key, first on line ", DEC(nodes[i].line));
        break;
    }
    return 0;
}

/** A new child of the innermost open container. Return: its index, or an error. */
static int add_node(struct config_tree *t, enum node_type type, unsigned line)
{
    struct config *c = t->c;

    if (c->nodes_len >= c->nodes_cap || c->nodes_len > UINT16_MAX)
        return refuse_full(t, line, c->nodes_cap, " values", "_CONFIG_NODES");
    uint16_t index = (uint16_t)c->nodes_len++;
    struct node *n = &c->nodes[index];
    unsigned key_line = t->has_key ? t->key_line : line;
    *n = (struct node){.line = key_line < UINT16_MAX ? (uint16_t)key_line : UINT16_MAX,
                       .type = (uint8_t)type};
    if (type == NODE_SCALAR && line < UINT16_MAX)
        n->children = (uint16_t)(line - key_line);
    if (t->depth == 0)
        return index;
    if (t->has_key) {
        n->key = t->key;
        t->has_key = false;
    }
    uint16_t *last = &t->last[t->depth - 1];
    if (*last == 0)
        top(t)->first = index;
    else
        c->nodes[*last].next = index;
    *last = index;
    top(t)->children++;
    return index;
}

static int refuse_root(struct config_tree *t, unsigned line)
{
    tree_error(t, line, "the file is not a map of keys",
               HINT("; start it with a line such as `beacons:`"));
    return NEFIA_EINVAL;
}

/** What YAML 1.2 (10.3.2) and JSON write for no value. */
static bool is_null(const char *s, size_t len)
{
    return len == 0 || word_index("~\0null\0Null\0NULL\0", (struct slice){s, len}) >= 0;
}

int tree_scalar(struct config_tree *t, const char *s, size_t len, unsigned line, bool quoted)
{
    int err = 0;

    if (t->depth == 0)
        return refuse_root(t, line);
    const char *value = !quoted && is_null(s, len) ? "" : keep_text(t, s, len, line, &err);
    if (value == NULL)
        return err;
    int index = add_node(t, NODE_SCALAR, line);
    if (index < 0)
        return index;
    t->c->nodes[index].value = value;
    t->c->nodes[index].quoted = quoted;
    return 0;
}

int tree_refused(struct config_tree *t, unsigned line)
{
    int index = t->depth == 0 ? refuse_root(t, line) : add_node(t, NODE_REFUSED, line);

    return index < 0 ? index : 0;
}

int tree_open(struct config_tree *t, enum node_type type, unsigned line)
{
    if (t->depth == 0 && type != NODE_MAP)
        return refuse_root(t, line);
    if (t->depth == CONFIG_MAX_DEPTH) {
        tree_error(t, line, "nested deeper than " LITERAL(CONFIG_MAX_DEPTH), "");
        return NEFIA_EDEPTH;
    }
    int index = add_node(t, type, line);
    if (index < 0)
        return index;
    t->open[t->depth] = (uint16_t)index;
    t->last[t->depth] = 0;
    t->depth++;
    return 0;
}

void tree_close(struct config_tree *t)
{
    t->depth--;
}

/* ---- walking ---- */

const struct node *node_first(const struct config *c, const struct node *n)
{
    return n->first != 0 ? &c->nodes[n->first] : NULL;
}

const struct node *node_next(const struct config *c, const struct node *n)
{
    return n->next != 0 ? &c->nodes[n->next] : NULL;
}

const struct node *node_child(const struct config *c, const struct node *map, const char *key)
{
    if (map == NULL || map->type != NODE_MAP)
        return NULL;
    for (const struct node *n = node_first(c, map); n != NULL; n = node_next(c, n))
        if (str_eq(n->key, key))
            return n;
    return NULL;
}
