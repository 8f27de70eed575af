#include "nefia/link/link.h"

#include "check.h"
#include "nefia/base/err.h"

#include "../golden/link.h"

/* Both ends of the link, back to back. The fixed nonces and keys are those of docs/wire.md. */

#define GOLDEN_ID UINT64_C(0x0123456789abcdef)
#define KEY "0123456789abcdef0123456789abcdef"
#define EVENT                                                                                      \
    "{\"type\":\"a\",\"source\":\"b\",\"host_id\":\"r1\",\"timestamp\":\"2026-03-10T15:30:00Z\","  \
    "\"severity\":\"info\",\"data\":{},\"seq\":1,\"boot\":7}"

static struct json_token tokens[LINK_TOKENS];
static struct mac_key key, other_key, none;
static struct link hub, beacon;
static char to_hub[LINK_HELLO_MAX + MAC_HEX + 3], to_beacon[LINK_COMMAND_MAX + MAC_HEX + 3];
static struct text up, down;
static struct link_hello hello;
static struct link_unit unit;
static struct link_message got;
static const char *why;

static struct slice slice_of(const char *s)
{
    return (struct slice){s, strlen(s)};
}

static void begin(bool is_signed)
{
    mac_key_set(&key, KEY, strlen(KEY));
    mac_key_set(&other_key, "another key, 16+", 16);
    link_init(&hub, is_signed, 5000);
    link_init(&beacon, is_signed, 2000);
    text_init(&up, to_hub, sizeof to_hub);
    text_init(&down, to_beacon, sizeof to_beacon);
    hello = (struct link_hello){.host_id = "r1", .boot = 7};
}

/** The first unit of t is cut off. */
static long cut(struct text *t, bool is_signed)
{
    return link_cut(t->buf, t->len, LINK_HELLO_MAX, is_signed, &unit);
}

static void greet(uint8_t first)
{
    uint8_t nonce[LINK_NONCE];

    for (size_t i = 0; i < sizeof nonce; i++)
        nonce[i] = (uint8_t)(first + i);
    text_reset(&down);
    link_hub_greet(&hub, nonce, &down);
}

static void send_hello(const struct mac_key *k)
{
    memset(hello.nonce, 0xb0, sizeof hello.nonce);
    text_reset(&up);
    CHECK_INT(link_beacon_greeting(&beacon, (struct slice){down.buf, down.len - 1}), 0);
    link_beacon_hello(&beacon, k, &hello, 20000, &up);
    CHECK_INT(beacon.state, LINK_HELLO);
}

static int take_hello(const struct mac_key *k)
{
    struct link_hello h;

    CHECK(cut(&up, k != NULL) == (long)up.len);
    CHECK(link_is_hello(unit.line));
    CHECK_INT(link_hub_hello(&h, unit.line, tokens, LINK_TOKENS, &why), 0);
    CHECK_STR(h.host_id, hello.host_id);
    CHECK(h.boot == hello.boot);
    CHECK_MEM(h.nonce, hello.nonce, LINK_NONCE);
    CHECK_INT(h.plain, hello.plain);
    return link_hub_prove(&hub, k, &unit);
}

static void welcome(void)
{
    const struct link_welcome w = {.starts = {{7, 41, {0xaa, 1, 2, 3, 4, 5, 6, 7}}, {6, 12, {9}}},
                                   .start_count = 2,
                                   .window = 32,
                                   .bytes = 8192};

    text_reset(&down);
    link_hub_welcome(&hub, &w, &down);
    CHECK_INT(hub.state, LINK_OPEN);
}

static int take_down(void)
{
    CHECK(cut(&down, beacon.is_signed) == (long)down.len);
    return link_beacon_line(&beacon, &unit, &got, link_read_command, &why);
}

static void open_session(bool is_signed)
{
    begin(is_signed);
    greet(1);
    send_hello(is_signed ? &key : &none);
    CHECK_INT(take_hello(is_signed ? &key : NULL), 0);
    CHECK_INT(hub.state, LINK_HELLO);
    welcome();
    CHECK_INT(take_down(), 0);
    CHECK_INT(beacon.state, LINK_OPEN);
}

/** The beacon's event, in to_hub and unit. Return: its number. */
static uint64_t send_event(void)
{
    memcpy(to_hub, EVENT, strlen(EVENT));
    up.len = link_beacon_end(&beacon, to_hub, strlen(EVENT));
    CHECK(cut(&up, beacon.is_signed) == (long)up.len);
    return beacon.lines_out;
}

TEST(a_session_is_opened)
{
    open_session(true);
    CHECK_INT(got.kind, LINK_WELCOME);
    CHECK_MEM(got.welcome.starts[0].name, "\xaa\1\2\3\4\5\6\7", LINK_NAME);
    CHECK_INT(got.welcome.start_count, 2);
    CHECK(got.welcome.starts[0].boot == 7 && got.welcome.starts[0].highest == 41);
    CHECK(got.welcome.starts[1].boot == 6 && got.welcome.starts[1].highest == 12);
    CHECK_INT(got.welcome.window, 32);
    CHECK_INT(got.welcome.bytes, 8192);
}

