#include "nefia/beacon/spool.h"

#include <stdbool.h>

#include "check.h"
#include "nefia/base/err.h"

#define SIZE 1024
#define REC (100 - SPOOL_HEADER)

static uint8_t mem[SIZE];
static struct spool spool;
static const uint8_t name_a[LINK_NAME] = {1}, name_b[LINK_NAME] = {1, 2};

/** Push a line of len bytes, identified by its first letter. */
static int push(enum severity s, int letter, size_t len)
{
    char line[SIZE];

    memset(line, letter, sizeof line);
    return spool_push(&spool,
                      &(struct spool_event){
                          .id = {1, (uint64_t)letter}, .severity = s, .line = line, .len = len});
}

/** Record `at`, in the order in which they lie. */
static struct spool_event record(size_t at, size_t *next)
{
    const uint8_t *p = spool.mem + at;
    size_t len = get_be32(p) & 0x1FFFF;

    *next = at + SPOOL_HEADER + len;
    return (struct spool_event){.id = {0, get_be64(p + 4)},
                                .severity = (enum severity)p[0],
                                .line = (const char *)p + SPOOL_HEADER,
                                .len = len};
}

/** Letters of the events in the spool, sent ones first, with a mark before the first unsent. */
static const char *letters(void)
{
    static char out[64];
    size_t n = 0;

    for (size_t at = 0; at < spool.used;) {
        if (at == spool.sent)
            out[n++] = '|';
        struct spool_event e = record(at, &at);
        CHECK_INT(e.id.seq, e.line[0]);
        out[n++] = e.line[0];
    }
    if (spool.sent == spool.used)
        out[n++] = '|';
    out[n] = '\0';
    return out;
}

/** Send the next one. Return: its letter, or 0. */
static int send_next(void)
{
    static uint32_t count;
    struct spool_item item;

    if (!spool_next(&spool, &item))
        return 0;
    int letter = (unsigned char)item.event.line[0];
    CHECK_INT(item.event.id.seq, letter);
    spool_mark_sent(&spool, &item, ++count, name_a);
    return letter;
}

TEST(most_severe_and_newest_first)
{
    struct spool_lost lost;

    spool_init(&spool, mem, SIZE);
    CHECK_INT(send_next(), 0);
    CHECK_INT(spool_delivered(&spool), 0);
    push(SEVERITY_INFO, 'a', 10);
    push(SEVERITY_CRITICAL, 'b', 1);
    push(SEVERITY_WARNING, 'c', 30);
    push(SEVERITY_CRITICAL, 'd', 7);
    push(SEVERITY_INFO, 'e', 3);
    CHECK_INT(send_next(), 'd');
    CHECK_STR(letters(), "d|abce");
    CHECK_INT(send_next(), 'b');
    CHECK_INT(send_next(), 'c');
    CHECK_STR(letters(), "dbc|ae");
    push(SEVERITY_CRITICAL, 'f', 7);
    CHECK_INT(send_next(), 'f');
    CHECK_INT(spool_delivered_first(&spool, 2), 2);
    CHECK_STR(letters(), "cf|ae");
    CHECK_INT(send_next(), 'e');
    CHECK_INT(send_next(), 'a');
    CHECK_INT(send_next(), 0);
    spool_rewind(&spool);
    CHECK_INT(send_next(), 'f');
    CHECK_INT(spool_take_lost(&spool, &lost), 0);
    CHECK_INT(spool.events, 4);
}

static int push_at(uint64_t boot, int letter, uint64_t key, enum severity s)
{
    char c = (char)letter;

    return spool_push(&spool,
                      &(struct spool_event){{boot, (uint64_t)letter}, key, s, &c, 1, false});
}

static int push_numbered(uint64_t boot, uint64_t seq, enum severity s)
{
    return spool_push(&spool, &(struct spool_event){{boot, seq}, 0, s, "x", 1, false});
}

/** The next one is this. */
static void expect_next(uint64_t boot, uint64_t seq)
{
    struct spool_item item;

    REQUIRE(spool_next(&spool, &item));
    CHECK(item.event.id.boot == boot && item.event.id.seq == seq);
    spool_mark_sent(&spool, &item, 1, name_a);
}

