#include "nefia/hub/silences.h"

#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "nefia/base/err.h"
#include "nefia/hub/recent.h"
#include "nefia/hub/seen.h"
#include "tempdir.h"

enum { SET = 2000000000, UNSET = 5000, HOUR = 3600 * 1000, HOSTS = 2 };

static struct clock_fake fake;
static struct silence_memory memory;
static struct pattern_tree tree;
static struct matcher_work work;
static struct silences silences;
static struct journal journal;
static uint8_t journal_buf[JOURNAL_BYTES_MIN + 4096];
static struct seen seen;
static struct host host_slots[HOSTS];
static uint32_t host_chains[HOSTS];
static char memory_dir[] = "/dev/shm/nefia-silences-XXXXXX", disk_dir[] = "/tmp/nefia-silences-XXXXXX";
static const char *dir;
static bool kept; /* there */
static char why_buf[256];
static struct text why;
static unsigned ended;
static uint32_t ended_id;
static enum silence_end ended_how;

static void hook_ended(void *arg, const struct silence *s, enum silence_end how, uint32_t uid)
{
    (void)arg, (void)uid;
    ended++;
    ended_id = s->id;
    ended_how = how;
}

static void no_job(void *arg, const struct journal_job *job, const char *line, size_t len)
{
    (void)arg, (void)job, (void)line, (void)len;
}

static void no_report(void *arg, const struct journal_report *r)
{
    (void)arg, (void)r;
}

static void no_copy(void *arg)
{
    (void)arg;
}

static void start(void)
{
    const struct journal_hooks hooks = {.job = no_job, .copy = no_copy, .report = no_report};

    seen_init(&seen, host_slots, host_chains, HOSTS);
    journal_init(&journal, journal_buf, sizeof journal_buf, &seen, &hooks);
    silences_init(&silences, &fake.clock, &memory, &tree, &work, &journal);
    silences.ended = hook_ended;
    const struct journal_keeper keeper = silences_keeper(&silences);
    journal_keeper(&journal, KEPT_SILENCES, &keeper);
    text_init(&why, why_buf, sizeof why_buf);
    if (kept)
        CHECK_INT(journal_open(&journal, dir, 65536, false, &why), 0);
    silences_resume(&silences);
    ended = 0;
}

static void begin(int64_t now_s, bool with_journal)
{
    if (kept)
        journal_close(&journal);
    kept = with_journal;
    clock_fake_init(&fake, 1000, now_s);
    start();
}

static void setup(int64_t now_s)
{
    begin(now_s, false);
}

static void remove_dir(void)
{
    remove_tempdir(dir);
}

/** With a journal from here on: it is empty. */
static void setup_kept(int64_t now_s)
{
    if (!dir) {
        dir = make_tempdir(memory_dir, disk_dir);
        atexit(remove_dir);
    }
    begin(now_s, true);
    for (const struct silence *s = NULL; (s = silences_next(&silences, 0)) != NULL;)
        silences_remove(&silences, s->id, 0);
    CHECK_INT(journal_commit(&journal), 0);
}

/** killed: nothing is written any more. */
static void restart(bool killed, uint64_t down_ms)
{
    if (!killed) {
        silences_stop(&silences);
        CHECK_INT(journal_commit(&journal), 0);
    }
    journal_close(&journal);
    fake.now_ms = 7; /* another boot */
    fake.now_s += (int64_t)(down_ms / 1000);
    memset(&memory, 0x5A, sizeof memory);
    start();
}

static void pass(uint64_t ms)
{
    fake.now_ms += ms;
    fake.now_s += (int64_t)(ms / 1000);
}

static int64_t add(const char *json)
{
    struct silence_request r;

    text_reset(&why);
    int64_t id = silence_parse(&r, json, strlen(json), &why);
    if (id == 0)
        id = silences_add(&silences, &r, 1000, &why);
    if (kept)
        CHECK_INT(journal_commit(&journal), 0);
    return id;
}

static struct event event_of(const char *type, const char *host)
{
    return (struct event){.type = {type, strlen(type)}, .host_id = {host, strlen(host)}};
}

/** Which silence silences that, 0: none. */
static uint32_t silenced(const char *rule, const char *type, const char *host, const struct device *device)
{
    const struct event e = event_of(type, host);

    silences_refresh(&silences);
    const struct silence *s =
        silences_find(&silences, &(struct silence_subject){.rule = rule, .event = &e, .device = device ? *device : (struct device){0}});

    return s ? s->id : 0;
}

