#include "nefia/beacon/sensor.h"

/* conntrack: how full the table of tracked connections is (net/netfilter/nf_conntrack-sysctl.rst). New
 * connections are dropped when it is full. A limit of 0 is none. Both numbers have 32 bits. */
struct conntrack {
    struct sensor_common common;
    struct thresholds limits; /* tenths of a percent */
    uint32_t few;             /* below it the table is far from full, if the limit is what it was; 0: not known */
    uint8_t looks;            /* at which there were few */
};

enum { READ_AT = 8 }; /* only an administrator changes the limit */

static const struct field conntrack_fields[] = {
    THRESHOLD_FIELDS(struct conntrack, limits, "_percent", FIELD_TENTHS, 0, 1000, "80", "95", "5"),
    {.name = NULL},
};

static int conntrack_poll(void *state, struct emitter *out, uint64_t now_ms)
{
    struct conntrack *s = state;
    int64_t v;

    (void)now_ms;
    if (emitter_kept_number(out, "/proc/sys/net/netfilter/nf_conntrack_count", &v) < 0)
        return 0;
    const uint32_t count = (uint32_t)v;
    if (count < s->few && s->looks++ % READ_AT)
        return 0;
    s->few = 0;
    if (emitter_kept_number(out, "/proc/sys/net/netfilter/nf_conntrack_max", &v) < 0)
        return 0;
    const uint32_t max = (uint32_t)v;
    /* the limit may have been lowered */
    const int64_t used = max == 0 ? 0 : count > max ? 1000 : percent_tenths(count, max);
    struct json_writer *w = emit_level(out, "conntrack.usage", NULL, used, &s->limits, ABOVE);
    if (!w) {
        if (2 * (unsigned)used < (unsigned)(s->limits.warning - s->limits.hysteresis))
            s->few = 2 * count + 1;
        return 0;
    }
    put_tenths(w, "used_percent", used);
    json_put_u64(w, "connections", count);
    json_put_u64(w, "max_connections", max);
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
