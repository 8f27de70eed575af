#include "nefia/base/err.h"
#include "nefia/base/text.h"

/** Sequence length announced by a lead byte, and the least code point allowed to use it; 0 if it is
 * not a lead byte. 0xC0, 0xC1 and 0xF5.. can only start overlong or out-of-range forms (RFC 3629
 * section 4). */
static size_t lead_length(unsigned char lead, uint32_t *least)
{
    if (lead < 0x80) {
        *least = 0;
        return 1;
    }
    if (lead >= 0xC2 && lead <= 0xDF) {
        *least = 0x80;
        return 2;
    }
    if (lead >= 0xE0 && lead <= 0xEF) {
        *least = 0x800;
        return 3;
    }
    if (lead >= 0xF0 && lead <= 0xF4) {
        *least = 0x10000;
        return 4;
    }
    return 0;
}

static bool is_scalar(uint32_t cp)
{
    return cp <= 0x10FFFF && !(cp >= 0xD800 && cp <= 0xDFFF);
}

int utf8_decode(const char *s, size_t len, uint32_t *cp)
{
    uint32_t least = 0;
    size_t n = lead_length((unsigned char)s[0], &least);

    if (n == 0 || n > len)
        return NEFIA_EUTF8;
    uint32_t v = (unsigned char)s[0];
    if (n > 1)
        v &= 0x7Fu >> n;
    for (size_t i = 1; i < n; i++) {
        unsigned char c = (unsigned char)s[i];
        if ((c & 0xC0) != 0x80)
            return NEFIA_EUTF8;
        v = v << 6 | (c & 0x3F);
    }
    if (v < least || !is_scalar(v))
        return NEFIA_EUTF8;
    if (cp)
        *cp = v;
    return (int)n;
}

int utf8_encode(uint32_t cp, char out[4])
{
    if (!is_scalar(cp))
        return NEFIA_EUTF8;
    if (cp < 0x80) {
        out[0] = (char)cp;
        return 1;
    }
    if (cp < 0x800) {
        out[0] = (char)(0xC0 | cp >> 6);
        out[1] = (char)(0x80 | (cp & 0x3F));
        return 2;
    }
    if (cp < 0x10000) {
        out[0] = (char)(0xE0 | cp >> 12);
        out[1] = (char)(0x80 | (cp >> 6 & 0x3F));
        out[2] = (char)(0x80 | (cp & 0x3F));
        return 3;
    }
    out[0] = (char)(0xF0 | cp >> 18);
    out[1] = (char)(0x80 | (cp >> 12 & 0x3F));
    out[2] = (char)(0x80 | (cp >> 6 & 0x3F));
    out[3] = (char)(0x80 | (cp & 0x3F));
    return 4;
}

bool utf8_is_control(uint32_t cp)
{
    return cp < 0x20 || (cp >= 0x7F && cp <= 0x9F) || cp == 0x061C ||
           (cp >= 0x200E && cp <= 0x200F) || (cp >= 0x2028 && cp <= 0x202E) ||
           (cp >= 0x2066 && cp <= 0x2069);
}

bool utf8_is_hidden(uint32_t cp)
{
    return cp == 0xAD || (cp >= 0x200B && cp <= 0x200D) || cp == 0xFEFF || cp >> 7 == 0xE0000 >> 7;
}

size_t utf8_harmless(const char *s, size_t len, uint32_t *cp, size_t *skip)
{
    size_t i = 0;

    *skip = 0;
    while (i < len) {
        int n = utf8_decode(s + i, len - i, cp);
        if (n < 0)
            *cp = '?';
        if (n < 0 || utf8_is_control(*cp) || utf8_is_hidden(*cp)) {
            *skip = n < 0 ? 1 : (size_t)n;
            break;
        }
        i += (size_t)n;
    }
    return i;
}

bool utf8_valid(const char *s, size_t len)
{
    size_t i = 0;

    while (i < len) {
        if ((unsigned char)s[i] < 0x80) {
            i++;
            continue;
        }
        int n = utf8_decode(s + i, len - i, NULL);
        if (n < 0)
            return false;
        i += (size_t)n;
    }
    return true;
}

size_t utf8_count(const char *s, size_t len)
{
    size_t n = 0;

    for (size_t i = 0; i < len; i++)
        n += ((unsigned char)s[i] & 0xC0) != 0x80;
    return n;
}

size_t utf8_cut(const char *s, size_t len, size_t max)
{
    if (len <= max)
        return len;
    size_t n = max;
    while (n > 0 && max - n < 3 && ((unsigned char)s[n] & 0xC0) == 0x80)
        n--;
    /* Four continuation bytes in a row are not UTF-8: there is no character boundary to
     * preserve. */
    return ((unsigned char)s[n] & 0xC0) == 0x80 ? max : n;
}
