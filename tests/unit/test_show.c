#include "check.h"
#include "nefia/base/err.h"
#include "nefia/beacon/beacon.h"
#include "nefia/cmd/reactor.h"
#include "nefia/control/show.h"

static struct json_token tokens[256];
static char printed[8192];
static struct text out;
static bool left; /* nobody reads any more */
static struct show show;

static bool take(void *arg, const char *s, size_t len)
{
    (void)arg;
    text_bytes(&out, s, len);
    return !left;
}

static void start(const struct show_section *sections)
{
    show = (struct show){
        .sections = sections, .tokens = tokens, .token_cap = ARRAY_SIZE(tokens), .write = take};
    left = false;
}

static int say(const char *const *records, enum show_form form)
{
    int err;

    show.form = form;
    text_init(&out, printed, sizeof printed);
    err = show_begin(&show);
    for (; err >= 0 && *records; records++)
        err = show_record(&show, *records, strlen(*records));
    return err;
}

/** A whole answer, measured first as text is. Return: 0, or the first error. */
static int answer(const struct show_section *sections, enum show_form form,
                  const char *const *records)
{
    start(sections);
    int err = form == SHOW_TEXT ? say(records, SHOW_MEASURE) : 0;

    if (form == SHOW_TEXT)
        CHECK_INT(out.len, 0);
    if (err >= 0)
        err = say(records, form);
    return err < 0 ? err : show_end(&show);
}

#define ANSWER(sections, form, ...)                                                                \
    answer(sections, form, (const char *const[]){__VA_ARGS__, NULL})

/* ---- the hub ---- */

#define RULE                                                                                       \
    "{\"rule\":{\"name\":\"critical-disk-alert\",\"event_pattern\":\"disk\\\\..*\","               \
    "\"host_pattern\":\"prod-.*\",\"severity\":\"critical\",\"action\":\"alert\","                 \
    "\"in_this_build\":true,\"hits\":12}}"
#define ROW(key)                                                                                   \
    "{\"" key "\":{\"seq\":1,\"time\":\"2026-03-10T15:30:59Z\","                                   \
    "\"received\":\"2026-03-10T15:31:00Z\",\"type\":\"disk.usage\",\"host\":\"web-01\","           \
    "\"severity\":\"critical\",\"rule\":\"critical-disk-alert\",\"action\":\"alert\","             \
    "\"state\":\"done\",\"error\":null}}"
#define RULE_HEADINGS                                                                              \
    "Rules:\n"                                                                                     \
    "  NAME                  EVENT PATTERN    HOST PATTERN   ACTION    HITS\n"
#define RECENT_HEADINGS                                                                            \
    "  TIME                TYPE             HOST     SEVERITY  RULE                 ACTION    "    \
    "ERROR\n"
/* Of `events`, whose rows have the ID that `nefia why` takes. */
#define EVENT_HEADINGS                                                                             \
    "  ID" RECENT_HEADINGS

/* The table of the design, to the byte. */
TEST(the_table_of_the_design)
{
    CHECK_INT(ANSWER(reactor_status_sections, SHOW_TEXT, RULE, ROW("recent"), "{\"counters\":{}}"),
              0);
    CHECK_STR(printed, RULE_HEADINGS
              "  critical-disk-alert   disk\\..*         prod-.*        alert     12\n"
              "\nRecent Events:\n" RECENT_HEADINGS
              "  2026-03-10 15:30    disk.usage       web-01   critical  critical-disk-alert  "
              "alert     -\n");
}

TEST(empty_tables_have_their_headings)
{
    CHECK_INT(ANSWER(reactor_status_sections, SHOW_TEXT, "{\"counters\":{}}"), 0);
    CHECK_STR(printed, RULE_HEADINGS "\nRecent Events:\n" RECENT_HEADINGS);
    CHECK_INT(answer(reactor_events_sections, SHOW_TEXT, (const char *const[]){NULL}), 0);
    CHECK_STR(printed, EVENT_HEADINGS);
}

