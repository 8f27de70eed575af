#ifndef NEFIA_PLAY_PLAYBOOK_H
#define NEFIA_PLAY_PLAYBOOK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "nefia/base/text.h"
#include "nefia/config/config.h"
#include "nefia/event/event.h"
#include "nefia/guard/matcher.h"
#include "nefia/json/json.h"
#include "nefia/link/link.h"
#include "nefia/ops/op.h"

/** A playbook: steps for a device, or for the hub, in a file of their own (docs/playbooks.md). Here are its schema and an engine that
 * says which op comes next, given what became of the one before. Without I/O and without a clock: who drives it waits, carries the
 * ops out and keeps the position.
 *
 *     playbook_bind(&book, &c, &scratch)          the file, read as the configuration is
 *     playbook_begin(&run, &book, &values, id)    or playbook_restore and playbook_resume, of one that was interrupted
 *     while ((turn = playbook_next(&run, &todo, &text)) != PLAYBOOK_OVER)
 *         PLAYBOOK_CARRY_OUT: keep the position, wait todo.delay_ms, carry todo.op out, playbook_result, keep the position
 *         PLAYBOOK_SKIPPED, PLAYBOOK_REFUSED: report it, and go on
 *     run.state, run.why                          how it ended
 */
#define PLAYBOOK_STEPS 64
#define PLAYBOOK_UNDOS 64        /* ops of all `rollback` */
#define PLAYBOOK_UNDOS_OF_STEP 8
#define PLAYBOOK_HOSTS 8
#define PLAYBOOK_VARS 32
#define PLAYBOOK_REGISTERS 8
#define PLAYBOOK_OUTPUT_MAX 1024 /* bytes of an output that are remembered */
#define PLAYBOOK_NAME_MAX 64     /* bytes of a name: of a playbook, a step, a variable */
#define PLAYBOOK_ENV 24          /* variables of one op, named NEFIA_… (op.h); not NEFIA_CAUSE */
#define PLAYBOOK_TERMS 8         /* comparisons in a `when` */
#define PLAYBOOK_NODES 2048      /* values in a file */
#define PLAYBOOK_STRINGS 32768   /* bytes of text in a file */
#define PLAYBOOK_WHY_MAX 160
/** Longest op as JSON: on the wire it has a command around it. */
#define PLAYBOOK_OP_BYTES (LINK_COMMAND_MAX - EVENT_CAUSE_MAX - 160)
#define PLAYBOOK_TEXT_BYTES (OP_TEXT_BYTES + PLAYBOOK_OP_BYTES)
/** Longest position that is kept. */
#define PLAYBOOK_SAVED_BYTES (PLAYBOOK_REGISTERS * (2 * PLAYBOOK_OUTPUT_MAX + 32) + 2 * PLAYBOOK_WHY_MAX + 2 * EVENT_HOST_MAX + 512)

enum playbook_restart { PLAYBOOK_CONTINUE, PLAYBOOK_UNDO_ALL, PLAYBOOK_STOP };
extern const char playbook_restart_words[]; /* for word_at: "continue", "rollback", "stop" */

/** An op as it is written, its templates not filled in. Strings and nodes are those of the configuration tree. */
struct playbook_op {
    uint8_t kind;  /* enum op_kind; never OP_UNDO */
    uint8_t verb;  /* enum op_verb */
    uint8_t wait;  /* enum op_wait */
    uint8_t state; /* WAIT for a service: as op.state */
    bool check;    /* a RUN that changes nothing */
    bool backup;
    uint16_t mode;
    uint32_t timeout_ms;
    const char *text;          /* RUN: the command. SERVICE: name. FILE, RESTORE: path. WAIT: what for */
    const char *from, *content; /* FILE: one of them, the other null */
    const struct node *argv, *env; /* a list, a map; null: none */
    uint16_t line;
};

struct playbook_step {
    const char *name;
    const char *when; /* null: always */
    struct playbook_op op;
    uint32_t delay_ms; /* before it, and before each further attempt */
    uint8_t retries;   /* further attempts */
    int16_t reg;       /* register that gets its exit status and output; -1: none */
    uint8_t undo_first, undo_count; /* its rollback, in playbook.undos */
    bool idempotent, ignore_errors;
    bool on_hub;       /* where it is carried out, unless playbook_values say the hub */
};

struct playbook_var {
    const char *name, *value;
};

