/* Without CONFIG_HUB_AUDIT, in place of audit_log.c: nothing is recorded. */
#include "nefia/hub/audit_log.h"

void audit_log_init(struct audit_log *a, const struct clock *clock, union audit_work *work)
{
    (void)clock, (void)work;
    *a = (struct audit_log){.dir_fd = -1, .fd = -1};
}

int audit_log_open(struct audit_log *a, const char *dir, const struct audit_settings *s, struct text *why)
{
    (void)a, (void)dir, (void)s, (void)why;
    return 0;
}

void audit_log_write(struct audit_log *a)
{
    (void)a;
}

void audit_log_commit(struct audit_log *a)
{
    (void)a;
}

uint64_t audit_log_due(const struct audit_log *a)
{
    (void)a;
    return UINT64_MAX;
}

void audit_log_tick(struct audit_log *a)
{
    (void)a;
}

void audit_log_close(struct audit_log *a)
{
    (void)a;
}

bool audit_log_head(const struct audit_log *a, struct audit_head *out)
{
    (void)a, (void)out;
    return false;
}

void audit_config(struct audit_log *a, enum audit_kind kind, const char *path, const uint8_t hash[MAC_BYTES])
{
    (void)a, (void)kind, (void)path, (void)hash;
}

void audit_stopped(struct audit_log *a, uint64_t events, unsigned unfinished)
{
    (void)a, (void)events, (void)unfinished;
}

void audit_decision(struct audit_log *a, const struct audit_decision *d)
{
    (void)a, (void)d;
}

void audit_begins(struct audit_log *a, const struct jobs *jobs, const struct recent *recent)
{
    (void)a, (void)jobs, (void)recent;
}

void audit_ended(struct audit_log *a, const struct job *job, const struct recent *recent, bool done, const char *error,
                 const struct child_result *r)
{
    (void)a, (void)job, (void)recent, (void)done, (void)error, (void)r;
}

void audit_abandoned(struct audit_log *a, const char *rule, const struct event *event, const char *action, uint64_t job, bool begun,
                     const char *why)
{
    (void)a;
    (void)rule;
    (void)event;
    (void)action;
    (void)job;
    (void)begun;
    (void)why;
}

void audit_rejected(struct audit_log *a, enum reject why, const struct addr *peer)
{
    (void)a, (void)why, (void)peer;
}

void audit_silence(struct audit_log *a, enum audit_kind kind, const struct silence *s, const char *outcome, uint32_t uid)
{
    (void)a, (void)kind, (void)s, (void)outcome, (void)uid;
}

void audit_forgotten(struct audit_log *a, struct slice host, uint32_t uid)
{
    (void)a, (void)host, (void)uid;
}

void audit_step(struct audit_log *a, const struct audit_step *s, uint32_t uid)
{
    (void)a, (void)s, (void)uid;
}

void audit_command(struct audit_log *a, const struct audit_command *c)
{
    (void)a, (void)c;
}
