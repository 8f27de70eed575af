#include "nefia/cmd/replay.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "nefia/base/err.h"
#include "nefia/control/show.h"
#include "nefia/hub/hub.h"
#include "nefia/hub/replay.h"
#include "nefia/sys/file.h"
#include "nefia/sys/log.h"

#define POOL_PROGRAM_HUB
#include "nefia/base/pool.h"

const struct cli_option replay_options[] = {
    {"--rules", "FILE", CLI_HELP("the configuration whose rules and policy are to decide; without it, that of -c")},
    {"--json", NULL, CLI_HELP("one JSON object a line: each decision, then each rule, then the totals")},
    {.name = NULL},
};

enum { LINE_BYTES = 2048 };

/** One run of it. */
struct rehearsal {
    struct replay replay;
    struct clock_fake clock;
    const char *path;
    bool json, journal;
    /* Of a file of rows: the rows of one event follow each other. */
    size_t event_len;
    char first_rule[RULE_NAME_MAX + 1];
    bool begun;
    int64_t begun_s, last_s;
    uint64_t unread;
    struct json_token tokens[HUB_TOKENS]; /* of a row, or of a record of the summary */
    struct replay_rule rules[];
};

/* ---- One decision ---- */

static void put_would(struct text *t, const struct replay_said *s)
{
    const struct would *w = &s->would;

    if (!s->matches)
        text_str(t, "no match");
    else if (w->decision == JOURNAL_OWN_EFFECT)
        text_str(t, w->own);
    else if (w->decision == JOURNAL_DENIED)
        verdict_text(t, &w->verdict);
    else
        text_str(t, replay_word((uint8_t)w->decision));
    if (s->matches && w->decision == JOURNAL_SILENCED) {
        text_str(t, " by #");
        text_u64(t, w->silence->id);
    }
    if (s->matches && w->decision == JOURNAL_RESTRAINED) {
        text_str(t, ": ");
        restraint_text(t, &w->held);
    }
}

static void put_did(struct text *t, const struct replay_said *s)
{
    text_str(t, s->known ? replay_word(s->did) : "nothing");
    if (s->known && s->did == JOURNAL_SILENCED) {
        text_str(t, " by #");
        text_u64(t, s->did_detail);
    }
    if (s->known && s->did == JOURNAL_RESTRAINED) {
        text_str(t, ": ");
        text_str(t, restraint_word((enum restraint_reason)s->did_detail));
    }
}

/** A difference: "2026-03-10 15:30  disk.usage from gw-1 (boot 7, seq 41): free-disk: restrained: cooldown 5m, 3m left; was: acted". */
static void print_difference(struct rehearsal *r, const struct replay_said *s)
{
    char buf[LINE_BYTES];
    struct text t;

    if (r->replay.differences == 1)
        CLI_OUT("Other than it was:\n");
    text_init(&t, buf, sizeof buf);
    text_str(&t, "  ");
    text_minute(&t, s->unix_s);
    text_str(&t, "  ");
    text_printable(&t, s->event->type.ptr, s->event->type.len);
    text_str(&t, " from ");
    text_printable(&t, s->event->host_id.ptr, s->event->host_id.len);
    if (s->event->has_seq) {
        text_str(&t, " (boot ");
        text_u64(&t, s->event->boot);
        text_str(&t, ", seq ");
        text_u64(&t, s->event->seq);
        text_char(&t, ')');
    }
    text_str(&t, ": ");
    text_printable(&t, s->rule, strlen(s->rule));
    text_str(&t, ": ");
    put_would(&t, s);
    text_str(&t, "; was: ");
    put_did(&t, s);
    CLI_OUT(t.buf, "\n");
}

