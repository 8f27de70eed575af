#include "nefia/hub/commands.h"

#include "check.h"
#include "nefia/base/err.h"
#include "nefia/hub/seen.h"

enum { PLACES = 8, TEXT = 24 * 1024, HOSTS = 3, IDS = 60000, KNOWN = 64, STEPS = 60000 };
enum { BEGINS_S = 2000000000 }; /* after every build's date; before it the clock is not synced */

static struct clock_fake fake;
static struct command slots[PLACES];
static char text[TEXT];
static uint8_t kept[JOURNAL_KEPT_MAX];
static struct commands table;
static uint64_t next_id;
static bool random_fails;

/* ---- The journal: what is kept in a turn is there after a restart once that is committed ---- */

struct slot {
    size_t len;
    uint8_t bytes[JOURNAL_KEPT_MAX];
};
static struct slot disk[PLACES], turn[PLACES];

static void keep(void *arg, uint16_t slot, const void *bytes, size_t len)
{
    (void)arg;
    REQUIRE(slot < PLACES && len <= JOURNAL_KEPT_MAX);
    turn[slot].len = len;
    if (len > 0)
        memcpy(turn[slot].bytes, bytes, len);
}

static int random_bytes(void *buf, size_t len)
{
    CHECK_INT((long long)len, 8);
    put_be64(buf, ++next_id);
    return random_fails ? NEFIA_EIO : 0;
}

/* ---- What has ended, in the order it was told ---- */

struct told {
    uint64_t number, id, job;
    enum link_outcome outcome;
    uint8_t owner;
    char error[COMMAND_ERROR_MAX + 1], output[COMMAND_OUTPUT_MAX + 1];
    size_t output_len;
};
static struct told last;
static unsigned told_count;
static void (*also)(const struct told *t);

static void ended(void *arg, const struct command *c, const struct command_end *e)
{
    (void)arg;
    last = (struct told){.number = c->number, .id = c->id, .job = c->job, .outcome = e->outcome, .owner = c->owner};
    CHECK(strlen(e->error) <= COMMAND_ERROR_MAX);
    memcpy(last.error, e->error, strlen(e->error));
    CHECK(e->output.len <= COMMAND_OUTPUT_MAX);
    memcpy(last.output, e->output.ptr, e->output.len);
    last.output_len = e->output.len;
    told_count++;
    if (also)
        also(&last);
}

static void start(void)
{
    static const struct command_hooks hooks = {.keep = keep, .ended = ended, .random = random_bytes};

    commands_init(&table, &fake.clock, slots, PLACES, text, TEXT, kept, &hooks);
}

static void setup(void)
{
    clock_fake_init(&fake, 1000, BEGINS_S);
    memset(disk, 0, sizeof disk);
    memset(turn, 0, sizeof turn);
    also = NULL;
    told_count = 0;
    random_fails = false;
    start();
}

static void commit(void)
{
    memcpy(disk, turn, sizeof disk);
}

static void restart(void)
{
    memcpy(turn, disk, sizeof disk);
    start();
    for (unsigned i = 0; i < PLACES; i++)
        if (disk[i].len > 0)
            commands_restore(&table, (uint16_t)i, disk[i].bytes, disk[i].len);
}

static struct slice str(const char *s)
{
    return (struct slice){s, strlen(s)};
}

static const uint8_t *key(const char *host)
{
    static uint8_t id[SESSION_HOST];

    host_id_of(id, str(host));
    return id;
}

static uint64_t order(const char *host, enum command_owner owner, uint32_t life_ms)
{
    uint64_t number = 0;

    CHECK_INT(commands_order(&table,
                             &(struct command_order){.owner = owner,
                                                     .job = 70 + next_id,
                                                     .host = str(host),
                                                     .op = str("{\"run\":\"true\"}"),
                                                     .cause = str("[\"a\"]"),
                                                     .life_ms = life_ms,
                                                     .timeout_ms = 30000,
                                                     .who = "rule"},
                             &number),
              0);
    return number;
}

static bool answer(const char *host, uint64_t id, struct link_result r)
{
    r.id = id;
    return commands_result(&table, key(host), &r);
}

/* ---- One after the other ---- */

