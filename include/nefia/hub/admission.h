#ifndef NEFIA_HUB_ADMISSION_H
#define NEFIA_HUB_ADMISSION_H

#include <stdbool.h>
#include <stdint.h>

#include "nefia/net/addr.h"

/** Which addresses may take a place, in a table of fixed size. An address is one of IPv4, or a /64 of
 * IPv6. Each has a bucket of tokens: a new connection costs one, and one that ends without having
 * proved itself (a wrong signature, nothing valid within LINK_PROVE_MS) costs more, so that an address
 * that fails is slowed. An address with a host that has proved itself within the last day may use the
 * reserved places. The least recently used entry without such a host is replaced first. */

#define ADMISSION_TOKENS 20       /* bucket */
#define ADMISSION_REFILL_MS 500u  /* one token */
#define ADMISSION_FAILURE 4       /* tokens that a failure costs */
#define ADMISSION_DAY_MS (24u * 60 * 60 * 1000)
#define ADMISSION_LOG_MS 60000u   /* an address is named in the log once in this time */

struct admission_entry {
    uint8_t prefix[8];  /* of IPv6, or the IPv4 address and zeros */
    uint8_t family;     /* 0: free */
    uint8_t tokens;
    uint64_t tokens_ms, used_ms, proven_ms, logged_ms; /* 0: never */
};

struct admission {
    struct admission_entry *entries; /* the caller's */
    unsigned count;
};

void admission_init(struct admission *a, struct admission_entry *entries, unsigned count);
/** A connection from there at that time: take a token. Return: false if there is none. */
bool admission_enter(struct admission *a, const struct addr *peer, uint64_t now_ms);
/** It has ended without proving itself. */
void admission_failed(struct admission *a, const struct addr *peer, uint64_t now_ms);
/** A host there has proved itself. */
void admission_proved(struct admission *a, const struct addr *peer, uint64_t now_ms);
/** Has one within the last day? */
bool admission_known(struct admission *a, const struct addr *peer, uint64_t now_ms);
/** May it be named in the log now? Then not again for ADMISSION_LOG_MS. */
bool admission_may_log(struct admission *a, const struct addr *peer, uint64_t now_ms);
/** Are both the same address, for IPv6 the same /64? */
bool admission_same(const struct addr *a, const struct addr *b);

#endif
