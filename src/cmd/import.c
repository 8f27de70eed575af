#include "nefia/cmd/import.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "nefia/base/err.h"
#include "nefia/hub/hub.h"
#include "nefia/hub/import.h"
#include "nefia/link/export.h"
#include "nefia/sys/file.h"
#include "nefia/sys/log.h"

#define POOL_PROGRAM_HUB
#include "nefia/base/pool.h"

enum {
    ANSWER_MS = 10 * 1000,
    AGAIN_MS = 500,    /* after a full queue */
    AGAIN_MOST = 120,  /* times: a minute */
    ANSWER_TOKENS = 8, /* of one record */
    CHUNK_BYTES = 1024,
};

static const char prefix[] = "import ";
/** The request: `import MARK SIGNATURE LINE`; the reader puts the line in its place, and what stands before comes later. */
#define BEFORE_LINE (sizeof prefix - 1 + EXPORT_MARK_HEX + 1 + MAC_HEX + 1)
#define REQUEST_BYTES (HUB_JOURNAL_BYTES < CONFIG_CONTROL_LINE_BYTES ? HUB_JOURNAL_BYTES : CONFIG_CONTROL_LINE_BYTES)

_Static_assert(REQUEST_BYTES > BEFORE_LINE + 1, "a line has no room in a request");

/** What was handed over so far. */
struct import {
    const char *socket, *file; /* file: that is read, for messages */
    struct export_reader reader;
    uint64_t count[IMPORT_COMPLETE + 1];
    uint64_t texts;      /* that began */
    uint64_t incomplete; /* of these, or what was none from the beginning */
    bool open;           /* a text has begun, and not ended */
    uint64_t units;      /* of it */
    int verdict;         /* of the last answer; negative: none */
    uint64_t events;     /* IMPORT_COMPLETE: its number */
    char reason[LINK_REASON_MAX + 1];
};

static int take_answer(void *arg, const char *json, size_t len)
{
    struct json_token tokens[ANSWER_TOKENS];
    struct import *m = arg;
    struct json_doc d;
    struct text t;
    int64_t events;

    if (json_parse(&d, json, len, tokens, ANSWER_TOKENS, 1, NULL) < 0)
        return NEFIA_ESYNTAX;
    const int verdict = json_member(&d, 0, "verdict"), reason = json_member(&d, 0, "reason"),
              number = json_member(&d, 0, "events");
    if (verdict < 0)
        return NEFIA_ESYNTAX;
    m->verdict = word_index(import_words, json_raw(&d, (unsigned)verdict));
    text_init(&t, m->reason, sizeof m->reason);
    if (reason >= 0)
        (void)json_string(&d, (unsigned)reason, &t);
    if (number >= 0 && json_i64(&d, (unsigned)number, &events) == 0)
        m->events = (uint64_t)events;
    return 0;
}

static void say(const struct import *m, const char *what, const char *more)
{
    CLI_ERR("nefia: import: ", m->file, ":", DEC(m->reader.unit.at), ": ", what, more, "\n");
}

/** Return: 0, with the verdict; or negative, after a message: the hub cannot be asked. */
static int ask(struct import *m, const char *request)
{
    char why_buf[256];
    struct text why;

    text_init(&why, why_buf, sizeof why_buf);
    m->verdict = NEFIA_ENOTFOUND;
    const int status = control_request(m->socket, request, (char *)pool_receive, sizeof pool_receive, take_answer, m, ANSWER_MS, &why);
    if (status == 0 && m->verdict >= 0)
        return 0;
    say(m, why.len > 0 ? why.buf : "the hub's answer cannot be read", HINTED("", "; import the text again: what the hub has is not counted twice"));
    return NEFIA_EIO;
}

/** A full queue: what fills it ends at some time. */
static int ask_until_taken(struct import *m, const char *request)
{
    const struct timespec again = {.tv_nsec = AGAIN_MS * 1000000L};
    int err = ask(m, request);

    for (unsigned i = 0; err == 0 && m->verdict == IMPORT_FULL && i < AGAIN_MOST; i++) {
        nanosleep(&again, NULL);
        err = ask(m, request);
    }
    if (err < 0 || m->verdict != IMPORT_FULL)
        return err;
    say(m, "the hub's queues of actions stay full", HINTED("", "; import the text again later"));
    return NEFIA_EFULL;
}

/** The text that was open is at its end, as its last line says (events), or as it seems. */
static void end_text(struct import *m, bool ended)
{
    const bool whole = ended && m->open && m->units == m->events;

    if (!ended && !m->open)
        return;
    if (!whole) {
        m->incomplete++;
        if (ended && m->open && m->units > m->events)
            say(m, "the text has more lines than events: several are mixed", "");
        else if (ended && m->open)
            say(m, "the text is not complete: of so many events lines are missing: ", DEC(m->events - m->units));
        else
            say(m, ended ? "the text's beginning is missing" : "the text ends before its last line: events may be missing", "");
    }
    m->open = false;
    m->units = 0;
}

static void refused(struct import *m, const char *why)
{
    m->count[IMPORT_REFUSED]++;
    say(m, "refused: ", why);
}

