#include <errno.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "nefia/base/err.h"
#include "nefia/beacon/sensor.h"
#include "nefia/json/json.h"
#include "nefia/sys/dir.h"
#include "nefia/sys/log.h"

/* service_check: what the device's service manager says of services, in systemd's words. Only a change is
 * an event. OpenRC, runit and init scripts leave files from which the state can be read; systemd and procd
 * are asked by a command. */
enum state {
    UNSEEN,
    ACTIVE,
    RELOADING,
    REFRESHING,
    ACTIVATING, /* up to here nothing is wrong */
    DEACTIVATING,
    INACTIVE,
    FAILED,
    MAINTENANCE,
    UNKNOWN,
};
/** Of a state, from ACTIVE on. */
static const char state_words[] =
    "active\0reloading\0refreshing\0activating\0deactivating\0inactive\0"
    "failed\0maintenance\0unknown\0";

enum backend { AUTO, SYSTEMD, PROCD, OPENRC, RUNIT, SYSV };
static const char backend_words[] = "auto\0systemd\0procd\0openrc\0runit\0sysv\0";
/** By what each is recognised, from SYSTEMD on; SYSV is what is left. The first is sd_booted(3)'s. */
static const char marks[] = "/run/systemd/system\0/sbin/procd\0/run/openrc\0/run/runit\0";

enum { NAME_MAX_BYTES = 64, PATH_BYTES = 2 * NAME_MAX_BYTES + 64, DEADLINE_MS = 30000 };

struct service {
    struct sensor_common common;
    int backend; /* enum backend */
    int found;   /* if that is AUTO: which one runs; it does not change while we do */
    const char *names[CONFIG_SERVICES];
    unsigned count;
    unsigned at;                     /* procd: which one it is asked about */
    uint8_t states[CONFIG_SERVICES]; /* enum state, as last reported */
};

