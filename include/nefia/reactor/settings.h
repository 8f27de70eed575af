#ifndef NEFIA_REACTOR_SETTINGS_H
#define NEFIA_REACTOR_SETTINGS_H

#include <stdbool.h>

#include "nefia/action.h"
#include "nefia/addr.h"
#include "nefia/config.h"
#include "nefia/mac.h"
#include "nefia/privileges.h"

/** The hub's part of the configuration, but for the rules. Strings belong to the arena it was read
 * into. */
struct reactor_settings {
    bool enabled;
    struct addr listen;
    const char *hmac_key, *hmac_key_file; /* null: not given */
    const char *state_dir, *control_socket;
    const char *peers_from; /* name of a WireGuard interface; null: not given */
    struct privileges user; /* only its name, until privileges_bind */
    struct addr_net peers[CONFIG_PEERS];
    unsigned peer_count;
    struct webhook hooks[CONFIG_WEBHOOKS];
    unsigned hook_count;
};

/** Bind the tree that was just loaded. *rules is set to `reactor.rules`, for rules_stage (null:
 * none). All problems are reported. Return: 0 or NEFIA_EINVAL. */
int reactor_settings_bind(struct reactor_settings *s, struct config *c, const struct node **rules);
/** Only where the daemon's control socket is, as far as the file can be read: for verbs that ask a
 * daemon. Nothing is reported but what makes that unreadable. */
const char *reactor_settings_socket(struct config *c);
/** May this peer connect by `peers`? With neither that nor peers_from: everybody (the key decides).
 */
bool reactor_settings_allow(const struct reactor_settings *s, const struct addr *peer);

#endif
