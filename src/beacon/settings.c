#include "nefia/beacon/settings.h"

#include <string.h>

#include "nefia/beacon/sensor_table.h"
#include "nefia/event/dedup.h"
#include "nefia/base/err.h"
#include "nefia/sys/file.h"
#include "nefia/base/kconfig.h"
#include "nefia/event/rate.h"
#include "nefia/event/settings.h"
#include "nefia/guard/policy.h"
#include "nefia/ops/op.h"

enum {
    REACTOR_PORT = 9500,
    SPOOL_FILE_KB_MIN = (4 * CONFIG_EVENT_BYTES + 1023) / 1024, /* so that any event has room */
};

/** Its last digits may be meant for a port. */
static bool bare_ipv6(const char *value)
{
    const char *colon = strchr(value, ':');

    return *value != '[' && colon && strchr(colon + 1, ':');
}

static int set_hub(void *item, const char *value, struct text *why)
{
    struct uplink_hub *hub = item;
    char name[ADDR_HOST];
    uint16_t port;

    if (IS_ENABLED(CONFIG_IPV6) && bare_ipv6(value)) {
        text_str(why, value);
        text_str(why, ": write an IPv6 address in brackets, such as [fd00::1]:9500");
        return NEFIA_ESYNTAX;
    }
    int err = addr_parse(&hub->addr, value, strlen(value), REACTOR_PORT, why);

    hub->name = NULL;
    if (err != NEFIA_ENOTSUP || !IS_ENABLED(CONFIG_BEACON_RESOLVE))
        return err;
    text_reset(why);
    hub->name = value;
    return addr_parse_hostport(value, strlen(value), REACTOR_PORT, name, &port, why);
}

static int set_dedup_key(void *member, const char *value, struct text *why)
{
    unsigned *out = member;
    int parts = dedup_parse_key(value);

    if (parts < 0) {
        text_char(why, '"');
        text_str(why, value);
        text_str(why, HINTED("\" is not a dedup key",
                             ": type, source, host_id, severity and subject, separated by |"));
        return parts;
    }
    *out = (unsigned)parts;
    return 0;
}

static const char *sensor_key(unsigned i)
{
    return sensor_table[i] ? sensor_table[i]->name : NULL;
}

static const struct field_list hub_list = {
    .count = offsetof(struct beacon_settings, reactor_count),
    .size = sizeof(struct uplink_hub),
    .cap = CONFIG_BEACON_REACTORS,
    .remedy = FIELD_HELP("; raise CONFIG_BEACON_REACTORS"),
    .set = set_hub,
};

#define MEMBER(name) FIELD_AT(struct beacon_settings, name)
const struct field beacon_fields[] = {
    {.name = "reactor",
     .type = FIELD_LIST,
     MEMBER(reactors),
     .list = &hub_list,
     FIELD_NOTE("the hubs, \"10.99.0.1:9500\", tried in order")},
    {FIELD_SECRET_KEY(hmac_key),
     MEMBER(hmac_key),
     .min = MAC_KEY_MIN,
     .max = MAC_KEY_MAX,
     FIELD_NOTE("the shared key itself")},
    {.name = "hmac_key_file",
     .type = FIELD_STRING,
     MEMBER(hmac_key_file),
     FIELD_NOTE("a file with the shared key")},
    FIELD_IF_DEFAULT(CONFIG_BEACON_STATE, "state_dir", "", .type = FIELD_STRING, MEMBER(state_dir),
             FIELD_NOTE("where the count of starts is kept; empty: nowhere"))
    FIELD_IF_DEFAULT(CONFIG_BEACON_CONTROL, "control_socket", BEACON_CONTROL_SOCKET, .type = FIELD_STRING, MEMBER(control_socket),
             FIELD_NOTE("for status and emit; empty: none"))
    FIELD_IF(CONFIG_PRIVILEGES, "user", .type = FIELD_STRING, MEMBER(user.name), .min = 1,
             .max = 64, FIELD_NOTE("user to run as after start-up; unset: keep the current user"))
    {FIELD_DEFAULT("max_events_per_min", "10"),
     .type = FIELD_INT,
     MEMBER(max_events_per_min),
     .min = 1,
     .max = CONFIG_RATE_MAX,
     FIELD_NOTE("more are suppressed, counted and reported")},
    {FIELD_DEFAULT("dedup_window", "5m"),
     .type = FIELD_DURATION,
     MEMBER(dedup_window_ms),
     .min = 0,
     .max = 7 * 86400000,
     FIELD_NOTE("how long the same event is not sent again; 0: always sent")},
    {FIELD_DEFAULT("dedup_key", "type|source|host_id|severity|subject"),
     .type = FIELD_SET,
     MEMBER(dedup_parts),
     .set = set_dedup_key,
     FIELD_NOTE("what makes two events the same")},
    {FIELD_DEFAULT("require_ack", "true"),
     .type = FIELD_BOOL,
     MEMBER(require_ack),
     FIELD_NOTE("false: deliver also to a hub that does not acknowledge")},
    FIELD_IF(CONFIG_SPOOL_FILE, "spool_file", .type = FIELD_STRING, MEMBER(spool_file),
             .max = FILE_PATH_MAX - 16,
             FIELD_NOTE("where events are kept that survive a power cut; empty: nowhere"))
    FIELD_IF_DEFAULT(CONFIG_SPOOL_FILE, "spool_file_events", "critical", .type = FIELD_WORD,
             MEMBER(spool_file_events), .words = "all\0critical\0",
             FIELD_NOTE("which: enum spool_file_events"))
    FIELD_IF_DEFAULT(CONFIG_SPOOL_FILE, "spool_file_kb", "64", .type = FIELD_INT, MEMBER(spool_file_kb),
             .min = SPOOL_FILE_KB_MIN, .max = 1 << 20,
             FIELD_NOTE("size of that file"))
    FIELD_IF_DEFAULT(CONFIG_SPOOL_FILE, "spool_file_daily_kb", "1024", .type = FIELD_INT,
             MEMBER(spool_file_daily_kb), .min = 1, .max = 1 << 20,
             FIELD_NOTE("most KiB written to it per day"))
    FIELD_IF(CONFIG_REMOTE_EXEC, "remote", .type = FIELD_NODE, MEMBER(remote_node),
             FIELD_NOTE("commands from the hub: enabled, timeout_max"))
    FIELD_IF(CONFIG_BEACON_CONSOLE, "console", .type = FIELD_NODE, MEMBER(console_node),
             FIELD_NOTE("a bare serial line: tty, key_required, idle_timeout"))
    {.name = "", .type = FIELD_OWNED, .names = sensor_key},
    FIELD_NOT(NEFIA_ABSENT_SENSORS, "")
    {.name = NULL},
};

