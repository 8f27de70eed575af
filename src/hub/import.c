#include "nefia/hub/import.h"

#include <string.h>

#include "nefia/base/err.h"
#include "nefia/hub/status.h"
#include "nefia/link/export.h"
#include "nefia/sys/log.h"

const char import_words[] = "accepted\0unsure\0seen\0refused\0full\0complete\0";

enum reason { SIGNATURE, UNSIGNED, NOT_EVENT, NO_HOST, NO_SEQ, BELOW };
static const char reasons[] =
    "wrong signature" REMEDY(": the line was changed, or its host has another key") "\0"
    "not signed\0"
    "neither an event nor the end of an export\0"
    "its host_id is not the one that its signature is of\0"
    "no boot and seq\0"
    LINK_BELOW "\0";

static enum import_verdict refuse(struct control_cursor *c, enum reason reason)
{
    c->index = reason;
    return IMPORT_REFUSED;
}

/** `MARK SIGNATURE LINE`. Return: false: it is not that. */
static bool parse(const char *args, struct export_unit *u, uint64_t *mark)
{
    uint8_t bytes[EXPORT_MARK_HEX / 2];
    const size_t len = strlen(args);

    if (len <= EXPORT_MARK_HEX || args[EXPORT_MARK_HEX] != ' ' || parse_hex(args, EXPORT_MARK_HEX, bytes, sizeof bytes) < 0)
        return false;
    *mark = get_be64(bytes);
    u->sig.ptr = args + EXPORT_MARK_HEX + 1;
    u->sig.len = strcspn(u->sig.ptr, " ");
    u->line.ptr = u->sig.ptr + u->sig.len + 1;
    if (u->line.ptr > args + len)
        return false;
    u->line.len = len - (size_t)(u->line.ptr - args);
    return true;
}

/** Return: 0, NEFIA_EAUTH. */
static int verify(const struct ingress *in, const struct export_unit *u, uint64_t mark, struct slice host)
{
    const struct mac_key *keys[2];
    const unsigned n = ingress_keys(in, hub_settings_host(in->settings, host), keys);
    int err = NEFIA_EAUTH;

    for (unsigned i = 0; i < n && err < 0; i++) {
        struct mac_key key;
        export_key(&key, keys[i], host);
        err = mac_verify_line(&key, mark, u->line.ptr, u->line.len, u->sig.ptr, u->sig.len);
        mac_key_wipe(&key);
    }
    return err < 0 ? NEFIA_EAUTH : 0;
}

/** What the window of its start is called tells, as on the link, whether a repetition would be recognised. */
static bool is_sure(struct pipeline *p, const struct event *e, uint64_t mark)
{
    const struct host *host = seen_find(p->seen, pipeline_host(p, e->host_id));

    for (unsigned i = 0; host && mark != EXPORT_NEW && i < 2; i++)
        if (host->windows[i].kind == WINDOW_LINK && host->windows[i].boot == e->boot && get_be64(host->windows[i].name) == mark)
            return true;
    return mark == EXPORT_NEW;
}

static enum import_verdict take(struct pipeline *p, struct control_cursor *c, const struct event *e, uint64_t mark)
{
    const struct event_source from = {
        .kind = WINDOW_IMPORT, .name = (const uint8_t[LINK_NAME]){0}, .unsure = !is_sure(p, e, mark)};
    const int seen = pipeline_take(p, e, &from);

    if (seen == NEFIA_EAGAIN)
        return IMPORT_FULL;
    if (seen == SEEN_BELOW)
        return refuse(c, BELOW);
    if (seen == SEEN_DUPLICATE)
        return IMPORT_SEEN;
    return from.unsure || seen == SEEN_UNREMEMBERED ? IMPORT_UNSURE : IMPORT_ACCEPTED;
}

/** It is signed, and no event. */
static enum import_verdict take_end(struct pipeline *p, struct control_cursor *c, struct slice line, struct slice host)
{
    struct json_doc d;
    char name[EVENT_HOST_MAX + 1];
    struct text t;
    int64_t events;

    if (json_parse(&d, line.ptr, line.len, p->tokens, CONFIG_JSON_TOKENS, 1, NULL) < 0)
        return refuse(c, NOT_EVENT);
    const int i = json_member(&d, 0, "exported");
    if (i < 0 || json_i64(&d, (unsigned)i, &events) < 0 || events < 0)
        return refuse(c, NOT_EVENT);
    c->seq = (uint64_t)events;
    text_init(&t, name, sizeof name);
    text_printable(&t, host.ptr, host.len);
    LOG_INFO("import: the end of an export by ", name, " of ", COUNT(events, "event"), ", handed over by user ", DEC(c->uid));
    return IMPORT_COMPLETE;
}

static enum import_verdict judge(const struct status_view *v, struct control_cursor *c, const struct export_unit *u, uint64_t mark)
{
    const struct slice host = ingress_find_host(u->line);
    struct pipeline *p = v->pipeline;
    struct event e;

    if (host.len == 0 || host.len > EVENT_HOST_MAX)
        return refuse(c, NOT_EVENT);
    if (ingress_signed(v->ingress)) {
        if (u->sig.len != MAC_HEX)
            return refuse(c, UNSIGNED);
        if (verify(v->ingress, u, mark, host) < 0)
            return refuse(c, SIGNATURE);
    }
    if (pipeline_decode(p, u->line.ptr, u->line.len, &e, NULL) < 0)
        return take_end(p, c, u->line, host);
    /* The hint has picked the key. */
    if (e.host_id.len != host.len || memcmp(e.host_id.ptr, host.ptr, host.len) != 0)
        return refuse(c, NO_HOST);
    return e.has_seq ? take(p, c, &e, mark) : refuse(c, NO_SEQ);
}

int import_begin(void *arg, struct control_cursor *c, const char *args, struct text *why)
{
    const struct status_view *v = arg;
    struct export_unit unit;
    uint64_t mark;

    if (!parse(args, &unit, &mark)) {
        text_str(why, "not `import MARK SIGNATURE LINE`");
        return NEFIA_EINVAL;
    }
    c->step = judge(v, c, &unit, mark);
    if (c->step == IMPORT_REFUSED)
        LOG_WARN("import: a line is refused: ", word_at(reasons, c->index));
    pipeline_turn_end(v->pipeline);
    return 0;
}

int import_produce(void *arg, struct control_cursor *c, struct text *out)
{
    const struct status_view *v = arg;
    struct json_writer w;

    if (c->flag)
        return 0;
    if (!pipeline_is_written(v->pipeline))
        return NEFIA_EAGAIN;
    c->flag = true;
    json_begin(&w, out);
    json_object(&w, NULL);
    json_put_string(&w, "verdict", word_at(import_words, c->step));
    if (c->step == IMPORT_REFUSED)
        json_put_string(&w, "reason", word_at(reasons, c->index));
    if (c->step == IMPORT_COMPLETE)
        json_put_u64(&w, "events", c->seq);
    json_end_object(&w);
    return 1;
}
