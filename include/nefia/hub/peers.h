#ifndef NEFIA_HUB_PEERS_H
#define NEFIA_HUB_PEERS_H

#include "nefia/sys/loop.h"
#include "nefia/net/wireguard.h"

/** Permitted peers beside `peers`: those of a WireGuard interface (peers_from), queried from the
 * kernel every PEERS_AGAIN_MS. While the query fails the list is empty, and the reason is logged
 * once. */

#define PEERS_AGAIN_MS 30000u

struct peers {
    struct loop *loop;
    struct timer timer;
    struct wireguard_reader reader;
    char interface[WIREGUARD_NAME]; /* "": none */
    void *work;
    int last; /* result of the last query */
    unsigned last_left_out, last_too_wide;
    /** The list was read, or lost: close connections that are no longer in it. */
    void (*changed)(void *arg);
    void *arg;
};

/** nets: cap of them, the caller's; work: WIREGUARD_WORK bytes that nobody else uses during a turn
 * of the loop. */
void peers_init(struct peers *p, struct loop *loop, struct addr_net *nets, unsigned cap, void *work,
                void (*changed)(void *arg), void *arg);
/** Switch to this interface (null: none) and query it at once. The name is copied. */
void peers_follow(struct peers *p, const char *interface);
bool peers_have(const struct peers *p, const struct addr *peer);

#endif
