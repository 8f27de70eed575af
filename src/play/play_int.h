#ifndef NEFIA_SRC_PLAY_PLAY_INT_H
#define NEFIA_SRC_PLAY_PLAY_INT_H

#include "nefia/play/playbook.h"

/* What the files of this room share. */

/** Where the values of a template come from, a bit each. */
enum { PLAY_VARS = 1, PLAY_EVENT = 2, PLAY_REGISTERS = 4 };

/** Plain text up to a template, and that template: {{name}}, {{name | default "fallback"}}, {{name | default vars.fallback}} or
 * {{"text"}}. */
struct play_piece {
    enum { PLAY_TEXT, PLAY_QUOTED, PLAY_NAMED } kind; /* TEXT: no template follows, the text ends */
    struct slice before;
    struct slice name; /* or the quoted text */
    enum { PLAY_NO_FALLBACK, PLAY_FALLBACK_TEXT, PLAY_FALLBACK_VAR } fallback_kind;
    struct slice fallback; /* the text, or the name with its `vars.` */
};
/** Cut the next piece off *at. Return: 1; 0: there is none; NEFIA_ESYNTAX with a phrase in why. */
int play_cut(const char **at, struct play_piece *piece, const char **why);
/** Cut off a template at whose braces *at is. Return: 1, NEFIA_ESYNTAX. */
int play_cut_template(const char **at, struct play_piece *piece, const char **why);

/** What a name stands for. */
struct play_name {
    enum { PLAY_UNKNOWN, PLAY_HOST, PLAY_VAR, PLAY_FIELD, PLAY_EXIT, PLAY_OUTPUT } kind;
    unsigned index;     /* of the variable, or of the register */
    struct slice field; /* behind `event.` */
};
/** known: how many of the registers count. why (of UNKNOWN): a phrase. */
struct play_name play_name(const struct playbook *p, struct slice name, unsigned known, const char **why);
/** PLAY_VARS, …; the host counts as part of the event. */
unsigned play_source(const struct play_name *n);
/** Letters, digits and _, not beginning with a digit. */
bool play_is_name(struct slice s);

/** Who fills templates in. */
struct play_filler {
    const struct playbook *book;
    const struct playbook_values *values; /* null: only the variables of the playbook are known */
    const struct playbook_run *run;       /* null: registers are not known */
    bool plan; /* what is not known stays as it is written */
    bool open; /* and there was something */
};
/** Append the text with its templates filled in. Return: 0, or negative with a sentence in why: NEFIA_ENOTFOUND (there is no value),
 * NEFIA_EINVAL. out->truncated is the caller's to look at. */
int play_fill(struct play_filler *f, const char *template, struct text *out, struct text *why);
/** The value of one piece that is no plain text. */
int play_fill_piece(struct play_filler *f, const struct play_piece *piece, struct text *out, struct text *why);

enum play_compare { PLAY_EQUAL, PLAY_UNEQUAL, PLAY_AT_MOST, PLAY_AT_LEAST, PLAY_LESS, PLAY_MORE };
/** One comparison of a `when`, cut off its text. */
struct play_term {
    struct play_piece left, right; /* literals are QUOTED */
    enum play_compare compare;
};
/** Cut the next term off *at, and the `and` behind it. Return: as play_cut. */
int play_cut_term(const char **at, struct play_term *term, const char **why);
/** Is it true? buf: scratch, of cap bytes. Return: 1, 0; NEFIA_EAGAIN: only a run knows (plan); another error with a sentence in why. */
int play_when(struct play_filler *f, const char *when, char *buf, size_t cap, struct text *why);

/** Fill an op in; text gets its strings. Return: 0, or negative with a sentence in why. */
int play_op(struct play_filler *f, const struct playbook_op *from, struct op *op, struct text *text, struct text *why);
/** How long is the op on the wire? buf: scratch of PLAYBOOK_OP_BYTES. Return: its bytes, or NEFIA_ETOOBIG. */
long play_op_bytes(const struct op *op, char *buf);
/** Append the list of all rollbacks, as the device gets it, `[[STEP,{…}],…]`. strings: scratch, of OP_TEXT_BYTES. Return: as play_op;
 * *step (may be null) is the one with the fault. */
int play_undo_list(struct play_filler *f, struct text *out, char *strings, unsigned *step, struct text *why);

#endif
