#include "nefia/beacon/sensor_runner.h"

#include <string.h>

#include "nefia/beacon/sensor_table.h"
#include "nefia/base/err.h"
#include "nefia/base/kconfig.h"
#include "nefia/sys/log.h"

enum {
    FIRST_RUN_MS = 30 * 1000, /* longest delay of a sensor's first check */
    RETRY_MS = 5 * 1000,      /* when all command slots are in use */
    TOGETHER_MS = 250,        /* sensors due within this time run in one wake-up */
    SELDOM_MS = 240 * 1000,   /* commands of this interval or a longer one may join a wake-up, FIRST_RUN_MS early at most */
};

void sensor_runner_init(struct sensor_runner *in, struct beacon_pipeline *p, struct children *children,
                    struct condition_table *conditions, struct emitter *items, max_align_t *states,
                    char *outputs)
{
    *in = (struct sensor_runner){
        .pipeline = p, .children = children, .conditions = conditions, .outputs = outputs};
    for (unsigned i = 0; i < ARRAY_SIZE(in->sets); i++) {
        in->sets[i].items = items + i * CONFIG_BEACON_SENSORS;
        in->sets[i].states = (uint8_t *)states + i * CONFIG_BEACON_SENSOR_STATE_BYTES;
    }
}

/* ---- Configuration ---- */

#define COMMON(member) FIELD_AT(struct sensor_common, member)
/** Only those of a list have a name. */
static const struct field name_fields[] = {
    {FIELD_REQUIRED("name", "its name"),
     .type = FIELD_STRING,
     COMMON(name),
     .min = 1,
     .max = 64},
    {.name = NULL},
};

const struct field sensor_common_fields[] = {
    {FIELD_DEFAULT("enabled", "true"),
     .type = FIELD_BOOL,
     COMMON(enabled),
     FIELD_NOTE("false: disabled")},
    {.name = "interval",
     .type = FIELD_DURATION,
     COMMON(interval_ms),
     .min = 1000,
     FIELD_NOTE("time between two looks; default: the class's")},
    {FIELD_DEFAULT("for", "1"),
     .type = FIELD_INT,
     COMMON(for_checks),
     .min = 1,
     .max = 200,
     FIELD_NOTE("consecutive checks before a condition is reported")},
    {.name = NULL},
};

/** Fields common to all sensors have, plus those of this class. */
static void bind_fields(struct sensor_common *common, struct config *c,
                        const struct sensor_class *class, const struct node *n, const char *where)
{
    const struct field *tables[4] = {sensor_common_fields};
    unsigned count = 1;

    if (class->fields)
        tables[count++] = class->fields;
    if (sensor_is_list(class))
        tables[count++] = name_fields;
    config_bind_tables(c, n, where, tables, common);
    const char *interval = word_at(class->name, 1);
    if (common->interval_ms == 0)
        parse_duration_ms(interval, strlen(interval), &common->interval_ms);
}

/** Size of a state, rounded up so that the next one is aligned. */
static size_t state_room(const struct sensor_class *class)
{
    return (class->state_size + sizeof(max_align_t) - 1) / sizeof(max_align_t) *
           sizeof(max_align_t);
}

/** Allocate a zeroed emitter for a sensor of this class. Null after a report. */
static struct emitter *take_room(struct sensor_runner *in, struct config *c,
                                 const struct sensor_class *class, const struct node *n,
                                 const char *where)
{
    struct instance_set *set = &in->sets[!in->current];
    size_t size = state_room(class);

    if (set->count == CONFIG_BEACON_SENSORS) {
        config_error(c, n, where,
                     "too many sensors, at most " LITERAL(CONFIG_BEACON_SENSORS),
                     HINT(" (CONFIG_BEACON_SENSORS)"), NULL);
        return NULL;
    }
    if (size > CONFIG_BEACON_SENSOR_STATE_BYTES - set->states_used) {
        config_error(c, n, where, "no memory left for this sensor",
                     HINT(" (CONFIG_BEACON_SENSOR_STATE_BYTES)"), NULL);
        return NULL;
    }
    struct emitter *e = &set->items[set->count];
    void *state = set->states + set->states_used;
    memset(state, 0, size);
    *e = (struct emitter){.owner = in, .class = class, .common = state, .output = -1, .joined = !class->spread,
                          .samples = class->samples};
    return e;
}

