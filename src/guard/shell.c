/* The shell's language, read from front to back without a tree: what is open stands on a stack of one byte each, and only
 * substitutions and scripts within a line recurse, SHELL_DEPTH deep. */
#include "guard/shell_int.h"

#include <string.h>

int shell_peek(const struct shell *sh, uint32_t ahead)
{
    const uint32_t at = sh->in.pos + ahead;
    return at < sh->in.len ? (unsigned char)sh->in.s[at] : -1;
}

bool shell_ends_word(int c)
{
    return c < 0 || (c > 0 && strchr(" \t\n;&|<>()", c));
}

uint32_t shell_place(const struct shell *sh, uint32_t pos)
{
    return sh->in.inner ? sh->in.at : pos;
}

void shell_doubt(struct shell *sh, enum shell_reason reason)
{
    static const char reasons[] =
        "not understood as shell syntax\0"
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
    sh->doubt->at = shell_place(sh, sh->in.pos);
}

void shell_error(struct shell *sh)
{
    shell_doubt(sh, DOUBT_SYNTAX);
    sh->state = STATE_MAY;
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

size_t shell_name(const char *s, size_t len)
{
    size_t n = 0;

    while (n < len && (s[n] == '_' || ((s[n] | 32) >= 'a' && (s[n] | 32) <= 'z') || (n > 0 && s[n] >= '0' && s[n] <= '9')))
        n++;
    return n;
}

size_t shell_name_here(const struct shell *sh, uint32_t pos)
{
    return pos < sh->in.len ? shell_name(sh->in.s + pos, sh->in.len - pos) : 0;
}

bool shell_special(struct slice name)
{
    return word_index("PATH\0IFS\0ENV\0SHELL\0PS1\0PS2\0PS4\0SHELLOPTS\0BASHOPTS\0PROMPT_COMMAND\0", name) >= 0 ||
           (name.len > 3 && memcmp(name.ptr, "LD_", 3) == 0) || (name.len >= 5 && memcmp(name.ptr, "BASH_", 5) == 0);
}

void shell_blanks(struct shell *sh)
{
    for (int c; (c = shell_peek(sh, 0)) == ' ' || c == '\t' || (c == '\\' && shell_peek(sh, 1) == '\n');)
        sh->in.pos += c == '\\' ? 2 : 1;
    if (shell_peek(sh, 0) != '#')
        return;
    while (shell_peek(sh, 0) >= 0 && shell_peek(sh, 0) != '\n')
        sh->in.pos++;
}

/* ---- compound commands ------------------------------------------------------------------------------------------------- */

static const char reserved_words[] = "if\0then\0elif\0else\0fi\0while\0until\0do\0done\0for\0case\0esac\0{\0}\0!\0in\0";
/* Three characters of each: within which one or other of them it stands (none: it opens), and what is open behind it. The open are
 * i: if, t: then, e: else, w: while, f: for and its words, d: do, c: case, { and (. */
static const char reserved_rules[] = "..i" "i.t" "t.i" "t.e" "te." "..w" "..w" "wfd" "d.." "..f" "..c" "c.." "..{" "{.." "..!"
                                     "..?";

bool shell_reserved(struct slice word)
{
    return word_index(reserved_words, word) >= 0;
}

static void push(struct shell *sh, char what)
{
    sh->state = STATE_NEED;
    if (sh->opened == SHELL_OPEN)
        shell_doubt(sh, DOUBT_DEEP);
    else
        sh->open[sh->opened++] = what;
}

static void pop(struct shell *sh)
{
    sh->opened--;
    sh->state = STATE_CLOSED;
}

/** The word of letters, braces or `!` here, if it is a whole one. Return: its length, or 0. */
static uint32_t bare_word(const struct shell *sh)
{
    uint32_t n = 0;
    int c;

    while (((c = shell_peek(sh, n)) >= 'a' && c <= 'z') || c == '{' || c == '}' || c == '!')
        n++;
    return shell_ends_word(c) ? n : 0;
}

static bool bare_word_is(const struct shell *sh, const char *word)
{
    const uint32_t n = bare_word(sh);
    return n > 0 && slice_eq((struct slice){sh->in.s + sh->in.pos, n}, word);
}

static void blank_lines(struct shell *sh)
{
    for (shell_blanks(sh); shell_peek(sh, 0) == '\n'; shell_blanks(sh))
        shell_newline(sh);
}

/** A word that is no command's. */
static void skip_word(struct shell *sh)
{
    const uint32_t mark = sh->used;

    if (shell_ends_word(shell_peek(sh, 0)))
        shell_error(sh);
    (void)shell_part(sh, IN_WORD, false);
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
    if (shell_peek(sh, 0) == '(') {
        sh->in.pos++;
        shell_blanks(sh);
    }
    for (;;) {
        skip_word(sh);
        shell_blanks(sh);
        if (shell_peek(sh, 0) != '|')
            break;
        sh->in.pos++;
        shell_blanks(sh);
    }
    if (shell_peek(sh, 0) == ')')
        sh->in.pos++;
    else
        shell_error(sh);
    sh->state = STATE_MAY;
}

static void case_header(struct shell *sh)
{
    shell_blanks(sh);
    skip_word(sh);
    blank_lines(sh);
    push(sh, 'c');
    if (!bare_word_is(sh, "in")) {
        shell_error(sh);
        return;
    }
    sh->in.pos += 2;
    patterns(sh);
}

static void for_header(struct shell *sh)
{
    shell_blanks(sh);
    const size_t n = shell_name_here(sh, sh->in.pos);
    if (n > 0 && shell_special((struct slice){sh->in.s + sh->in.pos, n}))
        shell_doubt(sh, DOUBT_MEANING);
    sh->in.pos += (uint32_t)n;
    push(sh, 'f');
    if (n == 0 || !shell_ends_word(shell_peek(sh, 0))) {
        shell_error(sh);
        return;
    }
    blank_lines(sh);
    if (bare_word_is(sh, "in")) {
        sh->in.pos += 2;
        for (shell_blanks(sh); !shell_ends_word(shell_peek(sh, 0)); shell_blanks(sh))
            skip_word(sh);
        if (shell_peek(sh, 0) != ';' && shell_peek(sh, 0) != '\n')
            shell_error(sh);
    }
    sh->state = STATE_MAY;
    if (shell_peek(sh, 0) == ';')
        sh->in.pos++;
}

/** A word of the shell's own. Return: false if there is none. */
static bool reserved(struct shell *sh)
{
    const uint32_t n = bare_word(sh);
    const int i = n > 0 ? word_index(reserved_words, (struct slice){sh->in.s + sh->in.pos, n}) : -1;

    if (i < 0)
        return false;
    const char *rule = reserved_rules + 3 * i, within = shell_top(sh);
    const bool opens = rule[0] == '.';
    const bool ended = sh->state == STATE_MAY || sh->state == STATE_CLOSED;
    const bool fits = opens ? sh->state <= STATE_MAY && within != 'f' && rule[2] != '?'
                            : ended && within && (within == rule[0] || within == rule[1]);
    if (!fits)
        shell_error(sh);
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
        sh->state = STATE_NEED;
    else if (rule[2] != '.')
        push(sh, rule[2]);
    return true;
}

/** Behind an operator: a continued line must not hide that it is a longer one. */
static void operator_ends(struct shell *sh, int c)
{
    bool continued = false;

    for (; shell_peek(sh, 0) == '\\' && shell_peek(sh, 1) == '\n'; sh->in.pos += 2)
        continued = true;
    const int next = shell_peek(sh, 0);
    if (continued && (next == c || (c == '&' && next == '>') || (c == '|' && next == '&') || (c == ';' && next == '&')))
        shell_doubt(sh, DOUBT_DIFFERS);
}

static void parenthesis(struct shell *sh, bool opens)
{
    if (opens && sh->state <= STATE_MAY && shell_top(sh) != 'f') {
        push(sh, '(');
        if (shell_peek(sh, 0) == '(')
            shell_doubt(sh, DOUBT_DIFFERS);
    } else if (!opens && sh->state != STATE_NEED && shell_top(sh) == '(') {
        pop(sh);
    } else {
        shell_error(sh);
    }
}

/** One of ; & | ( ), doubled or not. */
static void operator(struct shell *sh, int c)
{
    const bool ended = sh->state == STATE_AFTER || sh->state == STATE_CLOSED;

    sh->in.pos++;
    if (c == '(' || c == ')') {
        parenthesis(sh, c == '(');
    } else if (c == ';' && shell_peek(sh, 0) == ';') {
        sh->in.pos++;
        if (shell_peek(sh, 0) == '&')
            shell_doubt(sh, DOUBT_DIFFERS);
        if (shell_top(sh) == 'c' && sh->state != STATE_NEED)
            patterns(sh);
        else
            shell_error(sh);
    } else {
        if (!ended)
            shell_error(sh);
        sh->state = c == '|' ? STATE_NEED : STATE_MAY;
        if (shell_peek(sh, 0) == c) {
            sh->in.pos++;
            sh->state = STATE_NEED;
        } else {
            sh->both = c == '&' && shell_peek(sh, 0) == '>';
        }
    }
    operator_ends(sh, c);
}

void shell_commands(struct shell *sh, bool substitution)
{
    const uint8_t opened_outside = sh->opened_outside, heres_outside = sh->heres_outside, state = sh->state;
    const bool both = sh->both, naming = sh->naming;
    const uint32_t word = sh->word;

    sh->opened_outside = sh->opened;
    sh->heres_outside = sh->heres;
    sh->state = STATE_MAY;
    sh->both = false;
    for (int c; shell_blanks(sh), (c = shell_peek(sh, 0)) >= 0;) {
        if (c == ')' && substitution && sh->opened == sh->opened_outside)
            break;
        if (c == '\n')
            shell_newline(sh);
        else if (c > 0 && strchr(";&|()", c))
            operator(sh, c);
        else if (!reserved(sh))
            shell_simple(sh);
    }
    if (sh->opened > sh->opened_outside || sh->state == STATE_NEED || (sh->heres > sh->heres_outside && sh->depth > 0))
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
    const bool finding = sh->finding;

    if (!shell_deeper(sh))
        return;
    sh->finding = false;
    sh->in = (struct shell_source){text.ptr, (uint32_t)text.len, 0, at, true, origin};
    shell_commands(sh, false);
    sh->in = in;
    sh->finding = finding;
    sh->depth--;
}

bool shell_split(const char *line, size_t len, struct shell_work *work, shell_found *found, void *arg,
                 struct shell_doubt *doubt)
{
    struct shell sh = {.in = {line, (uint32_t)len, 0, 0, false, SHELL_WRITTEN}, .work = work, .found = found, .arg = arg,
                       .doubt = doubt};

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
    shell_commands(&sh, false);
    return doubt->reason == NULL;
}
