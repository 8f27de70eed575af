/* Arbitrary bytes from a client of the control socket: each line of the response is JSON, the last one
 * carries the result, and the client's slot is free again. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "nefia/control/control.h"
#include "nefia/base/err.h"
#include "nefia/json/json.h"

#define MUST(condition)                                                                            \
    do {                                                                                           \
        if (!(condition))                                                                          \
            __builtin_trap();                                                                      \
    } while (0)

enum { TOKENS = 64, TURNS = 1000 };

static struct loop loop;
static struct epoll_event found[4];
static struct clock_fake fake;
static struct control_server server;
static struct control_client client;
static char path[64];
static char heard[4 * CONFIG_CONTROL_LINE_BYTES];

static int begin_echo(void *arg, struct control_cursor *c, const char *args, struct text *why)
{
    (void)arg;
    c->seq = strlen(args);
    text_str(why, args);
    return c->seq % 2 ? NEFIA_EINVAL : 0;
}

static int produce_echo(void *arg, struct control_cursor *c, struct text *out)
{
    struct json_writer w;

    (void)arg;
    json_begin(&w, out);
    json_object(&w, NULL);
    json_put_u64(&w, "len", c->seq);
    json_end_object(&w);
    return c->step++ < 3 ? 1 : 0;
}

static int produce_never(void *arg, struct control_cursor *c, struct text *out)
{
    (void)arg, (void)c, (void)out;
    return NEFIA_EAGAIN;
}

static const struct control_verb verbs[] = {
    {.name = "echo", .begin = begin_echo, .produce = produce_echo},
    {.name = "status", .produce = produce_echo},
    {.name = "follow", .produce = produce_never},
    {.name = NULL},
};

static void remove_socket(void)
{
    control_close(&server);
    *strrchr(path, '/') = '\0';
    rmdir(path);
}

static void open_once(void)
{
    char message[256];
    struct text why;

    if (server.loop)
        return;
    memcpy(path, "/tmp/control-fuzz-XXXXXX", 25);
    MUST(mkdtemp(path) != NULL);
    strcat(path, "/s");
    clock_fake_init(&fake, 1, 0);
    if (loop.clock)
        loop_end(&loop);
    loop_init(&loop, &fake.clock, found, 4);
    text_init(&why, message, sizeof message);
    MUST(control_open(&server, &loop, path, &client, 1, verbs, NULL, &why) == 0);
    atexit(remove_socket);
}

static int connect_client(void)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    memcpy(a.sun_path, path, strlen(path));
    MUST(fd >= 0 && connect(fd, (struct sockaddr *)&a, sizeof a) == 0);
    return fd;
}

/** Send everything and read the whole response. Return: its length. */
static size_t talk(int fd, const unsigned char *data, size_t size)
{
    size_t sent = 0, len = 0;

    for (int i = 0; i < TURNS; i++) {
        ssize_t n = send(fd, data + sent, size - sent, MSG_NOSIGNAL);
        sent += n > 0 ? (size_t)n : 0;
        if (sent == size)
            shutdown(fd, SHUT_WR);
        loop_turn(&loop, 0);
        n = recv(fd, heard + len, sizeof heard - len, 0);
        len += n > 0 ? (size_t)n : 0;
        if (n == 0 || (n < 0 && errno != EAGAIN))
            return len;
    }
    return len;
}

static void check_answer(size_t len)
{
    struct json_token tokens[TOKENS];
    struct json_doc d;

    for (size_t at = 0; at < len;) {
        char *newline = memchr(heard + at, '\n', len - at);
        MUST(newline != NULL);
        size_t line = (size_t)(newline - heard) - at;
        MUST(json_parse(&d, heard + at, line, tokens, TOKENS, 8, NULL) == 0);
        at += line + 1;
        MUST((json_member(&d, 0, "exit") > 0) == (at == len));
    }
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);
int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    open_once();
    int fd = connect_client();
    size_t len = talk(fd, data, size);
    bool follows = client.server && client.state == CONTROL_WAITING;
    close(fd);
    loop_turn(&loop, 0);
    loop_turn(&loop, 0);
    MUST(loop.watches == 1 && !client.server);
    MUST(follows || len > 0 || memchr(data, '\n', size) == NULL || size == 0);
    check_answer(len);
    return 0;
}
