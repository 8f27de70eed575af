#include "nefia/hub/jobs.h"

#include <signal.h>
#include <string.h>

#include "nefia/base/err.h"

#define BLOCK_BYTES sizeof(((struct job_block *)0)->bytes)
#define FORK_RETRY_MS 1000
#define FORK_TRIES 10
#define WAITS IS_ENABLED(CONFIG_HUB_JOBS_WAIT)

const char *job_state_text(enum job_state s)
{
    static const char words[] = "free\0pending_approval\0queued\0retrying\0sent_to_device\0starting\0running\0";

    return word_at(words, s);
}

void jobs_init(struct jobs *j, struct loop *loop, struct children *children,
               struct action_scratch *scratch, char *line, const struct job_hooks *hooks)
{
    *j = (struct jobs){
        .loop = loop, .children = children, .scratch = scratch, .line = line, .hooks = *hooks};
}

void jobs_store(struct jobs *j, struct job_block *blocks, unsigned count)
{
    j->blocks = blocks;
    j->block_count = j->blocks_free = count;
    for (unsigned i = 0; i < count; i++) {
        blocks[i] = (struct job_block){.next = j->free_block};
        j->free_block = (uint16_t)(i + 1);
    }
}

void jobs_add_queue(struct jobs *j, const struct action_class *class, struct job *slots,
                    char *outputs)
{
    struct job_queue *q = &j->queues[j->queue_count++];

    *q = (struct job_queue){
        .jobs = j,
        .class = class,
        .slots = slots,
        .outputs = outputs,
        .limit = class->running,
        .states[JOB_FREE] = class->jobs,
    };
    for (unsigned i = 0; i < class->jobs; i++)
        slots[i] = (struct job){.queue = q};
}

static struct job_queue *queue_of(struct jobs *j, const struct action_class *class)
{
    for (unsigned i = 0; i < j->queue_count; i++)
        if (j->queues[i].class == class)
            return &j->queues[i];
    return NULL;
}

static void set_state(struct job *job, enum job_state state)
{
    job->queue->states[job->state]--;
    job->queue->states[state]++;
    job->state = (uint8_t)state;
}

/* ---- Event storage ---- */

static size_t blocks_for(size_t len)
{
    return (len + BLOCK_BYTES - 1) / BLOCK_BYTES;
}

/** Could the line be stored? */
static bool has_memory(const struct jobs *j, const struct job_event *e)
{
    const size_t need = blocks_for(e->len);
    unsigned used = 0;

    if (e->stored)
        return true;
    for (unsigned i = 0; i < j->block_count; i++)
        used += j->blocks[i].refs > 0 && j->blocks[i].host == e->host;
    return need <= j->blocks_free && (used == 0 || used + need <= j->block_count / 2);
}

/** There must be room: has_memory. Return: the first block. */
static uint16_t store_line(struct jobs *j, const struct job_event *e)
{
    const char *line = e->line;
    size_t len = e->len;
    uint16_t first = 0, *link = &first;

    while (len > 0) {
        size_t n = len < BLOCK_BYTES ? len : BLOCK_BYTES;
        uint16_t id = j->free_block;
        struct job_block *b = &j->blocks[id - 1];

        j->free_block = b->next;
        j->blocks_free--;
        memcpy(b->bytes, line, n);
        b->host = e->host;
        b->next = 0;
        b->refs = 1;
        *link = id;
        link = &b->next;
        line += n;
        len -= n;
    }
    return first;
}

const char *jobs_line(struct jobs *j, const struct job *job)
{
    char *line = j->line;
    size_t left = job->len;

    for (uint16_t id = job->first_block; id; id = j->blocks[id - 1].next) {
        size_t n = left < BLOCK_BYTES ? left : BLOCK_BYTES;

        memcpy(line, j->blocks[id - 1].bytes, n);
        line += n;
        left -= n;
    }
    return j->line;
}

static void free_line(struct jobs *j, uint16_t id)
{
    while (id && --j->blocks[id - 1].refs == 0) {
        struct job_block *b = &j->blocks[id - 1];
        uint16_t next = b->next;

        b->next = j->free_block;
        j->free_block = id;
        j->blocks_free++;
        id = next;
    }
}

/* ---- Lanes ---- */

