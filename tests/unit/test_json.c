#include "check.h"
#include "nefia/base/err.h"
#include "nefia/base/kconfig.h"
#include "nefia/json/json.h"
#include "readfile.h"

enum { TOKENS = 4096, BYTES = 65536 };

static struct json_token tokens[TOKENS];
static char file[BYTES], big[BYTES], out_buf[BYTES], again_buf[BYTES], string_buf[BYTES];

static int parse(struct json_doc *d, const char *s)
{
    return json_parse(d, s, strlen(s), tokens, TOKENS, 16, NULL);
}

/** The reader of events gives the same result and the same tokens. */
static void check_fast(const struct json_doc *d, int result, unsigned cap, unsigned max_depth,
                       size_t len)
{
    static struct json_token fast_tokens[TOKENS];
    struct json_doc fast;

    if (!IS_ENABLED(CONFIG_JSON_FAST))
        return;
    CHECK_INT(json_parse_fast(&fast, d->text, len, fast_tokens, cap, max_depth, NULL), result);
    if (result == 0 && check_int(fast.count, d->count, __FILE__, __LINE__, "tokens"))
        CHECK(memcmp(fast_tokens, d->tokens, d->count * sizeof fast_tokens[0]) == 0);
}

/* ---- the golden documents ---- */

struct golden {
    const char *name, *verdict;
    char *doc;
    size_t len;
};

static unsigned hex_value(char c)
{
    return c <= '9' ? (unsigned)(c - '0') : (unsigned)(c - 'A' + 10);
}

/** Split a line at its first two spaces, and put the bytes of %XX in place. */
static int golden_line(char *line, struct golden *g)
{
    char *verdict = strchr(line, ' ');
    char *doc = verdict ? strchr(verdict + 1, ' ') : NULL;

    if (doc == NULL)
        return 0;
    *verdict = *doc = '\0';
    *g = (struct golden){.name = line, .verdict = verdict + 1, .doc = doc + 1};
    for (const char *from = g->doc; *from; g->len++) {
        if (*from == '%') {
            g->doc[g->len] = (char)(hex_value(from[1]) << 4 | hex_value(from[2]));
            from += 3;
        } else {
            g->doc[g->len] = *from++;
        }
    }
    return 1;
}

static void put_verdict(struct text *t, int err, const struct json_doc *d,
                        const struct json_error *e)
{
    static const char *const words[] = {[-NEFIA_ESYNTAX] = "syntax",
                                        [-NEFIA_EUTF8] = "utf8",
                                        [-NEFIA_EDEPTH] = "depth",
                                        [-NEFIA_EEXIST] = "twice"};

    if (err == 0) {
        text_u64(t, d->count);
        return;
    }
    text_str(t, words[-err]);
    text_char(t, '@');
    text_u64(t, e->offset);
}

/** Every string and key unescaped and escaped again, all else as it was. */
static void rewrite(const struct json_doc *d, unsigned i, struct json_writer *w, const char *key)
{
    const struct json_token *t = json_at(d, i);
    struct text s;

    if (t->type == JSON_OBJECT || t->type == JSON_ARRAY) {
        t->type == JSON_OBJECT ? json_object(w, key) : json_array(w, key);
        for (unsigned k = i + 1; k < t->next; k = json_at(d, k)->next) {
            char name[256];
            struct text n;
            text_init(&n, name, sizeof name);
            if (t->type == JSON_OBJECT)
                CHECK_INT(json_string(d, k++, &n), 0);
            rewrite(d, k, w, t->type == JSON_OBJECT ? name : NULL);
        }
        t->type == JSON_OBJECT ? json_end_object(w) : json_end_array(w);
    } else if (t->type == JSON_STRING) {
        text_init(&s, string_buf, sizeof string_buf);
        CHECK_INT(json_string(d, i, &s), 0);
        json_put_bytes(w, key, s.buf, s.len);
    } else {
        json_put_raw(w, key, json_raw(d, i).ptr, json_raw(d, i).len);
    }
}

/** What was read and written again reads the same, and is then written the same. */
static void check_round_trip(const struct json_doc *d)
{
    struct text first, second;
    struct json_writer w;
    struct json_doc again;
    unsigned count = d->count;

    text_init(&first, out_buf, sizeof out_buf);
    json_begin(&w, &first);
    rewrite(d, 0, &w, NULL);
    CHECK_INT(json_parse(&again, first.buf, first.len, tokens, TOKENS, 16, NULL), 0);
    CHECK_INT(again.count, count);
    text_init(&second, again_buf, sizeof again_buf);
    json_begin(&w, &second);
    rewrite(&again, 0, &w, NULL);
    CHECK_STR(second.buf, first.buf);
}

