#include "nefia/hub/jobs.h"

#include <string.h>

#include "nefia/base/err.h"

#define BLOCK_BYTES sizeof(((struct job_block *)0)->bytes)
#define FORK_RETRY_MS 1000
#define FORK_TRIES 10

void jobs_init(struct jobs *j, struct loop *loop, struct children *children,
               struct action_scratch *scratch, char *line, const struct job_hooks *hooks)
{
    *j = (struct jobs){
        .loop = loop, .children = children, .scratch = scratch, .line = line, .hooks = *hooks};
}

void jobs_add_queue(struct jobs *j, const struct action_class *class, struct job *slots,
                    unsigned count, struct job_block *blocks, unsigned block_count, char *outputs,
                    unsigned limit)
{
    struct job_queue *q = &j->queues[j->queue_count++];

    *q = (struct job_queue){
        .jobs = j,
        .class = class,
        .slots = slots,
        .count = count,
        .blocks = blocks,
        .block_count = block_count,
        .blocks_free = block_count,
        .outputs = outputs,
        .limit = limit,
    };
    for (unsigned i = 0; i < count; i++)
        slots[i] = (struct job){.queue = q};
    for (unsigned i = 0; i < block_count; i++) {
        blocks[i].next = q->free_block;
        q->free_block = (uint16_t)(i + 1);
    }
}

static struct job_queue *queue_of(struct jobs *j, const struct action_class *class)
{
    for (unsigned i = 0; i < j->queue_count; i++)
        if (j->queues[i].class == class)
            return &j->queues[i];
    return NULL;
}

/* ---- Event storage ---- */

/** There must be room: blocks_needed were free. */
static uint16_t journal_line(struct job_queue *q, const char *line, size_t len)
{
    uint16_t first = 0, *link = &first;

    while (len > 0) {
        size_t n = len < BLOCK_BYTES ? len : BLOCK_BYTES;
        uint16_t id = q->free_block;
        struct job_block *b = &q->blocks[id - 1];

        q->free_block = b->next;
        q->blocks_free--;
        memcpy(b->bytes, line, n);
        b->next = 0;
        *link = id;
        link = &b->next;
        line += n;
        len -= n;
    }
    return first;
}

static void load_line(const struct job_queue *q, const struct job *job, char *line)
{
    size_t left = job->len;

    for (uint16_t id = job->first_block; id; id = q->blocks[id - 1].next) {
        size_t n = left < BLOCK_BYTES ? left : BLOCK_BYTES;

        memcpy(line, q->blocks[id - 1].bytes, n);
        line += n;
        left -= n;
    }
}

static void free_line(struct job_queue *q, struct job *job)
{
    while (job->first_block) {
        struct job_block *b = &q->blocks[job->first_block - 1];
        uint16_t id = job->first_block;

        job->first_block = b->next;
        b->next = q->free_block;
        q->free_block = id;
        q->blocks_free++;
    }
}

/* ---- Lanes ---- */

/** One lane's share of `all`. */
static unsigned lane_share(unsigned all)
{
    unsigned rest = all / 4 > 0 ? all / 4 : 1;

    return all > rest ? all - rest : 1;
}

static unsigned lane_used(const struct job_queue *q, uint16_t lane, bool running)
{
    unsigned n = 0;

    for (unsigned i = 0; i < q->count; i++) {
        const struct job *job = &q->slots[i];
        n += job->lane == lane && job->state >= (running ? JOB_STARTING : JOB_QUEUED);
    }
    return n;
}

static uint16_t lane_of(const struct action *a, uint16_t rule)
{
    return a->command ? rule : a->webhook;
}

/* ---- Job states ---- */

static struct job *free_job(struct job_queue *q)
{
    for (unsigned i = 0; i < q->count; i++)
        if (q->slots[i].state == JOB_FREE)
            return &q->slots[i];
    return NULL;
}

/** One host's share of a lane's slots. */
static unsigned host_share(const struct job_queue *q)
{
    return (lane_share(q->count) + 1) / 2;
}

