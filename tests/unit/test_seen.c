#include "nefia/hub/seen.h"

#include <stdlib.h>

#include "check.h"
#include "nefia/base/bytes.h"
#include "nefia/base/err.h"

enum { COUNT = 4 };

static struct host slots[64];
static uint32_t chains[64];
static struct seen seen;
static struct host *a;

static const uint8_t N1[LINK_NAME] = "name one", N2[LINK_NAME] = "name two",
                     N3[LINK_NAME] = "name 333", NONE[LINK_NAME];

static const uint8_t *id_of(const char *name)
{
    static uint8_t id[SESSION_HOST];

    host_id_of(id, (struct slice){name, strlen(name)});
    return id;
}

static struct host *host_named(const char *name)
{
    return seen_get(&seen, id_of(name));
}

static void begin_with(unsigned count)
{
    memset(slots, 0xA5, sizeof slots);
    memset(chains, 0xA5, sizeof chains);
    seen_init(&seen, slots, chains, count);
}

static void begin(void)
{
    begin_with(COUNT);
    a = host_named("a");
}

/** As the pipeline does it. */
static enum seen_verdict take_as(struct host *host, enum window_kind kind, const uint8_t *name,
                                 uint64_t boot, uint64_t seq)
{
    enum seen_verdict v = seen_judge(host, kind, boot, seq);

    if (v == SEEN_NEW)
        seen_take(&seen, host, kind, name, boot, seq);
    return v;
}

static enum seen_verdict take(uint64_t boot, uint64_t seq)
{
    return take_as(a, WINDOW_LINK, N1, boot, seq);
}

static enum seen_verdict take_plain(uint64_t boot, uint64_t seq)
{
    return take_as(a, WINDOW_PLAIN, NONE, boot, seq);
}

static struct hello_found hello(uint64_t boot, const uint8_t *name)
{
    return seen_hello(&seen, a, boot, name, false);
}

#define CHECK_WINDOW(i, what, start, most, by)                                                     \
    do {                                                                                           \
        CHECK_INT(a->windows[i].kind, what);                                                       \
        CHECK(a->windows[i].boot == (start));                                                      \
        CHECK(a->windows[i].highest == (most));                                                    \
        CHECK_MEM(a->windows[i].name, by, LINK_NAME);                                              \
    } while (0)

/* ---- One window ---- */

TEST(accepts_each_once)
{
    begin();
    hello(1, N1);
    for (uint64_t seq = 0; seq < 1000; seq++) {
        CHECK_INT(take(1, seq), SEEN_NEW);
        CHECK_INT(take(1, seq), SEEN_DUPLICATE);
    }
    for (uint64_t seq = 0; seq < 1000; seq++)
        CHECK_INT(take(1, seq), seq < 1000 - LINK_SPAN ? SEEN_BELOW : SEEN_DUPLICATE);
}

TEST(accepts_out_of_order_within_the_span)
{
    begin();
    hello(1, N1);
    CHECK_INT(take(1, 1000 + LINK_SPAN - 1), SEEN_NEW);
    for (uint64_t seq = 1000 + LINK_SPAN - 2; seq >= 1000; seq--) {
        CHECK_INT(take(1, seq), SEEN_NEW);
        CHECK_INT(take(1, seq), SEEN_DUPLICATE);
    }
    CHECK_INT(take(1, 999), SEEN_BELOW);
    CHECK_INT(take(1, 0), SEEN_BELOW);
    CHECK_INT(a->windows[0].highest, 1000 + LINK_SPAN - 1); /* what is refused moves nothing */
}

TEST(moves_by_every_distance)
{
    for (uint64_t by = 1; by <= LINK_SPAN + 33; by++) {
        const uint64_t top = LINK_SPAN - 1 + by;

        begin();
        hello(1, N1);
        CHECK_INT(take(1, LINK_SPAN - 1), SEEN_NEW);
        for (uint64_t seq = 0; seq < LINK_SPAN - 1; seq += seq % 3 + 1)
            CHECK_INT(take(1, seq), SEEN_NEW);
        CHECK_INT(take(1, top), SEEN_NEW);
        CHECK_INT(take(1, top - LINK_SPAN), SEEN_BELOW);
        /* Received events still count as received, and no others. */
        for (uint64_t seq = top - LINK_SPAN + 1, next = 0; seq < top; seq++) {
            while (next < seq)
                next += next % 3 + 1;
            const bool had = seq == LINK_SPAN - 1 || (seq == next && seq < LINK_SPAN);
            CHECK_INT(take(1, seq), had ? SEEN_DUPLICATE : SEEN_NEW);
        }
    }
}

