#include "nefia/link/link.h"

#include <bearssl_hash.h>
#include <string.h>

#include "nefia/base/err.h"
#include "nefia/base/wipe.h"

#include "link_int.h"

const char link_feature_words[] = "exec\0";
const char link_outcome_words[] = "done\0denied\0expired\0unknown\0unsupported\0busy\0";

/* ---- Lines ---- */

void link_init(struct link *l, bool is_signed, uint64_t deadline_ms)
{
    *l = (struct link){.is_signed = is_signed, .deadline_ms = deadline_ms};
}

void link_wipe(struct link *l)
{
    mac_key_wipe(&l->in);
    mac_key_wipe(&l->out);
    l->state = LINK_OVER;
}

long link_cut(const char *s, size_t len, size_t most, bool with_signature, struct link_unit *u)
{
    const size_t limit = len < most + 1 ? len : most + 1;
    const char *end = memchr(s, '\n', limit);

    if (!end)
        return limit > most ? NEFIA_ETOOBIG : 0;
    *u = (struct link_unit){.line = {s, (size_t)(end - s)}};
    if (!with_signature)
        return (long)u->line.len + 1;
    const char *sig = end + 1;
    const size_t rest = len - u->line.len - 1, wanted = rest < MAC_HEX + 1 ? rest : MAC_HEX + 1;
    end = memchr(sig, '\n', wanted);
    if (!end && wanted < MAC_HEX + 1)
        return 0;
    u->sig = (struct slice){sig, end ? (size_t)(end - sig) : wanted};
    return (long)(u->line.len + 1 + u->sig.len + (end ? 1 : 0));
}

int link_verify(struct link *l, const struct link_unit *u)
{
    int err = 0;

    if (l->is_signed)
        err = mac_verify_line(&l->in, l->lines_in + 1, u->line.ptr, u->line.len, u->sig.ptr,
                              u->sig.len);
    if (err < 0)
        l->state = LINK_OVER;
    else
        l->lines_in++;
    return err;
}

/* ---- Keys ---- */

static void sha256(struct slice s, uint8_t out[br_sha256_SIZE])
{
    br_sha256_context sha;

    br_sha256_init(&sha);
    br_sha256_update(&sha, s.ptr, s.len);
    br_sha256_out(&sha, out);
}

void link_greeted(struct link *l, struct slice greeting)
{
    sha256(greeting, l->greeting);
}

/** The label's NUL is part of what is signed. */
static void derive(struct mac_key *to, const struct mac_key *key, const char *label,
                   const uint8_t hashes[2 * br_sha256_SIZE])
{
    uint8_t input[16 + 2 * br_sha256_SIZE], secret[MAC_BYTES];
    const size_t len = strlen(label) + 1;

    memcpy(input, label, len);
    memcpy(input + len, hashes, 2 * br_sha256_SIZE);
    mac_sign(key, input, len + 2 * br_sha256_SIZE, secret);
    (void)mac_key_set(to, secret, sizeof secret); /* its length is in range */
    wipe(secret, sizeof secret);
}

void link_derive(const struct link *l, const struct mac_key *key, struct slice hello,
                 struct mac_key *up, struct mac_key *down)
{
    uint8_t hashes[2 * br_sha256_SIZE];

    memcpy(hashes, l->greeting, sizeof l->greeting);
    sha256(hello, hashes + br_sha256_SIZE);
    derive(up, key, "nefia 2 up", hashes);
    derive(down, key, "nefia 2 down", hashes);
}

/* ---- Writing ---- */

size_t link_end(struct link *l, char *buf, size_t len)
{
    const bool is_signed = l->out.set;

    l->lines_out++;
    if (is_signed)
        mac_sign_line(&l->out, l->lines_out, buf, len, buf + len + 1);
    buf[len++] = '\n';
    if (!is_signed)
        return len;
    len += MAC_HEX;
    buf[len++] = '\n';
    return len;
}

struct json_writer link_begin(struct text *out)
{
    struct json_writer w;

