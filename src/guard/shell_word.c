/* Words of the shell's language: quotes are removed, expansions are read for what they run, and stay as they are written. */
#include "guard/shell_int.h"

#include <string.h>

#define MOST_VALUES 64u    /* put into one command */
#define MOST_LOOKUPS 1024u /* of variables in one line */

static void put_raw(struct shell *sh, uint32_t from)
{
    for (; from < sh->in.pos; from++)
        shell_put(sh, sh->in.s[from]);
}

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
        (void)shell_part(sh, IN_WORD, false);
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
    (void)shell_part(sh, IN_ARITHMETIC, true);
    sh->depth--;
    for (uint32_t at = from; at < sh->in.pos; at++) {
        const size_t n = shell_name(sh->in.s + at, sh->in.pos - at);
        if (n > 0 && shell_special((struct slice){sh->in.s + at, n}))
            shell_doubt(sh, DOUBT_MEANING);
        at += n > 0 ? (uint32_t)n - 1 : 0;
    }
    if (shell_peek(sh, 0) != ')' || shell_peek(sh, 1) != ')')
        shell_doubt(sh, DOUBT_SYNTAX);
    sh->in.pos += shell_peek(sh, 0) < 0 ? 0 : shell_peek(sh, 1) == ')' ? 2 : 1;
}

