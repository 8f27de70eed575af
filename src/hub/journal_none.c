/* Without CONFIG_HUB_STATE, in place of journal.c: nothing is stored. */
#include <string.h>

#include "nefia/base/err.h"
#include "nefia/hub/journal.h"

void journal_init(struct journal *s, uint8_t *buf, size_t cap, struct seen *seen,
                  const struct journal_hooks *hooks)
{
    (void)buf, (void)cap, (void)seen, (void)hooks;
    *s = (struct journal){.dir_fd = -1, .lock_fd = -1, .fd = -1};
}

int journal_open(struct journal *s, const char *dir, uint64_t bound, bool sync, struct text *why)
{
    (void)s, (void)dir, (void)bound, (void)sync, (void)why;
    return 0;
}

void journal_event(struct journal *s, uint64_t id, const char *line, size_t len)
{
    (void)s, (void)id, (void)line, (void)len;
}

void journal_seen(struct journal *s, const uint8_t id[SESSION_HOST], enum window_kind kind,
                  const uint8_t name[LINK_NAME], uint64_t boot, uint64_t seq)
{
    (void)s, (void)id, (void)kind, (void)name, (void)boot, (void)seq;
}

void journal_hello(struct journal *s, const uint8_t id[SESSION_HOST], bool plain,
                   const uint8_t name[LINK_NAME], uint64_t boot)
{
    (void)s, (void)id, (void)plain, (void)name, (void)boot;
}

void journal_unpin(struct journal *s, const uint8_t id[SESSION_HOST])
{
    (void)s, (void)id;
}

void journal_forget(struct journal *s, const uint8_t id[SESSION_HOST])
{
    (void)s, (void)id;
}

void journal_job(struct journal *s, uint64_t id, uint64_t event, const char *rule)
{
    (void)s, (void)id, (void)event, (void)rule;
}

void journal_state(struct journal *s, uint64_t id, enum journal_job_state state, uint32_t timeout_ms)
{
    (void)s, (void)id, (void)state, (void)timeout_ms;
}

void journal_end(struct journal *s, uint64_t id, uint8_t state)
{
    (void)s, (void)id, (void)state;
}

void journal_report(struct journal *s, const struct journal_report *r)
{
    (void)s, (void)r;
}

void journal_when(struct journal *s, uint64_t event, const struct journal_time *t)
{
    (void)s, (void)event, (void)t;
}

void journal_decided(struct journal *s, uint64_t event, enum journal_decision d, uint32_t detail, const char *rule)
{
    (void)s, (void)event, (void)d, (void)detail, (void)rule;
}

void journal_result(struct journal *s, uint64_t job, uint64_t ran_ms, uint8_t result, const char *rule)
{
    (void)s, (void)job, (void)ran_ms, (void)result, (void)rule;
}

void journal_reloaded(struct journal *s, uint64_t ran_ms, int64_t unix_s)
{
    (void)s, (void)ran_ms, (void)unix_s;
}

void journal_keeper(struct journal *s, enum journal_kept kind, const struct journal_keeper *keeper)
{
    (void)s, (void)kind, (void)keeper;
}

void journal_keep(struct journal *s, enum journal_kept kind, uint16_t slot, const void *bytes, size_t len)
{
    (void)s, (void)kind, (void)slot, (void)bytes, (void)len;
}

int journal_commit(struct journal *s)
{
    (void)s;
    return 0;
}

bool journal_dirty(const struct journal *s)
{
    (void)s;
    return false;
}

void journal_close(struct journal *s)
{
    (void)s;
}

int journal_look(struct journal *s, const char *path, int (*record)(void *arg, const struct journal_record *r), void *arg,
                 struct text *why)
{
    (void)s, (void)record, (void)arg;
    text_str(why, path);
    text_str(why, ": this build has no journal");
    return NEFIA_ENOTSUP;
}
