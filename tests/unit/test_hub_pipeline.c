#include "hub_wired.h"

/* From the authenticated event to the job, and the order at the end of a turn. How an event came is
 * test_ingress.c's. */

static const uint8_t NAME[LINK_NAME] = "a name";
static struct event decoded;

static const struct event *decode(const char *line)
{
    static char kept[2048];

    snprintf(kept, sizeof kept, "%s", line);
    CHECK_INT(pipeline_decode(&pipeline, kept, strlen(kept), &decoded, NULL), 0);
    return &decoded;
}

static int take_as(enum window_kind kind, const char *line, bool unsure)
{
    const struct event_source from = {.kind = kind, .name = NAME, .unsure = unsure};

    return pipeline_take(&pipeline, decode(line), &from);
}

static int take(const char *line)
{
    return take_as(WINDOW_PLAIN, line, false);
}

static struct hello_found hello(const char *host, uint64_t boot)
{
    struct link_hello h = {.boot = boot};

    snprintf(h.host_id, sizeof h.host_id, "%s", host);
    return pipeline_hello(&pipeline, &h);
}

/* ---- Rows ---- */

TEST(an_event_makes_a_row_for_each_rule)
{
    setup("{\"rules\":[{\"name\":\"a\",\"event_pattern\":\"disk\"," EXEC
          "},{\"name\":\"h\"," EXEC "},"
          "{\"name\":\"n\",\"event_pattern\":\"net\"," EXEC "}]}");
    rules.sets[rules.active].rules[1].action.class = NULL; /* as of one that this build does not have */
    CHECK_INT(take(fixture_line("disk.usage", "web", "critical")), SEEN_UNREMEMBERED);
    CHECK_INT(recent.last_seq, 2);
    CHECK_STR(row(1)->rule, "a");
    CHECK_INT(row(1)->state, RECENT_PENDING);
    CHECK_STR(row(2)->error, "not in this build");
    CHECK_STR(row(2)->action, "exec");
    CHECK_INT(row(1)->event.received_s, 5000);
    CHECK_INT(jobs_left(&jobs), 1);
    CHECK_INT(pipeline.unsupported, 1);
    CHECK_INT(changes, 0);
    turn();
    CHECK_INT(changes, 1);
    CHECK_INT(job_queue_running(&jobs.queues[0]), 1);
    CHECK_INT(rules_active(&rules)->rules[0].hits, 1);
    CHECK_INT(rules_active(&rules)->rules[2].hits, 0);
    turn();
    CHECK_INT(changes, 1); /* nothing happened */
    children_kill_all(&children);
}

TEST(an_event_without_a_rule_makes_one_row)
{
    setup("{}");
    CHECK_INT(take(fixture_line("disk.usage", "web", "critical")), SEEN_UNREMEMBERED);
    CHECK_INT(recent.last_seq, 1);
    CHECK_INT(row(1)->state, RECENT_NONE);
    CHECK_STR(row(1)->rule, "");
}

TEST(a_full_queue_shows_in_the_row)
{
    const struct event_source overdue = {.kind = WINDOW_PLAIN, .name = NAME, .overdue = true};

    setup("{\"rules\":[" RULE_ONCE "]}");
    for (uint64_t i = 1; i <= 6; i++)
        CHECK_INT(take(event(1, i)), SEEN_NEW);
    CHECK_INT(take(event(1, 7)), NEFIA_EAGAIN);
    CHECK_INT(recent.last_seq, 6); /* nothing was done */
    CHECK_INT(pipeline.events, 6);
    CHECK_INT(seen_judge(seen_find(&seen, pipeline_host(&pipeline, (struct slice){"web", 3})), WINDOW_PLAIN, 1, 7),
              SEEN_NEW);
    CHECK_INT(take(event(1, 6)), SEEN_DUPLICATE); /* needs no room */
    CHECK_INT(pipeline_take(&pipeline, decode(event(1, 7)), &overdue), SEEN_NEW);
    CHECK_STR(row(7)->error, "queue full");
    CHECK_INT(jobs.queues[0].overflowed, 1);
}

