/* src/beacon/sensors/file.c with the real inotify. */
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

static char dir[64], configuration[1024];
static unsigned reads;    /* of inotify's descriptor */
static int refuses, hides, full; /* errno of inotify_init1, of inotify_add_watch for a file and for a directory */
static const char *given; /* what the next read has instead */
static size_t given_len;

int inotify_init1(int flags)
{
    errno = refuses;
    return refuses ? -1 : (int)syscall(SYS_inotify_init1, flags);
}

int inotify_add_watch(int fd, const char *path, uint32_t mask)
{
    errno = mask & IN_ONLYDIR ? full : hides;
    return errno ? -1 : (int)syscall(SYS_inotify_add_watch, fd, path, mask);
}

/* A library has them all in one file. */
int inotify_rm_watch(int fd, int watch)
{
    return (int)syscall(SYS_inotify_rm_watch, fd, watch);
}

int inotify_init(void)
{
    return inotify_init1(0);
}

ssize_t read(int fd, void *buf, size_t cap)
{
    if (fix.sensor_watches[0].owner && fd == fix.sensor_watches[0].watch.fd)
        reads++;
    if (!given_len)
        return (ssize_t)syscall(SYS_read, fd, buf, cap);
    const size_t len = given_len;
    memcpy(buf, given, len);
    given_len = 0;
    return (ssize_t)len;
}

static const char *at(const char *name)
{
    static char path[2][128];
    static unsigned i;

    i = !i;
    snprintf(path[i], sizeof path[i], "%s/%s", dir, name);
    return path[i];
}

