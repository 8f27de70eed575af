/* The shell's language, read from front to back without a tree: what is open stands on a stack of one byte each, and only
 * substitutions and scripts within a line recurse, SHELL_DEPTH deep. */
#include "guard/shell_int.h"

#include <string.h>

/* May a command begin here? */
enum state {
    NEED,   /* it must */
    MAY,    /* or what is open may end */
    AFTER,  /* no: a simple command ended */
    CLOSED, /* no: a compound command ended, so that words of the shell and redirections may follow */
};

/* Whose characters are read. */
enum context { IN_WORD, IN_BRACES, IN_ARITHMETIC, IN_HERE };

#define BLANKS_AND_OPERATORS " \t\n;&|<>()"
#define MOST_VALUES 64u    /* put into one command */
#define MOST_LOOKUPS 1024u /* of variables in one line */

static void script(struct shell *sh, bool substitution);
static uint8_t part(struct shell *sh, enum context in, bool quoted);

static int peek(const struct shell *sh, uint32_t ahead)
{
    const uint32_t at = sh->in.pos + ahead;
    return at < sh->in.len ? (unsigned char)sh->in.s[at] : -1;
}

static bool ends_word(int c)
{
    return c < 0 || (c > 0 && strchr(BLANKS_AND_OPERATORS, c));
}

static uint32_t place(const struct shell *sh, uint32_t pos)
{
    return sh->in.inner ? sh->in.at : pos;
}

void shell_doubt(struct shell *sh, enum shell_reason reason)
{
    static const char reasons[] = "not understood as shell syntax\0"
        "shells read this differently\0"
        "changes what names mean\0"
        "what a wrapper runs is not known\0"
        "a shell reads commands from its input\0"
        "nested too deeply\0"
        "too long to be taken apart\0"
        "a here-document does not end\0"
        "too many here-documents\0"
        "a process substitution\0"
        "too many words\0"
        "a function is defined\0"
        "the name of a command is computed\0"
        "a command with an unusual name\0"
        "a script is computed\0"
        "bash understands more than other shells\0"
        "too many wrappers\0"
        "a NUL byte\0";

    sh->input = sh->input || reason == DOUBT_INPUT;
    if (sh->doubt->reason || sh->unsure > 0)
        return;
    sh->doubt->reason = word_at(reasons, reason);
    sh->doubt->at = place(sh, sh->in.pos);
}

static void error(struct shell *sh)
{
    shell_doubt(sh, DOUBT_SYNTAX);
    sh->state = MAY;
}

bool shell_deeper(struct shell *sh)
{
    if (sh->depth == SHELL_DEPTH) {
        shell_doubt(sh, DOUBT_DEEP);
        return false;
    }
    sh->depth++;
    return true;
}

void shell_report(struct shell *sh, struct slice text, size_t name_len, uint32_t at, enum shell_origin origin)
{
    const struct shell_command c = {text, (uint32_t)name_len, at, sh->unsure > 0 ? SHELL_GUESSED : origin};

    if (sh->mute == 0 && !sh->found(sh->arg, &c))
        sh->mute = 1; /* for good: each ++ has its -- */
}

void shell_put(struct shell *sh, char c)
{
    if (sh->used == sizeof sh->work->text)
        shell_doubt(sh, DOUBT_LONG);
    else
        sh->work->text[sh->used++] = c;
}

static void put_raw(struct shell *sh, uint32_t from)
{
    for (; from < sh->in.pos; from++)
        shell_put(sh, sh->in.s[from]);
}

size_t shell_name(const char *s, size_t len)
{
    size_t n = 0;

    while (n < len && (s[n] == '_' || ((s[n] | 32) >= 'a' && (s[n] | 32) <= 'z') || (n > 0 && s[n] >= '0' && s[n] <= '9')))
        n++;
    return n;
}

static size_t name_here(const struct shell *sh, uint32_t pos)
{
    return pos < sh->in.len ? shell_name(sh->in.s + pos, sh->in.len - pos) : 0;
}

bool shell_special(struct slice name)
{
    return word_index("PATH\0IFS\0ENV\0SHELL\0PS1\0PS2\0PS4\0SHELLOPTS\0BASHOPTS\0PROMPT_COMMAND\0", name) >= 0 ||
           (name.len > 3 && memcmp(name.ptr, "LD_", 3) == 0) || (name.len >= 5 && memcmp(name.ptr, "BASH_", 5) == 0);
}

/** Blanks, continued lines, and a comment: what may stand before a token. */
static void blanks(struct shell *sh)
{
    for (int c; (c = peek(sh, 0)) == ' ' || c == '\t' || (c == '\\' && peek(sh, 1) == '\n');)
        sh->in.pos += c == '\\' ? 2 : 1;
    if (peek(sh, 0) != '#')
        return;
    while (peek(sh, 0) >= 0 && peek(sh, 0) != '\n')
        sh->in.pos++;
}

/* ---- expansions -------------------------------------------------------------------------------------------------------- */