static void check_name(struct sensor_runner *in, struct config *c, const struct node *n,
                       const char *where, const struct emitter *e)
{
    const struct instance_set *set = &in->sets[!in->current];

    for (unsigned i = 0; i < set->count; i++)
        if (set->items[i].class == e->class && str_eq(set->items[i].common->name, e->common->name))
            config_error(c, node_child(c, n, "name"), where, "duplicate name \"", e->common->name,
                         "\"", NULL);
}

/** Do the pools that sensors share have room for one more of this class? */
static void check_needs(struct instance_set *set, struct config *c, const struct sensor_class *class,
                        const struct node *n, const char *where)
{
    set->watches += class->watches;
    set->follows += class->follows;
    if (IS_ENABLED(CONFIG_BEACON_WATCHES) && set->watches > CONFIG_BEACON_SENSOR_WATCHES)
        config_error(c, n, where, "no descriptors left for this sensor",
                     HINT(" (CONFIG_BEACON_SENSOR_WATCHES)"), NULL);
    if (IS_ENABLED(CONFIG_BEACON_FOLLOWS) && set->follows > CONFIG_BEACON_FOLLOWED)
        config_error(c, n, where, "too many commands to follow",
                     HINT(" (CONFIG_BEACON_FOLLOWED)"), NULL);
}

static void load_one(struct sensor_runner *in, struct config *c, const struct sensor_class *class,
                     const struct node *n, const char *where)
{
    struct emitter *e = take_room(in, c, class, n, where);
    unsigned errors = c->errors;

    if (!e)
        return;
    bind_fields(e->common, c, class, n, where);
    if (!sensor_is_list(class))
        e->common->name = class->name;
    if (c->errors == errors && sensor_is_list(class))
        check_name(in, c, n, where, e);
    for (unsigned i = 0; IS_ENABLED(CONFIG_BEACON_SENSOR_LEVELS) && c->errors == errors && i < class->limits; i++)
        thresholds_check(e->common, class->fields + (size_t)(3 * i), class->low_is_bad ? BELOW : ABOVE, c, n, where);
    if (c->errors == errors && class->open)
        class->open(e->common, c, n, where);
    if (c->errors != errors || !e->common->enabled)
        return;
    struct instance_set *set = &in->sets[!in->current];
    if (IS_ENABLED(CONFIG_BEACON_SENSOR_STARTS))
        check_needs(set, c, class, n, where);
    set->count++;
    set->states_used += state_room(class);
}

static void load_list(struct sensor_runner *in, struct config *c, const struct sensor_class *class,
                      const struct node *list, const char *list_where)
{
    char buf[64];
    struct text where;
    unsigned index = 0;

    for (const struct node *n = node_first(c, list); n; n = node_next(c, n), index++) {
        text_init(&where, buf, sizeof buf);
        config_where_item(&where, list_where, index);
        if (config_is(c, n, where.buf, NODE_MAP))
            load_one(in, c, class, n, where.buf);
    }
}

static void load_class(struct sensor_runner *in, struct config *c, const struct sensor_class *class,
                       const struct node *section)
{
    const struct node *n = node_child(c, section, class->name);
    char buf[64];
    struct text where;

    text_init(&where, buf, sizeof buf);
    config_where_key(&where, "beacons", class->name);
    /* `memory:` alone means its defaults, not that nobody is to watch; of a list it means that there are no items. */
    const bool nothing = n && !config_given(c, section, class->name);
    const bool bare = nothing && !sensor_is_list(class) && n->type == NODE_SCALAR;
    if (nothing && sensor_is_list(class))
        config_warn(c, n, where.buf, "is empty", NULL);
    if (!bare && !config_is(c, n, where.buf, sensor_is_list(class) ? NODE_LIST : NODE_MAP))
        return;
    if (sensor_is_list(class))
        load_list(in, c, class, n, where.buf);
    else
        load_one(in, c, class, n, where.buf);
}

int sensor_runner_load(struct sensor_runner *in, struct config *c, const struct node *section)
{
    struct instance_set *set = &in->sets[!in->current];
    unsigned errors = c->errors;

    set->count = 0;
    set->states_used = 0;
    set->watches = set->follows = 0;
    for (unsigned i = 0; sensor_table[i]; i++)
        load_class(in, c, sensor_table[i], section);
    return c->errors == errors ? 0 : NEFIA_EINVAL;
}

/* ---- Running ---- */

int emitter_not_measured(struct emitter *e, const char *what, const char *why)
{
    struct text t;

    if (e->why[0])
        return 0;
    text_init(&t, e->why, sizeof e->why);
    if (what) {
        text_str(&t, what);
        text_str(&t, ": ");
    }
    text_str(&t, why);
    return 0;
}

