#ifndef NEFIA_GUARD_SHELL_H
#define NEFIA_GUARD_SHELL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "nefia/base/text.h"

/** Takes a command line apart into the simple commands that a POSIX shell (dash, BusyBox ash) would run for it: lists, pipes,
 * subshells and groups, if, while, for and case, substitutions, here-documents, and what wrappers (env, sudo, sh -c, busybox, xargs,
 * nohup, timeout, nice, exec, command, find -exec …) run. It runs nothing and expands nothing; a line that it does not
 * understand whole leaves a doubt, and the caller decides what that means.
 *
 * What a program does with its arguments is beyond it: code of awk, perl or vi, `tar --to-command`, a script's file. A word that is a quoted
 * expansion and no more is taken for an operand of find. */

#define SHELL_LINE_MAX 8192u /* bytes of a line */
#define SHELL_DEPTH 8u       /* of nested substitutions and wrapped scripts; deeper leaves a doubt, as the next do */
#define SHELL_OPEN 24u       /* groups, loops and the like, open at one place */
#define SHELL_HERES 4u       /* here-documents that begin on one line */
#define SHELL_WORDS 512u     /* of the commands being read, one in a substitution of the other */
#define SHELL_CHAIN 16u      /* wrappers that run one another; guesses at one command */

/** How a command was found. */
enum shell_origin {
    SHELL_WRITTEN, /* the line has it */
    SHELL_WRAPPED, /* what a wrapper runs */
    SHELL_GUESSED, /* only good for denying: a wrapper with options that are not known may run this, or a shell that reads a
                    * here-document, or it is another one with values put in: variables that the line sets, ${X:-value}, blanks for
                    * $IFS, {a,b}, $'…', nothing for $@, $* and for other expansions within a word or in a command's name */
    SHELL_REDIRECTED, /* no command: a file other than /dev/null that a redirection names, as "> /etc/motd" (name_len: the
                       * operator). Judge it as a path: no allow_commands pattern is meant for it */
};

/** One simple command. */
struct shell_command {
    struct slice text; /* its words, quotes and backslashes removed, one space between them; expansions as they are written ($X);
                        * valid during the call */
    uint32_t name_len; /* bytes of the first word in text */
    uint32_t at;       /* byte of the line where it begins; of a wrapped one, where its wrapper does */
    enum shell_origin origin;
};

/** Why a line could not be taken apart with certainty; reason null: it was. */
struct shell_doubt {
    const char *reason; /* a phrase: "the name of a command is computed" */
    uint32_t at;        /* byte of the line */
};

/** Working memory of a split; holds nothing between calls. */
struct shell_work {
    char text[2 * SHELL_LINE_MAX]; /* the words of the command being read, below them those of the scripts it is part of */
    struct shell_word {
        uint16_t at, len; /* in text */
        uint8_t flags;
    } words[SHELL_WORDS];
};

/** Called for each command, those of substitutions before the one that they are part of, a wrapper before what it runs.
 * Return: false ends the split. */
typedef bool shell_found(void *arg, const struct shell_command *c);

/** Take line[0..len), len at most SHELL_LINE_MAX, apart. Commands are also reported beside a doubt, as far as they could be read.
 * Bounds: time in proportion to len, times SHELL_DEPTH; the bounds above.
 * Return: true if the line was taken apart with certainty: a shell runs no other command than those reported as written or
 * wrapped (of the written ones that are wrappers, also themselves), or refuses the line. */
bool shell_split(const char *line, size_t len, struct shell_work *work, shell_found *found, void *arg,
                 struct shell_doubt *doubt);

#endif
