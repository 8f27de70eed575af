#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "nefia/control/control.h"
#include "nefia/base/err.h"
#include "nefia/json/json.h"
#include "nefia/sys/log.h"

enum { CLIENTS = 3, MANY = 5000, TURNS = 20000 };

static struct clock_fake fake;
static struct loop loop;
static struct epoll_event found[16];
static struct control_server server;
static struct control_client clients[CLIENTS];
static char directory[64], path[96];
static char why_buf[256];
static struct text why;
static char emitted[CONFIG_CONTROL_LINE_BYTES];
static uint64_t newest; /* newest record for `follow` */

static int begin_count(void *arg, struct control_cursor *c, const char *args, struct text *reason)
{
    uint64_t n;

    (void)arg;
    if (parse_u64(args, strlen(args), &n) < 0) {
        text_str(reason, "how many? \"");
        text_str(reason, args);
        text_str(reason, "\" is no number");
        c->exit = 2;
        return NEFIA_EINVAL;
    }
    c->seq = n;
    return 0;
}

static int put_number(struct text *out, uint64_t n)
{
    struct json_writer w;

    json_begin(&w, out);
    json_object(&w, NULL);
    json_put_u64(&w, "n", n);
    json_end_object(&w);
    return 1;
}

static int produce_count(void *arg, struct control_cursor *c, struct text *out)
{
    (void)arg;
    return c->index == c->seq ? 0 : put_number(out, ++c->index);
}

static int produce_follow(void *arg, struct control_cursor *c, struct text *out)
{
    (void)arg;
    return c->seq == newest ? NEFIA_EAGAIN : put_number(out, ++c->seq);
}

static int produce_broken(void *arg, struct control_cursor *c, struct text *out)
{
    (void)arg;
    if (c->step++ == 0)
        return put_number(out, 1);
    text_str(out, "it broke at \"two\"");
    return NEFIA_EIO;
}

static int produce_long(void *arg, struct control_cursor *c, struct text *out)
{
    (void)arg, (void)c;
    for (int i = 0; i < CONFIG_CONTROL_LINE_BYTES; i++)
        text_char(out, 'x');
    return 1;
}

static int begin_emit(void *arg, struct control_cursor *c, const char *args, struct text *reason)
{
    struct text t;

    (void)arg, (void)reason;
    text_init(&t, emitted, sizeof emitted);
    text_str(&t, args);
    c->exit = 1; /* a negative answer is not an error */
    return 0;
}

static int begin_plain_error(void *arg, struct control_cursor *c, const char *args,
                             struct text *reason)
{
    (void)arg, (void)c, (void)args, (void)reason;
    return NEFIA_EFULL;
}

static unsigned ends;

static void count_end(void *arg, struct control_cursor *c)
{
    (void)arg, (void)c;
    ends++;
}

static const struct control_verb verbs[] = {
    {.name = "count", .begin = begin_count, .produce = produce_count, .end = count_end},
    {.name = "follow", .produce = produce_follow, .end = count_end},
    {.name = "broken", .produce = produce_broken},
    {.name = "long", .produce = produce_long},
    {.name = "emit", .begin = begin_emit},
    {.name = "full", .begin = begin_plain_error, .end = count_end},
    {.name = NULL},
};

static void make_names(const char *file)
{
    struct text t;

    memcpy(directory, "/tmp/control-test-XXXXXX", 25);
    CHECK(mkdtemp(directory) != NULL);
    text_init(&t, path, sizeof path);
    text_str(&t, directory);
    text_str(&t, file);
}

static const char *lock_path(void)
{
    static char name[sizeof path + sizeof CONTROL_LOCK];
    struct text t;

    text_init(&t, name, sizeof name);
    text_str(&t, path);
    text_str(&t, CONTROL_LOCK);
    return t.buf;
}

static int open_server(void)
{
    clock_fake_init(&fake, 1000, 0);
    if (loop.clock)
        loop_end(&loop);
    loop_init(&loop, &fake.clock, found, 16);
    text_init(&why, why_buf, sizeof why_buf);
    newest = 0;
    log_init("test", LOG_LEVEL_ERROR);
    return control_open(&server, &loop, path, clients, CLIENTS, verbs, NULL, &why);
}

static void setup(void)
{
    ends = 0;
    make_names("/run/test.sock");
    CHECK_INT(open_server(), 0);
    CHECK_STR(why.buf, "");
}

