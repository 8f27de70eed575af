#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "check.h"
#include "nefia/base/err.h"
#include "nefia/beacon/delivery.h"

/* One connection without a loop, over a pair of local sockets: what the hub has not read counts as not
 * arrived. What uplink and delivery do together is in test_uplink.c. */
enum { OWN = 7, BEGIN_MS = 1000 };

static struct delivery delivery;
static struct session session;
static struct spool spool;
static uint8_t memory[64 * 1024];
static char line[DELIVERY_LINE_BYTES];
static struct mac_key no_key;
static struct stream stream = {.fd = -1};
static struct addr hub_addr;
static int hub = -1;
static char got[128 * 1024];
static size_t got_len;

static int random_bytes(void *buf, size_t len)
{
    memset(buf, 1, len);
    return 0;
}

static void close_both(void)
{
    if (hub >= 0)
        close(hub);
    if (stream.fd >= 0)
        close(stream.fd);
    hub = stream.fd = -1;
}

static void push(const char *text)
{
    static uint64_t seq;

    spool_push(&spool, &(struct spool_event){.id = {OWN, ++seq},
                                             .severity = SEVERITY_WARNING,
                                             .line = text,
                                             .len = strlen(text)});
}

/** A connection has just been made, at BEGIN_MS. */
static void begin(bool require_ack)
{
    int fds[2];

    close_both();
    got_len = 0;
    spool_init(&spool, memory, sizeof memory);
    spool.own = OWN;
    delivery_init(&delivery, &spool, &session, line);
    delivery.random = random_bytes;
    delivery.host_id = "r1";
    delivery.require_ack = require_ack;
    delivery_configure(&delivery, &no_key);
    CHECK_INT(addr_parse(&hub_addr, "127.0.0.1:9500", 14, 0, NULL), 0);
    CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    stream.fd = fds[0];
    hub = fds[1];
    CHECK_INT(delivery_prepare(&delivery), 0);
    delivery_begin(&delivery, &stream, &hub_addr, BEGIN_MS);
}

/** To a plain hub, recognised as such. Return: when. */
static uint64_t begin_plain(void)
{
    const uint64_t at = BEGIN_MS + LINK_GREETING_MS;

    begin(false);
    delivery_due(&delivery, at);
    CHECK_INT(delivery.state, DELIVERY_PLAIN);
    return at;
}

/** All that the hub has received by now. */
static const char *received(void)
{
    ssize_t n;

    while ((n = recv(hub, got + got_len, sizeof got - 1 - got_len, 0)) > 0)
        got_len += (size_t)n;
    got[got_len] = '\0';
    return got;
}

static void due(void)
{
    const uint64_t at = delivery_deadline(&delivery);

    CHECK(at > 0);
    delivery_due(&delivery, at);
}

TEST(nothing_is_sent_before_the_greeting)
{
    begin(false);
    push("{}");
    delivery_kick(&delivery, BEGIN_MS);
    CHECK_INT(delivery.state, DELIVERY_GREETING);
    CHECK_INT(delivery.events, POLLIN);
    CHECK_INT((long long)delivery_deadline(&delivery), BEGIN_MS + LINK_GREETING_MS);
    CHECK_STR(received(), "");
    due();
    CHECK_INT(delivery.state, DELIVERY_PLAIN);
    CHECK_STR(received(), "{}\n");
    delivery_end(&delivery);
    CHECK_INT(delivery.state, DELIVERY_NONE);
    CHECK_INT(spool.unsent, 1);
}

TEST(require_ack_ends_it)
{
    begin(true);
    push("{}");
    due();
    CHECK_INT(delivery.state, DELIVERY_LOST);
    CHECK(delivery.why != NULL);
    CHECK_INT(delivery.error, 0);
    CHECK_STR(received(), "");
    delivery_end(&delivery);
}

TEST(delivered_is_what_arrived_and_stood)
{
    uint64_t now = begin_plain();

    push("{}");
    delivery_kick(&delivery, now);
    CHECK(!delivery_idle(&delivery));
    for (int i = 0; i < 5; i++)
        due();
    CHECK_INT(delivery.delivered, 0); /* the hub has not read it */
    CHECK_STR(received(), "{}\n");
    due();
    CHECK_INT(delivery.delivered, 0);
    due();
    CHECK_INT(delivery.delivered, 1);
    CHECK(delivery_idle(&delivery));
    CHECK_INT((long long)delivery_deadline(&delivery), 0);
    /* The owner has not looked: it goes on. */
    push("{\"b\":1}");
    delivery_kick(&delivery, now + 5000);
    received();
    due();
    due();
    CHECK_INT(delivery.delivered, 2);
    CHECK_INT(spool.events, 0);
    delivery_end(&delivery);
}

TEST(an_orderly_close)
{
    for (int reads = 0; reads < 2; reads++) {
        const uint64_t now = begin_plain();

        push("{}");
        delivery_kick(&delivery, now);
        CHECK_INT(shutdown(hub, SHUT_WR), 0);
        delivery_ready(&delivery, POLLIN, now + 1);
        CHECK_INT(delivery.state, DELIVERY_CLOSING);
        CHECK_INT(delivery.events, 0);
        due();
        CHECK_INT(delivery.state, DELIVERY_CLOSING);
        if (reads) {
            CHECK_STR(received(), "{}\n");
            CHECK_INT(recv(hub, got, 1, 0), 0); /* our side is closed, too */
            due();
            CHECK_INT(delivery.state, DELIVERY_FINISHED);
            CHECK_INT(delivery.delivered, 1);
        } else {
            delivery_due(&delivery, now + 1 + 10 * 1000);
            CHECK_INT(delivery.state, DELIVERY_LOST);
            CHECK_INT(delivery.delivered, 0);
        }
        delivery_end(&delivery);
        CHECK_INT(spool.unsent, !reads);
    }
}