TEST(events_in_flight_stay_within_the_span)
{
    struct spool_item item;

    spool_init(&spool, mem, SIZE);
    spool.own = 1;
    push_numbered(1, 5, SEVERITY_INFO);
    push_numbered(1, 4 + LINK_SPAN, SEVERITY_INFO);
    push_numbered(1, 5 + LINK_SPAN, SEVERITY_CRITICAL);
    push_numbered(9, 1 << 20, SEVERITY_CRITICAL); /* each start has its own */
    expect_next(9, 1 << 20);
    expect_next(1, 4 + LINK_SPAN);
    expect_next(1, 5);
    CHECK_INT(spool_next(&spool, &item), 0);
    CHECK_INT(spool_sent(&spool, &item), 1);
    CHECK_INT(item.event.id.boot, 9);
    CHECK_INT(spool_delivered_first(&spool, 2), 2);
    CHECK_INT(spool_next(&spool, &item), 0); /* the lowest is not settled */
    CHECK_INT(spool_delivered(&spool), 1);
    expect_next(1, 5 + LINK_SPAN);
}

TEST(one_earlier_start_at_a_time)
{
    struct spool_item item;

    spool_init(&spool, mem, SIZE);
    spool.own = 8;
    push_numbered(7, 1, SEVERITY_CRITICAL);
    push_numbered(6, 1, SEVERITY_INFO);
    push_numbered(6, 2, SEVERITY_INFO);
    push_numbered(8, 1, SEVERITY_WARNING);
    expect_next(8, 1);
    expect_next(6, 2);
    expect_next(6, 1);
    CHECK_INT(spool_next(&spool, &item), 0); /* until that start is settled */
    CHECK_INT(spool_delivered_first(&spool, 2), 2);
    CHECK_INT(spool_next(&spool, &item), 0);
    CHECK_INT(spool_delivered(&spool), 1);
    expect_next(7, 1);
    /* The owner prefers one. */
    spool_rewind(&spool);
    push_numbered(6, 9, SEVERITY_INFO);
    push_numbered(5, 9, SEVERITY_INFO);
    spool.earlier = 6;
    expect_next(6, 9);
    CHECK_INT(spool_next(&spool, &item), 0);
    spool_rewind(&spool);
    expect_next(5, 9);
    spool.earlier = 77; /* none of it is there */
    spool_rewind(&spool);
    spool.earlier = 77;
    expect_next(5, 9);
    CHECK(spool_has(&spool, 6) && !spool_has(&spool, 77));
}

/** Is the oldest of seq `letter` sure under this name? */
static bool sure(int letter, const uint8_t *name)
{
    struct spool_item item;

    for (size_t at = 0; spool_walk(&spool, &at, &item);)
        if (item.event.id.seq == (uint64_t)letter)
            return spool_sure(&spool, &item, name);
    CHECK(false);
    return false;
}

static void write_under(int letter, const uint8_t *name)
{
    struct spool_item item;

    for (size_t at = 0; spool_walk(&spool, &at, &item);)
        if (item.event.id.seq == (uint64_t)letter)
            spool_written(&spool, item.at, name);
}

TEST(sure_is_what_was_written_under_the_hubs_name_alone)
{
    spool_init(&spool, mem, SIZE);
    for (int c = 'a'; c < 'f'; c++)
        push(SEVERITY_INFO, c, 1);
    CHECK(sure('a', NULL) && sure('a', name_a));
    write_under('a', name_a);
    CHECK(sure('a', name_a) && !sure('a', name_b) && !sure('a', NULL));
    write_under('a', name_a);
    CHECK(sure('a', name_a));
    write_under('a', name_b);
    CHECK(!sure('a', name_a) && !sure('a', name_b));
    write_under('a', name_b); /* for good */
    CHECK(!sure('a', name_b));
    write_under('b', NULL);
    CHECK(!sure('b', name_a) && !sure('b', NULL));
    /* The hub has forgotten: only what was never written is sure. */
    write_under('c', name_b);
    CHECK(sure('c', name_b) && sure('d', name_b));
    spool_doubt(&spool, 2);
    CHECK(sure('c', name_b));
    spool_doubt(&spool, 1);
    CHECK(!sure('c', name_b) && sure('d', name_b));
    CHECK_STR(letters(), "|abcde"); /* neither length nor severity has changed */
}