TEST(without_a_key_the_same_messages_go_unsigned)
{
    open_session(false);
    CHECK(send_event() == 2);
    CHECK_INT(link_verify(&hub, &unit), 0);
    CHECK(hub.lines_in == 2);
    text_reset(&down);
    link_hub_ack(&hub, 2, 32, &down);
    CHECK_STR(to_beacon, "{\"ack\":{\"line\":2},\"window\":32}\n");
    CHECK_INT(take_down(), 0);
    CHECK(beacon.settled == 2);
}

TEST(events_are_acknowledged_by_line)
{
    open_session(true);
    CHECK(send_event() == 2);
    CHECK_INT(link_verify(&hub, &unit), 0);
    CHECK(unit.line.len == strlen(EVENT));
    up.len = link_beacon_unsure(&beacon, to_hub);
    CHECK_INT(up.len, LINK_UNSURE_BYTES);
    CHECK(cut(&up, true) == (long)up.len);
    CHECK_INT(link_verify(&hub, &unit), 0);
    CHECK_INT(link_read(&got, unit.line, tokens, LINK_TOKENS, link_read_result), 0);
    CHECK_INT(got.kind, LINK_UNSURE);
    CHECK(send_event() == 4);
    CHECK_INT(link_verify(&hub, &unit), 0);
    text_reset(&down);
    link_hub_refuse(&hub, 4, "not an event", 31, &down);
    CHECK_INT(take_down(), 0);
    CHECK_INT(got.kind, LINK_REFUSED);
    CHECK(got.line == 4);
    CHECK_STR(got.reason, "not an event");
    CHECK_INT(got.window, 31);
    text_reset(&down);
    link_hub_ack(&hub, 4, 0, &down);
    CHECK_INT(take_down(), 0);
    CHECK_INT(got.kind, LINK_ACK);
    CHECK_INT(got.window, 0);
    CHECK(beacon.settled == 4);
}

TEST(another_key_proves_nothing_and_a_second_may_be_tried)
{
    begin(true);
    greet(1);
    send_hello(&key);
    CHECK_INT(take_hello(&other_key), NEFIA_EAUTH);
    CHECK_INT(hub.state, LINK_NEW);
    CHECK(!hub.in.set && !hub.out.set);
    CHECK_INT(link_hub_prove(&hub, &key, &unit), 0);
}

TEST(a_recorded_hello_is_worthless_in_another_session)
{
    begin(true);
    greet(1);
    send_hello(&key);
    link_init(&hub, true, 0);
    greet(2); /* another nonce of the hub */
    CHECK_INT(take_hello(&key), NEFIA_EAUTH);
}

TEST(a_line_is_good_for_one_place)
{
    open_session(true);
    send_event();
    struct link before = hub;
    CHECK_INT(link_verify(&hub, &unit), 0);
    CHECK_INT(link_verify(&hub, &unit), NEFIA_EAUTH); /* repeated */
    CHECK_INT(hub.state, LINK_OVER);
    hub = before;
    send_event(); /* the first was cut out */
    CHECK_INT(link_verify(&hub, &unit), NEFIA_EAUTH);
}

TEST(a_line_is_good_for_one_direction)
{
    open_session(true);
    text_reset(&down);
    link_hub_ack(&hub, 1, 32, &down); /* number 2, as the beacon's next one */
    CHECK(cut(&down, true) == (long)down.len);
    CHECK_INT(link_verify(&hub, &unit), NEFIA_EAUTH);
}

TEST(an_acknowledgement_of_another_session_is_refused)
{
    static char recorded[sizeof to_beacon];

    open_session(true);
    send_event();
    text_reset(&down);
    link_hub_ack(&hub, 2, 32, &down);
    memcpy(recorded, to_beacon, sizeof recorded);
    const size_t len = down.len;
    begin(true);
    greet(9); /* the hub's nonce is new, the beacon's is not */
    send_hello(&key);
    CHECK_INT(take_hello(&key), 0);
    welcome();
    CHECK_INT(take_down(), 0);
    send_event();
    text_reset(&down);
    text_bytes(&down, recorded, len);
    CHECK_INT(take_down(), NEFIA_EAUTH);
    CHECK_INT(beacon.state, LINK_OVER);
}

TEST(the_greeting_is_in_every_signature)
{
    begin(true);
    greet(1);
    to_beacon[strlen("{\"nefia\":2,\"nonce\":\"")] = 'f'; /* changed on its way */
    send_hello(&key);
    CHECK_INT(take_hello(&key), NEFIA_EAUTH);
}