/** One lane's share of `all`, which is also one host's of all lanes. */
static unsigned lane_share(unsigned all)
{
    unsigned rest = all / 4 > 0 ? all / 4 : 1;

    return all > rest ? all - rest : 1;
}

/** One host's share of a lane. */
static unsigned host_share(unsigned all)
{
    return (lane_share(all) + 1) / 2;
}

/** Jobs of a queue, counted from one state on. */
struct usage {
    unsigned lane, host, both; /* of that lane; of that host; of that host in that lane */
};

static struct usage usage_of(const struct job_queue *q, uint16_t lane, uint32_t host,
                             enum job_state from)
{
    struct usage u = {0};

    for (unsigned i = 0; i < q->class->jobs; i++) {
        const struct job *job = &q->slots[i];

        if (job->state < from)
            continue;
        u.lane += job->lane == lane;
        u.host += job->host == host;
        u.both += job->lane == lane && job->host == host;
    }
    return u;
}

static uint16_t lane_of(const struct action *a, uint16_t rule)
{
    return a->lane == ACTION_LANE_RULE ? rule : a->lane;
}

/* ---- Job states ---- */

static struct job *free_job(struct job_queue *q)
{
    for (unsigned i = 0; i < q->class->jobs; i++)
        if (q->slots[i].state == JOB_FREE)
            return &q->slots[i];
    return NULL;
}

static bool has_room(const struct job_queue *q, uint16_t lane, uint32_t host,
                     struct jobs_before before)
{
    const unsigned all = q->class->jobs;
    const struct usage used = usage_of(q, lane, host, JOB_PENDING);

    return before.queue < q->states[JOB_FREE] && used.lane + before.lane < lane_share(all) &&
           used.host + before.queue < lane_share(all) && used.both + before.lane < host_share(all);
}

bool jobs_have_room(struct jobs *j, const struct job_event *e, const struct action *a,
                    uint16_t rule, struct jobs_before before)
{
    const struct job_queue *q = queue_of(j, a->class);

    return !q || before.queue >= lane_share(q->class->jobs) ||
           before.lane >= host_share(q->class->jobs) ||
           (has_memory(j, e) && has_room(q, lane_of(a, rule), e->host, before));
}

/** Until at_ms. */
static void wait_for_answer(struct job *job, uint32_t timeout_ms)
{
    job->timeout_ms = timeout_ms;
    job->at_ms = timeout_ms ? clock_ms(job->queue->jobs->loop->clock) + timeout_ms : 0;
}

int jobs_push(struct jobs *j, struct job_event *e, const struct job_order *o)
{
    struct job_queue *q = queue_of(j, o->action->class);
    struct text name;

    if (!q)
        return NEFIA_ENOTSUP;
    const uint16_t lane = lane_of(o->action, o->rule);
    if (j->draining || e->len > CONFIG_EVENT_BYTES || !has_memory(j, e) ||
        !has_room(q, lane, e->host, (struct jobs_before){0})) {
        q->overflowed++;
        return NEFIA_EFULL;
    }
    if (e->stored)
        j->blocks[e->stored - 1].refs++;
    else
        e->stored = store_line(j, e);
    struct job *job = free_job(q);
    set_state(job, o->state == JOB_FREE ? JOB_QUEUED : (enum job_state)o->state);
    job->approved = o->approved;
    if (WAITS && job->state != JOB_QUEUED)
        wait_for_answer(job, o->timeout_ms);
    job->rule = o->rule;
    job->lane = lane;
    job->judged = o->judged;
    job->first_block = e->stored;
    job->host = e->host;
    job->len = (uint32_t)e->len;
    job->id = o->id;
    job->event = e->id;
    job->row = o->row;
    text_init(&name, job->name, sizeof job->name);
    text_str(&name, o->name);
    return 0;
}

static void release_output(struct job_queue *q, const struct job *job)
{
    q->outputs_taken &= ~(1ull << job->output);
}

static void end_job(struct job *job, bool done, const char *error, const struct child_result *r,
                    const char *output)
{
    struct job_queue *q = job->queue;
    struct job ended = *job;

    set_state(job, JOB_FREE);
    *job = (struct job){.queue = q};
    done ? q->done++ : q->failed++;
    q->jobs->hooks.settled(q->jobs->hooks.arg, &ended, done, error, r, output);
    free_line(q->jobs, ended.first_block);
}

