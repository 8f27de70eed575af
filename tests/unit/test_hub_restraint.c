#include "hub_wired.h"

#include "nefia/base/bytes.h"
#include "nefia/sys/frames.h"

/* Where restraint stands in the pipeline: what counts and what does not, what is said, what outlives the hub. The actions are
 * sent to a device that answers when the test says so. */

#define ABLE (IS_ENABLED(CONFIG_HUB_RESTRAINT) && IS_ENABLED(CONFIG_HUB_JOBS_WAIT))

static const uint8_t NAME[LINK_NAME] = "a name";
static uint64_t seq;

static int start_and_wait(const struct action_request *r, struct action_scratch *room, struct child_spec *spec, struct text *text)
{
    (void)r, (void)room, (void)text;
    spec->deadline_ms = 0;
    return ACTION_SENT;
}

static void begin(const char *json)
{
    setup(json);
    exec_class.start = start_and_wait;
    open_state();
    seq = 0;
}

/** An event of type t with that cause ("": none) and these data. Return: its line. */
static const char *line_of(const char *host, const char *cause, const char *data)
{
    static char buf[2048];
    struct text t;

    text_init(&t, buf, sizeof buf);
    text_str(&t, "{\"type\":\"t\",\"source\":\"s\",\"host_id\":\"");
    text_str(&t, host);
    text_str(&t, "\",\"timestamp\":\"2026-03-10T15:30:00Z\",\"severity\":\"info\",\"boot\":1,\"seq\":");
    text_u64(&t, ++seq);
    if (*cause) {
        text_str(&t, ",\"cause\":");
        text_str(&t, cause);
    }
    text_str(&t, ",\"data\":");
    text_str(&t, data);
    text_char(&t, '}');
    return buf;
}

static int take(const char *line, bool overdue)
{
    static char kept[2048];
    static struct event e;
    const struct event_source from = {.kind = WINDOW_LINK, .name = NAME, .overdue = overdue};

    snprintf(kept, sizeof kept, "%s", line);
    CHECK_INT(pipeline_decode(&pipeline, kept, strlen(kept), &e, NULL), 0);
    return pipeline_take(&pipeline, &e, &from);
}

/** Take one; what is begun, is sent. Return: its first row. */
static const struct recent_row *event_with(const char *host, const char *cause, const char *data)
{
    const uint64_t first = recent.last_seq + 1;

    CHECK_INT(take(line_of(host, cause, data), false), SEEN_NEW);
    turn();
    turn();
    return row(first);
}

static const struct recent_row *event_from(const char *host)
{
    return event_with(host, "", "{}");
}

/** The only action that waits for the device. */
static void answer_job(const char *error)
{
    const struct job *job = jobs_next(&jobs, 0);

    CHECK(job && job->state == JOB_SENT && !jobs_next(&jobs, job->id));
    if (job)
        CHECK_INT(jobs_answer(&jobs, job->id, error), 0);
    turn();
}

static bool row_says(uint64_t number, const char *part)
{
    struct recent_view v;
    static char line[CONFIG_EVENT_BYTES + 1];

    CHECK(recent_get(&recent, number, &v));
    memcpy(line, v.line.ptr, v.line.len);
    line[v.line.len] = '\0';
    return strstr(line, part) != NULL;
}

static void is_held(const struct recent_row *r, const char *why)
{
    CHECK_INT(r->state, RECENT_RESTRAINED);
    CHECK_STR(r->error, why);
}

#define RULE(name, more) "{\"name\":\"" name "\",\"event_pattern\":\"^t$\"," more "," EXEC "}"