TEST(names_beyond_the_table_are_several)
{
    uint8_t name[LINK_NAME] = {0xF0};

    spool_init(&spool, mem, SIZE);
    for (int i = 0; i <= SPOOL_NAMES; i++) {
        push(SEVERITY_INFO, 'a' + i, 1);
        name[1] = (uint8_t)(i + 1);
        write_under('a' + i, name);
        CHECK(sure('a' + i, name) == (i < SPOOL_NAMES));
    }
    /* A name that nothing was written under any more makes room. */
    spool_give_up(&spool, (struct spool_id){1, 'c'});
    push(SEVERITY_INFO, 'z', 1);
    write_under('z', name);
    CHECK(sure('z', name));
    for (int i = 0; i < SPOOL_NAMES; i++) {
        name[1] = (uint8_t)(i + 1);
        CHECK(i == 2 || sure('a' + i, name));
    }
}

TEST(an_event_of_any_length_keeps_its_fields)
{
    static uint8_t large[4 * 65536];
    static char line[65536];
    struct spool_item item;

    memset(line, 'q', sizeof line);
    spool_init(&spool, large, sizeof large);
    for (size_t len = 65535; len <= 65536; len++)
        CHECK_INT(
            spool_push(&spool,
                       &(struct spool_event){{1, len}, 0, SEVERITY_CRITICAL, line, len, true}),
            0);
    for (size_t at = 0; spool_walk(&spool, &at, &item);) {
        CHECK_INT(item.event.len, item.event.id.seq);
        spool_written(&spool, item.at, NULL);
        CHECK(!spool_sure(&spool, &item, name_a));
    }
    size_t at = 0;
    for (size_t len = 65535; len <= 65536; len++) {
        REQUIRE(spool_walk(&spool, &at, &item));
        CHECK(item.event.len == len && item.event.severity == SEVERITY_CRITICAL && item.event.kept);
    }
    CHECK_INT(spool_walk(&spool, &at, &item), 0);
}

TEST(newer_event_supersedes_older_of_the_same_condition)
{
    struct spool_lost lost;

    spool_init(&spool, mem, SIZE);
    push_at(1, 'a', 5, SEVERITY_WARNING);
    push_at(1, 'b', 6, SEVERITY_WARNING);
    push_at(1, 'c', 5, SEVERITY_CRITICAL); /* another severity */
    push_at(1, 'd', 5, SEVERITY_WARNING);
    CHECK_STR(letters(), "|bcd");
    CHECK_INT(spool.collapsed, 1);
    CHECK_INT(spool_take_lost(&spool, &lost), 0);
    CHECK_INT(send_next(), 'c');
    CHECK_INT(send_next(), 'd');
    push_at(1, 'e', 5, SEVERITY_WARNING); /* an event in flight may have arrived */
    CHECK_STR(letters(), "cd|be");
    push_at(1, 'f', 0, SEVERITY_WARNING);
    push_at(1, 'g', 0, SEVERITY_WARNING);
    CHECK_STR(letters(), "cd|befg");
    CHECK_INT(spool.collapsed, 1);
}

TEST(giving_up_one)
{
    spool_init(&spool, mem, SIZE);
    for (int c = 'a'; c < 'd'; c++)
        push(SEVERITY_INFO, c, 5);
    send_next();
    spool_give_up(&spool, (struct spool_id){1, 'x'});
    spool_give_up(&spool, (struct spool_id){1, 'b'});
    CHECK_STR(letters(), "c|a");
    spool_give_up(&spool, (struct spool_id){1, 'c'});
    CHECK_STR(letters(), "|a");
    CHECK_INT(spool.lost.count[SEVERITY_INFO], 2);
    spool_unknown(&spool, (struct spool_id){1, 'a'});
    CHECK_INT(spool.lost.count[SEVERITY_INFO], 3); /* among them */
    CHECK_INT(spool.lost.unknown, 1);
    CHECK_INT(spool.unknown, 1);
}

