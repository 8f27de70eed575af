/* The policy of this device: what the hub may have done here. */
#include "nefia/beacon/beacon.h"

#define POOL_PROGRAM_BEACON
#include "nefia/base/pool.h"

void beacon_policy_load(struct beacon *b)
{
    struct policy_memory *m = &pool_device_policies[!b->current];
    const struct config *c = &b->config;

    policy_memory_init(m);
    policy_bind(&m->policy, &b->config, node_child(c, c->nodes, "policy"), (struct pattern_tree *)pool_work);
}

struct policy_use beacon_policy(const struct beacon *b)
{
    return (struct policy_use){&pool_device_policies[!b->current].policy, (struct policy_work *)pool_work};
}
