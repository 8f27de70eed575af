#ifndef NEFIA_HUB_ADMISSION_H
#define NEFIA_HUB_ADMISSION_H

#include <stdbool.h>
#include <stdint.h>

#include "nefia/net/addr.h"

/** Which addresses may connect how often, in a table of fixed size. An address is one of IPv4, or a
 * /64 of IPv6. Each has a bucket of tokens: a new connection costs one, and one that ends without
 * having proved itself (a wrong signature, nothing valid within LINK_PROVE_MS) costs more and may run
 * up a debt, so that an address that fails is slowed.
 *
 * A host that proves itself makes its address known for a day. A known address may use the reserved
 * places. Its bucket fills faster and failures cost it nothing more: whoever fails behind the same
 * address (a NAT) is another, and must not keep that host out.
 *
 * The least recently used entry that is not known is replaced first. Nothing does I/O; times are those
 * of clock_ms, and do not go back. */

#define ADMISSION_TOKENS 20       /* in a full bucket, unless the caller sets more */
#define ADMISSION_FULL_MS 10000u  /* an empty bucket is full again after this */
#define ADMISSION_KNOWN_MS 5u     /* one token of a known address */
#define ADMISSION_FAILURE 4       /* tokens that a failure costs */
#define ADMISSION_DAY_MS (24u * 60 * 60 * 1000)
#define ADMISSION_LOG_MS 60000u   /* an address is named in the log once in this time */

struct admission_entry {
    uint64_t tokens_ms, used_ms, proven_ms, logged_ms; /* 0: never */
    uint8_t prefix[8]; /* of IPv6, or the IPv4 address and zeros */
    int16_t tokens;    /* negative: a debt, at most a bucket deep */
    uint8_t family;    /* 0: free */
};

struct admission {
    struct admission_entry *entries; /* the caller's */
    unsigned count;
    int16_t bucket; /* tokens of a full one; may be changed at any time, 1..ADMISSION_FULL_MS */
};

/** entries: count of them (at least one), the caller's, which must persist. */
void admission_init(struct admission *a, struct admission_entry *entries, unsigned count);
/** A connection from there at that time: take a token. Return: false if there is none. */
bool admission_enter(struct admission *a, const struct addr *peer, uint64_t now_ms);
/** It has ended without proving itself. */
void admission_failed(struct admission *a, const struct addr *peer, uint64_t now_ms);
/** A host there has proved itself. */
void admission_proved(struct admission *a, const struct addr *peer, uint64_t now_ms);
/** Has one within the last day? Takes no entry. */
bool admission_known(const struct admission *a, const struct addr *peer, uint64_t now_ms);
/** May it be named in the log now? Then not again for ADMISSION_LOG_MS. An address that replaces
 * another in the table takes over when that was named: however many addresses come, at most `count`
 * are named in that time. */
bool admission_may_log(struct admission *a, const struct addr *peer, uint64_t now_ms);
/** Are both the same address, for IPv6 the same /64? */
bool admission_same(const struct addr *a, const struct addr *b);

#endif