/** Rules of other lanes do not count, those of the same do. */
TEST(an_event_of_many_rules_is_not_deferred_for_ever)
{
    static char json[FIXTURE_TEXT];
    struct text t;

    text_init(&t, json, sizeof json);
    text_str(&t, "{\"rules\":[");
    for (int i = 0; i < 20; i++) {
        text_str(&t, i ? ",{\"name\":\"" : "{\"name\":\"");
        text_u64(&t, (uint64_t)i);
        text_str(&t, "\"," EXEC "}");
    }
    text_str(&t, "]}");
    setup(json);
    CHECK_INT(take(event(1, 1)), SEEN_NEW); /* more than there are places: what does not fit is counted */
    CHECK_INT(jobs_left(&jobs), 12); /* one host's share of 16 */
    CHECK_INT(jobs.queues[0].overflowed, 8);
    CHECK_STR(row(12)->error, "");
    CHECK_STR(row(13)->error, "queue full");
    CHECK_INT(pipeline.held, 0);
    setup("{\"rules\":[" RULE_ONCE "," RULE_TWICE ",{\"name\":\"c\"," EXEC "},{\"name\":\"d\"," EXEC
          "},{\"name\":\"e\"," EXEC "}]}");
    for (uint64_t i = 1; i <= 2; i++)
        CHECK_INT(take(event(1, i)), SEEN_NEW); /* the fifth rule's is the first of its lane */
    CHECK_INT(take(event(1, 3)), NEFIA_EAGAIN);
    CHECK_INT(jobs.queues[0].overflowed, 0);
}

/** Twelve rules and one long event: it is stored once, and all act. */
TEST(a_long_event_sets_off_many_rules)
{
    static char json[FIXTURE_TEXT], line[4700];
    struct text t;

    text_init(&t, json, sizeof json);
    text_str(&t, "{\"rules\":[");
    for (int i = 0; i < 12; i++) {
        text_str(&t, i ? ",{\"name\":\"" : "{\"name\":\"");
        text_u64(&t, (uint64_t)i);
        text_str(&t, "\"," EXEC "}");
    }
    text_str(&t, "]}");
    setup(json);
    text_init(&t, line, sizeof line);
    text_str(&t, event(1, 1));
    text_rewind(&t, t.len - 1);
    text_str(&t, ",\"more\":\"");
    while (t.len < 4600)
        text_char(&t, 'x');
    text_str(&t, "\"}");
    const struct event_source from = {.kind = WINDOW_PLAIN, .name = NAME};
    CHECK_INT(pipeline_decode(&pipeline, line, t.len, &decoded, NULL), 0);
    CHECK_INT(pipeline_take(&pipeline, &decoded, &from), SEEN_NEW);
    CHECK_INT(jobs_left(&jobs), 12);
    CHECK_INT(jobs.queues[0].overflowed, 0);
    CHECK_INT(pipeline.held, 0);
    CHECK_INT(recent.last_seq, 12);
}

/* ---- What was received before ---- */

TEST(duplicates_act_once)
{
    setup("{\"rules\":[" RULE_TWICE "]}");
    hello("web", 1);
    CHECK_INT(take_as(WINDOW_LINK, event(1, 7), false), SEEN_NEW);
    CHECK_INT(take_as(WINDOW_LINK, event(1, 7), false), SEEN_DUPLICATE);
    CHECK_INT(take_as(WINDOW_LINK, event(1, 7), true), SEEN_DUPLICATE);
    CHECK_INT(take(event(1, 7)), SEEN_DUPLICATE); /* also when it comes plain */
    CHECK_INT(take(event_of("mail", 1, 7)), SEEN_NEW);
    CHECK_INT(take_as(WINDOW_LINK, event(1, 6), false), SEEN_NEW); /* late, and new */
    CHECK_INT(jobs_left(&jobs), 3);
    CHECK_INT(pipeline.duplicates, 3);
    CHECK_INT(recent.last_seq, 3);
}

TEST(duplicates_are_not_written_before_their_first_copy)
{
    setup("{}");
    open_state();
    CHECK_INT(take(event(1, 1)), SEEN_NEW);
    CHECK(!pipeline_is_written(&pipeline));
    disk_fails = true;
    turn();
    CHECK(!pipeline_is_written(&pipeline));
    CHECK_INT(take(event(1, 1)), SEEN_DUPLICATE);
    fake.now_ms += PIPELINE_RETRY_MS - 1;
    disk_fails = false;
    turn(); /* too early: a retry rewrites everything */
    CHECK(!pipeline_is_written(&pipeline));
    fake.now_ms += 1;
    turn();
    CHECK(pipeline_is_written(&pipeline));
    CHECK_INT(take(event(1, 1)), SEEN_DUPLICATE);
    CHECK(!pipeline_is_written(&pipeline)); /* until the turn's end, as everything that was taken */
    turn();
    CHECK(pipeline_is_written(&pipeline));
    journal_close(&journal);
}

