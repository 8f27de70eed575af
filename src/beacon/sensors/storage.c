#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "nefia/base/err.h"
#include "nefia/beacon/sensor.h"
#include "nefia/sys/cli.h"

/* storage_assignment_drift: is what is mounted, and what is exported by NFS, what was assigned to this device? Mounts are read
 * in /proc/self/mountinfo, exports in what exportfs(8) has written. A file system that may hang is asked by a process of
 * its own whether it answers. */
enum problem { NONE, MISSING, WRONG_SOURCE, WRONG_TYPE, READ_ONLY, WRITABLE, STALE, OUTDATED, NOT_EXPORTED, WRONG_CLIENTS };
static const char problem_words[] = "missing\0wrong_source\0wrong_type\0read_only\0writable\0stale\0outdated\0"
                                    "not_exported\0wrong_clients\0";
static const uint8_t grades[] = {
    GRADE_NONE, GRADE_CRITICAL, GRADE_CRITICAL, GRADE_MEDIUM, GRADE_HIGH,
    GRADE_MEDIUM, GRADE_HIGH, GRADE_MEDIUM, GRADE_HIGH, GRADE_MEDIUM,
};

struct storage {
    struct sensor_common common;
    const char *mount, *export; /* one of them */
    const char *source, *root, *type, *clients, *fresh;
    int writable; /* 0: it must not be; negative: either */
    uint64_t stale_ms, age_ms;
    uint64_t answered_ms; /* when it last did, or was first asked; 0: never */
    uint32_t mounts;      /* emitter_mounts when it was last in order, and cannot be otherwise while they are the same; or 0 */
    struct apart process; /* that did not answer in time; 0: it did */
};

#define MEMBER(name) FIELD_AT(struct storage, name)
static const struct field storage_fields[] = {
    {.name = "mount", .type = FIELD_STRING, MEMBER(mount)},
    {.name = "export", .type = FIELD_STRING, MEMBER(export)},
    {.name = "source", .type = FIELD_STRING, MEMBER(source)},
    {.name = "root", .type = FIELD_STRING, MEMBER(root)},
    {.name = "type", .type = FIELD_STRING, MEMBER(type)},
    {.name = "clients", .type = FIELD_STRING, MEMBER(clients)},
    {.name = "writable", .type = FIELD_WORD, MEMBER(writable), .words = "false\0true\0"},
    {.name = "fresh", .type = FIELD_STRING, MEMBER(fresh)},
    {FIELD_DEFAULT("max_age", "1d"), .type = FIELD_DURATION, MEMBER(age_ms), .min = 1000, .max = -1},
    {FIELD_DEFAULT("stale_for", "5m"), .type = FIELD_DURATION, MEMBER(stale_ms), .min = 1000, .max = -1},
    {.name = NULL},
};

#define EXPORTS "/var/lib/nfs/etab"

/** One look. */
struct look {
    const struct storage *s;
    struct emitter *out;
    enum problem problem;
    bool may_hang, unsure; /* unsure: that the source is right depends on links in /dev, too */
    const char *expected; /* null: nothing in particular */
    struct text found;
    char buf[96];
    /* The mounts on the way to the path, from the first: of each its id and the length of its own path. */
    struct {
        uint32_t id, length;
    } way[8];
    unsigned steps;
};

static const char *path_of(const struct storage *s)
{
    return s->mount ? s->mount : s->export;
}

static int storage_open(void *state, struct config *c, const struct node *n, const char *where)
{
    const struct storage *s = state;
    const char *path = path_of(s);

    if (!path || (s->mount && s->export))
        config_error(c, n, where, "give mount or export", NULL);
    else if (path[0] != '/' || str_find(path, "/.") || str_find(path, "//") || (path[1] && path[strlen(path) - 1] == '/'))
        config_error(c, n, where, path, " is not an absolute path without /., // and a / at its end", NULL);
    if (s->mount && s->clients)
        config_error(c, n, where, "clients belongs to export", NULL);
    if (s->export && (s->source || s->root || s->type || s->fresh))
        config_error(c, n, where, "source, root, type and fresh belong to mount", NULL);
    return 0;
}

