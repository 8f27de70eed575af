#include "nefia/control/control.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "nefia/base/err.h"
#include "nefia/sys/file.h"
#include "nefia/json/json.h"
#include "nefia/sys/log.h"

enum {
    SLOW_MS = 10000, /* limit for the request, and for sending each record */
    RETRY_MS = 1000, /* after accept ran out of descriptors */
    BACKLOG = 8,
    RECORDS_A_TURN = 16, /* so that one long response does not monopolise the loop */
    WHY_BYTES = 256,
};

_Static_assert(sizeof(((struct control_server *)0)->path) ==
                   sizeof(((struct sockaddr_un *)0)->sun_path),
               "the path buffer has the kernel's size");

/* ---- The last line ---- */

/** Write the last line to buf; error null: normal end. */
static void put_last(struct control_client *c, const char *error)
{
    struct json_writer w;
    struct text t;

    text_init(&t, c->buf, CONFIG_CONTROL_LINE_BYTES);
    json_begin(&w, &t);
    json_object(&w, NULL);
    if (error)
        json_put_string(&w, "error", error);
    else
        json_put_bool(&w, "end", true);
    if (error && c->cursor.exit == 0)
        c->cursor.exit = CONTROL_REFUSED;
    json_put_u64(&w, "exit", c->cursor.exit);
    json_end_object(&w);
    text_char(&t, '\n');
    c->len = t.len;
    c->sent = 0;
    c->state = CONTROL_ENDING;
}

/** message may be in buf; if empty, err_text is used. */
static void put_error(struct control_client *c, int err, const char *message)
{
    char copy[WHY_BYTES];
    struct text t;

    text_init(&t, copy, sizeof copy);
    text_str(&t, message[0] ? message : err_text(err));
    put_last(c, copy);
}

/* ---- One client ---- */

static void drop(struct control_client *c)
{
    int fd = c->watch.fd;

    loop_unwatch(c->server->loop, &c->watch);
    timer_stop(&c->timer);
    close(fd);
    if (c->verb && c->verb->end)
        c->verb->end(c->server->arg, &c->cursor);
    c->server = NULL;
}

static void too_slow(void *arg)
{
    struct control_client *c = arg;

    LOG_INFO("control socket: client dropped: ",
             c->state == CONTROL_READING ? "no request within 10 s" : "response not read within 10 s");
    drop(c);
}

static void give_time(struct control_client *c)
{
    timer_start(c->server->loop, &c->timer, SLOW_MS, too_slow, c);
}

/** Let the verb fill buf. Return: false if it has nothing at present. */
static bool next_record(struct control_client *c)
{
    struct text out;

    text_init(&out, c->buf, CONFIG_CONTROL_LINE_BYTES);
    c->sent = c->len = 0;
    int r = c->verb->produce ? c->verb->produce(c->server->arg, &c->cursor, &out) : 0;
    if (r == NEFIA_EAGAIN) {
        c->state = CONTROL_WAITING;
        loop_watch_events(&c->watch, 0);
        timer_stop(&c->timer);
        return false;
    }
    if (r < 0) {
        put_error(c, r, out.buf);
    } else if (r == 0) {
        put_last(c, NULL);
    } else if (out.truncated) {
        put_error(c, NEFIA_ETOOBIG, "record exceeds CONFIG_CONTROL_LINE_BYTES");
    } else {
        c->buf[out.len] = '\n';
        c->len = out.len + 1;
    }
    return true;
}

/** Send the rest of buf. Return: 1 all sent, 0 not yet, NEFIA_ECLOSED. */
static int send_rest(struct control_client *c)
{
    ssize_t n = send(c->watch.fd, c->buf + c->sent, c->len - c->sent, MSG_NOSIGNAL | MSG_DONTWAIT);

    if (n < 0)
        return errno == EAGAIN || errno == EINTR ? 0 : NEFIA_ECLOSED;
    c->sent += (size_t)n;
    if (n > 0)
        give_time(c);
    return c->sent == c->len;
}

