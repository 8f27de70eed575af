#ifndef NEFIA_SRC_CONFIG_SOURCE_H
#define NEFIA_SRC_CONFIG_SOURCE_H

#include <stddef.h>

/** Where a file's bytes come from: a descriptor, or memory when fd < 0. */
struct config_source {
    int fd;
    const char *text;
    size_t len, pos;
};

/** The next cap bytes, fewer only at the end. Return: how many, or NEFIA_EIO (errno). */
int config_source_read(struct config_source *s, char *buf, size_t cap);

#endif
