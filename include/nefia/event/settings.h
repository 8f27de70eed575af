#ifndef NEFIA_EVENT_SETTINGS_H
#define NEFIA_EVENT_SETTINGS_H

#include <sys/utsname.h>

#include "nefia/config/config.h"
#include "nefia/crypto/mac.h"
#include "nefia/sys/privileges.h"

/** What both programs read alike of their one configuration file. */

struct settings_root {
    const char *host_id; /* null: not given */
    const struct node *beacons, *reactor, *policy;
};

/** The tables of a program are public for what reads them all: the reference, and tests. */
extern const struct field settings_root_fields[];

/** Bind the top level of a loaded tree; problems are reported. */
void settings_bind_root(struct settings_root *r, struct config *c);
/** host_id, or else the hostname, copied to name. */
#define SETTINGS_HOSTNAME sizeof(((struct utsname *)0)->nodename)
const char *settings_host_id(const struct settings_root *r, char name[SETTINGS_HOSTNAME]);
/** The key that section ("beacons") names in hmac_key_file, or holds itself in hmac_key (null: not
 * given), which is wiped. With neither k->set is false. Reported: a key that cannot be had, both at
 * once, a key file that others can read. k null: only wiped. */
void settings_load_key(struct mac_key *k, struct config *c, const char *section, const char *file,
                       char *key);
/** Warn of what makes the configuration, or the key file that section names, somebody else's: a
 * configuration that others can write, or that belongs neither to root nor to us. user: whom the
 * daemon becomes. */
void settings_warn(struct config *c, const char *section, const struct privileges *user);
/** The same of one file with a key, the value of n: it may also be the user's. Null nodes are fine. */
void settings_warn_key_file(struct config *c, const struct node *n, const char *where,
                            const struct privileges *user);
/** Find the account that section's `user` names (p->name; null: none) in this system's files, which
 * must fit into work. A problem is reported. */
void settings_bind_user(struct privileges *p, struct config *c, const char *section, void *work,
                        size_t cap);

#endif
