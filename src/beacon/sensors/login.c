#include <string.h>
#include <unistd.h>

#include "nefia/base/err.h"
#include "nefia/beacon/sensor.h"
#include "nefia/net/addr.h"
#include "nefia/sys/clock.h"

/* login: who logged in, and who tried, as the system log says it. Whoever tries chooses the user name in
 * these lines, and may put there whatever looks like the rest of such a line. So the program is the first
 * word that ends with a colon, and its message is taken apart from the end where the name may be anything,
 * and from the beginning where it is that of an account. */
enum { ARGS = 7, SOURCES = 16, PENDING = 8, USER_BYTES = 100 };

/** An address from which logins failed. */
struct source {
    uint32_t key; /* hash of the address; IPv6: of its /64, of which one host has all */
    unsigned count;
    uint64_t since_ms;
};

/** What a reload keeps. */
struct seen {
    struct source sources[SOURCES];
    uint32_t pending[PENDING]; /* dropbear's processes that have yet to say from where: hashes, newest first */
};

struct login {
    struct sensor_common common;
    const char *log;
    int64_t failures;
    uint64_t window_ms;
    struct seen seen;
    struct followed_file file;
    const char *argv[ARGS + 1];
};

/* ---- the log ---- */

/* What prints new lines of it, and how it is called in the configuration. A file we read ourselves. */
enum { LOGREAD, JOURNALD, A_FILE };
static const char names[] = "logread\0journald\0";
static const char *const commands[] = {
    [LOGREAD] = "/sbin/logread\0-f\0",
    [JOURNALD] = "/usr/bin/journalctl\0-fn0\0-oshort\0-tsshd\0-tsshd-session\0-tdropbear\0",
    [A_FILE] = "\0",
};
static const char places[] = "/sbin/logread\0/run/systemd/journal\0/var/log/auth.log\0/var/log/messages\0";

#define MEMBER(name) FIELD_AT(struct login, name)
static const struct field login_fields[] = {
    {.name = "log",
     .type = FIELD_STRING,
     MEMBER(log),
     .min = 1,
     .max = WATCHED_PATH_BYTES - 1,
     FIELD_NOTE("logread, journald or a file; default: the first that is there")},
    {FIELD_DEFAULT("failures", "10"),
     .type = FIELD_INT,
     MEMBER(failures),
     .min = 2,
     .max = 10000,
     FIELD_NOTE("failed logins from one address that are critical")},
    {FIELD_DEFAULT("window", "10m"),
     .type = FIELD_DURATION,
     MEMBER(window_ms),
     .min = 1000,
     FIELD_NOTE("time within which they are counted")},
    {.name = NULL},
};

static int log_index(const struct login *l)
{
    return word_index(names, (struct slice){l->log, strlen(l->log)});
}

static int login_open(void *state, struct config *c, const struct node *n, const char *where)
{
    const struct login *l = state;

    if (!l->log || l->log[0] == '/' || log_index(l) >= 0)
        return 0;
    config_error(c, node_child(c, n, "log"), where, "log must be logread, journald or a path", NULL);
    return NEFIA_EINVAL;
}

static void login_line(void *state, struct emitter *e, const char *line, size_t len);

static int login_start(void *state, struct emitter *self, void *before)
{
    struct login *l = state, *old = before;
    const char *file = l->log;
    unsigned n = 0;
    int index = A_FILE;

    if (old)
        l->seen = old->seen;
    for (const char *at = places; !l->log && *at; at = word_at(at, 1), n++)
        if (access(at, F_OK) == 0) {
            file = at;
            index = n < A_FILE ? (int)n : A_FILE;
            break;
        }
    if (!file)
        return emitter_not_measured(self, NULL, "no system log found");
    if (l->log && l->log[0] != '/')
        index = log_index(l);
    n = 0;
    const char *word = commands[index];
    do
        l->argv[n++] = word;
    while (*(word = word_at(word, 1)));
    l->argv[n] = index == A_FILE ? file : NULL;
    const int err = emitter_follow(self, l->argv, login_line);
    return err == 0 && index == A_FILE ? followed_file_start(&l->file, self, file, old ? &old->file : NULL) : err;
}

static int login_poll(void *state, struct emitter *out, uint64_t now_ms)
{
    struct login *l = state;

    (void)now_ms;
    return l->file.inotify ? followed_file_look(&l->file, out) : 0;
}

static void login_ready(void *state, struct emitter *out, int fd, short events)
{
    struct login *l = state;

    (void)fd;
    (void)events;
    followed_file_ready(&l->file, out);
}

static void login_stop(void *state)
{
    struct login *l = state;

    followed_file_close(&l->file);
}

/* ---- lines ---- */

static bool skip(struct slice *s, const char *what)
{
    const size_t len = strlen(what);

    if (s->len < len || memcmp(s->ptr, what, len) != 0)
        return false;
    s->ptr += len;
    s->len -= len;
    return true;
}

