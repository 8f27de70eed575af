#include "check.h"

#include <errno.h>
#include <sys/socket.h>

#include "nefia/base/err.h"
#include "nefia/hub/listener.h"
#include "nefia/net/tcp.h"

enum { CONNECTIONS = 4, SIGNATURE = 64 };

static struct clock_fake fake;
static struct loop loop;
static struct pollfd pollfds[CONNECTIONS + 1];
static struct watch *polled[CONNECTIONS + 1];
static struct connection connections[CONNECTIONS];
static char buffer[4 * CONNECTION_BYTES];
static struct listener listener = {.fd = -1};

/* Recorded by the hooks. */
static char lines[4096];
static struct text seen;
static unsigned line_count, turns, rejects[REJECT_COUNT];
static size_t longest;
static bool allow, refuse, in_words, full, greeting, answer;
static int room; /* lines accepted; negative: no limit */

static int on_line(void *arg, struct session *s, const char *line, size_t len, const char *sig,
                   size_t sig_len)
{
    (void)arg;
    if ((full || room == 0) && !s->overdue)
        return NEFIA_EAGAIN;
    room -= room > 0;
    s->refused = refuse && in_words;
    s->due = answer;
    s->proven = true;
    line_count++;
    longest = len > longest ? len : longest;
    text_bytes(&seen, line, len < 16 ? len : 16);
    if (sig) {
        text_char(&seen, '/');
        text_bytes(&seen, sig, sig_len < 4 ? sig_len : 4);
    }
    text_char(&seen, ';');
    return refuse ? NEFIA_EAUTH : 0;
}

static void on_turn_end(void *arg)
{
    (void)arg;
    turns++;
}

static void on_rejected(void *arg, const struct addr *peer, enum reject why, const char *what)
{
    (void)arg;
    (void)peer;
    (void)what;
    rejects[why]++;
}

static bool on_allowed(void *arg, const struct addr *peer)
{
    (void)arg;
    (void)peer;
    return allow;
}

static void on_speak(void *arg, struct session *s, struct text *out)
{
    (void)arg;
    if (greeting && !s->nonce[0]) {
        s->nonce[0] = 'n';
        text_str(out, "hello\n");
    }
    if (s->due)
        text_str(out, s->refused ? "not this\n" : "had it\n");
    s->due = false;
}

static uint16_t port;

static void setup(bool with_signatures)
{
    const struct listener_hooks hooks = {.line = on_line,
                                         .turn_end = on_turn_end,
                                         .respond = on_speak,
                                         .rejected = on_rejected,
                                         .allowed = on_allowed};
    struct addr a;

    listener_close(&listener);
    memset(connections, 0, sizeof connections);
    memset(rejects, 0, sizeof rejects);
    text_init(&seen, lines, sizeof lines);
    line_count = turns = 0;
    longest = 0;
    allow = true;
    refuse = in_words = full = greeting = answer = false;
    room = -1;
    clock_fake_init(&fake, 1000000, 0);
    loop_init(&loop, &fake.clock, pollfds, polled, CONNECTIONS + 1);
    listener_init(&listener, &loop, connections, CONNECTIONS, buffer, sizeof buffer, &hooks);
    CHECK_INT(addr_parse(&a, "127.0.0.1", 9, 1, NULL), 0);
    a.port = 0;
    int fd = tcp_listen(&a, 8, "port", NULL);
    CHECK(fd >= 0);
    CHECK_INT(tcp_local(fd, &a), 0);
    port = a.port;
    CHECK_INT(listener_open(&listener, fd, with_signatures), 0);
}

static void turn(int n)
{
    while (n-- > 0)
        loop_turn(&loop, 0);
}

static int dial(void)
{
    struct sockaddr_storage ss;
    struct addr a;
    char buf[32];
    struct text t;

    text_init(&t, buf, sizeof buf);
    text_str(&t, "127.0.0.1:");
    text_u64(&t, port);
    CHECK_INT(addr_parse(&a, buf, t.len, 0, NULL), 0);
    socklen_t len = addr_to_sockaddr(&a, &ss);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK_INT(connect(fd, (struct sockaddr *)&ss, len), 0);
    turn(2);
    return fd;
}

static void say(int fd, const char *s, size_t len)
{
    while (len > 0) {
        ssize_t n = send(fd, s, len, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n > 0) {
            s += n;
            len -= (size_t)n;
        } else if (n < 0 && errno != EAGAIN) {
            return;
        }
        turn(1);
    }
    turn(2);
}

static void say_str(int fd, const char *s)
{
    say(fd, s, strlen(s));
}

