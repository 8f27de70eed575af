#include <string.h>

#include "link_int.h"
#include "nefia/base/err.h"

int link_beacon_greeting(struct link *l, struct slice line)
{
    struct json_token tokens[LINK_TOKENS];
    uint8_t nonce[LINK_NONCE];
    struct json_doc d;
    uint64_t version;

    if (link_parse(&d, line, tokens, LINK_TOKENS) < 0)
        return NEFIA_ESYNTAX;
    if (!link_read_number(&d, 0, "nefia", UINT64_MAX, &version))
        return NEFIA_EINVAL;
    if (version != LINK_VERSION)
        return NEFIA_ENOTSUP;
    if (!link_read_hex(&d, 0, "nonce", nonce, LINK_NONCE))
        return NEFIA_EINVAL;
    link_greeted(l, line);
    return 0;
}

/** Return: the features named. */
static uint8_t put_hello(const struct link_hello *h, bool is_signed, struct text *out)
{
    struct json_writer w = link_begin(out);

    json_object(&w, "hello");
    json_put_string(&w, "host_id", h->host_id);
    json_put_hex(&w, "nonce", h->nonce, LINK_NONCE);
    json_put_u64(&w, "boot", h->boot);
    json_put_bool(&w, "plain", h->plain);
    const uint8_t features = link_put_features(&w, h->features, is_signed);
    json_end_object(&w);
    json_end_object(&w);
    return features;
}

void link_beacon_hello(struct link *l, const struct mac_key *key, const struct link_hello *h,
                       uint64_t deadline_ms, struct text *out)
{
    const size_t start = out->len;

    l->features = put_hello(h, key->set, out);
    const struct slice line = {out->buf + start, out->len - start};
    if (key->set)
        link_derive(l, key, line, &l->out, &l->in);
    out->len = start + link_end(l, out->buf + start, line.len);
    l->state = LINK_HELLO;
    l->deadline_ms = deadline_ms;
}

size_t link_beacon_end(struct link *l, char *buf, size_t len)
{
    return link_end(l, buf, len);
}

size_t link_beacon_unsure(struct link *l, char *buf)
{
    static const char line[] = "{\"unsure\":{}}";

    _Static_assert(LINK_UNSURE_BYTES == sizeof line - 1 + MAC_HEX + 2, "its length is in the header");
    memcpy(buf, line, sizeof line - 1);
    return link_end(l, buf, sizeof line - 1);
}

static void put_outcome(struct json_writer *w, const struct link_result *r)
{
    json_put_u64(w, "exit", r->exit_code);
    if (r->signal)
        json_put_u64(w, "signal", r->signal);
    if (r->timed_out)
        json_put_bool(w, "timed_out", true);
    json_put_u64(w, "ms", r->duration_ms);
    json_put_u64(w, "bytes", r->output_total);
}

size_t link_beacon_result(struct link *l, const struct link_result *r, char *buf, size_t most)
{
    enum { ENDS = sizeof ",\"output\":\"\"}}" - 1 };
    struct json_writer w;
    struct text t;

    text_init(&t, buf, most + 1);
    w = link_begin(&t);
    json_object(&w, "result");
    link_put_id(&w, r->id);
    json_put_string(&w, "state", word_at(link_outcome_words, r->outcome));
    if (r->outcome == LINK_DONE)
        put_outcome(&w, r);
    if (r->reason[0])
        link_put_reason(&w, r->reason);
    if (r->output.len > 0)
        link_put_escaped(&w, "output", r->output, most - t.len - ENDS);
    json_end_object(&w);
    json_end_object(&w);
    return link_end(l, buf, t.len);
}

static int over(struct link *l, const char **why, const char *sentence, int err)
{
    *why = sentence;
    l->state = LINK_OVER;
    return err;
}

/** Something that nobody signed: a hub that cannot welcome us says why like this. */
static int unproved(struct link *l, const struct link_unit *u, struct link_message *m,
                    link_more *more, const char **why, int err)
{
    struct json_token tokens[LINK_TOKENS];
    const bool welcomed = l->lines_in > 0;

    if (!welcomed && link_read(m, u->line, tokens, LINK_TOKENS, more) == 0 && m->kind == LINK_ERROR)
        return over(l, why, "refused by the hub (unsigned)", NEFIA_EAUTH);
    m->kind = LINK_UNKNOWN;
    return over(l, why, "message of the hub is not signed with this beacon's key", err);
}

/** Is the message one that may come now? */
static int check(struct link *l, const struct link_message *m, const char **why)
{
    if (l->state == LINK_HELLO && m->kind == LINK_WELCOME) {
        l->state = LINK_OPEN;
        l->settled = 1; /* the hello */
        l->features &= (uint8_t)m->welcome.features;
        return 0;
    }
    if (m->kind == LINK_WELCOME)
        return over(l, why, "second welcome", NEFIA_EINVAL);
    if (m->kind == LINK_COMMAND && (l->state != LINK_OPEN || !(l->features & LINK_EXEC)))
        return over(l, why, "command, though this beacon has not agreed to any", NEFIA_EINVAL);
    if (m->kind != LINK_ACK && m->kind != LINK_REFUSED)
        return 0;
    if (l->state != LINK_OPEN)
        return over(l, why, "acknowledgement before the welcome", NEFIA_EINVAL);
    if (m->line > l->lines_out || m->line < l->settled + (m->kind == LINK_REFUSED))
        return over(l, why, "acknowledgement of a line that was not sent, or is settled",
                    NEFIA_EINVAL);
    if (m->kind == LINK_ACK)
        l->settled = m->line;
    return 0;
}

int link_beacon_line(struct link *l, const struct link_unit *u, struct link_message *m, link_more *more,
                     const char **why)
{
    struct json_token tokens[LINK_TOKENS];
    int err = link_verify(l, u);

    if (err < 0)
        return unproved(l, u, m, more, why, err);
    err = link_read(m, u->line, tokens, LINK_TOKENS, more);
    if (err < 0)
        return over(l, why, "message of the hub is malformed", err);
    if (m->kind == LINK_ERROR) {
        l->state = LINK_OVER;
        return 0;
    }
    return check(l, m, why);
}
