#include <string.h>

#include "link_int.h"
#include "nefia/base/err.h"
#include "nefia/base/kconfig.h"

void link_hub_greet(struct link *l, const uint8_t nonce[LINK_NONCE], struct text *out)
{
    const size_t start = out->len;
    struct json_writer w = link_begin(out);

    json_put_u64(&w, "nefia", LINK_VERSION);
    json_put_hex(&w, "nonce", nonce, LINK_NONCE);
    json_end_object(&w);
    link_greeted(l, (struct slice){out->buf + start, out->len - start});
    text_char(out, '\n'); /* no number: it is before the session */
}

bool link_is_hello(struct slice line)
{
    static const char beginning[] = "{\"hello\":";

    return line.len >= sizeof beginning - 1 &&
           memcmp(line.ptr, beginning, sizeof beginning - 1) == 0;
}

static int refuse(const char **why, const char *sentence, int err)
{
    *why = sentence;
    return err;
}

static int read_host(struct link_hello *h, const struct json_doc *d, unsigned object)
{
    int i = json_member(d, object, "host_id");
    struct text t;
    uint32_t cp;

    text_init(&t, h->host_id, sizeof h->host_id);
    if (i < 0 || json_string(d, (unsigned)i, &t) < 0 || t.len == 0)
        return NEFIA_EINVAL;
    for (size_t at = 0; at < t.len;) {
        int n = utf8_decode(h->host_id + at, t.len - at, &cp);
        if (n < 0 || utf8_is_control(cp))
            return NEFIA_EINVAL;
        at += (size_t)n;
    }
    return 0;
}

static bool read_plain(struct link_hello *h, const struct json_doc *d, unsigned object)
{
    int i = json_member(d, object, "plain");

    if (i < 0)
        return false;
    h->plain = json_at(d, (unsigned)i)->type == JSON_TRUE;
    return h->plain || json_at(d, (unsigned)i)->type == JSON_FALSE;
}

int link_hub_hello(struct link_hello *h, struct slice line, struct json_token *tokens,
                   unsigned cap, const char **why)
{
    struct json_doc d;

    if (line.len > LINK_HELLO_MAX)
        return refuse(why, "hello longer than 2048 bytes", NEFIA_ETOOBIG);
    if (link_parse(&d, line, tokens, cap) < 0)
        return refuse(why, "hello is not JSON", NEFIA_ESYNTAX);
    const unsigned o = (unsigned)json_member(&d, 0, "hello"); /* there: link_is_hello */
    if (json_at(&d, o)->type != JSON_OBJECT)
        return refuse(why, "hello is not an object", NEFIA_EINVAL);
    if (read_host(h, &d, o) < 0)
        return refuse(why, "hello: host_id is not text of 1 to 255 bytes" REMEDY(" without control characters"),
                      NEFIA_EINVAL);
    if (!link_read_hex(&d, o, "nonce", h->nonce, LINK_NONCE))
        return refuse(why, "hello: nonce is not 32 lower-case hex digits", NEFIA_EINVAL);
    if (!link_read_number(&d, o, "boot", LINK_BOOT_END - 1, &h->boot) || h->boot == 0)
        return refuse(why, "hello: boot is not a number from 1 to 2^53 - 1", NEFIA_EINVAL);
    if (!read_plain(h, &d, o))
        return refuse(why, "hello: plain is neither true nor false", NEFIA_EINVAL);
    h->features = link_read_features(&d, o);
    return 0;
}

int link_hub_prove(struct link *l, const struct mac_key *key, const struct link_unit *u)
{
    if (key) {
        link_derive(l, key, u->line, &l->in, &l->out);
        int err = mac_verify_line(&l->in, 1, u->line.ptr, u->line.len, u->sig.ptr, u->sig.len);
        if (err < 0) {
            mac_key_wipe(&l->in);
            mac_key_wipe(&l->out);
            return err;
        }
    }
    l->lines_in = 1;
    l->state = LINK_HELLO;
    l->deadline_ms = 0;
    return 0;
}

static void put_start(struct json_writer *w, const struct link_start *start)
{
    json_array(w, NULL);
    json_put_u64(w, NULL, start->boot);
    json_put_u64(w, NULL, start->highest);
    json_put_hex(w, NULL, start->name, LINK_NAME);
    json_end_array(w);
}

void link_hub_welcome(struct link *l, const struct link_welcome *welcome, struct text *out)
{
    const size_t start = out->len;
    struct json_writer w = link_begin(out);

    json_object(&w, "welcome");
    json_array(&w, "starts");
    for (unsigned i = 0; i < welcome->start_count; i++)
        put_start(&w, &welcome->starts[i]);
    json_end_array(&w);
    json_put_u64(&w, "window", welcome->window);
    json_put_u64(&w, "bytes", welcome->bytes);
    l->features = link_put_features(&w, welcome->features, l->is_signed);
    json_end_object(&w);
    link_finish(l, &w, start);
    l->state = LINK_OPEN;
}

/** {"ack":{"line":4},"window":32}, or with a reason {"refused":…}. */
static void put_verdict(struct link *l, const char *kind, uint64_t line, const char *reason,
                        unsigned window, struct text *out)
{
    const size_t start = out->len;
    struct json_writer w = link_begin(out);

    json_object(&w, kind);
    json_put_u64(&w, "line", line);
    if (reason)
        link_put_reason(&w, reason);
    json_end_object(&w);
    json_put_u64(&w, "window", window);
    link_finish(l, &w, start);
}

void link_hub_ack(struct link *l, uint64_t line, unsigned window, struct text *out)
{
    put_verdict(l, "ack", line, NULL, window, out);
}

void link_hub_refuse(struct link *l, uint64_t line, const char *reason, unsigned window,
                     struct text *out)
{
    put_verdict(l, "refused", line, reason, window, out);
}

int link_hub_command(struct link *l, const struct link_command *c, struct text *out)
{
    const size_t start = out->len;

    if (l->state != LINK_OPEN || !(l->features & LINK_EXEC))
        return NEFIA_ENOTSUP;
    struct json_writer w = link_begin(out);
    json_object(&w, "command");
    link_put_id(&w, c->id);
    json_put_u64(&w, "first", c->first);
    json_put_u64(&w, "age_ms", c->age_ms);
    json_put_u64(&w, "life_ms", c->life_ms);
    if (c->op.len > 0)
        json_put_raw(&w, "op", c->op.ptr, c->op.len);
    if (c->cause.len > 0)
        json_put_raw(&w, "cause", c->cause.ptr, c->cause.len);
    json_end_object(&w);
    if (out->truncated || out->len + 1 - start > LINK_COMMAND_MAX) { /* a brace is still to come */
        text_rewind(out, start);
        return NEFIA_ETOOBIG;
    }
    link_finish(l, &w, start);
    return 0;
}
