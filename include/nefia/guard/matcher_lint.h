#ifndef NEFIA_GUARD_MATCHER_LINT_H
#define NEFIA_GUARD_MATCHER_LINT_H

#include "nefia/guard/matcher.h"

/** What can be said of a pattern without a text, for people who write them. */

/** Is there any text that it matches? Not so of `a^b`, `$x` and `[^\x00-\x{10FFFF}]`.
 * Bounds: 1 KiB of stack; at most 16 rounds for each step, in practice two or three, of 16 times a step's ranges. */
bool matcher_can_match(const struct matcher *m, const struct matcher_store *store);

#endif