/** Where a variable is last set before a place: NAME=value, or `for NAME in value`. Return: of the value; 0: nowhere. */
static uint32_t last_set(const struct shell_source *in, uint32_t before, struct slice name)
{
    for (uint32_t at = before; at-- > 0;) {
        const char *s = in->s + at;
        const size_t rest = before - at;
        if (rest < name.len + 1 || *s != *name.ptr || memcmp(s, name.ptr, name.len) != 0)
            continue;
        if (at > 0 && (shell_name(s - 1, 1) > 0 || (s[-1] >= '0' && s[-1] <= '9')))
            continue;
        if (s[name.len] == '=')
            return at + (uint32_t)name.len + 1;
        if (rest > name.len + 4 && memcmp(s + name.len, " in ", 4) == 0)
            return at + (uint32_t)name.len + 4;
    }
    return 0;
}

/** Put in what a variable would be. Return: false if that is not known. */
static bool put_value(struct shell *sh, struct slice name, uint32_t before)
{
    const struct shell_source in = sh->in;

    if (slice_eq(name, "@") || slice_eq(name, "*") || slice_eq(name, "IFS")) {
        if (*name.ptr == 'I')
            shell_put(sh, ' ');
        sh->values++;
        return true;
    }
    if (sh->lookups == MOST_LOOKUPS)
        return false;
    sh->lookups++;
    uint32_t at = last_set(&sh->in, before, name);
    if (at == 0 && sh->in.inner) {
        sh->in = sh->line;
        at = last_set(&sh->in, sh->in.len, name);
    }
    if (at > 0 && sh->values < MOST_VALUES && shell_deeper(sh)) {
        sh->values++;
        sh->in.pos = at;
        (void)part(sh, IN_WORD, false);
        sh->depth--;
    } else {
        at = 0;
    }
    sh->in = in;
    return at > 0;
}

/** $((…)), from behind its parentheses. */
static void arithmetic(struct shell *sh)
{
    const uint32_t from = sh->in.pos;

    if (!shell_deeper(sh)) {
        sh->in.pos = sh->in.len;
        return;
    }
    (void)part(sh, IN_ARITHMETIC, true);
    sh->depth--;
    for (uint32_t at = from; at < sh->in.pos; at++) {
        const size_t n = shell_name(sh->in.s + at, sh->in.pos - at);
        if (n > 0 && shell_special((struct slice){sh->in.s + at, n}))
            shell_doubt(sh, DOUBT_MEANING);
        at += n > 0 ? (uint32_t)n - 1 : 0;
    }
    if (peek(sh, 0) != ')' || peek(sh, 1) != ')')
        shell_doubt(sh, DOUBT_SYNTAX);
    sh->in.pos += peek(sh, 0) < 0 ? 0 : peek(sh, 1) == ')' ? 2 : 1;
}

/** $(…), <(…), from behind the parenthesis. With values put in it is only read: what it runs was reported before. */
static void substitution(struct shell *sh)
{
    if (!shell_deeper(sh)) {
        sh->in.pos = sh->in.len;
        return;
    }
    sh->mute += sh->putting;
    script(sh, true);
    sh->mute -= sh->putting;
    sh->depth--;
    if (peek(sh, 0) == ')')
        sh->in.pos++;
    else
        shell_doubt(sh, DOUBT_SYNTAX);
}

/** Is it an operator that takes another value for a variable that has none? Return: its length, or 0. */
static size_t default_operator(const char *s, size_t len)
{
    const size_t colon = len > 0 && *s == ':';
    return len > colon && (s[colon] == '-' || s[colon] == '=') ? colon + 1 : 0;
}

/** ${…}, from behind the brace. Return: flags. */
static uint8_t braces(struct shell *sh, bool quoted)
{
    const uint32_t mark = sh->used;

    if ((peek(sh, 0) == '#' || peek(sh, 0) == '!') && peek(sh, 1) != '}')
        sh->in.pos++;
    const uint32_t from = sh->in.pos;
    size_t n = name_here(sh, from);
    if (n == 0 && peek(sh, 0) >= 0 && peek(sh, 0) != '}')
        n = 1;
    const struct slice name = {sh->in.s + from, n};
    const uint32_t op = from + (uint32_t)n;
    if (!shell_deeper(sh)) {
        sh->in.pos = sh->in.len;
        return 0;
    }
    sh->in.pos = op;
    (void)part(sh, IN_BRACES, quoted);
    sh->depth--;
    const size_t by_default = default_operator(sh->in.s + op, sh->in.pos - op);
    if (by_default > 0 && sh->in.s[op + by_default - 1] == '=' && shell_special(name))
        shell_doubt(sh, DOUBT_MEANING);
    if (op < sh->in.pos && sh->in.s[op] == '@')
        shell_doubt(sh, DOUBT_DIFFERS);
    const bool splits = memchr(sh->in.s + from, '@', sh->in.pos - from) != NULL;
    if (peek(sh, 0) == '}')
        sh->in.pos++;
    else
        shell_doubt(sh, DOUBT_SYNTAX);
    const uint8_t flags = splits ? WORD_SPLITS : 0;
    if (!sh->putting || n == 0 || by_default == 0 || sh->used < mark + by_default) {
        sh->used = mark;
        return sh->putting && n > 0 && put_value(sh, name, from) ? flags | WORD_GUESSES : flags;
    }
    /* What the text now has is the operator and the value. */
    const uint32_t end = sh->used;
    sh->used = mark;
    if (!put_value(sh, name, from)) {
        memmove(sh->work->text + mark, sh->work->text + mark + by_default, end - mark - by_default);
        sh->used = end - (uint32_t)by_default;
        sh->values++;
    }
    return flags | WORD_GUESSES;
}

