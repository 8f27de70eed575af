/* Arbitrary bytes as the kernel's response about a WireGuard interface: two datagrams. */
#include <string.h>

#include "nefia/base/err.h"
#include "nefia/net/wireguard.h"

#define MUST(condition) \
    do { \
        if (!(condition)) \
            __builtin_trap(); \
    } while (0)

enum { NETS = 5 };

/** As the hub, and what the beacon's sensors look at besides. */
static int take(void *arg, const struct wireguard_peer *p)
{
    char text[WIREGUARD_KEY_TEXT];
    volatile unsigned sum = 0;

    if (p) {
        wireguard_key_text(text, wireguard_key(p));
        MUST(wireguard_is_key(text));
        for (unsigned i = 0; i < sizeof p->attributes / sizeof *p->attributes; i++)
            for (size_t n = 0; n < p->attributes[i].len; n++)
                sum += p->attributes[i].ptr[n];
    }
    return wireguard_take_nets(arg, p);
}

static void feed(struct wireguard_dump *d, const unsigned char *data, size_t size)
{
    const struct wireguard_reader *r = d->arg;
    int result = wireguard_feed(d, data, size);

    MUST(result == 0 || result == 1 || result == NEFIA_ESYNTAX ||
         (result == NEFIA_EIO && d->answer.error > 0 && d->answer.error < 4096));
    MUST(r->count <= r->cap);
    for (unsigned i = 0; i < r->count; i++) {
        const struct addr_net *n = &r->nets[i];
        MUST((n->base.family == AF_INET && n->bits >= 8 && n->bits <= 32) ||
             (n->base.family == AF_INET6 && n->bits >= 16 && n->bits <= 128));
        MUST(n->base.port == 0 && n->base.scope == 0);
    }
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);
int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    struct addr_net nets[NETS];
    struct wireguard_reader r = {.nets = nets, .cap = NETS};
    struct wireguard_dump d = {.on_peer = take, .arg = &r, .answer.sequence = 0x01010101};

    if (size < 2)
        return 0;
    d.family = data[0] & 1 ? 0x2020 : 0;
    size_t first = (size_t)data[1] * 4;
    data += 2;
    size -= 2;
    first = first < size ? first : size;
    feed(&d, data, first);
    feed(&d, data + first, size - first);
    return 0;
}
