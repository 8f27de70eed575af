#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fake_loop.h"
#include "nefia/beacon/uplink.h"
#include "nefia/base/err.h"
#include "nefia/net/tcp.h"

/* An uplink against a minimal fake hub, over loopback, with a clock moved by the test. */
enum { SPOOL = 64 * 1024, KEY_BYTES = 20, OWN = 7 };

static struct spool spool;
static uint8_t memory[SPOOL];
static struct uplink uplink;
static struct delivery *const delivery = &uplink.delivery;
static struct session session;
static struct mac_key key;
static char line[DELIVERY_LINE_BYTES];
static struct uplink_hub hub[2];
static int listener = -1, peer = -1;
static unsigned delivered;
static bool plain_hub;
static uint64_t chance; /* result of random_below, limited to its range */

static uint64_t random_below(uint64_t n)
{
    return chance < n ? chance : n - 1;
}

static bool seeded;
static uint8_t last_random;

/** Each nonce another. */
static int random_bytes(void *buf, size_t len)
{
    if (!seeded)
        return NEFIA_EAGAIN;
    memset(buf, ++last_random, len);
    return 0;
}

static void on_delivered(void *arg, unsigned events)
{
    (void)arg;
    delivered += events;
}

static int listen_at(struct addr *a, uint16_t port)
{
    CHECK_INT(addr_parse(a, "127.0.0.1:1", 11, 0, NULL), 0);
    a->port = port;
    int fd = tcp_listen(a, 4, "port", NULL);
    if (fd >= 0)
        tcp_local(fd, a);
    return fd;
}

static void stop_hub(void)
{
    if (peer >= 0)
        close(peer);
    if (listener >= 0)
        close(listener);
    peer = listener = -1;
}

static void init(const char *secret)
{
    stop_hub();
    fake_loop_init(1000, 0, FAKE_WATCHES);
    spool_init(&spool, memory, sizeof memory);
    memset(&key, 0, sizeof key);
    if (secret != NULL)
        mac_key_set(&key, secret, KEY_BYTES);
    memset(hub, 0, sizeof hub);
    spool.own = OWN;
    uplink_init(&uplink, &loop, &spool, &session, line);
    uplink.random_below = random_below;
    delivery->random = random_bytes;
    delivery->host_id = "r1";
    seeded = true;
    uplink.on_delivered = on_delivered;
    delivered = 0;
    chance = 0;
    plain_hub = true;
    listener = listen_at(&hub[0].addr, 0);
    REQUIRE(listener >= 0);
}

/** Turn the loop, time moving by a millisecond each turn, until cond or a bound. */
#define WAIT_FOR(cond)                                                                             \
    do {                                                                                           \
        for (int turns_ = 0; turns_ < 5000 && !(cond); turns_++)                                   \
            turn();                                                                                \
        CHECK(cond);                                                                               \
    } while (0)

/** Waiting for a plain hub's greeting uses the fake clock. */
static void turn(void)
{
    bool waits = plain_hub && delivery->state == DELIVERY_GREETING;

    fake.now_ms += waits ? 500 : 1;
    loop_turn(&loop, waits ? 0 : 1);
}

static bool is_connected(void)
{
    return delivery->state >= DELIVERY_GREETING && delivery->state <= DELIVERY_PLAIN;
}

static bool accepted(void)
{
    struct addr from;

    if (peer < 0)
        peer = tcp_accept(listener, &from);
    return peer >= 0;
}

static void push(const char *text)
{
    static uint64_t seq;

    spool_push(&spool, &(struct spool_event){.id = {OWN, ++seq},
                                             .severity = SEVERITY_WARNING,
                                             .line = text,
                                             .len = strlen(text)});
    uplink_kick(&uplink);
}

