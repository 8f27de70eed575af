#ifndef NEFIA_HUB_STATUS_H
#define NEFIA_HUB_STATUS_H

#include "nefia/control/control.h"
#include "nefia/hub/ingress.h"
#include "nefia/hub/pipeline.h"

/** What the running hub returns over its control socket, one JSON record at a time.
 *
 * status:          {"rule":{…}}…  {"host":{…}}…  {"recent":{…}}…  {"counters":{…}}
 * events [follow]: {"row":{…}}…  and {"missed":N} if rows were replaced before they were sent
 * forget HOST:     a string that says so, or an error
 * hosts:           {"host":{…}}…  {"others":{…}}
 * silence {…}, silences, unsilence ID: silence_verbs.h; why EVENT: why.h; import …: import.h
 */
struct status_view {
    struct pipeline *pipeline;
    struct ingress *ingress;
    const struct listener *listener;
    const char *seccomp; /* the word for it; null: off */
    void (*silence_added)(void *arg); /* or removed */
    void *arg;
};

#define STATUS_RECENT 20 /* rows in `status` */

/** For control_open, with a struct status_view as arg. Ended by a null name. */
extern const struct control_verb status_verbs[];

#endif
