#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "nefia/sys/child.h"
#include "nefia/base/err.h"
#include "nefia/sys/log.h"
#include "nefia/base/text.h"

/* No test here waits for a time to pass: deadlines are reached by moving the clock, which stands still
 * otherwise. What never ends is ended by who runs the test. */
enum { SLOTS = 3, GRACE_MS = 2000 /* between SIGTERM and SIGKILL */ };

static struct clock_fake fake;
static struct loop loop;
static struct epoll_event found[8];
static struct child slots[SLOTS];
static struct children children;
static char output[4096];
static struct child_result result;
static int done_calls;
static const char *const environment[] = {"PATH=/bin:/usr/bin", "NEFIA_TYPE=disk.usage", NULL};

static void on_signal(void *arg, int signo)
{
    (void)arg;
    if (signo == SIGCHLD)
        children_reap(&children);
}

static void setup(void)
{
    clock_fake_init(&fake, 1000, 0);
    if (loop.clock)
        loop_end(&loop);
    loop_init(&loop, &fake.clock, found, 8);
    loop_on_signal(&loop, on_signal, NULL);
    children_init(&children, &loop, slots, SLOTS);
    memset(output, 0, sizeof output);
    memset(&result, 0, sizeof result);
    done_calls = 0;
}

static void on_done(void *arg, const struct child_result *r)
{
    (void)arg;
    result = *r;
    done_calls++;
}

/** Turn the loop until that many children are done. */
static void wait_done(int calls)
{
    while (done_calls < calls)
        CHECK_INT(loop_turn(&loop, -1), 0);
}

static struct child_spec shell(const char *script, uint64_t deadline_ms)
{
    static const char *argv[4] = {"/bin/sh", "-c", NULL, NULL};

    argv[2] = script;
    return (struct child_spec){.argv = argv,
                               .envp = environment,
                               .output = output,
                               .output_cap = sizeof output,
                               .deadline_ms = deadline_ms};
}

static void start_spec(const struct child_spec *spec)
{
    setup();
    REQUIRE(child_start(&children, spec, on_done, NULL) >= 0);
    CHECK_INT(children.running, 1);
}

static void end_spec(void)
{
    wait_done(1);
    CHECK_INT(done_calls, 1);
    CHECK_INT(children.running, 0);
    CHECK_INT(loop.watches, 0);
    CHECK(loop.first_timer == NULL);
}

static void run_spec(const struct child_spec *spec)
{
    start_spec(spec);
    end_spec();
}

static void run_shell(const char *script, uint64_t deadline_ms)
{
    struct child_spec spec = shell(script, deadline_ms);

    run_spec(&spec);
}

TEST(output_and_exit_code)
{
    run_shell("echo out; echo err >&2; exit 3", 20000);
    CHECK_INT(result.exit_code, 3);
    CHECK_INT(result.signal, 0);
    CHECK(!result.timed_out);
    CHECK_STR(output, "out\nerr\n");
    CHECK_INT(result.output_len, 8);
    CHECK_INT(result.output_total, 8);
}

TEST(environment_and_stdin)
{
    run_shell("cat; echo $NEFIA_TYPE", 20000);
    CHECK_STR(output, "disk.usage\n");
}

TEST(verbose_child_is_read_to_the_end)
{
    run_shell("dd if=/dev/zero bs=65536 count=160 2>/dev/null | tr '\\0' x; echo end >&2", 50000);
    CHECK_INT(result.exit_code, 0);
    CHECK_INT(result.output_len, sizeof output);
    CHECK_INT(result.output_total, 160 * 65536 + 4);
    CHECK_INT(output[0], 'x');
    CHECK_INT(output[sizeof output - 1], 'x');
}

TEST(output_without_a_buffer)
{
    struct child_spec spec = shell("echo hello", 20000);

    spec.output = NULL;
    spec.output_cap = 0;
    run_spec(&spec);
    CHECK_INT(result.output_len, 0);
    CHECK_INT(result.output_total, 6);
}

TEST(endless_child_ends_at_its_deadline)
{
    struct child_spec spec = shell("exec sleep 3600", 100);

    start_spec(&spec);
    fake.now_ms += 99;
    CHECK_INT(loop_turn(&loop, 0), 0);
    CHECK_INT(children.running, 1);
    fake.now_ms += 1;
    end_spec();
    CHECK(result.timed_out);
    CHECK_INT(result.signal, SIGTERM);
    CHECK_INT(result.exit_code, 128 + SIGTERM);
    CHECK_INT(result.duration_ms, 100);
}

