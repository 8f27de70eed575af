#ifndef NEFIA_SYS_PIDFD_H
#define NEFIA_SYS_PIDFD_H

#include <sys/types.h>

/** A descriptor that stands for this process and no later one with its id: readable once it has ended, also before its
 * parent waits for it (pidfd_open(2), Linux 5.3). Return: the caller's, close-on-exec; or -1 with errno. */
int pidfd_open(pid_t pid);

#endif