TEST(a_row_says_why_and_the_rule_counts)
{
    if (!ABLE)
        return;
    begin("{\"rules\":[" RULE("r", "\"cooldown\":\"10m\"") "]}");
    CHECK_INT(event_from("web")->state, RECENT_PENDING);
    fake.now_ms += 60000;
    is_held(event_from("web"), "cooldown 10m, 9m left");
    fake.now_s += 1000000; /* nothing of this is the wall clock's */
    is_held(event_from("db"), "cooldown 10m, 9m left");
    fake.now_s -= 2000000;
    is_held(event_from("db"), "cooldown 10m, 9m left");
    CHECK_INT(rules_active(&rules)->rules[0].hits, 4);
    CHECK_INT(rules_active(&rules)->rules[0].restrained, 3);
    CHECK_INT(pipeline.restrained, 3);
    CHECK_INT(jobs_left(&jobs), 0);
    fake.now_ms += 9 * 60000 - 1;
    is_held(event_from("db"), "cooldown 10m, 1ms left");
    fake.now_ms++;
    CHECK_INT(event_from("db")->state, RECENT_PENDING);
    journal_close(&journal);
}

static struct verdict always;

static struct verdict judge(void *arg, const struct policy_case *c)
{
    (void)arg, (void)c;
    return always;
}

TEST(what_was_not_done_does_not_count)
{
    if (!ABLE)
        return;
    begin("{\"rules\":[" RULE("r", "\"cooldown\":\"10m\",\"after\":{\"count\":2,\"within\":\"1h\"}") "]}");
    if (IS_ENABLED(CONFIG_HUB_GUARD)) {
        pipeline.guard = (struct guard){judge, NULL};
        always = (struct verdict){.kind = VERDICT_DENIED, .reason = "no"};
        is_held(event_from("web"), "after: 1 of 2 within 1h");
        CHECK_STR(event_from("web")->error, "denied: no");
        CHECK_INT(restraint_used(&keeper.restraint), 2); /* the events were counted */
        always.kind = VERDICT_ALLOWED;
    } else {
        event_from("web");
    }
    jobs.draining = true; /* no room for an action */
    const uint64_t first = recent.last_seq + 1;
    CHECK_INT(take(line_of("web", "", "{}"), true), SEEN_NEW);
    CHECK_STR(row(first)->error, "queue full");
    jobs.draining = false;
    CHECK_INT(event_from("web")->state, RECENT_PENDING);
    is_held(event_from("web"), "after: 1 of 2 within 1h");
    is_held(event_from("web"), "cooldown 10m, 10m left");
    journal_close(&journal);
}

/** An event is not deferred for want of room for actions that would not begin. */
TEST(what_is_held_back_needs_no_room)
{
    if (!ABLE)
        return;
    begin("{\"rules\":[" RULE("r", "\"cooldown\":\"10m\"") "," RULE("s", "\"after\":{\"count\":9,\"within\":\"1h\"}") "]}");
    CHECK_INT(event_from("web")->state, RECENT_PENDING);
    jobs.queues[0].states[JOB_FREE] = 0;
    CHECK_INT(take(line_of("web", "", "{}"), false), SEEN_NEW);
    fake.now_ms += 600000;
    CHECK_INT(take(line_of("web", "", "{}"), false), NEFIA_EAGAIN);
    CHECK_INT(take(line_of("web", "[\"r\"]", "{}"), false), SEEN_NEW);
    journal_close(&journal);
}

TEST(once_per_data)
{
    if (!ABLE)
        return;
    begin("{\"rules\":[" RULE("r", "\"once_within\":\"1d\",\"once_per\":[\"data.path\",\"host\"]") "]}");
    CHECK_INT(event_with("web", "", "{\"path\":\"/\"}")->state, RECENT_PENDING);
    CHECK_INT(event_with("web", "", "{\"path\":\"/home\"}")->state, RECENT_PENDING);
    CHECK_INT(event_with("db", "", "{\"path\":\"/\"}")->state, RECENT_PENDING);
    is_held(event_with("db", "", "{\"path\":\"/\",\"x\":1}"), "once_within 1d, 1d left");
    CHECK_INT(event_with("db", "", "{}")->state, RECENT_PENDING);
    is_held(event_with("db", "", "{}"), "once_within 1d, 1d left");
    journal_close(&journal);
}

/* ---- Own effects ---- */