    json_begin(&w, out);
    json_object(&w, NULL);
    return w;
}

void link_finish(struct link *l, struct json_writer *w, size_t start)
{
    struct text *out = w->out;

    json_end_object(w);
    out->len = start + link_end(l, out->buf + start, out->len - start);
    out->buf[out->len] = '\0';
}

/** Append a reason: our own words, or cut and made harmless. */
void link_put_reason(struct json_writer *w, const char *reason)
{
    size_t len = strlen(reason);

    json_put_bytes(w, "reason", reason, utf8_cut(reason, len, LINK_REASON_MAX));
}

void link_put_id(struct json_writer *w, uint64_t id)
{
    json_put_hex64(w, "id", id);
}

void link_put_escaped(struct json_writer *w, const char *key, struct slice s, size_t room)
{
    json_put_raw(w, key, "\"\"", 2);
    if (w->out->truncated)
        return;
    text_rewind(w->out, w->out->len - 1);
    (void)json_escape(w->out, s.ptr, s.len, room);
    text_char(w->out, '"');
}

uint8_t link_put_features(struct json_writer *w, unsigned features, bool is_signed)
{
    uint8_t named = 0;

    json_array(w, "features");
    for (unsigned i = 0; is_signed && i < LINK_FEATURES; i++) {
        if (!(features & 1u << i))
            continue;
        json_put_string(w, NULL, word_at(link_feature_words, i));
        named |= (uint8_t)(1u << i);
    }
    json_end_array(w);
    return named;
}

void link_put_error(struct link *l, const char *reason, struct text *out)
{
    const size_t start = out->len;
    struct json_writer w = link_begin(out);

    json_object(&w, "error");
    link_put_reason(&w, reason);
    json_end_object(&w);
    link_finish(l, &w, start);
    l->state = LINK_OVER;
}

/* ---- Reading ---- */

/** i: negative: absent. */
static bool number_at(const struct json_doc *d, int i, uint64_t most, uint64_t *v)
{
    if (i < 0 || json_at(d, (unsigned)i)->type != JSON_NUMBER)
        return false;
    struct slice s = json_raw(d, (unsigned)i);
    return parse_u64(s.ptr, s.len, v) >= 0 && *v <= most;
}

static bool hex_at(const struct json_doc *d, int i, uint8_t *out, size_t n)
{
    if (i < 0 || json_at(d, (unsigned)i)->type != JSON_STRING)
        return false;
    struct slice s = json_raw(d, (unsigned)i);
    return s.len == 2 * n && parse_hex(s.ptr, s.len, out, n) >= 0;
}

bool link_read_number(const struct json_doc *d, unsigned object, const char *name, uint64_t most,
                      uint64_t *v)
{
    return number_at(d, json_member(d, object, name), most, v);
}

bool link_read_hex(const struct json_doc *d, unsigned object, const char *name, uint8_t *out,
                   size_t n)
{
    return hex_at(d, json_member(d, object, name), out, n);
}

int link_parse(struct json_doc *d, struct slice line, struct json_token *tokens, unsigned cap)
{
    if (json_parse(d, line.ptr, line.len, tokens, cap, LINK_DEPTH, NULL) < 0 ||
        json_at(d, 0)->type != JSON_OBJECT)
        return NEFIA_ESYNTAX;
    return 0;
}

/** Into reason, printable and cut; "" where there is none. */
static void read_reason(char reason[LINK_REASON_MAX + 1], const struct json_doc *d, unsigned object)
{
    char raw[LINK_REASON_MAX + 1];
    int i = json_member(d, object, "reason");
    struct text t;

    reason[0] = '\0';
    text_init(&t, raw, sizeof raw);
    if (i < 0 || json_string(d, (unsigned)i, &t) == NEFIA_EINVAL)
        return;
    size_t len = t.len;
    text_init(&t, reason, LINK_REASON_MAX + 1);
    text_printable(&t, raw, len);
}

