/* Templates: where {{…}} stands in a text, what it names, and what takes its place. A value is put in once and never looked at again: what
 * is in an event or an output cannot make a template. */
#include <string.h>

#include "nefia/base/err.h"
#include "play_int.h"

enum { SEGMENTS = 8 }; /* of a name, event.data.a.b.c… */

/* ---- syntax ---- */

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

bool play_is_name(struct slice s)
{
    for (size_t i = 0; i < s.len; i++)
        if (!is_letter(s.ptr[i]) && !(i > 0 && is_digit(s.ptr[i])))
            return false;
    return s.len > 0 && s.len <= PLAYBOOK_NAME_MAX;
}

static const char *skip_blanks(const char *at)
{
    return at + strspn(at, " \t");
}

/** A text in quotes of either kind; there is no escape. Return: behind it; null: it has no end. */
static const char *cut_quoted(const char *at, struct slice *s)
{
    const char *end = strchr(at + 1, *at);

    if (!end)
        return NULL;
    *s = (struct slice){at + 1, (size_t)(end - at - 1)};
    return end + 1;
}

static bool is_quote(char c)
{
    return c == '"' || c == '\'';
}

static const char name_letters[] = "-."; /* beside those of words */

/** `| default "text"` or `| default vars.NAME`. Return: behind it; null: it is something else. */
static const char *cut_fallback(const char *at, struct play_piece *piece)
{
    static const char word[] = "default";

    at = skip_blanks(at + 1);
    if (strncmp(at, word, sizeof word - 1) != 0)
        return NULL;
    at = skip_blanks(at + sizeof word - 1);
    piece->fallback_kind = is_quote(*at) ? PLAY_FALLBACK_TEXT : PLAY_FALLBACK_VAR;
    if (is_quote(*at))
        return cut_quoted(at, &piece->fallback);
    piece->fallback = (struct slice){at, text_word_span(at, name_letters)};
    return strncmp(at, "vars.", 5) == 0 ? at + piece->fallback.len : NULL;
}

int play_cut_template(const char **at, struct play_piece *piece, const char **why)
{
    const char *p = skip_blanks(*at + 2);

    if (is_quote(*p)) {
        piece->kind = PLAY_QUOTED;
        p = cut_quoted(p, &piece->name);
        *why = "a quotation mark has no end";
    } else {
        const size_t len = text_word_span(p, name_letters);
        piece->kind = PLAY_NAMED;
        piece->name = (struct slice){p, len};
        p = skip_blanks(p + len);
        *why = "behind | only default and a \"text\" or vars.NAME may stand";
        if (*p == '|')
            p = cut_fallback(p, piece);
    }
    if (!p)
        return NEFIA_ESYNTAX;
    p = skip_blanks(p);
    *why = HINTED("{{ without a name and }}", "; {{\"{{\"}} stands for the braces themselves");
    if (p[0] != '}' || p[1] != '}' || (piece->kind == PLAY_NAMED && piece->name.len == 0))
        return NEFIA_ESYNTAX;
    *at = p + 2;
    return 1;
}

int play_cut(const char **at, struct play_piece *piece, const char **why)
{
    const char *begin = *at, *braces = strstr(begin, "{{");

    *piece = (struct play_piece){.kind = PLAY_TEXT, .before = {begin, braces ? (size_t)(braces - begin) : strlen(begin)}};
    if (*begin == '\0')
        return 0;
    *at = begin + piece->before.len;
    return braces ? play_cut_template(at, piece, why) : 1;
}

/* ---- names ---- */

static bool begins(struct slice name, const char *with, struct slice *rest)
{
    const size_t len = strlen(with);

    if (name.len <= len || memcmp(name.ptr, with, len) != 0)
        return false;
    *rest = (struct slice){name.ptr + len, name.len - len};
    return true;
}

static bool ends(struct slice name, const char *with, struct slice *rest)
{
    const size_t len = strlen(with);

    if (name.len <= len || memcmp(name.ptr + name.len - len, with, len) != 0)
        return false;
    *rest = (struct slice){name.ptr, name.len - len};
    return true;
}

