#include <string.h>

#include "nefia/beacon/beacon.h"
#include "nefia/sys/cli.h"
#include "nefia/base/err.h"

enum {
    ROW_BYTES = 256,
    ASK_MS = 10 * 1000,
    EMIT_TOKENS = 136, /* 64 members and the object, with room */
};

static const char *const result_words[] = {
    [INSTANCE_NOT_RUN] = "not run yet",
    [INSTANCE_RUNNING] = "running",
    [INSTANCE_OK] = "ok",
    [INSTANCE_FAILED] = "failed",
};

static uint64_t now_ms(const struct beacon *b)
{
    return clock_ms(b->loop.clock);
}

/** Full seconds, at least "0s". */
static void put_age(struct text *t, uint64_t ms)
{
    if (ms < 1000)
        text_str(t, "0s");
    else
        text_duration(t, ms / 1000 * 1000);
}

static void put_strings(struct text *t, const char *const *parts)
{
    for (; *parts; parts++)
        text_str(t, *parts);
}
#define PUT(t, ...) put_strings(t, (const char *const[]){__VA_ARGS__, NULL})

/* ---- rows of the table ---- */

static void row_program(const struct beacon *b, struct text *t)
{
    PUT(t, "nefia-beacon ", cli_version(), " (", cli_board(), ") on ", b->pipeline.host_id,
        ", up ");
    put_age(t, now_ms(b) - b->started_ms);
    PUT(t, ", boot ", DEC(b->pipeline.boot), ", last event seq ", DEC(b->pipeline.seq));
}

static void put_hub(const struct uplink *u, struct text *t)
{
    if (u->hub_count == 0)
        text_char(t, '-');
    else if (u->hubs[u->hub].name)
        text_str(t, u->hubs[u->hub].name);
    else
        addr_text(t, &u->hubs[u->hub].addr);
}

static void row_hub(const struct beacon *b, struct text *t)
{
    const struct uplink *u = &b->uplink;

    text_str(t, "hub     ");
    put_hub(u, t);
    PUT(t, ", ", uplink_state_text(u->state), " for ");
    put_age(t, now_ms(b) - u->since_ms);
    if (u->state == UPLINK_BACKOFF) {
        text_str(t, ", next try in ");
        put_age(t, uplink_next_try_ms(u) + 999);
    }
    PUT(t, ", ", DEC(u->delivered), " events delivered, ",
        u->key && u->key->set ? "signed" : "not signed");
}

static void row_spool(const struct beacon *b, struct text *t)
{
    const struct spool *s = &b->pipeline.spool;
    struct spool_file *f = b->pipeline.flash;

    PUT(t, "spool   ", DEC(s->events), " events, ", DEC(s->used), " of ", DEC(s->size), " bytes, ",
        DEC(s->collapsed), " collapsed");
    if (IS_ENABLED(CONFIG_SPOOL_FILE) && f)
        PUT(t, "; on flash ", DEC(f->events), " events, today ", DEC(spool_file_today(f)), " of ",
            DEC(f->daily), " bytes, ", DEC(f->skipped), " skipped");
}

static void row_memory(const struct beacon *b, struct text *t)
{
    struct heap_stats h = b->heap;

    PUT(t, "heap    ", DEC(h.high_water), " of ", DEC(h.size), " bytes at most, ", DEC(h.failed),
        " refused; woken ", DEC(b->loop.wakeups), " times");
}

static void row_config(const struct beacon *b, struct text *t)
{
    PUT(t, "config  ", b->path, ", reloaded ", DEC(b->reloads), " times, refused ",
        DEC(b->failed_reloads), " times");
}

static void row_empty(const struct beacon *b, struct text *t)
{
    (void)b;
    (void)t;
}

/** Cells in columns of their own widths. */
static void put_cells(struct text *t, const char *const *cells, const uint8_t *columns)
{
    size_t from = t->len;

    for (unsigned i = 0; cells[i]; i++) {
        if (i > 0) {
            text_char(t, ' ');
            text_pad_to(t, from, columns[i]);
        }
        text_printable(t, cells[i], strlen(cells[i]));
    }
}

