#include <errno.h>
#include <time.h>

#include "nefia/base/err.h"
#include "nefia/beacon/sensor.h"
#include "nefia/sys/clock.h"

/* clock: does the wall clock follow a reference, and was it set? What a time server's daemon slews is no
 * step: that moves the monotonic clock as well, and only their distance counts. */
struct clock_sensor {
    struct sensor_common common;
    int64_t ahead_ms; /* of the wall clock before the monotonic one, at the last look */
    bool known;       /* there was one */
    bool synced;      /* then */
};

enum {
    STEP_MS = 1000,
    APART_MS = 100,           /* both clocks are read within this time, or not compared */
    SETTLE_MS = 5 * 60 * 1000 /* so long after boot a clock may take to be synchronised */
};

static int clock_start(void *state, struct emitter *self, void *before)
{
    struct clock_sensor *s = state;
    const struct clock_sensor *old = before;

    (void)self;
    if (old) {
        s->ahead_ms = old->ahead_ms;
        s->known = old->known;
        s->synced = old->synced;
    }
    return 0;
}

/** Return: false if it took too long to tell. */
static bool compare_clocks(int64_t *ahead_ms)
{
    struct timespec wall = {0};
    const uint64_t before = clock_ms(&clock_system);

    clock_gettime(CLOCK_REALTIME, &wall);
    *ahead_ms = wall.tv_sec * INT64_C(1000) + wall.tv_nsec / 1000000 - (int64_t)before;
    return clock_ms(&clock_system) - before <= APART_MS;
}

static void look_for_step(struct clock_sensor *s, struct emitter *out)
{
    int64_t ahead_ms;

    if (!compare_clocks(&ahead_ms))
        return;
    const int64_t step_ms = ahead_ms - s->ahead_ms;
    if (s->known && (step_ms > STEP_MS || step_ms < -STEP_MS)) {
        /* A clock that nothing had set yet is set by a step. */
        struct json_writer *w =
            emit_change(out, "clock.stepped", NULL, s->synced ? SEVERITY_WARNING : SEVERITY_INFO);
        json_put_i64(w, "step_ms", step_ms);
        json_put_bool(w, "was_synced", s->synced);
        if (emit_end(out) != 1)
            return;
    }
    s->ahead_ms = ahead_ms;
    s->known = true;
}

static int clock_poll(void *state, struct emitter *out, uint64_t now_ms)
{
    struct clock_sensor *s = state;
    int64_t max_error_us;

    look_for_step(s, out);
    const int synced = clock_disciplined(&max_error_us);
    if (synced < 0)
        return emitter_not_measured(out, "adjtimex", ERRNO(errno));
    s->synced = synced;
    if (!synced && now_ms < SETTLE_MS && !emitter_once(out))
        return 0;
    struct json_writer *w =
        emit_condition(out, "clock.unsynced", NULL, synced ? LEVEL_OK : LEVEL_WARNING);
    if (!w)
        return 0;
    json_put_u64(w, "max_error_ms", (uint64_t)max_error_us / 1000);
    emit_end(out);
    return 0;
}

const struct sensor_class sensor_clock = {
    SENSOR_NAME("clock", "1m"),
    .state_size = sizeof(struct clock_sensor),
    .start = clock_start,
    .poll = clock_poll,
};
