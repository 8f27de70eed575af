#include "hub_wired.h"
#include "nefia/hub/dispatch.h"
#include "nefia/hub/status.h"

/* Commands to devices, between rules, sessions, the journal and people. The table itself is test_commands.c's. */

enum { PLACES = 8, TEXT = 24 * 1024 };
#define ON_DEVICE(name, more) "{\"name\":\"" name "\",\"event_pattern\":\"^t$\",\"action\":{\"type\":\"exec\",\"command\":\"true\"" more "}}"
#define RULES "{\"rules\":[" ON_DEVICE("r", "") "]}"

static struct dispatch dispatch;
static struct command slots_of_commands[PLACES];
static char texts[TEXT];
static uint8_t kept[JOURNAL_KEPT_MAX];
static struct status_view view = {.pipeline = &pipeline};
static uint64_t next_id, at_seq;
static unsigned wakes;

static int random_id(void *buf, size_t len)
{
    memset(buf, 0, len);
    put_be64(buf, ++next_id);
    return 0;
}

static void wake(void *arg)
{
    (void)arg;
    wakes++;
}

static void wire_dispatch(void)
{
    dispatch_init(&dispatch, &pipeline, &ingress, &loop, &scratch, slots_of_commands, PLACES, texts, TEXT, kept, random_id);
    dispatch.wake = wake;
    const struct journal_keeper keeper_of_commands = dispatch_keeper(&dispatch);
    journal_keeper(&journal, KEPT_COMMANDS, &keeper_of_commands);
}

static void begin(const char *rules_json)
{
    wire_commands = wire_dispatch;
    features = LINK_EXEC;
    at_seq = 0;
    wakes = 0;
    setup_signed(rules_json);
    open_state();
}

static void begin_again(void)
{
    restart();
    dispatch_resume(&dispatch);
    turn();
}

/** An event of the device, and the turn in which it is taken. */
static void emits(struct peer *p, uint64_t boot)
{
    CHECK_INT(say(p, event_of("web", boot, ++at_seq)), 0);
    turn();
}

/** What the hub says next but acknowledgements. */
static int hear_more(struct peer *p)
{
    int kind;

    while ((kind = hear(p)) == LINK_ACK)
        ;
    return kind;
}

static int say_result(struct peer *p, struct link_result r)
{
    return offer(p, link_beacon_result(&p->link, &r, p->up, LINK_BYTES_MIN));
}

/** The newest row's state and error. */
static const char *outcome(void)
{
    struct recent_view v;

    if (!recent_get(&recent, recent.last_seq, &v))
        return "no row";
    return v.row->state == RECENT_DONE ? "done" : v.row->state == RECENT_PENDING ? "pending" : v.row->error;
}

/* ---- Rules ---- */

TEST(a_rule_has_a_command_carried_out_on_the_device_of_the_event)
{
    begin(RULES);
    struct peer *p = welcomed(0, (struct hello){.boot = 7});
    CHECK_INT((int)p->got.welcome.features, LINK_EXEC);
    emits(p, 7);
    REQUIRE(hear_more(p) == LINK_COMMAND);
    CHECK_INT((long long)p->got.command.id, (long long)next_id);
    CHECK_INT((long long)p->got.command.first, 7);
    CHECK_INT((long long)p->got.command.life_ms, 300000);
    CHECK_STR(outcome(), "pending");
    CHECK(hear(p) < 0);
    turn();
    CHECK(hear(p) < 0); /* once */
    CHECK_INT(say_result(p, (struct link_result){.id = next_id, .outcome = LINK_DONE}), 0);
    CHECK(hear(p) < 0);
    turn();
    CHECK_INT(hear(p), LINK_ACK);
    CHECK_INT((long long)p->got.line, (long long)p->link.lines_out);
    CHECK_STR(outcome(), "done");
    CHECK(commands_next(&dispatch.table, 0) == NULL);
}

