#ifndef NEFIA_HUB_JOURNAL_H
#define NEFIA_HUB_JOURNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "nefia/event/event.h"
#include "nefia/sys/file.h"
#include "nefia/hub/seen.h"
#include "nefia/base/text.h"

/** State of the hub that survives a power cut: events acknowledged but not finished, which actions
 * were about to start, had started, had ended, and the windows of its hosts.
 *
 * Two files of frames (nefia/sys/frames.h) in state_dir, journal.0 and journal.1, used alternately:
 * when one has reached its limit, the other is started with a copy of everything still relevant,
 * and takes over once that is on disk. The frames of one turn of the loop end with a COMMIT.
 *
 *     1 HOST    a host with its windows          (copy)
 *     2 EVENT   be64 id, line                    an event was accepted; a JOB follows for each action
 *     3 SEEN    an event was received: id, u8 window_kind, window's name, be64 boot, be64 seq
 *     4 JOB     be64 id, be64 event, rule name   an action to run; event: id of the last EVENT
 *     5 STATE   be64 id, u8 state, be32 ms       of a job: enum journal_job_state, and how long it may wait.
 *                                              Only the id, from an older version: STARTED
 *     6 END     be64 id, u8 state                it ended (recent_state)
 *     7 COMMIT  be64 generation, be64 last id, be32 bytes of its turn before this frame
 *     8 HELLO   a host's hello: id, u8 plain, window's name, be64 boot
 *     9 UNPIN   id: it may deliver plainly again
 *    10 FORGET  id: an operator cleared what was known of it
 *    11 REPORT  u8 slot, u8 kind, be32 count, be64 boot, be64 seq, host_id
 *               what the hub has yet to report of a host, in place of what the slot held (count 0: nothing)
 *    12 KEPT    u8 keeper, be16 slot, bytes    what one of its keepers remembers, in place of what the slot held (no bytes: nothing)
 *
 * For who looks back (nefia replay); the hub itself does not read them. None is in the copy at a file's beginning:
 *
 *    13 WHEN    be64 event, be64 ran_ms, be64 unix_s, u8 flags    of the last EVENT, which matched a rule: enum journal_when
 *    14 DECIDED be64 event, u8 decision, be32 detail, rule name   of a rule that it matched and whose action does not begin: enum
 *                                              journal_decision. Of the others a JOB says so, at the same place in the rules' order
 *    15 RESULT  be64 job, be64 ran_ms, u8 result, rule name       of an action of a rule with a breaker: enum restraint_result
 *    16 RELOAD  be64 ran_ms, be64 unix_s       rules and policy are others from here on
 *
 * ran_ms counts the time that a hub has run, over all starts since the journal was begun (restraint.h).
 *
 * The file with the higher generation is valid, once it has one complete turn. Its last committed
 * turn is valid only as a whole, if each of its bytes is intact: otherwise it may never have been
 * on disk, and then was not acknowledged. Of a turn followed by others, which therefore was on disk
 * once, every intact frame is valid.
 *
 * A third file, journal.lock, keeps a second hub out. Without state_dir nothing is stored: all
 * calls succeed and do nothing. */

/** A report of the hub that waits until there is room for its actions. Its numbers mean nothing to the
 * journal. */
struct journal_report {
    uint8_t slot, kind;
    uint32_t count; /* 0: the slot is free */
    uint64_t boot, seq;
    struct slice host; /* at most 255 bytes */
};

/** On disk: never renumber. */
enum journal_job_state {
    JOURNAL_QUEUED,
    JOURNAL_STARTED,  /* or about to: it may have had its effect */
    JOURNAL_PENDING,  /* it waits for an approval, and has had none */
    JOURNAL_APPROVED, /* queued again */
    JOURNAL_SENT,     /* to a device */
};

/** An unfinished job, as it was last recorded. */
struct journal_job {
    uint64_t id, event;
    struct slice rule;
    enum journal_job_state state; /* JOURNAL_STARTED also for one that this version does not know */
    uint32_t timeout_ms;          /* PENDING, SENT: how long it may wait, 0: for ever */
};

