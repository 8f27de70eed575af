#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "guard/pattern_int.h"
#include "nefia/base/err.h"
#include "nefia/sys/heap.h"
#include "pattern_pairs.h"
#include "readfile.h"

/* Pulls src/sys/malloc.c in, so that TRE allocates from our heap here as it does in the programs.
 */
void *(*volatile test_malloc)(size_t) = malloc;

enum { ARENA = 512 * 1024 };
static _Alignas(16) unsigned char arena[ARENA];
static struct pattern_scratch scratch;
static char file[64 * 1024];
static char why_buf[512];
static struct text why;

static void setup(void)
{
    heap_init(arena, sizeof arena);
    text_init(&why, why_buf, sizeof why_buf);
}

static int compile(struct pattern *p, const char *re)
{
    text_reset(&why);
    return pattern_compile(p, re, strlen(re), &scratch, &why);
}

static int match(const struct pattern *p, const char *subject)
{
    return pattern_match(p, subject, strlen(subject));
}

/** Compile, match, free. */
static int once(const char *re, const char *subject)
{
    struct pattern p;
    int err = compile(&p, re);

    if (err == 0)
        err = match(&p, subject);
    pattern_free(&p);
    return err;
}

/** Report the row or pattern of a failed check. */
static void blame(int ok, const char *what, const char *re, const char *subject)
{
    if (check_true(ok, __FILE__, __LINE__, what))
        return;
    check_puts("  pattern: ");
    check_puts(re);
    check_puts("  subject: ");
    check_puts(subject);
    check_puts("  said: ");
    check_puts(why_buf);
    check_puts("\n");
}

/* ---- the table ------------------------------------------------------------------------------- */

typedef int compiler(struct pattern *, const char *, size_t, struct pattern_scratch *,
                     struct text *);

static void check_row(compiler *with, const char *expect, const char *re, size_t re_len,
                      const char *subject, size_t len)
{
    struct pattern p;
    int err;

    text_reset(&why);
    err = with(&p, re, re_len, &scratch, &why);
    if (strncmp(expect, "refused ", 8) == 0) {
        blame(err == NEFIA_ESYNTAX || err == NEFIA_ETOOBIG, "refused", re, "");
        blame(strstr(why_buf, expect + 8) != NULL, expect, re, "");
    } else {
        blame(err == 0, "compiles", re, "");
        blame(err != 0 || pattern_match(&p, subject, len) == (expect[0] == 'y'), expect, re,
              subject);
    }
    pattern_free(&p);
}

TEST(means_what_the_table_says)
{
    char *at = file, *line;
    unsigned rows = 0;

    setup();
    REQUIRE(read_file("tests/golden/patterns.txt", file, sizeof file) > 0);
    while ((line = next_line(&at)) != NULL) {
        char *re, *subject;
        size_t re_len, len;

        if (strncmp(line, "# ", 2) == 0)
            continue;
        re = split_at_tab(line);
        REQUIRE(re != NULL);
        subject = split_at_tab(re);
        REQUIRE(subject != NULL);
        re_len = undo_percent(re);
        len = undo_percent(subject);
        check_row(pattern_compile, line, re, re_len, subject, len);
        check_row(pattern_compile_nfa, line, re, re_len, subject, len);
        rows++;
    }
    CHECK(rows > 800);
    CHECK_INT(heap_stats().used, 0);
}

/** Every prefix of every pattern of the table is compiled or refused, and leaves nothing behind.
 */
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
            struct pattern p;
            int err;

            text_reset(&why);
            err = pattern_compile(&p, re, n, &scratch, &why);
            blame(err == 0 || ((err == NEFIA_ESYNTAX || err == NEFIA_ETOOBIG) && why.len > 0),
                  "a pattern or a reason", re, "");
            blame(err != 0 || pattern_match(&p, "disk.usage", 10) >= 0, "matches or not", re, "");
            pattern_free(&p);
        }
    }
    CHECK_INT(heap_stats().used, 0);
}

