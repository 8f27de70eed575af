#ifndef NEFIA_HUB_IMPORT_H
#define NEFIA_HUB_IMPORT_H

#include "nefia/control/control.h"

/** Events that a person brings as text (nefia/link/export.h): HUB_IMPORT. The verb `import MARK SIGNATURE LINE` of the control socket takes
 * one line, with a struct status_view as arg, and answers once that is in the journal:
 *
 *     {"verdict":"accepted"}                       or "unsure": accepted, but what is not idempotent does not act
 *     {"verdict":"seen"}                           it was received before
 *     {"verdict":"refused","reason":"…"}
 *     {"verdict":"full"}                           the actions' queues are: nothing was done, ask again later
 *     {"verdict":"complete","events":12}           of the last line of a text: so many it has
 *
 * The signature is verified before the line is parsed, with the keys that may sign for its host. */
enum import_verdict { IMPORT_ACCEPTED, IMPORT_UNSURE, IMPORT_SEEN, IMPORT_REFUSED, IMPORT_FULL, IMPORT_COMPLETE };
extern const char import_words[]; /* in that order, for word_at */
int import_begin(void *arg, struct control_cursor *c, const char *args, struct text *why);
int import_produce(void *arg, struct control_cursor *c, struct text *out);

#endif