TEST(an_unsigned_error_is_read_before_the_welcome_only)
{
    begin(true);
    greet(1);
    send_hello(&key);
    text_reset(&down);
    link_put_error(&hub, "wrong signature", &down);
    CHECK_STR(to_beacon, "{\"error\":{\"reason\":\"wrong signature\"}}\n");
    unit = (struct link_unit){.line = {down.buf, down.len - 1}};
    CHECK_INT(link_beacon_line(&beacon, &unit, &got, link_read_command, &why), NEFIA_EAUTH);
    CHECK_INT(got.kind, LINK_ERROR);
    CHECK_STR(got.reason, "wrong signature");

    open_session(true);
    unit = (struct link_unit){.line = slice_of("{\"error\":{\"reason\":\"forged\"}}")};
    CHECK(link_beacon_line(&beacon, &unit, &got, link_read_command, &why) < 0);
    CHECK_INT(got.kind, LINK_UNKNOWN);
}

TEST(a_signed_error_ends_the_session)
{
    open_session(true);
    text_reset(&down);
    link_put_error(&hub, "another session of this host", &down);
    CHECK_INT(take_down(), 0);
    CHECK_INT(got.kind, LINK_ERROR);
    CHECK_STR(got.reason, "another session of this host");
    CHECK_INT(beacon.state, LINK_OVER);
}

TEST(an_unknown_message_counts_and_is_ignored)
{
    static const char line[] = "{\"later\":{\"line\":1}}";

    open_session(true);
    memcpy(to_beacon, line, sizeof line - 1);
    hub.lines_out++;
    mac_sign_line(&hub.out, hub.lines_out, line, sizeof line - 1, to_beacon + sizeof line);
    unit = (struct link_unit){{to_beacon, sizeof line - 1}, {to_beacon + sizeof line, MAC_HEX}};
    CHECK_INT(link_beacon_line(&beacon, &unit, &got, link_read_command, &why), 0);
    CHECK_INT(got.kind, LINK_UNKNOWN);
    send_event();
    text_reset(&down);
    link_hub_ack(&hub, 2, 32, &down);
    CHECK_INT(take_down(), 0);
}

TEST(only_what_was_sent_and_is_unsettled_is_settled)
{
    open_session(true);
    send_event();
    text_reset(&down);
    link_hub_ack(&hub, 3, 32, &down);
    CHECK_INT(take_down(), NEFIA_EINVAL);

    open_session(true);
    send_event();
    text_reset(&down);
    link_hub_ack(&hub, 2, 32, &down);
    CHECK_INT(take_down(), 0);
    text_reset(&down);
    link_hub_refuse(&hub, 2, "late", 32, &down);
    CHECK_INT(take_down(), NEFIA_EINVAL);
}

TEST(a_greeting_of_another_version_or_none)
{
    begin(true);
    CHECK_INT(link_beacon_greeting(&beacon, slice_of("{\"nefia\":1,\"nonce\":\"" KEY "\"}")),
              NEFIA_ENOTSUP);
    CHECK_INT(link_beacon_greeting(&beacon, slice_of("{\"nefia\":2,\"nonce\":\"00\"}")), NEFIA_EINVAL);
    CHECK_INT(link_beacon_greeting(&beacon, slice_of("{\"nonce\":\"" KEY "\"}")), NEFIA_EINVAL);
    CHECK_INT(link_beacon_greeting(&beacon, slice_of("220 mail ESMTP")), NEFIA_ESYNTAX);
    CHECK_INT(link_beacon_greeting(&beacon, slice_of("{\"nefia\":2,\"nonce\":\"" KEY "\",\"more\":[]}")), 0);
}

static int read_hello(const char *line)
{
    struct link_hello h;

    return link_hub_hello(&h, slice_of(line), tokens, LINK_TOKENS, &why);
}

#define HELLO(host, nonce, rest)                                                                   \
    "{\"hello\":{\"host_id\":\"" host "\",\"nonce\":\"" nonce "\"" rest "}}"

TEST(a_hello_is_checked)
{
    CHECK_INT(read_hello(HELLO("r1", KEY, ",\"boot\":7,\"plain\":false")), 0);
    CHECK_INT(read_hello(HELLO("r1", KEY, ",\"boot\":9007199254740991,\"plain\":true,\"x\":[{}]")), 0);
    CHECK_INT(read_hello(HELLO("r1", KEY, ",\"boot\":9007199254740992,\"plain\":true")), NEFIA_EINVAL);
    CHECK_INT(read_hello(HELLO("r1", KEY, ",\"boot\":0,\"plain\":true")), NEFIA_EINVAL);
    CHECK_INT(read_hello(HELLO("r1", KEY, ",\"boot\":7")), NEFIA_EINVAL);
    CHECK_INT(read_hello(HELLO("", KEY, ",\"boot\":7,\"plain\":true")), NEFIA_EINVAL);
    CHECK_INT(read_hello(HELLO("a\\u0007b", KEY, ",\"boot\":7,\"plain\":true")), NEFIA_EINVAL);
    CHECK_INT(read_hello(HELLO("a\\u0000b", KEY, ",\"boot\":7,\"plain\":true")), NEFIA_EINVAL);
    CHECK_INT(read_hello(HELLO("r1", "0", ",\"boot\":7,\"plain\":true")), NEFIA_EINVAL);
    CHECK_INT(read_hello(HELLO("r1", KEY, ",\"boot\":7,\"boot\":7,\"plain\":true")), NEFIA_ESYNTAX);
    CHECK_INT(read_hello("{\"hello\":7}"), NEFIA_EINVAL);
    CHECK_INT(read_hello("{\"hello\":"), NEFIA_ESYNTAX);
    CHECK(!link_is_hello(slice_of("{\"hell")));
    CHECK(!link_is_hello(slice_of(EVENT)));
}

