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
};

enum {
    MILLI_MOST = 1000000, /* more, or less than -1000 degrees, is no temperature */
    TRIPS = 32,           /* looked at of one zone */
    AHEAD = 50,   /* tenths before its critical trip, where the kernel turns the device off */
    BETWEEN = 100 /* tenths from warning to critical where the sensor has them in one place */
};
static const char zones[] = "/sys/class/thermal/", chips[] = "/sys/class/hwmon/";

static const struct field temperature_fields[] = {
    THRESHOLD_FIELDS(struct temperature, limits, "_celsius", FIELD_TENTHS, 0, 2000, "80", "95", "5"),
    {.name = NULL},
};

static int temperature_open(void *state, struct config *c, const struct node *n, const char *where)
{
    return thresholds_check(state, temperature_fields, ABOVE, c, n, where);
}

/** One look at all of them. */
struct look {
    const struct temperature *t;
    struct emitter *out;
    unsigned found; /* that could be measured, or sleep */
    struct text path;
    char buf[80];
};

static const char *join(struct look *l, const char *directory, const char *name, const char *rest)
{
    text_init(&l->path, l->buf, sizeof l->buf);
    text_str(&l->path, directory);
    text_str(&l->path, name);
    text_str(&l->path, rest);
    return l->buf;
}

/** The temperature in the file at l->path, in tenths of a degree. Return: 0, or negative. */
static int read_tenths(struct look *l, int64_t *tenths)
{
    int64_t milli;
    int err = emitter_number_if(l->out, l->buf, &milli);

    if (err == 0 && (milli < -MILLI_MOST || milli > MILLI_MOST))
        err = NEFIA_ETOOBIG;
    if (err == 0)
        *tenths = (int)milli / 100;
    return err;
}

/** The same of what is to be compared. What sleeps (a radio that is down) says so with one of two errors; it
 * has no temperature, and that is fine. Return: whether it has one. */
static bool measure(struct look *l, int64_t *tenths)
{
    const int err = read_tenths(l, tenths);
    const bool asleep = err == NEFIA_ENOTFOUND && (errno == ENODATA || errno == EAGAIN);

    if (err == 0 || asleep)
        l->found++;
    else
        emitter_not_measured(l->out, l->buf, err == NEFIA_ENOTFOUND ? ERRNO(errno) : err_text(err));
    return err == 0;
}

/** The limit in the file at l->path, if it has one, instead of a configured one. What chips say that have
 * none is 0 or below. */
static void take_limit(struct look *l, int64_t ahead, int64_t *limit)
{
    int64_t own;

    if (read_tenths(l, &own) == 0 && own > ahead)
        *limit = own - ahead;
}

static void put_text(struct json_writer *w, const char *key, struct look *l)
{
    size_t len;
    const char *text = emitter_file_if(l->out, l->buf, &len);

    if (text)
        json_put_bytes(w, key, text, len);
}

/** Return: the writer, if there is something to report; the caller adds what it is called. */
static struct json_writer *judge(struct look *l, const char *sensor, int64_t tenths, struct thresholds *t)
{
    if (t->warning >= t->critical)
        t->warning = t->critical - BETWEEN;
    struct json_writer *w = emit_level(l->out, "temperature.high", sensor, tenths, t, ABOVE);
    if (!w)
        return NULL;
    json_put_string(w, "sensor", sensor);
    put_tenths(w, "celsius", tenths);
    put_tenths(w, "warning_celsius", t->warning);
    put_tenths(w, "critical_celsius", t->critical);
    return w;
}

static const char *trip_file(struct look *l, const char *zone, unsigned trip, const char *rest)
{
    join(l, zones, zone, "/trip_point_");
    text_u64(&l->path, trip);
    text_str(&l->path, rest);
    return l->buf;
}

static void look_at_zone(struct look *l, const char *zone)
{
    struct thresholds limits = l->t->limits;
    int64_t tenths;
    const char *type;

    join(l, zones, zone, "/temp");
    if (!measure(l, &tenths))
        return;
    for (unsigned i = 0;
         i < TRIPS && (type = emitter_file_if(l->out, trip_file(l, zone, i, "_type"), NULL)); i++) {
        const bool critical = str_eq(type, "critical");
        if (!critical && !str_eq(type, "hot"))
            continue;
        trip_file(l, zone, i, "_temp");
        take_limit(l, critical ? AHEAD : 0, critical ? &limits.critical : &limits.warning);
    }
    struct json_writer *w = judge(l, zone, tenths, &limits);
    if (!w)
        return;
    join(l, zones, zone, "/type");
    put_text(w, "name", l);
    emit_end(l->out);
}

/** sensor: "hwmon0/temp1". */
static void look_at_input(struct look *l, const char *chip, const char *sensor)
{
    struct thresholds limits = l->t->limits;
    int64_t tenths;

    join(l, chips, sensor, "_input");
    if (!measure(l, &tenths))
        return;
    join(l, chips, sensor, "_max");
    take_limit(l, 0, &limits.warning);
    join(l, chips, sensor, "_crit");
    take_limit(l, 0, &limits.critical);
    struct json_writer *w = judge(l, sensor, tenths, &limits);
    if (!w)
        return;
    join(l, chips, chip, "/name");
    put_text(w, "name", l);
    join(l, chips, sensor, "_label");
    put_text(w, "label", l);
    emit_end(l->out);
}

/** Is it no more than the kernel's other view of thermal zones? Only those are on no bus. */
static bool is_of_zones(struct look *l, const char *chip)
{
    char target[128];
    const ssize_t n = readlink(join(l, chips, chip, ""), target, sizeof target - 1);

    target[n > 0 ? n : 0] = '\0';
    return strstr(target, "/virtual/") != NULL;
}

static void look_at_chip(struct look *l, const char *chip)
{
    struct dir files;
    const char *name, *end;
    char sensor[48];
    struct text t;

    if (is_of_zones(l, chip) || dir_open(&files, join(l, chips, chip, "")) < 0)
        return;
    while ((name = dir_next(&files))) {
        end = strstr(name, "_input");
        if (strncmp(name, "temp", 4) != 0 || !end || end[6])
            continue;
        text_init(&t, sensor, sizeof sensor);
        text_str(&t, chip);
        text_char(&t, '/');
        text_bytes(&t, name, (size_t)(end - name));
        look_at_input(l, chip, sensor);
    }
}

static void look_at_all(struct look *l, const char *directory)
{
    struct dir names;
    const char *name;

    if (dir_open(&names, directory) < 0)
        return;
    while ((name = dir_next(&names)))
        if (directory == chips)
            look_at_chip(l, name);
        else if (strncmp(name, "thermal_zone", 12) == 0)
            look_at_zone(l, name);
}

static int temperature_poll(void *state, struct emitter *out, uint64_t now_ms)
{
    struct look l = {.t = state, .out = out};

    (void)now_ms;
    look_at_all(&l, zones);
    look_at_all(&l, chips);
    if (l.found == 0)
        emitter_not_measured(out, NULL, "no thermal zone and no hwmon chip with a temperature");
    return 0;
}

const struct sensor_class sensor_temperature = {
    SENSOR_NAME("temperature", "temperature-beacon", "1m"),
    .fields = temperature_fields,
    .state_size = sizeof(struct temperature),
    .open = temperature_open,
    .poll = temperature_poll,
};
