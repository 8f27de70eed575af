#ifndef NEFIA_HUB_SILENCES_H
#define NEFIA_HUB_SILENCES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "nefia/event/event.h"
#include "nefia/guard/matcher.h"
#include "nefia/hub/device.h"
#include "nefia/hub/journal.h"
#include "nefia/sys/clock.h"

/** Silences (HUB_SILENCES): for a time, events that a person has named set off no action. An event is silenced if all that a silence
 * names is so; each has a reason, and an end.
 *
 * The end is that of the wall clock, if that was set when the silence was added and is set now; and never later than after as long a
 * time of the hub's own running as was asked for. That time is kept in the journal KEEP_MS ahead of itself, so that a hub that is
 * killed again and again does not stretch a silence; what a kill takes off is given back where the wall clock says so. */

#define SILENCE_TEXT 320 /* bytes of all its words, with a NUL behind each */
#define SILENCE_WHY_MAX 160
#define SILENCE_LEAST_MS 1000u
#define SILENCE_MOST_MS (30u * 86400u * 1000u)
#define SILENCE_KEEP_MS 60000u

enum silence_word { SILENCE_HOST, SILENCE_TYPE, SILENCE_LABELS, SILENCE_RULE, SILENCE_WHY, SILENCE_WORDS };
/** "host", "type", "labels", "rule", "why": in the order of enum silence_word, for word_at. */
extern const char silence_words[];

/** What somebody asks for: words one after the other in text, each ended by a NUL; "" where nothing is said. host and type are
 * patterns as those of rules, labels is "key=value,key=value", of which the device must have all. */
struct silence_request {
    char text[SILENCE_TEXT];
    uint16_t at[SILENCE_WORDS];
    uint64_t for_ms;
};

struct silence {
    uint32_t id;  /* from 1, never used again; 0: the place is free */
    uint32_t uid; /* who added it */
    uint64_t for_ms;
    uint64_t ends_ms;         /* by the time the hub ran, of struct silences */
    int64_t since_s, until_s; /* wall clock; until_s 0: it was not set */
    uint64_t hits;            /* matches that it silenced since the hub started */
    bool over;                /* it silences no more, and is no longer in the journal; silences_tick is to say so */
    struct silence_request words;
    struct matcher patterns[SILENCE_TYPE + 1]; /* host, type; count 0: there is none */
    uint16_t op_at, op_count, range_at, range_count; /* its part of the programs */
};

/** Of each silence the programs of its patterns lie together; where one ends, those behind it move up. */
struct silence_memory {
    struct silence slots[CONFIG_SILENCES];
    struct matcher_op ops[CONFIG_SILENCE_OPS];
    struct pattern_range ranges[CONFIG_SILENCE_RANGES];
};

enum silence_end { SILENCE_EXPIRED, SILENCE_REMOVED };

struct silences {
    const struct clock *clock;
    struct silence_memory *memory; /* null: there are none */
    struct pattern_tree *tree;
    struct matcher_work *work;
    struct journal *journal;
    unsigned count;
    uint32_t last_id;
    uint64_t ran_ms, since_ms; /* the time the hub ran before this start, and the clock at that */
    uint64_t kept_ms;          /* what the journal says of that time */
    uint32_t slack_ms;         /* of the restored time, at most so much was not run: it was kept ahead */
    bool resumed;
    uint64_t silenced; /* matches */
    /** It is about to be freed. May be null. */
    void (*ended)(void *arg, const struct silence *s, enum silence_end why, uint32_t uid);
    void *arg;
};

/** What is asked about; all is borrowed for the call. */
struct silence_subject {
    const char *rule;
    const struct event *event;
    struct device device; /* of the event's host */
};

/** tree and work are borrowed: tree while a silence is added or restored, work while one is sought. */
void silences_init(struct silences *s, const struct clock *clock, struct silence_memory *memory, struct pattern_tree *tree,
                   struct matcher_work *work, struct journal *journal);
/** For journal_keeper, before journal_open. */
struct journal_keeper silences_keeper(struct silences *s);
/** After journal_open: those that were restored have their ends. silences_tick ends what is over. */
void silences_resume(struct silences *s);
/** As if there were none; nothing is recorded. */
void silences_forget(struct silences *s);
/** Before the journal is closed in good order: the time that the hub ran is known exactly. */
void silences_stop(struct silences *s);

/** Read {"host":"…","type":"…","labels":"…","rule":"…","why":"…","for_ms":N}: why and for_ms are required, and one of the others.
 * Return: 0, or NEFIA_EINVAL, NEFIA_ETOOBIG or of json_parse, with a sentence in why. */
int silence_parse(struct silence_request *out, const char *json, size_t len, struct text *why);
/** Return: its id; NEFIA_ESYNTAX, NEFIA_ETOOBIG: a pattern; NEFIA_EFULL: no place; with a sentence in why. The caller ends the turn. */
int64_t silences_add(struct silences *s, const struct silence_request *r, uint32_t uid, struct text *why);
/** Return: 0, or NEFIA_ENOTFOUND. The caller ends the turn. */
int silences_remove(struct silences *s, uint32_t id, uint32_t uid);
/** The next one behind `after` (0: the first) by its id; null: there is none. */
const struct silence *silences_next(const struct silences *s, uint32_t after);
/** How long it goes on; 0: it is over. */
uint64_t silences_left_ms(const struct silences *s, const struct silence *i);
/** Those that are over silence nothing from here on: before something is decided, so that the journal, where they end here,
 * is what silenced and what did not. Nothing is said yet. */
void silences_refresh(struct silences *s);
/** The first one, by its id, that silences this; null: none. Nothing is counted, and no clock is asked. */
const struct silence *silences_find(const struct silences *s, const struct silence_subject *q);
/** The same, and it is counted. */
const struct silence *silences_hit(struct silences *s, const struct silence_subject *q);
/** When silences_tick is due, by the clock; UINT64_MAX: never. */
uint64_t silences_due(const struct silences *s);
/** End those that are over, and keep the time in the journal. Return: is there something to be written? */
bool silences_tick(struct silences *s);

const char *silence_word(const struct silence *s, enum silence_word word);
/** Has the device all of the labels? "" : every device. */
bool silence_labels_fit(const char *labels, const struct device *device);
/** Does the pattern (host or type) match? None: it does. */
bool silence_pattern_fits(const struct silences *s, const struct silence *i, enum silence_word which, struct slice subject);
/** "silenced by #3 until 2026-03-10T15:30:00Z", or " for 1h30m more" where the clock is not set: at most RECENT_ERROR_MAX bytes. */
void silence_reason(struct text *t, const struct silences *s, const struct silence *i);
/** Members of an object: id, its words that are not empty, uid, since, until, left_ms, hits. */
void silence_put(struct json_writer *w, const struct silences *s, const struct silence *i);

#endif
