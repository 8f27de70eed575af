/* Whole sessions: both ends of the link back to back, and between them somebody who keeps, repeats,
 * drops, reorders, reflects and changes lines of this session and of earlier ones. The input is his
 * script, and what the ends do. With a key, an end accepts only what the other one sent in this session,
 * in this direction, in this place; what is settled was acknowledged by the hub. Then the rest of the
 * input, as bytes from a hub and from a beacon, to every reader. */
#include <string.h>

#include "nefia/base/err.h"
#include "nefia/link/link.h"

#define MUST(condition) \
    do { \
        if (!(condition)) \
            __builtin_trap(); \
    } while (0)

enum { LINES = 48, STEPS = 400, ROOM = LINK_COMMAND_MAX + MAC_HEX + 3, INPUT = 4096 };

struct kept {
    char bytes[ROOM];
    size_t len;
};

/** Hashes of what one end has sent in this session, by number. */
struct sent {
    uint32_t hash[STEPS + 1];
    uint64_t count;
};

static struct kept lines[LINES]; /* all that were on the wire, of all sessions */
static unsigned kept_count;
static struct link hub, beacon;
static struct sent up, down;
static uint64_t acknowledged; /* by the hub, in this session */
static struct mac_key key, none;
static bool with_key;
static uint8_t chance;
static uint32_t nonces; /* no two are alike */

static const char event[] = "{\"type\":\"a\",\"source\":\"b\",\"host_id\":\"r1\",\"timestamp\":"
                            "\"2026-03-10T15:30:00Z\",\"severity\":\"info\",\"data\":{},\"seq\":1,\"boot\":7}";

static struct kept *keep(const char *bytes, size_t len)
{
    struct kept *k = &lines[kept_count < LINES ? kept_count++ : chance++ % LINES];

    MUST(len <= sizeof k->bytes);
    memcpy(k->bytes, bytes, len);
    k->len = len;
    return k;
}

static void note(struct sent *s, const struct kept *k)
{
    const char *end = memchr(k->bytes, '\n', k->len);

    MUST(end);
    MUST(s->count < STEPS);
    s->hash[++s->count] = hash_bytes(HASH_START, k->bytes, (size_t)(end - k->bytes));
}

/** An end accepted line number n. */
static void check_place(const struct sent *s, uint64_t n, struct slice line)
{
    MUST(!with_key || (n <= s->count && s->hash[n] == hash_bytes(HASH_START, line.ptr, line.len)));
}

static void to_hub(const struct kept *k)
{
    struct json_token tokens[LINK_TOKENS];
    struct link_hello h;
    struct link_message m;
    struct link_unit u;
    const char *why;
    long n = link_cut(k->bytes, k->len, LINK_HELLO_MAX, with_key, &u);

    if (n <= 0)
        return;
    if (hub.state == LINK_NEW) {
        if (!link_is_hello(u.line) ||
            link_hub_hello(&h, u.line, tokens, LINK_TOKENS, &why) < 0 ||
            link_hub_prove(&hub, with_key ? &key : NULL, &u) < 0)
            return;
        check_place(&up, 1, u.line);
        return;
    }
    if (hub.state == LINK_OVER || link_verify(&hub, &u) < 0)
        return;
    check_place(&up, hub.lines_in, u.line);
    (void)link_read(&m, u.line, tokens, LINK_TOKENS, link_read_result);
}

static void to_beacon(const struct kept *k)
{
    struct link_message m;
    struct link_unit u;
    const char *why = NULL;
    long n = link_cut(k->bytes, k->len, LINK_COMMAND_MAX, with_key && beacon.state != LINK_NEW, &u);

    if (n <= 0 || beacon.state == LINK_OVER)
        return;
    if (beacon.state == LINK_NEW) {
        if (link_beacon_greeting(&beacon, u.line) < 0)
            return;
        static char out[ROOM];
        struct link_hello h = {.host_id = "r1", .boot = 7, .features = chance & 1};
        struct text t;
        nonces++;
        memcpy(h.nonce, &nonces, sizeof nonces);
        text_init(&t, out, sizeof out);
        link_beacon_hello(&beacon, with_key ? &key : &none, &h, 0, &t);
        note(&up, keep(t.buf, t.len));
        return;
    }
    if (link_beacon_line(&beacon, &u, &m, link_read_command, &why) < 0) {
        MUST(why && beacon.state == LINK_OVER);
        return;
    }
    check_place(&down, beacon.lines_in, u.line);
    MUST(!with_key || m.kind != LINK_ACK || m.line <= acknowledged);
    MUST(m.kind != LINK_COMMAND || (with_key && beacon.features & LINK_EXEC));
    MUST(beacon.settled <= beacon.lines_out);
}

static void begin_session(void)
{
    static char out[ROOM];
    uint8_t nonce[LINK_NONCE] = {0};
    struct text t;

    link_init(&hub, with_key, 0);
    link_init(&beacon, with_key, 0);
    up = down = (struct sent){0};
    acknowledged = 0;
    nonces++;
    memcpy(nonce, &nonces, sizeof nonces);
    text_init(&t, out, sizeof out);
    link_hub_greet(&hub, nonce, &t);
    to_beacon(keep(t.buf, t.len));
}

