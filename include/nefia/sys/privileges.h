#ifndef NEFIA_SYS_PRIVILEGES_H
#define NEFIA_SYS_PRIVILEGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "nefia/base/text.h"

/** Becoming somebody who may do less. The order of a daemon's start:
 *
 *     privileges_prepare(…);   // directories that are missing, made for the user
 *     …open the listening socket and the control socket, as whoever we are…
 *     privileges_drop(…);      // from here on the user, with what the features need at most
 *     …read and write the state, as on every later occasion…
 *
 * What is there already is never given away: its owner was somebody's choice. The control socket
 * is, since the daemon has just made it. */
struct privileges {
    const char *name; /* as configured; null: the daemon stays who it is. Kept, not copied */
    uid_t uid;
    gid_t gid;
};

/** "nefia", "nefia:adm", "1000:1000", and "1000" where /etc/passwd has a line for it.
 * passwd and group: the texts of these files; group is needed only for a group's name.
 * Return: 0 with p set (value is kept as its name), or NEFIA_ENOTFOUND, NEFIA_EINVAL with a
 * sentence in why. */
int privileges_parse(struct privileges *p, const char *value, struct slice passwd,
                     struct slice group, struct text *why);
/** The same for p->name, from this system's files, which must fit into work. Return: 0, also while
 * p->name is null; otherwise as privileges_parse. */
int privileges_find(struct privileges *p, void *work, size_t cap, struct text *why);

/** What the daemon has to do with, as its new self. Paths may be null or empty. */
struct privileges_needs {
    const char *control_socket; /* given to the user, who removes it at the end if it may */
    const char *state_dir;      /* written from now on */
    const char *config, *key_file; /* read again at a reload */
    uint64_t capabilities;         /* 1 << CAP_… to keep */
};

/** The directory of the control socket (mode 0755) and state_dir (0700), where only the last level
 * is missing, made for the user. What fails is told by whoever uses the directory. */
void privileges_prepare(const struct privileges *p, const struct privileges_needs *n);
/** For good: no_new_privs, no core dump and no ptrace by our user (the process holds keys); with
 * p->name set also user, group, no other groups, and no capability but n->capabilities, which no
 * program that is run inherits. All of it is read back. A process that is not root stays as it is
 * if it is that user already. What the user cannot read or write, and will need, is logged as a
 * warning.
 * Return: 0, or NEFIA_EIO with a sentence in why: do not go on. */
int privileges_drop(const struct privileges *p, const struct privileges_needs *n, struct text *why);
/** Does a later configuration name another user? That needs a new start. */
bool privileges_same(const struct privileges *a, const struct privileges *b);

#endif
