#include "nefia/base/text.h"

#include <string.h>

#include "nefia/base/err.h"

enum { SECONDS_A_DAY = 86400, MOST_DAYS = 366, EPOCH_YEAR = 1970, EPOCH_DAY = 719528 };
/* 9999-12-31T23:59:59Z: the last second RFC 3339 can express. */
#define LAST_SECOND INT64_C(253402300799)

void text_init(struct text *t, char *buf, size_t cap)
{
    *t = (struct text){.buf = buf, .cap = cap};
    buf[0] = '\0';
}

void text_reset(struct text *t)
{
    text_rewind(t, 0);
}

void text_rewind(struct text *t, size_t len)
{
    t->len = len;
    t->truncated = false;
    t->buf[len] = '\0';
}

void text_bytes(struct text *t, const char *s, size_t len)
{
    if (t->truncated || len == 0)
        return;
    size_t room = t->cap - 1 - t->len;
    size_t n = utf8_cut(s, len, room);
    memcpy(t->buf + t->len, s, n);
    t->len += n;
    t->buf[t->len] = '\0';
    t->truncated = n < len;
}

void text_char(struct text *t, char c)
{
    text_bytes(t, &c, 1);
}

void text_str(struct text *t, const char *s)
{
    text_bytes(t, s, strlen(s));
}

void text_u64_pad(struct text *t, uint64_t v, unsigned width)
{
    char digits[20];
    size_t at = sizeof digits;

    do { /* no %: the remainder of 64 bits is another kilobyte of libgcc on MIPS */
        uint64_t rest = v / 10;
        digits[--at] = (char)('0' + (int)(v - rest * 10));
        v = rest;
    } while (v > 0);
    while (at > 0 && sizeof digits - at < width)
        digits[--at] = '0';
    text_bytes(t, digits + at, sizeof digits - at);
}

void text_u64(struct text *t, uint64_t v)
{
    text_u64_pad(t, v, 1);
}

static uint64_t magnitude(int64_t v)
{
    return v < 0 ? UINT64_C(0) - (uint64_t)v : (uint64_t)v;
}

void text_i64(struct text *t, int64_t v)
{
    if (v < 0)
        text_char(t, '-');
    text_u64(t, magnitude(v));
}

struct decimal text_dec(int64_t v)
{
    struct decimal d;
    struct text t;

    text_init(&t, d.text, sizeof d.text);
    text_i64(&t, v);
    return d; /* cppcheck-suppress uninitvar ; filled through t */
}

void text_hex(struct text *t, const uint8_t *bytes, size_t len)
{
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < len; i++) {
        char pair[2] = {digits[bytes[i] >> 4], digits[bytes[i] & 15]};
        text_bytes(t, pair, 2);
    }
}

void text_hex64(struct text *t, uint64_t v)
{
    uint8_t bytes[8];

    put_be64(bytes, v);
    text_hex(t, bytes, sizeof bytes);
}

void text_tenths(struct text *t, int64_t tenths)
{
    uint64_t v = magnitude(tenths);

    if (tenths < 0)
        text_char(t, '-');
    uint64_t whole = v / 10;
    text_u64(t, whole);
    text_char(t, '.');
    text_char(t, (char)('0' + (int)(v - whole * 10)));
}

void text_printable(struct text *t, const char *s, size_t len)
{
    uint32_t cp;

    while (len > 0) {
        size_t skip, n = utf8_harmless(s, len, &cp, &skip);
        text_bytes(t, s, n);
        text_str(t, skip > 0 ? "?" : "");
        s += n + skip;
        len -= n + skip;
    }
}

void text_pad_to(struct text *t, size_t from, size_t column)
{
    size_t characters = utf8_count(t->buf + from, t->len - from);

    for (; characters < column && !t->truncated; characters++)
        text_char(t, ' ');
}

/* Nothing of 32 bits is divided here or anywhere in the beacon: on processors that cannot divide that would be
 * another 600 bytes of libgcc. */