/** The result of a run that has ended; the log has changes only. */
static void settle(struct emitter *e, int err)
{
    if (IS_ENABLED(CONFIG_BEACON_FOLLOWS) && err == 0 && sensor_follow_why(e))
        emitter_not_measured(e, NULL, sensor_follow_why(e));
    const enum instance_result before =
        IS_ENABLED(CONFIG_BEACON_RUNS_CHILDREN) ? e->settled : e->result;

    e->result = e->why[0] ? INSTANCE_NOT_MEASURED : err < 0 ? INSTANCE_FAILED : INSTANCE_OK;
    if (e->result == INSTANCE_FAILED)
        emitter_not_measured(e, NULL, err_text(err));
    if (IS_ENABLED(CONFIG_BEACON_CONTROL)) { /* for status */
        e->failures += e->result == INSTANCE_FAILED;
        e->not_measured += e->result == INSTANCE_NOT_MEASURED;
    }
    if (e->result != INSTANCE_OK && e->result != before)
        LOG_WARN(e->class->name, sensor_is_list(e->class) ? " " : "",
                 sensor_is_list(e->class) ? e->common->name : "",
                 e->result == INSTANCE_FAILED ? ": " : ": not measured: ", e->why);
    if (IS_ENABLED(CONFIG_BEACON_RUNS_CHILDREN))
        e->settled = e->result;
}

void sensor_runner_settle(struct emitter *e)
{
    settle(e, 0);
}

/** before: the same sensor until this reload, or null. */
static int start(struct emitter *e, const struct emitter *before)
{
    void *state = before && before->started ? before->common : NULL;

    e->before = before;
    e->why[0] = '\0';
    int err = e->class->start ? e->class->start(e->common, e, state) : 0;
    e->before = NULL;
    e->started = err == 0 && !e->why[0];
    if (IS_ENABLED(CONFIG_BEACON_FOLLOWS) && !e->started)
        sensor_follow_release(e->owner, e);
    if (IS_ENABLED(CONFIG_BEACON_WATCHES) && !e->started)
        sensor_watch_release(e->owner, e);
    return err;
}

static int check(struct emitter *e, uint64_t now)
{
    if (IS_ENABLED(CONFIG_BEACON_SENSOR_STARTS)) {
        int err = e->started ? 0 : start(e, NULL);
        if (!e->started || !e->class->poll)
            return err;
    }
    return e->class->poll(e->common, e, now);
}

static int run(struct emitter *e)
{
    uint64_t now = clock_ms(e->owner->pipeline->loop->clock);

    e->runs++;
    e->last_run_ms = now;
    e->why[0] = '\0';
    if (IS_ENABLED(CONFIG_BEACON_SAMPLES))
        e->sampled = 0;
    int err = check(e, now);
    /* A command that runs will say; that it was still running is no failure. */
    if (!IS_ENABLED(CONFIG_BEACON_RUNS_CHILDREN) || e->output < 0 ||
        (err < 0 && err != NEFIA_EAGAIN))
        settle(e, err);
    return err;
}

static void start_timer(struct emitter *e, uint64_t delay_ms);

static void run_now(struct emitter *e)
{
    start_timer(e, e->common->interval_ms);
    if (run(e) == NEFIA_EFULL)
        start_timer(e, e->common->interval_ms < RETRY_MS ? e->common->interval_ms : RETRY_MS);
}

/** May it run before its time, which is then? Not while its command, which ends within its interval, runs. */
static bool runs_along(const struct emitter *e, uint64_t until)
{
    return timer_active(&e->timer) && e->timer.at_ms <= until &&
           (!IS_ENABLED(CONFIG_BEACON_RUNS_CHILDREN) || e->output < 0);
}

/** Those that would be due shortly run along, so that the processor sleeps on: from then on sensors of
 * one interval stay together. Of those that are spread one that woke up alone is early, when the others have run: one in each
 * wake-up, and where they have left room for a command. */
