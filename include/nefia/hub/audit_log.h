#ifndef NEFIA_HUB_AUDIT_LOG_H
#define NEFIA_HUB_AUDIT_LOG_H

#include "nefia/event/event.h"
#include "nefia/guard/audit.h"
#include "nefia/guard/verdict.h"
#include "nefia/hub/jobs.h"
#include "nefia/hub/listener.h"
#include "nefia/hub/recent.h"
#include "nefia/hub/settings.h"
#include "nefia/hub/silences.h"
#include "nefia/sys/clock.h"
#include "nefia/sys/file.h"

/** The hub's audit log: audit.log in state_dir, and audit.log.1 (newer) to audit.log.N (oldest), each a part of one chain
 * of records (nefia/guard/audit.h) under the hub's own key, audit.key.
 *
 * Records are collected for a turn and written, and synced, at its end, before actions begin. What cannot be written is
 * counted and reported by a record once that works again; actions go on. A file that has reached its size becomes audit.log.1; the
 * new one begins with a record that says which record must still be there, and where each kept file begins, so that none of
 * them can go unnoticed. At the start only what a power cut left is removed: an incomplete line at the end, and of the last commit
 * what stands behind a line that is not whole. */
#define AUDIT_FILE "audit.log"
#define AUDIT_KEY "audit.key"
#define AUDIT_FILES_MAX 16 /* one more than may be kept: while it is rotated there is one more */
#define AUDIT_REJECT_MS 60000u /* rejections of one kind make a record in this time */
#define AUDIT_RETRY_MS 1000u   /* after a failure */

/** Records of a turn; while the log is opened, what reads it. */
union audit_work {
    char lines[2 * (AUDIT_LINE_MAX + 1)];
    struct {
        struct audit_verifier verifier;
        char chunk[1024];
    } scan;
};

struct audit_stats {
    uint64_t records, bytes, syncs; /* that are written */
    uint64_t lost;                  /* records that could not be */
    uint64_t rotations;
};

struct audit_log {
    const struct clock *clock;
    int dir_fd, fd; /* dir_fd -1: it is not kept */
    uint64_t device, inode; /* of fd */
    struct mac_key key;
    bool fresh_key; /* it has another name than audit.key yet */
    uint64_t bound, limit; /* bytes of a file: as configured; at which the next one is begun */
    unsigned files;
    bool sync;
    union audit_work *work;
    char *buf; /* work->lines: records of this turn */
    size_t len;
    struct audit_record record;        /* being written */
    struct audit_head head, committed; /* the last record; of those that are written */
    uint64_t size, committed_size;     /* of the file */
    unsigned pending;                  /* records since the last commit */
    uint64_t firsts[AUDIT_FILES_MAX];  /* n of the first record of each file, of the newest first */
    unsigned first_count;
    uint64_t lost, told; /* not reported yet; of these, in a record of this turn */
    int error;           /* errno of the failure; 0: it works */
    bool ragged;         /* what was written after the last commit is still in the file */
    uint64_t failed_ms;
    struct audit_rejected {
        uint64_t since_ms;
        uint32_t count; /* since that, not recorded yet */
        struct addr peer;
    } rejected[REJECT_COUNT];
    void (*wake)(void *arg); /* a record came that no end of a turn may follow; may be null */
    void *arg;
    struct audit_stats stats;
};

/** Opens nothing: without audit_log_open, every call does nothing. work must persist. */
void audit_log_init(struct audit_log *a, const struct clock *clock, union audit_work *work);
/** Open the log in dir (created, mode 0700, if missing; null or "": keep none), make a key if there is none, repair what a
 * power cut left, go on with the chain. Findings in the current file are logged.
 * Return: 0; NEFIA_EIO (why: a sentence with the path and the remedy; nothing is open). A full disk is no error, but without
 * room for the key nothing is kept, and why has a sentence, too. */
int audit_log_open(struct audit_log *a, const char *dir, const struct audit_settings *s, struct text *why);
/** Before the journal, which then has what was decided and has ended: what is recorded is handed to the kernel, so that it
 * outlives the hub; not synced. */