static void teardown(void)
{
    control_close(&server);
    CHECK_INT(loop.watches, 0);
    CHECK(loop.first_timer == NULL);
    CHECK_INT(access(path, F_OK), -1);
    *strrchr(path, '/') = '\0';
    rmdir(path);
    CHECK_INT(rmdir(directory), 0);
}

static int connect_raw(void)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    memcpy(a.sun_path, path, strlen(path));
    CHECK_INT(connect(fd, (struct sockaddr *)&a, sizeof a), 0);
    return fd;
}

static void say(int fd, const char *s)
{
    CHECK_INT(send(fd, s, strlen(s), MSG_NOSIGNAL), strlen(s));
}

static char heard[256 * 1024];

/** Turn until the peer closes or, with `enough`, that many bytes came. Return: whether it
 * closed. */
static bool hear(int fd, size_t enough)
{
    size_t len = 0;
    bool closed = false;

    for (int i = 0; i < TURNS && !closed && !(enough && len >= enough); i++) {
        loop_turn(&loop, 0);
        ssize_t n = recv(fd, heard + len, sizeof heard - 1 - len, 0);
        if (n > 0)
            len += (size_t)n;
        closed = n == 0 || (n < 0 && errno != EAGAIN);
    }
    heard[len] = '\0';
    return closed;
}

/** One request over a raw connection; the whole response goes to `heard`. */
static void ask_raw(const char *request)
{
    int fd = connect_raw();

    say(fd, request);
    CHECK(hear(fd, 0));
    close(fd);
}

TEST(answers_record_by_record)
{
    setup();
    ask_raw("count 3\n");
    CHECK_STR(heard, "{\"n\":1}\n{\"n\":2}\n{\"n\":3}\n{\"end\":true,\"exit\":0}\n");
    ask_raw("count 0\n");
    CHECK_STR(heard, "{\"end\":true,\"exit\":0}\n");
    teardown();
}

TEST(socket_has_mode_0600)
{
    struct stat st;

    setup();
    REQUIRE(lstat(path, &st) == 0);
    CHECK(S_ISSOCK(st.st_mode));
    CHECK_INT(st.st_mode & 0777, 0600);
    *strrchr(path, '/') = '\0';
    REQUIRE(stat(path, &st) == 0);
    CHECK_INT(st.st_mode & 0777, 0755);
    path[strlen(path)] = '/';
    teardown();
}

TEST(errors_are_records)
{
    setup();
    ask_raw("dance\n");
    CHECK_STR(heard, "{\"error\":\"unknown request `dance`\",\"exit\":1}\n");
    ask_raw("count many\n");
    CHECK_STR(heard, "{\"error\":\"how many? \\\"many\\\" is no number\",\"exit\":2}\n");
    ask_raw("broken\n");
    CHECK_STR(heard, "{\"n\":1}\n{\"error\":\"it broke at \\\"two\\\"\",\"exit\":1}\n");
    ask_raw("broken now\n");
    CHECK_STR(heard, "{\"error\":\"broken takes no arguments\",\"exit\":1}\n");
    ask_raw("full\n");
    CHECK_STR(heard, "{\"error\":\"no space left\",\"exit\":1}\n");
    ask_raw("\n");
    CHECK(strstr(heard, "unknown request ``") != NULL);
    ask_raw("long\n");
    CHECK(strstr(heard, "\"error\":\"record exceeds") != NULL);
    teardown();
}

TEST(arguments_reach_the_verb_complete)
{
    setup();
    ask_raw("emit disk.usage critical {\"path\": \"/\"}  \n");
    CHECK_STR(emitted, "disk.usage critical {\"path\": \"/\"}  ");
    CHECK_STR(heard, "{\"end\":true,\"exit\":1}\n");
    teardown();
}

TEST(request_in_pieces)
{
    setup();
    int fd = connect_raw();
    for (const char *p = "count 1\n"; *p; p++) {
        char piece[2] = {*p, '\0'};
        loop_turn(&loop, 0);
        say(fd, piece);
    }
    CHECK(hear(fd, 0));
    CHECK_STR(heard, "{\"n\":1}\n{\"end\":true,\"exit\":0}\n");
    close(fd);
    teardown();
}

