#include "nefia/cmd/exec.h"

#include <string.h>

#include "nefia/base/err.h"
#include "nefia/hub/hub.h"
#include "nefia/ops/op.h"
#include "nefia/sys/log.h"

#define POOL_PROGRAM_HUB
#include "nefia/base/pool.h"

enum { WAIT_MS = 30000, GRACE_MS = 60000 };

const struct cli_option exec_options[] = {
    {"--target", "HOST", CLI_HELP("the device, by its host_id")},
    {"--timeout", "DURATION", CLI_HELP("how long the command may run there (30s)")},
    {"--wait", "DURATION", CLI_HELP("how long the device may take to be there and free (30s)")},
    {"--json", NULL, CLI_HELP("one JSON object, for programs")},
    {.name = NULL},
};

static int failed(const char *what, const char *why)
{
    CLI_ERR("nefia: exec: ", what, why, "\n");
    return DISPATCH_FAILED;
}

/** Return: false after a message. */
static bool duration_of(const struct cli_args *a, const char *option, uint64_t most_ms, uint64_t *ms)
{
    const char *value = cli_option(a, option);

    if (!value || (parse_duration_ms(value, strlen(value), ms) == 0 && *ms > 0 && *ms <= most_ms))
        return true;
    CLI_ERR("nefia: exec: ", option, ": \"", value, "\" is not a duration" REMEDY(" such as 30s or 5m, or too long") "\n");
    return false;
}

/* ---- the request ---- */

/** What the operands say. text: gets a line for the shell. Return: false: too many of them. */
static bool read_operands(const struct cli_args *a, struct op *op, struct text *text)
{
    struct op words = {.kind = OP_ARGV};
    const char *paths[2];

    op->kind = OP_RUN;
    op->run = a->operands[0];
    if (a->operand_count == 1)
        return true;
    if (a->operand_count > OP_ARGS)
        return false;
    for (unsigned i = 0; i < a->operand_count; i++)
        words.argv[i] = a->operands[i];
    if (a->operands[0][0] == '/') {
        words.timeout_ms = op->timeout_ms;
        *op = words;
        return true;
    }
    (void)op_subject(&words, text, &op->run, paths);
    return !text->truncated;
}

static bool put_request(const struct cli_args *a, const struct op *op, struct slice cause, uint64_t wait_ms, struct text *t)
{
    struct json_writer w;

    text_str(t, "exec ");
    json_begin(&w, t);
    json_object(&w, NULL);
    json_put_string(&w, "host", cli_option(a, "--target"));
    json_put_u64(&w, "life_ms", wait_ms);
    if (cause.len > 0)
        json_put_raw(&w, "cause", cause.ptr, cause.len);
    op_write(op, &w, "op");
    json_end_object(&w);
    return !t->truncated;
}

/* ---- the answer ---- */

struct answer {
    const char *host;
    struct json_token *tokens;
    bool json, harmless; /* harmless: a terminal reads it */
    bool begun;          /* the JSON object is open */
    uint64_t printed;    /* bytes of output */
};

/** Nothing that a device says moves the cursor, or hides or reorders what there is: but for lines and tabs, as text_printable. The hub cuts
 * pieces between characters. Return: the new length, no more than before. */
static size_t make_harmless(char *s, size_t len)
{
    size_t to = 0, skip;
    uint32_t cp;

    for (size_t at = 0; at < len; at += skip) {
        const size_t n = utf8_harmless(s + at, len - at, &cp, &skip);
        memmove(s + to, s + at, n);
        to += n;
        at += n;
        if (skip > 0)
            s[to++] = cp == '\n' || cp == '\t' ? (char)cp : '?';
    }
    return to;
}

static int print_output(struct answer *a, const struct json_doc *doc, unsigned value)
{
    char piece[DISPATCH_PIECE + 1];
    const struct slice raw = json_raw(doc, value);
    struct text t;

    text_init(&t, piece, sizeof piece);
    (void)json_string(doc, value, &t);
    a->printed += t.len;
    if (a->json)
        return cli_write(STDOUT_FILENO, raw.ptr, raw.len);
    return cli_write(STDOUT_FILENO, piece, a->harmless ? make_harmless(piece, t.len) : t.len);
}

static int begin_json(struct answer *a)
{
    if (!a->json || a->begun)
        return 0;
    a->begun = true;
    return cli_print(STDOUT_FILENO, "{\"output\":\"", (char *)0);
}