static void timer_fired(void *arg)
{
    struct jobs *j = arg;

    j->hooks.ready(j->hooks.arg);
}

static bool is_timed(const struct job *job)
{
    return job->state == JOB_WAITING || (WAITS && (job->state == JOB_PENDING || job->state == JOB_SENT));
}

/** Arm the timer for the next waiting job. at_once: others may begin now. */
static void arm_timer(struct jobs *j, bool at_once)
{
    uint64_t now = clock_ms(j->loop->clock), next = at_once ? now : UINT64_MAX;

    for (unsigned i = 0; i < j->queue_count; i++)
        for (unsigned k = 0; k < j->queues[i].class->jobs; k++) {
            const struct job *job = &j->queues[i].slots[k];
            if (is_timed(job) && job->at_ms > now && job->at_ms < next)
                next = job->at_ms;
        }
    if (next == UINT64_MAX)
        timer_stop(&j->timer);
    else
        timer_start(j->loop, &j->timer, next - now, timer_fired, j);
}

static void wait_again(struct job *job, uint64_t delay_ms)
{
    struct jobs *j = job->queue->jobs;

    set_state(job, JOB_WAITING);
    job->at_ms = clock_ms(j->loop->clock) + delay_ms;
    arm_timer(j, false);
}

static bool may_try_again(struct job *job)
{
    struct jobs *j = job->queue->jobs;
    struct action_request request = {0};

    if (j->draining || job->rule == JOB_NO_RULE ||
        !j->hooks.rule(j->hooks.arg, job->rule, &request))
        return false;
    return job->attempt <= request.action->retries;
}

static void child_ended(void *arg, const struct child_result *r)
{
    struct job *job = arg;
    struct job_queue *q = job->queue;
    char error_buf[ACTION_ERROR_MAX + 1];
    const char *output = q->outputs + (size_t)job->output * JOB_OUTPUT;
    struct text error;

    text_init(&error, error_buf, sizeof error_buf);
    enum action_outcome outcome = q->class->judge(r, output, job->timeout_ms, &error);
    release_output(q, job);
    if (WAITS && q->jobs->draining && q->class->resumes && r->exit_code == ACTION_KEPT && !r->signal) {
        set_state(job, JOB_SENT); /* the next start of the hub begins it again */
        job->at_ms = 0;
        return;
    }
    if (outcome == ACTION_AGAIN && may_try_again(job)) {
        uint64_t delay = action_backoff_ms(job->attempt);
        if (q->class->delay_ms)
            delay = q->class->delay_ms(output, r->output_len, delay);
        q->retried++;
        wait_again(job, delay);
    } else {
        end_job(job, outcome == ACTION_DONE, outcome == ACTION_DONE ? "" : error.buf, r, output);
    }
    q->jobs->hooks.ready(q->jobs->hooks.arg);
}

static uint8_t take_output(struct job_queue *q)
{
    uint8_t i = 0;

    while (q->outputs_taken & 1ull << i)
        i++;
    q->outputs_taken |= 1ull << i;
    return i;
}

/** Return: enum action_started; NEFIA_EIO or NEFIA_EFULL (no child available now); else negative with a
 * reason in why: it can never start. */
static int launch(struct job *job, struct text *why)
{
    struct job_queue *q = job->queue;
    struct jobs *j = q->jobs;
    struct event event;
    struct action_request request = {
        .event = &event, .attempt = job->attempt + 1u, .job = job->id, .approved = job->approved};
    struct child_spec spec = {0};

    if (j->hooks.decode(j->hooks.arg, jobs_line(j, job), job->len, &event) < 0) {
        text_str(why, "event cannot be decoded");
        return NEFIA_ESYNTAX;
    }
    if (!j->hooks.rule(j->hooks.arg, job->rule, &request)) {
        text_str(why, "rule removed");
        return NEFIA_ENOTFOUND;
    }
    if (IS_ENABLED(CONFIG_HUB_GUARD) && j->hooks.allowed && !j->hooks.allowed(j->hooks.arg, job, &request, why))
        return NEFIA_EINVAL;
    int started = q->class->start(&request, j->scratch, &spec, why);
    if (started < 0)
        return started == NEFIA_EIO || started == NEFIA_EFULL ? NEFIA_EINVAL : started;
    job->timeout_ms = (uint32_t)spec.deadline_ms;
    if (started == ACTION_SENT && WAITS && j->hooks.send) {
        int err = j->hooks.send(j->hooks.arg, job, &request, &j->scratch->order, why);
        job->timeout_ms = 0; /* who carries it out says when it is too late */
        return err < 0 ? NEFIA_EINVAL : started;
    }
    if (started != ACTION_CHILD)
        return WAITS ? started : NEFIA_ENOTSUP;
    job->output = take_output(q);
    spec.output = q->outputs + (size_t)job->output * JOB_OUTPUT;
    spec.output_cap = JOB_OUTPUT;
    int err = child_start(j->children, &spec, child_ended, job);
    if (err >= 0)
        return ACTION_CHILD;
    release_output(q, job);
    return err;
}

