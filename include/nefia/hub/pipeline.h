#ifndef NEFIA_HUB_PIPELINE_H
#define NEFIA_HUB_PIPELINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "nefia/guard/policy.h"
#include "nefia/hub/audit_log.h"
#include "nefia/hub/jobs.h"
#include "nefia/hub/journal.h"
#include "nefia/hub/recent.h"
#include "nefia/hub/restraint_keeper.h"
#include "nefia/hub/rules.h"
#include "nefia/hub/seen.h"
#include "nefia/hub/settings.h"
#include "nefia/hub/silences.h"
#include "nefia/sys/clock.h"

/** Cache of recent host_ids with their ids in `seen`: lines come in runs, and a SHA-256 for each is
 * expensive. Longer ones are computed each time. */
#define PIPELINE_KNOWN 128
enum known_item { ITEM_NOT_SOUGHT, ITEM_NONE, ITEM_FIRST /* and those that follow */ };
#define KNOWN_HOST_MAX 45
struct known_host {
    uint8_t len;
    char host_id[KNOWN_HOST_MAX];
    uint16_t item; /* in devices->hosts, as enum known_item */
    uint8_t key[SESSION_HOST];
};

/** What the hub says of itself, as an event of its own (source "hub"). */
enum hub_report {
    REPORT_UNKNOWN,  /* hub.unknown: it is not known whether an event has acted; it did not act (again) */
    REPORT_CONFLICT, /* hub.host_conflict: two devices share a host_id */
    REPORT_EVICTED,  /* hub.hosts_evicted: more hosts than are remembered (CONFIG_HOSTS) */
    REPORT_KINDS,
};

/** A cause that is kept for an event of the hub's own. Without HUB_RESTRAINT nobody asks for it. */
#define PIPELINE_CAUSE (IS_ENABLED(CONFIG_HUB_RESTRAINT) ? EVENT_CAUSE_MAX + 1 : 1)

/** Those of one kind and host that came in one turn; of further hosts, when there is no room for them,
 * too. */
struct pending_report {
    enum hub_report kind;
    uint32_t count; /* 0: free */
    uint32_t kept;  /* count in the journal: one that must wait is not lost in a restart */
    uint64_t boot, seq; /* of the first */
    char host[EVENT_HOST_MAX + 1];
    char cause[PIPELINE_CAUSE]; /* of that whose is the longest; not in the journal */
};
#define PIPELINE_REPORTS 6 /* in one turn. The first REPORT_KINDS are for one kind each. */
#define PIPELINE_REPORT_LOG_MS 1000 /* each kind is logged once in this time */

/** Actions of one rule for one host that the policy did not simply allow: the first is told at once (policy.violation), those
 * within PIPELINE_VIOLATION_MS of it with the next one. */
struct violation {
    uint32_t count;   /* not told yet; 0: none */
    bool waits;       /* an event is to be made of it */
    bool used;        /* the place is some rule's and host's */
    uint64_t told_ms; /* 0: never */
    enum verdict_kind kind;
    uint64_t boot, seq; /* of the last event that set it off */
    char rule[RULE_NAME_MAX + 1], action[16];
    char host[EVENT_HOST_MAX + 1];     /* of the event */
    char target[EVENT_HOST_MAX + 1];   /* where it would have run */
    char type[EVENT_TYPE_MAX + 1];     /* of the event */
    char command[128], reason[192];    /* cut */
    char cause[PIPELINE_CAUSE];   /* of that event, with the rule */
};
#define PIPELINE_VIOLATIONS (IS_ENABLED(CONFIG_HUB_GUARD) ? 8 : 1)
#define PIPELINE_VIOLATION_MS 60000

/** A breaker has opened or closed: rule.breaker_open or rule.breaker_closed is to say so. */
struct breaker_notice {
    bool waits, open;
    uint32_t failures;
    uint32_t pause_ms;
    uint64_t boot, seq; /* of the event whose action did that */
    char rule[RULE_NAME_MAX + 1], action[16];
    char host[EVENT_HOST_MAX + 1];
    char type[EVENT_TYPE_MAX + 1];
    char error[RECENT_ERROR_MAX + 1];
    char cause[PIPELINE_CAUSE];
};
#define PIPELINE_BREAKERS (IS_ENABLED(CONFIG_HUB_RESTRAINT) ? 4 : 1)

