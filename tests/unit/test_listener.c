#include "fake_loop.h"

#include <errno.h>
#include <sys/socket.h>

#include "nefia/base/err.h"
#include "nefia/hub/listener.h"
#include "nefia/net/tcp.h"

enum { CONNECTIONS = 4, ENTRIES = 8, SIGNATURE = 64 };

static struct connection connections[CONNECTIONS];
static struct admission_entry entries[ENTRIES];
static struct listener listener = {.fd = -1};

/* What the hooks do. */
static bool allow, refuse, in_words, full, answers, proves, journal_works;
static int room; /* units accepted; negative: no limit */

/* What they recorded. */
static char lines[4096];
static struct text seen;
static unsigned unit_count, turns, rejects[REJECT_COUNT], loud_rejects, opened, closed;
static const char *reject_what; /* of the last one */
static size_t longest, bytes_of[CONNECTIONS];
static uint64_t asked_random; /* latest argument of random_below */
static uint64_t random_result;
static uint32_t seed; /* 0: random_result is the result */

static size_t index_of(const struct session *s)
{
    size_t i = 0;

    while (i + 1 < CONNECTIONS && &connections[i].session != s)
        i++;
    CHECK(&connections[i].session == s);
    return i;
}

/** A unit "hello" begins a session of the link, "bad" is refused in the session, "wrong" ends it with
 * an error, "end others" all others. */
static bool begins(const struct link_unit *u, const char *word)
{
    return u->line.len >= strlen(word) && memcmp(u->line.ptr, word, strlen(word)) == 0;
}

static void end_other(void *arg, struct session *s)
{
    if (s != arg) {
        s->due = SESSION_ERROR;
        s->reason = "another";
    }
}

static int on_unit(void *arg, struct session *s, const struct link_unit *u)
{
    (void)arg;
    CHECK(s->due == SESSION_IDLE || s->due == SESSION_ACK);
    if ((full || room == 0) && !s->overdue)
        return NEFIA_EAGAIN;
    room -= room > 0;
    unit_count++;
    bytes_of[index_of(s)] += u->line.len + 1;
    longest = u->line.len > longest ? u->line.len : longest;
    text_bytes(&seen, u->line.ptr, u->line.len < 16 ? u->line.len : 16);
    if (u->sig.ptr) {
        text_char(&seen, '/');
        text_bytes(&seen, u->sig.ptr, u->sig.len < 4 ? u->sig.len : 4);
    }
    text_char(&seen, ';');
    if (refuse || begins(u, "wrong")) {
        if (in_words || begins(u, "wrong"))
            s->due = SESSION_ERROR;
        return NEFIA_EAUTH;
    }
    s->proven |= proves || begins(u, "hello");
    s->due = answers ? SESSION_ACK : s->due;
    if (begins(u, "hello")) {
        s->link.state = LINK_HELLO;
        s->due = SESSION_WELCOME;
    }
    if (begins(u, "bad"))
        s->due = SESSION_REFUSE;
    if (begins(u, "end others"))
        listener_each(&listener, end_other, s);
    return 0;
}

static void on_turn_end(void *arg)
{
    (void)arg;
    turns++;
    if (journal_works)
        listener_answer(&listener);
}

static void on_opened(void *arg, struct session *s, struct text *out)
{
    (void)arg;
    CHECK_INT(s->link.state, LINK_NEW);
    CHECK_INT(s->due, SESSION_IDLE);
    opened++;
    text_str(out, "greeting\n");
}

static void on_closed(void *arg, struct session *s)
{
    (void)arg;
    (void)index_of(s);
    closed++;
}

/** A refusal is followed by an acknowledgement of its own. */
static void on_answer(void *arg, struct session *s, struct text *out)
{
    static const char *const words[] = {[SESSION_WELCOME] = "welcome\n",
                                        [SESSION_ACK] = "ack\n",
                                        [SESSION_REFUSE] = "refused\n",
                                        [SESSION_ERROR] = "error\n"};

    (void)arg;
    CHECK(s->due != SESSION_IDLE);
    CHECK_INT(out->len, 0);
    text_str(out, words[s->due]);
    s->due = s->due == SESSION_REFUSE ? SESSION_ACK : SESSION_IDLE;
}

static void on_rejected(void *arg, const struct addr *peer, enum reject why, const char *what,
                        bool quiet)
{
    (void)arg;
    (void)peer;
    reject_what = what;
    rejects[why]++;
    loud_rejects += !quiet;
}

static bool on_allowed(void *arg, const struct addr *peer)
{
    (void)arg;
    (void)peer;
    return allow;
}

static uint64_t random_below(uint64_t n)
{
    asked_random = n;
    if (seed != 0) {
        seed = seed * 1103515245 + 12345;
        return (seed >> 16) % n;
    }
    return random_result % n;
}

static uint16_t port;

static void listen_on(const char *ip, bool with_signatures)
{
    struct addr a;

    CHECK_INT(addr_parse(&a, ip, strlen(ip), 1, NULL), 0);
    a.port = 0;
    int fd = tcp_listen(&a, 64, "port", NULL);
    CHECK(fd >= 0);
    CHECK_INT(tcp_local(fd, &a), 0);
    port = a.port;
    CHECK_INT(listener_open(&listener, fd, with_signatures), 0);
}

static void setup(bool with_signatures)
{
    const struct listener_hooks hooks = {.opened = on_opened,
                                         .unit = on_unit,
                                         .turn_end = on_turn_end,
                                         .answer = on_answer,
                                         .closed = on_closed,
                                         .rejected = on_rejected,
                                         .allowed = on_allowed};

    listener_close(&listener);
    memset(connections, 0, sizeof connections);
    memset(rejects, 0, sizeof rejects);
    memset(bytes_of, 0, sizeof bytes_of);
    text_init(&seen, lines, sizeof lines);
    unit_count = turns = loud_rejects = opened = closed = 0;
    longest = 0;
    allow = proves = journal_works = true;
    refuse = in_words = full = answers = false;
    room = -1;
    asked_random = random_result = 0;
    seed = 0;
    fake_loop_init(1000000, 0, CONNECTIONS + 1);
    listener_init(&listener, &loop, connections, CONNECTIONS, entries, ENTRIES, &hooks);
    listener.random_below = random_below;
    listen_on("127.0.0.1", with_signatures);
}

static void turn(int n)
{
    while (n-- > 0)
        loop_turn(&loop, 0);
}

static void pass(uint64_t ms)
{
    fake.now_ms += ms;
    turn(3);
}

