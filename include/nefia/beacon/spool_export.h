#ifndef NEFIA_BEACON_SPOOL_EXPORT_H
#define NEFIA_BEACON_SPOOL_EXPORT_H

#include <stdbool.h>
#include <stddef.h>

#include "nefia/control/control.h"
#include "nefia/beacon/spool.h"

/** The events that wait for the hub as text (nefia/link/export.h), for a person to carry: SPOOL_EXPORT.
 *
 * An event that is exported may act before the device delivers it. So it counts as written from then on, under the name of the hub's
 * window if the hub has acknowledged something of its start, else under one that no window has: a hub that does not have it in the
 * window of that name gets it as unsure. */

struct beacon;

/** Where an export goes. */
struct spool_export_sink {
    bool (*write)(void *arg, const char *s, size_t len); /* the text; false: nobody reads any more */
    void (*say)(void *arg, const char *sentence);        /* what a person has to know, without newline; it is no part of the text */
    void *arg;
};
/** Ask the daemon for its events, and sign them with the key of the configuration; where it does not answer, read its spool file, which is
 * not changed: beside it, `FILE.exported` tells the next start. Where the daemon only hangs, or that cannot be written, all events are
 * marked as unsure. Blocks.
 * For a process that is not the daemon, after beacon_load(b, BEACON_NEEDS_KEY); it uses b's pools.
 * Return: an exit status. */
int spool_export(struct beacon *b, const struct spool_export_sink *to);

/** The daemon's side: the verb `spool` of the control socket, with the struct beacon as arg. Each record is `["MARK",{event}]`, of the
 * running start first, then of earlier ones; of each start in the order of their seq. */
int spool_export_produce(void *arg, struct control_cursor *c, struct text *out);
/** At the start, when the file's events are in the spool: were they exported meanwhile? Then they were written. */
void spool_export_recall(struct spool *s, const char *file);

#endif
