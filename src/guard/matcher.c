/* A tree as a program, and the machine that runs it: all ways through the program at once, a character at a time (K. Thompson,
 * "Regular expression search algorithm", CACM 11(6), 1968).
 *
 * Forks and jumps say how far, not where to, so that a piece of program may stand anywhere: counts are written out by
 * copying it. */
#include "nefia/guard/matcher.h"

#include <string.h>

#include "nefia/base/err.h"
#include "matcher_int.h"
#include "pattern_int.h"

#define NOWHERE 0xFFFFu    /* place of what is not in the program: x in x{0} */
#define NO_CHAR UINT32_MAX /* beyond the end of the text */
#define NOT_UTF8 0xFFFDu   /* what a byte counts as that is none */

/* ---- compiling ------------------------------------------------------------------------------- */

/** How often a repetition's argument is written down. */
static unsigned copies(const struct pattern_node *n)
{
    if (n->max != REPEAT_INF)
        return n->max;
    return n->min > 0 ? n->min : 1;
}

static uint32_t size_of_rep(struct pattern_node *n, const struct pattern_node *child)
{
    /* Once is as good as often for what takes no character, and for what may as well be left out, never. */
    if (!child->takes)
        n->min = n->max = n->min > 0;
    n->takes = child->takes && n->max > 0;
    /* A fork before each copy that may be left out, and one behind the last that leads back to it. */
    return copies(n) * (uint32_t)child->size + (copies(n) - (n->min < copies(n) ? n->min : copies(n))) +
           (n->max == REPEAT_INF);
}

/** Sum of the children, with a fork before and a jump behind each alternative but the last. */
static uint32_t size_of_row(const struct tree *t, struct pattern_node *n)
{
    uint32_t size = 0;

    n->takes = false;
    for (uint16_t i = n->child; i != 0; i = t->s->nodes[i].next) {
        const struct pattern_node *child = &t->s->nodes[i];

        size += child->size + (n->kind == NODE_ALT && child->next ? 2u : 0u);
        n->takes |= child->takes;
    }
    return size;
}

static uint32_t size_of(const struct tree *t, struct pattern_node *n)
{
    switch (n->kind) {
    case NODE_REP:
        return size_of_rep(n, &t->s->nodes[n->child]);
    case NODE_SEQ:
    case NODE_ALT:
        return size_of_row(t, n);
    default:
        n->takes = n->kind == NODE_CHAR || n->kind == NODE_SET;
        return n->kind != NODE_EMPTY;
    }
}

/** Children precede their parents. */
static int measure(struct tree *t)
{
    for (uint16_t i = 1; i < t->nodes; i++) {
        struct pattern_node *n = &t->s->nodes[i];
        const uint32_t size = size_of(t, n);

        if (size >= MATCHER_OPS)
            return tree_refuse(t, NEFIA_ETOOBIG, n->at, 1,
                               HINTED("pattern is too large with its counts expanded", "; use smaller counts"));
        n->size = (uint16_t)size;
        n->place = NOWHERE;
    }
    return 0;
}

/** Give each child of n its place. */
static void place_children(struct tree *t, const struct pattern_node *n)
{
    uint16_t at = n->place;

    if (at == NOWHERE || n->size == 0 || (n->kind != NODE_REP && n->kind != NODE_SEQ && n->kind != NODE_ALT))
        return;
    for (uint16_t i = n->child; i != 0; i = t->s->nodes[i].next) {
        struct pattern_node *child = &t->s->nodes[i];
        const bool fork = n->kind == NODE_ALT ? child->next != 0 : n->kind == NODE_REP && n->min == 0;

        child->place = (uint16_t)(at + fork);
        at = (uint16_t)(at + child->size + 2 * fork);
    }
}

/** The store's copy of a set's ranges. Return: its first, or negative. */
static int keep_ranges(struct matcher_store *store, const struct pattern_range *r, size_t n)
{
    size_t at = 0;

    while (at + n <= store->ranges_used && memcmp(store->ranges + at, r, n * sizeof *r) != 0)
        at++;
    if (at + n <= store->ranges_used)
        return (int)at;
    if (n > (size_t)(store->range_cap - store->ranges_used))
        return NEFIA_EFULL;
    at = store->ranges_used;
    memcpy(store->ranges + at, r, n * sizeof *r);
    store->ranges_used = (uint16_t)(at + n);
    return (int)at;
}

