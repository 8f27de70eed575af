#ifndef NEFIA_OPS_HELPER_H
#define NEFIA_OPS_HELPER_H

#include <stdbool.h>
#include <sys/types.h>

#include "nefia/ops/op.h"
#include "nefia/sys/loop.h"

/** The process that tells the service manager what to do, for a daemon that must not: it has given up root, and what it starts inherits
 * its filter of system calls and no_new_privs, which no service should. Forked before either, it stays as it was.
 *
 *     daemon's child  {service NAME, VERB, timeout}  + a socket for the answer  ──▶  judged by the policy, run by the backend
 *                     {outcome, exit status, first bytes of output}             ◀──
 *     daemon          {reload}                                                  ──▶  reads the policy again
 *
 * There are no other messages; one that is not exactly of this form is dropped. It reads its policy from the configuration file itself,
 * so that a daemon that has been taken over can have done only what that allows, and HELPER_RATE requests a minute. It serves one at
 * a time, also as root (of a daemon that keeps root, for the filter's sake), and ends when the daemon and its children have ended. Its
 * parent is init, as that of the services it starts. */
#define HELPER_RATE 60    /* requests a minute, of both kinds; more are refused */
#define HELPER_OUTPUT 4096 /* bytes of output in an answer */

/** What the helper has. The caller's until helper_start returns; the helper keeps it in its copy of the process. */
struct helper_setup {
    struct op_place place; /* guard, host, role; work: of HELPER_OUTPUT bytes, which a policy and reload do not use */
    uid_t user; /* who may ask: the daemon's, once it has given up root */
    /** Read the policy again: place.guard, host and role. Return: false: they are as they were; reported. */
    bool (*reload)(struct helper_setup *s);
    void *arg; /* reload's */
};

/** The daemon's end. Zeroed: there is none. */
struct helper {
    int fd; /* for op_place.helper: 0: there never was one; -1: it has ended */
    struct loop *loop;
    struct watch watch;
};

/** Fork it, before anything is opened or given up. Return: 0, or NEFIA_EIO (errno). */
int helper_start(struct helper *h, struct helper_setup *s);
/** Notice and log that it has ended: services cannot be told anything any more. Takes a watch of the loop. */
void helper_watch(struct helper *h, struct loop *l);
/** The configuration has been read again. */
void helper_reload(const struct helper *h);
/** In the child process of an op (op_child): ask for its service, from the descriptor CHILD_KEPT. Blocks. Return: exit status. */
int helper_ask(const struct op_place *place);

#endif
