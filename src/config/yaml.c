/* The YAML that configurations are written in (YAML 1.2, core schema): block and flow maps and
 * lists, plain scalars on one line, quoted scalars, | and > blocks, comments. What is accepted
 * means what YAML 1.2 says it means; the rest is refused by name, on the line where the mistake is.
 *
 * One pass over a small window of the file. Block structure is a stack of columns beside the open
 * containers of the tree; nothing recurses. The first error ends the input: every later look at it
 * sees the end of the file, so that no caller has to ask. */
#include <errno.h>
#include <limits.h>
#include <string.h>

#include "source.h"
#include "tree.h"
#include "nefia/base/err.h"
#include "nefia/base/kconfig.h"

enum {
    WINDOW = 256,
    KEY_BYTES = 1024, /* YAML 1.2, 7.4.2: longest key */
    END = -1,         /* what a look behind the last byte sees */
};

struct yaml {
    struct config_tree *t;
    struct config_source *s;
    unsigned char *in; /* the window: bytes pos..len of it are still to be read */
    size_t pos, len, work_cap;
    bool ended;             /* the source has no more */
    bool fresh;             /* only spaces so far on this line */
    bool gap;               /* a blank or a line's beginning is just before the next byte */
    bool started, finished; /* --- and ... were there */
    int err;
    unsigned line, column; /* of the next byte; from 1, from 0 */
    unsigned quote_line;   /* where the last scalar opened, if it is quoted and of several lines */
    unsigned min;          /* least column of the continuation lines of what is being read */
    struct text text;      /* the scalar being read */
    bool quoted;
    /* Beside the tree's open containers: the column of a block map's keys or a block list's dashes;
     * the line of a flow container's bracket. */
    unsigned column_of[CONFIG_MAX_DEPTH], line_of[CONFIG_MAX_DEPTH];
    bool waits; /* a key or a dash ended its line: its value may begin on the next one */
    unsigned waits_line;
    unsigned lone_line; /* of the last node, when it is a scalar that is all of its line; else 0 */
    unsigned char lone_problem; /* what is wrong if that was to be more than a scalar */
};

/* ---- refusing ---- */