TEST(the_next_one_follows_in_the_turn_of_the_result)
{
    begin(RULES);
    struct peer *p = welcomed(0, (struct hello){.boot = 7});
    emits(p, 7);
    emits(p, 7);
    REQUIRE(hear_more(p) == LINK_COMMAND);
    const uint64_t id = p->got.command.id;
    CHECK(hear_more(p) < 0);
    CHECK_INT(say_result(p, (struct link_result){.id = id, .outcome = LINK_DONE, .exit_code = 4}), 0);
    turn();
    CHECK_INT(hear_more(p), LINK_COMMAND);
    CHECK_INT((long long)p->got.command.id, (long long)next_id);
}

TEST(a_result_is_acknowledged_once_it_is_in_the_journal)
{
    begin(RULES);
    struct peer *p = welcomed(0, (struct hello){.boot = 7});
    emits(p, 7);
    REQUIRE(hear_more(p) == LINK_COMMAND);
    disk_fails = true;
    CHECK_INT(say_result(p, (struct link_result){.id = next_id, .outcome = LINK_DONE}), 0);
    turn();
    CHECK(hear(p) < 0);
    disk_fails = false;
    begin_again();
    CHECK_STR(outcome(), "pending");
    const struct command *c = commands_next(&dispatch.table, 0);
    REQUIRE(c);
    CHECK_INT(c->state, COMMAND_SENT);
    p = welcomed(1, (struct hello){.boot = 8});
    CHECK_INT(hear_more(p), LINK_COMMAND); /* in the turn of the welcome */
    CHECK_INT((long long)p->got.command.id, (long long)next_id);
    CHECK_INT((long long)p->got.command.first, 7);
    CHECK_INT(say_result(p, (struct link_result){.id = next_id, .outcome = LINK_DONE, .exit_code = 3}), 0);
    turn();
    CHECK_INT(hear(p), LINK_ACK);
    CHECK_STR(outcome(), "exit 3");
}

TEST(nothing_is_sent_that_is_not_in_the_journal)
{
    begin(RULES);
    struct peer *p = welcomed(0, (struct hello){.boot = 7});
    CHECK_INT(say(p, event_of("web", 7, ++at_seq)), 0);
    disk_fails = true;
    turn();
    CHECK(hear(p) < 0);
    disk_fails = false;
    fake.now_ms += PIPELINE_RETRY_MS;
    turn();
    CHECK_INT(hear_more(p), LINK_COMMAND);
}

TEST(only_a_signed_session_with_the_feature_takes_commands)
{
    begin(RULES);
    features = 0;
    struct peer *p = welcomed(0, (struct hello){.boot = 7});
    CHECK_INT((int)p->got.welcome.features, 0);
    emits(p, 7);
    CHECK(hear_more(p) < 0);
    CHECK_STR(outcome(), "not supported by the device: it takes no commands");

    begin(RULES);
    ingress.key = no_key;
    p = welcomed(0, (struct hello){.boot = 7});
    emits(p, 7);
    CHECK_STR(outcome(), "not supported by the device: its session is not signed");
}

TEST(another_device_cannot_answer)
{
    begin(RULES);
    struct peer *p = welcomed(0, (struct hello){.boot = 7});
    struct peer *other = welcomed(1, (struct hello){.boot = 9, .host = "db"});
    emits(p, 7);
    REQUIRE(hear_more(p) == LINK_COMMAND);
    CHECK_INT(say_result(other, (struct link_result){.id = next_id, .outcome = LINK_DONE}), 0);
    turn();
    CHECK_INT(hear(other), LINK_ACK); /* its line counts; it says nothing */
    CHECK_STR(outcome(), "pending");
}

