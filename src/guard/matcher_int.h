/** Shared by matcher.c and matcher_lint.c: what struct matcher_op says. */
#ifndef NEFIA_SRC_GUARD_MATCHER_INT_H
#define NEFIA_SRC_GUARD_MATCHER_INT_H

#include "nefia/guard/matcher.h"

enum op_kind { OP_MATCH, OP_CHAR, OP_SET, OP_ASSERT, OP_FORK, OP_JUMP };

/* Assertions as bits of which one step has one: those of the tree but LINE_ANCHOR, and these. */
enum { LINE_BEGIN = 16, LINE_END = 32, ALL_ASSERTIONS = 63 };

#endif