TEST(half_closed_client_gets_its_response)
{
    setup();
    int fd = connect_raw();
    say(fd, "count 2\n");
    shutdown(fd, SHUT_WR);
    CHECK(hear(fd, 0));
    CHECK_STR(heard, "{\"n\":1}\n{\"n\":2}\n{\"end\":true,\"exit\":0}\n");
    close(fd);
    teardown();
}

TEST(request_too_long)
{
    static char big[CONFIG_CONTROL_LINE_BYTES + 10];

    setup();
    int fd = connect_raw();
    memset(big, 'y', sizeof big - 1);
    say(fd, big);
    CHECK(hear(fd, 0));
    CHECK(strstr(heard, "request exceeds") != NULL);
    close(fd);
    teardown();
}

TEST(answer_longer_than_any_buffer)
{
    char last[24];
    struct text t;

    setup();
    int fd = connect_raw();
    say(fd, "count 5000\n");
    CHECK(hear(fd, 0));
    close(fd);
    text_init(&t, last, sizeof last);
    text_str(&t, "{\"n\":");
    text_u64(&t, MANY);
    text_str(&t, "}\n{\"end\"");
    CHECK(strstr(heard, last) != NULL);
    teardown();
}

TEST(follower_sleeps_until_woken)
{
    setup();
    newest = 2;
    int fd = connect_raw();
    say(fd, "follow\n");
    CHECK(!hear(fd, 16));
    CHECK_STR(heard, "{\"n\":1}\n{\"n\":2}\n");
    fake.now_ms += 3600000; /* a follower may wait for hours */
    loop_turn(&loop, 0);
    uint64_t calls = loop.wakeups;
    newest = 3;
    control_wake(&server);
    CHECK(!hear(fd, 8));
    CHECK_STR(heard, "{\"n\":3}\n");
    CHECK(loop.wakeups - calls <= 3);
    CHECK_INT(ends, 0);
    close(fd);
    for (int i = 0; i < 3; i++)
        loop_turn(&loop, 0);
    CHECK_INT(loop.watches, 1);
    CHECK_INT(ends, 1);
    control_wake(&server);
    teardown();
}

TEST(each_answer_that_began_ends_once)
{
    int fd;

    setup();
    fd = connect_raw();
    say(fd, "count 2\n");
    CHECK(hear(fd, 0));
    close(fd);
    CHECK_INT(ends, 1);
    fd = connect_raw();
    say(fd, "full\n"); /* it does not begin */
    CHECK(hear(fd, 0));
    close(fd);
    fd = connect_raw();
    say(fd, "nothing\n");
    CHECK(hear(fd, 0));
    close(fd);
    CHECK_INT(ends, 1);
    fd = connect_raw();
    say(fd, "follow\n");
    CHECK(!hear(fd, 1));
    teardown(); /* the server closes */
    CHECK_INT(ends, 2);
    close(fd);
}

TEST(silent_client_is_dropped)
{
    setup();
    int fd = connect_raw();
    say(fd, "cou");
    loop_turn(&loop, 0);
    loop_turn(&loop, 0);
    CHECK_INT(loop.watches, 2);
    fake.now_ms += 9999;
    loop_turn(&loop, 0);
    CHECK_INT(loop.watches, 2);
    fake.now_ms += 1;
    loop_turn(&loop, 0);
    CHECK_INT(loop.watches, 1);
    CHECK(hear(fd, 0));
    close(fd);
    teardown();
}

TEST(client_that_does_not_read_is_dropped)
{
    setup();
    int fd = connect_raw();
    say(fd, "count 100000000\n");
    for (int i = 0; i < 500; i++)
        loop_turn(&loop, 0);
    CHECK_INT(loop.watches, 2);
    fake.now_ms += 10000;
    loop_turn(&loop, 0);
    CHECK_INT(loop.watches, 1);
    close(fd);
    teardown();
}

TEST(client_that_leaves_is_forgotten)
{
    setup();
    int fd = connect_raw();
    loop_turn(&loop, 0);
    close(fd);
    loop_turn(&loop, 0);
    CHECK_INT(loop.watches, 1);
    fd = connect_raw();
    say(fd, "count 100000000\n");
    for (int i = 0; i < 20; i++)
        loop_turn(&loop, 0);
    close(fd);
    for (int i = 0; i < 3; i++)
        loop_turn(&loop, 0);
    CHECK_INT(loop.watches, 1);
    teardown();
}