static bool read_both(struct link_message *m, const struct json_doc *d, unsigned object)
{
    return m->kind == LINK_COMMAND ? link_read_command(m, d, object) : link_read_result(m, d, object);
}

static int read_message(const char *line)
{
    return link_read(&got, slice_of(line), tokens, LINK_TOKENS, read_both);
}

#define WELCOME(starts, window, bytes)                                                             \
    "{\"welcome\":{\"starts\":" starts ",\"window\":" window ",\"bytes\":" bytes "}}"
#define START "[1,2,\"0123456789abcdef\"]"

TEST(a_welcome_is_checked)
{
    CHECK_INT(read_message(WELCOME("[]", "0", "1024")), 0);
    CHECK_INT(read_message(WELCOME("[" START "," START "]", "65535", "1024")), 0);
    CHECK_INT(read_message(WELCOME("[" START "," START "," START "]", "0", "1024")), NEFIA_EINVAL);
    CHECK_INT(read_message(WELCOME("[[1,2]]", "0", "1024")), NEFIA_EINVAL);
    CHECK_INT(read_message(WELCOME("[[1,-2,\"0123456789abcdef\"]]", "0", "1024")), NEFIA_EINVAL);
    CHECK_INT(read_message(WELCOME("[[1,2,\"0123456789abcde\"]]", "0", "1024")), NEFIA_EINVAL);
    CHECK_INT(read_message(WELCOME("[[1,2,3]]", "0", "1024")), NEFIA_EINVAL);
    CHECK_INT(read_message(WELCOME("{}", "0", "1024")), NEFIA_EINVAL);
    CHECK_INT(read_message(WELCOME("[]", "65536", "1024")), NEFIA_EINVAL);
    CHECK_INT(read_message(WELCOME("[]", "1", "100")), NEFIA_EINVAL);
    CHECK_INT(read_message("{\"ack\":{\"line\":1}}"), NEFIA_EINVAL);
    CHECK_INT(read_message("{\"ack\":{\"line\":1.5},\"window\":1}"), NEFIA_EINVAL);
    CHECK_INT(read_message("{\"ack\":7,\"window\":1}"), NEFIA_EINVAL);
    CHECK_INT(read_message("[]"), NEFIA_ESYNTAX);
}

TEST(a_reason_is_cut_and_harmless)
{
    static char line[300];
    struct text t;

    text_init(&t, line, sizeof line);
    text_str(&t, "{\"error\":{\"reason\":\"\\u001b[2J");
    for (unsigned i = 0; i < LINK_REASON_MAX; i++)
        text_char(&t, 'x');
    text_str(&t, "\"}}");
    CHECK_INT(read_message(line), 0);
    CHECK_INT(got.kind, LINK_ERROR);
    CHECK(strncmp(got.reason, "?[2Jxxx", 7) == 0);
    CHECK_INT(strlen(got.reason), LINK_REASON_MAX);
}

TEST(units_are_cut_in_any_pieces)
{
    open_session(true);
    send_event();
    const size_t whole = up.len;
    for (size_t n = 0; n < whole; n++)
        CHECK_INT(link_cut(to_hub, n, LINK_HELLO_MAX, true, &unit), 0);
    CHECK(link_cut(to_hub, whole, LINK_HELLO_MAX, true, &unit) == (long)whole);
    CHECK_INT(link_cut(to_hub, whole, 20, true, &unit), NEFIA_ETOOBIG);
    CHECK_INT(link_cut(to_hub, 20, 20, true, &unit), 0);
    /* What cannot be a signature is not waited for. */
    memset(to_hub + strlen(EVENT) + 1, 'x', MAC_HEX + 1);
    CHECK(link_cut(to_hub, strlen(EVENT) + 1 + MAC_HEX + 1, LINK_HELLO_MAX, true, &unit) > 0);
    CHECK_INT(link_verify(&hub, &unit), NEFIA_EINVAL);
}

TEST(the_longest_messages_fit)
{
    struct link_welcome w = {.start_count = 2, .window = LINK_WINDOW_MAX, .bytes = LINK_BYTES_MAX};
    static char reason[200];

    open_session(true);
    w.starts[0] = w.starts[1] = (struct link_start){LINK_BOOT_END - 1, UINT64_MAX, {0}};
    text_reset(&down);
    link_hub_welcome(&hub, &w, &down);
    CHECK(!down.truncated);
    CHECK(down.len <= LINK_SENT_MAX + MAC_HEX + 2);
    memset(reason, 'r', sizeof reason - 1);
    text_reset(&down);
    link_hub_refuse(&hub, UINT64_MAX, reason, LINK_WINDOW_MAX, &down);
    CHECK(!down.truncated);
    memset(hello.host_id, '"', EVENT_HOST_MAX);
    hello.boot = LINK_BOOT_END - 1;
    begin(true);
    memset(hello.host_id, '"', EVENT_HOST_MAX);
    greet(1);
    send_hello(&key);
    CHECK(!up.truncated);
    CHECK_INT(take_hello(&key), 0);
}

