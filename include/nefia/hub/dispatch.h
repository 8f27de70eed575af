#ifndef NEFIA_HUB_DISPATCH_H
#define NEFIA_HUB_DISPATCH_H

#include "nefia/control/control.h"
#include "nefia/hub/commands.h"
#include "nefia/hub/ingress.h"

/** Connects the table of commands (nefia/hub/commands.h) with the sessions that take them, and with who ordered them: jobs of rules
 * (`exec` with `target: host`), and people and playbooks through the control verb `exec`.
 *
 *     exec {"host":"r1","op":{…},"life_ms":30000}        op: nefia/ops/op.h, at most COMMAND_OP_MAX bytes
 *          also "id":"<16 hex>": of one that may have been ordered before. If the hub knows it, its result is waited for; otherwise it
 *               is ordered under this id. With "life_ms":0 it is only asked for: a device that knows it says what became of it, any
 *               other that its end is unknown.
 *          and "idempotent":true, "cause":["RULE",…], "rule":"RULE" (for whom the policy is asked, and the audit says it is)
 *     → {"output":"…"}        any number; together the first COMMAND_OUTPUT_MAX bytes
 *     → {"result":{"host":"r1","id":"…","outcome":"done","exit":0,"signal":0,"timed_out":false,"ms":12,"bytes":3,"reason":"…",
 *                  "error":"…"}}
 *
 * outcome is one of link_outcome_words. error: empty if it was done with exit status 0, else a sentence. The answer comes when the
 * result is there; a client that goes before withdraws what was not sent yet, and what was sent ends by itself, into the audit.
 * The exit status of the verb is the command's; 128 and the signal; 124 timed out; 126 denied; 125 everything else. What the hub's
 * policy denies is answered with an error and 126, a request that is wrong in itself or has no room with an error and 125. */

#define DISPATCH_FAILED 125
#define DISPATCH_DENIED 126
#define DISPATCH_TIMED_OUT 124
#define DISPATCH_PIECE 1024 /* most bytes of a record of output, before they are escaped */

struct dispatch {
    struct commands table;
    struct pipeline *pipeline;
    struct ingress *ingress;
    struct loop *loop;
    struct timer timer;
    bool chosen;                    /* in this dispatch_turn */
    struct action_scratch *scratch; /* its text: for one thing after another, an op that is judged or a message that is sent */
    void (*wake)(void *arg);        /* a client's command has ended */
    void *arg;
};

#define DISPATCH_WORK (LINK_COMMAND_MAX + MAC_HEX + 3) /* of the scratch's text, at least */

/** All memory is the caller's and must persist, as commands_init says. random: as the hook of commands. The pipeline's members
 * `jobs`, `journal` and so on are set before; its `dispatch` is this from now on. The caller sets wake and arg. */
void dispatch_init(struct dispatch *d, struct pipeline *p, struct ingress *in, struct loop *loop, struct action_scratch *scratch,
                   struct command *slots, unsigned count, char *text, size_t text_size, uint8_t *kept,
                   int (*random)(void *buf, size_t len));
/** For journal_keeper, after journal_init. */
struct journal_keeper dispatch_keeper(struct dispatch *d);
/** After the replay: join the commands and the jobs that wait for them again; what has lost its owner ends. */
void dispatch_resume(struct dispatch *d);
/** After jobs_rebind: withdraw what was not sent and whose rule is gone. */
void dispatch_rebind(struct dispatch *d);

/* In all of the following d may be null: there are no commands. */

/** For the hook `send` of jobs. */
int dispatch_order(struct dispatch *d, const struct job *job, const struct action_request *r, const struct action_order *o,
                   struct text *why);
/** Before the journal is written: end what is too late, and choose what each open session is to be sent. Return: was anything
 * chosen? It is sent by dispatch_write. */
bool dispatch_turn(struct dispatch *d);
/** A result came in an open session. It is settled by the next acknowledgement. */
void dispatch_result(struct dispatch *d, struct session *s, const struct link_result *r);
/** The session is over, or is about to end. */
void dispatch_lost(struct dispatch *d, struct session *s);
/** Append the command that is due in the session: DISPATCH_WORK bytes at most. Nothing, if it is not in the journal yet. */
void dispatch_write(struct dispatch *d, struct session *s, struct text *out);
/** The counters, as a member of an object. */
void dispatch_put(const struct dispatch *d, struct json_writer *w);

/** The control verb; arg is a struct status_view. */
int dispatch_begin(void *arg, struct control_cursor *cursor, const char *args, struct text *why);
int dispatch_produce(void *arg, struct control_cursor *cursor, struct text *out);
void dispatch_end(void *arg, struct control_cursor *cursor);

#endif