static struct matcher_op leap(enum op_kind kind, int distance)
{
    return (struct matcher_op){.kind = (uint8_t)kind, .next = (uint16_t)distance};
}

/** The children are written. */
static void write_alt(const struct tree *t, const struct pattern_node *n, struct matcher_op *ops)
{
    const int end = n->place + n->size;

    for (uint16_t i = n->child; t->s->nodes[i].next; i = t->s->nodes[i].next) {
        const struct pattern_node *child = &t->s->nodes[i];
        const int after = child->place + child->size;

        ops[child->place - 1] = leap(OP_FORK, child->size + 2);
        ops[after] = leap(OP_JUMP, end - after);
    }
}

/** The first copy is written. */
static void write_rep(const struct pattern_node *n, const struct pattern_node *child, struct matcher_op *ops)
{
    const int end = n->place + n->size;
    int at = n->place;

    for (unsigned i = 0; i < copies(n); i++) {
        if (i >= n->min) {
            ops[at] = leap(OP_FORK, end - at);
            at++;
        }
        if (i > 0)
            memcpy(ops + at, ops + child->place, child->size * sizeof *ops);
        at += child->size;
    }
    if (n->max == REPEAT_INF)
        ops[at] = leap(OP_FORK, -(int)child->size);
}

static uint8_t assertion(uint32_t mask)
{
    if (!(mask & LINE_ANCHOR))
        return (uint8_t)mask;
    return mask & AT_BEGIN ? LINE_BEGIN : LINE_END;
}

static int write_node(const struct tree *t, const struct pattern_node *n, struct matcher_store *store,
                      struct matcher_op *ops)
{
    int first = 0;

    switch (n->kind) {
    case NODE_SET:
        first = keep_ranges(store, t->s->ranges + n->child, n->count);
        ops[n->place] = (struct matcher_op){.kind = OP_SET, .next = n->count, .what = (uint32_t)first};
        break;
    case NODE_CHAR:
        ops[n->place] = (struct matcher_op){.kind = OP_CHAR, .what = n->value};
        break;
    case NODE_ASSERT:
        ops[n->place] = (struct matcher_op){.kind = OP_ASSERT, .value = assertion(n->value)};
        break;
    case NODE_ALT:
        write_alt(t, n, ops);
        break;
    case NODE_REP:
        write_rep(n, &t->s->nodes[n->child], ops);
        break;
    default:
        break;
    }
    return first;
}

/** Write the program of a measured tree. Return: its steps, or negative: the store is full. */
static int write_program(struct tree *t, struct matcher_store *store)
{
    struct matcher_op *ops = store->ops + store->ops_used;
    const int count = t->s->nodes[t->root].size + 1;

    if (count > store->op_cap - store->ops_used)
        return NEFIA_EFULL;
    t->s->nodes[t->root].place = 0;
    for (uint16_t i = t->root; i > 0; i--)
        place_children(t, &t->s->nodes[i]);
    for (uint16_t i = 1; i <= t->root; i++)
        if (t->s->nodes[i].place != NOWHERE && write_node(t, &t->s->nodes[i], store, ops) < 0)
            return NEFIA_EFULL;
    ops[count - 1] = leap(OP_MATCH, 0);
    return count;
}

static bool bit(const uint32_t *bits, uint32_t i)
{
    return bits[i / 32] >> i % 32 & 1;
}

static void set_bit(uint32_t *bits, uint32_t i)
{
    bits[i / 32] |= (uint32_t)1 << i % 32;
}

/** Add the bytes with which a character of the range begins; beyond ASCII all, as any may be one that is not UTF-8. */
static void add_bytes(uint32_t begins[8], struct pattern_range r)
{
    for (uint32_t c = r.lo; c <= r.hi && c < 0x80; c++)
        set_bit(begins, c);
    if (r.hi >= 0x80)
        memset(begins + 4, 0xFF, 4 * sizeof *begins);
}