#undef MEMBER
#define MEMBER(name) FIELD_AT(struct remote_settings, name)
const struct field remote_fields[] = {
    {FIELD_DEFAULT("enabled", "false"),
     .type = FIELD_BOOL,
     MEMBER(enabled),
     FIELD_NOTE("take commands from the hub, as far as `policy` allows them")},
    {FIELD_DEFAULT("timeout_max", "10m"),
     .type = FIELD_DURATION,
     MEMBER(timeout_max_ms),
     .min = 1000,
     .max = OP_TIMEOUT_MAX_MS,
     FIELD_NOTE("one that may run for longer is refused")},
    {.name = NULL},
};

#undef MEMBER
#define MEMBER(name) FIELD_AT(struct console_settings, name)
const struct field console_fields[] = {
    {.name = "tty", .type = FIELD_STRING, MEMBER(tty), FIELD_NOTE("the line that `console` opens, such as /dev/ttyS1")},
    {FIELD_DEFAULT("key_required", "true"),
     .type = FIELD_BOOL,
     MEMBER(key_required),
     FIELD_NOTE("ask there for an answer that only the key gives")},
    {FIELD_DEFAULT("idle_timeout", "10m"),
     .type = FIELD_DURATION,
     MEMBER(idle_ms),
     .min = 1000,
     .max = 86400000,
     FIELD_NOTE("a session without a key press for so long ends")},
    {.name = NULL},
};

int beacon_settings_bind(struct beacon_settings *s, struct config *c, bool needs_hub)
{
    unsigned errors = c->errors;
    struct settings_root root;

    memset(s, 0, sizeof *s);
    settings_bind_root(&root, c);
    s->host_id = settings_host_id(&root, s->hostname);
    if (!IS_ENABLED(CONFIG_BEACON_GUARD) && IS_ENABLED(CONFIG_CONFIG_HINTS))
        policy_ignore(c, root.policy);
    config_bind(c, root.beacons, "beacons", beacon_fields, s);
    if (IS_ENABLED(CONFIG_REMOTE_EXEC) &&
        (!s->remote_node || config_is(c, s->remote_node, "beacons.remote", NODE_MAP)))
        config_bind(c, s->remote_node, "beacons.remote", remote_fields, &s->remote);
    s->console.key_required = true; /* also where the section is none */
    if (IS_ENABLED(CONFIG_BEACON_CONSOLE) &&
        (!s->console_node || config_is(c, s->console_node, "beacons.console", NODE_MAP)))
        config_bind(c, s->console_node, "beacons.console", console_fields, &s->console);
    if (needs_hub && !config_given(c, root.beacons, "reactor"))
        config_warn(c, root.beacons, "beacons.reactor",
                    HINTED("not configured: no hub",
                           "; events are kept until it has an address, such as \"10.99.0.1:9500\""),
                    NULL);
    else if (needs_hub && s->require_ack && !IS_ENABLED(CONFIG_BEACON_ACK))
        config_error(c, node_child(c, root.beacons, "require_ack"), "beacons.require_ack",
                     HINTED("must be false in this build",
                            ": it cannot wait for acknowledgements (CONFIG_BEACON_ACK)"),
                     NULL);
    return c->errors == errors ? 0 : NEFIA_EINVAL;
}
