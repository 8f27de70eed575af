/* The helper is a process of its own, and so is each that asks it; the init script that it runs is a file of a fake root. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fake_root.h"
#include "nefia/ops/helper.h"
#include "nefia/sys/log.h"
#include "nefia/sys/privileges.h"
#include "nefia/sys/seccomp.h"
#include "op_fixture.h"

/** As helper.c has it. */
struct request {
    uint8_t kind, verb;
    uint32_t timeout_ms;
    char name[OP_NAME_MAX + 1];
};

int execve(const char *path, char *const argv[], char *const env[])
{
    return (int)syscall(SYS_execve, fake_root_of(path), argv, env);
}

static struct helper helper;
static char helper_work[HELPER_OUTPUT];
static bool strict; /* the helper's policy has been read again */

static struct verdict judge(void *arg, const struct policy_case *c)
{
    const char *denied = *(const bool *)arg ? "service a " : "service b ";

    if (!c->command || str_eq(c->host, "r1") == false || strncmp(c->command, denied, strlen(denied)) == 0)
        return (struct verdict){.kind = VERDICT_DENIED, .reason = "is not for us"};
    return (struct verdict){.kind = VERDICT_ALLOWED};
}

/** In the helper's process. */
static bool reload(struct helper_setup *s)
{
    *(bool *)s->place.guard.arg = true;
    return true;
}

static void put_script(const char *name, const char *script)
{
    char path[256];

    snprintf(path, sizeof path, "/etc/init.d/%s", name);
    fake_root_put(path, script);
    snprintf(path, sizeof path, "%s/etc/init.d/%s", fake_root_dir, name);
    CHECK(chmod(path, 0755) == 0);
}

static void begin(void)
{
    struct helper_setup setup = {
        .place = {.guard = {judge, &strict}, .host = "r1", .work = helper_work, .work_cap = sizeof helper_work},
        .user = geteuid(),
        .reload = reload,
    };

    fake_root_begin();
    fake_root_put("/dev/null", "");
    put_script("S50a", "#!/bin/sh\necho \"$1 of a by $PPID\"\nexit 3\n");
    put_script("b", "#!/bin/sh\necho b\n");
    memset(&helper, 0, sizeof helper);
    REQUIRE(helper_start(&helper, &setup) == 0);
}

static void end(void)
{
    if (helper.fd > 0)
        close(helper.fd);
    fake_root_end();
}

static struct op_place place = {.work = work, .work_cap = sizeof work};

static void ask(const char *name, const char *verb)
{
    char line[256];

    place.helper = helper.fd;
    snprintf(line, sizeof line, "{\"service\":{\"name\":\"%s\",\"verb\":\"%s\"}}", name, verb);
    carry_out(&place, line);
}

static pid_t helper_pid(void)
{
    ask("a", "start");
    const char *by = strstr(output, " by ");

    return by ? (pid_t)strtol(by + 4, NULL, 10) : -1;
}

/** Ended; it may still wait for init to notice. */
static bool is_gone(pid_t pid)
{
    char path[64], state[256] = "";

    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    const int fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDONLY, 0);
    if (fd < 0)
        return true;
    const ssize_t n = read(fd, state, sizeof state - 1);
    close(fd);
    return n <= 0 || strstr(state, ") Z ") != NULL;
}

static void wait_gone(pid_t pid)
{
    while (!is_gone(pid))
        poll(NULL, 0, 10);
}

TEST(a_service_is_told)
{
    char expected[64];

    begin();
    const pid_t pid = helper_pid();
    CHECK(pid > 1 && pid != getpid());
    ask("a", "restart");
    CHECK_INT(result.exit_code, 3);
    snprintf(expected, sizeof expected, "restart of a by %d\n", (int)pid);
    CHECK_STR(output, expected);
    end();
    wait_gone(pid);
}

TEST(its_own_policy_decides)
{
    begin();
    ask("b", "stop");
    CHECK_INT(result.exit_code, OP_DENIED);
    CHECK_STR(output, "b: denied: is not for us\n");
    helper_reload(&helper);
    ask("a", "stop");
    CHECK_INT(result.exit_code, OP_DENIED);
    ask("b", "reload");
    CHECK_INT(result.exit_code, 0);
    CHECK_STR(output, "b\n");
    ask("c", "start");
    CHECK_INT(result.exit_code, OP_FAILED);
    CHECK_STR(output, "c: no such service\n");
    end();
}

