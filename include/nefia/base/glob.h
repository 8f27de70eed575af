#ifndef NEFIA_BASE_GLOB_H
#define NEFIA_BASE_GLOB_H

#include <stdbool.h>
#include <stddef.h>

/** Patterns for names and for lines of text, as shells have them: `*` stands for any bytes, also none, `?` for
 * any one byte, and everything else for itself; there is no escape, and case counts. The pattern is
 * NUL-terminated, the text may be any bytes.
 * Bounds: no recursion; at most (bytes of the pattern + 1) * (len + 1) steps. */

/** All of the text: "eth*" is eth0 and not veth0. */
bool glob_whole(const char *glob, const char *s, size_t len);
/** Any part of it, as a substring is looked for: "eth*up" is in "veth0: link up". "" is in every text. */
bool glob_within(const char *glob, const char *s, size_t len);

#endif
