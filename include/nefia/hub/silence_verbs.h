#ifndef NEFIA_HUB_SILENCE_VERBS_H
#define NEFIA_HUB_SILENCE_VERBS_H

#include "nefia/hub/status.h"

/** What the running hub does about silences when it is asked over its control socket, with a struct status_view as arg:
 *
 *     silence {"host":…}   {"silence":{…}}  {"warning":"…"}…, or an error; silence_parse says what is asked
 *     silences             {"silence":{…}}…
 *     unsilence ID         {"removed":{"id":3,"silenced":12}}, or an error
 */
int silence_verb_add(void *arg, struct control_cursor *c, const char *args, struct text *why);
int silence_verb_added(void *arg, struct control_cursor *c, struct text *out);
int silence_verb_list(void *arg, struct control_cursor *c, struct text *out);
int silence_verb_remove(void *arg, struct control_cursor *c, const char *args, struct text *why);
int silence_verb_removed(void *arg, struct control_cursor *c, struct text *out);

/** The hook `ended` of silences, with a struct pipeline as arg: said in the log, recorded, and where it has expired an event of the
 * hub's own, hub.silence_expired. */
void silence_verbs_ended(void *arg, const struct silence *s, enum silence_end why, uint32_t uid);

#endif
