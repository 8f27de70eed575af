#include <string.h>

#include "nefia/base/err.h"
#include "nefia/json/json.h"
#include "nefia/base/kconfig.h"

/* Of jsmn the tokens and what hands them out. Its scanner would be a second one over the same bytes,
 * and lets through what RFC 8259 forbids. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wsign-conversion"
#pragma GCC diagnostic ignored "-Wunused-function"
#define JSMN_STATIC
#define JSMN_STRICT
#define JSMN_PARENT_LINKS
#include <jsmn.h>
#pragma GCC diagnostic pop

_Static_assert(sizeof(struct json_token) == sizeof(jsmntok_t), "a token is one of jsmn's");
_Static_assert(offsetof(struct json_token, start) == offsetof(jsmntok_t, start), "start");
_Static_assert(offsetof(struct json_token, end) == offsetof(jsmntok_t, end), "end");
_Static_assert(offsetof(struct json_token, size) == offsetof(jsmntok_t, size), "size");
_Static_assert(offsetof(struct json_token, next) == offsetof(jsmntok_t, parent),
               "next over parent");

/* ---- the grammar: RFC 8259 sections 2 to 8 ---- */

struct scan {
    const char *text, *end;
    struct json_token *tokens;
    unsigned cap;
    jsmn_parser jsmn; /* how many tokens there are */
    uint32_t open[JSON_MAX_DEPTH]; /* containers whose end was not reached */
    unsigned depth, max_depth;
    int err;
    const char *at, *what; /* of the refusal */
};

static const char *refuse(struct scan *s, const char *at, int err, const char *what)
{
    s->err = err;
    s->at = at;
    s->what = IS_ENABLED(CONFIG_CONFIG_HINTS) ? what : err_text(err);
    return NULL;
}

static const char *refuse_syntax(struct scan *s, const char *at, const char *what)
{
    return refuse(s, at, NEFIA_ESYNTAX, at == s->end ? "the document ends too early" : what);
}

/** A token that begins at p. Return: null, refused, when there is no room. */
static struct json_token *add_token(struct scan *s, enum json_type type, const char *p)
{
    if (!jsmn_alloc_token(&s->jsmn, (jsmntok_t *)(void *)s->tokens, s->cap)) {
        refuse(s, p, NEFIA_EFULL, "more values than there is room for");
        return NULL;
    }
    struct json_token *t = &s->tokens[s->jsmn.toknext - 1];
    *t = (struct json_token){
        .type = (uint16_t)type, .start = (uint32_t)(p - s->text), .next = s->jsmn.toknext};
    return t;
}

static struct json_token *innermost(const struct scan *s)
{
    return &s->tokens[s->open[s->depth - 1]];
}

static bool in_object(const struct scan *s)
{
    return innermost(s)->type == JSON_OBJECT;
}

static const char *skip_space(const struct scan *s, const char *p)
{
    while (p < s->end && (*p == ' ' || *p == '\n' || *p == '\t' || *p == '\r'))
        p++;
    return p;
}

