#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "beacon_fixture.h"
#include "check.h"
#include "nefia/base/bytes.h"
#include "nefia/base/err.h"
#include "nefia/sys/stamp.h"

/* The wall clock, and what the kernel has noted of the message that was read last: since when it does, and whether it can. */
static uint32_t wall, came;
static bool notes, notes_now;

uint32_t stamp_now(void)
{
    return wall;
}

int stamp_received(int fd, uint32_t *stamp)
{
    (void)fd;
    if (!notes)
        return NEFIA_ENOTSUP;
    if (!notes_now) {
        notes_now = true;
        return NEFIA_ENOTFOUND;
    }
    *stamp = came;
    return 0;
}

/* Sockets of ICMP are one end of a pair here, and the test has the other. */
static int icmp_peer = -1, icmp_refused, icmp_types[4], icmp_asked;

int socket(int family, int type, int protocol)
{
    int pair[2];

    if (protocol != IPPROTO_ICMP && protocol != IPPROTO_ICMPV6)
        return (int)syscall(SYS_socket, family, type, protocol);
    if (icmp_asked < 4)
        icmp_types[icmp_asked++] = type & 15;
    if (icmp_refused-- > 0) {
        errno = EACCES;
        return -1;
    }
    if (socketpair(AF_UNIX, SOCK_DGRAM | (type & ~15), 0, pair) < 0)
        return -1;
    if (icmp_peer >= 0)
        close(icmp_peer);
    icmp_peer = pair[1];
    notes_now = false;
    return pair[0];
}

int connect(int fd, const struct sockaddr *a, socklen_t len)
{
    struct sockaddr_storage own = {0};
    socklen_t own_len = sizeof own;

    getsockname(fd, (struct sockaddr *)&own, &own_len);
    return own.ss_family == AF_UNIX ? 0 : (int)syscall(SYS_connect, fd, a, len);
}

/** Ping sockets have no one target. */
ssize_t sendto(int fd, const void *msg, size_t len, int flags, const struct sockaddr *to, socklen_t to_len)
{
    struct sockaddr_storage own = {0};
    socklen_t own_len = sizeof own;

    getsockname(fd, (struct sockaddr *)&own, &own_len);
    if (own.ss_family == AF_UNIX)
        to = NULL;
    return (ssize_t)syscall(SYS_sendto, fd, msg, len, flags, to, to ? to_len : 0);
}

static int far; /* whom a probe is sent to is not there yet when it has been sent */

int getpeername(int fd, struct sockaddr *a, socklen_t *len)
{
    if (!far)
        return (int)syscall(SYS_getpeername, fd, a, len);
    errno = ENOTCONN;
    return -1;
}

/* ---- a target ---- */

/** On 127.0.0.1, at a port of its own. */
static int serve(int type, int *port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof a;
    int fd = socket(AF_INET, type, 0);

    CHECK(bind(fd, (struct sockaddr *)&a, sizeof a) == 0);
    CHECK(type == SOCK_DGRAM || listen(fd, 64) == 0);
    CHECK(getsockname(fd, (struct sockaddr *)&a, &len) == 0);
    *port = ntohs(a.sin_port);
    return fd;
}

static unsigned descriptors(void)
{
    unsigned n = 0;

    for (int fd = 0; fd < 64; fd++)
        n += fcntl(fd, F_GETFD) >= 0;
    return n;
}

static struct emitter *sensor(void)
{
    return &sensor_runner_current(&fix.sensor_runner)->items[0];
}


static void reload(const char *configuration)
{
    CHECK_INT(fix_load(configuration), 0);
    sensor_runner_switch(&fix.sensor_runner);
}

static void begin(const char *configuration)
{
    fix_init();
    fix_print_lines();
    reload(configuration);
}

static void pass(unsigned ms)
{
    fix.clock.now_ms += ms;
    wall += ms;
}

/** The interval passes: a probe is sent. */
static void probe(void)
{
    fix.count = 0;
    pass(30000);
    far = 1;
    loop_turn(&fix.loop, 0);
    far = 0;
}

/** Its answer, or that there will be none, is taken after so much time. */
static void answer(unsigned ms)
{
    pass(ms);
    if (fix.sensor_watches[0].owner)
        loop_turn(&fix.loop, 60000);
}

/** Nobody listens. */
static void refused(void)
{
    probe();
    answer(0);
}

