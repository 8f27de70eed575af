#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "nefia/base/err.h"
#include "nefia/base/text.h"
#include "nefia/beacon/sensor.h"
#include "nefia/json/json.h"
#include "nefia/ops/service.h"
#include "nefia/sys/log.h"
#include "nefia/sys/pidfd.h"

/* service_check: what the device's service manager says of services (nefia/ops/service.h). Only a change is an event. */
enum {
    NAME_MAX_BYTES = 64,
    DEADLINE_MS = 30000,
    UNCERTAIN_LOOKS = 10, /* so long a service manager that is not there may only be starting */
};

struct service {
    struct sensor_common common;
    int backend; /* enum service_backend */
    int found;   /* the same, AUTO before the first look */
    const char *names[CONFIG_SERVICES];
    unsigned count;
    unsigned at;                     /* procd: which one it is asked about */
    uint8_t looks;                   /* for the service manager */
    uint8_t states[CONFIG_SERVICES]; /* enum service_state, as last reported */
    struct pollfd held[CONFIG_SERVICES]; /* the processes of the first `holds`, which are active */
    unsigned holds;
};

/** Names become arguments and parts of paths. */
static int set_name(void *item, const char *value, struct text *why)
{
    size_t len = strlen(value);

    if (text_word_span(value, "@:+\\-.") == len && len <= NAME_MAX_BYTES && value[0] != '-' &&
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
    {FIELD_DEFAULT("backend", "auto"), .type = FIELD_WORD, MEMBER(backend), .words = service_backend_words,
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
static void observe(struct service *s, struct emitter *e, unsigned i, enum service_state now)
{
    const enum service_state before = s->states[i];
    const char *name = s->names[i];

    if (now == SERVICE_UNKNOWN && before != SERVICE_UNSEEN && before != SERVICE_UNKNOWN)
        now = SERVICE_INACTIVE;
    else if (now == SERVICE_UNKNOWN)
        emitter_not_measured(e, name, "unknown service");
    if (now == before)
        return;
    const char *word = word_at(service_state_words, now - SERVICE_ACTIVE);
    if (before == SERVICE_UNSEEN) {
        LOG_INFO("service ", name, " is ", word);
        s->states[i] = (uint8_t)now;
        return;
    }
    struct json_writer *w = emit_change(e, "service.status", name,
                                        now == SERVICE_FAILED       ? SEVERITY_CRITICAL
                                        : now <= SERVICE_ACTIVATING ? SEVERITY_INFO
                                                            : SEVERITY_WARNING);
    json_put_string(w, "service", name);
    json_put_string(w, "state", word);
    json_put_string(w, "previous_state", word_at(service_state_words, before - SERVICE_ACTIVE));
    if (emit_end(e) == 1)
        s->states[i] = (uint8_t)now;
}

/* ---- What files say ---- */

/** What a file or an answer says of it cannot be understood. */
static void odd(struct emitter *e, const char *name)
{
    emitter_not_measured(e, name, "unexpected answer");
}

/** Init scripts leave nothing but the ids of processes: while these run, nothing changes. A kernel before Linux 5.3 gives no descriptor
 * of one. */
static void hold(struct service *s, unsigned i, pid_t pid)
{
    if (s->holds == i && s->states[i] == SERVICE_ACTIVE)
        pidfds_add(s->held, &s->holds, pid);
}

static int look(struct service *s, struct emitter *out, enum service_backend b)
{
    struct service_look l;

    if (s->holds == s->count && pidfds_run(s->held, s->count))
        return 0;
    pidfds_close(s->held, &s->holds);
    l.buf = emitter_buffer(out, &l.cap);
    for (unsigned i = 0; i < s->count; i++) {
        const enum service_state state = service_look(&l, b, s->names[i]);
        if (state != SERVICE_UNSEEN)
            observe(s, out, i, state);
        else if (l.error)
            emitter_not_measured(out, l.what, ERRNO(l.error));
        else
            odd(out, l.what);
        if (b == SERVICE_SYSV && state == SERVICE_ACTIVE)
            hold(s, i, l.pid);
    }
    return 0;
}

static void service_stop(void *state)
{
    struct service *s = state;

    pidfds_close(s->held, &s->holds);
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

/** A line for each service, as far as they are what they should be. */
static void systemd_done(void *state, struct emitter *e, const struct child_result *r,
                         const char *output)
{
    struct service *s = state;
    const char *line = output, *end = output + r->output_len;

    for (unsigned i = 0; i < s->count; i++) {
        const size_t len = line_length(line, end);
        const enum service_state now = service_of_word(s->names[i], (struct slice){line, len});
        if (now == SERVICE_UNSEEN) {
            refuse(e, "systemctl", r, line, end);
            return;
        }
        observe(s, e, i, now);
        line += len + (line + len < end);
    }
}

static int ask_systemd(struct service *s, struct emitter *out)
{
    const char *argv[SERVICE_ASK_ARGS + CONFIG_SERVICES + 1];
    const unsigned n = service_ask(SERVICE_SYSTEMD, NULL, argv, NULL);

    memcpy(argv + n, s->names, s->count * sizeof *argv);
    argv[n + s->count] = NULL;
    return emitter_child_argv(out, argv, DEADLINE_MS, systemd_done);
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
        observe(s, e, s->at, service_of_object(&d, name));
    int err = s->at + 1 < s->count ? ask_procd(s, e, s->at + 1) : 0;
    if (err < 0)
        emitter_not_measured(e, "ubus", err_text(err));
}

static int ask_procd(struct service *s, struct emitter *e, unsigned which)
{
    char buf[SERVICE_PATH_BYTES];
    const char *argv[SERVICE_ASK_ARGS + 2];

    argv[service_ask(SERVICE_PROCD, s->names[which], argv, buf)] = NULL;
    int err = emitter_child_argv(e, argv, DEADLINE_MS, procd_done);
    if (err == 0)
        s->at = which;
    return err;
}

static int service_poll(void *state, struct emitter *out, uint64_t now_ms)
{
    struct service *s = state;
    static const char openrc[] = SERVICE_OPENRC_DIR;

    (void)now_ms;
    /* Init scripts are what is left when there is no other, and whose pid files are there are those that are used. */
    if (s->found == SERVICE_AUTO || (s->found == SERVICE_SYSV && s->holds < s->count && s->looks < UNCERTAIN_LOOKS)) {
        s->looks++;
        s->found = s->backend == SERVICE_AUTO ? (int)service_backend() : s->backend;
    }
    if (s->found == SERVICE_SYSTEMD)
        return ask_systemd(s, out);
    if (s->found == SERVICE_PROCD)
        return ask_procd(s, out, 0);
    if (s->found == SERVICE_OPENRC && access(openrc, F_OK) < 0)
        return emitter_not_measured(out, openrc, ERRNO(errno));
    return look(s, out, (enum service_backend)s->found);
}

const struct sensor_class sensor_service = {
    SENSOR_NAME_OF("service_check", "30s", "service-beacon"),
    .fields = service_fields,
    .state_size = sizeof(struct service),
    .open = service_open,
    .start = service_start,
    .poll = service_poll,
    .stop = service_stop,
};
