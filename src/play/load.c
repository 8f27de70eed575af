#include <errno.h>

#include "nefia/base/err.h"
#include "play_int.h"

static void ignore(void *arg, const char *message)
{
    (void)arg, (void)message;
}

int playbook_load(struct playbook_memory *m, const char *path, void (*report)(void *, const char *), void (*warn)(void *, const char *),
                  void *arg, void *work, size_t work_cap, struct pattern_tree *scratch)
{
    struct config *c = &m->config;
    const int fd = config_open(path);

    m->arena = (struct config_arena){m->strings, sizeof m->strings, 0};
    config_init(c, NULL, m->nodes, PLAYBOOK_NODES, report, arg);
    c->warn = warn ? warn : ignore;
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
