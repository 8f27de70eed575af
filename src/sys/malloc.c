/* The C library's allocation functions, for the linked libraries. Left out of sanitizer builds,
 * which provide their own. */
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

/* None of our libraries needs aligned allocations; failing here keeps musl's allocator from being
 * linked. */
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