unsigned link_read_features(const struct json_doc *d, unsigned object)
{
    const int list = json_member(d, object, "features");
    unsigned features = 0;

    if (list < 0 || json_at(d, (unsigned)list)->type != JSON_ARRAY)
        return 0;
    const unsigned end = json_at(d, (unsigned)list)->next;
    for (unsigned i = (unsigned)list + 1; i < end; i = json_at(d, i)->next) {
        const int word = json_at(d, i)->type == JSON_STRING ? word_index(link_feature_words, json_raw(d, i)) : -1;
        if (word >= 0)
            features |= 1u << word;
    }
    return features;
}

/** [boot, highest, "name"] */
static bool read_start(struct link_start *s, const struct json_doc *d, unsigned array)
{
    const int boot = (int)array + 1;

    return json_at(d, array)->type == JSON_ARRAY && json_at(d, array)->size == 3 &&
           number_at(d, boot, UINT64_MAX, &s->boot) &&
           number_at(d, boot + 1, UINT64_MAX, &s->highest) &&
           hex_at(d, boot + 2, s->name, LINK_NAME);
}

static bool read_starts(struct link_welcome *w, const struct json_doc *d, unsigned object)
{
    int list = json_member(d, object, "starts");

    if (list < 0 || json_at(d, (unsigned)list)->type != JSON_ARRAY ||
        json_at(d, (unsigned)list)->size > LINK_STARTS)
        return false;
    const unsigned end = json_at(d, (unsigned)list)->next;
    for (unsigned i = (unsigned)list + 1; i < end; i = json_at(d, i)->next)
        if (!read_start(&w->starts[w->start_count++], d, i))
            return false;
    return true;
}

static bool read_window(struct link_message *m, const struct json_doc *d, unsigned object)
{
    uint64_t window;

    if (!link_read_number(d, object, "window", LINK_WINDOW_MAX, &window))
        return false;
    m->window = (unsigned)window;
    return true;
}

static bool read_welcome(struct link_message *m, const struct json_doc *d, unsigned object)
{
    struct link_welcome *w = &m->welcome;
    uint64_t bytes;

    if (!read_starts(w, d, object) || !read_window(m, d, object) ||
        !link_read_number(d, object, "bytes", LINK_BYTES_MAX, &bytes) || bytes < LINK_BYTES_MIN)
        return false;
    w->window = m->window;
    w->bytes = (unsigned)bytes;
    w->features = link_read_features(d, object);
    return true;
}

/** An acknowledgement or a refusal; object is its inner one. */
static bool read_verdict(struct link_message *m, const struct json_doc *d, unsigned object)
{
    read_reason(m->reason, d, object);
    return link_read_number(d, object, "line", UINT64_MAX, &m->line) && read_window(m, d, 0);
}

static bool read_id(const struct json_doc *d, unsigned object, uint64_t *id)
{
    uint8_t bytes[8];

    if (!link_read_hex(d, object, "id", bytes, sizeof bytes))
        return false;
    *id = get_be64(bytes);
    return true;
}

/** The raw value of a member of that type. Return: false: it is of another one. Absent: *s is empty. */
static bool read_raw(const struct json_doc *d, unsigned object, const char *name, unsigned type, struct slice *s)
{
    const int i = json_member(d, object, name);

    if (i < 0)
        return true;
    *s = json_raw(d, (unsigned)i);
    return json_at(d, (unsigned)i)->type == type;
}

static bool read_cause(const struct json_doc *d, unsigned object, struct slice *cause)
{
    const int i = json_member(d, object, "cause");

    return i < 0 || event_cause(d, (unsigned)i, cause);
}

/** A message of the other direction. */
static bool not_for_us(struct link_message *m)
{
    m->kind = LINK_UNKNOWN;
    return true;
}

