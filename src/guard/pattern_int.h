/** Shared by the files of the pattern module.
 *
 *     pattern_parse.c   RE2 syntax to a tree
 *     pattern_set.c     sets of characters
 *     pattern_glob.c    simple trees, stored inline and matched without TRE
 *     pattern_tre.c     all other trees: translation to TRE's syntax, matching with TRE
 *     matcher.c         trees of a policy: programs of its own
 */
#ifndef NEFIA_SRC_GUARD_PATTERN_INT_H
#define NEFIA_SRC_GUARD_PATTERN_INT_H

#include <stdbool.h>

#include "nefia/guard/pattern.h"

#define CHAR_LAST 0x10FFFFu
#define REPEAT_MAX 1000u /* RE2's limit, also for the product of nested counts */
#define REPEAT_INF 0xFFFFu

enum node_kind {
    NODE_NONE,
    NODE_EMPTY,
    NODE_ASSERT,
    NODE_CHAR,
    NODE_CODE, /* a character already mapped for TRE */
    NODE_SET,
    NODE_SEQ,
    NODE_ALT,
    NODE_REP,
};

enum assertion { AT_BEGIN = 1, AT_END = 2, AT_WORD_EDGE = 4, NOT_WORD_EDGE = 8, LINE_ANCHOR = 16 };

/** A tree under construction. Children always have a smaller index than their parent, so that a
 * loop over the indices works bottom-up. Node 0 is not used. */
struct tree {
    struct pattern_tree *s;
    struct pattern_scratch *more; /* null in matcher.c, which needs no more than s */
    const char *re;
    size_t len;
    struct text *why;
    uint16_t nodes;  /* next free */
    uint16_t ranges; /* next free */
    uint16_t root;
    uint8_t asserts; /* all that occur */
    bool text_anchors, line_anchors;
    bool dot_newline; /* as if the pattern began with (?s) */
};

/** Write the message about re[at .. at + len) to t->why and return err. at and len 0: about the
 * whole pattern, without an offset. */
int tree_refuse(struct tree *t, int err, size_t at, size_t len, const char *reason);
/** A new node with kind and position set, otherwise zeroed; 0 if there are too many. */
uint16_t tree_node(struct tree *t, enum node_kind kind, size_t at);
int tree_parse(struct tree *t);

/** Add to the set between s->ranges[first] and t->ranges. `fold` adds the other case too; only
 * ASCII characters may be given then. False: no room. */
bool set_add(struct tree *t, uint32_t lo, uint32_t hi, bool fold);
/** Add an ASCII class by its name: Perl's ("d", "s", "w") or POSIX' ("digit", …).
 * Return: >= 0, NEFIA_ENOTFOUND (no such name) or NEFIA_ETOOBIG. */
int set_add_class(struct tree *t, const char *name, size_t len, bool negate, bool fold);
/** Normalise what was added since `first` to sorted, non-adjacent ranges, or to their complement.
 * Return: their number, or NEFIA_ETOOBIG. */
int set_close(struct tree *t, uint16_t first, bool negate);

/** Store the tree as a simple pattern in p; false if it is not simple, or too long. */
bool glob_compile(struct pattern *p, struct tree *t);
bool glob_match(const struct pattern *p, const char *subject, size_t len);

int nfa_compile(struct pattern *p, struct tree *t);
int nfa_match(const struct pattern *p, const char *subject, size_t len);
void nfa_free(struct pattern *p);

/** pattern_compile() without the simple form, for tests that compare the two. */
int pattern_compile_nfa(struct pattern *p, const char *re, size_t len,
                        struct pattern_scratch *scratch, struct text *why);

#endif
