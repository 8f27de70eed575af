/* `when`: comparisons joined by `and`. It is taken apart before anything is put in, so that no value can become a part of it. */
#include <string.h>

#include "nefia/base/err.h"
#include "play_int.h"

/* ---- syntax ---- */

static const char *skip_blanks(const char *at)
{
    return at + strspn(at, " \t");
}

/** A template, a text in quotes, or one word. */
static int cut_operand(const char **at, struct play_piece *piece, const char **why)
{
    const char *p = skip_blanks(*at);

    *piece = (struct play_piece){.kind = PLAY_QUOTED};
    if (p[0] == '{' && p[1] == '{') {
        *at = p;
        return play_cut_template(at, piece, why);
    }
    if (*p == '"' || *p == '\'') {
        const char *end = strchr(p + 1, *p);
        *why = "a quotation mark has no end";
        if (!end)
            return NEFIA_ESYNTAX;
        piece->name = (struct slice){p + 1, (size_t)(end - p - 1)};
        *at = end + 1;
        return 1;
    }
    piece->name = (struct slice){p, strcspn(p, " \t=!<>{}\"'|&")};
    *at = p + piece->name.len;
    *why = HINTED("a value is missing", "; it is a template, a word, or a text in quotes");
    return piece->name.len > 0 ? 1 : NEFIA_ESYNTAX;
}

static int cut_compare(const char **at, enum play_compare *compare, const char **why)
{
    static const char words[] = "==\0!=\0<=\0>=\0<\0>\0"; /* as enum play_compare; the longer ones first */
    const char *p = skip_blanks(*at);

    for (unsigned i = 0; i <= PLAY_MORE; i++) {
        const char *word = word_at(words, i);
        if (strncmp(p, word, strlen(word)) != 0)
            continue;
        *compare = (enum play_compare)i;
        *at = p + strlen(word);
        return 1;
    }
    *why = HINTED("a comparison is missing", "; there are ==, !=, <, >, <= and >=");
    return NEFIA_ESYNTAX;
}

/** The `and` between two terms, or the end. */
static int cut_and(const char **at, const char **why)
{
    const char *p = skip_blanks(*at);

    if (*p != '\0') {
        *why = HINTED("`and` or the end is missing", "; there are no `or`, no `not` and no brackets");
        if (strncmp(p, "and", 3) != 0 || (p[3] != ' ' && p[3] != '\t'))
            return NEFIA_ESYNTAX;
        p = skip_blanks(p + 3);
        *why = "nothing behind `and`";
        if (*p == '\0')
            return NEFIA_ESYNTAX;
    }
    *at = p;
    return 1;
}

int play_cut_term(const char **at, struct play_term *term, const char **why)
{
    if (*skip_blanks(*at) == '\0')
        return 0;
    int err = cut_operand(at, &term->left, why);
    if (err > 0)
        err = cut_compare(at, &term->compare, why);
    if (err > 0)
        err = cut_operand(at, &term->right, why);
    return err > 0 ? cut_and(at, why) : err;
}

/* ---- values ---- */

/** -12.5: digits with at most one point, without zeros at their beginning; the ends of both are what counts. */
struct number {
    bool negative;
    struct slice whole, fraction;
};

static bool read_number(struct slice s, struct number *n)
{
    size_t at = s.len > 0 && s.ptr[0] == '-', from;

    *n = (struct number){.negative = at > 0};
    while (at + 1 < s.len && s.ptr[at] == '0' && s.ptr[at + 1] >= '0' && s.ptr[at + 1] <= '9')
        at++;
    for (from = at; at < s.len && s.ptr[at] >= '0' && s.ptr[at] <= '9';)
        at++;
    n->whole = (struct slice){s.ptr + from, at - from};
    if (at == s.len || at == from)
        return at > from;
    for (from = ++at; at < s.len && s.ptr[at] >= '0' && s.ptr[at] <= '9';)
        at++;
    n->fraction = (struct slice){s.ptr + from, at - from};
    while (n->fraction.len > 0 && n->fraction.ptr[n->fraction.len - 1] == '0')
        n->fraction.len--;
    return s.ptr[from - 1] == '.' && at == s.len && at > from;
}

static bool is_zero(const struct number *n)
{
    return n->whole.len == 1 && n->whole.ptr[0] == '0' && n->fraction.len == 0;
}

static int sign(int v)
{
    return (v > 0) - (v < 0);
}

/** Of numbers without their signs. */
static int compare_amounts(const struct number *a, const struct number *b)
{
    if (a->whole.len != b->whole.len)
        return a->whole.len < b->whole.len ? -1 : 1;
    const size_t common = a->fraction.len < b->fraction.len ? a->fraction.len : b->fraction.len;
    int order = sign(memcmp(a->whole.ptr, b->whole.ptr, a->whole.len));
    if (order == 0 && common > 0)
        order = sign(memcmp(a->fraction.ptr, b->fraction.ptr, common));
    if (order == 0 && a->fraction.len != b->fraction.len)
        order = a->fraction.len < b->fraction.len ? -1 : 1;
    return order;
}

static int compare_numbers(const struct number *a, const struct number *b)
{
    const bool a_below = a->negative && !is_zero(a), b_below = b->negative && !is_zero(b);

    if (a_below != b_below)
        return a_below ? -1 : 1;
    return a_below ? compare_amounts(b, a) : compare_amounts(a, b);
}

static int refuse_number(struct slice s, struct text *why)
{
    enum { SHOWN = 40 };

    text_char(why, '"');
    text_printable(why, s.ptr, utf8_cut(s.ptr, s.len, SHOWN));
    text_str(why, s.len > SHOWN ? "...\" is no number" : "\" is no number");
    return NEFIA_EINVAL;
}

static int compare(enum play_compare how, struct slice a, struct slice b, struct text *why)
{
    struct number left, right;

    if (how == PLAY_EQUAL || how == PLAY_UNEQUAL)
        return (a.len == b.len && memcmp(a.ptr, b.ptr, a.len) == 0) == (how == PLAY_EQUAL);
    if (!read_number(a, &left))
        return refuse_number(a, why);
    if (!read_number(b, &right))
        return refuse_number(b, why);
    const int order = compare_numbers(&left, &right);
    return how == PLAY_LESS ? order < 0 : how == PLAY_MORE ? order > 0 : how == PLAY_AT_MOST ? order <= 0 : order >= 0;
}

static int fill_operand(struct play_filler *f, const struct play_piece *piece, struct text *t, struct slice *value, struct text *why)
{
    const size_t from = t->len;
    const int err = play_fill_piece(f, piece, t, why);

    *value = (struct slice){t->buf + from, t->len - from};
    if (err == 0 && t->truncated) {
        text_str(why, "a value is too long to be compared");
        return NEFIA_ETOOBIG;
    }
    return err;
}

int play_when(struct play_filler *f, const char *when, char *buf, size_t cap, struct text *why)
{
    bool open = false;
    struct play_term term;
    const char *phrase;
    struct slice left, right;
    struct text t;
    int err;

    while ((err = play_cut_term(&when, &term, &phrase)) > 0) {
        f->open = false;
        text_init(&t, buf, cap);
        err = fill_operand(f, &term.left, &t, &left, why);
        if (err == 0)
            err = fill_operand(f, &term.right, &t, &right, why);
        if (err == 0 && !f->open)
            err = compare(term.compare, left, right, why);
        if (err < 0)
            return err;
        if (err == 0 && !f->open)
            return 0;
        open |= f->open;
    }
    if (err < 0)
        text_str(why, phrase);
    return err < 0 ? err : open ? NEFIA_EAGAIN : 1;
}
