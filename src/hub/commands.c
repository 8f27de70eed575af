#include "nefia/hub/commands.h"

#include <string.h>

#include "nefia/base/err.h"
#include "nefia/hub/seen.h"

/* On disk: a slot that a later version wrote is not understood, and its command is given up. */
enum { KEPT_VERSION = 1, KEPT_IDEMPOTENT = 1, KEPT_SYNCED = 2, KEPT_HEAD = 58 };
enum { NEVER_A_BOOT = 1 }; /* as `first` of what was sent in a session that nobody remembers */

_Static_assert(KEPT_HEAD + EVENT_HOST_MAX + COMMAND_WHO_MAX + COMMAND_OP_MAX + EVENT_CAUSE_MAX <= JOURNAL_KEPT_MAX,
               "a command fits its slot of the journal");
_Static_assert(COMMAND_OUTPUT_MAX < JOURNAL_KEPT_MAX, "its output is decoded there, too");

void commands_init(struct commands *t, const struct clock *clock, struct command *slots, unsigned count, char *text, size_t text_size,
                   uint8_t *kept, const struct command_hooks *hooks)
{
    *t = (struct commands){.clock = clock,
                           .slots = slots,
                           .count = count,
                           .text = text,
                           .text_size = text_size,
                           .kept = kept,
                           .hooks = *hooks};
    memset(slots, 0, count * sizeof slots[0]);
}

/* ---- Texts ---- */

static struct slice part(const struct commands *t, const struct command *c, size_t from, size_t len)
{
    return (struct slice){t->text + c->at + from, len};
}

struct slice command_host(const struct commands *t, const struct command *c)
{
    return part(t, c, 0, c->host_len);
}

struct slice command_who(const struct commands *t, const struct command *c)
{
    return part(t, c, c->host_len, c->who_len);
}

struct slice command_op(const struct commands *t, const struct command *c)
{
    return part(t, c, (size_t)c->host_len + c->who_len, c->op_len);
}

struct slice command_cause(const struct commands *t, const struct command *c)
{
    return part(t, c, (size_t)c->host_len + c->who_len + c->op_len, c->cause_len);
}

struct slice command_reason(const struct commands *t, const struct command *c)
{
    return part(t, c, (size_t)c->host_len + c->who_len, c->reason_len);
}

struct slice command_output(const struct commands *t, const struct command *c)
{
    return part(t, c, (size_t)c->host_len + c->who_len + c->reason_len, c->output_len);
}

static size_t names_len(const struct command *c)
{
    return (size_t)c->host_len + c->who_len;
}

/** Room for its texts, and later for its result, if somebody is to read that. */
static size_t room_for(enum command_owner owner, size_t names, size_t texts)
{
    const size_t result = LINK_REASON_MAX + COMMAND_OUTPUT_MAX;

    return names + (owner == COMMAND_OF_CLIENT && result > texts ? result : texts);
}

static void put(struct commands *t, struct command *c, size_t *at, struct slice s)
{
    memcpy(t->text + c->at + *at, s.ptr, s.len);
    *at += s.len;
}

/** Append the texts of c, whose lengths are set; there is room. */
static void put_texts(struct commands *t, struct command *c, const struct slice texts[4])
{
    size_t at = 0;

    c->at = (uint32_t)t->text_used;
    t->text_used += c->room;
    for (unsigned i = 0; i < 4; i++)
        put(t, c, &at, texts[i]);
}

/** Nobody's text lies there any more: those behind it move up. */
static void close_gap(struct commands *t, uint32_t at, uint32_t room)
{
    memmove(t->text + at, t->text + at + room, t->text_used - at - room);
    t->text_used -= room;
    for (unsigned i = 0; i < t->count; i++)
        if (t->slots[i].state != COMMAND_FREE && t->slots[i].at > at)
            t->slots[i].at -= room;
}

