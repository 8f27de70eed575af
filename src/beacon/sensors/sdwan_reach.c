#include <linux/capability.h>

#include "nefia/base/err.h"
#include "nefia/beacon/tunnel.h"

/* sdwan_reachability: does the hub still answer? */
static const char types[] = "sdwan.hub_unreachable" "\0" "sdwan.hub_recovered";

static const struct field reach_fields[] = {
    TUNNEL_WATCH_FIELDS("hubs", ""),
    {.name = NULL},
};

static int reach_open(void *state, struct config *c, const struct node *n, const char *where)
{
    return tunnel_open(state, c, n, where, reach_fields);
}

static int reach_poll(void *state, struct emitter *out, uint64_t now_ms)
{
    struct tunnel_watch *s = state;
    const int err = tunnel_look(s, out, tunnel_take);
    unsigned seen = 0, left = 0;
    char subject[TUNNEL_SUBJECT];

    (void)now_ms;
    for (unsigned i = 0; i < s->count; i++) {
        seen += s->watched[i].seen;
        left += tunnel_state(s, &s->watched[i]) < TUNNEL_SILENT;
    }
    if (err == 0 || err == NEFIA_ENOTFOUND)
        tunnel_judge(out, types, s->interface, err < 0 ? TUNNEL_MISSING : seen ? NULL : "no_hub");
    for (unsigned i = 0; err == 0 && seen && i < s->count; i++) {
        struct tunnel_watched *hub = &s->watched[i];
        if (tunnel_judge_watched(s, out, subject, types, hub->peer.key, hub, left ? LEVEL_WARNING : LEVEL_CRITICAL))
            emit_end(out);
    }
    return 0;
}

const struct sensor_class sensor_sdwan_reach = {
    SENSOR_NAME("sdwan_reachability", "1m"),
    .list = SENSOR_LIST,
    .fields = reach_fields,
    .state_size = sizeof(struct tunnel_watch),
    .capability = CAP_NET_ADMIN,
    .open = reach_open,
    .start = tunnel_start,
    .poll = reach_poll,
};
