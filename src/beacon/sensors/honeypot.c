#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <string.h>
#include <sys/fanotify.h>
#include <sys/inotify.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "nefia/base/err.h"
#include "nefia/beacon/sensor.h"
#include "nefia/net/addr.h"
#include "nefia/net/tcp.h"

/* honeypot: canary files and decoy ports, which nobody has a reason to touch. fanotify says of a file which process it
 * was, inotify what became of its name, and where there is no fanotify, that it was touched at all. Both begin before
 * the beacon drops its rights: a canary may be a file that its user cannot read. */
enum {
    ALLOWED = 8,
    IGNORED = 4,
    BACKLOG = 16,
    AT_ONCE = 64, /* accesses that are taken in one turn of the loop; the next ones are in the next */
    SETTLE_MS = 1000,
    FACTOR = 16777619, /* of FNV-1a */
    NAME_BYTES = 16, /* of a process (TASK_COMM_LEN) */
    /* These bits of inotify are those of fanotify. */
    ACCESSES = IN_OPEN | IN_ACCESS | IN_MODIFY,
    GONE = IN_CREATE | IN_DELETE | IN_MOVE | IN_DELETE_SELF | IN_MOVE_SELF,
};
static const char lost[] = "events were lost";
_Static_assert(ACCESSES == (FAN_OPEN | FAN_ACCESS | FAN_MODIFY), "<linux/fanotify.h>");

struct decoy {
    const char *text; /* "22", "10.0.0.1:22" */
    int fd;           /* 0: not open */
};

struct honeypot {
    struct sensor_common common;
    struct watched_path files[CONFIG_HONEYPOT_FILES];
    uint32_t prints[CONFIG_HONEYPOT_FILES]; /* device and inode at the last look; 0: it was not there */
    bool marked[CONFIG_HONEYPOT_FILES];     /* watched by fanotify */
    struct decoy ports[CONFIG_HONEYPOT_PORTS];
    const char *allow[ALLOWED], *ignore[IGNORED];
    unsigned file_count, port_count, allow_count, ignore_count;
    int inotify, fanotify; /* 0: not open */
};

/* ---- configuration ---- */

static int set_file(void *item, const char *value, struct text *why)
{
    ((struct watched_path *)item)->path = value;
    if (value[0] == '/' && strlen(value) < WATCHED_PATH_BYTES)
        return 0;
    text_str(why, "path is not absolute, or too long");
    return NEFIA_EINVAL;
}

/** A port alone is that of all addresses. */
static int parse_port(struct addr *a, const char *s)
{
    const size_t len = strlen(s);
    uint64_t port;

    if (parse_u64(s, len, &port) < 0 || port < 1 || port > UINT16_MAX)
        return addr_parse(a, s, len, 0, NULL);
    *a = (struct addr){.family = IS_ENABLED(CONFIG_IPV6) ? AF_INET6 : AF_INET, .port = (uint16_t)port};
    return 0;
}

static int set_port(void *item, const char *value, struct text *why)
{
    struct addr a;

    ((struct decoy *)item)->text = value;
    const int err = parse_port(&a, value);
    if (err < 0)
        text_str(why, "is not a port, or an address with one such as 10.0.0.1:22");
    return err;
}

static int set_allow(void *item, const char *value, struct text *why)
{
    struct addr_net n;

    *(const char **)item = value;
    return addr_net_parse(&n, value, strlen(value), why);
}

#define MEMBER(name) FIELD_AT(struct honeypot, name)
#define COUNT_OF(name) .count = offsetof(struct honeypot, name)
static const struct field_list file_list = {
    COUNT_OF(file_count),
    .size = sizeof(struct watched_path),
    .cap = CONFIG_HONEYPOT_FILES,
    .remedy = FIELD_HELP("; raise CONFIG_HONEYPOT_FILES"),
    .set = set_file,
};
static const struct field_list port_list = {
    COUNT_OF(port_count),
    .size = sizeof(struct decoy),
    .cap = CONFIG_HONEYPOT_PORTS,
    .remedy = FIELD_HELP("; raise CONFIG_HONEYPOT_PORTS"),
    .set = set_port,
};
static const struct field_list allow_list = {
    COUNT_OF(allow_count), .size = sizeof(char *), .cap = ALLOWED, .set = set_allow};
static const struct field_list ignore_list = {COUNT_OF(ignore_count), .cap = IGNORED};

static const struct field honeypot_fields[] = {
    {.name = "files", .type = FIELD_LIST, MEMBER(files), .list = &file_list,
     FIELD_NOTE("canary files")},
    {.name = "ports", .type = FIELD_LIST, MEMBER(ports), .list = &port_list,
     FIELD_NOTE("decoy TCP ports, each with or without an address")},
    {.name = "allow", .type = FIELD_LIST, MEMBER(allow), .list = &allow_list,
     FIELD_NOTE("networks that may connect to them")},
    {.name = "ignore", .type = FIELD_LIST, MEMBER(ignore), .list = &ignore_list,
     FIELD_NOTE("programs, by their absolute paths, that may read the files")},
    {.name = NULL},
};

