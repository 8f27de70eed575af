#ifndef NEFIA_HUB_HUB_H
#define NEFIA_HUB_HUB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "nefia/control/control.h"
#include "nefia/hub/pipeline.h"
#include "nefia/hub/status.h"

/** Memory that is needed either while a configuration is read, or while events are handled. What
 * the latter remembers in it is forgotten with every reload. */
union hub_work {
    struct node nodes[CONFIG_HUB_CONFIG_NODES];
    struct {
        struct rule_type_memo types[CONFIG_RULE_TYPES];
        struct rule_host_memo seen[CONFIG_RULE_HOSTS];
        struct action_scratch action;
        char line[CONFIG_EVENT_BYTES];
    } run;
};

#define HUB_MAX(a, b) ((a) > (b) ? (a) : (b))

/** Shared by all connections; while a configuration is read, the room for a JSON file. */
#define HUB_RECEIVE_BYTES \
    HUB_MAX(1024 * HUB_MAX(CONFIG_RECEIVE_KB, CONFIG_HUB_CONFIG_FILE_KB), 2 * CONNECTION_BYTES)

/** At least two of the longest events. */
#define HUB_RECENT_BYTES \
    HUB_MAX(1024 * CONFIG_RECENT_KB, 2 * (CONFIG_EVENT_BYTES + EVENT_TYPE_MAX + EVENT_HOST_MAX))

/** Frames of one turn; a longest event and what belongs to it, at least. */
#define HUB_JOURNAL_BYTES (CONFIG_EVENT_BYTES + 8192)

/** The command line reads an event with what the daemon says about it. */
#define HUB_TOKENS (CONFIG_JSON_TOKENS + 256)

/** At least one of the longest events. */
#define HUB_BLOCKS(kb) \
    (HUB_MAX(1024 * (kb), CONFIG_EVENT_BYTES + CONFIG_EVENT_BYTES / 64 + JOB_BLOCK) / JOB_BLOCK)

#ifdef CONFIG_ACTION_EXEC
#define HUB_EXEC_JOBS CONFIG_EXEC_JOBS
#define HUB_EXEC_RUNNING CONFIG_EXEC_RUNNING
#define HUB_EXEC_BLOCKS HUB_BLOCKS(CONFIG_EXEC_KB)
#else
#define HUB_EXEC_JOBS 0
#define HUB_EXEC_RUNNING 0
#define HUB_EXEC_BLOCKS 0
#endif
#ifdef CONFIG_ACTION_ALERT
#define HUB_ALERT_JOBS CONFIG_ALERT_JOBS
#define HUB_ALERT_RUNNING CONFIG_ALERT_RUNNING
#define HUB_ALERT_BLOCKS HUB_BLOCKS(CONFIG_ALERT_KB)
#else
#define HUB_ALERT_JOBS 0
#define HUB_ALERT_RUNNING 0
#define HUB_ALERT_BLOCKS 0
#endif
/* The pools are not empty even where both are left out. */
#define HUB_CHILDREN (HUB_EXEC_RUNNING + HUB_ALERT_RUNNING + 1)
/** Connections and the listener, clients and their listener, two pipes for each child. */
#define HUB_WATCHES (CONFIG_CONNECTIONS + 1 + CONFIG_CONTROL_CLIENTS + 1 + 2 * HUB_CHILDREN)

enum hub_state { HUB_RUNNING, HUB_CLOSING, HUB_FINISHING };

/** The whole program: one of these, in main.c, wired to the pools by hub_wire. */
struct hub {
    const char *path; /* of the configuration */
    void (*report)(void *arg, const char *message);
    struct config config;
    struct config_arena arenas[2];
    unsigned active; /* index of the settings and arena in force */
    struct mac_key key, staged_key;
    struct loop loop;
    struct children children;
    struct control_server control;
    struct status_view view;
    struct listener listener;
    struct pipeline pipeline;
    struct peers peers;
    struct rules rules;
    struct recent recent;
    struct jobs jobs;
    struct seen seen;
    struct journal journal;
    struct timer again; /* lines that were held, a journal that could not be written */
    struct timer drain;
    uint64_t drain_began_ms;
    enum hub_state state;
};

/** Connect everything to the pools. report gets each error of a configuration. */
void hub_wire(struct hub *h, const char *path, void (*report)(void *arg, const char *message));
/** Read the configuration beside the one in force. notice: called for each rule whose action is not
 * in this build. Return: 0 (then hub_run may follow); negative: all errors were reported, nothing
 * changed. */
int hub_load(struct hub *h, void (*notice)(void *arg, const char *rule, const char *action));
/** A notice for the log of a running hub. */
void hub_log_notice(void *arg, const char *rule, const char *action);
/** What hub_load read. */
const struct hub_settings *hub_loaded(const struct hub *h);
/** Where the daemon's control socket is, as far as the file can be read. */
const char *hub_socket(struct hub *h);
/** After hub_load: serve until SIGTERM. Return: an exit status. */
int hub_run(struct hub *h);

#endif