TEST(a_rule_acts_on_nothing_that_it_led_to)
{
    if (!ABLE)
        return;
    begin("{\"rules\":[" RULE("r", "\"cooldown\":\"1ms\"") "," RULE("s", "\"after\":{\"count\":2,\"within\":\"1h\"}") "]}");
    const struct recent_row *r = event_with("web", "[\"x\",\"r\"]", "{}");
    is_held(r, "own effect: this rule led to the event");
    is_held(row(recent.last_seq), "after: 1 of 2 within 1h");
    CHECK_INT(pipeline.own_effects, 1);
    r = event_with("web", "[\"s\"]", "{}");
    CHECK_INT(r->state, RECENT_PENDING);
    is_held(row(recent.last_seq), "own effect: this rule led to the event");
    is_held(event_with("db", "[\"s\"]", "{}"), "cooldown 1ms, 1ms left");
    fake.now_ms++;
    event_with("db", "[\"1\",\"2\",\"3\",\"4\",\"5\",\"6\",\"7\"]", "{}");
    fake.now_ms++;
    r = event_with("db", "[\"1\",\"2\",\"3\",\"4\",\"5\",\"6\",\"7\",\"8\"]", "{}");
    is_held(r, "own effect: 8 rules led to it, none acts");
    is_held(row(recent.last_seq), "own effect: 8 rules led to it, none acts");
    CHECK_INT(pipeline.own_effects, 5);
    journal_close(&journal);
}

/** What the hub says of a decision carries the cause on. */
TEST(a_violation_has_a_cause)
{
    if (!ABLE)
        return;
    if (!IS_ENABLED(CONFIG_HUB_GUARD))
        return;
    begin("{\"rules\":[" RULE("r", "\"cooldown\":\"1ms\"") ",{\"name\":\"x\",\"event_pattern\":\"violation\"," EXEC "},"
          "{\"name\":\"all\"," EXEC "}]}");
    pipeline.guard = (struct guard){judge, NULL};
    always = (struct verdict){.kind = VERDICT_DENIED, .reason = "no"};
    event_with("web", "[\"x\"]", "{}"); /* r and all are denied */
    CHECK(row_says(3, "\"type\":\"policy.violation\""));
    CHECK(row_says(3, "\"cause\":[\"x\",\"all\"]"));
    is_held(row(3), "own effect: this rule led to the event");
    CHECK_STR(row(4)->rule, "all");
    is_held(row(4), "own effect: this rule led to the event");
    CHECK(row_says(5, "\"cause\":[\"x\",\"r\"]"));
    CHECK_STR(row(5)->rule, "x");
    is_held(row(5), "own effect: this rule led to the event");
    CHECK_STR(row(6)->error, "denied: no");
    CHECK_INT(recent.last_seq, 6);
    journal_close(&journal);
}

TEST(a_report_has_the_cause_of_its_event)
{
    if (!ABLE)
        return;
    const struct event_source from = {.kind = WINDOW_LINK, .name = NAME, .unsure = true};
    struct event e;

    begin("{\"rules\":[" RULE("r", "\"cooldown\":\"1ms\"") ",{\"name\":\"x\",\"event_pattern\":\"^hub\"," EXEC "}]}");
    const char *line = line_of("web", "[\"x\"]", "{}");
    CHECK_INT(pipeline_decode(&pipeline, line, strlen(line), &e, NULL), 0);
    CHECK_INT(pipeline_take(&pipeline, &e, &from), SEEN_NEW);
    CHECK_STR(row(1)->error, "may have acted before: not run again");
    CHECK_INT(restraint_used(&keeper.restraint), 0);
    turn();
    CHECK(row_says(2, "\"type\":\"hub.unknown\""));
    CHECK(row_says(2, "\"cause\":[\"x\"]"));
    is_held(row(2), "own effect: this rule led to the event");
    journal_close(&journal);
}

/* ---- The breaker ---- */

#define BREAKER RULE("r", "\"breaker\":{\"failures\":2,\"pause\":\"1m\"}")