TEST(lines_of_events_in_flight)
{
    struct spool_item item;

    spool_init(&spool, mem, SIZE);
    for (int c = 'a'; c < 'e'; c++)
        push(SEVERITY_INFO, c, 5);
    for (uint32_t count = 1; count <= 3; count++) {
        REQUIRE(spool_next(&spool, &item));
        spool_mark_sent(&spool, &item, count, name_a);
    }
    CHECK_INT(spool_up_to(&spool, 0), 0);
    CHECK_INT(spool_up_to(&spool, 2), 2);
    CHECK_INT(spool_up_to(&spool, 99), 3);
    CHECK_INT(spool_at_line(&spool, 2, &item), 1);
    CHECK_INT(item.event.id.seq, 'c');
    spool_give_up(&spool, item.event.id);
    CHECK_INT(spool_at_line(&spool, 2, &item), 0);
    CHECK_INT(spool_at_line(&spool, 0, &item), 0);
    CHECK_INT(spool_up_to(&spool, 2), 1);
    CHECK_INT(spool_up_to(&spool, 3), 2);
}

/* 1024 bytes: 10 records of 100, of which 8 (819 bytes) below critical. */
TEST(evicts_least_severe_oldest_first)
{
    struct spool_lost lost;

    spool_init(&spool, mem, SIZE);
    for (int c = 'a'; c < 'i'; c++)
        CHECK_INT(push(c == 'c' ? SEVERITY_WARNING : SEVERITY_INFO, c, REC), 0);
    CHECK_STR(letters(), "|abcdefgh");
    CHECK_INT(push(SEVERITY_INFO, 'i', REC), 0);
    CHECK_INT(push(SEVERITY_INFO, 'j', REC), 0);
    CHECK_STR(letters(), "|cdefghij");
    CHECK_INT(push(SEVERITY_CRITICAL, 'A', REC), 0);
    CHECK_INT(push(SEVERITY_CRITICAL, 'B', REC), 0);
    CHECK_STR(letters(), "|cdefghijAB");
    CHECK_INT(push(SEVERITY_CRITICAL, 'C', REC), 0);
    CHECK_STR(letters(), "|cefghijABC");
    for (int c = 'D'; c < 'K'; c++)
        CHECK_INT(push(SEVERITY_CRITICAL, c, REC), 0);
    CHECK_STR(letters(), "|ABCDEFGHIJ");
    CHECK_INT(push(SEVERITY_WARNING, 'w', REC), NEFIA_EFULL);
    CHECK_INT(push(SEVERITY_CRITICAL, 'K', REC), 0);
    CHECK_STR(letters(), "|BCDEFGHIJK");
    CHECK_INT(spool_take_lost(&spool, &lost), 9 + 2 + 1);
    CHECK_INT(lost.count[SEVERITY_INFO], 9);
    CHECK_INT(lost.count[SEVERITY_WARNING], 2);
    CHECK_INT(lost.count[SEVERITY_CRITICAL], 1);
    CHECK_INT(lost.first.seq, 'A'); /* letters in capitals are the lower numbers */
    CHECK_INT(lost.last.seq, 'w');
    CHECK_INT(spool_take_lost(&spool, &lost), 0);
    CHECK_INT(spool.lost_total[SEVERITY_INFO], 9);
}

TEST(evicts_unsent_before_sent)
{
    spool_init(&spool, mem, SIZE);
    for (int c = 'a'; c < 'i'; c++)
        push(SEVERITY_WARNING, c, REC);
    for (int i = 0; i < 6; i++)
        send_next();
    CHECK_STR(letters(), "hgfedc|ab");
    push(SEVERITY_WARNING, 'i', REC);
    CHECK_STR(letters(), "hgfedc|bi");
    send_next();
    send_next();
    push(SEVERITY_WARNING, 'j', REC);
    CHECK_STR(letters(), "hgfedci|j"); /* the oldest of the sent */
    /* An unsent critical event outranks a sent warning. */
    push(SEVERITY_CRITICAL, 'A', REC);
    push(SEVERITY_CRITICAL, 'B', REC);
    push(SEVERITY_CRITICAL, 'C', REC);
    CHECK_STR(letters(), "hgfedci|ABC");
    push(SEVERITY_CRITICAL, 'D', REC);
    CHECK_STR(letters(), "hgfedi|ABCD");
    CHECK_INT(spool_delivered(&spool), 6);
    CHECK_STR(letters(), "|ABCD");
}

