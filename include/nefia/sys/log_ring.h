#ifndef NEFIA_SYS_LOG_RING_H
#define NEFIA_SYS_LOG_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "nefia/base/text.h"

/** The last lines of a log, in a file of fixed size in RAM, which others can read when its writer hangs or is gone.
 *
 *     LOG_RING_LINES slots of LOG_RING_SLOT bytes: be32 number of the line, counting from 1, be64 seconds since 1970 (two's
 *     complement), the line without its newline, NUL
 *
 * Line n is in slot n % LOG_RING_LINES and written at once: a reader takes a slot with another number than it looks for as one that
 * has been overwritten. A longer line is cut. */
#define LOG_RING_LINES 64
#define LOG_RING_SLOT 256
#define LOG_RING_HEAD 12

/** The file of the process that listens on this control socket: the path with ".log" behind it. */
#define LOG_RING_SUFFIX ".log"

/** From now on log_write writes there, too; what is there stays, and numbers go on. Only where that socket, which has to exist, is on
 * tmpfs or ramfs (statfs(2)): nothing is ever written to flash. The file has mode 0600 and this owner (uid -1: ours); one before is
 * closed. socket: null or "": only that. Return: 0; NEFIA_ENOTSUP: the socket is on something else, or missing; NEFIA_EIO (errno), NEFIA_ETOOBIG. */
int log_ring_open(const char *socket, uint32_t uid, uint32_t gid);
/** Add a line; no-op without a ring. len: without a newline. */
void log_ring_put(const char *line, size_t len);

/** For readers. Return: a descriptor; NEFIA_EIO (errno), NEFIA_ETOOBIG. */
int log_ring_look(const char *socket);
/** Number of the last line, 0: there is none. */
uint32_t log_ring_last(int fd);
/** Append line n as "2026-03-10T15:30:00Z text\n". Return: 1; 0: it is not there (any more). */
int log_ring_read(int fd, uint32_t n, struct text *out);

#endif
