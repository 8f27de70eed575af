#include "nefia/event/rate.h"

#include "check.h"
#include "nefia/base/err.h"

#define CAPACITY 40

static uint64_t times[CAPACITY];
static struct rate rate;

static unsigned burst(enum severity s, unsigned n, uint64_t now)
{
    unsigned passed = 0;

    while (n-- > 0)
        passed += rate_pass(&rate, s, now);
    return passed;
}

TEST(limit_and_reserved_share)
{
    rate_init(&rate, times, CAPACITY);
    CHECK_INT(rate.limit, CAPACITY);
    CHECK_INT(rate_set_limit(&rate, 10), 0);
    CHECK_INT(burst(SEVERITY_WARNING, 20, 0), 8);
    CHECK_INT(burst(SEVERITY_INFO, 1, 0), 0);
    CHECK_INT(burst(SEVERITY_CRITICAL, 20, 0), 2);
    CHECK_INT(burst(SEVERITY_CRITICAL, 1, 59999), 0);
    CHECK_INT(burst(SEVERITY_CRITICAL, 20, 60000), 10);
    CHECK_INT(burst(SEVERITY_INFO, 20, 119999), 0);
    /* Critical events use their reserved share first; the rest is for all. */
    CHECK_INT(burst(SEVERITY_CRITICAL, 2, 120000), 2);
    CHECK_INT(burst(SEVERITY_INFO, 20, 120000), 8);
}

TEST(small_limits)
{
    static const unsigned want[][2] = {{1, 1}, {2, 1}, {3, 2}, {4, 3}, {5, 4}, {9, 8}, {10, 8}};

    for (unsigned i = 0; i < ARRAY_SIZE(want); i++) {
        rate_init(&rate, times, CAPACITY);
        CHECK_INT(rate_set_limit(&rate, want[i][0]), 0);
        CHECK_INT(burst(SEVERITY_INFO, 20, 7), want[i][1]);
        CHECK_INT(burst(SEVERITY_CRITICAL, 20, 7), want[i][0] - want[i][1]);
    }
}

TEST(limit_changes_keep_passed_events)
{
    rate_init(&rate, times, CAPACITY);
    CHECK_INT(rate_set_limit(&rate, 0), NEFIA_EINVAL);
    CHECK_INT(rate_set_limit(&rate, CAPACITY + 1), NEFIA_EINVAL);
    CHECK_INT(rate.limit, CAPACITY);
    CHECK_INT(burst(SEVERITY_CRITICAL, 100, 1000), CAPACITY);
    rate_set_limit(&rate, 5);
    CHECK_INT(burst(SEVERITY_CRITICAL, 1, 60999), 0);
    CHECK_INT(burst(SEVERITY_CRITICAL, 100, 61000), 5);
    rate_set_limit(&rate, 10);
    CHECK_INT(burst(SEVERITY_CRITICAL, 100, 61000), 5);
}

/* Against a model that records every event that passed. */
TEST(never_more_than_the_limit_in_any_minute)
{
    static struct {
        uint64_t at;
        bool critical;
    } passed[4000];
    uint32_t random = 7;
    uint64_t now = 0;
    unsigned n = 0;

    rate_init(&rate, times, CAPACITY);
    rate_set_limit(&rate, 15);
    for (int i = 0; i < 20000 && n < ARRAY_SIZE(passed); i++) {
        unsigned in_window = 0, others = 0;
        enum severity s;
        bool want;

        random = random * 1664525u + 1013904223u;
        now += (random >> 10) % 4000;
        s = (enum severity)((random >> 24) % 3);
        for (unsigned k = n; k > 0 && now - passed[k - 1].at < 60000; k--) {
            in_window++;
            others += !passed[k - 1].critical;
        }
        want = in_window < 15 && (s == SEVERITY_CRITICAL || others < 12);
        REQUIRE(rate_pass(&rate, s, now) == want);
        if (want) {
            passed[n].at = now;
            passed[n++].critical = s == SEVERITY_CRITICAL;
        }
    }
    CHECK(n > 1000);
}

static struct suppressed held;
static char buf[CONFIG_EVENT_BYTES];

static const char *report(void)
{
    static struct text out;
    struct json_writer w;

    text_init(&out, buf, sizeof buf);
    json_begin(&w, &out);
    suppressed_report(&held, &w);
    CHECK(!out.truncated);
    return buf;
}

