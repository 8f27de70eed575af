/* What a command runs: wrappers and their options. */
#include "guard/shell_int.h"

#include <string.h>

#include "nefia/base/err.h"

/* How what a wrapper runs follows. */
enum kind {
    KIND_COMMAND = '0',  /* behind its options */
    KIND_OPERAND = '1',  /* behind one more word */
    KIND_NUMBER = '2',   /* behind one more word, a number */
    KIND_ENV = '=',      /* behind assignments */
    KIND_JOINED = 'j',   /* the rest, joined, is a script */
    KIND_SHELL = 'c',    /* -c SCRIPT */
    KIND_SU = 'u',       /* -c SCRIPT among its words */
    KIND_FIND = 'f',     /* -exec COMMAND ; */
    KIND_DAEMON = 'd',   /* -x NAME -- WORDS */
    KIND_TRAP = 't',     /* its first word is a script */
    KIND_IP = 'n',       /* nothing, but for netns exec */
    KIND_XARGS = 'x',    /* as 0, with further words from elsewhere */
    KIND_SETS = 's',     /* runs nothing, but sets variables */
    KIND_MEANING = 'm',  /* changes what names mean */
    KIND_UNKNOWN = '?',  /* runs something, in ways that are not looked into */
};

/* A wrapper, its kind and its options, for word_at: of letters, `:` behind one that takes an argument, `?` behind one with an
 * optional argument in the same word, `!` behind one with which nothing is run. Behind the first RULES names are MEANINGS of
 * KIND_MEANING, the rest are of KIND_UNKNOWN. */
static const char wrappers[] =
    "env\0sudo\0doas\0nohup\0setsid\0nice\0ionice\0chrt\0taskset\0timeout\0stdbuf\0exec\0command\0builtin\0time\0chroot\0"
    "flock\0busybox\0toybox\0eval\0watch\0sh\0ash\0dash\0bash\0su\0find\0start-stop-daemon\0trap\0ip\0" "xargs\0"
    "export\0readonly\0local\0unset\0read\0getopts\0declare\0typeset\0printf\0"
    "alias\0unalias\0hash\0enable\0shopt\0fc\0complete\0bind\0mapfile\0readarray\0[[\0select\0let\0"
    ".\0source\0function\0coproc\0strace\0ltrace\0unshare\0nsenter\0setpriv\0systemd-run\0parallel\0script\0screen\0"
    "tmux\0pkexec\0runuser\0at\0batch\0setarch\0linux32\0linux64\0ssh\0dbclient\0ksh\0zsh\0mksh\0hush\0csh\0tcsh\0fish\0"
    "rbash\0chpst\0setuidgid\0softlimit\0envdir\0envuidgid\0cttyhack\0openvt\0inotifyd\0prlimit\0fakeroot\0newgrp\0sg\0"
    "tcpsvd\0udpsvd\0uevent\0switch_root\0i386\0" "x86_64\0numactl\0cgexec\0bwrap\0firejail\0setlock\0ssh-agent\0";
static const char rules[] =
    "=-iu:0vC:\0" "=AbEHknPu:g:C:D:p:r:t:T:h:l!v!K!V!\0" "0nu:L!\0" "0\0" "0cfw\0" "0#n:\0" "0c:n:tp:P!u!\0" "2bfior\0"
    "1acp!\0" "2k:s:fpv\0" "0i:o:e:\0" "0\0" "0pv!V!\0" "0\0" "0pvaf:o:qV!\0" "1\0"
    "1sxnueoFvw:E:\0" "0\0" "0\0" "j\0" "jn:d?tbecg\0" "ccefuxvCa\0" "ccefuxvCa\0" "ccefuxvCa\0" "cBcefuxvCa\0" "u\0" "f\0"
    "dSKbmqvotp:n:u:c:g:d:N:s:R:x:a:P:I:k:C12:\0" "t\0" "n\0" "x0rtpoxn:P:I:L:s:d:E:a:i?e?l?\0"
    "s\0" "s\0" "s\0" "s\0" "s\0" "s\0" "s\0" "s\0" "sv\0";
enum { RULES = 40, MEANINGS = 13 };

/* A run: its words, and what is known of them. */
struct run {
    unsigned from, to; /* words */
    uint32_t at;
    const char *options;
    char kind;
    bool more;    /* further words come from elsewhere */
    bool wrapped; /* a wrapper runs it: what splits is split even behind `export X=` */
};

