#include "nefia/hub/settings.h"

#include <string.h>

#include "nefia/base/err.h"
#include "nefia/event/settings.h"
#include "nefia/guard/policy.h"
#include "nefia/hub/devices.h"
#include "nefia/net/wireguard.h"

#define SOCKET_DEFAULT "/run/nefia/reactor.sock"

/** The port is listen_port's, bound before or after. */
static int set_listen(void *member, const char *value, struct text *why)
{
    struct addr *a = member;
    uint16_t port = a->port;

    /* One that is given is not both of the defaults. */
    for (uint16_t given = 1; given <= 2; given++) {
        int err = addr_parse(a, value, strlen(value), given, why);
        if (err < 0)
            return err;
        if (a->port == given)
            continue;
        text_str(why, "an address without a port is wanted" REMEDY("; the port is listen_port's"));
        return NEFIA_EINVAL;
    }
    a->port = port;
    return 0;
}

__attribute__((unused)) /* in a build without WireGuard */
static int
set_peers_from(void *member, const char *value, struct text *why)
{
    const char *interface = wireguard_interface(value);

    if (!interface) {
        text_char(why, '"');
        text_str(why, value);
        text_str(why, "\" is not wireguard:INTERFACE, such as wireguard:wg0");
        return NEFIA_ESYNTAX;
    }
    memcpy(member, &interface, sizeof interface);
    return 0;
}

static int set_url(void *member, const char *value, struct text *why)
{
    return http_url_parse(member, value, why);
}

/* ---- reactor.webhooks ---- */

#define HOOK(name) FIELD_AT(struct webhook, name)
static const struct field hook_fields[] = {
    {FIELD_REQUIRED("name", "what `webhook_name` of an alert says"),
     .type = FIELD_STRING,
     HOOK(name),
     .min = 1,
     .max = WEBHOOK_NAME_MAX},
    {FIELD_REQUIRED("url", "where events are posted to: http://host[:port]/path"),
     .type = FIELD_SET,
     HOOK(url),
     .set = set_url},
    {FIELD_SECRET_KEY(secret), HOOK(secret), .min = 0, .max = MAC_KEY_MAX,
     FIELD_NOTE("signs the event in X-Nefia-Signature; empty: no signature")},
    {FIELD_DEFAULT("timeout", "10s"),
     .type = FIELD_DURATION,
     HOOK(timeout_ms),
     .min = 100,
     .max = 300000,
     FIELD_NOTE("of one try")},
    {FIELD_DEFAULT("retries", "3"),
     .type = FIELD_INT,
     HOOK(retries),
     .min = 0,
     .max = 10,
     FIELD_NOTE("tries after the first one")},
    {.name = NULL},
};

/** Also one with an error is kept: rules that name it are right. */
static bool keep_hook(struct config *c, const struct node *n, const char *where, void *item,
                      void *out)
{
    const struct webhook *hook = item;
    const struct hub_settings *s = out;

    for (unsigned i = 0; hook->name && i < s->hook_count; i++)
        if (str_eq(s->hooks[i].name, hook->name))
            config_error(c, node_child(c, n, "name"), where, "name: \"", hook->name,
                         "\" is the name of an earlier webhook", (char *)0);
    return hook->name;
}

/* ---- reactor ---- */

__attribute__((unused)) /* in a build without alerts */
static const struct field_list hook_list = {
    .count = offsetof(struct hub_settings, hook_count),
    .size = sizeof(struct webhook),
    .cap = CONFIG_WEBHOOKS,
    .remedy = FIELD_HELP("; raise CONFIG_WEBHOOKS"),
    .fields = hook_fields,
    .keep = keep_hook,
};

static const struct field_list peer_list = {
    .count = offsetof(struct hub_settings, peer_count),
    .size = sizeof(struct addr_net),
    .cap = CONFIG_PEERS,
    .remedy = FIELD_HELP("; raise CONFIG_PEERS"),
    .set = hub_set_net,
};

