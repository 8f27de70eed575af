#include "nefia/beacon/console.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <termios.h>

#include "nefia/base/err.h"
#include "nefia/base/kconfig.h"
#include "nefia/base/wipe.h"
#include "nefia/sys/child.h"
#include "nefia/sys/log.h"
#include "nefia/sys/log_ring.h"
#include "nefia/sys/random.h"

#define POOL_PROGRAM_BEACON
#include "nefia/base/pool.h"

enum {
    WORDS = 68,      /* of a command; as many as `emit` takes, and its name */
    WATCH_MS = 500,  /* how often `watch` looks */
    REFUSED_MS = 10 * 1000, /* before init starts again what cannot work */
    LOG_TEXT = LOG_RING_SLOT + 32,
};

/** Why a session, or the wait for it, ended. */
enum ending { LEFT, IDLE, HUNG_UP };

struct console {
    struct console_command_args command;
    struct console_edit *edit; /* in pool_work, which the configuration is read through between two sessions */
    struct mac_key key;
    bool own;      /* we opened the line */
    bool terminal; /* standard input is one */
    unsigned wrong; /* answers in a row */
    uint8_t input[64];
    size_t input_len, input_at;
    char socket[sizeof((struct control_server *)0)->path];
};

/* ---- commands that the daemon answers ---- */

static int ask(const struct console_command_args *a, const struct show_section *sections, const char *request, const char *measure)
{
    return beacon_ask(a->socket, sections, request, measure, false, pool_work);
}

static const char *operand(const struct console_command_args *a)
{
    return a->operand_count ? a->operands[0] : "";
}

static int wrong_operand(const char *usage)
{
    CLI_ERR("usage: ", usage, "\n");
    return CLI_WRONG;
}

static const struct show_section link_sections[] = {
    {.record = "version",
     .text = "<uplink>Hub\t{hub}[, {address}]\n"
             "State\t{state} for {~since_ms}[{state=waiting}, next try in {~next_try_ms}]\n"
             "Delivery\t{delivery}, signed: {signed}\n"
             "Delivered\t{delivered} events in {connects} connections\n"
             "Failures\t{failures}[, the last {~failure_ms_ago} ago: {failure}]\n"},
    {.text = NULL}};

static int link_command(const struct console_command_args *a)
{
    if (str_eq(operand(a), "try"))
        return ask(a, beacon_sentence_sections, "try", NULL);
    return a->operand_count ? wrong_operand("link [try]") : ask(a, link_sections, "status", NULL);
}

static const struct show_section event_sections[] = {
    {.record = "",
     .columns = "SEVERITY  |{severity}\n"
                "AGE  |[{~age_ms}]\n"
                "TIME  |{@time}\n"
                "TYPE  |{type}\n"
                "SEQ  |{seq}\n"
                "STATE  |{state}[{flash=true}, on flash]\n"
                "DATA|{data}\n"},
    {.text = NULL}};

static bool write_out(void *arg, const char *text, size_t len)
{
    (void)arg;
    return cli_write(STDOUT_FILENO, text, len) >= 0;
}

/** What the daemon would say, of the spool here. */
static void show_events(struct beacon *b, struct show *s)
{
    char *const record = (char *)pool_work + BEACON_ASK_TOKENS * sizeof(struct json_token);
    struct control_cursor cursor = {0};
    struct text out;

    text_init(&out, record, CONFIG_CONTROL_LINE_BYTES);
    int more = show_begin(s);
    while (more >= 0 && beacon_events_produce(b, &cursor, &out) > 0) {
        more = show_record(s, out.buf, out.len);
        text_reset(&out);
    }
    if (more >= 0)
        (void)show_end(s);
}

/** Without the daemon: those that are on flash. */
static int events_in_file(struct beacon *b)
{
    const char *path = beacon_loaded(b)->spool_file;
    struct show s = {.sections = event_sections,
                     .tokens = (struct json_token *)pool_work,
                     .token_cap = BEACON_ASK_TOKENS,
                     .form = SHOW_MEASURE,
                     .write = write_out};
    bool held;

    if (!path || !path[0]) {
        CLI_OUT("What waits in memory cannot be seen, and there is no spool_file.\n");
        return CLI_NO;
    }
    const int err = spool_file_look(pool_spool_file, &b->pipeline.spool, path, (uint8_t *)pool_work,
                                    FRAME_HEADER + SPOOL_FILE_HEAD + CONFIG_EVENT_BYTES, &held);
    if (err < 0) {
        CLI_OUT(path, ": ", ERRNO(errno), "\n");
        return CLI_NO;
    }
    CLI_OUT("What waits in memory cannot be seen; on flash, in ", path, ":\n");
    show_events(b, &s);
    s.form = SHOW_TEXT;
    show_events(b, &s);
    return CLI_NO;
}