/** Names become arguments and parts of paths. */
static int set_name(void *item, const char *value, struct text *why)
{
    static const char allowed[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_@:+\\-.";
    size_t len = strlen(value);

    if (strspn(value, allowed) == len && len <= NAME_MAX_BYTES && value[0] != '-' &&
        value[0] != '.') {
        memcpy(item, &value, sizeof value);
        return 0;
    }
    text_str(why, value);
    text_str(why, " is no service name");
    return NEFIA_EINVAL;
}

static const struct field_list name_list = {
    .count = offsetof(struct service, count),
    .cap = CONFIG_SERVICES,
    .remedy = FIELD_HELP("; raise CONFIG_SERVICES"),
    .set = set_name,
};

#define MEMBER(name) FIELD_AT(struct service, name)
static const struct field service_fields[] = {
    {FIELD_REQUIRED("services", "the names of the services to watch"), .type = FIELD_LIST,
     MEMBER(names), .min = 1, .list = &name_list},
    {FIELD_DEFAULT("backend", "auto"), .type = FIELD_WORD, MEMBER(backend), .words = backend_words,
     FIELD_NOTE("who knows their state; auto: the one that runs")},
    {.name = NULL},
};

static int service_open(void *state, struct config *c, const struct node *n, const char *where)
{
    const struct service *s = state;

    return config_distinct(c, node_child(c, n, "services"), where, "service", s->names, s->count);
}

static int service_start(void *state, struct emitter *self, void *before)
{
    struct service *s = state;
    const struct service *old = before;

    (void)self;
    for (unsigned i = 0; old && i < s->count; i++)
        for (unsigned j = 0; j < old->count; j++)
            if (str_eq(s->names[i], old->names[j]))
                s->states[i] = old->states[j];
    return 0;
}

/** One service has been looked at. What is known once and cannot be found any more has been stopped. */
static void observe(struct service *s, struct emitter *e, unsigned i, enum state now)
{
    const enum state before = s->states[i];
    const char *name = s->names[i];

    if (now == UNKNOWN && before != UNSEEN && before != UNKNOWN)
        now = INACTIVE;
    else if (now == UNKNOWN)
        emitter_not_measured(e, name, "unknown service");
    if (now == before)
        return;
    const char *word = word_at(state_words, now - ACTIVE);
    if (before == UNSEEN) {
        LOG_INFO("service ", name, " is ", word);
        s->states[i] = (uint8_t)now;
        return;
    }
    struct json_writer *w = emit_change(e, "service.status", name,
                                        now == FAILED       ? SEVERITY_CRITICAL
                                        : now <= ACTIVATING ? SEVERITY_INFO
                                                            : SEVERITY_WARNING);
    json_put_string(w, "service", name);
    json_put_string(w, "state", word);
    json_put_string(w, "previous_state", word_at(state_words, before - ACTIVE));
    if (emit_end(e) == 1)
        s->states[i] = (uint8_t)now;
}

/* ---- What files say ---- */

/** Where `%` stands for the name and `$` for the word. Valid until the buffer is used again. */
static const char *path_of(char buf[PATH_BYTES], const char *path, const char *name,
                           const char *word)
{
    struct text t;

    for (text_init(&t, buf, PATH_BYTES); *path; path++)
        if (*path == '%')
            text_str(&t, name);
        else if (*path == '$')
            text_str(&t, word);
        else
            text_char(&t, *path);
    return buf;
}

/** The first of the words with which the path exists, or -1. */
static int find(const char *path, const char *name, const char *words)
{
    char buf[PATH_BYTES];
    const char *word;

    for (int i = 0; *(word = word_at(words, (unsigned)i)); i++)
        if (access(path_of(buf, path, name, word), F_OK) == 0)
            return i;
    return -1;
}

/** A file that need not be there. Return: ACTIVE, with its text; UNKNOWN: it is not there; UNSEEN: it cannot
 * be read, which is "not measured". */
static enum state read_if(struct emitter *e, const char *path, const char *name, const char **text,
                          size_t *len)
{
    char buf[PATH_BYTES];

    errno = EINVAL;
    *text = emitter_file_if(e, path_of(buf, path, name, NULL), len);
    if (*text)
        return ACTIVE;
    if (errno == ENOENT || errno == ENOTDIR)
        return UNKNOWN;
    emitter_not_measured(e, buf, ERRNO(errno));
    return UNSEEN;
}

/** What a file or an answer says of it cannot be understood. */
static enum state odd(struct emitter *e, const char *name)
{
    emitter_not_measured(e, name, "unexpected answer");
    return UNSEEN;
}

/** Also of another user, and where /proc does not show those. */
static bool runs(uint64_t pid)
{
    return pid - 1 < INT32_MAX && (kill((pid_t)pid, 0) == 0 || errno == EPERM);
}

/** Of the process whose id is in a file: ACTIVE, FAILED (it has ended without removing the file), or as
 * read_if. */
static enum state pid_file(struct emitter *e, const char *path, const char *name)
{
    const char *text;
    uint64_t pid;
    const enum state state = read_if(e, path, name, &text, NULL);

    if (state != ACTIVE)
        return state;
    text += strspn(text, " \t");
    if (parse_u64(text, strspn(text, "0123456789"), &pid) < 0)
        return odd(e, name);
    return runs(pid) ? ACTIVE : FAILED;
}

/** It does not run: INACTIVE if it has an init script, also one that is numbered ("S50dropbear"). */
static enum state by_script(const char *name)
{
    struct dir d;
    const char *file;
    enum state state = UNKNOWN;

    if (dir_open(&d, "/etc/init.d") < 0)
        return UNKNOWN;
    while (state == UNKNOWN && (file = dir_next(&d)))
        if (str_eq(file, name) || (file[0] == 'S' && file[1] && file[2] && str_eq(file + 3, name)))
            state = INACTIVE;
    dir_close(&d);
    return state;
}

static enum state look_sysv(struct emitter *e, const char *name)
{
    static const char files[] = "/run/%.pid\0/run/%/%.pid\0/var/run/%.pid\0/var/run/%/%.pid\0";
    enum state found = UNKNOWN;

    for (unsigned i = 0; i < 4 && found != ACTIVE; i++) {
        const enum state state = pid_file(e, word_at(files, i), name);
        if (state != UNKNOWN)
            found = state;
    }
    return found == UNKNOWN ? by_script(name) : found;
}

/** OpenRC says of a service whose daemon has died that it is started; how to find that is in its
 * daemons/NAME/001: "exec=…\nargv_0=…\n…pidfile=…\n". */
static enum state openrc_daemon(struct emitter *e, const char *name)
{
    static const char key[] = "\npidfile=/";
    char path[PATH_BYTES];
    const char *text;
    struct text t;
    enum state state = read_if(e, "/run/openrc/daemons/%/001", name, &text, NULL);

    text = state == ACTIVE ? str_find(text, key) : NULL;
    if (!text)
        return state == UNSEEN ? UNSEEN : ACTIVE;
    text += sizeof key - 2;
    text_init(&t, path, sizeof path);
    text_bytes(&t, text, strcspn(text, "\n"));
    state = pid_file(e, "%", path);
    return state == UNKNOWN ? FAILED : state;
}

static enum state look_openrc(struct emitter *e, const char *name)
{
    static const char words[] = "starting\0stopping\0inactive\0failed\0crashed\0started\0";
    static const uint8_t states[] = {ACTIVATING, DEACTIVATING, INACTIVE, FAILED, FAILED};

    const int found = find("/run/openrc/$/%", name, words);

    if (found < 0)
        return by_script(name);
    return (size_t)found < sizeof states ? (enum state)states[found] : openrc_daemon(e, name);
}

/** runsv's supervise/status: a TAI64N label, the process id in little endian, whether it is paused, what is
 * wanted (`u` or `d`), whether it was sent SIGTERM, and 0 down, 1 run, 2 finish. */
static enum state runit_status(const uint8_t *s)
{
    enum { PID = 12, WANT = 17, TERM = 18, STATE = 19 };
    const uint32_t pid = s[PID] | (uint32_t)s[PID + 1] << 8 | (uint32_t)s[PID + 2] << 16 |
                         (uint32_t)s[PID + 3] << 24;

    if (s[STATE] == 1 && runs(pid))
        return s[TERM] ? DEACTIVATING : ACTIVE;
    if (s[STATE] == 1 || s[WANT] == 'u')
        return FAILED; /* nobody has stopped it */
    return s[STATE] ? DEACTIVATING : INACTIVE;
}

static enum state look_runit(struct emitter *e, const char *name)
{
    static const char files[] =
        "/var/service/%/supervise/status\0/etc/service/%/supervise/status\0";
    enum { STATUS_BYTES = 20 };
    enum state state = UNKNOWN;
    const char *status;
    size_t len = 0;

    for (unsigned i = 0; i < 2 && state == UNKNOWN; i++)
        state = read_if(e, word_at(files, i), name, &status, &len);
    if (state != ACTIVE)
        return state;
    return len < STATUS_BYTES ? odd(e, name) : runit_status((const uint8_t *)status);
}

static int look(struct service *s, struct emitter *out, int b)
{
    for (unsigned i = 0; i < s->count; i++) {
        const char *name = s->names[i];
        const enum state state = b == OPENRC  ? look_openrc(out, name)
                                 : b == RUNIT ? look_runit(out, name)
                                              : look_sysv(out, name);
        if (state != UNSEEN)
            observe(s, out, i, state);
    }
    return 0;
}

/* ---- What commands say ---- */

static size_t line_length(const char *line, const char *end)
{
    const char *newline = memchr(line, '\n', (size_t)(end - line));

    return (size_t)((newline ? newline : end) - line);
}

/** It said something else, in this line of its output. */
static void refuse(struct emitter *e, const char *who, const struct child_result *r,
                   const char *line, const char *end)
{
    char buf[64];
    struct text t;

    text_init(&t, buf, sizeof buf);
    text_printable(&t, line, line_length(line, end));
    emitter_not_measured(e, who, t.len && !r->timed_out ? buf : "no answer");
}

/** To systemctl a unit that does not exist is inactive. */
static bool has_unit(const char *name)
{
    static const char dirs[] = "/etc\0/run\0/lib\0/usr/lib\0";

    /* Of a template there is no file of this name, and a suffix may be any. */
    return name[strcspn(name, "@.")] || find("$/systemd/system/%.service", name, dirs) >= 0;
}

/** A line for each service, as far as they are what they should be. */
static void systemd_done(void *state, struct emitter *e, const struct child_result *r,
                         const char *output)
{
    struct service *s = state;
    const char *line = output, *end = output + r->output_len;

    for (unsigned i = 0; i < s->count; i++) {
        const size_t len = line_length(line, end);
        const int word = word_index(state_words, (struct slice){line, len});
        if (word < 0) {
            refuse(e, "systemctl", r, line, end);
            return;
        }
        const enum state now = (enum state)(ACTIVE + word);
        observe(s, e, i, now == INACTIVE && !has_unit(s->names[i]) ? UNKNOWN : now);
        line += len + (line + len < end);
    }
}

static int ask_systemd(struct service *s, struct emitter *out)
{
    const char *argv[3 + CONFIG_SERVICES + 1] = {"/usr/bin/env", "systemctl", "is-active"};

    memcpy(argv + 3, s->names, s->count * sizeof *argv);
    return emitter_child_argv(out, argv, DEADLINE_MS, systemd_done);
}

/** The first character of a member's value; 0: there is none. */
static char member(const struct json_doc *d, unsigned object, const char *name)
{
    const int value = json_member(d, object, name);

    return value < 0 ? '\0' : d->text[json_at(d, (unsigned)value)->start];
}

/** {"NAME":{"instances":{"instance1":{"running":true,"pid":…}, "instance2":{"running":false,"exit_code":1}}}};
 * {}: procd does not have it. (procd, service/service.c and service/instance.c) */
static enum state procd_state(const struct json_doc *d, const char *name)
{
    const int service = json_member(d, 0, name);
    enum state state = INACTIVE;

    if (service < 0)
        return by_script(name);
    const int all = json_member(d, (unsigned)service, "instances");
    if (all < 0 || json_at(d, (unsigned)all)->type != JSON_OBJECT)
        return ACTIVE; /* it has none: a firewall */
    for (unsigned i = (unsigned)all + 1; i < json_at(d, (unsigned)all)->next;
         i = json_at(d, i)->next) {
        const char code = member(d, i + 1, "exit_code");
        if (member(d, i + 1, "running") == 't')
            state = ACTIVE;
        else if (code && code != '0')
            return FAILED;
    }
    return state;
}

static int ask_procd(struct service *s, struct emitter *e, unsigned which);

static void procd_done(void *state, struct emitter *e, const struct child_result *r,
                       const char *output)
{
    struct service *s = state;
    const char *name = s->names[s->at];
    struct json_doc d;

    if (r->exit_code != 0 || r->timed_out) {
        refuse(e, "ubus", r, output, output + r->output_len);
        return; /* the others would not be answered either */
    }
    if (emitter_json(e, output, r->output_len, &d) < 0)
        odd(e, name);
    else
        observe(s, e, s->at, procd_state(&d, name));
    int err = s->at + 1 < s->count ? ask_procd(s, e, s->at + 1) : 0;
    if (err < 0)
        emitter_not_measured(e, "ubus", err_text(err));
}

static int ask_procd(struct service *s, struct emitter *e, unsigned which)
{
    char buf[PATH_BYTES];
    const char *argv[] = {"/usr/bin/env", "ubus", "call", "service", "list", buf, NULL};

    path_of(buf, "{\"name\":\"%\"}", s->names[which], NULL);
    int err = emitter_child_argv(e, argv, DEADLINE_MS, procd_done);
    if (err == 0)
        s->at = which;
    return err;
}

static int service_poll(void *state, struct emitter *out, uint64_t now_ms)
{
    struct service *s = state;
    static const char openrc[] = "/run/openrc";
    int b = s->backend;

    (void)now_ms;
    if (b == AUTO && s->found == AUTO)
        s->found = find("$", NULL, marks) + SYSTEMD;
    if (b == AUTO)
        b = s->found;
    if (b == AUTO)
        b = SYSV;
    if (b == SYSTEMD)
        return ask_systemd(s, out);
    if (b == PROCD)
        return ask_procd(s, out, 0);
    if (b == OPENRC && access(openrc, F_OK) < 0)
        return emitter_not_measured(out, openrc, ERRNO(errno));
    return look(s, out, b);
}

const struct sensor_class sensor_service = {
    SENSOR_NAME_OF("service_check", "30s", "service-beacon"),
    .fields = service_fields,
    .state_size = sizeof(struct service),
    .open = service_open,
    .start = service_start,
    .poll = service_poll,
};
