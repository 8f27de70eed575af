#include <string.h>

#include "scan.h"
#include "nefia/base/err.h"

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wsign-conversion"
#define JSMN_STATIC
#define JSMN_STRICT
#define JSMN_PARENT_LINKS
#include <jsmn.h>
#pragma GCC diagnostic pop

_Static_assert(sizeof(struct json_token) == sizeof(jsmntok_t), "a token takes the place of jsmn's");

/* ---- strings that hold escapes ---- */

static unsigned take_plain(struct json_unescape *u, char out[4])
{
    unsigned char lead = (unsigned char)*u->p;
    unsigned n = lead < 0x80 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;

    memcpy(out, u->p, n);
    u->p += n;
    return n;
}

unsigned json_unescape_next(struct json_unescape *u, char out[4])
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
    uint32_t cp = (uint32_t)json_hex4(u->p);
    u->p += 4;
    if (cp >= 0xD800 && cp <= 0xDBFF) {
        cp = 0x10000 + ((cp - 0xD800) << 10) + ((uint32_t)json_hex4(u->p + 2) - 0xDC00);
        u->p += 6;
    }
    return (unsigned)utf8_encode(cp, out);
}

struct json_unescape json_unescape_start(const char *text, const struct json_token *t)
{
    return (struct json_unescape){text + t->start, text + t->end};
}

/** Are the unescaped bytes of a string these? */
static bool name_is(const char *text, const struct json_token *t, const char *s, size_t len)
{
    if (!t->escaped)
        return t->end - t->start == len && memcmp(text + t->start, s, len) == 0;
    struct json_unescape u = json_unescape_start(text, t);
    char out[4];
    for (unsigned n; (n = json_unescape_next(&u, out)) > 0; s += n, len -= n)
        if (n > len || memcmp(s, out, n) != 0)
            return false;
    return len == 0;
}

bool json_same_text(const char *text, const struct json_token *a, const struct json_token *b)
{
    if (IS_ENABLED(CONFIG_JSON_FAST) && !b->escaped)
        return name_is(text, a, text + b->start, b->end - b->start);
    struct json_unescape ua = json_unescape_start(text, a), ub = json_unescape_start(text, b);
    char ca[4], cb[4];
    unsigned n;
    do {
        n = json_unescape_next(&ua, ca);
        if (json_unescape_next(&ub, cb) != n || memcmp(ca, cb, n) != 0)
            return false;
    } while (n > 0);
    return true;
}

/* ---- duplicate members ---- */

static struct json_token *next_key(struct json_token *tokens, const struct json_token *key)
{
    return &tokens[key[1].next];
}

/** Return: the later one of two members of an object with the same name, or null. */
static const struct json_token *find_duplicate(const char *text, struct json_token *tokens,
                                               const struct json_token *object)
{
    const struct json_token *key = object + 1;

    for (unsigned i = 0; i < object->size; i++, key = next_key(tokens, key))
        for (const struct json_token *k = object + 1; k < key; k = next_key(tokens, k))
            if (json_same_text(text, k, key))
                return key;
    return NULL;
}

/* ---- from jsmn's tokens to ours, in their place ---- */

static enum json_type type_of(const char *text, const jsmntok_t *t)
{
    if (t->type == JSMN_OBJECT || t->type == JSMN_ARRAY)
        return t->type == JSMN_OBJECT ? JSON_OBJECT : JSON_ARRAY;
    if (t->type == JSMN_STRING)
        return JSON_STRING;
    switch (text[t->start]) {
    case 't':
        return JSON_TRUE;
    case 'f':
        return JSON_FALSE;
    case 'n':
        return JSON_NULL;
    default:
        return JSON_NUMBER;
    }
}

