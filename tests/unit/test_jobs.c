#include "check.h"

#include <signal.h>

#include "nefia/base/err.h"
#include "nefia/hub/jobs.h"

enum { SLOTS = 8, BLOCKS = 64, LIMIT = 4 };

static struct clock_fake fake;
static struct loop loop;
static struct epoll_event found[32];
static struct child child_slots[LIMIT + 1];
static struct children children;
static struct action_scratch scratch;
static char line_buf[CONFIG_EVENT_BYTES];
static struct job slots[SLOTS];
static struct job_block blocks[BLOCKS];
static char outputs[LIMIT * JOB_OUTPUT];
static struct jobs jobs;

/* What is settled, in order: "row:ok" or "row:error". */
static char settled_buf[1024];
static struct text settled;
static bool rule_is_there, bad_event;
static char last_line[CONFIG_EVENT_BYTES + 1];

/** In the child: acts on the first byte of the event. `0`…`9` exit status, `h` hangs, `a` requests a
 * retry. */
static int run_child(void *arg)
{
    const struct action_request *r = arg;
    char c = r->event->line.ptr[0];

    if (c == 'h')
        pause();
    if (c == 'a' && r->attempt > 2)
        return 0;
    return c == 'a' ? 99 : c - '0';
}

static uint64_t sent_job;

static int start(const struct action_request *r, struct action_scratch *s,
                 struct child_spec *spec, struct text *why)
{
    if (r->event->line.ptr[0] == 'p' && !r->approved) {
        spec->deadline_ms = 60000;
        return ACTION_PENDING;
    }
    if (r->event->line.ptr[0] == 'p' || r->event->line.ptr[0] == 's') {
        sent_job = r->job;
        spec->deadline_ms = 5000;
        return ACTION_SENT;
    }
    if (r->event->line.ptr[0] == 'x') {
        text_str(why, "cannot be prepared");
        return NEFIA_EINVAL;
    }
    s->request = *r;
    spec->run = run_child;
    spec->run_arg = &s->request;
    spec->deadline_ms = 5000;
    return ACTION_CHILD;
}

static enum action_outcome judge(const struct child_result *r, const char *output,
                                 uint64_t timeout_ms, struct text *error)
{
    (void)output;
    (void)timeout_ms;
    if (r->exit_code == 0)
        return ACTION_DONE;
    text_str(error, r->timed_out ? "timed out" : "exit ");
    if (!r->timed_out)
        text_u64(error, (uint64_t)r->exit_code);
    return r->exit_code == 99 ? ACTION_AGAIN : ACTION_FAILED;
}

static uint64_t asked_ms;

static uint64_t delay_ms(const char *output, size_t len, uint64_t backoff_ms)
{
    (void)output;
    (void)len;
    return asked_ms > backoff_ms ? asked_ms : backoff_ms;
}

static const struct action_class class = {
    .name = "test", .jobs = SLOTS, .running = LIMIT, .start = start, .judge = judge, .delay_ms = delay_ms};
static const struct action_class other_class = {.name = "other"};
static struct action actions[2]; /* each its own lane */

static bool hook_rule(void *arg, uint16_t rule, struct action_request *out)
{
    (void)arg;
    if (!rule_is_there || rule > 1)
        return false;
    out->action = &actions[rule];
    out->rule = "rule";
    return true;
}

static void hook_settled(void *arg, const struct job *job, bool done, const char *error,
                         const struct child_result *r, const char *output)
{
    (void)arg;
    (void)r;
    (void)output;
    text_u64(&settled, job->row);
    text_char(&settled, ':');
    text_str(&settled, done ? "ok" : error);
    text_char(&settled, ' ');
}

static int hook_decode(void *arg, const char *line, size_t len, struct event *out)
{
    (void)arg;
    memcpy(last_line, line, len);
    last_line[len] = '\0';
    *out = (struct event){.line = {line, len}};
    return bad_event ? NEFIA_ESYNTAX : 0;
}

