#ifndef NEFIA_HUB_RULES_H
#define NEFIA_HUB_RULES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "nefia/hub/action.h"
#include "nefia/hub/restraint.h"
#include "nefia/base/bytes.h"
#include "nefia/config/config.h"
#include "nefia/event/event.h"
#include "nefia/guard/pattern.h"

/** Matches events against rules. Pure: the result depends on the event and the rules alone.
 * Patterns are matched once per event type and per host, and the results are cached as one bit per
 * rule: in steady traffic an event costs two look-ups and a few words of `and`, however many rules
 * there are. */

#define RULE_NAME_MAX 64
#define RULE_WORDS ((CONFIG_RULES + 31) / 32)
#define RULE_ANY 0xFFFF /* instead of a pattern: matches all */

struct rule {
    const char *name; /* the configuration's */
    struct action action;
    uint16_t event_pattern, host_pattern; /* index in rules.patterns, or RULE_ANY */
    uint8_t least;                        /* enum severity */
    bool idempotent;                      /* running it twice is harmless */
    uint16_t restraint;                   /* index + 1 in rule_set.restraints; 0: none */
    uint32_t restrained;                  /* of the hits: its action was held back by restraint */
    uint64_t hits;                        /* since start; a reload keeps both by name */
};

/** A pattern, shared by all rules that use it. Both generations of a reload share the table. */
struct rule_pattern {
    const char
        *text[2]; /* the configuration's, per generation; null: not used by that one */
    struct pattern pattern;
};

/** Cached result for a type or host: which rules it passes. Compared in full; the hash only finds
 * the slot. */
#define RULE_MEMO(max) \
    { \
        uint32_t hash; \
        uint16_t len; /* 0: free */ \
        char key[max]; \
        uint32_t bits[RULE_WORDS]; \
    }
struct rule_type_memo RULE_MEMO(EVENT_TYPE_MAX);
struct rule_host_memo RULE_MEMO(EVENT_HOST_MAX);

/** The rules of one generation. */
struct rule_set {
    struct rule *rules;
    unsigned count;
    struct restraint_settings *restraints; /* each different one; null: the build has none */
    unsigned restraint_count;
    uint32_t severity_bits[SEVERITY_COUNT]
                          [RULE_WORDS]; /* rules for which this severity suffices */
};

struct rules {
    struct rule_set sets[2];
    unsigned active; /* index of the active set */
    struct rule_pattern *patterns;
    unsigned pattern_cap;
    struct rule_type_memo *types;
    struct rule_host_memo *hosts;
    unsigned type_cap, host_cap;
    struct pattern_scratch *scratch;
    uint64_t looked_up, matched; /* results found in the cache, and computed */
    uint64_t failed; /* patterns not matched because the heap was exhausted: counted as no match, not
                        cached */
};

/** All memory is the caller's and must persist; rules0 and rules1 have CONFIG_RULES entries each
 * and are, as patterns, zeroed. */
void rules_init(struct rules *r, struct rule *rules0, struct rule *rules1,
                struct rule_pattern *patterns, unsigned pattern_cap, struct rule_type_memo *types,
                unsigned type_cap, struct rule_host_memo *hosts, unsigned host_cap,
                struct pattern_scratch *scratch);
/** Room for CONFIG_RESTRAINTS in each generation. */
void rules_restraints(struct rules *r, struct restraint_settings *s0, struct restraint_settings *s1);
static inline const struct rule_set *rules_active(const struct rules *r)
{
    return &r->sets[r->active];
}
/** Read `reactor.rules` into the inactive generation; settings: of the same file, kept by actions until the
 * generation is dropped. All errors are reported through c, an
 * exhausted heap or pattern table once; `notice` (may be null) is called for each rule whose action
 * is not in this build. The active generation is unchanged. Return: number of rules, or
 * NEFIA_EINVAL. Must be followed by rules_commit or rules_abort. */
int rules_stage(struct rules *r, struct config *c, const struct node *list,
                const struct hub_settings *settings,
                void (*notice)(void *arg, const char *rule, const char *action), void *arg);
/** Activate the table of one rule; that of its action is the class's. */
extern const struct field rule_fields[], rule_after_fields[], rule_breaker_fields[];
/** Of the other generation: how many rules have an action that this build can do. */
unsigned rules_staged_able(const struct rules *r);
/** Of the other generation: have their actions read the files that they name (action_class.check). Return: 0, or
 * NEFIA_EINVAL after reports. */
int rules_staged_check(const struct rules *r, const struct playbook_room *room, void (*report)(void *arg, const char *message), void *arg);
/** Of the other generation: how many different patterns it has. */
unsigned rules_staged_patterns(const struct rules *r);
/** The other generation: hit counters are taken over by name, unused patterns freed,
 * caches emptied. The strings of the previous generation are not used afterwards. */
void rules_commit(struct rules *r);
/** Drop the inactive generation; caches are emptied too, since their memory may have been used to
 * read the configuration. */
void rules_abort(struct rules *r);
/** How the active rule holds itself back; null: it does not. */
const struct restraint_settings *rules_restraint(const struct rules *r, unsigned index);
/** Index of the active rule of that name, or NEFIA_ENOTFOUND. */
int rules_find(const struct rules *r, const char *name);

/** Match: bit i % 32 of bits[i / 32] is rule i. Return: whether any rule matches. */
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

/** Why a rule matches an event or not, with the values compared. */
struct rule_verdict {
    const struct rule *rule;
    enum rule_reason reason;
    const char *event_pattern, *host_pattern; /* "" : all */
    enum severity have, least;
};

/** The same decision for one rule, without the cache: for explanations. */
struct rule_verdict rules_judge(const struct rules *r, const struct rule *rule,
                                const struct event *e);
/** "matches: type ~ disk\..*, host ~ prod-.*, critical >= critical". */
void rule_verdict_text(struct text *t, const struct rule_verdict *v);

/** Text of a rule's pattern, "" for all. */
const char *rules_pattern_text(const struct rules *r, uint16_t pattern);

#endif
