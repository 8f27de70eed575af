/* A tree as an automaton of TRE 0.8.0.
 *
 * TRE never sees characters of the pattern or the subject directly. Each is mapped to a code beyond
 * Unicode, so that none has a meaning in TRE's syntax, and sets are written as ranges of codes: no
 * `.`, negation, named class or flag of TRE is used, only `|`, `?`, `*`, `+`, groups, ranges and
 * assertions.
 *
 * TRE's assertions take code 0 for the end of the text, and `\b` always holds at both ends. So the
 * subject is fed with a newline, which is in no set, before and after it: `^` and `$` become TRE's
 * line anchors at these two, and `\b` sees a non-word character. Newlines inside the subject are
 * mapped, except for a pattern with (?m) anchors. A mark that occurs nowhere else encloses all
 * this; see frame(). With `\b` or `\B`, word characters stay ASCII.
 *
 * TRE keeps only one condition under which a node can be empty: that of the first alternative that
 * can be, and that of a repetition's argument even if zero repetitions would do (tre_match_empty).
 * settle() finds the true condition, orders the tree so that TRE finds the same one, and refuses
 * patterns that have two. */
#include "pattern_int.h"

#include <string.h>

#include <tre/tre.h>

#include "nefia/base/err.h"

#define CODE_BASE 0x110000u
#define CODE_NEWLINE (CODE_BASE + CHAR_LAST) /* last, so that everything but newline is one range */
#define CODE_MARK (CODE_NEWLINE + 1)         /* encloses everything */
#define CODE_NEVER (CODE_NEWLINE + 2)        /* in no subject */

#define BALANCED 8u /* most siblings without a group; bounds the depth of TRE's tree */

enum mode { MODE_WORDS = 1, MODE_LINES = 2 };

/* A permutation of ASCII in which \w, \d, letters, and their complements are one range each. */
static const uint8_t rank[128] = {
    67,  68,  69,  70,  71,  72,  73,  74,  75,  63,  127, 76,  64,  65,  77, 78,  79,  80,  81,
    82,  83,  84,  85,  86,  87,  88,  89,  90,  91,  92,  93,  94,  66,  95, 96,  97,  98,  99,
    100, 101, 102, 103, 104, 105, 106, 107, 108, 109, 0,   1,   2,   3,   4,  5,   6,   7,   8,
    9,   110, 111, 112, 113, 114, 115, 116, 10,  11,  12,  13,  14,  15,  16, 17,  18,  19,  20,
    21,  22,  23,  24,  25,  26,  27,  28,  29,  30,  31,  32,  33,  34,  35, 117, 118, 119, 120,
    62,  121, 36,  37,  38,  39,  40,  41,  42,  43,  44,  45,  46,  47,  48, 49,  50,  51,  52,
    53,  54,  55,  56,  57,  58,  59,  60,  61,  122, 123, 124, 125, 126,
};

static bool is_word(uint32_t c)
{
    return c < 128 && rank[c] <= 62;
}

/** Code of a character. Beyond ASCII the order is kept, shifted to fill newline's place. */
static uint32_t code_of(uint32_t c, unsigned mode)
{
    if (c == '\n')
        return mode & MODE_LINES ? '\n' : CODE_NEWLINE;
    if (mode & MODE_WORDS && is_word(c))
        return c;
    return CODE_BASE + (c < 128 ? rank[c] : c - 1);
}

/* ---- sets as ranges of codes ----------------------------------------------------------------- */

struct codes {
    struct pattern_range *r; /* 3 * PATTERN_SET_RANGES of them */
    size_t n;
};

static void add_codes(struct codes *m, uint32_t lo, uint32_t hi)
{
    if (m->n > 0 && m->r[m->n - 1].hi + 1 == lo)
        m->r[m->n - 1].hi = hi;
    else
        m->r[m->n++] = (struct pattern_range){lo, hi};
}

static bool bit(const uint64_t bits[2], uint32_t i)
{
    return bits[i >> 6] >> (i & 63) & 1;
}

static void mark(uint64_t bits[2], uint32_t i)
{
    bits[i >> 6 & 1] |= (uint64_t)1 << (i & 63);
}

/** At most 64 ranges: disjoint, non-adjacent ranges of 128 bits. */
static void add_bits(struct codes *m, const uint64_t bits[2], uint32_t base)
{
    for (uint32_t i = 0; i < 128; i++)
        if (bit(bits, i))
            add_codes(m, base + i, base + i);
}

