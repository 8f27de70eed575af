/* Simple patterns: alternatives of literal text, `.`, `.*` and anchors, as a string of bytes.
 *
 * This is exact because nothing in such a pattern matches a newline: a match lies within one line
 * of the subject, the first if anchored at the beginning, the last if anchored at the end. So each
 * line is tried alone. A gap before an alternative without `^`, or after one without `$`, is
 * redundant and omitted. */
#include "pattern_int.h"

#include <string.h>

#define WAYS_NONE 0xFFFFu /* not simple */
#define WAYS_MAX 16u      /* more alternatives than this would not fit anyway */

/* Bytes that never occur in UTF-8 (RFC 3629). */
enum glob_op { OP_END = 0xFA, OP_BEGIN, OP_OR, OP_GAP, OP_ANY };

struct writer {
    struct tree *t;
    char *out;
    size_t len;
    size_t start;  /* of the alternative being written */
    bool consumed; /* contains something that consumes a character, or a gap */
    bool ended;    /* its `$` has been written */
    bool failed;
};

static unsigned char op(const char *p)
{
    return (unsigned char)*p;
}

/* ---- recognising simple trees ---------------------------------------------------------------- */

static bool is_dot(const struct tree *t, const struct pattern_node *n)
{
    const struct pattern_range *r = t->s->ranges + n->child;

    return n->kind == NODE_SET && n->count == 2 && r[0].lo == 0 && r[0].hi == '\n' - 1 &&
           r[1].lo == '\n' + 1 && r[1].hi == CHAR_LAST;
}

static bool is_gap(const struct tree *t, const struct pattern_node *n)
{
    return n->kind == NODE_REP && n->min <= 1 && n->max == REPEAT_INF &&
           is_dot(t, &t->s->nodes[n->child]);
}

static bool is_leaf(const struct tree *t, const struct pattern_node *n)
{
    switch (n->kind) {
    case NODE_EMPTY:
        return true;
    case NODE_CHAR:
        return n->value != '\n' && !(n->value >= 0xD800 && n->value <= 0xDFFF);
    case NODE_SET:
        return is_dot(t, n);
    case NODE_REP:
        return is_gap(t, n);
    case NODE_ASSERT:
        return n->value == AT_BEGIN || n->value == AT_END;
    default:
        return false;
    }
}

/** Number of leaf sequences a node expands to. */
static uint16_t ways(const struct tree *t, const struct pattern_node *n)
{
    uint32_t total = n->kind == NODE_SEQ ? 1 : 0;

    if (n->kind != NODE_SEQ && n->kind != NODE_ALT)
        return is_leaf(t, n) ? 1 : WAYS_NONE;
    for (uint16_t i = n->child; i != 0; i = t->s->nodes[i].next) {
        uint32_t w = t->s->nodes[i].ways;

        total = n->kind == NODE_SEQ ? total * w : total + w;
        if (w == WAYS_NONE || total > WAYS_MAX)
            return WAYS_NONE;
    }
    return (uint16_t)total;
}

/* ---- writing --------------------------------------------------------------------------------- */

static void put(struct writer *w, const void *bytes, size_t n)
{
    if (w->ended || n > CONFIG_PATTERN_INLINE - w->len) {
        w->failed = true;
        return;
    }
    memcpy(w->out + w->len, bytes, n);
    w->len += n;
}

static void put_op(struct writer *w, enum glob_op o)
{
    unsigned char b = (unsigned char)o;

    put(w, &b, 1);
}

static void put_anchor(struct writer *w, uint32_t which)
{
    if (which == AT_END) {
        w->ended = true;
        return;
    }
    if (w->consumed)
        w->failed = true; /* `a^` never matches, but leave that to TRE */
    else if (w->len == w->start)
        put_op(w, OP_BEGIN);
}

static void put_gap(struct writer *w, bool at_least_one)
{
    if (at_least_one)
        put_op(w, OP_ANY);
    if (w->len > w->start && op(w->out + w->len - 1) != OP_GAP)
        put_op(w, OP_GAP);
    w->consumed = true;
}

static void put_leaf(struct writer *w, const struct pattern_node *n)
{
    char utf8[4];

    switch (n->kind) {
    case NODE_ASSERT:
        put_anchor(w, n->value);
        return;
    case NODE_CHAR:
        put(w, utf8, (size_t)utf8_encode(n->value, utf8));
        w->consumed = true;
        return;
    case NODE_SET:
        put_op(w, OP_ANY);
        w->consumed = true;
        return;
    case NODE_REP:
        put_gap(w, n->min == 1);
        return;
    default:
        return;
    }
}

/** Write the leaves of one expansion of the tree. A work item is a node, the number of its
 * expansion, and whether its siblings follow. */