static int storage_start(void *state, struct emitter *self, void *before)
{
    struct storage *s = state;
    const struct storage *old = before;

    (void)self;
    if (old && str_eq(path_of(s), path_of(old))) {
        s->answered_ms = old->answered_ms;
        s->process = old->process;
    }
    return 0;
}

/** For `manifest storage --check`: "wrong_source, /dev/sdb1 is expected, found /dev/sdc1". */
static void print_problem(struct look *l)
{
    char buf[256];
    struct text t;

    text_init(&t, buf, sizeof buf);
    text_str(&t, word_at(problem_words, l->problem - 1u));
    if (l->expected) {
        text_str(&t, ", expected ");
        text_str(&t, l->expected);
    }
    if (l->found.len > 0) {
        text_str(&t, ", found ");
        text_printable(&t, l->found.buf, l->found.len);
    }
    manifest_difference(l->out, path_of(l->s), buf);
}

static void judge(struct look *l)
{
    const char *name = l->s->common.name, *path = path_of(l->s);

    if (l->problem)
        print_problem(l);
    struct json_writer *w =
        emit_grade(l->out, "system.storage_assignment_drift", "system.storage_assignment_drift", name, grades[l->problem]);

    if (!w)
        return;
    json_put_string(w, "name", name);
    json_put_string(w, "path", path);
    if (l->problem) {
        json_put_string(w, "problem", word_at(problem_words, l->problem - 1u));
        if (l->expected)
            json_put_string(w, "expected", l->expected);
        if (l->found.len > 0)
            json_put_bytes(w, "found", l->found.buf, l->found.len);
    }
    emit_end(l->out);
}

/* ---- what is mounted ---- */

static bool is(const char *word, const char *text)
{
    const size_t n = mount_word(word, text);

    return n > 0 && text[n] == '\0';
}

/** A word of the kernel's that is not what was declared. Return: is it? */
static bool differs(struct look *l, enum problem problem, const char *word, const char *expected)
{
    if (!expected || is(word, expected))
        return false;
    l->problem = problem;
    l->expected = expected;
    text_reset(&l->found);
    mount_text(&l->found, word);
    return true;
}

static bool is_read_only(const char *options, const char *of_all)
{
    return strncmp(options, "ro", 2) == 0 || strncmp(of_all, "ro", 2) == 0 || str_find(of_all, ",emergency_ro");
}

static void put_word(struct json_writer *w, const char *key, const char *word)
{
    char buf[256];
    struct text t;

    text_init(&t, buf, sizeof buf);
    mount_text(&t, word);
    json_put_bytes(w, key, t.buf, t.len);
}

static bool has_rights(struct look *l, const char *options, const char *of_all)
{
    static const char rw[] = "rw", ro[] = "ro";
    const bool read_only = is_read_only(options, of_all);

    if (l->s->writable < 0 || l->s->writable == !read_only)
        return true;
    l->problem = read_only ? READ_ONLY : WRITABLE;
    l->expected = read_only ? rw : ro;
    text_reset(&l->found);
    text_str(&l->found, read_only ? ro : rw);
    return false;
}

/** Where udev has it: "UUID=…" is /dev/disk/by-uuid/…; anything else is a path. */
static const char *device_path(char *buf, size_t cap, const char *source)
{
    const char *rest = strchr(source, '=');
    struct text t;

    if (!rest || strspn(source, "ABDEILPRTU") != (size_t)(rest - source))
        return source;
    text_init(&t, buf, cap);
    text_str(&t, "/dev/disk/by-");
    while (source < rest)
        text_char(&t, (char)(*source++ | 0x20));
    text_char(&t, '/');
    text_str(&t, rest + 1);
    return buf;
}

