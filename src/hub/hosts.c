#include "nefia/hub/settings.h"

#include <string.h>

#include "nefia/base/err.h"
#include "nefia/base/wipe.h"
#include "nefia/event/event.h"

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
static const struct field host_fields[] = {
    {.name = "host_id",
     .type = FIELD_STRING,
     MEMBER(host_id),
     .min = 1,
     .max = EVENT_HOST_MAX,
     .required = true,
     .help = FIELD_HELP("the host, as its events say it")},
    {.name = "key_file",
     .type = FIELD_SET,
     MEMBER(keys[0]),
     .set = set_key,
     .help = FIELD_NOTE("a file with its own key; unset: the shared key")},
    {.name = "next_key_file",
     .type = FIELD_SET,
     MEMBER(keys[1]),
     .set = set_key,
     .help = FIELD_NOTE("a file with a second key that is also accepted, during rotation")},
    {.name = "plain",
     .type = FIELD_BOOL,
     MEMBER(plain),
     .def = "false",
     .help = FIELD_NOTE(
         "true: its plain events, which could be replayed, are taken although it has a key")},
    {.name = "addresses",
     .type = FIELD_LIST,
     MEMBER(nets),
     .list = &net_list,
     .help = FIELD_NOTE("addresses and networks it speaks from; empty: any")},
    {.name = NULL},
};

static bool keep_host(struct config *c, const struct node *n, const char *where, void *item,
                      void *out)
{
    const struct host_item *k = item;
    const struct hub_settings *s = out;

    if (!k->host_id)
        return false;
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
    s->host_count = 0;
    for (unsigned i = 0; i < s->hook_count; i++)
        if (s->hooks[i].secret)
            wipe(s->hooks[i].secret, strlen(s->hooks[i].secret));
    s->hook_count = 0;
}