/** Send records until one does not leave at once, the verb has nothing now, or others are due. */
static void answer(struct control_client *c)
{
    for (int i = 0; i < RECORDS_A_TURN; i++) {
        bool empty = c->sent == c->len;
        if (empty && c->state == CONTROL_ANSWERING && !next_record(c))
            return;
        int left = send_rest(c);
        if (left == 0)
            return;
        if (left < 0 || c->state == CONTROL_ENDING) {
            drop(c);
            return;
        }
    }
}

static const struct control_verb *find_verb(const struct control_verb *v, const char *name)
{
    for (; v->name; v++)
        if (str_eq(v->name, name))
            return v;
    return NULL;
}

/** Would nobody else be heard while this one waits? A verb with an end waits for as long as it takes. */
static bool takes_last_place(const struct control_client *c)
{
    const struct control_server *s = c->server;
    unsigned others = 0;

    for (unsigned i = 0; i < s->count; i++)
        others += s->clients[i].server && s->clients[i].state == CONTROL_WAITING;
    return s->count > 1 && others + 1 >= s->count;
}

/** Find the verb of the request in buf, which ends in a NUL, and have it begin. */
static int begin(struct control_client *c, struct text *why)
{
    char *args = c->buf + strcspn(c->buf, " ");

    if (*args)
        *args++ = '\0';
    c->verb = find_verb(c->server->verbs, c->buf);
    if (!c->verb) {
        text_str(why, "unknown request `");
        text_printable(why, c->buf, strlen(c->buf));
        text_char(why, '`');
        return NEFIA_ENOTFOUND;
    }
    if (c->verb->end && takes_last_place(c)) {
        text_str(why, CONTROL_FULL "wait; one place is kept for others");
        return NEFIA_EFULL;
    }
    if (c->verb->begin)
        return c->verb->begin(c->server->arg, &c->cursor, args, why);
    if (!*args)
        return 0;
    text_str(why, c->buf);
    text_str(why, " takes no arguments");
    return NEFIA_EINVAL;
}

/** The request came whole, or err says why it never will. */
static void start_answer(struct control_client *c, int err)
{
    char message[WHY_BYTES];
    struct text why;

    text_init(&why, message, sizeof message);
    if (err < 0)
        text_str(&why, "request exceeds CONFIG_CONTROL_LINE_BYTES");
    else
        err = begin(c, &why);
    c->state = CONTROL_ANSWERING;
    c->len = c->sent = 0;
    if (err < 0) {
        c->verb = NULL;
        put_error(c, err, message);
    }
    loop_watch_events(&c->watch, POLLOUT);
    give_time(c);
    answer(c);
}

static void read_request(struct control_client *c)
{
    ssize_t n = recv(c->watch.fd, c->buf + c->len, CONFIG_CONTROL_LINE_BYTES - c->len,
                     MSG_DONTWAIT);

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        drop(c);
        return;
    }
    char *newline = memchr(c->buf + c->len, '\n', (size_t)n);
    c->len += (size_t)n;
    if (newline)
        *newline = '\0';
    if (newline || c->len == CONFIG_CONTROL_LINE_BYTES)
        start_answer(c, newline ? 0 : NEFIA_ETOOBIG);
}

static void client_ready(void *arg, short revents)
{
    const short gone = POLLERR | POLLHUP; /* a half-close is no POLLHUP */
    struct control_client *c = arg;

    if (c->state == CONTROL_READING)
        read_request(c);
    else if (revents & gone)
        drop(c);
    else if (c->state != CONTROL_WAITING)
        answer(c);
}

/* ---- Listener ---- */

static struct control_client *free_client(const struct control_server *s)
{
    for (unsigned i = 0; i < s->count; i++)
        if (!s->clients[i].server)
            return &s->clients[i];
    return NULL;
}

static bool may_ask(int fd, uint32_t *uid)
{
    struct ucred peer = {0};
    socklen_t len = sizeof peer;

    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0 &&
        (peer.uid == 0 || peer.uid == geteuid())) {
        *uid = peer.uid;
        return true;
    }
    LOG_WARN("control socket: connection refused: user ", DEC(peer.uid), " (pid ", DEC(peer.pid), ")");
    return false;
}

