#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "guard/pattern_int.h"
#include "nefia/base/err.h"
#include "nefia/guard/matcher.h"
#include "nefia/guard/matcher_lint.h"
#include "nefia/sys/heap.h"
#include "pattern_pairs.h"
#include "readfile.h"

/* Pulls src/sys/malloc.c in, so that TRE, which the programs are compared with, allocates from our heap. */
void *(*volatile test_malloc)(size_t) = malloc;

enum { ARENA = 512 * 1024, OPS = 2048, RANGES = 1024 };
static _Alignas(16) unsigned char arena[ARENA];
static struct pattern_scratch scratch;
static struct matcher_op ops[OPS];
static struct pattern_range ranges[RANGES];
static struct matcher_store store;
static struct matcher_work work;
static char file[64 * 1024];
static char why_buf[512];
static struct text why;

static void setup(void)
{
    heap_init(arena, sizeof arena);
    text_init(&why, why_buf, sizeof why_buf);
}

/** Into an empty store. */
static int compile_n(struct matcher *m, const char *re, size_t len)
{
    store = (struct matcher_store){ops, ranges, OPS, RANGES, 0, 0, false};
    text_init(&why, why_buf, sizeof why_buf);
    return matcher_compile(m, &store, re, len, &scratch.tree, &why);
}

static int compile(struct matcher *m, const char *re)
{
    return compile_n(m, re, strlen(re));
}

static bool find(const struct matcher *m, const char *subject, size_t len, struct span *found)
{
    const bool yes = matcher_find(m, &store, &work, subject, len, found);

    CHECK(work.steps <= m->count * (len + 1));
    CHECK(!yes || matcher_can_match(m, &store));
    return yes;
}

static void blame(int ok, const char *what, const char *re, const char *subject)
{
    if (check_true(ok, __FILE__, __LINE__, what))
        return;
    check_puts("  pattern: ");
    check_puts(re);
    check_puts("  subject: ");
    check_puts(subject);
    check_puts("  why: ");
    check_puts(why_buf);
    check_puts("\n");
}

/* ---- the table of patterns.txt ------------------------------------------------------------------- */

/** What TRE cannot express: ours compiles. */
static bool of_tre(const char *expect)
{
    return strcmp(expect, "refused anchors") == 0 || strcmp(expect, "refused anchor") == 0;
}

static void check_row(const char *expect, const char *re, size_t re_len, const char *subject, size_t len)
{
    struct matcher m;
    const int err = compile_n(&m, re, re_len);

    if (of_tre(expect)) {
        blame(err == 0, "compiles", re, "");
    } else if (strncmp(expect, "refused ", 8) == 0) {
        blame(err == NEFIA_ESYNTAX || err == NEFIA_ETOOBIG, "refused", re, "");
        blame(strstr(why_buf, expect + 8) != NULL, expect, re, "");
        CHECK_INT(store.ops_used, 0);
        CHECK_INT(store.ranges_used, 0);
    } else {
        blame(err == 0, "compiles", re, "");
        blame(err != 0 || find(&m, subject, len, NULL) == (expect[0] == 'y'), expect, re, subject);
    }
}

TEST(means_what_the_table_says)
{
    char *at = file, *line;
    unsigned rows = 0;

    setup();
    REQUIRE(read_file("tests/golden/patterns.txt", file, sizeof file) > 0);
    while ((line = next_line(&at)) != NULL) {
        char *re, *subject;
        size_t re_len;

        if (strncmp(line, "# ", 2) == 0)
            continue;
        re = split_at_tab(line);
        REQUIRE(re != NULL);
        subject = split_at_tab(re);
        REQUIRE(subject != NULL);
        re_len = undo_percent(re);
        check_row(line, re, re_len, subject, undo_percent(subject));
        rows++;
    }
    CHECK(rows > 800);
}