/** A session in which both ends name these features. */
static void open_with(bool is_signed, unsigned of_beacon, unsigned of_hub)
{
    const struct link_welcome w = {.window = 32, .bytes = LINK_BYTES_MIN, .features = of_hub};

    begin(is_signed);
    hello.features = of_beacon;
    greet(1);
    send_hello(is_signed ? &key : &none);
    CHECK_INT(take_hello(is_signed ? &key : NULL), 0);
    text_reset(&down);
    link_hub_welcome(&hub, &w, &down);
    CHECK_INT(take_down(), 0);
}

TEST(features_are_agreed_in_signed_sessions_only)
{
    open_with(true, LINK_EXEC, LINK_EXEC);
    CHECK_INT(beacon.features, LINK_EXEC);
    CHECK_INT(hub.features, LINK_EXEC);
    open_with(true, LINK_EXEC, 0);
    CHECK_INT(beacon.features, 0);
    CHECK_INT(hub.features, 0);
    open_with(true, 0, LINK_EXEC); /* a hub that names what the hello did not */
    CHECK_INT(beacon.features, 0);
    open_with(false, LINK_EXEC, LINK_EXEC);
    CHECK(!strstr(to_hub, "exec") && !strstr(to_beacon, "exec"));
    CHECK_INT(beacon.features, 0);
    CHECK_INT(hub.features, 0);
}

static unsigned features_of(const char *list)
{
    static char line[300];
    struct link_hello h;
    struct text t;

    text_init(&t, line, sizeof line);
    text_str(&t, "{\"hello\":{\"host_id\":\"r1\",\"nonce\":\"" KEY "\",\"boot\":7,\"plain\":false,\"features\":");
    text_str(&t, list);
    text_str(&t, "}}");
    CHECK_INT(link_hub_hello(&h, (struct slice){t.buf, t.len}, tokens, LINK_TOKENS, &why), 0);
    return h.features;
}

TEST(unknown_features_are_ignored)
{
    CHECK_INT(features_of("[]"), 0);
    CHECK_INT(features_of("[\"exec\"]"), LINK_EXEC);
    CHECK_INT(features_of("[\"later\",{\"exec\":1},[\"x\"],7,\"exec\"]"), LINK_EXEC);
    CHECK_INT(features_of("[[\"exec\"],\"execs\",\"exe\",\"\"]"), 0);
    CHECK_INT(features_of("\"exec\""), 0);
    CHECK_INT(features_of("{\"exec\":true}"), 0);
}

static const struct link_command reboot = {.id = UINT64_MAX, .first = 7, .age_ms = LINK_TIME_MAX, .life_ms = 1};

TEST(a_command_comes_as_it_was_sent)
{
    struct link_command c = reboot;

    c.op = slice_of("{\"run\":\"reboot\",\"env\":{\"A\":\"\\\"\"}}");
    c.cause = slice_of("[\"a\",\"b\"]");
    open_with(true, LINK_EXEC, LINK_EXEC);
    text_reset(&down);
    CHECK_INT(link_hub_command(&hub, &c, &down), 0);
    CHECK_INT(take_down(), 0);
    CHECK_INT(got.kind, LINK_COMMAND);
    CHECK(got.command.id == c.id && got.command.first == 7);
    CHECK(got.command.age_ms == LINK_TIME_MAX && got.command.life_ms == 1);
    CHECK_INT(got.command.op.len, c.op.len);
    CHECK_MEM(got.command.op.ptr, c.op.ptr, c.op.len);
    CHECK_INT(got.command.cause.len, c.cause.len);
    CHECK_MEM(got.command.cause.ptr, c.cause.ptr, c.cause.len);
    c = (struct link_command){.id = 1, .first = 7}; /* asks only */
    text_reset(&down);
    CHECK_INT(link_hub_command(&hub, &c, &down), 0);
    CHECK_INT(take_down(), 0);
    CHECK(got.command.id == 1 && got.command.life_ms == 0 && got.command.op.len == 0 && got.command.cause.len == 0);
}