/** Strings and nodes belong to the configuration tree, which has to stay as it is. */
struct playbook {
    const struct node *nodes; /* the tree */
    const char *name;
    enum playbook_restart on_restart;
    uint32_t commit_within_ms; /* 0: without */
    bool on_hub;
    unsigned step_count, undo_count, host_count, var_count, register_count;
    struct playbook_step steps[PLAYBOOK_STEPS];
    struct playbook_op undos[PLAYBOOK_UNDOS];
    struct playbook_var vars[PLAYBOOK_VARS];
    const char *registers[PLAYBOOK_REGISTERS]; /* their names */
    const char *hosts[PLAYBOOK_HOSTS];         /* patterns; none: every host */
    uint64_t print; /* of the whole file: a position is only good for the same one */
    struct matcher matchers[PLAYBOOK_HOSTS];
    struct matcher_store store;
    struct matcher_op ops[MATCHER_OPS];
    struct pattern_range ranges[PATTERN_SET_RANGES];
};

/** Bind a file that was loaded into c (config_load); all its problems are reported, then what is no error but probably not what was
 * meant, by config_warn. Keeps c's nodes and strings. Return: 0, or NEFIA_EINVAL; config_done is still to be called. */
int playbook_bind(struct playbook *p, struct config *c, struct pattern_tree *scratch);
/** Is it one of `hosts`? */
bool playbook_takes(const struct playbook *p, const char *host, struct matcher_work *work);

/** What the templates of one run stand for. Everything is borrowed for as long as the run lasts. */
struct playbook_values {
    const char *host;          /* host_id of the device that it is run for; {{host}} */
    const struct event *event; /* what set it off, decoded; null: a person did */
    const char *const *sets;   /* "NAME=VALUE", which take the place of those in `vars` */
    unsigned set_count;
    bool on_hub;               /* all of it on the hub, whatever the playbook says (target: hub) */
};
/** Can it be run with these? A name in sets must be one in `vars`, and commit_within is for devices. Return: 0, or NEFIA_EINVAL with
 * a sentence in why. */
int playbook_values_check(const struct playbook *p, const struct playbook_values *v, struct text *why);

enum playbook_state {
    PLAYBOOK_RUNS,
    PLAYBOOK_DONE,     /* every step was done, or skipped; or failed where that is ignored */
    PLAYBOOK_FAILED,   /* a step failed, and what had begun was undone, as far as it had a rollback */
    PLAYBOOK_UNDO_FAILED, /* and some of it could not be undone; by commit_within the device does it itself */
    PLAYBOOK_STOPPED,  /* on_restart: stop */
};
extern const char playbook_state_words[]; /* for word_at: "running", "done", "failed", "rollback failed", "stopped" */

/** Position of a run. Its members are for reading. */
struct playbook_run {
    const struct playbook *book;
    const struct playbook_values *values;
    char id[OP_RUN_ID + 1];
    uint8_t state;     /* enum playbook_state */
    uint8_t phase;     /* private: the next, or the present, enum playbook_part */
    bool in_flight;    /* an op was handed out, and its end is not known yet */
    bool armed;        /* the device has the rollbacks */
    uint8_t step, attempt, again, undo; /* where it is; undo: of the step's rollback */
    uint8_t failed_step; /* the one that failed first; PLAYBOOK_STEPS: none */
    uint16_t undone, not_undone; /* ops of rollbacks */
    uint64_t begun, skipped;     /* steps, a bit each */
    char why[PLAYBOOK_WHY_MAX + 1]; /* FAILED and the like: a sentence */
    struct playbook_register {
        bool set;
        uint8_t exit;
        uint16_t len;
        char output[PLAYBOOK_OUTPUT_MAX + 1];
    } registers[PLAYBOOK_REGISTERS];
};

/** id: OP_RUN_ID hex digits, random. Keeps p and v. */
void playbook_begin(struct playbook_run *r, const struct playbook *p, const struct playbook_values *v, const char *id);

/** What an op is of. */
enum playbook_part {
    PLAYBOOK_ARM,      /* commit_within: the device gets all rollbacks before the first step */
    PLAYBOOK_STEP,
    PLAYBOOK_COMMIT,   /* the device forgets them */
    PLAYBOOK_UNDO,     /* the rollback of one step */
    PLAYBOOK_UNDO_ARMED, /* commit_within: the device is told to undo now, and not to wait */
};
extern const char playbook_part_words[]; /* for word_at: "arm", "step", "commit", "rollback", "rollback" */

