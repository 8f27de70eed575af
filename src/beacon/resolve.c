#include "nefia/net/resolve.h"

#include <string.h>

#include "nefia/beacon/beacon.h"
#include "nefia/base/err.h"

/* Host names in beacons.reactor: resolving blocks, so a child process does it and prints the
 * addresses. */
enum {
    DEADLINE_MS =
        35 * 1000, /* more than resolve() needs for two queries to three dead servers */
    MOST = 4,
};

/** Runs in the child process. */
static int look_up(void *arg)
{
    const char *name = arg;
    char host[ADDR_HOST];
    uint16_t port;
    struct addr found[MOST];
    int n = addr_parse_hostport(name, strlen(name), 9500, host, &port, NULL);

    if (n >= 0)
        n = resolve(host, port, found, MOST);
    for (int i = 0; i < n; i++)
        CLI_OUT(ADDR(&found[i]), "\n");
    if (n < 0)
        CLI_OUT(n == NEFIA_ENOTFOUND ? "host not found" : err_text(n));
    return n > 0 ? 0 : 1;
}

static int parse_lines(const char *s, size_t len, struct addr out[MOST])
{
    int n = 0;

    while (len > 0 && n < MOST) {
        const char *end = memchr(s, '\n', len);
        size_t line = end ? (size_t)(end - s) : len;
        if (addr_parse(&out[n], s, line, 0, NULL) == 0)
            n++;
        line += end != NULL;
        s += line;
        len -= line;
    }
    return n;
}

static void looked_up(void *arg, const struct child_result *r)
{
    struct uplink *u = arg;
    struct beacon *b = u->arg;
    struct addr found[MOST];
    int n = r->exit_code == 0 ? parse_lines(b->resolved, r->output_len, found) : 0;

    b->resolved[r->output_len] = '\0';
    uplink_resolved(u, found, n, r->timed_out ? "timed out" : b->resolved);
}

int beacon_resolve(void *arg, const char *name)
{
    struct beacon *b = arg;
    struct child_spec spec = {
        .run = look_up,
        .run_arg = (void *)(uintptr_t)name, /* only read */
        .output = b->resolved,
        .output_cap = sizeof b->resolved - 1,
        .deadline_ms = DEADLINE_MS,
    };

    child_cancel(&b->children, &b->uplink); /* of an abandoned attempt */
    int slot = child_start(&b->children, &spec, looked_up, &b->uplink);
    return slot < 0 ? slot : 0;
}