enum outcome { GOES_ON, NOTHING, UNKNOWN };

static const struct shell_word *word(const struct shell *sh, unsigned i)
{
    return &sh->work->words[i];
}

static struct slice text_of(const struct shell *sh, unsigned i)
{
    return (struct slice){sh->work->text + word(sh, i)->at, word(sh, i)->len};
}

static struct slice words_text(const struct shell *sh, unsigned from, unsigned to)
{
    const struct shell_word *first = word(sh, from), *last = word(sh, to - 1);
    return (struct slice){sh->work->text + first->at, (size_t)last->at + last->len - first->at};
}

static bool is(const struct shell *sh, unsigned i, const char *text)
{
    return slice_eq(text_of(sh, i), text);
}

/** The first character of a word; '\0': it is empty. */
static char initial(const struct shell *sh, unsigned i)
{
    return word(sh, i)->len > 0 ? sh->work->text[word(sh, i)->at] : '\0';
}

/** Could it be an option or more words than one, or is it not known where it begins? */
static bool unclear(const struct shell *sh, unsigned i)
{
    const unsigned flags = word(sh, i)->flags;

    return (flags & (WORD_SPLITS | WORD_GLOB)) || ((flags & WORD_EXPANDS) && strchr("$`", initial(sh, i)));
}

/** Is the name of a command one that can be compared? */
static bool name_known(struct shell *sh, unsigned i)
{
    const struct slice name = text_of(sh, i);
    const unsigned flags = word(sh, i)->flags;

    if ((flags & (WORD_EXPANDS | WORD_SPLITS)) || ((flags & WORD_BRACES) && name.len > 1) ||
        ((flags & WORD_GLOB) && !slice_eq(name, "[") && !slice_eq(name, "[["))) {
        shell_doubt(sh, DOUBT_COMPUTED);
        return false;
    }
    for (size_t k = 0; k < name.len; k++) {
        if (name.ptr[k] <= ' ' || name.ptr[k] >= 0x7f || name.ptr[k] == '=')
            shell_doubt(sh, DOUBT_NAME);
    }
    if (initial(sh, i) == '-' || shell_reserved(name))
        shell_doubt(sh, DOUBT_NAME);
    return true;
}

static struct slice base_name(struct slice name)
{
    for (size_t i = name.len; i-- > 0;) {
        if (name.ptr[i] == '/')
            return (struct slice){name.ptr + i + 1, name.len - i - 1};
    }
    return name;
}

/** A script that is a word, or several joined ones. */
static void run_script(struct shell *sh, const struct run *r, unsigned from, unsigned to)
{
    unsigned flags = 0;

    for (unsigned i = from; i < to; i++)
        flags |= word(sh, i)->flags;
    const bool known = !(flags & WORD_COMPUTED);
    if (!known)
        shell_doubt(sh, DOUBT_SCRIPT);
    sh->unsure += !known;
    shell_script(sh, words_text(sh, from, to), r->at, SHELL_WRAPPED);
    sh->unsure -= !known;
}

static bool may_be_script(struct slice s)
{
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] && strchr(" \t\n\"'\\$`;&|", s.ptr[i]))
            return true;
    }
    return false;
}

/** Any part of the command may be what runs: report each, and take apart what may be a script. */
static void guess(struct shell *sh, const struct run *r)
{
    shell_doubt(sh, DOUBT_WRAPPER);
    sh->unsure++;
    for (unsigned i = r->from + 1, n = 0; i < r->to && n < SHELL_CHAIN; i++, n++) {
        const struct slice s = text_of(sh, i);
        shell_report(sh, words_text(sh, i, r->to), s.len, r->at, SHELL_GUESSED);
        if (may_be_script(s))
            shell_script(sh, s, r->at, SHELL_GUESSED);
    }
    sh->unsure--;
}

/** The letters of a word of options; *i: the last of its words. */
static enum outcome letters(struct shell *sh, const struct run *r, unsigned *i)
{
    const struct slice s = text_of(sh, *i);