TEST(goes_to_its_device_once_it_is_there)
{
    struct link_command m;

    setup();
    const uint64_t number = order("web", COMMAND_OF_JOB, 10000);
    CHECK(commands_choose(&table, key("other"), 3) == NULL);
    const struct command *c = commands_choose(&table, key("web"), 7);
    REQUIRE(c);
    CHECK_INT((long long)c->number, (long long)number);
    fake.now_ms += 400;
    commands_message(&table, c, 900, &m);
    CHECK_INT((long long)m.first, 7);
    CHECK_INT((long long)m.age_ms, 500);
    CHECK_INT((long long)m.life_ms, 9600);
    CHECK(slice_eq(m.op, "{\"run\":\"true\"}"));
    CHECK(slice_eq(m.cause, "[\"a\"]"));
    CHECK(commands_choose(&table, key("web"), 7) == NULL);
    CHECK(!answer("web", m.id + 1, (struct link_result){.outcome = LINK_DONE}));
    CHECK(!answer("other", m.id, (struct link_result){.outcome = LINK_DONE}));
    CHECK(answer("web", m.id, (struct link_result){.outcome = LINK_DONE}));
    CHECK_INT(last.outcome, LINK_DONE);
    CHECK_STR(last.error, "");
    CHECK(commands_get(&table, number) == NULL);
    CHECK(!answer("web", m.id, (struct link_result){.outcome = LINK_DONE}));
    CHECK_INT(told_count, 1);
    CHECK_INT((long long)table.text_used, 0);
}

TEST(no_answer_before_it_was_sent)
{
    setup();
    const uint64_t number = order("web", COMMAND_OF_JOB, 10000);
    CHECK(!answer("web", commands_get(&table, number)->id, (struct link_result){.outcome = LINK_DONE}));
    CHECK_INT(commands_get(&table, number)->state, COMMAND_WAITING);
}

TEST(one_at_a_time_in_order)
{
    setup();
    const uint64_t a = order("web", COMMAND_OF_JOB, 10000), b = order("web", COMMAND_OF_JOB, 10000),
                   x = order("db", COMMAND_OF_JOB, 10000);
    CHECK_INT((long long)commands_choose(&table, key("web"), 7)->number, (long long)a);
    CHECK_INT((long long)commands_choose(&table, key("db"), 4)->number, (long long)x);
    commands_lost(&table, key("web"));
    CHECK_INT((long long)commands_choose(&table, key("web"), 8)->number, (long long)a);
    CHECK_INT((long long)commands_get(&table, a)->first, 7);
    CHECK(answer("web", commands_get(&table, a)->id, (struct link_result){.outcome = LINK_DENIED}));
    CHECK_INT((long long)commands_choose(&table, key("web"), 8)->number, (long long)b);
    CHECK_INT((long long)commands_get(&table, b)->first, 8);
    CHECK_INT((long long)table.stats.sent, 3);
    CHECK_INT((long long)table.stats.again, 1);
}

TEST(what_is_late_expires_but_is_asked_for_if_it_was_sent)
{
    struct link_command m;

    setup();
    const uint64_t a = order("web", COMMAND_OF_JOB, 1000), b = order("db", COMMAND_OF_JOB, 5000);
    CHECK(commands_choose(&table, key("db"), 2) != NULL);
    CHECK_INT((long long)commands_tick(&table), 2000);
    fake.now_ms = 1999;
    CHECK_INT((long long)commands_tick(&table), 2000);
    fake.now_ms = 2000;
    CHECK(commands_choose(&table, key("web"), 7) == NULL);
    CHECK_INT((long long)commands_tick(&table), 6000 + 30000 + COMMAND_LOST_MS);
    CHECK_INT((long long)last.number, (long long)a);
    CHECK_STR(last.error, "the device was not there in time");
    fake.now_ms = 8000;
    commands_tick(&table);
    commands_lost(&table, key("db"));
    commands_message(&table, commands_choose(&table, key("db"), 3), 7900, &m);
    CHECK_INT((long long)m.life_ms, 0);
    CHECK_INT((long long)m.first, 2);
    fake.now_ms = 6000 + 30000 + COMMAND_LOST_MS;
    CHECK(commands_tick(&table) == UINT64_MAX);
    CHECK_INT((long long)last.number, (long long)b);
    CHECK_STR(last.error, "end unknown");
}

TEST(a_busy_device_is_asked_again)
{
    setup();
    const uint64_t a = order("web", COMMAND_OF_JOB, 60000);
    const uint64_t id = commands_get(&table, a)->id;
    CHECK(commands_choose(&table, key("web"), 7) != NULL);
    CHECK(answer("web", id, (struct link_result){.outcome = LINK_BUSY}));
    CHECK(!answer("web", id, (struct link_result){.outcome = LINK_BUSY}));
    CHECK(commands_choose(&table, key("web"), 7) == NULL);
    CHECK_INT((long long)commands_tick(&table), 1000 + COMMAND_BUSY_MS);
    fake.now_ms += COMMAND_BUSY_MS;
    REQUIRE(commands_choose(&table, key("web"), 7));
    CHECK_INT((long long)commands_get(&table, a)->id, (long long)id);
    CHECK(answer("web", id, (struct link_result){.outcome = LINK_DONE}));
    CHECK_INT((long long)table.stats.ended[LINK_BUSY], 1);
}

