#ifndef NEFIA_NET_TCP_H
#define NEFIA_NET_TCP_H

#include <stddef.h>
#include <stdint.h>

#include "nefia/net/addr.h"
#include "nefia/base/text.h"
#include "nefia/net/stream.h"

/** Non-blocking TCP sockets, all close-on-exec. The descriptor belongs to the caller, who closes
 * it. */

/** Listen on a; `::` accepts IPv4 peers too. setting names the port's configuration key for the
 * remedy in why (such as "reactor.listen_port"); port 0: the kernel chooses, see tcp_local.
 * Return: the descriptor; NEFIA_EIO with a sentence in why (may be null). */
int tcp_listen(const struct addr *a, int backlog, const char *setting, struct text *why);
/** The same without a sentence, for who has its own. Return: the descriptor; NEFIA_EIO (errno). */
int tcp_listen_plain(const struct addr *a, int backlog);
/** Accept a pending connection, with keep-alive (a dead peer is detected within about two minutes)
 * and TCP_NODELAY set.
 * Return: the descriptor; NEFIA_EAGAIN (none pending, or already closed); NEFIA_EFULL (out of
 * descriptors or memory: stop accepting for a while); NEFIA_EIO. */
int tcp_accept(int listener, struct addr *peer);
/** The same without these options, for a connection that is closed at once; after NEFIA_EFULL and NEFIA_EIO errno is
 * accept(2)'s. */
int tcp_accept_plain(int listener, struct addr *peer);
/** Start connecting. timeout_ms limits how long sent bytes may stay unacknowledged
 * (TCP_USER_TIMEOUT, if the kernel supports it).
 * Return: the descriptor, to be watched for POLLOUT and then passed to tcp_connect_result;
 * NEFIA_EIO (errno). */
int tcp_connect_start(const struct addr *a, unsigned timeout_ms);
/** Call after POLLOUT, POLLERR or POLLHUP, until it no longer returns NEFIA_EAGAIN (the kernel
 * reports a failure only once). Return: 0 connected; NEFIA_EAGAIN not yet; NEFIA_EIO (errno). */
int tcp_connect_result(int fd);
/** Send without SIGPIPE. Return: bytes accepted by the kernel (1..len; 0 only for len 0),
 * NEFIA_EAGAIN, NEFIA_ECLOSED (closed by the peer), NEFIA_EIO. */
int tcp_send(int fd, const void *data, size_t len);
/** Return: bytes (1..cap), NEFIA_EAGAIN, NEFIA_ECLOSED (orderly close or reset), NEFIA_EIO. cap >=
 * 1. */
int tcp_recv(int fd, void *buf, size_t cap);
/** Bytes sent but not yet acknowledged by the peer's kernel (tcp(7), SIOCOUTQ); 0: all have
 * arrived. Return: bytes, or NEFIA_EIO. */
int tcp_queued(int fd);
/** Make the close of fd a reset, so that the sender does not take rejected data for delivered, as
 * it would after an orderly close. */
void tcp_refuse(int fd);
/** Address and port the socket is bound to. Return: 0, NEFIA_EIO. */
int tcp_local(int fd, struct addr *a);
/** A connected socket as a stream: {&tcp_stream, fd}. */
extern const struct stream_class tcp_stream;

#endif
