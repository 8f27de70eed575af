#include "nefia/hub/silence_verbs.h"

#include <string.h>

#include "nefia/base/err.h"
#include "nefia/sys/cli.h"
#include "nefia/sys/log.h"

/** "host prod-.*, rule restart-web": what it silences. */
static void put_subject(struct text *t, const struct silence *s)
{
    for (unsigned word = SILENCE_HOST; word < SILENCE_WHY; word++) {
        const char *value = silence_word(s, (enum silence_word)word);
        if (!*value)
            continue;
        text_str(t, t->len > 0 ? ", " : "");
        text_str(t, word_at(silence_words, word));
        text_char(t, ' ');
        text_printable(t, value, strlen(value));
    }
}

/* ---- Ending ---- */

static void emit_expired(struct pipeline *p, const struct silence *s)
{
    char buf[SILENCE_TEXT * 6 + 256];
    struct json_writer w;
    struct text data;

    text_init(&data, buf, sizeof buf);
    json_begin(&w, &data);
    json_object(&w, NULL);
    json_put_u64(&w, "silence", s->id);
    for (unsigned word = 0; word < SILENCE_WORDS; word++)
        if (*silence_word(s, (enum silence_word)word))
            json_put_string(&w, word_at(silence_words, word), silence_word(s, (enum silence_word)word));
    json_put_u64(&w, "silenced", s->hits);
    json_end_object(&w);
    pipeline_emit(p, "hub.silence_expired", SEVERITY_INFO, (struct slice){data.buf, data.len});
}

void silence_verbs_ended(void *arg, const struct silence *s, enum silence_end why, uint32_t uid)
{
    struct pipeline *p = arg;
    const bool expired = why == SILENCE_EXPIRED;
    char buf[SILENCE_TEXT + 32];
    struct text subject;

    text_init(&subject, buf, sizeof buf);
    put_subject(&subject, s);
    LOG_INFO("silence #", DEC(s->id), expired ? " has expired (" : " removed (", subject.buf,
             "); since the hub started it has silenced ", DEC(s->hits), s->hits == 1 ? " match" : " matches");
    audit_silence(p->audit, AUDIT_SILENCE_ENDED, s, expired ? "expired" : "removed", expired ? AUDIT_NOBODY : uid);
    if (expired)
        emit_expired(p, s);
}

/* ---- Adding ---- */

int silence_verb_add(void *arg, struct control_cursor *c, const char *args, struct text *why)
{
    const struct status_view *v = arg;
    struct silences *s = v->pipeline->silences;
    struct silence_request r;
    char buf[SILENCE_TEXT + 32];
    struct text subject;

    int err = silence_parse(&r, args, strlen(args), why);
    c->exit = CLI_WRONG;
    if (err < 0)
        return err;
    const int64_t id = silences_add(s, &r, c->uid, why);
    if (id < 0)
        return (int)id;
    c->exit = CLI_FINE;
    const struct silence *added = silences_next(s, (uint32_t)id - 1);
    text_init(&subject, buf, sizeof buf);
    put_subject(&subject, added);
    LOG_INFO("silence #", DEC(id), " added by user ", DEC(c->uid), ": ", subject.buf, ": ", silence_word(added, SILENCE_WHY));
    audit_silence(v->pipeline->audit, AUDIT_SILENCE_ADDED, added, NULL, c->uid);
    pipeline_turn_end(v->pipeline);
    if (v->silence_added)
        v->silence_added(v->arg);
    c->seq = (uint64_t)id;
    return 0;
}

/** Does any host that the hub knows by name have that: an item of reactor.hosts, or a recent event? */
static bool some_host_fits(const struct pipeline *p, const struct silence *s)
{
    const struct hub_settings *devices = IS_ENABLED(CONFIG_HUB_DEVICES) ? p->devices : NULL;
    const char *labels = silence_word(s, SILENCE_LABELS);
    struct recent_view row;

    for (unsigned i = 0; devices && i < devices->host_count; i++) {
        const struct host_item *h = &devices->hosts[i];
        const struct device device = {h->role, &devices->labels[h->first_label], h->label_count};
        if (silence_pattern_fits(p->silences, s, SILENCE_HOST, (struct slice){h->host_id, strlen(h->host_id)}) &&
            silence_labels_fit(labels, &device))
            return true;
    }
    for (uint64_t seq = recent_oldest(p->recent); !*labels && seq <= p->recent->last_seq; seq++)
        if (recent_get(p->recent, seq, &row) && silence_pattern_fits(p->silences, s, SILENCE_HOST, row.host))
            return true;
    return false;
}

