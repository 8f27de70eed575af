#ifndef NEFIA_BEACON_SETTINGS_H
#define NEFIA_BEACON_SETTINGS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/utsname.h>

#include "nefia/beacon/uplink.h"
#include "nefia/config/config.h"
#include "nefia/event/event.h"
#include "nefia/crypto/mac.h"
#include "nefia/sys/privileges.h"

#define CONSOLE_IDLE_MS (10 * 60 * 1000)
#define BEACON_CONTROL_SOCKET "/run/nefia/beacon.sock"

/** Settings other than the sensors': `host_id` and the plain members of `beacons:`.
 */
struct beacon_settings {
    const char *host_id; /* default: the hostname */
    struct uplink_hub reactors[CONFIG_BEACON_REACTORS];
    unsigned reactor_count;
    char *hmac_key;                         /* null, or settings_load_key's to take and wipe */
    const char *hmac_key_file;              /* at most one is set */
    const char *state_dir, *control_socket; /* null or "": none */
    const char *spool_file;                 /* null or "": none */
    int spool_file_events;                  /* enum spool_file_events */
    uint32_t spool_file_kb, spool_file_daily_kb;
    struct privileges user;                 /* only its name, until settings_bind_user */
    uint32_t max_events_per_min;
    bool require_ack;
    uint64_t dedup_window_ms;
    unsigned dedup_parts; /* enum dedup_part */
    const struct node *remote_node; /* while it is bound */
    struct remote_settings {
        bool enabled;
        uint32_t timeout_max_ms;
    } remote; /* REMOTE_EXEC */
    const struct node *console_node; /* while it is bound */
    struct console_settings {
        const char *tty; /* null: none */
        bool key_required;
        uint32_t idle_ms;
    } console; /* BEACON_CONSOLE */
    char hostname[sizeof((struct utsname *)0)->nodename];
};

/** Which events are kept in spool_file. */
enum spool_file_events { SPOOL_FILE_ALL, SPOOL_FILE_CRITICAL };

/** Of `beacons:`; the tables of the sensors are in their classes. */
extern const struct field beacon_fields[], remote_fields[], console_fields[];

/** Bind a loaded tree. needs_hub: for `run`; a file without beacons.reactor is warned of, and what a hub would need
 * is not asked for. Strings stay the arena's; s->host_id may point into s, so s must be bound in place and not copied. The
 * sensors are bound by sensor_runner_load.
 * Return: 0, or NEFIA_EINVAL after reports. */
int beacon_settings_bind(struct beacon_settings *s, struct config *c, bool needs_hub);

#endif