/** What is to be done next. Strings are those of the playbook, or in the text. */
struct playbook_todo {
    enum playbook_part part;
    struct op op;
    bool on_hub, idempotent;
    uint8_t step;              /* number, from 0 */
    const char *name;          /* of the step; of ARM, COMMIT and UNDO_ARMED "commit_within" */
    unsigned attempt, attempts; /* which of how many, from 1 */
    uint32_t delay_ms;         /* to wait before it */
    const char *why;           /* SKIPPED, REFUSED: a sentence, in the text; else "" */
};

enum playbook_turn {
    PLAYBOOK_CARRY_OUT, /* until its result is given, the same is said again */
    PLAYBOOK_SKIPPED,   /* the step's `when` is false */
    PLAYBOOK_REFUSED,   /* the step cannot begin, and has failed: a field that the event does not have, too long */
    PLAYBOOK_OVER,
};
/** text: of PLAYBOOK_TEXT_BYTES, reset; gets the strings of the op, and must stay as it is until the op is carried out.
 * Bounds: no recursion; one op is filled in. */
enum playbook_turn playbook_next(struct playbook_run *r, struct playbook_todo *todo, struct text *text);

/** What became of the op that was handed out. */
struct playbook_result {
    enum link_outcome outcome;
    int exit; /* DONE: as child_result.exit_code */
    bool timed_out;
    struct slice output; /* any bytes; only the first PLAYBOOK_OUTPUT_MAX count */
    const char *reason;  /* not DONE: a phrase, or null */
};
enum playbook_judgement { PLAYBOOK_GOOD, PLAYBOOK_AGAIN, PLAYBOOK_BAD, PLAYBOOK_IGNORED };
extern const char playbook_judgement_words[]; /* for word_at: "ok", "again", "failed", "ignored" */
/** Return: what it means for the run. AGAIN: there is another attempt. */
enum playbook_judgement playbook_result(struct playbook_run *r, const struct playbook_result *result);

/** Write the position as one object, named key. */
void playbook_save(const struct playbook_run *r, struct json_writer *w, const char *key);
/** Read one. Return: 0; NEFIA_ESYNTAX; NEFIA_EINVAL: it is of another playbook, or of none; with a sentence in why. */
int playbook_restore(struct playbook_run *r, const struct playbook *p, const struct playbook_values *v, struct slice json,
                     struct json_token *tokens, unsigned cap, const char **why);
#define PLAYBOOK_SAVED_TOKENS 96
/** Who drove it has ended in the middle: after playbook_restore, do as on_restart says. An op in flight counts as one whose end is
 * unknown: it is begun again only if it is idempotent. */
void playbook_resume(struct playbook_run *r);

/** For plans: fill in a step, or its rollback number undo (negative: the step itself), as if it were its turn. What only a run knows
 * (registers) stays as it is written, and *open is set. Return: 0, or negative with a sentence in why. */
int playbook_plan(const struct playbook *p, const struct playbook_values *v, unsigned step, int undo, struct op *op, struct text *text,
                  bool *open, struct text *why);
/** Would its `when` be true? Return: 1, 0; NEFIA_EAGAIN: only a run knows; another error with a sentence in why. */
int playbook_plan_when(const struct playbook *p, const struct playbook_values *v, unsigned step, struct text *why);

/** All that a playbook takes while it is read and run. */
struct playbook_memory {
    struct node nodes[PLAYBOOK_NODES];
    char strings[PLAYBOOK_STRINGS];
    struct config config;
    struct config_arena arena;
    struct playbook book;
    struct playbook_run run;
    char text[PLAYBOOK_TEXT_BYTES];
    struct event event; /* after playbook_take_event */
    char event_line[CONFIG_EVENT_BYTES];
    struct json_token event_tokens[CONFIG_JSON_TOKENS];
    char event_scratch[EVENT_SCRATCH];
};
/** Read and bind the file into m->book. report and arg: as those of config_init. warn: warnings are reported, too. work: as
 * config_load's, and then it may be the place of scratch. Return: 0, or negative after reports. */
int playbook_load(struct playbook_memory *m, const char *path, void (*report)(void *, const char *), void *arg, bool warn, void *work,
                  size_t work_cap, struct pattern_tree *scratch);
/** Copy a line, which may lie anywhere (in m, too), and decode it into m->event. Return: as event_decode; why is never null on error. */
int playbook_take_event(struct playbook_memory *m, const char *line, size_t len, const char **why);

#endif