TEST(child_that_ignores_sigterm_is_killed)
{
    struct child_spec spec = shell("trap '' TERM; echo on; while :; do sleep 1; done", 200);

    start_spec(&spec);
    while (output[0] == '\0')
        CHECK_INT(loop_turn(&loop, -1), 0);
    fake.now_ms += 200;
    CHECK_INT(loop_turn(&loop, 0), 0);
    fake.now_ms += GRACE_MS;
    end_spec();
    CHECK(result.timed_out);
    CHECK_INT(result.signal, SIGKILL);
    CHECK_INT(result.duration_ms, 200 + GRACE_MS);
}

TEST(child_killed_by_a_signal)
{
    run_shell("kill -9 $$", 20000);
    CHECK(!result.timed_out);
    CHECK_INT(result.signal, SIGKILL);
    CHECK_INT(result.exit_code, 137);
}

/** The process number a script printed first. */
static pid_t printed_pid(void)
{
    uint64_t pid = 0;

    CHECK_INT(parse_u64(output, strcspn(output, "\n"), &pid), 0);
    return (pid_t)pid;
}

TEST(background_process_does_not_block)
{
    run_shell("sleep 3600 & echo $!", 20000);
    CHECK_INT(result.exit_code, 0);
    /* Its group was killed with it: it is gone or waits for init to collect it. */
    while (kill(printed_pid(), 0) == 0) {
        char stat[64] = "";
        struct text path;
        text_init(&path, stat, sizeof stat);
        text_str(&path, "/proc/");
        text_i64(&path, printed_pid());
        text_str(&path, "/stat");
        int fd = open(stat, O_RDONLY | O_CLOEXEC);
        char line[64] = "";
        if (fd >= 0)
            CHECK(read(fd, line, sizeof line - 1) >= 0);
        close(fd);
        if (fd < 0 || strstr(line, ") Z") || strstr(line, ") X"))
            return;
        poll(NULL, 0, 10);
    }
}

TEST(daemonised_descendant_does_not_block)
{
    run_shell("setsid sleep 3600 & echo $!; sleep 0.1", 20000);
    CHECK_INT(result.exit_code, 0);
    if (printed_pid() > 1)
        kill(printed_pid(), SIGKILL);
}

/** Not in builds without it, nor under an emulator that does not pass the call on. */
static bool adopts(void)
{
    int on = 0;

    if (!IS_ENABLED(CONFIG_SURVIVORS))
        return false;
    setup();
    return prctl(PR_GET_CHILD_SUBREAPER, &on, 0, 0, 0) == 0 && on;
}

/** What leaves its command's group is reported, once, and not ended; when it ends it is reaped. */
TEST(survivors_are_reported_and_not_ended)
{
    static const char loiter[] =
        "p=$(setsid sh -c 'echo $$; exec sleep 3600 >/dev/null 2>&1' &); "
        "until [ \"$(cat /proc/$p/comm)\" = sleep ]; do :; done; echo $p; "
        "sleep 3600 >/dev/null 2>&1 & :"; /* the latter stays in the group and ends with it */
    char said[256], want[128];
    struct text t;
    int log[2];

    if (!adopts())
        return;
    REQUIRE(pipe2(log, O_NONBLOCK) == 0);
    log_init("test", LOG_LEVEL_WARN);
    log_to_fd(log[1]);
    struct child_spec spec = shell(loiter, 20000);
    static const char *const with_rule[] = {"PATH=/bin:/usr/bin", "NEFIA_RULE=r", NULL};
    spec.envp = with_rule;
    run_spec(&spec);
    const pid_t left = printed_pid();
    ssize_t n = read(log[0], said, sizeof said - 1);
    said[n > 0 ? n : 0] = '\0';
    text_init(&t, want, sizeof want);
    text_str(&t, "test: warning: rule r ended and left running: sleep (");
    text_i64(&t, left);
    text_str(&t, ")\n");
    CHECK_STR(said, want);
    spec = shell("echo another", 20000); /* without another setup: it is known */
    CHECK(child_start(&children, &spec, on_done, NULL) >= 0);
    wait_done(2);
    n = read(log[0], said, sizeof said - 1);
    said[n > 0 ? n : 0] = '\0';
    CHECK_STR(said, "");
    REQUIRE(left > 1 && kill(left, SIGKILL) == 0);
    while (kill(left, 0) == 0)
        loop_turn(&loop, -1);
    CHECK_INT(errno, ESRCH);
    CHECK_INT(children.survivors[0], 0);
    log_to_fd(STDERR_FILENO);
    close(log[0]);
    close(log[1]);
}