/** A character that bash gives as a number: \\x72, \\162, \\u0072. digit: the first one, or the letter. */
static char numbered(struct shell *sh, int digit)
{
    const bool octal = digit >= '0' && digit <= '7';
    unsigned value = octal ? (unsigned)digit - '0' : 0;
    unsigned most = octal || digit == 'x' ? 2 : digit == 'u' ? 4 : 8;

    for (int next; most-- > 0 && (next = hex_digit(peek(sh, 0))) >= 0 && (!octal || next < 8); sh->in.pos++)
        value = (value << (octal ? 3 : 4)) + (unsigned)next;
    return (char)value;
}

/** $'…' as bash reads it, from behind the quote; what it has for control characters is a blank. */
static void ansi_quoted(struct shell *sh)
{
    shell_doubt(sh, DOUBT_DIFFERS);
    for (int c; (c = peek(sh, 0)) >= 0 && c != '\'';) {
        const int next = peek(sh, 1);
        sh->in.pos++;
        if (c == '\\' && next >= 0) {
            sh->in.pos++;
            c = (next >= '0' && next <= '7') || next == 'x' || next == 'u' || next == 'U' ? (unsigned char)numbered(sh, next)
                : next >= 'a' && next <= 'v'                                              ? ' '
                                                                                          : next;
        }
        shell_put(sh, (char)c);
    }
    sh->in.pos += peek(sh, 0) >= 0;
}

/** `…`: its own script, with one level of backslashes removed. */
static void backquoted(struct shell *sh, enum context in, bool quoted)
{
    const uint32_t mark = sh->used;
    int c;

    sh->in.pos++;
    while ((c = peek(sh, 0)) >= 0 && c != '`') {
        const int next = peek(sh, 1);
        sh->in.pos++;
        if (c == '\\' && next >= 0) {
            if (next == '\n' || (next == '"' && in != IN_WORD))
                shell_doubt(sh, DOUBT_DIFFERS);
            if (next == '\\' || next == '`' || next == '$' || (quoted && next == '"')) {
                c = next;
            } else {
                shell_put(sh, '\\');
                c = next;
            }
            sh->in.pos++;
        }
        shell_put(sh, (char)c);
    }
    if (c < 0)
        shell_doubt(sh, DOUBT_SYNTAX);
    sh->in.pos += c >= 0;
    if (!sh->putting && sh->mute == 0)
        shell_script(sh, (struct slice){sh->work->text + mark, sh->used - mark}, place(sh, sh->in.pos - 1),
                     sh->in.origin);
    sh->used = mark;
}

/** Append an expansion, which began at byte `from`, as it is written. As a guess it is nothing, within a word, or in a command's name:
 * r$(true)m, r${unset}m. At the beginning of an argument, as in $dir/, that would be another thing. whole: it is not part of another
 * expansion. Return: flags. */
static uint8_t expanded(struct shell *sh, uint32_t from, bool whole)
{
    const bool guesses = whole && (sh->naming || sh->used > sh->word);

    if (guesses && sh->putting)
        sh->values++;
    else
        put_raw(sh, from);
    return guesses ? WORD_GUESSES : 0;
}

/** A dollar sign and what belongs to it. Return: flags. */
static uint8_t dollar(struct shell *sh, enum context in, bool quoted)
{
    const uint32_t from = sh->in.pos, mark = sh->used;
    const int c = peek(sh, 1);
    uint8_t flags = WORD_EXPANDS | (quoted ? 0 : WORD_SPLITS), more = 0;
    size_t n = name_here(sh, from + 1);

    sh->in.pos += 2;
    if (c == '(' && peek(sh, 0) == '(') {
        sh->in.pos++;
        arithmetic(sh);
    } else if (c == '(') {
        substitution(sh);
    } else if (c == '{') {
        more = braces(sh, quoted);
        if (more & WORD_GUESSES)
            return flags | more;
        more |= WORD_GUESSES;
    } else if (n > 0 || (c > 0 && strchr("0123456789@*#?$!-", c))) {
        n = n > 0 ? n : 1;
        sh->in.pos = from + 1 + (uint32_t)n;
        more = WORD_GUESSES | (c == '@' ? WORD_SPLITS : 0);
        if (sh->putting && put_value(sh, (struct slice){sh->in.s + from + 1, n}, from))
            return flags | more;
    } else if (c == '\'' && !quoted) {
        ansi_quoted(sh);
        if (sh->putting) {
            sh->values++;
            return flags;
        }
        more = WORD_GUESSES;
    } else { /* itself */
        sh->in.pos = from + 1;
        if (c == '\\' && peek(sh, 1) == '\n')
            shell_doubt(sh, DOUBT_DIFFERS);
        if (c == '"' && !quoted && sh->putting) {
            sh->values++;
            return flags;
        }
        flags = c == '"' && !quoted ? WORD_EXPANDS | WORD_GUESSES : 0;
    }
    sh->used = mark;
    return flags | more | expanded(sh, from, in == IN_WORD && (flags & WORD_EXPANDS));
}

