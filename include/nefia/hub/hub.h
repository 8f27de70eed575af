#ifndef NEFIA_HUB_HUB_H
#define NEFIA_HUB_HUB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "nefia/control/control.h"
#include "nefia/hub/dispatch.h"
#include "nefia/hub/ingress.h"
#include "nefia/hub/pipeline.h"
#include "nefia/hub/playbook_driver.h"
#include "nefia/hub/status.h"
#include "nefia/ops/helper.h"
#include "nefia/play/playbook.h"

/** The command line parses an event together with the daemon's record around it. */
#define HUB_TOKENS (CONFIG_JSON_TOKENS + 256)

/** Memory needed either while a configuration is read, or while events are handled. The caches of
 * the latter are emptied by every reload. */
union hub_work {
    struct node nodes[CONFIG_HUB_CONFIG_NODES];
    struct {
        struct rule_type_memo types[CONFIG_RULE_TYPES];
        struct rule_host_memo seen[CONFIG_RULE_HOSTS];
        struct action_scratch action;
        struct matcher_work matcher; /* of silences */
        char line[CONFIG_EVENT_BYTES];
        char own_line[CONFIG_EVENT_BYTES + 1];
    } run;
    struct json_token answer[HUB_TOKENS]; /* of a running hub that is asked */
    struct playbook_memory playbook[IS_ENABLED(CONFIG_HUB_PLAYBOOKS)]; /* while its file is checked; in a process that carries it out */
};

#define HUB_MAX(a, b) ((a) > (b) ? (a) : (b))

/** Memory for one thing after another, each done with when the next begins: the configuration while
 * it is read, the compilation of its patterns, the networks of WireGuard peers, an event while it is
 * taken; or the answer of a running hub. */
union hub_receive {
    char bytes[HUB_MAX(1024 * CONFIG_HUB_CONFIG_FILE_KB, WIREGUARD_WORK)];
    max_align_t aligned;
    struct pattern_scratch scratch;
    struct json_token tokens[CONFIG_JSON_TOKENS];
    struct {
        struct json_token tokens[CONFIG_JSON_TOKENS]; /* those above */
        struct playbook_driver driver[IS_ENABLED(CONFIG_HUB_PLAYBOOKS)];
    } run;
};

/** At least two events of maximum size. */
#define HUB_RECENT_BYTES \
    HUB_MAX(1024 * CONFIG_RECENT_KB, 2 * (CONFIG_EVENT_BYTES + EVENT_TYPE_MAX + EVENT_HOST_MAX))

/** Frames of one turn; at least an event of maximum size and its frames. */
#define HUB_JOURNAL_BYTES (CONFIG_EVENT_BYTES + 8192)

/** At least one event of maximum size. */
#define HUB_JOB_BLOCKS \
    (HUB_MAX(1024 * CONFIG_JOB_EVENTS_KB, CONFIG_EVENT_BYTES + CONFIG_EVENT_BYTES / 16 + JOB_BLOCK) / JOB_BLOCK)

/* What the actions want. The pools must not be empty, even without any. */
#define HUB_JOBS (ACTION_JOBS + 1)
#define HUB_CHILDREN (ACTION_CHILDREN + 1)
/** Connections and the listener, clients and their listener, two pipes for each child, the helper for services. */
#define HUB_WATCHES (CONFIG_CONNECTIONS + 1 + CONFIG_CONTROL_CLIENTS + 1 + 2 * HUB_CHILDREN + IS_ENABLED(CONFIG_HUB_COMMANDS))

/** What may be open beside the connections: standard descriptors, listener, a file or the next listener
 * during a reload, a connection that is refused, syslog, WireGuard's netlink, epoll; the control socket, its
 * lock and its clients; the journal's directory, lock, file and successor; the audit's
 * directory, file and successor; the helper for services; the pipes of children. */
