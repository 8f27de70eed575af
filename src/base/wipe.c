#include "nefia/base/wipe.h"

#include <string.h>

void wipe(void *p, size_t len)
{
    memset(p, 0, len);
    /* The compiler must believe that somebody reads p. */
    __asm__ volatile("" : : "r"(p) : "memory");
}