static void say_result(const struct answer *a, const struct json_doc *doc, unsigned result)
{
    static const char quiet[] = "exit ";
    const int error = json_member(doc, result, "error"), bytes = json_member(doc, result, "bytes");
    char buf[COMMAND_ERROR_MAX + 1];
    struct text t, harmless;
    char shown[COMMAND_ERROR_MAX + 1];
    int64_t total;

    if (bytes >= 0 && json_i64(doc, (unsigned)bytes, &total) == 0 && (uint64_t)total > a->printed)
        CLI_ERR("nefia: exec: ", a->host, ": the output is cut after ", DEC(a->printed), " of ", DEC(total), " bytes\n");
    text_init(&t, buf, sizeof buf);
    if (error < 0 || json_string(doc, (unsigned)error, &t) < 0 || t.len == 0 || strncmp(buf, quiet, sizeof quiet - 1) == 0)
        return;
    text_init(&harmless, shown, sizeof shown);
    text_printable(&harmless, buf, t.len);
    CLI_ERR("nefia: exec: ", a->host, ": ", shown, "\n");
}

static int take_record(void *arg, const char *json, size_t len)
{
    struct answer *a = arg;
    struct json_doc doc;

    if (json_parse(&doc, json, len, a->tokens, HUB_TOKENS, JSON_MAX_DEPTH, NULL) < 0 || begin_json(a) < 0)
        return NEFIA_ESYNTAX;
    const int output = json_member(&doc, 0, "output"), result = json_member(&doc, 0, "result");
    if (output >= 0)
        return print_output(a, &doc, (unsigned)output);
    if (result < 0)
        return 0;
    if (!a->json) {
        say_result(a, &doc, (unsigned)result);
        return 0;
    }
    const struct slice raw = json_raw(&doc, (unsigned)result);
    if (cli_print(STDOUT_FILENO, "\",\"result\":", (char *)0) < 0 || cli_write(STDOUT_FILENO, raw.ptr, raw.len) < 0)
        return NEFIA_EIO;
    return cli_print(STDOUT_FILENO, "}\n", (char *)0);
}

static int ask(struct hub *hub, const char *request, struct answer *a, uint64_t longest_ms)
{
    char why_buf[320], shown_buf[320];
    const char *socket = hub_socket(hub);
    struct text why, shown;

    if (!socket)
        return DISPATCH_FAILED;
    text_init(&why, why_buf, sizeof why_buf);
    int status = control_request(socket, request, (char *)pool_receive, sizeof pool_receive, take_record, a, longest_ms, &why);
    if (status >= 0 && why.len == 0)
        return status;
    text_init(&shown, shown_buf, sizeof shown_buf);
    text_printable(&shown, why.len > 0 ? why.buf : err_text(status), why.len > 0 ? why.len : strlen(err_text(status)));
    (void)failed("", shown.buf);
    return status < 0 || status == CONTROL_REFUSED ? DISPATCH_FAILED : status; /* refused: not the command's 1 */
}

int exec_run(const struct cli_args *a)
{
    char request[CONFIG_CONTROL_LINE_BYTES], line[COMMAND_OP_MAX];
    uint64_t timeout_ms = OP_TIMEOUT_MS, wait_ms = WAIT_MS;
    struct hub *hub = a->arg;
    struct slice cause;
    struct op op = {0};
    struct text t;

    log_init("nefia", LOG_LEVEL_WARN);
    if (!cli_option(a, "--target"))
        return failed(HINTED("--target is missing", ": which device"), "");
    if (!duration_of(a, "--timeout", OP_TIMEOUT_MAX_MS, &timeout_ms) || !duration_of(a, "--wait", COMMAND_LIFE_MAX_MS, &wait_ms))
        return DISPATCH_FAILED;
    if (!event_cause_here(&cause))
        return failed(HINTED(EVENT_CAUSE_VARIABLE " of the environment is not a list of names", "; unset it"), "");
    op.timeout_ms = (uint32_t)timeout_ms;
    text_init(&t, line, sizeof line);
    if (!read_operands(a, &op, &t))
        return failed("too many words, or too long", "");
    text_init(&t, request, sizeof request);
    if (!put_request(a, &op, cause, wait_ms, &t))
        return failed("the command is too long", "");
    hub_wire(hub, a->config, cli_report_stderr);
    struct answer answer = {.host = cli_option(a, "--target"),
                            .tokens = pool_hub_work->answer,
                            .json = cli_option(a, "--json") != NULL,
                            .harmless = isatty(STDOUT_FILENO)};
    return ask(hub, request, &answer, wait_ms + timeout_ms + GRACE_MS);
}