static struct codes map_set(struct tree *t, const struct pattern_node *n, unsigned mode)
{
    const struct pattern_range *r = t->s->ranges + n->child;
    struct codes m = {.r = t->more->mapped};
    uint64_t as_is[2] = {0}, ranked[2] = {0};
    bool newline = false;

    for (size_t i = 0; i < n->count; i++)
        for (uint32_t c = r[i].lo; c <= r[i].hi && c < 128; c++) {
            uint32_t code = code_of(c, mode);

            if (code == CODE_NEWLINE)
                newline = true;
            else if (code < 128)
                mark(as_is, code);
            else
                mark(ranked, code - CODE_BASE);
        }
    add_bits(&m, as_is, 0);
    add_bits(&m, ranked, CODE_BASE);
    for (size_t i = 0; i < n->count; i++)
        if (r[i].hi >= 128)
            add_codes(&m, code_of(r[i].lo < 128 ? 128 : r[i].lo, mode), code_of(r[i].hi, mode));
    if (newline)
        add_codes(&m, CODE_NEWLINE, CODE_NEWLINE);
    if (m.n == 0)
        add_codes(&m, CODE_NEVER, CODE_NEVER);
    return m;
}

/* ---- predicting what TRE makes of each node -----------------------------------------------------
 * `first` and `last` count the entries of TRE's position sets (one for each range), `slots` the
 * transitions it reserves (tre_make_trans: every entry of a left set with every entry of a right
 * one). */

#define SLOTS_MAX 0xFFFFFFFu

static struct pattern_node unit(void)
{
    return (struct pattern_node){.kind = NODE_EMPTY, .nullable = 1};
}

static void add_slots(struct pattern_node *a, uint64_t more)
{
    uint64_t sum = a->slots + more;

    a->slots = sum > SLOTS_MAX ? SLOTS_MAX : (uint32_t)sum;
}

/** Make a the sequence of a and b. */
static void measure_then(struct pattern_node *a, const struct pattern_node *b)
{
    add_slots(a, b->slots);
    add_slots(a, (uint64_t)a->last * b->first);
    a->states += b->states;
    a->first += a->nullable ? b->first : 0;
    a->last = b->last + (b->nullable ? a->last : 0);
    a->nullable &= b->nullable;
    a->need |= b->need;
}

static void measure_copies(struct pattern_node *a, const struct pattern_node *b, unsigned times)
{
    while (times-- > 0)
        measure_then(a, b);
}

static void measure_optional(struct pattern_node *a)
{
    a->nullable = 1;
    a->need = 0;
}

/** d optional copies are written as nested optional blocks, each half of the remainder: x{0,7} is
 * (xxxx)?(xx)?x?. That has fewer transitions than x?x?x?x?x?x?x? and less depth than (x(x(x…)?)?)?.
 */
static unsigned block(unsigned d)
{
    return (d + 1) / 2;
}

/** A repetition of something that never consumes a character. */
static bool is_zero_width(const struct pattern_node *n, const struct pattern_node *child)
{
    return n->max == 0 || child->states == 0;
}

static int too_many_states(struct tree *t, const struct pattern_node *n)
{
    return tree_refuse(
        t, NEFIA_ETOOBIG, n->at, 1,
        HINTED("pattern is too large with its counts expanded", "; use smaller counts"));
}

static int measure_rep(struct tree *t, struct pattern_node *n)
{
    const struct pattern_node *child = &t->s->nodes[n->child];
    struct pattern_node sum = unit(), part;

    if ((n->max == REPEAT_INF ? n->min : n->max) * child->states > CONFIG_PATTERN_STATES)
        return too_many_states(t, n);
    if (is_zero_width(n, child)) {
        sum.need = n->min > 0 && n->max > 0 ? child->need : 0;
    } else if (n->max == REPEAT_INF) {
        part = *child;
        add_slots(&part, (uint64_t)part.last * part.first);
        if (n->min == 0)
            measure_optional(&part);
        else
            measure_copies(&sum, child, n->min - 1u);
        measure_then(&sum, &part);
    } else {
        measure_copies(&sum, child, n->min);
        for (unsigned d = (unsigned)(n->max - n->min); d > 0; d -= block(d)) {
            part = unit();
            measure_copies(&part, child, block(d));
            measure_optional(&part);
            measure_then(&sum, &part);
        }
    }
    n->states = sum.states;
    n->first = sum.first;
    n->last = sum.last;
    n->slots = sum.slots;
    n->nullable = sum.nullable;
    n->need = sum.need;
    return 0;
}