/** Its descriptor for the answer, if fds > 0, and others. */
static void send_raw(const void *bytes, size_t len, const int *fds, size_t count)
{
    struct iovec part = {(void *)(uintptr_t)bytes, len};
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(4 * sizeof(int))];
    } control;
    struct msghdr m = {.msg_iov = &part, .msg_iovlen = 1};

    memset(&control, 0, sizeof control);
    if (count > 0) {
        m.msg_control = &control;
        m.msg_controllen = (socklen_t)CMSG_LEN(count * sizeof(int));
        control.align = (struct cmsghdr){.cmsg_len = m.msg_controllen, .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
        memcpy(CMSG_DATA(&control.align), fds, count * sizeof(int));
    }
    CHECK(sendmsg(helper.fd, &m, MSG_NOSIGNAL) == (ssize_t)len);
}

/** Does the kernel say so when it brings more descriptors than there is room for? An emulator need not. */
static bool tells_of_cut_descriptors(void)
{
    int ends[2];
    char byte = 'x';
    struct iovec part = {&byte, 1};
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int))];
    } room;
    struct msghdr m = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = &room, .msg_controllen = CMSG_LEN(sizeof(int))};
    const int saved = helper.fd;

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
        return false;
    helper.fd = ends[0];
    send_raw(&byte, 1, (const int[]){ends[0], ends[1]}, 2);
    helper.fd = saved;
    const bool told = recvmsg(ends[1], &m, MSG_CMSG_CLOEXEC) == 1 && (m.msg_flags & MSG_CTRUNC);
    close(ends[0]);
    close(ends[1]);
    return told;
}

/** It is dropped: the helper lets go of the descriptor, without a byte. */
static void ignored(const struct request *r, size_t len, int type, unsigned copies)
{
    char byte;
    int ends[2], given[4];

    REQUIRE(socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, ends) == 0);
    for (unsigned i = 0; i < copies; i++)
        given[i] = ends[1];
    send_raw(r, len, given, copies);
    close(ends[1]);
    if (copies > 0)
        CHECK_INT(recv(ends[0], &byte, 1, 0), 0);
    close(ends[0]);
}

TEST(nothing_else_can_be_asked)
{
    const struct request good = {.kind = 1, .verb = OP_START, .timeout_ms = 1000, .name = "a"};
    struct request r = good;
    char longer[sizeof good + 1];
    int pipes[2];

    begin();
    memset(longer, 0, sizeof longer);
    memcpy(longer, &good, sizeof good);
    ignored((const void *)longer, sizeof longer, SOCK_SEQPACKET, 1);
    ignored(&good, sizeof good - 1, SOCK_SEQPACKET, 1);
    ignored(&good, 1, SOCK_SEQPACKET, 1);
    if (tells_of_cut_descriptors()) {
        ignored(&good, sizeof good, SOCK_SEQPACKET, 2);
        ignored(&good, sizeof good, SOCK_SEQPACKET, 4);
    }
    ignored(&good, sizeof good, SOCK_SEQPACKET, 0);
    ignored(&good, sizeof good, SOCK_STREAM, 1);
    r.kind = 2; /* a reload has no answer */
    ignored(&r, sizeof r, SOCK_SEQPACKET, 1);
    r.kind = 0;
    ignored(&r, sizeof r, SOCK_SEQPACKET, 1);
    r = good;
    r.verb = OP_RELOAD + 1;
    ignored(&r, sizeof r, SOCK_SEQPACKET, 1);
    r = good;
    r.timeout_ms = 0;
    ignored(&r, sizeof r, SOCK_SEQPACKET, 1);
    r.timeout_ms = OP_TIMEOUT_MAX_MS + 1;
    ignored(&r, sizeof r, SOCK_SEQPACKET, 1);
    r = good;
    strcpy(r.name, "../a");
    ignored(&r, sizeof r, SOCK_SEQPACKET, 1);
    memset(r.name, 'a', sizeof r.name);
    ignored(&r, sizeof r, SOCK_SEQPACKET, 1);
    r.name[0] = '\0';
    ignored(&r, sizeof r, SOCK_SEQPACKET, 1);
    REQUIRE(pipe(pipes) == 0);
    send_raw(&good, sizeof good, &pipes[1], 1);
    close(pipes[1]);
    CHECK_INT(read(pipes[0], longer, 1), 0);
    close(pipes[0]);
    ask("a", "reload"); /* it lives, and has not read a policy again */
    CHECK_INT(result.exit_code, 3);
    end();
}

TEST(who_does_not_wait_any_more_gets_nothing_done)
{
    const struct request r = {.kind = 1, .verb = OP_START, .timeout_ms = 60000, .name = "d"};
    int ends[2];

    begin();
    put_script("d", "#!/bin/sh\ntouch \"${0%/*}/../done\"\n");
    REQUIRE(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) == 0);
    close(ends[0]);
    send_raw(&r, sizeof r, &ends[1], 1);
    close(ends[1]);
    ask("a", "start");
    CHECK_INT(result.exit_code, 3);
    CHECK_INT(access("/etc/init.d/../done", F_OK), -1);
    ask("d", "start");
    CHECK_INT(access("/etc/init.d/../done", F_OK), 0);
    end();
}

