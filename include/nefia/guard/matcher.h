#ifndef NEFIA_GUARD_MATCHER_H
#define NEFIA_GUARD_MATCHER_H

#include "nefia/guard/pattern.h"

/** The patterns of a policy, on hub and device alike: the syntax of pattern.h, read by the same parser, compiled into a
 * program for a small machine of ours that needs neither TRE nor a heap, and says where it matched. Means what it means in Go,
 * with these bounds: CONFIG_PATTERN_BYTES of source, MATCHER_OPS of program. Bytes that are not UTF-8 count as U+FFFD, one each, as
 * Go reads them. */

#define MATCHER_OPS 512u /* of one pattern; counts such as {3,5} are written out */

/** One step of a program; private to matcher.c. */
struct matcher_op {
    uint8_t kind;
    uint8_t value;   /* of assertions */
    uint16_t next;   /* of a fork: the other way; of a set: how many ranges */
    uint32_t what;   /* a character; of a set: its first range */
};

/** Where programs live: both arrays are the caller's. Programs are never freed one by one: a reload fills another store. */
struct matcher_store {
    struct matcher_op *ops;
    struct pattern_range *ranges;
    uint16_t op_cap, range_cap, ops_used, ranges_used;
};

/** One compiled pattern, in its store. */
struct matcher {
    uint16_t first, count;
    uint8_t always; /* matches every text, the empty one too: "", ".*" with (?s), "^" */
    uint32_t begins[8]; /* bits of the bytes with which a match can begin; all ones where it may be empty */
};

/** Working memory of a match; holds nothing between calls. */
struct matcher_work {
    uint16_t state[2][MATCHER_OPS], begun[2][MATCHER_OPS];
    uint16_t place[MATCHER_OPS], stack[MATCHER_OPS];
};

/** Part of a subject: bytes [at, end). */
struct span {
    uint32_t at, end;
};

/** Compile re[0..len) into the store. re, scratch and why are not kept.
 * Return: 0, or NEFIA_ESYNTAX, NEFIA_ETOOBIG (a limit above), NEFIA_EFULL (the store), and `why` (may be null) says what is not
 * supported or too large, and where: the store is as it was. */
int matcher_compile(struct matcher *m, struct matcher_store *store, const char *re, size_t len,
                    struct pattern_scratch *scratch, struct text *why);
/** Does it match anywhere in subject[0..len), len at most PATTERN_SUBJECT_MAX? found (may be null): the leftmost match.
 * Bounds: len times the program's steps; no recursion. */
bool matcher_find(const struct matcher *m, const struct matcher_store *store, struct matcher_work *work,
                  const char *subject, size_t len, struct span *found);

#endif
