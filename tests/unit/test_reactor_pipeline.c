#include "reactor_fixture.h"

#include "nefia/log.h"
#include "nefia/reactor/pipeline.h"

#include <fcntl.h>

static struct clock_fake fake;
static struct loop loop;
static struct pollfd pollfds[8];
static struct watch *polled[8];
static struct child child_slots[1];
static struct children children;
static struct action_scratch scratch;
static char line_buf[CONFIG_EVENT_BYTES];
static struct job slots[8];
static struct job_block blocks[64];
static char outputs[JOB_OUTPUT];
static struct jobs jobs;
static struct rules rules;
static struct journal journal;
static struct journal_row rows[16];
static uint64_t settled[16];
static char bytes[2 * (CONFIG_EVENT_BYTES + EVENT_TYPE_MAX + EVENT_HOST_MAX)];
static struct reactor_settings settings;
static struct pipeline pipeline;
static const struct addr peer = {.family = AF_INET, .ip = {192, 0, 2, 1}, .port = 4711};
static unsigned changes;

static void changed(void *arg)
{
    (void)arg;
    changes++;
}

static void setup(const char *rules_json, bool with_key)
{
    fixture_init(&rules);
    CHECK(fixture_load(&rules, rules_json, NULL) >= 0);
    log_to_fd(open("/dev/null", O_WRONLY | O_CLOEXEC));
    clock_fake_init(&fake, 1000, 5000);
    loop_init(&loop, &fake.clock, pollfds, polled, 8);
    children_init(&children, &loop, child_slots, 1);
    journal_init(&journal, rows, settled, ARRAY_SIZE(rows), bytes, sizeof bytes);
    pipeline_init(&pipeline, &fake.clock, &rules, &journal, &jobs, fixture_tokens);
    pipeline.settings = &settings;
    pipeline.changed = changed;
    changes = 0;
    const struct job_hooks hooks = pipeline_job_hooks(&pipeline);
    jobs_init(&jobs, &loop, &children, &scratch, line_buf, &hooks);
    jobs_add_queue(&jobs, action_classes()[0], slots, ARRAY_SIZE(slots), blocks, ARRAY_SIZE(blocks),
                   outputs, 1);
    if (with_key)
        CHECK_INT(mac_key_set(&pipeline.key, "0123456789abcdef", 16), 0);
}

static int line(const char *s)
{
    char hex[MAC_HEX];

    if (!pipeline.key.set)
        return pipeline_line(&pipeline, &peer, s, strlen(s), NULL, 0);
    mac_sign_hex(&pipeline.key, s, strlen(s), hex);
    return pipeline_line(&pipeline, &peer, s, strlen(s), hex, sizeof hex);
}

#define EXEC "\"action\":{\"type\":\"exec\",\"command\":\"true\",\"target\":\"hub\"}"

static const struct journal_row *row(uint64_t seq)
{
    static struct journal_view v;

    CHECK(journal_get(&journal, seq, &v));
    return v.row;
}

TEST(an_event_makes_a_row_for_each_rule)
{
    setup("{\"rules\":[{\"name\":\"a\",\"event_pattern\":\"disk\"," EXEC
          "},{\"name\":\"h\",\"action\":{\"type\":\"playbook\"}},"
          "{\"name\":\"n\",\"event_pattern\":\"net\"," EXEC "}]}",
          true);
    CHECK_INT(line(fixture_line("disk.usage", "web", "critical")), 0);
    CHECK_INT(journal.last_seq, 2);
    CHECK_STR(row(1)->rule, "a");
    CHECK_INT(row(1)->state, JOURNAL_PENDING);
    CHECK_STR(row(2)->error, "not in this build");
    CHECK_STR(row(2)->action, "playbook");
    CHECK_INT(row(1)->event.received_s, 5000);
    CHECK_INT(jobs_left(&jobs), 1);
    CHECK_INT(changes, 0);
    pipeline_turn_end(&pipeline);
    CHECK_INT(changes, 1);
    CHECK_INT(jobs.queues[0].running, 1);
    CHECK_INT(rules_active(&rules)->rules[0].hits, 1);
    CHECK_INT(rules_active(&rules)->rules[2].hits, 0);
    children_kill_all(&children);
}

