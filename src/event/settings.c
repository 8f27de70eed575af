#include "nefia/event/settings.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "nefia/base/wipe.h"
#include "nefia/event/event.h"

const struct field settings_root_fields[] = {
    {.name = "host_id",
     .type = FIELD_STRING,
     FIELD_AT(struct settings_root, host_id),
     .min = 1,
     .max = EVENT_HOST_MAX,
     FIELD_NOTE("name of this device in its events; default: the hostname")},
    {.name = "beacons", .type = FIELD_NODE, FIELD_AT(struct settings_root, beacons)},
    {.name = "reactor", .type = FIELD_NODE, FIELD_AT(struct settings_root, reactor)},
    /* A build that neither enforces it nor has hints refuses it like any unknown key. */
    FIELD_IF(CONFIG_POLICY_KEY, "policy", .type = FIELD_NODE, FIELD_AT(struct settings_root, policy))
    {.name = NULL},
};

void settings_bind_root(struct settings_root *r, struct config *c)
{
    config_bind(c, c->nodes, "", settings_root_fields, r);
}

const char *settings_host_id(const struct settings_root *r, char name[SETTINGS_HOSTNAME])
{
    struct utsname u;

    if (r->host_id)
        return r->host_id;
    uname(&u);
    memcpy(name, u.nodename, SETTINGS_HOSTNAME);
    return name[0] ? name : "localhost";
}

void settings_load_key(struct mac_key *k, struct config *c, const char *section, const char *file,
                       char *key)
{
    const char *name = file ? "hmac_key_file" : "hmac_key";
    char why_buf[320], where_buf[32];
    struct text why, where;

    text_init(&why, why_buf, sizeof why_buf);
    text_init(&where, where_buf, sizeof where_buf);
    config_where_key(&where, section, name);
    if (k) {
        mac_key_wipe(k);
        if (file && key)
            text_str(&why, HINTED("hmac_key is given too", "; remove one of them"));
        else if (file)
            mac_key_load(k, file, &why);
        else if (key)
            mac_key_set(k, key, strlen(key)); /* the table has its bounds */
    }
    if (key)
        wipe(key, strlen(key));
    if (why.len)
        config_error(c, node_child(c, node_child(c, c->nodes, section), name), where.buf, why.buf,
                     (char *)0);
}

/** Neither root's nor ours: whoever it belongs to can read it, and put something else in its place. */
static void warn_of_owner(struct config *c, const struct node *n, const char *where,
                          const char *path, uint32_t owner)
{
    if (owner != 0 && owner != geteuid())
        config_warn(c, n, where, path, " belongs to user ", DEC(owner), HINT("; run: chown root "),
                    path, (char *)0);
}

void settings_warn_key_file(struct config *c, const struct node *n, const char *where,
                            const struct privileges *user)
{
    struct stat st;
    /* As the key itself is opened: a FIFO must not hang the start. What fails was reported. */
    int fd = n && n->value ? open(n->value, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY) : -1;

    if (fd < 0)
        return;
    if (fstat(fd, &st) == 0 && !(user->name && st.st_uid == user->uid))
        warn_of_owner(c, n, where, n->value, st.st_uid);
    close(fd);
}

void settings_warn(struct config *c, const char *section, const struct privileges *user)
{
    char where_buf[32];
    struct text where;

    text_init(&where, where_buf, sizeof where_buf);
    config_where_key(&where, section, "hmac_key_file");
    settings_warn_key_file(c, node_child(c, node_child(c, c->nodes, section), "hmac_key_file"),
                           where_buf, user);
    if (!S_ISREG(c->mode))
        return;
    warn_of_owner(c, NULL, NULL, c->path, c->owner);
    if (c->mode & 022)
        config_warn(c, NULL, NULL, "other users can write this file", HINT("; run: chmod go-w "),
                    c->path, (char *)0);
}

void settings_bind_user(struct privileges *p, struct config *c, const char *section, void *work,
                        size_t cap)
{
    char why_buf[128], where_buf[32];
    struct text why, where;

    text_init(&why, why_buf, sizeof why_buf);
    text_init(&where, where_buf, sizeof where_buf);
    config_where_key(&where, section, "user");
    if (privileges_find(p, work, cap, &why) < 0)
        config_error(c, node_child(c, node_child(c, c->nodes, section), "user"), where.buf, why.buf,
                     (char *)0);
}
