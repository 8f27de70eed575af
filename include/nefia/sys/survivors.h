#ifndef NEFIA_SYS_SURVIVORS_H
#define NEFIA_SYS_SURVIVORS_H

#include <stdbool.h>
#include <sys/types.h>

struct children;

/** Processes that outlive the command that started them because they have left its process group
 * (setsid, setpgid). They are not ended: a restarted service is one. They are reported. So that they
 * can be told from all others, this process adopts them in place of init (PR_SET_CHILD_SUBREAPER,
 * Linux 3.4; without it nothing is reported). For the functions of child.c. */
#define SURVIVORS_KNOWN 8 /* that are not reported again */

void survivors_adopt(void);
/** Reap those that have ended; leaves alone what is in a slot. */
void survivors_reap(struct children *c);
/** A command, whose group was `ended`, has been reaped: log names and pids of new survivors, with the
 * rule (NEFIA_RULE) in their environment. Reads /proc only if this process has a child left; while
 * others run, once a second. */
void survivors_look(struct children *c, pid_t ended);

#endif