/* What is wrong, and the remedy. All in one string: a number is less code than a pointer. */
#define PROBLEMS(X)                                                                                \
    X(UTF8, "bytes that are not UTF-8", "; save the file as UTF-8 text")                           \
    X(UTF16, "the file is UTF-16", "; save it as UTF-8 text")                                      \
    X(CONTROL, "a control or invisible character",                                                 \
      "; remove it, or write it as \\xHH or \\uHHHH in double quotes")                             \
    X(RETURN, "a carriage return without a line feed", "; end lines with LF or CR LF")             \
    X(TAB, "a tab in the indentation", "; indent with spaces")                                     \
    X(QUOTE, "the quote that opens here is not closed",                                            \
      "; text of several lines is indented deeper than its key")                                   \
    X(ESCAPE, "an unknown escape in double quotes",                                                \
      "; use single quotes for patterns, such as 'disk\\..*'")                                     \
    X(CODE, "an escape that is no character", "; \\x, \\u and \\U take 2, 4 and 8 hex digits")     \
    X(COMPLEX_KEY, "a complex key (?) is not supported", "; write `key: value`")                   \
    X(START, "text that begins with ?, %, @ or `", "; put it in quotes")                           \
    X(DIRECTIVE, "a directive (%) is not supported", "; remove the line")                          \
    X(NO_KEY, "a colon without a key", "")                                                         \
    X(COLON_FIRST, "text in brackets that begins with a colon",                                    \
      "; put an address such as \"[::1]:9500\" in quotes")                                         \
    X(DASH, "a dash that does not begin an item",                                                  \
      "; begin a list on the line below its key, and put other text that begins with - in quotes") \
    X(KEY, "a key that is not text",                                                               \
      "; write `key: value`, and put text that begins with *, [ or { in quotes")                   \
    X(LONG_KEY, "a key that is longer than a line", "; a quote that opens here may not be closed") \
    X(BLOCK, "a block of text (| or >) where none is possible", "; put the text in quotes")        \
    X(HEADER, "text on the line of | or >",                                                        \
      "; begin it on the next line, or put text that begins with | or > in quotes")                \
    X(BLANK_LINE, "indented less than the blank line above", "; remove the blanks of that line")   \
    X(CLOSING, "a closing bracket without an opening one", "")                                     \
    X(BRACKET, "the [ that opens here is not closed", "")                                          \
    X(BRACE, "the { that opens here is not closed", "")                                            \
    X(COMMA, "a comma without a value before it", "")                                              \
    X(NO_COMMA, "no comma before this", ", or an earlier bracket or quote is not closed")          \
    X(PAIR, "a colon in a list in brackets", "; write {key: value}")                               \
    X(COMMENT, "no space before the comment (#)", "")                                              \
    X(NO_SPACE, "no space after the colon", "; write `key: value`, and put an address in quotes")  \
    X(NO_COLON, "a key without a colon", "; write `key: value`")                                   \
    X(DASH_SPACE, "no space after the dash", "; write `- item`")                                   \
    X(SECOND_COLON, "a second `: ` on the line", "; put text that contains `: ` in quotes")        \
    X(REST, "text after the closing quote or bracket",                                             \
      "; put the whole value in quotes, such as \"[::1]:9500\"")                                   \
    X(ITEM, "a list item among the keys of a map", "; indent the list deeper than the keys")       \
    X(NO_DASH, "a line without a dash in a list",                                                  \
      "; begin each item with `- `, and its other keys in the column of the first")                \
    X(COLUMN, "the indentation matches no line above",                                             \
      "; begin the keys of a map, and the dashes of a list, in one column")                        \
    X(DEEPER, "indented deeper than the line above, which has a value",                            \
      "; begin keys in the column of the first, and put text of several lines in quotes")          \
    X(SECOND, "a second document begins here", "; keep one")                                       \
    X(NO_DOCUMENT, "a document ends (...) that did not begin", "; remove the line")                \
    X(MARK, "text after --- or ...", "; begin it on the next line")                                \
    X(AFTER, "text after the end of the map", "")                                                  \
    X(ANCHOR, "an anchor (&) is not supported", "; write the value out wherever it is wanted")     \
    X(TAG, "a tag (!) is not supported", "; remove it: values are typed by their key")             \
    X(ALIAS, "an alias (*) is not supported",                                                      \
      "; write the value out, and put text such as '*.disk' in quotes")                            \
    X(MERGE, "a merge key (<<) is not supported", "; write the members out")

enum problem {
#define X(name, what, remedy) name,
    PROBLEMS(X)
#undef X
        NONE
};

static const char problem_words[] =
#define X(name, what, remedy) what "\0" REMEDY(remedy) "\0"
    PROBLEMS(X)
#undef X
    ;

/** Report, and go on. */
static void complain(struct yaml *y, unsigned line, enum problem problem)
{
    if (y->err == 0)
        tree_error(y->t, line, word_at(problem_words, 2 * problem),
                   word_at(problem_words, 2 * problem + 1));
}

static void refuse(struct yaml *y, unsigned line, enum problem problem)
{
    complain(y, line, problem);
    if (y->err == 0)
        y->err = NEFIA_ESYNTAX;
}

/** What was read last is what is wrong, and not what comes next. */
static void refuse_last(struct yaml *y, unsigned line, enum problem problem)
{
    y->t->place = PLACE_LAST;
    refuse(y, line, problem);
}

static void refuse_here(struct yaml *y, enum problem problem)
{
    refuse(y, y->line, problem);
}

/** Take over what a call of the tree returned. */
static void did(struct yaml *y, int err)
{
    if (y->err == 0)
        y->err = err;
}

/* ---- characters ---- */

static void fill(struct yaml *y)
{
    memmove(y->in, y->in + y->pos, y->len - y->pos);
    y->len -= y->pos;
    y->pos = 0;
    int n = config_source_read(y->s, (char *)y->in + y->len, WINDOW - y->len);
    if (n < 0) {
        config_error(y->t->c, NULL, NULL, ERRNO(errno), (char *)0);
        y->err = n;
    }
    y->ended = n <= 0;
    y->len += n > 0 ? (size_t)n : 0;
}

/** The byte `ahead` (0..3) places further, or END. */
static int peek(struct yaml *y, unsigned ahead)
{
    while (y->pos + ahead >= y->len && !y->ended)
        fill(y);
    return y->err == 0 && y->pos + ahead < y->len ? y->in[y->pos + ahead] : END;
}

static bool is_blank(int c)
{
    return c == ' ' || c == '\t';
}

