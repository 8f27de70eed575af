#include "nefia/beacon/sensor_runner.h"

/* What sensors find, for those that judge it. */

void sensor_sample(struct emitter *e, bool ok, uint32_t value)
{
    const struct instance_set *set = sensor_runner_current(e->owner);
    const struct sample s = {e->class->name, e->common->name, ok, value};

    e->sampled = value + 1;
    for (unsigned i = 0; i < set->count; i++)
        if (set->items[i].samples)
            set->items[i].class->sample(set->items[i].common, &set->items[i], &s);
}

int64_t emitter_sampled(const struct emitter *e, const char *class, const char *name)
{
    const struct instance_set *set = sensor_runner_current(e->owner);

    for (unsigned i = 0; i < set->count; i++) {
        const struct emitter *from = &set->items[i];
        if (str_eq(from->class->name, class) && str_eq(from->common->name, name))
            return (int64_t)from->sampled - 1;
    }
    return -1;
}

void sample_source(struct config *c, const struct node *n, const char *where, const char *class,
                   const char *name)
{
    const struct node *section = node_child(c, node_child(c, c->nodes, "beacons"), class);

    if (section && !name)
        return;
    for (const struct node *item = section ? node_first(c, section) : NULL; item; item = node_next(c, item)) {
        const struct node *called = node_child(c, item, "name");
        if (called && called->value && str_eq(called->value, name))
            return;
    }
    config_error(c, n, where, "needs beacons.", class, name ? " with an item named " : NULL, name, NULL);
}
