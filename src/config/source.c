#include "source.h"

#include <string.h>

#include "nefia/sys/file.h"

int config_source_read(struct config_source *s, char *buf, size_t cap)
{
    size_t left = s->len - s->pos;

    if (s->fd >= 0)
        return (int)file_fill(s->fd, buf, cap);
    if (cap > left)
        cap = left;
    if (cap > 0)
        memcpy(buf, s->text + s->pos, cap);
    s->pos += cap;
    return (int)cap;
}
