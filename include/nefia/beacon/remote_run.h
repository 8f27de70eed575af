#ifndef NEFIA_BEACON_REMOTE_RUN_H
#define NEFIA_BEACON_REMOTE_RUN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "nefia/beacon/remote.h"
#include "nefia/beacon/undo.h"
#include "nefia/ops/op.h"
#include "nefia/sys/child.h"

struct beacon;

/** How the device carries out the hub's commands: the hooks of remote.h, with the policy, a child process, and the runs of playbooks that
 * are undone (undo.h). Whatever the beacon emits while a command runs and 10 s after has that command's cause. */
#define REMOTE_CAUSE_MS 10000u
#define REMOTE_CHILDREN 2 /* a command, and what undoes a run meanwhile */
#define REMOTE_UNDO_OUTPUT 128

/** Words of a command, of which its effects may be: their hashes. */
#define REMOTE_ABOUT 64
struct remote_run {
    struct remote remote;
    struct slice cause_of_next; /* from prepare to start */
    bool waits_for_undo; /* the command that runs is a rollback */
    size_t cause_len;
    unsigned causes; /* names in cause */
    char cause[EVENT_CAUSE_MAX];
    unsigned about_next;
    uint32_t about[REMOTE_ABOUT]; /* the oldest are overwritten */
    char undo_output[REMOTE_UNDO_OUTPUT + 1];
};

/** What is needed from reading a command until its process is forked; nothing of it is kept. */
struct remote_scratch {
    struct op op;
    struct op_place place;
    struct policy_use use;
    struct text text;
    char strings[OP_TEXT_BYTES + sizeof EVENT_CAUSE_VARIABLE + EVENT_CAUSE_MAX + 16];
    union {
        struct json_token tokens[OP_TOKENS];
        char work[OP_TEXT_BYTES]; /* argv, quoted, while it is judged */
    };
};

/** Connect it to the pools. */
void beacon_remote_wire(struct beacon *b);
/** The start has its number, and dir, if not null or "", is locked: take over what the previous one has left. */
void beacon_remote_open(struct beacon *b, const char *dir);
/** Of what was loaded: commands want a key. */
void beacon_remote_check(struct beacon *b);
/** The settings have changed. */
void beacon_remote_apply(struct beacon *b);
/** The beacon ends. */
void beacon_remote_close(struct beacon *b);

#endif
