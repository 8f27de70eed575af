#include "nefia/hub/action.h"

#include <string.h>

#include "nefia/base/err.h"

#define ACTION(name) extern const struct action_class action_##name;
#include "actions.inc"
#undef ACTION

const char *const action_words[] = {"exec", "alert", "playbook", NULL};

#define ACTION(name) &action_##name,
static const struct action_class *const classes[] = {
#include "actions.inc"
    NULL,
};
#undef ACTION

enum { TARGET_HOST, TARGET_HUB };

const struct action_class *const *action_classes(void)
{
    return classes;
}

static const struct action_class *find_class(const char *name)
{
    for (const struct action_class *const *at = classes; *at; at++)
        if (str_eq((*at)->name, name))
            return *at;
    return NULL;
}

static int find_webhook(const struct webhooks *hooks, const char *name)
{
    for (unsigned i = 0; i < hooks->count; i++)
        if (str_eq(hooks->list[i].name, name))
            return (int)i;
    return NEFIA_ENOTFOUND;
}

/** Index of the word in `type`; negative after a report. */
static int bind_type(struct config *c, const struct node *n, const char *where)
{
    const struct node *type = node_child(c, n, "type");
    char path_buf[112];
    struct text path;

    text_init(&path, path_buf, sizeof path_buf);
    config_where_key(&path, where, "type");
    if (!type || type->type != NODE_SCALAR) {
        config_error(c, type ? type : n, path.buf, "missing: exec, alert or playbook", (char *)0);
        return NEFIA_EINVAL;
    }
    for (int i = 0; action_words[i]; i++)
        if (str_eq(action_words[i], type->value))
            return i;
    config_error(c, type, path.buf, "\"", type->value, "\" is not one of exec, alert, playbook",
                 (char *)0);
    return NEFIA_EINVAL;
}

static int bind_webhook(struct action *a, struct config *c, const struct node *n, const char *where,
                        const struct webhooks *hooks, const char *name)
{
    char path_buf[112];
    struct text path;
    int i = find_webhook(hooks, name);

    text_init(&path, path_buf, sizeof path_buf);
    config_where_key(&path, where, "webhook_name");
    if (i < 0) {
        config_error(c, node_child(c, n, "webhook_name"), path.buf, "no webhook \"", name,
                     "\" in reactor.webhooks", (char *)0);
        return NEFIA_EINVAL;
    }
    a->webhook = (uint16_t)i;
    if (a->timeout_ms == 0)
        a->timeout_ms = hooks->list[i].timeout_ms;
    return 0;
}

int action_bind(struct action *a, struct config *c, const struct node *n, const char *where,
                const struct webhooks *hooks)
{
    struct action_fields f = {.target = TARGET_HUB};
    int word = bind_type(c, n, where);

    *a = (struct action){0};
    if (word < 0)
        return word;
    f.action.word = (uint16_t)word;
    f.action.class = find_class(action_words[word]);
    int err = f.action.class ? config_bind(c, n, where, f.action.class->fields, &f) : NEFIA_ENOTSUP;
    *a = f.action;
    if (err < 0)
        return err;
    if (f.webhook_name)
        return bind_webhook(a, c, n, where, hooks, f.webhook_name);
    if (f.target == TARGET_HOST) {
        a->class = NULL;
        return NEFIA_ENOTSUP;
    }
    return 0;
}

uint64_t action_backoff_ms(unsigned attempt)
{
    return attempt < 7 ? 1000ull << (attempt - 1) : 60000;
}
