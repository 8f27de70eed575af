#include "nefia/event/event.h"

#include <stdlib.h>
#include <string.h>

#include "nefia/base/err.h"

enum { CAUSE_TOKENS = 1 + EVENT_CAUSES };

/** Return: how many names there are; NEFIA_EFULL: more than there may be; NEFIA_EINVAL: that is no array of strings. */
static int parse(struct json_doc *d, struct slice cause, struct json_token tokens[CAUSE_TOKENS])
{
    if (cause.len == 0)
        return 0;
    int err = json_parse_lax(d, cause.ptr, cause.len, tokens, CAUSE_TOKENS, 1, NULL);
    if (err == NEFIA_EFULL)
        return err;
    if (err < 0 || json_at(d, 0)->type != JSON_ARRAY)
        return NEFIA_EINVAL;
    for (unsigned i = 1; i < d->count; i++)
        if (json_at(d, i)->type != JSON_STRING)
            return NEFIA_EINVAL;
    return (int)d->count - 1;
}

static bool is_name(const struct json_doc *d, unsigned token, const char *rule)
{
    char name[EVENT_CAUSE_MAX + 1];
    struct text t;

    text_init(&t, name, sizeof name);
    return json_string(d, token, &t) == 0 && t.len == strlen(rule) && memcmp(name, rule, t.len) == 0;
}

int event_causes(struct slice cause, const char *rule, bool *among)
{
    struct json_token tokens[CAUSE_TOKENS];
    struct json_doc d;
    const int count = parse(&d, cause, tokens);

    *among = false;
    for (int i = 1; i <= count; i++)
        *among |= is_name(&d, (unsigned)i, rule);
    return count;
}

int event_cause_add(struct text *out, struct slice cause, const char *rule)
{
    const size_t start = out->len;
    struct json_writer w;
    bool among;
    const int count = event_causes(cause, rule, &among);

    if (count < 0 || count >= EVENT_CAUSES)
        return count < 0 ? count : NEFIA_EFULL;
    if (count == 0) {
        text_char(out, '[');
    } else {
        text_bytes(out, cause.ptr, (size_t)((const char *)memrchr(cause.ptr, ']', cause.len) - cause.ptr));
        text_char(out, ',');
    }
    json_begin(&w, out);
    json_put_string(&w, NULL, rule);
    text_char(out, ']');
    if (!out->truncated && out->len - start <= EVENT_CAUSE_MAX)
        return 0;
    text_rewind(out, start);
    return NEFIA_ETOOBIG;
}

bool event_cause_here(struct slice *cause)
{
    const char *value = getenv(EVENT_CAUSE_VARIABLE);
    bool among;

    *cause = (struct slice){value ? value : "", value ? strlen(value) : 0};
    return cause->len <= EVENT_CAUSE_MAX && event_causes(*cause, "", &among) >= 0;
}