static int honeypot_open(void *state, struct config *c, const struct node *n, const char *where)
{
    const struct honeypot *s = state;

    if (s->file_count + s->port_count == 0)
        config_error(c, n, where, "give files or ports", NULL);
    else if (s->allow_count > 0 && s->port_count == 0)
        config_error(c, n, where, "allow belongs to ports", NULL);
    return 0;
}

/* ---- files ---- */

/** Is it a fork of ours, such as one that computes digests? A program that we run is not. */
static bool is_ours(const char *name, size_t len)
{
    char own[NAME_BYTES] = "";
    int64_t parent;

    return find_decimal(name + len, "PPid:", 0, &parent) == 0 && parent == getpid() &&
           prctl(PR_GET_NAME, own, 0ul, 0ul, 0ul) == 0 && slice_eq((struct slice){name, len}, own);
}

static bool is_ignored(const struct honeypot *s, const char *program)
{
    for (unsigned i = 0; i < s->ignore_count; i++)
        if (str_eq(s->ignore[i], program))
            return true;
    return false;
}

/** Report it with what is still to be seen of the process (0: not known). That calls itself what it likes, so that the
 * rest counts from the next line. Of one program, opening and reading a file is one thing, changing it another. */
static void report(const struct honeypot *s, struct emitter *e, const char *path, uint32_t mask, int pid)
{
    const bool changed = mask & ~(uint32_t)(IN_OPEN | IN_ACCESS);
    char subject[2 * WATCHED_PATH_BYTES], program[WATCHED_PATH_BYTES];
    const char *name = NULL;
    size_t len = 0;
    int64_t uid;
    struct text t;

    text_init(&t, subject, sizeof subject);
    text_str(&t, "/proc/");
    text_i64(&t, pid);
    text_str(&t, "/exe");
    const ssize_t n = pid > 0 ? readlink(subject, program, sizeof program - 1) : 0;
    program[n > 0 ? n : 0] = '\0';
    if (pid > 0)
        name = emitter_file_in(e, "/proc", DEC(pid), "status", NULL);
    if (name) {
        name += sizeof "Name:"; /* and a tab */
        len = strcspn(name, "\n");
    }
    if (is_ignored(s, program) || (name && is_ours(name, len)))
        return;
    text_reset(&t);
    text_char(&t, changed ? '+' : '-');
    text_str(&t, program);
    text_str(&t, path);
    struct json_writer *w = emit_begin(e, "honeypot.access_attempted", subject, SEVERITY_CRITICAL);
    json_put_string(w, "path", path);
    json_put_string(w, "access", changed ? "changed" : mask & IN_ACCESS ? "read" : "opened");
    if (pid > 0)
        json_put_i64(w, "pid", pid);
    if (program[0])
        json_put_string(w, "program", program);
    if (name) {
        json_put_bytes(w, "process", name, len);
        if (find_decimal(name + len, "Uid:", 0, &uid) == 0)
            json_put_i64(w, "uid", uid);
    }
    emit_end(e);
}

/** Which file it is: its device and inode. 0: there is none. */
static uint32_t print_of(int error, const struct stat *st)
{
    return error < 0 ? 0 : ((uint32_t)st->st_dev * FACTOR + (uint32_t)st->st_ino) * FACTOR | 1;
}

static void take_file(struct honeypot *s, struct emitter *e, const struct fanotify_event_metadata *m)
{
    struct stat st;
    const uint32_t print = print_of(fstat(m->fd, &st), &st);

    close(m->fd);
    for (unsigned i = 0; i < s->file_count; i++)
        if (print && s->prints[i] == print && m->pid != getpid())
            report(s, e, s->files[i].path, (uint32_t)m->mask, m->pid);
}

/** n: what read(2) returned for one event. Return: false: there is none. */
static bool take_event(struct honeypot *s, struct emitter *e, const struct fanotify_event_metadata *m,
                       ssize_t n)
{
    if (n < 0 && errno == EAGAIN)
        return false;
    if (n == sizeof *m && m->vers == FANOTIFY_METADATA_VERSION && m->fd >= 0)
        take_file(s, e, m);
    else /* the queue was full, or the file could not be opened for want of descriptors */
        emitter_not_measured(e, "fanotify", lost);
    return true;
}

/** One at a time: each comes with a descriptor. */
static void take_events(struct honeypot *s, struct emitter *e)
{
    struct fanotify_event_metadata m;

    for (unsigned i = 0; s->fanotify && i < AT_ONCE; i++)
        if (!take_event(s, e, &m, read(s->fanotify, &m, sizeof m)))
            return;
}