TEST(an_unknown_end_is_begun_again_only_if_idempotent)
{
    struct command_order o = {.owner = COMMAND_OF_JOB, .host = str("web"), .op = str("{}"), .cause = str(""), .life_ms = 5000,
                              .timeout_ms = 1000, .idempotent = true, .who = "r"};
    uint64_t number, id;

    setup();
    CHECK_INT(commands_order(&table, &o, &number), 0);
    id = commands_get(&table, number)->id;
    commands_choose(&table, key("web"), 7);
    CHECK(answer("web", id, (struct link_result){.outcome = LINK_END_UNKNOWN}));
    CHECK_INT(told_count, 0);
    CHECK(commands_get(&table, number)->id != id);
    CHECK(commands_choose(&table, key("web"), 8) == NULL);
    fake.now_ms += COMMAND_BUSY_MS;
    REQUIRE(commands_choose(&table, key("web"), 8));
    CHECK_INT((long long)commands_get(&table, number)->first, 8);
    fake.now_ms += 5000;
    CHECK(answer("web", commands_get(&table, number)->id, (struct link_result){.outcome = LINK_END_UNKNOWN}));
    CHECK_INT(told_count, 1);
    CHECK_STR(last.error, "end unknown");
    order("web", COMMAND_OF_JOB, 5000);
    CHECK(answer("web", commands_choose(&table, key("web"), 8)->id, (struct link_result){.outcome = LINK_END_UNKNOWN}));
    CHECK_INT(told_count, 2);
}

/** Each time is a frame of the journal and three records of the audit. */
TEST(a_device_that_says_unknown_each_time_makes_little_work)
{
    struct command_order o = {.owner = COMMAND_OF_JOB, .host = str("web"), .op = str("{}"), .cause = str(""), .life_ms = 3600000,
                              .timeout_ms = 1000, .idempotent = true, .who = "r"};
    uint64_t number;
    unsigned times = 0;

    setup();
    CHECK_INT(commands_order(&table, &o, &number), 0);
    while (told_count == 0) {
        const struct command *c = commands_choose(&table, key("web"), 7);
        if (c) {
            times++;
            CHECK(answer("web", c->id, (struct link_result){.outcome = LINK_END_UNKNOWN}));
            CHECK(commands_choose(&table, key("web"), 7) == NULL);
        }
        const uint64_t next = commands_tick(&table);
        if (told_count == 0) {
            REQUIRE(next > fake.now_ms);
            fake.now_ms = next;
        }
    }
    CHECK(times < 80);
    CHECK(times > 50);
}

TEST(what_is_not_to_begin_any_more_is_only_asked_for)
{
    struct link_command m;

    setup();
    const uint64_t a = order("web", COMMAND_OF_JOB, 60000);
    REQUIRE(commands_choose(&table, key("web"), 7));
    commit();
    commands_lost(&table, key("web"));
    commands_end(&table, a, LINK_DENIED, "denied");
    CHECK_INT(told_count, 0);
    REQUIRE(commands_choose(&table, key("web"), 7));
    commands_message(&table, commands_get(&table, a), 1000, &m);
    CHECK_INT((long long)m.life_ms, 0);
    CHECK_INT((long long)m.op.len, 0);
    CHECK(answer("web", commands_get(&table, a)->id, (struct link_result){.outcome = LINK_EXPIRED}));
    CHECK_INT(told_count, 1);
}

TEST(the_error_says_what_happened)
{
    static const struct {
        struct link_result r;
        const char *error;
    } cases[] = {
        {{.outcome = LINK_DONE, .exit_code = 3}, "exit 3"},
        {{.outcome = LINK_DONE, .signal = 9}, "signal 9"},
        {{.outcome = LINK_DONE, .signal = 9, .timed_out = true}, "timed out after 30s"},
        {{.outcome = LINK_DENIED, .reason = "matches deny_commands"}, "denied by the device: matches deny_commands"},
        {{.outcome = LINK_UNSUPPORTED, .reason = "no argv"}, "not supported by the device: no argv"},
        {{.outcome = LINK_EXPIRED}, "the device was not there in time"},
        {{.outcome = LINK_END_UNKNOWN}, "end unknown"},
        {{.outcome = LINK_DENIED, .reason = "a reason that is much longer than the row of an event has room for it"},
         "denied by the device: a reason that is much longer than the row"},
    };

    setup();
    for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        order("web", COMMAND_OF_JOB, 5000);
        CHECK(answer("web", commands_choose(&table, key("web"), 1)->id, cases[i].r));
        CHECK_STR(last.error, cases[i].error);
    }
}

