/* RE2 syntax to a tree. One pass over the text with an explicit stack of groups. */
#include "pattern_int.h"

#include <string.h>

#include "nefia/base/err.h"

enum flag { FOLD = 1, MULTILINE = 2, DOT_NEWLINE = 4, UNGREEDY = 8 };

/* The pattern is valid UTF-8, so ASCII characters can be compared as bytes. */
struct parser {
    struct tree *t;
    size_t at;
    size_t depth;
    uint8_t flags;
    bool repeated; /* the preceding piece is a repetition */
};

int tree_refuse(struct tree *t, int err, size_t at, size_t len, const char *reason)
{
    if (!t->why)
        return err;
    if (len > t->len - at)
        len = t->len - at;
    if (at > 0 || len > 0) {
        text_str(t->why, "offset ");
        text_u64(t->why, at);
        if (len > 0) {
            text_str(t->why, ", \"");
            text_printable(t->why, t->re + at, utf8_cut(t->re + at, t->len - at, len));
            text_str(t->why, "\"");
        }
        text_str(t->why, ": ");
    }
    text_str(t->why, reason);
    return err;
}

static int refuse(struct parser *p, size_t at, size_t len, const char *reason)
{
    return tree_refuse(p->t, NEFIA_ESYNTAX, at, len, reason);
}

static int too_big(struct parser *p, size_t at, size_t len, const char *reason)
{
    return tree_refuse(p->t, NEFIA_ETOOBIG, at, len, reason);
}

static size_t left(const struct parser *p)
{
    return p->t->len - p->at;
}

/** The byte `ahead` positions on; NUL beyond the end (a NUL in the pattern does not match any
 * syntax either). */
static char peek(const struct parser *p, size_t ahead)
{
    return ahead < left(p) ? p->t->re[p->at + ahead] : '\0';
}

static bool ahead_is(const struct parser *p, const char *s)
{
    size_t n = strlen(s);

    return left(p) >= n && memcmp(p->t->re + p->at, s, n) == 0;
}

static struct pattern_node *node(struct parser *p, uint16_t i)
{
    return &p->t->s->nodes[i];
}

static struct pattern_group *group(struct parser *p)
{
    return &p->t->s->groups[p->depth];
}

/* ---- the tree -------------------------------------------------------------------------------- */

uint16_t tree_node(struct tree *t, enum node_kind kind, size_t at)
{
    struct pattern_node *n = &t->s->nodes[t->nodes];

    if (t->nodes >= PATTERN_NODES)
        return 0;
    memset(n, 0, sizeof *n);
    n->kind = (uint8_t)kind;
    n->at = (uint16_t)at;
    n->product = 1;
    return t->nodes++;
}

static int no_room(struct parser *p)
{
    return too_big(p, p->at, 0, HINTED("too many parts", "; split the pattern into several rules"));
}

/** Append a piece to the alternative being read. */
static int add(struct parser *p, uint16_t i)
{
    struct pattern_group *g = group(p);

    if (i == 0)
        return no_room(p);
    if (g->last)
        node(p, g->last)->next = i;
    else
        g->items = i;
    g->before_last = g->last;
    g->last = i;
    g->item_count++;
    return 0;
}

/** A list of siblings as one node: the only one itself, or a parent of the given kind. */
static uint16_t parent(struct parser *p, enum node_kind kind, uint16_t first, uint16_t count,
                       size_t at)
{
    uint16_t i;

    if (count == 1)
        return first;
    i = tree_node(p->t, count == 0 ? NODE_EMPTY : kind, at);
    if (i == 0)
        return 0;
    node(p, i)->child = first;
    node(p, i)->count = count;
    for (uint16_t k = first; k != 0; k = node(p, k)->next)
        if (node(p, k)->product > node(p, i)->product)
            node(p, i)->product = node(p, k)->product;
    return i;
}

