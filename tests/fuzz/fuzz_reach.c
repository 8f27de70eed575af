/* Arbitrary bytes as what a probe's socket receives: bounded, and only what repeats the token is its answer. */
#include "beacon/sensors/reach.c"

#define MUST(condition) \
    do { \
        if (!(condition)) \
            __builtin_trap(); \
    } while (0)

enum { FROM = 2 }; /* of the input: how the token is put into it */

/** The token, in the places where it may stand. */
static bool has_token(const uint8_t *msg, size_t len)
{
    bool found = false;

    for (size_t at = 8; at + 8 <= len && at <= 68; at += 4)
        found |= get_be64(msg + at) == UINT64_C(0x0123456789abcdef);
    return found;
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);
int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    struct reach r = {.token = UINT64_C(0x0123456789abcdef), .query = "hub.lan"};
    static uint8_t msg[DNS_MESSAGE];

    if (size < FROM || size > sizeof msg)
        return 0;
    uint8_t *end = msg + sizeof msg, *at = end - (size - FROM); /* nothing behind it may be read */
    memcpy(at, data + FROM, size - FROM);
    if (data[0] & 1 && size - FROM >= 8u + data[1])
        put_be64(at + data[1], r.token);
    for (int family = 0; family < 2; family++) {
        r.target = (struct target){.kind = ICMP, .addr.family = family ? AF_INET6 : AF_INET};
        int err = take_answer(&r, at, size - FROM);
        MUST(err == NEFIA_EAGAIN || (err == 0 && has_token(at, size - FROM)));
    }
    r.target.kind = DNS;
    int err = take_answer(&r, at, size - FROM);
    MUST(err <= 0);
    if (err != NEFIA_EAGAIN)
        MUST(size - FROM >= 12 && get_be16(at) == 0xcdef);
    return 0;
}