static void reset_peer(void)
{
    struct linger hard = {.l_onoff = 1};

    setsockopt(peer, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
    close(peer);
    peer = -1;
}

static char got[256 * 1024];
static size_t got_len;

/** Read available data. Return: whether the complete text has arrived. */
static bool received(const char *text)
{
    int n;

    while (peer >= 0 && (n = tcp_recv(peer, got + got_len, sizeof got - 1 - got_len)) > 0)
        got_len += (size_t)n;
    got[got_len] = '\0';
    return strstr(got, text) != NULL;
}

static void connect_up(void)
{
    got_len = 0;
    peer = -1;
    uplink_start(&uplink, hub, 1, &key, true);
    WAIT_FOR(delivery->state == DELIVERY_GREETING && accepted());
}

/** Connect to a plain hub, recognised as such. */
static void connect_plain(void)
{
    connect_up();
    WAIT_FOR(delivery->state == DELIVERY_PLAIN);
}

TEST(events_are_signed_and_confirmed)
{
    char hex[MAC_HEX + 1] = "";

    init("0123456789abcdefghij");
    push("{\"a\":1}");
    connect_plain();
    mac_sign_hex(&key, "{\"a\":1}", 7, hex);
    WAIT_FOR(received(hex));
    CHECK_MEM(got, "{\"a\":1}\n", 8);
    CHECK_MEM(got + 8, hex, MAC_HEX);
    CHECK_STR(got + 8 + MAC_HEX, "\n");
    WAIT_FOR(delivered == 1);
    CHECK(uplink_drained(&uplink));
    uplink_stop(&uplink);
}

TEST(without_a_key_lines_are_plain)
{
    init(NULL);
    connect_plain();
    push("{}");
    push("{\"b\":2}");
    WAIT_FOR(received("{}\n{\"b\":2}\n"));
    WAIT_FOR(delivered == 2);
    CHECK(!timer_active(&uplink.timer));
    uplink_stop(&uplink);
}

TEST(reset_resends_unconfirmed_events)
{
    init(NULL);
    connect_plain();
    push("first");
    WAIT_FOR(received("first\n"));
    reset_peer();
    WAIT_FOR(uplink.state == UPLINK_BACKOFF);
    CHECK(delivered == 1 || spool.unsent == 1);
    unsigned before = delivered;
    push("second");
    fake.now_ms += 2000;
    WAIT_FOR(accepted());
    got_len = 0;
    WAIT_FOR(received("second\n"));
    WAIT_FOR(delivered == 2);
    CHECK(received("first\n") == (before == 0));
    uplink_stop(&uplink);
}

TEST(rejected_after_arrival_is_resent)
{
    init(NULL);
    connect_plain();
    push("refused");
    WAIT_FOR(received("refused\n"));
    WAIT_FOR(delivery->plain.settling == 1);
    reset_peer();
    WAIT_FOR(uplink.state == UPLINK_BACKOFF);
    CHECK_INT(delivered, 0);
    CHECK_INT(spool.unsent, 1);
    CHECK(uplink.attempts > 0);
    uplink_stop(&uplink);
}

/** A hub that resets each connection on which this text arrives. Until nothing is left, or a limit.
 * Return: number of resets. */
static unsigned refuse(const char *text)
{
    unsigned resets = 0;

    got_len = 0;
    for (int i = 0; i < 100000 && spool.events > 0; i++) {
        turn();
        if (uplink.state == UPLINK_BACKOFF)
            fake.now_ms += 300000;
        if (accepted() && received(text)) {
            reset_peer();
            got_len = 0;
            resets++;
        }
    }
    return resets;
}

TEST(a_permanently_rejected_event_is_dropped)
{
    init("0123456789abcdefghij");
    push("good last"); /* the newest is sent first */
    push("bad");
    push("good first");
    uplink_start(&uplink, hub, 1, &key, true);
    /* Once with the others, then alone. */
    CHECK_INT(refuse("bad\n"), 1 + PLAIN_REFUSALS);
    CHECK_INT(delivered, 2);
    CHECK_INT(spool.lost_total[SEVERITY_WARNING], 1);
    CHECK(received("good last\n"));
    /* Normal sending resumes. */
    push("after");
    push("that");
    WAIT_FOR(delivered == 4);
    CHECK_INT(spool.lost_total[SEVERITY_WARNING], 1);
    uplink_stop(&uplink);
}

TEST(consecutive_rejections_count)
{
    init(NULL);
    connect_plain();
    push("late");
    for (int i = 1; i < PLAIN_REFUSALS; i++) {
        WAIT_FOR(accepted() && received("late\n"));
        reset_peer();
        got_len = 0;
        WAIT_FOR(uplink.state == UPLINK_BACKOFF);
        CHECK_INT(delivery->plain.refusals, i);
        fake.now_ms += 300000;
    }
    WAIT_FOR(accepted() && delivered == 1); /* the hub accepts it now */
    push("next");
    WAIT_FOR(received("next\n"));
    reset_peer();
    WAIT_FOR(uplink.state == UPLINK_BACKOFF);
    CHECK_INT(delivery->plain.refusals, 1);
    CHECK_INT(spool.events, 1);
    uplink_stop(&uplink);
}

TEST(a_hub_that_rejects_us_rejects_no_event)
{
    init(NULL);
    connect_plain();
    push("x");
    WAIT_FOR(received("x\n"));
    reset_peer(); /* this may be one */
    for (int i = 0; i < 2 * PLAIN_REFUSALS; i++) {
        WAIT_FOR(uplink.state == UPLINK_BACKOFF);
        fake.now_ms += 300000;
        WAIT_FOR(is_connected() && accepted());
        reset_peer(); /* not a rejection of the event: it is full, or we are not permitted */
    }
    uint16_t port = hub[0].addr.port;
    close(listener);
    for (int i = 0; i < 2 * PLAIN_REFUSALS; i++) { /* not a rejection: no hub is listening */
        WAIT_FOR(uplink.state == UPLINK_BACKOFF);
        fake.now_ms += 300000;
        WAIT_FOR(uplink.state != UPLINK_BACKOFF);
    }
    WAIT_FOR(uplink.state == UPLINK_BACKOFF);
    CHECK_INT(delivery->plain.refusals, 1);
    CHECK_INT(spool.events, 1);
    listener = listen_at(&hub[0].addr, port);
    fake.now_ms += 300000;
    WAIT_FOR(accepted() && delivered == 1);
    uplink_stop(&uplink);
}

TEST(steady_traffic_is_confirmed)
{
    unsigned pushed = 0;

    init(NULL);
    connect_plain();
    for (; pushed < 100; pushed++) { /* one every 20 ms: never idle long enough to settle */
        push("steady");
        for (int i = 0; i < 20; i++)
            turn();
        received("");
        got_len = 0;
    }
    CHECK(delivered > 50);
    WAIT_FOR(delivered == pushed);
    uplink_stop(&uplink);
}

TEST(orderly_close_confirms_and_reconnects)
{
    init(NULL);
    connect_plain();
    push("one");
    WAIT_FOR(received("one\n"));
    shutdown(peer, SHUT_WR);
    WAIT_FOR(!is_connected());
    WAIT_FOR(uplink.state == UPLINK_BACKOFF);
    CHECK_INT(delivered, 1);
    char c;
    CHECK_INT(tcp_recv(peer, &c, 1), NEFIA_ECLOSED); /* our side was closed in order */
    close(peer);
    peer = -1;
    push("two");
    CHECK_INT(spool.unsent, 1);
    CHECK(uplink_next_try_ms(&uplink) <= 2000);
    fake.now_ms += 2000;
    WAIT_FOR(accepted());
    WAIT_FOR(received("two\n"));
    uplink_stop(&uplink);
}

TEST(a_reload_lets_a_closing_connection_finish)
{
    init(NULL);
    connect_plain();
    push("one");
    WAIT_FOR(received("one\n"));
    shutdown(peer, SHUT_WR);
    WAIT_FOR(delivery->state == DELIVERY_CLOSING);
    uplink_start(&uplink, hub, 1, &key, true);
    WAIT_FOR(uplink.state == UPLINK_BACKOFF);
    CHECK_INT(delivered, 1);
    CHECK_INT(spool.events, 0);
    uplink_stop(&uplink);
}

TEST(slow_hub_gets_complete_lines)
{
    static char big[6000];
    char tail[8] = "|end00\n";
    unsigned pushed = 0;

    init(NULL);
    connect_plain();
    memset(big, 'x', sizeof big - 1);
    /* More than the kernel takes while nobody reads: a line is cut somewhere. */
    for (; delivery->line_len == 0 && pushed < 4000; pushed++) {
        push(big);
        if (spool.unsent == 0 && delivery->line_len == 0)
            spool_delivered(&spool); /* so that the spool is not what ends this */
        turn();
    }
    CHECK(delivery->line_len > 0);
    push("|end00");
    size_t long_lines = 0;
    bool ended = false;
    for (int i = 0; i < 20000 && spool.events > 0; i++) {
        ended = received(tail) || ended;
        for (size_t at = 0; at < got_len; at++)
            long_lines += got[at] == '\n';
        got_len = 0;
        turn();
    }
    CHECK(ended);
    CHECK_INT(long_lines, pushed + 1);
    CHECK_INT(spool.events, 0);
    uplink_stop(&uplink);
}

TEST(backoff_grows_to_five_minutes_and_delivery_resets_it)
{
    uint64_t wait, last = 0;

    init(NULL);
    close(listener);
    listener = -1;
    uint16_t port = hub[0].addr.port;
    chance = UINT64_MAX; /* the longest wait each time */
    uplink_start(&uplink, hub, 1, &key, true);
    for (int i = 0; i < 10; i++) {
        WAIT_FOR(uplink.state == UPLINK_BACKOFF);
        wait = uplink_next_try_ms(&uplink);
        CHECK(wait >= 1000 && wait <= 300000 && wait + 2 >= last);
        last = wait;
        fake.now_ms += wait;
        WAIT_FOR(uplink.state != UPLINK_BACKOFF);
    }
    CHECK(last > 299000);
    listener = listen_at(&hub[0].addr, port);
    REQUIRE(listener >= 0);
    WAIT_FOR(uplink.state == UPLINK_BACKOFF || accepted());
    fake.now_ms += 300000;
    WAIT_FOR(is_connected() && accepted());
    CHECK(uplink.attempts > 8); /* connecting alone does not reset it */
    push("x");
    WAIT_FOR(delivered == 1);
    CHECK_INT(uplink.attempts, 0);
    uplink_stop(&uplink);
}

TEST(shortest_backoff_is_a_second)
{
    init(NULL);
    close(listener);
    listener = -1;
    uplink_start(&uplink, hub, 1, &key, true);
    WAIT_FOR(uplink.state == UPLINK_BACKOFF);
    CHECK(uplink_next_try_ms(&uplink) > 900 && uplink_next_try_ms(&uplink) <= 1000);
    uplink_stop(&uplink);
}

TEST(second_address_when_the_first_is_dead)
{
    init(NULL);
    hub[1] = hub[0];
    int dead = listen_at(&hub[0].addr, 0);
    REQUIRE(dead >= 0);
    close(dead);
    uplink_start(&uplink, hub, 2, &key, true);
    WAIT_FOR(is_connected() && accepted());
    CHECK_INT(uplink.hub, 1);
    /* A reload in which that address stays keeps the connection. */
    hub[0] = hub[1];
    uplink_start(&uplink, hub, 1, &key, true);
    CHECK(is_connected());
    uplink_start(&uplink, hub, 1, &key, false);
    CHECK_INT(uplink.state, UPLINK_CONNECTING);
    uplink_stop(&uplink);
}

static const char *asked;

static int look_up(void *arg, const char *name)
{
    (void)arg;
    asked = name;
    return 0;
}

TEST(name_is_resolved_each_time)
{
    struct addr where;

    init(NULL);
    where = hub[0].addr;
    hub[0] = (struct uplink_hub){.name = "hub.example:9500"};
    uplink.resolve = look_up;
    asked = NULL;
    uplink_start(&uplink, hub, 1, &key, true);
    CHECK_STR(asked, "hub.example:9500");
    CHECK_INT(uplink.state, UPLINK_RESOLVING);
    uplink_resolved(&uplink, NULL, 0, "host not found");
    CHECK_INT(uplink.state, UPLINK_BACKOFF);
    uplink_resolved(&uplink, &where, 1, NULL); /* late, and not being waited for */
    CHECK_INT(uplink.state, UPLINK_BACKOFF);
    asked = NULL;
    fake.now_ms += 2000;
    WAIT_FOR(asked != NULL);
    uplink_resolved(&uplink, &where, 1, NULL);
    WAIT_FOR(is_connected() && accepted());
    uplink_stop(&uplink);
    uplink.resolve = NULL;
    uplink_start(&uplink, hub, 1, &key, true);
    WAIT_FOR(uplink.state == UPLINK_BACKOFF);
    uplink_stop(&uplink);
    stop_hub();
}

TEST(chatty_hub_is_ignored)
{
    size_t sent = 0;

    init(NULL);
    connect_plain();
    /* More than the kernel holds for one that does not read. */
    for (int i = 0; i < 20000 && sent < 16 * 1024 * 1024; i++) {
        const int n = tcp_send(peer, got, 64 * 1024);
        sent += n > 0 ? (size_t)n : 0;
        turn();
    }
    CHECK(sent >= 16 * 1024 * 1024);
    CHECK(is_connected());
    push("x");
    WAIT_FOR(received("x\n"));
    uplink_stop(&uplink);
    stop_hub();
}

/* ---- A hub that acknowledges ---- */

static struct link hub_end;
static struct link_unit unit;
static size_t taken; /* of `got` */
static char last_line[DELIVERY_LINE_BYTES];
static char said[LINK_SENT_MAX + MAC_HEX + 3]; /* by the hub, last */
static struct text saying;
static struct link_hello hello;
static struct link_welcome generous;
static struct json_token tokens[LINK_TOKENS];

static struct text *say(void)
{
    text_init(&saying, said, sizeof said);
    return &saying;
}

static void send_it(void)
{
    CHECK(tcp_send(peer, saying.buf, saying.len) == (int)saying.len);
}

static void say_raw(const char *text)
{
    CHECK(tcp_send(peer, text, strlen(text)) == (int)strlen(text));
}

static bool has_unit(void)
{
    received("");
    return link_cut(got + taken, got_len - taken, DELIVERY_LINE_BYTES, key.set, &unit) > 0;
}

/** Wait for the next line of the beacon. */
static void take_unit(void)
{
    WAIT_FOR(has_unit());
    taken += (size_t)link_cut(got + taken, got_len - taken, DELIVERY_LINE_BYTES, key.set, &unit);
    memcpy(last_line, unit.line.ptr, unit.line.len);
    last_line[unit.line.len] = '\0';
}

static const char *next_line(void)
{
    take_unit();
    CHECK_INT(link_verify(&hub_end, &unit), 0);
    return last_line;
}

static void expect_silence(void)
{
    for (int i = 0; i < 30; i++)
        turn();
    CHECK(!has_unit());
}

static void greet(void)
{
    static uint8_t nonce[LINK_NONCE];

    nonce[0]++;
    link_init(&hub_end, key.set, 0);
    link_hub_greet(&hub_end, nonce, say());
    send_it();
}

static void take_hello(void)
{
    const char *why;

    take_unit();
    REQUIRE(link_is_hello(unit.line));
    CHECK_INT(link_hub_hello(&hello, unit.line, tokens, LINK_TOKENS, &why), 0);
    CHECK_INT(link_hub_prove(&hub_end, key.set ? &key : NULL, &unit), 0);
    CHECK_STR(hello.host_id, "r1");
    CHECK_INT((long long)hello.boot, OWN);
}

static void welcome(const struct link_welcome *w)
{
    link_hub_welcome(&hub_end, w, say());
    send_it();
}

static void acknowledge(uint64_t number)
{
    link_hub_ack(&hub_end, number, generous.window, say());
    send_it();
}

static void refuse_line(uint64_t number, const char *reason)
{
    link_hub_refuse(&hub_end, number, reason, generous.window, say());
    send_it();
}

/** Connect again at once. */
static void connect_next(void)
{
    plain_hub = false;
    if (peer >= 0)
        close(peer);
    taken = got_len = 0;
    peer = -1;
    uplink_stop(&uplink);
    uplink_start(&uplink, hub, 1, &key, true);
    WAIT_FOR(delivery->state == DELIVERY_GREETING && accepted());
    greet();
    take_hello();
}

static void connect_welcomed(const struct link_welcome *w)
{
    connect_next();
    welcome(w);
    WAIT_FOR(delivery->state == DELIVERY_UP);
}

static void init_acked(const char *secret)
{
    init(secret);
    delivery->require_ack = true;
    generous = (struct link_welcome){.window = 2, .bytes = CONFIG_EVENT_BYTES};
}

/** The hub's windows: the running start's with this name, unless name is 0. */
static struct link_welcome knows(uint8_t name, uint64_t highest)
{
    struct link_welcome w = generous;

    w.start_count = name ? 1 : 0;
    w.starts[0] = (struct link_start){.boot = OWN, .highest = highest};
    memset(w.starts[0].name, name, LINK_NAME);
    return w;
}

static void push_of(uint64_t boot, uint64_t seq, enum severity severity, const char *text)
{
    spool_push(&spool,
               &(struct spool_event){
                   .id = {boot, seq}, .severity = severity, .line = text, .len = strlen(text)});
    uplink_kick(&uplink);
}

static uint64_t lowest_seq(void)
{
    struct spool_item item;
    uint64_t low = UINT64_MAX;

    for (size_t at = 0; spool_walk(&spool, &at, &item);)
        low = item.event.id.seq < low ? item.event.id.seq : low;
    return low;
}

TEST(only_an_acknowledgement_delivers)
{
    init_acked("0123456789abcdefghij");
    push("{\"a\":1}");
    push("{\"b\":1}");
    push("{\"c\":1}");
    connect_welcomed(&generous);
    CHECK_INT(hello.plain, 0);
    CHECK_STR(next_line(), "{\"c\":1}"); /* a window of two: the newest */
    CHECK_STR(next_line(), "{\"b\":1}");
    for (int i = 0; i < 300; i++)
        turn();
    CHECK_INT(delivered, 0); /* receipt by its kernel is not enough */
    expect_silence();
    CHECK_INT(session.unsettled, 2);
    acknowledge(2);
    WAIT_FOR(delivered == 1);
    CHECK_STR(next_line(), "{\"a\":1}");
    acknowledge(4);
    WAIT_FOR(delivered == 3);
    CHECK(uplink_drained(&uplink));
    CHECK(!timer_active(&uplink.timer));
    CHECK_INT(uplink.attempts, 0);
    uplink_stop(&uplink);
}

TEST(without_a_key_the_link_is_unsigned)
{
    init_acked(NULL);
    push("{\"a\":1}");
    connect_welcomed(&generous);
    CHECK_STR(next_line(), "{\"a\":1}");
    acknowledge(2);
    WAIT_FOR(delivered == 1);
    uplink_stop(&uplink);
}

TEST(unacknowledged_events_are_sent_again)
{
    init_acked(NULL);
    push("{\"a\":1}");
    push("{\"b\":1}");
    connect_welcomed(&generous);
    CHECK_STR(next_line(), "{\"b\":1}");
    CHECK_STR(next_line(), "{\"a\":1}");
    acknowledge(2);
    WAIT_FOR(delivered == 1);
    close(peer); /* a close settles nothing */
    peer = -1;
    WAIT_FOR(uplink.state == UPLINK_BACKOFF);
    CHECK_INT(delivered, 1);
    CHECK_INT(spool.unsent, 1);
    /* In the same window of the hub: it will recognise it. */
    struct link_welcome w = knows(hello.nonce[0], 99);
    connect_welcomed(&w);
    CHECK_STR(next_line(), "{\"a\":1}");
    acknowledge(2);
    WAIT_FOR(delivered == 2);
    uplink_stop(&uplink);
}

TEST(a_refusal_settles_one_event)
{
    init_acked("0123456789abcdefghij");
    push("{\"a\":1}");
    push("{\"b\":1}");
    push("{\"c\":1}");
    connect_welcomed(&generous);
    CHECK_STR(next_line(), "{\"c\":1}");
    CHECK_STR(next_line(), "{\"b\":1}");
    refuse_line(3, "not an event");
    CHECK_STR(next_line(), "{\"a\":1}"); /* it has left the window */
    CHECK_INT(spool.lost_total[SEVERITY_WARNING], 1);
    CHECK_INT(spool.unknown, 0);
    CHECK_INT(delivered, 0);
    refuse_line(2, "below the window");
    acknowledge(4);
    WAIT_FOR(delivered == 1);
    CHECK_INT(delivery->state, DELIVERY_UP);
    CHECK_INT(spool.events, 0);
    CHECK_INT(spool.lost_total[SEVERITY_WARNING], 2);
    CHECK_INT(spool.unknown, 1);
    CHECK_INT(spool.lost.unknown, 1);
    CHECK_INT(session.unsettled, 0);
    uplink_stop(&uplink);
}

/** A faulty hub refuses a line again and again: the count of what is in flight stays right. */
TEST(a_line_refused_twice_counts_once)
{
    init_acked(NULL);
    generous.window = 3;
    for (int i = 0; i < 4; i++)
        push("{\"a\":1}");
    connect_welcomed(&generous);
    for (int i = 0; i < 3; i++)
        next_line();
    for (int i = 0; i < 3; i++)
        refuse_line(2, "not an event");
    next_line();
    expect_silence(); /* three are in flight */
    acknowledge(4);
    WAIT_FOR(delivered == 2);
    CHECK_INT(session.unsettled, 1);
    push("{\"b\":1}");
    next_line();
    acknowledge(6);
    WAIT_FOR(delivered == 4);
    CHECK_INT(session.unsettled, 0);
    uplink_stop(&uplink);
}

TEST(a_smaller_window_binds_later_lines)
{
    init_acked(NULL);
    for (int i = 0; i < 4; i++)
        push("{\"a\":1}");
    connect_welcomed(&generous);
    next_line();
    next_line();
    generous.window = 1;
    acknowledge(2);
    WAIT_FOR(delivered == 1);
    expect_silence(); /* one is in flight */
    acknowledge(3);
    next_line();
    expect_silence();
    generous.window = 0;
    acknowledge(4);
    WAIT_FOR(delivered == 3);
    expect_silence();
    uplink_stop(&uplink);
}

TEST(removed_events_still_count_for_the_window)
{
    struct spool_item item;

    init_acked(NULL);
    push("{\"a\":1}");
    push("{\"b\":1}");
    connect_welcomed(&generous);
    next_line();
    next_line();
    CHECK(spool_sent(&spool, &item));
    spool_give_up(&spool, item.event.id);
    push("{\"c\":1}");
    expect_silence();
    acknowledge(3);
    CHECK_STR(next_line(), "{\"c\":1}");
    uplink_stop(&uplink);
}

TEST(resets_lose_nothing_with_an_acknowledging_hub)
{
    init_acked(NULL);
    push("{\"a\":1}");
    for (int i = 0; i < 2 * PLAIN_REFUSALS; i++) {
        connect_welcomed(&generous);
        next_line();
        reset_peer();
        WAIT_FOR(uplink.state == UPLINK_BACKOFF);
    }
    CHECK_INT(spool.events, 1);
    CHECK_INT(delivery->plain.refusals, 0);
    uplink_stop(&uplink);
}

TEST(lines_of_the_hub_are_verified)
{
    static const char *const bad[] = {
        "{\"ack\":{\"line\":2},\"window\":2}\n"
        "0000000000000000000000000000000000000000000000000000000000000000\n",
        "{\"error\":{\"reason\":\"go\"}}\n"
        "0000000000000000000000000000000000000000000000000000000000000000\n",
        "{\"ack\":{\"line\":2},\"window\":2}\n{\"ack\":{\"line\":2},\"window\":2}\n----------------"
        "-------\n",
    };

    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
        init_acked("0123456789abcdefghij");
        push("{\"a\":1}");
        connect_welcomed(&generous);
        next_line();
        say_raw(bad[i]);
        WAIT_FOR(uplink.state == UPLINK_BACKOFF);
        CHECK_INT(delivered, 0);
        CHECK_INT(spool.events, 1);
        uplink_stop(&uplink);
    }
}

