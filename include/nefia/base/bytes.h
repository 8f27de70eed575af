#ifndef NEFIA_BASE_BYTES_H
#define NEFIA_BASE_BYTES_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/** Portable access to unaligned integers. Files and wire formats are big-endian. What a processor can do at once, the compiler makes of
 * memcpy. */
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
#define AS_BE(bits, v) (v)
#else
#define AS_BE(bits, v) __builtin_bswap##bits(v)
#endif
#define BYTES_BE(bits)                                                                             \
    static inline void put_be##bits(uint8_t *p, uint##bits##_t v)                                  \
    {                                                                                              \
        v = AS_BE(bits, v);                                                                        \
        memcpy(p, &v, sizeof v);                                                                   \
    }                                                                                              \
    static inline uint##bits##_t get_be##bits(const uint8_t *p)                                    \
    {                                                                                              \
        uint##bits##_t v;                                                                          \
        memcpy(&v, p, sizeof v);                                                                   \
        return AS_BE(bits, v);                                                                     \
    }
BYTES_BE(16)
BYTES_BE(32)
BYTES_BE(64)

/** FNV-1a over len bytes, continuing from h (start with HASH_START). For hash tables only, not for
 * security. */
#define HASH_START 2166136261u
static inline uint32_t hash_bytes(uint32_t h, const void *data, size_t len)
{
    const unsigned char *p = data;

    for (size_t i = 0; i < len; i++)
        h = (h ^ p[i]) * 16777619u;
    return h;
}

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

/** A byte range owned by somebody else. */
struct slice {
    const char *ptr;
    size_t len;
};

/** A hash of s to place it in a table in RAM, several times faster than hash_bytes; another one on a
 * machine of the other byte order. */
uint32_t hash_place(struct slice s);

#endif
