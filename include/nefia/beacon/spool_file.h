#ifndef NEFIA_BEACON_SPOOL_FILE_H
#define NEFIA_BEACON_SPOOL_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "nefia/sys/clock.h"
#include "nefia/sys/file.h"
#include "nefia/sys/frames.h"
#include "nefia/beacon/spool.h"

/** The part of the spool that survives a power cut, in an append-only file of frames
 * (nefia/sys/frames.h) on flash.
 *
 *     1 + severity   be64 boot, be64 seq, be64 key, line   an event; synced to disk before it is sent
 *     4 GONE         be64 boot, be64 seq                   it left the spool, for whatever reason
 *     5 LOST         be32 of each severity, be32 unknown, two ids   losses not yet reported
 *     6 WROTE        be64 boot, name                       events of this start are written under
 *                                                          this name; zeros: under several
 *
 * A GONE lost in a power cut costs a repetition, which the hub recognises by boot and seq; so GONEs
 * are written in batches and not synced. A superseded event is gone once its successor is on flash:
 * if that cannot be kept, the older one stays and is what the next start restores, until the file
 * is replaced or the spool is empty. A LOST includes losses being reported until the event that
 * reports them is on flash.
 *
 * What was written under which name must be known after a power cut: a repetition that the hub cannot
 * recognise must be sent as unsure. So a WROTE is synced to disk before the first event of its start
 * is sent under that name, and one of zeros before the first under another; a start has two at most.
 * Its boot is 0 if SPOOL_FILE_NOTES starts do not suffice, or if the file is damaged: then all starts
 * not noted for themselves were written under several names. If a WROTE cannot be written, not even
 * in a new file, the events are given up here (and stay in memory).
 *
 * A file without live events that is larger than SPOOL_FILE_CUT is truncated to zero. A full file
 * is replaced by a new one with the most severe and newest live events, filling at most half of it:
 * the others stay in memory only and are counted in `skipped`.
 *
 * At most `daily` bytes are written per day; a day begins, by monotonic time, with the first write
 * after the end of the previous one. An event is charged together with its later GONE, a file
 * replaced or truncated with SPOOL_FILE_BLOCK; the file's contents at start-up are charged to the
 * first day. Writes beyond the limit are left out and counted in `skipped`, too; only a LOST is
 * always written, and
 * so is a WROTE.
 *
 * Only one process may use the file: the control socket's lock keeps a second beacon out. */
#define SPOOL_FILE_CUT 4096
#define SPOOL_FILE_BLOCK 512
#define SPOOL_FILE_HEAD 24
#define SPOOL_FILE_GONE (FRAME_HEADER + 16)
#define SPOOL_FILE_BATCH 16
#define SPOOL_FILE_NOTES 8

/** What the file says of a start. */
struct spool_note {
    uint64_t boot;
    uint8_t name[LINK_NAME]; /* zeros: several */
};

struct spool_file {
    struct spool *spool;
    const struct clock *clock;
    int fd;                 /* -1: open failed; every event to be kept counts as failed */
    enum severity least;    /* set by the owner, as the next two: least severity kept */
    uint32_t cap, daily;    /* limits in bytes: file size, and writes per day; at most 2^30 */
    uint32_t size;          /* of the file, including the GONEs of live events */
    uint32_t events, alive; /* live events, and their bytes */
    uint32_t today;         /* bytes written today; see spool_file_today */
    uint64_t day_ends_ms;
    uint64_t damaged;         /* bytes at start-up that were not frames */
    uint32_t skipped, failed; /* events severe enough that are not in the file; those of them that
                               * failed because of a disk error */
    uint32_t unreported;      /* of `skipped`; the owner's to reset */
    bool replaying;
    bool stale;               /* it holds a superseded event whose successor is not in it */
    struct spool_id replaced; /* superseded by the event about to be kept; seq 0: none */
    struct spool_lost found;  /* at start-up: losses the previous start had not reported */
    uint32_t unreported_lost; /* losses recorded in the file; UINT32_MAX: unknown */
    struct spool_note notes[SPOOL_FILE_NOTES];
    unsigned note_count;
    bool all_several; /* starts without a note were written under several names */
    uint32_t gone_len;
    uint8_t gone[SPOOL_FILE_BATCH * SPOOL_FILE_GONE]; /* pending frames */
    char path[FILE_PATH_MAX];
};

/** Open path, created if missing, and load its live events with their old ids into the spool, which
 * must be empty; what does not fit is lost by the spool's rules, and damage is skipped. From now on
 * the spool notifies f when events leave. The limits are set by the owner and may change at any
 * time.
 * Memory: buf is the reader's, for frames of up to cap bytes; f and the spool must persist.
 * Return: 0; NEFIA_EEXIST (another process has it), NEFIA_EIO (errno), NEFIA_ETOOBIG (path): f works
 * but keeps nothing. The file is locked (flock(2)) as long as f lives, also where it is replaced. */
int spool_file_open(struct spool_file *f, struct spool *s, const struct clock *clock,
                    const char *path, uint8_t *buf, size_t cap);
/** Only load the file's live events into the empty spool, of a process that is not the beacon: nothing is written, and the file stays as
 * it is. held (null: nobody asks): another process has it at this moment.
 * Return: 0; NEFIA_EIO, NEFIA_EINVAL (errno). */
int spool_file_look(struct spool_file *f, struct spool *s, const char *path, uint8_t *buf, size_t cap, bool *held);
/** Call after each push into the spool: write the event if it is severe enough; it is on disk
 * afterwards (fdatasync: blocks). */
void spool_file_keep(struct spool_file *f, const struct spool_event *e);
/** Call once a batch of events has left the spool: write their GONEs, or truncate the file. */
void spool_file_settle(struct spool_file *f);
/** Bytes written in the current day. */
uint32_t spool_file_today(struct spool_file *f);

#endif