/** Jobs of that host in the lane: all, or those that run. */
static unsigned host_used(const struct job_queue *q, uint16_t lane, uint32_t host, bool running)
{
    unsigned n = 0;

    for (unsigned i = 0; i < q->count; i++) {
        const struct job *job = &q->slots[i];
        n += job->lane == lane && job->host == host &&
             job->state >= (running ? JOB_STARTING : JOB_QUEUED);
    }
    return n;
}

static bool has_room(const struct job_queue *q, uint16_t lane, uint32_t host, size_t len,
                     struct jobs_before before)
{
    size_t blocks = (len + BLOCK_BYTES - 1) / BLOCK_BYTES;

    return q->used + before.queue < q->count && blocks * (before.queue + 1) <= q->blocks_free &&
           lane_used(q, lane, false) + before.lane < lane_share(q->count) &&
           host_used(q, lane, host, false) + before.lane < host_share(q);
}

bool jobs_have_room(struct jobs *j, const struct action *a, uint16_t rule, uint32_t host,
                    size_t len, struct jobs_before before)
{
    const struct job_queue *q = queue_of(j, a->class);

    return !q || before.queue >= q->count || before.lane >= host_share(q) ||
           has_room(q, lane_of(a, rule), host, len, before);
}

int jobs_push(struct jobs *j, const struct action *a, uint16_t rule, uint32_t host, uint64_t row,
              const char *line, size_t len)
{
    struct job_queue *q = queue_of(j, a->class);

    if (!q)
        return NEFIA_ENOTSUP;
    uint16_t lane = lane_of(a, rule);
    if (j->draining || len > CONFIG_EVENT_BYTES || !has_room(q, lane, host, len, (struct jobs_before){0})) {
        q->overflowed++;
        return NEFIA_EFULL;
    }
    struct job *job = free_job(q);
    *job = (struct job){
        .queue = q,
        .state = JOB_QUEUED,
        .rule = rule,
        .lane = lane,
        .host = host,
        .first_block = journal_line(q, line, len),
        .len = (uint32_t)len,
        .row = row,
        .order = ++q->orders,
    };
    q->used++;
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

    free_line(q, job);
    *job = (struct job){.queue = q};
    q->used--;
    done ? q->done++ : q->failed++;
    q->jobs->hooks.settled(q->jobs->hooks.arg, &ended, done, error, r, output);
}

static void timer_fired(void *arg)
{
    struct jobs *j = arg;

    j->hooks.ready(j->hooks.arg);
}

