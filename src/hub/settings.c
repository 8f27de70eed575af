#include "nefia/hub/settings.h"

#include <string.h>

#include "nefia/base/err.h"
#include "nefia/event/settings.h"
#include "nefia/net/wireguard.h"

#define SOCKET_DEFAULT "/run/nefia/reactor.sock"

/** `reactor:` as the binder sees it. */
struct section {
    bool enabled;
    const char *listen_address;
    int64_t listen_port;
    struct string_list peers;
    const char *hmac_key, *hmac_key_file, *state_dir, *control_socket, *peers_from, *user;
    int64_t max_connections_per_peer, max_events_per_sec, journal_kb;
    bool greeting, require_nonce, journal_sync;
    const struct node *keys, *rules, *webhooks;
};

#define MEMBER(name) .offset = offsetof(struct section, name)
static const struct field section_fields[] = {
    {.name = "enabled",
     .type = FIELD_BOOL,
     MEMBER(enabled),
     .def = "true",
     .help = "false: `reactor run` refuses to start"},
    {.name = "listen_address",
     .type = FIELD_STRING,
     MEMBER(listen_address),
     .def = "0.0.0.0",
     .help = "address to listen on; `::` takes IPv6 and IPv4"},
    {.name = "listen_port",
     .type = FIELD_INT,
     MEMBER(listen_port),
     .min = 1,
     .max = 65535,
     .def = "9500",
     .help = "TCP port to listen on"},
    {.name = "peers",
     .type = FIELD_STRINGS,
     MEMBER(peers),
     .help = "addresses and networks that may connect; empty: all"},
    {.name = "peers_from",
     .type = FIELD_STRING,
     MEMBER(peers_from),
     .help = "wireguard:INTERFACE: its peers may connect"},
    {.name = "user",
     .type = FIELD_STRING,
     MEMBER(user),
     .min = 1,
     .max = 64,
     .help = "who to become after the start; not given: nobody"},
    {.name = "hmac_key",
     .type = FIELD_STRING,
     MEMBER(hmac_key),
     .min = MAC_KEY_MIN,
     .max = MAC_KEY_MAX,
     .help = "the shared key itself"},
    {.name = "hmac_key_file",
     .type = FIELD_STRING,
     MEMBER(hmac_key_file),
     .help = "a file with the shared key"},
    {.name = "state_dir",
     .type = FIELD_STRING,
     MEMBER(state_dir),
     .def = "",
     .help = "where state is kept over a restart; empty: nowhere"},
    {.name = "control_socket",
     .type = FIELD_STRING,
     MEMBER(control_socket),
     .def = SOCKET_DEFAULT,
     .help = "for status and events; empty: none"},
    {.name = "journal_kb",
     .type = FIELD_INT,
     MEMBER(journal_kb),
     .min = 64,
     .max = 1048576,
     .def = "1024",
     .help = "size of each of the journal's two files in state_dir"},
    {.name = "journal_sync",
     .type = FIELD_BOOL,
     MEMBER(journal_sync),
     .def = "true",
     .help = "false: acknowledge what the kernel has, before it is on the disk"},
    {.name = "greeting",
     .type = FIELD_BOOL,
     MEMBER(greeting),
     .def = "true",
     .help = "false: say nothing to who connects; nothing is acknowledged then"},
    {.name = "require_nonce",
     .type = FIELD_BOOL,
     MEMBER(require_nonce),
     .def = "false",
     .help = "true: plain senders, whose events could be replayed, are refused"},
    {.name = "max_connections_per_peer",
     .type = FIELD_INT,
     MEMBER(max_connections_per_peer),
     .min = 0,
     .max = CONFIG_CONNECTIONS,
     .def = "0",
     .help = "from one address at the same time; 0: as many as there are"},
    {.name = "max_events_per_sec",
     .type = FIELD_INT,
     MEMBER(max_events_per_sec),
     .min = 0,
     .max = 1000000,
     .def = "0",
     .help = "of one connection, which is slowed to it; 0: no bound"},
    {.name = "keys", .type = FIELD_NODE, MEMBER(keys), .help = "a list of keys, each of one host"},
    {.name = "rules", .type = FIELD_NODE, MEMBER(rules), .help = "a list of rules"},
    {.name = "webhooks", .type = FIELD_NODE, MEMBER(webhooks), .help = "a list of webhooks"},
    {.name = NULL},
};