TEST(the_longest_command_fits_and_no_longer_one)
{
    static char op[LINK_COMMAND_MAX];
    struct link_command c = reboot;
    size_t fits = 0;

    memset(op, ' ', sizeof op);
    op[0] = '{';
    for (size_t len = LINK_COMMAND_MAX - 200; len < LINK_COMMAND_MAX; len++) {
        open_with(true, LINK_EXEC, LINK_EXEC);
        op[len - 1] = '}';
        c.op = (struct slice){op, len};
        text_reset(&down);
        const uint64_t before = hub.lines_out;
        const int err = link_hub_command(&hub, &c, &down);
        op[len - 1] = ' ';
        if (err < 0) {
            CHECK_INT(err, NEFIA_ETOOBIG);
            CHECK_INT(down.len, 0);
            CHECK(hub.lines_out == before);
            break;
        }
        fits = down.len;
    }
    CHECK_INT(fits, LINK_COMMAND_MAX + MAC_HEX + 2);
}

TEST(no_command_without_the_feature)
{
    struct link_command c = reboot;

    c.op = slice_of("{}");
    open_with(true, 0, LINK_EXEC);
    hub.features = 0;
    text_reset(&down);
    CHECK_INT(link_hub_command(&hub, &c, &down), NEFIA_ENOTSUP);
    hub.features = LINK_EXEC; /* a hub that does not care */
    CHECK_INT(link_hub_command(&hub, &c, &down), 0);
    CHECK_INT(take_down(), NEFIA_EINVAL);
    CHECK_INT(beacon.state, LINK_OVER);
    open_session(false);
    hub.features = LINK_EXEC;
    text_reset(&down);
    CHECK_INT(link_hub_command(&hub, &c, &down), 0);
    CHECK_INT(take_down(), NEFIA_EINVAL);
    /* What a program cannot do at all is an unknown message. */
    open_with(true, LINK_EXEC, LINK_EXEC);
    text_reset(&down);
    CHECK_INT(link_hub_command(&hub, &c, &down), 0);
    CHECK(cut(&down, true) == (long)down.len);
    CHECK_INT(link_beacon_line(&beacon, &unit, &got, NULL, &why), 0);
    CHECK_INT(got.kind, LINK_UNKNOWN);
}

#define COMMAND(id, first, age, life, rest)                                                        \
    "{\"command\":{\"id\":\"" id "\",\"first\":" first ",\"age_ms\":" age ",\"life_ms\":" life rest "}}"
#define ID "0123456789abcdef"

TEST(a_command_is_checked)
{
    CHECK_INT(read_message(COMMAND(ID, "7", "0", "0", "")), 0);
    CHECK_INT(read_message(COMMAND(ID, "7", "0", "4294967295", ",\"op\":{},\"later\":1")), 0);
    CHECK_INT(read_message(COMMAND(ID, "7", "0", "1", "")), NEFIA_EINVAL);
    CHECK_INT(read_message(COMMAND(ID, "7", "0", "1", ",\"op\":[]")), NEFIA_EINVAL);
    CHECK_INT(read_message(COMMAND(ID, "7", "0", "1", ",\"op\":{},\"cause\":\"x\"")), NEFIA_EINVAL);
    CHECK_INT(read_message(COMMAND(ID, "7", "0", "1", ",\"op\":{},\"cause\":[\"x\",1]")), NEFIA_EINVAL);
    CHECK_INT(read_message(COMMAND(ID, "7", "4294967296", "0", "")), NEFIA_EINVAL);
    CHECK_INT(read_message(COMMAND(ID, "7", "0", "4294967296", ",\"op\":{}")), NEFIA_EINVAL);
    CHECK_INT(read_message(COMMAND(ID, "7", "-1", "0", "")), NEFIA_EINVAL);
    CHECK_INT(read_message(COMMAND(ID, "9007199254740992", "0", "0", "")), NEFIA_EINVAL);
    CHECK_INT(read_message(COMMAND("0123456789abcde", "7", "0", "0", "")), NEFIA_EINVAL);
    CHECK_INT(read_message(COMMAND("0123456789ABCDEF", "7", "0", "0", "")), NEFIA_EINVAL);
    CHECK_INT(read_message("{\"command\":{\"id\":\"" ID "\"}}"), NEFIA_EINVAL);
}

TEST(a_cause_is_bounded)
{
    static char line[EVENT_CAUSE_MAX + 200];
    struct text t;

    for (unsigned more = 0; more < 2; more++) {
        text_init(&t, line, sizeof line);
        text_str(&t, "{\"command\":{\"id\":\"" ID "\",\"first\":7,\"age_ms\":0,\"life_ms\":0,\"cause\":[\"");
        for (unsigned i = 0; i < EVENT_CAUSE_MAX - 4 + more; i++)
            text_char(&t, 'x');
        text_str(&t, "\"]}}");
        CHECK_INT(read_message(line), more ? NEFIA_EINVAL : 0);
    }
}

static char result_line[LINK_BYTES_MIN + MAC_HEX + 3];

/** What the hub reads of a result that the beacon writes. */
static void pass_result(const struct link_result *r)
{
    open_with(true, LINK_EXEC, LINK_EXEC);
    const size_t len = link_beacon_result(&beacon, r, result_line, LINK_BYTES_MIN);
    CHECK(len <= LINK_BYTES_MIN + MAC_HEX + 2);
    CHECK(link_cut(result_line, len, LINK_BYTES_MIN, true, &unit) == (long)len);
    CHECK_INT(link_verify(&hub, &unit), 0);
    CHECK_INT(link_read(&got, unit.line, tokens, LINK_TOKENS, link_read_result), 0);
    CHECK_INT(got.kind, LINK_RESULT);
    CHECK(got.result.id == r->id);
    CHECK_INT(got.result.outcome, r->outcome);
}