static int end_branch(struct parser *p)
{
    struct pattern_group *g = group(p);
    uint16_t i = parent(p, NODE_SEQ, g->items, g->item_count, g->at);

    if (i == 0)
        return no_room(p);
    if (g->last_branch)
        node(p, g->last_branch)->next = i;
    else
        g->branches = i;
    g->last_branch = i;
    g->branch_count++;
    g->items = g->before_last = g->last = g->item_count = 0;
    return 0;
}

static uint16_t end_group(struct parser *p)
{
    struct pattern_group *g = group(p);

    if (end_branch(p) < 0)
        return 0;
    return parent(p, NODE_ALT, g->branches, g->branch_count, g->at);
}

/* ---- pieces ---------------------------------------------------------------------------------- */

static int add_assert(struct parser *p, unsigned mask, size_t len)
{
    uint16_t i = tree_node(p->t, NODE_ASSERT, p->at);

    if (i == 0)
        return no_room(p);
    if (mask & LINE_ANCHOR)
        p->t->line_anchors = true;
    else if (mask & (AT_BEGIN | AT_END))
        p->t->text_anchors = true;
    p->t->asserts |= (uint8_t)mask;
    node(p, i)->value = mask;
    p->at += len;
    return add(p, i);
}

/** Turn the ranges added since `first` into a piece. */
static int add_set(struct parser *p, uint16_t first, bool negate, size_t at)
{
    int n = set_close(p->t, first, negate);
    uint16_t i;

    if (n < 0)
        return too_big(p, at, p->at - at,
                       HINTED("too many ranges in the class", "; use fewer or wider ones"));
    i = tree_node(p->t, NODE_SET, at);
    if (i == 0)
        return no_room(p);
    node(p, i)->child = first;
    node(p, i)->count = (uint16_t)n;
    return add(p, i);
}