/** `type` and the like, or `data.KEY` and more keys below it. */
static bool is_field(struct slice field)
{
    static const char words[] = "type\0source\0host_id\0severity\0timestamp\0seq\0boot\0uptime_ms\0";
    struct slice keys;
    unsigned segments = 1;

    if (word_index(words, field) >= 0)
        return true;
    if (!begins(field, "data.", &keys) || keys.ptr[0] == '.' || keys.ptr[keys.len - 1] == '.')
        return false;
    for (size_t i = 1; i < keys.len; i++) {
        segments += keys.ptr[i] == '.';
        if (keys.ptr[i] == '.' && keys.ptr[i - 1] == '.')
            return false;
    }
    return segments < SEGMENTS;
}

static int find_var(const struct playbook *p, struct slice name)
{
    for (unsigned i = 0; i < p->var_count; i++)
        if (slice_eq(name, p->vars[i].name))
            return (int)i;
    return NEFIA_ENOTFOUND;
}

struct play_name play_name(const struct playbook *p, struct slice name, unsigned known, const char **why)
{
    struct play_name n = {.kind = PLAY_UNKNOWN};
    struct slice rest;
    int var;

    if (slice_eq(name, "host"))
        return (struct play_name){.kind = PLAY_HOST};
    if (begins(name, "event.", &n.field)) {
        n.kind = is_field(n.field) ? PLAY_FIELD : PLAY_UNKNOWN;
        *why = HINTED("an event has no such member", "; it has type, source, host_id, severity, timestamp and data.KEY");
        return n;
    }
    if (begins(name, "vars.", &rest)) {
        *why = HINTED("no such variable", "; write it down in `vars`");
        var = find_var(p, rest);
        return var < 0 ? n : (struct play_name){.kind = PLAY_VAR, .index = (unsigned)var};
    }
    const bool exit = ends(name, ".exit", &rest);
    *why = HINTED("unknown name", "; there are host, event.KEY, vars.NAME, and NAME.exit and NAME.output of an earlier step with `register: NAME`");
    for (unsigned i = 0; (exit || ends(name, ".output", &rest)) && i < known; i++)
        if (slice_eq(rest, p->registers[i]))
            return (struct play_name){.kind = exit ? PLAY_EXIT : PLAY_OUTPUT, .index = i};
    return n;
}

unsigned play_source(const struct play_name *n)
{
    switch (n->kind) {
    case PLAY_VAR:
        return PLAY_VARS;
    case PLAY_EXIT:
    case PLAY_OUTPUT:
        return PLAY_REGISTERS;
    case PLAY_HOST:
    case PLAY_FIELD:
        return PLAY_EVENT;
    case PLAY_UNKNOWN:
        break;
    }
    return 0;
}

/* ---- values ---- */

static int lacks(const struct play_piece *piece, struct text *why, const char *what, int err)
{
    text_str(why, "{{");
    text_bytes(why, piece->name.ptr, piece->name.len);
    text_str(why, "}}: ");
    text_str(why, what);
    return err;
}

/** The token of event.field, or negative. */
static int find_field(const struct json_doc *doc, struct slice field)
{
    char key[CONFIG_EVENT_BYTES < 256 ? CONFIG_EVENT_BYTES : 256];
    int at = 0;

    for (size_t i = 0; at >= 0 && i < field.len;) {
        const char *dot = memchr(field.ptr + i, '.', field.len - i);
        const size_t len = dot ? (size_t)(dot - field.ptr) - i : field.len - i;
        if (len >= sizeof key)
            return NEFIA_ENOTFOUND;
        memcpy(key, field.ptr + i, len);
        key[len] = '\0';
        at = json_member(doc, (unsigned)at, key);
        i += len + 1;
    }
    return at;
}

static int put_field(const struct play_filler *f, const struct play_piece *piece, struct slice field, struct text *out, struct text *why)
{
    const struct event *e = f->values->event;
    const size_t from = out->len;

    if (!e)
        return lacks(piece, why, "no event has set it off", NEFIA_ENOTFOUND);
    const int i = find_field(&e->doc, field);
    if (i < 0 || json_at(&e->doc, (unsigned)i)->type == JSON_NULL)
        return lacks(piece, why, "the event does not have it", NEFIA_ENOTFOUND);
    const struct json_token *t = json_at(&e->doc, (unsigned)i);
    const struct slice raw = json_raw(&e->doc, (unsigned)i);
    if (t->type == JSON_STRING)
        (void)json_string(&e->doc, (unsigned)i, out); /* without room: out->truncated */
    else if (t->type != JSON_OBJECT && t->type != JSON_ARRAY)
        text_bytes(out, raw.ptr, raw.len);
    else
        return lacks(piece, why, "is no single value", NEFIA_EINVAL);
    if (memchr(out->buf + from, '\0', out->len - from))
        return lacks(piece, why, "has a NUL character", NEFIA_EINVAL);
    return 0;
}

