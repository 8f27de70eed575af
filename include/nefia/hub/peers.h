#ifndef NEFIA_HUB_PEERS_H
#define NEFIA_HUB_PEERS_H

#include "nefia/sys/loop.h"
#include "nefia/net/wireguard.h"

/** Who may connect besides `peers`: the peers of a WireGuard interface (peers_from), asked of the
 * kernel again every PEERS_AGAIN_MS. While it cannot be asked nobody is in the list, and the log
 * says why, once for each reason. */

#define PEERS_AGAIN_MS 30000u

struct peers {
    struct loop *loop;
    struct timer timer;
    struct wireguard_reader reader;
    char interface[WIREGUARD_NAME]; /* "": none */
    void *work;
    int last; /* how the last question ended */
    unsigned last_left_out, last_too_wide;
    /** The list was read, or lost: close whom it does not have any more. */
    void (*changed)(void *arg);
    void *arg;
};

/** nets: cap of them, the caller's; work: WIREGUARD_WORK bytes that nobody needs between two turns
 * of the loop. */
void peers_init(struct peers *p, struct loop *loop, struct addr_net *nets, unsigned cap, void *work,
                void (*changed)(void *arg), void *arg);
/** From now on this interface (null: none), asked at once. The name is copied. */
void peers_follow(struct peers *p, const char *interface);
bool peers_have(const struct peers *p, const struct addr *peer);

#endif
