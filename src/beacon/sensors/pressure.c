#include <string.h>

#include "nefia/beacon/sensor.h"

/* pressure: for how much of the last ten seconds processes have waited for a processor, for memory, for a disk
 * (PSI, Linux 4.20; accounting/psi.rst): some of them, or all that there were. */
struct pressure {
    struct sensor_common common;
    struct thresholds some, full; /* tenths of a percent */
};

static const struct field pressure_fields[] = {
    THRESHOLD_FIELDS(struct pressure, some, "_some_percent", FIELD_TENTHS, 0, 1000, "70", "90", "10"),
    THRESHOLD_FIELDS(struct pressure, full, "_full_percent", FIELD_TENTHS, 0, 1000, "20", "50", "5"),
    {.name = NULL},
};

static void judge(struct emitter *out, const char *type, const char *resource, int64_t percent,
                  const struct thresholds *t)
{
    struct json_writer *w = emit_level(out, type, resource, percent, t, ABOVE);

    if (!w)
        return;
    json_put_string(w, "resource", resource);
    put_tenths(w, "waited_percent", percent);
    emit_end(out);
}

/** "some avg10=1.53 avg60=… \nfull avg10=…" */
static void look(const struct pressure *p, struct emitter *out, const char *path, const char *resource)
{
    static const char key[] = "avg10=";
    const char *text = emitter_kept_file(out, path);
    const char *second = text ? str_find(text, "\nfull ") : NULL;
    int64_t some, full;

    if (!text)
        return;
    /* Before Linux 5.13 there is no second line of the processors. */
    if (!second || find_decimal(second, key, 1, &full) < 0)
        full = -1;
    if (find_decimal(text, key, 1, &some) < 0) {
        emitter_not_measured(out, path, "no averages");
        return;
    }
    judge(out, "pressure.some", resource, some, &p->some);
    if (full >= 0)
        judge(out, "pressure.full", resource, full, &p->full);
}

static int pressure_poll(void *state, struct emitter *out, uint64_t now_ms)
{
    static const char paths[] = "/proc/pressure/cpu\0/proc/pressure/memory\0/proc/pressure/io\0";

    (void)now_ms;
    for (const char *path = paths; *path; path = word_at(path, 1))
        look(state, out, path, path + sizeof "/proc/pressure");
    return 0;
}

const struct sensor_class sensor_pressure = {
    SENSOR_NAME("pressure", "30s"),
    .limits = 2,
    .fields = pressure_fields,
    .state_size = sizeof(struct pressure),
    .poll = pressure_poll,
};