static const uint8_t count_columns[] = {0, 12, 22, 32, 44};
static const uint8_t sensor_columns[] = {0, 34, 44, 58, 68, 78};

static void row_counts_head(const struct beacon *b, struct text *t)
{
    (void)b;
    put_cells(t, (const char *const[]){"SEVERITY", "HEARD", "REPEATED", "OVER RATE", "LOST", NULL},
              count_columns);
}

static void put_counts(const struct beacon *b, struct text *t, enum severity s)
{
    const struct beacon_pipeline *p = &b->pipeline;

    put_cells(t,
              (const char *const[]){severity_text(s), DEC(p->accepted[s]), DEC(p->repeated[s]),
                                    DEC(p->over_rate[s]), DEC(p->spool.lost_total[s]), NULL},
              count_columns);
}

static void row_info(const struct beacon *b, struct text *t)
{
    put_counts(b, t, SEVERITY_INFO);
}

static void row_warning(const struct beacon *b, struct text *t)
{
    put_counts(b, t, SEVERITY_WARNING);
}

static void row_critical(const struct beacon *b, struct text *t)
{
    put_counts(b, t, SEVERITY_CRITICAL);
}

static void row_sensors_head(const struct beacon *b, struct text *t)
{
    (void)b;
    put_cells(
        t,
        (const char *const[]){"SENSOR", "LAST RUN", "RESULT", "RUNS", "FAILURES", "EVENTS", NULL},
        sensor_columns);
}

static void put_sensor_row(const struct beacon *b, struct text *t, const struct emitter *e)
{
    char name[96], age[32];
    struct text n, a;

    text_init(&n, name, sizeof name);
    PUT(&n, e->class->name, sensor_is_list(e->class) ? " " : "",
        sensor_is_list(e->class) ? e->common->name : "");
    text_init(&a, age, sizeof age);
    if (e->runs)
        put_age(&a, now_ms(b) - e->last_run_ms);
    else
        text_char(&a, '-');
    put_cells(t,
              (const char *const[]){name, age, result_words[e->result], DEC(e->runs),
                                    DEC(e->failures), DEC(e->events), NULL},
              sensor_columns);
}

static void (*const rows[])(const struct beacon *, struct text *) = {
    row_program,     row_hub,  row_spool,   row_memory,   row_config, row_empty,
    row_counts_head, row_info, row_warning, row_critical, row_empty,  row_sensors_head,
};

/** Each row is a record: a JSON string. */
static int produce_text(const struct beacon *b, struct control_cursor *cursor, struct text *out)
{
    const struct instance_set *set = sensor_runner_current(&b->sensor_runner);
    char row[ROW_BYTES];
    struct json_writer w;
    struct text t;

    text_init(&t, row, sizeof row);
    if (cursor->index < ARRAY_SIZE(rows))
        rows[cursor->index](b, &t);
    else if (cursor->index - ARRAY_SIZE(rows) < set->count)
        put_sensor_row(b, &t, &set->items[cursor->index - ARRAY_SIZE(rows)]);
    else
        return 0;
    cursor->index++;
    json_begin(&w, out);
    json_put_bytes(&w, NULL, t.buf, t.len);
    return 1;
}

/* ---- the same for programs ---- */

static void put_uplink(const struct beacon *b, struct json_writer *w)
{
    const struct uplink *u = &b->uplink;
    char hub[ROW_BYTES];
    struct text t;

    text_init(&t, hub, sizeof hub);
    put_hub(u, &t);
    json_object(w, "uplink");
    json_put_string(w, "state", uplink_state_text(u->state));
    json_put_string(w, "hub", t.buf);
    if (u->peer.family)
        json_put_string(w, "address", ADDR(&u->peer));
    json_put_u64(w, "since_ms", now_ms(b) - u->since_ms);
    json_put_u64(w, "next_try_ms", uplink_next_try_ms(u));
    json_put_u64(w, "delivered", u->delivered);
    json_put_u64(w, "connects", u->connects);
    json_put_u64(w, "failures", u->failures);
    json_put_bool(w, "signed", u->key && u->key->set);
    json_end_object(w);
}