/* ---- words ------------------------------------------------------------------------------------------------------------- */

static void single_quoted(struct shell *sh)
{
    sh->in.pos++;
    const uint32_t from = sh->in.pos;
    const char *end = memchr(sh->in.s + from, '\'', sh->in.len - from);
    if (!end)
        shell_doubt(sh, DOUBT_SYNTAX);
    sh->in.pos = end ? (uint32_t)(end - sh->in.s) : sh->in.len;
    put_raw(sh, from);
    sh->in.pos += end != NULL;
}

/** A backslash; in quotes it is one, unless the next character has a meaning there. */
static void backslash(struct shell *sh, enum context in, bool quoted)
{
    const int next = peek(sh, 1);

    if (in == IN_ARITHMETIC || next < 0)
        shell_doubt(sh, DOUBT_DIFFERS);
    sh->in.pos++;
    if (next < 0 || (quoted && next != '\n' && next != '$' && next != '`' && next != '\\' && (next != '"' || in == IN_HERE) &&
                     (next != '}' || in != IN_BRACES))) {
        shell_put(sh, '\\');
        return;
    }
    sh->in.pos++;
    if (next != '\n')
        shell_put(sh, (char)next);
}

/** Has the rest of the word a comma? */
static bool has_comma(const struct shell *sh)
{
    uint32_t ahead = 0;

    while (!ends_word(peek(sh, ahead)) && peek(sh, ahead) != ',')
        ahead++;
    return peek(sh, ahead) == ',';
}

/** A character that means itself, or is a pattern; *comma: within {a,b} that a guess takes apart. Return: flags. */
static uint8_t plain(struct shell *sh, uint32_t start, bool *comma)
{
    const char c = sh->in.s[sh->in.pos++];

    if (c == '{' && sh->used == start && sh->putting && has_comma(sh)) {
        *comma = true;
        sh->values++;
        return WORD_BRACES | WORD_SPLITS;
    }
    if (*comma && c == '}')
        return 0;
    shell_put(sh, *comma && c == ',' ? ' ' : c);
    if (c == '{')
        return sh->used == start + 1 && has_comma(sh) ? WORD_BRACES | WORD_GUESSES : WORD_BRACES;
    if (c == '*' || c == '?' || c == '[' || (c == '~' && sh->used == start + 1))
        return WORD_GLOB;
    const size_t len = sh->used - 1 - start;
    return c == '=' && len > 0 && shell_name(sh->work->text + start, len) == len ? WORD_ASSIGNS : 0;
}

/** May the context end at this character? Counts parentheses. */
static bool ends(enum context in, int c, unsigned *parentheses)
{
    if (in == IN_ARITHMETIC && c == '(')
        ++*parentheses;
    if (in == IN_ARITHMETIC && c == ')')
        return (*parentheses)-- == 0;
    return (in == IN_WORD && ends_word(c)) || (in == IN_BRACES && c == '}');
}

/** Read up to the end of the context, or of the source, and append to the text: quotes are removed, expansions stay.
 * quoted: in double quotes, or as if. Return: flags. */
static uint8_t part(struct shell *sh, enum context in, bool quoted)
{
    const bool outer = quoted;
    const uint32_t start = sh->used;
    unsigned parentheses = 0;
    uint8_t flags = 0;
    bool comma = false;

    for (int c; (c = peek(sh, 0)) >= 0;) {
        if (quoted == outer && ends(in, c, &parentheses))
            return flags;
        if (in != IN_WORD && in != IN_HERE && outer && (c == '"' || c == '\''))
            shell_doubt(sh, DOUBT_DIFFERS);
        if (c == '\\') {
            flags |= peek(sh, 1) == '\n' ? 0 : WORD_QUOTED;
            backslash(sh, in, quoted);
        } else if (c == '\'' && !quoted) {
            flags |= WORD_QUOTED;
            single_quoted(sh);
        } else if (c == '"' && !(outer && quoted)) {
            flags |= WORD_QUOTED;
            quoted = !quoted;
            sh->in.pos++;
        } else if (c == '$') {
            flags |= dollar(sh, in, quoted);
        } else if (c == '`') {
            const uint32_t from = sh->in.pos;
            flags |= quoted ? WORD_EXPANDS : WORD_EXPANDS | WORD_SPLITS;
            backquoted(sh, in, quoted);
            flags |= expanded(sh, from, in == IN_WORD);
        } else if (quoted) {
            shell_put(sh, (char)c);
            sh->in.pos++;
        } else {
            const uint8_t more = plain(sh, start, &comma);
            flags |= flags & (WORD_QUOTED | WORD_EXPANDS) ? more & (uint8_t)~WORD_ASSIGNS : more;
        }
    }
    if (quoted && in == IN_WORD)
        shell_doubt(sh, DOUBT_SYNTAX);
    return flags;
}

bool shell_word_begin(struct shell *sh, bool first)
{
    if (!first)
        shell_put(sh, ' ');
    if (sh->words == SHELL_WORDS) {
        shell_doubt(sh, DOUBT_WORDS);
        return false;
    }
    sh->work->words[sh->words++] = (struct shell_word){.at = (uint16_t)sh->used};
    return true;
}

