#include "nefia/sys/log.h"

#include <poll.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "nefia/sys/clock.h"
#include "nefia/base/kconfig.h"

enum {
    SLOW_READER_MS = 50,   /* how long to wait for a full pipe or terminal */
    SYSLOG_DAEMON = 3 * 8, /* facility of RFC 3164 section 4.1.1, times eight */
};

struct log {
    const char *program;
    enum log_level least;
    bool syslog;
    int fd, syslog_fd;
    unsigned current; /* index in log_lines of the line being built; the other is the last one written */
    enum log_level last_level;
    unsigned repeats, reported; /* of the last line; reported so far */
    unsigned lost;          /* lines that could not be written */
    void (*keep)(const char *line, size_t len); /* BEACON_CONSOLE; null: nobody */
};
static char log_lines[2][CONFIG_LOG_LINE_BYTES + 1];
static struct log one_log;

/** Initialised on first use, which keeps it out of the program's data segment. */
static struct log *the_log(void)
{
    if (!one_log.program) {
        one_log.program = "nefia";
        one_log.least = LOG_LEVEL_INFO;
        one_log.fd = STDERR_FILENO;
        one_log.syslog_fd = -1;
    }
    return &one_log;
}

void log_init(const char *program, enum log_level least)
{
    struct log *l = the_log();

    l->program = program;
    l->least = least;
}

void log_to_syslog(void)
{
    the_log()->syslog = true;
}

void log_to_fd(int fd)
{
    struct log *l = the_log();

    l->fd = fd;
    l->syslog = false;
}

void log_keep(void (*keep)(const char *line, size_t len))
{
    the_log()->keep = keep;
}

static void keep(const struct log *l, const char *line, size_t len)
{
    if (IS_ENABLED(CONFIG_BEACON_CONSOLE) && l->keep)
        l->keep(line, len - 1);
}

/** One write, so that lines of several processes do not mix. A reader that did not take the last
 * line is not waited for again: a flood would wait once for each line. */
static bool put_line(struct log *l, const char *line, size_t len)
{
    struct pollfd p = {.fd = l->fd, .events = POLLOUT};

    if (poll(&p, 1, l->lost > 0 ? 0 : SLOW_READER_MS) <= 0 || !(p.revents & POLLOUT))
        return false;
    return write(l->fd, line, len) > 0;
}

static bool syslog_open(struct log *l)
{
    static const struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "/dev/log"};

    if (l->syslog_fd >= 0)
        close(l->syslog_fd);
    l->syslog_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (l->syslog_fd < 0)
        return false;
    return connect(l->syslog_fd, (const struct sockaddr *)&address, sizeof address) == 0;
}

/** "Mar  5 15:30:00", the TIMESTAMP of RFC 3164 section 4.1.2, in UTC. */
static void put_syslog_time(struct text *t)
{
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    char stamp[24];
    struct text s;
    uint64_t month = 1;

    text_init(&s, stamp, sizeof stamp);
    text_rfc3339(&s, clock_unix(&clock_system));
    parse_u64(stamp + 5, 2, &month);
    text_bytes(t, months + (month - 1) * 3, 3);
    text_char(t, ' ');
    text_char(t, stamp[8] == '0' ? ' ' : stamp[8]);
    text_char(t, stamp[9]);
    text_char(t, ' ');
    text_bytes(t, stamp + 11, 8);
}

static bool put_syslog(struct log *l, enum log_level level, const char *message, size_t len)
{
    static const unsigned char severity[] = {3, 4, 6, 7}; /* error, warning, informational, debug */
    char packet[CONFIG_LOG_LINE_BYTES + 64];
    struct text t;

    text_init(&t, packet, sizeof packet);
    text_char(&t, '<');
    text_u64(&t, SYSLOG_DAEMON + (uint64_t)severity[level]);
    text_char(&t, '>');
    put_syslog_time(&t);
    text_char(&t, ' ');
    text_str(&t, l->program);
    text_char(&t, '[');
    text_i64(&t, getpid());
    text_str(&t, "]: ");
    text_bytes(&t, message, len);
    if (l->syslog_fd >= 0 && send(l->syslog_fd, packet, t.len, MSG_NOSIGNAL) >= 0)
        return true;
    /* syslogd may have been restarted: reconnect once. */
    return syslog_open(l) && send(l->syslog_fd, packet, t.len, MSG_NOSIGNAL) >= 0;
}

