#include "nefia/ops/op.h"

#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "nefia/base/err.h"
#include "nefia/net/resolve.h"
#include "nefia/net/tcp.h"
#include "nefia/ops/helper.h"
#include "nefia/ops/service.h"
#include "nefia/sys/cli.h"
#include "nefia/sys/command.h"
#include "ops_int.h"

enum { STEP_MS = 200, CONNECT_MS = 5000, ADDRESSES = 4, ASK_MS = 10000 };

int op_failed(const char *what, const char *why, int error)
{
    CLI_ERR(what, ": ", why, error ? ": " : "", error ? ERRNO(error) : "", "\n");
    return OP_FAILED;
}

int op_resolve(struct path *p, const char *given, const struct op_place *place)
{
    const int err = path_resolve(p, given);
    char buf[256];
    struct verdict v;
    struct text why;

    if (err < 0)
        return op_failed(given, p->why, err == NEFIA_EIO ? errno : 0);
    text_init(&why, buf, sizeof buf);
    if (op_path_allowed(p->text, place, &v, &why))
        return 0;
    CLI_ERR("denied: ", buf, "\n");
    return OP_DENIED;
}

/* ---- wait_for: until the child's deadline ends it ---- */

static bool connects(const struct addr *a)
{
    const int fd = tcp_connect_start(a, CONNECT_MS);
    struct pollfd p = {.fd = fd, .events = POLLOUT};
    bool connected = false;

    if (fd < 0)
        return false;
    if (poll(&p, 1, CONNECT_MS) > 0)
        connected = tcp_connect_result(fd) == 0;
    close(fd);
    return connected;
}

static bool port_answers(const char *host, uint16_t port)
{
    struct addr found[ADDRESSES];
    const int n = resolve(host, port, found, ADDRESSES);

    for (int i = 0; i < n; i++)
        if (connects(&found[i]))
            return true;
    return false;
}

static int wait_port(const char *text)
{
    char host[ADDR_HOST], buf[128];
    struct text why;
    uint16_t port;

    text_init(&why, buf, sizeof buf);
    if (addr_parse_hostport(text, strlen(text), 0, host, &port, &why) < 0)
        return op_failed(text, buf, 0);
    while (!port_answers(host, port))
        poll(NULL, 0, STEP_MS);
    return 0;
}

static int wait_path(const struct op_place *place)
{
    for (;;) {
        struct path p;
        const int status = op_resolve(&p, place->op->path, place);
        path_close(&p);
        if (status != 0 || !p.missing)
            return status;
        poll(NULL, 0, STEP_MS);
    }
}

/** Ask the service manager by its command. work has its answer, and behind that the tokens. */
static enum service_state ask(enum service_backend b, const char *name, const struct op_place *place)
{
    const char *argv[SERVICE_ASK_ARGS + 2];
    char buf[SERVICE_PATH_BYTES];
    unsigned n = service_ask(b, name, argv, buf);
    struct command c = {.deadline_ms = ASK_MS, .output = place->work, .output_cap = place->work_cap / 2 - 1};
    struct json_doc d;

    if (b == SERVICE_SYSTEMD)
        argv[n++] = name;
    argv[n] = NULL;
    if (command_run(argv, &c) < 0)
        return SERVICE_UNSEEN;
    c.output[c.output_len] = '\0';
    if (b == SERVICE_SYSTEMD)
        return service_of_word(name, (struct slice){c.output, strcspn(c.output, "\n")});
    const uintptr_t room = (uintptr_t)place->work + place->work_cap / 2, unit = _Alignof(struct json_token);
    struct json_token *tokens = (void *)((room + unit - 1) / unit * unit);
    if (json_parse(&d, c.output, c.output_len, tokens, (unsigned)((place->work_cap / 2 - unit) / sizeof *tokens), JSON_MAX_DEPTH, NULL) < 0)
        return SERVICE_UNSEEN;
    return service_of_object(&d, name);
}

static int wait_service(const char *name, enum service_state wanted, const struct op_place *place)
{
    const enum service_backend b = service_backend();
    struct service_look l = {.buf = place->work, .cap = place->work_cap};

    while ((b == SERVICE_SYSTEMD || b == SERVICE_PROCD ? ask(b, name, place) : service_look(&l, b, name)) != wanted)
        poll(NULL, 0, STEP_MS);
    return 0;
}

static int do_wait(const struct op_place *place)
{
    const struct op *op = place->op;

    if (op->wait == OP_WAIT_SERVICE)
        return wait_service(op->service, op->state ? (enum service_state)op->state : SERVICE_ACTIVE, place);
    return op->wait == OP_WAIT_PORT ? wait_port(op->port) : wait_path(place);
}

/* ---- service ---- */

static int do_service(const struct op_place *place)
{
    struct command c = {.output = place->work, .output_cap = place->work_cap, .deadline_ms = place->op->timeout_ms};

    if (place->helper != 0)
        return helper_ask(place);
    const int err = service_run(place->op->service, place->op->verb, &c);

    if (err < 0)
        return op_failed(place->op->service, err == NEFIA_ENOTFOUND ? "no such service" : "cannot run a program", err == NEFIA_EIO ? errno : 0);
    (void)cli_write(STDOUT_FILENO, c.output, c.output_len);
    return c.exit_code;
}

int op_do(void *arg)
{
    const struct op_place *place = arg;

    switch (place->op->kind) {
    case OP_SERVICE:
        return do_service(place);
    case OP_FILE:
        return op_do_file(place);
    case OP_RESTORE:
        return op_do_restore(place);
    case OP_WAIT:
        return do_wait(place);
    case OP_RUN:
    case OP_ARGV:
    case OP_UNDO:
        break;
    }
    return OP_FAILED;
}