TEST(oversized_event_evicts_nothing)
{
    spool_init(&spool, mem, SIZE);
    push(SEVERITY_INFO, 'a', REC);
    push(SEVERITY_CRITICAL, 'b', 300);
    CHECK_INT(push(SEVERITY_INFO, 'c', SIZE / 5 * 4 - SPOOL_HEADER + 1), NEFIA_EFULL);
    CHECK_INT(push(SEVERITY_CRITICAL, 'c', SIZE - SPOOL_HEADER + 1), NEFIA_EFULL);
    CHECK_INT(push(SEVERITY_WARNING, 'c', 800), NEFIA_EFULL);
    CHECK_INT(push(SEVERITY_INFO, 'c', 0), NEFIA_EFULL);
    CHECK_STR(letters(), "|ab");
    CHECK_INT(push(SEVERITY_WARNING, 'c', SIZE - REC - 300 - 3 * SPOOL_HEADER), 0);
    CHECK_STR(letters(), "|abc");
    CHECK_INT(push(SEVERITY_CRITICAL, 'd', SIZE - SPOOL_HEADER), 0);
    CHECK_STR(letters(), "|d");
    CHECK_INT(spool.lost.count[SEVERITY_INFO], 3);
    CHECK_INT(spool.lost.count[SEVERITY_WARNING], 2);
    CHECK_INT(spool.lost.count[SEVERITY_CRITICAL], 2);
}

/* The model: a plain list of what should be there. It evicts one by one, following the documented rule. */
struct model_item {
    uint64_t seq;
    size_t size;
    enum severity severity;
    bool sent;
    char letter;
};
static struct model_item model[SIZE / 12];
static unsigned model_count;
static uint64_t model_lost[SEVERITY_COUNT], model_delivered, model_pushed;

static bool model_fits(enum severity s, size_t need)
{
    size_t all = need, below = s < SEVERITY_CRITICAL ? need : 0;

    for (unsigned i = 0; i < model_count; i++) {
        all += model[i].size;
        below += model[i].severity < SEVERITY_CRITICAL ? model[i].size : 0;
    }
    return all <= SIZE && (s == SEVERITY_CRITICAL || below <= SIZE / 5 * 4);
}

static void model_remove(unsigned i)
{
    memmove(&model[i], &model[i + 1], (--model_count - i) * sizeof model[0]);
}

static bool model_evict(enum severity most)
{
    for (int s = 0; s <= (int)most; s++)
        for (int sent = 0; sent < 2; sent++) {
            unsigned oldest = model_count;
            for (unsigned i = 0; i < model_count; i++)
                if ((int)model[i].severity == s && model[i].sent == sent &&
                    (oldest == model_count || model[i].seq < model[oldest].seq))
                    oldest = i;
            if (oldest == model_count)
                continue;
            model_lost[s]++;
            model_remove(oldest);
            return true;
        }
    return false;
}

static int model_push(struct model_item new)
{
    static struct model_item before[ARRAY_SIZE(model)];
    uint64_t lost[SEVERITY_COUNT];
    unsigned count = model_count;

    model_pushed++;
    memcpy(before, model, sizeof model);
    memcpy(lost, model_lost, sizeof lost);
    while (!model_fits(new.severity, new.size)) {
        if (!model_evict(new.severity)) {
            memcpy(model, before, sizeof model);
            memcpy(model_lost, lost, sizeof lost);
            model_count = count;
            model_lost[new.severity]++;
            return NEFIA_EFULL;
        }
    }
    model[model_count++] = new;
    return 0;
}

static bool model_agrees(void)
{
    uint64_t lost = 0;
    unsigned unsent = 0;
    size_t at = 0;

    for (unsigned i = 0; i < model_count; i++) {
        bool sent = at < spool.sent;

        if (at >= spool.used)
            return false;
        struct spool_event e = record(at, &at);
        if (e.id.seq != model[i].seq || e.len + SPOOL_HEADER != model[i].size ||
            e.severity != model[i].severity || e.line[0] != model[i].letter ||
            e.line[e.len - 1] != model[i].letter || sent != model[i].sent)
            return false;
        unsent += !model[i].sent;
    }
    for (int s = 0; s < SEVERITY_COUNT; s++) {
        if (spool.lost_total[s] != model_lost[s])
            return false;
        lost += spool.lost_total[s];
    }
    return at == spool.used && spool.events == model_count && spool.unsent == unsent &&
           model_pushed == model_delivered + model_count + lost;
}

