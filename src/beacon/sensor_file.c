#include "nefia/beacon/sensor_runner.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/rtnetlink.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "nefia/base/err.h"
#include "nefia/json/json.h"
#include "nefia/net/netlink.h"
#include "nefia/sys/file.h"

/* What sensors read from the kernel: small files, and answers by netlink. Their buffer is the one in which
 * an event's line is built: between two events it is free. */

static const char not_regular[] = "not a regular file";

static const char *refuse(struct emitter *e, const char *path, const char *why)
{
    emitter_not_measured(e, path, why);
    return NULL;
}

char *emitter_buffer(struct emitter *e, size_t *cap)
{
    *cap = PIPELINE_LINE_BYTES;
    return e->owner->pipeline->line_buf;
}

/** n: of its bytes that are in the buffer. Return: n, or without a newline at the end one less. */
static long end_text(struct emitter *e, long n)
{
    char *buf = e->owner->pipeline->line_buf;

    if (n > 0 && buf[n - 1] == '\n')
        n--;
    if (n >= 0)
        buf[n] = '\0';
    return n;
}

/** Return: its length, or as file_read. */
static long read_text(struct emitter *e, const char *path)
{
    /* Where a daemon may write its id, its user may put a link to /dev/watchdog. */
    return end_text(e, file_read_as(path, e->owner->pipeline->line_buf, PIPELINE_LINE_BYTES - 1, O_NOFOLLOW));
}

static const char *give(struct emitter *e, long n, size_t *len)
{
    if (len && n >= 0)
        *len = (size_t)n;
    return n < 0 ? NULL : e->owner->pipeline->line_buf;
}

const char *emitter_file_if(struct emitter *e, const char *path, size_t *len)
{
    return give(e, read_text(e, path), len);
}

const char *emitter_file(struct emitter *e, const char *path, size_t *len)
{
    long n = read_text(e, path);

    if (n == NEFIA_EIO || n == NEFIA_ENOTFOUND)
        return refuse(e, path, ERRNO(errno));
    if (n == NEFIA_ETOOBIG)
        return refuse(e, path, HINTED("too long", " (CONFIG_EVENT_BYTES)"));
    if (n < 0)
        return refuse(e, path, not_regular);
    return give(e, n, len);
}

static int number(const char *text, size_t len, int64_t *value)
{
    return text ? parse_i64(text, len, value) : NEFIA_ENOTFOUND;
}

int emitter_number_if(struct emitter *e, const char *path, int64_t *value)
{
    size_t len = 0;
    const char *text = emitter_file_if(e, path, &len);

    return number(text, len, value);
}

const char *emitter_file_in(struct emitter *e, const char *dir, const char *name, const char *leaf,
                            size_t *len)
{
    char path[FILE_PATH_MAX];
    struct text t;

    text_init(&t, path, sizeof path);
    text_str(&t, dir);
    text_char(&t, '/');
    text_str(&t, name);
    text_char(&t, '/');
    text_str(&t, leaf);
    return t.truncated ? NULL : emitter_file_if(e, path, len);
}

int emitter_number_in(struct emitter *e, const char *dir, const char *name, const char *leaf,
                      int64_t *value)
{
    size_t len = 0;
    const char *text = emitter_file_in(e, dir, name, leaf, &len);

    return number(text, len, value);
}

/** text null: that was reported. */
static int check_number(struct emitter *e, const char *path, const char *text, size_t len, int64_t *value)
{
    int err = number(text, len, value);

    if (text && err < 0)
        refuse(e, path, "not a number");
    return err;
}

int emitter_file_number(struct emitter *e, const char *path, int64_t *value)
{
    size_t len = 0;
    const char *text = emitter_file(e, path, &len);

    return check_number(e, path, text, len, value);
}

#ifdef CONFIG_BEACON_KEPT_FILES
/** Of a constant path. Null: there is no room for it, or `once` reads it only once. */
static struct kept_file *find_kept(struct sensor_runner *in, const char *path)
{
    for (unsigned i = 0; i < KEPT_FILES && !in->once; i++) {
        struct kept_file *k = &in->kept[i];
        if (!k->path)
            k->path = path;
        if (k->path == path)
            return k;
    }
    return NULL;
}

static const char *read_kept(struct emitter *e, const char *path, size_t *len)
{
    struct kept_file *k = find_kept(e->owner, path);
    ssize_t n = k && k->fd > 0 ? pread(k->fd, e->owner->pipeline->line_buf, PIPELINE_LINE_BYTES - 1, 0) : 0;

    if (n > 0 && n < PIPELINE_LINE_BYTES - 1) /* the kernel makes all of it at once */
        return give(e, end_text(e, n), len);
    if (k && k->fd > 0)
        close(k->fd);
    if (k)
        k->fd = file_open_regular(path, O_NOFOLLOW);
    return emitter_file(e, path, len);
}

const char *emitter_kept_file(struct emitter *e, const char *path)
{
    return read_kept(e, path, NULL);
}

int emitter_kept_number(struct emitter *e, const char *path, int64_t *value)
{
    size_t len = 0;
    const char *text = read_kept(e, path, &len);

    return check_number(e, path, text, len, value);
}

uint32_t emitter_mounts(struct emitter *e)
{
    static const char path[] = MOUNTS;
    struct kept_file *k = find_kept(e->owner, path);
    struct pollfd p = {.fd = k ? k->fd : 0, .events = POLLPRI};

    if (!k || (k->fd > 0 && poll(&p, 1, 0) == 0))
        return k ? e->owner->mounts : 0;
    if (k->fd <= 0)
        k->fd = file_open(path, 0);
    return k->fd > 0 ? ++e->owner->mounts : 0;
}

