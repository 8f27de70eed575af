#include "nefia/beacon/drift.h"

/* module_drift: the kernel's modules that run, packages and files against those that were assigned. */
static int open_modules(void *state, struct config *c, const struct node *n, const char *where)
{
    struct drift_sensor *s = state;

    s->modules = true;
    return drift_open(state, c, n, where);
}

static int poll_modules(void *state, struct emitter *out, uint64_t now_ms)
{
    struct drift_sensor *s = state;
    struct drift d;

    (void)now_ms;
    if (!drift_look(out, s, &d))
        return 0;
    struct json_writer *w = emit_grade(out, "module.drift_detected", "module.drift_resolved", s->manifest, drift_grade(&d));
    if (w)
        drift_end(out, w, s, &d);
    return 0;
}

const struct sensor_class sensor_module_drift = {
    SENSOR_NAME("module_drift", "10m"),
    .fields = drift_fields,
    .state_size = sizeof(struct drift_sensor),
    .open = open_modules,
    .poll = poll_modules,
};
