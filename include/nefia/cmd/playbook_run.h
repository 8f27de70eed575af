#ifndef NEFIA_CMD_PLAYBOOK_RUN_H
#define NEFIA_CMD_PLAYBOOK_RUN_H

#include "nefia/sys/cli.h"

/** `nefia playbook run`: carry out a playbook, in this process; what it does on devices and what it reports goes through the running
 * hub. a->arg is the program's struct hub. Return: an exit status. */
int playbook_run(const struct cli_args *a);

extern const struct cli_option playbook_run_options[];

#endif
