#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "nefia/net/tcp.h"
#include "nefia/sys/dir.h"
#include "op_fixture.h"
#include "tempdir.h"

#define OTHER "fedcba9876543210"

static char root[32], state[96], line[8192];
static char denied[96]; /* the policy's one path; empty: none */

static struct verdict judge(void *arg, const struct policy_case *c)
{
    (void)arg;
    if (denied[0] && c->path && strncmp(c->path, denied, strlen(denied)) == 0)
        return (struct verdict){.kind = VERDICT_DENIED, .reason = "lies there"};
    return (struct verdict){.kind = VERDICT_ALLOWED};
}

static struct op_place place = {.guard = {judge, NULL}, .host = "r1", .work = work, .work_cap = sizeof work};

static void begin(void)
{
    char resolved[32] = "/tmp/nefia-op-XXXXXX";

    REQUIRE(mkdtemp(resolved) != NULL);
    snprintf(root, sizeof root, "%s", resolved);
    snprintf(state, sizeof state, "%s/state", root);
    CHECK(mkdir(state, 0700) == 0);
    place.state_dir = state;
    denied[0] = '\0';
    umask(022);
}

static void end(void)
{
    CHECK(remove_tempdir(root));
}

static const char *at(const char *name)
{
    static char paths[4][256];
    static unsigned next;
    char *path = paths[next++ % 4];

    snprintf(path, sizeof paths[0], "%s/%s", root, name);
    return path;
}

static void put_file(const char *name, const char *content, unsigned mode)
{
    const int fd = open(at(name), O_WRONLY | O_CREAT | O_TRUNC, 0600);

    REQUIRE(fd >= 0);
    CHECK(write(fd, content, strlen(content)) == (ssize_t)strlen(content));
    CHECK(fchmod(fd, mode) == 0 && close(fd) == 0);
}

/** "(none)" if it is not there. */
static const char *content(const char *name)
{
    static char buf[4096];
    const int fd = open(at(name), O_RDONLY);
    ssize_t n;

    if (fd < 0)
        return "(none)";
    n = read(fd, buf, sizeof buf - 1);
    close(fd);
    buf[n > 0 ? n : 0] = '\0';
    return buf;
}

static unsigned mode(const char *name)
{
    struct stat st;

    return stat(at(name), &st) == 0 ? st.st_mode & 07777 : 0;
}

/** How many files are in a directory below the root; state is one. */
static unsigned files(const char *name)
{
    struct dir d;
    unsigned n = 0;

    if (dir_open(&d, at(name)) < 0)
        return 999;
    while (dir_next(&d))
        n++;
    return n;
}

/** {"file":{"path":"ROOT/NAME",more},"of":[run,1]} and so on. */
static int do_op(const char *kind, const char *name, const char *more, const char *run)
{
    const int n = snprintf(line, sizeof line, "{\"%s\":{\"path\":\"%s\"%s}", kind, at(name), more);

    snprintf(line + n, sizeof line - (size_t)n, run ? ",\"of\":[\"%s\",1]}" : "}", run);
    carry_out(&place, line);
    return result.exit_code;
}

static int write_as(const char *name, const char *text_, const char *more, const char *run)
{
    char members[256];

    snprintf(members, sizeof members, ",\"content\":\"%s\"%s", text_, more);
    return do_op("file", name, members, run);
}

#define BACKUP ",\"backup\":true"

TEST(a_file_is_written_with_a_mode)
{
    begin();
    CHECK_INT(write_as("new", "a\\nb\\n", "", NULL), 0);
    CHECK_STR(content("new"), "a\nb\n");
    CHECK_INT(mode("new"), 0644);
    CHECK_INT(write_as("other", "", ",\"mode\":\"0755\"", NULL), 0);
    CHECK_STR(content("other"), "");
    CHECK_INT(mode("other"), 0755);
    put_file("old", "old", 0640);
    CHECK_INT(write_as("old", "new", "", NULL), 0);
    CHECK_STR(content("old"), "new");
    CHECK_INT(mode("old"), 0640);
    CHECK_INT(write_as("old", "newer", ",\"mode\":\"0600\"", NULL), 0);
    CHECK_INT(mode("old"), 0600);
    CHECK_INT(files(""), 4); /* and nothing temporary */
    end();
}

