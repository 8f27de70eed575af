/* What can be said of a pattern without a text. */
#include "nefia/guard/matcher_lint.h"

#include "matcher_int.h"
#include "pattern_int.h"

/* All that assertions know of a place in a text is the kinds of what stands on its two sides. A set of such pairs is 16 bits. */
enum side { EDGE, NEWLINE, WORD, OTHER, SIDES };
#define ALL_PLACES 0xFFFFu

static unsigned place_of(unsigned before, unsigned after)
{
    return 1u << (before * SIDES + after);
}

static bool holds(unsigned assertion, unsigned before, unsigned after)
{
    switch (assertion) {
    case AT_BEGIN:
        return before == EDGE;
    case AT_END:
        return after == EDGE;
    case LINE_BEGIN:
        return before == EDGE || before == NEWLINE;
    case LINE_END:
        return after == EDGE || after == NEWLINE;
    case AT_WORD_EDGE:
        return (before == WORD) != (after == WORD);
    default:
        return (before == WORD) == (after == WORD);
    }
}

/** The places at which an assertion holds. */
static unsigned places_of(unsigned assertion)
{
    unsigned places = 0;

    for (unsigned before = EDGE; before < SIDES; before++)
        for (unsigned after = EDGE; after < SIDES; after++)
            if (holds(assertion, before, after))
                places |= place_of(before, after);
    return places;
}

static enum side side_of(uint32_t c)
{
    if (c == '\n')
        return NEWLINE;
    return char_is_word(c) ? WORD : OTHER;
}

/** The places behind a character of the range that is taken at one of `places`. Surrogates are in no text. */
static unsigned behind(struct pattern_range r, unsigned places)
{
    bool taken[SIDES] = {[OTHER] = (r.hi >= 0x80 && r.lo < 0xD800) || r.hi > 0xDFFF};
    unsigned result = 0;

    for (uint32_t c = r.lo; c <= r.hi && c < 0x80; c++)
        taken[side_of(c)] = true;
    for (unsigned side = NEWLINE; side < SIDES; side++)
        for (unsigned before = EDGE; before < SIDES; before++)
            if (taken[side] && places & place_of(before, side))
                result |= ((1u << SIDES) - 1) << side * SIDES;
    return result;
}

/** The places at which the step after this one is reached from it. */
static unsigned go_on(const struct matcher_store *store, const struct matcher_op *op, unsigned places)
{
    unsigned result = 0;

    switch (op->kind) {
    case OP_CHAR:
        return behind((struct pattern_range){op->what, op->what}, places);
    case OP_SET:
        for (unsigned i = 0; i < op->next; i++)
            result |= behind(store->ranges[op->what + i], places);
        return result;
    case OP_ASSERT:
        return places & places_of(op->value);
    default:
        return op->kind == OP_FORK ? places : 0;
    }
}

/** Return: true if there was something to add. */
static bool add(uint16_t *places, unsigned more)
{
    const unsigned before = *places;

    *places = (uint16_t)(before | more);
    return *places != before;
}

bool matcher_can_match(const struct matcher *m, const struct matcher_store *store)
{
    const struct matcher_op *ops = store->ops + m->first;
    uint16_t reached[MATCHER_OPS] = {ALL_PLACES};
    bool more = true;

    while (more) {
        more = false;
        for (unsigned i = 0; i + 1u < m->count; i++) {
            const bool leaps = ops[i].kind == OP_FORK || ops[i].kind == OP_JUMP;

            more |= add(&reached[i + 1], go_on(store, &ops[i], reached[i]));
            more |= leaps && add(&reached[(uint16_t)(i + ops[i].next)], reached[i]);
        }
    }
    return reached[m->count - 1] != 0;
}
