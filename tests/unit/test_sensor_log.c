/* Logs that are files, as login reads them, with the real inotify. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "beacon_fixture.h"
#include "check.h"

static char dir[64], log_path[80], old_path[80], configuration[512];
static unsigned events;
static char users[512]; /* of the events, each with a blank behind it */

static bool full; /* there are no descriptors */

int inotify_init1(int flags)
{
    errno = EMFILE;
    return full ? -1 : (int)syscall(SYS_inotify_init1, flags);
}

/* What libc has in the same file. */
int inotify_init(void)
{
    return inotify_init1(0);
}

int inotify_add_watch(int fd, const char *path, uint32_t mask)
{
    return (int)syscall(SYS_inotify_add_watch, fd, path, mask);
}

int inotify_rm_watch(int fd, int watch)
{
    return (int)syscall(SYS_inotify_rm_watch, fd, watch);
}

static int note(void *arg, const char *line, size_t len)
{
    static const char key[] = "\"user\":\"";
    const char *user = memmem(line, len, key, sizeof key - 1);
    const size_t used = strlen(users);

    (void)arg;
    events++;
    if (user && used + 40 < sizeof users)
        snprintf(users + used, sizeof users - used, "%.*s ", (int)strcspn(user + 8, "\""), user + 8);
    return PIPELINE_ACCEPTED;
}

static void put(int flags, const char *text)
{
    int fd = open(log_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | flags, 0600);

    REQUIRE(fd >= 0);
    CHECK(write(fd, text, strlen(text)) == (ssize_t)strlen(text) && close(fd) == 0);
}

static void say(const char *user)
{
    char line[128];

    snprintf(line, sizeof line, "Nov 26 05:28:21 gw sshd[1]: Invalid user %s from 192.0.2.1 port 5\n", user);
    put(0, line);
}

/** All that there is is read, in turns of bounded work. Return: whether it was these users. */
static bool heard(const char *expected)
{
    fix_turn(0);
    fix_turn(100);
    for (int i = 0; i < 10; i++)
        fix_turn(0);
    const bool fine = str_eq(users, expected);
    if (!fine)
        check_puts("heard: "), check_puts(users), check_puts("\n");
    users[0] = '\0';
    return fine;
}

static const struct emitter *sensor(void)
{
    return &sensor_runner_current(&fix.sensor_runner)->items[0];
}

static void begin(void)
{
    fix_init();
    fix.pipeline.print = note;
    strcpy(dir, "/tmp/nefia-log-XXXXXX");
    REQUIRE(mkdtemp(dir) != NULL);
    snprintf(log_path, sizeof log_path, "%s/auth", dir);
    snprintf(old_path, sizeof old_path, "%s/auth.1", dir);
    snprintf(configuration, sizeof configuration, "{\"login\": {\"log\": \"%s\", \"failures\": 10000}}", log_path);
    events = 0;
    users[0] = '\0';
}

static void start(void)
{
    REQUIRE(fix_start(configuration) == 1);
    CHECK(heard(""));
}

static void end(void)
{
    sensor_runner_stop(&fix.sensor_runner);
    remove(log_path);
    remove(old_path);
    CHECK(rmdir(dir) == 0);
}

TEST(new_lines_only_and_whole_ones)
{
    begin();
    say("before");
    put(0, "Nov 26 05:28:21 gw dnsmasq[1]: "); /* its rest would look like a login */
    start();
    say("rest");
    CHECK(heard(""));
    say("a");
    say("b");
    CHECK(heard("a b "));
    put(0, "Nov 26 05:28:21 gw sshd[1]: Invalid user c from 6.6.");
    CHECK(heard(""));
    put(0, "6.6 from 192.0.2.1 port 5\n");
    CHECK(heard("c from 6.6.6.6 "));
    CHECK_INT(sensor()->result, INSTANCE_OK);
    fix_turn(60000);
    CHECK(heard(""));
    end();
}

TEST(rotation)
{
    begin();
    say("before");
    start();
    say("a");
    CHECK(rename(log_path, old_path) == 0);
    int old = open(old_path, O_WRONLY | O_APPEND | O_CLOEXEC);
    CHECK(heard("a "));
    CHECK_INT(sensor()->result, INSTANCE_NOT_MEASURED);
    CHECK(strstr(sensor()->why, ": No such file or directory") != NULL);
    put(0, ""); /* logrotate's `create`: the daemon does not know yet */
    CHECK(heard(""));
    CHECK_INT(sensor()->result, INSTANCE_OK);
    static const char late[] = "Nov 26 05:28:21 gw sshd[1]: Invalid user late from 192.0.2.1 port 5\nNov 26 05:28:21 gw "
                               "sshd[1]: Invalid user cut ";
    REQUIRE(old >= 0);
    CHECK(write(old, late, sizeof late - 1) == (ssize_t)sizeof late - 1 && close(old) == 0);
    say("new");
    CHECK(heard("late new ")); /* what was cut is not continued */
    remove(log_path);
    say("again");
    say("more");
    CHECK(heard("again more "));
    end();
}

