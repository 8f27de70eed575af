#ifndef NEFIA_HUB_REPLAY_H
#define NEFIA_HUB_REPLAY_H

#include "nefia/hub/pipeline.h"

/** What rules would have done with events of the past, in the time of then: the pipeline's own decisions, without its jobs and without a
 * word to anybody. What a journal says of silences, of room for actions and of how they ended is taken from there. An action that
 * did not begin then is taken to end at once, as the rule's last one that is known did; where none is, to be done. */

#define REPLAY_JOBS 256 /* of rules with a breaker, whose result is awaited */

/** Of one rule. */
struct replay_rule {
    uint32_t matched, acted, silenced, own_effects, denied;
    uint32_t restrained[RESTRAINT_MEMORY + 1]; /* by enum restraint_reason */
    uint32_t others;  /* dropped, may have acted before, not in this build */
    uint32_t differs; /* from what was done */
    /* What was done of the event that `event` numbers. */
    uint32_t did_detail;
    uint64_t event, job;
    uint8_t did;  /* enum journal_decision; 0: it began, as job */
    bool failed; /* its last action whose end is known */
};

/** One decision. Strings and slices are valid during the call. */
struct replay_said {
    const struct event *event;
    const char *rule;
    int64_t unix_s;
    bool matches;          /* false: the rule does not match, or is not there any more; `would` says nothing */
    struct would would;
    bool known;            /* what was done of it is; otherwise `did` says nothing */
    uint8_t did;           /* enum journal_decision; 0: it began */
    uint32_t did_detail;
    bool differs;
};

struct replay_job {
    uint64_t job; /* 0: free */
    uint16_t rule;
    bool would;   /* it has begun here, too */
    bool copied;  /* the file that begins has it */
};

/** The first part is the caller's; the rest is zero at the beginning. */
struct replay {
    struct pipeline *pipeline; /* rules in force, restraint, silences, guard and devices set; clock is `clock` */
    struct clock_fake *clock;
    struct replay_rule *rules; /* one for each rule in force, zeroed */
    char *line;                /* CONFIG_EVENT_BYTES */
    void (*said)(void *arg, const struct replay_said *s);
    void *arg;

    size_t line_len;      /* 0: no event waits for its time */
    uint64_t line_id;
    struct event event;   /* being decided, while `open` */
    bool open;
    bool recorded;        /* what was done of it is known */
    bool unsure;
    uint64_t id;          /* of the event */
    uint64_t number;      /* counts events */
    uint64_t unread;      /* events that cannot be decoded */
    uint64_t differences; /* decisions */
    uint64_t decisions;
    uint64_t gone;        /* decisions of rules that are not there any more */
    uint64_t reloads;
    uint64_t made_up;     /* ids of jobs that there were not */
    bool started;         /* an event of the journal has come: what restraint remembered before is known */
    bool copying;         /* of the file that has begun, what is copied is read */
    unsigned files;
    int64_t first_s, last_s;
    struct replay_job jobs[REPLAY_JOBS];
    unsigned next_job;
};

/** A record of the journal, in its order (journal_look). Return: 0. */
int replay_record(struct replay *r, const struct journal_record *record);
/** An event by itself, at that wall time and that time since the first one: nothing is known of what was done of it.
 * Return: 0, or of event_decode. */
int replay_event(struct replay *r, const char *line, size_t len, uint64_t ran_ms, int64_t unix_s);
/** After the last one. */
void replay_end(struct replay *r);

/** "acted", "own_effect", "silenced", "restrained", "denied", "dropped", "acted_before". */
const char *replay_word(uint8_t decision);
/** "after", "breaker", "breaker_trying", "cooldown", "max_per_hour", "once_within", "memory". */
const char *restraint_word(enum restraint_reason reason);

#endif