TEST(all_that_it_names_has_to_be_so)
{
    static const struct host_label labels[] = {{"site", "north"}, {"tier", "edge"}};
    const struct device north = {NULL, labels, 2}, south = {NULL, labels + 1, 1};

    setup(SET);
    CHECK_INT(add("{\"host\":\"^prod-\",\"for_ms\":60000,\"why\":\"w\"}"), 1);
    CHECK_INT(add("{\"type\":\"disk\\\\..*\",\"rule\":\"r1\",\"for_ms\":60000,\"why\":\"w\"}"), 2);
    CHECK_INT(add("{\"labels\":\"site=north,tier=edge\",\"for_ms\":60000,\"why\":\"w\"}"), 3);
    CHECK_INT(silenced("any", "t", "prod-1", NULL), 1);
    CHECK_INT(silenced("any", "t", "my-prod-1", NULL), 0);
    CHECK_INT(silenced("r1", "disk.usage", "x", NULL), 2);
    CHECK_INT(silenced("r2", "disk.usage", "x", NULL), 0);
    CHECK_INT(silenced("r1", "t", "x", NULL), 0);
    CHECK_INT(silenced("r1", "disk.usage", "prod-7", NULL), 1);
    CHECK_INT(silenced("r9", "t", "x", &north), 3);
    CHECK_INT(silenced("r9", "t", "x", &south), 0);
    CHECK_INT(silences.silenced, 0);
    const struct event e = event_of("t", "prod-1");
    const struct silence *hit = silences_hit(&silences, &(struct silence_subject){.rule = "r", .event = &e});
    CHECK(hit && hit->id == 1 && hit->hits == 1);
    CHECK_INT(silences.silenced, 1);
}

TEST(programs_move_up_when_one_ends)
{
    setup(SET);
    CHECK_INT(add("{\"host\":\"a[0-9]+\",\"type\":\"b[x-z]\",\"for_ms\":60000,\"why\":\"w\"}"), 1);
    CHECK_INT(add("{\"host\":\"c[f-k]\",\"for_ms\":60000,\"why\":\"w\"}"), 2);
    CHECK_INT(add("{\"rule\":\"none\",\"for_ms\":60000,\"why\":\"w\"}"), 3);
    CHECK_INT(add("{\"type\":\"d[0-9a-f]{3}\",\"for_ms\":60000,\"why\":\"w\"}"), 4);
    CHECK_INT(silences_remove(&silences, 1, 0), 0);
    CHECK_INT(ended, 1);
    CHECK_INT(silences_remove(&silences, 1, 0), NEFIA_ENOTFOUND);
    CHECK_INT(silenced("r", "bx", "a1", NULL), 0);
    CHECK_INT(silenced("r", "t", "cg", NULL), 2);
    CHECK_INT(silenced("r", "t", "cz", NULL), 0);
    CHECK_INT(silenced("r", "d09f", "x", NULL), 4);
    CHECK_INT(add("{\"host\":\"e[0-9]\",\"for_ms\":60000,\"why\":\"w\"}"), 5);
    CHECK_INT(silences_remove(&silences, 3, 0), 0);
    CHECK_INT(silenced("r", "t", "e5", NULL), 5);
    CHECK_INT(silenced("r", "d09f", "x", NULL), 4);
    CHECK_INT(silences_remove(&silences, 2, 0), 0);
    CHECK_INT(silenced("r", "t", "e5", NULL), 5);
    CHECK_INT(silenced("r", "t", "ex", NULL), 0);
    CHECK_INT(silenced("r", "d09f", "x", NULL), 4);
}

TEST(places_and_programs_run_out)
{
    char json[512];
    struct text t;
    unsigned n = 0;

    setup(SET);
    while (add("{\"host\":\"h\",\"for_ms\":60000,\"why\":\"w\"}") > 0)
        n++;
    CHECK_INT(n, CONFIG_SILENCES);
    CHECK(strstr(why.buf, "too many silences") != NULL);
    setup(SET);
    text_init(&t, json, sizeof json);
    text_str(&t, "{\"host\":\"[a-c]{200}\",\"for_ms\":60000,\"why\":\"w\"}");
    for (n = 0; add(json) > 0; n++)
        ;
    CHECK_INT(n, CONFIG_SILENCE_OPS / 201);
    CHECK(strstr(why.buf, "no room beside") != NULL);
    CHECK_INT(silences.count, n);
    CHECK(add("{\"host\":\"h\",\"for_ms\":60000,\"why\":\"w\"}") > 0);
}

