#ifndef NEFIA_BASE_TEXT_H
#define NEFIA_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "nefia/base/bytes.h"

/** A bounded text builder over the caller's buffer, in place of printf.
 * The buffer is always NUL-terminated (cap includes the NUL; cap >= 1). Text that does not fit is
 * cut at a UTF-8 character boundary, and everything appended later is dropped, so the result is
 * always a prefix of the whole. `truncated` is sticky: a chain of calls is checked once, at its
 * end. */
struct text {
    char *buf;
    size_t cap;
    size_t len;
    bool truncated;
};

void text_init(struct text *t, char *buf, size_t cap);
void text_reset(struct text *t);
/** Drop what was added after the builder was `len` bytes long (a length it once had); clears
 * `truncated`. */
void text_rewind(struct text *t, size_t len);
void text_char(struct text *t, char c);
void text_str(struct text *t, const char *s);
void text_bytes(struct text *t, const char *s, size_t len);
void text_u64(struct text *t, uint64_t v);
void text_i64(struct text *t, int64_t v);
/** Decimal, padded on the left with zeros to at least `width` (<= 20) digits. */
void text_u64_pad(struct text *t, uint64_t v, unsigned width);
void text_hex(struct text *t, const uint8_t *bytes, size_t len);
/** 16 digits. */
void text_hex64(struct text *t, uint64_t v);
/** Tenths as a number with one decimal: 925 -> "92.5". */
void text_tenths(struct text *t, int64_t tenths);
/** Bytes made safe for a terminal or a log: control characters (utf8_is_control), hidden ones
 * (utf8_is_hidden) and invalid UTF-8 become `?`. */
void text_printable(struct text *t, const char *s, size_t len);
/** Pad with spaces until `column` UTF-8 characters follow byte offset `from`. */
void text_pad_to(struct text *t, size_t from, size_t column);
/** RFC 3339 UTC, "2026-03-10T15:30:00Z", from seconds since 1970. Years 1970..9999. */
void text_rfc3339(struct text *t, int64_t unix_s);
/** The date in UTC of seconds since 1970; before that it is 1970, and after 9999 its last day. */
struct civil {
    unsigned year, month, day; /* month and day from 1 */
    unsigned second;           /* of the day */
};
struct civil civil_from_unix(int64_t unix_s);
/** "2026-03-10 15:30" in UTC, for tables. */
void text_minute(struct text *t, int64_t unix_s);
/** "1h30m", "500ms": the configuration's duration format. */
void text_duration(struct text *t, uint64_t ms);

/** Parsers: the whole slice must be the value. Return: 0, NEFIA_EINVAL or NEFIA_ETOOBIG. */
int parse_u64(const char *s, size_t len, uint64_t *out);
int parse_i64(const char *s, size_t len, int64_t *out);
/** `30s`, `5m`, `1h30m`, `250ms`, `2d`, `0`; a bare number other than 0 is rejected for want of a
 * unit. Limit: 366 days. */
int parse_duration_ms(const char *s, size_t len, uint64_t *out);
/** The number behind the first `key` in a text of the kernel's ("MemAvailable:", "avg10="), with blanks
 * between them; a key begins the text or follows a blank or newline. Digits behind a point count as far as
 * `places` (0 to 9), so that "avg10=1.53" is 15 in one place, and missing ones are zeros.
 * Return: 0; NEFIA_ENOTFOUND no such key; NEFIA_EINVAL no number there; NEFIA_ETOOBIG. */
int find_decimal(const char *text, const char *key, unsigned places, int64_t *out);
/** Value of a hex digit of either case, -1 of anything else. */
int hex_digit(int c);
/** n bytes from 2n lower-case hex digits; NEFIA_EINVAL for anything else. */
int parse_hex(const char *s, size_t len, uint8_t *out, size_t n);
/** RFC 3339 with `Z` or an offset, to seconds since 1970; a fraction is ignored. */
int parse_rfc3339(const char *s, size_t len, int64_t *unix_s);

/** Decode one UTF-8 character (RFC 3629: no surrogates, no overlong forms, <= U+10FFFF).
 * Return: its length 1..4 with *cp (may be null) set, or NEFIA_EUTF8. len >= 1. */
int utf8_decode(const char *s, size_t len, uint32_t *cp);
/** Encode one character. Return: its length, or NEFIA_EUTF8 for a surrogate or cp > U+10FFFF. */
int utf8_encode(uint32_t cp, char out[4]);
/** C0, DEL and C1 controls, which terminals act on, and characters that reorder or break a line:
 * the line and paragraph separators and the bidirectional controls (UAX #9). */
bool utf8_is_control(uint32_t cp);
/** What takes no room, by which two names look the same: the soft hyphen, the zero-width space and
 * joiners, the byte-order mark, and the tags of U+E0000. Valid in names, but not shown as they are. */
bool utf8_is_hidden(uint32_t cp);
/** How many bytes of s, from its beginning, are characters that no terminal obeys or hides. Behind them stands
 * what is none: *skip bytes (0: that was all) of the character *cp, which is `?` where they are not
 * UTF-8. */
size_t utf8_harmless(const char *s, size_t len, uint32_t *cp, size_t *skip);
bool utf8_valid(const char *s, size_t len);
/** Number of characters; s must be valid UTF-8. */
size_t utf8_count(const char *s, size_t len);
/** Length of the largest prefix of at most max bytes that ends on a character boundary. */
size_t utf8_cut(const char *s, size_t len, size_t max);

/** Decimal text of v, for argument lists: LOG_INFO("received ", DEC(n), " bytes"). Valid until the
 * end of the full expression (C11 6.2.4, temporary lifetime). */
struct decimal {
    char text[21];
};
struct decimal text_dec(int64_t v);
#define DEC(v) (text_dec((int64_t)(v)).text)
/** "1 event", "2 events", for the same lists: COUNT(n, "event"). */
#define COUNT(n, noun) DEC(n), " " noun, (n) == 1 ? "" : "s"
/** A macro's expansion as a string literal: "at most " LITERAL(CONFIG_X) " of them". */
#define LITERAL(macro) LITERAL_OF(macro)
#define LITERAL_OF(tokens) #tokens
static inline bool str_eq(const char *a, const char *b)
{
    while (*a && *a == *b)
        a++, b++;
    return *a == *b;
}
bool slice_eq(struct slice a, const char *b);
/** Where part stands in s for the first time, or null: strstr(3), whose searching in linear time takes 0.7 KiB. For short parts. */
const char *str_find(const char *s, const char *part);

/** A letter or digit of ASCII, or `_`. */
bool char_is_word(uint32_t c);
/** How many characters of s, from its beginning, are those or in `also`. */
size_t text_word_span(const char *s, const char *also);

/** Word i of a word list: NUL-terminated words in one string, with one more NUL at the end:
 * "red\0green\0". In a position-independent program an array of pointers would cost twelve bytes
 * more per word. i must be in range. */
const char *word_at(const char *words, unsigned i);
/** Index of a word in the list, or NEFIA_EINVAL. */
int word_index(const char *words, struct slice word);

#endif