/** Move the alternative that is empty under the weakest condition to the front, where TRE looks.
 * Return: false if another one is empty under a condition that does not imply it. */
static bool order_alt(struct tree *t, struct pattern_node *n)
{
    struct pattern_node *nodes = t->s->nodes;
    uint16_t best = 0, before_best = 0, before = 0;

    for (uint16_t i = n->child; i != 0; before = i, i = nodes[i].next)
        if (nodes[i].nullable && (!best || (nodes[i].need & nodes[best].need) == nodes[i].need)) {
            best = i;
            before_best = before;
        }
    if (!best)
        return true;
    if (before_best) {
        nodes[before_best].next = nodes[best].next;
        nodes[best].next = n->child;
        n->child = best;
    }
    n->nullable = 1;
    n->need = nodes[best].need;
    for (uint16_t i = n->child; i != 0; i = nodes[i].next)
        if (nodes[i].nullable && (nodes[i].need & n->need) != n->need)
            return false;
    return true;
}

static bool measure_alt(struct tree *t, struct pattern_node *n)
{
    for (uint16_t i = n->child; i != 0; i = t->s->nodes[i].next) {
        const struct pattern_node *child = &t->s->nodes[i];

        add_slots(n, child->slots);
        n->states += child->states;
        n->first += child->first;
        n->last += child->last;
    }
    return order_alt(t, n);
}

static void measure_seq(struct tree *t, struct pattern_node *n)
{
    n->nullable = 1;
    for (uint16_t i = n->child; i != 0; i = t->s->nodes[i].next)
        measure_then(n, &t->s->nodes[i]);
}

static int measure(struct tree *t, struct pattern_node *n, unsigned mode)
{
    switch (n->kind) {
    case NODE_EMPTY:
    case NODE_ASSERT:
        n->nullable = 1;
        n->need = (uint8_t)(n->value & ~(uint32_t)LINE_ANCHOR);
        return 0;
    case NODE_CHAR:
    case NODE_CODE:
        n->states = n->first = n->last = 1;
        return 0;
    case NODE_SET:
        n->states = 1;
        n->first = n->last = (uint32_t)map_set(t, n, mode).n;
        return 0;
    case NODE_REP:
        return measure_rep(t, n);
    case NODE_SEQ:
        measure_seq(t, n);
        return 0;
    default:
        if (!measure_alt(t, n))
            return tree_refuse(
                t, NEFIA_ESYNTAX, n->at, 0,
                HINTED("different anchors as alternatives, as in (^|$), are not supported",
                       "; use two patterns"));
        return 0;
    }
}

/** Measure the nodes from index `from` on; children precede their parents. */
static int settle(struct tree *t, uint16_t from, unsigned mode)
{
    for (uint16_t i = from; i < t->nodes; i++) {
        struct pattern_node *n = &t->s->nodes[i];
        int err = measure(t, n, mode);

        if (err < 0)
            return err;
        if (n->states > CONFIG_PATTERN_STATES)
            return too_many_states(t, n);
    }
    return 0;
}

/* ---- the frame ------------------------------------------------------------------------------- */

static uint16_t code_node(struct tree *t, uint32_t code)
{
    uint16_t i = tree_node(t, NODE_CODE, 0);

    if (i != 0)
        t->s->nodes[i].value = code;
    return i;
}

/** Any number of any characters. */
static uint16_t anything(struct tree *t)
{
    uint16_t first = t->ranges, set = tree_node(t, NODE_SET, 0), rep = tree_node(t, NODE_REP, 0);

    if (rep == 0 || !set_add(t, 0, CHAR_LAST, false))
        return 0;
    t->s->nodes[set].child = first;
    t->s->nodes[set].count = 1;
    t->s->nodes[rep].child = set;
    t->s->nodes[rep].count = 1;
    t->s->nodes[rep].max = REPEAT_INF;
    return rep;
}

/** Enclose the root so that an empty match cannot lie outside the text, nor, if the text's newlines
 * are not mapped, any other match. */
