#include "nefia/event/event.h"

#include <string.h>

#include "nefia/base/err.h"
#include "nefia/base/kconfig.h"

const char severity_words[] = "info\0warning\0critical\0";

const char *severity_text(enum severity s)
{
    return word_at(severity_words, s);
}

int severity_parse(const char *s, size_t len)
{
    return word_index(severity_words, (struct slice){s, len});
}

/* ---- Encoding ---- */

/** Write a name as readers accept it: UTF-8 without control characters, at most max bytes. */
static void put_name(struct json_writer *w, const char *key, const char *s, size_t max)
{
    char buf[EVENT_HOST_MAX + 1];
    size_t len = strlen(s);
    struct text t;

    text_init(&t, buf, max + 1);
    for (size_t i = 0; i < len && !t.truncated;) {
        uint32_t cp;
        int n = utf8_decode(s + i, len - i, &cp);

        if (n > 0 && !utf8_is_control(cp))
            text_bytes(&t, s + i, (size_t)n);
        else
            text_str(&t, "\xEF\xBF\xBD");
        i += n > 0 ? (size_t)n : 1;
    }
    json_put_bytes(w, key, t.buf, t.len);
}

static void put_line(struct text *out, const struct event_head *h, const char *data, size_t len)
{
    char stamp[32];
    struct json_writer w;
    struct text t;

    text_init(&t, stamp, sizeof stamp);
    text_rfc3339(&t, h->unix_s);
    json_begin(&w, out);
    json_object(&w, NULL);
    put_name(&w, "type", h->type, EVENT_TYPE_MAX);
    put_name(&w, "source", h->source, EVENT_SOURCE_MAX);
    put_name(&w, "host_id", h->host_id, EVENT_HOST_MAX);
    json_put_bytes(&w, "timestamp", t.buf, t.len);
    json_put_string(&w, "severity", severity_text(h->severity));
    json_put_raw(&w, "data", data, len);
    json_put_u64(&w, "seq", h->seq);
    json_put_u64(&w, "boot", h->boot);
    json_put_u64(&w, "uptime_ms", h->uptime_ms);
    json_put_string(&w, "clock", h->synced ? "synced" : "unsynced");
    if (h->suppressed)
        json_put_u64(&w, "suppressed", h->suppressed);
    if (!IS_ENABLED(CONFIG_SMALL_BEACON) && h->cause.len > 0) /* a small one runs nothing that has a cause */
        json_put_raw(&w, "cause", h->cause.ptr, h->cause.len);
    json_end_object(&w);
}

static bool is_name(const char *s)
{
    return s && *s;
}

int event_encode(struct text *out, const struct event_head *h, const char *data, size_t len)
{
    size_t start = out->len;

    if (!is_name(h->type) || !is_name(h->source) || !is_name(h->host_id))
        return NEFIA_EINVAL;
    if ((unsigned)h->severity >= SEVERITY_COUNT)
        return NEFIA_EINVAL;
    if (len < 2 || data[0] != '{' || data[len - 1] != '}' || memchr(data, '\n', len))
        return NEFIA_EINVAL;
    put_line(out, h, data, len);
    if (out->truncated || out->len - start > CONFIG_EVENT_BYTES) {
        text_rewind(out, start);
        put_line(out, h, EVENT_CUT_DATA, sizeof EVENT_CUT_DATA - 1);
    }
    if (out->truncated || out->len - start > CONFIG_EVENT_BYTES) {
        text_rewind(out, start);
        return NEFIA_ETOOBIG;
    }
    return (int)(out->len - start);
}

static bool is_marked(const struct text *t)
{
    const char *mark = EVENT_CUT_DATA + 1; /* without the braces */
    const size_t len = sizeof EVENT_CUT_DATA - 3;

    for (size_t i = 0; i + len <= t->len; i++)
        if (memcmp(t->buf + i, mark, len) == 0)
            return true;
    return false;
}

void event_put_text(struct json_writer *data, const char *key, const char *s, size_t len,
                    size_t room)
{
    struct text *out = data->out;
    size_t taken;

    json_put_raw(data, key, "\"\"", 2);
    if (out->truncated)
        return;
    text_rewind(out, out->len - 1);
    taken = json_escape(out, s, len, room);
    text_char(out, '"');
    /* Members are unique: mark only once. */
    if (taken < len && !out->truncated && !is_marked(out))
        json_put_bool(data, "truncated", true);
}

/* ---- Decoding ---- */

enum member {
    TYPE,
    SOURCE,
    HOST_ID,
    TIMESTAMP,
    SEVERITY,
    DATA,
    REQUIRED,
    SEQ = REQUIRED,
    BOOT,
    CLOCK,
    CAUSE,
    MEMBERS
};

