#ifndef NEFIA_BASE_BYTES_H
#define NEFIA_BASE_BYTES_H

#include <stddef.h>
#include <stdint.h>

/** Portable access to unaligned integers. Files and wire formats are big-endian. */
static inline void put_be16(uint8_t *p, uint16_t v)
{
    p[0] = (uint8_t)(v >> 8);
    p[1] = (uint8_t)v;
}
static inline void put_be32(uint8_t *p, uint32_t v)
{
    put_be16(p, (uint16_t)(v >> 16));
    put_be16(p + 2, (uint16_t)v);
}
static inline void put_be64(uint8_t *p, uint64_t v)
{
    put_be32(p, (uint32_t)(v >> 32));
    put_be32(p + 4, (uint32_t)v);
}
static inline uint16_t get_be16(const uint8_t *p)
{
    return (uint16_t)((unsigned)p[0] << 8 | p[1]);
}
static inline uint32_t get_be32(const uint8_t *p)
{
    return (uint32_t)get_be16(p) << 16 | get_be16(p + 2);
}
static inline uint64_t get_be64(const uint8_t *p)
{
    return (uint64_t)get_be32(p) << 32 | get_be32(p + 4);
}

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