TEST(nothing_from_an_event_moves_the_cursor)
{
    CHECK_INT(ANSWER(reactor_status_sections, SHOW_TEXT,
                     "{\"rule\":{\"name\":\"r\",\"event_pattern\":\"\",\"host_pattern\":\"\","
                     "\"action\":\"exec\",\"hits\":0}}",
                     "{\"recent\":{\"time\":\"2026-03-10T15:30:00Z\",\"type\":\"a\\u001b[2J\\nb\","
                     "\"host\":\"h\xc3\xa4uschen-am-waldrand-1\",\"severity\":\"info\","
                     "\"rule\":null,\"action\":null,\"error\":null}}",
                     "{\"recent\":{\"time\":\"\\u001b[31m\",\"type\":\"\xc2\x9b\x7f\","
                     "\"host\":\"\xe2\x80\xae\\u0000\\u2028\",\"severity\":\"info\","
                     "\"rule\":\"\",\"action\":\"exec\",\"state\":\"pending\",\"error\":null}}"),
              0);
    CHECK_STR(printed, RULE_HEADINGS
              "  r                     (all)            (all)          exec      0\n"
              "\nRecent Events:\n"
              "  TIME                TYPE             HOST                    SEVERITY  "
              "RULE                 ACTION    ERROR\n"
              "  2026-03-10 15:30    a?[2J?b          h\xc3\xa4uschen-am-waldrand-1  info      "
              "-                    -         -\n"
              "  ?[31m               ??               ???                     info      "
              "-                    exec      (pending)\n");
}

/* A name of any length only moves the columns; a row that is new since they were measured, what
 * stands to its right. */
TEST(widths_come_from_the_content)
{
#define LONG_RULE(name)                                                                            \
    "{\"rule\":{\"name\":\"" name "\",\"event_pattern\":\"\",\"host_pattern\":\"\","               \
    "\"action\":\"exec\",\"hits\":1}}"
    static const char *const before[] = {LONG_RULE("twenty-two characters!"), NULL};
    static const char *const after[] = {LONG_RULE("a"), LONG_RULE("a name of over twenty-four"),
                                        NULL};

    start(reactor_status_sections);
    CHECK_INT(say(before, SHOW_MEASURE), 0);
    CHECK_INT(say(after, SHOW_TEXT), 0);
    CHECK_STR(printed,
              "Rules:\n"
              "  NAME                    EVENT PATTERN    HOST PATTERN   ACTION    HITS\n"
              "  a                       (all)            (all)          exec      1\n"
              "  a name of over twenty-four (all)            (all)          exec      1\n");
}

#ifdef CONFIG_HUB_DEVICES
#define NO_HOSTS "\"hosts\":[],"
#else
#define NO_HOSTS
#endif

#if IS_ENABLED(CONFIG_HUB_COMMANDS)
#define COMMANDS(column) column
#else
#define COMMANDS(column) ""
#endif

TEST(the_table_of_the_devices)
{
    CHECK_INT(ANSWER(reactor_hosts_sections, SHOW_TEXT,
                     "{\"host\":{\"host\":\"web-01\",\"role\":\"edge\",\"labels\":{\"site\":\"north\",\"tier\":\"1\"},"
                     "\"delivery\":\"link\",\"connected\":true,\"address\":\"10.0.0.1:4711\","
                     "\"commands\":true,\"last_seen\":\"2026-03-10T15:30:59Z\",\"silent_ms\":61500}}",
                     "{\"host\":{\"host\":\"web-02\",\"role\":null,\"labels\":{},\"delivery\":null,"
                     "\"connected\":false,\"address\":null,\"last_seen\":null,\"silent_ms\":null}}",
                     "{\"others\":{\"known\":3,\"connected\":1}}"),
              0);
    CHECK_STR(printed, "  HOST             ROLE      LABELS              DELIVERY  CONNECTED               " COMMANDS("COMMANDS  ") "LAST SEEN\n"
                       "  web-01           edge      site=north, tier=1  link      yes from 10.0.0.1:4711  " COMMANDS("yes       ")
                       "2026-03-10 15:30, 1m1s ago\n"
                       "  web-02           -         -                   -         no                      " COMMANDS("-         ") "-\n"
                       "\nwithout an item in reactor.hosts: 3 known, 1 connected\n");
    CHECK_INT(ANSWER(reactor_hosts_sections, SHOW_JSON, "{\"others\":{\"known\":3,\"connected\":1}}"), 0);
    CHECK_STR(printed, "{\"hosts\":[],\"others\":{\"known\":3,\"connected\":1}}\n");
}

TEST(hub_json_is_one_object)
{
    CHECK_INT(ANSWER(reactor_status_sections, SHOW_JSON, "{\"rule\":{\"name\":\"a\"}}",
                     "{\"rule\":{\"name\":\"b\"}}", "{\"recent\":{\"seq\":1}}",
                     "{\"counters\":{\"events\":1}}"),
              0);
    CHECK_STR(printed, "{\"rules\":[{\"name\":\"a\"},{\"name\":\"b\"}]," NO_HOSTS "\"recent\":[{\"seq\":1}],"
                       "\"counters\":{\"events\":1}}\n");
    CHECK_INT(ANSWER(reactor_status_sections, SHOW_JSON, "{\"counters\":{}}"), 0);
    CHECK_STR(printed, "{\"rules\":[]," NO_HOSTS "\"recent\":[],\"counters\":{}}\n");
}