static void refuse(int fd, const char *line)
{
    (void)send(fd, line, strlen(line), MSG_NOSIGNAL | MSG_DONTWAIT);
    close(fd);
}

static void admit(struct control_server *s, int fd)
{
    struct control_client *c = free_client(s);
    uint32_t uid;

    if (!may_ask(fd, &uid)) {
        refuse(fd, "{\"error\":\"permission denied" REMEDY("; only root and the daemon's own user may connect") "\",\"exit\":1}\n");
        return;
    }
    if (!c) {
        refuse(fd, "{\"error\":\"" CONTROL_FULL "connected\",\"exit\":1}\n");
        return;
    }
    c->server = s;
    c->state = CONTROL_READING;
    c->verb = NULL;
    c->cursor = (struct control_cursor){.uid = uid};
    c->len = c->sent = 0;
    if (loop_watch(s->loop, &c->watch, fd, POLLIN, client_ready, c) < 0) {
        c->server = NULL;
        refuse(fd, "{\"error\":\"the daemon is out of descriptors\",\"exit\":1}\n");
        return;
    }
    give_time(c);
}

static void listen_again(void *arg)
{
    struct control_server *s = arg;

    loop_watch_events(&s->watch, POLLIN);
}

static void listener_ready(void *arg, short revents)
{
    struct control_server *s = arg;
    int fd = accept4(s->watch.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

    (void)revents;
    if (fd >= 0) {
        admit(s, fd);
    } else if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED) {
        /* Out of descriptors or memory: the connection stays in the queue, and would wake us again
         * and again. */
        LOG_WARN("control socket: ", ERRNO(errno));
        loop_watch_events(&s->watch, 0);
        timer_start(s->loop, &s->retry, RETRY_MS, listen_again, s);
    }
}

/* ---- Opening ---- */

static int fail(struct text *why, int err, const char *what, const char *path, const char *reason)
{
    text_reset(why);
    text_str(why, "control socket: ");
    text_str(why, what);
    text_str(why, path);
    text_str(why, reason);
    return err;
}

static int fail_system(struct text *why, const char *what, const char *path)
{
    fail(why, NEFIA_EIO, what, path, ": ");
    text_str(why, ERRNO(errno));
    return NEFIA_EIO;
}

static int make_parent(const char *path, struct text *why)
{
    char parent[sizeof(struct sockaddr_un)];
    struct text t;
    const char *slash = strrchr(path, '/');

    if (!slash || slash == path)
        return 0;
    text_init(&t, parent, sizeof parent);
    text_bytes(&t, path, (size_t)(slash - path));
    mode_t before = umask(022);
    int made = mkdir(parent, 0755);
    umask(before);
    if (made < 0 && errno != EEXIST)
        return fail_system(why, "cannot create the directory ", parent);
    return 0;
}

static void lock_name(char name[sizeof(struct sockaddr_un) + sizeof CONTROL_LOCK], const char *path)
{
    struct text t;

    text_init(&t, name, sizeof(struct sockaddr_un) + sizeof CONTROL_LOCK);
    text_str(&t, path);
    text_str(&t, CONTROL_LOCK);
}

/** Take the lock, which serialises creating and removing the socket. Return: its descriptor. */
static int take_lock(const char *path, struct text *why)
{
    char name[sizeof(struct sockaddr_un) + sizeof CONTROL_LOCK];

    lock_name(name, path);
    int fd = file_open_locked(name, O_RDWR | O_CREAT | O_NONBLOCK);
    if (fd == NEFIA_EEXIST)
        return fail(why, fd, "another daemon is running: it has locked ", name, "");
    return fd < 0 ? fail_system(why, "cannot create or lock ", name) : fd;
}

static void drop_lock(const char *path, int fd)
{
    char name[sizeof(struct sockaddr_un) + sizeof CONTROL_LOCK];

    lock_name(name, path);
    unlink(name); /* before releasing the lock: see file_open_locked */
    close(fd);
}

