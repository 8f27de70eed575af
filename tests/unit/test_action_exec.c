#include "check.h"
#include "nefia/hub/action.h"
#include "nefia/base/err.h"
#include "nefia/hub/commands.h"
#include "nefia/ops/op.h"

extern const struct action_class action_exec; /* as in action_table.c */

static struct json_token tokens[CONFIG_JSON_TOKENS];
static char event_scratch[EVENT_SCRATCH];
static char line[CONFIG_EVENT_BYTES + 1];
static struct action_scratch scratch;
static struct child_spec spec;
static const char command[] = "echo \"$NEFIA_TYPE\"";
static struct action action = {.class = &action_exec};

static struct device device;

static const char *at_command = command;
static char why_buf[64];
static const uint32_t timeout_ms = 30000;

static const struct field *field(const char *name)
{
    const struct field *f = action_exec.fields;

    while (!str_eq(f->name, name))
        f++;
    return f;
}

/** Prepare for an event with this data, on the hub (1) or its device (0). Return: what start says. */
static int start_on(uint8_t target, const char *data)
{
    struct event event;
    struct text t, why;

    text_init(&t, line, sizeof line);
    text_init(&why, why_buf, sizeof why_buf);
    text_str(&t, "{\"type\":\"t\",\"source\":\"s\",\"host_id\":\"h\",\"severity\":\"info\","
                 "\"timestamp\":\"2026-03-10T15:30:00Z\",\"data\":");
    text_str(&t, data);
    text_char(&t, '}');
    CHECK(!t.truncated);
    CHECK_INT(event_decode(&event, line, t.len, tokens, CONFIG_JSON_TOKENS, event_scratch, NULL),
              0);
    struct action_request request = {
        .action = &action, .rule = "the rule", .event = &event, .device = device, .attempt = 1};
    memset(&scratch, '!', sizeof scratch);
    spec = (struct child_spec){0};
    memcpy((char *)action.own + field("command")->offset, &at_command, sizeof at_command);
    memcpy((char *)action.own + field("target")->offset, &target, sizeof target);
    memcpy((char *)action.own + field("timeout")->offset, &timeout_ms, sizeof timeout_ms);
    return action_exec.start(&request, &scratch, &spec, &why);
}

static void prepare(const char *data)
{
    CHECK_INT(start_on(1, data), ACTION_CHILD);
}

/** The value of a variable, or null. */
static const char *value(const char *name)
{
    for (const char *const *v = spec.envp; *v; v++)
        if (strncmp(*v, name, strlen(name)) == 0 && (*v)[strlen(name)] == '=')
            return *v + strlen(name) + 1;
    return NULL;
}

static unsigned count(void)
{
    unsigned n = 0;

    while (spec.envp[n])
        n++;
    return n;
}

enum { ALWAYS = 6 + IS_ENABLED(CONFIG_HUB_RESTRAINT) }; /* PATH, those of every event, and the cause */

TEST(the_command_is_as_configured)
{
    prepare("{}");
    CHECK_STR(spec.argv[0], "/bin/sh");
    CHECK_STR(spec.argv[1], "-c");
    CHECK(spec.argv[2] == command);
    CHECK(spec.argv[3] == NULL);
    CHECK_INT(count(), ALWAYS);
    CHECK_STR(value("NEFIA_TYPE"), "t");
    CHECK_STR(value("NEFIA_HOST"), "h");
    CHECK_STR(value("NEFIA_SEVERITY"), "info");
    CHECK_STR(value("NEFIA_RULE"), "the rule");
    if (IS_ENABLED(CONFIG_HUB_RESTRAINT))
        CHECK_STR(value("NEFIA_CAUSE"), "[\"the rule\"]");
    CHECK_STR(value("NEFIA_EVENT"), line);
    CHECK(value("PATH") != NULL);
    CHECK(value("NEFIA_TRUNCATED") == NULL);
}

TEST(scalars_of_data)
{
    prepare(
        "{\"a\":\"x=y \\\"z\\\" \\u00e4\",\"used-percent\":92.5,\"t\":true,\"f\":false,\"n\":null,"
        "\"o\":{\"a\":1},\"l\":[1],\"\":\"no name\",\"\xc3\xa4\":\"\",\"zero\":\"a\\u0000b\","
        "\"A\":\"twice\",\"PATH\":\"/evil\",\"last\":-1}");
    CHECK_STR(value("NEFIA_DATA_A"), "x=y \"z\" \xc3\xa4");
    CHECK_STR(value("NEFIA_DATA_USED_PERCENT"), "92.5");
    CHECK_STR(value("NEFIA_DATA_T"), "true");
    CHECK_STR(value("NEFIA_DATA_F"), "false");
    CHECK(value("NEFIA_DATA_N") == NULL);
    CHECK(value("NEFIA_DATA_O") == NULL);
    CHECK(value("NEFIA_DATA_L") == NULL);
    CHECK(value("NEFIA_DATA_ZERO") == NULL);
    CHECK_STR(value("NEFIA_DATA_"), "no name");
    CHECK_STR(value("NEFIA_DATA___"), "");
    CHECK_STR(value("NEFIA_DATA_PATH"), "/evil");
    CHECK(strncmp(value("PATH"), "/usr/", 5) == 0);
    CHECK_STR(value("NEFIA_DATA_LAST"), "-1");
    CHECK(value("NEFIA_TRUNCATED") == NULL);
}

