#ifndef NEFIA_HUB_JOURNAL_H
#define NEFIA_HUB_JOURNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "nefia/event/event.h"

/** Recent events and what became of them, in memory of fixed size: the oldest give way.
 * A row is one event and one rule that matched it, or no rule. Its outcome may come later; once it
 * is known the row is settled, and gets the next settled number: that is the order in which a
 * follower hears of it. */

#define JOURNAL_RULE_MAX 64
#define JOURNAL_ACTION_MAX 15
#define JOURNAL_ERROR_MAX 63

enum journal_state {
    JOURNAL_NONE,    /* no rule matched: nothing to do */
    JOURNAL_PENDING, /* its action waits or runs */
    JOURNAL_DONE,
    JOURNAL_FAILED, /* error says why */
};

/** "none", "pending", "done", "failed". */
const char *journal_state_text(enum journal_state s);

/** An event as the journal keeps it: to be given to journal_add. */
struct journal_mark {
    uint64_t pos; /* of its line */
    int64_t event_s, received_s;
    uint32_t line_len, type_at, host_at; /* _at: from the line's beginning; may be behind its end */
    uint16_t type_len, host_len;
    uint8_t severity;
    bool unsynced;
};

struct journal_row {
    uint64_t seq;    /* from 1; 0: never used */
    uint64_t number; /* settled number, from 1; 0: not yet */
    struct journal_mark event;
    uint8_t state; /* enum journal_state */
    char rule[JOURNAL_RULE_MAX + 1], action[JOURNAL_ACTION_MAX + 1],
        error[JOURNAL_ERROR_MAX + 1]; /* "" : none */
};

struct journal {
    struct journal_row *rows; /* row of seq s is at (s - 1) % row_cap */
    uint64_t *settled;        /* seq of settled number n at (n - 1) % row_cap */
    char *bytes;
    size_t size;
    unsigned row_cap;
    uint64_t last_seq, last_number;
    uint64_t head; /* position after the newest byte; positions count up for ever, byte p is at p %
                      size */
};

/** A row's event. Slices point into the journal, until the next journal_put. */
struct journal_view {
    const struct journal_row *row;
    struct slice type, host, line;
};

/** rows and settled have row_cap entries; size at least 2 * (CONFIG_EVENT_BYTES + EVENT_TYPE_MAX +
 * EVENT_HOST_MAX). All is the caller's and stays. */
void journal_init(struct journal *j, struct journal_row *rows, uint64_t *settled, unsigned row_cap,
                  char *bytes, size_t size);
/** Keep the event's bytes. O(len), never fails. */
struct journal_mark journal_put(struct journal *j, const struct event *e, int64_t received_s);
/** A row for that event, before the next journal_put. rule, action, error: cut where too long; null
 * or "": none. Any state but JOURNAL_PENDING settles it. Return: its seq. */
uint64_t journal_add(struct journal *j, const struct journal_mark *m, const char *rule,
                     const char *action, enum journal_state state, const char *error);
/** The outcome of a pending row; harmless when it gave way meanwhile. */
void journal_settle(struct journal *j, uint64_t seq, enum journal_state state, const char *error);

/** Seq of the oldest row there is (last_seq + 1 when there is none). */
uint64_t journal_oldest(const struct journal *j);
/** Return: false when it gave way, or is not there yet. */
bool journal_get(const struct journal *j, uint64_t seq, struct journal_view *v);
/** The row with settled number `number`. Return: 1; 0: not yet; NEFIA_ENOTFOUND: it gave way. */
int journal_get_settled(const struct journal *j, uint64_t number, struct journal_view *v);
/** The time a row is shown with: the event's, or that of its arrival when the sender's clock was
 * not set. */
int64_t journal_time(const struct journal_row *r);

#endif