TEST(an_event_without_a_rule_makes_one_row)
{
    setup("{}", false);
    CHECK_INT(line(fixture_line("disk.usage", "web", "critical")), 0);
    CHECK_INT(journal.last_seq, 1);
    CHECK_INT(row(1)->state, JOURNAL_NONE);
    CHECK_STR(row(1)->rule, "");
}

TEST(a_full_queue_is_told_in_the_row)
{
    setup("{\"rules\":[{\"name\":\"a\"," EXEC "}]}", false);
    for (int i = 0; i < 7; i++)
        CHECK_INT(line(fixture_line("t", "web", "info")), 0);
    CHECK_INT(row(6)->state, JOURNAL_PENDING);
    CHECK_INT(row(7)->state, JOURNAL_FAILED);
    CHECK_STR(row(7)->error, "queue full");
    CHECK_INT(jobs.queues[0].overflowed, 1);
}

TEST(nothing_is_read_before_it_is_verified)
{
    const char *good = fixture_line("t", "web", "info");
    static const char zeros[] = "0000000000000000000000000000000000000000000000000000000000000000";

    setup("{}", true);
    CHECK_INT(pipeline_line(&pipeline, &peer, "not JSON", 8, zeros, 64), NEFIA_EAUTH);
    CHECK_INT(pipeline_line(&pipeline, &peer, "\xff", 1, zeros, 64), NEFIA_EAUTH);
    CHECK_INT(pipeline_line(&pipeline, &peer, good, strlen(good), zeros, 64), NEFIA_EAUTH);
    CHECK_INT(pipeline.rejected[REJECT_WRONG], 3);
    CHECK_INT(pipeline_line(&pipeline, &peer, good, strlen(good), zeros, 63), NEFIA_EINVAL);
    CHECK_INT(pipeline_line(&pipeline, &peer, good, strlen(good), "0X", 2), NEFIA_EINVAL);
    CHECK_INT(pipeline.rejected[REJECT_MALFORMED], 2);
    CHECK_INT(pipeline_line(&pipeline, &peer, good, strlen(good), "", 0), NEFIA_EINVAL);
    CHECK_INT(pipeline_line(&pipeline, &peer, good, strlen(good), good, 65), NEFIA_EINVAL);
    CHECK_INT(pipeline.rejected[REJECT_UNSIGNED], 2);
    CHECK_INT(journal.last_seq, 0);
    CHECK_INT(pipeline.events, 0);
}

TEST(what_is_no_event_is_counted_by_reason)
{
    static const struct {
        const char *line;
        enum reject why;
    } cases[] = {
        {"", REJECT_JSON},
        {"{", REJECT_JSON},
        {"{}{}", REJECT_JSON},
        {"{\"a\":\"\xff\"}", REJECT_UTF8},
        {"[]", REJECT_EVENT},
        {"{}", REJECT_EVENT},
        {"{\"a\":1,\"a\":2}", REJECT_EVENT},
        {"{\"type\":\"t\",\"source\":\"s\",\"host_id\":\"h\",\"timestamp\":\"2026-03-10T15:30:"
         "00Z\",\"severity\":\"loud\",\"data\":{}}",
         REJECT_EVENT},
        {"{\"type\":\"t\",\"source\":\"s\",\"host_id\":\"h\",\"timestamp\":\"yesterday\","
         "\"severity\":\"info\",\"data\":{}}",
         REJECT_EVENT},
        {"{\"type\":\"t\",\"source\":\"s\",\"host_id\":\"h\",\"timestamp\":\"2026-03-10T15:30:"
         "00Z\",\"severity\":\"info\",\"data\":[]}",
         REJECT_EVENT},
    };

    setup("{}", true);
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        uint64_t before = pipeline.rejected[cases[i].why];
        CHECK(line(cases[i].line) < 0);
        CHECK_INT(pipeline.rejected[cases[i].why], before + 1);
    }
    CHECK_INT(journal.last_seq, 0);
}

TEST_MAIN(an_event_makes_a_row_for_each_rule, an_event_without_a_rule_makes_one_row,
          a_full_queue_is_told_in_the_row, nothing_is_read_before_it_is_verified,
          what_is_no_event_is_counted_by_reason)