TEST(the_ends_of_the_numbers)
{
    begin();
    hello(5, N1);
    CHECK_INT(take(5, 0), SEEN_NEW);
    CHECK_INT(take(5, 0), SEEN_DUPLICATE);
    CHECK_INT(take(5, UINT64_MAX), SEEN_NEW);
    CHECK_INT(take(5, UINT64_MAX), SEEN_DUPLICATE);
    CHECK_INT(take(5, UINT64_MAX - LINK_SPAN + 1), SEEN_NEW);
    CHECK_INT(take(5, UINT64_MAX - LINK_SPAN), SEEN_BELOW);
    CHECK_INT(take(0, UINT64_MAX), SEEN_NEW);
    CHECK_INT(take(0, UINT64_MAX - 1), SEEN_NEW);
    CHECK_INT(take(1, UINT64_MAX - 10 - LINK_SPAN + 1), SEEN_NEW);
    CHECK_INT(take(1, UINT64_MAX - 10), SEEN_NEW);
    CHECK_INT(take(1, UINT64_MAX), SEEN_NEW);
    CHECK_INT(take(1, UINT64_MAX - 9), SEEN_NEW); /* where the first one was */
    CHECK_INT(take(UINT64_MAX, 0), SEEN_NEW);
    CHECK_INT(take(UINT64_MAX, UINT64_MAX), SEEN_NEW);
    CHECK_INT(take(5, UINT64_MAX), SEEN_DUPLICATE); /* the hello's start is never displaced */
}

/* ---- Hellos ---- */

TEST(a_hello_makes_the_first_window)
{
    begin();
    struct hello_found f = hello(7, N1);
    CHECK(!f.known && !f.returning);
    CHECK_WINDOW(0, WINDOW_LINK, 7, 0, N1);
    CHECK_INT(a->windows[1].kind, WINDOW_FREE);
    CHECK_INT(take(7, 41), SEEN_NEW);
    f = hello(7, N2); /* a later session of the same start: the window keeps its name */
    CHECK(f.known && !f.returning);
    CHECK_WINDOW(0, WINDOW_LINK, 7, 41, N1);
    CHECK_INT(take(7, 41), SEEN_DUPLICATE);
}

TEST(a_hello_keeps_one_other_window)
{
    begin();
    hello(7, N1);
    take(7, 41);
    CHECK(!hello(8, N2).known);
    CHECK_WINDOW(0, WINDOW_LINK, 8, 0, N2);
    CHECK_WINDOW(1, WINDOW_LINK, 7, 41, N1);
    CHECK_INT(take(7, 41), SEEN_DUPLICATE);
    CHECK(!hello(9, N3).known);
    CHECK_WINDOW(0, WINDOW_LINK, 9, 0, N3);
    CHECK_WINDOW(1, WINDOW_LINK, 8, 0, N2);
}

/** A window made anew has another name: only so does the beacon notice that it was forgotten. */
TEST(a_window_made_anew_has_another_name)
{
    begin();
    hello(6, N1);
    take(6, 1);
    hello(7, N2);
    hello(8, N3);
    CHECK_INT(take_as(a, WINDOW_LINK, N3, 6, 2), SEEN_NEW); /* an earlier start's event, in this session */
    CHECK_WINDOW(0, WINDOW_LINK, 8, 0, N3);
    CHECK_WINDOW(1, WINDOW_LINK, 6, 2, N3);
    CHECK_INT(take_as(a, WINDOW_LINK, N2, 6, 1), SEEN_NEW); /* the name stays the first one's */
    CHECK_WINDOW(1, WINDOW_LINK, 6, 2, N3);
}

TEST(an_event_never_displaces_the_start_of_the_hello)
{
    begin();
    hello(8, N1);
    for (uint64_t boot = 20; boot < 40; boot++) {
        CHECK_INT(take(boot, 1), SEEN_NEW);
        CHECK_INT(take(boot, 1), SEEN_DUPLICATE);
        CHECK_INT(a->windows[0].boot, 8);
        CHECK(!a->windows[1].by_hello);
    }
}

TEST(a_start_that_comes_back_is_reported)
{
    begin();
    hello(7, N1);
    CHECK(!hello(8, N2).returning);
    struct hello_found f = hello(7, N3); /* 7, 8, 7: both live */
    CHECK(f.known && f.returning);
    CHECK_WINDOW(0, WINDOW_LINK, 7, 0, N1);
    CHECK_WINDOW(1, WINDOW_LINK, 8, 0, N2);
    CHECK(hello(8, N1).returning);
    CHECK(!hello(8, N1).returning);
    CHECK(!hello(9, N1).returning);
}