/** The event whose actions are resumed after a restart, one after the other. */
struct resumed {
    struct job_event event;
    struct recent_mark mark;
};

struct dispatch;

/** The path of an authenticated event through the hub, and the only place that knows the order:
 *
 *     event → seen → rules → own effects → silences → restraint → guard → jobs
 *     turn's end: choose jobs → write the journal and the audit → acknowledge → begin jobs
 *
 * What comes before, from the bytes to the event, is ingress.h. */
struct pipeline {
    const struct clock *clock;
    const char *host_id; /* the hub's own */
    struct rules *rules;
    struct recent *recent;
    struct jobs *jobs;
    struct seen *seen;
    struct journal *journal;
    struct audit_log *audit; /* null: none */
    struct dispatch *dispatch; /* of commands to devices (dispatch.h); null: there are none */
    struct silences *silences; /* null: none */
    struct restraint_keeper *restraint; /* null: none */
    struct json_token *tokens; /* CONFIG_JSON_TOKENS; one event is decoded at a time */
    char scratch[EVENT_SCRATCH];
    uint32_t bits[RULE_WORDS]; /* rules that match the current event */
    struct known_host known[PIPELINE_KNOWN]; /* indexed by hash of host_id */
    struct pending_report reports[PIPELINE_REPORTS];
    unsigned next_report; /* emitted first */
    struct violation violations[PIPELINE_VIOLATIONS];
    struct breaker_notice breakers[PIPELINE_BREAKERS];
    bool telling; /* such an event is being decided: what is denied now is no violation of its own */
    struct resumed resumed;
    uint64_t own_seq;
    uint64_t report_logged_ms[REPORT_KINDS]; /* 0: never */
    char target[EVENT_HOST_MAX + 1]; /* of the case that is being judged */
    char *own_line; /* CONFIG_EVENT_BYTES + 1, the caller's: of such an event */
    bool changes;               /* in this turn */
    bool unwritten;             /* something was taken since the last commit */
    struct hub_settings *devices; /* the active ones: their hosts, and when those were seen */
    const struct playbook_room *playbooks; /* for actions; null: there are none */
    struct guard guard;
    uint16_t generation; /* of rules and policy: counts up with each that come into force */
    uint64_t verdicts[VERDICT_DENIED + 1]; /* by enum verdict_kind */
    int64_t now_s;              /* wall time of this turn */
    uint64_t ran_ms;            /* restraint's, of the event being decided */
    uint64_t noted;             /* id of the last event that is in the journal */
    uint64_t now_ms;            /* and of the clock that no one sets */
    bool overflow_reported;     /* a full queue is logged once, until it has room again */
    bool unsafe;                /* the last commit failed, which was logged */
    uint64_t unsafe_ms;         /* time of that attempt */
    void (*changed)(void *arg); /* the ring of recent events has changed */
    void (*acknowledge)(void *arg); /* everything taken so far is durable */
    void (*refused)(void *arg);     /* it is not: call pipeline_turn_end after PIPELINE_RETRY_MS */
    void (*room)(void *arg);        /* an action ended */
    void *arg;
    uint64_t started_ms;
    uint64_t events, bytes, matched, unsupported;
    uint64_t restrained;   /* actions that did not begin for the rule's own restraint */
    uint64_t own_effects;  /* of these, because the rule had led to the event */
    uint64_t untold;       /* breakers that opened or closed with no room for the event */
    uint64_t duplicates;   /* duplicate events */
    uint64_t unknown;      /* events of which it is not known whether they have acted */
    uint64_t conflicts;    /* two devices under one name */
    uint64_t unfinished;   /* actions started before a restart, result unknown */
    uint64_t held;         /* events deferred because action queues were full */
};

/** Interval between attempts to write a failed journal. */
#define PIPELINE_RETRY_MS 1000
/** Nothing is overdue from a failure of the journal until this long after the last one. */
#define PIPELINE_RECOVER_MS 10000

/** All memory is the caller's and must persist; the caller sets the other members afterwards. */
void pipeline_init(struct pipeline *p, const struct clock *clock, struct rules *rules,
                   struct recent *recent, struct jobs *jobs, struct seen *seen,
                   struct journal *journal, struct json_token *tokens);
