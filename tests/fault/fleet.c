/* A fleet reconnecting at once: beacons simulated at the level of their events, each with some in its spool,
 * the backoff of the real one (src/beacon/uplink.c) and real connections, as many at a time as the
 * hub accepts.
 *
 *   fleet KEYFILE PORT BEACONS EVENTS SECONDS SEED
 *
 * Prints, as one line of JSON, how long it took until half, nearly all and all of them had
 * everything acknowledged, and how often they were rejected. Exit status 1 if for SECONDS, more
 * than the longest wait of a beacon, not one more was done. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "nefia/base/text.h"
#include "nefia/crypto/mac.h"
#include "nefia/link/link.h"

enum {
    AT_ONCE = 800, /* connections this program may have open */
    LINE = 640,
    WAIT_LEAST_MS = 1000,
    WAIT_FIRST_MS = 2000,
    WAIT_MOST_MS = 5 * 60 * 1000,
    GREETING_MS = 10 * 1000,
};

enum state { WAITING, CONNECTING, GREETED, SENT, DONE };

struct beacon {
    enum state state;
    int slot;         /* of its connection; -1: none */
    unsigned attempts;
    long long at_ms;  /* time of its next attempt, or of its time-out */
};

struct slot {
    struct beacon *beacon; /* null: free */
    struct link link;
    char said[2048];
    size_t len;
};

static struct mac_key key;
static struct beacon *beacons;
static struct slot slots[AT_ONCE];
static struct pollfd fds[AT_ONCE];
static int port, count, events;
static long long refused, connects;
static uint64_t chance;

static long long now_ms(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return ts.tv_sec * 1000LL + ts.tv_nsec / 1000000;
}

/** xorshift64. */
static long long random_below(long long n)
{
    chance ^= chance << 13;
    chance ^= chance >> 7;
    chance ^= chance << 17;
    return (long long)(chance % (uint64_t)n);
}

static void leave(struct beacon *b)
{
    if (b->slot < 0)
        return;
    close(fds[b->slot].fd);
    fds[b->slot].fd = -1;
    slots[b->slot].beacon = NULL;
    b->slot = -1;
}

static void wait_again(struct beacon *b)
{
    long long most = b->attempts < 8 ? (long long)WAIT_FIRST_MS << b->attempts : WAIT_MOST_MS;

    leave(b);
    refused++;
    b->attempts++;
    b->state = WAITING;
    b->at_ms = now_ms() + WAIT_LEAST_MS +
               random_below((most < WAIT_MOST_MS ? most : WAIT_MOST_MS) - WAIT_LEAST_MS + 1);
}

static void dial(struct beacon *b, int slot)
{
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((unsigned short)port),
                             .sin_addr.s_addr = htonl(0x7f000001)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    b->slot = slot;
    slots[slot] = (struct slot){.beacon = b};
    link_init(&slots[slot].link, true, 0);
    fds[slot] = (struct pollfd){.fd = fd, .events = POLLIN};
    b->state = CONNECTING;
    b->at_ms = now_ms() + GREETING_MS;
    connects++;
    if (fd < 0 || (connect(fd, (struct sockaddr *)&to, sizeof to) < 0 && errno != EINPROGRESS))
        wait_again(b);
}

/** Answer the greeting. */
static void say_hello(struct beacon *b, struct slice greeting)
{
    static char out[LINK_HELLO_MAX + MAC_HEX + 3];
    struct link_hello hello = {.boot = 7};
    struct text t;

    text_init(&t, out, sizeof out);
    snprintf(hello.host_id, sizeof hello.host_id, "router-%05d", (int)(b - beacons));
    for (size_t i = 0; i < sizeof hello.nonce; i++)
        hello.nonce[i] = (uint8_t)random_below(256);
    if (link_beacon_greeting(&slots[b->slot].link, greeting) == 0)
        link_beacon_hello(&slots[b->slot].link, &key, &hello, 0, &t);
    if (t.len == 0 || send(fds[b->slot].fd, out, t.len, MSG_NOSIGNAL) != (ssize_t)t.len)
        wait_again(b);
    else
        b->state = GREETED;
}

/** All its events, in one piece. */
static void send_all(struct beacon *b)
{
    static char out[32 * LINE];
    size_t len = 0;

    for (int i = 1; i <= events; i++) {
        char *line = out + len;
        int n = snprintf(line, LINE,
                         "{\"type\":\"disk.usage\",\"source\":\"disk-beacon\",\"host_id\":\"router-%05d\","
                         "\"timestamp\":\"2026-03-10T15:30:00Z\",\"severity\":\"%s\",\"data\":{\"path\":"
                         "\"/overlay\",\"used_percent\":\"91.5\",\"n\":%d},\"seq\":%d,\"boot\":7}",
                         (int)(b - beacons), i % 4 ? "warning" : "critical", i, i);
        len += link_beacon_end(&slots[b->slot].link, line, (size_t)n);
    }
    if (send(fds[b->slot].fd, out, len, MSG_NOSIGNAL) != (ssize_t)len)
        wait_again(b);
    else
        b->state = SENT;
}

