#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "check.h"
#include "nefia/base/err.h"
#include "nefia/sys/command.h"

static char output[64];
static struct command command;

static void run(const char *script, uint64_t deadline_ms)
{
    const char *argv[] = {"/bin/sh", "-c", script, NULL};

    memset(output, 0, sizeof output);
    command = (struct command){.deadline_ms = deadline_ms, .output = output, .output_cap = sizeof output - 1};
    CHECK_INT(command_run(argv, &command), 0);
}

TEST(output_and_exit_status)
{
    run("echo out; echo err >&2; exit 3", 60000);
    CHECK_STR(output, "out\nerr\n");
    CHECK_INT(command.output_len, 8);
    CHECK_INT(command.exit_code, 3);
    CHECK(!command.timed_out);
    run("kill -9 $$", 60000);
    CHECK_INT(command.exit_code, 128 + SIGKILL);
    run("cat", 60000); /* its standard input is empty */
    CHECK_INT(command.exit_code, 0);
}

TEST(what_is_too_much_is_dropped)
{
    run("dd if=/dev/zero bs=4096 count=100 2>/dev/null | tr '\\0' x; exit 4", 60000);
    CHECK_INT(command.output_len, sizeof output - 1);
    CHECK_INT(strspn(output, "x"), sizeof output - 1);
    CHECK_INT(command.exit_code, 4);
}

TEST(it_ends_at_its_deadline)
{
    run("echo a; exec sleep 3600", 50);
    CHECK(command.timed_out);
    CHECK_STR(output, "a\n");
    CHECK_INT(command.exit_code, 128 + SIGTERM);
    run("trap '' TERM; echo b; while :; do sleep 1; done", 50);
    CHECK(command.timed_out);
    CHECK_INT(command.exit_code, 128 + SIGKILL);
}

/** A service that keeps the pipe is not waited for, and not ended. */
TEST(what_it_started_lives_on)
{
    char *end;

    run("sleep 3600 & echo $!", 60000);
    CHECK_INT(command.exit_code, 0);
    CHECK(!command.timed_out);
    long pid = 0;
    for (end = output; *end >= '0' && *end <= '9'; end++)
        pid = pid * 10 + (*end - '0');
    REQUIRE(pid > 1 && *end == '\n');
    CHECK_INT(kill((pid_t)pid, 0), 0);
    CHECK_INT(kill((pid_t)pid, SIGKILL), 0);
}

TEST(nothing_of_ours_is_inherited)
{
    sigset_t blocked;
    const int fd = open("/dev/null", O_RDONLY);

    signal(SIGHUP, SIG_IGN);
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGUSR1);
    sigprocmask(SIG_BLOCK, &blocked, NULL);
    CHECK(fd > 2);
    run("env | grep -v -e ^PATH= -e ^PWD= -e ^SHLVL= -e ^_= -e ^OLDPWD=; ls /proc/self/fd | wc -l; "
        "[ \"$(cut -d ' ' -f 6 /proc/self/stat)\" = $$ ] && echo session", 60000);
    CHECK_STR(output, "4\nsession\n");
    run("kill -HUP $$; echo ignored", 60000);
    CHECK_INT(command.exit_code, 128 + SIGHUP);
    run("kill -USR1 $$; echo blocked", 60000);
    CHECK_INT(command.exit_code, 128 + SIGUSR1);
    sigprocmask(SIG_UNBLOCK, &blocked, NULL);
    signal(SIGHUP, SIG_DFL);
    close(fd);
}

TEST(a_program_that_is_not_there)
{
    const char *argv[] = {"/nonexistent", NULL};

    command = (struct command){.deadline_ms = 60000};
    CHECK_INT(command_run(argv, &command), 0);
    CHECK_INT(command.exit_code, 127);
}

TEST_MAIN(output_and_exit_status, what_is_too_much_is_dropped, it_ends_at_its_deadline, what_it_started_lives_on,
          nothing_of_ours_is_inherited, a_program_that_is_not_there)