/** The most severe, and of these the newest, moves behind those already sent. */
static void model_send(void)
{
    struct spool_item item;
    unsigned sent = 0, best = 0;

    while (sent < model_count && model[sent].sent)
        sent++;
    REQUIRE(spool_next(&spool, &item) == (sent < model_count));
    if (sent == model_count)
        return;
    best = sent;
    for (unsigned i = sent; i < model_count; i++)
        if (model[i].severity > model[best].severity ||
            (model[i].severity == model[best].severity && model[i].seq > model[best].seq))
            best = i;
    struct model_item chosen = model[best];
    CHECK(item.event.id.seq == chosen.seq);
    spool_mark_sent(&spool, &item, 0, NULL);
    memmove(&model[sent + 1], &model[sent], (best - sent) * sizeof model[0]);
    chosen.sent = true;
    model[sent] = chosen;
}

static void model_deliver(void)
{
    unsigned n = spool_delivered(&spool);

    model_delivered += n;
    while (model_count > 0 && model[0].sent) {
        model_remove(0);
        n--;
    }
    CHECK_INT(n, 0);
}

static void model_rewind(void)
{
    spool_rewind(&spool);
    for (unsigned i = 0; i < model_count; i++)
        model[i].sent = false;
}

TEST(agrees_with_a_simple_model)
{
    uint32_t random = 12345;

    spool_init(&spool, mem, SIZE);
    for (uint64_t seq = 1; seq < 60000; seq++) {
        random = random * 1664525u + 1013904223u;
        unsigned dice = random >> 28, r = random >> 8;

        if (dice < 9) {
            size_t len = dice == 0 ? 1 + r % 1100 : 1 + r % 120;
            enum severity s = (enum severity)(r / 2048 % 3);
            char letter = (char)('a' + seq % 26);
            char line[1200];

            memset(line, letter, sizeof line);
            REQUIRE(spool_push(&spool, &(struct spool_event){{0, seq}, 0, s, line, len, false}) ==
                    model_push((struct model_item){seq, len + SPOOL_HEADER, s, false, letter}));
        } else if (dice < 14) {
            model_send();
        } else if (dice < 15) {
            model_deliver();
        } else {
            model_rewind();
        }
        REQUIRE(model_agrees());
    }
    CHECK(model_delivered > 1000 && model_lost[SEVERITY_INFO] > 1000 &&
          model_lost[SEVERITY_CRITICAL] > 1000);
}

TEST(partial_delivery)
{
    spool_init(&spool, mem, SIZE);
    for (int i = 0; i < 4; i++)
        push(i < 2 ? SEVERITY_CRITICAL : SEVERITY_INFO, 'a' + i, REC);
    for (int i = 0; i < 3; i++)
        send_next();
    CHECK_STR(letters(), "bad|c");
    CHECK_INT(spool_arrived(&spool, 0, 2), 3);
    CHECK_INT(spool_arrived(&spool, 1, 2), 2);
    CHECK_INT(spool_arrived(&spool, REC + 2, 2), 2);
    CHECK_INT(spool_arrived(&spool, REC + 3, 2), 1);
    CHECK_INT(spool_arrived(&spool, 3 * (REC + 2), 2), 0);
    CHECK_INT(spool_arrived(&spool, 9999, 2), 0);
    CHECK_INT(spool_delivered_first(&spool, 2), 2);
    CHECK_STR(letters(), "d|c");
    CHECK_INT(spool_delivered_first(&spool, 9), 1);
    CHECK_STR(letters(), "|c");
    CHECK_INT(spool.bytes[SEVERITY_CRITICAL], 0);
    CHECK_INT(spool.bytes[SEVERITY_INFO], spool.used);
    CHECK_INT(spool_delivered_first(&spool, 1), 0);
}