/** Handle one unit of the hub. */
static void take(struct beacon *b, const struct link_unit *u)
{
    struct link *l = &slots[b->slot].link;
    struct link_message m;
    const char *why;

    if (l->state == LINK_NEW) {
        say_hello(b, u->line);
        return;
    }
    if (link_beacon_line(l, u, &m, NULL, &why) < 0 || m.kind == LINK_ERROR) {
        wait_again(b);
        return;
    }
    if (m.kind == LINK_WELCOME)
        send_all(b);
    if (b->state == SENT && m.kind == LINK_ACK && m.line == l->lines_out) {
        leave(b);
        b->state = DONE;
    }
}

/** Read the hub's output. */
static void listen_to(struct slot *s)
{
    struct beacon *b = s->beacon;
    ssize_t n = recv(fds[b->slot].fd, s->said + s->len, sizeof s->said - s->len, 0);
    struct link_unit u;
    size_t at = 0;
    long len;

    if (n <= 0) {
        if (n == 0 || (errno != EAGAIN && errno != EINTR))
            wait_again(b);
        return;
    }
    s->len += (size_t)n;
    while (s->beacon == b && (len = link_cut(s->said + at, s->len - at, LINK_LINE_MAX,
                                             s->link.state != LINK_NEW, &u)) > 0) {
        at += (size_t)len;
        take(b, &u);
    }
    if (s->beacon != b)
        return;
    s->len -= at;
    memmove(s->said, s->said + at, s->len);
}

/** Start due attempts, as far as there are connections. Return: time of the next one. */
static long long dial_due(void)
{
    static int from;
    long long now = now_ms(), next = now + 1000;
    int slot = 0;

    for (int i = 0; i < count; i++) {
        struct beacon *b = &beacons[(from + i) % count];

        if (b->state == DONE)
            continue;
        if (b->state != WAITING) {
            if (b->at_ms <= now)
                wait_again(b);
            continue;
        }
        if (b->at_ms > now) {
            next = b->at_ms < next ? b->at_ms : next;
            continue;
        }
        while (slot < AT_ONCE && slots[slot].beacon)
            slot++;
        if (slot == AT_ONCE) {
            from = (from + i) % count;
            return now + 1;
        }
        dial(b, slot);
    }
    return next;
}

static int done_count(void)
{
    int n = 0;

    for (int i = 0; i < count; i++)
        n += beacons[i].state == DONE;
    return n;
}

int main(int argc, char **argv)
{
    char why_buf[256];
    struct text why;

    text_init(&why, why_buf, sizeof why_buf);
    if (argc != 7 || mac_key_load(&key, argv[1], &why) < 0) {
        fprintf(stderr, "fleet: %s\n", argc != 7 ? "see the top of fleet.c" : why.buf);
        return 2;
    }
    port = atoi(argv[2]);
    count = atoi(argv[3]);
    events = atoi(argv[4]);
    chance = strtoull(argv[6], NULL, 10) | 1;
    beacons = calloc((size_t)count, sizeof *beacons);
    if (!beacons || events < 1 || events > 32)
        return 2;
    for (int i = 0; i < AT_ONCE; i++)
        fds[i].fd = -1;
    for (int i = 0; i < count; i++)
        beacons[i].slot = -1;
    long long began = now_ms(), half = 0, nearly = 0, progress = began;
    int done = 0;
    while (done < count && now_ms() < progress + atoi(argv[5]) * 1000LL) {
        int before = done;
        long long next = dial_due() - now_ms();
        if (poll(fds, AT_ONCE, next < 0 ? 0 : (int)next) > 0)
            for (int i = 0; i < AT_ONCE; i++)
                if (slots[i].beacon && fds[i].revents)
                    listen_to(&slots[i]);
        done = done_count();
        if (done > before)
            progress = now_ms();
        if (!half && done * 2 >= count)
            half = now_ms() - began;
        if (!nearly && done * 100LL >= count * 99LL)
            nearly = now_ms() - began;
    }
    printf("{\"beacons\":%d,\"events\":%d,\"done\":%d,\"half_ms\":%lld,\"nearly_ms\":%lld,\"all_ms\":%lld,"
           "\"connects\":%lld,\"turned_away\":%lld}\n",
           count, events, done, half, nearly, now_ms() - began, connects, refused);
    return done < count;
}
