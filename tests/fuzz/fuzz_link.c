/* Arbitrary bytes from a hub. Each line by itself: reading, writing and reading it again gives the
 * same. All of them to an uplink with events in its spool, in pieces: the first byte selects their size,
 * and whether there is a key, lines are signed, and plain hubs are served. Each new connection of the
 * uplink continues with the next line. No event counts as delivered that was not sent, every event is
 * accounted for, and no event leaves the spool without a line that permits it. */
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "nefia/base/err.h"
#include "nefia/net/tcp.h"

static int make_connection(void);
#define tcp_connect_start(peer, timeout) make_connection()
#include "../../src/beacon/uplink.c" /* to give it one end of a pair of sockets */

#define MUST(condition) \
    do { \
        if (!(condition)) \
            __builtin_trap(); \
    } while (0)

enum { INPUT = 8 * 1024, EVENTS = 6, SPOOL = 8 * 1024, LONG = 300 };
enum { WITH_KEY = 1, SIGNED = 2, REQUIRE_ACK = 4 };

static struct clock_fake fake;
static struct loop loop;
static struct pollfd pollfds[2];
static struct watch *polled[2];
static struct spool spool;
static uint8_t memory[SPOOL];
static struct uplink uplink;
static struct mac_key key;
static char line[UPLINK_LINE_BYTES];
static int hub = -1;      /* the other end */
static unsigned sent;     /* complete events received by the hub, over all connections */
static unsigned newlines; /* of this connection */
static unsigned reported; /* events delivered, as reported to the owner */

static uint64_t random_below(uint64_t n)
{
    return n / 2;
}

static void on_delivered(void *arg, unsigned events)
{
    (void)arg;
    reported += events;
}

static int make_connection(void)
{
    int ends[2];

    if (hub >= 0)
        close(hub);
    MUST(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) == 0);
    hub = ends[1];
    newlines = 0;
    return ends[0];
}

/** Time passes; the hub reads its input. */
static void turn(uint64_t ms)
{
    char got[1024];
    ssize_t n;

    fake.now_ms += ms;
    loop_turn(&loop, 0);
    while (hub >= 0 && (n = recv(hub, got, sizeof got, 0)) > 0)
        for (ssize_t i = 0; i < n; i++)
            if (got[i] == '\n' && (!key.set || ++newlines % 2 == 0))
                sent++;
}

static unsigned lost(void)
{
    unsigned sum = 0;

    for (int i = 0; i < SEVERITY_COUNT; i++)
        sum += (unsigned)spool.lost_total[i];
    return sum;
}

static void check(void)
{
    MUST(reported == uplink.delivered && reported <= sent);
    MUST(reported + spool.events + lost() == EVENTS);
}

static void start(unsigned how)
{
    static const struct uplink_hub hubs[1];
    char event[LONG] = "{\"a\":\"";

    memset(&key, 0, sizeof key);
    if (how & WITH_KEY)
        MUST(mac_key_set(&key, "a key of twenty bytes", 20) == 0);
    clock_fake_init(&fake, 1000, 0);
    loop_init(&loop, &fake.clock, pollfds, polled, 2);
    spool_init(&spool, memory, sizeof memory);
    uplink_init(&uplink, &loop, &spool, line);
    uplink.random_below = random_below;
    uplink.on_delivered = on_delivered;
    uplink.require_ack = how & REQUIRE_ACK;
    sent = reported = 0;
    memset(event + 6, 'x', sizeof event - 8);
    memcpy(event + sizeof event - 2, "\"}", 2);
    for (unsigned i = 1; i <= EVENTS; i++)
        MUST(spool_push(&spool, &(struct spool_event){.id = {1, i * i},
                                                      .severity = (enum severity)(i % 3),
                                                      .line = i == 3 ? event : "{\"b\":1}",
                                                      .len = i == 3 ? sizeof event : 7}) == 0);
    uplink_start(&uplink, hubs, 1, &key, true);
}

/** Send it in pieces. Return: false if the connection ended. */
static bool say(const char *bytes, size_t len, size_t piece)
{
    uint64_t connects = uplink.connects;

    for (size_t at = 0; at < len; at += piece) {
        (void)send(hub, bytes + at, len - at < piece ? len - at : piece, MSG_NOSIGNAL);
        turn(1);
        check();
        if (uplink.state != UPLINK_UP || uplink.connects != connects)
            return false;
    }
    return true;
}

/** One line with its newline, and its signature if the input selects one. */
static void say_line(const char *bytes, size_t len, size_t piece, unsigned how)
{
    char hex[MAC_HEX + 1];

    for (int i = 0; i < 8 && uplink.state != UPLINK_UP; i++) {
        uplink_retry(&uplink);
        turn(1);
    }
    MUST(uplink.state == UPLINK_UP);
    if (!say(bytes, len, piece) || !key.set || !(how & SIGNED) || bytes[len - 1] != '\n')
        return;
    mac_sign_hex(&key, bytes, len - 1, hex);
    hex[MAC_HEX] = '\n';
    say(hex, sizeof hex, piece);
}

/** Read, write and read again. Return: whether it may remove an event from the spool. */
static bool check_line(const char *bytes, size_t len)
{
    char buf[LINK_LINE_MAX + MAC_HEX + 3];
    struct json_token tokens[LINK_TOKENS];
    struct link_message m, again;
    struct text t;

    if (link_read(&m, bytes, len, tokens) < 0)
        return false;
    text_init(&t, buf, sizeof buf);
    link_put(&t, &m, NULL);
    const char *end = memchr(t.buf, '\n', t.len);
    MUST(!t.truncated && end && end - t.buf <= LINK_LINE_MAX);
    MUST(link_read(&again, t.buf, (size_t)(end - t.buf), tokens) == 0);
    MUST(again.kind == m.kind && again.window == m.window && again.version == m.version);
    MUST(again.auth == m.auth && again.boot == m.boot && again.seq == m.seq);
    MUST(again.count == m.count && memcmp(again.nonce, m.nonce, sizeof m.nonce) == 0);
    /* A greeting is written with our own limits. */
    MUST(m.kind != LINK_GREETING ||
         (again.span == LINK_SPAN && again.bytes == CONFIG_EVENT_BYTES && m.span > 0));
    return m.kind != LINK_GREETING || m.bytes < CONFIG_EVENT_BYTES;
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);
int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    if (size < 1 || size > INPUT)
        return 0;
    unsigned how = data[0] & 7;
    size_t piece = (data[0] >> 3) + 1u;
    const char *at = (const char *)data + 1, *end = (const char *)data + size;
    bool may_leave = !(how & REQUIRE_ACK);

    start(how);
    while (at < end) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        size_t len = (size_t)((newline ? newline + 1 : end) - at);
        bool takes = check_line(at, len - (newline != NULL));
        /* With a key only signed lines are trusted. */
        may_leave |= takes && newline && (!key.set || how & SIGNED);
        say_line(at, len, piece, how);
        at += len;
    }
    for (int i = 0; i < 8; i++) {
        turn(i % 4 ? 100 : 31 * 1000);
        check();
    }
    MUST(may_leave || (reported == 0 && spool.events == EVENTS));
    uplink_stop(&uplink);
    MUST(loop.watches == 0 && !loop.first_timer && spool.unsent == spool.events);
    close(hub);
    hub = -1;
    return 0;
}
