/* A request for a silence, as a client of the control socket may send it, and behind a newline what the journal may hold of one: refused
 * with a sentence, or a silence whose words and programs are whole, also where others come and go. */
#include <string.h>

#include "nefia/base/err.h"
#include "nefia/hub/silences.h"

#define MUST(condition)                                                                            \
    do {                                                                                           \
        if (!(condition))                                                                          \
            __builtin_trap();                                                                      \
    } while (0)

static struct clock_fake fake;
static struct silence_memory memory;
static struct pattern_tree tree;
static struct matcher_work work;
static struct silences silences;
static struct journal journal = {.fd = -1, .dir_fd = -1, .lock_fd = -1};

/** The programs of all lie one behind the other, within the pools. */
static void check_programs(void)
{
    unsigned ops = 0, ranges = 0, count = 0;

    for (const struct silence *s = NULL; (s = silences_next(&silences, s ? s->id : 0)) != NULL; count++) {
        MUST(s->op_at + s->op_count <= CONFIG_SILENCE_OPS && s->range_at + s->range_count <= CONFIG_SILENCE_RANGES);
        ops += s->op_count;
        ranges += s->range_count;
        for (unsigned i = 0; i < SILENCE_WORDS; i++)
            MUST(silence_word(s, (enum silence_word)i) + strlen(silence_word(s, (enum silence_word)i)) < s->words.text + SILENCE_TEXT);
    }
    MUST(count == silences.count && ops <= CONFIG_SILENCE_OPS && ranges <= CONFIG_SILENCE_RANGES);
}

static void ask(void)
{
    static const struct host_label labels[] = {{"site", "north"}};
    const struct event e = {.type = {"disk.usage", 10}, .host_id = {"prod-1", 6}};
    const struct silence_subject q = {.rule = "r", .event = &e, .device = {NULL, labels, 1}};
    char buf[64 * 6 + 8 * SILENCE_TEXT];
    struct json_writer w;
    struct text t;

    const struct silence *s = silences_hit(&silences, &q);
    if (!s)
        return;
    text_init(&t, buf, sizeof buf);
    silence_reason(&t, &silences, s);
    MUST(!t.truncated);
    text_reset(&t);
    json_begin(&w, &t);
    json_object(&w, NULL);
    silence_put(&w, &silences, s);
    json_end_object(&w);
    MUST(!t.truncated);
}

static void add(const char *json, size_t len)
{
    char buf[256];
    struct silence_request r;
    struct text why;

    text_init(&why, buf, sizeof buf);
    int err = silence_parse(&r, json, len, &why);
    MUST((err < 0) == (why.len > 0));
    if (err < 0)
        return;
    MUST(r.for_ms >= SILENCE_LEAST_MS && r.for_ms <= SILENCE_MOST_MS);
    const int64_t id = silences_add(&silences, &r, 0, &why);
    MUST((id < 0) == (why.len > 0) && utf8_valid(why.buf, why.len));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    const uint8_t *newline = memchr(data, '\n', len);
    const size_t first = newline ? (size_t)(newline - data) : len;

    clock_fake_init(&fake, 1000, 2000000000);
    silences_init(&silences, &fake.clock, &memory, &tree, &work, &journal);
    const struct journal_keeper keeper = silences_keeper(&silences);
    if (newline)
        keeper.restore(keeper.arg, 1, newline + 1, len - first - 1);
    silences_resume(&silences);
    add("{\"host\":\"[a-z]{3}\",\"rule\":\"x\",\"why\":\"w\",\"for_ms\":60000}", 55);
    add((const char *)data, first);
    check_programs();
    ask();
    if (silences_next(&silences, 0))
        MUST(silences_remove(&silences, silences_next(&silences, 0)->id, 0) == 0);
    check_programs();
    ask();
    fake.now_ms += SILENCE_MOST_MS;
    silences_tick(&silences);
    return 0;
}