/** Return: 0: it is no device, or not there. */
static dev_t device_of(const char *path)
{
    struct stat s;

    return strncmp(path, "/dev/", 5) == 0 && !str_find(path, "/.") && stat(path, &s) == 0 ? s.st_rdev : 0;
}

static uint32_t number(const char *word)
{
    uint32_t n = 0;

    while (*word >= '0' && *word <= '9')
        n = 10 * n + (uint32_t)(*word++ - '0');
    return n;
}

/** "8:1" is a device of this number. */
static bool is_device(const char *word, dev_t device)
{
    const char *rest = word + strcspn(word, ": ");

    return device && major(device) == number(word) && *rest == ':' && minor(device) == number(rest + 1);
}

/** A file system is known by its device's name, or by its number, which for some (btrfs) is that of the device that the
 * kernel names. The declared name is looked up, not trusted: links in /dev change. */
static bool has_source(struct look *l, const struct mount *m)
{
    char buf[96];
    const char *declared = l->s->source;

    if (!differs(l, WRONG_SOURCE, m->word[MOUNT_SOURCE], declared))
        return true;
    l->unsure = true;
    const char *path = device_path(buf, sizeof buf, declared);
    const dev_t device = device_of(path);
    if (is_device(m->word[MOUNT_DEVICE], device) || (device && device_of(l->buf) == device))
        return true;
    if (path == declared || device || access("/dev/disk", F_OK) == 0)
        return false;
    emitter_not_measured(l->out, path, ERRNO(errno));
    return true;
}

static void judge_mount(struct look *l, const struct mount *m)
{
    const struct storage *s = l->s;

    l->may_hang = mount_may_hang(m);
    if (!has_source(l, m) || differs(l, WRONG_SOURCE, m->word[MOUNT_ROOT], s->root) ||
        differs(l, WRONG_TYPE, m->word[MOUNT_TYPE], s->type) || !has_rights(l, m->word[MOUNT_OPTIONS], m->word[MOUNT_SUPER]))
        return;
    l->problem = NONE;
}

/** Is this mount on the way to the path, as far as those seen so far tell? From a mount the way leads into the first of those
 * on it: what is mounted over a directory hides those below. */
static bool leads_on(struct look *l, const struct mount *m, size_t length)
{
    const uint32_t parent = number(m->word[MOUNT_PARENT]);
    unsigned i = l->steps;

    while (i > 0 && l->way[i - 1].id != parent)
        i--;
    if (i == ARRAY_SIZE(l->way) || (i == 0 && l->steps > 0) || (i < l->steps && l->way[i].length <= length))
        return false;
    l->way[i].id = number(m->word[MOUNT_ID]);
    l->way[i].length = (uint32_t)length;
    l->steps = i + 1;
    return true;
}

static int take_mount(void *arg, const char *line, size_t len)
{
    struct look *l = arg;
    struct mount m;

    (void)len;
    const size_t n = mount_read(&m, line) ? mount_holds(&m, l->s->mount) : 0;
    if (n == 0 || !leads_on(l, &m, n))
        return 0;
    if (l->s->mount[n])
        l->problem = MISSING;
    else
        judge_mount(l, &m);
    return 0;
}

/** Return: 0, or negative: not measured. */
static int find_mount(struct look *l)
{
    int err = 0;

    l->problem = MISSING;
    /* One that was moved may stand before those that it is on. */
    for (int again = 0; err == 0 && l->problem == MISSING && again < 2; again++)
        err = emitter_lines(l->out, MOUNTS, take_mount, l);
    return err;
}

/* ---- what is exported ---- */

/** "/srv/share\t10.0.0.0/24(rw,sync,…)" of exportfs and of the kernel: its clients, as text. Return: its options; null: it is no
 * such line. */
static const char *read_export(const char *line, struct text *clients, char *buf, size_t cap)
{
    const char *tab = strchr(line, '\t'), *options = tab ? strchr(tab, '(') : NULL;

    text_init(clients, buf, cap);
    if (options)
        text_bytes(clients, tab + 1, (size_t)(options - tab - 1));
    return options ? options + 1 : NULL;
}