TEST(a_flood_is_refused)
{
    const struct request r = {.kind = 2};

    begin();
    for (unsigned i = 0; i < HELPER_RATE; i++)
        send_raw(&r, sizeof r, NULL, 0);
    ask("b", "start");
    CHECK_INT(result.exit_code, OP_FAILED);
    CHECK_STR(output, "b: too many requests in this minute\n");
    end();
}

TEST(a_deadline)
{
    begin();
    put_script("slow", "#!/bin/sh\necho began\nexec sleep 3600\n");
    const struct request r = {.kind = 1, .verb = OP_STOP, .timeout_ms = 50, .name = "slow"};
    char answer[64];
    int ends[2];

    REQUIRE(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) == 0);
    send_raw(&r, sizeof r, &ends[1], 1);
    const ssize_t n = recv(ends[0], answer, sizeof answer, 0);
    CHECK_INT(n, 8);
    CHECK_INT((unsigned char)answer[1], 128 + SIGTERM);
    close(ends[0]);
    close(ends[1]);
    end();
}

TEST(the_daemon_notices_its_end)
{
    begin();
    if (loop.clock)
        loop_end(&loop);
    loop_init(&loop, &clock_system, found, 8);
    const pid_t pid = helper_pid();
    REQUIRE(pid > 1);
    CHECK(kill(pid, SIGTERM) == 0 && kill(pid, SIGHUP) == 0); /* it ends with the daemon */
    CHECK_INT(helper_pid(), pid);
    if (loop.clock)
        loop_end(&loop);
    loop_init(&loop, &clock_system, found, 8);
    helper_watch(&helper, &loop);
    CHECK_INT(loop.watches, 1);
    CHECK(kill(pid, SIGKILL) == 0);
    while (helper.fd > 0)
        loop_turn(&loop, 1000);
    CHECK_INT(loop.watches, 0);
    helper_reload(&helper);
    ask("a", "start");
    CHECK_INT(result.exit_code, OP_FAILED);
    CHECK_STR(output, "a: the helper for services does not answer; restart the program that it is of\n");
    end();
}

/** A daemon that has given up what it can: what its helper starts has all of it. As root, also another user. */
TEST(what_it_starts_has_no_restrictions)
{
    static const char script[] =
        "#!/bin/sh\n(setsid sh -c 'echo $$; exec sleep 3600' &) | { read -r pid; "
        "grep -E '^(Uid|NoNewPrivs|Seccomp):' /proc/$pid/status; "
        "grep -E 'Max (cpu time|core)' /proc/$pid/limits | tr -s ' ' | cut -d ' ' -f 1-4; kill -9 $pid; }\n";
    struct privileges user = {.name = geteuid() == 0 ? "64123" : NULL, .uid = 64123, .gid = 64124};
    const struct privileges_needs needs = {0};
    char why_buf[256], expected[256], path[1100];
    int status = -1;

    struct helper_setup setup = {
        .place = {.guard = {judge, &strict}, .host = "r1", .work = helper_work, .work_cap = sizeof helper_work},
        .user = geteuid() == 0 ? user.uid : geteuid(),
        .reload = reload,
    };
    fake_root_begin();
    fake_root_put("/dev/null", "");
    put_script("real", script);
    for (unsigned i = 0; i < 3; i++) { /* another user has to open it */
        snprintf(path, sizeof path, "%s%s", fake_root_dir, i == 0 ? "" : i == 1 ? "/dev" : "/dev/null");
        CHECK(chmod(path, 0755) == 0);
    }
    const uid_t uid = geteuid();
    const pid_t daemon = fork();
    if (daemon == 0) {
        memset(&helper, 0, sizeof helper);
        text_init(&why, why_buf, sizeof why_buf);
        if (helper_start(&helper, &setup) < 0 || privileges_drop(&user, &needs, &why) < 0)
            _exit(2);
        (void)seccomp_commands();
        ask("real", "restart");
        snprintf(expected, sizeof expected, "Uid:\t%d\t%d\t%d\t%d\nNoNewPrivs:\t0\nSeccomp:\t0\n", uid, uid, uid, uid);
        CHECK(strncmp(output, expected, strlen(expected)) == 0);
        CHECK(strstr(output, "Max cpu time unlimited") != NULL);
        if (check_failures)
            check_puts(output);
        _exit(check_failures > 0);
    }
    CHECK(waitpid(daemon, &status, 0) == daemon);
    CHECK_INT(status, 0);
    fake_root_end();
}

TEST_MAIN(a_service_is_told, its_own_policy_decides, nothing_else_can_be_asked, who_does_not_wait_any_more_gets_nothing_done,
          a_flood_is_refused, a_deadline, the_daemon_notices_its_end, what_it_starts_has_no_restrictions)
