#include "check.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "nefia/base/err.h"
#include "nefia/net/http_post.h"
#include "nefia/sys/clock.h"

static char why_buf[256];
static struct text why;

static int parse(struct http_url *u, const char *url)
{
    text_init(&why, why_buf, sizeof why_buf);
    return http_url_parse(u, url, &why);
}

TEST(valid_urls)
{
    struct http_url u;

    CHECK_INT(parse(&u, "http://127.0.0.1:8080/hook"), 0);
    CHECK_INT(u.authority_len, 14);
    CHECK_MEM(u.target, "/hook", 5);
    CHECK_INT(u.target_len, 5);
    CHECK_INT(parse(&u, "http://hooks.lan"), 0);
    CHECK_INT(u.target_len, 0);
    CHECK_INT(parse(&u, "http://[::1]:9/a?b=c&d=%20"), 0);
    CHECK_INT(parse(&u, "http://hub?x"), 0);
    CHECK_INT(u.authority_len, 3);
    CHECK_INT(parse(&u, "HTTP://Hub/x"), 0);
    CHECK_MEM(u.authority, "Hub/x", 5);
    CHECK_INT(u.authority_len, 3);
    CHECK_INT(parse(&u, "hTTp://hub"), 0);
}

TEST(invalid_urls)
{
    static const char *const bad[] = {
        "",
        "ftp://x/",
        "HTTP:/x/",
        "httpx//x/",
        "http:/x/",
        "http://",
        "http:///x",
        "http://x y",
        "http://x/a b",
        "http://x/#frag",
        "http://u:p@x/",
        "http://x:0/",
        "http://x:99999/",
        "http://[::1",
        "http://x/\r\nA: b",
        "http://x/\x7f",
        "http://x/\xc3\xa4",
        "http://-x.y z/",
    };
    struct http_url u;
    char longest[HTTP_URL_MAX + 2];

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        CHECK(parse(&u, bad[i]) < 0);
        CHECK(why.len > 0);
    }
    CHECK_INT(parse(&u, "https://x/"), NEFIA_ENOTSUP);
    CHECK(strstr(why_buf, "not in this build") != NULL);
    CHECK_INT(parse(&u, "HttpS://x/"), NEFIA_ENOTSUP);
    /* Port 1 of an address, or the end of one? */
    CHECK_INT(parse(&u, "http://::1/"), NEFIA_ESYNTAX);
    CHECK(strstr(why_buf, "in brackets, as in http://[::1]:8080/") != NULL);
    CHECK_INT(parse(&u, "http://fd00::1:8080"), NEFIA_ESYNTAX);
    CHECK(strstr(why_buf, "in brackets") != NULL);
    memset(longest, 'a', sizeof longest);
    memcpy(longest, "http://x/", 9);
    longest[HTTP_URL_MAX] = '\0';
    CHECK_INT(parse(&u, longest), 0);
    longest[HTTP_URL_MAX] = 'a';
    longest[HTTP_URL_MAX + 1] = '\0';
    CHECK_INT(parse(&u, longest), NEFIA_ETOOBIG);
}

TEST(the_head_conforms_to_rfc_9112)
{
    struct http_url u;
    char buf[1024];
    struct text t;

    REQUIRE(parse(&u, "http://127.0.0.1:8080/hook") == 0);
    /* The signature is that of RFC 4231, test case 2. */
    struct http_request r = {.url = &u,
                             .secret = "Jefe",
                             .rule = "disk-full",
                             .body = "what do ya want for nothing?",
                             .body_len = 28,
                             .version = "1.0"};
    text_init(&t, buf, sizeof buf);
    CHECK_INT(http_put_head(&t, &r), 0);
    CHECK_STR(buf,
              "POST /hook HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nUser-Agent: "
              "nefia/1.0\r\nContent-Type: application/json\r\n"
              "Content-Length: 28\r\nConnection: close\r\n"
              "X-Nefia-Id: dcb23fb3628f6820c34a7d433aa9676d\r\nX-Nefia-Signature: "
              "sha256=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843\r\n\r\n");
    REQUIRE(parse(&u, "http://hub?q") == 0);
    r.secret = "";
    text_reset(&t);
    CHECK_INT(http_put_head(&t, &r), 0);
    CHECK(strncmp(buf, "POST /?q HTTP/1.1\r\nHost: hub\r\n", 30) == 0);
    CHECK(strstr(buf, "Signature") == NULL);
    /* The id depends on the rule and the event alone. */
    CHECK(strstr(buf, "\r\nX-Nefia-Id: dcb23fb3628f6820c34a7d433aa9676d\r\n") != NULL);
    r.rule = "disk";
    text_reset(&t);
    CHECK_INT(http_put_head(&t, &r), 0);
    CHECK(strstr(buf, "\r\nX-Nefia-Id: e40d30ca9b9557de379d460592f79393\r\n") != NULL);
    text_init(&t, buf, 60);
    CHECK_INT(http_put_head(&t, &r), NEFIA_ETOOBIG);
}