TEST(incomplete_patterns_are_harmless)
{
    char *at = file, *line;

    setup();
    REQUIRE(read_file("tests/golden/patterns.txt", file, sizeof file) > 0);
    while ((line = next_line(&at)) != NULL) {
        char *re = split_at_tab(line);

        if (line[0] == '#' || re == NULL || split_at_tab(re) == NULL)
            continue;
        for (size_t n = undo_percent(re); n-- > 0;) {
            struct matcher m;
            const int err = compile_n(&m, re, n);

            blame(err == 0 ? why.len == 0 : (err == NEFIA_ESYNTAX || err == NEFIA_ETOOBIG) && why.len > 0,
                  "a pattern or a reason", re, "");
            if (err == 0)
                find(&m, "disk.usage", 10, NULL);
        }
    }
}

/* ---- where --------------------------------------------------------------------------------------- */

TEST(the_leftmost_longest_match_is_found)
{
    static const struct {
        const char *re, *subject;
        uint32_t at, end;
    } rows[] = {
        {"rm", "rm", 0, 2},
        {"rm", "a rm rm", 2, 4},
        {"rm -r?f", "; rm -f", 2, 7},
        {"a+", "baaac", 1, 4},
        {"a+?", "baaac", 1, 4}, /* lazy or not: the longest */
        {"a|ab|abc", "xabcd", 1, 4},
        {"abcd|bc", "abcx", 1, 3},
        {"abcd|bc", "abcd", 0, 4},
        {"abcde|bc", "abcdx", 1, 3},
        {"(abcde|bc)+", "abcdabcbcde", 1, 3},
        {"a.*z|b", "abz", 0, 3},
        {"a.*z|b", "ab", 1, 2},
        {"", "abc", 0, 0},
        {"x*", "axx", 0, 0},
        {"$", "abc", 3, 3},
        {"(?m)$", "ab\nc", 2, 2},
        {"(?m)^c", "ab\nc", 3, 4},
        {"\\bsh\\b", "bash sh", 5, 7},
        {"\\B", "ab", 1, 1},
        {"\\b", "  ab", 2, 2},
        {"é", "aéé", 1, 3},
        {".", "日本", 0, 3},
        {"本", "日本", 3, 6},
        {"\\x{FFFD}", "a\xFF\xFE", 1, 2},
        {"^.{3}$", "\xE6\x97\xFF", 0, 3},
        {"a\\z", "aa", 1, 2},
        {"(^|;)rm", "x;rm", 1, 4},
        {"(^|$)", "x", 0, 0},
    };
    struct matcher m;

    setup();
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct span found = {77, 77};

        blame(compile(&m, rows[i].re) == 0, "compiles", rows[i].re, "");
        blame(find(&m, rows[i].subject, strlen(rows[i].subject), &found), "matches", rows[i].re, rows[i].subject);
        blame(found.at == rows[i].at, "begins where it should", rows[i].re, rows[i].subject);
        blame(found.end == rows[i].end, "ends where it should", rows[i].re, rows[i].subject);
        blame(find(&m, rows[i].subject, strlen(rows[i].subject), NULL), "matches", rows[i].re, rows[i].subject);
    }
}

TEST(without_a_match_the_span_is_left_alone)
{
    struct matcher m;
    struct span found = {7, 9};

    CHECK_INT(compile(&m, "b$"), 0);
    CHECK(!find(&m, "ba", 2, &found));
    CHECK_INT(found.at, 7);
    CHECK_INT(found.end, 9);
    CHECK(!find(&m, NULL, 0, &found));
}

TEST(bytes_that_are_not_utf8_count_as_one_character_each)
{
    static const struct {
        const char *re, *subject;
        bool yes;
    } rows[] = {
        {"^..$", "\xE2\x82", true},       {"^.$", "\xE2\x82", false},  {"^.$", "\xE2\x82\xAC", true},
        {"^...$", "\xED\xA0\x80", true},  {"^..$", "\xC0\x80", true},  {"\\x{FFFD}", "\x80", true},
        {"[^a]", "\xFF", true},           {"\xEF\xBF\xBD", "\xC3", true}, {"[\\x{FFFC}-\\x{FFFE}]", "a\x80", true},
        {"\\x{FFFC}", "\xFF", false},     {"^.a$", "\xC3""a", true},   {"\\x{D800}", "\xED\xA0\x80", false},
        {"é$", "\xC3\xC3\xA9", true},     {"\\x80", "\x80", false},    {"\\x80", "\xC2\x80", true},
    };
    struct matcher m;

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        CHECK_INT(compile(&m, rows[i].re), 0);
        blame(find(&m, rows[i].subject, strlen(rows[i].subject), NULL) == rows[i].yes, "as in Go", rows[i].re, "");
    }
}

