#ifndef NEFIA_EVENT_SETTINGS_H
#define NEFIA_EVENT_SETTINGS_H

#include "nefia/config/config.h"
#include "nefia/crypto/mac.h"
#include "nefia/sys/privileges.h"

/** What both programs read alike of their one configuration file. */

struct settings_root {
    const char *host_id; /* null: not given */
    const struct node *beacons, *reactor, *policy;
};

/** Bind the top level of a loaded tree; problems are reported. */
void settings_bind_root(struct settings_root *r, struct config *c);
/** The key that section ("beacons") names in hmac_key_file, or holds itself in hmac_key (null: not
 * given). With neither k->set is false. Reported: a key that cannot be had, both at once, and a file,
 * be it the configuration, that holds a key and that others can read. Every hmac_key of the tree is
 * wiped. Return: whether there was one: what config_load worked in has it still, and is the caller's
 * to wipe. */
bool settings_load_key(struct mac_key *k, struct config *c, const char *section, const char *file,
                       const char *key);
/** Find the account that section's `user` names (p->name; null: none) in this system's files, which
 * must fit into work. A problem is reported. */
void settings_bind_user(struct privileges *p, struct config *c, const char *section, void *work,
                        size_t cap);

#endif