TEST(a_new_session_gets_it_when_the_old_one_is_lost)
{
    begin(RULES);
    struct peer *p = welcomed(0, (struct hello){.boot = 7});
    emits(p, 7);
    REQUIRE(hear_more(p) == LINK_COMMAND);
    fake.now_ms += 1000;
    struct peer *q = welcomed(1, (struct hello){.boot = 8}); /* ends the first one */
    CHECK_INT(hear_more(q), LINK_COMMAND);
    CHECK_INT((long long)q->got.command.id, (long long)next_id);
    CHECK_INT((long long)q->got.command.life_ms, 299000);
    leave(p);
    turn();
    CHECK(hear_more(q) < 0); /* not again because the old one is gone, too */
    leave(q);
    q = welcomed(2, (struct hello){.boot = 8});
    CHECK_INT(hear_more(q), LINK_COMMAND);
}

TEST(the_hubs_own_events_have_no_device)
{
    begin("{\"rules\":[{\"name\":\"own\",\"event_pattern\":\"^hub\\\\.\",\"action\":{\"type\":\"exec\",\"command\":\"true\"}}]}");
    CHECK(pipeline_emit(&pipeline, "hub.test", SEVERITY_INFO, (struct slice){"{}", 2}));
    turn();
    CHECK_STR(outcome(), "the event is of the hub itself");
}

/* ---- Restarts and reloads ---- */

TEST(what_waits_is_there_after_a_restart_unless_its_rule_is_gone)
{
    begin(RULES);
    fake.now_s = 2000000000; /* synced */
    struct peer *p = welcomed(0, (struct hello){.boot = 7});
    CHECK_INT(say(p, event_of("web", 7, ++at_seq)), 0);
    leave(p);
    turn();
    CHECK_INT(commands_in(&dispatch.table, COMMAND_WAITING), 1);
    begin_again();
    CHECK_INT(commands_in(&dispatch.table, COMMAND_WAITING), 1);
    CHECK_STR(outcome(), "pending");
    CHECK(fixture_load(&rules, "{\"rules\":[" ON_DEVICE("other", "") "]}", NULL) >= 0);
    use_exec_class();
    begin_again();
    CHECK(commands_next(&dispatch.table, 0) == NULL);
    CHECK(jobs_next(&jobs, 0) == NULL);
}

/** A policy of the test. */
static bool denies;
static unsigned asked;
static char judged[128], judged_rule[32];

static struct verdict judge(void *arg, const struct policy_case *c)
{
    (void)arg;
    asked++;
    snprintf(judged, sizeof judged, "%s|%s|%s", c->command ? c->command : "", c->path ? c->path : "", c->host);
    snprintf(judged_rule, sizeof judged_rule, "%s", c->rule ? c->rule : "nobody's");
    return (struct verdict){.kind = denies ? VERDICT_DENIED : VERDICT_ALLOWED, .reason = denies ? "the test" : NULL};
}

TEST(what_waited_while_the_policy_changed_is_judged_again)
{
    if (!IS_ENABLED(CONFIG_HUB_GUARD))
        return;
    begin(RULES);
    pipeline.guard = (struct guard){judge, NULL};
    denies = false;
    asked = 0;
    struct peer *p = welcomed(0, (struct hello){.boot = 7});
    emits(p, 7);
    emits(p, 7);
    REQUIRE(hear_more(p) == LINK_COMMAND);
    CHECK_INT(asked, 2);
    pipeline.generation++;
    denies = true;
    CHECK_INT(say_result(p, (struct link_result){.id = p->got.command.id, .outcome = LINK_DONE}), 0);
    turn();
    CHECK_INT(asked, 3);
    CHECK_STR(judged, "true||web");
    CHECK(hear_more(p) < 0);
    CHECK(strncmp(outcome(), "denied", 6) == 0);
    CHECK(commands_next(&dispatch.table, 0) == NULL);
}

/* ---- The control verb ---- */

static struct control_cursor cursor;
static char why_buf[256];

static int ask(const char *request)
{
    struct text why;

    cursor = (struct control_cursor){.uid = 3};
    text_init(&why, why_buf, sizeof why_buf);
    return dispatch_begin(&view, &cursor, request, &why);
}

static const char *produce(int want)
{
    static char out[CONFIG_CONTROL_LINE_BYTES];
    struct text t;

    text_init(&t, out, sizeof out);
    CHECK_INT(dispatch_produce(&view, &cursor, &t), want);
    return out;
}

