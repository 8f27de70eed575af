#include <asm/unistd.h> /* the kernel's own names; a C library hides those for 32-bit time */

#include "nefia/base/bytes.h"
#include "nefia/sys/seccomp.h"
#include "seccomp_int.h"

/* Calls that no command of a sensor or action needs and that an intruder with root rights would
 * want. */
static const uint16_t refused[] = {
    /* kernel code */
    __NR_init_module, __NR_finit_module, __NR_delete_module, __NR_kexec_load, __NR_bpf,
    __NR_perf_event_open, __NR_userfaultfd,
#ifdef __NR_kexec_file_load
    __NR_kexec_file_load,
#endif
    /* other processes */
    __NR_ptrace, __NR_process_vm_readv, __NR_process_vm_writev, __NR_kcmp, __NR_pidfd_getfd,
    /* file systems */
    __NR_mount, __NR_umount2, __NR_pivot_root, __NR_swapon, __NR_swapoff, __NR_quotactl,
    __NR_open_by_handle_at, __NR_fanotify_init, __NR_open_tree, __NR_move_mount,
    __NR_fsopen, __NR_fsconfig, __NR_fsmount, __NR_fspick,
#ifdef __NR_umount
    __NR_umount,
#endif
#ifdef __NR_mount_setattr
    __NR_mount_setattr,
#endif
#ifdef __NR_quotactl_fd
    __NR_quotactl_fd,
#endif
    /* namespaces */
    __NR_unshare, __NR_setns,
    /* machine state */
    __NR_reboot, __NR_acct, __NR_sethostname, __NR_setdomainname,
    __NR_settimeofday, __NR_clock_settime, __NR_clock_adjtime,
#ifdef __NR_clock_settime64
    __NR_clock_settime64,
#endif
#ifndef CONFIG_BEACON_CLOCK_STATE /* which reads by them, without CAP_SYS_TIME (privileges_drop) */
    __NR_adjtimex,
#ifdef __NR_clock_adjtime64
    __NR_clock_adjtime64,
#endif
#endif
#ifdef __NR_stime
    __NR_stime,
#endif
#ifdef __NR_iopl
    __NR_iopl, __NR_ioperm,
#endif
    /* kernel keyrings and the kernel's log */
    __NR_add_key, __NR_keyctl, __NR_request_key, __NR_syslog,
    /* what has brought kernel bugs within reach, and execution without its protections */
    __NR_io_uring_setup, __NR_io_uring_enter, __NR_io_uring_register, __NR_personality,
#ifdef __NR_modify_ldt
    __NR_modify_ldt,
#endif
};

const char *seccomp_commands(void)
{
    return seccomp_install(refused, ARRAY_SIZE(refused), false) == 0 ? "commands"
                                                                     : seccomp_missing();
}