TEST(its_owner_is_kept)
{
    struct stat st;

    begin();
    put_file("a", "old", 0644);
    if (geteuid() == 0) {
        CHECK(chown(at("a"), 1234, 5678) == 0);
        CHECK_INT(write_as("a", "new", BACKUP, NULL), 0);
        CHECK(stat(at("a"), &st) == 0 && st.st_uid == 1234 && st.st_gid == 5678);
        CHECK_INT(do_op("restore", "a", "", NULL), 0);
        CHECK_STR(content("a"), "old");
        CHECK(stat(at("a"), &st) == 0 && st.st_uid == 1234 && st.st_gid == 5678);
        CHECK(unlink(at("a")) == 0);
        CHECK_INT(do_op("restore", "a", "", NULL), 0);
        CHECK(stat(at("a"), &st) == 0 && st.st_uid == 1234 && st.st_gid == 5678);
    } else {
        CHECK_INT(write_as("a", "new", "", NULL), 0);
        CHECK(stat(at("a"), &st) == 0 && st.st_uid == geteuid());
    }
    end();
}

TEST(a_file_is_copied)
{
    char members[256];

    begin();
    for (unsigned i = 0; i < 5000; i++)
        line[i] = (char)('a' + i % 26);
    line[5000] = '\0';
    put_file("source", line, 0600);
    snprintf(members, sizeof members, ",\"from\":\"%s\"", at("source"));
    CHECK_INT(do_op("file", "copy", members, NULL), 0);
    CHECK(strncmp(content("copy"), content("source"), 4000) == 0);
    CHECK_INT(mode("copy"), 0644);
    snprintf(members, sizeof members, ",\"from\":\"%s\"", at("missing"));
    CHECK_INT(do_op("file", "copy", members, NULL), OP_FAILED);
    CHECK(strstr(output, "/missing: nothing has the path as its name"));
    snprintf(members, sizeof members, ",\"from\":\"%s\"", state);
    CHECK_INT(do_op("file", "copy", members, NULL), OP_FAILED);
    snprintf(members, sizeof members, ",\"from\":\"%s\"", "/dev/zero");
    CHECK_INT(do_op("file", "copy", members, NULL), OP_FAILED);
    CHECK(strstr(output, "/dev/zero: not a regular file"));
    CHECK(strncmp(content("copy"), "abc", 3) == 0);
    end();
}

TEST(what_is_no_file_is_left_alone)
{
    begin();
    CHECK_INT(write_as("state", "x", "", NULL), OP_FAILED);
    CHECK(strstr(output, "/state: not a regular file"));
    CHECK_INT(write_as("new/", "x", "", NULL), OP_FAILED);
    CHECK_INT(write_as("no/new", "x", "", NULL), OP_FAILED);
    CHECK(strstr(output, "a directory of the path does not exist"));
    CHECK(mkfifo(at("pipe"), 0600) == 0);
    CHECK_INT(write_as("pipe", "x", BACKUP, NULL), OP_FAILED);
    CHECK_INT(do_op("restore", "pipe", "", NULL), OP_FAILED);
    CHECK_INT(files(""), 2);
    CHECK_INT(files("state"), 0);
    end();
}

TEST(links_lead_where_the_policy_looks)
{
    begin();
    CHECK(mkdir(at("there"), 0755) == 0 && mkdir(at("here"), 0755) == 0);
    put_file("there/a", "old", 0644);
    CHECK(symlink("../there/a", at("here/link")) == 0 && symlink("there", at("to")) == 0);
    CHECK_INT(write_as("here/link", "new", "", NULL), 0);
    CHECK_STR(content("there/a"), "new");
    snprintf(denied, sizeof denied, "%s/there", root);
    CHECK_INT(write_as("here/link", "bad", "", NULL), OP_DENIED);
    CHECK(strncmp(output, "denied: ", 8) == 0 && strstr(output, "/there/a: lies there"));
    CHECK_INT(write_as("to/b", "bad", "", NULL), OP_DENIED);
    CHECK_INT(do_op("restore", "to/a", "", NULL), OP_DENIED);
    CHECK_INT(do_op("file", "c", ",\"from\":\"/tmp/../proc/self/../1/root/x\"", NULL), OP_FAILED);
    CHECK_STR(content("there/a"), "new");
    CHECK_STR(content("to/b"), "(none)");
    end();
}