TEST(a_person_gets_output_and_result)
{
    begin("{}");
    struct peer *p = welcomed(0, (struct hello){.boot = 7});
    CHECK_INT(ask("{\"host\":\"web\",\"op\":{\"argv\":[\"/bin/echo\",\"hi\"]},\"life_ms\":1000}"), 0);
    REQUIRE(hear_more(p) == LINK_COMMAND);
    produce(NEFIA_EAGAIN);
    CHECK_INT(say_result(p, (struct link_result){.id = next_id, .outcome = LINK_DONE, .exit_code = 5, .duration_ms = 8,
                                                 .output_total = 3, .output = {"hi\n", 3}}),
              0);
    CHECK_INT(wakes, 1);
    CHECK_STR(produce(1), "{\"output\":\"hi\\n\"}");
    char wanted[256];
    snprintf(wanted, sizeof wanted,
             "{\"result\":{\"host\":\"web\",\"id\":\"%016llx\",\"outcome\":\"done\",\"exit\":5,\"signal\":0,\"timed_out\":false,\"ms\":8,"
             "\"bytes\":3,\"reason\":\"\",\"error\":\"exit 5\"}}",
             (unsigned long long)next_id);
    CHECK_STR(produce(1), wanted);
    produce(0);
    CHECK_INT(cursor.exit, 5);
    dispatch_end(&view, &cursor);
    CHECK_INT((long long)dispatch.table.text_used, 0);
}

TEST(wrong_requests)
{
    static const struct {
        const char *request, *why;
    } cases[] = {
        {"", "exec takes a JSON object"},
        {"[]", "exec takes a JSON object"},
        {"{\"host\":\"web\"}", "exec: host or op is missing"},
        {"{\"host\":\"web\",\"op\":{\"run\":\"x\"}}", "exec: life_ms of a command without id is 0"},
        {"{\"host\":\"\",\"op\":{\"run\":\"x\"},\"life_ms\":1}", "exec: unknown or wrong member host"},
        {"{\"host\":\"w\\u0000b\",\"op\":{\"run\":\"x\"},\"life_ms\":1}", "exec: unknown or wrong member host"},
        {"{\"host\":\"web\",\"op\":[],\"life_ms\":1}", "exec: unknown or wrong member op"},
        {"{\"host\":\"web\",\"op\":{},\"life_ms\":-1}", "exec: unknown or wrong member life_ms"},
        {"{\"host\":\"web\",\"op\":{},\"life_ms\":86400001}", "exec: unknown or wrong member life_ms"},
        {"{\"host\":\"web\",\"op\":{},\"id\":\"12\"}", "exec: unknown or wrong member id"},
        {"{\"host\":\"web\",\"op\":{},\"id\":\"0000000000000000\"}", "exec: unknown or wrong member id"},
        {"{\"host\":\"web\",\"op\":{},\"frob\":1}", "exec: unknown or wrong member frob"},
        {"{\"host\":\"web\",\"op\":{\"run\":\"x\"},\"life_ms\":1,\"cause\":[1]}", "exec: unknown or wrong member cause"},
        {"{\"host\":\"web\",\"op\":{\"run\":\"x\"},\"life_ms\":1,\"cause\":[[\"r\"]]}", "exec: unknown or wrong member cause"},
        {"{\"host\":\"web\",\"op\":{\"run\":\"x\"},\"life_ms\":1,\"cause\":[\"1\",\"2\",\"3\",\"4\",\"5\",\"6\",\"7\",\"8\",\"9\"]}",
         "exec: unknown or wrong member cause"},
        {"{\"host\":\"web\",\"op\":{},\"cause\":[[]]}", "exec: unknown or wrong member cause"},
        {"{\"host\":\"web\",\"op\":{},\"cause\":[\"\",\"\",\"\",\"\",\"\",\"\",\"\",\"\",\"\"]}", "exec: unknown or wrong member cause"},
        {"{\"host\":\"nobody\",\"op\":{\"run\":\"x\"},\"life_ms\":1}", "no device of that name is known"},
        {"{\"host\":\"web\",\"op\":{\"frob\":\"x\"},\"life_ms\":1}", "unknown member of an operation"},
    };

    begin("{}");
    welcomed(0, (struct hello){.boot = 7});
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        CHECK(ask(cases[i].request) < 0);
        CHECK_STR(why_buf, cases[i].why);
        CHECK_INT(cursor.exit, DISPATCH_FAILED);
    }
    CHECK(commands_next(&dispatch.table, 0) == NULL);
}

