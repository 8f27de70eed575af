#ifndef NEFIA_CMD_POLICY_H
#define NEFIA_CMD_POLICY_H

#include "nefia/sys/cli.h"

/** The verbs of `nefia policy`, and `nefia plan exec`: what the policy of the configuration file says, without a running hub and
 * without doing anything. Each returns an exit status. */
int policy_test(const struct cli_args *a);
int policy_test_batch(const struct cli_args *a);
int policy_capabilities(const struct cli_args *a);
int policy_lint_verb(const struct cli_args *a);
int plan_exec(const struct cli_args *a);

#endif