/** More than are remembered are not reported again and again. */
TEST(many_survivors_do_not_fill_the_log)
{
    static const char loiter[] =
        "p=$(setsid sh -c 'echo $$; exec sleep 3600 >/dev/null 2>&1' &); "
        "until [ \"$(cat /proc/$p/comm)\" = sleep ]; do :; done; echo $p";
    char said[256] = "";
    int log[2];

    if (!adopts())
        return;
    for (unsigned i = 0; i < SURVIVORS_KNOWN; i++)
        children.survivors[i] = 1; /* nobody's child */
    REQUIRE(pipe2(log, O_NONBLOCK) == 0);
    log_init("test", LOG_LEVEL_WARN);
    log_to_fd(log[1]);
    struct child_spec spec = shell(loiter, 20000);
    CHECK(child_start(&children, &spec, on_done, NULL) >= 0);
    wait_done(1);
    const pid_t left = printed_pid();
    CHECK(read(log[0], said, sizeof said - 1) > 0);
    CHECK(strstr(said, "more processes running than 8") != NULL);
    spec = shell("echo another", 20000);
    CHECK(child_start(&children, &spec, on_done, NULL) >= 0);
    wait_done(2);
    CHECK(read(log[0], said, sizeof said) < 0);
    children.survivors[0] = 0; /* one has ended */
    CHECK(child_start(&children, &spec, on_done, NULL) >= 0);
    wait_done(3);
    CHECK_INT(children.survivors[0], left);
    CHECK(read(log[0], said, sizeof said) > 0);
    REQUIRE(left > 1 && kill(left, SIGKILL) == 0);
    while (kill(left, 0) == 0)
        loop_turn(&loop, -1);
    CHECK(!children.more_reported);
    log_to_fd(STDERR_FILENO);
    close(log[0]);
    close(log[1]);
}

TEST(child_may_close_its_output)
{
    run_shell("echo a; exec >/dev/null 2>&1; sleep 0.2; exit 4", 20000);
    CHECK_INT(result.exit_code, 4);
    CHECK_STR(output, "a\n");
}

TEST(missing_program)
{
    static const char *const argv[] = {"/nonexistent/program", NULL};
    struct child_spec spec = shell("", 20000);

    spec.argv = argv;
    run_spec(&spec);
    CHECK_INT(result.exit_code, 127);
    CHECK_STR(output, "cannot run /nonexistent/program: No such file or directory\n");
}

TEST(incomplete_specs_are_refused)
{
    static const char *const relative[] = {"sh", NULL};
    struct child_spec spec = shell("", 0);

    setup();
    CHECK_INT(child_start(&children, &spec, on_done, NULL), NEFIA_EINVAL);
    spec.deadline_ms = 1;
    spec.argv = relative;
    CHECK_INT(child_start(&children, &spec, on_done, NULL), NEFIA_EINVAL);
    spec.argv = NULL;
    CHECK_INT(child_start(&children, &spec, on_done, NULL), NEFIA_EINVAL);
    CHECK_INT(children.running, 0);
}

static int count_descriptors(void)
{
    int n = 0;

    for (int fd = 0; fd < 256; fd++)
        n += fcntl(fd, F_GETFD) >= 0;
    return n;
}

static int look_around(void *arg)
{
    const char *word = arg;
    struct rlimit core, cpu;
    sigset_t mask;
    struct sigaction pipe_action;

    getrlimit(RLIMIT_CORE, &core);
    getrlimit(RLIMIT_CPU, &cpu);
    sigprocmask(SIG_SETMASK, NULL, &mask);
    sigaction(SIGPIPE, NULL, &pipe_action);
    check_puts(word);
    check_puts(count_descriptors() == 3 ? " fds" : " FDS");
    check_puts(core.rlim_cur == 0 ? " core" : " CORE");
    check_puts(cpu.rlim_cur <= 41 ? " cpu" : " CPU");
    check_puts(sigismember(&mask, SIGTERM) == 0 ? " mask" : " MASK");
    check_puts(pipe_action.sa_handler == SIG_DFL ? " pipe" : " PIPE");
    check_puts(getsid(0) == getpid() ? " session" : " SESSION");
    check_puts(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 ? " privs" : " PRIVS");
    return 300;
}