TEST(long_names_are_told_apart)
{
    char a[EVENT_HOST_MAX + 1], b[EVENT_HOST_MAX + 1];

    setup("{}");
    memset(a, 'h', EVENT_HOST_MAX);
    a[EVENT_HOST_MAX] = '\0';
    memcpy(b, a, sizeof b);
    b[EVENT_HOST_MAX - 1] = 'i';
    for (int i = 0; i < 3; i++) { /* also from the cache */
        CHECK_INT(take(event_of(a, 1, 1)), i ? SEEN_DUPLICATE : SEEN_NEW);
        CHECK_INT(take(event_of(b, 1, 1)), i ? SEEN_DUPLICATE : SEEN_NEW);
        CHECK_INT(take(event_of(a + EVENT_HOST_MAX - KNOWN_HOST_MAX, 1, 1)),
                  i ? SEEN_DUPLICATE : SEEN_NEW);
        CHECK_INT(take(event_of(a + EVENT_HOST_MAX - KNOWN_HOST_MAX - 1, 1, 1)),
                  i ? SEEN_DUPLICATE : SEEN_NEW);
    }
}

/* ---- The end of a turn ---- */

static unsigned acknowledged;

/** Chosen jobs are in the journal by now, and have not begun. */
static void check_order(void *arg)
{
    (void)arg;
    acknowledged++;
    CHECK(pipeline_is_written(&pipeline));
    CHECK(!journal_dirty(&journal));
    CHECK_INT(job_queue_running(&jobs.queues[0]), 1);
    CHECK_INT(jobs.queues[0].started, 0);
    restart(); /* as after a power cut at this point */
}

/** The item of a host knows when and how anything of it was last taken; so also after a reload. */
TEST(an_item_knows_when_its_host_was_seen)
{
    static struct hub_settings next;
    char long_host[80];

    if (!IS_ENABLED(CONFIG_HUB_DEVICES))
        return;
    setup("{}");
    memset(long_host, 'x', sizeof long_host - 1);
    long_host[sizeof long_host - 1] = '\0';
    settings.hosts[0].host_id = "a";
    settings.hosts[1].host_id = "b";
    settings.hosts[2].host_id = long_host;
    settings.host_count = 3;
    CHECK_INT(take(fixture_line("t", "b", "info")), SEEN_UNREMEMBERED); /* it has no seq */
    CHECK_INT(take(fixture_line("t", "unknown", "info")), SEEN_UNREMEMBERED);
    CHECK_INT(settings.hosts[0].seen_ms, 0);
    CHECK_INT(settings.hosts[1].seen_ms, 1000);
    CHECK_INT(settings.hosts[1].seen_kind, WINDOW_PLAIN);
    turn();
    fake.now_ms += 10;
    hello("a", 7);
    CHECK_INT(settings.hosts[0].seen_ms, 1010);
    CHECK_INT(settings.hosts[0].seen_kind, WINDOW_LINK);
    turn();
    fake.now_ms += 10;
    CHECK_INT(take_as(WINDOW_LINK, event_of("a", 7, 1), false), SEEN_NEW);
    CHECK_INT(settings.hosts[0].seen_ms, 1020);
    turn();
    fake.now_ms += 10;
    CHECK_INT(take_as(WINDOW_LINK, event_of("a", 7, 1), false), SEEN_DUPLICATE);
    CHECK_INT(settings.hosts[0].seen_ms, 1030);
    CHECK_INT(take(fixture_line("t", long_host, "info")), SEEN_UNREMEMBERED);
    CHECK_INT(settings.hosts[2].seen_ms, 1030);
    turn();
    next.hosts[0].host_id = "b";
    next.host_count = 1;
    pipeline_know(&pipeline, &next);
    fake.now_ms += 10;
    CHECK_INT(take(fixture_line("t", "a", "info")), SEEN_UNREMEMBERED);
    CHECK_INT(next.hosts[0].seen_ms, 0);
    CHECK_INT(take(fixture_line("t", "b", "info")), SEEN_UNREMEMBERED);
    CHECK_INT(next.hosts[0].seen_ms, 1040);
    CHECK_INT(settings.hosts[1].seen_ms, 1000);
}

static bool says(uint64_t seq, const char *what)
{
    return strstr(row_line(seq), what) != NULL;
}

/* ---- The guard ---- */

static struct verdict test_verdict;
static unsigned asked;

/** A policy of the test: a rule whose name begins with "no" gets the verdict. */
static struct verdict test_judge(void *arg, const struct policy_case *c)
{
    asked++;
    CHECK(arg == &asked);
    CHECK_STR(c->action, "exec");
    CHECK(slice_eq(c->event->type, "t") || slice_eq(c->event->type, "policy.violation"));
    CHECK_INT(c->now_s, 5000);
    return strncmp(c->rule, "no", 2) == 0 ? test_verdict : (struct verdict){.kind = VERDICT_ALLOWED};
}

