#include "nefia/link/link.h"

#include "check.h"
#include "nefia/base/err.h"
#include "nefia/event/event.h"

#define NONCE "0123456789abcdef0123456789abcdef"
#define SIX                                                                                        \
    "{\"type\":\"a\",\"source\":\"b\",\"host_id\":\"c\",\"timestamp\":\"2026-"                     \
    "03-10T15:30:00Z\","                                                                           \
    "\"severity\":\"info\",\"data\":{}"
#define EVENT SIX ",\"seq\":1,\"boot\":2}"
#define STAMP "\"link\":{\"nonce\":\"" NONCE "\",\"count\":3,\"low\":5}"

static struct json_token tokens[LINK_TOKENS];
static char buf[LINK_LINE_MAX + MAC_HEX + 3];
static struct link_message got;

static int read_back(const char *line)
{
    return link_read(&got, line, strlen(line), tokens);
}

static size_t put(const struct link_message *m, const struct mac_key *key)
{
    struct text t;

    text_init(&t, buf, sizeof buf);
    link_put(&t, m, key);
    CHECK(!t.truncated);
    return t.len;
}

/** The line that was put, without its newline. */
static int read_put(void)
{
    return link_read(&got, buf, strcspn(buf, "\n"), tokens);
}

TEST(greeting_round_trips)
{
    struct link_message m = {
        .kind = LINK_GREETING, .nonce = NONCE, .window = 32, .auth = LINK_AUTH_HOST};

    put(&m, NULL);
    CHECK_STR(buf, "{\"nefia\":1,\"nonce\":\"" NONCE
                   "\",\"window\":32,\"span\":256,\"bytes\":8192,\"auth\":\"host\"}\n-\n");
    CHECK_INT(read_put(), 0);
    CHECK_INT(got.kind, LINK_GREETING);
    CHECK_STR(got.nonce, NONCE);
    CHECK_INT(got.window, 32);
    CHECK_INT(got.span, LINK_SPAN);
    CHECK_INT(got.bytes, CONFIG_EVENT_BYTES);
    CHECK_INT(got.auth, LINK_AUTH_HOST);
}

TEST(longest_acknowledgement_fits_and_is_signed)
{
    struct link_message m = {
        .kind = LINK_ACK, .nonce = NONCE, .window = 65535, .boot = UINT64_MAX, .seq = UINT64_MAX, .count = UINT64_MAX};
    struct mac_key key = {.set = false};

    CHECK_INT(mac_key_set(&key, "0123456789abcdef", 16), 0);
    size_t len = put(&m, &key), line = strcspn(buf, "\n");
    CHECK(line <= LINK_LINE_MAX);
    CHECK_INT(len, line + 1 + MAC_HEX + 1);
    CHECK_INT(mac_verify_hex(&key, buf, line, buf + line + 1, MAC_HEX), 0);
    CHECK_INT(read_put(), 0);
    CHECK_INT(got.kind, LINK_ACK);
    CHECK(got.boot == UINT64_MAX && got.seq == UINT64_MAX);
    CHECK_INT(got.window, 65535);
}

TEST(refusal_round_trips)
{
    struct link_message m = {.kind = LINK_REFUSAL, .nonce = NONCE, .window = 1, .count = 9};

    put(&m, NULL);
    CHECK_INT(read_put(), 0);
    CHECK_INT(got.kind, LINK_REFUSAL);
    CHECK_INT(got.count, 9);
    CHECK_INT(read_back("{\"refused\":{},\"nonce\":\"" NONCE "\",\"window\":1}"), NEFIA_EINVAL);
}

