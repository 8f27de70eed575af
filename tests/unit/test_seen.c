#include "nefia/hub/seen.h"

#include <stdlib.h>

#include "check.h"
#include "nefia/base/err.h"

enum { COUNT = 4 };

static struct host slots[COUNT];
static uint32_t chains[COUNT];
static struct seen seen;
static struct host *a;

static struct host *host_named(const char *name)
{
    uint8_t id[HOST_ID];

    host_id_of(id, (struct slice){name, strlen(name)});
    return seen_get(&seen, id);
}

static void begin(void)
{
    memset(slots, 0xA5, sizeof slots);
    memset(chains, 0xA5, sizeof chains);
    seen_init(&seen, slots, chains, COUNT);
    a = host_named("a");
}

static bool take(uint64_t boot, uint64_t seq, uint64_t low)
{
    return host_take(&seen, a, boot, seq, low);
}

TEST(accepts_each_once)
{
    begin();
    for (uint64_t seq = 0; seq < 1000; seq++) {
        CHECK(take(1, seq, 0));
        CHECK(!take(1, seq, 0));
    }
    for (uint64_t seq = 0; seq < 1000; seq++)
        CHECK(!take(1, seq, 0));
}

TEST(accepts_out_of_order_within_the_span)
{
    begin();
    CHECK(take(1, 1000 + LINK_SPAN - 1, 1000));
    for (uint64_t seq = 1000 + LINK_SPAN - 2; seq >= 1000; seq--) {
        CHECK(take(1, seq, 1000));
        CHECK(!take(1, seq, 1000));
    }
    CHECK(!take(1, 999, 0));
    CHECK(!take(1, 0, 0));
    CHECK(take(1, 1000 + LINK_SPAN, 1001));
}

TEST(low_moves_up_and_never_down)
{
    begin();
    CHECK(take(1, 50, 40));
    CHECK(take(1, 60, 45));
    CHECK(take(1, 48, 10)); /* an outdated, lower `low` changes nothing */
    CHECK(!take(1, 44, 10));
    CHECK(take(1, 70, 60));
    CHECK(!take(1, 59, 0));
    CHECK(!take(1, 60, 0));
    CHECK(!take(1, 70, 65)); /* a duplicate changes nothing */
    CHECK_INT(a->marks[0].base, 60);
    /* Beyond the whole window. */
    CHECK(take(1, 60 + 2 * LINK_SPAN, 60 + 2 * LINK_SPAN));
    CHECK_INT(a->marks[0].base, 60 + 2 * LINK_SPAN);
    CHECK(!take(1, 60 + 2 * LINK_SPAN, 0));
    CHECK(take(1, 61 + 2 * LINK_SPAN, 0));
}

TEST(moves_by_every_distance)
{
    for (uint64_t by = 1; by <= LINK_SPAN + 33; by++) {
        begin();
        for (uint64_t seq = 1; seq < LINK_SPAN; seq += seq % 3 + 1)
            CHECK(take(1, seq, 0));
        CHECK(take(1, by + LINK_SPAN - 1, by));
        CHECK_INT(a->marks[0].base, by);
        CHECK(!take(1, by - 1, 0));
        /* Received events still count as received, and no others. */
        for (uint64_t seq = by, next = 1; seq < by + LINK_SPAN - 1; seq++) {
            while (next < seq)
                next += next % 3 + 1;
            CHECK_INT(take(1, seq, 0), seq != next || seq >= LINK_SPAN);
        }
    }
}

TEST(a_jump_moves_the_base)
{
    begin();
    CHECK(take(1, 5, 0));
    CHECK(take(1, LINK_SPAN - 1, 0));
    CHECK_INT(a->marks[0].base, 0);
    CHECK(take(1, LINK_SPAN, 0));
    CHECK_INT(a->marks[0].base, 1);
    CHECK(!take(1, 0, 0));
    CHECK(take(1, 1, 0));
    CHECK(!take(1, 5, 0));
    CHECK(take(1, 100000, 0));
    CHECK(!take(1, 100000 - LINK_SPAN, 0));
    CHECK(take(1, 100001 - LINK_SPAN, 0));
}

TEST(invalid_low_is_ignored)
{
    begin();
    CHECK(take(1, 10, 11));
    CHECK(take(1, 9, UINT64_MAX));
    CHECK_INT(a->marks[0].base, 0);
    CHECK(take(1, 0, 1));
}

TEST(the_ends_of_the_numbers)
{
    begin();
    CHECK(take(0, 0, 0));
    CHECK(!take(0, 0, 0));
    CHECK(take(0, UINT64_MAX, 0));
    CHECK(!take(0, UINT64_MAX, 0));
    CHECK(take(0, UINT64_MAX - LINK_SPAN + 1, 0));
    CHECK(!take(0, UINT64_MAX - LINK_SPAN, 0));
    CHECK(take(0, UINT64_MAX - 1, UINT64_MAX - 1));
    CHECK(take(3, UINT64_MAX, UINT64_MAX));
    CHECK_INT(a->marks[0].base, -1);
    CHECK(!take(3, UINT64_MAX, 0));
    CHECK(take(UINT64_MAX, 0, 0));
    CHECK(take(UINT64_MAX, UINT64_MAX, UINT64_MAX));
    CHECK(!take(UINT64_MAX, UINT64_MAX, 0));
}

