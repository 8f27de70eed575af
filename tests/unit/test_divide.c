#include <stdbool.h>
#include <stdint.h>

#include "check.h"
#include "nefia/base/bytes.h"

/* The compiler must not know the values: it would divide itself. */
static volatile uint64_t n64, d64;
static volatile uint32_t n32, d32;

/** What every quotient and remainder must satisfy, in words of 32 bits without a division. */
static bool fits64(uint64_t n, uint64_t d)
{
    n64 = n;
    d64 = d;
    uint64_t q = n64 / d64, r = n64 % d64;
    return r < d && q * d + r == n && (q == 0 || n - r >= d);
}

static bool fits32(uint32_t n, uint32_t d)
{
    n32 = n;
    d32 = d;
    uint32_t q = n32 / d32, r = n32 % d32;
    return r < d && q * d + r == n && (q == 0 || n - r >= d);
}

TEST(division)
{
    static const uint64_t some[] = {0,          1,          2,          3,          7,
                                    10,         60,         86400,      0x7FFFFFFF, 0x80000000,
                                    0xFFFFFFFF, 1ULL << 32, 1ULL << 63, ~0ULL,      ~0ULL - 1};

    for (size_t i = 0; i < ARRAY_SIZE(some); i++)
        for (size_t j = 1; j < ARRAY_SIZE(some); j++) {
            CHECK(fits64(some[i], some[j]));
            if (some[i] <= UINT32_MAX && some[j] <= UINT32_MAX)
                CHECK(fits32((uint32_t)some[i], (uint32_t)some[j]));
        }
    CHECK(fits64(UINT64_C(0xFEDCBA9876543210), 1000000007));
}

TEST(known_quotients)
{
    n64 = UINT64_MAX;
    d64 = 10;
    CHECK(n64 / d64 == UINT64_C(1844674407370955161));
    CHECK(n64 % d64 == 5);
    n32 = 4000000000u;
    d32 = 86400;
    CHECK(n32 / d32 == 46296);
    CHECK(n32 % d32 == 25600);
}

TEST(signed_quotients)
{
    static volatile int32_t n, d;

    n = -86401;
    d = 60;
    CHECK(n / d == -1440 && n % d == -1);
    d = -60;
    CHECK(n / d == 1440 && n % d == -1);
    n = 86401;
    CHECK(n / d == -1440 && n % d == 1);
    n = INT32_MIN;
    d = 10;
    CHECK(n / d == -214748364 && n % d == -8);
}

TEST_MAIN(division, known_quotients, signed_quotients)
