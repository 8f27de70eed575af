#ifndef NEFIA_BEACON_SENSOR_TABLE_H
#define NEFIA_BEACON_SENSOR_TABLE_H

#include "nefia/beacon/sensor.h"

/** The sensors of this build, sorted by name; SENSOR_COUNT of them.
 * Expanded from the generated sensors.inc, one line SENSOR(name) for each CONFIG_SENSOR_NAME=y. */
#define SENSOR(name) SENSOR_INDEX_##name,
enum {
#include "sensors.inc"
    SENSOR_COUNT
};
#undef SENSOR

/** Terminated by a null pointer. */
extern const struct sensor_class *const sensor_table[SENSOR_COUNT + 1];

#endif
