#include "nefia/event/event.h"

#include "check.h"
#include "nefia/base/err.h"

#define DATA_OK "{\"path\":\"/\",\"used_percent\":\"92.5\"}"
#define T "\"type\":\"disk.usage\","
#define S "\"source\":\"disk-beacon\","
#define H "\"host_id\":\"web-01\","
#define TS "\"timestamp\":\"2026-03-10T15:30:00Z\","
#define SEV "\"severity\":\"critical\","
#define D "\"data\":{\"a\":1}"

static struct json_token tokens[CONFIG_JSON_TOKENS];
static char scratch[EVENT_SCRATCH];
static struct event event;
static const char *why;

static int decode_bytes(const char *line, size_t len)
{
    return event_decode(&event, line, len, tokens, CONFIG_JSON_TOKENS, scratch, &why);
}

static int decode(const char *line)
{
    return decode_bytes(line, strlen(line));
}

static struct event_head head_ok(void)
{
    return (struct event_head){
        .type = "disk.usage",
        .source = "disk-beacon",
        .host_id = "web-01",
        .severity = SEVERITY_CRITICAL,
        .unix_s = 1773156600,
        .synced = true,
        .seq = 7,
        .boot = 3,
        .uptime_ms = 12345,
    };
}

TEST(severities)
{
    CHECK_STR(severity_text(SEVERITY_WARNING), "warning");
    CHECK_INT(severity_parse("info", 4), SEVERITY_INFO);
    CHECK_INT(severity_parse("criticalx", 8), SEVERITY_CRITICAL);
    CHECK_INT(severity_parse("critical", 7), NEFIA_EINVAL);
    CHECK_INT(severity_parse("Info", 4), NEFIA_EINVAL);
    CHECK_INT(severity_parse("", 0), NEFIA_EINVAL);
    CHECK_STR(word_at(severity_words, SEVERITY_COUNT), "");
}

TEST(encodes_members_in_order)
{
    char buf[CONFIG_EVENT_BYTES + 1];
    struct event_head h = head_ok();
    struct text out;
    int n;

    text_init(&out, buf, sizeof buf);
    n = event_encode(&out, &h, DATA_OK, strlen(DATA_OK));
    CHECK_STR(buf, "{\"type\":\"disk.usage\",\"source\":\"disk-beacon\",\"host_id\":\"web-01\","
                   "\"timestamp\":\"2026-03-10T15:30:00Z\",\"severity\":\"critical\","
                   "\"data\":{\"path\":\"/\",\"used_percent\":\"92.5\"},"
                   "\"seq\":7,\"boot\":3,\"uptime_ms\":12345,\"clock\":\"synced\"}");
    CHECK_INT(n, strlen(buf));
    h.suppressed = 4;
    h.synced = false;
    text_reset(&out);
    event_encode(&out, &h, "{}", 2);
    CHECK(strstr(buf, "\"clock\":\"unsynced\",\"suppressed\":4}"));
}

TEST(encoding_round_trips)
{
    char buf[CONFIG_EVENT_BYTES + 1];
    struct event_head h = head_ok();
    struct text out;

    h.synced = false;
    text_init(&out, buf, sizeof buf);
    REQUIRE(event_encode(&out, &h, DATA_OK, strlen(DATA_OK)) > 0);
    REQUIRE(decode(buf) == 0);
    CHECK(why == NULL);
    CHECK(slice_eq(event.type, "disk.usage"));
    CHECK(slice_eq(event.source, "disk-beacon"));
    CHECK(slice_eq(event.host_id, "web-01"));
    CHECK_INT(event.severity, SEVERITY_CRITICAL);
    CHECK_INT(event.unix_s, 1773156600);
    CHECK(slice_eq(event.data, DATA_OK));
    CHECK_INT(json_member(&event.doc, event.data_token, "path") > 0, 1);
    CHECK(event.has_seq && event.seq == 7 && event.boot == 3);
    CHECK(event.unsynced);
    CHECK_INT(event.line.len, strlen(buf));
}