TEST(a_welcome_with_a_wrong_signature)
{
    init_acked("0123456789abcdefghij");
    push("{\"a\":1}");
    connect_next();
    link_hub_welcome(&hub_end, &generous, say());
    said[saying.len - 2] ^= 1;
    send_it();
    WAIT_FOR(uplink.state == UPLINK_BACKOFF);
    CHECK(!has_unit());
    CHECK_INT(spool.events, 1);
    uplink_stop(&uplink);
}

TEST(an_acknowledgement_of_another_session)
{
    static char kept[sizeof said];
    size_t len;

    init_acked("0123456789abcdefghij");
    push("{\"a\":1}");
    push("{\"b\":1}");
    connect_welcomed(&generous);
    next_line();
    acknowledge(2);
    len = saying.len;
    memcpy(kept, said, len);
    WAIT_FOR(delivered == 1);
    connect_welcomed(&generous);
    next_line(); /* unsure */
    next_line();
    CHECK(tcp_send(peer, kept, len) == (int)len);
    WAIT_FOR(uplink.state == UPLINK_BACKOFF);
    CHECK_INT(delivered, 1);
    CHECK_INT(spool.events, 1);
    /* And one that comes twice. */
    connect_welcomed(&generous);
    next_line();
    next_line();
    acknowledge(1); /* the hello's */
    send_it();
    WAIT_FOR(uplink.state == UPLINK_BACKOFF);
    CHECK_INT(delivered, 1);
    uplink_stop(&uplink);
}

