#include "nefia/hub/settings.h"

#include <string.h>

#include "nefia/base/err.h"
#include "nefia/event/event.h"

/* reactor.keys: hosts with a key of their own. */

struct key_fields {
    const char *host_id, *file, *next_file;
    struct string_list addresses;
};

#define MEMBER(name) .offset = offsetof(struct key_fields, name)
static const struct field key_table[] = {
    {.name = "host_id",
     .type = FIELD_STRING,
     MEMBER(host_id),
     .min = 1,
     .max = EVENT_HOST_MAX,
     .required = true,
     .help = "the host whose key this is, as its events say it"},
    {.name = "file",
     .type = FIELD_STRING,
     MEMBER(file),
     .min = 1,
     .max = 255,
     .required = true,
     .help = "a file with its key"},
    {.name = "next_file",
     .type = FIELD_STRING,
     MEMBER(next_file),
     .min = 1,
     .max = 255,
     .help = "a file with a second key that is good too, while it is being changed"},
    {.name = "addresses",
     .type = FIELD_STRINGS,
     MEMBER(addresses),
     .help = "addresses and networks it speaks from; empty: any"},
    {.name = NULL},
};

static void bind_nets(struct host_key *k, struct config *c, const char *where,
                      const struct string_list *list)
{
    const struct node *n = list->first;
    char why_buf[160], list_buf[64], item_buf[72];
    struct text why, list_where, item;

    text_init(&list_where, list_buf, sizeof list_buf);
    config_where_key(&list_where, where, "addresses");
    for (unsigned i = 0; i < list->count; i++, n = node_next(c, n)) {
        text_init(&why, why_buf, sizeof why_buf);
        text_init(&item, item_buf, sizeof item_buf);
        config_where_item(&item, list_where.buf, i);
        if (k->net_count == HOST_KEY_NETS) {
            config_error(c, n, item.buf, "at most ", DEC(HOST_KEY_NETS),
                         " addresses or networks; use a network that holds them", (char *)0);
            return;
        }
        if (addr_net_parse(&k->nets[k->net_count], n->value, strlen(n->value), &why) < 0)
            config_error(c, n, item.buf, why.buf, (char *)0);
        else
            k->net_count++;
    }
}

static void load(struct mac_key *key, struct config *c, const struct node *n, const char *where,
                 const char *name, const char *path)
{
    char why_buf[320], where_buf[64];
    struct text why, place;

    if (!path)
        return;
    text_init(&why, why_buf, sizeof why_buf);
    text_init(&place, where_buf, sizeof where_buf);
    config_where_key(&place, where, name);
    if (mac_key_load(key, path, &why) < 0)
        config_error(c, node_child(c, n, name), place.buf, why.buf, (char *)0);
}

static void bind_key(struct hub_settings *s, struct config *c, const struct node *n,
                     const char *where)
{
    struct host_key *k = &s->keys[s->key_count];
    struct key_fields f;

    config_bind(c, n, where, key_table, &f);
    if (!f.host_id)
        return;
    if (hub_settings_host(s, (struct slice){f.host_id, strlen(f.host_id)})) {
        config_error(c, node_child(c, n, "host_id"), where, "host_id: \"", f.host_id,
                     "\" has a key already; a second one is its next_file", (char *)0);
        return;
    }
    k->host_id = f.host_id;
    load(&k->keys[0], c, n, where, "file", f.file);
    load(&k->keys[1], c, n, where, "next_file", f.next_file);
    bind_nets(k, c, where, &f.addresses);
    s->key_count++;
}

void hub_keys_bind(struct hub_settings *s, struct config *c, const struct node *list)
{
    unsigned index = 0;

    if (!config_is(c, list, "reactor.keys", NODE_LIST))
        return;
    for (const struct node *n = node_first(c, list); n; n = node_next(c, n), index++) {
        char buf[48];
        struct text where;

        text_init(&where, buf, sizeof buf);
        config_where_item(&where, "reactor.keys", index);
        if (s->key_count == CONFIG_HOST_KEYS) {
            config_error(c, n, where.buf, "more keys than this build takes; raise CONFIG_HOST_KEYS",
                         (char *)0);
            return;
        }
        bind_key(s, c, n, where.buf);
    }
}

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
}