void shell_word_end(struct shell *sh, uint8_t flags)
{
    struct shell_word *w = &sh->work->words[sh->words - 1];

    w->len = (uint16_t)(sh->used - w->at);
    w->flags |= flags;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\n';
}

/** Values that were put in may have blanks: make words of what lies between them. */
static void split_last(struct shell *sh, unsigned first)
{
    const unsigned word = sh->words - 1u;
    const struct shell_word w = sh->work->words[word];
    const uint32_t end = w.at + w.len;

    sh->words = (uint16_t)word;
    sh->used = w.at;
    if (word > first)
        sh->used--; /* its blank comes with it */
    for (uint32_t at = w.at; at < end; at++) {
        const char c = sh->work->text[at];
        if (is_blank(c))
            continue;
        /* There is room for the blank: where one was skipped, or before the word. */
        if (at == w.at || is_blank(sh->work->text[at - 1]))
            (void)shell_word_begin(sh, sh->words == first);
        sh->work->text[sh->used++] = c;
        shell_word_end(sh, w.flags & (uint8_t)~WORD_COMPUTED);
    }
}

/* ---- here-documents ---------------------------------------------------------------------------------------------------- */

/** Where the line that begins at `from` ends; *joined: with a backslash, behind which the next is not looked at as a delimiter. */
static uint32_t line_end(const struct shell *sh, uint32_t from, bool *joined)
{
    uint32_t end = from;
    unsigned backslashes = 0;

    for (; end < sh->in.len && sh->in.s[end] != '\n'; end++)
        backslashes = sh->in.s[end] == '\\' ? backslashes + 1 : 0;
    *joined = backslashes % 2 == 1;
    return end;
}

/** Where the body that begins at the place read ends, which goes on behind its delimiter. */
static uint32_t here_end(struct shell *sh, const struct shell_here *here, struct slice delimiter, bool expands)
{
    bool joined = false;

    while (sh->in.pos < sh->in.len) {
        const uint32_t begin = sh->in.pos, was_joined = expands && joined;
        uint32_t at = begin;
        const uint32_t end = line_end(sh, begin, &joined);
        while (here->strip && at < end && sh->in.s[at] == '\t')
            at++;
        sh->in.pos = end + (end < sh->in.len);
        if (end - at != delimiter.len || memcmp(sh->in.s + at, delimiter.ptr, delimiter.len) != 0)
            continue;
        if (!was_joined)
            return begin;
        shell_doubt(sh, DOUBT_DIFFERS);
    }
    if (sh->depth > 0)
        shell_doubt(sh, DOUBT_HERE_END);
    return sh->in.len;
}

/** Read a here-document, from the beginning of its body. */
static void here_document(struct shell *sh, const struct shell_here *here)
{
    const uint32_t begin = sh->in.pos, mark = sh->used, len = sh->in.len;

    sh->in.pos = here->at;
    sh->mute++;
    const uint8_t flags = part(sh, IN_WORD, false);
    sh->mute--;
    sh->in.pos = begin;
    const struct slice delimiter = {sh->work->text + mark, sh->used - mark};
    const bool expands = !(flags & WORD_QUOTED);
    const uint32_t end = here_end(sh, here, delimiter, expands), behind = sh->in.pos;
    sh->unsure++;
    if (sh->input && sh->mute == 0)
        shell_script(sh, (struct slice){sh->in.s + begin, end - begin}, place(sh, begin), SHELL_GUESSED);
    sh->unsure--;
    if (expands) {
        sh->in.pos = begin;
        sh->in.len = end;
        (void)part(sh, IN_HERE, true);
        sh->in.len = len;
        sh->in.pos = behind;
    }
    sh->used = mark;
}

/** The end of a line, behind which the bodies of its here-documents are. */
static void newline(struct shell *sh)
{
    sh->in.pos++;
    if (sh->state == AFTER || sh->state == CLOSED)
        sh->state = MAY;
    if (sh->heres_outside > 0)
        shell_doubt(sh, DOUBT_DIFFERS);
    for (unsigned i = sh->heres_outside; i < sh->heres; i++)
        here_document(sh, &sh->here[i]);
    sh->heres = sh->heres_outside;
}

/* ---- commands ---------------------------------------------------------------------------------------------------------- */

/** A redirection's file, or the delimiter of a here-document. op: its operator, two characters. */
static void redirected(struct shell *sh, const char *op, bool strip)
{
    const uint32_t mark = sh->used, at = place(sh, sh->in.pos);
    const bool here = op[0] == '<' && op[1] == '<';

    blanks(sh);
    if (ends_word(peek(sh, 0))) {
        error(sh);
        return;
    }
    if (here && sh->heres == SHELL_HERES)
        shell_doubt(sh, DOUBT_HERES);
    else if (here)
        sh->here[sh->heres++] = (struct shell_here){sh->in.pos, strip};
    shell_put(sh, op[0]);
    if (op[1])
        shell_put(sh, op[1]);
    const uint32_t op_len = sh->used - mark;
    shell_put(sh, ' ');
    const uint32_t from = sh->used;
    sh->mute += here;
    const uint8_t flags = part(sh, IN_WORD, false);
    sh->mute -= here;
    const char *word = sh->work->text + from;
    if (here && ((flags & WORD_EXPANDS) || memchr(word, '\n', sh->used - from)))
        shell_doubt(sh, DOUBT_DIFFERS);
    const bool number = sh->used == from + 1 && ((*word >= '0' && *word <= '9') || *word == '-');
    if (!here && !sh->putting && !(op[1] == '&' && number))
        shell_report(sh, (struct slice){sh->work->text + mark, sh->used - mark}, op_len, at, SHELL_REDIRECTED);
    sh->used = mark;
}

