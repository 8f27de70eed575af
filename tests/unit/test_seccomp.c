/* Interprets the filters, as they are passed to the kernel, for every system call: under qemu-user
 * too, for each architecture, although the kernel underneath is another. */
#include "nefia/sys/seccomp.h"

#include <asm/unistd.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdarg.h>

#include "check.h"
#include "nefia/base/bytes.h"
#include "nefia/base/kconfig.h"
#include "nefia/sys/log.h"

enum { REFUSED = SECCOMP_RET_ERRNO | EPERM, UNKNOWN = SECCOMP_RET_ERRNO | ENOSYS };

static struct sock_filter program[512];
static unsigned length;
static bool kernel_takes_it;

static int take(const struct sock_fprog *p)
{
    if (!kernel_takes_it) {
        errno = EINVAL;
        return -1;
    }
    length = p->len;
    memcpy(program, p->filter, p->len * sizeof program[0]);
    return 0;
}

/* In place of the C library's: nothing here may filter this process. */
long syscall(long number, ...)
{
    va_list list;

    va_start(list, number);
    (void)va_arg(list, unsigned long);
    (void)va_arg(list, unsigned long);
    const struct sock_fprog *p = va_arg(list, const struct sock_fprog *);
    va_end(list);
    return number == __NR_seccomp ? take(p) : -1;
}

int prctl(int what, ...);
int prctl(int what, ...)
{
    (void)what;
    errno = EINVAL;
    return -1;
}

static uint32_t load(const struct seccomp_data *d, uint32_t at)
{
    uint32_t v;

    memcpy(&v, (const char *)d + at, sizeof v);
    return v;
}

/** What the kernel's interpreter would do. Return: the verdict; 1: ran past the end. */
static uint32_t run(const struct seccomp_data *d)
{
    uint32_t a = 0;

    for (unsigned at = 0; at < length; at++) {
        const struct sock_filter *f = &program[at];
        bool yes = false;

        if (f->code == (BPF_RET | BPF_K))
            return f->k;
        if (f->code == (BPF_LD | BPF_W | BPF_ABS)) {
            a = load(d, f->k);
            continue;
        }
        switch (f->code) {
        case BPF_JMP | BPF_JEQ | BPF_K:
            yes = a == f->k;
            break;
        case BPF_JMP | BPF_JGE | BPF_K:
            yes = a >= f->k;
            break;
        case BPF_JMP | BPF_JSET | BPF_K:
            yes = (a & f->k) != 0;
            break;
        default:
            return 1;
        }
        at += yes ? f->jt : f->jf;
    }
    return 1;
}

static uint32_t arch_of_filter(void)
{
    return program[1].k; /* what the second instruction compares with */
}

static uint32_t verdict(uint32_t number, uint64_t first)
{
    struct seccomp_data d = {.nr = (int)number, .arch = arch_of_filter(), .args = {first}};

    return run(&d);
}

static void start(const char *(*filter)(void), const char *word)
{
    kernel_takes_it = true;
    length = 0;
    CHECK_STR(filter(), word);
    CHECK(length > 20);
}

static void check_common(void)
{
    static const uint64_t namespaces[] = {CLONE_NEWNS,  CLONE_NEWCGROUP, CLONE_NEWUTS,
                                          CLONE_NEWIPC, CLONE_NEWUSER,   CLONE_NEWPID,
                                          CLONE_NEWNET};
    struct seccomp_data d = {.nr = __NR_read, .arch = arch_of_filter() ^ 1};

    CHECK_INT(run(&d), REFUSED);
    CHECK_INT(verdict(0x40000000u, 0), REFUSED);
    CHECK_INT(verdict(UINT32_MAX, 0), REFUSED);
    CHECK_INT(verdict(__NR_clone3, 0), UNKNOWN);
    CHECK_INT(verdict(__NR_clone, SIGCHLD), SECCOMP_RET_ALLOW);
    for (unsigned i = 0; i < ARRAY_SIZE(namespaces); i++)
        CHECK_INT(verdict(__NR_clone, namespaces[i] | SIGCHLD), REFUSED);
    CHECK_INT(verdict(__NR_clone, CLONE_VM | CLONE_VFORK | SIGCHLD), SECCOMP_RET_ALLOW);
    /* Flags are an unsigned long: the upper half of a 64-bit argument is none of them. */
    CHECK_INT(verdict(__NR_clone, (uint64_t)CLONE_NEWUSER << 32), SECCOMP_RET_ALLOW);
    for (uint32_t n = 0; n < 6000; n++) {
        uint32_t v = verdict(n, 0);
        CHECK(v == SECCOMP_RET_ALLOW || v == REFUSED || v == UNKNOWN);
    }
}