TEST(function_instead_of_a_program)
{
    struct child_spec spec = shell("", 20000);
    int leaked = dup(STDOUT_FILENO);

    spec.argv = NULL;
    spec.run = look_around;
    spec.run_arg = "word";
    run_spec(&spec);
    close(leaked);
    CHECK_INT(result.exit_code, 300 & 0xFF);
    CHECK_STR(output, "word fds core cpu mask pipe session privs");
}

/** The log's descriptor was closed with all others: its number may have been reused. */
static int log_beside_descriptors(void *arg)
{
    int last = -1;

    (void)arg;
    while (last < 32)
        last = open("/dev/null", O_RDONLY);
    LOG_INFO("one");
    LOG_INFO("two");
    for (int fd = 3; fd <= last; fd++) {
        struct stat st;
        if (fstat(fd, &st) < 0 || !S_ISCHR(st.st_mode))
            return 1;
    }
    return 0;
}

TEST(log_of_a_function_is_sent_to_the_pipe)
{
    struct child_spec spec = shell("", 20000);

    spec.argv = NULL;
    spec.run = log_beside_descriptors;
    log_init("test", LOG_LEVEL_INFO);
    log_to_syslog();
    LOG_INFO("opens the way to the syslogd");
    run_spec(&spec);
    log_to_fd(STDERR_FILENO);
    CHECK_INT(result.exit_code, 0);
    CHECK_STR(output, "test: one\ntest: two\n");
}

/** The limit of open descriptors, so that `left` more can be opened. */
static struct rlimit leave(unsigned left)
{
    struct rlimit before, tight;
    int next = dup(STDOUT_FILENO);

    close(next);
    getrlimit(RLIMIT_NOFILE, &before);
    tight = (struct rlimit){.rlim_cur = (rlim_t)next + left, .rlim_max = before.rlim_max};
    setrlimit(RLIMIT_NOFILE, &tight);
    return before;
}

/** A child is set up with the descriptors of its pipe alone. */
TEST(the_last_descriptors_suffice_for_a_child)
{
    struct child_spec spec = shell("cat; echo kept", 20000);

    for (unsigned i = 0; i < 2; i++) {
        spec.input = i == 0 ? NULL : "given ";
        spec.input_len = i == 0 ? 0 : 6;
        struct rlimit before = leave(i == 0 ? 2 : 4);
        run_spec(&spec);
        setrlimit(RLIMIT_NOFILE, &before);
        CHECK_INT(result.exit_code, 0);
        CHECK_STR(output, i == 0 ? "kept\n" : "given kept\n");
    }
    struct rlimit before = leave(1);
    CHECK_INT(child_start(&children, &spec, NULL, NULL), NEFIA_EIO);
    CHECK_INT(errno, EMFILE);
    setrlimit(RLIMIT_NOFILE, &before);
}

TEST(descriptors_are_allowed_up_to_the_hard_limit)
{
    struct rlimit before, now;

    getrlimit(RLIMIT_NOFILE, &before);
    pid_t pid = fork(); /* a hard limit is for good */
    if (pid == 0) {
        now = (struct rlimit){20, 40};
        setrlimit(RLIMIT_NOFILE, &now);
        bool good = descriptors_allow(10) == 10 && descriptors_allow(30) == 30;
        getrlimit(RLIMIT_NOFILE, &now);
        good = good && now.rlim_cur == 30 && now.rlim_max == 40;
        good = good && descriptors_allow(50) == 40;
        getrlimit(RLIMIT_NOFILE, &now);
        _exit(good && now.rlim_cur == 40 && now.rlim_max == 40 ? 0 : 1);
    }
    int status = -1;
    CHECK_INT(waitpid(pid, &status, 0), pid);
    CHECK_INT(status, 0);
}

static char big_input[300000];

