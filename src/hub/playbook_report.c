#include "nefia/hub/playbook_driver.h"

#include <string.h>

#include "nefia/base/err.h"
#include "nefia/ops/op.h"

const char play_outcome_words[] = "begun\0resumed\0done\0failed\0skipped\0denied\0unknown\0interrupted\0rolled_back\0";

/** The members that are text, with where each belongs. */
static const struct member {
    const char *name;
    uint16_t offset;
    bool required;
} members[] = {
    {"run", offsetof(struct audit_step, run), true},
    {"playbook", offsetof(struct audit_step, playbook), true},
    {"step", offsetof(struct audit_step, step), false},
    {"part", offsetof(struct audit_step, part), false},
    {"host", offsetof(struct audit_step, host), false},
    {"rule", offsetof(struct audit_step, rule), false},
    {"outcome", offsetof(struct audit_step, outcome), true},
    {"error", offsetof(struct audit_step, error), false},
};

static const char **place_of(struct audit_step *s, const struct member *m)
{
    return (const char **)(void *)((char *)s + m->offset);
}

void playbook_report_put(struct text *t, const struct audit_step *s)
{
    struct audit_step copy = *s;
    struct json_writer w;

    text_str(t, "step ");
    json_begin(&w, t);
    json_object(&w, NULL);
    for (unsigned i = 0; i < ARRAY_SIZE(members); i++)
        if (*place_of(&copy, &members[i]))
            json_put_string(&w, members[i].name, *place_of(&copy, &members[i]));
    if (s->has_result) {
        json_put_u64(&w, "exit", s->exit);
        json_put_u64(&w, "duration_ms", s->duration_ms);
    }
    json_end_object(&w);
}

static int refuse(struct text *why, const char *name, const char *what)
{
    text_str(why, "step: ");
    text_printable(why, name, strlen(name));
    text_str(why, what);
    return NEFIA_EINVAL;
}

/** Read the text of value i. Return: 0, or NEFIA_EINVAL. */
static int read_text(const char **out, const struct json_doc *d, unsigned i, struct text *text)
{
    const size_t from = text->len;

    if (json_string(d, i, text) < 0 || memchr(text->buf + from, '\0', text->len - from))
        return NEFIA_EINVAL;
    text_char(text, '\0');
    *out = text->buf + from;
    return text->truncated || **out == '\0' ? NEFIA_EINVAL : 0;
}

static int read_number(uint64_t *out, const struct json_doc *d, unsigned i)
{
    int64_t n;

    if (json_i64(d, i, &n) < 0 || n < 0)
        return NEFIA_EINVAL;
    *out = (uint64_t)n;
    return 0;
}

static int read_member(struct audit_step *out, const struct json_doc *d, unsigned key, struct text *text)
{
    const struct slice name = json_raw(d, key);
    uint64_t n;

    for (unsigned i = 0; i < ARRAY_SIZE(members); i++)
        if (slice_eq(name, members[i].name))
            return read_text(place_of(out, &members[i]), d, key + 1, text);
    if (slice_eq(name, "exit") && read_number(&n, d, key + 1) == 0 && n <= UINT8_MAX) {
        out->exit = (uint8_t)n;
        out->has_result = true;
        return 0;
    }
    return slice_eq(name, "duration_ms") ? read_number(&out->duration_ms, d, key + 1) : NEFIA_EINVAL;
}

static bool is_run_id(const char *s)
{
    for (unsigned i = 0; i < OP_RUN_ID; i++)
        if (hex_digit(s[i]) < 0) /* the string's end is no digit */
            return false;
    return s[OP_RUN_ID] == '\0';
}

int playbook_report_read(struct audit_step *out, struct slice json, struct text *text, struct json_token *tokens, unsigned cap,
                         struct text *why)
{
    struct json_doc d;

    *out = (struct audit_step){0};
    if (json_parse(&d, json.ptr, json.len, tokens, cap, 1, NULL) < 0 || json_at(&d, 0)->type != JSON_OBJECT) {
        text_str(why, "step takes one flat JSON object");
        return NEFIA_ESYNTAX;
    }
    for (unsigned key = 1; key < d.count; key = json_at(&d, key + 1)->next) {
        if (read_member(out, &d, key, text) == 0)
            continue;
        char name[32];
        struct text t;
        text_init(&t, name, sizeof name);
        (void)json_string(&d, key, &t);
        return refuse(why, name, ": unknown, or not a value that it can have");
    }
    for (unsigned i = 0; i < ARRAY_SIZE(members); i++)
        if (members[i].required && !*place_of(out, &members[i]))
            return refuse(why, members[i].name, " is missing");
    if (!is_run_id(out->run))
        return refuse(why, "run", " must be 16 hex digits");
    if (word_index(play_outcome_words, (struct slice){out->outcome, strlen(out->outcome)}) < 0)
        return refuse(why, "outcome", " is not one of those that there are");
    return 0;
}