/* ---- simple patterns ------------------------------------------------------------------------- */

TEST(simple_patterns_need_no_heap)
{
    static const char *const simple[] = {
        "disk",           "disk\\..*", "^prod-",    "x$",
        "^disk\\.usage$", ".*",        "",          "a.b",
        "^.*x$",          "a.+b",      "(?:a)b",    "disk\\..*|service\\..*",
        "^(web|db)-.*$",  "(^|-)db$",  "\\Qa.b\\E", "a\\z",
        "日本",           "()",        "|a",        "^(a|b)\\.(usage|state)$",
    };
    struct pattern p;

    setup();
    heap_init(arena, 0);
    for (size_t i = 0; i < ARRAY_SIZE(simple); i++) {
        blame(compile(&p, simple[i]) == 0, "compiles", simple[i], "");
        blame(p.kind == PATTERN_GLOB && p.heap_bytes == 0, "simple", simple[i], "");
        blame(match(&p, "disk.usage") >= 0, "matches or not", simple[i], "");
    }
    CHECK_INT(heap_stats().failed, 0);
}

TEST(other_patterns_become_automata)
{
    static const char *const others[] = {
        "a*",
        "a?b",
        "[ab]",
        "(?i)a",
        "a\\nb",
        "a{2}b",
        "\\bx",
        "(?s)a.b",
        "\\d",
        "(?m)^a",
        "a^b",
        "a$b",
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        "(a|b)(c|d)(e|f)(g|h)(i|j)",
    };
    struct pattern p;

    setup();
    for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
        blame(compile(&p, others[i]) == 0, "compiles", others[i], "");
        blame(p.kind == (i == 0 ? PATTERN_ALL : PATTERN_NFA), "not simple", others[i], "");
        pattern_free(&p);
    }
    CHECK_INT(heap_stats().used, 0);
}

TEST(a_thousand_rules_are_small)
{
    CHECK(2000 * sizeof(struct pattern) <= 160 * 1024);
}

TEST(zero_matches_everything)
{
    struct pattern p;

    memset(&p, 0, sizeof p);
    CHECK_INT(match(&p, ""), 1);
    CHECK_INT(match(&p, "a\nb"), 1);
    pattern_free(&p);
}

static uint32_t seed = 1;

static uint32_t next_random(uint32_t below)
{
    seed = seed * 1664525u + 1013904223u;
    return (seed >> 16) % below;
}

static void make(char *out, size_t cap, const char *const *parts, uint32_t count, uint32_t most)
{
    size_t len = 0;

    out[0] = '\0';
    for (uint32_t n = next_random(most + 1); n > 0; n--) {
        const char *part = parts[next_random(count)];
        size_t k = strlen(part);

        if (len + k + 1 > cap)
            return;
        memcpy(out + len, part, k + 1);
        len += k;
    }
}

/** The simple form and the automaton of the same pattern agree, on every subject. */
TEST(both_forms_agree)
{
    static const char *const bits[] = {
        "a", "b", "ab",    ".",         ".*",    ".+",    "é",  "^",
        "$", "|", "(a|b)", "(ab|.*b|)", "(^|a)", "(b|$)", "aa", "()"
    };
    static const char *const subjects[] = { "a", "b", "a", "b", "é", "\n", "日" };
    struct pattern simple, full;
    char re[64], subject[64];
    unsigned compared = 0;

    setup();
    for (unsigned i = 0; i < 1500; i++) {
        make(re, sizeof re, bits, ARRAY_SIZE(bits), 6);
        if (compile(&simple, re) < 0)
            continue;
        if (pattern_compile_nfa(&full, re, strlen(re), &scratch, NULL) < 0)
            continue; /* ($|^) and the like; simple patterns have no heap to give back */
        for (unsigned k = 0; k < 12 && simple.kind == PATTERN_GLOB; k++, compared++) {
            make(subject, sizeof subject, subjects, ARRAY_SIZE(subjects), 8);
            blame(match(&simple, subject) == match(&full, subject), "agree", re, subject);
        }
        pattern_free(&simple);
        pattern_free(&full);
    }
    CHECK(compared > 5000);
    CHECK_INT(heap_stats().used, 0);
}

