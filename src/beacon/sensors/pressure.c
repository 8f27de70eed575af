#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "nefia/beacon/sensor.h"

/* pressure: for how much of the last ten seconds processes have waited for a processor, for memory, for a disk
 * (PSI, Linux 4.20; accounting/psi.rst): some of them, or all that there were.
 * While nobody waits for long the files need not be read: since Linux 6.5 the kernel says when that changes, by the way
 * and without rights. Of root it would start a thread for it. */
static const char resources[] = "/proc/pressure/cpu\0/proc/pressure/memory\0/proc/pressure/io\0";
/* 0.4 s within ten: what never reaches that has an average below CALM. At half a second up to 8.7 percent would escape, for as long as
 * it lasts: window_update() of kernel/sched/psi.c keeps what is left of a window in 32 bits of nanoseconds, so that of the window before
 * too little is counted. What may escape is a peak of one sample of the kernel's, two seconds. */
static const char trigger[] = "some 400000 10000000";

enum {
    RESOURCES = 3,
    CALM = 80,         /* tenths of a percent */
    AGAIN_MS = 12000, /* so long after it was told the kernel may keep the next time to itself: the ten seconds, and a sample */
};

struct pressure {
    struct sensor_common common;
    struct thresholds some, full;     /* tenths of a percent */
    struct pollfd told[RESOURCES];    /* POLLPRI: it was more than the trigger */
    unsigned held;                    /* so many of these are open: all or none */
    uint64_t told_ms;                 /* when they last told something */
    bool calm;                        /* at the last look, and since it will be told: nothing needs to be read */
};

static const struct field pressure_fields[] = {
    THRESHOLD_FIELDS(struct pressure, some, "_some_percent", FIELD_TENTHS, 0, 1000, "70", "90", "10"),
    THRESHOLD_FIELDS(struct pressure, full, "_full_percent", FIELD_TENTHS, 0, 1000, "20", "50", "5"),
    {.name = NULL},
};

/** Nothing is open that ends below this. */
static int64_t ends_below(const struct thresholds *t)
{
    return t->warning - t->hysteresis;
}

static void judge(struct pressure *p, struct emitter *out, const char *type, const char *resource, int64_t percent,
                  const struct thresholds *t)
{
    struct json_writer *w = emit_level(out, type, resource, percent, t, ABOVE);

    p->calm &= !w && percent < ends_below(t);
    if (!w)
        return;
    json_put_string(w, "resource", resource);
    put_tenths(w, "waited_percent", percent);
    emit_end(out);
}

/** "some avg10=1.53 avg60=… \nfull avg10=…" */
static void look(struct pressure *p, struct emitter *out, const char *path, const char *resource)
{
    static const char key[] = "avg10=";
    const char *text = emitter_kept_file(out, path);
    const char *second = text ? str_find(text, "\nfull ") : NULL;
    int64_t some, full;

    p->calm &= text != NULL;
    if (!text)
        return;
    /* Before Linux 5.13 there is no second line of the processors. */
    if (!second || find_decimal(second, key, 1, &full) < 0)
        full = -1;
    if (find_decimal(text, key, 1, &some) < 0) {
        emitter_not_measured(out, path, "no averages");
        p->calm = false;
        return;
    }
    judge(p, out, "pressure.some", resource, some, &p->some);
    if (full >= 0)
        judge(p, out, "pressure.full", resource, full, &p->full);
}

static int pressure_poll(void *state, struct emitter *out, uint64_t now_ms)
{
    struct pressure *p = state;

    if (p->held && poll(p->told, RESOURCES, 0) != 0)
        p->told_ms = now_ms;
    else if (p->calm)
        return 0;
    p->calm = p->held && now_ms - p->told_ms >= AGAIN_MS;
    for (const char *path = resources; *path; path = word_at(path, 1))
        look(p, out, path, path + sizeof "/proc/pressure");
    return 0;
}

static void pressure_stop(void *state)
{
    struct pressure *p = state;

    while (p->held > 0)
        close(p->told[--p->held].fd);
}

/** All of them, or none where the kernel does not tell. */
static void subscribe(struct pressure *p)
{
    while (p->held < RESOURCES) {
        const int fd = open(word_at(resources, p->held), O_RDWR | O_NONBLOCK | O_CLOEXEC);
        if (fd >= 0)
            p->told[p->held++] = (struct pollfd){.fd = fd, .events = POLLPRI};
        if (fd < 0 || write(fd, trigger, sizeof trigger) < 0) {
            pressure_stop(p);
            return;
        }
    }
}

/** Without the kernel's help the files are read each time. What an earlier configuration has is taken over: to close it takes the kernel
 * a while. */
static int pressure_start(void *state, struct emitter *self, void *before)
{
    struct pressure *p = state, *old = before;

    p->told_ms = emitter_now(self);
    if (emitter_once(self) || geteuid() == 0 || ends_below(&p->some) < CALM || ends_below(&p->full) < CALM)
        return 0;
    if (old && old->held) {
        memcpy(p->told, old->told, sizeof p->told);
        p->held = old->held;
        old->held = 0;
    } else {
        subscribe(p);
    }
    return 0;
}

const struct sensor_class sensor_pressure = {
    SENSOR_NAME("pressure", "30s"),
    .limits = 2,
    .fields = pressure_fields,
    .state_size = sizeof(struct pressure),
    .start = pressure_start,
    .poll = pressure_poll,
    .stop = pressure_stop,
};
