#include "nefia/beacon/console.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <termios.h>

#include "nefia/base/err.h"
#include "nefia/base/kconfig.h"
#include "nefia/crypto/mac.h"
#include "nefia/sys/child.h"
#include "nefia/sys/log.h"
#include "nefia/sys/log_ring.h"
#include "nefia/sys/random.h"

#define POOL_PROGRAM_BEACON
#include "nefia/base/pool.h"

enum {
    WORDS = 68,             /* of a command; as many as `emit` takes, and its name */
    EVENTS_MS = 5 * 1000,   /* longest silence of the daemon */
    WATCH_MS = 500,         /* how often `watch` looks */
    NONCE_BYTES = 16,
    DELAY_FIRST_MS = 250,   /* before the next challenge; doubled after each wrong answer, but for so many: */
    DELAY_DOUBLED = 5,
    REFUSED_MS = 10 * 1000, /* before init starts again what cannot work */
    LOG_TEXT = LOG_RING_SLOT + 32,
};

/** Why a session, or the wait for it, ended. */
enum ending { LEFT = -1, IDLE = -2, HUNG_UP = -3 };

struct console {
    struct beacon *beacon;
    struct cli_program program; /* of whose verbs some are commands; its configuration is the console's */
    struct console_edit *edit;  /* in pool_work, which the configuration is read through between two sessions */
    bool own;                   /* we opened the line */
    bool terminal;              /* standard input is one */
    unsigned wrong;             /* answers in a row, up to DELAY_DOUBLED */
    size_t input_len, input_at;
    uint8_t input[64];
};

static const struct console_settings *settings(const struct console *c)
{
    return &beacon_loaded(c->beacon)->console;
}

void console_ask(const struct beacon *b, const struct show_section *sections, const char *request)
{
    (void)beacon_ask(beacon_socket(b), sections, request, NULL, false, pool_work);
}

/* ---- the events ---- */

static const struct show_section event_sections[] = {
    {.record = "",
     .columns = "SEVERITY  |{severity}\n"
                "AGE     |[{~age_ms}]\n"
                "TIME              |{@time}\n"
                "TYPE                |{type}\n"
                "SEQ    |{seq}\n"
                "STATE              |{state}[{flash=true}, on flash]\n"
                "DATA|{data}\n"},
    {.text = NULL}};

static bool write_out(void *arg, const char *text, size_t len)
{
    (void)arg;
    return cli_write(STDOUT_FILENO, text, len) >= 0;
}

/** Without the daemon: those that are on flash, as it would show them. Return: negative: they cannot be read. */
static int events_in_file(struct beacon *b, struct show *s, char *record)
{
    const char *path = beacon_loaded(b)->spool_file;
    struct control_cursor cursor = {0};
    struct text out;
    bool held;
    int err = NEFIA_ENOTFOUND;

    if (path && path[0])
        err = spool_file_look(pool_spool_file, &b->pipeline.spool, path, (uint8_t *)pool_work,
                              FRAME_HEADER + SPOOL_FILE_HEAD + CONFIG_EVENT_BYTES, &held);
    else
        path = "no spool_file";
    CLI_OUT("What waits in memory cannot be seen; on flash, in ", path, ": ", err < 0 ? err_text(err) : "", "\n");
    do
        text_init(&out, record, CONFIG_CONTROL_LINE_BYTES);
    while (err >= 0 && beacon_events_produce(b, &cursor, &out) > 0 && (err = show_record(s, out.buf, out.len)) >= 0);
    return err;
}

/** Its buffers are not to be on the stack below what other commands call. */
__attribute__((noinline)) static void events(struct beacon *b)
{
    char *const record = (char *)pool_work + BEACON_ASK_TOKENS * sizeof(struct json_token);
    struct show s = {.sections = event_sections,
                     .tokens = (struct json_token *)pool_work,
                     .token_cap = BEACON_ASK_TOKENS,
                     .write = write_out};
    char buf[256];
    struct text why;

    text_init(&why, buf, sizeof buf);
    const int status = control_request(beacon_socket(b), "events", record, CONFIG_CONTROL_LINE_BYTES + 1, show_record, &s, EVENTS_MS, &why);
    if (why.len > 0)
        CLI_ERR(why.buf, "\n");
    if (status == CLI_FINE || (IS_ENABLED(CONFIG_SPOOL_FILE) && events_in_file(b, &s, record) >= 0))
        (void)show_end(&s);
}

/* ---- the log, read from its ring ---- */

/** Print the lines from *next on that are there now, not those that come meanwhile: there may be no end of them. What is overwritten
 * meanwhile is counted. Return: false: nobody reads. */
