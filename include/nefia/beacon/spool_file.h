#ifndef NEFIA_BEACON_SPOOL_FILE_H
#define NEFIA_BEACON_SPOOL_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "nefia/sys/clock.h"
#include "nefia/sys/file.h"
#include "nefia/sys/frames.h"
#include "nefia/beacon/spool.h"

/** The events of the spool that are to survive a power cut, in a file on flash: frames
 * (nefia/sys/frames.h), appended.
 *
 *     1 + severity   be64 boot, be64 seq, be64 key, line   an event: on the disk before it is sent
 *     4 GONE         be64 boot, be64 seq                   it left the spool, in whatever way
 *     5 LOST         be32 of each severity, two ids        lost until now, and not yet told of
 *
 * A GONE that a power cut takes away costs a repetition, which the hub knows by boot and seq, so
 * these are written some at a time, and nothing waits for the disk. One that collapses is gone when
 * the one that takes its place is there: where that cannot be kept, it stays, and the next start
 * has the older one, until a new file is begun or the spool is empty. A LOST counts what is being
 * told of, too, until the event that tells of it is there.
 *
 * When nothing in it is alive and it is larger than SPOOL_FILE_CUT, it is cut to nothing. When it
 * is full, a new file with the most severe and newest of what is alive takes its place, half full
 * at most: what has no room there stays in memory only, and is counted in `skipped`.
 *
 * Written are at most `daily` bytes a day; a day begins with the first write after the end of the
 * one before, by monotonic time. An event counts from the start with the frame that will say that
 * it is gone, a file that is replaced or cut with SPOOL_FILE_BLOCK; what is in the file at the
 * start is of the first day. What would go beyond is not written, and counted in `skipped`, too;
 * only a LOST is written in any case.
 *
 * One process has the file: the lock of the control socket keeps a second beacon away. */
#define SPOOL_FILE_CUT 4096
#define SPOOL_FILE_BLOCK 512
#define SPOOL_FILE_HEAD 24
#define SPOOL_FILE_GONE (FRAME_HEADER + 16)
#define SPOOL_FILE_BATCH 16

struct spool_file {
    struct spool *spool;
    const struct clock *clock;
    int fd;              /* -1: it could not be opened; all that is to be kept counts as failed */
    enum severity least; /* the owner's, and these two: from which on they are kept, */
    uint32_t cap, daily; /* bytes of the file, and of a day; at most 2^30 */
    uint32_t size;       /* of the file, with the GONE of those that are alive */
    uint32_t events, alive; /* those, and their bytes */
    uint32_t today;         /* bytes written; spool_file_today */
    uint64_t day_ends_ms;
    uint64_t boot;       /* the highest in the file at the start; 0: it was empty */
    uint64_t damaged;    /* bytes at the start that were no frames */
    uint32_t skipped, failed; /* events that are not in the file though they are severe enough; of
                               * these, because the disk refused */
    uint32_t unreported; /* of `skipped`; the owner's to reset */
    bool replaying;
    bool stale;               /* it has one that collapsed for one that is not in it */
    struct spool_id replaced; /* collapsed for the one that is about to be kept; seq 0: none */
    struct spool_lost found; /* at the start: what the last one had not told of */
    uint32_t untold;         /* losses, as the file says; UINT32_MAX: not known */
    uint32_t gone_len;
    uint8_t gone[SPOOL_FILE_BATCH * SPOOL_FILE_GONE]; /* frames yet to be written */
    char path[FILE_PATH_MAX];
};

/** Open path, made when missing, and put what is alive in it into the spool, which is empty, with
 * its old ids; what has no room there is lost by the spool's rule, and damage passed over. From now
 * on the spool tells f what leaves. The owner has set its limits, and may change them at any time.
 * Memory: buf is the reader's, for frames of up to cap bytes; f and the spool stay.
 * Return: 0; NEFIA_EIO (errno), NEFIA_ETOOBIG (path): f works and keeps nothing. */
int spool_file_open(struct spool_file *f, struct spool *s, const struct clock *clock,
                    const char *path, uint8_t *buf, size_t cap);
/** This one was just pushed into the spool, as is said of every one: keep it, if it is severe
 * enough; then it is on the disk (fdatasync: blocks). */
void spool_file_keep(struct spool_file *f, const struct spool_event *e);
/** Some left the spool, and that is all for now: write it, or cut the file. */
void spool_file_settle(struct spool_file *f);
/** Bytes written in the day that is. */
uint32_t spool_file_today(struct spool_file *f);

#endif