static const char *var_value(const struct play_filler *f, unsigned index)
{
    const struct playbook_var *var = &f->book->vars[index];
    const size_t len = strlen(var->name);

    for (unsigned i = 0; f->values && i < f->values->set_count; i++)
        if (strncmp(f->values->sets[i], var->name, len) == 0 && f->values->sets[i][len] == '=')
            return f->values->sets[i] + len + 1;
    return var->value;
}

static int put_register(const struct play_filler *f, const struct play_piece *piece, const struct play_name *n, struct text *out,
                        struct text *why)
{
    const struct playbook_register *r = &f->run->registers[n->index];

    if (!r->set)
        return lacks(piece, why, "its step has not run", NEFIA_ENOTFOUND);
    if (n->kind == PLAY_EXIT)
        text_u64(out, r->exit);
    else
        text_bytes(out, r->output, r->len);
    return 0;
}

static int put_value(const struct play_filler *f, const struct play_piece *piece, const struct play_name *n, struct text *out,
                     struct text *why)
{
    switch (n->kind) {
    case PLAY_VAR:
        text_str(out, var_value(f, n->index));
        return 0;
    case PLAY_HOST:
        text_str(out, f->values->host);
        return 0;
    case PLAY_FIELD:
        return put_field(f, piece, n->field, out, why);
    case PLAY_EXIT:
    case PLAY_OUTPUT:
        return put_register(f, piece, n, out, why);
    case PLAY_UNKNOWN:
        break;
    }
    return NEFIA_EINVAL;
}

/** Can only a run, or an event, say it? */
static bool is_open(const struct play_filler *f, const struct play_name *n)
{
    const unsigned source = play_source(n);

    return (source == PLAY_REGISTERS && !f->run) || (source == PLAY_EVENT && !f->values);
}

int play_fill_piece(struct play_filler *f, const struct play_piece *piece, struct text *out, struct text *why)
{
    const size_t why_len = why->len, out_len = out->len;
    const char *phrase;

    if (piece->kind == PLAY_QUOTED) {
        text_bytes(out, piece->name.ptr, piece->name.len);
        return 0;
    }
    struct play_name n = play_name(f->book, piece->name, f->book->register_count, &phrase);
    if (n.kind == PLAY_UNKNOWN)
        return lacks(piece, why, phrase, NEFIA_EINVAL);
    if (is_open(f, &n)) {
        f->open = true;
        text_str(out, "{{");
        text_bytes(out, piece->name.ptr, piece->name.len);
        text_str(out, "}}");
        return f->plan ? 0 : lacks(piece, why, "is not known yet", NEFIA_ENOTFOUND);
    }
    const int err = put_value(f, piece, &n, out, why);
    if (err != NEFIA_ENOTFOUND || piece->fallback_kind == PLAY_NO_FALLBACK)
        return err;
    text_rewind(why, why_len);
    text_rewind(out, out_len);
    if (piece->fallback_kind == PLAY_FALLBACK_TEXT) {
        text_bytes(out, piece->fallback.ptr, piece->fallback.len);
        return 0;
    }
    n = play_name(f->book, piece->fallback, 0, &phrase);
    if (n.kind != PLAY_VAR)
        return lacks(piece, why, phrase, NEFIA_EINVAL);
    text_str(out, var_value(f, n.index));
    return 0;
}

int play_fill(struct play_filler *f, const char *template, struct text *out, struct text *why)
{
    const char *phrase;
    struct play_piece piece;
    int err;

    while ((err = play_cut(&template, &piece, &phrase)) > 0) {
        text_bytes(out, piece.before.ptr, piece.before.len);
        err = piece.kind == PLAY_TEXT ? 0 : play_fill_piece(f, &piece, out, why);
        if (err < 0)
            return err;
    }
    if (err < 0)
        text_str(why, phrase);
    return err;
}