static void wait_for_somebody(struct job *job, enum action_started started)
{
    const struct job_hooks *hooks = &job->queue->jobs->hooks;

    set_state(job, started == ACTION_SENT ? JOB_SENT : JOB_PENDING);
    if (started == ACTION_SENT)
        job->attempt++;
    wait_for_answer(job, job->timeout_ms);
    if (hooks->entered)
        hooks->entered(hooks->arg, job);
}

static void start_job(struct job *job)
{
    struct job_queue *q = job->queue;
    char why_buf[ACTION_ERROR_MAX + 1];
    struct text why;

    text_init(&why, why_buf, sizeof why_buf);
    int err = launch(job, &why);
    if (WAITS && err > ACTION_CHILD) {
        wait_for_somebody(job, (enum action_started)err);
        return;
    }
    if (err >= 0) {
        set_state(job, JOB_RUNNING);
        job->attempt++;
        q->started++;
        return;
    }
    if (err != NEFIA_EIO && err != NEFIA_EFULL)
        end_job(job, false, why.len > 0 ? why.buf : err_text(err), NULL, NULL);
    else if (++job->attempt < FORK_TRIES)
        wait_again(job, FORK_RETRY_MS);
    else
        end_job(job, false, "cannot start process", NULL, NULL);
}

/** The job to start next, or null. */
static struct job *next_job(struct job_queue *q, uint64_t now)
{
    struct job *best = NULL;
    unsigned fewest = 0;

    if (q->states[JOB_QUEUED] + q->states[JOB_WAITING] == 0 || job_queue_running(q) == q->limit)
        return NULL;
    for (unsigned i = 0; i < q->class->jobs; i++) {
        struct job *job = &q->slots[i];

        if (job->state != JOB_QUEUED && (job->state != JOB_WAITING || job->at_ms > now))
            continue;
        const struct usage running = usage_of(q, job->lane, job->host, JOB_STARTING);
        if (running.lane >= lane_share(q->limit) || running.both >= host_share(q->limit))
            continue;
        if (!best || running.both < fewest || (running.both == fewest && job->id < best->id)) {
            best = job;
            fewest = running.both;
        }
    }
    return best;
}

static void end_overdue(struct job_queue *q, uint64_t now)
{
    if (q->states[JOB_PENDING] + q->states[JOB_SENT] == 0)
        return;
    for (unsigned i = 0; i < q->class->jobs; i++) {
        struct job *job = &q->slots[i];

        if (!is_timed(job) || job->state == JOB_WAITING || job->at_ms == 0 || job->at_ms > now)
            continue;
        end_job(job, false, job->state == JOB_SENT ? "no answer from the device" : "not approved in time",
                NULL, NULL);
    }
}

void jobs_choose(struct jobs *j)
{
    uint64_t now = clock_ms(j->loop->clock);

    for (unsigned i = 0; i < j->queue_count; i++) {
        if (WAITS)
            end_overdue(&j->queues[i], now);
        for (struct job *job; (job = next_job(&j->queues[i], now)) != NULL;) {
            set_state(job, JOB_STARTING);
            if (j->hooks.entered)
                j->hooks.entered(j->hooks.arg, job);
        }
    }
}

/** The job of that id, if it is in that state. */
static struct job *find_job(struct jobs *j, uint64_t id, enum job_state state)
{
    for (unsigned i = 0; i < j->queue_count; i++)
        for (unsigned k = 0; k < j->queues[i].class->jobs; k++) {
            struct job *job = &j->queues[i].slots[k];

            if (job->state == state && job->id == id)
                return job;
        }
    return NULL;
}

