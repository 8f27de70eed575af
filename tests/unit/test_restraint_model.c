#include "hub_wired.h"

/* Random histories of events, causes, silences, ends of actions, reloads, restarts and kills through the whole pipeline, against a
 * plain reference: for each rule by its name a list of what it did and when, searched from its beginning. What the pipeline says of each
 * rule and event has to be what the reference says, with the figures.
 *
 * HISTORIES=100000 in the environment: more of them; HISTORY=4711: only that one. */

enum { NAMES = 5, HOSTS = 3, DATA = 3, STEPS = 60, LISTED = 400, MOST = 64 };
#ifdef __x86_64__
enum { HISTORIES = 1500 };
#else
enum { HISTORIES = 300 }; /* these are emulated */
#endif

static const char *const names[NAMES] = {"a", "b", "c", "d", "e"};
static const char *const hosts[HOSTS] = {"web", "db", "gw"};
static const uint8_t NAME[LINK_NAME] = "a name";

/* ---- Chance ---- */

static uint64_t random_state;

static unsigned chance(unsigned below)
{
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)((random_state >> 33) % below);
}

static bool one_in(unsigned n)
{
    return chance(n) == 0;
}

/* ---- The reference ---- */

/** What the rule's configuration says; 0: not given. */
struct config_of {
    bool there;
    uint64_t cooldown, within, once, pause;
    unsigned hourly, count, failures;
    bool per_host, per_path;
};
/** When something was, and for whom. */
struct moment {
    uint64_t at;
    char who[16];
};
struct list {
    struct moment m[LISTED];
    unsigned n;
};
struct rule_model {
    struct config_of is;
    struct list acted, in_hour, once, came;
    bool has_breaker, is_open, is_trying;
    unsigned failed;
    uint64_t opened, try_job;
    unsigned restrained;
};
static struct rule_model models[NAMES];
static uint64_t model_now; /* how long the hub has run */
static unsigned model_room;

static bool is_over(const struct moment *m, uint64_t window)
{
    return model_now - m->at >= window;
}

static void forget_over(struct list *l, uint64_t window)
{
    unsigned kept = 0;

    for (unsigned i = 0; i < l->n; i++)
        if (!is_over(&l->m[i], window))
            l->m[kept++] = l->m[i];
    l->n = kept;
}

/** Of those that are not over; who null: of all. */
static unsigned count_of(const struct list *l, const char *who, uint64_t window)
{
    unsigned n = 0;

    for (unsigned i = 0; i < l->n; i++)
        n += (!who || str_eq(l->m[i].who, who)) && !is_over(&l->m[i], window);
    return n;
}

static uint64_t first_of(const struct list *l, const char *who, uint64_t window)
{
    for (unsigned i = 0; i < l->n; i++)
        if ((!who || str_eq(l->m[i].who, who)) && !is_over(&l->m[i], window))
            return l->m[i].at;
    return 0;
}

/** Of those that are not over. */
static void drop_first(struct list *l, const char *who, uint64_t window)
{
    unsigned i = 0;

    while (i < l->n && ((who && !str_eq(l->m[i].who, who)) || is_over(&l->m[i], window)))
        i++;
    if (i == l->n)
        return;
    memmove(&l->m[i], &l->m[i + 1], (l->n - i - 1) * sizeof l->m[0]);
    l->n--;
}

static void keep_newest(struct list *l, const char *who, unsigned most)
{
    while (count_of(l, who, UINT64_MAX) > most)
        drop_first(l, who, UINT64_MAX);
}

static void add(struct list *l, const char *who)
{
    struct moment *m = &l->m[l->n++];

    CHECK(l->n < LISTED);
    m->at = model_now;
    snprintf(m->who, sizeof m->who, "%s", who);
}

static uint64_t hour_of(const struct rule_model *r)
{
    return r->is.hourly ? 3600000 : 0;
}

static uint64_t within_of(const struct rule_model *r)
{
    return r->is.count ? r->is.within : 0;
}