TEST(a_backup_is_restored)
{
    begin();
    put_file("a", "one", 0640);
    CHECK_INT(write_as("a", "two", BACKUP, NULL), 0);
    CHECK(strncmp(output, "backup: backup.a.", 17) == 0);
    CHECK_INT(write_as("a", "three", ",\"mode\":\"0600\"" BACKUP, NULL), 0);
    CHECK_INT(files("state"), 2);
    CHECK_INT(do_op("restore", "a", "", NULL), 0);
    CHECK_STR(content("a"), "two");
    CHECK_INT(mode("a"), 0640);
    CHECK_INT(do_op("restore", "a", "", NULL), 0);
    CHECK_STR(content("a"), "two");
    CHECK_INT(do_op("restore", "b", "", NULL), OP_FAILED);
    CHECK(strstr(output, "/b: has no backup"));
    end();
}

TEST(a_file_that_was_not_there_is_removed)
{
    begin();
    CHECK_INT(write_as("a", "x", BACKUP, RUN), 0);
    CHECK_INT(files("state"), 1);
    CHECK_INT(do_op("restore", "a", ",\"run\":\"" RUN "\"", NULL), 0);
    CHECK_STR(content("a"), "(none)");
    CHECK_INT(do_op("restore", "a", ",\"run\":\"" RUN "\"", NULL), 0);
    CHECK_STR(content("a"), "(none)");
    end();
}

TEST(a_run_gets_back_what_was_before_it)
{
    begin();
    put_file("a", "before", 0644);
    CHECK_INT(write_as("a", "first", BACKUP, OTHER), 0);
    CHECK_INT(write_as("a", "second", BACKUP, RUN), 0);
    CHECK_INT(write_as("a", "third", BACKUP, RUN), 0); /* keeps the first of this run */
    CHECK_INT(files("state"), 2);
    CHECK_INT(do_op("restore", "a", ",\"run\":\"" RUN "\"", OTHER), 0);
    CHECK_STR(content("a"), "first");
    CHECK_INT(do_op("restore", "a", ",\"run\":\"" OTHER "\"", NULL), 0);
    CHECK_STR(content("a"), "before");
    /* A run whose step did not come so far has changed nothing. */
    CHECK_INT(do_op("restore", "a", ",\"run\":\"0000000000000001\"", NULL), 0);
    CHECK(strstr(output, "/a: not changed by this run"));
    CHECK_STR(content("a"), "before");
    end();
}

TEST(the_last_backups_are_kept)
{
    char run[32], members[64];

    begin();
    put_file("a", "0", 0644);
    for (unsigned i = 1; i <= 9; i++) {
        char text_[2] = {(char)('0' + i), '\0'};
        snprintf(run, sizeof run, "00000000000000%02u", i);
        CHECK_INT(write_as("a", text_, BACKUP, run), 0);
        CHECK((strstr(output, "removed the oldest backup: ") != NULL) == (i > 4));
    }
    CHECK_INT(files("state"), 4);
    snprintf(members, sizeof members, ",\"run\":\"%s\"", "0000000000000006");
    CHECK_INT(do_op("restore", "a", members, NULL), 0);
    CHECK_STR(content("a"), "5");
    put_file("b", "b", 0644);
    CHECK_INT(write_as("b", "c", BACKUP, NULL), 0);
    CHECK_INT(files("state"), 5); /* those of another file are not counted */
    end();
}

/** Else its rollback would find none, and say that it has changed nothing. */
TEST(what_else_changes_the_file_takes_no_backup_from_a_run)
{
    begin();
    put_file("a", "before", 0644);
    CHECK_INT(write_as("a", "by the run", BACKUP, RUN), 0);
    for (unsigned i = 0; i < 9; i++)
        CHECK_INT(write_as("a", "by hand", BACKUP, NULL), 0);
    CHECK_INT(files("state"), 5);
    CHECK_INT(do_op("restore", "a", ",\"run\":\"" RUN "\"", NULL), 0);
    CHECK_STR(content("a"), "before");
    end();
}