static int events_command(const struct console_command_args *a)
{
    const int status = ask(a, event_sections, "events", "events");

    if (status == CLI_FINE || !IS_ENABLED(CONFIG_SPOOL_FILE))
        return status;
    return events_in_file(a->beacon);
}

/* ---- the log, read from its ring ---- */

/** Print lines from *next on; those that are overwritten meanwhile are counted. Return: false: nobody reads. */
static bool put_log(int fd, uint64_t *next)
{
    char line[LOG_TEXT];
    struct text t;
    int err = 0;

    for (uint64_t last; err >= 0 && *next <= (last = log_ring_last(fd));) {
        text_init(&t, line, sizeof line);
        if (last - *next >= LOG_RING_LINES) {
            text_char(&t, '[');
            text_u64(&t, last - *next - LOG_RING_LINES + 1);
            text_str(&t, " lines dropped: the line is too slow]\n");
            *next = last - LOG_RING_LINES + 1;
        } else {
            (void)log_ring_read(fd, (*next)++, &t);
        }
        err = cli_write(STDOUT_FILENO, t.buf, t.len);
    }
    return err >= 0;
}

static int open_log(const struct console_command_args *a)
{
    const int fd = log_ring_look(a->socket);

    if (fd < 0)
        CLI_OUT("no log beside ", a->socket, ": ", ERRNO(errno), "; it is kept in RAM (tmpfs) only\n");
    return fd;
}

static int log_command(const struct console_command_args *a)
{
    uint64_t lines = LOG_RING_LINES;
    const int fd = open_log(a);

    if (fd < 0)
        return CLI_NO;
    if (a->operand_count && (parse_u64(operand(a), strlen(operand(a)), &lines) < 0 || lines > LOG_RING_LINES))
        return wrong_operand("log [LINES]; up to " LITERAL(LOG_RING_LINES));
    const uint64_t last = log_ring_last(fd);
    uint64_t next = last < lines ? 1 : last - lines + 1;
    return put_log(fd, &next) ? CLI_FINE : CLI_NO;
}

/** Return: > 0: a key; 0: none within ms; negative: the line hung up. */
static int key_within(int ms)
{
    struct pollfd p = {.fd = STDIN_FILENO, .events = POLLIN};
    char bytes[64];

    if (poll(&p, 1, ms) <= 0)
        return 0;
    return read(STDIN_FILENO, bytes, sizeof bytes) > 0 ? 1 : -1;
}

static int watch_command(const struct console_command_args *a)
{
    const int fd = open_log(a);
    uint64_t next = fd < 0 ? 0 : log_ring_last(fd) + 1;
    int key = 0;

    if (fd < 0)
        return CLI_NO;
    CLI_OUT("Events and log lines as they come; any key ends it.\n");
    for (uint64_t left = a->idle_ms / WATCH_MS; left > 0 && key == 0; left--) {
        if (!put_log(fd, &next))
            return CLI_NO;
        key = key_within(WATCH_MS);
    }
    return CLI_FINE;
}

/* ---- commands that are verbs of the command line ---- */

/** As if the shell had been given `nefia-beacon VERB OPERAND… -c FILE`. */
static int run_verb(const struct console_command_args *a, const char *verb)
{
    const char *words[WORDS + 5] = {a->program->name, verb};
    unsigned n = 2, i = 0;

    for (; i < a->operand_count && !str_eq(a->operands[i], "--"); i++) {
        if (str_eq(a->operands[i], "-c"))
            return wrong_operand("a command of the console has no -c: its configuration is the daemon's");
        words[n++] = a->operands[i];
    }
    words[n++] = "-c";
    words[n++] = a->config;
    for (; i < a->operand_count; i++) /* what follows is no option */
        words[n++] = a->operands[i];
    return cli_main(a->program, (int)n, (char **)(uintptr_t)words, a->beacon);
}

