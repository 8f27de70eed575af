/* The C library's copying and searching, a byte at a time: for builds where its size counts and its
 * speed does not. Ours are in the program before the library's. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/** The compiler would see a call of memcpy in the loop of memcpy, of strlen in that of strlen. */
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

void *memchr(const void *in, int c, size_t len)
{
    const unsigned char *p = in;

    for (; len > 0; p++, len--)
        if (*p == (unsigned char)c)
            return (void *)(uintptr_t)p;
    return NULL;
}

size_t strlen(const char *s)
{
    const char *end = s;

    while (*end) {
        end++;
        AS_WRITTEN();
    }
    return (size_t)(end - s);
}

char *strchr(const char *s, int c)
{
    return memchr(s, c, strlen(s) + 1);
}

size_t strcspn(const char *s, const char *any)
{
    const char *end = s;

    while (*end && !strchr(any, *end))
        end++;
    return (size_t)(end - s);
}
