#ifndef NEFIA_GUARD_MATCHER_LINT_H
#define NEFIA_GUARD_MATCHER_LINT_H

#include "nefia/guard/matcher.h"

/** What can be said of a pattern without a text, for people who write them: it may take a few milliseconds. */

/** Working memory: one bit for each step, what stands before it and what may stand behind it. */
struct matcher_places {
    uint8_t seen[MATCHER_OPS * 4 * 16 / 8];
};

/** Is there any text that it matches? Not so of `a^b` and `[^\x00-\x{10FFFF}]`. */
bool matcher_can_match(const struct matcher *m, const struct matcher_store *store, struct matcher_places *places);

#endif