TEST(the_device_of_the_event)
{
    static const struct host_label labels[] = {{"site", "north"}, {"rack_2", "12"}, {"not_its", "x"}};

    if (!IS_ENABLED(CONFIG_HUB_DEVICES))
        return;
    device = (struct device){.role = "edge", .labels = labels, .label_count = 2};
    prepare("{}");
    CHECK_STR(value("NEFIA_ROLE"), "edge");
    CHECK_STR(value("NEFIA_LABEL_SITE"), "north");
    CHECK_STR(value("NEFIA_LABEL_RACK_2"), "12");
    CHECK_INT(count(), ALWAYS + 3);
    device = (struct device){0};
    prepare("{}");
    CHECK(value("NEFIA_ROLE") == NULL);
    CHECK_INT(count(), ALWAYS);
}

TEST(a_variable_is_named_after_the_key_and_not_after_its_escapes)
{
    prepare("{\"\\u0061b\":1,\"\\u00e4\":2,\"c\\td\":3,\"\\u0041B\":4,\"e\\u0000f\":5}");
    CHECK_STR(value("NEFIA_DATA_AB"), "1"); /* the first of two that are the same */
    CHECK_STR(value("NEFIA_DATA___"), "2"); /* two bytes of UTF-8 */
    CHECK_STR(value("NEFIA_DATA_C_D"), "3");
    CHECK_STR(value("NEFIA_DATA_E_F"), "5");
    CHECK_INT(count(), ALWAYS + 4);
}

TEST(more_variables_than_there_is_room_for)
{
    char data[4096];
    struct text t;

    text_init(&t, data, sizeof data);
    text_str(&t, "{\"k0\":0");
    for (unsigned i = 1; i < 100; i++) {
        text_str(&t, ",\"k");
        text_u64(&t, i);
        text_str(&t, "\":\"v\"");
    }
    text_char(&t, '}');
    prepare(data);
    CHECK_INT(count(), ACTION_ENV_VARS);
    CHECK_STR(value("NEFIA_TRUNCATED"), "1");
    CHECK_STR(value("NEFIA_DATA_K0"), "0");
}

TEST(the_longest_event_fits)
{
    static char data[CONFIG_EVENT_BYTES];
    struct text t;

    text_init(&t, data, sizeof data - 130);
    text_str(&t, "{\"x\":\"");
    while (t.len < sizeof data - 140)
        text_char(&t, 'x');
    text_str(&t, "\"}");
    prepare(data);
    CHECK_INT(strlen(value("NEFIA_DATA_X")), sizeof data - 140 - 6);
    CHECK_STR(value("NEFIA_EVENT"), line);
    CHECK(value("NEFIA_TRUNCATED") == NULL);
}

TEST(a_long_key_is_cut)
{
    char data[256] = "{\"", name[200] = "NEFIA_DATA_";

    memset(data + 2, 'k', 200);
    memcpy(data + 202, "\":1}", 5);
    memset(name + 11, 'K', 64);
    prepare(data);
    CHECK_STR(value(name), "1");
}

static struct op op;
static char op_text[2 * OP_TEXT_BYTES];

/** The order, as the device reads it. Return: false: it cannot. */
static bool ordered(const char *data)
{
    static struct json_token op_tokens[OP_TOKENS];
    const char *why = NULL;
    struct text t;

    if (start_on(0, data) != ACTION_SENT)
        return false;
    CHECK(scratch.order.op.len <= COMMAND_OP_MAX);
    text_init(&t, op_text, sizeof op_text);
    CHECK_INT(op_read(&op, scratch.order.op, &t, op_tokens, OP_TOKENS, &why), 0);
    return why == NULL;
}

static const char *op_value(const char *name)
{
    for (const char *const *v = op.env; *v; v++)
        if (strncmp(*v, name, strlen(name)) == 0 && (*v)[strlen(name)] == '=')
            return *v + strlen(name) + 1;
    return NULL;
}