TEST(two_boots_side_by_side)
{
    begin();
    for (uint64_t seq = 0; seq < 500; seq++) {
        CHECK(take(7, seq, 0));
        CHECK(take(8, seq, 0));
        CHECK(!take(7, seq, 0));
        CHECK(!take(8, seq, 0));
    }
    /* A third boot replaces the least recently used one: that is 7, whose last was a duplicate. */
    CHECK(!take(7, 499, 0));
    CHECK(take(9, 3, 0));
    CHECK(!take(8, 499, 0));
    CHECK(!take(9, 3, 0));
    CHECK(take(7, 499, 0));
    /* And now 8 is gone. */
    CHECK(!take(9, 3, 0));
    CHECK(take(8, 499, 0));
}

TEST(boot_0_is_a_boot)
{
    begin();
    CHECK(take(7, 1, 0));
    CHECK(take(0, 1, 0));
    CHECK(!take(0, 1, 0));
    CHECK(!take(7, 1, 0));
    CHECK(take(7, 2, 0));
    CHECK(take(8, 1, 0));
    CHECK(take(0, 1, 0));
}

TEST(least_recently_seen_host_is_evicted)
{
    static const char *const names[] = {"a", "b", "c", "d"};

    begin();
    for (unsigned i = 0; i < COUNT; i++)
        CHECK(host_take(&seen, host_named(names[i]), 1, 1, 0));
    CHECK(!host_take(&seen, host_named("b"), 1, 1, 0));
    CHECK(host_take(&seen, host_named("a"), 1, 2, 0)); /* new: b is now the oldest */
    CHECK_INT(seen.forgotten, 0);
    CHECK(host_take(&seen, host_named("e"), 1, 1, 0));
    CHECK_INT(seen.forgotten, 1);
    CHECK(!host_take(&seen, host_named("a"), 1, 1, 0));
    CHECK(!host_take(&seen, host_named("c"), 1, 1, 0));
    CHECK(!host_take(&seen, host_named("d"), 1, 1, 0));
    CHECK(!host_take(&seen, host_named("e"), 1, 1, 0));
    CHECK(host_take(&seen, host_named("b"), 1, 1, 0)); /* replaces c */
    CHECK_INT(seen.forgotten, 2);
    CHECK(!host_take(&seen, host_named("a"), 1, 1, 0));
    CHECK(host_take(&seen, host_named("c"), 1, 1, 0));
    CHECK_INT(seen.used, COUNT);
}

TEST(a_table_of_one)
{
    seen_init(&seen, slots, chains, 1);
    a = host_named("a");
    CHECK(take(1, 1, 0));
    CHECK(host_named("a") == a);
    CHECK(!take(1, 1, 0));
    CHECK(host_take(&seen, host_named("b"), 1, 1, 0));
    CHECK_INT(seen.forgotten, 1);
    a = host_named("a");
    CHECK(take(1, 1, 0));
}

TEST(ids_are_sha256)
{
    uint8_t id[HOST_ID];

    host_id_of(id, (struct slice){"abc", 3}); /* FIPS 180-4, example */
    CHECK_MEM(id, "\xba\x78\x16\xbf\x8f\x01\xcf\xea\x41\x41\x40\xde\x5d\xae\x22\x23", HOST_ID);
}

/* ---- As bytes ---- */

static unsigned journal_all(uint8_t out[][HOST_BYTES])
{
    unsigned n = 0;

    for (uint32_t i = seen.oldest; i; i = slots[i - 1].newer)
        for (unsigned mark = 2; mark-- > 0;)
            if (host_is_marked(&slots[i - 1], mark))
                host_store(&slots[i - 1], mark, out[n++]);
    return n;
}

TEST(round_trips_through_bytes)
{
    static uint8_t bytes[2 * COUNT][HOST_BYTES], again[2 * COUNT][HOST_BYTES];

    begin();
    CHECK(take(0x0102030405060708, 0xFFFEFDFC00000010, 0xFFFEFDFC00000000));
    CHECK(host_take(&seen, host_named("b"), 3, 1, 0));
    CHECK(host_take(&seen, host_named("b"), 4, 700, 650));
    CHECK(host_take(&seen, host_named("b"), 3, 2, 0));
    unsigned n = journal_all(bytes);
    CHECK_INT(n, 3);
    CHECK_MEM(bytes[0] + HOST_ID, "\x01\x02\x03\x04\x05\x06\x07\x08\xFF\xFE\xFD\xFC\0\0\0\0\0\1\0\0",
              20);
    begin();
    for (unsigned i = 0; i < n; i++)
        CHECK_INT(seen_restore(&seen, bytes[i], HOST_BYTES), 0);
    CHECK_INT(journal_all(again), n);
    CHECK_MEM(again, bytes, n * sizeof bytes[0]);
    CHECK(!take(0x0102030405060708, 0xFFFEFDFC00000010, 0));
    /* Restoring over existing entries gives the same. */
    for (unsigned i = 0; i < n; i++)
        CHECK_INT(seen_restore(&seen, bytes[i], HOST_BYTES), 0);
    CHECK(host_named("b")->marks[0].boot == 3 && host_named("b")->marks[1].boot == 4);
    CHECK_INT(seen_restore(&seen, bytes[0], HOST_BYTES - 1), NEFIA_EINVAL);
    CHECK_INT(seen_restore(&seen, bytes[0], 0), NEFIA_EINVAL);
    memset(bytes[0] + HOST_ID, 0, HOST_BYTES - HOST_ID);
    CHECK_INT(seen_restore(&seen, bytes[0], HOST_BYTES), NEFIA_EINVAL);
    CHECK_INT(a->marks[0].base, 0xFFFEFDFC00000000);
}