static void setup_guarded(enum verdict_kind kind)
{
    setup("{\"rules\":[{\"name\":\"no\",\"idempotent\":true," EXEC "},{\"name\":\"yes\"," EXEC "}]}");
    pipeline.guard = (struct guard){test_judge, &asked};
    test_verdict = (struct verdict){
        .kind = kind, .reason = "matches deny_commands pattern", .rule = "tr.e", .at = 4, .has_at = true};
    asked = 0;
}

TEST(what_is_denied_has_a_row_and_does_not_begin)
{
    if (!IS_ENABLED(CONFIG_HUB_GUARD))
        return;
    setup_guarded(VERDICT_DENIED);
    CHECK_INT(take(fixture_line("t", "web", "info")), SEEN_UNREMEMBERED);
    CHECK_INT(asked, 2);
    CHECK_INT(recent.last_seq, 2);
    CHECK_INT(row(1)->state, RECENT_FAILED);
    CHECK_STR(row(1)->rule, "no");
    CHECK_STR(row(1)->error, "denied: matches deny_commands pattern: \"tr.e\" at byte 4");
    CHECK_INT(row(2)->state, RECENT_PENDING);
    CHECK_INT(jobs_left(&jobs), 1);
    CHECK_INT(pipeline.verdicts[VERDICT_DENIED], 1);
    CHECK_INT(pipeline.verdicts[VERDICT_ALLOWED], 1);
    CHECK_INT(pipeline.matched, 2);
    turn();
    CHECK_INT(job_queue_running(&jobs.queues[0]), 1);
}

TEST(what_needs_an_approval_does_not_begin)
{
    if (!IS_ENABLED(CONFIG_HUB_GUARD))
        return;
    setup_guarded(VERDICT_PENDING);
    test_verdict.rule = NULL;
    test_verdict.reason = NULL;
    CHECK_INT(take(fixture_line("t", "web", "info")), SEEN_UNREMEMBERED);
    CHECK_STR(row(1)->error, "pending approval");
    CHECK_INT(jobs_left(&jobs), 1);
    CHECK_INT(pipeline.verdicts[VERDICT_PENDING], 1);
}

TEST(what_is_only_reported_begins)
{
    if (!IS_ENABLED(CONFIG_HUB_GUARD))
        return;
    setup_guarded(VERDICT_NOTIFY);
    CHECK_INT(take(fixture_line("t", "web", "info")), SEEN_UNREMEMBERED);
    CHECK_INT(row(1)->state, RECENT_PENDING);
    CHECK_INT(jobs_left(&jobs), 2);
    CHECK_INT(pipeline.verdicts[VERDICT_NOTIFY], 1);
}

/** An action that waited when the hub stopped is judged by the policy of now. */
TEST(what_resumes_is_judged_again)
{
    if (!IS_ENABLED(CONFIG_HUB_GUARD))
        return;
    setup_guarded(VERDICT_ALLOWED);
    open_state();
    CHECK_INT(take(event(7, 1)), SEEN_NEW);
    CHECK_INT(jobs_left(&jobs), 2);
    turn();
    children_kill_all(&children);
    wire();
    pipeline.guard = (struct guard){test_judge, &asked};
    test_verdict.kind = VERDICT_DENIED;
    asked = 0;
    open_state();
    CHECK_INT(asked, 1); /* of two that had begun, the idempotent one is taken up again */
    CHECK_INT(jobs_left(&jobs), 0);
    CHECK_INT(pipeline.verdicts[VERDICT_DENIED], 1);
    journal_close(&journal);
}

/** Denies the rule "no", whatever sets it off; warns of "hm". */
static struct verdict deny_no(void *arg, const struct policy_case *c)
{
    (void)arg;
    asked++;
    CHECK_STR(c->host, "hub");
    CHECK_STR(c->command, "true");
    if (str_eq(c->rule, "no"))
        return (struct verdict){.kind = VERDICT_DENIED, .reason = "because"};
    return (struct verdict){.kind = str_eq(c->rule, "hm") ? VERDICT_NOTIFY : VERDICT_ALLOWED, .reason = "maybe"};
}

static void setup_violations(const char *json)
{
    setup(json);
    pipeline.guard = (struct guard){deny_no, NULL};
    asked = 0;
}