/** Make sure that the path is free. Return: 0, or negative with why. */
static int clear_path(const struct sockaddr_un *address, struct text *why)
{
    const char *path = address->sun_path;
    struct stat st;

    if (lstat(path, &st) < 0)
        return errno == ENOENT ? 0 : fail_system(why, "cannot stat ", path);
    if (!S_ISSOCK(st.st_mode))
        return fail(why, NEFIA_EEXIST, "", path,
                    " exists and is not a socket" REMEDY("; remove it or choose another path"));
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return fail_system(why, "cannot open a socket for ", path);
    int r = connect(fd, (const struct sockaddr *)address, sizeof *address);
    int reason = errno;
    close(fd);
    if (r == 0 || reason == EAGAIN)
        return fail(why, NEFIA_EEXIST, "another daemon is running: it answers on ", path, "");
    errno = reason;
    if (reason != ECONNREFUSED)
        return fail_system(why, "cannot check for a running daemon on ", path);
    return unlink(path) == 0 ? 0 : fail_system(why, "cannot remove the stale ", path);
}

/** Bind with mode 0600 from the start. Return: the descriptor, or NEFIA_EIO. */
static int bind_and_listen(const struct sockaddr_un *address, struct text *why)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0)
        return fail_system(why, "cannot open a socket for ", address->sun_path);
    mode_t before = umask(0177);
    int r = bind(fd, (const struct sockaddr *)address, sizeof *address);
    umask(before);
    if (r == 0)
        r = listen(fd, BACKLOG);
    if (r < 0) {
        fail_system(why, "cannot listen on ", address->sun_path);
        close(fd);
        return NEFIA_EIO;
    }
    return fd;
}

int control_open(struct control_server *s, struct loop *loop, const char *path,
                 struct control_client *clients, unsigned count, const struct control_verb *verbs,
                 void *arg, struct text *why)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct stat st = {0};

    *s = (struct control_server){.verbs = verbs, .arg = arg, .clients = clients, .count = count};
    if (path[0] == '\0' || strlen(path) >= sizeof address.sun_path)
        return fail(why, NEFIA_ETOOBIG, "path must be 1 to 107 bytes long: ", path, "");
    memcpy(address.sun_path, path, strlen(path));
    memcpy(s->path, path, strlen(path));
    for (unsigned i = 0; i < count; i++)
        clients[i].server = NULL;
    int err = make_parent(path, why);
    s->lock = err < 0 ? err : take_lock(path, why);
    if (s->lock < 0)
        return s->lock;
    err = clear_path(&address, why);
    int fd = err < 0 ? err : bind_and_listen(&address, why);
    if (fd < 0) {
        drop_lock(path, s->lock);
        return fd;
    }
    if (lstat(path, &st) == 0) {
        s->device = st.st_dev;
        s->inode = st.st_ino;
    }
    s->loop = loop;
    if (loop_watch(loop, &s->watch, fd, POLLIN, listener_ready, s) == 0)
        return 0;
    s->watch.fd = fd;
    control_close(s);
    return fail(why, NEFIA_EFULL, "too many watches, cannot serve ", path, "");
}

void control_wake(struct control_server *s)
{
    if (!s->loop)
        return;
    for (unsigned i = 0; i < s->count; i++) {
        struct control_client *c = &s->clients[i];
        if (!c->server || c->state != CONTROL_WAITING)
            continue;
        c->state = CONTROL_ANSWERING;
        loop_watch_events(&c->watch, POLLOUT);
        give_time(c);
    }
}

void control_close(struct control_server *s)
{
    struct stat st;

    if (!s->loop)
        return;
    for (unsigned i = 0; i < s->count; i++)
        if (s->clients[i].server)
            drop(&s->clients[i]);
    timer_stop(&s->retry);
    int fd = s->watch.fd;
    loop_unwatch(s->loop, &s->watch);
    if (lstat(s->path, &st) == 0 && st.st_dev == s->device && st.st_ino == s->inode)
        unlink(s->path);
    close(fd);
    drop_lock(s->path, s->lock);
    s->loop = NULL;
}