/** Add the bytes with which a match can begin where only the assertions in `hold` do. A step that leads back leads to where
 * the way to it has come through, so that once over the program is enough.
 * Return: can the match be empty there? */
static bool look_ahead(const struct matcher *m, const struct matcher_store *store, unsigned hold, uint32_t begins[8])
{
    const struct matcher_op *ops = store->ops + m->first;
    uint32_t reached[MATCHER_OPS / 32] = {1};

    for (unsigned i = 0; i + 1u < m->count; i++) {
        const struct matcher_op *op = &ops[i];

        if (!bit(reached, i))
            continue;
        if (op->kind == OP_CHAR)
            add_bytes(begins, (struct pattern_range){op->what, op->what});
        for (unsigned k = 0; op->kind == OP_SET && k < op->next; k++)
            add_bytes(begins, store->ranges[op->what + k]);
        if (op->kind == OP_FORK || op->kind == OP_JUMP)
            set_bit(reached, (uint16_t)(i + op->next));
        if (op->kind == OP_FORK || (op->kind == OP_ASSERT && op->value & hold))
            set_bit(reached, i + 1);
    }
    return bit(reached, m->count - 1u);
}

static bool any(const uint32_t bits[8])
{
    uint32_t sum = 0;

    for (size_t i = 0; i < 8; i++)
        sum |= bits[i];
    return sum != 0;
}

/** Find out what spares matcher_find() work. */
static void foresee(struct matcher *m, const struct matcher_store *store)
{
    uint32_t later[8] = {0}, unused[8] = {0};

    m->anchored = !look_ahead(m, store, ALL_ASSERTIONS & ~(unsigned)AT_BEGIN, later) && !any(later);
    m->always = look_ahead(m, store, AT_BEGIN | LINE_BEGIN, unused) || look_ahead(m, store, AT_END | LINE_END, unused);
    memset(m->begins, 0, sizeof m->begins);
    if (look_ahead(m, store, ALL_ASSERTIONS, m->begins))
        memset(m->begins, 0xFF, sizeof m->begins);
}

int matcher_compile(struct matcher *m, struct matcher_store *store, const char *re, size_t len,
                    struct pattern_tree *scratch, struct text *why)
{
    struct tree t = {.s = scratch, .re = re ? re : "", .len = len, .why = why, .dot_newline = store->dot_newline};
    const uint16_t ranges_used = store->ranges_used;
    int err = tree_parse(&t);

    if (err == 0)
        err = measure(&t);
    if (err < 0)
        return err;
    err = write_program(&t, store);
    if (err < 0) {
        store->ranges_used = ranges_used;
        return tree_refuse(&t, err, 0, 0,
                           HINTED("no room for another pattern", "; raise CONFIG_POLICY_OPS or CONFIG_POLICY_RANGES"));
    }
    *m = (struct matcher){.first = store->ops_used, .count = (uint16_t)err};
    store->ops_used = (uint16_t)(store->ops_used + err);
    foresee(m, store);
    return 0;
}

/* ---- matching -------------------------------------------------------------------------------- */

/** One place of the subject. */
struct scan {
    const struct matcher_op *ops;
    const struct pattern_range *ranges;
    struct matcher_work *work;
    struct matcher_thread *next; /* threads of the next place */
    unsigned next_count;
    unsigned hold; /* the assertions that hold here */
    uint32_t c;    /* the character that begins here, or NO_CHAR */
};

static bool is_word(unsigned char c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_';
}

/** The assertions that hold between two bytes; only ASCII matters to them. */
static unsigned assertions_at(const char *s, size_t len, size_t at)
{
    const unsigned char before = at > 0 ? (unsigned char)s[at - 1] : '\n', after = at < len ? (unsigned char)s[at] : '\n';

    return (at == 0 ? (unsigned)AT_BEGIN : 0u) | (at == len ? (unsigned)AT_END : 0u) |
           (is_word(before) != is_word(after) ? (unsigned)AT_WORD_EDGE : (unsigned)NOT_WORD_EDGE) |
           (before == '\n' ? (unsigned)LINE_BEGIN : 0u) | (after == '\n' ? (unsigned)LINE_END : 0u);
}

