#ifndef NEFIA_CMD_PLAYBOOK_H
#define NEFIA_CMD_PLAYBOOK_H

#include "nefia/play/playbook.h"
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
        "--event", "FILE", CLI_HELP("the event that sets it off: one JSON object (- is standard input)")   \
    }

/** Read the playbook, the event and the values that a command line with FILE [NAME=VALUE…] and PLAYBOOK_OPTIONS names. verb: its name,
 * for reports. work: as playbook_load's. Return: CLI_FINE; CLI_WRONG after a report; CLI_NO: it is not for that host. */
int playbook_read(struct playbook_memory *m, struct playbook_values *v, const struct cli_args *a, void *work, size_t work_cap,
                  struct pattern_tree *scratch, struct matcher_work *matching);

#endif