/** How many things have to be remembered now, of all rules. */
static unsigned remembered(void)
{
    unsigned n = 0;

    for (const struct rule_model *r = models; r < models + NAMES; r++)
        n += count_of(&r->acted, NULL, r->is.cooldown) + count_of(&r->in_hour, NULL, hour_of(r)) +
             count_of(&r->once, NULL, r->is.once) + count_of(&r->came, NULL, within_of(r)) + r->has_breaker;
    return n;
}

static void say_left(struct text *t, uint64_t since, uint64_t window)
{
    const uint64_t left = since + window - model_now;

    text_str(t, ", ");
    text_duration(t, left < 1000 ? left : left / 1000 * 1000);
    text_str(t, " left");
}

/** What the rule says of an event of that host and data that comes now. Return: "": its action may begin. */
static const char *model_judges(struct rule_model *r, const char *host, const char *key)
{
    static char why[128];
    struct text t;
    const unsigned used = remembered(), came = count_of(&r->came, host, within_of(r)), in_hour = count_of(&r->in_hour, NULL, hour_of(r));
    const bool counts = r->is.count > came;
    const unsigned acts = 0u + (r->is.cooldown > 0) + (r->is.hourly > 0) + (r->is.once > 0) + (r->is.failures > 0 && !r->has_breaker);

    text_init(&t, why, sizeof why);
    if (used + counts > model_room) {
        text_str(&t, "no memory");
    } else if (r->is.count && came + 1 < r->is.count) {
        text_str(&t, "after: ");
        text_u64(&t, came + 1);
        text_str(&t, " of ");
        text_u64(&t, r->is.count);
        text_str(&t, " within ");
        text_duration(&t, r->is.within);
    } else if (r->is_trying || (r->is_open && model_now - r->opened < r->is.pause)) {
        text_str(&t, "breaker open, ");
        text_u64(&t, r->failed);
        text_str(&t, r->failed == 1 ? " failure" : " failures");
        if (r->is_trying)
            text_str(&t, ", one action is tried");
        else
            say_left(&t, r->opened, r->is.pause);
    } else if (count_of(&r->acted, NULL, r->is.cooldown)) {
        text_str(&t, "cooldown ");
        text_duration(&t, r->is.cooldown);
        say_left(&t, first_of(&r->acted, NULL, r->is.cooldown), r->is.cooldown);
    } else if (r->is.hourly && in_hour >= r->is.hourly) {
        text_str(&t, "max_per_hour: ");
        text_u64(&t, in_hour);
        text_str(&t, " of ");
        text_u64(&t, r->is.hourly);
        say_left(&t, first_of(&r->in_hour, NULL, 3600000), 3600000);
    } else if (count_of(&r->once, key, r->is.once)) {
        text_str(&t, "once_within ");
        text_duration(&t, r->is.once);
        say_left(&t, first_of(&r->once, key, r->is.once), r->is.once);
    } else if (used - came + acts > model_room) {
        text_str(&t, "no memory");
    }
    return why;
}

/** The event came, whatever was decided. */
static void model_counts(struct rule_model *r, const char *host)
{
    if (!r->is.count)
        return;
    if (count_of(&r->came, host, within_of(r)) >= r->is.count)
        drop_first(&r->came, host, within_of(r));
    else if (remembered() >= model_room)
        return;
    add(&r->came, host);
}

static void model_acts(struct rule_model *r, const char *host, const char *key, uint64_t job)
{
    if (r->is.count)
        keep_newest(&r->came, host, 0);
    if (r->is.cooldown)
        add(&r->acted, "");
    if (r->is.hourly)
        add(&r->in_hour, "");
    if (r->is.once)
        add(&r->once, key);
    if (!r->is.failures)
        return;
    r->has_breaker = true;
    if (r->is_open) {
        r->is_trying = true;
        r->try_job = job;
    }
}

static void model_ends(struct rule_model *r, uint64_t job, bool done)
{
    if (!r->is.failures)
        return;
    if (!r->has_breaker) {
        if (remembered() >= model_room || done)
            return; /* no memory for it, or nothing to remember; the pipeline may keep a zero */
        r->has_breaker = true;
    }
    if (r->is_trying && r->try_job == job) {
        r->is_trying = false;
        r->is_open = !done;
        r->failed = done ? 0 : r->failed + 1;
        r->opened = model_now;
    } else if (!r->is_open) {
        r->failed = done ? 0 : r->failed + 1;
        if (!done && r->failed >= r->is.failures) {
            r->is_open = true;
            r->opened = model_now;
        }
    }
}

