#include "nefia/beacon/settings.h"

#include <string.h>

#include "nefia/beacon/sensor_table.h"
#include "nefia/event/dedup.h"
#include "nefia/base/err.h"
#include "nefia/sys/file.h"
#include "nefia/base/kconfig.h"
#include "nefia/event/rate.h"
#include "nefia/event/settings.h"

enum {
    REACTOR_PORT = 9500,
    SPOOL_FILE_KB_MIN = (4 * CONFIG_EVENT_BYTES + 1023) / 1024, /* so that any event has room */
};

/** `beacons:` as the binder sees it. */
struct section {
    struct string_list reactor;
    const char *hmac_key, *hmac_key_file, *state_dir, *control_socket, *dedup_key, *user;
    int64_t max_events_per_min;
    uint64_t dedup_window_ms;
    bool require_ack;
    const char *spool_file;
    int spool_file_events;
    int64_t spool_file_kb, spool_file_daily_kb;
    const struct node *sensors[SENSOR_COUNT + 1];
};

#define MEMBER(name) .offset = offsetof(struct section, name)
static const struct field section_fields[] = {
    {.name = "reactor",
     .type = FIELD_STRINGS,
     MEMBER(reactor),
     .help = FIELD_NOTE("the hubs, \"10.99.0.1:9500\", tried in order")},
    {.name = "hmac_key",
     .type = FIELD_STRING,
     MEMBER(hmac_key),
     .min = MAC_KEY_MIN,
     .max = MAC_KEY_MAX,
     .help = FIELD_NOTE("the shared key itself")},
    {.name = "hmac_key_file",
     .type = FIELD_STRING,
     MEMBER(hmac_key_file),
     .help = FIELD_NOTE("a file with the shared key")},
    {.name = "state_dir",
     .type = FIELD_STRING,
     MEMBER(state_dir),
     .def = "",
     .help = FIELD_NOTE("where the count of starts is kept; empty: nowhere")},
    {.name = "control_socket",
     .type = FIELD_STRING,
     MEMBER(control_socket),
     .def = BEACON_CONTROL_SOCKET,
     .help = FIELD_NOTE("for status and emit; empty: none")},
    {.name = "max_events_per_min",
     .type = FIELD_INT,
     MEMBER(max_events_per_min),
     .min = 1,
     .max = CONFIG_RATE_MAX,
     .def = "10",
     .help = FIELD_NOTE("more are held back and reported")},
    {.name = "dedup_window",
     .type = FIELD_DURATION,
     MEMBER(dedup_window_ms),
     .min = 0,
     .max = 7 * 86400000,
     .def = "5m",
     .help = FIELD_NOTE("how long the same event is not sent again; 0: always sent")},
    {.name = "dedup_key",
     .type = FIELD_STRING,
     MEMBER(dedup_key),
     .def = "type|source|host_id|severity|subject",
     .help = FIELD_NOTE("what makes two events the same")},
};

static const char *const kept_words[] = {"all", "critical", NULL};
static const struct field file_fields[] = {
    {.name = "spool_file",
     .type = FIELD_STRING,
     MEMBER(spool_file),
     .max = FILE_PATH_MAX - 16,
     .help = FIELD_NOTE("where events are kept that survive a power cut; empty: nowhere")},
    {.name = "spool_file_events",
     .type = FIELD_WORD,
     MEMBER(spool_file_events),
     .words = kept_words,
     .def = "critical",
     .help = FIELD_NOTE("which")},
    {.name = "spool_file_kb",
     .type = FIELD_INT,
     MEMBER(spool_file_kb),
     .min = SPOOL_FILE_KB_MIN,
     .max = 1 << 20,
     .def = "64",
     .help = FIELD_NOTE("size of that file")},
    {.name = "spool_file_daily_kb",
     .type = FIELD_INT,
     MEMBER(spool_file_daily_kb),
     .min = 1,
     .max = 1 << 20,
     .def = "1024",
     .help = FIELD_NOTE("most that is written a day")},
};

#define TABLE_FIELDS                                                                               \
    (ARRAY_SIZE(section_fields) + IS_ENABLED(CONFIG_PRIVILEGES) + IS_ENABLED(CONFIG_BEACON_ACK) +  \
     IS_ENABLED(CONFIG_SPOOL_FILE) * ARRAY_SIZE(file_fields) + SENSOR_COUNT + 1)

