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
enum { COUNT_MOST = 29000 }; /* of a bin in a bucket: thousandths of all results fit in 32 bits */
_Static_assert((int64_t)COUNT_MOST * BUCKETS * BINS * 1000 <= UINT32_MAX, "sums");

/** Where bins end, in sixteenths of the target: each a quarter above the one before, the last without an end. */
static const uint8_t bin_end[BINS] = {13, 16, 20, 25, 31, 39, 49, 61, 76, 95, 119, 149};

struct slo {
    struct sensor_common common;
    const char *source[SOURCES]; /* one of them */
    int32_t percentile;          /* tenths of a percent */
    uint32_t least;              /* results that are judged */
    struct aim {
        const char *class; /* of the source */
        int32_t kind;
        uint32_t target, allowed, window_ms; /* tenths of a percent, or ms; tenths of a percent; ms */
    } aim;
    uint64_t began_ms; /* the newest bucket; from here on a reload keeps what there is */
    uint32_t newest;
    uint16_t count[BUCKETS][BINS]; /* without latency: good is the first bin, bad the last */
};

#define MEMBER(name) FIELD_AT(struct slo, name)
static const char kinds[] = "availability\0error_rate\0latency\0";
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
     MEMBER(percentile),
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

static const char *source_of(const struct slo *s)
{
    return s->source[s->source[REACH] ? REACH : SCRIPT];
}

static int slo_open(void *state, struct config *c, const struct node *n, const char *where)
{
    struct slo *s = state;
    struct aim *aim = &s->aim;
    const bool latency = aim->kind == LATENCY;
    const struct field target = {FIELD_REQUIRED("target", "a percentage or latency"), MEMBER(aim.target),
                                 .type = latency ? FIELD_DURATION : FIELD_TENTHS, .min = 1,
                                 .max = latency ? LONGEST_MS : 999};

    config_bind_key(c, n, where, &target, s);
    const uint32_t good = latency ? (uint32_t)s->percentile : aim->target;
    aim->allowed = aim->kind == ERROR_RATE ? good : 1000 - good;
    aim->class = s->source[REACH] ? "reach" : "scripts";
    if (!s->source[REACH] == !s->source[SCRIPT])
        config_error(c, n, where, "give exactly one of reach and script", NULL);
    else
        sample_source(c, n, where, aim->class, source_of(s));
    return 0;
}

/* ---- the window ---- */

/** Until the newest bucket is the one of now; those that were passed over are empty. */
static void roll(struct slo *s, uint64_t now_ms)
{
    const uint32_t length = s->aim.window_ms / BUCKETS;

    for (unsigned i = 0; now_ms - s->began_ms >= length; i++) {
        s->newest = s->newest == BUCKETS - 1 ? 0 : s->newest + 1;
        memset(s->count[s->newest], 0, sizeof s->count[0]);
        s->began_ms = i < BUCKETS ? s->began_ms + length : now_ms;
    }
}

static void slo_sample(void *state, struct emitter *self, const struct sample *sample)
{
    struct slo *s = state;
    unsigned bin = 0;

    if (!str_eq(sample->name, source_of(s)) || !str_eq(sample->class, s->aim.class))
        return;
    if (s->aim.kind != LATENCY)
        bin = sample->ok ? 0 : BINS - 1;
    else if (!sample->ok)
        return;
    else /* no command runs for longer than a day: both fit */
        while (bin < BINS - 1 && sample->value * 16 > s->aim.target * bin_end[bin])
            bin++;
    roll(s, emitter_now(self));
    uint16_t *count = &s->count[s->newest][bin];
    if (*count < COUNT_MOST)
        ++*count;
}

static int slo_start(void *state, struct emitter *self, void *before)
{
    struct slo *s = state;
    const struct slo *old = before;

    (void)self;
    if (old && memcmp(&old->aim, &s->aim, sizeof s->aim) == 0 && str_eq(source_of(old), source_of(s)))
        memcpy(&s->began_ms, &old->began_ms, sizeof *s - offsetof(struct slo, began_ms));
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

/** The latency that so many good results, in thousandths, do not exceed, in ms, rounded up: as if those of a bin were
 * spread evenly between its ends. */
static uint32_t quantile(const struct slo *s, const struct findings *f, uint32_t rank)
{
    uint32_t here, from = 0;
    unsigned bin = 0;

    for (; here = f->bins[bin] * 1000, here < rank; rank -= here)
        from = bin_end[bin++];
    const uint64_t whole = (uint64_t)here * 16;
    const uint64_t sum = ((uint64_t)from * here + (uint64_t)rank * (bin_end[bin] - from)) * s->aim.target;
    return (uint32_t)((sum + whole - 1) / whole);
}

static enum grade grade_of(int64_t breach)
{
    return breach < 100 ? GRADE_LOW : breach < 500 ? GRADE_MEDIUM : breach < 1000 ? GRADE_HIGH : GRADE_CRITICAL;
}

static void put_figures(struct json_writer *w, const struct slo *s, int64_t observed)
{
    json_put_string(w, "name", s->common.name);
    json_put_string(w, s->source[REACH] ? "reach" : "script", source_of(s));
    json_put_string(w, "objective", word_at(kinds, (unsigned)s->aim.kind));
    if (s->aim.kind == LATENCY) {
        json_put_i64(w, "observed_ms", observed);
        json_put_i64(w, "target_ms", s->aim.target);
    } else {
        put_tenths(w, "observed_percent", s->aim.kind == AVAILABILITY ? 1000 - observed : observed);
        put_tenths(w, "target_percent", s->aim.target);
    }
}

static void judge(const struct slo *s, struct emitter *out, const struct findings *f)
{
    const char *name = s->common.name;
    const struct condition *c = emitter_condition(out, "slo.violated", name);
    const uint32_t bad = f->bad * 1000, allowed = f->all * s->aim.allowed;
    const bool violated = bad > allowed - (c && c->held > LEVEL_OK ? allowed / 10 : 0);
    uint32_t measured = bad, limit = allowed;
    int64_t observed = percent_tenths(f->bad, f->all);

    if (s->aim.kind == LATENCY) {
        observed = quantile(s, f, f->all * 1000 - allowed);
        measured = (uint32_t)observed;
        limit = s->aim.target;
    }
    const int64_t breach = measured > limit ? percent_tenths(measured - limit, limit) : 0;
    const enum grade grade = violated ? grade_of(breach) : GRADE_NONE;
    struct json_writer *w = emit_grade(out, "slo.violated", "slo.recovered", name, grade);
    if (w) {
        put_figures(w, s, observed);
        put_tenths(w, "breach_percent", breach);
        json_put_u64(w, "results", f->all);
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
    if (f.all < (emitter_once(out) ? 1 : s->least))
        return emitter_not_measured(out, source_of(s), "too few results");
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
