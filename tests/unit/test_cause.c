#include "nefia/event/event.h"

#include <string.h>

#include "check.h"
#include "nefia/base/err.h"

static char buf[2 * EVENT_CAUSE_MAX];
static struct text out;
static bool among;

static struct slice slice(const char *s)
{
    return (struct slice){s, strlen(s)};
}

static int add(const char *cause, const char *rule)
{
    text_init(&out, buf, sizeof buf);
    return event_cause_add(&out, slice(cause), rule);
}

TEST(a_name_more)
{
    CHECK_INT(add("", "a"), 0);
    CHECK_STR(buf, "[\"a\"]");
    CHECK_INT(add(" [ ] ", "a"), 0);
    CHECK_STR(buf, "[\"a\"]");
    CHECK_INT(add("[\"x]\", \"y\" ] ", "q\"\\]"), 0);
    CHECK_STR(buf, "[\"x]\", \"y\" ,\"q\\\"\\\\]\"]");
    CHECK_INT(event_causes((struct slice){buf, out.len}, "q\"\\]", &among), 3);
    CHECK(among);
}

TEST(who_is_among_them)
{
    CHECK_INT(event_causes(slice(""), "a", &among), 0);
    CHECK(!among);
    CHECK_INT(event_causes(slice("[\"ab\",\"\\u0061\"]"), "a", &among), 2);
    CHECK(among); /* however it is written */
    CHECK_INT(event_causes(slice("[\"ab\",\"b\"]"), "a", &among), 2);
    CHECK(!among);
    CHECK_INT(event_causes(slice("[\"a\\u0000\"]"), "a", &among), 1);
    CHECK(!among);
}

TEST(bounds)
{
    char cause[EVENT_CAUSE_MAX + 1] = "";
    char name[65];
    struct text t;

    text_init(&t, cause, sizeof cause);
    memset(name, 'n', 64);
    name[64] = '\0';
    for (unsigned i = 1; i <= EVENT_CAUSES; i++) {
        CHECK_INT(add(cause, name), 0);
        text_reset(&t);
        text_bytes(&t, buf, out.len);
        CHECK_INT(event_causes(slice(cause), name, &among), i);
    }
    CHECK_INT(add(cause, "a"), NEFIA_EFULL);
    CHECK_STR(buf, "");
    CHECK_INT(event_causes(slice("[1,2,3,4,5,6,7,8,9]"), "a", &among), NEFIA_EFULL);
    CHECK_INT(event_causes(slice("[\"1\",\"2\",\"3\",\"4\",\"5\",\"6\",\"7\",\"8\",\"9\"]"), "1", &among), NEFIA_EFULL);
    /* Names from elsewhere may be longer, escaped. */
    text_reset(&t);
    text_str(&t, "[\"");
    while (t.len < EVENT_CAUSE_MAX - 10)
        text_str(&t, "x");
    text_str(&t, "\"]");
    CHECK_INT(add(cause, "much longer"), NEFIA_ETOOBIG);
    CHECK_STR(buf, "");
    CHECK_INT(add(cause, "a"), 0);
}

TEST(no_array_of_strings)
{
    static const char *const wrong[] = {"[", "{}", "1", "[1]", "[[\"a\"]]", "[\"a\",null]", "\"a\""};

    for (unsigned i = 0; i < ARRAY_SIZE(wrong); i++) {
        CHECK_INT(event_causes(slice(wrong[i]), "a", &among), NEFIA_EINVAL);
        CHECK_INT(add(wrong[i], "a"), NEFIA_EINVAL);
        CHECK_STR(buf, "");
    }
}

TEST_MAIN(a_name_more, who_is_among_them, bounds, no_array_of_strings)