/** Number of permitted system calls. */
static unsigned allowed(void)
{
    unsigned count = 0;

    for (uint32_t n = 0; n < 6000; n++)
        count += verdict(n, 0) == SECCOMP_RET_ALLOW;
    return count;
}

/** What only asks for its state, as far as the numbers tell; privileges_drop sees to it that it does. */
static void check_clock(void)
{
    const uint32_t asking = IS_ENABLED(CONFIG_BEACON_CLOCK_STATE) ? SECCOMP_RET_ALLOW : REFUSED;

    CHECK_INT(verdict(__NR_adjtimex, 0), asking);
#ifdef __NR_clock_adjtime64
    CHECK_INT(verdict(__NR_clock_adjtime64, 0), asking);
#else
    CHECK_INT(verdict(__NR_clock_adjtime, 0), REFUSED);
#endif
    CHECK_INT(verdict(__NR_clock_settime, 0), REFUSED);
}

TEST(strict_allows_listed_calls)
{
    static const uint32_t yes[] = {__NR_recvfrom, __NR_read,           __NR_ppoll, __NR_epoll_pwait,
                                   __NR_wait4,    __NR_statfs,         __NR_exit_group,
                                   __NR_futex,    __NR_clock_nanosleep, __NR_getdents64};
    static const uint32_t no[] = {__NR_execve, __NR_execveat, __NR_mprotect,   __NR_mount,
                                  __NR_ptrace, __NR_setuid,   __NR_bpf,        __NR_unshare,
                                  __NR_chroot, __NR_seccomp,  __NR_init_module};

    start(seccomp_strict, "strict");
    check_common();
    for (size_t i = 0; i < ARRAY_SIZE(yes); i++)
        CHECK_INT(verdict(yes[i], 0), SECCOMP_RET_ALLOW);
    for (size_t i = 0; i < ARRAY_SIZE(no); i++)
        CHECK_INT(verdict(no[i], 0), REFUSED);
    CHECK(allowed() > 60 && allowed() < 130);
    check_clock();
}

TEST(commands_denies_listed_calls)
{
    static const uint32_t yes[] = {__NR_read,   __NR_execve,        __NR_mprotect,
                                   __NR_setuid, __NR_chroot,        __NR_ppoll,
                                   __NR_socket, __NR_clock_gettime, __NR_kill};
    static const uint32_t no[] = {
        __NR_init_module, __NR_mount,   __NR_umount2,    __NR_ptrace,       __NR_bpf,
        __NR_unshare,     __NR_setns,   __NR_reboot,     __NR_settimeofday, __NR_clock_settime,
        __NR_sethostname, __NR_add_key, __NR_request_key, __NR_syslog, __NR_personality,
        __NR_io_uring_setup, __NR_io_uring_enter, __NR_io_uring_register,
#ifdef __NR_modify_ldt
        __NR_modify_ldt,
#endif
    };

    start(seccomp_commands, "commands");
    check_common();
    for (size_t i = 0; i < ARRAY_SIZE(yes); i++)
        CHECK_INT(verdict(yes[i], 0), SECCOMP_RET_ALLOW);
    for (size_t i = 0; i < ARRAY_SIZE(no); i++)
        CHECK_INT(verdict(no[i], 0), REFUSED);
    CHECK(allowed() > 5900);
    check_clock();
}

TEST(a_kernel_without_seccomp_is_no_error)
{
    kernel_takes_it = false;
    log_init("test", LOG_LEVEL_ERROR);
    CHECK_STR(seccomp_strict(), "off");
    CHECK_STR(seccomp_commands(), "off");
}

TEST_MAIN(strict_allows_listed_calls, commands_denies_listed_calls,
          a_kernel_without_seccomp_is_no_error)
