#ifndef NEFIA_SYS_RANDOM_H
#define NEFIA_SYS_RANDOM_H

#include <stddef.h>
#include <stdint.h>

/** The kernel's random numbers (getrandom(2)). */

/** For nonces. Never blocks. Return: 0; NEFIA_EAGAIN: the kernel's generator is not seeded yet, as
 * early after boot. */
int random_bytes(void *buf, size_t len);
/** For what needs no secret: while the generator is not seeded, the clocks serve. */
uint64_t random_number(void);
/** The same below n, at most UINT32_MAX. */
uint64_t random_below(uint64_t n);
/** At start-up: wait until the generator is seeded, at most ms. Linux (since 5.4) makes entropy from
 * its timer's jitter, but only while somebody waits for it: a device without a hardware generator
 * that only asks may never get any. Uses SIGALRM and the real-time timer, and restores both. */
void random_wait(unsigned ms);

#endif
