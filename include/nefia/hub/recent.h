#ifndef NEFIA_HUB_RECENT_H
#define NEFIA_HUB_RECENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "nefia/event/event.h"

/** Recent events and their outcome, in memory of fixed size: the oldest are overwritten. A row is
 * one event and one rule that matched it, or no rule. Its outcome may come later; once known, the
 * row is settled and gets the next settled number, the order in which followers see it. */

#define RECENT_RULE_MAX 64
#define RECENT_ACTION_MAX 15
#define RECENT_ERROR_MAX 63

enum recent_state {
    RECENT_NONE,    /* no rule matched */
    RECENT_PENDING, /* its action is queued or running */
    RECENT_DONE,
    RECENT_FAILED, /* error says why */
    RECENT_RESTRAINED, /* it does not begin: the rule's own restraint, or the event is its own effect; error says why */
    RECENT_SILENCED,   /* it does not begin: error says which silence */
};

/** "none", "pending", "done", "failed", "restrained", "silenced". */
const char *recent_state_text(enum recent_state s);

/** An event stored in the ring, for recent_add. */
struct recent_mark {
    uint64_t pos; /* of its line */
    int64_t event_s, received_s;
    uint32_t line_len, type_at, host_at; /* _at: offset from the line's start; may lie beyond its end */
    uint16_t type_len, host_len;
    uint8_t severity;
    bool unsynced;
    uint16_t rules; /* the pipeline's generation when it was decided */
};

struct recent_row {
    uint64_t seq;    /* from 1; 0: never used */
    uint64_t number; /* settled number, from 1; 0: not yet */
    struct recent_mark event;
    uint8_t state; /* enum recent_state */
    char rule[RECENT_RULE_MAX + 1], action[RECENT_ACTION_MAX + 1],
        error[RECENT_ERROR_MAX + 1]; /* "" : none */
};

struct recent {
    struct recent_row *rows; /* row of seq s is at (s - 1) % row_cap */
    uint64_t *settled;        /* seq of settled number n at (n - 1) % row_cap */
    char *bytes;
    size_t size;
    unsigned row_cap;
    uint64_t last_seq, last_number;
    uint64_t head; /* position after the newest byte; positions only increase, byte p is at p %
                      size */
};

/** A row's event. Slices point into the ring, until the next recent_put. */
struct recent_view {
    const struct recent_row *row;
    struct slice type, host, line;
};

/** rows and settled have row_cap entries; size at least 2 * (CONFIG_EVENT_BYTES + EVENT_TYPE_MAX +
 * EVENT_HOST_MAX). All is the caller's and must persist. */
void recent_init(struct recent *j, struct recent_row *rows, uint64_t *settled, unsigned row_cap,
                  char *bytes, size_t size);
/** Store the event's bytes. O(len), never fails. */
struct recent_mark recent_put(struct recent *j, const struct event *e, int64_t received_s);
/** Add a row for that event, before the next recent_put. rule, action, error: cut if too long; null
 * or "": none. Any state but RECENT_PENDING settles it. Return: its seq. */
uint64_t recent_add(struct recent *j, const struct recent_mark *m, const char *rule,
                     const char *action, enum recent_state state, const char *error);
/** Set the outcome of a pending row; no-op if it was overwritten. */
void recent_settle(struct recent *j, uint64_t seq, enum recent_state state, const char *error);

/** Seq of the oldest row (last_seq + 1 if there is none). */
uint64_t recent_oldest(const struct recent *j);
/** Return: false if it was overwritten, or does not exist yet. */
bool recent_get(const struct recent *j, uint64_t seq, struct recent_view *v);
/** The row with settled number `number`. Return: 1; 0: not yet; NEFIA_ENOTFOUND: overwritten. */
int recent_get_settled(const struct recent *j, uint64_t number, struct recent_view *v);
/** Time shown for a row: the event's, or that of its arrival if the sender's clock was
 * not set. */
int64_t recent_time(const struct recent_row *r);

#endif
