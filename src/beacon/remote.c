#include "nefia/beacon/remote.h"

#include <errno.h>
#include <string.h>

#include "nefia/base/bytes.h"
#include "nefia/base/err.h"
#include "nefia/sys/file.h"
#include "nefia/sys/frames.h"
#include "nefia/sys/log.h"

enum { KIND = 1, VERSION = 1, ID_BYTES = 19 };
_Static_assert(REMOTE_FILE_MAX == FRAME_HEADER + 3 + REMOTE_STARTS * 8 + REMOTE_IDS * ID_BYTES, "as the header says");

struct hex {
    char text[17];
};

static struct hex hex_of(uint64_t id)
{
    struct hex h;
    struct text t;

    text_init(&t, h.text, sizeof h.text);
    text_hex64(&t, id);
    return h; /* cppcheck-suppress uninitvar ; filled through t */
}
#define HEX(id) (hex_of(id).text)

static uint32_t capped(uint64_t v)
{
    return v < UINT32_MAX ? (uint32_t)v : UINT32_MAX;
}

static enum link_outcome outcome_of(const struct remote_id *e)
{
    return (enum link_outcome)(e->how & REMOTE_OUTCOME);
}

/* ---- The file ---- */

static size_t pack(const struct remote *r, uint8_t *file)
{
    uint8_t *p = file + FRAME_HEADER;
    const unsigned starts = r->doubt ? 0 : r->start_count; /* in doubt there is only this one */

    *p++ = VERSION;
    *p++ = (uint8_t)starts;
    for (unsigned i = 0; i < starts; i++, p += 8)
        put_be64(p, r->starts[i]);
    *p++ = (uint8_t)r->count;
    for (unsigned i = 0; i < r->count; i++, p += ID_BYTES) {
        const struct remote_id *e = &r->ids[i];
        put_be64(p, e->id);
        put_be32(p + 8, e->ms);
        put_be32(p + 12, e->bytes);
        p[16] = e->how;
        p[17] = e->exit_code;
        p[18] = e->signal;
    }
    const size_t len = (size_t)(p - file);
    frame_header(file, KIND, file + FRAME_HEADER, len - FRAME_HEADER, NULL, 0);
    return len;
}

/** Is it a whole file of ours? Then what it has is remembered. */
static bool unpack(struct remote *r, const uint8_t *file, size_t len)
{
    uint8_t header[FRAME_HEADER];
    const uint8_t *p = file + FRAME_HEADER;

    if (len < FRAME_HEADER + 3)
        return false;
    frame_header(header, KIND, p, len - FRAME_HEADER, NULL, 0);
    const unsigned starts = p[1];
    if (memcmp(header, file, sizeof header) != 0 || p[0] != VERSION || starts > REMOTE_STARTS ||
        len < FRAME_HEADER + 3 + starts * 8u)
        return false;
    p += 2;
    const unsigned count = p[starts * 8u];
    if (count > REMOTE_IDS || len != FRAME_HEADER + 3 + starts * 8u + count * (size_t)ID_BYTES)
        return false;
    r->start_count = starts;
    for (unsigned i = 0; i < starts; i++, p += 8)
        r->starts[i] = get_be64(p);
    p++;
    r->count = count;
    for (unsigned i = 0; i < count; i++, p += ID_BYTES)
        r->ids[i] = (struct remote_id){.id = get_be64(p),
                                       .ms = get_be32(p + 8),
                                       .bytes = get_be32(p + 12),
                                       .how = p[16],
                                       .exit_code = p[17],
                                       .signal = p[18],
                                       .earlier = true};
    return true;
}

/** Return: 0; NEFIA_ENOTFOUND there is none; another error, after which nothing is remembered. */
static int load(struct remote *r)
{
    uint8_t file[REMOTE_FILE_MAX];
    char path[FILE_PATH_MAX];

    const int err = file_join(path, r->dir, REMOTE_FILE);
    const long n = err < 0 ? err : file_read(path, file, sizeof file);
    if (n < 0)
        return (int)n;
    return unpack(r, file, (size_t)n) ? 0 : NEFIA_ESYNTAX;
}