TEST(it_ends_by_the_wall_clock)
{
    setup(SET);
    CHECK_INT(add("{\"host\":\"h\",\"for_ms\":3600000,\"why\":\"w\"}"), 1);
    CHECK(silences_due(&silences) <= fake.now_ms + SILENCE_KEEP_MS);
    fake.now_s += 3599; /* it was set: an hour has passed there */
    CHECK_INT(silenced("r", "t", "h", NULL), 1);
    fake.now_s += 1;
    CHECK_INT(silenced("r", "t", "h", NULL), 0);
    CHECK(silences_tick(&silences));
    CHECK(ended == 1 && ended_id == 1 && ended_how == SILENCE_EXPIRED);
    CHECK_INT(silences_due(&silences), UINT64_MAX);
}

TEST(it_is_never_longer_than_asked_for)
{
    setup(SET);
    CHECK_INT(add("{\"host\":\"h\",\"for_ms\":3600000,\"why\":\"w\"}"), 1);
    fake.now_s -= 86400; /* somebody sets it back */
    fake.now_ms += HOUR - 1;
    CHECK_INT(silenced("r", "t", "h", NULL), 1);
    fake.now_ms += 1;
    CHECK_INT(silenced("r", "t", "h", NULL), 0);
    setup(UNSET); /* and where it never was set, what it says is nothing */
    CHECK_INT(add("{\"host\":\"h\",\"for_ms\":3600000,\"why\":\"w\"}"), 1);
    fake.now_s = SET;
    CHECK_INT(silenced("r", "t", "h", NULL), 1);
    fake.now_ms += HOUR;
    CHECK_INT(silenced("r", "t", "h", NULL), 0);
}

TEST(it_is_kept_over_a_restart)
{
    if (!IS_ENABLED(CONFIG_HUB_STATE))
        return;
    setup_kept(SET);
    const int64_t id = add("{\"host\":\"h[0-9]\",\"type\":\"t\",\"rule\":\"r\",\"for_ms\":3600000,\"why\":\"because\"}");
    CHECK(id > 0);
    pass(60000);
    restart(false, 60000);
    CHECK_INT(silenced("r", "t", "h1", NULL), id);
    const struct silence *s = silences_next(&silences, 0);
    REQUIRE(s != NULL);
    CHECK_STR(silence_word(s, SILENCE_WHY), "because");
    CHECK_INT(s->uid, 1000);
    CHECK_INT(silences_left_ms(&silences, s), HOUR - 120000);
    restart(true, 3000000);
    CHECK_INT(silenced("r", "t", "h1", NULL), id);
    restart(true, 600000);
    CHECK_INT(silenced("r", "t", "h1", NULL), 0);
    silences_tick(&silences);
    CHECK(ended == 1 && ended_how == SILENCE_EXPIRED);
    CHECK_INT(journal_commit(&journal), 0);
    restart(false, 0);
    CHECK_INT(silences.count, 0);
    CHECK_INT(add("{\"host\":\"h\",\"for_ms\":3600000,\"why\":\"w\"}"), id + 1); /* no number comes again */
}

TEST(without_a_clock_only_the_time_it_ran_counts)
{
    if (!IS_ENABLED(CONFIG_HUB_STATE))
        return;
    setup_kept(UNSET);
    CHECK(add("{\"host\":\"h\",\"for_ms\":3600000,\"why\":\"w\"}") > 0);
    pass(600000);
    restart(false, 86400000);
    const struct silence *s = silences_next(&silences, 0);
    REQUIRE(s != NULL);
    CHECK_INT(silences_left_ms(&silences, s), HOUR - 600000);
}

/** A hub that is killed every ten seconds, with a clock that is never set, or is set back each time. */
TEST(kills_do_not_stretch_it)
{
    uint64_t ran = 0;

    if (!IS_ENABLED(CONFIG_HUB_STATE))
        return;
    for (int set = 0; set < 2; set++) {
        setup_kept(set ? SET : UNSET);
        CHECK(add("{\"host\":\"h\",\"for_ms\":3600000,\"why\":\"w\"}") > 0);
        for (ran = 0; silenced("r", "t", "h", NULL) > 0 && ran < 2u * HOUR; ran += 10000) {
            fake.now_ms += 10000;
            if (silences_tick(&silences))
                CHECK_INT(journal_commit(&journal), 0);
            restart(true, 0);
            if (set)
                fake.now_s = SET + (int64_t)(ran / 1000) + 10;
        }
        CHECK(ran <= HOUR);
        CHECK(!set || ran == HOUR); /* the clock gives back what was kept ahead */
    }
}