TEST(a_client_reads_reason_and_output)
{
    static const char raw[] = "a\\n\\u0041\\\"";
    struct link_result r = {.outcome = LINK_DONE, .exit_code = 2, .duration_ms = 12, .output_total = 4, .output = {raw, sizeof raw - 1}};

    setup();
    const uint64_t a = order("web", COMMAND_OF_CLIENT, 5000), b = order("db", COMMAND_OF_JOB, 5000);
    CHECK(answer("web", commands_choose(&table, key("web"), 1)->id, r));
    CHECK_INT((long long)last.output_len, 4);
    const struct command *c = commands_get(&table, a);
    REQUIRE(c);
    CHECK_INT(c->state, COMMAND_ENDED);
    CHECK(slice_eq(command_output(&table, c), "a\nA\""));
    CHECK(slice_eq(command_reason(&table, c), ""));
    CHECK(slice_eq(command_host(&table, c), "web"));
    CHECK_INT(c->exit_code, 2);
    CHECK_INT((long long)c->duration_ms, 12);
    commands_free(&table, a);
    CHECK(commands_get(&table, a) == NULL);
    CHECK(slice_eq(command_op(&table, commands_get(&table, b)), "{\"run\":\"true\"}"));
    commands_free(&table, b); /* has not ended */
    CHECK(commands_get(&table, b) != NULL);
}

TEST(long_output_is_cut_between_characters)
{
    static char raw[8000];

    setup();
    for (unsigned i = 0; i + 2 <= sizeof raw; i += 2)
        memcpy(raw + i, "\xc3\xa4", 2);
    raw[0] = 'x';
    raw[1] = 'y';
    raw[2] = 'z'; /* and a lone byte of a character behind it */
    raw[3] = '!';
    const uint64_t a = order("web", COMMAND_OF_CLIENT, 5000);
    CHECK(answer("web", commands_choose(&table, key("web"), 1)->id,
                 (struct link_result){.outcome = LINK_DENIED, .reason = "r", .output = {raw, sizeof raw}}));
    CHECK_INT((long long)command_output(&table, commands_get(&table, a)).len, COMMAND_OUTPUT_MAX);
    CHECK(slice_eq(command_reason(&table, commands_get(&table, a)), "r"));
}

TEST(whoever_leaves)
{
    setup();
    const uint64_t a = order("web", COMMAND_OF_CLIENT, 5000), b = order("web", COMMAND_OF_CLIENT, 5000);
    const uint64_t id = commands_choose(&table, key("web"), 1)->id;
    commands_leave(&table, b, "withdrawn");
    CHECK_INT(last.outcome, LINK_EXPIRED);
    CHECK_STR(last.error, "withdrawn");
    CHECK(commands_get(&table, b) == NULL);
    commands_leave(&table, a, "withdrawn");
    CHECK_INT(commands_get(&table, a)->owner, COMMAND_OF_NOBODY);
    CHECK(commands_find(&table, key("web"), id) == commands_get(&table, a));
    commands_join(&table, a);
    CHECK_INT(commands_get(&table, a)->owner, COMMAND_OF_CLIENT);
    commands_leave(&table, a, "withdrawn");
    CHECK(answer("web", id, (struct link_result){.outcome = LINK_DONE}));
    CHECK_INT(told_count, 2);
    CHECK(commands_get(&table, a) == NULL);
}

TEST(a_session_without_commands)
{
    setup();
    order("web", COMMAND_OF_JOB, 5000);
    order("web", COMMAND_OF_JOB, 5000);
    const uint64_t other = order("db", COMMAND_OF_JOB, 5000);
    commands_choose(&table, key("web"), 1);
    commands_refused(&table, key("web"), "it takes none");
    CHECK_INT(told_count, 2);
    CHECK_INT((long long)table.stats.ended[LINK_END_UNKNOWN], 1);
    CHECK_INT((long long)table.stats.ended[LINK_UNSUPPORTED], 1);
    CHECK_STR(last.error, "not supported by the device: it takes none");
    CHECK(commands_get(&table, other) != NULL);
}

TEST(a_host_and_the_rules_have_their_share)
{
    static char longest[COMMAND_OP_MAX + 1];
    struct command_order o = {.owner = COMMAND_OF_JOB, .host = str("web"), .op = str("{}"), .cause = str(""), .life_ms = 5000, .who = "r"};
    static const char *const names[] = {"a", "b", "c", "d"};
    uint64_t number;

    setup();
    CHECK_INT(commands_order(&table, &o, &number), 0);
    CHECK_INT(commands_order(&table, &o, &number), 0);
    CHECK_INT(commands_order(&table, &o, &number), NEFIA_EFULL);
    for (unsigned i = 0; i < 4; i++) {
        o.host = str(names[i]);
        CHECK_INT(commands_order(&table, &o, &number), 0);
    }
    o.host = str("e");
    CHECK_INT(commands_order(&table, &o, &number), NEFIA_EFULL);
    o.owner = COMMAND_OF_CLIENT;
    CHECK_INT(commands_order(&table, &o, &number), 0);
    CHECK_INT((long long)table.stats.full, 2);
    memset(longest, ' ', sizeof longest);
    o.op = (struct slice){longest, COMMAND_OP_MAX + 1};
    CHECK_INT(commands_order(&table, &o, &number), NEFIA_ETOOBIG);
    o.op.len = COMMAND_OP_MAX;
    CHECK_INT(commands_order(&table, &o, &number), 0);
    random_fails = true;
    setup();
    random_fails = true;
    CHECK_INT(commands_order(&table, &o, &number), NEFIA_EIO);
    CHECK_INT((long long)table.text_used, 0);
}

