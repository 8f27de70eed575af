/* What the benchmarks need in C: made-up signed events, their HMACs alone, a sender, a stopwatch
 * for reactions.
 *
 *   bench hmac  KEYFILE COUNT            compute the HMAC of COUNT events, nothing else
 *   bench load  KEYFILE PORT COUNT       send COUNT signed events to 127.0.0.1, wait until the hub
 * has taken them all bench react KEYFILE PORT COUNT FIFO  send COUNT events one by one; each time,
 * wait for the byte that the action writes bench lines KEYFILE COUNT            print COUNT events
 * with their signatures bench bytes KEYFILE 0                mean length of an event bench start
 * COMMAND…                 microseconds until the program says its first line on stderr; then
 * SIGTERM bench cpu   PID                      CPU time of a process so far, in nanoseconds
 *
 * hmac prints "NS_CPU NS_WALL" for each event, load prints NS_WALL for each event, react one line
 * of microseconds for each. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "nefia/mac.h"
#include "nefia/text.h"

#define EVENTS 4096 /* different ones; sent over and over */
#define HOSTS 64
#define EVENT_ROOM 2048

static char line[EVENTS][EVENT_ROOM];
static size_t line_len[EVENTS];
static char hex[EVENTS][MAC_HEX];

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

/** Like those of beacons: three kinds from many hosts. */
static void make_events(const struct mac_key *key)
{
    static const char *const types[][2] = {{"disk.usage", "disk-beacon"},
                                           {"service.status", "service-beacon"},
                                           {"script.result", "script-beacon"}};
    static const char *const severities[] = {"info", "warning"};
    char data[EVENT_ROOM];

    for (int i = 0; i < EVENTS; i++) {
        put_data(data, sizeof data, i);
        int n = snprintf(line[i], EVENT_ROOM,
                         "{\"type\":\"%s\",\"source\":\"%s\",\"host_id\":\"site-%02d-gw\","
                         "\"timestamp\":\"2026-03-10T15:%02d:%02dZ\",\"severity\":\"%s\",\"data\":%"
                         "s,\"seq\":%d,\"boot\":3,"
                         "\"uptime_ms\":%d,\"clock\":\"synced\"}",
                         types[i % 3][0], types[i % 3][1], i / 3 % HOSTS, i / 60 % 60, i % 60,
                         severities[i % 2], data, i + 1, 5000000 + i * 1000);
        if (n >= EVENT_ROOM)
            die("event");
        line_len[i] = (size_t)n;
        mac_sign_hex(key, line[i], (size_t)n, hex[i]);
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

/** All events one after the other as they go on the wire. */
static char *wire(size_t *len, size_t end[EVENTS])
{
    char *all = malloc((size_t)EVENTS * (EVENT_ROOM + MAC_HEX + 2));

    if (!all)
        die("malloc");
    *len = 0;
    for (int i = 0; i < EVENTS; i++) {
        memcpy(all + *len, line[i], line_len[i]);
        *len += line_len[i];
        all[(*len)++] = '\n';
        memcpy(all + *len, hex[i], MAC_HEX);
        *len += MAC_HEX;
        all[(*len)++] = '\n';
        end[i] = *len;
    }
    return all;
}

static void load(int port, long count)
{
    static size_t end[EVENTS];
    size_t len;
    char *all = wire(&len, end), byte;
    int fd = connect_to(port);
    long long began = now_ns(CLOCK_MONOTONIC);

    for (long left = count; left > 0; left -= EVENTS)
        send_all(fd, all, left >= EVENTS ? len : end[left - 1]);
    shutdown(fd, SHUT_WR);
    /* The hub closes when it has taken the last one. */
    if (recv(fd, &byte, 1, 0) != 0)
        die("the hub closed early");
    printf("%lld\n", (now_ns(CLOCK_MONOTONIC) - began) / count);
}

static void react(int port, long count, const char *fifo)
{
    static size_t end[EVENTS];
    size_t len;
    const char *all = wire(&len, end);
    int fd = connect_to(port), in = open(fifo, O_RDWR | O_NONBLOCK);

    if (in < 0)
        die(fifo);
    for (long i = 0; i < count; i++) {
        size_t at = i % EVENTS ? end[i % EVENTS - 1] : 0;
        struct pollfd p = {.fd = in, .events = POLLIN};
        char buf[16];
        long long began = now_ns(CLOCK_MONOTONIC);
        send_all(fd, all + at, end[i % EVENTS] - at);
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
        load(atoi(argv[3]), atol(argv[4]));
    else if (strcmp(argv[1], "react") == 0 && argc == 6)
        react(atoi(argv[3]), atol(argv[4]), argv[5]);
    else
        return 2;
    return 0;
}
