#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "nefia/base/err.h"
#include "nefia/beacon/sensor.h"
#include "nefia/sys/dir.h"
#include "nefia/sys/pidfd.h"

/* process: the processes of one name, from proc(5). Those that were found are remembered: while all of them run, only
 * these are looked at, and /proc is searched when one is gone, or where there may be too many. That they run is asked
 * of their descriptors (pidfd_open(2)), which is one system call for all; without these, or where their memory is
 * asked for, their stat is read again. */
struct process {
    struct sensor_common common;
    int32_t least, most, most_kib, most_descriptors; /* the last two 0: no limit */
    uint32_t count, kib, descriptors;                /* found by this look */
    bool blind;                                      /* not all descriptors could be counted */
    struct known {
        uint32_t id, began; /* began: in ticks since boot, cut; another one may have this id later */
    } known[CONFIG_PROCESS_IDS];
    struct pollfd handles[CONFIG_PROCESS_IDS]; /* of the first `held` of them */
    uint32_t held;
};

enum {
    NAME_MOST = 15, /* the kernel cuts a name after so many bytes (TASK_COMM_LEN) */
    ANY = 100000,
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
    {.name = "max_memory_kib",
     .type = FIELD_INT,
     MEMBER(most_kib),
     .min = 1,
     .max = INT32_MAX,
     FIELD_NOTE("their resident memory together")},
    {.name = "max_descriptors",
     .type = FIELD_INT,
     MEMBER(most_descriptors),
     .min = 1,
     .max = INT32_MAX,
     FIELD_NOTE("their descriptors together")},
    {.name = NULL},
};

static int process_open(void *state, struct config *c, const struct node *n, const char *where)
{
    const struct process *p = state;

    if (p->least > p->most)
        config_error(c, n, where, "min must not be above max", NULL);
    return 0;
}

/** The number behind n spaces. */
static uint32_t number_at(const char *text, unsigned n)
{
    int64_t v = 0;

    while (n > 0 && *text)
        n -= *text++ == ' ';
    (void)find_decimal(text, "", 0, &v);
    return (uint32_t)v;
}

/** The name of the file that it runs, or the one it gave itself; or how it was called, without the path. */
static bool is_named(struct emitter *out, const char *id, const char *comm, size_t len, const char *name)
{
    const size_t whole = strlen(name);

    if (len == (whole < NAME_MOST ? whole : NAME_MOST) && memcmp(comm, name, len) == 0)
        return true;
    const char *called = emitter_file_in(out, "/proc", id, "cmdline", NULL);
    const char *slash = called ? strrchr(called, '/') : NULL;
    return called && str_eq(slash ? slash + 1 : called, name);
}

static void count_descriptors(struct process *p, struct emitter *out, const char *id)
{
    char path[32];
    struct text t;
    struct dir d;

    text_init(&t, path, sizeof path);
    text_str(&t, "/proc/");
    text_str(&t, id);
    text_str(&t, "/fd");
    if (dir_open(&d, path) == 0) {
        while (dir_next(&d))
            p->descriptors++;
    } else if (errno != ENOENT) { /* it is not gone */
        emitter_not_measured(out, path, ERRNO(errno));
        p->blind = true;
    }
}

/** Is it one, and alive? Its stat is "ID (NAME) STATE …"; the name may contain anything. */
static bool add(struct process *p, struct emitter *out, const char *id, struct known *k)
{
    const char *stat = emitter_file_in(out, "/proc", id, "stat", NULL);
    const char *open = stat ? strchr(stat, '(') : NULL, *close = open ? strrchr(open, ')') : NULL;

    if (!close || close[1] != ' ' || close[2] == 'Z' || close[2] == 'X')
        return false;
    *k = (struct known){number_at(stat, 0), number_at(close, 20)};
    const uint32_t pages = number_at(close, 22);
    if (!is_named(out, id, open + 1, (size_t)(close - open) - 1, p->common.name))
        return false;
    p->count++;
    p->kib += pages * ((unsigned)getpagesize() / 1024);
    if (p->most_descriptors > 0)
        count_descriptors(p, out, id);
    return true;
}

