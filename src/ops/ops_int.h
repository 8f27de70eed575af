#ifndef NEFIA_SRC_OPS_OPS_INT_H
#define NEFIA_SRC_OPS_OPS_INT_H

#include "nefia/ops/op.h"
#include "nefia/sys/path.h"

/** What the child process of an op does, whose place is arg; all block, say what came of it on stdout or stderr, and return the exit
 * status. */
int op_do(void *arg);
int op_do_file(const struct op_place *place);
int op_do_restore(const struct op_place *place);

/** "WHAT: why[: errno]" on stderr. error 0: none. Return: OP_FAILED. */
int op_failed(const char *what, const char *why, int error);
/** Resolve a path that the op names, and judge where it leads; p is to be closed in any case. Return: 0, or the exit status, with the
 * reason on stderr. */
int op_resolve(struct path *p, const char *given, const struct op_place *place);

#endif
