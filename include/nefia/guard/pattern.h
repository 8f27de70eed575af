#ifndef NEFIA_GUARD_PATTERN_H
#define NEFIA_GUARD_PATTERN_H

#include <stddef.h>
#include <stdint.h>
#include <wchar.h>

#include "nefia/base/text.h"

/** Regular expressions in Go's syntax (RE2, https://github.com/google/re2/wiki/Syntax), matched the
 * way regexp.MatchString does: anywhere in the subject, by character of UTF-8, `^` and `$` at the
 * ends of the text. A pattern either means here what it means in Go, or is refused with a sentence;
 * nothing is reinterpreted.
 *
 * Refused although it is RE2: \p and \P (no Unicode tables), letters beyond ASCII under (?i), (?m)^
 * or (?m)$ together with a text anchor, different anchors as alternatives of one group (`(^|$)`),
 * and what exceeds a bound: CONFIG_PATTERN_BYTES of source, CONFIG_PATTERN_STATES,
 * CONFIG_PATTERN_KB, PATTERN_DEPTH groups inside each other, PATTERN_SET_RANGES ranges in a class.
 *
 * Patterns of literal text, `.`, `.*`, `.+`, anchors and alternatives of them live in struct
 * pattern; all others become an automaton of TRE on the libraries' heap. */

#define PATTERN_SUBJECT_MAX 8192u /* bytes */
#define PATTERN_DEPTH 16u
#define PATTERN_SET_RANGES 64u
#define PATTERN_TRE_DEPTH (CONFIG_PATTERN_BYTES + 3 * PATTERN_SET_RANGES)

/** One compiled pattern. Zeroed, it matches every text and needs no pattern_free().
 * May be moved as a whole. */
struct pattern {
    uint8_t kind;         /* enum pattern_kind */
    uint8_t mode;         /* of the automaton */
    uint8_t len;          /* of u.glob */
    uint32_t heap_bytes;  /* that the automaton keeps */
    uint32_t match_bytes; /* that a match borrows */
    union {
        void *nfa;
        char glob[CONFIG_PATTERN_INLINE];
    } u;
};

enum pattern_kind { PATTERN_ALL, PATTERN_GLOB, PATTERN_NFA };

/* The parts of struct pattern_scratch; only src/guard/pattern*.c looks inside. */
struct pattern_range {
    uint32_t lo, hi;
};

struct pattern_node {
    uint8_t kind;
    uint8_t nullable;  /* can match the empty string … */
    uint8_t need;      /* … where these assertions hold */
    uint16_t next;     /* sibling; 0: none */
    uint16_t child;    /* first child, or first range of a set */
    uint16_t count;    /* children, or ranges of a set */
    uint16_t min, max; /* of a repetition */
    uint16_t product;  /* of the counts nested in it */
    uint16_t ways;     /* simple texts it stands for; see pattern_glob.c */
    uint16_t at;       /* where it begins in the pattern */
    uint32_t value;    /* character, or assertions */
    /* what TRE will make of it */
    uint32_t states, first, last, slots;
};

struct pattern_group {
    uint16_t branches, last_branch, branch_count;  /* complete alternatives */
    uint16_t items, before_last, last, item_count; /* of the alternative being read */
    uint16_t at;
    uint8_t flags; /* to restore after it */
};

struct pattern_work {
    uint16_t op, node, count;
};

#define PATTERN_NODES (CONFIG_PATTERN_BYTES + 32)
#define PATTERN_RANGES (CONFIG_PATTERN_BYTES + 2 * PATTERN_SET_RANGES)
#define PATTERN_WORK 192
#define PATTERN_OUT (CONFIG_PATTERN_BYTES * 8)

/** Memory to compile in, about 100 * CONFIG_PATTERN_BYTES; one serves all patterns, nothing is kept
 * in it between them. */
struct pattern_scratch {
    struct pattern_node nodes[PATTERN_NODES];
    struct pattern_range ranges[PATTERN_RANGES];
    struct pattern_range mapped[3 * PATTERN_SET_RANGES];
    struct pattern_group groups[PATTERN_DEPTH + 1];
    struct pattern_work work[PATTERN_WORK];
    wchar_t out[PATTERN_OUT];
};

/** Compile re[0..len).
 * Memory: p is overwritten (free what it held before); re, scratch and why are not kept. The
 *         automaton, if one is needed, stays on the libraries' heap until pattern_free(); on failure
 *         nothing stays and p matches every text.
 * Bounds: ours do not recurse. TRE walks its tree by recursion (tre_ast_to_tnfa): at most
 *         PATTERN_TRE_DEPTH calls, measured 6 KiB of stack on x86-64 for the worst patterns tried.
 * Return: 0, or
 *         NEFIA_ESYNTAX  not RE2 syntax, or a construct that is refused,
 *         NEFIA_ETOOBIG  over one of the bounds above,
 *         NEFIA_EFULL    the libraries' heap has no room now;
 *         and `why` (may be null) has a sentence: `offset 3, "\pL": …`. */
int pattern_compile(struct pattern *p, const char *re, size_t len, struct pattern_scratch *scratch,
                    struct text *why);

/** Does the pattern match anywhere in subject[0..len)?
 * Bounds: time linear in len (times the size of the pattern); a few hundred bytes of stack;
 *         p->match_bytes of the libraries' heap, borrowed (0 for simple patterns).
 * Return: 1 or 0, or NEFIA_ETOOBIG (over PATTERN_SUBJECT_MAX), NEFIA_EUTF8, NEFIA_EFULL (no heap). */
int pattern_match(const struct pattern *p, const char *subject, size_t len);

/** Give the automaton back. Afterwards p matches every text. */
void pattern_free(struct pattern *p);

#endif
