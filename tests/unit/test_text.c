#include "check.h"
#include "nefia/base/err.h"
#include "nefia/base/text.h"

static char buf[128];
static struct text t;

static struct text *fresh(void)
{
    text_init(&t, buf, sizeof buf);
    return &t;
}

static struct text *fresh_of(size_t cap)
{
    memset(buf, '~', sizeof buf);
    text_init(&t, buf, cap);
    return &t;
}

TEST(builds_from_pieces)
{
    fresh();
    text_str(&t, "a=");
    text_u64(&t, 18446744073709551615u);
    text_char(&t, ',');
    text_i64(&t, INT64_MIN);
    text_bytes(&t, ",xyz", 2);
    CHECK_STR(buf, "a=18446744073709551615,-9223372036854775808,x");
    CHECK_INT(t.len, strlen(buf));
    CHECK(!t.truncated);
    text_reset(&t);
    CHECK_STR(buf, "");
    CHECK_STR(DEC(-42), "-42");
    for (int n = 0; n <= 2; n++) {
        const char *const parts[] = {COUNT(n, "event")};
        CHECK_STR(parts[1], " event");
        CHECK_STR(parts[2], n == 1 ? "" : "s");
    }
    CHECK_STR(DEC(INT64_MIN), "-9223372036854775808");
}

TEST(result_is_a_prefix)
{
    fresh_of(6);
    text_str(&t, "abc");
    text_str(&t, "defgh");
    CHECK_STR(buf, "abcde");
    CHECK(t.truncated);
    CHECK_INT(buf[6], '~');
    text_rewind(&t, 3);
    CHECK(!t.truncated);
    text_str(&t, "de");
    CHECK_STR(buf, "abcde");
    CHECK(!t.truncated);
    text_char(&t, 'x');
    CHECK(t.truncated);
    fresh_of(4);
    text_str(&t, "too long");
    text_rewind(&t, 2);
    text_str(&t, "xy");
    text_str(&t, "");
    text_char(&t, 'z'); /* would fit, had "xy" not been cut before it */
    CHECK_STR(buf, "tox");
    fresh_of(1);
    text_char(&t, 'x');
    CHECK_STR(buf, "");
    CHECK(t.truncated);
}

TEST(never_cuts_a_character)
{
    for (size_t cap = 1; cap < 20; cap++) {
        fresh_of(cap);
        text_str(&t, "aé€😀é");
        CHECK(utf8_valid(buf, t.len));
        CHECK(t.len < cap);
        CHECK_INT(t.truncated, cap < 13);
    }
    fresh_of(7);
    text_str(&t, "aé€😀");
    CHECK_STR(buf, "aé€");
}

TEST(other_number_formats)
{
    static const uint8_t bytes[] = {0x00, 0xFF, 0x1a};

    fresh();
    text_u64_pad(&t, 7, 3);
    text_char(&t, ' ');
    text_u64_pad(&t, 12345, 3);
    text_char(&t, ' ');
    text_u64_pad(&t, 1, 20);
    text_char(&t, ' ');
    text_hex(&t, bytes, sizeof bytes);
    CHECK_STR(buf, "007 12345 00000000000000000001 00ff1a");
    text_reset(&t);
    text_tenths(&t, 925);
    text_char(&t, ' ');
    text_tenths(&t, 0);
    text_char(&t, ' ');
    text_tenths(&t, -5);
    text_char(&t, ' ');
    text_tenths(&t, -1234);
    CHECK_STR(buf, "92.5 0.0 -0.5 -123.4");
}

