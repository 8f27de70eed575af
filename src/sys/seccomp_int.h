#ifndef NEFIA_SRC_SYS_SECCOMP_INT_H
#define NEFIA_SRC_SYS_SECCOMP_INT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Most calls in a table: a BPF jump offset must fit into a byte. */
#define SECCOMP_CALLS_MAX 200

/** Build and install the filter: the calls listed are the only ones allowed, or the only ones
 * denied. clone with CLONE_NEWUSER is denied in both; clone3, whose flags a filter cannot inspect,
 * fails with ENOSYS so that callers fall back to clone.
 * Return: 0, or NEFIA_ENOTSUP: the kernel has no seccomp filters. */
int seccomp_install(const uint16_t *calls, size_t count, bool allowed);
/** One line in the log. Return: "off". */
const char *seccomp_missing(void);

#endif
