#include "nefia/beacon/sensor_runner.h"

#include "nefia/base/err.h"

/* Descriptors that sensors wait for. */

static void release(struct sensor_runner *in, struct sensor_watch *w)
{
    loop_unwatch(in->pipeline->loop, &w->watch);
    w->owner = NULL;
}

static void ready(void *arg, short revents)
{
    struct sensor_watch *w = arg;
    struct emitter *e = w->owner;

    e->class->ready(e->common, e, w->watch.fd, revents);
    if (e->why[0] && e->result == INSTANCE_OK)
        sensor_runner_settle(e);
}

static struct sensor_watch *find(struct sensor_runner *in, const struct emitter *owner, int fd)
{
    for (unsigned i = 0; i != CONFIG_BEACON_SENSOR_WATCHES; i++)
        if (in->watches[i].owner == owner && (!owner || in->watches[i].watch.fd == fd))
            return &in->watches[i];
    return NULL;
}

static unsigned count_of(const struct sensor_runner *in, const struct emitter *owner)
{
    unsigned n = 0;

    for (unsigned i = 0; i != CONFIG_BEACON_SENSOR_WATCHES; i++)
        n += in->watches[i].owner == owner;
    return n;
}

int emitter_watch(struct emitter *e, int fd, short events)
{
    struct sensor_runner *in = e->owner;
    struct sensor_watch *w = find(in, e, fd);

    if (w) {
        loop_watch_events(&w->watch, events);
        return 0;
    }
    if (count_of(in, e) < e->class->watches)
        w = find(in, NULL, -1);
    int err = !w ? NEFIA_EFULL
                 : loop_watch(in->pipeline->loop, &w->watch, fd, events, ready, w);
    if (err == 0)
        w->owner = e;
    return err;
}

void emitter_unwatch(struct emitter *e, int fd)
{
    struct sensor_watch *w = find(e->owner, e, fd);

    if (w)
        release(e->owner, w);
}

void sensor_watch_release(struct sensor_runner *in, const struct emitter *e)
{
    for (unsigned i = 0; i != CONFIG_BEACON_SENSOR_WATCHES; i++)
        if (in->watches[i].owner == e)
            release(in, &in->watches[i]);
}