static void release(struct commands *t, struct command *c)
{
    const uint32_t at = c->at, room = c->room;

    *c = (struct command){0};
    close_gap(t, at, room);
}

/** Give it that much room, if there is so much now. */
static void grow(struct commands *t, struct command *c, size_t room)
{
    const uint32_t at = c->at, before = c->room;

    if (room <= before || room > t->text_size - t->text_used)
        return;
    memcpy(t->text + t->text_used, t->text + at, before);
    c->at = (uint32_t)t->text_used;
    c->room = (uint32_t)room;
    t->text_used += room;
    close_gap(t, at, before);
}

/* ---- The table ---- */

static struct command *slot_of(const struct commands *t, uint64_t number)
{
    for (unsigned i = 0; number > 0 && i < t->count; i++)
        if (t->slots[i].state != COMMAND_FREE && t->slots[i].number == number)
            return &t->slots[i];
    return NULL;
}

static bool is_of(const struct command *c, const uint8_t host[SESSION_HOST])
{
    return memcmp(c->host, host, SESSION_HOST) == 0;
}

static bool is_open(const struct command *c)
{
    return c->state == COMMAND_WAITING || c->state == COMMAND_SENT;
}

const struct command *commands_get(const struct commands *t, uint64_t number)
{
    return slot_of(t, number);
}

static struct command *find(const struct commands *t, const uint8_t host[SESSION_HOST], uint64_t id)
{
    for (unsigned i = 0; i < t->count; i++)
        if (is_open(&t->slots[i]) && t->slots[i].id == id && is_of(&t->slots[i], host))
            return &t->slots[i];
    return NULL;
}

const struct command *commands_find(const struct commands *t, const uint8_t host[SESSION_HOST], uint64_t id)
{
    return find(t, host, id);
}

const struct command *commands_next(const struct commands *t, uint64_t after)
{
    const struct command *best = NULL;

    for (unsigned i = 0; i < t->count; i++) {
        const struct command *c = &t->slots[i];

        if (c->state != COMMAND_FREE && c->number > after && (!best || c->number < best->number))
            best = c;
    }
    return best;
}

unsigned commands_in(const struct commands *t, enum command_state state)
{
    unsigned n = 0;

    for (unsigned i = 0; i < t->count; i++)
        n += t->slots[i].state == state;
    return n;
}

/** The oldest of the host that has not ended. */
static struct command *head_of(const struct commands *t, const uint8_t host[SESSION_HOST])
{
    struct command *head = NULL;

    for (unsigned i = 0; i < t->count; i++) {
        struct command *c = &t->slots[i];

        if (is_open(c) && is_of(c, host) && (!head || c->number < head->number))
            head = c;
    }
    return head;
}

const struct command *commands_head(const struct commands *t, const uint8_t host[SESSION_HOST])
{
    return head_of(t, host);
}

/* ---- The journal ---- */

static uint32_t life_left(const struct commands *t, const struct command *c)
{
    const uint64_t now = clock_ms(t->clock);

    return c->until_ms > now ? (uint32_t)(c->until_ms - now) : 0;
}

static void keep(struct commands *t, const struct command *c)
{
    uint8_t *p = t->kept;
    const size_t texts = names_len(c) + c->op_len + c->cause_len;
    const bool has_room = c->room >= room_for((enum command_owner)c->owner, names_len(c), texts - names_len(c));

    p[0] = KEPT_VERSION;
    p[1] = c->state;
    p[2] = has_room ? c->owner : COMMAND_OF_NOBODY; /* after a restart it has no more room than now */
    p[3] = (uint8_t)((c->idempotent ? KEPT_IDEMPOTENT : 0) | (clock_synced(t->clock) ? KEPT_SYNCED : 0));
    put_be64(p + 4, c->id);
    put_be64(p + 12, c->number);
    put_be64(p + 20, c->job);
    put_be64(p + 28, c->first);
    put_be64(p + 36, (uint64_t)clock_unix(t->clock));
    put_be32(p + 44, life_left(t, c));
    put_be32(p + 48, c->timeout_ms);
    p[52] = c->host_len;
    p[53] = c->who_len;
    p[54] = (uint8_t)(c->op_len >> 8);
    p[55] = (uint8_t)c->op_len;
    p[56] = (uint8_t)(c->cause_len >> 8);
    p[57] = (uint8_t)c->cause_len;
    memcpy(p + KEPT_HEAD, t->text + c->at, texts);
    t->hooks.keep(t->hooks.arg, (uint16_t)(c - t->slots), p, KEPT_HEAD + texts);
}

