#include "nefia/hub/seen.h"

#include <bearssl_hash.h>
#include <string.h>

#include "nefia/base/err.h"

_Static_assert(LINK_SPAN % 32 == 0, "a window's bits are whole words");

enum { SPARE_AMONG = 16 }; /* of the oldest hosts, a pinned one is not evicted if another can be */

void seen_init(struct seen *h, struct host *slots, uint32_t *chains, unsigned count)
{
    *h = (struct seen){.slots = slots, .chains = chains, .count = count};
    memset(chains, 0, count * sizeof chains[0]);
}

void host_id_of(uint8_t id[SESSION_HOST], struct slice host_id)
{
    br_sha256_context sha;
    uint8_t sum[br_sha256_SIZE];

    br_sha256_init(&sha);
    br_sha256_update(&sha, host_id.ptr, host_id.len);
    br_sha256_out(&sha, sum);
    memcpy(id, sum, SESSION_HOST);
}

/* ---- The table ---- */

/** Ids are hashes already: any bytes of them serve as table hash. */
static uint32_t *chain_of(const struct seen *h, const uint8_t id[SESSION_HOST])
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

static void touch(struct seen *h, struct host *host)
{
    order_remove(h, host);
    order_append(h, host);
}

static void unlink_host(struct seen *h, struct host *host)
{
    const uint32_t i = (uint32_t)(host - h->slots) + 1;
    uint32_t *link = chain_of(h, host->id);

    while (*link != i)
        link = &h->slots[*link - 1].next;
    *link = host->next;
    order_remove(h, host);
}

static struct host *choose_victim(const struct seen *h)
{
    uint32_t i = h->oldest;

    for (unsigned n = 0; i && n < SPARE_AMONG; n++, i = h->slots[i - 1].newer)
        if (!h->slots[i - 1].pinned)
            return &h->slots[i - 1];
    return &h->slots[h->oldest - 1];
}

/** A slot in no chain and not in the LRU list. */
static struct host *free_slot(struct seen *h)
{
    if (h->free) {
        struct host *host = &h->slots[h->free - 1];
        h->free = host->next;
        h->used++;
        return host;
    }
    if (h->used < h->count)
        return &h->slots[h->used++];
    struct host *host = choose_victim(h);
    unlink_host(h, host);
    h->forgotten++;
    return host;
}

struct host *seen_find(const struct seen *h, const uint8_t id[SESSION_HOST])
{
    for (uint32_t i = *chain_of(h, id); i; i = h->slots[i - 1].next)
        if (memcmp(h->slots[i - 1].id, id, SESSION_HOST) == 0)
            return &h->slots[i - 1];
    return NULL;
}

struct host *seen_get(struct seen *h, const uint8_t id[SESSION_HOST])
{
    struct host *host = seen_find(h, id);

    if (host)
        return host;
    host = free_slot(h);
    uint32_t *chain = chain_of(h, id);
    *host = (struct host){.next = *chain};
    memcpy(host->id, id, SESSION_HOST);
    *chain = (uint32_t)(host - h->slots) + 1;
    order_append(h, host);
    return host;
}

bool seen_forget(struct seen *h, const uint8_t id[SESSION_HOST])
{
    struct host *host = seen_find(h, id);

    if (!host)
        return false;
    unlink_host(h, host);
    *host = (struct host){.next = h->free};
    h->free = (uint32_t)(host - h->slots) + 1;
    h->used--;
    return true;
}

/* ---- Windows ---- */

static int window_of(const struct host *host, uint64_t boot)
{
    for (int i = 0; i < 2; i++)
        if (host->windows[i].kind != WINDOW_FREE && host->windows[i].boot == boot)
            return i;
    return NEFIA_ENOTFOUND;
}

static struct window new_window(enum window_kind kind, uint64_t boot, const uint8_t name[LINK_NAME])
{
    struct window w = {.kind = (uint8_t)kind, .boot = boot};

    if (name)
        memcpy(w.name, name, LINK_NAME);
    return w;
}

static void swap(struct host *host)
{
    const struct window other = host->windows[1];

    host->windows[1] = host->windows[0];
    host->windows[0] = other;
}

/** What an import used may be imported again. */
static void replace(struct host *host, struct window *w, struct window by)
{
    host->import_lost |= w->imported;
    *w = by;
}

/** Another window becomes one of the link; what it has received stays received. */
static void take_over(struct window *w, const uint8_t name[LINK_NAME])
{
    w->kind = WINDOW_LINK;
    memcpy(w->name, name, LINK_NAME);
}

struct hello_found seen_hello(struct seen *h, struct host *host, uint64_t boot,
                              const uint8_t name[LINK_NAME], bool plain)
{
    struct hello_found found = {0};
    struct window *first = &host->windows[0];
    const int i = window_of(host, boot);

    touch(h, host);
    found.known = i >= 0 && host->windows[i].kind == WINDOW_LINK;
    found.returning = i == 1 && found.known && host->windows[1].by_hello && first->by_hello;
    /* The other window is that of the hello before; the older one of plain senders gives way. */
    if (i == 1 || (i < 0 && first->kind == WINDOW_LINK && host->windows[1].kind != WINDOW_IMPORT))
        swap(host);
    if (i < 0)
        replace(host, first, new_window(WINDOW_LINK, boot, name));
    if (first->kind != WINDOW_LINK)
        take_over(first, name);
    first->by_hello = true;
    if (!plain)
        host->pinned = true;
    return found;
}