static int dial_to(const char *to, const char *from)
{
    struct sockaddr_storage ss;
    struct addr a, local;

    CHECK_INT(addr_parse(&a, to, strlen(to), 1, NULL), 0);
    CHECK_INT(addr_parse(&local, from, strlen(from), 1, NULL), 0);
    a.port = port;
    local.port = 0;
    int fd = socket(a.family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    socklen_t len = addr_to_sockaddr(&local, &ss);
    CHECK_INT(bind(fd, (struct sockaddr *)&ss, len), 0);
    len = addr_to_sockaddr(&a, &ss);
    CHECK_INT(connect(fd, (struct sockaddr *)&ss, len), 0);
    turn(2);
    return fd;
}

static int dial_from(const char *from)
{
    return dial_to("127.0.0.1", from);
}

static int dial(void)
{
    return dial_from("127.0.0.1");
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
    turn(3);
}

static void say_str(int fd, const char *s)
{
    say(fd, s, strlen(s));
}

/** Data received on fd, as a string, and what came instead: end is 0 (the end), or an errno. */
static const char *heard(int fd, int *end)
{
    static char said[128];
    size_t len = 0;
    ssize_t n = 1;

    turn(3);
    while (n > 0 && len + 1 < sizeof said) {
        n = recv(fd, said + len, sizeof said - 1 - len, MSG_DONTWAIT);
        len += n > 0 ? (size_t)n : 0;
    }
    said[len] = '\0';
    *end = n == 0 ? 0 : errno;
    return said;
}

#define CHECK_HEARD(fd, words, ending)        \
    do {                                      \
        int heard_end;                        \
        CHECK_STR(heard(fd, &heard_end), words); \
        CHECK_INT(heard_end, ending);         \
    } while (0)

/** Discard what came. 1: the hub closed; 0: it did not. */
static int is_closed(int fd)
{
    int end;

    while (*heard(fd, &end))
        ;
    return end != EAGAIN;
}

static void close_all(const int *fds, int n)
{
    for (int i = 0; i < n; i++)
        close(fds[i]);
}

/* ---- Units ---- */

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
    CHECK_INT(opened, 1);
    CHECK_INT(closed, 1);
    CHECK(turns > 0);
    CHECK_INT(listener.bytes, 18);
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
    CHECK_INT(unit_count, t.len - 1);
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

/** New keys hold for new connections: an open one goes on as it began. */
TEST(signatures_are_expected_where_they_were_when_it_came)
{
    setup(false);
    int fd = dial();
    listener_recheck(&listener, true);
    say_str(fd, "event\n");
    CHECK_STR(lines, "event;");
    int later = dial();
    say_str(later, "signed\n");
    CHECK_STR(lines, "event;");
    say_str(later, digits);
    say_str(later, "\n");
    CHECK_STR(lines, "event;signed/0123;");
    /* Its owner may change that: what was half a unit is one. */
    say_str(later, "now unsigned\n");
    connections[1].session.link.is_signed = false;
    listener_recheck(&listener, false);
    turn(2);
    CHECK_STR(lines, "event;signed/0123;now unsigned;");
    close(fd);
    close(later);
}

static char big[CONFIG_EVENT_BYTES + 200];

TEST(the_longest_line_passes_and_one_byte_more_does_not)
{
    for (int with_signatures = 0; with_signatures < 2; with_signatures++) {
        setup(with_signatures);
        int fd = dial();
        size_t len = CONFIG_EVENT_BYTES;
        memset(big, 'x', sizeof big);
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
        CHECK_INT(unit_count, 1);
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

/** An orderly close would make a beacon count its events as delivered. */
TEST(rejection_resets_the_connection)
{
    setup(false);
    int fd = dial();
    CHECK_HEARD(fd, "greeting\n", EAGAIN);
    refuse = true;
    say_str(fd, "one\n");
    CHECK_HEARD(fd, "", ECONNRESET);
    close(fd);
    allow = false;
    fd = dial();
    CHECK_HEARD(fd, "", ECONNRESET);
    close(fd);
}

TEST(what_a_sender_sent_before_it_closed_is_taken)
{
    setup(false);
    int fd = dial();
    CHECK_HEARD(fd, "greeting\n", EAGAIN);
    CHECK_INT(send(fd, "one\ntwo\n", 8, 0), 8);
    CHECK_INT(shutdown(fd, SHUT_WR), 0);
    answers = true;
    CHECK_HEARD(fd, "ack\n", 0); /* it may still read */
    CHECK_STR(lines, "one;two;");
    CHECK_INT(listener.open, 0);
    close(fd);
    /* With the greeting unread its close is a reset. */
    fd = dial();
    CHECK_INT(send(fd, "three\n", 6, 0), 6);
    close(fd);
    turn(3);
    CHECK_STR(lines, "one;two;three;");
    CHECK_INT(listener.open, 0);
    CHECK_INT(rejects[REJECT_UNFINISHED], 0);
}

/* ---- Shares ---- */

/** Senders that never end: what they read is lines of 100, or of 8,000 bytes. */
static size_t endless_line[CONNECTIONS], endless_at[CONNECTIONS], endless_left[CONNECTIONS];

static int endless_receive(const struct stream *s, void *buf, size_t cap)
{
    char *to = buf;
    size_t i = 0;

    while (connections[i].stream.fd != s->fd)
        i++;
    if (cap > endless_left[i])
        cap = endless_left[i];
    for (size_t n = 0; n < cap; n++)
        to[n] = ++endless_at[i] % endless_line[i] == 0 ? '\n' : 'x';
    endless_left[i] -= cap;
    return cap > 0 ? (int)cap : NEFIA_EAGAIN;
}

static struct stream_class endless;

/** Make connection i one of those: its socket stays readable, because nobody reads it. */
static void make_endless(int i, int fd, size_t line)
{
    endless = tcp_stream;
    endless.receive = endless_receive;
    connections[i].stream.class = &endless;
    endless_line[i] = line;
    endless_at[i] = 0;
    endless_left[i] = SIZE_MAX;
    CHECK_INT(send(fd, "x", 1, 0), 1);
}

static size_t distance(size_t a, size_t b)
{
    return a > b ? a - b : b - a;
}

TEST(large_and_small_lines_have_the_same_share)
{
    setup(false);
    int fds[2] = {dial(), dial()};
    make_endless(0, fds[0], 8000);
    make_endless(1, fds[1], 100);
    for (int i = 0; i < 60; i++) {
        turn(1);
        CHECK(distance(bytes_of[0], bytes_of[1]) <= SERVE_QUANTUM + CONNECTION_BYTES);
        CHECK(bytes_of[0] + bytes_of[1] <=
              (size_t)(i + 1) * (SERVE_BYTES + 2 * (SERVE_QUANTUM + CONNECTION_BYTES)));
    }
    CHECK(bytes_of[0] > 40 * SERVE_BYTES / 2);
    close_all(fds, 2);
}

TEST(four_take_the_same_share_and_take_turns)
{
    unsigned first[CONNECTIONS] = {0};
    int fds[CONNECTIONS];

    setup(false);
    for (int i = 0; i < CONNECTIONS; i++)
        fds[i] = dial();
    for (int i = 0; i < CONNECTIONS; i++)
        make_endless(i, fds[i], 441);
    for (int i = 0; i < 40; i++) {
        turn(1);
        first[listener.next]++;
        for (int k = 1; k < CONNECTIONS; k++)
            CHECK(distance(bytes_of[0], bytes_of[k]) <= SERVE_QUANTUM + 441);
    }
    for (int i = 0; i < CONNECTIONS; i++)
        CHECK_INT(first[i], 10);
    close_all(fds, CONNECTIONS);
}

TEST(a_busy_sender_does_not_delay_the_others)
{
    setup(false);
    int loud = dial(), quiet = dial();
    make_endless(0, loud, 8000);
    turn(10);
    for (int i = 0; i < 10; i++) {
        CHECK_INT(send(quiet, "me\n", 3, 0), 3);
        turn(1);
        CHECK_INT(bytes_of[1], 3 * (i + 1)); /* in the very turn that it came in */
    }
    close(loud);
    close(quiet);
}

TEST(a_share_is_not_saved_up)
{
    setup(false);
    int loud = dial(), other = dial();
    make_endless(0, loud, 100);
    make_endless(1, other, 100);
    endless_left[1] = 300; /* then it is idle */
    turn(40);
    CHECK_INT(bytes_of[1], 300);
    CHECK_INT(connections[1].deficit, 0);
    const size_t before = bytes_of[0];
    endless_left[1] = SIZE_MAX;
    turn(10);
    CHECK(distance(bytes_of[0] - before, bytes_of[1] - 300) <= SERVE_QUANTUM + CONNECTION_BYTES);
    close(loud);
    close(other);
}

/** What is left after a turn is served in the next, which comes at once, without new input. */
TEST(what_is_left_is_served_in_the_next_turn)
{
    setup(false);
    int fd = dial();
    make_endless(0, fd, 100);
    endless_left[0] = SERVE_BYTES + CONNECTION_BYTES;
    turn(1);
    const size_t first = bytes_of[0];
    CHECK(first >= SERVE_BYTES);
    CHECK(first < SERVE_BYTES + CONNECTION_BYTES);
    CHECK(connections[0].has_unit);
    CHECK(timer_active(&listener.turn));
    CHECK(listener.turn.at_ms <= fake.now_ms);
    turn(1);
    CHECK_INT(bytes_of[0], (SERVE_BYTES + CONNECTION_BYTES) / 100 * 100);
    close(fd);
}

TEST(waiting_earns_no_share)
{
    setup(false);
    int fd = dial();
    full = true;
    make_endless(0, fd, 100);
    turn(2);
    CHECK_INT(listener.held, 1);
    for (int i = 0; i < 20; i++) {
        listener_resume(&listener);
        turn(1);
    }
    CHECK_INT(connections[0].deficit, 100);
    close(fd);
}

/* ---- Deferred units ---- */

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
    turn(1);
    CHECK_STR(lines, "a;x;b;c;");
    CHECK_INT(listener.held, 0);
    say_str(fd, "\n");
    CHECK_STR(lines, "a;x;b;c;d;");
    close(fd);
    close(other);
    turn(3);
    CHECK_INT(listener.open, 0);
}

TEST(a_deferred_line_is_offered_after_a_while)
{
    setup(false);
    int fd = dial();
    full = true;
    say_str(fd, "a\n");
    full = false;
    pass(HOLD_STEP_MS - 1);
    CHECK_STR(lines, "");
    pass(1);
    CHECK_STR(lines, "a;");
    close(fd);
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
        turn(1);
        CHECK_INT(room, 0);
    }
    CHECK_STR(lines, "a;b;a;b;a;a;");
    close(loud);
    close(quiet);
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

/** Its buffer is full: no more is read, and nothing happens until it is offered again; nor when its
 * sender closes, or is gone. */
TEST(a_deferred_connection_keeps_nothing_busy)
{
    static char lots[4 * CONNECTION_BYTES];

    memset(lots, '\n', sizeof lots);
    for (int resets = 0; resets < 2; resets++) {
        setup(false);
        int fd = dial();
        full = true;
        say_str(fd, "a\n");
        CHECK_INT(listener.held, 1);
        say(fd, lots, sizeof lots);
        CHECK_INT(connections[0].used, CONNECTION_BYTES);
        if (resets)
            tcp_refuse(fd);
        close(fd);
        const unsigned before = turns;
        turn(20);
        CHECK_INT(turns, before);
        CHECK_INT(unit_count, 0);
        CHECK_INT(listener.open, 1);
        fake.now_ms += HOLD_STEP_MS;
        turn(20);
        CHECK_INT(turns, before + 1);
        full = false;
        listener_resume(&listener);
        turn(20);
        CHECK(strncmp(lines, "a;;;;", 5) == 0);
        CHECK(resets || unit_count == 1 + sizeof lots); /* the kernel drops some after a reset */
        CHECK_INT(listener.open, 0);
    }
}

/** The same with room in its buffer: the end is noticed, and what came before it is kept. */
TEST(a_deferred_connection_may_end)
{
    setup(false);
    int fd = dial();
    full = true;
    say_str(fd, "a\nb\n");
    close(fd);
    turn(3);
    const unsigned before = turns;
    turn(20);
    CHECK_INT(turns, before);
    CHECK_INT(listener.open, 1);
    CHECK_INT(connections[0].state, CONNECTION_ENDED);
    full = false;
    pass(HOLD_STEP_MS);
    CHECK_STR(lines, "a;b;");
    CHECK_INT(listener.open, 0);
}

/* ---- Answers ---- */

TEST(sends_what_is_due)
{
    setup(false);
    int fd = dial();
    CHECK_HEARD(fd, "greeting\n", EAGAIN);
    answers = true;
    journal_works = false;
    say_str(fd, "one\ntwo\n");
    CHECK_HEARD(fd, "", EAGAIN); /* nothing is durable yet */
    CHECK_STR(lines, "one;two;"); /* but acknowledgements can be made together */
    listener_answer(&listener);
    CHECK_HEARD(fd, "ack\n", EAGAIN);
    listener_answer(&listener);
    CHECK_HEARD(fd, "", EAGAIN);
    close(fd);
}

TEST(a_welcome_and_a_refusal_are_said_before_the_next_unit)
{
    setup(false);
    int fd = dial();
    CHECK_HEARD(fd, "greeting\n", EAGAIN);
    answers = true;
    journal_works = false;
    say_str(fd, "hello\none\nbad\nbad\ntwo\n");
    CHECK_STR(lines, "hello;");
    const unsigned before = turns;
    turn(20);
    CHECK_INT(turns, before); /* nor is anything kept busy */
    listener_answer(&listener);
    turn(5);
    CHECK_STR(lines, "hello;one;bad;");
    CHECK_HEARD(fd, "welcome\n", EAGAIN);
    journal_works = true;
    listener_answer(&listener);
    turn(5);
    CHECK_STR(lines, "hello;one;bad;bad;two;");
    CHECK_HEARD(fd, "refused\nack\nrefused\nack\nack\n", EAGAIN);
    close(fd);
}

/** What a slow peer's kernel takes. */
static size_t accepts;
static unsigned sends;

static int slow_send(const struct stream *s, const void *data, size_t len)
{
    size_t n = len < accepts ? len : accepts;

    sends++;
    if (n == 0)
        return NEFIA_EAGAIN;
    accepts -= n;
    return tcp_stream.send(s, data, n);
}

static struct stream_class slow;

static void make_slow(int i)
{
    slow = tcp_stream;
    slow.send = slow_send;
    connections[i].stream.class = &slow;
    accepts = 0;
}

TEST(output_that_does_not_fit_is_sent_later_in_order)
{
    setup(false);
    int fd = dial();
    CHECK_HEARD(fd, "greeting\n", EAGAIN);
    make_slow(0);
    answers = true;
    say_str(fd, "bad\none\nbad\ntwo\n");
    CHECK_STR(lines, "bad;one;bad;"); /* the first refusal is being sent, the second waits for it */
    CHECK_INT(connections[0].session.due, SESSION_REFUSE);
    CHECK(connections[0].watch.events & POLLOUT);
    accepts = 3;
    CHECK_HEARD(fd, "ref", EAGAIN);
    CHECK_STR(lines, "bad;one;bad;");
    accepts = 6;
    CHECK_HEARD(fd, "used\nr", EAGAIN);
    CHECK_STR(lines, "bad;one;bad;two;");
    accepts = 100;
    CHECK_HEARD(fd, "efused\nack\n", EAGAIN);
    CHECK(!(connections[0].watch.events & POLLOUT));
    /* Nothing is unsent: no send is tried. */
    sends = 0;
    turn(10);
    CHECK_INT(sends, 0);
    close(fd);
}

/** Units behind a refusal that the peer does not read wait for that, not in a loop. */
TEST(a_peer_that_reads_no_answers_keeps_nothing_busy)
{
    const int small = 1;
    int end;

    setup(false);
    int fd = dial();
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    setsockopt(connections[0].stream.fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
    for (int i = 0; i < 100000 && connections[0].out_len == 0; i++) {
        CHECK_INT(send(fd, "bad\n", 4, 0), 4);
        turn(2);
        text_reset(&seen);
    }
    say_str(fd, "bad\nbad\nbad\n");
    CHECK(connections[0].out_len > 0);
    CHECK(connections[0].has_unit);
    turn(3);
    const unsigned before = turns;
    turn(20);
    CHECK_INT(turns, before);
    for (int i = 0; i < 100000 && connections[0].has_unit; i++)
        heard(fd, &end);
    CHECK(!connections[0].has_unit);
    close(fd);
}

/** There is room again while the journal cannot be written: what is due must wait for it. */
TEST(room_for_output_does_not_answer_before_the_journal)
{
    setup(false);
    int fd = dial();
    CHECK_HEARD(fd, "greeting\n", EAGAIN);
    make_slow(0);
    answers = true;
    say_str(fd, "one\n");
    CHECK_INT(connections[0].out_len, 4);
    journal_works = false;
    say_str(fd, "two\n");
    CHECK_INT(connections[0].session.due, SESSION_ACK);
    accepts = 100;
    CHECK_HEARD(fd, "ack\n", EAGAIN);
    CHECK_INT(connections[0].session.due, SESSION_ACK);
    CHECK_HEARD(fd, "", EAGAIN);
    journal_works = true;
    listener_answer(&listener);
    CHECK_HEARD(fd, "ack\n", EAGAIN);
    close(fd);
}

/** The sender goes on sending for a while; neither that nor our close may destroy the error. */
TEST(an_error_arrives_before_the_connection_closes)
{
    static char lots[8 * CONNECTION_BYTES];

    setup(false);
    int fd = dial();
    CHECK_HEARD(fd, "greeting\n", EAGAIN);
    journal_works = false; /* an error waits for nothing */
    memset(lots, '\n', sizeof lots);
    memcpy(lots, "one\nwrong\n", 10);
    say(fd, lots, sizeof lots);
    CHECK_STR(lines, "one;wrong;");
    CHECK_INT(connections[0].state, CONNECTION_DISCARDING);
    say_str(fd, "more\n");
    CHECK_HEARD(fd, "error\n", 0);
    CHECK_STR(lines, "one;wrong;");
    CHECK_INT(listener.open, 1);
    close(fd);
    turn(3);
    CHECK_INT(listener.open, 0);
    CHECK_INT(closed, 1);
}

TEST(a_peer_that_does_not_close_after_an_error_is_closed)
{
    setup(false);
    int fd = dial();
    CHECK_HEARD(fd, "greeting\n", EAGAIN);
    say_str(fd, "wrong\n");
    for (unsigned ms = 0; ms < CLOSING_TIMEOUT_MS; ms += 500) {
        CHECK_INT(listener.open, 1);
        say_str(fd, "more\n"); /* that does not help */
        fake.now_ms += 500;
    }
    turn(2);
    CHECK_INT(listener.open, 0);
    close(fd);
    /* The same if it does not even read the error. */
    fd = dial();
    make_slow(0);
    say_str(fd, "wrong\n");
    CHECK_INT(connections[0].state, CONNECTION_FLUSHING);
    pass(CLOSING_TIMEOUT_MS);
    CHECK_INT(listener.open, 0);
    close(fd);
}

TEST(an_error_waits_for_the_output_before_it)
{
    setup(false);
    int fd = dial();
    CHECK_HEARD(fd, "greeting\n", EAGAIN);
    make_slow(0);
    answers = true;
    say_str(fd, "one\n");
    accepts = 1;
    turn(2);
    say_str(fd, "wrong\n");
    CHECK_INT(connections[0].state, CONNECTION_FLUSHING);
    CHECK_HEARD(fd, "a", EAGAIN);
    accepts = 100;
    CHECK_HEARD(fd, "ck\nerror\n", 0);
    CHECK_INT(connections[0].state, CONNECTION_DISCARDING);
    close(fd);
}

/** Another session of the host: nothing of it is taken after the hello that ends it. */
TEST(sessions_can_end_others)
{
    setup(false);
    int fds[3] = {dial(), dial(), dial()};
    for (int i = 0; i < 3; i++)
        CHECK_HEARD(fds[i], "greeting\n", EAGAIN);
    CHECK_INT(send(fds[0], "end others\n", 11, 0), 11);
    CHECK_INT(send(fds[1], "late\n", 5, 0), 5);
    CHECK_INT(send(fds[2], "late\n", 5, 0), 5);
    turn(3);
    CHECK_STR(lines, "end others;");
    CHECK_HEARD(fds[0], "", EAGAIN);
    CHECK_HEARD(fds[1], "error\n", 0);
    CHECK_HEARD(fds[2], "error\n", 0);
    close_all(fds + 1, 2);
    turn(3);
    CHECK_INT(listener.open, 1);
    say_str(fds[0], "on\n");
    CHECK_STR(lines, "end others;on;");
    close(fds[0]);
}

/** One with a deferred unit, while the journal cannot be written. */
TEST(a_deferred_session_that_was_ended_keeps_nothing_busy)
{
    setup(false);
    int fds[2] = {dial(), dial()};
    full = true;
    say_str(fds[0], "held\n");
    CHECK_INT(listener.held, 1);
    full = journal_works = false;
    say_str(fds[1], "end others\n");
    CHECK_INT(connections[0].session.due, SESSION_ERROR);
    pass(HOLD_STEP_MS);
    const unsigned before = turns;
    turn(20);
    CHECK_INT(turns, before);
    CHECK_INT(listener.held, 0);
    CHECK_STR(lines, "end others;");
    journal_works = true;
    listener_answer(&listener);
    CHECK_HEARD(fds[0], "greeting\nerror\n", 0);
    close_all(fds, 2);
    turn(3);
    CHECK_INT(listener.open, 0);
}

/* ---- Time ---- */

TEST(incomplete_line_times_out)
{
    setup(false);
    int fd = dial(), slow_one = dial();
    say_str(fd, "done\nhalf");
    say_str(slow_one, "done\n");
    for (int i = 0; i < 29; i++) {
        fake.now_ms += 1000;
        say_str(fd, "."); /* bytes that trickle do not help */
        say_str(slow_one, ".\n.");
    }
    CHECK_INT(rejects[REJECT_TIMEOUT], 0);
    pass(1000);
    CHECK_INT(rejects[REJECT_TIMEOUT], 1);
    CHECK_INT(is_closed(fd), 1);
    CHECK_INT(listener.open, 1);
    close(fd);
    close(slow_one);
}

TEST(a_complete_unit_that_waits_does_not_time_out)
{
    setup(false);
    int fd = dial();
    answers = true;
    journal_works = false;
    say_str(fd, "bad\nwaits for the journal\n");
    pass(2 * LINE_TIMEOUT_MS);
    CHECK_INT(rejects[REJECT_TIMEOUT], 0);
    journal_works = true;
    listener_answer(&listener);
    turn(2);
    CHECK_STR(lines, "bad;waits for the jo;");
    close(fd);
}

TEST(idle_connection_is_shut_down_but_still_read)
{
    setup(false);
    int fd = dial();
    say_str(fd, "a\n");
    pass(IDLE_TIMEOUT_MS - 1);
    CHECK_INT(is_closed(fd), 0);
    say_str(fd, "b\n");
    pass(IDLE_TIMEOUT_MS - 1);
    CHECK_INT(is_closed(fd), 0);
    pass(2);
    CHECK_INT(is_closed(fd), 1); /* our side of it */
    CHECK_INT(listener.open, 1);
    say_str(fd, "c\n");
    CHECK_STR(lines, "a;b;c;");
    close(fd);
    turn(3);
    CHECK_INT(listener.open, 0);
    CHECK_INT(rejects[REJECT_UNFINISHED], 0);
}

TEST(idle_sender_of_the_link_sends_again_what_is_discarded)
{
    setup(false);
    int fd = dial();
    say_str(fd, "hello\n");
    CHECK_HEARD(fd, "greeting\nwelcome\n", EAGAIN);
    pass(IDLE_TIMEOUT_MS);
    CHECK_HEARD(fd, "", 0);
    say_str(fd, "late\n");
    CHECK_STR(lines, "hello;");
    pass(CLOSING_TIMEOUT_MS);
    CHECK_INT(listener.open, 0);
    close(fd);
}

TEST(draining_reads_sent_data_and_ends_in_time)
{
    setup(false);
    int fd = dial(), silent = dial(), link = dial();
    say_str(silent, "before\n");
    say_str(link, "hello\n");
    CHECK_HEARD(link, "greeting\nwelcome\n", EAGAIN);
    CHECK_INT(send(fd, "last\n", 5, 0), 5);
    journal_works = false;
    answers = true;
    say_str(link, "event\n");
    answers = false;
    CHECK_INT(listener_drain(&listener), 3);
    CHECK_INT(is_closed(fd), 1);
    CHECK_STR(lines, "before;hello;last;event;");
    say_str(fd, "very last\n");
    say_str(link, "not taken\n");
    CHECK_STR(lines, "before;hello;last;event;very last;");
    CHECK_HEARD(link, "", EAGAIN);
    listener_answer(&listener); /* what was taken is acknowledged */
    CHECK_HEARD(link, "ack\n", 0);
    close(fd);
    close(link);
    turn(3);
    CHECK_INT(listener.open, 1);
    pass(CLOSING_TIMEOUT_MS + 1);
    CHECK_INT(listener.open, 0);
    close(silent);
}

TEST(a_hello_that_comes_after_the_drain_is_not_served)
{
    setup(false);
    int fd = dial();
    CHECK_HEARD(fd, "greeting\n", EAGAIN);
    listener_drain(&listener);
    say_str(fd, "plain\nhello\nevent\n");
    CHECK_STR(lines, "plain;hello;");
    CHECK_HEARD(fd, "", 0);
    CHECK_INT(connections[0].state, CONNECTION_DISCARDING);
    close(fd);
    turn(3);
    CHECK_INT(listener.open, 0);
}

TEST(closing_releases_all)
{
    setup(false);
    int fd = dial();
    full = true;
    say_str(fd, "a\n");
    listener_close(&listener);
    CHECK_INT(listener.open, 0);
    CHECK_INT(listener.held, 0);
    CHECK_INT(closed, 1);
    CHECK_INT(loop.watches, 0);
    CHECK(loop.first_timer == NULL);
    close(fd);
    /* Closed twice: harmless. */
    listener_close(&listener);
    CHECK_INT(closed, 1);
}

/* ---- Who gets in ---- */

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
    CHECK_INT(opened, closed);
    close(fd);
    close(second);
}

TEST(one_connection_too_many)
{
    int fds[CONNECTIONS + 1];

    setup(false);
    for (int i = 0; i < CONNECTIONS; i++) {
        fds[i] = dial();
        say_str(fds[i], "a\n");
    }
    CHECK_INT(listener.open, CONNECTIONS);
    fds[CONNECTIONS] = dial();
    CHECK_INT(rejects[REJECT_FULL], 1);
    CHECK_INT(is_closed(fds[CONNECTIONS]), 1);
    close(fds[0]);
    turn(3);
    CHECK_INT(listener.open, CONNECTIONS - 1);
    fds[0] = dial();
    CHECK_INT(listener.open, CONNECTIONS);
    close_all(fds, CONNECTIONS + 1);
}

TEST(a_connection_proves_itself_in_time_or_ends)
{
    setup(false);
    proves = false;
    int silent = dial(), repeating = dial(), half = dial(), hello = dial();
    for (int i = 0; i < 4; i++) {
        pass(LINK_PROVE_MS / 5);
        say_str(repeating, "repeated\n");
        say_str(half, ".");
    }
    say_str(hello, "hello\n");
    CHECK_INT(listener.open, 4);
    pass(LINK_PROVE_MS / 5);
    CHECK_INT(listener.open, 1);
    CHECK_INT(rejects[REJECT_UNPROVEN], 3);
    CHECK_INT(is_closed(silent), 1);
    CHECK_INT(is_closed(hello), 0);
    pass(LINK_PROVE_MS);
    CHECK_INT(listener.open, 1);
    close(silent);
    close(repeating);
    close(half);
    close(hello);
}

/** A sender without a key waits for an answer to its hello. */
TEST(a_line_without_signature_is_named)
{
    setup(true);
    proves = false;
    int fd = dial();
    say_str(fd, "hel");
    pass(LINK_PROVE_MS);
    CHECK_INT(rejects[REJECT_UNPROVEN], 1);
    CHECK(reject_what == NULL);
    close(fd);
    fd = dial();
    say_str(fd, "hello\n");
    pass(LINK_PROVE_MS);
    CHECK_INT(rejects[REJECT_UNPROVEN], 2);
    CHECK_STR(reject_what, "signature missing");
    close(fd);
}

/** Even if it always has more. */
TEST(a_flood_proves_nothing)
{
    setup(false);
    proves = false;
    int fd = dial();
    make_endless(0, fd, 100);
    turn(3);
    fake.now_ms += LINK_PROVE_MS - 1;
    turn(1);
    CHECK_INT(listener.open, 1);
    fake.now_ms += 1;
    turn(1);
    CHECK_INT(listener.open, 0);
    CHECK_INT(rejects[REJECT_UNPROVEN], 1);
    close(fd);
}

/** The hub's disk was slow, and the hello is in the kernel's buffer. */
TEST(a_stalled_hub_does_not_blame_a_beacon)
{
    setup(false);
    proves = false;
    int fd = dial(), silent = dial();
    CHECK_INT(send(fd, "hello\n", 6, 0), 6);
    pass(3 * LINK_PROVE_MS);
    CHECK_STR(lines, "hello;");
    CHECK_INT(listener.open, 1);
    CHECK_INT(rejects[REJECT_UNPROVEN], 1);
    close(fd);
    close(silent);
}

/** While its unit is deferred, nobody knows whether it proves its sender; but that has an end. */
TEST(a_deferred_unit_may_prove_its_sender)
{
    setup(false);
    proves = false;
    int fd = dial();
    full = true;
    say_str(fd, "a\n");
    pass(LINK_PROVE_MS);
    CHECK_INT(listener.open, 1);
    full = false;
    proves = true;
    pass(HOLD_STEP_MS);
    CHECK_STR(lines, "a;");
    pass(HOLD_MOST_MS);
    CHECK_INT(listener.open, 1);
    close(fd);
    turn(3);

    proves = false;
    full = true;
    fd = dial();
    say_str(fd, "b\nb\nb\nb\n");
    for (unsigned ms = 0; ms < LINK_PROVE_MS + HOLD_MOST_MS; ms += HOLD_STEP_MS) {
        CHECK_INT(listener.open, 1);
        pass(HOLD_STEP_MS);
    }
    CHECK_INT(listener.open, 0);
    CHECK_INT(listener.held, 0);
    close(fd);
}

TEST(an_unproven_connection_is_evicted_at_random)
{
    int fds[CONNECTIONS + 2];

    setup(false);
    for (int i = 0; i < CONNECTIONS; i++)
        fds[i] = dial();
    say_str(fds[1], "a\n");
    random_result = 1;
    fds[CONNECTIONS] = dial();
    CHECK_INT(asked_random, 3);
    CHECK_INT(rejects[REJECT_UNPROVEN], 1);
    CHECK_INT(is_closed(fds[0]), 0);
    CHECK_INT(is_closed(fds[1]), 0); /* it has proved itself */
    CHECK_INT(is_closed(fds[2]), 1); /* the second of three */
    CHECK_INT(is_closed(fds[3]), 0);
    CHECK_INT(listener.open, CONNECTIONS);
    say_str(fds[CONNECTIONS], "b\n");
    CHECK_STR(lines, "a;b;");
    random_result = 0;
    fds[CONNECTIONS + 1] = dial();
    CHECK_INT(asked_random, 2);
    CHECK_INT(is_closed(fds[0]), 1);
    CHECK_INT(rejects[REJECT_FULL], 0);
    close_all(fds, CONNECTIONS + 2);
}

/** What is only waiting for its peer to close gives up its place, too. */
TEST(a_session_that_is_over_gives_way)
{
    int fds[CONNECTIONS + 1];

    setup(false);
    for (int i = 0; i < CONNECTIONS; i++) {
        fds[i] = dial();
        say_str(fds[i], "a\n");
    }
    say_str(fds[2], "wrong\n");
    CHECK_INT(connections[2].state, CONNECTION_DISCARDING);
    fds[CONNECTIONS] = dial();
    CHECK_INT(rejects[REJECT_FULL], 0);
    CHECK_INT(rejects[REJECT_UNPROVEN], 0); /* it was proven, and its end has been reported */
    CHECK_INT(connections[2].state, CONNECTION_OPEN);
    close_all(fds, CONNECTIONS + 1);
}

/** Let a host at that address prove itself, and leave. */
static void make_known(const char *ip)
{
    int fd = dial_from(ip);

    say_str(fd, "a\n");
    close(fd);
    turn(3);
    CHECK_INT(listener.open, 0);
}

TEST(reserved_places_are_for_known_addresses)
{
    int fds[CONNECTIONS + 1];

    setup(false);
    listener.reserved = 2;
    make_known("127.0.0.9");
    for (int i = 0; i < 2; i++) {
        fds[i] = dial_from("127.0.0.1");
        say_str(fds[i], "a\n");
    }
    fds[2] = dial_from("127.0.0.2");
    CHECK_INT(rejects[REJECT_FULL], 1);
    CHECK_INT(is_closed(fds[2]), 1);
    close(fds[2]);
    fds[2] = dial_from("127.0.0.9");
    fds[3] = dial_from("127.0.0.9");
    CHECK_INT(rejects[REJECT_FULL], 1);
    CHECK_INT(listener.open, CONNECTIONS);
    /* A stranger does not displace a known one, but that may displace its like. */
    fds[4] = dial_from("127.0.0.2");
    CHECK_INT(rejects[REJECT_FULL], 2);
    CHECK_INT(rejects[REJECT_UNPROVEN], 0);
    close(fds[4]);
    fds[4] = dial_from("127.0.0.9");
    CHECK_INT(rejects[REJECT_UNPROVEN], 1);
    close_all(fds, CONNECTIONS + 1);
}

TEST(strangers_displace_strangers)
{
    int fds[5];

    setup(false);
    listener.reserved = 2;
    make_known("127.0.0.9");
    fds[0] = dial_from("127.0.0.1");
    fds[1] = dial_from("127.0.0.2");
    fds[2] = dial_from("127.0.0.3"); /* for one of the two, not a place more */
    CHECK_INT(asked_random, 2);
    CHECK_INT(listener.open, 2);
    CHECK_INT(rejects[REJECT_UNPROVEN], 1);
    /* The known ones have theirs, and a stranger's in need. */
    fds[3] = dial_from("127.0.0.9");
    fds[4] = dial_from("127.0.0.9");
    CHECK_INT(listener.open, 4);
    int more = dial_from("127.0.0.9");
    CHECK_INT(asked_random, 2);
    CHECK_INT(is_closed(fds[3]), 0);
    CHECK_INT(is_closed(fds[4]), 0);
    CHECK_INT(is_closed(more), 0);
    close(more);
    close_all(fds, 5);
}

TEST(all_places_cannot_be_reserved)
{
    setup(false);
    listener.reserved = 1000;
    int fd = dial();
    CHECK_INT(listener.open, 1);
    CHECK_INT(rejects[REJECT_FULL], 0);
    close(fd);
}

TEST(connections_per_peer_are_limited)
{
    int fds[5];

    setup(false);
    listener.per_peer = 2;
    for (int i = 0; i < 2; i++) {
        fds[i] = dial();
        say_str(fds[i], "a\n");
    }
    fds[2] = dial();
    CHECK_INT(listener.open, 2);
    CHECK_INT(rejects[REJECT_PEER_FULL], 1);
    fds[3] = dial_from("127.0.0.2");
    CHECK_INT(listener.open, 3);
    /* One that has proved nothing gives way to another from there. */
    close(fds[1]);
    turn(3);
    fds[1] = dial();
    fds[4] = dial();
    CHECK_INT(listener.open, 3);
    CHECK_INT(rejects[REJECT_PEER_FULL], 1);
    CHECK_INT(rejects[REJECT_UNPROVEN], 1);
    CHECK_INT(is_closed(fds[0]), 0);
    CHECK_INT(is_closed(fds[1]), 1);
    CHECK_INT(is_closed(fds[3]), 0);
    close_all(fds, 5);
}

/** The devices of a network share a /64. */
TEST(a_64_counts_as_one_until_its_hosts_have_proved_themselves)
{
    int fds[4];

    setup(false);
    listener.per_peer = 2;
    listen_on("::1", false);
    for (int i = 0; i < 2; i++) {
        fds[i] = dial_to("::1", "::1");
        connections[i].session.peer.ip[15] = (uint8_t)(10 + i);
    }
    fds[2] = dial_to("::1", "::1");
    CHECK_INT(listener.open, 2);
    CHECK_INT(rejects[REJECT_UNPROVEN], 1);
    connections[0].session.peer.ip[15] = 12;
    say_str(fds[1], "a\n");
    say_str(fds[2], "a\n");
    fds[3] = dial_to("::1", "::1");
    CHECK_INT(listener.open, 3);
    close_all(fds, 4);
}

TEST(an_address_connects_as_often_as_its_bucket_allows)
{
    int fd = -1;

    setup(false);
    proves = false;
    listener.per_peer = 8;
    for (int i = 0; i < ADMISSION_TOKENS + 5; i++) {
        fd = dial();
        close(fd);
        turn(3);
    }
    /* They said nothing, like a port scanner: the tokens are all that it cost. */
    CHECK_INT(rejects[REJECT_PEER_FAST], 5);
    CHECK_INT(opened, ADMISSION_TOKENS);
    close(dial_from("127.0.0.2"));
    turn(3);
    CHECK_INT(rejects[REJECT_PEER_FAST], 5);
    pass(ADMISSION_FULL_MS / ADMISSION_TOKENS);
    fd = dial();
    CHECK_INT(listener.open, 1);
    close(fd);
    turn(3);
    /* Without a limit there is none on new ones either. */
    listener.per_peer = 0;
    for (int i = 0; i < 5; i++) {
        close(dial());
        turn(3);
    }
    CHECK_INT(rejects[REJECT_PEER_FAST], 5);
}

static unsigned entered_before_refusal(const char *words, bool reads)
{
    setup(false);
    proves = false;
    listener.per_peer = 8;
    for (int i = 0; i < 100 && rejects[REJECT_PEER_FAST] == 0; i++) {
        int fd = dial();
        if (reads)
            (void)is_closed(fd);
        say_str(fd, words);
        close(fd);
        turn(5);
        fake.now_ms += ADMISSION_KNOWN_MS;
    }
    return opened;
}

TEST(an_address_that_fails_is_slowed)
{
    const unsigned failing = ADMISSION_TOKENS / (1 + ADMISSION_FAILURE);

    CHECK_INT(entered_before_refusal("", true), ADMISSION_TOKENS);
    CHECK_INT(entered_before_refusal("", false), ADMISSION_TOKENS); /* closed as a reset */
    CHECK_INT(entered_before_refusal("wrong\n", true), failing);
    CHECK_INT(entered_before_refusal("repeated\n", true), failing);
    CHECK_INT(entered_before_refusal("half", true), failing);
    /* One that proves itself is not. */
    CHECK_INT(entered_before_refusal("hello\n", true), 100);
}

/** With a key that it does not have: it connects, says something or nothing, and stays. */
static int attack_fds[64];
static unsigned attack_next;

static void attack_for(unsigned ms)
{
    static const char *const words[] = {"", "wrong\n", "half"};

    for (unsigned at = 0; at < ms; at += 10) {
        int *fd = &attack_fds[attack_next % 64];

        if (*fd > 0)
            close(*fd);
        *fd = dial();
        (void)send(*fd, words[attack_next % 3], strlen(words[attack_next % 3]), MSG_NOSIGNAL);
        attack_next++;
        turn(1);
        fake.now_ms += 10;
    }
}

static void end_attack(void)
{
    for (int i = 0; i < 64; i++) {
        if (attack_fds[i] > 0)
            close(attack_fds[i]);
        attack_fds[i] = 0;
    }
}

/** A beacon connects; its hello comes 20 ms later. Did it get in? */
static bool gets_in(const char *from)
{
    int fd = dial_from(from);

    attack_for(20);
    say_str(fd, "hello\n");
    const bool in = !is_closed(fd);
    close(fd);
    turn(3);
    return in;
}

TEST(a_hundred_connections_a_second_keep_nobody_else_out)
{
    unsigned in = 0;

    setup(false);
    proves = false;
    seed = 1;
    listener.per_peer = CONNECTIONS; /* so that they can take all places */
    attack_for(20000);
    CHECK(rejects[REJECT_PEER_FAST] > 1800);
    CHECK(loud_rejects >= 1);
    CHECK(loud_rejects <= 2); /* its address is named once a minute */
    for (int i = 0; i < 20; i++) {
        attack_for(1000);
        in += gets_in("127.0.0.2");
    }
    CHECK_INT(in, 20); /* at once, every time */
    end_attack();
}

/** Behind the same address it depends on chance, with a host there that has been here before. */
TEST(a_known_host_behind_the_same_address_gets_in)
{
    unsigned in = 0;

    setup(false);
    make_known("127.0.0.1");
    proves = false;
    seed = 1;
    listener.per_peer = CONNECTIONS;
    attack_for(20000);
    for (int i = 0; i < 20; i++) {
        bool once = false;

        for (int tries = 0; tries < 10 && !once; tries++) { /* in 2 s */
            attack_for(180);
            once = gets_in("127.0.0.1");
        }
        in += once;
    }
    CHECK_INT(in, 20);
    end_attack();
}

/* ---- Descriptors that another process has, too ---- */

static int copy_of_its_end(void)
{
    const int copy = dup(connections[0].stream.fd);

    CHECK(copy >= 0);
    return copy;
}

/** A process that has just been forked has all connections until it becomes another program: those that the hub closes meanwhile
 * stay ready. */
TEST(what_is_closed_is_not_watched_though_a_child_has_it)
{
    setup(false);
    int fd = dial(), copy = copy_of_its_end();
    say_str(fd, "one\n");
    close(fd);
    turn(3); /* the hub closes its end */
    CHECK_INT(listener.open, 0);
    turn(3);
    CHECK_INT(listener.open, 0);
    CHECK_INT(closed, 1);
    close(copy);
    fd = dial();
    copy = copy_of_its_end();
    allow = false;
    listener_recheck(&listener, false);
    turn(3); /* the hub refuses it */
    CHECK_INT(listener.open, 0);
    close(fd);
    turn(3);
    CHECK_INT(listener.open, 0);
    CHECK_INT(closed, 2);
    close(copy);
}

TEST_MAIN(cuts_lines, pairs_lines_with_signatures_wherever_they_are_split,
          a_long_second_line_is_given_as_it_is,
          signatures_are_expected_where_they_were_when_it_came,
          the_longest_line_passes_and_one_byte_more_does_not, closed_in_the_middle_of_a_line,
          rejection_resets_the_connection, what_a_sender_sent_before_it_closed_is_taken,
          large_and_small_lines_have_the_same_share, four_take_the_same_share_and_take_turns,
          a_busy_sender_does_not_delay_the_others, a_share_is_not_saved_up,
          what_is_left_is_served_in_the_next_turn, waiting_earns_no_share,
          a_deferred_line_is_offered_again,
          a_deferred_line_is_offered_after_a_while, waiting_connections_take_turns,
          a_line_is_deferred_for_a_bounded_time, a_deferred_connection_keeps_nothing_busy,
          a_deferred_connection_may_end, sends_what_is_due,
          a_welcome_and_a_refusal_are_said_before_the_next_unit,
          output_that_does_not_fit_is_sent_later_in_order,
          a_peer_that_reads_no_answers_keeps_nothing_busy,
          room_for_output_does_not_answer_before_the_journal,
          an_error_arrives_before_the_connection_closes,
          a_peer_that_does_not_close_after_an_error_is_closed,
          an_error_waits_for_the_output_before_it, sessions_can_end_others,
          a_deferred_session_that_was_ended_keeps_nothing_busy,
          incomplete_line_times_out, a_complete_unit_that_waits_does_not_time_out,
          idle_connection_is_shut_down_but_still_read,
          idle_sender_of_the_link_sends_again_what_is_discarded,
          draining_reads_sent_data_and_ends_in_time,
          a_hello_that_comes_after_the_drain_is_not_served, closing_releases_all, disallowed_peers,
          one_connection_too_many, a_connection_proves_itself_in_time_or_ends,
          a_flood_proves_nothing, a_stalled_hub_does_not_blame_a_beacon,
          a_deferred_unit_may_prove_its_sender, a_line_without_signature_is_named,
          an_unproven_connection_is_evicted_at_random, a_session_that_is_over_gives_way, reserved_places_are_for_known_addresses,
          strangers_displace_strangers, all_places_cannot_be_reserved,
          connections_per_peer_are_limited,
          a_64_counts_as_one_until_its_hosts_have_proved_themselves,
          an_address_connects_as_often_as_its_bucket_allows, an_address_that_fails_is_slowed,
          a_hundred_connections_a_second_keep_nobody_else_out,
          a_known_host_behind_the_same_address_gets_in, what_is_closed_is_not_watched_though_a_child_has_it)