/** Return: 0, also where nothing is to be kept; or negative: the file is as it was. */
static int store(const struct remote *r)
{
    uint8_t file[REMOTE_FILE_MAX];
    char path[FILE_PATH_MAX];

    if (!r->kept)
        return 0;
    const int err = file_join(path, r->dir, REMOTE_FILE);
    return err < 0 ? err : file_write_atomic(path, file, pack(r, file));
}

/* ---- What is remembered ---- */

static struct remote_id *find(struct remote *r, uint64_t id)
{
    for (unsigned i = r->count; i-- > 0;)
        if (r->ids[i].id == id)
            return &r->ids[i];
    return NULL;
}

static bool covers(const struct remote *r, uint64_t start)
{
    for (unsigned i = r->start_count; i-- > 0;)
        if (r->starts[i] == start)
            return true;
    return false;
}

static void drop_start(struct remote *r, unsigned i)
{
    r->start_count--;
    memmove(&r->starts[i], &r->starts[i + 1], (r->start_count - i) * sizeof r->starts[0]);
}

/** The one to forget: the first that is settled; else the first of all, which are those of earlier starts. */
static unsigned dispensable(const struct remote *r)
{
    for (unsigned i = 0; i < r->count; i++)
        if (r->ids[i].how & REMOTE_SETTLED)
            return i;
    return 0;
}

/** Make room for one more. Once something unsettled is forgotten, an unknown id may be that one: it can have come first in no start but
 * its own and those before. This one goes on: a session that is cut before each acknowledgement must not end all commands. */
static void forget_one(struct remote *r)
{
    const unsigned at = dispensable(r);
    const struct remote_id *e = &r->ids[at];

    if (!(e->how & REMOTE_SETTLED)) {
        LOG_WARN("command ", HEX(e->id), " is forgotten, and its result never was acknowledged");
        while (r->start_count > 1)
            drop_start(r, 0);
        if (!e->earlier && e->until > r->doubt)
            r->doubt = e->until;
    }
    r->count--;
    memmove(&r->ids[at], &r->ids[at + 1], (r->count - at) * sizeof r->ids[0]);
}

static struct remote_id *last(struct remote *r)
{
    return &r->ids[r->count - 1];
}

void remote_init(struct remote *r, const struct remote_hooks *hooks, const struct clock *clock)
{
    *r = (struct remote){.hooks = *hooks, .clock = clock};
}

void remote_open(struct remote *r, uint64_t own, const char *dir)
{
    r->dir = dir;
    r->kept = dir && dir[0];
    const int err = r->kept ? load(r) : 0;
    if (err < 0 && err != NEFIA_ENOTFOUND)
        LOG_WARN("state_dir/" REMOTE_FILE " is ", err == NEFIA_EIO ? "unreadable" : "damaged",
                 ": what became of earlier commands is unknown");
    if (r->start_count == REMOTE_STARTS)
        drop_start(r, 0);
    r->starts[r->start_count++] = own;
    if (store(r) == 0)
        return;
    LOG_WARN("cannot write state_dir/" REMOTE_FILE ": ", ERRNO(errno), "; commands are not remembered over a restart");
    r->kept = false;
}

/* ---- A command ---- */

/** Say this of a command that is not the last one that began. */
static void answer(struct remote *r, uint64_t id, enum link_outcome outcome, const char *reason)
{
    struct text t;

    r->answers = true;
    r->answer = id;
    r->outcome = (uint8_t)outcome;
    text_init(&t, r->reason, sizeof r->reason);
    text_printable(&t, reason, strlen(reason));
}

/** The same of one that has not begun. */
static void refuse(struct remote *r, const struct link_command *c, enum link_outcome outcome, const char *reason)
{
    LOG_WARN("command ", HEX(c->id), ": ", word_at(link_outcome_words, outcome), reason[0] ? ": " : "", reason);
    r->ended[outcome]++;
    answer(r, c->id, outcome, reason);
}

