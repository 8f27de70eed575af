#ifndef NEFIA_HUB_JOURNAL_H
#define NEFIA_HUB_JOURNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "nefia/event/event.h"
#include "nefia/sys/file.h"
#include "nefia/hub/seen.h"
#include "nefia/base/text.h"

/** What the hub must still know after a power cut: the events it has acknowledged and not yet done
 * with, which actions it was about to begin, had begun, had ended, and the marks of its hosts.
 *
 * Two files of frames (nefia/sys/frames.h) in state_dir, journal.0 and journal.1, used in turns: when
 * one has grown to its bound, the other is begun with a copy of what still matters, and takes over
 * once that is on the disk. What is appended in one turn of the loop ends with a frame that commits
 * it.
 *
 *     1 HOST    a host's mark                    (copy)
 *     2 EVENT   be64 row, line                   an event was taken; a JOB follows for each action
 *     3 SEEN    host mark change: id, boot, seq, low
 *     4 JOB     be64 row, be64 event, rule name  an action is to run; event: row of the last EVENT
 *     5 START   be64 row                         it is about to begin
 *     6 END     be64 row, u8 state               it ended (recent_state)
 *     7 COMMIT  be64 generation, be64 last row, be32 bytes of its turn before this frame
 *
 * The file with the higher generation counts, once it has one whole turn. The last turn that is
 * committed there counts when each of its bytes is good, and otherwise not at all: it may never
 * have been on the disk, and then was not acknowledged. Of a turn that others follow, which
 * therefore was on the disk once, every frame counts that is good.
 *
 * A third file, journal.lock, keeps a second hub away. Without state_dir nothing is kept: all calls
 * succeed and do nothing. */

struct journal_hooks {
    /** Replay, in order: an action that was to run and has no end. line is the event's, valid as
     * rule is during the call ("" when the event's frame was damaged); begun: it had begun, so it
     * may have had its effect. Nothing is appended meanwhile: what copy does not give back
     * afterwards is over. */
    void (*job)(void *arg, uint64_t row, struct slice rule, const char *line, size_t len,
                bool begun);
    /** A new file is begun: give back what still matters, with journal_job for each job that is not
     * at its end (its event first, as journal_event; journal_start where it has begun or is about to).
     * It takes the place of all that was appended before. Called inside journal_open and
     * journal_commit. */
    void (*copy)(void *arg);
    void *arg;
};

struct journal_stats {
    uint64_t frames, bytes, commits, syncs;
    uint64_t rotations; /* files begun, the one of the start among them */
    uint64_t failed;    /* commits that the disk refused */
    uint64_t damaged;   /* at the start: bytes that were no frames, with frames behind them */
    uint64_t torn;      /* at the start: bytes behind the last turn that counts, as a power cut
                           leaves them, or damage in the last turn */
};

struct journal {
    const char *dir;          /* for messages: path; null: nothing is kept */
    char path[FILE_PATH_MAX]; /* a copy: where it came from may be read again */
    int dir_fd, lock_fd;
    int fd;          /* of the file in use; -1: none */
    unsigned file;   /* 0 or 1 */
    uint64_t generation;
    uint64_t size, committed; /* bytes of the file; those before the turn */
    uint64_t bound, limit;    /* as configured; where the next file is begun */
    bool sync;       /* fdatasync at each commit */
    uint8_t *buf;    /* frames of this turn, and of the replay */
    size_t cap, len;
    int error;       /* errno of what the disk refused: a new file must be begun; else 0 */
    uint64_t last_row;
    struct seen *seen;
    struct journal_hooks hooks;
    struct journal_stats stats;
};

/** buf: the caller's, cap at least CONFIG_EVENT_BYTES + 4096. Nothing is opened. */
#define JOURNAL_BYTES_MIN (CONFIG_EVENT_BYTES + 4096)
void journal_init(struct journal *s, uint8_t *buf, size_t cap, struct seen *seen,
                const struct journal_hooks *hooks);
/** Open the files in dir (made, mode 0700, when missing; null or "": keep nothing) and replay them:
 * marks into hosts, jobs through the hook, last_row. Then a fresh file is begun with what still
 * matters. bound: bytes of one file (64 KiB and more make sense). sync: see journal_commit; new files
 * are on the disk before they take over in any case.
 * Bounds: jobs that are not at their end are looked for in rounds of (cap - CONFIG_EVENT_BYTES -
 * 512) / 9, each of which reads the file twice.
 * Return: 0; NEFIA_EIO (why: a sentence with the path and the remedy; nothing is open). Damage is
 * no error: it is counted in stats. Nor is a disk without room: then why has a sentence, too, and
 * journal_commit tries again. */
int journal_open(struct journal *s, const char *dir, uint64_t bound, bool sync, struct text *why);
/** Append; what does not fit the buffer is written out. An error shows at journal_commit. line: at
 * most CONFIG_EVENT_BYTES; rule: at most 255 bytes. */
void journal_event(struct journal *s, uint64_t row, const char *line, size_t len);
void journal_seen(struct journal *s, const uint8_t id[HOST_ID], uint64_t boot, uint64_t seq,
                uint64_t low);
void journal_job(struct journal *s, uint64_t row, uint64_t event_row, const char *rule);
void journal_start(struct journal *s, uint64_t row);
void journal_end(struct journal *s, uint64_t row, uint8_t state);
/** The turn is over: write, and with `sync` wait until it is on the disk. Nothing appended: nothing
 * happens. Return: 0: it is safe; NEFIA_EIO (errno): nothing of the turn counts after a restart,
 * and as long as that is so every commit says it, those of empty turns too. Each begins a new file
 * with what copy gives, so a disk that has room again is used again; that writes all marks and
 * jobs, so the owner tries again now and then, not at every turn. */
int journal_commit(struct journal *s);
/** Something is appended and not yet committed, or could not be. */
bool journal_dirty(const struct journal *s);
void journal_close(struct journal *s);

#endif
