#include "nefia/hub/playbook_file.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "nefia/base/err.h"

static char dir[64], path[128], lock[128], buf[1024], why_buf[FILE_PATH_MAX + 128];
static struct playbook_file file;

static int open_it(void)
{
    struct text why;

    text_init(&why, why_buf, sizeof why_buf);
    return playbook_file_open(&file, dir, "0011", &why);
}

static void set_up(void)
{
    struct text t;

    strcpy(dir, "/tmp/playbook_file.XXXXXX");
    REQUIRE(mkdtemp(dir) != NULL);
    text_init(&t, path, sizeof path);
    text_str(&t, dir);
    text_str(&t, "/playbook.0011");
    text_init(&t, lock, sizeof lock);
    text_str(&t, path);
    text_str(&t, ".lock");
    REQUIRE(open_it() == 0);
}

static void tear_down(void)
{
    playbook_file_remove(&file);
    playbook_file_close(&file);
    REQUIRE(rmdir(dir) == 0); /* nothing stays behind */
}

static int store(const char *json)
{
    memcpy(buf + PLAYBOOK_FILE_HEAD, json, strlen(json));
    return playbook_file_store(&file, buf, strlen(json));
}

static void expect(const char *json)
{
    memset(buf, 0, sizeof buf);
    REQUIRE(playbook_file_load(&file, buf, sizeof buf) == (long)strlen(json));
    buf[PLAYBOOK_FILE_HEAD + strlen(json)] = '\0';
    CHECK_STR(buf + PLAYBOOK_FILE_HEAD, json);
}

static void write_bytes(const char *bytes, size_t len)
{
    REQUIRE(file_write_atomic(path, bytes, len) == 0);
}

TEST(a_position_is_read_as_it_was_written)
{
    struct stat st;

    set_up();
    CHECK_INT(playbook_file_load(&file, buf, sizeof buf), NEFIA_ENOTFOUND);
    CHECK_INT(store("{\"a\":1}"), 0);
    expect("{\"a\":1}");
    CHECK_INT(store("{\"step\":\"the second one\"}"), 0);
    expect("{\"step\":\"the second one\"}");
    REQUIRE(stat(path, &st) == 0);
    CHECK_INT(st.st_mode & 0777, 0600);
    CHECK_INT(playbook_file_load(&file, buf, 80), NEFIA_ETOOBIG);
    playbook_file_close(&file); /* it is kept, and so is its lock's file */
    CHECK_INT(access(lock, F_OK), 0);
    REQUIRE(open_it() == 0);
    expect("{\"step\":\"the second one\"}");
    tear_down();
}

TEST(what_is_cut_or_changed_at_any_byte_is_damaged)
{
    static char whole[512];
    long len;

    set_up();
    REQUIRE(store("{\"id\":\"0011223344556677\",\"position\":{\"step\":3}}") == 0);
    len = file_read(path, whole, sizeof whole);
    REQUIRE(len > PLAYBOOK_FILE_HEAD);
    for (long n = 0; n < len; n++) {
        write_bytes(whole, (size_t)n);
        CHECK_INT(playbook_file_load(&file, buf, sizeof buf), NEFIA_ESYNTAX);
    }
    for (long n = 0; n < len; n++) {
        whole[n] ^= 0x20;
        write_bytes(whole, (size_t)len);
        CHECK_INT(playbook_file_load(&file, buf, sizeof buf), NEFIA_ESYNTAX);
        whole[n] ^= 0x20;
    }
    whole[len] = '\n';
    write_bytes(whole, (size_t)len + 1);
    CHECK_INT(playbook_file_load(&file, buf, sizeof buf), NEFIA_ESYNTAX);
    write_bytes(whole, (size_t)len);
    expect("{\"id\":\"0011223344556677\",\"position\":{\"step\":3}}");
    tear_down();
}

TEST(a_link_in_its_place_is_not_followed)
{
    set_up();
    REQUIRE(symlink("/etc/passwd", path) == 0);
    CHECK(playbook_file_load(&file, buf, sizeof buf) < 0);
    CHECK_INT(store("{}"), 0); /* it is replaced */
    expect("{}");
    tear_down();
}

TEST(one_at_a_time)
{
    int status = 0;

    set_up();
    const pid_t pid = fork();
    if (pid == 0)
        _exit(open_it() == NEFIA_EEXIST && strstr(why_buf, "another process carries this run out") ? 0 : 1);
    REQUIRE(waitpid(pid, &status, 0) == pid);
    CHECK_INT(status, 0);
    tear_down();
}

TEST(without_a_directory_nothing_is_kept)
{
    struct text why;

    text_init(&why, why_buf, sizeof why_buf);
    CHECK_INT(playbook_file_open(&file, "", "0011", &why), 0);
    CHECK_INT(store("{}"), 0);
    CHECK_INT(playbook_file_load(&file, buf, sizeof buf), NEFIA_ENOTFOUND);
    playbook_file_remove(&file);
    playbook_file_close(&file);
    CHECK_INT(playbook_file_open(&file, "/nowhere/at/all", "0011", &why), NEFIA_EIO);
    CHECK(strstr(why_buf, "/nowhere/at/all/playbook.0011.lock"));
    CHECK_INT(playbook_file_open(&file, "/tmp", "0123456789012345678901234567890123456789", &why), NEFIA_ETOOBIG);
}

TEST_MAIN(a_position_is_read_as_it_was_written, what_is_cut_or_changed_at_any_byte_is_damaged, a_link_in_its_place_is_not_followed,
          one_at_a_time, without_a_directory_nothing_is_kept)