void audit_log_write(struct audit_log *a);
/** The end of a turn: all records are on disk, or counted as lost. No-op if there are none. */
void audit_log_commit(struct audit_log *a);
/** When audit_log_tick is due, by the clock; UINT64_MAX: never. */
uint64_t audit_log_due(const struct audit_log *a);
/** Record the rejections of a minute that is over. */
void audit_log_tick(struct audit_log *a);
/** Commit and close. */
void audit_log_close(struct audit_log *a);
/** The last record that is on disk. Return: false: there is none. */
bool audit_log_head(const struct audit_log *a, struct audit_head *out);

/* ---- Records. All arguments are borrowed for the call; a may be null. ---- */

/** AUDIT_STARTED, AUDIT_RELOADED or AUDIT_REFUSED: of this file; hash null: it could not be read. */
void audit_config(struct audit_log *a, enum audit_kind kind, const char *path, const uint8_t hash[MAC_BYTES]);
/** Also the rejections that wait for the end of their minute. */
void audit_stopped(struct audit_log *a, uint64_t events, unsigned unfinished);

/** What was decided. Null: there is none. */
struct audit_decision {
    const char *rule;          /* the reactor's, whose action it is */
    const char *who;           /* or who asks */
    const struct event *event; /* that sets it off; its host is the record's "host" */
    const char *target;        /* host_id of where it is to be done; without an event, "host" */
    const char *action;        /* its word */
    const char *command, *path;
    const struct verdict *verdict;
};
void audit_decision(struct audit_log *a, const struct audit_decision *d);
/** The actions that are about to begin (JOB_STARTING). */
void audit_begins(struct audit_log *a, const struct jobs *jobs, const struct recent *recent);
/** An action has ended; as the hook `settled`. */
void audit_ended(struct audit_log *a, const struct job *job, const struct recent *recent, bool done, const char *error,
                 const struct child_result *r);
/** An action of an earlier run that is not resumed. event: null if it cannot be read; action: null if the rule is gone;
 * begun: it had begun, so that its outcome is unknown. */
void audit_abandoned(struct audit_log *a, const char *rule, const struct event *event, const char *action, uint64_t job, bool begun,
                     const char *why);
void audit_rejected(struct audit_log *a, enum reject why, const struct addr *peer);
/** An operator has had a host forgotten. */
void audit_forgotten(struct audit_log *a, struct slice host, uint32_t uid);
/** AUDIT_SILENCE_ADDED or AUDIT_SILENCE_ENDED (outcome: how; else null); uid: of who has done that. */
#define AUDIT_NOBODY UINT32_MAX
void audit_silence(struct audit_log *a, enum audit_kind kind, const struct silence *s, const char *outcome, uint32_t uid);

/** What a run of a playbook reports: of itself, or of one of its steps. Null: there is none. */
struct audit_step {
    const char *run;      /* its id */
    const char *playbook; /* its name */
    const char *step;     /* null: it is about the run as a whole */
    const char *part;     /* "rollback": of the step; null: the step itself */
    const char *host;     /* host_id of where it was carried out */
    const char *rule;     /* whose action it is; null: it is a person's */
    const char *outcome, *error;
    bool has_result;      /* exit and duration_ms count */
    uint8_t exit;
    uint64_t duration_ms;
};
/** uid: whose process reports it. */
void audit_step(struct audit_log *a, const struct audit_step *s, uint32_t uid);

/** Of a command to a device: AUDIT_COMMAND_ORDERED, _SENT or _ENDED. */
struct audit_command {
    enum audit_kind kind;
    struct slice who, host;
    const char *id;  /* as on the wire */
    uint64_t job;    /* that waits for it; 0: none */
    const char *outcome, *error; /* ENDED */
    const struct link_result *result; /* ENDED: null: none came */
};
void audit_command(struct audit_log *a, const struct audit_command *c);

#endif
