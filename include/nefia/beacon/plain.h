#ifndef NEFIA_BEACON_PLAIN_H
#define NEFIA_BEACON_PLAIN_H

#include <stddef.h>
#include <stdint.h>

#include "nefia/beacon/spool.h"
#include "nefia/crypto/mac.h"

/** Delivery to a plain hub, which says nothing: guessed from what its kernel acknowledges. An engine
 * without I/O: it takes events from the spool, and is told how many bytes of the stream have not
 * arrived.
 *
 * Delivered means: the hub's kernel has acknowledged every byte of the event, and 0.1 s later the
 * connection is still up (a hub that rejects data resets it). If the connection breaks before, all
 * undelivered events are sent again, whole.
 *
 * A hub that resets the connection after an event was sent has rejected it, or one of those sent but
 * not yet delivered: these are then sent one at a time to find out which. An event rejected
 * PLAIN_REFUSALS times in a row is dropped and counted as lost. */
#define PLAIN_REFUSALS 8

struct plain {
    struct spool *spool;
    unsigned suspects;    /* number of oldest events, one of which was rejected */
    uint64_t deadline_ms; /* of the next check; 0: nothing is in flight */
    uint32_t check_ms;    /* until then, from the last one */
    unsigned settling;    /* events delivered if the connection is still up at the next check */
    uint32_t losses;      /* the spool's losses at the last one */
    unsigned refusals;    /* consecutive rejections of `refused`, sent alone */
    struct spool_id refused;
};

/** Memory: the spool must persist. */
void plain_init(struct plain *p, struct spool *spool);
/** A connection begins, or ends: nothing is in flight. */
void plain_begin(struct plain *p);
/** Write the next event to line: JSON, newline, and with a key its signature and another one.
 * line: DELIVERY_LINE_BYTES. Return: the length; 0: there is none, or none may be sent yet. */
size_t plain_next(struct plain *p, const struct mac_key *key, uint64_t now_ms, char *line);
/** The connection has stood a check: remove what is thereby delivered. Return: number of events. */
unsigned plain_settle(struct plain *p);
/** After that: missing bytes of the stream have not arrived. */
void plain_check(struct plain *p, const struct mac_key *key, size_t missing, uint64_t now_ms);
/** The hub has closed in an orderly way: check again later whether all has arrived. */
void plain_wait(struct plain *p, uint64_t now_ms);
/** Everything sent was delivered: remove it. Return: number of events. */
unsigned plain_arrived(struct plain *p);
/** The hub reset the connection after data of the `events` oldest was sent. Call before
 * spool_rewind. */
void plain_refused(struct plain *p, unsigned events);

#endif