static void model_reloads(const struct config_of next[NAMES])
{
    for (unsigned i = 0; i < NAMES; i++) {
        struct rule_model *r = &models[i];

        forget_over(&r->acted, r->is.cooldown);
        forget_over(&r->in_hour, hour_of(r));
        forget_over(&r->once, r->is.once);
        forget_over(&r->came, within_of(r));
        r->restrained = r->is.there && next[i].there ? r->restrained : 0;
        r->is = next[i];
        if (!r->is.failures)
            r->has_breaker = r->is_open = r->is_trying = false, r->failed = 0;
        keep_newest(&r->in_hour, NULL, r->is.hourly);
        for (unsigned h = 0; h < HOSTS; h++)
            keep_newest(&r->came, hosts[h], r->is.count);
        r->acted.n = r->is.cooldown ? r->acted.n : 0;
        r->once.n = r->is.once ? r->once.n : 0;
    }
}

/* ---- The hub ---- */

static struct silence_memory silence_memory;
static struct pattern_tree silence_tree;
static struct matcher_work silence_work;
static struct silences silences;
static char silenced_rule[NAMES]; /* by name: silenced */
static uint32_t silence_ids[NAMES];
static uint64_t seq;

static int start_and_wait(const struct action_request *r, struct action_scratch *room, struct child_spec *spec, struct text *text)
{
    (void)r, (void)room, (void)text;
    spec->deadline_ms = 0;
    return ACTION_SENT;
}

static uint64_t pick(const uint64_t *from, unsigned n)
{
    return from[chance(n)];
}

/** Short and long, so that they end within a history and do not. */
static uint64_t some_window(void)
{
    static const uint64_t windows[] = {1, 40, 1000, 5000, 60000, 600000};

    return pick(windows, ARRAY_SIZE(windows));
}

static struct config_of some_config(void)
{
    struct config_of c = {.there = !one_in(6)};

    if (!c.there)
        return c;
    if (one_in(3))
        c.cooldown = some_window();
    if (one_in(3))
        c.hourly = 1 + chance(4);
    if (one_in(3)) {
        c.once = some_window();
        c.per_host = one_in(2);
        c.per_path = !c.per_host || one_in(2);
    }
    if (one_in(3)) {
        c.count = 2 + chance(3);
        c.within = some_window();
    }
    if (one_in(3)) {
        c.failures = 1 + chance(3);
        c.pause = some_window();
    }
    return c;
}

static void put_duration(struct text *t, const char *key, uint64_t ms)
{
    text_str(t, key);
    text_u64(t, ms);
    text_str(t, "ms\"");
}

static void put_config(struct text *t, const char *name, const struct config_of *c)
{
    text_str(t, "{\"name\":\"");
    text_str(t, name);
    text_str(t, "\",\"event_pattern\":\"^t$\",\"idempotent\":true");
    if (c->cooldown)
        put_duration(t, ",\"cooldown\":\"", c->cooldown);
    if (c->hourly) {
        text_str(t, ",\"max_per_hour\":");
        text_u64(t, c->hourly);
    }
    if (c->once) {
        put_duration(t, ",\"once_within\":\"", c->once);
        text_str(t, ",\"once_per\":[");
        text_str(t, c->per_path ? "\"data.path\"" : "");
        text_str(t, c->per_path && c->per_host ? "," : "");
        text_str(t, c->per_host ? "\"host\"]" : "]");
    }
    if (c->count) {
        text_str(t, ",\"after\":{\"count\":");
        text_u64(t, c->count);
        put_duration(t, ",\"within\":\"", c->within);
        text_str(t, "}");
    }
    if (c->failures) {
        text_str(t, ",\"breaker\":{\"failures\":");
        text_u64(t, c->failures);
        put_duration(t, ",\"pause\":\"", c->pause);
        text_str(t, "}");
    }
    text_str(t, "," EXEC "}");
}