TEST(the_reason_fits_a_row)
{
    char buf[RECENT_ERROR_MAX + 1];
    struct text t;

    setup(SET);
    CHECK(add("{\"host\":\"h\",\"for_ms\":2592000000,\"why\":\"w\"}") > 0);
    text_init(&t, buf, sizeof buf);
    silence_reason(&t, &silences, silences_next(&silences, 0));
    CHECK_STR(buf, "silenced by #1 until 2033-06-17T03:33:20Z");
    setup(UNSET);
    CHECK(add("{\"host\":\"h\",\"for_ms\":5400000,\"why\":\"w\"}") > 0);
    text_init(&t, buf, sizeof buf);
    silence_reason(&t, &silences, silences_next(&silences, 0));
    CHECK_STR(buf, "silenced by #1 for 1h30m more");
}

TEST(bad_requests_are_refused)
{
    static const struct {
        const char *json, *says;
    } cases[] = {
        {"", "not a request"},
        {"[]", "an object is wanted"},
        {"{\"host\":\"h\",\"for_ms\":60000}", "why: say the reason"},
        {"{\"host\":\"h\",\"why\":\"w\"}", "for: how long"},
        {"{\"host\":\"h\",\"why\":\"w\",\"for_ms\":-1}", "for: how long"},
        {"{\"host\":\"h\",\"why\":\"w\",\"for_ms\":999}", "at least 1s"},
        {"{\"host\":\"h\",\"why\":\"w\",\"for_ms\":2592000001}", "at most 30d"},
        {"{\"why\":\"w\",\"for_ms\":60000}", "host, type, label or rule"},
        {"{\"host\":\"\",\"why\":\"w\",\"for_ms\":60000}", "host, type, label or rule"},
        {"{\"host\":7,\"why\":\"w\",\"for_ms\":60000}", "a string is wanted"},
        {"{\"host\":\"h\",\"hosts\":\"h\",\"why\":\"w\",\"for_ms\":60000}", "a silence has"},
        {"{\"host\":\"h\\u0000\",\"why\":\"w\",\"for_ms\":60000}", "control or hidden"},
        {"{\"host\":\"h\",\"why\":\"a\\u001b[2J\",\"for_ms\":60000}", "control or hidden"},
        {"{\"labels\":\"site\",\"why\":\"w\",\"for_ms\":60000}", "KEY=VALUE"},
        {"{\"labels\":\"a=b,\",\"why\":\"w\",\"for_ms\":60000}", "KEY=VALUE"},
        {"{\"labels\":\"a=\",\"why\":\"w\",\"for_ms\":60000}", "KEY=VALUE"},
        {"{\"labels\":\",a=b\",\"why\":\"w\",\"for_ms\":60000}", "KEY=VALUE"},
        {"{\"host\":\"h(\",\"why\":\"w\",\"for_ms\":60000}", "offset 1"},
        {"{\"type\":\"\\\\pL\",\"why\":\"w\",\"for_ms\":60000}", "type: \"\\pL\": offset 0"},
    };

    setup(SET);
    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        CHECK(add(cases[i].json) < 0);
        CHECK(strstr(why.buf, cases[i].says) != NULL);
    }
    CHECK_INT(silences.count, 0);
    CHECK_INT(add("{\"host\":\"h\",\"why\":\"w\",\"for_ms\":60000}"), 1);
}

/** What a slot held in the journal may be anything. */
TEST(slots_that_are_none_are_left_out)
{
    uint8_t bytes[64] = {0};

    setup(SET);
    const struct journal_keeper keeper = silences_keeper(&silences);
    for (size_t len = 0; len <= sizeof bytes; len++)
        keeper.restore(keeper.arg, 0, bytes, len);
    bytes[3] = 9; /* an id, and no words */
    for (size_t len = 0; len <= sizeof bytes; len++)
        keeper.restore(keeper.arg, 0, bytes, len);
    keeper.restore(keeper.arg, CONFIG_SILENCES, bytes, sizeof bytes);
    CHECK_INT(silences.count, 0);
    bytes[41] = '(';
    keeper.restore(keeper.arg, 0, bytes, 46);
    CHECK_INT(silences.count, 0);
}

TEST_MAIN(all_that_it_names_has_to_be_so, programs_move_up_when_one_ends, places_and_programs_run_out, it_ends_by_the_wall_clock,
          it_is_never_longer_than_asked_for, it_is_kept_over_a_restart, without_a_clock_only_the_time_it_ran_counts,
          kills_do_not_stretch_it, the_reason_fits_a_row, bad_requests_are_refused, slots_that_are_none_are_left_out)
