#ifndef NEFIA_HUB_INGRESS_H
#define NEFIA_HUB_INGRESS_H

#include "nefia/hub/listener.h"
#include "nefia/hub/peers.h"
#include "nefia/hub/pipeline.h"

/** From lines to authenticated events: which key a line must be signed with, whether its sender may
 * speak for its host, and what the sender is told.
 *
 * Nothing unverified is parsed but a hello, which is short and names the host whose key signs it. A
 * plain line is searched for its host_id, to pick the key; then it is verified over its raw bytes,
 * and only then decoded. At most two HMACs are computed for a line that nobody has signed. */

/** Most events of a session that are not acknowledged. */
#define INGRESS_WINDOW 32
/** Log lines per minute about closed connections. All of them are counted. */
#define INGRESS_CLOSED_LINES 60
/** Plain lines without boot and seq that are known again: only a new one proves its connection. */
#define INGRESS_LINES 128

struct ingress {
    const struct clock *clock;
    struct pipeline *pipeline;
    struct mac_key key;                  /* shared by all; set false: none */
    const struct hub_settings *settings; /* the active ones */
    const struct peers *peers;           /* of peers_from; null: none */
    uint32_t lines[INGRESS_LINES];       /* hashes of recent plain lines, by hash */
    uint64_t rejected[REJECT_COUNT];
    uint64_t closed_since_ms, closed; /* start of the current minute, and connections closed in it */
    uint64_t over_rate;               /* lines deferred because of max_events_per_sec */
    /** Random bytes for a nonce. Return: 0, or negative: none yet (early at boot). */
    int (*random)(void *buf, size_t len);
    /** Visit all sessions; fn may set their `due`. */
    void (*each)(void *arg, void (*fn)(void *fn_arg, struct session *s), void *fn_arg);
    /** May the address be named in the log? Then not again for a minute. */
    bool (*may_name)(void *arg, const struct addr *peer);
    void *arg;
};

/** The caller sets the other members afterwards. */
void ingress_init(struct ingress *in, const struct clock *clock, struct pipeline *pipeline);
/** For listener_init. */
struct listener_hooks ingress_listener_hooks(struct ingress *in);
/** Must lines be followed by a signature? */
bool ingress_signed(const struct ingress *in);
/** The keys that may sign for a host: its own, or else the shared one. item: that of reactor.hosts, or null.
 * Return: how many. */
unsigned ingress_keys(const struct ingress *in, const struct host_item *item, const struct mac_key *keys[2]);
/** The value of the first "host_id" in the raw line; empty if there is none without escapes. It is only a hint at the key: the
 * decoded event is judged. */
struct slice ingress_find_host(struct slice line);
/** After a reload: end the sessions whose key was removed or changed, or whose host may not speak from
 * their address any more. */
void ingress_recheck(struct ingress *in);
/** pipeline_forget, and end the host's sessions: the windows that they would make anew had the names of
 * those that are gone. */
bool ingress_forget(struct ingress *in, struct slice host_id);

#endif
