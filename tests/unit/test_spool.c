#include "nefia/spool.h"

#include <stdbool.h>

#include "check.h"
#include "nefia/err.h"

#define SIZE 1024
#define REC 88 /* a record of 100 bytes */

static uint8_t mem[SIZE];
static struct spool spool;

/** Push a line of len bytes that can be told by its first letter. */
static int push(enum severity s, int letter, size_t len)
{
    char line[SIZE];

    memset(line, letter, sizeof line);
    return spool_push(&spool, s, (uint64_t)letter, line, len);
}

/** The letters of what is in it, sent ones first, and a mark before the first unsent. */
static const char *letters(void)
{
    static char out[64];
    struct spool copy = spool;
    struct spool_item item;
    bool marked = false;
    size_t n = 0;

    spool_rewind(&copy);
    while (spool_next(&copy, &item)) {
        if (!marked && copy.sent == spool.sent) {
            marked = true;
            out[n++] = '|';
        }
        CHECK_INT(item.seq, item.line[0]);
        out[n++] = item.line[0];
        spool_mark_sent(&copy);
    }
    if (!marked)
        out[n++] = '|';
    out[n] = '\0';
    return out;
}

TEST(first_in_first_out)
{
    struct spool_item item;

    spool_init(&spool, mem, SIZE);
    CHECK_INT(spool_next(&spool, &item), 0);
    CHECK_INT(spool_delivered(&spool), 0);
    spool_mark_sent(&spool);
    CHECK_INT(push(SEVERITY_INFO, 'a', 10), 0);
    CHECK_INT(push(SEVERITY_CRITICAL, 'b', 1), 0);
    CHECK_INT(spool_next(&spool, &item), 1);
    CHECK(item.len == 10 && item.seq == 'a' && item.severity == SEVERITY_INFO);
    CHECK_MEM(item.line, "aaaaaaaaaa", 10);
    spool_mark_sent(&spool);
    CHECK_STR(letters(), "a|b");
    CHECK_INT(spool_delivered(&spool), 1);
    CHECK_STR(letters(), "|b");
    CHECK_INT(spool_next(&spool, &item), 1);
    CHECK(item.len == 1 && item.severity == SEVERITY_CRITICAL);
    spool_mark_sent(&spool);
    CHECK_INT(spool_next(&spool, &item), 0);
    spool_rewind(&spool);
    CHECK_STR(letters(), "|b");
    CHECK_INT(spool.events, 1);
}

/* 1024 bytes: 10 records of 100, of which 8 (819 bytes) below critical. */
TEST(least_severe_oldest_go_first)
{
    uint32_t lost[SEVERITY_COUNT];

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
    CHECK_INT(spool_take_lost(&spool, lost), 9 + 2 + 1);
    CHECK(lost[SEVERITY_INFO] == 9 && lost[SEVERITY_WARNING] == 2 && lost[SEVERITY_CRITICAL] == 1);
    CHECK_INT(spool_take_lost(&spool, lost), 0);
    CHECK_INT(spool.lost_total[SEVERITY_INFO], 9);
}

TEST(unsent_go_before_sent_of_the_same_severity)
{
    spool_init(&spool, mem, SIZE);
    for (int c = 'a'; c < 'i'; c++)
        push(SEVERITY_WARNING, c, REC);
    for (int i = 0; i < 6; i++)
        spool_mark_sent(&spool);
    CHECK_STR(letters(), "abcdef|gh");
    push(SEVERITY_WARNING, 'i', REC);
    CHECK_STR(letters(), "abcdef|hi");
    spool_mark_sent(&spool);
    spool_mark_sent(&spool);
    push(SEVERITY_WARNING, 'j', REC);
    CHECK_STR(letters(), "bcdefhi|j");
    /* A critical one that was not sent is worth more than a warning that was. */
    push(SEVERITY_CRITICAL, 'A', REC);
    push(SEVERITY_CRITICAL, 'B', REC);
    push(SEVERITY_CRITICAL, 'C', REC);
    CHECK_STR(letters(), "bcdefhi|ABC");
    push(SEVERITY_CRITICAL, 'D', REC);
    CHECK_STR(letters(), "cdefhi|ABCD");
    CHECK_INT(spool_delivered(&spool), 6);
    CHECK_STR(letters(), "|ABCD");
}

