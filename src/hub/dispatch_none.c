/* Without CONFIG_HUB_COMMANDS, in place of dispatch.c: nothing is sent to devices. */
#include "nefia/hub/dispatch.h"

void dispatch_rebind(struct dispatch *d)
{
    (void)d;
}

bool dispatch_turn(struct dispatch *d)
{
    (void)d;
    return false;
}

void dispatch_result(struct dispatch *d, struct session *s, const struct link_result *r)
{
    (void)d, (void)s, (void)r;
}

void dispatch_lost(struct dispatch *d, struct session *s)
{
    (void)d, (void)s;
}

void dispatch_write(struct dispatch *d, struct session *s, struct text *out)
{
    (void)d, (void)s, (void)out;
}
