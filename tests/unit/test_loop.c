#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include "check.h"
#include "nefia/base/err.h"
#include "nefia/sys/loop.h"

enum { CAPACITY = 8 };

struct fixture {
    struct clock_fake clock;
    struct loop loop;
    struct epoll_event found[CAPACITY];
    struct watch watches[CAPACITY];
    struct timer timers[8];
    int pipes[CAPACITY][2];
    char order[64];
    size_t fired;
    int calls;
    short last_revents;
};
static struct fixture f;

static void setup(const struct clock *clock)
{
    f = (struct fixture){0};
    clock_fake_init(&f.clock, 1000, 0);
    loop_init(&f.loop, clock ? clock : &f.clock.clock, f.found, CAPACITY);
    for (int i = 0; i < CAPACITY; i++)
        CHECK_INT(pipe2(f.pipes[i], O_CLOEXEC | O_NONBLOCK), 0);
}

static void teardown(void)
{
    loop_end(&f.loop);
    for (int i = 0; i < CAPACITY; i++) {
        close(f.pipes[i][0]);
        close(f.pipes[i][1]);
    }
}

static void note(void *arg)
{
    const char *name = arg;
    f.order[f.fired++] = *name;
}

TEST(timers_fire_in_order_and_once)
{
    setup(NULL);
    timer_start(&f.loop, &f.timers[0], 30, note, "c");
    timer_start(&f.loop, &f.timers[1], 10, note, "a");
    timer_start(&f.loop, &f.timers[2], 20, note, "b");
    timer_start(&f.loop, &f.timers[3], 20, note, "B");
    CHECK_INT(loop_turn(&f.loop, 0), 0);
    CHECK_INT(f.fired, 0);
    f.clock.now_ms += 20;
    loop_turn(&f.loop, 0);
    CHECK_STR(f.order, "abB");
    CHECK(!timer_active(&f.timers[1]));
    CHECK(timer_active(&f.timers[0]));
    f.clock.now_ms += 1000;
    loop_turn(&f.loop, 0);
    loop_turn(&f.loop, 0);
    CHECK_STR(f.order, "abBc");
    teardown();
}

TEST(rearmed_timer_moves)
{
    setup(NULL);
    timer_start(&f.loop, &f.timers[0], 10, note, "x");
    timer_start(&f.loop, &f.timers[1], 20, note, "y");
    timer_start(&f.loop, &f.timers[0], 30, note, "z");
    f.clock.now_ms += 25;
    loop_turn(&f.loop, 0);
    CHECK_STR(f.order, "y");
    f.clock.now_ms += 5;
    loop_turn(&f.loop, 0);
    CHECK_STR(f.order, "yz");
    timer_start(&f.loop, &f.timers[0], UINT64_MAX, note, "w");
    CHECK(f.timers[0].at_ms == UINT64_MAX);
    timer_stop(&f.timers[0]);
    timer_stop(&f.timers[0]);
    CHECK(f.loop.first_timer == NULL);
    teardown();
}

static void again(void *arg)
{
    f.fired++;
    timer_start(&f.loop, arg, 0, again, arg);
}

TEST(timer_of_zero_waits_for_the_next_turn)
{
    setup(NULL);
    timer_start(&f.loop, &f.timers[0], 0, again, &f.timers[0]);
    loop_turn(&f.loop, -1);
    CHECK_INT(f.fired, 1);
    loop_turn(&f.loop, -1);
    CHECK_INT(f.fired, 2);
    teardown();
}

static void stop_all_others(void *arg)
{
    note(arg);
    for (int i = 1; i < 4; i++)
        timer_stop(&f.timers[i]);
}

TEST(timer_stops_others_that_are_due)
{
    setup(NULL);
    timer_start(&f.loop, &f.timers[0], 1, stop_all_others, "s");
    timer_start(&f.loop, &f.timers[1], 2, note, "1");
    timer_start(&f.loop, &f.timers[2], 2, note, "2");
    timer_start(&f.loop, &f.timers[3], 50, note, "3");
    timer_start(&f.loop, &f.timers[4], 2, note, "4");
    f.clock.now_ms += 10;
    loop_turn(&f.loop, 0);
    CHECK_STR(f.order, "s4");
    f.clock.now_ms += 100;
    loop_turn(&f.loop, 0);
    CHECK_STR(f.order, "s4");
    CHECK(f.loop.first_timer == NULL && f.loop.due_timer == NULL);
    teardown();
}

