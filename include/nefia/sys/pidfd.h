#ifndef NEFIA_SYS_PIDFD_H
#define NEFIA_SYS_PIDFD_H

#include <poll.h>
#include <stdbool.h>
#include <sys/types.h>

/** A descriptor that stands for this process and no later one with its id: readable once it has ended, also before its
 * parent waits for it (pidfd_open(2), Linux 5.3). Return: the caller's, close-on-exec; or -1 with errno. */
int pidfd_open(pid_t pid);

/** Several, which are asked together. held is the caller's, who sees to it that there is room; *count of them are there.
 * Return: whether it was added; else with errno. */
bool pidfds_add(struct pollfd *held, unsigned *count, pid_t pid);
/** Do all of them still run? One system call. */
bool pidfds_run(struct pollfd *held, unsigned count);
/** Close them; then there are none. */
void pidfds_close(struct pollfd *held, unsigned *count);

#endif