/** An earlier start's events, and then a hello of it: nothing unusual was seen of that start. */
TEST(a_start_known_by_its_events_only_is_not_reported)
{
    begin();
    hello(8, N1);
    take(7, 1);
    struct hello_found f = hello(7, N2);
    CHECK(f.known && !f.returning);
    CHECK_WINDOW(0, WINDOW_LINK, 7, 1, N1);
    CHECK(hello(8, N3).returning); /* but now it is */
}

TEST(a_hello_pins)
{
    begin();
    seen_hello(&seen, a, 1, N1, true);
    CHECK(!a->pinned);
    seen_hello(&seen, a, 1, N1, false);
    CHECK(a->pinned);
    seen_hello(&seen, a, 1, N1, true); /* may be an old one */
    CHECK(a->pinned);
    seen_unpin(a);
    CHECK(!a->pinned);
}

/* ---- Plain senders ---- */

TEST(plain_senders_have_two_windows)
{
    begin();
    for (uint64_t seq = 0; seq < 300; seq++) {
        CHECK_INT(take_plain(7, seq), SEEN_NEW);
        CHECK_INT(take_plain(8, seq), SEEN_NEW);
        CHECK_INT(take_plain(7, seq), SEEN_DUPLICATE);
        CHECK_INT(take_plain(8, seq), SEEN_DUPLICATE);
    }
    CHECK_INT(take_plain(7, 299 - LINK_SPAN), SEEN_BELOW); /* unknown, not "had" */
    CHECK_INT(take_plain(9, 3), SEEN_NEW); /* in place of the older */
    CHECK_INT(take_plain(8, 299), SEEN_DUPLICATE);
    CHECK_INT(take_plain(9, 3), SEEN_DUPLICATE);
    CHECK_INT(take_plain(7, 299), SEEN_NEW);
}

TEST(plain_windows_never_displace_link_windows)
{
    begin();
    hello(7, N1);
    take(7, 41);
    CHECK_INT(take_plain(20, 1), SEEN_NEW); /* windows[1] is free */
    CHECK_INT(take_plain(20, 1), SEEN_DUPLICATE);
    CHECK_INT(take_plain(21, 1), SEEN_NEW);
    CHECK_WINDOW(0, WINDOW_LINK, 7, 41, N1);
    CHECK_WINDOW(1, WINDOW_PLAIN, 21, 1, NONE);
    hello(8, N2); /* and gives way */
    CHECK_WINDOW(0, WINDOW_LINK, 8, 0, N2);
    CHECK_WINDOW(1, WINDOW_LINK, 7, 41, N1);
    for (int i = 0; i < 3; i++)
        CHECK_INT(take_plain(22, 1), SEEN_UNREMEMBERED);
    CHECK_INT(take_plain(7, 41), SEEN_DUPLICATE); /* but what the link has received counts */
    CHECK_WINDOW(0, WINDOW_LINK, 8, 0, N2);
    CHECK_WINDOW(1, WINDOW_LINK, 7, 41, N1);
}

TEST(a_hello_takes_over_the_plain_window_of_its_start)
{
    begin();
    take_plain(6, 3);
    take_plain(7, 5);
    CHECK(!hello(7, N1).known); /* a window without a name is not one that the beacon could rely on */
    CHECK_WINDOW(0, WINDOW_LINK, 7, 5, N1);
    CHECK_INT(take(7, 5), SEEN_DUPLICATE);
    CHECK(hello(7, N2).known);
}

TEST(a_hello_keeps_the_newer_plain_window)
{
    begin();
    take_plain(5, 1);
    take_plain(6, 1);
    hello(7, N1);
    CHECK_INT(take_plain(6, 1), SEEN_DUPLICATE);
    CHECK_INT(take_plain(5, 1), SEEN_NEW); /* in its place: there is one beside the link's */
}

TEST(an_event_takes_over_the_plain_window_of_its_start)
{
    begin();
    hello(8, N1);
    CHECK_INT(take_plain(6, 3), SEEN_NEW);
    CHECK_INT(take_as(a, WINDOW_LINK, N2, 6, 4), SEEN_NEW);
    CHECK_WINDOW(1, WINDOW_LINK, 6, 4, N2);
    CHECK_INT(take_plain(5, 1), SEEN_UNREMEMBERED); /* which is not displaced from now on */
    CHECK_INT(take_as(a, WINDOW_LINK, N2, 6, 3), SEEN_DUPLICATE);
}

/* ---- The table ---- */

static enum seen_verdict take_of(const char *name)
{
    return take_as(host_named(name), WINDOW_PLAIN, NONE, 1, 1);
}

