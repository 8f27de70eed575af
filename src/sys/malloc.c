/* The C library's allocation functions, for the linked libraries. Not in sanitizer builds, which
 * bring their own. */
#include <errno.h>
#include <malloc.h>
#include <stdlib.h>

#include "nefia/sys/heap.h"

void *malloc(size_t size)
{
    return heap_alloc(size);
}

void *calloc(size_t count, size_t size)
{
    return heap_calloc(count, size);
}

void *realloc(void *p, size_t size)
{
    return heap_realloc(p, size);
}

void free(void *p)
{
    heap_free(p);
}

/* No library of ours asks for alignment; refusing keeps musl's allocator out of the program. */
void *aligned_alloc(size_t align, size_t size)
{
    (void)align, (void)size;
    errno = ENOMEM;
    return NULL;
}

void *memalign(size_t align, size_t size)
{
    return aligned_alloc(align, size);
}

int posix_memalign(void **out, size_t align, size_t size)
{
    (void)out, (void)align, (void)size;
    return ENOMEM;
}