TEST(printable_replaces_terminal_controls)
{
    fresh();
    text_printable(&t, "ok é\n\033[2J\x7f\t", 12);
    CHECK_STR(buf, "ok é??[2J??");
    text_reset(&t);
    /* What reorders or breaks a line or cannot be seen; what is beside them stays. */
    static const uint32_t hidden[] = {0x85,   0xAD,   0x61C,  0x200B,  0x200C,  0x200D, 0x200E,
                                      0x200F, 0x2028, 0x2029, 0x202A,  0x202D,  0x202E, 0x2066,
                                      0x2067, 0x2069, 0xFEFF, 0xE0000, 0xE0041, 0xE007F};
    static const uint32_t shown[] = {0xA0,   0xAC,   0xAE,   0x61B,  0x61D,  0x200A,  0x2010, 0x2027,
                                     0x202F, 0x2065, 0x206A, 0xFEFE, 0xFFFD, 0xDFFFF, 0xE0080};
    for (size_t i = 0; i < ARRAY_SIZE(hidden) + ARRAY_SIZE(shown); i++) {
        bool hide = i < ARRAY_SIZE(hidden);
        char utf8[4];
        int n = utf8_encode(hide ? hidden[i] : shown[i - ARRAY_SIZE(hidden)], utf8);
        text_reset(&t);
        text_printable(&t, utf8, (size_t)n);
        CHECK((t.len == 1 && t.buf[0] == '?') == hide);
        CHECK(hide || (t.len == (size_t)n && memcmp(t.buf, utf8, t.len) == 0));
    }
    text_reset(&t);
    text_printable(&t, "a\xff\xc3[\xc2\x9b_\0c\xe2\x82", 11);
    CHECK_STR(buf, "a??[?_?c??");
}

TEST(columns)
{
    fresh();
    size_t from = t.len;
    text_str(&t, "né");
    text_pad_to(&t, from, 4);
    text_char(&t, '|');
    from = t.len;
    text_str(&t, "longer");
    text_pad_to(&t, from, 4);
    text_char(&t, '|');
    CHECK_STR(buf, "né  |longer|");
    fresh_of(4);
    text_pad_to(&t, 0, 1000);
    CHECK_STR(buf, "   ");
}

static const char *stamp(int64_t unix_s)
{
    text_rfc3339(fresh(), unix_s);
    return buf;
}

TEST(dates)
{
    CHECK_STR(stamp(0), "1970-01-01T00:00:00Z");
    CHECK_STR(stamp(951782399), "2000-02-28T23:59:59Z");
    CHECK_STR(stamp(951782400), "2000-02-29T00:00:00Z");
    CHECK_STR(stamp(1773156600), "2026-03-10T15:30:00Z");
    CHECK_STR(stamp(4107542399), "2100-02-28T23:59:59Z");
    CHECK_STR(stamp(4107542400), "2100-03-01T00:00:00Z");
    CHECK_STR(stamp(2147483648), "2038-01-19T03:14:08Z");
    CHECK_STR(stamp(253402300799), "9999-12-31T23:59:59Z");
    CHECK_STR(stamp(253402300800), "9999-12-31T23:59:59Z");
    CHECK_STR(stamp(-1), "1970-01-01T00:00:00Z");
    text_minute(fresh(), 1773156659);
    CHECK_STR(buf, "2026-03-10 15:30");
}

static int64_t seconds(const char *s)
{
    int64_t v = -1;

    return parse_rfc3339(s, strlen(s), &v) < 0 ? INT64_MIN : v;
}

TEST(dates_round_trip)
{
    /* A step of prime length meets every month and hour. */
    for (int64_t s = 0; s <= 253402300799; s += 86413 * 211)
        if (seconds(stamp(s)) != s)
            CHECK_STR(buf, "the same second");
}

TEST(dates_parse)
{
    CHECK_INT(seconds("2026-03-10T15:30:00Z"), 1773156600);
    CHECK_INT(seconds("2026-03-10t15:30:00.123456789z"), 1773156600);
    CHECK_INT(seconds("2026-03-10T16:30:00+01:00"), 1773156600);
    CHECK_INT(seconds("2026-03-10T10:00:00-05:30"), 1773156600);
    CHECK_INT(seconds("1969-12-31T23:59:59Z"), -1);
    CHECK_INT(seconds("0000-01-01T00:00:00Z"), -62167219200);
    CHECK_INT(seconds("2016-12-31T23:59:60Z"), 1483228800);
    static const char *const bad[] = {
        "", "2026-03-10", "2026-03-10T15:30:00", "2026-03-10 15:30:00Z", "2026-3-10T15:30:00Z",
        "2026-02-29T00:00:00Z", "2026-13-01T00:00:00Z", "2026-00-01T00:00:00Z",
        "2026-01-00T00:00:00Z", "2026-04-31T00:00:00Z", "2026-01-01T24:00:00Z",
        "2026-01-01T00:60:00Z", "2026-01-01T00:00:61Z", "2026-01-01T00:00:00.Z",
        "2026-01-01T00:00:00+1:00", "2026-01-01T00:00:00+24:00", "2026-01-01T00:00:00Zx",
        "2026-01-01T00:00:00+01:00x", "+026-01-01T00:00:00Z", "2026-01-01T00:00:00+0100",
    };
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        if (seconds(bad[i]) != INT64_MIN)
            CHECK_STR(bad[i], "refused");
}