static bool is_break(int c)
{
    return c == '\n' || c == '\r';
}

static bool is_eol(int c)
{
    return c == END || is_break(c);
}

static bool is_gap(int c)
{
    return is_blank(c) || is_eol(c);
}

static bool is_bracket_or_comma(int c)
{
    return c == ',' || c == '[' || c == ']' || c == '{' || c == '}';
}

/** Past one character, which is no line break. Return: its bytes; 0 when it is refused. */
static unsigned next(struct yaml *y)
{
    int c = peek(y, 0), n = 1;
    uint32_t cp = (uint32_t)c;

    if (c == END)
        return 0;
    if (c >= 0x80) {
        (void)peek(y, 3);
        n = utf8_decode((const char *)y->in + y->pos, y->len - y->pos, &cp);
    }
    if (n < 0) {
        refuse_here(y, UTF8);
        return 0;
    }
    if ((utf8_is_control(cp) && c != '\t') || cp == 0xFEFF || (cp | 1) == 0xFFFF) {
        refuse_here(y, CONTROL);
        return 0;
    }
    y->fresh = y->fresh && c == ' ';
    y->gap = is_blank(c);
    y->pos += (unsigned)n;
    y->column += (unsigned)n;
    return (unsigned)n;
}

/** Past one character, which belongs to the scalar being read. */
static void keep(struct yaml *y)
{
    unsigned n = next(y);

    text_bytes(&y->text, (const char *)y->in + y->pos - n, n);
}

static void next_line(struct yaml *y)
{
    if (peek(y, 0) == '\r' && peek(y, 1) != '\n') {
        refuse_here(y, RETURN);
        return;
    }
    y->pos += peek(y, 0) == '\r' ? 2 : 1;
    y->line++;
    y->column = 0;
    y->fresh = y->gap = true;
}

/** Past the blanks on this line. A tab may not be part of the indentation, which goes as far as
 * column `least`. */
static void skip_blanks(struct yaml *y, unsigned least)
{
    while (is_blank(peek(y, 0))) {
        if (y->fresh && peek(y, 0) == '\t' && y->column < least)
            refuse_here(y, TAB);
        next(y);
    }
}

/** Past blanks, and the comment they begin. Return: is the line at its end? */
static bool at_line_end(struct yaml *y)
{
    skip_blanks(y, UINT_MAX);
    if (peek(y, 0) == '#' && y->gap)
        while (!is_eol(peek(y, 0)))
            next(y);
    return is_eol(peek(y, 0));
}

/** To the next token. Return: is there one? */
static bool skip_space(struct yaml *y, unsigned least)
{
    skip_blanks(y, least);
    while (at_line_end(y) && peek(y, 0) != END) {
        next_line(y);
        skip_blanks(y, least);
    }
    return peek(y, 0) != END;
}

/** Does the line begin with the mark of a document's start (-) or end (.)? Return: it, or 0. */
static int at_mark(struct yaml *y)
{
    int c = peek(y, 0);

    return y->column == 0 && (c == '-' || c == '.') && peek(y, 1) == c && peek(y, 2) == c &&
                   is_gap(peek(y, 3))
               ? c
               : 0;
}

static bool at_dash(struct yaml *y)
{
    return peek(y, 0) == '-' && is_gap(peek(y, 1));
}

static bool at_colon(struct yaml *y)
{
    return peek(y, 0) == ':' && is_gap(peek(y, 1));
}

/* ---- quoted scalars ---- */

/** Line breaks inside quotes: one is a space (none behind a backslash), more are one less. Blanks
 * around them do not count. `line` is where the quote opens. */
static void fold(struct yaml *y, unsigned line, bool escaped)
{
    unsigned breaks = 0;

    for (; is_break(peek(y, 0)); breaks++) {
        next_line(y);
        skip_blanks(y, y->min);
    }
    if (y->column < y->min || at_mark(y))
        refuse(y, line, QUOTE);
    if (breaks == 1 && !escaped)
        text_char(&y->text, ' ');
    while (--breaks > 0)
        text_char(&y->text, '\n');
}

