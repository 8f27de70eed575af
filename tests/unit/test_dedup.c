#include "nefia/event/dedup.h"

#include "check.h"
#include "nefia/base/err.h"

static struct dedup_slot slots[3];
static struct dedup dedup;

static struct event_head head(const char *subject, enum severity s)
{
    return (struct event_head){
        .type = "disk.usage",
        .source = "disk",
        .host_id = "h",
        .subject = subject,
        .severity = s,
    };
}

static struct dedup_verdict check(const char *subject, enum severity s, uint64_t now)
{
    struct event_head h = head(subject, s);

    return dedup_check(&dedup, &h, now);
}

TEST(window_suppresses_and_counts)
{
    struct dedup_verdict v;

    dedup_init(&dedup, slots, 3);
    CHECK_INT(dedup.window_ms, 300000);
    v = check("/", SEVERITY_WARNING, 0); /* a clock at 0 is no special case */
    CHECK(v.pass && v.suppressed == 0 && v.age_ms == 0 && v.evicted == 0);
    CHECK(!check("/", SEVERITY_WARNING, 0).pass);
    v = check("/", SEVERITY_WARNING, 299999);
    CHECK(!v.pass && v.age_ms == 299999);
    v = check("/", SEVERITY_WARNING, 300000);
    CHECK(v.pass && v.suppressed == 2 && v.age_ms == 300000);
    v = check("/", SEVERITY_WARNING, 600000);
    CHECK(v.pass && v.suppressed == 0);
}

TEST(what_repeats_is_known_before_it_is_made)
{
    const struct event_head h = head("/", SEVERITY_WARNING);
    struct dedup_verdict v;

    dedup_init(&dedup, slots, 3);
    CHECK(!dedup_repeats(&dedup, &h, 0) && !dedup_repeats(&dedup, &h, 0)); /* nothing was accepted by that */
    CHECK(check("/", SEVERITY_WARNING, 0).pass);
    CHECK(dedup_repeats(&dedup, &h, 299999));
    CHECK(!dedup_repeats(&dedup, &h, 300000));
    v = check("/", SEVERITY_WARNING, 300000);
    CHECK(v.pass && v.suppressed == 1);
}

TEST(window_zero_accepts_everything)
{
    dedup_init(&dedup, slots, 3);
    check("/", SEVERITY_INFO, 5);
    CHECK(!check("/", SEVERITY_INFO, 6).pass);
    dedup.window_ms = 0;
    CHECK_INT(check("/", SEVERITY_INFO, 6).suppressed, 1);
    CHECK(check("/", SEVERITY_INFO, 6).pass);
}

TEST(subject_and_severity_are_part_of_the_key)
{
    dedup_init(&dedup, slots, 3);
    CHECK(check("/", SEVERITY_WARNING, 1).pass);
    CHECK(check("/home", SEVERITY_WARNING, 1).pass);
    CHECK(check("/", SEVERITY_CRITICAL, 1).pass);
    CHECK(!check("/", SEVERITY_WARNING, 2).pass);
    dedup_init(&dedup, slots, 3);
    dedup.parts = (unsigned)dedup_parse_key("type|source|host_id|severity");
    CHECK(check("/", SEVERITY_WARNING, 1).pass);
    CHECK(!check("/home", SEVERITY_WARNING, 1).pass);
    CHECK(check(NULL, SEVERITY_CRITICAL, 1).pass);
}

TEST(oldest_slot_is_evicted_with_its_count)
{
    struct dedup_verdict v;

    dedup_init(&dedup, slots, 3);
    dedup.parts = DEDUP_SUBJECT;
    check("a", SEVERITY_INFO, 10);
    check("b", SEVERITY_INFO, 11);
    check("c", SEVERITY_INFO, 12);
    check("a", SEVERITY_CRITICAL, 13);
    check("a", SEVERITY_WARNING, 13);
    v = check("d", SEVERITY_INFO, 14);
    CHECK(v.pass && v.evicted == 2 && v.evicted_severity == SEVERITY_CRITICAL);
    CHECK(!check("b", SEVERITY_INFO, 15).pass);
    v = check("a", SEVERITY_INFO, 16); /* evicted, so accepted; b is evicted with its count */
    CHECK(v.pass && v.evicted == 1 && v.evicted_severity == SEVERITY_INFO);
}