/** A known member, with the messages for its absence and for an invalid value. */
static const struct {
    const char *name;
    size_t len; /* of the name, precomputed: compared for every member of every event */
    const char *missing, *malformed;
} members[MEMBERS] = {
    [TYPE] = {"type", 4, "event lacks member \"type\"",
              "\"type\" is not text of 1 to 128 bytes" REMEDY(" without control characters")},
    [SOURCE] = {"source", 6, "event lacks member \"source\"",
                "\"source\" is not text of 1 to 128 bytes" REMEDY(" without control characters")},
    [HOST_ID] = {"host_id", 7, "event lacks member \"host_id\"",
                 "\"host_id\" is not text of 1 to 255 bytes" REMEDY(" without control characters")},
    [TIMESTAMP] = {"timestamp", 9, "event lacks member \"timestamp\"",
                   "\"timestamp\" is not an RFC 3339 time such as \"2026-03-10T15:30:00Z\""},
    [SEVERITY] = {"severity", 8, "event lacks member \"severity\"",
                  "\"severity\" is not one of \"info\", \"warning\", \"critical\""},
    [DATA] = {"data", 4, "event lacks member \"data\"", "\"data\" is not an object"},
    [SEQ] = {"seq", 3, NULL, NULL},
    [BOOT] = {"boot", 4, NULL, NULL},
    [CLOCK] = {"clock", 5, NULL, NULL},
    [CAUSE] = {"cause", 5, NULL, "\"cause\" is not a list of names of at most " LITERAL(EVENT_CAUSE_MAX) " bytes"},
};

struct decoder {
    struct event *out;
    struct text scratch; /* the unused part of the caller's buffer */
    unsigned seen;       /* bitmap of enum member */
};

/** The enum member named by this key, or MEMBERS. */
static unsigned member_of(const struct json_doc *doc, unsigned key)
{
    const struct json_token *token = json_at(doc, key);
    struct slice name = json_raw(doc, key);
    char buf[16];

    if (token->escaped) {
        struct text t;

        text_init(&t, buf, sizeof buf);
        if (json_string(doc, key, &t) < 0)
            return MEMBERS;
        name = (struct slice){t.buf, t.len};
    }
    for (unsigned m = 0; m < MEMBERS; m++)
        if (name.len == members[m].len && name.ptr[0] == members[m].name[0] &&
            memcmp(name.ptr, members[m].name, name.len) == 0)
            return m;
    return MEMBERS;
}

/** Text of string `value`: in place, or unescaped into the scratch buffer. */
static int take_string(struct decoder *d, unsigned value, size_t max, struct slice *s)
{
    const struct json_doc *doc = &d->out->doc;
    const struct json_token *token = json_at(doc, value);
    struct text t;
    int err;

    if (token->type != JSON_STRING)
        return NEFIA_EINVAL;
    *s = json_raw(doc, value);
    if (!token->escaped)
        return s->len <= max ? 0 : NEFIA_ETOOBIG;
    text_init(&t, d->scratch.buf, max + 1 < d->scratch.cap ? max + 1 : d->scratch.cap);
    err = json_string(doc, value, &t);
    if (err < 0)
        return err;
    *s = (struct slice){t.buf, t.len};
    text_init(&d->scratch, t.buf + t.len + 1, d->scratch.cap - t.len - 1);
    return 0;
}

/** s is valid UTF-8: the whole line is. */
static bool has_control(struct slice s)
{
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.ptr[i];

        /* C1 is C2 80..C2 9F in UTF-8. */
        if (c < 0x20 || c == 0x7F ||
            (c == 0xC2 && i + 1 < s.len && (unsigned char)s.ptr[i + 1] < 0xA0))
            return true;
    }
    return false;
}

static int take_name(struct decoder *d, unsigned value, size_t max, struct slice *s)
{
    int err = take_string(d, value, max, s);

    if (err < 0)
        return err;
    return s->len > 0 && !has_control(*s) ? 0 : NEFIA_EINVAL;
}

static int take_timestamp(struct decoder *d, unsigned value)
{
    struct slice s;
    int err = take_string(d, value, EVENT_STAMP_MAX, &s);

    if (err == NEFIA_ETOOBIG)
        return NEFIA_EINVAL;
    return err < 0 ? err : parse_rfc3339(s.ptr, s.len, &d->out->unix_s);
}

static int take_severity(struct decoder *d, unsigned value)
{
    struct slice s;
    int err = take_string(d, value, EVENT_STAMP_MAX, &s);

    err = err < 0 ? NEFIA_EINVAL : severity_parse(s.ptr, s.len);
    if (err < 0)
        return err;
    d->out->severity = (enum severity)err;
    return 0;
}

