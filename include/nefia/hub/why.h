#ifndef NEFIA_HUB_WHY_H
#define NEFIA_HUB_WHY_H

#include "nefia/hub/status.h"

/** Why a recent event did or did not act, over the control socket, with a struct status_view as arg:
 *
 *     why ID | why HOST:BOOT:SEQ   {"event":{…}}  {"rule":{…}}…, or an error
 *
 * ID is `seq` of a row of the recent events; HOST:BOOT:SEQ finds the newest row of that event. Rules that match come first, then those that
 * do not. What was decided is what its row says; the rest is found again as rules and policy are now, and where those were
 * others when the event came, "reloaded" of the event says so. Nothing is counted, recorded or begun. */
int why_begin(void *arg, struct control_cursor *c, const char *args, struct text *why);
int why_produce(void *arg, struct control_cursor *c, struct text *out);

#endif