static bool put_log(int fd, uint32_t *next)
{
    const uint32_t end = log_ring_last(fd);
    char line[LOG_TEXT];
    struct text t;
    int err = 0;

    while (err >= 0 && *next <= end) {
        const uint32_t last = log_ring_last(fd);
        if (last - *next >= LOG_RING_LINES) {
            CLI_OUT("[", DEC(last - *next - LOG_RING_LINES + 1), " lines dropped: the line is too slow]\n");
            *next = last - LOG_RING_LINES + 1;
        }
        text_init(&t, line, sizeof line);
        (void)log_ring_read(fd, (*next)++, &t);
        err = cli_write(STDOUT_FILENO, t.buf, t.len);
    }
    return err >= 0;
}

/** The last lines or, to watch, what comes from now on: until a key, or for the time after which a session is idle. */
static void show_log(const struct console *c, bool watch)
{
    const char *socket = beacon_socket(c->beacon);
    const int fd = log_ring_look(socket);
    struct pollfd key = {.fd = STDIN_FILENO, .events = POLLIN};

    if (fd < 0) {
        CLI_OUT("no log beside ", socket, ": ", ERRNO(errno), "; it is kept in RAM (tmpfs) only\n");
        return;
    }
    const uint32_t last = log_ring_last(fd);
    uint32_t next = watch ? last + 1 : last < LOG_RING_LINES ? 1 : last - LOG_RING_LINES + 1;
    if (watch)
        CLI_OUT("any key ends it\n");
    for (uint32_t left = watch ? settings(c)->idle_ms / WATCH_MS : 1; put_log(fd, &next) && --left > 0 && poll(&key, 1, WATCH_MS) == 0;)
        continue;
    if (watch)
        console_tty_drop_input();
}

/* ---- commands ---- */

static void unknown(void)
{
    CLI_OUT("unknown command; `help` lists them\n");
}

/** Ask what is answered with a sentence, if it is that. */
static void ask_if(const struct console *c, const char *operand, const char *request)
{
    if (str_eq(operand, request))
        console_ask(c->beacon, beacon_sentence_sections, request);
    else
        unknown();
}

enum command { HELP, STATUS, SENSORS, EVENTS, LINK, NET, CONFIG, LOG, WATCH, EMIT, SPOOL, POLICY, VERSION, EXIT };
static const char commands[] = "help\0status\0sensors\0events\0link\0net\0config\0log\0watch\0emit\0spool\0policy\0version\0exit\0";

#define HELP_POLICY() "  policy   test COMMAND | capabilities\n"
#define HELP_SPOOL() "  spool    export: events for `nefia import` on the hub\n"
#define HELP_NONE() ""
static const char help[] =
    "  help     this list\n"
    "  status   what the daemon does\n"
    "  sensors  run each now\n"
    "  events   those that wait for the hub\n"
    "  link     [try]: the connection to the hub; try now\n"
    "  net      links, addresses, routes, each step to the hub\n"
    "  config   check | reload\n"
    "  log      the last lines\n"
    "  watch    the log, as it comes\n"
    "  emit     TYPE SEVERITY [KEY=VALUE...]\n"
    KCONFIG_CHOOSE(CONFIG_SPOOL_EXPORT, HELP_SPOOL, HELP_NONE)()
    KCONFIG_CHOOSE(CONFIG_BEACON_GUARD, HELP_POLICY, HELP_NONE)()
    "  version\n"
    "  exit     or ^D; ^C ends a command\n";

/** words: from the second on those of the command. Nobody asks for its exit status. */
static void run_command(const struct console *c, enum command command, const char **words, unsigned count)
{
    const char *const operand = count > 2 ? words[2] : "";

    switch (command) {
    case HELP:
        CLI_OUT(help);
        return;
    case EVENTS:
        events(c->beacon);
        return;
    case LINK:
        if (count == 2)
            console_ask(c->beacon, console_link_sections, "status");
        else
            ask_if(c, operand, "try");
        return;
    case NET:
        console_net(c->beacon);
        return;
    case LOG:
    case WATCH:
        show_log(c, command == WATCH);
        return;
    case CONFIG:
        if (!str_eq(operand, "check")) {
            ask_if(c, operand, "reload");
            return;
        }
        words++;
        count--;
        break;
    case SENSORS:
        words[1] = "once";
        break;
    case VERSION:
        words[1] = "--version";
        break;
    default:
        break;
    }
    /* As if the shell had been given them. */
    (void)cli_main(&c->program, (int)count, (char **)(uintptr_t)words, c->beacon);
}

/* ---- a line becomes a command ---- */

