#ifndef NEFIA_HUB_JOBS_H
#define NEFIA_HUB_JOBS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "nefia/hub/action.h"
#include "nefia/sys/child.h"

/** The table of jobs: what is still to be done, waits for something, or runs. A job has an id of its own,
 * under which the journal knows it; the row of the recent events that shows it may be gone before it ends.
 *
 * Each action class has a queue, a part of the table with fixed places, so that one kind of action never
 * displaces another. Within a queue
 *     each lane (a webhook; for commands, a rule) may use at most three quarters of the places and of the
 *     children, so that one that hangs leaves room for the rest;
 *     of these, each host at most half, so that one that floods it leaves room for the others;
 *     and in all lanes together each host at most three quarters of the places.
 * Of a lane the jobs of hosts with the fewest running begin first, then the oldest.
 *
 * The line of an event is stored once, in memory that all queues share, as long as a job of it is left. A host
 * that has something there may use at most half of it. */

#define JOB_BLOCK 256  /* events are stored in chains of such blocks */
#define JOB_OUTPUT 512 /* bytes of a child's output kept */
#define JOB_RULE_MAX 64
#define JOB_NO_RULE 0xFFFF

enum job_state {
    JOB_FREE,
    JOB_PENDING,  /* waits for an approval, until at_ms (0: for ever) */
    JOB_QUEUED,
    JOB_WAITING,  /* for the next try, at at_ms */
    JOB_SENT,     /* to a device, whose answer it waits for; without the hook `send` until at_ms */
    JOB_STARTING, /* chosen; not begun before that is recorded */
    JOB_RUNNING,
    JOB_STATES,
};

/** "pending_approval", "queued", "retrying", "sent_to_device", "starting", "running"; of JOB_FREE "free". */
const char *job_state_text(enum job_state s);

struct job_queue;

struct job {
    struct job_queue *queue;
    uint8_t state;   /* enum job_state */
    uint8_t attempt; /* number of starts */
    uint8_t output;  /* index of its output buffer while it runs */
    bool approved;
    uint16_t rule;   /* index in the active set; JOB_NO_RULE: removed by a reload while it ran */
    uint16_t lane;
    uint16_t first_block;
    uint16_t judged; /* the owner's: with what it was allowed */
    uint32_t host; /* hash of its event's host_id */
    uint32_t len;  /* of the event's line */
    uint32_t timeout_ms; /* of the child, of the answer or of the approval */
    uint64_t id, event; /* its own, and its event's; both count up */
    uint64_t row;       /* row of the recent events that gets the outcome, if it is still there */
    uint64_t at_ms;
    char name[JOB_RULE_MAX + 1]; /* the rule's: a copy, because a reload may remove the rule */
};

struct job_block {
    char bytes[JOB_BLOCK - 8];
    uint32_t host; /* hash of the event's host_id */
    uint16_t next; /* index + 1; 0: last */
    uint16_t refs; /* of a first one: jobs of the event. Of the others 1; 0: free */
};

struct jobs;

struct job_queue {
    struct jobs *jobs;
    const struct action_class *class;
    struct job *slots; /* class->jobs */
    char *outputs;     /* JOB_OUTPUT bytes for each child */
    uint16_t states[JOB_STATES]; /* how many jobs are in each */
    unsigned limit;              /* children at a time */
    uint64_t outputs_taken; /* bitmap */
    uint64_t started, done, failed, retried, overflowed;
};

/** Jobs of a queue that are not free; of these, that run or are about to. */
static inline unsigned job_queue_used(const struct job_queue *q)
{
    return q->class->jobs - q->states[JOB_FREE];
}
static inline unsigned job_queue_running(const struct job_queue *q)
{
    return q->states[JOB_STARTING] + q->states[JOB_RUNNING];
}

/** Callbacks to the owner. */
struct job_hooks {
    /** Look up a rule's current data, and of out->event (null, or decoded) the device. Return: false if
     * the index has no rule or its action is of another class. */
    bool (*rule)(void *arg, uint16_t rule, struct action_request *out);
    /** May it begin, as rule and policy are now? Called before each start; otherwise why says why not, and the job fails. May be
     * null. */
    bool (*allowed)(void *arg, struct job *job, const struct action_request *r, struct text *why);
    /** ACTION_SENT: have scratch->order carried out; its end comes through jobs_answer, from outside of this call. Return: 0, or
     * negative with a sentence in why: the job fails. Null: nobody sends anything. */
    int (*send)(void *arg, const struct job *job, const struct action_request *r, const struct action_order *o, struct text *why);
    /** The job has finally ended; error is "" on success. Its event's line is still there. */
    void (*settled)(void *arg, const struct job *job, bool done, const char *error,
                    const struct child_result *r, const char *output);
    /** The job's state has changed in a way that is to be recorded: JOB_STARTING, before jobs_begin;
     * JOB_PENDING or JOB_SENT, in jobs_begin; JOB_QUEUED, by jobs_approve. May be null. */
    void (*entered)(void *arg, const struct job *job);
    /** Jobs may be started: a child ended, or a retry is due. Calls jobs_choose and jobs_begin. */
    void (*ready)(void *arg);
    /** For `rule`: decode an event of the hub again, into out (tokens and scratch are the owner's).
     * Return: 0 or negative. */
    int (*decode)(void *arg, const char *line, size_t len, struct event *out);
    void *arg;
};

