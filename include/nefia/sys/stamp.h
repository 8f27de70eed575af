#ifndef NEFIA_SYS_STAMP_H
#define NEFIA_SYS_STAMP_H

#include <stdint.h>

/** Time stamps of the wall clock in milliseconds, without their upper bits: two of them are subtracted as they are, and the difference
 * taken as an int32_t. The clock may be set between them. */
uint32_t stamp_now(void);
/** When the kernel received the message that was read last from a socket (SIOCGSTAMPNS_NEW, Linux 5.1). It takes such notes from the
 * first call on, and a moment later: for a message that came before, this is now. Return: 0; NEFIA_ENOTFOUND: none was read yet;
 * NEFIA_ENOTSUP: not by this kernel, or not of this socket. */
int stamp_received(int fd, uint32_t *stamp);

#endif