/* ---- Against a plain model ---- */

enum { MODEL_HOSTS = 7, MODEL_BOOTS = 3, MODEL_SEQS = 3000, STEPS = 200000 };

struct model_boot {
    bool known;
    uint64_t boot, base, used;
    bool had[MODEL_SEQS];
};
static struct model_host {
    uint64_t seen_at; /* 0: not in the table */
    struct model_boot boots[2];
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
    struct model_host *oldest = NULL;
    unsigned in = 0;

    if (m->seen_at)
        return;
    for (unsigned i = 0; i < MODEL_HOSTS; i++) {
        in += model[i].seen_at > 0;
        if (model[i].seen_at && (!oldest || model[i].seen_at < oldest->seen_at))
            oldest = &model[i];
    }
    if (in == COUNT && oldest) {
        memset(oldest, 0, sizeof *oldest);
        model_forgotten++;
    }
    m->seen_at = ++model_clock;
}

static bool model_take(struct model_host *m, uint64_t boot, uint64_t seq, uint64_t low)
{
    struct model_boot *b = NULL;

    for (unsigned i = 0; i < 2; i++)
        if (m->boots[i].known && m->boots[i].boot == boot)
            b = &m->boots[i];
    if (b && (seq < b->base || b->had[seq]))
        return false;
    m->seen_at = ++model_clock;
    if (!b) {
        b = m->boots[0].used <= m->boots[1].used ? &m->boots[0] : &m->boots[1];
        memset(b, 0, sizeof *b);
        b->known = true;
        b->boot = boot;
    }
    b->used = model_clock;
    if (low <= seq && low > b->base)
        b->base = low;
    if (seq >= b->base + LINK_SPAN)
        b->base = seq - LINK_SPAN + 1;
    b->had[seq] = true;
    return true;
}

TEST(agrees_with_the_model)
{
    static const uint64_t boots[MODEL_BOOTS] = {0, 5, UINT64_MAX};
    static uint8_t bytes[2 * COUNT][HOST_BYTES];
    static uint64_t top[MODEL_HOSTS][MODEL_BOOTS];
    char name[2] = "a";
    unsigned same = 0, new = 0;

    begin();
    seen_init(&seen, slots, chains, COUNT);
    seed = 1;
    for (unsigned step = 0; step < STEPS; step++) {
        unsigned who = random_below(random_below(20) ? COUNT : MODEL_HOSTS);
        unsigned boot = random_below(random_below(20) ? 2 : MODEL_BOOTS);
        uint64_t *t = &top[who][boot];
        uint64_t seq = *t + random_below(4), low = random_below(2) ? *t - random_below(8) : 0;
        if (random_below(3) == 0)
            seq = *t - random_below(LINK_SPAN + 20);
        if (random_below(200) == 0)
            seq = *t + random_below(2 * LINK_SPAN);
        if (random_below(20) == 0)
            low = random_below(MODEL_SEQS);
        if (seq >= MODEL_SEQS)
            seq = *t = random_below(2);
        if (seq > *t)
            *t = seq;
        name[0] = (char)('a' + (int)who);
        struct host *host = host_named(name);
        model_enter(&model[who]);
        bool got = host_take(&seen, host, boots[boot], seq, low);
        new += got;
        same += got == model_take(&model[who], boots[boot], seq, low);
        if (random_below(1000) == 0) { /* through the journal and back */
            unsigned n = journal_all(bytes);
            uint64_t forgotten = seen.forgotten;
            begin();
            seen_init(&seen, slots, chains, COUNT);
            for (unsigned i = 0; i < n; i++)
                CHECK_INT(seen_restore(&seen, bytes[i], HOST_BYTES), 0);
            seen.forgotten += forgotten;
        }
    }
    CHECK_INT(same, STEPS);
    CHECK_INT(seen.forgotten, model_forgotten);
    CHECK(new > STEPS / 20 && new < STEPS);
}

TEST_MAIN(accepts_each_once, accepts_out_of_order_within_the_span, low_moves_up_and_never_down,
          moves_by_every_distance, a_jump_moves_the_base, invalid_low_is_ignored,
          the_ends_of_the_numbers, two_boots_side_by_side, boot_0_is_a_boot,
          least_recently_seen_host_is_evicted, a_table_of_one, ids_are_sha256,
          round_trips_through_bytes, agrees_with_the_model)