static void timer_fired(void *arg)
{
    struct emitter *e = arg;
    const struct instance_set *set = sensor_runner_current(e->owner);
    const unsigned twice = IS_ENABLED(CONFIG_BEACON_RUNS_CHILDREN) ? 2 * set->count : set->count;
    bool spread = e->class->spread;

    e->joined = !spread;
    run_now(e);
    for (unsigned i = 0; CONFIG_BEACON_SENSORS > 1 && i < twice; i++) {
        const bool early = i >= set->count;
        struct emitter *other = &set->items[early ? i - set->count : i];
        if (early && (spread || other->joined || other->common->interval_ms < SELDOM_MS ||
                      e->owner->running + 1 > CONFIG_BEACON_CHILDREN))
            continue;
        if (!runs_along(other, e->last_run_ms + (early ? FIRST_RUN_MS : TOGETHER_MS)))
            continue;
        spread |= other->class->spread;
        e->joined = other->joined = true;
        run_now(other);
    }
}

static void start_timer(struct emitter *e, uint64_t delay_ms)
{
    timer_start(e->owner->pipeline->loop, &e->timer, delay_ms, timer_fired, e);
}

uint64_t emitter_now(const struct emitter *e)
{
    return clock_ms(e->owner->pipeline->loop->clock);
}

void emitter_soon(struct emitter *e, uint64_t delay_ms)
{
    if (!timer_active(&e->timer) || e->timer.at_ms > emitter_now(e) + delay_ms)
        start_timer(e, delay_ms);
}

bool emitter_once(const struct emitter *e)
{
    return e->owner->once;
}

/** Nothing of theirs is called any more; what they have opened stays open, and what they follow runs. */
static void halt(struct sensor_runner *in)
{
    const struct instance_set *set = sensor_runner_current(in);

    for (unsigned i = 0; i < set->count; i++) {
        struct emitter *e = &set->items[i];
        timer_stop(&e->timer);
        if (IS_ENABLED(CONFIG_BEACON_RUNS_CHILDREN) && e->output >= 0) {
            child_cancel(in->children, e);
            in->output_used[e->output] = false;
            e->output = -1;
            in->running--;
        }
        if (IS_ENABLED(CONFIG_BEACON_WATCHES))
            sensor_watch_release(in, e);
    }
}

static void stop(struct sensor_runner *in, const struct instance_set *set)
{
    for (unsigned i = 0; IS_ENABLED(CONFIG_BEACON_SENSOR_STARTS) && i < set->count; i++) {
        struct emitter *e = &set->items[i];
        if (IS_ENABLED(CONFIG_BEACON_FOLLOWS))
            sensor_follow_release(in, e);
        if (e->started && e->class->stop)
            e->class->stop(e->common);
        e->started = false;
    }
}

void sensor_runner_stop(struct sensor_runner *in)
{
    halt(in);
    stop(in, sensor_runner_current(in));
}

static struct emitter *find_same(const struct instance_set *set, const struct emitter *e)
{
    for (unsigned i = 0; i < set->count; i++)
        if (set->items[i].class == e->class && str_eq(set->items[i].common->name, e->common->name))
            return &set->items[i];
    return NULL;
}

/** When it is due: on schedule if it ran before (at once if its command was killed half-way),
 * otherwise soon: at a random phase, the same for all, so that those of one interval run in one wake-up. */
static uint64_t first_delay(const struct sensor_runner *in, const struct emitter *e,
                            const struct emitter *before, uint64_t phase)
{
    uint64_t most = e->common->interval_ms < FIRST_RUN_MS ? e->common->interval_ms : FIRST_RUN_MS;
    uint64_t now = clock_ms(in->pipeline->loop->clock);

    if (!before || before->runs == 0)
        return e->class->spread && in->random_below ? in->random_below(most) : phase % most;
    if (before->result == INSTANCE_RUNNING)
        return 0;
    uint64_t due = before->last_run_ms + e->common->interval_ms;
    return due > now ? due - now : 0;
}

static void carry_over(struct emitter *e, const struct emitter *before)
{
    e->result = before->result;
    if (IS_ENABLED(CONFIG_BEACON_RUNS_CHILDREN))
        e->settled = before->settled;
    e->runs = before->runs;
    e->last_run_ms = before->last_run_ms;
    if (IS_ENABLED(CONFIG_BEACON_SAMPLES))
        e->sampled = before->sampled;
    if (!IS_ENABLED(CONFIG_BEACON_CONTROL)) /* what follows is for status */
        return;
    e->failures = before->failures;
    e->not_measured = before->not_measured;
    e->events = before->events;
}

void sensor_runner_start_early(struct sensor_runner *in)
{
    struct instance_set *set = &in->sets[!in->current];

    for (unsigned i = 0; i < set->count; i++)
        if (set->items[i].class->early)
            start(&set->items[i], NULL);
}

