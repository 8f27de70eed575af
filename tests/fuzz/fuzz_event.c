/* Arbitrary bytes as an event line: refused with a sentence, or accepted as a whole; an accepted event
 * survives writing and reading again. */
#include <string.h>

#include "nefia/event/event.h"

#define MUST(condition)       \
    do {                      \
        if (!(condition))     \
            __builtin_trap(); \
    } while (0)

static struct json_token tokens[CONFIG_JSON_TOKENS];
static char names[3][EVENT_HOST_MAX + 1];
static char line[CONFIG_EVENT_BYTES + 1];

static bool lies_in(struct slice s, const char *from, size_t len)
{
    return s.ptr >= from && s.ptr + s.len <= from + len;
}

static const char *take_name(char *to, struct slice s, size_t max, const struct event *e,
                             const char *scratch)
{
    MUST(lies_in(s, e->line.ptr, e->line.len) || lies_in(s, scratch, EVENT_SCRATCH));
    MUST(s.len >= 1 && s.len <= max && utf8_valid(s.ptr, s.len));
    memcpy(to, s.ptr, s.len);
    to[s.len] = '\0';
    MUST(strlen(to) == s.len);
    return to;
}

static void check_again(const struct event *e, const struct event_head *h)
{
    char scratch[EVENT_SCRATCH];
    struct event again;
    struct text out;
    int n;

    text_init(&out, line, sizeof line);
    n = event_encode(&out, h, e->data.ptr, e->data.len);
    if (memchr(e->data.ptr, '\n', e->data.len)) {
        MUST(n < 0);
        return;
    }
    MUST(n > 0 && n <= CONFIG_EVENT_BYTES);
    MUST(event_decode(&again, line, (size_t)n, tokens, CONFIG_JSON_TOKENS, scratch, NULL) == 0);
    MUST(slice_eq(again.type, h->type) && slice_eq(again.source, h->source) &&
         slice_eq(again.host_id, h->host_id));
    MUST(again.severity == h->severity && again.unix_s == h->unix_s);
    MUST(again.has_seq && again.seq == h->seq && again.boot == h->boot &&
         again.unsynced == !h->synced);
    MUST(again.cause.len == h->cause.len && (h->cause.len == 0 || memcmp(again.cause.ptr, h->cause.ptr, h->cause.len) == 0));
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);
int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    char scratch[EVENT_SCRATCH];
    struct event e;
    const char *why;
    int err = event_decode(&e, (const char *)data, size, tokens, CONFIG_JSON_TOKENS, scratch, &why);

    MUST((err < 0) == (why != NULL));
    if (err < 0)
        return 0;
    MUST(lies_in(e.data, e.line.ptr, e.line.len) && e.data.ptr[0] == '{' &&
         e.data.ptr[e.data.len - 1] == '}');
    struct event_head h = {
        .type = take_name(names[0], e.type, EVENT_TYPE_MAX, &e, scratch),
        .source = take_name(names[1], e.source, EVENT_SOURCE_MAX, &e, scratch),
        .host_id = take_name(names[2], e.host_id, EVENT_HOST_MAX, &e, scratch),
        .severity = e.severity,
        .unix_s = e.unix_s > 0 ? e.unix_s : 0,
        .synced = !e.unsynced,
        .seq = e.seq,
        .boot = e.boot,
        .cause = e.cause,
    };
    MUST(e.severity >= 0 && e.severity < SEVERITY_COUNT);
    MUST(e.cause.len == 0 || (lies_in(e.cause, e.line.ptr, e.line.len) && e.cause.len <= EVENT_CAUSE_MAX && e.cause.ptr[0] == '['));
    if (e.cause.len > 0 && memchr(e.cause.ptr, '\n', e.cause.len))
        return 0; /* not for the writer */
    check_again(&e, &h);
    return 0;
}
