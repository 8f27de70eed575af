#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "nefia/base/err.h"
#include "nefia/beacon/sensor.h"
#include "nefia/sys/dir.h"

/* process: the processes of one name, from proc(5). Their ids are remembered: while all of them run, only these are
 * looked at, and /proc is searched when one is gone. */
struct process {
    struct sensor_common common;
    struct thresholds memory, descriptors; /* in KiB; INT64_MAX: no such threshold */
    int64_t least, most;
    int64_t last;   /* id of the newest process at the last search */
    uint32_t count; /* found by it; they are remembered if there is room for all */
    struct known {
        uint32_t id,
            began; /* began: in ticks since boot, cut; another one may have this id later */
    } known[CONFIG_PROCESS_IDS];
};

/** What they are in sum. */
struct sum {
    uint32_t count;
    int64_t pages, descriptors; /* descriptors negative: not measured */
};

enum {
    NAME_MOST = 15, /* the kernel cuts a name after so many bytes (TASK_COMM_LEN) */
    ANY = 100000,
    DESCRIPTORS_MOST = 100000, /* counted of one process */
    MEMORY = 2,                /* index of the thresholds */
    DESCRIPTORS = 5,
};
#define MEMBER(name) FIELD_AT(struct process, name)
static const struct field process_fields[] = {
    {FIELD_DEFAULT("min", "1"),
     .type = FIELD_INT,
     MEMBER(least),
     .max = ANY,
     FIELD_NOTE("there must be so many")},
    {FIELD_DEFAULT("max", LITERAL(100000)),
     .type = FIELD_INT,
     MEMBER(most),
     .max = ANY,
     FIELD_NOTE("and no more")},
    THRESHOLD_FIELDS(struct process, memory, "_memory_kib", FIELD_INT, 0, INT32_MAX, "0", "0",
                     "64"),
    THRESHOLD_FIELDS(struct process, descriptors, "_descriptors", FIELD_INT, 0, INT32_MAX, "0",
                     "0", "8"),
    {.name = NULL},
};

/** None of them need be given. */
static void check_limits(struct process *p, struct thresholds *t, unsigned first, struct config *c,
                         const struct node *n, const char *where)
{
    if (t->critical == 0)
        t->critical = INT64_MAX;
    thresholds_check(p, &process_fields[first], ABOVE, c, n, where);
    if (t->warning == 0)
        t->warning = INT64_MAX;
}

static int process_open(void *state, struct config *c, const struct node *n, const char *where)
{
    struct process *p = state;

    check_limits(p, &p->memory, MEMORY, c, n, where);
    check_limits(p, &p->descriptors, DESCRIPTORS, c, n, where);
    if (p->least > p->most)
        config_error(c, n, where, "min must not be above max", NULL);
    return 0;
}

/** The n-th word from here. */
static int64_t number_at(const char *text, unsigned n)
{
    int64_t v = 0;

    while (n > 0 && *text)
        n -= *text++ == ' ';
    (void)find_decimal(text, "", 0, &v);
    return v;
}

/** The name of the file that it runs, or the one it gave itself; or how it was called, without the path. */
static bool is_named(struct emitter *out, const char *id, const char *comm, size_t len,
                     const char *name)
{
    const size_t whole = strlen(name);

    if (len == (whole < NAME_MOST ? whole : NAME_MOST) && memcmp(comm, name, len) == 0)
        return true;
    const char *called = emitter_file_in(out, "/proc", id, "cmdline", NULL);
    const char *slash = called ? strrchr(called, '/') : NULL;
    return called && str_eq(slash ? slash + 1 : called, name);
}

/** Is it one, and alive? stat is "ID (NAME) STATE …"; the name may contain anything. */
static bool look_at(struct process *p, struct emitter *out, const char *id, struct known *k,
                    int64_t *pages)
{
    const char *stat = emitter_file_in(out, "/proc", id, "stat", NULL);
    const char *open = stat ? strchr(stat, '(') : NULL, *close = open ? strrchr(open, ')') : NULL;

    if (!close || close[1] != ' ' || close[2] == 'Z' || close[2] == 'X')
        return false;
    k->id = (uint32_t)number_at(stat, 0);
    k->began = (uint32_t)number_at(close, 20);
    *pages = number_at(close, 22) & INT32_MAX;
    return is_named(out, id, open + 1, (size_t)(close - open) - 1, p->common.name);
}

