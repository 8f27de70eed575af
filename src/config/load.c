#include "nefia/config/config.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "source.h"
#include "tree.h"
#include "nefia/base/err.h"
#include "nefia/base/kconfig.h"
#include "nefia/base/wipe.h"

static bool is_json(const char *name)
{
    size_t len = strlen(name);

    return !IS_ENABLED(CONFIG_YAML) || (len >= 5 && str_eq(name + len - 5, ".json"));
}

static int load(struct config *c, struct config_source *s, struct config_arena *arena, void *work,
                size_t work_cap)
{
    struct config_tree t;
    int err;

    c->arena = arena;
    c->secrets = false;
    arena->strings_len = 0;
    tree_init(&t, c);
    if (is_json(c->path))
        err = config_read_json(&t, s, work, work_cap);
    else
        err = config_read_yaml(&t, s, work, work_cap);
    /* Before an error a secret may have been read; below a mistyped key, too. */
    if (err < 0)
        wipe(arena->strings, arena->strings_len);
    wipe(work, work_cap);
    if (err < 0)
        return err;
    if (c->nodes_len == 0)
        return tree_open(&t, NODE_MAP, 1);
    return 0;
}

int config_load_text(struct config *c, const char *name, const char *text, size_t len,
                     struct config_arena *arena, void *work, size_t work_cap)
{
    struct config_source s = {.fd = -1, .text = text, .len = len};

    c->path = name;
    c->errors = 0;
    c->mode = 0;
    return load(c, &s, arena, work, work_cap);
}

int config_open(const char *path)
{
    return open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
}

int config_load(struct config *c, const char *path, struct config_arena *arena, void *work,
                size_t work_cap)
{
    return config_load_fd(c, path, config_open(path), arena, work, work_cap);
}

int config_load_fd(struct config *c, const char *path, int fd, struct config_arena *arena, void *work,
                   size_t work_cap)
{
    struct config_source s = {.fd = fd};
    struct stat st;

    c->path = path;
    c->errors = 0;
    c->mode = 0;
    c->nodes_len = 0;
    c->arena = arena; /* config_drop wipes it */
    arena->strings_len = 0;
    if (s.fd < 0) {
        config_error(c, NULL, NULL, ERRNO(errno), HINT("; -c FILE names another configuration"),
                     (char *)0);
        return NEFIA_EIO;
    }
    if (fstat(s.fd, &st) == 0) {
        c->mode = (uint16_t)st.st_mode;
        c->owner = st.st_uid;
    }
    int err = load(c, &s, arena, work, work_cap);
    close(s.fd);
    return err;
}

/** The secrets that are still in the tree. */
static void wipe_secrets(struct config *c)
{
    for (unsigned i = 0; c->secrets && i < c->nodes_len; i++) {
        const struct node *n = &c->nodes[i];
        if (n->type == NODE_SCALAR && n->key != NULL && config_is_secret(n->key))
            wipe((void *)(uintptr_t)n->value, strlen(n->value)); /* the arena's */
    }
}

int config_done(struct config *c)
{
    unsigned errors = c->errors;

    wipe_secrets(c);
    if (errors > CONFIG_MOST_REPORTS) {
        c->errors = 0; /* this one is shown */
        config_error(c, NULL, NULL, "further errors: ", DEC(errors - CONFIG_MOST_REPORTS),
                     (char *)0);
        c->errors = errors;
    }
    return errors > 0 ? NEFIA_EINVAL : 0;
}

void config_drop(struct config *c)
{
    wipe(c->arena->strings, c->arena->strings_len);
}