static unsigned check_golden(const char *path)
{
    unsigned documents = 0;
    char *at = file, verdict[32];
    struct text t;

    if (!check_true(read_file(path, file, sizeof file) > 0, __FILE__, __LINE__, path))
        return 0;
    for (char *line; (line = next_line(&at)) != NULL;) {
        struct golden g;
        struct json_doc d;
        struct json_error e = {0};
        if (line[0] == '#' || !golden_line(line, &g))
            continue;
        documents++;
        int err = json_parse(&d, g.doc, g.len, tokens, TOKENS, 16, &e);
        text_init(&t, verdict, sizeof verdict);
        put_verdict(&t, err, &d, &e);
        check_str(verdict, g.verdict, path, (int)documents, g.name);
        if (err == 0)
            check_round_trip(&d);
        else
            CHECK(e.what != NULL && e.what[0] != '\0' && e.line >= 1);
    }
    return documents;
}

TEST(takes_what_rfc_8259_allows)
{
    CHECK(check_golden("tests/golden/json/accept.txt") >= 90);
}
TEST(refuses_what_rfc_8259_forbids)
{
    CHECK(check_golden("tests/golden/json/refuse.txt") >= 150);
}
TEST(chooses_where_rfc_8259_leaves_it_open)
{
    CHECK(check_golden("tests/golden/json/choice.txt") >= 30);
}

/** Every proper prefix of a document in brackets is refused, with the buffer ending right there. */
TEST(refuses_every_prefix)
{
    static const char doc[] =
        "{\"a\":[1,-2.5e3,true,null,\"\\ud83d\\ude00\\n\xE2\x82\xAC\"],\"b\":{\"c\":{}}} ";
    struct json_doc d;
    struct json_error e;

    for (size_t len = 0; len < sizeof doc - 2; len++) {
        char *end = big + sizeof big - len; /* so that a sanitizer sees an over-read */
        memcpy(end, doc, len);
        CHECK(json_parse(&d, end, len, tokens, TOKENS, 16, &e) < 0);
        CHECK(e.offset <= len);
    }
    CHECK_INT(json_parse(&d, doc, sizeof doc - 2, tokens, TOKENS, 16, &e), 0);
}

/** Strings are scanned several bytes at a time: no byte may hide behind another. */
TEST(sees_every_byte_at_every_place_of_a_string)
{
    enum { LONGEST = 20 };
    struct json_doc d;
    struct json_error e;

    for (size_t len = 1; len <= LONGEST; len++) {
        for (size_t at = 0; at < len * 256; at++) {
            char doc[LONGEST + 4] = "[\"";
            size_t place = 2 + at / 256, size = len + 4, want = place;
            unsigned char c = (unsigned char)at;
            memset(doc + 2, 'a', len);
            memcpy(doc + 2 + len, "\"]", 2);
            doc[place] = (char)c;
            int err = json_parse(&d, doc, size, tokens, TOKENS, 1, &e);
            if (c == '"')
                want = place + 1;
            else if (c == '\\')
                want = place == len + 1 ? size : place + 1;
            else if (c >= 0x20 && c < 0x80)
                want = SIZE_MAX;
            CHECK_INT(err < 0, want != SIZE_MAX);
            if (err < 0)
                CHECK_INT(e.offset, want);
        }
    }
}

TEST(tells_the_line)
{
    static const char doc[] = "{\n\"a\": 1,\n\n\"b\": x\n}";
    struct json_doc d;
    struct json_error e;

    CHECK_INT(json_parse(&d, doc, sizeof doc - 1, tokens, TOKENS, 16, &e), NEFIA_ESYNTAX);
    CHECK_INT(e.line, 4);
    CHECK_INT(e.offset, 16);
}

/* ---- tokens ---- */