/** As the end of a turn does it. */
static void go(void)
{
    jobs_choose(&jobs);
    jobs_begin(&jobs, true);
}

static void hook_ready(void *arg)
{
    (void)arg;
    go();
}

static void on_signal(void *arg, int signo)
{
    (void)arg;
    if (signo == SIGCHLD)
        children_reap(&children);
}

static void setup(void)
{
    const struct job_hooks job_hooks = {
        .rule = hook_rule, .settled = hook_settled, .ready = hook_ready, .decode = hook_decode};

    children_kill_all(&children);
    clock_fake_init(&fake, 1000, 0);
    if (loop.clock)
        loop_end(&loop);
    loop_init(&loop, &fake.clock, found, 32);
    loop_on_signal(&loop, on_signal, NULL);
    children_init(&children, &loop, child_slots, LIMIT + 1);
    jobs_init(&jobs, &loop, &children, &scratch, line_buf, &job_hooks);
    jobs_store(&jobs, blocks, BLOCKS);
    jobs_add_queue(&jobs, &class, slots, outputs);
    text_init(&settled, settled_buf, sizeof settled_buf);
    rule_is_there = true;
    bad_event = false;
    for (uint16_t i = 0; i < 2; i++)
        actions[i] = (struct action){.class = &class, .lane = ACTION_LANE_RULE, .retries = 3};
}

enum { WEB = 7, MAIL, FTP }; /* hashes of hosts */

static uint64_t last_id;

/** One more action of an event. */
static int push_for(struct job_event *e, uint16_t rule, uint64_t row)
{
    return jobs_push(&jobs, e,
                     &(struct job_order){.id = ++last_id, .action = &actions[rule], .rule = rule, .name = "rule", .row = row});
}

/** An event without a NUL at its end. */
static int push_long(uint32_t host, uint64_t row, const char *line, size_t len)
{
    struct job_event e = {.id = ++last_id, .host = host, .line = line, .len = len};

    return push_for(&e, 0, row);
}

static int push_of(uint32_t host, uint16_t rule, uint64_t row, const char *line)
{
    struct job_event e = {.id = ++last_id, .host = host, .line = line, .len = strlen(line)};

    return push_for(&e, rule, row);
}

static int push(uint16_t rule, uint64_t row, const char *line)
{
    return push_of(WEB, rule, row, line);
}

/** Until so many jobs are left. */
static void wait_for(unsigned left)
{
    while (jobs_left(&jobs) > left)
        loop_turn(&loop, 10);
    CHECK_INT(jobs_left(&jobs), left);
}

static void wait_running(unsigned running)
{
    while (job_queue_running(&jobs.queues[0]) != running)
        loop_turn(&loop, 10);
}

TEST(a_job_runs_and_is_settled)
{
    setup();
    CHECK_INT(push(0, 7, "0 the event"), 0);
    CHECK_INT(job_queue_running(&jobs.queues[0]), 0);
    go();
    CHECK_INT(job_queue_running(&jobs.queues[0]), 1);
    CHECK_STR(last_line, "0 the event");
    wait_for(0);
    CHECK_STR(settled_buf, "7:ok ");
    CHECK_INT(push(0, 8, "3"), 0);
    go();
    wait_for(0);
    CHECK_STR(settled_buf, "7:ok 8:exit 3 ");
    CHECK_INT(jobs.queues[0].done, 1);
    CHECK_INT(jobs.queues[0].failed, 1);
    CHECK_INT(jobs.blocks_free, BLOCKS);
}

TEST(lines_of_any_length_are_stored_complete)
{
    char line[2000];

    setup();
    for (size_t i = 0; i < sizeof line; i++)
        line[i] = (char)('a' + i % 23);
    line[0] = '0';
    for (size_t len = 1; len < sizeof line; len += 127) {
        REQUIRE(push_long(WEB, len, line, len) == 0);
        go();
        CHECK_INT(strlen(last_line), len);
        CHECK_MEM(last_line, line, len);
        wait_for(0);
    }
    CHECK_INT(jobs.blocks_free, BLOCKS);
}