/** For jobs_init and journal_init. */
struct job_hooks pipeline_job_hooks(struct pipeline *p);
struct journal_hooks pipeline_journal_hooks(struct pipeline *p);

/** event_decode with the pipeline's memory; e is valid until the next call, and the turn's end. */
int pipeline_decode(struct pipeline *p, const char *line, size_t len, struct event *e,
                    const char **why);
/** Id of the host in `seen`; valid until the next call. */
const uint8_t *pipeline_host(struct pipeline *p, struct slice host_id);
/** The host's item in `devices`, or null. */
struct host_item *pipeline_item(struct pipeline *p, struct slice host_id);
/** What is configured of a host; zero: nothing. */
struct device pipeline_device(struct pipeline *p, struct slice host_id);
/** Make these the settings with the hosts. */
void pipeline_know(struct pipeline *p, struct hub_settings *devices);

/** How an event came. */
struct event_source {
    enum window_kind kind;
    const uint8_t *name; /* LINK_NAME bytes for a window that it makes; plain: zeros */
    bool unpinned;       /* plain: not taken from a host that is pinned to the link */
    bool unsure;         /* it may have acted before: only idempotent rules act */
    bool overdue;        /* a full queue is no reason to defer it any more, unless the journal fails */
};
/** Take an event that is authenticated: record it, match it, queue its actions.
 * Return: enum seen_verdict (SEEN_BELOW: nothing acts, and it is reported as unknown; SEEN_UNREMEMBERED also
 * for one without boot and seq; of an import it was taken as unsure; SEEN_PINNED: nothing was done); NEFIA_EAGAIN: no room for its actions, nothing was done. */
int pipeline_take(struct pipeline *p, const struct event *e, const struct event_source *from);
/** A verified hello: record it. */
struct hello_found pipeline_hello(struct pipeline *p, const struct link_hello *h);
/** The host has shown that its last hello, which said `plain`, is no old one. */
void pipeline_unpin(struct pipeline *p, const uint8_t id[SESSION_HOST]);
/** Clear what is known of a host. Return: false if nothing is. */
bool pipeline_forget(struct pipeline *p, struct slice host_id);
/** What the policy says of the rule's action for that event, now; nothing is recorded or counted. Return: false: nobody is asked. */
bool pipeline_verdict(struct pipeline *p, const struct rule *rule, const struct event *e, struct verdict *out);
/** What is to become of a rule's action for an event. */
struct would {
    enum journal_decision decision; /* 0: it is to begin */
    const char *own;                /* JOURNAL_OWN_EFFECT: in words */
    const struct silence *silence;  /* JOURNAL_SILENCED */
    bool restrains;                 /* the rule holds itself back: by `held`, of `held_case` */
    struct restraint_verdict held;
    struct restraint_case held_case;
    bool judged; /* the policy was asked */
    struct verdict verdict;
};
/** The same decisions in the same order as for an event that is taken, of a rule that matches it, at p->ran_ms and p->now_s, and the
 * event counts for the rule's restraint. Otherwise nothing is recorded, counted or begun. */
void pipeline_would(struct pipeline *p, unsigned index, const struct event *e, bool unsure, struct would *out);
/** Report at the turn's end. */
void pipeline_report(struct pipeline *p, enum hub_report kind, struct slice host, uint64_t boot,
                     uint64_t seq);
/** After rules_commit: what is remembered of rules is that of the new ones. rule_now: as for jobs_rebind, which comes afterwards. */
void pipeline_reloaded(struct pipeline *p, uint16_t (*rule_now)(void *arg, uint16_t rule), void *arg);
/** The last turn, before the journal is closed. */
void pipeline_stop(struct pipeline *p);
/** Emit an event of the hub's own, if a rule with an event_pattern matches it (one that takes all events has not asked for
 * it): data is an object. Between turns. Return: false: there is no room
 * for its actions now. */
bool pipeline_emit(struct pipeline *p, const char *type, enum severity severity, struct slice data);
/** Is everything that was taken in the journal? */
bool pipeline_is_written(const struct pipeline *p);
/** The end of a turn: choose jobs, commit what was taken since the last call, acknowledge it, begin
 * the jobs. */
void pipeline_turn_end(struct pipeline *p);

#endif
