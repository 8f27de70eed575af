#ifndef NEFIA_GUARD_SHELL_INT_H
#define NEFIA_GUARD_SHELL_INT_H

/* Between shell.c, which reads the shell's language, and shell_run.c, which knows what commands run. */

#include "nefia/guard/shell.h"

/* What a word has. */
enum shell_flag {
    WORD_QUOTED = 1,
    WORD_EXPANDS = 2, /* $X, $(…), `…`, or what a wrapper replaces in it */
    WORD_SPLITS = 4,  /* may become several words, or none */
    WORD_GLOB = 8,    /* *, ?, [ or a leading ~, unquoted */
    WORD_BRACES = 16, /* {, unquoted */
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

struct shell_here {
    uint32_t at; /* of its delimiter */
    bool strip;  /* <<- */
};

/* The line or a script within it. */
struct shell_source {
    const char *s;
    uint32_t len, pos;
    uint32_t at;  /* of a script: byte of the line where what runs it begins */
    bool inner;   /* is a script */
    enum shell_origin origin; /* of its commands */
};

struct shell {
    struct shell_source in, line;
    struct shell_work *work;
    uint32_t used;         /* bytes of work->text */
    uint16_t words;        /* of work->words */
    uint16_t values;       /* of variables put into this command */
    uint16_t lookups;      /* of variables so far */
    uint8_t depth, opened, heres;
    uint8_t opened_outside, heres_outside; /* of the substitution that is read */
    uint8_t state;         /* enum state of shell.c */
    uint8_t unsure, mute;  /* above 0: what is found is a guess; is not reported */
    bool putting;          /* values are put in */
    bool input;            /* some shell of the line reads commands from its input */
    bool naming;           /* the word that is read is a command's first one */
    uint32_t word;         /* where in the text it begins */
    bool both;             /* behind `&`, directly followed by `>` */
    char open[SHELL_OPEN];
    struct shell_here here[SHELL_HERES];
    shell_found *found;
    void *arg;
    struct shell_doubt *doubt;
};

/** The first one counts, unless only guesses are made. */
void shell_doubt(struct shell *sh, enum shell_reason reason);
/** One level deeper, or a doubt. */
bool shell_deeper(struct shell *sh);
/** Report text[0..len) as a command that begins at byte `at`. */
void shell_report(struct shell *sh, struct slice text, size_t name_len, uint32_t at, enum shell_origin origin);
/** Take a script in work->text apart, which a command at byte `at` runs. */
void shell_script(struct shell *sh, struct slice text, uint32_t at, enum shell_origin origin);
/** Report the command of words [from, to), and what it runs, if it is a wrapper. `origin`: of itself. */
void shell_run(struct shell *sh, unsigned from, unsigned to, uint32_t at, enum shell_origin origin);
/** Begin a word of the command being read. Return: false if there are too many. */
bool shell_word_begin(struct shell *sh, bool first);
/** End it. */
void shell_word_end(struct shell *sh, uint8_t flags);
/** Append a character of a word. */
void shell_put(struct shell *sh, char c);
/** Does a variable of that name change what names mean? */
bool shell_special(struct slice name);
/** Is it one of the shell's own words? */
bool shell_reserved(struct slice word);
/** How many bytes of s can be the name of a variable. */
size_t shell_name(const char *s, size_t len);

#endif