TEST(tokens_tell_types_sizes_and_nexts)
{
    struct json_doc d;

    REQUIRE(parse(&d, " {\"a\": [1, \"x\\n\", {}], \"b\": null, \"c\\t\": -0.5}") == 0);
    CHECK_INT(d.count, 10);
    CHECK_INT(json_at(&d, 0)->type, JSON_OBJECT);
    CHECK_INT(json_at(&d, 0)->size, 3);
    CHECK_INT(json_at(&d, 0)->next, 10);
    CHECK_INT(json_at(&d, 1)->next, 2);
    CHECK_INT(json_at(&d, 1)->size, 0);
    CHECK_INT(json_at(&d, 2)->type, JSON_ARRAY);
    CHECK_INT(json_at(&d, 2)->size, 3);
    CHECK_INT(json_at(&d, 2)->next, 6);
    CHECK_INT(json_at(&d, 3)->type, JSON_NUMBER);
    CHECK_INT(json_at(&d, 4)->escaped, 1);
    CHECK_INT(json_at(&d, 5)->type, JSON_OBJECT);
    CHECK_INT(json_at(&d, 5)->next, 6);
    CHECK_INT(json_at(&d, 7)->type, JSON_NULL);
    CHECK(slice_eq(json_raw(&d, 2), "[1, \"x\\n\", {}]"));
    CHECK(slice_eq(json_raw(&d, 9), "-0.5"));
    CHECK_INT(json_member(&d, 0, "a"), 2);
    CHECK_INT(json_member(&d, 0, "b"), 7);
    CHECK_INT(json_member(&d, 0, "c\t"), 9);
    CHECK_INT(json_member(&d, 0, "c\\t"), NEFIA_ENOTFOUND);
    CHECK_INT(json_member(&d, 0, "x\n"), NEFIA_ENOTFOUND);
    CHECK_INT(json_member(&d, 2, "a"), NEFIA_ENOTFOUND);
}

TEST(a_document_may_be_one_scalar)
{
    struct json_doc d;

    REQUIRE(parse(&d, " -12.5 ") == 0);
    CHECK_INT(d.count, 1);
    CHECK_INT(json_at(&d, 0)->type, JSON_NUMBER);
    CHECK_INT(json_at(&d, 0)->next, 1);
    CHECK(slice_eq(json_raw(&d, 0), "-12.5"));
    REQUIRE(parse(&d, "false") == 0);
    CHECK_INT(json_at(&d, 0)->type, JSON_FALSE);
}

TEST(more_values_than_tokens_is_full)
{
    struct json_doc d;

    CHECK_INT(json_parse(&d, "[1,2,3]", 7, tokens, 4, 16, NULL), 0);
    CHECK_INT(json_parse(&d, "[1,2,3]", 7, tokens, 3, 16, NULL), NEFIA_EFULL);
    CHECK_INT(json_parse(&d, "1", 1, tokens, 0, 16, NULL), NEFIA_EFULL);
}

TEST(depth_is_bounded_by_the_caller_and_by_64)
{
    struct json_doc d;
    struct text t;

    CHECK_INT(json_parse(&d, "1", 1, tokens, TOKENS, 0, NULL), 0);
    CHECK_INT(json_parse(&d, "[]", 2, tokens, TOKENS, 0, NULL), NEFIA_EDEPTH);
    CHECK_INT(json_parse(&d, "[[]]", 4, tokens, TOKENS, 1, NULL), NEFIA_EDEPTH);
    for (unsigned depth = 63; depth <= 65; depth++) {
        text_init(&t, big, sizeof big);
        for (unsigned i = 0; i < depth; i++)
            text_str(&t, i & 1 ? "{\"a\":" : "[");
        text_str(&t, "0");
        for (unsigned i = depth; i-- > 0;)
            text_str(&t, i & 1 ? "}" : "]");
        CHECK_INT(json_parse(&d, big, t.len, tokens, TOKENS, 1000, NULL),
                  depth > 64 ? NEFIA_EDEPTH : 0);
    }
}

/** {"k0":0,"k1":0,…}, with one name given again at the end if wanted. */
static size_t wide_object(unsigned members, const char *again)
{
    struct text t;

    text_init(&t, big, sizeof big);
    for (unsigned i = 0; i < members; i++) {
        text_str(&t, i ? ",\"k" : "{\"k");
        text_u64(&t, i);
        text_str(&t, "\":0");
    }
    if (again != NULL) {
        text_str(&t, ",\"");
        text_str(&t, again);
        text_str(&t, "\":0");
    }
    text_char(&t, '}');
    return t.len;
}

static int parse_wide(struct json_doc *d, unsigned members, const char *again)
{
    size_t len = wide_object(members, again);
    int result = json_parse(d, big, len, tokens, TOKENS, 16, NULL);

    *d = (struct json_doc){big, tokens, result == 0 ? d->count : 0};
    check_fast(d, result, TOKENS, 16, len);
    return result;
}