static int take_data(struct decoder *d, unsigned value)
{
    if (json_at(&d->out->doc, value)->type != JSON_OBJECT)
        return NEFIA_EINVAL;
    d->out->data = json_raw(&d->out->doc, value);
    d->out->data_token = value;
    return 0;
}

/** seq and boot are optional: anything but an unsigned integer counts as absent. */
static void take_count(struct decoder *d, unsigned m, unsigned value, uint64_t *v)
{
    struct slice s = json_raw(&d->out->doc, value);

    if (json_at(&d->out->doc, value)->type != JSON_NUMBER || parse_u64(s.ptr, s.len, v) < 0)
        d->seen &= ~(1u << m);
}

bool event_cause(const struct json_doc *d, unsigned i, struct slice *cause)
{
    *cause = json_raw(d, i);
    if (json_at(d, i)->type != JSON_ARRAY || cause->len > EVENT_CAUSE_MAX)
        return false;
    for (unsigned at = i + 1, end = json_at(d, i)->next; at < end; at++)
        if (json_at(d, at)->type != JSON_STRING)
            return false;
    return true;
}

static int take_cause(struct event *e, unsigned value)
{
    if (json_at(&e->doc, value)->type != JSON_ARRAY)
        return 0;
    return event_cause(&e->doc, value, &e->cause) ? 0 : NEFIA_EINVAL;
}

static int take_member(struct decoder *d, unsigned m, unsigned value)
{
    struct event *e = d->out;

    switch (m) {
    case TYPE:
        return take_name(d, value, EVENT_TYPE_MAX, &e->type);
    case SOURCE:
        return take_name(d, value, EVENT_SOURCE_MAX, &e->source);
    case HOST_ID:
        return take_name(d, value, EVENT_HOST_MAX, &e->host_id);
    case TIMESTAMP:
        return take_timestamp(d, value);
    case SEVERITY:
        return take_severity(d, value);
    case DATA:
        return take_data(d, value);
    case SEQ:
        take_count(d, m, value, &e->seq);
        return 0;
    case BOOT:
        take_count(d, m, value, &e->boot);
        return 0;
    case CAUSE:
        return take_cause(e, value);
    default:
        e->unsynced = json_at(&e->doc, value)->type == JSON_STRING &&
                      slice_eq(json_raw(&e->doc, value), "unsynced");
        return 0;
    }
}

static int refuse(const char **why, const char *sentence, int err)
{
    if (why)
        *why = sentence;
    return err;
}

/** Decode the root's members in one pass. */
static int take_members(struct decoder *d, const char **why)
{
    const struct json_doc *doc = &d->out->doc;
    unsigned end = json_at(doc, 0)->next;
    int err = 0;

    for (unsigned key = 1; key < end; key = json_at(doc, key + 1)->next) {
        unsigned m = member_of(doc, key);

        d->out->has_type |= m == TYPE; /* wherever it is: it tells an event from a message */
        if (m == MEMBERS || err < 0)
            continue;
        d->seen |= 1u << m;
        err = take_member(d, m, key + 1);
        if (err < 0)
            (void)refuse(why, members[m].malformed, err);
    }
    if (err < 0)
        return err;
    for (unsigned m = 0; m < REQUIRED; m++)
        if (!(d->seen & 1u << m))
            return refuse(why, members[m].missing, NEFIA_EINVAL);
    d->out->has_seq = d->seen & 1u << SEQ && d->seen & 1u << BOOT;
    return 0;
}

int event_decode(struct event *out, const char *line, size_t len, struct json_token *tokens,
                 unsigned cap, char *scratch, const char **why)
{
    struct decoder d = {.out = out};
    struct json_error problem;
    int err;

    *out = (struct event){.line = {line, len}};
    if (why)
        *why = NULL;
    if (len > CONFIG_EVENT_BYTES)
        return refuse(why, "line exceeds CONFIG_EVENT_BYTES", NEFIA_ETOOBIG);
    err = IS_ENABLED(CONFIG_JSON_FAST)
              ? json_parse_fast(&out->doc, line, len, tokens, cap, EVENT_DEPTH, &problem)
              : json_parse(&out->doc, line, len, tokens, cap, EVENT_DEPTH, &problem);
    if (err < 0)
        return refuse(why, problem.what, err);
    if (json_at(&out->doc, 0)->type != JSON_OBJECT)
        return refuse(why, "event is not a JSON object", NEFIA_EINVAL);
    text_init(&d.scratch, scratch, EVENT_SCRATCH);
    return take_members(&d, why);
}