TEST(what_cannot_fit_evicts_nothing)
{
    spool_init(&spool, mem, SIZE);
    push(SEVERITY_INFO, 'a', REC);
    push(SEVERITY_CRITICAL, 'b', 300);
    CHECK_INT(push(SEVERITY_INFO, 'c', SIZE / 5 * 4 - SPOOL_HEADER + 1), NEFIA_EFULL);
    CHECK_INT(push(SEVERITY_CRITICAL, 'c', SIZE - SPOOL_HEADER + 1), NEFIA_EFULL);
    CHECK_INT(push(SEVERITY_WARNING, 'c', 800), NEFIA_EFULL);
    CHECK_INT(push(SEVERITY_INFO, 'c', 0), NEFIA_EFULL);
    CHECK_STR(letters(), "|ab");
    CHECK_INT(push(SEVERITY_WARNING, 'c', 600), 0);
    CHECK_STR(letters(), "|abc");
    CHECK_INT(push(SEVERITY_CRITICAL, 'd', SIZE - SPOOL_HEADER), 0);
    CHECK_STR(letters(), "|d");
    CHECK_INT(spool.lost[SEVERITY_INFO], 3);
    CHECK_INT(spool.lost[SEVERITY_WARNING], 2);
    CHECK_INT(spool.lost[SEVERITY_CRITICAL], 2);
}

/* The model: a plain list of what should be there. It evicts one by one by the rule in words. */
struct model_item {
    uint64_t seq;
    size_t size;
    enum severity severity;
    bool sent;
    char letter;
};
static struct model_item model[SIZE / SPOOL_HEADER];
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
        for (int sent = 0; sent < 2; sent++)
            for (unsigned i = 0; i < model_count; i++)
                if ((int)model[i].severity == s && model[i].sent == sent) {
                    model_lost[s]++;
                    model_remove(i);
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
    struct spool copy = spool;
    struct spool_item item;
    uint64_t lost = 0;
    unsigned unsent = 0;

    spool_rewind(&copy);
    for (unsigned i = 0; i < model_count; i++) {
        if (!spool_next(&copy, &item) || item.seq != model[i].seq ||
            item.len + SPOOL_HEADER != model[i].size || item.severity != model[i].severity ||
            item.line[0] != model[i].letter || item.line[item.len - 1] != model[i].letter ||
            (copy.sent < spool.sent) != model[i].sent)
            return false;
        unsent += !model[i].sent;
        spool_mark_sent(&copy);
    }
    for (int s = 0; s < SEVERITY_COUNT; s++) {
        if (spool.lost_total[s] != model_lost[s])
            return false;
        lost += spool.lost_total[s];
    }
    return !spool_next(&copy, &item) && spool.events == model_count && spool.unsent == unsent &&
           model_pushed == model_delivered + model_count + lost;
}

static void model_send(void)
{
    spool_mark_sent(&spool);
    for (unsigned i = 0; i < model_count; i++) {
        if (!model[i].sent) {
            model[i].sent = true;
            return;
        }
    }
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
            REQUIRE(spool_push(&spool, s, seq, line, len) ==
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

TEST(some_of_the_sent_leave)
{
    spool_init(&spool, mem, SIZE);
    for (int i = 0; i < 4; i++)
        push(i % 2 ? SEVERITY_CRITICAL : SEVERITY_INFO, 'a' + i, REC);
    for (int i = 0; i < 3; i++)
        spool_mark_sent(&spool);
    CHECK_INT(spool_arrived(&spool, 0, 2), 3);
    CHECK_INT(spool_arrived(&spool, 1, 2), 2);
    CHECK_INT(spool_arrived(&spool, REC + 2, 2), 2);
    CHECK_INT(spool_arrived(&spool, REC + 3, 2), 1);
    CHECK_INT(spool_arrived(&spool, 3 * (REC + 2), 2), 0);
    CHECK_INT(spool_arrived(&spool, 9999, 2), 0);
    CHECK_INT(spool_delivered_first(&spool, 2), 2);
    CHECK_STR(letters(), "c|d");
    CHECK_INT(spool_delivered_first(&spool, 9), 1);
    CHECK_STR(letters(), "|d");
    CHECK_INT(spool.bytes[SEVERITY_INFO], 0);
    CHECK_INT(spool.bytes[SEVERITY_CRITICAL], spool.used);
    CHECK_INT(spool_delivered_first(&spool, 1), 0);
}

TEST_MAIN(some_of_the_sent_leave, first_in_first_out, least_severe_oldest_go_first,
          unsent_go_before_sent_of_the_same_severity, what_cannot_fit_evicts_nothing,
          agrees_with_a_simple_model)
