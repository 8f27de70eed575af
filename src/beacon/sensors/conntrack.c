#include "nefia/beacon/sensor.h"

/* conntrack: how full the table of tracked connections is (net/netfilter/nf_conntrack-sysctl.rst). New
 * connections are dropped when it is full. A limit of 0 is none. */
struct conntrack {
    struct sensor_common common;
    struct thresholds limits; /* tenths of a percent */
};

static const struct field conntrack_fields[] = {
    THRESHOLD_FIELDS(struct conntrack, limits, "_percent", FIELD_TENTHS, 0, 1000, "80", "95", "5"),
    {.name = NULL},
};

static int conntrack_poll(void *state, struct emitter *out, uint64_t now_ms)
{
    const struct conntrack *s = state;
    int64_t count, max;

    (void)now_ms;
    if (emitter_kept_number(out, "/proc/sys/net/netfilter/nf_conntrack_count", &count) < 0 ||
        emitter_kept_number(out, "/proc/sys/net/netfilter/nf_conntrack_max", &max) < 0)
        return 0;
    /* the limit may have been lowered */
    const int64_t used = max <= 0 || count < 0 ? 0 : count > max ? 1000 : percent_tenths((uint64_t)count, (uint64_t)max);
    struct json_writer *w = emit_level(out, "conntrack.usage", NULL, used, &s->limits, ABOVE);
    if (!w)
        return 0;
    put_tenths(w, "used_percent", used);
    json_put_i64(w, "connections", count);
    json_put_i64(w, "max_connections", max);
    emit_end(out);
    return 0;
}

const struct sensor_class sensor_conntrack = {
    SENSOR_NAME("conntrack", "1m"),
    .limits = 1,
    .fields = conntrack_fields,
    .state_size = sizeof(struct conntrack),
    .poll = conntrack_poll,
};