/** In pieces of every size. */
static int answer(const char *s, size_t len)
{
    struct http_answer whole = {0};
    int result = http_answer_feed(&whole, s, len);

    for (size_t piece = 1; piece < 8; piece++) {
        struct http_answer a = {0};
        int r = NEFIA_EAGAIN;
        for (size_t i = 0; i < len && r == NEFIA_EAGAIN; i += piece)
            r = http_answer_feed(&a, s + i, len - i < piece ? len - i : piece);
        CHECK_INT(r, result);
    }
    return result;
}

#define ANSWER(s) answer(s, sizeof(s) - 1)

TEST(valid_responses)
{
    CHECK_INT(ANSWER("HTTP/1.1 200 OK\r\n\r\n"), 200);
    CHECK_INT(ANSWER("HTTP/1.0 404 Not Found\r\nContent-Length: 9\r\nServer: x\r\n\r\nnot found"),
              404);
    CHECK_INT(ANSWER("HTTP/1.1 503 \r\nRetry-After: 3\r\n\r\n"), 503);
    CHECK_INT(ANSWER("HTTP/1.1 204\r\n\r\n"), 204);
    CHECK_INT(ANSWER("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 Made\r\nX:\r\n\r\n"), 201);
    CHECK_INT(ANSWER("HTTP/1.1 200 OK\r\nX: y\r\n"), NEFIA_EAGAIN);
    CHECK_INT(ANSWER("HTTP/1.1 100 Continue\r\n\r\n"), NEFIA_EAGAIN);
    CHECK_INT(ANSWER("HT"), NEFIA_EAGAIN);
}

/** Who got that far has decided: what it writes behind the status line is its own affair. */
TEST(any_final_status_line_decides)
{
    static char large[3 * HTTP_HEAD_MAX] = "HTTP/1.1 200 OK\r\nSet-Cookie: ";
    size_t len = strlen(large);

    CHECK_INT(ANSWER("HTTP/1.1 200 OK\nServer: x\n\n"), 200);
    CHECK_INT(ANSWER("HTTP/1.1 204\n\n"), 204);
    CHECK_INT(ANSWER("HTTP/1.1 200 OK\r\nX: folded\r\n  and on\r\n\tand on\r\n\r\n"), 200);
    CHECK_INT(ANSWER("HTTP/1.1 200 OK\r\n: x\r\nA: \0\r\nno colon\r\n\r\n"), 200);
    CHECK_INT(ANSWER("HTTP/1.1 200 O\rK \xff\r\n\r\n"), 200);
    CHECK_INT(ANSWER("HTTP/1.1 103 Early Hints\nLink: a\n b\n\nHTTP/1.1 202 Taken\n\n"), 202);
    memset(large + len, 'x', sizeof large - len);
    CHECK_INT(answer(large, sizeof large), 200);
    memcpy(large + 6000, "\r\n\r\n", 4);
    CHECK_INT(answer(large, 6004), 200);

    struct http_answer a = {0};
    CHECK_INT(http_answer_feed(&a, "HTTP/1.1 100 Continue\r\n", 23), NEFIA_EAGAIN);
    CHECK_INT(a.status, 0);
    CHECK_INT(http_answer_feed(&a, "\r\nHTTP/1.1 200 OK", 17), NEFIA_EAGAIN);
    CHECK_INT(a.status, 0);
    CHECK_INT(http_answer_feed(&a, "\n", 1), NEFIA_EAGAIN);
    CHECK_INT(a.status, 200);
}

static uint32_t retry_after(const char *headers)
{
    struct http_answer a = {0};
    char head[256];
    struct text t;

    text_init(&t, head, sizeof head);
    text_str(&t, "HTTP/1.1 429 Too Many\r\n");
    text_str(&t, headers);
    text_str(&t, "\r\n");
    CHECK_INT(http_answer_feed(&a, head, t.len), 429);
    return a.retry_after_s;
}

TEST(retry_after_is_read)
{
    CHECK_INT(retry_after("Retry-After: 7\r\n"), 7);
    CHECK_INT(retry_after("Server: x\r\nretry-AFTER:120 \t\r\nA: b\r\n"), 120);
    CHECK_INT(retry_after("Retry-After: 4294967296\n"), UINT32_MAX);
    CHECK_INT(retry_after("A: b\r\n"), 0);
    CHECK_INT(retry_after("Retry-After: Wed, 21 Oct 2015 07:28:00 GMT\r\n"), 0);
    CHECK_INT(retry_after("Retry-After: \r\n"), 0);
    CHECK_INT(retry_after("Retry-After: -1\r\nX-Retry-After: 9\r\n Retry-After: 9\r\n"), 0);
    CHECK_INT(retry_after("Retry-After: 3"
                          "                                        \r\n"), 3);
    /* That of an interim response says nothing. */
    struct http_answer a = {0};
    CHECK_INT(http_answer_feed(&a, "HTTP/1.1 103 x\nRetry-After: 9\n\nHTTP/1.1 503 x\n\n", 51), 503);
    CHECK_INT(a.retry_after_s, 0);
}

