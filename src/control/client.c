#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "nefia/control/control.h"
#include "nefia/base/err.h"
#include "nefia/json/json.h"

enum { LAST_TOKENS = 8, LAST_DEPTH = 1, EXIT_MOST = 255 };

/** One question and where its answer goes. */
struct question {
    const char *path;
    uint64_t timeout_ms;
    struct text *why;
    int fd;
    char *buf;
    size_t cap, len;
    int (*on_record)(void *arg, const char *json, size_t len);
    void *arg;
    bool ended; /* the last line came; exit holds its status */
    int exit;
};

static int fail(struct question *q, int err, const char *before, const char *after)
{
    text_reset(q->why);
    text_str(q->why, before);
    text_str(q->why, q->path);
    text_str(q->why, after);
    return err;
}

static int unreachable(struct question *q)
{
    int reason = errno;

    fail(q, NEFIA_EIO, "cannot reach the daemon at ", ": ");
    text_str(q->why, ERRNO(reason));
    if (reason == ENOENT || reason == ECONNREFUSED)
        text_str(q->why, HINTED("", "; start it, or name its configuration with -c FILE"));
    if (reason == EACCES || reason == EPERM)
        text_str(q->why, HINTED("", "; ask as root or the daemon's user"));
    return NEFIA_EIO;
}

static int silent(struct question *q)
{
    fail(q, NEFIA_ETIMEOUT, "no answer from the daemon at ", " within ");
    text_duration(q->why, q->timeout_ms);
    return NEFIA_ETIMEOUT;
}

static int reach(struct question *q)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct timeval limit = {.tv_sec = (time_t)(q->timeout_ms / 1000),
                            .tv_usec = (suseconds_t)(q->timeout_ms % 1000 * 1000)};

    errno = ENAMETOOLONG;
    if (strlen(q->path) >= sizeof address.sun_path)
        return unreachable(q);
    memcpy(address.sun_path, q->path, strlen(q->path));
    q->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (q->fd < 0)
        return unreachable(q);
    setsockopt(q->fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    setsockopt(q->fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    if (connect(q->fd, (const struct sockaddr *)&address, sizeof address) == 0)
        return 0;
    return errno == EAGAIN ? silent(q) : unreachable(q);
}

static int ask(struct question *q, const char *line)
{
    size_t len = strlen(line), sent = 0;

    while (sent <= len) {
        ssize_t n = sent < len ? send(q->fd, line + sent, len - sent, MSG_NOSIGNAL)
                               : send(q->fd, "\n", 1, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            return silent(q);
        if (n < 0)
            return 0; /* it closed early; what it said before is still there to be read */
        sent += (size_t)n;
    }
    return 0;
}

/** Whether this line is the last of an answer; then its facts are taken. */
static bool take_last(struct question *q, const char *line, size_t len)
{
    struct json_token tokens[LAST_TOKENS];
    struct json_doc d;
    int64_t status;

    if (strncmp(line, "{\"end\":", 7) != 0 && strncmp(line, "{\"error\":", 9) != 0)
        return false;
    if (json_parse(&d, line, len, tokens, LAST_TOKENS, LAST_DEPTH, NULL) < 0)
        return false;
    int at = json_member(&d, 0, "exit"), error = json_member(&d, 0, "error");
    if (at < 0 || json_i64(&d, (unsigned)at, &status) < 0 || status < 0 || status > EXIT_MOST)
        return false;
    if (error >= 0)
        (void)json_string(&d, (unsigned)error, q->why);
    q->exit = (int)status;
    q->ended = true;
    return true;
}

/** Hand over the whole lines in buf and keep the rest at its beginning. */
static int take_lines(struct question *q)
{
    size_t at = 0;
    char *newline;

    while (!q->ended && (newline = memchr(q->buf + at, '\n', q->len - at)) != NULL) {
        char *line = q->buf + at;
        size_t len = (size_t)(newline - line);
        *newline = '\0';
        at += len + 1;
        if (take_last(q, line, len) || !q->on_record)
            continue;
        int err = q->on_record(q->arg, line, len);
        if (err < 0)
            return err;
    }
    q->len -= at;
    memmove(q->buf, q->buf + at, q->len);
    return 0;
}

static int listen_to(struct question *q)
{
    while (!q->ended) {
        if (q->len == q->cap)
            return fail(q, NEFIA_ETOOBIG, "the daemon at ",
                        " sent a record longer than this program takes");
        ssize_t n = recv(q->fd, q->buf + q->len, q->cap - q->len, 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            return silent(q);
        if (n <= 0)
            return fail(q, NEFIA_ECLOSED, "the daemon at ",
                        " closed the connection before its answer was complete");
        q->len += (size_t)n;
        int err = take_lines(q);
        if (err < 0)
            return err;
    }
    return q->exit;
}

int control_request(const char *path, const char *line, char *buf, size_t cap,
                    int (*on_record)(void *arg, const char *json, size_t len), void *arg,
                    uint64_t timeout_ms, struct text *why)
{
    struct question q = {.path = path, .timeout_ms = timeout_ms, .why = why, .fd = -1};

    q.buf = buf;
    q.cap = cap;
    q.on_record = on_record;
    q.arg = arg;
    text_reset(why);
    int r = reach(&q);
    if (r == 0)
        r = ask(&q, line);
    if (r == 0)
        r = listen_to(&q);
    if (q.fd >= 0)
        close(q.fd);
    return r;
}
