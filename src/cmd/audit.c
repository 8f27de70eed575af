#include "nefia/cmd/audit.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "nefia/base/err.h"
#include "nefia/control/show.h"
#include "nefia/hub/hub.h"
#include "nefia/sys/log.h"

#define POOL_PROGRAM_HUB
#include "nefia/base/pool.h"

enum {
    OPEN_TRIES = 10, /* when the files are rotated meanwhile */
    TORN_TRIES = 10, /* a line that a hub is writing */
    TORN_STEP_MS = 50,
    NAME_MOST = 24,
};

const struct cli_option audit_verify_options[] = {
    {"--head", "N:HASH", CLI_HELP("a head that was kept elsewhere: the log must have it")},
    {"--key", "FILE", CLI_HELP("the hub's audit key")},
    {"--json", NULL, CLI_HELP("one JSON object, for programs")},
    {.name = NULL},
};

const struct cli_option audit_show_options[] = {
    {"--since", "TIME", CLI_HELP("RFC 3339, or how long ago: 1h30m")},
    {"--until", "TIME", CLI_HELP("the same")},
    {"--host", "HOST", CLI_HELP("only records of this host")},
    {"--rule", "RULE", CLI_HELP("only records of this rule of the reactor")},
    {"--verdict", "VERDICT", CLI_HELP("only decisions with it: allowed, notify, denied, 'pending approval'")},
    {"--kind", "KIND", CLI_HELP("only records of this kind: decision, action_begun, action_ended, rejected …")},
    {"--key", "FILE", CLI_HELP("the hub's audit key")},
    {"--json", NULL, CLI_HELP("the records themselves, a line each")},
    {.name = NULL},
};

const struct cli_option playbook_log_options[] = {
    {"--run", "ID", CLI_HELP("only this run")},
    {"--host", "HOST", CLI_HELP("only what was done on this host")},
    {"--since", "TIME", CLI_HELP("RFC 3339, or how long ago: 1h30m")},
    {"--key", "FILE", CLI_HELP("the hub's audit key")},
    {"--json", NULL, CLI_HELP("the records themselves, a line each")},
    {.name = NULL},
};

/* ---- The files ---- */

/** A log, opened: the oldest file has the highest index. */
struct source {
    char dir[FILE_PATH_MAX]; /* empty: a single file */
    const char *file;        /* that one */
    const char *key_file;    /* null: beside the log */
    struct mac_key key;
    int fds[AUDIT_FILES_MAX];
    dev_t device[AUDIT_FILES_MAX];
    ino_t inode[AUDIT_FILES_MAX];
    unsigned numbers[AUDIT_FILES_MAX]; /* of its name: 0 is audit.log */
    unsigned count;
    bool part; /* only one file of it */
};

/** The name of file i, the oldest first. */
static const char *source_name(const struct source *s, unsigned i, char buf[NAME_MOST])
{
    const unsigned number = s->numbers[s->count - 1 - i];
    struct text t;

    if (s->part)
        return s->file;
    text_init(&t, buf, NAME_MOST);
    text_str(&t, AUDIT_FILE);
    if (number > 0) {
        text_char(&t, '.');
        text_u64(&t, number);
    }
    return buf;
}

static void close_source(struct source *s)
{
    while (s->count > 0)
        close(s->fds[--s->count]);
    mac_key_wipe(&s->key);
}

static int cannot_read(const char *path)
{
    CLI_ERR("nefia: cannot read ", path, ": ", errno == EINVAL ? "not a regular file" : ERRNO(errno),
            errno == EACCES ? REMEDY("; only root and the hub's user may: run this as one of them") "" : "", "\n");
    return CLI_NO;
}

/** Return: is it another file than those before? */
static bool add_file(struct source *s, int fd, unsigned number)
{
    struct stat st;

    if (fstat(fd, &st) < 0)
        return false;
    for (unsigned i = 0; i < s->count; i++)
        if (s->device[i] == st.st_dev && s->inode[i] == st.st_ino)
            return false;
    s->fds[s->count] = fd;
    s->device[s->count] = st.st_dev;
    s->inode[s->count] = st.st_ino;
    s->numbers[s->count++] = number;
    return true;
}

/** Return: 0, or NEFIA_EIO (errno): too long. */
static int path_of(char path[FILE_PATH_MAX], const struct source *s, unsigned number)
{
    char name[NAME_MOST];
    struct text t;

    text_init(&t, name, sizeof name);
    text_str(&t, number > 0 ? AUDIT_FILE "." : AUDIT_FILE);
    if (number > 0)
        text_u64(&t, number);
    errno = ENAMETOOLONG;
    return file_join(path, s->dir, name) < 0 ? NEFIA_EIO : 0;
}

