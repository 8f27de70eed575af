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

#define BEACON_CONTROL_SOCKET "/run/nefia/beacon.sock"

/** Settings other than the sensors': `host_id` and the plain members of `beacons:`.
 */
struct beacon_settings {
    const char *host_id; /* default: the hostname */
    struct uplink_hub reactors[CONFIG_BEACON_REACTORS];
    unsigned reactor_count;
    const char *hmac_key, *hmac_key_file;   /* at most one is set */
    const char *state_dir, *control_socket; /* null or "": none */
    const char *spool_file;                 /* null or "": none */
    enum severity spool_file_least;         /* least severity kept there */
    uint32_t spool_file_bytes, spool_file_daily;
    struct privileges user;                 /* only its name until settings_bind_user */
    int64_t max_events_per_min;
    bool require_ack;
    uint64_t dedup_window_ms;
    unsigned dedup_parts; /* enum dedup_part */
    char hostname[sizeof((struct utsname *)0)->nodename];
};

/** Bind a loaded tree. sensors[i] gets the node of sensor class i of the table (null if not
 * given). needs_hub: is a file without beacons.reactor an error? Strings stay the arena's;
 * s->host_id may point into s, so s must be bound in place and not copied. Return: 0,
 * or NEFIA_EINVAL after reports. */
int beacon_settings_bind(struct beacon_settings *s, struct config *c, bool needs_hub,
                         const struct node **sensors);
#endif
