#include "nefia/guard/policy.h"

static bool restricts_nothing(const struct node *n)
{
    return n->type == NODE_REFUSED ||
           (n->key && str_eq(n->key, "mode") && n->type == NODE_SCALAR && str_eq(n->value, "off"));
}

void policy_ignore(struct config *c, const struct node *n)
{
    for (const struct node *m = n ? node_first(c, n) : NULL; m; m = node_next(c, m))
        if (!restricts_nothing(m)) {
            config_warn(c, n, "policy", "restricts nothing here",
                        HINT(": in this build the beacon runs no commands of the hub"), (char *)0);
            return;
        }
}

void policy_refuse(struct config *c, const struct node *n)
{
    if (!config_is(c, n, "policy", NODE_MAP))
        return;
    for (const struct node *m = node_first(c, n); m; m = node_next(c, m))
        if (!restricts_nothing(m))
            config_error(c, m, "policy", m->key, ": this build cannot enforce a policy",
                         HINT("; it takes only `mode: off`"), (char *)0);
}
