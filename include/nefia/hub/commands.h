#ifndef NEFIA_HUB_COMMANDS_H
#define NEFIA_HUB_COMMANDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "nefia/event/event.h"
#include "nefia/hub/journal.h"
#include "nefia/hub/session.h"
#include "nefia/link/link.h"
#include "nefia/sys/clock.h"

/** Commands to devices (HUB_COMMANDS): kept, in the journal too, from when they are ordered until their result is there, or it is known
 * that none will come. A table without I/O; nefia/hub/dispatch.h connects it with sessions, jobs and people.
 *
 *     WAITING ── the device's session is open ──▶ SENT ── result ──▶ ENDED ── its owner has been told ──▶ free
 *        │ life over: expired                        │ session lost: sent again, as a question if its life is over
 *        ▼                                           ▼ another start of the device: it knows, or says that the end is unknown
 *
 * For each device one at a time, in the order of their numbers, so that those of a rule are not reordered. A device's answer is taken
 * only in a signed session of that host, and only for the command that was sent to it.
 *
 * Time is the clock that nobody sets. While the hub is down it is the wall clock, if that is synced before and after; otherwise a
 * command's life counts as over. */
enum command_state { COMMAND_FREE, COMMAND_WAITING, COMMAND_SENT, COMMAND_ENDED };
/** Who waits for it. On disk: never renumber. */
enum command_owner {
    COMMAND_OF_JOB,    /* the job of that id (jobs_answer) */
    COMMAND_OF_CLIENT, /* a request on the control socket */
    COMMAND_OF_NOBODY, /* who ordered it has gone: it ends by itself */
};

#define COMMAND_WHO_MAX 64
#define COMMAND_OUTPUT_MAX 4096 /* bytes of a command's output that are kept */
/** Longest op: with its cause and everything else it fits the line. */
#define COMMAND_OP_MAX (LINK_COMMAND_MAX - EVENT_CAUSE_MAX - 160)
#define COMMAND_LIFE_MAX_MS 86400000u
#define COMMAND_BUSY_MS 2000u      /* until a device that was busy is asked again */
#define COMMAND_LOST_MS 86400000u  /* after its life and time-out: a result is no longer expected */
#define COMMAND_ERROR_MAX 63       /* as ACTION_ERROR_MAX */

/** What somebody wants done. Everything is copied. */
struct command_order {
    enum command_owner owner;
    uint64_t job;        /* COMMAND_OF_JOB */
    uint64_t id;         /* 0: a new one */
    struct slice host;   /* host_id, 1 to EVENT_HOST_MAX bytes */
    struct slice op;     /* the raw object */
    struct slice cause;  /* raw array; empty: none */
    uint32_t life_ms;    /* within which it must begin; 0: only ask what became of that id */
    uint32_t timeout_ms; /* of the op: how long it may run there */
    bool idempotent;     /* where its end is unknown it is begun again, under a new id, while its life lasts */
    const char *who;     /* for the audit: a rule's name, or "uid 0" */
    uint16_t judged;     /* the owner's: with what it was allowed */
};

struct command {
    uint8_t state, owner; /* enum command_state, command_owner */
    uint8_t outcome;      /* ENDED: enum link_outcome */
    bool idempotent;
    bool asked;     /* SENT: in the session that is open now */
    bool here;      /* ENDED: the hub decided so, and reason says why */
    bool timed_out; /* ENDED */
    uint8_t exit_code, signal;
    uint8_t host_len, who_len, reason_len;
    uint16_t op_len, cause_len, output_len; /* output: ENDED, in place of op and cause */
    uint16_t judged;
    uint8_t host[SESSION_HOST];
    uint64_t id;       /* on the wire */
    uint64_t number;   /* of the hub's: counts up, over restarts too */
    uint64_t job;
    uint64_t first;    /* boot of the session in which it was sent first; 0: it never was */
    uint64_t until_ms; /* when its life is over */
    uint64_t retry_ms; /* not to be sent before */
    uint32_t timeout_ms;
    uint32_t at, room; /* of its texts */
    uint64_t duration_ms, output_total;
};

/** What became of it, as it is told to its owner; valid during the call. */
struct command_end {
    enum link_outcome outcome;
    const struct link_result *result; /* null: none came (it expired here, or was given up) */
    struct slice output;              /* decoded, first COMMAND_OUTPUT_MAX bytes */
    const char *error;                /* "" if it was done with exit status 0; else at most COMMAND_ERROR_MAX bytes */
};

struct commands;
struct command_hooks {
    /** The journal's slot holds these bytes from this turn on; len 0: nothing. */
    void (*keep)(void *arg, uint16_t slot, const void *bytes, size_t len);
    /** It has ended. That of a client stays until commands_free; any other is gone after the call. Nothing is ordered or ended
     * meanwhile. */
    void (*ended)(void *arg, const struct command *c, const struct command_end *end);
    /** Random bytes for an id. Return: 0 or negative. */
    int (*random)(void *buf, size_t len);
    void *arg;
};