TEST(finds_the_duplicate_among_many)
{
    struct json_doc d;

    for (unsigned members = 14; members < 20; members++) {
        CHECK_INT(parse_wide(&d, members, NULL), 0);
        CHECK_INT(d.count, 1 + 2 * members);
        for (unsigned i = 0; i < members; i++) {
            CHECK_INT(json_at(&d, 1 + 2 * i)->next, 2 + 2 * i);
            CHECK_INT(json_at(&d, 1 + 2 * i)->size, 0);
        }
        CHECK_INT(parse_wide(&d, members, "k0"), NEFIA_EEXIST);
        CHECK_INT(parse_wide(&d, members, "\\u006b\\u0039"), NEFIA_EEXIST);
        CHECK_INT(parse_wide(&d, members, "k00"), 0);
    }
    CHECK_INT(parse_wide(&d, 1300, NULL), 0);
    CHECK_INT(parse_wide(&d, 1300, "k777"), NEFIA_EEXIST);
}

/* ---- values ---- */

TEST(unescapes_strings)
{
    struct json_doc d;
    struct text t;
    char buf[64];

    REQUIRE(parse(&d, "\"a\\u00e9\\ud83d\\ude00\\/\\\"\\\\\\b\\f\\n\\r\\t\xC3\xA9\"") == 0);
    text_init(&t, buf, sizeof buf);
    CHECK_INT(json_string(&d, 0, &t), 0);
    CHECK_STR(buf, "a\xC3\xA9\xF0\x9F\x98\x80/\"\\\b\f\n\r\t\xC3\xA9");
    CHECK_INT(json_unescape(&d, 0, string_buf), t.len);
    CHECK_MEM(string_buf, buf, t.len);
    REQUIRE(parse(&d, "\"a\\u0000b\"") == 0);
    text_reset(&t);
    CHECK_INT(json_string(&d, 0, &t), 0);
    CHECK_INT(t.len, 3);
    CHECK_MEM(buf, "a\0b", 4);
    REQUIRE(parse(&d, "17") == 0);
    CHECK_INT(json_string(&d, 0, &t), NEFIA_EINVAL);
}

TEST(a_string_that_does_not_fit_is_too_big)
{
    struct json_doc d;
    struct text t;
    char buf[6];

    REQUIRE(parse(&d, "\"abc\\u20ac\"") == 0);
    text_init(&t, buf, sizeof buf);
    CHECK_INT(json_string(&d, 0, &t), NEFIA_ETOOBIG);
    CHECK_STR(buf, "abc");
}

static int integer(const char *s, int64_t *v)
{
    struct json_doc d;

    *v = 0;
    return parse(&d, s) < 0 ? NEFIA_ESYNTAX : json_i64(&d, 0, v);
}

TEST(integers_only_where_they_are_integers)
{
    int64_t v;

    CHECK_INT(integer("-12", &v), 0);
    CHECK_INT(v, -12);
    CHECK_INT(integer("-0", &v), 0);
    CHECK_INT(v, 0);
    CHECK_INT(integer("9223372036854775807", &v), 0);
    CHECK_INT(v, INT64_MAX);
    CHECK_INT(integer("-9223372036854775808", &v), 0);
    CHECK_INT(v, INT64_MIN);
    CHECK_INT(integer("9223372036854775808", &v), NEFIA_ETOOBIG);
    CHECK_INT(integer("1.0", &v), NEFIA_EINVAL);
    CHECK_INT(integer("1e2", &v), NEFIA_EINVAL);
    CHECK_INT(integer("\"1\"", &v), NEFIA_EINVAL);
    CHECK_INT(integer("null", &v), NEFIA_EINVAL);
}

/* ---- writer ---- */

TEST(writes_every_kind_of_value)
{
    struct text t;
    struct json_writer w;

    text_init(&t, out_buf, sizeof out_buf);
    json_begin(&w, &t);
    json_object(&w, NULL);
    json_put_string(&w, "s", "x\"\\/\n\x01\x7F\xC2\x80\xC2\x9B" "1\xC2\xA0\xC2");
    json_put_i64(&w, "i", INT64_MIN);
    json_put_u64(&w, "u", UINT64_MAX);
    json_put_bool(&w, "t", true);
    json_put_bool(&w, "f", false);
    json_put_time(&w, "at", 1773156600);
    json_put_hex(&w, "h", (const uint8_t *)"\x0f\xa0", 2);
    json_put_hex64(&w, "id", 0xfe);
    json_put_null(&w, "n");
    json_array(&w, "a");
    json_array(&w, NULL);
    json_end_array(&w);
    json_object(&w, NULL);
    json_end_object(&w);
    json_put_i64(&w, NULL, 1);
    json_put_raw(&w, NULL, "[2,3]", 5);
    json_end_array(&w);
    json_put_string(&w, "k\n", "");
    json_end_object(&w);
    CHECK(!t.truncated);
    CHECK_STR(
        out_buf,
        "{\"s\":\"x\\\"\\\\/\\n\\u0001\\u007f\\u0080\\u009b1\xC2\xA0\xEF\xBF\xBD\",\"i\":-9223372036854775808,\"u\":18446744073709551615,"
        "\"t\":true,\"f\":false,\"at\":\"2026-03-10T15:30:00Z\",\"h\":\"0fa0\",\"id\":\"00000000000000fe\",\"n\":null,\"a\":[[],{},1,[2,3]],\"k\\n\":\"\"}");
}

