/* Sensors that judge others by what these have found, in a beacon that is configured anew. */
#ifndef NEFIA_TESTS_SAMPLES_H
#define NEFIA_TESTS_SAMPLES_H

#include "beacon_fixture.h"
#include "check.h"

static struct emitter *named(const char *class, const char *name)
{
    const struct instance_set *set = sensor_runner_current(&fix.sensor_runner);

    for (unsigned i = 0; i < set->count; i++)
        if (str_eq(set->items[i].class->name, class) && str_eq(set->items[i].common->name, name))
            return &set->items[i];
    return NULL;
}

static void reload(const char *configuration)
{
    CHECK_INT(fix_load(configuration), 0);
    CHECK_STR(fix.reports, "");
    sensor_runner_switch(&fix.sensor_runner);
}

static void begin(const char *configuration)
{
    fix_init();
    fix_print_lines();
    reload(configuration);
}

static void end(void)
{
    sensor_runner_stop(&fix.sensor_runner);
}

#endif