/* ---- limits ---------------------------------------------------------------------------------- */

TEST(subject_length_is_bounded)
{
    static const char *const res[] = { "b$", "[b]$", "a*" };
    static char subject[PATTERN_SUBJECT_MAX + 1];
    struct pattern p;

    setup();
    memset(subject, 'a', sizeof subject);
    subject[PATTERN_SUBJECT_MAX - 1] = 'b';
    for (size_t i = 0; i < ARRAY_SIZE(res); i++) {
        CHECK_INT(compile(&p, res[i]), 0);
        CHECK_INT(pattern_match(&p, subject, PATTERN_SUBJECT_MAX), 1);
        CHECK_INT(pattern_match(&p, subject, PATTERN_SUBJECT_MAX + 1), NEFIA_ETOOBIG);
        CHECK_INT(pattern_match(&p, "a\xFF", 2), NEFIA_EUTF8);
        CHECK_INT(pattern_match(&p, "\xED\xA0\x80", 3), NEFIA_EUTF8);
        CHECK_INT(pattern_match(&p, "b\xC3", 2), NEFIA_EUTF8);
        CHECK(pattern_match(&p, NULL, 0) >= 0);
        pattern_free(&p);
    }
}

/** Patterns that make a backtracking matcher take longer than the age of the universe. */
TEST(matching_is_linear)
{
    static const char *const res[] = { "(a*)*b",
                                       "(a|a)*b",
                                       "(a+)+[bc]",
                                       "(a|aa)+[b]$",
                                       "(.*)*x[y]",
                                       "^(([a-z])+.)+[A-Z]([a-z])+$",
                                       ".*.*.*.*.*.*.*.*b",
                                       "a.*a.*a.*a.*b$" };
    static char subject[PATTERN_SUBJECT_MAX];
    struct pattern p;

    setup();
    memset(subject, 'a', sizeof subject);
    for (size_t i = 0; i < ARRAY_SIZE(res); i++) {
        CHECK_INT(compile(&p, res[i]), 0);
        blame(pattern_match(&p, subject, sizeof subject) == 0, "no match", res[i], "a…");
        pattern_free(&p);
    }
}

TEST(an_exhausted_heap_is_its_own_error)
{
    static const char *const res[] = { "[ab]+c",     "\\bfoo\\b",     "^(a|bc|[x-z])+$",
                                       "a{0,20}b?c", "(?m)^x$|y",     "(a|b|c|d)*x{3}",
                                       "[^a-z]{10}", "^(^a*|b)?c*\\b" };
    struct pattern p;

    setup();
    for (size_t i = 0; i < ARRAY_SIZE(res); i++) {
        size_t size = 64;
        int err;

        do {
            heap_init(arena, size += 64);
            err = compile(&p, res[i]);
            REQUIRE(err == 0 || err == NEFIA_EFULL);
            if (err < 0) {
                CHECK(strncmp(why_buf, "heap exhausted (CONFIG_HUB_HEAP_KB=", 35) == 0);
                CHECK_INT(heap_stats().used, 0);
                CHECK_INT(match(&p, "anything"), 1);
            }
        } while (err < 0);
        pattern_free(&p);
        CHECK(size < 64 * 1024);
        CHECK_INT(heap_stats().used, 0);
    }
}

TEST(a_match_without_heap_is_an_error)
{
    struct pattern p;
    size_t size = 256;

    setup();
    do
        heap_init(arena, size += 64);
    while (compile(&p, "(a|b|c|d)*x{3}") < 0);
    while (heap_alloc(16) != NULL)
        continue;
    CHECK_INT(match(&p, "axxx"), NEFIA_EFULL);
}