TEST(any_order_and_unknown_members)
{
    CHECK_INT(decode("{\"extra\":[{\"type\":\"no\"},2]," D "," SEV TS H S T "\"zz\":null}"), 0);
    CHECK(slice_eq(event.type, "disk.usage"));
    CHECK(slice_eq(event.data, "{\"a\":1}"));
    CHECK(!event.has_seq && !event.unsynced);
    CHECK_INT(decode(" { \"typ\\u0065\" : \"disk\\u002eusage\", " S H
                     "\"timestamp\":\"2026-03-10T16:30:00.25+01:00\"," SEV D " } "),
              0);
    CHECK(slice_eq(event.type, "disk.usage"));
    CHECK_INT(event.unix_s, 1773156600);
}

TEST(escaped_names_are_unescaped)
{
    const char *line = "{\"type\":\"\\u00e9\\\"x\",\"source\":\"a\\/b\",\"host_id\":\"h\\u002d1\","
                       "\"timestamp\":\"2026-03-10T15:30:00\\u005a\",\"severity\":\"\\u0069nfo\","
                       "\"data\":{\"k\":\"\\n\"}}";

    CHECK_INT(decode(line), 0);
    CHECK(slice_eq(event.type, "\xC3\xA9\"x"));
    CHECK(slice_eq(event.source, "a/b"));
    CHECK(slice_eq(event.host_id, "h-1"));
    CHECK_INT(event.severity, SEVERITY_INFO);
    CHECK(slice_eq(event.data, "{\"k\":\"\\n\"}"));
}

static void check_refused(const char *line, int err, const char *says)
{
    CHECK_INT(decode(line), err);
    if (!why || !strstr(why, says)) {
        CHECK_STR(line, "");
        CHECK_STR(why, says);
    }
}

TEST(missing_members_are_named)
{
    check_refused("{" S H TS SEV D "}", NEFIA_EINVAL, "lacks member \"type\"");
    check_refused("{" T H TS SEV D "}", NEFIA_EINVAL, "lacks member \"source\"");
    check_refused("{" T S TS SEV D "}", NEFIA_EINVAL, "lacks member \"host_id\"");
    check_refused("{" T S H SEV D "}", NEFIA_EINVAL, "lacks member \"timestamp\"");
    check_refused("{" T S H TS D "}", NEFIA_EINVAL, "lacks member \"severity\"");
    check_refused("{" T S H TS "\"severity\":\"info\"}", NEFIA_EINVAL, "lacks member \"data\"");
    check_refused("{}", NEFIA_EINVAL, "lacks member \"type\"");
    check_refused("[]", NEFIA_EINVAL, "not a JSON object");
    check_refused("\"type\"", NEFIA_EINVAL, "not a JSON object");
}

TEST(malformed_members_are_named)
{
    check_refused("{\"type\":1," S H TS SEV D "}", NEFIA_EINVAL, "\"type\" is not");
    check_refused("{\"type\":\"\"," S H TS SEV D "}", NEFIA_EINVAL, "\"type\" is not");
    check_refused("{\"type\":\"a\\nb\"," S H TS SEV D "}", NEFIA_EINVAL, "\"type\" is not");
    check_refused("{\"type\":\"a\\u0000b\"," S H TS SEV D "}", NEFIA_EINVAL, "\"type\" is not");
    check_refused("{\"type\":\"a\x7F\"," S H TS SEV D "}", NEFIA_EINVAL, "\"type\" is not");
    check_refused("{\"type\":\"a\xC2\x9B\"," S H TS SEV D "}", NEFIA_EINVAL, "\"type\" is not");
    check_refused("{" T "\"source\":null," H TS SEV D "}", NEFIA_EINVAL, "\"source\" is not");
    check_refused("{" T S "\"host_id\":[]," TS SEV D "}", NEFIA_EINVAL, "\"host_id\" is not");
    check_refused("{" T S H "\"timestamp\":\"yesterday\"," SEV D "}", NEFIA_EINVAL,
                  "\"timestamp\" is not");
    check_refused("{" T S H "\"timestamp\":\"2026-02-30T00:00:00Z\"," SEV D "}", NEFIA_EINVAL,
                  "\"timestamp\"");
    check_refused("{" T S H "\"timestamp\":1773156600," SEV D "}", NEFIA_EINVAL,
                  "\"timestamp\" is not");
    check_refused("{" T S H TS "\"severity\":\"criticl\"," D "}", NEFIA_EINVAL,
                  "\"severity\" is not one of");
    check_refused("{" T S H TS "\"severity\":\"Info\"," D "}", NEFIA_EINVAL,
                  "\"severity\" is not one of");
    check_refused("{" T S H TS "\"severity\":2," D "}", NEFIA_EINVAL, "\"severity\" is not one of");
    check_refused("{" T S H TS SEV "\"data\":[]}", NEFIA_EINVAL, "\"data\" is not an object");
    check_refused("{" T S H TS SEV "\"data\":\"{}\"}", NEFIA_EINVAL, "\"data\" is not an object");
}

