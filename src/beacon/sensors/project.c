#include "nefia/base/err.h"
#include "nefia/beacon/sensor.h"

/* project_slo: what slo_violation, process and data_budget find, by project. */
enum { ITEMS = CONFIG_PROJECT_ITEMS };

struct project {
    struct sensor_common common;
    const char *objectives[ITEMS]; /* of slo_violation */
    unsigned objective_count, replica_count;
    const char *processes[ITEMS]; /* of process */
    uint32_t replicas[ITEMS];     /* how many of each there should be */
    uint32_t ceiling, price;      /* cents; tenths of a cent for a gigabyte */
};

#define MEMBER(name) FIELD_AT(struct project, name)
static const struct field_list objective_list = {
    .count = offsetof(struct project, objective_count),
    .cap = ITEMS,
    .remedy = FIELD_HELP("; raise CONFIG_PROJECT_ITEMS"),
};
static const struct field project_fields[] = {
    {.name = "objectives",
     .type = FIELD_LIST,
     MEMBER(objectives),
     .list = &objective_list,
     FIELD_NOTE("names of objectives of slo_violation")},
    {.name = "replicas", .type = FIELD_OWNED, FIELD_NOTE("names of process, and how many there should be")},
    {.name = "cost_ceiling",
     .type = FIELD_INT,
     MEMBER(ceiling),
     .min = 1,
     .max = 100000000,
     FIELD_NOTE("of what the data of a month cost, in cents")},
    {.name = "price_per_gb", .type = FIELD_TENTHS, MEMBER(price), .min = 1, .max = 1000000, FIELD_NOTE("in cents")},
    {.name = NULL},
};

/** The keys of the map are names, so that each is a field of its own. */
static void bind_replicas(struct project *p, struct config *c, const struct node *map, const char *where)
{
    if (!config_is(c, map, where, NODE_MAP))
        return;
    for (const struct node *n = node_first(c, map); n; n = node_next(c, n)) {
        if (p->replica_count == ITEMS) {
            config_error(c, n, where, "more than " LITERAL(CONFIG_PROJECT_ITEMS) " processes",
                         HINT("; raise CONFIG_PROJECT_ITEMS"), NULL);
            return;
        }
        struct field f = {.name = n->key, .type = FIELD_INT, MEMBER(replicas[0]), .max = 100000};
        f.offset += p->replica_count * sizeof p->replicas[0] & 0xFFFF;
        config_bind_key(c, map, where, &f, p);
        sample_source(c, n, where, "process", n->key);
        p->processes[p->replica_count++] = n->key;
    }
}

static int project_open(void *state, struct config *c, const struct node *n, const char *where)
{
    struct project *p = state;

    for (unsigned i = 0; i < p->objective_count; i++)
        sample_source(c, node_child(c, n, "objectives"), where, "slo_violation", p->objectives[i]);
    bind_replicas(p, c, node_child(c, n, "replicas"), "beacons.project_slo[].replicas");
    if (!p->ceiling != !p->price)
        config_error(c, n, where, "cost_ceiling and price_per_gb belong together", NULL);
    else if (p->ceiling)
        sample_source(c, n, where, "data_budget", NULL);
    return 0;
}

/** Return: what was found; or negative: not measured. */
static int64_t found(struct emitter *out, const char *class, const char *name)
{
    const int64_t v = emitter_sampled(out, class, name);

    if (v < 0)
        emitter_not_measured(out, name, "no result yet");
    return v;
}

/** The first objective that is violated, in the order of the file. While none is known to be, and some are not known,
 * nothing is. */
static void judge_objectives(const struct project *p, struct emitter *out)
{
    const char *name = p->common.name, *first = NULL;
    enum grade grade = GRADE_NONE;
    unsigned violated = 0, unknown = 0;

    for (unsigned i = 0; i < p->objective_count; i++) {
        const int64_t v = found(out, "slo_violation", p->objectives[i]);
        unknown += v < 0;
        violated += v > 0;
        if (v > 0 && !first) {
            first = p->objectives[i];
            grade = (enum grade)v;
        }
    }
    struct json_writer *w = first || unknown == 0 ? emit_grade(out, "project.slo_violation", "project.slo_violation", name, grade) : NULL;
    if (!w)
        return;
    json_put_string(w, "project", name);
    if (first)
        json_put_string(w, "objective", first);
    json_put_u64(w, "violated", violated);
    emit_end(out);
}

static void judge_replicas(const struct project *p, struct emitter *out)
{
    const char *name = p->common.name;
    enum level level = LEVEL_OK;
    unsigned first = 0, drifted = 0, unknown = 0;
    int64_t running = 0;

    for (unsigned i = 0; i < p->replica_count; i++) {
        const int64_t v = found(out, "process", p->processes[i]);
        unknown += v < 0;
        if (v < 0 || v == p->replicas[i])
            continue;
        if (drifted++ == 0) {
            first = i;
            running = v;
        }
        if (level < LEVEL_CRITICAL)
            level = v == 0 ? LEVEL_CRITICAL : LEVEL_WARNING;
    }
    struct json_writer *w = drifted || unknown == 0 ? emit_condition(out, "project.drift", name, level) : NULL;
    if (!w)
        return;
    json_put_string(w, "project", name);
    if (drifted) {
        json_put_string(w, "process", p->processes[first]);
        json_put_u64(w, "expected", p->replicas[first]);
        json_put_i64(w, "running", running);
    }
    json_put_u64(w, "drifted", drifted);
    emit_end(out);
}

static void judge_cost(const struct project *p, struct emitter *out)
{
    const struct thresholds t = {(int64_t)p->ceiling + 1, 2 * (int64_t)p->ceiling, 0};
    const int64_t megabytes = found(out, "data_budget", "data_budget");
    /* Below 2^52. A gigabyte is 1000 megabytes. */
    const int64_t cents = (int64_t)((uint64_t)megabytes * p->price / (1000 * 10));
    struct json_writer *w = megabytes < 0 ? NULL : emit_level(out, "project.cost_breach", p->common.name, cents, &t, ABOVE);

    if (!w)
        return;
    json_put_string(w, "project", p->common.name);
    json_put_i64(w, "cost_cents", cents);
    json_put_u64(w, "ceiling_cents", p->ceiling);
    json_put_i64(w, "used_mb", megabytes);
    emit_end(out);
}

static int project_poll(void *state, struct emitter *out, uint64_t now_ms)
{
    const struct project *p = state;

    (void)now_ms;
    judge_objectives(p, out);
    judge_replicas(p, out);
    if (p->ceiling)
        judge_cost(p, out);
    return 0;
}

const struct sensor_class sensor_project = {
    SENSOR_NAME_OF("project_slo", "1m", "project-beacon"),
    .list = SENSOR_LIST,
    .fields = project_fields,
    .state_size = sizeof(struct project),
    .open = project_open,
    .poll = project_poll,
};
