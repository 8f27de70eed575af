#include "nefia/cmd/playbook_run.h"

#include <errno.h>
#include <string.h>

#include "nefia/base/err.h"
#include "nefia/hub/hub.h"
#include "nefia/sys/log.h"

const struct cli_option playbook_run_options[] = {
    {"--target", "HOST", CLI_HELP("the device; otherwise, one after the other, all of reactor.hosts that the playbook is for")},
    {"--hub", NULL, CLI_HELP("carry out all steps on the hub")},
    {"--event", "FILE", CLI_HELP("an event that set it off: one JSON object; - is standard input")},
    {"--resume", "ID", CLI_HELP("go on with a run that was interrupted; with the same target, event and variables")},
    {"--json", NULL, CLI_HELP("one JSON object a line, for programs")},
    {.name = NULL},
};

/* ---- What it prints ---- */

struct printer {
    bool json;
    bool terminal; /* a line is begun before its op */
    bool open;     /* one is */
    char run[OP_RUN_ID + 1];
};

static void print_json(const struct playbook_progress *p)
{
    char buf[2048];
    struct json_writer w;
    struct text t;

    text_init(&t, buf, sizeof buf - 1);
    json_begin(&w, &t);
    json_object(&w, NULL);
    json_put_string(&w, "run", p->run);
    if (p->host)
        json_put_string(&w, "host", p->host);
    if (p->step) {
        json_put_string(&w, "part", p->part);
        json_put_string(&w, "step", p->step);
        if (p->number > 0)
            json_put_u64(&w, "number", p->number);
        json_put_u64(&w, "attempt", p->attempt);
    }
    json_put_string(&w, "outcome", word_at(play_outcome_words, p->outcome));
    if (p->result) {
        json_put_i64(&w, "exit", p->result->exit_code);
        json_put_u64(&w, "duration_ms", p->result->duration_ms);
    }
    if (*p->error)
        json_put_string(&w, "error", p->error);
    json_end_object(&w);
    text_char(&t, '\n');
    CLI_OUT(t.buf);
}

/** "web-01: 2/3 restart it ": what an op is. */
static void put_op(struct text *t, const struct playbook_progress *p)
{
    const char *host = p->host ? p->host : "hub";

    text_printable(t, host, strlen(host));
    text_str(t, ": ");
    if (p->number > 0) {
        text_u64(t, p->number);
        text_char(t, '/');
        text_u64(t, p->of);
        text_char(t, ' ');
    } else {
        text_str(t, p->part);
        text_char(t, ' ');
    }
    text_printable(t, p->step, strlen(p->step));
    text_str(t, " … ");
}

static void put_end(struct text *t, const struct playbook_progress *p)
{
    text_str(t, word_at(play_outcome_words, p->outcome));
    if (p->result) {
        text_str(t, " in ");
        text_duration(t, p->result->duration_ms);
    }
    if (*p->error) {
        text_str(t, ": ");
        text_printable(t, p->error, strlen(p->error));
    }
    text_char(t, '\n');
}

static void print_step(struct printer *out, const struct playbook_progress *p)
{
    char buf[1024];
    struct text t;

    text_init(&t, buf, sizeof buf);
    if (p->outcome == OUTCOME_BEGUN && !out->terminal)
        return;
    if (!out->open)
        put_op(&t, p);
    if (p->outcome != OUTCOME_BEGUN)
        put_end(&t, p);
    out->open = p->outcome == OUTCOME_BEGUN;
    CLI_OUT(t.buf);
}

static void print_run(struct printer *out, const struct playbook_progress *p)
{
    char buf[1024];
    struct text t;

    text_init(&t, buf, sizeof buf);
    if (out->open)
        text_char(&t, '\n');
    out->open = false;
    text_printable(&t, p->host, strlen(p->host));
    text_str(&t, ": run ");
    text_str(&t, p->run);
    text_char(&t, ' ');
    put_end(&t, p);
    CLI_OUT(t.buf);
}

static void print(void *arg, const struct playbook_progress *p)
{
    struct printer *out = arg;
    struct text run;

    text_init(&run, out->run, sizeof out->run);
    text_str(&run, p->run);
    if (out->json)
        print_json(p);
    else if (p->step)
        print_step(out, p);
    else
        print_run(out, p);
}

/* ---- What it is run for ---- */

/** Read the event into room->line. Return: its length, or negative after a message. */
static long read_event(const struct playbook_room *room, const char *path)
{
    long n = str_eq(path, "-") ? file_fill(STDIN_FILENO, room->line, CONFIG_EVENT_BYTES)
                               : file_read(path, room->line, CONFIG_EVENT_BYTES);

    if (n < 0)
        CLI_ERR("nefia: playbook run: cannot read the event from ", path, ": ", n == NEFIA_EIO ? ERRNO(errno) : err_text((int)n), "\n");
    while (n > 0 && (room->line[n - 1] == '\n' || room->line[n - 1] == ' '))
        n--;
    return n;
}

