/* The same document read by libyaml, in the words of yaml_ours.h. */
#ifndef NEFIA_TESTS_YAML_THEIRS_H
#define NEFIA_TESTS_YAML_THEIRS_H

#include <yaml.h>

#include "yaml_ours.h"

struct theirs {
    struct text *words;
    bool map[64], wants_key[64]; /* of the open containers */
    unsigned depth, documents;
    const char *problem; /* null: none */
};

static inline bool is_null_word(const char *s, size_t len)
{
    return len == 0 || word_index("~\0null\0Null\0NULL\0", (struct slice){s, len}) >= 0;
}

static inline void theirs_scalar(struct theirs *r, const yaml_event_t *e)
{
    const char *s = (const char *)e->data.scalar.value;
    size_t len = e->data.scalar.length;
    bool quoted = e->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
    bool *wants_key = &r->wants_key[r->depth];

    if (e->data.scalar.anchor != NULL || e->data.scalar.tag != NULL)
        r->problem = "an anchor or a tag";
    if (r->depth == 0) {
        if (len > 0)
            r->problem = "a scalar for a root";
        text_str(r->words, "{}");
    } else if (r->map[r->depth] && *wants_key) {
        put_words(r->words, "k", s, len);
    } else if (!quoted && is_null_word(s, len)) {
        text_char(r->words, '~');
    } else {
        put_words(r->words, quoted ? "q" : "p", s, len);
    }
    *wants_key = !*wants_key;
}

static inline void theirs_event(struct theirs *r, const yaml_event_t *e)
{
    switch (e->type) {
    case YAML_DOCUMENT_START_EVENT:
        if (r->documents++ > 0)
            r->problem = "a second document";
        break;
    case YAML_ALIAS_EVENT:
        r->problem = "an alias";
        break;
    case YAML_SCALAR_EVENT:
        theirs_scalar(r, e);
        break;
    case YAML_MAPPING_START_EVENT:
    case YAML_SEQUENCE_START_EVENT:
        if (r->map[r->depth] && r->wants_key[r->depth])
            r->problem = "a container for a key";
        r->wants_key[r->depth] = true;
        if (r->depth + 1 == ARRAY_SIZE(r->map)) {
            r->problem = "too deep";
            break;
        }
        r->map[++r->depth] = e->type == YAML_MAPPING_START_EVENT;
        r->wants_key[r->depth] = true;
        text_char(r->words, e->type == YAML_MAPPING_START_EVENT ? '{' : '[');
        break;
    case YAML_MAPPING_END_EVENT:
    case YAML_SEQUENCE_END_EVENT:
        text_char(r->words, r->map[r->depth] ? '}' : ']');
        r->depth--;
        break;
    default:
        break;
    }
}

/** Return: null, with the tree in words, or why libyaml has none that we could have. */
static inline const char *read_theirs(const char *doc, size_t len, struct text *words)
{
    struct theirs r = {.words = words};
    yaml_parser_t parser;
    yaml_event_t event;
    bool more = true;

    text_reset(words);
    if (!yaml_parser_initialize(&parser))
        return "no memory";
    /* Told the encoding, it takes the byte order mark for a column of the first line. */
    if (len < 3 || memcmp(doc, "\xEF\xBB\xBF", 3) != 0)
        yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&parser, (const unsigned char *)doc, len);
    while (more && r.problem == NULL) {
        if (!yaml_parser_parse(&parser, &event)) {
            r.problem = parser.problem != NULL ? parser.problem : "refused";
            break;
        }
        theirs_event(&r, &event);
        more = event.type != YAML_STREAM_END_EVENT;
        yaml_event_delete(&event);
    }
    yaml_parser_delete(&parser);
    if (r.documents == 0 && r.problem == NULL)
        text_str(words, "{}");
    return r.problem;
}

#endif