static void put_by_severity(struct json_writer *w, const char *key,
                            const uint64_t count[SEVERITY_COUNT])
{
    json_object(w, key);
    for (int i = 0; i < SEVERITY_COUNT; i++)
        json_put_u64(w, severity_text((enum severity)i), count[i]);
    json_end_object(w);
}

static void put_file(struct spool_file *f, struct json_writer *w)
{
    json_object(w, "spool_file");
    json_put_u64(w, "events", f->events);
    json_put_u64(w, "bytes", f->size);
    json_put_u64(w, "size", f->cap);
    json_put_u64(w, "today", spool_file_today(f));
    json_put_u64(w, "daily", f->daily);
    json_put_u64(w, "skipped", f->skipped);
    json_put_u64(w, "failed", f->failed);
    json_put_u64(w, "damaged", f->damaged);
    json_end_object(w);
}

static void put_memory(const struct beacon *b, struct json_writer *w)
{
    const struct spool *s = &b->pipeline.spool;
    struct heap_stats h = b->heap;

    json_object(w, "spool");
    json_put_u64(w, "events", s->events);
    json_put_u64(w, "bytes", s->used);
    json_put_u64(w, "size", s->size);
    json_put_u64(w, "collapsed", s->collapsed);
    json_end_object(w);
    if (IS_ENABLED(CONFIG_SPOOL_FILE) && b->pipeline.flash)
        put_file(b->pipeline.flash, w);
    json_object(w, "heap");
    json_put_u64(w, "size", h.size);
    json_put_u64(w, "high_water", h.high_water);
    json_put_u64(w, "failed", h.failed);
    json_end_object(w);
}

static void put_program(const struct beacon *b, struct json_writer *w)
{
    const struct beacon_pipeline *p = &b->pipeline;

    json_object(w, NULL);
    json_put_string(w, "version", cli_version());
    json_put_string(w, "board", cli_board());
    json_put_string(w, "host_id", p->host_id);
    json_put_u64(w, "uptime_ms", now_ms(b) - b->started_ms);
    json_put_u64(w, "boot", p->boot);
    json_put_u64(w, "seq", p->seq);
    json_put_string(w, "config", b->path);
    json_put_string(w, "seccomp", b->seccomp ? b->seccomp : "off");
    json_put_u64(w, "reloads", b->reloads);
    json_put_u64(w, "failed_reloads", b->failed_reloads);
    put_uplink(b, w);
    put_by_severity(w, "heard", p->accepted);
    put_by_severity(w, "repeated", p->repeated);
    put_by_severity(w, "over_rate", p->over_rate);
    put_by_severity(w, "lost", p->spool.lost_total);
    put_memory(b, w);
    json_put_u64(w, "wakeups", b->loop.wakeups);
    json_end_object(w);
}

static void put_sensor(const struct beacon *b, struct json_writer *w, const struct emitter *e)
{
    json_object(w, NULL);
    json_put_string(w, "sensor", e->class->name);
    json_put_string(w, "name", e->common->name);
    json_put_string(w, "result", result_words[e->result]);
    if (e->runs)
        json_put_u64(w, "last_run_ms_ago", now_ms(b) - e->last_run_ms);
    json_put_u64(w, "runs", e->runs);
    json_put_u64(w, "failures", e->failures);
    json_put_u64(w, "events", e->events);
    json_put_u64(w, "interval_ms", e->common->interval_ms);
    json_end_object(w);
}

static int produce_json(const struct beacon *b, struct control_cursor *cursor, struct text *out)
{
    const struct instance_set *set = sensor_runner_current(&b->sensor_runner);
    struct json_writer w;

    json_begin(&w, out);
    if (cursor->index == 0)
        put_program(b, &w);
    else if (cursor->index - 1 < set->count)
        put_sensor(b, &w, &set->items[cursor->index - 1]);
    else
        return 0;
    cursor->index++;
    return 1;
}

/* ---- the verbs, in the daemon ---- */

static int begin_status(void *arg, struct control_cursor *cursor, const char *args,
                        struct text *why)
{
    (void)arg;
    if (!str_eq(args, "text") && !str_eq(args, "json")) {
        text_str(why, "status text, or status json");
        return NEFIA_EINVAL;
    }
    cursor->flag = args[0] == 'j';
    return 0;
}

