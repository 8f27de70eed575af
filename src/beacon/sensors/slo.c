#include <string.h>

#include "nefia/base/err.h"
#include "nefia/beacon/sensor.h"

/* slo_violation: are the results of another sensor, over a rolling window, as good as their objective asks? All three kinds
 * are a share of bad results that is allowed: of lost probes and failed commands, or of those that took longer than the
 * target, 5 % for a 95th percentile. So the decision is exact, and only the latency that is reported is estimated: from
 * a histogram whose bins are relative to the target. The window is in RAM. */
enum kind { AVAILABILITY, ERROR_RATE, LATENCY };
enum { REACH, SCRIPT, SOURCES };
enum { BUCKETS = 12, BINS = 12, GOOD = 2 /* bins */, LONGEST_MS = 3600 * 1000 };

/** Where bins end, in sixteenths of the target: each a quarter above the one before, the last without an end. */
static const uint8_t bin_end[BINS] = {13, 16, 20, 25, 31, 39, 49, 61, 76, 95, 119, 149};

struct slo {
    struct sensor_common common;
    const char *source[SOURCES]; /* one of them */
    struct aim {
        int32_t kind;
        uint32_t target, window_ms; /* target: tenths of a percent, or ms */
        int32_t percentile;         /* tenths of a percent */
    } aim;
    int32_t least; /* results that are judged */
    uint32_t newest;  /* bucket */
    uint64_t began_ms; /* that one */
    uint16_t count[BUCKETS][BINS]; /* without latency: good is the first bin, bad the last */
};

#define MEMBER(name) FIELD_AT(struct slo, name)
static const char *const kinds[] = {"availability", "error_rate", "latency", NULL};
static const struct field slo_fields[] = {
    {.name = "reach",
     .type = FIELD_STRING,
     MEMBER(source[REACH]),
     FIELD_NOTE("name of a target there")},
    {.name = "script",
     .type = FIELD_STRING,
     MEMBER(source[SCRIPT]),
     FIELD_NOTE("instead: name of one of scripts")},
    {FIELD_DEFAULT("objective", "availability"),
     .type = FIELD_WORD,
     MEMBER(aim.kind),
     .words = kinds},
    {.name = "target", .type = FIELD_OWNED},
    {FIELD_DEFAULT("percentile", "95"),
     .type = FIELD_TENTHS,
     MEMBER(aim.percentile),
     .min = 500,
     .max = 999,
     FIELD_NOTE("of latency")},
    {FIELD_DEFAULT("window", "1h"),
     .type = FIELD_DURATION,
     MEMBER(aim.window_ms),
     .min = 60 * 1000,
     .max = 14 * 24 * LONGEST_MS},
    {FIELD_DEFAULT("min_results", "10"),
     .type = FIELD_INT,
     MEMBER(least),
     .min = 1,
     .max = 100000,
     FIELD_NOTE("with fewer it is not judged")},
    {.name = NULL},
};
static const struct field percent_target = {
    FIELD_REQUIRED("target", "a percentage"), .type = FIELD_TENTHS, MEMBER(aim.target), .min = 1, .max = 999};
static const struct field latency_target = {
    FIELD_REQUIRED("target", "a duration"), .type = FIELD_DURATION, MEMBER(aim.target), .min = 1, .max = LONGEST_MS};

static const char *source_key(const struct slo *s)
{
    return s->source[REACH] ? "reach" : "scripts";
}

static const char *source_name(const struct slo *s)
{
    return s->source[s->source[REACH] ? REACH : SCRIPT];
}

static int slo_open(void *state, struct config *c, const struct node *n, const char *where)
{
    struct slo *s = state;

    config_bind_key(c, n, where, s->aim.kind == LATENCY ? &latency_target : &percent_target, s);
    if (!s->source[REACH] == !s->source[SCRIPT])
        config_error(c, n, where, "give exactly one of reach and script", NULL);
    else
        sample_source(c, n, where, source_key(s), source_name(s));
    return 0;
}

/* ---- the window ---- */

/** Until the newest bucket is the one of now; those that were passed over are empty. */
static void roll(struct slo *s, uint64_t now_ms)
{
    const uint32_t length = s->aim.window_ms / BUCKETS;

    if (now_ms - s->began_ms >= s->aim.window_ms) {
        memset(s->count, 0, sizeof s->count);
        s->began_ms = now_ms;
    }
    for (; now_ms - s->began_ms >= length; s->began_ms += length) {
        s->newest = (s->newest + 1) % BUCKETS;
        memset(s->count[s->newest], 0, sizeof s->count[0]);
    }
}

static void slo_sample(void *state, struct emitter *self, const struct sample *sample)
{
    struct slo *s = state;
    unsigned bin = 0;

    if (!str_eq(sample->name, source_name(s)) || !str_eq(sample->class, source_key(s)))
        return;
    if (s->aim.kind != LATENCY)
        bin = sample->ok ? 0 : BINS - 1;
    else if (!sample->ok)
        return;
    else
        while (bin < BINS - 1 && (uint64_t)sample->value * 16 > (uint64_t)s->aim.target * bin_end[bin])
            bin++;
    roll(s, emitter_now(self));
    uint16_t *count = &s->count[s->newest][bin];
    *count = (uint16_t)(*count + (*count < UINT16_MAX));
}

