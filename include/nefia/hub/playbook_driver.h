#ifndef NEFIA_HUB_PLAYBOOK_DRIVER_H
#define NEFIA_HUB_PLAYBOOK_DRIVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "nefia/hub/action.h"
#include "nefia/hub/audit_log.h"
#include "nefia/hub/playbook_file.h"
#include "nefia/hub/settings.h"
#include "nefia/json/json.h"
#include "nefia/ops/helper.h"
#include "nefia/play/playbook.h"
#include "nefia/sys/child.h"

/** Carries out a run of a playbook: in the process of `nefia playbook run`, and as the child process of the action `playbook`. It
 * blocks. What is to be done on the hub is a child process of its own, after the hub's policy has allowed it; what is to be done on a
 * device goes through the control socket, as `nefia exec`. */

/* ---- What a run reports to the hub (control verb `step`), which makes an audit record of it ---- */

#define PLAYBOOK_REPORT_TEXT 1024 /* all strings of a report, unescaped */
#define PLAYBOOK_REPORT_TOKENS 32

/** What became of a step, or of a run: "begun" … */
enum play_outcome {
    OUTCOME_BEGUN,       /* run */
    OUTCOME_RESUMED,     /* run: after a restart of the hub */
    OUTCOME_DONE,
    OUTCOME_FAILED,
    OUTCOME_SKIPPED,     /* step: its `when` is false */
    OUTCOME_DENIED,      /* step: by a policy */
    OUTCOME_UNKNOWN,     /* step: whether it has ended cannot be known */
    OUTCOME_INTERRUPTED, /* run: it can be resumed */
    OUTCOME_ROLLED_BACK, /* run */
    OUTCOMES,
};
/** For word_at. */
extern const char play_outcome_words[];

/** Write s as the request "step {…}". */
void playbook_report_put(struct text *t, const struct audit_step *s);
/** Read the {…} of one. text: PLAYBOOK_REPORT_TEXT bytes, gets the strings that out points to; tokens: of cap.
 * Return: 0, or negative with a sentence in why. */
int playbook_report_read(struct audit_step *out, struct slice json, struct text *text, struct json_token *tokens, unsigned cap,
                         struct text *why);

/* ---- Driving ---- */

enum {
    PLAYBOOK_END_DONE = 0,
    PLAYBOOK_END_FAILED = 1,  /* begun, and not done: error says why */
    PLAYBOOK_END_REFUSED = 2, /* nothing has begun */
    PLAYBOOK_END_KEPT = ACTION_KEPT, /* interrupted: its position is kept, and it can be resumed */
};

#define PLAYBOOK_UNDO_MS 300000u  /* for rollbacks, after the time limit of a run */
#define PLAYBOOK_SPARE_MS 30000u  /* until the driver itself is ended */
#define PLAYBOOK_REACH_MS 60000u  /* how long a device may be away before an op, at least */

/** What happens, for who watches. Valid during the call. */
struct playbook_progress {
    const char *run, *host;        /* host: where; null: on the hub */
    const char *part, *step;       /* part: playbook_part_words; step: null: it is about the run */
    unsigned number, of;           /* of the steps, from 1; 0: none */
    unsigned attempt, attempts;
    enum play_outcome outcome;     /* BEGUN: the op is about to begin */
    const char *error;             /* "" or a sentence */
    const struct child_result *result; /* null: none */
};

/** What is to be run, and for whom. All of it is kept. */
struct playbook_order {
    struct playbook_memory *memory; /* with the book (playbook_load) */
    const char *path;               /* of its file */
    struct playbook_values values;  /* all members */
    const char *rule;               /* whose action it is; null: a person's */
    struct slice cause;             /* raw array of the rules that led to it; empty: none */
    const char *name;               /* of the position's file; null: the run's id */
    bool must_resume;               /* it is an error if there is no position of that name */
    const char *state_dir, *control_socket;
    const char *hub, *hub_role;     /* the hub's host_id */
    struct guard guard;             /* its policy */
    int helper;                     /* as op_place's */
    uint64_t timeout_ms;            /* of the whole run, without its rollbacks; 0: none */
    pid_t parent;                   /* ends it without a trace when it is gone; 0: nobody */
    void (*progress)(void *arg, const struct playbook_progress *p); /* may be null */
    void *arg;
};

#define PLAYBOOK_FILE_BYTES (PLAYBOOK_FILE_HEAD + PLAYBOOK_SAVED_BYTES + 512)
#define PLAYBOOK_ANSWER_BYTES (CONFIG_CONTROL_LINE_BYTES + 1)

/** Memory of a run, beside playbook_memory. */
struct playbook_driver {
    const struct playbook_order *o;
    struct playbook_run *run;
    struct playbook_todo todo;
    struct loop loop;
    struct children children;
    struct child child;
    struct epoll_event found[3];
    struct timer limit, pause;
    struct child_spec spec; /* of the op's process */
    struct child_result result;
    pid_t pid;
    bool ended, paused; /* the op's process; the delay before it */
    bool interrupted, overdue;
    bool stopping; /* no further op begins, and the position is kept (SIGUSR1) */
    uint64_t ops;       /* carried out, or about to be: tells their ids apart */
    uint64_t print;     /* of what the run is for */
    struct playbook_file file;
    enum link_outcome outcome;
    char reason[LINK_REASON_MAX + 1];
    char cause_env[EVENT_CAUSE_MAX + sizeof "NEFIA_CAUSE="];
    char error[PLAYBOOK_WHY_MAX + 1]; /* how the run ended: "" or a sentence */
    size_t answer_len;
    struct json_token tokens[PLAYBOOK_SAVED_TOKENS + 32];
    char request[CONFIG_CONTROL_LINE_BYTES];
    uint64_t life_ms; /* of the op that it asks for */
    char answer[PLAYBOOK_ANSWER_BYTES];
    char position[PLAYBOOK_FILE_BYTES];
    union {
        struct matcher_work matcher;
        char argv[OP_TEXT_BYTES];
    } work;
};

/** What playbooks of the hub need: its memory, which is free while one is read, and in a process of its own, and its settings. */
struct playbook_room {
    struct playbook_memory *memory;
    struct playbook_driver *driver; /* the place of work */
    void *work;                     /* as playbook_load's */
    size_t work_cap;
    struct pattern_tree *tree;
    struct json_token *tokens; /* CONFIG_JSON_TOKENS, of an event; the place of work, but not of the driver */
    char *line;                /* CONFIG_EVENT_BYTES, of an event; of a process of its own only */
    const struct hub_settings *settings;
    struct guard guard;
    const struct helper *helper; /* of the hub's process; null: another one */
};

/** Carry out a run, or what is left of one. Takes over the process's signals. Return: PLAYBOOK_END_…; d->error then has a sentence,
 * unless it is done. */
int playbook_drive(struct playbook_driver *d, const struct playbook_order *o);

#endif
