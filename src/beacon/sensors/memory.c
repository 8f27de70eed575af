#include "nefia/beacon/sensor.h"

/* memory: what is available without swapping, in percent of all, as the kernel estimates it
 * (MemAvailable of /proc/meminfo, Linux 3.14). */
struct memory {
    struct sensor_common common;
    struct thresholds limits; /* tenths of a percent */
};

static const struct field memory_fields[] = {
    THRESHOLD_FIELDS(struct memory, limits, "_percent", FIELD_TENTHS, 0, 1000, "10", "5", "2"),
    {.name = NULL},
};

static int memory_open(void *state, struct config *c, const struct node *n, const char *where)
{
    return thresholds_check(state, memory_fields, BELOW, c, n, where);
}

static int memory_poll(void *state, struct emitter *out, uint64_t now_ms)
{
    const struct memory *m = state;
    static const char path[] = "/proc/meminfo";
    int64_t total, available;

    (void)now_ms;
    const char *text = emitter_file(out, path, NULL);
    if (!text)
        return 0;
    if (find_decimal(text, "MemTotal:", 0, &total) < 0 ||
        find_decimal(text, "MemAvailable:", 0, &available) < 0 || available > total || available < 0)
        return emitter_not_measured(out, path, "no MemAvailable");
    const int64_t percent = percent_tenths((uint64_t)available, (uint64_t)total);
    struct json_writer *w = emit_level(out, "memory.low", NULL, percent, &m->limits, BELOW);
    if (!w)
        return 0;
    put_tenths(w, "available_percent", percent);
    json_put_i64(w, "available_bytes", available * 1024);
    json_put_i64(w, "total_bytes", total * 1024);
    emit_end(out);
    return 0;
}

const struct sensor_class sensor_memory = {
    .name = "memory",
    .source = "memory-beacon",
    .interval = "30s",
    .fields = memory_fields,
    .state_size = sizeof(struct memory),
    .open = memory_open,
    .poll = memory_poll,
};