/* ---- what is known of a pattern without a subject ------------------------------------------------ */

TEST(patterns_that_match_everything_are_known)
{
    static const char *const all[] = {"", ".*", "^", "^.*", "$", ".*$", "a*", "(?s)^.*", "(?m)^", "(?m)$", "\\A", "\\z",
                                      "a?|b", "(^|a)", "()", "(|rm)", "x{0}", "^^", "(^)*a*", "(?i:a*)", ".*?"},
                           *const some[] = {"^.*$", ".", ".+", "^$", "a", "\\b", "^a*b", "^.+", "(?m)^$", "a*b*c", "$^", "^\\b.*"};
    struct matcher m;

    for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
        blame(compile(&m, all[i]) == 0 && m.always, "always", all[i], "");
        blame(find(&m, "", 0, NULL) && find(&m, "\n", 1, NULL) && find(&m, "rm -rf /", 8, NULL), "matches", all[i], "");
    }
    for (size_t i = 0; i < ARRAY_SIZE(some); i++)
        blame(compile(&m, some[i]) == 0 && !m.always, "not always", some[i], "");
}

TEST(patterns_that_match_nothing_are_known)
{
    static const char *const none[] = {"a^b", "$a", "x\\A", "[^\\x00-\\x{10FFFF}]", "^\\b$", "\\b\\B", "(?m)a^b", "\\x{D800}",
                                       "[\\x{D800}-\\x{DFFF}]+", "a\\bb", "a\\B-", "$\\n", "(a^|b\\A)c", "(?m)^\\b$", "(x$){2}", "(a|b)*^(c|$)x$y",
                                       "\\B\\w\\b\\w", "é\\bé", "(?m)x$y", "\\z.", "(a$)+b"},
                           *const some[] = {"", "a", "(?m)a$\\n^b", "^$", "\\B", "\\b", "(a^b)?", "(?m)$\\n", "a\\b-", "(a^)*b", "a{0}^b", "(a^|b)c",
                                            "[\\x{D7FF}-\\x{DFFF}]", "(?m)(a$\\n)+^b", "$", "(\\b-\\b\\w+)+$", "é\\b_", "\\x{FFFD}", "(?s)x.^y|z",
                                            "(?m)x$.?(?s:.)^y", "(|a$){3}$"};
    struct matcher m;

    for (size_t i = 0; i < ARRAY_SIZE(none); i++) {
        blame(compile(&m, none[i]) == 0 && !matcher_can_match(&m, &store), "matches nothing", none[i], "");
        CHECK(!m.always);
    }
    for (size_t i = 0; i < ARRAY_SIZE(some); i++)
        blame(compile(&m, some[i]) == 0 && matcher_can_match(&m, &store), "matches something", some[i], "");
}

TEST(an_anchored_pattern_is_tried_once)
{
    static const char *const anchored[] = {"^a", "^(a|b)", "(^a|^b)c", "\\Aa*b", "^", "(^a){2}", "\\b^ab"},
                           *const others[] = {"(^|;)a", "(?m)^a", "a^", "(^a)?b", "(^)*a", "(?m:^)a|^b"};
    static char subject[PATTERN_SUBJECT_MAX];
    struct matcher m;

    memset(subject, 'x', sizeof subject);
    for (size_t i = 0; i < ARRAY_SIZE(anchored); i++) {
        blame(compile(&m, anchored[i]) == 0 && m.anchored, "anchored", anchored[i], "");
        find(&m, subject, sizeof subject, NULL);
        blame(work.steps <= m.count, "tried once", anchored[i], "");
    }
    for (size_t i = 0; i < ARRAY_SIZE(others); i++)
        blame(compile(&m, others[i]) == 0 && !m.anchored, "not anchored", others[i], "");
}

