#include "hub_fixture.h"

#include "nefia/sys/log.h"
#include "nefia/hub/pipeline.h"

#include <fcntl.h>

#include "readfile.h"

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
static struct recent recent;
static struct recent_row rows[16];
static uint64_t settled[16];
static char bytes[2 * (CONFIG_EVENT_BYTES + EVENT_TYPE_MAX + EVENT_HOST_MAX)];
static struct hub_settings settings;
static struct pipeline pipeline;
static struct seen seen;
static struct host host_slots[8];
static uint32_t host_chains[8];
static struct journal journal;
static uint8_t journal_buf[CONFIG_EVENT_BYTES + 16384];
static struct session session;
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
    recent_init(&recent, rows, settled, ARRAY_SIZE(rows), bytes, sizeof bytes);
    seen_init(&seen, host_slots, host_chains, ARRAY_SIZE(host_slots));
    pipeline_init(&pipeline, &fake.clock, &rules, &recent, &jobs, &seen, &journal, fixture_tokens);
    const struct journal_hooks journal_hooks = pipeline_journal_hooks(&pipeline);
    journal_init(&journal, journal_buf, sizeof journal_buf, &seen, &journal_hooks);
    memset(&settings, 0, sizeof settings);
    settings.greeting = true;
    session = (struct session){.peer = {.family = AF_INET, .ip = {192, 0, 2, 1}, .port = 4711}};
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
        return pipeline_line(&pipeline, &session, s, strlen(s), NULL, 0);
    mac_sign_hex(&pipeline.key, s, strlen(s), hex);
    return pipeline_line(&pipeline, &session, s, strlen(s), hex, sizeof hex);
}

#define EXEC "\"action\":{\"type\":\"exec\",\"command\":\"true\",\"target\":\"hub\"}"

static const struct recent_row *row(uint64_t seq)
{
    static struct recent_view v;

    CHECK(recent_get(&recent, seq, &v));
    return v.row;
}

TEST(an_event_makes_a_row_for_each_rule)
{
    setup("{\"rules\":[{\"name\":\"a\",\"event_pattern\":\"disk\"," EXEC
          "},{\"name\":\"h\",\"action\":{\"type\":\"playbook\"}},"
          "{\"name\":\"n\",\"event_pattern\":\"net\"," EXEC "}]}",
          true);
    CHECK_INT(line(fixture_line("disk.usage", "web", "critical")), 0);
    CHECK_INT(recent.last_seq, 2);
    CHECK_STR(row(1)->rule, "a");
    CHECK_INT(row(1)->state, RECENT_PENDING);
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
    CHECK_INT(recent.last_seq, 1);
    CHECK_INT(row(1)->state, RECENT_NONE);
    CHECK_STR(row(1)->rule, "");
}

TEST(a_full_queue_shows_in_the_row)
{
    setup("{\"rules\":[{\"name\":\"a\"," EXEC "}]}", false);
    for (int i = 0; i < 6; i++)
        CHECK_INT(line(fixture_line("t", "web", "info")), 0);
    CHECK_INT(line(fixture_line("t", "web", "info")), NEFIA_EAGAIN); /* deferred */
    CHECK_INT(recent.last_seq, 6);
    CHECK_INT(pipeline.events, 6);
    session.overdue = true; /* but not forever */
    CHECK_INT(line(fixture_line("t", "web", "info")), 0);
    CHECK_INT(row(6)->state, RECENT_PENDING);
    CHECK_INT(row(7)->state, RECENT_FAILED);
    CHECK_STR(row(7)->error, "queue full");
    CHECK_INT(jobs.queues[0].overflowed, 1);
}

TEST(nothing_is_parsed_before_it_is_verified)
{
    const char *good = fixture_line("t", "web", "info");
    static const char zeros[] = "0000000000000000000000000000000000000000000000000000000000000000";

    setup("{}", true);
    CHECK_INT(pipeline_line(&pipeline, &session, "not JSON", 8, zeros, 64), NEFIA_EAUTH);
    CHECK_INT(pipeline_line(&pipeline, &session, "\xff", 1, zeros, 64), NEFIA_EAUTH);
    CHECK_INT(pipeline_line(&pipeline, &session, good, strlen(good), zeros, 64), NEFIA_EAUTH);
    CHECK_INT(pipeline.rejected[REJECT_WRONG], 3);
    CHECK_INT(pipeline_line(&pipeline, &session, good, strlen(good), zeros, 63), NEFIA_EINVAL);
    CHECK_INT(pipeline_line(&pipeline, &session, good, strlen(good), "0X", 2), NEFIA_EINVAL);
    CHECK_INT(pipeline.rejected[REJECT_MALFORMED], 2);
    CHECK_INT(pipeline_line(&pipeline, &session, good, strlen(good), "", 0), NEFIA_EINVAL);
    CHECK_INT(pipeline_line(&pipeline, &session, good, strlen(good), good, 65), NEFIA_EINVAL);
    CHECK_INT(pipeline.rejected[REJECT_UNSIGNED], 2);
    CHECK_INT(recent.last_seq, 0);
    CHECK_INT(pipeline.events, 0);
}

