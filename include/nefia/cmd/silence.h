#ifndef NEFIA_CMD_SILENCE_H
#define NEFIA_CMD_SILENCE_H

#include "nefia/control/show.h"
#include "nefia/sys/cli.h"

/** The verbs of `nefia silence`: they ask the running hub; a->arg is the program's struct hub. Each returns an exit status. */
int silence_add(const struct cli_args *a);
int silence_list(const struct cli_args *a);
int silence_remove(const struct cli_args *a);

extern const struct cli_option silence_add_options[];
/** What they show of the hub's answers. */
extern const struct show_section silence_added_sections[], silence_list_sections[], silence_removed_sections[];

#endif
