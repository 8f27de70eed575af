#ifndef NEFIA_HUB_PLAYBOOK_DRIVER_H
#define NEFIA_HUB_PLAYBOOK_DRIVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "nefia/hub/audit_log.h"
#include "nefia/json/json.h"

/* ---- What a run reports to the hub (control verb `step`), which makes an audit record of it ---- */

#define PLAYBOOK_REPORT_TEXT 1024 /* all strings of a report, unescaped */
#define PLAYBOOK_REPORT_TOKENS 32

/** What became of a step, or of a run: "begun" … */
enum play_outcome {
    OUTCOME_BEGUN,       /* run */
    OUTCOME_RESUMED,     /* run: after a restart of the hub */
    OUTCOME_DONE,
    OUTCOME_FAILED,
    OUTCOME_SKIPPED,     /* step: its `when` is false */
    OUTCOME_DENIED,      /* step: by a policy */
    OUTCOME_UNKNOWN,     /* step: whether it has ended cannot be known */
    OUTCOME_INTERRUPTED, /* run: it can be resumed */
    OUTCOME_ROLLED_BACK, /* run */
    OUTCOMES,
};
/** For word_at. */
extern const char play_outcome_words[];

/** Write s as the request "step {…}". */
void playbook_report_put(struct text *t, const struct audit_step *s);
/** Read the {…} of one. text: PLAYBOOK_REPORT_TEXT bytes, gets the strings that out points to; tokens: of cap.
 * Return: 0, or negative with a sentence in why. */
int playbook_report_read(struct audit_step *out, struct slice json, struct text *text, struct json_token *tokens, unsigned cap,
                         struct text *why);

#endif
