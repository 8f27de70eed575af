#include "nefia/base/glob.h"

#include <stdio.h>

#include "check.h"

static bool whole(const char *glob, const char *s)
{
    return glob_whole(glob, s, strlen(s));
}

static bool within(const char *glob, const char *s)
{
    return glob_within(glob, s, strlen(s));
}

TEST(a_name_is_matched_whole)
{
    CHECK(whole("eth0", "eth0"));
    CHECK(!whole("eth0", "eth01"));
    CHECK(!whole("eth0", "veth0"));
    CHECK(!whole("eth0", "eth"));
    CHECK(whole("eth*", "eth0"));
    CHECK(whole("eth*", "eth"));
    CHECK(!whole("eth*", "veth0"));
    CHECK(whole("*", ""));
    CHECK(whole("", ""));
    CHECK(!whole("", "a"));
    CHECK(whole("eth?.*", "eth0.10"));
    CHECK(!whole("eth?.*", "eth.10"));
    CHECK(!whole("eth?", "eth"));
    CHECK(!whole("Eth0", "eth0"));
}

TEST(a_part_is_looked_for_anywhere)
{
    CHECK(within("link up", "veth0: link up, full duplex"));
    CHECK(within("eth*up", "veth0: link up, full duplex"));
    CHECK(!within("eth*down", "veth0: link up, full duplex"));
    CHECK(within("", "veth0"));
    CHECK(within("", ""));
    CHECK(within("h?:", "veth0:"));
    CHECK(!within("h??:", "veth0:"));
    CHECK(within("*", ""));
    CHECK(!within("?", ""));
    CHECK(within("r, dev*sd?", "I/O error, dev mmcblk0, not dev sda"));
}

TEST(a_gap_grows_where_the_rest_does_not_fit)
{
    CHECK(whole("*aab", "aaaab"));
    CHECK(whole("a*b*c", "abbcbc"));
    CHECK(!whole("a*b*c", "abbcb"));
    CHECK(within("aab", "aaaab"));
    CHECK(within("a*bcd", "a bc bcd e"));
    CHECK(within("**a**", "bab"));
    CHECK(whole("*.conf", "a.conf.conf"));
    CHECK(!whole("*.conf", "a.conf.bak"));
}

TEST(the_text_may_be_any_bytes_and_has_an_end)
{
    static const char bytes[] = {'a', '\0', '\xff', 'b', 'c'};

    CHECK(glob_whole("a??b", bytes, 4));
    CHECK(glob_within("\xff" "b", bytes, 4));
    CHECK(!glob_within("bc", bytes, 4));
    CHECK(glob_within("bc", bytes, 5));
    CHECK(glob_whole("", NULL, 0));
}

/** All texts and patterns of few letters, against the definition. */
static bool defined(const char *glob, const char *s)
{
    if (!*glob)
        return !*s;
    if (*glob == '*')
        return defined(glob + 1, s) || (*s && defined(glob, s + 1));
    return *s && (*glob == '?' || *glob == *s) && defined(glob + 1, s + 1);
}

static void spell(char *out, unsigned n, const char *letters, unsigned base)
{
    for (; n > 0; n /= base)
        *out++ = letters[n-- % base];
    *out = '\0';
}

TEST(it_means_what_the_definition_says)
{
    char glob[16], around[18], s[16];
    unsigned wrong = 0;

    for (unsigned g = 0; g < 1365; g++) {
        spell(glob, g, "ab?*", 4);
        snprintf(around, sizeof around, "*%s*", glob);
        for (unsigned t = 0; t < 127; t++) {
            spell(s, t, "ab", 2);
            wrong += whole(glob, s) != defined(glob, s);
            wrong += within(glob, s) != defined(around, s);
        }
    }
    CHECK_INT(wrong, 0);
}

TEST(many_gaps_take_no_longer)
{
    static char s[8000];

    memset(s, 'a', sizeof s); /* the steps are bounded by the product, not by a power */
    CHECK(!glob_within("*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*b", s, sizeof s));
    CHECK(!glob_whole("a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*ab", s, sizeof s));
}

TEST_MAIN(a_name_is_matched_whole, a_part_is_looked_for_anywhere,
          a_gap_grows_where_the_rest_does_not_fit, the_text_may_be_any_bytes_and_has_an_end,
          it_means_what_the_definition_says, many_gaps_take_no_longer)
