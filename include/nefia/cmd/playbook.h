#ifndef NEFIA_CMD_PLAYBOOK_H
#define NEFIA_CMD_PLAYBOOK_H

#include "nefia/sys/cli.h"

/** The verbs of `nefia playbook`, and `nefia plan playbook`. The first two carry out nothing, and need no running hub. Each returns an
 * exit status. */
int playbook_check(const struct cli_args *a); /* FILE... */
int plan_playbook(const struct cli_args *a);  /* FILE [NAME=VALUE...] --target HOST [--event FILE] [--json] */

extern const struct cli_option plan_playbook_options[];

/** What says for which device, and because of what. */
#define PLAYBOOK_OPTIONS                                                                           \
    {"--target", "HOST", CLI_HELP("the device that it is for")},                                   \
    {                                                                                              \
        "--event", "FILE", CLI_HELP("an event that set it off: one JSON object; - is standard input")      \
    }

#endif