#define HUB_DESCRIPTORS                                                                            \
    (3 + 6 + 2 + IS_ENABLED(CONFIG_HUB_COMMANDS) + CONFIG_CONTROL_CLIENTS + (IS_ENABLED(CONFIG_HUB_STATE) ? 4 : 0) +                 \
     (IS_ENABLED(CONFIG_HUB_AUDIT) ? 3 : 0) + CHILD_DESCRIPTORS * HUB_CHILDREN +           \
     CHILD_START_DESCRIPTORS)

enum hub_state { HUB_RUNNING, HUB_CLOSING, HUB_FINISHING };

/** The whole program: one instance, in main.c, wired to the pools by hub_wire. */
struct hub {
    const char *path; /* of the configuration file */
    void (*report)(void *arg, const char *message);
    struct config config;
    struct config_arena arenas[2];
    unsigned active; /* index of the active settings and arena */
    struct mac_key staged_key;
    struct policy_use policy; /* the active one */
    struct helper helper; /* with CONFIG_HUB_COMMANDS: for services of this machine */
    struct playbook_room playbooks;
    uint64_t playbooks_ended; /* of actions, when their positions were last looked through */
    struct loop loop;
    struct children children;
    struct control_server control;
    struct status_view view;
    struct listener listener;
    struct ingress ingress;
    struct pipeline pipeline;
    struct peers peers;
    struct rules rules;
    struct recent recent;
    struct jobs jobs;
    struct seen seen;
    struct journal journal;
    struct audit_log audit;
    struct timer audit_timer;
    struct dispatch dispatch;
    struct silences silences;
    struct restraint_keeper restraint;
    struct timer silence_timer;
    uint64_t head_ms; /* when the audit's head is due */
    uint8_t config_hash[MAC_BYTES]; /* of the file that was read last */
    bool config_hashed;
    struct timer again; /* retry of deferred lines, and of a failed journal */
    struct timer drain;
    struct timer seed; /* waiting for the kernel's random number generator */
    int listen_fd;     /* of the socket while it waits; -1: none */
    uint64_t drain_began_ms;
    enum hub_state state;
};

/** Connect everything to the pools. report receives each configuration error. */
void hub_wire(struct hub *h, const char *path, void (*report)(void *arg, const char *message));
/** Load the configuration beside the active one. notice: called for each rule whose action is not
 * in this build. Return: 0 (then hub_run may follow); negative: all errors were reported, nothing
 * changed. */
int hub_load(struct hub *h, void (*notice)(void *arg, const char *rule, const char *action));
/** A `notice` that writes to the log, for a running hub. */
void hub_log_notice(void *arg, const char *rule, const char *action);
/** The settings read by hub_load. */
const struct hub_settings *hub_loaded(const struct hub *h);
/** The policy read by hub_load. */
const struct policy *hub_loaded_policy(const struct hub *h);
/** After hub_load, for verbs that read or carry out a playbook. */
const struct playbook_room *hub_playbooks(struct hub *h);
/** Path of the daemon's control socket, as far as the file can be read. */
const char *hub_socket(struct hub *h);
/** For verbs that only ask the policy: bind it, and nothing else of the file, which stays loaded in h->config.
 * Return: null after a report. */
const struct policy_use *hub_policy(struct hub *h);
/** The state_dir with the audit log, "" if there is none, and audit.key_file (null: not given), as far as the file can be
 * read. Return: null: it cannot, which was reported. */
const char *hub_audit_place(struct hub *h, const char **key_file);
/** With CONFIG_HUB_COMMANDS, after hub_load and before anything is given up: start h->helper. Return: as helper_start. */
int hub_start_helper(struct hub *h);
/** After hub_load: what it read is in force in h->pipeline, as far as that decides, in the time of this clock; nothing is
 * opened, and nothing acts. For nefia replay. */
void hub_rehearse(struct hub *h, const struct clock *clock);
/** After hub_load: serve until SIGTERM. Return: an exit status. */
int hub_run(struct hub *h);

#endif
