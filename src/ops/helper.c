#include "nefia/ops/helper.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "nefia/base/err.h"
#include "nefia/ops/service.h"
#include "nefia/sys/cli.h"
#include "nefia/sys/log.h"
#include "ops_int.h"

enum { MINUTE_MS = 60 * 1000 };
enum request_kind { ASK_SERVICE = 1, ASK_RELOAD = 2 };
enum outcome { RAN, REFUSED, DENIED };

/** Of the same program: in its own byte order, of exactly this size. */
struct request {
    uint8_t kind, verb;
    uint32_t timeout_ms;
    char name[OP_NAME_MAX + 1];
};

/** Followed by output, or by the reason, as much as the packet has. */
struct answer {
    uint8_t outcome, exit_code;
};

/** A packet with at most one descriptor. */
union control {
    struct cmsghdr align;
    char bytes[CMSG_SPACE(sizeof(int))];
};

/* ---- the helper ---- */

struct serving {
    struct helper_setup *setup;
    int fd;
    uint64_t minute_ms; /* when the minute began in which `count` requests came */
    unsigned count;
};

static bool too_many(struct serving *s)
{
    const uint64_t now = clock_ms(&clock_system);

    if (now - s->minute_ms >= MINUTE_MS) {
        s->minute_ms = now;
        s->count = 0;
    }
    return ++s->count > HELPER_RATE;
}

/** Is it one end of a pair that somebody has made who may ask, and who still waits? Anything else could be somebody who trusts what root
 * sends. */
static bool may_answer(const struct serving *s, int fd)
{
    struct pollfd p = {.fd = fd};
    struct ucred who = {.uid = (uid_t)-1};
    socklen_t len = sizeof who, type_len = sizeof(int);
    int type = 0;

    return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &type_len) == 0 && type == SOCK_SEQPACKET &&
           getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len) == 0 && who.uid == s->setup->user && poll(&p, 1, 0) == 0;
}

static void answer(int fd, enum outcome outcome, int exit_code, const char *text, size_t len)
{
    struct answer a = {.outcome = (uint8_t)outcome, .exit_code = (uint8_t)exit_code};
    struct iovec parts[] = {{&a, sizeof a}, {(void *)(uintptr_t)text, len}};
    const struct msghdr m = {.msg_iov = parts, .msg_iovlen = ARRAY_SIZE(parts)};

    (void)!sendmsg(fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void refuse(int fd, enum outcome outcome, const char *text)
{
    answer(fd, outcome, outcome == DENIED ? OP_DENIED : OP_FAILED, text, strlen(text));
}

static void tell(const struct serving *s, int fd, const struct op *op)
{
    const struct op_place *place = &s->setup->place;
    struct command c = {.deadline_ms = op->timeout_ms, .output = place->work, .output_cap = HELPER_OUTPUT < place->work_cap ? HELPER_OUTPUT : place->work_cap};
    const char *verb = word_at(op_verb_words, op->verb);
    struct verdict v;
    struct text why;
    char why_buf[160];

    text_init(&why, why_buf, sizeof why_buf);
    if (!op_allowed(op, place, &v, &why)) {
        LOG_WARN("service ", op->service, " ", verb, " denied: ", why.buf);
        refuse(fd, DENIED, why.buf);
        return;
    }
    const int err = service_run(op->service, op->verb, &c);
    if (err < 0) {
        refuse(fd, REFUSED, err == NEFIA_ENOTFOUND ? "no such service" : "cannot run a program");
        return;
    }
    LOG_INFO("service ", op->service, " ", verb, c.timed_out ? ": timed out" : ": exit ", c.timed_out ? "" : DEC(c.exit_code));
    answer(fd, RAN, c.exit_code, c.output, c.output_len);
}

/** fd: for the answer, or -1. */
static void take(struct serving *s, const struct request *r, int fd)
{
    const struct op op = {
        .kind = OP_SERVICE, .service = r->name, .verb = (enum op_verb)r->verb, .timeout_ms = r->timeout_ms};

    if (r->kind == ASK_RELOAD && fd < 0 && !too_many(s)) {
        (void)s->setup->reload(s->setup);
        return;
    }
    if (r->kind != ASK_SERVICE || fd < 0 || !may_answer(s, fd) || r->name[OP_NAME_MAX] != '\0' || !op_is_service(r->name) ||
        r->verb > OP_RELOAD || r->timeout_ms == 0 || r->timeout_ms > OP_TIMEOUT_MAX_MS)
        return;
    if (too_many(s))
        refuse(fd, REFUSED, "too many requests in this minute");
    else
        tell(s, fd, &op);
}

/** Return: false: the daemon has ended. */
static bool serve_one(struct serving *s)
{
    union control control;
    struct request r;
    struct iovec part = {&r, sizeof r};
    /* CMSG_SPACE may be room for two: the length says one. */
    struct msghdr m = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = CMSG_LEN(sizeof(int))};
    const ssize_t n = recvmsg(s->fd, &m, MSG_CMSG_CLOEXEC);
    const struct cmsghdr *c = CMSG_FIRSTHDR(&m);
    int fd = -1;

    if (n <= 0)
        return n < 0 && errno == EINTR;
    if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS)
        memcpy(&fd, CMSG_DATA(c), sizeof fd);
    if (n == (ssize_t)sizeof r && !(m.msg_flags & (MSG_TRUNC | MSG_CTRUNC)))
        take(s, &r, fd);
    if (fd >= 0)
        close(fd);
    return true;
}

