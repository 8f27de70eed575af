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
 * that none will come.
 *
 *     WAITING ── the device's session is open ──▶ SENT ── result ──▶ ENDED ── its owner has been told ──▶ free
 *        │ life over: expired                        │ session lost: sent again, as a question if its life is over
 *        ▼                                           ▼ another start of the device: it knows, or says that the end is unknown
 *
 * For each device one at a time, in the order of their numbers, so that those of a rule are not reordered. A device's answer is taken
 * only in a signed session of that host, and only for the command that was sent to it. */
enum command_state { COMMAND_FREE, COMMAND_WAITING, COMMAND_SENT, COMMAND_ENDED };
/** Who waits for it. */
enum command_owner {
    COMMAND_OF_JOB,     /* the job of that id (jobs_answer) */
    COMMAND_OF_CLIENT,  /* a request on the control socket; nobody, if that has gone */
};

struct command_order {
    enum command_owner owner;
    uint64_t job;            /* COMMAND_OF_JOB */
    struct slice host;       /* host_id */
    struct slice op;         /* the raw object */
    struct slice cause;      /* raw array; empty: none */
    uint32_t life_ms;        /* within which it must begin */
    uint32_t timeout_ms;     /* of the op: how long it may run there */
    bool idempotent;         /* where its end is unknown it is begun again, under a new id, while its life lasts */
    const char *who;         /* for the audit: a rule's name, or "uid 0" */
};

/** What became of it, as it is told to its owner; valid during the call. */
struct command_end {
    enum link_outcome outcome;
    const struct link_result *result; /* null: none came (expired here, or dropped) */
    struct slice output;              /* unescaped, first 4096 bytes */
    const char *error;                /* "" if it was done with exit status 0; else at most ACTION_ERROR_MAX bytes */
};

struct commands;
#endif
