#ifndef NEFIA_BEACON_SPOOL_H
#define NEFIA_BEACON_SPOOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "nefia/event/event.h"
#include "nefia/base/kconfig.h"
#include "nefia/link/link.h"

/** Encoded events waiting for the hub, in a fixed byte array. Record: be32 severity << 24 | kept on
 * flash << 23 | name << 17 | length, be64 seq; with BEACON_ACK also be64 boot, be64 key, be32 line;
 * then the bytes. Sent but undelivered records come first, in sending order, then the others. The most
 * severe are sent first, and of these the newest (without BEACON_ACK: the oldest of all). A full
 * spool evicts the least severe; among equals unsent before sent, older before newer, and never a
 * record more severe than the new one. Events below critical may fill at most 4/5, which reserves a
 * share for critical ones. Evictions are counted by severity in `lost` (and since start in
 * `lost_total`): at any time pushed = delivered + in the spool + lost + collapsed.
 *
 * With BEACON_ACK a hub gets events of the running start, and of one earlier start at a time until
 * that is settled; none LINK_SPAN or more above the lowest seq of its start, because the hub could
 * not tell it from a repetition. A record also says under which name it was written
 * (nefia/link/link.h: the name of the hub's window): never, under one, or under several. Only what
 * was written under no other name than the hub's is known not to act twice. */
#define SPOOL_NAMES 8 /* names remembered; one more counts as several */

/** Identity of an event: the start of the device, and a number counting up within it. */
struct spool_id {
    uint64_t boot, seq; /* boot: 0 without BEACON_ACK */
};

/** Losses: count by severity, and the range of ids they lie in. */
struct spool_lost {
    uint32_t count[SEVERITY_COUNT];
    uint32_t collapsed;
    uint32_t unknown; /* of `count`: refused by a hub that cannot know whether it had them */
    struct spool_id first, last;
};

struct spool_event {
    struct spool_id id;
    uint64_t key; /* of its condition: supersedes an unsent one of the same key and severity; 0: none */
    enum severity severity;
    const char *line;
    size_t len;
    bool kept; /* SPOOL_FILE: also on flash */
};

struct spool {
    uint8_t *mem;
    size_t size, used;
    size_t sent; /* offset: records before it are in flight */
    size_t bytes[SEVERITY_COUNT]; /* of `used` */
    unsigned events, unsent;
    struct spool_lost lost;
    uint64_t lost_total[SEVERITY_COUNT];
    uint64_t collapsed; /* superseded by a newer one of the same condition */
    uint64_t own;       /* BEACON_ACK: the running start, set by the owner before the first event */
    uint64_t earlier;   /* the earlier one being sent; may be set after spool_rewind, which
                         * chooses anew */
    uint64_t unknown;   /* since start; see spool_lost */
    uint8_t names[IS_ENABLED(CONFIG_BEACON_ACK) ? SPOOL_NAMES : 1][LINK_NAME];
    /** SPOOL_FILE: called when a kept record leaves, for whatever reason. Must not change the
     * spool. */
    void (*left)(void *arg, const struct spool_event *e);
    /** The same, before a kept record is written under this name; null: it was, or will have been,
     * under several. Null: nobody needs to know. */
    void (*written)(void *arg, uint64_t boot, const uint8_t *name);
    void *left_arg;
    bool collapsing;                  /* in `left`: it is superseded by the one being pushed */
    const struct spool_lost *reporting; /* the owner's: taken, while the event that reports them is
                                         * not kept yet; null: none */
};
#define SPOOL_HEADER (IS_ENABLED(CONFIG_BEACON_ACK) ? 32 : 12)

/** An event in the spool; line is valid until the next call that changes the spool. */
struct spool_item {
    struct spool_event event;
    size_t at;
};

/** size: 1024.. bytes. */
void spool_init(struct spool *s, uint8_t *mem, size_t size);
/** Add an event (copied). len 1..65536. Return: 0; NEFIA_EFULL if evicting less or equally severe
 * records could not make room, or it exceeds its share: then nothing is evicted, and the new event
 * itself is counted as lost. Any record may move or be evicted, including the one returned by
 * spool_next: copy it before. The new one is the last in `mem`. */
int spool_push(struct spool *s, const struct spool_event *e);
/** The next event to send. Return: 1, or 0 if there is none, or none may be sent yet. */
int spool_next(struct spool *s, struct spool_item *out);
/** Mark the event returned by spool_next as sent (before its first byte is): in this line of the
 * session (counting up), under this name; null: plainly, where no name tells windows apart. line and
 * name are ignored without BEACON_ACK. */
void spool_mark_sent(struct spool *s, const struct spool_item *item, uint32_t line,
                     const uint8_t *name);
/** Is there an event of this start? */
bool spool_has(const struct spool *s, uint64_t boot);
/** Is it certain that the hub will recognise a repetition of the event, which spool_next returned?
 * name: the hub's, of the event's start; null: it has no window of that start. */
bool spool_sure(const struct spool *s, const struct spool_item *item, const uint8_t *name);
/** The hub has forgotten events of this start: none of it that was ever written is sure any more. */
void spool_doubt(struct spool *s, uint64_t boot);
/** The event at `at` is, or was, written under this name (null: several, or unknown). */
void spool_written(struct spool *s, size_t at, const uint8_t *name);
/** The event is exported (spool_export.h): it is written, if it never was, under this name; null: under one that no window has.
 * Return: the mark of its line (nefia/link/export.h), which says what was before. */
uint64_t spool_exported(struct spool *s, const struct spool_item *item, const uint8_t *name);
/** The oldest event in flight. Return: 1, or 0 if there is none. */
int spool_sent(const struct spool *s, struct spool_item *out);
/** Number of events in flight in lines up to this one. */
unsigned spool_up_to(const struct spool *s, uint32_t line);
/** The event in flight in that line. Return: 1, or 0 if there is none (any more). */
int spool_at_line(const struct spool *s, uint32_t line, struct spool_item *out);
/** All sent events were delivered: remove them. Return: their number. */
unsigned spool_delivered(struct spool *s);
/** How many of the oldest sent events arrived if the last `missing` bytes of the stream did not; on
 * the stream each takes its length plus `extra`. */
unsigned spool_arrived(const struct spool *s, size_t missing, size_t extra);
/** The n oldest sent events were delivered: remove them. Return: their number. */
unsigned spool_delivered_first(struct spool *s, unsigned n);
/** Give up an event, if present: remove it and count it as lost. */
void spool_give_up(struct spool *s, struct spool_id id);
/** The same of an event that is present, and that the hub may have had. */
void spool_unknown(struct spool *s, struct spool_id id);
/** The connection broke: mark all sent events as unsent. */
void spool_rewind(struct spool *s);
/** Read and reset `lost`. Return: their number; 0: none, nothing is reset. */
uint32_t spool_take_lost(struct spool *s, struct spool_lost *out);
/** Taken losses could not be reported: put them back before those counted since. */
void spool_put_lost(struct spool *s, const struct spool_lost *lost);

/* ---- for SPOOL_FILE ---- */

/** Iterate over all events, starting with *at = 0. Return: 1, or 0 after the last. */
int spool_walk(const struct spool *s, size_t *at, struct spool_item *out);
/** Set whether the event there is on flash. `left` is not called. */
void spool_set_kept(struct spool *s, size_t at, bool kept);
/** Remove an event that is known to be settled, if present; not counted. */
void spool_remove(struct spool *s, struct spool_id id);

#endif
