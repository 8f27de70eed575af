#ifndef NEFIA_HUB_ACTION_H
#define NEFIA_HUB_ACTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "nefia/sys/child.h"
#include "nefia/config/config.h"
#include "nefia/event/event.h"
#include "nefia/hub/device.h"
#include "nefia/link/link.h"

/** What a rule can do. An action is one file, src/hub/actions/<name>.c, one Kconfig entry, and
 * `const struct action_class action_<name>`; this is the only header of the hub that it needs. Its class
 * carries all of it: what the configuration may say, the places it has in the hub's memory, and what it
 * does. */
struct action_class;
struct hub_settings;
struct playbook_room;

#define ACTION_COMMAND_MAX 1024
#define ACTION_ERROR_MAX 63
#define ACTION_KEPT 75 /* exit status of one that resumes, when the hub stops */

/** `lane` of actions whose rule is their lane. */
#define ACTION_LANE_RULE 0xFFFF

/** The action of one rule, as configured. */
struct action {
    const struct action_class *class; /* null: known, but not in this build */
    uint16_t lane;   /* jobs of one lane share its places; bind sets it, else ACTION_LANE_RULE */
    uint8_t word;    /* index in action_words: as configured */
    uint8_t retries; /* tries after the first one; bind sets it, else 0 */
    uintptr_t own[CONFIG_ACTION_WORDS]; /* the class's struct */
};

/** Valid values of `type`, a list for word_at: the classes of this build, then the actions that other builds have. */
extern const char action_words[];

static inline const char *action_word(const struct action *a)
{
    return word_at(action_words, a->word);
}

/** What all actions may say, beside the class's fields. */
extern const struct field action_common_fields[];
/** Bind a rule's `action`. s: the settings of the same file, which live as long as the action.
 * Return: 0; NEFIA_ENOTSUP: valid, but not in this build, and a->class is null; NEFIA_EINVAL after
 * a report. */
int action_bind(struct action *a, struct config *c, const struct node *n, const char *where,
                const struct hub_settings *s);
/** The classes of this build, null-terminated. */
const struct action_class *const *action_classes(void);

/** What the classes of this build want together: places for jobs, children, and how many they are. */
#define ACTION(name, jobs, running) +(jobs)
enum { ACTION_JOBS = 0
#include "actions.inc"
};
#undef ACTION
#define ACTION(name, jobs, running) +(running)
enum { ACTION_CHILDREN = 0
#include "actions.inc"
};
#undef ACTION
#define ACTION(name, jobs, running) +1
enum { ACTION_CLASSES = 0
#include "actions.inc"
};
#undef ACTION

/** One attempt at an action. Everything is borrowed for the call, but see `scratch`. */
struct action_request {
    const struct action *action;
    const char *rule;
    const struct event *event; /* decoded; event->line holds the exact bytes */
    struct device device;      /* the host of the event, as configured; zero: it is not */
    unsigned attempt;          /* from 1 */
    uint64_t job;              /* its id, the same over a restart of the hub */
    bool approved;             /* after ACTION_PENDING */
    const struct playbook_room *playbooks; /* null: there is none */
    int hub;                   /* for the child: the hub's process */
};

/** What ACTION_SENT wants done on the device of the event. */
struct action_order {
    struct slice op;   /* the raw object (nefia/ops/op.h), valid until the next attempt is prepared */
    uint32_t life_ms;  /* within which it must begin there */
};

/** Memory in which an action prepares its child. There is only one: each child is forked before the
 * next is prepared. */
#define ACTION_ENV_VARS 64
#define ACTION_ENV_BYTES (2 * CONFIG_EVENT_BYTES + ACTION_ENV_VARS * 80 + 512)
struct action_scratch {
    struct action_order order; /* of ACTION_SENT */
    char op[LINK_COMMAND_MAX - EVENT_CAUSE_MAX - 160 + 1]; /* what it points to: COMMAND_OP_MAX */
    const char *argv[4];
    const char *envp[ACTION_ENV_VARS + 1];
    struct action_request request; /* for the child, in its own copy of the process */
    char text[ACTION_ENV_BYTES];
};

