#ifndef NEFIA_OPS_OP_H
#define NEFIA_OPS_OP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "nefia/base/text.h"
#include "nefia/guard/policy.h"
#include "nefia/json/json.h"
#include "nefia/sys/child.h"
#include "nefia/sys/file.h"

/** One thing to do, on a device or on the hub: a command from the hub, or a step of a playbook. On the wire, in the journal and in
 * state files it is one JSON object with exactly one of these members, beside `timeout_ms` and `env`:
 *
 *     {"run":"logger -t nefia \"$NEFIA_TYPE\"","timeout_ms":30000,"env":{"NEFIA_TYPE":"disk.usage"}}   /bin/sh -c
 *     {"argv":["/usr/bin/logger","x"],"timeout_ms":30000}                                    no shell
 *     {"service":{"name":"nginx","verb":"restart"},"timeout_ms":30000}
 *     {"file":{"path":"/etc/x.conf","content":"…"|"from":"/path","mode":"0644","backup":true},"timeout_ms":…}
 *     {"restore":{"path":"/etc/x.conf","run":"RUN"},"timeout_ms":…}      the backup that this run made (default: the newest) takes its
 *                                                                        place again, and a file that did not exist is removed
 *     {"wait_for":{"port":"127.0.0.1:80"|"path":"/run/x"|"service":"nginx","state":"active"},"timeout_ms":…}
 *     {"undo":{"begin":"RUN","within_ms":60000,"restart":"rollback"|"continue","ops":[[STEP,{…}],…]}}   (nefia/beacon/undo.h)
 *     {"undo":{"commit":"RUN"}}, {"undo":{"rollback":"RUN"}}
 *     beside any but undo: "of":["RUN",STEP]                                                 it is a step of that run
 *
 * Unknown members are errors: an op that is not understood whole is not done in part. Variables of env are named NEFIA_ and then
 * letters, digits and _: a policy judges the command, and no variable may change what that runs (PATH, LD_PRELOAD). Besides them a
 * command has PATH. */
enum op_kind { OP_RUN, OP_ARGV, OP_SERVICE, OP_FILE, OP_RESTORE, OP_WAIT, OP_UNDO };
enum op_verb { OP_START, OP_STOP, OP_RESTART, OP_RELOAD };
extern const char op_verb_words[]; /* for word_at and FIELD_WORD */
enum op_wait { OP_WAIT_PORT, OP_WAIT_PATH, OP_WAIT_SERVICE };
enum op_undo { OP_UNDO_BEGIN, OP_UNDO_COMMIT, OP_UNDO_ROLLBACK };

#define OP_ARGS 32        /* of argv */
#define OP_ENV 40         /* variables */
#define OP_ENV_NAME 80    /* longest name of one */
#define OP_RUN_ID 16      /* hex digits of a run of a playbook */
#define OP_STEPS 64       /* of one run */
#define OP_NAME_MAX 64    /* of a service: letters, digits and _@:+.- , not beginning with - or . */
#define OP_TIMEOUT_MS 30000u
#define OP_TIMEOUT_MAX_MS 3600000u
#define OP_TEXT_BYTES 4096 /* all strings of one op, unescaped */
#define OP_TOKENS 192
#define OP_WORK_BYTES 8192 /* enough for any op's `work` */
#define OP_FAILED 1   /* exit status of a service, file, restore or wait_for that failed */
#define OP_DENIED 126 /* where it leads, or the helper's policy, does not allow it; stderr says why */