/** Rules in a random order, so that their numbers change. */
static const char *rules_of(const struct config_of next[NAMES])
{
    static char json[FIXTURE_TEXT];
    struct text t;
    const unsigned first = chance(NAMES);
    bool any = false;

    text_init(&t, json, sizeof json);
    text_str(&t, "{\"rules\":[");
    for (unsigned i = 0; i < NAMES; i++) {
        const unsigned n = (first + i) % NAMES;

        if (!next[n].there)
            continue;
        text_str(&t, any ? "," : "");
        put_config(&t, names[n], &next[n]);
        any = true;
    }
    text_str(&t, "]}");
    return json;
}

static uint16_t rule_now(void *arg, uint16_t rule)
{
    const int i = rules_find(&rules, rules.sets[!rules.active].rules[rule].name);

    (void)arg;
    return i < 0 ? JOB_NO_RULE : (uint16_t)i;
}

/** As hub.c's; before the journal is opened. */
static void wire_silences(void)
{
    silences_init(&silences, &fake.clock, &silence_memory, &silence_tree, &silence_work, &journal);
    const struct journal_keeper silence_keeper = silences_keeper(&silences);
    journal_keeper(&journal, KEPT_SILENCES, &silence_keeper);
    pipeline.silences = &silences;
}

/** Whatever waits is sent. */
static void settle_hub(void)
{
    for (int i = 0; i < 12; i++)
        turn();
}

static void begin_history(uint64_t number)
{
    struct config_of first[NAMES];

    random_state = number * 0x9E3779B97F4A7C15u + 1;
    chance(2);
    model_room = one_in(3) ? 4 + chance(12) : MOST;
    mark_cap = model_room;
    model_now = 0;
    seq = 0;
    memset(models, 0, sizeof models);
    memset(silenced_rule, 0, sizeof silenced_rule);
    for (unsigned i = 0; i < NAMES; i++)
        models[i].is = first[i] = some_config();
    setup(rules_of(first));
    exec_class.start = start_and_wait;
    memset(&silence_memory, 0, sizeof silence_memory);
    wire_silences();
    open_state();
}

/* ---- What happens ---- */

static void reload_hub(void)
{
    struct config_of next[NAMES];

    for (unsigned i = 0; i < NAMES; i++)
        next[i] = one_in(2) ? some_config() : models[i].is;
    /* The actions of a rule that goes are not seen any more. */
    model_reloads(next);
    CHECK(fixture_load(&rules, rules_of(next), NULL) >= 0);
    pipeline_reloaded(&pipeline, rule_now, NULL);
    use_exec_class();
    exec_class.start = start_and_wait;
    jobs_rebind(&jobs, rule_now, NULL);
    settle_hub();
}

static void restart_hub(bool killed)
{
    const uint64_t ran = restraint_ran(&keeper);

    CHECK(ran == model_now);
    if (!killed) {
        silences_stop(&silences);
        pipeline_stop(&pipeline);
    }
    fake.now_ms += chance(10) * 1000; /* down */
    children_kill_all(&children);
    wire();
    memset(&silence_memory, 0, sizeof silence_memory);
    wire_silences();
    open_state();
    silences_resume(&silences);
    /* No more than it ran; and all of it, but for a second and what came after the last thing that was recorded. */
    CHECK(restraint_ran(&keeper) <= ran);
    if (!killed)
        CHECK(restraint_ran(&keeper) == ran);
    model_now = restraint_ran(&keeper);
    settle_hub();
}

static void silence_or_not(void)
{
    const unsigned i = chance(NAMES);
    struct silence_request r = {.for_ms = SILENCE_MOST_MS};
    char why_text[128];
    struct text why, t;

    text_init(&why, why_text, sizeof why_text);
    if (silenced_rule[i]) {
        CHECK_INT(silences_remove(&silences, silence_ids[i], 0), 0);
    } else {
        text_init(&t, r.text, sizeof r.text);
        for (unsigned word = 0; word < SILENCE_WORDS; word++) {
            r.at[word] = (uint16_t)t.len;
            text_str(&t, word == SILENCE_RULE ? names[i] : word == SILENCE_WHY ? "because" : "");
            text_char(&t, '\0');
        }
        const int64_t id = silences_add(&silences, &r, 0, &why);
        CHECK(id > 0);
        silence_ids[i] = (uint32_t)id;
    }
    silenced_rule[i] = !silenced_rule[i];
    turn();
}