int emitter_memory(struct emitter *e, struct memory_kib *m)
{
    static const char path[] = "/proc/meminfo";
    const char *text = emitter_kept_file(e, path);
    int64_t total, available;

    if (!text)
        return NEFIA_ENOTFOUND;
    if (find_decimal(text, "MemTotal:", 0, &total) < 0 ||
        find_decimal(text, "MemAvailable:", 0, &available) < 0 || available > total || available < 0) {
        refuse(e, path, "no MemAvailable");
        return NEFIA_ESYNTAX;
    }
    *m = (struct memory_kib){(uint64_t)total, (uint64_t)available};
    return 0;
}
#endif

/** What has been read of a file of lines; what follows a line that is too long is skipped. */
struct lines {
    char *buf;
    size_t len;
    bool skipping;
    int (*take)(void *arg, const char *line, size_t len);
    void *arg;
};

static int hand_over(struct lines *l, char *line, size_t len)
{
    const bool skipped = l->skipping;

    l->skipping = false;
    line[len] = '\0';
    return skipped ? 0 : l->take(l->arg, line, len);
}

/** n more bytes are in the buffer; 0: the file has ended. */
static int take_lines(struct lines *l, size_t n)
{
    char *at = l->buf, *end = l->buf + l->len + n, *newline;
    int err = 0;

    while (err == 0 && (newline = memchr(at, '\n', (size_t)(end - at)))) {
        err = hand_over(l, at, (size_t)(newline - at));
        at = newline + 1;
    }
    l->len = (size_t)(end - at);
    if (err == 0 && l->len > 0 && (n == 0 || l->len == PIPELINE_LINE_BYTES - 1)) {
        err = hand_over(l, at, l->len);
        l->skipping = n > 0;
        l->len = 0;
    }
    memmove(l->buf, at, l->len);
    return err;
}

int emitter_lines(struct emitter *e, const char *path,
                  int (*take)(void *arg, const char *line, size_t len), void *arg)
{
    struct lines l = {.buf = e->owner->pipeline->line_buf, .take = take, .arg = arg};
    int fd = file_open_regular(path, 0);
    ssize_t n = fd < 0 ? -1 : 1;
    int err = 0;

    while (err == 0 && n > 0) {
        n = read(fd, l.buf + l.len, PIPELINE_LINE_BYTES - 1 - l.len);
        if (n >= 0)
            err = take_lines(&l, (size_t)n);
    }
    if (n < 0) {
        refuse(e, path, fd == NEFIA_EINVAL ? not_regular : ERRNO(errno));
        err = NEFIA_EIO;
    }
    if (fd >= 0)
        close(fd);
    return err;
}

#ifdef CONFIG_BEACON_NETLINK
int emitter_netlink(struct emitter *e, struct netlink_answer *a, const void *message, size_t len)
{
    static const char name[] = "netlink";
    int *fd = &e->owner->netlink;

    if (*fd <= 0 && (*fd = netlink_open(NETLINK_ROUTE)) < 0) {
        refuse(e, name, ERRNO(errno));
        return *fd;
    }
    int err = netlink_ask(a, *fd, message, len, e->owner->pipeline->line_buf, PIPELINE_LINE_BYTES);
    if (err == 0)
        return 0;
    close(*fd); /* with what is left of the answer */
    *fd = 0;
    if (err < 0)
        refuse(e, name, err == NEFIA_EIO ? ERRNO(a->error) : err_text(err));
    return err;
}

/** What is in the queue does not matter, nor how much of it was lost; without the socket it may always be another one. It is emptied, as
 * news may come more often than looks: of IPv6 with each router advertisement. */
uint32_t emitter_addresses(struct emitter *e)
{
    enum { NEWS = 1024 }; /* more than a queue holds */
    struct sensor_runner *in = e->owner;
    bool news = in->address_news <= 0;
    char first;

    if (news)
        in->address_news = netlink_subscribe(NETLINK_ROUTE, RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR);
    else
        for (unsigned i = 0; i < NEWS && recv(in->address_news, &first, sizeof first, MSG_DONTWAIT) >= 0; i++)
            news = true;
    if (news || errno != EAGAIN)
        in->addresses++;
    return in->addresses;
}
#endif

int emitter_json(struct emitter *e, const char *text, size_t len, struct json_doc *d)
{
    /* The buffer is one of characters. */
    const uintptr_t room = (uintptr_t)e->owner->pipeline->line_buf, unit = _Alignof(struct json_token);
    struct json_token *tokens = (void *)((room + unit - 1) / unit * unit);
    int err = json_parse(d, text, len, tokens, (PIPELINE_LINE_BYTES - unit) / sizeof *tokens,
                         JSON_MAX_DEPTH, NULL);

    return err == 0 && json_at(d, 0)->type != JSON_OBJECT ? NEFIA_EINVAL : err;
}

/** The sensor's name is a key of the configuration: letters, digits and `_`. */
static int state_name(struct emitter *e, const char *name, char *buf, size_t cap)
{
    const char *dir = e->owner->state_dir;
    struct text t;

    text_init(&t, buf, cap);
    text_str(&t, e->class->name);
    text_char(&t, '-');
    text_str(&t, name);
    return IS_ENABLED(CONFIG_BEACON_STATE) && dir && dir[0] ? 0 : NEFIA_ENOTSUP;
}

int emitter_state_load(struct emitter *e, const char *name, uint64_t *v)
{
    char buf[33];
    int err = state_name(e, name, buf, sizeof buf);

    return err < 0 ? err : state_load_u64(e->owner->state_dir, buf, v);
}

int emitter_state_store(struct emitter *e, const char *name, uint64_t v)
{
    char buf[33];
    int err = state_name(e, name, buf, sizeof buf);

    return err < 0 || e->owner->once ? err : state_store_u64(e->owner->state_dir, buf, v);
}
