#include <errno.h>
#include <string.h>

#include "nefia/base/err.h"
#include "nefia/beacon/beacon.h"
#include "nefia/json/json.h"
#include "nefia/sys/cli.h"
#include "nefia/sys/file.h"

/* Manifests: how they are read and written, how differences are told, and the verb `manifest`. */

static const char drift_words[] = "changed\0missing\0extra\0";
static const char link_mark[] = "#link ";

enum manifest_task emitter_task(const struct emitter *e)
{
    const struct manifest_run *run = e->owner->manifest;

    return run ? run->task : MANIFEST_NONE;
}

/* ---- Lines ---- */

/** What sha256sum(1) escapes, and the letters that stand for it behind a backslash. */
static const char escaped[] = "\\\n\r", letters[] = "\\nr";

static void write_out(struct manifest_run *run, const struct text *t)
{
    if (run->err == 0 && (t->truncated || cli_write(run->fd, t->buf, t->len) < 0))
        run->err = t->truncated ? NEFIA_ETOOBIG : NEFIA_EIO;
}

void manifest_put(struct emitter *e, const char *before, const char *value, const char *name)
{
    struct manifest_run *run = e->owner->manifest;
    struct text t;

    text_init(&t, run->buf, run->cap);
    text_str(&t, before);
    if (name[strcspn(name, escaped)])
        text_char(&t, '\\');
    text_str(&t, value);
    text_str(&t, "  ");
    for (; *name; name++) {
        const char *at = strchr(escaped, *name);
        if (at)
            text_char(&t, '\\');
        text_char(&t, at ? letters[at - escaped] : *name);
    }
    text_char(&t, '\n');
    write_out(run, &t);
}

/** The reading of one. */
struct reading {
    struct emitter *e;
    const char *path;
    unsigned line;
    int (*take)(void *arg, const struct manifest_line *l);
    void *arg;
};

/** name: into which it goes. Return: is it one? */
static bool split(const char *line, struct manifest_line *l, struct text *name)
{
    const bool is_escaped = *line == '\\';
    const size_t n = strcspn(line + is_escaped, " ");

    l->value = (struct slice){line + is_escaped, n};
    line = l->value.ptr + n;
    if (n == 0 || *line != ' ' || (line[1] != ' ' && line[1] != '*')) /* `*`: a binary file */
        return false;
    for (line += 2; *line; line++) {
        char c = *line;
        if (is_escaped && c == '\\') {
            const char *at = strchr(letters, *++line); /* the end of letters at that of the line */
            if (!at || !*at)
                return false;
            c = escaped[at - letters];
        }
        text_char(name, c);
    }
    return name->len > 0 && !name->truncated;
}

static int take_line(void *arg, const char *line, size_t len)
{
    struct reading *r = arg;
    struct manifest_line l = {.link = strncmp(line, link_mark, sizeof link_mark - 1) == 0};
    char buf[FILE_PATH_MAX];
    struct text t;

    r->line++;
    if (len == 0 || (*line == '#' && !l.link))
        return 0;
    text_init(&t, buf, sizeof buf);
    l.name = buf;
    if (strlen(line) == len && split(line + (l.link ? sizeof link_mark - 1 : 0), &l, &t))
        return r->take(r->arg, &l);
    text_reset(&t);
    text_str(&t, "not VALUE  NAME in line ");
    text_u64(&t, r->line);
    emitter_not_measured(r->e, r->path, buf);
    return NEFIA_ESYNTAX;
}

int manifest_lines(struct emitter *e, const char *path,
                   int (*take)(void *arg, const struct manifest_line *l), void *arg)
{
    struct reading r = {.e = e, .path = path, .take = take, .arg = arg};

    const int err = emitter_lines(e, path, take_line, &r);

    if (err != 0 || r.line > 0)
        return err;
    emitter_not_measured(e, path, "it is empty"); /* as a power cut may leave it */
    return NEFIA_ESYNTAX;
}

/* ---- Differences ---- */

void drift_begin(struct drift *d)
{
    memset(d->count, 0, sizeof d->count);
    text_init(&d->words, d->buf, sizeof d->buf);
}

static void print_difference(struct manifest_run *run, const char *name, const char *word)
{
    struct json_writer w;
    struct text t;

    run->differences++;
    text_init(&t, run->buf, run->cap);
    if (run->json) {
        json_begin(&w, &t);
        json_object(&w, NULL);
        json_put_string(&w, "name", name);
        json_put_string(&w, "difference", word);
        json_end_object(&w);
    } else {
        text_printable(&t, name, strlen(name));
        text_str(&t, ": ");
        text_str(&t, word);
    }
    text_char(&t, '\n');
    write_out(run, &t);
}

void manifest_difference(struct emitter *e, const char *name, const char *words)
{
    if (emitter_task(e) == MANIFEST_CHECK)
        print_difference(e->owner->manifest, name, words);
}

struct text manifest_text(struct emitter *e)
{
    struct text t;

    text_init(&t, e->owner->manifest->buf, e->owner->manifest->cap);
    return t;
}

void manifest_write(struct emitter *e, const struct text *t)
{
    write_out(e->owner->manifest, t);
}