TEST(json_never_ends_as_if_it_were_whole)
{
    CHECK_INT(ANSWER(reactor_status_sections, SHOW_JSON, "{\"rule\":{}}"), NEFIA_ESYNTAX);
    CHECK_INT(ANSWER(reactor_status_sections, SHOW_JSON, "{\"recent\":{}}", "{\"rule\":{}}"),
              NEFIA_ESYNTAX);
    CHECK_INT(ANSWER(reactor_status_sections, SHOW_JSON, "{\"counters\":{}}", "{\"counters\":{}}"),
              NEFIA_ESYNTAX);
    CHECK_INT(ANSWER(beacon_status_sections, SHOW_JSON, "{\"sensor\":\"s\"}"), NEFIA_ESYNTAX);
    CHECK_INT(answer(beacon_status_sections, SHOW_JSON, (const char *const[]){NULL}),
              NEFIA_ESYNTAX);
}

TEST(events_as_a_table_and_as_lines)
{
    CHECK_INT(ANSWER(reactor_events_sections, SHOW_TEXT, ROW("row"), "{\"missed\":17}", ROW("row")),
              0);
    CHECK_STR(printed, EVENT_HEADINGS
              "  1   2026-03-10 15:30    disk.usage       web-01   critical  critical-disk-alert  "
              "alert     -\n"
              "  (17 events came too fast to be shown)\n"
              "  1   2026-03-10 15:30    disk.usage       web-01   critical  critical-disk-alert  "
              "alert     -\n");
    CHECK_INT(ANSWER(reactor_events_sections, SHOW_JSON,
                     "{\"row\":{\"seq\":1,\"event\":{\"type\":\"t\"}}}", "{\"missed\":17}"),
              0);
    CHECK_STR(printed, "{\"seq\":1,\"event\":{\"type\":\"t\"}}\n{\"missed\":17}\n");
}

TEST(a_follower_sees_the_headings_at_once)
{
    start(reactor_events_sections);
    CHECK_INT(say((const char *const[]){NULL}, SHOW_TEXT), 0);
    CHECK_STR(printed, EVENT_HEADINGS);
}

TEST(json_of_others_moves_no_cursor)
{
    /* A C1 CSI, DEL and a bidirectional override in a string; white space around tokens. */
    CHECK_INT(ANSWER(reactor_events_sections, SHOW_JSON,
                     "{\"row\":{\"event\":{\r\"a\":\t\"x\xc2\x9b\x32J\x7f\xe2\x80\xae\xc3\xa4\"}}}"),
              0);
    CHECK_STR(printed, "{\"event\":{ \"a\": \"x\\u009b2J\\u007f\\u202e\xc3\xa4\"}}\n");
    /* A zero-width space, a soft hyphen, and the tag of the letter A, which takes two escapes. */
    CHECK_INT(ANSWER(reactor_events_sections, SHOW_JSON,
                     "{\"row\":{\"host\":\"r1\xe2\x80\x8b\xc2\xad\xf3\xa0\x81\x81\xf0\x9f\x98\x80\"}}"),
              0);
    CHECK_STR(printed, "{\"host\":\"r1\\u200b\\u00ad\\udb40\\udc41\xf0\x9f\x98\x80\"}\n");
    CHECK_INT(ANSWER(reactor_status_sections, SHOW_JSON, "{\"recent\":{\"error\":\"\xc2\x9b\"}}",
                     "{\"counters\":0}"),
              0);
    CHECK_STR(printed, "{\"rules\":[]," NO_HOSTS "\"recent\":[{\"error\":\"\\u009b\"}],\"counters\":"
                       "{\"counters\":0}}\n");
}

/* ---- the beacon ---- */

#define COUNTS "{\"info\":1,\"warning\":20,\"critical\":300}"
#define BEACON(uplink, more)                                                                       \
    "{\"version\":\"0.1.0\",\"board\":\"host\",\"host_id\":\"web-01\",\"uptime_ms\":3661999,"      \
    "\"boot\":7,\"seq\":42,\"config\":\"/etc/nefia/nefia.yaml\",\"seccomp\":\"commands\","         \
    "\"reloads\":2,\"failed_reloads\":1,\"uplink\":{" uplink "\"delivered\":40,\"connects\":3,"    \
    "\"failures\":2,\"signed\":true,\"window\":32,\"unsettled\":3,\"unknown\":4},\"accepted\":" COUNTS ",\"repeated\":" COUNTS                    \
    ",\"over_rate\":" COUNTS ",\"lost\":" COUNTS ",\"spool\":{\"events\":2,\"bytes\":400,"         \
    "\"size\":32768,\"collapsed\":5}," more "\"wakeups\":24}"