/** A redirection. Return: false if there is none. */
static bool redirection(struct shell *sh)
{
    uint32_t digits = 0;
    char op[2] = "";
    bool strip = false;

    while (peek(sh, digits) >= '0' && peek(sh, digits) <= '9')
        digits++;
    const int c = peek(sh, digits), next = peek(sh, digits + 1);
    if (c != '<' && c != '>')
        return false;
    if (digits > 1)
        shell_doubt(sh, DOUBT_DIFFERS);
    op[0] = (char)c;
    sh->in.pos += digits + 1;
    if (next == '(') {
        shell_doubt(sh, DOUBT_PROCESS);
        sh->in.pos++;
        substitution(sh);
        return true;
    }
    if (next > 0 && strchr(c == '<' ? "<>&" : ">|&", next)) {
        op[1] = (char)next;
        sh->in.pos++;
        if (c == '<' && next == '<' && peek(sh, 0) == '-') {
            strip = true;
            sh->in.pos++;
        } else if (c == '<' && next == '<' && peek(sh, 0) == '<') {
            shell_doubt(sh, DOUBT_DIFFERS);
            sh->in.pos++;
            op[1] = '\0';
        }
    }
    if (peek(sh, 0) == '\\' && peek(sh, 1) == '\n')
        shell_doubt(sh, DOUBT_DIFFERS);
    redirected(sh, op, strip);
    return true;
}

/** A simple command as far as it was read. */
struct simple {
    uint16_t first;     /* word */
    uint8_t flags;      /* of all */
    bool assigns;       /* has NAME=value before its name */
    bool ifs;           /* sets IFS for itself */
    uint32_t at;        /* byte of the source where its first word begins */
};

/** One word of it; assignments before its name are dropped. */
static void simple_word(struct shell *sh, struct simple *c)
{
    const uint32_t from = sh->in.pos, mark = sh->used;
    const uint16_t values = sh->values;
    const bool first = sh->words == c->first;
    const bool room = shell_word_begin(sh, first);

    const uint32_t start = sh->word = sh->used;
    sh->naming = first;
    const uint8_t flags = part(sh, IN_WORD, false);
    c->flags |= flags;
    if (!room) {
        if (!first)
            shell_word_end(sh, flags);
        return;
    }
    shell_word_end(sh, flags);
    const char *text = sh->work->text + start;
    const int next = peek(sh, 0);
    const bool digit = sh->used == start + 1 && *text >= '0' && *text <= '9' && sh->in.pos > from + 1;
    if ((next == '<' || next == '>') && (digit || (flags & WORD_BRACES)))
        shell_doubt(sh, DOUBT_DIFFERS);
    if (first && (flags & WORD_ASSIGNS)) {
        const struct slice name = {text, shell_name(text, sh->used - start)};
        c->assigns = true;
        if (slice_eq(name, "IFS"))
            c->ifs = true;
        else if (shell_special(name))
            shell_doubt(sh, DOUBT_MEANING);
        sh->words--;
        sh->used = mark;
        sh->values = values;
        return;
    }
    if (first)
        c->at = from;
    if (sh->putting && (flags & WORD_SPLITS))
        split_last(sh, c->first);
}

static void simple(struct shell *sh, struct simple *c)
{
    *c = (struct simple){.first = sh->words, .at = sh->in.pos};
    for (;;) {
        blanks(sh);
        if (redirection(sh))
            continue;
        if (ends_word(peek(sh, 0)) || (peek(sh, 0) == '(' && sh->words == c->first + 1))
            break;
        simple_word(sh, c);
    }
    if (c->ifs) {
        const struct shell_word *w = &sh->work->words[c->first];
        if (sh->words == c->first || !slice_eq((struct slice){sh->work->text + w->at, w->len}, "read"))
            shell_doubt(sh, DOUBT_MEANING);
    }
}

/** Behind the name of what might be a function. */
static void function(struct shell *sh)
{
    sh->in.pos++;
    blanks(sh);
    if (peek(sh, 0) != ')') {
        error(sh);
        return;
    }
    sh->in.pos++;
    shell_doubt(sh, DOUBT_FUNCTION);
    sh->state = NEED;
}

/** The same once more, with values put in. */
static void simple_again(struct shell *sh, uint32_t from, uint8_t heres)
{
    const uint32_t end = sh->in.pos, used = sh->used;
    struct simple c;

    sh->in.pos = from;
    sh->heres = heres;
    sh->values = 0;
    sh->putting = true;
    sh->unsure++;
    simple(sh, &c);
    if (sh->values > 0 && sh->words > c.first)
        shell_run(sh, c.first, sh->words, place(sh, c.at), SHELL_GUESSED);
    sh->unsure--;
    sh->putting = false;
    sh->words = c.first;
    sh->used = used;
    sh->in.pos = end;
}