/** Arm the timer for the next waiting job. */
static void arm_timer(struct jobs *j)
{
    uint64_t now = clock_ms(j->loop->clock), next = UINT64_MAX;

    for (unsigned i = 0; i < j->queue_count; i++)
        for (unsigned k = 0; k < j->queues[i].count; k++) {
            const struct job *job = &j->queues[i].slots[k];
            if (job->state == JOB_WAITING && job->at_ms > now && job->at_ms < next)
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

    job->state = JOB_WAITING;
    job->at_ms = clock_ms(j->loop->clock) + delay_ms;
    arm_timer(j);
}

static bool may_try_again(struct job *job)
{
    struct jobs *j = job->queue->jobs;
    struct action_request request = {0};

    if (j->draining || job->rule == JOB_NO_RULE ||
        !j->hooks.rule(j->hooks.arg, job->rule, &request))
        return false;
    return request.hook && job->attempt <= request.hook->retries;
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
    q->running--;
    release_output(q, job);
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

/** Return: 0; NEFIA_EIO or NEFIA_EFULL (no child available now); else negative with a reason in
 * why: it can never start. */
static int launch(struct job *job, struct text *why)
{
    struct job_queue *q = job->queue;
    struct jobs *j = q->jobs;
    struct event event;
    struct action_request request = {.event = &event, .attempt = job->attempt + 1u};
    struct child_spec spec = {0};

    if (!j->hooks.rule(j->hooks.arg, job->rule, &request)) {
        text_str(why, "rule removed");
        return NEFIA_ENOTFOUND;
    }
    load_line(q, job, j->line);
    if (j->hooks.decode(j->hooks.arg, j->line, job->len, &event) < 0) {
        text_str(why, "event cannot be decoded");
        return NEFIA_ESYNTAX;
    }
    job->timeout_ms = request.action->timeout_ms;
    spec.deadline_ms = job->timeout_ms;
    int err = q->class->prepare(&request, j->scratch, &spec, why);
    if (err < 0)
        return err == NEFIA_EIO || err == NEFIA_EFULL ? NEFIA_EINVAL : err;
    job->output = take_output(q);
    spec.output = q->outputs + (size_t)job->output * JOB_OUTPUT;
    spec.output_cap = JOB_OUTPUT;
    err = child_start(j->children, &spec, child_ended, job);
    if (err < 0)
        release_output(q, job);
    return err;
}

static void start_job(struct job *job)
{
    struct job_queue *q = job->queue;
    char why_buf[ACTION_ERROR_MAX + 1];
    struct text why;

    text_init(&why, why_buf, sizeof why_buf);
    int err = launch(job, &why);
    if (err >= 0) {
        job->state = JOB_RUNNING;
        job->attempt++;
        q->started++;
        return;
    }
    q->running--;
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

    if (q->used == q->running || q->running == q->limit)
        return NULL;
    for (unsigned i = 0; i < q->count; i++) {
        struct job *job = &q->slots[i];
        bool ready = job->state == JOB_QUEUED || (job->state == JOB_WAITING && job->at_ms <= now);

        if (!ready || lane_used(q, job->lane, true) >= lane_share(q->limit))
            continue;
        const unsigned running = host_used(q, job->lane, job->host, true);
        if (!best || running < fewest || (running == fewest && job->order < best->order)) {
            best = job;
            fewest = running;
        }
    }
    return best;
}

void jobs_choose(struct jobs *j)
{
    uint64_t now = clock_ms(j->loop->clock);

    for (unsigned i = 0; i < j->queue_count; i++)
        for (struct job *job; (job = next_job(&j->queues[i], now)) != NULL;) {
            job->state = JOB_STARTING;
            job->queue->running++;
            if (j->hooks.starting)
                j->hooks.starting(j->hooks.arg, job);
        }
}

void jobs_begin(struct jobs *j, bool recorded)
{
    for (unsigned i = 0; i < j->queue_count; i++)
        for (unsigned k = 0; k < j->queues[i].count; k++) {
            struct job *job = &j->queues[i].slots[k];

            if (job->state != JOB_STARTING)
                continue;
            if (recorded) {
                start_job(job);
            } else {
                job->state = JOB_QUEUED;
                job->queue->running--;
            }
        }
    arm_timer(j);
}

void jobs_each(struct jobs *j, void (*fn)(void *arg, const struct job *job, const char *line),
               void *arg)
{
    for (unsigned i = 0; i < j->queue_count; i++)
        for (unsigned k = 0; k < j->queues[i].count; k++) {
            const struct job *job = &j->queues[i].slots[k];

            if (job->state == JOB_FREE)
                continue;
            load_line(job->queue, job, j->line);
            fn(arg, job, j->line);
        }
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
    else if (job->state < JOB_STARTING)
        end_job(job, false, "rule removed", NULL, NULL);
}

void jobs_rebind(struct jobs *j, uint16_t (*rule_now)(void *arg, uint16_t rule), void *arg)
{
    for (unsigned i = 0; i < j->queue_count; i++)
        for (unsigned k = 0; k < j->queues[i].count; k++) {
            struct job *job = &j->queues[i].slots[k];
            if (job->state != JOB_FREE)
                rebind_job(job, job->rule == JOB_NO_RULE ? JOB_NO_RULE : rule_now(arg, job->rule));
        }
    j->hooks.ready(j->hooks.arg);
}

unsigned jobs_left(const struct jobs *j)
{
    unsigned left = 0;

    for (unsigned i = 0; i < j->queue_count; i++)
        left += j->queues[i].used;
    return left;
}

unsigned jobs_drain(struct jobs *j)
{
    j->draining = true;
    for (unsigned i = 0; i < j->queue_count; i++)
        for (unsigned k = 0; k < j->queues[i].count; k++)
            if (j->queues[i].slots[k].state == JOB_WAITING)
                end_job(&j->queues[i].slots[k], false, "cancelled: stopping", NULL, NULL);
    return jobs_left(j);
}