void commands_copy(struct commands *t)
{
    for (unsigned i = 0; i < t->count; i++)
        if (is_open(&t->slots[i]))
            keep(t, &t->slots[i]);
}

/** What is left of the life of a slot that was kept before a restart. Whole seconds: the one that has begun counts as over. */
static uint32_t life_after(const struct commands *t, const uint8_t *p)
{
    const uint64_t then = get_be64(p + 36), now = (uint64_t)clock_unix(t->clock);
    const uint32_t left = get_be32(p + 44);

    if (!(p[3] & KEPT_SYNCED) || !clock_synced(t->clock) || now < then || now - then >= COMMAND_LIFE_MAX_MS / 1000)
        return 0;
    const uint64_t gone_ms = (now - then + 1) * 1000;
    return left > gone_ms ? left - (uint32_t)gone_ms : 0;
}

/** Lengths of a slot's texts: host, who, op, cause. Return: is it one that this version wrote, whole? */
static bool read_lengths(const uint8_t *p, size_t len, size_t lengths[4])
{
    if (len < KEPT_HEAD || p[0] != KEPT_VERSION || (p[1] != COMMAND_WAITING && p[1] != COMMAND_SENT) || p[2] > COMMAND_OF_NOBODY)
        return false;
    lengths[0] = p[52];
    lengths[1] = p[53];
    lengths[2] = (size_t)p[54] << 8 | p[55];
    lengths[3] = (size_t)p[56] << 8 | p[57];
    return lengths[0] > 0 && lengths[1] <= COMMAND_WHO_MAX && lengths[2] <= COMMAND_OP_MAX && lengths[3] <= EVENT_CAUSE_MAX &&
           get_be64(p + 12) > 0 && KEPT_HEAD + lengths[0] + lengths[1] + lengths[2] + lengths[3] == len;
}

void commands_restore(struct commands *t, uint16_t slot, const uint8_t *p, size_t len)
{
    size_t lengths[4];

    if (slot >= t->count)
        return;
    struct command *c = &t->slots[slot];
    if (c->state != COMMAND_FREE)
        release(t, c);
    if (!read_lengths(p, len, lengths))
        return;
    const size_t texts = lengths[2] + lengths[3];
    const size_t room = room_for((enum command_owner)p[2], lengths[0] + lengths[1], texts);
    if (room > t->text_size - t->text_used)
        return;
    *c = (struct command){
        .state = p[1],
        .owner = p[2],
        .idempotent = (p[3] & KEPT_IDEMPOTENT) != 0,
        .id = get_be64(p + 4),
        .number = get_be64(p + 12),
        .job = get_be64(p + 20),
        .first = get_be64(p + 28),
        .until_ms = clock_ms(t->clock) + life_after(t, p),
        .timeout_ms = get_be32(p + 48),
        .host_len = p[52],
        .who_len = p[53],
        .op_len = (uint16_t)lengths[2],
        .cause_len = (uint16_t)lengths[3],
        .room = (uint32_t)room,
    };
    const struct slice all = {(const char *)p + KEPT_HEAD, lengths[0] + lengths[1] + texts}, none = {"", 0};
    put_texts(t, c, (const struct slice[4]){all, none, none, none});
    host_id_of(c->host, command_host(t, c));
    if (c->number > t->last)
        t->last = c->number;
}

/* ---- Ordering ---- */