TEST(json_errors_come_through)
{
    CHECK_INT(decode("{" T S H TS SEV D), NEFIA_ESYNTAX);
    CHECK(why != NULL);
    CHECK_INT(decode("{" T T S H TS SEV D "}"), NEFIA_EEXIST);
    CHECK_INT(decode("{" T S H TS SEV D ",\"da\\u0074a\":{}}"), NEFIA_EEXIST);
    CHECK_INT(decode("{" T S H TS SEV "\"data\":{\"a\":1,\"a\":2}}"), NEFIA_EEXIST);
    CHECK_INT(decode("{" T S H TS SEV "\"data\":{\"a\":\"\xFF\"}}"), NEFIA_EUTF8);
    CHECK_INT(decode(""), NEFIA_ESYNTAX);
    CHECK_INT(event_decode(&event, "[1,2,3]", 7, tokens, 2, scratch, NULL), NEFIA_EFULL);
}

TEST(every_truncation_is_refused)
{
    static const char line[] = "{" T S H TS SEV D ",\"seq\":1,\"boot\":2,\"clock\":\"synced\"}";
    char copy[sizeof line];

    for (size_t len = 0; len < sizeof line - 1; len++) {
        memset(copy, 'x', sizeof copy);
        memcpy(copy, line, len);
        CHECK(decode_bytes(copy, len) < 0);
        CHECK(why != NULL);
    }
    CHECK_INT(decode(line), 0);
}

TEST(seq_and_boot_count_only_together)
{
    CHECK_INT(decode("{" T S H TS SEV D ",\"seq\":18446744073709551615,\"boot\":0}"), 0);
    CHECK(event.has_seq && event.seq == UINT64_MAX && event.boot == 0);
    CHECK_INT(decode("{" T S H TS SEV D ",\"seq\":1}"), 0);
    CHECK(!event.has_seq);
    CHECK_INT(decode("{" T S H TS SEV D ",\"seq\":-1,\"boot\":1}"), 0);
    CHECK(!event.has_seq);
    CHECK_INT(decode("{" T S H TS SEV D ",\"seq\":\"1\",\"boot\":1,\"clock\":{\"unsynced\":1}}"),
              0);
    CHECK(!event.has_seq && !event.unsynced);
}

/** A line whose member `key` is a string of n letters. */
static const char *line_with(struct text *t, const char *key, size_t n, bool escaped)
{
    text_reset(t);
    text_str(t, "{");
    text_str(t, key[0] == 't' ? "" : T);
    text_str(t, key[0] == 's' ? "" : S);
    text_str(t, key[0] == 'h' ? "" : H);
    text_str(t, TS SEV D ",\"");
    text_str(t, key);
    text_str(t, "\":\"");
    for (size_t i = 0; i < n; i++)
        text_str(t, escaped ? "\\u0061" : "a");
    text_str(t, "\"}");
    return t->buf;
}