TEST(one_lane_leaves_room_for_the_others)
{
    setup();
    for (uint32_t i = 0; i < 6; i++)
        CHECK_INT(push_of(i / 3, 0, 1, "h"), 0);
    CHECK_INT(push_of(FTP, 0, 1, "h"), NEFIA_EFULL); /* three quarters of 8 */
    go();
    CHECK_INT(job_queue_running(&jobs.queues[0]), 3); /* three quarters of 4 */
    CHECK_INT(push(1, 2, "0"), 0);
    CHECK_INT(push(1, 3, "0"), 0);
    CHECK_INT(push(1, 4, "0"), NEFIA_EFULL);
    CHECK_INT(jobs.queues[0].overflowed, 2);
    go();
    wait_for(6);
    CHECK_STR(settled_buf, "2:ok 3:ok ");
    children_kill_all(&children);
}

TEST(one_host_leaves_room_for_the_others_of_a_lane)
{
    setup();
    for (int i = 0; i < 3; i++)
        CHECK_INT(push(0, 1, "0"), 0);
    CHECK_INT(push(0, 1, "0"), NEFIA_EFULL); /* half of six */
    CHECK_INT(push_of(MAIL, 0, 2, "0"), 0);
    CHECK_INT(push(1, 3, "0"), 0); /* in another lane it has another share */
    CHECK_INT(jobs.queues[0].overflowed, 1);
    go();
    wait_for(0);
    CHECK_INT(push(0, 1, "0"), 0);
    jobs_drain(&jobs);
}

/** The order in which they begin, while one runs at a time. */
static const char *begin_order(void)
{
    jobs.queues[0].limit = 1;
    go();
    wait_for(0);
    return settled_buf;
}

TEST(of_one_host_the_oldest_begins_first)
{
    setup();
    for (uint64_t i = 1; i <= 3; i++)
        CHECK_INT(push(0, i, "0"), 0);
    CHECK_STR(begin_order(), "1:ok 2:ok 3:ok ");
}

TEST(hosts_with_the_fewest_running_begin_first)
{
    setup();
    for (uint64_t i = 1; i <= 3; i++)
        CHECK_INT(push(0, i, "h"), 0);
    CHECK_INT(push_of(MAIL, 0, 4, "h"), 0);
    CHECK_INT(push_of(FTP, 0, 5, "h"), 0);
    jobs_choose(&jobs); /* three: the lane's share */
    CHECK_INT(job_queue_running(&jobs.queues[0]), 3);
    for (int i = 0; i < SLOTS; i++)
        if (slots[i].state != JOB_FREE)
            CHECK_INT(slots[i].state == JOB_STARTING,
                      slots[i].row == 1 || slots[i].row == 4 || slots[i].row == 5);
    jobs_begin(&jobs, false);
}

static char chosen_buf[64];
static struct text chosen;

static void hook_entered(void *arg, const struct job *job)
{
    (void)arg;
    text_u64(&chosen, job->row);
    text_char(&chosen, ' ');
}

/** Nothing runs that is not recorded. */
TEST(what_could_not_be_recorded_does_not_begin)
{
    setup();
    text_init(&chosen, chosen_buf, sizeof chosen_buf);
    jobs.hooks.entered = hook_entered;
    CHECK_INT(push(0, 1, "0"), 0);
    CHECK_INT(push(0, 2, "0"), 0);
    jobs_choose(&jobs);
    CHECK_STR(chosen_buf, "1 2 ");
    CHECK_INT(jobs.queues[0].started, 0);
    jobs_choose(&jobs); /* not twice */
    CHECK_STR(chosen_buf, "1 2 ");
    jobs_begin(&jobs, false);
    CHECK_INT(job_queue_running(&jobs.queues[0]), 0);
    CHECK_INT(jobs.queues[0].started, 0);
    CHECK_INT(jobs_left(&jobs), 2);
    jobs_begin(&jobs, true); /* chosen again first */
    CHECK_INT(jobs.queues[0].started, 0);
    go();
    CHECK_STR(chosen_buf, "1 2 1 2 ");
    CHECK_INT(jobs.queues[0].started, 2);
    wait_for(0);
}

