/* Any bytes as a JSON document, and as a string to be written: what is taken has tokens that fit
 * together, that are those of jsmn in strict mode, and reads the same after it was written again. */
#include <string.h>

#include "nefia/base/kconfig.h"
#include "nefia/json/json.h"

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wsign-conversion"
#define JSMN_STATIC
#define JSMN_STRICT
#define JSMN_PARENT_LINKS
#include <jsmn.h>
#pragma GCC diagnostic pop

#define MUST(condition)       \
    do {                      \
        if (!(condition))     \
            __builtin_trap(); \
    } while (0)

enum { TOKENS = 2048, DEPTH = 24, BYTES = 128 * 1024, INPUT = 16 * 1024 };

static struct json_token tokens[TOKENS], again_tokens[TOKENS];
static char out_buf[BYTES], string_buf[BYTES];

static void check_token(const struct json_doc *d, unsigned i, size_t size)
{
    const struct json_token *t = json_at(d, i);
    unsigned children = 0;

    MUST(t->start <= t->end && t->end <= size);
    MUST(t->next > i && t->next <= d->count);
    if (t->type != JSON_OBJECT && t->type != JSON_ARRAY) {
        MUST(t->next == i + 1 && t->size == 0);
        return;
    }
    for (unsigned k = i + 1; k < t->next; k = json_at(d, k)->next) {
        if (t->type == JSON_OBJECT) {
            MUST(json_at(d, k)->type == JSON_STRING && k + 1 < t->next);
            k++;
        }
        MUST(json_at(d, k)->end < t->end);
        children++;
    }
    MUST(children == t->size);
}

static int jsmn_type(const struct json_token *t)
{
    return t->type == JSON_OBJECT   ? JSMN_OBJECT
           : t->type == JSON_ARRAY  ? JSMN_ARRAY
           : t->type == JSON_STRING ? JSMN_STRING
                                    : JSMN_PRIMITIVE;
}

/** The reader of events refuses the same documents, and makes the same tokens. */
static void check_fast(const struct json_doc *d, int err, const char *text, size_t size)
{
    static struct json_token fast_tokens[TOKENS];
    struct json_doc fast;
    struct json_error e = {0};

    if (!IS_ENABLED(CONFIG_JSON_FAST))
        return;
    int fast_err = json_parse_fast(&fast, text, size, fast_tokens, TOKENS, DEPTH, &e);
    MUST((fast_err < 0) == (err < 0));
    if (err < 0) {
        MUST(e.what != NULL && e.line >= 1 && e.offset <= size);
        return;
    }
    MUST(fast.count == d->count);
    MUST(memcmp(fast_tokens, d->tokens, d->count * sizeof fast_tokens[0]) == 0);
}

/** jsmn makes the same of it; but it takes no document that is one number or word. */
static void check_against_jsmn(const struct json_doc *d, size_t size)
{
    static jsmntok_t theirs[TOKENS];
    jsmn_parser parser;

    if (jsmn_type(&d->tokens[0]) == JSMN_PRIMITIVE)
        return;
    jsmn_init(&parser);
    MUST(jsmn_parse(&parser, d->text, size, theirs, TOKENS) == (int)d->count);
    for (unsigned i = 0; i < d->count; i++) {
        const struct json_token *t = json_at(d, i);

        MUST((int)theirs[i].type == jsmn_type(t));
        MUST(theirs[i].start == (int)t->start && theirs[i].end == (int)t->end);
        /* To jsmn a name has its value as a child. */
        MUST(t->type == JSON_STRING || theirs[i].size == (int)t->size);
    }
}

/** Write the document again, token by token; end[] holds where the open containers end. */
static void rewrite(const struct json_doc *d, struct text *out)
{
    struct json_writer w;
    unsigned ends[DEPTH];
    const char *key = NULL;

    json_begin(&w, out);
    for (unsigned i = 0; i < d->count; i++) {
        const struct json_token *t = json_at(d, i);
        struct slice raw = json_raw(d, i);
        struct text s;
        text_init(&s, string_buf, sizeof string_buf);
        if (t->type == JSON_OBJECT) {
            json_object(&w, key);
        } else if (t->type == JSON_ARRAY) {
            json_array(&w, key);
        } else if (t->type == JSON_STRING) {
            MUST(json_string(d, i, &s) == 0 && utf8_valid(s.buf, s.len) && s.len <= raw.len);
            json_put_bytes(&w, key, s.buf, s.len);
        } else {
            json_put_raw(&w, key, raw.ptr, raw.len);
        }
        if (t->type <= JSON_ARRAY)
            ends[w.depth - 1] = t->next;
        while (w.depth > 0 && ends[w.depth - 1] == i + 1)
            json_end_array(&w);
    }
}

/** Names become elements here, so that they may hold anything; strings are what counts. */
static void check_again(const struct json_doc *d)
{
    struct json_doc again;
    struct text out;

    text_init(&out, out_buf, sizeof out_buf);
    for (unsigned i = 0; i < d->count; i++)
        if (tokens[i].type == JSON_OBJECT)
            tokens[i].type = JSON_ARRAY;
    rewrite(d, &out);
    MUST(!out.truncated);
    MUST(json_parse(&again, out.buf, out.len, again_tokens, TOKENS, DEPTH, NULL) == 0);
    MUST(again.count == d->count);
}

static void check_writer(const char *data, size_t size)
{
    struct json_doc d;
    struct text out, s;
    struct json_writer w;

    text_init(&out, out_buf, sizeof out_buf);
    json_begin(&w, &out);
    json_put_bytes(&w, NULL, data, size);
    MUST(!out.truncated && json_parse(&d, out.buf, out.len, tokens, TOKENS, 0, NULL) == 0);
    text_init(&s, string_buf, sizeof string_buf);
    MUST(json_string(&d, 0, &s) == 0);
    if (utf8_valid(data, size))
        MUST(s.len == size && memcmp(s.buf, data, size) == 0);
    for (size_t room = 0; room < 8; room++) {
        text_reset(&out);
        size_t taken = json_escape(&out, data, size, room);
        MUST(taken <= size && out.len <= room && utf8_valid(out.buf, out.len));
    }
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);
int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    const char *text = (const char *)data;
    struct json_doc d;
    struct json_error e = {0};

    if (size > INPUT)
        return 0;
    int err = json_parse(&d, text, size, tokens, TOKENS, DEPTH, &e);
    check_fast(&d, err, text, size);
    if (err < 0) {
        MUST(e.what != NULL && e.line >= 1 && e.offset <= size);
    } else {
        MUST(utf8_valid(text, size) && d.count >= 1);
        for (unsigned i = 0; i < d.count; i++)
            check_token(&d, i, size);
        check_against_jsmn(&d, size);
        check_again(&d);
    }
    check_writer(text, size);
    return 0;
}