static void put_way(struct writer *w, uint16_t rank)
{
    struct pattern_node *nodes = w->t->s->nodes;
    struct pattern_work *stack = w->t->more->work;
    size_t depth = 0;

    stack[depth++] = (struct pattern_work){ .node = w->t->root, .count = rank };
    while (depth > 0) {
        struct pattern_work x = stack[--depth];
        const struct pattern_node *n = &nodes[x.node];
        uint16_t mine = x.count;

        if (depth + 2 > PATTERN_WORK) {
            w->failed = true;
            return;
        }
        if (x.op && n->next)
            stack[depth++] = (struct pattern_work){ 1, n->next, (uint16_t)(mine / n->ways) };
        if (x.op)
            mine = (uint16_t)(mine % n->ways);
        if (n->kind == NODE_SEQ) {
            stack[depth++] = (struct pattern_work){ 1, n->child, mine };
        } else if (n->kind == NODE_ALT) {
            uint16_t i = n->child;

            for (; mine >= nodes[i].ways; i = nodes[i].next)
                mine = (uint16_t)(mine - nodes[i].ways);
            stack[depth++] = (struct pattern_work){ 0, i, mine };
        } else {
            put_leaf(w, n);
        }
    }
}

static void put_alternative(struct writer *w, uint16_t rank)
{
    w->ended = w->consumed = false;
    if (rank > 0)
        put_op(w, OP_OR);
    w->start = w->len;
    put_way(w, rank);
    if (w->ended) {
        w->ended = false;
        put_op(w, OP_END);
    } else if (w->len > w->start && op(w->out + w->len - 1) == OP_GAP) {
        w->len--;
    }
}

bool glob_compile(struct pattern *p, struct tree *t)
{
    struct writer w = { .t = t, .out = p->u.glob };

    for (uint16_t i = 1; i < t->nodes; i++)
        t->s->nodes[i].ways = ways(t, &t->s->nodes[i]);
    if (t->s->nodes[t->root].ways == WAYS_NONE)
        return false;
    for (uint16_t rank = 0; rank < t->s->nodes[t->root].ways && !w.failed; rank++)
        put_alternative(&w, rank);
    if (w.failed)
        return false;
    p->kind = PATTERN_GLOB;
    p->len = (uint8_t)w.len;
    return true;
}

/* ---- matching -------------------------------------------------------------------------------- */

struct line {
    const char *s;
    size_t len;
    bool first, last;
};

static size_t char_bytes(const char *s)
{
    unsigned char c = (unsigned char)*s;

    return c < 0xC0 ? 1 : c < 0xE0 ? 2 : c < 0xF0 ? 3 : 4;
}

/** Classic wildcard matching: on a mismatch, return to the last gap and extend it by one character.
 * Time at most glob times line. */
static bool match_gaps(const char *g, size_t n, bool anchored, bool to_end, struct line l)
{
    size_t i = 0, k = 0, gap = 0, resume = 0;
    bool has_gap = !anchored;

    for (;;) {
        if (i == n && (k == l.len || !to_end))
            return true;
        if (i < n && op(g + i) == OP_GAP) {
            has_gap = true;
            gap = ++i;
            resume = k;
        } else if (i < n && k < l.len && op(g + i) == OP_ANY) {
            i++;
            k += char_bytes(l.s + k);
        } else if (i < n && k < l.len && g[i] == l.s[k]) {
            i++;
            k++;
        } else if (has_gap && resume < l.len) {
            resume += char_bytes(l.s + resume);
            i = gap;
            k = resume;
        } else {
            return false;
        }
    }
}

static bool match_alternative(const char *g, size_t n, struct line l)
{
    bool begin = n > 0 && op(g) == OP_BEGIN;
    bool end = n > 0 && op(g + n - 1) == OP_END;

    if ((begin && !l.first) || (end && !l.last))
        return false;
    return match_gaps(g + begin, n - begin - end, begin, end, l);
}

static bool match_line(const struct pattern *p, struct line l)
{
    const char *g = p->u.glob, *stop = g + p->len;

    for (;;) {
        const char *bar = memchr(g, OP_OR, (size_t)(stop - g));

        if (match_alternative(g, (size_t)((bar ? bar : stop) - g), l))
            return true;
        if (!bar)
            return false;
        g = bar + 1;
    }
}

bool glob_match(const struct pattern *p, const char *subject, size_t len)
{
    struct line l = { .s = subject, .first = true };

    while (!l.last) {
        const char *stop = subject + len, *nl = memchr(l.s, '\n', (size_t)(stop - l.s));

        l.last = !nl;
        l.len = (size_t)((nl ? nl : stop) - l.s);
        if (match_line(p, l))
            return true;
        if (nl)
            l.s = nl + 1;
        l.first = false;
    }
    return false;
}