/** The hex digits of \x, \u or \U, which is what the next bytes are. */
static void read_code(struct yaml *y, unsigned digits)
{
    char utf8[4];
    uint32_t cp = 0;

    next(y);
    while (digits-- > 0) {
        int digit = hex_digit(peek(y, 0));
        if (digit < 0 || cp > 0xFFFFFF) {
            refuse_here(y, CODE);
            return;
        }
        cp = cp << 4 | (unsigned)digit;
        next(y);
    }
    int n = utf8_encode(cp, utf8);
    if (n < 0) {
        refuse_here(y, CODE);
        return;
    }
    text_bytes(&y->text, utf8, (size_t)n);
}

/** An escape, from its backslash. YAML 1.2, 5.7. */
static void read_escape(struct yaml *y, unsigned line)
{
    static const char letters[] = "0abt\tnvfre \"/\\N_LP";
    static const char bytes[] = "\0\a\b\t\t\n\v\f\r\x1B \"/\\"
                                "\xC2\x85\0\xC2\xA0\0\xE2\x80\xA8\xE2\x80\xA9";
    next(y);
    int c = peek(y, 0);
    const char *at = c > 0 ? strchr(letters, c) : NULL;

    if (c == END)
        return;
    if (is_break(c))
        fold(y, line, true);
    else if (c == 'x' || c == 'u' || c == 'U')
        read_code(y, c == 'x' ? 2 : c == 'u' ? 4 : 8);
    else if (at == NULL)
        refuse_here(y, ESCAPE);
    else if (at - letters < 14)
        text_bytes(&y->text, bytes + (at - letters), 1);
    else
        text_bytes(&y->text, bytes + 14 + 3 * (at - letters - 14), c == 'N' || c == '_' ? 2 : 3);
    if (at != NULL)
        next(y);
}

/** The quote at hand, up to and with its end. Blanks in front of a line break are cut off, but not
 * where an escape made them: `solid` is how much of the text stays. */
static void read_quoted(struct yaml *y)
{
    int quote = peek(y, 0);
    unsigned line = y->line;
    size_t solid = 0;

    text_reset(&y->text);
    y->quoted = true;
    next(y);
    for (int c; (c = peek(y, 0)) != END;) {
        if (c == quote && (quote == '"' || peek(y, 1) != quote)) {
            next(y);
            y->quote_line = y->line != line ? line : 0;
            return;
        }
        if (is_break(c)) {
            if (!y->text.truncated)
                text_rewind(&y->text, solid);
            fold(y, line, false);
        } else if (c == '\\' && quote == '"') {
            read_escape(y, line);
        } else {
            if (c == quote)
                next(y);
            keep(y);
            if (is_blank(c))
                continue;
        }
        solid = y->text.len;
    }
    refuse(y, line, QUOTE);
}

/* ---- plain scalars ---- */

/** What is wrong with a plain scalar that begins with this. */
static enum problem wrong_start(struct yaml *y, int c, bool flow)
{
    bool gap = is_gap(peek(y, 1));

    switch (c) {
    case '?':
        return gap ? COMPLEX_KEY : START;
    case ':':
        return gap ? NO_KEY : flow ? COLON_FIRST : NONE;
    case '-':
        return gap || (flow && is_bracket_or_comma(peek(y, 1))) ? DASH : NONE;
    case '[':
    case '{':
        return KEY;
    case '|':
    case '>':
        return BLOCK;
    case '}':
    case ']':
        return CLOSING;
    case ',':
        return COMMA;
    case '%':
        return y->column == 0 ? DIRECTIVE : START;
    case '@':
    case '`':
        return START;
    case '#':
        return COMMENT;
    case 0xC2:
        return peek(y, 1) == 0xA0 ? CONTROL : NONE; /* a no-break space, pasted as indentation */
    default:
        return NONE;
    }
}

/** Up to a colon, a comment, the end of the line; in flow, to a comma or bracket. */
static void read_plain(struct yaml *y, bool flow)
{
    enum problem problem = wrong_start(y, peek(y, 0), flow);
    size_t end = 0;

    text_reset(&y->text);
    y->quoted = false;
    y->quote_line = 0;
    if (problem != NONE)
        refuse_here(y, problem);
    for (int c; !is_eol(c = peek(y, 0)) && !at_colon(y);) {
        if ((c == '#' && y->text.len > end) || (flow && is_bracket_or_comma(c)))
            break;
        if (flow && c == ':' && (is_bracket_or_comma(peek(y, 1)) || peek(y, 1) == '?'))
            refuse_here(y, NO_SPACE);
        keep(y);
        if (!is_blank(c))
            end = y->text.len;
    }
    if (!y->text.truncated)
        text_rewind(&y->text, end);
}