/** Watch it, and then see which file that is: 0: none. */
static uint32_t watch_file(struct honeypot *s, unsigned i)
{
    struct watched_path *f = &s->files[i];
    struct stat st;

    s->marked[i] = s->fanotify && fanotify_mark(s->fanotify, FAN_MARK_ADD, ACCESSES, AT_FDCWD, f->path) == 0;
    if (path_watch(s->inotify, f, IN_ATTRIB | (s->marked[i] ? 0 : ACCESSES)) < 0)
        return 0;
    return print_of(stat(f->path, &st), &st);
}

/** Of one that was there and is another now, or none, somebody has taken care. One that appears is the canary. */
static void look_at_file(struct honeypot *s, struct emitter *e, unsigned i, bool start)
{
    struct watched_path *f = &s->files[i];
    const uint32_t known = s->prints[i], seen = f->seen;
    struct stat st;
    int error = 0;

    uint32_t print = print_of(stat(f->path, &st), &st);
    const bool hidden = !print && errno == EACCES; /* since the beacon is not root any more */
    if (hidden && known && !seen)
        return;
    f->seen = 0;
    if (seen || !known || print != known) {
        print = watch_file(s, i);
        error = errno;
    }
    s->prints[i] = print;
    if (known && ((print != known && !hidden) || seen & GONE))
        report(s, e, f->path, IN_MODIFY, 0);
    if (!print && !start)
        emitter_not_measured(e, f->path, ERRNO(error));
}

/** What inotify has seen. Another file in the place of one is looked at now, and one that was not there once it is
 * written. */
static void take_names(struct honeypot *s, struct emitter *e)
{
    if (paths_read(e, s->inotify, s->files, s->file_count) & IN_Q_OVERFLOW)
        emitter_not_measured(e, "inotify", lost);
    for (unsigned i = 0; i < s->file_count; i++) {
        struct watched_path *f = &s->files[i];
        const uint32_t seen = f->seen & (IN_ATTRIB | (s->marked[i] ? 0 : ACCESSES));
        f->seen &= ~(uint32_t)(IN_ATTRIB | ACCESSES);
        if (seen && s->prints[i])
            report(s, e, f->path, seen, 0);
        if (f->seen && s->prints[i])
            look_at_file(s, e, i, false);
        else if (f->seen)
            emitter_soon(e, SETTLE_MS);
    }
}

/* ---- ports ---- */

static void open_port(struct decoy *d, struct emitter *e, bool start)
{
    char buf[ADDR_TEXT + 8];
    struct addr a;
    struct text t;

    parse_port(&a, d->text);
    int fd = tcp_listen_plain(&a, BACKLOG);
    if (fd < 0 && errno == EAFNOSUPPORT && !strchr(d->text, ':')) {
        a.family = AF_INET; /* a kernel without IPv6 */
        fd = tcp_listen_plain(&a, BACKLOG);
    }
    d->fd = fd < 0 ? 0 : fd;
    if (fd >= 0 || start)
        return;
    text_init(&t, buf, sizeof buf);
    text_str(&t, "port ");
    text_str(&t, d->text);
    emitter_not_measured(e, buf, ERRNO(errno));
}

static bool is_allowed(const struct honeypot *s, const struct addr *peer)
{
    struct addr_net n;

    for (unsigned i = 0; i < s->allow_count; i++)
        if (addr_net_parse(&n, s->allow[i], strlen(s->allow[i]), NULL) == 0 && addr_net_match(&n, peer))
            return true;
    return false;
}

/** The beacon neither reads what a peer sends nor answers. The reset leaves nothing in the kernel, which an orderly
 * close would for a minute. */
static void take_peer(const struct honeypot *s, struct emitter *e, const struct decoy *d, int fd,
                      struct addr *peer)
{
    const uint16_t port = peer->port;
    char subject[2 * ADDR_TEXT];
    struct addr local;
    struct text t;
    const bool allowed = is_allowed(s, peer);

    if (!allowed)
        tcp_refuse(fd);
    close(fd);
    if (allowed)
        return;
    peer->port = 0;
    parse_port(&local, d->text);
    text_init(&t, subject, sizeof subject);
    addr_text(&t, peer);
    const size_t address = t.len;
    text_char(&t, ' ');
    text_str(&t, d->text);
    struct json_writer *w =
        emit_begin(e, s->allow_count ? "honeypot.access_blocked" : "honeypot.access_attempted", subject,
                   s->allow_count ? SEVERITY_WARNING : SEVERITY_CRITICAL);
    json_put_u64(w, "port", local.port);
    json_put_bytes(w, "address", subject, address);
    json_put_u64(w, "peer_port", port);
    emit_end(e);
}

