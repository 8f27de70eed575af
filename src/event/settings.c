#include "nefia/event/settings.h"

#include <string.h>

#include "nefia/base/wipe.h"
#include "nefia/event/event.h"

static const struct field root_fields[] = {
    {.name = "host_id",
     .type = FIELD_STRING,
     .offset = offsetof(struct settings_root, host_id),
     .min = 1,
     .max = EVENT_HOST_MAX,
     .help = FIELD_NOTE("name of this device in its events; default: the hostname")},
    {.name = "beacons", .type = FIELD_NODE, .offset = offsetof(struct settings_root, beacons)},
    {.name = "reactor", .type = FIELD_NODE, .offset = offsetof(struct settings_root, reactor)},
    {.name = "policy", .type = FIELD_NODE, .offset = offsetof(struct settings_root, policy)},
    {.name = NULL},
};

void settings_bind_root(struct settings_root *r, struct config *c)
{
    config_bind(c, c->nodes, "", root_fields, r);
}

/** Of both programs: one file may be for both. Return: whether there were any. */
static bool wipe_keys(struct config *c)
{
    static const char *const sections[] = {"beacons", "reactor"};
    bool any = false;

    for (unsigned i = 0; i < ARRAY_SIZE(sections); i++) {
        const struct node *n = node_child(c, node_child(c, c->nodes, sections[i]), "hmac_key");

        if (!n || n->type != NODE_SCALAR)
            continue;
        wipe((void *)(uintptr_t)n->value, strlen(n->value));
        any = true;
    }
    return any;
}

bool settings_load_key(struct mac_key *k, struct config *c, const char *section, const char *file,
                       const char *key)
{
    const char *name = file ? "hmac_key_file" : "hmac_key";
    char why_buf[320], where_buf[32];
    struct text why, where;

    text_init(&why, why_buf, sizeof why_buf);
    text_init(&where, where_buf, sizeof where_buf);
    config_where_key(&where, section, name);
    mac_key_wipe(k);
    if (file && key)
        text_str(&why, "hmac_key is given too; remove one of them");
    else if (file)
        mac_key_load(k, file, &why);
    else if (key)
        mac_key_inline(k, key, c->path, &why);
    if (why.len)
        config_error(c, node_child(c, node_child(c, c->nodes, section), name), where.buf, why.buf,
                     (char *)0);
    return wipe_keys(c);
}

void settings_bind_user(struct privileges *p, struct config *c, const char *section, void *work,
                        size_t cap)
{
    char why_buf[128], where_buf[32];
    struct text why, where;

    text_init(&why, why_buf, sizeof why_buf);
    text_init(&where, where_buf, sizeof where_buf);
    config_where_key(&where, section, "user");
    if (privileges_find(p, work, cap, &why) < 0)
        config_error(c, node_child(c, node_child(c, c->nodes, section), "user"), where.buf, why.buf,
                     (char *)0);
}
