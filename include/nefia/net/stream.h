#ifndef NEFIA_NET_STREAM_H
#define NEFIA_NET_STREAM_H

#include <stddef.h>

/** A connected byte stream, whatever carries it: TCP (tcp.h); later TLS and lwIP. Nothing blocks. */
struct stream;

struct stream_class {
    /** Return: bytes taken (1..len; 0 only for len 0); NEFIA_EAGAIN, NEFIA_ECLOSED (closed by the
     * peer), NEFIA_EIO (errno). */
    int (*send)(const struct stream *s, const void *data, size_t len);
    /** cap >= 1. Return: bytes (1..cap); NEFIA_EAGAIN, NEFIA_ECLOSED (errno 0: an orderly close; else
     * its errno), NEFIA_EIO (errno). */
    int (*receive)(const struct stream *s, void *buf, size_t cap);
    /** Bytes sent that the peer's kernel has not acknowledged; 0: all have arrived. Return: bytes, or
     * NEFIA_EIO (errno: also why the connection has broken, if no other call has returned that). */
    int (*unacknowledged)(const struct stream *s);
    /** No more will be sent: the peer reads the end of the stream. Return: 0 or NEFIA_EIO (errno). */
    int (*shut)(const struct stream *s);
    /** Close it as a reset, so that the peer does not take what it sent for delivered. */
    void (*refuse)(struct stream *s);
    void (*close)(struct stream *s);
};

struct stream {
    const struct stream_class *class; /* null: closed */
    int fd;                           /* to be watched */
};

#endif
