#ifndef NEFIA_BEACON_UPLINK_INT_H
#define NEFIA_BEACON_UPLINK_INT_H

#include "nefia/beacon/uplink.h"

/** Between the two files of the uplink: src/beacon/uplink.c, which is connected and sends, and
 * uplink_ack.c (BEACON_ACK), which listens. */

/** A connection that is up ends. error: its errno, or 0. */
void uplink_lost(struct uplink *u, const char *why, int error);
/** The n oldest of those sent arrived. */
void uplink_confirm(struct uplink *u, unsigned n);
/** Send what may be sent. */
void uplink_send(struct uplink *u);

/** Connected: wait for a greeting. */
void uplink_greet(struct uplink *u);
/** The hub said something. Return: false when the connection is no longer up. */
bool uplink_heard(struct uplink *u, const char *bytes, size_t len);
/** Is one more event granted? */
bool uplink_may_send(const struct uplink *u);
/** Stamp the event in u->line, of that length, with the next number. Return: its new length. */
size_t uplink_stamp(struct uplink *u, size_t len);

#endif