static void print_decision(const struct rehearsal *r, const struct replay_said *s)
{
    char buf[EVENT_TYPE_MAX * 6 + EVENT_HOST_MAX * 6 + LINE_BYTES], said_buf[CONFIG_LOG_LINE_BYTES];
    struct json_writer w;
    struct text t, said;

    text_init(&t, buf, sizeof buf);
    text_init(&said, said_buf, sizeof said_buf);
    json_begin(&w, &t);
    json_object(&w, NULL);
    json_put_u64(&w, "event", r->replay.number);
    json_put_time(&w, "time", s->unix_s);
    json_put_bytes(&w, "type", s->event->type.ptr, s->event->type.len);
    json_put_bytes(&w, "host", s->event->host_id.ptr, s->event->host_id.len);
    if (s->event->has_seq) {
        json_put_u64(&w, "boot", s->event->boot);
        json_put_u64(&w, "seq", s->event->seq);
    }
    json_put_string(&w, "rule", s->rule);
    json_put_string(&w, "would", s->matches ? replay_word((uint8_t)s->would.decision) : "no_match");
    put_would(&said, s);
    json_put_bytes(&w, "detail", said.buf, said.len);
    if (r->journal) {
        text_reset(&said);
        put_did(&said, s);
        json_put_string(&w, "did", s->known ? replay_word(s->did) : "nothing");
        json_put_bytes(&w, "did_detail", said.buf, said.len);
        json_put_bool(&w, "differs", s->differs);
    }
    json_end_object(&w);
    CLI_OUT(t.buf, "\n");
}

static void said(void *arg, const struct replay_said *s)
{
    struct rehearsal *r = arg;

    if (r->json)
        print_decision(r, s);
    else if (s->differs)
        print_difference(r, s);
}

/* ---- The summary ---- */

static const struct show_section summary_sections[] = {
    {.record = "rule",
     .columns = "RULE                 |{name}\n"
                "MATCHED  |{matched}\n"
                "ACTED  |{acted}\n"
                "SILENCED  |{silenced}\n"
                "DENIED  |{denied}\n"
                "OTHER  |{other}\n"
                "RESTRAINED|{restrained}\n",
     .json = SHOW_LINES},
    {.record = NULL},
};

static void put_rule(const struct rehearsal *r, unsigned index, struct text *out)
{
    const struct replay_rule *k = &r->replay.rules[index];
    struct json_writer w;

    json_begin(&w, out);
    json_object(&w, NULL);
    json_object(&w, "rule");
    json_put_string(&w, "name", rules_active(r->replay.pipeline->rules)->rules[index].name);
    json_put_u64(&w, "matched", k->matched);
    json_put_u64(&w, "acted", k->acted);
    json_put_u64(&w, "silenced", k->silenced);
    json_put_u64(&w, "denied", k->denied);
    json_put_u64(&w, "other", k->others);
    json_object(&w, "restrained");
    if (k->own_effects > 0)
        json_put_u64(&w, "own_effect", k->own_effects);
    for (unsigned i = RESTRAINT_NONE + 1; i <= RESTRAINT_MEMORY; i++)
        if (k->restrained[i] > 0)
            json_put_u64(&w, restraint_word((enum restraint_reason)i), k->restrained[i]);
    json_end_object(&w);
    if (r->journal)
        json_put_u64(&w, "differs", k->differs);
    json_end_object(&w);
    json_end_object(&w);
}

static bool write_out(void *arg, const char *text, size_t len)
{
    (void)arg;
    return cli_write(STDOUT_FILENO, text, len) >= 0;
}

static int show_rules(struct show *s, const struct rehearsal *r)
{
    char buf[LINE_BYTES];
    struct text t;
    int err = show_begin(s);

    for (unsigned i = 0; err >= 0 && i < rules_active(r->replay.pipeline->rules)->count; i++) {
        text_init(&t, buf, sizeof buf);
        put_rule(r, i, &t);
        err = show_record(s, t.buf, t.len);
    }
    return err < 0 ? err : show_end(s);
}

