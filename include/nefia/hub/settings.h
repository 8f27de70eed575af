#ifndef NEFIA_HUB_SETTINGS_H
#define NEFIA_HUB_SETTINGS_H

#include <stdbool.h>

#include "nefia/net/addr.h"
#include "nefia/net/http_post.h"
#include "nefia/config/config.h"
#include "nefia/crypto/mac.h"
#include "nefia/event/settings.h"
#include "nefia/hub/device.h"
#include "nefia/sys/privileges.h"

#define HOST_NETS 4
#define WEBHOOK_NAME_MAX 64

/** A destination of alerts. Strings belong to the configuration. */
struct webhook {
    const char *name;
    char *secret; /* nobody else's; wiped by hub_settings_wipe. Null or "": not signed */
    struct http_url url;
    uint32_t timeout_ms;
    uint32_t retries;
};

#define HOST_WORD_MAX 63      /* bytes of a role, and of a label's value */
#define HOST_LABEL_KEY_MAX 32 /* of a label's key */
#define HOST_LABELS_MAX 16    /* of one host */

/** What is configured of one host. */
struct host_item {
    const char *host_id;
    struct mac_key keys[2];          /* both valid: rotation without a gap. [0] not set: the shared key */
    struct addr_net nets[HOST_NETS]; /* the only permitted source networks; none: any */
    unsigned net_count;
    bool plain; /* plain events are taken, although it has a key of its own */
    uint8_t seen_kind; /* enum window_kind: how its last event or hello came */
    uint16_t first_label, label_count; /* in hub_settings.labels */
    const char *role;                  /* null: none */
    uint64_t seen_ms; /* when that came; 0: none since the hub started. Carried over a reload, as seen_kind */
};

/** `reactor.audit`. */
struct audit_settings {
    bool enabled, sync;
    uint32_t max_kb, files; /* of one file; how many are kept */
    uint32_t head_interval_ms; /* 0: never */
    const char *key_file; /* null: the hub's own */
};

/** The hub's part of the configuration, except the rules. Strings belong to the arena it was read
 * into. */
struct hub_settings {
    const char *host_id; /* the hub's own, in events of its own */
    char hostname[SETTINGS_HOSTNAME];
    bool enabled;
    struct addr listen;
    char *hmac_key;            /* null, or settings_load_key's to take and wipe */
    const char *hmac_key_file; /* null: not given */
    const char *state_dir, *control_socket;
    const char *peers_from; /* name of a WireGuard interface; null: not given */
    struct privileges user; /* only its name, until settings_bind_user */
    struct addr_net peers[CONFIG_PEERS];
    unsigned peer_count;
    struct webhook hooks[CONFIG_WEBHOOKS];
    unsigned hook_count;
    struct host_item hosts[CONFIG_HOST_ITEMS];
    unsigned host_count;
    struct host_label labels[CONFIG_HOST_LABELS + 1]; /* of all of them */
    unsigned label_count;
    const char *plain_hosts[CONFIG_PLAIN_HOSTS]; /* may always be plain */
    unsigned plain_host_count;
    uint32_t journal_kb, max_connections_per_peer, max_events_per_sec; /* 0: no bound */
    uint32_t reserved_connections;
    bool require_nonce, journal_sync;
    struct audit_settings audit;
};

/** Of `reactor:`; those of its lists hang below it. rule_fields are in hub/rules.h. */
extern const struct field reactor_fields[], hub_audit_fields[];

/** Bind the loaded, and read the keys of `reactor.hosts`, or `reactor.keys`. *rules is set to
 * `reactor.rules`, for rules_stage (null: none). All problems are reported. Return: 0 or
 * NEFIA_EINVAL. */
int hub_settings_bind(struct hub_settings *s, struct config *c, const struct node **rules);
/** Warn as settings_warn does, also of the files in `reactor.hosts`, and of its old name; and of rules that can do nothing:
 * `able` of them have an action that this build has. */
void hub_settings_warn(const struct hub_settings *s, struct config *c, unsigned able);
/** Only the path of the daemon's control socket, as far as the file can be read: for verbs that
 * query a daemon. Reports only errors that make it unreadable. */
const char *hub_settings_socket(struct config *c);
/** The list `reactor.hosts`, into hub_settings: a file is read as it is bound. */
extern const struct field_list hub_host_list;
/** The same in the words of `reactor.keys`, as it was called before. */
extern const struct field_list hub_key_list;
/** An address or a network, for a field_list of struct addr_net. */
int hub_set_net(void *item, const char *value, struct text *why);
/** The host's item in `hosts`, or null. */
const struct host_item *hub_settings_host(const struct hub_settings *s, struct slice host_id);
/** Has any host a key of its own? */
bool hub_settings_keyed(const struct hub_settings *s);
/** Wipe keys and the secrets of its webhooks are not in keys. */
void hub_settings_wipe(struct hub_settings *s);
/** Does `peers` permit this peer? Without `peers` and peers_from everybody may connect (the key
 * decides). */
bool hub_settings_allow(const struct hub_settings *s, const struct addr *peer);

#endif