static int frame(struct tree *t, unsigned mode)
{
    bool lines = mode & MODE_LINES;
    uint16_t part[7], n = 0, all;

    part[n++] = code_node(t, CODE_MARK);
    part[n++] = code_node(t, '\n');
    part[n++] = anything(t);
    part[n++] = t->root;
    if (lines) {
        part[n++] = anything(t);
        part[n++] = code_node(t, '\n');
        part[n++] = code_node(t, CODE_MARK);
    }
    all = tree_node(t, NODE_SEQ, 0);
    for (uint16_t i = 0; i < n; i++) {
        if (part[i] == 0 || all == 0)
            return tree_refuse(t, NEFIA_ETOOBIG, 0, 0,
                               HINTED("too many parts", "; split the pattern into several rules"));
        t->s->nodes[part[i]].next = i + 1 < n ? part[i + 1] : 0;
    }
    t->s->nodes[all].child = part[0];
    t->s->nodes[all].count = n;
    t->root = all;
    return 0;
}

/* ---- writing TRE's syntax -------------------------------------------------------------------- */

enum work_op { DO_ATOM, DO_BODY, DO_SEQ, DO_ALT, DO_COPIES, DO_OPTIONAL, DO_TEXT };
enum text_op { T_OPEN, T_OPEN_EMPTY, T_CLOSE, T_CLOSE_OPTIONAL, T_OR, T_STAR, T_PLUS };

static const char *const texts[] = {"(?:", "(?:|", ")", ")?", "|", "*", "+"};

struct writer {
    struct tree *t;
    unsigned mode;
    size_t len;
    size_t depth; /* of the work stack */
    bool full;
};

static void put(struct writer *w, uint32_t code)
{
    if (w->len + 1 >= PATTERN_OUT)
        w->full = true;
    else
        w->t->more->out[w->len++] = (wchar_t)code;
}

static void put_text(struct writer *w, const char *s)
{
    for (; *s; s++)
        put(w, (unsigned char)*s);
}

static void later(struct writer *w, enum work_op op, uint16_t node, unsigned count)
{
    if (w->depth >= PATTERN_WORK)
        w->full = true;
    else
        w->t->more->work[w->depth++] = (struct pattern_work){(uint16_t)op, node, (uint16_t)count};
}

static void later_text(struct writer *w, enum text_op which)
{
    later(w, DO_TEXT, 0, which);
}

static void put_set(struct writer *w, const struct pattern_node *n)
{
    struct codes m = map_set(w->t, n, w->mode);

    put(w, '[');
    for (size_t i = 0; i < m.n; i++) {
        put(w, m.r[i].lo);
        if (m.r[i].hi > m.r[i].lo) {
            put(w, '-');
            put(w, m.r[i].hi);
        }
    }
    put(w, ']');
}

static void put_assert(struct writer *w, uint32_t which)
{
    if (which & AT_BEGIN)
        put(w, '^');
    if (which & AT_END)
        put(w, '$');
    if (which & AT_WORD_EDGE)
        put_text(w, "\\b");
    if (which & NOT_WORD_EDGE)
        put_text(w, "\\B");
}

/** Write a unit to which a following operator applies as a whole. */
static void do_atom(struct writer *w, uint16_t i)
{
    const struct pattern_node *n = &w->t->s->nodes[i];

    switch (n->kind) {
    case NODE_CHAR:
        put(w, code_of(n->value, w->mode));
        return;
    case NODE_CODE:
        put(w, n->value);
        return;
    case NODE_SET:
        put_set(w, n);
        return;
    case NODE_ASSERT:
        put_assert(w, n->value);
        return;
    default:
        put_text(w, texts[T_OPEN]);
        later_text(w, T_CLOSE);
        later(w, DO_BODY, i, 0);
    }
}

static void later_unbounded(struct writer *w, const struct pattern_node *n)
{
    const struct pattern_node *child = &w->t->s->nodes[n->child];
    bool star = n->min == 0;

    if (star && child->nullable && child->need) {
        later_text(w, T_CLOSE);
        later_text(w, T_PLUS);
        later(w, DO_ATOM, n->child, 0);
        later_text(w, T_OPEN_EMPTY);
        return;
    }
    later_text(w, star ? T_STAR : T_PLUS);
    later(w, DO_ATOM, n->child, 0);
    if (n->min > 1)
        later(w, DO_COPIES, n->child, n->min - 1u);
}

