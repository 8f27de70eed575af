#ifndef NEFIA_HUB_JOBS_H
#define NEFIA_HUB_JOBS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "nefia/hub/action.h"
#include "nefia/sys/child.h"

/** Actions that are queued, running or waiting for a retry. One queue for each action class, with
 * fixed slots and fixed memory for the events, so that one kind of action never displaces another.
 * Within a queue each `lane` (a webhook; for commands, a rule) may use at most three quarters of
 * the slots and of the children, so that one that hangs leaves room for the rest; and of a lane's slots
 * each host at most half, so that one that floods it leaves room for the others. Of a lane the jobs
 * of hosts with the fewest running begin first, then the oldest. */

#define JOB_BLOCK 256  /* events are stored in chains of such blocks */
#define JOB_OUTPUT 512 /* bytes of a child's output kept */
#define JOB_NO_RULE 0xFFFF

enum job_state { JOB_FREE, JOB_QUEUED, JOB_WAITING, JOB_STARTING, JOB_RUNNING };

struct job_queue;

struct job {
    struct job_queue *queue;
    uint8_t state;   /* enum job_state */
    uint8_t attempt; /* number of starts */
    uint8_t output;  /* index of its output buffer while it runs */
    uint16_t rule;   /* index in the active set; JOB_NO_RULE: removed by a reload while it ran */
    uint16_t lane;
    uint16_t first_block;
    uint32_t host; /* hash of its event's host_id */
    uint32_t len;
    uint32_t timeout_ms;
    uint64_t row; /* row of the recent events that gets the outcome */
    uint64_t order;
    uint64_t at_ms; /* JOB_WAITING: time of the retry */
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
    unsigned limit, used, running; /* running: including those about to start */
    uint64_t outputs_taken; /* bitmap */
    uint64_t orders, started, done, failed, retried, overflowed;
};

/** Callbacks to the owner. */
struct job_hooks {
    /** Look up a rule's current data. Return: false if the index has no rule or its action is of
     * another class. */
    bool (*rule)(void *arg, uint16_t rule, struct action_request *out);
    /** The job has finally ended; error is "" on success. */
    void (*settled)(void *arg, const struct job *job, bool done, const char *error,
                    const struct child_result *r, const char *output);
    /** The job is about to start: to be recorded before jobs_begin. May be null. */
    void (*starting)(void *arg, const struct job *job);
    /** Jobs may be started: a child ended, or a retry is due. Calls jobs_choose and jobs_begin. */
    void (*ready)(void *arg);
    /** For `rule`: decode an event of the hub again, into out (tokens and scratch are the owner's).
     * Return: 0 or negative. */
    int (*decode)(void *arg, const char *line, size_t len, struct event *out);
    void *arg;
};

#define JOB_QUEUES 4

struct jobs {
    struct loop *loop;
    struct children *children;
    struct action_scratch *scratch;
    char *line; /* CONFIG_EVENT_BYTES: event of the job being started */
    struct job_hooks hooks;
    struct job_queue queues[JOB_QUEUES];
    unsigned queue_count;
    struct timer timer;
    bool draining; /* no new jobs, no retries */
};

void jobs_init(struct jobs *j, struct loop *loop, struct children *children,
               struct action_scratch *scratch, char *line, const struct job_hooks *hooks);
/** Memory of one class; the caller's, must persist. limit (<= 64): concurrent children; outputs has
 * limit * JOB_OUTPUT bytes. */
void jobs_add_queue(struct jobs *j, const struct action_class *class, struct job *slots,
                    unsigned count, struct job_block *blocks, unsigned block_count, char *outputs,
                    unsigned limit);
/** Queue a job; the event is copied. Nothing starts before jobs_begin. host: hash of its host_id.
 * Return: 0; NEFIA_EFULL (counted); NEFIA_ENOTSUP (no queue of that class). */
int jobs_push(struct jobs *j, const struct action *a, uint16_t rule, uint32_t host, uint64_t row,
              const char *line, size_t len);
/** Other actions of the same event, to be pushed before: those of the same queue, and of these the ones
 * of the same lane. */
struct jobs_before {
    unsigned queue, lane;
};
/** Would jobs_push accept it after those? True also if it never will, so that nobody waits for it. */
bool jobs_have_room(struct jobs *j, const struct action *a, uint16_t rule, uint32_t host,
                    size_t len, struct jobs_before before);
/** Visit all unfinished jobs, in order of arrival within each queue's slots. line is valid
 * during the call. */
void jobs_each(struct jobs *j, void (*fn)(void *arg, const struct job *job, const char *line),
               void *arg);
/** Choose as many jobs as there are free children; `starting` is called for each. */
void jobs_choose(struct jobs *j);
/** Begin the chosen ones, or put them back if recording them failed. May call `decode` and, if a job
 * cannot begin at all, `settled`. */
void jobs_begin(struct jobs *j, bool recorded);
/** After a reload. rule_now maps an old index to the new one, or JOB_NO_RULE; jobs that have not
 * started and lost their rule end with "rule removed". */
void jobs_rebind(struct jobs *j, uint16_t (*rule_now)(void *arg, uint16_t rule), void *arg);
/** On SIGTERM: cancel jobs waiting for a retry; queued ones still run. Return: number of jobs
 * left. */
unsigned jobs_drain(struct jobs *j);
unsigned jobs_left(const struct jobs *j);

#endif