TEST(a_result_comes_as_it_was_sent)
{
    static char bytes[64];
    struct text t;
    struct link_result r = {.id = 5, .exit_code = 143, .signal = 15, .timed_out = true, .duration_ms = 30000,
                            .output_total = UINT64_MAX, .output = {"a\0\"\xff\n", 5}};

    pass_result(&r);
    CHECK_INT(got.result.exit_code, 143);
    CHECK_INT(got.result.signal, 15);
    CHECK(got.result.timed_out && got.result.duration_ms == 30000 && got.result.output_total == UINT64_MAX);
    text_init(&t, bytes, sizeof bytes);
    link_result_output(&got.result, &t);
    CHECK_INT(t.len, 7);
    CHECK_MEM(bytes, "a\0\"\xEF\xBF\xBD\n", 7);
    text_init(&t, bytes, 4);
    link_result_output(&got.result, &t);
    CHECK_INT(t.len, 3); /* cut between characters */
    r = (struct link_result){.id = 5, .outcome = LINK_DENIED, .reason = "matches deny_commands \"x\""};
    pass_result(&r);
    CHECK_STR(got.result.reason, r.reason);
    CHECK_INT(got.result.output.len, 0);
    text_init(&t, bytes, sizeof bytes);
    link_result_output(&got.result, &t);
    CHECK_INT(t.len, 0);
}

TEST(of_the_output_what_fits_is_sent)
{
    static char output[4096], back[4096];
    struct link_result r = {.id = 1, .output_total = sizeof output, .output = {output, sizeof output}};
    struct text t;

    memset(r.reason, '"', LINK_REASON_MAX);
    for (unsigned c = 0; c < 256; c += 5) {
        memset(output, (int)c, sizeof output);
        pass_result(&r);
        text_init(&t, back, sizeof back);
        link_result_output(&got.result, &t);
        CHECK(t.len >= 60 && t.len <= LINK_BYTES_MIN);
    }
}

#define RESULT(state, rest) "{\"result\":{\"id\":\"" ID "\",\"state\":\"" state "\"" rest "}}"

TEST(a_result_is_checked)
{
    static const char *const states[] = {"denied", "expired", "unknown", "unsupported", "busy"};
    static char line[100];

    for (unsigned i = 0; i < 5; i++) {
        struct text t;
        text_init(&t, line, sizeof line);
        text_str(&t, "{\"result\":{\"id\":\"" ID "\",\"state\":\"");
        text_str(&t, states[i]);
        text_str(&t, "\"}}");
        CHECK_INT(read_message(line), 0);
        CHECK_INT(got.result.outcome, LINK_DENIED + i);
    }
    CHECK_INT(read_message(RESULT("done", ",\"exit\":0")), 0);
    CHECK_INT(read_message(RESULT("done", "")), NEFIA_EINVAL);
    CHECK_INT(read_message(RESULT("done", ",\"exit\":256")), NEFIA_EINVAL);
    CHECK_INT(read_message(RESULT("done", ",\"exit\":0,\"signal\":256")), NEFIA_EINVAL);
    CHECK_INT(read_message(RESULT("done", ",\"exit\":0,\"ms\":-1")), NEFIA_EINVAL);
    CHECK_INT(read_message(RESULT("done", ",\"exit\":0,\"output\":7")), NEFIA_EINVAL);
    CHECK_INT(read_message(RESULT("finished", "")), NEFIA_EINVAL);
    CHECK_INT(read_message("{\"result\":{\"id\":\"" ID "\",\"state\":0}}"), NEFIA_EINVAL);
    CHECK_INT(read_message("{\"result\":{\"id\":\"1\",\"state\":\"busy\"}}"), NEFIA_EINVAL);
    /* Of the other direction it is an unknown message. */
    CHECK_INT(link_read(&got, slice_of(RESULT("later", "")), tokens, LINK_TOKENS, link_read_command), 0);
    CHECK_INT(got.kind, LINK_UNKNOWN);
    CHECK_INT(link_read(&got, slice_of("{\"command\":{}}"), tokens, LINK_TOKENS, link_read_result), 0);
    CHECK_INT(got.kind, LINK_UNKNOWN);
}

/** The beacon's or the hub's next line is the golden one of that number; up or down has it. */
static void check_golden(unsigned i, const struct text *said)
{
    const char *sig = golden[i].sig;
    struct text expected;
    static char buf[512];

    text_init(&expected, buf, sizeof buf);
    text_str(&expected, golden[i].line);
    text_char(&expected, '\n');
    text_str(&expected, sig);
    if (sig[0])
        text_char(&expected, '\n');
    CHECK_INT(said->len, expected.len);
    CHECK_MEM(said->buf, expected.buf, expected.len);
}

