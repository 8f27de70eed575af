#include "check.h"
#include "nefia/cmd/show.h"

static struct json_token tokens[256];
static char printed[8192];
static struct text out;
static bool broken;

static bool take(void *arg, const char *s, size_t len)
{
    (void)arg;
    text_bytes(&out, s, len);
    return !broken;
}

static struct show start(bool json)
{
    text_init(&out, printed, sizeof printed);
    broken = false;
    return (struct show){.tokens = tokens, .token_cap = 256, .json = json, .write = take};
}

static int status(struct show *s, const char *record)
{
    return show_status_record(s, record, strlen(record));
}

static int events(struct show *s, const char *record)
{
    return show_events_record(s, record, strlen(record));
}

#define WIDTHS "{\"widths\":{\"rules\":[19,9,7,5],\"recent\":[16,10,6,8,19,5]}}"
#define RULE \
    "{\"rule\":{\"name\":\"critical-disk-alert\",\"event_pattern\":\"disk\\\\..*\",\"host_" \
    "pattern\":\"prod-.*\"," \
    "\"severity\":\"critical\",\"action\":\"alert\",\"in_this_build\":true,\"hits\":12}}"
#define ROW(key) \
    "{\"" key "\":{\"seq\":1,\"time\":\"2026-03-10T15:30:59Z\",\"received\":\"2026-03-10T15:31:" \
              "00Z\",\"type\":\"disk.usage\"," \
    "\"host\":\"web-01\",\"severity\":\"critical\",\"rule\":\"critical-disk-alert\",\"action\":" \
    "\"alert\",\"state\":\"done\"," \
    "\"error\":null}}"

/* The table of the design, to the byte. */
TEST(the_table_of_the_design)
{
    struct show s = start(false);

    CHECK_INT(status(&s, WIDTHS), 0);
    CHECK_INT(status(&s, RULE), 0);
    CHECK_INT(status(&s, ROW("recent")), 0);
    CHECK_INT(status(&s, "{\"counters\":{}}"), 0);
    CHECK_INT(show_status_end(&s), 0);
    CHECK_STR(printed, "Rules:\n"
                       "  NAME                  EVENT PATTERN    HOST PATTERN   ACTION    HITS\n"
                       "  critical-disk-alert   disk\\..*         prod-.*        alert     12\n"
                       "\n"
                       "Recent Events:\n"
                       "  TIME                TYPE             HOST     SEVERITY  RULE             "
                       "    ACTION    ERROR\n"
                       "  2026-03-10 15:30    disk.usage       web-01   critical  "
                       "critical-disk-alert  alert     -\n");
}

TEST(empty_tables_have_their_headings)
{
    struct show s = start(false);

    CHECK_INT(status(&s, "{\"counters\":{}}"), 0);
    CHECK_INT(show_status_end(&s), 0);
    CHECK_STR(printed, "Rules:\n"
                       "  NAME                  EVENT PATTERN    HOST PATTERN   ACTION    HITS\n"
                       "\n"
                       "Recent Events:\n"
                       "  TIME                TYPE             HOST     SEVERITY  RULE             "
                       "    ACTION    ERROR\n");
}

TEST(events_cannot_move_the_cursor)
{
    struct show s = start(false);

    status(&s, "{\"widths\":{\"rules\":[1,0,0,1],\"recent\":[16,3,22,4,0,0]}}");
    status(&s, "{\"rule\":{\"name\":\"r\",\"event_pattern\":\"\",\"host_pattern\":\"\",\"action\":"
               "\"exec\",\"hits\":0}}");
    status(&s, "{\"recent\":{\"time\":\"2026-03-10T15:30:00Z\",\"type\":\"a\\u001b[2J\\nb\","
               "\"host\":\"h\xc3\xa4uschen-am-waldrand-1\","
               "\"severity\":\"info\",\"rule\":null,\"action\":null,\"error\":null}}");
    show_status_end(&s);
    CHECK_STR(printed, "Rules:\n"
                       "  NAME                  EVENT PATTERN    HOST PATTERN   ACTION    HITS\n"
                       "  r                     (all)            (all)          exec      0\n"
                       "\n"
                       "Recent Events:\n"
                       "  TIME                TYPE             HOST                    SEVERITY  "
                       "RULE                 ACTION    ERROR\n"
                       "  2026-03-10 15:30    a?[2J?b          h\xc3\xa4uschen-am-waldrand-1  info "
                       "     -                    -         -\n");
}

TEST(json_is_one_object)
{
    struct show s = start(true);

    status(&s, WIDTHS);
    status(&s, "{\"rule\":{\"name\":\"a\"}}");
    status(&s, "{\"rule\":{\"name\":\"b\"}}");
    status(&s, "{\"recent\":{\"seq\":1}}");
    status(&s, "{\"counters\":{\"events\":1}}");
    show_status_end(&s);
    CHECK_STR(printed, "{\"rules\":[{\"name\":\"a\"},{\"name\":\"b\"}],\"recent\":[{\"seq\":1}],"
                       "\"counters\":{\"events\":1}}\n");
    s = start(true);
    status(&s, "{\"counters\":{}}");
    show_status_end(&s);
    CHECK_STR(printed, "{\"rules\":[],\"recent\":[],\"counters\":{}}\n");
    s = start(true);
    show_status_end(&s);
    CHECK_STR(printed, "{\"rules\":[],\"recent\":[]}\n");
}

TEST(events_as_a_table_and_as_lines)
{
    struct show s = start(false);

    events(&s, WIDTHS);
    events(&s, ROW("row"));
    events(&s, "{\"missed\":17}");
    CHECK_STR(printed, "  TIME                TYPE             HOST     SEVERITY  RULE             "
                       "    ACTION    ERROR\n"
                       "  2026-03-10 15:30    disk.usage       web-01   critical  "
                       "critical-disk-alert  alert     -\n"
                       "  (17 events came too fast to be shown)\n");
    s = start(true);
    events(&s, WIDTHS);
    events(&s, "{\"row\":{\"seq\":1,\"event\":{\"type\":\"t\"}}}");
    events(&s, "{\"missed\":17}");
    CHECK_STR(printed, "{\"seq\":1,\"event\":{\"type\":\"t\"}}\n{\"missed\":17}\n");
}

TEST(a_reader_that_left_stops_it)
{
    struct show s = start(false);

    broken = true;
    CHECK(status(&s, RULE) < 0);
    CHECK(status(&s, "no JSON") < 0);
}

TEST(json_of_others_moves_no_cursor)
{
    struct show s = start(true);

    /* A C1 CSI, DEL and a bidirectional override in a string; white space around tokens. */
    CHECK_INT(events(&s, "{\"row\":{\"event\":{\r\"a\":\t\"x\xc2\x9b\x32J\x7f\xe2\x80\xae\xc3\xa4\"}}}"),
              0);
    CHECK_STR(printed, "{\"event\":{ \"a\": \"x\\u009b2J\\u007f\\u202e\xc3\xa4\"}}\n");
    s = start(true);
    status(&s, "{\"recent\":{\"error\":\"\xc2\x9b\"}}");
    show_status_end(&s);
    CHECK_STR(printed, "{\"rules\":[],\"recent\":[{\"error\":\"\\u009b\"}]}\n");
}

TEST_MAIN(the_table_of_the_design, empty_tables_have_their_headings,
          events_cannot_move_the_cursor, json_is_one_object,
          events_as_a_table_and_as_lines, a_reader_that_left_stops_it,
          json_of_others_moves_no_cursor)
