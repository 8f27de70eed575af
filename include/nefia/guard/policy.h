#ifndef NEFIA_GUARD_POLICY_H
#define NEFIA_GUARD_POLICY_H

#include "nefia/config/config.h"
#include "nefia/event/event.h"
#include "nefia/guard/verdict.h"

/** What is asked before an action begins. Everything is borrowed for the call. */
struct policy_case {
    const struct event *event; /* that sets it off */
    const char *rule;          /* the reactor's, that matched */
    const char *action;        /* its word: exec, alert */
    const char *role;          /* of the event's host, or null */
    int64_t now_s;             /* wall clock */
};

/** Who is asked: policy_judge, or in a test another one. */
struct guard {
    /** Pure: the same case gives the same verdict. Null: nobody is asked, and everything is allowed. */
    struct verdict (*judge)(void *arg, const struct policy_case *c);
    void *arg;
};

/** May it be done? No rule of a policy can be enforced yet: whatever is asked is allowed. */
struct verdict policy_judge(void *arg, const struct policy_case *c);

/** Check the section `policy` (null: there is none). It must be empty, or `mode: off`: whatever else
 * it has would not be enforced, and is reported, so that no one relies on it. */
void policy_check(struct config *c, const struct node *n);

#endif