/** 1: the hub closed; 0: it did not. */
static int is_closed(int fd)
{
    char c;

    turn(2);
    ssize_t n = recv(fd, &c, 1, MSG_DONTWAIT);
    return n == 0 || (n < 0 && errno != EAGAIN);
}

TEST(cuts_lines)
{
    setup(false);
    int fd = dial();
    CHECK_INT(listener.open, 1);
    say_str(fd, "one\ntwo\nthr");
    CHECK_STR(lines, "one;two;");
    say_str(fd, "ee\n\nx\r\n");
    CHECK_STR(lines, "one;two;three;;x\r;");
    close(fd);
    turn(3);
    CHECK_INT(listener.open, 0);
    CHECK(turns > 0);
}

static const char digits[] = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

TEST(pairs_lines_with_signatures_wherever_they_are_split)
{
    char pair[128];
    struct text t;

    text_init(&t, pair, sizeof pair);
    text_str(&t, "event\n");
    text_str(&t, digits);
    text_str(&t, "\n");
    setup(true);
    int fd = dial();
    for (size_t at = 1; at < t.len; at++) {
        text_reset(&seen);
        say(fd, pair, at);
        say(fd, pair + at, t.len - at);
        CHECK_STR(lines, "event/0123;");
    }
    CHECK_INT(line_count, t.len - 1);
    close(fd);
}

TEST(a_long_second_line_is_given_as_it_is)
{
    setup(true);
    int fd = dial();
    refuse = true;
    say_str(fd, "event\n{\"type\":\"the next event, where a signature should be, and no end of the "
                "line yet");
    CHECK_STR(lines, "event/{\"ty;");
    CHECK_INT(is_closed(fd), 1);
    CHECK_INT(listener.open, 0);
    close(fd);
}

static char big[CONFIG_EVENT_BYTES + 200];

TEST(the_longest_line_passes_and_one_byte_more_does_not)
{
    memset(big, 'x', sizeof big);
    for (int with_signatures = 0; with_signatures < 2; with_signatures++) {
        setup(with_signatures);
        int fd = dial();
        size_t len = CONFIG_EVENT_BYTES;
        big[len++] = '\n';
        if (with_signatures) {
            memcpy(big + len, digits, SIGNATURE);
            len += SIGNATURE;
            big[len++] = '\n';
        }
        /* Byte by byte at the end, so that the remainder is as long as possible. */
        say(fd, big, len - 3);
        for (size_t i = len - 3; i < len; i++)
            say(fd, big + i, 1);
        CHECK_INT(line_count, 1);
        CHECK_INT(longest, CONFIG_EVENT_BYTES);
        memset(big, 'x', sizeof big);
        say(fd, big, CONFIG_EVENT_BYTES + 1);
        CHECK_INT(rejects[REJECT_TOO_LONG], 1);
        CHECK_INT(is_closed(fd), 1);
        close(fd);
    }
}

TEST(closed_in_the_middle_of_a_line)
{
    setup(false);
    int fd = dial();
    say_str(fd, "half");
    close(fd);
    turn(3);
    CHECK_INT(rejects[REJECT_UNFINISHED], 1);
    CHECK_INT(listener.open, 0);
}

TEST(one_connection_too_many)
{
    int fds[CONNECTIONS + 1];

    setup(false);
    for (int i = 0; i < CONNECTIONS; i++)
        fds[i] = dial();
    CHECK_INT(listener.open, CONNECTIONS);
    fds[CONNECTIONS] = dial();
    CHECK_INT(rejects[REJECT_FULL], 1);
    CHECK_INT(is_closed(fds[CONNECTIONS]), 1);
    close(fds[0]);
    turn(3);
    CHECK_INT(listener.open, CONNECTIONS - 1);
    fds[0] = dial();
    CHECK_INT(listener.open, CONNECTIONS);
    for (int i = 0; i <= CONNECTIONS; i++)
        close(fds[i]);
}

TEST(disallowed_peers)
{
    setup(false);
    int fd = dial();
    allow = false;
    int second = dial();
    CHECK_INT(rejects[REJECT_PEER], 1);
    CHECK_INT(is_closed(second), 1);
    CHECK_INT(listener.open, 1);
    listener_recheck(&listener, true);
    CHECK_INT(rejects[REJECT_PEER], 2);
    CHECK_INT(listener.open, 0);
    close(fd);
    close(second);
}

/** An orderly close would make a beacon count its events as delivered. */
TEST(rejection_resets_the_connection)
{
    char c;

    setup(false);
    int fd = dial();
    refuse = true;
    say_str(fd, "one\n");
    CHECK_INT(recv(fd, &c, 1, MSG_DONTWAIT), -1);
    CHECK_INT(errno, ECONNRESET);
    close(fd);
    allow = false;
    fd = dial();
    CHECK_INT(recv(fd, &c, 1, MSG_DONTWAIT), -1);
    CHECK_INT(errno, ECONNRESET);
    close(fd);
}

