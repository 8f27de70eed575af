#include "nefia/guard/verdict.h"

#include <string.h>

const char *verdict_word(enum verdict_kind kind)
{
    return word_at("allowed\0notify\0pending approval\0denied\0", kind);
}

static void put_quoted(struct text *t, const char *before, const char *s)
{
    text_str(t, before);
    text_char(t, '"');
    text_printable(t, s, strlen(s));
    text_char(t, '"');
}

void verdict_reason(struct text *t, const struct verdict *v)
{
    text_str(t, v->reason ? v->reason : "");
    if (v->rule)
        put_quoted(t, ": ", v->rule);
    if (v->role)
        put_quoted(t, " of role ", v->role);
    if (v->has_at) {
        text_str(t, " at byte ");
        text_u64(t, v->at);
    }
    if (v->most > 0) {
        text_str(t, " (");
        text_u64(t, v->have);
        text_str(t, " > ");
        text_u64(t, v->most);
        text_char(t, ')');
    }
}

void verdict_text(struct text *t, const struct verdict *v)
{
    text_str(t, verdict_word(v->kind));
    if (!v->reason)
        return;
    text_str(t, ": ");
    verdict_reason(t, v);
}