/** Is audit.log still the one that was opened, or still missing? */
static bool is_newest(const struct source *s)
{
    char path[FILE_PATH_MAX];
    struct stat st;

    if (path_of(path, s, 0) < 0 || stat(path, &st) < 0)
        return s->count == 0 || s->numbers[0] != 0;
    return s->count > 0 && s->numbers[0] == 0 && s->device[0] == st.st_dev && s->inode[0] == st.st_ino;
}

/** The newest first: if the log is rotated meanwhile, one is seen twice, or the oldest may be missed. Return: 1; 0: that was
 * so; NEFIA_EIO (errno). path: the file of the answer. */
static int open_all(struct source *s, char path[FILE_PATH_MAX])
{
    for (unsigned i = 0; i < AUDIT_FILES_MAX; i++) {
        if (path_of(path, s, i) < 0)
            return NEFIA_EIO;
        int fd = file_open_regular(path, 0);
        if (fd < 0 && errno == ENOENT)
            continue;
        if (fd < 0)
            return NEFIA_EIO;
        if (!add_file(s, fd, i)) {
            close(fd);
            return 0;
        }
    }
    return is_newest(s);
}

static int open_files(struct source *s)
{
    char path[FILE_PATH_MAX];
    int done = 0;

    if (s->part) {
        int fd = file_open_regular(s->file, 0);
        return fd >= 0 && add_file(s, fd, 0) ? CLI_FINE : cannot_read(s->file);
    }
    for (unsigned i = 0; i < OPEN_TRIES && done == 0; i++) {
        while (s->count > 0)
            close(s->fds[--s->count]);
        done = open_all(s, path);
    }
    if (done < 0)
        return cannot_read(path);
    if (done == 0) {
        CLI_ERR("nefia: ", path, ": the same file as another part of the log, or rotated at each try\n");
        return CLI_NO;
    }
    if (s->count > 0)
        return CLI_FINE;
    CLI_ERR("nefia: there is no " AUDIT_FILE " in ", s->dir, "\n");
    return CLI_NO;
}

/** Where the key is, if nobody says: beside the log. */
static int load_key(struct source *s)
{
    char path[FILE_PATH_MAX], why_buf[FILE_PATH_MAX + 128];
    const char *slash = s->part ? strrchr(s->file, '/') : NULL;
    struct text why;

    text_init(&why, why_buf, sizeof why_buf);
    if (s->part) {
        text_init(&why, path, sizeof path);
        text_bytes(&why, s->file, slash ? (size_t)(slash + 1 - s->file) : 0);
        text_str(&why, AUDIT_KEY);
        text_init(&why, why_buf, sizeof why_buf);
    } else if (file_join(path, s->dir, AUDIT_KEY) < 0) {
        path[0] = '\0';
    }
    if (mac_key_load(&s->key, s->key_file ? s->key_file : path, &why) == 0)
        return CLI_FINE;
    CLI_ERR("nefia: ", why.buf, errno == EACCES ? REMEDY("; only root and the hub's user may: run this as one of them") "" : "",
            "\n");
    return CLI_NO;
}

/** The log that the configuration names. */
static int configured(struct source *s, struct hub *hub)
{
    const char *state_dir = hub_audit_place(hub, &s->key_file);

    if (!state_dir)
        return CLI_WRONG;
    if (*state_dir && file_join(s->dir, state_dir, "") >= 0)
        return CLI_FINE;
    CLI_ERR("nefia: ", hub->path, ": without reactor.state_dir there is no audit log\n");
    return CLI_NO;
}

/** Find and open the log. Return: an exit status; CLI_FINE: close_source closes it. */
static int open_source(struct source *s, const struct cli_args *a)
{
    struct hub *hub = a->arg;
    struct stat st;
    int status = CLI_FINE;

    *s = (struct source){.count = 0};
    log_init("nefia", LOG_LEVEL_WARN);
    hub_wire(hub, a->config, cli_report_stderr);
    if (a->operand_count == 0) {
        status = configured(s, hub);
    } else if (stat(a->operands[0], &st) < 0) {
        status = cannot_read(a->operands[0]);
    } else if (S_ISDIR(st.st_mode)) {
        (void)file_join(s->dir, a->operands[0], "");
    } else {
        s->part = true;
        s->file = a->operands[0];
    }
    if (cli_option(a, "--key"))
        s->key_file = cli_option(a, "--key");
    if (status == CLI_FINE)
        status = open_files(s);
    if (status == CLI_FINE)
        status = load_key(s);
    if (status != CLI_FINE)
        close_source(s);
    return status;
}