TEST(a_question_about_a_command_of_long_ago)
{
    struct link_command m;
    uint64_t number;

    setup();
    CHECK_INT(commands_order(&table,
                             &(struct command_order){.owner = COMMAND_OF_CLIENT, .id = 4711, .host = str("web"), .op = str("{}"),
                                                     .cause = str(""), .who = "uid 0"},
                             &number),
              0);
    commands_tick(&table);
    REQUIRE(commands_choose(&table, key("web"), 7));
    commands_message(&table, commands_get(&table, number), 1000, &m);
    CHECK_INT((long long)m.id, 4711);
    CHECK_INT((long long)m.life_ms, 0);
    CHECK(m.first > 0 && m.first != 7);
}

/* ---- Restarts ---- */

TEST(a_restart_keeps_what_is_committed)
{
    setup();
    const uint64_t a = order("web", COMMAND_OF_JOB, 20000), b = order("db", COMMAND_OF_CLIENT, 20000);
    const uint64_t id = commands_choose(&table, key("web"), 7)->id;
    commit();
    CHECK(answer("web", id, (struct link_result){.outcome = LINK_DONE}));
    fake.now_s += 5;
    fake.now_ms = 50;
    restart();
    const struct command *c = commands_get(&table, a);
    REQUIRE(c);
    CHECK_INT(c->state, COMMAND_SENT);
    CHECK(!c->asked);
    CHECK_INT((long long)c->first, 7);
    CHECK_INT((long long)c->until_ms, 50 + 20000 - 6000);
    CHECK(slice_eq(command_who(&table, c), "rule"));
    CHECK(slice_eq(command_op(&table, c), "{\"run\":\"true\"}"));
    CHECK(slice_eq(command_cause(&table, c), "[\"a\"]"));
    CHECK_INT(commands_get(&table, b)->state, COMMAND_WAITING);
    CHECK(order("web", COMMAND_OF_JOB, 1000) > b);
    memset(turn, 0, sizeof turn);
    commands_copy(&table);
    commit();
    restart();
    CHECK(commands_get(&table, a) && commands_get(&table, b) && commands_in(&table, COMMAND_WAITING) == 2);
    CHECK(answer("web", id, (struct link_result){.outcome = LINK_DONE}));
}

static void over_a_restart(int64_t before_s, int64_t after_s, bool lives)
{
    setup();
    fake.now_s = before_s;
    const uint64_t a = order("web", COMMAND_OF_JOB, 60000), b = order("db", COMMAND_OF_JOB, 60000);
    commands_choose(&table, key("db"), 3);
    commit();
    fake.now_s = after_s;
    restart();
    commands_tick(&table);
    CHECK_INT(commands_get(&table, a) != NULL, lives);
    CHECK_INT(told_count, !lives);
    CHECK(commands_get(&table, b) != NULL);
    CHECK_INT(commands_get(&table, b)->until_ms > fake.now_ms, lives);
}

TEST(without_a_clock_a_life_is_over)
{
    over_a_restart(BEGINS_S, BEGINS_S + 10, true);
    over_a_restart(BEGINS_S, BEGINS_S + 59, false);
    over_a_restart(BEGINS_S, BEGINS_S - 1, false);
    over_a_restart(100, BEGINS_S, false);
    over_a_restart(100, 110, false);
    over_a_restart(BEGINS_S, 100, false);
}

TEST(damaged_slots_are_no_commands)
{
    struct slot whole;

    setup();
    order("web", COMMAND_OF_CLIENT, 20000);
    whole = turn[0];
    for (size_t len = 0; len < whole.len; len++) {
        start();
        commands_restore(&table, 0, whole.bytes, len);
        CHECK(commands_next(&table, 0) == NULL && table.text_used == 0);
    }
    for (size_t i = 0; i < whole.len; i++)
        for (unsigned bit = 0; bit < 8; bit++) {
            uint8_t bytes[JOURNAL_KEPT_MAX];

            start();
            memcpy(bytes, whole.bytes, whole.len);
            bytes[i] ^= (uint8_t)(1 << bit);
            commands_restore(&table, 0, bytes, whole.len);
            commands_restore(&table, PLACES, bytes, whole.len);
            commands_tick(&table);
            commands_copy(&table);
        }
    commands_restore(&table, 0, whole.bytes, whole.len);
    commands_restore(&table, 0, NULL, 0);
    CHECK(commands_next(&table, 0) == NULL);
}

