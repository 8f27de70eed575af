/* strdup for libyaml under SAN=san, where the libraries call our heap by its own name: the C
 * library's would take the copy from its malloc. */
#include <string.h>

#include "nefia/sys/heap.h"

char *heap_strdup(const char *s);

char *heap_strdup(const char *s)
{
    size_t size = strlen(s) + 1;
    char *copy = heap_alloc(size);
    return copy != NULL ? memcpy(copy, s, size) : NULL;
}
