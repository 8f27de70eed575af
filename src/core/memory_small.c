/* The C library's copying, a byte at a time: for builds where its size counts and its speed does
 * not. Ours are in the program before the library's. */
#include <stddef.h>
#include <string.h>

/** The compiler would see a call of memcpy in the loop of memcpy. */
#define AS_WRITTEN() __asm__ volatile("")

void *memmove(void *to, const void *from, size_t len)
{
    unsigned char *t = to;
    const unsigned char *f = from;

    if (t <= f)
        return memcpy(to, from, len); /* ours goes upwards */
    while (len-- > 0) {
        t[len] = f[len];
        AS_WRITTEN();
    }
    return to;
}

void *memcpy(void *restrict to, const void *restrict from, size_t len)
{
    /* Not memmove: the compiler would make a memcpy of it. */
    unsigned char *t = to;
    const unsigned char *f = from;

    while (len-- > 0) {
        *t++ = *f++;
        AS_WRITTEN();
    }
    return to;
}

void *memset(void *to, int c, size_t len)
{
    unsigned char *t = to;

    while (len-- > 0) {
        t[len] = (unsigned char)c;
        AS_WRITTEN();
    }
    return to;
}