TEST(least_recently_seen_host_is_evicted)
{
    static const char *const names[] = {"a", "b", "c", "d"};

    begin();
    for (unsigned i = 0; i < COUNT; i++)
        CHECK_INT(take_of(names[i]), SEEN_NEW);
    CHECK_INT(take_of("b"), SEEN_DUPLICATE);
    CHECK_INT(take_as(host_named("a"), WINDOW_PLAIN, NONE, 1, 2), SEEN_NEW); /* b is the oldest now */
    CHECK_INT(seen.forgotten, 0);
    CHECK_INT(take_of("e"), SEEN_NEW);
    CHECK_INT(seen.forgotten, 1);
    CHECK(!seen_find(&seen, id_of("b")));
    CHECK_INT(take_of("a"), SEEN_DUPLICATE);
    CHECK_INT(take_of("c"), SEEN_DUPLICATE);
    CHECK_INT(take_of("d"), SEEN_DUPLICATE);
    CHECK_INT(take_of("e"), SEEN_DUPLICATE);
    CHECK_INT(take_of("b"), SEEN_NEW); /* replaces c */
    CHECK(!seen_find(&seen, id_of("c")));
    CHECK_INT(seen.forgotten, 2);
    CHECK_INT(seen.used, COUNT);
}

TEST(a_hello_counts_as_seen)
{
    begin();
    host_named("b");
    host_named("c");
    host_named("d");
    hello(1, N1);
    host_named("e");
    CHECK(seen_find(&seen, id_of("a")) == a);
    CHECK(!seen_find(&seen, id_of("b")));
}

TEST(pinned_hosts_are_spared)
{
    begin();
    hello(1, N1);
    for (char name[] = "b"; name[0] < 'z'; name[0]++) /* a flood of names */
        take_of(name);
    CHECK(seen_find(&seen, id_of("a")) == a);
    CHECK_INT(take(1, 1), SEEN_NEW);
}

/** Sparing is bounded: it looks at sixteen only. */
TEST(a_pinned_host_goes_when_all_the_oldest_are_pinned)
{
    char name[] = "pA";

    begin_with(20);
    for (unsigned i = 0; i < 20; i++, name[1]++)
        seen_hello(&seen, host_named(name), 1, N1, i == 18); /* the 19th is not pinned */
    host_named("one more");
    CHECK(!seen_find(&seen, id_of("pA")));
    CHECK(seen_find(&seen, id_of("pS")) != NULL);
    host_named("two more");
    CHECK(!seen_find(&seen, id_of("pB")));
    host_named("three more");
    CHECK(!seen_find(&seen, id_of("pC")));
    host_named("four more"); /* now it is among the sixteen oldest */
    CHECK(!seen_find(&seen, id_of("pS")));
    CHECK(seen_find(&seen, id_of("pD")) != NULL);
}

TEST(a_table_of_one)
{
    begin_with(1);
    a = host_named("a");
    CHECK_INT(take_plain(1, 1), SEEN_NEW);
    CHECK(host_named("a") == a);
    CHECK_INT(take_plain(1, 1), SEEN_DUPLICATE);
    CHECK_INT(take_of("b"), SEEN_NEW);
    CHECK_INT(seen.forgotten, 1);
    a = host_named("a");
    CHECK_INT(take_plain(1, 1), SEEN_NEW);
    CHECK(seen_forget(&seen, id_of("a")));
    CHECK_INT(seen.oldest, 0);
    CHECK_INT(seen.newest, 0);
}

TEST(a_forgotten_host_is_gone)
{
    uint8_t b[SESSION_HOST];

    begin();
    memcpy(b, id_of("b"), sizeof b);
    hello(1, N1);
    take(1, 1);
    host_named("b");
    host_named("c");
    CHECK(!seen_forget(&seen, id_of("nobody")));
    CHECK(seen_forget(&seen, id_of("a")));
    CHECK(!seen_find(&seen, id_of("a")));
    CHECK_INT(seen.used, 2);
    CHECK(seen_forget(&seen, b));
    CHECK(!seen_forget(&seen, b));
    CHECK_INT(seen.used, 1);
    /* Its slot is used again before anything is evicted. */
    host_named("d");
    host_named("e");
    host_named("f");
    CHECK_INT(seen.used, COUNT);
    CHECK_INT(seen.forgotten, 0);
    CHECK(seen_find(&seen, id_of("c")) && seen_find(&seen, id_of("f")));
    a = host_named("a");
    CHECK_INT(seen.forgotten, 1);
    CHECK(!seen_find(&seen, id_of("c")));
    CHECK(!a->pinned);
    CHECK_INT(take(1, 1), SEEN_NEW);
}

TEST(ids_are_sha256)
{
    uint8_t id[SESSION_HOST];

    host_id_of(id, (struct slice){"abc", 3}); /* FIPS 180-4, example */
    CHECK_MEM(id, "\xba\x78\x16\xbf\x8f\x01\xcf\xea\x41\x41\x40\xde\x5d\xae\x22\x23", SESSION_HOST);
}