TEST(a_breaker_says_so)
{
    if (!ABLE)
        return;
    begin("{\"rules\":[" BREAKER ",{\"name\":\"tell\",\"event_pattern\":\"^rule\\\\.breaker_\"," EXEC "},{\"name\":\"x\",\"event_pattern\":\"breaker_open\"," EXEC "}]}");
    event_from("web");
    answer_job("exit 1");
    event_from("db");
    CHECK_INT(recent.last_seq, 2);
    answer_job("exit 2");
    CHECK_INT(recent.last_seq, 4);
    CHECK(row_says(3, "{\"type\":\"rule.breaker_open\",\"source\":\"hub\",\"host_id\":\"hub\""));
    CHECK(row_says(3, "\"severity\":\"warning\""));
    CHECK(row_says(3, "\"cause\":[\"r\"]"));
    CHECK(row_says(3, "{\"rule\":\"r\",\"action\":\"exec\",\"failures\":2,\"pause_ms\":60000,\"error\":\"exit 2\","
                      "\"event_type\":\"t\",\"event_host\":\"db\",\"event_boot\":1,\"event_seq\":2}"));
    CHECK_STR(row(3)->rule, "tell");
    CHECK_INT(row(3)->state, RECENT_PENDING);
    turn();
    while (jobs_next(&jobs, 0))
        CHECK_INT(jobs_answer(&jobs, jobs_next(&jobs, 0)->id, "exit 9"), 0);
    is_held(event_from("web"), "breaker open, 2 failures, 1m left");
    fake.now_ms += 60000;
    CHECK_INT(event_with("web", "[\"x\"]", "{}")->state, RECENT_PENDING);
    is_held(event_from("web"), "breaker open, 2 failures, one action is tried");
    const uint64_t before = recent.last_seq;
    answer_job("");
    CHECK_INT(recent.last_seq, before + 1);
    CHECK(row_says(before + 1, "\"type\":\"rule.breaker_closed\""));
    CHECK(row_says(before + 1, "\"severity\":\"info\""));
    CHECK(row_says(before + 1, "\"cause\":[\"x\",\"r\"]"));
    CHECK(row_says(before + 1, "{\"rule\":\"r\",\"action\":\"exec\",\"failures\":2,\"event_type\":\"t\""));
    CHECK_INT(event_from("web")->state, RECENT_PENDING);
    journal_close(&journal);
}

/** More of them than are remembered until they are told. */
TEST(many_breakers_are_bounded)
{
    if (!ABLE)
        return;
    static char json[FIXTURE_TEXT];
    struct text t;
    const unsigned many = PIPELINE_BREAKERS + 2;

    text_init(&t, json, sizeof json);
    text_str(&t, "{\"rules\":[");
    for (unsigned i = 0; i < many; i++) {
        text_str(&t, i ? ",{\"name\":\"" : "{\"name\":\"");
        text_u64(&t, i);
        text_str(&t, "\",\"event_pattern\":\"^t$\",\"breaker\":{\"failures\":1}," EXEC "}");
    }
    text_str(&t, "]}");
    begin(json);
    event_from("web");
    turn();
    turn();
    const uint64_t before = recent.last_seq;
    while (jobs_next(&jobs, 0))
        CHECK_INT(jobs_answer(&jobs, jobs_next(&jobs, 0)->id, "exit 1"), 0);
    turn();
    CHECK_INT(recent.last_seq, before + PIPELINE_BREAKERS);
    CHECK_INT(pipeline.untold, 2);
    for (uint64_t i = 1; i <= PIPELINE_BREAKERS; i++)
        CHECK(row_says(before + i, "rule.breaker_open"));
    journal_close(&journal);
}

/* ---- Restart and reload ---- */

