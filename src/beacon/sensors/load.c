#include <sys/sysinfo.h>

#include "nefia/base/err.h"
#include "nefia/beacon/sensor.h"

/* load: how many processes run, wait for a processor or for a disk, averaged by the kernel over five minutes,
 * for each processor that is online. */
struct load {
    struct sensor_common common;
    struct thresholds limits; /* tenths of a process */
    unsigned cpus;            /* that were online */
    unsigned looks;           /* since they were counted */
};

enum {
    CPUS_MOST = 8192, /* of any kernel's NR_CPUS */
    COUNTED_AT = 16,  /* they are counted at each so many looks, a power of two */
};

static const struct field load_fields[] = {
    THRESHOLD_FIELDS(struct load, limits, "_per_core", FIELD_TENTHS, 0, 10000, "2", "4", "0.5"),
    {.name = NULL},
};

/** Return: CPUS_MOST or more where there is none. */
static unsigned number(const char **at)
{
    unsigned v = **at >= '0' && **at <= '9' ? 0 : CPUS_MOST;

    for (; **at >= '0' && **at <= '9' && v < CPUS_MOST; ++*at)
        v = v * 10 + (unsigned)(**at - '0');
    return v;
}

/** How many there are in a list of the kernel's, "0-3,6". Return: 0 where it is none. */
static unsigned count_cpus(const char *at)
{
    unsigned count = 0;

    for (;; at++) {
        unsigned first = number(&at), last = first;
        if (*at == '-') {
            at++;
            last = number(&at);
        }
        count += last - first + 1;
        if (last < first || last >= CPUS_MOST || count > CPUS_MOST)
            return 0;
        if (*at != ',')
            return *at ? 0 : count;
    }
}

/** In tenths, for each. */
static int64_t tenths_of(unsigned long average, unsigned cpus)
{
    return percent_tenths(average, (uint64_t)cpus * 100 << SI_LOAD_SHIFT);
}

static int load_poll(void *state, struct emitter *out, uint64_t now_ms)
{
    struct load *l = state;
    static const char path[] = "/sys/devices/system/cpu/online";
    struct sysinfo info;

    (void)now_ms;
    if (l->looks++ % COUNTED_AT == 0 || l->cpus == 0) {
        const char *text = emitter_file(out, path, NULL);
        if (!text)
            return 0;
        l->cpus = count_cpus(text);
    }
    const unsigned cpus = l->cpus;
    if (cpus == 0 || sysinfo(&info) < 0)
        return emitter_not_measured(out, path, "no list");
    const int64_t each = tenths_of(info.loads[1], cpus);
    struct json_writer *w = emit_level(out, "load.high", NULL, each, &l->limits, ABOVE);
    if (!w)
        return 0;
    put_tenths(w, "per_core", each);
    json_put_u64(w, "cores", cpus);
    put_tenths(w, "load_1m", tenths_of(info.loads[0], 1));
    put_tenths(w, "load_5m", tenths_of(info.loads[1], 1));
    put_tenths(w, "load_15m", tenths_of(info.loads[2], 1));
    emit_end(out);
    return 0;
}

const struct sensor_class sensor_load = {
    SENSOR_NAME("load", "30s"),
    .limits = 1,
    .fields = load_fields,
    .state_size = sizeof(struct load),
    .poll = load_poll,
};