static void put(const char *name, const char *content)
{
    int fd = open(at(name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    REQUIRE(fd >= 0);
    CHECK(write(fd, content, strlen(content)) == (ssize_t)strlen(content) && close(fd) == 0);
}

static const char *of(const char *name, const char *more)
{
    snprintf(configuration, sizeof configuration, "{\"file\": {\"files\": [{\"path\": \"%s\"%s}]}}", at(name), more);
    return configuration;
}

static void begin(void)
{
    fix_init();
    fix_print_lines();
    refuses = hides = full = 0;
    given_len = 0;
    strcpy(dir, "/tmp/nefia-files-XXXXXX");
    REQUIRE(mkdtemp(dir) != NULL);
}

/** The first look is over. */
static void start(const char *c)
{
    REQUIRE(fix_start(c) == 1);
    fix_turn(0);
    fix_turn(0);
    CHECK_INT(fix.count, 0);
    reads = 0;
}

/** What any of the tests has made. */
static void end(void)
{
    static const char *const names[] = {"b/c/d", "b/e/d", "b/c", "b/e", "b/a", "b", "a", "a.1", "a.new",
                                        "ab", "c", "log", "loop", "other", "target"};

    sensor_runner_stop(&fix.sensor_runner);
    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        remove(at(names[i]));
    CHECK(rmdir(dir) == 0);
}

static const struct emitter *sensor(void)
{
    return &sensor_runner_current(&fix.sensor_runner)->items[0];
}

/** Once things have settled there is one event, with this. */
static bool told(const char *part)
{
    fix_turn(0);
    CHECK_INT(fix.count, 0);
    fix_turn(1000);
    const bool is = fix.count == 1 && fix_has(0, part);
    if (!is)
        check_puts(fix.count ? fix.printed[0] : "nothing\n");
    fix.count = 0;
    fix_turn(0); /* what watching it anew has caused */
    fix_turn(1000);
    CHECK_INT(fix.count, 0);
    return is;
}

TEST(files_come_change_and_go)
{
    begin();
    start(of("a", ""));
    put("a", "one");
    fix_turn(0);
    fix_turn(999);
    CHECK_INT(fix.count, 0);
    fix_turn(1);
    REQUIRE(fix.count == 1);
    CHECK(fix_has(0, "\"type\":\"file.changed\",\"source\":\"file-beacon\""));
    CHECK(fix_has(0, "\"severity\":\"warning\",\"data\":{\"path\":\"/tmp/nefia-files-"));
    CHECK(fix_has(0, "/a\",\"change\":\"created\",\"size\":3}"));
    fix.count = 0;
    fix_turn(5000);
    put("a", "other");
    CHECK(told("\"change\":\"changed\",\"size\":5}"));
    CHECK(chmod(at("a"), 0640) == 0);
    CHECK(told("\"change\":\"changed\",\"size\":5}"));
    CHECK(unlink(at("a")) == 0);
    CHECK(told("/a\",\"change\":\"removed\"}"));
    fix_turn(300000);
    CHECK_INT(fix.count, 0);
    CHECK_INT(sensor()->result, INSTANCE_OK);
    end();
}

TEST(replacement_is_a_change)
{
    begin();
    put("a", "one");
    start(of("a", ", \"severity\": \"critical\""));
    put("a.new", "two");
    fix_turn(0);
    fix_turn(1000);
    CHECK_INT(fix.count, 0);
    CHECK(rename(at("a.new"), at("a")) == 0);
    CHECK(told("\"severity\":\"critical\",\"data\":{\"path\":"));
    put("a", "three"); /* the new one is what is watched now */
    CHECK(told("\"change\":\"changed\",\"size\":5}"));
    CHECK(rename(at("a"), at("a.1")) == 0);
    put("a", "");
    CHECK(told("\"change\":\"changed\",\"size\":0}"));
    reads = 0;
    put("a.1", "and no more the old one");
    fix_turn(0);
    CHECK_INT(reads, 0);
    end();
}

TEST(what_happens_at_once_is_one_event)
{
    begin();
    put("a", "");
    start(of("a", ""));
    put("a", "1");
    fix_turn(0);
    CHECK_INT(reads, 1);
    for (unsigned i = 0; i < 50; i++) {
        put("a", "12");
        unlink(at("a"));
        put("a", "123");
        fix_turn(10);
    }
    CHECK_INT(fix.count, 0);
    CHECK_INT(reads, 1); /* nor do they wake it meanwhile */
    fix_turn(500);
    REQUIRE(fix.count == 1);
    CHECK(fix_has(0, "\"change\":\"changed\",\"size\":3}"));
    end();
}

TEST(directories_may_come_later)
{
    begin();
    start(of("b/c/d", ""));
    CHECK(mkdir(at("b"), 0700) == 0 && mkdir(at("b/c"), 0700) == 0);
    fix_turn(0);
    fix_turn(1000);
    CHECK_INT(fix.count, 0);
    put("b/c/d", "x");
    CHECK(told("\"change\":\"created\",\"size\":1}"));
    CHECK(rename(at("b/c"), at("b/e")) == 0);
    CHECK(told("\"change\":\"removed\"}"));
    put("b/e/d", "yy"); /* no more the one */
    fix_turn(0);
    fix_turn(1000);
    CHECK_INT(fix.count, 0);
    CHECK(rename(at("b/e"), at("b/c")) == 0);
    CHECK(told("\"change\":\"created\",\"size\":2}"));
    end();
}

TEST(others_in_its_directory_do_not_matter)
{
    begin();
    put("a", "x");
    put("other", "x");
    start(of("a", ""));
    put("other", "more");
    CHECK(chmod(at("other"), 0644) == 0);
    fix_turn(0);
    CHECK_INT(reads, 0);
    put("ab", "x"); /* it is woken by this one, but does not look */
    fix_turn(0);
    CHECK_INT(reads, 1);
    put("a", "y");
    fix_turn(0);
    CHECK_INT(reads, 2);
    end();
}

TEST(growth_counts_where_there_is_a_largest_size)
{
    begin();
    put("log", "12345");
    start(of("log", ", \"max_size\": 5"));
    put("log", "1234");
    fix_turn(0);
    fix_turn(1000);
    CHECK_INT(fix.count, 0);
    put("log", "123456");
    CHECK(told("/log\",\"change\":\"grown\",\"size\":6}"));
    put("log", "1234567");
    fix_turn(0);
    fix_turn(1000);
    unlink(at("log"));
    fix_turn(0);
    fix_turn(1000);
    CHECK_INT(fix.count, 0);
    put("log", "12345678");
    CHECK(told("\"change\":\"grown\",\"size\":8}"));
    end();
    begin();
    put("log", "123456"); /* one that is too large at the start is told, too */
    REQUIRE(fix_start(of("log", ", \"max_size\": 5")) == 1);
    fix_turn(0);
    CHECK_INT(fix.count, 1);
    end();
}

TEST(one_that_changes_all_the_time_is_not_told_all_the_time)
{
    char content[2] = "a";

    begin();
    put("a", "");
    start(of("a", ""));
    fix.pipeline.print = NULL;
    for (unsigned i = 0; i < 20; i++, content[0]++) {
        put("a", content);
        fix_turn(0);
        fix_turn(1000);
    }
    CHECK(fix_take());
    CHECK(!fix_take());
    fix_turn(301000); /* what has come of it is */
    REQUIRE(fix_take());
    CHECK(fix_has(0, "\"change\":\"changed\""));
    fix_turn(301000);
    CHECK(!fix_take());
    end();
}

TEST(too_many_events_are_made_up_for)
{
    const struct inotify_event overflow = {.wd = -1, .mask = IN_Q_OVERFLOW};

    begin();
    put("a", "x");
    start(of("a", ""));
    put("a", "yy");
    given = (const char *)&overflow;
    given_len = sizeof overflow;
    CHECK(told("\"change\":\"changed\",\"size\":2}"));
    end();
}

TEST(a_file_that_may_not_be_read_is_watched_from_its_directory)
{
    begin();
    put("a", "x");
    hides = EACCES;
    start(of("a", ""));
    int fd = open(at("a"), O_WRONLY | O_APPEND | O_CLOEXEC);
    CHECK(fd >= 0 && write(fd, "y", 1) == 1);
    CHECK(told("\"change\":\"changed\",\"size\":2}"));
    close(fd);
    end();
}

TEST(a_directory_changes_as_a_whole)
{
    begin();
    start(of("b/", "")); /* a slash at its end is no other path */
    CHECK(mkdir(at("b"), 0700) == 0);
    fix_turn(0);
    fix_turn(1000);
    REQUIRE(fix.count == 1);
    CHECK(fix_has(0, "/b/\",\"change\":\"created\""));
    fix.count = 0;
    put("b/a", "");
    fix_turn(0);
    fix_turn(1000);
    REQUIRE(fix.count == 1);
    CHECK(fix_has(0, "/b/\",\"change\":\"changed\""));
    end();
}

TEST(links_are_followed)
{
    begin();
    put("target", "x");
    CHECK(symlink("target", at("a")) == 0);
    start(of("a", ""));
    put("target", "yy");
    CHECK(told("/a\",\"change\":\"changed\",\"size\":2}"));
    put("b", "zzz");
    CHECK(symlink("b", at("c")) == 0 && rename(at("c"), at("a")) == 0);
    CHECK(told("/a\",\"change\":\"changed\",\"size\":3}"));
    end();
}

/** Whoever puts in its place what leads nowhere has removed it. */
TEST(a_link_that_leads_nowhere_is_no_file)
{
    char target[301];

    begin();
    put("loop", "x");
    start(of("loop", ""));
    CHECK(unlink(at("loop")) == 0 && symlink("loop", at("loop")) == 0);
    CHECK(told("/loop\",\"change\":\"removed\"}"));
    CHECK(unlink(at("loop")) == 0);
    put("loop", "yy");
    CHECK(told("/loop\",\"change\":\"created\",\"size\":2}"));
    memset(target, 'x', sizeof target - 1);
    target[sizeof target - 1] = '\0';
    fix_turn(300000);
    fix.count = 0;
    CHECK(unlink(at("loop")) == 0 && symlink(target, at("loop")) == 0);
    CHECK(told("/loop\",\"change\":\"removed\"}"));
    CHECK_INT(sensor()->result, INSTANCE_OK);
    end();
}

TEST(a_reload_loses_nothing)
{
    begin();
    put("a", "x");
    put("b", "x");
    start(of("a", ""));
    put("a", "yy");
    put("b", "yy");
    snprintf(configuration, sizeof configuration,
             "{\"file\": {\"interval\": \"1m\", \"files\": [{\"path\": \"%s\"}, {\"path\": \"%s\"}]}}", at("b"), at("a"));
    REQUIRE(fix_start(configuration) == 1);
    fix_turn(1000);
    REQUIRE(fix.count == 1); /* b is new */
    CHECK(fix_has(0, "/a\",\"change\":\"changed\",\"size\":2}"));
    fix.count = 0;
    put("b", "zzz");
    CHECK(told("/b\",\"change\":\"changed\",\"size\":3}"));
    end();
}

TEST(what_cannot_be_looked_at_is_not_measured)
{
    begin();
    put("a", "x");
    refuses = EMFILE;
    REQUIRE(fix_start(of("a", "")) == 1);
    CHECK_INT(sensor()->result, INSTANCE_NOT_MEASURED);
    CHECK(strncmp(sensor()->why, "inotify: ", 9) == 0); /* libraries differ in the words */
    refuses = 0;
    fix_turn(300000);
    CHECK_INT(sensor()->result, INSTANCE_OK);
    full = ENOSPC;
    REQUIRE(fix_start(of("c", "")) == 1);
    fix_turn(300000);
    CHECK_INT(sensor()->result, INSTANCE_NOT_MEASURED);
    CHECK(strstr(sensor()->why, "/c: "));
    full = 0;
    put("c", "x");
    fix_turn(300000);
    CHECK_INT(sensor()->result, INSTANCE_OK);
    CHECK_INT(fix.count, 0); /* that was its first look */
    end();
}

TEST(configurations_that_are_refused)
{
    fix_refused("{\"file\": {}}", "beacons.file.files: missing: files to watch");
    fix_refused("{\"file\": {\"files\": [{\"max_size\": 3}]}}", "beacons.file.files[0].path: missing");
    fix_refused("{\"file\": {\"files\": [{\"path\": \"etc/passwd\"}]}}", "beacons.file.files[0]: path is not absolute");
}

TEST_MAIN(files_come_change_and_go, replacement_is_a_change, what_happens_at_once_is_one_event,
          directories_may_come_later, others_in_its_directory_do_not_matter,
          growth_counts_where_there_is_a_largest_size, one_that_changes_all_the_time_is_not_told_all_the_time,
          too_many_events_are_made_up_for, a_file_that_may_not_be_read_is_watched_from_its_directory,
          a_directory_changes_as_a_whole, links_are_followed, a_link_that_leads_nowhere_is_no_file, a_reload_loses_nothing, what_cannot_be_looked_at_is_not_measured,
          configurations_that_are_refused)