TEST(it_outlives_the_hub)
{
    if (!ABLE)
        return;
    if (!IS_ENABLED(CONFIG_HUB_STATE))
        return;
    begin("{\"rules\":[" RULE("r", "\"cooldown\":\"10m\"") "," RULE("o", "\"once_within\":\"1h\"") ","
          RULE("a", "\"after\":{\"count\":3,\"within\":\"1h\"}") "]}");
    CHECK_INT(event_from("web")->state, RECENT_PENDING);
    fake.now_ms += 60000;
    is_held(event_from("web"), "cooldown 10m, 9m left");
    for (int i = 0; i < 2; i++) { /* from its frames, and from the copy of a new file */
        fake.now_ms += 3600000; /* it was killed, and is down */
        restart();
        is_held(event_from("db") - 0, "cooldown 10m, 9m left");
        CHECK_INT(row(recent.last_seq - 1)->state, i == 0 ? RECENT_PENDING : RECENT_RESTRAINED);
        is_held(row(recent.last_seq), i == 0 ? "after: 1 of 3 within 1h" : "after: 2 of 3 within 1h");
    }
    fake.now_ms += 120000;
    pipeline_stop(&pipeline); /* it is asked to stop: that time counts */
    restart();
    is_held(event_from("db"), "cooldown 10m, 7m left");
    CHECK_INT(row(recent.last_seq)->state, RECENT_PENDING); /* the third */
    fake.now_ms += 7 * 60000;
    CHECK_INT(event_from("db")->state, RECENT_PENDING);
    journal_close(&journal);
}

TEST(what_was_tried_outlives_the_hub)
{
    if (!ABLE)
        return;
    if (!IS_ENABLED(CONFIG_HUB_STATE))
        return;
    begin("{\"rules\":[" BREAKER "]}");
    for (int i = 0; i < 2; i++) {
        event_from("web");
        answer_job("exit 1");
    }
    restart();
    is_held(event_from("web"), "breaker open, 2 failures, 1m left");
    fake.now_ms += 60000;
    event_from("web"); /* is sent */
    restart();
    is_held(event_from("web"), "breaker open, 2 failures, one action is tried");
    answer_job("exit 1");
    is_held(event_from("web"), "breaker open, 3 failures, 1m left");
    fake.now_ms += 60000;
    CHECK_INT(take(line_of("web", "", "{}"), false), SEEN_NEW);
    jobs_choose(&jobs);
    pipeline_turn_end(&pipeline);
    /* The hub is killed between its begin and the answer's wait: how it ended is not known. */
    const uint64_t id = jobs_next(&jobs, 0)->id;
    journal_state(&journal, id, JOURNAL_STARTED, 0);
    CHECK_INT(journal_commit(&journal), 0);
    restart();
    CHECK_STR(row(1)->error, "started before the restart, result unknown");
    CHECK_INT(event_from("web")->state, RECENT_PENDING); /* the next is tried */
    answer_job("");
    CHECK_INT(restraint_breaker(&keeper.restraint, 0), BREAKER_CLOSED);
    journal_close(&journal);
}

static uint16_t rule_now(void *arg, uint16_t rule)
{
    const int i = rules_find(&rules, rules.sets[!rules.active].rules[rule].name);

    (void)arg;
    return i < 0 ? JOB_NO_RULE : (uint16_t)i;
}

static void reload(const char *json)
{
    CHECK(fixture_load(&rules, json, NULL) >= 0);
    pipeline_reloaded(&pipeline, rule_now, NULL);
    use_exec_class();
    exec_class.start = start_and_wait;
    jobs_rebind(&jobs, rule_now, NULL);
    turn();
}

TEST(a_reload_keeps_it_by_name)
{
    if (!ABLE)
        return;
    begin("{\"rules\":[" RULE("r", "\"cooldown\":\"10m\"") "," RULE("s", "\"cooldown\":\"10m\"") "]}");
    event_from("web");
    event_from("web");
    reload("{\"rules\":[" RULE("new", "\"cooldown\":\"10m\"") "," RULE("s", "\"cooldown\":\"20m\"") "," RULE("r", "\"cooldown\":\"5m\",\"max_per_hour\":1") "]}");
    CHECK_INT(rules_active(&rules)->rules[2].restrained, 1);
    const struct recent_row *first = event_from("web");
    CHECK_INT(first->state, RECENT_PENDING);
    is_held(row(recent.last_seq - 1), "cooldown 20m, 20m left");
    is_held(row(recent.last_seq), "cooldown 5m, 5m left");
    fake.now_ms += 300000;
    event_from("web");
    CHECK_INT(row(recent.last_seq)->state, RECENT_PENDING); /* max_per_hour is new: it has counted nothing */
    reload("{\"rules\":[" RULE("r", "\"cooldown\":\"1h\"") "]}");
    is_held(event_from("web"), "cooldown 1h, 1h left");
    if (!IS_ENABLED(CONFIG_HUB_STATE))
        return;
    restart(); /* nothing of the other rules comes back */
    CHECK_INT(restraint_used(&keeper.restraint), 1);
    is_held(event_from("web"), "cooldown 1h, 1h left");
    journal_close(&journal);
}