struct jobs {
    struct loop *loop;
    struct children *children;
    struct action_scratch *scratch;
    char *line; /* CONFIG_EVENT_BYTES: event of the job being started, or visited */
    struct job_block *blocks;
    unsigned block_count, blocks_free;
    uint16_t free_block; /* index + 1 */
    struct job_hooks hooks;
    struct job_queue queues[ACTION_CLASSES + 1];
    unsigned queue_count;
    struct timer timer;
    bool draining; /* no new jobs, no retries */
};

/** An event of which jobs are made, one after the other. line is borrowed until the last of them. */
struct job_event {
    uint64_t id;
    uint32_t host; /* hash of its host_id */
    const char *line;
    size_t len;
    uint16_t stored; /* its first block, once there is a job of it; 0 before */
};

/** What is to be done for it. */
struct job_order {
    uint64_t id; /* higher than of all jobs before, but after a restart; not 0 */
    const struct action *action;
    uint16_t rule;    /* index in the active set */
    const char *name; /* the rule's */
    uint64_t row;
    uint16_t judged; /* job.judged */
    /* After a restart: JOB_PENDING or JOB_SENT, with its timeout_ms; else JOB_QUEUED, maybe approved. */
    uint8_t state;
    bool approved;
    uint32_t timeout_ms;
};

void jobs_init(struct jobs *j, struct loop *loop, struct children *children,
               struct action_scratch *scratch, char *line, const struct job_hooks *hooks);
/** Memory for events; the caller's, must persist. */
void jobs_store(struct jobs *j, struct job_block *blocks, unsigned count);
/** Memory of one class; the caller's, must persist: class->jobs slots, class->running outputs of JOB_OUTPUT
 * bytes. */
void jobs_add_queue(struct jobs *j, const struct action_class *class, struct job *slots,
                    char *outputs);
/** Queue a job. Nothing starts before jobs_begin.
 * Return: 0; NEFIA_EFULL (counted); NEFIA_ENOTSUP (no queue of that class). */
int jobs_push(struct jobs *j, struct job_event *e, const struct job_order *o);
/** Other actions of the same event, to be pushed before: those of the same queue, and of these the ones
 * of the same lane. */
struct jobs_before {
    unsigned queue, lane;
};
/** Would jobs_push accept it after those? True also if it never will, so that nobody waits for it. */
bool jobs_have_room(struct jobs *j, const struct job_event *e, const struct action *a,
                    uint16_t rule, struct jobs_before before);
/** The unfinished job with the lowest id above `after` (0: of all), or null. Jobs of one event follow each
 * other. */
const struct job *jobs_next(const struct jobs *j, uint64_t after);
/** The line of its event, job->len bytes; valid until another call here. */
const char *jobs_line(struct jobs *j, const struct job *job);
/** End those that have waited too long, then choose as many jobs as there are free children; `entered` is
 * called for each. */
void jobs_choose(struct jobs *j);
/** Begin the chosen ones, or put them back if recording them failed. May call `decode` and, if a job
 * cannot begin at all, `settled`. */
void jobs_begin(struct jobs *j, bool recorded);
/** Somebody has decided on a job that is pending: it is queued, or ends as denied.
 * Return: 0; NEFIA_ENOTFOUND: no such job is pending. The owner ends its turn. */
int jobs_approve(struct jobs *j, uint64_t id, bool yes);
/** The device's answer to a job that was sent to it: it ends; error is "" if it was done.
 * Return: 0; NEFIA_ENOTFOUND: no such job waits for an answer. The owner ends its turn. */
int jobs_answer(struct jobs *j, uint64_t id, const char *error);
/** After a reload. rule_now maps an old index to the new one, or JOB_NO_RULE; jobs that have not
 * started and lost their rule end with "rule removed". */
void jobs_rebind(struct jobs *j, uint16_t (*rule_now)(void *arg, uint16_t rule), void *arg);
/** On SIGTERM: cancel jobs waiting for a retry; queued ones still run. Return: as jobs_left. */
unsigned jobs_drain(struct jobs *j);
/** At once on SIGTERM: actions that can be resumed end what they are about, and go on after the restart. */
void jobs_interrupt(struct jobs *j);
/** Jobs that will end by themselves: not those that wait for somebody. */
unsigned jobs_left(const struct jobs *j);

#endif
