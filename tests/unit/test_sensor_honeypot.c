/* src/beacon/sensors/honeypot.c: fanotify with recorded bytes, inotify and ports with the real thing. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/fanotify.h>
#include <sys/prctl.h>
#include <sys/inotify.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "beacon_fixture.h"
static int fake_root_stat(const char *restrict path, struct stat *restrict s);
#define stat(path, s) fake_root_stat(path, s) /* ours is below */
#include "fake_root.h"
#undef stat
#include "nefia/base/bytes.h"

static char dir[64], configuration[1024];
static int queue[2];        /* what fanotify reports; 0: there is none */
static int marks, unmarks;  /* calls of fanotify_mark */
static int mark_error;      /* of it */
static int accept_error;
static bool hides;          /* stat(2) may not see the file */

int fanotify_init(unsigned flags, unsigned event_flags)
{
    CHECK(flags == (FAN_CLASS_NOTIF | FAN_CLOEXEC | FAN_NONBLOCK) && event_flags & O_CLOEXEC);
    errno = EPERM;
    return queue[0] ? dup(queue[0]) : -1;
}

/* The sanitizers' build has glibc's. */
#ifdef __GLIBC__
typedef uint64_t fanotify_mask;
#else
typedef unsigned long long fanotify_mask;
#endif

int fanotify_mark(int fd, unsigned flags, fanotify_mask mask, int at, const char *path)
{
    if (fd <= 0)
        return -1;
    CHECK(at == AT_FDCWD && path[0] == '/' && mask == (FAN_OPEN | FAN_ACCESS | FAN_MODIFY));
    marks += flags == FAN_MARK_ADD;
    unmarks += flags == FAN_MARK_REMOVE;
    errno = mark_error ? mark_error : ENOENT;
    return mark_error || access(path, F_OK) < 0 ? -1 : 0;
}

int accept4(int fd, struct sockaddr *restrict address, socklen_t *restrict len, int flags)
{
    errno = accept_error;
    return accept_error ? -1 : (int)syscall(SYS_accept4, fd, address, len, flags);
}

int stat(const char *restrict path, struct stat *restrict st)
{
    errno = EACCES;
    return hides ? -1 : fake_root_stat(path, st);
}

static const char *at(const char *name)
{
    static char path[2][128];
    static unsigned i;

    i = !i;
    snprintf(path[i], sizeof path[i], "%s/%s", dir, name);
    return path[i];
}

