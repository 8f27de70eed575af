#ifndef NEFIA_HUB_ACTION_H
#define NEFIA_HUB_ACTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "nefia/sys/child.h"
#include "nefia/config/config.h"
#include "nefia/event/event.h"
#include "nefia/net/http_post.h"

/** What a rule can do. One action is one file, src/hub/actions/<name>.c, one Kconfig entry, and
 * `const struct action_class action_<name>`. Whatever it does happens in a child process: an action
 * says which. */
struct action_class;

#define WEBHOOK_NAME_MAX 64
#define ACTION_COMMAND_MAX 1024
#define ACTION_ERROR_MAX 63

/** Where alerts go. Strings belong to the configuration. */
struct webhook {
    const char *name;
    const char *secret; /* "" : not signed */
    struct http_url url;
    uint32_t timeout_ms;
    uint32_t retries;
};

struct webhooks {
    struct webhook *list;
    unsigned count;
};

/** The action of one rule, as the configuration has it. */
struct action {
    const struct action_class *class; /* null: known, but not in this build */
    const char *command;              /* exec */
    uint32_t timeout_ms;
    uint16_t webhook; /* alert: index */
    uint16_t word;    /* index in action_words: what the configuration said */
};

/** What `type` may say, in the configuration and in tables; ended by null. */
extern const char *const action_words[];

static inline const char *action_word(const struct action *a)
{
    return action_words[a->word];
}

/** Read a rule's `action`. hooks: those of the same file.
 * Return: 0; NEFIA_ENOTSUP: fine, but not in this build, and a->class is null; NEFIA_EINVAL,
 * reported. */
int action_bind(struct action *a, struct config *c, const struct node *n, const char *where,
                const struct webhooks *hooks);
/** The classes of this build, ended by null. */
const struct action_class *const *action_classes(void);

/** One start of an action. Everything is borrowed for the call, but see `scratch`. */
struct action_request {
    const struct action *action;
    const struct webhook *hook; /* of an alert, else null */
    const char *rule;
    const struct event *event; /* decoded; event->line holds the exact bytes */
    unsigned attempt;          /* 1 at first */
};

/** Memory in which an action prepares its child. There is one: a child is forked before the next is
 * prepared. */
#define ACTION_ENV_VARS 64
#define ACTION_ENV_BYTES (2 * CONFIG_EVENT_BYTES + ACTION_ENV_VARS * 80 + 512)
struct action_scratch {
    const char *argv[4];
    const char *envp[ACTION_ENV_VARS + 1];
    struct action_request request; /* alert: what its child reads, in its own copy of the process */
    char text[ACTION_ENV_BYTES];
};

enum action_outcome { ACTION_DONE, ACTION_FAILED, ACTION_AGAIN };

struct action_class {
    const char *name;           /* as in action_words */
    const struct field *fields; /* of struct action_fields */
    bool logs_output;           /* what its child printed belongs in the log when it failed */
    /** Fill spec but for output; the deadline is set already. May read scratch->request after the
     * fork. 0 or negative with a reason in why. */
    int (*prepare)(const struct action_request *r, struct action_scratch *scratch,
                   struct child_spec *spec, struct text *why);
    /** Judge the end of the child. error (at most ACTION_ERROR_MAX bytes) says why for FAILED and
     * AGAIN. */
    enum action_outcome (*judge)(const struct child_result *r, const char *output,
                                 uint64_t timeout_ms, struct text *error);
};

/** What the fields of all actions are bound into. */
struct action_fields {
    int type;
    const char *command;
    int target;
    const char *webhook_name;
    const char *playbook;
    uint64_t timeout_ms;
    const struct node *params;
};

/** The first of each class's fields: action_bind has looked at it already. */
#define ACTION_TYPE_FIELD(word)                                                                    \
    {                                                                                              \
        .name = "type", .type = FIELD_WORD, .offset = offsetof(struct action_fields, type),        \
        .words = action_words, .required = true, .help = (word)                                    \
    }

/** How long to wait before try number `attempt` + 1: 1 s, 2 s, 4 s … at most 60 s. */
uint64_t action_backoff_ms(unsigned attempt);

#endif