static bool has_room(const struct commands *t, const struct command *c)
{
    const bool of_rule = c->owner == COMMAND_OF_JOB;
    const unsigned places = of_rule ? t->count - t->count / 4 : t->count, of_host = t->count / 4 > 0 ? t->count / 4 : 1;
    const size_t text = of_rule ? t->text_size - t->text_size / 4 : t->text_size;
    unsigned used = 0, same = 0;
    size_t same_text = 0;

    for (unsigned i = 0; i < t->count; i++) {
        const struct command *other = &t->slots[i];

        if (other->state == COMMAND_FREE)
            continue;
        used++;
        same += is_of(other, c->host);
        same_text += is_of(other, c->host) ? other->room : 0;
    }
    return used < places && same < of_host && t->text_used + c->room <= text &&
           (same == 0 || same_text + c->room <= t->text_size / 2);
}

static int new_id(const struct commands *t, uint64_t *id)
{
    uint8_t bytes[8];

    do {
        if (t->hooks.random(bytes, sizeof bytes) < 0)
            return NEFIA_EIO;
        *id = get_be64(bytes);
    } while (*id == 0);
    return 0;
}

int commands_order(struct commands *t, const struct command_order *o, uint64_t *number)
{
    const uint64_t now = clock_ms(t->clock);
    const struct slice who = {o->who, strlen(o->who)};
    uint64_t id = o->id;

    if (o->host.len == 0 || o->host.len > EVENT_HOST_MAX || who.len > COMMAND_WHO_MAX || o->op.len > COMMAND_OP_MAX ||
        o->cause.len > EVENT_CAUSE_MAX || o->life_ms > COMMAND_LIFE_MAX_MS)
        return NEFIA_ETOOBIG;
    struct command c = {
        .state = o->life_ms > 0 ? COMMAND_WAITING : COMMAND_SENT,
        .owner = (uint8_t)o->owner,
        .idempotent = o->idempotent,
        .job = o->job,
        .first = o->life_ms > 0 ? 0 : NEVER_A_BOOT,
        .until_ms = now + o->life_ms,
        .timeout_ms = o->timeout_ms,
        .judged = o->judged,
        .host_len = (uint8_t)o->host.len,
        .who_len = (uint8_t)who.len,
        .op_len = (uint16_t)o->op.len,
        .cause_len = (uint16_t)o->cause.len,
        .room = (uint32_t)room_for(o->owner, o->host.len + who.len, o->op.len + o->cause.len),
    };
    host_id_of(c.host, o->host);
    if (!has_room(t, &c)) {
        t->stats.full++;
        return NEFIA_EFULL;
    }
    if (id == 0 && new_id(t, &id) < 0)
        return NEFIA_EIO;
    struct command *slot = t->slots;
    while (slot->state != COMMAND_FREE)
        slot++;
    c.id = id;
    c.number = *number = ++t->last;
    *slot = c;
    put_texts(t, slot, (const struct slice[4]){o->host, who, o->op, o->cause});
    keep(t, slot);
    t->stats.ordered++;
    return 0;
}

/* ---- Sending ---- */

const struct command *commands_choose(struct commands *t, const uint8_t host[SESSION_HOST], uint64_t boot)
{
    const uint64_t now = clock_ms(t->clock);
    struct command *c = head_of(t, host);

    if (!c || c->asked || now < c->retry_ms || (c->state == COMMAND_WAITING && now >= c->until_ms))
        return NULL;
    t->stats.sent += c->state == COMMAND_WAITING;
    t->stats.again += c->state == COMMAND_SENT;
    c->asked = true;
    if (c->state == COMMAND_SENT)
        return c;
    c->state = COMMAND_SENT;
    c->first = boot;
    keep(t, c);
    return c;
}