static void put(const char *name)
{
    int fd = open(at(name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    REQUIRE(fd >= 0);
    CHECK(write(fd, "one\n", 4) == 4 && close(fd) == 0);
}

static void look(const char *name)
{
    char c;
    int fd = open(at(name), O_RDONLY | O_CLOEXEC);

    REQUIRE(fd >= 0);
    CHECK(read(fd, &c, 1) == 1 && close(fd) == 0);
}

static const char *of(const char *members)
{
    snprintf(configuration, sizeof configuration, "{\"honeypot_access\": {\"interval\": \"1h\", %s}}", members);
    return configuration;
}

static const char *of_file(const char *name, const char *more)
{
    char members[256];

    snprintf(members, sizeof members, "\"files\": [\"%s\"]%s", at(name), more);
    return of(members);
}

static void begin(bool fanotify)
{
    fix_init();
    fix_print_lines();
    marks = unmarks = mark_error = accept_error = 0;
    hides = false;
    queue[0] = queue[1] = 0;
    if (fanotify)
        REQUIRE(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, queue) == 0);
    fake_root_begin();
    strcpy(dir, "/tmp/nefia-honeypot-XXXXXX");
    REQUIRE(mkdtemp(dir) != NULL);
}

static void start(const char *c)
{
    REQUIRE(fix_start(c) == 1);
    fix_turn(30000);
    fix_turn(0);
    CHECK_INT(fix.count, 0);
}

static void end(void)
{
    static const char *const names[] = {"a", "b", "new"};

    sensor_runner_stop(&fix.sensor_runner);
    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        remove(at(names[i]));
    CHECK(rmdir(dir) == 0);
    for (unsigned i = 0; queue[0] && i < 2; i++)
        close(queue[i]);
    fake_root_end();
}

static const struct emitter *sensor(void)
{
    return &sensor_runner_current(&fix.sensor_runner)->items[0];
}

/** One event, with this. */
static bool told(const char *part)
{
    fix_turn(0);
    const bool is = fix.count == 1 && fix_has(0, part);
    if (!is)
        check_puts(fix.count ? fix.printed[0] : "nothing\n");
    fix.count = 0;
    return is;
}

/** struct fanotify_event_metadata, by its offsets: what the kernel of this byte order writes. */
static void send_event(const char *name, uint32_t mask, int32_t pid, uint8_t version)
{
    uint32_t words[6] = {24, 0, 0, 0, 0, 0};
    uint8_t bytes[4] = {version, 0, 0, 0};
    const uint64_t wide = mask;
    const uint16_t len = 24;
    const int32_t fd = name ? open(at(name), O_RDONLY | O_CLOEXEC) : -1;

    memcpy(bytes + 2, &len, 2);
    memcpy(&words[1], bytes, 4);
    memcpy(&words[2], &wide, 8);
    memcpy(&words[4], &fd, 4);
    memcpy(&words[5], &pid, 4);
    CHECK(send(queue[1], words, sizeof words, MSG_NOSIGNAL) == sizeof words);
}

static int open_descriptors(void)
{
    int n = 0;

    for (int fd = 0; fd < 256; fd++)
        n += fcntl(fd, F_GETFD) >= 0;
    return n;
}

TEST(configurations_that_are_refused)
{
    fix_refused(of("\"allow\": []"), "give files or ports");
    fix_refused(of("\"files\": [\"etc/passwd\"]"), "path is not absolute");
    fix_refused(of("\"files\": [\"/a\"], \"allow\": [\"10.0.0.0/8\"]"), "allow belongs to ports");
    fix_refused(of("\"ports\": [0]"), "ports[0]: is not a port, or an address with one");
    fix_refused(of("\"ports\": [65536]"), "ports[0]: is not a port, or an address with one");
    fix_refused(of("\"ports\": [\"localhost:22\"]"), "ports[0]");
    fix_refused(of("\"ports\": [1], \"allow\": [\"10.0.0.1/8\"]"), "allow[0]");
    fix_refused(of("\"ports\": [1,2,3,4,5,6,7,8,9]"), "list of 0..8 texts");
}

TEST(who_touches_a_file)
{
    begin(true);
    put("a");
    fake_root_put("/proc/77/status", "Name:\tcat\nUmask:\t0022\nPPid:\t5\nUid:\t1000\t0\t0\t0\n");
    fake_root_link("/proc/77/exe", "/usr/bin/cat");
    start(of_file("a", ""));
    CHECK_INT(marks, 1);
    const int before = open_descriptors();
    send_event("a", FAN_OPEN, 77, 3);
    CHECK(told("\"type\":\"honeypot.access_attempted\",\"source\":\"honeypot_access-beacon\""));
    send_event("a", FAN_OPEN, 77, 3);
    CHECK(told("/a\",\"access\":\"opened\",\"pid\":77,\"program\":\"/usr/bin/cat\",\"process\":\"cat\",\"uid\":1000}"));
    send_event("a", FAN_OPEN | FAN_ACCESS, 77, 3);
    CHECK(told("\"severity\":\"critical\",\"data\":{\"path\":\"/tmp/"));
    send_event("a", FAN_OPEN | FAN_ACCESS, 77, 3);
    CHECK(told("\"access\":\"read\""));
    send_event("a", FAN_OPEN | FAN_MODIFY, 78, 3);
    CHECK(told("\"access\":\"changed\",\"pid\":78}"));
    send_event("a", FAN_OPEN, 0, 3);
    CHECK(told("\"access\":\"opened\"}"));
    CHECK_INT(open_descriptors(), before);
    look("a"); /* inotify leaves that to fanotify */
    fix_turn(0);
    CHECK_INT(fix.count, 0);
    end();
}

TEST(names_that_lie)
{
    begin(true);
    put("a");
    fake_root_put("/proc/77/status", "Name:\tx Uid: 0 \xff\"\nPPid:\t5\nUid:\t1000\t0\t0\t0\n");
    fake_root_put("/proc/78/status", "Name:\t");
    fake_root_put("/proc/79/status", "");
    fake_root_put("/proc/80/status", "Name:\ta\nUid:\t99999999999999999999\n");
    start(of_file("a", ""));
    send_event("a", FAN_OPEN, 77, 3);
    CHECK(told("\"pid\":77,\"process\":\"x Uid: 0 \xef\xbf\xbd\\\"\",\"uid\":1000}"));
    send_event("a", FAN_OPEN, 78, 3);
    CHECK(told("\"pid\":78,"));
    send_event("a", FAN_OPEN, 79, 3);
    CHECK(told("\"pid\":79,"));
    send_event("a", FAN_OPEN, 80, 3);
    CHECK(told("\"pid\":80,\"process\":\"a\"}"));
    end();
}

TEST(accesses_that_do_not_count)
{
    char status[128], own[17] = "";

    begin(true);
    put("a");
    put("b");
    REQUIRE(prctl(PR_GET_NAME, own, 0ul, 0ul, 0ul) == 0);
    snprintf(status, sizeof status, "Name:\t%s\nPPid:\t%d\nUid:\t0\t0\t0\t0\n", own, getpid());
    fake_root_put("/proc/77/status", status);
    snprintf(status, sizeof status, "Name:\tsh\nPPid:\t%d\nUid:\t0\t0\t0\t0\n", getpid());
    fake_root_put("/proc/78/status", status);
    snprintf(status, sizeof status, "Name:\t%s\nPPid:\t1\nUid:\t0\t0\t0\t0\n", own);
    fake_root_put("/proc/79/status", status);
    fake_root_put("/proc/80/status", "Name:\tbackup\nPPid:\t1\nUid:\t0\t0\t0\t0\n");
    fake_root_link("/proc/80/exe", "/usr/sbin/backup");
    fake_root_link("/proc/81/exe", "/usr/sbin/backup2");
    start(of_file("a", ", \"ignore\": [\"/usr/sbin/backup\"]"));
    send_event("a", FAN_OPEN, getpid(), 3); /* the beacon's own */
    send_event("a", FAN_OPEN, 77, 3);       /* of a fork of it */
    send_event("b", FAN_OPEN, 78, 3);       /* of another file */
    send_event("a", FAN_OPEN, 80, 3);       /* of a program that may */
    fix_turn(0);
    CHECK_INT(fix.count, 0);
    send_event("a", FAN_OPEN, 78, 3); /* a command that the beacon runs is none of its forks */
    CHECK(told("\"process\":\"sh\""));
    send_event("a", FAN_OPEN, 79, 3);
    CHECK(told("\"pid\":79,"));
    send_event("a", FAN_OPEN, 81, 3);
    CHECK(told("\"program\":\"/usr/sbin/backup2\""));
    end();
}

TEST(what_fanotify_cannot_say)
{
    begin(true);
    put("a");
    start(of_file("a", ""));
    send_event(NULL, FAN_Q_OVERFLOW, 0, 3);
    fix_turn(0);
    CHECK_STR(sensor()->why, "fanotify: events were lost");
    CHECK_INT(sensor()->result, INSTANCE_NOT_MEASURED);
    fix_turn(3600000);
    CHECK_INT(sensor()->result, INSTANCE_OK);
    send_event(NULL, FAN_OPEN, 77, 2); /* its descriptor is none */
    fix_turn(0);
    CHECK_STR(sensor()->why, "fanotify: events were lost");
    fix_turn(3600000);
    CHECK(send(queue[1], "123", 3, MSG_NOSIGNAL) == 3);
    fix_turn(0);
    CHECK_STR(sensor()->why, "fanotify: events were lost");
    CHECK_INT(fix.count, 0);
    end();
}

TEST(many_at_once_take_several_turns)
{
    begin(true);
    put("a");
    start(of_file("a", ""));
    for (unsigned i = 0; i < 100; i++)
        send_event("a", FAN_OPEN, getpid(), 3);
    const int before = open_descriptors();
    fix_turn(0);
    CHECK_INT(open_descriptors(), before - 64); /* each comes with one, which is closed */
    fix_turn(0);
    CHECK_INT(open_descriptors(), before - 100);
    send_event("a", FAN_OPEN, 0, 3);
    CHECK(told("\"opened\""));
    end();
}

TEST(by_inotify_where_there_is_no_fanotify)
{
    begin(false);
    put("a");
    start(of_file("a", ""));
    CHECK_INT(sensor()->result, INSTANCE_OK);
    look("a");
    CHECK(told("/a\",\"access\":\"read\"}"));
    put("a");
    CHECK(told("/a\",\"access\":\"changed\"}"));
    CHECK(chmod(at("a"), 0640) == 0);
    CHECK(told("/a\",\"access\":\"changed\"}"));
    put("b");
    look("b");
    fix_turn(0);
    CHECK_INT(fix.count, 0);
    end();
    begin(true);
    mark_error = ENODEV; /* a file system that has none of it */
    put("a");
    start(of_file("a", ""));
    look("a");
    CHECK(told("/a\",\"access\":\"read\"}"));
    end();
}

TEST(files_come_and_go)
{
    begin(true);
    REQUIRE(fix_start(of_file("a", "")) == 1);
    fix_turn(30000);
    CHECK_INT(sensor()->result, INSTANCE_NOT_MEASURED);
    CHECK(strstr(sensor()->why, "/a: No such file or directory") != NULL);
    put("a");
    fix_turn(0);
    fix_turn(1000);
    CHECK_INT(sensor()->result, INSTANCE_OK);
    CHECK_INT(fix.count, 0);
    send_event("a", FAN_OPEN, 0, 3);
    CHECK(told("\"opened\""));
    put("new");
    CHECK(rename(at("new"), at("a")) == 0);
    fix_turn(0);
    CHECK(fix.count > 0 && fix_has(fix.count - 1, "\"access\":\"changed\"}"));
    fix.count = 0;
    send_event("a", FAN_OPEN, 0, 3);
    CHECK(told("\"opened\""));
    remove(at("a"));
    fix_turn(0);
    CHECK(fix.count > 0 && fix_has(fix.count - 1, "\"access\":\"changed\"}"));
    CHECK_INT(sensor()->result, INSTANCE_NOT_MEASURED);
    end();
}

TEST(what_the_beacon_may_no_longer_see)
{
    begin(true);
    put("a");
    start(of_file("a", ""));
    hides = true;
    fix_turn(3600000);
    fix_turn(3600000);
    CHECK_INT(fix.count, 0);
    CHECK_INT(sensor()->result, INSTANCE_OK);
    send_event("a", FAN_OPEN, 0, 3);
    CHECK(told("\"opened\""));
    put("new");
    CHECK(rename(at("new"), at("a")) == 0);
    fix_turn(0);
    CHECK(fix.count > 0 && fix_has(fix.count - 1, "\"access\":\"changed\"}"));
    CHECK(strstr(sensor()->why, ": Permission denied") != NULL);
    end();
}

TEST(a_reload_keeps_what_it_has)
{
    begin(true);
    put("a");
    put("b");
    char members[300];
    snprintf(members, sizeof members, "\"files\": [\"%s\", \"%s\"]", at("a"), at("b"));
    start(of(members));
    CHECK_INT(marks, 2);
    const int before = open_descriptors();
    send_event("a", FAN_OPEN, 0, 3);
    hides = true; /* and may no longer see it */
    REQUIRE(fix_start(of_file("a", "")) == 1);
    CHECK_INT(marks, 2);
    CHECK_INT(unmarks, 1);
    CHECK(told("\"opened\""));
    send_event("b", FAN_OPEN, 0, 3);
    fix_turn(0);
    CHECK_INT(fix.count, 0);
    CHECK_INT(open_descriptors(), before);
    end();
}

/* ---- ports ---- */

/** A port that was free a moment ago at every address: below those that the kernel gives to outgoing connections, which other tests
 * make at the same time. */
static uint16_t free_port(void)
{
    struct sockaddr_in sin = {.sin_family = AF_INET};
    uint16_t port = (uint16_t)(10000 + (unsigned)getpid() * 7 % 20000);
    int err = -1;

    for (unsigned tries = 0; err < 0 && tries < 1000; tries++) {
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        sin.sin_port = htons(++port);
        err = bind(fd, (struct sockaddr *)&sin, sizeof sin);
        close(fd);
    }
    CHECK_INT(err, 0);
    return port;
}

static int peer(uint16_t port)
{
    struct sockaddr_in sin = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    CHECK(connect(fd, (struct sockaddr *)&sin, sizeof sin) == 0);
    return fd;
}

static const char *of_port(uint16_t port, const char *more)
{
    char members[256];

    snprintf(members, sizeof members, "\"ports\": [\"127.0.0.1:%u\"]%s", port, more);
    return of(members);
}

TEST(who_connects)
{
    char c, part[64];
    uint16_t port = free_port();

    begin(false);
    start(of_port(port, ""));
    int fd = peer(port);
    snprintf(part, sizeof part, "\"data\":{\"port\":%u,\"address\":\"127.0.0.1\",\"peer_port\":", port);
    CHECK(told(part));
    CHECK(read(fd, &c, 1) < 0 && errno == ECONNRESET);
    close(fd);
    fd = peer(port);
    CHECK(told("\"type\":\"honeypot.access_attempted\",\"source\":\"honeypot_access-beacon\""));
    close(fd);
    end();
}

TEST(who_is_allowed_and_who_is_not)
{
    char c;
    uint16_t port = free_port();

    begin(false);
    start(of_port(port, ", \"allow\": [\"fd00::/8\", \"127.0.0.0/8\"]"));
    int fd = peer(port);
    fix_turn(0);
    CHECK_INT(fix.count, 0);
    CHECK(read(fd, &c, 1) == 0);
    close(fd);
    REQUIRE(fix_start(of_port(port, ", \"allow\": \"127.0.0.2\"")) == 1);
    fd = peer(port);
    CHECK(told("\"type\":\"honeypot.access_blocked\""));
    CHECK(read(fd, &c, 1) < 0 && errno == ECONNRESET);
    close(fd);
    fd = peer(port);
    CHECK(told("\"severity\":\"warning\""));
    close(fd);
    end();
}

TEST(a_port_alone_is_of_all_addresses)
{
    char members[64];
    uint16_t port = free_port();

    begin(false);
    snprintf(members, sizeof members, "\"ports\": [%u]", port);
    start(of(members));
    int fd = peer(port);
    CHECK(told("\"address\":\"127.0.0.1\""));
    close(fd);
    end();
}

TEST(ports_that_are_not_to_be_had)
{
    uint16_t port = free_port();

    begin(false);
    start(of_port(port, ""));
    int before = open_descriptors();
    accept_error = EMFILE;
    int fd = peer(port);
    fix_turn(0);
    CHECK_INT(sensor()->result, INSTANCE_NOT_MEASURED);
    CHECK(strstr(sensor()->why, "accept: ") == sensor()->why);
    const uint64_t turns = fix.loop.wakeups;
    fix_turn(0);
    CHECK(loop_turn(&fix.loop, 20) == 0); /* it waits */
    CHECK_INT(fix.loop.wakeups, turns + 2);
    CHECK_INT(fix.count, 0);
    accept_error = 0;
    fix_turn(3600000);
    CHECK(told("\"address\":\"127.0.0.1\""));
    close(fd);
    REQUIRE(fix_start(of_port(port, "")) == 1); /* it is the same socket */
    fd = peer(port);
    CHECK(told("\"address\":\"127.0.0.1\""));
    close(fd);
    CHECK_INT(open_descriptors(), before);
    end();
    CHECK_INT(open_descriptors(), before - 2);
}

TEST(a_port_in_use)
{
    char why[64];
    uint16_t port = free_port();
    struct sockaddr_in sin = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    begin(false);
    CHECK(bind(fd, (struct sockaddr *)&sin, sizeof sin) == 0 && listen(fd, 1) == 0);
    REQUIRE(fix_start(of_port(port, "")) == 1);
    fix_turn(30000);
    snprintf(why, sizeof why, "port 127.0.0.1:%u: Address ", port);
    CHECK(strstr(sensor()->why, why) == sensor()->why);
    close(fd);
    fix_turn(3600000);
    CHECK_INT(sensor()->result, INSTANCE_OK);
    fd = peer(port);
    CHECK(told("\"address\":\"127.0.0.1\""));
    close(fd);
    end();
}

/** It starts before the others, and the switch leaves it as it is. */
TEST(early)
{
    begin(true);
    put("a");
    REQUIRE(fix_load(of_file("a", "")) == 0);
    sensor_runner_start_early(&fix.sensor_runner);
    CHECK_INT(marks, 1);
    send_event("a", FAN_OPEN, 0, 3);
    sensor_runner_switch(&fix.sensor_runner);
    CHECK_INT(marks, 1);
    CHECK(told("\"opened\""));
    end();
}

TEST(once)
{
    begin(true);
    put("a");
    CHECK_INT(fix_once(of_file("a", "")), 1);
    CHECK_INT(sensor()->result, INSTANCE_OK);
    CHECK_INT(fix.count, 0);
    end();
}

TEST_MAIN(configurations_that_are_refused, who_touches_a_file, names_that_lie, accesses_that_do_not_count,
          what_fanotify_cannot_say, many_at_once_take_several_turns, by_inotify_where_there_is_no_fanotify,
          files_come_and_go, what_the_beacon_may_no_longer_see, a_reload_keeps_what_it_has, who_connects,
          who_is_allowed_and_who_is_not, a_port_alone_is_of_all_addresses, ports_that_are_not_to_be_had,
          a_port_in_use, early, once)