/* ---- As bytes ---- */

static unsigned store_all(uint8_t out[][HOST_BYTES])
{
    unsigned n = 0;

    for (uint32_t i = seen.oldest; i; i = slots[i - 1].newer)
        host_store(&slots[i - 1], out[n++]);
    return n;
}

TEST(round_trips_through_bytes)
{
    static uint8_t bytes[COUNT][HOST_BYTES], again[COUNT][HOST_BYTES];

    begin();
    seen_hello(&seen, host_named("b"), 3, N2, true);
    take_as(host_named("b"), WINDOW_LINK, N3, 4, 700);
    take_as(host_named("b"), WINDOW_LINK, N3, 4, 690);
    hello(0x0102030405060708, N1);
    take(0x0102030405060708, 0xFFFEFDFC00000010);
    CHECK_INT(store_all(bytes), 2);
    const uint8_t *p = bytes[1] + SESSION_HOST; /* the one seen last */
    CHECK_MEM(p, "\1\2\1\1\2\3\4\5\6\7\10\xFF\xFE\xFD\xFC\0\0\0\x10name one", 3 + 16 + LINK_NAME);
    CHECK_INT(get_be32(p + 3 + 16 + LINK_NAME), 1 << 16); /* 0x10 is bit 16 of the first word */
    begin();
    CHECK(seen_forget(&seen, id_of("a")));
    for (unsigned i = 0; i < 2; i++)
        CHECK_INT(seen_restore(&seen, bytes[i], HOST_BYTES), 0);
    CHECK_INT(store_all(again), 2);
    CHECK_MEM(again, bytes, 2 * sizeof bytes[0]);
    a = host_named("a");
    CHECK(a->pinned && !host_named("b")->pinned);
    CHECK_INT(take(0x0102030405060708, 0xFFFEFDFC00000010), SEEN_DUPLICATE);
    CHECK_WINDOW(0, WINDOW_LINK, 0x0102030405060708, 0xFFFEFDFC00000010, N1);
    /* Restoring over existing entries gives the same. */
    for (unsigned i = 0; i < 2; i++)
        CHECK_INT(seen_restore(&seen, bytes[i], HOST_BYTES), 0);
    CHECK_INT(store_all(again), 2);
    CHECK_MEM(again, bytes, 2 * sizeof bytes[0]);
}

TEST(malformed_bytes_are_refused)
{
    uint8_t bytes[HOST_BYTES + 1] = {0};

    begin();
    hello(1, N1);
    host_store(a, bytes);
    CHECK_INT(seen_restore(&seen, bytes, HOST_BYTES - 1), NEFIA_EINVAL);
    CHECK_INT(seen_restore(&seen, bytes, HOST_BYTES + 1), NEFIA_EINVAL);
    CHECK_INT(seen_restore(&seen, bytes, 0), NEFIA_EINVAL);
    CHECK_WINDOW(0, WINDOW_LINK, 1, 0, N1);
    bytes[SESSION_HOST + 1] = WINDOW_IMPORT + 1; /* no such kind */
    CHECK_INT(seen_restore(&seen, bytes, HOST_BYTES), 0);
    CHECK_INT(a->windows[0].kind, WINDOW_FREE);
}

/* ---- Against a plain model, and through the journal's records ---- */

enum { MODEL_HOSTS = 7, MODEL_BOOTS = 4, MODEL_SEQS = 3000, STEPS = 200000 };

struct model_window {
    enum window_kind kind;
    uint64_t boot, highest, made;
    uint8_t name;
    bool had[MODEL_SEQS];
};
static struct model_host {
    uint64_t seen_at; /* 0: not in the table */
    bool pinned;
    struct model_window current, other; /* current: of the last hello */
} model[MODEL_HOSTS];
static uint64_t model_clock, model_forgotten;
static uint32_t seed;

static uint32_t random_below(uint32_t n)
{
    seed = seed * 1664525 + 1013904223;
    return (uint32_t)((uint64_t)seed * n >> 32);
}

static void model_enter(struct model_host *m)
{
    struct model_host *oldest = NULL, *loose = NULL;
    unsigned in = 0;

    if (m->seen_at)
        return;
    for (unsigned i = 0; i < MODEL_HOSTS; i++) {
        struct model_host *o = &model[i];
        in += o->seen_at > 0;
        if (o->seen_at && (!oldest || o->seen_at < oldest->seen_at))
            oldest = o;
        if (o->seen_at && !o->pinned && (!loose || o->seen_at < loose->seen_at))
            loose = o;
    }
    struct model_host *victim = loose ? loose : oldest;
    if (in == COUNT && victim) {
        memset(victim, 0, sizeof *victim);
        model_forgotten++;
    }
    m->seen_at = ++model_clock;
}

