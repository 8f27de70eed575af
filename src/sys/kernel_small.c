/* System calls without the C library's ways around kernels older than the ones we run on (Linux 2.6.27
 * has SOCK_CLOEXEC) and options that nothing here asks for. Ours are in the program before the
 * library's. setsockopt is the library's: timeouts need its way around kernels before 5.1. */
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

/** The size of threads' stacks, which there are none of; the library would bring it with a value, and
 * with that a page more of the program's file. */
unsigned __default_stacksize;

int socket(int family, int type, int protocol)
{
    return (int)syscall(SYS_socket, family, type, protocol);
}

int getsockopt(int fd, int level, int name, void *restrict value, socklen_t *restrict len)
{
    return (int)syscall(SYS_getsockopt, fd, level, name, value, len);
}

/** In the kernel's sizes: sigset_t is larger in the C library, and its time_t may be. */
int ppoll(struct pollfd *fds, nfds_t count, const struct timespec *most, const sigset_t *mask)
{
    long time[2] = {0};

    if (most) {
        time[0] = (long)most->tv_sec;
        time[1] = most->tv_nsec;
    }
    return (int)syscall(SYS_ppoll, fds, count, most ? time : NULL, mask, _NSIG / 8);
}

#ifdef __arm__

/** struct sigaction of arch/arm/include/uapi/asm/signal.h. Without SA_RESTORER the kernel's own code
 * ends a handler. */
struct kernel_action {
    void (*handler)(int);
    unsigned long flags;
    void (*restorer)(void);
    unsigned long mask[2];
};

int sigaction(int signo, const struct sigaction *restrict action, struct sigaction *restrict before)
{
    struct kernel_action now = {0}, old = {0};

    if (action) {
        now.handler = action->sa_handler;
        now.flags = (unsigned long)action->sa_flags;
        memcpy(now.mask, &action->sa_mask, sizeof now.mask);
    }
    if (syscall(SYS_rt_sigaction, signo, action ? &now : NULL, &old, sizeof now.mask) < 0)
        return -1;
    if (before) {
        *before = (struct sigaction){.sa_handler = old.handler, .sa_flags = (int)old.flags};
        memcpy(&before->sa_mask, old.mask, sizeof old.mask);
    }
    return 0;
}

#endif
