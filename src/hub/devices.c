#include "nefia/hub/devices.h"

#include <string.h>

#include "nefia/base/err.h"
#include "nefia/hub/status.h"

/* ---- Words ---- */

static bool is_lower(char c)
{
    return c >= 'a' && c <= 'z';
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_word(const char *s)
{
    const size_t n = text_word_span(s, ".-");

    return n > 0 && n <= HOST_WORD_MAX && s[n] == '\0';
}

static bool is_label_key(const char *s)
{
    size_t n = 0;

    while (is_lower(s[n]) || (n > 0 && (is_digit(s[n]) || s[n] == '_')))
        n++;
    return n > 0 && n <= HOST_LABEL_KEY_MAX && s[n] == '\0';
}

static const char not_a_word[] = " is not a word" REMEDY(" of 1 to 63 letters, digits, `.`, `_` and `-`");

int device_set_word(void *member, const char *value, struct text *why)
{
    if (!is_word(value)) {
        text_char(why, '"');
        text_bytes(why, value, utf8_cut(value, strlen(value), HOST_WORD_MAX));
        text_char(why, '"');
        text_str(why, not_a_word);
        return NEFIA_ESYNTAX;
    }
    memcpy(member, &value, sizeof value);
    return 0;
}

/* ---- reactor.hosts[].labels ---- */

static void bind_label(struct hub_settings *s, struct host_item *item, struct config *c,
                       const struct node *n, const char *where)
{
    if (!is_label_key(n->key))
        config_error(c, n, where, "\"", n->key, "\" is not the key of a label",
                     HINT(": lower-case letters, digits and `_`, a letter first, at most 32"), (char *)0);
    else if (n->type != NODE_SCALAR)
        config_error(c, n, where, n->key, ": one word is wanted", (char *)0);
    else if (!is_word(n->value))
        config_error(c, n, where, n->key, ": the value", not_a_word, (char *)0);
    else if (item->label_count == HOST_LABELS_MAX)
        config_error(c, n, where, n->key, ": a host has at most ", DEC(HOST_LABELS_MAX), " labels", (char *)0);
    else if (s->label_count == CONFIG_HOST_LABELS)
        config_error(c, n, where, n->key, ": too many labels", HINT("; raise CONFIG_HOST_LABELS"), (char *)0);
    else {
        s->labels[s->label_count++] = (struct host_label){n->key, n->value};
        item->label_count++;
    }
}

void device_bind_labels(struct hub_settings *s, struct host_item *item, struct config *c,
                        const struct node *n, const char *where)
{
    const struct node *labels = node_child(c, n, "labels");
    char path_buf[64];
    struct text path;

    text_init(&path, path_buf, sizeof path_buf);
    config_where_key(&path, where, "labels");
    item->first_label = (uint16_t)s->label_count;
    if (!config_is(c, labels, path.buf, NODE_MAP))
        return;
    for (const struct node *label = node_first(c, labels); label; label = node_next(c, label))
        if (label->type != NODE_REFUSED)
            bind_label(s, item, c, label, path.buf);
}

/* ---- Two names, and two generations, of one list ---- */

void devices_check_names(struct config *c, const struct node *reactor)
{
    if (config_given(c, reactor, "hosts") && config_given(c, reactor, "keys"))
        config_error(c, node_child(c, reactor, "keys"), "reactor.keys",
                     "this is the old name of `hosts`, which is given too", HINT("; move its items there"),
                     (char *)0);
}

void devices_carry(struct hub_settings *s, const struct hub_settings *before)
{
    for (unsigned i = 0; i < s->host_count; i++) {
        struct host_item *item = &s->hosts[i];
        const struct slice host_id = {item->host_id, strlen(item->host_id)};
        const struct host_item *old = hub_settings_host(before, host_id);

        item->seen_ms = old ? old->seen_ms : 0;
        item->seen_kind = old ? old->seen_kind : WINDOW_FREE;
    }
}

/* ---- Records ---- */

/** Sessions of one host, and the address of one. */
struct sessions {
    const uint8_t *id;
    unsigned count;
    bool takes_commands;
    struct addr peer;
};

static void count_session(void *arg, struct session *s)
{
    struct sessions *found = arg;

    if (s->link.state != LINK_OPEN || (found->id && memcmp(s->host, found->id, SESSION_HOST) != 0))
        return;
    found->count++;
    found->takes_commands |= s->takes_commands;
    found->peer = s->peer;
}

static struct sessions sessions_of(const struct ingress *in, const uint8_t *id)
{
    struct sessions found = {.id = id};

    in->each(in->arg, count_session, &found);
    return found;
}

static void put_text(struct json_writer *w, const char *key, const char *s)
{
    if (s)
        json_put_string(w, key, s);
    else
        json_put_null(w, key);
}

static void put_labels(const struct hub_settings *s, const struct host_item *item,
                       struct json_writer *w)
{
    json_object(w, "labels");
    for (unsigned i = item->first_label; i < item->first_label + item->label_count; i++)
        json_put_string(w, s->labels[i].key, s->labels[i].value);
    json_end_object(w);
}

/** How its events come: as the last one did, or as is remembered from before the hub's start. */
static const char *delivery(const struct host_item *item, const struct host *host)
{
    static const char *const words[] = {[WINDOW_PLAIN] = "plain", [WINDOW_LINK] = "link"};
    const unsigned kind = item->seen_kind != WINDOW_FREE ? item->seen_kind
                          : host                         ? host->windows[0].kind
                                                         : WINDOW_FREE;

    return words[kind];
}

static void put_last_seen(const struct pipeline *p, const struct host_item *item,
                          struct json_writer *w)
{
    if (item->seen_ms == 0) {
        json_put_null(w, "last_seen");
        json_put_null(w, "silent_ms");
        return;
    }
    const uint64_t silent_ms = clock_ms(p->clock) - item->seen_ms;
    json_put_time(w, "last_seen", clock_unix(p->clock) - (int64_t)((silent_ms + 999) / 1000));
    json_put_u64(w, "silent_ms", silent_ms);
}

/** Null: it is not connected, and nobody knows. */
static void put_commands(struct json_writer *w, const struct sessions *found)
{
    if (found->count > 0)
        json_put_bool(w, "commands", found->takes_commands);
    else
        json_put_null(w, "commands");
}

unsigned devices_put(const struct status_view *v, unsigned index, struct text *out)
{
    struct pipeline *p = v->pipeline;
    const struct hub_settings *s = p->devices;
    struct json_writer w;

    if (index >= s->host_count)
        return 0;
    const struct host_item *item = &s->hosts[index];
    const struct slice host_id = {item->host_id, strlen(item->host_id)};
    const uint8_t *id = pipeline_host(p, host_id);
    const struct host *host = seen_find(p->seen, id);
    const struct sessions found = sessions_of(v->ingress, id);

    json_begin(&w, out);
    json_object(&w, NULL);
    json_object(&w, "host");
    json_put_bytes(&w, "host", host_id.ptr, host_id.len);
    put_text(&w, "role", item->role);
    put_labels(s, item, &w);
    put_text(&w, "delivery", delivery(item, host));
    json_put_bool(&w, "connected", found.count > 0);
    put_text(&w, "address", found.count > 0 ? ADDR(&found.peer) : NULL);
    put_last_seen(p, item, &w);
    if (IS_ENABLED(CONFIG_HUB_COMMANDS))
        put_commands(&w, &found);
    json_end_object(&w);
    json_end_object(&w);
    return DEVICE_PUT | (host ? DEVICE_REMEMBERED : 0) | (found.count > 0 ? DEVICE_CONNECTED : 0);
}

static uint64_t without(uint64_t all, uint64_t some)
{
    return all > some ? all - some : 0; /* they were counted before */
}

/** cursor->step and ->seq: how many of the hosts with an item are connected, and remembered. */
int devices_produce(void *view, struct control_cursor *cursor, struct text *out)
{
    const struct status_view *v = view;
    struct json_writer w;

    if (cursor->flag)
        return 0;
    const unsigned put = devices_put(v, cursor->index++, out);
    if (put) {
        cursor->step += (put & DEVICE_CONNECTED) != 0;
        cursor->seq += (put & DEVICE_REMEMBERED) != 0;
        return 1;
    }
    cursor->flag = true;
    json_begin(&w, out);
    json_object(&w, NULL);
    json_object(&w, "others");
    json_put_u64(&w, "known", without(v->pipeline->seen->used, cursor->seq));
    json_put_u64(&w, "connected", without(sessions_of(v->ingress, NULL).count, cursor->step));
    json_end_object(&w);
    json_end_object(&w);
    return 1;
}