TEST(acknowledgement_of_an_unsent_line_is_an_error)
{
    init_acked(NULL);
    push("{\"a\":1}");
    connect_welcomed(&generous);
    next_line();
    acknowledge(3);
    WAIT_FOR(uplink.state == UPLINK_BACKOFF);
    CHECK_INT(delivered, 0);
    uplink_stop(&uplink);
}

TEST(a_silent_hub_is_disconnected)
{
    init_acked(NULL);
    push("{\"a\":1}");
    connect_next();
    fake.now_ms += LINK_WELCOME_MS - 100;
    for (int i = 0; i < 20; i++)
        turn();
    CHECK_INT(delivery->state, DELIVERY_WELCOME);
    fake.now_ms += 100;
    WAIT_FOR(uplink.state == UPLINK_BACKOFF);
    connect_welcomed(&generous);
    next_line();
    fake.now_ms += LINK_ACK_MS - 1000;
    for (int i = 0; i < 20; i++)
        turn();
    CHECK_INT(delivery->state, DELIVERY_UP);
    acknowledge(1); /* it is alive */
    for (int i = 0; i < 20; i++)
        turn();
    fake.now_ms += LINK_ACK_MS - 1000;
    for (int i = 0; i < 20; i++)
        turn();
    CHECK_INT(delivery->state, DELIVERY_UP);
    fake.now_ms += 1000;
    WAIT_FOR(uplink.state == UPLINK_BACKOFF);
    CHECK_INT(spool.events, 1);
    uplink_stop(&uplink);
}

