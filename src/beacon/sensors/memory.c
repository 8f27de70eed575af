#include <sys/sysinfo.h>

#include "nefia/beacon/sensor.h"

/* memory: what is available without swapping, in percent of all. */
struct memory {
    struct sensor_common common;
    struct thresholds limits; /* tenths of a percent */
    bool enough;              /* at the last look at all of it, and nothing was to be reported */
};

enum { RESERVES = 150 }; /* tenths of a percent, more than the kernel sets aside */

static const struct field memory_fields[] = {
    THRESHOLD_FIELDS(struct memory, limits, "_percent", FIELD_TENTHS, 0, 1000, "10", "5", "2"),
    {.name = NULL},
};

/** What is available is what is free, but for the reserves, and more. The kernel says how much is free at a small part of the cost. */
static bool is_plenty(const struct thresholds *t)
{
    struct sysinfo info;

    return sysinfo(&info) == 0 && info.freeram <= info.totalram &&
           percent_tenths(info.freeram, info.totalram) >= t->warning + t->hysteresis + RESERVES;
}

static int memory_poll(void *state, struct emitter *out, uint64_t now_ms)
{
    struct memory *m = state;
    struct memory_kib kib;

    (void)now_ms;
    if (m->enough && is_plenty(&m->limits))
        return 0;
    m->enough = false;
    if (emitter_memory(out, &kib) < 0)
        return 0;
    const int64_t percent = percent_tenths(kib.available, kib.total);
    struct json_writer *w = emit_level(out, "memory.low", NULL, percent, &m->limits, BELOW);
    m->enough = !w && percent >= m->limits.warning + m->limits.hysteresis;
    if (!w)
        return 0;
    put_tenths(w, "available_percent", percent);
    json_put_u64(w, "available_bytes", kib.available * 1024);
    json_put_u64(w, "total_bytes", kib.total * 1024);
    emit_end(out);
    return 0;
}

const struct sensor_class sensor_memory = {
    SENSOR_NAME("memory", "30s"),
    .limits = 1,
    .low_is_bad = true,
    .fields = memory_fields,
    .state_size = sizeof(struct memory),
    .poll = memory_poll,
};