/* ---- Random histories: a hub and its devices, against an account of what really happened ---- */

/** Of an order, by its number. */
struct account {
    uint8_t host, owner;
    bool idempotent, ordered;
    uint64_t at_ms, life_ms; /* of the world */
    unsigned begun, finished;
    int told; /* enum link_outcome; -1: not yet */
    char op[32];
};
static struct account accounts[IDS];
static uint64_t of_id[IDS]; /* number of its order */

struct known {
    uint64_t id;
    bool ended;
    enum link_outcome outcome;
    uint8_t exit_code;
};
struct device {
    bool keeps, open, takes; /* keeps: its memory is on flash; takes: commands */
    uint64_t boot, hello_ms; /* of the world, when it sent its hello */
    uint64_t heard_ms;       /* the hub's clock, when that came */
    struct known known[KNOWN];
    unsigned knows;
    uint64_t runs, result;    /* ids: running; ended, and not acknowledged */
    uint64_t last_begun;      /* number of the order */
    bool busy;                /* with another hub's */
    struct link_command sent; /* on its way; id 0: none */
    bool chosen;              /* by the hub; sent once that is committed */
};
static struct device devices[HOSTS];
static const char *const names[HOSTS] = {"web", "db", "edge"};
static uint64_t world_ms, seed, boots;
static unsigned outcomes[LINK_BUSY + 1], again;

static uint32_t below(uint32_t n)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(seed >> 33) % n;
}

static void pass(uint64_t ms)
{
    world_ms += ms;
    fake.now_ms += ms;
    fake.now_s = fake.now_s < BEGINS_S ? fake.now_s : BEGINS_S + (int64_t)(world_ms / 1000);
}

static void account_for(const struct told *t)
{
    struct account *a = &accounts[t->number];

    CHECK(a->ordered);
    a->told = (int)t->outcome;
    outcomes[t->outcome]++;
    if (t->outcome == LINK_DONE)
        CHECK(a->finished > 0);
    else if (t->outcome != LINK_END_UNKNOWN)
        CHECK_INT(a->begun, a->idempotent && again ? a->begun : 0);
}

static struct known *known_of(struct device *d, uint64_t id)
{
    for (unsigned i = 0; i < KNOWN; i++)
        if (d->known[i].id == id)
            return &d->known[i];
    return NULL;
}

static struct known *remember(struct device *d, uint64_t id)
{
    struct known *k = &d->known[d->knows++ % KNOWN];

    *k = (struct known){.id = id};
    return k;
}

static void reply(struct device *d, uint64_t id, enum link_outcome outcome, uint8_t exit_code)
{
    const unsigned host = (unsigned)(d - devices);
    const uint64_t number = of_id[id];

    commands_result(&table, key(names[host]), &(struct link_result){.id = id, .outcome = outcome, .exit_code = exit_code});
    const struct command *c = commands_get(&table, number);
    if (c && c->id != id) { /* begun again */
        again++;
        of_id[c->id] = number;
    }
}

/** As the contract has it. */
static void device_takes(struct device *d, const struct link_command *m)
{
    struct account *a = &accounts[of_id[m->id]];
    struct known *k = known_of(d, m->id);

    if (k && k->ended)
        reply(d, m->id, k->outcome, k->exit_code);
    else if (k)
        return;
    else if (!d->keeps && m->first != d->boot)
        reply(d, m->id, LINK_END_UNKNOWN, 0);
    else if (world_ms >= d->hello_ms + m->age_ms + m->life_ms)
        reply(d, m->id, LINK_EXPIRED, 0);
    else if (d->busy || d->runs || d->result)
        reply(d, m->id, LINK_BUSY, 0);
    else if (below(12) == 0) {
        *remember(d, m->id) = (struct known){m->id, true, LINK_DENIED, 0};
        reply(d, m->id, LINK_DENIED, 0);
    } else {
        remember(d, m->id);
        d->runs = m->id;
        a->begun++;
        CHECK(world_ms < a->at_ms + a->life_ms);
        CHECK(a->told < 0 || a->told == LINK_END_UNKNOWN);
        CHECK(a->idempotent || a->begun == 1);
        CHECK(of_id[m->id] >= d->last_begun);
        d->last_begun = of_id[m->id];
    }
}

static void device_finishes(struct device *d)
{
    struct known *k = known_of(d, d->runs);

    REQUIRE(k != NULL);
    *k = (struct known){d->runs, true, LINK_DONE, (uint8_t)(d->runs % 7)};
    accounts[of_id[d->runs]].finished++;
    d->result = d->runs;
    d->runs = 0;
}

static void session_ends(struct device *d)
{
    if (d->open)
        commands_lost(&table, key(names[d - devices]));
    d->open = d->chosen = false;
    d->sent.id = 0;
}

