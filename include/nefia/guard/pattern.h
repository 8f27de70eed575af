#ifndef NEFIA_GUARD_PATTERN_H
#define NEFIA_GUARD_PATTERN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <wchar.h>

#include "nefia/base/text.h"

/** Regular expressions in Go's syntax (RE2, https://github.com/google/re2/wiki/Syntax), matched
 * like regexp.MatchString: anywhere in the subject, by UTF-8 character, `^` and `$` at the ends of
 * the text. A pattern either means what it means in Go or is refused with a message; nothing is
 * reinterpreted.
 *
 * Not supported although part of RE2: \p and \P (no Unicode tables), letters beyond ASCII under
 * (?i), (?m)^ or (?m)$ together with a text anchor, different anchors as alternatives of one group
 * (`(^|$)`), and whatever exceeds a limit: CONFIG_PATTERN_BYTES of source, CONFIG_PATTERN_STATES,
 * CONFIG_PATTERN_KB, PATTERN_DEPTH nested groups, PATTERN_SET_RANGES ranges in a class.
 *
 * Patterns of literal text, `.`, `.*`, `.+`, anchors and alternatives of these are stored in struct
 * pattern; all others become a TRE automaton on the libraries' heap. */

#define PATTERN_SUBJECT_MAX 8192u /* bytes */
#define PATTERN_DEPTH 16u
#define PATTERN_SET_RANGES 64u
#define PATTERN_TRE_DEPTH (CONFIG_PATTERN_BYTES + 3 * PATTERN_SET_RANGES)

/** One compiled pattern. Zeroed, it matches every text and needs no pattern_free().
 * May be moved by copying. */
struct pattern {
    uint8_t kind;         /* enum pattern_kind */
    uint8_t mode;         /* of the automaton */
    uint8_t len;          /* of u.glob */
    uint32_t heap_bytes;  /* kept by the automaton */
    uint32_t match_bytes; /* borrowed during a match */
    union {
        void *nfa;
        char glob[CONFIG_PATTERN_INLINE];
    } u;
};

enum pattern_kind { PATTERN_ALL, PATTERN_GLOB, PATTERN_NFA };

/* The parts of struct pattern_tree and pattern_scratch; private to src/guard/. */
struct pattern_range {
    uint32_t lo, hi;
};

struct pattern_node {
    uint8_t kind;
    uint8_t nullable;  /* can match the empty string … */
    uint8_t need;      /* … if these assertions hold */
    uint16_t next;     /* sibling; 0: none */
    uint16_t child;    /* first child, or first range of a set */
    uint16_t count;    /* children, or ranges of a set */
    uint16_t min, max; /* of a repetition */
    uint16_t product;  /* of nested counts */
    uint16_t ways;     /* leaf sequences it expands to; see pattern_glob.c */
    uint16_t at;       /* offset in the pattern */
    uint32_t value;    /* character, or assertions */
    union {
        struct {
            uint32_t states, first, last, slots; /* prediction for TRE */
        };
        struct {
            uint16_t size, place; /* in a program of matcher.c, in steps */
            bool takes;           /* some of these take a character */
        };
    };
};

struct pattern_group {
    uint16_t branches, last_branch, branch_count;  /* complete alternatives */
    uint16_t items, before_last, last, item_count; /* of the alternative being read */
    uint16_t at;
    uint8_t flags; /* to restore afterwards */
};

struct pattern_work {
    uint16_t op, node, count;
};

#define PATTERN_NODES (CONFIG_PATTERN_BYTES + 32)
#define PATTERN_RANGES (CONFIG_PATTERN_BYTES + 2 * PATTERN_SET_RANGES)
#define PATTERN_WORK 192
#define PATTERN_OUT (CONFIG_PATTERN_BYTES * 8)

/** Working memory of the parser, about 60 * CONFIG_PATTERN_BYTES; shared by all patterns, holds nothing between calls. */
struct pattern_tree {
    struct pattern_node nodes[PATTERN_NODES];
    struct pattern_range ranges[PATTERN_RANGES];
    struct pattern_group groups[PATTERN_DEPTH + 1];
};

/** Working memory of a compilation, about 100 * CONFIG_PATTERN_BYTES; shared by all patterns, holds
 * nothing between calls. */
struct pattern_scratch {
    struct pattern_tree tree;
    struct pattern_range mapped[3 * PATTERN_SET_RANGES];
    struct pattern_work work[PATTERN_WORK];
    wchar_t out[PATTERN_OUT];
};

/** Compile re[0..len).
 * Memory: p is overwritten (free its previous contents first); re, scratch and why are not kept.
 *         The automaton, if needed, stays on the libraries' heap until pattern_free(); on failure
 *         nothing is kept and p matches every text.
 * Bounds: our code does not recurse. TRE walks its tree recursively (tre_ast_to_tnfa): at most
 *         PATTERN_TRE_DEPTH calls, measured 6 KiB of stack on x86-64 for the worst patterns tried.
 * Return: 0, or
 *         NEFIA_ESYNTAX  not RE2 syntax, or not supported,
 *         NEFIA_ETOOBIG  a limit above is exceeded,
 *         NEFIA_EFULL    the libraries' heap is exhausted;
 *         and `why` (may be null) gets a sentence, with the place if there is one:
 *         `offset 3, "\pL": …`. */
int pattern_compile(struct pattern *p, const char *re, size_t len, struct pattern_scratch *scratch,
                    struct text *why);

/** Does the pattern match anywhere in subject[0..len)?
 * Bounds: time linear in len (times the pattern's size); a few hundred bytes of stack;
 *         p->match_bytes of the libraries' heap, borrowed (0 for simple patterns).
 * Return: 1 or 0, or NEFIA_ETOOBIG (over PATTERN_SUBJECT_MAX), NEFIA_EUTF8, NEFIA_EFULL (heap
 * exhausted). */
int pattern_match(const struct pattern *p, const char *subject, size_t len);

/** Free the automaton. Afterwards p matches every text. */
void pattern_free(struct pattern *p);

#endif
