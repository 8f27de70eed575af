#ifndef NEFIA_SPOOL_H
#define NEFIA_SPOOL_H

#include <stddef.h>
#include <stdint.h>

#include "nefia/event.h"

/** Encoded events waiting for the hub, in a fixed array of bytes, oldest first.
 * Records: be32 severity << 24 | length, be64 seq, bytes. The first ones may be sent but not yet
 * known to be delivered. When there is no room the least severe go first; among equals the unsent
 * before the sent, the older before the newer. A record more severe than the new one never goes.
 * Events below critical may fill at most 4/5, so critical ones have a reserved share. What went is
 * counted by severity in `lost` (and since start in `lost_total`): at any time pushed = delivered +
 * in the spool + lost. */
struct spool {
    uint8_t *mem;
    size_t size, used;
    size_t sent; /* offset: records before it are with the kernel, not yet known delivered */
    size_t bytes[SEVERITY_COUNT]; /* of `used` */
    unsigned events, unsent;
    uint32_t lost[SEVERITY_COUNT];
    uint64_t lost_total[SEVERITY_COUNT];
};
#define SPOOL_HEADER 12

struct spool_item {
    const char *line; /* valid until the next call that changes the spool */
    size_t len;
    uint64_t seq;
    enum severity severity;
};

/** size: 1024.. bytes. */
void spool_init(struct spool *s, uint8_t *mem, size_t size);
/** Copies. len 1..65536. Return: 0; NEFIA_EFULL when nothing less or equally severe could make
 * room, or it is larger than its share: then nothing else is evicted, it is the lost one, and
 * counted. Any record may move or go, the one spool_next gave too: copy before. */
int spool_push(struct spool *s, enum severity sev, uint64_t seq, const char *line, size_t len);
/** The oldest unsent one. Return: 1, or 0 when there is none. */
int spool_next(const struct spool *s, struct spool_item *out);
/** The one spool_next gave is on its way. */
void spool_mark_sent(struct spool *s);
/** All that were sent arrived: they leave. Return: how many. */
unsigned spool_delivered(struct spool *s);
/** Of those that were sent, how many of the oldest arrived when the last `missing` bytes of the stream
 * did not; each takes its length and `extra` there. */
unsigned spool_arrived(const struct spool *s, size_t missing, size_t extra);
/** The n oldest of those that were sent arrived: they leave. Return: how many. */
unsigned spool_delivered_first(struct spool *s, unsigned n);
/** The oldest one is given up: it goes, and counts as lost. */
void spool_give_up(struct spool *s);
/** The connection broke: what was sent counts as unsent again. */
void spool_rewind(struct spool *s);
/** Read and reset `lost`. Return: 0 when nothing was lost. */
uint32_t spool_take_lost(struct spool *s, uint32_t lost[SEVERITY_COUNT]);

#endif
