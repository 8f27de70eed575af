#include "nefia/sys/heap.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "nefia/sys/log.h"

/** Header of every block, free or used. Both sizes include it. */
struct block {
    size_t before; /* size of the preceding block; 0: this is the first */
    size_t size;   /* bit 0: in use */
};

struct free_block {
    struct block head;
    struct free_block *next, **link;
};

enum {
    ALIGN = sizeof(struct block),
    LEAST = (sizeof(struct free_block) + ALIGN - 1) / ALIGN * ALIGN,
    USED = 1,
    LISTS = 32,
};
_Static_assert(ALIGN >= 8 && (ALIGN & (ALIGN - 1)) == 0,
               "block alignment must suit every type the libraries use");

struct heap {
    char *start, *end;               /* first block; sentinel after the last one */
    uint32_t filled;                 /* bitmap of non-empty lists */
    struct free_block *lists[LISTS]; /* list i: sizes of LEAST << i up to twice that */
    struct heap_stats stats;
};
static struct heap the_heap;

static struct block *block_at(char *p)
{
    void *aligned = p;

    return aligned;
}

static size_t size_of(const struct block *b)
{
    return b->size & ~(size_t)USED;
}

static bool is_used(const struct block *b)
{
    return b->size & USED;
}

static struct block *after(struct block *b)
{
    return block_at((char *)b + size_of(b));
}

static void *payload(struct block *b)
{
    return b + 1;
}

static unsigned list_for(size_t size)
{
    unsigned i = 0;

    for (size_t top = size / LEAST; top > 1 && i < LISTS - 1; top >>= 1)
        i++;
    return i;
}

static void add_free(struct heap *h, struct block *b)
{
    struct free_block *f = (void *)b;
    unsigned i = list_for(b->size);

    f->next = h->lists[i];
    f->link = &h->lists[i];
    if (f->next)
        f->next->link = &f->next;
    h->lists[i] = f;
    h->filled |= UINT32_C(1) << i;
}

static void remove_free(struct heap *h, struct block *b)
{
    struct free_block *f = (void *)b;
    unsigned i = list_for(b->size);

    *f->link = f->next;
    if (f->next)
        f->next->link = f->link;
    if (!h->lists[i])
        h->filled &= ~(UINT32_C(1) << i);
}

void heap_init(void *mem, size_t size)
{
    struct heap *h = &the_heap;
    size_t skew = (ALIGN - (uintptr_t)mem % ALIGN) % ALIGN;

    *h = (struct heap){0};
    if (size < skew + LEAST + sizeof(struct block))
        return;
    size_t usable = (size - skew - sizeof(struct block)) / ALIGN * ALIGN;
    h->start = (char *)mem + skew;
    h->end = h->start + usable;
    h->stats.size = usable;
    *block_at(h->start) = (struct block){.before = 0, .size = usable};
    /* An empty used block as sentinel saves a comparison in every walk. */
    *block_at(h->end) = (struct block){.before = usable, .size = USED};
    add_free(h, block_at(h->start));
}

struct heap_stats heap_stats(void)
{
    return the_heap.stats;
}

static void account(struct heap *h, size_t more, size_t less)
{
    h->stats.used += more;
    h->stats.used -= less;
    if (h->stats.used > h->stats.high_water)
        h->stats.high_water = h->stats.used;
}

/** Block size for that many bytes; 0 if no heap could hold them. */
static size_t block_size(const struct heap *h, size_t bytes)
{
    if (bytes > h->stats.size)
        return 0;
    size_t size = (bytes + sizeof(struct block) + ALIGN - 1) / ALIGN * ALIGN;
    return size < LEAST ? LEAST : size;
}

static struct block *find_free(struct heap *h, size_t size)
{
    unsigned i = list_for(size);

    for (struct free_block *f = h->lists[i]; f; f = f->next)
        if (f->head.size >= size)
            return &f->head;
    uint32_t larger = i == LISTS - 1 ? 0 : h->filled & ~((UINT32_C(2) << i) - 1);
    return larger ? &h->lists[__builtin_ctz(larger)]->head : NULL;
}

/** Turn [b, b + whole), which is in no list, into a used block of `size` and, if the rest is worth
 * it, a free block. */
static void carve(struct heap *h, struct block *b, size_t size, size_t whole)
{
    if (whole - size < LEAST)
        size = whole;
    b->size = size | USED;
    struct block *rest = after(b);
    if (size < whole) {
        rest->size = whole - size;
        after(rest)->before = rest->size;
        add_free(h, rest);
    }
    rest->before = size;
}

static void *refuse(struct heap *h)
{
    h->stats.failed++;
    errno = ENOMEM;
    return NULL;
}

void *heap_alloc(size_t bytes)
{
    struct heap *h = &the_heap;
    size_t size = block_size(h, bytes);
    struct block *b = size ? find_free(h, size) : NULL;

    if (!b)
        return refuse(h);
    remove_free(h, b);
    carve(h, b, size, b->size);
    account(h, size_of(b), 0);
    return payload(b);
}

void *heap_calloc(size_t count, size_t size)
{
    if (size && count > SIZE_MAX / size)
        return refuse(&the_heap);
    void *p = heap_alloc(count * size);
    if (p)
        memset(p, 0, count * size);
    return p;
}

static _Noreturn void corrupt(const char *what)
{
    LOG_ERROR("heap: ", what, "; memory is corrupt, aborting");
    abort();
}

/** Block of an allocated pointer; aborts if the pointer is invalid. */
static struct block *block_of(const struct heap *h, void *p)
{
    char *at = (char *)p - sizeof(struct block);

    if ((uintptr_t)p % ALIGN || at < h->start || at >= h->end)
        corrupt("invalid pointer");
    struct block *b = block_at(at);
    if (!is_used(b))
        corrupt("double free");
    if (size_of(b) < LEAST || size_of(b) > (size_t)(h->end - at) || after(b)->before != size_of(b))
        corrupt("block header overwritten");
    return b;
}

void heap_free(void *p)
{
    struct heap *h = &the_heap;

    if (!p)
        return;
    struct block *b = block_of(h, p);
    size_t size = size_of(b);
    account(h, 0, size);
    struct block *next = after(b);
    if (!is_used(next)) {
        remove_free(h, next);
        size += next->size;
    }
    /* Lets a second free be detected even after coalescing with the preceding block. */
    b->size &= ~(size_t)USED;
    if (b->before && !is_used(block_at((char *)b - b->before))) {
        b = block_at((char *)b - b->before);
        remove_free(h, b);
        size += b->size;
    }
    b->size = size;
    after(b)->before = size;
    add_free(h, b);
}

/** Resize in place, extending into a following free block if necessary. */
static bool resize(struct heap *h, struct block *b, size_t size)
{
    size_t old = size_of(b), whole = old;
    struct block *next = after(b);

    if (!is_used(next))
        whole += next->size;
    if (whole < size)
        return false;
    if (whole > old)
        remove_free(h, next);
    carve(h, b, size, whole);
    account(h, size_of(b), old);
    return true;
}

void *heap_realloc(void *p, size_t bytes)
{
    struct heap *h = &the_heap;

    if (!p)
        return heap_alloc(bytes);
    struct block *b = block_of(h, p);
    size_t size = block_size(h, bytes);
    if (size && resize(h, b, size))
        return p;
    void *fresh = size ? heap_alloc(bytes) : refuse(h);
    if (!fresh)
        return NULL;
    memcpy(fresh, p, size_of(b) - sizeof(struct block));
    heap_free(p);
    return fresh;
}
