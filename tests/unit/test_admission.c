#include "check.h"

#include "nefia/hub/admission.h"

enum { ENTRIES = 4, DAY_MS = ADMISSION_DAY_MS, STEP_MS = ADMISSION_FULL_MS / ADMISSION_TOKENS };

static struct admission_entry entries[ENTRIES];
static struct admission admission;
static uint64_t now;

static struct addr at(const char *s)
{
    struct addr a;

    CHECK_INT(addr_parse(&a, s, strlen(s), 1, NULL), 0);
    return a;
}

static void setup(void)
{
    admission_init(&admission, entries, ENTRIES);
    now = 5000000;
}

static bool enter(const char *s)
{
    struct addr a = at(s);

    return admission_enter(&admission, &a, now);
}

static unsigned enter_often(const char *s, unsigned times)
{
    unsigned n = 0;

    while (times-- > 0)
        n += enter(s);
    return n;
}

static void failed(const char *s)
{
    struct addr a = at(s);

    admission_failed(&admission, &a, now);
}

static void proved(const char *s)
{
    struct addr a = at(s);

    admission_proved(&admission, &a, now);
}

static bool known(const char *s)
{
    struct addr a = at(s);

    return admission_known(&admission, &a, now);
}

static bool may_log(const char *s)
{
    struct addr a = at(s);

    return admission_may_log(&admission, &a, now);
}

static bool same(const char *a, const char *b)
{
    struct addr x = at(a), y = at(b);

    return admission_same(&x, &y);
}

TEST(an_address_is_one_of_ipv4_or_a_64_of_ipv6)
{
    CHECK(same("10.0.0.1:1", "10.0.0.1:2"));
    CHECK(!same("10.0.0.1", "10.0.0.2"));
    CHECK(same("2001:db8:1:2::1", "2001:db8:1:2:ffff::9"));
    CHECK(!same("2001:db8:1:2::1", "2001:db8:1:3::1"));
    /* The same bytes, but of two families. */
    CHECK(!same("10.0.0.1", "a00:1::"));
    CHECK(same("::ffff:10.0.0.1", "10.0.0.1"));
    setup();
    CHECK_INT(enter_often("2001:db8:1:2::1", ADMISSION_TOKENS), ADMISSION_TOKENS);
    CHECK(!enter("2001:db8:1:2::2"));
    CHECK(enter("2001:db8:1:3::2"));
    CHECK(enter("32.1.13.184")); /* 20.01.0d.b8 */
}

TEST(a_bucket_empties_and_fills_again)
{
    setup();
    CHECK_INT(enter_often("10.0.0.1", 100), ADMISSION_TOKENS);
    CHECK(enter("10.0.0.2")); /* each has its own */
    now += STEP_MS - 1;
    CHECK(!enter("10.0.0.1"));
    now += 1;
    CHECK(enter("10.0.0.1"));
    CHECK(!enter("10.0.0.1"));
    /* Attempts do not delay the next token. */
    unsigned n = 0;
    for (unsigned ms = 0; ms < 10 * STEP_MS; ms += 10) {
        now += 10;
        n += enter("10.0.0.1");
    }
    CHECK_INT(n, 10);
    now += 365 * (uint64_t)DAY_MS;
    CHECK_INT(enter_often("10.0.0.1", 100), ADMISSION_TOKENS);
}

TEST(a_larger_bucket_fills_in_the_same_time)
{
    setup();
    admission.bucket = 500;
    CHECK_INT(enter_often("10.0.0.1", 1000), 500);
    now += ADMISSION_FULL_MS / 2;
    CHECK_INT(enter_often("10.0.0.1", 1000), 250);
    /* A smaller one later: what is too much is gone. */
    now += ADMISSION_FULL_MS;
    admission.bucket = 5;
    CHECK_INT(enter_often("10.0.0.1", 1000), 5);
}

TEST(failures_slow_an_address_for_a_bounded_time)
{
    setup();
    CHECK(enter("10.0.0.1"));
    failed("10.0.0.1");
    CHECK_INT(enter_often("10.0.0.1", 100), ADMISSION_TOKENS - 1 - ADMISSION_FAILURE);
    failed("10.0.0.1"); /* into debt */
    now += ADMISSION_FAILURE * STEP_MS;
    CHECK(!enter("10.0.0.1"));
    now += STEP_MS;
    CHECK(enter("10.0.0.1"));
    for (int i = 0; i < 1000; i++)
        failed("10.0.0.1");
    now += ADMISSION_FULL_MS;
    CHECK(!enter("10.0.0.1"));
    now += STEP_MS;
    CHECK(enter("10.0.0.1")); /* the debt is a bucket deep */
    CHECK(enter("10.0.0.2"));

    /* One that always fails gets in once in five steps. */
    setup();
    unsigned n = 0;
    for (unsigned s = 0; s < 1000; s++) {
        if (enter("10.0.0.1")) {
            failed("10.0.0.1");
            n++;
        }
        now += STEP_MS;
    }
    CHECK(n >= 1000 / 5 && n <= 1000 / 5 + ADMISSION_TOKENS);
}

