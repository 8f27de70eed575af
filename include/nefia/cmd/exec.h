#ifndef NEFIA_CMD_EXEC_H
#define NEFIA_CMD_EXEC_H

#include "nefia/sys/cli.h"

/** `nefia exec --target HOST -- COMMAND…`: have the running hub have it done on a device, print the output, and end with the
 * command's exit status (nefia/hub/dispatch.h). One word is a line for the device's shell; of several the first is the program, which
 * the shell finds if it is no absolute path, and no shell changes the others. */
extern const struct cli_option exec_options[];
int exec_run(const struct cli_args *a);

#endif