TEST(where_no_match_can_begin_no_step_is_taken)
{
    static char subject[PATTERN_SUBJECT_MAX];
    struct matcher m;

    memset(subject, 'x', sizeof subject);
    CHECK_INT(compile(&m, "(rm|dd|mkfs(\\.\\w+)?) "), 0);
    CHECK(!find(&m, subject, sizeof subject, NULL));
    CHECK(work.steps <= m.count); /* at the end of the text */
}

/* ---- limits -------------------------------------------------------------------------------------- */

/** Patterns that make a backtracking matcher take longer than the age of the universe, and the most steps there are. */
TEST(matching_is_linear)
{
    static const char *const res[] = {"(a*)*b", "(a|a)*b", "(a+)+[bc]", "(a|aa)+[b]$", "(.*)*x[y]", "^(([a-z])+.)+[A-Z]([a-z])+$",
                                      ".*.*.*.*.*.*.*.*b", "a.*a.*a.*a.*b$", "(a?){250}b", "(.{0,20}){12}b", "(a|b|[ac]){72}b"};
    static char subject[PATTERN_SUBJECT_MAX];
    struct matcher m;

    setup();
    memset(subject, 'a', sizeof subject);
    for (size_t i = 0; i < ARRAY_SIZE(res); i++) {
        blame(compile(&m, res[i]) == 0, "compiles", res[i], "");
        blame(!find(&m, subject, sizeof subject, NULL), "no match", res[i], "a...");
        blame(work.steps > sizeof subject || m.anchored, "counts its steps", res[i], "a...");
    }
}

TEST(a_program_is_bounded)
{
    static const struct {
        const char *re;
        int err;
    } rows[] = {
        {"a{511}", 0}, {"a{512}", NEFIA_ETOOBIG}, {"a{0,255}", 0}, {"a{0,256}", NEFIA_ETOOBIG}, {"(a{16}){32}", NEFIA_ETOOBIG},
        {"(a{16}){31}", 0}, {"a{510,}", 0}, {"a{511,}", NEFIA_ETOOBIG}, {"(){1000}", 0}, {"(^{1000}|$)", 0},
        {"((\\b|){10}){100}", 0}, {"(a{500}){0}", 0}, {"(a{0}|b){170}", 0}, {"(a|b){200}", NEFIA_ETOOBIG},
    };
    struct matcher m;

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        blame(compile(&m, rows[i].re) == rows[i].err, "compiles or not", rows[i].re, "");
        blame(rows[i].err == 0 || strstr(why_buf, "counts expanded") != NULL, "says why", rows[i].re, "");
    }
    CHECK_INT(compile(&m, "a{511}"), 0);
    CHECK_INT(m.count, MATCHER_OPS);
}

/** With one step or one range less than it needs, a pattern leaves the store as it was. */
TEST(a_full_store_is_its_own_error)
{
    static const char *const res[] = {"rm -rf", "[ab]x[c-z]", "(a|[^b]){3}", "\\d\\w\\s"};
    struct matcher before, m;

    for (size_t i = 0; i < ARRAY_SIZE(res); i++) {
        struct matcher_store need;

        CHECK_INT(compile(&m, res[i]), 0);
        need = store;
        for (unsigned which = 0; which < 2; which++) {
            CHECK_INT(compile(&before, "[qQ]"), 0);
            store.op_cap = (uint16_t)(store.ops_used + need.ops_used - (which == 0));
            store.range_cap = (uint16_t)(store.ranges_used + need.ranges_used - (which == 1));
            if (which == 1 && need.ranges_used == 0)
                continue;
            CHECK_INT(matcher_compile(&m, &store, res[i], strlen(res[i]), &scratch.tree, &why), NEFIA_EFULL);
            CHECK(why.len > 0);
            text_reset(&why);
            CHECK_INT(store.ops_used, before.count);
            CHECK_INT(store.ranges_used, 2);
            CHECK(find(&before, "xQ", 2, NULL));
            store.op_cap++;
            store.range_cap++;
            CHECK_INT(matcher_compile(&m, &store, res[i], strlen(res[i]), &scratch.tree, &why), 0);
            CHECK_INT(m.first, before.count);
        }
    }
}