/** The word at the beginning, and the blank behind it. */
static struct slice first_word(struct slice *s)
{
    const char *blank = memchr(s->ptr, ' ', s->len);
    const struct slice word = {s->ptr, blank ? (size_t)(blank - s->ptr) : s->len};

    s->ptr += word.len + (blank != NULL);
    s->len -= word.len + (blank != NULL);
    return word;
}

/** What is behind the last `c`, and *s what is before it. */
static struct slice behind_last(struct slice *s, char c)
{
    const char *at = memrchr(s->ptr, c, s->len);
    const size_t before = at ? (size_t)(at - s->ptr) : 0;
    const struct slice behind = {s->ptr + before + (at != NULL), s->len - before - (at != NULL)};

    s->len = before;
    return behind;
}

/** Cut at the first of these characters. */
static void cut_at(struct slice *s, const char *characters)
{
    size_t n = 0;

    while (n < s->len && !strchr(characters, s->ptr[n]))
        n++;
    s->len = n;
}

enum { SSHD, DROPBEAR, UHTTPD, LUCI };
static const char programs[] = "sshd\0dropbear\0uhttpd\0luci\0";

/** "Nov 26 05:00:00 gw sshd[42]: message": which program, and *s its message. LuCI's are the web
 * server's: "uhttpd[42]: [info] luci: message". *process: a hash of "sshd[42]:". Return: NEFIA_EINVAL: none
 * of them. */
static int split_program(struct slice *s, uint32_t *process)
{
    struct slice tag = {0};

    if (s->len > 0 && s->ptr[0] == ' ') /* journalctl: the line before goes on */
        return NEFIA_EINVAL;
    while (s->len > 0 && (tag.len == 0 || tag.ptr[tag.len - 1] != ':'))
        tag = first_word(s);
    *process = hash_bytes(HASH_START, tag.ptr, tag.len);
    cut_at(&tag, "[:-"); /* sshd-session */
    int program = word_index(programs, tag);
    if (program != UHTTPD)
        return program;
    if (skip(s, "["))
        first_word(s);
    return skip(s, "luci: ") ? LUCI : NEFIA_EINVAL;
}

enum method { UNKNOWN, PASSWORD, PUBLICKEY, NAMED, EXIT };
static const char methods[] = "password\0publickey\0";

/** How the messages begin. sshd: NAMED: the method comes next, and the user is an account; that a user is
 * invalid it says once for each connection, and "Failed … for invalid user" besides for each try. dropbear:
 * newer ones say only at the end from where a user came who does not exist. LuCI: its dispatcher. */
static const char begins[] = "Accepted \0Failed \0Invalid user \0"
                             "Password auth succeeded for '\0"
                             "Pubkey auth succeeded for '\0Auth succeeded with blank password for '\0"
                             "Bad password attempt for '\0"
                             "Login attempt for nonexistent user\0Exit before auth from <\0"
                             "accepted login on \0failed login on \0";
static const struct {
    uint8_t program;
    bool failed;
    uint8_t method;
} meanings[] = {
    {SSHD, false, NAMED},        {SSHD, true, NAMED},         {SSHD, true, UNKNOWN},
    {DROPBEAR, false, PASSWORD}, {DROPBEAR, false, PUBLICKEY}, {DROPBEAR, false, PASSWORD},
    {DROPBEAR, true, PASSWORD},  {DROPBEAR, true, UNKNOWN},   {DROPBEAR, true, EXIT},
    {LUCI, false, PASSWORD},     {LUCI, true, PASSWORD},
};

struct attempt {
    unsigned program;
    bool failed;
    struct slice method, user;
    struct addr address;
};

static bool parse_address(struct attempt *a, struct slice s)
{
    if (a->program == DROPBEAR) { /* with the port, and without brackets in IPv6, too */
        struct slice host = s;
        behind_last(&host, ':');
        s = host;
    }
    const bool fine = addr_parse(&a->address, s.ptr, s.len, 1, NULL) == 0;
    a->address.port = 0;
    return fine;
}

/** "password for USER from ADDRESS port …": what follows may be of the attacker's key. */
static bool parse_named(struct attempt *a, struct slice s)
{
    a->method = first_word(&s);
    if (!skip(&s, "for ") || (a->failed && slice_eq(a->method, "none")))
        return false;
    a->user = first_word(&s);
    return skip(&s, "from ") && parse_address(a, first_word(&s));
}

