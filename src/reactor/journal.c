#include "nefia/journal.h"

#include <string.h>

#include "nefia/err.h"

const char *journal_state_text(enum journal_state s)
{
    static const char *const words[] = {"none", "pending", "done", "failed"};

    return words[s];
}

void journal_init(struct journal *j, struct journal_row *rows, uint64_t *settled, unsigned row_cap, char *bytes, size_t size)
{
    *j = (struct journal){.rows = rows, .settled = settled, .row_cap = row_cap, .bytes = bytes, .size = size};
}

struct journal_mark journal_put(struct journal *j, const struct event *e, int64_t received_s)
{
    size_t len = e->type.len + e->host_id.len + e->line.len;
    size_t at = (size_t)(j->head % j->size);

    /* In one piece: what is left at the end of the array is passed over. */
    if (len > j->size - at) {
        j->head += j->size - at;
        at = 0;
    }
    memcpy(j->bytes + at, e->type.ptr, e->type.len);
    memcpy(j->bytes + at + e->type.len, e->host_id.ptr, e->host_id.len);
    memcpy(j->bytes + at + e->type.len + e->host_id.len, e->line.ptr, e->line.len);
    j->head += len;
    return (struct journal_mark){
        .pos = j->head - len,
        .type = e->type,
        .host = e->host_id,
        .line_len = (uint32_t)e->line.len,
        .event_s = e->unix_s,
        .received_s = received_s,
        .severity = e->severity,
        .unsynced = e->unsynced,
    };
}

static void copy_text(char *to, size_t cap, const char *s)
{
    struct text t;

    text_init(&t, to, cap);
    if (s && *s)
        text_str(&t, s);
}

static void settle(struct journal *j, struct journal_row *r, enum journal_state state, const char *error)
{
    r->state = (uint8_t)state;
    copy_text(r->error, sizeof r->error, error);
    if (state == JOURNAL_PENDING)
        return;
    r->number = ++j->last_number;
    j->settled[(r->number - 1) % j->row_cap] = r->seq;
}

static struct journal_row *row_at(const struct journal *j, uint64_t seq)
{
    return &j->rows[(seq - 1) % j->row_cap];
}

uint64_t journal_add(struct journal *j, const struct journal_mark *m, const char *rule, const char *action, enum journal_state state,
                     const char *error)
{
    uint64_t seq = ++j->last_seq;
    struct journal_row *r = row_at(j, seq);

    r->seq = seq;
    r->number = 0;
    r->pos = m->pos;
    r->event_s = m->event_s;
    r->received_s = m->received_s;
    r->line_len = m->line_len;
    r->type_len = (uint16_t)m->type.len;
    r->host_len = (uint16_t)m->host.len;
    r->severity = (uint8_t)m->severity;
    r->unsynced = m->unsynced;
    copy_text(r->rule, sizeof r->rule, rule);
    copy_text(r->action, sizeof r->action, action);
    settle(j, r, state, error);
    return seq;
}

void journal_settle(struct journal *j, uint64_t seq, enum journal_state state, const char *error)
{
    struct journal_row *r = row_at(j, seq);

    if (seq != 0 && r->seq == seq && r->state == JOURNAL_PENDING)
        settle(j, r, state, error);
}

/** Its row was not taken by a newer one, nor its bytes. */
static bool is_there(const struct journal *j, const struct journal_row *r, uint64_t seq)
{
    return seq != 0 && r->seq == seq && j->head - r->pos <= j->size;
}

uint64_t journal_oldest(const struct journal *j)
{
    uint64_t seq = j->last_seq > j->row_cap ? j->last_seq - j->row_cap + 1 : 1;

    while (seq <= j->last_seq && !is_there(j, row_at(j, seq), seq))
        seq++;
    return seq;
}

bool journal_get(const struct journal *j, uint64_t seq, struct journal_view *v)
{
    const struct journal_row *r = row_at(j, seq);

    if (!is_there(j, r, seq))
        return false;
    const char *at = j->bytes + r->pos % j->size;
    *v = (struct journal_view){
        .row = r,
        .type = {at, r->type_len},
        .host = {at + r->type_len, r->host_len},
        .line = {at + r->type_len + r->host_len, r->line_len},
    };
    return true;
}

int journal_get_settled(const struct journal *j, uint64_t number, struct journal_view *v)
{
    if (number > j->last_number)
        return 0;
    if (number == 0 || j->last_number - number >= j->row_cap)
        return NEFIA_ENOTFOUND;
    return journal_get(j, j->settled[(number - 1) % j->row_cap], v) ? 1 : NEFIA_ENOTFOUND;
}

int64_t journal_time(const struct journal_row *r)
{
    return r->unsynced ? r->received_s : r->event_s;
}
