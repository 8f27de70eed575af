#ifndef NEFIA_HUB_ACTION_H
#define NEFIA_HUB_ACTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "nefia/sys/child.h"
#include "nefia/config/config.h"
#include "nefia/event/event.h"
#include "nefia/net/http_post.h"

/** What a rule can do. An action is one file, src/hub/actions/<name>.c, one Kconfig entry, and
 * `const struct action_class action_<name>`. Actions are carried out by child processes, which the
 * class specifies. */
struct action_class;

#define WEBHOOK_NAME_MAX 64
#define ACTION_COMMAND_MAX 1024
#define ACTION_ERROR_MAX 63

/** A destination of alerts. Strings belong to the configuration. */
struct webhook {
    const char *name;
    char *secret; /* nobody else's; wiped by hub_settings_wipe. Null or "": not signed */
    struct http_url url;
    uint32_t timeout_ms;
    uint32_t retries;
};

struct webhooks {
    struct webhook *list;
    unsigned count;
};

/** The action of one rule, as configured. */
struct action {
    const struct action_class *class; /* null: known, but not in this build */
    const char *command;              /* exec */
    uint32_t timeout_ms;
    uint16_t webhook; /* alert: index */
    uint16_t word;    /* index in action_words: as configured */
};

/** Valid values of `type`, also used in tables; null-terminated. */
extern const char *const action_words[];

static inline const char *action_word(const struct action *a)
{
    return action_words[a->word];
}

/** Bind a rule's `action`. hooks: those of the same file.
 * Return: 0; NEFIA_ENOTSUP: valid, but not in this build, and a->class is null; NEFIA_EINVAL after
 * a report. */
int action_bind(struct action *a, struct config *c, const struct node *n, const char *where,
                const struct webhooks *hooks);
/** The classes of this build, null-terminated. */
const struct action_class *const *action_classes(void);

/** One attempt at an action. Everything is borrowed for the call, but see `scratch`. */
struct action_request {
    const struct action *action;
    const struct webhook *hook; /* of an alert, else null */
    const char *rule;
    const struct event *event; /* decoded; event->line holds the exact bytes */
    unsigned attempt;          /* from 1 */
};

/** Memory in which an action prepares its child. There is only one: each child is forked before the
 * next is prepared. */
#define ACTION_ENV_VARS 64
#define ACTION_ENV_BYTES (2 * CONFIG_EVENT_BYTES + ACTION_ENV_VARS * 80 + 512)
struct action_scratch {
    const char *argv[4];
    const char *envp[ACTION_ENV_VARS + 1];
    struct action_request request; /* alert: read by the child, in its own copy of the process */
    char text[ACTION_ENV_BYTES];
};

enum action_outcome { ACTION_DONE, ACTION_FAILED, ACTION_AGAIN };

struct action_class {
    const char *name;           /* as in action_words */
    const struct field *fields; /* of struct action_fields */
    bool logs_output;           /* log the child's output on failure */
    /** Fill spec, except output and the deadline, which are already set. The child may read
     * scratch->request after the fork. Return: 0, or negative with a reason in why. */
    int (*prepare)(const struct action_request *r, struct action_scratch *scratch,
                   struct child_spec *spec, struct text *why);
    /** Judge the result of the child. error (at most ACTION_ERROR_MAX bytes) gets the reason for
     * FAILED and AGAIN. */
    enum action_outcome (*judge)(const struct child_result *r, const char *output,
                                 uint64_t timeout_ms, struct text *error);
    /** Null, or: how long to wait before the next attempt, by the child's output; by itself it would
     * be the backoff. */
    uint64_t (*delay_ms)(const char *output, size_t len, uint64_t backoff_ms);
};

/** Target of the fields of all actions are bound into: the action itself, and what is looked up. */
struct action_fields {
    struct action action;
    const char *webhook_name;
    int target;
};

/** First field of each class; action_bind has already checked it. */
#define ACTION_TYPE_FIELD(kind)                                                                    \
    {                                                                                              \
        .name = "type", .type = FIELD_WORD, FIELD_AT(struct action_fields, action.word),           \
        .words = action_words, .required = true, .help = (kind)                                    \
    }

/** Backoff after attempt number `attempt`: 1 s, 2 s, 4 s … at most 60 s. */
uint64_t action_backoff_ms(unsigned attempt);

#endif