/** Decoded. Strings lie in the caller's text, NUL-terminated, or belong to who made it. */
struct op {
    enum op_kind kind;
    uint32_t timeout_ms;              /* 1 to OP_TIMEOUT_MAX_MS; default OP_TIMEOUT_MS */
    const char *env[OP_ENV + 1];      /* "NAME=value", null-terminated */
    unsigned env_count;
    const char *run;                  /* RUN */
    const char *argv[OP_ARGS + 1];    /* ARGV, null-terminated; argv[0] absolute */
    enum op_verb verb;                /* SERVICE */
    const char *service;              /* SERVICE, WAIT */
    const char *path, *from, *content; /* FILE (from or content), RESTORE, WAIT (path) */
    size_t content_len;
    uint16_t mode;                    /* FILE: permission bits; 0: those of the file that it replaces, else 0644 */
    bool backup;                      /* FILE */
    enum op_wait wait;                /* WAIT */
    uint8_t state;                    /* WAIT for a service: enum service_state; 0: ACTIVE */
    const char *port;                 /* WAIT: "host:port" */
    enum op_undo undo;                /* UNDO */
    const char *undo_run;             /* UNDO: OP_RUN_ID hex digits; RESTORE: the same, or null: the newest backup */
    uint32_t within_ms;               /* BEGIN */
    bool continues;                   /* BEGIN: a restart of the device does not undo */
    struct slice undo_ops;            /* BEGIN: the raw array */
    const char *step_of;              /* of that run; null: of none */
    unsigned step;                    /* its number there, 0 to 63 */
};

/** Read one from a JSON object. text: room for OP_TEXT_BYTES, gets the strings behind what it has; tokens: of cap.
 * Return: 0, or NEFIA_ESYNTAX (no JSON), NEFIA_EINVAL, NEFIA_ETOOBIG, with a constant sentence in why. */
int op_read(struct op *op, struct slice json, struct text *text, struct json_token *tokens, unsigned cap, const char **why);
/** Write it as an object, named key (null: an element, or the root). What is written reads back as the same op. */
void op_write(const struct op *op, struct json_writer *w, const char *key);
/** What a policy is asked: the command as a shell would be given it (argv quoted; a service as "service NAME VERB"; null: none), in
 * `text` where it is not one of the op's strings, and the paths of the op, of which the caller asks one after the other: the file that is
 * written, the one it is copied from, the one that is waited for. text->truncated: too long to be judged. Return: how many paths (0 to 2). */
unsigned op_subject(const struct op *op, struct text *text, const char **command, const char *paths[2]);

/** What an op needs to be carried out. */
struct op_place {
    struct guard guard;      /* judge null: everything is allowed */
    const char *host, *role; /* for the policy */
    int helper;              /* socket of the helper that stays root (nefia/ops/helper.h); in a child that was started with it as
                              * child_spec.keep, CHILD_KEPT; 0: there is none, services are done directly; -1: it has ended, they are not */
    const char *state_dir;   /* where backups are kept; null: beside the file */
    char *work;              /* argv, quoted, while it is judged, and what the child works in: OP_WORK_BYTES. The guard's memory is
                              * another. What does not fit is not allowed; 0: RUN, FILE and RESTORE only */
    size_t work_cap;
    /* op_child's */
    const struct op *op;
    const char *argv[4], *envp[OP_ENV + 2];
};
/** May it be done here? Paths are judged as they resolve at the moment; they are judged again, and held, when they are opened. UNDO is
 * allowed: what it undoes is judged when it is undone. v: the first verdict that denies, else the last. Return: false: why says why not. */
bool op_allowed(const struct op *op, const struct op_place *place, struct verdict *v, struct text *why);
/** Of a resolved path only. v is left alone where nobody is asked. */
bool op_path_allowed(const char *path, const struct op_place *place, struct verdict *v, struct text *why);
/** May it be the name of a service? (OP_NAME_MAX) */
bool op_is_service(const char *name);
/** May it be the name of a variable of an operation? NEFIA_ and at least one capital letter, digit or _, of at most OP_ENV_NAME bytes. The
 * byte behind it is readable, and none of those. */
bool op_is_variable(struct slice name);
/** Fill spec with the child process that does it (run or argv, env, deadline). op and place must stay as they are until the child is
 * forked: nothing is shared afterwards. Not for OP_UNDO. Return: 0, or negative with a sentence in why. */
int op_child(const struct op *op, struct op_place *place, struct child_spec *spec, struct text *why);

#endif