TEST(require_ack_sends_nothing_to_a_hub_that_does_not_greet)
{
    static const char *const noise[] = {
        "", "hello\n", "{\"nefia\":1,\"nonce\":\"00\"}\n",
        "{\"nefia\":3,\"nonce\":\"00112233445566778899aabbccddeeff\"}\n"};

    for (unsigned i = 0; i < ARRAY_SIZE(noise); i++) {
        init_acked(i % 2 ? NULL : "0123456789abcdefghij");
        push("{\"a\":1}");
        plain_hub = i == 0;
        connect_up();
        say_raw(noise[i]);
        WAIT_FOR(uplink.state == UPLINK_BACKOFF);
        CHECK(!received("a"));
        CHECK_INT(spool.events, 1);
        uplink_stop(&uplink);
    }
    /* A line without an end. */
    init_acked(NULL);
    push("{\"a\":1}");
    plain_hub = false;
    connect_up();
    memset(got, 'x', 3000);
    CHECK(tcp_send(peer, got, 3000) == 3000);
    WAIT_FOR(uplink.state == UPLINK_BACKOFF);
    CHECK_INT(spool.events, 1);
    uplink_stop(&uplink);
}

TEST(noise_instead_of_the_greeting_is_a_plain_hub)
{
    init("0123456789abcdefghij");
    push("{\"a\":1}");
    plain_hub = false;
    connect_up();
    say_raw("220 welcome\n");
    WAIT_FOR(received("{\"a\":1}\n"));
    CHECK_INT(delivery->state, DELIVERY_PLAIN);
    uplink_stop(&uplink);
}

