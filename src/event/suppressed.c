#include "nefia/event/rate.h"

#include <string.h>

static void add(uint32_t *count, uint32_t n)
{
    *count = n < UINT32_MAX - *count ? *count + n : UINT32_MAX;
}

/** Counters of this type: its slot, a new slot, or the shared one. */
static uint32_t *counts_of(struct suppressed *s, const char *type)
{
    size_t cap = sizeof s->types[0].type - 1;
    struct slice name = {type, type ? utf8_cut(type, strlen(type), cap) : 0};

    for (unsigned i = 0; i < SUPPRESSED_TYPES && name.len > 0; i++) {
        char *slot = s->types[i].type;

        if (!slot[0])
            memcpy(slot, name.ptr, name.len); /* an unused slot is zeroed */
        if (slice_eq(name, slot))
            return s->types[i].count;
    }
    return s->other;
}

void suppressed_add(struct suppressed *s, const char *type, enum severity sev, uint32_t n)
{
    if (n == 0)
        return;
    add(&counts_of(s, type)[sev], n);
    s->total[sev] += n;
}

bool suppressed_any(const struct suppressed *s)
{
    /* Slots are taken in order, so the first is free only if no event had a type. */
    if (s->types[0].type[0])
        return true;
    for (int sev = 0; sev < SEVERITY_COUNT; sev++)
        if (s->other[sev])
            return true;
    return false;
}

static void put_counts(struct json_writer *w, const char *key, const uint32_t count[SEVERITY_COUNT])
{
    json_object(w, key);
    for (int sev = 0; sev < SEVERITY_COUNT; sev++)
        if (count[sev])
            json_put_u64(w, severity_text((enum severity)sev), count[sev]);
    json_end_object(w);
}

static void put_totals(struct json_writer *w, const struct suppressed *s)
{
    uint64_t sum[SEVERITY_COUNT], all = 0;

    for (int sev = 0; sev < SEVERITY_COUNT; sev++) {
        sum[sev] = s->other[sev];
        for (unsigned i = 0; i < SUPPRESSED_TYPES; i++)
            sum[sev] += s->types[i].count[sev];
        all += sum[sev];
    }
    json_put_u64(w, "suppressed", all);
    for (int sev = 0; sev < SEVERITY_COUNT; sev++)
        json_put_u64(w, severity_text((enum severity)sev), sum[sev]);
}

/** Write the counters of a type, or undo it if that exceeds `most` bytes since start. */
static bool put_type(struct json_writer *w, const char *type, const uint32_t count[SEVERITY_COUNT],
                     size_t start, size_t most)
{
    struct json_writer before = *w;
    size_t len = w->out->len;

    put_counts(w, type, count);
    if (!w->out->truncated && w->out->len - start <= most)
        return true;
    *w = before;
    text_rewind(w->out, len);
    return false;
}

/** Room for other_types and the closing braces. */
#define TAIL_ROOM 96

void suppressed_report(struct suppressed *s, struct json_writer *data)
{
    size_t start = data->out->len;

    json_object(data, NULL);
    put_totals(data, s);
    json_object(data, "by_type");
    for (unsigned i = 0; i < SUPPRESSED_TYPES && s->types[i].type[0]; i++) {
        const uint32_t *count = s->types[i].count;

        if (put_type(data, s->types[i].type, count, start, CONFIG_EVENT_BYTES / 2 - TAIL_ROOM))
            continue;
        for (int sev = 0; sev < SEVERITY_COUNT; sev++)
            add(&s->other[sev], count[sev]);
    }
    json_end_object(data);
    if (s->other[SEVERITY_INFO] || s->other[SEVERITY_WARNING] || s->other[SEVERITY_CRITICAL])
        put_counts(data, "other_types", s->other);
    json_end_object(data);
    memset(s->types, 0, sizeof s->types);
    memset(s->other, 0, sizeof s->other);
}