/** Is only asked whether they are there, and at least so many? */
static bool by_handles(const struct process *p)
{
    return p->most == ANY && p->most_kib == 0 && p->most_descriptors == 0;
}

/** Those that were found; a kernel before Linux 5.3 gives none. */
static void hold(struct process *p)
{
    pidfds_close(p->handles, &p->held);
    while (by_handles(p) && p->count <= CONFIG_PROCESS_IDS && p->held < p->count)
        if (!pidfds_add(p->handles, &p->held, (pid_t)p->known[p->held].id))
            return;
}

static void begin(struct process *p)
{
    p->count = p->kib = p->descriptors = 0;
    p->blind = false;
}

/** Are those that were found all, and do they still run? */
static bool add_known(struct process *p, struct emitter *out)
{
    const uint32_t count = p->count;
    struct known k;

    if (count == 0 || count > CONFIG_PROCESS_IDS || (int32_t)count < p->least || p->most < ANY)
        return false;
    if (p->held == count)
        return pidfds_run(p->handles, count);
    begin(p);
    for (uint32_t i = 0; i < count; i++)
        if (!add(p, out, DEC(p->known[i].id), &k) || k.began != p->known[i].began)
            return false;
    return true;
}

/** Under hidepid one's own processes are all that can be seen, and not the first. Return: whether it could be
 * done. */
static bool search(struct process *p, struct emitter *out)
{
    struct dir d;
    struct known k;
    const char *id;

    begin(p);
    if (!emitter_file(out, "/proc/1/stat", NULL) || dir_open(&d, "/proc") < 0) {
        emitter_not_measured(out, "/proc", ERRNO(errno));
        return false;
    }
    while ((id = dir_next(&d)))
        if (*id <= '9' && add(p, out, id, &k) && p->count <= CONFIG_PROCESS_IDS)
            p->known[p->count - 1] = k;
    hold(p);
    return true;
}

static void tell(struct process *p, struct emitter *out, struct json_writer *w, const char *key, int64_t value)
{
    if (!w)
        return;
    json_put_string(w, "process", p->common.name);
    json_put_i64(w, key, value);
    emit_end(out);
}

static void judge(struct process *p, struct emitter *out, const char *type, enum level level)
{
    tell(p, out, emit_condition(out, type, p->common.name, level), "count", p->count);
}

/** Where there is a limit: it is kept again an eighth below it. */
static void judge_sum(struct process *p, struct emitter *out, const char *type, const char *key, uint32_t sum,
                      int32_t limit, int64_t unit)
{
    const struct thresholds t = {(int64_t)limit + 1, INT64_MAX, limit / 8};

    if (limit > 0)
        tell(p, out, emit_level(out, type, p->common.name, sum, &t, ABOVE), key, sum * unit);
}

static int process_poll(void *state, struct emitter *out, uint64_t now_ms)
{
    struct process *p = state;

    (void)now_ms;
    if (!add_known(p, out) && !search(p, out))
        return 0;
    emitter_sample(out, true, p->count);
    const bool missing = p->count == 0 && p->least > 0;
    const int32_t count = (int32_t)p->count;
    judge(p, out, "process.missing", missing ? LEVEL_CRITICAL : LEVEL_OK);
    judge(p, out, "process.count",
          !missing && (count < p->least || count > p->most) ? LEVEL_WARNING : LEVEL_OK);
    judge_sum(p, out, "process.memory", "memory_bytes", p->kib, p->most_kib, 1024);
    if (!p->blind)
        judge_sum(p, out, "process.descriptors", "descriptors", p->descriptors, p->most_descriptors, 1);
    return 0;
}

static void process_stop(void *state)
{
    struct process *p = state;

    pidfds_close(p->handles, &p->held);
}

/** It has what `stop` must close. */
static int process_start(void *state, struct emitter *self, void *before)
{
    (void)state;
    (void)self;
    (void)before;
    return 0;
}

const struct sensor_class sensor_process = {
    SENSOR_NAME("process", "30s"),
    .list = SENSOR_LIST,
    .fields = process_fields,
    .state_size = sizeof(struct process),
    .open = process_open,
    .start = process_start,
    .poll = process_poll,
    .stop = process_stop,
};