static const char *target(const char *how, int port, const char *more)
{
    static char text[256];

    snprintf(text, sizeof text, "{\"reach\": [{\"name\": \"gw\", \"%s\": \"127.0.0.1:%d\"%s}]}", how, port,
             more);
    return text;
}

TEST(connections)
{
    int port, listener = serve(SOCK_STREAM, &port);
    fix_init();
    const unsigned open = descriptors();

    begin(target("tcp", port, ""));
    for (int i = 0; i < 12; i++) {
        probe();
        answer(3);
        CHECK_INT(fix.count, 0);
    }
    CHECK_INT(sensor()->result, INSTANCE_OK);
    close(listener);
    refused();
    CHECK_INT(fix.count, 0);
    refused();
    REQUIRE(fix.count == 1);
    CHECK(fix_has(0, "\"type\":\"reach.loss\",\"source\":\"reach-beacon\""));
    CHECK(fix_has(0, "\"severity\":\"warning\",\"data\":{\"name\":\"gw\",\"target\":\"127.0.0.1:"));
    CHECK(fix_has(0, "\"loss_percent\":\"20.0\",\"lost\":2,\"probes\":10,\"latency_ms\":3}"));
    for (int i = 0; i < 3; i++)
        refused();
    CHECK(fix_has(0, "\"severity\":\"critical\""));
    CHECK(fix_has(0, "\"loss_percent\":\"50.0\""));
    sensor_runner_stop(&fix.sensor_runner);
    CHECK_INT(descriptors(), open - 1);
}

TEST(this_device_answers_at_once)
{
    int port, listener = serve(SOCK_STREAM, &port);

    begin(target("tcp", port, ""));
    for (int i = 0; i < 3; i++) {
        fix.clock.now_ms += 30000;
        loop_turn(&fix.loop, 0);
        CHECK(!fix.sensor_watches[0].owner);
    }
    CHECK_INT(emitter_sampled(sensor(), "reach", "gw"), 0);
    sensor_runner_stop(&fix.sensor_runner);
    close(listener);
}

