/* The policy of this device: what the hub may have done here. */
#include "nefia/beacon/beacon.h"
#include "nefia/guard/policy_verbs.h"
#include "nefia/sys/log.h"

#define POOL_PROGRAM_BEACON
#include "nefia/base/pool.h"

void beacon_policy_load(struct beacon *b)
{
    struct policy_memory *m = &pool_device_policies[!b->current];
    const struct config *c = &b->config;

    policy_memory_init(m);
    policy_bind(&m->policy, &b->config, node_child(c, c->nodes, "policy"), (struct pattern_tree *)pool_work);
}

/** By the device's own policy, and by default for itself. */
static int ask(const struct cli_args *a, int (*verb)(struct policy_desk *d))
{
    struct beacon *b = a->arg;
    struct policy_desk desk;

    log_init("nefia-beacon", LOG_LEVEL_WARN);
    beacon_wire(b, a->config, cli_report_stderr);
    if (beacon_load(b, 0) < 0)
        return CLI_WRONG;
    const struct policy_use use = {&pool_device_policies[!b->current].policy, (struct policy_work *)pool_work};
    policy_desk_init(&desk, a, &b->config, &use, pool_delivery_line, sizeof pool_delivery_line);
    desk.host = beacon_loaded(b)->host_id;
    return verb(&desk);
}

int beacon_policy_test(const struct cli_args *a)
{
    return ask(a, policy_verb_test);
}

int beacon_policy_capabilities(const struct cli_args *a)
{
    return ask(a, policy_verb_capabilities);
}

const struct cli_option beacon_policy_test_options[] = {
    {"--path", "PATH", CLI_HELP("judge this path, resolved here, instead of a command")},
    {"--host", "HOST", CLI_HELP("judge for this host instead of this device")},
    {"--json", NULL, CLI_HELP("output JSON")},
    {.name = NULL}};
const struct cli_option beacon_policy_capabilities_options[] = {
    {"--host", "HOST", CLI_HELP("of this host instead of this device")},
    {"--json", NULL, CLI_HELP("output JSON")},
    {.name = NULL}};