static int config_command(const struct console_command_args *a)
{
    struct console_command_args rest = *a;

    rest.operand_count = 0;
    if (str_eq(operand(a), "check"))
        return run_verb(&rest, "check");
    if (str_eq(operand(a), "reload"))
        return ask(a, beacon_sentence_sections, "reload", NULL);
    return wrong_operand("config check|reload");
}

static int help_command(const struct console_command_args *a);

struct console_command {
    const char *name; /* what behind it follows, after a NUL, is its line of help */
    const char *verb; /* of the command line; null: run */
    int (*run)(const struct console_command_args *a);
};

#define POLICY_COMMAND() {"policy\0     test COMMAND | capabilities: what may be done here\n", "policy", NULL},
#define SPOOL_COMMAND() {"spool\0      export: the events as text, for nefia import on the hub\n", "spool", NULL},
#define NO_COMMAND()

static const struct console_command commands[] = {
    {"help\0       this list\n", NULL, help_command},
    {"status\0     what the daemon does\n", "status", NULL},
    {"sensors\0    run each sensor now and show what it finds; ^C ends it\n", "once", NULL},
    {"events\0     those that wait for the hub, with age and severity\n", NULL, events_command},
    {"link\0       [try]: the connection to the hub; try now\n", NULL, link_command},
    {"net\0        links, addresses, routes, and each step to the hub\n", NULL, console_net},
    {"config\0     check | reload\n", NULL, config_command},
    {"log\0        [LINES]: the last lines\n", NULL, log_command},
    {"watch\0      events and log lines as they come, until a key\n", NULL, watch_command},
    {"emit\0       TYPE SEVERITY [KEY=VALUE...]: send an event\n", "emit", NULL},
    KCONFIG_CHOOSE(CONFIG_SPOOL_EXPORT, SPOOL_COMMAND, NO_COMMAND)()
    KCONFIG_CHOOSE(CONFIG_BEACON_GUARD, POLICY_COMMAND, NO_COMMAND)()
    {"version\0    of this program\n", "--version", NULL},
    {"exit\0       end this session, as ^D\n", NULL, NULL},
};