TEST(it_is_there_again)
{
    int port, listener = serve(SOCK_STREAM, &port);

    begin(target("tcp", port, ", \"window\": 2, \"hysteresis_loss\": 1"));
    close(listener);
    refused();
    refused();
    CHECK(fix_has(0, "\"loss_percent\":\"100.0\",\"lost\":2,\"probes\":2}")); /* no latency */
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_port = htons((uint16_t)port),
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int again = socket(AF_INET, SOCK_STREAM, 0), on = 1;
    setsockopt(again, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    REQUIRE(bind(again, (struct sockaddr *)&a, sizeof a) == 0 && listen(again, 8) == 0);
    probe();
    answer(1);
    CHECK(fix_has(0, "\"severity\":\"critical\""));
    CHECK(fix_has(0, "\"loss_percent\":\"50.0\""));
    probe();
    answer(1);
    CHECK(fix_has(0, "\"severity\":\"info\",\"data\":{\"state\":\"recovered\",\"name\":\"gw\""));
    sensor_runner_stop(&fix.sensor_runner);
    close(again);
}

TEST(latency_is_the_median)
{
    int port, listener = serve(SOCK_STREAM, &port);
    static const unsigned took[] = {700, 10, 600, 20, 900};

    begin(target("tcp", port, ", \"window\": 5, \"warning_latency\": \"600ms\""));
    for (int i = 0; i < 5; i++) {
        probe();
        answer(took[i]);
        CHECK_INT(fix.count, i >= 2); /* of fewer it is not judged */
        if (fix.count)
            CHECK(fix_has(0, "\"type\":\"reach.latency\""));
        if (i == 2 || i == 4)
            CHECK(fix_has(0, "\"latency_ms\":600}"));
        if (i == 3) /* the lower one of two */
            CHECK(fix_has(0, "\"state\":\"recovered\"") && fix_has(0, "\"latency_ms\":20}"));
    }
    sensor_runner_stop(&fix.sensor_runner);
    close(listener);
}

/* ---- DNS ---- */

struct question {
    uint8_t msg[512];
    size_t len;
    struct sockaddr_in from;
};

static void take_question(int server, struct question *q)
{
    socklen_t len = sizeof q->from;
    ssize_t n = recvfrom(server, q->msg, sizeof q->msg, MSG_DONTWAIT, (struct sockaddr *)&q->from, &len);

    CHECK(n > 0);
    q->len = n > 0 ? (size_t)n : 0;
}

/** change: what the answer has instead at that place. */
static void reply(int server, const struct question *q, size_t at, uint8_t change)
{
    static const uint8_t record[] = {0xC0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 1};
    uint8_t msg[600];

    memcpy(msg, q->msg, q->len);
    memcpy(msg + q->len, record, sizeof record);
    msg[2] |= 0x80;
    msg[7] = 1;
    msg[at] = change;
    CHECK(sendto(server, msg, q->len + sizeof record, 0, (const struct sockaddr *)&q->from,
                 sizeof q->from) > 0);
}

#define QUERY ", \"query\": \"example.org\""
TEST(answers_of_a_name_server)
{
    struct question q, old;
    int port, server = serve(SOCK_DGRAM, &port);

    begin(target("dns", port, QUERY));
    probe();
    take_question(server, &q);
    CHECK(q.len == 12 + 13 + 4 && memcmp(q.msg + 12, "\7example\3org", 13) == 0);
    reply(server, &q, 0, (uint8_t)~q.msg[0]); /* another id */
    answer(0);
    reply(server, &q, 2, 0x01); /* a question */
    answer(0);
    reply(server, &q, 14, 'a'); /* to another question */
    answer(0);
    CHECK(fix.sensor_watches[0].owner != NULL); /* it still waits */
    reply(server, &q, 2, 0x81);
    answer(7);
    CHECK(fix.sensor_watches[0].owner == NULL);
    CHECK_INT(fix.count, 0);
    /* Of several ones the answers are not mixed up. */
    probe();
    take_question(server, &old);
    probe();
    take_question(server, &q);
    CHECK(memcmp(q.msg, old.msg, 2) != 0 || q.from.sin_port != old.from.sin_port);
    sendto(server, old.msg, old.len, 0, (struct sockaddr *)&old.from, sizeof old.from);
    reply(server, &old, 2, 0x81);
    loop_turn(&fix.loop, 0);
    CHECK(fix.sensor_watches[0].owner != NULL);
    reply(server, &q, 3, 3); /* there is no such name: it answers */
    answer(8);
    CHECK(fix.sensor_watches[0].owner == NULL);
    probe();
    take_question(server, &q);
    reply(server, &q, 3, 2); /* it cannot answer: that is the second lost one of four */
    answer(8);
    REQUIRE(fix.count == 1);
    CHECK(fix_has(0, "\"loss_percent\":\"20.0\",\"lost\":2,\"probes\":4,\"latency_ms\":7}"));
    sensor_runner_stop(&fix.sensor_runner);
    close(server);
}

/* ---- ICMP ---- */

#define ECHO(address) "{\"reach\": [{\"name\": \"gw\", \"icmp\": \"" address "\", \"window\": 2}]}"

static unsigned ones_sum(const uint8_t *p, size_t len)
{
    unsigned sum = 0;

    for (size_t i = 0; i + 1 < len; i += 2)
        sum += get_be16(p + i);
    while (sum >> 16)
        sum = (sum & 0xFFFF) + (sum >> 16);
    return sum;
}

static void check_echo(uint8_t request, uint8_t type, size_t header)
{
    uint8_t msg[64] = {0}, *echo = msg + header;

    probe();
    REQUIRE(recv(icmp_peer, echo, sizeof msg - header, MSG_DONTWAIT) == 16);
    CHECK_INT(echo[0], request);
    CHECK_INT(ones_sum(echo, 16), 0xFFFF);
    if (header)
        msg[0] = 0x45;
    send(icmp_peer, msg, header + 16, 0); /* our own request, as on the loopback */
    answer(0);
    echo[0] = type;
    echo[15] ^= 1; /* to another's */
    send(icmp_peer, msg, header + 16, 0);
    answer(0);
    echo[15] ^= 1;
    send(icmp_peer, msg, header + 15, 0); /* cut */
    answer(0);
    send(icmp_peer, msg, 1, 0);
    answer(0);
    CHECK(fix.sensor_watches[0].owner != NULL);
    send(icmp_peer, msg, header + 16, 0);
    answer(5);
    CHECK(fix.sensor_watches[0].owner == NULL);
    CHECK_INT(fix.count, 0);
}

TEST(echoes)
{
    begin(ECHO("192.0.2.1"));
    check_echo(8, 0, 0);
    check_echo(8, 0, 20); /* as a raw socket receives it */
    probe();
    probe();
    REQUIRE(fix.count == 1);
    CHECK(fix_has(0, "\"target\":\"192.0.2.1\",\"loss_percent\":\"50.0\",\"lost\":1,\"probes\":2,\"latency_ms\":5}"));
    sensor_runner_stop(&fix.sensor_runner);
    begin(ECHO("2001:db8::1"));
    check_echo(128, 129, 0);
    sensor_runner_stop(&fix.sensor_runner);
}

/** A socket for all probes that are answered, another one after each that is lost: what is left in it is the past. */
TEST(ping_sockets_serve_until_a_probe_is_lost)
{
    icmp_asked = 0;
    begin(ECHO("192.0.2.1"));
    check_echo(8, 0, 0);
    const unsigned open = descriptors();
    check_echo(8, 0, 0);
    CHECK_INT(icmp_asked, 1);
    CHECK_INT(descriptors(), open);
    probe();
    CHECK_INT(icmp_asked, 1);
    probe(); /* the one before is lost */
    CHECK_INT(icmp_asked, 2);
    CHECK_INT(descriptors(), open);
    sensor_runner_stop(&fix.sensor_runner);
    CHECK_INT(descriptors(), open - 1);
}

/** Who has seen one probe cannot answer the next before it is sent, while the socket is kept. */
TEST(no_answer_is_known_before_its_question)
{
    uint8_t msg[16];

    begin(ECHO("192.0.2.1"));
    check_echo(8, 0, 0);
    probe();
    REQUIRE(recv(icmp_peer, msg, sizeof msg, MSG_DONTWAIT) == 16);
    msg[0] = 0;
    send(icmp_peer, msg, sizeof msg, 0);
    answer(5);
    CHECK(fix.sensor_watches[0].owner == NULL);
    const uint64_t token = get_be64(msg + 8);
    for (unsigned i = 0; i < 4; i++) { /* twice, and the next */
        put_be64(msg + 8, token + i);
        send(icmp_peer, msg, sizeof msg, 0);
    }
    probe();
    answer(0);
    CHECK(fix.sensor_watches[0].owner != NULL);
    probe();
    CHECK(fix_has(0, "\"loss_percent\":\"50.0\",\"lost\":1,\"probes\":2"));
    sensor_runner_stop(&fix.sensor_runner);
}

/* ---- answers that are read at the next look ---- */

static uint8_t echo[16]; /* of the last probe, and its reply */

static bool waits(void)
{
    return fix.sensor_watches[0].owner != NULL;
}

static void take_echo(void)
{
    CHECK(recv(icmp_peer, echo, sizeof echo, MSG_DONTWAIT) == sizeof echo);
    echo[0] = echo[0] == 8 ? 0 : 129;
}

/** It arrives so much later; nothing wakes up. */
static void reply_after(unsigned ms)
{
    pass(ms);
    came = wall;
    CHECK(send(icmp_peer, echo, sizeof echo, 0) == sizeof echo);
    loop_turn(&fix.loop, 0);
}

/** A socket that has been answered once. */
static void begin_unread(const char *configuration)
{
    notes = true;
    icmp_asked = 0;
    begin(configuration);
    probe();
    take_echo();
    CHECK(waits()); /* the first answer of a socket */
    pass(4);
    send(icmp_peer, echo, sizeof echo, 0);
    answer(0);
    CHECK(!waits());
    CHECK_INT(emitter_sampled(sensor(), "reach", "gw"), 4);
}

static void end_unread(void)
{
    sensor_runner_stop(&fix.sensor_runner);
    notes = false;
}

TEST(nobody_waits_for_an_answer_that_the_kernel_notes)
{
    begin_unread(ECHO("192.0.2.1"));
    for (int i = 0; i < 3; i++) {
        probe();
        CHECK(!waits());
        take_echo();
        reply_after(60 + (unsigned)i);
        CHECK_INT(emitter_sampled(sensor(), "reach", "gw"), (i ? 60 + i - 1 : -1)); /* that of the probe before */
    }
    probe();
    CHECK_INT(emitter_sampled(sensor(), "reach", "gw"), 62);
    CHECK_INT(fix.count, 0);
    CHECK_INT(icmp_asked, 1);
    /* No answer: lost when the next one is due, as ever, and waited for on a socket that is new. */
    probe();
    REQUIRE(fix.count == 1);
    CHECK(fix_has(0, "\"loss_percent\":\"50.0\",\"lost\":1,\"probes\":2,\"latency_ms\":62}"));
    CHECK_INT(icmp_asked, 2);
    CHECK(waits());
    take_echo();
    send(icmp_peer, echo, sizeof echo, 0);
    answer(7);
    CHECK_INT(emitter_sampled(sensor(), "reach", "gw"), 7);
    end_unread();
}

TEST(an_unread_answer_among_others)
{
    uint8_t other[16];

    begin_unread(ECHO("2001:db8::1"));
    probe();
    take_echo();
    memcpy(other, echo, sizeof other);
    reply_after(20);
    for (int i = 0; i < 8; i++) /* again and again */
        CHECK(send(icmp_peer, other, sizeof other, 0) == sizeof other);
    probe();
    CHECK_INT(emitter_sampled(sensor(), "reach", "gw"), 20);
    CHECK_INT(icmp_asked, 1);
    take_echo();
    reply_after(30); /* behind what is left of the one before */
    probe();
    CHECK_INT(emitter_sampled(sensor(), "reach", "gw"), 30);
    take_echo();
    CHECK(send(icmp_peer, other, sizeof other, 0) > 0); /* an old one is no answer */
    probe();
    CHECK(fix_has(0, "\"lost\":1,\"probes\":2"));
    CHECK_INT(icmp_asked, 2);
    end_unread();
}

/** The wall clock is set by so much, before the answer has come and after. */
TEST(a_clock_that_is_set_while_an_answer_is_under_way)
{
    static const int64_t by_ms[] = {0, 50, -50, 1000, -1000, 3600000, -3600000, 86400000, -86400000, 1773156600000, -1773156600000};

    begin_unread(ECHO("192.0.2.1"));
    probe();
    for (unsigned i = 0; i < ARRAY_SIZE(by_ms); i++) {
        for (int before = 0; before < 2; before++) {
            const int64_t by = by_ms[i];
            take_echo();
            wall += before ? (uint32_t)by : 0;
            reply_after(250);
            wall += before ? 0 : (uint32_t)by;
            probe();
            const int64_t ms = emitter_sampled(sensor(), "reach", "gw");
            const int64_t slewed = by >= -100 && by <= 100 && before ? by : 0; /* too little to be told from a clock that runs fast */
            CHECK_INT(ms, 250 + slewed);
        }
    }
    /* What the kernel cannot have noted stays within what has passed. */
    take_echo();
    reply_after(250);
    came -= 5000;
    probe();
    CHECK_INT(emitter_sampled(sensor(), "reach", "gw"), 0);
    take_echo();
    reply_after(250);
    came += 50000;
    probe();
    CHECK_INT(emitter_sampled(sensor(), "reach", "gw"), 30250);
    CHECK_INT(icmp_asked, 1);
    end_unread();
}

/** A probe whose answer is waited for. */
static void answered_at_once(unsigned ms)
{
    probe();
    take_echo();
    CHECK(waits());
    send(icmp_peer, echo, sizeof echo, 0);
    answer(ms);
    CHECK_INT(emitter_sampled(sensor(), "reach", "gw"), ms);
}

/** More than a minute is too long for an answer to lie unread; and only ping sockets are kept. */
TEST(who_is_waited_for_all_the_same)
{
    notes = true;
    begin("{\"reach\": [{\"name\": \"gw\", \"icmp\": \"192.0.2.1\", \"interval\": \"61s\"}]}");
    for (int i = 0; i < 3; i++) {
        pass(31000);
        answered_at_once(5);
    }
    sensor_runner_stop(&fix.sensor_runner);
    icmp_refused = 1; /* a raw socket */
    begin(ECHO("192.0.2.1"));
    for (int i = 0; i < 3; i++) {
        answered_at_once(6);
        icmp_refused = 1;
    }
    icmp_refused = 0;
    end_unread();
}

TEST(rights_to_send_echoes)
{
    icmp_asked = 0;
    icmp_refused = 1;
    begin(ECHO("192.0.2.1"));
    probe();
    CHECK_INT(icmp_types[0], SOCK_DGRAM);
    CHECK_INT(icmp_types[1], SOCK_RAW);
    CHECK_INT(sensor()->result, INSTANCE_OK);
    icmp_refused = 2;
    probe(); /* the first one is lost */
    CHECK_INT(fix.count, 1);
    CHECK_INT(sensor()->result, INSTANCE_NOT_MEASURED);
    CHECK_STR(sensor()->why, "socket: Permission denied");
    icmp_refused = 0;
    probe(); /* what was not sent is not lost */
    CHECK_INT(fix.count, 0);
    sensor_runner_stop(&fix.sensor_runner);
}

static void close_peer(void)
{
    if (icmp_peer >= 0)
        close(icmp_peer);
    icmp_peer = -1;
}

TEST(reloads)
{
    close_peer();
    int port, listener = serve(SOCK_STREAM, &port);
    fix_init();
    const unsigned open = descriptors();

    begin(target("tcp", port, ""));
    close(listener);
    refused();
    CHECK_INT(fix.count, 0);
    reload(target("tcp", port, ", \"window\": 5"));
    refused();
    REQUIRE(fix.count == 1);
    CHECK(fix_has(0, "\"loss_percent\":\"40.0\",\"lost\":2,\"probes\":2}"));
    reload(target("tcp", port, ", \"window\": 1"));
    refused();
    CHECK(fix_has(0, "\"lost\":1,\"probes\":1}"));
    /* Another target: what is known of the one before does not count. */
    reload("{\"reach\": [{\"name\": \"gw\", \"icmp\": \"192.0.2.1\"}]}");
    for (int i = 0; i < 4; i++) {
        probe();
        reload("{\"reach\": [{\"name\": \"gw\", \"icmp\": \"192.0.2.1\"}]}"); /* with one under way */
    }
    CHECK_INT(fix.count, 0);
    sensor_runner_stop(&fix.sensor_runner);
    close_peer();
    CHECK_INT(descriptors(), open - 1);
}

TEST(once)
{
    int port, listener = serve(SOCK_STREAM, &port);

    fix_init();
    fix_print_lines();
    CHECK_INT(fix_once(target("tcp", port, "")), 1);
    CHECK_INT(fix.count, 0);
    CHECK_INT(sensor()->result, INSTANCE_OK);
    close(listener);
    fix_init();
    fix_print_lines();
    CHECK_INT(fix_once(target("tcp", port, "")), 1);
    REQUIRE(fix.count == 1);
    CHECK(fix_has(0, "\"severity\":\"critical\""));
    CHECK(fix_has(0, "\"loss_percent\":\"100.0\",\"lost\":1,\"probes\":1}"));
}

TEST(configuration)
{
    fix_refused("{\"reach\": [{\"name\": \"a\"}]}", "give exactly one of tcp, icmp and dns");
    fix_refused(target("tcp", 1, ", \"icmp\": \"192.0.2.1\""), "give exactly one of tcp, icmp and dns");
    fix_refused("{\"reach\": [{\"name\": \"a\", \"tcp\": \"192.0.2.1\"}]}", "lacks a port");
    fix_refused("{\"reach\": [{\"name\": \"a\", \"icmp\": \"gw.example\"}]}", "gw.example");
    fix_refused(target("tcp", 1, QUERY), "dns and query belong together");
    fix_refused("{\"reach\": [{\"name\": \"a\", \"dns\": \"192.0.2.1\"}]}", "dns and query belong together");
    fix_refused("{\"reach\": [{\"name\": \"a\", \"dns\": \"192.0.2.1\", \"query\": \"a..b\"}]}", "query is not a name");
    fix_refused(target("tcp", 1, ", \"warning_loss\": 60"), "warning_loss must be below critical_loss");
    fix_refused(target("tcp", 1, ", \"window\": 31"), "window");
}

TEST_MAIN(connections, this_device_answers_at_once, it_is_there_again, latency_is_the_median, answers_of_a_name_server, echoes,
          ping_sockets_serve_until_a_probe_is_lost, no_answer_is_known_before_its_question,
          nobody_waits_for_an_answer_that_the_kernel_notes, an_unread_answer_among_others, a_clock_that_is_set_while_an_answer_is_under_way,
          who_is_waited_for_all_the_same, rights_to_send_echoes, reloads, once, configuration)