TEST(refuses_unknown_messages)
{
    CHECK_INT(read_back("{"), NEFIA_ESYNTAX);
    CHECK_INT(read_back("{}"), NEFIA_EINVAL);
    CHECK_INT(read_back("[]"), NEFIA_EINVAL);
    CHECK_INT(read_back("{\"nonce\":\"" NONCE "\",\"window\":1}"), NEFIA_EINVAL);
    CHECK_INT(read_back("{\"nefia\":2,\"nonce\":\"" NONCE "\",\"window\":1}"), NEFIA_ENOTSUP);
    CHECK_INT(
        read_back("{\"nefia\":1,\"nonce\":\"" NONCE "\",\"window\":1,\"span\":256,\"bytes\":8192,\"auth\":\"x\"}"),
        NEFIA_EINVAL);
    CHECK_INT(read_back("{\"nefia\":1,\"nonce\":\"" NONCE
                        "\",\"window\":1,\"span\":0,\"bytes\":8192,\"auth\":\"none\"}"),
              NEFIA_EINVAL);
    CHECK_INT(read_back("{\"ack\":{\"boot\":1},\"nonce\":\"" NONCE "\",\"window\":1}"),
              NEFIA_EINVAL);
    CHECK_INT(read_back("{\"ack\":7,\"nonce\":\"" NONCE "\",\"window\":1}"), NEFIA_EINVAL);
    CHECK_INT(read_back("{\"ack\":{\"boot\":1,\"count\":1,\"seq\":-2},\"nonce\":\"" NONCE "\",\"window\":1}"),
              NEFIA_EINVAL);
    CHECK_INT(read_back("{\"ack\":{\"boot\":1,\"seq\":2,\"count\":1},\"nonce\":"
                        "\"ABCDEF6789abcdef0123456789abcdef\","
                        "\"window\":1}"),
              NEFIA_EINVAL);
    CHECK_INT(
        read_back("{\"ack\":{\"boot\":1,\"seq\":2,\"count\":1},\"nonce\":\"" NONCE "\",\"window\":65536}"),
        NEFIA_EINVAL);
}

TEST(stamp_is_read_by_the_decoder)
{
    static struct json_token event_tokens[CONFIG_JSON_TOKENS];
    static char scratch[EVENT_SCRATCH], line[sizeof EVENT + LINK_STAMP_MAX];
    struct event e;
    struct link_stamp stamp;

    memcpy(line, EVENT, sizeof EVENT);
    size_t len = link_stamp(line, sizeof EVENT - 1, NONCE, UINT64_MAX, UINT64_MAX);
    CHECK(len - (sizeof EVENT - 1) <= LINK_STAMP_MAX);
    CHECK_INT(event_decode(&e, line, len, event_tokens, CONFIG_JSON_TOKENS, scratch, NULL), 0);
    CHECK(link_stamp_read(&stamp, &e));
    CHECK(slice_eq(stamp.nonce, NONCE));
    CHECK(stamp.count == UINT64_MAX && stamp.low == UINT64_MAX);
    CHECK_INT(e.seq, 1);
}

/** Is there a stamp in an event with these members beside the six? */
static bool has_stamp(const char *members)
{
    static struct json_token event_tokens[CONFIG_JSON_TOKENS];
    static char scratch[EVENT_SCRATCH];
    char line[512];
    struct event e;
    struct link_stamp stamp;
    struct text t;

    text_init(&t, line, sizeof line);
    text_bytes(&t, SIX, sizeof SIX - 1);
    text_str(&t, members);
    text_char(&t, '}');
    CHECK_INT(event_decode(&e, line, t.len, event_tokens, CONFIG_JSON_TOKENS, scratch, NULL), 0);
    return link_stamp_read(&stamp, &e);
}

TEST(a_member_of_another_form_is_no_stamp)
{
    static const char *const others[] = {
        "\"link\":\"http://example.net/\"",
        "\"link\":{}",
        "\"link\":null",
        "\"link\":{\"nonce\":\"" NONCE "\",\"count\":-1,\"low\":0}",
        "\"link\":{\"nonce\":\"0123\",\"count\":1,\"low\":0}",
        "\"link\":{\"nonce\":\"" NONCE "\",\"count\":1}",
    };
    char members[256];
    struct text t;

    CHECK(has_stamp(",\"seq\":1,\"boot\":2," STAMP));
    for (unsigned i = 0; i < ARRAY_SIZE(others); i++) {
        text_init(&t, members, sizeof members);
        text_str(&t, ",\"seq\":1,\"boot\":2,");
        text_str(&t, others[i]);
        CHECK(!has_stamp(members));
    }
    CHECK(!has_stamp("," STAMP)); /* nothing to acknowledge */
}

TEST_MAIN(a_member_of_another_form_is_no_stamp, greeting_round_trips, longest_acknowledgement_fits_and_is_signed,
          refusal_round_trips, refuses_unknown_messages,
          stamp_is_read_by_the_decoder)