TEST(a_violation_is_an_event_of_its_own)
{
    if (!IS_ENABLED(CONFIG_HUB_GUARD))
        return;
    setup_violations("{\"rules\":[{\"name\":\"no\",\"event_pattern\":\"^t$\"," EXEC "},"
                     "{\"name\":\"own\",\"event_pattern\":\"^policy\\\\.violation$\"," EXEC "}]}");
    CHECK_INT(take(fixture_line("t", "web", "info")), SEEN_UNREMEMBERED);
    turn();
    CHECK_INT(recent.last_seq, 2);
    CHECK_STR(row(1)->error, "denied: because");
    CHECK_STR(row(2)->rule, "own");
    CHECK(says(2, "{\"type\":\"policy.violation\",\"source\":\"hub\",\"host_id\":\"hub\""));
    CHECK(says(2, "\"data\":{\"verdict\":\"denied\",\"rule\":\"no\",\"action\":\"exec\",\"target\":\"hub\",\"command\":\"true\","
                  "\"reason\":\"because\",\"event_type\":\"t\",\"event_host\":\"web\",\"event_boot\":0,\"event_seq\":0,\"count\":1}"));
    /* Those of the next minute are told together, those of another host at once. */
    CHECK_INT(take(fixture_line("t", "web", "info")), SEEN_UNREMEMBERED);
    CHECK_INT(take(fixture_line("t", "web", "info")), SEEN_UNREMEMBERED);
    turn();
    CHECK_INT(recent.last_seq, 4);
    CHECK_INT(take(fixture_line("t", "db", "info")), SEEN_UNREMEMBERED);
    turn();
    CHECK(says(6, "\"event_host\":\"db\""));
    fake.now_ms += PIPELINE_VIOLATION_MS;
    CHECK_INT(take(fixture_line("t", "web", "info")), SEEN_UNREMEMBERED);
    turn();
    CHECK(says(8, "\"count\":3}"));
    children_kill_all(&children);
}

TEST(a_denied_rule_for_all_events_does_not_set_itself_off)
{
    if (!IS_ENABLED(CONFIG_HUB_GUARD))
        return;
    setup_violations("{\"rules\":[{\"name\":\"no\"," EXEC "}]}");
    CHECK_INT(take(fixture_line("t", "web", "info")), SEEN_UNREMEMBERED);
    for (int i = 0; i < 5; i++)
        turn();
    CHECK_INT(recent.last_seq, 2); /* what was denied, and that it was */
    CHECK_INT(asked, IS_ENABLED(CONFIG_HUB_RESTRAINT) ? 1 : 2); /* its own effect is not even judged */
    fake.now_ms += 2 * PIPELINE_VIOLATION_MS;
    turn();
    CHECK_INT(recent.last_seq, 2);
}

TEST(what_is_only_warned_of_is_told_and_done)
{
    if (!IS_ENABLED(CONFIG_HUB_GUARD))
        return;
    setup_violations("{\"rules\":[{\"name\":\"hm\",\"event_pattern\":\"^t$\"," EXEC "}]}");
    CHECK_INT(take(fixture_line("t", "web", "info")), SEEN_UNREMEMBERED);
    CHECK_INT(jobs_left(&jobs), 1);
    turn();
    CHECK(says(2, "\"verdict\":\"notify\",\"rule\":\"hm\""));
    children_kill_all(&children);
}

TEST(many_violations_are_bounded)
{
    char host[8] = "h0";

    if (!IS_ENABLED(CONFIG_HUB_GUARD))
        return;
    setup_violations("{\"rules\":[{\"name\":\"no\",\"event_pattern\":\"^t$\"," EXEC "}]}");
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 26; i++) {
            host[1] = (char)('a' + i);
            CHECK_INT(take(fixture_line("t", host, "info")), SEEN_UNREMEMBERED);
        }
        turn();
    }
    CHECK_INT(recent.last_seq, 3 * 26 + 3 * PIPELINE_VIOLATIONS);
    CHECK_INT(pipeline.verdicts[VERDICT_DENIED], 3 * 26);
}

TEST(what_waits_is_judged_again_under_a_new_policy)
{
    if (!IS_ENABLED(CONFIG_HUB_GUARD))
        return;
    setup_violations("{\"rules\":[{\"name\":\"no\"," EXEC "}]}");
    pipeline.guard.judge = NULL;
    CHECK_INT(take(fixture_line("t", "web", "info")), SEEN_UNREMEMBERED);
    CHECK_INT(take(fixture_line("t", "web", "info")), SEEN_UNREMEMBERED);
    CHECK_INT(jobs_left(&jobs), 2);
    pipeline.guard.judge = deny_no;
    pipeline.generation++;
    turn();
    turn();
    CHECK_INT(job_queue_running(&jobs.queues[0]), 0);
    CHECK_INT(jobs_left(&jobs), 0);
    CHECK_STR(row(1)->error, "denied: because");
    CHECK_INT(row(1)->state, RECENT_FAILED);
}