/** It tells an event from a message of the link, also where the event is refused. */
TEST(a_type_is_found_wherever_it_is)
{
    static const struct {
        const char *line;
        bool has_type;
    } cases[] = {
        {"{" T S H TS SEV D "}", true},
        {"{\"unsure\":{}}", false},
        {"{\"data\":{\"type\":\"t\"}}", false},
        {"{\"source\":5,\"type\":\"t\"}", true}, /* behind a member that is malformed */
        {"{\"source\":5,\"x\":[{\"type\":1}],\"data\":7}", false},
        {"{\"timestamp\":\"\",\"severity\":\"\",\"\\u0074ype\":0}", true},
        {"{\"type\":null}", true},
        {"[\"type\"]", false},
        {"{\"Type\":\"t\"}", false},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        CHECK_INT(decode(cases[i].line), i == 0 ? 0 : NEFIA_EINVAL);
        CHECK_INT(event.has_type, cases[i].has_type);
    }
    CHECK_INT(decode("{\"source\":5,\"type\":7,\"severity\":\"loud\"}"), NEFIA_EINVAL);
    CHECK_STR(why, "\"source\" is not text of 1 to 128 bytes without control characters"); /* the first */
}

TEST(names_are_bounded)
{
    char buf[4096];
    struct text t;

    text_init(&t, buf, sizeof buf);
    for (int escaped = 0; escaped < 2; escaped++) {
        CHECK_INT(decode(line_with(&t, "type", 128, escaped)), 0);
        CHECK_INT(event.type.len, 128);
        CHECK_INT(decode(line_with(&t, "type", 129, escaped)), NEFIA_ETOOBIG);
        CHECK_INT(decode(line_with(&t, "source", 128, escaped)), 0);
        CHECK_INT(decode(line_with(&t, "source", 129, escaped)), NEFIA_ETOOBIG);
        if (escaped && CONFIG_EVENT_BYTES < 2048)
            continue; /* such a line is too long */
        CHECK_INT(decode(line_with(&t, "host_id", 255, escaped)), 0);
        CHECK_INT(event.host_id.len, 255);
        CHECK_INT(decode(line_with(&t, "host_id", 256, escaped)), NEFIA_ETOOBIG);
    }
}

/** A member whose value takes n bytes once its one escape is undone. */
static void put_escaped(struct text *t, const char *before, const char *start, size_t n,
                        const char *fill, const char *end)
{
    text_str(t, before);
    text_str(t, start);
    for (size_t i = 0; i < n; i++)
        text_str(t, fill);
    text_str(t, end);
}

TEST(longest_escaped_members_fit_the_scratch)
{
    char small[EVENT_SCRATCH + 1], buf[1024];
    struct text t;

    for (size_t severity = 0; severity <= EVENT_STAMP_MAX; severity++) {
        text_init(&t, buf, sizeof buf);
        put_escaped(&t, "{\"type\":", "\"\\u0061", EVENT_TYPE_MAX - 1, "a", "\",");
        put_escaped(&t, "\"source\":", "\"\\u0061", EVENT_SOURCE_MAX - 1, "a", "\",");
        put_escaped(&t, "\"host_id\":", "\"\\u0061", EVENT_HOST_MAX - 1, "a", "\",");
        put_escaped(&t, "\"timestamp\":", "\"\\u0032026-03-10T15:30:00.", EVENT_STAMP_MAX - 21,
                    "0", "Z\",");
        put_escaped(&t, "\"severity\":", "\"\\u0061", severity, "a", "\"," D "}");
        REQUIRE(!t.truncated);
        memset(small, 'x', sizeof small);
        CHECK_INT(event_decode(&event, t.buf, t.len, tokens, CONFIG_JSON_TOKENS, small, &why),
                  NEFIA_EINVAL);
        CHECK(why && strstr(why, "\"severity\" is not one of"));
        CHECK_INT(small[EVENT_SCRATCH], 'x');
    }
}

TEST(line_is_bounded)
{
    static char line[CONFIG_EVENT_BYTES + 2];
    static const char start[] = "{" T S H TS SEV D "}";

    memset(line, ' ', sizeof line);
    memcpy(line, start, sizeof start - 1);
    CHECK_INT(decode_bytes(line, CONFIG_EVENT_BYTES), 0);
    CHECK_INT(decode_bytes(line, CONFIG_EVENT_BYTES + 1), NEFIA_ETOOBIG);
    CHECK(why != NULL);
}