/* ---- verify ---- */

struct verify {
    struct source source;
    bool json;
    unsigned printed;
};

static void print_finding(void *arg, const struct audit_finding *f)
{
    struct verify *v = arg;
    char buf[FILE_PATH_MAX + 512], name_buf[NAME_MOST];
    const char *name = source_name(&v->source, f->file < v->source.count ? f->file : 0, name_buf);
    struct json_writer w;
    struct text t;

    text_init(&t, buf, sizeof buf);
    if (!v->json) {
        audit_finding_text(&t, f, name);
        CLI_OUT(t.buf, "\n");
        return;
    }
    json_begin(&w, &t);
    json_object(&w, NULL);
    json_put_string(&w, "finding", audit_finding_word(f->kind));
    json_put_string(&w, "file", name);
    json_put_u64(&w, "line", f->line);
    json_put_u64(&w, "first", f->first);
    json_put_u64(&w, "last", f->last);
    if (f->bytes > 0)
        json_put_u64(&w, "bytes", f->bytes);
    json_end_object(&w);
    CLI_OUT(v->printed++ > 0 ? "," : "", t.buf);
}

/** Read a file to its end; wait: a hub may be writing its last line. */
static int feed_file(struct audit_verifier *v, int fd, bool wait)
{
    union audit_work *work = pool_audit;
    unsigned tries = 0;
    long n;

    audit_verify_file(v);
    do {
        while ((n = file_fill(fd, work->scan.chunk, sizeof work->scan.chunk)) > 0)
            audit_verify_feed(v, work->scan.chunk, (size_t)n);
        if (wait && n == 0 && v->torn > 0)
            poll(NULL, 0, TORN_STEP_MS);
    } while (wait && n == 0 && v->torn > 0 && ++tries < TORN_TRIES);
    return n < 0 ? NEFIA_EIO : 0;
}

static void print_summary(const struct verify *v, const struct audit_verifier *found)
{
    char buf[MAC_HEX + 24];
    struct text head;

    text_init(&head, buf, sizeof buf);
    if (found->last.n > 0)
        audit_head_text(&head, &found->last);
    if (v->json) {
        CLI_OUT("],\"findings_count\":", DEC(found->findings), ",\"records\":", DEC(found->records),
                ",\"files\":", DEC(v->source.count), ",\"head\":\"", head.buf, "\"}\n");
        return;
    }
    CLI_OUT(COUNT(found->records, "record"), " in ", COUNT(v->source.count, "file"), ", ",
            COUNT(found->findings, "finding"), "\n", head.len > 0 ? "head " : "", head.buf, head.len > 0 ? "\n" : "");
}

static int run_verify(struct verify *v, const struct audit_head *want)
{
    struct audit_verifier *verifier = &pool_audit->scan.verifier;
    int err = 0;

    audit_verify_init(verifier, &v->source.key, print_finding, v);
    verifier->want = *want;
    verifier->part = v->source.part;
    if (v->json)
        CLI_OUT("{\"findings\":[");
    for (unsigned i = v->source.count; i-- > 0 && err == 0;)
        err = feed_file(verifier, v->source.fds[i], i == 0);
    if (err < 0)
        return cannot_read(v->source.part ? v->source.file : v->source.dir);
    audit_verify_end(verifier);
    print_summary(v, verifier);
    if (verifier->records == 0)
        CLI_ERR("nefia: no record of this log is signed with the key; is it the right one (--key)?\n");
    return verifier->findings == 0 && verifier->records > 0 ? CLI_FINE : CLI_NO;
}

int audit_verify(const struct cli_args *a)
{
    struct verify v = {.json = cli_option(a, "--json") != NULL};
    const char *head = cli_option(a, "--head");
    struct audit_head want = {0};

    if (head && audit_head_parse(&want, (struct slice){head, strlen(head)}) < 0) {
        CLI_ERR("nefia: audit verify: --head must be N:HASH, as `audit verify` prints it and hub.audit_head has it\n");
        return CLI_WRONG;
    }
    int status = open_source(&v.source, a);
    if (status != CLI_FINE)
        return status;
    status = run_verify(&v, &want);
    close_source(&v.source);
    return status;
}