/** A device would end its session over it, and again over each time that it is sent. */
TEST(nothing_is_sent_that_no_device_could_read)
{
    char request[CONFIG_CONTROL_LINE_BYTES];
    size_t len = 0;

    begin("{}");
    struct peer *p = welcomed(0, (struct hello){.boot = 7});
    len += (size_t)snprintf(request, sizeof request, "{\"host\":\"web\",\"life_ms\":1000,\"op\":{\"undo\":{\"begin\":\"0123456789abcdef\",\"within_ms\":1,\"ops\":[");
    for (unsigned i = 0; i < 50; i++)
        len += (size_t)snprintf(request + len, sizeof request - len, "%s[%u,{\"run\":\"x\"}]", i ? "," : "", i);
    snprintf(request + len, sizeof request - len, "]}}}");
    CHECK(ask(request) < 0);
    CHECK_STR(why_buf, "the operation has too many members");
    /* Of what is only asked for nobody has read the op. */
    CHECK_INT(ask("{\"host\":\"web\",\"op\":{\"a\":[[[[[[[[[[[[[[]]]]]]]]]]]]]]},\"life_ms\":0,\"id\":\"00000000000000ab\"}"), 0);
    REQUIRE(hear_more(p) == LINK_COMMAND);
    CHECK_INT((long long)p->got.command.op.len, 0);
}

TEST(the_policy_is_asked_for_every_part_of_an_op)
{
    if (!IS_ENABLED(CONFIG_HUB_GUARD))
        return;
    begin("{}");
    pipeline.guard = (struct guard){judge, NULL};
    welcomed(0, (struct hello){.boot = 7});
    denies = true;
    CHECK_INT(ask("{\"host\":\"web\",\"op\":{\"argv\":[\"/bin/rm\",\"a b\"]},\"life_ms\":1000}"), NEFIA_EAUTH);
    CHECK_INT(cursor.exit, DISPATCH_DENIED);
    CHECK_STR(judged, "/bin/rm 'a b'||web");
    CHECK(strncmp(why_buf, "denied", 6) == 0);
    denies = false;
    asked = 0;
    CHECK_INT(ask("{\"host\":\"web\",\"op\":{\"file\":{\"path\":\"/etc/x\",\"from\":\"/tmp/y\"}},\"life_ms\":1000}"), 0);
    CHECK_INT(asked, 2);
    CHECK_STR(judged, "|/tmp/y|web");
    asked = 0;
    CHECK_INT(ask("{\"host\":\"web\",\"life_ms\":1000,\"op\":{\"undo\":{\"begin\":\"0123456789abcdef\",\"within_ms\":1000,\"ops\":"
                  "[[0,{\"run\":\"a\"}],[1,{\"service\":{\"name\":\"n\",\"verb\":\"stop\"}}]]}}}"),
              0);
    CHECK_INT(asked, 2);
    CHECK_STR(judged, "service n stop||web");
    CHECK(ask("{\"host\":\"web\",\"life_ms\":1000,\"op\":{\"undo\":{\"begin\":\"0123456789abcdef\",\"within_ms\":1000,\"ops\":[7]}}}") < 0);
    CHECK_INT(cursor.exit, DISPATCH_FAILED);
}