static int help_command(const struct console_command_args *a)
{
    (void)a;
    for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
        CLI_OUT("  ", commands[i].name, commands[i].name + strlen(commands[i].name) + 1);
    return CLI_FINE;
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

static const struct console_command *find(const char *name)
{
    for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
        if (str_eq(commands[i].name, name))
            return &commands[i];
    return NULL;
}

/** In the command's own process. */
static _Noreturn void become(const struct console *c, const struct console_command *command, const struct console_command_args *a)
{
    signals_default();
    (void)prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (c->own)
        (void)dup2(STDOUT_FILENO, STDERR_FILENO);
    log_to_fd(STDERR_FILENO);
    _exit(command->verb ? run_verb(a, command->verb) : command->run(a));
}

/** Return: false: the line hung up. */
static bool wait_for(const struct console *c, pid_t pid, int ended)
{
    struct pollfd p[2] = {{.fd = ended}, {.fd = c->terminal ? STDIN_FILENO : -1}};

    while (poll(p, 2, -1) < 0 && errno == EINTR)
        continue;
    if (!p[0].revents)
        (void)kill(pid, SIGKILL); /* it may be writing to a line that is gone */
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        continue;
    return p[0].revents;
}

/** Return: false: the line hung up. */
static bool run(const struct console *c, const struct console_command *command, const struct console_command_args *a)
{
    int ends[2];

    if (pipe2(ends, O_CLOEXEC) < 0) {
        CLI_OUT("pipe: ", ERRNO(errno), "\n");
        return true;
    }
    console_tty_raw(true);
    const pid_t pid = _Fork();
    if (pid == 0)
        become(c, command, a);
    close(ends[1]);
    if (pid < 0)
        CLI_OUT("fork: ", ERRNO(errno), "\n");
    const bool there = pid < 0 || wait_for(c, pid, ends[0]);
    close(ends[0]);
    console_tty_raw(false);
    return there;
}

/* ---- a session ---- */

/** Next byte of the line, within ms. Return: 0..255; negative: -1 - why. */
static int next_byte(struct console *c, uint64_t ms)
{
    struct pollfd p = {.fd = STDIN_FILENO, .events = POLLIN};

    while (c->input_at == c->input_len) {
        const int ready = poll(&p, 1, (int)ms);
        if (ready == 0)
            return -1 - IDLE;
        const ssize_t n = ready < 0 ? -1 : read(STDIN_FILENO, c->input, sizeof c->input);
        if (n < 0 && (errno == EINTR || errno == EAGAIN))
            continue;
        if (n <= 0)
            return -1 - (n < 0 || c->terminal ? HUNG_UP : LEFT);
        c->input_at = 0;
        c->input_len = (size_t)n;
    }
    return c->input[c->input_at++];
}

/** Read a line into c->edit. Return: 0; negative: -1 - why. */
static int read_line(struct console *c, uint64_t ms)
{
    char echo[CONSOLE_ECHO];
    struct text t;

    text_init(&t, echo, sizeof echo);
    console_edit_next(c->edit, &t);
    for (enum console_event event = CONSOLE_MORE;;) {
        if (t.len > 0 && cli_write(STDOUT_FILENO, t.buf, t.len) < 0)
            return -1 - HUNG_UP;
        if (event != CONSOLE_MORE)
            return event == CONSOLE_ENTER ? 0 : -1 - LEFT;
        const int byte = next_byte(c, ms);
        if (byte < 0)
            return byte;
        text_reset(&t);
        event = console_edit_feed(c->edit, (uint8_t)byte, &t);
    }
}

/** Return: false: the line hung up, or (left is set) the session is over. */
static bool obey(const struct console *c, bool *left)
{
    char line[CONSOLE_LINE + 1];
    const char *words[WORDS];

    memcpy(line, c->edit->line, sizeof line);
    const unsigned n = split(line, words);
    if (n == 0)
        return true;
    const struct console_command *command = find(words[0]);
    if (!command) {
        CLI_OUT("unknown command; `help` lists them\n");
        return true;
    }
    struct console_command_args a = c->command;
    a.operands = words + 1;
    a.operand_count = n - 1;
    *left = !command->run && !command->verb;
    return !*left && run(c, command, &a);
}

static void begin_edit(struct console *c, const char *prompt, bool blind)
{
    c->edit = (struct console_edit *)pool_work;
    *c->edit = (struct console_edit){.prompt = prompt, .blind = blind};
}

static enum ending session(struct console *c)
{
    bool left = false;
    int why;

    mac_key_wipe(&c->key); /* it was for the challenge */
    CLI_OUT("nefia-beacon ", cli_version(), " on ", beacon_loaded(c->command.beacon)->host_id ? beacon_loaded(c->command.beacon)->host_id : "?",
            "; `help` lists the commands\n");
    begin_edit(c, c->terminal ? "nefia> " : "", !c->terminal);
    while ((why = read_line(c, c->command.idle_ms)) == 0)
        if (!obey(c, &left))
            return left ? LEFT : HUNG_UP;
    return (enum ending)(-1 - why);
}

/* ---- the challenge ---- */

/** What comes meanwhile is dropped by the kernel, and not read. */
static void pause_for(struct console *c, uint32_t ms)
{
    struct pollfd none = {.fd = -1};

    (void)poll(&none, 1, (int)ms);
    console_tty_drop_input();
    c->input_at = c->input_len = 0;
}

/** One question and its answer. Return: 1: right; 0: wrong, or none; negative: -1 - why. */
static int challenge(struct console *c)
{
    uint8_t nonce[CONSOLE_NONCE_HEX / 2];
    char hex[CONSOLE_NONCE_HEX + 1], text[MAC_HEX];
    struct text t;

    if (random_bytes(nonce, sizeof nonce) < 0)
        random_wait(1000);
    if (random_bytes(nonce, sizeof nonce) < 0)
        return 0;
    text_init(&t, hex, sizeof hex);
    text_hex(&t, nonce, sizeof nonce);
    begin_edit(c, "answer: ", true);
    CLI_OUT("\nnefia console, challenge ", hex, "\n");
    const int why = read_line(c, c->command.idle_ms);
    if (why < 0)
        return why;
    CLI_OUT("\n");
    console_answer(&c->key, hex, text);
    unsigned differ = c->edit->len != MAC_HEX;
    for (size_t i = 0; i < MAC_HEX; i++)
        differ |= (unsigned char)(text[i] ^ c->edit->line[i]);
    if (differ && c->edit->len == 0)
        return 0; /* somebody wants to see the question */
    if (differ) {
        LOG_WARN("console: wrong answer to the challenge");
        c->wrong++;
    }
    return !differ;
}

static int admit(struct console *c)
{
    int result;

    while ((result = challenge(c)) <= 0) {
        if (result == -1 - HUNG_UP)
            return result;
        pause_for(c, console_delay_ms(c->wrong));
    }
    c->wrong = 0;
    return result;
}

/* ---- the program ---- */

const struct cli_option console_options[] = {
    CLI_LOG_OPTIONS,
    {.name = NULL}};

static void ignore_report(void *arg, const char *message)
{
    (void)arg;
    (void)message;
}

/** The configuration as it is now, however much of it can be read: somebody may have come to repair it. */
static const struct console_settings *load(struct console *c)
{
    struct beacon *b = c->command.beacon;
    struct beacon_settings *s;
    struct text t;

    mac_key_wipe(&b->next_key);
    beacon_wire(b, c->command.config, ignore_report);
    s = &b->settings[!b->current];
    *s = (struct beacon_settings){.console = {.key_required = true, .idle_ms = CONSOLE_IDLE_MS}};
    if (beacon_load(b, BEACON_NEEDS_KEY) < 0)
        CLI_OUT(c->command.config, " is missing or has errors: `config check` says which\n");
    c->key = b->next_key;
    mac_key_wipe(&b->next_key);
    text_init(&t, c->socket, sizeof c->socket);
    text_str(&t, s->control_socket ? s->control_socket : BEACON_CONTROL_SOCKET);
    c->command.socket = c->socket;
    c->command.idle_ms = s->console.idle_ms;
    return &s->console;
}

static void ignore_signals(void)
{
    const struct sigaction ignore = {.sa_handler = SIG_IGN};

    signals_default();
    /* A hang-up is seen on the line, and logged; ^C ends a command. */
    sigaction(SIGHUP, &ignore, NULL);
    sigaction(SIGINT, &ignore, NULL);
    sigaction(SIGQUIT, &ignore, NULL);
    sigaction(SIGTTOU, &ignore, NULL);
    sigaction(SIGPIPE, &ignore, NULL);
}

/** A session on the line that we opened, after the challenge. */
static enum ending own_session(struct console *c, const struct console_settings *s)
{
    if (s->key_required && !c->key.set) {
        static const char why[] = "console: no key to ask for: set beacons.hmac_key_file, or console: {key_required: false}";
        LOG_ERROR(why);
        CLI_OUT("\n", why, "\n");
        pause_for(c, REFUSED_MS);
        return HUNG_UP;
    }
    if (s->key_required && admit(c) < 0)
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
        CLI_OUT("\nidle for too long; the session ends\n");
}

int console_run(struct beacon *b, const struct cli_args *a, const struct cli_program *program)
{
    struct console c = {.command = {.beacon = b, .program = program, .config = a->config}, .terminal = isatty(STDIN_FILENO)};
    struct termios before;
    const bool restore = console_tty_save(&before);
    enum ending why;

    if (cli_log(a, program->name) != CLI_FINE)
        return CLI_WRONG;
    const struct console_settings *s = load(&c);
    ignore_signals();
    const char *tty = a->operand_count ? a->operands[0] : s->tty && (!c.terminal || console_tty_is(s->tty)) ? s->tty : NULL;
    c.own = tty;
    if (tty && console_tty_open(tty) != 0)
        return CLI_NO;
    c.terminal |= c.own;
    do {
        console_tty_raw(false);
        why = c.own ? own_session(&c, s) : session(&c);
        report_end(&c, why);
        if (c.own && why != HUNG_UP)
            s = load(&c);
    } while (c.own && why != HUNG_UP);
    wipe(pool_work, sizeof *c.edit);
    if (restore && !c.own)
        console_tty_restore(&before);
    log_flush();
    return why == HUNG_UP ? CLI_NO : CLI_FINE;
}