TEST(a_late_greeting_upgrades)
{
    char hex[MAC_HEX + 1] = "";

    init("0123456789abcdefghij");
    generous = (struct link_welcome){.window = 8, .bytes = CONFIG_EVENT_BYTES};
    connect_plain();
    say_raw("something\n");
    push("{\"a\":1}");
    mac_sign_hex(&key, "{\"a\":1}", 7, hex);
    WAIT_FOR(received(hex));
    CHECK_INT(delivered, 0);
    taken = 0;
    take_unit(); /* the plain line */
    CHECK_STR(last_line, "{\"a\":1}");
    plain_hub = false;
    greet();
    take_hello();
    CHECK_INT(hello.plain, 1);
    push("{\"b\":1}");
    expect_silence();
    CHECK_INT(delivered, 0); /* what was sent plainly is not guessed any more */
    welcome(&generous);
    CHECK_STR(next_line(), "{\"b\":1}");
    CHECK_STR(next_line(), "{\"unsure\":{}}"); /* it may have acted */
    CHECK_STR(next_line(), "{\"a\":1}");
    acknowledge(4);
    WAIT_FOR(delivered == 2);
    CHECK_INT(delivery->state, DELIVERY_UP);
    uplink_stop(&uplink);
}

TEST(a_greeting_that_comes_while_a_line_is_sent)
{
    static char big[6000];
    unsigned pushed = 0;

    init(NULL);
    generous = (struct link_welcome){.window = 8, .bytes = CONFIG_EVENT_BYTES};
    connect_plain();
    memset(big, 'x', sizeof big - 1);
    for (; delivery->line_len == 0 && pushed < 4000; pushed++) {
        push(big);
        if (spool.unsent == 0 && delivery->line_len == 0)
            spool_delivered(&spool);
        turn();
    }
    CHECK(delivery->line_len > 0);
    plain_hub = false;
    greet();
    /* Room that came meanwhile lets the line end and the hello follow in the same turn. */
    WAIT_FOR(delivery->state == DELIVERY_HELLO || delivery->state == DELIVERY_WELCOME);
    got_len = taken = 0;
    bool found = false;
    for (int i = 0; i < 200000 && !found; i++) {
        loop_turn(&loop, 1); /* the clock stands: no deadline passes, however long it takes */
        memmove(got, got + taken, got_len - taken); /* the beginning of a line, perhaps of the hello */
        got_len -= taken;
        taken = 0;
        (void)has_unit();
        while (!found &&
               link_cut(got + taken, got_len - taken, DELIVERY_LINE_BYTES, false, &unit) > 0) {
            found = link_is_hello(unit.line);
            CHECK(found || unit.line.len <= sizeof big - 1);
            taken += unit.line.len + 1;
        }
    }
    CHECK(found);
    CHECK_INT(delivery->state, DELIVERY_WELCOME);
    uplink_stop(&uplink);
}

TEST(errors_of_the_hub_end_the_session)
{
    for (int way = 0; way < 3; way++) {
        init_acked("0123456789abcdefghij");
        push("{\"a\":1}");
        connect_next();
        if (way < 2) { /* before the welcome: without a signature; then it closes */
            say_raw("{\"error\":{\"reason\":\"unknown host\"}}\n");
            for (int i = 0; i < 20; i++)
                turn();
            CHECK_INT(delivery->state, DELIVERY_WELCOME); /* its signature may follow */
            if (way == 0)
                shutdown(peer, SHUT_WR);
            else
                reset_peer();
        } else {
            welcome(&generous);
            next_line();
            link_put_error(&hub_end, "another session of this host", say());
            send_it();
        }
        WAIT_FOR(uplink.state == UPLINK_BACKOFF);
        CHECK_INT(delivered, 0);
        CHECK_INT(spool.events, 1);
        CHECK_INT(spool.unsent, 1);
        uplink_stop(&uplink);
    }
}

/* ---- What may have acted ---- */

/** Expect the only event in the spool, with `unsure` before it or without. */
static void expect_event(bool unsure)
{
    const uint64_t before = hub_end.lines_in;

    CHECK_STR(next_line(), unsure ? "{\"unsure\":{}}" : "{\"a\":1}");
    if (unsure)
        CHECK_STR(next_line(), "{\"a\":1}");
    CHECK_INT((long long)(hub_end.lines_in - before), unsure ? 2 : 1);
    expect_silence();
}

TEST(sure_is_what_was_written_in_the_hubs_window_alone)
{
    struct link_welcome w;

    init_acked(NULL);
    push("{\"a\":1}");
    connect_welcomed(&generous);
    const uint8_t first = hello.nonce[0];
    expect_event(false); /* never written */
    w = knows(first, 0);
    connect_welcomed(&w); /* its window, without a break */
    expect_event(false);
    connect_welcomed(&w);
    expect_event(false);
    connect_welcomed(&generous); /* it has no window of this start */
    expect_event(true);
    const uint8_t later = hello.nonce[0];
    w = knows(first, 0);
    connect_welcomed(&w); /* from now on it was written under two names */
    expect_event(true);
    w = knows(later, 0);
    connect_welcomed(&w);
    expect_event(true);
    uplink_stop(&uplink);
}

TEST(a_window_with_another_name)
{
    init_acked(NULL);
    push("{\"a\":1}");
    connect_welcomed(&generous);
    expect_event(false);
    struct link_welcome w = knows(0xEE, 0);
    connect_welcomed(&w);
    expect_event(true);
    uplink_stop(&uplink);
}