static void print_totals(const struct rehearsal *r)
{
    char first[32], last[32];
    struct text t;
    const struct replay *k = &r->replay;
    const uint64_t unread = r->unread + k->unread;

    text_init(&t, first, sizeof first);
    text_rfc3339(&t, k->first_s);
    text_init(&t, last, sizeof last);
    text_rfc3339(&t, k->last_s);
    if (r->json) {
        CLI_OUT("{\"events\":", DEC(k->number), ",\"first\":\"", first, "\",\"last\":\"", last, "\",\"decisions\":", DEC(k->decisions));
        if (r->journal)
            CLI_OUT(",\"differences\":", DEC(k->differences), ",\"reloads\":", DEC(k->reloads));
        CLI_OUT(",\"unread\":", DEC(unread), "}\n");
        return;
    }
    CLI_OUT("\n", COUNT(k->number, "event"));
    if (k->number > 0)
        CLI_OUT(" from ", first, " to ", last);
    if (r->journal)
        CLI_OUT(", ", DEC(k->decisions), " decisions, ", DEC(k->differences), " other than they were");
    if (k->reloads > 0)
        CLI_OUT(", rules or policy reloaded ", DEC(k->reloads), k->reloads == 1 ? " time" : " times");
    CLI_OUT("\n");
    if (unread > 0)
        CLI_OUT(COUNT(unread, "line"), " could not be read as an event\n");
}

static int print_summary(struct rehearsal *r)
{
    struct show s = {.sections = summary_sections,
                     .tokens = r->tokens,
                     .token_cap = HUB_TOKENS,
                     .form = SHOW_MEASURE,
                     .write = write_out};
    int err = r->json ? 0 : show_rules(&s, r);

    if (!r->json && r->replay.differences > 0)
        CLI_OUT("\n");
    s.form = r->json ? SHOW_JSON : SHOW_TEXT;
    if (err >= 0)
        err = show_rules(&s, r);
    if (err >= 0)
        print_totals(r);
    if (r->replay.number == 0 && r->unread + r->replay.unread > 0)
        return CLI_NO;
    return err < 0 && err != NEFIA_ECLOSED ? CLI_NO : CLI_FINE;
}

/* ---- A file of events ---- */

static bool time_of(const struct json_doc *d, const char *member, int64_t *out)
{
    const int value = json_member(d, 0, member);

    if (value < 0)
        return false;
    const struct slice s = json_raw(d, (unsigned)value);
    return parse_rfc3339(s.ptr, s.len, out) == 0;
}

/** Is it one more row of the event before? */
static bool is_same_event(struct rehearsal *r, const struct json_doc *d, struct slice event)
{
    const int value = json_member(d, 0, "rule");
    const struct slice rule = value < 0 || json_at(d, (unsigned)value)->type != JSON_STRING ? (struct slice){0} : json_raw(d, (unsigned)value);
    const bool same = r->event_len == event.len && memcmp(r->replay.line, event.ptr, event.len) == 0 && rule.len > 0 &&
                      !slice_eq(rule, r->first_rule);
    struct text t;

    if (same)
        return true;
    text_init(&t, r->first_rule, sizeof r->first_rule);
    text_bytes(&t, rule.ptr, rule.len);
    return false;
}

static void take_event(struct rehearsal *r, struct slice line, int64_t unix_s)
{
    if (!r->begun || unix_s > r->last_s)
        r->last_s = unix_s;
    if (!r->begun)
        r->begun_s = unix_s;
    r->begun = true;
    r->event_len = line.len;
    replay_event(&r->replay, line.ptr, line.len, (uint64_t)(r->last_s - r->begun_s) * 1000, r->last_s);
}

/** A row of `nefia reactor events --json`, or an event as it was sent. */
static void take_line(struct rehearsal *r, const char *line, size_t len)
{
    struct json_doc d;
    int64_t unix_s;

    if (len == 0)
        return;
    if (json_parse(&d, line, len, r->tokens, HUB_TOKENS, JSON_MAX_DEPTH, NULL) < 0) {
        r->unread++;
        return;
    }
    const int event = json_member(&d, 0, "event"), clock = json_member(&d, 0, "clock");
    if (json_member(&d, 0, "missed") >= 0 && event < 0)
        return;
    if (event >= 0 && json_at(&d, (unsigned)event)->type == JSON_OBJECT && time_of(&d, "received", &unix_s)) {
        if (!is_same_event(r, &d, json_raw(&d, (unsigned)event)))
            take_event(r, json_raw(&d, (unsigned)event), unix_s);
    } else if (event < 0 && time_of(&d, "timestamp", &unix_s)) {
        const bool unsynced = clock >= 0 && json_raw(&d, (unsigned)clock).len == strlen("unsynced");
        take_event(r, (struct slice){line, len}, unsynced ? r->last_s : unix_s);
    } else {
        r->unread++;
    }
}