TEST(on_the_device_of_the_event)
{
    char member[8] = {0};
    char text_buf[64];
    struct text t;

    if (!IS_ENABLED(CONFIG_HUB_COMMANDS))
        return;
    text_init(&t, text_buf, sizeof text_buf);
    CHECK(field("life")->set(member, "0s", &t) < 0 && field("life")->set(member, "13h", &t) < 0);
    CHECK_INT(field("life")->set((char *)action.own + field("life")->offset, "2m", &t), 0);
    device = (struct device){0};
    REQUIRE(ordered("{\"a\":\"x=y \\\"z\\\" \\u00e4\",\"used-percent\":92.5,\"PATH\":\"/evil\"}"));
    CHECK_INT((long long)scratch.order.life_ms, 120000);
    CHECK_INT(op.kind, OP_RUN);
    CHECK_STR(op.run, command);
    CHECK_STR(op_value("NEFIA_TYPE"), "t");
    CHECK_STR(op_value("NEFIA_HOST"), "h");
    CHECK_STR(op_value("NEFIA_RULE"), "the rule");
    CHECK_STR(op_value("NEFIA_EVENT"), line);
    CHECK_STR(op_value("NEFIA_DATA_A"), "x=y \"z\" \xc3\xa4");
    CHECK_STR(op_value("NEFIA_DATA_USED_PERCENT"), "92.5");
    CHECK_STR(op_value("NEFIA_DATA_PATH"), "/evil");
    CHECK(op_value("PATH") == NULL);
    CHECK(op_value("NEFIA_CAUSE") == NULL); /* the device knows it from the command itself */
    CHECK(op_value("NEFIA_TRUNCATED") == NULL);
}

/** Data with a member of that many bytes, each of which takes two. */
static const char *long_data(unsigned members, size_t bytes)
{
    static char buf[CONFIG_EVENT_BYTES];
    struct text t;

    text_init(&t, buf, sizeof buf);
    for (unsigned i = 0; i < members; i++) {
        text_str(&t, i == 0 ? "{\"k" : ",\"k");
        text_u64(&t, i);
        text_str(&t, "\":\"");
        for (size_t k = 0; k < bytes; k++)
            text_str(&t, "\\\"");
        text_char(&t, '"');
    }
    text_char(&t, '}');
    return buf;
}

TEST(what_has_no_room_in_a_command_is_left_out)
{
    if (!IS_ENABLED(CONFIG_HUB_COMMANDS) || CONFIG_EVENT_BYTES < 8192)
        return;
    REQUIRE(ordered(long_data(1, 700)));
    const char *value = op_value("NEFIA_DATA_K0");
    REQUIRE(value != NULL);
    CHECK_INT((long long)strlen(value), 700);
    CHECK(op_value("NEFIA_EVENT") == NULL);
    CHECK_STR(op_value("NEFIA_TRUNCATED"), "1");
    REQUIRE(ordered(long_data(2, 1500)));
    CHECK(op_value("NEFIA_DATA_K0") == NULL || op_value("NEFIA_DATA_K1") == NULL);
    CHECK_STR(op_value("NEFIA_TRUNCATED"), "1");
    REQUIRE(ordered(long_data(60, 2)));
    CHECK_STR(op_value("NEFIA_TRUNCATED"), "1");
    CHECK(op.env_count <= OP_ENV);
    for (size_t n = 600; n < 760; n++)
        CHECK(ordered(long_data(2, n)));
}

TEST(a_command_of_many_quotes_is_too_long)
{
    static char quotes[ACTION_COMMAND_MAX + 1];

    if (!IS_ENABLED(CONFIG_HUB_COMMANDS))
        return;
    memset(quotes, '\x01', ACTION_COMMAND_MAX);
    at_command = quotes;
    CHECK_INT(start_on(0, "{}"), NEFIA_ETOOBIG);
    CHECK_STR(why_buf, "the command is too long for a device");
    memset(quotes, '"', ACTION_COMMAND_MAX);
    CHECK(ordered("{}"));
    at_command = command;
}

TEST(results_are_judged)
{
    static const struct {
        struct child_result r;
        enum action_outcome want;
        const char *error;
    } cases[] = {
        {{.exit_code = 0}, ACTION_DONE, ""},
        {{.exit_code = 3}, ACTION_FAILED, "exit 3"},
        {{.exit_code = 137, .signal = 9}, ACTION_FAILED, "signal 9"},
        {{.exit_code = 143, .signal = 15, .timed_out = true}, ACTION_FAILED, "timed out after 30s"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        char buf[ACTION_ERROR_MAX + 1];
        struct text error;
        text_init(&error, buf, sizeof buf);
        CHECK_INT(action_exec.judge(&cases[i].r, "", 30000, &error), cases[i].want);
        CHECK_STR(buf, cases[i].error);
    }
}

TEST_MAIN(the_command_is_as_configured, scalars_of_data, the_device_of_the_event,
          a_variable_is_named_after_the_key_and_not_after_its_escapes, more_variables_than_there_is_room_for,
          the_longest_event_fits, a_long_key_is_cut, on_the_device_of_the_event, what_has_no_room_in_a_command_is_left_out,
          a_command_of_many_quotes_is_too_long, results_are_judged)