/** Of what was read last: did it fit? */
static void check_room(struct yaml *y)
{
    if (y->text.truncated)
        did(y, tree_no_work(y->t, y->work_cap));
}

static void read_scalar(struct yaml *y, bool flow)
{
    int c = peek(y, 0);

    if (c == '"' || c == '\'')
        read_quoted(y);
    else
        read_plain(y, flow);
    check_room(y);
}

/* ---- what goes into the tree ---- */

static void add_scalar(struct yaml *y, unsigned line)
{
    if (y->err == 0)
        did(y, tree_scalar(y->t, y->text.buf, y->text.len, line, y->quoted));
    y->waits = false;
}

/** No value: the text that was read last is done with. */
static void add_null(struct yaml *y, unsigned line)
{
    text_reset(&y->text);
    y->quoted = false;
    add_scalar(y, line);
}

static void add_key(struct yaml *y, unsigned line, unsigned column)
{
    if (y->line != line || y->column - column > KEY_BYTES)
        refuse(y, line, LONG_KEY);
    if (!y->quoted && str_eq(y->text.buf, "<<"))
        complain(y, line, MERGE);
    for (const char *c = y->text.buf; !y->quoted && *c != '\0'; c++)
        if (c[0] == ' ' && (c[1] == '{' || c[1] == '['))
            refuse(y, line, NO_COLON);
    if (y->err == 0)
        did(y, tree_key(y->t, y->text.buf, y->text.len, line));
}

/** Past a name as of an anchor: up to a gap, or a comma or bracket. */
static void skip_name(struct yaml *y)
{
    while (!is_gap(peek(y, 0)) && !is_bracket_or_comma(peek(y, 0)))
        next(y);
    skip_blanks(y, 0);
}

/** Report and pass over anchors and tags: reading goes on, so that all of a file's are reported. */
static void skip_extras(struct yaml *y)
{
    for (int c; (c = peek(y, 0)) == '&' || c == '!'; skip_name(y))
        complain(y, y->line, c == '&' ? ANCHOR : TAG);
}

static void add_alias(struct yaml *y)
{
    struct config_tree *t = y->t;

    if (!t->has_key || !str_eq(t->key, "<<"))
        complain(y, y->line, ALIAS);
    did(y, tree_refused(t, y->line));
    y->waits = false;
    skip_name(y);
}

/* ---- flow: brackets and braces ---- */

static void refuse_bracket(struct yaml *y)
{
    y->t->place = PLACE_OPEN;
    refuse(y, y->line_of[y->t->depth - 1], tree_top(y->t) == NODE_MAP ? BRACE : BRACKET);
}

/** To the next token of a flow container; a line of it has to be indented, but for a bracket that
 * closes, which may stand below the key. Return: that token's first byte. */
static int flow_token(struct yaml *y)
{
    unsigned line = y->line;
    bool more = skip_space(y, y->min);
    int c = peek(y, 0);
    bool closes = c == ']' || c == '}';

    if (!more || (y->line != line && (y->column + closes < y->min || at_mark(y))))
        refuse_bracket(y);
    return peek(y, 0);
}

static void open_flow(struct yaml *y, int c)
{
    did(y, tree_open(y->t, c == '{' ? NODE_MAP : NODE_LIST, y->line));
    if (y->err == 0)
        y->line_of[y->t->depth - 1] = y->line;
    y->waits = false;
    next(y);
}

/** A key in braces, with its colon. */
static void read_flow_key(struct yaml *y)
{
    unsigned line = y->line, column = y->column;

    skip_extras(y);
    if (peek(y, 0) == '*')
        refuse_here(y, KEY);
    read_scalar(y, true);
    if (y->err < 0)
        return;
    skip_blanks(y, 0);
    if (peek(y, 0) != ':' || !(y->quoted || at_colon(y))) {
        refuse(y, line, strchr(y->text.buf, ':') != NULL ? NO_SPACE : NO_COLON);
        return;
    }
    add_key(y, line, column);
    next(y);
}