/** Is it a multiple of 25? Exact up to 43698. */
static bool is_of_25(unsigned year)
{
    return (year * 5243 >> 17) * 25 == year;
}

/** Every fourth is, but the last of a century only every fourth time. */
static bool is_leap(unsigned year)
{
    return year % 4 == 0 && (year % 16 == 0 || !is_of_25(year));
}

static unsigned days_in_month(unsigned year, unsigned month)
{
    static const uint8_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};

    return month == 2 && is_leap(year) ? 29 : days[month - 1];
}

/** Days from 0000-01-01 to 1 January of the given year, proleptic Gregorian calendar. */
static uint32_t days_before_year(unsigned year)
{
    if (year == 0)
        return 0;
    const uint64_t y = year - 1;
    return year * 365 + (uint32_t)(y / 4 - y / 100 + y / 400) + 1;
}

struct civil civil_from_unix(int64_t unix_s)
{
    struct civil c = {.year = EPOCH_YEAR, .month = 1};

    if (unix_s < 0)
        unix_s = 0;
    if (unix_s > LAST_SECOND)
        unix_s = LAST_SECOND;
    unsigned left = (unsigned)((uint64_t)unix_s / SECONDS_A_DAY);
    c.second = (unsigned)unix_s - left * SECONDS_A_DAY;
    for (; left >= 365u + is_leap(c.year); c.year++)
        left -= 365u + is_leap(c.year);
    for (; left >= days_in_month(c.year, c.month); c.month++)
        left -= days_in_month(c.year, c.month);
    c.day = left + 1;
    return c;
}

static void put_two(struct text *t, char before, unsigned v)
{
    text_char(t, before);
    text_u64_pad(t, v, 2);
}

/** Take away as many of a unit as there are. */
static unsigned take(unsigned *left, unsigned unit)
{
    unsigned n = 0;

    for (; *left >= unit; n++)
        *left -= unit;
    return n;
}

/** Return: the seconds that are left of the minute. */
static unsigned put_date(struct text *t, const struct civil *c, char between)
{
    unsigned left = c->second;

    text_u64_pad(t, c->year, 4);
    put_two(t, '-', c->month);
    put_two(t, '-', c->day);
    put_two(t, between, take(&left, 3600));
    put_two(t, ':', take(&left, 60));
    return left;
}

void text_rfc3339(struct text *t, int64_t unix_s)
{
    struct civil c = civil_from_unix(unix_s);

    put_two(t, ':', put_date(t, &c, 'T'));
    text_char(t, 'Z');
}

void text_minute(struct text *t, int64_t unix_s)
{
    struct civil c = civil_from_unix(unix_s);

    put_date(t, &c, ' ');
}