    for (size_t k = 1; k < s.len; k++) {
        const char c = s.ptr[k];
        const char *known = c && !strchr("-:?!#", c) ? strchr(r->options, c) : NULL;
        if (c >= '0' && c <= '9' && *r->options == '#')
            continue;
        if (!known)
            return UNKNOWN;
        if (known[1] == '!')
            return NOTHING;
        if (known[1] == '?')
            return GOES_ON;
        if (known[1] != ':')
            continue;
        if (k + 1 == s.len && (++*i >= r->to || (word(sh, *i)->flags & (WORD_SPLITS | WORD_GLOB))))
            return UNKNOWN;
        /* -n"$x" 1: where x is empty, the next word is the argument. */
        return (word(sh, *i)->flags & WORD_EXPANDS) && k + 1 < s.len && strchr("$`", s.ptr[k + 1]) ? UNKNOWN : GOES_ON;
    }
    return GOES_ON;
}

/** Skip options. *i: from the first word behind the name to the first operand. */
static enum outcome options(struct shell *sh, const struct run *r, unsigned *i)
{
    for (; *i < r->to; ++*i) {
        if (unclear(sh, *i))
            return UNKNOWN;
        if (initial(sh, *i) != '-' || (word(sh, *i)->len == 1 && *r->options != '-'))
            return GOES_ON;
        if (is(sh, *i, "--")) {
            ++*i;
            return GOES_ON;
        }
        const enum outcome o = letters(sh, r, i);
        if (o != GOES_ON)
            return o;
    }
    return GOES_ON;
}

/** Words NAME=value before a command. */
static enum outcome assignments(struct shell *sh, const struct run *r, unsigned *i)
{
    for (; *i < r->to; ++*i) {
        const struct slice s = text_of(sh, *i);
        const char *sign = memchr(s.ptr, '=', s.len);
        if (unclear(sh, *i))
            return UNKNOWN;
        if (!sign)
            break;
        const struct slice name = {s.ptr, (size_t)(sign - s.ptr)};
        if (shell_special(name))
            shell_doubt(sh, DOUBT_MEANING);
        if (memchr(name.ptr, '$', name.len) || memchr(name.ptr, '`', name.len))
            return UNKNOWN;
    }
    return GOES_ON;
}

/** Words in which a wrapper replaces `what` are computed. */
static void replaced(struct shell *sh, unsigned from, unsigned to, struct slice what)
{
    for (unsigned i = from; i < to && what.len > 0; i++) {
        const struct slice s = text_of(sh, i);
        for (size_t k = 0; k + what.len <= s.len; k++) {
            if (memcmp(s.ptr + k, what.ptr, what.len) == 0)
                sh->work->words[i].flags |= WORD_EXPANDS | WORD_SPLITS;
        }
    }
}

/** What xargs replaces in the command, by its options before word `end`. Return: is it known? */
static bool xargs_replaces(struct shell *sh, const struct run *r, unsigned end)
{
    for (unsigned i = r->from + 1; i < end; i++) {
        const struct slice s = text_of(sh, i);
        const char *letter = memchr(s.ptr, 'I', s.len);
        const bool optional = letter == NULL;
        if (optional)
            letter = memchr(s.ptr, 'i', s.len);
        if (!letter || *s.ptr != '-')
            continue;
        const struct slice rest = {letter + 1, (size_t)(s.ptr + s.len - letter - 1)};
        if ((word(sh, i)->flags | word(sh, i + (i + 1 < end))->flags) & WORD_EXPANDS)
            return false;
        replaced(sh, end, r->to, rest.len > 0 ? rest : optional || i + 1 == end ? (struct slice){"{}", 2} : text_of(sh, i + 1));
    }
    return true;
}

/** Options, an operand, assignments. *i: where what it runs begins. */
static enum outcome plain_wrapper(struct shell *sh, struct run *r, unsigned *i)
{
    const bool more = r->more;
    enum outcome o = options(sh, r, i);

    if (o == GOES_ON && r->kind == KIND_ENV)
        o = assignments(sh, r, i);
    if (o != GOES_ON)
        return o;
    if (r->kind == KIND_NUMBER && *i < r->to && !strchr("0123456789.", initial(sh, *i)))
        return UNKNOWN;
    if ((r->kind == KIND_OPERAND || r->kind == KIND_NUMBER) && *i < r->to && !unclear(sh, *i))
        ++*i;
    if (r->kind == KIND_XARGS) {
        r->more = true;
        if (!xargs_replaces(sh, r, *i))
            return UNKNOWN;
    }
    if (*i == r->to)
        return more ? UNKNOWN : NOTHING;
    return unclear(sh, *i) ? UNKNOWN : GOES_ON;
}