TEST(suppressed_counts_by_type_and_severity)
{
    memset(&held, 0, sizeof held);
    CHECK(!suppressed_any(&held));
    suppressed_add(&held, "disk.usage", SEVERITY_WARNING, 0);
    CHECK(!suppressed_any(&held));
    suppressed_add(&held, "disk.usage", SEVERITY_WARNING, 2);
    suppressed_add(&held, "script.result", SEVERITY_CRITICAL, 1);
    suppressed_add(&held, "disk.usage", SEVERITY_WARNING, 1);
    CHECK(suppressed_any(&held));
    CHECK_STR(report(),
              "{\"suppressed\":4,\"info\":0,\"warning\":3,\"critical\":1,"
              "\"by_type\":{\"disk.usage\":{\"warning\":3},\"script.result\":{\"critical\":1}}}");
    CHECK(!suppressed_any(&held));
    CHECK_INT(held.total[SEVERITY_WARNING], 3);
    CHECK_STR(report(),
              "{\"suppressed\":0,\"info\":0,\"warning\":0,\"critical\":0,\"by_type\":{}}");
    suppressed_add(&held, NULL, SEVERITY_INFO, 5);
    CHECK(suppressed_any(&held));
    CHECK_STR(report(), "{\"suppressed\":5,\"info\":5,\"warning\":0,\"critical\":0,\"by_type\":{},"
                        "\"other_types\":{\"info\":5}}");
}

static const char *type_name(char name[8], unsigned i)
{
    memcpy(name, "type.00", 8);
    name[5] = (char)('0' + i / 10);
    name[6] = (char)('0' + i % 10);
    return name;
}

TEST(more_types_than_slots_are_others)
{
    char name[8];

    memset(&held, 0, sizeof held);
    for (unsigned i = 0; i < SUPPRESSED_TYPES + 5; i++)
        suppressed_add(&held, type_name(name, i), SEVERITY_INFO, 1);
    CHECK(strstr(report(), "{\"suppressed\":17,\"info\":17,"));
    CHECK(strlen(buf) <= CONFIG_EVENT_BYTES / 2);
    if (CONFIG_EVENT_BYTES < 2048) /* then some of the types do not fit either */
        return;
    CHECK(strstr(buf, "\"type.11\":{\"info\":1}},\"other_types\":{\"info\":5}}"));
}

/* Names that need escaping fill the report; what does not fit counts as other, and it stays JSON. */
TEST(report_keeps_to_half_an_event)
{
    static struct json_token tokens[256];
    struct json_doc doc;
    char name[48];
    int other, sum = 0;

    memset(&held, 0, sizeof held);
    memset(name, '\x01', sizeof name);
    name[47] = '\0';
    for (unsigned i = 0; i < SUPPRESSED_TYPES; i++) {
        name[0] = (char)('a' + i);
        suppressed_add(&held, name, SEVERITY_WARNING, 1000000000);
        suppressed_add(&held, name, SEVERITY_CRITICAL, 1000000000);
    }
    report();
    CHECK(strlen(buf) <= CONFIG_EVENT_BYTES / 2);
    REQUIRE(json_parse(&doc, buf, strlen(buf), tokens, 256, 4, NULL) == 0);
    for (const char *p = buf; (p = strstr(p, ":1000000000")); p++)
        sum++;
    other = json_member(&doc, 0, "other_types");
    CHECK(CONFIG_EVENT_BYTES < 8192 ? other > 0 : other < 0 && sum == 2 * SUPPRESSED_TYPES);
    CHECK(!suppressed_any(&held));
}

TEST(long_types_and_large_counts)
{
    static const char *const stem = "0123456789012345678901234567890123456789012345";
    char long_type[100];
    struct text t;

    memset(&held, 0, sizeof held);
    text_init(&t, long_type, sizeof long_type);
    text_str(&t, stem);
    text_str(&t, "\xE2\x82\xAC-and-more"); /* would be cut within the euro sign */
    suppressed_add(&held, long_type, SEVERITY_INFO, UINT32_MAX);
    suppressed_add(&held, stem, SEVERITY_INFO, 9);
    CHECK_INT(held.types[0].count[SEVERITY_INFO], UINT32_MAX);
    CHECK_INT(held.total[SEVERITY_INFO], (long long)UINT32_MAX + 9);
    CHECK_STR(held.types[0].type, stem);
    CHECK(!held.types[1].type[0]);
}

TEST_MAIN(limit_and_reserved_share, small_limits, limit_changes_keep_passed_events,
          never_more_than_the_limit_in_any_minute, suppressed_counts_by_type_and_severity,
          more_types_than_slots_are_others, report_keeps_to_half_an_event, long_types_and_large_counts)
