#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "nefia/base/err.h"
#include "nefia/beacon/sensor.h"
#include "nefia/sys/dir.h"

/* temperature: of the kernel's thermal zones (driver-api/thermal/sysfs-api.rst) and of the chips that watch
 * hardware (hwmon/sysfs-interface.rst). Both give thousandths of a degree Celsius, and mostly also at how
 * much it is too hot: those limits of its own are what a sensor is compared with. */
struct temperature {
    struct sensor_common common;
    struct thresholds limits; /* tenths of a degree, where a sensor has none */
    unsigned without;         /* looks since there was a thermometer */
};

enum {
    MILLI_MOST = 1000000, /* more, or less than -1000 degrees, is no temperature */
    TRIPS = 32,           /* looked at of one zone */
    AGAIN = 16,           /* where there is no thermometer, each so many looks look for one */
    AHEAD = 50,   /* tenths before its critical trip, where the kernel turns the device off */
    BETWEEN = 100 /* tenths from warning to critical where the sensor has them in one place */
};
static const char zones[] = "/sys/class/thermal", chips[] = "/sys/class/hwmon";

static const struct field temperature_fields[] = {
    THRESHOLD_FIELDS(struct temperature, limits, "_celsius", FIELD_TENTHS, 0, 2000, "80", "95", "5"),
    {.name = NULL},
};

/** One look at all of them: at a zone or chip, one file of whose directory has a temperature. */
struct look {
    const struct temperature *t;
    struct emitter *out;
    const char *directory, *name; /* zones or chips, and one of these */
    unsigned found;               /* how many temperatures there are */
};

/** The temperature in a file, in tenths of a degree. Return: 0, or negative. */
static int read_tenths(const struct look *l, const char *file, int64_t *tenths)
{
    int64_t milli;
    int err = emitter_number_in(l->out, l->directory, l->name, file, &milli);

    if (err == 0 && (milli < -MILLI_MOST || milli > MILLI_MOST))
        err = NEFIA_ETOOBIG;
    if (err == 0)
        *tenths = (int)milli / 100;
    return err;
}

/** The limit in a file, if there is one, instead of a configured one. What chips say that have none is 0 or
 * below. */
static void take_limit(const struct look *l, const char *file, int64_t ahead, int64_t *limit)
{
    int64_t own;

    if (read_tenths(l, file, &own) == 0 && own > ahead)
        *limit = own - ahead;
}

static void take_trips(const struct look *l, struct thresholds *limits)
{
    char file[32];
    struct text t;

    for (unsigned i = 0; i < TRIPS; i++) {
        text_init(&t, file, sizeof file);
        text_str(&t, "trip_point_");
        text_u64(&t, i);
        const size_t len = t.len;
        text_str(&t, "_type");
        const char *type = emitter_file_in(l->out, l->directory, l->name, file, NULL);
        if (!type)
            return;
        const bool critical = str_eq(type, "critical"), hot = str_eq(type, "hot");
        text_rewind(&t, len);
        text_str(&t, "_temp");
        if (critical || hot)
            take_limit(l, file, critical ? AHEAD : 0, critical ? &limits->critical : &limits->warning);
    }
}

/** Those of a chip's input "temp1_input". */
static void take_chip_limits(const struct look *l, const char *input, struct thresholds *limits)
{
    const size_t prefix = strlen(input) - (sizeof "input" - 1);
    char file[32];
    struct text t;

    text_init(&t, file, sizeof file);
    text_bytes(&t, input, prefix);
    text_str(&t, "max");
    take_limit(l, file, 0, &limits->warning);
    text_rewind(&t, prefix);
    text_str(&t, "crit");
    take_limit(l, file, 0, &limits->critical);
}

static void look_at_input(struct look *l, const char *input)
{
    const bool zone = l->directory == zones;
    struct thresholds limits = l->t->limits;
    int64_t tenths = 0;
    char sensor[64];
    struct text t;
    size_t len;

    text_init(&t, sensor, sizeof sensor);
    text_str(&t, l->name);
    text_char(&t, '/');
    text_str(&t, input);
    const int err = read_tenths(l, input, &tenths);
    /* What sleeps (a radio that is down) says so with one of two errors, and lacks nothing. */
    if (err < 0 && (err != NEFIA_ENOTFOUND || (errno != ENODATA && errno != EAGAIN)))
        emitter_not_measured(l->out, sensor, err == NEFIA_ENOTFOUND ? ERRNO(errno) : err_text(err));
    l->found++;
    if (err < 0)
        return;
    if (zone)
        take_trips(l, &limits);
    else
        take_chip_limits(l, input, &limits);
    if (limits.warning >= limits.critical)
        limits.warning = limits.critical - BETWEEN;
    struct json_writer *w = emit_level(l->out, "temperature.high", sensor, tenths, &limits, ABOVE);
    if (!w)
        return;
    json_put_string(w, "sensor", sensor);
    const char *name = emitter_file_in(l->out, l->directory, l->name, zone ? "type" : "name", &len);
    if (name)
        json_put_bytes(w, "name", name, len);
    put_tenths(w, "celsius", tenths);
    put_tenths(w, "warning_celsius", limits.warning);
    put_tenths(w, "critical_celsius", limits.critical);
    emit_end(l->out);
}

/** A chip that is no more than the kernel's other view of thermal zones is left out: only those are on no bus. */
static void look_at_chip(struct look *l)
{
    struct dir files;
    char path[64], target[128];
    struct text t;
    const char *name, *end;

    text_init(&t, path, sizeof path);
    text_str(&t, l->directory);
    text_char(&t, '/');
    text_str(&t, l->name);
    const ssize_t n = readlink(path, target, sizeof target - 1);
    target[n > 0 ? n : 0] = '\0';
    if (str_find(target, "/virtual/") || dir_open(&files, path) < 0)
        return;
    while ((name = dir_next(&files))) {
        end = str_find(name, "_input");
        if (strncmp(name, "temp", 4) == 0 && end && !end[6])
            look_at_input(l, name);
    }
}

static void look_in(struct look *l, const char *directory)
{
    struct dir names;

    l->directory = directory;
    if (dir_open(&names, directory) < 0)
        return;
    while ((l->name = dir_next(&names)))
        if (directory == chips)
            look_at_chip(l);
        else if (strncmp(l->name, "thermal_zone", 12) == 0)
            look_at_input(l, "temp");
}

static int temperature_poll(void *state, struct emitter *out, uint64_t now_ms)
{
    struct temperature *t = state;
    struct look l = {.t = t, .out = out};

    (void)now_ms;
    if (t->without++ % AGAIN == 0) {
        look_in(&l, zones);
        look_in(&l, chips);
    }
    if (l.found > 0)
        t->without = 0;
    else
        emitter_not_measured(out, NULL, "no thermometer");
    return 0;
}

const struct sensor_class sensor_temperature = {
    SENSOR_NAME("temperature", "1m"),
    .limits = 1,
    .fields = temperature_fields,
    .state_size = sizeof(struct temperature),
    .poll = temperature_poll,
};
