#include <errno.h>
#include <string.h>
#include <yaml.h>

#include "tree.h"
#include "nefia/base/err.h"

/** libyaml asks for bytes through this; its own result convention: 1 fine, 0 failed. */
static int feed(void *arg, unsigned char *buf, size_t cap, size_t *got)
{
    int n = config_source_read(arg, (char *)buf, cap);

    *got = n > 0 ? (size_t)n : 0;
    return n >= 0;
}

/** What to do about the commonest of libyaml's complaints. */
static const char *remedy_for(const char *problem)
{
    static const struct {
        const char *problem, *remedy;
    } remedies[] = {
        {"found character that cannot start any token",
         "; indent with spaces, not tabs, and quote a text that starts with %, @ or `"},
        {"found a tab character that violates indentation", "; indent with spaces"},
        {"mapping values are not allowed in this context",
         "; check the indentation, and quote a text with \": \" in it"},
        {"did not find expected key",
         "; check the indentation and the quotes of this line and the one before"},
        {"could not find expected ':'", "; write it as `key: value`"},
        {"did not find expected ',' or ']'", "; the list that opens with [ has no end"},
        {"did not find expected ',' or '}'", "; the map that opens with { has no end"},
        {"found unexpected end of stream", "; a quote or a bracket is not closed"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(remedies); i++)
        if (str_eq(problem, remedies[i].problem))
            return remedies[i].remedy;
    return "";
}

static int refuse_yaml(struct config_tree *t, struct config_source *s, const yaml_parser_t *p)
{
    const char *problem = p->problem != NULL ? p->problem : "not YAML";
    struct node at = {0};

    if (p->error == YAML_MEMORY_ERROR) {
        config_error(t->c, NULL, NULL, "reading it needs more than the fixed heap; raise CONFIG_",
                     t->c->program, "_HEAP_KB", (char *)0);
        return NEFIA_EFULL;
    }
    if (p->error == YAML_READER_ERROR && str_eq(problem, "input error")) {
        config_error(t->c, NULL, NULL, ERRNO(errno), (char *)0);
        return NEFIA_EIO;
    }
    size_t line = p->problem_mark.line + 1;
    if (p->error == YAML_READER_ERROR)
        line = config_source_line(s, p->problem_offset);
    at.line = line < UINT16_MAX ? (uint16_t)line : UINT16_MAX;
    bool bytes = p->error == YAML_READER_ERROR;
    config_error(t->c, &at, NULL, "not YAML: ", problem,
                 bytes ? "; save the file as UTF-8 text" : remedy_for(problem), (char *)0);
    return bytes ? NEFIA_EUTF8 : NEFIA_ESYNTAX;
}

static void refuse_extras(struct config_tree *t, unsigned line, const yaml_char_t *anchor,
                          const yaml_char_t *tag)
{
    if (anchor != NULL)
        tree_error(t, line, "an anchor (&) is not supported",
                   "; remove it, and write the value out wherever it is wanted");
    if (tag != NULL)
        tree_error(t, line, "a tag (!) is not supported",
                   "; remove it: values are typed by their key");
}

static int on_scalar(struct config_tree *t, const yaml_event_t *e, unsigned line)
{
    const char *s = (const char *)e->data.scalar.value;
    size_t len = e->data.scalar.length;
    bool quoted = e->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
    bool merge = tree_wants_key(t) && !quoted && str_eq(s, "<<");

    if (merge)
        tree_error(t, line, "a merge key (<<) is not supported", "; write the members out");
    refuse_extras(t, line, e->data.scalar.anchor, e->data.scalar.tag);
    return tree_wants_key(t) ? tree_key(t, s, len, line) : tree_scalar(t, s, len, line, quoted);
}

static int refuse_key(struct config_tree *t, unsigned line)
{
    tree_error(t, line, "a key that is not text",
               "; write it as `key: value`, and quote a value that starts with *, [ or {");
    return NEFIA_ESYNTAX;
}

static int on_alias(struct config_tree *t, unsigned line)
{
    if (tree_wants_key(t))
        return refuse_key(t, line);
    if (!t->has_key || !str_eq(t->key, "<<"))
        tree_error(t, line, "an alias (*) is not supported",
                   "; write the value out, or quote it if it is text");
    return tree_refused(t, line);
}

static int on_open(struct config_tree *t, const yaml_event_t *e, unsigned line)
{
    bool map = e->type == YAML_MAPPING_START_EVENT;

    if (tree_wants_key(t))
        return refuse_key(t, line);
    if (map)
        refuse_extras(t, line, e->data.mapping_start.anchor, e->data.mapping_start.tag);
    else
        refuse_extras(t, line, e->data.sequence_start.anchor, e->data.sequence_start.tag);
    return tree_open(t, map ? NODE_MAP : NODE_LIST, line);
}

static int on_event(struct config_tree *t, const yaml_event_t *e)
{
    size_t mark = e->start_mark.line + 1;
    unsigned line = mark < UINT16_MAX ? (unsigned)mark : UINT16_MAX;

    switch (e->type) {
    case YAML_DOCUMENT_START_EVENT:
        if (t->c->nodes_len == 0)
            return 0;
        tree_error(t, line, "a second document begins here", "; keep one");
        return NEFIA_EEXIST;
    case YAML_SCALAR_EVENT:
        /* A file of comments under a `---` is one empty scalar. */
        if (t->depth == 0 && e->data.scalar.length == 0)
            return tree_open(t, NODE_MAP, line);
        return on_scalar(t, e, line);
    case YAML_ALIAS_EVENT:
        return on_alias(t, line);
    case YAML_MAPPING_START_EVENT:
    case YAML_SEQUENCE_START_EVENT:
        return on_open(t, e, line);
    case YAML_MAPPING_END_EVENT:
    case YAML_SEQUENCE_END_EVENT:
        tree_close(t);
        return 0;
    default:
        return 0;
    }
}

int config_read_yaml(struct config_tree *t, struct config_source *s)
{
    yaml_parser_t parser;
    yaml_event_t event;
    int err = 0;
    bool more = true;

    if (!yaml_parser_initialize(&parser)) {
        parser.error = YAML_MEMORY_ERROR;
        parser.problem = NULL;
        return refuse_yaml(t, s, &parser);
    }
    yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input(&parser, feed, s);
    while (more && err == 0) {
        if (!yaml_parser_parse(&parser, &event)) {
            err = refuse_yaml(t, s, &parser);
            break;
        }
        err = on_event(t, &event);
        more = event.type != YAML_STREAM_END_EVENT;
        yaml_event_delete(&event);
    }
    yaml_parser_delete(&parser);
    return err;
}
