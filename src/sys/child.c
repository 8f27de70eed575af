#include "nefia/sys/child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "nefia/base/err.h"
#include "nefia/sys/log.h"
#include "nefia/base/text.h"

enum {
    GRACE_MS = 2000,  /* between SIGTERM and SIGKILL */
    ALARM_S = 1 + 2 * GRACE_MS / 1000, /* beyond the deadline */
    OPEN_FILES = 256, /* RLIMIT_NOFILE of a child */
    MOST_FDS = 4096,  /* closed one by one if the kernel lacks close_range */
    READ_BYTES = 2048,
    READS_A_TURN = 32, /* so that one verbose child does not monopolise the loop */
    KILL_WAIT_MS = 1000,
    KILL_STEP_MS = 5,
    CANNOT_EXECUTE = 127,      /* as in shells */
    UNKNOWN_STATUS = 255 << 8, /* a wait(2) status, for a child already reaped elsewhere */
};

void children_init(struct children *c, struct loop *loop, struct child *slots, unsigned count)
{
    *c = (struct children){.loop = loop, .slots = slots, .count = count};
    for (unsigned i = 0; i < count; i++)
        slots[i] = (struct child){.out_fd = -1, .held_fd = -1, .in_fd = -1};
    if (IS_ENABLED(CONFIG_SURVIVORS))
        survivors_adopt();
}

/* ---- in the forked process ---- */

static void set_limit(int what, rlim_t limit)
{
    struct rlimit now;

    /* Not setrlimit(3): it would synchronise threads, and there is only one. */
    if (prlimit(0, what, NULL, &now) == 0 && now.rlim_max < limit)
        limit = now.rlim_max;
    now.rlim_cur = now.rlim_max = limit;
    prlimit(0, what, &now, NULL);
}

static void set_limits(const struct child_spec *spec)
{
    set_limit(RLIMIT_CORE, 0);
    set_limit(RLIMIT_CPU, (rlim_t)spec->deadline_ms / 500 + 1);
    set_limit(RLIMIT_NOFILE, OPEN_FILES);
    prctl(PR_SET_NO_NEW_PRIVS, 1ul, 0ul, 0ul, 0ul); /* prctl(2) takes unsigned long */
}

void descriptors_close(int first)
{
    struct rlimit files = {.rlim_cur = MOST_FDS};

#ifdef SYS_close_range
    if (syscall(SYS_close_range, (unsigned)first, ~0u, 0u) == 0)
        return;
#endif
    prlimit(0, RLIMIT_NOFILE, NULL, &files);
    int end = files.rlim_cur < MOST_FDS ? (int)files.rlim_cur : MOST_FDS;
    for (int fd = first; fd < end; fd++)
        close(fd);
}