TEST(a_hub_that_lost_what_it_acknowledged)
{
    static uint64_t low;

    init_acked(NULL);
    push("{\"a\":1}");
    push("{\"b\":1}");
    low = lowest_seq();
    connect_welcomed(&generous);
    const uint8_t name = hello.nonce[0];
    CHECK_STR(next_line(), "{\"b\":1}");
    CHECK_STR(next_line(), "{\"a\":1}");
    acknowledge(2);
    WAIT_FOR(delivered == 1);
    struct link_welcome w = knows(name, low + 1);
    connect_welcomed(&w);
    expect_event(false);
    w = knows(name, low); /* a restored backup: b is forgotten */
    connect_welcomed(&w);
    expect_event(true);
    w = knows(name, low + 1);
    connect_welcomed(&w); /* for good */
    expect_event(true);
    /* What was never written is sure. */
    push("{\"c\":1}");
    CHECK_STR(next_line(), "{\"c\":1}");
    uplink_stop(&uplink);
}

TEST(one_earlier_start_at_a_time)
{
    struct link_welcome w;

    init_acked(NULL);
    generous.window = 8;
    push_of(5, 1, SEVERITY_CRITICAL, "{\"five\":1}");
    push_of(6, 1, SEVERITY_CRITICAL, "{\"six\":1}");
    push_of(6, 2, SEVERITY_INFO, "{\"six\":2}");
    push_of(OWN, 1, SEVERITY_INFO, "{\"own\":1}");
    w = knows(0, 0);
    w.start_count = 1;
    w.starts[0] = (struct link_start){.boot = 6, .name = {1}};
    connect_welcomed(&w);
    CHECK_STR(next_line(), "{\"six\":1}"); /* named: first */
    CHECK_STR(next_line(), "{\"own\":1}");
    CHECK_STR(next_line(), "{\"six\":2}");
    expect_silence();
    acknowledge(3);
    WAIT_FOR(delivered == 2);
    expect_silence(); /* one of it is left */
    acknowledge(4);
    CHECK_STR(next_line(), "{\"five\":1}");
    uplink_stop(&uplink);
    /* Without a name: the lowest. */
    init_acked(NULL);
    push_of(6, 1, SEVERITY_CRITICAL, "{\"six\":1}");
    push_of(5, 1, SEVERITY_CRITICAL, "{\"five\":1}");
    connect_welcomed(&generous);
    CHECK_STR(next_line(), "{\"five\":1}");
    expect_silence();
    uplink_stop(&uplink);
}

TEST(nothing_is_sent_beyond_the_span)
{
    for (int plain = 0; plain < 2; plain++) {
        init_acked(NULL);
        delivery->require_ack = !plain;
        generous.window = 8;
        push_of(OWN, 10, SEVERITY_INFO, "{\"low\":1}");
        push_of(OWN, 10 + LINK_SPAN, SEVERITY_CRITICAL, "{\"high\":1}");
        push_of(OWN, 9 + LINK_SPAN, SEVERITY_WARNING, "{\"within\":1}");
        if (plain) {
            connect_plain();
            WAIT_FOR(received("low"));
            CHECK(!received("high") || strstr(got, "low") < strstr(got, "high"));
            WAIT_FOR(received("high")); /* once low has been delivered */
        } else {
            connect_welcomed(&generous);
            CHECK_STR(next_line(), "{\"within\":1}");
            CHECK_STR(next_line(), "{\"low\":1}");
            expect_silence();
            acknowledge(3);
            CHECK_STR(next_line(), "{\"high\":1}");
        }
        uplink_stop(&uplink);
    }
}

TEST(events_over_the_hubs_limit_are_dropped)
{
    static char big[LINK_BYTES_MIN + 2];

    init_acked("0123456789abcdefghij");
    memset(big, 'x', LINK_BYTES_MIN + 1);
    generous.bytes = LINK_BYTES_MIN;
    push(big);
    push(big + 1); /* just fits */
    connect_welcomed(&generous);
    CHECK_STR(next_line(), big + 1);
    CHECK_INT(spool.events, 1);
    CHECK_INT(spool.lost_total[SEVERITY_WARNING], 1);
    uplink_stop(&uplink);
}

TEST(no_hello_before_the_generator_is_seeded)
{
    init_acked(NULL);
    push("{\"a\":1}");
    seeded = false;
    plain_hub = false;
    uplink_start(&uplink, hub, 1, &key, true);
    for (int i = 0; i < 5; i++) {
        fake.now_ms += 1000;
        turn();
        CHECK_INT(uplink.state, UPLINK_BACKOFF);
        CHECK(uplink_next_try_ms(&uplink) <= 1000);
    }
    CHECK(!accepted());
    CHECK_INT(uplink.attempts, 0);
    seeded = true;
    fake.now_ms += 1000;
    WAIT_FOR(delivery->state == DELIVERY_GREETING && accepted());
    uplink_stop(&uplink);
}

TEST(each_session_has_its_nonce)
{
    uint8_t nonce[LINK_NONCE];

    init_acked(NULL);
    connect_next();
    memcpy(nonce, hello.nonce, LINK_NONCE);
    connect_next();
    CHECK(memcmp(nonce, hello.nonce, LINK_NONCE) != 0);
    uplink_stop(&uplink);
}

TEST(a_line_cut_by_the_end_of_the_connection_is_sent_whole)
{
    static char big[CONFIG_EVENT_BYTES];
    unsigned pushed = 0;

    init_acked(NULL);
    memset(big, 'y', sizeof big - 1);
    generous.window = LINK_WINDOW_MAX;
    generous.bytes = sizeof big;
    connect_welcomed(&generous);
    for (; delivery->line_len == 0 && pushed < 4000; pushed++) {
        push(big);
        if (spool.unsent == 0 && delivery->line_len == 0)
            spool_delivered(&spool);
        turn();
    }
    CHECK(delivery->line_len > 0);
    spool_delivered_first(&spool, spool.events - spool.unsent - 1); /* all but the one being sent */
    const unsigned left = spool.events;
    reset_peer();
    WAIT_FOR(uplink.state == UPLINK_BACKOFF);
    CHECK_INT(spool.events, left);
    CHECK_INT(spool.unsent, left);
    CHECK_INT(delivery->line_len, 0);
    connect_welcomed(&generous);
    CHECK_STR(next_line(), left == 1 ? "{\"unsure\":{}}" : big);
    uplink_stop(&uplink);
}

/* ---- More than one hub ---- */