/** Return: CLI_FINE, or after a message another status. */
static int run_on(const struct playbook_room *room, struct playbook_order *o, struct printer *out, const char *host)
{
    struct playbook_driver *d = room->driver;

    o->values.host = host;
    const int end = playbook_drive(d, o);
    if (end == PLAYBOOK_END_DONE)
        return CLI_FINE;
    if (end == PLAYBOOK_END_REFUSED)
        CLI_ERR("nefia: playbook run: ", host, ": ", d->error, "\n");
    if (end == PLAYBOOK_END_KEPT)
        CLI_ERR("nefia: playbook run: ", host, ": ", d->error, "; the same command with `--target ", host, " --resume ", out->run,
                "` goes on\n");
    return CLI_NO;
}

/** All that the playbook is for, until one fails. */
static int run_on_all(const struct playbook_room *room, struct playbook_order *o, struct printer *out)
{
    const struct hub_settings *s = room->settings;
    unsigned found = 0;
    int status = CLI_FINE;

    for (unsigned i = 0; i < s->host_count && status == CLI_FINE; i++) {
        if (!playbook_takes(&room->memory->book, s->hosts[i].host_id, &room->driver->work.matcher))
            continue;
        found++;
        status = run_on(room, o, out, s->hosts[i].host_id);
    }
    if (found > 0)
        return status;
    CLI_ERR(HINTED("nefia: playbook run: no device in reactor.hosts is one of the playbook's `hosts`", "; name one with --target"), "\n");
    return CLI_WRONG;
}

/** Read the playbook, then the event, whose tokens take the place of what was needed for that. e: untouched without one. */
static int read_files(const struct playbook_room *room, const struct cli_args *a, struct event *e, char scratch[EVENT_SCRATCH])
{
    const char *path = cli_option(a, "--event"), *why = NULL;
    const long len = path ? read_event(room, path) : 0;

    if (len < 0)
        return CLI_NO;
    if (playbook_load(room->memory, a->operands[0], cli_report_stderr, NULL, true, room->work, room->work_cap, room->tree) < 0)
        return CLI_WRONG;
    if (!path || event_decode(e, room->line, (size_t)len, room->tokens, CONFIG_JSON_TOKENS, scratch, &why) >= 0)
        return CLI_FINE;
    CLI_ERR("nefia: playbook run: ", path, ": not an event: ", why ? why : "no JSON", "\n");
    return CLI_WRONG;
}

/** A rule's runs have another name: only the hub takes them up again. null: none. */
static bool is_run_id(const char *s)
{
    uint8_t bytes[OP_RUN_ID / 2];

    return !s || parse_hex(s, strlen(s), bytes, sizeof bytes) == 0;
}

int playbook_run(const struct cli_args *a)
{
    struct hub *hub = a->arg;
    struct printer out = {.json = cli_option(a, "--json") != NULL, .terminal = isatty(STDOUT_FILENO)};
    char scratch[EVENT_SCRATCH], host[EVENT_HOST_MAX + 1];
    const char *target = cli_option(a, "--target");
    struct slice cause;
    struct event e = {.seq = 0};
    struct text t;

    log_init("nefia", LOG_LEVEL_WARN);
    if (!event_cause_here(&cause)) {
        CLI_ERR(HINTED("nefia: playbook run: " EVENT_CAUSE_VARIABLE " of the environment is not a list of names", "; unset it"), "\n");
        return CLI_WRONG;
    }
    if (!is_run_id(cli_option(a, "--resume"))) {
        CLI_ERR(HINTED("nefia: playbook run: --resume takes the 16 hex digits of a run", ", as it has printed them"), "\n");
        return CLI_WRONG;
    }
    hub_wire(hub, a->config, cli_report_stderr);
    if (hub_load(hub, NULL) < 0)
        return CLI_WRONG;
    const struct playbook_room *room = hub_playbooks(hub);
    const struct hub_settings *s = room->settings;
    const struct host_item *item = hub_settings_host(s, (struct slice){s->host_id, strlen(s->host_id)});
    const int status = read_files(room, a, &e, scratch);
    if (status != CLI_FINE)
        return status;
    struct playbook_order order = {
        .memory = room->memory,
        .path = a->operands[0],
        .values = {.event = cli_option(a, "--event") ? &e : NULL,
                   .sets = a->operands + 1,
                   .set_count = a->operand_count - 1,
                   .on_hub = cli_option(a, "--hub") != NULL},
        .cause = cause,
        .name = cli_option(a, "--resume"),
        .must_resume = cli_option(a, "--resume") != NULL,
        .state_dir = s->state_dir,
        .control_socket = s->control_socket,
        .hub = s->host_id,
        .hub_role = item ? item->role : NULL,
        .guard = room->guard,
        .progress = print,
        .arg = &out,
    };
    text_init(&t, host, sizeof host);
    if (!target && order.values.event) {
        text_bytes(&t, e.host_id.ptr, e.host_id.len);
        target = host;
    }
    if (!target && order.values.on_hub)
        target = s->host_id;
    return target ? run_on(room, &order, &out, target) : run_on_all(room, &order, &out);
}
