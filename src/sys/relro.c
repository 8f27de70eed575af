#include "nefia/sys/relro.h"

#include <link.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <time.h>

extern __attribute__((weak, visibility("hidden"))) ElfW(Dyn) _DYNAMIC[];

static const ElfW(Phdr) *find(const ElfW(Phdr) *headers, size_t count, uint32_t type)
{
    for (size_t i = 0; i < count; i++)
        if (headers[i].p_type == type)
            return &headers[i];
    return NULL;
}

void relro_protect(void)
{
    const ElfW(Phdr) *headers = (const void *)(uintptr_t)getauxval(AT_PHDR); /* from the kernel */
    size_t count = getauxval(AT_PHNUM);
    uintptr_t page = getauxval(AT_PAGESZ);
    const ElfW(Phdr) *relro = find(headers, count, PT_GNU_RELRO);
    const ElfW(Phdr) *dynamic = find(headers, count, PT_DYNAMIC);

    struct timespec now;

    if (!relro || page == 0)
        return;
    (void)clock_gettime(CLOCK_MONOTONIC, &now); /* its first call keeps the address of the vDSO there */
    uintptr_t base = dynamic ? (uintptr_t)_DYNAMIC - dynamic->p_vaddr : 0; /* 0: at its fixed address */
    uintptr_t start = base + relro->p_vaddr;
    uintptr_t end = (start + relro->p_memsz) & ~(page - 1);
    start &= ~(page - 1);
    /* On failure the program runs without this protection. */
    if (end > start)
        (void)mprotect((void *)start, end - start, PROT_READ);
}