/** The beacon sends the golden line as it is, and the hub takes it. */
static void golden_up(unsigned i)
{
    const size_t len = strlen(golden[i].line);

    memcpy(to_hub, golden[i].line, len);
    up.len = link_beacon_end(&beacon, to_hub, len);
    check_golden(i, &up);
    CHECK(cut(&up, true) == (long)up.len);
    CHECK_INT(link_verify(&hub, &unit), 0);
}

static void golden_down(unsigned i)
{
    check_golden(i, &down);
    CHECK_INT(take_down(), 0);
    text_reset(&down);
}

static void golden_keys(void)
{
    static const char *const hex[] = {GOLDEN_UP, GOLDEN_DOWN};
    const unsigned line[] = {1, 2}; /* the first of each direction */

    for (unsigned i = 0; i < 2; i++) {
        const char *text = golden[line[i]].line;
        uint8_t secret[MAC_BYTES];
        char sig[MAC_HEX];
        struct mac_key k;

        CHECK(parse_hex(hex[i], strlen(hex[i]), secret, sizeof secret) >= 0);
        CHECK_INT(mac_key_set(&k, secret, sizeof secret), 0);
        mac_sign_line(&k, 1, text, strlen(text), sig);
        CHECK_MEM(sig, golden[line[i]].sig, MAC_HEX);
    }
}

TEST(the_session_of_the_documentation)
{
    const struct link_welcome w = {
        .starts = {{6, 12, {0xa1, 0xa2, 0xa3, 0xa4, 0xa5, 0xa6, 0xa7, 0xa8}}},
        .start_count = 1,
        .window = 32,
        .bytes = 8192,
        .features = LINK_EXEC};

    CHECK_INT(sizeof golden / sizeof golden[0], 14);
    golden_keys();
    begin(true);
    hello.features = LINK_EXEC;
    greet(1);
    check_golden(0, &down);
    send_hello(&key);
    check_golden(1, &up);
    CHECK_INT(take_hello(&key), 0);
    text_reset(&down);
    link_hub_welcome(&hub, &w, &down);
    golden_down(2);
    golden_up(3);
    up.len = link_beacon_unsure(&beacon, to_hub);
    check_golden(4, &up);
    CHECK(cut(&up, true) == (long)up.len);
    CHECK_INT(link_verify(&hub, &unit), 0);
    golden_up(5);
    golden_up(6);
    link_hub_ack(&hub, 4, 32, &down);
    golden_down(7);
    link_hub_refuse(&hub, 5, "not an event", 32, &down);
    golden_down(8);
    link_hub_ack(&hub, 5, 32, &down);
    golden_down(9);
    const struct link_command c = {.id = GOLDEN_ID, .first = 7, .age_ms = 1200, .life_ms = 30000,
                                   .op = slice_of("{\"argv\":[\"/bin/echo\",\"hi\"],\"timeout_ms\":30000}"),
                                   .cause = slice_of("[\"door\"]")};
    CHECK_INT(link_hub_command(&hub, &c, &down), 0);
    golden_down(10);
    const struct link_result r = {.id = GOLDEN_ID, .duration_ms = 2, .output_total = 3, .output = slice_of("hi\n")};
    up.len = link_beacon_result(&beacon, &r, to_hub, LINK_BYTES_MIN);
    check_golden(11, &up);
    CHECK(cut(&up, true) == (long)up.len);
    CHECK_INT(link_verify(&hub, &unit), 0);
    link_hub_ack(&hub, 6, 32, &down);
    golden_down(12);
    link_put_error(&hub, "another session of this host", &down);
    golden_down(13);
    CHECK_INT(beacon.state, LINK_OVER);
}

TEST_MAIN(a_session_is_opened, the_session_of_the_documentation, without_a_key_the_same_messages_go_unsigned,
          events_are_acknowledged_by_line, another_key_proves_nothing_and_a_second_may_be_tried,
          a_recorded_hello_is_worthless_in_another_session, a_line_is_good_for_one_place,
          a_line_is_good_for_one_direction, an_acknowledgement_of_another_session_is_refused,
          the_greeting_is_in_every_signature, an_unsigned_error_is_read_before_the_welcome_only,
          a_signed_error_ends_the_session, an_unknown_message_counts_and_is_ignored,
          only_what_was_sent_and_is_unsettled_is_settled, a_greeting_of_another_version_or_none,
          a_hello_is_checked, a_welcome_is_checked, a_reason_is_cut_and_harmless,
          units_are_cut_in_any_pieces, features_are_agreed_in_signed_sessions_only, unknown_features_are_ignored,
          a_command_comes_as_it_was_sent, the_longest_command_fits_and_no_longer_one, no_command_without_the_feature,
          a_command_is_checked, a_cause_is_bounded, a_result_comes_as_it_was_sent, of_the_output_what_fits_is_sent,
          a_result_is_checked, the_longest_messages_fit)
