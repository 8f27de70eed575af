#ifndef NEFIA_GUARD_VERDICT_H
#define NEFIA_GUARD_VERDICT_H

#include <stdbool.h>
#include <stdint.h>

#include "nefia/base/text.h"

/** What may be done, and why: the answer to one question (policy.h). The log, `status`, the audit and
 * the command line print the same one. */
enum verdict_kind {
    VERDICT_ALLOWED,
    VERDICT_NOTIFY,  /* it is done, and reported: a policy that only warns would have denied it */
    VERDICT_PENDING, /* it is not done before somebody approves it */
    VERDICT_DENIED,
};

/** Strings belong to the policy, or are constant. */
struct verdict {
    enum verdict_kind kind;
    const char *reason; /* a phrase: "matches deny_commands pattern". Null: nothing stands against it */
    const char *rule;   /* the pattern, or the name of the rule, that decided; null: none */
    const char *mode;   /* of the policy: off, warn, enforce; null: nobody was asked */
    const char *role;   /* whose list it is in; null: nobody's, the list for all */
    uint32_t at;        /* byte of the subject at which that pattern matched, or the doubt begins */
    bool has_at;
    uint64_t have, most; /* the figures compared: more than `most` was too much; most 0: none were */
};

/** Is it to be done now? */
static inline bool verdict_begins(const struct verdict *v)
{
    return v->kind <= VERDICT_NOTIFY;
}
/** "allowed", "notify", "pending approval", "denied". */
const char *verdict_word(enum verdict_kind kind);
/** Append: denied: matches deny_commands pattern: "rm -rf" of role "deploy" at byte 4; denied: too long (9000 > 8192). */
void verdict_text(struct text *t, const struct verdict *v);
/** The same without the word. */
void verdict_reason(struct text *t, const struct verdict *v);

#endif
