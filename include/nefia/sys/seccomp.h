#ifndef NEFIA_SYS_SECCOMP_H
#define NEFIA_SYS_SECCOMP_H

/** A system call filter (seccomp(2), Linux 3.5 and later), built at start-up as classic BPF from
 * tables of numbers. It is permanent, for this process and all its children.
 *
 * Denied calls fail with EPERM and are logged by the kernel (audit type 1326) from Linux 4.14 on.
 * Nothing is killed: on an unattended device a sensor that fails, reports it and is retried is
 * worth more than a dead process, and an intruder gains nothing, since the call is not made in
 * either case.
 *
 * Calls through another ABI than the program's own (32-bit calls on a 64-bit device) are all
 * denied, because the numbers in the tables mean something else there.
 *
 * Neither function fails: on a kernel without seccomp one line is logged. Return: a word for
 * status, "off" if there is no filter. Needs no_new_privs (see privileges_drop). */

/** For a build that runs no commands: allow what our own code and its C library call at run time,
 * and nothing else; no execve, no mmap, no ptrace. Return: "strict" or "off". */
const char *seccomp_strict(void);
/** For a build that runs commands, which inherit the filter: allow everything except kernel
 * administration that no command of a sensor or action needs (modules, mounts, namespaces, ptrace,
 * clocks, reboot, …). Return: "commands" or "off". */
const char *seccomp_commands(void);

#endif
