#include "nefia/net/tcp.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/resource.h>

#include "check.h"
#include "nefia/base/err.h"

/* Every wait below is for a condition, and ends after this long. */

static char said[256];
static struct text why;

static struct addr address(const char *s)
{
    struct addr a;

    CHECK_INT(addr_parse(&a, s, strlen(s), 1, NULL), 0);
    a.port = 0;
    return a;
}

static int listen_at(const char *s, struct addr *bound)
{
    struct addr a = address(s);
    int fd;

    text_init(&why, said, sizeof said);
    fd = tcp_listen(&a, 4, "reactor.listen_port", &why);
    if (fd >= 0)
        CHECK_INT(tcp_local(fd, bound), 0);
    return fd;
}

static void wait_for(int fd, short events)
{
    struct pollfd p = {.fd = fd, .events = events};

    CHECK_INT(poll(&p, 1, -1), 1);
}

/** Connect to the listener at a. */
static int connect_to(const struct addr *a)
{
    int fd = tcp_connect_start(a, 30000);

    CHECK(fd >= 0);
    wait_for(fd, POLLOUT);
    CHECK_INT(tcp_connect_result(fd), 0);
    return fd;
}

static void check_flags(int fd)
{
    CHECK(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    CHECK(fcntl(fd, F_GETFL) & O_NONBLOCK);
}

/** Wait until the peer's kernel has everything. */
static int drained(int fd)
{
    while (tcp_queued(fd) > 0)
        poll(NULL, 0, 1);
    return tcp_queued(fd);
}

TEST(carries_bytes_both_ways)
{
    struct addr at, peer, own;
    char buf[16];
    int listener = listen_at("127.0.0.1", &at), client, server;

    REQUIRE(listener >= 0);
    CHECK_INT(tcp_accept(listener, &peer), NEFIA_EAGAIN);
    client = connect_to(&at);
    wait_for(listener, POLLIN);
    server = tcp_accept(listener, &peer);
    REQUIRE(server >= 0);
    CHECK_INT(tcp_local(client, &own), 0);
    CHECK(addr_same_host(&peer, &own) && peer.port == own.port);
    check_flags(listener);
    check_flags(client);
    check_flags(server);

    CHECK_INT(tcp_recv(server, buf, sizeof buf), NEFIA_EAGAIN);
    CHECK_INT(tcp_send(client, "hello", 5), 5);
    CHECK_INT(tcp_send(client, "", 0), 0);
    CHECK_INT(drained(client), 0); /* acknowledged before it was read */
    wait_for(server, POLLIN);
    CHECK_INT(tcp_recv(server, buf, sizeof buf), 5);
    CHECK_MEM(buf, "hello", 5);
    CHECK_INT(tcp_send(server, "x", 1), 1);
    wait_for(client, POLLIN);
    CHECK_INT(tcp_recv(client, buf, sizeof buf), 1);

    close(server);
    wait_for(client, POLLIN);
    CHECK_INT(tcp_recv(client, buf, sizeof buf), NEFIA_ECLOSED);
    close(client);
    close(listener);
}

TEST(full_socket_returns_again_and_queued_bytes)
{
    static const char chunk[65536];
    struct addr at, peer;
    int listener = listen_at("127.0.0.1", &at), client, server, n;
    long total = 0;

    REQUIRE(listener >= 0);
    client = connect_to(&at);
    wait_for(listener, POLLIN);
    server = tcp_accept(listener, &peer);
    /* Without a reader both kernels' buffers fill up, then some bytes stay unacknowledged. */
    while ((n = tcp_send(client, chunk, sizeof chunk)) > 0 && total < 1L << 30)
        total += n;
    CHECK_INT(n, NEFIA_EAGAIN);
    CHECK(tcp_queued(client) > 0);
    close(server); /* unread bytes: the kernel resets the connection */
    wait_for(client, POLLIN);
    do
        n = tcp_send(client, chunk, sizeof chunk);
    while (n > 0);
    CHECK(n == NEFIA_ECLOSED || n == NEFIA_EIO);
    CHECK(tcp_queued(client) != 0); /* a reset does not make it look delivered */
    close(client);
    close(listener);
}

TEST(refused_connection_reports_the_reason)
{
    struct addr at;
    int listener = listen_at("127.0.0.1", &at), fd;

    REQUIRE(listener >= 0);
    close(listener);
    fd = tcp_connect_start(&at, 0);
    if (fd >= 0) {
        wait_for(fd, POLLOUT);
        CHECK_INT(tcp_connect_result(fd), NEFIA_EIO);
        close(fd);
    }
    /* 111: qemu-user hands on SO_ERROR with the host's number, which is another on MIPS. */
    CHECK(errno == ECONNREFUSED || errno == 111);
}

TEST(port_in_use_is_explained)
{
    struct addr at;
    int listener = listen_at("127.0.0.1", &at);
    struct text want;
    char buf[256];

    REQUIRE(listener >= 0);
    text_init(&why, said, sizeof said);
    CHECK_INT(tcp_listen(&at, 4, "reactor.listen_port", &why), NEFIA_EIO);
    text_init(&want, buf, sizeof buf);
    text_str(&want, "cannot listen on port ");
    text_u64(&want, at.port);
    text_str(&want,
             " on 127.0.0.1: address in use; stop the other program, or change reactor.listen_port");
    CHECK_STR(said, buf);
    CHECK_INT(tcp_listen(&at, 4, "x", NULL), NEFIA_EIO);
    close(listener);
}

TEST(unavailable_address_is_explained)
{
    struct addr at;

    CHECK_INT(listen_at("192.0.2.1", &at), NEFIA_EIO);
    CHECK(strstr(said, "on 192.0.2.1: no interface has this address"));
}

TEST(dual_stack_accepts_ipv4)
{
    struct addr at, peer, local = address("127.0.0.1");
    int listener = listen_at("::", &at), client, server;

    if (listener < 0) { /* a kernel without IPv6 */
        CHECK(strstr(said, "not support IPv6") || strstr(said, "no interface has this address"));
        return;
    }
    local.port = at.port;
    client = connect_to(&local);
    wait_for(listener, POLLIN);
    server = tcp_accept(listener, &peer);
    CHECK(server >= 0);
    CHECK_INT(peer.family, AF_INET);
    CHECK(addr_same_host(&peer, &local));
    close(server);
    close(client);
    close(listener);
}

TEST(out_of_descriptors_is_its_own_error)
{
    struct rlimit old, few;
    struct addr at, peer;
    int listener = listen_at("127.0.0.1", &at), client, fd;

    REQUIRE(listener >= 0);
    client = connect_to(&at);
    wait_for(listener, POLLIN);
    REQUIRE(getrlimit(RLIMIT_NOFILE, &old) == 0);
    few = old;
    few.rlim_cur = (rlim_t)client + 1;
    REQUIRE(setrlimit(RLIMIT_NOFILE, &few) == 0);
    fd = tcp_accept(listener, &peer);
    setrlimit(RLIMIT_NOFILE, &old);
    CHECK_INT(fd, NEFIA_EFULL);
    fd = tcp_accept(listener, &peer); /* still pending */
    CHECK(fd >= 0);
    close(fd);
    close(client);
    close(listener);
    CHECK_INT(tcp_accept(listener, &peer), NEFIA_EIO);
    CHECK_INT(tcp_queued(listener), NEFIA_EIO);
}

TEST_MAIN(carries_bytes_both_ways, full_socket_returns_again_and_queued_bytes,
          refused_connection_reports_the_reason, port_in_use_is_explained, unavailable_address_is_explained,
          dual_stack_accepts_ipv4, out_of_descriptors_is_its_own_error)