TEST(writes_any_bytes_as_valid_json)
{
    struct text t;
    struct json_writer w;
    struct json_doc d;
    char bytes[256];

    for (unsigned i = 0; i < 256; i++)
        bytes[i] = (char)i;
    for (size_t from = 0; from < 256; from++) {
        text_init(&t, out_buf, sizeof out_buf);
        json_begin(&w, &t);
        json_put_bytes(&w, NULL, bytes + from, 256 - from);
        CHECK(!t.truncated);
        CHECK_INT(json_parse(&d, t.buf, t.len, tokens, TOKENS, 16, NULL), 0);
    }
    text_init(&t, out_buf, sizeof out_buf);
    json_escape(&t, "a\xFF\xC3\x28\xED\xA0\x80z", 8, 100);
    CHECK_STR(out_buf, "a\xEF\xBF\xBD\xEF\xBF\xBD(\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBDz");
}

TEST(escapes_within_the_room_given)
{
    static const char s[] = "ab\x01\xE2\x82\xAC\"c";
    static const size_t taken[] = {0, 1, 2, 2, 2, 2, 2, 2, 3, 3, 3, 6, 6, 7, 8, 8};
    struct text t;

    for (size_t room = 0; room < ARRAY_SIZE(taken); room++) {
        text_init(&t, out_buf, sizeof out_buf);
        CHECK_INT(json_escape(&t, s, sizeof s - 1, room), taken[room]);
        CHECK(t.len <= room);
        CHECK(utf8_valid(t.buf, t.len));
        CHECK(!t.truncated);
    }
}

TEST(a_full_builder_is_truncated)
{
    struct text t;
    struct json_writer w;
    char buf[32];

    for (size_t cap = 1; cap <= 20; cap++) {
        text_init(&t, buf, cap);
        json_begin(&w, &t);
        json_object(&w, NULL);
        json_put_string(&w, "key", "value\x01");
        json_end_object(&w);
        CHECK(t.truncated); /* {"key":"value\u0001"} needs 22 with its NUL */
        CHECK(t.len < cap);
    }
}

TEST(nesting_beyond_the_bound_is_truncation)
{
    struct text t;
    struct json_writer w;
    struct json_doc d;

    for (unsigned depth = 30; depth <= 40; depth++) {
        text_init(&t, out_buf, sizeof out_buf);
        json_begin(&w, &t);
        for (unsigned i = 0; i < depth; i++)
            json_array(&w, NULL);
        for (unsigned i = 0; i < depth; i++)
            json_end_array(&w);
        CHECK_INT(t.truncated, depth > 31);
        if (!t.truncated)
            CHECK_INT(json_parse(&d, t.buf, t.len, tokens, TOKENS, 64, NULL), 0);
    }
    text_init(&t, out_buf, sizeof out_buf);
    json_begin(&w, &t);
    json_end_object(&w);
    CHECK(t.truncated);
}

TEST_MAIN(takes_what_rfc_8259_allows, refuses_what_rfc_8259_forbids,
          chooses_where_rfc_8259_leaves_it_open, refuses_every_prefix,
          sees_every_byte_at_every_place_of_a_string, tells_the_line,
          tokens_tell_types_sizes_and_nexts, a_document_may_be_one_scalar,
          more_values_than_tokens_is_full, depth_is_bounded_by_the_caller_and_by_64,
          finds_the_duplicate_among_many, unescapes_strings, a_string_that_does_not_fit_is_too_big,
          integers_only_where_they_are_integers, writes_every_kind_of_value,
          writes_any_bytes_as_valid_json, escapes_within_the_room_given, a_full_builder_is_truncated,
          nesting_beyond_the_bound_is_truncation)
