#include "nefia/sys/privileges.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "nefia/base/err.h"
#include "nefia/sys/file.h"
#include "nefia/sys/log.h"

enum { CAPABILITIES = 64, PATH_MOST = 108 /* sun_path */ };

/* System calls, not setresuid(3) and the like, which would synchronise threads; there is only
 * one. */
#ifdef SYS_setresuid32
#define ID_CALL(name) SYS_##name##32
#else
#define ID_CALL(name) SYS_##name
#endif

/* ---- user and group ---- */

static int fail(struct text *why, int err, const char *a, const char *b, const char *c)
{
    text_str(why, a);
    text_str(why, b);
    text_str(why, c);
    return err;
}

/** A numeric id; not -1, which means "unchanged" to setresuid(2). */
static bool parse_id(struct slice s, uint32_t *id)
{
    uint64_t v;

    if (parse_u64(s.ptr, s.len, &v) < 0 || v >= UINT32_MAX)
        return false;
    *id = (uint32_t)v;
    return true;
}

/** Cut the next piece, up to `end` or the end of the text, off `rest`. */
static struct slice cut(struct slice *rest, char end)
{
    const char *at = rest->len ? memchr(rest->ptr, end, rest->len) : NULL;
    struct slice piece = {rest->ptr, at ? (size_t)(at - rest->ptr) : rest->len};
    size_t taken = piece.len + (at ? 1 : 0);

    *rest = (struct slice){rest->ptr + taken, rest->len - taken};
    return piece;
}

/** Find the line of passwd(5) or group(5) whose column `by` (0: name, 2: id) is `key`. Return:
 * whether it exists; ids gets columns 2 and 3 (for a group the latter is no number: 0). */
static bool find(struct slice file, unsigned by, struct slice key, uint32_t ids[2])
{
    while (file.len > 0) {
        struct slice line = cut(&file, '\n'), columns[4] = {0};
        for (unsigned i = 0; i < 4; i++)
            columns[i] = cut(&line, ':');
        if (columns[by].len != key.len || memcmp(columns[by].ptr, key.ptr, key.len) != 0)
            continue;
        ids[1] = 0;
        (void)parse_id(columns[3], &ids[1]);
        return parse_id(columns[2], &ids[0]);
    }
    return false;
}

int privileges_parse(struct privileges *p, const char *value, struct slice passwd,
                     struct slice group, struct text *why)
{
    struct slice rest = {value, strlen(value)}, user = cut(&rest, ':');
    bool with_group = value[user.len] == ':';
    uint32_t ids[2] = {0, 0};
    bool number = parse_id(user, &ids[0]);
    bool found = user.len > 0 && find(passwd, number ? 2 : 0, user, ids);

    if (!found && !number)
        return fail(why, NEFIA_ENOTFOUND, "no such user in /etc/passwd: ", value, "");
    if (!found && !with_group)
        return fail(why, NEFIA_ENOTFOUND, "not in /etc/passwd; name its group as well: ", value,
                    ":GROUP");
    *p = (struct privileges){.name = value, .uid = ids[0], .gid = ids[1]};
    if (with_group && !parse_id(rest, &p->gid)) {
        if (rest.len == 0 || !find(group, 0, rest, ids))
            return fail(why, NEFIA_ENOTFOUND, "no such group in /etc/group: ", rest.ptr, "");
        p->gid = ids[0];
    }
    return 0;
}

static struct slice read_file(const char *path, char *work, size_t cap)
{
    long n = file_read(path, work, cap);

    if (n == NEFIA_ETOOBIG)
        LOG_WARN(path, ": too long, only the first ", DEC(cap), " bytes are read");
    return (struct slice){work, n == NEFIA_ETOOBIG ? cap : n < 0 ? 0 : (size_t)n};
}

int privileges_find(struct privileges *p, void *work, size_t cap, struct text *why)
{
    if (!p->name)
        return 0;
    struct slice passwd = read_file("/etc/passwd", work, cap / 2);
    struct slice group = read_file("/etc/group", (char *)work + cap / 2, cap / 2);
    return privileges_parse(p, p->name, passwd, group, why);
}

bool privileges_same(const struct privileges *a, const struct privileges *b)
{
    return !a->name == !b->name && (!a->name || (a->uid == b->uid && a->gid == b->gid));
}

/* ---- ownership ---- */

static void make_directory(const struct privileges *p, const char *path, mode_t mode)
{
    if (mkdir(path, mode) < 0)
        return;
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return;
    (void)!fchown(fd, p->uid, p->gid);
    (void)fchmod(fd, mode); /* regardless of the umask */
    close(fd);
}

void privileges_prepare(const struct privileges *p, const struct privileges_needs *n)
{
    char parent[PATH_MOST];
    const char *slash = n->control_socket ? strrchr(n->control_socket, '/') : NULL;
    struct text t;

    if (!p->name)
        return;
    text_init(&t, parent, sizeof parent);
    if (slash)
        text_bytes(&t, n->control_socket, (size_t)(slash - n->control_socket));
    if (t.len > 0 && !t.truncated)
        make_directory(p, parent, 0755);
    if (n->state_dir && n->state_dir[0])
        make_directory(p, n->state_dir, 0700);
}

/** Change the owner through a descriptor, and only of a socket with a single link: in a directory
 * of the user somebody may have replaced it with another file. */
static void give_socket(const struct privileges *p, const char *path)
{
    struct stat st;
    int fd = path && path[0] ? open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC) : -1;

    if (fd < 0)
        return;
    if (fstat(fd, &st) == 0 && S_ISSOCK(st.st_mode) && st.st_nlink == 1)
        (void)!fchownat(fd, "", p->uid, p->gid, AT_EMPTY_PATH);
    close(fd);
}