TEST(excess_client_gets_an_error)
{
    int fds[CLIENTS];

    setup();
    for (int i = 0; i < CLIENTS; i++) {
        fds[i] = connect_raw();
        loop_turn(&loop, 0);
    }
    ask_raw("count 1\n");
    CHECK_STR(heard, "{\"error\":\"too many clients connected\",\"exit\":1}\n");
    close(fds[1]);
    loop_turn(&loop, 0);
    ask_raw("count 0\n");
    CHECK_STR(heard, "{\"end\":true,\"exit\":0}\n");
    close(fds[0]);
    close(fds[2]);
    teardown();
}

TEST(who_waits_leaves_a_place_for_others)
{
    int fds[CLIENTS];

    setup();
    for (int i = 0; i < CLIENTS - 1; i++) {
        fds[i] = connect_raw();
        say(fds[i], "follow\n");
        CHECK(!hear(fds[i], 1));
    }
    ends = 0;
    ask_raw("follow\n");
    CHECK_STR(heard, "{\"error\":\"too many clients wait; one place is kept for others\",\"exit\":1}\n");
    CHECK_INT(ends, 0);
    ask_raw("emit x\n");
    CHECK(strstr(heard, "\"end\":true") != NULL);
    close(fds[0]);
    loop_turn(&loop, 0);
    fds[0] = connect_raw();
    say(fds[0], "follow\n");
    CHECK(!hear(fds[0], 1));
    for (int i = 0; i < CLIENTS - 1; i++)
        close(fds[i]);
    teardown();
}

TEST(stale_socket_is_replaced)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};

    make_names("/stale.sock");
    memcpy(a.sun_path, path, strlen(path));
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK_INT(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
    close(fd);
    CHECK_INT(open_server(), 0);
    ask_raw("count 0\n");
    CHECK_STR(heard, "{\"end\":true,\"exit\":0}\n");
    control_close(&server);
    control_close(&server);
    CHECK_INT(rmdir(directory), 0);
}

TEST(running_daemon_is_left_alone)
{
    static struct control_server second;
    static struct control_client other[1];

    setup();
    CHECK_INT(control_open(&second, &loop, path, other, 1, verbs, NULL, &why), NEFIA_EEXIST);
    CHECK(strstr(why.buf, "another daemon is running: it has locked /tmp/control-test-") != NULL);
    control_close(&second);
    control_wake(&second);
    ask_raw("count 0\n");
    CHECK_STR(heard, "{\"end\":true,\"exit\":0}\n");
    teardown();
}

/* Any listener on the socket counts, even a program that does not use the lock. */
TEST(socket_in_use_is_left_alone)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};

    make_names("/other.sock");
    memcpy(a.sun_path, path, strlen(path));
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK_INT(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
    CHECK_INT(listen(fd, 1), 0);
    CHECK_INT(open_server(), NEFIA_EEXIST);
    CHECK(strstr(why.buf, "another daemon is running: it answers on /tmp/control-test-") != NULL);
    close(fd);
    CHECK_INT(unlink(path), 0);
    CHECK_INT(rmdir(directory), 0); /* no lock stays behind */
}