static const struct field_list plain_list = {
    .count = offsetof(struct hub_settings, plain_host_count),
    .cap = CONFIG_PLAIN_HOSTS,
    .remedy = FIELD_HELP("; raise CONFIG_PLAIN_HOSTS"),
};

#define MEMBER(name) FIELD_AT(struct hub_settings, name)
const struct field reactor_fields[] = {
    {FIELD_DEFAULT("enabled", "true"),
     .type = FIELD_BOOL,
     MEMBER(enabled),
     FIELD_NOTE("false: `reactor run` refuses to start")},
    {FIELD_DEFAULT("listen_address", "0.0.0.0"),
     .type = FIELD_SET,
     MEMBER(listen),
     .set = set_listen,
     FIELD_NOTE("address to listen on; `::` takes IPv6 and IPv4")},
    {FIELD_DEFAULT("listen_port", "9500"),
     .type = FIELD_INT,
     MEMBER(listen.port),
     .min = 1,
     .max = 65535,
     FIELD_NOTE("TCP port to listen on")},
    {.name = "peers",
     .type = FIELD_LIST,
     MEMBER(peers),
     .list = &peer_list,
     FIELD_NOTE("addresses and networks that may connect; empty: all")},
    FIELD_IF(CONFIG_WIREGUARD_PEERS, "peers_from", .type = FIELD_SET, MEMBER(peers_from),
             .set = set_peers_from,
             FIELD_NOTE("wireguard:INTERFACE: its peers may connect"))
        FIELD_IF(CONFIG_PRIVILEGES, "user", .type = FIELD_STRING, MEMBER(user.name), .min = 1,
                 .max = 64,
                 FIELD_NOTE("user to run as after start-up; unset: keep the current user")){
            FIELD_SECRET_KEY(hmac_key), MEMBER(hmac_key), .min = MAC_KEY_MIN, .max = MAC_KEY_MAX,
            FIELD_NOTE("the shared key itself")},
    {.name = "hmac_key_file",
     .type = FIELD_STRING,
     MEMBER(hmac_key_file),
     FIELD_NOTE("a file with the shared key")},
    FIELD_IF_DEFAULT(CONFIG_HUB_STATE, "state_dir", "", .type = FIELD_STRING, MEMBER(state_dir),
             FIELD_NOTE("where state is kept over a restart; empty: nowhere"))
    {FIELD_DEFAULT("control_socket", SOCKET_DEFAULT),
     .type = FIELD_STRING,
     MEMBER(control_socket),
     FIELD_NOTE("for status and events; empty: none")},
    FIELD_IF_DEFAULT(CONFIG_HUB_STATE, "journal_kb", "1024", .type = FIELD_INT, MEMBER(journal_kb), .min = 64,
             .max = 1048576,
             FIELD_NOTE("size of each of the journal's two files in state_dir"))
    FIELD_IF_DEFAULT(CONFIG_HUB_STATE, "journal_sync", "true", .type = FIELD_BOOL, MEMBER(journal_sync),
             FIELD_NOTE("false: acknowledge what the kernel has, before it is on the disk"))
    {FIELD_DEFAULT("require_nonce", "false"),
     .type = FIELD_BOOL,
     MEMBER(require_nonce),
     FIELD_NOTE("true: plain senders, whose events could be replayed, are refused")},
    {FIELD_DEFAULT("max_connections_per_peer", "8"),
     .type = FIELD_INT,
     MEMBER(max_connections_per_peer),
     .min = 0,
     .max = 1024,
     FIELD_NOTE("from one address (IPv6: /64) at the same time; 0: as many as there are")},
    {FIELD_DEFAULT("reserved_connections", "8"),
     .type = FIELD_INT,
     MEMBER(reserved_connections),
     .min = 0,
     .max = 1024,
     FIELD_NOTE("places for addresses whose hosts have proved themselves within a day")},
    {FIELD_DEFAULT("max_events_per_sec", "0"),
     .type = FIELD_INT,
     MEMBER(max_events_per_sec),
     .min = 0,
     .max = 1000000,
     FIELD_NOTE("of one connection, which is slowed to it; 0: no bound")},
    {.name = "hosts",
     .type = FIELD_LIST,
     MEMBER(hosts),
     .list = &hub_host_list,
     FIELD_NOTE("what is known of single hosts: key, addresses")},
    FIELD_IF(CONFIG_HUB_DEVICES, "keys", .type = FIELD_LIST, MEMBER(hosts), .list = &hub_key_list,
             FIELD_NOTE("the old name of hosts"))
        FIELD_NOT("greeting\0", "; a hub always greets"){
            .name = "plain_hosts",
            .type = FIELD_LIST,
            MEMBER(plain_hosts),
            .list = &plain_list,
            FIELD_NOTE(
                "host_ids whose plain events are taken after they have spoken the link")},
    FIELD_IF(CONFIG_HUB_AUDIT, "audit", .type = FIELD_OWNED, FIELD_NOTE("the audit log: a map"))
    {.name = "rules", .type = FIELD_OWNED, FIELD_NOTE("a list of rules")},
    FIELD_IF(CONFIG_ACTION_ALERT, "webhooks", .type = FIELD_LIST, MEMBER(hooks), .list = &hook_list,
             FIELD_NOTE("a list of webhooks")){.name = NULL},
};

