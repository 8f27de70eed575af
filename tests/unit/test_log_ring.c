#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"
#include "nefia/base/err.h"
#include "nefia/sys/log_ring.h"

static char dir[32], path[48], name[64], got[LOG_RING_SLOT + 64];

static void join(char *to, size_t cap, const char *a, const char *b)
{
    struct text t;

    text_init(&t, to, cap);
    text_str(&t, a);
    text_str(&t, b);
}

/** Where there is no memory to be had as a file, nothing can be tried. */
static bool setup(void)
{
    join(dir, sizeof dir, "/dev/shm/nefia-ring-", "XXXXXX");
    if (!mkdtemp(dir))
        return false;
    join(path, sizeof path, dir, "/b.sock");
    (void)close(open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600)); /* its file system is asked */
    join(name, sizeof name, path, LOG_RING_SUFFIX);
    return log_ring_open(path, (uint32_t)-1, 0) == 0;
}

static void teardown(void)
{
    log_ring_open(NULL, 0, 0);
    unlink(name);
    unlink(path);
    rmdir(dir);
}

static const char *line(int fd, uint32_t n)
{
    struct text t;

    text_init(&t, got, sizeof got);
    if (log_ring_read(fd, n, &t) == 0)
        return "none";
    CHECK(t.len > 21 && got[t.len - 1] == '\n');
    got[t.len - 1] = '\0';
    return got + sizeof "2026-03-10T15:30:00Z";
}

static void put(const char *s)
{
    log_ring_put(s, strlen(s));
}

TEST(lines_come_back_by_number)
{
    if (!setup())
        return;
    const int fd = log_ring_look(path);
    CHECK(fd >= 0);
    CHECK_INT(log_ring_last(fd), 0);
    CHECK_STR(line(fd, 1), "none");
    put("one");
    put("two\033[2J");
    CHECK_INT(log_ring_last(fd), 2);
    CHECK_STR(line(fd, 1), "one");
    CHECK_STR(line(fd, 2), "two?[2J");
    CHECK_STR(line(fd, 0), "none");
    CHECK_STR(line(fd, 2 + LOG_RING_LINES), "none");
    close(fd);
    teardown();
}

TEST(the_last_ones_stay_and_numbers_go_on)
{
    struct stat st;

    if (!setup())
        return;
    for (int i = 0; i < 3 * LOG_RING_LINES; i++)
        put(DEC(i));
    CHECK_INT(log_ring_open(path, (uint32_t)-1, 0), 0); /* the next daemon */
    put("next");
    const int fd = log_ring_look(path);
    CHECK_INT(log_ring_last(fd), 3 * LOG_RING_LINES + 1);
    CHECK_STR(line(fd, 3 * LOG_RING_LINES + 1), "next");
    CHECK_STR(line(fd, 3 * LOG_RING_LINES), DEC(3 * LOG_RING_LINES - 1));
    CHECK_STR(line(fd, 2 * LOG_RING_LINES + 1), "none");
    CHECK_STR(line(fd, 2 * LOG_RING_LINES + 2), DEC(2 * LOG_RING_LINES + 1));
    CHECK_INT(fstat(fd, &st), 0);
    CHECK(st.st_size <= LOG_RING_LINES * LOG_RING_SLOT);
    CHECK_INT(st.st_mode & 0777, 0600);
    close(fd);
    teardown();
}

TEST(a_long_line_is_cut)
{
    char big[3 * LOG_RING_SLOT];

    if (!setup())
        return;
    memset(big, 'x', sizeof big);
    log_ring_put(big, sizeof big);
    put("after");
    const int fd = log_ring_look(path);
    CHECK_INT(strlen(line(fd, 1)), LOG_RING_SLOT - LOG_RING_HEAD - 1);
    CHECK_STR(line(fd, 2), "after");
    close(fd);
    teardown();
}

TEST(rubbish_is_no_line)
{
    if (!setup())
        return;
    put("one");
    const int fd = log_ring_look(path);
    CHECK_INT(truncate(name, LOG_RING_SLOT + LOG_RING_HEAD), 0);
    CHECK_STR(line(fd, 1), "");
    CHECK_INT(truncate(name, LOG_RING_SLOT + LOG_RING_HEAD - 1), 0);
    CHECK_STR(line(fd, 1), "none");
    CHECK_INT(log_ring_last(fd), 0);
    close(fd);
    teardown();
}

/** A reader counts up to the last number: behind it there has to be another. */
TEST(there_is_a_number_behind_the_last)
{
    const uint8_t most[LOG_RING_SLOT] = {255, 255, 255, 255};

    if (!setup())
        return;
    put("one");
    const int fd = open(name, O_RDWR);
    CHECK_INT(pwrite(fd, most, sizeof most, (LOG_RING_LINES - 1) * LOG_RING_SLOT), sizeof most);
    CHECK_INT(log_ring_last(fd), 1);
    CHECK_STR(line(fd, UINT32_MAX), "none");
    close(fd);
    teardown();
}

TEST(never_on_flash)
{
    CHECK_INT(log_ring_open("/proc/b.sock", (uint32_t)-1, 0), NEFIA_ENOTSUP);
    CHECK_INT(log_ring_open("b.sock", (uint32_t)-1, 0), NEFIA_ENOTSUP);
    log_ring_put("nowhere", 7);
}

TEST_MAIN(lines_come_back_by_number, the_last_ones_stay_and_numbers_go_on, a_long_line_is_cut,
          rubbish_is_no_line, there_is_a_number_behind_the_last, never_on_flash)