TEST(losses_have_their_range)
{
    struct spool_lost lost, none = {0};

    spool_init(&spool, mem, SIZE);
    push_at(6, 'y', 0, SEVERITY_CRITICAL);
    push_at(7, 'b', 0, SEVERITY_WARNING);
    push_at(7, 'k', 5, SEVERITY_WARNING);
    push_at(7, 'm', 5, SEVERITY_WARNING); /* k is superseded */
    spool_give_up(&spool, (struct spool_id){7, 'b'});
    CHECK_INT(spool.lost.first.seq, 'b');
    CHECK_INT(spool.lost.last.seq, 'b');
    spool_give_up(&spool, (struct spool_id){7, 'm'});
    spool_give_up(&spool, (struct spool_id){6, 'y'});
    CHECK_INT(spool_take_lost(&spool, &lost), 3);
    CHECK_INT(lost.first.boot, 6);
    CHECK_INT(lost.first.seq, 'y');
    CHECK_INT(lost.last.boot, 7);
    CHECK_INT(lost.last.seq, 'm');
    CHECK_INT(lost.collapsed, 1);
    CHECK_MEM(&spool.lost, &none, sizeof none);
    /* The report is lost, too. */
    CHECK_INT(push_at(7, 'z', 0, SEVERITY_INFO), 0);
    spool_unknown(&spool, (struct spool_id){7, 'z'});
    lost.unknown = 2;
    spool_put_lost(&spool, &lost);
    CHECK_INT(spool_take_lost(&spool, &lost), 4);
    CHECK_INT(lost.first.boot, 6);
    CHECK_INT(lost.last.seq, 'z');
    CHECK_INT(lost.collapsed, 1);
    CHECK_INT(lost.unknown, 3);
}

static char who_left[16];

static void note_left(void *arg, const struct spool_event *e)
{
    CHECK(arg == mem && e->kept);
    CHECK(spool.collapsing == (e->id.seq == 'A'));
    who_left[strlen(who_left)] = (char)e->id.seq;
}

TEST(kept_events_are_notified)
{
    struct spool_item item;
    size_t at = 0;
    unsigned kept = 0;

    spool_init(&spool, mem, SIZE);
    spool.left = note_left;
    spool.left_arg = mem;
    for (int c = 'a'; c < 'h'; c++)
        push_at(1, c, c == 'f' ? 9 : 0, SEVERITY_INFO);
    while (spool_walk(&spool, &at, &item))
        if (item.event.id.seq != 'b')
            spool_set_kept(&spool, item.at, true);
    CHECK_INT(at, spool.used);
    CHECK_INT(send_next(), 'g');
    CHECK_INT(send_next(), 'f');
    CHECK_INT(send_next(), 'e');
    CHECK_STR(letters(), "gfe|abcd");
    CHECK_INT(spool_delivered_first(&spool, 2), 2);
    CHECK_STR(who_left, "gf");
    spool_give_up(&spool, (struct spool_id){1, 'b'});
    spool_give_up(&spool, (struct spool_id){1, 'd'});
    CHECK_STR(who_left, "gfd");
    spool_remove(&spool, (struct spool_id){1, 'c'});
    spool_remove(&spool, (struct spool_id){1, 'x'});
    CHECK_INT(spool.lost.count[SEVERITY_INFO], 2);
    CHECK_STR(who_left, "gfdc");
    spool_push(&spool, &(struct spool_event){{1, 'A'}, 9, SEVERITY_INFO, "x", 1, true});
    spool_push(&spool, &(struct spool_event){{1, 'B'}, 9, SEVERITY_INFO, "x", 1, false});
    CHECK_STR(who_left, "gfdcA");
    for (at = 0; spool_walk(&spool, &at, &item);)
        kept += item.event.kept;
    CHECK_INT(kept, 2);
    push(SEVERITY_CRITICAL, 'C', SIZE - SPOOL_HEADER);
    CHECK_STR(who_left, "gfdcAae");
}

TEST_MAIN(losses_have_their_range, kept_events_are_notified, most_severe_and_newest_first,
          events_in_flight_stay_within_the_span, one_earlier_start_at_a_time,
          sure_is_what_was_written_under_the_hubs_name_alone, names_beyond_the_table_are_several,
          an_event_of_any_length_keeps_its_fields,
          newer_event_supersedes_older_of_the_same_condition, giving_up_one,
          lines_of_events_in_flight, partial_delivery, evicts_least_severe_oldest_first,
          evicts_unsent_before_sent, oversized_event_evicts_nothing, agrees_with_a_simple_model)
