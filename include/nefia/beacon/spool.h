#ifndef NEFIA_BEACON_SPOOL_H
#define NEFIA_BEACON_SPOOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "nefia/event/event.h"
#include "nefia/base/kconfig.h"

/** Encoded events waiting for the hub, in a fixed array of bytes.
 * Records: be32 severity << 24 | is it kept << 23 | length, be64 seq; with BEACON_ACK also be64 boot, be64 key, be32 count;
 * then the bytes. First those that are sent but not yet known to be delivered, in the order they were
 * sent, then the others. The most severe are sent first, and of these the newest (without BEACON_ACK:
 * the oldest of all). When there is no
 * room the least severe go first; among equals the unsent before the sent, the older before the newer.
 * A record more severe than the new one never goes. Events below critical may fill at most 4/5, so
 * critical ones have a reserved share. What went is counted by severity in `lost` (and since start in
 * `lost_total`): at any time pushed = delivered + in the spool + lost + collapsed. */
/** Which event it is: a start of the device, and a number that counts up in it. */
struct spool_id {
    uint64_t boot, seq; /* boot: 0 without BEACON_ACK */
};

/** What the spool had to do without: how many of each severity, and between which two they are. */
struct spool_lost {
    uint32_t count[SEVERITY_COUNT];
    uint32_t collapsed;
    struct spool_id first, last;
};

struct spool_event {
    struct spool_id id;
    uint64_t key; /* of its condition: an unsent one of the same key and severity gives way; 0: none */
    enum severity severity;
    const char *line;
    size_t len;
    bool kept; /* SPOOL_FILE: it is on flash, too */
};

struct spool {
    uint8_t *mem;
    size_t size, used;
    size_t sent; /* offset: records before it are on their way, not yet known delivered */
    size_t bytes[SEVERITY_COUNT]; /* of `used` */
    unsigned events, unsent;
    struct spool_lost lost;
    uint64_t lost_total[SEVERITY_COUNT];
    uint64_t collapsed; /* gave way to a newer one of the same condition */
    /** SPOOL_FILE: one that is kept leaves, for whatever reason. It leaves the spool as it
     * is. */
    void (*left)(void *arg, const struct spool_event *e);
    void *left_arg;
    bool collapsing;                  /* in `left`: the one that is being pushed takes its place */
    const struct spool_lost *telling; /* the owner's: taken, and the event that tells of it is not
                                       * kept yet; null: none */
};
#define SPOOL_HEADER (IS_ENABLED(CONFIG_BEACON_ACK) ? 32 : 12)

/** One in the spool; line is valid until the next call that changes the spool. */
struct spool_item {
    struct spool_event event;
    size_t at;
};

/** size: 1024.. bytes. */
void spool_init(struct spool *s, uint8_t *mem, size_t size);
/** Copies. len 1..65536. Return: 0; NEFIA_EFULL when nothing less or equally severe could make
 * room, or it is larger than its share: then nothing else is evicted, it is the lost one, and
 * counted. Any record may move or go, the one spool_next gave too: copy before. The new one is the
 * last in `mem`. */
int spool_push(struct spool *s, const struct spool_event *e);
/** The one to be sent next. span > 0 (BEACON_ACK): only among those of the lowest boot there is, and
 * with seq less than span above the lowest. Return: 1, or 0 when there is none. */
int spool_next(const struct spool *s, struct spool_item *out, unsigned span);
/** The lowest boot there is, and the lowest seq of it. The spool is not empty. */
struct spool_id spool_low(const struct spool *s);
/** The one spool_next gave is on its way, under this number (from 1, counting up; BEACON_ACK). */
void spool_mark_sent(struct spool *s, const struct spool_item *item, uint32_t count);
/** The oldest of those that are on their way. Return: 1, or 0 when there is none. */
int spool_sent(const struct spool *s, struct spool_item *out);
/** How many are on their way under a number up to count. */
unsigned spool_numbered(const struct spool *s, uint32_t count);
/** All that were sent arrived: they leave. Return: how many. */
unsigned spool_delivered(struct spool *s);
/** Of those that were sent, how many of the oldest arrived when the last `missing` bytes of the stream
 * did not; each takes its length and `extra` there. */
unsigned spool_arrived(const struct spool *s, size_t missing, size_t extra);
/** The n oldest of those that were sent arrived: they leave. Return: how many. */
unsigned spool_delivered_first(struct spool *s, unsigned n);
/** This one is given up, if it is there: it goes, and counts as lost. */
void spool_give_up(struct spool *s, struct spool_id id);
/** The connection broke: what was sent counts as unsent again. */
void spool_rewind(struct spool *s);
/** Read and reset `lost`. Return: how many; 0: none, and nothing is reset. */
uint32_t spool_take_lost(struct spool *s, struct spool_lost *out);
/** What was taken could not be told: it is lost again, before what was lost since. */
void spool_put_lost(struct spool *s, const struct spool_lost *lost);

/* ---- for SPOOL_FILE ---- */

/** The next of all there are, from *at = 0 on. Return: 1, or 0 behind the last. */
int spool_walk(const struct spool *s, size_t *at, struct spool_item *out);
/** The one there is on flash, or no more. `left` is not called. */
void spool_set_kept(struct spool *s, size_t at, bool kept);
/** It is known to be over, if it is there: it goes, and counts as nothing. */
void spool_remove(struct spool *s, struct spool_id id);

#endif