static struct model_window *model_find(struct model_host *m, uint64_t boot)
{
    if (m->current.kind && m->current.boot == boot)
        return &m->current;
    return m->other.kind && m->other.boot == boot ? &m->other : NULL;
}

static void model_make(struct model_window *w, enum window_kind kind, uint8_t name, uint64_t boot)
{
    memset(w, 0, sizeof *w);
    w->kind = kind;
    w->name = name;
    w->boot = boot;
    w->made = ++model_clock;
}

static enum seen_verdict model_take(struct model_host *m, enum window_kind kind, uint8_t name,
                                    uint64_t boot, uint64_t seq)
{
    struct model_window *w = model_find(m, boot);

    if (w && seq + LINK_SPAN <= w->highest)
        return SEEN_BELOW;
    if (w && w->had[seq])
        return SEEN_DUPLICATE;
    if (!w && kind == WINDOW_PLAIN && m->current.kind == WINDOW_LINK && m->other.kind == WINDOW_LINK)
        return SEEN_UNREMEMBERED;
    m->seen_at = ++model_clock;
    if (!w) {
        w = &m->other;
        if (m->current.kind != WINDOW_LINK && m->current.made < m->other.made)
            w = &m->current;
        model_make(w, kind, name, boot);
    }
    if (w->kind == WINDOW_PLAIN && kind == WINDOW_LINK) {
        w->kind = kind;
        w->name = name;
    }
    if (seq > w->highest)
        w->highest = seq;
    w->had[seq] = true;
    return SEEN_NEW;
}

static bool model_hello(struct model_host *m, uint8_t name, uint64_t boot, bool plain)
{
    static struct model_window spare;
    struct model_window *w = model_find(m, boot);
    const bool known = w && w->kind == WINDOW_LINK;

    m->seen_at = ++model_clock;
    if (w == &m->other) {
        spare = m->current;
        m->current = m->other;
        m->other = spare;
    } else if (!w) {
        if (m->current.kind == WINDOW_LINK ||
            (m->other.kind != WINDOW_LINK && m->current.made > m->other.made))
            m->other = m->current;
        model_make(&m->current, WINDOW_LINK, name, boot);
    }
    if (m->current.kind == WINDOW_PLAIN) {
        m->current.kind = WINDOW_LINK;
        m->current.name = name;
    }
    m->pinned |= !plain;
    return known;
}

/** What the journal says of one step; replayed into a second table. */
static struct seen twin;
static struct host twin_slots[COUNT];
static uint32_t twin_chains[COUNT];

static bool same_tables(void)
{
    uint8_t x[HOST_BYTES], y[HOST_BYTES];
    uint32_t i = seen.oldest, k = twin.oldest;

    for (; i && k; i = slots[i - 1].newer, k = twin_slots[k - 1].newer) {
        host_store(&slots[i - 1], x);
        host_store(&twin_slots[k - 1], y);
        if (memcmp(x, y, sizeof x) != 0)
            return false;
    }
    return i == k && seen.forgotten == twin.forgotten;
}

static bool step_event(unsigned who, uint64_t boot, uint64_t seq, uint8_t name)
{
    const uint8_t names[LINK_NAME] = {name}, *id = id_of((char[]){(char)('a' + (int)who), '\0'});
    struct host *host = seen_get(&seen, id);
    const enum window_kind kind = host->windows[0].kind == WINDOW_LINK && random_below(4)
                                      ? WINDOW_LINK
                                      : WINDOW_PLAIN;

    model_enter(&model[who]);
    (void)seen_get(&twin, id);
    const enum seen_verdict v = take_as(host, kind, names, boot, seq);
    if (v == SEEN_NEW)
        seen_take(&twin, seen_get(&twin, id), kind, names, boot, seq);
    return v == model_take(&model[who], kind, name, boot, seq);
}

static bool step_hello(unsigned who, uint64_t boot, uint8_t name)
{
    const uint8_t names[LINK_NAME] = {name}, *id = id_of((char[]){(char)('a' + (int)who), '\0'});
    const bool plain = random_below(2);

    model_enter(&model[who]);
    const bool known = seen_hello(&seen, seen_get(&seen, id), boot, names, plain).known;
    seen_hello(&twin, seen_get(&twin, id), boot, names, plain);
    return known == model_hello(&model[who], name, boot, plain);
}

static bool step_forget(unsigned who)
{
    const uint8_t *id = id_of((char[]){(char)('a' + (int)who), '\0'});
    const bool had = model[who].seen_at != 0;

    memset(&model[who], 0, sizeof model[who]);
    seen_forget(&twin, id);
    return seen_forget(&seen, id) == had;
}

