#include "nefia/hub/action.h"

#include <string.h>

#include "nefia/base/err.h"

#define ACTION(name, jobs, running) extern const struct action_class action_##name;
#include "actions.inc"
#undef ACTION

#define ACTION(name, jobs, running) #name "\0"
const char action_words[] =
#include "actions.inc"
    NEFIA_ABSENT_ACTIONS;
#undef ACTION

#define ACTION(name, jobs, running) &action_##name,
/* As action_words; the null stands for those of other builds, which come last there. */
static const struct action_class *const classes[] = {
#include "actions.inc"
    NULL,
};
#undef ACTION
enum { ABSENT = ARRAY_SIZE(classes) - 1 };

const struct action_class *const *action_classes(void)
{
    return classes;
}

static const struct field type_field = {
    FIELD_REQUIRED("type", "the kind of action"),
    .type = FIELD_WORD,
    FIELD_AT(struct action, word),
    .words = action_words,
};

const struct field action_common_fields[] = {{.name = "type", .type = FIELD_OWNED}, {.name = NULL}};

int action_bind(struct action *a, struct config *c, const struct node *n, const char *where,
                const struct hub_settings *s)
{
    *a = (struct action){.lane = ACTION_LANE_RULE};
    config_bind_key(c, n, where, &type_field, a);
    if (a->word == UINT8_MAX) {
        a->word = 0; /* something that can be printed */
        return NEFIA_EINVAL;
    }
    const struct action_class *class = classes[a->word > ABSENT ? ABSENT : a->word];
    if (!class)
        return NEFIA_ENOTSUP;
    const struct field *const tables[] = {action_common_fields, class->fields, NULL};
    int err = config_bind_tables(c, n, where, tables, a->own);
    if (err == 0 && class->bind)
        err = class->bind(a, c, n, where, s);
    if (err != NEFIA_ENOTSUP)
        a->class = class;
    return err;
}

uint64_t action_backoff_ms(unsigned attempt)
{
    return attempt < 7 ? 1000ull << (attempt - 1) : 60000;
}