#define UP                                                                                         \
    "\"state\":\"up\",\"hub\":\"hub.example:9500\",\"address\":\"10.0.0.1:9500\","                 \
    "\"since_ms\":999,\"next_try_ms\":0,\"delivery\":\"acknowledged\","
#define WAITING                                                                                    \
    "\"state\":\"waiting\",\"hub\":\"10.0.0.1:9500\",\"since_ms\":61000,\"next_try_ms\":90500,"     \
    "\"delivery\":\"-\","
#define FLASH                                                                                      \
    "\"spool_file\":{\"events\":16,\"bytes\":1,\"size\":2,\"today\":4096,\"daily\":1048576,"       \
    "\"skipped\":3,\"failed\":0,\"damaged\":0},"
#define SENSOR(class, name, result, last)                                                          \
    "{\"sensor\":\"" class "\",\"name\":\"" name "\",\"result\":\"" result "\"," last              \
    "\"runs\":12,\"failures\":1,\"events\":2,\"interval_ms\":90000}"

#define BEACON_HEAD                                                                                \
    "Beacon:\n"                                                                                    \
    "  Version        0.1.0 (host), up 1h1m1s, 24 wake-ups\n"                                      \
    "  Host           web-01, boot 7, last event 42\n"                                             \
    "  Configuration  /etc/nefia/nefia.yaml, 2 reloads, 1 refused\n"                               \
    "  Seccomp        commands\n"                                                                  \
    "\nHub:\n"
#define BEACON_EVENTS                                                                              \
    "  Delivered      40 events, 4 unknown\n"                                                     \
    "\nEvents:\n"                                                                                  \
    "  Accepted       1 info, 20 warning, 300 critical\n"                                          \
    "  Suppressed     1 info, 20 warning, 300 critical (repetitions)\n"                            \
    "  Suppressed     1 info, 20 warning, 300 critical (over the rate)\n"                          \
    "  Lost           1 info, 20 warning, 300 critical\n"                                          \
    "  In memory      2 events, 400 of 32768 bytes, 5 collapsed\n"

TEST(a_beacon)
{
    CHECK_INT(ANSWER(beacon_status_sections, SHOW_TEXT, BEACON(UP, FLASH),
                     SENSOR("disk_usage", "disk_usage", "ok", "\"last_run_ms_ago\":0,"),
                     SENSOR("scripts", "na\xc3\xafve", "not run yet", ""),
                     SENSOR("load", "load", "not measured", "\"reason\":\"/x: gone\",")),
              0);
    CHECK_STR(printed, BEACON_HEAD
              "  Address        hub.example:9500\n"
              "  Connection     up for 0s\n"
              "  Delivery       acknowledged, signed: yes, 3 in flight, window 32\n" BEACON_EVENTS
              "  On flash       16 events, 4096 of 1048576 bytes today, 3 skipped\n"
              "\nSensors:\n"
              "  SENSOR      NAME        INTERVAL  LAST RUN  RUNS  FAILED  EVENTS  RESULT\n"
              "  disk_usage  disk_usage  1m30s     0s ago    12    1       2       ok\n"
              "  scripts     na\xc3\xafve       1m30s     -         12    1       2       not run yet\n"
              "  load        load        1m30s     -         12    1       2       "
              "not measured: /x: gone\n");
}

TEST(a_beacon_without_sensors_that_waits)
{
    CHECK_INT(ANSWER(beacon_status_sections, SHOW_TEXT, BEACON(WAITING, "")), 0);
    CHECK_STR(printed, BEACON_HEAD
              "  Address        10.0.0.1:9500\n"
              "  Connection     waiting for 1m1s, next attempt in 1m30s\n"
              "  Delivery       -, signed: yes\n" BEACON_EVENTS
              "\nSensors:\n"
              "  SENSOR  NAME  INTERVAL  LAST RUN  RUNS  FAILED  EVENTS  RESULT\n");
}