/** The section's fields, then one node for each sensor of this build. */
static void section_table(struct field table[TABLE_FIELDS])
{
    struct field *f = table + ARRAY_SIZE(section_fields);

    memcpy(table, section_fields, sizeof section_fields);
    if (IS_ENABLED(CONFIG_PRIVILEGES))
        *f++ = (struct field){.name = "user",
                              .type = FIELD_STRING,
                              MEMBER(user),
                              .min = 1,
                              .max = 64,
                              .help = FIELD_NOTE("who to become after the start; not given: nobody")};
    if (IS_ENABLED(CONFIG_BEACON_ACK))
        *f++ = (struct field){
            .name = "require_ack",
            .type = FIELD_BOOL,
            MEMBER(require_ack),
            .def = "false",
            .help = FIELD_NOTE("true: nothing is sent to a hub that acknowledges nothing")};
    if (IS_ENABLED(CONFIG_SPOOL_FILE)) {
        memcpy(f, file_fields, sizeof file_fields);
        f += ARRAY_SIZE(file_fields);
    }
    for (unsigned i = 0; sensor_table[i]; i++)
        *f++ = (struct field){.name = sensor_table[i]->name,
                              .type = FIELD_NODE,
                              .offset = (uint16_t)(offsetof(struct section, sensors) +
                                                   i * sizeof(const struct node *))};
    *f = (struct field){.name = NULL};
}

static void bind_host(struct beacon_settings *s, const char *host_id)
{
    struct utsname u;

    s->host_id = host_id;
    if (host_id)
        return;
    uname(&u);
    memcpy(s->hostname, u.nodename, sizeof s->hostname);
    s->host_id = s->hostname[0] ? s->hostname : "localhost";
}

/** Its last digits may be meant for a port. */
static bool bare_ipv6(const char *value)
{
    const char *colon = strchr(value, ':');

    return *value != '[' && colon && strchr(colon + 1, ':');
}

/** Return: 0, or negative with a sentence in why. */
static int bind_hub(struct uplink_hub *hub, const char *value, struct text *why)
{
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

static void bind_reactors(struct beacon_settings *s, struct config *c,
                          const struct string_list *list)
{
    char buf[192];
    struct text why;
    const struct node *n = list->first;

    s->reactor_count = 0;
    for (unsigned i = 0; i < list->count; i++, n = node_next(c, n)) {
        if (s->reactor_count == CONFIG_BEACON_REACTORS) {
            config_error(c, n, "beacons.reactor",
                         "at most " LITERAL(CONFIG_BEACON_REACTORS) " addresses in this build",
                         HINT(" (CONFIG_BEACON_REACTORS)"), NULL);
            return;
        }
        text_init(&why, buf, sizeof buf);
        if (bind_hub(&s->reactors[s->reactor_count], n->value, &why) < 0)
            config_error(c, n, "beacons.reactor", why.buf, NULL);
        else
            s->reactor_count++;
    }
}

static void check_section(struct beacon_settings *s, struct config *c, const struct node *n,
                          const struct section *b)
{
    int parts = dedup_parse_key(b->dedup_key);

    if (parts < 0)
        config_error(
            c, node_child(c, n, "dedup_key"), "beacons.dedup_key", "\"", b->dedup_key,
            HINTED("\" is not a dedup key", ": type, source, host_id, severity and subject, separated by |"),
            NULL);
    else
        s->dedup_parts = (unsigned)parts;
}

int beacon_settings_bind(struct beacon_settings *s, struct config *c, bool needs_hub,
                         const struct node **sensors)
{
    struct field table[TABLE_FIELDS];
    unsigned errors = c->errors;
    struct settings_root root;
    struct section b;

    memset(s, 0, sizeof *s);
    settings_bind_root(&root, c);
    bind_host(s, root.host_id);
    section_table(table);
    config_bind(c, root.beacons, "beacons", table, &b);
    s->hmac_key = b.hmac_key;
    s->hmac_key_file = b.hmac_key_file;
    s->state_dir = b.state_dir;
    s->control_socket = b.control_socket;
    if (IS_ENABLED(CONFIG_PRIVILEGES))
        s->user.name = b.user;
    if (IS_ENABLED(CONFIG_BEACON_ACK))
        s->require_ack = b.require_ack;
    if (IS_ENABLED(CONFIG_SPOOL_FILE)) {
        s->spool_file = b.spool_file;
        s->spool_file_least = b.spool_file_events ? SEVERITY_CRITICAL : SEVERITY_INFO;
        s->spool_file_bytes = (uint32_t)b.spool_file_kb * 1024;
        s->spool_file_daily = (uint32_t)b.spool_file_daily_kb * 1024;
    }
    s->max_events_per_min = b.max_events_per_min;
    s->dedup_window_ms = b.dedup_window_ms;
    bind_reactors(s, c, &b.reactor);
    check_section(s, c, root.beacons, &b);
    if (needs_hub && b.reactor.count == 0)
        config_error(c, root.beacons, "beacons.reactor",
                     HINTED("missing", ": the address of the hub, such as \"10.99.0.1:9500\""),
                     NULL);
    memcpy(sensors, b.sensors, SENSOR_COUNT * sizeof *sensors);
    return c->errors == errors ? 0 : NEFIA_EINVAL;
}
