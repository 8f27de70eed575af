#ifndef NEFIA_HEAP_H
#define NEFIA_HEAP_H

#include <stddef.h>

/** The libraries' heap (TRE, libyaml): malloc, calloc, realloc and free over one fixed array, pool_heap of
 * budget.def. Our own code does not call them. One free list with boundary tags, first fit, coalescing;
 * O(blocks). Alignment 2 * sizeof(size_t), at least 8. Exhaustion gives a null pointer with errno ENOMEM. A pointer that is
 * not ours or freed twice ends the process with a log line: memory is corrupt then. */
struct heap_stats {
    size_t size;       /* bytes of the array */
    size_t used;       /* in use now, headers included */
    size_t high_water; /* most ever in use */
    size_t failed;     /* requests refused */
};

/** The array comes from the program's main (pools are wired there), before the first malloc; earlier mallocs give null.
 * mem is aligned for any type. */
void heap_init(void *mem, size_t size);
struct heap_stats heap_stats(void);

#endif