/** A start that fails is a result; one that succeeds says nothing of what is to be measured. */
static void start_at_switch(struct emitter *e, const struct emitter *before)
{
    int err = IS_ENABLED(CONFIG_BEACON_SENSOR_EARLY) && e->started ? 0 : start(e, before);

    if (e->started && before)
        memcpy(e->why, before->why, sizeof e->why);
    if (!e->started || (IS_ENABLED(CONFIG_BEACON_FOLLOWS) && sensor_follow_why(e)))
        settle(e, err);
}

void sensor_runner_switch(struct sensor_runner *in)
{
    const struct instance_set *old = &in->sets[in->current];
    struct instance_set *set = &in->sets[!in->current];

    const uint64_t phase = in->random_below ? in->random_below(FIRST_RUN_MS) : 0;

    halt(in);
    for (unsigned i = 0; IS_ENABLED(CONFIG_BEACON_FOLLOWS) && i < old->count; i++)
        if (!find_same(set, &old->items[i]))
            sensor_follow_release(in, &old->items[i]); /* others need its place */
    in->current = !in->current;
    condition_mark(in->conditions);
    for (unsigned i = 0; i < set->count; i++) {
        struct emitter *e = &set->items[i];
        const struct emitter *before = find_same(old, e);
        if (before)
            carry_over(e, before);
        if (IS_ENABLED(CONFIG_BEACON_SENSOR_STARTS))
            start_at_switch(e, before);
        if (!IS_ENABLED(CONFIG_BEACON_WATCHES))
            start_timer(e, first_delay(in, e, before, phase));
        else
            emitter_soon(e, first_delay(in, e, before, phase)); /* start may have asked for less */
    }
    stop(in, old);
}

void sensor_runner_switch_once(struct sensor_runner *in)
{
    in->current = !in->current;
    in->once = true;
}

void sensor_runner_run(struct emitter *e)
{
    run(e);
}

/* ---- Interface for sensors ---- */

const struct clock *emitter_clock(const struct emitter *e)
{
    return e->owner->pipeline->loop->clock;
}

/** Valid until the next. */
static const char *source_of(struct emitter *e)
{
    struct sensor_runner *in = e->owner;
    struct text t;
    const char *given = word_at(e->class->name, 2);

    if (!IS_ENABLED(CONFIG_BEACON_SENSOR_LEVELS) || *given)
        return given;
    text_init(&t, in->source, sizeof in->source);
    text_str(&t, e->class->name);
    text_str(&t, "-beacon");
    return in->source;
}

struct json_writer *emit_begin(struct emitter *e, const char *type, const char *subject,
                               enum severity severity)
{
    e->event = (struct pipeline_event){
        .type = type, .source = source_of(e), .subject = subject, .severity = severity};
    e->condition = NULL;
    return beacon_pipeline_begin(e->owner->pipeline);
}

struct json_writer *emit_change(struct emitter *e, const char *type, const char *subject,
                                enum severity severity)
{
    struct json_writer *w = emit_begin(e, type, subject, severity);

    e->event.change = true;
    return w;
}

struct json_writer *emit_exempt(struct emitter *e, const char *type, const char *subject,
                                enum severity severity)
{
    struct json_writer *w = emit_begin(e, type, subject, severity);

    e->event.own = true;
    return w;
}

int emit_end(struct emitter *e)
{
    int verdict = beacon_pipeline_end(e->owner->pipeline, &e->event);

    if (verdict == PIPELINE_ACCEPTED) {
        e->events++;
        if (e->condition)
            e->condition->reported = !e->recovered;
    }
    e->condition = NULL;
    return verdict == PIPELINE_OVER_RATE ? 0 : verdict;
}

struct condition *emitter_condition(struct emitter *e, const char *type, const char *subject)
{
    struct sensor_runner *in = e->owner;
    struct condition *c = condition_get(in->conditions, type, subject);

    if (!c) {
        condition_sweep(in->conditions); /* remove those not looked up since the last reload */
        c = condition_get(in->conditions, type, subject);
    }
    if (!c)
        emitter_not_measured(e, type, HINTED("too many conditions", " (CONFIG_CONDITIONS)"));
    return c;
}

struct json_writer *emit_condition(struct emitter *e, const char *type, const char *subject,
                                   enum level measured)
{
    return emit_condition_pair(e, type, type, subject, measured);
}

