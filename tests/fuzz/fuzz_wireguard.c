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

static void feed(struct wireguard_reader *r, const unsigned char *data, size_t size)
{
    int result = wireguard_feed(r, data, size);

    MUST(result == 0 || result == 1 || result == NEFIA_ESYNTAX ||
         (result == NEFIA_EIO && r->answer.error > 0 && r->answer.error < 4096));
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
    struct wireguard_reader r = {.nets = nets, .cap = NETS, .answer.sequence = 0x01010101};

    if (size < 2)
        return 0;
    r.family = data[0] & 1 ? 0x2020 : 0;
    size_t first = (size_t)data[1] * 4;
    data += 2;
    size -= 2;
    first = first < size ? first : size;
    feed(&r, data, first);
    feed(&r, data + first, size - first);
    return 0;
}
