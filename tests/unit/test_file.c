#include "nefia/sys/file.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "check.h"
#include "nefia/base/err.h"
#include "nefia/base/text.h"

static char dir[] = "/tmp/nefia-file-XXXXXX";
static char path[FILE_PATH_MAX], temporary[FILE_PATH_MAX];

static void make_dir(void)
{
    if (path[0])
        return;
    REQUIRE(mkdtemp(dir));
    CHECK_INT(file_join(path, dir, "boot"), 0);
    CHECK_INT(file_join(temporary, dir, "boot.nefia-new"), 0);
}

static void put_raw(const char *bytes, size_t len)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

    CHECK_INT(write(fd, bytes, len), len);
    close(fd);
}

static void check_content(const char *want)
{
    char buf[64] = "";

    CHECK_INT(file_read(path, buf, sizeof buf - 1), strlen(want));
    CHECK_STR(buf, want);
    CHECK(access(temporary, F_OK) < 0);
}

TEST(joins_paths_within_bounds)
{
    char out[FILE_PATH_MAX], longest[FILE_PATH_MAX];

    CHECK_INT(file_join(out, "/a", "b"), 0);
    CHECK_STR(out, "/a/b");
    CHECK_INT(file_join(out, "/a/", "b"), 0);
    CHECK_STR(out, "/a/b");
    CHECK_INT(file_join(out, "/", "b"), 0);
    CHECK_STR(out, "/b");
    CHECK_INT(file_join(out, "", "b"), 0);
    CHECK_STR(out, "b");
    memset(longest, 'x', sizeof longest);
    longest[FILE_PATH_MAX - 3] = '\0';
    CHECK_INT(file_join(out, longest, "b"), 0);
    CHECK_INT(strlen(out), FILE_PATH_MAX - 1);
    CHECK_INT(file_join(out, longest, "bb"), NEFIA_ETOOBIG);
    CHECK_STR(out, "");
    longest[FILE_PATH_MAX - 3] = 'x';
    longest[FILE_PATH_MAX - 1] = '\0';
    CHECK_INT(file_write_atomic(longest, "", 0), NEFIA_ETOOBIG);
}

TEST(writes_and_reads_whole_files)
{
    struct stat st;
    char buf[8];

    make_dir();
    CHECK_INT(file_read(path, buf, sizeof buf), NEFIA_ENOTFOUND);
    CHECK_INT(file_write_atomic(path, "one", 3), 0);
    check_content("one");
    CHECK_INT(stat(path, &st), 0);
    CHECK_INT(st.st_mode & 0777, 0600);
    CHECK_INT(file_write_atomic(path, "", 0), 0);
    check_content("");
    CHECK_INT(file_write_atomic(path, "12345678", 8), 0);
    CHECK_INT(file_read(path, buf, 8), 8);
    CHECK_INT(file_read(path, buf, 7), NEFIA_ETOOBIG);
    CHECK_INT(file_read(dir, buf, 8), NEFIA_EINVAL);
    /* Leftovers of an interrupted write do not get in the way. */
    CHECK_INT(symlink(path, temporary), 0);
    CHECK_INT(file_write_atomic(path, "two", 3), 0);
    check_content("two");
}

TEST(fills_a_buffer)
{
    char buf[8] = "-------";

    make_dir();
    CHECK_INT(file_write_atomic(path, "0123456789", 10), 0);
    int fd = open(path, O_RDONLY);
    CHECK_INT(file_fill_at(fd, 2, buf, 3), 3);
    CHECK_STR(buf, "234----");
    CHECK_INT(file_fill_at(fd, 8, buf, 7), 2); /* the file ends */
    CHECK_STR(buf, "894----");
    CHECK_INT(file_fill_at(fd, 11, buf, 7), 0);
    CHECK_INT(file_fill_at(fd, 0, buf, 0), 0);
    CHECK_INT(file_fill(fd, buf, 3), 3); /* the position is another matter */
    CHECK_STR(buf, "012----");
    CHECK_INT(file_fill(fd, buf, 7), 7);
    CHECK_INT(file_fill(fd, buf, 7), 0);
    CHECK_STR(buf, "3456789");
    close(fd);
    CHECK_INT(unlink(path), 0);
    fd = open(dir, O_RDONLY | O_DIRECTORY);
    errno = 0;
    CHECK_INT(file_fill_at(fd, 0, buf, 7), NEFIA_EIO);
    CHECK_INT(errno, EISDIR);
    errno = 0;
    CHECK_INT(file_fill(fd, buf, 7), NEFIA_EIO);
    CHECK_INT(errno, EISDIR);
    close(fd);
}

