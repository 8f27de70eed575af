#ifndef NEFIA_CMD_REPLAY_H
#define NEFIA_CMD_REPLAY_H

#include "nefia/sys/cli.h"

/** `nefia replay`: what rules would have done with the events of a journal or a file. It reads, and does nothing; a->arg is the
 * program's struct hub. Returns an exit status. */
int replay_events(const struct cli_args *a);

extern const struct cli_option replay_options[];

#endif
