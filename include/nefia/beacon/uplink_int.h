#ifndef NEFIA_BEACON_UPLINK_INT_H
#define NEFIA_BEACON_UPLINK_INT_H

#include "nefia/beacon/uplink.h"

/** Shared by the two files of the uplink: src/beacon/uplink.c, which connects and sends, and
 * uplink_ack.c (BEACON_ACK), which receives. */

/** An established connection ends. error: its errno, or 0. */
void uplink_lost(struct uplink *u, const char *why, int error);
/** The n oldest sent events were delivered. */
void uplink_confirm(struct uplink *u, unsigned n);
/** Send as much as possible. */
void uplink_send(struct uplink *u);

/** Connected: wait for the greeting. */
void uplink_greet(struct uplink *u);
/** Input from the hub. Return: false if the connection is no longer up. */
bool uplink_received(struct uplink *u, const char *bytes, size_t len);
/** Does the window allow another event? */
bool uplink_may_send(const struct uplink *u);
/** Stamp the event of len bytes in u->line with the next number. Return: its new length. */
size_t uplink_stamp(struct uplink *u, size_t len);

#endif