bool link_read_command(struct link_message *m, const struct json_doc *d, unsigned object)
{
    struct link_command *c = &m->command;

    if (m->kind != LINK_COMMAND)
        return not_for_us(m);
    return read_id(d, object, &c->id) && link_read_number(d, object, "first", LINK_BOOT_END - 1, &c->first) &&
           link_read_number(d, object, "age_ms", LINK_TIME_MAX, &c->age_ms) &&
           link_read_number(d, object, "life_ms", LINK_TIME_MAX, &c->life_ms) &&
           read_raw(d, object, "op", JSON_OBJECT, &c->op) && (c->op.len > 0 || c->life_ms == 0) &&
           read_cause(d, object, &c->cause);
}

/** A number that may be absent: then it is 0. */
static bool read_optional(const struct json_doc *d, unsigned object, const char *name, uint64_t most, uint64_t *v)
{
    const int i = json_member(d, object, name);

    *v = 0;
    return i < 0 || number_at(d, i, most, v);
}

bool link_read_result(struct link_message *m, const struct json_doc *d, unsigned object)
{
    struct link_result *r = &m->result;
    uint64_t exit_code, signal;
    struct slice state = {"", 0};

    if (m->kind != LINK_RESULT)
        return not_for_us(m);
    if (!read_id(d, object, &r->id) || !read_raw(d, object, "state", JSON_STRING, &state))
        return false;
    const int outcome = word_index(link_outcome_words, state);
    if (outcome < 0 || !read_optional(d, object, "exit", UINT8_MAX, &exit_code) ||
        !read_optional(d, object, "signal", UINT8_MAX, &signal) ||
        !read_optional(d, object, "ms", UINT64_MAX, &r->duration_ms) ||
        !read_optional(d, object, "bytes", UINT64_MAX, &r->output_total) ||
        !read_raw(d, object, "output", JSON_STRING, &r->output))
        return false;
    const int late = json_member(d, object, "timed_out");
    r->timed_out = late >= 0 && json_at(d, (unsigned)late)->type == JSON_TRUE;
    r->outcome = (enum link_outcome)outcome;
    r->exit_code = (uint8_t)exit_code;
    r->signal = (uint8_t)signal;
    read_reason(r->reason, d, object);
    return outcome != LINK_DONE || json_member(d, object, "exit") >= 0;
}

void link_result_output(const struct link_result *r, struct text *to)
{
    /* The string's inside, of which json_string wants a token. */
    const struct json_token token = {.type = JSON_STRING, .escaped = 1, .end = (uint32_t)r->output.len};
    const struct json_doc d = {r->output.ptr, &token, 1};

    if (r->output.len > 0)
        (void)json_string(&d, 0, to); /* what fits */
}

/** What each kind has, beside its name. */
static bool read_kind(struct link_message *m, const struct json_doc *d, unsigned object, link_more *more)
{
    if (m->kind == LINK_WELCOME)
        return read_welcome(m, d, object);
    if (m->kind == LINK_ACK || m->kind == LINK_REFUSED)
        return read_verdict(m, d, object);
    if (m->kind > LINK_ERROR)
        return more(m, d, object);
    if (m->kind == LINK_ERROR)
        read_reason(m->reason, d, object);
    return true;
}

int link_read(struct link_message *m, struct slice line, struct json_token *tokens, unsigned cap, link_more *more)
{
    static const char names[] = "unsure\0welcome\0ack\0refused\0error\0command\0result\0"; /* from LINK_UNSURE on */
    struct json_doc d;
    int object = NEFIA_ENOTFOUND;

    *m = (struct link_message){.kind = LINK_UNKNOWN};
    int err = link_parse(&d, line, tokens, cap);
    if (err < 0)
        return err;
    for (unsigned kind = LINK_UNSURE; object < 0 && kind <= (more ? LINK_RESULT : LINK_ERROR); kind++) {
        object = json_member(&d, 0, word_at(names, kind - LINK_UNSURE));
        if (object >= 0)
            m->kind = (enum link_kind)kind;
    }
    if (m->kind == LINK_UNKNOWN)
        return 0;
    const unsigned o = (unsigned)object;
    if (json_at(&d, o)->type != JSON_OBJECT)
        return NEFIA_EINVAL;
    return read_kind(m, &d, o, more) ? 0 : NEFIA_EINVAL;
}