static int64_t duration(const char *s)
{
    uint64_t v = 77;
    int err = parse_duration_ms(s, strlen(s), &v);

    return err < 0 ? err : (int64_t)v;
}

TEST(durations)
{
    CHECK_INT(duration("30s"), 30000);
    CHECK_INT(duration("5m"), 300000);
    CHECK_INT(duration("1h30m"), 5400000);
    CHECK_INT(duration("250ms"), 250);
    CHECK_INT(duration("1s500ms"), 1500);
    CHECK_INT(duration("2d"), 172800000);
    CHECK_INT(duration("0"), 0);
    CHECK_INT(duration("0s"), 0);
    CHECK_INT(duration("90m"), 5400000);
    CHECK_INT(duration("366d"), INT64_C(31622400000));
    CHECK_INT(duration("366d1ms"), NEFIA_ETOOBIG);
    CHECK_INT(duration("99999999999999999999s"), NEFIA_ETOOBIG);
    CHECK_INT(duration("18446744073709551615d"), NEFIA_ETOOBIG);
    static const char *const bad[] = {
        "", "5", "00", "s", "5x", "5 m", "-5m", "5m1h", "5m5m", "1.5h", "5M", "5m ", " 5m", "mm",
        "1h30",
    };
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        if (duration(bad[i]) != NEFIA_EINVAL)
            CHECK_STR(bad[i], "refused");
}

TEST(durations_written)
{
    static const char *const same[] = {"0s", "500ms", "30s", "5m", "1h30m", "2d", "1d1h1m1s1ms"};

    for (size_t i = 0; i < ARRAY_SIZE(same); i++) {
        text_duration(fresh(), (uint64_t)duration(same[i]));
        CHECK_STR(buf, same[i]);
    }
    text_duration(fresh(), 90061000);
    CHECK_STR(buf, "1d1h1m1s");
}

TEST(integers)
{
    uint64_t u = 7;
    int64_t i = 7;

    CHECK_INT(parse_u64("18446744073709551615", 20, &u), 0);
    CHECK(u == UINT64_MAX);
    CHECK_INT(parse_u64("18446744073709551616", 20, &u), NEFIA_ETOOBIG);
    CHECK_INT(parse_u64("99999999999999999999", 20, &u), NEFIA_ETOOBIG);
    CHECK_INT(parse_u64("", 0, &u), NEFIA_EINVAL);
    CHECK_INT(parse_u64("+1", 2, &u), NEFIA_EINVAL);
    CHECK_INT(parse_u64("1 ", 2, &u), NEFIA_EINVAL);
    CHECK_INT(parse_u64("12x", 2, &u), 0);
    CHECK_INT(u, 12);
    CHECK_INT(parse_i64("-9223372036854775808", 20, &i), 0);
    CHECK(i == INT64_MIN);
    CHECK_INT(parse_i64("9223372036854775807", 19, &i), 0);
    CHECK(i == INT64_MAX);
    CHECK_INT(parse_i64("9223372036854775808", 19, &i), NEFIA_ETOOBIG);
    CHECK_INT(parse_i64("-9223372036854775809", 20, &i), NEFIA_ETOOBIG);
    CHECK_INT(parse_i64("-0", 2, &i), 0);
    CHECK_INT(i, 0);
    CHECK_INT(parse_i64("-17", 3, &i), 0);
    CHECK_INT(i, -17);
    CHECK_INT(parse_i64("-", 1, &i), NEFIA_EINVAL);
    CHECK_INT(parse_i64("--1", 3, &i), NEFIA_EINVAL);
    CHECK_INT(parse_i64("", 0, &i), NEFIA_EINVAL);
}