void shell_substitution(struct shell *sh)
{
    if (!shell_deeper(sh)) {
        sh->in.pos = sh->in.len;
        return;
    }
    sh->mute += sh->putting;
    shell_commands(sh, true);
    sh->mute -= sh->putting;
    sh->depth--;
    if (shell_peek(sh, 0) == ')')
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

static bool is_continued(const struct shell *sh, uint32_t ahead)
{
    return shell_peek(sh, ahead) == '\\' && shell_peek(sh, ahead + 1) == '\n';
}

/** ${…}, from behind the brace. Return: flags. */
static uint8_t braces(struct shell *sh, bool quoted)
{
    const uint32_t mark = sh->used;

    if ((shell_peek(sh, 0) == '#' || shell_peek(sh, 0) == '!') && shell_peek(sh, 1) != '}')
        sh->in.pos++;
    const uint32_t from = sh->in.pos;
    size_t n = shell_name_here(sh, from);
    if (is_continued(sh, (uint32_t)n))
        shell_doubt(sh, DOUBT_DIFFERS);
    if (n == 0 && shell_peek(sh, 0) >= 0 && shell_peek(sh, 0) != '}')
        n = 1;
    const struct slice name = {sh->in.s + from, n};
    const uint32_t op = from + (uint32_t)n;
    if (!shell_deeper(sh)) {
        sh->in.pos = sh->in.len;
        return 0;
    }
    sh->in.pos = op;
    (void)shell_part(sh, IN_BRACES, quoted);
    sh->depth--;
    const size_t by_default = default_operator(sh->in.s + op, sh->in.pos - op);
    if (by_default > 0 && sh->in.s[op + by_default - 1] == '=' && shell_special(name))
        shell_doubt(sh, DOUBT_MEANING);
    if (op < sh->in.pos && sh->in.s[op] == '@')
        shell_doubt(sh, DOUBT_DIFFERS);
    const bool splits = memchr(sh->in.s + from, '@', sh->in.pos - from) != NULL;
    if (shell_peek(sh, 0) == '}')
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

    for (int next; most-- > 0 && (next = hex_digit(shell_peek(sh, 0))) >= 0 && (!octal || next < 8); sh->in.pos++)
        value = (value << (octal ? 3 : 4)) + (unsigned)next;
    return (char)value;
}

/** $'…' as bash reads it, from behind the quote; what it has for control characters is a blank. */
static void ansi_quoted(struct shell *sh)
{
    shell_doubt(sh, DOUBT_DIFFERS);
    for (int c; (c = shell_peek(sh, 0)) >= 0 && c != '\'';) {
        const int next = shell_peek(sh, 1);
        sh->in.pos++;
        if (c == '\\' && next >= 0) {
            sh->in.pos++;
            c = (next >= '0' && next <= '7') || next == 'x' || next == 'u' || next == 'U' ? (unsigned char)numbered(sh, next)
                : next >= 'a' && next <= 'v'                                              ? ' '
                                                                                          : next;
        }
        shell_put(sh, (char)c);
    }
    sh->in.pos += shell_peek(sh, 0) >= 0;
}

/** `…`: its own script, with one level of backslashes removed. */
static void backquoted(struct shell *sh, enum shell_context in, bool quoted)
{
    const uint32_t mark = sh->used;
    int c;

    sh->in.pos++;
    while ((c = shell_peek(sh, 0)) >= 0 && c != '`') {
        const int next = shell_peek(sh, 1);
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
        shell_script(sh, (struct slice){sh->work->text + mark, sh->used - mark}, shell_place(sh, sh->in.pos - 1),
                     sh->in.origin);
    sh->used = mark;
}

/** Append an expansion, which began at byte `from`, as it is written. As a guess it is nothing, within a word, or in a
 * command's name: r$(true)m, r${unset}m. At the beginning of an argument, as in $dir/, that would be another thing.
 * whole: it is not part of another expansion. Return: flags. */
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
static uint8_t dollar(struct shell *sh, enum shell_context in, bool quoted)
{
    const uint32_t from = sh->in.pos, mark = sh->used;
    const int c = shell_peek(sh, 1);
    uint8_t flags = WORD_EXPANDS | (quoted ? 0 : WORD_SPLITS), more = 0;
    size_t n = shell_name_here(sh, from + 1);

    sh->in.pos += 2;
    if (c == '(' && shell_peek(sh, 0) == '(') {
        sh->in.pos++;
        arithmetic(sh);
    } else if (c == '(') {
        if (is_continued(sh, 0)) /* and the line goes on with a parenthesis: arithmetic */
            shell_doubt(sh, DOUBT_DIFFERS);
        shell_substitution(sh);
    } else if (c == '{') {
        more = braces(sh, quoted);
        if (more & WORD_GUESSES)
            return flags | more;
        more |= WORD_GUESSES;
    } else if (n > 0 || (c > 0 && strchr("0123456789@*#?$!-", c))) {
        n = n > 0 ? n : 1;
        sh->in.pos = from + 1 + (uint32_t)n;
        if (strchr("$#?", c)) /* a number */
            flags &= (uint8_t)~WORD_SPLITS;
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
        if (c == '\\' && shell_peek(sh, 1) == '\n')
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
static void backslash(struct shell *sh, enum shell_context in, bool quoted)
{
    const int next = shell_peek(sh, 1);

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

    while (!shell_ends_word(shell_peek(sh, ahead)) && shell_peek(sh, ahead) != ',')
        ahead++;
    return shell_peek(sh, ahead) == ',';
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
static bool ends(enum shell_context in, int c, unsigned *parentheses)
{
    if (in == IN_ARITHMETIC && c == '(')
        ++*parentheses;
    if (in == IN_ARITHMETIC && c == ')')
        return (*parentheses)-- == 0;
    return (in == IN_WORD && shell_ends_word(c)) || (in == IN_BRACES && c == '}');
}

uint8_t shell_part(struct shell *sh, enum shell_context in, bool quoted)
{
    const bool outer = quoted;
    const uint32_t start = sh->used;
    unsigned parentheses = 0;
    uint8_t flags = 0;
    bool comma = false;

    for (int c; (c = shell_peek(sh, 0)) >= 0;) {
        if (quoted == outer && ends(in, c, &parentheses))
            return flags;
        if (in != IN_WORD && in != IN_HERE && outer && (c == '"' || c == '\''))
            shell_doubt(sh, DOUBT_DIFFERS);
        if (c == '\\') {
            flags |= shell_peek(sh, 1) == '\n' ? 0 : WORD_QUOTED;
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

void shell_word_split(struct shell *sh, unsigned first)
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