static void device_restarts(struct device *d)
{
    session_ends(d);
    d->boot = ++boots * 100;
    d->busy = false;
    if (!d->keeps) {
        memset(d->known, 0, sizeof d->known);
        d->result = 0;
    } else if (d->runs) {
        struct known *k = known_of(d, d->runs);
        REQUIRE(k != NULL);
        *k = (struct known){d->runs, true, LINK_END_UNKNOWN, 0};
    }
    d->runs = 0;
}

static void session_begins(struct device *d)
{
    session_ends(d);
    d->open = true;
    d->takes = below(60) > 0;
    d->hello_ms = world_ms;
    pass(below(300));
    d->heard_ms = fake.now_ms;
}

static void hub_orders(void)
{
    const unsigned host = below(HOSTS);
    uint64_t number = table.last + 1;
    struct account *a = &accounts[number];
    struct text t;

    *a = (struct account){.host = (uint8_t)host, .owner = (uint8_t)below(3), .idempotent = below(3) == 0, .at_ms = world_ms,
                          .life_ms = 1 + below(below(2) ? 2000 : 60000), .told = -1};
    text_init(&t, a->op, sizeof a->op);
    text_str(&t, "{\"n\":");
    text_u64(&t, number);
    text_str(&t, "}");
    int err = commands_order(&table,
                             &(struct command_order){.owner = (enum command_owner)a->owner, .host = str(names[host]), .op = str(a->op),
                                                     .cause = str(""), .life_ms = (uint32_t)a->life_ms, .timeout_ms = 1000,
                                                     .idempotent = a->idempotent, .who = "who"},
                             &number);
    if (err < 0) {
        CHECK_INT(err, NEFIA_EFULL);
        return;
    }
    a->ordered = true;
    of_id[commands_get(&table, number)->id] = number;
}

/** The end of a turn: what was chosen is sent, and what has come is acknowledged, once that is on disk. */
static void hub_turn(bool disk_works)
{
    commands_tick(&table);
    for (unsigned i = 0; i < HOSTS; i++)
        if (devices[i].open && !devices[i].takes)
            commands_refused(&table, key(names[i]), "");
        else if (devices[i].open && commands_choose(&table, key(names[i]), devices[i].boot))
            devices[i].chosen = true;
    if (!disk_works)
        return;
    commit();
    for (unsigned i = 0; i < HOSTS; i++) {
        struct device *d = &devices[i];

        for (const struct command *c = NULL; d->chosen && (c = commands_next(&table, c ? c->number : 0)) != NULL;)
            if (c->asked && accounts[c->number].host == i && c->state == COMMAND_SENT) {
                commands_message(&table, c, d->heard_ms, &d->sent);
                break;
            }
        d->chosen = false;
    }
}

static void hub_restarts(void)
{
    for (unsigned i = 0; i < HOSTS; i++) {
        devices[i].open = devices[i].chosen = false;
        devices[i].sent.id = 0;
    }
    for (uint64_t n = 1; n <= table.last; n++)
        if (accounts[n].ordered && !commands_get(&table, n) && accounts[n].told < 0)
            accounts[n].told = LINK_END_UNKNOWN; /* freed */
    const uint64_t before = table.last;
    pass(below(3) ? below(1500) : below(20000));
    fake.now_ms = below(1000);
    fake.now_s = below(4) ? BEGINS_S + (int64_t)(world_ms / 1000) : (int64_t)(50 + world_ms / 1000);
    restart();
    table.last = before; /* so that numbers of the account stay unique */
    for (uint64_t n = 1; n <= before; n++)
        if (accounts[n].ordered && !commands_get(&table, n) && accounts[n].told < 0)
            accounts[n].ordered = false; /* it never was: nothing was committed, so nothing was sent */
    for (const struct command *c = commands_next(&table, 0); c; c = commands_next(&table, c->number)) {
        of_id[c->id] = c->number;
        accounts[c->number].told = -1; /* what was said of it was not committed */
    }
}

static void check_table(void)
{
    size_t used = 0;

    for (const struct command *c = NULL; (c = commands_next(&table, c ? c->number : 0)) != NULL;) {
        const struct account *a = &accounts[c->number];

        used += c->room;
        CHECK(slice_eq(command_host(&table, c), names[a->host]));
        CHECK(slice_eq(command_who(&table, c), "who"));
        if (c->state != COMMAND_ENDED)
            CHECK(slice_eq(command_op(&table, c), a->op));
    }
    CHECK_INT((long long)used, (long long)table.text_used);
}

static void free_one_that_ended(void)
{
    for (const struct command *c = NULL; (c = commands_next(&table, c ? c->number : 0)) != NULL;)
        if (c->state == COMMAND_ENDED) {
            commands_free(&table, c->number);
            return;
        }
}

