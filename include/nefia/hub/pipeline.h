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

/** A host_id that was heard lately, with its key in hosts: lines come in runs, and a SHA-256 for each is
 * dear. Longer ones are computed each time. */
#define PIPELINE_KNOWN 128
#define KNOWN_HOST_MAX 47
struct known_host {
    uint8_t len;
    char host_id[KNOWN_HOST_MAX];
    uint8_t key[HOST_ID];
};

/** The hub's order of things, and the only place that knows it:
 *
 *     line → verify → decode → stamp → marks → journal → rules → jobs
 *                                                            └ safe on disk → acknowledgements, actions
 *
 * The signature is checked over the raw bytes before anything reads them. What a turn brought is made
 * safe once, at its end; only then is it acknowledged and do its actions begin. */
struct pipeline {
    const struct clock *clock;
    struct mac_key key;                      /* all share it; set false: there is none */
    const struct hub_settings *settings; /* in force */
    const struct peers *peers;               /* of peers_from; null: none */
    struct rules *rules;
    struct recent *recent;
    struct jobs *jobs;
    struct seen *seen;
    struct journal *journal;
    struct json_token *tokens; /* CONFIG_JSON_TOKENS; one event is decoded at a time */
    char scratch[EVENT_SCRATCH];
    uint32_t bits[RULE_WORDS]; /* rules that match the event being taken */
    struct known_host known[PIPELINE_KNOWN]; /* at the hash of its host_id */
    unsigned events_in_turn;
    int64_t now_s;              /* wall time of this turn */
    bool overflow_told;         /* one line for a full queue, until it has room again */
    bool unsafe;                /* the last turn could not be made safe, which was told */
    uint64_t unsafe_ms;         /* when that was tried */
    void (*changed)(void *arg); /* the ring of recent events has news */
    void (*acknowledge)(void *arg); /* all that came so far is on the disk */
    void (*refused)(void *arg);     /* it is not: call pipeline_turn_end in PIPELINE_RETRY_MS */
    void (*room)(void *arg);        /* an action ended */
    /** Random bytes for a nonce. Return: 0, or negative: there are none (early at boot). */
    int (*random)(void *buf, size_t len);
    void *arg;
    uint64_t started_ms;
    uint64_t events, bytes, matched, unsupported, unmatchable;
    uint64_t duplicates;   /* events the hub had already */
    uint64_t unfinished;   /* actions that had begun before a restart, and whose end is unknown */
    uint64_t held;         /* events that had to wait for room among the actions */
    uint64_t rejected[REJECT_COUNT];
    uint64_t closed_since_ms, closed; /* a minute's beginning, and connections closed in it so far */
};

/** Stamped events a sender may have unacknowledged. */
#define PIPELINE_WINDOW 32
/** Between tries to write a journal that could not be written. */
#define PIPELINE_RETRY_MS 1000
/** Lines of the log in a minute about connections that were closed. All of them are counted. */
#define PIPELINE_CLOSED_LINES 60

/** All memory is the caller's and stays; the other members are set by it afterwards. */
void pipeline_init(struct pipeline *p, const struct clock *clock, struct rules *rules,
                   struct recent *recent, struct jobs *jobs, struct seen *seen,
                   struct journal *journal, struct json_token *tokens);
/** For listener_init, jobs_init and journal_init. */
struct listener_hooks pipeline_listener_hooks(struct pipeline *p);
struct job_hooks pipeline_job_hooks(struct pipeline *p);
struct journal_hooks pipeline_journal_hooks(struct pipeline *p);

/** Must lines be followed by a signature? */
bool pipeline_signed(const struct pipeline *p);
/** One line, with its signature line where a key is set.
 * Return: 0; NEFIA_EAGAIN: there is no room for its actions, or its sender is over its rate: nothing
 * was done; else negative: rejected, counted and logged. */
int pipeline_line(struct pipeline *p, struct session *s, const char *line, size_t len,
                  const char *sig, size_t sig_len);
/** Make safe what the lines since the last call brought, and start what they asked for. */
void pipeline_turn_end(struct pipeline *p);

#endif
