#ifndef NEFIA_HUB_RESTRAINT_H
#define NEFIA_HUB_RESTRAINT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "nefia/base/text.h"
#include "nefia/event/event.h"

/** Holds the actions of rules back: how soon, how often, for what and after how many failures one may act again. Pure: what is decided
 * depends on what was told here, on the rule's settings and on the time that is given.
 *
 * Time is `ran`: the milliseconds that a hub has run, over all of its starts, as far as the journal knows. While it is down no time
 * passes, and the wall clock does not matter, so that a rule never acts more often than it may.
 *
 * An action counts from when it is queued (restraint_acted), whatever becomes of it then. One that the policy denies, or that finds no
 * room, does not count: nothing was done. `after` counts each event that matches and is not silenced or the rule's own effect,
 * and begins anew with an action; it remembers the last `count` of a host.
 *
 * What is remembered of a rule is kept over a reload by the rule's name, each key for itself: one that the rule has no more is
 * forgotten, one that is new begins with nothing. */

#define RESTRAINT_KEYS 4 /* in once_per */
#define RESTRAINT_HOUR_MS 3600000u

/** As configured. Strings belong to the configuration. 0: not given. */
struct restraint_settings {
    uint32_t cooldown_ms, once_ms, within_ms /* after */, pause_ms /* breaker */;
    uint32_t per_hour, count /* after */, failures /* breaker */;
    unsigned key_count;
    const char *keys[RESTRAINT_KEYS]; /* once_per: "host", or "data.KEY" */
};
#define RESTRAINT_MOST_HOURLY 1000
#define RESTRAINT_MOST_COUNT 100
#define RESTRAINT_MOST_MS (14 * 24 * 3600000u)

/** On disk: never renumber. */
enum restraint_reason {
    RESTRAINT_NONE, /* the action may begin */
    RESTRAINT_AFTER,
    RESTRAINT_OPEN,   /* the breaker */
    RESTRAINT_TRYING, /* the breaker: the action that was tried after the pause has not ended */
    RESTRAINT_COOLDOWN,
    RESTRAINT_HOURLY,
    RESTRAINT_ONCE,
    RESTRAINT_MEMORY, /* no room to remember it */
};
/** What an action came to, for the breaker. On disk: never renumber. */
enum restraint_result {
    RESTRAINT_DONE,
    RESTRAINT_FAILED,
    RESTRAINT_UNKNOWN, /* it did not begin, or its end is not known */
};

/** Why, with the figures compared. */
struct restraint_verdict {
    enum restraint_reason reason;
    uint32_t have, most;  /* AFTER, HOURLY, OPEN: how many there were, how many are wanted or allowed */
    uint32_t window_ms;   /* of the key that decided */
    uint64_t left_ms;     /* until it is over; AFTER, TRYING, MEMORY: 0 */
};
/** "cooldown 5m, 3m12s left", at most RECENT_ERROR_MAX bytes. Nothing for RESTRAINT_NONE. */
void restraint_text(struct text *t, const struct restraint_verdict *v);

enum restraint_kind { MARK_FREE, MARK_COOLDOWN, MARK_HOURLY, MARK_ONCE, MARK_AFTER, MARK_BREAKER };
enum breaker_state { BREAKER_CLOSED, BREAKER_OPEN, BREAKER_TRYING };
/** One thing that is remembered. */
struct restraint_mark {
    uint64_t key;   /* ONCE, AFTER: of the host or the data; BREAKER: the job that tries */
    uint64_t at_ms; /* ran: when it acted, came, or opened */
    uint32_t window_ms; /* after which it is forgotten. BREAKER: failures in a row */
    uint16_t rule;      /* index in the active set */
    uint8_t kind;       /* enum restraint_kind */
    uint8_t state;      /* BREAKER: enum breaker_state */
};

struct restraint {
    struct restraint_mark *marks;
    unsigned cap, top; /* those at and above top are free */
    /** A mark has changed, and is to be kept. May be null. */
    void (*changed)(void *arg, unsigned slot);
    /** The settings of a rule of the active set, or null. For restraint_rebind. */
    const struct restraint_settings *(*settings)(void *arg, uint16_t rule);
    void *arg;
};

/** A rule that an event matched. */
struct restraint_case {
    const struct restraint_settings *settings;
    uint16_t rule;       /* index in the active set */
    uint64_t host, once; /* restraint_host, restraint_once */
};

/** marks: zeroed, the caller's, must persist. */
void restraint_init(struct restraint *r, struct restraint_mark *marks, unsigned cap);
/** May the rule act on an event that comes now? Bounds of all functions: O(marks in use), or their square where said. */
struct restraint_verdict restraint_judge(const struct restraint *r, const struct restraint_case *c, uint64_t ran_ms);
/** Afterwards, whatever the verdict: the event came. */
void restraint_count(struct restraint *r, const struct restraint_case *c, uint64_t ran_ms);
/** Then, if the action was queued, as that job. The verdict must have been RESTRAINT_NONE. */
void restraint_acted(struct restraint *r, const struct restraint_case *c, uint64_t job, uint64_t ran_ms);

/** What an end has changed. */
enum restraint_turn { RESTRAINT_SAME, RESTRAINT_OPENED, RESTRAINT_CLOSED };
/** An action of the rule has ended. *failures: how many there were in a row, with this one, or before the one that was done. */
enum restraint_turn restraint_ended(struct restraint *r, uint16_t rule, const struct restraint_settings *s, uint64_t job,
                                    enum restraint_result result, uint64_t ran_ms, uint32_t *failures);

enum breaker_state restraint_breaker(const struct restraint *r, uint16_t rule);
/** How many marks are in use, also such as are over. */
unsigned restraint_used(const struct restraint *r);

/** A reload: forget what was over under the settings until now, then give each mark its rule's new index (rule_now; RESTRAINT_NO_RULE:
 * there is no such rule any more) and what the rule's settings say now. O(square of the marks of a rule). */
#define RESTRAINT_NO_RULE 0xFFFF
void restraint_rebind(struct restraint *r, uint16_t (*rule_now)(void *arg, uint16_t rule), void *arg, uint64_t ran_ms);
/** Under these settings (null: none). Return: false: the mark means nothing any more. */
bool restraint_fit(struct restraint_mark *m, const struct restraint_settings *s);

/** The key of a host from its id (SESSION_HOST bytes). */
uint64_t restraint_host(const uint8_t *id);
/** The key of what the rule acts once for. Of two events it is the same where all that once_per names is, byte for byte as written. */
uint64_t restraint_once(const struct restraint_settings *s, const struct event *e);

/** A mark as the journal has it: with the rule's name. Return: how many bytes. */
#define RESTRAINT_MARK_HEAD 22
#define RESTRAINT_MARK_MAX (RESTRAINT_MARK_HEAD + 64)
size_t restraint_store(const struct restraint_mark *m, const char *rule, uint8_t out[RESTRAINT_MARK_MAX]);
/** name: in bytes. Return: 0; NEFIA_EINVAL: that is none. */
int restraint_load(struct restraint_mark *m, const uint8_t *bytes, size_t len, struct slice *rule);
/** Put a loaded mark back, or MARK_FREE. */
void restraint_restore(struct restraint *r, unsigned slot, const struct restraint_mark *m);

#endif