TEST(writer_cuts_and_cleans_names)
{
    char buf[CONFIG_EVENT_BYTES + 1], type[200], host[400];
    struct event_head h = head_ok();
    struct text out;

    memset(type, 't', sizeof type);
    memcpy(type + 126, "\xE2\x82\xAC", 4); /* the euro sign does not fit */
    memset(host, '\xFF', sizeof host);
    host[sizeof host - 1] = '\0';
    h.type = type;
    h.host_id = host;
    h.source = "a\nb\x7F";
    text_init(&out, buf, sizeof buf);
    REQUIRE(event_encode(&out, &h, "{}", 2) > 0);
    CHECK(utf8_valid(buf, out.len));
    CHECK_INT(decode(buf), 0);
    CHECK_INT(event.type.len, 126);
    CHECK_INT(event.host_id.len, 255);
    CHECK(slice_eq(event.source, "a\xEF\xBF\xBD"
                                 "b\xEF\xBF\xBD"));
}

TEST(writer_refuses_what_readers_refuse)
{
    char buf[CONFIG_EVENT_BYTES + 1];
    struct event_head h = head_ok();
    struct text out;

    text_init(&out, buf, sizeof buf);
    text_str(&out, "kept");
    CHECK_INT(event_encode(&out, &h, "[]", 2), NEFIA_EINVAL);
    CHECK_INT(event_encode(&out, &h, "{\n}", 3), NEFIA_EINVAL);
    CHECK_INT(event_encode(&out, &h, "{", 1), NEFIA_EINVAL);
    h.type = "";
    CHECK_INT(event_encode(&out, &h, "{}", 2), NEFIA_EINVAL);
    h.type = NULL;
    CHECK_INT(event_encode(&out, &h, "{}", 2), NEFIA_EINVAL);
    CHECK_STR(buf, "kept");
}

TEST(a_cause_round_trips)
{
    static const char cause[] = "[\"disk full\",\"a \\\"b\\\"\"]";
    char buf[CONFIG_EVENT_BYTES + 1];
    struct event_head h = head_ok();
    struct text out;

    text_init(&out, buf, sizeof buf);
    h.cause = (struct slice){cause, strlen(cause)};
    h.suppressed = 4;
    REQUIRE(event_encode(&out, &h, "{}", 2) > 0);
    CHECK(strstr(buf, ",\"suppressed\":4,\"cause\":[\"disk full\",\"a \\\"b\\\"\"]}"));
    CHECK_INT(decode(buf), 0);
    CHECK(slice_eq(event.cause, cause));
    h.cause.len = 0;
    text_reset(&out);
    REQUIRE(event_encode(&out, &h, "{}", 2) > 0);
    CHECK(!strstr(buf, "cause"));
    CHECK_INT(decode(buf), 0);
    CHECK_INT(event.cause.len, 0);
}

static int decode_cause(const char *value)
{
    static char line[CONFIG_EVENT_BYTES];
    struct text t;

    text_init(&t, line, sizeof line);
    text_str(&t, "{" T S H TS SEV D ",\"cause\":");
    text_str(&t, value);
    text_char(&t, '}');
    return decode(line);
}

TEST(a_cause_is_a_short_list_of_names_or_none)
{
    char list[EVENT_CAUSE_MAX + 3];

    CHECK_INT(decode_cause("[]"), 0);
    CHECK(slice_eq(event.cause, "[]"));
    CHECK_INT(decode_cause("[ \"a\" ,\"b\"]"), 0);
    CHECK(slice_eq(event.cause, "[ \"a\" ,\"b\"]"));
    CHECK_INT(decode_cause("\"of another make\""), 0); /* an unknown member */
    CHECK_INT(event.cause.len, 0);
    CHECK_INT(decode_cause("{\"a\":[\"b\"]}"), 0);
    CHECK_INT(event.cause.len, 0);
    CHECK_INT(decode_cause("[\"a\",1]"), NEFIA_EINVAL);
    CHECK(why && strstr(why, "\"cause\" is not a list of names of at most 600 bytes"));
    CHECK_INT(decode_cause("[[\"a\"]]"), NEFIA_EINVAL);
    CHECK_INT(decode_cause("[{}]"), NEFIA_EINVAL);
    memset(list, 'x', sizeof list);
    memcpy(list, "[\"", 2);
    memcpy(list + EVENT_CAUSE_MAX - 2, "\"]", 3);
    CHECK_INT(decode_cause(list), 0);
    CHECK_INT(event.cause.len, EVENT_CAUSE_MAX);
    list[EVENT_CAUSE_MAX - 2] = 'x';
    memcpy(list + EVENT_CAUSE_MAX - 1, "\"]", 3);
    CHECK_INT(decode_cause(list), NEFIA_EINVAL);
}