static int slo_start(void *state, struct emitter *self, void *before)
{
    struct slo *s = state;
    const struct slo *old = before;

    (void)self;
    if (!old || memcmp(&old->aim, &s->aim, sizeof s->aim) != 0 || !str_eq(source_key(old), source_key(s)) ||
        !str_eq(source_name(old), source_name(s)))
        return 0;
    s->newest = old->newest;
    s->began_ms = old->began_ms;
    memcpy(s->count, old->count, sizeof s->count);
    return 0;
}

/* ---- judging ---- */

struct findings {
    uint32_t all, bad, bins[BINS];
};

static void add_up(const struct slo *s, struct findings *f)
{
    memset(f, 0, sizeof *f);
    for (unsigned bin = 0; bin < BINS; bin++) {
        for (unsigned i = 0; i < BUCKETS; i++)
            f->bins[bin] += s->count[i][bin];
        f->all += f->bins[bin];
        f->bad += bin < GOOD ? 0 : f->bins[bin];
    }
}

/** The latency that `percentile` of the results do not exceed, in ms, rounded up: as if those of a bin were spread evenly
 * between its ends. */
static uint32_t quantile(const struct slo *s, const struct findings *f)
{
    const uint64_t rank = (uint64_t)f->all * (uint32_t)s->aim.percentile; /* in thousandths of a result */
    uint64_t before = 0, here;
    uint32_t from = 0;
    unsigned bin = 0;

    for (; here = (uint64_t)f->bins[bin] * 1000, before + here < rank; before += here)
        from = bin_end[bin++];
    /* Below 2^59: 9.5 million results, an hour. */
    const uint64_t sum = (from * here + (rank - before) * (bin_end[bin] - from)) * s->aim.target;
    return (uint32_t)((sum + 16 * here - 1) / (16 * here));
}

static enum grade grade_of(int64_t breach)
{
    return breach < 100 ? GRADE_LOW : breach < 500 ? GRADE_MEDIUM : breach < 1000 ? GRADE_HIGH : GRADE_CRITICAL;
}

static int64_t excess(uint64_t measured, uint64_t limit)
{
    return measured > limit ? percent_tenths(measured - limit, limit) : 0;
}

static void put_figures(struct json_writer *w, const struct slo *s, const struct findings *f, int64_t observed, int64_t breach)
{
    json_put_string(w, "name", s->common.name);
    json_put_string(w, source_key(s), source_name(s));
    json_put_string(w, "objective", kinds[s->aim.kind]);
    if (s->aim.kind == LATENCY) {
        json_put_i64(w, "observed_ms", observed);
        json_put_i64(w, "target_ms", s->aim.target);
    } else {
        put_tenths(w, "observed_percent", observed);
        put_tenths(w, "target_percent", s->aim.target);
    }
    put_tenths(w, "breach_percent", breach);
    json_put_u64(w, "results", f->all);
}

static void judge(const struct slo *s, struct emitter *out, const struct findings *f)
{
    const struct condition *c = emitter_condition(out, "slo.violated", s->common.name);
    const uint32_t kind = (uint32_t)s->aim.kind, target = s->aim.target;
    const uint32_t good = kind == LATENCY ? (uint32_t)s->aim.percentile : target;
    const uint64_t bad = (uint64_t)f->bad * 1000, allowed = (uint64_t)f->all * (kind == ERROR_RATE ? target : 1000 - good);
    const bool violated = c && c->held > LEVEL_OK ? bad * 10 > allowed * 9 : bad > allowed;
    int64_t observed, breach;

    if (kind == LATENCY) {
        observed = quantile(s, f);
        breach = excess((uint64_t)observed, target);
    } else {
        observed = percent_tenths(f->bad, f->all);
        observed = kind == AVAILABILITY ? 1000 - observed : observed;
        breach = excess(bad, allowed);
    }
    const enum grade grade = violated ? grade_of(breach) : GRADE_NONE;
    struct json_writer *w = emit_grade(out, "slo.violated", "slo.recovered", s->common.name, grade);
    if (w) {
        put_figures(w, s, f, observed, breach);
        emit_end(out);
    }
    emitter_sample(out, !violated, grade);
}

static int slo_poll(void *state, struct emitter *out, uint64_t now_ms)
{
    struct slo *s = state;
    struct findings f;

    roll(s, now_ms);
    add_up(s, &f);
    if (f.all < (emitter_once(out) ? 1 : (uint32_t)s->least))
        return emitter_not_measured(out, source_name(s), "too few results");
    judge(s, out, &f);
    return 0;
}

const struct sensor_class sensor_slo = {
    SENSOR_NAME_OF("slo_violation", "1m", "slo-beacon"),
    .list = SENSOR_LIST,
    .samples = true,
    .fields = slo_fields,
    .state_size = sizeof(struct slo),
    .open = slo_open,
    .start = slo_start,
    .poll = slo_poll,
    .sample = slo_sample,
};