TEST(input_is_fed)
{
    struct child_spec spec = shell("tr a b | tail -c 5; echo; echo done", 30000);

    memset(big_input, 'a', sizeof big_input);
    spec.input = big_input;
    spec.input_len = sizeof big_input;
    run_spec(&spec);
    CHECK_STR(output, "bbbbb\ndone\n");
    spec = shell("wc -c | tr -d ' '", 30000);
    spec.input = "";
    run_spec(&spec);
    CHECK_STR(output, "0\n");
}

TEST(unread_input)
{
    struct child_spec spec = shell("exec <&-; echo deaf; sleep 0.1", 30000);

    spec.input = big_input;
    spec.input_len = sizeof big_input;
    run_spec(&spec);
    CHECK_INT(result.exit_code, 0);
    CHECK_STR(output, "deaf\n");
}

TEST(slots_run_side_by_side)
{
    struct child_spec spec = shell("sleep 0.2", 30000);

    setup();
    for (int i = 0; i < SLOTS; i++)
        CHECK_INT(child_start(&children, &spec, on_done, NULL), i);
    CHECK_INT(child_start(&children, &spec, on_done, NULL), NEFIA_EFULL);
    wait_done(SLOTS);
    CHECK_INT(children.running, 0);
    CHECK(child_start(&children, &spec, on_done, NULL) >= 0);
    wait_done(SLOTS + 1);
}

TEST(full_loop_starts_no_child)
{
    struct child_spec spec = shell("sleep 5", 30000);

    setup();
    loop.capacity = 1;
    spec.input = "x";
    spec.input_len = 1;
    CHECK_INT(child_start(&children, &spec, on_done, NULL), NEFIA_EFULL);
    CHECK_INT(loop.watches, 0);
    CHECK_INT(children.running, 0);
}

static void start_next(void *arg, const struct child_result *r)
{
    struct child_spec spec = shell("echo second", 20000);

    (void)arg, (void)r;
    CHECK_INT(children.running, 0);
    CHECK_INT(child_start(&children, &spec, on_done, NULL), 0);
}

TEST(done_may_start_the_next)
{
    struct child_spec spec = shell("echo first", 20000);

    setup();
    CHECK_INT(child_start(&children, &spec, start_next, NULL), 0);
    wait_done(1);
    CHECK_STR(output, "second\n");
}

TEST(cancelled_child_makes_no_callback)
{
    struct child_spec spec = shell("sleep 600", 700000);
    int owner;

    setup();
    child_cancel(&children, &owner);
    CHECK_INT(child_start(&children, &spec, on_done, &owner), 0);
    child_cancel(&children, &owner);
    child_cancel(&children, &owner);
    CHECK_INT(loop.watches, 0);
    while (children.running > 0)
        loop_turn(&loop, -1);
    CHECK_INT(done_calls, 0);
}

TEST(kill_all_leaves_none)
{
    struct child_spec spec = shell("trap '' TERM HUP INT; while :; do sleep 1; done", 700000);

    setup();
    for (int i = 0; i < SLOTS; i++)
        CHECK(child_start(&children, &spec, on_done, NULL) >= 0);
    children_kill_all(&children);
    CHECK_INT(children.running, 0);
    CHECK_INT(done_calls, 0);
    CHECK_INT(loop.watches, 0);
    if (IS_ENABLED(CONFIG_SURVIVORS)) /* what was in their groups has become ours, and is ending */
        while (waitpid(-1, NULL, 0) > 0)
            ;
    CHECK_INT(waitpid(-1, NULL, WNOHANG), -1);
    CHECK_INT(errno, ECHILD);
}

TEST_MAIN(output_and_exit_code, environment_and_stdin, verbose_child_is_read_to_the_end,
          output_without_a_buffer, endless_child_ends_at_its_deadline,
          child_that_ignores_sigterm_is_killed, child_killed_by_a_signal,
          background_process_does_not_block, daemonised_descendant_does_not_block,
          survivors_are_reported_and_not_ended, many_survivors_do_not_fill_the_log, child_may_close_its_output, missing_program,
          incomplete_specs_are_refused, function_instead_of_a_program,
          log_of_a_function_is_sent_to_the_pipe, the_last_descriptors_suffice_for_a_child,
          descriptors_are_allowed_up_to_the_hard_limit,
          input_is_fed, unread_input, slots_run_side_by_side, full_loop_starts_no_child,
          done_may_start_the_next, cancelled_child_makes_no_callback, kill_all_leaves_none)
