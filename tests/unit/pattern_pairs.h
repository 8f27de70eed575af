/* Patterns and subjects for tests: the notation of tests/golden/patterns.txt, and random pairs that find each other. */
#ifndef NEFIA_TESTS_PATTERN_PAIRS_H
#define NEFIA_TESTS_PATTERN_PAIRS_H

#include <stdint.h>
#include <string.h>

/** Cut s at its first tab. Return: what follows it, or null. */
static inline char *split_at_tab(char *s)
{
    char *tab = strchr(s, '\t');

    if (tab == NULL)
        return NULL;
    *tab = '\0';
    return tab + 1;
}

/** Undo %XX in place. Return: the length. */
static inline size_t undo_percent(char *s)
{
    static const char digits[] = "0123456789ABCDEF";
    size_t n = 0;

    for (char *p = s; *p; p++, n++) {
        s[n] = *p;
        if (*p == '%') {
            s[n] = (char)((strchr(digits, p[1]) - digits) << 4 | (strchr(digits, p[2]) - digits));
            p += 2;
        }
    }
    s[n] = '\0';
    return n;
}

/** A pattern and one subject after the other. */
struct pattern_pair {
    uint32_t seed;
    char re[128], subject[64];
    size_t re_len, subject_len;
};

static inline uint32_t pair_random(struct pattern_pair *p, uint32_t below)
{
    p->seed = p->seed * 1664525u + 1013904223u;
    return (uint32_t)((uint64_t)p->seed * below >> 32);
}

static inline size_t pair_row(struct pattern_pair *p, char *out, size_t cap, const char *const *parts, uint32_t count, uint32_t most)
{
    size_t len = 0;

    for (uint32_t n = pair_random(p, most + 1); n > 0; n--) {
        const char *part = parts[pair_random(p, count)];
        const size_t k = strlen(part);

        if (len + k + 1 > cap)
            break;
        memcpy(out + len, part, k);
        len += k;
    }
    out[len] = '\0';
    return len;
}

/** The pattern number `seed`; not every one is syntax. */
static inline void pair_pattern(struct pattern_pair *p, uint32_t seed)
{
    static const char *const parts[] = {
        "a",    "b",     "c",      "ab",    "_",       "é",      ".",      "[ab]",    "[^a]",  "[a-c_]", "\\w",   "\\W",
        "\\d",  "\\s",   "(",      "(?:",   "(",       ")",      ")",      "(?i)",    "(?i:b", "(?m)",   "(?s)",  "(?s:.",
        "|",    "|",     "*",      "+",     "?",       "*",      "{2}",    "{1,3}",   "{0,2}", "{2,}",   "*?",    "+?",
        "^",    "$",     "\\b",    "\\B",   "\\A",     "\\z",    "\\n",    "-",       " ",     "1",      "K",     "[^\\n]",
        "(a|b)", "(a|)", "(a*)*",  "(a|b)*", "(ab|b)+", "(^|-)", "($| )",  "()",      "x",     "[[:alpha:]]", "\\x{FFFD}", "(?-s:.)",
        "(?U:a*", "(?P<n>b", "((a|b)*c|", "[^\\w-]", "[é-日]", "[[:^punct:]\\n]", "{3}", "{4,7}", "\\Qa.b\\E", "[^[:upper:]x-z]", "ab*", "ba?",
    };

    p->seed = seed * 2654435761u;
    pair_random(p, 1);
    p->re_len = pair_row(p, p->re, sizeof p->re, parts, sizeof parts / sizeof *parts, 12);
}

/** Another subject for it; one of eight has bytes that are not UTF-8. */
static inline void pair_subject(struct pattern_pair *p)
{
    static const char *const parts[] = {"a", "b", "a", "b", "c", "ab", "_", "é", "\n", " ", "-", "1", "B", "A", "K", "x", "日",
                                        "\xFF", "\xC3", "\xE6\x97"};
    const uint32_t bad = pair_random(p, 8) == 0 ? 0 : 3;

    p->subject_len = pair_row(p, p->subject, sizeof p->subject, parts, (uint32_t)(sizeof parts / sizeof *parts) - bad, 9);
}

#endif