TEST(an_address_is_known_for_a_day)
{
    setup();
    CHECK(!known("10.0.0.1"));
    CHECK(enter("10.0.0.1"));
    CHECK(!known("10.0.0.1"));
    proved("10.0.0.1");
    CHECK(known("10.0.0.1"));
    CHECK(!known("10.0.0.2"));
    now += DAY_MS - 1;
    CHECK(known("10.0.0.1"));
    now += 1;
    CHECK(!known("10.0.0.1"));
    proved("10.0.0.1");
    CHECK(known("10.0.0.1"));
}

/** Somebody behind the same NAT fails a hundred times a second. */
TEST(failures_do_not_keep_a_known_address_out)
{
    setup();
    proved("10.0.0.1");
    for (int i = 0; i < 1000; i++) {
        now += ADMISSION_KNOWN_MS;
        CHECK(enter("10.0.0.1"));
        failed("10.0.0.1");
    }
    /* But there is a limit. */
    CHECK(enter_often("10.0.0.1", 1000) <= ADMISSION_TOKENS);
    CHECK(!enter("10.0.0.1"));
}

TEST(known_addresses_stay_in_the_table)
{
    static const char *const strangers[] = {"10.1.0.1", "10.1.0.2", "10.1.0.3", "10.1.0.4",
                                            "10.1.0.5", "10.1.0.6", "10.1.0.7"};

    setup();
    proved("10.0.0.1");
    proved("10.0.0.2");
    for (size_t i = 0; i < ARRAY_SIZE(strangers); i++) {
        now++;
        CHECK(enter(strangers[i]));
    }
    CHECK(known("10.0.0.1"));
    CHECK(known("10.0.0.2"));
    /* The least recently used stranger goes: .7 is there with .6, and .8 takes the place of .6. */
    CHECK_INT(enter_often("10.1.0.7", 100), ADMISSION_TOKENS - 1);
    CHECK_INT(enter_often("10.1.0.6", 100), ADMISSION_TOKENS - 1);
    now++;
    CHECK(!enter("10.1.0.7"));
    CHECK(enter("10.1.0.8"));
    CHECK(!enter("10.1.0.7"));
    CHECK(enter("10.1.0.6")); /* as new, and .8 or .7 is gone */
    /* Nothing but known ones: the one used longest ago goes. */
    setup();
    for (size_t i = 0; i < 4; i++) {
        proved(strangers[i]);
        now++;
    }
    CHECK(enter("10.0.0.1"));
    CHECK(!known(strangers[0]));
    CHECK(known(strangers[1]));
    /* After a day nobody is known, and none takes precedence. */
    now += DAY_MS;
    CHECK(enter("10.0.0.2"));
    CHECK(enter("10.0.0.3"));
    CHECK(enter("10.0.0.4"));
}

TEST(looking_takes_no_entry)
{
    static const char *const strangers[] = {"10.1.0.1", "10.1.0.2", "10.1.0.3", "10.1.0.4"};

    setup();
    CHECK_INT(enter_often("10.0.0.1", 100), ADMISSION_TOKENS);
    for (size_t i = 0; i < ARRAY_SIZE(strangers); i++)
        CHECK(!known(strangers[i]));
    CHECK(!enter("10.0.0.1"));
}

TEST(an_address_is_named_once_a_minute)
{
    setup();
    CHECK(may_log("10.0.0.1"));
    CHECK(!may_log("10.0.0.1"));
    CHECK(may_log("10.0.0.2"));
    now += ADMISSION_LOG_MS - 1;
    CHECK(!may_log("10.0.0.1"));
    now += 1;
    CHECK(may_log("10.0.0.1"));
    CHECK(!may_log("10.0.0.1"));
}

TEST(many_addresses_do_not_fill_the_log)
{
    unsigned n = 0;

    setup();
    for (int i = 0; i < 250; i++) {
        struct addr a = at("10.0.0.0");

        a.ip[3] = (uint8_t)i;
        now += 1;
        n += admission_may_log(&admission, &a, now);
    }
    CHECK_INT(n, ENTRIES);
    now += ADMISSION_LOG_MS;
    CHECK(may_log("10.9.9.9"));
}

TEST_MAIN(an_address_is_one_of_ipv4_or_a_64_of_ipv6, a_bucket_empties_and_fills_again,
          a_larger_bucket_fills_in_the_same_time, failures_slow_an_address_for_a_bounded_time,
          an_address_is_known_for_a_day, failures_do_not_keep_a_known_address_out,
          known_addresses_stay_in_the_table, looking_takes_no_entry,
          an_address_is_named_once_a_minute, many_addresses_do_not_fill_the_log)