int jobs_approve(struct jobs *j, uint64_t id, bool yes)
{
    struct job *job = find_job(j, id, JOB_PENDING);

    if (!job)
        return NEFIA_ENOTFOUND;
    if (!yes) {
        end_job(job, false, "denied", NULL, NULL);
        return 0;
    }
    set_state(job, JOB_QUEUED);
    job->approved = true;
    if (j->hooks.entered)
        j->hooks.entered(j->hooks.arg, job);
    return 0;
}

int jobs_answer(struct jobs *j, uint64_t id, const char *error)
{
    struct job *job = find_job(j, id, JOB_SENT);

    if (!job)
        return NEFIA_ENOTFOUND;
    end_job(job, *error == '\0', error, NULL, NULL);
    return 0;
}

void jobs_begin(struct jobs *j, bool recorded)
{
    bool freed = false;

    for (unsigned i = 0; i < j->queue_count; i++)
        for (unsigned k = 0; k < j->queues[i].class->jobs; k++) {
            struct job *job = &j->queues[i].slots[k];

            if (job->state != JOB_STARTING)
                continue;
            if (recorded)
                start_job(job);
            else
                set_state(job, JOB_QUEUED);
            /* It has left its child to another job. */
            freed |= recorded && job->state != JOB_RUNNING && job->state != JOB_WAITING;
        }
    arm_timer(j, freed);
}

const struct job *jobs_next(const struct jobs *j, uint64_t after)
{
    const struct job *best = NULL;

    for (unsigned i = 0; i < j->queue_count; i++)
        for (unsigned k = 0; k < j->queues[i].class->jobs; k++) {
            const struct job *job = &j->queues[i].slots[k];

            if (job->state != JOB_FREE && job->id > after && (!best || job->id < best->id))
                best = job;
        }
    return best;
}

/* ---- Reload, shutdown ---- */

static void rebind_job(struct job *job, uint16_t rule)
{
    struct jobs *j = job->queue->jobs;
    struct action_request request = {0};
    bool gone = rule == JOB_NO_RULE || !j->hooks.rule(j->hooks.arg, rule, &request) ||
                request.action->class != job->queue->class;

    job->rule = gone ? JOB_NO_RULE : rule;
    if (!gone)
        job->lane = lane_of(request.action, rule);
    else if (job->state < JOB_SENT)
        end_job(job, false, "rule removed", NULL, NULL);
}

void jobs_rebind(struct jobs *j, uint16_t (*rule_now)(void *arg, uint16_t rule), void *arg)
{
    for (unsigned i = 0; i < j->queue_count; i++)
        for (unsigned k = 0; k < j->queues[i].class->jobs; k++) {
            struct job *job = &j->queues[i].slots[k];
            if (job->state != JOB_FREE)
                rebind_job(job, job->rule == JOB_NO_RULE ? JOB_NO_RULE : rule_now(arg, job->rule));
        }
    j->hooks.ready(j->hooks.arg);
}

unsigned jobs_left(const struct jobs *j)
{
    unsigned left = 0;

    for (unsigned i = 0; i < j->queue_count; i++) {
        const struct job_queue *q = &j->queues[i];

        left += job_queue_used(q) - (WAITS ? q->states[JOB_PENDING] + q->states[JOB_SENT] : 0u);
    }
    return left;
}

void jobs_interrupt(struct jobs *j)
{
    for (unsigned i = 0; i < j->queue_count; i++)
        for (unsigned k = 0; j->queues[i].class->resumes && k < j->queues[i].class->jobs; k++)
            if (j->queues[i].slots[k].state == JOB_RUNNING)
                child_signal(j->children, &j->queues[i].slots[k], SIGUSR1);
}

unsigned jobs_drain(struct jobs *j)
{
    j->draining = true;
    jobs_interrupt(j); /* those that have begun since */
    for (unsigned i = 0; i < j->queue_count; i++)
        for (unsigned k = 0; k < j->queues[i].class->jobs; k++)
            if (j->queues[i].slots[k].state == JOB_WAITING)
                end_job(&j->queues[i].slots[k], false, "cancelled: stopping", NULL, NULL);
    return jobs_left(j);
}
