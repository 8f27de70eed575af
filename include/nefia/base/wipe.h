#ifndef NEFIA_BASE_WIPE_H
#define NEFIA_BASE_WIPE_H

#include <stddef.h>

/** Overwrite a secret with zeros, in a way the compiler does not optimize away. len may be 0. */
void wipe(void *p, size_t len);

#endif