/** One item of `webhooks:`. */
struct hook_fields {
    const char *name, *url, *secret;
    uint64_t timeout_ms;
    int64_t retries;
};

#define HOOK(name) .offset = offsetof(struct hook_fields, name)
static const struct field hook_table[] = {
    {.name = "name",
     .type = FIELD_STRING,
     HOOK(name),
     .min = 1,
     .max = WEBHOOK_NAME_MAX,
     .required = true,
     .help = "what `webhook_name` of an alert says"},
    {.name = "url",
     .type = FIELD_STRING,
     HOOK(url),
     .min = 1,
     .max = HTTP_URL_MAX,
     .required = true,
     .help = "where events are posted to: http://host[:port]/path"},
    {.name = "secret",
     .type = FIELD_STRING,
     HOOK(secret),
     .min = 0,
     .max = MAC_KEY_MAX,
     .def = "",
     .help = "signs the event in X-Nefia-Signature; empty: no signature"},
    {.name = "timeout",
     .type = FIELD_DURATION,
     HOOK(timeout_ms),
     .min = 100,
     .max = 300000,
     .def = "10s",
     .help = "of one try"},
    {.name = "retries",
     .type = FIELD_INT,
     HOOK(retries),
     .min = 0,
     .max = 10,
     .def = "3",
     .help = "tries after the first one"},
    {.name = NULL},
};

static void bind_hook(struct hub_settings *s, struct config *c, const struct node *n,
                      const char *where)
{
    struct hook_fields f;
    struct webhook *hook = &s->hooks[s->hook_count];
    char why_buf[160], path_buf[64];
    struct text why, path;

    text_init(&why, why_buf, sizeof why_buf);
    text_init(&path, path_buf, sizeof path_buf);
    config_bind(c, n, where, hook_table, &f);
    if (f.url && http_url_parse(&hook->url, f.url, &why) < 0) {
        config_where_key(&path, where, "url");
        config_error(c, node_child(c, n, "url"), path.buf, why.buf, (char *)0);
    }
    for (unsigned i = 0; f.name && i < s->hook_count; i++)
        if (str_eq(s->hooks[i].name, f.name))
            config_error(c, node_child(c, n, "name"), where, "name: \"", f.name,
                         "\" is the name of an earlier webhook", (char *)0);
    /* Also one with an error: rules that name it are right. */
    if (!f.name)
        return;
    hook->name = f.name;
    hook->secret = f.secret ? f.secret : "";
    hook->timeout_ms = (uint32_t)f.timeout_ms;
    hook->retries = (uint32_t)f.retries;
    s->hook_count++;
}

static void bind_hooks(struct hub_settings *s, struct config *c, const struct node *list)
{
    unsigned index = 0;

    if (!config_is(c, list, "reactor.webhooks", NODE_LIST))
        return;
    for (const struct node *n = node_first(c, list); n; n = node_next(c, n), index++) {
        char buf[48];
        struct text where;

        text_init(&where, buf, sizeof buf);
        config_where_item(&where, "reactor.webhooks", index);
        if (s->hook_count == CONFIG_WEBHOOKS) {
            config_error(c, n, where.buf,
                         "more webhooks than this build takes; raise CONFIG_WEBHOOKS", (char *)0);
            return;
        }
        bind_hook(s, c, n, where.buf);
    }
}