static int read_file(struct rehearsal *r, int fd)
{
    char *buf = pool_recent_bytes;
    const size_t cap = sizeof pool_recent_bytes;
    size_t len = 0;
    bool overlong = false;
    long n;

    while ((n = file_fill(fd, buf + len, cap - len)) > 0) {
        char *at = buf, *newline;
        len += (size_t)n;
        while ((newline = memchr(at, '\n', len - (size_t)(at - buf))) != NULL) {
            if (!overlong)
                take_line(r, at, (size_t)(newline - at));
            overlong = false;
            at = newline + 1;
        }
        len -= (size_t)(at - buf);
        memmove(buf, at, len);
        if (len == cap) {
            r->unread += !overlong;
            overlong = true;
            len = 0;
        }
    }
    if (n == 0 && len > 0 && !overlong)
        take_line(r, buf, len);
    return n < 0 ? NEFIA_EIO : 0;
}

/* ---- The verb ---- */

static int take_record(void *arg, const struct journal_record *record)
{
    return replay_record(arg, record);
}

/** A directory, or a file that begins as one of a journal does? Return: 1, 0, NEFIA_EIO (errno). */
static int is_journal(int fd)
{
    struct stat st;
    char magic[2];

    if (fstat(fd, &st) < 0)
        return NEFIA_EIO;
    if (S_ISDIR(st.st_mode))
        return 1;
    const long n = file_fill_at(fd, 0, magic, sizeof magic);
    return n < 0 ? NEFIA_EIO : n == sizeof magic && memcmp(magic, "NF", sizeof magic) == 0;
}

static int cannot_read(const char *path, const char *why)
{
    CLI_ERR("nefia: replay: ", path, *path ? ": " : "", why, "\n");
    return CLI_NO;
}

static int run(struct rehearsal *r)
{
    char why_buf[FILE_PATH_MAX + 256];
    struct text why;

    const int fd = open(r->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    const int journal = fd < 0 ? NEFIA_EIO : is_journal(fd);
    int err = journal < 0 ? NEFIA_EIO : 0;

    text_init(&why, why_buf, sizeof why_buf);
    r->journal = journal > 0;
    if (journal > 0)
        err = journal_look(r->replay.pipeline->journal, r->path, take_record, &r->replay, &why);
    else if (journal == 0)
        err = read_file(r, fd);
    if (err < 0)
        err = cannot_read(why.len > 0 ? "" : r->path, why.len > 0 ? why.buf : ERRNO(errno));
    if (fd >= 0)
        close(fd);
    replay_end(&r->replay);
    return err;
}

/** The memory of the daemon's connections, of which there are none here. Return: null: it is too small. */
static struct rehearsal *memory_for(unsigned rules)
{
    struct rehearsal *r = (struct rehearsal *)(void *)pool_connections;

    if (sizeof *r + rules * sizeof r->rules[0] > sizeof pool_connections)
        return NULL;
    memset(pool_connections, 0, sizeof pool_connections);
    return r;
}

int replay_events(const struct cli_args *a)
{
    struct hub *hub = a->arg;
    const char *rules = cli_option(a, "--rules");

    log_init("nefia", LOG_LEVEL_ERROR);
    hub_wire(hub, rules ? rules : a->config, cli_report_stderr);
    if (hub_load(hub, NULL) < 0)
        return CLI_WRONG;
    struct rehearsal *r = memory_for(hub->rules.sets[!hub->rules.active].count);
    if (!r)
        return cannot_read(hub->path, "too many rules to replay" REMEDY("; raise CONFIG_CONNECTIONS"));
    clock_fake_init(&r->clock, 0, 0);
    hub_rehearse(hub, &r->clock.clock);
    r->path = a->operands[0];
    r->json = cli_option(a, "--json") != NULL;
    r->replay = (struct replay){.pipeline = &hub->pipeline,
                                .clock = &r->clock,
                                .rules = r->rules,
                                .line = pool_hub_work->run.line,
                                .said = said,
                                .arg = r};
    const int status = run(r);
    return status == 0 ? print_summary(r) : CLI_NO;
}
