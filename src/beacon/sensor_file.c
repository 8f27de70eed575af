#include "nefia/beacon/sensor_runner.h"

#include <errno.h>

#include <unistd.h>

#include "nefia/base/err.h"
#include "nefia/net/netlink.h"
#include "nefia/sys/file.h"

/* What sensors read from the kernel: small files, and answers by netlink. Their buffer is the one in which
 * an event's line is built: between two events it is free. */

static const char *refuse(struct emitter *e, const char *path, const char *why)
{
    emitter_not_measured(e, path, why);
    return NULL;
}

const char *emitter_file(struct emitter *e, const char *path, size_t *len)
{
    char *buf = e->owner->pipeline->line_buf;
    long n = file_read(path, buf, PIPELINE_LINE_BYTES - 1);

    if (n == NEFIA_EIO || n == NEFIA_ENOTFOUND)
        return refuse(e, path, ERRNO(errno));
    if (n == NEFIA_ETOOBIG)
        return refuse(e, path, HINTED("too long", " (CONFIG_EVENT_BYTES)"));
    if (n < 0)
        return refuse(e, path, "not a regular file");
    if (n > 0 && buf[n - 1] == '\n')
        n--;
    buf[n] = '\0';
    if (len)
        *len = (size_t)n;
    return buf;
}

int emitter_file_number(struct emitter *e, const char *path, int64_t *value)
{
    size_t len;
    const char *text = emitter_file(e, path, &len);

    if (!text)
        return NEFIA_ENOTFOUND;
    if (parse_i64(text, len, value) == 0)
        return 0;
    refuse(e, path, "not a number");
    return NEFIA_ESYNTAX;
}

int emitter_netlink(struct emitter *e, int protocol, struct netlink_answer *a, const void *message,
                    size_t len)
{
    static const char name[] = "netlink";
    int fd = netlink_open(protocol);

    if (fd < 0) {
        refuse(e, name, ERRNO(errno));
        return fd;
    }
    int err = netlink_ask(a, fd, message, len, e->owner->pipeline->line_buf, PIPELINE_LINE_BYTES);
    close(fd);
    if (err < 0)
        refuse(e, name, err == NEFIA_EIO ? ERRNO(a->error) : err_text(err));
    return err;
}
