#include "nefia/config/config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tree.h"
#include "nefia/base/err.h"
#include "nefia/base/kconfig.h"
#include "nefia/base/wipe.h"

void config_init(struct config *c, const char *program, struct node *nodes, unsigned nodes_cap,
                 void (*report)(void *, const char *), void *report_arg)
{
    *c = (struct config){
        .program = program,
        .nodes = nodes,
        .nodes_cap = nodes_cap,
        .report = report,
        .report_arg = report_arg,
    };
}

/* ---- reports ---- */

static void put_report(struct config *c, bool warning, const struct node *n, const char *where,
                   va_list parts)
{
    char buf[CONFIG_MESSAGE_BYTES];
    bool apart = warning && c->warn != NULL; /* it is said what they are */
    struct text message;

    text_init(&message, buf, sizeof buf);
    text_printable(&message, c->path, strlen(c->path));
    if (n != NULL && n->line > 0) {
        text_char(&message, ':');
        text_u64(&message, n->line);
    }
    text_str(&message, warning && !apart ? ": warning: " : ": ");
    if (where != NULL && where[0] != '\0') {
        text_printable(&message, where, strlen(where));
        text_str(&message, ": ");
    }
    for (const char *part; (part = va_arg(parts, const char *)) != NULL;)
        text_printable(&message, part, strlen(part));
    if (message.truncated) {
        text_rewind(&message, utf8_cut(message.buf, message.len, CONFIG_MESSAGE_BYTES - 4));
        text_str(&message, "...");
    }
    (apart ? c->warn : c->report)(c->report_arg, message.buf);
}

void config_error(struct config *c, const struct node *n, const char *where, ...)
{
    va_list parts;

    if (++c->errors > CONFIG_MOST_REPORTS)
        return;
    va_start(parts, where);
    put_report(c, false, n, where, parts);
    va_end(parts);
}

void config_warn(struct config *c, const struct node *n, const char *where, ...)
{
    va_list parts;

    va_start(parts, where);
    put_report(c, true, n, where, parts);
    va_end(parts);
}

/* ---- secrets ---- */

bool config_is_secret(const char *key)
{
#define SECRET_WORD(key) #key "\0"
    static const char words[] = CONFIG_SECRETS(SECRET_WORD);

    return word_index(words, (struct slice){key, strlen(key)}) >= 0;
}

/** Those that are still in the tree. */
static void wipe_secrets(struct config *c)
{
    for (unsigned i = 0; c->secrets && i < c->nodes_len; i++) {
        const struct node *n = &c->nodes[i];
        if (n->type == NODE_SCALAR && n->key != NULL && config_is_secret(n->key))
            wipe((void *)(uintptr_t)n->value, strlen(n->value)); /* the arena's */
    }
}

int config_done(struct config *c)
{
    unsigned errors = c->errors;

    wipe_secrets(c);

    if (errors > CONFIG_MOST_REPORTS) {
        c->errors = 0; /* this one is shown */
        config_error(c, NULL, NULL, DEC(errors - CONFIG_MOST_REPORTS), " more errors", (char *)0);
        c->errors = errors;
    }
    return errors > 0 ? NEFIA_EINVAL : 0;
}

void config_where_key(struct text *t, const char *where, const char *key)
{
    text_str(t, where);
    if (where[0] != '\0')
        text_char(t, '.');
    text_str(t, key);
}

void config_where_item(struct text *t, const char *where, unsigned index)
{
    text_str(t, where);
    text_char(t, '[');
    text_u64(t, index);
    text_char(t, ']');
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

/* ---- where the bytes come from ---- */

int config_source_read(struct config_source *s, char *buf, size_t cap)
{
    ssize_t n;

    if (s->fd < 0) {
        size_t left = s->len - s->pos;
        if (cap > left)
            cap = left;
        if (cap > 0)
            memcpy(buf, s->text + s->pos, cap);
        s->pos += cap;
        return (int)cap;
    }
    do {
        n = read(s->fd, buf, cap);
    } while (n < 0 && errno == EINTR);
    return n < 0 ? NEFIA_EIO : (int)n;
}

/* ---- loading ---- */

static bool is_json(const char *name)
{
    size_t len = strlen(name);

    return !IS_ENABLED(CONFIG_YAML) || (len >= 5 && str_eq(name + len - 5, ".json"));
}

static int load(struct config *c, struct config_source *s, struct config_arena *arena, void *work,
                size_t work_cap)
{
    struct config_tree t;
    int err;

    c->arena = arena;
    c->secrets = false;
    arena->strings_len = 0;
    tree_init(&t, c);
    if (is_json(c->path))
        err = config_read_json(&t, s, work, work_cap);
    else
        err = config_read_yaml(&t, s, work, work_cap);
    /* Before an error a secret may have been read. */
    if (err < 0)
        wipe(arena->strings, arena->strings_len);
    if (err < 0 || c->secrets)
        wipe(work, work_cap);
    if (err < 0)
        return err;
    if (c->nodes_len == 0)
        return tree_open(&t, NODE_MAP, 1);
    return 0;
}

int config_load_text(struct config *c, const char *name, const char *text, size_t len,
                     struct config_arena *arena, void *work, size_t work_cap)
{
    struct config_source s = {.fd = -1, .text = text, .len = len};

    c->path = name;
    c->errors = 0;
    c->mode = 0;
    return load(c, &s, arena, work, work_cap);
}

int config_load(struct config *c, const char *path, struct config_arena *arena, void *work,
                size_t work_cap)
{
    struct config_source s = {.fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK)};
    struct stat st;

    c->path = path;
    c->errors = 0;
    c->mode = 0;
    c->nodes_len = 0;
    if (s.fd < 0) {
        config_error(c, NULL, NULL, ERRNO(errno), HINT("; -c FILE names another configuration"),
                     (char *)0);
        return NEFIA_EIO;
    }
    if (fstat(s.fd, &st) == 0) {
        c->mode = (uint16_t)st.st_mode;
        c->owner = st.st_uid;
    }
    int err = load(c, &s, arena, work, work_cap);
    close(s.fd);
    return err;
}
