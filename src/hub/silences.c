#include "nefia/hub/silences.h"

#include <string.h>

#include "nefia/base/err.h"
#include "nefia/sys/log.h"

/* What is kept: in the slot of a silence id, uid, the five times below and its words; in SLOT_TIME the time that the hub ran,
 * how much of it is ahead, and the last id. */
enum {
    SLOT_TIME = 0xFFFF,
    TIME_BYTES = 8 + 4 + 4,
    SILENCE_HEAD = 4 + 4 + 8 + 8 + 8 + 8,
    REQUEST_TOKENS = 32,
    ESCAPED_MOST = 6, /* bytes for one, in JSON */
};

const char silence_words[] = "host\0type\0labels\0rule\0why\0";

/* ---- Time ---- */

static uint64_t now_ms(const struct silences *s)
{
    return s->ran_ms + (clock_ms(s->clock) - s->since_ms);
}

static uint64_t lesser(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/** Until its end by the wall clock; UINT64_MAX: that says nothing. */
static uint64_t wall_left_ms(const struct silences *s, const struct silence *i)
{
    if (i->until_s == 0 || !clock_synced(s->clock))
        return UINT64_MAX;
    const int64_t left = i->until_s - clock_unix(s->clock);
    return left <= 0 ? 0 : (uint64_t)left * 1000;
}

uint64_t silences_left_ms(const struct silences *s, const struct silence *i)
{
    const uint64_t now = now_ms(s);

    return i->over || i->ends_ms <= now ? 0 : lesser(i->ends_ms - now, wall_left_ms(s, i));
}

/* ---- Its words ---- */

const char *silence_word(const struct silence *s, enum silence_word word)
{
    return s->words.text + s->words.at[word];
}

/** How much of the text they take. */
static size_t words_len(const struct silence_request *r)
{
    return r->at[SILENCE_WORDS - 1] + strlen(r->text + r->at[SILENCE_WORDS - 1]) + 1;
}

/** Return: false if these are not exactly its words. */
static bool words_take(struct silence_request *r, const uint8_t *bytes, size_t len)
{
    size_t at = 0;

    if (len > sizeof r->text)
        return false;
    memcpy(r->text, bytes, len);
    for (unsigned i = 0; i < SILENCE_WORDS; i++) {
        const char *end = memchr(r->text + at, '\0', len - at);
        if (!end)
            return false;
        r->at[i] = (uint16_t)at;
        at = (size_t)(end - r->text) + 1;
    }
    return at == len;
}

static bool label_is(const struct device *device, struct slice key, struct slice value)
{
    for (unsigned i = 0; i < device->label_count; i++)
        if (slice_eq(key, device->labels[i].key) && slice_eq(value, device->labels[i].value))
            return true;
    return false;
}

bool silence_labels_fit(const char *labels, const struct device *device)
{
    while (*labels) {
        const size_t key = strcspn(labels, "=,"), value = labels[key] == '=' ? strcspn(labels + key + 1, ",") : 0;
        const char *at = labels + key + (labels[key] == '=');

        if (!label_is(device, (struct slice){labels, key}, (struct slice){at, value}))
            return false;
        labels = at + value;
        labels += *labels == ',';
    }
    return true;
}

static struct matcher_store store_of(const struct silences *s, const struct silence *i)
{
    return (struct matcher_store){.ops = s->memory->ops + i->op_at,
                                  .ranges = s->memory->ranges + i->range_at,
                                  .op_cap = i->op_count,
                                  .range_cap = i->range_count,
                                  .ops_used = i->op_count,
                                  .ranges_used = i->range_count};
}

bool silence_pattern_fits(const struct silences *s, const struct silence *i, enum silence_word which, struct slice subject)
{
    const struct matcher *m = &i->patterns[which];
    const struct matcher_store store = store_of(s, i);

    return m->count == 0 || m->always || matcher_find(m, &store, s->work, subject.ptr, subject.len, NULL);
}

/* ---- Places ---- */

void silences_init(struct silences *s, const struct clock *clock, struct silence_memory *memory, struct pattern_tree *tree,
                   struct matcher_work *work, struct journal *journal)
{
    *s = (struct silences){.clock = clock, .memory = memory, .tree = tree, .work = work, .journal = journal};
    s->since_ms = clock_ms(clock);
    for (unsigned i = 0; memory && i < CONFIG_SILENCES; i++)
        memory->slots[i].id = 0;
}

void silences_forget(struct silences *s)
{
    s->count = 0;
    for (unsigned i = 0; i < CONFIG_SILENCES; i++)
        s->memory->slots[i] = (struct silence){0};
}

static struct silence *free_slot(struct silences *s)
{
    for (unsigned i = 0; i < CONFIG_SILENCES; i++)
        if (s->memory->slots[i].id == 0)
            return &s->memory->slots[i];
    return NULL;
}

/** The first place behind all programs. */
static struct matcher_store store_left(const struct silences *s)
{
    unsigned ops = 0, ranges = 0;

    for (unsigned i = 0; i < CONFIG_SILENCES; i++) {
        const struct silence *k = &s->memory->slots[i];
        if (k->id == 0)
            continue;
        ops += k->op_count;
        ranges += k->range_count;
    }
    return (struct matcher_store){.ops = s->memory->ops + ops,
                                  .ranges = s->memory->ranges + ranges,
                                  .op_cap = (uint16_t)(CONFIG_SILENCE_OPS - ops),
                                  .range_cap = (uint16_t)(CONFIG_SILENCE_RANGES - ranges)};
}

static int compile_one(struct silences *s, struct silence *i, enum silence_word which, struct matcher_store *store, struct text *why)
{
    char reason_buf[160];
    struct text reason;
    const char *re = silence_word(i, which);

    i->patterns[which] = (struct matcher){0};
    if (!*re)
        return 0;
    text_init(&reason, reason_buf, sizeof reason_buf);
    int err = matcher_compile(&i->patterns[which], store, re, strlen(re), s->tree, &reason);
    if (err == 0)
        return 0;
    text_str(why, word_at(silence_words, which));
    text_str(why, ": \"");
    text_printable(why, re, strlen(re));
    text_str(why, "\": ");
    text_str(why, err == NEFIA_EFULL ? HINTED("no room beside the patterns of the other silences",
                                              "; remove one, or raise CONFIG_SILENCE_OPS or CONFIG_SILENCE_RANGES")
                                     : reason.buf);
    return err;
}

/** Its patterns, behind those of the others. */
static int compile(struct silences *s, struct silence *i, struct text *why)
{
    struct matcher_store store = store_left(s);

    i->op_at = (uint16_t)(store.ops - s->memory->ops);
    i->range_at = (uint16_t)(store.ranges - s->memory->ranges);
    int err = compile_one(s, i, SILENCE_HOST, &store, why);
    if (err == 0)
        err = compile_one(s, i, SILENCE_TYPE, &store, why);
    i->op_count = store.ops_used;
    i->range_count = store.ranges_used;
    return err;
}

static uint16_t slot_of(const struct silences *s, const struct silence *i)
{
    return (uint16_t)(i - s->memory->slots);
}

/** Free a place: what lies behind its programs moves up. */
static void drop(struct silences *s, struct silence *gone)
{
    struct silence_memory *m = s->memory;
    const size_t op_end = gone->op_at + (size_t)gone->op_count, range_end = gone->range_at + (size_t)gone->range_count;

    memmove(m->ops + gone->op_at, m->ops + op_end, (CONFIG_SILENCE_OPS - op_end) * sizeof m->ops[0]);
    memmove(m->ranges + gone->range_at, m->ranges + range_end, (CONFIG_SILENCE_RANGES - range_end) * sizeof m->ranges[0]);
    for (unsigned i = 0; i < CONFIG_SILENCES; i++) {
        struct silence *k = &m->slots[i];
        k->op_at = (uint16_t)(k->op_at - (k->op_at > gone->op_at ? gone->op_count : 0));
        k->range_at = (uint16_t)(k->range_at - (k->range_at > gone->range_at ? gone->range_count : 0));
    }
    gone->id = 0;
    s->count--;
}

/* ---- The journal ---- */

static void keep_time(struct silences *s, uint32_t ahead_ms)
{
    uint8_t bytes[TIME_BYTES];

    s->kept_ms = now_ms(s) + ahead_ms;
    put_be64(bytes, s->kept_ms);
    put_be32(bytes + 8, ahead_ms);
    put_be32(bytes + 12, s->last_id);
    journal_keep(s->journal, KEPT_SILENCES, SLOT_TIME, bytes, sizeof bytes);
}

static void keep(struct silences *s, const struct silence *i)
{
    uint8_t bytes[SILENCE_HEAD + SILENCE_TEXT];
    const size_t len = words_len(&i->words);

    put_be32(bytes, i->id);
    put_be32(bytes + 4, i->uid);
    put_be64(bytes + 8, i->for_ms);
    put_be64(bytes + 16, i->ends_ms);
    put_be64(bytes + 24, (uint64_t)i->since_s);
    put_be64(bytes + 32, (uint64_t)i->until_s);
    memcpy(bytes + SILENCE_HEAD, i->words.text, len);
    journal_keep(s->journal, KEPT_SILENCES, slot_of(s, i), bytes, SILENCE_HEAD + len);
}

static void hook_copy(void *arg)
{
    struct silences *s = arg;

    silences_resume(s);
    if (s->last_id > 0)
        keep_time(s, s->count > 0 ? SILENCE_KEEP_MS : 0);
    for (unsigned i = 0; i < CONFIG_SILENCES; i++)
        if (s->memory->slots[i].id > 0 && !s->memory->slots[i].over)
            keep(s, &s->memory->slots[i]);
}

static void restore_one(struct silences *s, struct silence *i, const uint8_t *bytes, size_t len)
{
    struct text why;
    char why_buf[256];

    if (i->id > 0)
        drop(s, i);
    if (len <= SILENCE_HEAD || get_be32(bytes) == 0 || !words_take(&i->words, bytes + SILENCE_HEAD, len - SILENCE_HEAD))
        return;
    i->uid = get_be32(bytes + 4);
    i->for_ms = get_be64(bytes + 8);
    i->ends_ms = get_be64(bytes + 16);
    i->since_s = (int64_t)get_be64(bytes + 24);
    i->until_s = (int64_t)get_be64(bytes + 32);
    i->hits = 0;
    i->over = false;
    text_init(&why, why_buf, sizeof why_buf);
    if (compile(s, i, &why) < 0) {
        LOG_WARN("silence #", DEC(get_be32(bytes)), " of before the restart is dropped: ", why.buf);
        return;
    }
    i->id = get_be32(bytes);
    s->last_id = i->id > s->last_id ? i->id : s->last_id;
    s->count++;
}

static void hook_restore(void *arg, uint16_t slot, const uint8_t *bytes, size_t len)
{
    struct silences *s = arg;

    if (slot < CONFIG_SILENCES) {
        restore_one(s, &s->memory->slots[slot], bytes, len);
    } else if (slot == SLOT_TIME && len == TIME_BYTES) {
        s->ran_ms = get_be64(bytes);
        s->slack_ms = get_be32(bytes + 8);
        s->last_id = get_be32(bytes + 12) > s->last_id ? get_be32(bytes + 12) : s->last_id;
    }
}

struct journal_keeper silences_keeper(struct silences *s)
{
    return s->memory ? (struct journal_keeper){.restore = hook_restore, .copy = hook_copy, .arg = s} : (struct journal_keeper){0};
}

void silences_resume(struct silences *s)
{
    if (s->resumed || !s->memory)
        return;
    s->resumed = true;
    s->since_ms = clock_ms(s->clock);
    for (unsigned i = 0; i < CONFIG_SILENCES; i++) {
        struct silence *k = &s->memory->slots[i];
        const uint64_t left = k->ends_ms > s->ran_ms ? k->ends_ms - s->ran_ms : 0, wall = wall_left_ms(s, k);
        /* The wall clock knows what of the slack was not run. */
        if (k->id > 0 && wall != UINT64_MAX && wall > left)
            k->ends_ms = s->ran_ms + lesser(lesser(wall, left + s->slack_ms), k->for_ms);
    }
}

void silences_stop(struct silences *s)
{
    if (s->memory && s->last_id > 0)
        keep_time(s, 0);
}

/* ---- Reading a request ---- */

static int refuse(struct text *why, int err, const char *name, const char *what)
{
    text_str(why, name);
    text_str(why, what);
    return err;
}

static bool is_plain_text(const char *s, size_t len)
{
    uint32_t cp;
    size_t skip;

    return utf8_harmless(s, len, &cp, &skip) == len;
}

/** Append a word of the request to its text. */
static int take_word(struct silence_request *r, size_t *used, const struct json_doc *d, const char *name, struct text *why)
{
    const int value = json_member(d, 0, name);
    struct text t;

    text_init(&t, r->text + *used, sizeof r->text - *used);
    if (value > 0 && json_at(d, (unsigned)value)->type != JSON_STRING)
        return refuse(why, NEFIA_EINVAL, name, ": a string is wanted");
    if (value > 0 && json_string(d, (unsigned)value, &t) < 0)
        return refuse(why, NEFIA_ETOOBIG, name, ": too long; all words of a silence together have " LITERAL(SILENCE_TEXT) " bytes");
    if (!is_plain_text(t.buf, t.len))
        return refuse(why, NEFIA_EINVAL, name, ": has control or hidden characters");
    *used += t.len + 1;
    return *used < sizeof r->text ? 0
                                  : refuse(why, NEFIA_ETOOBIG, name, ": too long; all words of a silence together have " LITERAL(
                                                                         SILENCE_TEXT) " bytes");
}

static bool is_known(const char *name, size_t len)
{
    return word_index(silence_words, (struct slice){name, len}) >= 0 || slice_eq((struct slice){name, len}, "for_ms");
}

static int check_names(const struct json_doc *d, struct text *why)
{
    if (json_at(d, 0)->type != JSON_OBJECT)
        return refuse(why, NEFIA_EINVAL, "", "an object is wanted");
    for (unsigned key = 1; key < json_at(d, 0)->next; key = json_at(d, key + 1)->next) {
        const struct slice name = json_raw(d, key);
        if (!is_known(name.ptr, name.len))
            return refuse(why, NEFIA_EINVAL, "", "a silence has host, type, labels, rule, why and for_ms");
    }
    return 0;
}

/** Is each of them KEY=VALUE, neither empty? */
static bool labels_are_well(const char *labels)
{
    while (*labels) {
        const size_t len = strcspn(labels, ","), key = strcspn(labels, "=");

        if (key == 0 || key + 1 >= len || (labels[len] == ',' && labels[len + 1] == '\0'))
            return false;
        labels += len + (labels[len] == ',');
    }
    return true;
}

static int check_request(const struct silence_request *r, struct text *why)
{
    const char *reason = r->text + r->at[SILENCE_WHY];

    if (!*reason)
        return refuse(why, NEFIA_EINVAL, "why", ": say the reason" REMEDY(", for whoever sees that nothing acts"));
    if (strlen(reason) > SILENCE_WHY_MAX)
        return refuse(why, NEFIA_ETOOBIG, "why", ": more than " LITERAL(SILENCE_WHY_MAX) " bytes");
    if (!r->text[r->at[SILENCE_HOST]] && !r->text[r->at[SILENCE_TYPE]] && !r->text[r->at[SILENCE_LABELS]] &&
        !r->text[r->at[SILENCE_RULE]])
        return refuse(why, NEFIA_EINVAL, "", "host, type, label or rule is needed" REMEDY("; host '.*' silences everything"));
    if (!labels_are_well(r->text + r->at[SILENCE_LABELS]))
        return refuse(why, NEFIA_EINVAL, "label", ": KEY=VALUE is wanted, or several with commas between them");
    if (r->for_ms < SILENCE_LEAST_MS)
        return refuse(why, NEFIA_EINVAL, "for", ": at least 1s");
    if (r->for_ms > SILENCE_MOST_MS)
        return refuse(why, NEFIA_ETOOBIG, "for", ": at most 30d" REMEDY("; what is to be silent for longer is a rule to change"));
    return 0;
}

int silence_parse(struct silence_request *out, const char *json, size_t len, struct text *why)
{
    struct json_token tokens[REQUEST_TOKENS];
    struct json_doc d;
    size_t used = 0;
    int64_t for_ms = 0;

    int err = json_parse(&d, json, len, tokens, REQUEST_TOKENS, 1, NULL);
    if (err < 0)
        return refuse(why, err, "", "not a request for a silence");
    err = check_names(&d, why);
    memset(out, 0, sizeof *out);
    for (unsigned i = 0; i < SILENCE_WORDS && err == 0; i++) {
        out->at[i] = (uint16_t)used;
        err = take_word(out, &used, &d, word_at(silence_words, i), why);
    }
    if (err < 0)
        return err;
    const int value = json_member(&d, 0, "for_ms");
    if (value < 0 || json_i64(&d, (unsigned)value, &for_ms) < 0 || for_ms < 0)
        return refuse(why, NEFIA_EINVAL, "for", ": how long is wanted, such as 2h");
    out->for_ms = (uint64_t)for_ms;
    return check_request(out, why);
}

/* ---- Adding and ending ---- */

int64_t silences_add(struct silences *s, const struct silence_request *r, uint32_t uid, struct text *why)
{
    struct silence *i = s->memory ? free_slot(s) : NULL;

    if (!i)
        return refuse(why, NEFIA_EFULL, "",
                      HINTED("too many silences (CONFIG_SILENCES=" LITERAL(CONFIG_SILENCES) ")", "; remove one first"));
    i->words = *r;
    int err = compile(s, i, why);
    if (err < 0)
        return err;
    i->id = ++s->last_id;
    i->uid = uid;
    i->for_ms = r->for_ms;
    i->ends_ms = now_ms(s) + r->for_ms;
    i->since_s = clock_unix(s->clock);
    i->until_s = clock_synced(s->clock) ? i->since_s + (int64_t)((r->for_ms + 999) / 1000) : 0;
    i->hits = 0;
    i->over = false;
    s->count++;
    keep_time(s, SILENCE_KEEP_MS);
    keep(s, i);
    return i->id;
}

static void end_one(struct silences *s, struct silence *i, enum silence_end why, uint32_t uid)
{
    if (s->ended)
        s->ended(s->arg, i, why, uid);
    if (!i->over)
        journal_keep(s->journal, KEPT_SILENCES, slot_of(s, i), NULL, 0);
    drop(s, i);
}

void silences_refresh(struct silences *s)
{
    for (unsigned i = 0; s->count > 0 && i < CONFIG_SILENCES; i++) {
        struct silence *k = &s->memory->slots[i];
        if (k->id == 0 || k->over || silences_left_ms(s, k) > 0)
            continue;
        k->over = true;
        journal_keep(s->journal, KEPT_SILENCES, slot_of(s, k), NULL, 0);
    }
}

int silences_remove(struct silences *s, uint32_t id, uint32_t uid)
{
    for (unsigned i = 0; s->memory && id > 0 && i < CONFIG_SILENCES; i++)
        if (s->memory->slots[i].id == id) {
            end_one(s, &s->memory->slots[i], SILENCE_REMOVED, uid);
            return 0;
        }
    return NEFIA_ENOTFOUND;
}

const struct silence *silences_next(const struct silences *s, uint32_t after)
{
    const struct silence *next = NULL;

    for (unsigned i = 0; s->memory && i < CONFIG_SILENCES; i++) {
        const struct silence *k = &s->memory->slots[i];
        if (k->id > after && (!next || k->id < next->id))
            next = k;
    }
    return next;
}

uint64_t silences_due(const struct silences *s)
{
    uint64_t left = UINT64_MAX;
    const uint64_t now = now_ms(s);

    for (const struct silence *i = NULL; s->count > 0 && (i = silences_next(s, i ? i->id : 0)) != NULL;)
        left = lesser(left, silences_left_ms(s, i));
    if (s->count > 0)
        left = lesser(left, s->kept_ms > now ? s->kept_ms - now : 0);
    return left == UINT64_MAX ? left : clock_ms(s->clock) + left;
}

bool silences_tick(struct silences *s)
{
    bool any = false;

    silences_refresh(s);
    for (unsigned i = 0; s->count > 0 && i < CONFIG_SILENCES; i++) {
        struct silence *k = &s->memory->slots[i];
        if (k->id == 0 || !k->over)
            continue;
        end_one(s, k, SILENCE_EXPIRED, 0);
        any = true;
    }
    if (s->count == 0 || now_ms(s) < s->kept_ms)
        return any;
    keep_time(s, SILENCE_KEEP_MS);
    return true;
}

/* ---- Asking ---- */

static bool fits(const struct silences *s, const struct silence *i, const struct silence_subject *q)
{
    const char *rule = silence_word(i, SILENCE_RULE);

    return !i->over && (!*rule || str_eq(rule, q->rule)) &&
           silence_labels_fit(silence_word(i, SILENCE_LABELS), &q->device) &&
           silence_pattern_fits(s, i, SILENCE_TYPE, q->event->type) && silence_pattern_fits(s, i, SILENCE_HOST, q->event->host_id);
}

const struct silence *silences_find(const struct silences *s, const struct silence_subject *q)
{
    for (const struct silence *i = NULL; s->count > 0 && (i = silences_next(s, i ? i->id : 0)) != NULL;)
        if (fits(s, i, q))
            return i;
    return NULL;
}

const struct silence *silences_hit(struct silences *s, const struct silence_subject *q)
{
    const struct silence *found = silences_find(s, q);

    if (!found)
        return NULL;
    s->memory->slots[slot_of(s, found)].hits++;
    s->silenced++;
    return found;
}

/* ---- Saying ---- */

void silence_reason(struct text *t, const struct silences *s, const struct silence *i)
{
    text_str(t, "silenced by #");
    text_u64(t, i->id);
    if (i->until_s > 0 && clock_synced(s->clock)) {
        text_str(t, " until ");
        text_rfc3339(t, i->until_s);
        return;
    }
    text_str(t, " for ");
    text_duration(t, (silences_left_ms(s, i) + 999) / 1000 * 1000);
    text_str(t, " more");
}

void silence_put(struct json_writer *w, const struct silences *s, const struct silence *i)
{
    json_put_u64(w, "id", i->id);
    for (unsigned word = 0; word < SILENCE_WORDS; word++)
        if (*silence_word(i, (enum silence_word)word))
            json_put_string(w, word_at(silence_words, word), silence_word(i, (enum silence_word)word));
    json_put_u64(w, "uid", i->uid);
    json_put_time(w, "since", i->since_s);
    if (i->until_s > 0)
        json_put_time(w, "until", i->until_s);
    else
        json_put_null(w, "until");
    json_put_u64(w, "left_ms", (silences_left_ms(s, i) + 999) / 1000 * 1000);
    json_put_u64(w, "silenced", i->hits);
}
