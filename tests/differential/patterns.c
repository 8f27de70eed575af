/* Writes what our two engines make of random patterns and subjects, for one that judges them with RE2 (re2.cc):
 *
 *     patterns SEED PATTERNS SUBJECTS     so many patterns from that seed on, so many subjects for each
 *
 * Lines of hex: `P pattern`, or `R pattern reason` if matcher.c refuses it, and then, for each subject,
 * `S subject AT END TRE`: the bytes that matcher.c found, or - -; TRE's y or n, or - where TRE or UTF-8 stands against it. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "guard/pattern_int.h"
#include "nefia/base/err.h"
#include "nefia/guard/matcher.h"
#include "nefia/sys/heap.h"
#include "pattern_pairs.h"

/* Pulls src/sys/malloc.c in: TRE allocates from our heap. */
void *(*volatile test_malloc)(size_t) = malloc;

enum { OPS = MATCHER_OPS, RANGES = 1024, ROOM = 64 * 1024 };
static _Alignas(16) unsigned char arena[512 * 1024];
static struct pattern_scratch scratch;
static struct matcher_op ops[OPS];
static struct pattern_range ranges[RANGES];
static struct matcher_work work;
static char out_buf[ROOM];
static struct text out;

static void flush(void)
{
    size_t at = 0;

    while (at < out.len) {
        const ssize_t n = write(STDOUT_FILENO, out.buf + at, out.len - at);

        if (n <= 0)
            _exit(1);
        at += (size_t)n;
    }
    text_reset(&out);
}

static void put_hex(const char *s, size_t len)
{
    text_str(&out, " ");
    for (size_t i = 0; i < len; i++) {
        const char pair[3] = {"0123456789abcdef"[(unsigned char)s[i] >> 4], "0123456789abcdef"[s[i] & 15], '\0'};

        text_str(&out, pair);
    }
}

static void put_judgement(const struct matcher *m, const struct matcher_store *store, const struct pattern *tre,
                          const struct pattern_pair *pair)
{
    struct span found;
    const bool yes = matcher_find(m, store, &work, pair->subject, pair->subject_len, &found);
    const int other = tre ? pattern_match(tre, pair->subject, pair->subject_len) : NEFIA_EUTF8;

    if (work.steps > m->count * (pair->subject_len + 1) ||
        yes != matcher_find(m, store, &work, pair->subject, pair->subject_len, NULL))
        abort();
    text_str(&out, "S");
    put_hex(pair->subject, pair->subject_len);
    text_str(&out, " ");
    text_str(&out, yes ? DEC(found.at) : "-");
    text_str(&out, " ");
    text_str(&out, yes ? DEC(found.end) : "-");
    text_str(&out, other < 0 ? " -\n" : other ? " y\n" : " n\n");
}

static void put_pattern(struct pattern_pair *pair, unsigned long subjects)
{
    struct matcher_store store = {ops, ranges, OPS, RANGES, 0, 0, false};
    struct matcher m;
    struct pattern tre;
    char why_buf[512];
    struct text why;
    int other;

    text_init(&why, why_buf, sizeof why_buf);
    if (matcher_compile(&m, &store, pair->re, pair->re_len, &scratch.tree, &why) < 0) {
        text_str(&out, "R");
        put_hex(pair->re, pair->re_len);
        put_hex(why.buf, why.len);
        text_str(&out, "\n");
        return;
    }
    text_str(&out, "P");
    put_hex(pair->re, pair->re_len);
    text_str(&out, "\n");
    other = pattern_compile(&tre, pair->re, pair->re_len, &scratch, NULL);
    for (unsigned long i = 0; i < subjects; i++) {
        pair_subject(pair);
        put_judgement(&m, &store, other == 0 ? &tre : NULL, pair);
        if (out.len > ROOM / 2)
            flush();
    }
    pattern_free(&tre);
}

int main(int argc, char **argv)
{
    static struct pattern_pair pair;
    const unsigned long seed = argc > 1 ? strtoul(argv[1], NULL, 10) : 1;
    const unsigned long patterns = argc > 2 ? strtoul(argv[2], NULL, 10) : 1000;
    const unsigned long subjects = argc > 3 ? strtoul(argv[3], NULL, 10) : 16;

    heap_init(arena, sizeof arena);
    text_init(&out, out_buf, sizeof out_buf);
    for (unsigned long i = 0; i < patterns; i++) {
        pair_pattern(&pair, (uint32_t)(seed + i));
        put_pattern(&pair, subjects);
    }
    flush();
    return 0;
}