struct unit {
    char name[3];
    uint64_t ms;
};
static const struct unit units[] = {
    {"d", UINT64_C(86400000)}, {"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1},
};

void text_duration(struct text *t, uint64_t ms)
{
    if (ms == 0) {
        text_str(t, "0s");
        return;
    }
    for (size_t i = 0; i < ARRAY_SIZE(units); i++) {
        if (ms < units[i].ms)
            continue;
        text_u64(t, ms / units[i].ms);
        text_str(t, units[i].name);
        ms %= units[i].ms;
    }
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

int parse_u64(const char *s, size_t len, uint64_t *out)
{
    uint64_t v = 0;

    if (len == 0)
        return NEFIA_EINVAL;
    for (size_t i = 0; i < len; i++)
        if (!is_digit(s[i]))
            return NEFIA_EINVAL;
    for (size_t i = 0; i < len; i++) {
        unsigned digit = (unsigned)(s[i] - '0');
        if (v > (UINT64_MAX - digit) / 10)
            return NEFIA_ETOOBIG;
        v = v * 10 + digit;
    }
    *out = v;
    return 0;
}

int parse_i64(const char *s, size_t len, int64_t *out)
{
    bool negative = len > 0 && s[0] == '-';
    uint64_t v;
    int err = parse_u64(s + negative, len - negative, &v);

    if (err < 0)
        return err;
    if (v > (uint64_t)INT64_MAX + negative)
        return NEFIA_ETOOBIG;
    *out = (int64_t)(negative ? 0 - v : v);
    return 0;
}

/** Index of the unit at s, searching the table from `least` on; or NEFIA_EINVAL. */
static int find_unit(const char *s, size_t len, size_t least)
{
    for (size_t i = least; i < ARRAY_SIZE(units); i++)
        if (slice_eq((struct slice){s, len}, units[i].name))
            return (int)i;
    return NEFIA_EINVAL;
}

int parse_duration_ms(const char *s, size_t len, uint64_t *out)
{
    const uint64_t most = MOST_DAYS * units[0].ms;
    uint64_t sum = 0;
    size_t i = 0, least = 0;

    if (len == 1 && s[0] == '0') {
        *out = 0;
        return 0;
    }
    if (len == 0)
        return NEFIA_EINVAL;
    while (i < len) {
        size_t digits = i;
        while (i < len && is_digit(s[i]))
            i++;
        size_t word = i;
        while (i < len && !is_digit(s[i]))
            i++;
        int u = find_unit(s + word, i - word, least);
        if (u < 0)
            return NEFIA_EINVAL;
        uint64_t v;
        int err = parse_u64(s + digits, word - digits, &v);
        if (err < 0)
            return err;
        if (v > (most - sum) / units[u].ms)
            return NEFIA_ETOOBIG;
        sum += v * units[u].ms;
        least = (size_t)u + 1;
    }
    *out = sum;
    return 0;
}

int hex_digit(int c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/** Value of a lower-case hex digit. Branch-free: on random digits half of the branches would be
 * mispredicted. Sets a bit in *bad if c is not one. */
static unsigned hex_value(char c, unsigned *bad)
{
    unsigned digit = (unsigned char)c - 48u, letter = (unsigned char)c - 97u; /* '0', 'a' */
    unsigned in_digits = 0u - (unsigned)(digit < 10u), in_letters = 0u - (unsigned)(letter < 6u);

    *bad |= ~(in_digits | in_letters);
    return (digit & in_digits) | ((letter + 10u) & in_letters);
}

int parse_hex(const char *s, size_t len, uint8_t *out, size_t n)
{
    unsigned bad = 0;

    if (len != 2 * n)
        return NEFIA_EINVAL;
    for (size_t i = 0; i < n; i++) {
        unsigned high = hex_value(s[2 * i], &bad), low = hex_value(s[2 * i + 1], &bad);
        out[i] = (uint8_t)(high << 4 | low);
    }
    return bad ? NEFIA_EINVAL : 0;
}

/** Read exactly `digits` digits and advance *s; false if they are missing or out of range. */
static bool take_number(const char **s, const char *end, unsigned digits, unsigned most,
                        unsigned *out)
{
    unsigned v = 0;

    for (unsigned i = 0; i < digits; i++) {
        if (*s == end || !is_digit(**s))
            return false;
        v = v * 10 + (unsigned)(*(*s)++ - '0');
    }
    *out = v;
    return v <= most;
}

static bool take_char(const char **s, const char *end, char c, char other)
{
    if (*s == end || (**s != c && **s != other))
        return false;
    (*s)++;
    return true;
}

/** Parse "Z" or "+hh:mm", which must reach the end, into seconds east of UTC. */
static bool take_offset(const char **s, const char *end, int *seconds)
{
    unsigned h, m;

    *seconds = 0;
    if (take_char(s, end, 'Z', 'z'))
        return *s == end;
    if (*s == end)
        return false;
    int sign = **s == '-' ? -1 : 1;
    if (!take_char(s, end, '+', '-') || !take_number(s, end, 2, 23, &h) ||
        !take_char(s, end, ':', ':') || !take_number(s, end, 2, 59, &m))
        return false;
    *seconds = sign * (int)(h * 3600 + m * 60);
    return *s == end;
}

int parse_rfc3339(const char *s, size_t len, int64_t *unix_s)
{
    enum { YEAR, MONTH, DAY, HOUR, MINUTE, SECOND, PARTS };
    static const char behind[SECOND] = {'-', '-', 'T', ':', ':'}; /* or in lower case */
    static const uint8_t most[PARTS] = {99, 12, 31, 23, 59, 60};  /* 60: a leap second, section 5.7 */
    const char *end = s + len;
    unsigned v[PARTS];
    int east;

    for (unsigned i = YEAR; i < PARTS; i++)
        if (!take_number(&s, end, i == YEAR ? 4 : 2, i == YEAR ? 9999 : most[i], &v[i]) ||
            (i < SECOND && !take_char(&s, end, behind[i], (char)(behind[i] | 0x20))))
            return NEFIA_EINVAL;
    if (v[MONTH] == 0 || v[DAY] == 0 || v[DAY] > days_in_month(v[YEAR], v[MONTH]))
        return NEFIA_EINVAL;
    if (take_char(&s, end, '.', '.')) {
        if (s == end || !is_digit(*s))
            return NEFIA_EINVAL;
        while (s < end && is_digit(*s))
            s++;
    }
    if (!take_offset(&s, end, &east))
        return NEFIA_EINVAL;
    uint32_t days = days_before_year(v[YEAR]) + v[DAY] - 1;
    for (unsigned m = 1; m < v[MONTH]; m++)
        days += days_in_month(v[YEAR], m);
    *unix_s = ((int64_t)days - EPOCH_DAY) * SECONDS_A_DAY + (int)((v[HOUR] * 60 + v[MINUTE]) * 60 + v[SECOND]) - east;
    return 0;
}

const char *str_find(const char *s, const char *part)
{
    const size_t len = strlen(part);

    for (; strncmp(s, part, len) != 0; s++)
        if (!*s)
            return NULL;
    return s;
}

bool slice_eq(struct slice a, const char *b)
{
    return strlen(b) == a.len && memcmp(a.ptr, b, a.len) == 0;
}

bool char_is_word(uint32_t c)
{
    return c - '0' < 10 || (c | 0x20) - 'a' < 26 || c == '_';
}

size_t text_word_span(const char *s, const char *also)
{
    size_t n = 0;

    while (s[n] && (char_is_word((unsigned char)s[n]) || strchr(also, s[n])))
        n++;
    return n;
}

const char *word_at(const char *words, unsigned i)
{
    while (i-- > 0)
        words += strlen(words) + 1;
    return words;
}

int word_index(const char *words, struct slice word)
{
    for (int i = 0; *words; words = word_at(words, 1), i++)
        if (slice_eq(word, words))
            return i;
    return NEFIA_EINVAL;
}

/* ---- Texts of the kernel ---- */

/** Behind the key; null: it is not there. */
static const char *behind_key(const char *text, const char *key)
{
    const size_t len = strlen(key);

    for (const char *at = text; (at = str_find(at, key)); at++)
        if (at == text || at[-1] == '\n' || at[-1] == ' ' || at[-1] == '\t')
            return at + len + strspn(at + len, " \t");
    return NULL;
}

int find_decimal(const char *text, const char *key, unsigned places, int64_t *out)
{
    const char *at = behind_key(text, key);

    if (!at)
        return NEFIA_ENOTFOUND;
    const bool negative = *at == '-';
    size_t len = strspn(at + negative, "0123456789") + negative;
    int err = parse_i64(at, len, out);
    for (at += len + (at[len] == '.'); err == 0 && places > 0; places--) {
        const unsigned digit = *at >= '0' && *at <= '9' ? (unsigned)(*at++ - '0') : 0;
        if (__builtin_mul_overflow(*out, 10, out) ||
            __builtin_add_overflow(*out, negative ? -(int64_t)digit : (int64_t)digit, out))
            err = NEFIA_ETOOBIG;
    }
    return err;
}