/** Return: 1: that is it, as it should be. */
static int take_export(void *arg, const char *line, size_t len)
{
    struct look *l = arg;
    char buf[96];
    struct text clients;
    const char *options = read_export(line, &clients, buf, sizeof buf);

    (void)len;
    if (!options || !is(line, l->s->export) || differs(l, WRONG_CLIENTS, buf, l->s->clients) || !has_rights(l, options, ""))
        return 0;
    l->problem = NONE;
    return 1;
}

static int find_export(struct look *l)
{
    int64_t threads = 0;

    l->problem = NOT_EXPORTED;
    if (emitter_number_if(l->out, "/proc/fs/nfsd/threads", &threads) < 0 ? errno == ENOENT : threads == 0) {
        text_str(&l->found, "no server");
        return 0;
    }
    return emitter_lines(l->out, access(EXPORTS, F_OK) == 0 ? EXPORTS : "/proc/fs/nfsd/exports", take_export, l);
}

/* ---- does it answer, and is it fresh? ---- */

/** What the process writes: that it is there, and what it has found. */
struct answer {
    int32_t reason; /* errno */
    int32_t old;    /* 1, or errno of the file */
    int64_t changed;
};
struct report {
    struct apart process;
    struct answer answer;
};

static void ask(const struct storage *s)
{
    struct report r = {.process = {getpid(), getpgrp()}};
    struct statfs v;
    struct stat file;

    cli_write(STDOUT_FILENO, (const char *)&r.process, sizeof r.process);
    if (statfs(s->mount, &v) < 0)
        r.answer.reason = errno;
    else if (s->fresh && stat(s->fresh, &file) < 0)
        *(errno == EACCES ? &r.answer.reason : &r.answer.old) = errno;
    else if (s->fresh) {
        r.answer.changed = file.st_mtime;
        r.answer.old = file.st_mtime < time(NULL) - (int64_t)(s->age_ms / 1000);
    }
    cli_write(STDOUT_FILENO, (const char *)&r.answer, sizeof r.answer);
    _exit(0);
}

/** In a process of the beacon's: one more, since one that hangs cannot even be killed. */
static int task(void *arg)
{
    if (_Fork() == 0)
        ask(arg);
    while (wait(NULL) > 0 || errno == EINTR)
        ;
    return 0;
}

static void judge_answer(struct storage *s, struct emitter *out, const struct answer *a)
{
    struct look l = {.s = s, .out = out};
    const uint64_t now = emitter_now(out);

    text_init(&l.found, l.buf, sizeof l.buf);
    if (!a->reason || !s->answered_ms)
        s->answered_ms = now;
    if (a->reason) {
        emitter_not_measured(out, s->mount, ERRNO(a->reason));
        if (a->reason == EACCES || now - s->answered_ms < s->stale_ms)
            return;
        l.problem = STALE;
        text_str(&l.found, ERRNO(a->reason));
    } else if (a->old) {
        l.problem = OUTDATED;
        l.expected = s->fresh;
        if (a->changed)
            text_rfc3339(&l.found, a->changed);
        else
            text_str(&l.found, ERRNO(a->old));
    }
    judge(&l);
}

static void answered(void *state, struct emitter *out, const struct child_result *r, const char *output)
{
    struct storage *s = state;
    struct report report = {.answer = {.reason = r->timed_out ? ETIMEDOUT : EIO}};

    const bool whole = r->output_len == sizeof report;
    if (r->output_len >= sizeof s->process)
        memcpy(&report, output, whole ? sizeof report : sizeof s->process);
    s->process = report.process;
    if (whole)
        s->process.child = 0;
    judge_answer(s, out, &report.answer);
}

/* ---- the manifest: what there is, as the configuration would declare it ---- */

