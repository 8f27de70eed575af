#ifndef NEFIA_SYS_SECCOMP_H
#define NEFIA_SYS_SECCOMP_H

/** A filter of system calls (Linux 3.5 and later, seccomp(2)), built at the start as classic BPF
 * from tables of numbers. It is for good, for this process and for everything it will start.
 *
 * What is refused fails with EPERM and is told in the kernel's log (audit type 1326) where the
 * kernel can (4.14). Nothing is killed: the daemon is on a device that nobody can reach, and there
 * a sensor that fails, says so and is tried again is worth more than a process that is gone; an
 * intruder gains nothing by the difference, as the call is not made in either case.
 *
 * Calls by another ABI than the program's own (a 32-bit program on a 64-bit device) are all
 * refused, because the numbers in the tables mean something else there.
 *
 * Neither call fails: a kernel without seccomp gets one line in the log. Return: a word for status,
 * "off" where there is no filter. Needs no_new_privs (see privileges_drop). */

/** For a build that runs no commands: what our own code and its C library call once they run, and
 * nothing else; no execve, no mmap, no ptrace. Return: "strict" or "off". */
const char *seccomp_strict(void);
/** For a build that runs commands, which inherit the filter: everything but what administers the
 * kernel and no command of a sensor or an action should (modules, mounts, namespaces, ptrace,
 * clocks, reboot, …). Return: "commands" or "off". */
const char *seccomp_commands(void);

#endif