TEST(numbers_in_texts_of_the_kernel)
{
    static const char text[] = "MemTotal:  123 kB\nSwapMemFree: 1\nMemFree:\t-5 kB\nsome avg10=1.53 avg60=.5 "
                               "big=9223372036854775807 none= x huge=99999999999999999999 less=-0.25";
    int64_t v = 0;

    CHECK_INT(find_decimal(text, "MemTotal:", 0, &v), 0);
    CHECK_INT(v, 123);
    CHECK_INT(find_decimal(text, "MemFree:", 0, &v), 0); /* not the end of another key */
    CHECK_INT(v, -5);
    CHECK_INT(find_decimal(text, "avg10=", 0, &v), 0);
    CHECK_INT(v, 1);
    CHECK_INT(find_decimal(text, "avg10=", 1, &v), 0);
    CHECK_INT(v, 15);
    CHECK_INT(find_decimal(text, "avg10=", 4, &v), 0);
    CHECK_INT(v, 15300);
    CHECK_INT(find_decimal(text, "MemTotal:", 2, &v), 0);
    CHECK_INT(v, 12300);
    CHECK_INT(find_decimal(text, "less=", 2, &v), 0);
    CHECK_INT(v, -25);
    CHECK_INT(find_decimal(text, "big=", 0, &v), 0);
    CHECK_INT(find_decimal(text, "big=", 1, &v), NEFIA_ETOOBIG);
    CHECK_INT(find_decimal(text, "huge=", 0, &v), NEFIA_ETOOBIG);
    CHECK_INT(find_decimal(text, "none=", 0, &v), NEFIA_EINVAL);
    CHECK_INT(find_decimal(text, "avg60=", 1, &v), NEFIA_EINVAL);
    CHECK_INT(find_decimal(text, "Total:", 0, &v), NEFIA_ENOTFOUND);
    CHECK_INT(find_decimal("", "x", 0, &v), NEFIA_ENOTFOUND);
}

TEST(hex)
{
    static const char digits[] = "0123456789abcdef0123456789ABCDEF";
    uint8_t out[3];

    CHECK_INT(parse_hex("00ff1a", 6, out, 3), 0);
    CHECK_MEM(out, "\x00\xff\x1a", 3);
    CHECK_INT(parse_hex("00ff1", 5, out, 3), NEFIA_EINVAL);
    CHECK_INT(parse_hex("00ff1a0", 7, out, 3), NEFIA_EINVAL);
    CHECK_INT(parse_hex("00FF1A", 6, out, 3), NEFIA_EINVAL);
    CHECK_INT(parse_hex("00fg1a", 6, out, 3), NEFIA_EINVAL);
    CHECK_INT(parse_hex("", 0, out, 0), 0);
    for (int c = -1; c < 256; c++) {
        const char *at = c > 0 ? strchr(digits, c) : NULL;
        int digit = at ? (int)(at - digits) % 16 : -1;
        CHECK_INT(hex_digit(c), digit);
    }
}

TEST(utf8_every_character)
{
    char c[4];

    for (uint32_t cp = 0; cp <= 0x110010; cp++) {
        uint32_t back = 0;
        int n = utf8_encode(cp, c);
        bool fine = cp <= 0x10FFFF && (cp < 0xD800 || cp > 0xDFFF);
        if ((n > 0) != fine)
            CHECK_INT(cp, -1);
        if (n > 0 && (utf8_decode(c, (size_t)n, &back) != n || back != cp))
            CHECK_INT(back, cp);
        if (n > 1 && utf8_decode(c, (size_t)n - 1, &back) != NEFIA_EUTF8)
            CHECK_INT(cp, -2);
    }
}

TEST(utf8_refuses)
{
    static const char *const bad[] = {
        "\x80", "\xbf", "\xc0\x80", "\xc1\xbf", "\xe0\x80\x80", "\xe0\x9f\xbf", "\xed\xa0\x80",
        "\xed\xbf\xbf", "\xf0\x80\x80\x80", "\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80",
        "\xf5\x80\x80\x80", "\xff", "\xc3", "\xc3(", "\xe2\x82", "\xe2(\xac", "\xf0\x9f\x98",
        "ok\xfe",
    };

    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        if (utf8_valid(bad[i], strlen(bad[i])))
            CHECK_INT(i, -1);
    CHECK(utf8_valid("", 0));
    CHECK(utf8_valid("aé€😀\0x", 12));
}