static int produce_status(void *arg, struct control_cursor *cursor, struct text *out)
{
    return cursor->flag ? produce_json(arg, cursor, out) : produce_text(arg, cursor, out);
}

static bool is_type(const char *s, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        bool letter = (s[i] >= 'a' && s[i] <= 'z') || (s[i] >= 'A' && s[i] <= 'Z') ||
                      (s[i] >= '0' && s[i] <= '9');
        if (!letter && s[i] != '.' && s[i] != '_' && s[i] != '-')
            return false;
    }
    return len > 0 && len <= EVENT_TYPE_MAX;
}

/** One JSON object without the white space around it. Return: 0, or negative with a sentence. */
static int check_data(const char *data, struct slice *object, struct text *why)
{
    struct json_token tokens[EMIT_TOKENS];
    struct json_doc doc;
    struct json_error error;
    int err = json_parse(&doc, data, strlen(data), tokens, EMIT_TOKENS, 2, &error);

    if (err < 0) {
        PUT(why, "the data is no JSON object: ", error.what);
        return err;
    }
    *object = json_raw(&doc, 0);
    if (json_at(&doc, 0)->type == JSON_OBJECT && !memchr(object->ptr, '\n', object->len))
        return 0;
    text_str(why, "the data is no JSON object");
    return NEFIA_EINVAL;
}

/** `emit SEVERITY TYPE {data}`. The data is also the subject: only the very same event is a
 * repetition. */
static int begin_emit(void *arg, struct control_cursor *cursor, const char *args, struct text *why)
{
    struct beacon *b = arg;
    char type[EVENT_TYPE_MAX + 1];
    size_t severity_len = strcspn(args, " ");
    const char *name = args + severity_len + (args[severity_len] != '\0');
    size_t type_len = strcspn(name, " ");
    const char *data = name + type_len + (name[type_len] != '\0');
    int severity = severity_parse(args, severity_len);

    if (severity < 0) {
        text_str(why, "the severity is not one of info, warning, critical");
        return NEFIA_EINVAL;
    }
    if (!is_type(name, type_len)) {
        text_str(why, "the type is not made of 1 to 128 letters, digits, dots, - and _");
        return NEFIA_EINVAL;
    }
    struct slice object;
    int err = check_data(data, &object, why);
    if (err < 0)
        return err;
    memcpy(type, name, type_len);
    type[type_len] = '\0';
    beacon_pipeline_begin_raw(&b->pipeline, object.ptr, object.len);
    int verdict = beacon_pipeline_end(
        &b->pipeline,
        &(struct pipeline_event){
            .type = type, .source = "emit", .subject = data, .severity = (enum severity)severity});
    if (verdict < 0)
        return verdict;
    cursor->step = (unsigned)verdict;
    cursor->seq = b->pipeline.seq;
    return 0;
}

static int produce_emit(void *arg, struct control_cursor *cursor, struct text *out)
{
    const struct beacon *b = arg;
    char row[ROW_BYTES];
    struct json_writer w;
    struct text t;

    if (cursor->flag)
        return 0;
    cursor->flag = true;
    cursor->exit = cursor->step == PIPELINE_ACCEPTED ? CLI_FINE : CLI_NO;
    text_init(&t, row, sizeof row);
    if (cursor->step == PIPELINE_ACCEPTED)
        PUT(&t, "accepted: boot ", DEC(b->pipeline.boot), ", seq ", DEC(cursor->seq));
    else if (cursor->step == PIPELINE_REPEATED)
        text_str(&t, "held back: the same was heard within dedup_window; it is counted");
    else
        text_str(&t, "held back: more than max_events_per_min; it is counted");
    json_begin(&w, out);
    json_put_bytes(&w, NULL, t.buf, t.len);
    return 1;
}

const struct control_verb beacon_verbs[] = {
    {"status", begin_status, produce_status},
    {"emit", begin_emit, produce_emit},
    {NULL, NULL, NULL},
};

/* ---- the command line ---- */