static void rearm_other(void *arg)
{
    note(arg);
    timer_start(&f.loop, &f.timers[1], 5, note, "r");
}

TEST(timer_arms_another_due_one_for_later)
{
    setup(NULL);
    timer_start(&f.loop, &f.timers[0], 1, rearm_other, "a");
    timer_start(&f.loop, &f.timers[1], 2, note, "b");
    f.clock.now_ms += 10;
    loop_turn(&f.loop, 0);
    CHECK_STR(f.order, "a");
    f.clock.now_ms += 5;
    loop_turn(&f.loop, 0);
    CHECK_STR(f.order, "ar");
    teardown();
}

static void on_ready(void *arg, short revents)
{
    f.calls++;
    f.last_revents = revents;
    (void)arg;
}

TEST(watch_reports_readiness)
{
    setup(NULL);
    CHECK_INT(loop_watch(&f.loop, &f.watches[0], f.pipes[0][0], POLLIN, on_ready, NULL), 0);
    loop_turn(&f.loop, 0);
    CHECK_INT(f.calls, 0);
    CHECK_INT(write(f.pipes[0][1], "x", 1), 1);
    loop_turn(&f.loop, -1);
    CHECK_INT(f.calls, 1);
    CHECK_INT(f.last_revents, POLLIN);
    loop_watch_events(&f.watches[0], 0);
    loop_turn(&f.loop, 0);
    CHECK_INT(f.calls, 1);
    loop_unwatch(&f.loop, &f.watches[0]);
    loop_unwatch(&f.loop, &f.watches[0]);
    CHECK_INT(f.loop.watches, 0);
    teardown();
}

TEST(watch_table_full)
{
    static struct watch extra;

    setup(NULL);
    for (int i = 0; i < CAPACITY; i++)
        CHECK_INT(loop_watch(&f.loop, &f.watches[i], f.pipes[i][0], POLLIN, on_ready, NULL), 0);
    CHECK_INT(loop_watch(&f.loop, &extra, f.pipes[0][1], POLLIN, on_ready, NULL), NEFIA_EFULL);
    CHECK_INT(loop_watch(&f.loop, &f.watches[0], f.pipes[0][0], POLLIN, on_ready, NULL), 0);
    loop_unwatch(&f.loop, &f.watches[3]);
    CHECK_INT(loop_watch(&f.loop, &extra, f.pipes[0][1], POLLOUT, on_ready, NULL), 0);
    loop_turn(&f.loop, 0);
    CHECK_INT(f.calls, 1);
    loop_unwatch(&f.loop, &extra);
    teardown();
}

static void remove_all(void *arg, short revents)
{
    (void)arg, (void)revents;
    f.calls++;
    for (int i = 0; i < CAPACITY; i++)
        loop_unwatch(&f.loop, &f.watches[i]);
}

TEST(what_cannot_be_waited_for)
{
    setup(NULL);
    int file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    CHECK_INT(loop_watch(&f.loop, &f.watches[0], file, POLLIN, on_ready, NULL), NEFIA_EIO);
    CHECK_INT(errno, EPERM);
    CHECK_INT(loop_watch(&f.loop, &f.watches[0], f.pipes[0][1], POLLOUT, on_ready, NULL), 0);
    CHECK_INT(loop_watch(&f.loop, &f.watches[1], f.pipes[0][1], POLLOUT, on_ready, NULL), NEFIA_EIO);
    CHECK_INT(errno, EEXIST);
    CHECK_INT(f.loop.watches, 1);
    loop_turn(&f.loop, 0);
    CHECK_INT(f.calls, 1);
    close(file);
    teardown();
    CHECK_INT(loop_watch(&f.loop, &f.watches[1], f.pipes[0][1], POLLOUT, on_ready, NULL), NEFIA_EIO);
    CHECK_INT(loop_turn(&f.loop, 0), NEFIA_EIO);
    CHECK_INT(errno, EBADF);
}

