/* Included before TRE's own headers when TRE is compiled: what it asks of characters is answered for
 * ASCII alone, without musl's tables of 13 KiB and its reading of numbers in any base. src/guard/pattern_tre.c is the only caller: it hands
 * over neither REG_ICASE nor a named class, and of words only those of ASCII, as RE2 has it; all
 * else is mapped beyond Unicode, where these functions and the C library's agree. Whoever uses a
 * named class after all is refused (REG_ECTYPE). */
#ifndef NEFIA_TRE_ASCII_H
#define NEFIA_TRE_ASCII_H

#include <stdlib.h>
#include <wchar.h>
#include <wctype.h>

static inline int tre_ascii_lower(wint_t c)
{
    return c >= 'a' && c <= 'z';
}

static inline int tre_ascii_upper(wint_t c)
{
    return c >= 'A' && c <= 'Z';
}

static inline int tre_ascii_alnum(wint_t c)
{
    return tre_ascii_lower(c) || tre_ascii_upper(c) || (c >= '0' && c <= '9');
}

static inline wint_t tre_ascii_to_lower(wint_t c)
{
    return tre_ascii_upper(c) ? c - 'A' + 'a' : c;
}

static inline wint_t tre_ascii_to_upper(wint_t c)
{
    return tre_ascii_lower(c) ? c - 'a' + 'A' : c;
}

/** strtol(digits, NULL, 16) of the few digits of `\x{...}`. */
static inline long tre_ascii_hex(const char *digits)
{
    long value = 0;

    for (;; digits++) {
        wint_t c = tre_ascii_to_lower((wint_t)*digits);

        if (c >= '0' && c <= '9')
            value = value * 16 + (long)(c - '0');
        else if (c >= 'a' && c <= 'f')
            value = value * 16 + (long)(c - 'a' + 10);
        else
            return value;
    }
}

#define iswalnum(c) tre_ascii_alnum(c)
#define iswlower(c) tre_ascii_lower(c)
#define iswupper(c) tre_ascii_upper(c)
#define towlower(c) tre_ascii_to_lower(c)
#define towupper(c) tre_ascii_to_upper(c)
#define wctype(name) ((wctype_t)0)
#define iswctype(c, class) 0
#define strtol(digits, end, base) tre_ascii_hex(digits)

#endif