/** One item; the rest of its line follows. */
static void begin_item(struct json_writer *w, struct text *t, struct emitter *out, const char *key, const char *path)
{
    char name[65];
    struct text n;

    text_init(&n, name, sizeof name);
    mount_text(&n, path);
    *t = manifest_text(out);
    text_str(t, "    - ");
    json_begin(w, t);
    json_object(w, NULL);
    json_put_bytes(w, "name", n.buf, n.len);
    put_word(w, key, path);
}

static void end_item(struct json_writer *w, struct text *t, struct emitter *out, bool read_only)
{
    json_put_bool(w, "writable", !read_only);
    json_end_object(w);
    text_char(t, '\n');
    manifest_write(out, t);
}

/** What is on a device or on another machine: such a source has a slash or a colon. */
static int write_mount(void *arg, const char *line, size_t len)
{
    struct emitter *out = arg;
    struct json_writer w;
    struct text t;
    struct mount m;

    (void)len;
    if (!mount_read(&m, line) || strchr(" ", m.word[MOUNT_SOURCE][strcspn(m.word[MOUNT_SOURCE], " /:")]))
        return 0;
    begin_item(&w, &t, out, "mount", m.word[MOUNT_PATH]);
    put_word(&w, "source", m.word[MOUNT_SOURCE]);
    put_word(&w, "root", m.word[MOUNT_ROOT]);
    put_word(&w, "type", m.word[MOUNT_TYPE]);
    end_item(&w, &t, out, is_read_only(m.word[MOUNT_OPTIONS], m.word[MOUNT_SUPER]));
    return 0;
}

static int write_export(void *arg, const char *line, size_t len)
{
    struct emitter *out = arg;
    char buf[96];
    struct text t, clients;
    struct json_writer w;
    const char *options = read_export(line, &clients, buf, sizeof buf);

    (void)len;
    if (!options)
        return 0;
    begin_item(&w, &t, out, "export", line);
    json_put_bytes(&w, "clients", clients.buf, clients.len);
    end_item(&w, &t, out, is_read_only(options, ""));
    return 0;
}

static int write_manifest(struct emitter *out)
{
    struct text t = manifest_text(out);

    text_str(&t, "  storage_assignment_drift:\n");
    manifest_write(out, &t);
    if (emitter_lines(out, MOUNTS, write_mount, out) == 0 && access(EXPORTS, F_OK) == 0)
        emitter_lines(out, EXPORTS, write_export, out);
    return 0;
}

static int storage_poll(void *state, struct emitter *out, uint64_t now_ms)
{
    enum { ANSWER_MS = 10 * 1000 };
    struct storage *s = state;
    struct look l = {.s = s, .out = out};
    const uint64_t half = s->common.interval_ms / 2;

    (void)now_ms;
    if (emitter_task(out) == MANIFEST_WRITE)
        return write_manifest(out);
    text_init(&l.found, l.buf, sizeof l.buf);
    /* That a file system itself turned read-only, or hangs, is no change of mounts. */
    const uint32_t mounts = s->mount && s->writable < 0 && !s->fresh ? emitter_mounts(out) : 0;
    const bool same = mounts && mounts == s->mounts;
    const int err = same ? 0 : s->mount ? find_mount(&l) : find_export(&l);
    s->mounts = 0;
    if (err < 0)
        return 0;
    if (l.problem || !s->mount || !(l.may_hang || s->fresh)) {
        if (!l.problem && !l.unsure)
            s->mounts = mounts;
        judge(&l);
        return 0;
    }
    if (!apart_hangs(&s->process))
        return emitter_child_run(out, task, s, half < ANSWER_MS ? half : ANSWER_MS, answered);
    judge_answer(s, out, &(const struct answer){.reason = ETIMEDOUT});
    return 0;
}

const struct sensor_class sensor_storage = {
    SENSOR_NAME("storage_assignment_drift", "1m"),
    .list = SENSOR_LIST,
    .fields = storage_fields,
    .state_size = sizeof(struct storage),
    .open = storage_open,
    .start = storage_start,
    .poll = storage_poll,
};