static void do_rep(struct writer *w, const struct pattern_node *n)
{
    if (is_zero_width(n, &w->t->s->nodes[n->child])) {
        if (n->min > 0 && n->max > 0)
            later(w, DO_ATOM, n->child, 0);
    } else if (n->max == REPEAT_INF) {
        later_unbounded(w, n);
    } else {
        later(w, DO_OPTIONAL, n->child, (unsigned)(n->max - n->min));
        later(w, DO_COPIES, n->child, n->min);
    }
}

static void do_optional(struct writer *w, uint16_t i, unsigned d)
{
    const struct pattern_node *n = &w->t->s->nodes[i];
    bool either = n->nullable && n->need;

    if (d == 0)
        return;
    later(w, DO_OPTIONAL, i, d - block(d));
    later_text(w, either ? T_CLOSE : T_CLOSE_OPTIONAL);
    later(w, DO_COPIES, i, block(d));
    put_text(w, texts[either ? T_OPEN_EMPTY : T_OPEN]);
}

static void do_body(struct writer *w, uint16_t i)
{
    const struct pattern_node *n = &w->t->s->nodes[i];

    if (n->kind == NODE_SEQ)
        later(w, DO_SEQ, n->child, n->count);
    else if (n->kind == NODE_ALT)
        later(w, DO_ALT, n->child, n->count);
    else if (n->kind == NODE_REP)
        do_rep(w, n);
    else if (n->kind != NODE_EMPTY)
        do_atom(w, i);
}

static uint16_t sibling(const struct writer *w, uint16_t i, unsigned distance)
{
    while (distance-- > 0)
        i = w->t->s->nodes[i].next;
    return i;
}

/** A sequence of siblings (or of copies of one node). A long one is halved into groups to keep
 * TRE's tree, which TRE walks recursively, shallow. */
static void do_row(struct writer *w, enum work_op op, uint16_t i, unsigned count)
{
    unsigned half = count / 2;
    uint16_t second = op == DO_COPIES ? i : sibling(w, i, count > BALANCED ? half : count > 1);

    if (count == 0)
        return;
    if (count > BALANCED) {
        later_text(w, T_CLOSE);
        later(w, op, second, count - half);
        later_text(w, T_OPEN);
        if (op == DO_ALT)
            later_text(w, T_OR);
        later_text(w, T_CLOSE);
        later(w, op, i, half);
        put_text(w, texts[T_OPEN]);
        return;
    }
    if (count > 1)
        later(w, op, second, count - 1);
    if (count > 1 && op == DO_ALT)
        later_text(w, T_OR);
    later(w, DO_ATOM, i, 0);
}

static int write_all(struct writer *w)
{
    later(w, DO_BODY, w->t->root, 0);
    while (w->depth > 0 && !w->full) {
        struct pattern_work x = w->t->more->work[--w->depth];

        switch (x.op) {
        case DO_TEXT:
            put_text(w, texts[x.count]);
            break;
        case DO_ATOM:
            do_atom(w, x.node);
            break;
        case DO_BODY:
            do_body(w, x.node);
            break;
        case DO_OPTIONAL:
            do_optional(w, x.node, x.count);
            break;
        default:
            do_row(w, (enum work_op)x.op, x.node, x.count);
        }
    }
    w->t->more->out[w->len] = L'\0'; /* TRE reads one beyond the end */
    return w->full ? tree_refuse(w->t, NEFIA_ETOOBIG, 0, 0,
                                 HINTED("pattern is too large with its counts expanded",
                                        "; use smaller counts"))
                   : 0;
}

/* ---- compiling ------------------------------------------------------------------------------- */

/** Estimate the bytes that TRE keeps and borrows; tests/unit/test_pattern.c compares with the real
 * ones. Structure sizes from tre-internal.h and tre-match-parallel.c (0.8.0). */
static void reckon(struct pattern *p, const struct pattern_node *root)
{
    const uint32_t word = sizeof(void *), transition = 16 + 6 * word, block_head = 4 * word;
    uint32_t states = root->states + 1; /* plus the final one, reached from every last position */
    uint64_t slots = (uint64_t)root->slots + root->last;
    uint64_t bytes = (slots + states + 1 + root->first + 1) * transition;

    bytes += 256 + 24 * word + 4 * block_head;
    p->heap_bytes = bytes > UINT32_MAX ? UINT32_MAX : (uint32_t)bytes;
    p->match_bytes = 4 * word * (states + 1) + 2 * word * states + 4 * word + block_head;
}