/* Another daemon is between checking for a stale socket and creating its own. */
TEST(starting_daemon_is_left_alone)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};

    make_names("/race.sock");
    memcpy(a.sun_path, path, strlen(path));
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK_INT(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
    close(fd);
    int lock = open(lock_path(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    CHECK_INT(flock(lock, LOCK_EX), 0);
    CHECK_INT(open_server(), NEFIA_EEXIST);
    CHECK(strstr(why.buf, "/race.sock.lock") != NULL);
    CHECK_INT(access(path, F_OK), 0);
    close(lock); /* as after a power cut: the file stays, unlocked */
    CHECK_INT(open_server(), 0);
    ask_raw("count 0\n");
    CHECK_STR(heard, "{\"end\":true,\"exit\":0}\n");
    control_close(&server);
    CHECK_INT(rmdir(directory), 0);
}

TEST(other_files_are_left_alone)
{
    struct stat st;

    make_names("/file");
    int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0644);
    CHECK_INT(write(fd, "precious", 8), 8);
    close(fd);
    CHECK_INT(open_server(), NEFIA_EEXIST);
    CHECK(strstr(why.buf, "/file exists and is not a socket") != NULL);
    CHECK(stat(path, &st) == 0 && st.st_size == 8);

    char link_to[96];
    memcpy(link_to, path, sizeof link_to);
    memcpy(strrchr(path, '/'), "/link", 6);
    CHECK_INT(symlink(link_to, path), 0);
    CHECK_INT(open_server(), NEFIA_EEXIST);
    CHECK(stat(link_to, &st) == 0 && st.st_size == 8);
    CHECK_INT(unlink(link_to), 0);
    CHECK_INT(open_server(), NEFIA_EEXIST); /* a dangling link is not replaced */
    CHECK_INT(access(link_to, F_OK), -1);
    CHECK_INT(unlink(path), 0);
    CHECK_INT(rmdir(directory), 0);
}

TEST(bad_paths)
{
    char request[8] = "";

    make_names("/a/b/c.sock");
    CHECK_INT(open_server(), NEFIA_EIO);
    CHECK(strstr(why.buf, "cannot create the directory") != NULL);
    CHECK(strstr(why.buf, "No such file or directory") != NULL);
    CHECK_INT(rmdir(directory), 0);
    memset(path, 'p', sizeof path - 1);
    path[0] = '/';
    static char long_path[200];
    memset(long_path, 'p', sizeof long_path - 1);
    CHECK_INT(control_open(&server, &loop, long_path, clients, CLIENTS, verbs, NULL, &why),
              NEFIA_ETOOBIG);
    CHECK(strstr(why.buf, "1 to 107 bytes") != NULL);
    CHECK_INT(control_request(long_path, "x", request, sizeof request, NULL, NULL, 1000, &why),
              NEFIA_EIO);
    CHECK(strstr(why.buf, "cannot reach the daemon at ppp") != NULL);
    CHECK_INT(loop.watches, 0);
}

/** Connect as another user, to a socket whose mode permits it: the response goes to out. */
static _Noreturn void ask_as_stranger(int out)
{
    char answer[128];
    size_t len = 0;

    if (setgid(65534) < 0 || setuid(65534) < 0)
        _exit(1);
    int fd = connect_raw();
    fcntl(fd, F_SETFL, 0);
    (void)!write(fd, "count 1\n", 8);
    for (ssize_t n; (n = read(fd, answer + len, sizeof answer - len)) > 0;)
        len += (size_t)n;
    (void)!write(out, answer, len);
    _exit(0);
}

TEST(other_users_are_refused)
{
    static const char refusal[] =
        "{\"error\":\"permission denied; only root and the daemon's own user may connect\",\"exit\":1}\n";
    int out[2], status = -1;
    char answer[128] = "";

    if (geteuid() != 0)
        return; /* only root can change users */
    setup();
    log_init("test", LOG_LEVEL_ERROR);
    CHECK_INT(chmod(directory, 0755), 0);
    CHECK_INT(chmod(path, 0666), 0);
    CHECK_INT(pipe(out), 0);
    pid_t pid = fork();
    if (pid == 0)
        ask_as_stranger(out[1]);
    close(out[1]);
    for (int i = 0; i < TURNS && waitpid(pid, &status, WNOHANG) == 0; i++)
        loop_turn(&loop, 10);
    CHECK_INT(status, 0);
    CHECK_INT(read(out[0], answer, sizeof answer - 1), sizeof refusal - 1);
    CHECK_STR(answer, refusal);
    close(out[0]);
    CHECK_INT(loop.watches, 1);
    teardown();
}

TEST(loop_without_room)
{
    static struct watch others[16];

    make_names("/full.sock");
    CHECK_INT(open_server(), 0);
    control_close(&server);
    for (int i = 0; i < 16; i++)
        REQUIRE(loop_watch(&loop, &others[i], socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0), 0, NULL, NULL) == 0);
    CHECK_INT(control_open(&server, &loop, path, clients, CLIENTS, verbs, NULL, &why), NEFIA_EFULL);
    CHECK_INT(access(path, F_OK), -1);
    CHECK_INT(rmdir(directory), 0);
    for (int i = 0; i < 16; i++)
        close(others[i].fd);
}

/* ---- the client, against a server in a child process ---- */

static char records[1024];
static struct text record_text;
static char request_buf[CONFIG_CONTROL_LINE_BYTES + 1];
static pid_t daemon_pid;

static int on_record(void *arg, const char *json, size_t len)
{
    int *stop_after = arg;

    CHECK_INT(strlen(json), len);
    text_str(&record_text, json);
    text_char(&record_text, ';');
    if (stop_after && --*stop_after == 0)
        return -100;
    return 0;
}

