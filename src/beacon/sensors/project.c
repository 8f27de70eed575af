#include "nefia/base/err.h"
#include "nefia/beacon/sensor.h"

/* project_slo: what slo_violation, process and data_budget find, by project. */
enum { ITEMS = CONFIG_PROJECT_ITEMS };

enum { OBJECTIVES, REPLICAS, GROUPS };

struct project {
    struct sensor_common common;
    struct group {
        const char *names[ITEMS]; /* of objectives of slo_violation, of items of process */
        unsigned count;
    } groups[GROUPS];
    uint32_t replicas[ITEMS]; /* how many of each process there should be */
    uint32_t ceiling, price;  /* cents; tenths of a cent for a gigabyte */
};

#define MEMBER(name) FIELD_AT(struct project, name)
static const struct field_list objective_list = {
    .count = offsetof(struct project, groups[OBJECTIVES].count),
    .cap = ITEMS,
    .remedy = FIELD_HELP("; raise CONFIG_PROJECT_ITEMS"),
};
static const struct field project_fields[] = {
    {.name = "objectives",
     .type = FIELD_LIST,
     MEMBER(groups[OBJECTIVES].names),
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
static void bind_replicas(struct project *p, struct config *c, const struct node *map, const char *item)
{
    struct group *g = &p->groups[REPLICAS];
    char where[128];
    struct text t;

    text_init(&t, where, sizeof where);
    config_where_key(&t, item, "replicas");
    if (!config_is(c, map, where, NODE_MAP))
        return;
    for (const struct node *n = node_first(c, map); n; n = node_next(c, n)) {
        if (g->count == ITEMS) {
            config_error(c, n, where, "too many processes", HINT("; raise CONFIG_PROJECT_ITEMS"), NULL);
            return;
        }
        const struct field f = {.name = n->key, .type = FIELD_INT, FIELD_AT(struct group, count), .max = 100000};
        struct group found = {.count = 0};
        config_bind_key(c, map, where, &f, &found);
        sample_source(c, n, where, "process", n->key);
        p->replicas[g->count] = found.count;
        g->names[g->count++] = n->key;
    }
}

static int project_open(void *state, struct config *c, const struct node *n, const char *where)
{
    struct project *p = state;

    for (unsigned i = 0; i < p->groups[OBJECTIVES].count; i++)
        sample_source(c, node_child(c, n, "objectives"), where, "slo_violation", p->groups[OBJECTIVES].names[i]);
    bind_replicas(p, c, node_child(c, n, "replicas"), where);
    if (p->groups[OBJECTIVES].count + p->groups[REPLICAS].count == 0 && !p->ceiling)
        config_error(c, n, where, "give objectives, replicas or cost_ceiling", NULL);
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

/** The first that is not as it should be, in the order of the file. While all that are known are, and some are not known,
 * nothing is said. */
static void judge(const struct project *p, struct emitter *out, unsigned of, const char *type, const char *class)
{
    const char *first = NULL;
    const struct group *g = &p->groups[of];
    unsigned unknown = 0, wrong = 0;
    uint32_t wanted = 0;
    int64_t seen = 0;

    for (unsigned i = 0; i < g->count; i++) {
        const uint32_t want = of == REPLICAS ? p->replicas[i] : GRADE_NONE;
        const int64_t v = found(out, class, g->names[i]);
        unknown += v < 0;
        if (v < 0 || v == want || wrong++ > 0)
            continue;
        first = g->names[i];
        wanted = want;
        seen = v;
    }
    if (!first && unknown > 0)
        return;
    const enum grade grade = !first ? GRADE_NONE : of == OBJECTIVES ? (enum grade)seen : seen > 0 ? GRADE_MEDIUM : GRADE_HIGH;
    struct json_writer *w = emit_grade(out, type, type, p->common.name, grade);
    if (!w)
        return;
    json_put_string(w, "project", p->common.name);
    if (first)
        json_put_string(w, of == REPLICAS ? class : "objective", first);
    if (first && of == REPLICAS) {
        json_put_u64(w, "expected", wanted);
        json_put_i64(w, "running", seen);
    }
    json_put_u64(w, "failing", wrong);
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
    judge(p, out, OBJECTIVES, "project.slo_violation", "slo_violation");
    judge(p, out, REPLICAS, "project.drift", "process");
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
