#ifndef NEFIA_GUARD_POLICY_VERBS_H
#define NEFIA_GUARD_POLICY_VERBS_H

#include "nefia/guard/policy.h"
#include "nefia/sys/cli.h"

/** The verbs that ask a policy, of both programs: they read the configuration file, need no running daemon, and do nothing. */

/** What answers are written with. Everything is borrowed. */
struct policy_desk {
    const struct cli_args *args;
    const struct config *config; /* still loaded: reactor.hosts is looked up in it */
    const struct policy_use *use;
    const char *host; /* whose commands are judged where --host says nothing, or null */
    bool json;
    char *line; /* POLICY_DESK_LINE bytes, for the verbs that put a command together: test_batch and plan */
    struct text out;
};
#define POLICY_DESK_LINE (PATTERN_SUBJECT_MAX + 2) /* one byte too long is too long */

/** What reactor.hosts says of a host; members are null where it says nothing. */
struct policy_host {
    const char *role, *address;
};
/** host may be null. */
struct policy_host policy_host_known(const struct config *c, const char *host);
/** Append `Policy: DENIED` and why, and a line break. */
void policy_put_verdict(struct text *t, const struct verdict *v);

/** buf is flushed after each answer; one takes at most 6 times the command and about 2 KiB, and is cut beyond. */
void policy_desk_init(struct policy_desk *d, const struct cli_args *a, const struct config *c,
                      const struct policy_use *use, char *buf, size_t cap);

/** Each returns an exit status: 1 where something is denied, or lint has a remark. */
int policy_verb_test(struct policy_desk *d);         /* [COMMAND] --path PATH --host HOST --json */
int policy_verb_test_batch(struct policy_desk *d);   /* [FILE] --null --host HOST --json */
int policy_verb_capabilities(struct policy_desk *d); /* --host HOST --json */
int policy_verb_lint(struct policy_desk *d);         /* --json */
int policy_verb_plan(struct policy_desk *d);         /* --target HOST --json -- COMMAND… */

#endif