TEST(what_was_sent_does_not_begin_once_the_policy_denies_it)
{
    if (!IS_ENABLED(CONFIG_HUB_GUARD))
        return;
    begin("{}");
    pipeline.guard = (struct guard){judge, NULL};
    denies = false;
    struct peer *p = welcomed(0, (struct hello){.boot = 7});
    CHECK_INT(ask("{\"host\":\"web\",\"op\":{\"run\":\"x\"},\"life_ms\":9000,\"rule\":\"r9\"}"), 0);
    REQUIRE(hear_more(p) == LINK_COMMAND);
    CHECK(p->got.command.life_ms > 0);
    leave(p);
    turn();
    pipeline.generation++;
    denies = true;
    judged_rule[0] = '\0';
    p = welcomed(1, (struct hello){.boot = 7});
    REQUIRE(hear_more(p) == LINK_COMMAND); /* it may have begun */
    CHECK_INT((long long)p->got.command.life_ms, 0);
    CHECK_STR(judged_rule, "r9");
    denies = false;
}

TEST(who_goes_and_who_comes_back)
{
    static const char by_id[] = "{\"host\":\"web\",\"op\":{\"run\":\"x\"},\"life_ms\":9000,\"id\":\"00000000000000ab\"}";

    begin("{}");
    struct peer *p = welcomed(0, (struct hello){.boot = 7});
    CHECK_INT(ask(by_id), 0);
    const struct control_cursor first = cursor;
    CHECK_INT(ask(by_id), NEFIA_EINVAL); /* somebody waits for it */
    CHECK_INT(ask("{\"host\":\"web\",\"op\":{\"run\":\"y\"},\"life_ms\":9000}"), 0);
    dispatch_end(&view, &cursor); /* not sent yet: withdrawn */
    CHECK_INT(commands_in(&dispatch.table, COMMAND_WAITING), 0);
    REQUIRE(hear_more(p) == LINK_COMMAND);
    CHECK_INT((long long)p->got.command.id, 0xab);
    cursor = first;
    dispatch_end(&view, &cursor);
    CHECK_INT(commands_in(&dispatch.table, COMMAND_SENT), 1);
    begin_again();
    CHECK_INT(commands_in(&dispatch.table, COMMAND_SENT), 1);
    CHECK_INT(ask(by_id), 0); /* it is the same one */
    CHECK_INT(commands_in(&dispatch.table, COMMAND_SENT), 1);
    p = welcomed(1, (struct hello){.boot = 7});
    REQUIRE(hear_more(p) == LINK_COMMAND);
    CHECK_INT(say_result(p, (struct link_result){.id = 0xab, .outcome = LINK_DENIED, .reason = "no"}), 0);
    turn();
    CHECK(strstr(produce(1), "\"outcome\":\"denied\"") != NULL);
    CHECK_INT(cursor.exit, DISPATCH_DENIED);
    produce(0);
    CHECK_INT(ask("{\"host\":\"web\",\"op\":{\"run\":\"x\"},\"life_ms\":0,\"id\":\"00000000000000ab\"}"), 0); /* asked for */
    REQUIRE(hear_more(p) == LINK_COMMAND);
    CHECK_INT((long long)p->got.command.life_ms, 0);
}

TEST_MAIN(what_was_sent_does_not_begin_once_the_policy_denies_it, nothing_is_sent_that_no_device_could_read, a_rule_has_a_command_carried_out_on_the_device_of_the_event, the_next_one_follows_in_the_turn_of_the_result,
          a_result_is_acknowledged_once_it_is_in_the_journal, nothing_is_sent_that_is_not_in_the_journal,
          only_a_signed_session_with_the_feature_takes_commands, another_device_cannot_answer,
          a_new_session_gets_it_when_the_old_one_is_lost, the_hubs_own_events_have_no_device,
          what_waits_is_there_after_a_restart_unless_its_rule_is_gone, what_waited_while_the_policy_changed_is_judged_again,
          a_person_gets_output_and_result, wrong_requests, the_policy_is_asked_for_every_part_of_an_op, who_goes_and_who_comes_back)
