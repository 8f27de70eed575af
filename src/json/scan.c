#include "scan.h"

#include <string.h>

#include "nefia/base/err.h"

void json_scan_init(struct json_scan *s, const char *text, size_t len, unsigned max_depth)
{
    s->text = text;
    s->end = text + len;
    s->objects = 0;
    s->depth = 0;
    s->max_depth = max_depth < JSON_MAX_DEPTH ? max_depth : JSON_MAX_DEPTH;
    s->err = 0;
    s->tokens = NULL;
}

/* ---- tokens as the pass goes ---- */

static bool makes_tokens(const struct json_scan *s)
{
    return IS_ENABLED(CONFIG_JSON_FAST) && s->tokens != NULL;
}

static bool begin(struct json_scan *s, enum json_type type, const char *p)
{
    return !makes_tokens(s) || s->token_begin(s, type, p);
}

/** A scalar, which has no tokens inside it, ends before p. */
static void end_scalar(struct json_scan *s, const char *p)
{
    if (makes_tokens(s))
        s->tokens[s->count - 1].end = (uint32_t)(p - s->text);
}

static void count_child(struct json_scan *s)
{
    if (makes_tokens(s))
        s->tokens[s->open[s->depth - 1]].size++;
}

/* ---- the grammar: RFC 8259 sections 2 to 8 ---- */

const char *json_refuse(struct json_scan *s, const char *at, int err, const char *what)
{
    s->err = err;
    s->at = at;
    s->what = IS_ENABLED(CONFIG_CONFIG_HINTS) ? what : err_text(err);
    return NULL;
}

static const char *refuse_syntax(struct json_scan *s, const char *at, const char *what)
{
    return json_refuse(s, at, NEFIA_ESYNTAX, at == s->end ? "the document ends too early" : what);
}

static bool in_object(const struct json_scan *s)
{
    return s->objects >> (s->depth - 1) & 1;
}

static const char *skip_space(const struct json_scan *s, const char *p)
{
    while (p < s->end && (*p == ' ' || *p == '\n' || *p == '\t' || *p == '\r'))
        p++;
    return p;
}

static bool is_digit(const struct json_scan *s, const char *p)
{
    return p < s->end && *p >= '0' && *p <= '9';
}

int32_t json_hex4(const char *p)
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
static const char *scan_unicode(struct json_scan *s, const char *p)
{
    const char *digit = p + 1;

    for (; digit < p + 5; digit++)
        if (digit == s->end || hex_digit(*digit) < 0)
            return refuse_syntax(s, digit, "\\u without four hex digits");
    int32_t unit = json_hex4(p + 1);
    if (unit < 0xD800 || unit > 0xDFFF)
        return p + 5;
    if (unit > 0xDBFF || s->end - p < 11 || p[5] != '\\' || p[6] != 'u')
        return json_refuse(s, p, NEFIA_ESYNTAX, "a lone surrogate");
    int32_t low = json_hex4(p + 7);
    if (low < 0xDC00 || low > 0xDFFF)
        return json_refuse(s, p, NEFIA_ESYNTAX, "a lone surrogate");
    return p + 11;
}

static const char *scan_escape(struct json_scan *s, const char *p)
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
 * inside strings. A byte is not plain when its top bit is set, or when one of x - 0x20, (x ^ '"') -
 * 1 and (x ^ '\\') - 1 borrows into it. A borrow goes up only, from a byte that is not plain: the
 * lowest found is true. */
static const char *skip_plain(const struct json_scan *s, const char *p)
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
static const char *scan_string(struct json_scan *s, const char *p)
{
    if (!begin(s, JSON_STRING, p))
        return NULL;
    for (;;) {
        p = skip_plain(s, p);
        if (p == s->end)
            return refuse_syntax(s, p, "");
        if (*p == '"') {
            end_scalar(s, p);
            return p + 1;
        }
        if (*p == '\\') {
            if (makes_tokens(s))
                s->tokens[s->count - 1].escaped = 1;
            p = scan_escape(s, p + 1);
            if (p == NULL)
                return NULL;
            continue;
        }
        if ((unsigned char)*p < 0x20)
            return refuse_syntax(s, p, "a control character in a string");
        int n = utf8_decode(p, (size_t)(s->end - p), NULL);
        if (n < 0)
            return json_refuse(s, p, NEFIA_EUTF8, "bytes that are not UTF-8");
        p += n;
    }
}