static bool room_for(uint32_t host, const struct action *a, uint16_t rule, struct jobs_before before)
{
    const struct job_event e = {.host = host, .line = "0", .len = 1};

    return jobs_have_room(&jobs, &e, a, rule, before);
}

static bool have_room(uint16_t rule, unsigned in_queue, unsigned in_lane)
{
    return room_for(WEB, &actions[rule], rule, (struct jobs_before){in_queue, in_lane});
}

/** What it says before an event is what jobs_push says for each of its actions. */
TEST(room_is_asked_for_all_actions_of_an_event)
{
    const struct action other = {.class = &other_class};

    setup();
    CHECK(have_room(0, 0, 0));
    CHECK(have_room(0, 2, 2));
    CHECK(have_room(0, 2, 3)); /* a fourth never fits into half of six: waiting does not help */
    CHECK(have_room(0, SLOTS, 0));
    CHECK_INT(push(0, 1, "h"), 0);
    CHECK(have_room(0, 1, 1));
    CHECK(!have_room(0, 2, 2)); /* but it will */
    CHECK(have_room(1, 2, 2));  /* another lane */
    CHECK(!have_room(0, 5, 0)); /* three quarters of eight for one host */
    CHECK(have_room(0, 6, 0));  /* a seventh never fits */
    CHECK_INT(push(0, 2, "h"), 0);
    CHECK_INT(push(0, 3, "h"), 0);
    CHECK(!have_room(0, 0, 0));
    CHECK_INT(push(0, 4, "h"), NEFIA_EFULL);
    CHECK(have_room(1, 0, 0));
    CHECK(room_for(WEB, &other, 0, (struct jobs_before){0}));
    CHECK(room_for(MAIL, &actions[0], 0, (struct jobs_before){0}));
}

TEST(event_memory_is_bounded)
{
    static char line[CONFIG_EVENT_BYTES];

    setup();
    memset(line, '0', sizeof line);
    unsigned fit = BLOCKS / ((CONFIG_EVENT_BYTES + JOB_BLOCK - 9) / (JOB_BLOCK - 8));
    for (unsigned i = 0; i < fit; i++)
        CHECK_INT(push_long(i, 1, line, sizeof line), 0);
    CHECK_INT(push_long(WEB, 1, line, sizeof line), NEFIA_EFULL);
    CHECK_INT(push(0, 2, "0"), 0);
    go();
    wait_for(0);
    CHECK_INT(jobs.blocks_free, BLOCKS);
}

TEST(retries_back_off)
{
    setup();
    CHECK_INT(push(0, 1, "a"), 0);
    go();
    wait_running(0);
    CHECK_INT(jobs_left(&jobs), 1);
    CHECK(timer_active(&jobs.timer));
    CHECK_INT(jobs.timer.at_ms, fake.now_ms + 1000);
    fake.now_ms += 1000;
    loop_turn(&loop, 0);
    CHECK_INT(job_queue_running(&jobs.queues[0]), 1);
    wait_running(0);
    CHECK_INT(jobs.timer.at_ms, fake.now_ms + 2000);
    fake.now_ms += 2000;
    loop_turn(&loop, 0);
    wait_for(0);
    CHECK_STR(settled_buf, "1:ok ");
    CHECK(!timer_active(&jobs.timer));
    CHECK_INT(jobs.queues[0].retried, 2);
}