struct json_writer *emit_condition_pair(struct emitter *e, const char *type, const char *ended,
                                        const char *subject, enum level measured)
{
    struct condition *c = emitter_condition(e, type, subject);
    struct condition_verdict v;

    if (!c)
        return NULL;
    v = condition_check(c, measured, e->owner->once ? 1 : (unsigned)e->common->for_checks);
    /* A recovery suppressed by the rate limit is reported as soon as possible. */
    bool recovered = v.action == CONDITION_RECOVERED || (v.action == CONDITION_QUIET && c->reported);
    if (v.action == CONDITION_QUIET && !recovered) {
        if (measured == LEVEL_OK)
            c->key = 0; /* nothing is known of it that a new one would not have: others may need the place */
        return NULL;
    }
    if (IS_ENABLED(CONFIG_BEACON_SENSOR_LEVELS) && v.action == CONDITION_REPEAT &&
        beacon_pipeline_repeats(e->owner->pipeline, &(const struct pipeline_event){.type = type,
                                                                                   .source = source_of(e),
                                                                                   .subject = subject,
                                                                                   .severity = (enum severity)v.level}))
        return NULL;
    struct json_writer *w = emit_begin(e, recovered ? ended : type, subject,
                                       recovered ? SEVERITY_INFO : (enum severity)v.level);
    e->condition = c;
    e->recovered = recovered;
    e->event.change = recovered && c->reported;
    e->event.level = true;
    if (recovered)
        json_put_string(w, "state", "recovered");
    return w;
}

static void child_done(void *arg, const struct child_result *r)
{
    struct emitter *e = arg;
    struct sensor_runner *in = e->owner;
    int output = e->output;

    e->output = -1;
    in->running--;
    in->output_used[output] = false; /* nobody writes to it before the loop's next turn */
    e->done(e->common, e, r, in->outputs + (size_t)output * CONFIG_SCRIPT_OUTPUT_BYTES);
    if (e->output < 0)
        settle(e, 0);
}

static int free_output(const struct sensor_runner *in)
{
    for (int i = 0; i < CONFIG_BEACON_CHILDREN; i++)
        if (!in->output_used[i])
            return i;
    return NEFIA_EFULL;
}

static int run_child(struct emitter *e, struct child_spec spec,
                     void (*done)(void *state, struct emitter *e, const struct child_result *r,
                                  const char *output))
{
    struct sensor_runner *in = e->owner;
    int output = free_output(in);

    if (!IS_ENABLED(CONFIG_BEACON_RUNS_CHILDREN))
        return NEFIA_ENOTSUP;
    if (e->output >= 0)
        return NEFIA_EAGAIN;
    spec.output = in->outputs + (size_t)(output < 0 ? 0 : output) * CONFIG_SCRIPT_OUTPUT_BYTES;
    spec.output_cap = CONFIG_SCRIPT_OUTPUT_BYTES;
    e->done = done;
    /* Full are also the processes that a reload has killed, until they have been reaped. */
    int slot = output < 0 ? output : child_start(in->children, &spec, child_done, e);
    if (slot == NEFIA_EFULL)
        emitter_not_measured(
            e, NULL,
            HINTED("too many commands are running",
                   " (CONFIG_BEACON_CHILDREN=" LITERAL(CONFIG_BEACON_CHILDREN) ")"));
    if (slot < 0)
        return slot;
    e->output = output;
    e->result = INSTANCE_RUNNING;
    in->output_used[output] = true;
    in->running++;
    return 0;
}

int emitter_child_argv(struct emitter *e, const char *const *argv, uint64_t deadline_ms,
                       void (*done)(void *state, struct emitter *e, const struct child_result *r,
                                    const char *output))
{
    extern char **environ;
    const struct child_spec spec = {
        .argv = argv, .envp = (const char *const *)environ, .deadline_ms = deadline_ms};

    return run_child(e, spec, done);
}

int emitter_child_run(struct emitter *e, int (*task)(void *arg), void *arg, uint64_t deadline_ms,
                      void (*done)(void *state, struct emitter *e, const struct child_result *r,
                                   const char *output))
{
    const struct child_spec spec = {.run = task, .run_arg = arg, .deadline_ms = deadline_ms};

    return run_child(e, spec, done);
}

int emitter_child(struct emitter *e, const char *command, uint64_t deadline_ms,
                  void (*done)(void *state, struct emitter *e, const struct child_result *r,
                               const char *output))
{
    return emitter_child_argv(e, (const char *const[]){"/bin/sh", "-c", command, NULL}, deadline_ms,
                              done);
}
