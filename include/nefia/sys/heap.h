#ifndef NEFIA_SYS_HEAP_H
#define NEFIA_SYS_HEAP_H

#include <stddef.h>

/** The heap of the libraries (TRE): malloc, calloc, realloc and free (src/sys/malloc.c,
 * linked into programs only) over one fixed array, pool_heap of budget.def. Our own code does not
 * call them. Boundary tags, coalescing, free lists by power of two: an allocation examines the
 * blocks of one list, a free two neighbours. Alignment 2 * sizeof(size_t), at least 8. Exhaustion
 * returns null with errno ENOMEM. An invalid pointer or a double free means that memory is corrupt:
 * it is logged and the process aborts. A process has one heap, so its state is at file scope. */
struct heap_stats {
    size_t size;       /* usable bytes of the array, headers included */
    size_t used;       /* in use now, headers included */
    size_t high_water; /* maximum of used */
    size_t failed;     /* failed requests */
};

/** main provides the array (pools are wired there) before the first allocation; earlier ones return
 * null. mem is kept. A further call starts over with another array (for tests). */
void heap_init(void *mem, size_t size);
struct heap_stats heap_stats(void);

/** As malloc, calloc, realloc and free of C11, where these choices apply: size 0 returns the
 * smallest block, also from heap_realloc; a failed heap_realloc leaves the old block alone; a
 * product that overflows fails. */
void *heap_alloc(size_t size);
void *heap_calloc(size_t count, size_t size);
void *heap_realloc(void *p, size_t size);
void heap_free(void *p);

#endif
