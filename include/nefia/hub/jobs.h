#ifndef NEFIA_HUB_JOBS_H
#define NEFIA_HUB_JOBS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "nefia/hub/action.h"
#include "nefia/sys/child.h"

/** Actions that wait, run, or will be tried again. One queue for each action class; a queue has
 * fixed slots and fixed memory for the events, so that one kind of action never takes another's
 * place. Within a queue everything with the same `lane` (a webhook; for commands, a rule) may take
 * at most three quarters of the slots and of the children, so that one that hangs leaves room for
 * the rest. First come, first served within a lane. */

#define JOB_BLOCK 256  /* events are kept in a chain of such blocks */
#define JOB_OUTPUT 512 /* bytes kept of what a child prints */
#define JOB_NO_RULE 0xFFFF

enum job_state { JOB_FREE, JOB_QUEUED, JOB_WAITING, JOB_STARTING, JOB_RUNNING };

struct job_queue;

struct job {
    struct job_queue *queue;
    uint8_t state;   /* enum job_state */
    uint8_t attempt; /* how often it was started */
    uint8_t output;  /* index of its output buffer while it runs */
    uint16_t rule;   /* index in force; JOB_NO_RULE: a reload took it away while it ran */
    uint16_t lane;
    uint16_t first_block;
    uint32_t len;
    uint32_t timeout_ms;
    uint64_t row; /* of the recent events, to report to */
    uint64_t order;
    uint64_t at_ms; /* JOB_WAITING: when to try again */
};

struct job_block {
    char bytes[JOB_BLOCK - 2];
    uint16_t next; /* index + 1; 0: last */
};

struct jobs;

struct job_queue {
    struct jobs *jobs;
    const struct action_class *class;
    struct job *slots;
    unsigned count;
    struct job_block *blocks;
    unsigned block_count, blocks_free;
    uint16_t free_block; /* index + 1 */
    char *outputs;       /* JOB_OUTPUT bytes for each child */
    unsigned limit, used, running; /* running: with those about to */
    uint64_t outputs_taken; /* a bit for each */
    uint64_t orders, started, done, failed, retried, overflowed;
};

/** What the engine asks of its owner. */
struct job_hooks {
    /** Who this rule is now. Return: false when the index has no rule or its action is of another
     * class. */
    bool (*rule)(void *arg, uint16_t rule, struct action_request *out);
    /** The job ended for good; error is "" when it was done. */
    void (*settled)(void *arg, const struct job *job, bool done, const char *error,
                    const struct child_result *r, const char *output);
    /** It is about to start. Then, once for all of them (and where there are none): make safe what was
     * told. Negative: it is not, and none starts; they wait for the next jobs_start. May be null. */
    void (*starting)(void *arg, const struct job *job);
    int (*safe)(void *arg);
    /** For `rule`: decode an event of the hub again, into out (tokens and scratch are the owner's).
     * 0 or negative. */
    int (*decode)(void *arg, const char *line, size_t len, struct event *out);
    void *arg;
};

#define JOB_QUEUES 4

struct jobs {
    struct loop *loop;
    struct children *children;
    struct action_scratch *scratch;
    char *line; /* CONFIG_EVENT_BYTES: the event of the job that is being started */
    struct job_hooks hooks;
    struct job_queue queues[JOB_QUEUES];
    unsigned queue_count;
    struct timer timer;
    bool draining; /* nothing new, no retries */
};

void jobs_init(struct jobs *j, struct loop *loop, struct children *children,
               struct action_scratch *scratch, char *line, const struct job_hooks *hooks);
/** Memory of one class; all is the caller's and stays. limit (<= 64): children at once; outputs has
 * limit * JOB_OUTPUT bytes. */
void jobs_add_queue(struct jobs *j, const struct action_class *class, struct job *slots,
                    unsigned count, struct job_block *blocks, unsigned block_count, char *outputs,
                    unsigned limit);
/** Copies the event. Nothing starts before jobs_start.
 * Return: 0; NEFIA_EFULL (counted); NEFIA_ENOTSUP (no queue of that class). */
int jobs_push(struct jobs *j, const struct action *a, uint16_t rule, uint64_t row, const char *line,
              size_t len);
/** Would jobs_push take it, after `before` others of the same event? */
bool jobs_have_room(struct jobs *j, const struct action *a, uint16_t rule, size_t len,
                    unsigned before);
/** All jobs that have not ended, in the order they came within each queue's slots. line is valid
 * during the call. */
void jobs_each(struct jobs *j, void (*fn)(void *arg, const struct job *job, const char *line),
               void *arg);
/** Start what there are children for. May call `decode` and, when a job cannot start at all,
 * `settled`. */
void jobs_start(struct jobs *j);
/** After a reload. rule_now gives the new index for an old one, or JOB_NO_RULE; jobs that have not
 * started and lost their rule end with "rule removed". */
void jobs_rebind(struct jobs *j, uint16_t (*rule_now)(void *arg, uint16_t rule), void *arg);
/** SIGTERM: what waits for another try is given up, what is queued still runs. Return: jobs that
 * are left. */
unsigned jobs_drain(struct jobs *j);
unsigned jobs_left(const struct jobs *j);

#endif