static char top(const struct shell *sh)
{
    return sh->opened > sh->opened_outside ? sh->open[sh->opened - 1] : '\0';
}

static void simple_command(struct shell *sh)
{
    const uint32_t from = sh->in.pos, used = sh->used;
    const bool both = sh->both, closed = sh->state == CLOSED;
    const uint8_t heres = sh->heres;
    struct simple c;

    sh->both = false;
    if (top(sh) == 'f')
        error(sh);
    simple(sh, &c);
    if (closed && sh->words > c.first)
        error(sh);
    if (both && (c.assigns || sh->words > c.first))
        shell_doubt(sh, DOUBT_DIFFERS);
    const bool is_function = sh->words == c.first + 1 && peek(sh, 0) == '(';
    if (!is_function && sh->words > c.first)
        shell_run(sh, c.first, sh->words, place(sh, c.at), sh->in.origin);
    sh->words = c.first;
    sh->used = used;
    if ((c.flags & WORD_GUESSES) && !sh->putting && sh->mute == 0)
        simple_again(sh, from, heres);
    sh->state = closed ? CLOSED : AFTER;
    if (is_function)
        function(sh);
}

/* ---- compound commands ------------------------------------------------------------------------------------------------- */

static const char reserved_words[] = "if\0then\0elif\0else\0fi\0while\0until\0do\0done\0for\0case\0esac\0{\0}\0!\0in\0";
/* Three characters of each: within which one or other of them it stands (none: it opens), and what is open behind it. The open are
 * i: if, t: then, e: else, w: while, f: for and its words, d: do, c: case, { and (. */
static const char reserved_rules[] = "..i" "i.t" "t.i" "t.e" "te." "..w" "..w" "wfd" "d.." "..f" "..c" "c.." "..{" "{.." "..!" "..?";

bool shell_reserved(struct slice word)
{
    return word_index(reserved_words, word) >= 0;
}

static void push(struct shell *sh, char what)
{
    sh->state = NEED;
    if (sh->opened == SHELL_OPEN)
        shell_doubt(sh, DOUBT_DEEP);
    else
        sh->open[sh->opened++] = what;
}

static void pop(struct shell *sh)
{
    sh->opened--;
    sh->state = CLOSED;
}

/** The word of letters, braces or `!` here, if it is a whole one. Return: its length, or 0. */
static uint32_t bare_word(const struct shell *sh)
{
    uint32_t n = 0;
    int c;

    while (((c = peek(sh, n)) >= 'a' && c <= 'z') || c == '{' || c == '}' || c == '!')
        n++;
    return ends_word(c) ? n : 0;
}

static bool bare_word_is(const struct shell *sh, const char *word)
{
    const uint32_t n = bare_word(sh);
    return n > 0 && slice_eq((struct slice){sh->in.s + sh->in.pos, n}, word);
}

static void blank_lines(struct shell *sh)
{
    for (blanks(sh); peek(sh, 0) == '\n'; blanks(sh))
        newline(sh);
}

/** A word that is no command's. */
static void skip_word(struct shell *sh)
{
    const uint32_t mark = sh->used;

    if (ends_word(peek(sh, 0)))
        error(sh);
    (void)part(sh, IN_WORD, false);
    sh->used = mark;
}

/** Patterns of a case, up to their parenthesis; or its end. */
static void patterns(struct shell *sh)
{
    blank_lines(sh);
    if (bare_word_is(sh, "esac")) {
        sh->in.pos += 4;
        pop(sh);
        return;
    }
    if (peek(sh, 0) == '(') {
        sh->in.pos++;
        blanks(sh);
    }
    for (;;) {
        skip_word(sh);
        blanks(sh);
        if (peek(sh, 0) != '|')
            break;
        sh->in.pos++;
        blanks(sh);
    }
    if (peek(sh, 0) == ')')
        sh->in.pos++;
    else
        error(sh);
    sh->state = MAY;
}

static void case_header(struct shell *sh)
{
    blanks(sh);
    skip_word(sh);
    blank_lines(sh);
    push(sh, 'c');
    if (!bare_word_is(sh, "in")) {
        error(sh);
        return;
    }
    sh->in.pos += 2;
    patterns(sh);
}

static void for_header(struct shell *sh)
{
    blanks(sh);
    const size_t n = name_here(sh, sh->in.pos);
    if (n > 0 && shell_special((struct slice){sh->in.s + sh->in.pos, n}))
        shell_doubt(sh, DOUBT_MEANING);
    sh->in.pos += (uint32_t)n;
    push(sh, 'f');
    if (n == 0 || !ends_word(peek(sh, 0))) {
        error(sh);
        return;
    }
    blank_lines(sh);
    if (bare_word_is(sh, "in")) {
        sh->in.pos += 2;
        for (blanks(sh); !ends_word(peek(sh, 0)); blanks(sh))
            skip_word(sh);
        if (peek(sh, 0) != ';' && peek(sh, 0) != '\n')
            error(sh);
    }
    sh->state = MAY;
    if (peek(sh, 0) == ';')
        sh->in.pos++;
}