/** Split at blanks, but not between double quotes, which go. Return: the number of words, at most WORDS. */
static unsigned split(char *line, const char *words[WORDS])
{
    unsigned n = 0;
    char *to = line;
    bool quoted = false;

    for (bool within = false; *line; line++) {
        if (*line == ' ' && !quoted) {
            if (within)
                *to++ = '\0';
            within = false;
            continue;
        }
        if (!within && n == WORDS)
            return n;
        if (!within)
            words[n++] = to;
        within = true;
        if (*line == '"')
            quoted = !quoted;
        else
            *to++ = *line;
    }
    *to = '\0';
    return n;
}

/** In the command's own process. */
static _Noreturn void become(const struct console *c, enum command command, const char **words, unsigned count)
{
    signals_default();
    (void)prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (c->own)
        (void)dup2(STDOUT_FILENO, STDERR_FILENO);
    log_to_fd(STDERR_FILENO);
    run_command(c, command, words, count);
    _exit(CLI_FINE);
}

/** Run it in a process of its own, which ^C and a hang-up end. */
static void run(const struct console *c, enum command command, const char **words, unsigned count)
{
    console_tty_raw(true);
    const pid_t pid = _Fork();
    if (pid == 0)
        become(c, command, words, count);
    if (pid < 0)
        CLI_OUT("fork: ", ERRNO(errno), "\n");
    while (pid > 0 && waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        (void)kill(pid, SIGTERM); /* the line hung up: the kernel tells the session's leader only. `sensors` ends what it runs */
    console_tty_raw(false);
}

/* ---- a session ---- */

/** Next byte of the line. Return: 0..255; negative: an ending. */
static int next_byte(struct console *c)
{
    struct pollfd p = {.fd = STDIN_FILENO, .events = POLLIN};

    while (c->input_at == c->input_len) {
        const int ready = poll(&p, 1, (int)settings(c)->idle_ms);
        if (ready == 0)
            return IDLE;
        const ssize_t n = ready < 0 ? -1 : read(STDIN_FILENO, c->input, sizeof c->input);
        if (n < 0 && (errno == EINTR || errno == EAGAIN))
            continue;
        if (n <= 0)
            return n < 0 || c->terminal ? HUNG_UP : LEFT;
        c->input_at = 0;
        c->input_len = (size_t)n;
    }
    return c->input[c->input_at++];
}

/** Read a line into c->edit, after its prompt. Return: 0; negative: an ending. */
static int read_line(struct console *c)
{
    char echo[CONSOLE_ECHO];
    struct text t;

    text_init(&t, echo, sizeof echo);
    console_edit_next(c->edit, &t);
    for (enum console_event event = CONSOLE_MORE;;) {
        if (t.len > 0 && cli_write(STDOUT_FILENO, t.buf, t.len) < 0)
            return HUNG_UP;
        if (event != CONSOLE_MORE)
            return event == CONSOLE_ENTER ? 0 : LEFT;
        const int byte = next_byte(c);
        if (byte < 0)
            return byte;
        text_reset(&t);
        event = console_edit_feed(c->edit, (uint8_t)byte, &t);
    }
}

static void begin_edit(struct console *c, const char *prompt, bool blind)
{
    c->edit = (struct console_edit *)pool_work;
    *c->edit = (struct console_edit){.prompt = prompt, .blind = blind};
}

/** Return: 0, or LEFT. */
static int obey(const struct console *c)
{
    char line[CONSOLE_LINE + 1];
    const char *words[1 + WORDS];

    memcpy(line, c->edit->line, sizeof line);
    const unsigned count = split(line, words + 1);
    if (count == 0)
        return 0;
    const int command = word_index(commands, (struct slice){words[1], strlen(words[1])});
    if (command == EXIT)
        return LEFT;
    if (command < 0)
        unknown();
    else
        run(c, (enum command)command, words, 1 + count);
    return 0;
}

static enum ending session(struct console *c)
{
    const char *host = beacon_loaded(c->beacon)->host_id;
    int why;

    mac_key_wipe(&c->beacon->next_key); /* it was for the challenge */
    CLI_OUT("nefia-beacon ", cli_version(), " on ", host ? host : "?", "; `help` lists the commands\n");
    begin_edit(c, c->terminal ? "nefia> " : "", !c->terminal);
    do
        why = read_line(c);
    while (why == 0 && (why = obey(c)) == 0);
    return (enum ending)why;
}

/* ---- the challenge ---- */

/** What comes meanwhile is dropped by the kernel, and not read. */
static void pause_for(struct console *c, uint32_t ms)
{
    (void)poll(NULL, 0, (int)ms);
    console_tty_drop_input();
    c->input_at = c->input_len = 0;
}

/** One question and its answer. Return: 1: right; 0: wrong, or none; negative: an ending. */
static int challenge(struct console *c)
{
    static const char name[] = "nefia console";
    char asked[sizeof name + 2 * NONCE_BYTES + 1]; /* the name, its NUL, the challenge in hex */
    uint8_t nonce[NONCE_BYTES];
    struct text t;

    if (random_bytes(nonce, sizeof nonce) < 0)
        return 0; /* the kernel's generator is not seeded yet */
    memcpy(asked, name, sizeof name);
    text_init(&t, asked + sizeof name, sizeof asked - sizeof name);
    text_hex(&t, nonce, sizeof nonce);
    CLI_OUT("\n", asked, ", challenge ", t.buf, "\n");
    begin_edit(c, "answer: ", true);
    const int why = read_line(c);
    if (why < 0)
        return why;
    CLI_OUT("\n");
    if (mac_verify_hex(&c->beacon->next_key, asked, sizeof asked - 1, c->edit->line, c->edit->len) == 0)
        return 1;
    if (c->edit->len > 0) { /* else somebody wants to see the question */
        LOG_WARN("console: wrong answer to the challenge");
        c->wrong += c->wrong < DELAY_DOUBLED;
    }
    return 0;
}

/** Return: 0; HUNG_UP. */
static int admit(struct console *c)
{
    int result;

    while ((result = challenge(c)) <= 0 && result != HUNG_UP)
        pause_for(c, (uint32_t)DELAY_FIRST_MS << c->wrong);
    if (result == HUNG_UP)
        return result;
    c->wrong = 0;
    return 0;
}

/* ---- the program ---- */

static void ignore_report(void *arg, const char *message)
{
    (void)arg;
    (void)message;
}

/** The configuration as it is now, however much of it can be read: somebody may have come to repair it. */
static void load(struct console *c)
{
    struct beacon *b = c->beacon;

    mac_key_wipe(&b->next_key);
    beacon_wire(b, c->program.config, ignore_report);
    b->settings[!b->current] = (struct beacon_settings){.console = {.key_required = true, .idle_ms = CONSOLE_IDLE_MS}};
    if (beacon_load(b, BEACON_NEEDS_KEY) < 0)
        CLI_OUT(c->program.config, " is missing or has errors: `config check` says which\n");
}

/** Its arrival interrupts the wait for a command. */
static void on_hang_up(int signo)
{
    (void)signo;
}

static void set_signals(void)
{
    /* ^C ends a command. */
    static const uint8_t ignored[] = {SIGINT, SIGQUIT, SIGTTOU, SIGPIPE};
    const struct sigaction ignore = {.sa_handler = SIG_IGN}, interrupt = {.sa_handler = on_hang_up};

    signals_default();
    for (size_t i = 0; i < sizeof ignored; i++)
        sigaction(ignored[i], &ignore, NULL);
    sigaction(SIGHUP, &interrupt, NULL);
}

/** A session on the line that we opened, after the challenge. */
static enum ending own_session(struct console *c)
{
    const bool asks = settings(c)->key_required;

    if (asks && !c->beacon->next_key.set) {
        static const char why[] = "console: no key to ask for" REMEDY(": set beacons.hmac_key_file, or console: {key_required: false}");
        LOG_ERROR(why);
        CLI_OUT("\n", why, "\n");
        pause_for(c, REFUSED_MS);
        return HUNG_UP;
    }
    if (asks && admit(c) < 0)
        return HUNG_UP;
    LOG_INFO("console: session begins");
    return session(c);
}

static void report_end(const struct console *c, enum ending why)
{
    if (!c->own && why == HUNG_UP)
        log_to_syslog(); /* standard error is that line */
    if (c->own || why == HUNG_UP)
        LOG_INFO("console: session ended: ", why == HUNG_UP ? "the line hung up" : why == IDLE ? "idle" : "left");
    if (why == IDLE)
        CLI_OUT("\nidle for too long\n");
}

int console_run(struct beacon *b, const struct cli_args *a, const struct cli_program *program)
{
    struct console c = {.beacon = b, .program = *program};
    struct termios before;
    enum ending why;

    if (cli_log(a, program->name) != CLI_FINE)
        return CLI_WRONG;
    c.program.config = a->config;
    c.program.config_fixed = true; /* the daemon's */
    c.terminal = console_tty_save(&before);
    const bool restore = c.terminal;
    load(&c);
    set_signals();
    const char *tty = settings(&c)->tty;
    if (a->operand_count)
        tty = a->operands[0];
    else if (tty && c.terminal && !console_tty_is(tty))
        tty = NULL;
    if (tty && console_tty_open(tty) != 0)
        return CLI_NO;
    c.own = tty;
    c.terminal |= c.own;
    for (;;) {
        console_tty_raw(false);
        why = c.own ? own_session(&c) : session(&c);
        report_end(&c, why);
        if (!c.own || why == HUNG_UP)
            break;
        load(&c);
    }
    if (restore && !c.own)
        console_tty_restore(&before);
    log_flush();
    return why == HUNG_UP ? CLI_NO : CLI_FINE;
}
