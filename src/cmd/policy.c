#include "nefia/cmd/policy.h"

#include "nefia/guard/policy_verbs.h"
#include "nefia/hub/hub.h"
#include "nefia/sys/log.h"

#define POOL_PROGRAM_HUB
#include "nefia/base/pool.h"

_Static_assert(sizeof pool_receive > 2 * POLICY_DESK_LINE, "an answer has room beside the command");

/** The command is put together and answers are built where the configuration was read. */
static int ask(const struct cli_args *a, int (*verb)(struct policy_desk *d))
{
    struct hub *hub = a->arg;
    struct policy_desk desk;

    log_init("nefia", LOG_LEVEL_WARN);
    hub_wire(hub, a->config, cli_report_stderr);
    const struct policy_use *use = hub_policy(hub);
    if (!use)
        return CLI_WRONG;
    char *buf = (char *)pool_receive;
    policy_desk_init(&desk, a, &hub->config, use, buf + POLICY_DESK_LINE, sizeof pool_receive - POLICY_DESK_LINE);
    desk.line = buf;
    return verb(&desk);
}

int policy_test(const struct cli_args *a)
{
    return ask(a, policy_verb_test);
}

int policy_test_batch(const struct cli_args *a)
{
    return ask(a, policy_verb_test_batch);
}

int policy_capabilities(const struct cli_args *a)
{
    return ask(a, policy_verb_capabilities);
}

int policy_lint_verb(const struct cli_args *a)
{
    return ask(a, policy_verb_lint);
}

int plan_exec(const struct cli_args *a)
{
    return ask(a, policy_verb_plan);
}