/* Another version's: what it does not have is shown as that, what it has more is left out. */
TEST(members_may_be_missing_or_unknown)
{
    static const char odd[] =
        "{\"sensor\":\"s\",\"name\":[1],\"runs\":{\"a\":{}},\"interval_ms\":1.5,"
        "\"last_run_ms_ago\":-1,\"result\":true,\"new\":1}";

    CHECK_INT(ANSWER(beacon_status_sections, SHOW_TEXT, odd, "{\"unknown\":{}}", "[]", "3"), 0);
    CHECK_STR(printed, "\nSensors:\n"
                       "  SENSOR  NAME  INTERVAL  LAST RUN  RUNS  FAILED  EVENTS  RESULT\n"
                       "  s       -     1.5       -1 ago    - a   -       -       yes\n");
    CHECK_INT(ANSWER(beacon_status_sections, SHOW_TEXT, "{\"version\":1,\"uplink\":3,\"accepted\":{}}"),
              0);
    CHECK(strstr(printed, "  Version        1 (-), up -, - wake-ups\n") != NULL);
    CHECK(strstr(printed, "  Address        -\n  Connection     - for -\n") != NULL);
    CHECK(strstr(printed, "  Accepted       -\n") != NULL);
    CHECK(strstr(printed, "  In memory      - events, - of - bytes, - collapsed\n\n") != NULL);
}

TEST(beacon_json_is_one_object)
{
    CHECK_INT(ANSWER(beacon_status_sections, SHOW_JSON, "{\"version\":\"1\",\"seq\":3}",
                     "{\"sensor\":\"a\"}", "{\"sensor\":\"b\"}"),
              0);
    CHECK_STR(printed, "{\"version\":\"1\",\"seq\":3,\"sensors\":[{\"sensor\":\"a\"},"
                       "{\"sensor\":\"b\"}]}\n");
    CHECK_INT(ANSWER(beacon_status_sections, SHOW_JSON, "{\"version\":\"1\"}"), 0);
    CHECK_STR(printed, "{\"version\":\"1\",\"sensors\":[]}\n");
}

/* ---- what goes wrong ---- */

TEST(records_that_are_no_records)
{
    static char many[2048];
    struct text t;

    CHECK_INT(ANSWER(reactor_status_sections, SHOW_TEXT, RULE, "{\"rule\":{\"name\":"),
              NEFIA_ESYNTAX);
    CHECK_INT(ANSWER(reactor_status_sections, SHOW_TEXT, "\xff"), NEFIA_EUTF8);
    text_init(&t, many, sizeof many);
    text_str(&t, "{\"rule\":[0");
    for (int i = 0; i < 300; i++)
        text_str(&t, ",0");
    text_str(&t, "]}");
    CHECK_INT(ANSWER(reactor_status_sections, SHOW_JSON, many), NEFIA_EFULL);
}

/* Not one of what people read ends in a half character, or without its newline. */
TEST(lines_of_any_length)
{
    static char record[8192];
    struct text t;

    text_init(&t, record, sizeof record);
    text_str(&t, "{\"rule\":{\"name\":\"x");
    for (int i = 0; i < SHOW_LINE_BYTES; i++)
        text_str(&t, "\xc3\xa4");
    text_str(&t, "\"}}");
    CHECK_INT(ANSWER(reactor_status_sections, SHOW_TEXT, record, "{\"counters\":{}}"), 0);
    char *row = strstr(printed, "\n  x\xc3\xa4");
    REQUIRE(row != NULL);
    char *end = strchr(row + 1, '\n');
    CHECK(end != NULL && end - row <= SHOW_LINE_BYTES && end - row > SHOW_LINE_BYTES - 4);
    CHECK(utf8_valid(printed, out.len));
    CHECK(strstr(end, "\nRecent Events:\n") != NULL);
}

TEST(a_reader_that_left_stops_it)
{
    start(reactor_status_sections);
    left = true;
    CHECK_INT(say((const char *const[]){RULE, NULL}, SHOW_TEXT), NEFIA_ECLOSED);
    CHECK_INT(say((const char *const[]){RULE, NULL}, SHOW_JSON), NEFIA_ECLOSED);
}

TEST_MAIN(the_table_of_the_design, empty_tables_have_their_headings,
          nothing_from_an_event_moves_the_cursor, widths_come_from_the_content,
          the_table_of_the_devices, hub_json_is_one_object, json_never_ends_as_if_it_were_whole,
          events_as_a_table_and_as_lines, a_follower_sees_the_headings_at_once,
          json_of_others_moves_no_cursor, a_beacon, a_beacon_without_sensors_that_waits,
          members_may_be_missing_or_unknown, beacon_json_is_one_object,
          records_that_are_no_records, lines_of_any_length, a_reader_that_left_stops_it)