static void bind_peers(struct hub_settings *s, struct config *c, const struct string_list *list)
{
    const struct node *n = list->first;
    char buf[160], where_buf[48];
    struct text why, where;

    for (unsigned i = 0; i < list->count; i++, n = node_next(c, n)) {
        text_init(&why, buf, sizeof buf);
        text_init(&where, where_buf, sizeof where_buf);
        config_where_item(&where, "reactor.peers", i);
        if (s->peer_count == CONFIG_PEERS) {
            config_error(c, n, where.buf, "more peers than this build takes; raise CONFIG_PEERS",
                         (char *)0);
            return;
        }
        if (addr_net_parse(&s->peers[s->peer_count], n->value, strlen(n->value), &why) < 0)
            config_error(c, n, where.buf, why.buf, (char *)0);
        else
            s->peer_count++;
    }
}

static void bind_peers_from(struct hub_settings *s, struct config *c, const struct node *n,
                            const char *value)
{
    if (!value)
        return;
    s->peers_from = wireguard_interface(value);
    if (!IS_ENABLED(CONFIG_WIREGUARD_PEERS))
        config_error(c, node_child(c, n, "peers_from"), "reactor.peers_from",
                     "not in this build (CONFIG_WIREGUARD_PEERS)", (char *)0);
    else if (!s->peers_from)
        config_error(c, node_child(c, n, "peers_from"), "reactor.peers_from", "\"", value,
                     "\" is not wireguard:INTERFACE, such as wireguard:wg0", (char *)0);
}

static void bind_user(struct hub_settings *s, struct config *c, const struct node *n,
                      const char *value)
{
    s->user.name = value;
    if (value && !IS_ENABLED(CONFIG_PRIVILEGES))
        config_error(c, node_child(c, n, "user"), "reactor.user",
                     "not in this build (CONFIG_PRIVILEGES)", (char *)0);
}

static void check_section(struct config *c, const struct node *n, const struct section *b)
{
    if (!b->hmac_key && !b->hmac_key_file && !b->keys && b->peers.count == 0 && !b->peers_from)
        config_error(
            c, n, "reactor",
            "anybody could send events; set hmac_key_file, or list `peers` that may connect",
            (char *)0);
    if (b->require_nonce && !b->greeting)
        config_error(c, node_child(c, n, "require_nonce"), "reactor.require_nonce",
                     "without a greeting nobody has a nonce; remove `greeting: false`", (char *)0);
}

int hub_settings_bind(struct hub_settings *s, struct config *c, const struct node **rules)
{
    unsigned errors = c->errors;
    char buf[160];
    struct settings_root root;
    struct section b;
    struct text why;

    memset(s, 0, sizeof *s);
    text_init(&why, buf, sizeof buf);
    settings_bind_root(&root, c);
    config_bind(c, root.reactor, "reactor", section_fields, &b);
    s->enabled = b.enabled;
    s->hmac_key = b.hmac_key;
    s->hmac_key_file = b.hmac_key_file;
    s->state_dir = b.state_dir;
    s->control_socket = b.control_socket;
    if (addr_parse(&s->listen, b.listen_address, strlen(b.listen_address), (uint16_t)b.listen_port,
                   &why) < 0)
        config_error(c, node_child(c, root.reactor, "listen_address"), "reactor.listen_address",
                     why.buf, (char *)0);
    else if (s->listen.port != b.listen_port)
        config_error(c, node_child(c, root.reactor, "listen_address"), "reactor.listen_address",
                     "an address without a port is wanted; the port is listen_port's", (char *)0);
    bind_peers(s, c, &b.peers);
    bind_peers_from(s, c, root.reactor, b.peers_from);
    bind_user(s, c, root.reactor, b.user);
    bind_hooks(s, c, b.webhooks);
    hub_keys_bind(s, c, b.keys);
    s->greeting = b.greeting;
    s->require_nonce = b.require_nonce;
    s->journal_kb = (uint32_t)b.journal_kb;
    s->journal_sync = b.journal_sync;
    s->max_connections_per_peer = (uint32_t)b.max_connections_per_peer;
    s->max_events_per_sec = (uint32_t)b.max_events_per_sec;
    check_section(c, root.reactor, &b);
    *rules = b.rules;
    return c->errors == errors ? 0 : NEFIA_EINVAL;
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