/** A value, or the bracket that opens one. */
static void read_flow_value(struct yaml *y, int c)
{
    unsigned line = y->line;

    if (c == '[' || c == '{') {
        open_flow(y, c);
    } else if (c == '*') {
        add_alias(y);
    } else if (y->t->has_key && (c == ',' || c == '}')) {
        add_null(y, line);
    } else {
        read_scalar(y, true);
        add_scalar(y, line);
    }
}

/** A value follows a value; a key in a list is where a block map goes on. */
static void refuse_no_comma(struct yaml *y, int c)
{
    unsigned line = y->line;

    if (y->quote_line > 0) {
        refuse_last(y, y->quote_line, QUOTE);
        return;
    }
    if (c == '{' && tree_top(y->t) == NODE_MAP) {
        refuse_bracket(y);
        return;
    }
    if (c == ':') {
        refuse_last(y, line, PAIR);
        return;
    }
    if (tree_top(y->t) == NODE_LIST && wrong_start(y, c, true) == NONE)
        read_scalar(y, true);
    if (y->line == line && at_colon(y))
        refuse_bracket(y);
    else
        refuse(y, line, NO_COMMA);
}

/** One container, and all in it, from its bracket to its bracket. */
static void read_flow(struct yaml *y)
{
    struct config_tree *t = y->t;
    unsigned outside = t->depth;
    bool comma = true; /* the next value may come */

    open_flow(y, peek(y, 0));
    while (y->err == 0 && t->depth > outside) {
        int c = flow_token(y);
        if (c == (tree_top(t) == NODE_MAP ? '}' : ']')) {
            next(y);
            tree_close(t);
            y->quote_line = 0;
            comma = false;
        } else if (!comma && c == ',') {
            next(y);
            comma = true;
        } else if (c == ']' || c == '}') {
            refuse_bracket(y);
        } else if (!comma) {
            refuse_no_comma(y, c);
        } else {
            if (tree_wants_key(t)) {
                if (c == '{' && y->line != y->line_of[t->depth - 1])
                    refuse_bracket(y);
                read_flow_key(y);
                (void)flow_token(y);
            }
            skip_extras(y);
            c = flow_token(y);
            read_flow_value(y, c);
            comma = y->err == 0 && (c == '[' || c == '{');
        }
    }
}

/* ---- | and > ---- */

enum chomping { CLIP = 0, STRIP = '-', KEEP = '+' };

/** The header behind | or >, to the end of its line. */
static void read_header(struct yaml *y, int *chomping, unsigned *indent)
{
    next(y);
    for (int i = 0; i < 2; i++) {
        int c = peek(y, 0);
        if (*chomping == CLIP && (c == STRIP || c == KEEP))
            *chomping = c;
        else if (*indent == 0 && c >= '1' && c <= '9')
            *indent = (unsigned)(c - '0');
        else
            break;
        next(y);
    }
    if (!at_line_end(y))
        refuse_here(y, HEADER);
    else if (peek(y, 0) != END)
        next_line(y);
}

/** Past the indentation of lines, `*indent` columns of it; 0: as many as the first line with text
 * has. Return: the line breaks passed before a line of the text; `*more`: is there one? */
static unsigned skip_indent(struct yaml *y, unsigned *indent, bool *more)
{
    unsigned breaks = 0, deepest = 0;

    for (;;) {
        while (peek(y, 0) == ' ' && (*indent == 0 || y->column < *indent))
            next(y);
        if (peek(y, 0) == '\t' && (*indent == 0 || y->column < *indent))
            refuse_here(y, TAB);
        if (!is_break(peek(y, 0)))
            break;
        if (y->column > deepest)
            deepest = y->column;
        next_line(y);
        breaks++;
    }
    *more = peek(y, 0) != END && y->column >= (*indent > 0 ? *indent : y->min);
    if (*indent == 0 && *more) {
        *indent = y->column;
        if (deepest > y->column)
            refuse_here(y, BLANK_LINE);
    }
    return breaks;
}

/** The text below | or >. YAML 1.2, 8.1: the breaks between two lines are folded where both begin
 * with text. */
