#ifndef NEFIA_SYS_PRIVILEGES_H
#define NEFIA_SYS_PRIVILEGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "nefia/base/text.h"

/** Dropping privileges. The order of a daemon's start:
 *
 *     privileges_prepare(…);   // create missing directories for the user
 *     …open the listening socket and the control socket, with the initial rights…
 *     privileges_drop(…);      // become the user, keeping only the capabilities needed
 *     …read and write state, as at any later time…
 *
 * The owner of existing files is never changed: somebody chose it. The control socket is the
 * exception, since the daemon has just created it. */
struct privileges {
    const char *name; /* as configured; null: keep the current user. Kept by reference */
    uid_t uid;
    gid_t gid;
};

/** "nefia", "nefia:adm", "1000:1000", and "1000" if /etc/passwd has an entry for it.
 * passwd and group: contents of these files; group is used only for a group name.
 * Return: 0 with p set (value is kept as its name), or NEFIA_ENOTFOUND, NEFIA_EINVAL with a
 * sentence in why. */
int privileges_parse(struct privileges *p, const char *value, struct slice passwd,
                     struct slice group, struct text *why);
/** The same for p->name, from this system's files, which must fit into work. Return: 0, also while
 * p->name is null; otherwise as privileges_parse. */
int privileges_find(struct privileges *p, void *work, size_t cap, struct text *why);

/** What the daemon still needs after the change. Paths may be null or empty. */
struct privileges_needs {
    const char *control_socket; /* chowned to the user, who removes it on exit if permitted */
    const char *state_dir;      /* written from now on */
    const char *config, *key_file; /* read again at a reload */
    uint64_t capabilities;         /* 1 << CAP_… to keep */
};

/** Create the directory of the control socket (mode 0755) and state_dir (0700) for the user, if
 * only the last level is missing. Errors are reported by whoever uses the directory. */
void privileges_prepare(const struct privileges *p, const struct privileges_needs *n);
/** Irreversible: no_new_privs, no core dumps and no ptrace by the same user (the process holds
 * keys); with p->name set also user, group, no supplementary groups, and no capabilities except
 * n->capabilities, which programs that are executed do not inherit. All of it is verified. A
 * process that is not root may continue if it already is that user. Files that the user will need
 * but cannot access are logged as warnings.
 * Return: 0, or NEFIA_EIO with a sentence in why: do not go on. */
int privileges_drop(const struct privileges *p, const struct privileges_needs *n, struct text *why);
/** Does a later configuration name another user? That requires a restart. */
bool privileges_same(const struct privileges *a, const struct privileges *b);

#endif
