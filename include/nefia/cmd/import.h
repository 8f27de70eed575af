#ifndef NEFIA_CMD_IMPORT_H
#define NEFIA_CMD_IMPORT_H

#include "nefia/sys/cli.h"

/** The verb `nefia import`: it hands what devices exported to the running hub, line by line; a->arg is the program's struct hub.
 * Return: an exit status. */
int import_run(const struct cli_args *a);

#endif
