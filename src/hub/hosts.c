#include "nefia/hub/settings.h"

#include <string.h>

#include "nefia/base/err.h"
#include "nefia/base/wipe.h"
#include "nefia/event/event.h"
#include "nefia/hub/devices.h"

/* reactor.hosts: what the hub knows of its devices. */

static int set_key(void *member, const char *value, struct text *why)
{
    return mac_key_load(member, value, why);
}

int hub_set_net(void *item, const char *value, struct text *why)
{
    return addr_net_parse(item, value, strlen(value), why);
}

static const struct field_list net_list = {
    .count = offsetof(struct host_item, net_count),
    .size = sizeof(struct addr_net),
    .cap = HOST_NETS,
    .remedy = FIELD_HELP("; use a network that holds them"),
    .set = hub_set_net,
};

#define MEMBER(name) FIELD_AT(struct host_item, name)
#define HOST_ID_FIELD                                                                              \
    {FIELD_REQUIRED("host_id", "the host, as its events say it"),                                                                            \
     .type = FIELD_STRING,                                                                         \
     MEMBER(host_id),                                                                              \
     .min = 1,                                                                                     \
     .max = EVENT_HOST_MAX,                                                                        \
     \
     }
#define ADDRESSES_FIELD                                                                            \
    {.name = "addresses",                                                                          \
     .type = FIELD_LIST,                                                                           \
     MEMBER(nets),                                                                                 \
     .list = &net_list,                                                                            \
     FIELD_NOTE("addresses and networks it speaks from; empty: any")}

static const struct field host_fields[] = {
    HOST_ID_FIELD,
    {.name = "key_file",
     .type = FIELD_SET,
     MEMBER(keys[0]),
     .set = set_key,
     FIELD_NOTE("a file with its own key; unset: the shared key")},
    {.name = "next_key_file",
     .type = FIELD_SET,
     MEMBER(keys[1]),
     .set = set_key,
     FIELD_NOTE("a file with a second key that is also accepted, during rotation")},
    {FIELD_DEFAULT("plain", "false"),
     .type = FIELD_BOOL,
     MEMBER(plain),
     FIELD_NOTE(
         "true: its plain events, which could be replayed, are taken although it has a key")},
    ADDRESSES_FIELD,
    FIELD_IF(CONFIG_HUB_DEVICES, "role", .type = FIELD_SET, MEMBER(role), .set = device_set_word,
             FIELD_NOTE("what kind of device it is"))
    FIELD_IF(CONFIG_HUB_DEVICES, "labels", .type = FIELD_OWNED,
             FIELD_NOTE("a map of words to words, to tell devices apart"))
    {.name = NULL},
};

static bool keep_host(struct config *c, const struct node *n, const char *where, void *item,
                      void *out)
{
    const struct host_item *k = item;
    struct hub_settings *s = out;

    if (!k->host_id)
        return false;
    if (IS_ENABLED(CONFIG_HUB_DEVICES))
        device_bind_labels(s, item, c, n, where);
    if (k->keys[1].set && !k->keys[0].set)
        config_error(c, node_child(c, n, "next_key_file"), where, "next_key_file needs a key_file",
                     (char *)0);
    if (!hub_settings_host(s, (struct slice){k->host_id, strlen(k->host_id)}))
        return true;
    config_error(c, node_child(c, n, "host_id"), where, "host_id: \"", k->host_id,
                 "\" is already the host of an earlier item", (char *)0);
    return false;
}

const struct field_list hub_host_list = {
    .count = offsetof(struct hub_settings, host_count),
    .size = sizeof(struct host_item),
    .cap = CONFIG_HOST_ITEMS,
    .remedy = FIELD_HELP("; raise CONFIG_HOST_ITEMS"),
    .fields = host_fields,
    .keep = keep_host,
};

__attribute__((unused)) /* in a build without the old name */
static const struct field key_fields[] = {
    HOST_ID_FIELD,
    {FIELD_REQUIRED("file", "a file with its own key"),
     .type = FIELD_SET,
     MEMBER(keys[0]),
     .set = set_key},
    {.name = "next_file",
     .type = FIELD_SET,
     MEMBER(keys[1]),
     .set = set_key,
     FIELD_NOTE("as next_key_file of hosts")},
    ADDRESSES_FIELD,
    {.name = NULL},
};

const struct field_list hub_key_list = {
    .count = offsetof(struct hub_settings, host_count),
    .size = sizeof(struct host_item),
    .cap = CONFIG_HOST_ITEMS,
    .remedy = FIELD_HELP("; raise CONFIG_HOST_ITEMS"),
    .fields = key_fields,
    .keep = keep_host,
};

const struct host_item *hub_settings_host(const struct hub_settings *s, struct slice host_id)
{
    for (unsigned i = 0; i < s->host_count; i++)
        if (slice_eq(host_id, s->hosts[i].host_id))
            return &s->hosts[i];
    return NULL;
}

bool hub_settings_keyed(const struct hub_settings *s)
{
    for (unsigned i = 0; i < s->host_count; i++)
        if (s->hosts[i].keys[0].set)
            return true;
    return false;
}

void hub_settings_wipe(struct hub_settings *s)
{
    for (unsigned i = 0; i < CONFIG_HOST_ITEMS; i++) {
        mac_key_wipe(&s->hosts[i].keys[0]);
        mac_key_wipe(&s->hosts[i].keys[1]);
    }
    s->host_count = s->label_count = 0;
    for (unsigned i = 0; i < s->hook_count; i++)
        if (s->hooks[i].secret)
            wipe(s->hooks[i].secret, strlen(s->hooks[i].secret));
    s->hook_count = 0;
}