struct journal_hooks {
    /** Replay, in order: an unfinished job, those of one event after each other. line is the event's, valid
     * like job->rule during the call ("" if the event's frame was damaged). Nothing is appended
     * meanwhile: a job that `copy` does not return afterwards counts as finished. */
    void (*job)(void *arg, const struct journal_job *job, const char *line, size_t len);
    /** A new file is started: write everything still relevant, with journal_job for each unfinished
     * job (its event first, as journal_event; journal_state if it is not simply queued) and
     * journal_report for each that waits. This replaces all that was appended before. Called inside journal_open and journal_commit. */
    void (*copy)(void *arg);
    /** Replay, in order, before the jobs: r is valid during the call. */
    void (*report)(void *arg, const struct journal_report *r);
    void *arg;
};

/** On disk: never renumber. */
enum journal_when { JOURNAL_SYNCED = 1 /* unix_s is to be trusted */, JOURNAL_UNSURE = 2 /* it may have acted before */ };
enum journal_decision {
    JOURNAL_OWN_EFFECT = 1, /* the rule led to the event, or it has as many causes as there may be */
    JOURNAL_SILENCED,       /* detail: the silence's number */
    JOURNAL_RESTRAINED,     /* detail: enum restraint_reason */
    JOURNAL_DENIED,         /* by the policy; detail: enum verdict_kind */
    JOURNAL_DROPPED,        /* no room for the action */
    JOURNAL_ACTED_BEFORE,   /* it may have, and the rule is not idempotent */
};
/** When an event came that matched a rule. */
struct journal_time {
    uint64_t ran_ms;
    int64_t unix_s;
    uint8_t flags;
};

/** Parts of the hub that keep slots of bytes of their own in the journal. On disk: never renumber. */
enum journal_kept {
    KEPT_COMMANDS,  /* to devices, whose result is not there yet */
    KEPT_RESTRAINT, /* what rules remember of what they did */
    KEPT_SILENCES,
    KEPT_KINDS,
};
#define JOURNAL_KEPT_MAX 4608 /* bytes of a slot */
struct journal_keeper {
    /** Replay, in order, before the jobs: the slot holds these now. len 0: nothing. bytes are valid during the call. */
    void (*restore)(void *arg, uint16_t slot, const uint8_t *bytes, size_t len);
    /** A new file is started: journal_keep each slot that is in use. */
    void (*copy)(void *arg);
    void *arg;
};

struct journal_stats {
    uint64_t frames, bytes, commits, syncs;
    uint64_t rotations; /* files started, including the one at start-up */
    uint64_t failed;    /* commits that failed on disk */
    uint64_t damaged;   /* at start-up: bytes that were not frames, followed by frames */
    uint64_t torn;      /* at start-up: bytes after the last valid turn, as a power cut
                           leaves them, or damage in the last turn */
};

struct journal {
    const char *dir;          /* path, for messages; null: nothing is stored */
    char path[FILE_PATH_MAX]; /* a copy: the configuration may be reloaded */
    int dir_fd, lock_fd;
    int fd;          /* of the current file; -1: none */
    unsigned file;   /* 0 or 1 */
    uint64_t generation;
    uint64_t size, committed; /* bytes of the file; of these, before the current turn */
    uint64_t bound, limit;    /* as configured; size at which the next file is started */
    bool sync;       /* fdatasync at each commit */
    uint8_t *buf;    /* frames of this turn, and of the replay */
    size_t cap, len;
    int error;       /* errno of a failed write, after which a new file must be started; else 0 */
    uint64_t last_id; /* highest id given to a job or event; the owner counts it up, a restart does not
                         reset it */
    struct seen *seen;
    struct journal_hooks hooks;
    struct journal_keeper keepers[KEPT_KINDS];
    struct journal_stats stats;
};

/** buf: the caller's, cap at least JOURNAL_BYTES_MIN. Opens nothing. */
#define JOURNAL_BYTES_MIN (CONFIG_EVENT_BYTES + JOURNAL_KEPT_MAX + 512)
void journal_init(struct journal *s, uint8_t *buf, size_t cap, struct seen *seen,
                const struct journal_hooks *hooks);
/** Open the files in dir (created, mode 0700, if missing; null or "": store nothing) and replay
 * them: windows into hosts, jobs through the hook, last_id. Then start a fresh file with everything
 * still relevant. bound: bytes of one file (64 KiB or more makes sense). sync: see journal_commit;
 * new files are synced before they take over in any case.
 * Bounds: unfinished jobs are searched in rounds of (cap - JOURNAL_BYTES_MIN) / 13 or more, each of
 * which reads the file twice.
 * Return: 0; NEFIA_EIO (why: a sentence with the path and the remedy; nothing is open). Damage is
 * not an error: it is counted in stats. Neither is a full disk: why then has a sentence, too, and
 * journal_commit tries again. */
