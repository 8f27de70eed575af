#include "source.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "nefia/base/err.h"

int config_source_read(struct config_source *s, char *buf, size_t cap)
{
    ssize_t n;

    if (s->fd < 0) {
        size_t left = s->len - s->pos;
        if (cap > left)
            cap = left;
        if (cap > 0)
            memcpy(buf, s->text + s->pos, cap);
        s->pos += cap;
        return (int)cap;
    }
    do {
        n = read(s->fd, buf, cap);
    } while (n < 0 && errno == EINTR);
    return n < 0 ? NEFIA_EIO : (int)n;
}