TEST(emptied)
{
    begin();
    say("a-long-name-before");
    start();
    say("a");
    put(0, "Nov 26 05:28:21 gw sshd[1]: Invalid user part");
    CHECK(heard("a "));
    put(O_TRUNC, "");
    say("b");
    CHECK(heard("b "));
    end();
}

TEST(not_there_yet)
{
    begin();
    start();
    CHECK_INT(sensor()->result, INSTANCE_NOT_MEASURED);
    say("first");
    CHECK(heard("first "));
    CHECK_INT(sensor()->result, INSTANCE_OK);
    end();
}

/** Lines of more bytes than a turn reads, and one longer than the buffer. */
TEST(bursts)
{
    static char much[10000 * 80];
    size_t len = 0;

    begin();
    say("before");
    start();
    for (unsigned i = 0; i < 10000; i++)
        len += (size_t)snprintf(much + len, sizeof much - len,
                                "Nov 26 05:28:21 gw sshd[1]: Invalid user u%u from 192.0.2.1 port 5\n", i);
    put(0, much);
    fix_turn(0);
    fix_turn(100);
    CHECK(events > 0 && events < 1000); /* others have their turn */
    for (unsigned i = 0, before = 0; events != before || i < 2; i++, fix_turn(0))
        before = i % 2 ? events : before;
    CHECK_INT(events, 10000);
    memset(much, 'x', 5 * CONFIG_FOLLOW_LINE_BYTES);
    much[5 * CONFIG_FOLLOW_LINE_BYTES] = '\0';
    users[0] = '\0';
    put(0, much);
    put(0, "Nov 26 05:28:21 gw sshd[1]: Invalid user x from 192.0.2.1 port 5\n");
    say("after");
    CHECK(heard("after "));
    end();
}

TEST(reload)
{
    begin();
    say("before");
    start();
    put(0, "Nov 26 05:28:21 gw sshd[1]: Invalid user pa");
    CHECK(heard(""));
    put(0, "rt from 192.0.2.1 port 5\n");
    REQUIRE(fix_start(configuration) == 1);
    say("a");
    CHECK(heard("part a "));
    remove(log_path);
    CHECK(heard(""));
    REQUIRE(fix_start(configuration) == 1);
    say("b");
    CHECK(heard("b "));
    end();
}

TEST(what_may_not_be_read)
{
    begin();
    say("before");
    const bool root = geteuid() == 0;
    CHECK(chmod(dir, 0711) == 0 && chmod(log_path, 0) == 0);
    CHECK(!root || seteuid(65534) == 0);
    start();
    CHECK(!root || seteuid(0) == 0);
    CHECK_INT(sensor()->result, INSTANCE_NOT_MEASURED);
    CHECK(strstr(sensor()->why, ": Permission denied") != NULL);
    CHECK(chmod(log_path, 0600) == 0);
    fix_turn(300000);
    say("a");
    CHECK(heard("a ")); /* and not what was there before */
    CHECK_INT(sensor()->result, INSTANCE_OK);
    end();
}

TEST(what_is_no_file)
{
    begin();
    CHECK(mkdir(log_path, 0700) == 0);
    start();
    CHECK_INT(sensor()->result, INSTANCE_NOT_MEASURED);
    CHECK(strstr(sensor()->why, ": Is a directory") != NULL);
    end();
}

/** It would have no end, and opening a device may do something. */
TEST(a_link_to_a_device)
{
    begin();
    CHECK(symlink("/dev/zero", log_path) == 0);
    start();
    CHECK_INT(sensor()->result, INSTANCE_NOT_MEASURED);
    CHECK(strstr(sensor()->why, ": Invalid argument") != NULL);
    CHECK(sensor()->timer.at_ms > fix.clock.now_ms); /* it does not come back at once */
    remove(log_path);
    say("before");
    CHECK(heard(""));
    say("a");
    CHECK(heard("a "));
    CHECK_INT(sensor()->result, INSTANCE_OK);
    end();
}

TEST(descriptors_are_missing_for_a_while)
{
    begin();
    say("before");
    full = true;
    start();
    fix_turn(300000);
    full = false;
    CHECK_INT(sensor()->result, INSTANCE_NOT_MEASURED);
    CHECK(strstr(sensor()->why, "inotify: ") != NULL);
    fix_turn(300000);
    say("a");
    CHECK(heard("a "));
    CHECK_INT(sensor()->result, INSTANCE_OK);
    end();
}

TEST_MAIN(new_lines_only_and_whole_ones, rotation, emptied, not_there_yet, bursts, reload, what_may_not_be_read,
          what_is_no_file, descriptors_are_missing_for_a_while, a_link_to_a_device)