TEST(a_reset_is_a_rejection_once_it_has_ended)
{
    const uint64_t now = begin_plain();

    push("{}");
    delivery_kick(&delivery, now);
    close(hub); /* with an event unread */
    hub = -1;
    delivery_ready(&delivery, POLLIN | POLLHUP | POLLERR, now);
    CHECK_INT(delivery.state, DELIVERY_LOST);
    CHECK(delivery.why == NULL);
    CHECK_INT(delivery.error, ECONNRESET);
    CHECK_INT(delivery.plain.suspects, 0);
    delivery_end(&delivery);
    CHECK_INT(delivery.plain.suspects, 1);
    CHECK_INT(spool.unsent, 1);
    CHECK_INT(delivery.delivered, 0);
}

TEST(a_full_buffer_is_watched_for_room)
{
    static char big[6000];
    const uint64_t now = begin_plain();
    const int little = 4096;

    CHECK_INT(setsockopt(stream.fd, SOL_SOCKET, SO_SNDBUF, &little, sizeof little), 0);
    memset(big, 'x', sizeof big - 1);
    for (int i = 0; i < 8; i++)
        push(big);
    delivery_kick(&delivery, now);
    CHECK_INT(delivery.events, POLLIN | POLLOUT);
    CHECK(delivery.line_len > 0 || spool.unsent > 0);
    for (int i = 0; i < 100 && delivery.events != POLLIN; i++) {
        received();
        delivery_ready(&delivery, POLLOUT, now);
    }
    CHECK_INT(delivery.events, POLLIN);
    received();
    CHECK_INT((long long)got_len, 8 * (long long)sizeof big);
    delivery_end(&delivery);
}

/* ---- A hub that acknowledges ---- */

static struct link hub_end;
static struct text saying;
static char said[LINK_SENT_MAX + MAC_HEX + 3];

static struct text *say(void)
{
    text_init(&saying, said, sizeof said);
    return &saying;
}

static void send_it(uint64_t now_ms)
{
    CHECK_INT(send(hub, saying.buf, saying.len, 0), (long long)saying.len);
    delivery_ready(&delivery, POLLIN, now_ms);
}

/** The connection goes as far as UP. */
static void begin_acknowledged(void)
{
    static const uint8_t nonce[LINK_NONCE] = {9};
    static struct json_token tokens[LINK_TOKENS];
    const struct link_welcome welcome = {.window = 4, .bytes = CONFIG_EVENT_BYTES};
    struct link_hello hello;
    struct link_unit unit;
    const char *why;

    begin(true);
    link_init(&hub_end, false, 0);
    link_hub_greet(&hub_end, nonce, say());
    send_it(BEGIN_MS);
    CHECK_INT(delivery.state, DELIVERY_WELCOME);
    received();
    CHECK(link_cut(got, got_len, DELIVERY_LINE_BYTES, false, &unit) > 0);
    CHECK_INT(link_hub_hello(&hello, unit.line, tokens, LINK_TOKENS, &why), 0);
    CHECK_INT(link_hub_prove(&hub_end, NULL, &unit), 0);
    got_len = 0;
    link_hub_welcome(&hub_end, &welcome, say());
    send_it(BEGIN_MS + 1);
    CHECK_INT(delivery.state, DELIVERY_UP);
    CHECK_INT((long long)delivery.since_ms, BEGIN_MS + 1);
}

TEST(an_acknowledgement_is_reported)
{
    begin_acknowledged();
    push("{\"a\":1}");
    delivery_kick(&delivery, BEGIN_MS + 2);
    CHECK_STR(received(), "{\"a\":1}\n");
    CHECK(!delivery.settled);
    link_hub_ack(&hub_end, 2, 4, say());
    send_it(BEGIN_MS + 3);
    CHECK(delivery.settled);
    CHECK_INT(delivery.delivered, 1);
    CHECK(delivery_idle(&delivery));
    delivery_end(&delivery);
}

TEST(a_refusal_is_reported_without_a_delivery)
{
    begin_acknowledged();
    push("{\"a\":1}");
    delivery_kick(&delivery, BEGIN_MS + 2);
    link_hub_refuse(&hub_end, 2, "not an event", 4, say());
    send_it(BEGIN_MS + 3);
    CHECK(delivery.settled);
    CHECK_INT(delivery.delivered, 0);
    CHECK_INT(spool.events, 0);
    delivery_end(&delivery);
}

TEST(whether_it_was_idle_when_it_ended)
{
    for (int idle = 0; idle < 2; idle++) {
        begin_acknowledged();
        if (!idle)
            push("{\"a\":1}");
        delivery_kick(&delivery, BEGIN_MS + 2);
        received();
        CHECK_INT(shutdown(hub, SHUT_WR), 0);
        delivery_ready(&delivery, POLLIN, BEGIN_MS + 3);
        CHECK_INT(delivery.state, DELIVERY_LOST);
        CHECK_STR(delivery.why, "closed by the hub");
        CHECK_INT(delivery.was_idle, idle);
        CHECK_INT((long long)delivery.since_ms, BEGIN_MS + 1);
        delivery_end(&delivery);
        CHECK_INT(spool.unsent, !idle);
    }
    close_both();
}

TEST_MAIN(nothing_is_sent_before_the_greeting, require_ack_ends_it, delivered_is_what_arrived_and_stood,
          an_orderly_close, a_reset_is_a_rejection_once_it_has_ended, a_full_buffer_is_watched_for_room,
          an_acknowledgement_is_reported, a_refusal_is_reported_without_a_delivery,
          whether_it_was_idle_when_it_ended)