TEST(invalid_events_are_counted_by_reason)
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
    CHECK_INT(recent.last_seq, 0);
}

/* ---- acknowledged delivery ---- */

static int random_bytes(void *buf, size_t len)
{
    memset(buf, 0xAB, len);
    return 0;
}

static const char *spoken(void)
{
    static char said[LINK_LINE_MAX + MAC_HEX + 3];
    const struct listener_hooks hooks = pipeline_listener_hooks(&pipeline);
    struct text t;

    text_init(&t, said, sizeof said);
    hooks.respond(hooks.arg, &session, &t);
    return said;
}

#define EVENT(host, seq)                                                                           \
    "{\"type\":\"t\",\"source\":\"s\",\"host_id\":\"" host                                         \
    "\",\"timestamp\":\"2026-03-10T15:30:00Z\",\"severity\":\"info\",\"data\":{},\"boot\":1,"      \
    "\"seq\":" seq "}"

static int stamped(const char *event, uint64_t count)
{
    char buf[512];
    size_t len = strlen(event);

    memcpy(buf, event, len);
    buf[link_stamp(buf, len, session.nonce, count, 1)] = '\0';
    return line(buf);
}

static void greeted(const char *rules_json, bool with_key)
{
    setup(rules_json, with_key);
    pipeline.random = random_bytes;
    spoken();
}

TEST(new_connections_are_greeted)
{
    setup("{}", true);
    CHECK_STR(spoken(), ""); /* no random numbers yet, early at boot */
    pipeline.random = random_bytes;
    const char *said = spoken();
    CHECK(strstr(said, "\"nonce\":\"abababab") != NULL);
    CHECK(strstr(said, "\"auth\":\"shared\"}\n") != NULL);
    size_t len = strcspn(said, "\n");
    CHECK_INT(mac_verify_hex(&pipeline.key, said, len, said + len + 1, MAC_HEX), 0);
    CHECK_STR(spoken(), "");
}

TEST(stamped_events_are_acknowledged)
{
    greeted("{}", true);
    CHECK_INT(stamped(EVENT("web", "7"), 1), 0);
    CHECK_INT(stamped(EVENT("web", "8"), 2), 0);
    CHECK(session.due);
    const char *said = spoken();
    CHECK(strstr(said, "{\"ack\":{\"boot\":1,\"seq\":8,\"count\":2}") == said);
    CHECK(!session.due);
    CHECK_INT(line(fixture_line("t", "web", "info")), 0); /* a plain one is not acknowledged */
    CHECK_STR(spoken(), "");
}

TEST(duplicates_act_once)
{
    greeted("{\"rules\":[{\"name\":\"a\"," EXEC "}]}", false);
    CHECK_INT(stamped(EVENT("web", "7"), 1), 0);
    CHECK_INT(jobs_left(&jobs), 1);
    CHECK_INT(stamped(EVENT("web", "7"), 2), 0); /* acknowledged again */
    CHECK_INT(jobs_left(&jobs), 1);
    CHECK_INT(pipeline.duplicates, 1);
    CHECK(strstr(spoken(), "\"count\":2") != NULL);
    CHECK_INT(line(EVENT("web", "7")), 0); /* also when it comes plain */
    CHECK_INT(jobs_left(&jobs), 1);
    CHECK_INT(stamped(EVENT("mail", "7"), 3), 0); /* another host's */
    CHECK_INT(jobs_left(&jobs), 2);
    CHECK_INT(stamped(EVENT("web", "6"), 4), 0); /* late, and new */
    CHECK_INT(jobs_left(&jobs), 3);
}

TEST(a_replay_is_rejected)
{
    greeted("{}", true);
    CHECK_INT(stamped(EVENT("web", "7"), 1), 0);
    CHECK_INT(stamped(EVENT("web", "7"), 1), NEFIA_EAUTH); /* again on this connection */
    CHECK_INT(stamped(EVENT("web", "9"), 3), NEFIA_EAUTH); /* with a gap */
    memset(session.nonce, 'c', LINK_NONCE_HEX);
    char before[LINK_NONCE_HEX + 1];
    memcpy(before, session.nonce, sizeof before);
    memset(session.nonce, 'd', LINK_NONCE_HEX);
    char buf[512] = EVENT("web", "10");
    buf[link_stamp(buf, strlen(buf), before, 2, 1)] = '\0';
    CHECK_INT(line(buf), NEFIA_EAUTH); /* another connection's */
    CHECK_INT(pipeline.rejected[REJECT_REPLAY], 3);
    CHECK_INT(pipeline.events, 1);
}