void commands_message(const struct commands *t, const struct command *c, uint64_t hello_ms, struct link_command *out)
{
    *out = (struct link_command){
        .id = c->id,
        .first = c->first,
        .age_ms = clock_ms(t->clock) - hello_ms,
        .life_ms = life_left(t, c),
        .op = command_op(t, c),
        .cause = command_cause(t, c),
    };
}

void commands_lost(struct commands *t, const uint8_t host[SESSION_HOST])
{
    for (unsigned i = 0; i < t->count; i++)
        if (is_of(&t->slots[i], host)) {
            t->slots[i].asked = false;
            t->slots[i].retry_ms = 0;
        }
}

/* ---- Ends ---- */

/** In the words of who looks at a row of the recent events. */
static void put_error(struct text *error, const struct command *c, struct slice reason)
{
    static const char others[] = "\0denied by the device\0the device was not there in time\0end unknown\0not supported by the device\0";

    if (c->outcome != LINK_DONE) {
        if (!c->here) {
            text_str(error, word_at(others, c->outcome));
            text_str(error, reason.len > 0 ? ": " : "");
        }
        text_bytes(error, reason.ptr, reason.len);
    } else if (c->timed_out) {
        text_str(error, "timed out after ");
        text_duration(error, c->timeout_ms);
    } else if (c->signal > 0) {
        text_str(error, "signal ");
        text_u64(error, c->signal);
    } else if (c->exit_code > 0) {
        text_str(error, "exit ");
        text_u64(error, c->exit_code);
    }
}

void commands_error(const struct commands *t, const struct command *c, struct text *error)
{
    put_error(error, c, command_reason(t, c));
}

/** In place of op and cause; what does not fit is cut. */
static void put_result(struct commands *t, struct command *c, struct slice reason, struct slice output)
{
    size_t at = names_len(c), left = c->room - at;

    c->op_len = c->cause_len = 0;
    c->reason_len = (uint8_t)(reason.len < left ? reason.len : left);
    put(t, c, &at, (struct slice){reason.ptr, c->reason_len});
    left -= c->reason_len;
    c->output_len = (uint16_t)(output.len < left ? output.len : left);
    put(t, c, &at, (struct slice){output.ptr, c->output_len});
}

static void end(struct commands *t, struct command *c, enum link_outcome outcome, const struct link_result *r, struct slice output,
                const char *reason)
{
    const struct slice why = {reason, strlen(reason)};
    char error_buf[COMMAND_ERROR_MAX + 1];
    struct text error;

    t->stats.ended[outcome]++;
    c->state = COMMAND_ENDED;
    c->outcome = (uint8_t)outcome;
    text_init(&error, error_buf, sizeof error_buf);
    put_error(&error, c, why);
    t->hooks.keep(t->hooks.arg, (uint16_t)(c - t->slots), NULL, 0);
    t->hooks.ended(t->hooks.arg, c, &(struct command_end){outcome, r, output, error.buf});
    if (c->owner == COMMAND_OF_CLIENT)
        put_result(t, c, why, output);
    else
        release(t, c);
}

/** No result came. decided: by the hub, for that reason; otherwise the reason is about the device. */
static void end_here(struct commands *t, struct command *c, enum link_outcome outcome, const char *reason, bool decided)
{
    c->here = decided;
    end(t, c, outcome, NULL, (struct slice){"", 0}, reason);
}

/** The first bytes of it, between characters. */
static struct slice decode_output(const struct commands *t, const struct link_result *r)
{
    struct text out;

    text_init(&out, (char *)t->kept, COMMAND_OUTPUT_MAX + 1);
    link_result_output(r, &out);
    return (struct slice){out.buf, out.len};
}

/** Its end is unknown, but nothing is lost by doing it twice. Return: it waits again, as another command. */
static bool begin_again(struct commands *t, struct command *c)
{
    uint64_t id;

    if (!c->idempotent || life_left(t, c) == 0 || new_id(t, &id) < 0)
        return false;
    t->stats.ended[LINK_END_UNKNOWN]++;
    c->id = id;
    c->state = COMMAND_WAITING;
    c->first = 0;
    c->asked = false;
    keep(t, c);
    return true;
}

