#ifndef NEFIA_GUARD_SHELL_INT_H
#define NEFIA_GUARD_SHELL_INT_H

/* Between the parts of the splitter: shell.c has what lists and compound commands are made of, shell_command.c simple commands and
 * here-documents, shell_word.c words and expansions, shell_run.c what commands run. */

#include "nefia/guard/shell.h"

/* What a word has. */
enum shell_flag {
    WORD_QUOTED = 1,
    WORD_EXPANDS = 2,  /* $X, $(…), `…`, or what a wrapper replaces in it */
    WORD_SPLITS = 4,   /* may become several words, or none */
    WORD_GLOB = 8,     /* *, ?, [ or a leading ~, unquoted */
    WORD_BRACES = 16,  /* {, unquoted */
    WORD_ASSIGNS = 32, /* NAME=, unquoted */
    WORD_GUESSES = 64, /* has what a guess would put in */
    WORD_COMPUTED = WORD_EXPANDS | WORD_SPLITS | WORD_GLOB,
};

/* Why there is a doubt; shell_doubt() has the phrases. */
enum shell_reason {
    DOUBT_SYNTAX,
    DOUBT_DIFFERS,
    DOUBT_MEANING,
    DOUBT_WRAPPER,
    DOUBT_INPUT,
    DOUBT_DEEP,
    DOUBT_LONG,
    DOUBT_HERE_END,
    DOUBT_HERES,
    DOUBT_PROCESS,
    DOUBT_WORDS,
    DOUBT_FUNCTION,
    DOUBT_COMPUTED,
    DOUBT_NAME,
    DOUBT_SCRIPT,
    DOUBT_BASH,
    DOUBT_CHAIN,
    DOUBT_NUL,
};

/* May a command begin here? */
enum shell_state {
    STATE_NEED,   /* it must */
    STATE_MAY,    /* or what is open may end */
    STATE_AFTER,  /* no: a simple command ended */
    STATE_CLOSED, /* no: a compound command ended, so that words of the shell and redirections may follow */
};

/* Whose characters are read. */
enum shell_context { IN_WORD, IN_BRACES, IN_ARITHMETIC, IN_HERE };

struct shell_here {
    uint32_t at; /* of its delimiter */
    bool strip;  /* <<- */
};

/* The line or a script within it. */
struct shell_source {
    const char *s;
    uint32_t len, pos;
    uint32_t at;              /* of a script: byte of the line where what runs it begins */
    bool inner;               /* is a script */
    enum shell_origin origin; /* of its commands */
};

struct shell {
    struct shell_source in, line;
    struct shell_work *work;
    shell_found *found;
    void *arg;
    struct shell_doubt *doubt;
    uint32_t used;                         /* bytes of work->text */
    uint32_t word;                         /* where in the text the word begins that is read */
    uint16_t words;                        /* of work->words */
    uint16_t values;                       /* put into this command */
    uint16_t lookups;                      /* of variables so far */
    uint8_t depth, opened, heres;          /* how many of each there are */
    uint8_t opened_outside, heres_outside; /* of these, outside of the substitution that is read */
    uint8_t state;                         /* enum shell_state */
    bool finding;                          /* what a find runs is read */
    uint8_t unsure, mute;                  /* above 0: what is found is a guess; is not reported */
    bool putting;                          /* values are put in */
    bool input;                            /* a shell of the line reads commands from its input */
    bool naming;                           /* the word that is read is a command's first one */
    bool both;                             /* behind `&`, directly followed by `>` */
    char open[SHELL_OPEN];                 /* see reserved_rules in shell.c */
    struct shell_here here[SHELL_HERES];
};

/* ---- shell.c ---- */

/** The byte that many ahead of the place, or -1: the source ends. */
int shell_peek(const struct shell *sh, uint32_t ahead);
/** Does the character end a word? -1 does. */
bool shell_ends_word(int c);
/** The byte of the line for a byte of the source. */
uint32_t shell_place(const struct shell *sh, uint32_t pos);
/** How many bytes of s can be the name of a variable. */
size_t shell_name(const char *s, size_t len);
/** The same of the source, from byte `pos`. */
size_t shell_name_here(const struct shell *sh, uint32_t pos);
/** Does a variable of that name change what names mean? */
bool shell_special(struct slice name);
/** Is it one of the shell's own words? */
bool shell_reserved(struct slice word);
/** Leave a doubt at the place. The first one counts; none is left while only guesses are made. */
void shell_doubt(struct shell *sh, enum shell_reason reason);
/** Leave the doubt that this is no syntax, and let a command begin here. */
void shell_error(struct shell *sh);
/** One level deeper, or a doubt; true: to be followed by sh->depth--. */
bool shell_deeper(struct shell *sh);
/** Report text as a command, or a redirection, that begins at byte `at` of the line. */
void shell_report(struct shell *sh, struct slice text, size_t name_len, uint32_t at, enum shell_origin origin);
/** Skip blanks, continued lines, and a comment: what may stand before a token. */
void shell_blanks(struct shell *sh);
/** What is open innermost, within the substitution that is read; 0: nothing. */
char shell_top(const struct shell *sh);
/** Read commands up to the end of the source; substitution: or up to a parenthesis that nothing in them opened. */
void shell_commands(struct shell *sh, bool substitution);
/** Take a script apart, which a command at byte `at` of the line runs. Memory: it stays where it is meanwhile. */
void shell_script(struct shell *sh, struct slice text, uint32_t at, enum shell_origin origin);

/* ---- shell_command.c ---- */

/** Read a simple command, and report it and what it runs. */
void shell_simple(struct shell *sh);
/** Read a newline and the here-documents that begin behind it. */
void shell_newline(struct shell *sh);

/* ---- shell_word.c ---- */

/** Read up to the end of the context, or of the source, and append to the text: quotes are removed, expansions stay.
 * quoted: in double quotes, or as if. Return: flags. */
uint8_t shell_part(struct shell *sh, enum shell_context in, bool quoted);
/** Read $(…) or <(…), from behind the parenthesis. With values put in it is only skipped: what it runs was reported before. */
void shell_substitution(struct shell *sh);
/** Append a character of a word. */
void shell_put(struct shell *sh, char c);
/** Begin a word of the command being read. Return: false if there are too many. */
bool shell_word_begin(struct shell *sh, bool first);
/** End it. */
void shell_word_end(struct shell *sh, uint8_t flags);
/** Values that were put in the last word may have blanks: make words of what lies between them. first: of the command. */
void shell_word_split(struct shell *sh, unsigned first);

/* ---- shell_run.c ---- */

/** Report the command of words [from, to), which is not empty, and what it runs if it is a wrapper. at: byte of the line;
 * origin: of itself. */
void shell_run(struct shell *sh, unsigned from, unsigned to, uint32_t at, enum shell_origin origin);

#endif