#define AUDIT(name) FIELD_AT(struct audit_settings, name)
const struct field hub_audit_fields[] = {
    {FIELD_DEFAULT("enabled", "true"), .type = FIELD_BOOL, AUDIT(enabled), FIELD_NOTE("with a state_dir")},
    {FIELD_DEFAULT("max_kb", "1024"),
     .type = FIELD_INT,
     AUDIT(max_kb),
     .min = 16,
     .max = 1048576,
     FIELD_NOTE("size at which a file is rotated")},
    {FIELD_DEFAULT("files", "4"), .type = FIELD_INT, AUDIT(files), .min = 1, .max = 15, FIELD_NOTE("that are kept")},
    {FIELD_DEFAULT("sync", "true"),
     .type = FIELD_BOOL,
     AUDIT(sync),
     FIELD_NOTE("false: actions begin before their records are on the disk")},
    {.name = "key_file", .type = FIELD_STRING, AUDIT(key_file), FIELD_NOTE("default: audit.key in state_dir, made by the hub")},
    {FIELD_DEFAULT("head_interval", "1h"),
     .type = FIELD_DURATION,
     AUDIT(head_interval_ms),
     .min = 0,
     .max = 86400000,
     FIELD_NOTE("of the event hub.audit_head; 0: never")},
    {.name = NULL},
};

/** It is loaded when the log is opened; here it is only tried. */
static void check_audit_key(const struct audit_settings *s, struct config *c, const struct node *n)
{
    char why_buf[320];
    struct text why;
    struct mac_key key;

    text_init(&why, why_buf, sizeof why_buf);
    if (mac_key_load(&key, s->key_file, &why) < 0)
        config_error(c, n, "reactor.audit.key_file", why.buf, (char *)0);
    else
        mac_key_wipe(&key);
}

static void bind_audit(struct hub_settings *s, struct config *c, const struct node *reactor)
{
    const struct node *n = node_child(c, reactor, "audit");

    config_bind(c, n, "reactor.audit", hub_audit_fields, &s->audit);
    if (s->audit.head_interval_ms > 0 && s->audit.head_interval_ms < 1000)
        config_error(c, node_child(c, n, "head_interval"), "reactor.audit.head_interval", "less than 1s",
                     HINT("; 0 is never"), (char *)0);
    if (config_given(c, n, "enabled") && s->audit.enabled && (!s->state_dir || !*s->state_dir))
        config_error(c, n, "reactor.audit", "there is no state_dir to keep it in", HINT("; set reactor.state_dir"),
                     (char *)0);
    if (s->audit.key_file && s->audit.enabled)
        check_audit_key(&s->audit, c, node_child(c, n, "key_file"));
}