/** line is "program: rest\n"; syslog has a field of its own for the program. */
static bool put_any(struct log *l, enum log_level level, const char *line, size_t len)
{
    size_t skip = strlen(l->program) + 2;

    if (IS_ENABLED(CONFIG_SYSLOG) && l->syslog && len > skip &&
        put_syslog(l, level, line + skip, len - skip - 1))
        return true;
    return put_line(l, line, len);
}

/** A line about the log itself: "program: before N after\n". */
static bool put_note(struct log *l, enum log_level level, const char *before, unsigned n,
                     const char *after)
{
    char note[96];
    struct text t;

    text_init(&t, note, sizeof note);
    text_str(&t, l->program);
    text_str(&t, before);
    text_u64(&t, n);
    text_str(&t, after);
    if (l->lost == 0) /* else that is what it says, and again until somebody reads */
        keep(l, note, t.len);
    return put_any(l, level, note, t.len);
}

/** Lines lost earlier are reported first. */
static void put_lost(struct log *l)
{
    const char *what = " log lines lost\n";

    if (l->lost > 0 && put_note(l, LOG_LEVEL_WARN, ": warning: ", l->lost, what))
        l->lost = 0;
}

static void put(struct log *l, enum log_level level, const char *line, size_t len)
{
    keep(l, line, len);
    put_lost(l);
    if (!put_any(l, level, line, len))
        l->lost++;
}

static void put_repeats(struct log *l)
{
    if (l->repeats == l->reported)
        return;
    put_lost(l);
    if (!put_note(l, l->last_level, ": last message repeated ", l->repeats,
                  l->repeats == 1 ? " time\n" : " times\n"))
        l->lost++;
    l->reported = l->repeats;
}

static bool is_power_of_ten(unsigned v)
{
    uint64_t power = 1;

    while (power < v)
        power *= 10;
    return power == v;
}

static void count_repeat(struct log *l)
{
    l->repeats++;
    /* A line that repeats for days must not look like silence. */
    if (l->repeats >= 10 && is_power_of_ten(l->repeats))
        put_repeats(l);
}

void log_flush(void)
{
    put_repeats(the_log());
}

static void begin_line(struct text *t, const struct log *l, enum log_level level)
{
    text_str(t, l->program);
    text_str(t, word_at(": error: \0: warning: \0: \0: debug: \0", level));
}

void log_write(enum log_level level, ...)
{
    struct log *l = the_log();
    char *line = log_lines[l->current];
    const char *last = log_lines[!l->current];
    struct text t;
    va_list parts;

    const bool kept_only = level > l->least;
    if (kept_only && !(IS_ENABLED(CONFIG_BEACON_CONSOLE) && l->keep))
        return;
    text_init(&t, line, CONFIG_LOG_LINE_BYTES + 1 - sizeof "...");
    begin_line(&t, l, level);
    va_start(parts, level);
    for (const char *part; (part = va_arg(parts, const char *)) != NULL;)
        text_printable(&t, part, strlen(part));
    va_end(parts);
    const char *end = t.truncated ? "...\n" : "\n";
    t.truncated = false;
    t.cap = CONFIG_LOG_LINE_BYTES + 1;
    text_str(&t, end);
    if (kept_only) {
        keep(l, line, t.len);
        return;
    }
    if (str_eq(line, last)) {
        count_repeat(l);
        return;
    }
    put_repeats(l);
    put(l, level, line, t.len);
    l->current = !l->current;
    l->last_level = level;
    l->repeats = l->reported = 0;
}
