#ifndef NEFIA_NET_TCP_H
#define NEFIA_NET_TCP_H

#include <stddef.h>
#include <stdint.h>

#include "nefia/net/addr.h"
#include "nefia/base/text.h"

/** Non-blocking TCP sockets, all close-on-exec. The descriptor belongs to the caller, who closes
 * it. */

/** Listen on a; `::` takes IPv4 peers too. setting names the configuration key of the port for the
 * remedy in why (such as "reactor.listen_port"); port 0: the kernel chooses, see tcp_local.
 * Return: the descriptor; NEFIA_EIO with a sentence in why (may be null). */
int tcp_listen(const struct addr *a, int backlog, const char *setting, struct text *why);
/** One waiting peer: keep-alive (dead ones are noticed in about two minutes) and no Nagle delay are
 * set.
 * Return: the descriptor; NEFIA_EAGAIN (nobody waits, or they left already); NEFIA_EFULL (out of
 * descriptors or memory: stop accepting for a while); NEFIA_EIO. */
int tcp_accept(int listener, struct addr *peer);
/** Begin to connect. timeout_ms bounds how long sent bytes may stay unacknowledged
 * (TCP_USER_TIMEOUT, where the kernel has it).
 * Return: the descriptor, to be watched for POLLOUT and then asked with tcp_connect_result;
 * NEFIA_EIO (errno). */
int tcp_connect_start(const struct addr *a, unsigned timeout_ms);
/** After POLLOUT, POLLERR or POLLHUP; asked until it no longer says NEFIA_EAGAIN (the kernel tells
 * a failure once). Return: 0 connected; NEFIA_EAGAIN not yet; NEFIA_EIO, with the reason in errno. */
int tcp_connect_result(int fd);
/** Send without SIGPIPE. Return: bytes taken by the kernel (1..len; 0 only for len 0),
 * NEFIA_EAGAIN, NEFIA_ECLOSED (the peer went away), NEFIA_EIO. */
int tcp_send(int fd, const void *data, size_t len);
/** Return: bytes (1..cap), NEFIA_EAGAIN, NEFIA_ECLOSED (orderly end or reset), NEFIA_EIO. cap >=
 * 1. */
int tcp_recv(int fd, void *buf, size_t cap);
/** The same, and the bytes stay where they are, to be read again. */
int tcp_peek(int fd, void *buf, size_t cap);
/** Done with the first len bytes of what tcp_peek put into buf. They are not copied again (tcp(7),
 * MSG_TRUNC), but for sockets that are not TCP. Return: 0, or as tcp_recv. */
int tcp_consume(int fd, void *buf, size_t len);
/** Bytes that were sent and that the peer's kernel has not acknowledged yet (tcp(7), SIOCOUTQ): 0
 * means all arrived there. Return: bytes, or NEFIA_EIO. */
int tcp_queued(int fd);
/** Make the close of fd a reset: whoever sends must not take what we refused for delivered, as it
 * would after an orderly end. */
void tcp_refuse(int fd);
/** Address and port the socket is bound to. Return: 0, NEFIA_EIO. */
int tcp_local(int fd, struct addr *a);

#endif
