#include "hub_wired.h"
#include "nefia/hub/audit_log.h"

/* What the pipeline and the ingress record, and when. The log itself is test_audit_log.c's. */

static struct audit_log audit;
static union audit_work work;
static struct audit_settings audit_settings;
static char dir_memory[] = "/dev/shm/nefia-audit-XXXXXX", dir_disk[] = "/tmp/nefia-audit-XXXXXX";
static const char *audit_dir;
static char log_text[64 * 1024];
static unsigned wakes;

static void remove_audit(void)
{
    (void)remove_tempdir(audit_dir);
}

static void on_wake(void *arg)
{
    (void)arg;
    wakes++;
}

static const char *audit_path(const char *name)
{
    static char path[FILE_PATH_MAX];

    CHECK_INT(file_join(path, audit_dir, name), 0);
    return path;
}

/** A hub with these rules, a journal and a new audit log. */
static void set_up(const char *rules_json)
{
    struct text why;
    char why_buf[256];

    if (!audit_dir) {
        audit_dir = make_tempdir(dir_memory, dir_disk);
        REQUIRE(audit_dir);
        atexit(remove_audit);
    } else {
        audit_log_close(&audit);
        unlink(audit_path("audit.log"));
        unlink(audit_path("audit.key"));
    }
    setup(rules_json);
    open_state();
    text_init(&why, why_buf, sizeof why_buf);
    audit_log_init(&audit, &fake.clock, &work);
    audit.wake = on_wake;
    wakes = 0;
    audit_settings = (struct audit_settings){.enabled = true, .sync = true, .max_kb = 1024, .files = 2};
    CHECK_INT(audit_log_open(&audit, audit_dir, &audit_settings, &why), 0);
    pipeline.audit = &audit;
}

/** How often the log has that, as it is on the disk. */
static unsigned recorded(const char *what)
{
    const long n = file_read(audit_path("audit.log"), log_text, sizeof log_text - 1);
    unsigned count = 0;

    CHECK(n > 0);
    log_text[n > 0 ? n : 0] = '\0';
    for (const char *at = log_text; (at = strstr(at, what)) != NULL; at++)
        count++;
    return count;
}

static int take(const char *line)
{
    static char kept[2048];
    static struct event decoded;
    const struct event_source from = {.kind = WINDOW_PLAIN, .name = (const uint8_t[LINK_NAME]){0}};

    snprintf(kept, sizeof kept, "%s", line);
    CHECK_INT(pipeline_decode(&pipeline, kept, strlen(kept), &decoded, NULL), 0);
    return pipeline_take(&pipeline, &decoded, &from);
}

static void run_children(void)
{
    for (unsigned i = 0; i < 200 && job_queue_running(&jobs.queues[0]) > 0; i++) {
        poll(NULL, 0, 10);
        children_reap(&children);
        loop_turn(&loop, 0);
    }
}

TEST(an_action_has_its_records)
{
    set_up("{\"rules\":[" RULE_ONCE "]}");
    CHECK_INT(take(event(7, 41)), SEEN_NEW);
    CHECK_INT(recorded("action_begun"), 0);
    turn();
    CHECK_INT(job_queue_running(&jobs.queues[0]), 1);
    CHECK_INT(recorded("\"kind\":\"action_begun\",\"clock\":\"unsynced\",\"rule\":\"once\",\"host\":\"web\",\"type\":\"t\",\"action\":\"exec\","
                       "\"job\":2,\"attempt\":1,"),
              1);
    run_children();
    turn();
    CHECK_INT(recorded("\"kind\":\"action_ended\",\"clock\":\"unsynced\",\"rule\":\"once\",\"host\":\"web\",\"type\":\"t\",\"action\":\"exec\","
                       "\"job\":2,\"outcome\":\"done\",\"attempts\":1,\"exit\":0,\"duration_ms\":"),
              1);
    CHECK_INT(recorded("\"kind\":"), audit.head.n);
}

/** With the journal, no action begins, and none is said to begin; each is said once when it does. */
TEST(what_does_not_begin_has_no_record)
{
    set_up("{\"rules\":[" RULE_ONCE "]}");
    disk_fails = true;
    CHECK_INT(take(event(7, 41)), SEEN_NEW);
    turn();
    fake.now_ms += PIPELINE_RETRY_MS;
    turn();
    CHECK_INT(job_queue_running(&jobs.queues[0]), 0);
    CHECK_INT(recorded("action_begun"), 0);
    disk_fails = false;
    fake.now_ms += PIPELINE_RETRY_MS;
    turn();
    CHECK_INT(job_queue_running(&jobs.queues[0]), 1);
    CHECK_INT(recorded("action_begun"), 1);
    children_kill_all(&children);
}

static struct verdict deny(void *arg, const struct policy_case *c)
{
    (void)arg;
    (void)c;
    return (struct verdict){.kind = VERDICT_DENIED, .reason = "because", .mode = "enforce"};
}

