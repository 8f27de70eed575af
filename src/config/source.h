#ifndef NEFIA_SRC_CONFIG_SOURCE_H
#define NEFIA_SRC_CONFIG_SOURCE_H

#include <stddef.h>

/** Where a file's bytes come from: a descriptor, or memory when fd < 0. */
struct config_source {
    int fd;
    const char *text;
    size_t len, pos;
};

/** Up to cap bytes. Return: how many (0: the end), or NEFIA_EIO. */
int config_source_read(struct config_source *s, char *buf, size_t cap);

#endif
