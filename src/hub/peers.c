#include "nefia/hub/peers.h"

#include <string.h>

#include "nefia/base/err.h"
#include "nefia/sys/log.h"

void peers_init(struct peers *p, struct loop *loop, struct addr_net *nets, unsigned cap, void *work,
                void (*changed)(void *arg), void *arg)
{
    *p = (struct peers){.loop = loop,
                        .reader = {.nets = nets, .cap = cap},
                        .work = work,
                        .changed = changed,
                        .arg = arg};
}

/** Log changes only, not every half minute. */
static void tell(struct peers *p, int err, const char *why)
{
    const struct wireguard_reader *r = &p->reader;

    if (err < 0 && err != p->last)
        LOG_ERROR("peers_from: no connections accepted from ", p->interface, ": ", why);
    else if (err == 0 && p->last != 0)
        LOG_INFO("peers_from: ", p->interface, " has ", COUNT(r->count, "peer network"));
    if (r->left_out > 0 && r->left_out != p->last_left_out)
        LOG_WARN("peers_from: networks of ", p->interface, " that do not fit: ", DEC(r->left_out),
                 HINTED("", "; raise CONFIG_WIREGUARD_NETS"));
    if (r->too_wide > 0 && r->too_wide != p->last_too_wide)
        LOG_WARN("peers_from: networks of ", p->interface,
                 " that are ignored, too wide to identify a sender (over /8, IPv6 /16): ",
                 DEC(r->too_wide));
    p->last = err;
    p->last_left_out = r->left_out;
    p->last_too_wide = r->too_wide;
}

static void ask(void *arg)
{
    struct peers *p = arg;
    char why_buf[160];
    struct text why;

    text_init(&why, why_buf, sizeof why_buf);
    int err = wireguard_read(&p->reader, p->interface, p->work, &why);
    tell(p, err, why.buf);
    timer_start(p->loop, &p->timer, PEERS_AGAIN_MS, ask, p);
    p->changed(p->arg);
}

void peers_follow(struct peers *p, const char *interface)
{
    struct text name;

    timer_stop(&p->timer);
    p->reader.count = 0;
    p->last = 1; /* any result is a change */
    p->last_left_out = p->last_too_wide = 0;
    text_init(&name, p->interface, sizeof p->interface);
    if (!interface) {
        p->changed(p->arg);
        return;
    }
    text_str(&name, interface);
    ask(p);
}

bool peers_have(const struct peers *p, const struct addr *peer)
{
    for (unsigned i = 0; i < p->reader.count; i++)
        if (addr_net_match(&p->reader.nets[i], peer))
            return true;
    return false;
}