/** The character at s[0..len). Return: its bytes. */
static size_t take(const char *s, size_t len, uint32_t *c)
{
    int n;

    *c = (unsigned char)*s;
    if (*c < 0x80)
        return 1;
    n = utf8_decode(s, len, c);
    if (n > 0)
        return (size_t)n;
    *c = NOT_UTF8;
    return 1;
}

static bool in_set(const struct pattern_range *r, size_t n, uint32_t c)
{
    while (n > 0) {
        const size_t half = n / 2;

        if (c < r[half].lo) {
            n = half;
        } else if (c > r[half].hi) {
            r += half + 1;
            n -= half + 1;
        } else {
            return true;
        }
    }
    return false;
}

/** Follow a thread over all ways that take no character, and note where those go on that take this one. A step that another
 * thread has taken here need not be taken again: that one began no later.
 * Return: does one end the program? */
static bool follow(struct scan *s, struct matcher_thread thread)
{
    uint16_t *stack = s->work->stack;
    unsigned depth = 0; /* at most one for each fork taken, and one */
    bool matched = false;

    stack[depth++] = thread.op;
    while (depth > 0) {
        const uint16_t at = stack[--depth];
        const struct matcher_op *op = &s->ops[at];
        bool takes = false;

        if (bit(s->work->seen, at))
            continue;
        set_bit(s->work->seen, at);
        s->work->steps++;
        switch (op->kind) {
        case OP_MATCH:
            matched = true;
            break;
        case OP_CHAR:
            takes = s->c == op->what;
            break;
        case OP_SET:
            takes = in_set(s->ranges + op->what, op->next, s->c);
            break;
        case OP_ASSERT:
            if (op->value & s->hold)
                stack[depth++] = (uint16_t)(at + 1);
            break;
        case OP_FORK:
            stack[depth++] = (uint16_t)(at + 1);
            stack[depth++] = (uint16_t)(at + op->next);
            break;
        default:
            stack[depth++] = (uint16_t)(at + op->next);
        }
        if (takes)
            s->next[s->next_count++] = (struct matcher_thread){(uint16_t)(at + 1), thread.begun};
    }
    return matched;
}

/** The next place from `at` on where a match can begin, or the end. It is not within a character: of the bytes beyond ASCII all
 * are in the set, or none. */
static size_t skip(const struct matcher *m, const char *subject, size_t len, size_t at)
{
    while (at < len && !bit(m->begins, (unsigned char)subject[at]))
        at++;
    return at;
}

bool matcher_find(const struct matcher *m, const struct matcher_store *store, struct matcher_work *work,
                  const char *subject, size_t len, struct span *found)
{
    struct scan s = {.ops = store->ops + m->first, .ranges = store->ranges, .work = work};
    struct span best = {0};
    bool matched = false;
    unsigned count = 0, turn = 0;

    work->steps = 0;
    for (size_t at = 0, n; at <= len; at += n) {
        struct matcher_thread *threads = work->threads[turn];

        if (count == 0 && (matched || (m->anchored && at > 0)))
            break;
        if (count == 0 && !m->anchored)
            at = skip(m, subject, len, at);
        /* A thread that begins here comes last, so that those before it began no later. */
        if (!matched && (at == 0 || !m->anchored) && (at == len || bit(m->begins, (unsigned char)subject[at])))
            threads[count++] = (struct matcher_thread){0, (uint16_t)at};
        turn ^= 1;
        s.next = work->threads[turn];
        s.next_count = 0;
        s.c = NO_CHAR;
        n = at < len ? take(subject + at, len - at, &s.c) : 1;
        s.hold = assertions_at(subject, len, at);
        memset(work->seen, 0, (m->count + 31u) / 32 * sizeof *work->seen);
        for (unsigned i = 0; i < count && (!matched || threads[i].begun <= best.at); i++)
            if (follow(&s, threads[i])) {
                best = (struct span){threads[i].begun, (uint32_t)at};
                matched = true;
            }
        if (matched && !found)
            break;
        count = s.next_count;
    }
    if (matched && found)
        *found = best;
    return matched;
}