/** Return: 1 compile; 0 every text matches. */
static int prepare(struct pattern *p, struct tree *t, unsigned mode)
{
    uint16_t settled = t->nodes;
    int err = settle(t, 1, mode);

    if (err < 0)
        return err;
    if (t->s->nodes[t->root].nullable && t->s->nodes[t->root].need == 0)
        return 0;
    if (t->s->nodes[t->root].nullable || mode & MODE_LINES) {
        err = frame(t, mode);
        if (err == 0)
            err = settle(t, settled, mode);
        if (err < 0)
            return err;
    }
    reckon(p, &t->s->nodes[t->root]);
    /* What TRE keeps is made of pointers and numbers of their size. */
    if (p->heap_bytes > CONFIG_PATTERN_KB * 1024u / 4 * sizeof(void *))
        return tree_refuse(t, NEFIA_ETOOBIG, 0, 0,
                           "pattern needs more memory than CONFIG_PATTERN_KB=" LITERAL(
                               CONFIG_PATTERN_KB) " allows" REMEDY("; use smaller counts and classes"));
    return 1;
}

int nfa_compile(struct pattern *p, struct tree *t)
{
    unsigned mode = (t->asserts & (AT_WORD_EDGE | NOT_WORD_EDGE) ? MODE_WORDS : 0u) |
                    (t->line_anchors ? MODE_LINES : 0u);
    struct writer w = {.t = t, .mode = mode};
    regex_t re = {0};
    int err;

    if (t->line_anchors && t->text_anchors)
        return tree_refuse(
            t, NEFIA_ESYNTAX, 0, 0,
            HINTED("^ or $ under (?m) cannot be combined with anchors of the whole text",
                   "; use one kind"));
    err = prepare(p, t, mode);
    if (err <= 0)
        return err;
    err = write_all(&w);
    if (err < 0)
        return err;
    err = tre_regwncomp(&re, t->more->out, w.len, REG_EXTENDED | REG_NOSUB | REG_NEWLINE);
    if (err == REG_ESPACE)
        return tree_refuse(t, NEFIA_EFULL, 0, 0,
                           "heap exhausted (CONFIG_HUB_HEAP_KB=" LITERAL(
                               CONFIG_HUB_HEAP_KB) ")" REMEDY("; raise it, or use fewer or simpler patterns"));
    if (err != REG_OK)
        return tree_refuse(t, NEFIA_ESYNTAX, 0, 0, "rejected by TRE");
    p->kind = PATTERN_NFA;
    p->mode = (uint8_t)mode;
    p->u.nfa = re.value;
    return 0;
}

void nfa_free(struct pattern *p)
{
    regex_t re = {.value = p->u.nfa};

    tre_regfree(&re);
}

/* ---- matching -------------------------------------------------------------------------------- */

struct feed {
    const char *s;
    size_t len, at;
    unsigned mode;
    uint8_t before, after; /* codes of the frame delivered so far */
};

/** TRE's input callback: delivers MARK, newline, text, newline, MARK. Return: nonzero at the
 * end. */
static int next_code(tre_char_t *code, unsigned *advance, void *context)
{
    struct feed *f = context;
    uint32_t c = 0;

    *advance = 1;
    if (f->before < 2) {
        *code = (tre_char_t)(f->before++ == 0 ? CODE_MARK : '\n');
    } else if (f->at < f->len) {
        f->at += (size_t)utf8_decode(f->s + f->at, f->len - f->at, &c);
        *code = (tre_char_t)code_of(c, f->mode);
    } else if (f->after < 2) {
        *code = (tre_char_t)(f->after++ == 0 ? '\n' : CODE_MARK);
    } else {
        *code = L'\0';
        return 1;
    }
    return 0;
}

int nfa_match(const struct pattern *p, const char *subject, size_t len)
{
    struct feed f = {.s = subject, .len = len, .mode = p->mode};
    tre_str_source source = {.get_next_char = next_code, .context = &f};
    regex_t re = {.value = p->u.nfa};
    int err = tre_reguexec(&re, &source, 0, NULL, 0);

    if (err == REG_OK)
        return 1;
    return err == REG_NOMATCH ? 0 : NEFIA_EFULL;
}