static bool is_digit(const struct scan *s, const char *p)
{
    return p < s->end && *p >= '0' && *p <= '9';
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/** Four digits at p, which has at least that many bytes: the code unit, or -1. */
static int32_t hex4(const char *p)
{
    int32_t v = 0;

    for (int i = 0; i < 4; i++) {
        int d = hex_digit(p[i]);
        if (d < 0)
            return -1;
        v = v << 4 | d;
    }
    return v;
}

/** \uXXXX from its `u`, with the low surrogate that a high one needs. */
static const char *scan_unicode(struct scan *s, const char *p)
{
    const char *digit = p + 1;

    for (; digit < p + 5; digit++)
        if (digit == s->end || hex_digit(*digit) < 0)
            return refuse_syntax(s, digit, "\\u without four hex digits");
    int32_t unit = hex4(p + 1);
    if (unit < 0xD800 || unit > 0xDFFF)
        return p + 5;
    if (unit > 0xDBFF || s->end - p < 11 || p[5] != '\\' || p[6] != 'u')
        return refuse(s, p, NEFIA_ESYNTAX, "a lone surrogate");
    int32_t low = hex4(p + 7);
    if (low < 0xDC00 || low > 0xDFFF)
        return refuse(s, p, NEFIA_ESYNTAX, "a lone surrogate");
    return p + 11;
}

static const char *scan_escape(struct scan *s, const char *p)
{
    if (p == s->end)
        return refuse_syntax(s, p, "");
    switch (*p) {
    case '"':
    case '\\':
    case '/':
    case 'b':
    case 'f':
    case 'n':
    case 'r':
    case 't':
        return p + 1;
    case 'u':
        return scan_unicode(s, p);
    default:
        return refuse_syntax(s, p, "an unknown escape");
    }
}

static bool is_plain(char c)
{
    return (unsigned char)c >= 0x20 && (unsigned char)c < 0x80 && c != '"' && c != '\\';
}

/** Behind the plain characters at p, eight at a time while there are as many: most of a document is
 * inside strings. A byte is not plain when its top bit is set, or when one of x - 0x20, (x ^ '"') - 1
 * and (x ^ '\\') - 1 borrows into it. A borrow goes up only, from a
 * byte that is not plain: the lowest found is true. */
static const char *skip_plain(const struct scan *s, const char *p)
{
    const uint64_t ones = UINT64_C(0x0101010101010101), tops = ones << 7;

    while (IS_ENABLED(CONFIG_JSON_FAST) && s->end - p >= 8) {
        uint64_t x;
        memcpy(&x, p, sizeof x);
        uint64_t quote = x ^ ones * '"', backslash = x ^ ones * '\\';
        uint64_t found = (x | (x - ones * 0x20) | (quote - ones) | (backslash - ones)) & tops;
        if (found && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__)
            return p + (__builtin_ctzll(found) >> 3);
        if (found)
            break;
        p += 8;
    }
    while (p < s->end && is_plain(*p))
        p++;
    return p;
}

/** A string from behind its opening quote to behind its closing one. */
static const char *scan_string(struct scan *s, const char *p)
{
    struct json_token *t = add_token(s, JSON_STRING, p);

    if (t == NULL)
        return NULL;
    for (;;) {
        p = skip_plain(s, p);
        if (p == s->end)
            return refuse_syntax(s, p, "");
        if (*p == '"') {
            t->end = (uint32_t)(p - s->text);
            return p + 1;
        }
        if (*p == '\\') {
            t->escaped = 1;
            p = scan_escape(s, p + 1);
            if (p == NULL)
                return NULL;
            continue;
        }
        if ((unsigned char)*p < 0x20)
            return refuse_syntax(s, p, "a control character in a string");
        int n = utf8_decode(p, (size_t)(s->end - p), NULL);
        if (n < 0)
            return refuse(s, p, NEFIA_EUTF8, "bytes that are not UTF-8");
        p += n;
    }
}

static const char *scan_digits(struct scan *s, const char *p)
{
    if (!is_digit(s, p))
        return refuse_syntax(s, p, "a number without the digits it needs");
    while (is_digit(s, p))
        p++;
    return p;
}

static const char *scan_number(struct scan *s, const char *p)
{
    if (*p == '-')
        p++;
    if (p < s->end && *p == '0') {
        p++;
        if (is_digit(s, p))
            return refuse_syntax(s, p, "a number with a leading zero");
    } else {
        p = scan_digits(s, p);
    }
    if (p != NULL && p < s->end && *p == '.')
        p = scan_digits(s, p + 1);
    if (p != NULL && p < s->end && (*p == 'e' || *p == 'E')) {
        p++;
        if (p < s->end && (*p == '+' || *p == '-'))
            p++;
        p = scan_digits(s, p);
    }
    return p;
}

static const char *scan_word(struct scan *s, const char *p, const char *word)
{
    for (; *word != '\0'; word++, p++)
        if (p == s->end || *p != *word)
            return refuse_syntax(s, p, "a word that is not true, false or null");
    return p;
}

/** word null: a number. */
static const char *scan_literal(struct scan *s, const char *p, enum json_type type,
                                const char *word)
{
    struct json_token *t = add_token(s, type, p);

    if (t == NULL)
        return NULL;
    p = word != NULL ? scan_word(s, p, word) : scan_number(s, p);
    if (p != NULL)
        t->end = (uint32_t)(p - s->text);
    return p;
}

static const char *scan_scalar(struct scan *s, const char *p)
{
    if (p == s->end)
        return refuse_syntax(s, p, "");
    switch (*p) {
    case '"':
        return scan_string(s, p + 1);
    case 't':
        return scan_literal(s, p, JSON_TRUE, "true");
    case 'f':
        return scan_literal(s, p, JSON_FALSE, "false");
    case 'n':
        return scan_literal(s, p, JSON_NULL, "null");
    default:
        if (*p == '-' || is_digit(s, p))
            return scan_literal(s, p, JSON_NUMBER, NULL);
        if ((unsigned char)*p >= 0x80)
            return refuse(s, p, utf8_valid(p, (size_t)(s->end - p)) ? NEFIA_ESYNTAX : NEFIA_EUTF8,
                          "bytes outside a string that are not ASCII");
        if (*p == ']' && s->depth > 0 && !in_object(s))
            return refuse_syntax(s, p, "a comma before ]");
        return refuse_syntax(s, p, "something that is no value");
    }
}

/** A member's name and colon, with the white space around them. */
static const char *scan_key(struct scan *s, const char *p)
{
    p = skip_space(s, p);
    if (p < s->end && *p == '}')
        return refuse_syntax(s, p, "a comma before }");
    if (p == s->end || *p != '"')
        return refuse_syntax(s, p, "a member without a name in quotes");
    innermost(s)->size++;
    p = scan_string(s, p + 1);
    if (p == NULL)
        return NULL;
    p = skip_space(s, p);
    if (p == s->end || *p != ':')
        return refuse_syntax(s, p, "a member name without a colon");
    return p + 1;
}

/* ---- strings that hold escapes ---- */

struct unescape {
    const char *p, *end;
};

static unsigned take_plain(struct unescape *u, char out[4])
{
    unsigned char lead = (unsigned char)*u->p;
    unsigned n = lead < 0x80 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;

    memcpy(out, u->p, n);
    u->p += n;
    return n;
}

/** The next character of a string that the grammar pass let through. Return: its bytes in out, 0 at
 * the end. */
static unsigned unescape_next(struct unescape *u, char out[4])
{
    static const char letters[] = "b\bf\fn\nr\rt\t";

    if (u->p == u->end)
        return 0;
    if (*u->p != '\\')
        return take_plain(u, out);
    char letter = u->p[1];
    u->p += 2;
    if (letter != 'u') {
        out[0] = letter;
        for (const char *l = letters; *l; l += 2)
            if (*l == letter)
                out[0] = l[1];
        return 1;
    }
    uint32_t cp = (uint32_t)hex4(u->p);
    u->p += 4;
    if (cp >= 0xD800 && cp <= 0xDBFF) {
        cp = 0x10000 + ((cp - 0xD800) << 10) + ((uint32_t)hex4(u->p + 2) - 0xDC00);
        u->p += 6;
    }
    return (unsigned)utf8_encode(cp, out);
}

static struct unescape unescape_start(const char *text, const struct json_token *t)
{
    return (struct unescape){text + t->start, text + t->end};
}

static uint32_t hash_name(const char *text, const struct json_token *t)
{
    if (!t->escaped)
        return hash_bytes(HASH_START, text + t->start, t->end - t->start);
    struct unescape u = unescape_start(text, t);
    uint32_t h = HASH_START;
    char out[4];
    for (unsigned n; (n = unescape_next(&u, out)) > 0;)
        h = hash_bytes(h, out, n);
    return h;
}

/** Are the unescaped bytes of a string these? */
static bool name_is(const char *text, const struct json_token *t, const char *s, size_t len)
{
    if (!t->escaped)
        return t->end - t->start == len && memcmp(text + t->start, s, len) == 0;
    struct unescape u = unescape_start(text, t);
    char out[4];
    for (unsigned n; (n = unescape_next(&u, out)) > 0; s += n, len -= n)
        if (n > len || memcmp(s, out, n) != 0)
            return false;
    return len == 0;
}

static bool same_name(const char *text, const struct json_token *a, const struct json_token *b)
{
    if (IS_ENABLED(CONFIG_JSON_FAST) && !b->escaped)
        return name_is(text, a, text + b->start, b->end - b->start);
    struct unescape ua = unescape_start(text, a), ub = unescape_start(text, b);
    char ca[4], cb[4];
    unsigned n;
    do {
        n = unescape_next(&ua, ca);
        if (unescape_next(&ub, cb) != n || memcmp(ca, cb, n) != 0)
            return false;
    } while (n > 0);
    return true;
}

/* ---- duplicate members ---- */

enum { FEW_MEMBERS = 16, BUCKETS = 256 };

static struct json_token *next_key(struct json_token *tokens, const struct json_token *key)
{
    return &tokens[key[1].next];
}

/** One bit out of 64 that equal names have in common; all of them for a name with escapes, which is
 * left to the comparison. */
static uint64_t name_bit(const char *text, const struct json_token *t)
{
    uint32_t len = t->end - t->start;

    if (t->escaped)
        return UINT64_MAX;
    /* Behind an empty name is its quote. */
    return UINT64_C(1) << ((len * 5 + (unsigned char)text[t->start] +
                            (unsigned char)text[t->end - (len > 0)] * 3u) & 63);
}

/** Return: the later one of two members with the same name, or null. */
static const struct json_token *duplicate_of_few(const char *text, struct json_token *tokens,
                                                 const struct json_token *object)
{
    const struct json_token *keys[FEW_MEMBERS], *key = object + 1;
    uint64_t bits = 0;

    for (unsigned i = 0; i < object->size; i++) {
        uint64_t bit = name_bit(text, key);
        for (unsigned j = 0; (bits & bit) != 0 && j < i; j++)
            if (same_name(text, keys[j], key))
                return key;
        bits |= bit;
        keys[i] = key;
        key = next_key(tokens, key);
    }
    return NULL;
}

/** The same for an object with many: keys in buckets by hash. The chain to the key before it goes
 * through `size` and its hash is kept in `next`, both put back after. */
static const struct json_token *duplicate_of_many(const char *text, struct json_token *tokens,
                                                  const struct json_token *object)
{
    uint32_t heads[BUCKETS] = {0}; /* 0, the root, is never a key */
    struct json_token *key = &tokens[object - tokens + 1];

    for (unsigned i = 0; i < object->size; i++) {
        uint32_t hash = hash_name(text, key);
        uint32_t *head = &heads[(hash ^ hash >> 16) % BUCKETS];
        for (uint32_t k = *head; k != 0; k = tokens[k].size)
            if (tokens[k].next == hash && same_name(text, &tokens[k], key))
                return key;
        key->next = hash;
        key->size = *head;
        *head = (uint32_t)(key - tokens);
        key = next_key(tokens, key);
    }
    key = &tokens[object - tokens + 1];
    for (unsigned i = 0; i < object->size; i++, key = next_key(tokens, key)) {
        key->size = 0;
        key->next = (uint32_t)(key - tokens) + 1;
    }
    return NULL;
}

/** The same without memory of its own: every pair is compared. */
static const struct json_token *duplicate_by_pairs(const char *text, struct json_token *tokens,
                                                   const struct json_token *object)
{
    const struct json_token *key = object + 1;

    for (unsigned i = 0; i < object->size; i++, key = next_key(tokens, key))
        for (const struct json_token *k = object + 1; k < key; k = next_key(tokens, k))
            if (same_name(text, k, key))
                return key;
    return NULL;
}

/* ---- values, and what is around them ---- */

static const struct json_token *find_duplicate(struct scan *s, const struct json_token *object)
{
    if (!IS_ENABLED(CONFIG_JSON_FAST))
        return duplicate_by_pairs(s->text, s->tokens, object);
    if (object->size > FEW_MEMBERS)
        return duplicate_of_many(s->text, s->tokens, object);
    return object->size > 1 ? duplicate_of_few(s->text, s->tokens, object) : NULL;
}

/** The innermost container ends with the bracket at p: all its names are known. */
static const char *end_container(struct scan *s, const char *p)
{
    struct json_token *t = innermost(s);
    const struct json_token *duplicate;

    s->depth--;
    t->end = (uint32_t)(p + 1 - s->text);
    t->next = s->jsmn.toknext;
    if (t->type != JSON_OBJECT || (duplicate = find_duplicate(s, t)) == NULL)
        return p + 1;
    return refuse(s, s->text + duplicate->start, NEFIA_EEXIST, "duplicate member");
}

/** Up to and with the next scalar or empty container, entering the containers on the way. */
static const char *scan_value(struct scan *s, const char *p)
{
    for (;;) {
        p = skip_space(s, p);
        if (s->depth > 0 && !in_object(s))
            innermost(s)->size++;
        if (p == s->end || (*p != '{' && *p != '['))
            return scan_scalar(s, p);
        if (s->depth == s->max_depth)
            return refuse(s, p, NEFIA_EDEPTH, "nested too deep");
        bool object = *p == '{';
        if (add_token(s, object ? JSON_OBJECT : JSON_ARRAY, p) == NULL)
            return NULL;
        s->open[s->depth++] = s->jsmn.toknext - 1;
        p = skip_space(s, p + 1);
        if (p < s->end && *p == (object ? '}' : ']'))
            return end_container(s, p);
        if (object)
            p = scan_key(s, p);
        if (p == NULL)
            return NULL;
    }
}

/** What may follow a value: containers that end, then a comma (and the name, in an object), or the
 * end at depth 0. */
static const char *scan_after(struct scan *s, const char *p)
{
    while (p != NULL && s->depth > 0) {
        p = skip_space(s, p);
        if (p < s->end && *p == ',')
            return in_object(s) ? scan_key(s, p + 1) : p + 1;
        if (in_object(s) && (p == s->end || *p != '}'))
            return refuse_syntax(s, p, "neither a comma nor } after a member");
        if (!in_object(s) && (p == s->end || *p != ']'))
            return refuse_syntax(s, p, "neither a comma nor ] after an element");
        p = end_container(s, p);
    }
    return p;
}

static void scan_document(struct scan *s, const char *p)
{
    if (s->end - p >= 3 && memcmp(p, "\xEF\xBB\xBF", 3) == 0) {
        refuse(s, p, NEFIA_ESYNTAX, "a byte order mark");
        return;
    }
    do {
        p = scan_value(s, p);
        if (p != NULL)
            p = scan_after(s, p);
    } while (p != NULL && s->depth > 0);
    if (p == NULL)
        return;
    p = skip_space(s, p);
    if (p != s->end)
        refuse_syntax(s, p, "text after the end of the document");
}

static int failed(struct json_error *err, const char *text, const char *at, int code,
                  const char *what)
{
    if (err == NULL)
        return code;
    *err = (struct json_error){.offset = (size_t)(at - text), .line = 1, .what = what};
    for (const char *p = text; p < at; p++)
        err->line += *p == '\n';
    return code;
}

int json_parse(struct json_doc *d, const char *text, size_t len, struct json_token *tokens,
               unsigned cap, unsigned max_depth, struct json_error *err)
{
    if (len > INT32_MAX)
        return failed(err, text, text, NEFIA_ETOOBIG, "a document beyond 2 GiB");
    struct scan s; /* not cleared: `open` is filled as far as `depth` says */
    s.text = text;
    s.end = text + len;
    s.tokens = tokens;
    s.cap = cap;
    jsmn_init(&s.jsmn);
    s.depth = 0;
    s.max_depth = max_depth < JSON_MAX_DEPTH ? max_depth : JSON_MAX_DEPTH;
    s.err = 0;
    scan_document(&s, text);
    if (s.err < 0)
        return failed(err, text, s.at, s.err, s.what);
    *d = (struct json_doc){.text = text, .tokens = tokens, .count = s.jsmn.toknext};
    return 0;
}

/* ---- asking a document ---- */

int json_member(const struct json_doc *d, unsigned object, const char *name)
{
    const struct json_token *t = &d->tokens[object];
    size_t len = strlen(name);
    uint32_t key = object + 1;

    if (t->type != JSON_OBJECT)
        return NEFIA_ENOTFOUND;
    for (uint32_t i = 0; i < t->size; i++) {
        if (name_is(d->text, &d->tokens[key], name, len))
            return (int)key + 1;
        key = d->tokens[key + 1].next;
    }
    return NEFIA_ENOTFOUND;
}

int json_string(const struct json_doc *d, unsigned i, struct text *t)
{
    const struct json_token *token = &d->tokens[i];

    if (token->type != JSON_STRING)
        return NEFIA_EINVAL;
    if (!token->escaped) {
        text_bytes(t, d->text + token->start, token->end - token->start);
        return t->truncated ? NEFIA_ETOOBIG : 0;
    }
    struct unescape u = unescape_start(d->text, token);
    char out[4];
    for (unsigned n; !t->truncated && (n = unescape_next(&u, out)) > 0;)
        text_bytes(t, out, n);
    return t->truncated ? NEFIA_ETOOBIG : 0;
}

size_t json_unescape(const struct json_doc *d, unsigned i, char *out)
{
    const struct json_token *token = &d->tokens[i];
    size_t len = 0;

    if (token->type != JSON_STRING)
        return 0;
    struct unescape u = unescape_start(d->text, token);
    char character[4];
    for (unsigned n; (n = unescape_next(&u, character)) > 0; len += n)
        memcpy(out + len, character, n);
    return len;
}

int json_i64(const struct json_doc *d, unsigned i, int64_t *out)
{
    struct slice raw = json_raw(d, i);

    if (d->tokens[i].type != JSON_NUMBER)
        return NEFIA_EINVAL;
    return parse_i64(raw.ptr, raw.len, out);
}