TEST(relative_paths_work)
{
    char here[FILE_PATH_MAX], buf[8];

    make_dir();
    REQUIRE(getcwd(here, sizeof here));
    REQUIRE(chdir(dir) == 0);
    CHECK_INT(file_write_atomic("boot", "rel", 3), 0);
    CHECK_INT(file_read("boot", buf, sizeof buf), 3);
    REQUIRE(chdir(here) == 0);
    check_content("rel");
}

/* A file size limit stands for a full disk: the write comes back short, then fails. */
TEST(failed_write_leaves_the_old_file)
{
    struct rlimit old, small;
    int err, why;

    make_dir();
    CHECK_INT(file_write_atomic(path, "old", 3), 0);
    REQUIRE(getrlimit(RLIMIT_FSIZE, &old) == 0);
    small = old;
    small.rlim_cur = 5;
    signal(SIGXFSZ, SIG_IGN);
    REQUIRE(setrlimit(RLIMIT_FSIZE, &small) == 0);
    err = file_write_atomic(path, "0123456789", 10);
    why = errno;
    setrlimit(RLIMIT_FSIZE, &old);
    CHECK_INT(err, NEFIA_EIO);
    CHECK_INT(why, EFBIG);
    check_content("old");
}

TEST(failed_rename_leaves_nothing)
{
    make_dir();
    unlink(path);
    REQUIRE(mkdir(path, 0700) == 0);
    CHECK_INT(file_write_atomic(path, "new", 3), NEFIA_EIO);
    CHECK(access(temporary, F_OK) < 0);
    CHECK_INT(rmdir(path), 0);
    char missing[FILE_PATH_MAX];
    CHECK_INT(file_join(missing, dir, "no/boot"), 0);
    CHECK_INT(file_write_atomic(missing, "new", 3), NEFIA_EIO);
}

static void check_state(int want_err, uint64_t want)
{
    uint64_t v = 77;

    CHECK_INT(state_load_u64(dir, "boot", &v), want_err);
    CHECK_INT(v, want);
}

TEST(numbers_are_restored)
{
    static const uint64_t all[] = {0, 1, 9, 10, 4294967296u, UINT64_MAX};

    make_dir();
    unlink(path);
    check_state(NEFIA_ENOTFOUND, 0);
    for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
        CHECK_INT(state_store_u64(dir, "boot", all[i]), 0);
        check_state(0, all[i]);
    }
    CHECK_INT(state_store_u64(dir, "../boot", 1), NEFIA_EINVAL);
    CHECK_INT(state_store_u64(dir, "", 1), NEFIA_EINVAL);
    CHECK_INT(state_store_u64("/nonexistent", "boot", 1), NEFIA_EIO);
}

TEST(damage_at_every_byte_reads_as_zero)
{
    char good[64], bad[64];
    long len;

    make_dir();
    CHECK_INT(state_store_u64(dir, "boot", 1234567), 0);
    len = file_read(path, good, sizeof good);
    REQUIRE(len > 0 && len < 63);
    for (long i = 0; i < len; i++) {
        put_raw(good, (size_t)i);
        check_state(NEFIA_ESYNTAX, 0);
        for (int bit = 1; bit < 256; bit++) {
            memcpy(bad, good, sizeof bad);
            bad[i] = (char)(bad[i] ^ bit);
            put_raw(bad, (size_t)len);
            check_state(NEFIA_ESYNTAX, 0);
        }
    }
    memcpy(bad, good, sizeof bad);
    bad[len] = '\n';
    put_raw(bad, (size_t)len + 1);
    check_state(NEFIA_ESYNTAX, 0);
    memset(bad, 'x', sizeof bad);
    for (int i = 0; i < 3; i++) /* longer than any state line */
        put_raw(bad, sizeof bad);
    check_state(NEFIA_ESYNTAX, 0);
    put_raw(good, (size_t)len);
    check_state(0, 1234567);
}

