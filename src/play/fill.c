/* Operations: what is written in a playbook, with its templates filled in, and checked as whoever carries it out would. */
#include <string.h>

#include "nefia/base/err.h"
#include "nefia/guard/policy.h"
#include "nefia/net/addr.h"
#include "play_int.h"

struct filling {
    struct play_filler *f;
    struct op *op;
    struct text *text, *why;
};

static int refuse(const struct filling *g, const char *what, const char *value, const char *problem)
{
    enum { SHOWN = 60 };
    const size_t len = strlen(value), cut = utf8_cut(value, len, SHOWN);

    text_str(g->why, what);
    text_str(g->why, " \"");
    text_printable(g->why, value, cut);
    text_str(g->why, cut < len ? "...\" " : "\" ");
    text_str(g->why, problem);
    return NEFIA_EINVAL;
}

/** Append what the template stands for, ended by a NUL. */
static int put(const struct filling *g, const char *template, const char **out)
{
    const size_t from = g->text->len;
    const int err = play_fill(g->f, template, g->text, g->why);

    if (err < 0)
        return err;
    text_char(g->text, '\0');
    *out = g->text->buf + from;
    if (!g->text->truncated)
        return 0;
    text_str(g->why, "its texts are longer than " LITERAL(OP_TEXT_BYTES) " bytes");
    return NEFIA_ETOOBIG;
}

/* ---- of each kind ---- */

/** What is still a template is judged when it is filled in. */
static bool is_settled(const struct filling *g)
{
    return !g->f->open;
}

static int put_path(const struct filling *g, const char *template, const char **out)
{
    const int err = put(g, template, out);

    if (err < 0)
        return err;
    const size_t len = strlen(*out);
    if (is_settled(g) && (len < 2 || **out != '/' || len >= FILE_PATH_MAX || (*out)[len - 1] == '/' ||
                          !policy_is_plain((struct slice){*out, len})))
        return refuse(g, "the path", *out, HINTED("is not an absolute path of a file", ": no \"//\", \".\" or \"..\", and no slash at its end"));
    return 0;
}

static int put_service(const struct filling *g, const char *template)
{
    const int err = put(g, template, &g->op->service);

    if (err == 0 && is_settled(g) && !op_is_service(g->op->service))
        return refuse(g, "the service", g->op->service, "is not the name of a service");
    return err;
}

static int put_port(const struct filling *g, const char *template)
{
    char host[ADDR_HOST];
    uint16_t port;
    const int err = put(g, template, &g->op->port);

    if (err == 0 && is_settled(g) && addr_parse_hostport(g->op->port, strlen(g->op->port), 0, host, &port, NULL) < 0)
        return refuse(g, "the port", g->op->port, "is not an address and a port" REMEDY(", such as 127.0.0.1:80"));
    return err;
}

static int put_wait(const struct filling *g, const struct playbook_op *from)
{
    g->op->wait = (enum op_wait)from->wait;
    switch (g->op->wait) {
    case OP_WAIT_PORT:
        return put_port(g, from->text);
    case OP_WAIT_PATH:
        return put_path(g, from->text, &g->op->path);
    case OP_WAIT_SERVICE:
        g->op->state = from->state;
        break;
    }
    return put_service(g, from->text);
}

static int put_file(const struct filling *g, const struct playbook_op *from)
{
    int err = put_path(g, from->text, &g->op->path);

    g->op->mode = from->mode;
    g->op->backup = from->backup;
    if (err == 0 && from->from)
        err = put_path(g, from->from, &g->op->from);
    else if (err == 0)
        err = put(g, from->content, &g->op->content);
    if (err == 0 && from->content)
        g->op->content_len = strlen(g->op->content);
    return err;
}

/** Does the element begin with what somebody else has said, and is that an option? What is empty before it does not make it ours. */
static bool is_foreign_option(const struct filling *g, const char *template, const char *value)
{
    struct text begin, ignored;
    struct play_piece piece;
    char byte[2], phrase[2];
    const char *why;

    if (value[0] != '-')
        return false;
    text_init(&begin, byte, sizeof byte);
    while (begin.len == 0 && play_cut(&template, &piece, &why) > 0 && piece.before.len == 0) {
        const struct play_name n = play_name(g->f->book, piece.name, g->f->book->register_count, &why);
        text_init(&ignored, phrase, sizeof phrase);
        (void)play_fill_piece(g->f, &piece, &begin, &ignored);
        if (begin.len > 0 || begin.truncated)
            return piece.kind == PLAY_NAMED && (play_source(&n) & (PLAY_EVENT | PLAY_REGISTERS)) != 0;
    }
    return false;
}

