/* Arbitrary bytes from a sender: the first byte selects whether there are signatures and into which
 * pieces the rest is split. The result must not depend on the pieces, and no line may exceed the
 * limit. */
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../../src/hub/listener.c" /* to give it one end of a pair of sockets */

#define MUST(condition) \
    do { \
        if (!(condition)) \
            __builtin_trap(); \
    } while (0)

enum { INPUT = 32 * 1024 };

static struct clock_fake fake;
static struct loop loop;
static struct pollfd pollfds[2];
static struct watch *polled[2];
static struct connection connections[1];
static char buffer[2 * CONNECTION_BYTES];
static struct listener listener;

/** Result of one run. */
struct outcome {
    uint32_t hash;
    unsigned lines, rejected;
};
static struct outcome now;
static unsigned line_number;

static void on_speak(void *arg, struct session *s, struct text *out)
{
    (void)arg;
    (void)s;
    (void)out;
}

static int on_line(void *arg, struct session *s, const char *line, size_t len, const char *sig,
                   size_t sig_len)
{
    (void)arg;
    /* Some are deferred. */
    if (!s->overdue && line_number++ % 7 == 3)
        return NEFIA_EAGAIN;
    MUST(len <= CONFIG_EVENT_BYTES && !memchr(line, '\n', len));
    MUST((sig != NULL) == listener.with_signatures);
    MUST(sig == NULL || (sig_len <= 65 && !memchr(sig, '\n', sig_len)));
    now.lines++;
    now.hash = hash_bytes(now.hash, line, len);
    now.hash = hash_bytes(now.hash, "\n", 1);
    if (sig)
        now.hash = hash_bytes(now.hash, sig, sig_len);
    /* As in the pipeline: malformed input ends the connection. */
    return sig && sig_len != 64 ? NEFIA_EAUTH : 0;
}

static void on_turn_end(void *arg)
{
    (void)arg;
}

static void on_rejected(void *arg, const struct addr *peer, enum reject why, const char *what)
{
    (void)arg;
    (void)peer;
    (void)what;
    now.rejected = now.rejected * REJECT_COUNT + (unsigned)why + 1;
}

static bool on_allowed(void *arg, const struct addr *peer)
{
    (void)arg;
    (void)peer;
    return true;
}

static struct outcome run(const unsigned char *data, size_t size, size_t piece,
                          bool with_signatures)
{
    const struct listener_hooks hooks = {.line = on_line,
                                         .turn_end = on_turn_end,
                                         .respond = on_speak,
                                         .rejected = on_rejected,
                                         .allowed = on_allowed};
    const struct addr peer = {.family = AF_INET};
    int ends[2];

    now = (struct outcome){.hash = HASH_START};
    line_number = 0;
    clock_fake_init(&fake, 1000, 0);
    loop_init(&loop, &fake.clock, pollfds, polled, 2);
    listener_init(&listener, &loop, connections, 1, buffer, sizeof buffer, &hooks);
    listener.with_signatures = with_signatures;
    MUST(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) == 0);
    welcome(&listener, ends[0], &peer);
    for (size_t at = 0; at < size && listener.open;) {
        size_t n = size - at < piece ? size - at : piece;
        ssize_t sent = send(ends[1], data + at, n, MSG_NOSIGNAL);
        if (sent > 0)
            at += (size_t)sent;
        loop_turn(&loop, 0);
        listener_resume(&listener);
    }
    close(ends[1]);
    for (size_t i = 0; i < size + 64 && listener.open; i++) {
        loop_turn(&loop, 0);
        listener_resume(&listener);
    }
    MUST(listener.held == 0);
    MUST(listener.open == 0 && loop.watches == 0 && !loop.first_timer);
    return now;
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);
int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    if (size < 1 || size > INPUT)
        return 0;
    bool with_signatures = data[0] & 1;
    size_t piece = size < 512 ? (data[0] >> 1) + 1u : 64u * ((data[0] >> 1) + 1u);
    struct outcome whole = run(data + 1, size - 1, INPUT, with_signatures);
    struct outcome pieces = run(data + 1, size - 1, piece, with_signatures);

    MUST(whole.hash == pieces.hash && whole.lines == pieces.lines);
    MUST(whole.rejected == pieces.rejected);
    return 0;
}