TEST(require_nonce_refuses_plain_senders)
{
    greeted("{}", false);
    settings.require_nonce = true;
    CHECK_INT(line(EVENT("web", "1")), NEFIA_EAUTH);
    CHECK_INT(pipeline.rejected[REJECT_PLAIN], 1);
    CHECK_INT(stamped(EVENT("web", "1"), 1), 0);
}

TEST(more_than_the_window_is_refused)
{
    greeted("{}", false);
    for (uint64_t i = 1; i <= PIPELINE_WINDOW; i++)
        CHECK_INT(stamped(EVENT("web", "1"), i), 0);
    CHECK_INT(stamped(EVENT("web", "1"), PIPELINE_WINDOW + 1), NEFIA_EAUTH);
    CHECK_INT(pipeline.rejected[REJECT_WINDOW], 1);
    spoken();
    CHECK_INT(stamped(EVENT("web", "1"), PIPELINE_WINDOW + 1), 0);
}

TEST(invalid_stamped_events_are_refused_explicitly)
{
    char buf[256] = "{\"no\":\"event\"}";

    greeted("{}", true);
    CHECK(line("{\"no\":\"event\"}") < 0);
    CHECK(!session.refused);
    buf[link_stamp(buf, strlen(buf), session.nonce, 1, 1)] = '\0';
    CHECK(line(buf) < 0);
    CHECK(session.refused);
    CHECK(strstr(spoken(), "{\"refused\":{\"count\":1}") != NULL);
}

/* ---- keys of single hosts ---- */

static int signed_with(const char *s, const struct mac_key *key)
{
    char hex[MAC_HEX];

    mac_sign_hex(key, s, strlen(s), hex);
    return pipeline_line(&pipeline, &session, s, strlen(s), hex, sizeof hex);
}

static void with_keys(void)
{
    static const char *const seen_of[] = {"web", "mail"};

    setup("{}", true);
    for (unsigned i = 0; i < 2; i++) {
        settings.keys[i].host_id = seen_of[i];
        CHECK_INT(mac_key_set(&settings.keys[i].keys[0],
                              i ? "the mail host's key" : "the web host's key", 18),
                  0);
    }
    settings.key_count = 2;
}

TEST(a_key_is_valid_for_its_host_only)
{
    with_keys();
    const struct mac_key *web = &settings.keys[0].keys[0], *mail = &settings.keys[1].keys[0];
    CHECK_INT(signed_with(EVENT("web", "1"), web), 0);
    CHECK_INT(signed_with(EVENT("mail", "1"), mail), 0);
    CHECK_INT(signed_with(EVENT("web", "2"), mail), NEFIA_EAUTH);
    CHECK_INT(signed_with(EVENT("web", "2"), &pipeline.key), NEFIA_EAUTH); /* this host has its own key */
    CHECK_INT(signed_with(EVENT("other", "1"), web), NEFIA_EAUTH);
    CHECK_INT(pipeline.rejected[REJECT_HOST], 3);
    CHECK_INT(signed_with(EVENT("other", "1"), &pipeline.key), 0);
    CHECK_INT(pipeline.events, 3);
}

/** Some senders have the shared key, some their own: the greeting must suit all of them. */
TEST(host_keys_sign_the_responses)
{
    const struct mac_key *keys[] = {&settings.keys[0].keys[0], &pipeline.key};
    static const char *const events[] = {EVENT("web", "1"), EVENT("free", "1")};

    for (unsigned i = 0; i < 2; i++) {
        char buf[512];
        with_keys();
        pipeline.random = random_bytes;
        const char *said = spoken();
        CHECK(strstr(said, "\"auth\":\"host\"}\n-\n") != NULL);
        CHECK_INT(strlen(strchr(said, '\n')), 3);
        size_t len = strlen(events[i]);
        memcpy(buf, events[i], len);
        buf[link_stamp(buf, len, session.nonce, 1, 1)] = '\0';
        CHECK_INT(signed_with(buf, keys[i]), 0);
        said = spoken();
        len = strcspn(said, "\n");
        CHECK(strstr(said, "{\"ack\":") == said);
        CHECK_INT(mac_verify_hex(keys[i], said, len, said + len + 1, MAC_HEX), 0);
    }
}

TEST(both_keys_of_a_host_are_valid)
{
    with_keys();
    CHECK_INT(mac_key_set(&settings.keys[1].keys[1], "the mail host's next", 20), 0);
    CHECK_INT(signed_with(EVENT("mail", "1"), &settings.keys[1].keys[0]), 0);
    CHECK_INT(signed_with(EVENT("mail", "2"), &settings.keys[1].keys[1]), 0);
    mac_key_wipe(&settings.keys[1].keys[1]);
    CHECK_INT(signed_with(EVENT("mail", "3"), &settings.keys[1].keys[0]), 0);
}