static void count_descriptors(struct emitter *out, const char *id, struct sum *sum)
{
    char path[32];
    struct text t;
    struct dir d;
    unsigned n = 0;

    text_init(&t, path, sizeof path);
    text_str(&t, "/proc/");
    text_str(&t, id);
    text_str(&t, "/fd");
    if (dir_open(&d, path) < 0) {
        if (errno == ENOENT)
            return; /* it is gone */
        emitter_not_measured(out, path, ERRNO(errno));
        sum->descriptors = INT64_MIN;
        return;
    }
    while (n < DESCRIPTORS_MOST && dir_next(&d))
        n++;
    dir_close(&d);
    sum->descriptors += n;
}

/** Return: whether it is one. */
static bool add(struct process *p, struct emitter *out, const char *id, struct known *k,
                struct sum *sum)
{
    int64_t pages;

    if (!look_at(p, out, id, k, &pages))
        return false;
    sum->count++;
    sum->pages += pages;
    if (p->descriptors.warning != INT64_MAX || p->descriptors.critical != INT64_MAX)
        count_descriptors(out, id, sum);
    return true;
}

/** Do all of them still run? */
static bool add_known(struct process *p, struct emitter *out, struct sum *sum)
{
    struct known k;

    for (unsigned i = 0; i < p->count; i++)
        if (!add(p, out, DEC(p->known[i].id), &k, sum) || k.began != p->known[i].began)
            return false;
    return true;
}

/** Return: whether all processes could be seen. Under hidepid only one's own can. */
static bool search(struct process *p, struct emitter *out, struct sum *sum)
{
    struct dir d;
    struct known k;
    const char *id;
    bool first = false;

    if (dir_open(&d, "/proc") < 0) {
        emitter_not_measured(out, "/proc", ERRNO(errno));
        return false;
    }
    while ((id = dir_next(&d))) {
        if (*id < '0' || *id > '9')
            continue;
        first |= str_eq(id, "1");
        if (add(p, out, id, &k, sum) && sum->count <= CONFIG_PROCESS_IDS)
            p->known[sum->count - 1] = k;
    }
    p->count = first ? sum->count : 0;
    if (!first)
        emitter_not_measured(out, "/proc", "other users' processes are hidden");
    return first;
}

/** May what is remembered be all? Where `max` counts, only while no process was begun since. */
static bool may_know(struct process *p, struct emitter *out)
{
    const int64_t last = p->last;

    if (p->most < ANY) {
        const char *text =
            emitter_file_if(out, "/proc/loadavg", NULL); /* "0.1 0.2 0.3 1/80 LAST" */
        p->last = text ? number_at(text, 4) : 0;
        if (p->last != last || p->last == 0)
            return false;
    }
    return p->count > 0 && p->count >= p->least && p->count <= CONFIG_PROCESS_IDS;
}

static struct json_writer *put(struct process *p, struct json_writer *w)
{
    if (w)
        json_put_string(w, "process", p->common.name);
    return w;
}

static void judge_count(struct process *p, struct emitter *out)
{
    const char *name = p->common.name;
    const bool missing = p->count == 0 && p->least > 0;
    const bool wrong = !missing && (p->count < p->least || p->count > p->most);

    if (put(p, emit_condition(out, "process.missing", name, missing ? LEVEL_CRITICAL : LEVEL_OK)))
        emit_end(out);
    struct json_writer *w =
        put(p, emit_condition(out, "process.count", name, wrong ? LEVEL_WARNING : LEVEL_OK));
    if (!w)
        return;
    json_put_u64(w, "count", p->count);
    emit_end(out);
}

static void judge(struct process *p, struct emitter *out, const char *type, const char *key,
                  int64_t value, int64_t unit, const struct thresholds *t)
{
    struct json_writer *w = put(p, emit_level(out, type, p->common.name, value, t, ABOVE));

    if (!w)
        return;
    json_put_i64(w, key, value * unit);
    emit_end(out);
}

static int process_poll(void *state, struct emitter *out, uint64_t now_ms)
{
    struct process *p = state;
    struct sum sum = {0};

    (void)now_ms;
    if (!may_know(p, out) || !add_known(p, out, &sum)) {
        sum = (struct sum){0};
        if (!search(p, out, &sum))
            return 0;
    }
    judge_count(p, out);
    judge(p, out, "process.memory", "memory_bytes", sum.pages * (sysconf(_SC_PAGESIZE) / 1024),
          1024, &p->memory);
    if (sum.descriptors >= 0)
        judge(p, out, "process.descriptors", "descriptors", sum.descriptors, 1, &p->descriptors);
    return 0;
}

const struct sensor_class sensor_process = {
    .name = "process",
    .source = "process-beacon",
    .interval = "30s",
    .list = SENSOR_LIST,
    .fields = process_fields,
    .state_size = sizeof(struct process),
    .open = process_open,
    .poll = process_poll,
};
