#ifndef NEFIA_CMD_PLAYBOOK_H
#define NEFIA_CMD_PLAYBOOK_H

#include "nefia/sys/cli.h"

/** The verbs on playbooks that carry out nothing, and need no running hub. a->arg is the program's struct hub. Each returns an exit
 * status. */
int playbook_check(const struct cli_args *a); /* FILE... */
int plan_playbook(const struct cli_args *a);  /* FILE [NAME=VALUE...] --target HOST --hub --event FILE --json */

extern const struct cli_option plan_playbook_options[];

#endif