static int hand_over(struct import *m, char *request)
{
    const struct export_unit *u = &m->reader.unit;
    struct text t;

    /* A signature shorter than its room moves what stands before. */
    char *from = request + MAC_HEX - u->sig.len;
    text_init(&t, from, BEFORE_LINE - (MAC_HEX - u->sig.len) + 1);
    const char first = u->line.ptr[0];
    text_str(&t, prefix);
    text_bytes(&t, u->mark.ptr, u->mark.len);
    text_char(&t, ' ');
    text_bytes(&t, u->sig.ptr, u->sig.len);
    text_char(&t, ' ');
    request[BEFORE_LINE] = first;
    request[BEFORE_LINE + u->line.len] = '\0';
    if (memchr(u->line.ptr, '\0', u->line.len)) {
        refused(m, "a NUL in the line");
        return 0;
    }
    const int err = ask_until_taken(m, from);
    if (err < 0)
        return err;
    if (m->verdict == IMPORT_COMPLETE) {
        end_text(m, true);
        return 0;
    }
    m->units++;
    if (m->verdict == IMPORT_REFUSED)
        refused(m, m->reason);
    else
        m->count[m->verdict]++;
    return 0;
}

static int take_item(struct import *m, enum export_item item, char *request)
{
    m->reader.unit.at = m->reader.lines;
    if (item == EXPORT_UNIT)
        return hand_over(m, request);
    if (item == EXPORT_DAMAGED) {
        m->units++;
        refused(m, "signature line without the line that it signs, or damaged");
    }
    if (item != EXPORT_BEGUN)
        return 0;
    end_text(m, false);
    m->open = true;
    m->texts++;
    if (m->reader.version == EXPORT_VERSION)
        return 0;
    say(m, "the text is of a version that this program does not know", "");
    return NEFIA_ENOTSUP;
}

static int feed(struct import *m, const char *s, size_t len, char *request)
{
    int err = 0;

    while (len > 0 && err == 0)
        err = take_item(m, export_read(&m->reader, &s, &len), request);
    return err;
}

static int import_fd(struct import *m, int fd)
{
    char *request = (char *)pool_journal, chunk[CHUNK_BYTES];
    int err = 0;
    ssize_t n = 0;

    export_reader_init(&m->reader, request + BEFORE_LINE, REQUEST_BYTES - BEFORE_LINE - 1);
    do {
        n = read(fd, chunk, sizeof chunk);
        if (n > 0)
            err = feed(m, chunk, (size_t)n, request);
    } while (err == 0 && (n > 0 || (n < 0 && errno == EINTR)));
    if (n < 0) {
        CLI_ERR("nefia: import: ", m->file, ": ", ERRNO(errno), "\n");
        return NEFIA_EIO;
    }
    if (err == 0)
        err = feed(m, "\n", 1, request);
    if (err == 0)
        end_text(m, false);
    return err;
}

static int import_file(struct import *m, const char *path)
{
    if (str_eq(path, "-")) {
        m->file = "standard input";
        return import_fd(m, STDIN_FILENO);
    }
    m->file = path;
    const int fd = file_open(path, 0);
    if (fd < 0) {
        CLI_ERR("nefia: import: ", path, ": ", ERRNO(errno), "\n");
        return NEFIA_EIO;
    }
    const int err = import_fd(m, fd);
    close(fd);
    return err;
}

static void sum_up(const struct import *m, bool json, bool all)
{
    char buf[256];
    struct json_writer w;
    struct text t;
    const uint64_t accepted = m->count[IMPORT_ACCEPTED] + m->count[IMPORT_UNSURE];

    if (!json) {
        CLI_OUT(DEC(accepted), " accepted");
        if (m->count[IMPORT_UNSURE] > 0)
            CLI_OUT(" (", DEC(m->count[IMPORT_UNSURE]), " unsure)");
        CLI_OUT(", ", DEC(m->count[IMPORT_SEEN]), " seen before, ", DEC(m->count[IMPORT_REFUSED]), " refused\n");
        return;
    }
    text_init(&t, buf, sizeof buf);
    json_begin(&w, &t);
    json_object(&w, NULL);
    json_put_u64(&w, "accepted", accepted);
    json_put_u64(&w, "unsure", m->count[IMPORT_UNSURE]);
    json_put_u64(&w, "seen", m->count[IMPORT_SEEN]);
    json_put_u64(&w, "refused", m->count[IMPORT_REFUSED]);
    json_put_bool(&w, "complete", all && m->incomplete == 0 && m->texts > 0);
    json_end_object(&w);
    CLI_OUT(t.buf, "\n");
}

int import_run(const struct cli_args *a)
{
    struct hub *hub = a->arg;
    struct import m = {0};
    int err = 0;

    log_init("nefia", LOG_LEVEL_WARN);
    hub_wire(hub, a->config, cli_report_stderr);
    m.socket = hub_socket(hub);
    if (!m.socket)
        return CLI_WRONG;
    if (a->operand_count == 0)
        err = import_file(&m, "-");
    for (unsigned i = 0; err == 0 && i < a->operand_count; i++)
        err = import_file(&m, a->operands[i]);
    if (err == 0 && m.texts == 0 && m.count[IMPORT_ACCEPTED] + m.count[IMPORT_UNSURE] + m.count[IMPORT_SEEN] + m.count[IMPORT_REFUSED] == 0) {
        CLI_ERR("nefia: import: there is no export in the text\n");
        return CLI_NO;
    }
    sum_up(&m, cli_option(a, "--json") != NULL, err == 0);
    return err == 0 && m.incomplete == 0 && m.count[IMPORT_REFUSED] == 0 ? CLI_FINE : CLI_NO;
}
