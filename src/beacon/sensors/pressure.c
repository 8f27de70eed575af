#include <string.h>

#include "nefia/base/err.h"
#include "nefia/beacon/sensor.h"

/* pressure: for how much of the time processes have waited for a processor, for memory, for a disk (PSI, Linux
 * 4.20; accounting/psi.rst): `some` of them, or all that there were (`full`). */
struct pressure {
    struct sensor_common common;
    struct thresholds some, full; /* tenths of a percent */
};

enum { FULL = 3 }; /* index of its thresholds */
static const struct field pressure_fields[] = {
    THRESHOLD_FIELDS(struct pressure, some, "_some_percent", FIELD_TENTHS, 0, 1000, "70", "90", "10"),
    THRESHOLD_FIELDS(struct pressure, full, "_full_percent", FIELD_TENTHS, 0, 1000, "20", "50", "5"),
    {.name = NULL},
};

static int pressure_open(void *state, struct config *c, const struct node *n, const char *where)
{
    const int err = thresholds_check(state, pressure_fields, ABOVE, c, n, where);

    return thresholds_check(state, &pressure_fields[FULL], ABOVE, c, n, where) < 0 ? NEFIA_EINVAL : err;
}

/** The averages of one line, in tenths. */
struct averages {
    int64_t s10, s60, s300;
};

/** Return: whether they are there. */
static bool read_averages(const char *text, const char *line, struct averages *a)
{
    const char *at = strstr(text, line);

    return at && find_decimal(at, "avg10=", 1, &a->s10) == 0 &&
           find_decimal(at, "avg60=", 1, &a->s60) == 0 && find_decimal(at, "avg300=", 1, &a->s300) == 0;
}

/** subject: "cpu some"; the words are those of the kernel. */
static void judge(struct emitter *out, const char *resource, const char *kind,
                  const struct averages *a, const struct thresholds *t)
{
    char subject[16];
    struct text s;

    text_init(&s, subject, sizeof subject);
    text_str(&s, resource);
    text_char(&s, ' ');
    text_str(&s, kind);
    struct json_writer *w = emit_level(out, "pressure.high", subject, a->s10, t, ABOVE);
    if (!w)
        return;
    json_put_string(w, "resource", resource);
    json_put_string(w, "kind", kind);
    put_tenths(w, "avg10_percent", a->s10);
    put_tenths(w, "avg60_percent", a->s60);
    put_tenths(w, "avg300_percent", a->s300);
    emit_end(out);
}

static void look(const struct pressure *p, struct emitter *out, const char *resource)
{
    static const char some_line[] = "some", full_line[] = "full";
    char path[24];
    struct averages some, full;
    struct text t;

    text_init(&t, path, sizeof path);
    text_str(&t, "/proc/pressure/");
    text_str(&t, resource);
    const char *text = emitter_file(out, path, NULL);
    if (!text)
        return;
    /* Before Linux 5.13 there is no `full` of the processors. */
    const bool has_full = read_averages(text, full_line, &full);
    if (!read_averages(text, some_line, &some)) {
        emitter_not_measured(out, path, "no averages");
        return;
    }
    judge(out, resource, some_line, &some, &p->some);
    if (has_full)
        judge(out, resource, full_line, &full, &p->full);
}

static int pressure_poll(void *state, struct emitter *out, uint64_t now_ms)
{
    (void)now_ms;
    look(state, out, "cpu");
    look(state, out, "memory");
    look(state, out, "io");
    return 0;
}

const struct sensor_class sensor_pressure = {
    SENSOR_NAME("pressure", "pressure-beacon", "30s"),
    .fields = pressure_fields,
    .state_size = sizeof(struct pressure),
    .open = pressure_open,
    .poll = pressure_poll,
};