struct command_stats {
    uint64_t ordered, sent, again; /* again: sent once more, in another session */
    uint64_t full;                 /* orders without room */
    uint64_t ended[LINK_BUSY + 1]; /* by outcome; BUSY: how often a device was */
};

struct commands {
    const struct clock *clock;
    struct command *slots;
    unsigned count;
    char *text; /* of all commands, each in one piece, without gaps */
    size_t text_size, text_used;
    uint64_t last; /* number given last */
    uint8_t *kept; /* JOURNAL_KEPT_MAX bytes: a slot on its way to the journal, or decoded output */
    struct command_hooks hooks;
    struct command_stats stats;
};

/** All memory is the caller's and must persist. kept is used within calls only. */
void commands_init(struct commands *t, const struct clock *clock, struct command *slots, unsigned count, char *text, size_t text_size,
                   uint8_t *kept, const struct command_hooks *hooks);
/** Return: 0, *number gets its number; NEFIA_ETOOBIG: the op, the cause or a name is too long; NEFIA_EFULL: a host may have a
 * quarter of the places and half of the text, rules three quarters of both; NEFIA_EIO: no random numbers. The owner ends its turn. */
int commands_order(struct commands *t, const struct command_order *o, uint64_t *number);
/** Return: null: it is gone. Valid until the next call that orders, ends or frees one. */
const struct command *commands_get(const struct commands *t, uint64_t number);
/** The one of that id and host that has not ended, or null. */
const struct command *commands_find(const struct commands *t, const uint8_t host[SESSION_HOST], uint64_t id);
/** Of the one with the lowest number above `after` (0: of all), or null. */
const struct command *commands_next(const struct commands *t, uint64_t after);
/** The oldest of the host that has not ended, or null. */
const struct command *commands_head(const struct commands *t, const uint8_t host[SESSION_HOST]);
struct slice command_host(const struct commands *t, const struct command *c);
struct slice command_who(const struct commands *t, const struct command *c);
struct slice command_op(const struct commands *t, const struct command *c);     /* not ENDED */
struct slice command_cause(const struct commands *t, const struct command *c);  /* not ENDED */
struct slice command_reason(const struct commands *t, const struct command *c); /* ENDED */
struct slice command_output(const struct commands *t, const struct command *c); /* ENDED */

/** The one to be sent in an open session of that host, whose start is boot, or null. It is SENT from now on; the caller sends it once
 * that is in the journal. */
const struct command *commands_choose(struct commands *t, const uint8_t host[SESSION_HOST], uint64_t boot);
/** The message for it. hello_ms: when the session's hello was received. op and cause are borrowed as with commands_get. */
void commands_message(const struct commands *t, const struct command *c, uint64_t hello_ms, struct link_command *out);
/** One that waits was judged again, and allowed. */
void commands_judged(struct commands *t, uint64_t number, uint16_t judged);
/** One that waits is not to be sent after all: it ends like this, and the reason is its error. */
void commands_end(struct commands *t, uint64_t number, enum link_outcome outcome, const char *reason);
/** A result came, in a session of that host. Return: false: it is of no command that was sent there. */
bool commands_result(struct commands *t, const uint8_t host[SESSION_HOST], const struct link_result *r);
/** A session of that host is over: what was sent in it is sent again in the next one. */
void commands_lost(struct commands *t, const uint8_t host[SESSION_HOST]);
/** The host's session takes no commands: all of that host end as not supported, those that were sent with an unknown end. */
void commands_refused(struct commands *t, const uint8_t host[SESSION_HOST], const char *reason);
/** Its owner has gone: one that was not sent ends as expired for that reason, one that was ends by itself. */
void commands_leave(struct commands *t, uint64_t number, const char *reason);
/** A client waits for it. Of its output there is what has room. */
void commands_join(struct commands *t, uint64_t number);
/** The client has what it needs of one that has ended. */
void commands_free(struct commands *t, uint64_t number);
/** End what has expired or is given up. Return: when to call it again, UINT64_MAX: not before something else happens. */
uint64_t commands_tick(struct commands *t);
/** Of one that has ended, what went wrong, as command_end has it. */
void commands_error(const struct commands *t, const struct command *c, struct text *error);
/** How many are in that state. */
unsigned commands_in(const struct commands *t, enum command_state state);

/** For the journal (KEPT_COMMANDS). After the replay commands_tick ends those that expired; a WAITING one of a client that the restart
 * has ended is left with commands_leave, as is any of a job that there is no more. */
void commands_restore(struct commands *t, uint16_t slot, const uint8_t *bytes, size_t len);
void commands_copy(struct commands *t);

#endif
