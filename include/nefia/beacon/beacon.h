#ifndef NEFIA_BEACON_BEACON_H
#define NEFIA_BEACON_BEACON_H

#include <stdbool.h>
#include <stdint.h>

#include "nefia/beacon/drift.h"
#include "nefia/beacon/sensor_runner.h"
#include "nefia/beacon/pipeline.h"
#include "nefia/beacon/remote_run.h"
#include "nefia/beacon/settings.h"
#include "nefia/beacon/undo.h"
#include "nefia/beacon/uplink.h"
#include "nefia/sys/cli.h"
#include "nefia/control/control.h"
#include "nefia/control/show.h"
#include "nefia/guard/policy.h"
#include "nefia/ops/helper.h"
#include "nefia/base/kconfig.h"

#define BEACON_ASK_TOKENS 192 /* of the longest record of `status` */
/** The command line that asks a running beacon: the tokens of a record, and the record. */
#define BEACON_ASK_BYTES                                                                           \
    (IS_ENABLED(CONFIG_BEACON_CONTROL) *                                                           \
     (BEACON_ASK_TOKENS * sizeof(struct json_token) + CONFIG_CONTROL_LINE_BYTES + 1))
/** One buffer for things that never coincide: reading the configuration, the event being built, and
 * a decision of the policy. */
#define BEACON_MAX(a, b) ((a) > (b) ? (a) : (b))
#define BEACON_WORK_BYTES                                                                          \
    BEACON_MAX(BEACON_MAX(CONFIG_EVENT_BYTES + 1 + PIPELINE_LINE_BYTES, BEACON_ASK_BYTES),            \
               BEACON_MAX(CONFIG_BEACON_CONFIG_FILE_KB * 1024,                                     \
                          IS_ENABLED(CONFIG_BEACON_GUARD) *                                        \
                              BEACON_MAX(sizeof(struct pattern_tree), sizeof(struct policy_work))))

/** Concurrent child processes: sensor commands, those that are followed, one that resolves the
 * hub's name, and commands from the hub. */
#define BEACON_COMMANDS                                                                            \
    (CONFIG_BEACON_CHILDREN + CONFIG_BEACON_FOLLOWED + IS_ENABLED(CONFIG_BEACON_RESOLVE) +             \
     IS_ENABLED(CONFIG_REMOTE_EXEC) * REMOTE_CHILDREN)
/** Longest output of the latter: addresses, one per line, or a message. */
#define BEACON_RESOLVE_BYTES 256
/** Descriptors in the loop: the control socket and its clients, the connection to the hub, two for
 * each child process, those of sensors; the helper for services. */
#define BEACON_WATCHED                                                                             \
    (CONFIG_BEACON_CONTROL_CLIENTS + 2 + 2 * BEACON_COMMANDS + CONFIG_BEACON_SENSOR_WATCHES + IS_ENABLED(CONFIG_REMOTE_EXEC))

/** The whole program: one instance, in main.c, wired to the pools by beacon_wire. */
struct beacon {
    struct loop loop;
    struct children children;
    struct control_server control;
    struct condition_table conditions;
    struct beacon_pipeline pipeline;
    struct sensor_runner sensor_runner;
    struct uplink uplink;
    struct mac_key key, next_key;
    struct beacon_settings
        settings[2]; /* running and loading configuration; see `current` */
    struct config_arena arenas[2];
    unsigned current;
    struct config config;
    const char *path; /* of the configuration file */
    int state_fd;     /* the locked state_dir */
    struct timer drain;
    bool stopping;
    uint64_t started_ms, reloads, failed_reloads;
    struct helper helper; /* with CONFIG_REMOTE_EXEC: for services */
    const char *seccomp; /* word for status; null: off */
    char resolved[BEACON_RESOLVE_BYTES];
};

/** Connect everything to the pools. Nothing runs yet. */
void beacon_wire(struct beacon *b, const char *path,
                 void (*report)(void *arg, const char *message));
enum { BEACON_NEEDS_HUB = 1, BEACON_NEEDS_KEY = 2 };
/** Read the configuration into the inactive half. Return: 0; or negative, all errors
 * reported and nothing changed. */
int beacon_load(struct beacon *b, unsigned needs);
/** With CONFIG_BEACON_GUARD: read the policy, for beacon_load, beside the one in force. */
void beacon_policy_load(struct beacon *b);
/** With CONFIG_REMOTE_EXEC, after beacon_load and before anything is given up: start b->helper. Return: as helper_start. */
int beacon_start_helper(struct beacon *b);
/** And the verbs that ask it, whose program's argument (a->arg) is the struct beacon. Each returns an exit status. */
int beacon_policy_test(const struct cli_args *a);
int beacon_policy_capabilities(const struct cli_args *a);
extern const struct cli_option beacon_policy_test_options[], beacon_policy_capabilities_options[];
static inline const struct beacon_settings *beacon_loaded(const struct beacon *b)
{
    return &b->settings[!b->current];
}
static inline const struct beacon_settings *beacon_settings(const struct beacon *b)
{
    return &b->settings[b->current];
}
/** After beacon_load: runs until SIGTERM. Return: an exit status. */
int beacon_run(struct beacon *b);
/** After beacon_load: run each sensor once, events on stdout. Return: an exit status. */
int beacon_once(struct beacon *b);

/** After beacon_load: the verb `manifest` (manifest.c). buf: room for a line. Return: an exit status. */
int beacon_manifest(struct beacon *b, const struct cli_args *a, char *buf, size_t cap);

/** Resolve "host:port" in a child process for the uplink; arg is the struct beacon. */
int beacon_resolve(void *arg, const char *name);

/** Verbs of the control socket; arg is the struct beacon. */
extern const struct control_verb beacon_verbs[];
/** Of these, what the console asks for (console_verbs.c). */
int beacon_events_produce(void *arg, struct control_cursor *cursor, struct text *out);
int beacon_try_produce(void *arg, struct control_cursor *cursor, struct text *out);
int beacon_reload_begin(void *arg, struct control_cursor *cursor, const char *args, struct text *why);
int beacon_reload_produce(void *arg, struct control_cursor *cursor, struct text *out);
/** Produce an answer that is one sentence, and the exit status that goes with it. Return: as a verb's produce. */
int beacon_say(struct control_cursor *cursor, struct text *out, bool fine, const char *sentence);
/** Is it the type of an event: 1 to EVENT_TYPE_MAX letters, digits, dots, - and _? */
bool beacon_is_type(const char *s, size_t len);

/** What `status` shows of the running beacon's answer. */
extern const struct show_section beacon_status_sections[];
/** The control socket of the daemon with the loaded settings, also where they could not be read; "": it has none. */
const char *beacon_socket(const struct beacon *b);
/** The command line's side of these verbs: ask the daemon at that socket and print what it answers.
 * work: BEACON_ASK_BYTES, aligned as max_align_t. Return: an exit status. */
int beacon_ask_status(const char *socket, bool json, void *work);
/** Any other request. measure: as show_question's. */
int beacon_ask(const char *socket, const struct show_section *sections, const char *request, const char *measure, bool json,
               void *work);
/** The answer is a sentence. */
extern const struct show_section beacon_sentence_sections[];
/** operands: TYPE SEVERITY [KEY=VALUE...]. request: room for the request line. */
int beacon_ask_emit(const char *socket, const struct cli_args *args, char *request,
                    size_t request_cap, void *work);

#endif
