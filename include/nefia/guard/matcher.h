#ifndef NEFIA_GUARD_MATCHER_H
#define NEFIA_GUARD_MATCHER_H

#include "nefia/guard/pattern.h"

/** The patterns of a policy, on hub and device alike: the syntax of pattern.h, read by the same parser, compiled into a
 * program for a small machine of ours that needs neither TRE nor a heap, and says where it matched. Means what it means in Go,
 * with these bounds: CONFIG_PATTERN_BYTES of source, MATCHER_OPS of program. Of what pattern.h lists as not supported, only
 * \p, \P, and letters beyond ASCII under (?i) are not supported here either. Bytes that are not UTF-8 count as U+FFFD, one
 * each, as Go reads them. */

#define MATCHER_OPS 512u /* of one pattern; counts such as {3,5} are written out */

/** One step of a program; private to matcher.c. */
struct matcher_op {
    uint8_t kind;
    uint8_t value; /* of an assertion: which */
    uint16_t next; /* of a fork: how far to the other way; of a jump: how far; of a set: how many ranges */
    uint32_t what; /* a character; of a set: its first range */
};

/** Where programs live: both arrays are the caller's. Programs are never freed one by one: a reload fills another store. */
struct matcher_store {
    struct matcher_op *ops;
    struct pattern_range *ranges;
    uint16_t op_cap, range_cap, ops_used, ranges_used;
    bool dot_newline; /* what is compiled next: . matches a newline, too, as behind (?s) */
};

/** One compiled pattern, in its store. */
struct matcher {
    uint16_t first, count;
    bool always;        /* matches every text, the empty one too, because it can match nothing, at an end of the text at most:
                         * "", "a*", ".*", "^", "$", "^.*"; not "^.*$", which has to be one line */
    bool anchored;      /* a match can begin only where the text does */
    uint32_t begins[8]; /* bits of the bytes with which a match can begin; all ones where it may be empty */
};

/** A way through the program: where it goes on, and the byte of the subject at which it began. */
struct matcher_thread {
    uint16_t op, begun;
};

/** Working memory of a match; holds nothing between calls but how many steps the last one took. */
struct matcher_work {
    struct matcher_thread threads[2][MATCHER_OPS];
    uint16_t stack[MATCHER_OPS];
    uint32_t seen[MATCHER_OPS / 32]; /* bits of the steps already taken at this byte */
    uint32_t steps;
};

/** Part of a subject: bytes [at, end). */
struct span {
    uint32_t at, end;
};

/** Compile re[0..len) into the store. re, scratch and why are not kept.
 * Return: 0, or NEFIA_ESYNTAX, NEFIA_ETOOBIG (a limit above), NEFIA_EFULL (the store), and `why` (may be null) says what is not
 * supported or too large, and where: the store is as it was. */
int matcher_compile(struct matcher *m, struct matcher_store *store, const char *re, size_t len,
                    struct pattern_tree *scratch, struct text *why);
/** Does it match anywhere in subject[0..len), len at most PATTERN_SUBJECT_MAX? found (may be null; set only if it does): the
 * leftmost match, and of those that begin there the longest.
 * Bounds: work->steps, at most m->count for each byte and the end; in each step the class of a set is searched by halves. No
 * recursion. */
bool matcher_find(const struct matcher *m, const struct matcher_store *store, struct matcher_work *work,
                  const char *subject, size_t len, struct span *found);

#endif
