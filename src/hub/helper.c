/* The helper for services (nefia/ops/helper.h) of this program: its policy is the configuration file's. */
#include "nefia/hub/hub.h"

#include <string.h>
#include <unistd.h>

#include "nefia/event/settings.h"

#define POOL_PROGRAM_HUB
#include "nefia/base/pool.h"

/** The role that an item of reactor.hosts gives this machine; null: none. */
static const char *own_role(const struct config *c, const char *host)
{
    const struct node *reactor = node_child(c, c->nodes, "reactor"), *hosts = node_child(c, reactor, "hosts");

    for (const struct node *n = hosts ? node_first(c, hosts) : NULL; n; n = node_next(c, n)) {
        const struct node *id = node_child(c, n, "host_id"), *role = node_child(c, n, "role");

        if (id && id->value && str_eq(id->value, host))
            return role ? role->value : NULL;
    }
    return NULL;
}

/** In the helper, whose policy is the staged one: read it into the place of the other. Nothing else of the file counts here: the daemon
 * has read all of it. */
static bool reload(struct helper_setup *s)
{
    struct hub *h = s->arg;
    struct settings_root root;

    if (!IS_ENABLED(CONFIG_HUB_GUARD))
        return true;
    h->active = !h->active;
    if (!hub_policy(h)) {
        config_drop(&h->config);
        h->active = !h->active;
        return false;
    }
    settings_bind_root(&root, &h->config);
    s->place.host = settings_host_id(&root, pool_settings[0].hostname);
    s->place.role = own_role(&h->config, s->place.host);
    return true;
}

int hub_start_helper(struct hub *h)
{
    const struct hub_settings *set = hub_loaded(h);
    const struct host_item *item = hub_settings_host(set, (struct slice){set->host_id, strlen(set->host_id)});
    struct helper_setup s = {
        .place = {.host = set->host_id,
                  .role = item ? item->role : NULL,
                  .work = pool_hub_work->run.line,
                  .work_cap = sizeof pool_hub_work->run.line},
        .user = IS_ENABLED(CONFIG_PRIVILEGES) && set->user.name ? set->user.uid : geteuid(),
        .reload = reload,
        .arg = h,
    };

    if (IS_ENABLED(CONFIG_HUB_GUARD)) {
        h->policy = (struct policy_use){hub_loaded_policy(h), pool_policy_work};
        s.place.guard = (struct guard){policy_judge, &h->policy};
    }
    return helper_start(&h->helper, &s);
}
