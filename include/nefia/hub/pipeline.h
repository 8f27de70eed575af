#ifndef NEFIA_HUB_PIPELINE_H
#define NEFIA_HUB_PIPELINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "nefia/net/addr.h"
#include "nefia/sys/clock.h"
#include "nefia/hub/seen.h"
#include "nefia/hub/jobs.h"
#include "nefia/hub/recent.h"
#include "nefia/crypto/mac.h"
#include "nefia/hub/listener.h"
#include "nefia/hub/peers.h"
#include "nefia/hub/settings.h"
#include "nefia/hub/journal.h"
#include "nefia/hub/rules.h"

/** Cache of recent host_ids with their ids in `seen`: lines come in runs, and a SHA-256 for each is
 * expensive. Longer ones are computed each time. */
#define PIPELINE_KNOWN 128
#define KNOWN_HOST_MAX 47
struct known_host {
    uint8_t len;
    char host_id[KNOWN_HOST_MAX];
    uint8_t key[HOST_ID];
};

/** The path of an event through the hub, and the only place that knows the order:
 *
 *     line → verify → decode → stamp → marks → journal → rules → jobs
 *                                                            └ durable → acknowledgements, actions
 *
 * The signature is verified over the raw bytes before anything parses them. The events of a turn
 * are committed to the journal once, at its end; only then are they acknowledged and their actions
 * started. */
struct pipeline {
    const struct clock *clock;
    struct mac_key key;                      /* shared by all; set false: none */
    const struct hub_settings *settings; /* the active ones */
    const struct peers *peers;               /* of peers_from; null: none */
    struct rules *rules;
    struct recent *recent;
    struct jobs *jobs;
    struct seen *seen;
    struct journal *journal;
    struct json_token *tokens; /* CONFIG_JSON_TOKENS; one event is decoded at a time */
    char scratch[EVENT_SCRATCH];
    uint32_t bits[RULE_WORDS]; /* rules that match the current event */
    struct known_host known[PIPELINE_KNOWN]; /* indexed by hash of host_id */
    unsigned events_in_turn;
    int64_t now_s;              /* wall time of this turn */
    bool overflow_reported;     /* a full queue is logged once, until it has room again */
    bool unsafe;                /* the last commit failed, which was logged */
    uint64_t unsafe_ms;         /* time of that attempt */
    void (*changed)(void *arg); /* the ring of recent events has changed */
    void (*acknowledge)(void *arg); /* everything accepted so far is durable */
    void (*refused)(void *arg);     /* it is not: call pipeline_turn_end after PIPELINE_RETRY_MS */
    void (*room)(void *arg);        /* an action ended */
    /** Random bytes for a nonce. Return: 0, or negative: none yet (early at boot). */
    int (*random)(void *buf, size_t len);
    void *arg;
    uint64_t started_ms;
    uint64_t events, bytes, matched, unsupported, unmatchable;
    uint64_t duplicates;   /* duplicate events */
    uint64_t unfinished;   /* actions started before a restart, result unknown */
    uint64_t held;         /* events deferred because action queues were full */
    uint64_t rejected[REJECT_COUNT];
    uint64_t closed_since_ms, closed; /* start of the current minute, and connections closed in it */
};

/** Most unacknowledged stamped events of a sender. */
#define PIPELINE_WINDOW 32
/** Interval between attempts to write a failed journal. */
#define PIPELINE_RETRY_MS 1000
/** Log lines per minute about closed connections. All of them are counted. */
#define PIPELINE_CLOSED_LINES 60

/** All memory is the caller's and must persist; the caller sets the other members afterwards. */
void pipeline_init(struct pipeline *p, const struct clock *clock, struct rules *rules,
                   struct recent *recent, struct jobs *jobs, struct seen *seen,
                   struct journal *journal, struct json_token *tokens);
/** For listener_init, jobs_init and journal_init. */
struct listener_hooks pipeline_listener_hooks(struct pipeline *p);
struct job_hooks pipeline_job_hooks(struct pipeline *p);
struct journal_hooks pipeline_journal_hooks(struct pipeline *p);

/** Must lines be followed by a signature? */
bool pipeline_signed(const struct pipeline *p);
/** One line, with its signature line if a key is set.
 * Return: 0; NEFIA_EAGAIN: no room for its actions, or its sender is over its rate: nothing
 * was done; otherwise negative: rejected, counted and logged. */
int pipeline_line(struct pipeline *p, struct session *s, const char *line, size_t len,
                  const char *sig, size_t sig_len);
/** Commit what was accepted since the last call, then acknowledge it and start its actions. */
void pipeline_turn_end(struct pipeline *p);

#endif
