#ifndef NEFIA_BEACON_FOLLOW_H
#define NEFIA_BEACON_FOLLOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "nefia/sys/child.h"

enum {
    FOLLOW_READS = 8,
    FOLLOW_FIRST_MS = 1000,
    FOLLOW_MOST_MS = 300 * 1000,
    FOLLOW_STEADY_MS = 10 * 1000,
    FOLLOW_WHY_BYTES = 96,
};

/** A command that runs for as long as its lines are wanted, such as `logread -f`. It is a child without
 * a deadline that anybody waits for; when it ends it is started again, after 1 s, then twice as long
 * each time up to 5 minutes, of which half is random. One that has run for 10 s begins with 1 s again.
 *
 * Lines are what it prints to stdout and stderr, handed over without their newline. Of a line longer
 * than CONFIG_FOLLOW_LINE_BYTES the beginning is handed over, once, and the rest is skipped. A verbose
 * command cannot take the loop for itself: a turn reads FOLLOW_READS times, and the rest waits in the
 * pipe. */
struct follow {
    struct children *children;
    const char *const *argv; /* the caller's; used at each start */
    /** line is NUL-terminated and valid during the call. */
    void (*line)(void *arg, const char *line, size_t len);
    /** f->why has changed; it is "" again once the command has run for a while. */
    void (*changed)(void *arg);
    void *arg;
    uint64_t (*random_below)(uint64_t n); /* null: no jitter */
    struct timer timer;                   /* until the restart, or until it has run for a while */
    int slot;                             /* of children; -1: not running */
    unsigned failures;                    /* in a row */
    uint64_t starts, lines, cut;          /* cut: lines that were too long */
    bool skipping;                        /* the rest of such a line */
    bool waited;                          /* for a slot of children */
    char why[FOLLOW_WHY_BYTES];           /* how it ended or why it could not be started; "": it runs */
    size_t len;
    char buf[CONFIG_FOLLOW_LINE_BYTES + 1]; /* a line and its newline */
};

/** Start it. children, argv, line, changed, arg and random_below are set by the caller, the rest is
 * zero. Failing to start is told by `changed`, also before this returns. f must not move until
 * follow_stop. */
void follow_start(struct follow *f);
/** End the command, with its process group; nothing is called any more. */
void follow_stop(struct follow *f);
/** Read, up to so many times, and hand over the lines that are whole: of what the command prints, and of a file that
 * is followed without a command (f is zero but for line, arg and slot = -1). Return: as the last read(2); above 0 there
 * may be more. */
ssize_t follow_read(struct follow *f, int fd, int reads);

#endif
