#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "check.h"
#include "nefia/base/err.h"
#include "nefia/base/text.h"
#include "nefia/beacon/follow.h"

/* Real commands; time moves only by the test's hand. */
static struct clock_fake fake;
static struct loop loop;
static struct epoll_event found[8];
static struct child slots[1];
static struct children children;
static struct follow follow;
static char lines[8192];
static struct text got;
static unsigned count, changes;
static size_t longest;

static void on_signal(void *arg, int signo)
{
    (void)arg;
    if (signo == SIGCHLD)
        children_reap(&children);
}

static void on_line(void *arg, const char *line, size_t len)
{
    CHECK(arg == &follow);
    CHECK_INT(strlen(line), len);
    text_bytes(&got, line, len);
    text_char(&got, '|');
    count++;
    if (len > longest)
        longest = len;
}

static void on_change(void *arg)
{
    CHECK(arg == &follow);
    changes++;
}

static void begin(const char *const *argv)
{
    clock_fake_init(&fake, 1000, 0);
    if (loop.clock)
        loop_end(&loop);
    loop_init(&loop, &fake.clock, found, 8);
    loop_on_signal(&loop, on_signal, NULL);
    children_init(&children, &loop, slots, 1);
    text_init(&got, lines, sizeof lines);
    count = changes = 0;
    longest = 0;
    follow = (struct follow){.children = &children,
                             .argv = argv,
                             .line = on_line,
                             .changed = on_change,
                             .arg = &follow};
    follow_start(&follow);
}

static void until_lines(unsigned n)
{
    while (count < n)
        loop_turn(&loop, 1000);
}

static void until_changes(unsigned n)
{
    while (changes < n)
        loop_turn(&loop, 1000);
}

static void end(void)
{
    follow_stop(&follow);
    children_kill_all(&children);
}

#define SHELL(line) ((const char *const[]){"/bin/sh", "-c", line, NULL})

TEST(lines_come_while_it_runs)
{
    begin(SHELL("echo one; printf 'two\n\nfo'; echo ur >&2; while :; do sleep 1000; done"));
    until_lines(4);
    CHECK_STR(lines, "one|two||four|");
    CHECK_INT(changes, 0);
    CHECK_INT(follow.lines, 4);
    pid_t pid = slots[0].pid;
    CHECK(pid > 0 && kill(pid, 0) == 0);
    follow_stop(&follow);
    children_kill_all(&children);
    CHECK(kill(pid, 0) < 0);
    CHECK_INT(changes, 0);
    CHECK_INT(loop.watches, 0);
    CHECK(loop.first_timer == NULL);
}

TEST(it_is_restarted_later_and_later)
{
    static const uint64_t waits[] = {1000, 2000, 4000, 8000, 16000, 32000, 64000, 128000, 256000, 300000, 300000};

    begin(SHELL("printf last; exit 3"));
    for (unsigned i = 0; i < ARRAY_SIZE(waits); i++) {
        until_changes(i + 1);
        CHECK_STR(follow.why, "/bin/sh: ended with exit status 3");
        CHECK_INT(count, i + 1);
        CHECK_INT(follow.starts, i + 1);
        fake.now_ms += waits[i] - 1;
        loop_turn(&loop, 0);
        CHECK_INT(follow.starts, i + 1);
        fake.now_ms += 1;
        loop_turn(&loop, 0);
        CHECK_INT(follow.starts, i + 2);
    }
    end();
}

TEST(running_for_a_while_forgets_failures)
{
    begin(SHELL("echo up; while :; do sleep 1000; done"));
    until_lines(1);
    follow.failures = 5;
    text_init(&got, follow.why, sizeof follow.why);
    text_str(&got, "broken before");
    fake.now_ms += FOLLOW_STEADY_MS - 1;
    loop_turn(&loop, 0);
    CHECK_INT(changes, 0);
    fake.now_ms += 1;
    loop_turn(&loop, 0);
    CHECK_INT(changes, 1);
    CHECK_STR(follow.why, "");
    CHECK_INT(follow.failures, 0);
    kill(slots[0].pid, SIGKILL);
    until_changes(2);
    CHECK_STR(follow.why, "/bin/sh: ended by signal 9");
    CHECK_INT(follow.timer.at_ms, fake.now_ms + FOLLOW_FIRST_MS);
    end();
}