bool commands_result(struct commands *t, const uint8_t host[SESSION_HOST], const struct link_result *r)
{
    struct command *c = find(t, host, r->id);

    if (!c || c->state != COMMAND_SENT || (r->outcome == LINK_BUSY && !c->asked))
        return false;
    if (r->outcome == LINK_BUSY) {
        t->stats.ended[LINK_BUSY]++;
        c->asked = false;
        c->retry_ms = clock_ms(t->clock) + COMMAND_BUSY_MS;
        return true;
    }
    if (r->outcome == LINK_END_UNKNOWN && begin_again(t, c))
        return true;
    c->exit_code = r->exit_code;
    c->signal = r->signal;
    c->timed_out = r->timed_out;
    c->duration_ms = r->duration_ms;
    c->output_total = r->output_total;
    end(t, c, r->outcome, r, decode_output(t, r), r->reason);
    return true;
}

void commands_refused(struct commands *t, const uint8_t host[SESSION_HOST], const char *reason)
{
    for (struct command *c; (c = head_of(t, host)) != NULL;)
        end_here(t, c, c->state == COMMAND_WAITING ? LINK_UNSUPPORTED : LINK_END_UNKNOWN, reason, false);
}

void commands_judged(struct commands *t, uint64_t number, uint16_t judged)
{
    struct command *c = slot_of(t, number);

    if (c)
        c->judged = judged;
}

void commands_end(struct commands *t, uint64_t number, enum link_outcome outcome, const char *reason)
{
    struct command *c = slot_of(t, number);

    if (c && c->state == COMMAND_WAITING)
        end_here(t, c, outcome, reason, true);
}

void commands_leave(struct commands *t, uint64_t number, const char *reason)
{
    struct command *c = slot_of(t, number);

    if (!c)
        return;
    if (c->state == COMMAND_WAITING) {
        if (c->owner == COMMAND_OF_CLIENT)
            c->owner = COMMAND_OF_NOBODY;
        end_here(t, c, LINK_EXPIRED, reason, true);
    } else if (c->state == COMMAND_ENDED) {
        release(t, c);
    } else if (c->owner != COMMAND_OF_NOBODY) {
        c->owner = COMMAND_OF_NOBODY;
        keep(t, c);
    }
}

void commands_join(struct commands *t, uint64_t number)
{
    struct command *c = slot_of(t, number);

    if (!c || c->owner != COMMAND_OF_NOBODY)
        return;
    c->owner = COMMAND_OF_CLIENT;
    grow(t, c, room_for(COMMAND_OF_CLIENT, names_len(c), (size_t)c->op_len + c->cause_len));
}

void commands_free(struct commands *t, uint64_t number)
{
    struct command *c = slot_of(t, number);

    if (c && c->state == COMMAND_ENDED)
        release(t, c);
}

/* ---- Time ---- */

/** When something is to be done about it by itself. */
static uint64_t due_ms(const struct command *c)
{
    return c->state == COMMAND_WAITING ? c->until_ms
           : c->state == COMMAND_SENT  ? c->until_ms + c->timeout_ms + COMMAND_LOST_MS
                                       : UINT64_MAX;
}

uint64_t commands_tick(struct commands *t)
{
    const uint64_t now = clock_ms(t->clock);
    uint64_t next = UINT64_MAX;

    for (unsigned i = 0; i < t->count; i++) {
        struct command *c = &t->slots[i];

        if (is_open(c) && now >= due_ms(c))
            end_here(t, c, c->state == COMMAND_WAITING ? LINK_EXPIRED : LINK_END_UNKNOWN, "", false);
        if (is_open(c) && due_ms(c) < next)
            next = due_ms(c);
        if (is_open(c) && c->retry_ms > now && c->retry_ms < next)
            next = c->retry_ms;
    }
    return next;
}
