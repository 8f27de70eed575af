/* Simple commands and here-documents. */
#include "guard/shell_int.h"

#include <string.h>

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
    const uint8_t flags = shell_part(sh, IN_WORD, false);
    sh->mute--;
    sh->in.pos = begin;
    const struct slice delimiter = {sh->work->text + mark, sh->used - mark};
    const bool expands = !(flags & WORD_QUOTED);
    const uint32_t end = here_end(sh, here, delimiter, expands), behind = sh->in.pos;
    sh->unsure++;
    if (sh->input && sh->mute == 0)
        shell_script(sh, (struct slice){sh->in.s + begin, end - begin}, shell_place(sh, begin), SHELL_GUESSED);
    sh->unsure--;
    if (expands) {
        sh->in.pos = begin;
        sh->in.len = end;
        (void)shell_part(sh, IN_HERE, true);
        sh->in.len = len;
        sh->in.pos = behind;
    }
    sh->used = mark;
}

void shell_newline(struct shell *sh)
{
    sh->in.pos++;
    if (sh->state == STATE_AFTER || sh->state == STATE_CLOSED)
        sh->state = STATE_MAY;
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
    const uint32_t mark = sh->used, at = shell_place(sh, sh->in.pos);
    const bool here = op[0] == '<' && op[1] == '<';

    shell_blanks(sh);
    if (shell_ends_word(shell_peek(sh, 0))) {
        shell_error(sh);
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
    const uint8_t flags = shell_part(sh, IN_WORD, false);
    sh->mute -= here;
    const char *word = sh->work->text + from;
    if (here && ((flags & WORD_EXPANDS) || memchr(word, '\n', sh->used - from)))
        shell_doubt(sh, DOUBT_DIFFERS);
    const bool number = sh->used == from + 1 && ((*word >= '0' && *word <= '9') || *word == '-');
    const bool null = slice_eq((struct slice){word, sh->used - from}, "/dev/null");
    if (!here && !sh->putting && !null && !(op[1] == '&' && number))
        shell_report(sh, (struct slice){sh->work->text + mark, sh->used - mark}, op_len, at, SHELL_REDIRECTED);
    sh->used = mark;
}

/** A redirection. Return: false if there is none. */
static bool redirection(struct shell *sh)
{
    uint32_t digits = 0;
    char op[2] = "";
    bool strip = false;

    while (shell_peek(sh, digits) >= '0' && shell_peek(sh, digits) <= '9')
        digits++;
    const int c = shell_peek(sh, digits), next = shell_peek(sh, digits + 1);
    if (c != '<' && c != '>')
        return false;
    if (digits > 1)
        shell_doubt(sh, DOUBT_DIFFERS);
    op[0] = (char)c;
    sh->in.pos += digits + 1;
    if (next == '(') {
        shell_doubt(sh, DOUBT_PROCESS);
        sh->in.pos++;
        shell_substitution(sh);
        return true;
    }
    if (next > 0 && strchr(c == '<' ? "<>&" : ">|&", next)) {
        op[1] = (char)next;
        sh->in.pos++;
        if (c == '<' && next == '<' && shell_peek(sh, 0) == '-') {
            strip = true;
            sh->in.pos++;
        } else if (c == '<' && next == '<' && shell_peek(sh, 0) == '<') {
            shell_doubt(sh, DOUBT_DIFFERS);
            sh->in.pos++;
            op[1] = '\0';
        }
    }
    if (shell_peek(sh, 0) == '\\' && shell_peek(sh, 1) == '\n')
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
    const uint8_t flags = shell_part(sh, IN_WORD, false);
    c->flags |= flags;
    if (!room) {
        if (!first)
            shell_word_end(sh, flags);
        return;
    }
    shell_word_end(sh, flags);
    const char *text = sh->work->text + start;
    const int next = shell_peek(sh, 0);
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
        shell_word_split(sh, c->first);
}

static void simple(struct shell *sh, struct simple *c)
{
    *c = (struct simple){.first = sh->words, .at = sh->in.pos};
    for (;;) {
        shell_blanks(sh);
        if (redirection(sh))
            continue;
        if (shell_ends_word(shell_peek(sh, 0)) || (shell_peek(sh, 0) == '(' && sh->words == c->first + 1))
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
    shell_blanks(sh);
    if (shell_peek(sh, 0) != ')') {
        shell_error(sh);
        return;
    }
    sh->in.pos++;
    shell_doubt(sh, DOUBT_FUNCTION);
    sh->state = STATE_NEED;
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
        shell_run(sh, c.first, sh->words, shell_place(sh, c.at), SHELL_GUESSED);
    sh->unsure--;
    sh->putting = false;
    sh->words = c.first;
    sh->used = used;
    sh->in.pos = end;
}

char shell_top(const struct shell *sh)
{
    return sh->opened > sh->opened_outside ? sh->open[sh->opened - 1] : '\0';
}

void shell_simple(struct shell *sh)
{
    const uint32_t from = sh->in.pos, used = sh->used;
    const bool both = sh->both, closed = sh->state == STATE_CLOSED;
    const uint8_t heres = sh->heres;
    struct simple c;

    sh->both = false;
    if (shell_top(sh) == 'f')
        shell_error(sh);
    simple(sh, &c);
    if (closed && sh->words > c.first)
        shell_error(sh);
    if (both && (c.assigns || sh->words > c.first))
        shell_doubt(sh, DOUBT_DIFFERS);
    const bool is_function = sh->words == c.first + 1 && shell_peek(sh, 0) == '(';
    if (!is_function && sh->words > c.first)
        shell_run(sh, c.first, sh->words, shell_place(sh, c.at), sh->in.origin);
    sh->words = c.first;
    sh->used = used;
    if ((c.flags & WORD_GUESSES) && !sh->putting && sh->mute == 0)
        simple_again(sh, from, heres);
    sh->state = closed ? STATE_CLOSED : STATE_AFTER;
    if (is_function)
        function(sh);
}