static int model_of(const char *rule)
{
    for (int i = 0; i < NAMES; i++)
        if (str_eq(names[i], rule))
            return i;
    return -1;
}

/** Some action ends. */
static void end_one(void)
{
    const struct job *job = jobs_next(&jobs, 0);
    const bool done = one_in(2);

    for (unsigned i = chance(3); i > 0 && job && jobs_next(&jobs, job->id); i--)
        job = jobs_next(&jobs, job->id);
    if (!job)
        return;
    const uint64_t id = job->id;
    const int i = job->rule == JOB_NO_RULE ? -1 : model_of(job->name);
    CHECK_INT(job->state, JOB_SENT);
    if (i >= 0)
        model_ends(&models[i], id, done);
    CHECK_INT(jobs_answer(&jobs, id, done ? "" : "exit 1"), 0);
    settle_hub();
}

static const char *line_of(unsigned host, unsigned data, const bool causes[NAMES], unsigned more)
{
    static char buf[1024];
    struct text t;
    bool any = false;

    text_init(&t, buf, sizeof buf);
    text_str(&t, "{\"type\":\"t\",\"source\":\"s\",\"host_id\":\"");
    text_str(&t, hosts[host]);
    text_str(&t, "\",\"timestamp\":\"2026-03-10T15:30:00Z\",\"severity\":\"info\",\"boot\":1,\"seq\":");
    text_u64(&t, ++seq);
    text_str(&t, ",\"cause\":[");
    for (unsigned i = 0; i < NAMES + more; i++) {
        if (i < NAMES && !causes[i])
            continue;
        text_str(&t, any ? ",\"" : "\"");
        text_str(&t, i < NAMES ? names[i] : "other");
        text_char(&t, '"');
        any = true;
    }
    text_str(&t, "],\"data\":{");
    if (data > 0) {
        text_str(&t, "\"path\":\"/");
        text_u64(&t, data);
        text_char(&t, '"');
    }
    text_str(&t, "}}");
    return buf;
}

/** The key of once_within, in words. */
static const char *key_of(const struct config_of *c, unsigned host, unsigned data)
{
    static char key[16];

    snprintf(key, sizeof key, "%d%d %s %u", c->per_host, c->per_path, c->per_host ? hosts[host] : "", c->per_path ? data : 0);
    return key;
}

/** How often the reference said what: all of it has to come. */
static const char *const sayings[] = {"own effect: this", "own effect: 8", "silenced", "no memory", "after", "cooldown", "max_per_hour", "once_within",
                                      "breaker open, 1 failure, o", "breaker open, 1 failure, ", "breaker open, 2 failures, ", ""};
static uint64_t said[ARRAY_SIZE(sayings)];

static void note_saying(const char *why)
{
    unsigned i = 0;

    while (strncmp(why, sayings[i], strlen(sayings[i])) != 0)
        i++;
    said[i]++;
}

/** What the reference says of one rule; it then has counted it. */
static void check_row(const struct recent_row *r, unsigned host, unsigned data, const bool causes[NAMES], unsigned cause_count)
{
    const int i = model_of(r->rule);
    struct rule_model *m = &models[i];
    const char *key = key_of(&m->is, host, data);
    const char *why;

    CHECK(m->is.there);
    if (causes[i] || cause_count >= EVENT_CAUSES) {
        CHECK_INT(r->state, RECENT_RESTRAINED);
        why = causes[i] ? "own effect: this rule led to the event" : "own effect: 8 rules led to it, none acts";
        CHECK_STR(r->error, why);
        note_saying(why);
        m->restrained++;
    } else if (silenced_rule[i]) {
        CHECK_INT(r->state, RECENT_SILENCED);
        note_saying("silenced");
    } else {
        why = model_judges(m, hosts[host], key);
        model_counts(m, hosts[host]);
        CHECK_INT(r->state, *why ? RECENT_RESTRAINED : RECENT_PENDING);
        CHECK(strncmp(r->error, why, strlen(why)) == 0);
        note_saying(why);
        if (*why)
            m->restrained++;
        else
            model_acts(m, hosts[host], key, 0);
    }
}

