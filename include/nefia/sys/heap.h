#ifndef NEFIA_SYS_HEAP_H
#define NEFIA_SYS_HEAP_H

#include <stddef.h>

/** The libraries' heap (TRE, libyaml): malloc, calloc, realloc and free (src/sys/malloc.c, linked
 * into programs only) over one fixed array, pool_heap of budget.def. Our own code does not call
 * them. Boundary tags, coalescing, free lists by power of two: an allocation looks at the blocks of
 * one list, a free at two neighbours. Alignment 2 * sizeof(size_t), at least 8.
 * Exhaustion gives a null pointer with errno ENOMEM. A pointer that is not ours or freed twice ends
 * the process with a log line: memory is corrupt then. One heap in a process, so its state is at
 * file scope. */
struct heap_stats {
    size_t size;       /* bytes of the array that can be given out, headers included */
    size_t used;       /* in use now, headers included */
    size_t high_water; /* most ever in use */
    size_t failed;     /* requests refused */
};

/** The array comes from the program's main (pools are wired there), before the first allocation;
 * earlier ones give null. mem is kept. Called again, it starts anew with another array (tests). */
void heap_init(void *mem, size_t size);
struct heap_stats heap_stats(void);

/** As malloc, calloc, realloc and free of C11, with these choices where it leaves one: a size of 0
 * gives the smallest block, also from heap_realloc; a failed heap_realloc leaves the old block
 * alone; a product that overflows is refused. */
void *heap_alloc(size_t size);
void *heap_calloc(size_t count, size_t size);
void *heap_realloc(void *p, size_t size);
void heap_free(void *p);
/** Overwrite all that is free: what was given back may have been secret. O(size of the array). */
void heap_wipe(void);

#endif