/** Could the file that a shell reads be a device, or what a process has open? */
static bool may_be_input(struct slice path)
{
    bool first = true;

    for (size_t at = 0; at < path.len;) {
        const char *end = memchr(path.ptr + at, '/', path.len - at);
        const struct slice name = {path.ptr + at, end ? (size_t)(end - path.ptr) - at : path.len - at};
        const int i = word_index("dev\0proc\0fd\0stdin\0.\0..\0", name);
        if ((i >= 0 && i < 2 && first) || i == 2 || i == 3)
            return true;
        first = first && (i >= 4 || name.len == 0);
        at += name.len + 1;
    }
    return false;
}

/** sh -c SCRIPT, or a file, or its input. */
static enum outcome shell_wrapper(struct shell *sh, const struct run *r)
{
    unsigned i = r->from + 1;
    bool script = false;
    const enum outcome o = options(sh, r, &i);

    if (o != GOES_ON)
        return o;
    for (unsigned k = r->from + 1; k < i; k++)
        script = script || memchr(text_of(sh, k).ptr, 'c', word(sh, k)->len);
    if (script && i < r->to && is(sh, i, "-"))
        i++;
    if (i == r->to || (initial(sh, i) == '-' && !script)) {
        shell_doubt(sh, DOUBT_INPUT);
        return NOTHING;
    }
    if (initial(sh, i) == '+')
        return UNKNOWN;
    if (script)
        run_script(sh, r, i, i + 1);
    else if (may_be_input(text_of(sh, i)))
        shell_doubt(sh, DOUBT_INPUT);
    if (script && *r->options == 'B')
        shell_doubt(sh, DOUBT_BASH);
    return NOTHING;
}

/** su [-] [-lmp] [-s SHELL] [-c SCRIPT] [USER]. */
static enum outcome su_wrapper(struct shell *sh, const struct run *r)
{
    unsigned script = 0, operands = 0;

    for (unsigned i = r->from + 1; i < r->to; i++) {
        const int option = word_index("-c\0-s\0-\0-l\0-m\0-p\0", text_of(sh, i));
        if (unclear(sh, i) || (option >= 0 && option < 2 && ++i == r->to) || (option == 0 && script > 0) ||
            (option < 0 && initial(sh, i) == '-') ||
            (option == 1 && word_index("sh\0ash\0dash\0", base_name(text_of(sh, i))) < 0))
            return UNKNOWN;
        if (option == 0)
            script = i;
        operands += option < 0;
    }
    if (operands > 1 || r->more)
        return UNKNOWN;
    if (script > 0)
        run_script(sh, r, script, script + 1);
    else
        shell_doubt(sh, DOUBT_INPUT);
    return NOTHING;
}

/** Run a part of the command as one of its own. */
static void run_part(struct shell *sh, const struct run *r, unsigned from, unsigned to)
{
    if (from == to || !shell_deeper(sh))
        return;
    shell_run(sh, from, to, r->at, SHELL_WRAPPED);
    sh->depth--;
}

/** Could it come to be -exec, by what is put in? An expansion that is the whole of it is taken for an operand. */
static bool may_be_exec(const struct shell *sh, unsigned i)
{
    const struct slice s = text_of(sh, i);

    if (!(word(sh, i)->flags & WORD_EXPANDS) || !strchr("-$`", initial(sh, i)))
        return false;
    for (size_t k = 0; k + 1 < s.len; k++) {
        if (s.ptr[k] == '-' && (k == 0 || strchr("eo$`})", s.ptr[k + 1])))
            return true;
    }
    return false;
}

/** Each -exec of a find. One among the words of another may be one nevertheless: the first is an argument (-name -exec), or ends at a
 * `+` that has no {} before it, as it does for BusyBox. */
static enum outcome find_wrapper(struct shell *sh, const struct run *r)
{
    unsigned ended = 0, nested = 0;