TEST(backups_stand_beside_the_file_without_a_state_dir)
{
    begin();
    place.state_dir = NULL;
    CHECK(mkdir(at("d"), 0755) == 0);
    put_file("d/a", "one", 0644);
    CHECK_INT(write_as("d/a", "two", BACKUP, NULL), 0);
    CHECK_INT(files("d"), 2);
    CHECK_INT(files("state"), 0);
    CHECK_INT(do_op("restore", "d/a", "", NULL), 0);
    CHECK_STR(content("d/a"), "one");
    place.state_dir = at("nowhere");
    CHECK_INT(write_as("d/a", "three", BACKUP, NULL), OP_FAILED);
    CHECK(strstr(output, "/nowhere: no directory for backups: "));
    CHECK_STR(content("d/a"), "one"); /* no backup, no change */
    end();
}

TEST(what_a_power_cut_left_is_replaced)
{
    char leftover[64];
    const char *name = "a";

    begin();
    snprintf(leftover, sizeof leftover, ".nefia-new-%u", hash_bytes(HASH_START, name, strlen(name)));
    put_file("victim", "safe", 0600);
    CHECK(symlink("victim", at(leftover)) == 0);
    CHECK_INT(write_as("a", "new", "", NULL), 0);
    CHECK_STR(content("a"), "new");
    CHECK_STR(content("victim"), "safe");
    CHECK_INT(files(""), 3);
    end();
}

/* ---- wait_for ---- */

TEST(a_path_is_waited_for)
{
    begin();
    put_file("a", "", 0644);
    CHECK_INT(do_op("wait_for", "a", "", NULL), 0);
    CHECK_INT(do_op("wait_for", "", "", NULL), 0);
    snprintf(denied, sizeof denied, "%s/a", root);
    CHECK_INT(do_op("wait_for", "a", "", NULL), OP_DENIED);
    snprintf(line, sizeof line, "{\"wait_for\":{\"path\":\"%s\"},\"timeout_ms\":300}", at("never"));
    carry_out(&place, line);
    CHECK(result.timed_out);
    /* What comes while it is waited for. */
    const pid_t writer = fork();
    if (writer == 0) {
        usleep(300 * 1000);
        _exit(open(at("comes"), O_WRONLY | O_CREAT, 0600) < 0);
    }
    CHECK_INT(do_op("wait_for", "comes", "", NULL), 0);
    CHECK_STR(content("comes"), "");
    waitpid(writer, NULL, 0);
    end();
}

TEST(a_port_is_waited_for)
{
    struct addr a;
    char port[64];

    CHECK_INT(addr_parse(&a, "127.0.0.1:1", 11, 0, NULL), 0);
    a.port = 0;
    const int fd = tcp_listen_plain(&a, 1);
    REQUIRE(fd >= 0 && tcp_local(fd, &a) == 0);
    snprintf(port, sizeof port, "127.0.0.1:%u", a.port);
    snprintf(line, sizeof line, "{\"wait_for\":{\"port\":\"%s\"}}", port);
    carry_out(&place, line);
    CHECK_INT(result.exit_code, 0);
    close(fd);
    snprintf(line, sizeof line, "{\"wait_for\":{\"port\":\"%s\"},\"timeout_ms\":300}", port);
    carry_out(&place, line);
    CHECK(result.timed_out);
    carry_out(&place, "{\"wait_for\":{\"port\":\"nothing\"}}");
    CHECK_INT(result.exit_code, OP_FAILED);
    CHECK(strncmp(output, "nothing: ", 9) == 0);
}

TEST_MAIN(a_file_is_written_with_a_mode, its_owner_is_kept, a_file_is_copied, what_is_no_file_is_left_alone,
          links_lead_where_the_policy_looks, a_backup_is_restored, a_file_that_was_not_there_is_removed, a_run_gets_back_what_was_before_it,
          the_last_backups_are_kept, what_else_changes_the_file_takes_no_backup_from_a_run, backups_stand_beside_the_file_without_a_state_dir, what_a_power_cut_left_is_replaced,
          a_path_is_waited_for, a_port_is_waited_for)