TEST(long_lines_are_cut)
{
    begin(SHELL("head -c 5000 /dev/zero | tr '\\0' x; echo; echo short; exit 0"));
    until_changes(1);
    CHECK_INT(count, 2);
    CHECK_INT(longest, CONFIG_FOLLOW_LINE_BYTES);
    CHECK_INT(follow.cut, 1);
    CHECK(strstr(lines, "x|short|") != NULL);
    end();
}

TEST(a_line_as_long_as_allowed_comes_once)
{
    char script[80];
    struct text t;

    text_init(&t, script, sizeof script);
    text_str(&t, "head -c ");
    text_u64(&t, CONFIG_FOLLOW_LINE_BYTES);
    text_str(&t, " /dev/zero | tr '\\0' x; echo; exit 0");
    begin(SHELL(script));
    until_changes(1);
    CHECK_INT(count, 1);
    CHECK_INT(follow.cut, 0);
    CHECK_INT(longest, CONFIG_FOLLOW_LINE_BYTES);
    end();
}

TEST(a_flood_leaves_the_loop_to_others)
{
    begin(SHELL("exec yes"));
    until_lines(1);
    unsigned before = count;
    loop_turn(&loop, 1000);
    CHECK(count - before <= FOLLOW_READS * CONFIG_FOLLOW_LINE_BYTES / 2 + 1);
    end();
    CHECK_INT(loop.watches, 0);
}

TEST(what_cannot_run_is_named)
{
    begin((const char *const[]){"/no/such/logread", "-f", NULL});
    CHECK_INT(changes, 1);
    CHECK(strstr(follow.why, "/no/such/logread: ") == follow.why);
    CHECK_INT(follow.starts, 0);
    CHECK_INT(count, 0);
    fake.now_ms += FOLLOW_FIRST_MS;
    loop_turn(&loop, 0);
    CHECK_INT(changes, 2);
    CHECK_INT(follow.timer.at_ms, fake.now_ms + 2 * FOLLOW_FIRST_MS);
    end();
    CHECK(loop.first_timer == NULL);
}

TEST(one_that_closes_its_output_is_restarted)
{
    begin(SHELL("echo bye; exec >&- 2>&-; while :; do sleep 1000; done"));
    until_lines(1);
    while (slots[0].out_watch.link != NULL)
        loop_turn(&loop, 1000);
    CHECK_INT(changes, 0);
    fake.now_ms += 2000;
    loop_turn(&loop, 0);
    CHECK_INT(changes, 1);
    CHECK_STR(follow.why, "/bin/sh: closed its output");
    end();
}

TEST(a_killed_one_that_is_not_reaped_yet_is_waited_for)
{
    begin(SHELL("echo up; while :; do sleep 1000; done"));
    until_lines(1);
    follow_stop(&follow);
    follow_start(&follow); /* the only slot is still the other one's */
    CHECK_INT(changes, 0);
    CHECK_INT(follow.slot, NEFIA_EFULL);
    children_kill_all(&children);
    fake.now_ms += FOLLOW_FIRST_MS;
    loop_turn(&loop, 0);
    until_lines(2);
    CHECK_INT(changes, 0);
    end();
}

TEST(one_without_a_slot_says_so)
{
    static struct follow other;

    begin(SHELL("echo up; while :; do sleep 1000; done"));
    until_lines(1);
    other = follow;
    other.argv = SHELL("echo other");
    other.arg = &follow;
    other.timer = (struct timer){0};
    follow_start(&other);
    CHECK_INT(changes, 0);
    fake.now_ms += FOLLOW_FIRST_MS;
    loop_turn(&loop, 0);
    CHECK_INT(changes, 1);
    CHECK_STR(other.why, "/bin/sh: too many commands are running");
    follow_stop(&other);
    end();
}

TEST_MAIN(lines_come_while_it_runs, it_is_restarted_later_and_later,
          running_for_a_while_forgets_failures, long_lines_are_cut,
          a_line_as_long_as_allowed_comes_once, a_flood_leaves_the_loop_to_others,
          what_cannot_run_is_named, one_that_closes_its_output_is_restarted,
          a_killed_one_that_is_not_reaped_yet_is_waited_for, one_without_a_slot_says_so)