static bool is_letter(uint32_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static int add_char(struct parser *p, uint32_t c, size_t at)
{
    uint16_t i, first = p->t->ranges;

    if (p->flags & FOLD && c >= 0x80)
        return refuse(
            p, at, p->at - at,
            HINTED("(?i) supports ASCII only", "; list both cases in a class outside (?i)"));
    if (p->flags & FOLD && is_letter(c)) {
        if (!set_add(p->t, c, c, true))
            return no_room(p);
        return add_set(p, first, false, at);
    }
    i = tree_node(p->t, NODE_CHAR, at);
    if (i == 0)
        return no_room(p);
    node(p, i)->value = c;
    return add(p, i);
}

static int add_dot(struct parser *p)
{
    uint16_t first = p->t->ranges;
    size_t at = p->at++;

    if (!(p->flags & DOT_NEWLINE) && !set_add(p->t, '\n', '\n', false))
        return no_room(p);
    return add_set(p, first, true, at);
}

/** A literal character. */
static uint32_t take_char(struct parser *p)
{
    uint32_t c = 0;

    p->at += (size_t)utf8_decode(p->t->re + p->at, left(p), &c);
    return c;
}

static int literal(struct parser *p)
{
    size_t at = p->at;

    return add_char(p, take_char(p), at);
}

/* ---- escapes --------------------------------------------------------------------------------- */

static int bad_hex(struct parser *p, size_t at)
{
    return refuse(p, at, p->at - at + 1,
                  "write \\x7F (two hex digits) or \\x{10FFFF} (at most that)");
}

/** After `\x`. */
static int hex_escape(struct parser *p, size_t at, uint32_t *c)
{
    bool braces = peek(p, 0) == '{';
    size_t digits = 0;

    p->at += braces;
    for (*c = 0; hex_digit(peek(p, 0)) >= 0 && (braces || digits < 2); p->at++, digits++) {
        *c = *c << 4 | (uint32_t)hex_digit(peek(p, 0));
        if (*c > CHAR_LAST)
            return bad_hex(p, at);
    }
    if (braces ? digits == 0 || peek(p, 0) != '}' : digits < 2)
        return bad_hex(p, at);
    p->at += braces;
    return 0;
}

/** At the digit after the backslash: `\0`, `\012`, `\123`; a single digit would be a
 * back-reference. */
static int octal_escape(struct parser *p, size_t at, uint32_t *c)
{
    char next = peek(p, 1);

    if (peek(p, 0) > '7' || (peek(p, 0) != '0' && (next < '0' || next > '7')))
        return refuse(p, at, 2,
                      HINTED("back-references are not supported, as matching would not be linear",
                             "; repeat the expression instead"));
    *c = 0;
    for (int i = 0; i < 3 && peek(p, 0) >= '0' && peek(p, 0) <= '7'; i++, p->at++)
        *c = *c * 8 + (uint32_t)(peek(p, 0) - '0');
    return 0;
}

/** An escape that stands for one character, inside or outside a class. */
static int char_escape(struct parser *p, uint32_t *c)
{
    static const char names[] = "afnrtv", values[] = "\a\f\n\r\t\v";
    size_t at = p->at++;
    char e = peek(p, 0);
    const char *found = e ? strchr(names, e) : NULL;

    if (left(p) == 0)
        return refuse(p, at, 1,
                      HINTED("trailing backslash", "; write \\\\ for a literal backslash"));
    if (is_digit(e))
        return octal_escape(p, at, c);
    if (found || e == 'x')
        p->at++;
    if (e == 'x')
        return hex_escape(p, at, c);
    if (found) {
        *c = (unsigned char)values[found - names];
        return 0;
    }
    if ((unsigned char)e >= 0x80 || is_letter((unsigned char)e))
        return refuse(p, at, 2,
                      HINTED("unknown escape", "; ordinary characters need no backslash"));
    *c = (unsigned char)e;
    p->at++;
    return 0;
}

static int quoted(struct parser *p)
{
    p->at += 2;
    while (left(p) > 0) {
        int err;

        if (ahead_is(p, "\\E")) {
            p->at += 2;
            return 0;
        }
        err = literal(p);
        if (err < 0)
            return err;
    }
    return 0;
}

static int refuse_property(struct parser *p)
{
    size_t len = 3;

    if (peek(p, 2) == '{')
        while (len < left(p) && p->t->re[p->at + len - 1] != '}')
            len++;
    return refuse(p, p->at, len,
                  HINTED("Unicode classes are not supported", "; list the characters in [...]"));
}

static bool is_perl_class(char c)
{
    return c && strchr("dDsSwW", c);
}

/** Add the Perl class at the current position (`\d`) to the set being built. */
static int take_perl_class(struct parser *p)
{
    char name = peek(p, 1);
    bool negate = name < 'a';
    char lower = (char)(negate ? name + 32 : name);

    p->at += 2;
    return set_add_class(p->t, &lower, 1, negate, p->flags & FOLD) < 0 ? no_room(p) : 0;
}

static int escape(struct parser *p)
{
    size_t at = p->at;
    uint16_t first = p->t->ranges;
    uint32_t c = 0;
    int err;

    switch (peek(p, 1)) {
    case 'A':
        return add_assert(p, AT_BEGIN, 2);
    case 'z':
        return add_assert(p, AT_END, 2);
    case 'b':
        return add_assert(p, AT_WORD_EDGE, 2);
    case 'B':
        return add_assert(p, NOT_WORD_EDGE, 2);
    case 'Q':
        return quoted(p);
    case 'C':
        return refuse(p, at, 2, HINTED("\\C is not supported", "; use . for any character"));
    case 'Z':
        return refuse(p, at, 2, HINTED("unknown escape", "; use \\z or $ for the end of the text"));
    case 'p':
    case 'P':
        return refuse_property(p);
    default:
        break;
    }
    if (is_perl_class(peek(p, 1))) {
        err = take_perl_class(p);
        return err < 0 ? err : add_set(p, first, false, at);
    }
    err = char_escape(p, &c);
    return err < 0 ? err : add_char(p, c, at);
}

/* ---- classes --------------------------------------------------------------------------------- */

/** `[:name:]` or `[:^name:]`. Return: 1 consumed, 0 not of that form, or an error. */
static int take_posix_class(struct parser *p)
{
    const char *s = p->t->re + p->at;
    size_t n = left(p), end = 2, name = 2;
    bool negate;
    int err;

    if (!ahead_is(p, "[:"))
        return 0;
    while (end + 1 < n && !(s[end] == ':' && s[end + 1] == ']'))
        end++;
    if (end + 1 >= n)
        return 0;
    negate = end > 2 && s[2] == '^';
    name += negate;
    /* Perl's one-letter names are not POSIX ones. */
    err = end - name > 1 ? set_add_class(p->t, s + name, end - name, negate, p->flags & FOLD)
                         : NEFIA_ENOTFOUND;
    if (err == NEFIA_ENOTFOUND)
        return refuse(p, p->at, end + 2,
                      HINTED("unknown class", "; supported are alnum alpha ascii blank cntrl digit "
                                              "graph lower print punct space upper word xdigit"));
    if (err < 0)
        return no_room(p);
    p->at += end + 2;
    return 1;
}

static int class_char(struct parser *p, uint32_t *c)
{
    if (peek(p, 0) == '\\')
        return char_escape(p, c);
    *c = take_char(p);
    return 0;
}

/** A character or a range of characters. */
static int take_range(struct parser *p, size_t start)
{
    size_t at = p->at;
    uint32_t lo = 0, hi;
    int err = class_char(p, &lo);

    if (err < 0)
        return err;
    hi = lo;
    if (left(p) >= 2 && peek(p, 0) == '-' && peek(p, 1) != ']') {
        p->at++;
        err = class_char(p, &hi);
        if (err < 0)
            return err;
    }
    if (hi < lo)
        return refuse(p, at, p->at - at, "range out of order");
    if (p->flags & FOLD && hi >= 0x80)
        return refuse(
            p, at, p->at - at,
            HINTED("(?i) supports ASCII only", "; list both cases in a class outside (?i)"));
    if (!set_add(p->t, lo, hi, p->flags & FOLD))
        return too_big(p, start, 1,
                       HINTED("too many ranges in the class", "; use fewer or wider ones"));
    return 0;
}

static int class_item(struct parser *p, size_t start)
{
    int taken = take_posix_class(p);

    if (taken != 0)
        return taken;
    if (peek(p, 0) == '\\' && (peek(p, 1) == 'p' || peek(p, 1) == 'P'))
        return refuse_property(p);
    if (peek(p, 0) == '\\' && is_perl_class(peek(p, 1)))
        return take_perl_class(p);
    return take_range(p, start);
}

static int class(struct parser *p)
{
    size_t start = p->at++;
    uint16_t first = p->t->ranges;
    bool negate = peek(p, 0) == '^', some = false;

    p->at += negate;
    for (; left(p) > 0; some = true) {
        int err;

        if (peek(p, 0) == ']' && some) {
            p->at++;
            return add_set(p, first, negate, start);
        }
        err = class_item(p, start);
        if (err < 0)
            return err;
    }
    return refuse(p, start, left(p), HINTED("missing closing ]", "; write \\[ for a literal ["));
}

/* ---- repetition ------------------------------------------------------------------------------ */

static int repeat(struct parser *p, uint32_t min, uint32_t max, size_t at)
{
    struct pattern_group *g = group(p);
    uint32_t times = max == REPEAT_INF ? min : max;
    uint16_t i;

    if (peek(p, 0) == '?') /* greediness does not matter for a yes-or-no match */
        p->at++;
    if (p->repeated)
        return refuse(p, at, p->at - at,
                      HINTED("repeated repetition", "; put the inner one in ( )"));
    if (g->last == 0)
        return refuse(p, at, p->at - at,
                      HINTED("nothing to repeat", "; write \\ before a literal character"));
    if (times * node(p, g->last)->product > REPEAT_MAX)
        return refuse(p, at, p->at - at, "nested repetition counts multiply to more than 1000");
    i = tree_node(p->t, NODE_REP, at);
    if (i == 0)
        return no_room(p);
    *node(p, i) = (struct pattern_node){
        .kind = NODE_REP,
        .child = g->last,
        .count = 1,
        .min = (uint16_t)min,
        .max = (uint16_t)max,
        .product = (uint16_t)(node(p, g->last)->product * (times > 0 ? times : 1)),
        .at = (uint16_t)at,
    };
    if (g->before_last)
        node(p, g->before_last)->next = i;
    else
        g->items = i;
    g->last = i;
    p->repeated = true;
    return 0;
}

/** Decimal without leading zeros at s[*i]; values over the limit are read as limit + 1. */
static bool count(const char *s, size_t n, size_t *i, uint32_t *out)
{
    size_t from = *i;

    *out = 0;
    for (; *i < n && is_digit(s[*i]); (*i)++)
        if (*out <= REPEAT_MAX)
            *out = *out * 10 + (uint32_t)(s[*i] - '0');
    return *i > from && !(s[from] == '0' && *i > from + 1);
}

static int literal_brace(struct parser *p)
{
    p->repeated = false;
    return literal(p);
}

/** `{2}`, `{2,}` or `{2,3}`; anything else is a literal brace. */
static int counted(struct parser *p)
{
    const char *s = p->t->re + p->at;
    size_t n = left(p), i = 1, at = p->at;
    uint32_t min, max;

    if (!count(s, n, &i, &min))
        return literal_brace(p);
    max = min;
    if (i < n && s[i] == ',') {
        i++;
        max = REPEAT_INF;
        if (i < n && s[i] != '}' && !count(s, n, &i, &max))
            return literal_brace(p);
    }
    if (i >= n || s[i] != '}')
        return literal_brace(p);
    p->at += i + 1;
    if (min > REPEAT_MAX || (max != REPEAT_INF && (max > REPEAT_MAX || max < min)))
        return refuse(p, at, i + 1, "counts must not exceed 1000, the smaller one first");
    return repeat(p, min, max, at);
}

static int repetition(struct parser *p)
{
    char c = p->t->re[p->at];
    size_t at = p->at;

    if (c == '{')
        return counted(p);
    p->at++;
    return repeat(p, c == '+', c == '?' ? 1 : REPEAT_INF, at);
}

/* ---- groups ---------------------------------------------------------------------------------- */

static int push_group(struct parser *p, size_t at, uint8_t restore)
{
    if (p->depth == PATTERN_DEPTH)
        return too_big(p, at, 1, "groups nested more than 16 deep");
    p->depth++;
    *group(p) = (struct pattern_group){.at = (uint16_t)at, .flags = restore};
    return 0;
}

static bool is_name_char(char c)
{
    return char_is_word((unsigned char)c);
}

/** `(?P<name>` or `(?<name>`; prefix is the part before the name; the name is not used. */
static int named_group(struct parser *p, size_t prefix)
{
    size_t at = p->at, from = at + prefix, len = 0;
    const char *re = p->t->re;

    while (from + len < p->t->len && is_name_char(re[from + len]))
        len++;
    if (len == 0 || from + len >= p->t->len || re[from + len] != '>')
        return refuse(p, at, prefix + len + 1,
                      "a group name consists of letters, digits and _, closed by >");
    p->at = from + len + 1;
    return push_group(p, at, p->flags);
}

static const char *why_not(char c)
{
    switch (c) {
    case '=':
    case '!':
    case '<':
        return HINTED("lookahead and lookbehind are not part of RE2", "; write what must match");
    case '#':
        return "comments are not part of RE2";
    case '>':
        return HINTED("atomic groups are not part of RE2", "; use (?: )");
    case 'P':
        return HINTED("unsupported (?P syntax", "; use (?P<name>...)");
    default:
        return HINTED("unknown flag", "; supported are i m s U, as in (?i) or (?i:...)");
    }
}

static uint8_t flag_of(char c)
{
    switch (c) {
    case 'i':
        return FOLD;
    case 'm':
        return MULTILINE;
    case 's':
        return DOT_NEWLINE;
    case 'U':
        return UNGREEDY;
    default:
        return 0;
    }
}

/** `(?flags)`, `(?flags-flags:` and so on. */
static int flag_group(struct parser *p)
{
    size_t at = p->at;
    uint8_t flags = p->flags, old = p->flags;
    bool off = false, some = true; /* `-` must be followed by a flag */

    for (p->at += 2; left(p) > 0; p->at++) {
        char c = peek(p, 0);
        uint8_t flag = flag_of(c);

        if (flag) {
            flags = (uint8_t)(off ? flags & ~flag : flags | flag);
            some = true;
        } else if (c == '-' && !off) {
            off = true;
            some = false;
        } else if ((c == ':' || c == ')') && some) {
            p->at++;
            p->flags = flags;
            return c == ':' ? push_group(p, at, old) : 0;
        } else {
            break;
        }
    }
    return refuse(p, at, p->at - at + 1, why_not(peek(p, 0)));
}

static int open_group(struct parser *p)
{
    if (peek(p, 1) != '?') {
        p->at++;
        return push_group(p, p->at - 1, p->flags);
    }
    if (ahead_is(p, "(?P<"))
        return named_group(p, 4);
    if (ahead_is(p, "(?<") && peek(p, 3) != '=' && peek(p, 3) != '!')
        return named_group(p, 3);
    return flag_group(p);
}

static int close_group(struct parser *p)
{
    uint16_t i;

    if (p->depth == 0)
        return refuse(p, p->at, 1, HINTED("unmatched )", "; write \\) for a literal )"));
    i = end_group(p);
    if (i == 0)
        return NEFIA_ETOOBIG;
    p->flags = group(p)->flags;
    p->depth--;
    p->at++;
    return add(p, i);
}

/* ---- the whole pattern ----------------------------------------------------------------------- */

static int step(struct parser *p)
{
    unsigned line = p->flags & MULTILINE ? LINE_ANCHOR : 0;
    char c = p->t->re[p->at];

    if (c != '*' && c != '+' && c != '?' && c != '{')
        p->repeated = false;
    switch (c) {
    case '(':
        return open_group(p);
    case ')':
        return close_group(p);
    case '|':
        p->at++;
        return end_branch(p);
    case '^':
        return add_assert(p, AT_BEGIN | line, 1);
    case '$':
        return add_assert(p, AT_END | line, 1);
    case '.':
        return add_dot(p);
    case '[':
        return class(p);
    case '\\':
        return escape(p);
    case '*':
    case '+':
    case '?':
    case '{':
        return repetition(p);
    default:
        return literal(p);
    }
}

int tree_parse(struct tree *t)
{
    struct parser p = {.t = t, .flags = t->dot_newline ? DOT_NEWLINE : 0};

    if (t->len > CONFIG_PATTERN_BYTES)
        return tree_refuse(t, NEFIA_ETOOBIG, 0, 0, "pattern exceeds CONFIG_PATTERN_BYTES");
    if (!utf8_valid(t->re, t->len))
        return tree_refuse(t, NEFIA_ESYNTAX, 0, 0, "pattern is not UTF-8");
    t->nodes = 1;
    *group(&p) = (struct pattern_group){0};
    while (p.at < t->len) {
        int err = step(&p);

        if (err < 0)
            return err;
    }
    if (p.depth > 0)
        return refuse(&p, group(&p)->at, 1,
                      HINTED("missing closing )", "; write \\( for a literal ("));
    t->root = end_group(&p);
    return t->root == 0 ? NEFIA_ETOOBIG : 0;
}
