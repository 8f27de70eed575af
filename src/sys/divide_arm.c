/* Division for ARM cores without a divide instruction, a bit at a time: the helpers of the run-time
 * ABI (IHI 0043, sections 4.2 and 4.3.1) that gcc calls, in a tenth of the bytes of libgcc's. */
#ifdef __arm__

#include <stdint.h>

_Noreturn void __aeabi_ldiv0(void);
uint64_t __udivmoddi4(uint64_t n, uint64_t d, uint64_t *rest);
uint64_t __aeabi_uidivmod(uint32_t n, uint32_t d);
uint32_t __aeabi_uidiv(uint32_t n, uint32_t d);
uint64_t __aeabi_idivmod(int32_t n, int32_t d);
int32_t __aeabi_idiv(int32_t n, int32_t d);

/** libgcc's __aeabi_uldivmod comes here, for the quotient and *rest. */
uint64_t __udivmoddi4(uint64_t n, uint64_t d, uint64_t *rest)
{
    uint64_t r = 0;

    for (int i = 0; i < 64; i++) {
        uint64_t beyond = r >> 63;

        r = r << 1 | n >> 63;
        n <<= 1;
        if (beyond || r >= d) {
            r -= d;
            n |= 1; /* what has left n at the top makes room for the quotient */
        }
    }
    *rest = r;
    return n;
}

/** libgcc's __aeabi_uldivmod comes here for a divisor of 0. */
void __aeabi_ldiv0(void)
{
    __builtin_trap();
}

/** The quotient in r0, the remainder in r1: as one value of 64 bits. */
static uint64_t in_two_registers(uint32_t quotient, uint32_t rest)
{
    const uint16_t one = 1;
    int little = *(const uint8_t *)&one;

    return little ? (uint64_t)rest << 32 | quotient : (uint64_t)quotient << 32 | rest;
}

uint64_t __aeabi_uidivmod(uint32_t n, uint32_t d)
{
    uint64_t rest, quotient = __udivmoddi4(n, d, &rest);

    return in_two_registers((uint32_t)quotient, (uint32_t)rest);
}

uint32_t __aeabi_uidiv(uint32_t n, uint32_t d)
{
    uint64_t rest;

    return (uint32_t)__udivmoddi4(n, d, &rest);
}

/** v, or -v where that is asked for, in the arithmetic that wraps. */
static uint32_t signed_as(int negative, uint32_t v)
{
    return negative ? 0 - v : v;
}

uint64_t __aeabi_idivmod(int32_t n, int32_t d)
{
    uint64_t rest, quotient =
        __udivmoddi4(signed_as(n < 0, (uint32_t)n), signed_as(d < 0, (uint32_t)d), &rest);

    return in_two_registers(signed_as((n < 0) != (d < 0), (uint32_t)quotient),
                            signed_as(n < 0, (uint32_t)rest));
}

int32_t __aeabi_idiv(int32_t n, int32_t d)
{
    uint64_t rest, quotient =
        __udivmoddi4(signed_as(n < 0, (uint32_t)n), signed_as(d < 0, (uint32_t)d), &rest);

    return (int32_t)signed_as((n < 0) != (d < 0), (uint32_t)quotient);
}

#endif
