#ifndef NEFIA_BEACON_UNDO_H
#define NEFIA_BEACON_UNDO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "nefia/base/bytes.h"
#include "nefia/beacon/pipeline.h"
#include "nefia/json/json.h"
#include "nefia/ops/op.h"
#include "nefia/sys/frames.h"
#include "nefia/sys/loop.h"

/** commit_within of a playbook, on the device that it changes: the ops that undo a run are kept here before its first step begins, and
 * are handed out by the device itself where the hub does not commit the run in time. One run at a time.
 *
 *     NONE ── begin ──▶ OPEN ── commit ──▶ COMMITTED
 *                        │ not heard in time, restart, or asked to
 *                        ▼
 *                     UNDOING ── the last op has ended: event playbook.rolled_back ──▶ UNDONE
 *
 * An OPEN run has a timer of within_ms by monotonic time. It starts at `begin` and anew at the end of each step; while a step
 * runs it stands, since a step has a deadline of its own. Undoing takes the steps that have begun, the last one first, and
 * carries out each one's ops in the order they were given; what fails is noted, and the next one is carried out all the same.
 *
 * With state_dir all of it is kept in its file `undo`, a log of frames: the run before `begin` is answered, a step before it
 * begins, an undoing before its first op, an op after its end, a commit before it is answered. So a power cut at any byte
 * leaves the run as it was before or after one of these. What a damaged file had noted is reported as failed. After a restart an OPEN run is undone, or, if it began with
 * "restart":"continue", its timer starts anew; an UNDOING goes on with the op whose end is not noted, which may so be done
 * twice. Without state_dir a restart forgets the run. */
#define UNDO_STEPS 64
#define UNDO_ERROR 80 /* of what failed first */
#define UNDO_FILE "undo"
/** Of the longest frame; what undo_load needs to read it. */
#define UNDO_HEAD 15
#define UNDO_WORK_BYTES (FRAME_HEADER + UNDO_HEAD + CONFIG_UNDO_BYTES)

enum undo_state { UNDO_NONE, UNDO_OPEN, UNDO_COMMITTED, UNDO_UNDOING, UNDO_UNDONE };
/** Why a run is undone. */
enum undo_reason { UNDO_NOT_HEARD, UNDO_RESTART, UNDO_ASKED };
extern const char undo_reason_words[]; /* "not heard in time", "restart", "asked" */

struct undo {
    struct beacon_pipeline *pipeline; /* its loop's time, and the event */
    /** There is something to undo: call undo_next. From the loop, never from within a call of this module's. */
    void (*wake)(void *arg);
    void *arg;
    struct timer timer;
    int fd; /* of the file; -1: kept in memory only */
    bool broken; /* it should be kept, but the file cannot be opened: no run begins */
    enum undo_state state;
    enum undo_reason reason; /* UNDOING, UNDONE */
    bool continues, step_runs, settled;
    uint32_t within_ms;
    uint64_t run; /* 0: none yet */
    uint64_t begun, failed; /* a bit for each step */
    uint8_t order[UNDO_STEPS], order_len; /* steps in the order in which they began */
    uint8_t at_step; /* UNDOING: the next op is of step order[at_step - 1]; 0: all are done */
    uint16_t at_op;  /* and stands there in bytes */
    uint16_t cause_len, len;
    char error[UNDO_ERROR + 1];
    char bytes[CONFIG_UNDO_BYTES]; /* the cause, then the ops: u8 step, be16 length, JSON as received */
};

/** Nothing is kept. pipeline, wake and arg stay the caller's. */
void undo_init(struct undo *u, struct beacon_pipeline *pipeline, void (*wake)(void *arg), void *arg);
/** Take over what the previous start has left, in the open directory `dir` (state_dir; -1: it cannot be opened, so that no run
 * can begin). Not called without state_dir. The undoing begins in the loop's next turn. work: UNDO_WORK_BYTES, only during the call. */
void undo_load(struct undo *u, int dir, void *work);
/** The process ends: stop the timer and close. What is kept stays. */
void undo_close(struct undo *u);

/** The op {"undo":{"begin":…}}. Each of its ops is put to `judge` (op_read, not an undo itself, op_allowed; negative with a
 * sentence: refused) before anything is kept: one that the policy denies now would fail when it is needed.
 * cause: the command's raw array, or empty. tokens: cap of them, only during the call.
 * The run that is open already, again (a command that is sent twice): fine, the timer starts anew.
 * Return: 0: it may begin; negative with a sentence in why: NEFIA_EEXIST another run is open or being undone, or this one is over;
 * NEFIA_ESYNTAX, NEFIA_ETOOBIG, NEFIA_EIO, or judge's. Nothing is kept then. */
int undo_begin(struct undo *u, const struct op *op, struct slice cause,
               int (*judge)(void *arg, struct slice op, struct text *why), void *arg, struct json_token *tokens, unsigned cap,
               struct text *why);
/** A step of a run ("of") is about to begin; step: below UNDO_STEPS. Return: 0; negative with a sentence: that run is not open here, so the step must not
 * begin. */
int undo_step_begins(struct undo *u, const char *run, unsigned step, struct text *why);
/** The process of that step has ended, however it did. */
void undo_step_ended(struct undo *u);
/** The run stays as it is. Return: 0, also if it was committed before; negative with a sentence. */
int undo_commit(struct undo *u, const char *run, struct text *why);
/** Undo it now. Return: 0: the state is UNDOING, or already UNDONE: answer once it is (undo_failed); negative with a sentence. */
int undo_rollback(struct undo *u, const char *run, struct text *why);

/** The op to carry out now, in a child process of its own, so that no other command delays it; raw JSON, valid until
 * undo_op_ended. Empty: none. The policy judges it again; one that it denies ends with that error. */
struct slice undo_next(const struct undo *u);
/** It has ended. error: "" if it did what it should, else a sentence for the log. Call undo_next again. */
void undo_op_ended(struct undo *u, const char *error);
/** The rules that led to the run: for whatever happens while it is UNDOING. */
struct slice undo_cause(const struct undo *u);
/** How many steps of the last undoing could not be undone. */
unsigned undo_failed(const struct undo *u);
/** The hub has all events: the report about the last undoing needs not be made again after a restart. */
void undo_settled(struct undo *u);
/** Write the object "undo" of `status`, if there has been a run. */
void undo_put(const struct undo *u, struct json_writer *w);

#endif
