#include "nefia/hub/playbook_driver.h"

#include "check.h"
#include "nefia/base/err.h"

static struct json_token tokens[PLAYBOOK_REPORT_TOKENS];
static char strings_buf[PLAYBOOK_REPORT_TEXT], why_buf[256];
static struct audit_step step;

static int read_it(const char *json)
{
    struct text strings, why;

    text_init(&strings, strings_buf, sizeof strings_buf);
    text_init(&why, why_buf, sizeof why_buf);
    return playbook_report_read(&step, (struct slice){json, strlen(json)}, &strings, tokens, ARRAY_SIZE(tokens), &why);
}

TEST(what_is_written_is_read)
{
    const struct audit_step s = {.run = "00112233445566ff",
                                 .playbook = "restart \"it\"",
                                 .step = "ask\n",
                                 .part = "rollback",
                                 .host = "web-01",
                                 .rule = "r",
                                 .outcome = "failed",
                                 .error = "exit 3",
                                 .has_result = true,
                                 .exit = 3,
                                 .duration_ms = 1234567890123};
    char buf[1024];
    struct text t;

    text_init(&t, buf, sizeof buf);
    playbook_report_put(&t, &s);
    REQUIRE(strncmp(buf, "step {", 6) == 0);
    CHECK(!strchr(buf, '\n'));
    CHECK_INT(read_it(buf + 5), 0);
    CHECK_STR(step.run, s.run);
    CHECK_STR(step.playbook, s.playbook);
    CHECK_STR(step.step, s.step);
    CHECK_STR(step.part, s.part);
    CHECK_STR(step.host, s.host);
    CHECK_STR(step.rule, s.rule);
    CHECK_STR(step.outcome, s.outcome);
    CHECK_STR(step.error, s.error);
    CHECK(step.has_result);
    CHECK_INT(step.exit, 3);
    CHECK_INT(step.duration_ms, 1234567890123);
    CHECK_INT(read_it("{\"run\":\"00112233445566ff\",\"playbook\":\"p\",\"outcome\":\"begun\"}"), 0);
    CHECK(!step.step && !step.part && !step.host && !step.rule && !step.error && !step.has_result);
}

#define BEGUN "{\"run\":\"00112233445566ff\",\"playbook\":\"p\",\"outcome\":\"begun\""
TEST(what_is_wrong_is_refused)
{
    static const char *const wrong[][2] = {
        {"", "step takes one flat JSON object"},
        {"[]", "step takes one flat JSON object"},
        {BEGUN ",\"step\":{}}", "step takes one flat"},
        {BEGUN ",\"step\":{\"a\":[]}}", "step takes one flat"},
        {BEGUN ",\"exit\":256}", "step: exit: unknown, or not a value that it can have"},
        {BEGUN ",\"exit\":-1}", "step: exit"},
        {BEGUN ",\"duration_ms\":1.5}", "step: duration_ms"},
        {BEGUN ",\"host\":\"\"}", "step: host"},
        {BEGUN ",\"host\":\"a\\u0000b\"}", "step: host"},
        {BEGUN ",\"extra\":1}", "step: extra"},
        {BEGUN ",\"run\":\"1\"}", "step takes one flat"},
        {"{\"playbook\":\"p\",\"outcome\":\"begun\"}", "step: run is missing"},
        {"{\"run\":\"00112233445566ff\",\"outcome\":\"begun\"}", "step: playbook is missing"},
        {"{\"run\":\"00112233445566f\",\"playbook\":\"p\",\"outcome\":\"begun\"}", "step: run must be 16 hex digits"},
        {"{\"run\":\"00112233445566ff0\",\"playbook\":\"p\",\"outcome\":\"begun\"}", "step: run must be 16 hex digits"},
        {"{\"run\":\"00112233445566ff\",\"playbook\":\"p\",\"outcome\":\"fine\"}", "step: outcome is not one"},
    };

    for (unsigned i = 0; i < ARRAY_SIZE(wrong); i++) {
        CHECK(read_it(wrong[i][0]) < 0);
        why_buf[strlen(wrong[i][1])] = '\0';
        CHECK_STR(why_buf, wrong[i][1]);
    }
}

TEST(strings_have_a_bound)
{
    char buf[2 * PLAYBOOK_REPORT_TEXT];
    struct text t;

    text_init(&t, buf, sizeof buf);
    text_str(&t, BEGUN ",\"error\":\"");
    for (unsigned i = 0; i < PLAYBOOK_REPORT_TEXT; i++)
        text_char(&t, 'x');
    text_str(&t, "\"}");
    CHECK(read_it(buf) < 0);
}

TEST(there_is_a_word_for_each_outcome)
{
    CHECK_STR(word_at(play_outcome_words, OUTCOME_BEGUN), "begun");
    CHECK_STR(word_at(play_outcome_words, OUTCOMES - 1), "rolled_back");
    CHECK_STR(word_at(play_outcome_words, OUTCOMES), "");
}

TEST_MAIN(what_is_written_is_read, what_is_wrong_is_refused, strings_have_a_bound, there_is_a_word_for_each_outcome)
