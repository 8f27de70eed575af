#include "nefia/beacon/sensor_runner.h"

#include <string.h>

#include "nefia/base/bytes.h"
#include "nefia/base/err.h"

/* Commands that sensors follow: the link between a sensor and a struct follow. Over a reload a command
 * that stays the same runs on, and no line of it is lost. */

static uint32_t key_of(const char *const *argv)
{
    uint32_t h = HASH_START;

    for (; *argv; argv++)
        h = hash_bytes(h, *argv, strlen(*argv) + 1);
    return h;
}

static void take_line(void *arg, const char *line, size_t len)
{
    struct sensor_follow *f = arg;

    f->line(f->owner->common, f->owner, line, len);
}

/** It is the result of a look. */
static void changed(void *arg)
{
    struct sensor_follow *f = arg;
    struct emitter *e = f->owner;

    if (e->started)
        emitter_soon(e, 0);
}

static struct sensor_follow *find(const struct sensor_runner *in, const struct emitter *owner)
{
    for (unsigned i = 0; i != CONFIG_BEACON_FOLLOWED; i++)
        if (in->followed[i].owner == owner)
            return &in->followed[i];
    return NULL;
}

int emitter_follow(struct emitter *e, const char *const *argv,
                   void (*line)(void *state, struct emitter *e, const char *line, size_t len))
{
    struct sensor_runner *in = e->owner;
    struct sensor_follow *f = find(in, e->before ? e->before : e);
    uint32_t key = key_of(argv);
    bool runs = f && f->key == key && e->before;

    if (!e->class->follows || (argv[0][0] != '/' && argv[0][0] != '\0'))
        return NEFIA_EINVAL;
    if (f && !runs)
        follow_stop(&f->follow);
    if (!f)
        f = find(in, NULL);
    if (!f)
        return NEFIA_EFULL;
    f->owner = e;
    f->key = key;
    f->line = line;
    f->follow.argv = argv;
    if (runs)
        return 0;
    f->follow = (struct follow){.children = in->children,
                                .argv = argv,
                                .line = take_line,
                                .changed = changed,
                                .arg = f,
                                .slot = -1,
                                .random_below = in->random_below};
    if (argv[0][0])
        follow_start(&f->follow);
    return 0;
}

struct follow *sensor_follow_lines(const struct emitter *e)
{
    return &find(e->owner, e)->follow;
}

const char *sensor_follow_why(const struct emitter *e)
{
    const struct sensor_follow *f = find(e->owner, e);

    return f && f->follow.why[0] ? f->follow.why : NULL;
}

void sensor_follow_release(struct sensor_runner *in, const struct emitter *e)
{
    struct sensor_follow *f = find(in, e);

    if (!f)
        return;
    follow_stop(&f->follow);
    f->owner = NULL;
}