/** What an action would do, as far as a policy asks. Strings belong to the configuration. */
struct action_subject {
    const char *command; /* for /bin/sh; null: none */
    bool on_device;      /* it runs on the device of the event; otherwise on the hub */
};

enum action_outcome { ACTION_DONE, ACTION_FAILED, ACTION_AGAIN };

/** What start has done. The last two need `select HUB_JOBS_WAIT` in the Kconfig entry. */
enum action_started {
    ACTION_CHILD,   /* it has filled spec: that child is begun now, and judged when it ends */
    ACTION_SENT,    /* scratch->order is for the device of the event: the job waits for the answer (jobs_answer) */
    ACTION_PENDING, /* nothing yet: the job waits for an approval (jobs_approve), and is then started again */
};

struct action_class {
    const char *name;           /* `type` in the configuration; the file's */
    const struct field *fields; /* what else it may say, bound into the class's struct; null: nothing */
    uint16_t size;              /* of that struct: ACTION_SIZE(struct …) */
    /* Its queue. Both stand on lines of their own: toolchain/config.sh adds them up for src/budget.def. */
    uint16_t jobs;    /* how many may wait or run */
    uint8_t running;  /* how many children at a time, up to 64 */
    bool idempotent;  /* what a rule's `idempotent` is without that key */
    bool logs_output; /* log the child's output on failure */
    bool resumes;     /* begun before a restart of the hub, it is begun again under the same job, and goes on where it was. When the hub
                         stops, its child gets SIGUSR1: it ends what it is about, and exits with ACTION_KEPT */
    /** The fields are bound into a->own; check what a table cannot express, look up what they name, and
     * set a->lane and a->retries. No side effects: this also runs for `check`. May be null.
     * Return: as action_bind. */
    int (*bind)(struct action *a, struct config *c, const struct node *n, const char *where,
                const struct hub_settings *s);
    /** Read the files that it names, once all of the configuration is bound: all problems are reported. No side effects: this also
     * runs for `check`. May be null. Return: 0 or negative. */
    int (*check)(const struct action *a, const struct playbook_room *room, void (*report)(void *arg, const char *message), void *arg);
    /** What a policy has to judge of it, into a zeroed struct; null: nothing runs, nothing is written. */
    void (*subject)(const struct action *a, struct action_subject *out);
    /** Begin one attempt, without blocking. ACTION_CHILD: spec is filled but for its output, with the
     * deadline; the child may read scratch->request after the fork. The others: only spec->deadline_ms: ACTION_SENT: how long it
     * may run there; ACTION_PENDING: after which the job fails without an approval; 0: never.
     * Return: enum action_started, or negative with a reason in why: it can never start. */
    int (*start)(const struct action_request *r, struct action_scratch *scratch,
                 struct child_spec *spec, struct text *why);
    /** Judge the result of the child, which had timeout_ms. error (at most ACTION_ERROR_MAX bytes) gets
     * the reason for FAILED and AGAIN. */
    enum action_outcome (*judge)(const struct child_result *r, const char *output,
                                 uint64_t timeout_ms, struct text *error);
    /** Null, or: how long to wait before the next attempt, by the child's output; by itself it would
     * be the backoff. */
    uint64_t (*delay_ms)(const char *output, size_t len, uint64_t backoff_ms);
};

/** The size of a class's struct, for .size; what is too large does not compile. */
#define ACTION_SIZE(type)                                                                          \
    (sizeof(type) + 0 * sizeof(struct {                                                            \
         _Static_assert(sizeof(type) <= CONFIG_ACTION_WORDS * sizeof(uintptr_t),                   \
                        "raise CONFIG_ACTION_WORDS");                                              \
         _Static_assert(_Alignof(type) <= _Alignof(uintptr_t), "a member needs more alignment");   \
         char unused;                                                                              \
     }))

/** Backoff after attempt number `attempt`: 1 s, 2 s, 4 s … at most 60 s. */
uint64_t action_backoff_ms(unsigned attempt);

#endif