/** A pattern keeps and borrows as many bytes as it states, to within a few words. */
TEST(memory_estimate_is_accurate)
{
    static const char *const res[] = { "[a]",
                                       "\\bfoo\\b",
                                       "^(a|bc|[x-z])+$",
                                       "ca{0,20}",
                                       "c(a*b?){3,9}",
                                       "[^a-z]{10}",
                                       "(?m)^x$|y",
                                       "x{200}",
                                       "\\w{20}\\W{20}",
                                       "c(a?){0,30}",
                                       "(a|b|c|d|e|f|g|h)*x",
                                       "(?i)kiss[a-k!-~]?",
                                       "\\b[^a-z]{10}",
                                       "\\bx*" };
    struct pattern p;

    setup();
    for (size_t i = 0; i < ARRAY_SIZE(res); i++) {
        size_t kept, borrowed;

        setup();
        CHECK_INT(compile(&p, res[i]), 0);
        CHECK_INT(p.kind, PATTERN_NFA);
        kept = heap_stats().used;
        blame(kept <= p.heap_bytes, "keeps at most what it says", res[i], "");
        blame(kept + 64 * sizeof(void *) + kept / 4 >= p.heap_bytes, "keeps about what it says",
              res[i], "");
        /* Leave exactly as much as a match borrows. */
        borrowed = p.match_bytes;
        while (heap_stats().size - heap_stats().used > borrowed + 8 * sizeof(void *) &&
               heap_alloc(1) != NULL)
            continue;
        blame(match(&p, "abc def") >= 0, "borrows at most what it says", res[i], "");
    }
}

TEST(size_is_bounded)
{
    struct pattern p;

    setup();
    CHECK_INT(compile(&p, "a{257}"), NEFIA_ETOOBIG);
    CHECK_INT(compile(&p, "(a{16}){17}"), NEFIA_ETOOBIG);
    CHECK_INT(compile(&p, "((a?){15}){15}b"), NEFIA_ETOOBIG);
    CHECK_INT(heap_stats().high_water, 0);
    CHECK_INT(compile(&p, "a{256}"), 0);
    pattern_free(&p);
    CHECK_INT(heap_stats().used, 0);
}

/* ---- messages -------------------------------------------------------------------------------- */

TEST(refusals_name_place_reason_and_remedy)
{
    static const struct {
        const char *re, *why;
    } rows[] = {
        { "disk\\pL", "offset 4, \"\\pL\": Unicode classes are not supported; list the "
                      "characters in [...]" },
        { "a\\p{Greek}b", "offset 1, \"\\p{Greek}\": Unicode classes are not supported; list "
                          "the characters in [...]" },
        { "a++", "offset 2, \"+\": repeated repetition; put the inner one in ( )" },
        { "*.log",
          "offset 0, \"*\": nothing to repeat; write \\ before a literal character" },
        { "(ab", "offset 0, \"(\": missing closing ); write \\( for a literal (" },
        { "x(?=y)", "offset 1, \"(?=\": lookahead and lookbehind are not part of RE2; write "
                    "what must match" },
        { "é(?i)é",
          "offset 6, \"é\": (?i) supports ASCII only; list both cases in a class outside (?i)" },
        { "a{2000}", "offset 1, \"{2000}\": counts must not exceed 1000, the smaller one first" },
    };
    struct pattern p;

    setup();
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        CHECK_INT(compile(&p, rows[i].re), NEFIA_ESYNTAX);
        CHECK_STR(why_buf, rows[i].why);
    }
    CHECK_INT(pattern_compile(&p, "(", 1, &scratch, NULL), NEFIA_ESYNTAX);
    CHECK_INT(once("a", "b"), 0);
}

TEST_MAIN(means_what_the_table_says, incomplete_patterns_are_harmless, simple_patterns_need_no_heap,
          other_patterns_become_automata, a_thousand_rules_are_small, zero_matches_everything,
          both_forms_agree, subject_length_is_bounded, matching_is_linear, an_exhausted_heap_is_its_own_error,
          a_match_without_heap_is_an_error, memory_estimate_is_accurate, size_is_bounded,
          refusals_name_place_reason_and_remedy)