/** All of it as the journal copies it, and back. */
static void through_bytes(void)
{
    static uint8_t bytes[COUNT][HOST_BYTES];
    const uint64_t forgotten = seen.forgotten;
    const unsigned n = store_all(bytes);

    begin_with(COUNT);
    for (unsigned i = 0; i < n; i++)
        CHECK_INT(seen_restore(&seen, bytes[i], HOST_BYTES), 0);
    seen.forgotten += forgotten;
}

TEST(agrees_with_the_model)
{
    static const uint64_t boots[MODEL_BOOTS] = {0, 5, UINT64_C(1) << 52, UINT64_MAX};
    static uint64_t top[MODEL_HOSTS][MODEL_BOOTS];
    unsigned same = 0;

    begin_with(COUNT);
    seen_init(&twin, twin_slots, twin_chains, COUNT);
    seed = 1;
    for (unsigned step = 0; step < STEPS; step++) {
        const unsigned who = random_below(random_below(20) ? COUNT : MODEL_HOSTS);
        const unsigned boot = random_below(random_below(20) ? 2 : MODEL_BOOTS);
        const uint8_t name = (uint8_t)(1 + random_below(200));
        uint64_t *t = &top[who][boot], seq = *t + random_below(4);
        if (random_below(3) == 0)
            seq = *t - random_below(LINK_SPAN + 20);
        if (random_below(200) == 0)
            seq = *t + random_below(2 * LINK_SPAN);
        if (seq >= MODEL_SEQS)
            seq = *t = random_below(2);
        if (seq > *t)
            *t = seq;
        if (random_below(50) == 0)
            same += step_hello(who, boots[boot], name);
        else if (random_below(2000) == 0)
            same += step_forget(who);
        else
            same += step_event(who, boots[boot], seq, name);
        if (random_below(1000) == 0)
            through_bytes();
    }
    CHECK_INT(same, STEPS);
    CHECK_INT(seen.forgotten, model_forgotten);
    CHECK(model_forgotten > 100);
    CHECK(same_tables());
}

/* ---- Imports ---- */

static enum seen_verdict take_import(uint64_t boot, uint64_t seq)
{
    return take_as(a, WINDOW_IMPORT, NONE, boot, seq);
}

TEST(an_import_goes_into_the_window_of_its_start)
{
    begin();
    hello(7, N1);
    CHECK_INT(take(7, 1), SEEN_NEW);
    CHECK_INT(take_import(7, 1), SEEN_DUPLICATE);
    CHECK_INT(take_import(7, 2), SEEN_NEW);
    CHECK_INT(take(7, 2), SEEN_DUPLICATE);
    CHECK_WINDOW(0, WINDOW_LINK, 7, 2, N1);
    CHECK_INT(a->windows[1].kind, WINDOW_FREE);
}

TEST(an_import_of_another_start_keeps_that_of_the_hello)
{
    begin();
    hello(6, N1);
    hello(7, N2);
    CHECK_INT(take_import(8, 1), SEEN_NEW);
    CHECK_INT(take_import(8, 1), SEEN_DUPLICATE);
    CHECK_WINDOW(0, WINDOW_LINK, 7, 0, N2);
    CHECK_WINDOW(1, WINDOW_IMPORT, 8, 1, NONE);
    /* There is room for one such start only: of others it cannot be remembered that they were imported. */
    CHECK_INT(take_import(9, 1), SEEN_UNREMEMBERED);
    CHECK_INT(take_import(6, 1), SEEN_UNREMEMBERED);
    CHECK_INT(take_import(8, 1), SEEN_DUPLICATE);
}

TEST(a_hello_does_not_displace_an_import)
{
    begin();
    hello(6, N1);
    CHECK_INT(take_import(7, 1), SEEN_NEW);
    struct hello_found f = hello(8, N2);
    CHECK(!f.known && !f.returning);
    CHECK_WINDOW(0, WINDOW_LINK, 8, 0, N2);
    CHECK_INT(take_import(7, 1), SEEN_DUPLICATE);
    CHECK_INT(take(7, 1), SEEN_DUPLICATE); /* as the device delivers it */
    f = hello(7, N3);                      /* the start itself: the window is one of the link now */
    CHECK(!f.known);
    CHECK_WINDOW(0, WINDOW_LINK, 7, 1, N3);
    CHECK_WINDOW(1, WINDOW_LINK, 8, 0, N2);
    CHECK_INT(take(7, 1), SEEN_DUPLICATE);
}