TEST(data_that_does_not_fit_is_replaced)
{
    static char data[2 * CONFIG_EVENT_BYTES], buf[2 * CONFIG_EVENT_BYTES];
    struct event_head h = head_ok();
    size_t around, len;
    struct text out;

    text_init(&out, buf, sizeof buf);
    around = (size_t)event_encode(&out, &h, "{}", 2) - 2;
    memset(data, 'x', sizeof data);
    memcpy(data, "{\"x\":\"", 6);
    len = CONFIG_EVENT_BYTES - around;
    memcpy(data + len - 2, "\"}", 2);
    text_reset(&out);
    CHECK_INT(event_encode(&out, &h, data, len), CONFIG_EVENT_BYTES);
    CHECK_INT(decode(buf), 0);
    data[len - 2] = 'x';
    memcpy(data + len - 1, "\"}", 2);
    text_reset(&out);
    CHECK_INT(event_encode(&out, &h, data, len + 1), around + 18);
    CHECK(strstr(buf, "\"data\":{\"truncated\":true},"));
    CHECK_INT(decode(buf), 0);

    text_init(&out, buf, 100);
    CHECK_INT(event_encode(&out, &h, data, len + 1), NEFIA_ETOOBIG);
    CHECK_INT(out.len, 0);
}

static void check_put_text(const char *s, size_t room, const char *want)
{
    char buf[256];
    struct json_writer w;
    struct text out;

    text_init(&out, buf, sizeof buf);
    json_begin(&w, &out);
    json_object(&w, NULL);
    event_put_text(&w, "a", s, strlen(s), room);
    event_put_text(&w, "b", s, strlen(s), room);
    json_end_object(&w);
    CHECK_STR(buf, want);
}

TEST(long_text_is_cut_between_characters)
{
    check_put_text("hello", 5, "{\"a\":\"hello\",\"b\":\"hello\"}");
    check_put_text("hello", 4, "{\"a\":\"hell\",\"truncated\":true,\"b\":\"hell\"}");
    check_put_text("", 0, "{\"a\":\"\",\"b\":\"\"}");
    check_put_text("x", 0, "{\"a\":\"\",\"truncated\":true,\"b\":\"\"}");
    check_put_text("a\xE2\x82\xAC", 3, "{\"a\":\"a\",\"truncated\":true,\"b\":\"a\"}");
    check_put_text("a\n", 2, "{\"a\":\"a\",\"truncated\":true,\"b\":\"a\"}");
    check_put_text("a\n", 3, "{\"a\":\"a\\n\",\"b\":\"a\\n\"}");
    check_put_text("a\xFF", 4, "{\"a\":\"a\xEF\xBF\xBD\",\"b\":\"a\xEF\xBF\xBD\"}");
    check_put_text("a\xFF", 3, "{\"a\":\"a\",\"truncated\":true,\"b\":\"a\"}");
}

TEST_MAIN(severities, a_cause_round_trips, a_cause_is_a_short_list_of_names_or_none, encodes_members_in_order, encoding_round_trips,
          any_order_and_unknown_members, escaped_names_are_unescaped, missing_members_are_named,
          malformed_members_are_named, json_errors_come_through, every_truncation_is_refused,
          seq_and_boot_count_only_together, names_are_bounded,
          a_type_is_found_wherever_it_is, longest_escaped_members_fit_the_scratch, line_is_bounded,
          writer_cuts_and_cleans_names, writer_refuses_what_readers_refuse,
          data_that_does_not_fit_is_replaced, long_text_is_cut_between_characters)
