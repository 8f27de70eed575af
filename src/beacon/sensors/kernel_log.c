#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <string.h>
#include <unistd.h>

#include "nefia/base/err.h"
#include "nefia/base/glob.h"
#include "nefia/beacon/sensor.h"

/* kernel_log: what the kernel says in /dev/kmsg (Linux 3.5; Documentation/ABI/testing/dev-kmsg): one record for
 * each read(2), `priority,sequence,microseconds,flags;text`, then a newline and lines of the device's names.
 * What is no printable ASCII stands there as \xNN. */
struct kernel_pattern {
    const char *name, *glob;
    int severity;
};

struct kernel_log {
    struct sensor_common common;
    struct kernel_pattern patterns[CONFIG_KERNEL_LOG_PATTERNS];
    unsigned count;
    int fd;        /* 0: not open */
    uint64_t next; /* sequence of the record after the last one; 0: none was read */
    uint64_t lost; /* records, not yet reported */
};

enum {
    RECORDS_A_TURN = 64, /* then the other descriptors have their turn */
    RECORDS_ONCE = 65536,
    MESSAGE_ROOM = CONFIG_EVENT_BYTES / 2,
    SUBJECT_BYTES = 128,
    WARNING =
        4, /* from here on, downwards, are those of the kernel itself (facility 0) that are no notice */
};

static const struct field pattern_fields[] = {
    {.name = "name",
     .type = FIELD_STRING,
     FIELD_AT(struct kernel_pattern, name),
     .min = 1,
     .max = 64,
     .required = true},
    {.name = "pattern",
     .type = FIELD_STRING,
     FIELD_AT(struct kernel_pattern, glob),
     .min = 1,
     .max = 128,
     .required = true},
    {FIELD_DEFAULT("severity", "warning"), .type = FIELD_WORD,
     FIELD_AT(struct kernel_pattern, severity), .words = severity_words},
    {.name = NULL},
};

static const struct field_list pattern_list = {
    .count = offsetof(struct kernel_log, count),
    .size = sizeof(struct kernel_pattern),
    .cap = CONFIG_KERNEL_LOG_PATTERNS,
    .remedy = FIELD_HELP("; raise CONFIG_KERNEL_LOG_PATTERNS"),
    .fields = pattern_fields,
};

static const struct field kernel_log_fields[] = {
    {.name = "patterns",
     .type = FIELD_LIST,
     FIELD_AT(struct kernel_log, patterns),
     .list = &pattern_list,
     FIELD_NOTE("further lines to report")},
    {.name = NULL},
};

static int kernel_log_open(void *state, struct config *c, const struct node *n, const char *where)
{
    return config_bind_maps(c, n, where, kernel_log_fields, state);
}

/* ---- What is in a line ---- */

/** A byte for the severity, the type, and what its lines have in them, for glob_within. */
#define TYPES                                                                                      \
    "\2"                                                                                           \
    "kernel.oom_kill"                                                                              \
    "\0"                                                                                           \
    "Killed process *total-vm\0"                                                                   \
    "\2"                                                                                           \
    "kernel.filesystem_error"                                                                      \
    "\0"                                                                                           \
    "EXT4-fs error\0EXT4-fs (*Remounting filesystem read-only\0"                                   \
    "UBIFS error\0jffs2: error\0JFFS2 error\0SQUASHFS error\0"                                     \
    "F2FS-fs (\0BTRFS*(device\0"                                                                   \
    "\2"                                                                                           \
    "kernel.io_error"                                                                              \
    "\0"                                                                                           \
    "I/O error\0critical * error, dev\0mmcblk*: error\0ubi* error: \0UBI error\0"                  \
    "\1"                                                                                           \
    "kernel.firmware_crash"                                                                        \
    "\0"                                                                                           \
    "irmware*crash\0icrocode SW error\0crash detected in \0"