TEST(a_busy_sender_does_not_starve_the_others)
{
    static char lots[sizeof buffer * 2];

    setup(false);
    int loud = dial(), quiet = dial();
    int size = 4 * (int)sizeof lots;
    setsockopt(loud, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    memset(lots, '\n', sizeof lots);
    for (size_t at = 0; at < sizeof lots;) {
        ssize_t n = send(loud, lots + at, sizeof lots - at, MSG_DONTWAIT);
        if (n <= 0)
            break;
        at += (size_t)n;
    }
    CHECK_INT(send(quiet, "me\n", 3, 0), 3);
    turn(1);
    /* One turn: part of the busy sender's lines, and the other sender's line. */
    CHECK(line_count <= sizeof buffer + 1);
    CHECK(strstr(lines, "me;") != NULL || longest == 2);
    close(loud);
    close(quiet);
}

TEST(incomplete_line_times_out)
{
    setup(false);
    int fd = dial(), slow = dial();
    say_str(fd, "half");
    say_str(slow, "done\n");
    for (int i = 0; i < 29; i++) {
        fake.now_ms += 1000;
        say_str(fd, "."); /* bytes that trickle do not help */
        say_str(slow, ".\n.");
    }
    CHECK_INT(rejects[REJECT_TIMEOUT], 0);
    fake.now_ms += 1000;
    turn(2);
    CHECK_INT(rejects[REJECT_TIMEOUT], 1);
    CHECK_INT(is_closed(fd), 1);
    CHECK_INT(listener.open, 1);
    close(fd);
    close(slow);
}

TEST(idle_connection_is_shut_down_but_still_read)
{
    setup(false);
    int fd = dial();
    say_str(fd, "a\n");
    fake.now_ms += IDLE_TIMEOUT_MS - 1;
    turn(2);
    CHECK_INT(is_closed(fd), 0);
    say_str(fd, "b\n");
    fake.now_ms += IDLE_TIMEOUT_MS - 1;
    turn(2);
    CHECK_INT(is_closed(fd), 0);
    fake.now_ms += 2;
    turn(2);
    CHECK_INT(is_closed(fd), 1); /* our side of it */
    CHECK_INT(listener.open, 1);
    say_str(fd, "c\n");
    CHECK_STR(lines, "a;b;c;");
    close(fd);
    turn(3);
    CHECK_INT(listener.open, 0);
    CHECK_INT(rejects[REJECT_UNFINISHED], 0);
}

TEST(draining_reads_sent_data_and_ends_in_time)
{
    setup(false);
    int fd = dial(), silent = dial();
    CHECK_INT(send(fd, "last\n", 5, 0), 5);
    CHECK_INT(listener_drain(&listener), 2);
    CHECK_INT(is_closed(fd), 1);
    CHECK_STR(lines, "last;");
    say_str(fd, "very last\n");
    CHECK_STR(lines, "last;very last;");
    close(fd);
    turn(3);
    CHECK_INT(listener.open, 1);
    fake.now_ms += CLOSING_TIMEOUT_MS + 1;
    turn(2);
    CHECK_INT(listener.open, 0);
    close(silent);
}

/** Data received on fd, as a string. */
static const char *heard(int fd)
{
    static char said[128];

    turn(2);
    ssize_t n = recv(fd, said, sizeof said - 1, MSG_DONTWAIT);
    said[n > 0 ? n : 0] = '\0';
    return said;
}

TEST(sends_pending_output)
{
    setup(false);
    greeting = true;
    int fd = dial();
    CHECK_STR(heard(fd), "hello\n");
    answer = true;
    say_str(fd, "one\ntwo\n");
    CHECK_STR(heard(fd), ""); /* nothing is durable yet */
    listener_acknowledge(&listener);
    CHECK_STR(heard(fd), "had it\n");
    listener_acknowledge(&listener);
    CHECK_STR(heard(fd), "");
    close(fd);
}

TEST(a_deferred_line_is_offered_again)
{
    setup(false);
    int fd = dial(), other = dial();
    say_str(fd, "a\nb");
    full = true;
    say_str(fd, "\nc\nd");
    CHECK_STR(lines, "a;");
    CHECK_INT(listener.held, 1);
    full = false;
    say_str(other, "x\n"); /* other connections continue */
    CHECK_STR(lines, "a;x;");
    listener_resume(&listener);
    CHECK_STR(lines, "a;x;b;c;");
    CHECK_INT(listener.held, 0);
    say_str(fd, "\n");
    CHECK_STR(lines, "a;x;b;c;d;");
    close(fd);
    close(other);
    turn(3);
    CHECK_INT(listener.open, 0);
}

TEST(waiting_connections_take_turns)
{
    setup(false);
    int loud = dial(), quiet = dial();
    room = 0;
    say_str(loud, "a\na\na\na\n");
    say_str(quiet, "b\nb\n");
    for (int i = 0; i < 6; i++) {
        room = 1;
        listener_resume(&listener);
        CHECK_INT(room, 0);
    }
    CHECK_STR(lines, "a;b;a;b;a;a;");
    close(loud);
    close(quiet);
}

TEST(a_refusal_waits_for_earlier_acknowledgements)
{
    setup(false);
    int fd = dial();
    refuse = in_words = true;
    say_str(fd, "a\nb\n");
    CHECK_STR(lines, "a;");
    CHECK_STR(heard(fd), "");
    CHECK_INT(is_closed(fd), 0);
    listener_acknowledge(&listener); /* now it is durable */
    CHECK_STR(heard(fd), "not this\n");
    CHECK_INT(is_closed(fd), 1);
    close(fd);
    turn(3);
    CHECK_INT(listener.open, 0);
}

TEST(a_line_is_deferred_for_a_bounded_time)
{
    setup(false);
    int fd = dial();
    full = true;
    say_str(fd, "a\nb\n");
    close(fd); /* sent data is still processed */
    for (unsigned waited = 0; waited < HOLD_MOST_MS; waited += HOLD_STEP_MS) {
        CHECK_STR(lines, "");
        fake.now_ms += HOLD_STEP_MS;
        turn(1);
    }
    CHECK_STR(lines, "a;"); /* each has its own deadline */
    full = false;
    listener_resume(&listener);
    turn(3);
    CHECK_STR(lines, "a;b;");
    CHECK_INT(listener.open, 0);
    CHECK_INT(listener.held, 0);
}

TEST(silent_connection_is_evicted_when_full)
{
    int fds[CONNECTIONS + 2];

    setup(false);
    for (int i = 0; i < CONNECTIONS; i++) {
        fds[i] = dial();
        fake.now_ms += 10;
    }
    say_str(fds[0], "a\n");
    fds[CONNECTIONS] = dial(); /* too early */
    CHECK_INT(rejects[REJECT_FULL], 1);
    CHECK_INT(is_closed(fds[CONNECTIONS]), 1);
    fake.now_ms += PROVE_MS;
    fds[CONNECTIONS + 1] = dial();
    CHECK_INT(rejects[REJECT_FULL], 2);
    CHECK_INT(is_closed(fds[0]), 0); /* it has sent a valid event */
    CHECK_INT(is_closed(fds[1]), 1); /* the oldest without one */
    say_str(fds[CONNECTIONS + 1], "b\n");
    CHECK_STR(lines, "a;b;");
    for (int i = 0; i < CONNECTIONS + 2; i++)
        close(fds[i]);
}

TEST(connections_per_peer_are_limited)
{
    setup(false);
    listener.per_peer = 2;
    int fds[3] = {dial(), dial(), dial()};
    CHECK_INT(listener.open, 2);
    CHECK_INT(rejects[REJECT_PEER_FULL], 1);
    for (int i = 0; i < 3; i++)
        close(fds[i]);
}

TEST(closing_releases_all)
{
    setup(false);
    int fd = dial();
    listener_close(&listener);
    CHECK_INT(listener.open, 0);
    CHECK_INT(loop.watches, 0);
    CHECK(loop.first_timer == NULL);
    close(fd);
    /* Closed twice: harmless. */
    listener_close(&listener);
}

TEST_MAIN(waiting_connections_take_turns, a_refusal_waits_for_earlier_acknowledgements,
          silent_connection_is_evicted_when_full, sends_pending_output,
          a_deferred_line_is_offered_again, a_line_is_deferred_for_a_bounded_time,
          connections_per_peer_are_limited, cuts_lines,
          pairs_lines_with_signatures_wherever_they_are_split, a_long_second_line_is_given_as_it_is,
          the_longest_line_passes_and_one_byte_more_does_not, closed_in_the_middle_of_a_line,
          one_connection_too_many, disallowed_peers, rejection_resets_the_connection,
          a_busy_sender_does_not_starve_the_others, incomplete_line_times_out,
          idle_connection_is_shut_down_but_still_read,
          draining_reads_sent_data_and_ends_in_time, closing_releases_all)