TEST(invalid_responses)
{
    CHECK_INT(ANSWER("SSH-2.0-OpenSSH\r\n"), NEFIA_ESYNTAX);
    CHECK_INT(ANSWER("HTTP/2 200\r\n"), NEFIA_ESYNTAX);
    CHECK_INT(ANSWER("HTTP/1.1  200 OK\r\n"), NEFIA_ESYNTAX);
    CHECK_INT(ANSWER("HTTP/1.1 20x OK\r\n"), NEFIA_ESYNTAX);
    CHECK_INT(ANSWER("HTTP/1.1 2000 OK\r\n"), NEFIA_ESYNTAX);
    CHECK_INT(ANSWER("HTTP/1.1 099 OK\r\n"), NEFIA_ESYNTAX);
    CHECK_INT(ANSWER("HTTP/1.1 600 OK\r\n"), NEFIA_ESYNTAX);
    CHECK_INT(ANSWER("HTTP/1.1\r\n"), NEFIA_ESYNTAX);
    CHECK_INT(ANSWER("HTTP/1.1 20\n"), NEFIA_ESYNTAX);
    CHECK_INT(ANSWER("HTTP/1.x 200\n"), NEFIA_ESYNTAX);
    CHECK_INT(ANSWER("\r\nHTTP/1.1 200 OK\r\n"), NEFIA_ESYNTAX);
    CHECK_INT(ANSWER("HTTP/1.1 100 Continue\r\n\r\nSSH-2.0\r\n"), NEFIA_ESYNTAX);
}

TEST(an_endless_head_is_bounded)
{
    static const char *const begins[] = {"HTTP/1.1 200 OK\r\n", "HTTP/1.1 102 Processing\r\n"};

    for (unsigned k = 0; k < 2; k++) {
        struct http_answer a = {0};
        int r = http_answer_feed(&a, begins[k], strlen(begins[k]));

        for (int i = 0; i < 10000 && r == NEFIA_EAGAIN; i++)
            r = http_answer_feed(&a, "A: b\r\n", 6);
        CHECK_INT(r, k == 0 ? 200 : NEFIA_ETOOBIG);
        CHECK_INT(a.taken, HTTP_HEAD_MAX + 1);
    }
}

/** A socket that listens on a loopback address. */
static int listen_at(struct addr *a, int backlog)
{
    struct sockaddr_storage ss;
    socklen_t len = sizeof ss;
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    *a = (struct addr){.family = AF_INET, .ip = {127, 0, 0, 1}};
    CHECK(bind(fd, (struct sockaddr *)&ss, addr_to_sockaddr(a, &ss)) == 0);
    CHECK(listen(fd, backlog) == 0);
    CHECK(getsockname(fd, (struct sockaddr *)&ss, &len) == 0);
    CHECK(addr_from_sockaddr(a, &ss) == 0);
    return fd;
}

/** Until its queue is full; from then on the kernel drops what asks for a connection. */
static unsigned fill(const struct addr *a, int fds[8])
{
    struct sockaddr_storage ss;
    socklen_t len = addr_to_sockaddr(a, &ss);
    unsigned n = 0;

    for (; n < 8; n++) {
        fds[n] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        (void)connect(fds[n], (struct sockaddr *)&ss, len);
        struct pollfd p = {.fd = fds[n], .events = POLLOUT};
        if (poll(&p, 1, 50) == 0)
            return n + 1;
    }
    return n;
}

TEST(an_address_that_drops_packets_does_not_hide_the_next)
{
    struct addr addrs[3];
    int fds[8], silent = listen_at(&addrs[0], 0), closed = listen_at(&addrs[1], 1);
    int good = listen_at(&addrs[2], 1);
    unsigned count = fill(&addrs[0], fds);

    REQUIRE(count < 8);
    close(closed);
    int fd = http_connect(addrs, 3, clock_ms(&clock_system) + 150);
    CHECK(fd >= 0);
    int taken = accept4(good, NULL, NULL, SOCK_NONBLOCK);
    CHECK(taken >= 0);
    close(taken);
    close(fd);
    /* However little time is left. */
    fd = http_connect(addrs, 3, 0);
    CHECK(fd >= 0);
    close(fd);
    /* The last one is tried for as long as it takes; its error is that of all. */
    CHECK_INT(http_connect(addrs, 2, clock_ms(&clock_system)), NEFIA_EIO);
    CHECK_INT(errno, ECONNREFUSED);
    for (unsigned i = 0; i < count; i++)
        close(fds[i]);
    close(silent);
    close(good);
}

TEST_MAIN(valid_urls, invalid_urls, the_head_conforms_to_rfc_9112,
          valid_responses, any_final_status_line_decides, retry_after_is_read, invalid_responses,
          an_endless_head_is_bounded, an_address_that_drops_packets_does_not_hide_the_next)
