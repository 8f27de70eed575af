#include "hub_fixture.h"

#include "nefia/hub/recent.h"

enum { ROWS = 8, BYTES = 2 * (CONFIG_EVENT_BYTES + EVENT_TYPE_MAX + EVENT_HOST_MAX) };

static struct recent recent;
static struct recent_row rows[ROWS];
static uint64_t settled[ROWS];
static char bytes[BYTES];

static void setup(size_t size)
{
    memset(rows, 0, sizeof rows);
    memset(bytes, '?', sizeof bytes);
    recent_init(&recent, rows, settled, ROWS, bytes, size);
}

static uint64_t add(const char *type, enum recent_state state)
{
    struct event e = fixture_event(type, "host-1", "warning");
    struct recent_mark m = recent_put(&recent, &e, 1000);

    return recent_add(&recent, &m, state == RECENT_NONE ? NULL : "rule",
                       state == RECENT_NONE ? NULL : "exec", state,
                       state == RECENT_FAILED ? "exit 3" : NULL);
}

TEST(keeps_an_event_and_its_bytes)
{
    struct recent_view v;

    setup(BYTES);
    CHECK_INT(recent_oldest(&recent), 1);
    CHECK(!recent_get(&recent, 0, &v));
    CHECK(!recent_get(&recent, 1, &v));
    CHECK_INT(add("disk.usage", RECENT_NONE), 1);
    REQUIRE(recent_get(&recent, 1, &v));
    CHECK(slice_eq(v.type, "disk.usage"));
    CHECK(slice_eq(v.host, "host-1"));
    CHECK(slice_eq(v.line, fixture_line("disk.usage", "host-1", "warning")));
    CHECK_STR(v.row->rule, "");
    CHECK_INT(v.row->event.severity, SEVERITY_WARNING);
    CHECK_INT(recent_time(v.row), 1773156600);
}

TEST(names_with_escapes_are_kept_beside_the_line)
{
    struct recent_view v;

    setup(BYTES);
    add("a\\u0062\\/c", RECENT_NONE);
    REQUIRE(recent_get(&recent, 1, &v));
    CHECK(slice_eq(v.type, "ab/c"));
    CHECK(slice_eq(v.host, "host-1"));
}

TEST(unsynced_senders_are_shown_with_arrival_time)
{
    const char *line = "{\"type\":\"t\",\"source\":\"s\",\"host_id\":\"h\",\"timestamp\":\"1970-01-"
                       "01T00:00:09Z\",\"severity\":\"info\","
                       "\"data\":{},\"clock\":\"unsynced\"}";
    struct recent_view v;
    struct event e;

    setup(BYTES);
    REQUIRE(event_decode(&e, line, strlen(line), fixture_tokens, CONFIG_JSON_TOKENS,
                         fixture_event_scratch, NULL) == 0);
    struct recent_mark m = recent_put(&recent, &e, 5000);
    recent_add(&recent, &m, NULL, NULL, RECENT_NONE, NULL);
    REQUIRE(recent_get(&recent, 1, &v));
    CHECK_INT(recent_time(v.row), 5000);
    CHECK_INT(v.row->event.event_s, 9);
}

TEST(the_oldest_rows_are_overwritten)
{
    struct recent_view v;

    setup(BYTES);
    for (int i = 0; i < ROWS + 3; i++)
        add("t", RECENT_NONE);
    CHECK_INT(recent_oldest(&recent), 4);
    CHECK(!recent_get(&recent, 3, &v));
    CHECK(recent_get(&recent, 4, &v));
    CHECK(recent_get(&recent, ROWS + 3, &v));
}

TEST(rows_with_overwritten_bytes_are_gone)
{
    char type[EVENT_TYPE_MAX + 1];
    struct recent_view v;

    setup(600); /* two and a half of such lines */
    memset(type, 'x', sizeof type - 1);
    type[sizeof type - 1] = '\0';
    for (int i = 0; i < 50; i++) {
        type[0] = (char)('a' + i % 26);
        uint64_t seq = add(type, RECENT_NONE);
        uint64_t oldest = recent_oldest(&recent);
        CHECK(oldest <= seq);
        CHECK(seq - oldest < 3);
        for (uint64_t s = oldest; s <= seq; s++) {
            REQUIRE(recent_get(&recent, s, &v));
            /* No bytes of another event. */
            CHECK_INT(v.type.ptr[0], 'a' + (int)(s - 1) % 26);
            CHECK_INT(v.line.ptr[0], '{');
            CHECK_INT(v.line.ptr[v.line.len - 1], '}');
        }
    }
}

TEST(outcomes_come_in_their_own_order)
{
    struct recent_view v;

    setup(BYTES);
    CHECK_INT(recent_get_settled(&recent, 1, &v), 0);
    uint64_t slow = add("slow", RECENT_PENDING), quick = add("quick", RECENT_PENDING);
    add("none", RECENT_NONE);
    CHECK_INT(recent_get_settled(&recent, 1, &v), 1);
    CHECK(slice_eq(v.type, "none"));
    recent_settle(&recent, quick, RECENT_DONE, "");
    recent_settle(&recent, slow, RECENT_FAILED, "exit 3");
    CHECK_INT(recent_get_settled(&recent, 2, &v), 1);
    CHECK(slice_eq(v.type, "quick"));
    CHECK_INT(recent_get_settled(&recent, 3, &v), 1);
    CHECK_STR(v.row->error, "exit 3");
    CHECK_INT(recent_get_settled(&recent, 4, &v), 0);
    /* Only once. */
    recent_settle(&recent, slow, RECENT_DONE, "");
    CHECK_INT(recent.last_number, 3);
}

TEST(an_outcome_of_an_overwritten_row_is_ignored)
{
    struct recent_view v;

    setup(BYTES);
    uint64_t slow = add("slow", RECENT_PENDING);
    for (int i = 0; i < ROWS; i++)
        add("t", RECENT_NONE);
    recent_settle(&recent, slow, RECENT_FAILED, "late");
    recent_settle(&recent, 0, RECENT_FAILED, "none");
    CHECK_INT(recent.last_number, ROWS);
    CHECK_INT(recent_get_settled(&recent, 1, &v), 1);
    add("t", RECENT_NONE);
    CHECK_INT(recent_get_settled(&recent, 1, &v), NEFIA_ENOTFOUND);
}

TEST(long_texts_are_cut)
{
    char rule[200];
    struct recent_view v;

    setup(BYTES);
    memset(rule, 'r', sizeof rule);
    rule[sizeof rule - 1] = '\0';
    struct event e = fixture_event("t", "h", "info");
    struct recent_mark m = recent_put(&recent, &e, 0);
    recent_add(&recent, &m, rule, rule, RECENT_FAILED, rule);
    REQUIRE(recent_get(&recent, 1, &v));
    CHECK_INT(strlen(v.row->rule), RECENT_RULE_MAX);
    CHECK_INT(strlen(v.row->error), RECENT_ERROR_MAX);
}

TEST_MAIN(keeps_an_event_and_its_bytes, names_with_escapes_are_kept_beside_the_line,
          unsynced_senders_are_shown_with_arrival_time, the_oldest_rows_are_overwritten,
          rows_with_overwritten_bytes_are_gone, outcomes_come_in_their_own_order,
          an_outcome_of_an_overwritten_row_is_ignored, long_texts_are_cut)