TEST(suppressed_event_is_forgotten)
{
    struct event_head h = head("/", SEVERITY_INFO);

    dedup_init(&dedup, slots, 3);
    dedup_forget(&dedup, &h); /* not in the table yet */
    CHECK(check("/", SEVERITY_INFO, 1).pass);
    CHECK(check("/home", SEVERITY_INFO, 1).pass);
    dedup_forget(&dedup, &h);
    CHECK(!check("/home", SEVERITY_INFO, 2).pass);
    CHECK(check("/", SEVERITY_INFO, 2).pass);
}

TEST(members_do_not_run_together)
{
    struct event_head a = head("c", SEVERITY_INFO), b = a;

    dedup_init(&dedup, slots, 3);
    a.source = "ab";
    a.host_id = "c";
    b.source = "a";
    b.host_id = "bc";
    CHECK(dedup_key(&dedup, &a) != dedup_key(&dedup, &b));
    CHECK(dedup_key(&dedup, &a) == dedup_key(&dedup, &a));
    b = a;
    b.unix_s = 7;
    b.seq = 9;
    CHECK(dedup_key(&dedup, &a) == dedup_key(&dedup, &b));
    /* Every member alone changes the key. */
    b.type = "x";
    CHECK(dedup_key(&dedup, &a) != dedup_key(&dedup, &b));
}

TEST(parses_the_key_setting)
{
    CHECK_INT(dedup_parse_key("type"), DEDUP_TYPE);
    CHECK_INT(dedup_parse_key("subject|severity|host_id|source|type"), DEDUP_ALL);
    CHECK_INT(dedup_parse_key("type|type"), NEFIA_EINVAL);
    CHECK_INT(dedup_parse_key(""), NEFIA_EINVAL);
    CHECK_INT(dedup_parse_key("type|"), NEFIA_EINVAL);
    CHECK_INT(dedup_parse_key("|type"), NEFIA_EINVAL);
    CHECK_INT(dedup_parse_key("type||source"), NEFIA_EINVAL);
    CHECK_INT(dedup_parse_key("types"), NEFIA_EINVAL);
    CHECK_INT(dedup_parse_key("host"), NEFIA_EINVAL);
}

/* Checked, passed, reported and evicted events add up for any sequence. */
TEST(every_event_is_accounted_for)
{
    static const char *const subjects[] = {"a", "b", "c", "d", "e"};
    uint32_t random = 1, asked = 0, passed = 0, reported = 0, held = 0;
    uint64_t now = 0;

    dedup_init(&dedup, slots, 3);
    dedup.window_ms = 50;
    for (int i = 0; i < 20000; i++) {
        struct dedup_verdict v;

        random = random * 1664525u + 1013904223u;
        now += random >> 28;
        v = check(subjects[(random >> 8) % 5], (enum severity)((random >> 16) % 3), now);
        asked++;
        passed += v.pass;
        reported += v.suppressed + v.evicted;
    }
    for (int i = 0; i < 3; i++)
        held += slots[i].suppressed;
    CHECK_INT(asked, passed + reported + held);
    CHECK(reported > 100);
}

TEST_MAIN(window_suppresses_and_counts, what_repeats_is_known_before_it_is_made, window_zero_accepts_everything,
          subject_and_severity_are_part_of_the_key, oldest_slot_is_evicted_with_its_count,
          suppressed_event_is_forgotten, members_do_not_run_together, parses_the_key_setting,
          every_event_is_accounted_for)