/* A forked process has the descriptor, too, and keeps it ready. */
TEST(closed_descriptor_that_a_child_has_is_not_reported)
{
    setup(NULL);
    int copy = dup(f.pipes[0][1]);
    loop_watch(&f.loop, &f.watches[0], f.pipes[0][1], POLLOUT, on_ready, NULL);
    loop_unwatch(&f.loop, &f.watches[0]);
    close(f.pipes[0][1]);
    loop_turn(&f.loop, 0);
    CHECK_INT(f.calls, 0);
    f.pipes[0][1] = copy;
    teardown();
}

TEST(watch_removes_itself_and_all_others)
{
    setup(NULL);
    for (int i = 0; i < CAPACITY; i++)
        loop_watch(&f.loop, &f.watches[i], f.pipes[i][1], POLLOUT, remove_all, NULL);
    loop_turn(&f.loop, -1);
    CHECK_INT(f.calls, 1);
    CHECK(f.loop.first_watch == NULL);
    CHECK_INT(f.loop.watches, 0);
    loop_turn(&f.loop, 0);
    CHECK_INT(f.calls, 1);
    teardown();
}

static void reuse_slot(void *arg, short revents)
{
    (void)arg, (void)revents;
    f.calls++;
    /* As when a connection is closed and its slot reused in the same turn. */
    for (int i = 0; i < 2; i++)
        loop_watch(&f.loop, &f.watches[i], f.pipes[i][0], POLLIN, on_ready, NULL);
}

TEST(reused_watch_gets_no_stale_readiness)
{
    setup(NULL);
    loop_watch(&f.loop, &f.watches[0], f.pipes[0][1], POLLOUT, reuse_slot, NULL);
    loop_watch(&f.loop, &f.watches[1], f.pipes[1][1], POLLOUT, reuse_slot, NULL);
    loop_turn(&f.loop, -1);
    loop_turn(&f.loop, 0);
    CHECK_INT(f.calls, 1);
    teardown();
}

static void silence_other(void *arg, short revents)
{
    (void)revents;
    f.calls++;
    loop_watch_events(arg, POLLIN);
}

TEST(watch_events_withdrawn_in_the_same_turn)
{
    setup(NULL);
    loop_watch(&f.loop, &f.watches[0], f.pipes[0][1], POLLOUT, silence_other, &f.watches[1]);
    loop_watch(&f.loop, &f.watches[1], f.pipes[1][1], POLLOUT, silence_other, &f.watches[0]);
    loop_turn(&f.loop, -1);
    CHECK_INT(f.calls, 1);
    teardown();
}

static void watch_stops_timer(void *arg, short revents)
{
    (void)revents;
    f.calls++;
    timer_stop(arg);
}

TEST(watch_stops_a_due_timer)
{
    setup(NULL);
    loop_watch(&f.loop, &f.watches[0], f.pipes[0][1], POLLOUT, watch_stops_timer, &f.timers[0]);
    timer_start(&f.loop, &f.timers[0], 0, note, "x");
    loop_turn(&f.loop, 0);
    CHECK_INT(f.calls, 1);
    CHECK_INT(f.fired, 0);
    teardown();
}

static void timer_removes_watches(void *arg)
{
    note(arg);
    remove_all(NULL, 0);
}

TEST(timer_removes_watches_between_turns)
{
    setup(NULL);
    for (int i = 0; i < CAPACITY; i++)
        loop_watch(&f.loop, &f.watches[i], f.pipes[i][1], POLLOUT, on_ready, NULL);
    timer_start(&f.loop, &f.timers[0], 0, timer_removes_watches, "t");
    loop_turn(&f.loop, -1);
    CHECK_INT(f.calls, CAPACITY + 1);
    loop_turn(&f.loop, 0);
    CHECK_INT(f.calls, CAPACITY + 1);
    CHECK_STR(f.order, "t");
    teardown();
}

