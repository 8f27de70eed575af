#include <asm/unistd.h> /* the kernel's own names; a C library hides those for 32-bit time */

#include "nefia/base/bytes.h"
#include "nefia/sys/seccomp.h"
#include "seccomp_int.h"

/* System calls made by src/ and the C library after start-up, most frequent first. Children that
 * resolve names or post to webhooks are forks of the daemon and are included. */
static const uint16_t allowed[] = {
    __NR_recvfrom, __NR_sendto, __NR_read, __NR_write, __NR_epoll_pwait, __NR_clock_gettime, __NR_epoll_ctl, __NR_ppoll,
#ifdef __NR_ppoll_time64
    __NR_ppoll_time64, __NR_clock_gettime64,
#endif
    __NR_close, __NR_ioctl, __NR_getsockopt, __NR_setsockopt,
    /* sockets; musl's send and recv are sendto and recvfrom where these exist */
    __NR_socket, __NR_bind, __NR_connect, __NR_listen, __NR_accept4, __NR_shutdown,
    __NR_getsockname, __NR_getpeername, __NR_sendmsg, __NR_recvmsg,
#ifdef __NR_send
    __NR_send, __NR_recv,
#endif
#ifdef __NR_accept
    __NR_accept,
#endif
    /* files */
    __NR_openat, __NR_readv, __NR_writev, __NR_pread64, __NR_pwrite64, __NR_fcntl, __NR_fsync,
    __NR_fdatasync, __NR_ftruncate, __NR_flock, __NR_faccessat, __NR_mkdirat, __NR_unlinkat,
    __NR_readlinkat, __NR_getdents64, __NR_umask, __NR_fchmod, __NR_statx,
#ifdef __NR_open
    __NR_open, __NR_access, __NR_stat, __NR_lstat, __NR_mkdir, __NR_unlink, __NR_rename,
    __NR_readlink, __NR_poll,
#endif
#ifdef __NR_renameat
    __NR_renameat,
#endif
#ifdef __NR_renameat2
    __NR_renameat2,
#endif
#ifdef __NR_fstat
    __NR_fstat, __NR_lseek, __NR_statfs, __NR_fstatfs,
#endif
#ifdef __NR_newfstatat
    __NR_newfstatat,
#endif
#ifdef __NR_fstat64
    __NR_fstat64, __NR_fstatat64, __NR_stat64, __NR_lstat64, __NR__llseek,
#endif
#ifdef __NR_statfs64
    __NR_statfs64, __NR_fstatfs64, __NR_fcntl64, __NR_ftruncate64,
#endif
#ifdef CONFIG_BEACON_INOTIFY
    __NR_inotify_init1, __NR_inotify_add_watch, __NR_inotify_rm_watch,
#endif
#ifdef CONFIG_SENSOR_HONEYPOT /* fanotify_init came before the filter */
    __NR_fanotify_mark,
#endif
    /* children */
    __NR_wait4, __NR_waitid, __NR_setsid, __NR_kill, __NR_pipe2, __NR_dup, __NR_dup3,
    __NR_prctl, __NR_prlimit64, __NR_set_tid_address,
#ifdef __NR_fork
    __NR_fork, __NR_dup2,
#endif
#ifdef __NR_close_range
    __NR_close_range,
#endif
#ifdef __NR_pidfd_open
    __NR_pidfd_open,
#endif
    /* signals and exit */
    __NR_rt_sigaction, __NR_rt_sigprocmask, __NR_rt_sigreturn, __NR_restart_syscall, __NR_tkill,
    __NR_tgkill, __NR_exit, __NR_exit_group,
#ifdef __NR_sigreturn
    __NR_sigreturn,
#endif
    /* queries */
    __NR_getpid, __NR_gettid, __NR_getuid, __NR_geteuid, __NR_getgid, __NR_getegid, __NR_uname,
    __NR_sysinfo, __NR_getrandom, __NR_gettimeofday, __NR_clock_getres,
#ifdef __NR_getuid32
    __NR_getuid32, __NR_geteuid32, __NR_getgid32, __NR_getegid32,
#endif
#ifdef CONFIG_BEACON_CLOCK_STATE
    /* only reads: privileges_drop has given up CAP_SYS_TIME */
    __NR_adjtimex,
#ifdef __NR_clock_adjtime64
    __NR_clock_adjtime64,
#endif
#endif
    /* sleeping in children, and locks of the C library */
    __NR_nanosleep, __NR_clock_nanosleep, __NR_futex,
#ifdef __NR_futex_time64
    __NR_futex_time64, __NR_clock_nanosleep_time64,
#endif
};

const char *seccomp_strict(void)
{
    return seccomp_install(allowed, ARRAY_SIZE(allowed), true) == 0 ? "strict" : seccomp_missing();
}