static void read_block_text(struct yaml *y)
{
    bool folded = peek(y, 0) == '>', was_spaced = true, more;
    unsigned indent = 0, line = y->line, breaks;
    int chomping = CLIP;

    read_header(y, &chomping, &indent);
    if (indent > 0)
        indent += y->min - 1;
    text_reset(&y->text);
    y->quoted = true;
    for (breaks = skip_indent(y, &indent, &more); more; breaks += skip_indent(y, &indent, &more)) {
        bool spaced = is_blank(peek(y, 0));
        if (folded && !spaced && !was_spaced && --breaks == 0)
            text_char(&y->text, ' ');
        for (; breaks > 0; breaks--)
            text_char(&y->text, '\n');
        was_spaced = spaced;
        while (!is_eol(peek(y, 0)))
            keep(y);
        if (peek(y, 0) == END)
            break;
        next_line(y);
        breaks = 1;
    }
    if (chomping == STRIP || (chomping == CLIP && y->text.len == 0))
        breaks = 0;
    for (; breaks > 0; breaks = chomping == CLIP ? 0 : breaks - 1)
        text_char(&y->text, '\n');
    check_room(y);
    add_scalar(y, line);
}

/* ---- block structure: columns ---- */

/** The innermost block container; there is one. */
static unsigned *top_column(struct yaml *y)
{
    return &y->column_of[y->t->depth - 1];
}

/** The line at hand is no part of any open container. dash: it begins with one; closed: it is
 * indented less than the line above. */
static void refuse_place(struct yaml *y, bool dash, bool closed)
{
    unsigned column = *top_column(y);

    if (column == y->column)
        refuse_here(y, dash ? ITEM : NO_DASH);
    else if (column > y->column || closed)
        refuse_last(y, y->line, COLUMN);
    else if (y->lone_line > 0 && (!dash || tree_top(y->t) == NODE_MAP))
        refuse_last(y, y->lone_line, y->lone_problem);
    else
        refuse_last(y, y->line, DEEPER);
}

/** Close what the line at hand, which begins with a dash or not, is no part of. */
static void place(struct yaml *y, bool dash)
{
    struct config_tree *t = y->t;
    unsigned column = y->column;
    bool closed = false;

    if (t->depth == 0) {
        if (t->c->nodes_len > 0)
            refuse_here(y, AFTER);
        return;
    }
    if (y->waits) {
        bool beside = dash && *top_column(y) == column && tree_top(t) == NODE_MAP;
        if (column > *top_column(y) || beside)
            return;
        add_null(y, y->waits_line);
    }
    for (; t->depth > 1; tree_close(t), closed = true) {
        bool beside = *top_column(y) == column && tree_top(t) == NODE_LIST && !dash &&
                      y->column_of[t->depth - 2] == column;
        if (*top_column(y) <= column && !beside)
            break;
    }
    if (*top_column(y) != column || (tree_top(t) == NODE_LIST) != dash)
        refuse_place(y, dash, closed);
}

/** Begin a container in this column, unless the line continues the one that is open. */
static void open_block(struct yaml *y, enum node_type type, unsigned column)
{
    if (y->err < 0 || (!y->waits && y->t->depth > 0))
        return;
    did(y, tree_open(y->t, type, y->line));
    y->waits = false;
    if (y->err == 0)
        *top_column(y) = column;
}

/** A value ends, and with it its line. entry: no key is before it on the line. */
static void end_value(struct yaml *y, unsigned line, bool entry)
{
    if (at_line_end(y))
        return;
    int c = peek(y, 0);
    if (c == '#')
        refuse_here(y, COMMENT);
    else if (c == ':' && entry)
        refuse_here(y, at_colon(y) ? KEY : NO_SPACE);
    else if (at_colon(y))
        refuse_here(y, SECOND_COLON);
    else
        refuse(y, line, REST);
}

/** What is no scalar, where a value is wanted; entry as for end_value. Return: was it there, and
 * read? */
static bool read_other(struct yaml *y, bool entry)
{
    unsigned line = y->line;
    int c = peek(y, 0);

    if (c == '|' || c == '>') {
        read_block_text(y);
        return true;
    }
    if (c != '[' && c != '{' && c != '*')
        return false;
    y->quoted = false;
    if (c == '*')
        add_alias(y);
    else
        read_flow(y);
    y->t->place = PLACE_LAST;
    end_value(y, line, entry);
    y->t->place = PLACE_NEXT;
    return true;
}

/** The value behind a key's colon. */
static void read_value(struct yaml *y)
{
    unsigned line = y->line;

    y->min = *top_column(y) + 1;
    y->waits_line = line;
    y->waits = at_line_end(y);
    if (y->waits)
        return;
    skip_extras(y);
    y->waits = at_line_end(y);
    if (y->waits || read_other(y, false))
        return;
    read_scalar(y, false);
    end_value(y, line, false);
    add_scalar(y, line);
}

