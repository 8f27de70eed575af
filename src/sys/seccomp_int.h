#ifndef NEFIA_SRC_SYS_SECCOMP_INT_H
#define NEFIA_SRC_SYS_SECCOMP_INT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** At most this many calls in a table: a jump to the end must fit into a byte. */
#define SECCOMP_CALLS_MAX 200

/** Build the filter and put it in force: the calls listed are the only ones that are allowed, or the
 * only ones that are not. clone with CLONE_NEWUSER is refused in both, and clone3, whose flags a
 * filter cannot see, is answered as by a kernel that does not know it.
 * Return: 0, or NEFIA_ENOTSUP: the kernel takes no filter. */
int seccomp_install(const uint16_t *calls, size_t count, bool allowed);
/** One line in the log. Return: "off". */
const char *seccomp_missing(void);

#endif