int journal_open(struct journal *s, const char *dir, uint64_t bound, bool sync, struct text *why);
/** Append; what does not fit the buffer is written out. Errors are reported by journal_commit.
 * line: at most CONFIG_EVENT_BYTES; rule: at most 255 bytes. */
void journal_event(struct journal *s, uint64_t id, const char *line, size_t len);
void journal_seen(struct journal *s, const uint8_t id[SESSION_HOST], enum window_kind kind,
                  const uint8_t name[LINK_NAME], uint64_t boot, uint64_t seq);
void journal_hello(struct journal *s, const uint8_t id[SESSION_HOST], bool plain,
                   const uint8_t name[LINK_NAME], uint64_t boot);
void journal_unpin(struct journal *s, const uint8_t id[SESSION_HOST]);
void journal_forget(struct journal *s, const uint8_t id[SESSION_HOST]);
void journal_job(struct journal *s, uint64_t id, uint64_t event, const char *rule);
void journal_state(struct journal *s, uint64_t id, enum journal_job_state state, uint32_t timeout_ms);
void journal_end(struct journal *s, uint64_t id, uint8_t state);
void journal_report(struct journal *s, const struct journal_report *r);
/** After journal_event, once. */
void journal_when(struct journal *s, uint64_t event, const struct journal_time *t);
void journal_decided(struct journal *s, uint64_t event, enum journal_decision d, uint32_t detail, const char *rule);
void journal_result(struct journal *s, uint64_t job, uint64_t ran_ms, uint8_t result, const char *rule);
void journal_reloaded(struct journal *s, uint64_t ran_ms, int64_t unix_s);
/** After journal_init and before journal_open: who keeps slots of this kind. */
void journal_keeper(struct journal *s, enum journal_kept kind, const struct journal_keeper *keeper);
/** The slot of a keeper holds these bytes, up to JOURNAL_KEPT_MAX, from this turn on; len 0: nothing. */
void journal_keep(struct journal *s, enum journal_kept kind, uint16_t slot, const void *bytes, size_t len);
/** End of a turn: write and, with `sync`, wait until it is on disk. No-op if nothing was appended.
 * Return: 0: durable; NEFIA_EIO (errno): nothing of the turn survives a restart, and until the
 * journal works again every commit returns this, of empty turns too. Each attempt starts a new file
 * with what `copy` writes, so a disk with room again is used again; since that writes all marks and
 * jobs, the owner retries at intervals, not in every turn. */
int journal_commit(struct journal *s);
/** Are there frames that are not committed yet, or could not be? */
bool journal_dirty(const struct journal *s);
void journal_close(struct journal *s);

/* ---- Looking back (nefia replay) ---- */

enum journal_record_kind {
    JOURNAL_BEGINS, /* a file, with a copy of what was relevant then */
    JOURNAL_EVENT,
    JOURNAL_WHEN,
    JOURNAL_JOB,
    JOURNAL_DECIDED,
    JOURNAL_RESULT,
    JOURNAL_END,
    JOURNAL_RELOAD,
    JOURNAL_KEPT,
};
/** A frame, valid during the call. */
struct journal_record {
    enum journal_record_kind kind;
    uint64_t id;              /* of the event, of JOB, RESULT and END of the job */
    uint64_t event;           /* JOB's */
    struct journal_time time; /* WHEN's; RESULT and RELOAD: only ran_ms */
    uint8_t code;             /* DECIDED: enum journal_decision; RESULT: its result; END: its state; KEPT: enum journal_kept */
    uint32_t detail;          /* DECIDED's; KEPT: the slot */
    struct slice bytes;       /* EVENT: the line; JOB, DECIDED, RESULT: the rule's name; KEPT: what is kept */
};
/** Read what was committed to a journal, the older file first: path is a state_dir, or one of its files. A hub may be using them: nothing
 * is locked or written. s: initialised, nothing open.
 * Return: 0; negative of `record`, which ends it; NEFIA_EIO (why: a sentence). */
int journal_look(struct journal *s, const char *path, int (*record)(void *arg, const struct journal_record *r), void *arg,
                 struct text *why);

#endif
