#include "check.h"
#include "nefia/base/err.h"
#include "nefia/net/http_post.h"

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
}

TEST(invalid_urls)
{
    static const char *const bad[] = {
        "",
        "ftp://x/",
        "HTTP://x/",
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

TEST(invalid_responses)
{
    CHECK_INT(ANSWER("SSH-2.0-OpenSSH\r\n"), NEFIA_ESYNTAX);
    CHECK_INT(ANSWER("HTTP/2 200\r\n"), NEFIA_ESYNTAX);
    CHECK_INT(ANSWER("HTTP/1.1  200 OK\r\n"), NEFIA_ESYNTAX);
    CHECK_INT(ANSWER("HTTP/1.1 20x OK\r\n"), NEFIA_ESYNTAX);
    CHECK_INT(ANSWER("HTTP/1.1 2000 OK\r\n"), NEFIA_ESYNTAX);
    CHECK_INT(ANSWER("HTTP/1.1 099 OK\r\n"), NEFIA_ESYNTAX);
    CHECK_INT(ANSWER("HTTP/1.1 600 OK\r\n"), NEFIA_ESYNTAX);
    CHECK_INT(ANSWER("HTTP/1.1 200 O\nK\r\n"), NEFIA_ESYNTAX);
    CHECK_INT(ANSWER("HTTP/1.1 200 OK\rX"), NEFIA_ESYNTAX);
    CHECK_INT(ANSWER("HTTP/1.1 200 OK\r\n: x\r\n"), NEFIA_ESYNTAX);
    CHECK_INT(ANSWER("HTTP/1.1 200 OK\r\n\rX"), NEFIA_ESYNTAX);
    CHECK_INT(ANSWER("HTTP/1.1 200 OK\r\nA: \0\r\n"), NEFIA_ESYNTAX);
}

TEST(an_endless_head_is_bounded)
{
    struct http_answer a = {0};
    int r = http_answer_feed(&a, "HTTP/1.1 200 OK\r\n", 17);

    for (int i = 0; i < 10000 && r == NEFIA_EAGAIN; i++)
        r = http_answer_feed(&a, "A: b\r\n", 6);
    CHECK_INT(r, NEFIA_ETOOBIG);
    CHECK_INT(a.taken, HTTP_HEAD_MAX + 1);
}

TEST_MAIN(valid_urls, invalid_urls, the_head_conforms_to_rfc_9112,
          valid_responses, invalid_responses, an_endless_head_is_bounded)