TEST(a_retry_waits_as_long_as_it_is_asked_to)
{
    setup();
    asked_ms = 90000;
    CHECK_INT(push(0, 1, "a"), 0);
    go();
    wait_running(0);
    CHECK_INT(jobs.timer.at_ms, fake.now_ms + 90000);
    asked_ms = 1500; /* less than the backoff, which is 2 s now */
    fake.now_ms += 90000;
    loop_turn(&loop, 0);
    wait_running(0);
    CHECK_INT(jobs.timer.at_ms, fake.now_ms + 2000);
    asked_ms = 0;
}

TEST(retries_are_limited)
{
    setup();
    actions[0].retries = 1;
    CHECK_INT(push(0, 1, "a"), 0);
    go();
    wait_running(0);
    fake.now_ms += 1000;
    loop_turn(&loop, 0);
    wait_for(0);
    CHECK_STR(settled_buf, "1:exit 99 ");
}

TEST(a_job_ends_at_its_deadline)
{
    setup();
    CHECK_INT(push(0, 1, "h"), 0);
    go();
    fake.now_ms += 5000;
    loop_turn(&loop, 0);
    wait_for(0);
    CHECK_STR(settled_buf, "1:timed out ");
}

TEST(jobs_that_cannot_start_are_settled)
{
    const struct action other = {.class = &other_class};

    setup();
    CHECK_INT(push(0, 1, "x"), 0);
    go();
    CHECK_STR(settled_buf, "1:cannot be prepared ");
    bad_event = true;
    CHECK_INT(push(0, 2, "0"), 0);
    go();
    CHECK_STR(settled_buf, "1:cannot be prepared 2:event cannot be decoded ");
    struct job_event e = {.id = 1, .line = "0", .len = 1};
    CHECK_INT(jobs_push(&jobs, &e, &(struct job_order){.id = 1, .action = &other}), NEFIA_ENOTSUP);
    CHECK_INT(jobs_left(&jobs), 0);
}

static uint16_t swap_rules(void *arg, uint16_t rule)
{
    (void)arg;
    return rule == 0 ? 1 : JOB_NO_RULE;
}

TEST(a_reload_moves_and_removes_jobs)
{
    setup();
    for (uint32_t i = 0; i < 5; i++)
        CHECK_INT(push_of(i / 3, 0, 10, "h"), 0);
    CHECK_INT(push(1, 20, "h"), 0);
    go();
    CHECK_INT(job_queue_running(&jobs.queues[0]), 4);
    CHECK_INT(push(1, 21, "0"), 0);
    jobs_rebind(&jobs, swap_rules, NULL);
    CHECK_STR(settled_buf, "21:rule removed ");
    for (int i = 0; i < SLOTS; i++)
        if (slots[i].state != JOB_FREE)
            CHECK_INT(slots[i].rule, slots[i].row == 10 ? 1 : JOB_NO_RULE);
    /* The running job without a rule still ends, and so do the rest. */
    fake.now_ms += 5000;
    loop_turn(&loop, 0);
    wait_running(2);
    fake.now_ms += 5000;
    loop_turn(&loop, 0);
    wait_for(0);
}

TEST(draining_cancels_retries)
{
    setup();
    CHECK_INT(push(0, 1, "a"), 0);
    go();
    wait_running(0);
    CHECK_INT(push(0, 2, "0"), 0);
    CHECK_INT(jobs_drain(&jobs), 1);
    CHECK_STR(settled_buf, "1:cancelled: stopping ");
    CHECK_INT(push(0, 3, "0"), NEFIA_EFULL);
    go();
    wait_for(0);
    CHECK_STR(settled_buf, "1:cancelled: stopping 2:ok ");
}

/** States as they are to be recorded: "id:state ". */
static void note_state(void *arg, const struct job *job)
{
    (void)arg;
    text_u64(&chosen, job->row);
    text_char(&chosen, ':');
    text_str(&chosen, job_state_text((enum job_state)job->state));
    text_char(&chosen, ' ');
}

