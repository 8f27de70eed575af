/* What the benchmarks need in C: made-up signed events, their HMACs alone, a sender, a stopwatch
 * for reactions.
 *
 *   bench hmac  KEYFILE COUNT
 *       compute the HMAC of COUNT events, nothing else: "NS_CPU NS_WALL" for each
 *   bench load  KEYFILE PORT COUNT
 *       send COUNT signed events to 127.0.0.1, wait until the hub has taken them all: NS_WALL for each
 *   bench acked KEYFILE PORT COUNT CONNECTIONS
 *       the same over the link, over so many connections, until all are acknowledged
 *   bench mqtt  KEYFILE PORT COUNT CONNECTIONS
 *       the same events, unsigned, to an MQTT broker with QoS 1, until all are acknowledged
 *   bench react KEYFILE PORT COUNT FIFO
 *       send COUNT events one by one; each time, wait for the byte that the action writes: microseconds
 *   bench lines KEYFILE COUNT
 *       print COUNT events with their signatures
 *   bench bytes KEYFILE 0
 *       mean length of an event
 *   bench start COMMAND…
 *       microseconds until the program writes its first line to stderr; then SIGTERM
 *   bench cpu PID
 *       CPU time of a process so far, in nanoseconds
 *   bench doze MS
 *       wake up at this interval and do nothing, until it is killed
 *
 * No event occurs twice, within a run or across runs: the hub would drop it as a duplicate. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "nefia/base/text.h"
#include "nefia/crypto/mac.h"
#include "nefia/link/link.h"

#define EVENTS 4096 /* stored, to compute their HMACs repeatedly */
#define HOSTS 64
#define EVENT_ROOM 2048

static char line[EVENTS][EVENT_ROOM];
static size_t line_len[EVENTS];
static char hex[EVENTS][MAC_HEX];
static long long boot; /* of this run */

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static long long now_ns(clockid_t clock)
{
    struct timespec ts;

    clock_gettime(clock, &ts);
    return ts.tv_sec * 1000000000LL + ts.tv_nsec;
}

/** The data of event i: disk usage, a service's state, or a script with some output, in turn. */
static void put_data(char *to, size_t cap, int i)
{
    int n, lines = i / 3 % 24;

    if (i % 3 == 0) {
        snprintf(to, cap,
                 "{\"path\":\"/var/log/"
                 "%d\",\"used_percent\":\"%d.%d\",\"total_bytes\":%d,\"free_bytes\":%d}",
                 i, 50 + i % 50, i % 10, 1000000000 + i, 90000000 + i * 7);
        return;
    }
    if (i % 3 == 1) {
        snprintf(to, cap,
                 "{\"service\":\"unit-%d\",\"state\":\"failed\",\"previous_state\":\"active\"}", i);
        return;
    }
    n = snprintf(to, cap, "{\"name\":\"check-%d\",\"exit_code\":%d,\"output\":\"", i, i % 4);
    for (int l = 0; l < lines; l++)
        n += snprintf(to + n, cap - (size_t)n, "the certificate of host-%d ends in %d days\\n", l,
                      l * i % 400);
    snprintf(to + n, cap - (size_t)n, "\",\"duration_ms\":%d}", i % 3000);
}

/** Like those of beacons: three kinds from many hosts. Return: the length of event i. */
static size_t make_event(char *to, size_t cap, int i)
{
    static const char *const types[][2] = {{"disk.usage", "disk-beacon"},
                                           {"service.status", "service-beacon"},
                                           {"script.result", "script-beacon"}};
    static const char *const severities[] = {"info", "warning"};
    char data[EVENT_ROOM];

    put_data(data, sizeof data, i % EVENTS);
    int n = snprintf(to, cap,
                     "{\"type\":\"%s\",\"source\":\"%s\",\"host_id\":\"site-%02d-gw\","
                     "\"timestamp\":\"2026-03-10T15:%02d:%02dZ\",\"severity\":\"%s\",\"data\":%"
                     "s,\"seq\":%d,\"boot\":%lld,"
                     "\"uptime_ms\":%d,\"clock\":\"synced\"}",
                     types[i % 3][0], types[i % 3][1], i / 3 % HOSTS, i / 60 % 60, i % 60,
                     severities[i % 2], data, i + 1, boot, 5000000 + i % EVENTS * 1000);
    if (n >= (int)cap)
        die("event");
    return (size_t)n;
}

static void make_events(const struct mac_key *key)
{
    boot = now_ns(CLOCK_REALTIME) / 1000000000;
    for (int i = 0; i < EVENTS; i++) {
        line_len[i] = make_event(line[i], EVENT_ROOM, i);
        mac_sign_hex(key, line[i], line_len[i], hex[i]);
    }
}