static void hub_says(unsigned what)
{
    static char out[ROOM];
    const struct link_command c = {.id = what, .first = 7, .life_ms = what, .op = {"{\"run\":\"x\"}", 11}};
    struct link_welcome w = {.window = 32, .bytes = 8192, .start_count = what & 1, .features = what >> 1 & 1};
    struct text t;

    if (hub.state == LINK_NEW || hub.state == LINK_OVER)
        return;
    text_init(&t, out, sizeof out);
    if (hub.state == LINK_HELLO)
        link_hub_welcome(&hub, &w, &t);
    else if (what % 5 == 2 && link_hub_command(&hub, &c, &t) == 0)
        MUST(with_key);
    else if (what % 5 == 4)
        link_put_error(&hub, "another session of this host", &t);
    else if (what % 5 == 3)
        link_hub_refuse(&hub, hub.lines_in, "not an event", 32, &t);
    else
        link_hub_ack(&hub, acknowledged = hub.lines_in, 32, &t);
    note(&down, keep(t.buf, t.len));
}

static void beacon_says(unsigned what)
{
    static char out[ROOM];
    size_t len;

    if (beacon.state != LINK_OPEN)
        return;
    if (what % 3 == 2) {
        const struct link_result r = {.id = what, .outcome = what % 6, .output = {event, sizeof event - 1}};
        len = link_beacon_result(&beacon, &r, out, LINK_BYTES_MIN);
    } else if (what & 1) {
        len = link_beacon_unsure(&beacon, out);
    } else {
        memcpy(out, event, sizeof event - 1);
        len = link_beacon_end(&beacon, out, sizeof event - 1);
    }
    note(&up, keep(out, len));
}

/** Change one byte of a kept line; the newest greeting may be it. */
static void change(unsigned which, uint8_t by)
{
    struct kept *k = &lines[which % kept_count];

    k->bytes[(size_t)by * 7 % k->len] ^= (char)(by | 1);
}

static void step(uint8_t op, uint8_t arg)
{
    const struct kept *newest = &lines[(kept_count - 1) % LINES], *any = &lines[arg % kept_count];

    switch (op % 9) {
    case 0:
        to_hub(newest);
        break;
    case 1:
        to_beacon(newest);
        break;
    case 2:
        to_hub(any);
        break;
    case 3:
        to_beacon(any);
        break;
    case 4:
        beacon_says(arg);
        break;
    case 5:
        hub_says(arg);
        break;
    case 6:
        change(arg, op);
        break;
    case 7:
        begin_session();
        break;
    default: /* an undisturbed exchange */
        to_hub(newest);
        hub_says(arg);
        to_beacon(&lines[(kept_count - 1) % LINES]);
        beacon_says(arg);
    }
}

static void inside(struct slice s, struct slice line)
{
    MUST(s.len == 0 || (s.ptr >= line.ptr && s.ptr + s.len <= line.ptr + line.len));
}

/** What was read is within its bounds. */
static void check_read(const struct link_message *m, struct slice line)
{
    static char output[INPUT];
    struct text t;

    MUST(m->window <= LINK_WINDOW_MAX && strlen(m->reason) <= LINK_REASON_MAX);
    if (m->kind == LINK_WELCOME)
        MUST(m->welcome.start_count <= LINK_STARTS && m->welcome.features <= LINK_EXEC);
    if (m->kind == LINK_COMMAND) {
        inside(m->command.op, line);
        inside(m->command.cause, line);
        MUST(m->command.age_ms <= LINK_TIME_MAX && m->command.life_ms <= LINK_TIME_MAX &&
             (m->command.op.len > 1 || m->command.life_ms == 0));
    }
    if (m->kind != LINK_RESULT)
        return;
    inside(m->result.output, line);
    MUST(m->result.outcome <= LINK_BUSY && strlen(m->result.reason) <= LINK_REASON_MAX);
    text_init(&t, output, line.len & 1 ? sizeof output : 8);
    link_result_output(&m->result, &t);
    MUST(utf8_valid(t.buf, t.len));
}

/** Bytes that nobody signed, to every reader. */
static void read_raw(const char *bytes, size_t len)
{
    struct json_token tokens[LINK_TOKENS];
    struct link_message m;
    struct link_hello h;
    struct link_unit u;
    const char *why = NULL;

    for (long n; (n = link_cut(bytes, len, LINK_COMMAND_MAX, len & 1, &u)) > 0;
         bytes += n, len -= (size_t)n) {
        struct link l;

        if (link_read(&m, u.line, tokens, LINK_TOKENS, len & 2 ? link_read_command : link_read_result) == 0)
            check_read(&m, u.line);
        link_init(&l, false, 0);
        (void)link_beacon_greeting(&l, u.line);
        if (link_is_hello(u.line) && link_hub_hello(&h, u.line, tokens, LINK_TOKENS, &why) == 0)
            MUST(h.host_id[0] && strlen(h.host_id) <= EVENT_HOST_MAX && h.boot > 0 &&
                 h.boot < LINK_BOOT_END);
    }
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);
int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    if (size < 2 || size > INPUT)
        return 0;
    with_key = data[0] & 1;
    chance = data[0];
    nonces = 0;
    kept_count = 0;
    if (!key.set)
        MUST(mac_key_set(&key, "a key of twenty bytes", 20) == 0);
    begin_session();
    const size_t steps = size < STEPS ? size : STEPS;
    for (size_t i = 1; i + 1 < steps; i += 2)
        step(data[i], data[i + 1]);
    read_raw((const char *)data + 1, size - 1);
    return 0;
}