TEST(a_decision_has_its_record)
{
    if (!IS_ENABLED(CONFIG_HUB_GUARD))
        return;
    set_up("{\"rules\":[" RULE_ONCE "]}");
    pipeline.guard = (struct guard){deny, NULL};
    CHECK_INT(take(event(7, 41)), SEEN_NEW);
    turn();
    CHECK_INT(recorded("\"kind\":\"decision\",\"clock\":\"unsynced\",\"rule\":\"once\",\"host\":\"web\",\"target\":\"hub\",\"action\":\"exec\",\"verdict\":"
                       "\"denied\",\"reason\":\"because\",\"mode\":\"enforce\",\"type\":\"t\",\"severity\":\"info\",\"boot\":7,\"seq\":41,"
                       "\"command\":\"true\","),
              1);
    CHECK_INT(recorded("action_begun"), 0);
}

/** After a restart: the one whose end nobody knows, and the one whose rule is gone. What is decided outlives the hub. */
TEST(what_is_not_resumed_has_its_record)
{
    const struct journal_job gone = {.id = 9, .event = 5, .rule = {"gone", 4}, .state = JOURNAL_QUEUED};
    const struct journal_hooks journal_hooks = pipeline_journal_hooks(&pipeline);

    set_up("{\"rules\":[" RULE_ONCE "]}");
    CHECK_INT(take(event(7, 41)), SEEN_NEW);
    turn();
    CHECK_INT(job_queue_running(&jobs.queues[0]), 1);
    children_kill_all(&children);
    wire();
    pipeline.audit = &audit;
    open_state();
    CHECK_INT(pipeline.unfinished, 1);
    journal_hooks.job(&pipeline, &gone, event(7, 42), strlen(event(7, 42)));
    turn();
    CHECK_INT(recorded("\"kind\":\"action_ended\",\"clock\":\"unsynced\",\"rule\":\"once\",\"host\":\"web\",\"type\":\"t\",\"action\":\"exec\","
                       "\"job\":2,\"outcome\":\"unknown\",\"error\":\"started before the restart, result unknown\","),
              1);
    CHECK_INT(recorded("\"rule\":\"gone\",\"host\":\"web\",\"type\":\"t\",\"job\":9,\"outcome\":\"failed\",\"error\":\"rule removed\","), 1);
}

TEST(a_rejection_has_its_record)
{
    set_up("{\"rules\":[]}");
    CHECK_INT(say_plain(come(0), NULL, "no event"), NEFIA_EAUTH);
    CHECK_INT(wakes, 1);
    CHECK_INT(recorded("rejected"), 0);
    audit_log_commit(&audit);
    CHECK_INT(recorded("\"kind\":\"rejected\",\"clock\":\"unsynced\",\"reason\":\"not_json\",\"connections\":1,\"last\":\"192.0.2.10:4711\","), 1);
}

/** The event with the head is decided like others, and not made where no rule wants it. */
TEST(an_event_of_its_own_can_be_emitted)
{
    const struct slice data = {"{\"records\":7}", 13};

    set_up("{\"rules\":[{\"name\":\"head\",\"event_pattern\":\"^hub\\\\.audit_head$\"," EXEC "}]}");
    CHECK(pipeline_emit(&pipeline, "hub.other", SEVERITY_INFO, data));
    CHECK_INT(recent.last_seq, 0);
    CHECK(pipeline_emit(&pipeline, "hub.audit_head", SEVERITY_INFO, data));
    CHECK_INT(recent.last_seq, 1);
    CHECK(strstr(row_line(1), "\"type\":\"hub.audit_head\",\"source\":\"hub\",\"host_id\":\"hub\",") != NULL);
    CHECK(strstr(row_line(1), "\"severity\":\"info\",\"data\":{\"records\":7},\"seq\":1") != NULL);
    set_up("{\"rules\":[{\"name\":\"all\"," EXEC "}]}");
    CHECK(pipeline_emit(&pipeline, "hub.audit_head", SEVERITY_INFO, data));
    CHECK_INT(recent.last_seq, 0); /* who wants everything has not asked for it */
    set_up("{\"rules\":[{\"name\":\"all\"," EXEC "},{\"name\":\"head\",\"event_pattern\":\"^hub\"," EXEC "}]}");
    for (unsigned i = 0; i < ARRAY_SIZE(slots); i++)
        (void)pipeline_emit(&pipeline, "hub.audit_head", SEVERITY_INFO, data);
    CHECK(!pipeline_emit(&pipeline, "hub.audit_head", SEVERITY_INFO, data)); /* no room now */
    turn();
    CHECK(recorded("\"kind\":\"action_begun\"") >= 1);
    children_kill_all(&children);
}

TEST_MAIN(an_action_has_its_records, what_does_not_begin_has_no_record, a_decision_has_its_record, what_is_not_resumed_has_its_record,
          a_rejection_has_its_record,
          an_event_of_its_own_can_be_emitted)