/** Which job began last for the rule. */
static void note_jobs(uint64_t after)
{
    for (const struct job *job = NULL; (job = jobs_next(&jobs, job ? job->id : after)) != NULL;) {
        struct rule_model *m = &models[model_of(job->name)];

        if (m->is_trying && m->try_job == 0)
            m->try_job = job->id;
    }
}

static void event_comes(void)
{
    const struct event_source from = {.kind = WINDOW_LINK, .name = NAME};
    const unsigned host = chance(HOSTS), data = chance(DATA);
    bool causes[NAMES] = {0};
    unsigned cause_count = 0;
    struct event e;

    if (one_in(4))
        for (unsigned i = 0; i < NAMES; i++)
            cause_count += causes[i] = one_in(3);
    const unsigned more = cause_count && one_in(4) ? EVENT_CAUSES - cause_count : 0;
    cause_count += more;
    while (jobs_left(&jobs) + jobs.queues[0].states[JOB_SENT] > 5)
        end_one();
    const char *line = line_of(host, data, causes, more);
    const uint64_t first = recent.last_seq + 1, last_job = journal.last_id;
    CHECK_INT(pipeline_decode(&pipeline, line, strlen(line), &e, NULL), 0);
    CHECK_INT(pipeline_take(&pipeline, &e, &from), SEEN_NEW);
    for (uint64_t seq_of_row = first; seq_of_row <= recent.last_seq; seq_of_row++)
        if (*row(seq_of_row)->rule)
            check_row(row(seq_of_row), host, data, causes, cause_count);
    note_jobs(last_job);
    settle_hub();
}

static void time_passes(void)
{
    static const uint64_t steps[] = {0, 1, 10, 39, 40, 999, 1000, 4000, 60000, 300000, 1800000};
    const uint64_t ms = pick(steps, ARRAY_SIZE(steps));

    fake.now_ms += ms;
    model_now += ms;
    if (one_in(5))
        fake.now_s += (int64_t)chance(2000000) - 1000000; /* the wall clock is set */
}

static void check_figures(void)
{
    const struct rule_set *set = rules_active(&rules);

    for (unsigned i = 0; i < set->count; i++)
        CHECK_INT(set->rules[i].restrained, models[model_of(set->rules[i].name)].restrained);
}

static void run_history(uint64_t number)
{
    begin_history(number);
    for (unsigned step = 0; step < STEPS; step++) {
        const unsigned what = chance(20);

        time_passes();
        if (what < 12)
            event_comes();
        else if (what < 16)
            end_one();
        else if (what == 16)
            reload_hub();
        else if (what == 17)
            silence_or_not();
        else if (what == 18 && IS_ENABLED(CONFIG_HUB_STATE))
            restart_hub(one_in(2));
    }
    check_figures();
    journal_close(&journal);
}

TEST(random_histories)
{
    const char *one = getenv("HISTORY"), *most = getenv("HISTORIES");
    const uint64_t first = one ? strtoull(one, NULL, 10) : 1, last = one ? first : most ? strtoull(most, NULL, 10) : HISTORIES;

    if (!IS_ENABLED(CONFIG_HUB_RESTRAINT))
        return;
    if (!IS_ENABLED(CONFIG_HUB_JOBS_WAIT))
        return;
    for (uint64_t n = first; n <= last; n++) {
        const unsigned failed = check_failures;

        run_history(n);
        if (check_failures != failed) {
            fprintf(stderr, "history %llu\n", (unsigned long long)n);
            return;
        }
    }
    for (unsigned i = 0; !one && i < ARRAY_SIZE(sayings); i++)
        CHECK(said[i] > 100);
}

TEST_MAIN(random_histories)
