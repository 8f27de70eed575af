#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "check.h"
#include "nefia/beacon/uplink.h"
#include "nefia/base/err.h"
#include "nefia/net/tcp.h"

/* An uplink against a minimal fake hub, over loopback, with a clock moved by the test. */
enum { WATCHES = 8, SPOOL = 64 * 1024, KEY_BYTES = 20 };

static struct clock_fake fake_time;
static struct loop loop;
static struct pollfd pollfds[WATCHES];
static struct watch *polled[WATCHES];
static struct spool spool;
static uint8_t memory[SPOOL];
static struct uplink uplink;
static struct mac_key key;
static char line[UPLINK_LINE_BYTES];
static struct uplink_hub hub[2];
static int listener = -1, peer = -1;
static unsigned delivered;
static bool plain_hub;
static uint64_t chance; /* result of random_below, limited to its range */

static uint64_t random_below(uint64_t n)
{
    return chance < n ? chance : n - 1;
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
    clock_fake_init(&fake_time, 1000, 0);
    loop_init(&loop, &fake_time.clock, pollfds, polled, WATCHES);
    spool_init(&spool, memory, sizeof memory);
    memset(&key, 0, sizeof key);
    if (secret != NULL)
        mac_key_set(&key, secret, KEY_BYTES);
    memset(hub, 0, sizeof hub);
    uplink_init(&uplink, &loop, &spool, line);
    uplink.random_below = random_below;
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
    bool waits = plain_hub && uplink.state == UPLINK_UP && uplink.mode == UPLINK_ASKED;

    fake_time.now_ms += waits ? 500 : 1;
    loop_turn(&loop, waits ? 0 : 1);
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

    spool_push(&spool, &(struct spool_event){.id = {1, ++seq},
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
    WAIT_FOR(uplink.state == UPLINK_UP && accepted());
}

/** Connect to a plain hub, recognised as such. */
static void connect_plain(void)
{
    connect_up();
    WAIT_FOR(uplink.mode == UPLINK_PLAIN);
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
    CHECK(!timer_active(&uplink.check));
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
    fake_time.now_ms += 2000;
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
    WAIT_FOR(uplink.settling == 1);
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
            fake_time.now_ms += 300000;
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
    CHECK_INT(refuse("bad\n"), 1 + UPLINK_REFUSALS);
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
    for (int i = 1; i < UPLINK_REFUSALS; i++) {
        WAIT_FOR(accepted() && received("late\n"));
        reset_peer();
        got_len = 0;
        WAIT_FOR(uplink.state == UPLINK_BACKOFF);
        CHECK_INT(uplink.refusals, i);
        fake_time.now_ms += 300000;
    }
    WAIT_FOR(accepted() && delivered == 1); /* the hub accepts it now */
    push("next");
    WAIT_FOR(received("next\n"));
    reset_peer();
    WAIT_FOR(uplink.state == UPLINK_BACKOFF);
    CHECK_INT(uplink.refusals, 1);
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
    for (int i = 0; i < 2 * UPLINK_REFUSALS; i++) {
        WAIT_FOR(uplink.state == UPLINK_BACKOFF);
        fake_time.now_ms += 300000;
        WAIT_FOR(uplink.state == UPLINK_UP && accepted());
        reset_peer(); /* not a rejection of the event: it is full, or we are not permitted */
    }
    uint16_t port = hub[0].addr.port;
    close(listener);
    for (int i = 0; i < 2 * UPLINK_REFUSALS; i++) { /* not a rejection: no hub is listening */
        WAIT_FOR(uplink.state == UPLINK_BACKOFF);
        fake_time.now_ms += 300000;
        WAIT_FOR(uplink.state != UPLINK_BACKOFF);
    }
    WAIT_FOR(uplink.state == UPLINK_BACKOFF);
    CHECK_INT(uplink.refusals, 1);
    CHECK_INT(spool.events, 1);
    listener = listen_at(&hub[0].addr, port);
    fake_time.now_ms += 300000;
    WAIT_FOR(accepted() && delivered == 1);
    uplink_stop(&uplink);
}

TEST(steady_traffic_is_confirmed)
{
    unsigned pushed = 0;

    init(NULL);
    connect_plain();
    for (; pushed < 100;
         pushed++) { /* one every 20 ms: never idle long enough to settle */
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
    WAIT_FOR(uplink.state != UPLINK_UP);
    WAIT_FOR(uplink.state == UPLINK_BACKOFF);
    CHECK_INT(delivered, 1);
    char c;
    CHECK_INT(tcp_recv(peer, &c, 1), NEFIA_ECLOSED); /* our side was closed in order */
    close(peer);
    peer = -1;
    push("two");
    CHECK_INT(spool.unsent, 1);
    CHECK(uplink_next_try_ms(&uplink) <= 2000);
    fake_time.now_ms += 2000;
    WAIT_FOR(accepted());
    WAIT_FOR(received("two\n"));
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
    for (; uplink.line_len == 0 && pushed < 4000; pushed++) {
        push(big);
        if (spool.unsent == 0 && uplink.line_len == 0)
            spool_delivered(&spool); /* so that the spool is not what ends this */
        turn();
    }
    CHECK(uplink.line_len > 0);
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
        fake_time.now_ms += wait;
        WAIT_FOR(uplink.state != UPLINK_BACKOFF);
    }
    CHECK(last > 299000);
    listener = listen_at(&hub[0].addr, port);
    REQUIRE(listener >= 0);
    WAIT_FOR(uplink.state == UPLINK_BACKOFF || accepted());
    fake_time.now_ms += 300000;
    WAIT_FOR(uplink.state == UPLINK_UP && accepted());
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
    WAIT_FOR(uplink.state == UPLINK_UP && accepted());
    CHECK_INT(uplink.hub, 1);
    /* A reload in which that address stays keeps the connection. */
    hub[0] = hub[1];
    uplink_start(&uplink, hub, 1, &key, true);
    CHECK_INT(uplink.state, UPLINK_UP);
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
    CHECK_INT(uplink.state, UPLINK_CONNECTING);
    uplink_resolved(&uplink, NULL, 0, "host not found");
    CHECK_INT(uplink.state, UPLINK_BACKOFF);
    uplink_resolved(&uplink, &where, 1, NULL); /* late, and not being waited for */
    CHECK_INT(uplink.state, UPLINK_BACKOFF);
    asked = NULL;
    fake_time.now_ms += 2000;
    WAIT_FOR(asked != NULL);
    uplink_resolved(&uplink, &where, 1, NULL);
    WAIT_FOR(uplink.state == UPLINK_UP && accepted());
    uplink_stop(&uplink);
    uplink.resolve = NULL;
    uplink_start(&uplink, hub, 1, &key, true);
    WAIT_FOR(uplink.state == UPLINK_BACKOFF);
    uplink_stop(&uplink);
    stop_hub();
}

TEST(chatty_hub_is_ignored)
{
    init(NULL);
    connect_plain();
    for (int i = 0; i < 20; i++) {
        CHECK(tcp_send(peer, got, 1000) > 0);
        turn();
    }
    WAIT_FOR(uplink.ignored == 20000);
    CHECK_INT(uplink.state, UPLINK_UP);
    push("x");
    WAIT_FOR(received("x\n"));
    uplink_stop(&uplink);
    stop_hub();
}

/* ---- a hub that acknowledges ---- */

#define NONCE "0123456789abcdef0123456789abcdef"

static void hub_says(struct link_message m)
{
    char said[LINK_LINE_MAX + MAC_HEX + 3];
    struct text t;

    memcpy(m.nonce, NONCE, sizeof NONCE);
    text_init(&t, said, sizeof said);
    link_put(&t, &m, &key);
    CHECK(tcp_send(peer, t.buf, t.len) == (int)t.len);
}

static void acknowledge(uint64_t count)
{
    hub_says((struct link_message){.kind = LINK_ACK, .window = 2, .count = count});
}

static void greet(void)
{
    hub_says((struct link_message){
        .kind = LINK_GREETING, .window = 2, .auth = key.set ? LINK_AUTH_SHARED : LINK_AUTH_NONE});
}

static void connect_greeted(void)
{
    plain_hub = false;
    connect_up();
    greet();
    WAIT_FOR(uplink.mode == UPLINK_ACKED);
}

TEST(only_an_acknowledgement_delivers)
{
    init("0123456789abcdefghij");
    push("{\"a\":1}");
    push("{\"b\":1}");
    push("{\"c\":1}");
    uint64_t low = spool_low(&spool).seq;
    connect_greeted();
    WAIT_FOR(received("{\"b\":1,\"link\"")); /* a window of two: the newest */
    CHECK(received("{\"c\":1,\"link\""));
    for (int i = 0; i < 300; i++)
        turn();
    CHECK_INT(delivered, 0); /* receipt by its kernel is not enough */
    CHECK(!received("{\"a\":1"));
    CHECK_INT(spool_low(&spool).seq, low);
    acknowledge(1);
    WAIT_FOR(delivered == 1);
    WAIT_FOR(received("{\"a\":1,\"link\""));
    acknowledge(3);
    WAIT_FOR(delivered == 3);
    CHECK(uplink_drained(&uplink));
    CHECK(!timer_active(&uplink.check));
    uplink_stop(&uplink);
}

TEST(stamps_count_up)
{
    init(NULL);
    connect_greeted();
    push("{\"a\":1}");
    WAIT_FOR(received("\"count\":1,"));
    acknowledge(1);
    WAIT_FOR(delivered == 1);
    push("{\"b\":1}");
    WAIT_FOR(received("\"count\":2,"));
    acknowledge(2);
    WAIT_FOR(delivered == 2);
    uplink_stop(&uplink);
}

TEST(unacknowledged_events_are_resent)
{
    init(NULL);
    connect_greeted();
    push("{\"a\":1}");
    push("{\"b\":1}");
    WAIT_FOR(received("{\"b\":1"));
    acknowledge(1);
    WAIT_FOR(delivered == 1);
    close(peer);
    WAIT_FOR(uplink.state == UPLINK_BACKOFF);
    CHECK_INT(spool.unsent, 1);
    fake_time.now_ms += 300000;
    peer = -1;
    got_len = 0;
    WAIT_FOR(uplink.state == UPLINK_UP && accepted());
    greet();
    WAIT_FOR(received("{\"b\":1,\"link\":{\"nonce\":\"" NONCE "\",\"count\":1"));
    acknowledge(1);
    WAIT_FOR(delivered == 2);
    uplink_stop(&uplink);
}

TEST(a_refusal_drops_one_event)
{
    init("0123456789abcdefghij");
    push("{\"a\":1}");
    push("{\"b\":1}");
    connect_greeted();
    WAIT_FOR(received("{\"a\":1"));
    acknowledge(1);
    hub_says((struct link_message){.kind = LINK_REFUSAL, .window = 2, .count = 2});
    WAIT_FOR(uplink.state == UPLINK_BACKOFF);
    CHECK_INT(delivered, 1);
    CHECK_INT(spool.events, 0);
    CHECK_INT(spool.lost_total[SEVERITY_WARNING], 1);
    uplink_stop(&uplink);
}

TEST(resets_lose_nothing_with_an_acknowledging_hub)
{
    init(NULL);
    push("{\"a\":1}");
    for (int i = 0; i < 2 * UPLINK_REFUSALS; i++) {
        connect_greeted();
        WAIT_FOR(received("{\"a\":1"));
        reset_peer();
        WAIT_FOR(uplink.state == UPLINK_BACKOFF);
        uplink_stop(&uplink);
    }
    CHECK_INT(spool.events, 1);
    CHECK_INT(uplink.refusals, 0);
}

TEST(wrongly_signed_messages_are_not_trusted)
{
    struct mac_key right;

    init("0123456789abcdefghij");
    push("{\"a\":1}");
    connect_greeted();
    WAIT_FOR(received("{\"a\":1"));
    right = key;
    CHECK_INT(mac_key_set(&key, "another key, as long", KEY_BYTES), 0);
    acknowledge(1);
    key = right;
    WAIT_FOR(uplink.state == UPLINK_BACKOFF);
    CHECK_INT(delivered, 0);
    CHECK_INT(spool.events, 1);
    uplink_stop(&uplink);
}

TEST(an_unsigned_greeting_drops_no_event)
{
    static const char greeting[] = "{\"nefia\":1,\"nonce\":\"" NONCE "\",\"window\":2,"
                                   "\"span\":1,\"bytes\":1,\"auth\":\"host\"}\n-\n";

    init("0123456789abcdefghij");
    push("{\"a\":1}");
    connect_up();
    CHECK(tcp_send(peer, greeting, sizeof greeting - 1) > 0);
    WAIT_FOR(received("{\"a\":1,\"link\""));
    CHECK_INT(spool.events, 1);
    CHECK_INT(spool.lost_total[SEVERITY_WARNING], 0);
    uplink_stop(&uplink);
}

TEST(acknowledgement_of_unsent_event_is_an_error)
{
    init(NULL);
    push("{\"a\":1}");
    connect_greeted();
    WAIT_FOR(received("{\"a\":1"));
    acknowledge(2);
    WAIT_FOR(uplink.state == UPLINK_BACKOFF);
    CHECK_INT(delivered, 0);
    uplink_stop(&uplink);
}

TEST(a_silent_hub_is_disconnected)
{
    init(NULL);
    push("{\"a\":1}");
    connect_greeted();
    WAIT_FOR(received("{\"a\":1"));
    fake_time.now_ms += 60000;
    WAIT_FOR(uplink.state == UPLINK_BACKOFF);
    CHECK_INT(spool.events, 1);
    uplink_stop(&uplink);
}

TEST(require_ack_sends_nothing_to_a_plain_hub)
{
    init(NULL);
    uplink.require_ack = true;
    push("{\"a\":1}");
    connect_up();
    WAIT_FOR(uplink.state == UPLINK_BACKOFF);
    CHECK(!received("a"));
    CHECK_INT(spool.events, 1);
    uplink_stop(&uplink);
}

TEST(the_first_hub_is_tried_again)
{
    init(NULL);
    int second = listen_at(&hub[1].addr, 0), first = listener;
    close(first); /* no hub is listening */
    listener = second;
    uplink_start(&uplink, hub, 2, &key, true);
    peer = -1;
    WAIT_FOR(uplink.state == UPLINK_UP && accepted());
    CHECK_INT(uplink.hub, 1);
    listener = listen_at(&hub[0].addr, hub[0].addr.port); /* it is back */
    close(peer);
    peer = -1;
    close(second);
    WAIT_FOR(uplink.state == UPLINK_UP && uplink.hub == 0 && accepted());
    uplink_stop(&uplink);
}

TEST(a_hub_that_accepted_nothing_is_not_retried_at_once)
{
    init(NULL);
    push("{\"a\":1}");
    int first = listener, second = listen_at(&hub[1].addr, 0);
    uplink_start(&uplink, hub, 2, &key, true);
    peer = -1;
    WAIT_FOR(uplink.state == UPLINK_UP && accepted());
    CHECK_INT(uplink.hub, 0);
    reset_peer(); /* it accepted the connection, but no events */
    WAIT_FOR(uplink.state == UPLINK_BACKOFF);
    fake_time.now_ms += 300000;
    WAIT_FOR(uplink.state == UPLINK_UP);
    CHECK_INT(uplink.hub, 1);
    /* While connected to it, the first one is retried from time to time. */
    listener = second;
    WAIT_FOR(accepted() && delivered == 1);
    fake_time.now_ms += 5 * 60 * 1000 * 5 / 4;
    listener = first;
    close(peer);
    peer = -1;
    WAIT_FOR(uplink.hub == 0 && uplink.state == UPLINK_UP && accepted());
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
    WAIT_FOR(uplink.state == UPLINK_UP && accepted());
    close(peer); /* it accepted nothing: the other one is tried first */
    peer = -1;
    WAIT_FOR(uplink.state == UPLINK_BACKOFF);
    fake_time.now_ms += 300000;
    WAIT_FOR(uplink.attempts == 2);
    fake_time.now_ms += 300000;
    WAIT_FOR(uplink.state == UPLINK_UP && accepted());
    CHECK_INT(uplink.hub, 0);
    uplink_stop(&uplink);
}

TEST(removed_events_still_count_for_the_window)
{
    struct spool_item item;

    init(NULL);
    push("{\"a\":1}");
    connect_greeted();
    push("{\"b\":1}");
    WAIT_FOR(received("{\"b\":1"));
    CHECK(spool_sent(&spool, &item));
    spool_give_up(&spool, item.event.id);
    push("{\"c\":1}");
    for (int i = 0; i < 20; i++)
        loop_turn(&loop, 0);
    CHECK(!received("{\"c\":1"));
    acknowledge(1);
    WAIT_FOR(received("{\"c\":1"));
    uplink_stop(&uplink);
}

TEST(a_hub_with_a_key_is_sent_nothing_unsigned)
{
    init(NULL);
    push("{\"a\":1}");
    plain_hub = false;
    connect_up();
    hub_says((struct link_message){.kind = LINK_GREETING, .window = 2, .auth = LINK_AUTH_SHARED});
    WAIT_FOR(uplink.state == UPLINK_BACKOFF);
    CHECK(!received("{\"a\""));
    CHECK_INT(spool.events, 1);
    uplink_stop(&uplink);
}

TEST_MAIN(a_dead_hub_is_abandoned, removed_events_still_count_for_the_window,
          a_hub_with_a_key_is_sent_nothing_unsigned, only_an_acknowledgement_delivers,
          stamps_count_up, unacknowledged_events_are_resent,
          a_refusal_drops_one_event, resets_lose_nothing_with_an_acknowledging_hub,
          wrongly_signed_messages_are_not_trusted, an_unsigned_greeting_drops_no_event,
          acknowledgement_of_unsent_event_is_an_error, a_silent_hub_is_disconnected,
          require_ack_sends_nothing_to_a_plain_hub, the_first_hub_is_tried_again,
          a_hub_that_accepted_nothing_is_not_retried_at_once, events_are_signed_and_confirmed,
          rejected_after_arrival_is_resent, a_permanently_rejected_event_is_dropped,
          consecutive_rejections_count, a_hub_that_rejects_us_rejects_no_event,
          steady_traffic_is_confirmed, without_a_key_lines_are_plain,
          reset_resends_unconfirmed_events, orderly_close_confirms_and_reconnects,
          slow_hub_gets_complete_lines,
          backoff_grows_to_five_minutes_and_delivery_resets_it, shortest_backoff_is_a_second,
          second_address_when_the_first_is_dead, name_is_resolved_each_time, chatty_hub_is_ignored)
