/* Sets of characters, as sorted ranges. */
#include "pattern_int.h"

#include "nefia/base/err.h"

#define KELVIN_SIGN 0x212Au /* folds to k */
#define LONG_S 0x17Fu       /* folds to s */

/* Pairs of first and last character. `\s` excludes vertical tab, [[:space:]] includes it (as in
 * RE2). */
static const struct {
    const char *name;
    const char *pairs;
} classes[] = {
    { "d", "09" },
    { "s", "\t\n\f\r  " },
    { "w", "09AZ__az" },
    { "alnum", "09AZaz" },
    { "alpha", "AZaz" },
    { "ascii", "\1\x7F" }, /* and NUL, see below */
    { "blank", "\t\t  " },
    { "cntrl", "\1\x1F\x7F\x7F" }, /* and NUL */
    { "digit", "09" },
    { "graph", "!~" },
    { "lower", "az" },
    { "print", " ~" },
    { "punct", "!/:@[`{~" },
    { "space", "\t\r  " },
    { "upper", "AZ" },
    { "word", "09AZ__az" },
    { "xdigit", "09AFaf" },
};

static bool append(struct tree *t, uint32_t lo, uint32_t hi)
{
    if (t->ranges >= PATTERN_RANGES)
        return false;
    t->s->ranges[t->ranges++] = (struct pattern_range){ lo, hi };
    return true;
}

static bool overlaps(uint32_t lo, uint32_t hi, uint32_t a, uint32_t b, uint32_t *from, uint32_t *to)
{
    *from = lo > a ? lo : a;
    *to = hi < b ? hi : b;
    return *from <= *to;
}

static bool has(uint32_t lo, uint32_t hi, char lower)
{
    uint32_t c = (uint32_t)(unsigned char)lower;

    return (lo <= c && c <= hi) || (lo <= c - 32 && c - 32 <= hi);
}

bool set_add(struct tree *t, uint32_t lo, uint32_t hi, bool fold)
{
    uint32_t a, b;

    if (!append(t, lo, hi))
        return false;
    if (!fold)
        return true;
    if (overlaps(lo, hi, 'A', 'Z', &a, &b) && !append(t, a + 32, b + 32))
        return false;
    if (overlaps(lo, hi, 'a', 'z', &a, &b) && !append(t, a - 32, b - 32))
        return false;
    if (has(lo, hi, 'k') && !append(t, KELVIN_SIGN, KELVIN_SIGN))
        return false;
    return !has(lo, hi, 's') || append(t, LONG_S, LONG_S);
}

static bool named(const char *entry, const char *name, size_t len)
{
    size_t i = 0;

    while (i < len && entry[i] && entry[i] == name[i])
        i++;
    return i == len && !entry[i];
}

int set_add_class(struct tree *t, const char *name, size_t len, bool negate, bool fold)
{
    uint16_t first = t->ranges;
    size_t i = 0;

    while (i < ARRAY_SIZE(classes) && !named(classes[i].name, name, len))
        i++;
    if (i == ARRAY_SIZE(classes))
        return NEFIA_ENOTFOUND;
    for (const char *p = classes[i].pairs; *p; p += 2)
        /* A pair starting with 1 means one starting with NUL. */
        if (!set_add(t, p[0] == 1 ? 0 : (unsigned char)p[0], (unsigned char)p[1], fold))
            return NEFIA_ETOOBIG;
    return negate ? set_close(t, first, true) : 0;
}

static void sort(struct pattern_range *r, size_t n)
{
    for (size_t i = 1; i < n; i++) {
        struct pattern_range x = r[i];
        size_t k = i;

        for (; k > 0 && r[k - 1].lo > x.lo; k--)
            r[k] = r[k - 1];
        r[k] = x;
    }
}

static size_t merge(struct pattern_range *r, size_t n)
{
    size_t kept = 0;

    for (size_t i = 0; i < n; i++) {
        if (kept > 0 && r[i].lo <= r[kept - 1].hi + 1) {
            if (r[i].hi > r[kept - 1].hi)
                r[kept - 1].hi = r[i].hi;
        } else {
            r[kept++] = r[i];
        }
    }
    return kept;
}

/* In place; needs room for one more range. */
static size_t complement(struct pattern_range *r, size_t n)
{
    uint32_t from = 0;
    size_t kept = 0;

    for (size_t i = 0; i < n; i++) {
        struct pattern_range x = r[i];

        if (x.lo > from)
            r[kept++] = (struct pattern_range){ from, x.lo - 1 };
        from = x.hi + 1;
    }
    if (from <= CHAR_LAST)
        r[kept++] = (struct pattern_range){ from, CHAR_LAST };
    return kept;
}

int set_close(struct tree *t, uint16_t first, bool negate)
{
    struct pattern_range *r = t->s->ranges + first;
    size_t n = (size_t)(t->ranges - first);

    sort(r, n);
    n = merge(r, n);
    if (n > PATTERN_SET_RANGES || first + n >= PATTERN_RANGES)
        return NEFIA_ETOOBIG;
    if (negate)
        n = complement(r, n);
    t->ranges = (uint16_t)(first + n);
    return (int)n;
}