void drift_note(struct emitter *e, struct drift *d, enum drift_kind kind, const char *name)
{
    const char *word = word_at(drift_words, kind);

    d->count[kind]++;
    if (d->words.len > 0)
        text_str(&d->words, ", ");
    text_str(&d->words, name);
    text_str(&d->words, ": ");
    text_str(&d->words, word);
    manifest_difference(e, name, word);
}

unsigned drift_total(const struct drift *d)
{
    return d->count[DRIFT_CHANGED] + d->count[DRIFT_MISSING] + d->count[DRIFT_EXTRA];
}

enum grade drift_grade(const struct drift *d)
{
    const unsigned total = drift_total(d);

    return total >= 5 ? GRADE_CRITICAL : total >= 3 ? GRADE_HIGH : total > 0 ? GRADE_MEDIUM : GRADE_NONE;
}

void drift_put(struct json_writer *w, const struct drift *d)
{
    for (unsigned i = 0; i < DRIFT_KINDS; i++)
        json_put_u64(w, word_at(drift_words, i), d->count[i]);
    json_put_string(w, "differences", d->buf);
}

/* ---- The verb ---- */

static int show_nothing(void *arg, const char *line, size_t len)
{
    (void)arg;
    (void)line;
    (void)len;
    return PIPELINE_ACCEPTED;
}

static void reap(void *arg, int signo)
{
    struct beacon *b = arg;

    if (BEACON_COMMANDS > 0 && signo == SIGCHLD)
        children_reap(&b->children);
}

/** The name of the sensor of a kind, or null after a report. */
static const char *sensor_of(const char *kind)
{
    static const char kinds[] = "config\0modules\0packages\0storage\0",
                      sensors[] = "config_drift\0module_drift\0package_drift\0storage_assignment_drift\0";
    const int i = word_index(kinds, (struct slice){kind, strlen(kind)});

    if (i >= 0)
        return word_at(sensors, (unsigned)i);
    CLI_ERR("nefia-beacon: manifest: \"", kind, "\" is not one of config, modules, packages, storage\n");
    return NULL;
}

static int look(struct beacon *b, struct emitter *e, const struct manifest_run *run)
{
    sensor_runner_run(e);
    while (b->sensor_runner.running > 0)
        loop_turn(&b->loop, -1); /* bounded: commands have deadlines */
    if (e->result == INSTANCE_OK)
        return run->err;
    CLI_ERR(e->class->name, ": not measured: ", e->why, "\n");
    return NEFIA_EINVAL;
}

/** All of the sensor's items, each of which compares; one of them writes. */
static int look_at_all(struct beacon *b, const char *sensor, const struct manifest_run *run)
{
    const struct instance_set *set = sensor_runner_current(&b->sensor_runner);
    unsigned found = 0;
    int err = 0;

    loop_on_signal(&b->loop, reap, b);
    for (unsigned i = 0; i < set->count && (found == 0 || run->task == MANIFEST_CHECK); i++)
        if (str_eq(set->items[i].class->name, sensor)) {
            const int one = look(b, &set->items[i], run);
            err = err < 0 ? err : one;
            found++;
        }
    sensor_runner_stop(&b->sensor_runner);
    return err;
}

static bool is_configured(struct beacon *b, const char *sensor)
{
    const struct instance_set *set = sensor_runner_current(&b->sensor_runner);

    for (unsigned i = 0; i < set->count; i++)
        if (str_eq(set->items[i].class->name, sensor))
            return true;
    CLI_ERR("nefia-beacon: manifest: ", b->path, " has no beacons.", sensor, "\n");
    return false;
}

int beacon_manifest(struct beacon *b, const struct cli_args *a, char *buf, size_t cap)
{
    const char *file = cli_option(a, "-o");
    struct manifest_run run = {.task = cli_option(a, "--check") ? MANIFEST_CHECK : MANIFEST_WRITE,
                               .json = cli_option(a, "--json"),
                               .fd = STDOUT_FILENO,
                               .buf = buf,
                               .cap = cap};

    if ((run.task == MANIFEST_CHECK && file) || (run.task == MANIFEST_WRITE && run.json)) {
        CLI_ERR("nefia-beacon: manifest: -o is for writing, --json for --check\n");
        return CLI_WRONG;
    }
    b->sensor_runner.manifest = &run;
    b->pipeline.print = show_nothing;
    b->pipeline.host_id = beacon_loaded(b)->host_id;
    sensor_runner_switch_once(&b->sensor_runner);
    const char *sensor = sensor_of(a->operands[0]);
    if (!sensor || !is_configured(b, sensor))
        return CLI_WRONG;
    run.fd = file ? file_replace_begin(file) : STDOUT_FILENO;
    int err = run.fd < 0 ? run.fd : look_at_all(b, sensor, &run);
    if (file && run.fd >= 0)
        err = file_replace_end(file, run.fd, err);
    if (err < 0 && err != NEFIA_EINVAL)
        CLI_ERR("nefia-beacon: manifest: ", file ? file : "standard output", ": ", ERRNO(errno), "\n");
    return err < 0 || run.differences > 0 ? CLI_NO : CLI_FINE;
}