static void check_section(const struct hub_settings *s, struct config *c, const struct node *n)
{
    static const char *const guards[] = {"hmac_key", "hmac_key_file", "peers", "peers_from"};
    unsigned guarded = 0;

    for (unsigned i = 0; i < ARRAY_SIZE(guards); i++)
        guarded += config_given(c, n, guards[i]);
    if (!guarded && !hub_settings_keyed(s))
        config_error(
            c, n, "reactor",
            "anyone could send events" REMEDY("; set hmac_key_file, or list `peers` that may connect"),
            (char *)0);
}

int hub_settings_bind(struct hub_settings *s, struct config *c, const struct node **rules)
{
    unsigned errors = c->errors;
    struct settings_root root;

    memset(s, 0, sizeof *s);
    settings_bind_root(&root, c);
    s->host_id = settings_host_id(&root, s->hostname);
    if (!IS_ENABLED(CONFIG_HUB_GUARD) && IS_ENABLED(CONFIG_CONFIG_HINTS))
        policy_refuse(c, root.policy);
    config_bind(c, root.reactor, "reactor", reactor_fields, s);
    config_bind_maps(c, root.reactor, "reactor", reactor_fields, s);
    check_section(s, c, root.reactor);
    if (IS_ENABLED(CONFIG_HUB_AUDIT))
        bind_audit(s, c, root.reactor);
    if (IS_ENABLED(CONFIG_HUB_DEVICES))
        devices_check_names(c, root.reactor);
    *rules = node_child(c, root.reactor, "rules");
    return c->errors == errors ? 0 : NEFIA_EINVAL;
}

/** The files that the list names, each under one of two keys. */
static void warn_key_files(const struct hub_settings *s, struct config *c, const struct node *list,
                           const char *list_where, const char *const names[2])
{
    char item_buf[48], buf[64];
    struct text item, where;
    unsigned index = 0;

    for (const struct node *n = list ? node_first(c, list) : NULL; n; n = node_next(c, n), index++) {
        text_init(&item, item_buf, sizeof item_buf);
        config_where_item(&item, list_where, index);
        for (unsigned i = 0; i < 2; i++) {
            text_init(&where, buf, sizeof buf);
            config_where_key(&where, item_buf, names[i]);
            settings_warn_key_file(c, node_child(c, n, names[i]), buf, &s->user);
        }
    }
}

void hub_settings_warn(const struct hub_settings *s, struct config *c, unsigned able)
{
    const struct node *n = node_child(c, c->nodes, "reactor");
    const struct node *hosts = node_child(c, n, "hosts"), *rules = node_child(c, n, "rules"),
                      *keys = IS_ENABLED(CONFIG_HUB_DEVICES) ? node_child(c, n, "keys") : NULL;
    static const char *const files[] = {"key_file", "next_key_file"};
    static const char *const old_files[] = {"file", "next_file"};

    settings_warn(c, "reactor", &s->user);
    if (IS_ENABLED(CONFIG_HUB_AUDIT))
        settings_warn_key_file(c, node_child(c, node_child(c, n, "audit"), "key_file"), "reactor.audit.key_file", &s->user);
    warn_key_files(s, c, hosts, "reactor.hosts", files);
    if (keys) {
        warn_key_files(s, c, keys, "reactor.keys", old_files);
        config_warn(c, keys, "reactor.keys", "this is the old name of `hosts`",
                    HINT(", where file is key_file and next_file is next_key_file; rename it"), (char *)0);
    }
    if (!n || !s->enabled || able > 0 || c->errors > 0)
        return;
    config_warn(c, rules ? rules : n, "reactor.rules",
                config_given(c, n, "rules") ? "no rule has an action that this build can do"
                                            : "there is no rule",
                REMEDY("; events are accepted, and nothing is done") "", (char *)0);
}

const char *hub_settings_socket(struct config *c)
{
    const struct node *n = node_child(c, node_child(c, c->nodes, "reactor"), "control_socket");

    return n && n->type == NODE_SCALAR && *n->value ? n->value : SOCKET_DEFAULT;
}

bool hub_settings_allow(const struct hub_settings *s, const struct addr *peer)
{
    return (s->peer_count == 0 && !s->peers_from) || addr_nets_match(s->peers, s->peer_count, peer);
}
