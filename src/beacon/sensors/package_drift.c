#include <errno.h>
#include <sys/stat.h>

#include "nefia/base/err.h"
#include "nefia/beacon/drift.h"
#include "nefia/sys/clock.h"
#include "nefia/sys/dir.h"
#include "nefia/sys/file.h"

/* package_drift: how old the lists of packages are, and what is installed against a manifest. */
struct packages {
    struct drift_sensor drift;
    const char *lists;
    int64_t max_age_ms;
    enum grade late, differ; /* as the lists and the packages were last found */
};

enum {
    SET_S = 1577836800, /* 2020: a clock that shows an earlier time was not set */
    LATE = 7,           /* times the age: medium */
};

#define MEMBER(name) FIELD_AT(struct packages, name)
static const struct field package_fields[] = {
    {.name = "manifest", .type = FIELD_STRING, MEMBER(drift.manifest), .min = 2, .max = 255},
    {.name = "database", .type = FIELD_STRING, MEMBER(drift.database), .min = 2, .max = 255},
    {.name = "lists", .type = FIELD_STRING, MEMBER(lists), .min = 2, .max = 255},
    {FIELD_DEFAULT("max_age", "1d"), .type = FIELD_DURATION, MEMBER(max_age_ms), .min = 60 * 1000},
    {.name = NULL},
};

static int open_packages(void *state, struct config *c, const struct node *n, const char *where)
{
    struct packages *p = state;

    p->drift.packages = true;
    if (p->lists && p->lists[0] != '/')
        config_error(c, n, where, "path \"", p->lists, "\" is not absolute", NULL);
    return drift_open(state, c, n, where);
}

/** When the newest list was fetched: lists bear the time of their server, which may say what it likes, but then the directory
 * has changed. Return: 0: there is none. Its buffers shall not lie below what drift_look needs. */
__attribute__((noinline)) static int64_t fetched_at(const char *dir, int64_t now)
{
    char path[FILE_PATH_MAX];
    const char *name;
    struct stat s, list;
    struct dir d;
    bool found = false;

    if (stat(dir, &s) < 0 || dir_open(&d, dir) < 0)
        return 0;
    while ((name = dir_next(&d)))
        if (file_join(path, dir, name) == 0 && stat(path, &list) == 0 && S_ISREG(list.st_mode) && list.st_size > 0) {
            found = true;
            if (list.st_mtim.tv_sec > s.st_mtim.tv_sec && list.st_mtim.tv_sec <= now)
                s.st_mtim = list.st_mtim;
        }
    return found ? (int64_t)s.st_mtim.tv_sec : 0;
}

/** The directory of the lists whose manager is there. */
static const char *lists_of(const struct packages *p)
{
    static const char places[] = "/var/opkg-lists\0/var/lib/opkg/lists\0/var/cache/apk\0/var/lib/apt/lists\0";
    struct stat s;
    unsigned i = 0;

    if (p->lists)
        return p->lists;
    while (*word_at(places, i + 1) && stat(word_at(places, i), &s) < 0)
        i++;
    return word_at(places, i);
}

/** Return: seconds; negative: not measured. */
static int64_t age_of_lists(const struct packages *p, struct emitter *out)
{
    const char *dir = lists_of(p);
    const int64_t now = clock_unix(emitter_clock(out)), fetched = fetched_at(dir, now);

    if (fetched && now >= SET_S && fetched >= SET_S)
        return now > fetched ? now - fetched : 0;
    emitter_not_measured(out, dir, fetched ? "the clock was not set" : "no lists were fetched");
    return -1;
}

static void tell(struct packages *p, struct emitter *out, const struct drift *d, int64_t age)
{
    static const char type[] = "system.package_drift_pressure";
    struct json_writer *w = emit_grade(out, type, type, NULL, p->late > p->differ ? p->late : p->differ);

    if (!w)
        return;
    if (age >= 0)
        json_put_i64(w, "lists_age_s", age);
    drift_end(out, w, &p->drift, d);
}

/** One condition for both: what is not measured of one stays as it was, and does not keep the other's news back. */
static int poll_packages(void *state, struct emitter *out, uint64_t now_ms)
{
    struct packages *p = state;
    struct drift d;

    (void)now_ms;
    drift_begin(&d);
    const bool compares = p->drift.manifest || emitter_task(out) != MANIFEST_NONE;
    const bool compared = compares && drift_look(out, &p->drift, &d);
    if (emitter_task(out) != MANIFEST_NONE)
        return 0;
    const int64_t age = age_of_lists(p, out), age_ms = age * 1000;
    if (compared)
        p->differ = drift_grade(&d);
    if (age >= 0)
        p->late = age_ms > p->max_age_ms * LATE ? GRADE_MEDIUM : age_ms > p->max_age_ms ? GRADE_LOW : GRADE_NONE;
    if (compared || (age >= 0 && (!compares || p->late > p->differ)))
        tell(p, out, &d, age);
    return 0;
}

const struct sensor_class sensor_package_drift = {
    SENSOR_NAME("package_drift", "1h"),
    .fields = package_fields,
    .state_size = sizeof(struct packages),
    .open = open_packages,
    .poll = poll_packages,
};