static void recall(struct remote *r, const struct remote_id *e)
{
    if (e == last(r) && !e->earlier)
        r->asked = true;
    else
        answer(r, e->id, outcome_of(e), outcome_of(e) == LINK_END_UNKNOWN ? "the device was restarted meanwhile" : "");
}

static bool is_over(const struct remote *r, const struct link_command *c, uint64_t hello_ms)
{
    return c->life_ms == 0 || clock_ms(r->clock) >= hello_ms + c->age_ms + c->life_ms;
}

/** When its life is over whatever session it comes in: the hello of this one was longer on its way than that of another by what there is
 * for a welcome at most. In units of 1024 ms. */
static uint32_t latest(const struct link_command *c, uint64_t hello_ms)
{
    return (uint32_t)((hello_ms + c->age_ms + c->life_ms + LINK_WELCOME_MS) >> 10) + 1;
}

/** May it be one that was forgotten? */
static bool may_have_begun(const struct remote *r, const struct link_command *c, uint64_t hello_ms)
{
    return !covers(r, c->first) || (r->doubt && (is_over(r, c, hello_ms) || (uint32_t)(clock_ms(r->clock) >> 10) < r->doubt));
}

/** It is remembered from now on, as begun. Return: NEFIA_EIO (errno): it is not. */
static int note_begun(struct remote *r, uint64_t id, uint32_t until)
{
    if (r->count == REMOTE_IDS)
        forget_one(r);
    r->ids[r->count++] = (struct remote_id){.id = id, .until = until, .how = LINK_END_UNKNOWN};
    if (store(r) == 0)
        return 0;
    r->count--;
    return NEFIA_EIO;
}

static void note_ended(struct remote *r, enum link_outcome outcome)
{
    struct remote_id *e = last(r);

    r->running = false;
    e->how = (uint8_t)((e->how & REMOTE_TIMED_OUT) | outcome);
    if (store(r) < 0)
        LOG_ERROR("cannot write state_dir/" REMOTE_FILE ": ", ERRNO(errno), "; after a restart the end of command ", HEX(e->id),
                  " is unknown");
}

/** It is on disk as begun, which can have taken its time. */
static void start(struct remote *r, const struct link_command *c, uint64_t hello_ms, struct text *why)
{
    enum link_outcome outcome = LINK_EXPIRED;

    r->asked = r->running = true;
    r->since_ms = clock_ms(r->clock);
    r->output_len = 0;
    LOG_INFO("command ", HEX(c->id), " begins: ", r->what);
    if (!is_over(r, c, hello_ms))
        outcome = r->hooks.start(r->hooks.arg, why);
    if (outcome == LINK_DONE)
        return;
    note_ended(r, outcome);
    r->asked = false;
    refuse(r, c, outcome, why->buf);
}

static void begin(struct remote *r, const struct link_command *c, uint64_t hello_ms)
{
    char reason[LINK_REASON_MAX + 1], shown[REMOTE_WHAT + 1];
    struct text why, what;

    text_init(&why, reason, sizeof reason);
    text_init(&what, shown, sizeof shown);
    const enum link_outcome outcome = r->hooks.prepare(r->hooks.arg, c, &what, &why);
    if (outcome != LINK_DONE) {
        refuse(r, c, outcome, why.buf);
        return;
    }
    if (note_begun(r, c->id, latest(c, hello_ms)) < 0) {
        text_str(&why, "cannot write state_dir/" REMOTE_FILE ": ");
        text_str(&why, ERRNO(errno));
        refuse(r, c, LINK_UNSUPPORTED, why.buf);
        return;
    }
    memcpy(r->what, shown, sizeof r->what);
    start(r, c, hello_ms, &why);
}

void remote_take(struct remote *r, const struct link_command *c, uint64_t hello_ms)
{
    const struct remote_id *e = find(r, c->id);

    if (e)
        recall(r, e);
    else if (may_have_begun(r, c, hello_ms))
        refuse(r, c, LINK_END_UNKNOWN, "the device does not remember the commands of then");
    else if (is_over(r, c, hello_ms))
        refuse(r, c, LINK_EXPIRED, "");
    else if (!r->takes)
        refuse(r, c, LINK_UNSUPPORTED, "beacons.remote.enabled is false");
    else if (r->running || r->stopping)
        refuse(r, c, LINK_BUSY, r->stopping ? "the beacon is being stopped" : r->what);
    else
        begin(r, c, hello_ms);
}