    for (unsigned i = r->from + 1; i < r->to; i++) {
        if (r->more || (word(sh, i)->flags & WORD_SPLITS) || may_be_exec(sh, i) || ((word(sh, i)->flags & WORD_GLOB) && strchr("*?[", initial(sh, i))))
            shell_doubt(sh, DOUBT_WRAPPER);
    }
    if (sh->finding) /* what it runs is among the words of the outer one */
        return NOTHING;
    for (unsigned i = r->from + 1; i < r->to; i++) {
        if (word_index("-exec\0-execdir\0-ok\0-okdir\0", text_of(sh, i)) < 0)
            continue;
        unsigned end = i + 1;
        bool plain = i >= ended;
        for (; end < r->to && !is(sh, end, ";") && !(is(sh, end, "+") && is(sh, end - 1, "{}")); end++)
            plain = plain && !is(sh, end, "+");
        if (end == r->to || !plain)
            shell_doubt(sh, DOUBT_WRAPPER);
        if (i < ended && nested++ == SHELL_CHAIN)
            break;
        replaced(sh, i + 1, end, (struct slice){"{}", 2});
        sh->finding = true;
        run_part(sh, r, i + 1, end);
        sh->finding = false;
        ended = end;
    }
    return r->more && r->to == r->from + 1 ? UNKNOWN : NOTHING;
}

/** start-stop-daemon -S -x NAME -- WORDS: the name is moved to its words. */
static enum outcome daemon_wrapper(struct shell *sh, const struct run *r)
{
    unsigned i = r->from + 1, name = 0;
    bool starts = false, stops = false;
    const enum outcome o = options(sh, r, &i);

    if (o != GOES_ON)
        return o;
    for (unsigned k = r->from + 1; k < i; k++) {
        const struct slice s = text_of(sh, k);
        if (initial(sh, k) != '-' || s.len < 2)
            continue;
        starts = starts || memchr(s.ptr, 'S', s.len);
        stops = stops || memchr(s.ptr, 'K', s.len);
        const char last = s.ptr[s.len - 1];
        if ((last == 'x' || last == 'a') && k + 1 < i && (name == 0 || last == 'a'))
            name = k + 1;
    }
    for (unsigned k = i; k < r->to && !is(sh, i - 1, "--"); k++)
        starts = starts && initial(sh, k) != '-';
    if (starts == stops || (starts && name == 0) || r->more)
        return UNKNOWN;
    if (stops)
        return NOTHING;
    if (i == r->to) {
        run_part(sh, r, name, name + 1);
        return NOTHING;
    }
    struct shell_word *w = &sh->work->words[i - 1];
    const struct shell_word n = *word(sh, name);
    w->at = (uint16_t)(word(sh, i)->at - 1 - n.len);
    w->len = n.len;
    w->flags = n.flags;
    memmove(sh->work->text + w->at, sh->work->text + n.at, n.len);
    run_part(sh, r, i - 1, r->to);
    return NOTHING;
}

/** trap SCRIPT SIGNAL… */
static enum outcome trap_wrapper(struct shell *sh, const struct run *r)
{
    const unsigned i = r->from + 1;

    if (i == r->to || (i + 1 == r->to && !unclear(sh, i)) || is(sh, i, "-") || is(sh, i, ""))
        return NOTHING;
    if ((word(sh, i)->flags & WORD_SPLITS) || initial(sh, i) == '-')
        return UNKNOWN;
    run_script(sh, r, i, i + 1);
    return NOTHING;
}

/** Commands that give variables other values; of printf, bash's with -v. */
static enum outcome sets(struct shell *sh, const struct run *r)
{
    const bool only_v = *r->options == 'v';

    if (only_v && (r->to == r->from + 1 || !is(sh, r->from + 1, "-v")))
        return NOTHING;
    for (unsigned i = r->from + 1; i < r->to; i++) {
        const struct slice s = text_of(sh, i), name = {s.ptr, shell_name(s.ptr, s.len)};
        const bool whole = name.len == s.len || s.ptr[name.len] == '=';
        if (only_v || (whole && shell_special(name)) || ((word(sh, i)->flags & (WORD_EXPANDS | WORD_SPLITS)) && !whole) ||
            ((word(sh, i)->flags & WORD_SPLITS) && r->wrapped))
            shell_doubt(sh, DOUBT_MEANING);
    }
    return NOTHING;
}

static bool shortens(struct slice s, const char *word, size_t least)
{
    return s.len >= least && s.len <= strlen(word) && memcmp(s.ptr, word, s.len) == 0;
}