TEST(the_first_hub_is_tried_again)
{
    init(NULL);
    int second = listen_at(&hub[1].addr, 0), first = listener;
    close(first); /* no hub is listening */
    listener = second;
    uplink_start(&uplink, hub, 2, &key, true);
    peer = -1;
    WAIT_FOR(is_connected() && accepted());
    CHECK_INT(uplink.hub, 1);
    listener = listen_at(&hub[0].addr, hub[0].addr.port); /* it is back */
    close(peer);
    peer = -1;
    close(second);
    fake.now_ms += 300000;
    WAIT_FOR(is_connected() && uplink.hub == 0 && accepted());
    uplink_stop(&uplink);
}

/** A reload that keeps the connection may make its hub the first, or another one. */
TEST(a_reload_changes_which_hub_is_the_first)
{
    struct uplink_hub other[2];

    init(NULL);
    other[0] = other[1] = hub[0];
    const int first = listen_at(&other[0].addr, 0);
    REQUIRE(first >= 0);
    uplink_start(&uplink, hub, 1, &key, true);
    WAIT_FOR(is_connected() && accepted());
    CHECK_INT(uplink.home_ms, 0);
    uplink_start(&uplink, other, 2, &key, true); /* it is the second now */
    CHECK(is_connected());
    CHECK_INT(uplink.hub, 1);
    const uint64_t planned = uplink.home_ms;
    CHECK(planned > fake.now_ms);
    CHECK(uplink.timer.at_ms <= planned);
    fake.now_ms += 1000;
    uplink_start(&uplink, other, 2, &key, true); /* frequent reloads do not put it off */
    CHECK_INT(uplink.home_ms, planned);
    uplink_start(&uplink, hub, 1, &key, true); /* the only one */
    CHECK_INT(uplink.home_ms, 0);
    CHECK(is_connected());
    uplink_stop(&uplink);
    close(first);
}

/** A hub closes what has been idle for an hour; that is no reason to come back later and later, when the
 * next event may be critical, or to another one. */
TEST(an_idle_session_that_ends_is_no_failure)
{
    init_acked(NULL);
    for (unsigned ended_at_once = 0; ended_at_once < 2; ended_at_once++) {
        connect_welcomed(&generous);
        uplink.attempts = 9; /* such hours before */
        fake.now_ms += ended_at_once ? 0 : 3600 * 1000;
        close(peer);
        peer = -1;
        WAIT_FOR(uplink.state == UPLINK_BACKOFF);
        CHECK_INT(uplink.attempts, ended_at_once ? 10 : 1);
        CHECK_INT(uplink.next_hub, ended_at_once);
    }
    uplink_stop(&uplink);
}

TEST(a_hub_that_accepted_nothing_is_not_retried_at_once)
{
    init(NULL);
    push("{\"a\":1}");
    int first = listener, second = listen_at(&hub[1].addr, 0);
    uplink_start(&uplink, hub, 2, &key, true);
    peer = -1;
    WAIT_FOR(is_connected() && accepted());
    CHECK_INT(uplink.hub, 0);
    reset_peer(); /* it accepted the connection, but no events */
    WAIT_FOR(uplink.state == UPLINK_BACKOFF);
    fake.now_ms += 300000;
    WAIT_FOR(is_connected());
    CHECK_INT(uplink.hub, 1);
    /* While connected to it, the first one is retried from time to time. */
    listener = second;
    WAIT_FOR(accepted() && delivered == 1);
    fake.now_ms += 5 * 60 * 1000 * 5 / 4;
    listener = first;
    close(peer);
    peer = -1;
    WAIT_FOR(uplink.hub == 0 && is_connected() && accepted());
    close(second);
    uplink_stop(&uplink);
}

TEST(a_dead_hub_is_abandoned)
{
    init(NULL);
    int dead = listen_at(&hub[1].addr, 0);
    REQUIRE(dead >= 0);
    close(dead);
    uplink_start(&uplink, hub, 2, &key, true);
    WAIT_FOR(is_connected() && accepted());
    close(peer); /* it accepted nothing: the other one is tried first */
    peer = -1;
    WAIT_FOR(uplink.state == UPLINK_BACKOFF);
    fake.now_ms += 300000;
    WAIT_FOR(uplink.attempts == 2);
    fake.now_ms += 300000;
    WAIT_FOR(is_connected() && accepted());
    CHECK_INT(uplink.hub, 0);
    uplink_stop(&uplink);
}

TEST_MAIN(only_an_acknowledgement_delivers, without_a_key_the_link_is_unsigned,
          a_line_refused_twice_counts_once,
          unacknowledged_events_are_sent_again, a_refusal_settles_one_event,
          a_smaller_window_binds_later_lines, removed_events_still_count_for_the_window,
          resets_lose_nothing_with_an_acknowledging_hub, lines_of_the_hub_are_verified,
          a_welcome_with_a_wrong_signature, an_acknowledgement_of_another_session,
          acknowledgement_of_an_unsent_line_is_an_error, a_silent_hub_is_disconnected,
          require_ack_sends_nothing_to_a_hub_that_does_not_greet,
          noise_instead_of_the_greeting_is_a_plain_hub, a_late_greeting_upgrades,
          a_greeting_that_comes_while_a_line_is_sent, errors_of_the_hub_end_the_session,
          sure_is_what_was_written_in_the_hubs_window_alone, a_window_with_another_name,
          a_hub_that_lost_what_it_acknowledged, one_earlier_start_at_a_time,
          nothing_is_sent_beyond_the_span, events_over_the_hubs_limit_are_dropped,
          no_hello_before_the_generator_is_seeded, each_session_has_its_nonce,
          a_line_cut_by_the_end_of_the_connection_is_sent_whole, a_dead_hub_is_abandoned,
          an_idle_session_that_ends_is_no_failure,
          the_first_hub_is_tried_again, a_reload_changes_which_hub_is_the_first, a_hub_that_accepted_nothing_is_not_retried_at_once,
          events_are_signed_and_confirmed, rejected_after_arrival_is_resent,
          a_permanently_rejected_event_is_dropped, consecutive_rejections_count,
          a_hub_that_rejects_us_rejects_no_event, steady_traffic_is_confirmed,
          without_a_key_lines_are_plain, reset_resends_unconfirmed_events,
          orderly_close_confirms_and_reconnects, a_reload_lets_a_closing_connection_finish, slow_hub_gets_complete_lines,
          backoff_grows_to_five_minutes_and_delivery_resets_it, shortest_backoff_is_a_second,
          second_address_when_the_first_is_dead, name_is_resolved_each_time, chatty_hub_is_ignored)
