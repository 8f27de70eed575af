#include <string.h>

#include "nefia/json/json.h"

enum { MOST_DEEP = 31 }; /* need_comma has a bit for each depth, the root's included */

static bool is_plain(unsigned char c)
{
    return c >= 0x20 && c < 0x7F && c != '"' && c != '\\';
}

/** The controls U+0080 to U+009F in UTF-8. Terminals obey them as they obey ESC, and events are printed as they are. */
static bool is_upper_control(const char *s, size_t len)
{
    return len > 1 && (unsigned char)s[0] == 0xC2 && (s[1] & 0xE0) == 0x80;
}

/** How many bytes at s stand for themselves in a JSON string. */
static size_t plain_run(const char *s, size_t len)
{
    size_t i = 0;

    while (i < len) {
        unsigned char c = (unsigned char)s[i];
        if (is_plain(c)) {
            i++;
            continue;
        }
        int n = c < 0x80 || is_upper_control(s + i, len - i) ? -1 : utf8_decode(s + i, len - i, NULL);
        if (n < 0)
            break;
        i += (size_t)n;
    }
    return i;
}

/** The escape for what does not stand for itself: a control, a byte that needs one, or one that is not UTF-8. Return: its length. */
static size_t escape(const char *s, bool upper_control, char out[6])
{
    static const char shorts[] = "\"\"\\\\\bb\ff\nn\rr\tt"; /* byte, letter */
    static const char digits[] = "0123456789abcdef";
    const unsigned char c = (unsigned char)s[upper_control];

    if (c >= 0x80 && !upper_control) {
        memcpy(out, "\xEF\xBF\xBD", 3); /* U+FFFD: not UTF-8 */
        return 3;
    }
    out[0] = '\\';
    for (const char *at = shorts; *at; at += 2) {
        if ((unsigned char)*at == c) {
            out[1] = at[1];
            return 2;
        }
    }
    memcpy(out + 1, "u00", 3);
    out[4] = digits[c >> 4];
    out[5] = digits[c & 15];
    return 6;
}

size_t json_escape(struct text *t, const char *s, size_t len, size_t room)
{
    size_t i = 0;

    while (i < len && !t->truncated) {
        size_t run = plain_run(s + i, len - i);
        if (run > 0) {
            size_t n = utf8_cut(s + i, run, room);
            text_bytes(t, s + i, n);
            i += n;
            room -= n;
            if (n < run)
                break;
            continue;
        }
        const bool upper = is_upper_control(s + i, len - i);
        char buf[6];
        size_t n = escape(s + i, upper, buf);
        if (n > room)
            break;
        text_bytes(t, buf, n);
        room -= n;
        i += 1 + upper;
    }
    return i;
}

static void put_quoted(struct text *t, const char *s, size_t len)
{
    text_char(t, '"');
    json_escape(t, s, len, SIZE_MAX);
    text_char(t, '"');
}

/** What goes before any value: the comma, and the name of a member. */
static void put_start(struct json_writer *w, const char *key)
{
    uint32_t bit = UINT32_C(1) << w->depth;

    if (w->depth > 0 && w->need_comma & bit)
        text_char(w->out, ',');
    w->need_comma |= bit;
    if (key != NULL) {
        put_quoted(w->out, key, strlen(key));
        text_char(w->out, ':');
    }
}

static void put_open(struct json_writer *w, const char *key, char bracket)
{
    put_start(w, key);
    if (w->depth == MOST_DEEP) {
        w->out->truncated = true;
        return;
    }
    w->depth++;
    w->need_comma &= ~(UINT32_C(1) << w->depth);
    text_char(w->out, bracket);
}

static void put_close(struct json_writer *w, char bracket)
{
    if (w->depth == 0) {
        w->out->truncated = true;
        return;
    }
    w->depth--;
    text_char(w->out, bracket);
}

void json_begin(struct json_writer *w, struct text *out)
{
    *w = (struct json_writer){.out = out};
}

void json_object(struct json_writer *w, const char *key)
{
    put_open(w, key, '{');
}

void json_array(struct json_writer *w, const char *key)
{
    put_open(w, key, '[');
}

void json_end_object(struct json_writer *w)
{
    put_close(w, '}');
}

void json_end_array(struct json_writer *w)
{
    put_close(w, ']');
}

void json_put_bytes(struct json_writer *w, const char *key, const char *s, size_t len)
{
    put_start(w, key);
    put_quoted(w->out, s, len);
}

void json_put_string(struct json_writer *w, const char *key, const char *s)
{
    json_put_bytes(w, key, s, strlen(s));
}

void json_put_i64(struct json_writer *w, const char *key, int64_t v)
{
    put_start(w, key);
    text_i64(w->out, v);
}

void json_put_u64(struct json_writer *w, const char *key, uint64_t v)
{
    put_start(w, key);
    text_u64(w->out, v);
}

void json_put_raw(struct json_writer *w, const char *key, const char *json, size_t len)
{
    put_start(w, key);
    text_bytes(w->out, json, len);
}

void json_put_bool(struct json_writer *w, const char *key, bool v)
{
    json_put_raw(w, key, v ? "true" : "false", v ? 4 : 5);
}

void json_put_time(struct json_writer *w, const char *key, int64_t unix_s)
{
    char buf[32];
    struct text t;

    text_init(&t, buf, sizeof buf);
    text_rfc3339(&t, unix_s);
    json_put_bytes(w, key, t.buf, t.len);
}

void json_put_hex(struct json_writer *w, const char *key, const uint8_t *bytes, size_t len)
{
    char buf[2 * 32 + 1];
    struct text t;

    text_init(&t, buf, sizeof buf);
    text_hex(&t, bytes, len);
    json_put_bytes(w, key, t.buf, t.len);
}

void json_put_hex64(struct json_writer *w, const char *key, uint64_t v)
{
    uint8_t bytes[8];

    put_be64(bytes, v);
    json_put_hex(w, key, bytes, sizeof bytes);
}

void json_put_null(struct json_writer *w, const char *key)
{
    json_put_raw(w, key, "null", 4);
}
