#include "nefia/beacon/sensor_table.h"

#define SENSOR(name) extern const struct sensor_class sensor_##name;
#include "sensors.inc"
#undef SENSOR

#define SENSOR(name) &sensor_##name,
const struct sensor_class *const sensor_table[SENSOR_COUNT + 1] = {
#include "sensors.inc"
    NULL,
};
