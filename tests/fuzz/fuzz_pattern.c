/* A pattern, a newline, a subject: compiled or refused with a sentence, without leftovers, and the
 * simple form of a pattern agrees with the automaton. */
#include <string.h>

#include "guard/pattern_int.h"
#include "nefia/base/err.h"
#include "nefia/sys/heap.h"

#define MUST(condition)                                                                            \
    do {                                                                                           \
        if (!(condition))                                                                          \
            __builtin_trap();                                                                      \
    } while (0)

enum { ARENA = 512 * 1024 };
static _Alignas(16) unsigned char arena[ARENA];
static struct pattern_scratch scratch;

static void check_error(int err, const struct text *why)
{
    MUST(err == 0 || err == NEFIA_ESYNTAX || err == NEFIA_ETOOBIG || err == NEFIA_EFULL);
    MUST((err == 0) == (why->len == 0));
    MUST(utf8_valid(why->buf, why->len));
}

static void check_answer(int answer, const char *subject, size_t len)
{
    if (len > PATTERN_SUBJECT_MAX)
        MUST(answer == NEFIA_ETOOBIG);
    else if (!utf8_valid(subject, len))
        MUST(answer == NEFIA_EUTF8);
    else
        MUST(answer == 0 || answer == 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    const char *re = (const char *)data;
    const char *newline = memchr(re, '\n', len);
    size_t re_len = newline ? (size_t)(newline - re) : len;
    const char *subject = newline ? newline + 1 : "";
    size_t subject_len = newline ? len - re_len - 1 : 0;
    struct pattern simple, full;
    char buf[256];
    struct text why;
    int err, err_full;

    heap_init(arena, sizeof arena);
    text_init(&why, buf, sizeof buf);
    err = pattern_compile(&simple, re, re_len, &scratch, &why);
    check_error(err, &why);
    text_reset(&why);
    err_full = pattern_compile_nfa(&full, re, re_len, &scratch, &why);
    check_error(err_full, &why);
    if (err == 0 && err_full == 0) {
        int answer = pattern_match(&simple, subject, subject_len);

        check_answer(answer, subject, subject_len);
        MUST(answer == pattern_match(&full, subject, subject_len));
    }
    pattern_free(&simple);
    pattern_free(&full);
    MUST(heap_stats().used == 0);
    return 0;
}
