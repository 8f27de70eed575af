#ifndef NEFIA_REACTOR_STORE_H
#define NEFIA_REACTOR_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "nefia/event.h"
#include "nefia/hosts.h"
#include "nefia/text.h"

/** What the hub must still know after a power cut: the events it has acknowledged and not yet done
 * with, which actions it was about to begin, had begun, had ended, and the marks of its hosts.
 *
 * Two files of frames (nefia/frames.h) in state_dir, journal.0 and journal.1, used in turns: when one
 * has grown to its bound, the other is begun with a copy of what still matters, and takes over once
 * that is on the disk. What is appended in one turn of the loop ends with a frame that commits it: a
 * turn counts as a whole or not at all.
 *
 *     BEGIN   generation                       first frame of a file
 *     HOST    a host's mark                    (copy)
 *     EVENT   be64 row, line                   an event was taken; a row of it follows for each job
 *     SEEN    host mark change: id, boot, seq, low
 *     JOB     be64 row, be64 event, rule name  an action is to run
 *     START   be64 row                         it is about to begin
 *     END     be64 row, u8 state               it ended (journal_state)
 *     COMMIT  be64 last row
 *
 * Without state_dir nothing is kept: all calls succeed and do nothing. */

struct store_hooks {
    /** Replay, in order: an action that was to run and has no end. line is the event's, valid during
     * the call; begun: it had begun, so it may have had its effect. */
    void (*job)(void *arg, uint64_t row, struct slice rule, const char *line, size_t len,
                bool begun);
    /** A new file is begun: give back what still matters, with store_job for each job that is not at
     * its end (its event first, as store_event; store_start where it has begun). Called inside
     * store_commit. */
    void (*copy)(void *arg);
    void *arg;
};

struct store_stats {
    uint64_t frames, bytes, commits, syncs, rotations;
    uint64_t damaged; /* bytes of the files found damaged at the start */
    uint64_t failed;  /* commits that the disk refused */
};

struct store {
    const char *dir; /* null: nothing is kept */
    int fd;          /* of the file in use; -1: none */
    unsigned file;   /* 0 or 1 */
    uint64_t generation, size, bound;
    bool sync;       /* fdatasync at each commit */
    uint8_t *buf;    /* frames of this turn, and of the replay */
    size_t cap, len;
    bool broken;     /* the turn's frames could not all be written */
    uint64_t last_row;
    struct hosts *hosts;
    struct store_hooks hooks;
    struct store_stats stats;
};

/** buf: the caller's, cap at least CONFIG_EVENT_BYTES + 4096. Nothing is opened. */
void store_init(struct store *s, uint8_t *buf, size_t cap, struct hosts *hosts,
                const struct store_hooks *hooks);
/** Open the files in dir (made, mode 0700, when missing; null or "": keep nothing) and replay them:
 * marks into hosts, jobs through the hook. Then a fresh file is begun with what still matters. bound:
 * bytes of one file (64 KiB and more). why gets a sentence with the path and the remedy.
 * Return: 0; NEFIA_EIO. Damage is no error: it is counted in stats. */
int store_open(struct store *s, const char *dir, uint64_t bound, bool sync, struct text *why);
/** Append; what does not fit the buffer is written out. An error shows at store_commit. */
void store_event(struct store *s, uint64_t row, const char *line, size_t len);
void store_seen(struct store *s, const uint8_t id[HOST_ID], uint64_t boot, uint64_t seq,
                uint64_t low);
void store_job(struct store *s, uint64_t row, uint64_t event_row, const char *rule);
void store_start(struct store *s, uint64_t row);
void store_end(struct store *s, uint64_t row, uint8_t state);
/** The turn is over: write, and with `sync` wait until it is on the disk. Nothing appended: nothing
 * happens. Return: 0: it is safe; NEFIA_EIO (errno): nothing of the turn counts after a restart. The
 * next commit then begins a new file, so a disk that has room again is used again. */
int store_commit(struct store *s);
/** Something is appended and not yet committed. */
bool store_dirty(const struct store *s);
void store_close(struct store *s);

#endif