void signals_default(void)
{
    struct sigaction standard = {.sa_handler = SIG_DFL};
    sigset_t none;

    for (int signo = 1; signo < NSIG; signo++)
        sigaction(signo, &standard, NULL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

/** Set up descriptors 0, 1 and 2 from ends above them; a program has these open from its first
 * instructions on (cli_main). Takes no descriptor that is not there: the daemon may have none left.
 * Return: false if one could not be set up. */
static bool place_descriptors(int in, int out, int keep)
{
    bool placed = dup2(out, STDOUT_FILENO) >= 0 && dup2(out, STDERR_FILENO) >= 0;

    if (in >= 0) {
        placed &= dup2(in, STDIN_FILENO) >= 0;
    } else {
        close(STDIN_FILENO);
        placed &= open("/dev/null", O_RDONLY) == STDIN_FILENO;
    }
    if (keep > 0)
        placed &= dup2(keep, CHILD_KEPT) >= 0;
    descriptors_close(CHILD_KEPT + (keep > 0));
    return placed;
}

static void say_why(const char *program, int why)
{
    char line[512];
    struct text t;

    text_init(&t, line, sizeof line);
    text_str(&t, "cannot run ");
    text_str(&t, program);
    text_str(&t, ": ");
    text_str(&t, ERRNO(why));
    text_char(&t, '\n');
    (void)!write(STDERR_FILENO, line, t.len);
}

static _Noreturn void become(const struct child_spec *spec, int in, int out)
{
    setsid();
    if (!place_descriptors(in, out, spec->keep))
        _exit(CANNOT_EXECUTE);
    signals_default();
    if (!spec->unlimited)
        set_limits(spec);
    if (spec->run) {
        log_to_fd(STDERR_FILENO); /* the syslog socket was closed with the other descriptors */
        _exit(spec->run(spec->run_arg) & 0xFF);
    }
    /* A daemon that is gone by then cannot end it. */
    alarm((unsigned)(spec->deadline_ms / 1000) + ALARM_S);
    /* execve's arrays lack const for historical reasons; it does not modify them. */
    execve(spec->argv[0], (char *const *)(uintptr_t)spec->argv,
           (char *const *)(uintptr_t)spec->envp);
    say_why(spec->argv[0], errno);
    _exit(CANNOT_EXECUTE);
}

/* ---- in the daemon ---- */

unsigned descriptors_allow(unsigned wanted)
{
    struct rlimit now;

    if (prlimit(0, RLIMIT_NOFILE, NULL, &now) < 0 || now.rlim_cur >= wanted)
        return wanted;
    const struct rlimit most = {now.rlim_max < wanted ? now.rlim_max : wanted, now.rlim_max};
    return (unsigned)(prlimit(0, RLIMIT_NOFILE, &most, NULL) == 0 ? most : now).rlim_cur;
}

static void close_out(struct child *ch)
{
    loop_unwatch(ch->owner->loop, &ch->out_watch);
    if (ch->out_fd >= 0)
        close(ch->out_fd);
    if (ch->held_fd >= 0)
        close(ch->held_fd);
    ch->out_fd = ch->held_fd = -1;
}

static void close_in(struct child *ch)
{
    loop_unwatch(ch->owner->loop, &ch->in_watch);
    if (ch->in_fd >= 0)
        close(ch->in_fd);
    ch->in_fd = -1;
}

/** One read, into the caller's buffer while it has room. Return: false if there is nothing to read. */
static bool read_some(struct child *ch)
{
    char scratch[READ_BYTES];
    struct child_result *r = &ch->result;
    size_t room = ch->spec.output_cap - r->output_len;
    ssize_t n = room > 0 ? read(ch->out_fd, ch->spec.output + r->output_len, room)
                         : read(ch->out_fd, scratch, sizeof scratch);

    if (n <= 0)
        return false;
    r->output_total += (uint64_t)n;
    if (room > 0)
        r->output_len += (size_t)n;
    return true;
}

static void output_ready(void *arg, short revents)
{
    (void)revents;
    for (int i = 0; i < READS_A_TURN && read_some(arg); i++)
        ;
}

static void input_ready(void *arg, short revents)
{
    struct child *ch = arg;
    const struct child_spec *s = &ch->spec;

    (void)revents;
    ssize_t n = write(ch->in_fd, s->input + ch->in_pos, s->input_len - ch->in_pos);
    if (n > 0)
        ch->in_pos += (size_t)n;
    bool refused = n < 0 && errno != EAGAIN && errno != EINTR; /* EPIPE: it closed its stdin */
    if (refused || ch->in_pos == s->input_len)
        close_in(ch);
}

static void signal_group(const struct child *ch, int signo)
{
    /* Until it has called setsid there is no group. */
    if (kill(-ch->pid, signo) < 0)
        kill(ch->pid, signo);
}

static void kill_now(void *arg)
{
    signal_group(arg, SIGKILL);
}

static void deadline_passed(void *arg)
{
    struct child *ch = arg;

    ch->result.timed_out = true;
    signal_group(ch, SIGTERM);
    timer_start(ch->owner->loop, &ch->timer, GRACE_MS, kill_now, ch);
}

/** A close-on-exec pipe whose parent end is non-blocking. */
static int open_pipe(int ends[2], int ours)
{
    if (pipe2(ends, O_CLOEXEC) < 0)
        return NEFIA_EIO;
    fcntl(ends[ours], F_SETFL, O_NONBLOCK);
    return 0;
}

static void close_pair(const int ends[2])
{
    int why = errno;

    for (int i = 0; i < 2; i++)
        if (ends[i] >= 0)
            close(ends[i]);
    errno = why;
}

static int open_pipes(const struct child_spec *spec, int in[2], int out[2])
{
    in[0] = in[1] = out[0] = out[1] = -1;
    int err = open_pipe(out, 0);
    if (err == 0 && spec->input)
        err = open_pipe(in, 1);
    if (err < 0)
        close_pair(out);
    return err;
}

static int watch_pipes(struct child *ch)
{
    struct loop *l = ch->owner->loop;
    int err = loop_watch(l, &ch->out_watch, ch->out_fd, POLLIN, output_ready, ch);

    if (err == 0 && ch->in_fd >= 0)
        err = loop_watch(l, &ch->in_watch, ch->in_fd, POLLOUT, input_ready, ch);
    return err;
}

/** Single-threaded, and no atfork handlers to run. Not vfork(2), though it costs less: the daemon would stand still, with all
 * deadlines, until the program has been opened and read, which storage that fails or does not answer may keep from happening.
 * Return: as fork(2). */
static pid_t start(const struct child_spec *spec, int in, int out)
{
    const pid_t pid = _Fork();

    if (pid == 0)
        become(spec, in, out);
    return pid;
}

/** Fork and watch the pipes. The daemon holds the end that is written to, too: it is not woken when the last process closes it,
 * which is just before that ends. Return: 0; or an error with everything closed. */
static int launch(struct child *ch)
{
    int in[2], out[2];
    int err = open_pipes(&ch->spec, in, out);

    if (err < 0)
        return err;
    ch->out_fd = out[0];
    ch->held_fd = ch->spec.followed ? -1 : out[1];
    ch->in_fd = in[1];
    err = watch_pipes(ch);
    if (err == 0) {
        ch->pid = start(&ch->spec, in[0], out[1]);
        err = ch->pid < 0 ? NEFIA_EIO : 0;
    }
    close_pair((const int[2]){in[0], ch->held_fd < 0 ? out[1] : -1});
    if (err < 0) {
        int why = errno;
        ch->pid = 0;
        close_out(ch);
        close_in(ch);
        errno = why;
    }
    return err;
}

static bool spec_is_complete(const struct child_spec *s)
{
    bool program = s->argv && s->argv[0] && s->argv[0][0] == '/' && s->envp;

    return (s->run || program) && s->deadline_ms > 0 && (s->output || s->output_cap == 0);
}

static int free_slot(const struct children *c)
{
    for (unsigned i = 0; i < c->count; i++)
        if (c->slots[i].pid == 0)
            return (int)i;
    return NEFIA_EFULL;
}

int child_start(struct children *c, const struct child_spec *spec,
                void (*done)(void *, const struct child_result *), void *arg)
{
    int slot = free_slot(c);

    if (!spec_is_complete(spec))
        return NEFIA_EINVAL;
    if (slot < 0)
        return slot;
    struct child *ch = &c->slots[slot];
    *ch = (struct child){
        .owner = c, .spec = *spec, .done = done, .arg = arg, .out_fd = -1, .held_fd = -1, .in_fd = -1};
    ch->started_ms = clock_ms(c->loop->clock);
    int err = launch(ch);
    if (err < 0)
        return err;
    timer_start(c->loop, &ch->timer, spec->deadline_ms, deadline_passed, ch);
    c->running++;
    return slot;
}

static void release(struct child *ch)
{
    close_out(ch);
    close_in(ch);
    timer_stop(&ch->timer);
    ch->pid = 0;
    ch->owner->running--;
}

static void finish(struct child *ch, int status)
{
    struct child_result r;

    /* Read what is left in the pipe; bounded, because a daemonised descendant may keep writing. */
    if (ch->out_watch.link)
        ch->out_watch.ready(ch->out_watch.arg, POLLHUP);
    r = ch->result;
    r.signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    r.exit_code = r.signal ? 128 + r.signal : WEXITSTATUS(status);
    r.duration_ms = clock_ms(ch->owner->loop->clock) - ch->started_ms;
    const pid_t group = ch->pid;
    release(ch);
    if (IS_ENABLED(CONFIG_SURVIVORS))
        survivors_look(ch->owner, group);
    if (ch->done)
        ch->done(ch->arg, &r);
}

/** Check whether it has exited; if so, kill the rest of its group while the pid cannot be reused,
 * then reap it. */
static bool collect(const struct child *ch, int *status)
{
    siginfo_t info = {0};
    int err;

    do
        err = waitid(P_PID, (id_t)ch->pid, &info, WEXITED | WNOHANG | WNOWAIT);
    while (err < 0 && errno == EINTR);
    if (err == 0 && info.si_pid == 0)
        return false;
    if (err == 0)
        kill(-ch->pid, SIGKILL);
    if (err < 0 || waitpid(ch->pid, status, 0) != ch->pid)
        *status = UNKNOWN_STATUS;
    return true;
}

void children_reap(struct children *c)
{
    for (unsigned i = 0; i < c->count; i++) {
        int status = 0;
        if (c->slots[i].pid > 0 && collect(&c->slots[i], &status))
            finish(&c->slots[i], status);
    }
    if (IS_ENABLED(CONFIG_SURVIVORS))
        survivors_reap(c);
}

void child_signal(struct children *c, const void *arg, int signo)
{
    for (unsigned i = 0; i < c->count; i++)
        if (c->slots[i].pid > 0 && c->slots[i].arg == arg && c->slots[i].done)
            kill(c->slots[i].pid, signo);
}

void child_cancel(struct children *c, const void *arg)
{
    for (unsigned i = 0; i < c->count; i++) {
        struct child *ch = &c->slots[i];
        if (ch->pid == 0 || ch->arg != arg || !ch->done)
            continue;
        ch->done = NULL;
        close_out(ch);
        close_in(ch);
        timer_stop(&ch->timer);
        signal_group(ch, SIGKILL);
    }
}

void children_kill_all(struct children *c)
{
    const struct timespec step = {.tv_nsec = KILL_STEP_MS * 1000000L};

    for (unsigned i = 0; i < c->count; i++)
        if (c->slots[i].pid > 0) {
            c->slots[i].done = NULL;
            signal_group(&c->slots[i], SIGKILL);
        }
    for (int waited = 0; c->running > 0 && waited < KILL_WAIT_MS; waited += KILL_STEP_MS) {
        children_reap(c);
        if (c->running > 0)
            nanosleep(&step, NULL);
    }
}
