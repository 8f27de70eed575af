#ifndef NEFIA_BEACON_TUNNEL_H
#define NEFIA_BEACON_TUNNEL_H

#include "nefia/beacon/sensor.h"
#include "nefia/net/wireguard.h"

/** What the sensors of WireGuard share. Each of them is a list; an item is about one interface. Needs `select
 * BEACON_TUNNELS`. */

/** A peer as it is declared, first in an item of a list in the configuration. */
struct tunnel_peer {
    const char *key;  /* its public key, in base64 */
    const char *name; /* null: it has none */
};
#define TUNNEL_PEER_FIELDS(type_, member) \
    {FIELD_REQUIRED("public_key", ""), .type = FIELD_SET, FIELD_AT(type_, member.key), \
     .set = tunnel_set_key, FIELD_NOTE("as wg(8) shows it")}, \
    {.name = "name", .type = FIELD_STRING, FIELD_AT(type_, member.name), .min = 1, .max = 64, \
     FIELD_NOTE("for events")}
int tunnel_set_key(void *member, const char *value, struct text *why);
#define TUNNEL_INTERFACE_FIELD(type_, member) \
    {FIELD_REQUIRED("interface", ""), .type = FIELD_STRING, FIELD_AT(type_, member), .min = 1, \
     .max = WIREGUARD_NAME - 1, FIELD_NOTE("such as wg0")}
/** For `open`: bind the list of peers that the table has, and report keys that are in it twice. Each item begins with a
 * struct tunnel_peer. */
int tunnel_open(void *state, struct config *c, const struct node *n, const char *where, const struct field *fields);

/** Ask the kernel of an interface, through the buffer that all sensors share: wireguard_ask. Return: 0;
 * NEFIA_ENOTFOUND: it is not there, or none of WireGuard; other: not measured. */
int tunnel_ask(struct emitter *e, const char *interface, int (*on_peer)(void *arg, const struct wireguard_peer *p),
               void *arg);

/** One check of a condition of the interface, or of something of it. types: "x.detected" "\0" "x.resolved". of: which, null: the
 * interface itself. subject: room, until emit_end. Return: as emit_condition_pair, with "interface" in data and, while it
 * holds, "problem". */
#define TUNNEL_SUBJECT (WIREGUARD_NAME + ADDR_TEXT)
struct json_writer *tunnel_condition(struct emitter *e, char subject[TUNNEL_SUBJECT], const char *types,
                                     const char *interface, const char *of, enum level level, const char *problem);
/** That of the interface itself, which is there unless there is a problem, with its event. */
void tunnel_judge(struct emitter *e, const char *types, const char *interface, const char *problem);
#define TUNNEL_MISSING "interface_missing"
#define TUNNEL_NO_PEER_TEXT "peer_missing"
void tunnel_put_peer(struct json_writer *w, const struct tunnel_peer *p);

/* ---- Handshakes ---- */

/** A peer whose handshakes are watched. The kernel stamps them with the wall clock, which may be wrong or jump:
 * only whether the stamp has changed counts, and how long ago that was by our clock. A peer that nothing is sent to
 * makes none, unless it has a persistent keepalive. Times wrap after 49 days; what is silent then is so until it has had
 * a handshake. */
struct tunnel_watched {
    struct tunnel_peer peer;
    uint32_t changed_ms; /* when the latest handshake was first seen; before it, when the peer was */
    uint32_t asked_ms;   /* when something had been sent although the session had expired; 0: nothing was */
    uint32_t handshake;  /* at the last look: seconds since 1970, their lower half; 0: never */
    uint32_t sent;       /* bytes, the lower half */
    bool known, seen;    /* at any time; in this dump */
    bool keepalive;
    bool alive;          /* it has had a handshake since it was last found silent */
};

struct tunnel_watch {
    struct sensor_common common;
    const char *interface;
    uint32_t silent_ms; /* so long without a handshake */
    struct tunnel_watched watched[CONFIG_SDWAN_HUBS];
    unsigned count;
    unsigned peers, current; /* of this dump: how many; which of `watched` the latest one is, or count */
    uint32_t now_ms, looked_ms; /* this look and the one before */
    int64_t unix_s; /* in `once` */
};
#define TUNNEL_LONG_MS (20 * 24 * 3600 * 1000) /* 20d */
/** The fields of one; key: its list. */
#define TUNNEL_WATCH_FIELDS(key, what) \
    TUNNEL_INTERFACE_FIELD(struct tunnel_watch, interface), \
    {FIELD_DEFAULT("silent_after", "5m"), .type = FIELD_DURATION, FIELD_AT(struct tunnel_watch, silent_ms), \
     .min = 1000, .max = TUNNEL_LONG_MS, FIELD_NOTE("without a handshake")}, \
    {FIELD_REQUIRED(key, what), .type = FIELD_LIST, FIELD_AT(struct tunnel_watch, watched), .min = 1, \
     .list = &tunnel_watched_list}
extern const struct field_list tunnel_watched_list;

/** Ask, and note what there is to know of those that are watched. on_peer: tunnel_take, or what calls it. Return: as
 * tunnel_ask. */
int tunnel_look(struct tunnel_watch *s, struct emitter *e, int (*on_peer)(void *arg, const struct wireguard_peer *p));
int tunnel_take(void *watch, const struct wireguard_peer *p);
enum tunnel_state {
    TUNNEL_UNKNOWN, /* not silent for long enough */
    TUNNEL_UNUSED,  /* silent, but nothing was sent to it that it had to answer */
    TUNNEL_ALIVE,
    TUNNEL_SILENT,
    TUNNEL_NO_PEER, /* the interface does not have it */
};
/** What is to be said of one after that. Twice the same. */
enum tunnel_state tunnel_state(const struct tunnel_watch *s, struct tunnel_watched *w);
/** And its condition, unless there is nothing to say. of, subject, types: as tunnel_condition. Return: the same, with its
 * key, its name and since when it is silent in data. */
struct json_writer *tunnel_judge_watched(const struct tunnel_watch *s, struct emitter *e, char subject[TUNNEL_SUBJECT],
                                         const char *types, const char *of, struct tunnel_watched *p, enum level bad);
/** For `start`: what is known of those that stand where they did. */
int tunnel_start(void *state, struct emitter *self, void *before);

#endif
