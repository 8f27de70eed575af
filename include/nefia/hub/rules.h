#ifndef NEFIA_HUB_RULES_H
#define NEFIA_HUB_RULES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "nefia/hub/action.h"
#include "nefia/base/bytes.h"
#include "nefia/config/config.h"
#include "nefia/event/event.h"
#include "nefia/guard/pattern.h"

/** Which rules an event matches. Deciding is pure: it depends on the event and the rules alone.
 * The patterns run once for each event type and each host; the answers are remembered as one bit
 * for each rule, so that in steady traffic an event costs two look-ups and a few words of `and`,
 * however many rules there are. */

#define RULE_NAME_MAX 64
#define RULE_WORDS ((CONFIG_RULES + 31) / 32)
#define RULE_ANY 0xFFFF /* in the place of a pattern: matches all */

struct rule {
    const char *name; /* the configuration's */
    struct action action;
    uint16_t event_pattern, host_pattern; /* index in rules.patterns, or RULE_ANY */
    uint8_t least;                        /* enum severity */
    bool idempotent;                      /* to do it twice is as good as once */
    uint64_t hits;                        /* since start; a reload keeps them by name */
};

/** One pattern, shared by all rules that have it. Both generations of a reload are in one table. */
struct rule_pattern {
    const char
        *text[2]; /* the configuration's, for each generation that uses it; null: not used by it */
    struct pattern pattern;
};

/** Which rules a type or host passes. Told apart by all its bytes; the hash only finds the place.
 */
#define RULE_MEMO(max) \
    { \
        uint32_t hash; \
        uint16_t len; /* 0: free */ \
        char key[max]; \
        uint32_t bits[RULE_WORDS]; \
    }
struct rule_type_memo RULE_MEMO(EVENT_TYPE_MAX);
struct rule_host_memo RULE_MEMO(EVENT_HOST_MAX);

/** One generation. */
struct rule_set {
    struct rule *rules;
    unsigned count;
    uint32_t severity_bits[SEVERITY_COUNT]
                          [RULE_WORDS]; /* rules an event of this severity is severe enough for */
};

struct rules {
    struct rule_set sets[2];
    unsigned active; /* index of the set in force */
    struct rule_pattern *patterns;
    unsigned pattern_cap;
    struct rule_type_memo *types;
    struct rule_host_memo *hosts;
    unsigned type_cap, host_cap;
    struct pattern_scratch *scratch;
    uint64_t looked_up, matched; /* answers that were remembered, and not */
    uint64_t failed; /* patterns that could not be matched for want of heap: counted as no match,
                        not remembered */
};

/** All memory is the caller's and stays; rules0 and rules1 have CONFIG_RULES entries each and are,
 * as patterns, zeroed. */
void rules_init(struct rules *r, struct rule *rules0, struct rule *rules1,
                struct rule_pattern *patterns, unsigned pattern_cap, struct rule_type_memo *types,
                unsigned type_cap, struct rule_host_memo *hosts, unsigned host_cap,
                struct pattern_scratch *scratch);
static inline const struct rule_set *rules_active(const struct rules *r)
{
    return &r->sets[r->active];
}
/** Read `reactor.rules` into the other generation. All errors are reported through c; `notice` (may
 * be null) is called for each rule whose action is not in this build. What is in force stays in
 * force. Return: how many rules, or NEFIA_EINVAL. Then rules_commit or rules_abort, always. */
int rules_stage(struct rules *r, struct config *c, const struct node *list,
                const struct webhooks *hooks,
                void (*notice)(void *arg, const char *rule, const char *action), void *arg);
/** The other generation comes into force: hits are taken over by name, patterns nobody has any more
 * are freed, memos forgotten. The strings of the generation before are not used afterwards. */
void rules_commit(struct rules *r);
/** The other generation is dropped; memos are forgotten too, since their memory may have served to
 * read the configuration. */
void rules_abort(struct rules *r);
/** The rule of that name in force, its index; or NEFIA_ENOTFOUND. */
int rules_find(const struct rules *r, const char *name);

/** Which rules match: bit i % 32 of bits[i / 32] is rule i. Return: whether any does. */
bool rules_match(struct rules *r, const struct event *e, uint32_t bits[RULE_WORDS]);
/** The first rule at or after i in bits, or NEFIA_ENOTFOUND. */
int rules_next(const uint32_t bits[RULE_WORDS], unsigned count, unsigned i);

enum rule_reason {
    RULE_MATCHES,
    RULE_OTHER_TYPE,
    RULE_OTHER_HOST,
    RULE_LESS_SEVERE,
    RULE_NO_MEMORY
};

/** Why one rule takes an event or not, with what was compared. */
struct rule_verdict {
    const struct rule *rule;
    enum rule_reason reason;
    const char *event_pattern, *host_pattern; /* "" : all */
    enum severity have, least;
};

/** The same decision for one rule, without the memory: for explanations. */
struct rule_verdict rules_judge(const struct rules *r, const struct rule *rule,
                                const struct event *e);
/** "matches: type ~ disk\..*, host ~ prod-.*, critical >= critical". */
void rule_verdict_text(struct text *t, const struct rule_verdict *v);

/** Text of a rule's pattern, "" for all. */
const char *rules_pattern_text(const struct rules *r, uint16_t pattern);

#endif
