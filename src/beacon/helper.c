/* The helper for services (nefia/ops/helper.h) of this program: its policy is the configuration file's. */
#include "nefia/beacon/beacon.h"
#include "nefia/event/settings.h"

#include <unistd.h>

#define POOL_PROGRAM_BEACON
#include "nefia/base/pool.h"

/** In the helper, whose policy is the loaded one: read it into the place of the other. Nothing else of the file counts here: the daemon
 * has read all of it. */
static bool reload(struct helper_setup *s)
{
    struct policy_use *use = s->place.guard.arg;
    struct beacon *b = s->arg;
    struct config *c = &b->config;
    struct settings_root root;

    b->current = !b->current;
    const bool read = config_load(c, b->path, &b->arenas[!b->current], pool_work, sizeof pool_work) == 0;
    if (read) {
        settings_bind_root(&root, c);
        beacon_policy_load(b);
    }
    if (!read || config_done(c) < 0) {
        config_drop(c);
        b->current = !b->current;
        return false;
    }
    use->policy = &pool_device_policies[!b->current].policy;
    s->place.host = settings_host_id(&root, b->settings[0].hostname);
    return true;
}

int beacon_start_helper(struct beacon *b)
{
    const struct beacon_settings *set = beacon_loaded(b);
    struct policy_use use = {&pool_device_policies[!b->current].policy, (struct policy_work *)pool_work};
    struct helper_setup s = {
        .place = {.guard = {policy_judge, &use}, .host = set->host_id, .work = pool_delivery_line, .work_cap = sizeof pool_delivery_line},
        .user = IS_ENABLED(CONFIG_PRIVILEGES) && set->user.name ? set->user.uid : geteuid(),
        .reload = reload,
        .arg = b,
    };

    return helper_start(&b->helper, &s);
}
