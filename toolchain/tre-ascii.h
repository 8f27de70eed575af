/* Included before TRE's own headers when TRE is compiled: what it asks of characters is answered for
 * ASCII alone, without musl's tables of 13 KiB. src/guard/pattern_tre.c is the only caller: it hands
 * over neither REG_ICASE nor a named class, and of words only those of ASCII, as RE2 has it; all
 * else is mapped beyond Unicode, where these functions and the C library's agree. Whoever uses a
 * named class after all is refused (REG_ECTYPE). */
#ifndef NEFIA_TRE_ASCII_H
#define NEFIA_TRE_ASCII_H

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

#define iswalnum tre_ascii_alnum
#define iswlower tre_ascii_lower
#define iswupper tre_ascii_upper
#define towlower tre_ascii_to_lower
#define towupper tre_ascii_to_upper
#define wctype(name) ((wctype_t)0)
#define iswctype(c, class) 0

#endif
