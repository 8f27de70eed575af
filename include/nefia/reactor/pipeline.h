#ifndef NEFIA_REACTOR_PIPELINE_H
#define NEFIA_REACTOR_PIPELINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "nefia/addr.h"
#include "nefia/clock.h"
#include "nefia/jobs.h"
#include "nefia/journal.h"
#include "nefia/mac.h"
#include "nefia/reactor/listener.h"
#include "nefia/reactor/peers.h"
#include "nefia/reactor/settings.h"
#include "nefia/rules.h"

/** The hub's order of things, and the only place that knows it:
 *
 *     line → verify → decode → journal → rules → jobs
 *
 * The signature is checked over the raw bytes before anything reads them. */
struct pipeline {
    const struct clock *clock;
    struct mac_key key;                      /* set false: nothing is signed */
    const struct reactor_settings *settings; /* in force */
    const struct peers *peers;               /* of peers_from; null: none */
    struct rules *rules;
    struct journal *journal;
    struct jobs *jobs;
    struct json_token *tokens; /* CONFIG_JSON_TOKENS; one event is decoded at a time */
    char scratch[EVENT_SCRATCH];
    bool pushed; /* jobs were, in this turn */
    unsigned events_in_turn;
    int64_t now_s;              /* wall time of this turn */
    bool overflow_told;         /* one line for a full queue, until it has room again */
    void (*changed)(void *arg); /* the journal has news */
    void *changed_arg;
    uint64_t started_ms;
    uint64_t events, bytes, matched, unsupported, unmatchable;
    uint64_t rejected[REJECT_COUNT];
};

/** All memory is the caller's and stays; the other members are set by it afterwards. */
void pipeline_init(struct pipeline *p, const struct clock *clock, struct rules *rules,
                   struct journal *journal, struct jobs *jobs, struct json_token *tokens);
/** For listener_init and jobs_init. */
struct listener_hooks pipeline_listener_hooks(struct pipeline *p);
struct job_hooks pipeline_job_hooks(struct pipeline *p);

/** One line, with its signature line where a key is set.
 * Return: 0; negative: rejected, counted and logged. */
int pipeline_line(struct pipeline *p, const struct addr *peer, const char *line, size_t len,
                  const char *sig, size_t sig_len);
/** Start what the lines since the last call asked for. */
void pipeline_turn_end(struct pipeline *p);

#endif
