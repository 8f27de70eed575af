#ifndef NEFIA_BEACON_CONSOLE_EDIT_H
#define NEFIA_BEACON_CONSOLE_EDIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "nefia/base/text.h"

/** The console's line editor: bytes in, echo and lines out. No I/O, and no escape sequence: any terminal will do. */
#define CONSOLE_LINE 255     /* longest line, in bytes */
#define CONSOLE_HISTORY 512  /* bytes of earlier lines, each with its NUL */
#define CONSOLE_ECHO (4 * CONSOLE_LINE + 64) /* longest echo of one byte, with its NUL */

/** Zero it, then set `prompt`. */
struct console_edit {
    const char *prompt;
    bool blind; /* nothing is echoed, nothing goes into the history: a secret, or no terminal */
    bool escape;   /* within an escape sequence */
    bool after_cr; /* the next \n belongs to it */
    uint8_t pending_len;
    char pending[4]; /* of a character */
    unsigned back;   /* how many lines back is shown; 0: what is being typed */
    size_t len;      /* of line */
    char line[CONSOLE_LINE + 1];
    char history[CONSOLE_HISTORY]; /* the last line first */
};

enum console_event {
    CONSOLE_MORE,
    CONSOLE_ENTER, /* `line` is complete: console_edit_next before the next byte */
    CONSOLE_EOF,   /* ^D on an empty line */
};

/** Take one byte. Backspace, ^U ^W ^C ^D ^L, and ^P ^N or the arrow keys for the history. Other controls, escape sequences, what is
 * no UTF-8 and what is too long are ignored. Appends the echo: plain text, \r, \n, \b, at most CONSOLE_ECHO - 1 bytes.
 * Bounds: O(CONSOLE_LINE + CONSOLE_HISTORY). */
enum console_event console_edit_feed(struct console_edit *e, uint8_t byte, struct text *echo);
/** Begin a new line, with the prompt; the one before goes into the history. */
void console_edit_next(struct console_edit *e, struct text *echo);

#endif
