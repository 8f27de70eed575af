#include <errno.h>
#include <string.h>

#include "nefia/base/err.h"
#include "play_int.h"

static void ignore(void *arg, const char *message)
{
    (void)arg, (void)message;
}

int playbook_load(struct playbook_memory *m, const char *path, void (*report)(void *, const char *), void *arg, bool warn, void *work,
                  size_t work_cap, struct pattern_tree *scratch)
{
    struct config *c = &m->config;
    const int fd = config_open(path);

    m->arena = (struct config_arena){m->strings, sizeof m->strings, 0};
    config_init(c, NULL, m->nodes, PLAYBOOK_NODES, report, arg);
    c->warn = warn ? NULL : ignore;
    c->path = path;
    if (fd < 0) {
        config_error(c, NULL, NULL, ERRNO(errno), (char *)0);
        return NEFIA_EIO;
    }
    int err = config_load_fd(c, path, fd, &m->arena, work, work_cap);
    if (err == 0)
        err = playbook_bind(&m->book, c, scratch);
    const int done = config_done(c);
    return err < 0 ? err : done;
}

int playbook_take_event(struct playbook_memory *m, const char *line, size_t len, const char **why)
{
    while (len > 0 && (line[len - 1] == '\n' || line[len - 1] == '\r'))
        len--;
    *why = "it is longer than CONFIG_EVENT_BYTES";
    if (len > sizeof m->event_line)
        return NEFIA_ETOOBIG;
    memmove(m->event_line, line, len);
    const int err = event_decode(&m->event, m->event_line, len, m->event_tokens, CONFIG_JSON_TOKENS, m->event_scratch, why);
    if (err < 0 && !*why)
        *why = err_text(err);
    return err;
}