/** Could it be `ip netns exec` or `ip vrf exec`? ip takes words cut short. */
static bool ip_runs(const struct shell *sh, const struct run *r)
{
    for (unsigned i = r->from + 1; i < r->to; i++) {
        const struct slice s = text_of(sh, i);
        const bool expands = word(sh, i)->flags & WORD_EXPANDS;
        const bool last = i + 1 == r->to, object = expands || shortens(s, "netns", 3) || shortens(s, "vrf", 1);
        if ((i < r->from + 3 && (expands || unclear(sh, i))) || (object && !last && (word(sh, i + 1)->flags & WORD_EXPANDS)) || (object && (last ? r->more : unclear(sh, i + 1))) ||
            (object && !last && shortens(text_of(sh, i + 1), "exec", 1)))
            return true;
    }
    return r->more && r->to == r->from + 1;
}

static enum outcome by_kind(struct shell *sh, struct run *r, unsigned *i)
{
    switch (r->kind) {
    case KIND_SHELL:
        return shell_wrapper(sh, r);
    case KIND_SU:
        return su_wrapper(sh, r);
    case KIND_FIND:
        return find_wrapper(sh, r);
    case KIND_DAEMON:
        return daemon_wrapper(sh, r);
    case KIND_TRAP:
        return trap_wrapper(sh, r);
    case KIND_SETS:
        return sets(sh, r);
    case KIND_MEANING:
        shell_doubt(sh, DOUBT_MEANING);
        return NOTHING;
    case KIND_IP:
        return ip_runs(sh, r) ? UNKNOWN : NOTHING;
    case KIND_UNKNOWN:
        return UNKNOWN;
    default:
        return plain_wrapper(sh, r, i);
    }
}

/** What the options and operands of a wrapper leave: a command, or a script. Return: GOES_ON: words from *i are a command. */
static enum outcome look_through(struct shell *sh, struct run *r, struct slice name, unsigned *i)
{
    const enum outcome o = by_kind(sh, r, i);

    if (o == NOTHING && *i == r->to && slice_eq(name, "chroot"))
        shell_doubt(sh, DOUBT_INPUT);
    if (o != GOES_ON)
        return o;
    const bool script = slice_eq(name, "flock") && is(sh, *i, "-c");
    if (script && *i + 2 != r->to)
        return UNKNOWN;
    if (r->kind != KIND_JOINED && !script)
        return GOES_ON;
    if (r->more)
        shell_doubt(sh, DOUBT_WRAPPER);
    run_script(sh, r, *i + script, r->to);
    return NOTHING;
}

/** Kind and options of a command. Return: false if it is no wrapper. */
static bool find_rule(struct run *r, struct slice name)
{
    const bool is_busybox = name.len > 7 && memcmp(name.ptr, "busybox", 7) == 0; /* busybox.nosuid, busybox-static */
    const int n = word_index(wrappers, is_busybox ? (struct slice){name.ptr, 7} : name);

    if (n < 0)
        return false;
    const char *rule = n < RULES ? word_at(rules, (unsigned)n) : n < RULES + MEANINGS ? "m" : "?";
    r->kind = *rule;
    r->options = rule + 1;
    return true;
}

/** A command, then what it runs, and so on. */
static void run(struct shell *sh, struct run *r, enum shell_origin origin)
{
    for (unsigned n = 0; r->from < r->to; n++) {
        const struct slice text = words_text(sh, r->from, r->to), name = base_name(text_of(sh, r->from));
        shell_report(sh, text, word(sh, r->from)->len, r->at, origin);
        if (!name_known(sh, r->from) || !find_rule(r, name))
            return;
        if (n == SHELL_CHAIN) {
            shell_doubt(sh, DOUBT_CHAIN);
            return;
        }
        unsigned i = r->from + 1;
        const enum outcome o = look_through(sh, r, name, &i);
        if (o == UNKNOWN)
            guess(sh, r);
        if (o != GOES_ON)
            return;
        r->from = i;
        r->wrapped = true;
        origin = SHELL_WRAPPED;
    }
}

void shell_run(struct shell *sh, unsigned from, unsigned to, uint32_t at, enum shell_origin origin)
{
    const bool sure = sh->doubt->reason == NULL;

    run(sh, &(struct run){.from = from, .to = to, .at = at}, origin);
    if (sure && sh->doubt->reason)
        sh->doubt->at = at;
}