/** A word of the shell's own. Return: false if there is none. */
static bool reserved(struct shell *sh)
{
    const uint32_t n = bare_word(sh);
    const int i = n > 0 ? word_index(reserved_words, (struct slice){sh->in.s + sh->in.pos, n}) : -1;

    if (i < 0)
        return false;
    const char *rule = reserved_rules + 3 * i, within = top(sh);
    const bool opens = rule[0] == '.';
    const bool fits = opens ? sh->state <= MAY && within != 'f' && rule[2] != '?'
                            : (sh->state == MAY || sh->state == CLOSED) && within && (within == rule[0] || within == rule[1]);
    if (!fits)
        error(sh);
    sh->in.pos += n;
    if (!fits)
        return true;
    if (!opens)
        pop(sh);
    if (rule[2] == 'f')
        for_header(sh);
    else if (rule[2] == 'c')
        case_header(sh);
    else if (rule[2] == '!')
        sh->state = NEED;
    else if (rule[2] != '.')
        push(sh, rule[2]);
    return true;
}

/** Behind an operator: a continued line must not hide that it is a longer one. */
static void operator_ends(struct shell *sh, int c)
{
    bool continued = false;

    for (; peek(sh, 0) == '\\' && peek(sh, 1) == '\n'; sh->in.pos += 2)
        continued = true;
    const int next = peek(sh, 0);
    if (continued && (next == c || (c == '&' && next == '>') || (c == '|' && next == '&') || (c == ';' && next == '&')))
        shell_doubt(sh, DOUBT_DIFFERS);
}

static void parenthesis(struct shell *sh, bool opens)
{
    if (opens && sh->state <= MAY && top(sh) != 'f') {
        push(sh, '(');
        if (peek(sh, 0) == '(')
            shell_doubt(sh, DOUBT_DIFFERS);
    } else if (!opens && sh->state != NEED && top(sh) == '(') {
        pop(sh);
    } else {
        error(sh);
    }
}

/** One of ; & | ( ), doubled or not. */
static void operator(struct shell *sh, int c)
{
    const bool ended = sh->state == AFTER || sh->state == CLOSED;

    sh->in.pos++;
    if (c == '(' || c == ')') {
        parenthesis(sh, c == '(');
    } else if (c == ';' && peek(sh, 0) == ';') {
        sh->in.pos++;
        if (peek(sh, 0) == '&')
            shell_doubt(sh, DOUBT_DIFFERS);
        if (top(sh) == 'c' && sh->state != NEED)
            patterns(sh);
        else
            error(sh);
    } else {
        if (!ended)
            error(sh);
        sh->state = c == '|' ? NEED : MAY;
        if (peek(sh, 0) == c) {
            sh->in.pos++;
            sh->state = NEED;
        } else {
            sh->both = c == '&' && peek(sh, 0) == '>';
        }
    }
    operator_ends(sh, c);
}

/** Commands up to the end of the source; substitution: or up to a parenthesis that nothing here opened. */
static void script(struct shell *sh, bool substitution)
{
    const uint8_t opened_outside = sh->opened_outside, heres_outside = sh->heres_outside, state = sh->state;
    const bool both = sh->both, naming = sh->naming;
    const uint32_t word = sh->word;

    sh->opened_outside = sh->opened;
    sh->heres_outside = sh->heres;
    sh->state = MAY;
    sh->both = false;
    for (int c; blanks(sh), (c = peek(sh, 0)) >= 0;) {
        if (c == ')' && substitution && sh->opened == sh->opened_outside)
            break;
        if (c == '\n')
            newline(sh);
        else if (c > 0 && strchr(";&|()", c))
            operator(sh, c);
        else if (!reserved(sh))
            simple_command(sh);
    }
    if (sh->opened > sh->opened_outside || sh->state == NEED || (sh->heres > sh->heres_outside && sh->depth > 0))
        shell_doubt(sh, DOUBT_SYNTAX);
    sh->opened = sh->opened_outside;
    sh->heres = sh->heres_outside;
    sh->opened_outside = opened_outside;
    sh->heres_outside = heres_outside;
    sh->state = state;
    sh->both = both;
    sh->naming = naming;
    sh->word = word;
}

void shell_script(struct shell *sh, struct slice text, uint32_t at, enum shell_origin origin)
{
    const struct shell_source in = sh->in;

    if (!shell_deeper(sh))
        return;
    sh->in = (struct shell_source){text.ptr, (uint32_t)text.len, 0, at, true, origin};
    script(sh, false);
    sh->in = in;
    sh->depth--;
}

bool shell_split(const char *line, size_t len, struct shell_work *work, shell_found *found, void *arg,
                 struct shell_doubt *doubt)
{
    struct shell sh = {.in = {line, (uint32_t)len, 0, 0, false, SHELL_WRITTEN}, .work = work, .found = found, .arg = arg, .doubt = doubt};

    *doubt = (struct shell_doubt){0};
    sh.line = sh.in;
    if (len > SHELL_LINE_MAX) {
        shell_doubt(&sh, DOUBT_LONG);
        return false;
    }
    const char *nul = memchr(line, '\0', len);
    if (nul) {
        sh.in.pos = (uint32_t)(nul - line);
        shell_doubt(&sh, DOUBT_NUL);
        sh.in.pos = 0;
    }
    script(&sh, false);
    return doubt->reason == NULL;
}
