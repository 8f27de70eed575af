#ifndef NEFIA_BEACON_REMOTE_H
#define NEFIA_BEACON_REMOTE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "nefia/base/text.h"
#include "nefia/json/json.h"
#include "nefia/link/link.h"
#include "nefia/sys/clock.h"

/** Commands from the hub, on the device (REMOTE_EXEC): which of them begins, what was said of each, and what is remembered. An engine
 * without I/O but for its file; what a command is and how it is done is behind two hooks (nefia/beacon/remote_run.h).
 *
 *     command ──▶ known id? ──▶ its outcome, or once it has ended
 *                   │ no
 *                   ├──▶ sent first to a start that the memory does not cover: unknown
 *                   ├──▶ its life is over: expired
 *                   ├──▶ another one runs: busy
 *                   ├──▶ unsupported, denied
 *                   ▼
 *                 on disk as begun ──▶ begins ──▶ ended: on disk, and the result goes out
 *
 * An answer is sent in the session in which the hub has asked; a hub that has lost that one asks again. So a device need not know which
 * hub an answer is for, and nothing of an answer outlives a session but what is remembered.
 *
 * Remembered are the last 64 ids that began, with their outcome, and the output of the last one until the next begins. Those whose
 * result the hub has acknowledged are forgotten first. A command that is not known has not begun, if it was sent first to a start
 * that the memory covers: this one, and with state_dir those before it, as long as its file has been whole and nothing unsettled was
 * forgotten. Once that has happened to one of this start, what is not known may be that one until its life is over for all hubs; then
 * only what could still begin has not. The file is replaced whole before a command begins and after it has ended. */
#define REMOTE_IDS 64
#define REMOTE_STARTS 16 /* that are covered, this one included */
#define REMOTE_OUTPUT 4096
#define REMOTE_WHAT 80 /* bytes shown of what runs */
#define REMOTE_FILE "commands"
/** The file: a frame's header, then u8 version, u8 starts, be64 each, u8 ids, 19 bytes each. */
#define REMOTE_FILE_MAX (12 + 3 + REMOTE_STARTS * 8 + REMOTE_IDS * 19)

enum remote_how { REMOTE_TIMED_OUT = 0x10, REMOTE_SETTLED = 0x20, REMOTE_OUTCOME = 0x0F };

/** A command that has begun. */
struct remote_id {
    uint64_t id;
    uint32_t ms, bytes; /* how long it ran, and what it printed; UINT32_MAX: more */
    uint32_t until;     /* of this start: later (in 1024 ms) no hub takes it for one that may begin */
    uint8_t how;        /* enum link_outcome, until it has ended LINK_END_UNKNOWN; enum remote_how. On disk: never renumber */
    uint8_t exit_code, signal;
    bool earlier;       /* it began before this start of the beacon */
};

/** What became of one that ran. */
struct remote_end {
    uint8_t exit_code, signal;
    bool timed_out;
    uint64_t ms, bytes;
    size_t output_len; /* in remote.output */
};

struct remote_hooks {
    /** Is it one that can be done here, and allowed? Return: LINK_DONE: it may begin; LINK_DENIED or LINK_UNSUPPORTED, with a phrase in
     * why. what: gets what it is, for the log and `status`. */
    enum link_outcome (*prepare)(void *arg, const struct link_command *c, struct text *what, struct text *why);
    /** Begin what was prepared in this turn. Return: LINK_DONE: it has begun, and remote_ended follows, maybe before this returns;
     * else as prepare: nothing has begun. */
    enum link_outcome (*start)(void *arg, struct text *why);
    void *arg;
};

struct remote {
    struct remote_hooks hooks;
    const struct clock *clock;
    bool takes;      /* the configuration allows commands: the owner's, which says so in the hello */
    bool stopping;   /* the owner's: nothing begins any more */
    bool kept;       /* the file covers this start: nothing begins that is not in it */
    const char *dir; /* state_dir, the owner's; null or "": nothing is kept */
    uint64_t starts[REMOTE_STARTS]; /* the running one is the last */
    unsigned start_count;
    struct remote_id ids[REMOTE_IDS]; /* the last one began last */
    unsigned count;
    uint32_t doubt; /* until then (in 1024 ms) what is not known may be one of this start that was forgotten unsettled; 0: none was */
    uint32_t ended[LINK_BUSY + 1]; /* answers, by enum link_outcome; done: commands that ran */

    /* The last one that began. */
    bool running;
    uint64_t since_ms;
    char what[REMOTE_WHAT + 1];
    size_t output_len;
    char output[REMOTE_OUTPUT];

    /* The session. */
    bool asked;         /* it wants to know about the last one that began */
    bool answers;       /* and this is to be sent to it: of another one */
    uint64_t answer;
    uint8_t outcome;    /* enum link_outcome */
    char reason[LINK_REASON_MAX + 1];
    uint64_t sent_id;   /* the last result sent in it; 0: none that can be settled */
    uint32_t sent_line;
};

/** hooks is copied; clock must persist. Nothing is remembered, and nothing is taken. */
void remote_init(struct remote *r, const struct remote_hooks *hooks, const struct clock *clock);
/** own: this start's boot. dir: the state_dir, kept; null or "": none. Reads the file, and writes this start into it before any
 * command can name it. */
void remote_open(struct remote *r, uint64_t own, const char *dir);
/** A command came, in a session whose hello was sent at hello_ms. Afterwards remote_next may have an answer. Blocks on the disk. */
void remote_take(struct remote *r, const struct link_command *c, uint64_t hello_ms);
/** The one that runs has ended. */
void remote_ended(struct remote *r, const struct remote_end *end);
/** Write the next answer of the session, if there is one, to buf, as link_beacon_result. Return: its length, or 0. */
size_t remote_next(struct remote *r, struct link *l, char *buf, size_t most);
/** All lines up to this one are in the hub's journal. */
void remote_acknowledged(struct remote *r, uint32_t line);
/** The session is over. */
void remote_lost(struct remote *r);
/** Is nothing of the session under way that its end would delay? */
static inline bool remote_idle(const struct remote *r)
{
    return !r->answers && !r->asked;
}

/** Write the object "remote" of `status`; and its row of the id that began as the index-th from last. */
void remote_put(const struct remote *r, struct json_writer *w);
void remote_put_id(const struct remote *r, unsigned index, struct json_writer *w);

#endif