static void note_states(void)
{
    static char buf[256];

    text_init(&chosen, buf, sizeof buf);
    jobs.hooks.entered = note_state;
}

static unsigned in_state(enum job_state s)
{
    return jobs.queues[0].states[s];
}

TEST(a_job_waits_for_an_approval)
{
    if (!IS_ENABLED(CONFIG_HUB_JOBS_WAIT))
        return;
    setup();
    note_states();
    CHECK_INT(push(0, 1, "p"), 0);
    const uint64_t id = last_id;
    CHECK_INT(jobs_approve(&jobs, id, true), NEFIA_ENOTFOUND);
    go();
    CHECK_STR(chosen.buf, "1:starting 1:pending_approval ");
    CHECK_INT(in_state(JOB_PENDING), 1);
    CHECK_INT(jobs_left(&jobs), 0); /* it does not end by itself */
    CHECK_INT(jobs_answer(&jobs, id, ""), NEFIA_ENOTFOUND);
    CHECK_INT(jobs_approve(&jobs, id + 1, true), NEFIA_ENOTFOUND);
    CHECK_INT(jobs_approve(&jobs, id, true), 0);
    go();
    CHECK_STR(chosen.buf, "1:starting 1:pending_approval 1:queued 1:starting 1:sent_to_device ");
    CHECK_INT(sent_job, id);
    CHECK_INT(jobs_approve(&jobs, id, true), NEFIA_ENOTFOUND);
    CHECK_INT(jobs_answer(&jobs, id, ""), 0);
    CHECK_STR(settled_buf, "1:ok ");
    CHECK_INT(in_state(JOB_FREE), SLOTS);
    CHECK_INT(jobs.blocks_free, BLOCKS);
}

TEST(nobody_waits_for_ever)
{
    if (!IS_ENABLED(CONFIG_HUB_JOBS_WAIT))
        return;
    setup();
    CHECK_INT(push(0, 1, "p"), 0);
    CHECK_INT(push(0, 2, "s"), 0);
    CHECK_INT(push(1, 3, "p"), 0);
    const uint64_t third = last_id;
    CHECK_INT(push(1, 4, "s"), 0);
    go();
    CHECK_INT(in_state(JOB_PENDING), 2);
    CHECK_INT(in_state(JOB_SENT), 2);
    CHECK_INT(jobs_approve(&jobs, third, false), 0);
    CHECK_INT(jobs_answer(&jobs, last_id, "the device refuses"), 0);
    CHECK_STR(settled_buf, "3:denied 4:the device refuses ");
    go();
    fake.now_ms += 4999;
    loop_turn(&loop, 0);
    CHECK_INT(in_state(JOB_SENT), 1);
    fake.now_ms += 1;
    loop_turn(&loop, 0);
    CHECK_STR(settled_buf, "3:denied 4:the device refuses 2:no answer from the device ");
    fake.now_ms += 55000;
    loop_turn(&loop, 0);
    CHECK_STR(settled_buf, "3:denied 4:the device refuses 2:no answer from the device 1:not approved in time ");
    CHECK_INT(in_state(JOB_FREE), SLOTS);
}

/** Those that need no child leave theirs to others, without another event. */
TEST(all_begin_though_none_runs)
{
    if (!IS_ENABLED(CONFIG_HUB_JOBS_WAIT))
        return;
    setup();
    jobs.queues[0].limit = 1;
    for (uint64_t i = 1; i <= 3; i++)
        CHECK_INT(push(0, i, i == 2 ? "x" : "s"), 0);
    go();
    CHECK_INT(in_state(JOB_SENT), 1);
    loop_turn(&loop, 0);
    loop_turn(&loop, 0);
    CHECK_INT(in_state(JOB_SENT), 2);
    CHECK_STR(settled_buf, "2:cannot be prepared ");
    CHECK(timer_active(&jobs.timer)); /* for the answers */
}

