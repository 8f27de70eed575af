/* The table of commands to devices, with whatever a device answers, whatever the journal held, and owners that come and go. The input
 * is a script. Texts never overlap and never leave their memory, nothing has ended that was not told, and what is kept reads back. */
#include <string.h>

#include "nefia/base/err.h"
#include "nefia/hub/commands.h"
#include "nefia/hub/seen.h"

#define MUST(condition) \
    do { \
        if (!(condition)) \
            __builtin_trap(); \
    } while (0)

enum { PLACES = 6, TEXT = 12 * 1024, HOSTS = 3 };

static struct clock_fake fake;
static struct command slots[PLACES];
static char text[TEXT];
static uint8_t kept[JOURNAL_KEPT_MAX];
static struct commands table;
static uint8_t disk[PLACES][JOURNAL_KEPT_MAX];
static size_t disk_len[PLACES];
static uint64_t next_id, told;
static const char *const names[HOSTS] = {"a", "host-b", "\xc3\xa4"};
static uint8_t keys[HOSTS][SESSION_HOST];
static char noise[COMMAND_OP_MAX];

static void keep(void *arg, uint16_t slot, const void *bytes, size_t len)
{
    (void)arg;
    MUST(slot < PLACES && len <= JOURNAL_KEPT_MAX);
    disk_len[slot] = len;
    if (len > 0)
        memcpy(disk[slot], bytes, len);
}

static void ended(void *arg, const struct command *c, const struct command_end *e)
{
    (void)arg;
    MUST(c->state == COMMAND_ENDED && e->outcome < LINK_BUSY && strlen(e->error) <= COMMAND_ERROR_MAX);
    MUST(e->output.len <= COMMAND_OUTPUT_MAX);
    told++;
}

static int random_bytes(void *buf, size_t len)
{
    MUST(len == 8);
    put_be64(buf, ++next_id);
    return 0;
}

static void start(void)
{
    static const struct command_hooks hooks = {.keep = keep, .ended = ended, .random = random_bytes};

    commands_init(&table, &fake.clock, slots, PLACES, text, TEXT, kept, &hooks);
}

static void check(void)
{
    size_t used = 0;

    for (unsigned i = 0; i < PLACES; i++) {
        const struct command *c = &slots[i];

        if (c->state == COMMAND_FREE)
            continue;
        MUST((size_t)c->at + c->room <= table.text_used && table.text_used <= TEXT);
        MUST((size_t)c->host_len + c->who_len + c->reason_len + c->op_len + c->cause_len + c->output_len <= c->room);
        for (unsigned k = 0; k < i; k++)
            MUST(slots[k].state == COMMAND_FREE || slots[k].at + slots[k].room <= c->at || c->at + c->room <= slots[k].at);
        used += c->room;
    }
    MUST(used == table.text_used);
}

/** The script. */
static const uint8_t *at, *stop;

static unsigned next(void)
{
    return at < stop ? *at++ : 0;
}

static const struct command *some_command(void)
{
    const unsigned n = next() % (PLACES + 1);
    const struct command *c = commands_next(&table, 0);

    for (unsigned i = 0; c && i < n; i++)
        c = commands_next(&table, c->number);
    return c;
}

static void order(void)
{
    const unsigned host = next() % HOSTS;
    const unsigned how = next();
    uint64_t number;

    int err = commands_order(&table,
                             &(struct command_order){
                                 .owner = (enum command_owner)(how % 3),
                                 .job = how,
                                 .id = how & 64 ? how : 0,
                                 .host = {names[host], strlen(names[host])},
                                 .op = {noise, how & 16 ? 16u * next() % (COMMAND_OP_MAX + 1) : next()},
                                 .cause = {noise, next()},
                                 .life_ms = how & 128 && how & 64 ? 0 : 1 + 40 * next(),
                                 .timeout_ms = 1000,
                                 .idempotent = how & 32,
                                 .who = "who",
                             },
                             &number);
    MUST(err == 0 || err == NEFIA_EFULL);
    MUST(err < 0 || commands_get(&table, number));
}

