#include "nefia/guard/policy.h"

struct verdict policy_judge(void *arg, const struct policy_case *c)
{
    (void)arg;
    (void)c;
    return (struct verdict){.kind = VERDICT_ALLOWED};
}

static bool restricts_nothing(const struct node *n)
{
    return n->type == NODE_REFUSED ||
           (str_eq(n->key, "mode") && n->type == NODE_SCALAR && str_eq(n->value, "off"));
}

void policy_check(struct config *c, const struct node *n)
{
    if (!config_is(c, n, "policy", NODE_MAP))
        return;
    for (const struct node *m = node_first(c, n); m; m = node_next(c, m))
        if (!restricts_nothing(m))
            config_error(c, m, "policy", m->key, ": this build cannot enforce a policy",
                         HINT("; it takes only `mode: off`"), (char *)0);
}