TEST(a_reload_ends_what_waits_for_an_approval_not_what_was_sent)
{
    if (!IS_ENABLED(CONFIG_HUB_JOBS_WAIT))
        return;
    setup();
    CHECK_INT(push(1, 1, "p"), 0);
    CHECK_INT(push(1, 2, "s"), 0);
    go();
    jobs_rebind(&jobs, swap_rules, NULL);
    CHECK_STR(settled_buf, "1:rule removed ");
    CHECK_INT(jobs_answer(&jobs, last_id, "late"), 0);
    CHECK_STR(settled_buf, "1:rule removed 2:late ");
}

TEST(an_event_is_stored_once)
{
    static char line[5 * sizeof blocks[0].bytes];
    struct job_event e = {.id = 1000, .host = WEB, .line = line, .len = sizeof line};

    setup();
    memset(line, '0', sizeof line);
    CHECK_INT(push_for(&e, 0, 1), 0);
    CHECK_INT(push_for(&e, 1, 2), 0);
    CHECK_INT(jobs.blocks_free, BLOCKS - 5);
    const struct job *first = jobs_next(&jobs, 0), *second = jobs_next(&jobs, first->id);
    CHECK_INT(first->event, second->event);
    CHECK(jobs_next(&jobs, second->id) == NULL);
    CHECK_MEM(jobs_line(&jobs, second), line, sizeof line);
    jobs.queues[0].limit = 1;
    go();
    wait_for(1);
    CHECK_INT(jobs.blocks_free, BLOCKS - 5); /* one still needs it */
    wait_for(0);
    CHECK_INT(jobs.blocks_free, BLOCKS);
}

/** It may use half of the memory for events, or as much as one event needs. */
TEST(one_host_leaves_memory_to_others)
{
    static char line[20 * sizeof blocks[0].bytes];

    setup();
    memset(line, '0', sizeof line);
    CHECK_INT(push_long(WEB, 1, line, sizeof line), 0);
    CHECK_INT(push_long(WEB, 1, line, sizeof line), NEFIA_EFULL); /* 40 of 64 */
    CHECK_INT(push_long(WEB, 1, line, sizeof line / 2), 0);
    CHECK_INT(push_long(MAIL, 2, line, sizeof line), 0);
    CHECK_INT(jobs.queues[0].overflowed, 1);
    go();
    wait_for(0);
    CHECK_INT(jobs.blocks_free, BLOCKS);
}

/** A host that floods a rule with commands that hang takes half of the rule's children. */
TEST(another_hosts_job_begins_at_once)
{
    setup();
    for (int i = 0; i < 3; i++)
        CHECK_INT(push(0, 1, "h"), 0);
    CHECK_INT(push(0, 1, "h"), NEFIA_EFULL);
    go();
    CHECK_INT(job_queue_running(&jobs.queues[0]), 2);
    CHECK_INT(push_of(MAIL, 0, 2, "0"), 0);
    go();
    wait_for(3);
    CHECK_STR(settled_buf, "2:ok ");
    children_kill_all(&children);
}

TEST_MAIN(a_job_waits_for_an_approval, nobody_waits_for_ever, all_begin_though_none_runs,
          a_reload_ends_what_waits_for_an_approval_not_what_was_sent, an_event_is_stored_once,
          one_host_leaves_memory_to_others, another_hosts_job_begins_at_once,
          a_job_runs_and_is_settled, lines_of_any_length_are_stored_complete,
          one_lane_leaves_room_for_the_others, one_host_leaves_room_for_the_others_of_a_lane,
          of_one_host_the_oldest_begins_first, hosts_with_the_fewest_running_begin_first,
          what_could_not_be_recorded_does_not_begin, room_is_asked_for_all_actions_of_an_event,
          event_memory_is_bounded,
          retries_back_off, a_retry_waits_as_long_as_it_is_asked_to, retries_are_limited, a_job_ends_at_its_deadline,
          jobs_that_cannot_start_are_settled, a_reload_moves_and_removes_jobs,
          draining_cancels_retries)
