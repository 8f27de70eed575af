#include "nefia/net/tcp.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "nefia/base/err.h"

/* Dead peers: first probe after a minute of silence, then every 15 s; the fourth failure closes the
 * connection. */
enum { KEEP_IDLE_S = 60, KEEP_INTERVAL_S = 15, KEEP_PROBES = 4 };

static void set_option(int fd, int level, int name, int value)
{
    /* Best effort: a kernel without the option still works. */
    (void)setsockopt(fd, level, name, &value, sizeof value);
}

static void set_alive(int fd)
{
    set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
    set_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, KEEP_IDLE_S);
    set_option(fd, IPPROTO_TCP, TCP_KEEPINTVL, KEEP_INTERVAL_S);
    set_option(fd, IPPROTO_TCP, TCP_KEEPCNT, KEEP_PROBES);
    set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
}

static int open_socket(const struct addr *a)
{
    return socket(a->family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
}

static int close_keeping_errno(int fd)
{
    int saved = errno;

    close(fd);
    errno = saved;
    return NEFIA_EIO;
}

static void text_port(struct text *t, const struct addr *a)
{
    struct addr host = *a;

    host.port = 0;
    text_str(t, "port ");
    text_u64(t, a->port);
    text_str(t, " on ");
    addr_text(t, &host);
}

/** Explain from errno why listening failed, and the remedy. */
static void explain_listen(struct text *why, const struct addr *a, const char *setting)
{
    int err = errno;

    if (!why)
        return;
    text_str(why, "cannot listen on ");
    text_port(why, a);
    text_str(why, ": ");
    if (err == EADDRINUSE) {
        text_str(why, "address in use; " REMEDY("stop the other program, or ") "change ");
        text_str(why, setting);
    } else if (err == EACCES && a->port < 1024) {
        text_str(why, "ports below 1024 require root; change ");
        text_str(why, setting);
    } else if (err == EADDRNOTAVAIL) {
        text_str(why, "no interface has this address");
    } else if (err == EAFNOSUPPORT) {
        text_str(why,
                 a->family == AF_INET6 ? "kernel does not support IPv6" : "kernel does not support IPv4");
    } else {
        text_str(why, ERRNO(err));
    }
    errno = err;
}

static int bind_and_listen(int fd, const struct addr *a, int backlog)
{
    struct sockaddr_storage ss;
    socklen_t len = addr_to_sockaddr(a, &ss);

    set_option(fd, SOL_SOCKET, SO_REUSEADDR,
               1); /* connections of the previous run may linger in TIME_WAIT */
    if (a->family == AF_INET6)
        set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, 0);
    if (bind(fd, (struct sockaddr *)&ss, len) < 0)
        return NEFIA_EIO;
    return listen(fd, backlog) < 0 ? NEFIA_EIO : 0;
}

int tcp_listen_plain(const struct addr *a, int backlog)
{
    int fd = open_socket(a);

    if (fd < 0)
        return NEFIA_EIO;
    return bind_and_listen(fd, a, backlog) < 0 ? close_keeping_errno(fd) : fd;
}

int tcp_listen(const struct addr *a, int backlog, const char *setting, struct text *why)
{
    int fd = tcp_listen_plain(a, backlog);

    if (fd >= 0)
        return fd;
    explain_listen(why, a, setting);
    return NEFIA_EIO;
}

static int accept_error(int err)
{
    switch (err) {
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
    case ENOMEM:
        return NEFIA_EFULL;
    case EINVAL:
    case EBADF:
    case ENOTSOCK:
    case EOPNOTSUPP:
    case EFAULT:
        return NEFIA_EIO;
    default:
        /* EAGAIN, and errors already pending on the new socket (accept(2), "Error
         * handling"). */
        return NEFIA_EAGAIN;
    }
}

int tcp_accept_plain(int listener, struct addr *peer)
{
    struct sockaddr_storage ss = {0};
    socklen_t len = sizeof ss;
    int fd;

    do
        fd = accept4(listener, (struct sockaddr *)&ss, &len, SOCK_CLOEXEC | SOCK_NONBLOCK);
    while (fd < 0 && errno == EINTR);
    if (fd < 0)
        return accept_error(errno);
    addr_from_sockaddr(peer, &ss);
    return fd;
}

