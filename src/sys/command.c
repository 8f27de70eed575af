#include "nefia/sys/command.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "nefia/base/err.h"
#include "nefia/sys/child.h"
#include "nefia/sys/clock.h"

enum { GRACE_MS = 2000, STEP_MS = 20, CANNOT_EXECUTE = 127, READ_BYTES = 512 };

static _Noreturn void become(const char *const *argv, int out)
{
    static const char *const env[] = {"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", NULL};

    setsid();
    const int in = open("/dev/null", O_RDONLY);
    if (in < 0 || dup2(in, STDIN_FILENO) < 0 || dup2(out, STDOUT_FILENO) < 0 || dup2(out, STDERR_FILENO) < 0)
        _exit(CANNOT_EXECUTE);
    descriptors_close(STDERR_FILENO + 1);
    signals_default();
    execve(argv[0], (char *const *)(uintptr_t)argv, (char *const *)(uintptr_t)env);
    _exit(CANNOT_EXECUTE);
}

/** Return: false: there is nothing more to come. */
static bool take(struct command *c, int fd)
{
    char rest[READ_BYTES];
    const size_t room = c->output_cap - c->output_len;
    const ssize_t n = read(fd, room > 0 ? c->output + c->output_len : rest, room > 0 ? room : sizeof rest);

    if (n > 0 && room > 0)
        c->output_len += (size_t)n;
    return n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR));
}

/** At most once each. */
static void end_late(struct command *c, pid_t pid, uint64_t started_ms)
{
    const uint64_t ran = clock_ms(&clock_system) - started_ms;

    if (ran >= c->deadline_ms + GRACE_MS)
        kill(-pid, SIGKILL);
    else if (ran >= c->deadline_ms && !c->timed_out)
        kill(-pid, SIGTERM);
    c->timed_out |= ran >= c->deadline_ms;
}

/** Until the program itself has ended: a service that it started may hold the pipe. */
static void follow(struct command *c, pid_t pid, int fd)
{
    const uint64_t started = clock_ms(&clock_system);
    struct pollfd p = {.fd = fd, .events = POLLIN};
    int status = 0;
    pid_t ended = 0;

    while (ended == 0 || (ended < 0 && errno == EINTR)) {
        if (poll(&p, 1, STEP_MS) > 0 && !take(c, fd))
            p.fd = -1;
        end_late(c, pid, started);
        ended = waitpid(pid, &status, WNOHANG);
    }
    while (p.fd >= 0 && poll(&p, 1, 0) > 0 && c->output_len < c->output_cap && take(c, fd))
        ;
    c->exit_code = ended < 0 ? CANNOT_EXECUTE : WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

int command_run(const char *const *argv, struct command *c)
{
    int ends[2];

    c->output_len = 0;
    c->timed_out = false;
    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0)
        return NEFIA_EIO;
    const pid_t pid = _Fork();
    if (pid == 0) {
        fcntl(ends[1], F_SETFL, 0);
        become(argv, ends[1]);
    }
    close(ends[1]);
    if (pid > 0)
        follow(c, pid, ends[0]);
    close(ends[0]);
    return pid < 0 ? NEFIA_EIO : 0;
}