/** Whichever way the window of an imported start goes, what is imported again is never taken for new. */
TEST(an_import_that_is_forgotten_is_unsure)
{
    uint8_t bytes[HOST_BYTES];

    begin();
    hello(7, N1);
    CHECK_INT(take_import(5, 1), SEEN_NEW);
    CHECK_INT(take(5, 1), SEEN_DUPLICATE);
    CHECK_INT(take(5, 2), SEEN_NEW); /* it is the link's now */
    CHECK_INT(take(6, 1), SEEN_NEW); /* and goes */
    CHECK_INT(take_import(5, 1), SEEN_UNREMEMBERED);
    host_store(a, bytes);
    begin();
    CHECK_INT(seen_restore(&seen, bytes, sizeof bytes), 0);
    CHECK_INT(take_import(5, 1), SEEN_UNREMEMBERED); /* nor after a restart of the hub */

    begin(); /* by a hello, of a start that was the link's before the import */
    hello(7, N1);
    CHECK_INT(take_import(7, 1), SEEN_NEW);
    hello(8, N2);
    hello(9, N3);
    CHECK_INT(take_import(7, 1), SEEN_UNREMEMBERED);

    begin(); /* without an import, a start that the hub does not know is new */
    hello(7, N1);
    hello(8, N2);
    hello(9, N3);
    CHECK_INT(take_import(7, 1), SEEN_NEW);
}

TEST(an_event_takes_over_the_import_of_its_start)
{
    begin();
    hello(6, N1);
    CHECK_INT(take_import(5, 1), SEEN_NEW);
    CHECK_INT(take_as(a, WINDOW_LINK, N2, 5, 2), SEEN_NEW);
    CHECK_WINDOW(1, WINDOW_LINK, 5, 2, N2);
    CHECK_INT(take(5, 1), SEEN_DUPLICATE);
    CHECK_INT(take_import(4, 1), SEEN_NEW); /* it has the place of that */
    CHECK_WINDOW(1, WINDOW_IMPORT, 4, 1, NONE);
}

TEST(an_import_of_a_host_that_is_new_or_plain)
{
    begin();
    CHECK_INT(take_import(5, 1), SEEN_NEW);
    CHECK_INT(take_plain(6, 1), SEEN_NEW);
    CHECK_INT(take_plain(7, 1), SEEN_NEW);
    CHECK_INT(take_import(5, 1), SEEN_DUPLICATE);
    begin();
    CHECK_INT(take_plain(6, 1), SEEN_NEW);
    CHECK_INT(take_plain(7, 1), SEEN_NEW);
    CHECK_INT(take_import(5, 1), SEEN_NEW);
    CHECK_INT(take_plain(7, 1), SEEN_DUPLICATE); /* the newer one */
    CHECK_INT(take_import(5, 1), SEEN_DUPLICATE);
}

TEST(imports_round_trip_through_bytes)
{
    uint8_t bytes[HOST_BYTES];

    begin();
    hello(6, N1);
    CHECK_INT(take_import(5, 9), SEEN_NEW);
    host_store(a, bytes);
    begin_with(COUNT);
    CHECK_INT(seen_restore(&seen, bytes, sizeof bytes), 0);
    a = host_named("a");
    CHECK_WINDOW(1, WINDOW_IMPORT, 5, 9, NONE);
    CHECK_INT(take_import(5, 9), SEEN_DUPLICATE);
}

TEST_MAIN(an_import_goes_into_the_window_of_its_start, an_import_of_another_start_keeps_that_of_the_hello,
          a_hello_does_not_displace_an_import,
          an_import_that_is_forgotten_is_unsure, an_event_takes_over_the_import_of_its_start,
          an_import_of_a_host_that_is_new_or_plain, imports_round_trip_through_bytes, accepts_each_once, accepts_out_of_order_within_the_span, moves_by_every_distance,
          the_ends_of_the_numbers, a_hello_makes_the_first_window, a_hello_keeps_one_other_window,
          a_window_made_anew_has_another_name, an_event_never_displaces_the_start_of_the_hello,
          a_start_that_comes_back_is_reported, a_start_known_by_its_events_only_is_not_reported,
          a_hello_pins, plain_senders_have_two_windows, plain_windows_never_displace_link_windows,
          a_hello_takes_over_the_plain_window_of_its_start,
          a_hello_keeps_the_newer_plain_window,
          an_event_takes_over_the_plain_window_of_its_start, least_recently_seen_host_is_evicted,
          a_hello_counts_as_seen, pinned_hosts_are_spared,
          a_pinned_host_goes_when_all_the_oldest_are_pinned, a_table_of_one,
          a_forgotten_host_is_gone, ids_are_sha256, round_trips_through_bytes,
          malformed_bytes_are_refused, agrees_with_the_model)
