#include <string.h>
#include <unistd.h>

#include "nefia/base/err.h"
#include "nefia/hub/action.h"
#include "nefia/hub/playbook_driver.h"
#include "nefia/sys/cli.h"

/* playbook: carry out the steps of a file. The process that the action starts drives the run, as `nefia playbook run` does; its
 * position is kept under the job's id, by which it is found again after a restart of the hub. */

static const char targets[] = "host\0hub\0";
enum { TARGET_HOST, TARGET_HUB };

struct playbook_action {
    const char *path;
    uint32_t timeout_ms;
    uint8_t target;
};

static const struct field fields[] = {
    {FIELD_REQUIRED("playbook_path", "file with the steps"),
     .type = FIELD_STRING,
     FIELD_AT(struct playbook_action, path)},
    {FIELD_DEFAULT("target", "host"),
     .type = FIELD_WORD,
     FIELD_AT(struct playbook_action, target),
     .words = targets,
     FIELD_NOTE("where it runs: host (the device of the event) or hub")},
    {FIELD_DEFAULT("timeout", "10m"),
     .type = FIELD_DURATION,
     FIELD_AT(struct playbook_action, timeout_ms),
     .min = 1000,
     .max = 86400000, FIELD_NOTE("time limit of a run; its rollbacks have 5 minutes more")},
    {.name = NULL},
};

static const struct playbook_action *own(const struct action *a)
{
    return (const struct playbook_action *)a->own;
}

static int check(const struct action *a, const struct playbook_room *room, void (*report)(void *arg, const char *message), void *arg)
{
    struct playbook_memory *m = room->memory;
    char why_buf[CONFIG_MESSAGE_BYTES];
    const struct playbook_values values = {.host = "", .on_hub = own(a)->target == TARGET_HUB};
    struct text why;

    int err = playbook_load(m, own(a)->path, report, arg, false, room->work, room->work_cap, room->tree);
    if (err < 0)
        return err;
    text_init(&why, why_buf, sizeof why_buf);
    text_str(&why, own(a)->path);
    text_str(&why, ": ");
    err = playbook_values_check(&m->book, &values, &why);
    if (err < 0)
        report(arg, why.buf);
    return err;
}

/** A report while the process that is to carry it out reads the file: its output is the action's error. */
static void print_report(void *arg, const char *message)
{
    bool *printed = arg;

    if (!*printed)
        CLI_OUT("the playbook is invalid now: ", message);
    *printed = true;
}

/** The event once more, where reading the playbook does not overwrite it: its line. */
static size_t keep_line(const struct playbook_room *room, const struct event *e)
{
    memmove(room->line, e->line.ptr, e->line.len);
    return e->line.len;
}

/** Carry the playbook out, which has been read. Return: PLAYBOOK_END_… */
static int drive(const struct action_request *r, const struct event *e, const struct text *cause)
{
    const struct playbook_room *room = r->playbooks;
    const struct hub_settings *s = room->settings;
    const struct host_item *item = hub_settings_host(s, (struct slice){s->host_id, strlen(s->host_id)});
    char host[EVENT_HOST_MAX + 1], name[PLAYBOOK_FILE_NAME_MAX + 1];
    struct text t;

    text_init(&t, host, sizeof host);
    text_bytes(&t, e->host_id.ptr, e->host_id.len);
    return playbook_drive(room->driver, &(struct playbook_order){
                                            .memory = room->memory,
                                            .path = own(r->action)->path,
                                            .values = {.host = host, .event = e, .on_hub = own(r->action)->target == TARGET_HUB},
                                            .rule = r->rule,
                                            .cause = {cause->buf, cause->len},
                                            .name = playbook_file_name(name, r->job),
                                            .state_dir = s->state_dir,
                                            .control_socket = s->control_socket,
                                            .hub = s->host_id,
                                            .hub_role = item ? item->role : NULL,
                                            .guard = room->guard,
                                            .helper = room->helper->fd > 0 ? CHILD_KEPT : room->helper->fd,
                                            .timeout_ms = own(r->action)->timeout_ms,
                                            .parent = r->hub,
                                        });
}

/** In the action's process. Return: an exit status, after a sentence on stdout if it is not 0. */
static int run(void *arg)
{
    loop_hold_signals();
    /* What it lies in is overwritten. */
    const struct action_request r = *(const struct action_request *)arg;
    const struct playbook_room *room = r.playbooks;
    char cause_buf[EVENT_CAUSE_MAX + 1], scratch[EVENT_SCRATCH];
    bool printed = false;
    struct text cause;
    struct event e;

    text_init(&cause, cause_buf, sizeof cause_buf);
    if (event_cause_add(&cause, r.event->cause, r.rule) < 0) {
        CLI_OUT("too many rules led to the event");
        return PLAYBOOK_END_REFUSED;
    }
    const size_t len = keep_line(room, r.event);
    if (playbook_load(room->memory, own(r.action)->path, print_report, &printed, false, room->work, room->work_cap, room->tree) < 0)
        return PLAYBOOK_END_REFUSED;
    if (event_decode(&e, room->line, len, room->tokens, CONFIG_JSON_TOKENS, scratch, NULL) < 0) {
        CLI_OUT("event cannot be decoded");
        return PLAYBOOK_END_REFUSED;
    }
    const int end = drive(&r, &e, &cause);
    if (end != PLAYBOOK_END_DONE)
        CLI_OUT(room->driver->error);
    return end;
}

static int start(const struct action_request *r, struct action_scratch *scratch, struct child_spec *spec, struct text *why)
{
    if (!r->playbooks) {
        text_str(why, "no memory for playbooks");
        return NEFIA_ENOTSUP;
    }
    scratch->request = *r;
    scratch->request.hub = getpid();
    spec->run = run;
    spec->run_arg = &scratch->request;
    spec->keep = r->playbooks->helper->fd;
    spec->deadline_ms = (uint64_t)own(r->action)->timeout_ms + PLAYBOOK_UNDO_MS + PLAYBOOK_SPARE_MS;
    return ACTION_CHILD;
}

static enum action_outcome judge(const struct child_result *r, const char *output, uint64_t timeout_ms, struct text *error)
{
    (void)timeout_ms;
    if (r->exit_code == PLAYBOOK_END_DONE)
        return ACTION_DONE;
    if (r->timed_out || r->signal) {
        text_str(error, r->timed_out ? "ended by the hub: it took too long" : "signal ");
        if (!r->timed_out)
            text_u64(error, (uint64_t)r->signal);
        return ACTION_FAILED;
    }
    /* The last line: what the log says may come before it. */
    size_t from = r->output_len;
    while (from > 0 && output[from - 1] != '\n')
        from--;
    text_printable(error, output + from, r->output_len - from);
    if (error->len == 0)
        text_str(error, "it ended without a reason");
    return ACTION_FAILED;
}

const struct action_class action_playbook = {
    .name = "playbook",
    .fields = fields,
    .size = ACTION_SIZE(struct playbook_action),
    .jobs = CONFIG_PLAYBOOK_JOBS,
    .running = CONFIG_PLAYBOOK_RUNNING,
    .resumes = true,
    .check = check,
    .start = start,
    .judge = judge,
};