static _Noreturn void serve(int fd, struct helper_setup *setup)
{
    /* It ends with the daemon, whatever a script sends to all that are called like it: one of the scripts may be restarting the daemon.
     * SIGPIPE is of a log that nobody reads. */
    static const uint8_t ignored[] = {SIGHUP, SIGINT, SIGTERM, SIGPIPE};
    struct serving s = {.setup = setup, .fd = fd};

    setsid();
    (void)!chdir("/");
    signals_default();
    for (size_t i = 0; i < sizeof ignored; i++)
        signal(ignored[i], SIG_IGN);
    prctl(PR_SET_NAME, (unsigned long)"nefia-services", 0ul, 0ul, 0ul);
    prctl(PR_SET_DUMPABLE, 0ul, 0ul, 0ul, 0ul); /* the daemon's keys are in its memory */
    while (serve_one(&s))
        ;
    log_flush();
    _exit(0);
}

/* ---- the daemon ---- */

static void say_ended(struct helper *h)
{
    LOG_ERROR("the helper for services has ended" REMEDY("; restart this program, or it cannot restart services"));
    loop_unwatch(h->loop, &h->watch);
    close(h->fd);
    h->fd = -1;
}

/** It never sends anything on this socket. */
static void ended(void *arg, short revents)
{
    (void)revents;
    say_ended(arg);
}

/** By way of a process in between, so that it is init's child: for that moment this process adopts none. */
static pid_t fork_to_init(const int ends[2], struct helper_setup *s)
{
    prctl(PR_SET_CHILD_SUBREAPER, 0ul, 0ul, 0ul, 0ul);
    const pid_t pid = _Fork();
    if (pid == 0) {
        const pid_t helper = _Fork();
        if (helper != 0)
            _exit(helper < 0);
        close(ends[0]);
        serve(ends[1], s);
    }
    int status = pid < 0;
    while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (IS_ENABLED(CONFIG_SURVIVORS))
        survivors_adopt();
    return status == 0 ? pid : -1;
}

int helper_start(struct helper *h, struct helper_setup *s)
{
    int ends[2];

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
        return NEFIA_EIO;
    const pid_t pid = fork_to_init(ends, s);
    close(ends[1]);
    if (pid < 0) {
        close(ends[0]);
        return NEFIA_EIO;
    }
    h->fd = ends[0];
    return 0;
}

void helper_watch(struct helper *h, struct loop *l)
{
    h->loop = l;
    if (h->fd > 0)
        (void)loop_watch(l, &h->watch, h->fd, 0, ended, h);
}

void helper_reload(const struct helper *h)
{
    const struct request r = {.kind = ASK_RELOAD};

    if (h->fd > 0 && send(h->fd, &r, sizeof r, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
        LOG_ERROR("the helper for services keeps its policy: ", ERRNO(errno));
}

/* ---- a child of the daemon ---- */

static bool send_request(const struct op *op, int answers)
{
    struct request r = {.kind = ASK_SERVICE, .verb = (uint8_t)op->verb, .timeout_ms = op->timeout_ms};
    struct iovec part = {&r, sizeof r};
    union control control;
    const struct msghdr m = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = CMSG_LEN(sizeof answers)};
    struct text name;

    text_init(&name, r.name, sizeof r.name);
    text_str(&name, op->service);
    memset(&control, 0, sizeof control);
    control.align = (struct cmsghdr){.cmsg_len = CMSG_LEN(sizeof answers), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
    memcpy(CMSG_DATA(&control.align), &answers, sizeof answers);
    return sendmsg(CHILD_KEPT, &m, MSG_NOSIGNAL) == (ssize_t)sizeof r;
}

int helper_ask(const struct op_place *place)
{
    static const char gone[] = "the helper for services does not answer; restart the program that it is of";
    const struct op *op = place->op;
    struct answer a;
    struct iovec parts[] = {{&a, sizeof a}, {place->work, place->work_cap}};
    struct msghdr m = {.msg_iov = parts, .msg_iovlen = ARRAY_SIZE(parts)};
    int ends[2];

    if (place->helper < 0)
        return op_failed(op->service, gone, 0);
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
        return op_failed(op->service, gone, errno);
    const bool sent = send_request(op, ends[1]);
    close(ends[1]);
    const ssize_t n = sent ? recvmsg(ends[0], &m, 0) : -1;
    if (n < (ssize_t)sizeof a)
        return op_failed(op->service, gone, sent && n >= 0 ? 0 : errno);
    if (a.outcome != RAN)
        CLI_ERR(op->service, a.outcome == DENIED ? ": denied: " : ": ");
    (void)cli_write(a.outcome == RAN ? STDOUT_FILENO : STDERR_FILENO, place->work, (size_t)n - sizeof a);
    if (a.outcome != RAN)
        CLI_ERR("\n");
    return a.exit_code;
}