TEST(a_verdict_in_words)
{
    char buf[128];
    struct text t;
    struct verdict v = {.kind = VERDICT_DENIED, .reason = "too long", .have = 9000, .most = 8192};

    if (!IS_ENABLED(CONFIG_HUB_GUARD))
        return;
    text_init(&t, buf, sizeof buf);
    verdict_text(&t, &v);
    CHECK_STR(buf, "denied: too long (9000 > 8192)");
    CHECK_STR(verdict_word(VERDICT_ALLOWED), "allowed");
    CHECK_STR(verdict_word(VERDICT_NOTIFY), "notify");
    v = (struct verdict){.kind = VERDICT_DENIED, .reason = "matches deny_commands pattern", .rule = "x", .role = "r", .has_at = true};
    text_reset(&t);
    verdict_text(&t, &v);
    CHECK_STR(buf, "denied: matches deny_commands pattern: \"x\" of role \"r\" at byte 0");
    CHECK(!verdict_begins(&v));
}

TEST(the_order_of_a_turns_end)
{
    setup("{\"rules\":[" RULE_ONCE "]}");
    open_state();
    pipeline.acknowledge = check_order;
    acknowledged = 0;
    CHECK_INT(take(event(1, 1)), SEEN_NEW);
    disk_fails = true;
    turn();
    CHECK_INT(acknowledged, 0);
    CHECK_INT(job_queue_running(&jobs.queues[0]), 0); /* put back */
    CHECK_INT(jobs_left(&jobs), 1);
    CHECK_INT(retries, 1);
    disk_fails = false;
    fake.now_ms += PIPELINE_RETRY_MS;
    turn();
    CHECK_INT(acknowledged, 1);
    /* The hub that came up knows the event, and that its action was about to begin. */
    CHECK_INT(take(event(1, 1)), SEEN_DUPLICATE);
    CHECK_INT(pipeline.unfinished, 1);
    CHECK_INT(jobs_left(&jobs), 0);
    journal_close(&journal);
}

/* ---- After a restart ---- */

static enum action_started start_says;
static uint64_t started_job;
static bool started_approved;

static int start_and_wait(const struct action_request *r, struct action_scratch *s,
                          struct child_spec *spec, struct text *why)
{
    (void)s;
    (void)why;
    started_job = r->job;
    started_approved = r->approved;
    spec->deadline_ms = 60000;
    return (int)start_says;
}

static uint64_t only_job(enum job_state state)
{
    const struct job *job = jobs_next(&jobs, 0);

    CHECK(job != NULL);
    if (!job)
        return 0;
    CHECK_INT(job->state, state);
    CHECK(jobs_next(&jobs, job->id) == NULL);
    return job->id;
}

/** Whatever it waits for, it does so under the same id, and nothing is done twice. */
TEST(jobs_that_wait_outlive_the_hub)
{
    if (!IS_ENABLED(CONFIG_HUB_JOBS_WAIT))
        return; /* nothing waits */
    if (!IS_ENABLED(CONFIG_HUB_STATE))
        return; /* nothing is kept */
    setup("{\"rules\":[" RULE_ONCE "]}");
    exec_class.start = start_and_wait;
    open_state();
    start_says = ACTION_PENDING;
    CHECK_INT(take(event(1, 1)), SEEN_NEW);
    turn();
    const uint64_t id = only_job(JOB_PENDING);
    CHECK_INT(started_job, id);
    for (int i = 0; i < 2; i++) { /* from its frames, and from the copy of a new file */
        started_job = 0;
        restart();
        turn();
        CHECK_INT(only_job(JOB_PENDING), id);
        CHECK_INT(started_job, 0);
    }
    CHECK_INT(jobs_approve(&jobs, id, true), 0);
    jobs.queues[0].limit = 0;
    turn();
    restart();
    CHECK_INT(only_job(JOB_QUEUED), id);
    start_says = ACTION_SENT;
    turn();
    CHECK_INT(started_job, id);
    CHECK(started_approved);
    CHECK_INT(only_job(JOB_SENT), id);
    for (int i = 0; i < 2; i++) {
        started_job = 0;
        restart();
        turn();
        CHECK_INT(only_job(JOB_SENT), id);
        CHECK_INT(started_job, 0);
        CHECK_INT(row(1)->state, RECENT_PENDING);
    }
    CHECK_INT(pipeline.unfinished, 0);
    fake.now_ms += 60000;
    turn();
    CHECK_STR(row(1)->error, "no answer from the device");
    restart();
    CHECK(jobs_next(&jobs, 0) == NULL);
    CHECK_INT(take(event(1, 2)), SEEN_NEW);
    CHECK(jobs_next(&jobs, 0)->id > id); /* none is given twice */
    journal_close(&journal);
}

