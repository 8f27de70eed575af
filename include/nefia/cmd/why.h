#ifndef NEFIA_CMD_WHY_H
#define NEFIA_CMD_WHY_H

#include "nefia/control/show.h"
#include "nefia/sys/cli.h"

/** `nefia why EVENT`: asks the running hub; a->arg is the program's struct hub. Returns an exit status. */
int why_event(const struct cli_args *a);

extern const struct show_section why_sections[];

#endif