int tcp_accept(int listener, struct addr *peer)
{
    int fd = tcp_accept_plain(listener, peer);

    if (fd >= 0)
        set_alive(fd);
    return fd;
}

int tcp_connect_start(const struct addr *a, unsigned timeout_ms)
{
    struct sockaddr_storage ss;
    socklen_t len = addr_to_sockaddr(a, &ss);
    int fd = open_socket(a);

    if (fd < 0)
        return NEFIA_EIO;
    set_alive(fd);
    if (timeout_ms > 0)
        set_option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, (int)timeout_ms);
    if (connect(fd, (struct sockaddr *)&ss, len) < 0 && errno != EINPROGRESS && errno != EINTR)
        return close_keeping_errno(fd);
    return fd;
}

/** Return: 0, or NEFIA_EIO (errno: also an error pending on the socket). */
static int check_error(int fd)
{
    int err = 0;
    socklen_t len = sizeof err;

    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &len) < 0)
        return NEFIA_EIO;
    if (err == 0)
        return 0;
    errno = err;
    return NEFIA_EIO;
}

int tcp_connect_result(int fd)
{
    struct sockaddr_storage ss;
    socklen_t len = sizeof ss;

    if (check_error(fd) < 0)
        return NEFIA_EIO;
    if (getpeername(fd, (struct sockaddr *)&ss, &len) == 0)
        return 0;
    return errno == ENOTCONN ? NEFIA_EAGAIN : NEFIA_EIO;
}

static int transfer_error(int err)
{
    if (err == EAGAIN || err == EWOULDBLOCK || err == EINTR)
        return NEFIA_EAGAIN;
    return err == EPIPE || err == ECONNRESET ? NEFIA_ECLOSED : NEFIA_EIO;
}

static size_t at_most(size_t len)
{
    return len < INT32_MAX ? len : INT32_MAX;
}

int tcp_send(int fd, const void *data, size_t len)
{
    ssize_t n;

    if (len == 0)
        return 0;
    n = send(fd, data, at_most(len), MSG_NOSIGNAL);
    return n < 0 ? transfer_error(errno) : (int)n;
}

int tcp_recv(int fd, void *buf, size_t cap)
{
    ssize_t n = recv(fd, buf, at_most(cap), 0);

    if (n == 0)
        return NEFIA_ECLOSED;
    return n < 0 ? transfer_error(errno) : (int)n;
}

int tcp_queued(int fd)
{
    int n;

    /* Not ioctl(3), which links musl's compatibility code for all other requests on 32-bit
     * kernels. */
    return syscall(SYS_ioctl, fd, TIOCOUTQ, &n) < 0 ? NEFIA_EIO : n;
}

void tcp_refuse(int fd)
{
    struct linger at_once = {.l_onoff = 1, .l_linger = 0};

    setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
}

int tcp_local(int fd, struct addr *a)
{
    struct sockaddr_storage ss = {0};
    socklen_t len = sizeof ss;

    if (getsockname(fd, (struct sockaddr *)&ss, &len) < 0)
        return NEFIA_EIO;
    return addr_from_sockaddr(a, &ss);
}

/* ---- As a stream ---- */

static int stream_send(const struct stream *s, const void *data, size_t len)
{
    return tcp_send(s->fd, data, len);
}

static int stream_receive(const struct stream *s, void *buf, size_t cap)
{
    errno = 0;
    return tcp_recv(s->fd, buf, cap);
}

static int stream_unacknowledged(const struct stream *s)
{
    /* In this order: a reset empties the queue, and then shows as an error. */
    const int queued = tcp_queued(s->fd);

    return check_error(s->fd) < 0 ? NEFIA_EIO : queued;
}

static int stream_shut(const struct stream *s)
{
    return shutdown(s->fd, SHUT_WR) < 0 ? NEFIA_EIO : 0;
}

static void stream_close(struct stream *s)
{
    close(s->fd);
    *s = (struct stream){.fd = -1};
}

static void stream_refuse(struct stream *s)
{
    tcp_refuse(s->fd);
    stream_close(s);
}

const struct stream_class tcp_stream = {
    .send = stream_send,
    .receive = stream_receive,
    .unacknowledged = stream_unacknowledged,
    .shut = stream_shut,
    .refuse = stream_refuse,
    .close = stream_close,
};