/** A line of a device: about a command, or any; with the next bytes of the script in it. */
static void result(void)
{
    static const char states[] = "done\0denied\0expired\0unknown\0unsupported\0busy\0";
    static struct json_token tokens[64];
    char line[2048], hex[17];
    const struct command *c = some_command();
    const unsigned host = next() % HOSTS, how = next();
    size_t len = next();
    uint8_t id[8];
    struct link_message m;
    struct text t;

    put_be64(id, c && how & 1 ? c->id : how);
    text_init(&t, hex, sizeof hex);
    text_hex(&t, id, sizeof id);
    text_init(&t, line, sizeof line);
    text_str(&t, "{\"result\":{\"id\":\"");
    text_str(&t, hex);
    text_str(&t, "\",\"state\":\"");
    text_str(&t, word_at(states, how / 2 % 6));
    text_str(&t, "\",\"exit\":1,\"ms\":2,\"bytes\":3,\"output\":\"");
    len = len > (size_t)(stop - at) ? (size_t)(stop - at) : len;
    text_bytes(&t, (const char *)at, len);
    at += len;
    text_str(&t, "\",\"reason\":\"because\"}}");
    if (link_read(&m, (struct slice){line, t.len}, tokens, 64, link_read_result) < 0 || m.kind != LINK_RESULT)
        return;
    const bool known = c && c->state == COMMAND_SENT && c->id == m.result.id && memcmp(c->host, keys[host], SESSION_HOST) == 0;
    const uint64_t before = told, again = table.stats.ended[LINK_END_UNKNOWN];
    const bool taken = commands_result(&table, keys[host], &m.result);
    MUST(taken || told == before);
    MUST(!known || taken || m.result.outcome == LINK_BUSY);
    MUST(!taken || told > before || m.result.outcome == LINK_BUSY || table.stats.ended[LINK_END_UNKNOWN] > again);
}

static void restart(void)
{
    uint8_t copy[PLACES][JOURNAL_KEPT_MAX];
    size_t len[PLACES];
    unsigned had = commands_in(&table, COMMAND_WAITING) + commands_in(&table, COMMAND_SENT);

    memcpy(copy, disk, sizeof copy);
    memcpy(len, disk_len, sizeof len);
    start();
    for (uint16_t i = 0; i < PLACES; i++)
        commands_restore(&table, i, copy[i], len[i]);
    MUST(commands_in(&table, COMMAND_WAITING) + commands_in(&table, COMMAND_SENT) == had);
}

/** The journal of who knows whom. */
static void restore_noise(void)
{
    const uint16_t slot = (uint16_t)(next() % (PLACES + 1));
    uint8_t bytes[JOURNAL_KEPT_MAX];
    size_t len = slot < PLACES ? disk_len[slot] : 0;

    if (len > 0 && next() & 1)
        memcpy(bytes, disk[slot], len);
    else
        for (len = 0; len < 80 + (next() & 15); len++)
            bytes[len] = (uint8_t)next();
    for (unsigned n = next() % 4; n > 0 && len > 0; n--)
        bytes[next() % len] = (uint8_t)next();
    commands_restore(&table, slot, bytes, len);
    if (slot < PLACES) /* so that disk and table agree again */
        disk_len[slot] = 0;
    commands_copy(&table);
}

static void send_one(void)
{
    const unsigned host = next() % HOSTS;
    const struct command *c = commands_choose(&table, keys[host], 1 + next());
    struct link_command m;

    if (!c)
        return;
    MUST(c->state == COMMAND_SENT && c->asked && c->first > 0);
    MUST(!commands_choose(&table, keys[host], 7));
    commands_message(&table, c, fake.now_ms > 100 ? fake.now_ms - 100 : 0, &m);
    MUST(m.id == c->id && m.op.len == (m.life_ms > 0 ? c->op_len : 0)); /* a question has none */
}

static void step(void)
{
    const struct command *c;

    switch (next() % 12) {
    case 0:
    case 1:
        order();
        break;
    case 2:
    case 3:
        send_one();
        break;
    case 4:
    case 5:
        result();
        break;
    case 6:
        fake.now_ms += 100u * next();
        MUST(commands_tick(&table) > fake.now_ms);
        break;
    case 7:
        commands_lost(&table, keys[next() % HOSTS]);
        break;
    case 8:
        c = some_command();
        if (c)
            commands_leave(&table, c->number, "gone");
        break;
    case 9:
        c = some_command();
        if (c && next() & 1)
            commands_join(&table, c->number);
        else if (c)
            commands_free(&table, c->number);
        break;
    case 10:
        if (next() & 1)
            restart();
        else
            commands_refused(&table, keys[next() % HOSTS], "takes none");
        break;
    default:
        restore_noise();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    clock_fake_init(&fake, 1000, 2000000000);
    memset(noise, 'x', sizeof noise);
    memset(disk_len, 0, sizeof disk_len);
    for (unsigned i = 0; i < HOSTS; i++)
        host_id_of(keys[i], (struct slice){names[i], strlen(names[i])});
    next_id = told = 0;
    start();
    at = data;
    stop = data + len;
    while (at < stop) {
        step();
        check();
    }
    return 0;
}