/* ---- show ---- */

static const struct show_section show_sections[] = {
    {.record = "",
     .columns = "N  |{n}\n"
                "TIME              |{@time}\n"
                "KIND    |{kind}\n"
                "HOST    |[{host}]\n"
                "RULE    |[{rule}][{who}]\n"
                "RESULT  |[{verdict}][{outcome}]\n"
                "DETAIL  |[{records} lost: ][silence #{silence}][ by user {by_uid}][ of host {host_pattern}][ of type {type_pattern}][ of label {labels}]"
                "[: {why}][{reason}][ \"{by}\"][ at byte {at}][{error} ][in {duration_ms} ms]"
                "[, {connections} times, last {last}][{file}][{bytes} bytes][user {uid}][key {key}][{events} events]"
                "[{oldest} is the oldest]\n"
                "COMMAND|[{command}][{path}][{playbook}][: {step}][ ({part})]\n",
     .json = SHOW_LINES},
    {.record = NULL},
};

static const struct show_section log_sections[] = {
    {.record = "",
     .columns = "TIME              |{@time}\n"
                "RUN               |{run}\n"
                "PLAYBOOK  |{playbook}\n"
                "STEP      |[{step}][ ({part})]\n"
                "HOST    |[{host}]\n"
                "BY      |[{rule}][{who}]\n"
                "RESULT  |{outcome}\n"
                "DETAIL|[{error} ][in {duration_ms} ms]\n",
     .json = SHOW_LINES},
    {.record = NULL},
};

/** Which records are wanted. */
struct filter {
    int64_t since, until;
    const char *values[5]; /* as filter_members; null: any */
};
static const char *const filter_members[5] = {"host", "rule", "verdict", "kind", "run"};

/** "nefia: audit show: ", of whatever verb it is. */
#define VERB_SAYS(a) "nefia: ", (a)->verb->name, ": "

static int parse_time(const struct cli_args *a, const char *name, int64_t *out)
{
    const char *s = cli_option(a, name);
    uint64_t ms;

    if (!s || parse_rfc3339(s, strlen(s), out) == 0)
        return CLI_FINE;
    if (parse_duration_ms(s, strlen(s), &ms) == 0) {
        *out = clock_unix(&clock_system) - (int64_t)(ms / 1000);
        return CLI_FINE;
    }
    CLI_ERR(VERB_SAYS(a), name, ": \"", s, "\" is not a time such as 2026-03-10T15:30:00Z, or an age such as 1h30m\n");
    return CLI_WRONG;
}

/** A verdict or a kind that there is none of would pass nothing, without a word. */
static int check_words(const struct filter *f)
{
    bool verdict = !f->values[2], kind = !f->values[3];

    for (unsigned i = 0; f->values[2] && i <= VERDICT_DENIED; i++)
        verdict |= str_eq(f->values[2], verdict_word((enum verdict_kind)i));
    for (unsigned i = 0; f->values[3] && i < AUDIT_KINDS; i++)
        kind |= str_eq(f->values[3], audit_kind_word((enum audit_kind)i));
    if (verdict && kind)
        return CLI_FINE;
    CLI_ERR("nefia: audit show: ", verdict ? "--kind" : "--verdict", ": there is no \"", verdict ? f->values[3] : f->values[2],
            "\"; see docs/audit.md\n");
    return CLI_WRONG;
}

static int parse_filter(struct filter *f, const struct cli_args *a)
{
    *f = (struct filter){.since = INT64_MIN, .until = INT64_MAX};
    f->values[0] = cli_option(a, "--host");
    f->values[1] = cli_option(a, "--rule");
    f->values[2] = cli_option(a, "--verdict");
    f->values[3] = cli_option(a, "--kind");
    int status = check_words(f);
    if (status == CLI_FINE)
        status = parse_time(a, "--since", &f->since);
    return status == CLI_FINE ? parse_time(a, "--until", &f->until) : status;
}

static bool member_is(const struct json_doc *d, const char *name, const char *want)
{
    char buf[EVENT_HOST_MAX + 1];
    struct text t;
    const int value = json_member(d, 0, name);

    text_init(&t, buf, sizeof buf);
    return value > 0 && json_string(d, (unsigned)value, &t) == 0 && str_eq(t.buf, want);
}