void remote_ended(struct remote *r, const struct remote_end *end)
{
    struct remote_id *e = last(r);

    e->ms = capped(end->ms);
    e->bytes = capped(end->bytes);
    e->exit_code = end->exit_code;
    e->signal = end->signal;
    if (end->timed_out)
        e->how |= REMOTE_TIMED_OUT;
    r->output_len = end->output_len;
    LOG_INFO("command ", HEX(e->id), " ended: exit status ", DEC(e->exit_code), end->timed_out ? ", timed out" : "", " after ",
             DEC(e->ms), " ms");
    r->ended[LINK_DONE]++;
    note_ended(r, LINK_DONE);
}

/* ---- The session ---- */

static void fill(struct link_result *m, const struct remote_id *e)
{
    m->outcome = outcome_of(e);
    m->exit_code = e->exit_code;
    m->signal = e->signal;
    m->timed_out = e->how & REMOTE_TIMED_OUT;
    m->duration_ms = e->ms;
    m->output_total = e->bytes;
}

size_t remote_next(struct remote *r, struct link *l, char *buf, size_t most)
{
    struct link_result m = {.id = r->answer, .outcome = (enum link_outcome)r->outcome};
    struct text reason;

    text_init(&reason, m.reason, sizeof m.reason);
    if (r->answers) {
        const struct remote_id *e = find(r, r->answer);
        if (e)
            fill(&m, e);
        text_str(&reason, r->reason);
        r->answers = false;
    } else if (r->asked && !r->running) {
        m.id = last(r)->id;
        fill(&m, last(r));
        m.output = (struct slice){r->output, r->output_len};
        r->asked = false;
    } else {
        return 0;
    }
    const size_t len = link_beacon_result(l, &m, buf, most);
    r->sent_id = m.id;
    r->sent_line = (uint32_t)l->lines_out;
    return len;
}

void remote_acknowledged(struct remote *r, uint32_t line)
{
    struct remote_id *e = r->sent_line && line >= r->sent_line ? find(r, r->sent_id) : NULL;

    if (!e)
        return;
    e->how |= REMOTE_SETTLED;
    r->sent_line = 0;
}

void remote_lost(struct remote *r)
{
    r->asked = r->answers = false;
    r->sent_line = 0;
}

/* ---- status ---- */

void remote_put(const struct remote *r, struct json_writer *w)
{
    json_object(w, "remote");
    json_put_string(w, "state", r->running ? "running" : r->takes ? "idle" : "off");
    if (r->running) {
        json_put_string(w, "command", r->what);
        json_put_u64(w, "running_ms", clock_ms(r->clock) - r->since_ms);
    }
    json_put_bool(w, "kept", r->kept);
    for (unsigned i = 0; i <= LINK_BUSY; i++)
        json_put_u64(w, word_at(link_outcome_words, i), r->ended[i]);
    json_end_object(w);
}

void remote_put_id(const struct remote *r, unsigned index, struct json_writer *w)
{
    const struct remote_id *e = &r->ids[r->count - 1 - index];
    const bool runs = r->running && index == 0;

    json_object(w, NULL);
    json_put_string(w, "command", HEX(e->id));
    json_put_string(w, "state", runs ? "running" : word_at(link_outcome_words, outcome_of(e)));
    if (outcome_of(e) == LINK_DONE) {
        json_put_u64(w, "exit", e->exit_code);
        json_put_u64(w, "ms", e->ms);
        json_put_u64(w, "bytes", e->bytes);
        json_put_bool(w, "timed_out", e->how & REMOTE_TIMED_OUT);
    }
    json_put_bool(w, "acknowledged", e->how & REMOTE_SETTLED);
    json_end_object(w);
}
