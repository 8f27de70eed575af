#include <string.h>

#include "nefia/base/bytes.h"

uint32_t hash_place(struct slice s)
{
    const uint64_t factor = UINT64_C(0x9E3779B97F4A7C15);
    uint64_t h = s.len * factor, x;
    size_t i = 0;

    for (; i + 8 <= s.len; i += 8) {
        memcpy(&x, s.ptr + i, 8);
        h = (h ^ x) * factor;
        h ^= h >> 29;
    }
    for (x = 0; i < s.len; i++)
        x = x << 8 | (unsigned char)s.ptr[i];
    h = (h ^ x) * factor;
    return (uint32_t)(h >> 32);
}