TEST(equal_classes_are_stored_once)
{
    struct matcher m;

    CHECK_INT(compile(&m, "\\d.\\d.[0-9]"), 0);
    CHECK_INT(store.ranges_used, 3);
    CHECK_INT(compile(&m, "(\\d.){100}"), 0);
    CHECK_INT(store.ranges_used, 3);
    CHECK_INT(matcher_compile(&m, &store, "x[\\d]", 5, &scratch.tree, NULL), 0);
    CHECK_INT(store.ranges_used, 3);
}

TEST(many_patterns_share_a_store)
{
    static const char *const res[] = {"^rm", "[xyz]+$", "b.d", "(?i)RM", "\\bls\\b", "q|(r|s){2}"};
    static const bool yes[] = {true, false, false, true, true, false};
    struct matcher m[ARRAY_SIZE(res)];
    static const char subject[] = "rm; ls";

    store = (struct matcher_store){ops, ranges, OPS, RANGES, 0, 0, false};
    for (size_t i = 0; i < ARRAY_SIZE(res); i++)
        CHECK_INT(matcher_compile(&m[i], &store, res[i], strlen(res[i]), &scratch.tree, NULL), 0);
    for (size_t i = 0; i < ARRAY_SIZE(res); i++)
        blame(find(&m[i], subject, sizeof subject - 1, NULL) == yes[i], "its own answer", res[i], subject);
}

TEST(refusals_name_place_and_reason)
{
    static const struct {
        const char *re, *why;
    } rows[] = {
        {"disk\\pL", "offset 4, \"\\pL\": Unicode classes are not supported"},
        {"x(?=y)", "offset 1, \"(?=\": lookahead and lookbehind are not part of RE2"},
        {"x(y{600})", "offset 3, \"{\": pattern is too large with its counts expanded"},
        {"(\\w)\\1", "offset 4, \"\\1\": back-references are not supported"},
    };
    struct matcher m;

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        CHECK(compile(&m, rows[i].re) < 0);
        blame(strncmp(why_buf, rows[i].why, strlen(rows[i].why)) == 0, rows[i].why, rows[i].re, "");
    }
    CHECK_INT(matcher_compile(&m, &store, "(", 1, &scratch.tree, NULL), NEFIA_ESYNTAX);
    CHECK_INT(matcher_compile(&m, &store, NULL, 0, &scratch.tree, NULL), 0);
}

/* ---- against TRE --------------------------------------------------------------------------------- */

/** What both engines compile means the same in both, on every subject. */
TEST(agrees_with_tre)
{
    static struct pattern_pair pair;
    struct matcher m;
    struct pattern p;
    unsigned compared = 0, matches = 0;

    setup();
    for (uint32_t seed = 1; seed <= 4000; seed++) {
        pair_pattern(&pair, seed);
        if (compile_n(&m, pair.re, pair.re_len) < 0 ||
            pattern_compile(&p, pair.re, pair.re_len, &scratch, NULL) < 0)
            continue;
        for (unsigned k = 0; k < 8; k++) {
            struct span found;
            bool yes;

            pair_subject(&pair);
            yes = find(&m, pair.subject, pair.subject_len, &found);
            if (!utf8_valid(pair.subject, pair.subject_len))
                continue;
            blame(pattern_match(&p, pair.subject, pair.subject_len) == yes, "agrees", pair.re, pair.subject);
            compared++;
            matches += yes;
        }
        pattern_free(&p);
    }
    CHECK(compared > 10000);
    CHECK(matches > compared / 5 && matches < compared / 5 * 4);
}

TEST_MAIN(means_what_the_table_says, incomplete_patterns_are_harmless, the_leftmost_longest_match_is_found,
          without_a_match_the_span_is_left_alone, bytes_that_are_not_utf8_count_as_one_character_each,
          patterns_that_match_everything_are_known, patterns_that_match_nothing_are_known, an_anchored_pattern_is_tried_once,
          where_no_match_can_begin_no_step_is_taken, matching_is_linear, a_program_is_bounded, a_full_store_is_its_own_error,
          equal_classes_are_stored_once, many_patterns_share_a_store, refusals_name_place_and_reason, agrees_with_tre)
