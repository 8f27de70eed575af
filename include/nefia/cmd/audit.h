#ifndef NEFIA_CMD_AUDIT_H
#define NEFIA_CMD_AUDIT_H

#include "nefia/sys/cli.h"

/** The verbs of `nefia audit`. They read the files, with the hub running or stopped, in memory of fixed size; a->arg is
 * the program's struct hub. Each returns an exit status. */
int audit_verify(const struct cli_args *a);
int audit_show(const struct cli_args *a);
/** `nefia playbook log`: of the same records those of playbooks. */
int audit_playbooks(const struct cli_args *a);

extern const struct cli_option audit_verify_options[], audit_show_options[], playbook_log_options[];

#endif