/** The scalar that was read is no key. */
static void read_lone(struct yaml *y, unsigned line)
{
    enum problem problem = y->quoted                          ? NO_COLON
                           : y->text.buf[0] == '-'            ? DASH_SPACE
                           : strchr(y->text.buf, ':') != NULL ? NO_SPACE
                                                              : NO_COLON;

    if (y->waits) {
        end_value(y, line, true);
        add_scalar(y, line);
        y->lone_line = line;
        y->lone_problem = (unsigned char)problem;
        return;
    }
    end_value(y, line, true);
    if (y->t->depth > 0 || skip_space(y, UINT_MAX))
        refuse(y, line, problem);
    else
        add_scalar(y, line);
}

/** A key with its value, or a value alone; what a line holds behind its dashes. */
static void read_entry(struct yaml *y)
{
    unsigned line = y->line, column = y->column;
    bool value = y->waits || y->t->depth == 0;

    y->min = y->t->depth > 0 ? *top_column(y) + 1 : 0;
    skip_extras(y);
    if (at_line_end(y) || (value && read_other(y, true)))
        return;
    if (peek(y, 0) == '*')
        refuse_here(y, KEY);
    read_scalar(y, false);
    if (y->err < 0)
        return;
    skip_blanks(y, 0);
    if (!at_colon(y)) {
        read_lone(y, line);
        return;
    }
    if (!y->quoted && y->text.buf[0] == '-')
        refuse(y, line, DASH_SPACE);
    open_block(y, NODE_MAP, column);
    add_key(y, line, column);
    if (y->err < 0)
        return;
    next(y);
    read_value(y);
}

static void read_line(struct yaml *y)
{
    place(y, at_dash(y));
    y->lone_line = 0;
    while (at_dash(y)) {
        open_block(y, NODE_LIST, y->column);
        next(y);
        y->waits = true;
        y->waits_line = y->line;
        y->fresh = true; /* what is behind a dash is indented by it */
        if (at_line_end(y))
            return;
    }
    read_entry(y);
}

/* ---- the document ---- */

/** Is the line at hand a mark around the document, and not in it? */
static bool read_mark(struct yaml *y)
{
    int mark = at_mark(y);
    bool start = mark == '-';

    if (y->finished || (start && (y->started || y->t->c->nodes_len > 0))) {
        refuse_here(y, SECOND);
        return true;
    }
    if (mark == 0)
        return false;
    if (!start && !y->started && y->t->c->nodes_len == 0)
        refuse_here(y, NO_DOCUMENT);
    y->started = true;
    y->finished = !start;
    for (int i = 0; i < 3; i++)
        next(y);
    if (!at_line_end(y))
        refuse_here(y, MARK);
    return true;
}

/** Past the byte order mark of UTF-8, which YAML lets through at the start of a file. */
static void skip_order_mark(struct yaml *y)
{
    int a = peek(y, 0), b = peek(y, 1);

    if (a == 0xEF && b == 0xBB && peek(y, 2) == 0xBF)
        y->pos += 3;
    else if ((a == 0xFF && b == 0xFE) || (a == 0xFE && b == 0xFF))
        refuse_here(y, UTF16);
}

int config_read_yaml(struct config_tree *t, struct config_source *s, void *work, size_t work_cap)
{
    struct yaml y = {
        .t = t, .s = s, .in = work, .work_cap = work_cap, .fresh = true, .gap = true, .line = 1};

    if (work_cap < 2 * WINDOW)
        return tree_no_work(t, work_cap);
    text_init(&y.text, (char *)work + WINDOW, work_cap - WINDOW);
    skip_order_mark(&y);
    while (skip_space(&y, UINT_MAX))
        if (!read_mark(&y))
            read_line(&y);
    if (y.err == 0 && y.waits)
        add_null(&y, y.waits_line);
    while (y.err == 0 && t->depth > 0)
        tree_close(t);
    /* YAML has no end by which to know; an editor or a program that writes whole lines has been here. */
    if (y.err == 0 && !y.fresh && s->fd >= 0)
        config_warn(t->c, NULL, NULL, "the last line has no line break" REMEDY("; if the file is still "
                    "being written, reload when it is complete"), (char *)0);
    return y.err;
}