TEST(hang_up_is_always_reported)
{
    setup(NULL);
    loop_watch(&f.loop, &f.watches[0], f.pipes[0][0], 0, on_ready, NULL);
    close(f.pipes[0][1]);
    loop_turn(&f.loop, 1000);
    CHECK_INT(f.calls, 1);
    CHECK(f.last_revents & POLLHUP);
    f.pipes[0][1] = -1;
    teardown();
}

static void stop_loop(void *arg)
{
    f.fired++;
    loop_stop(arg);
}

/* As soon as something else has had its turn, too. */
static void stop_loop_if_busy(void *arg)
{
    if (f.calls > 1)
        stop_loop(arg);
    else
        timer_start(arg, &f.timers[0], 20, stop_loop_if_busy, arg);
}

/* The writable pipe keeps every turn busy; only the timer ends the run. */
TEST(timers_run_under_constant_io)
{
    setup(&clock_system);
    loop_watch(&f.loop, &f.watches[0], f.pipes[0][1], POLLOUT, on_ready, NULL);
    timer_start(&f.loop, &f.timers[0], 20, stop_loop_if_busy, &f.loop);
    CHECK_INT(loop_run(&f.loop), 0);
    CHECK_INT(f.fired, 1);
    teardown();
}

TEST(real_time_is_not_early)
{
    setup(&clock_system);
    uint64_t before = clock_ms(&clock_system);
    timer_start(&f.loop, &f.timers[0], 30, stop_loop, &f.loop);
    CHECK_INT(loop_run(&f.loop), 0);
    CHECK(clock_ms(&clock_system) - before >= 30);
    CHECK(f.loop.wakeups <= 3);
    teardown();
}

TEST(stop_before_run)
{
    setup(NULL);
    loop_stop(&f.loop);
    CHECK_INT(loop_run(&f.loop), 0);
    teardown();
}

static int seen[65];
static void on_signal(void *arg, int signo)
{
    seen[signo]++;
    if (signo == SIGTERM)
        loop_stop(arg);
}

static void reset_signals(void)
{
    memset(seen, 0, sizeof seen);
    loop_on_signal(&f.loop, on_signal, &f.loop);
}

TEST(signals_arrive_in_the_loop)
{
    setup(NULL);
    reset_signals();
    raise(SIGHUP);
    raise(SIGUSR1);
    raise(SIGCHLD);
    CHECK_INT(seen[SIGHUP], 0);
    loop_turn(&f.loop, 1000);
    /* One wait may deliver them one at a time. */
    for (int i = 0; i < 5; i++)
        loop_turn(&f.loop, 0);
    CHECK_INT(seen[SIGHUP], 1);
    CHECK_INT(seen[SIGUSR1], 1);
    CHECK_INT(seen[SIGCHLD], 1);
    CHECK_INT(seen[SIGTERM], 0);
    teardown();
}

TEST(signals_arrive_under_constant_io)
{
    setup(NULL);
    reset_signals();
    loop_watch(&f.loop, &f.watches[0], f.pipes[0][1], POLLOUT, on_ready, NULL);
    raise(SIGTERM);
    for (int i = 0; i < 3; i++)
        loop_turn(&f.loop, 0);
    CHECK_INT(seen[SIGTERM], 1);
    CHECK(f.loop.stop);
    teardown();
}

TEST(broken_pipe_does_not_kill)
{
    setup(NULL);
    close(f.pipes[0][0]);
    CHECK_INT(write(f.pipes[0][1], "x", 1), -1);
    f.pipes[0][0] = -1;
    teardown();
}

TEST_MAIN(timers_fire_in_order_and_once, rearmed_timer_moves,
          timer_of_zero_waits_for_the_next_turn, timer_stops_others_that_are_due,
          timer_arms_another_due_one_for_later, watch_reports_readiness, watch_table_full, what_cannot_be_waited_for, closed_descriptor_that_a_child_has_is_not_reported,
          watch_removes_itself_and_all_others, reused_watch_gets_no_stale_readiness,
          watch_events_withdrawn_in_the_same_turn, watch_stops_a_due_timer,
          timer_removes_watches_between_turns, hang_up_is_always_reported,
          timers_run_under_constant_io, real_time_is_not_early, stop_before_run,
          signals_arrive_in_the_loop, signals_arrive_under_constant_io, broken_pipe_does_not_kill)
