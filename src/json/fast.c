/* The tokens in the same pass that checks the grammar, for the hub's event path: what jsmn would
 * make of the document. That they are the same is what tests/fuzz/fuzz_json.c and test_json.c show.
 */
#include <string.h>

#include "scan.h"
#include "nefia/base/err.h"

static bool token_begin(struct json_scan *s, enum json_type type, const char *p)
{
    if (s->count == s->cap) {
        json_refuse(s, p, NEFIA_EFULL, "more values than there is room for");
        return false;
    }
    if (type == JSON_OBJECT || type == JSON_ARRAY)
        s->open[s->depth] = s->count;
    s->tokens[s->count] = (struct json_token){
        .type = (uint16_t)type, .start = (uint32_t)(p - s->text), .next = s->count + 1};
    s->count++;
    return true;
}

/* ---- duplicate members ---- */

static uint32_t hash_name(const char *text, const struct json_token *t)
{
    if (!t->escaped)
        return hash_bytes(HASH_START, text + t->start, t->end - t->start);
    struct json_unescape u = json_unescape_start(text, t);
    uint32_t h = HASH_START;
    char out[4];
    for (unsigned n; (n = json_unescape_next(&u, out)) > 0;)
        h = hash_bytes(h, out, n);
    return h;
}

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
                            (unsigned char)text[t->end - (len > 0)] * 3u) &
                           63);
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
            if (json_same_text(text, keys[j], key))
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
            if (tokens[k].next == hash && json_same_text(text, &tokens[k], key))
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

static const char *token_close(struct json_scan *s, const char *p)
{
    struct json_token *t = &s->tokens[s->open[s->depth]];
    const struct json_token *twice = NULL;

    t->end = (uint32_t)(p + 1 - s->text);
    t->next = s->count;
    if (t->type == JSON_OBJECT && t->size > 1)
        twice = t->size > FEW_MEMBERS ? duplicate_of_many(s->text, s->tokens, t)
                                      : duplicate_of_few(s->text, s->tokens, t);
    if (twice == NULL)
        return p + 1;
    return json_refuse(s, s->text + twice->start, NEFIA_EEXIST, "duplicate member");
}

int json_parse_fast(struct json_doc *d, const char *text, size_t len, struct json_token *tokens,
                    unsigned cap, unsigned max_depth, struct json_error *err)
{
    struct json_scan s; /* not cleared: `open` is filled as far as `depth` says */

    if (len > INT32_MAX)
        return json_failed(err, text, text, NEFIA_ETOOBIG, "a document beyond 2 GiB");
    json_scan_init(&s, text, len, max_depth);
    s.tokens = tokens;
    s.cap = cap;
    s.count = 0;
    s.token_begin = token_begin;
    s.token_close = token_close;
    if (json_scan(&s) < 0)
        return json_failed(err, text, s.at, s.err, s.what);
    *d = (struct json_doc){.text = text, .tokens = tokens, .count = s.count};
    return 0;
}
