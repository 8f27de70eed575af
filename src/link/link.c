#include "nefia/link/link.h"

#include <string.h>

#include "nefia/base/err.h"

enum { MOST_WINDOW = 65535, MOST_BYTES = 1 << 24, DEPTH = 4, DIGITS = 20 };

static const char *const auth_words[] = {"none", "shared", "host"};

/* ---- writing ---- */

static void put_members(struct json_writer *w, const struct link_message *m)
{
    if (m->kind == LINK_GREETING) {
        json_put_u64(w, "nefia", LINK_VERSION);
    } else {
        json_object(w, m->kind == LINK_ACK ? "ack" : "refused");
        if (m->kind == LINK_ACK) {
            json_put_u64(w, "boot", m->boot);
            json_put_u64(w, "seq", m->seq);
        }
        json_put_u64(w, "count", m->count);
        json_end_object(w);
    }
    json_put_string(w, "nonce", m->nonce);
    json_put_u64(w, "window", m->window);
    if (m->kind == LINK_GREETING) {
        json_put_u64(w, "span", LINK_SPAN);
        json_put_u64(w, "bytes", CONFIG_EVENT_BYTES);
        json_put_string(w, "auth", auth_words[m->auth]);
    }
}

void link_put(struct text *out, const struct link_message *m, const struct mac_key *key)
{
    struct json_writer w;
    size_t start = out->len;
    char hex[MAC_HEX];

    json_begin(&w, out);
    json_object(&w, NULL);
    put_members(&w, m);
    json_end_object(&w);
    size_t len = out->len - start;
    text_char(out, '\n');
    if (m->kind == LINK_GREETING && m->auth == LINK_AUTH_HOST)
        text_str(out, "-\n");
    if (!key || !key->set)
        return;
    mac_sign_hex(key, out->buf + start, len, hex);
    text_bytes(out, hex, sizeof hex);
    text_char(out, '\n');
}

/** Write v in decimal at p. Return: the end. */
static char *put_number(char *p, uint64_t v)
{
    struct text t;

    text_init(&t, p, DIGITS + 1);
    text_u64(&t, v);
    return p + t.len;
}

static char *put(char *p, const char *s)
{
    size_t len = strlen(s);

    memcpy(p, s, len);
    return p + len;
}

size_t link_stamp(char *buf, size_t len, const char *nonce, uint64_t count, uint64_t low)
{
    char *p = buf + len - 1; /* overwrites the closing brace */

    p = put(p, ",\"link\":{\"nonce\":\"");
    p = put(p, nonce);
    p = put(p, "\",\"count\":");
    p = put_number(p, count);
    p = put(p, ",\"low\":");
    p = put_number(p, low);
    p = put(p, "}}");
    return (size_t)(p - buf);
}

/* ---- reading ---- */

static bool is_nonce(struct slice s)
{
    for (size_t i = 0; i < s.len; i++)
        if (!((s.ptr[i] >= '0' && s.ptr[i] <= '9') || (s.ptr[i] >= 'a' && s.ptr[i] <= 'f')))
            return false;
    return s.len == LINK_NONCE_HEX;
}

static bool read_number(const struct json_doc *d, unsigned object, const char *name, uint64_t *v)
{
    int i = json_member(d, object, name);

    if (i < 0 || json_at(d, (unsigned)i)->type != JSON_NUMBER)
        return false;
    struct slice s = json_raw(d, (unsigned)i);
    return parse_u64(s.ptr, s.len, v) >= 0;
}

static bool read_nonce(const struct json_doc *d, unsigned object, struct slice *nonce)
{
    int i = json_member(d, object, "nonce");

    if (i < 0 || json_at(d, (unsigned)i)->type != JSON_STRING)
        return false;
    *nonce = json_raw(d, (unsigned)i);
    return is_nonce(*nonce);
}

bool link_stamp_read(struct link_stamp *s, const struct event *e)
{
    const struct json_doc *d = &e->doc;

    return e->has_seq && e->link_token != 0 && read_nonce(d, e->link_token, &s->nonce) &&
           read_number(d, e->link_token, "count", &s->count) &&
           read_number(d, e->link_token, "low", &s->low);
}

static int read_greeting(struct link_message *m, const struct json_doc *d)
{
    uint64_t version, span, bytes;
    int auth = json_member(d, 0, "auth");

    if (!read_number(d, 0, "nefia", &version))
        return NEFIA_EINVAL;
    if (version != LINK_VERSION)
        return NEFIA_ENOTSUP;
    if (!read_number(d, 0, "span", &span) || span < 1 || span > MOST_WINDOW)
        return NEFIA_EINVAL;
    if (!read_number(d, 0, "bytes", &bytes) || bytes < 1 || bytes > MOST_BYTES)
        return NEFIA_EINVAL;
    m->version = (unsigned)version;
    m->span = (unsigned)span;
    m->bytes = (unsigned)bytes;
    for (unsigned i = 0; auth >= 0 && i < ARRAY_SIZE(auth_words); i++)
        if (slice_eq(json_raw(d, (unsigned)auth), auth_words[i])) {
            m->auth = (enum link_auth)i;
            return 0;
        }
    return NEFIA_EINVAL;
}

int link_read(struct link_message *m, const char *line, size_t len, struct json_token *tokens)
{
    struct json_doc d;
    struct slice nonce;
    uint64_t window;

    *m = (struct link_message){.kind = LINK_GREETING};
    if (json_parse(&d, line, len, tokens, LINK_TOKENS, DEPTH, NULL) < 0)
        return NEFIA_ESYNTAX;
    if (!read_nonce(&d, 0, &nonce) || !read_number(&d, 0, "window", &window) ||
        window > MOST_WINDOW)
        return NEFIA_EINVAL;
    memcpy(m->nonce, nonce.ptr, nonce.len);
    m->window = (unsigned)window;
    int ack = json_member(&d, 0, "ack"), refused = json_member(&d, 0, "refused");
    if (ack < 0 && refused < 0)
        return read_greeting(m, &d);
    if (ack < 0) {
        m->kind = LINK_REFUSAL;
        return read_number(&d, (unsigned)refused, "count", &m->count) ? 0 : NEFIA_EINVAL;
    }
    m->kind = LINK_ACK;
    if (!read_number(&d, (unsigned)ack, "boot", &m->boot) ||
        !read_number(&d, (unsigned)ack, "seq", &m->seq) ||
        !read_number(&d, (unsigned)ack, "count", &m->count))
        return NEFIA_EINVAL;
    return 0;
}
