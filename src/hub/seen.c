#include "nefia/hub/seen.h"

#include <bearssl_hash.h>
#include <string.h>

#include "nefia/base/err.h"

_Static_assert(LINK_SPAN % 32 == 0, "a mark's bits are whole words");

void seen_init(struct seen *h, struct host *slots, uint32_t *chains, unsigned count)
{
    *h = (struct seen){.slots = slots, .chains = chains, .count = count};
    memset(chains, 0, count * sizeof chains[0]);
}

void host_id_of(uint8_t id[HOST_ID], struct slice host_id)
{
    br_sha256_context sha;
    uint8_t sum[br_sha256_SIZE];

    br_sha256_init(&sha);
    br_sha256_update(&sha, host_id.ptr, host_id.len);
    br_sha256_out(&sha, sum);
    memcpy(id, sum, HOST_ID);
}

/* ---- The table ---- */

/** Ids are hashes already: any bytes of them serve as table hash. */
static uint32_t *chain_of(struct seen *h, const uint8_t id[HOST_ID])
{
    return &h->chains[get_be32(id) % h->count];
}

/** Unlink from the LRU list. */
static void order_remove(struct seen *h, const struct host *host)
{
    *(host->older ? &h->slots[host->older - 1].newer : &h->oldest) = host->newer;
    *(host->newer ? &h->slots[host->newer - 1].older : &h->newest) = host->older;
}

static void order_append(struct seen *h, struct host *host)
{
    uint32_t i = (uint32_t)(host - h->slots) + 1;

    host->older = h->newest;
    host->newer = 0;
    *(h->newest ? &h->slots[h->newest - 1].newer : &h->oldest) = i;
    h->newest = i;
}

/** A slot in no chain and not in the LRU list. */
static struct host *free_slot(struct seen *h)
{
    if (h->used < h->count)
        return &h->slots[h->used++];
    struct host *host = &h->slots[h->oldest - 1];
    uint32_t *link = chain_of(h, host->id);

    while (*link != h->oldest)
        link = &h->slots[*link - 1].next;
    *link = host->next;
    order_remove(h, host);
    h->forgotten++;
    return host;
}

struct host *seen_get(struct seen *h, const uint8_t id[HOST_ID])
{
    uint32_t *chain = chain_of(h, id);

    for (uint32_t i = *chain; i; i = h->slots[i - 1].next)
        if (memcmp(h->slots[i - 1].id, id, HOST_ID) == 0)
            return &h->slots[i - 1];
    struct host *host = free_slot(h);
    *host = (struct host){.next = *chain};
    memcpy(host->id, id, HOST_ID);
    *chain = (uint32_t)(host - h->slots) + 1;
    order_append(h, host);
    return host;
}

/* ---- Marks ---- */

/** Move the mark of that boot to the front, and its host to the end of the LRU list. */
static struct host_mark *mark_of(struct seen *h, struct host *host, uint64_t boot)
{
    order_remove(h, host);
    order_append(h, host);
    if (host->marks[0].boot == boot)
        return &host->marks[0];
    struct host_mark other = host->marks[1];
    host->marks[1] = host->marks[0];
    host->marks[0] = other.boot == boot ? other : (struct host_mark){.boot = boot};
    return &host->marks[0];
}

/** Advance the base; base > m->base. */
static void move_base(struct host_mark *m, uint64_t base)
{
    uint64_t by = base - m->base;

    m->base = base;
    if (by >= LINK_SPAN) {
        memset(m->bits, 0, sizeof m->bits);
        return;
    }
    unsigned words = (unsigned)by / 32, bits = (unsigned)by % 32;
    for (unsigned i = 0; i < HOST_WORDS; i++) {
        uint64_t pair = i + words < HOST_WORDS ? m->bits[i + words] : 0;

        if (i + words + 1 < HOST_WORDS)
            pair |= (uint64_t)m->bits[i + words + 1] << 32;
        m->bits[i] = (uint32_t)(pair >> bits);
    }
}

/** Query only. */
static bool was_received(const struct host *host, uint64_t boot, uint64_t seq)
{
    for (unsigned k = 0; k < 2; k++) {
        const struct host_mark *m = &host->marks[k];

        if (m->boot != boot)
            continue;
        if (seq < m->base)
            return true;
        uint64_t i = seq - m->base;
        return i < LINK_SPAN && m->bits[i / 32] >> i % 32 & 1;
    }
    return false;
}

bool host_take(struct seen *h, struct host *host, uint64_t boot, uint64_t seq, uint64_t low)
{
    if (was_received(host, boot, seq))
        return false;
    struct host_mark *m = mark_of(h, host, boot);
    if (low > m->base && low <= seq)
        move_base(m, low);
    if (seq - m->base >= LINK_SPAN)
        move_base(m, seq - (LINK_SPAN - 1));
    unsigned i = (unsigned)(seq - m->base);
    m->bits[i / 32] |= UINT32_C(1) << i % 32;
    return true;
}

/* ---- As bytes ---- */

bool host_is_marked(const struct host *host, unsigned mark)
{
    const struct host_mark *m = &host->marks[mark];
    uint32_t any = 0;

    for (unsigned i = 0; i < HOST_WORDS; i++)
        any |= m->bits[i];
    return m->boot || m->base || any;
}

void host_store(const struct host *host, unsigned mark, uint8_t out[HOST_BYTES])
{
    const struct host_mark *m = &host->marks[mark];

    memcpy(out, host->id, HOST_ID);
    put_be64(out + HOST_ID, m->boot);
    put_be64(out + HOST_ID + 8, m->base);
    for (unsigned i = 0; i < HOST_WORDS; i++)
        put_be32(out + HOST_ID + 16 + (size_t)4 * i, m->bits[i]);
}

int seen_restore(struct seen *h, const uint8_t *bytes, size_t len)
{
    uint8_t any = 0;

    for (size_t i = HOST_ID; i < HOST_BYTES && len == HOST_BYTES; i++)
        any |= bytes[i];
    if (!any)
        return NEFIA_EINVAL;
    struct host_mark *m = mark_of(h, seen_get(h, bytes), get_be64(bytes + HOST_ID));
    m->base = get_be64(bytes + HOST_ID + 8);
    for (unsigned i = 0; i < HOST_WORDS; i++)
        m->bits[i] = get_be32(bytes + HOST_ID + 16 + (size_t)4 * i);
    return 0;
}
