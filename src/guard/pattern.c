#include "nefia/guard/pattern.h"

#include <string.h>

#include "nefia/base/err.h"
#include "pattern_int.h"

static int compile(struct pattern *p, const char *re, size_t len, struct pattern_scratch *scratch,
                   struct text *why, bool simple)
{
    struct tree t = { .s = &scratch->tree, .more = scratch,
                      .re = re ? re : "", .len = len, .why = why };
    int err = tree_parse(&t);

    memset(p, 0, sizeof *p);
    if (err < 0)
        return err;
    if (simple && glob_compile(p, &t))
        return 0;
    err = nfa_compile(p, &t);
    if (err < 0)
        memset(p, 0, sizeof *p);
    return err;
}

int pattern_compile(struct pattern *p, const char *re, size_t len, struct pattern_scratch *scratch,
                    struct text *why)
{
    return compile(p, re, len, scratch, why, true);
}

int pattern_compile_nfa(struct pattern *p, const char *re, size_t len,
                        struct pattern_scratch *scratch, struct text *why)
{
    return compile(p, re, len, scratch, why, false);
}

int pattern_match(const struct pattern *p, const char *subject, size_t len)
{
    if (len > PATTERN_SUBJECT_MAX)
        return NEFIA_ETOOBIG;
    if (len == 0)
        subject = "";
    if (!utf8_valid(subject, len))
        return NEFIA_EUTF8;
    switch (p->kind) {
    case PATTERN_GLOB:
        return glob_match(p, subject, len);
    case PATTERN_NFA:
        return nfa_match(p, subject, len);
    default:
        return 1;
    }
}

void pattern_free(struct pattern *p)
{
    if (p->kind == PATTERN_NFA)
        nfa_free(p);
    memset(p, 0, sizeof *p);
}
