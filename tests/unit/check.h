/* The unit test harness: one header, no allocation, no printf, so that the same test runs
 * against glibc with sanitizers and against musl on every board.
 *
 *     TEST(adds) { CHECK_INT(add(2, 3), 5); }
 *     TEST_MAIN(adds)
 *
 * A failed CHECK prints its place and goes on; REQUIRE leaves the test. A TEST that is missing
 * from TEST_MAIN does not compile (unused). The last line is `N passed, N failed`, counted in tests;
 * the exit status is 1 if one failed. An argument on the command line runs only the test of that name. */
#ifndef NEFIA_TESTS_CHECK_H
#define NEFIA_TESTS_CHECK_H

#include <stddef.h>
#include <string.h>
#include <unistd.h>

struct check_test {
    const char *name;
    void (*run)(void);
};

static const char *check_name;      /* of the running test */
static unsigned check_failures;     /* of the running test */

/** Write a string to stdout; errors are ignored. */
static inline void check_puts(const char *s)
{
    size_t len = strlen(s);
    while (len > 0) {
        ssize_t n = write(STDOUT_FILENO, s, len);
        if (n <= 0)
            return;
        s += n;
        len -= (size_t)n;
    }
}

/** Write a number to stdout in decimal. */
static inline void check_putn(long long v)
{
    char buf[24];
    char *p = buf + sizeof buf - 1;
    unsigned long long u = v < 0 ? 0ULL - (unsigned long long)v : (unsigned long long)v;
    *p = '\0';
    do {
        *--p = (char)('0' + (char)(u % 10));
        u /= 10;
    } while (u > 0);
    if (v < 0)
        *--p = '-';
    check_puts(p);
}

static inline void check_fail(const char *file, int line, const char *expr)
{
    check_failures++;
    check_puts("FAIL ");
    check_puts(check_name);
    check_puts(" ");
    check_puts(file);
    check_puts(":");
    check_putn(line);
    check_puts(": ");
    check_puts(expr);
}

static inline int check_true(int ok, const char *file, int line, const char *expr)
{
    if (!ok) {
        check_fail(file, line, expr);
        check_puts("\n");
    }
    return ok;
}

static inline int check_int(long long got, long long want, const char *file, int line,
                            const char *expr)
{
    if (got == want)
        return 1;
    check_fail(file, line, expr);
    check_puts(": got ");
    check_putn(got);
    check_puts(", want ");
    check_putn(want);
    check_puts("\n");
    return 0;
}

static inline int check_str(const char *got, const char *want, const char *file, int line,
                            const char *expr)
{
    if (got == want || (got != NULL && want != NULL && strcmp(got, want) == 0))
        return 1;
    check_fail(file, line, expr);
    check_puts(": got \"");
    check_puts(got != NULL ? got : "(null)");
    check_puts("\", want \"");
    check_puts(want != NULL ? want : "(null)");
    check_puts("\"\n");
    return 0;
}

static inline int check_mem(const void *got, const void *want, size_t len, const char *file,
                            int line, const char *expr)
{
    const unsigned char *g = got;
    const unsigned char *w = want;
    for (size_t i = 0; i < len; i++) {
        if (g[i] == w[i])
            continue;
        check_fail(file, line, expr);
        check_puts(": byte ");
        check_putn((long long)i);
        check_puts(" is ");
        check_putn(g[i]);
        check_puts(", want ");
        check_putn(w[i]);
        check_puts("\n");
        return 0;
    }
    return 1;
}

#define CHECK(expr) (void)check_true(!!(expr), __FILE__, __LINE__, #expr)
#define CHECK_INT(got, want) \
    (void)check_int((long long)(got), (long long)(want), __FILE__, __LINE__, #got " == " #want)
#define CHECK_STR(got, want) \
    (void)check_str((got), (want), __FILE__, __LINE__, #got " == " #want)
#define CHECK_MEM(got, want, len) \
    (void)check_mem((got), (want), (len), __FILE__, __LINE__, #got " == " #want)
#define REQUIRE(expr)                                          \
    do {                                                       \
        if (!check_true(!!(expr), __FILE__, __LINE__, #expr))  \
            return;                                            \
    } while (0)

#define TEST(name)                                                                  \
    static void check_run_##name(void);                                             \
    static const struct check_test check_test_##name = { #name, check_run_##name }; \
    static void check_run_##name(void)

/** Run the tests of a NULL-terminated list. Return: the exit status of the program. */
static inline int check_all(const struct check_test *const *tests, const char *only)
{
    unsigned passed = 0;
    unsigned failed = 0;
    for (; *tests != NULL; tests++) {
        check_name = (*tests)->name;
        if (only != NULL && strcmp(only, check_name) != 0)
            continue;
        check_failures = 0;
        (*tests)->run();
        if (check_failures == 0) {
            passed++;
            check_puts("ok ");
            check_puts(check_name);
            check_puts("\n");
        } else {
            failed++;
        }
    }
    check_putn(passed);
    check_puts(" passed, ");
    check_putn(failed);
    check_puts(" failed\n");
    return failed > 0 || passed == 0;
}

/* TEST_MAIN(a, b, …) lists up to 256 tests: each name becomes `&check_test_<name>,`. */
#define CHECK_PARENS ()
#define CHECK_EXPAND(...) CHECK_EXPAND3(CHECK_EXPAND3(CHECK_EXPAND3(CHECK_EXPAND3(__VA_ARGS__))))
#define CHECK_EXPAND3(...) CHECK_EXPAND2(CHECK_EXPAND2(CHECK_EXPAND2(CHECK_EXPAND2(__VA_ARGS__))))
#define CHECK_EXPAND2(...) CHECK_EXPAND1(CHECK_EXPAND1(CHECK_EXPAND1(CHECK_EXPAND1(__VA_ARGS__))))
#define CHECK_EXPAND1(...) CHECK_EXPAND0(CHECK_EXPAND0(CHECK_EXPAND0(CHECK_EXPAND0(__VA_ARGS__))))
#define CHECK_EXPAND0(...) __VA_ARGS__
#define CHECK_LIST(name, ...) &check_test_##name, __VA_OPT__(CHECK_LIST_AGAIN CHECK_PARENS (__VA_ARGS__))
#define CHECK_LIST_AGAIN() CHECK_LIST

#define TEST_MAIN(...)                                                             \
    int main(int argc, char **argv)                                                \
    {                                                                              \
        static const struct check_test *const tests[] = {                          \
            CHECK_EXPAND(CHECK_LIST(__VA_ARGS__)) NULL                             \
        };                                                                         \
        return check_all(tests, argc > 1 ? argv[1] : NULL);                        \
    }

#endif
