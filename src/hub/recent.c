#include "nefia/hub/recent.h"

#include <string.h>

#include "nefia/base/err.h"

const char *recent_state_text(enum recent_state s)
{
    static const char *const words[] = {"none", "pending", "done", "failed", "restrained", "silenced"};

    return words[s];
}

void recent_init(struct recent *j, struct recent_row *rows, uint64_t *settled, unsigned row_cap,
                  char *bytes, size_t size)
{
    *j = (struct recent){
        .rows = rows, .settled = settled, .row_cap = row_cap, .bytes = bytes, .size = size};
}

/** Locate s in the stored bytes: inside the line, or (it contained escapes) behind it, where it is
 * copied to. */
static uint32_t keep(const struct event *e, struct slice s, char *copy, size_t *len)
{
    uintptr_t line = (uintptr_t)e->line.ptr, at = (uintptr_t)s.ptr;

    if (at >= line && at - line < e->line.len)
        return (uint32_t)(at - line);
    memcpy(copy + *len, s.ptr, s.len);
    *len += s.len;
    return (uint32_t)(*len - s.len);
}

struct recent_mark recent_put(struct recent *j, const struct event *e, int64_t received_s)
{
    size_t most = e->line.len + e->type.len + e->host_id.len, len = e->line.len;
    size_t at = (size_t)(j->head % j->size);

    /* Contiguous: a remainder at the end of the array is skipped. */
    if (most > j->size - at) {
        j->head += j->size - at;
        at = 0;
    }
    memcpy(j->bytes + at, e->line.ptr, e->line.len);
    struct recent_mark m = {
        .pos = j->head,
        .type_at = keep(e, e->type, j->bytes + at, &len),
        .host_at = keep(e, e->host_id, j->bytes + at, &len),
        .type_len = (uint16_t)e->type.len,
        .host_len = (uint16_t)e->host_id.len,
        .line_len = (uint32_t)e->line.len,
        .event_s = e->unix_s,
        .received_s = received_s,
        .severity = (uint8_t)e->severity,
        .unsynced = e->unsynced,
    };
    j->head += len;
    return m;
}

static void copy_text(char *to, size_t cap, const char *s)
{
    struct text t;

    text_init(&t, to, cap);
    if (s && *s)
        text_str(&t, s);
}

static void settle(struct recent *j, struct recent_row *r, enum recent_state state,
                   const char *error)
{
    r->state = (uint8_t)state;
    copy_text(r->error, sizeof r->error, error);
    if (state == RECENT_PENDING)
        return;
    r->number = ++j->last_number;
    j->settled[(r->number - 1) % j->row_cap] = r->seq;
}

static struct recent_row *row_at(const struct recent *j, uint64_t seq)
{
    return &j->rows[(seq - 1) % j->row_cap];
}

uint64_t recent_add(struct recent *j, const struct recent_mark *m, const char *rule,
                     const char *action, enum recent_state state, const char *error)
{
    uint64_t seq = ++j->last_seq;
    struct recent_row *r = row_at(j, seq);

    r->seq = seq;
    r->number = 0;
    r->event = *m;
    copy_text(r->rule, sizeof r->rule, rule);
    copy_text(r->action, sizeof r->action, action);
    settle(j, r, state, error);
    return seq;
}

void recent_settle(struct recent *j, uint64_t seq, enum recent_state state, const char *error)
{
    struct recent_row *r = row_at(j, seq);

    if (seq != 0 && r->seq == seq && r->state == RECENT_PENDING)
        settle(j, r, state, error);
}

/** Neither its row nor its bytes have been overwritten. */
static bool is_there(const struct recent *j, const struct recent_row *r, uint64_t seq)
{
    return seq != 0 && r->seq == seq && j->head - r->event.pos <= j->size;
}

uint64_t recent_oldest(const struct recent *j)
{
    uint64_t seq = j->last_seq > j->row_cap ? j->last_seq - j->row_cap + 1 : 1;

    while (seq <= j->last_seq && !is_there(j, row_at(j, seq), seq))
        seq++;
    return seq;
}

bool recent_get(const struct recent *j, uint64_t seq, struct recent_view *v)
{
    const struct recent_row *r = row_at(j, seq);

    if (!is_there(j, r, seq))
        return false;
    const struct recent_mark *m = &r->event;
    const char *at = j->bytes + m->pos % j->size;
    *v = (struct recent_view){
        .row = r,
        .type = {at + m->type_at, m->type_len},
        .host = {at + m->host_at, m->host_len},
        .line = {at, m->line_len},
    };
    return true;
}

int recent_get_settled(const struct recent *j, uint64_t number, struct recent_view *v)
{
    if (number > j->last_number)
        return 0;
    if (number == 0 || j->last_number - number >= j->row_cap)
        return NEFIA_ENOTFOUND;
    return recent_get(j, j->settled[(number - 1) % j->row_cap], v) ? 1 : NEFIA_ENOTFOUND;
}

int64_t recent_time(const struct recent_row *r)
{
    return r->event.unsynced ? r->event.received_s : r->event.event_s;
}