static bool some_type_fits(const struct pipeline *p, const struct silence *s)
{
    struct recent_view row;

    for (uint64_t seq = recent_oldest(p->recent); seq <= p->recent->last_seq; seq++)
        if (recent_get(p->recent, seq, &row) && silence_pattern_fits(p->silences, s, SILENCE_TYPE, row.type))
            return true;
    return false;
}

/** What is strange about it; null: nothing, or no more. */
static const char *warning_of(const struct pipeline *p, const struct silence *s, unsigned which)
{
    const char *rule = silence_word(s, SILENCE_RULE);
    const bool host = *silence_word(s, SILENCE_HOST) || *silence_word(s, SILENCE_LABELS);

    if (which == 0 && *rule && rules_find(p->rules, rule) < 0)
        return "there is no such rule";
    if (which == 1 && host && !some_host_fits(p, s))
        return "no device in reactor.hosts and no recent event fits its host and labels";
    if (which == 2 && *silence_word(s, SILENCE_TYPE) && !some_type_fits(p, s))
        return "no recent event is of such a type";
    if (which == 3 && !pipeline_is_written(p))
        return "the journal cannot be written: now it would not outlive a restart";
    return NULL;
}

static bool put_warning(struct text *out, const struct pipeline *p, const struct silence *s, struct control_cursor *c)
{
    const char *said = NULL;
    struct json_writer w;

    while (!said && c->step < 4)
        said = warning_of(p, s, c->step++);
    if (!said)
        return false;
    json_begin(&w, out);
    json_object(&w, NULL);
    json_put_string(&w, "warning", said);
    json_end_object(&w);
    return true;
}

static void put_silence(struct text *out, const struct silences *s, const struct silence *i)
{
    struct json_writer w;

    json_begin(&w, out);
    json_object(&w, NULL);
    json_object(&w, "silence");
    silence_put(&w, s, i);
    json_end_object(&w);
    json_end_object(&w);
}

int silence_verb_added(void *arg, struct control_cursor *c, struct text *out)
{
    const struct pipeline *p = ((const struct status_view *)arg)->pipeline;
    const struct silence *s = silences_next(p->silences, (uint32_t)c->seq - 1);

    if (!s || s->id != c->seq)
        return 0;
    if (c->flag)
        return put_warning(out, p, s, c);
    c->flag = true;
    put_silence(out, p->silences, s);
    return 1;
}

/* ---- Listing and removing ---- */

int silence_verb_list(void *arg, struct control_cursor *c, struct text *out)
{
    const struct status_view *v = arg;
    const struct silence *s = silences_next(v->pipeline->silences, (uint32_t)c->seq);

    if (!s)
        return 0;
    c->seq = s->id;
    put_silence(out, v->pipeline->silences, s);
    return 1;
}

int silence_verb_remove(void *arg, struct control_cursor *c, const char *args, struct text *why)
{
    const struct status_view *v = arg;
    struct silences *s = v->pipeline->silences;
    uint64_t id;

    if (parse_u64(args, strlen(args), &id) < 0 || id == 0 || id > UINT32_MAX) {
        text_str(why, "the number of a silence is wanted" REMEDY(", as `nefia silence list` shows it"));
        return NEFIA_EINVAL;
    }
    const struct silence *found = silences_next(s, (uint32_t)id - 1);
    if (!found || found->id != id) {
        text_str(why, "there is no silence #");
        text_u64(why, id);
        return NEFIA_ENOTFOUND;
    }
    c->seq = found->hits;
    c->index = (uint32_t)id;
    silences_remove(s, (uint32_t)id, c->uid);
    pipeline_turn_end(v->pipeline);
    if (v->silence_added)
        v->silence_added(v->arg);
    return 0;
}

int silence_verb_removed(void *arg, struct control_cursor *c, struct text *out)
{
    struct json_writer w;

    (void)arg;
    if (c->flag)
        return 0;
    c->flag = true;
    json_begin(&w, out);
    json_object(&w, NULL);
    json_object(&w, "removed");
    json_put_u64(&w, "id", c->index);
    json_put_u64(&w, "silenced", c->seq);
    json_end_object(&w);
    json_end_object(&w);
    return 1;
}
