/* What can be said of a pattern without a text. */
#include "nefia/guard/matcher_lint.h"

#include <string.h>

#include "matcher_int.h"
#include "pattern_int.h"

static bool is_marked(const uint8_t *bits, unsigned i)
{
    return bits[i / 8] & 1u << i % 8;
}

static void mark(uint8_t *bits, unsigned i)
{
    bits[i / 8] = (uint8_t)(bits[i / 8] | 1u << i % 8);
}

/** What stands before or behind a place of a text. */
enum beside { EDGE, NEWLINE, WORD, OTHER, BESIDES };
#define ANYTHING ((1u << BESIDES) - 1)

/** A step, what stands before it, and which of what may stand behind it would do. */
struct place {
    unsigned step, before, behind;
};

/** Where a fork or a jump leads. */
static unsigned leap_of(const struct matcher_op *op, unsigned step)
{
    return (uint16_t)(step + op->next);
}

static unsigned number_of(struct place p)
{
    return (p.step * BESIDES + p.before) * (ANYTHING + 1) + p.behind;
}

static struct place place_of(unsigned n)
{
    return (struct place){n / (ANYTHING + 1) / BESIDES, n / (ANYTHING + 1) % BESIDES, n % (ANYTHING + 1)};
}

static unsigned kinds_in(uint32_t lo, uint32_t hi)
{
    static const struct pattern_range words[] = {{'0', '9'}, {'A', 'Z'}, {'_', '_'}, {'a', 'z'}};
    unsigned kinds = lo <= '\n' && '\n' <= hi ? 1u << NEWLINE : 0;
    uint32_t covered = kinds ? 1 : 0;

    for (unsigned i = 0; i < 4; i++) {
        const uint32_t from = lo > words[i].lo ? lo : words[i].lo, to = hi < words[i].hi ? hi : words[i].hi;
        if (from > to)
            continue;
        kinds |= 1u << WORD;
        covered += to - from + 1;
    }
    return covered <= hi - lo ? kinds | 1u << OTHER : kinds;
}

static unsigned kinds_taken(const struct matcher_store *store, const struct matcher_op *op)
{
    unsigned kinds = 0;

    if (op->kind == OP_CHAR)
        return kinds_in(op->what, op->what);
    for (unsigned i = 0; i < op->next; i++)
        kinds |= kinds_in(store->ranges[op->what + i].lo, store->ranges[op->what + i].hi);
    return kinds;
}

/** What may stand behind the assertions, of `behind`, beside that before them. */
static unsigned behind_after(unsigned asserted, unsigned before, unsigned behind)
{
    const unsigned word = 1u << WORD;

    if (asserted & AT_BEGIN && before != EDGE)
        return 0;
    if (asserted & LINE_BEGIN && before != EDGE && before != NEWLINE)
        return 0;
    if (asserted & AT_END)
        behind &= 1u << EDGE;
    if (asserted & LINE_END)
        behind &= 1u << EDGE | 1u << NEWLINE;
    if (asserted & AT_WORD_EDGE)
        behind &= before == WORD ? ~word : word;
    if (asserted & NOT_WORD_EDGE)
        behind &= before == WORD ? word : ~word;
    return behind;
}

/** Where places lead, one mark each. Return: true where something was marked anew. */
static bool reach(uint8_t *seen, struct place p)
{
    const unsigned n = number_of(p);
    const bool anew = p.behind != 0 && !is_marked(seen, n);

    if (anew)
        mark(seen, n);
    return anew;
}

static bool follow(const struct matcher_store *store, const struct matcher_op *op, struct place p, uint8_t *seen)
{
    const struct place after = {p.step + 1, p.before, p.behind};
    bool anew = false;

    switch (op->kind) {
    case OP_JUMP:
        return reach(seen, (struct place){leap_of(op, p.step), p.before, p.behind});
    case OP_FORK:
        anew = reach(seen, (struct place){leap_of(op, p.step), p.before, p.behind});
        return reach(seen, after) || anew;
    case OP_ASSERT:
        return reach(seen, (struct place){p.step + 1, p.before, behind_after(op->value, p.before, p.behind)});
    default:
        for (unsigned kind = NEWLINE; kind < BESIDES; kind++)
            if (kinds_taken(store, op) & p.behind & 1u << kind)
                anew |= reach(seen, (struct place){p.step + 1, kind, ANYTHING});
        return anew;
    }
}

bool matcher_can_match(const struct matcher *m, const struct matcher_store *store, struct matcher_places *places)
{
    const struct matcher_op *ops = store->ops + m->first;
    const unsigned all = m->count * BESIDES * (ANYTHING + 1);
    bool more = true;

    memset(places, 0, sizeof *places);
    for (unsigned before = 0; before < BESIDES; before++)
        reach(places->seen, (struct place){0, before, ANYTHING});
    while (more) {
        more = false;
        for (unsigned n = 0; n < all; n++) {
            const struct place p = place_of(n);
            if (!is_marked(places->seen, n))
                continue;
            if (ops[p.step].kind == OP_MATCH)
                return true;
            more |= follow(store, &ops[p.step], p, places->seen);
        }
    }
    return false;
}
