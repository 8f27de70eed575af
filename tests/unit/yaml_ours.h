/* A document read by our YAML reader, and its tree in words that are compared with what others
 * read. */
#ifndef NEFIA_TESTS_YAML_OURS_H
#define NEFIA_TESTS_YAML_OURS_H

#include "nefia/base/kconfig.h"
#include "nefia/config/config.h"

enum { OURS_NODES = 8192, OURS_TEXT = 128 * 1024, OURS_WORK = 64 * 1024, OURS_WORDS = 512 * 1024 };

struct ours {
    struct node nodes[OURS_NODES];
    char strings[OURS_TEXT], work[OURS_WORK];
    char report[CONFIG_MESSAGE_BYTES]; /* the first one */
    unsigned line;                     /* of it; 0: none */
    unsigned reports;
    struct config_arena arena;
    struct config config;
};

/** "k" and a key, then "q" or "p" with a quoted or plain text, "~" for no value, braces, brackets;
 * texts with their length. */
static inline void put_words(struct text *t, const char *sort, const char *s, size_t len)
{
    text_str(t, sort);
    text_u64(t, len);
    text_char(t, ':');
    text_bytes(t, s, len);
}

static inline void describe_ours(struct text *t, const struct config *c, const struct node *n)
{
    if (n->key != NULL)
        put_words(t, "k", n->key, strlen(n->key));
    if (n->type == NODE_SCALAR && n->value[0] == '\0' && !n->quoted)
        text_char(t, '~');
    else if (n->type == NODE_SCALAR)
        put_words(t, n->quoted ? "q" : "p", n->value, strlen(n->value));
    if (n->type != NODE_MAP && n->type != NODE_LIST)
        return;
    text_char(t, n->type == NODE_MAP ? '{' : '[');
    for (const struct node *m = node_first(c, n); m != NULL; m = node_next(c, m))
        describe_ours(t, c, m);
    text_char(t, n->type == NODE_MAP ? '}' : ']');
}

/** "t.yaml:LINE: what" */
static inline void take_ours(void *arg, const char *message)
{
    struct ours *o = arg;
    size_t len = strlen(message);

    if (o->reports++ > 0)
        return;
    memcpy(o->report, message, len + 1);
    o->line = 0;
    for (const char *p = message + strlen("t.yaml:"); *p >= '0' && *p <= '9'; p++)
        o->line = o->line * 10 + (unsigned)(*p - '0');
}

/** Read a document. Return: was it accepted? Then words has its tree, else o->report why not. */
static inline bool read_ours(struct ours *o, const char *doc, size_t len, struct text *words)
{
    o->reports = o->line = 0;
    o->report[0] = '\0';
    o->arena = (struct config_arena){.strings = o->strings, .strings_cap = sizeof o->strings};
    config_init(&o->config, "HUB", o->nodes, OURS_NODES, take_ours, o);
    text_reset(words);
    int err = config_load_text(&o->config, "t.yaml", doc, len, &o->arena, o->work, sizeof o->work);
    if (err == 0 && o->config.errors == 0)
        describe_ours(words, &o->config, o->config.nodes);
    return err == 0 && o->config.errors == 0;
}

#endif