static long mean_bytes(void)
{
    size_t sum = 0;

    for (int i = 0; i < EVENTS; i++)
        sum += line_len[i];
    return (long)(sum / EVENTS);
}

static void hmac_only(const struct mac_key *key, long count)
{
    long long cpu = now_ns(CLOCK_PROCESS_CPUTIME_ID), wall = now_ns(CLOCK_MONOTONIC);
    long wrong = 0;

    for (long i = 0; i < count; i++) {
        uint8_t mac[MAC_BYTES];
        mac_sign(key, line[i % EVENTS], line_len[i % EVENTS], mac);
        wrong += mac[0] == 0 && mac[1] == 0 && mac[2] == 0 && mac[3] == 0;
    }
    if (wrong > count / 2)
        die("HMAC");
    printf("%lld %lld\n", (now_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu) / count,
           (now_ns(CLOCK_MONOTONIC) - wall) / count);
}

static int connect_to(int port)
{
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((unsigned short)port),
                             .sin_addr.s_addr = htonl(0x7f000001)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof to) < 0)
        die("connect");
    return fd;
}

static void send_all(int fd, const char *s, size_t len)
{
    while (len > 0) {
        ssize_t n = send(fd, s, len, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            die("send");
        s += n;
        len -= (size_t)n;
    }
}

/** The next event, signed, in wire format. Return: its length. */
static size_t wire_event(const struct mac_key *key, char *to, long i)
{
    size_t len = make_event(to, EVENT_ROOM, (int)i);

    to[len] = '\n';
    mac_sign_hex(key, to, len, to + len + 1);
    to[len + 1 + MAC_HEX] = '\n';
    return len + MAC_HEX + 2;
}

/** Wait for the hub to close, ignoring its output. */
static void wait_for_end(int fd)
{
    char said[512];
    ssize_t n;

    while ((n = recv(fd, said, sizeof said, 0)) > 0)
        ;
    if (n < 0)
        die("the hub closed early");
}

static void load(const struct mac_key *key, int port, long count)
{
    char *all = malloc((size_t)count * 1024 + EVENT_ROOM + MAC_HEX + 2);
    size_t len = 0;

    if (!all)
        die("malloc");
    for (long i = 0; i < count; i++)
        len += wire_event(key, all + len, i);
    int fd = connect_to(port);
    long long began = now_ns(CLOCK_MONOTONIC);
    send_all(fd, all, len);
    shutdown(fd, SHUT_WR);
    wait_for_end(fd);
    printf("%lld\n", (now_ns(CLOCK_MONOTONIC) - began) / count);
}

/* ---- acknowledged ---- */

enum { MOST_CONNECTIONS = 64, WINDOW = 32 };

struct sender {
    int fd;
    struct link link;
    char said[1024];
    size_t said_len;
    long sent, acked, count; /* events; count: to be sent */
    int host;
};

/** Answer the greeting. */
static void say_hello(struct sender *s, const struct mac_key *key, struct slice greeting)
{
    static char out[LINK_HELLO_MAX + MAC_HEX + 3];
    struct link_hello hello = {.boot = (uint64_t)boot % LINK_BOOT_END};
    struct text t;

    if (link_beacon_greeting(&s->link, greeting) < 0)
        die("greeting");
    snprintf(hello.host_id, sizeof hello.host_id, "site-%02d-gw", s->host);
    memset(hello.nonce, s->host, sizeof hello.nonce);
    text_init(&t, out, sizeof out);
    link_beacon_hello(&s->link, key, &hello, 0, &t);
    send_all(s->fd, out, t.len);
}

/** Read the hub's output. */
static void listen_to(struct sender *s, const struct mac_key *key)
{
    ssize_t n = recv(s->fd, s->said + s->said_len, sizeof s->said - s->said_len, 0);
    struct link_message m;
    struct link_unit u;
    const char *why;
    size_t at = 0;
    long len;

    if (n <= 0)
        die("the hub closed early");
    s->said_len += (size_t)n;
    while ((len = link_cut(s->said + at, s->said_len - at, LINK_LINE_MAX,
                           s->link.state != LINK_NEW, &u)) > 0) {
        at += (size_t)len;
        if (s->link.state == LINK_NEW)
            say_hello(s, key, u.line);
        else if (link_beacon_line(&s->link, &u, &m, NULL, &why) < 0 || m.kind == LINK_ERROR)
            die(m.kind == LINK_ERROR ? m.reason : why);
        else if (m.kind == LINK_ACK)
            s->acked = (long)m.line - 1; /* the hello is line 1 */
    }
    s->said_len -= at;
    memmove(s->said, s->said + at, s->said_len);
}

/** As many as the window allows, in one piece. */
static void send_window(struct sender *s)
{
    static char out[WINDOW * (EVENT_ROOM + 256)];
    size_t len = 0;

    for (; s->sent < s->count && s->sent - s->acked < WINDOW; s->sent++) {
        char *to = out + len;
        size_t n = make_event(to, EVENT_ROOM, (int)s->sent);
        char *host = strstr(to, "site-");
        host[5] = (char)('0' + s->host / 10); /* one host per connection */
        host[6] = (char)('0' + s->host % 10);
        len += link_beacon_end(&s->link, to, n);
    }
    if (len > 0)
        send_all(s->fd, out, len);
}

/* ---- MQTT 3.1.1 (OASIS, 2014), QoS 1: the same events to a broker, to compare with ---- */

/** A packet's remaining length: seven bits a byte, the lowest first (section 2.2.3). */
static size_t put_remaining(char *to, size_t len)
{
    size_t n = 0;

    do {
        to[n++] = (char)(len % 128 | (len > 127 ? 128 : 0));
        len /= 128;
    } while (len > 0);
    return n;
}

static size_t put_word(char *to, const char *word)
{
    size_t len = strlen(word);

    to[0] = (char)(len >> 8);
    to[1] = (char)len;
    memcpy(to + 2, word, len);
    return len + 2;
}

/** CONNECT: a clean session, kept alive for 60 s. */
static void mqtt_connect(const struct sender *s)
{
    static const char head[] = {0, 4, 'M', 'Q', 'T', 'T', 4, 2, 0, 60};
    char client[16], out[64];
    size_t len;

    snprintf(client, sizeof client, "site-%02d-gw", s->host);
    out[0] = 0x10;
    len = 1 + put_remaining(out + 1, sizeof head + 2 + strlen(client));
    memcpy(out + len, head, sizeof head);
    len += sizeof head;
    len += put_word(out + len, client);
    send_all(s->fd, out, len);
}

/** PUBLISH event i. */
static size_t mqtt_publish(const struct sender *s, char *to, long i)
{
    char event[EVENT_ROOM], topic[32];
    size_t event_len = make_event(event, sizeof event, (int)i), len;

    snprintf(topic, sizeof topic, "events/site-%02d-gw", s->host);
    to[0] = 0x32;
    len = 1 + put_remaining(to + 1, 2 + strlen(topic) + 2 + event_len);
    len += put_word(to + len, topic);
    to[len++] = (char)((i % WINDOW + 1) >> 8); /* its number, of those in flight */
    to[len++] = (char)(i % WINDOW + 1);
    memcpy(to + len, event, event_len);
    return len + event_len;
}

/** CONNACK, then a PUBACK for each event: four bytes each. */
static void mqtt_listen(struct sender *s)
{
    ssize_t n = recv(s->fd, s->said + s->said_len, sizeof s->said - s->said_len, 0);
    size_t at = 0;

    if (n <= 0)
        die("the broker closed early");
    for (s->said_len += (size_t)n; at + 4 <= s->said_len; at += 4) {
        const unsigned char kind = (unsigned char)s->said[at];
        if (kind == 0x20 && s->said[at + 3] == 0)
            s->link.state = LINK_OPEN;
        else if (kind == 0x40)
            s->acked++;
        else
            die("the broker says something else");
    }
    s->said_len -= at;
    memmove(s->said, s->said + at, s->said_len);
}

static void mqtt_window(struct sender *s)
{
    static char out[WINDOW * (EVENT_ROOM + 256)];
    size_t len = 0;

    for (; s->sent < s->count && s->sent - s->acked < WINDOW; s->sent++)
        len += mqtt_publish(s, out + len, s->sent);
    if (len > 0)
        send_all(s->fd, out, len);
}

/** What is sent is acknowledged by the hub, or by a broker. */
static void acked(const struct mac_key *key, int port, long count, int connections, bool mqtt)
{
    static struct sender senders[MOST_CONNECTIONS];
    struct pollfd fds[MOST_CONNECTIONS];

    if (connections < 1 || connections > MOST_CONNECTIONS)
        die("connections");
    for (int i = 0; i < connections; i++) {
        senders[i] =
            (struct sender){.fd = connect_to(port), .count = count / connections, .host = i};
        link_init(&senders[i].link, true, 0);
        if (mqtt)
            mqtt_connect(&senders[i]);
        fds[i] = (struct pollfd){.fd = senders[i].fd, .events = POLLIN};
    }
    long long began = now_ns(CLOCK_MONOTONIC);
    for (int left = connections; left > 0;) {
        if (poll(fds, (nfds_t)connections, 10000) < 1)
            die("no acknowledgement");
        for (int i = 0; i < connections; i++) {
            struct sender *s = &senders[i];

            if (!(fds[i].revents & (POLLIN | POLLERR | POLLHUP)))
                continue;
            if (mqtt)
                mqtt_listen(s);
            else
                listen_to(s, key);
            if (s->link.state == LINK_OPEN && mqtt)
                mqtt_window(s);
            else if (s->link.state == LINK_OPEN)
                send_window(s);
            if (s->acked == s->count) {
                fds[i].fd = -1;
                left--;
            }
        }
    }
    printf("%lld\n", (now_ns(CLOCK_MONOTONIC) - began) / count);
}

static void react(const struct mac_key *key, int port, long count, const char *fifo)
{
    static char out[EVENT_ROOM + MAC_HEX + 2];
    int fd = connect_to(port), in = open(fifo, O_RDWR | O_NONBLOCK);

    if (in < 0)
        die(fifo);
    for (long i = 0; i < count; i++) {
        struct pollfd p = {.fd = in, .events = POLLIN};
        char buf[16];
        size_t len = wire_event(key, out, i);
        long long began = now_ns(CLOCK_MONOTONIC);
        send_all(fd, out, len);
        if (poll(&p, 1, 5000) != 1)
            die("no reaction");
        printf("%lld\n", (now_ns(CLOCK_MONOTONIC) - began) / 1000);
        (void)!read(in, buf, sizeof buf);
        usleep(5000 + (unsigned)(i % 7) * 1000);
    }
}

static void print_lines(long count)
{
    for (long i = 0; i < count; i++)
        printf("%.*s\n%.64s\n", (int)line_len[i % EVENTS], line[i % EVENTS], hex[i % EVENTS]);
}

static void print_cpu(const char *pid)
{
    char path[64];
    unsigned long long ns;
    FILE *f;

    snprintf(path, sizeof path, "/proc/%s/schedstat", pid);
    f = fopen(path, "r");
    if (!f || fscanf(f, "%llu", &ns) != 1)
        die(path);
    printf("%llu\n", ns);
}

static void start(char **command)
{
    int ends[2];
    char c;

    if (pipe(ends) < 0)
        die("pipe");
    long long began = now_ns(CLOCK_MONOTONIC);
    pid_t pid = fork();
    if (pid == 0) {
        dup2(ends[1], STDERR_FILENO);
        execv(command[0], command);
        _exit(127);
    }
    close(ends[1]);
    do
        if (read(ends[0], &c, 1) != 1)
            die(command[0]);
    while (c != '\n');
    printf("%lld\n", (now_ns(CLOCK_MONOTONIC) - began) / 1000);
    kill(pid, SIGTERM);
    waitpid(pid, NULL, 0);
}

static void doze(int ms)
{
    const int epoll = epoll_create1(0);
    struct epoll_event none;

    while (epoll_wait(epoll, &none, 1, ms) == 0 || errno == EINTR)
        ;
    die("epoll_wait");
}

int main(int argc, char **argv)
{
    struct mac_key key;
    char why_buf[256];
    struct text why;

    text_init(&why, why_buf, sizeof why_buf);
    if (argc == 3 && strcmp(argv[1], "cpu") == 0) {
        print_cpu(argv[2]);
        return 0;
    }
    if (argc == 3 && strcmp(argv[1], "doze") == 0)
        doze(atoi(argv[2]));
    if (argc >= 3 && strcmp(argv[1], "start") == 0) {
        start(argv + 2);
        return 0;
    }
    if (argc < 4 || mac_key_load(&key, argv[2], &why) < 0) {
        fprintf(stderr, "bench: %s\n", argc < 4 ? "see the top of bench.c" : why.buf);
        return 2;
    }
    make_events(&key);
    if (strcmp(argv[1], "hmac") == 0)
        hmac_only(&key, atol(argv[3]));
    else if (strcmp(argv[1], "bytes") == 0)
        printf("%ld\n", mean_bytes());
    else if (strcmp(argv[1], "lines") == 0)
        print_lines(atol(argv[3]));
    else if (strcmp(argv[1], "load") == 0 && argc == 5)
        load(&key, atoi(argv[3]), atol(argv[4]));
    else if (strcmp(argv[1], "acked") == 0 && argc == 6)
        acked(&key, atoi(argv[3]), atol(argv[4]), atoi(argv[5]), false);
    else if (strcmp(argv[1], "mqtt") == 0 && argc == 6)
        acked(&key, atoi(argv[3]), atol(argv[4]), atoi(argv[5]), true);
    else if (strcmp(argv[1], "react") == 0 && argc == 6)
        react(&key, atoi(argv[3]), atol(argv[4]), argv[5]);
    else
        return 2;
    return 0;
}