static int put_argv(const struct filling *g, const struct node *list)
{
    const struct node *nodes = g->f->book->nodes;
    bool options = true; /* no "--" yet */
    unsigned count = 0;

    for (const struct node *n = list->first ? nodes + list->first : NULL; n; n = n->next ? nodes + n->next : NULL, count++) {
        const char **element = &g->op->argv[count];
        const int err = put(g, n->value, element);
        if (err < 0)
            return err;
        if (count == 0 && is_settled(g) && **element != '/')
            return refuse(g, "the program", *element, "is not an absolute path");
        if (options && is_foreign_option(g, n->value, *element))
            return refuse(g, "the argument", *element,
                          HINTED("would be an option", "; an argument \"--\" before it says that no option follows"));
        options &= !str_eq(*element, "--");
    }
    g->op->argv[count] = NULL;
    return 0;
}

static int put_env(const struct filling *g, const struct node *map)
{
    const struct node *nodes = g->f->book->nodes;

    for (const struct node *n = map && map->first ? nodes + map->first : NULL; n; n = n->next ? nodes + n->next : NULL) {
        const size_t from = g->text->len;
        const char *value;
        text_str(g->text, n->key);
        text_char(g->text, '=');
        const int err = put(g, n->value, &value);
        if (err < 0)
            return err;
        g->op->env[g->op->env_count++] = g->text->buf + from;
    }
    g->op->env[g->op->env_count] = NULL;
    return 0;
}

static int put_kind(const struct filling *g, const struct playbook_op *from)
{
    switch (g->op->kind) {
    case OP_RUN:
        g->op->run = from->text;
        return 0;
    case OP_ARGV:
        return put_argv(g, from->argv);
    case OP_SERVICE:
        g->op->verb = (enum op_verb)from->verb;
        return put_service(g, from->text);
    case OP_FILE:
        return put_file(g, from);
    case OP_RESTORE:
        return put_path(g, from->text, &g->op->path);
    case OP_WAIT:
        return put_wait(g, from);
    case OP_UNDO:
        break;
    }
    return NEFIA_EINVAL;
}

int play_op(struct play_filler *f, const struct playbook_op *from, struct op *op, struct text *text, struct text *why)
{
    const struct filling g = {f, op, text, why};

    *op = (struct op){.kind = (enum op_kind)from->kind, .timeout_ms = from->timeout_ms};
    f->open = false;
    const int err = put_kind(&g, from);
    return err < 0 ? err : put_env(&g, from->env);
}

/* ---- on the wire ---- */

/** How many tokens a JSON text of ours has: without white space. */
static unsigned count_tokens(const char *s)
{
    bool inside = false; /* a number or a word */
    unsigned count = 0;

    for (; *s; s++) {
        if (*s == '"') {
            while (*++s != '"')
                s += *s == '\\';
            count++;
        } else if (*s == '{' || *s == '[') {
            count++;
        } else if (!strchr(",:]}", *s)) {
            count += !inside;
            inside = true;
            continue;
        }
        inside = false;
    }
    return count;
}

long play_op_bytes(const struct op *op, char *buf)
{
    struct json_writer w;
    struct text t;

    text_init(&t, buf, PLAYBOOK_OP_BYTES);
    json_begin(&w, &t);
    op_write(op, &w, NULL);
    return t.truncated || count_tokens(buf) > OP_TOKENS ? NEFIA_ETOOBIG : (long)t.len;
}

int play_undo_list(struct play_filler *f, struct text *out, char *strings, unsigned *step, struct text *why)
{
    const struct playbook *p = f->book;
    struct json_writer w;
    struct text text;
    struct op op;
    bool open = false;
    int err = 0;

    json_begin(&w, out);
    json_array(&w, NULL);
    for (unsigned s = 0; s < p->step_count && err == 0; s++)
        for (unsigned i = 0; i < p->steps[s].undo_count && err == 0; i++) {
            text_init(&text, strings, OP_TEXT_BYTES);
            err = play_op(f, &p->undos[p->steps[s].undo_first + i], &op, &text, why);
            open |= f->open;
            if (step)
                *step = s;
            if (err < 0)
                break;
            json_array(&w, NULL);
            json_put_u64(&w, NULL, s);
            op_write(&op, &w, NULL);
            json_end_array(&w);
        }
    json_end_array(&w);
    f->open = open;
    return err;
}