TEST(actions_resume_after_a_restart)
{
    setup("{\"rules\":[" RULE_ONCE "," RULE_TWICE "]}");
    open_state();
    jobs.queues[0].limit = 0; /* none begins */
    CHECK_INT(take(event(1, 1)), SEEN_NEW);
    turn();
    CHECK_INT(jobs_left(&jobs), 2);
    restart();
    CHECK_INT(jobs_left(&jobs), 2);
    CHECK_INT(pipeline.unfinished, 0);
    CHECK_STR(row(1)->rule, "once");
    CHECK_INT(row(1)->state, RECENT_PENDING);
    CHECK_STR(row_line(2), event(1, 1));
    jobs.queues[0].limit = 2;
    turn(); /* one lane each: both begin */
    CHECK_INT(job_queue_running(&jobs.queues[0]), 2);
    restart();
    CHECK_INT(pipeline.unfinished, 1);
    CHECK_INT(jobs_left(&jobs), 1);
    CHECK_STR(row(1)->rule, "once");
    CHECK_STR(row(1)->error, "started before the restart, result unknown");
    CHECK_STR(row(2)->rule, "twice");
    CHECK_INT(row(2)->state, RECENT_PENDING);
    CHECK(fixture_load(&rules, "{\"rules\":[" RULE_ONCE "]}", NULL) == 1);
    use_exec_class();
    restart(); /* and without that rule */
    CHECK_INT(jobs_left(&jobs), 0);
    CHECK_INT(pipeline.unfinished, 1);
    restart();
    CHECK_INT(pipeline.unfinished, 0); /* said once */
    journal_close(&journal);
}

/* ---- What the hub says of itself ---- */

TEST(own_events_match_rules)
{
    setup("{\"rules\":[{\"name\":\"own\",\"event_pattern\":\"^hub\\\\.\",\"host_pattern\":\"^hub$\","
          "\"severity\":\"warning\"," EXEC "}]}");
    hello("web", 1);
    CHECK_INT(take_as(WINDOW_LINK, event(1, 1000), false), SEEN_NEW);
    for (uint64_t seq = 1; seq <= 3; seq++)
        CHECK_INT(take_as(WINDOW_LINK, event(1, seq), false), SEEN_BELOW);
    CHECK_INT(jobs_left(&jobs), 0);
    turn();
    CHECK_INT(recent.last_seq, 5); /* one for all of the turn */
    CHECK_STR(row(5)->rule, "own");
    CHECK(says(5, "{\"type\":\"hub.unknown\",\"source\":\"hub\",\"host_id\":\"hub\""));
    CHECK(says(5, "\"severity\":\"warning\""));
    CHECK(says(5, "\"data\":{\"host\":\"web\",\"boot\":1,\"seq\":1,\"count\":3}"));
    CHECK(says(5, "\"seq\":1,\"boot\":0"));
    turn();
    CHECK_INT(recent.last_seq, 5); /* and not again */
    CHECK_INT(take_as(WINDOW_LINK, event(1, 4), false), SEEN_BELOW);
    turn();
    CHECK(says(7, "\"count\":1}"));
    CHECK(says(7, "\"seq\":2,\"boot\":0"));
    children_kill_all(&children);
}

/** It is in the journal before the event that it reports is acknowledged. */
TEST(own_events_outlive_the_hub)
{
    setup("{\"rules\":[" RULE_ONCE ",{\"name\":\"own\",\"event_pattern\":\"^hub\\\\.\"," EXEC "}]}");
    open_state();
    jobs.queues[0].limit = 0;
    hello("web", 1);
    CHECK_INT(take_as(WINDOW_LINK, event(1, 1), true), SEEN_NEW);
    CHECK_INT(jobs_left(&jobs), 0);
    turn();
    restart();
    CHECK_INT(jobs_left(&jobs), 1);
    CHECK_STR(row(1)->rule, "own");
    CHECK(says(1, "\"type\":\"hub.unknown\""));
    CHECK_INT(take_as(WINDOW_LINK, event(1, 1), false), SEEN_DUPLICATE);
    journal_close(&journal);
}