static void start_daemon(void)
{
    int ready[2];
    char byte;

    make_names("/daemon.sock");
    CHECK_INT(pipe(ready), 0);
    daemon_pid = fork();
    if (daemon_pid == 0) {
        int err = open_server();
        newest = 2;
        if (write(ready[1], "r", 1) == 1 && err == 0)
            loop_run(&loop);
        _exit(1);
    }
    close(ready[1]);
    CHECK_INT(read(ready[0], &byte, 1), 1);
    close(ready[0]);
    text_init(&why, why_buf, sizeof why_buf);
}

static void end_daemon(void)
{
    kill(daemon_pid, SIGKILL);
    waitpid(daemon_pid, NULL, 0);
    unlink(path);
    unlink(lock_path());
    CHECK_INT(rmdir(directory), 0);
}

static int request(const char *line, uint64_t timeout_ms, int *stop_after)
{
    text_init(&record_text, records, sizeof records);
    return control_request(path, line, request_buf, sizeof request_buf, on_record, stop_after,
                           timeout_ms, &why);
}

TEST(request_gets_records_and_status)
{
    int stop_after = 2;

    start_daemon();
    CHECK_INT(request("count 3", 30000, NULL), 0);
    CHECK_STR(records, "{\"n\":1};{\"n\":2};{\"n\":3};");
    CHECK_STR(why.buf, "");
    CHECK_INT(request("emit x", 30000, NULL), 1);
    CHECK_STR(why.buf, "");
    CHECK_INT(request("count x", 30000, NULL), 2);
    CHECK_STR(why.buf, "how many? \"x\" is no number");
    CHECK_STR(records, "");
    CHECK_INT(request("broken", 30000, NULL), 1);
    CHECK_STR(why.buf, "it broke at \"two\"");
    CHECK_STR(records, "{\"n\":1};");
    CHECK_INT(request("count 3", 30000, &stop_after), -100);
    CHECK_STR(records, "{\"n\":1};{\"n\":2};");
    CHECK_INT(request("count 0", 0, NULL), 0);
    end_daemon();
}

TEST(request_times_out)
{
    static const char *const says[] = {"within 50ms", "within 5s", "within 10m"};
    static const uint64_t timeouts[] = {50, 5000, 600000};
    unsigned i = 0;

    start_daemon();
    /* What comes before may take longer than the shortest, on a slow machine. */
    do
        CHECK_INT(request("follow", timeouts[i], NULL), NEFIA_ETIMEOUT);
    while (strcmp(records, "{\"n\":1};{\"n\":2};") != 0 && ++i < ARRAY_SIZE(timeouts));
    REQUIRE(i < ARRAY_SIZE(timeouts));
    CHECK(strstr(why.buf, "no answer from the daemon at /tmp/control-test-") != NULL);
    CHECK(strstr(why.buf, says[i]) != NULL);
    end_daemon();
}

TEST(request_without_a_daemon)
{
    start_daemon();
    kill(daemon_pid, SIGKILL);
    waitpid(daemon_pid, NULL, 0);
    CHECK_INT(request("count 1", 1000, NULL), NEFIA_EIO);
    CHECK(strstr(why.buf, "cannot reach the daemon at ") != NULL);
    CHECK(strstr(why.buf, "Connection refused; start it, or name its configuration with -c FILE") != NULL);
    unlink(path);
    CHECK_INT(request("count 1", 1000, NULL), NEFIA_EIO);
    CHECK(strstr(why.buf, "No such file or directory; start it, or name its configuration with -c FILE") != NULL);
    unlink(lock_path());
    CHECK_INT(rmdir(directory), 0);
}

TEST_MAIN(each_answer_that_began_ends_once, answers_record_by_record, socket_has_mode_0600, errors_are_records,
          arguments_reach_the_verb_complete, request_in_pieces, half_closed_client_gets_its_response,
          request_too_long, answer_longer_than_any_buffer, follower_sleeps_until_woken,
          silent_client_is_dropped, client_that_does_not_read_is_dropped,
          client_that_leaves_is_forgotten, excess_client_gets_an_error, who_waits_leaves_a_place_for_others, stale_socket_is_replaced,
          running_daemon_is_left_alone,
          socket_in_use_is_left_alone, starting_daemon_is_left_alone, other_files_are_left_alone, other_users_are_refused, bad_paths,
          loop_without_room, request_gets_records_and_status, request_times_out,
          request_without_a_daemon)