TEST(utf8_cuts)
{
    CHECK_INT(utf8_cut("aé€", 6, 6), 6);
    CHECK_INT(utf8_cut("aé€", 6, 5), 3);
    CHECK_INT(utf8_cut("aé€", 6, 2), 1);
    CHECK_INT(utf8_cut("aé€", 6, 0), 0);
    CHECK_INT(utf8_cut("😀", 4, 3), 0);
    CHECK_INT(utf8_cut("abc", 3, 2), 2);
    CHECK_INT(utf8_cut("\x80\x80\x80\x80\x80\x80", 6, 5), 5);
}

TEST(comparisons)
{
    CHECK(slice_eq((struct slice){"abcd", 3}, "abc"));
    CHECK(!slice_eq((struct slice){"abcd", 3}, "abcd"));
    CHECK(!slice_eq((struct slice){"abcd", 3}, "abx"));
    CHECK(str_eq("", "") && str_eq("ab", "ab") && !str_eq("ab", "a") && !str_eq("a", "ab"));
}

TEST(parts_are_found)
{
    static const char s[] = "aab, aabc";

    CHECK(str_find(s, "a") == s);
    CHECK(str_find(s, "ab") == s + 1);
    CHECK(str_find(s, "aabc") == s + 5);
    CHECK(str_find(s, "c") == s + 8);
    CHECK(str_find(s, "") == s);
    CHECK(str_find(s, "cc") == NULL);
    CHECK(str_find(s, "aab, aabcd") == NULL);
    CHECK(str_find("", "a") == NULL);
    CHECK(str_find("", "") != NULL);
}

TEST(words_in_one_string)
{
    static const char words[] = "red\0green\0blue\0";

    CHECK_STR(word_at(words, 0), "red");
    CHECK_STR(word_at(words, 2), "blue");
    CHECK_INT(word_index(words, (struct slice){"red", 3}), 0);
    CHECK_INT(word_index(words, (struct slice){"blue", 4}), 2);
    CHECK_INT(word_index(words, (struct slice){"gree", 4}), NEFIA_EINVAL);
    CHECK_INT(word_index(words, (struct slice){"", 0}), NEFIA_EINVAL);
    for (unsigned c = 0; c < 300; c++)
        CHECK_INT(char_is_word(c), c > 0 && c < 128 && strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_", (int)c) != NULL);
    CHECK(!char_is_word(0x10041));
    CHECK_INT(text_word_span("", "-"), 0);
    CHECK_INT(text_word_span("web-01.local", "-"), 6);
    CHECK_INT(text_word_span("a_Z9@b", "@"), 6);
    CHECK_INT(text_word_span("na\xC3\xAFve", "-"), 2);
    CHECK_STR(err_text(NEFIA_ECLOSED), "closed by peer");
    CHECK_STR(err_text(NEFIA_ECLOSED - 1), "unknown error");
    CHECK_STR(err_text(1), "no error");
}

TEST(errors_have_texts)
{
    CHECK_STR(err_text(NEFIA_EINVAL), "invalid value");
    CHECK_STR(err_text(NEFIA_ECLOSED), "closed by peer");
    CHECK_STR(err_text(0), "no error");
    CHECK_STR(err_text(17), "no error");
    CHECK_STR(err_text(-1000), "unknown error");
    for (int err = NEFIA_ECLOSED; err < 0; err++)
        CHECK(err_text(err) != NULL);
}

TEST_MAIN(builds_from_pieces, result_is_a_prefix, never_cuts_a_character,
          other_number_formats, printable_replaces_terminal_controls, columns, dates,
          dates_round_trip, dates_parse, durations, durations_written, integers,
          numbers_in_texts_of_the_kernel, hex,
          utf8_every_character, utf8_refuses, utf8_cuts, comparisons, parts_are_found, words_in_one_string,
          errors_have_texts)