/** A record that is a JSON string: print what it says. */
static int print_string(void *arg, const char *json, size_t len)
{
    struct json_token token;
    struct json_doc doc;
    char row[ROW_BYTES + 1];
    struct text t;

    (void)arg;
    text_init(&t, row, ROW_BYTES);
    int err = json_parse(&doc, json, len, &token, 1, 0, NULL);
    if (err >= 0)
        err = json_string(&doc, 0, &t);
    if (err < 0)
        return err;
    row[t.len] = '\n';
    return cli_write(STDOUT_FILENO, row, t.len + 1);
}

/** The first record is an object; those after it become its member "sensors". arg: how many came.
 */
static int print_member(void *arg, const char *json, size_t len)
{
    unsigned *count = arg;
    int err;

    if (len < 2)
        return NEFIA_ESYNTAX;
    if (*count == 0)
        err = cli_write(STDOUT_FILENO, json, len - 1);
    else
        err = cli_write(STDOUT_FILENO, json, len);
    if (err >= 0 && *count == 0)
        err = cli_print(STDOUT_FILENO, ",\"sensors\":[", NULL);
    (*count)++;
    return err;
}

static int print_next_member(void *arg, const char *json, size_t len)
{
    const unsigned *count = arg;

    if (*count > 1 && cli_write(STDOUT_FILENO, ",", 1) < 0)
        return NEFIA_EIO;
    return print_member(arg, json, len);
}

static int ask(const char *socket, const char *request, char *work, size_t cap,
               int (*on_record)(void *, const char *, size_t), void *arg)
{
    char buf[256];
    struct text why;

    text_init(&why, buf, sizeof buf);
    int result = control_request(socket, request, work, cap, on_record, arg, ASK_MS, &why);
    if (why.len)
        CLI_ERR("nefia-beacon: ", why.buf, "\n");
    return result < 0 ? CLI_NO : result;
}

int beacon_ask_status(const char *socket, bool json, char *work, size_t cap)
{
    unsigned count = 0;
    int status;

    if (!json)
        return ask(socket, "status text", work, cap, print_string, NULL);
    status = ask(socket, "status json", work, cap, print_next_member, &count);
    if (count > 0)
        CLI_OUT("]}\n");
    return status;
}

static int put_member(struct json_writer *w, const char *pair)
{
    char key[64];
    struct text t;
    const char *equals = strchr(pair, '=');

    if (!equals || equals == pair)
        return NEFIA_ESYNTAX;
    text_init(&t, key, sizeof key);
    text_bytes(&t, pair, (size_t)(equals - pair));
    if (t.truncated)
        return NEFIA_ETOOBIG;
    json_put_string(w, t.buf, equals + 1);
    return 0;
}

static int wrong_operand(const char *what, const char *word)
{
    CLI_ERR("nefia-beacon: emit: \"", word, "\" ", what, "\n");
    return CLI_WRONG;
}

int beacon_ask_emit(const char *socket, const struct cli_args *args, char *request,
                    size_t request_cap, char *work, size_t cap)
{
    const char *type = args->operands[0], *severity = args->operands[1];
    struct json_writer w;
    struct text t;

    if (!is_type(type, strlen(type)))
        return wrong_operand("is no type: 1 to 128 letters, digits, dots, - and _", type);
    if (severity_parse(severity, strlen(severity)) < 0)
        return wrong_operand("is not one of info, warning, critical", severity);
    text_init(&t, request,
              request_cap < CONFIG_CONTROL_LINE_BYTES ? request_cap : CONFIG_CONTROL_LINE_BYTES);
    PUT(&t, "emit ", severity, " ", type, " ");
    json_begin(&w, &t);
    json_object(&w, NULL);
    for (unsigned i = 2; i < args->operand_count; i++) {
        int err = put_member(&w, args->operands[i]);
        if (err == NEFIA_ETOOBIG)
            return wrong_operand("has a key of more than 63 bytes", args->operands[i]);
        if (err < 0)
            return wrong_operand("is not KEY=VALUE", args->operands[i]);
    }
    json_end_object(&w);
    if (t.truncated)
        return wrong_operand("and what follows are too long for one event", args->operands[2]);
    return ask(socket, request, work, cap, print_string, NULL);
}