/** Without descriptors it is left alone until the next look, as it would be ready all the time. */
static void take_peers(const struct honeypot *s, struct emitter *e, const struct decoy *d)
{
    for (unsigned i = 0; i < AT_ONCE; i++) {
        struct addr peer;
        int fd = tcp_accept_plain(d->fd, &peer);
        if (fd == NEFIA_EAGAIN)
            return;
        if (fd < 0) {
            emitter_not_measured(e, "accept", ERRNO(errno));
            emitter_unwatch(e, d->fd);
            return;
        }
        take_peer(s, e, d, fd, &peer);
    }
}

/* ---- running ---- */

static void look_at_all(struct honeypot *s, struct emitter *e, bool start)
{
    for (unsigned i = 0; i < s->file_count; i++)
        look_at_file(s, e, i, start);
    for (unsigned i = 0; i < s->port_count; i++) {
        struct decoy *d = &s->ports[i];
        if (!d->fd)
            open_port(d, e, start);
        if (d->fd)
            emitter_watch(e, d->fd, POLLIN);
    }
    if (s->inotify)
        emitter_watch(e, s->inotify, POLLIN);
    if (s->fanotify)
        emitter_watch(e, s->fanotify, POLLIN);
}

static int honeypot_poll(void *state, struct emitter *out, uint64_t now_ms)
{
    (void)now_ms;
    look_at_all(state, out, false);
    return 0;
}

/** Of a file that was replaced the events are still in the queue: they come first. */
static void honeypot_ready(void *state, struct emitter *out, int fd, short events)
{
    struct honeypot *s = state;

    (void)events;
    for (unsigned i = 0; i < s->port_count; i++)
        if (s->ports[i].fd == fd)
            take_peers(s, out, &s->ports[i]);
    take_events(s, out);
    if (fd == s->inotify)
        take_names(s, out);
}

static void close_if(int *fd)
{
    if (*fd)
        close(*fd);
    *fd = 0;
}

static void close_ports(struct honeypot *s)
{
    for (unsigned i = 0; i < s->port_count; i++)
        close_if(&s->ports[i].fd);
}

static void honeypot_stop(void *state)
{
    struct honeypot *s = state;

    close_ports(s);
    close_if(&s->inotify);
    close_if(&s->fanotify);
}

static void take_over_file(struct honeypot *s, const struct honeypot *old, unsigned j)
{
    for (unsigned i = 0; i < s->file_count; i++) {
        const char *path = s->files[i].path;
        if (!str_eq(path, old->files[j].path))
            continue;
        s->files[i] = old->files[j];
        s->files[i].path = path;
        s->marked[i] = old->marked[j];
        s->prints[i] = old->prints[j];
        return;
    }
    fanotify_mark(s->fanotify, FAN_MARK_REMOVE, ACCESSES, AT_FDCWD, old->files[j].path);
    inotify_rm_watch(s->inotify, old->files[j].file); /* that of the directory may be another's, too */
}

/** A port that stays is open all the time, and of a file that stays nothing is missed: the beacon may no longer have the
 * right to watch it anew. */
static void take_over(struct honeypot *s, struct honeypot *old)
{
    s->inotify = old->inotify;
    s->fanotify = old->fanotify;
    old->inotify = old->fanotify = 0;
    for (unsigned j = 0; j < old->file_count; j++)
        take_over_file(s, old, j);
    for (unsigned j = 0; j < old->port_count; j++)
        for (unsigned i = 0; i < s->port_count; i++)
            if (str_eq(s->ports[i].text, old->ports[j].text)) {
                s->ports[i].fd = old->ports[j].fd;
                old->ports[j].fd = 0;
            }
    close_ports(old); /* the same port may be wanted at another address */
}

static int honeypot_start(void *state, struct emitter *self, void *before)
{
    struct honeypot *s = state;

    if (before) {
        take_over(s, before);
        emitter_soon(self, SETTLE_MS);
    } else {
        s->inotify = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
        if (s->inotify < 0)
            return emitter_not_measured(self, "inotify", ERRNO(errno));
        s->fanotify = fanotify_init(FAN_CLASS_NOTIF | FAN_CLOEXEC | FAN_NONBLOCK,
                                    O_RDONLY | O_CLOEXEC | O_LARGEFILE | O_NONBLOCK);
        if (s->fanotify < 0)
            s->fanotify = 0; /* inotify does */
    }
    look_at_all(s, self, true);
    return 0;
}

const struct sensor_class sensor_honeypot = {
    SENSOR_NAME("honeypot_access", "1m"),
    .early = true,
    .watches = CONFIG_HONEYPOT_PORTS + 2,
    .fields = honeypot_fields,
    .state_size = sizeof(struct honeypot),
    .capability = CAP_NET_BIND_SERVICE,
    .open = honeypot_open,
    .start = honeypot_start,
    .poll = honeypot_poll,
    .ready = honeypot_ready,
    .stop = honeypot_stop,
};