TEST(a_host_is_bound_to_its_addresses)
{
    with_keys();
    CHECK_INT(addr_net_parse(&settings.keys[0].nets[0], "192.0.2.0/24", 12, NULL), 0);
    settings.keys[0].net_count = 1;
    CHECK_INT(signed_with(EVENT("web", "1"), &settings.keys[0].keys[0]), 0);
    session.peer.ip[2] = 3;
    CHECK_INT(signed_with(EVENT("web", "2"), &settings.keys[0].keys[0]), NEFIA_EAUTH);
    CHECK_INT(pipeline.rejected[REJECT_HOST], 1);
}

TEST(senders_over_the_rate_are_slowed_then_rejected)
{
    unsigned taken = 0;

    setup("{}", false);
    settings.max_events_per_sec = 10;
    int err = 0;
    for (int ms = 0; ms < 70000 && (err == 0 || err == NEFIA_EAGAIN); ms += 10) {
        fake.now_ms += 10;
        for (int i = 0; i < 3; i++)
            taken += (err = line(fixture_line("t", "web", "info"))) == 0;
    }
    CHECK_INT(err, NEFIA_EFULL);
    CHECK(pipeline.rejected[REJECT_RATE] > 0);
    CHECK(taken >= 590 && taken <= 640);
    session.over_ms = session.tokens = 0;
    for (int i = 0; i < 2000; i++) { /* within its rate: for ever */
        fake.now_ms += 110;
        CHECK_INT(line(fixture_line("t", "web", "info")), 0);
    }
}

TEST(a_lower_rate_applies_at_once)
{
    unsigned taken = 0;

    setup("{}", false);
    settings.max_events_per_sec = 1000;
    fake.now_ms += 10000;
    CHECK_INT(line(fixture_line("t", "web", "info")), 0);
    settings.max_events_per_sec = 10;
    for (int i = 0; i < 100; i++)
        taken += line(fixture_line("t", "web", "info")) == 0;
    CHECK_INT(taken, 20);
}

static char last_line[160];

/** From another port each time. Return: lines logged. */
static unsigned refuse_times(int times)
{
    static char got[16384];
    struct text last;
    char *at = got;
    unsigned n = 0;
    int ends[2];

    CHECK_INT(pipe2(ends, O_NONBLOCK | O_CLOEXEC), 0);
    log_to_fd(ends[1]);
    while (times-- > 0) {
        session.peer.port++;
        CHECK(pipeline_line(&pipeline, &session, "x", 1, "", 0) < 0);
    }
    ssize_t len = read(ends[0], got, sizeof got - 1);
    got[len > 0 ? len : 0] = '\0';
    for (char *line = next_line(&at); line; line = next_line(&at), n++) {
        text_init(&last, last_line, sizeof last_line);
        text_str(&last, line);
    }
    log_to_fd(STDERR_FILENO);
    close(ends[0]);
    close(ends[1]);
    return n;
}

TEST(rejected_senders_do_not_flood_the_log)
{
    setup("{}", true);
    CHECK_INT(refuse_times(PIPELINE_CLOSED_LINES), PIPELINE_CLOSED_LINES);
    CHECK_STR(last_line,
              "nefia: warning: connection from 192.0.2.1:4771 closed: signature missing");
    CHECK_INT(refuse_times(1), 1);
    CHECK(strstr(last_line, "more than 60 connections closed within a minute"));
    CHECK_INT(refuse_times(1000), 0);
    CHECK_INT(pipeline.rejected[REJECT_UNSIGNED], PIPELINE_CLOSED_LINES + 1001);
    fake.now_ms += 60 * 1000;
    CHECK_INT(refuse_times(1), 2); /* one of them reports those not logged before */
    CHECK_INT(refuse_times(PIPELINE_CLOSED_LINES), PIPELINE_CLOSED_LINES);
}

TEST_MAIN(a_lower_rate_applies_at_once, rejected_senders_do_not_flood_the_log, new_connections_are_greeted,
          stamped_events_are_acknowledged, duplicates_act_once, a_replay_is_rejected,
          require_nonce_refuses_plain_senders, more_than_the_window_is_refused,
          invalid_stamped_events_are_refused_explicitly, a_key_is_valid_for_its_host_only,
          host_keys_sign_the_responses,
          both_keys_of_a_host_are_valid, a_host_is_bound_to_its_addresses,
          senders_over_the_rate_are_slowed_then_rejected, an_event_makes_a_row_for_each_rule,
          an_event_without_a_rule_makes_one_row, a_full_queue_shows_in_the_row,
          nothing_is_parsed_before_it_is_verified, invalid_events_are_counted_by_reason)