/** The type that such a line of the kernel's belongs to, with its severity before it; null: none. */
static const char *type_of(const char *text, size_t len)
{
    const char *type = NULL;

    for (const char *at = TYPES; *at; at = word_at(at, 1)) {
        if ((unsigned char)*at < SEVERITY_COUNT)
            type = at;
        else if (glob_within(at, text, len))
            return type;
    }
    return NULL;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/** The same without its numbers, so that an error of one more sector repeats the one before and that of another
 * disk does not: words that begin with a digit are left out. */
static void put_subject(struct text *t, const char *s, size_t len)
{
    bool inside = false, number = false;

    for (size_t i = 0; i < len; i++) {
        const char letter = (char)(s[i] | 0x20);
        if (!inside)
            number = is_digit(s[i]);
        inside = is_digit(s[i]) || (letter >= 'a' && letter <= 'z');
        if (!inside || !number)
            text_char(t, s[i]);
    }
}

static void report(struct emitter *out, const char *type, enum severity severity, const char *name,
                   const char *text, size_t len)
{
    char buf[SUBJECT_BYTES];
    struct text subject;

    text_init(&subject, buf, sizeof buf);
    put_subject(&subject, text, len);
    struct json_writer *w = emit_begin(out, type, buf, severity);
    if (name)
        json_put_string(w, "name", name);
    event_put_text(w, "message", text, len, MESSAGE_ROOM);
    emit_end(out);
}

/** Patterns of the configuration come first: one line is one event. */
static void judge(const struct kernel_log *k, struct emitter *out, uint64_t priority,
                  const char *text, size_t len)
{
    for (unsigned i = 0; i < k->count; i++) {
        const struct kernel_pattern *p = &k->patterns[i];
        if (glob_within(p->glob, text, len)) {
            report(out, "kernel.log", (enum severity)p->severity, p->name, text, len);
            return;
        }
    }
    const char *type = priority <= WARNING ? type_of(text, len) : NULL;
    if (type)
        report(out, type + 1, (enum severity) * type, NULL, text, len);
}

/* ---- Records ---- */

/** Decode the text in its place, up to the end of its line. Return: its length. */
static size_t decode(char *text)
{
    const char *at = text;
    size_t len = 0;

    while (*at && *at != '\n') {
        int high, low = -1;
        if (at[0] == '\\' && at[1] == 'x' && (high = hex_digit((unsigned char)at[2])) >= 0)
            low = hex_digit((unsigned char)at[3]);
        text[len++] = (char)(low >= 0 ? high << 4 | low : *at);
        at += low >= 0 ? 4 : 1;
    }
    return len;
}

/** One record, NUL-terminated. */
static void take(struct kernel_log *k, struct emitter *out, char *record)
{
    char *text = strchr(record, ';');
    const size_t first = strcspn(record, ","), second = first + (record[first] == ',');
    uint64_t priority, sequence;

    if (!text || parse_u64(record, first, &priority) < 0 ||
        parse_u64(record + second, strcspn(record + second, ",;"), &sequence) < 0)
        return;
    if (k->next && sequence > k->next)
        k->lost += sequence - k->next;
    k->next = sequence + 1;
    judge(k, out, priority, text + 1, decode(text + 1));
}

/** Return: 0, or the errno of a descriptor that is no good any more. */
static int drain(struct kernel_log *k, struct emitter *out, unsigned most)
{
    for (unsigned i = 0; i < most; i++) {
        size_t cap;
        char *record = emitter_buffer(out, &cap);
        ssize_t n = read(k->fd, record, cap - 1);
        if (n > 0) {
            record[n] = '\0';
            take(k, out, record);
        } else if (n == 0) {
            return ENODATA; /* what containers have in its place */
        } else if (errno == EAGAIN) {
            return 0;
        } else if (errno == EPIPE && k->next == 0) {
            k->lost++; /* how many is not known */
        } else if (errno != EPIPE && errno != EINVAL) {
            return errno; /* how many are overwritten or too long shows in the next one's sequence */
        }
    }
    return 0;
}

/** As often as repetitions are told; until then they add up. */
static void report_lost(struct kernel_log *k, struct emitter *out)
{
    if (k->lost == 0)
        return;
    json_put_u64(emit_begin(out, "kernel.log_lost", NULL, SEVERITY_WARNING), "lost", k->lost);
    if (emit_end(out) == 1)
        k->lost = 0;
}

/** A descriptor that is no good is not watched until the next look. */
static int kernel_log_poll(void *state, struct emitter *out, uint64_t now_ms)
{
    struct kernel_log *k = state;

    (void)now_ms;
    int broken = drain(k, out, emitter_once(out) ? RECORDS_ONCE : RECORDS_A_TURN);
    report_lost(k, out);
    if (!broken)
        return emitter_watch(out, k->fd, POLLIN);
    emitter_unwatch(out, k->fd);
    return emitter_not_measured(out, "/dev/kmsg", ERRNO(broken));
}

static void kernel_log_ready(void *state, struct emitter *out, int fd, short events)
{
    (void)fd;
    (void)events;
    kernel_log_poll(state, out, 0);
}

static void kernel_log_stop(void *state)
{
    struct kernel_log *k = state;

    if (k->fd)
        close(k->fd);
}

/** Behind what is there already, which was there at the start before this, too. */
static int kernel_log_start(void *state, struct emitter *self, void *before)
{
    struct kernel_log *k = state, *old = before;

    if (old) {
        k->fd = old->fd;
        k->next = old->next;
        k->lost = old->lost;
        old->fd = 0;
    } else {
        k->fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
        if (k->fd < 0) {
            k->fd = 0;
            return emitter_not_measured(self, "/dev/kmsg", ERRNO(errno));
        }
        if (!emitter_once(self))
            lseek(k->fd, 0, SEEK_END);
    }
    int err = emitter_watch(self, k->fd, POLLIN);
    if (err == NEFIA_EIO) /* in a container it may be /dev/null */
        emitter_not_measured(self, "/dev/kmsg", ERRNO(errno));
    if (err < 0)
        kernel_log_stop(k);
    return err;
}

const struct sensor_class sensor_kernel_log = {
    SENSOR_NAME_OF("kernel_log", "1h", "kernel-beacon"),
    .fields = kernel_log_fields,
    .state_size = sizeof(struct kernel_log),
    .watches = 1,
    .capability = CAP_SYSLOG,
    .open = kernel_log_open,
    .start = kernel_log_start,
    .poll = kernel_log_poll,
    .ready = kernel_log_ready,
    .stop = kernel_log_stop,
};
