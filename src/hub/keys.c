#include "nefia/hub/settings.h"

#include <string.h>

#include "nefia/base/err.h"
#include "nefia/base/wipe.h"
#include "nefia/event/event.h"

/* reactor.keys: hosts with a key of their own. */

static int set_key(void *member, const char *value, struct text *why)
{
    return mac_key_load(member, value, why);
}

int hub_set_net(void *item, const char *value, struct text *why)
{
    return addr_net_parse(item, value, strlen(value), why);
}

static const struct field_list net_list = {
    .count = offsetof(struct host_key, net_count),
    .size = sizeof(struct addr_net),
    .cap = HOST_KEY_NETS,
    .remedy = "; use a network that holds them",
    .set = hub_set_net,
};

#define MEMBER(name) FIELD_AT(struct host_key, name)
static const struct field key_fields[] = {
    {.name = "host_id",
     .type = FIELD_STRING,
     MEMBER(host_id),
     .min = 1,
     .max = EVENT_HOST_MAX,
     .required = true,
     .help = "the host whose key this is, as its events say it"},
    {.name = "file",
     .type = FIELD_SET,
     MEMBER(keys[0]),
     .required = true,
     .set = set_key,
     .help = "a file with its key"},
    {.name = "next_file",
     .type = FIELD_SET,
     MEMBER(keys[1]),
     .set = set_key,
     .help = "a file with a second key that is also accepted, during rotation"},
    {.name = "addresses",
     .type = FIELD_LIST,
     MEMBER(nets),
     .list = &net_list,
     .help = "addresses and networks it speaks from; empty: any"},
    {.name = NULL},
};

static bool keep_key(struct config *c, const struct node *n, const char *where, void *item,
                     void *out)
{
    const struct host_key *k = item;
    const struct hub_settings *s = out;

    if (!k->host_id)
        return false;
    if (!hub_settings_host(s, (struct slice){k->host_id, strlen(k->host_id)}))
        return true;
    config_error(c, node_child(c, n, "host_id"), where, "host_id: \"", k->host_id,
                 "\" already has a key; a second one is its next_file", (char *)0);
    return false;
}

const struct field_list hub_key_list = {
    .count = offsetof(struct hub_settings, key_count),
    .size = sizeof(struct host_key),
    .cap = CONFIG_HOST_KEYS,
    .remedy = "; raise CONFIG_HOST_KEYS",
    .fields = key_fields,
    .keep = keep_key,
};

const struct host_key *hub_settings_host(const struct hub_settings *s, struct slice host_id)
{
    for (unsigned i = 0; i < s->key_count; i++)
        if (slice_eq(host_id, s->keys[i].host_id))
            return &s->keys[i];
    return NULL;
}

void hub_settings_wipe(struct hub_settings *s)
{
    for (unsigned i = 0; i < CONFIG_HOST_KEYS; i++) {
        mac_key_wipe(&s->keys[i].keys[0]);
        mac_key_wipe(&s->keys[i].keys[1]);
    }
    s->key_count = 0;
    for (unsigned i = 0; i < s->hook_count; i++)
        if (s->hooks[i].secret)
            wipe(s->hooks[i].secret, strlen(s->hooks[i].secret));
    s->hook_count = 0;
}