/** "USER… from ADDRESS", and of sshd "port N" behind it: the end is the program's, the user anything. */
static bool parse_from_end(struct attempt *a, struct slice s)
{
    struct slice last = behind_last(&s, ' '), rest = s;

    if (a->program == SSHD && slice_eq(behind_last(&rest, ' '), "port")) {
        s = rest;
        last = behind_last(&s, ' ');
    }
    if (!slice_eq(behind_last(&s, ' '), "from") || !parse_address(a, last))
        return false;
    a->user = s;
    if (a->program == DROPBEAR)
        cut_at(&a->user, "'");
    if (a->program != LUCI)
        return true;
    const char *at = str_find(s.ptr, " for "), *end = s.ptr + s.len; /* behind the page */
    at = at && at + 5 < end ? at + 5 : end;
    a->user = (struct slice){at, (size_t)(end - at)};
    return true;
}

/** "ADDRESS>: …": does the process owe it? */
static bool parse_exit(struct login *l, struct attempt *a, struct slice s, uint32_t process)
{
    unsigned i = 0;

    while (i < PENDING && l->seen.pending[i] != process)
        i++;
    if (i == PENDING)
        return false;
    l->seen.pending[i] = 0;
    cut_at(&s, ">");
    return parse_address(a, s);
}

static bool parse_message(struct login *l, struct attempt *a, struct slice s, uint8_t method,
                          uint32_t process)
{
    if (method == NAMED)
        return parse_named(a, s);
    if (method == EXIT)
        return parse_exit(l, a, s, process);
    if (method != UNKNOWN) {
        const char *word = word_at(methods, method - 1u);
        a->method = (struct slice){word, strlen(word)};
    }
    if (parse_from_end(a, s))
        return true;
    if (method == UNKNOWN && a->program == DROPBEAR) {
        memmove(l->seen.pending + 1, l->seen.pending, sizeof l->seen.pending - sizeof l->seen.pending[0]);
        l->seen.pending[0] = process;
    }
    return false;
}

static bool parse_line(struct login *l, struct attempt *a, struct slice s)
{
    uint32_t process = 0;
    const int program = split_program(&s, &process);
    unsigned i = 0;

    for (const char *begin = begins; *begin; begin = word_at(begin, 1), i++) {
        struct slice rest = s;
        if (meanings[i].program != program || !skip(&rest, begin))
            continue;
        *a = (struct attempt){.program = meanings[i].program, .failed = meanings[i].failed};
        return parse_message(l, a, rest, meanings[i].method, process);
    }
    return false;
}

/* ---- events ---- */

/** The address's place; where all are in use, that of the oldest. */
static struct source *find_source(struct login *l, const struct addr *a, uint64_t now_ms)
{
    const uint32_t key = hash_bytes(HASH_START, a->ip, a->family == AF_INET ? 4 : 8);
    struct source *s = l->seen.sources;

    for (struct source *at = s; at < l->seen.sources + SOURCES; at++) {
        if (at->key == key) {
            s = at;
            break;
        }
        if (at->since_ms < s->since_ms)
            s = at;
    }
    if (s->key != key || now_ms - s->since_ms > l->window_ms)
        *s = (struct source){.key = key, .since_ms = now_ms};
    return s;
}

static void put(struct json_writer *w, const char *key, struct slice s)
{
    if (s.len > 0)
        event_put_text(w, key, s.ptr, s.len, USER_BYTES);
}

static void report(struct login *l, struct emitter *e, const struct attempt *a)
{
    struct source *s = find_source(l, &a->address, clock_ms(emitter_clock(e)));
    char subject[ADDR_TEXT + USER_BYTES];
    struct text t;

    text_init(&t, subject, sizeof subject);
    addr_text(&t, &a->address);
    const size_t address = t.len;
    s->count += a->failed;
    const unsigned count = s->count;
    const bool many = a->failed && count >= (unsigned)l->failures;
    if (many) /* and so many again */
        *s = (struct source){0};
    if (!a->failed) { /* of an address each failure is like the other, but not each success */
        text_char(&t, ' ');
        text_bytes(&t, a->user.ptr, a->user.len);
    }
    struct json_writer *w = emit_begin(
        e, many ? "login.brute_force" : a->failed ? "login.failed" : "login.succeeded", subject,
        many ? SEVERITY_CRITICAL : a->failed ? SEVERITY_WARNING : SEVERITY_INFO);
    put(w, "user", a->user);
    json_put_bytes(w, "address", subject, address);
    json_put_string(w, "service", word_at(programs, a->program));
    put(w, "method", a->method);
    json_put_u64(w, "failures", count);
    emit_end(e);
}

/** Of a line that was cut the end is not the program's. */
static void login_line(void *state, struct emitter *e, const char *line, size_t len)
{
    struct attempt a;

    if (len < CONFIG_FOLLOW_LINE_BYTES && parse_line(state, &a, (struct slice){line, len}))
        report(state, e, &a);
}

const struct sensor_class sensor_login = {
    SENSOR_NAME("login", "5m"),
    .follows = true,
    .fields = login_fields,
    .state_size = sizeof(struct login),
    .watches = 1,
    .open = login_open,
    .start = login_start,
    .poll = login_poll,
    .ready = login_ready,
    .stop = login_stop,
};
