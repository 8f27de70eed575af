/** What the parts of the pattern module share.
 *
 *     pattern_parse.c   RE2 syntax to a tree
 *     pattern_set.c     sets of characters
 *     pattern_glob.c    simple trees: kept in place, matched without TRE
 *     pattern_tre.c     all other trees: to TRE's syntax, and matching with TRE
 */
#ifndef NEFIA_SRC_GUARD_PATTERN_INT_H
#define NEFIA_SRC_GUARD_PATTERN_INT_H

#include <stdbool.h>

#include "nefia/guard/pattern.h"

#define CHAR_LAST 0x10FFFFu
#define REPEAT_MAX 1000u /* RE2's bound, also for the product of nested counts */
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

/** A tree in the making: children always have a smaller index than their parent, so that a loop
 * over the indices works bottom-up. Node 0 is not used. */
struct tree {
    struct pattern_scratch *s;
    const char *re;
    size_t len;
    struct text *why;
    uint16_t nodes;  /* next free */
    uint16_t ranges; /* next free */
    uint16_t root;
    uint8_t asserts; /* all that occur */
    bool text_anchors, line_anchors;
};

/** Write the sentence about re[at .. at + len) and return err. */
int tree_refuse(struct tree *t, int err, size_t at, size_t len, const char *reason);
/** A node with kind and place set, all else 0; 0 when there are too many. */
uint16_t tree_node(struct tree *t, enum node_kind kind, size_t at);
int tree_parse(struct tree *t);

/** Add to the set that begins at s->ranges[first] and ends at t->ranges. `fold`: with the other
 * case, too; only ASCII characters may be given then. False: no room. */
bool set_add(struct tree *t, uint32_t lo, uint32_t hi, bool fold);
/** Add an ASCII class by its name: Perl's ("d", "s", "w") or POSIX' ("digit", …).
 * Return: >= 0, NEFIA_ENOTFOUND (no such name) or NEFIA_ETOOBIG. */
int set_add_class(struct tree *t, const char *name, size_t len, bool negate, bool fold);
/** Make what was added since `first` sorted ranges that do not touch, or their complement.
 * Return: how many, or NEFIA_ETOOBIG. */
int set_close(struct tree *t, uint16_t first, bool negate);

/** Put the simple pattern into p; false if the tree is not simple or too long. */
bool glob_compile(struct pattern *p, struct tree *t);
bool glob_match(const struct pattern *p, const char *subject, size_t len);

int nfa_compile(struct pattern *p, struct tree *t);
int nfa_match(const struct pattern *p, const char *subject, size_t len);
void nfa_free(struct pattern *p);

/** pattern_compile() without the simple form, for tests that compare the two. */
int pattern_compile_nfa(struct pattern *p, const char *re, size_t len,
                        struct pattern_scratch *scratch, struct text *why);

#endif