void seen_unpin(struct host *host)
{
    host->pinned = false;
}

static bool has_bit(const struct window *w, uint64_t seq)
{
    return w->bits[seq / 32 % HOST_WORDS] >> seq % 32 & 1;
}

static enum seen_verdict judge(const struct window *w, uint64_t seq)
{
    if (seq > w->highest)
        return SEEN_NEW;
    if (w->highest - seq >= LINK_SPAN)
        return SEEN_BELOW;
    return has_bit(w, seq) ? SEEN_DUPLICATE : SEEN_NEW;
}

enum seen_verdict seen_judge(const struct host *host, enum window_kind kind, uint64_t boot,
                             uint64_t seq)
{
    const int i = window_of(host, boot);

    if (i >= 0)
        return judge(&host->windows[i], seq);
    if (kind == WINDOW_IMPORT)
        return host->import_lost || host->windows[1].kind == WINDOW_IMPORT ? SEEN_UNREMEMBERED : SEEN_NEW;
    const bool taken = host->windows[0].kind >= WINDOW_LINK && host->windows[1].kind >= WINDOW_LINK;
    return kind == WINDOW_PLAIN && taken ? SEEN_UNREMEMBERED : SEEN_NEW;
}

/** The window of a start that has none yet. Of plain senders the older one goes. */
static struct window *add_window(struct host *host, enum window_kind kind,
                                 const uint8_t name[LINK_NAME], uint64_t boot)
{
    struct window *w = &host->windows[1];

    if (kind != WINDOW_LINK && w->kind != WINDOW_FREE && host->windows[0].kind != WINDOW_LINK) {
        if (w->kind == WINDOW_PLAIN)
            swap(host);
        w = &host->windows[kind == WINDOW_PLAIN && w->kind >= WINDOW_LINK ? 0 : 1];
    }
    replace(host, w, new_window(kind, boot, name));
    return w;
}

/** Clear the bits of seq from..to - 1, at most LINK_SPAN of them. */
static void clear(struct window *w, uint64_t from, uint64_t to)
{
    while (from < to) {
        const unsigned bit = from % 32;
        const uint64_t n = to - from < 32 - bit ? to - from : 32 - bit;
        const uint32_t ones = (uint32_t)((UINT64_C(1) << n) - 1);

        w->bits[from / 32 % HOST_WORDS] &= ~(ones << bit);
        from += n;
    }
}

/** Raise the highest seq, whose bit the caller sets; what was skipped has not been received. */
static void raise(struct window *w, uint64_t seq)
{
    if (seq - w->highest >= LINK_SPAN)
        memset(w->bits, 0, sizeof w->bits);
    else
        clear(w, w->highest + 1, seq);
    w->highest = seq;
}

void seen_take(struct seen *h, struct host *host, enum window_kind kind,
               const uint8_t name[LINK_NAME], uint64_t boot, uint64_t seq)
{
    const int i = window_of(host, boot);
    struct window *w = i >= 0 ? &host->windows[i] : add_window(host, kind, name, boot);

    touch(h, host);
    if (kind == WINDOW_LINK && w->kind != WINDOW_LINK)
        take_over(w, name);
    w->imported |= kind == WINDOW_IMPORT;
    if (seq > w->highest)
        raise(w, seq);
    w->bits[seq / 32 % HOST_WORDS] |= UINT32_C(1) << seq % 32;
}

/* ---- As bytes ---- */

static uint8_t *put_window(uint8_t *p, const struct window *w)
{
    *p++ = w->kind;
    *p++ = (uint8_t)(w->by_hello | w->imported << 1);
    put_be64(p, w->boot);
    put_be64(p + 8, w->highest);
    memcpy(p + 16, w->name, LINK_NAME);
    p += 16 + LINK_NAME;
    for (unsigned i = 0; i < HOST_WORDS; i++, p += 4)
        put_be32(p, w->bits[i]);
    return p;
}

static const uint8_t *get_window(const uint8_t *p, struct window *w)
{
    *w = (struct window){.kind = p[0] > WINDOW_IMPORT ? WINDOW_FREE : p[0], .by_hello = p[1] & 1, .imported = p[1] >> 1 & 1};
    w->boot = get_be64(p + 2);
    w->highest = get_be64(p + 10);
    memcpy(w->name, p + 18, LINK_NAME);
    p += 18 + LINK_NAME;
    for (unsigned i = 0; i < HOST_WORDS; i++, p += 4)
        w->bits[i] = get_be32(p);
    return p;
}

void host_store(const struct host *host, uint8_t out[HOST_BYTES])
{
    memcpy(out, host->id, SESSION_HOST);
    out[SESSION_HOST] = (uint8_t)(host->pinned | host->import_lost << 1);
    put_window(put_window(out + SESSION_HOST + 1, &host->windows[0]), &host->windows[1]);
}

int seen_restore(struct seen *h, const uint8_t *bytes, size_t len)
{
    if (len != HOST_BYTES)
        return NEFIA_EINVAL;
    struct host *host = seen_get(h, bytes);
    touch(h, host);
    host->pinned = bytes[SESSION_HOST] & 1;
    host->import_lost = bytes[SESSION_HOST] >> 1 & 1;
    get_window(get_window(bytes + SESSION_HOST + 1, &host->windows[0]), &host->windows[1]);
    return 0;
}
