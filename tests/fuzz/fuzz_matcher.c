/* A pattern, a newline, a subject: compiled or refused with a sentence, matched within its bound, and where TRE can say it, as
 * TRE says. */
#include <string.h>

#include "guard/pattern_int.h"
#include "nefia/base/err.h"
#include "nefia/guard/matcher.h"
#include "nefia/guard/matcher_lint.h"
#include "nefia/sys/heap.h"

#define MUST(condition)                                                                            \
    do {                                                                                           \
        if (!(condition))                                                                          \
            __builtin_trap();                                                                      \
    } while (0)

enum { ARENA = 512 * 1024, OPS = MATCHER_OPS + 3, RANGES = 600, CANARY = 0x5A };
static _Alignas(16) unsigned char arena[ARENA];
static struct pattern_scratch scratch;
static struct matcher_op ops[OPS];
static struct pattern_range ranges[RANGES];
static struct matcher_work work;
static struct pattern p;

static bool check_match(const struct matcher *m, const struct matcher_store *store, const char *subject, size_t len)
{
    struct span found = {77, 77};
    const bool yes = matcher_find(m, store, &work, subject, len, &found);

    MUST(work.steps <= m->count * (len + 1));
    MUST(matcher_find(m, store, &work, subject, len, NULL) == yes);
    if (!yes) {
        MUST(found.at == 77 && found.end == 77 && !m->always);
        return false;
    }
    MUST(matcher_can_match(m, store));
    MUST(found.at <= found.end && found.end <= len);
    MUST(!m->anchored || found.at == 0);
    MUST(found.at == found.end || m->begins[(unsigned char)subject[found.at] / 32] >> (unsigned char)subject[found.at] % 32 & 1);
    return true;
}

/** In both engines the same? TRE does not compile all that ours does. */
static void check_tre(bool yes, const char *re, size_t re_len, const char *subject, size_t len)
{
    heap_init(arena, sizeof arena);
    if (pattern_compile(&p, re, re_len, &scratch, NULL) == 0 && utf8_valid(subject, len)) {
        const int answer = pattern_match(&p, subject, len);

        MUST(answer == yes || answer == NEFIA_EFULL);
    }
    pattern_free(&p);
    MUST(heap_stats().used == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    const char *re = (const char *)data;
    const char *newline = memchr(re, '\n', len);
    const size_t re_len = newline ? (size_t)(newline - re) : len;
    const char *subject = newline ? newline + 1 : "";
    const size_t rest = newline ? len - re_len - 1 : 0, subject_len = rest < PATTERN_SUBJECT_MAX ? rest : PATTERN_SUBJECT_MAX;
    /* One step is another pattern's, and the last two must never be written. */
    struct matcher_store store = {ops, ranges, OPS - 2, RANGES, 1, 1, false};
    struct matcher m;
    char buf[256];
    struct text why;
    int err;

    memset(ops + OPS - 2, CANARY, 2 * sizeof *ops);
    text_init(&why, buf, sizeof buf);
    err = matcher_compile(&m, &store, re, re_len, &scratch.tree, &why);
    MUST((err == 0) == (why.len == 0));
    MUST(utf8_valid(why.buf, why.len));
    MUST(ops[OPS - 1].kind == CANARY && ops[OPS - 2].kind == CANARY);
    if (err < 0) {
        MUST(err == NEFIA_ESYNTAX || err == NEFIA_ETOOBIG);
        MUST(store.ops_used == 1 && store.ranges_used == 1);
        return 0;
    }
    MUST(m.first == 1 && m.count == store.ops_used - 1);
    check_tre(check_match(&m, &store, subject, subject_len), re, re_len, subject, subject_len);
    return 0;
}
