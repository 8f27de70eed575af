#include <linux/capability.h>

#include "nefia/beacon/drift.h"

/* config_drift: files and directories against a manifest of their digests. One event is about the whole manifest: one for
 * each file would need a condition for each, and after an upgrade more events than the rate lets pass. */
static int poll_config(void *state, struct emitter *out, uint64_t now_ms)
{
    struct drift_sensor *s = state;
    struct drift d;

    (void)now_ms;
    if (!drift_look(out, s, &d))
        return 0;
    struct json_writer *w = emit_condition_pair(out, "config.drift_detected", "config.drift_resolved", s->manifest,
                                                drift_total(&d) ? LEVEL_WARNING : LEVEL_OK);
    if (w)
        drift_end(out, w, s, &d);
    return 0;
}

const struct sensor_class sensor_config_drift = {
    SENSOR_NAME("config_drift", "5m"),
    .fields = &drift_fields[DRIFT_FILES],
    .state_size = sizeof(struct drift_sensor),
    .capability = CAP_DAC_READ_SEARCH,
    .open = drift_open,
    .poll = poll_config,
};
