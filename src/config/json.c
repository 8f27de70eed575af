#include <errno.h>
#include <string.h>

#include "source.h"
#include "tree.h"
#include "nefia/base/err.h"
#include "nefia/json/json.h"

/** The work space: the file's text, then the tokens. */
struct work {
    char *text;
    size_t len;
    struct json_token *tokens;
    unsigned tokens_cap;
};

static int read_all(struct config_tree *t, struct config_source *s, struct work *w, char *work,
                    size_t cap)
{
    int n = config_source_read(s, work, cap);
    if (n < 0) {
        config_error(t->c, NULL, NULL, ERRNO(errno), (char *)0);
        return n;
    }
    size_t used = w->len = (size_t)n;
    if (used == cap)
        return tree_no_work(t, cap);
    w->text = work;
    if (w->len >= 3 && memcmp(work, "\xEF\xBB\xBF", 3) == 0) {
        w->text += 3; /* a byte order mark, which a reader may ignore (RFC 8259, 8.1) */
        w->len -= 3;
    }
    while (used < cap && (uintptr_t)(work + used) % _Alignof(struct json_token) != 0)
        used++;
    w->tokens = (struct json_token *)(void *)(work + used);
    w->tokens_cap = (unsigned)((cap - used) / sizeof *w->tokens);
    return 0;
}

/** A string or a literal as its text. Escapes are undone in place: nothing gets longer by that. */
static int add_scalar(struct config_tree *t, const struct work *w, const struct json_doc *d,
                      unsigned i, unsigned line)
{
    const struct json_token *token = json_at(d, i);
    char *s = w->text + token->start;
    size_t len = token->end - token->start;

    if (token->escaped)
        len = json_unescape(d, i, s);
    if (tree_wants_key(t))
        return tree_key(t, s, len, line);
    return tree_scalar(t, s, len, line, token->type == JSON_STRING);
}

static int add_tokens(struct config_tree *t, const struct work *w, const struct json_doc *d)
{
    uint32_t ends[CONFIG_MAX_DEPTH] = {0}; /* of the open containers, as token indices */
    const char *at = w->text;
    unsigned line = 1;

    for (unsigned i = 0; i < d->count; i++) {
        const struct json_token *token = json_at(d, i);
        int err;
        while (t->depth > 0 && ends[t->depth - 1] == i)
            tree_close(t);
        for (; at < w->text + token->start; at++)
            line += *at == '\n';
        if (token->type == JSON_OBJECT || token->type == JSON_ARRAY) {
            err = tree_open(t, token->type == JSON_OBJECT ? NODE_MAP : NODE_LIST, line);
            if (err == 0)
                ends[t->depth - 1] = token->next;
        } else {
            at = w->text + token->end; /* no line ends in a string, until its escapes are undone */
            err = add_scalar(t, w, d, i, line);
        }
        if (err < 0)
            return err;
    }
    return 0;
}

static int refuse_json(struct config_tree *t, int err, const struct json_error *e)
{
    struct node at = {.line = e->line < UINT16_MAX ? (uint16_t)e->line : UINT16_MAX};

    config_error(t->c, &at, NULL, "not JSON: ", e->what,
                 err == NEFIA_EUTF8 ? HINT("; save the file as UTF-8 text")
                 : IS_ENABLED(CONFIG_YAML)
                     ? NULL
                     : "; this build reads JSON only: convert the file, or select CONFIG_YAML",
                 (char *)0);
    return err;
}

int config_read_json(struct config_tree *t, struct config_source *s, void *work, size_t work_cap)
{
    struct work w = {0};
    struct json_doc d;
    struct json_error e;

    int err = read_all(t, s, &w, work, work_cap);
    if (err < 0)
        return err;
    /* The tree reports duplicate members, all of them. */
    err = json_parse_lax(&d, w.text, w.len, w.tokens, w.tokens_cap, CONFIG_MAX_DEPTH, &e);
    if (err == NEFIA_EFULL)
        return tree_no_work(t, work_cap);
    if (err < 0)
        return refuse_json(t, err, &e);
    return add_tokens(t, &w, &d);
}
