#ifndef NEFIA_CMD_REACTOR_H
#define NEFIA_CMD_REACTOR_H

#include "nefia/control/show.h"
#include "nefia/sys/cli.h"

/** The verbs of `nefia reactor`. The program's argument (a->arg) is its struct hub, which these wire
 * and load. Each returns an exit status. */
int reactor_run(const struct cli_args *a);
int reactor_check(const struct cli_args *a);
int reactor_status(const struct cli_args *a);
int reactor_events(const struct cli_args *a);
int reactor_forget(const struct cli_args *a);
int reactor_hosts(const struct cli_args *a);

/** Ask the running hub, whose socket the configuration names, and print its answer. The caller sets sections, request, measure,
 * and timeout_ms: 0 for what is usual, UINT64_MAX for none. Return: an exit status. */
int reactor_ask(const struct cli_args *a, struct show_question q);

/** What `status`, `events` and `hosts` show of the running hub's answers. */
extern const struct show_section reactor_status_sections[];
extern const struct show_section reactor_events_sections[];
extern const struct show_section reactor_hosts_sections[];

#endif