/** A report for whose actions there is no room waits, also over a restart, and is then told once. */
TEST(a_waiting_report_outlives_the_hub)
{
    const struct slice web = {"web", 3}, mail = {"mail", 4};
    const struct pending_report *waiting = &pipeline.reports[REPORT_UNKNOWN];
    unsigned queued = 0;

    setup("{\"rules\":[{\"name\":\"own\",\"event_pattern\":\"^hub\\\\.\"," EXEC "}]}");
    open_state();
    jobs.queues[0].limit = 0;
    do { /* until the hub's share of the lane is used up */
        queued = jobs_left(&jobs);
        pipeline_report(&pipeline, REPORT_CONFLICT, web, 7, 0);
        turn();
    } while (jobs_left(&jobs) > queued);
    pipeline_report(&pipeline, REPORT_UNKNOWN, mail, 8, 9);
    turn();
    pipeline_report(&pipeline, REPORT_UNKNOWN, mail, 8, 10);
    turn();
    for (int i = 0; i < 2; i++) { /* the second time from the copy that the first has written */
        restart();
        CHECK_INT(jobs_left(&jobs), queued);
        CHECK_INT(waiting->count, 2);
        CHECK_STR(waiting->host, "mail");
    }
    turn();
    CHECK_INT(waiting->count, 2); /* there is no room yet, but one begins */
    restart();
    CHECK_INT(jobs_left(&jobs), queued - 1);
    jobs.queues[0].limit = 0;
    turn();
    CHECK_INT(jobs_left(&jobs), queued);
    const bool unknown_first = waiting->count == 0;
    CHECK(says(recent.last_seq, unknown_first ? "{\"host\":\"mail\",\"boot\":8,\"seq\":9,\"count\":2}"
                                              : "{\"host\":\"web\",\"boot\":7,\"seq\":0,\"count\":1}"));
    restart();
    CHECK_INT(pipeline.reports[REPORT_UNKNOWN].count, unknown_first ? 0 : 2);
    CHECK_INT(pipeline.reports[REPORT_CONFLICT].count, unknown_first ? 1 : 0);
    CHECK_INT(jobs_left(&jobs), queued); /* the one that was told is an action now */
    journal_close(&journal);
}

TEST(reports_of_a_turn_are_bounded)
{
    char host[] = "h0";
    unsigned named = 0, total = 0;

    setup("{}");
    for (int i = 0; i < 20; i++) { /* invented hosts */
        host[1] = (char)('a' + i);
        pipeline_report(&pipeline, REPORT_EVICTED, (struct slice){host, 2}, 1, 1);
    }
    pipeline_report(&pipeline, REPORT_CONFLICT, (struct slice){"web", 3}, 7, 0);
    pipeline_report(&pipeline, REPORT_UNKNOWN, (struct slice){"mail", 4}, 8, 9);
    pipeline_report(&pipeline, REPORT_UNKNOWN, (struct slice){"mail", 4}, 8, 10);
    turn();
    CHECK_INT(recent.last_seq, PIPELINE_REPORTS);
    bool conflict = false, unknown = false;
    for (uint64_t seq = 1; seq <= recent.last_seq; seq++) {
        conflict |= says(seq, "hub.host_conflict") && says(seq, "{\"host\":\"web\",\"boot\":7,\"seq\":0,\"count\":1}");
        unknown |= says(seq, "hub.unknown") && says(seq, "{\"host\":\"mail\",\"boot\":8,\"seq\":9,\"count\":2}");
        if (says(seq, "hub.hosts_evicted")) {
            named++;
            total += (unsigned)strtoul(strstr(row_line(seq), "\"count\":") + 8, NULL, 10);
        }
    }
    CHECK(conflict);
    CHECK(unknown);
    CHECK_INT(named, PIPELINE_REPORTS - 2);
    CHECK_INT(total, 20); /* all are counted */
}

TEST(names_in_reports_are_cut_to_what_a_host_can_be)
{
    char host[EVENT_HOST_MAX + 1];

    setup("{}");
    memset(host, '"', EVENT_HOST_MAX); /* each is escaped */
    host[EVENT_HOST_MAX] = '\0';
    pipeline_report(&pipeline, REPORT_CONFLICT, (struct slice){host, EVENT_HOST_MAX},
                    LINK_BOOT_END - 1, UINT64_MAX);
    turn();
    CHECK_INT(recent.last_seq, 1);
    CHECK(says(1, "\\\"\",\"boot\":9007199254740991,\"seq\":18446744073709551615,\"count\":1}"));
}

TEST_MAIN(a_long_event_sets_off_many_rules, jobs_that_wait_outlive_the_hub, an_event_makes_a_row_for_each_rule, an_event_without_a_rule_makes_one_row,
          a_full_queue_shows_in_the_row, an_event_of_many_rules_is_not_deferred_for_ever,
          duplicates_act_once, duplicates_are_not_written_before_their_first_copy,
          long_names_are_told_apart, the_order_of_a_turns_end, actions_resume_after_a_restart,
          an_item_knows_when_its_host_was_seen, what_is_denied_has_a_row_and_does_not_begin,
          what_needs_an_approval_does_not_begin, what_is_only_reported_begins,
          what_resumes_is_judged_again, a_violation_is_an_event_of_its_own, a_denied_rule_for_all_events_does_not_set_itself_off,
          what_is_only_warned_of_is_told_and_done, many_violations_are_bounded, what_waits_is_judged_again_under_a_new_policy, a_verdict_in_words, own_events_match_rules, own_events_outlive_the_hub,
          a_waiting_report_outlives_the_hub, reports_of_a_turn_are_bounded,
          names_in_reports_are_cut_to_what_a_host_can_be)
