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
static struct epoll_event found[2];
static struct connection connections[1];
static struct admission_entry entries[4];
static struct listener listener;

/** Result of one run. */
struct outcome {
    uint32_t hash;
    unsigned lines, rejected;
};
static struct outcome now;
static unsigned line_number;

static void on_output(void *arg, struct session *s, struct text *out)
{
    (void)arg;
    (void)s;
    (void)out;
}

static int on_unit(void *arg, struct session *s, const struct link_unit *u)
{
    (void)arg;
    /* Some are deferred. */
    if (!s->overdue && line_number++ % 7 == 3)
        return NEFIA_EAGAIN;
    MUST(u->line.len <= CONFIG_EVENT_BYTES && !memchr(u->line.ptr, '\n', u->line.len));
    MUST((u->sig.ptr != NULL) == listener.with_signatures);
    MUST(!u->sig.ptr || (u->sig.len <= 65 && !memchr(u->sig.ptr, '\n', u->sig.len)));
    now.lines++;
    now.hash = hash_bytes(now.hash, u->line.ptr, u->line.len);
    now.hash = hash_bytes(now.hash, "\n", 1);
    if (u->sig.ptr)
        now.hash = hash_bytes(now.hash, u->sig.ptr, u->sig.len);
    s->proven = true;
    /* As in the pipeline: malformed input ends the connection. */
    return u->sig.ptr && u->sig.len != 64 ? NEFIA_EAUTH : 0;
}

static void on_turn_end(void *arg)
{
    (void)arg;
}

static void on_closed(void *arg, struct session *s)
{
    (void)arg;
    (void)s;
}

static void on_rejected(void *arg, const struct addr *peer, enum reject why, const char *what,
                        bool quiet)
{
    (void)arg;
    (void)peer;
    (void)what;
    (void)quiet;
    now.rejected = now.rejected * REJECT_COUNT + (unsigned)why + 1;
}

static bool on_allowed(void *arg, const struct addr *peer)
{
    (void)arg;
    (void)peer;
    return true;
}

static uint64_t random_below(uint64_t n)
{
    return n / 2;
}

static struct outcome run(const unsigned char *data, size_t size, size_t piece,
                          bool with_signatures)
{
    const struct listener_hooks hooks = {.opened = on_output,
                                         .unit = on_unit,
                                         .turn_end = on_turn_end,
                                         .answer = on_output,
                                         .closed = on_closed,
                                         .rejected = on_rejected,
                                         .allowed = on_allowed};
    const struct addr peer = {.family = AF_INET};
    int ends[2];

    now = (struct outcome){.hash = HASH_START};
    line_number = 0;
    clock_fake_init(&fake, 1000, 0);
    if (loop.clock)
        loop_end(&loop);
    loop_init(&loop, &fake.clock, found, 2);
    listener_init(&listener, &loop, connections, 1, entries, ARRAY_SIZE(entries), &hooks);
    listener.random_below = random_below;
    listener.with_signatures = with_signatures;
    MUST(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) == 0);
    arrive(&listener, ends[0], &peer);
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
    MUST(listener.open == 0 && loop.watches == 0);
    fake.now_ms += IDLE_TIMEOUT_MS;
    loop_turn(&loop, 0);
    MUST(!loop.first_timer);
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