static void warn_unless(const struct privileges *p, const char *path, int mode, const char *remedy)
{
    if (path && path[0] && access(path, mode) < 0 && errno != ENOENT && errno != EROFS)
        LOG_WARN("user ", p->name, mode & W_OK ? " cannot write to " : " cannot read ", path, ": ",
                 ERRNO(errno), remedy);
}

static void warn_of_paths(const struct privileges *p, const struct privileges_needs *n)
{
    static const char on_reload[] = "; a reload will be refused";

    warn_unless(p, n->config, R_OK, on_reload);
    warn_unless(p, n->key_file, R_OK, on_reload);
    warn_unless(p, n->state_dir, R_OK | W_OK | X_OK, "; chown -R it to that user");
}

/* ---- capabilities ---- */

struct capabilities {
    uint64_t effective, permitted, inheritable;
};

/** capget(2): two records of 32 bits each. */
static int get_capabilities(struct capabilities *c)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct d[2];

    if (syscall(SYS_capget, &header, d) < 0)
        return NEFIA_EIO;
    c->effective = (uint64_t)d[1].effective << 32 | d[0].effective;
    c->permitted = (uint64_t)d[1].permitted << 32 | d[0].permitted;
    c->inheritable = (uint64_t)d[1].inheritable << 32 | d[0].inheritable;
    return 0;
}

static int set_capabilities(const struct capabilities *c)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct d[2] = {
        {(uint32_t)c->effective, (uint32_t)c->permitted, (uint32_t)c->inheritable},
        {(uint32_t)(c->effective >> 32), (uint32_t)(c->permitted >> 32), (uint32_t)(c->inheritable >> 32)}};

    return syscall(SYS_capset, &header, d) < 0 ? NEFIA_EIO : 0;
}

/* ---- dropping privileges ---- */

static void control(int what, unsigned long a)
{
    /* A kernel that does not know an option has nothing to switch off. */
    (void)prctl(what, a, 0ul, 0ul, 0ul);
}

static int switch_user(const struct privileges *p, uint64_t keep)
{
    for (unsigned i = 0; i < CAPABILITIES; i++)
        if (!(keep >> i & 1))
            control(PR_CAPBSET_DROP, i);
    control(PR_SET_KEEPCAPS, 1);
    if (syscall(ID_CALL(setgroups), 0, NULL) < 0 ||
        syscall(ID_CALL(setresgid), p->gid, p->gid, p->gid) < 0 ||
        syscall(ID_CALL(setresuid), p->uid, p->uid, p->uid) < 0)
        return NEFIA_EIO;
    control(PR_SET_KEEPCAPS, 0);
    return set_capabilities(&(struct capabilities){.effective = keep, .permitted = keep});
}

/** Verify the new identity, and that it cannot be undone. */
static bool is_switched(const struct privileges *p, uint64_t keep)
{
    uid_t u[3];
    gid_t g[3];
    struct capabilities c;

    if (getresuid(&u[0], &u[1], &u[2]) < 0 || getresgid(&g[0], &g[1], &g[2]) < 0 ||
        syscall(SYS_getgroups, 0, NULL) != 0 || get_capabilities(&c) < 0)
        return false;
    for (unsigned i = 0; i < 3; i++)
        if (u[i] != p->uid || g[i] != p->gid)
            return false;
    return c.effective == keep && c.permitted == keep && c.inheritable == 0 &&
           (p->uid == 0 || syscall(ID_CALL(setuid), 0) < 0);
}

static int become(const struct privileges *p, const struct privileges_needs *n, struct text *why)
{
    struct capabilities c;

    if (geteuid() != 0) {
        if (getuid() == p->uid && getgid() == p->gid)
            return 0;
        return fail(why, NEFIA_EIO, "cannot become user ", p->name, ": not running as root");
    }
    give_socket(p, n->control_socket);
    if (get_capabilities(&c) < 0)
        return fail(why, NEFIA_EIO, "capget: ", ERRNO(errno), "");
    uint64_t keep = n->capabilities & c.permitted; /* root in a container may lack some */
    if (switch_user(p, keep) < 0) {
        fail(why, NEFIA_EIO, "cannot become user ", p->name, ": ");
        return fail(why, NEFIA_EIO, ERRNO(errno), "", "");
    }
    if (!is_switched(p, keep))
        return fail(why, NEFIA_EIO, "became user ", p->name, ", but the change can be undone");
    warn_of_paths(p, n);
    return 0;
}

/** For good: the programs that it runs do not get it either. */
static void give_up(unsigned capability)
{
    const uint64_t others = ~(UINT64_C(1) << capability);
    struct capabilities c;

    control(PR_CAPBSET_DROP, capability);
    if (get_capabilities(&c) < 0)
        return;
    c = (struct capabilities){c.effective & others, c.permitted & others, c.inheritable & others};
    (void)set_capabilities(&c);
}

int privileges_drop(const struct privileges *p, const struct privileges_needs *n, struct text *why)
{
    int err = p->name ? become(p, n, why) : 0;

    /* The filter of system calls refuses to set the clock, but cannot tell reading its state from that. */
    if (IS_ENABLED(CONFIG_SECCOMP) && IS_ENABLED(CONFIG_BEACON_CLOCK_STATE))
        give_up(CAP_SYS_TIME);
    /* A unit's AmbientCapabilities= are for the daemon, not for what it runs. */
    control(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL);
    control(PR_SET_NO_NEW_PRIVS, 1);
    control(PR_SET_DUMPABLE, 0); /* reset by the change of user */
    return err;
}