static void leave_one(void)
{
    const struct command *c = commands_next(&table, below((uint32_t)table.last + 1));

    if (c && below(10) == 0)
        commands_leave(&table, c->number, "gone");
}

static void command_arrives(struct device *d)
{
    const struct link_command m = d->sent;

    if (!m.id)
        return;
    d->sent.id = 0;
    device_takes(d, &m);
}

static void result_arrives(struct device *d)
{
    if (!d->result || !d->open)
        return;
    const struct known *k = known_of(d, d->result);
    const bool committed = below(8) > 0;

    if (k)
        reply(d, k->id, k->outcome, k->exit_code);
    hub_turn(committed);
    if (committed || !k)
        d->result = 0;
}

static void step(void)
{
    struct device *d = &devices[below(HOSTS)];

    switch (below(16)) {
    case 0:
    case 1:
        hub_orders();
        break;
    case 2:
        pass(below(3000));
        break;
    case 3:
        if (!d->open)
            session_begins(d);
        break;
    case 4:
        if (below(4) == 0)
            session_ends(d);
        break;
    case 5:
        if (below(10) == 0)
            device_restarts(d);
        break;
    case 6:
        if (d->runs)
            device_finishes(d);
        break;
    case 7:
        if (below(30) == 0)
            hub_restarts();
        break;
    case 8:
        d->busy = below(8) == 0;
        break;
    case 9:
        free_one_that_ended();
        break;
    case 10:
        leave_one();
        break;
    case 11:
    case 12:
        command_arrives(d);
        break;
    case 13:
        result_arrives(d);
        break;
    default:
        hub_turn(below(10) > 0);
    }
    check_table();
}

static void settle_all(void)
{
    for (unsigned i = 0; i < 400 && commands_next(&table, 0); i++) {
        pass(100);
        for (unsigned h = 0; h < HOSTS; h++) {
            struct device *d = &devices[h];

            d->busy = false;
            if (!d->open)
                session_begins(d);
            if (d->runs)
                device_finishes(d);
            if (d->result)
                reply(d, d->result, LINK_DONE, (uint8_t)(d->result % 7));
            d->result = 0;
            hub_turn(true);
            if (d->sent.id) {
                const struct link_command m = d->sent;
                d->sent.id = 0;
                device_takes(d, &m);
            }
        }
        for (const struct command *c = NULL; (c = commands_next(&table, c ? c->number : 0)) != NULL;)
            if (c->state == COMMAND_ENDED) {
                commands_free(&table, c->number);
                break;
            }
    }
    CHECK(commands_next(&table, 0) == NULL);
    for (uint64_t n = 1; n <= table.last; n++) {
        const struct account *a = &accounts[n];

        if (!a->ordered) {
            CHECK_INT(a->begun, 0);
            continue;
        }
        CHECK(a->told >= 0);
        if (a->begun == 0)
            CHECK(a->told != LINK_DONE);
        if (a->told == LINK_DENIED || a->told == LINK_EXPIRED || a->told == LINK_UNSUPPORTED)
            CHECK(a->begun == 0 || a->idempotent);
    }
}

static void history(uint64_t from)
{
    setup();
    seed = from;
    next_id = boots = world_ms = 0;
    again = 0;
    memset(accounts, 0, sizeof accounts);
    memset(devices, 0, sizeof devices);
    for (unsigned i = 0; i < HOSTS; i++) {
        devices[i].keeps = i > 0;
        device_restarts(&devices[i]);
    }
    also = account_for;
    for (unsigned i = 0; i < STEPS && next_id < IDS - 10 && check_failures == 0; i++)
        step();
    settle_all();
}

TEST(random_histories)
{
    memset(outcomes, 0, sizeof outcomes);
    for (uint64_t i = 1; i <= 12 && check_failures == 0; i++)
        history(i);
    for (unsigned i = 0; i < LINK_BUSY; i++)
        CHECK(outcomes[i] > 10); /* each kind of end was there */
    CHECK(again > 0);
}

TEST_MAIN(a_device_that_says_unknown_each_time_makes_little_work, what_is_not_to_begin_any_more_is_only_asked_for, goes_to_its_device_once_it_is_there, no_answer_before_it_was_sent, one_at_a_time_in_order,
          what_is_late_expires_but_is_asked_for_if_it_was_sent, a_busy_device_is_asked_again,
          an_unknown_end_is_begun_again_only_if_idempotent, the_error_says_what_happened, a_client_reads_reason_and_output,
          long_output_is_cut_between_characters, whoever_leaves, a_session_without_commands, a_host_and_the_rules_have_their_share,
          a_question_about_a_command_of_long_ago, a_restart_keeps_what_is_committed, without_a_clock_a_life_is_over,
          damaged_slots_are_no_commands, random_histories)