/* A state file of another name, copied over, is not this one. */
TEST(state_knows_its_name)
{
    char other[FILE_PATH_MAX];
    uint64_t v;

    make_dir();
    CHECK_INT(state_store_u64(dir, "seq", 5), 0);
    CHECK_INT(file_join(other, dir, "seq"), 0);
    CHECK_INT(rename(other, path), 0);
    check_state(NEFIA_ESYNTAX, 0);
    CHECK_INT(state_load_u64(dir, "seq", &v), NEFIA_ENOTFOUND);
}

TEST(cleaned_up)
{
    if (path[0]) {
        unlink(path);
        CHECK_INT(rmdir(dir), 0);
    }
    CHECK(true);
}

static int waited_ms, free_at_ms, holder = -1;
static bool replaced; /* by the holder, before it ends */

/** Replaces the C library's: time passes at once, and the lock's holder ends at free_at_ms.
 */
int poll(struct pollfd *fds, nfds_t count, int timeout_ms)
{
    (void)fds;
    CHECK_INT(count, 0);
    waited_ms += timeout_ms;
    if (waited_ms >= free_at_ms && holder >= 0) {
        if (replaced)
            CHECK_INT(file_write_atomic(path, "new", 3), 0);
        close(holder);
        holder = -1;
    }
    return 0;
}

/** Another process's, as flock(2) tells locks apart by how the file was opened. */
static int lock_against_another(int free_after_ms)
{
    make_dir();
    holder = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    CHECK_INT(file_lock(holder), 0);
    waited_ms = 0;
    free_at_ms = free_after_ms;
    int err = file_lock(fd);
    close(fd);
    unlink(path);
    return err;
}

TEST(a_lock_is_exclusive)
{
    CHECK_INT(lock_against_another(FILE_LOCK_MS + 1), NEFIA_EEXIST);
    CHECK_INT(waited_ms, FILE_LOCK_MS);
    close(holder);
    holder = -1;
    CHECK_INT(file_lock(-1), NEFIA_EIO);
}

TEST(locking_waits_for_release)
{
    CHECK_INT(lock_against_another(FILE_LOCK_MS / 2), 0);
    CHECK_INT(waited_ms, FILE_LOCK_MS / 2);
}

TEST(what_was_replaced_is_opened_anew)
{
    char buf[8];

    make_dir();
    holder = file_open_locked(path, O_RDWR | O_CREAT);
    CHECK(holder >= 0);
    waited_ms = 0;
    free_at_ms = FILE_LOCK_MS + 1;
    CHECK_INT(file_open_locked(path, O_RDWR), NEFIA_EEXIST);
    waited_ms = 0;
    free_at_ms = FILE_LOCK_MS / 2;
    replaced = true;
    int fd = file_open_locked(path, O_RDWR);
    CHECK(fd >= 0);
    CHECK_INT(read(fd, buf, sizeof buf), 3);
    close(fd);
    unlink(path);
    CHECK_INT(file_open_locked(path, O_RDWR), NEFIA_EIO);
}

TEST_MAIN(a_lock_is_exclusive, locking_waits_for_release, what_was_replaced_is_opened_anew, joins_paths_within_bounds,
          writes_and_reads_whole_files, fills_a_buffer, relative_paths_work,
          failed_write_leaves_the_old_file, failed_rename_leaves_nothing, numbers_are_restored,
          damage_at_every_byte_reads_as_zero, state_knows_its_name, cleaned_up)