static const char *scan_digits(struct json_scan *s, const char *p)
{
    if (!is_digit(s, p))
        return refuse_syntax(s, p, "a number without the digits it needs");
    while (is_digit(s, p))
        p++;
    return p;
}

static const char *scan_number(struct json_scan *s, const char *p)
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

static const char *scan_word(struct json_scan *s, const char *p, const char *word)
{
    for (; *word != '\0'; word++, p++)
        if (p == s->end || *p != *word)
            return refuse_syntax(s, p, "a word that is not true, false or null");
    return p;
}

/** word null: a number. */
static const char *scan_literal(struct json_scan *s, const char *p, enum json_type type,
                                const char *word)
{
    if (!begin(s, type, p))
        return NULL;
    p = word != NULL ? scan_word(s, p, word) : scan_number(s, p);
    if (p != NULL)
        end_scalar(s, p);
    return p;
}

static const char *scan_scalar(struct json_scan *s, const char *p)
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
            return json_refuse(s, p,
                               utf8_valid(p, (size_t)(s->end - p)) ? NEFIA_ESYNTAX : NEFIA_EUTF8,
                               "bytes outside a string that are not ASCII");
        if (*p == ']' && s->depth > 0 && !in_object(s))
            return refuse_syntax(s, p, "a comma before ]");
        return refuse_syntax(s, p, "something that is no value");
    }
}

/** A member's name and colon, with the white space around them. */
static const char *scan_key(struct json_scan *s, const char *p)
{
    p = skip_space(s, p);
    if (p < s->end && *p == '}')
        return refuse_syntax(s, p, "a comma before }");
    if (p == s->end || *p != '"')
        return refuse_syntax(s, p, "a member without a name in quotes");
    count_child(s);
    p = scan_string(s, p + 1);
    if (p == NULL)
        return NULL;
    p = skip_space(s, p);
    if (p == s->end || *p != ':')
        return refuse_syntax(s, p, "a member name without a colon");
    return p + 1;
}

/* ---- values, and what is around them ---- */

static const char *end_container(struct json_scan *s, const char *p)
{
    s->depth--;
    return makes_tokens(s) ? s->token_close(s, p) : p + 1;
}

/** Up to and with the next scalar or empty container, entering the containers on the way. */
static const char *scan_value(struct json_scan *s, const char *p)
{
    for (;;) {
        p = skip_space(s, p);
        if (s->depth > 0 && !in_object(s))
            count_child(s);
        if (p == s->end || (*p != '{' && *p != '['))
            return scan_scalar(s, p);
        if (s->depth == s->max_depth)
            return json_refuse(s, p, NEFIA_EDEPTH, "nested too deep");
        bool object = *p == '{';
        if (!begin(s, object ? JSON_OBJECT : JSON_ARRAY, p))
            return NULL;
        s->objects = (s->objects & ~(UINT64_C(1) << s->depth)) | (uint64_t)object << s->depth;
        s->depth++;
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
static const char *scan_after(struct json_scan *s, const char *p)
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

int json_scan(struct json_scan *s)
{
    const char *p = s->text;

    if (s->end - p >= 3 && memcmp(p, "\xEF\xBB\xBF", 3) == 0) {
        json_refuse(s, p, NEFIA_ESYNTAX, "a byte order mark");
        return s->err;
    }
    do {
        p = scan_value(s, p);
        if (p != NULL)
            p = scan_after(s, p);
    } while (p != NULL && s->depth > 0);
    if (p == NULL)
        return s->err;
    p = skip_space(s, p);
    if (p != s->end)
        refuse_syntax(s, p, "text after the end of the document");
    return s->err;
}

int json_failed(struct json_error *err, const char *text, const char *at, int code,
                const char *what)
{
    if (err == NULL)
        return code;
    *err = (struct json_error){.offset = (size_t)(at - text), .line = 1, .what = what};
    for (const char *p = text; p < at; p++)
        err->line += *p == '\n';
    return code;
}