static bool passes(const struct filter *f, const char *line, size_t len)
{
    struct json_doc d;
    int64_t at;

    if (json_parse(&d, line, len, pool_hub_work->answer, HUB_TOKENS, JSON_MAX_DEPTH, NULL) < 0)
        return false;
    for (unsigned i = 0; i < ARRAY_SIZE(filter_members); i++)
        if (f->values[i] && !member_is(&d, filter_members[i], f->values[i]))
            return false;
    const int value = json_member(&d, 0, "time");
    if (value < 0)
        return false;
    const struct slice time = json_raw(&d, (unsigned)value);
    return parse_rfc3339(time.ptr, time.len, &at) == 0 && at >= f->since && at <= f->until;
}

static bool write_out(void *arg, const char *text, size_t len)
{
    int *error = arg;

    if (cli_write(STDOUT_FILENO, text, len) >= 0)
        return true;
    *error = errno;
    return false;
}

/** The lines of a file. strange: counts those that are not signed. Return: 0, NEFIA_EIO or as show_record. */
static int show_file(struct show *s, const struct source *source, int fd, const struct filter *f, uint64_t *strange)
{
    char *buf = pool_audit->lines;
    const size_t cap = sizeof pool_audit->lines;
    size_t len = 0;
    bool overlong = false;
    struct audit_line l;
    long n;

    if (lseek(fd, 0, SEEK_SET) < 0)
        return NEFIA_EIO;
    while ((n = file_fill(fd, buf + len, cap - len)) > 0) {
        char *at = buf, *newline;
        int err = 0;
        len += (size_t)n;
        while ((newline = memchr(at, '\n', len - (size_t)(at - buf))) != NULL && err >= 0) {
            const size_t line = (size_t)(newline - at);
            if (overlong || audit_read(&l, &source->key, at, line) < 0)
                ++*strange;
            else if (passes(f, at, line))
                err = show_record(s, at, line);
            at = newline + 1;
            overlong = false;
        }
        if (err < 0)
            return err;
        len -= (size_t)(at - buf);
        memmove(buf, at, len);
        if (len == cap) { /* no line is as long: what follows up to its end is part of it */
            overlong = true;
            len = 0;
        }
    }
    return n < 0 ? NEFIA_EIO : 0;
}

static int show_all(struct show *s, const struct source *source, const struct filter *f, uint64_t *strange)
{
    int err = show_begin(s);

    *strange = 0;
    for (unsigned i = source->count; i-- > 0 && err >= 0;)
        err = show_file(s, source, source->fds[i], f, strange);
    return err < 0 ? err : show_end(s);
}

/** Show the records that pass. */
static int show_filtered(const struct cli_args *a, const struct show_section *sections, const struct filter *filter)
{
    int error = EPIPE; /* whoever read our output has enough */
    struct show s = {.sections = sections,
                     .tokens = pool_hub_work->answer,
                     .token_cap = HUB_TOKENS,
                     .form = SHOW_MEASURE,
                     .write = write_out,
                     .arg = &error};
    struct source source;
    uint64_t strange;

    int status = open_source(&source, a);
    if (status != CLI_FINE)
        return status;
    int err = cli_option(a, "--json") ? 0 : show_all(&s, &source, filter, &strange);
    s.form = cli_option(a, "--json") ? SHOW_JSON : SHOW_TEXT;
    if (err >= 0)
        err = show_all(&s, &source, filter, &strange);
    if (err < 0 && err != NEFIA_ECLOSED) {
        status = cannot_read(source.part ? source.file : source.dir);
    } else if (err < 0 && error != EPIPE) {
        CLI_ERR("nefia: cannot write the records: ", ERRNO(error), "\n");
        status = CLI_NO;
    } else if (err >= 0 && strange > 0) {
        CLI_ERR("nefia: ", COUNT(strange, "line"), " not shown that the hub has not signed; `nefia audit verify` names them\n");
        status = CLI_NO;
    }
    close_source(&source);
    return status;
}

int audit_show(const struct cli_args *a)
{
    struct filter filter;
    int status = parse_filter(&filter, a);

    return status == CLI_FINE ? show_filtered(a, show_sections, &filter) : status;
}

int audit_playbooks(const struct cli_args *a)
{
    struct filter filter = {.since = INT64_MIN, .until = INT64_MAX};

    filter.values[0] = cli_option(a, "--host");
    filter.values[3] = audit_kind_word(AUDIT_STEP);
    filter.values[4] = cli_option(a, "--run");
    int status = parse_time(a, "--since", &filter.since);
    return status == CLI_FINE ? show_filtered(a, log_sections, &filter) : status;
}
