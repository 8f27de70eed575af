#include <fcntl.h>
#include <poll.h>
#include <time.h>
#include <unistd.h>

#include "check.h"
#include "nefia/sys/log.h"

static int pipe_ends[2];
static int waited_ms; /* total time the log was prepared to wait */

/** In the place of the C library's. */
int poll(struct pollfd *fds, nfds_t count, int timeout_ms)
{
    const struct timespec at_once = {0};

    waited_ms += timeout_ms;
    return ppoll(fds, count, &at_once, NULL);
}
static char got[8192];

static void setup(enum log_level least)
{
    CHECK_INT(pipe2(pipe_ends, O_NONBLOCK | O_CLOEXEC), 0);
    log_init("nefia", least);
    log_to_fd(pipe_ends[1]);
}

static const char *lines(void)
{
    ssize_t n = read(pipe_ends[0], got, sizeof got - 1);

    got[n > 0 ? n : 0] = '\0';
    return got;
}

static void teardown(void)
{
    close(pipe_ends[0]);
    close(pipe_ends[1]);
    log_to_fd(STDERR_FILENO);
}

TEST(levels_filter_lines)
{
    setup(LOG_LEVEL_INFO);
    LOG_ERROR("port ", DEC(9500), " in use");
    LOG_WARN("w");
    LOG_INFO("i");
    LOG_DEBUG("d");
    CHECK_STR(lines(), "nefia: error: port 9500 in use\nnefia: warning: w\nnefia: i\n");
    log_init("nefia-beacon", LOG_LEVEL_DEBUG);
    LOG_DEBUG("d");
    CHECK_STR(lines(), "nefia-beacon: debug: d\n");
    log_init("nefia-beacon", LOG_LEVEL_ERROR);
    LOG_WARN("quiet");
    CHECK_STR(lines(), "");
    teardown();
}

TEST(lines_cannot_be_forged)
{
    setup(LOG_LEVEL_INFO);
    LOG_INFO("peer says \"", "x\nnefia: error: fire\033[2J\r", "\"");
    CHECK_STR(lines(), "nefia: peer says \"x?nefia: error: fire?[2J?\"\n");
    teardown();
}

TEST(long_lines_end_in_dots)
{
    static char big[3 * CONFIG_LOG_LINE_BYTES];

    setup(LOG_LEVEL_INFO);
    memset(big, 'x', sizeof big - 1);
    LOG_INFO(big, "never seen");
    CHECK_INT(strlen(lines()), CONFIG_LOG_LINE_BYTES);
    CHECK_STR(got + CONFIG_LOG_LINE_BYTES - 5, "x...\n");
    /* One that just fits is not marked. */
    big[CONFIG_LOG_LINE_BYTES - strlen("nefia: ") - strlen("...\n")] = '\0';
    LOG_INFO(big);
    CHECK(strstr(lines(), "...") == NULL);
    CHECK_INT(strlen(got), CONFIG_LOG_LINE_BYTES - 3);
    teardown();
}

TEST(repetitions_are_counted)
{
    setup(LOG_LEVEL_INFO);
    LOG_INFO("same");
    LOG_INFO("same");
    LOG_INFO("sa", "me");
    LOG_INFO("other");
    LOG_INFO("other");
    LOG_INFO("third");
    LOG_WARN("third");
    CHECK_STR(lines(),
              "nefia: same\nnefia: last message repeated 2 times\nnefia: other\n"
              "nefia: last message repeated 1 time\nnefia: third\nnefia: warning: third\n");
    teardown();
}

TEST(endless_repetition_is_not_silence)
{
    setup(LOG_LEVEL_INFO);
    for (int i = 0; i <= 101; i++)
        LOG_INFO("again");
    CHECK_STR(lines(), "nefia: again\nnefia: last message repeated 10 times\n"
                       "nefia: last message repeated 100 times\n");
    log_flush();
    CHECK_STR(lines(), "nefia: last message repeated 101 times\n");
    log_flush();
    CHECK_STR(lines(), "");
    teardown();
}

TEST(blocked_reader_loses_lines)
{
    setup(LOG_LEVEL_INFO);
    static char filler[65536];
    while (write(pipe_ends[1], filler, sizeof filler) > 0 || write(pipe_ends[1], filler, 1) > 0)
        ;
    LOG_INFO("lost 1");
    LOG_INFO("lost 2");
    while (read(pipe_ends[0], filler, sizeof filler) > 0)
        ;
    LOG_INFO("seen");
    CHECK_STR(lines(), "nefia: warning: 2 log lines lost\nnefia: seen\n");
    teardown();
}

TEST(stuck_reader_is_waited_for_once)
{
    static char filler[65536];

    setup(LOG_LEVEL_INFO);
    while (write(pipe_ends[1], filler, sizeof filler) > 0 || write(pipe_ends[1], filler, 1) > 0)
        ;
    waited_ms = 0;
    for (int i = 0; i < 100; i++)
        LOG_INFO("line ", DEC(i));
    CHECK(waited_ms > 0 && waited_ms <= 100);
    teardown();
    setup(LOG_LEVEL_INFO); /* end the loss, for the following tests */
    LOG_INFO("");
    teardown();
}

TEST(syslog_falls_back_or_delivers)
{
    setup(LOG_LEVEL_INFO);
    log_to_syslog();
    if (access("/dev/log", F_OK) < 0) {
        LOG_INFO("nobody listens");
        CHECK_STR(lines(), "nefia: nobody listens\n");
    }
    teardown();
}

TEST_MAIN(levels_filter_lines, lines_cannot_be_forged, long_lines_end_in_dots, repetitions_are_counted,
          endless_repetition_is_not_silence, blocked_reader_loses_lines,
          stuck_reader_is_waited_for_once, syslog_falls_back_or_delivers)