/** What comes after token i is converted already. */
static void convert(const char *text, struct json_token *tokens, unsigned i)
{
    jsmntok_t theirs;
    struct json_token *t = &tokens[i];

    memcpy(&theirs, t, sizeof theirs);
    *t = (struct json_token){.type = (uint16_t)type_of(text, &theirs),
                             .start = (uint32_t)theirs.start,
                             .end = (uint32_t)theirs.end,
                             .next = i + 1};
    if (t->type == JSON_STRING)
        t->escaped = memchr(text + t->start, '\\', t->end - t->start) != NULL;
    if (t->type != JSON_OBJECT && t->type != JSON_ARRAY)
        return; /* to jsmn a name has its value as a child */
    t->size = (uint32_t)theirs.size;
    for (unsigned k = 0; k < t->size; k++)
        t->next = tokens[t->next + (t->type == JSON_OBJECT)].next;
}

/** Return: how many tokens, or a negative error of jsmn. In strict mode jsmn takes no document that
 * is one number or word: that token is made here. */
static int tokenise(jsmn_parser *jsmn, const struct json_scan *s, jsmntok_t *tokens, unsigned cap)
{
    const char *p = s->text, *end = s->end;

    jsmn_init(jsmn);
    while (strchr(" \t\r\n", *p) != NULL)
        p++;
    if (*p == '{' || *p == '[' || *p == '"')
        return jsmn_parse(jsmn, s->text, (size_t)(end - s->text), tokens, cap);
    while (strchr(" \t\r\n", end[-1]) != NULL)
        end--;
    if (cap == 0)
        return JSMN_ERROR_NOMEM;
    tokens[0] = (jsmntok_t){
        .type = JSMN_PRIMITIVE, .start = (int)(p - s->text), .end = (int)(end - s->text)};
    return 1;
}

int json_parse_lax(struct json_doc *d, const char *text, size_t len, struct json_token *tokens,
                   unsigned cap, unsigned max_depth, struct json_error *err)
{
    struct json_scan s;
    jsmn_parser jsmn;

    if (len > INT32_MAX)
        return json_failed(err, text, text, NEFIA_ETOOBIG, "a document beyond 2 GiB");
    json_scan_init(&s, text, len, max_depth);
    if (json_scan(&s) < 0)
        return json_failed(err, text, s.at, s.err, s.what);
    int count = tokenise(&jsmn, &s, (jsmntok_t *)(void *)tokens, cap);
    if (count < 0)
        return json_failed(err, text, text + jsmn.pos, NEFIA_EFULL,
                           "more values than there is room for");
    for (unsigned i = (unsigned)count; i-- > 0;)
        convert(text, tokens, i);
    *d = (struct json_doc){.text = text, .tokens = tokens, .count = (unsigned)count};
    return 0;
}

int json_parse(struct json_doc *d, const char *text, size_t len, struct json_token *tokens,
               unsigned cap, unsigned max_depth, struct json_error *err)
{
    int failed = json_parse_lax(d, text, len, tokens, cap, max_depth, err);

    if (failed < 0)
        return failed;
    for (unsigned i = 0; i < d->count; i++) {
        const struct json_token *twice =
            tokens[i].type == JSON_OBJECT ? find_duplicate(text, tokens, &tokens[i]) : NULL;
        if (twice != NULL)
            return json_failed(err, text, text + twice->start, NEFIA_EEXIST, "duplicate member");
    }
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
    struct json_unescape u = json_unescape_start(d->text, token);
    char out[4];
    for (unsigned n; !t->truncated && (n = json_unescape_next(&u, out)) > 0;)
        text_bytes(t, out, n);
    return t->truncated ? NEFIA_ETOOBIG : 0;
}

size_t json_unescape(const struct json_doc *d, unsigned i, char *out)
{
    const struct json_token *token = &d->tokens[i];
    size_t len = 0;

    if (token->type != JSON_STRING)
        return 0;
    struct json_unescape u = json_unescape_start(d->text, token);
    char character[4];
    for (unsigned n; (n = json_unescape_next(&u, character)) > 0; len += n)
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
