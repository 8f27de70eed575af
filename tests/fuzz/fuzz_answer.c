/* Arbitrary bytes as the response of a webhook's server or a name server: bounded, and independent of
 * how they are split. */
#include <string.h>

#include "nefia/base/err.h"
#include "nefia/net/http_post.h"
#include "nefia/net/resolve.h"

#define MUST(condition) \
    do { \
        if (!(condition)) \
            __builtin_trap(); \
    } while (0)

static int feed(const char *s, size_t len, size_t piece)
{
    struct http_answer a = {0};
    int result = NEFIA_EAGAIN;

    for (size_t at = 0; at < len && result == NEFIA_EAGAIN; at += piece)
        result = http_answer_feed(&a, s + at, len - at < piece ? len - at : piece);
    MUST(result == NEFIA_EAGAIN || result == NEFIA_ESYNTAX || result == NEFIA_ETOOBIG ||
         (result >= 200 && result <= 599));
    MUST(a.taken <= HTTP_HEAD_MAX + 1);
    return result;
}

static void check_names(const char *text, size_t len)
{
    struct addr out[4];
    char host[65];
    size_t n = len < sizeof host ? len : sizeof host - 1;

    memcpy(host, text, n);
    host[n] = '\0';
    MUST(resolve_hosts(text, len, host, out, 4) <= 4);
    MUST(resolve_servers(text, len, out, 4) <= 4);
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);
int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    static uint8_t msg[DNS_MESSAGE];
    const char *text = (const char *)data;
    struct addr out[4];

    if (size < 1 || size > 8192)
        return 0;
    MUST(feed(text + 1, size - 1, size) == feed(text + 1, size - 1, data[0] + 1u));
    check_names(text, size);
    /* The question must match for the rest to be parsed: prepend it. */
    int asked = dns_query(msg, 7, "hub.lan", DNS_A);
    size_t rest = size < sizeof msg - (size_t)asked ? size : sizeof msg - (size_t)asked;
    uint8_t *answer = msg + sizeof msg - (size_t)asked - rest;
    memmove(answer, msg, (size_t)asked);
    memcpy(answer + asked, data, rest);
    answer[2] |= 0x80;
    answer[7] = data[0];
    MUST(dns_answer(answer, (size_t)asked + rest, 7, "hub.lan", DNS_A, out, 4) <= 4);
    return 0;
}