/* ---- What the journal says of it ---- */

enum { EVENT_FRAME = 2, JOB_FRAME = 4, WHEN_FRAME = 13, DECIDED_FRAME, RESULT_FRAME, RELOAD_FRAME };

/** Those of the current file, in words. */
static const char *frames_say(void)
{
    static uint8_t room[JOURNAL_BYTES_MIN];
    static char said[2048];
    char path[FILE_PATH_MAX];
    struct frame_reader r;
    struct frame f;
    struct text t;

    text_init(&t, said, sizeof said);
    CHECK(file_join(path, state_dir, journal.file ? "journal.1" : "journal.0") >= 0);
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    frame_reader_init(&r, fd, room, sizeof room);
    while (frame_next(&r, &f) > 0) {
        if (f.kind == EVENT_FRAME)
            text_str(&t, "event ");
        if (f.kind == JOB_FRAME) {
            text_str(&t, "job ");
            text_bytes(&t, (const char *)f.bytes + 16, f.len - 16);
        }
        if (f.kind == WHEN_FRAME) {
            text_str(&t, "at ");
            text_u64(&t, get_be64(f.bytes + 8));
            text_str(&t, " ");
            text_u64(&t, get_be64(f.bytes + 16));
            text_str(&t, f.bytes[24] & JOURNAL_UNSURE ? " unsure" : "");
        }
        if (f.kind == DECIDED_FRAME) {
            text_u64(&t, f.bytes[8]);
            text_char(&t, '/');
            text_u64(&t, get_be32(f.bytes + 9));
            text_char(&t, ' ');
            text_bytes(&t, (const char *)f.bytes + 13, f.len - 13);
        }
        if (f.kind == RESULT_FRAME) {
            text_str(&t, "end ");
            text_u64(&t, get_be64(f.bytes + 8));
            text_char(&t, ' ');
            text_u64(&t, f.bytes[16]);
        }
        if (f.kind == RELOAD_FRAME)
            text_str(&t, "reload");
        if (f.kind == EVENT_FRAME || f.kind == JOB_FRAME || f.kind >= WHEN_FRAME)
            text_str(&t, "; ");
    }
    close(fd);
    return said;
}

TEST(the_journal_says_what_was_decided)
{
    if (!ABLE)
        return;
    if (!IS_ENABLED(CONFIG_HUB_STATE))
        return;
    begin("{\"rules\":[" RULE("r", "\"cooldown\":\"10m\"") "," RULE("s", "\"breaker\":{\"failures\":1}") "]}");
    fake.now_ms += 50;
    event_from("web");
    while (jobs_next(&jobs, 0))
        CHECK_INT(jobs_answer(&jobs, jobs_next(&jobs, 0)->id, "no"), 0);
    turn();
    fake.now_ms += 50;
    event_with("web", "[\"r\"]", "{}");
    event_from("web");
    reload("{\"rules\":[]}");
    event_from("web");
    CHECK_STR(frames_say(), "event ; at 50 5000; job r; job s; end 50 1; event ; at 100 5000; 1/0 r; 3/2 s; "
                            "event ; at 100 5000; 3/4 r; 3/2 s; reload; ");
    restart();
    CHECK_STR(frames_say(), "");
    journal_close(&journal);
}

TEST_MAIN(a_row_says_why_and_the_rule_counts, what_was_not_done_does_not_count, what_is_held_back_needs_no_room, once_per_data,
          a_rule_acts_on_nothing_that_it_led_to, a_violation_has_a_cause, a_report_has_the_cause_of_its_event, a_breaker_says_so,
          many_breakers_are_bounded, it_outlives_the_hub, what_was_tried_outlives_the_hub, a_reload_keeps_it_by_name,
          the_journal_says_what_was_decided)
